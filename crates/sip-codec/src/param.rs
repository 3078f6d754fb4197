//! Parameters: `;name`, `;name=token`, `;name="quoted"`.

use crate::{scan, uri::unescape};

/// The parameters that follow a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a [u8],
    escaped: bool,
}

impl<'a> Params<'a> {
    /// The parameters in `text`, which begins with the first `;` or is empty.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, escaped: false }
    }

    /// Parameters of a URI, whose names may be percent-escaped: `;%6C%72` is `;lr`.
    pub(crate) fn of_uri(text: &'a [u8]) -> Self {
        Self { text, escaped: true }
    }

    /// Every parameter in order: name, and value where there is one, quotes removed.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        scan::outside(self.text, b';').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).map(pair)
    }

    /// The value of the first parameter of this name, in any case; empty when it stands without a value.
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        let named = |found: &[u8]| {
            found.eq_ignore_ascii_case(name)
                || (self.escaped && found.contains(&b'%') && unescape(found).eq_ignore_ascii_case(name))
        };
        self.iter().find(|(found, _)| named(found)).map(|(_, value)| value.unwrap_or(b""))
    }

    /// True when it is there, with or without a value.
    pub fn has(&self, name: &[u8]) -> bool {
        self.value(name).is_some()
    }
}

/// `name=value` taken apart, with the quotes removed.
pub(crate) fn pair(part: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'=', part) {
        None => (part, None),
        Some(at) => {
            let value = part[at + 1..].trim_ascii();
            let value = match value {
                [b'"', inner @ .., b'"'] => inner,
                other => other,
            };
            (part[..at].trim_ascii_end(), Some(value))
        }
    }
}

/// True for the parameters of a header as the grammar has them: each a name, alone or with a value, none empty, quotes closed, and
/// `identity` (a tag, a branch) neither empty nor twice.
pub(crate) fn is_sound(text: &[u8], identity: &[u8]) -> bool {
    let text = text.trim_ascii();
    if text.is_empty() {
        return true;
    }
    let Some((b';', rest)) = text.split_first() else { return false };
    let mut identities = 0;
    scan::outside(rest, b';').all(|part| {
        let part = part.trim_ascii();
        let (name, value) = match memchr::memchr(b'=', part) {
            None => (part, None),
            Some(at) => (part[..at].trim_ascii_end(), Some(part[at + 1..].trim_ascii_start())),
        };
        if name.eq_ignore_ascii_case(identity) {
            identities += 1;
            return identities == 1 && value.is_some_and(scan::is_token);
        }
        scan::is_token(name) && value.is_none_or(is_value)
    })
}

/// A token, a host, or a quoted string. Empty ones (`rport=`) are common and harmless.
fn is_value(value: &[u8]) -> bool {
    !scan::any(value, |byte| byte <= b' ' || matches!(byte, b'"' | b'<' | b'>' | b',' | 0x7f)) || scan::is_quoted(value)
}
