//! Digest, asked for by us (RFC 3261 section 22, RFC 8760): phones that register, and phones that call.

use crate::{
    phone::{PASSWORD, Phone, challenges, desk, home, parameter, registration, told, with},
    world::{World, a, b, config, header, ms, request, status},
};
use signaling::{Config, Credentials, Event, Flow, OutsideCommand, OutsideEvent, OutsideId, Party, Register};
use std::time::Duration;

#[test]
fn rfc8760_2_3_sha_256_is_offered_first_and_md5_only_where_it_is_configured() {
    let mut world = desk();
    let challenged = Phone::new("anna").ask(&mut world, "");
    let all = challenges(&challenged);
    assert!(all[0].contains("algorithm=SHA-256") && all[1].contains("algorithm=MD5") && all.len() == 2, "{challenged}");
    let mut phone = Phone { algorithm: "MD5", ..Phone::new("anna") };
    assert_eq!(status(&phone.online(&mut world, 120)), 200);
    let mut world = with(signaling::Registration { digests: signaling::Digests::Sha256, ..registration() });
    let all = challenges(&Phone::new("anna").ask(&mut world, ""));
    assert!(all.len() == 1 && all[0].contains("algorithm=SHA-256"), "{all:?}");
}

/// baresip 1.0 gives up at a challenge whose algorithm it does not know, whatever the next one offers.
#[test]
fn rfc7616_3_3_md5_alone_is_offered_where_that_is_configured_and_sha_256_does_not_open_then() {
    let mut world = with(signaling::Registration { digests: signaling::Digests::Md5, ..registration() });
    let mut phone = Phone { algorithm: "MD5", ..Phone::new("anna") };
    let challenged = phone.ask(&mut world, "");
    let all = challenges(&challenged);
    assert!(all.len() == 1 && all[0].contains("algorithm=MD5,"), "{all:?}");
    let right = phone.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
    let sha = right.replace("algorithm=MD5", "algorithm=SHA-256");
    assert_eq!(status(&phone.ask(&mut world, &format!("Authorization: {sha}\n"))), 401);
    // RFC 2617 phones leave the algorithm out: it is MD5.
    let bare = right.replace(" algorithm=MD5,", "");
    assert_eq!(status(&phone.ask(&mut world, &format!("Authorization: {bare}\n"))), 200);
}

#[test]
fn rfc7616_3_4_6_a_digest_of_another_uri_is_refused_and_not_asked_for_again() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    for uri in ["sip:elsewhere.example", "sip:bob@desk.example"] {
        let other = phone.authorization(&challenged, "REGISTER", uri, 1);
        let answer = phone.ask(&mut world, &format!("Authorization: {other}\n"));
        assert_eq!((status(&answer), challenges(&answer).len()), (400, 0), "{answer}");
    }
    assert_eq!(world.cores[0].1.counters().failed_authentications, 2, "it may be somebody else's, overheard");
    let same = phone.authorization(&challenged, "REGISTER", "sip:desk.example:5060;transport=udp", 1);
    assert_eq!(status(&phone.ask(&mut world, &format!("Authorization: {same}\n"))), 200);
}

#[test]
fn rfc3261_22_3_nothing_is_remembered_of_a_challenge() {
    let mut world = desk();
    for _ in 0..10 {
        assert_eq!(status(&Phone::new("anna").ask(&mut world, "")), 401);
    }
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default());
}

#[test]
fn rfc3261_8_2_7_copies_of_a_request_get_one_tag() {
    let mut world = desk();
    let asked = Phone::new("anna").request("");
    let tag = |answer: &str| header(answer, "To").unwrap().to_owned();
    let (one, two) = (world.say_from(home(), &asked), world.say_from(home(), &asked));
    assert_eq!(tag(&one[0]), tag(&two[0]));
}

#[test]
fn rfc3261_22_4_an_old_nonce_is_stale_and_the_next_one_opens() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    world.pass(Duration::from_secs(301));
    let authorization = phone.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
    let again = phone.ask(&mut world, &format!("Authorization: {authorization}\n"));
    assert!(status(&again) == 401 && challenges(&again).iter().all(|one| one.ends_with("stale=true")), "{again}");
    let authorization = phone.authorization(&again, "REGISTER", "sip:desk.example", 1);
    assert_eq!(status(&phone.ask(&mut world, &format!("Authorization: {authorization}\n"))), 200);
    assert_eq!(world.cores[0].1.counters().failed_authentications, 0);
}

#[test]
fn rfc3261_22_4_a_nonce_opens_again_with_a_higher_count_and_never_twice_with_one() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    let mut with_count = |count| {
        let authorization = phone.authorization(&challenged, "REGISTER", "sip:desk.example", count);
        status(&phone.ask(&mut world, &format!("Authorization: {authorization}\n")))
    };
    assert_eq!([1, 2, 2, 1, 9].map(&mut with_count), [200, 200, 401, 401, 200]);
}

#[test]
fn rfc3261_22_4_a_nonce_is_worth_nothing_at_another_address() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    let challenged = phone.ask(&mut world, "");
    let authorization = phone.authorization(&challenged, "REGISTER", "sip:desk.example", 1);
    phone.source = "203.0.113.6:5060".parse().unwrap();
    let answer = phone.ask(&mut world, &format!("Authorization: {authorization}\n"));
    assert!(status(&answer) == 401 && challenges(&answer)[0].contains("stale=true"), "{answer}");
}

/// An INVITE of a phone to a line of ours.
fn invite(phone: &mut Phone, more: &str) -> String {
    phone.cseq += 1;
    request("INVITE", more)
        .replace("192.0.2.9:5070", &phone.source.to_string())
        .replace("<sip:caller@192.0.2.9>", &format!("<sip:{}@desk.example>", phone.user))
        .replace("z9hG4bK-INVITE", &format!("z9hG4bK-INVITE-{}", phone.cseq))
        .replace("CSeq: 1 ", &format!("CSeq: {} ", phone.cseq))
}

/// Calls, answers the challenge, and returns the last answer.
fn call(world: &mut World, phone: &mut Phone, tamper: impl Fn(String) -> String) -> u16 {
    let asked = tamper(invite(phone, ""));
    let challenged = world.say_from(phone.source, &asked).pop().unwrap_or_default();
    if status(&challenged) != 407 {
        return status(&challenged);
    }
    let authorization = phone.authorization(&challenged, "INVITE", "sip:line@192.0.2.1", 1);
    let asked = tamper(invite(phone, &format!("Proxy-Authorization: {authorization}\n")));
    status(&world.say_from(phone.source, &asked).pop().unwrap_or_default())
}

#[test]
fn rfc3261_22_3_a_registered_phone_calls_in_once_it_has_shown_its_password() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.online(&mut world, 300);
    assert_eq!(call(&mut world, &mut phone, |invite| invite), 100);
    let (leg, incoming) = world.incoming(0);
    assert_eq!((incoming.account.as_deref(), incoming.flow.remote), (Some("anna"), home()));
    // The 407 was not remembered: its ACK belongs to nothing and is dropped.
    assert_eq!(world.cores[0].1.gauges().legs, 1);
    let cancel = invite(&mut phone, "").replace("INVITE", "CANCEL").replace("-3;", "-2;");
    let cancel = cancel.replace("CSeq: 5", "CSeq: 4").replace("CANCEL-5", "INVITE-4");
    let heard = world.say_from(home(), &cancel);
    assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [200, 487], "its own CANCEL is taken: {cancel}");
    assert!(matches!(world.events.last(), Some((_, ended, Event::Ended { .. })) if *ended == leg));
}

#[test]
fn a_registered_phone_calls_as_itself_alone() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.online(&mut world, 300);
    for other in ["<sip:ben@desk.example>", "<sip:anna@elsewhere.example>", "<sip:+4930123@desk.example>"] {
        assert_eq!(call(&mut world, &mut phone, |invite| invite.replace("<sip:anna@desk.example>", other)), 403);
    }
    assert!(world.events.is_empty());
}

#[test]
fn where_no_phone_is_registered_a_call_is_a_stranger_s() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    assert_eq!(call(&mut world, &mut phone, |invite| invite), 0, "silence");
    phone.online(&mut world, 60);
    assert_eq!(call(&mut world, &mut phone, |invite| invite), 100);
    world.pass(Duration::from_secs(61));
    assert!(told(&world, "anna").is_empty());
    assert_eq!(call(&mut world, &mut phone, |invite| invite), 0, "silence again");
    assert_eq!(world.cores[0].1.counters().unknown_sources, 2);
    world.pass(ms(1));
}

#[test]
fn a_password_is_nowhere_in_what_we_say_and_a_nonce_s_realm_is_ours() {
    let mut world = desk();
    let mut phone = Phone::new("anna");
    phone.online(&mut world, 300);
    assert!(world.sent.iter().all(|(.., bytes)| !String::from_utf8_lossy(bytes).contains(PASSWORD)));
    assert!(!format!("{:?}", registration()).contains(PASSWORD));
    let challenged = phone.ask(&mut world, "");
    assert_eq!(parameter(&challenges(&challenged)[0], "realm"), "desk.example");
}

/// Our client of registrars and our registrar, over the emulated network.
fn both_sides(password: &str) -> World {
    let desk = Config { registration: Some(registration()), ..config(b()) };
    let mut world = World::with(1, [config(a()), desk]);
    let order = Register {
        registrar: "sip:desk.example".into(),
        address: Party { display: String::new(), uri: "sip:anna@desk.example".into() },
        flow: Flow::udp(a(), b()),
        peer_name: None,
        contact_user: "anna".into(),
        expires: Duration::from_secs(120),
        credentials: Some(Credentials { realm: None, username: "anna".into(), password: password.into() }),
        retry: Duration::from_secs(30),
    };
    world.ask(OutsideCommand::Register { id: OutsideId(1), order: Box::new(order) });
    world.pass(Duration::from_secs(1));
    world
}

#[test]
fn rfc3261_10_our_own_client_keeps_a_registration_at_our_own_registrar() {
    let mut world = both_sides(PASSWORD);
    assert_eq!(told(&world, "anna"), ["sip:anna@192.0.2.1:5060"]);
    world.pass(Duration::from_secs(1_000));
    assert_eq!(world.cores[1].1.registrations(), 1, "renewed before its nonce and itself were over");
    assert!(world.outside.iter().all(|event| matches!(event, OutsideEvent::Registered { .. })), "{:?}", world.outside);
}

#[test]
fn a_new_nonce_in_every_challenge_is_answered_twice_and_then_no_more() {
    let world = both_sides("wrong");
    assert!(matches!(world.outside[..], [OutsideEvent::RegistrationFailed { status: Some(401), .. }]));
    let asked = world.count(a(), "REGISTER");
    assert!((2..=3).contains(&asked), "{asked} requests");
}
