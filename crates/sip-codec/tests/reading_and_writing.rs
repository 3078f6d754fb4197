//! What is read is what was written, and what is written can be read.

use bytes::Bytes;
use proptest::prelude::*;
use sip_codec::{Builder, Frame, HeaderError, Limits, Message, Method, Name, ParseError, frame};

const INVITE: &str = "INVITE sip:support@192.0.2.1;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.9:5062;rport;branch=z9hG4bKabc, SIP/2.0/TCP [2001:db8::9]:5060;branch=z9hG4bKdef;received=192.0.2.7\r\n\
    v: SIP/2.0/UDP proxy.example.net\r\n\
    f: \"Anna \\\"<The> One\" <sip:+4930555@192.0.2.9;tag=no>;tag=yes\r\n\
    To: sip:support@192.0.2.1;x=1\r\n\
    Call-ID : a1@192.0.2.9\r\n\
    CSeq: 4294 INVITE\r\n\
    Contact: <sip:a@192.0.2.9:5062;transport=udp>\r\n\
    Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\
    Record-Route: <sip:p3;lr>\r\n\
    Max-Forwards: 70\r\n\
    Subject: one\r\n  two\r\n\
    X-Odd: \u{00fc}ml\u{00e4}ut\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\r\nv=0\r\nrest";

fn parse(text: &str) -> Result<Message, ParseError> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()), &Limits::default())
}

#[test]
fn every_part_of_an_invite_is_found() {
    let message = parse(INVITE).expect("a message");
    let core = message.core().expect("a core");
    assert_eq!((core.via.branch(), core.via.port, core.via.has_rport()), (Some(&b"z9hG4bKabc"[..]), Some(5062), true));
    assert_eq!(message.values(Name::Via).count(), 3);
    assert_eq!((core.from.tag(), core.from.uri.user), (Some(&b"yes"[..]), Some(&b"+4930555"[..])));
    assert_eq!((core.to.tag(), core.to.params().value(b"x")), (None, Some(&b"1"[..])));
    assert_eq!((core.call_id, core.cseq.number, core.cseq.method), (&b"a1@192.0.2.9"[..], 4294, Method::Invite));
    assert_eq!(
        message.values(Name::RecordRoute).collect::<Vec<_>>(),
        [&b"<sip:p1;lr>"[..], b"<sip:p2;lr>", b"<sip:p3;lr>"]
    );
    assert_eq!(message.header_named("x-odd"), Some("\u{00fc}ml\u{00e4}ut".as_bytes()));
    assert_eq!(message.body(), b"v=0\r\n");
    assert_eq!(
        message.as_bytes(),
        &INVITE.as_bytes()[..INVITE.len() - 4],
        "what follows the body is no part of the message"
    );
}

#[test]
fn rfc5954_4_2_ipv6_hosts_are_equal_as_addresses_and_others_by_name() {
    let equal = |a: &str, b: &str| {
        let uri = |text: &'static [u8]| sip_codec::Uri::parse(text).expect("a URI");
        uri(a.to_owned().leak().as_bytes()).is_equal(&uri(b.to_owned().leak().as_bytes()))
    };
    assert!(equal("sip:bob@[2001:db8::1]", "sip:bob@[2001:DB8:0::1]"));
    assert!(equal("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::FFFF:c000:280]"));
    assert!(!equal("sip:bob@[2001:db8::1]", "sip:bob@[2001:db8::2]"));
    assert!(
        !equal("sip:bob@[2001:db8::1]", "sip:bob@[2001:db8::1]:5060"),
        "a port that is left out is no 5060 (19.1.4)"
    );
    assert!(!equal("sip:bob@[::ffff:192.0.2.128]", "sip:bob@192.0.2.128"), "another family of addresses");
    assert!(equal("sip:bob@Example.NET", "sip:bob@example.net"));
    assert!(!equal("sip:bob@example.net", "sip:Bob@example.net"));
}

#[test]
fn the_128th_header_is_read_and_the_129th_is_one_too_many() {
    let of = |headers: usize| {
        let core = INVITE.lines().filter(|line| line.contains(':') && !line.starts_with([' ', 'I'])).count();
        let more = "X-More: 1\r\n".repeat(headers - core);
        parse(&INVITE.replace("X-Odd", &format!("{more}X-Odd")))
    };
    let message = of(128).expect("128 headers");
    assert_eq!(message.headers().count(), 128, "a folded line is one header");
    assert!(message.core().is_ok());
    let refused = of(129).expect_err("129 headers");
    assert_eq!((refused.clone(), refused.status()), (ParseError::TooManyHeaders(128), 513));
}

/// A caller whose phone put an escape sequence into its name reached nobody: each leg toward the AI and the humans was refused by
/// our own composer.
#[test]
fn rfc3261_25_1_control_characters_in_a_display_name_are_no_name() {
    let from = |name: &str| parse(&INVITE.replace("\"Anna \\\"<The> One\"", name)).expect("still a message");
    for wrong in ["\"a\u{1b}[31mb\"", "\"a\0\"", "a\u{7}b", "\"a\u{7f}\"", "\"\\\\\u{1b}\""] {
        let flaw = from(wrong).core().expect_err("a flaw");
        assert_eq!(flaw.status(), 400, "{wrong:?}");
    }
    for right in ["\"a\tb\"", "\"a\\\u{1b}b\"", "\"a\r\n b\"", "\"\u{fc}\"", "a b"] {
        assert!(from(right).core().is_ok(), "{right:?}");
    }
}

#[test]
fn flaws_are_named_and_carry_their_status() {
    let broken =
        |from: &str, to: &str| parse(&INVITE.replace(from, to)).expect("still a message").core().expect_err("a flaw");
    assert_eq!(broken("CSeq: 4294 INVITE", "CSeq: 4294 BYE"), HeaderError::MethodMismatch);
    assert_eq!(broken("Call-ID : a1@192.0.2.9\r\n", ""), HeaderError::Missing(Name::CallId));
    assert_eq!(broken("CSeq: 4294 INVITE", "CSeq: 36893488147419103232 INVITE").status(), 400);
    assert_eq!(broken("Max-Forwards: 70", "Max-Forwards: many").status(), 400);
    assert_eq!(broken("SIP/2.0\r\nVia", "SIP/7.0\r\nVia").status(), 505);
    assert_eq!(broken("Content-Length: 5", "Content-Length: 500"), HeaderError::Truncated);
    assert_eq!(broken("To: sip", "To: sip:x\r\nTo: sip"), HeaderError::Repeated(Name::To));
    for wrong in ["-1", "4294967328", "1, 2", "", "5\r\nContent-Length: 6"] {
        let flaw = broken("Content-Length: 5", &format!("Content-Length: {wrong}"));
        assert!(
            matches!(flaw, HeaderError::Malformed(Name::ContentLength, _) | HeaderError::Truncated),
            "{wrong}: {flaw}"
        );
        let stream = INVITE.replace("Content-Length: 5", &format!("Content-Length: {wrong}"));
        assert!(matches!(frame(stream.as_bytes(), &Limits::default()), Frame::Bad(_)), "{wrong}");
    }
}

#[test]
fn rfc3581_4_a_response_tells_where_the_request_came_from() {
    let request = parse(INVITE).expect("a message");
    let source = "198.51.100.7:1024".parse().expect("an address");
    let response = Builder::response(&request, 180, "Ringing", source, Some("t1")).build().expect("a response");
    let via = response.top_via().expect("a Via");
    assert_eq!((via.rport(), via.received()), (Some(1024), Some(source.ip())));
    assert_eq!(via.branch(), Some(&b"z9hG4bKabc"[..]));
    assert_eq!(response.values(Name::Via).count(), 3);
    assert_eq!(response.to().expect("To").tag(), Some(&b"t1"[..]));
    assert_eq!(response.raw(Name::RecordRoute).count(), 2);
    assert_eq!((response.status(), response.reason()), (Some(180), Some(&b"Ringing"[..])));
}

#[test]
fn rfc3261_9_1_cancel_and_17_1_1_3_ack_share_the_invites_branch() {
    let invite = parse(INVITE).expect("a message");
    let cancel = Builder::cancel_of(&invite).build().expect("a CANCEL");
    let core = cancel.core().expect("a core");
    assert_eq!(
        (core.via.branch(), core.cseq.number, core.cseq.method),
        (Some(&b"z9hG4bKabc"[..]), 4294, Method::Cancel)
    );
    assert_eq!(cancel.values(Name::Via).count(), 1);
    assert_eq!(cancel.uri_bytes(), invite.uri_bytes());
}

#[test]
fn nothing_can_break_out_of_a_header() {
    for evil in ["a\r\nVia: x", "a\nb", "a\0b", "a\u{1b}[31m", "\u{7f}"] {
        let built = Builder::request(Method::Options, "sip:a@192.0.2.1").header_named("X-A", evil).build();
        assert!(built.is_err(), "{evil:?}");
    }
    assert!(Builder::request(Method::Options, "sip:a@b\r\nX: y").build().is_err());
    assert!(Builder::request(Method::Options, "sip:a@b").header_named("X A", "1").build().is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_what_parses_prints_as_it_came(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(message) = Message::parse(Bytes::from(bytes.clone()), &Limits::default()) {
            prop_assert!(bytes.windows(message.as_bytes().len()).any(|window| window == &message.as_bytes()[..]));
        }
        let _ = frame(&bytes, &Limits::default());
    }

    #[test]
    fn a_mutated_invite_never_panics(at in 0..INVITE.len(), with in any::<u8>(), cut in 0..INVITE.len()) {
        let mut bytes = INVITE.as_bytes().to_vec();
        bytes[at] = with;
        for bytes in [bytes.clone(), bytes[..cut].to_vec()] {
            let Ok(message) = Message::parse(Bytes::from(bytes), &Limits::default()) else { continue };
            let _ = (message.core().is_ok(), message.uri().is_ok(), message.contacts().count(), message.expires().is_ok());
            let _ = Builder::response(&message, 400, "Bad Request", "192.0.2.1:5060".parse().expect("an address"), Some("t")).build();
            let _ = (Builder::cancel_of(&message).build(), Builder::ack_of(&message, &message).build());
        }
    }

    #[test]
    fn a_stream_in_pieces_is_framed_as_the_whole(cut in 1..INVITE.len() * 2) {
        let stream = format!("\r\n\r\n{}{}", &INVITE[..INVITE.len() - 4], &INVITE[..INVITE.len() - 4]);
        let (mut buffer, mut messages) = (Vec::new(), 0);
        for piece in stream.as_bytes().chunks(cut) {
            buffer.extend_from_slice(piece);
            loop {
                match frame(&buffer, &Limits::default()) {
                    Frame::Need => break,
                    Frame::Keepalive(length) => drop(buffer.drain(..length)),
                    Frame::Message(length) => {
                        let bytes: Vec<u8> = buffer.drain(..length).collect();
                        let message = Message::parse(bytes.into(), &Limits::default());
                        prop_assert_eq!(message.map(|message| message.body().to_vec()), Ok(b"v=0\r\n".to_vec()));
                        messages += 1;
                    }
                    Frame::Bad(error) => panic!("{error}"),
                }
                if buffer.is_empty() {
                    break;
                }
            }
        }
        prop_assert_eq!(messages, 2);
    }
}

#[test]
fn rfc3261_19_1_1_the_headers_of_a_uri_are_read_with_their_escapes_resolved_and_cut_off() {
    let of = |text: &'static str| sip_codec::Uri::parse(text.as_bytes()).unwrap();
    let uri = of("sip:a?b@example.com;x=y?Replaces=1%40c%3Bto-tag%3D2&Subject=a%20b&&odd");
    assert_eq!(uri.without_headers(), b"sip:a?b@example.com;x=y");
    let fields: Vec<_> = uri.header_fields().collect();
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    assert_eq!(fields, [field("Replaces", "1@c;to-tag=2"), field("Subject", "a b"), field("odd", "")]);
    assert_eq!(of("sip:a@b?").without_headers(), b"sip:a@b");
    assert_eq!(of("tel:+1?x=y").without_headers(), b"tel:+1?x=y");
    assert_eq!(of("sip:a@b").header_fields().count(), 0);
}
