//! What one party reads as the end of a line and another does not is how requests are smuggled (RFC 3261 section 7.3.1): a carriage return
//! or a line feed that stands alone is refused wherever it stands in the head, by the parser and by the framing alike.

use bytes::Bytes;
use sip_codec::{Frame, FrameError, HeaderError, Limits, Message, frame};

const HEAD: &str = "OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:b@example.com>;tag=1\r\n\
                    To: <sip:a@example.com>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nSubject: here@there\r\nContent-Length: 0\r\n\r\n";

#[test]
fn rfc3261_7_3_1_a_lone_line_end_is_refused_by_parser_and_framing() {
    let limits = Limits::default();
    for (between, lone) in
        [("", false), ("\n", true), ("\r", true), ("\n\r", true), ("\r\r\n ", true), ("\r\n ", false)]
    {
        let text = HEAD.replace("here@there", &format!("here{between}there"));
        let read = Message::parse(Bytes::from(text.clone()), &limits).expect("a message").core().map(|_| ()).err();
        assert_eq!(read == Some(HeaderError::LineEnd), lone, "{between:?}: {read:?}");
        let framed = frame(text.as_bytes(), &limits);
        let expected = if lone { Frame::Bad(FrameError::LineEnd) } else { Frame::Message(text.len()) };
        assert_eq!(framed, expected, "{between:?}");
    }
}
