//! A registration of ours that is kept (RFC 3261 section 10.2; RFC 3327, RFC 3608; RFC 5626 section 4.5).

use crate::world::{World, a, hand, header, ms, reply};
use signaling::{Credentials, EndedBy, Flow, OutsideCommand, OutsideEvent, OutsideId, Party, Register};
use std::time::Duration;

const ID: OutsideId = OutsideId(1);

fn order() -> Register {
    Register {
        registrar: "sip:carrier.example".into(),
        address: Party { display: String::new(), uri: "sip:4930100@carrier.example".into() },
        flow: Flow::udp(a(), hand()),
        peer_name: None,
        contact_user: "4930100".into(),
        expires: seconds(3600),
        credentials: Some(Credentials { realm: None, username: "4930100".into(), password: "canary".into() }),
        retry: seconds(30),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn registering(order: Register) -> (World, String) {
    let mut world = World::alone();
    world.ask(OutsideCommand::Register { id: ID, order: Box::new(order) });
    world.pass(ms(5));
    let register = world.heard().remove(0);
    (world, register)
}

fn challenge(nonce: &str, algorithm: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"carrier\", nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}\n")
}

/// The registrar's 200 with our Contact and others' among its bindings.
fn granted(register: &str, expires: u64, more: &str) -> String {
    let contact = header(register, "Contact").unwrap();
    let more = format!("Contact: <sip:other@198.51.100.1>;expires=9999, {contact};expires={expires}\n{more}");
    reply(register, "200 OK", "t", &more, "")
}

fn registers(world: &mut World) -> Vec<String> {
    world.heard().into_iter().filter(|message| message.starts_with("REGISTER")).collect()
}

#[test]
fn rfc3261_10_2_a_register_names_the_domain_the_address_and_our_contact() {
    let (mut world, register) = registering(order());
    assert!(register.starts_with("REGISTER sip:carrier.example SIP/2.0\r\n"), "{register}");
    assert_eq!(header(&register, "To"), Some("<sip:4930100@carrier.example>"));
    assert!(header(&register, "From").unwrap().starts_with("<sip:4930100@carrier.example>;tag="));
    assert_eq!(header(&register, "Contact"), Some("<sip:4930100@192.0.2.1:5060>"));
    assert_eq!(header(&register, "Expires"), Some("3600"));
    assert_eq!(header(&register, "Supported"), Some("path"), "RFC 3327 section 5.1");
    assert_eq!(header(&register, "Authorization"), None);
    world.say(&granted(&register, 600, ""));
    assert_eq!(world.outside, [OutsideEvent::Registered { expires: seconds(600), service_route: vec![] }]);
}

#[test]
fn rfc3261_22_2_both_digests_are_answered_and_a_renewal_needs_no_new_challenge() {
    for algorithm in ["MD5", "SHA-256"] {
        let (mut world, first) = registering(order());
        let second = world.say(&reply(&first, "401 Unauthorized", "t", &challenge("n1", algorithm), "")).remove(0);
        let authorization = header(&second, "Authorization").unwrap();
        assert!(authorization.contains(&format!("algorithm={algorithm}")), "{authorization}");
        assert!(authorization.contains("uri=\"sip:carrier.example\"") && authorization.contains("nc=00000001"));
        assert!(!second.contains("canary"));
        assert_eq!(header(&second, "CSeq"), Some("2 REGISTER"));
        assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
        world.say(&granted(&second, 3600, ""));
        world.pass(seconds(3300));
        let renewal = registers(&mut world);
        assert!(renewal.len() > 1, "one, and copies of it");
        assert_eq!(header(&renewal[0], "CSeq"), Some("3 REGISTER"));
        assert_eq!(header(&renewal[0], "Call-ID"), header(&first, "Call-ID"));
        assert!(header(&renewal[0], "Authorization").unwrap().contains("nc=00000002"));
    }
}

#[test]
fn rfc3261_10_2_4_a_registration_is_renewed_before_it_expires() {
    for granted_for in [60, 600, 3600] {
        let (mut world, register) = registering(order());
        world.say(&granted(&register, granted_for, ""));
        world.pass(seconds(granted_for / 4));
        assert!(registers(&mut world).is_empty(), "{granted_for}: not all the time");
        world.pass(seconds(granted_for - granted_for / 4 - 25));
        assert!(!registers(&mut world).is_empty(), "{granted_for}: before the end");
    }
}

#[test]
fn rfc3261_10_2_8_an_interval_too_brief_is_asked_for_as_long_as_the_registrar_wants() {
    let (mut world, register) = registering(Register { expires: seconds(60), ..order() });
    let longer = world.say(&reply(&register, "423 Interval Too Brief", "t", "Min-Expires: 1800\n", "")).remove(0);
    assert_eq!(header(&longer, "Expires"), Some("1800"));
    world.say(&granted(&longer, 1800, ""));
    assert_eq!(world.outside.len(), 1);
    // One that is never content is a failure, not a loop.
    let (mut world, mut register) = registering(Register { expires: seconds(60), ..order() });
    for (asked, least) in [(60, 100), (100, 200)] {
        assert_eq!(header(&register, "Expires"), Some(asked.to_string().as_str()));
        let more = format!("Min-Expires: {least}\n");
        register = world.say(&reply(&register, "423 Interval Too Brief", "t", &more, "")).remove(0);
    }
    assert!(world.say(&reply(&register, "423 Interval Too Brief", "t", "Min-Expires: 300\n", "")).is_empty());
    assert!(matches!(world.outside[..], [OutsideEvent::RegistrationFailed { status: Some(423), .. }]));
}

/// Fault row 7.
#[test]
fn a_new_nonce_in_every_challenge_gets_two_tries_then_it_fails_and_waits() {
    let (mut world, mut register) = registering(order());
    let mut sent = 1;
    for nonce in ["1", "2", "3", "4"] {
        let answer = reply(&register, "401 Unauthorized", "t", &challenge(nonce, "MD5"), "");
        if let Some(next) = world.say(&answer).into_iter().next() {
            sent += 1;
            register = next;
        }
    }
    assert_eq!(sent, 3, "one without and two with credentials");
    assert!(matches!(
        world.outside[..],
        [OutsideEvent::RegistrationFailed { status: Some(401), by: EndedBy::Refused, retry_in }]
            if (seconds(15)..=seconds(30)).contains(&retry_in)
    ));
}

#[test]
fn a_wrong_password_is_not_tried_again_at_once() {
    let (mut world, register) = registering(order());
    let second = world.say(&reply(&register, "401 Unauthorized", "t", &challenge("n", "MD5"), "")).remove(0);
    assert!(world.say(&reply(&second, "401 Unauthorized", "t", &challenge("n", "MD5"), "")).is_empty());
    assert_eq!(world.outside.len(), 1);
}

/// Fault row 6: who asks elsewhere, or for another realm, gets nothing.
#[test]
fn credentials_are_for_the_registrar_alone() {
    let credentials = Credentials { realm: Some("carrier".into()), username: "u".into(), password: "canary".into() };
    let (mut world, register) = registering(Register { credentials: Some(credentials), ..order() });
    let thief = "WWW-Authenticate: Digest realm=\"thief\", nonce=\"n\"\n";
    assert!(world.say(&reply(&register, "401 Unauthorized", "t", thief, "")).is_empty());
    assert!(matches!(world.outside[..], [OutsideEvent::RegistrationFailed { status: Some(401), .. }]));
}

#[test]
fn rfc5626_4_5_failures_are_tried_again_ever_more_slowly() {
    let (mut world, register) = registering(order());
    world.say(&reply(&register, "500 Server Error", "t", "", ""));
    let mut waits = Vec::new();
    for _ in 0..9 {
        let Some(OutsideEvent::RegistrationFailed { retry_in, .. }) = world.outside.pop() else { panic!("no failure") };
        waits.push(retry_in);
        world.pass(retry_in);
        world.pass(ms(5));
        let again = registers(&mut world).remove(0);
        world.say(&reply(&again, "500 Server Error", "t", "", ""));
    }
    for (at, wait) in waits.iter().enumerate() {
        let most = seconds(30 << at).min(seconds(1800));
        assert!((most / 2..=most).contains(wait), "{at}: {wait:?} of {most:?}");
    }
    let Some(OutsideEvent::RegistrationFailed { retry_in, .. }) = world.outside.pop() else { panic!("no failure") };
    world.pass(retry_in + ms(5));
    let again = registers(&mut world).remove(0);
    world.say(&granted(&again, 600, ""));
    world.pass(seconds(541));
    let renewal = registers(&mut world).remove(0);
    world.say(&reply(&renewal, "503 Service Unavailable", "t", "Retry-After: 120\n", ""));
    let Some(OutsideEvent::RegistrationFailed { retry_in, .. }) = world.outside.pop() else { panic!("no failure") };
    assert_eq!(retry_in, seconds(120), "a success forgets the failures, and Retry-After is kept");
}

#[test]
fn silence_and_a_dead_network_are_failures_that_are_tried_again() {
    let (mut world, _) = registering(order());
    world.pass(seconds(33));
    assert!(matches!(world.outside[..], [OutsideEvent::RegistrationFailed { by: EndedBy::Timeout, status: None, .. }]));
    world.outside.clear();
    world.heard();
    world.pass(seconds(31));
    assert!(!registers(&mut world).is_empty());
    world.transmit_failed(0, hand());
    assert!(matches!(world.outside[..], [OutsideEvent::RegistrationFailed { by: EndedBy::Transport, .. }]));
}

#[test]
fn rfc3608_6_1_the_service_route_of_a_registrar_is_told() {
    let (mut world, register) = registering(order());
    let more = "Service-Route: <sip:p1.carrier.example;lr>, <sip:p2.carrier.example;lr>\nPath: <sip:edge.example;lr>\n";
    world.say(&granted(&register, 600, more));
    let service_route = ["<sip:p1.carrier.example;lr>", "<sip:p2.carrier.example;lr>"].map(str::to_owned).to_vec();
    assert_eq!(world.outside, [OutsideEvent::Registered { expires: seconds(600), service_route }]);
}

#[test]
fn rfc3261_10_2_2_at_the_end_the_binding_is_taken_back() {
    let (mut world, register) = registering(order());
    let second = world.say(&reply(&register, "401 Unauthorized", "t", &challenge("n1", "MD5"), "")).remove(0);
    world.say(&granted(&second, 600, ""));
    world.outside.clear();
    world.ask(OutsideCommand::Unregister { id: ID });
    world.pass(ms(5));
    let last = world.heard().remove(0);
    assert_eq!(header(&last, "Expires"), Some("0"));
    assert_eq!(header(&last, "Contact"), Some("<sip:4930100@192.0.2.1:5060>"));
    let again = world.say(&reply(&last, "401 Unauthorized", "t", &challenge("n2", "MD5"), "")).remove(0);
    assert_eq!(header(&again, "Expires"), Some("0"));
    world.say(&reply(&again, "200 OK", "t", "", ""));
    assert_eq!(world.outside, [OutsideEvent::Unregistered]);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_10_2_no_request_overtakes_the_one_that_is_out() {
    let (mut world, register) = registering(order());
    world.ask(OutsideCommand::Unregister { id: ID });
    world.pass(ms(5));
    assert!(world.heard().is_empty());
    let last = world.say(&granted(&register, 600, "")).remove(0);
    assert_eq!(header(&last, "Expires"), Some("0"));
    world.pass(seconds(33));
    assert_eq!(world.outside.last(), Some(&OutsideEvent::Unregistered), "whatever the peer says, or does not");
    world.assert_nothing_left();
}

#[test]
fn a_registration_that_waits_is_gone_at_once() {
    let (mut world, register) = registering(order());
    world.say(&reply(&register, "403 Forbidden", "t", "", ""));
    world.ask(OutsideCommand::Unregister { id: ID });
    assert_eq!(world.outside.last(), Some(&OutsideEvent::Unregistered));
    world.assert_nothing_left();
}

#[test]
fn a_registrar_that_moved_is_asked_at_its_new_address() {
    let (mut world, register) = registering(order());
    world.say(&granted(&register, 600, ""));
    let elsewhere = "192.0.2.77:5060".parse().unwrap();
    world.ask(OutsideCommand::Register {
        id: ID,
        order: Box::new(Register { flow: Flow::udp(a(), elsewhere), ..order() }),
    });
    world.pass(ms(5));
    assert_eq!(world.mail.last().map(|(_, to, _)| *to), Some(elsewhere));
}
