//! RFC 4475 and RFC 5118, message by message: written from the RFCs' descriptions, each with the verdict the RFC describes.
//!
//! Where the RFC leaves a choice (accept or refuse), the test says which was taken. Verdicts that need a transaction (482, 420,
//! 416, 415, 483) are tested where transactions live; here the parser must hand the message over intact.

use bytes::Bytes;
use sip_codec::{HeaderError, Limits, Message, Method, Name, NameAddr, ParseError, Uri, Via};

fn read(text: &str) -> Result<Message, ParseError> {
    let text = text.replace('\n', "\r\n");
    Message::parse(Bytes::from(text), &Limits::default())
}

/// A message that must be accepted.
fn valid(text: &str) -> Message {
    let message = read(text).expect("a message");
    message.core().expect("valid core headers");
    assert_eq!(message.as_bytes().len(), text.replace('\n', "\r\n").len(), "nothing is lost or added");
    message
}

/// The flaw for which a message must be refused.
fn flaw(text: &str) -> HeaderError {
    read(text).expect("readable enough to be answered").core().expect_err("a flaw")
}

/// A request with these lines in place of the ordinary ones.
fn request(line: &str, changes: &[(&str, &str)]) -> String {
    let method = line.split(' ').next().expect("a method");
    let mut text = format!(
        "{line}\nVia: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nFrom: <sip:caller@example.net>;tag=1\n\
         To: <sip:user@example.com>\nCall-ID: x.0ha0isndaksdj@host.example.com\nCSeq: 8 {method}\n\
         Contact: <sip:caller@host5.example.net>\nContent-Length: 0\n\n"
    );
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not there");
        text = text.replace(from, to);
    }
    text
}

#[test]
fn rfc4475_3_1_1_1_a_short_tortuous_invite() {
    let message = valid(
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\nTO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n\
         from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\nMaX-fOrWaRdS: 0068\n\
         Call-ID: wsinv.ndaksdj@192.0.2.1\nContent-Length   : 6\ncseq: 0009\n  INVITE\nVia  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\n\
         s :\nNewFangledHeader:   newfangled value\n continued newfangled value\nUnknownHeaderWithUnusualValue: ;;,,;;,;\n\
         Content-Type: application/sdp\nRoute:\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n\
         v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n \
         z9hG4bK30239\nm:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n  secondparam ; q = 0.33\n\nv=0\nx",
    );
    let core = message.core().expect("a core");
    assert_eq!((core.to.tag(), core.from.tag()), (Some(&b"1918181833n"[..]), Some(&b"98asjd8"[..])));
    assert_eq!((core.cseq.number, core.cseq.method, core.max_forwards), (9, Method::Invite, Some(68)));
    let vias: Vec<_> = message.values(Name::Via).map(|value| Via::parse(value).expect("a Via")).collect();
    let branches: Vec<_> = vias.iter().map(|via| via.branch().expect("a branch")).collect();
    assert_eq!(branches, [&b"390skdjuw"[..], b"z9hG4bK9ikj8", b"z9hG4bK30239"]);
    assert_eq!((vias[0].transport, vias[0].host), (&b"UDP"[..], &b"192.0.2.2"[..]));
    let contact = message.contacts().next().expect("a Contact").expect("readable");
    assert_eq!(
        (contact.params().value(b"newparam"), contact.params().value(b"q")),
        (Some(&b"newvalue"[..]), Some(&b"0.33"[..]))
    );
    assert!(contact.params().has(b"secondparam"));
    let route = message.addresses(Name::Route).next().expect("a Route").expect("readable");
    assert!(route.uri.params().has(b"lr") && route.uri.params().has(b"unknown-no-value"));
    assert_eq!(message.header_named("UnknownHeaderWithUnusualValue"), Some(&b";;,,;;,;"[..]));
}

#[test]
fn rfc4475_3_1_1_2_wide_range_of_valid_characters() {
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let uri =
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    let text = request(
        &format!("{method} {uri} SIP/2.0"),
        &[
            (
                "To: <sip:user@example.com>",
                "To: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)@example.com>",
            ),
            (
                "From: <sip:caller@example.net>;tag=1",
                "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440}\u{430}\";tag=_token~1'+`*%!-.",
            ),
            ("Max-Forwards: 70", "Max-Forwards: 255\nextensionHeader-!.%*+_`'~:\u{feff}\u{5927}\u{505c}\u{96fb}"),
        ],
    );
    let message = valid(&text);
    assert_eq!((message.method(), message.method_token()), (Some(Method::Other), Some(method.as_bytes())));
    assert_eq!(message.uri().expect("a URI").host, b"example.com");
    assert_eq!(message.from().expect("From").tag(), Some(&b"_token~1'+`*%!-."[..]));
    assert_eq!(message.header_named("extensionHeader-!.%*+_`'~"), Some("\u{feff}\u{5927}\u{505c}\u{96fb}".as_bytes()));
}

#[test]
fn rfc4475_3_1_1_3_valid_use_of_percent_escapes() {
    let line = "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0";
    let message = valid(&request(line, &[("To: <sip:user@example.com>", "To: sip:%75se%72@example.com")]));
    assert_eq!(message.uri().expect("a URI").user, Some(&b"sips%3Auser%40example.com"[..]));
    assert!(message.to().expect("To").uri.is_equal(&Uri::parse(b"sip:user@example.com").expect("a URI")));
}

#[test]
fn rfc4475_3_1_1_4_escaped_nulls_stay_escaped() {
    let line = "REGISTER sip:example.com SIP/2.0";
    let message = valid(&request(
        line,
        &[("<sip:caller@host5.example.net>", "<sip:%00@host5.example.com>, <sip:%00%00@host5.example.com>")],
    ));
    let users: Vec<_> =
        message.contacts().map(|contact| contact.expect("readable").uri.user.expect("a user")).collect();
    assert_eq!(users, [&b"%00"[..], b"%00%00"]);
}

#[test]
fn rfc4475_3_1_1_5_percent_that_is_no_escape() {
    let message = valid(&request("RE%47IST%45R sip:registrar.example.com SIP/2.0", &[]));
    assert_eq!((message.method(), message.method_token()), (Some(Method::Other), Some(&b"RE%47IST%45R"[..])));
}

#[test]
fn rfc4475_3_1_1_6_no_space_between_display_name_and_angle_bracket() {
    let message = valid(&request(
        "OPTIONS sip:user@example.com SIP/2.0",
        &[("From: <sip:caller@example.net>;tag=1", "From: caller<sip:caller@example.com>;tag=323")],
    ));
    assert_eq!(
        (message.from().expect("From").display, message.from().expect("From").tag()),
        (&b"caller"[..], Some(&b"323"[..]))
    );
}

#[test]
fn rfc4475_3_1_1_7_long_values() {
    let long = "long".repeat(400);
    let text = request(
        "INVITE sip:user@example.com SIP/2.0",
        &[
            (
                "To: <sip:user@example.com>",
                &format!(
                    "To: \"I have a user name of {long} proportion\"<sip:user@example.com:6000;unknownparam1=very{long}value>"
                ),
            ),
            ("Max-Forwards: 70", &format!("Max-Forwards: 70\nUnknown{long}Name: unknown-{long}-value")),
            (";branch=z9hG4bKkdjuw", &format!(";branch=very{long}branchvalue")),
        ],
    );
    let message = valid(&text);
    assert_eq!(message.to().expect("To").uri.port, Some(6000));
    assert_eq!(message.top_via().expect("Via").branch().map(<[u8]>::len), Some(1600 + 15));
}

#[test]
fn rfc4475_3_1_1_8_what_follows_the_body_in_a_datagram_is_ignored() {
    let one = request("REGISTER sip:example.com SIP/2.0", &[]);
    let two = format!("{one}{}", request("INVITE sip:joe@example.com SIP/2.0", &[]));
    let message = read(&two).expect("a message");
    assert_eq!((message.method(), message.as_bytes().len()), (Some(Method::Register), one.replace('\n', "\r\n").len()));
    assert!(message.core().is_ok());
}

#[test]
fn rfc4475_3_1_1_9_semicolon_parameters_in_the_user_part() {
    let message = valid(&request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", &[]));
    let uri = message.uri().expect("a URI");
    assert_eq!(
        (uri.user, uri.host, uri.params().iter().count()),
        (Some(&b"user;par=u%40example.net"[..]), &b"example.com"[..], 0)
    );
}

#[test]
fn rfc4475_3_1_1_10_unknown_transports_in_via() {
    let vias = "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\nVia: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n\
                Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\nVia: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en";
    let message = valid(&request(
        "OPTIONS sip:user@example.com SIP/2.0",
        &[("Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw", vias)],
    ));
    let transports: Vec<_> = message.values(Name::Via).map(|via| Via::parse(via).expect("a Via").transport).collect();
    assert_eq!(transports, [&b"UDP"[..], b"SCTP", b"TLS", b"UNKNOWN"]);
}

#[test]
fn rfc4475_3_1_1_11_a_multipart_body_is_bytes() {
    let body = b"--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n\r\n0\x82\x01R\x06\0\xff\r\n--7a9cbec02ceef655--\r\n";
    let head = request(
        "MESSAGE sip:kumiko@example.org SIP/2.0",
        &[(
            "Content-Length: 0",
            &format!("Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\nContent-Length: {}", body.len()),
        )],
    );
    let bytes = [head.replace('\n', "\r\n").as_bytes(), body].concat();
    let message = Message::parse(bytes.into(), &Limits::default()).expect("a message");
    assert!(message.core().is_ok());
    assert_eq!(message.body(), body);
}

#[test]
fn rfc4475_3_1_1_12_and_13_unusual_and_empty_reason_phrases() {
    let tail = request("INVITE sip:user@example.com SIP/2.0", &[]).split_once('\n').expect("lines").1.to_owned();
    let phrase = "= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e}";
    let message = valid(&format!("SIP/2.0 200 {phrase}\n{tail}"));
    assert_eq!((message.status(), message.reason()), (Some(200), Some(phrase.as_bytes())));
    let message = valid(&format!("SIP/2.0 100 \n{tail}"));
    assert_eq!((message.status(), message.reason()), (Some(100), Some(&b""[..])));
}

#[test]
fn rfc4475_3_1_2_1_extraneous_separators() {
    // The RFC's own verdict is 400; the lists with empty elements concern Via and Contact.
    let text = request(
        "INVITE sip:user@example.com SIP/2.0",
        &[
            ("Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw", "Via: SIP/2.0/UDP 192.0.2.15;;,;,,"),
            ("Contact: <sip:caller@host5.example.net>", "Contact: \"Joe\" <sip:joe@example.org>;;;;"),
        ],
    );
    let message = read(&text).expect("a message");
    assert!(message.values(Name::Via).nth(1).is_some_and(|value| Via::parse(value).is_none()));
    // The topmost Via can be read, so that the 400 finds its way.
    assert_eq!(message.top_via().expect("Via").host, b"192.0.2.15");
}

#[test]
fn rfc4475_3_1_2_2_content_length_larger_than_the_message() {
    assert_eq!(
        flaw(&request("INVITE sip:user@example.com SIP/2.0", &[("Content-Length: 0", "Content-Length: 9999")])),
        HeaderError::Truncated
    );
}

#[test]
fn rfc4475_3_1_2_3_negative_content_length() {
    let flaw = flaw(&request("INVITE sip:user@example.com SIP/2.0", &[("Content-Length: 0", "Content-Length: -999")]));
    assert_eq!(flaw.status(), 400);
}

#[test]
fn rfc4475_3_1_2_4_scalars_that_do_not_fit() {
    let line = "REGISTER sip:example.com SIP/2.0";
    assert!(matches!(
        flaw(&request(line, &[("CSeq: 8", "CSeq: 36893488147419103232")])),
        HeaderError::Malformed(Name::CSeq, _)
    ));
    assert!(matches!(
        flaw(&request(line, &[("Max-Forwards: 70", "Max-Forwards: 300")])),
        HeaderError::Malformed(Name::MaxForwards, _)
    ));
    let large =
        valid(&request(line, &[("Max-Forwards: 70", "Max-Forwards: 70\nExpires: 10000000000000000000000000000")]));
    assert_eq!(large.expires(), Ok(Some(u32::MAX)), "an interval is cut at the largest");
}

#[test]
fn rfc4475_3_1_2_5_a_response_with_scalars_that_do_not_fit() {
    let tail = request("INVITE sip:user@example.com SIP/2.0", &[("CSeq: 8", "CSeq: 9292394834772304023312")]);
    let tail = tail.split_once('\n').expect("lines").1;
    assert!(matches!(flaw(&format!("SIP/2.0 503 Service Unavailable\n{tail}")), HeaderError::Malformed(Name::CSeq, _)));
}

#[test]
fn rfc4475_3_1_2_6_unterminated_quoted_string() {
    let text = request(
        "INVITE sip:user@example.com SIP/2.0",
        &[("To: <sip:user@example.com>", "To: \"Mr. J. User <sip:j.user@example.com>")],
    );
    assert!(matches!(flaw(&text), HeaderError::Malformed(Name::To, _)));
}

#[test]
fn rfc4475_3_1_2_7_to_10_malformed_request_lines() {
    for line in [
        "INVITE <sip:user@example.com> SIP/2.0",
        "INVITE sip:user@example.com; lr SIP/2.0",
        "INVITE  sip:user@example.com  SIP/2.0",
        "INVITE sip:user@example.com SIP/2.0  ",
    ] {
        assert_eq!(flaw(&request(line, &[])), HeaderError::RequestUri, "{line}");
    }
}

#[test]
fn rfc4475_3_1_2_11_headers_escaped_into_the_request_uri() {
    // The RFC lets an element refuse or ignore them; ours are kept and go nowhere.
    let message = valid(&request("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", &[]));
    assert_eq!(message.uri().expect("a URI").headers, b"Route=%3Csip:example.com%3E");
    assert_eq!(message.raw(Name::Route).count(), 0);
}

#[test]
fn rfc4475_3_1_2_12_an_invalid_time_zone_in_date_is_nobodys_business() {
    valid(&request(
        "INVITE sip:user@example.com SIP/2.0",
        &[("Max-Forwards: 70", "Max-Forwards: 70\nDate: Fri, 01 Jan 2010 16:00:00 EST")],
    ));
}

#[test]
fn rfc4475_3_1_2_13_a_uri_with_headers_must_be_enclosed() {
    let text = request(
        "REGISTER sip:example.com SIP/2.0",
        &[("<sip:caller@host5.example.net>", "sip:user@example.com?Route=%3Csip:sip.example.com%3E")],
    );
    assert!(read(&text).expect("a message").contacts().next().expect("a Contact").is_err());
}

#[test]
fn rfc4475_3_1_2_14_spaces_within_the_brackets_are_forgiven() {
    let message = valid(&request(
        "OPTIONS sip:user@example.org SIP/2.0",
        &[("To: <sip:user@example.com>", "To: \"Watson, Thomas\" < sip:t.watson@example.org >")],
    ));
    assert_eq!(message.to().expect("To").uri.user, Some(&b"t.watson"[..]));
}

#[test]
fn rfc4475_3_1_2_15_a_comma_in_an_unquoted_display_name_is_forgiven() {
    let message = valid(&request(
        "OPTIONS sip:user@example.com SIP/2.0",
        &[("From: <sip:caller@example.net>;tag=1", "From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43")],
    ));
    assert_eq!(message.from().expect("From").uri.user, Some(&b"a.g.bell"[..]));
}

#[test]
fn rfc4475_3_1_2_16_unknown_protocol_version() {
    let flaw = flaw(&request("OPTIONS sip:t.watson@example.org SIP/7.0", &[]));
    assert_eq!((flaw, flaw.status()), (HeaderError::Version, 505));
}

#[test]
fn rfc4475_3_1_2_17_and_18_methods_of_start_line_and_cseq_differ() {
    assert_eq!(
        flaw(&request("OPTIONS sip:user@example.com SIP/2.0", &[("8 OPTIONS", "8 INVITE")])),
        HeaderError::MethodMismatch
    );
    assert_eq!(
        flaw(&request("NEWMETHOD sip:user@example.com SIP/2.0", &[("8 NEWMETHOD", "8 INVITE")])),
        HeaderError::MethodMismatch
    );
}

#[test]
fn rfc4475_3_1_2_19_an_overlarge_response_code_is_no_response() {
    let tail = request("OPTIONS sip:user@example.com SIP/2.0", &[]).split_once('\n').expect("lines").1.to_owned();
    assert_eq!(
        read(&format!("SIP/2.0 4294967301 better not break the receiver\n{tail}")).map(drop),
        Err(ParseError::StartLine)
    );
}

#[test]
fn rfc4475_3_2_1_a_branch_that_is_the_cookie_alone() {
    let message = valid(&request("OPTIONS sip:user@example.com SIP/2.0", &[("z9hG4bKkdjuw", "z9hG4bK")]));
    assert_eq!(message.top_via().expect("Via").branch(), Some(&b"z9hG4bK"[..]));
}

#[test]
fn rfc4475_3_3_1_required_headers_are_missing() {
    let line = "INVITE sip:user@example.com SIP/2.0";
    for (header, name) in [
        ("From: <sip:caller@example.net>;tag=1\n", Name::From),
        ("To: <sip:user@example.com>\n", Name::To),
        ("Call-ID: x.0ha0isndaksdj@host.example.com\n", Name::CallId),
        ("CSeq: 8 INVITE\n", Name::CSeq),
    ] {
        assert_eq!(flaw(&request(line, &[(header, "")])), HeaderError::Missing(name));
    }
}

#[test]
fn rfc4475_3_3_2_to_4_unknown_and_unusual_schemes_are_kept() {
    for (uri, scheme) in [
        ("nobodyKnowsThisScheme:totallyopaquecontent", "nobodyKnowsThisScheme"),
        ("soap.beep://192.0.2.103:3002", "soap.beep"),
    ] {
        let message = valid(&request(&format!("OPTIONS {uri} SIP/2.0"), &[]));
        let parsed = message.uri().expect("a URI");
        assert_eq!((parsed.text, parsed.scheme, parsed.is_sip()), (uri.as_bytes(), scheme.as_bytes(), false));
    }
    let message = valid(&request(
        "REGISTER sip:example.com SIP/2.0",
        &[
            ("To: <sip:user@example.com>", "To: isbn:2983792873"),
            ("<sip:caller@host5.example.net>", "<name:John_Smith>"),
        ],
    ));
    assert_eq!(message.to().expect("To").uri.scheme, b"isbn");
    assert!(message.contacts().next().expect("a Contact").is_ok());
}

#[test]
fn rfc4475_3_3_5_to_7_what_is_not_understood_is_handed_over_whole() {
    let message = valid(&request(
        "OPTIONS sip:user@example.com SIP/2.0",
        &[
            (
                "Max-Forwards: 70",
                "Max-Forwards: 70\nRequire: nothingSupportsThis, nothingSupportsThisEither\nProxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis",
            ),
            (
                "Content-Length: 0",
                "Content-Type: application/unknownformat\nAuthorization: NoOneKnowsThisScheme opaque-data=here\nContent-Length: 0",
            ),
        ],
    ));
    assert_eq!(
        message.values(Name::Require).collect::<Vec<_>>(),
        [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]
    );
    assert_eq!(message.values(Name::ProxyRequire).count(), 2);
    assert_eq!(message.header(Name::ContentType), Some(&b"application/unknownformat"[..]));
    let credentials = message.challenges(Name::Authorization).next().expect("credentials");
    assert_eq!((credentials.is_digest(), credentials.value("opaque-data")), (false, Some(&b"here"[..])));
}

#[test]
fn rfc4475_3_3_8_headers_that_may_stand_once_stand_twice() {
    let line = "INVITE sip:user@example.com SIP/2.0";
    for (once, name) in [
        ("CSeq: 8 INVITE", Name::CSeq),
        ("Call-ID: x.0ha0isndaksdj@host.example.com", Name::CallId),
        ("To: <sip:user@example.com>", Name::To),
        ("From: <sip:caller@example.net>;tag=1", Name::From),
    ] {
        assert_eq!(flaw(&request(line, &[(once, &format!("{once}\n{once}"))])), HeaderError::Repeated(name));
    }
}

#[test]
fn rfc4475_3_3_9_two_content_lengths() {
    let flaw = flaw(&request(
        "OPTIONS sip:user@example.com SIP/2.0",
        &[("Content-Length: 0", "Content-Length: 13\nContent-Length: 5")],
    ));
    assert!(matches!(flaw, HeaderError::Malformed(Name::ContentLength, _)), "{flaw}");
}

#[test]
fn rfc4475_3_3_10_and_11_a_broadcast_via_and_max_forwards_zero_are_read() {
    let text = request(
        "OPTIONS sip:user@example.com SIP/2.0",
        &[("Via: SIP/2.0/UDP host", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\nVia: SIP/2.0/UDP host")],
    );
    let response = valid(&format!("SIP/2.0 200 OK\n{}", text.split_once('\n').expect("lines").1));
    assert_eq!(response.top_via().expect("Via").host_ip(), "255.255.255.255".parse().ok());
    let zero = valid(&request("OPTIONS sip:user@example.com SIP/2.0", &[("Max-Forwards: 70", "Max-Forwards: 0")]));
    assert_eq!(zero.max_forwards(), Ok(Some(0)));
}

#[test]
fn rfc4475_3_3_12_to_14_parameters_belong_to_the_header_or_to_the_uri() {
    let of = |contact: &str| {
        let text = request("REGISTER sip:example.com SIP/2.0", &[("<sip:caller@host5.example.net>", contact)]);
        let message = valid(&text);
        let contact = message.contacts().next().expect("a Contact").expect("readable");
        (contact.params().has(b"unknownparam"), contact.uri.params().has(b"unknownparam"), contact.uri.headers.to_vec())
    };
    assert_eq!(of("sip:+19725552222@gw1.example.net;unknownparam"), (true, false, Vec::new()));
    assert_eq!(of("<sip:+19725552222@gw1.example.net;unknownparam>"), (false, true, Vec::new()));
    assert_eq!(of("<sip:user@example.com?Route=%3Csip:sip.example.com%3E>").2, b"Route=%3Csip:sip.example.com%3E");
}

#[test]
fn rfc4475_3_4_1_a_request_of_rfc_2543_has_neither_branch_nor_tag() {
    let message = valid(
        "INVITE sip:UserB@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\nFrom: <sip:+13035551111@ift.client.example.net;user=phone>\n\
         Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>\nTo: sip:+16505552222@ss1.example.net;user=phone\n\
         Call-ID: inv2543.1717@ift.client.example.com\nCSeq: 56 INVITE\nContent-Type: application/sdp\n\nv=0\n",
    );
    let core = message.core().expect("a core");
    assert_eq!((core.via.branch(), core.from.tag(), core.max_forwards), (None, None, None));
    assert_eq!((core.to.uri.params().has(b"user"), core.to.params().has(b"user")), (false, true));
    assert_eq!(message.body(), b"v=0\r\n", "without Content-Length a datagram's body goes to its end");
}

#[test]
fn rfc5118_4_1_and_4_2_ipv6_references_need_their_brackets() {
    let message = valid(&request("REGISTER sip:[2001:db8::10] SIP/2.0", &[("host.example.com", "[2001:db8::9:1]")]));
    assert_eq!(message.uri().expect("a URI").host_ip(), "2001:db8::10".parse().ok());
    assert_eq!(message.top_via().expect("Via").host_ip(), "2001:db8::9:1".parse().ok());
    assert_eq!(flaw(&request("REGISTER sip:2001:db8::10 SIP/2.0", &[])), HeaderError::RequestUri);
}

#[test]
fn rfc5118_4_3_and_4_4_the_port_stands_outside_of_the_brackets() {
    let inside = Uri::parse(b"sip:[2001:db8::10:5070]").expect("a URI");
    assert_eq!((inside.host_ip(), inside.port), ("2001:db8::10:5070".parse().ok(), None));
    let outside = Uri::parse(b"sip:[2001:db8::10]:5070").expect("a URI");
    assert_eq!((outside.host_ip(), outside.port), ("2001:db8::10".parse().ok(), Some(5070)));
}

#[test]
fn rfc5118_4_5_received_with_and_without_brackets() {
    for written in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let text = format!("SIP/2.0/UDP [2001:db8::9:1];received={written};branch=z9hG4bKas3-111");
        let via = Via::parse(text.as_bytes()).expect("a Via");
        assert_eq!(
            (via.received(), via.branch()),
            ("2001:db8::9:255".parse().ok(), Some(&b"z9hG4bKas3-111"[..])),
            "{written}"
        );
    }
}

#[test]
fn rfc5118_4_7_a_response_may_mix_address_families() {
    let vias = "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144";
    let message = valid(&request(
        "BYE sip:user@host.example.net SIP/2.0",
        &[("Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw", vias)],
    ));
    let hosts: Vec<_> = message.values(Name::Via).map(|via| Via::parse(via).expect("a Via").host_ip()).collect();
    assert_eq!(hosts, ["2001:db8::9:1".parse().ok(), "192.0.2.1".parse().ok()]);
}

#[test]
fn rfc5118_4_9_and_4_10_mapped_addresses_and_a_colon_too_many() {
    let contact = NameAddr::parse(b"<sip:T.watson@[::ffff:192.0.2.10]:19823>").expect("an address");
    assert_eq!((contact.uri.host_ip(), contact.uri.port), ("::ffff:192.0.2.10".parse().ok(), Some(19823)));
    // Three colons come from a slip in the grammar of RFC 2373; such an address names no host.
    assert_eq!(Uri::parse(b"sip:user@[2001:db8:::192.0.2.1]"), None);
    let via =
        Via::parse(b"SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8:::192.0.2.1];branch=z9hG4bK1").expect("a Via");
    assert_eq!(via.received(), None);
}
