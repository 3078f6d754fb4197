//! Sentence 2: a rule acts when its condition becomes true, never because it stays true; the first that decides ends
//! the evaluation; what a rule does comes in one order.

mod common;

use common::{Call, rules, when};
use policy::{Act, CallFact, Cause, Phase, RecordingAct, Verb, Verdict};
use std::time::Duration;

#[test]
fn a_rule_acts_when_its_condition_becomes_true_and_not_while_it_stays_true() {
    // Scores, and whether `below: -0.5` acts on each.
    let table: &[(&[f64], &[bool])] = &[
        (&[-0.6], &[true]),
        (&[-0.6, -0.7, -0.8], &[true, false, false]),
        (&[-0.6, 0.0, -0.6], &[true, false, true]),
        (&[0.0, -0.5, -0.51], &[false, false, true]),
        (&[-0.6, 0.0, 0.0, -0.6, -0.6], &[true, false, false, true, false]),
    ];
    for (scores, acts) in table {
        let mut call = Call::new(rules("rules:\n  - id: it\n    when: { sentiment: { below: -0.5 } }\n    tag: low\n"));
        let seen: Vec<bool> = scores.iter().map(|score| call.feel(*score).is_some()).collect();
        assert_eq!(&seen, acts, "{scores:?}");
    }
}

#[test]
fn a_condition_that_holds_from_the_start_becomes_true_at_the_start() {
    let mut call = Call::new(rules("rules:\n  - id: it\n    when: { retries: { at_most: 1 } }\n    tag: fresh\n"));
    assert_eq!(call.verdict(), Verdict::Fired);
    assert_eq!(call.say("no_match"), None);
    assert_eq!(call.verdict(), Verdict::AlreadyTrue);
    call.say("no_match");
    assert_eq!(call.say("match").as_deref(), Some("it"));
}

#[test]
fn a_rule_without_condition_acts_once_at_its_phase() {
    let mut call = Call::new(rules("rules:\n  - id: it\n    tag: seen\n"));
    assert_eq!(call.verdict(), Verdict::Fired);
    assert_eq!(call.say("no_match"), None);
}

#[test]
fn set_tag_notify_and_announce_go_on_and_the_first_transfer_decides() {
    let mut call = Call::new(rules(
        "rules:
  - { id: one, when: { retries: { at_least: 1 } }, tag: a }
  - { id: two, when: { retries: { at_least: 1 } }, notify: { text: hello } }
  - { id: three, when: { retries: { at_least: 1 } }, transfer: boss }
  - { id: four, when: { retries: { between: [1, 9] } }, transfer: desk }
",
    ));
    call.say("no_match");
    let last = call.last.as_ref().unwrap();
    assert_eq!(last.actions.len(), 2);
    assert_eq!(&*call.spec().to, "boss");
    let verdicts: Vec<Verdict> = call.explanation().rules.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Fired, Verdict::Fired, Verdict::Fired, Verdict::NotReached]);
    assert_eq!(call.verdict_on("four").because, "not reached: three has decided");
}

#[test]
fn a_rule_that_was_not_reached_may_still_act_later() {
    let mut call = Call::new(rules(
        "facts: { lead.value: { type: number, from: lead } }
rules:
  - { id: first, when: { retries: { at_least: 1 } }, transfer: boss }
  - { id: second, when: { fact: lead.value, above: 5 }, transfer: desk }
",
    ));
    call.fold(r#"{"type":"lead","value":9}"#);
    assert_eq!(call.say("no_match").as_deref(), Some("first"));
    call.facts.note(call.now, &CallFact::TransferFailed { rule: Some("first".into()), cause: Cause::Busy });
    assert_eq!(call.stint().as_deref(), Some("second"));
}

#[test]
fn one_rules_acts_come_in_the_order_set_tag_notify_announce_and_then_its_decision() {
    let mut call = Call::new(rules(
        "rules:\n  - { id: it, when: { retries: { at_least: 1 } }, end: { say: goodbye }, announce: sorry, notify: note, tag: [b, a], set: { k: 1 } }\n",
    ));
    call.say("no_match");
    let last = call.last.as_ref().unwrap();
    let names: Vec<&str> = last
        .actions
        .iter()
        .map(|action| match &action.act {
            Act::Set { .. } => "set",
            Act::Tag(_) => "tag",
            Act::Notify(_) => "notify",
            Act::Recording(_) => "recording",
            Act::Announce(_) => "announce",
        })
        .collect();
    assert_eq!(names, ["set", "tag", "tag", "notify", "announce"]);
    assert_eq!(call.decision().unwrap().verb, Verb::End { say: Some("goodbye".into()) });
    assert_eq!(call.facts.tags().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(call.facts.context()["k"], 1);
}

#[test]
fn what_an_earlier_rule_tagged_a_later_rule_sees_at_once() {
    let mut call = Call::new(rules(
        "rules:\n  - { id: one, when: { retries: { at_least: 1 } }, tag: tired }\n  - { id: two, when: { tags: tired }, transfer: desk }\n",
    ));
    assert_eq!(call.say("no_match").as_deref(), Some("two"));
}

#[test]
fn a_timed_condition_becomes_true_by_itself() {
    let mut call = Call::new(when("{ stint_duration: { at_least: 5m } }"));
    let (leap, acted) = call.leap_to_next_change().unwrap();
    assert_eq!((leap.as_secs(), acted.as_deref()), (300, Some("it")));
}

#[test]
fn a_disabled_rule_does_nothing_and_says_so() {
    let mut call = Call::new(rules(
        "rules:\n  - { id: it, enabled: false, when: { retries: { at_least: 1 } }, transfer: desk }\n",
    ));
    assert_eq!(call.say("no_match"), None);
    assert_eq!(call.verdict(), Verdict::Disabled);
}

#[test]
fn phases_are_named_as_written() {
    for phase in [Phase::Start, Phase::Ai, Phase::Waiting, Phase::Human] {
        assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
    }
}

#[test]
fn a_rule_pauses_resumes_stops_and_starts_the_recording_and_evaluation_goes_on() {
    let mut call = Call::new(rules(
        "rules:
  - { id: card, when: { intent: pay_by_card }, recording: { pause: 3m } }
  - { id: paid, when: { intent: paid }, recording: resume }
  - { id: no, when: { intent: do_not_record }, recording: stop }
  - { id: yes, when: { intent: record_me }, recording: start }
  - { id: both, when: { retries: { at_least: 1 } }, recording: pause, transfer: desk }
",
    ));
    let mut acted = |intent: &str| {
        call.event(&format!(r#"{{"type":"intent","name":"{intent}"}}"#));
        call.last.as_ref().unwrap().actions.iter().map(|action| action.act.clone()).collect::<Vec<_>>()
    };
    let three_minutes = RecordingAct::Pause(Some(Duration::from_secs(180)));
    assert_eq!(acted("pay_by_card"), [Act::Recording(three_minutes)]);
    assert_eq!(acted("paid"), [Act::Recording(RecordingAct::Resume)]);
    assert_eq!(acted("do_not_record"), [Act::Recording(RecordingAct::Stop)]);
    assert_eq!(acted("record_me"), [Act::Recording(RecordingAct::Start)]);
    assert_eq!(call.say("no_match").as_deref(), Some("both"), "it acts, and decides");
    let written = serde_json::to_value(Act::Recording(three_minutes)).unwrap();
    assert_eq!(serde_json::from_value::<Act>(written).unwrap(), Act::Recording(three_minutes));
}
