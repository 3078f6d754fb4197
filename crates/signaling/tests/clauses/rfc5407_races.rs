//! RFC 5407: the flows of its sections 2 and 3, by their numbers, with us at either end. The other end is a hand, or another
//! core where nothing is lost or late.

use crate::world::{
    ANSWER, OFFER, OUT, World, a, b, dial, ended, established, hand, header, ms, reply, request, status,
};
use bytes::Bytes;
use signaling::{Command, EndedBy, Event, LegId};
use std::time::Duration;

const SDP: &str = "Content-Type: application/sdp\n";
const CONTACT: &str = "Contact: <sip:bob@192.0.2.9:5070>\n";

fn bytes(body: &'static [u8]) -> Bytes {
    Bytes::from_static(body)
}

fn offer(leg: LegId) -> Command {
    Command::Offer { leg, offer: bytes(OFFER) }
}

fn accept(leg: LegId) -> Command {
    Command::AcceptOffer { leg, answer: bytes(ANSWER) }
}

fn hangup(leg: LegId) -> Command {
    Command::Hangup { leg, reason: None }
}

fn with_body(message: &str, body: &str) -> String {
    message.replace("Content-Length: 0\n\n", &format!("{SDP}Content-Length: {}\n\n{body}", body.len()))
}

fn statuses(heard: &[String]) -> Vec<u16> {
    heard.iter().map(|message| status(message)).collect()
}

/// The hand, as a caller, has had our 200 and has not acknowledged it: our Moratorium state. The leg and the 200.
fn moratorium(offers: bool) -> (World, LegId, String) {
    let mut world = World::alone();
    let invite = request("INVITE", "");
    world.say(&if offers { with_body(&invite, "v=0") } else { invite });
    let (leg, _) = world.incoming(0);
    let body = Some(bytes(if offers { ANSWER } else { OFFER }));
    world.command(0, Command::Answer { leg, body, headers: vec![] });
    world.pass(ms(5));
    let ok = world.heard().remove(0);
    world.events.clear();
    (world, leg, ok)
}

/// The same call, acknowledged.
fn with_caller() -> (World, LegId, String) {
    let (mut world, leg, ok) = moratorium(true);
    world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack"));
    world.events.clear();
    (world, leg, ok)
}

/// A request of the calling hand within the dialog of a response.
fn within(response: &str, method: &str, number: u32, branch: &str) -> String {
    request(method, "")
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(response, "To").unwrap()))
        .replace(&format!("z9hG4bK-{method}"), branch)
        .replace("CSeq: 1 ", &format!("CSeq: {number} "))
}

/// A request of a called hand within the dialog of our INVITE.
fn from_callee(invite: &str, method: &str, number: u32) -> String {
    request(method, "")
        .replace("From: <sip:caller@192.0.2.9>;tag=f1", &format!("From: {};tag=one", header(invite, "To").unwrap()))
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(invite, "From").unwrap()))
        .replace("Call-ID: call-1", &format!("Call-ID: {}", header(invite, "Call-ID").unwrap()))
        .replace("CSeq: 1 ", &format!("CSeq: {number} "))
}

/// We called the hand, which answered: our INVITE.
fn with_callee() -> (World, String) {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    world.say(&reply(&invite, "200 OK", "one", &format!("{CONTACT}{SDP}"), "v=0"));
    world.events.clear();
    (world, invite)
}

#[test]
fn rfc5407_2_a_dialog_goes_from_preparative_to_morgue() {
    let mut world = World::alone();
    world.say(&with_body(&request("INVITE", ""), "v=0"));
    let (leg, _) = world.incoming(0);
    // Preparative: nothing of ours has made a dialog yet.
    let unknown = request("BYE", "").replace("z9hG4bK-BYE", "z9hG4bK-none");
    let unknown = unknown.replace("To: <sip:line@192.0.2.1>", "To: <sip:line@192.0.2.1>;tag=none");
    assert_eq!(statuses(&world.say(&unknown)), [481]);
    // Early.
    world.command(0, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(ms(5));
    let ringing = world.heard().remove(0);
    // Moratorium, Established.
    world.command(0, Command::Answer { leg, body: Some(bytes(ANSWER)), headers: vec![] });
    world.pass(ms(5));
    let ok = world.heard().remove(0);
    assert_eq!(header(&ok, "To"), header(&ringing, "To"), "one dialog");
    world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack"));
    assert!(matches!(world.events_of(0).last(), Some(Event::Acked { .. })));
    // Mortal: the BYE is answered, and nothing but a copy of it is taken any more. Morgue.
    let bye = within(&ok, "BYE", 2, "z9hG4bK-bye");
    assert_eq!(statuses(&world.say(&bye)), [200]);
    assert_eq!(statuses(&world.say(&bye)), [200]);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.assert_nothing_left();
    assert_eq!(statuses(&world.say(&within(&ok, "BYE", 3, "z9hG4bK-late"))), [481]);
}

#[test]
fn rfc5407_3_1_1_the_invite_again_in_the_moratorium_state_draws_no_new_answer() {
    let (mut world, _, ok) = moratorium(true);
    assert!(world.say(&with_body(&request("INVITE", ""), "v=0")).is_empty(), "the 200 repeats itself (RFC 6026)");
    world.pass(ms(600));
    assert_eq!(world.heard(), std::slice::from_ref(&ok));
    world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack"));
    assert!(matches!(world.events_of(0)[..], [Event::Acked { .. }]));
    world.pass(Duration::from_secs(5));
    assert!(world.heard().is_empty());
}

#[test]
fn rfc5407_3_1_2_a_cancel_in_the_moratorium_state_is_answered_and_changes_nothing() {
    let (mut world, leg, ok) = moratorium(true);
    let cancel = request("CANCEL", "").replace("z9hG4bK-CANCEL", "z9hG4bK-INVITE");
    assert_eq!(statuses(&world.say(&cancel)), [200], "and no 487");
    assert!(world.events.is_empty());
    world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack"));
    assert_eq!(statuses(&world.say(&within(&ok, "BYE", 2, "z9hG4bK-bye"))), [200]);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.command(0, hangup(leg));
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_1_3_a_bye_of_the_early_state_in_the_moratorium_state_ends_the_call_and_its_ack_is_swallowed() {
    let (mut world, _, ok) = moratorium(true);
    // Alice has not seen the 200: her BYE is for the early dialog, her ACK follows when the 200 arrives.
    assert_eq!(statuses(&world.say(&within(&ok, "BYE", 2, "z9hG4bK-bye"))), [200]);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    assert!(world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack")).is_empty());
    world.pass(Duration::from_secs(5));
    assert!(world.heard().is_empty(), "the 200 to the INVITE is not repeated");
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_1_4_a_reinvite_in_the_moratorium_state_of_an_answered_offer_is_taken() {
    let (mut world, leg, ok) = moratorium(true);
    let reinvite = with_body(&within(&ok, "INVITE", 2, "z9hG4bK-re"), "v=0 new");
    assert_eq!(statuses(&world.say(&reinvite)), [100]);
    assert!(matches!(&world.events_of(0)[..], [Event::Acked { .. }, Event::Offer { body: Some(_) }]));
    world.command(0, accept(leg));
    world.pass(ms(5));
    assert_eq!(statuses(&world.heard()), [200]);
    // The ACK that was overtaken arrives: it is of the first INVITE, and the second still waits for its own.
    world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack1"));
    assert!(world.events.is_empty());
    world.say(&within(&ok, "ACK", 2, "z9hG4bK-ack2"));
    assert!(matches!(world.events_of(0)[..], [Event::Acked { .. }]));
}

#[test]
fn rfc5407_3_1_5_a_reinvite_in_the_moratorium_state_while_our_offer_is_open_draws_491() {
    let (mut world, _, ok) = moratorium(false);
    let reinvite = with_body(&within(&ok, "INVITE", 2, "z9hG4bK-re"), "v=0 new");
    assert_eq!(statuses(&world.say(&reinvite)), [491]);
    world.say(&within(&ok, "ACK", 2, "z9hG4bK-re"));
    world.say(&with_body(&within(&ok, "ACK", 1, "z9hG4bK-ack"), "v=0 answer"));
    assert!(matches!(&world.events_of(0)[..], [Event::Acked { body: Some(_) }]));
    assert_eq!(statuses(&world.say(&with_body(&within(&ok, "INVITE", 3, "z9hG4bK-re3"), "v=0"))), [100]);
}

#[test]
fn rfc5407_3_1_6_a_bye_of_the_established_state_in_the_moratorium_state_ends_the_call() {
    let (mut world, _, ok) = moratorium(true);
    // Alice's ACK is lost or late, her BYE is not.
    assert_eq!(statuses(&world.say(&within(&ok, "BYE", 2, "z9hG4bK-bye"))), [200]);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.assert_nothing_left();
}

/// An AI answered and hung up at once; its BYE came first and drew 481, and the 200 behind it made a call with nobody in it, for as long as
/// silence is borne. Seed 509 of the far weather.
#[test]
fn rfc5407_3_1_a_bye_that_overtakes_the_200_of_its_dialog_ends_the_call() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    assert_eq!(statuses(&world.say(&from_callee(&invite, "BYE", 1))), [200]);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    let heard = world.say(&reply(&invite, "200 OK", "one", &format!("{CONTACT}{SDP}"), "v=0"));
    let owed: Vec<&str> = heard.iter().filter_map(|message| message.split(' ').next()).collect();
    assert_eq!(owed, ["ACK", "BYE"]);
    world.say(&reply(&heard[1], "481 Gone", "", "", ""));
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_2_1_byes_that_cross_are_both_answered() {
    let mut world = World::new(1);
    let leg = established(&mut world);
    world.command(0, hangup(OUT));
    world.command(1, hangup(leg));
    world.pass(ms(50));
    assert_eq!((world.count(a(), "BYE"), world.count(b(), "BYE")), (1, 1));
    assert_eq!(
        (world.count(a(), "SIP/2.0 200"), world.count(b(), "SIP/2.0 200")),
        (1, 2),
        "b's second is the INVITE's"
    );
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_2_2_a_reinvite_in_the_mortal_state_draws_481() {
    let (mut world, leg, ok) = with_caller();
    world.command(0, hangup(leg));
    world.pass(ms(5));
    let bye = world.heard().remove(0);
    let reinvite = with_body(&within(&ok, "INVITE", 2, "z9hG4bK-re"), "v=0");
    assert_eq!(statuses(&world.say(&reinvite)), [481]);
    world.say(&within(&ok, "ACK", 2, "z9hG4bK-re"));
    world.say(&reply(&bye, "200 OK", "", "", ""));
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_2_3_a_200_to_our_reinvite_in_the_mortal_state_is_acknowledged() {
    let (mut world, _) = with_callee();
    world.command(0, offer(OUT));
    world.pass(ms(5));
    let reinvite = world.heard().remove(0);
    world.command(0, hangup(OUT));
    world.pass(ms(5));
    let bye = world.heard().remove(0);
    assert!(bye.starts_with("BYE"));
    let ack = world.say(&reply(&reinvite, "200 OK", "one", &format!("{CONTACT}{SDP}"), "v=0"));
    assert!(ack[0].starts_with("ACK") && header(&ack[0], "CSeq") == Some("2 ACK"), "{ack:?}");
    world.say(&reply(&bye, "200 OK", "", "", ""));
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_2_4_the_ack_of_the_moratorium_state_in_the_mortal_state_draws_nothing() {
    let (mut world, leg, ok) = moratorium(true);
    world.command(0, hangup(leg));
    world.pass(ms(5));
    assert!(world.heard().is_empty(), "no BYE before the ACK (RFC 3261 section 15)");
    assert_eq!(statuses(&world.say(&within(&ok, "BYE", 2, "z9hG4bK-bye"))), [200]);
    assert!(world.say(&within(&ok, "ACK", 1, "z9hG4bK-ack")).is_empty());
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_3_1_reinvites_that_cross_draw_491_both_ways_and_the_side_without_the_call_id_goes_first() {
    let mut world = World::new(3);
    let leg = established(&mut world);
    world.command(0, offer(OUT));
    world.command(1, offer(leg));
    world.pass(ms(20));
    assert_eq!((world.count(a(), "SIP/2.0 491"), world.count(b(), "SIP/2.0 491")), (1, 1));
    world.pass(Duration::from_secs(2));
    world.command(0, accept(OUT));
    world.pass(Duration::from_secs(4));
    assert!(matches!(&world.events_of(1)[..], [Event::OfferDone { result: Ok(_) }]));
    assert_eq!((world.count(a(), "INVITE"), world.count(b(), "INVITE")), (2, 2));
    world.command(0, hangup(OUT));
    world.assert_nothing_left();
}

#[test]
fn rfc5407_3_3_2_an_update_that_crosses_our_reinvite_draws_491_and_we_try_again() {
    let (mut world, invite) = with_callee();
    world.command(0, offer(OUT));
    world.pass(ms(5));
    let reinvite = world.heard().remove(0);
    assert_eq!(statuses(&world.say(&with_body(&from_callee(&invite, "UPDATE", 1), "v=0"))), [491]);
    assert!(world.say(&reply(&reinvite, "491 Request Pending", "one", "", ""))[0].starts_with("ACK"));
    world.pass(ms(2_000));
    assert!(world.heard().is_empty(), "the owner of the Call-ID waits 2.1 s at least");
    world.pass(ms(2_100));
    let again = world.heard().remove(0);
    assert!(again.starts_with("INVITE") && header(&again, "CSeq") == Some("3 INVITE"), "{again}");
    // An UPDATE that only refreshes a target is none of the offer's business.
    assert_eq!(statuses(&world.say(&from_callee(&invite, "UPDATE", 2).replace("-UPDATE", "-UPDATE2"))), [200]);
}

#[test]
fn rfc5407_3_3_3_a_refer_in_the_mortal_state_draws_481() {
    let (mut world, leg, ok) = with_caller();
    world.command(0, hangup(leg));
    world.pass(ms(5));
    let bye = world.heard().remove(0);
    let refer =
        within(&ok, "REFER", 2, "z9hG4bK-refer").replace("Contact:", "Refer-To: <sip:carol@192.0.2.7>\nContact:");
    assert_eq!(statuses(&world.say(&refer)), [481]);
    world.say(&reply(&bye, "200 OK", "", "", ""));
    world.assert_nothing_left();
}

#[test]
fn rfc5407_appendix_b_a_bye_that_overtakes_its_own_reinvite_ends_both() {
    let (mut world, _, ok) = with_caller();
    world.say(&with_body(&within(&ok, "INVITE", 2, "z9hG4bK-re"), "v=0"));
    assert_eq!(statuses(&world.say(&within(&ok, "BYE", 3, "z9hG4bK-bye"))), [200, 487]);
    world.say(&within(&ok, "ACK", 2, "z9hG4bK-re"));
    world.assert_nothing_left();
}

// ---- messages that are lost or come twice

#[test]
fn faults_14_a_lost_ack_a_lost_200_and_a_lost_bye_are_made_good() {
    for (side, start) in [(0, "ACK "), (1, "SIP/2.0 200"), (0, "BYE ")] {
        let mut world = World::new(1);
        world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
        world.pass(ms(20));
        let (leg, _) = world.incoming(1);
        world.lose(if side == 0 { a() } else { b() }, start);
        world.command(1, Command::Answer { leg, body: Some(bytes(ANSWER)), headers: vec![] });
        world.pass(Duration::from_secs(2));
        assert!(world.events_of(1).iter().any(|event| matches!(event, Event::Acked { .. })), "{start}");
        world.command(0, hangup(OUT));
        world.pass(Duration::from_secs(2));
        assert_eq!(ended(&world.events_of(1)), Some((EndedBy::Peer, None)), "{start}");
        assert_eq!(world.losses(), 0, "{start} was lost");
        world.assert_nothing_left();
    }
}

#[test]
fn faults_14_two_200s_of_a_fork_leave_one_call_and_one_bye() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    for (tag, expected) in [("one", vec!["ACK"]), ("two", vec!["ACK", "BYE"]), ("one", vec!["ACK"])] {
        let heard = world.say(&reply(&invite, "200 OK", tag, &format!("{CONTACT}{SDP}"), "v=0"));
        assert_eq!(heard.iter().map(|m| m.split(' ').next().unwrap()).collect::<Vec<_>>(), expected, "{tag}");
    }
    // A second final answer changes nothing.
    assert!(world.say(&reply(&invite, "603 Decline", "one", "", "")).is_empty());
    assert!(world.events_of(0).iter().all(|event| !matches!(event, Event::Ended { .. })));
}
