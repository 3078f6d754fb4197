//! REFER sent, and its NOTIFYs followed to their end (RFC 3515, RFC 3420, RFC 3892, RFC 6665).

use crate::world::{Caller, OUT, World, a, b, dial, established, hand, header, ms, reply, request, status};
use signaling::{Command, Credentials, Event, Refer, Referral};
use std::time::Duration;

fn refer(to: &str) -> Box<Refer> {
    Box::new(Refer {
        to: to.into(),
        replaces: None,
        referred_by: Some("sip:tandem@192.0.2.1".into()),
        subscribe: true,
        timeout: Duration::from_secs(30),
    })
}

fn referrals(world: &mut World) -> Vec<Referral> {
    let referral = |event| match event {
        Event::Referral(referral) => Some(referral),
        _ => None,
    };
    world.events_of(0).into_iter().filter_map(referral).collect()
}

/// A caller who was sent a REFER: the REFER.
fn referred() -> (Caller, String) {
    let mut caller = Caller::answered();
    let leg = caller.leg;
    let sent = caller.command(Command::Refer { leg, refer: refer("tel:+15550199") }).remove(0);
    (caller, sent)
}

fn notify(caller: &mut Caller, event: &str, state: &str, fragment: &str) -> u16 {
    let more = format!("Event: {event}\nSubscription-State: {state}\nContent-Type: message/sipfrag;version=2.0\n");
    let message = caller.written("NOTIFY", &more, fragment);
    status(&caller.world.say(&message)[0])
}

#[test]
fn rfc3515_2_1_a_refer_goes_to_the_remote_target_with_one_refer_to() {
    let (_, sent) = referred();
    assert!(sent.starts_with("REFER sip:caller@192.0.2.9:5070 SIP/2.0"));
    assert_eq!(header(&sent, "Refer-To"), Some("<tel:+15550199>"), "a number stays a number");
    assert_eq!(header(&sent, "Referred-By"), Some("<sip:tandem@192.0.2.1>"));
    assert!(header(&sent, "Contact").is_some());
    assert!(header(&sent, "Supported").unwrap().contains("norefersub"));
    assert_eq!(header(&sent, "Refer-Sub"), None);
}

#[test]
fn rfc3261_12_2_1_1_a_refer_follows_the_route_set() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let more = "Contact: <sip:bob@10.9.9.9>\nRecord-Route: <sip:192.0.2.9:5070;lr>\n";
    world.say(&reply(&invite, "200 OK", "x", more, "v=0"));
    world.command(0, Command::Refer { leg: OUT, refer: refer("sip:carol@example.com") });
    world.pass(ms(5));
    let sent = world.heard().into_iter().find(|message| message.starts_with("REFER")).unwrap();
    assert!(sent.starts_with("REFER sip:bob@10.9.9.9 SIP/2.0"));
    assert_eq!(header(&sent, "Route"), Some("<sip:192.0.2.9:5070;lr>"));
}

#[test]
fn rfc3515_2_4_4_the_outcome_is_followed_to_its_end() {
    let (mut caller, sent) = referred();
    caller.answer(&sent, "202 Accepted");
    assert_eq!(notify(&mut caller, "refer", "active;expires=60", "SIP/2.0 100 Trying\r\n"), 200);
    assert_eq!(notify(&mut caller, "refer", "active;expires=60", "SIP/2.0 180 Ringing\r\n"), 200);
    assert_eq!(notify(&mut caller, "refer", "terminated;reason=noresource", "SIP/2.0 200 OK\r\n"), 200);
    let expected = [
        Referral::Accepted { subscribed: true },
        Referral::Progress { status: 100 },
        Referral::Progress { status: 180 },
        Referral::Done { status: Some(200) },
    ];
    assert_eq!(referrals(&mut caller.world), expected);
    assert_eq!(notify(&mut caller, "refer", "terminated", "SIP/2.0 200 OK\r\n"), 481, "the subscription is over");
    let leg = caller.leg;
    let bye = caller.command(Command::Hangup { leg, reason: None }).remove(0);
    caller.answer(&bye, "200 OK");
    caller.world.assert_nothing_left();
}

#[test]
fn rfc6665_4_1_2_4_news_before_the_answer_counts_and_the_answer_is_not_told_twice() {
    let (mut caller, sent) = referred();
    let number = header(&sent, "CSeq").unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(notify(&mut caller, &format!("refer;id={number}"), "active", "SIP/2.0 100 Trying\r\n"), 200);
    caller.answer(&sent, "202 Accepted");
    let expected = [Referral::Accepted { subscribed: true }, Referral::Progress { status: 100 }];
    assert_eq!(referrals(&mut caller.world), expected);
}

#[test]
fn rfc3515_a_refused_refer_says_why_and_the_call_stays() {
    for (line, code) in [("603 Decline", 603), ("405 Method Not Allowed", 405), ("501 Not Implemented", 501)] {
        let (mut caller, sent) = referred();
        caller.answer(&sent, line);
        assert_eq!(caller.world.events_of(0).len(), 1);
        let (mut caller, sent) = referred();
        caller.answer(&sent, line);
        assert_eq!(referrals(&mut caller.world), [Referral::Refused { status: code }]);
    }
}

#[test]
fn rfc3515_a_refer_that_nobody_answers_times_out() {
    let (mut caller, _) = referred();
    caller.world.pass(Duration::from_secs(29));
    assert_eq!(referrals(&mut caller.world), []);
    caller.world.pass(Duration::from_secs(2));
    assert_eq!(referrals(&mut caller.world), [Referral::TimedOut]);
    caller.world.pass(Duration::from_secs(10));
    assert_eq!(referrals(&mut caller.world), [], "once");
}

#[test]
fn rfc6665_4_1_2_a_peer_that_stops_telling_is_waited_for_as_long_as_it_said() {
    let (mut caller, sent) = referred();
    caller.answer(&sent, "202 Accepted");
    notify(&mut caller, "refer", "active;expires=60", "SIP/2.0 180 Ringing\r\n");
    referrals(&mut caller.world);
    caller.world.pass(Duration::from_secs(59));
    assert_eq!(referrals(&mut caller.world), []);
    caller.world.pass(Duration::from_secs(2));
    assert_eq!(referrals(&mut caller.world), [Referral::TimedOut]);
}

#[test]
fn rfc6665_a_notify_of_nothing_we_asked_for_is_refused() {
    let mut caller = Caller::answered();
    assert_eq!(notify(&mut caller, "refer", "active", "SIP/2.0 100 Trying\r\n"), 481);
    let (mut caller, _) = referred();
    assert_eq!(notify(&mut caller, "refer;id=99", "active", "SIP/2.0 100 Trying\r\n"), 481);
    assert_eq!(notify(&mut caller, "presence", "active", ""), 489);
    assert_eq!(status(&caller.say("NOTIFY", "")[0]), 489);
    assert_eq!(status(&caller.say("NOTIFY", "Event: refer\n")[0]), 400);
    let more = "Event: refer\nSubscription-State: active\nContent-Type: application/pidf+xml\n";
    let message = caller.written("NOTIFY", more, "<x/>");
    assert_eq!(status(&caller.world.say(&message)[0]), 415);
    assert_eq!(referrals(&mut caller.world), []);
    // Outside of a dialog as well.
    let mut world = World::alone();
    assert_eq!(status(&world.say(&request("NOTIFY", "Event: refer\nSubscription-State: active\n"))[0]), 481);
}

#[test]
fn rfc3261_22_a_challenged_refer_shows_credentials_to_the_next_hop_twice_at_most() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    dial.credentials =
        Some(Credentials { realm: Some("isp".into()), username: "trunk".into(), password: "canary".into() });
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    world.say(&reply(&invite, "200 OK", "x", "Contact: <sip:bob@192.0.2.9:5070>\n", "v=0"));
    world.heard();
    world.command(0, Command::Refer { leg: OUT, refer: refer("sip:carol@example.com") });
    world.pass(ms(5));
    let mut refers = world.heard();
    assert_eq!(header(&refers[0], "Authorization"), None);
    for nonce in ["1", "2", "3", "4"] {
        let challenge =
            format!("WWW-Authenticate: Digest realm=\"isp\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256\n");
        let heard = world.say(&reply(refers.last().unwrap(), "401 Unauthorized", "", &challenge, ""));
        refers.extend(heard);
    }
    assert_eq!(refers.len(), 3, "one without and two with credentials");
    assert!(header(&refers[1], "Authorization").unwrap().contains("username=\"trunk\""));
    assert_eq!(header(&refers[1], "Refer-To"), header(&refers[0], "Refer-To"));
    assert!(!refers[1].contains("canary"));
    assert_eq!(referrals(&mut world), [Referral::Refused { status: 401 }]);
}

#[test]
fn no_uri_of_call_control_breaks_out_of_its_header() {
    let mut caller = Caller::answered();
    let leg = caller.leg;
    for wrong in ["sip:a@b>\r\nX-Evil: y", "sip:a b@c", "http://a", ""] {
        assert!(caller.command(Command::Refer { leg, refer: refer(wrong) }).is_empty());
        assert_eq!(referrals(&mut caller.world), [Referral::Refused { status: 400 }], "{wrong:?}");
    }
    let by = Box::new(Refer { referred_by: Some("sip:a@b>\r\nX: y".into()), ..*refer("sip:a@b") });
    assert!(caller.command(Command::Refer { leg, refer: by }).is_empty());
    assert_eq!(referrals(&mut caller.world), [Referral::Refused { status: 400 }]);
}

#[test]
fn rfc3515_one_refer_at_a_time_and_none_before_the_answer() {
    let (mut caller, _) = referred();
    let leg = caller.leg;
    assert!(caller.command(Command::Refer { leg, refer: refer("sip:a@b") }).is_empty());
    assert_eq!(referrals(&mut caller.world), [Referral::Refused { status: 491 }]);
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.command(0, Command::Refer { leg: OUT, refer: refer("sip:a@b") });
    assert_eq!(referrals(&mut world), [Referral::Refused { status: 491 }]);
}

#[test]
fn rfc3515_two_cores_refer_each_other_and_the_end_of_the_leg_ends_the_subscription() {
    let mut world = World::new(3);
    let other = established(&mut world);
    world.command(0, Command::Refer { leg: OUT, refer: refer("sip:carol@example.com") });
    world.pass(ms(10));
    world.command(1, Command::AcceptRefer { leg: other });
    world.pass(ms(10));
    world.command(1, Command::NotifyRefer { leg: other, status: 180 });
    world.pass(ms(10));
    world.command(1, Command::NotifyRefer { leg: other, status: 200 });
    world.pass(ms(20));
    let expected = [
        Referral::Accepted { subscribed: true },
        Referral::Progress { status: 100 },
        Referral::Progress { status: 180 },
        Referral::Done { status: Some(200) },
    ];
    assert_eq!(referrals(&mut world), expected);
    // Again, and this time the call ends while the subscription runs.
    world.command(0, Command::Refer { leg: OUT, refer: refer("sip:carol@example.com") });
    world.pass(ms(10));
    world.command(1, Command::AcceptRefer { leg: other });
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(10));
    world.command(1, Command::NotifyRefer { leg: other, status: 200 });
    assert_eq!(world.count(b(), "SIP/2.0 202"), 2);
    world.assert_nothing_left();
}
