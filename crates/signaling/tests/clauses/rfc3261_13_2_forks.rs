//! Forks and copies of final responses (RFC 3261 section 13.2.2.4, RFC 6026), with a hand on the other side.

use crate::world::{ANSWER, OUT, World, a, dial, ended, hand, header, reply, status};
use signaling::{Command, EndedBy, Event};

const CONTACT: &str = "Contact: <sip:bob@192.0.2.9:5070>\n";

fn invited() -> (World, String) {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(crate::world::ms(5));
    let invite = world.heard().remove(0);
    (world, invite)
}

fn ok(invite: &str, tag: &str) -> String {
    reply(invite, "200 OK", tag, CONTACT, std::str::from_utf8(ANSWER).unwrap())
}

fn methods(heard: &[String]) -> Vec<&str> {
    heard.iter().map(|m| m.split(' ').next().unwrap()).collect()
}

#[test]
fn rfc3261_13_2_2_4_each_copy_of_a_2xx_draws_the_same_ack() {
    let (mut world, invite) = invited();
    let first = world.say(&ok(&invite, "one"));
    assert_eq!(methods(&first), ["ACK"]);
    assert_eq!(world.say(&ok(&invite, "one")), first);
    assert_eq!(world.say(&ok(&invite, "one")), first);
    assert_eq!(world.events_of(0).iter().filter(|e| matches!(e, Event::Answered { .. })).count(), 1);
}

#[test]
fn rfc3261_13_2_2_4_a_further_2xx_of_a_fork_is_acknowledged_and_ended_and_the_first_stays() {
    let (mut world, invite) = invited();
    world.say(&reply(&invite, "180 Ringing", "two", CONTACT, ""));
    world.say(&reply(&invite, "180 Ringing", "one", CONTACT, ""));
    assert_eq!(world.cores[0].1.gauges().dialogs, 2);
    assert_eq!(methods(&world.say(&ok(&invite, "one"))), ["ACK"]);
    let extra = world.say(&ok(&invite, "two"));
    assert_eq!(methods(&extra), ["ACK", "BYE"]);
    assert!(extra.iter().all(|m| header(m, "To").unwrap().ends_with(";tag=two")), "{extra:?}");
    assert_eq!(methods(&world.say(&ok(&invite, "two"))), ["ACK"], "a copy draws the ACK alone");
    world.say(&reply(&extra[1], "200 OK", "", "", ""));
    assert_eq!(world.events_of(0).iter().filter(|e| matches!(e, Event::Ended { .. })).count(), 0);
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(crate::world::ms(5));
    let bye = world.heard().remove(0);
    assert!(header(&bye, "To").unwrap().ends_with(";tag=one"));
    world.say(&reply(&bye, "200 OK", "", "", ""));
    world.assert_nothing_left();
}

/// Seed 94 of the simulator, far: the BYE had the number of the PRACK before it, and its peer called it out of order.
#[test]
fn rfc3261_12_2_1_1_the_bye_of_a_fork_that_answers_too_late_goes_on_from_its_prack() {
    let (mut world, invite) = invited();
    let early = format!("Require: 100rel\nRSeq: 7\n{CONTACT}");
    let prack = world.say(&reply(&invite, "180 Ringing", "two", &early, "")).remove(0);
    assert_eq!(header(&prack, "CSeq"), Some("2 PRACK"));
    world.say(&reply(&prack, "200 OK", "", "", ""));
    assert_eq!(methods(&world.say(&ok(&invite, "one"))), ["ACK"]);
    let extra = world.say(&ok(&invite, "two"));
    assert_eq!(methods(&extra), ["ACK", "BYE"]);
    assert_eq!(header(&extra[1], "CSeq"), Some("3 BYE"));
}

#[test]
fn a_200_after_487_is_stray_and_a_200_instead_of_487_is_acknowledged_and_ended() {
    let (mut world, invite) = invited();
    world.say(&reply(&invite, "180 Ringing", "one", CONTACT, ""));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(crate::world::ms(5));
    let cancel = world.heard().remove(0);
    world.say(&reply(&cancel, "200 OK", "one", "", ""));
    let late = world.say(&ok(&invite, "one"));
    assert_eq!(methods(&late), ["ACK", "BYE"]);
    world.say(&reply(&late[1], "200 OK", "", "", ""));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_9_1_a_cancelled_invite_without_a_final_response_is_forgotten_after_64_t1() {
    let (mut world, invite) = invited();
    world.say(&reply(&invite, "180 Ringing", "one", CONTACT, ""));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

#[test]
fn a_183_after_a_180_and_a_second_final_answer_change_nothing() {
    let (mut world, invite) = invited();
    world.say(&reply(&invite, "183 Session Progress", "one", CONTACT, "v=0 early"));
    world.say(&reply(&invite, "180 Ringing", "one", CONTACT, ""));
    world.say(&ok(&invite, "one"));
    assert!(world.say(&reply(&invite, "486 Busy Here", "one", "", "")).is_empty());
    assert!(world.say(&reply(&invite, "180 Ringing", "one", CONTACT, "")).is_empty());
    let events = world.events_of(0);
    let names: Vec<u16> = events
        .iter()
        .map(|event| match event {
            Event::Dialling { .. } => 1,
            Event::Provisional { status, .. } => *status,
            Event::Answered { .. } => 200,
            _ => 0,
        })
        .collect();
    assert_eq!(names, [1, 183, 180, 200]);
}

#[test]
fn forks_beyond_the_limit_are_still_acknowledged_and_ended() {
    let (mut world, invite) = invited();
    for fork in 0..100 {
        world.say(&reply(&invite, "180 Ringing", &format!("t{fork}"), CONTACT, ""));
    }
    assert_eq!(world.cores[0].1.gauges().dialogs, 16);
    assert_eq!(methods(&world.say(&ok(&invite, "t99"))), ["ACK"]);
    assert_eq!(methods(&world.say(&ok(&invite, "t98"))), ["ACK", "BYE"]);
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(crate::world::ms(5));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_12_2_1_1_the_ack_and_the_bye_follow_the_route_set() {
    let (mut world, invite) = invited();
    let routes = "Record-Route: <sip:192.0.2.31;lr>, <sip:192.0.2.30:5062;lr>\nContact: <sip:bob@192.0.2.40>\n";
    world.say(&reply(&invite, "200 OK", "one", routes, "v=0"));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(crate::world::ms(5));
    for method in ["ACK", "BYE"] {
        let sent = world.sent.iter().find(|(.., bytes)| bytes.starts_with(method.as_bytes())).unwrap();
        assert_eq!(sent.2, "192.0.2.30:5062".parse().unwrap(), "{method}");
        let text = String::from_utf8(sent.3.to_vec()).unwrap();
        assert!(text.starts_with(&format!("{method} sip:bob@192.0.2.40 SIP/2.0")), "{text}");
        let routes: Vec<&str> = text.lines().filter(|line| line.starts_with("Route:")).collect();
        assert_eq!(routes, ["Route: <sip:192.0.2.30:5062;lr>", "Route: <sip:192.0.2.31;lr>"]);
    }
}

#[test]
fn rfc3261_17_1_1_3_the_ack_to_a_refusal_has_the_invite_s_branch_and_the_response_s_to() {
    let (mut world, invite) = invited();
    let heard = world.say(&reply(&invite, "603 Decline", "one", "Retry-After: 120 (busy)\n", ""));
    assert_eq!(methods(&heard), ["ACK"]);
    assert_eq!(header(&heard[0], "Via"), header(&invite, "Via"));
    assert!(header(&heard[0], "To").unwrap().ends_with(";tag=one"));
    assert_eq!(header(&heard[0], "CSeq"), Some("1 ACK"));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(603))));
    assert_eq!(status(&heard[0]), 0);
    world.assert_nothing_left();
}
