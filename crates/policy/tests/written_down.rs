//! A call's facts are plain data: written down at any moment and taken up again, they go on as if nothing had been.

mod common;

use common::{Call, rules};
use core::time::Duration;
use policy::{CallFact, Cause, Facts};
use proptest::prelude::*;

const RULES: &str = "facts: { lead.value: { type: number, from: lead, keep: sum, within: 5m } }
hours: { office: { timezone: Europe/Berlin, open: { mon-fri: [\"08:00-18:00\"] } } }
rules:
  - { id: tagger, when: { sentiment: { below: 0, last: 2 } }, tag: low, cooldown: 20s }
  - { id: asked, when: { event: transfer_requested }, transfer: boss }
  - { id: it, when: { retries: { at_least: 2 } }, transfer: desk }
  - { id: lead, when: { fact: lead.value, above: 10 }, transfer: boss, once: true }
  - { id: quiet, when: { silence: 15s, open: office }, set: { quiet: true } }
";

#[derive(Clone, Debug)]
enum Move {
    Event(&'static str),
    Note(u8),
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let events = prop::sample::select(vec![
        r#"{"type":"no_match","id":"7"}"#,
        r#"{"type":"no_match"}"#,
        r#"{"type":"match"}"#,
        r#"{"type":"sentiment","score":-0.75}"#,
        r#"{"type":"sentiment","score":0.5}"#,
        r#"{"type":"lead","value":6}"#,
        r#"{"type":"intent","name":"x","confidence":0.25}"#,
        r#"{"type":"context","k":"v"}"#,
        r#"{"type":"transfer_requested"}"#,
    ]);
    let one =
        prop_oneof![events.prop_map(Move::Event), (0..6_u8).prop_map(Move::Note), (1..90_u64).prop_map(Move::Wait)];
    prop::collection::vec(one, 1..40)
}

fn play(call: &mut Call, step: &Move) -> Option<String> {
    match step {
        Move::Event(json) => call.event(json),
        Move::Wait(seconds) => call.after(*seconds),
        Move::Note(which) => {
            let now = call.now.monotonic;
            let fact = match which {
                0 => CallFact::StintStarted,
                1 => CallFact::CallerQuiet(now),
                2 => CallFact::CallerSpeaks,
                3 => CallFact::Dtmf('5'),
                4 => CallFact::TransferStarted { rule: Some("it".into()) },
                _ => CallFact::TransferFailed { rule: Some("it".into()), cause: Cause::Busy },
            };
            call.note(&fact)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_call_taken_up_again_decides_as_the_one_that_went_on(steps in moves()) {
        let mut lasting = Call::new(rules(RULES));
        let mut restored = Call::new(rules(RULES));
        for step in &steps {
            let json = serde_json::to_string(&restored.facts).unwrap();
            restored.facts = serde_json::from_str::<Facts>(&json).unwrap();
            prop_assert_eq!(play(&mut lasting, step), play(&mut restored, step));
            prop_assert_eq!(lasting.explanation(), restored.explanation());
            let changes = (lasting.last.as_ref().unwrap().next_change, restored.last.as_ref().unwrap().next_change);
            prop_assert_eq!(changes.0, changes.1);
        }
    }

    #[test]
    fn nothing_changes_before_the_time_that_was_named(steps in moves()) {
        let mut call = Call::new(rules(RULES));
        for step in &steps {
            play(&mut call, step);
            let mut early = Call { rules: call.rules.clone(), facts: call.facts.clone(), now: call.now, phase: call.phase, last: None };
            // What an earlier rule's decision left unasked is asked now.
            while early.evaluate().is_some() {}
            let due = early.last.as_ref().unwrap().next_change;
            let until = due.map_or(Duration::from_secs(3600), |due| due.since(early.now.monotonic));
            prop_assert!(due.is_none() || until > Duration::ZERO, "a change that is due now has been missed");
            early.now = early.now.after(until.saturating_sub(Duration::from_millis(2)));
            prop_assert_eq!(early.evaluate(), None);
        }
    }
}

#[test]
fn a_reload_keeps_what_is_known_of_each_rule_by_its_id() {
    let mut call = Call::new(rules(RULES));
    call.say("no_match");
    assert_eq!(call.say("no_match").as_deref(), Some("it"));
    // The rule moves to the front; another appears; the condition still holds and does not act again.
    call.rules = rules(
        "rules:\n  - { id: it, when: { retries: { at_least: 2 } }, transfer: desk }\n  - { id: new, when: { retries: { at_least: 2 } }, tag: new }\n",
    );
    assert_eq!(call.evaluate().as_deref(), Some("new"));
    assert_eq!(call.verdict(), policy::Verdict::AlreadyTrue);
}
