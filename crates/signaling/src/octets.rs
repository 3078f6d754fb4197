//! Bytes of a message, written down as text: each byte the character of its number, so that what is ASCII stays legible and nothing is
//! lost.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    octets(&String::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("found a character that is no byte"))
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn octets(text: &str) -> Option<Bytes> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>().map(Bytes::from)
}

/// Several.
pub(crate) mod list {
    use super::{octets, text};
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(list: &[Bytes], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|bytes| text(bytes)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Bytes>, D::Error> {
        let list = Vec::<String>::deserialize(deserializer)?;
        let read: Option<Vec<Bytes>> = list.iter().map(|text| octets(text)).collect();
        read.ok_or_else(|| D::Error::custom("found a character that is no byte"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_character_and_nothing_else_is_one() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(octets(&text(&all)).as_deref(), Some(&all[..]));
        assert_eq!(text(b"sip:a@b"), "sip:a@b");
        assert_eq!(octets("\u{100}"), None);
    }
}
