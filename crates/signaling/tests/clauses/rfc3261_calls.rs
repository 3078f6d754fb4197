//! Whole calls between two cores: RFC 3261 sections 9, 13, 15.

use crate::world::{ANSWER, OFFER, OUT, World, a, b, dial, ended, established, hand, header, ms, reply, request};
use bytes::Bytes;
use signaling::{Command, EndedBy, Event, Reason};
use std::time::Duration;

#[test]
fn rfc3261_13_a_call_is_dialled_rings_is_answered_and_ends() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, incoming) = world.incoming(1);
    assert_eq!(incoming.offer.as_deref(), Some(OFFER));
    assert_eq!(incoming.from.display, "Alice \"A\"");
    assert_eq!(incoming.from.uri, "sip:alice@example.com");
    assert_eq!(incoming.to.user(), Some("bob"));
    assert_eq!(incoming.header("x-tandem-call-id"), Some("c_1"));
    assert_eq!(incoming.max_forwards, 70);
    world.command(1, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(ms(20));
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(20));
    let events = world.events_of(0);
    assert!(matches!(&events[0], Event::Dialling { call_id } if *call_id == incoming.call_id));
    assert!(matches!(&events[1], Event::Provisional { status: 180, body: None }));
    assert!(matches!(&events[2], Event::Answered { body: Some(body), .. } if body == ANSWER));
    assert_eq!(events.len(), 3);
    assert!(matches!(world.events_of(1).last(), Some(Event::Acked { body: None })));
    let reason = Reason { protocol: "Q.850".into(), cause: Some(16), text: None };
    world.command(0, Command::Hangup { leg: OUT, reason: Some(reason.clone()) });
    world.pass(ms(20));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
    let events = world.events_of(1);
    assert!(matches!(&events[..], [Event::Ended { by: EndedBy::Peer, reason: Some(r), .. }] if *r == reason));
    let lines: Vec<_> = world
        .sent
        .iter()
        .map(|(.., bytes)| String::from_utf8_lossy(bytes).lines().next().unwrap().to_owned())
        .collect();
    let expected = [
        "INVITE sip:bob@192.0.2.2:5060 SIP/2.0",
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 200 OK",
        "ACK sip:192.0.2.2:5060 SIP/2.0",
        "BYE sip:192.0.2.2:5060 SIP/2.0",
        "SIP/2.0 200 OK",
    ];
    assert_eq!(lines, expected);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_15_the_called_party_hangs_up() {
    let mut world = World::new(1);
    let leg = established(&mut world);
    world.command(1, Command::Hangup { leg, reason: None });
    world.pass(ms(20));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Us, None)));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_13_a_refusal_ends_the_leg_with_its_status_and_is_acknowledged() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    world.command(1, Command::Reject { leg, status: 486, reason: None, headers });
    world.pass(ms(20));
    let events = world.events_of(0);
    assert!(
        matches!(events.last(), Some(Event::Ended { by: EndedBy::Refused, status: Some(486), retry_after: Some(wait), .. })
            if *wait == Duration::from_secs(7))
    );
    assert_eq!(world.count(a(), "ACK"), 1);
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Us, Some(486))));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_9_1_cancel_follows_the_first_provisional_response() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    assert_eq!(world.count(a(), "CANCEL"), 0, "nobody has answered yet");
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
    world.pass(ms(20));
    assert_eq!(world.count(a(), "CANCEL"), 1);
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Cancel, Some(487))));
    assert_eq!(world.count(b(), "SIP/2.0 487"), 1);
    assert_eq!(world.count(a(), "ACK"), 1);
    let (invite, cancel) = (world.last(a(), "INVITE"), world.last(a(), "CANCEL"));
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(header(&invite, name), header(&cancel, name), "{name}");
    }
    assert_eq!(header(&cancel, "CSeq"), Some("1 CANCEL"));
    world.assert_nothing_left();
}

/// The phone rings, and its 100 and 180 were lost: it must not ring on for nobody.
#[test]
fn rfc3261_9_1_an_invite_given_up_before_any_response_is_repeated_until_one_comes_and_then_ends() {
    for (answer, follow) in
        [("180 Ringing", vec!["CANCEL"]), ("200 OK", vec!["ACK", "BYE"]), ("486 Busy Here", vec!["ACK"])]
    {
        let mut world = World::alone();
        world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
        world.pass(ms(5));
        let invite = world.heard().remove(0);
        world.command(0, Command::Hangup { leg: OUT, reason: None });
        assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
        world.pass(ms(8_000));
        let copies = world.heard();
        assert_eq!(copies, vec![invite.clone(); 4], "0.5, 1.5, 3.5 and 7.5 s after the first");
        let contact = "Contact: <sip:bob@192.0.2.9:5070>\n";
        let heard = world.say(&reply(&invite, answer, "one", contact, ""));
        let methods: Vec<_> = heard.iter().map(|message| message.split(' ').next().unwrap()).collect();
        assert_eq!(methods, follow, "{answer}");
        world.pass(ms(400));
        assert!(world.heard().iter().all(|message| !message.starts_with("INVITE")), "{answer}");
    }
}

#[test]
fn rfc3261_9_1_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    // Both at the same moment: the CANCEL and the 200 pass each other.
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(50));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Peer, None)));
    assert_eq!(world.count(a(), "CANCEL"), 1);
    assert_eq!(world.count(a(), "ACK"), 1);
    assert_eq!(world.count(a(), "BYE"), 1);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_15_the_bye_to_our_200_waits_for_its_ack() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.command(1, Command::Hangup { leg, reason: None });
    assert_eq!(world.count(b(), "BYE"), 0);
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Us, None)));
    world.pass(ms(50));
    assert_eq!(world.count(b(), "BYE"), 1);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_17_1_1_2_an_invite_that_nobody_answers_is_repeated_for_32_seconds_then_times_out() {
    let nobody = "192.0.2.9:5060".parse().unwrap();
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(nobody, a()) });
    world.pass(Duration::from_secs(40));
    let times: Vec<u64> = world.ladder(a()).iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert!(world.sent.windows(2).all(|two| two[0].3 == two[1].3), "copies are identical");
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    world.assert_nothing_left();
}

#[test]
fn timer_c_cancels_an_invite_that_rings_for_too_long() {
    let mut world = World::new(1);
    let mut dial = dial(b(), a());
    dial.invite_timeout = Duration::from_secs(20);
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(Duration::from_secs(21));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Cancel, Some(487))));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_13_3_1_4_our_200_is_repeated_until_t2_and_ended_when_no_ack_comes() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    world.weather.lost = 1000;
    world.sent.clear();
    let answered = world.now.monotonic.as_nanos() / 1_000_000;
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(Duration::from_secs(33));
    let copies: Vec<u64> = world
        .ladder(b())
        .iter()
        .filter(|(_, line)| line.starts_with("SIP/2.0 200"))
        .map(|(at, _)| at - answered)
        .collect();
    assert_eq!(copies, [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Timeout, Some(408))));
    assert!(world.count(b(), "BYE") >= 1);
    world.pass(Duration::from_secs(60));
    world.assert_nothing_left();
}

#[test]
fn an_invite_that_call_control_forgets_is_refused() {
    let mut world = World::new(1);
    let mut dial = dial(b(), a());
    dial.invite_timeout = Duration::from_secs(600);
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(Duration::from_secs(301));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(408))));
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Timeout, Some(408))));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_13_3_1_1_a_long_ringing_is_repeated_each_minute() {
    let mut world = World::new(1);
    let mut dial = dial(b(), a());
    dial.invite_timeout = Duration::from_secs(600);
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    world.command(1, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(Duration::from_secs(130));
    assert_eq!(world.count(b(), "SIP/2.0 180"), 3);
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut world = World::new(1);
    let mut dial = dial(b(), a());
    dial.offer = None;
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(20));
    let (leg, incoming) = world.incoming(1);
    assert_eq!(incoming.offer, None);
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(OFFER)), headers: vec![] });
    world.pass(ms(20));
    assert!(matches!(world.events_of(0).last(), Some(Event::Answered { body: Some(body), .. }) if body == OFFER));
    assert_eq!(world.count(a(), "ACK"), 0);
    world.command(0, Command::AnswerLate { leg: OUT, answer: Bytes::from_static(ANSWER) });
    world.pass(ms(20));
    assert!(matches!(world.events_of(1).last(), Some(Event::Acked { body: Some(body) }) if body == ANSWER));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

#[test]
fn a_late_offer_that_is_never_answered_ends_the_call() {
    let mut world = World::new(1);
    let mut dial = dial(b(), a());
    dial.offer = None;
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(OFFER)), headers: vec![] });
    world.pass(Duration::from_secs(15));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Peer, None)));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_17_1_4_a_peer_that_the_network_says_is_gone_ends_the_dial_at_once() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.transmit_failed(0, hand());
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Transport, Some(503))));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_17_1_4_an_established_call_survives_a_transport_error_until_its_timers_say_otherwise() {
    let mut world = World::new(1);
    established(&mut world);
    world.transmit_failed(0, b());
    assert!(world.events.is_empty());
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.transmit_failed(0, b());
    world.pass(ms(20));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Us, None)));
    world.assert_nothing_left();
}

#[test]
fn nothing_is_owed_once_the_bye_is_answered_though_copies_are_still_absorbed() {
    let mut world = World::new(1);
    let owed = |world: &World| [world.cores[0].1.is_owed(), world.cores[1].1.is_owed()];
    assert_eq!(owed(&world), [false, false]);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    assert!(owed(&world)[0], "the INVITE has no answer");
    world.pass(ms(50));
    let (leg, _) = world.incoming(1);
    assert_eq!(owed(&world), [true, true]);
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(50));
    world.command(1, Command::Hangup { leg, reason: None });
    assert_eq!(owed(&world), [true, true], "the BYE has no answer, and the other side does not know of it");
    world.pass(ms(50));
    assert_eq!(owed(&world), [false, false]);
    assert!(world.cores[0].1.gauges().transactions > 0, "what lingers owes nothing");
    world.assert_nothing_left();
}

#[test]
fn a_refusal_is_owed_until_its_ack_and_a_200_as_well() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Reject { leg, status: 486, reason: None, headers: vec![] });
    assert!(world.cores[0].1.is_owed(), "no ACK yet");
    world.say(&request("ACK", "").replace("bK-ACK", "bK-INVITE"));
    assert!(!world.cores[0].1.is_owed());
    world.say(&request("INVITE", "").replace("bK-INVITE", "bK-second").replace("call-1", "call-2"));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(OFFER)), headers: vec![] });
    world.command(0, Command::Hangup { leg, reason: None });
    assert!(world.cores[0].1.is_owed(), "the 200 has no ACK, so the BYE is not even out");
    world.pass(Duration::from_secs(70));
    assert!(!world.cores[0].1.is_owed());
    world.assert_nothing_left();
}
