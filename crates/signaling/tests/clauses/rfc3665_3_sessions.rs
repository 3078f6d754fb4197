//! RFC 3665 section 3: the sessions of its flows that concern an endpoint, with us at the end that does more.
//! (3.5 is a flow between two proxies and a firewall; its ends see 3.2.)

use crate::world::{ANSWER, OUT, World, a, b, dial, ended, hand, header, ms, reply, request, status};
use bytes::Bytes;
use signaling::{Command, Credentials, EndedBy, Event};
use std::time::Duration;

const CONTACT: &str = "Contact: <sip:bob@192.0.2.9:5070>\n";
const SDP: &str = "Content-Type: application/sdp\n";

fn methods(heard: &[String]) -> Vec<&str> {
    heard.iter().map(|message| message.split(' ').next().unwrap()).collect()
}

/// We call the hand; our INVITE.
fn invited(world: &mut World) -> String {
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    world.heard().remove(0)
}

fn answer(world: &mut World, side: usize) -> signaling::LegId {
    let (leg, _) = world.incoming(side);
    world.command(side, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.command(side, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(30));
    leg
}

#[test]
fn rfc3665_3_1_a_session_is_established_and_ended_by_the_called_party() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(30));
    let leg = answer(&mut world, 1);
    world.command(1, Command::Hangup { leg, reason: None });
    world.pass(ms(30));
    let lines: Vec<String> = world.ladder(a()).into_iter().map(|(_, line)| line).collect();
    let begins = |at: usize, text: &str| assert!(lines[at].starts_with(text), "{lines:?}");
    begins(0, "INVITE");
    begins(1, "ACK");
    begins(2, "SIP/2.0 200");
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.assert_nothing_left();
}

#[test]
fn rfc3665_3_2_behind_two_proxies_ack_and_bye_take_the_recorded_route() {
    let mut world = World::alone();
    let invite = invited(&mut world);
    let routes = "Record-Route: <sip:192.0.2.32;lr>, <sip:192.0.2.31:5061;lr>\n";
    world.say(&reply(&invite, "180 Ringing", "one", &format!("{CONTACT}{routes}"), ""));
    world.say(&reply(&invite, "200 OK", "one", &format!("{CONTACT}{routes}{SDP}"), "v=0"));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    let sent = |begins: &[u8]| world.sent.iter().find(|(.., bytes)| bytes.starts_with(begins)).unwrap();
    for begins in [&b"ACK"[..], b"BYE"] {
        let (.., destination, bytes) = sent(begins);
        assert_eq!(*destination, "192.0.2.31:5061".parse().unwrap());
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(header(&text, "Route"), Some("<sip:192.0.2.31:5061;lr>"));
    }
}

#[test]
fn rfc3665_3_3_a_proxy_that_asks_for_credentials_gets_them_in_a_new_invite() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    let (username, password) = ("alice".to_owned(), "secret".to_owned());
    dial.credentials = Some(Credentials { realm: None, username, password });
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let challenge = "Proxy-Authenticate: Digest realm=\"atlanta\", qop=\"auth\", nonce=\"f84f1c\", algorithm=MD5\n";
    let heard = world.say(&reply(&invite, "407 Proxy Authentication Required", "p", challenge, ""));
    assert_eq!(methods(&heard), ["ACK", "INVITE"]);
    assert!(header(&heard[1], "Proxy-Authorization").unwrap().contains("realm=\"atlanta\""));
    assert_eq!(
        (header(&heard[1], "CSeq"), header(&heard[1], "Call-ID")),
        (Some("2 INVITE"), header(&invite, "Call-ID"))
    );
    let ack = world.say(&reply(&heard[1], "200 OK", "one", &format!("{CONTACT}{SDP}"), "v=0"));
    assert!(header(&ack[0], "Proxy-Authorization").is_some(), "the ACK has what its INVITE had");
}

#[test]
fn rfc3665_3_4_a_proxy_that_fails_is_told_so_that_another_can_be_tried() {
    let mut world = World::alone();
    invited(&mut world);
    world.pass(Duration::from_secs(33));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    world.assert_nothing_left();
}

#[test]
fn rfc3665_3_6_a_redirection_names_its_contacts_and_the_next_invite_is_answered_in_the_ack() {
    let mut world = World::alone();
    let invite = invited(&mut world);
    let contacts = "Contact: <sip:low@192.0.2.9>;q=0.2, <sip:bob@192.0.2.9:5070>;q=0.9\nContact: <tel:+4930123>\n";
    assert_eq!(methods(&world.say(&reply(&invite, "302 Moved Temporarily", "r", contacts, ""))), ["ACK"]);
    let events = world.events_of(0);
    let moved: &[String] = match &events[events.len() - 2] {
        Event::Redirected { contacts } => contacts,
        other => panic!("{other:?}"),
    };
    assert_eq!(moved, ["tel:+4930123", "sip:bob@192.0.2.9:5070", "sip:low@192.0.2.9"], "the most wanted first");
    assert_eq!(ended(&events), Some((EndedBy::Refused, Some(302))));
    let mut second = dial(hand(), a());
    (second.target, second.offer) = (moved[1].clone(), None);
    world.command(0, Command::Dial { leg: signaling::LegId(2), dial: second });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    assert!(invite.starts_with("INVITE sip:bob@192.0.2.9:5070 "));
    assert!(world.say(&reply(&invite, "200 OK", "one", &format!("{CONTACT}{SDP}"), "v=0 offer")).is_empty());
    world.command(0, Command::AnswerLate { leg: signaling::LegId(2), answer: Bytes::from_static(ANSWER) });
    world.pass(ms(5));
    let ack = world.heard().remove(0);
    assert!(ack.starts_with("ACK") && ack.ends_with("v=0 answer"));
}

#[test]
fn a_redirection_without_end_is_cut() {
    let mut world = World::alone();
    let invite = invited(&mut world);
    let contacts: String = (0..50).map(|n| format!("Contact: <sip:n{n}@192.0.2.9>\n")).collect();
    world.say(&reply(&invite, "300 Multiple Choices", "r", &contacts, ""));
    let events = world.events_of(0);
    assert!(events.iter().any(|event| matches!(event, Event::Redirected { contacts } if contacts.len() == 8)));
}

#[test]
fn rfc3665_3_7_a_reinvite_with_a_new_contact_moves_where_our_requests_go() {
    let mut world = World::alone();
    world.say(&request("INVITE", SDP).replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=0"));
    let leg = answer(&mut world, 0);
    let ok = world.heard().remove(1);
    let within = |method: &str, number: u32| {
        request(method, SDP)
            .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(&ok, "To").unwrap()))
            .replace("z9hG4bK-", &format!("z9hG4bK-{number}-"))
            .replace("CSeq: 1 ", &format!("CSeq: {number} "))
            .replace("Contact: <sip:caller@192.0.2.9:5070>", "Contact: <sip:caller@192.0.2.33:5090>")
            .replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=1")
    };
    world.say(&within("ACK", 1));
    world.say(&within("INVITE", 2));
    assert!(world.events.iter().any(|(.., event)| matches!(event, Event::Offer { body: Some(body) } if body == "v=1")));
    world.command(0, Command::AcceptOffer { leg, answer: Bytes::from_static(ANSWER) });
    world.pass(ms(5));
    world.say(&within("ACK", 2));
    world.command(0, Command::Hangup { leg, reason: None });
    world.pass(ms(5));
    let (.., destination, bytes) = world.sent.iter().rev().find(|(.., bytes)| bytes.starts_with(b"BYE")).unwrap();
    assert_eq!(*destination, "192.0.2.33:5090".parse().unwrap());
    assert!(bytes.starts_with(b"BYE sip:caller@192.0.2.33:5090 "));
}

#[test]
fn rfc3665_3_8_no_answer_is_cancelled() {
    let mut world = World::alone();
    let invite = invited(&mut world);
    world.say(&reply(&invite, "180 Ringing", "one", CONTACT, ""));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    let cancel = world.heard().remove(0);
    assert!(cancel.starts_with("CANCEL"));
    world.say(&reply(&cancel, "200 OK", "one", "", ""));
    assert_eq!(methods(&world.say(&reply(&invite, "487 Request Terminated", "one", "", ""))), ["ACK"]);
    world.assert_nothing_left();
}

#[test]
fn rfc3665_3_9_to_3_11_busy_no_response_and_unavailable_are_acknowledged_and_told() {
    for (line, expected) in [("486 Busy Here", 486), ("408 Request Timeout", 408), ("480 Temporarily Unavailable", 480)]
    {
        let mut world = World::alone();
        let invite = invited(&mut world);
        assert_eq!(methods(&world.say(&reply(&invite, line, "one", "", ""))), ["ACK"]);
        assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(expected))));
        world.assert_nothing_left();
    }
    // And the other way round: we are busy.
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Reject { leg, status: 486, reason: None, headers: vec![] });
    world.pass(ms(5));
    assert_eq!(status(&world.heard()[0]), 486);
}

// ---- next hops that want to be left alone (RFC 3261 section 21.5.4)

#[test]
fn rfc3261_21_5_4_how_long_a_next_hop_wants_to_be_left_alone_is_told_and_is_call_controls_to_keep() {
    let mut world = World::alone();
    let invite = invited(&mut world);
    world.events.clear();
    world.say(&reply(&invite, "503 Service Unavailable", "x", "Retry-After: 20\n", ""));
    let told = |event: &Event| match event {
        Event::Ended { by, status, retry_after, .. } => Some((*by, *status, *retry_after)),
        _ => None,
    };
    let ended: Vec<_> = world.events_of(0).iter().filter_map(told).collect();
    assert_eq!(ended, [(EndedBy::Refused, Some(503), Some(Duration::from_secs(20)))]);
    // Whom call control calls all the same is called.
    world.command(0, Command::Dial { leg: signaling::LegId(2), dial: dial(hand(), a()) });
    world.pass(ms(5));
    assert_eq!(methods(&world.heard()).iter().filter(|method| **method == "INVITE").count(), 1);
}
