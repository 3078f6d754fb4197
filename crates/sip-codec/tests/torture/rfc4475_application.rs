//! RFC 4475 sections 3.3 and 3.4: messages that are sound as text; what they say is the question.

use crate::{accept, parse, refuse, wire};
use sip_codec::{Frame, FrameError, HeaderError, Limits, Method, Name, frame};

/// A request with what every one needs, and these lines.
fn request(method: &str, uri: &str, lines: &str, body: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0
Via: SIP/2.0/TCP host1.example.net;branch=z9hG4bKkdjuw
Max-Forwards: 70
From: <sip:caller@example.org>;tag=384
To: <sip:desk@example.net>
Call-ID: application.aksdj
CSeq: 8 {method}
{lines}Content-Length: {{length}}

{body}"
    )
}

#[test]
fn rfc4475_3_3_1_missing_required_header_fields() {
    let message = parse(
        "INVITE sip:desk@example.net SIP/2.0
CSeq: 193942 INVITE
Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf
Content-Type: application/sdp
l: {length}

v=0
",
    );
    let flaw = message.core().expect_err("it must be refused");
    assert_eq!((flaw, flaw.status()), (HeaderError::Missing(Name::From), 400));
    assert!(!message.is_answerable(), "without From, To and Call-ID no answer would find its request");
}

#[test]
fn rfc4475_3_3_2_request_uri_with_unknown_scheme() {
    let message = accept(&request("OPTIONS", "nobodyKnowsThis:entirelyopaque", "", ""));
    let uri = message.uri().expect("a URI, that much is known");
    assert_eq!(
        (uri.scheme, uri.is_sip() || uri.is_tel()),
        (&b"nobodyKnowsThis"[..], false),
        "416 is for who serves it"
    );
}

#[test]
fn rfc4475_3_3_3_request_uri_with_known_but_atypical_scheme() {
    let message = accept(&request("OPTIONS", "soap.beep://192.0.2.103:3002", "", ""));
    let uri = message.uri().expect("a URI");
    assert_eq!((uri.scheme, uri.is_sip() || uri.is_tel()), (&b"soap.beep"[..], false), "416 is for who serves it");
}

#[test]
fn rfc4475_3_3_4_unknown_uri_schemes_in_header_fields() {
    let message = accept(
        "REGISTER sip:example.net SIP/2.0
Max-Forwards: 70
Via: SIP/2.0/TCP host.example.org;branch=z9hG4bKskdjuw
To: isbn:2983792873
From: <http://www.example.org>;tag=3234233
Call-ID: unksm2.daksdj@hyphenated-host.example.org
CSeq: 234902 REGISTER
Contact: <name:John_Smith>
Content-Length: 0

",
    );
    assert_eq!(message.to().expect("To").uri.text, b"isbn:2983792873");
    assert_eq!(message.from().expect("From").uri.scheme, b"http");
    assert_eq!(message.contacts().next().expect("one").expect("a good one").uri.scheme, b"name");
}

#[test]
fn rfc4475_3_3_5_proxy_require_and_require() {
    let lines = "Require: nothingSupportsThis, nothingSupportsThisEither\nProxy-Require: noProxiesSupportThis\n";
    let message = accept(&request("OPTIONS", "sip:desk@example.net", lines, ""));
    let tags: Vec<_> = message.unsupported(&["replaces"]).collect();
    let wanted = [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"];
    assert_eq!(tags, wanted, "what 420 names; Proxy-Require is nothing to a user agent");
    assert_eq!(message.unsupported(&["NOTHINGsupportsthis", "nothingSupportsThisEither"]).count(), 0);
}

#[test]
fn rfc4475_3_3_6_unknown_content_type() {
    let lines = "Content-Type: application/unknownformat\n";
    let message = accept(&request("INVITE", "sip:desk@example.net", lines, "<audio>\n</audio>\n"));
    let kind = message.content_type().expect("it can be read").expect("it is there");
    assert!(!kind.is("application/sdp") && kind.is("application/unknownformat"), "415 is for who would read it");
}

#[test]
fn rfc4475_3_3_7_unknown_authorization_scheme() {
    let lines = "Authorization: NoOneKnowsThisScheme opaque-data=here\n";
    let message = accept(&request("REGISTER", "sip:example.net", lines, ""));
    let all: Vec<_> = message.challenges(Name::Authorization).collect();
    assert_eq!((all.len(), all[0].is_digest(), all[0].scheme), (1, false, &b"NoOneKnowsThisScheme"[..]));
}

#[test]
fn rfc4475_3_3_8_multiple_values_in_single_value_required_fields() {
    for line in [
        "CSeq: 59 INVITE\n",
        "Call-ID: multi01.98asdh\n",
        "From: sip:other@example.net;tag=3413415\n",
        "To: sip:other@example.net\n",
        "Max-Forwards: 5\n",
    ] {
        let flaw = refuse(&request("INVITE", "sip:desk@example.net", line, ""));
        assert!(matches!(flaw, HeaderError::Repeated(_)), "{line}");
    }
}

#[test]
fn rfc4475_3_3_9_multiple_content_length_values() {
    let text = request("OPTIONS", "sip:desk@example.net", "Content-Length: 13\n", "some body too long\n");
    assert!(matches!(refuse(&text), HeaderError::Malformed(Name::ContentLength, _)));
    assert_eq!(frame(&wire(&text), &Limits::default()), Frame::Bad(FrameError::Length), "a stream is closed");
}

#[test]
fn rfc4475_3_3_10_200_ok_with_broadcast_via_header_field_value() {
    let message = accept(
        "SIP/2.0 200 OK
Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923
Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23
Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf
CSeq: 35 INVITE
From: sip:desk@example.net;tag=11141343
To: sip:other@example.org;tag=2229
Content-Length: {length}
Content-Type: application/sdp
Contact: <sip:desk@host28.example.org>

v=0
",
    );
    assert_eq!(message.values(Name::Via).count(), 2, "more than one Via: no response of ours");
}

#[test]
fn rfc4475_3_3_11_max_forwards_of_zero() {
    let message =
        accept(&request("OPTIONS", "sip:desk@example.net", "", "").replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert_eq!(message.core().expect("a core").max_forwards, Some(0));
}

#[test]
fn rfc4475_3_3_12_register_with_a_contact_header_parameter() {
    let message =
        accept(&request("REGISTER", "sip:example.net", "Contact: sip:+19725552222@gw1.example.net;unknownparam\n", ""));
    let contact = message.contacts().next().expect("one").expect("a good one");
    assert!(contact.params().has(b"unknownparam") && !contact.uri.params().has(b"unknownparam"));
}

#[test]
fn rfc4475_3_3_13_register_with_a_url_parameter() {
    let message = accept(&request(
        "REGISTER",
        "sip:example.net",
        "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\n",
        "",
    ));
    let contact = message.contacts().next().expect("one").expect("a good one");
    assert!(!contact.params().has(b"unknownparam") && contact.uri.params().has(b"unknownparam"));
}

#[test]
fn rfc4475_3_3_14_register_with_a_url_escaped_header() {
    let lines = "Contact: <sip:desk@example.net?Route=%3Csip:sip.example.net%3E>\n";
    let message = accept(&request("REGISTER", "sip:example.net", lines, ""));
    let contact = message.contacts().next().expect("one").expect("a good one");
    assert_eq!(contact.uri.headers, b"Route=%3Csip:sip.example.net%3E");
    assert_eq!(message.header(Name::Route), None, "it is no header of the request");
}

#[test]
fn rfc4475_3_3_15_unacceptable_accept_offering() {
    let lines = "Accept: text/nobodyKnowsThis\nContact: <sip:caller@host.example.org>\n";
    let message = accept(&request("INVITE", "sip:desk@example.net", lines, ""));
    assert!(!message.accepts("application/sdp"), "406 is for who would answer with SDP");
}

#[test]
fn rfc4475_3_4_1_invite_with_rfc2543_syntax() {
    let message = accept(
        "INVITE sip:UserB@example.net SIP/2.0
Via: SIP/2.0/UDP iftgw.example.net
From: <sip:+13035551111@ift.client.example.org;user=phone>
Record-Route: <sip:UserB@example.net;maddr=ss1.example.net>
To: sip:+16505552222@ss1.example.org;user=phone
Call-ID: inv2543.1717@ift.client.example.net
CSeq: 56 INVITE
Content-Type: application/sdp

v=0
o=faxgw1 29 29 IN IP4 192.0.2.23
",
    );
    let core = message.core().expect("it is served");
    assert_eq!((core.via.branch(), core.from.tag(), core.max_forwards), (None, None, None));
    assert_eq!(core.cseq.method, Method::Invite);
    assert_eq!(message.body().len(), 39, "without Content-Length the datagram's end is the body's");
}
