//! Session timers in both roles (RFC 4028), with a hand on the other side.

use crate::world::{
    ANSWER, OFFER, OUT, World, a, b, config, dial, ended, established, hand, header, ms, reply, request, status,
};
use bytes::Bytes;
use signaling::{Command, Dial, EndedBy, Event, LegId, OutsideCommand, OutsideId, SessionTimer};
use std::time::Duration;

const SDP: &str = "Content-Type: application/sdp\n";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn invite(more: &str) -> String {
    request("INVITE", &format!("{more}{SDP}")).replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=0")
}

fn within(response: &str, method: &str, number: u32, more: &str) -> String {
    request(method, more)
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(response, "To").unwrap()))
        .replace("z9hG4bK-", &format!("z9hG4bK-{number}-"))
        .replace("CSeq: 1 ", &format!("CSeq: {number} "))
}

/// A hand called with these headers and was answered: the leg, and our 200.
fn called(more: &str) -> (World, LegId, String) {
    let mut world = World::alone();
    assert_eq!(status(&world.say(&invite(more))[0]), 100, "{more}");
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(5));
    let ok = world.heard().remove(0);
    world.say(&within(&ok, "ACK", 1, ""));
    world.events.clear();
    (world, leg, ok)
}

/// We called the hand, which answers with these headers: our INVITE.
fn dialled(more: &str) -> (World, String) {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let contact = "Contact: <sip:bob@192.0.2.9:5070>\n";
    world.say(&reply(&invite, "200 OK", "one", &format!("{contact}{more}"), "v=0"));
    world.events.clear();
    (world, invite)
}

fn expires(message: &str) -> Option<&str> {
    header(message, "Session-Expires")
}

#[test]
fn rfc4028_7_1_our_invite_asks_and_never_requires() {
    let (_, invite) = dialled("");
    assert_eq!((expires(&invite), header(&invite, "Require")), (Some("1800"), None));
    assert!(header(&invite, "Supported").unwrap().contains("timer"));
}

#[test]
fn rfc4028_9_our_2xx_says_who_refreshes_and_requires_timer_only_of_those_who_have_it() {
    for (asked, said, required) in [
        ("Supported: timer\nSession-Expires: 600\n", Some("600;refresher=uac"), Some("timer")),
        ("Supported: timer\nSession-Expires: 600;refresher=uas\n", Some("600;refresher=uas"), None),
        ("Session-Expires: 600\n", Some("600;refresher=uas"), None),
        ("Supported: timer\n", Some("1800;refresher=uac"), Some("timer")),
        ("Require: timer\nSupported: timer\nSession-Expires: 90\n", Some("90;refresher=uac"), Some("timer")),
        ("", None, None),
    ] {
        let (_, _, ok) = called(asked);
        assert_eq!((expires(&ok), header(&ok, "Require")), (said, required), "{asked}");
    }
}

#[test]
fn rfc4028_9_an_interval_below_our_minimum_draws_422_from_those_who_know_it() {
    let mut world = World::alone();
    let heard = world.say(&invite("Supported: timer\nSession-Expires: 60\n"));
    assert_eq!((status(&heard[0]), header(&heard[0], "Min-SE")), (422, Some("90")));
    assert!(world.events.is_empty());
    let (mut world, _, ok) = called("Supported: timer\nSession-Expires: 600\n");
    let heard = world.say(&within(&ok, "UPDATE", 2, "Supported: timer\nSession-Expires: 30\n"));
    assert_eq!((status(&heard[0]), header(&heard[0], "Min-SE")), (422, Some("90")));
    // Somebody on the way asked for an INVITE that could not understand the refusal.
    assert_eq!(expires(&called("Session-Expires: 60\n").2), Some("60;refresher=uas"));
}

#[test]
fn rfc4028_7_3_a_422_is_answered_by_asking_for_the_peers_minimum() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let first = world.heard().remove(0);
    let heard = world.say(&reply(&first, "422 Session Interval Too Small", "x", "Min-SE: 3600\n", ""));
    assert!(heard[0].starts_with("ACK"));
    let second = &heard[1];
    assert_eq!((expires(second), header(second, "Min-SE")), (Some("3600"), Some("3600")));
    assert_eq!((header(second, "CSeq"), header(second, "Call-ID")), (Some("2 INVITE"), header(&first, "Call-ID")));
    // The same minimum again is a refusal.
    world.say(&reply(second, "422 Session Interval Too Small", "x", "Min-SE: 3600\n", ""));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(422))));
    world.assert_nothing_left();
}

#[test]
fn a_peer_whose_minimum_grows_without_end_is_given_up() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let mut invite = world.heard().remove(0);
    for round in 1..=3 {
        let minimum = format!("Min-SE: {}\n", 3600 * round);
        invite = world.say(&reply(&invite, "422 Too Small", "x", &minimum, "")).remove(1);
    }
    world.say(&reply(&invite, "422 Too Small", "x", "Min-SE: 99999\n", ""));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(422))));
}

#[test]
fn rfc4028_10_the_refresher_refreshes_at_half_the_interval_by_update() {
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\nAllow: INVITE, UPDATE\n");
    for round in 0..3 {
        world.pass(secs(149));
        assert!(world.heard().is_empty(), "round {round}");
        world.pass(secs(2));
        let update = world.heard().remove(0);
        assert!(update.starts_with("UPDATE") && update.ends_with("Content-Length: 0\r\n\r\n"));
        assert_eq!(expires(&update), Some("300;refresher=uac"));
        world.say(&reply(&update, "200 OK", "", "Session-Expires: 300;refresher=uac\n", ""));
    }
    assert!(world.events.is_empty(), "nobody above is bothered");
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

#[test]
fn rfc4028_10_a_peer_without_update_is_refreshed_by_a_reinvite_of_call_control() {
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\n");
    world.pass(secs(151));
    assert!(world.heard().is_empty());
    assert!(matches!(&world.events_of(0)[..], [Event::Refresh]));
    world.command(0, Command::Offer { leg: OUT, offer: Bytes::from_static(OFFER) });
    world.pass(ms(5));
    let reinvite = world.heard().remove(0);
    assert!(reinvite.starts_with("INVITE") && reinvite.ends_with("v=0 offer"));
    assert_eq!(expires(&reinvite), Some("300;refresher=uac"));
    let contact = "Contact: <sip:bob@192.0.2.9:5070>\nSession-Expires: 300;refresher=uac\n";
    world.say(&reply(&reinvite, "200 OK", "", contact, "v=0"));
    assert!(matches!(&world.events_of(0)[..], [Event::OfferDone { result: Ok(_) }]));
    world.pass(secs(149));
    assert!(world.events.is_empty(), "the interval began anew");
    world.pass(secs(3));
    assert!(matches!(&world.events_of(0)[..], [Event::Refresh]));
}

#[test]
fn rfc4028_7_4_no_second_refresh_is_due_while_the_first_waits_for_its_answer_or_its_next_try() {
    let (mut world, _) = dialled("Session-Expires: 30;refresher=uac\n");
    world.pass(secs(15));
    assert!(matches!(&world.events_of(0)[..], [Event::Refresh]));
    world.command(0, Command::Offer { leg: OUT, offer: Bytes::from_static(OFFER) });
    world.pass(ms(5));
    let reinvite = world.heard().remove(0);
    world.say(&reply(&reinvite, "491 Request Pending", "", "", ""));
    let mut reinvites = Vec::new();
    for _ in 0..90 {
        world.pass(ms(50));
        for message in world.heard().into_iter().filter(|message| message.starts_with("INVITE")) {
            world.say(&reply(&message, "100 Trying", "", "", ""));
            reinvites.push(message);
        }
    }
    assert_eq!(reinvites.len(), 1, "the next try");
    assert!(world.events.is_empty(), "an eighth of the interval has passed, and then some: {:?}", world.events);
    let contact = "Contact: <sip:bob@192.0.2.9:5070>\nSession-Expires: 30;refresher=uac\n";
    world.say(&reply(&reinvites[0], "200 OK", "", contact, "v=0"));
    assert!(matches!(&world.events_of(0)[..], [Event::OfferDone { result: Ok(_) }]));
    world.pass(secs(16));
    assert!(matches!(&world.events_of(0)[..], [Event::Refresh]));
}

#[test]
fn an_update_that_the_peer_cannot_take_after_all_becomes_a_reinvite() {
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\nAllow: UPDATE\n");
    world.pass(secs(151));
    let update = world.heard().remove(0);
    world.say(&reply(&update, "501 Not Implemented", "", "", ""));
    assert!(matches!(&world.events_of(0)[..], [Event::Refresh]));
}

#[test]
fn rfc4028_10_a_refresh_that_draws_481_or_nothing_ends_the_session_by_bye() {
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\nAllow: UPDATE\n");
    world.pass(secs(151));
    let update = world.heard().remove(0);
    let bye = world.say(&reply(&update, "481 Call Does Not Exist", "", "", ""));
    assert!(bye[0].starts_with("BYE"));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, Some(481))));
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\nAllow: UPDATE\n");
    world.pass(secs(150 + 33));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    assert!(world.heard().iter().any(|message| message.starts_with("BYE")));
    world.assert_nothing_left();
}

#[test]
fn rfc4028_10_a_refresh_that_is_refused_is_tried_again_and_the_session_ends_when_none_succeeds() {
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\nAllow: UPDATE\n");
    let mut updates = std::collections::BTreeSet::new();
    for _ in 0..300 {
        world.pass(secs(1));
        for message in world.heard() {
            if message.starts_with("UPDATE") {
                updates.insert(header(&message, "CSeq").unwrap().to_owned());
                world.say(&reply(&message, "500 Server Error", "", "", ""));
            }
        }
    }
    assert_eq!(updates.len(), 4, "at half, then at each eighth");
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
}

#[test]
fn rfc4028_7_4_a_422_to_a_refresh_makes_the_interval_longer() {
    let (mut world, _) = dialled("Session-Expires: 300;refresher=uac\nAllow: UPDATE\n");
    world.pass(secs(151));
    let update = world.heard().remove(0);
    let again = world.say(&reply(&update, "422 Too Small", "", "Min-SE: 900\n", ""));
    assert_eq!((expires(&again[0]), header(&again[0], "Min-SE")), (Some("900;refresher=uac"), Some("900")));
}

#[test]
fn faults_20_a_peer_that_should_refresh_and_is_silent_gets_a_bye_before_the_session_expires() {
    // A third of 90 s is 30 s, less than 32 s; 32 s are less than a third of 300 s.
    for (interval, until) in [(90, 60), (300, 268)] {
        let (mut world, _, _) = called(&format!("Supported: timer\nSession-Expires: {interval};refresher=uac\n"));
        world.pass(secs(until - 1));
        assert!(world.events.is_empty() && world.heard().is_empty(), "{interval}");
        world.pass(secs(2));
        assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
        let bye = world.heard().remove(0);
        assert!(bye.starts_with("BYE") && header(&bye, "Reason").unwrap().starts_with("SIP;cause=408"), "{bye}");
        world.assert_nothing_left();
    }
}

#[test]
fn rfc4028_9_a_refresh_of_the_peer_is_answered_and_the_interval_begins_anew() {
    let (mut world, leg, ok) = called("Supported: timer\nSession-Expires: 300;refresher=uac\n");
    for round in 0..4 {
        world.pass(secs(200));
        let refresh = within(&ok, "UPDATE", 2 + round, "Supported: timer\nSession-Expires: 300;refresher=uac\n");
        let heard = world.say(&refresh);
        assert_eq!((status(&heard[0]), expires(&heard[0])), (200, Some("300;refresher=uac")));
    }
    assert!(world.events.is_empty());
    // By re-INVITE, and with the roles the other way round.
    let reinvite = within(&ok, "INVITE", 9, &format!("Supported: timer\nSession-Expires: 300;refresher=uas\n{SDP}"));
    world.say(&reinvite.replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=0"));
    world.command(0, Command::AcceptOffer { leg, answer: Bytes::from_static(ANSWER) });
    world.pass(ms(5));
    let ok = world.heard().remove(0);
    assert_eq!(expires(&ok), Some("300;refresher=uas"));
    world.say(&within(&ok, "ACK", 9, ""));
    world.events.clear();
    world.pass(secs(151));
    assert!(matches!(&world.events_of(0)[..], [Event::Refresh]), "now we are the one");
}

#[test]
fn a_session_without_timers_lives_without_them() {
    let (mut world, _) = dialled("");
    world.pass(secs(7200));
    assert!(world.events.is_empty() && world.heard().is_empty());
    let (mut world, _, _) = called("");
    world.pass(secs(7200));
    assert!(world.events.is_empty() && world.heard().is_empty());
}

#[test]
fn session_timers_can_be_switched_off_and_differ_by_peer() {
    let mut off = config(a());
    off.session_timer.enabled = false;
    let mut world = World::with(1, [off]);
    let heard = world.say(&invite("Require: timer\nSupported: timer\nSession-Expires: 600\n"));
    assert_eq!((status(&heard[0]), header(&heard[0], "Unsupported")), (420, Some("timer")));
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    assert_eq!((expires(&invite), header(&invite, "Supported")), (None, Some("100rel, replaces, norefersub")));
    let mut differs = config(a());
    let own = SessionTimer { expires: secs(600), min: secs(300), enabled: true };
    differs.session_timers = vec![("192.0.2.9".parse().unwrap(), own)];
    let mut world = World::with(1, [differs]);
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    assert_eq!((expires(&invite), header(&invite, "Min-SE")), (Some("600"), Some("300")));
}

#[test]
fn a_trunk_that_is_known_by_name_has_its_own_interval_in_both_directions() {
    let own = SessionTimer { expires: secs(600), min: secs(300), enabled: true };
    // Called: whoever calls it says so, whatever stands at its address.
    let mut world = World::alone();
    world.command(
        0,
        Command::Dial { leg: OUT, dial: Box::new(Dial { session_timer: Some(own), ..*dial(hand(), a()) }) },
    );
    world.pass(ms(5));
    let dialled = world.heard().remove(0);
    assert_eq!((expires(&dialled), header(&dialled, "Min-SE")), (Some("600"), Some("300")));
    let contact = "Contact: <sip:bob@192.0.2.9:5070>\nSupported: timer\nSession-Expires: 600;refresher=uas\n";
    world.say(&reply(&dialled, "200 OK", "one", contact, "v=0"));
    let update = request("UPDATE", "Supported: timer\nSession-Expires: 120\n")
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(&dialled, "From").unwrap()))
        .replace("Call-ID: ", "X-Was: ");
    let update = replaced(&update, "From", &format!("{};tag=one", header(&dialled, "To").unwrap()));
    let update = format!("{}\nCall-ID: {}\n\n", update.trim_end(), header(&dialled, "Call-ID").unwrap());
    let answer = world.say(&update).remove(0);
    assert_eq!((status(&answer), header(&answer, "Min-SE")), (422, Some("300")), "in the dialog its own word counts");
    // It calls, from where its name was found.
    let mut world = World::alone();
    let invite = invite("Supported: timer\nSession-Expires: 120\n");
    assert_eq!(status(&world.say(&invite)[0]), 100, "nobody in particular");
    let mut world = World::alone();
    let addresses = vec![hand().ip()];
    world.ask(OutsideCommand::Allow { id: OutsideId(1), addresses, session_timer: Some(own) });
    let answer = world.say(&invite).remove(0);
    assert_eq!((status(&answer), header(&answer, "Min-SE")), (422, Some("300")));
    let mut off = config(a());
    off.session_timer.enabled = false;
    let mut world = World::with(1, [off]);
    world.command(
        0,
        Command::Dial { leg: OUT, dial: Box::new(Dial { session_timer: Some(own), ..*dial(hand(), a()) }) },
    );
    world.pass(ms(5));
    assert_eq!(expires(&world.heard().remove(0)), None, "whether sessions are timed is one word for all");
}

/// A message with another value of a header.
fn replaced(message: &str, name: &str, value: &str) -> String {
    let line =
        |line: &str| if line.starts_with(&format!("{name}:")) { format!("{name}: {value}") } else { line.to_owned() };
    message.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn two_of_us_refresh_one_another_for_hours() {
    let mut world = World::new(1);
    let leg = established(&mut world);
    world.pass(secs(4 * 3600));
    assert!(world.events.is_empty());
    assert_eq!(world.count(a(), "UPDATE"), 16, "each half hour is refreshed at its half");
    world.command(1, Command::Hangup { leg, reason: None });
    world.pass(ms(50));
    assert_eq!((world.count(b(), "BYE"), world.count(a(), "BYE")), (1, 0));
    world.assert_nothing_left();
}
