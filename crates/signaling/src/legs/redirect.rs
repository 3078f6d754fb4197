//! Contacts of a redirection (RFC 3261 section 8.1.3.4).

use crate::context::Context;
use sip_codec::Message;

/// The URIs of a 3xx, the most wanted first.
pub(super) fn contacts(cx: &Context, message: &Message) -> Vec<String> {
    let mut found: Vec<(u16, String)> = message
        .contacts()
        .filter_map(Result::ok)
        .filter(|contact| contact.uri.is_sip() || contact.uri.is_tel())
        .filter_map(|contact| {
            let uri = std::str::from_utf8(contact.uri.text).ok()?.to_owned();
            Some((thousandths(contact.params().value(b"q")), uri))
        })
        // The order is by want, but a list without end is not sorted either.
        .take(cx.config.limits.contacts * 4)
        .collect();
    found.sort_by_key(|(wanted, _)| std::cmp::Reverse(*wanted));
    found.truncate(cx.config.limits.contacts);
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// A `q` value in thousandths; 1 when there is none.
fn thousandths(q: Option<&[u8]>) -> u16 {
    let Some(text) = q.and_then(|q| std::str::from_utf8(q).ok()) else { return 1_000 };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole != "0" {
        return 1_000;
    }
    part.bytes()
        .chain(std::iter::repeat(b'0'))
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0') % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_10_q_values_are_thousandths() {
        let of = |text: &str| thousandths(Some(text.as_bytes()));
        assert_eq!((of("1"), of("1.0"), of("0.5"), of("0.05"), of("0"), of("0.999")), (1_000, 1_000, 500, 50, 0, 999));
        assert_eq!(thousandths(None), 1_000);
    }
}
