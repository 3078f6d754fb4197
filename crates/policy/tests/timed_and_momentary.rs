//! Silence, keys and events of a moment: when they hold, and that a moment passes.

mod common;

use common::{Call, rules, when};
use core::time::Duration;
use policy::{CallFact, Phase, Verdict};

#[test]
fn silence_holds_after_its_time_and_ends_with_speech() {
    let mut call = Call::new(when("{ silence: 20s }"));
    call.note(&CallFact::CallerQuiet(call.now.monotonic));
    let (leap, acted) = call.leap_to_next_change().unwrap();
    assert_eq!((leap, acted.as_deref()), (Duration::from_secs(20), Some("it")));
    call.note(&CallFact::CallerSpeaks);
    assert_eq!(call.because(), "silence is none, the caller speaks, needs at least 20s");
    call.note(&CallFact::CallerQuiet(call.now.monotonic));
    assert_eq!(call.after(20).as_deref(), Some("it"));
}

#[test]
fn silence_reported_late_counts_from_when_it_began() {
    let mut call = Call::new(when("{ silence: { for: 20s } }"));
    call.after(12);
    let since = call.now.monotonic - Duration::from_secs(8);
    call.note(&CallFact::CallerQuiet(since));
    assert_eq!(call.leap_to_next_change().unwrap().0, Duration::from_secs(12));
}

#[test]
fn a_key_acts_each_time_it_is_pressed() {
    let mut call = Call::new(rules("rules:\n  - { id: it, when: { dtmf: \"0\" }, notify: zero }\n"));
    for (key, acts) in [('1', false), ('0', true), ('0', true), ('#', false), ('0', true)] {
        assert_eq!(call.press(key).is_some(), acts, "{key}");
    }
    assert_eq!(call.say("no_match"), None, "the moment has passed");
}

#[test]
fn a_sequence_of_keys_is_what_was_pressed_last() {
    let mut call = Call::new(when("{ dtmf: \"*9\" }"));
    let acted: Vec<bool> = "9*8*9".chars().map(|key| call.press(key).is_some()).collect();
    assert_eq!(acted, [false, false, false, false, true]);
}

#[test]
fn keys_of_an_earlier_stint_are_forgotten() {
    let mut call = Call::new(when("{ dtmf: \"12\" }"));
    call.press('1');
    call.stint();
    assert_eq!(call.press('2'), None);
}

#[test]
fn an_event_acts_each_time_it_comes_and_only_then() {
    let mut call =
        Call::new(rules("rules:\n  - { id: it, when: { event: [transfer_requested, message] }, notify: x }\n"));
    let requested = r#"{"type":"transfer_requested","reason":"wants a human"}"#;
    assert!(call.event(requested).is_some());
    assert!(call.event(requested).is_some());
    assert!(call.say("no_match").is_none());
    assert!(call.event(r#"{"type":"message","text":"x"}"#).is_some());
}

#[test]
fn a_moment_that_came_in_another_phase_or_during_a_rest_has_passed() {
    let mut call = Call::new(when("{ event: transfer_requested }"));
    call.phase = Phase::Waiting;
    call.say("transfer_requested");
    assert_eq!(call.stint(), None);

    assert_eq!(call.say("transfer_requested").as_deref(), Some("it"));
    call.facts.note(call.now, &CallFact::TransferFailed { rule: Some("it".into()), cause: policy::Cause::Busy });
    assert_eq!(call.say("transfer_requested"), None);
    assert_eq!(call.verdict(), Verdict::Resting);
    assert_eq!(call.after(60), None);
    assert_eq!(call.say("transfer_requested").as_deref(), Some("it"));
}

#[test]
fn a_moment_within_a_state_needs_both() {
    let mut call = Call::new(when("{ event: transfer_requested, retries: { at_least: 1 } }"));
    assert_eq!(call.say("transfer_requested"), None);
    assert_eq!(call.say("no_match"), None);
    assert_eq!(call.say("transfer_requested").as_deref(), Some("it"));
}

#[test]
fn not_of_a_moment_is_no_moment() {
    let mut call = Call::new(rules("rules:\n  - { id: it, when: { not: { event: ready } }, tag: x }\n"));
    assert_eq!(call.verdict(), Verdict::Fired);
    call.say("ready");
    assert_eq!(call.say("no_match").as_deref(), Some("it"), "it became true again after the moment");
}

#[test]
fn transfers_tried_counts_those_of_rules_and_of_requests() {
    let mut call = Call::new(when("{ transfers_tried: { at_least: 2 } }"));
    assert_eq!(call.note(&CallFact::TransferStarted { rule: None }), None);
    assert_eq!(call.note(&CallFact::TransferStarted { rule: Some("x".into()) }).as_deref(), Some("it"));
}

#[test]
fn what_can_change_by_time_alone_is_named_and_nothing_else() {
    for (condition, changes) in [
        ("{ retries: { at_least: 3 } }", false),
        ("{ call_duration: { at_least: 1m } }", true),
        ("{ retries: { at_least: 3 }, call_duration: { at_least: 1m } }", false),
        ("{ any: [ { retries: { at_least: 3 } }, { call_duration: { at_least: 1m } } ] }", true),
    ] {
        let call = Call::new(when(condition));
        assert_eq!(call.last.unwrap().next_change.is_some(), changes, "{condition}");
    }
}
