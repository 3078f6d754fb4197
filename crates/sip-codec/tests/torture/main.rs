//! The messages that RFC 4475 and RFC 5118 describe, each with the verdict its section gives.

mod rfc4475_application;
mod rfc4475_invalid;
mod rfc4475_valid;
mod rfc5118;

use bytes::Bytes;
use sip_codec::{Builder, HeaderError, Limits, Message, ParseError};

/// Lines to wire form; `{length}` becomes the length of what follows the blank line.
fn wire(text: &str) -> Vec<u8> {
    let text = text.replace('\n', "\r\n");
    let length = text.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
    text.replace("{length}", &length.to_string()).into_bytes()
}

fn try_parse(bytes: &[u8]) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(bytes), &Limits::default())
}

/// A message that must be read, and print as it came.
fn parse(text: &str) -> Message {
    parse_bytes(&wire(text))
}

fn parse_bytes(bytes: &[u8]) -> Message {
    let message = try_parse(bytes).expect("a message");
    assert!(bytes.starts_with(message.as_bytes()), "printed otherwise than read");
    message
}

/// A message that must be read and whose core must be sound.
fn accept(text: &str) -> Message {
    let message = parse(text);
    if let Err(flaw) = message.core() {
        panic!("refused: {flaw}");
    }
    message
}

/// A request that must be refused with 400 by its core, and that can be answered so.
fn refuse(text: &str) -> HeaderError {
    let message = parse(text);
    let flaw = message.core().expect_err("it must be refused");
    assert_eq!(flaw.status(), 400, "{flaw}");
    assert!(message.is_answerable(), "{flaw}, and no answer possible");
    answer(&message, 400);
    flaw
}

/// The answer to a request, as the other side reads it.
fn answer(request: &Message, status: u16) {
    let source = "192.0.2.250:5060".parse().expect("an address");
    let response = Builder::response(request, status, "No", source, Some("mine")).build().expect("an answer");
    let reread = parse_bytes(response.as_bytes());
    assert_eq!(reread.status(), Some(status));
}
