//! RFC 4475 sections 3.1.2 and 3.2: messages that are wrong.

use crate::{accept, answer, parse, refuse, try_parse, wire};
use bytes::Bytes;
use sip_codec::{Frame, FrameError, HeaderError, Limits, Message, Name, ParseError, frame};

/// A plain OPTIONS in which one line is replaced.
fn options(from: &str, to: &str) -> String {
    let text = "OPTIONS sip:desk@example.net SIP/2.0
Via: SIP/2.0/UDP host.example.org:5060;branch=z9hG4bKkdjuw
Max-Forwards: 70
From: <sip:caller@example.org>;tag=242etr
To: sip:desk@example.net
Call-ID: invalid.0ha0isndaksdj
CSeq: 8 OPTIONS
Contact: <sip:caller@host.example.org>
Content-Length: 0

";
    assert!(text.contains(from));
    text.replace(from, to)
}

#[test]
fn rfc4475_3_1_2_1_extraneous_header_field_separators() {
    let flaw = refuse(
        "INVITE sip:desk@example.net SIP/2.0
To: sip:j.desk@example.net
From: sip:caller@example.org;tag=134161461246
Max-Forwards: 7
Call-ID: badinv01.0ha0isndaksdjasdf3234nas
CSeq: 8 INVITE
Via: SIP/2.0/UDP 192.0.2.15;;branch=z9hG4bK239482ji,;,,
Contact: \"Joe\" <sip:joe@example.net>;;;;
Content-Length: {length}
Content-Type: application/sdp

v=0
",
    );
    // The topmost Via is what is wrong here.
    assert!(matches!(flaw, HeaderError::Malformed(Name::Via, _)));
}

#[test]
fn rfc4475_3_1_2_1_each_extraneous_separator_alone() {
    for (from, to) in [
        ("tag=242etr", "tag=242etr;;;;"),
        ("tag=242etr", ";tag=242etr"),
        ("Contact: <sip:caller@host.example.org>", "Contact: \"Joe\" <sip:joe@example.net>;;;;"),
    ] {
        refuse(&options(from, to));
    }
}

#[test]
fn rfc4475_3_1_2_2_content_length_larger_than_the_message() {
    let text = options("Content-Length: 0", "Content-Length: 9999");
    assert_eq!(refuse(&text), HeaderError::Truncated);
    assert_eq!(frame(&wire(&text), &Limits::default()), Frame::Need, "on a stream the rest is awaited");
}

#[test]
fn rfc4475_3_1_2_3_negative_content_length() {
    let text = options("Content-Length: 0", "Content-Length: -999");
    assert!(matches!(refuse(&text), HeaderError::Malformed(Name::ContentLength, _)));
    let bytes = wire(&text);
    assert_eq!(frame(&bytes, &Limits::default()), Frame::Bad(FrameError::Length), "a stream is closed");
}

#[test]
fn rfc4475_3_1_2_4_request_scalar_fields_with_overlarge_values() {
    let text = "REGISTER sip:example.net SIP/2.0
Via: SIP/2.0/TCP host129.example.net;branch=z9hG4bK342sdfoi3
To: <sip:desk@example.net>
From: <sip:desk@example.net>;tag=239232jh3
CSeq: 36893488147419103232 REGISTER
Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32
Max-Forwards: 300
Expires: 10000000000000000000000000000000000000000000000000000000000000
Contact: <sip:desk@host129.example.net>
  ;expires=280297596632815
Content-Length: 0

";
    refuse(text);
    let message = parse(text);
    assert!(message.cseq().is_err() && message.max_forwards().is_err());
    assert_eq!(message.expires(), Ok(Some(u32::MAX)), "the largest delta there is, as for any that is longer");
    let mended = text.replace("36893488147419103232", "1");
    assert!(matches!(refuse(&mended), HeaderError::Malformed(Name::MaxForwards, _)));
}

#[test]
fn rfc4475_3_1_2_5_response_scalar_fields_with_overlarge_values() {
    let message = parse(
        "SIP/2.0 503 Service Unavailable
Via: SIP/2.0/TCP host129.example.net;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129
To: <sip:desk@example.net>
From: <sip:other@example.org>;tag=2easdjfejw
CSeq: 9292394834772304023312 OPTIONS
Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r
Retry-After: 949302838503028349304023988
Warning: 1812 overture \"In Progress\"
Content-Length: 0

",
    );
    assert!(matches!(message.core(), Err(HeaderError::Malformed(Name::CSeq, _))), "it is dropped");
    assert_eq!(message.retry_after(), Some(u32::MAX));
    assert!(!message.is_answerable(), "a response is never answered");
}

#[test]
fn rfc4475_3_1_2_6_unterminated_quoted_string_in_display_name() {
    refuse(&options("To: sip:desk", "To: \"Mr. J. Desk <sip:j.desk"));
    refuse(&options("To: sip:desk@example.net", "To: \"Mr. J. Desk <sip:j.desk@example.net>"));
}

#[test]
fn rfc4475_3_1_2_7_brackets_around_the_request_uri() {
    assert_eq!(
        refuse(&options("OPTIONS sip:desk@example.net", "OPTIONS <sip:desk@example.net>")),
        HeaderError::RequestUri
    );
}

#[test]
fn rfc4475_3_1_2_8_white_space_within_the_request_uri() {
    assert_eq!(refuse(&options("net SIP/2.0", "net; lr SIP/2.0")), HeaderError::RequestUri);
}

#[test]
fn rfc4475_3_1_2_9_multiple_spaces_between_elements_of_the_request_line() {
    refuse(&options("OPTIONS sip:desk@example.net SIP", "OPTIONS  sip:desk@example.net  SIP"));
    refuse(&options("OPTIONS sip:desk@example.net SIP", "OPTIONS sip:desk@example.net  SIP"));
    refuse(&options("OPTIONS sip:desk@example.net SIP", "OPTIONS  sip:desk@example.net SIP"));
}

#[test]
fn rfc4475_3_1_2_10_spaces_at_the_end_of_the_request_line() {
    assert_eq!(refuse(&options("SIP/2.0\nVia", "SIP/2.0  \nVia")), HeaderError::StartLine);
}

#[test]
fn rfc4475_3_1_2_11_escaped_headers_in_the_request_uri() {
    assert_eq!(refuse(&options("net SIP", "net?Route=%3Csip:example.net%3E SIP")), HeaderError::RequestUri);
}

#[test]
fn rfc4475_3_1_2_12_invalid_time_zone_in_the_date_header_field() {
    // Only an element that uses Date needs to refuse it; here it is text, and the call goes on.
    let message = accept(&options("Content-Length", "Date: Fri, 01 Jan 2010 16:00:00 EST\nContent-Length"));
    assert_eq!(message.header(Name::Date), Some(&b"Fri, 01 Jan 2010 16:00:00 EST"[..]));
}

#[test]
fn rfc4475_3_1_2_13_failure_to_enclose_a_name_addr_uri_in_brackets() {
    let text = options(
        "Contact: <sip:caller@host.example.org>",
        "Contact: sip:desk@example.net?Route=%3Csip:sip.example.net%3E",
    );
    assert!(matches!(refuse(&text), HeaderError::Malformed(Name::Contact, _)));
}

#[test]
fn rfc4475_3_1_2_14_spaces_within_an_addr_spec() {
    let flaw = refuse(&options("To: sip:desk@example.net", "To: \"Watson, Thomas\" < sip:t.watson@example.net >"));
    assert!(matches!(flaw, HeaderError::Malformed(Name::To, _)));
}

#[test]
fn rfc4475_3_1_2_15_non_token_characters_in_a_display_name() {
    let flaw = refuse(&options("From: <", "From: Bell, Alexander <"));
    assert!(matches!(flaw, HeaderError::Malformed(Name::From, _)));
}

#[test]
fn rfc4475_3_1_2_16_unknown_protocol_version() {
    let message = parse(&options("SIP/2.0\nVia: SIP/2.0", "SIP/7.0\nVia: SIP/7.0"));
    assert_eq!(message.core().err().map(HeaderError::status), Some(505));
    let message = parse(&options("SIP/2.0\nVia", "SIP/7.0\nVia"));
    assert_eq!(message.core().err().map(HeaderError::status), Some(505));
    answer(&message, 505);
}

#[test]
fn rfc4475_3_1_2_17_start_line_and_cseq_method_mismatch() {
    assert_eq!(refuse(&options("CSeq: 8 OPTIONS", "CSeq: 8 INVITE")), HeaderError::MethodMismatch);
}

#[test]
fn rfc4475_3_1_2_18_unknown_method_with_cseq_method_mismatch() {
    assert_eq!(refuse(&options("OPTIONS sip", "NEWMETHOD sip")), HeaderError::MethodMismatch);
}

#[test]
fn rfc4475_3_1_2_19_overlarge_response_code() {
    let text = options("OPTIONS sip:desk@example.net SIP/2.0", "SIP/2.0 4294967301 better not break the receiver");
    assert_eq!(try_parse(&wire(&text)).err(), Some(ParseError::StartLine));
    assert!(Message::salvage(Bytes::from(wire(&text)), &Limits::default()).is_none(), "a response is never answered");
}

#[test]
fn rfc4475_3_2_1_missing_transaction_identifier() {
    let message = accept(&options("branch=z9hG4bKkdjuw", "branch=z9hG4bK"));
    let via = message.top_via().expect("a Via");
    assert_eq!((via.branch(), via.transaction_branch()), (Some(&b"z9hG4bK"[..]), None), "matched as in RFC 2543");
}
