//! RTP over bytes in place: what a datagram is, and the twelve bytes of header we write before a payload.

use std::ops::Range;

/// Bytes of an RTP header without contributing sources and extension (RFC 3550 section 5.1).
pub(crate) const HEADER: usize = 12;

/// What a datagram on an RTP port is, by its first bytes (RFC 7983, RFC 5761 section 4).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Datagram {
    Rtp(Rtp),
    Rtcp,
    /// STUN, DTLS, a version other than 2, or lengths that lie.
    Malformed,
}

/// An RTP packet's fields and where its payload lies: at least [`HEADER`] bytes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rtp {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) payload: Range<usize>,
}

/// Says what `bytes` are. Every length in them is checked.
pub(crate) fn classify(bytes: &[u8]) -> Datagram {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else {
        // An RTCP receiver report without blocks has 8 bytes.
        return if bytes.len() >= 8 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1]) {
            Datagram::Rtcp
        } else {
            Datagram::Malformed
        };
    };
    if header[0] >> 6 != 2 {
        return Datagram::Malformed;
    }
    if (192..=223).contains(&header[1]) {
        return Datagram::Rtcp;
    }
    let Some(start) = header_length(bytes) else { return Datagram::Malformed };
    let mut end = bytes.len();
    if header[0] & 0x20 != 0 {
        let padding = usize::from(bytes[end - 1]);
        if padding == 0 || padding > end {
            return Datagram::Malformed;
        }
        end -= padding;
    }
    if start > end {
        return Datagram::Malformed;
    }
    Datagram::Rtp(Rtp {
        marker: header[1] & 0x80 != 0,
        payload_type: header[1] & 0x7f,
        sequence: u16::from_be_bytes([header[2], header[3]]),
        timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        payload: start..end,
    })
}

/// What a protected packet shows (RFC 3711 section 3.1): its header. What looks like padding is part of the cipher.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sequence: u16,
    pub(crate) ssrc: u32,
    /// Bytes before the payload.
    pub(crate) length: usize,
}

/// The header of a protected RTP packet, when it is one by its first bytes.
#[inline]
pub(crate) fn protected(bytes: &[u8]) -> Option<Head> {
    let header = bytes.first_chunk::<HEADER>()?;
    if header[0] >> 6 != 2 || is_rtcp(bytes) {
        return None;
    }
    let length = header_length(bytes).filter(|length| *length <= bytes.len())?;
    Some(Head {
        sequence: u16::from_be_bytes([header[2], header[3]]),
        ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        length,
    })
}

/// True when it is RTCP, if it is either (RFC 5761 section 4).
#[inline]
pub(crate) fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// Bytes of the header with contributing sources and extension; it may claim more than there are.
#[inline]
fn header_length(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    let length = HEADER + usize::from(first & 0x0f) * 4;
    if first & 0x10 == 0 {
        return Some(length);
    }
    let &[_, _, high, low] = bytes.get(length..length + 4)? else { return None };
    Some(length + 4 + usize::from(u16::from_be_bytes([high, low])) * 4)
}

/// The fields of a header we write: version 2, no padding, extension or contributing sources.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// Writes it into the first twelve bytes.
    pub(crate) fn write(self, bytes: &mut [u8; HEADER]) {
        bytes[0] = 0x80;
        bytes[1] = (self.payload_type & 0x7f) | if self.marker { 0x80 } else { 0 };
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// True when `a` comes after `b` in the circle of sequence numbers.
pub(crate) const fn after(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// True when `a` comes after `b` in the circle of timestamps.
pub(crate) const fn later(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use webrtc_util::marshal::{Marshal, Unmarshal};

    fn plain() -> Vec<u8> {
        let mut bytes = vec![0u8; HEADER];
        Header { marker: true, payload_type: 8, sequence: 65_535, timestamp: u32::MAX - 1, ssrc: 7 }
            .write(bytes[..].first_chunk_mut().unwrap());
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes
    }

    #[test]
    fn lengths_that_lie_are_malformed() {
        let with = |first: u8, tail: &[u8]| {
            let mut bytes = plain();
            bytes[0] = first;
            bytes.extend_from_slice(tail);
            classify(&bytes)
        };
        assert!(matches!(with(0x80, &[]), Datagram::Rtp(_)));
        assert_eq!(with(0x8f, &[]), Datagram::Malformed, "fifteen contributing sources in four bytes");
        assert_eq!(with(0x90, &[]), Datagram::Malformed, "an extension of 3 * 256 + 4 words");
        assert_eq!(with(0xa0, &[0]), Datagram::Malformed, "padding of no length");
        assert_eq!(with(0xa0, &[200]), Datagram::Malformed, "padding longer than the packet");
        assert_eq!(with(0xa0, &[6]), Datagram::Malformed, "padding that reaches into the header");
        assert_eq!(with(0x40, &[]), Datagram::Malformed, "version 1");
        assert_eq!(with(0x00, &[]), Datagram::Malformed, "STUN");
        assert_eq!(classify(&[]), Datagram::Malformed);
        assert_eq!(classify(&plain()[..11]), Datagram::Malformed);
        assert_eq!(classify(&[0x80, 201, 0, 1, 0, 0, 0, 1]), Datagram::Rtcp);
    }

    proptest! {
        /// Whatever the independent parser takes for RTP with a payload, we read alike; and nothing panics.
        #[test]
        fn agrees_with_an_independent_parser(
            first in prop_oneof![Just(0x80u8), any::<u8>()], second in 0u8..192, rest in proptest::collection::vec(any::<u8>(), 0..120)
        ) {
            let mut bytes = vec![first, second];
            bytes.extend(rest);
            let ours = classify(&bytes);
            let theirs = rtp::packet::Packet::unmarshal(&mut Bytes::from(bytes.clone()));
            if let (Datagram::Rtp(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours.sequence, theirs.header.sequence_number);
                prop_assert_eq!(ours.timestamp, theirs.header.timestamp);
                prop_assert_eq!(ours.ssrc, theirs.header.ssrc);
                prop_assert_eq!(ours.payload_type, theirs.header.payload_type);
                prop_assert_eq!(ours.marker, theirs.header.marker);
                prop_assert_eq!(&bytes[ours.payload], &theirs.payload[..]);
            }
        }

        /// Every header we write, the independent parser reads.
        #[test]
        fn headers_are_read_by_an_independent_parser(marker: bool, pt in 0u8..64, sequence: u16, timestamp: u32, ssrc: u32) {
            let mut bytes = [0; HEADER];
            Header { marker, payload_type: pt, sequence, timestamp, ssrc }.write(&mut bytes);
            let read = rtp::header::Header::unmarshal(&mut &bytes[..]).unwrap();
            let mut again = BytesMut::zeroed(HEADER);
            read.marshal_to(&mut again).unwrap();
            prop_assert_eq!(&again[..], &bytes[..]);
            prop_assert_eq!((read.marker, read.sequence_number, read.timestamp, read.ssrc), (marker, sequence, timestamp, ssrc));
        }
    }
}
