//! The headers of our INVITEs: who calls, which call it is, what the AI learned. Bounded, and never more than a peer may see.

use crate::CallId;
use serde_json::Value;
use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

/// Bytes of one header line, name and all.
const LONGEST_LINE: usize = 1_024;
/// Bytes of one value.
const LONGEST_VALUE: usize = 256;
/// What an INVITE over UDP stays within.
const LARGEST_INVITE: usize = 1_300;
/// What `signaling` writes around target, From, headers and body: request line, Via, Max-Forwards, tags, Call-ID, CSeq,
/// Contact, Allow, Supported, User-Agent, Content-Type and Content-Length, with room to spare.
const FRAME: usize = 560;
/// Our own session description with both laws of G.711 and telephone-event.
const BODY: usize = 260;
/// The line of a key in it.
const KEY_LINE: usize = 100;

/// Headers that every peer may see that may see anything.
pub(crate) fn call_id(call: CallId) -> (String, String) {
    ("X-Tandem-Call-Id".to_owned(), call.to_string())
}

/// `X-Tandem-Context-*`: each key of the context that may travel, as far as the INVITE has room. `fixed` are the headers
/// that stay in any case; the session description holds so many SRTP keys.
pub(crate) fn context(
    context: &BTreeMap<String, Value>,
    keys: Option<&[Arc<str>]>,
    (target, from): (&str, &str),
    srtp_keys: usize,
    fixed: &[(String, String)],
) -> Vec<(String, String)> {
    let size = |headers: &[(String, String)]| headers.iter().map(line_size).sum::<usize>();
    let mut room = LARGEST_INVITE
        .saturating_sub(FRAME + BODY + srtp_keys * KEY_LINE + 2 * target.len() + from.len() + size(fixed));
    let mut headers = Vec::new();
    for (key, value) in context {
        let travels = keys.is_none_or(|keys| keys.iter().any(|it| **it == **key));
        let Some(name) = header_name(key).filter(|_| travels) else { continue };
        let (value, truncated) = header_value(value, LONGEST_VALUE.min(LONGEST_LINE - name.len() - 4));
        let mut lines = vec![(name.clone(), value)];
        if truncated {
            lines.push((format!("{name}-Truncated"), "true".to_owned()));
        }
        let needed = size(&lines);
        if needed <= room {
            room -= needed;
            headers.append(&mut lines);
        }
    }
    headers
}

fn line_size((name, value): &(String, String)) -> usize {
    name.len() + value.len() + 4
}

/// `customer_name` becomes `X-Tandem-Context-Customer-Name`; a key that cannot be a header's name does not travel.
fn header_name(key: &str) -> Option<String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if key.is_empty() || key.len() > 64 || !key.bytes().all(known) {
        return None;
    }
    let mut name = "X-Tandem-Context".to_owned();
    for word in key.split(['_', '-', '.']).filter(|word| !word.is_empty()) {
        name.push('-');
        let (first, rest) = word.split_at(1);
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(rest);
    }
    Some(name)
}

/// Percent-encoded UTF-8, cut at a character so that at most `most` bytes remain; true when it was cut. Text goes as it
/// is, everything else as JSON.
fn header_value(value: &Value, most: usize) -> (String, bool) {
    let json;
    let text = match value {
        Value::String(text) => text.as_str(),
        other => {
            json = other.to_string();
            json.as_str()
        }
    };
    encode(text, most)
}

/// See [`header_value`].
pub(crate) fn encode(text: &str, most: usize) -> (String, bool) {
    let mut encoded = String::with_capacity(text.len().min(most));
    for character in text.chars() {
        let start = encoded.len();
        // Readable where it cannot mislead: printable ASCII without the escape itself; a space at the ends would be lost.
        if character.is_ascii_graphic() && character != '%' || character == ' ' && start > 0 {
            encoded.push(character);
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        if encoded.len() > most {
            encoded.truncate(start);
            return (encoded, true);
        }
    }
    if encoded.ends_with(' ') {
        encoded.truncate(encoded.len() - 1);
    }
    (encoded, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(pairs: &[(&str, Value)]) -> BTreeMap<String, Value> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_context_becomes_headers_that_people_can_read() {
        let facts = of(&[("customer_name", "Jörg".into()), ("auth_failures", 2.into())]);
        let headers = context(&facts, None, ("sip:100@pbx.example.net", "sip:a@b"), 0, &[]);
        let expected = [("X-Tandem-Context-Auth-Failures", "2"), ("X-Tandem-Context-Customer-Name", "J%C3%B6rg")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn only_the_keys_asked_for_travel() {
        let facts = of(&[("a", 1.into()), ("b", 2.into())]);
        let headers = context(&facts, Some(&[Arc::from("b")]), ("sip:x", ""), 0, &[]);
        assert_eq!(headers, [("X-Tandem-Context-B".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn a_long_value_is_cut_at_a_character_and_says_so() {
        let facts = of(&[("summary", "ä".repeat(100).into())]);
        let headers = context(&facts, None, ("sip:x", ""), 0, &[]);
        assert_eq!(headers[0].1, "%C3%A4".repeat(42));
        assert_eq!(headers[1], ("X-Tandem-Context-Summary-Truncated".to_owned(), "true".to_owned()));
    }

    #[test]
    fn the_context_gives_way_before_the_invite_grows_too_large_for_udp() {
        let many: BTreeMap<String, Value> = (0..60).map(|i| (format!("key_{i}"), "x".repeat(200).into())).collect();
        for keys in [0, 1, 2] {
            let headers = context(&many, None, ("sip:100@pbx.example.net", "sip:a@b"), keys, &[]);
            let size: usize = headers.iter().map(line_size).sum();
            assert!(size + FRAME + BODY + keys * KEY_LINE <= LARGEST_INVITE);
            assert!(!headers.is_empty());
        }
    }

    proptest! {
        /// Whatever an AI says, no value breaks out of its line, and names stay tokens.
        #[test]
        fn no_value_breaks_out_of_its_line(key in ".{0,80}", value in ".{0,400}") {
            for (name, value) in context(&of(&[(&key, value.into())]), None, ("sip:x", ""), 0, &[]) {
                prop_assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
                prop_assert!(name.bytes().all(|byte| byte == b'-' || byte.is_ascii_alphanumeric()));
                prop_assert!(value.len() <= LONGEST_VALUE);
                prop_assert!(line_size(&(name, value)) <= LONGEST_LINE + 2);
            }
        }
    }
}
