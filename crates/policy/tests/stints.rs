//! Sentence 4: what starts anew with a stint and what stays; rests, `once`, and the most transfers.

mod common;

use common::{Call, rules, when};
use core::time::Duration;
use policy::{CallFact, Cause, Verdict};

fn fail(call: &mut Call, rule: &str) {
    call.facts.note(call.now, &CallFact::TransferFailed { rule: Some(rule.into()), cause: Cause::NoAnswer });
}

#[test]
fn counters_and_windows_start_anew_with_a_stint() {
    for (condition, event) in [
        ("{ retries: { at_least: 1 } }", r#"{"type":"no_match"}"#),
        ("{ auth_failures: { at_least: 1 } }", r#"{"type":"auth_failed"}"#),
        ("{ sentiment: { below: 0 } }", r#"{"type":"sentiment","score":-1}"#),
        ("{ intent: help }", r#"{"type":"intent","name":"help"}"#),
        ("{ intent_seen: help }", r#"{"type":"intent","name":"help"}"#),
    ] {
        let mut call = Call::new(when(condition));
        assert_eq!(call.event(event).as_deref(), Some("it"), "{condition}");
        assert_eq!(call.event(event), None, "{condition}");
        call.stint();
        assert_eq!(call.verdict(), Verdict::NotTrue, "{condition}");
        assert_eq!(call.event(event).as_deref(), Some("it"), "{condition}");
    }
}

#[test]
fn silence_and_the_stints_duration_start_anew() {
    let mut call = Call::new(when("{ silence: { for: 10s } }"));
    call.note(&CallFact::CallerQuiet(call.now.monotonic));
    call.after(8);
    call.stint();
    assert_eq!(call.after(8), None);
    assert_eq!(call.after(2).as_deref(), Some("it"));

    let mut call = Call::new(when("{ stint_duration: { at_least: 10s } }"));
    call.after(8);
    call.stint();
    assert_eq!(call.after(9), None);
    assert_eq!(call.after(1).as_deref(), Some("it"));
}

#[test]
fn context_tags_declared_facts_and_the_calls_duration_stay() {
    let mut call = Call::new(rules(
        "facts: { lead.value: { type: number, from: lead } }
rules:
  - { id: tagger, when: { retries: { at_least: 1 } }, tag: tired }
  - { id: it, when: { all: [ { tags: tired }, { fact: lead.value, equals: 7 }, { call_duration: { at_least: 60s } } ] }, transfer: desk }
",
    ));
    call.event(r#"{"type":"lead","value":7}"#);
    call.event(r#"{"type":"context","customer_name":"Anna"}"#);
    call.say("no_match");
    call.after(30);
    call.stint();
    assert_eq!(call.after(30).as_deref(), Some("it"));
    assert_eq!(call.facts.context()["customer_name"], "Anna");
}

#[test]
fn a_rule_whose_transfer_failed_rests_for_its_cooldown() {
    let mut call = Call::new(when("{ retries: { at_least: 1 } }"));
    assert_eq!(call.say("no_match").as_deref(), Some("it"));
    fail(&mut call, "it");
    call.stint();
    assert_eq!(call.say("no_match"), None);
    assert_eq!(call.verdict(), Verdict::Resting);
    assert_eq!(call.because(), "rests for another 1m: retries is 1, needs at least 1");
    call.after(59);
    assert_eq!(call.because(), "rests for another 1s: retries is 1, needs at least 1");
}

#[test]
fn a_condition_that_became_true_during_the_rest_acts_at_its_end() {
    let mut call = Call::new(when("{ retries: { at_least: 1 } }"));
    call.say("no_match");
    fail(&mut call, "it");
    call.stint();
    call.say("no_match");
    let (leap, acted) = call.leap_to_next_change().unwrap();
    assert_eq!((leap, acted.as_deref()), (Duration::from_secs(60), Some("it")));
}

#[test]
fn another_rule_does_not_rest_with_it() {
    let mut call = Call::new(rules(
        "rules:\n  - { id: one, when: { retries: { at_least: 1 } }, transfer: desk }\n  - { id: two, when: { auth_failures: { at_least: 1 } }, transfer: boss }\n",
    ));
    call.say("no_match");
    fail(&mut call, "one");
    call.stint();
    assert_eq!(call.say("auth_failed").as_deref(), Some("two"));
}

#[test]
fn the_rules_own_cooldown_wins_over_the_default() {
    let mut call = Call::new(rules(
        "defaults: { rules: { cooldown: 10s } }\nrules:\n  - { id: it, cooldown: 2m, when: { retries: { at_least: 1 } }, transfer: desk }\n  - { id: other, when: { auth_failures: { at_least: 1 } }, transfer: desk }\n",
    ));
    call.say("no_match");
    fail(&mut call, "it");
    fail(&mut call, "other");
    call.stint();
    call.after(10);
    assert_eq!(call.say("no_match"), None);
    assert_eq!(call.say("auth_failed").as_deref(), Some("other"));
}

#[test]
fn a_rule_that_decides_nothing_rests_only_where_it_says_so() {
    let mut call = Call::new(rules(
        "rules:\n  - { id: chatty, when: { event: message }, notify: hello }\n  - { id: it, cooldown: 60s, when: { event: message }, notify: hello }\n",
    ));
    let message = r#"{"type":"message","text":"x"}"#;
    let acted = |call: &Call| call.last.as_ref().unwrap().actions.len();
    call.event(message);
    assert_eq!(acted(&call), 2);
    call.event(message);
    assert_eq!(acted(&call), 1);
    call.after(60);
    call.event(message);
    assert_eq!(acted(&call), 2);
}

#[test]
fn once_is_per_call() {
    let mut call =
        Call::new(rules("rules:\n  - { id: it, once: true, when: { retries: { at_least: 1 } }, transfer: desk }\n"));
    assert_eq!(call.say("no_match").as_deref(), Some("it"));
    call.stint();
    assert_eq!(call.say("no_match"), None);
    assert_eq!(call.verdict(), Verdict::Once);
}

#[test]
fn after_the_most_transfers_rules_transfer_no_more_but_do_the_rest() {
    let mut call = Call::new(rules(
        "defaults: { rules: { max_transfers: 2 } }\nrules:\n  - { id: tagger, when: { retries: { at_least: 1 } }, tag: x }\n  - { id: it, when: { retries: { at_least: 1 } }, transfer: desk }\n",
    ));
    for expected in ["it", "it", "tagger"] {
        assert_eq!(call.say("no_match").as_deref(), Some(expected));
        call.facts.note(call.now, &CallFact::TransferStarted { rule: None });
        call.stint();
    }
    call.say("no_match");
    assert_eq!(call.verdict(), Verdict::NoTransfersLeft);
    assert!(call.because().starts_with("3 transfers of at most 2 are used up"), "{}", call.because());
}

#[test]
fn the_ais_loss_lasts_until_the_next_stint() {
    let mut call = Call::new(when("{ ai_lost: true }"));
    assert_eq!(call.note(&CallFact::AiLost).as_deref(), Some("it"));
    call.stint();
    assert_eq!(call.verdict(), Verdict::NotTrue);
}
