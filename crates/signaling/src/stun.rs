//! STUN keep-alives on a SIP port (RFC 5626 section 4.4.2, RFC 8489): a binding request is answered with the address it came
//! from, so that a client behind a NAT sees its mapping live.

use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};

const COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const XOR_MAPPED_ADDRESS: [u8; 2] = [0x00, 0x20];
const HEADER: usize = 20;

/// True for what is STUN and therefore never SIP: its first two bits are zero, and its cookie is where it must be.
pub(crate) fn is_stun(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && bytes[0] < 0x40 && bytes[4..8] == COOKIE
}

/// The answer to a binding request; none to anything else.
pub(crate) fn answer(bytes: &[u8], source: SocketAddr) -> Option<Bytes> {
    if !is_stun(bytes) || bytes[..2] != BINDING_REQUEST {
        return None;
    }
    let declared = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    if declared % 4 != 0 || declared != bytes.len() - HEADER {
        return None;
    }
    let transaction = &bytes[4..HEADER];
    let port = source.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let (family, address): (u8, Vec<u8>) = match source.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().iter().zip(transaction).map(|(a, b)| a ^ b).collect()),
        IpAddr::V6(ip) => (2, ip.octets().iter().zip(transaction).map(|(a, b)| a ^ b).collect()),
    };
    let value = u16::try_from(4 + address.len()).ok()?;
    let mut answer = Vec::with_capacity(HEADER + 8 + address.len());
    answer.extend_from_slice(&BINDING_SUCCESS);
    answer.extend_from_slice(&(value + 4).to_be_bytes());
    answer.extend_from_slice(transaction);
    answer.extend_from_slice(&XOR_MAPPED_ADDRESS);
    answer.extend_from_slice(&value.to_be_bytes());
    answer.extend_from_slice(&[0, family]);
    answer.extend_from_slice(&port.to_be_bytes());
    answer.extend_from_slice(&address);
    Some(answer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.1's transaction, without attributes.
    fn request() -> Vec<u8> {
        let mut bytes = vec![0x00, 0x01, 0x00, 0x00];
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&[0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
        bytes
    }

    #[test]
    fn rfc5769_2_2_the_mapped_address_is_written_as_in_the_sample() {
        let answer = answer(&request(), "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answer[..4], [0x01, 0x01, 0x00, 0x0c]);
        assert_eq!(answer[4..20], request()[4..20]);
        assert_eq!(answer[20..], [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
    }

    #[test]
    fn rfc5769_2_3_and_of_an_ipv6_peer() {
        let source = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        let answer = answer(&request(), source).unwrap();
        let expected = [
            0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25,
            0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(answer[20..], expected);
    }

    #[test]
    fn what_is_no_whole_binding_request_draws_nothing() {
        let source = "192.0.2.1:1".parse().unwrap();
        let mut other = request();
        other[1] = 0x11;
        assert!(is_stun(&other) && answer(&other, source).is_none(), "an indication");
        let mut lying = request();
        lying[3] = 4;
        assert!(answer(&lying, source).is_none(), "a length that lies");
        assert!(!is_stun(b"OPTIONS sip:line@192.0.2.1 SIP/2.0\r\n"));
        assert!(!is_stun(&request()[..19]));
    }
}
