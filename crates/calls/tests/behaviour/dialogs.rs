//! Dialogs that go beyond INVITE and 200: third-party call control, reliable ringing, refreshes, redirections, hold.

use crate::world::{RULES, SDP, World, config};
use bytes::Bytes;
use calls::Trunk;
use media_relay::Source;
use policy::Cause;
use signaling::{Command, Event, LegId};

fn sdp(more: &str) -> Bytes {
    Bytes::from(format!("{SDP}{more}"))
}

fn moved_to(address: &str) -> Bytes {
    Bytes::from(SDP.replace("c=IN IP4 192.0.2.9", &format!("c=IN IP4 {address}")))
}

/// The body of the last command toward a leg that has one.
fn told(world: &World, leg: LegId) -> String {
    let mut bodies =
        world.commands.iter().rev().filter(|command| command.leg() == leg).filter_map(|command| match command {
            Command::Answer { body, .. } | Command::Progress { answer: body, .. } => body.clone(),
            Command::AcceptOffer { answer, .. } => Some(answer.clone()),
            Command::Offer { offer, .. } => Some(offer.clone()),
            _ => None,
        });
    String::from_utf8(bodies.next().expect("a body").to_vec()).unwrap()
}

fn offers(world: &World, leg: LegId) -> usize {
    world.commands.iter().filter(|command| matches!(command, Command::Offer { leg: it, .. } if *it == leg)).count()
}

// ---- third-party call control toward us (RFC 3725)

#[test]
fn rfc3725_4_1_flow_i_an_invite_without_an_offer_is_answered_in_the_ack() {
    let mut world = World::new();
    world.caller_comes(None);
    let ai = world.dialled("bot@");
    world.answer(ai);
    let caller = world.caller;
    assert!(told(&world, caller).contains("m=audio 20"), "our 200 offers");
    world.tell(caller, Event::Acked { body: Some(sdp("")) });
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
}

#[test]
fn rfc3725_4_4_flow_iv_a_call_without_media_gets_it_by_a_reinvite_that_asks_for_our_offer() {
    let mut world = World::new();
    world.caller_comes(Some("v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"));
    let ai = world.dialled("bot@");
    world.answer(ai);
    let caller = world.caller;
    assert!(!told(&world, caller).contains("m="), "there is no line to answer");
    world.tell(caller, Event::Acked { body: None });
    assert_eq!(*world.caller_hears(), Source::Nothing, "the controller holds us");
    world.tell(caller, Event::Offer { body: None });
    assert!(told(&world, caller).contains("m=audio 20"));
    world.tell(caller, Event::Acked { body: Some(sdp("")) });
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
}

// ---- reliable ringing

#[test]
fn rfc3262_5_a_caller_without_an_offer_who_requires_100rel_gets_ours_with_the_ringing() {
    let mut world = World::new();
    world.reliable = true;
    world.caller_comes(None);
    let (caller, ai) = (world.caller, world.dialled("bot@"));
    world.ring(ai);
    assert!(told(&world, caller).contains("m=audio 20"));
    world.tell(caller, Event::EarlyAnswer { body: sdp("") });
    world.answer(ai);
    let answers = world.commands.iter().filter(|it| matches!(it, Command::Answer { body: None, .. })).count();
    assert_eq!(answers, 1, "the 200 says nothing again");
    world.tell(caller, Event::Acked { body: None });
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
}

#[test]
fn rfc3262_3_a_caller_who_never_acknowledges_our_ringing_was_never_answered_by_the_record() {
    for acknowledges in [false, true] {
        let mut world = World::new();
        world.reliable = true;
        world.caller_comes(None);
        let (caller, ai) = (world.caller, world.dialled("bot@"));
        world.ring(ai);
        world.answer(ai);
        world.tell(caller, Event::AnswerWaits);
        if acknowledges {
            world.tell(caller, Event::EarlyAnswer { body: sdp("") });
            world.tell(caller, Event::AnswerSent);
        }
        world.hang_up(caller);
        assert_eq!(world.cdrs[0].answered.is_some(), acknowledges);
    }
}

// ---- refreshes, one offer at a time

#[test]
fn rfc4028_10_a_refresh_offers_what_is_agreed_on_in_the_same_session() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    let before = told(&world, caller);
    world.tell(caller, Event::Refresh);
    let offer = told(&world, caller);
    assert_eq!(offers(&world, caller), 1);
    let origin = |body: &str| body.lines().find(|line| line.starts_with("o=")).unwrap().to_owned();
    assert_eq!(origin(&before).split(' ').nth(1), origin(&offer).split(' ').nth(1), "one session");
    let plans = world.plans.len();
    world.tell(caller, Event::OfferDone { result: Ok(sdp("")) });
    assert_eq!(world.plans.len(), plans, "nobody hears anything else");
    // The peer may move in its answer.
    world.tell(caller, Event::Refresh);
    world.tell(caller, Event::OfferDone { result: Ok(moved_to("192.0.2.77")) });
    assert!(world.hears_leg(caller, ai));
}

#[test]
fn rfc3264_4_one_offer_at_a_time_and_the_next_waits_for_its_turn() {
    let mut world = World::with_ai();
    let caller = world.caller;
    for _ in 0..3 {
        world.tell(caller, Event::Refresh);
    }
    assert_eq!(offers(&world, caller), 1, "the first is open");
    world.tell(caller, Event::OfferDone { result: Ok(sdp("")) });
    assert_eq!(offers(&world, caller), 2, "two more are one");
    world.tell(caller, Event::OfferDone { result: Ok(sdp("")) });
    assert_eq!(offers(&world, caller), 2);
}

#[test]
fn rfc3261_14_1_an_offer_that_lost_against_the_peers_is_made_again_after_it() {
    let mut world = World::with_ai();
    let (caller, ai) = (world.caller, world.leg("bot@"));
    world.tell(caller, Event::Refresh);
    world.tell(caller, Event::OfferDone { result: Err(491) });
    world.tell(caller, Event::Offer { body: Some(sdp("a=sendonly\r\n")) });
    assert_eq!(*world.caller_hears(), Source::Nothing, "the peer's offer counts");
    assert_eq!(offers(&world, caller), 2, "then ours");
    world.tell(caller, Event::OfferDone { result: Ok(sdp("a=sendrecv\r\n")) });
    assert!(world.hears_leg(caller, ai));
    // A refusal leaves everything as it was.
    world.tell(caller, Event::Refresh);
    world.tell(caller, Event::OfferDone { result: Err(488) });
    assert!(world.hears_leg(caller, ai));
    assert_eq!(offers(&world, caller), 3);
}

#[test]
fn a_peers_offer_while_ours_waits_for_its_answer_in_the_ack_is_not_crossed() {
    let mut world = World::with_ai();
    let caller = world.caller;
    world.tell(caller, Event::Offer { body: None });
    world.tell(caller, Event::Refresh);
    assert_eq!(offers(&world, caller), 0, "our offer in the 200 is open");
    world.tell(caller, Event::Acked { body: Some(sdp("")) });
    assert_eq!(offers(&world, caller), 1);
}

// ---- hold, from any leg, in both styles

#[test]
fn rfc3264_8_4_every_leg_may_hold_in_each_style_and_come_back() {
    for style in ["sendonly", "inactive", "0.0.0.0"] {
        for who in ["caller", "bot@", "100@"] {
            let mut world = World::with_ai();
            if who == "100@" {
                world.transfer("plain");
                world.secs(5);
                let human = world.dialled(who);
                world.answer(human);
            }
            let caller = world.caller;
            let leg = if who == "caller" { caller } else { world.leg(who) };
            let other = if who == "caller" { world.leg("bot@") } else { caller };
            let body = if style == "0.0.0.0" { moved_to(style) } else { sdp(&format!("a={style}\r\n")) };
            world.tell(leg, Event::Offer { body: Some(body) });
            assert_eq!(*world.hears(leg), Source::Nothing, "{who} {style}");
            assert!(!world.hears_leg(other, leg), "{who} {style}: nobody hears its music");
            let answer = told(&world, leg);
            let expected = if style == "inactive" { "a=inactive" } else { "a=recvonly" };
            assert!(answer.contains(expected), "{who} {style}: {answer}");
            world.tell(leg, Event::Offer { body: Some(sdp("a=sendrecv\r\n")) });
            assert!(world.hears_leg(leg, other) && world.hears_leg(other, leg), "{who} {style}");
        }
    }
}

// ---- early media

#[test]
fn rfc3960_a_humans_early_media_is_not_heard_and_ringing_after_183_is_told_once() {
    let mut world = World::with_ai();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    assert!(world.hears_music());
    for status in [183, 180, 183] {
        world.tell(human, Event::Provisional { status, body: Some(sdp("")) });
        assert!(world.hears_music(), "music plays on");
    }
    assert_eq!(world.count("agent.ringing"), 1);
    world.answer(human);
    assert!(world.hears_leg(world.caller, human));
}

#[test]
fn rfc3960_an_ais_early_media_leaves_the_caller_with_ringing() {
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    let ai = world.dialled("bot@");
    for status in [183, 180] {
        world.tell(ai, Event::Provisional { status, body: Some(sdp("")) });
    }
    let rung: Vec<_> = world.commands.iter().filter(|it| matches!(it, Command::Progress { .. })).collect();
    assert!(matches!(rung[..], [Command::Progress { status: 180, answer: None, .. }]), "{rung:?}");
}

// ---- redirections

fn redirecting(follows_redirects: bool) -> World {
    let mut config = config();
    let desk = Trunk { host: "192.0.2.40".into(), follows_redirects, ..Trunk::default() };
    config.trunks.insert("desk".into(), desk);
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world.transfer("plain");
    world.secs(5);
    world
}

fn moved(world: &mut World, leg: LegId, contacts: &[&str]) {
    let contacts = contacts.iter().map(|text| (*text).to_owned()).collect();
    world.tell(leg, Event::Redirected { contacts });
    world.refuse(leg, 302);
}

#[test]
fn rfc3261_8_1_3_4_a_redirection_is_followed_where_the_trunk_may_redirect() {
    let mut world = redirecting(true);
    let first = world.dialled("100@");
    moved(&mut world, first, &["sip:150@192.0.2.45", "sip:151@192.0.2.45"]);
    assert_eq!(world.failures()[0].3, "next target");
    let second = world.dialled("150@");
    world.refuse(second, 486);
    let third = world.dialled("151@");
    world.answer(third);
    assert!(world.hears_leg(world.caller, third));
}

#[test]
fn a_redirection_is_a_failure_where_the_trunk_may_not_redirect() {
    let mut world = redirecting(false);
    let first = world.dialled("100@");
    moved(&mut world, first, &["sip:150@192.0.2.45"]);
    assert!(!world.is_dialled("150@"));
    assert_eq!(world.failures(), [(Cause::Failed, Some(302), 1, "ai".into())]);
}

#[test]
fn faults_15_a_302_to_ourselves_or_round_in_circles_comes_to_an_end() {
    let mut world = redirecting(true);
    let first = world.dialled("100@");
    moved(&mut world, first, &["sip:line@192.0.2.1:5060", "sip:100@192.0.2.40"]);
    assert_eq!(world.failures().len(), 1, "neither was dialled");
    assert_eq!(world.failures()[0].3, "ai");
    let mut world = redirecting(true);
    for depth in 0..10_u32 {
        let desk = world.legs.iter().rev().find(|(_, far)| !far.ended && far.target.contains("@192.0.2.40"));
        let Some(leg) = desk.map(|(leg, _)| *leg) else {
            assert_eq!(depth, 4, "three deep");
            return;
        };
        moved(&mut world, leg, &[&format!("sip:{depth}@192.0.2.40")]);
    }
    panic!("redirected for ever");
}

// ---- why a phone stops ringing

#[test]
fn rfc3326_2_phones_that_stop_ringing_because_another_answered_are_told_so() {
    let mut world = World::with_ai();
    world.transfer("team");
    world.secs(5);
    let (anna, ben) = (world.dialled("anna@"), world.dialled("ben@"));
    world.ring(ben);
    world.answer(anna);
    world.press(anna, '1');
    let why = world.commands.iter().find_map(|command| match command {
        Command::Hangup { leg, reason } if *leg == ben => reason.clone(),
        _ => None,
    });
    let why = why.expect("a reason");
    assert_eq!((why.protocol.as_str(), why.cause), ("SIP", Some(200)));
}
