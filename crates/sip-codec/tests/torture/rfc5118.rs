//! RFC 5118: IPv6 in messages.

use crate::{accept, refuse};
use sip_codec::{HeaderError, Name, Uri, Via};

fn request(method: &str, uri: &str, via: &str, lines: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0
Via: {via}
To: sip:desk@example.net
From: sip:caller@example.org;tag=81x2
Call-ID: SSG9559905523997077@hlau_4100
CSeq: 98176 {method}
Max-Forwards: 70
{lines}Content-Length: 0

"
    )
}

const VIA: &str = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";

#[test]
fn rfc5118_4_1_valid_sip_message_with_an_ipv6_reference() {
    let message =
        accept(&request("REGISTER", "sip:[2001:db8::10]", VIA, "Contact: \"Caller\" <sip:caller@[2001:db8::1]>\n"));
    let uri = message.uri().expect("a URI");
    assert_eq!((uri.host_ip(), uri.port), ("2001:db8::10".parse().ok(), None));
    assert_eq!(message.top_via().expect("a Via").host_ip(), "2001:db8::9:1".parse().ok());
}

#[test]
fn rfc5118_4_2_invalid_sip_message_with_an_ipv6_reference() {
    assert_eq!(refuse(&request("REGISTER", "sip:2001:db8::10", VIA, "")), HeaderError::RequestUri);
}

#[test]
fn rfc5118_4_3_port_ambiguous_in_a_sip_uri() {
    let message = accept(&request("REGISTER", "sip:[2001:db8::10:5070]", VIA, ""));
    let uri = message.uri().expect("a URI");
    assert_eq!((uri.host_ip(), uri.port), ("2001:db8::10:5070".parse().ok(), None));
}

#[test]
fn rfc5118_4_4_port_unambiguous_in_a_sip_uri() {
    let message = accept(&request("REGISTER", "sip:[2001:db8::10]:5070", VIA, ""));
    let uri = message.uri().expect("a URI");
    assert_eq!((uri.host_ip(), uri.port), ("2001:db8::10".parse().ok(), Some(5070)));
}

#[test]
fn rfc5118_4_5_ipv6_reference_delimiters_in_via_header() {
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let via = format!("SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111");
        let message = accept(&request("BYE", "sip:[2001:db8::10]", &via, ""));
        assert_eq!(message.top_via().expect("a Via").received(), "2001:db8::9:255".parse().ok(), "{received}");
    }
}

#[test]
fn rfc5118_4_6_ipv6_addresses_in_a_session_description() {
    let text = request("INVITE", "sip:desk@[2001:db8::10]", VIA, "Content-Type: application/sdp\n")
        .replace("Content-Length: 0", "Content-Length: {length}");
    let message = accept(&format!("{text}v=0\no=a 1 1 IN IP6 2001:db8::20\ns=-\nc=IN IP6 2001:db8::20\nt=0 0\n"));
    assert!(message.body().ends_with(b"c=IN IP6 2001:db8::20\r\nt=0 0\r\n"), "bodies are nobody's business here");
}

#[test]
fn rfc5118_4_7_multiple_ip_addresses_in_sip_headers() {
    let vias = format!("{VIA}\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKas3-112;received=2001:db8::9:255");
    let message = accept(&request("BYE", "sip:desk@host.example.net", &vias, ""));
    let hosts: Vec<_> = message.values(Name::Via).map(|via| Via::parse(via).expect("a Via").host_ip()).collect();
    assert_eq!(hosts, ["2001:db8::9:1".parse().ok(), "192.0.2.1".parse().ok()]);
}

#[test]
fn rfc5118_4_8_multiple_ip_addresses_in_a_session_description() {
    let text = request("INVITE", "sip:desk@[2001:db8::10]", VIA, "Content-Type: application/sdp\n")
        .replace("Content-Length: 0", "Content-Length: {length}");
    let body = "v=0\nm=audio 1 RTP/AVP 0\nc=IN IP4 192.0.2.20\nm=video 2 RTP/AVP 31\nc=IN IP6 2001:db8::20\n";
    assert_eq!(accept(&format!("{text}{body}")).body().len(), body.len() + 5);
}

#[test]
fn rfc5118_4_9_ipv4_mapped_ipv6_addresses() {
    let via = "SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19";
    let message = accept(&request("INVITE", "sip:desk@example.net", via, "Contact: <sip:ted@[::ffff:192.0.2.2]>\n"));
    let via = message.top_via().expect("a Via");
    assert_eq!((via.host_ip(), via.port), ("::ffff:192.0.2.10".parse().ok(), Some(19823)));
    let contact = message.contacts().next().expect("one").expect("a good one");
    assert_eq!(contact.uri.host_ip(), "::ffff:192.0.2.2".parse().ok());
}

#[test]
fn rfc5118_4_10_ipv6_reference_bug_in_rfc3261_abnf() {
    let meant = "2001:db8::192.0.2.1".parse().ok();
    for uri in ["sip:desk@[2001:db8:::192.0.2.1]", "sip:desk@[2001:db8::192.0.2.1]"] {
        let message = accept(&request("OPTIONS", uri, VIA, ""));
        assert_eq!(message.uri().expect("a URI").host_ip(), meant, "{uri}");
    }
    for no in [
        "sip:[2001:db8:::10]",
        "sip:[2001:db8::::192.0.2.1]",
        "sip:[192.0.2.1]",
        "sip:[]",
        "sip:[::1",
        "sip:.1",
        "sip:a..b",
        "sip:1.2.3",
    ] {
        assert_eq!(Uri::parse(no.as_bytes()), None, "{no}");
    }
}
