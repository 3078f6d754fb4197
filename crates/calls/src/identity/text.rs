//! Addresses in headers as text: read from peers, written to peers.

use std::fmt::Write as _;

/// The values of a header that holds a list: commas inside quotes and angle brackets separate nothing.
pub(super) fn values(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped, mut within) = (false, false, false);
        let end = text.char_indices().find(|(_, c)| {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '<' if !quoted => within = true,
                '>' if !quoted => within = false,
                ',' => return !quoted && !within,
                _ => {}
            }
            false
        });
        let (one, more) = match end {
            Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = more;
        Some(one.trim())
    })
    .filter(|one| !one.is_empty())
}

/// The URI of a name-addr or addr-spec.
pub(super) fn uri(address: &str) -> Option<&str> {
    let mut quoted = false;
    let open = address.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == '<' && !quoted
    });
    let uri = match open {
        Some((at, _)) => address[at + 1..].split_once('>')?.0,
        None => address.split(';').next()?,
    };
    let uri = uri.trim();
    let sound = uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'));
    (sound && uri.contains(':')).then_some(uri)
}

/// The user part of a URI that holds `user`, whatever it is (RFC 3261, section 25.1).
pub(super) fn user(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Text of a peer without what no header can hold, at most `most` bytes of it.
pub(super) fn plain(text: &str, most: usize) -> String {
    let mut plain = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if plain.len() + c.len_utf8() > most {
            break;
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc3261_7_3_1_a_list_is_taken_apart_at_commas_that_separate() {
        let of = |text| values(text).collect::<Vec<_>>();
        assert_eq!(of("<sip:a@b>, <tel:+1>"), ["<sip:a@b>", "<tel:+1>"]);
        assert_eq!(of("\"a, \\\" b\" <sip:a,b@c> ,, <tel:+1>"), ["\"a, \\\" b\" <sip:a,b@c>", "<tel:+1>"]);
        assert_eq!(of(""), Vec::<&str>::new());
    }

    #[test]
    fn an_address_gives_its_uri_and_nothing_else() {
        assert_eq!(uri("\"<x>\" <sip:a@b;p=1>;q"), Some("sip:a@b;p=1"));
        assert_eq!(uri("sip:a@b;tag=1"), Some("sip:a@b"));
        assert_eq!(uri("<sip:a@b"), None);
        assert_eq!(uri("nothing"), None);
        assert_eq!(uri("<sip:a b@c>"), None);
    }

    proptest! {
        #[test]
        fn no_user_breaks_out_of_its_uri(written in ".{0,80}") {
            let written = user(&written);
            prop_assert!(written.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>@:;\"".contains(&byte)));
        }

        #[test]
        fn plain_text_is_bounded_and_has_no_control_characters(text in ".{0,200}") {
            let plain = plain(&text, 64);
            prop_assert!(plain.len() <= 64 && !plain.chars().any(char::is_control));
        }
    }
}
