//! Challenges and credentials of digest (RFC 3261 section 22, RFC 8760): a scheme and its parameters.

use crate::{param::pair, scan};
use smallvec::SmallVec;

/// A challenge, or credentials, over the bytes of its header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// The scheme as written: `Digest`.
    pub scheme: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Challenge<'a> {
    /// Reads a header's value. One that is empty, cut in the middle of a parameter, or says a parameter of digest twice is none.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let space = value.iter().position(u8::is_ascii_whitespace)?;
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
        let challenge = scan::is_token(scheme).then_some(Self { scheme, rest })?;
        (!challenge.is_digest() || challenge.is_sound()).then_some(challenge)
    }

    fn is_sound(&self) -> bool {
        let mut names: SmallVec<[&[u8]; 16]> = SmallVec::new();
        scan::outside(self.rest, b',').map(<[u8]>::trim_ascii).all(|part| {
            let Some(at) = memchr::memchr(b'=', part) else { return false };
            let (name, value) = (part[..at].trim_ascii_end(), part[at + 1..].trim_ascii_start());
            let again = names.iter().any(|earlier| earlier.eq_ignore_ascii_case(name));
            names.push(name);
            let plain = |byte: &u8| *byte > b' ' && !matches!(byte, b'"' | 0x7f);
            let sound = scan::is_quoted(value) || (!value.is_empty() && value.iter().all(plain));
            scan::is_token(name) && sound && !again && names.len() <= 32
        })
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
