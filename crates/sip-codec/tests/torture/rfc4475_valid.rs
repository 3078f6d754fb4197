//! RFC 4475 section 3.1.1: messages that are odd and right.

use crate::{accept, parse_bytes, wire};
use bytes::Bytes;
use sip_codec::{Limits, Message, Method, Name};

#[test]
fn rfc4475_3_1_1_1_a_short_tortuous_invite() {
    let message = accept(
        "INVITE sip:carol@voice.example.net;unknownparam SIP/2.0
TO :
 sip:carol@voice.example.net ;   tag    = 77aa01b
from   : \"Q Tester \\\\\\\"\"       <sip:qtester@example.net>
  ;
  tag = 41bd
MaX-fOrWaRdS: 0068
Call-ID: tortuous.0ha0isnd@192.0.2.33
Content-Length   : {length}
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.12;branch=390skd
s :
NewKindOfHeader:   value of a new kind
 continued on the next line
OddValueHeader: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:relay.example.net;lr;odd=value;odder>
v:  SIP  / 2.0  / TCP     coil.example.net   ;
  branch  =   z9hG4bK7ikz8  ,
 SIP  /    2.0   / UDP  198.51.100.111   ; branch=
 z9hG4bK41239
m:\"Said \\\"so\\\"\" <sip:qtester@example.net> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

v=0
o=mhandley 1 1 IN IP4 192.0.2.3
s=-
c=IN IP4 192.0.2.4
t=0 0
m=audio 49217 RTP/AVP 0
",
    );
    let core = message.core().expect("a core");
    assert_eq!(
        (core.via.transport, core.via.host, core.via.branch()),
        (&b"UDP"[..], &b"192.0.2.12"[..], Some(&b"390skd"[..]))
    );
    assert_eq!((core.to.tag(), core.from.tag()), (Some(&b"77aa01b"[..]), Some(&b"41bd"[..])));
    assert_eq!(core.from.display_text(), "Q Tester \\\"");
    assert_eq!((core.cseq.number, core.cseq.method, core.max_forwards), (9, Method::Invite, Some(68)));
    let vias: Vec<_> = message.values(Name::Via).map(|via| sip_codec::Via::parse(via).expect("a Via")).collect();
    assert_eq!(vias.len(), 3);
    assert_eq!((vias[1].transport, vias[1].branch()), (&b"TCP"[..], Some(&b"z9hG4bK7ikz8"[..])));
    assert_eq!((vias[2].host, vias[2].branch()), (&b"198.51.100.111"[..], Some(&b"z9hG4bK41239"[..])));
    assert_eq!(message.header(Name::Subject), Some(&b""[..]));
    assert_eq!(message.header_named("oddvalueheader"), Some(&b";;,,;;,;"[..]));
    let folded = message.header_named("NewKindOfHeader").expect("it is there");
    assert_eq!(sip_codec::unfold(folded), b"value of a new kind continued on the next line");
    let contact = message.contacts().next().expect("one").expect("a good one");
    assert_eq!((contact.display_text().as_str(), contact.params().value(b"q")), ("Said \"so\"", Some(&b"0.33"[..])));
    let route = message.addresses(Name::Route).next().expect("one").expect("a good one");
    assert!(route.uri.is_loose_router());
    assert!(message.content_type().expect("it reads").expect("it is there").is("application/sdp"));
}

#[test]
fn rfc4475_3_1_1_2_wide_range_of_valid_characters() {
    let mut bytes = b"!odd-Method0123456789_*+`.%truly'~ \
sip:1_odd.URI~(so-it-is!sure)&isn't+it$/wild?,/;;*:&it+is=1,weird!*pas$wo~d_too.(isn't-it)@example.net SIP/2.0\r\n\
Via: SIP/2.0/UDP host1.example.net;branch=z9hG4bK-.!%66*_+`'~\r\n\
To: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" <sip:1_odd.URI~(so-it-is!sure)&isn't+it$/wild?,/;;*@example.net>\r\n\
From: token1~` token2'+_ token3*%!.- <sip:plain@example.net>;fromParam''~+*_!.-%=\"\xd1\x80\xd0\xb0\xd0\xb1\";tag=_token~1'+`*%!-.\r\n\
Call-ID: oddword.%ZK-!.*_+'@word`~)(><:\\/\"][?}{\r\n\
CSeq: 139122385 !odd-Method0123456789_*+`.%truly'~\r\n\
Max-Forwards: 255\r\n\
extensionHeader-!.%*+_`'~:\xef\xbb\xbf\xe5\xa4\xa7\xe5\x81\x9c\xe9\x9b\xbb\r\n\
Content-Length: 0\r\n\r\n".to_vec();
    let message = parse_bytes(&bytes);
    let core = message.core().expect("a core");
    assert_eq!((message.method(), core.cseq.token), (Some(Method::Other), &b"!odd-Method0123456789_*+`.%truly'~"[..]));
    assert_eq!(core.call_id, &b"oddword.%ZK-!.*_+'@word`~)(><:\\/\"][?}{"[..]);
    assert_eq!(core.from.tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(core.to.display_text(), "BEL:\x07 NUL:\0 DEL:\x7f");
    assert_eq!(message.uri().expect("a URI").host, b"example.net");
    // The same with bytes that are not UTF-8 is kept too.
    bytes.iter_mut().filter(|byte| **byte == 0xd1).for_each(|byte| *byte = 0xff);
    assert!(parse_bytes(&bytes).core().is_ok());
}

#[test]
fn rfc4475_3_1_1_3_valid_use_of_the_percent_escaping_mechanism() {
    let message = accept(
        "INVITE sip:sips%3Adesk%40example.net@example.org SIP/2.0
To: sip:%64%65sk@example.net
From: <sip:I%20am%20spaced@example.org>;tag=938
Max-Forwards: 87
i: esc1.239409asdf
CSeq: 234234 INVITE
Via: SIP/2.0/UDP host5.example.org;branch=z9hG4bKkdjuw
Contact:
  <sip:cal%6Cer@host5.example.org;%6C%72;n%61me=v%61lue%25%34%31>
Content-Length: 0

",
    );
    assert_eq!(message.uri().expect("a URI").user_decoded().as_deref(), Some(&b"sips:desk@example.net"[..]));
    assert_eq!(message.from().expect("From").uri.user_decoded().as_deref(), Some(&b"I am spaced"[..]));
    let plain = sip_codec::Uri::parse(b"sip:desk@example.net").expect("a URI");
    assert!(message.to().expect("To").uri.is_equal(&plain));
    let contact = message.contacts().next().expect("one").expect("a good one").uri;
    assert!(contact.is_loose_router(), "%6C%72 is lr");
    assert_eq!(contact.params().value(b"name"), Some(&b"v%61lue%25%34%31"[..]));
}

#[test]
fn rfc4475_3_1_1_4_escaped_nulls_in_uris() {
    let message = accept(
        "REGISTER sip:example.net SIP/2.0
To: sip:nil-%00-nil@example.net
From: sip:nil-%00-nil@example.net;tag=839923423
Max-Forwards: 70
Call-ID: escnil.39203ndfvkjd
CSeq: 14398234 REGISTER
Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdju2
Contact: <sip:%00@host5.example.net>
Contact: <sip:%00%00@host5.example.net>
L:0

",
    );
    let users: Vec<_> = message.contacts().map(|contact| contact.expect("a good one").uri.user_decoded()).collect();
    assert_eq!(users, [Some(vec![0]), Some(vec![0, 0])], "two contacts, not one cut at its NUL");
}

#[test]
fn rfc4475_3_1_1_5_use_of_percent_when_it_is_no_escape() {
    let message = accept(
        "RE%47IST%45R sip:registrar.example.net SIP/2.0
To: \"%Z%45\" <sip:thing@example.net>
From: \"%Z%45\" <sip:thing@example.net>;tag=f232jadfj23
Call-ID: esc02.asdfnq
Via: SIP/2.0/TCP host.example.net;branch=z9hG4bK209%fzsnel
CSeq: 29344 RE%47IST%45R
Max-Forwards: 70
Contact: <sip:alias1@host1.example.net>
C%6Fntact: <sip:alias2@host2.example.net>
Contact: <sip:alias3@host3.example.net>
l: 0

",
    );
    assert_eq!(message.method(), Some(Method::Other), "it is no REGISTER");
    assert_eq!(message.from().expect("From").display_text(), "%Z%45");
    assert_eq!(message.contacts().count(), 2, "C%6Fntact is another header");
}

#[test]
fn rfc4475_3_1_1_6_no_white_space_between_display_name_and_bracket() {
    let message = accept(
        "OPTIONS sip:desk@example.net SIP/2.0
To: sip:desk@example.net
From: caller<sip:caller@example.net>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.net;branch=z9hG4bKkdjuw
l: 0

",
    );
    assert_eq!(message.from().expect("From").display, b"caller");
}

#[test]
fn rfc4475_3_1_1_7_long_values_in_header_fields() {
    let long = |part: &str, count: usize| part.repeat(count);
    let text = format!(
        "INVITE sip:desk@example.net SIP/2.0
To: \"I have {}long name\" <sip:desk@example.net>
F: sip:
 {}@example.net;tag=12{}424;unknown{}=very{}value;unknown-v=1
Call-ID: longreq.one{}longcallid
CSeq: 3882340 INVITE
Unknown{}Name: unknown-{}-value
Via: SIP/2.0/TCP sip33.example.net
v: SIP/2.0/TCP sip32.example.net
V: SIP/2.0/TCP sip31.example.net
Via: SIP/2.0/TCP host.example.net;received=192.0.2.5;branch=very{}longbranchvalue
Max-Forwards: 70
Contact: <sip:amazinglylongcallername{}@host5.example.net>
Content-Length: {{length}}

v=0
",
        long("user with a ", 40),
        "",
        long("98", 200),
        long("long", 50),
        long("long", 60),
        long("really", 50),
        long("Long", 60),
        long("long", 60),
        long("long", 60),
        long("very", 60),
    );
    let text = text.replace("F: sip:\n @", "F: sip:amazinglylongcallername@");
    let message = accept(&text);
    assert_eq!(message.values(Name::Via).count(), 4);
    assert_eq!(message.from().expect("From").tag().map(<[u8]>::len), Some(405));
}

#[test]
fn rfc4475_3_1_1_8_extra_trailing_octets_in_a_datagram() {
    let first = wire(
        "REGISTER sip:example.net SIP/2.0
To: sip:j.desk@example.net
From: sip:j.desk@example.net;tag=43251j3j324
Max-Forwards: 8
I: dblreq.0ha0isndaksdj99sdfafnl3lk233412
Contact: sip:j.desk@host.example.net
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492
Content-Length: 0

",
    );
    let mut both = first.clone();
    both.extend_from_slice(b"INVITE sip:joe@example.net SIP/2.0\r\nt: sip:joe@example.net\r\n\r\n");
    let message = parse_bytes(&both);
    assert!(message.core().is_ok());
    assert_eq!(message.as_bytes(), &first[..], "the rest is ignored");
    assert_eq!(message.method(), Some(Method::Register));
}

#[test]
fn rfc4475_3_1_1_9_semicolon_separated_parameters_in_the_user_part() {
    let message = accept(
        "OPTIONS sip:desk;par=u%40example.org@example.net SIP/2.0
To: sip:j_desk@example.net
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Call-ID: semiuri.0ha0isndaksdj
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime,
        multipart/mixed, multipart/signed,
        message/sip, message/sipfrag
Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw
l: 0

",
    );
    let uri = message.uri().expect("a URI");
    assert_eq!((uri.user_decoded().as_deref(), uri.host), (Some(&b"desk;par=u@example.org"[..]), &b"example.net"[..]));
    assert_eq!(uri.params().iter().count(), 0);
    assert!(message.accepts("message/sipfrag") && !message.accepts("text/plain"));
}

#[test]
fn rfc4475_3_1_1_10_varied_and_unknown_transport_types() {
    let message = accept(
        "OPTIONS sip:desk@example.net SIP/2.0
To: sip:desk@example.net
From: <sip:caller@example.org>;tag=323
Max-Forwards: 70
Call-ID:  transports.kijh4akdnaqjkwendsasfdj
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.example.net;branch=z9hG4bKkdjuw
Via: SIP/2.0/SCTP t2.example.net;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.net;branch=z9hG4bK2980unddj
Via: SIP/2.0/UNKNOWN t4.example.net;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.net;branch=z9hG4bK0a9idfnee
l: 0

",
    );
    let transports: Vec<_> =
        message.values(Name::Via).map(|via| sip_codec::Via::parse(via).expect("a Via").transport).collect();
    assert_eq!(transports, [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN", b"TCP"]);
}

#[test]
fn rfc4475_3_1_1_11_multipart_mime_message() {
    let mut bytes = wire(
        "MESSAGE sip:kumiko@example.org SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport
Max-Forwards: 70
Route: <sip:127.0.0.1:5080>
Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuL
Contact: <sip:fluffy@127.0.0.1:5070>
To: <sip:kumiko@example.org>
From: <sip:fluffy@example.net>;tag=2fb0dcc9
Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..
CSeq: 1 MESSAGE
Content-Transfer-Encoding: binary
Content-Type: multipart/mixed;boundary=7a9cbec02ceef655
Content-Length: 114

",
    );
    bytes.extend_from_slice(b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n\r\n\x30\x82\x00\xff\0\x01\r\n\r\n\r\n--7a9cbec02ceef655--\r\n");
    let length = bytes.len() - 4 - bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let text = |number: usize| format!("Content-Length: {number}").into_bytes();
    let at = bytes.windows(19).position(|window| window == text(114)).expect("the header");
    bytes.splice(at..at + 19, text(length));
    let message = parse_bytes(&bytes);
    assert!(message.core().is_ok());
    assert!(message.body().windows(4).any(|four| four == [0x82, 0, 0xff, 0]), "binary stays binary");
    let kind = message.content_type().expect("it reads").expect("it is there");
    assert!(kind.is("multipart/mixed"));
    assert_eq!(kind.params().value(b"boundary"), Some(&b"7a9cbec02ceef655"[..]));
}

fn response(first: &[u8]) -> Message {
    let mut bytes = first.to_vec();
    bytes.extend_from_slice(
        b"\r\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\r\nCall-ID: unreason.1234ksdfak3j2erwedfsASdf\r\n\
CSeq: 35 INVITE\r\nFrom: sip:desk@example.net;tag=11141343\r\nTo: sip:desk@example.org;tag=2229\r\nContent-Length: 0\r\n\r\n",
    );
    let message = Message::parse(Bytes::from(bytes), &Limits::default()).expect("a message");
    assert!(message.core().is_ok());
    message
}

#[test]
fn rfc4475_3_1_1_12_unusual_reason_phrase() {
    let phrase = "= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e} \u{434}\u{435}\u{432}\u{44f}\u{43d}\u{43e}\u{441}\u{442}\u{43e} \u{434}\u{435}\u{432}\u{44f}\u{442}\u{44c} - \u{43f}\u{440}\u{43e}\u{441}\u{442}\u{43e}\u{435}";
    let message = response(format!("SIP/2.0 200 {phrase}").as_bytes());
    assert_eq!((message.status(), message.reason()), (Some(200), Some(phrase.as_bytes())));
}

#[test]
fn rfc4475_3_1_1_13_empty_reason_phrase() {
    let message = response(b"SIP/2.0 100 ");
    assert_eq!((message.status(), message.reason()), (Some(100), Some(&b""[..])));
}
