//! Trunks that show a password for each call they bring (RFC 3261 section 22.2).

use crate::world::{World, a, config, header, request, status};
use signaling::{Event, Gate};
use std::net::SocketAddr;

fn pbx() -> SocketAddr {
    "198.51.100.7:5060".parse().unwrap()
}

fn gate(name: &str, realm: &str, password: &str) -> Gate {
    Gate {
        name: name.into(),
        networks: vec!["198.51.100.0/24".parse().unwrap()],
        realm: realm.into(),
        username: "pbx".into(),
        password: password.into(),
        digests: signaling::Digests::Both,
    }
}

fn gated() -> World {
    let mut config = config(a());
    config.gates = vec![gate("branch", "tandem", "canary")];
    World::with(1, [config])
}

fn invite(number: u32, more: &str) -> String {
    request("INVITE", more)
        .replace("z9hG4bK-INVITE", &format!("z9hG4bK-{number}"))
        .replace("CSeq: 1", &format!("CSeq: {number}"))
}

/// The answer to a challenge by an independent client.
fn authorization(challenge: &str, password: &str, uri: &str, count: u32) -> String {
    let value = |name: &str| {
        let start = challenge.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
        challenge[start..].split('"').next().unwrap().to_owned()
    };
    let hash = |text: String| {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (realm, nonce) = (value("realm"), value("nonce"));
    let a1 = hash(format!("pbx:{realm}:{password}"));
    let a2 = hash(format!("INVITE:{uri}"));
    let response = hash(format!("{a1}:{nonce}:{count:08x}:c:auth:{a2}"));
    format!(
        "Proxy-Authorization: Digest username=\"pbx\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=SHA-256, qop=auth, nc={count:08x}, cnonce=\"c\"\n"
    )
}

const URI: &str = "sip:line@192.0.2.1";

fn gates(world: &mut World) -> Vec<Option<String>> {
    let incoming = |event| match event {
        Event::Incoming(incoming) => Some(incoming.gate),
        _ => None,
    };
    world.events_of(0).into_iter().filter_map(incoming).collect()
}

fn challenge_of(answers: &[String]) -> String {
    assert_eq!(status(&answers[0]), 407, "{answers:?}");
    header(&answers[0], "Proxy-Authenticate").unwrap().to_owned()
}

#[test]
fn a_trunk_with_digest_is_not_known_by_its_address_alone() {
    let mut world = gated();
    let challenge = challenge_of(&world.say_from(pbx(), &invite(1, "")));
    assert!(challenge.contains("SHA-256") && challenge.contains("realm=\"tandem\""), "{challenge}");
    assert_eq!(gates(&mut world), [], "no call yet");
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default(), "and nothing is remembered");
    let answers = world.say_from(pbx(), &invite(2, &authorization(&challenge, "canary", URI, 1)));
    assert_eq!(status(&answers[0]), 100);
    assert_eq!(gates(&mut world), [Some("branch".to_owned())]);
}

#[test]
fn a_wrong_password_a_used_nonce_and_another_source_are_asked_again() {
    let mut world = gated();
    let challenge = challenge_of(&world.say_from(pbx(), &invite(1, "")));
    let wrong = challenge_of(&world.say_from(pbx(), &invite(2, &authorization(&challenge, "guess", URI, 1))));
    assert!(!wrong.contains("stale"));
    let elsewhere: SocketAddr = "198.51.100.8:5060".parse().unwrap();
    let other = challenge_of(&world.say_from(elsewhere, &invite(3, &authorization(&challenge, "canary", URI, 1))));
    assert!(other.contains("stale=true"), "a nonce is for the source it was sent to");
    let right = authorization(&challenge, "canary", URI, 1);
    assert_eq!(status(&world.say_from(pbx(), &invite(4, &right))[0]), 100);
    let again = challenge_of(&world.say_from(pbx(), &invite(5, &right)));
    assert!(again.contains("stale=true"), "a replay");
    let meant = authorization(&challenge, "canary", "sip:other@192.0.2.1", 2);
    let refused = world.say_from(pbx(), &invite(6, &meant));
    assert!(refused[0].starts_with("SIP/2.0 400 Bad Request: the digest is of another URI\r\n"), "{refused:?}");
    let default = authorization(&challenge, "canary", &format!("{URI}:5060"), 3);
    assert_eq!(status(&world.say_from(pbx(), &invite(7, &default))[0]), 100, "the same in other words");
    assert_eq!(gates(&mut world).len(), 2);
    let meant = authorization(&challenge, "canary", "sip:other@192.0.2.1", 4);
    assert_eq!(status(&world.say_from(pbx(), &invite(8, &meant))[0]), 400);
    assert_eq!(gates(&mut world), []);
}

#[test]
fn whoever_guesses_before_a_gate_is_banned_like_any_stranger() {
    let mut world = gated();
    let challenge = challenge_of(&world.say_from(pbx(), &invite(1, "")));
    let mut answered = 0;
    for number in 2..40 {
        answered += world.say_from(pbx(), &invite(number, &authorization(&challenge, "guess", URI, number))).len();
    }
    assert!(answered < 30, "{answered}");
    assert!(world.say_from(pbx(), &invite(99, "")).is_empty());
}

#[test]
fn an_address_that_another_trunk_allows_needs_no_password_and_is_not_this_trunk() {
    let mut config = config(a());
    config.gates = vec![Gate { networks: vec!["192.0.2.9".parse().unwrap()], ..gate("branch", "tandem", "canary") }];
    let mut world = World::with(1, [config]);
    assert_eq!(status(&world.say(&invite(1, ""))[0]), 100);
    assert_eq!(gates(&mut world), [None]);
}

/// Two BYEs that had crossed ours banned a trunk with its password for ten minutes: nobody answered them, and each copy was an offence.
#[test]
fn rfc3261_12_2_2_what_a_trunk_says_of_a_call_that_is_forgotten_is_answered_and_no_offence() {
    let mut world = gated();
    for number in 1..40 {
        let bye = request("BYE", "").replace("z9hG4bK-BYE", &format!("z9hG4bK-{number}"));
        let bye = bye.replace("<sip:line@192.0.2.1>", "<sip:line@192.0.2.1>;tag=gone");
        assert_eq!(status(&world.say_from(pbx(), &bye)[0]), 481, "{bye}");
        world.pass(std::time::Duration::from_millis(500));
    }
    assert_eq!(status(&world.say_from(pbx(), &request("CANCEL", ""))[0]), 481);
    challenge_of(&world.say_from(pbx(), &invite(99, "")));
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default(), "and nothing is remembered");
}

#[test]
fn everything_else_from_before_a_gate_is_a_strangers() {
    let mut world = gated();
    for method in ["BYE", "MESSAGE", "SUBSCRIBE", "REFER", "NOTIFY"] {
        assert!(world.say_from(pbx(), &request(method, "")).is_empty(), "{method}");
    }
    assert_eq!(status(&world.say_from(pbx(), &request("OPTIONS", ""))[0]), 200);
    let stranger: SocketAddr = "203.0.113.9:5060".parse().unwrap();
    assert!(world.say_from(stranger, &invite(1, "")).is_empty());
}
