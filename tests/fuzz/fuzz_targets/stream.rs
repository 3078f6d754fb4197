//! Any bytes as a stream: framing it whole and framing it byte by byte find the same messages.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_codec::{Frame, Limits, Message, frame};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { message: 4096, ..Limits::default() };
    let (mut whole, mut rest) = (Vec::new(), bytes);
    loop {
        match frame(rest, &limits) {
            Frame::Keepalive(length) => rest = &rest[length..],
            Frame::Message(length) => {
                let _ = Message::parse(Bytes::copy_from_slice(&rest[..length]), &limits);
                whole.push(rest[..length].to_vec());
                rest = &rest[length..];
            }
            Frame::Need | Frame::Bad(_) => break,
        }
    }
    let (mut pieces, mut buffer) = (Vec::new(), Vec::new());
    'bytes: for byte in bytes {
        buffer.push(*byte);
        loop {
            match frame(&buffer, &limits) {
                Frame::Keepalive(length) => drop(buffer.drain(..length)),
                Frame::Message(length) => pieces.push(buffer.drain(..length).collect::<Vec<u8>>()),
                Frame::Need => break,
                Frame::Bad(_) => break 'bytes,
            }
            if buffer.is_empty() {
                break;
            }
        }
    }
    assert_eq!(whole, pieces);
});
