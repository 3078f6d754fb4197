//! Challenges and credentials of digest (RFC 3261 section 22, RFC 8760): a scheme and its parameters.

use crate::{param::pair, scan};

/// A challenge, or credentials, over the bytes of its header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The scheme as written: `Digest`.
    pub scheme: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Reads a header's value.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let space = value.iter().position(u8::is_ascii_whitespace)?;
        let scheme = &value[..space];
        scan::is_token(scheme).then(|| Self { scheme, rest: value[space..].trim_ascii() })
    }

    /// True for digest.
    pub fn is_digest(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"Digest")
    }

    /// A parameter without its quotes, by name in any case.
    pub fn value(&self, name: &str) -> Option<&'a [u8]> {
        scan::outside(self.rest, b',')
            .map(|part| pair(part.trim_ascii()))
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .and_then(|(_, value)| value)
    }
}
