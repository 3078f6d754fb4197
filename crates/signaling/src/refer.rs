//! REFER and Replaces as call control sees them, and how both are read and written (RFC 3515, RFC 3891, RFC 3892, RFC 4488).

use crate::{
    LegId,
    message::{Request, passed, text},
};
use serde::{Deserialize, Serialize};
use sip_codec::{Message, Name, NameAddr, Uri};
use std::{fmt::Write as _, time::Duration};

/// Bytes of a Refer-To's URI, and of a Referred-By's.
const LONGEST_URI: usize = 1024;
/// Headers of a Refer-To that may go into the INVITE it asks for; whatever else it names is left out. `Replaces` is read apart.
const ESCAPED: [&str; 1] = ["User-to-User"];

/// What a leg's peer is asked: to call somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refer {
    /// Whom to call: a `sip:`, `sips:` or `tel:` URI; `tel:` stays `tel:`.
    pub to: String,
    /// Another leg of ours: the peer's call to `to` takes the place of our dialog with that leg's peer (RFC 3891).
    pub replaces: Option<LegId>,
    /// The URI of Referred-By (RFC 3892); none is sent when absent.
    pub referred_by: Option<String>,
    /// False: nothing is to be told of the outcome (`Refer-Sub: false`, RFC 4488). The peer may tell it all the same.
    pub subscribe: bool,
    /// How long to wait for the next news before [`Referral::TimedOut`]: 30 s. A peer that says how long it will go on
    /// telling (`Subscription-State: active;expires=`) is waited for that long, 5 minutes at most.
    pub timeout: Duration,
}

/// What became of a [`Refer`]. [`Self::Accepted`] comes at most once and first; [`Self::Done`], [`Self::Refused`] and
/// [`Self::TimedOut`] end it, as the leg's end does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Referral {
    /// The peer will call (200 or 202).
    Accepted {
        /// False: it will not tell the outcome, and nothing follows.
        subscribed: bool,
    },
    /// How the peer's call stands: a status from 100 to 199.
    Progress {
        /// The status.
        status: u16,
    },
    /// The peer's call was answered, or it failed; `None` when the peer stopped telling before it knew.
    Done {
        /// The final status of the peer's INVITE.
        status: Option<u16>,
    },
    /// The peer did not take the REFER.
    Refused {
        /// Its status; 408 when it did not answer, 503 when the network did not carry it, 491 when a REFER is under way.
        status: u16,
    },
    /// No news for too long.
    TimedOut,
}

/// A leg's peer asks us to call somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferRequest {
    /// Whom: a `sip:`, `sips:` or `tel:` URI, without headers and method.
    pub to: String,
    /// The dialog that the new call is to take the place of.
    pub replaces: Option<Replaces>,
    /// True when [`Self::to`] names an address of ours: one of our listeners, as bound or as peers are told.
    pub ours: bool,
    /// The leg of ours whose dialog [`Self::replaces`] names, if it is one.
    pub replaced: Option<LegId>,
    /// The URI of Referred-By (RFC 3892).
    pub referred_by: Option<String>,
    /// Whether the peer wants to be told how it goes.
    pub subscribe: bool,
    /// Headers for the new INVITE, from the Refer-To: `User-to-User` alone, and only if a header can hold its value.
    pub asked: Vec<(String, String)>,
    /// Headers of the REFER that [`crate::Config::passed_headers`] lets through, and every `X-…`.
    pub headers: Vec<(String, String)>,
}

/// A dialog as its other party names it (RFC 3891 section 6.1): `to_tag` is the tag of whoever receives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaces {
    /// The Call-ID.
    pub call_id: String,
    /// The receiver's tag.
    pub to_tag: String,
    /// The other party's tag.
    pub from_tag: String,
    /// Only while it is not answered.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a header's value; `None` when a part is missing or no token.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?;
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| is_word(id))?.to_owned();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            let (name, tag) = part.split_once('=').map_or((part, None), |(name, tag)| (name.trim(), Some(tag.trim())));
            let place = match name.to_ascii_lowercase().as_str() {
                "to-tag" => &mut to_tag,
                "from-tag" => &mut from_tag,
                "early-only" => {
                    early_only = true;
                    continue;
                }
                _ => continue,
            };
            // Each exactly once (RFC 3891 section 6.1).
            if place.is_some() {
                return None;
            }
            *place = Some(tag.filter(|tag| is_word(tag))?.to_owned());
        }
        Some(Self { call_id, to_tag: to_tag?, from_tag: from_tag?, early_only })
    }

    /// The header's value.
    pub fn print(&self) -> String {
        let early = if self.early_only { ";early-only" } else { "" };
        format!("{};to-tag={};from-tag={}{early}", self.call_id, self.to_tag, self.from_tag)
    }
}

/// Graphic characters that end no part of the header.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic() && !b";,".contains(&byte))
}

/// The Replaces header of an INVITE; the status that refuses one that cannot be read.
pub(crate) fn replaces_of(message: &Message) -> Result<Option<Replaces>, u16> {
    let mut values = message.raw(Name::Replaces);
    let Some(value) = values.next() else { return Ok(None) };
    // More than one, or Join beside it, contradict each other (RFC 3891 section 3).
    if values.next().is_some() || message.header_named("Join").is_some() {
        return Err(400);
    }
    Replaces::parse(value).map(Some).ok_or(400)
}

/// Reads a REFER; the status and phrase that refuse one that asks for what cannot be done.
pub(crate) fn read(
    request: &Request,
    passed_headers: &[String],
    longest: usize,
) -> Result<ReferRequest, (u16, Option<&'static str>)> {
    let message = &request.message;
    let mut values = message.values(Name::ReferTo);
    // RFC 3515 section 2.4.1.
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err((400, Some("Exactly One Refer-To Expected")));
    };
    let wrong = (400, Some("Refer-To Cannot Be Read"));
    let address = NameAddr::parse(value).ok_or(wrong)?;
    let uri = address.uri;
    if !uri.is_sip() && !uri.is_tel() {
        return Err((416, None));
    }
    // Only calls can be asked for.
    if uri.is_sip() && uri.params().value(b"method").is_some_and(|method| !method.eq_ignore_ascii_case(b"INVITE")) {
        return Err((603, Some("Only INVITE Can Be Referred To")));
    }
    let to = without_method(std::str::from_utf8(uri.without_headers()).map_err(|_| wrong)?);
    if to.len() > LONGEST_URI {
        return Err((414, None));
    }
    let (mut replaces, mut asked) = (None, Vec::new());
    for (name, value) in uri.header_fields() {
        if name.eq_ignore_ascii_case(b"Replaces") {
            let read = Replaces::parse(&value).ok_or((400, Some("Replaces Cannot Be Read")))?;
            if replaces.replace(read).is_some() {
                return Err((400, Some("One Replaces Expected")));
            }
            continue;
        }
        let Some(name) = ESCAPED.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(&name)) else { continue };
        let Ok(value) = String::from_utf8(value) else { continue };
        let fits = !value.is_empty() && value.len() <= longest && !value.chars().any(char::is_control);
        if fits && asked.is_empty() {
            asked.push(((*name).to_owned(), value));
        }
    }
    let referred_by = message.header(Name::ReferredBy).and_then(NameAddr::parse).map(|address| text(address.uri.text));
    let quiet = message.header_named("Refer-Sub").is_some_and(|value| {
        let word = value.split(|byte| *byte == b';').next().unwrap_or_default();
        word.trim_ascii().eq_ignore_ascii_case(b"false")
    });
    Ok(ReferRequest {
        to,
        replaces,
        ours: false,
        replaced: None,
        referred_by: referred_by.filter(|uri| uri.len() <= LONGEST_URI),
        subscribe: !quiet,
        asked,
        headers: passed(message, passed_headers),
    })
}

/// A Request-URI names no method (RFC 3261 section 19.1.1).
fn without_method(uri: &str) -> String {
    match uri.to_ascii_lowercase().rfind(";method=invite") {
        Some(at) => format!("{}{}", &uri[..at], &uri[at + ";method=invite".len()..]),
        None => uri.to_owned(),
    }
}

/// The value of Refer-To; `None` when the URI is none, or would not stay one.
pub(crate) fn print(to: &str, replaces: Option<&Replaces>) -> Option<String> {
    let uri = Uri::parse(to.as_bytes())?;
    if to.len() > LONGEST_URI || !(uri.is_sip() || uri.is_tel()) {
        return None;
    }
    let mut value = format!("<{to}");
    if let Some(replaces) = replaces.filter(|_| uri.is_sip()) {
        value.push_str(if uri.headers.is_empty() { "?Replaces=" } else { "&Replaces=" });
        escape(&mut value, &replaces.print());
    }
    value.push('>');
    Some(value)
}

/// The value of Referred-By; `None` when the URI is none.
pub(crate) fn referred_by(uri: &str) -> Option<String> {
    Uri::parse(uri.as_bytes())?;
    (uri.len() <= LONGEST_URI).then(|| format!("<{uri}>"))
}

/// Everything but what a URI's header may hold as it is (`hnv-unreserved`, `unreserved`; RFC 3261 section 25.1).
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaces() -> Replaces {
        Replaces { call_id: "a84b@192.0.2.1".into(), to_tag: "7743".into(), from_tag: "6472".into(), early_only: false }
    }

    #[test]
    fn rfc3891_6_1_a_replaces_reads_back_as_written_and_needs_both_tags_once() {
        let parse = |text: &str| Replaces::parse(text.as_bytes());
        assert_eq!(parse(&replaces().print()), Some(replaces()));
        let early = parse("a84b@192.0.2.1 ; from-tag=6472; TO-TAG=7743 ;early-only;x=y").unwrap();
        assert_eq!(early, Replaces { early_only: true, ..replaces() });
        for wrong in
            ["", "a", "a;to-tag=1", "a;from-tag=1", "a;to-tag=1;from-tag=2;to-tag=3", "a b;to-tag=1;from-tag=2"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(parse("a;to-tag=1\r\nX: y;from-tag=2"), None);
        assert_eq!(parse("a;to-tag=;from-tag=2"), None);
    }

    #[test]
    fn rfc3515_2_1_a_refer_to_carries_its_replaces_escaped() {
        let value = print("sip:bob@192.0.2.2;transport=udp", Some(&replaces())).unwrap();
        assert_eq!(
            value,
            "<sip:bob@192.0.2.2;transport=udp?Replaces=a84b%40192.0.2.1%3Bto-tag%3D7743%3Bfrom-tag%3D6472>"
        );
        let address = NameAddr::parse(value.as_bytes()).unwrap();
        let (name, escaped) = address.uri.header_fields().next().unwrap();
        assert_eq!((name.as_slice(), Replaces::parse(&escaped)), (&b"Replaces"[..], Some(replaces())));
    }

    #[test]
    fn rfc3966_a_number_stays_a_number() {
        assert_eq!(print("tel:+15550199", None).as_deref(), Some("<tel:+15550199>"));
        assert_eq!(print("tel:+15550199", Some(&replaces())).as_deref(), Some("<tel:+15550199>"));
    }

    #[test]
    fn no_uri_breaks_out_of_its_header() {
        for wrong in
            ["sip:a@b>\r\nX: y", "sip:a@b\r\n", "sip:a b@c", "sip:<a@b", "mailto:a@b", "", "sip:a@b\"", "\u{7f}"]
        {
            assert_eq!(print(wrong, None), None, "{wrong:?}");
        }
        assert_eq!(referred_by("sip:a@b>\r\nX: y"), None);
        assert_eq!(referred_by("sip:a@b").as_deref(), Some("<sip:a@b>"));
    }

    #[test]
    fn the_method_of_a_refer_to_stays_out_of_the_request_uri() {
        assert_eq!(without_method("sip:a@b;method=INVITE;x=y"), "sip:a@b;x=y");
        assert_eq!(without_method("sip:a@b"), "sip:a@b");
    }
}
