//! Media types (RFC 3261 section 20.15).

use crate::{
    param::{Params, is_sound},
    scan,
};

/// A Content-Type, or one value of Accept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// The type as written: `application`.
    pub kind: &'a [u8],
    /// The subtype as written: `sdp`.
    pub subtype: &'a [u8],
    params: &'a [u8],
}

impl<'a> MediaType<'a> {
    /// Reads a value.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (essence, params) = text.split_at(end);
        let slash = memchr::memchr(b'/', essence)?;
        let (kind, subtype) = (essence[..slash].trim_ascii_end(), essence[slash + 1..].trim_ascii());
        (scan::is_token(kind) && scan::is_token(subtype) && is_sound(params, b"")).then_some(Self {
            kind,
            subtype,
            params,
        })
    }

    /// True for this type and subtype, such as `application/sdp`, in any case.
    pub fn is(&self, essence: &str) -> bool {
        essence.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind.as_bytes()) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
        })
    }

    /// True when this value of Accept covers a media type.
    pub fn covers(&self, essence: &str) -> bool {
        let Some((kind, subtype)) = essence.split_once('/') else { return false };
        (self.kind == b"*" || self.kind.eq_ignore_ascii_case(kind.as_bytes()))
            && (self.subtype == b"*" || self.subtype.eq_ignore_ascii_case(subtype.as_bytes()))
    }

    /// Its parameters, such as `boundary`.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }
}
