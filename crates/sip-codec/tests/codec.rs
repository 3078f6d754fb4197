//! Messages on a stream: cut anywhere, glued together, endless, or lying about their length.
#![cfg(feature = "codec")]

use bytes::{BufMut, BytesMut};
use sip_codec::{Codec, CodecError, FrameError, Limits, Name};
use tokio_util::codec::{Decoder, Encoder};

fn options(number: u32, lines: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK{number}\r\nFrom: <sip:b@192.0.2.9>;tag=1\r\n\
         To: <sip:a@192.0.2.1>\r\nCall-ID: {number}\r\nCSeq: {number} OPTIONS\r\n{lines}\r\n{body}"
    )
}

#[test]
fn rfc3261_18_3_messages_come_out_as_they_went_in_however_they_are_cut() {
    let stream = format!(
        "\r\n\r\n{}\r\n{}{}",
        options(1, "Content-Length: 4\r\n", "a\r\nb"),
        options(2, "l : 0\r\n", ""),
        options(3, "Content-Length\t:\r\n 2\r\n", "xy")
    );
    for piece in [1, 2, 3, 7, 64, stream.len()] {
        let (mut codec, mut buffer, mut numbers) = (Codec::default(), BytesMut::new(), Vec::new());
        let mut again = BytesMut::new();
        for part in stream.as_bytes().chunks(piece) {
            buffer.put_slice(part);
            while let Some(message) = codec.decode(&mut buffer).expect("a good stream") {
                numbers.push((message.core().expect("a core").cseq.number, message.body().len()));
                codec.encode(&message, &mut again).expect("it prints");
            }
        }
        assert_eq!(numbers, [(1, 4), (2, 0), (3, 2)], "in pieces of {piece}");
        assert_eq!(again.len(), stream.len() - 6, "all but the line ends between");
        assert!(codec.decode_eof(&mut buffer).expect("a clean end").is_none());
    }
}

#[test]
fn rfc5626_3_5_1_pings_are_counted_whole_however_they_are_cut() {
    for piece in [1, 2, 3, 4, 5, 8] {
        let (mut codec, mut buffer, mut pings) = (Codec::default(), BytesMut::new(), 0);
        for part in b"\r\n\r\n\r\n\r\n".chunks(piece) {
            buffer.put_slice(part);
            assert!(codec.decode(&mut buffer).expect("a good stream").is_none());
            pings += codec.pings();
        }
        assert_eq!((pings, buffer.len()), (2, 0), "in pieces of {piece}");
    }
}

#[test]
fn a_length_that_lies_ends_the_stream() {
    for length in [
        "Content-Length: 4294967328\r\n",
        "Content-Length: 2147483609\r\n",
        "Content-Length: 18446744073709551617\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 0x10\r\n",
        "Content-Length: 1 2\r\n",
        "Content-Length: 1,1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 5\r\nl: 6\r\n",
        "Content-Length: 5\r\nContent-Length : 0\r\n",
        "",
        "X: a\nContent-Length: 0\r\n",
        "X: a\rContent-Length: 0\r\n",
    ] {
        let mut buffer = BytesMut::from(options(1, length, "").as_bytes());
        let error = Codec::default().decode(&mut buffer).expect_err(length);
        assert!(matches!(error, CodecError::Frame(_)), "{length:?}: {error}");
    }
}

#[test]
fn the_same_length_twice_is_one_length() {
    let mut buffer = BytesMut::from(options(1, "Content-Length: 2\r\nl: 02\r\n", "xy").as_bytes());
    let message = Codec::default().decode(&mut buffer).expect("a good stream").expect("a message");
    assert_eq!((message.body(), message.raw(Name::ContentLength).count()), (&b"xy"[..], 2));
}

#[test]
fn a_head_that_never_ends_is_cut_off_at_the_limit() {
    let limits = Limits { message: 4096, ..Limits::default() };
    let (mut codec, mut buffer) = (Codec::new(limits), BytesMut::from(&b"OPTIONS sip:a@b SIP/2.0\r\nX: "[..]));
    for written in 0.. {
        assert!(written < 5000, "it must end");
        buffer.put_u8(b'a');
        match codec.decode(&mut buffer) {
            Ok(message) => assert!(message.is_none()),
            Err(error) => {
                assert!(matches!(error, CodecError::Frame(FrameError::HeadTooLong(4096))), "{error}");
                assert!(buffer.len() <= 4096);
                break;
            }
        }
    }
}

#[test]
fn more_headers_or_longer_lines_than_allowed_end_the_stream() {
    let many = options(1, &format!("{}Content-Length: 0\r\n", "a: b\r\n".repeat(200)), "");
    let long = options(1, &format!("a: {}\r\nContent-Length: 0\r\n", "b".repeat(9000)), "");
    for text in [many, long] {
        let error = Codec::default().decode(&mut BytesMut::from(text.as_bytes())).expect_err("too much");
        assert!(matches!(error, CodecError::Parse(_)), "{error}");
    }
}

#[test]
fn a_stream_that_ends_in_a_message_says_so() {
    let mut buffer = BytesMut::from(options(1, "Content-Length: 9\r\n", "short").as_bytes());
    assert!(matches!(Codec::default().decode_eof(&mut buffer), Err(CodecError::Io(_))));
}
