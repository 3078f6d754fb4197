//! What a sender says it takes and needs.

use crate::{MediaType, Message, Name};

impl Message {
    /// The option tags of Require that are not among the supported ones.
    pub fn unsupported<'a>(&'a self, supported: &[&str]) -> impl Iterator<Item = &'a [u8]> {
        self.values(Name::Require)
            .filter(|tag| !supported.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(tag)))
    }

    /// True when the sender takes bodies of this media type in a response (RFC 3261 section 20.1); without Accept that is SDP alone.
    pub fn accepts(&self, essence: &str) -> bool {
        if self.header(Name::Accept).is_none() {
            return essence.eq_ignore_ascii_case("application/sdp");
        }
        self.values(Name::Accept).filter_map(MediaType::parse).any(|accepted| accepted.covers(essence))
    }
}
