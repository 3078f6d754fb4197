//! Reliable provisional responses, ours and the peer's (RFC 3262), and what is offered in them.

use crate::world::{ANSWER, OFFER, OUT, World, a, b, dial, ended, hand, header, ms, reply, request, status};
use bytes::Bytes;
use signaling::{Command, EndedBy, Event, LegId};
use std::time::Duration;

const SDP: &str = "Content-Type: application/sdp\n";
const RELIABLE: &str = "Require: 100rel\n";
const CONTACT: &str = "Contact: <sip:bob@192.0.2.9:5070>\nAllow: INVITE, UPDATE, PRACK\n";

fn progress(leg: LegId, status: u16, body: Option<&'static [u8]>) -> Command {
    Command::Progress { leg, status, answer: body.map(Bytes::from_static), headers: vec![] }
}

fn answer(leg: LegId, body: Option<&'static [u8]>) -> Command {
    Command::Answer { leg, body: body.map(Bytes::from_static), headers: vec![] }
}

/// An INVITE of the hand with an offer, and these headers.
fn invite(more: &str) -> String {
    request("INVITE", &format!("Allow: UPDATE\n{more}{SDP}"))
        .replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=0")
}

/// A core that a hand called, with these headers; the leg.
fn called(message: &str) -> (World, LegId) {
    let mut world = World::alone();
    assert_eq!(status(&world.say(message)[0]), 100);
    let (leg, _) = world.incoming(0);
    (world, leg)
}

/// What the hand hears of a command.
fn after(world: &mut World, command: Command) -> Vec<String> {
    world.command(0, command);
    world.pass(ms(5));
    world.heard()
}

/// A request of the hand within the dialog of a response.
fn within(response: &str, method: &str, number: u32, more: &str, body: &str) -> String {
    request(method, more)
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(response, "To").unwrap()))
        .replace("z9hG4bK-", &format!("z9hG4bK-{number}-"))
        .replace("CSeq: 1 ", &format!("CSeq: {number} "))
        .replace("Content-Length: 0\n\n", &format!("Content-Length: {}\n\n{body}", body.len()))
}

fn rseq(message: &str) -> u32 {
    header(message, "RSeq").unwrap().parse().unwrap()
}

fn prack(response: &str, number: u32, more: &str, body: &str) -> String {
    within(response, "PRACK", number, &format!("RAck: {} 1 INVITE\n{more}", rseq(response)), body)
}

#[test]
fn rfc3262_3_each_response_is_reliable_where_that_is_required_and_one_at_a_time() {
    let (mut world, leg) = called(&invite(RELIABLE));
    let first = after(&mut world, progress(leg, 180, None)).remove(0);
    assert_eq!((status(&first), header(&first, "Require")), (180, Some("100rel")));
    assert!((1..1 << 31).contains(&rseq(&first)));
    assert!(after(&mut world, progress(leg, 183, None)).is_empty(), "the one before is not acknowledged");
    let heard = world.say(&prack(&first, 2, "", ""));
    assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [200, 183]);
    assert_eq!(rseq(&heard[1]), rseq(&first) + 1);
    assert_eq!(header(&heard[0], "CSeq"), Some("2 PRACK"));
    let ok = after(&mut world, answer(leg, Some(ANSWER)));
    assert_eq!(ok.iter().map(|m| status(m)).collect::<Vec<_>>(), [200], "no session waits for its PRACK");
    assert_eq!(status(&world.say(&prack(&heard[1], 3, "", ""))[0]), 200, "a late PRACK is taken");
}

#[test]
fn rfc3262_3_a_response_is_sent_again_from_t1_doubling_until_its_prack() {
    let (mut world, leg) = called(&invite(RELIABLE));
    let ringing = after(&mut world, progress(leg, 180, None)).remove(0);
    let start = world.now.monotonic.as_nanos() / 1_000_000 - 5;
    world.pass(Duration::from_secs(8));
    let copies: Vec<u64> =
        world.ladder(a()).iter().filter(|(_, line)| line.contains("180")).map(|(at, _)| at - start).collect();
    assert_eq!(copies, [0, 500, 1_500, 3_500, 7_500]);
    assert!(world.heard().iter().all(|copy| *copy == ringing));
    world.say(&prack(&ringing, 2, "", ""));
    world.pass(Duration::from_secs(30));
    assert!(world.heard().is_empty());
}

#[test]
fn rfc3262_3_without_a_prack_for_64_t1_the_invite_is_refused_with_5xx() {
    let (mut world, leg) = called(&invite(RELIABLE));
    world.command(0, progress(leg, 180, None));
    world.pass(Duration::from_secs(33));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(504))));
    assert!(world.count(a(), "SIP/2.0 504") > 0);
    world.assert_nothing_left();
}

#[test]
fn rfc3262_3_a_prack_that_matches_nothing_draws_481() {
    let (mut world, leg) = called(&invite(RELIABLE));
    let ringing = after(&mut world, progress(leg, 180, None)).remove(0);
    let number = rseq(&ringing);
    for (at, rack) in
        [format!("{} 1 INVITE", number + 1), format!("{number} 2 INVITE"), format!("{number} 1 UPDATE"), "x".into()]
            .iter()
            .enumerate()
    {
        let stray = within(&ringing, "PRACK", u32::try_from(at).unwrap() + 2, &format!("RAck: {rack}\n"), "");
        assert_eq!(status(&world.say(&stray)[0]), 481, "{rack}");
    }
    assert_eq!(status(&world.say(&prack(&ringing, 9, "", ""))[0]), 200);
    assert_eq!(status(&world.say(&prack(&ringing, 10, "", ""))[0]), 481, "it is acknowledged already");
}

#[test]
fn rfc3262_3_where_it_is_only_supported_a_session_makes_a_response_reliable_and_its_2xx_wait() {
    let (mut world, leg) = called(&invite("Supported: 100rel\n"));
    let ringing = after(&mut world, progress(leg, 180, None)).remove(0);
    assert_eq!(header(&ringing, "RSeq"), None);
    let early = after(&mut world, progress(leg, 183, Some(ANSWER))).remove(0);
    assert!(header(&early, "RSeq").is_some() && early.ends_with("v=0 answer"));
    assert!(after(&mut world, answer(leg, Some(ANSWER))).is_empty(), "section 3: no 2xx before the PRACK");
    assert!(
        matches!(world.events_of(0).last(), Some(Event::AnswerWaits)),
        "call control knows that nobody was answered"
    );
    let heard = world.say(&prack(&early, 2, "", ""));
    assert!(matches!(world.events_of(0).last(), Some(Event::AnswerSent)));
    assert_eq!(heard.iter().map(|m| status(m)).collect::<Vec<_>>(), [200, 200]);
    assert!(heard[1].ends_with("Content-Length: 0\r\n\r\n"), "the answer is not given twice");
    world.say(&within(&heard[1], "ACK", 1, "", ""));
    assert!(matches!(world.events_of(0).last(), Some(Event::Acked { body: None })));
    world.command(0, Command::Hangup { leg, reason: None });
    world.assert_nothing_left();
}

#[test]
fn rfc3262_5_an_offer_in_the_prack_is_answered_in_its_200() {
    let (mut world, leg) = called(&invite("Supported: 100rel\n"));
    let early = after(&mut world, progress(leg, 183, Some(ANSWER))).remove(0);
    world.events.clear();
    assert!(world.say(&prack(&early, 2, SDP, "v=0 more")).is_empty());
    assert!(matches!(&world.events_of(0)[..], [Event::Offer { body: Some(body) }] if body == "v=0 more"));
    let heard = after(&mut world, Command::AcceptOffer { leg, answer: Bytes::from_static(b"v=0 fine") });
    assert_eq!((status(&heard[0]), header(&heard[0], "CSeq")), (200, Some("2 PRACK")));
    assert!(heard[0].ends_with("v=0 fine"));
}

#[test]
fn rfc3262_5_an_invite_without_an_offer_gets_ours_reliably_and_the_prack_answers_it() {
    let (mut world, leg) = called(&request("INVITE", RELIABLE));
    assert!(world.events.iter().any(|(.., event)| matches!(event, Event::Incoming(incoming) if incoming.reliable)));
    let early = after(&mut world, progress(leg, 180, Some(OFFER))).remove(0);
    assert!(early.ends_with("v=0 offer"));
    world.events.clear();
    assert_eq!(status(&world.say(&prack(&early, 2, "", ""))[0]), 400, "an offer is answered");
    assert_eq!(status(&world.say(&prack(&early, 3, SDP, "v=0 theirs"))[0]), 200);
    assert!(matches!(&world.events_of(0)[..], [Event::EarlyAnswer { body }] if body == "v=0 theirs"));
    let ok = after(&mut world, answer(leg, None)).remove(0);
    world.say(&within(&ok, "ACK", 1, "", ""));
    assert!(matches!(world.events_of(0)[..], [Event::Acked { body: None }]));
}

#[test]
fn rfc3262_3_a_cancel_or_a_refusal_ends_the_copies() {
    let (mut world, leg) = called(&invite(RELIABLE));
    world.command(0, progress(leg, 180, None));
    world.say(
        &invite(RELIABLE)
            .replace("INVITE sip", "CANCEL sip")
            .replace("1 INVITE", "1 CANCEL")
            .replace("Require: 100rel\n", ""),
    );
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Cancel, Some(487))));
    let before = world.count(a(), "SIP/2.0 180");
    world.assert_nothing_left();
    assert_eq!(world.count(a(), "SIP/2.0 180"), before);
    let (mut world, leg) = called(&invite(RELIABLE));
    world.command(0, progress(leg, 180, None));
    world.command(0, Command::Reject { leg, status: 486, reason: None, headers: vec![] });
    world.assert_nothing_left();
    assert_eq!(world.count(a(), "SIP/2.0 180"), 1);
}

#[test]
fn rfc3262_3_a_long_ringing_is_a_new_response_every_two_and_a_half_minutes() {
    let (mut world, leg) = called(&invite(RELIABLE));
    let ringing = after(&mut world, progress(leg, 180, None)).remove(0);
    world.say(&prack(&ringing, 2, "", ""));
    world.pass(Duration::from_secs(149));
    assert!(world.heard().is_empty());
    world.pass(Duration::from_secs(2));
    let again = world.heard().remove(0);
    assert_eq!((status(&again), rseq(&again)), (180, rseq(&ringing) + 1));
}

#[test]
fn provisional_responses_that_wait_for_a_prack_are_bounded() {
    let (mut world, leg) = called(&invite(RELIABLE));
    let first = after(&mut world, progress(leg, 180, None)).remove(0);
    for status in 100..150 {
        assert!(after(&mut world, progress(leg, status + 50, None)).is_empty());
    }
    let mut last = first;
    let mut sent = 0;
    while let Some(next) = world.say(&prack(&last, 2 + sent, "", "")).into_iter().nth(1) {
        sent += 1;
        last = next;
    }
    assert_eq!(sent, 8, "the oldest went first");
    assert_eq!(status(&last), 199);
}

// ---- the calling side

fn dialled(offer: Option<&'static [u8]>) -> (World, String) {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    dial.offer = offer.map(Bytes::from_static);
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    world.events.clear();
    (world, invite)
}

fn reliable(invite: &str, line: &str, tag: &str, rseq: u32, body: &str) -> String {
    reply(invite, line, tag, &format!("{CONTACT}{RELIABLE}RSeq: {rseq}\n"), body)
}

fn statuses(world: &mut World) -> Vec<u16> {
    let of = |event: &Event| match event {
        Event::Provisional { status, .. } => *status,
        Event::Answered { .. } => 200,
        _ => 0,
    };
    world.events_of(0).iter().map(of).collect()
}

#[test]
fn rfc3262_4_each_response_is_acknowledged_in_order_and_copies_are_ignored() {
    let (mut world, invite) = dialled(Some(OFFER));
    assert!(header(&invite, "Supported").unwrap().contains("100rel"));
    let heard = world.say(&reliable(&invite, "180 Ringing", "one", 7, ""));
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("PRACK sip:bob@192.0.2.9:5070 SIP/2.0"));
    assert_eq!((header(&heard[0], "RAck"), header(&heard[0], "CSeq")), (Some("7 1 INVITE"), Some("2 PRACK")));
    assert!(world.say(&reliable(&invite, "180 Ringing", "one", 7, "")).is_empty(), "a copy");
    assert!(world.say(&reliable(&invite, "183 Progress", "one", 9, "")).is_empty(), "too early");
    world.say(&reply(&heard[0], "200 OK", "", "", ""));
    let second = world.say(&reliable(&invite, "183 Progress", "one", 8, ""));
    assert_eq!((header(&second[0], "RAck"), header(&second[0], "CSeq")), (Some("8 1 INVITE"), Some("3 PRACK")));
    world.say(&reply(&second[0], "200 OK", "", "", ""));
    assert_eq!(header(&world.say(&reliable(&invite, "183 Progress", "one", 9, ""))[0], "RAck"), Some("9 1 INVITE"));
    assert_eq!(statuses(&mut world), [180, 183, 183]);
}

#[test]
fn rfc3262_4_each_early_dialog_has_an_order_of_its_own() {
    let (mut world, invite) = dialled(Some(OFFER));
    for (tag, number) in [("one", 100), ("two", 5), ("one", 101), ("two", 6)] {
        let heard = world.say(&reliable(&invite, "183 Progress", tag, number, ""));
        assert_eq!(header(&heard[0], "RAck").unwrap(), format!("{number} 1 INVITE"));
        assert!(header(&heard[0], "To").unwrap().ends_with(&format!(";tag={tag}")));
        world.say(&reply(&heard[0], "200 OK", "", "", ""));
    }
}

#[test]
fn rfc6337_3_1_1_a_2xx_need_not_repeat_the_answer_of_a_reliable_response() {
    let (mut world, invite) = dialled(Some(OFFER));
    let prack = world.say(&reliable(&invite, "183 Progress", "one", 1, "v=0 early")).remove(0);
    world.say(&reply(&prack, "200 OK", "", "", ""));
    let ack = world.say(&reply(&invite, "200 OK", "one", CONTACT, ""));
    assert!(ack[0].starts_with("ACK"));
    let events = world.events_of(0);
    assert!(matches!(&events[0], Event::Provisional { body: Some(body), .. } if body == "v=0 early"));
    assert!(matches!(&events[1], Event::Answered { body: Some(body), .. } if body == "v=0 early"));
}

#[test]
fn rfc3262_5_an_offer_in_a_response_is_answered_in_the_prack() {
    let (mut world, invite) = dialled(None);
    assert!(world.say(&reliable(&invite, "183 Progress", "one", 1, "v=0 theirs")).is_empty(), "until we answer");
    assert!(world.say(&reliable(&invite, "183 Progress", "one", 1, "v=0 theirs")).is_empty());
    assert!(matches!(&world.events_of(0)[..], [Event::Provisional { status: 183, body: Some(_) }]));
    let prack = after(&mut world, Command::AnswerLate { leg: OUT, answer: Bytes::from_static(ANSWER) });
    assert!(prack[0].starts_with("PRACK") && prack[0].ends_with("v=0 answer"));
    world.say(&reply(&prack[0], "200 OK", "", "", ""));
    let ack = world.say(&reply(&invite, "200 OK", "one", CONTACT, "v=0 again"));
    assert!(ack[0].starts_with("ACK") && ack[0].ends_with("Content-Length: 0\r\n\r\n"));
    assert!(matches!(&world.events_of(0)[..], [Event::Answered { body: None, .. }]));
}

#[test]
fn an_offer_in_a_response_that_nobody_answers_ends_the_leg() {
    let (mut world, invite) = dialled(None);
    world.say(&reliable(&invite, "183 Progress", "one", 1, "v=0 theirs"));
    world.pass(Duration::from_secs(11));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    assert!(world.count(a(), "CANCEL") > 0);
    world.assert_nothing_left();
}

#[test]
fn faults_15_a_refused_prack_leaves_the_invite_to_its_own_end() {
    for refusal in ["481 Call Does Not Exist", "500 Server Error", "415 Unsupported Media Type"] {
        let (mut world, invite) = dialled(Some(OFFER));
        let prack = world.say(&reliable(&invite, "180 Ringing", "one", 1, "")).remove(0);
        assert!(world.say(&reply(&prack, refusal, "", "", "")).is_empty());
        assert_eq!(statuses(&mut world), [180]);
        assert!(world.say(&reply(&invite, "504 Server Time-out", "one", "", ""))[0].starts_with("ACK"));
        assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Refused, Some(504))));
        world.assert_nothing_left();
    }
}

#[test]
fn rfc3262_4_a_challenged_prack_is_sent_again_with_credentials() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    let (username, password) = ("u".to_owned(), "p".to_owned());
    dial.credentials = Some(signaling::Credentials { realm: None, username, password });
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let prack = world.say(&reliable(&invite, "180 Ringing", "one", 1, "")).remove(0);
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\n";
    let again = world.say(&reply(&prack, "401 Unauthorized", "", challenge, ""));
    assert!(again[0].starts_with("PRACK") && header(&again[0], "Authorization").is_some());
    assert_eq!((header(&again[0], "RAck"), header(&again[0], "CSeq")), (Some("1 1 INVITE"), Some("3 PRACK")));
}

#[test]
fn rfc3262_two_of_us_speak_it_with_one_another() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    world.command(1, progress(leg, 183, Some(ANSWER)));
    world.command(1, answer(leg, Some(ANSWER)));
    world.pass(ms(50));
    assert_eq!((world.count(a(), "PRACK"), world.count(a(), "ACK")), (1, 1));
    assert!(matches!(world.events_of(0).last(), Some(Event::Answered { body: Some(body), .. }) if body == ANSWER));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

// ---- UPDATE in an early dialog (RFC 3311)

#[test]
fn rfc3311_5_1_we_offer_by_update_before_the_answer() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    let offer = |leg| Command::Offer { leg, offer: Bytes::from_static(OFFER) };
    world.command(0, offer(OUT));
    assert!(matches!(world.events_of(0).last(), Some(Event::OfferDone { result: Err(491) })), "the INVITE's is open");
    world.command(1, progress(leg, 183, Some(ANSWER)));
    world.pass(ms(20));
    world.events.clear();
    for (side, ours, theirs) in [(0, OUT, leg), (1, leg, OUT)] {
        world.command(side, offer(ours));
        world.pass(ms(10));
        assert!(matches!(&world.events_of(1 - side)[..], [Event::Offer { body: Some(body) }] if body == OFFER));
        world.command(1 - side, Command::AcceptOffer { leg: theirs, answer: Bytes::from_static(ANSWER) });
        world.pass(ms(10));
        assert!(matches!(&world.events_of(side)[..], [Event::OfferDone { result: Ok(body) }] if body == ANSWER));
    }
    assert_eq!((world.count(a(), "UPDATE"), world.count(b(), "UPDATE")), (1, 1));
    world.command(1, Command::Reject { leg, status: 486, reason: None, headers: vec![] });
    world.assert_nothing_left();
}

#[test]
fn rfc3311_5_2_updates_that_cross_draw_491_and_are_tried_again() {
    let mut world = World::new(1);
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(20));
    let (leg, _) = world.incoming(1);
    world.command(1, progress(leg, 183, Some(ANSWER)));
    world.pass(ms(20));
    world.events.clear();
    let offer = |leg| Command::Offer { leg, offer: Bytes::from_static(OFFER) };
    world.command(0, offer(OUT));
    world.command(1, offer(leg));
    world.pass(ms(10));
    assert_eq!(world.count(a(), "SIP/2.0 491") + world.count(b(), "SIP/2.0 491"), 2);
    world.pass(Duration::from_secs(2));
    assert!(matches!(&world.events_of(0)[..], [Event::OfferDone { result: Err(491) }, Event::Offer { .. }]));
    world.command(0, Command::AcceptOffer { leg: OUT, answer: Bytes::from_static(ANSWER) });
    world.pass(ms(10));
    assert!(matches!(&world.events_of(1)[..], [Event::OfferDone { result: Ok(_) }]));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.assert_nothing_left();
}

#[test]
fn faults_15_an_update_before_the_answer_draws_491_or_500_while_the_invites_offer_is_open() {
    let (mut world, invite) = dialled(Some(OFFER));
    world.say(&reply(&invite, "180 Ringing", "one", CONTACT, ""));
    let update = request("UPDATE", SDP)
        .replace("From: <sip:caller@192.0.2.9>;tag=f1", "From: <sip:bob@192.0.2.9>;tag=one")
        .replace("To: <sip:line@192.0.2.1>", &format!("To: {}", header(&invite, "From").unwrap()))
        .replace("Call-ID: call-1", &format!("Call-ID: {}", header(&invite, "Call-ID").unwrap()))
        .replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=0");
    assert_eq!(status(&world.say(&update)[0]), 491, "our offer has no answer");
    let (mut world, leg) = called(&invite_with_offer());
    let ringing = after(&mut world, progress(leg, 180, None)).remove(0);
    let heard = world.say(&within(&ringing, "UPDATE", 2, SDP, "v=0"));
    assert_eq!(status(&heard[0]), 500, "its own offer has no answer");
    assert!(header(&heard[0], "Retry-After").unwrap().parse::<u32>().unwrap() <= 10);
}

fn invite_with_offer() -> String {
    invite("")
}
