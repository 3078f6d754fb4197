//! Feature codes: keys of a party who talks.

use crate::world::{RULES, World, config};
use calls::{CallState, CodeAct, FeatureCode, FeatureCodes, Happening, Source};
use signaling::Event;
use std::time::Duration;

fn codes() -> FeatureCodes {
    let code = |keys: &str, act| FeatureCode { keys: keys.into(), act };
    FeatureCodes {
        human: vec![code("*7", CodeAct::HandBack), code("*21", CodeAct::Transfer("plain".into()))],
        caller: vec![code("*0", CodeAct::Transfer("plain".into())), code("*9", CodeAct::Transfer("nowhere".into()))],
        ..FeatureCodes::default()
    }
}

fn world() -> World {
    let mut world = World::with(calls::Config { codes: codes(), ..config() }, RULES, 7);
    world.connect();
    world
}

/// A human has the caller; the AI has left.
fn with_human() -> (World, signaling::LegId) {
    let mut world = world();
    world.transfer("second");
    world.secs(6);
    let human = world.dialled("200@");
    world.answer(human);
    world.prompt_over(human);
    assert!(world.hears_leg(world.caller, human));
    (world, human)
}

fn key_in(world: &mut World, leg: signaling::LegId, keys: &str) {
    for key in keys.chars() {
        world.press(leg, key);
        world.ms(200);
    }
}

#[test]
fn star_seven_hands_the_caller_back_to_the_ai_which_is_told_and_the_human_leaves() {
    let (mut world, human) = with_human();
    key_in(&mut world, human, "5*7");
    assert!(world.legs[&human].ended);
    let ai = world.dialled("bot@");
    assert_eq!(world.header(ai, "X-Tandem-Reason").as_deref(), Some("handback"));
    assert!(
        world.header(ai, "X-Tandem-Note").unwrap().contains("*7")
            || world.header(ai, "X-Tandem-Note").unwrap().contains("%2A7")
    );
    world.answer(ai);
    assert_eq!(world.state(), CallState::WithAi);
    let handed = world.published.iter().filter(|event| matches!(event.what, Happening::HandedBack { .. })).count();
    let digits = world.published.iter().filter(|event| matches!(event.what, Happening::Dtmf { .. })).count();
    assert_eq!((handed, digits), (1, 3), "every key is an event all the same");
}

#[test]
fn a_longer_code_sends_the_caller_on_and_says_who_asked() {
    let (mut world, human) = with_human();
    key_in(&mut world, human, "*21");
    assert!(world.legs[&human].ended);
    let other = world.dialled("100@");
    world.answer(other);
    assert!(world.hears_leg(world.caller, other));
    let (_, transfer) = world
        .published
        .iter()
        .rev()
        .find_map(|event| match &event.what {
            Happening::TransferBridged { transfer, .. } => Some((0, *transfer)),
            _ => None,
        })
        .unwrap();
    let source = world.transfer_record(transfer).source;
    assert!(
        matches!(&source, Source::FeatureCode { leg, code } if leg.starts_with("human") && code == "*21"),
        "{source:?}"
    );
}

#[test]
fn a_caller_may_ask_for_a_destination_and_an_unknown_one_changes_nothing() {
    let mut world = world();
    let caller = world.caller;
    key_in(&mut world, caller, "*9");
    assert_eq!(world.state(), CallState::WithAi);
    key_in(&mut world, caller, "*0");
    world.secs(6);
    assert!(world.is_dialled("100@"));
}

#[test]
fn keys_of_others_too_slow_ones_and_those_of_another_party_are_no_code() {
    let (mut world, human) = with_human();
    world.press(human, '*');
    world.ms(3100);
    world.press(human, '7');
    let caller = world.caller;
    key_in(&mut world, caller, "*7");
    world.press(human, '*');
    world.press(caller, '7');
    assert!(!world.legs[&human].ended, "each party's keys are its own");
    world.press(human, '7');
    assert!(world.legs[&human].ended);
}

#[test]
fn a_human_who_has_not_got_the_caller_has_no_codes() {
    let mut world = world();
    world.transfer("second");
    world.secs(6);
    let human = world.dialled("200@");
    world.answer(human);
    key_in(&mut world, human, "*7");
    assert!(!world.legs[&human].ended, "in the whisper keys are for accepting");
}

#[test]
fn keys_by_info_count_too() {
    let (mut world, human) = with_human();
    for (kind, body) in [("application/dtmf-relay", "Signal=*\r\nDuration=100\r\n"), ("application/dtmf", "7")] {
        let event = Event::Info { content_type: kind.into(), body: body.as_bytes().to_vec().into() };
        world.tell(human, event);
        world.pass(Duration::from_millis(100));
    }
    assert!(world.legs[&human].ended);
}
