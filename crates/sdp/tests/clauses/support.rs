//! Bodies as text, the way they stand in these tests: one line each, `\n` for the wire's `\r\n`.
use sdp::{LocalMedia, OfferAnswer};

/// Ours: 192.0.2.1:40000, both laws, telephone-event, 20 ms.
pub(crate) fn ours() -> OfferAnswer {
    OfferAnswer::new(LocalMedia::new("192.0.2.1".parse().unwrap(), 40000, 7))
}

/// A peer's body: the usual first lines, then `rest`.
pub(crate) fn theirs(rest: &str) -> Vec<u8> {
    wire(&format!("v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\n{rest}"))
}

pub(crate) fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// The media part of a body of ours, for comparing with a text.
pub(crate) fn media(body: &[u8]) -> String {
    let text = text(body);
    text.find("m=").map_or(String::new(), |at| text[at..].to_owned())
}

pub(crate) fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap().replace("\r\n", "\n")
}

pub(crate) fn version(body: &[u8]) -> u64 {
    let text = text(body);
    let origin = text.lines().find(|line| line.starts_with("o=")).unwrap();
    origin.split(' ').nth(2).unwrap().parse().unwrap()
}
