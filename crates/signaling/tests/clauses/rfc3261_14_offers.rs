//! Offers within a dialog (RFC 3261 section 14, RFC 3311), and what else a peer may ask there.

use crate::world::{ANSWER, OFFER, OUT, World, a, b, ended, established, header, ms, request, status};
use bytes::Bytes;
use signaling::{Command, EndedBy, Event, LegId};
use std::time::Duration;

fn offer(leg: LegId) -> Command {
    Command::Offer { leg, offer: Bytes::from_static(OFFER) }
}

fn accept(leg: LegId) -> Command {
    Command::AcceptOffer { leg, answer: Bytes::from_static(ANSWER) }
}

#[test]
fn rfc3261_14_1_a_reinvite_is_offered_answered_and_acknowledged_both_ways() {
    let mut world = World::new(1);
    let leg = established(&mut world);
    for (side, from, to) in [(0, OUT, leg), (1, leg, OUT)] {
        world.command(side, offer(from));
        world.pass(ms(10));
        assert!(matches!(&world.events_of(1 - side)[..], [Event::Offer { body: Some(body) }] if body == OFFER));
        world.command(1 - side, accept(to));
        world.pass(ms(10));
        assert!(matches!(&world.events_of(side)[..], [Event::OfferDone { result: Ok(body) }] if body == ANSWER));
        assert!(matches!(&world.events_of(1 - side)[..], [Event::Acked { body: None }]));
    }
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

#[test]
fn rfc3261_14_2_a_refused_offer_leaves_the_call_as_it_was() {
    let mut world = World::new(1);
    let leg = established(&mut world);
    world.command(0, offer(OUT));
    world.pass(ms(10));
    world.command(1, Command::RefuseOffer { leg, status: 488 });
    world.pass(ms(10));
    assert!(matches!(&world.events_of(0)[..], [Event::OfferDone { result: Err(488) }]));
    world.command(1, Command::Hangup { leg, reason: None });
    world.pass(ms(10));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_14_1_glare_draws_491_both_ways_and_the_side_without_the_call_id_tries_first() {
    for seed in 0..20 {
        let mut world = World::new(seed);
        let leg = established(&mut world);
        world.command(0, offer(OUT));
        world.command(1, offer(leg));
        world.pass(ms(10));
        assert_eq!(world.count(a(), "SIP/2.0 491") + world.count(b(), "SIP/2.0 491"), 2);
        // The owner of the Call-ID (side 0) waits 2.1 s to 4 s, the other up to 2 s: its offer comes first and wins.
        world.pass(Duration::from_secs(2) + ms(10));
        assert!(
            matches!(&world.events_of(0)[..], [Event::OfferDone { result: Err(491) }, Event::Offer { .. }]),
            "seed {seed}"
        );
        world.command(0, accept(OUT));
        world.pass(Duration::from_secs(5));
        assert!(matches!(&world.events_of(1)[..], [Event::OfferDone { result: Ok(_) }]));
        world.command(0, Command::Hangup { leg: OUT, reason: None });
        world.assert_nothing_left();
    }
}

#[test]
fn an_offer_that_call_control_forgets_is_refused_and_the_call_goes_on() {
    let mut world = World::new(1);
    established(&mut world);
    world.command(0, offer(OUT));
    world.pass(Duration::from_secs(11));
    assert!(matches!(&world.events_of(0)[..], [Event::OfferDone { result: Err(500) }]));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

#[test]
fn rfc3261_12_2_1_2_a_peer_that_has_forgotten_the_dialog_ends_it() {
    let mut world = World::new(1);
    established(&mut world);
    world.weather.lost = 1000;
    world.command(0, offer(OUT));
    world.pass(Duration::from_secs(33));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    assert!(world.count(a(), "BYE") > 0);
}

/// A dialog with a hand: the text of its answer.
fn with_hand() -> (World, LegId, String) {
    let mut world = World::alone();
    let body = "Content-Type: application/sdp\nContent-Length: 3\n\nv=0";
    world.say(&request("INVITE", "").replace("Content-Length: 0\n\n", body));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(5));
    let answer = world.heard().remove(0);
    (world, leg, answer)
}

/// A request of the hand within that dialog.
fn within(answer: &str, method: &str, number: u32, more: &str, body: &str) -> String {
    let text = request(method, more)
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(answer, "To").unwrap()))
        .replace("z9hG4bK-", &format!("z9hG4bK-{number}-"))
        .replace("CSeq: 1 ", &format!("CSeq: {number} "));
    text.replace("Content-Length: 0\n\n", &format!("Content-Length: {}\n\n{body}", body.len()))
}

const SDP: &str = "Content-Type: application/sdp\n";

fn confirmed() -> (World, LegId, String) {
    let (mut world, leg, answer) = with_hand();
    assert!(world.say(&within(&answer, "ACK", 1, "", "")).is_empty());
    world.events.clear();
    (world, leg, answer)
}

#[test]
fn rfc3261_14_2_a_reinvite_without_an_offer_asks_for_ours_and_the_ack_answers_it() {
    let (mut world, leg, answer) = confirmed();
    assert_eq!(status(&world.say(&within(&answer, "INVITE", 2, "", ""))[0]), 100);
    assert!(matches!(&world.events_of(0)[..], [Event::Offer { body: None }]));
    world.command(0, Command::AcceptOffer { leg, answer: Bytes::from_static(OFFER) });
    world.pass(ms(5));
    let ok = world.heard().remove(0);
    assert_eq!(status(&ok), 200);
    assert!(ok.ends_with("v=0 offer"));
    assert_eq!(status(&world.say(&within(&answer, "INVITE", 3, SDP, "v=0"))[0]), 491, "our offer is open");
    world.say(&within(&answer, "ACK", 2, SDP, "v=0 theirs"));
    assert!(matches!(&world.events_of(0)[..], [Event::Acked { body: Some(body) }] if body == "v=0 theirs"));
}

#[test]
fn rfc3261_14_2_a_second_offer_before_the_first_is_answered_draws_500_with_retry_after() {
    let (mut world, _, answer) = confirmed();
    world.say(&within(&answer, "INVITE", 2, SDP, "v=0"));
    let heard = world.say(&within(&answer, "INVITE", 3, SDP, "v=0"));
    assert_eq!(status(&heard[0]), 500);
    let wait: u32 = header(&heard[0], "Retry-After").unwrap().parse().unwrap();
    assert!(wait <= 10);
}

#[test]
fn rfc5407_a_reinvite_before_the_ack_of_an_answered_offer_stands_for_the_ack() {
    let (mut world, _, answer) = with_hand();
    world.events.clear();
    assert_eq!(status(&world.say(&within(&answer, "INVITE", 2, SDP, "v=0"))[0]), 100);
    assert!(matches!(&world.events_of(0)[..], [Event::Acked { body: None }, Event::Offer { body: Some(_) }]));
}

#[test]
fn rfc3311_5_2_an_update_is_an_offer_or_a_refresh() {
    let (mut world, leg, answer) = confirmed();
    let heard = world.say(&within(&answer, "UPDATE", 2, "", ""));
    assert_eq!(status(&heard[0]), 200);
    assert!(world.events_of(0).is_empty(), "a refresh is nobody's business");
    assert!(world.say(&within(&answer, "UPDATE", 3, SDP, "v=0")).is_empty());
    assert!(matches!(&world.events_of(0)[..], [Event::Offer { body: Some(_) }]));
    world.command(0, accept(leg));
    world.pass(ms(5));
    assert_eq!(status(&world.heard()[0]), 200);
}

#[test]
fn rfc3311_5_2_an_update_with_an_offer_before_our_answer_draws_500() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(ms(5));
    let ringing = world.heard().remove(0);
    assert_eq!(status(&world.say(&within(&ringing, "UPDATE", 2, SDP, "v=0"))[0]), 500);
    assert_eq!(status(&world.say(&within(&ringing, "BYE", 3, "", ""))[0]), 200);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    assert_eq!(world.count(a(), "SIP/2.0 487"), 1, "a BYE before the answer ends the INVITE too");
}

#[test]
fn rfc3261_12_2_2_a_request_with_a_lower_number_draws_500() {
    let (mut world, _, answer) = confirmed();
    assert_eq!(status(&world.say(&within(&answer, "OPTIONS", 9, "", ""))[0]), 200);
    assert_eq!(status(&world.say(&within(&answer, "INFO", 10, "", ""))[0]), 200);
    assert_eq!(status(&world.say(&within(&answer, "INFO", 4, "", ""))[0]), 500);
}

#[test]
fn rfc6086_info_with_digits_is_told_and_what_else_it_brings_is_refused() {
    let (mut world, _, answer) = confirmed();
    let info = |number, more: &str, body: &str| within(&answer, "INFO", number, more, body);
    assert_eq!(status(&world.say(&info(2, "Content-Type: application/DTMF-relay\n", "Signal=5\r\n"))[0]), 200);
    assert!(
        matches!(&world.events_of(0)[..], [Event::Info { content_type, .. }] if content_type == "application/dtmf-relay")
    );
    assert_eq!(status(&world.say(&info(3, "Info-Package: foo\n", ""))[0]), 469);
    assert_eq!(status(&world.say(&info(4, "Content-Type: text/plain\n", "x"))[0]), 415);
    assert_eq!(status(&world.say(&info(5, "", ""))[0]), 200);
    assert!(world.events_of(0).is_empty());
}

#[test]
fn a_reinvite_without_a_body_after_our_bye_draws_481() {
    let (mut world, leg, answer) = confirmed();
    world.command(0, Command::Hangup { leg, reason: None });
    world.pass(ms(5));
    world.heard();
    assert_eq!(status(&world.say(&within(&answer, "INVITE", 2, "", ""))[0]), 481);
    assert_eq!(status(&world.say(&within(&answer, "BYE", 3, "", ""))[0]), 200, "two BYEs cross");
    world.pass(Duration::from_secs(40));
    world.assert_nothing_left();
}

#[test]
fn rfc3261_15_a_bye_before_the_ack_ends_the_call() {
    let (mut world, _, answer) = with_hand();
    world.events.clear();
    assert_eq!(status(&world.say(&within(&answer, "BYE", 2, "", ""))[0]), 200);
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Peer, None)));
    world.pass(ms(5_000));
    assert!(world.heard().is_empty(), "our 200 is not repeated any more");
    world.assert_nothing_left();
}

#[test]
fn rfc3261_14_2_a_cancelled_reinvite_draws_487_and_the_call_goes_on() {
    let (mut world, leg, answer) = confirmed();
    world.say(&within(&answer, "INVITE", 2, SDP, "v=0"));
    let cancel = within(&answer, "CANCEL", 2, "", "").replace("z9hG4bK-2-CANCEL", "z9hG4bK-2-INVITE");
    let statuses: Vec<u16> = world.say(&cancel).iter().map(|m| status(m)).collect();
    assert_eq!(statuses, [200, 487]);
    world.events.clear();
    world.command(0, accept(leg));
    world.pass(ms(5));
    assert!(world.heard().is_empty(), "too late");
    assert!(world.events.is_empty());
}

/// A PRACK, UPDATE or INFO before the answer raises the peer's number; the ACK still has the INVITE's. It was not recognised,
/// and the call was ended after 32 s.
#[test]
fn rfc3261_13_2_2_4_the_ack_has_the_number_of_its_invite_whatever_came_before_the_answer() {
    let mut world = World::alone();
    world.say(&request("INVITE", ""));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Progress { leg, status: 180, answer: None, headers: vec![] });
    world.pass(ms(5));
    let ringing = world.heard().remove(0);
    assert_eq!(status(&world.say(&within(&ringing, "INFO", 2, "", ""))[0]), 200);
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(OFFER)), headers: vec![] });
    world.pass(ms(5));
    world.heard();
    world.events.clear();
    world.say(&within(&ringing, "ACK", 1, SDP, "v=0"));
    assert!(matches!(&world.events_of(0)[..], [Event::Acked { body: Some(_) }]));
}
