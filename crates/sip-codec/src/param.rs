//! Parameters: `;name`, `;name=token`, `;name="quoted"`.

use crate::scan;

/// The parameters that follow a value.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a [u8],
}

impl<'a> Params<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    /// Every parameter in order: name, and value where there is one, quotes removed.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        scan::outside(self.text, b';').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty()).map(pair)
    }

    /// The value of the first parameter of this name, in any case; empty when it stands without a value.
    pub fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or(b""))
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
