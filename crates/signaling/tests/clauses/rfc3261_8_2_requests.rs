//! Requests that a hand wrote: what is taken, what is refused and how (RFC 3261 sections 8.2, 9.2, 11, 17.2, 18.2; RFC 3581).

use crate::world::{World, ended, hand, header, ms, request, status};
use signaling::{Command, EndedBy, Event};
use std::time::Duration;

/// The statuses that a request draws.
fn drawn(message: &str) -> Vec<u16> {
    World::alone().say(message).iter().map(|m| status(m)).collect()
}

#[test]
fn rfc3261_8_2_6_1_an_invite_draws_100_at_once() {
    let mut world = World::alone();
    let heard = world.say(&request("INVITE", ""));
    assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [100]);
    assert!(matches!(world.events_of(0)[..], [Event::Incoming(_)]));
}

#[test]
fn rfc3581_4_responses_go_to_where_the_request_came_from_when_rport_asks_for_it() {
    let mut world = World::alone();
    let natted = "192.0.2.77:40000".parse().unwrap();
    let heard = world.say_from(natted, &request("OPTIONS", ""));
    let via = header(&heard[0], "Via").unwrap();
    assert!(via.contains("received=192.0.2.77") && via.contains("rport=40000"), "{via}");
    assert_eq!(world.sent.last().unwrap().2, natted);
}

#[test]
fn rfc3261_18_2_2_without_rport_responses_go_to_the_port_of_the_via() {
    let mut world = World::alone();
    let odd = "192.0.2.77:40000".parse().unwrap();
    let heard = world.say_from(odd, &request("OPTIONS", "").replace(";rport", ""));
    let via = header(&heard[0], "Via").unwrap();
    assert!(via.contains("received=192.0.2.77") && !via.contains("rport"), "{via}");
    assert_eq!(world.sent.last().unwrap().2, "192.0.2.77:5070".parse().unwrap());
}

#[test]
fn rfc3261_11_2_options_says_what_we_can_do() {
    let heard = World::alone().say(&request("OPTIONS", ""));
    assert_eq!(status(&heard[0]), 200);
    assert!(header(&heard[0], "Allow").unwrap().contains("INVITE"));
    assert_eq!(header(&heard[0], "Accept"), Some("application/sdp"));
    assert_eq!(header(&heard[0], "Supported"), Some("100rel, replaces, norefersub, timer"));
    assert!(header(&heard[0], "To").unwrap().contains(";tag="));
}

#[test]
fn rfc3261_17_2_2_a_copy_of_a_request_draws_the_same_bytes() {
    let mut world = World::alone();
    let first = world.say(&request("OPTIONS", ""));
    let second = world.say(&request("OPTIONS", ""));
    assert_eq!(first, second);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_8_2_1_methods_that_we_do_not_take_say_which_we_do() {
    for (method, expected) in [
        ("REGISTER", 405),
        ("MESSAGE", 405),
        ("REFER", 403),
        ("PUBLISH", 405),
        ("SUBSCRIBE", 489),
        ("NOTIFY", 481),
        ("PRACK", 481),
        ("BYE", 481),
        ("INFO", 481),
        ("UPDATE", 481),
        ("CANCEL", 481),
        ("NEWMETHOD", 501),
        ("invite", 501),
    ] {
        let heard = World::alone().say(&request(method, ""));
        assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [expected], "{method}");
        assert_eq!(header(&heard[0], "Allow").is_some(), matches!(expected, 405 | 501), "{method}");
    }
}

#[test]
fn rfc3261_8_2_2_3_required_extensions_draw_420_with_their_names() {
    let heard = World::alone().say(&request("INVITE", "Require: 100rel, precondition\nRequire: timer, foo\n"));
    assert_eq!(status(&heard[0]), 420);
    assert_eq!(header(&heard[0], "Unsupported"), Some("precondition, foo"));
}

#[test]
fn rfc3261_8_2_2_1_a_scheme_that_we_do_not_know_draws_416_and_tel_is_known() {
    let to = |uri: &str| drawn(&request("INVITE", "").replace("sip:line@192.0.2.1 SIP", &format!("{uri} SIP")));
    assert_eq!(to("nobody:known"), [416]);
    assert_eq!(to("sips:line@192.0.2.1"), [416]);
    assert_eq!(to("tel:+4930123"), [100]);
}

#[test]
fn rfc3261_8_2_3_a_body_that_is_no_session_draws_415_with_accept() {
    let body = "Content-Type: text/plain\nContent-Length: 2\n\nhi";
    let heard = World::alone().say(&request("INVITE", "").replace("Content-Length: 0\n\n", body));
    assert_eq!(status(&heard[0]), 415);
    assert_eq!(header(&heard[0], "Accept"), Some("application/sdp"));
    let optional = format!("Content-Disposition: session;handling=optional\n{body}");
    assert_eq!(drawn(&request("INVITE", "").replace("Content-Length: 0\n\n", &optional)), [100]);
}

#[test]
fn rfc5621_a_session_description_among_other_parts_is_taken_and_a_broken_body_refused() {
    let invite = |body: &str| {
        let head = "Content-Type: multipart/mixed;boundary=b1\n";
        let body = body.replace('\n', "\r\n");
        request("INVITE", "")
            .replace("Content-Length: 0\n\n", &format!("{head}Content-Length: {}\n\n{body}", body.len()))
    };
    let whole = "--b1\nContent-Type: application/isup\n\nxx\n--b1\nContent-Type: application/sdp\n\nv=0\ns=-\n--b1--\n";
    let mut world = World::alone();
    assert_eq!(status(&world.say(&invite(whole))[0]), 100);
    assert_eq!(world.incoming(0).1.offer.as_deref(), Some(&b"v=0\r\ns=-"[..]));
    for broken in [&whole[..whole.len() - 7], "--b1--\n", "nothing"] {
        assert_eq!(drawn(&invite(broken)), [415], "{broken}");
    }
}

#[test]
fn rfc3261_12_2_2_an_options_within_a_dialog_counts_in_its_order() {
    let mut caller = crate::world::Caller::answered();
    let earlier = caller.written("INFO", "", "");
    let answer = caller.say("OPTIONS", "").remove(0);
    assert_eq!((status(&answer), header(&answer, "Accept")), (200, Some("application/sdp")));
    assert_eq!(header(&answer, "To"), Some(caller.to.as_str()));
    assert_eq!(status(&caller.world.say(&earlier)[0]), 500, "it came too late to be in order");
}

#[test]
fn rfc3261_21_4_7_a_caller_that_takes_no_session_description_draws_406() {
    assert_eq!(drawn(&request("INVITE", "Accept: text/plain\n")), [406]);
    assert_eq!(drawn(&request("INVITE", "Accept: application/*;q=0.1\n")), [100]);
}

#[test]
fn more_hops_than_the_standard_recommends_are_not_granted() {
    for (sent, left) in [("Max-Forwards: 255\n", 70), ("Max-Forwards: 12\n", 12), ("", 70)] {
        let mut world = World::alone();
        world.say(&request("INVITE", "").replace("Max-Forwards: 70\n", sent));
        assert_eq!(world.incoming(0).1.max_forwards, left, "{sent}");
    }
}

#[test]
fn max_forwards_0_ends_here() {
    assert_eq!(drawn(&request("INVITE", "").replace("Max-Forwards: 70", "Max-Forwards: 0")), [483]);
    assert_eq!(drawn(&request("OPTIONS", "").replace("Max-Forwards: 70", "Max-Forwards: 0")), [200]);
}

#[test]
fn rfc3261_8_2_2_2_the_same_request_another_way_draws_482() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let heard = world.say(&request("INVITE", "").replace("z9hG4bK-", "z9hG4bK-other-"));
    assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [482]);
}

#[test]
fn our_own_invite_come_back_is_a_loop() {
    let mut world = World::alone();
    let mut dial = crate::world::dial(hand(), crate::world::a());
    dial.target = "sip:line@192.0.2.1".into();
    world.command(0, Command::Dial { leg: crate::world::OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let proxied = invite.replacen("Via:", "Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKproxy\r\nVia:", 1);
    let heard = world.say(&proxied);
    assert_eq!(status(&heard[0]), 482);
    // To another address it is a spiral, which Max-Forwards bounds.
    let spiral = proxied.replace("INVITE sip:line@", "INVITE sip:other@").replace("proxy\r", "spiral\r");
    assert_eq!(status(&world.say(&spiral.replace("Call-ID: ", "Call-ID: x"))[0]), 100);
}

#[test]
fn rfc3261_21_4_1_a_broken_request_draws_400_with_what_can_be_read_of_it() {
    for (from, to) in [
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: 99999999999 INVITE"),
        ("CSeq: 1 INVITE\n", ""),
        ("From: <sip:caller@192.0.2.9>;tag=f1\n", ""),
        ("Call-ID: call-1\n", ""),
        ("To: <sip:line@192.0.2.1>", "To: \"x <sip:line@192.0.2.1>"),
        ("Content-Length: 0", "Content-Length: 500"),
        ("Content-Length: 0", "Content-Length: -999"),
        ("Content-Length: 0\n\n", "Content-Length: 0\n"),
        ("Via: SIP/2.0/UDP 192.0.2.9:5070", "Via: SIP/2.0/UDP"),
        ("Contact: <sip:caller@192.0.2.9:5070>\n", ""),
    ] {
        assert_eq!(drawn(&request("INVITE", "").replace(from, to)), [400], "{to}");
    }
    assert_eq!(drawn(&request("INVITE", "").replace(" SIP/2.0\nVia", " SIP/7.0\nVia")), [505]);
}

#[test]
fn garbage_keep_alives_stray_acks_and_stray_responses_draw_nothing() {
    let mut world = World::alone();
    let stray = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK001.1\nFrom: <sip:a@b>;tag=1\n\
                 To: <sip:a@b>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\nContent-Length: 0\n\n";
    for text in ["", "\n\n", "\0\0", "hello", "GET / HTTP/1.1\n\n", &request("ACK", ""), stray] {
        assert!(world.say(text).is_empty(), "{text}");
    }
    assert!(
        world
            .say(&request("ACK", "").replace("To: <sip:line@192.0.2.1>", "To: <sip:line@192.0.2.1>;tag=000.1"))
            .is_empty()
    );
    assert_eq!(world.cores[0].1.counters().garbage, 2);
    assert_eq!(world.cores[0].1.counters().stray, 3);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_9_2_cancel_draws_200_and_487_with_one_tag() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let cancel = request("CANCEL", "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n");
    let heard = world.say(&cancel.replace("z9hG4bK-CANCEL", "z9hG4bK-INVITE"));
    assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [200, 487]);
    assert_eq!(header(&heard[0], "To"), header(&heard[1], "To"));
    assert_eq!(header(&heard[0], "CSeq"), Some("1 CANCEL"));
    let events = world.events_of(0);
    assert!(
        matches!(events.last(), Some(Event::Ended { by: EndedBy::Cancel, reason: Some(reason), .. }) if reason.cause == Some(200))
    );
    world.pass(Duration::from_secs(40));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_12_2_2_a_dialog_that_is_not_ours_draws_481() {
    let tagged = |method: &str| {
        request(method, "").replace("To: <sip:line@192.0.2.1>", "To: <sip:line@192.0.2.1>;tag=000.0123456789abcdef")
    };
    for method in ["BYE", "INVITE", "UPDATE", "INFO", "OPTIONS"] {
        assert_eq!(drawn(&tagged(method)), [481], "{method}");
    }
}

#[test]
fn a_compact_folded_and_oddly_spaced_invite_is_one_all_the_same() {
    let message = "INVITE sip:line@192.0.2.1 SIP/2.0\nv:SIP / 2.0 / UDP 192.0.2.9:5070\n ;branch=z9hG4bK1;rport\n\
                   f: <sip:caller@192.0.2.9>\n  ;tag=f1\nt : sip:line@192.0.2.1\ni:call-1\ncseq: 0001\n INVITE\n\
                   m: <sip:caller@192.0.2.9:5070>\nX-Thing :  a\n\tb\nl:0\n\n";
    let mut world = World::alone();
    assert_eq!(world.say(message).iter().map(|m| status(m)).collect::<Vec<_>>(), [100]);
    let (leg, incoming) = world.incoming(0);
    assert_eq!(incoming.header("x-thing"), Some("a b"));
    world.command(0, Command::Answer { leg, body: None, headers: vec![] });
    world.pass(ms(5));
    let answer = world.heard().remove(0);
    assert_eq!(status(&answer), 200);
    world.command(0, Command::Hangup { leg, reason: None });
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
    world.pass(Duration::from_secs(70));
    world.assert_nothing_left();
}

#[test]
fn a_display_name_reaches_call_control_without_control_characters() {
    let mut world = World::alone();
    let name = "\"a\\\u{1b}b \\\"c\\\"\\\u{7f}\" <sip:caller";
    assert_eq!(
        world
            .say(&request("INVITE", "").replace("<sip:caller@192.0.2.9>;tag", &format!("{name}@192.0.2.9>;tag")))
            .len(),
        1
    );
    let (_, incoming) = world.incoming(0);
    assert_eq!(incoming.from.display, "ab \"c\"");
    assert_eq!(
        drawn(&request("INVITE", "").replace("<sip:caller@192.0.2.9>;tag", "\"a\u{1b}b\" <sip:caller@192.0.2.9>;tag")),
        [400]
    );
}

#[test]
fn headers_that_no_message_can_hold_never_reach_the_wire() {
    let mut world = World::alone();
    let mut dial = crate::world::dial(hand(), crate::world::a());
    dial.headers = vec![
        ("X-Good".into(), "yes".into()),
        ("X-Bad".into(), "a\r\nEvil: 1".into()),
        ("X-Nul".into(), "a\0b".into()),
        ("X Bad\r\nEvil".into(), "1".into()),
        ("Via".into(), "SIP/2.0/UDP evil".into()),
        ("Content-Length".into(), "9".into()),
        ("l".into(), "9".into()),
        ("X-Long".into(), "x".repeat(2_000)),
    ];
    world.command(0, Command::Dial { leg: crate::world::OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    assert!(!invite.to_lowercase().contains("evil") && invite.contains("X-Good: yes"), "{invite}");
    assert!(!invite.contains("X-Long"));
    assert_eq!(world.cores[0].1.counters().headers_left_out, 7);
    for (display, uri, target) in
        [("a\r\nb", "sip:a@b", "sip:x@y"), ("a", "sip:a@b\r\nx", "sip:x@y"), ("a", "sip:a@b", "sip:x y\r\n")]
    {
        let mut dial = crate::world::dial(hand(), crate::world::a());
        dial.from = signaling::Party { display: display.into(), uri: uri.into() };
        dial.target = target.into();
        world.events.clear();
        world.command(0, Command::Dial { leg: signaling::LegId(9), dial });
        assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Unsent, Some(400))), "{display:?} {uri:?} {target:?}");
    }
}
