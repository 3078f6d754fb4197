//! Via (RFC 3261 section 20.42, RFC 3581).

use crate::{
    param::{Params, is_sound},
    scan,
    uri::{host_ip, host_port},
};
use std::net::IpAddr;

/// One Via value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as written: UDP, TCP, TLS, ...
    pub transport: &'a [u8],
    /// The host of sent-by, with brackets for IPv6.
    pub host: &'a [u8],
    /// The port of sent-by.
    pub port: Option<u16>,
    params: &'a [u8],
    /// The whole value as written.
    pub text: &'a [u8],
}

impl<'a> Via<'a> {
    /// Reads one value.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let semicolon = text.iter().position(|byte| *byte == b';').unwrap_or(text.len());
        let (protocol, params) = (&text[..semicolon], &text[semicolon..]);
        let rest = match protocol.strip_prefix(b"SIP/2.0/") {
            Some(rest) => rest.trim_ascii(),
            // White space around the slashes is allowed and never seen but in torture tests.
            None => {
                let mut parts = protocol.splitn(3, |byte| *byte == b'/').map(<[u8]>::trim_ascii);
                let (name, version, rest) = (parts.next()?, parts.next()?, parts.next()?);
                if !name.eq_ignore_ascii_case(b"SIP") || version != b"2.0" {
                    return None;
                }
                rest
            }
        };
        let space = rest.iter().position(u8::is_ascii_whitespace)?;
        let (transport, sent_by) = (&rest[..space], &rest[space..]);
        let (host, port) = host_port(sent_by)?;
        let sound = scan::is_token(transport) && is_sound(params, b"branch");
        sound.then_some(Self { transport, host, port, params, text })
    }

    /// Its parameters.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// The branch.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params().value(b"branch").filter(|branch| !branch.is_empty())
    }

    /// The branch, where it identifies the transaction by itself: the magic cookie with something behind it (RFC 3261 section
    /// 8.1.1.7). The cookie alone, or none, comes from elements of RFC 2543 and from broken ones (RFC 4475 section 3.2.1).
    pub fn transaction_branch(&self) -> Option<&'a [u8]> {
        self.branch().filter(|branch| branch.len() > 7 && branch[..7].eq_ignore_ascii_case(b"z9hG4bK"))
    }

    /// True when the sender asks for its port, or a response tells it (RFC 3581).
    pub fn has_rport(&self) -> bool {
        self.params().has(b"rport")
    }

    /// The port told in a response.
    pub fn rport(&self) -> Option<u16> {
        std::str::from_utf8(self.params().value(b"rport")?).ok()?.parse().ok()
    }

    /// The address told in a response.
    pub fn received(&self) -> Option<IpAddr> {
        host_ip(self.params().value(b"received")?)
    }

    /// The host of sent-by as an address.
    pub fn host_ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }
}
