//! Outbound digest within a call (RFC 3261 section 22): for the next hop's realm, at the next hop, twice at most.

use crate::world::{OUT, World, a, dial, ended, hand, header, ms, reply};
use signaling::{Command, Credentials, EndedBy};

const CONTACT: &str = "Contact: <sip:bob@192.0.2.9:5070>\n";

fn invited(realm: Option<&str>) -> (World, String) {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    let realm = realm.map(str::to_owned);
    dial.credentials = Some(Credentials { realm, username: "trunk".into(), password: "canary".into() });
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    assert_eq!(header(&invite, "Authorization"), None);
    (world, invite)
}

fn challenge(realm: &str, nonce: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256\n")
}

#[test]
fn rfc3261_22_2_a_challenged_invite_is_sent_again_with_credentials_and_the_next_number() {
    let (mut world, invite) = invited(Some("isp"));
    let heard = world.say(&reply(&invite, "401 Unauthorized", "x", &challenge("isp", "n1"), ""));
    assert!(heard[0].starts_with("ACK"));
    let again = &heard[1];
    assert_eq!(header(again, "CSeq"), Some("2 INVITE"));
    assert_eq!(header(again, "Call-ID"), header(&invite, "Call-ID"));
    assert_eq!(header(again, "From"), header(&invite, "From"));
    assert_ne!(header(again, "Via"), header(&invite, "Via"));
    assert!(header(again, "To").is_some_and(|to| !to.contains("tag=")));
    let authorization = header(again, "Authorization").unwrap();
    assert!(authorization.contains("username=\"trunk\"") && authorization.contains("nc=00000001"), "{authorization}");
    assert!(!again.contains("canary"));
    let ack = world.say(&reply(again, "200 OK", "y", CONTACT, "v=0")).remove(0);
    assert_eq!(header(&ack, "Authorization"), Some(authorization), "the ACK has its INVITE's credentials");
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    let bye = world.heard().remove(0);
    assert!(header(&bye, "Authorization").unwrap().contains("nc=00000002"));
    world.say(&reply(&bye, "200 OK", "", "", ""));
    world.assert_nothing_left();
}

#[test]
fn a_new_nonce_in_every_challenge_gets_two_tries() {
    let (mut world, invite) = invited(None);
    let mut invites = vec![invite];
    for nonce in ["1", "2", "3", "4"] {
        let challenge = challenge("isp", nonce);
        let heard = world.say(&reply(invites.last().unwrap(), "401 Unauthorized", "x", &challenge, ""));
        invites.extend(heard.into_iter().filter(|m| m.starts_with("INVITE")));
    }
    assert_eq!(invites.len(), 3, "one without and two with credentials");
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(401))));
    world.assert_nothing_left();
}

#[test]
fn another_realm_gets_no_credentials() {
    let (mut world, invite) = invited(Some("isp"));
    let heard = world.say(&reply(&invite, "401 Unauthorized", "x", &challenge("thief", "n1"), ""));
    assert_eq!(heard.len(), 1, "the ACK alone");
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(401))));
}

#[test]
fn a_challenged_bye_shows_credentials_to_the_next_hop_alone() {
    // The peer's Contact leads elsewhere, and there somebody asks in the name of the trunk.
    let (mut world, invite) = invited(Some("isp"));
    let heard = world.say(&reply(&invite, "401 Unauthorized", "x", &challenge("isp", "n1"), ""));
    world.say(&reply(&heard[1], "200 OK", "y", "Contact: <sip:bob@192.0.2.66:5060>\n", "v=0"));
    let ack = world.last(a(), "ACK sip:bob@192.0.2.66");
    assert_eq!(header(&ack, "Authorization"), None);
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    let bye = world.heard().remove(0);
    assert_eq!(header(&bye, "Authorization"), None);
    let thief = "192.0.2.66:5060".parse().unwrap();
    let heard = world.say_from(thief, &reply(&bye, "401 Unauthorized", "", &challenge("isp", "n2"), ""));
    assert!(heard.is_empty(), "{heard:?}");
    world.assert_nothing_left();
}

#[test]
fn a_challenge_to_a_bye_of_an_incoming_leg_gets_nothing() {
    let mut world = World::new(1);
    let leg = crate::world::established(&mut world);
    world.command(1, Command::Hangup { leg, reason: None });
    let bye = world.last(crate::world::b(), "BYE");
    let answer =
        reply(&bye, "401 Unauthorized", "", &challenge("isp", "n"), "").replace('\n', "\r\n").replace("\r\r", "\r");
    world.sent.clear();
    world.inject(1, a(), answer);
    assert_eq!(world.count(crate::world::b(), "BYE"), 0);
}
