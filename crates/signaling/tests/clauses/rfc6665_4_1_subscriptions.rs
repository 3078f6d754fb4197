//! A subscription of ours that is kept, and told by NOTIFY (RFC 6665 section 4.1; RFC 4235 is who uses it).

use crate::world::{World, a, hand, header, ms, reply};
use signaling::{Credentials, EndedBy, Flow, OutsideCommand, OutsideEvent, OutsideId, Party, Subscribe};
use std::time::Duration;

const ID: OutsideId = OutsideId(9);
const BODY: &str = "<dialog-info/>";

fn order() -> Subscribe {
    Subscribe {
        target: "sip:carl@pbx.example".into(),
        flow: Flow::udp(a(), hand()),
        peer_name: None,
        from: Party::default(),
        package: "dialog",
        accept: "application/dialog-info+xml",
        expires: seconds(3600),
        credentials: Some(Credentials { realm: None, username: "tandem".into(), password: "canary".into() }),
        retry: seconds(30),
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn subscribing() -> (World, String) {
    let mut world = World::alone();
    world.ask(OutsideCommand::Subscribe { id: ID, order: Box::new(order()) });
    world.pass(ms(5));
    let subscribe = world.heard().remove(0);
    (world, subscribe)
}

fn subscribed() -> (World, String) {
    let (mut world, subscribe) = subscribing();
    world.say(&granted(&subscribe, 600));
    (world, subscribe)
}

fn granted(subscribe: &str, expires: u64) -> String {
    reply(subscribe, "200 OK", "pbx", &format!("Expires: {expires}\nContact: <sip:carl@192.0.2.2:5060>\n"), "")
}

/// A NOTIFY of the peer that answers this SUBSCRIBE.
fn notify(subscribe: &str, cseq: u32, tag: &str, state: &str, body: &str) -> String {
    let to = header(subscribe, "From").unwrap();
    let call_id = header(subscribe, "Call-ID").unwrap();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/dialog-info+xml\n" };
    let length = body.len();
    format!(
        "NOTIFY sip:192.0.2.1:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKn{tag}{cseq}\nMax-Forwards: 70\n\
         From: <sip:carl@pbx.example>;tag={tag}\nTo: {to}\nCall-ID: {call_id}\nCSeq: {cseq} NOTIFY\nContact: <sip:carl@192.0.2.2:5060>\n\
         Event: dialog\nSubscription-State: {state}\n{kind}Content-Length: {length}\n\n{body}"
    )
}

fn status(answers: &[String]) -> &str {
    answers[0].lines().next().unwrap()
}

/// The SUBSCRIBEs that were heard, without copies.
fn subscribes(world: &mut World) -> Vec<String> {
    let mut heard: Vec<_> = world.heard().into_iter().filter(|message| message.starts_with("SUBSCRIBE")).collect();
    heard.dedup();
    heard
}

#[test]
fn rfc6665_4_1_2_1_a_subscribe_names_its_package_and_what_is_taken() {
    let (_, subscribe) = subscribing();
    assert!(subscribe.starts_with("SUBSCRIBE sip:carl@pbx.example SIP/2.0\r\n"), "{subscribe}");
    assert_eq!(header(&subscribe, "Event"), Some("dialog"));
    assert_eq!(header(&subscribe, "Accept"), Some("application/dialog-info+xml"));
    assert_eq!(header(&subscribe, "Expires"), Some("3600"));
    assert_eq!(header(&subscribe, "Contact"), Some("<sip:192.0.2.1:5060>"));
    assert!(header(&subscribe, "From").unwrap().contains(";tag="));
}

#[test]
fn rfc6665_4_1_3_what_a_notify_tells_is_told_and_it_is_answered() {
    let (mut world, subscribe) = subscribed();
    let answers = world.say(&notify(&subscribe, 1, "pbx", "active;expires=600", BODY));
    assert_eq!(status(&answers), "SIP/2.0 200 OK");
    assert_eq!(world.outside, [OutsideEvent::Notified { body: BODY.into() }]);
    world.outside.clear();
    let answers = world.say(&notify(&subscribe, 2, "pbx", "active;expires=600", ""));
    assert_eq!(status(&answers), "SIP/2.0 200 OK");
    assert_eq!(world.outside, [], "nothing was told");
}

#[test]
fn rfc6665_4_1_2_4_a_notify_may_come_before_the_answer_to_its_subscribe() {
    let (mut world, subscribe) = subscribing();
    let answers = world.say(&notify(&subscribe, 1, "pbx", "active;expires=600", BODY));
    assert_eq!(status(&answers), "SIP/2.0 200 OK");
    assert_eq!(world.outside, [OutsideEvent::Notified { body: BODY.into() }]);
    world.say(&granted(&subscribe, 600));
    world.pass(seconds(541));
    assert_eq!(subscribes(&mut world).len(), 1, "it is renewed all the same");
}

#[test]
fn rfc6665_4_1_4_what_belongs_to_no_subscription_is_refused_and_tells_nothing() {
    let (mut world, subscribe) = subscribed();
    let wrong_tag = notify(&subscribe, 1, "fork", "active", BODY);
    assert_eq!(status(&world.say(&wrong_tag)), "SIP/2.0 481 Call/Transaction Does Not Exist");
    let call_id = header(&subscribe, "Call-ID").unwrap();
    let other = notify(&subscribe, 2, "pbx", "active", BODY).replace(call_id, "another");
    assert_eq!(status(&world.say(&other)), "SIP/2.0 481 Call/Transaction Does Not Exist");
    let package = notify(&subscribe, 3, "pbx", "active", BODY).replace("Event: dialog", "Event: presence");
    assert_eq!(status(&world.say(&package)), "SIP/2.0 489 Bad Event");
    let stateless = notify(&subscribe, 4, "pbx", "active", BODY).replace("Subscription-State: active\n", "");
    assert!(status(&world.say(&stateless)).starts_with("SIP/2.0 400 "));
    let kind = notify(&subscribe, 5, "pbx", "active", BODY).replace("dialog-info+xml", "pidf+xml");
    assert_eq!(status(&world.say(&kind)), "SIP/2.0 415 Unsupported Media Type");
    assert_eq!(world.outside, []);
}

#[test]
fn rfc3261_12_2_2_a_notify_that_comes_too_late_is_out_of_order() {
    let (mut world, subscribe) = subscribed();
    world.say(&notify(&subscribe, 5, "pbx", "active", BODY));
    let late = world.say(&notify(&subscribe, 4, "pbx", "active", "<older/>"));
    assert!(status(&late).starts_with("SIP/2.0 500 "), "{late:?}");
    assert_eq!(world.outside, [OutsideEvent::Notified { body: BODY.into() }]);
}

#[test]
fn rfc6665_4_1_2_2_it_is_renewed_within_its_dialog_before_it_ends() {
    let (mut world, subscribe) = subscribed();
    world.pass(seconds(509));
    assert!(subscribes(&mut world).is_empty());
    world.pass(seconds(32));
    let renewal = subscribes(&mut world).remove(0);
    assert!(renewal.starts_with("SUBSCRIBE sip:carl@192.0.2.2:5060 SIP/2.0\r\n"), "to the peer's Contact: {renewal}");
    assert_eq!(header(&renewal, "To"), Some("<sip:carl@pbx.example>;tag=pbx"));
    assert_eq!(header(&renewal, "Call-ID"), header(&subscribe, "Call-ID"));
    assert_eq!(header(&renewal, "CSeq"), Some("2 SUBSCRIBE"));
    world.say(&granted(&renewal, 600));
    world.pass(seconds(541));
    assert_eq!(header(&subscribes(&mut world).remove(0), "CSeq"), Some("3 SUBSCRIBE"));
}

#[test]
fn rfc6665_4_1_3_a_notify_may_shorten_the_time() {
    let (mut world, subscribe) = subscribed();
    world.say(&notify(&subscribe, 1, "pbx", "active;expires=60", BODY));
    world.pass(seconds(31));
    assert_eq!(subscribes(&mut world).len(), 1);
}

#[test]
fn rfc6665_4_1_2_2_a_peer_that_has_forgotten_it_is_asked_anew() {
    let (mut world, subscribe) = subscribed();
    world.pass(seconds(541));
    let renewal = subscribes(&mut world).remove(0);
    world.say(&reply(&renewal, "481 Subscription does not exist", "pbx", "", ""));
    let Some(OutsideEvent::SubscriptionFailed { by: EndedBy::Refused, status: Some(481), retry_in }) =
        world.outside.pop()
    else {
        panic!("not told")
    };
    world.pass(retry_in + ms(5));
    let anew = subscribes(&mut world).remove(0);
    assert_ne!(header(&anew, "Call-ID"), header(&subscribe, "Call-ID"));
    assert!(!header(&anew, "To").unwrap().contains("tag="));
    let old = world.say(&notify(&subscribe, 9, "pbx", "active", BODY));
    assert_eq!(status(&old), "SIP/2.0 481 Call/Transaction Does Not Exist", "the old one is over");
}

#[test]
fn rfc6665_4_1_3_a_peer_that_ends_it_is_asked_again_when_it_says() {
    let (mut world, subscribe) = subscribed();
    let answers = world.say(&notify(&subscribe, 1, "pbx", "terminated;reason=probation;retry-after=90", ""));
    assert_eq!(status(&answers), "SIP/2.0 200 OK");
    let ended = OutsideEvent::SubscriptionFailed { by: EndedBy::Peer, status: None, retry_in: seconds(90) };
    assert_eq!(world.outside, [ended]);
    world.pass(seconds(89));
    assert!(subscribes(&mut world).is_empty());
    world.pass(seconds(2));
    assert_eq!(subscribes(&mut world).len(), 1);
}

#[test]
fn a_peer_that_always_sends_us_away_is_asked_ever_more_seldom() {
    let (mut world, mut subscribe) = subscribing();
    let mut waits = Vec::new();
    for round in 0..6 {
        world.say(&granted(&subscribe, 600));
        world.say(&notify(&subscribe, round, "pbx", "terminated;reason=deactivated", ""));
        let Some(OutsideEvent::SubscriptionFailed { retry_in, .. }) = world.outside.pop() else { panic!("not told") };
        waits.push(retry_in);
        world.pass(retry_in + ms(5));
        subscribe = subscribes(&mut world).remove(0);
    }
    assert_eq!(waits[0], seconds(1));
    assert!(waits[5] >= seconds(240), "{waits:?}");
}

#[test]
fn rfc6665_4_1_2_1_a_challenge_is_answered_and_a_time_too_brief_is_lengthened() {
    let (mut world, subscribe) = subscribing();
    let challenge = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\", algorithm=MD5\n";
    let second = world.say(&reply(&subscribe, "401 Unauthorized", "t", challenge, "")).remove(0);
    assert!(header(&second, "Authorization").unwrap().contains("username=\"tandem\""));
    assert_eq!(header(&second, "CSeq"), Some("2 SUBSCRIBE"));
    let third = world.say(&reply(&second, "423 Interval Too Brief", "t", "Min-Expires: 7200\n", "")).remove(0);
    assert_eq!(header(&third, "Expires"), Some("7200"));
    world.say(&granted(&third, 7200));
    assert_eq!(world.outside, []);
}

#[test]
fn a_refusal_and_silence_are_told_and_tried_again() {
    let (mut world, subscribe) = subscribing();
    world.say(&reply(&subscribe, "489 Bad Event", "t", "", ""));
    assert!(matches!(
        world.outside[..],
        [OutsideEvent::SubscriptionFailed { by: EndedBy::Refused, status: Some(489), .. }]
    ));
    world.outside.clear();
    world.pass(seconds(31));
    assert!(!subscribes(&mut world).is_empty());
    world.pass(seconds(33));
    assert!(matches!(world.outside[..], [OutsideEvent::SubscriptionFailed { by: EndedBy::Timeout, status: None, .. }]));
}

#[test]
fn rfc6665_4_1_2_3_it_is_ended_with_no_time() {
    let (mut world, _) = subscribed();
    world.ask(OutsideCommand::Unsubscribe { id: ID });
    world.pass(ms(5));
    let last = subscribes(&mut world).remove(0);
    assert_eq!(header(&last, "Expires"), Some("0"));
    world.say(&reply(&last, "200 OK", "pbx", "Expires: 0\n", ""));
    assert_eq!(world.outside, [OutsideEvent::Unsubscribed]);
    world.assert_nothing_left();
}

#[test]
fn rfc6665_4_1_2_3_no_request_overtakes_the_one_that_is_out() {
    let (mut world, subscribe) = subscribing();
    world.ask(OutsideCommand::Unsubscribe { id: ID });
    world.pass(ms(5));
    assert!(subscribes(&mut world).is_empty());
    let last = world.say(&granted(&subscribe, 600)).remove(0);
    assert_eq!(header(&last, "Expires"), Some("0"));
    world.pass(seconds(33));
    assert_eq!(world.outside.last(), Some(&OutsideEvent::Unsubscribed), "whatever the peer says, or does not");
    world.assert_nothing_left();
}
