//! Guessing, scanning and flooding: what a stranger gets to know, to fill and to use.

use crate::{
    phone::{Phone, desk, home, registration},
    world::{World, a, config, hand, header, ms, request, status},
};
use signaling::{Abuse, Config, Unknown};
use std::{net::SocketAddr, time::Duration};

fn guarded(abuse: Abuse, unknown: Unknown) -> World {
    World::with(1, [Config { registration: Some(registration()), abuse, unknown, ..config(a()) }])
}

fn banned(world: &World) -> usize {
    world.cores[0].1.banned(world.now)
}

/// What differs between two answers by chance alone, made equal: tags and nonces, of one length each.
fn levelled(answer: &str, user: &str) -> String {
    let mut levelled = answer.replace(user, "USER");
    for (name, end) in [("nonce=\"", '"'), (">;tag=", '\r')] {
        let mut from = 0;
        while let Some(at) = levelled[from..].find(name).map(|at| from + at + name.len()) {
            let length = levelled[at..].find(end).unwrap();
            levelled.replace_range(at..at + length, &"x".repeat(length));
            from = at + length;
        }
    }
    levelled
}

#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_bytes() {
    let mut answers = Vec::new();
    // Names of one length: they stand in the answer because they stood in the request.
    for (user, password) in [("anna", "wrong"), ("nobo", "wrong"), ("nobo", "canary")] {
        let mut world = desk();
        let mut phone = Phone { password: password.into(), call_id: "one".into(), ..Phone::new(user) };
        let first = phone.ask(&mut world, "");
        let authorization = phone.authorization(&first, "REGISTER", "sip:desk.example", 1);
        let second = phone.ask(&mut world, &format!("Authorization: {authorization}\n"));
        assert_eq!(world.cores[0].1.counters().failed_authentications, 1);
        answers.push((levelled(&first, user), levelled(&second, user)));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[1], answers[2]);
    assert!(answers[0].1.starts_with("SIP/2.0 401") && !answers[0].1.contains("stale"), "{}", answers[0].1);
}

#[test]
fn a_guesser_is_banned_and_let_in_again_when_the_ban_is_over() {
    let abuse = Abuse { failures: 3, ban: Duration::from_secs(30), ..Abuse::default() };
    let mut world = guarded(abuse, Unknown::Silent);
    let mut guesser = Phone { password: "guess".into(), ..Phone::new("anna") };
    assert_eq!(status(&guesser.online(&mut world, 120)), 401);
    assert_eq!(status(&guesser.online(&mut world, 120)), 401);
    assert_eq!(guesser.online(&mut world, 120), "", "the third guess is the last that is heard");
    assert_eq!(guesser.ask(&mut world, ""), "");
    assert_eq!(banned(&world), 1);
    // Another address is another matter.
    let mut neighbour = Phone { source: "203.0.113.6:5060".parse().unwrap(), ..Phone::new("ben") };
    assert_eq!(status(&neighbour.online(&mut world, 120)), 200);
    world.pass(Duration::from_secs(31));
    assert_eq!(banned(&world), 0);
    let mut owner = Phone { call_id: "owner".into(), ..Phone::new("anna") };
    assert_eq!(status(&owner.online(&mut world, 120)), 200);
}

#[test]
fn a_ban_does_not_shut_out_the_phone_that_is_registered_from_the_same_address() {
    let mut world = guarded(Abuse { failures: 2, ..Abuse::default() }, Unknown::Silent);
    let mut anna = Phone::new("anna");
    anna.online(&mut world, 300);
    let mut guesser = Phone { password: "guess".into(), ..Phone::new("ben") };
    for _ in 0..4 {
        guesser.online(&mut world, 300);
    }
    assert_eq!(banned(&world), 1);
    assert_eq!(guesser.ask(&mut world, ""), "");
    assert_eq!(status(&anna.online(&mut world, 300)), 200);
}

#[test]
fn a_trunk_is_never_banned() {
    let mut world = guarded(Abuse { failures: 1, strangers: 1, ..Abuse::default() }, Unknown::Silent);
    let mut guesser = Phone { password: "guess".into(), source: hand(), ..Phone::new("anna") };
    for _ in 0..20 {
        assert_eq!(status(&guesser.online(&mut world, 300)), 401);
        world.inject(0, hand(), "garbage\r\n\r\n");
    }
    assert_eq!(banned(&world), 0);
    assert_eq!(status(&world.say(&request("INVITE", "")).pop().unwrap()), 100);
}

#[test]
fn forged_digests_ban_nobody() {
    // The nonce of somebody else: whoever owns this address may never have sent it.
    let mut world = guarded(Abuse { failures: 1, ..Abuse::default() }, Unknown::Silent);
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    let mut forger = Phone { password: "guess".into(), source: "203.0.113.77:5060".parse().unwrap(), ..phone.clone() };
    for _ in 0..10 {
        let authorization = forger.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
        assert_eq!(status(&forger.ask(&mut world, &format!("Authorization: {authorization}\n"))), 401);
        world.pass(Duration::from_secs(1));
    }
    assert_eq!((banned(&world), world.cores[0].1.counters().failed_authentications), (0, 0));
}

#[test]
fn scanning_and_garbage_ban_an_unknown_source() {
    for garbage in [false, true] {
        let mut world = guarded(Abuse { strangers: 5, ..Abuse::default() }, Unknown::Forbid);
        let knock = |world: &mut World, number: u32| {
            if garbage {
                world.inject(0, home(), "\u{1}garbage\r\n\r\n");
                return Vec::new();
            }
            world.say_from(home(), &request("OPTIONS", "").replace("call-1", &format!("call-{number}")))
        };
        for number in 0..4 {
            assert_eq!(knock(&mut world, number).len(), usize::from(!garbage));
        }
        assert_eq!(banned(&world), 0);
        knock(&mut world, 5);
        assert_eq!(banned(&world), 1);
        assert!(world.say_from(home(), &request("OPTIONS", "")).is_empty());
        assert_eq!(world.cores[0].1.counters().dropped_banned, 1);
    }
}

#[test]
fn a_flood_from_an_unknown_source_leaves_nothing_behind_and_legitimate_calls_go_on() {
    let mut world = guarded(Abuse { ban: Duration::ZERO, ..Abuse::default() }, Unknown::Forbid);
    let (mut said, mut heard) = (0, 0);
    for second in 0..5 {
        for number in 0..2_000 {
            let flood = request("INVITE", "").replace("call-1", &format!("flood-{second}-{number}"));
            let flood = flood.replace("z9hG4bK-", &format!("z9hG4bK-{second}-{number}-"));
            said += flood.len();
            world.inject(0, home(), flood.replace('\n', "\r\n"));
        }
        world.pass(Duration::from_secs(1));
        heard += world.heard().iter().map(String::len).sum::<usize>();
        assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default(), "nothing is remembered");
    }
    assert!(heard * 20 < said, "{heard} bytes for {said}");
    assert!(world.cores[0].1.counters().dropped_rate > 9_000);
    assert_eq!(status(&world.say(&request("INVITE", "")).pop().unwrap()), 100);
}

#[test]
fn what_a_stranger_is_answered_is_at_most_half_as_long_again_as_what_they_said() {
    let mut world =
        guarded(Abuse { strangers: 10_000, requests_per_second: 10_000, ..Abuse::default() }, Unknown::Forbid);
    Phone { source: "198.51.100.1:5060".parse().unwrap(), ..Phone::new("ben") }.online(&mut world, 300);
    let sources: [SocketAddr; 2] = [home(), "198.51.100.1:5060".parse().unwrap()];
    let mut answered = 0;
    for padding in (0..600).step_by(7) {
        for (method, from) in [("REGISTER", sources[0]), ("INVITE", sources[1]), ("OPTIONS", sources[0])] {
            let pad = format!("X-Pad: {}\n", "x".repeat(padding));
            let short = format!(
                "{method} sip:desk.example SIP/2.0\nv:SIP/2.0/UDP h;branch=z9hG4bK{method}{padding};rport\nf:<sip:a@desk.example>;tag=1\n\
                 t:<sip:a@desk.example>\ni:{padding}\nCSeq:1 {method}\nm:<sip:a@h>\n{pad}\n"
            );
            let length = short.replace('\n', "\r\n").len();
            for answer in world.say_from(from, &short) {
                answered += 1;
                assert!(answer.len() * 2 <= length * 3, "{length} bytes drew {}:\n{answer}", answer.len());
            }
        }
    }
    assert!(answered > 100, "{answered}");
}

#[test]
fn a_small_register_gets_the_best_challenge_alone() {
    let mut world = desk();
    let register = "REGISTER sip:desk.example SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.5;branch=z9hG4bK1;rport\n\
                    From: <sip:anna@desk.example>;tag=1\nTo: <sip:anna@desk.example>\nCall-ID: 1\nCSeq: 1 REGISTER\n\
                    Contact: <sip:anna@203.0.113.5>\nMax-Forwards: 70\nExpires: 300\n\n";
    let answer = world.say_from(home(), register).pop().unwrap();
    assert_eq!(crate::phone::challenges(&answer).len(), 1, "{answer}");
    assert!(header(&answer, "WWW-Authenticate").unwrap().contains("SHA-256"));
    world.pass(ms(1));
}
