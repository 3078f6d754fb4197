//! Every evaluation explains itself: each rule's verdict and the values compared, for programs and for people.

mod common;

use common::{Call, rules};
use policy::{Explanation, Verdict};

fn call() -> Call {
    Call::new(rules(
        "facts: { lead.value: { type: number, from: lead }, lead.plan: { type: string, from: lead } }
hours: { office: { timezone: UTC, open: { sun: [\"08:00-12:00\"] } } }
lists: { vip: { numbers: [\"+1555\"] } }
rules:
  - { id: three-misses, when: { retries: { at_least: 3 } }, transfer: desk }
  - { id: angry, when: { sentiment: { below: -0.5, last: 2 } }, transfer: desk }
  - { id: fraud, when: { intent: { is: [fraud, stolen], confidence: 0.6 } }, transfer: desk }
  - { id: big-lead, when: { all: [ { intent_seen: enterprise }, { fact: lead.value, at_least: 10000 } ] }, transfer: desk }
  - { id: plan, when: { any: [ { fact: lead.plan, is: gold }, { fact: lead.value, between: [1, 5] } ] }, tag: plan }
  - { id: hours, when: { open: office }, tag: open }
  - { id: calm, when: { not: { retries: { at_least: 1 } } }, tag: calm }
  - { id: vip, when: { caller: { in_list: vip } }, tag: vip }
  - { id: foreign, when: { caller: { matches: [\"+1*\", \"+44*\"] } }, tag: foreign }
  - { id: long, when: { call_duration: { above: 5m } }, tag: long }
  - { id: quiet, when: { silence: 20s }, tag: quiet }
  - { id: zero, when: { dtmf: \"0\" }, tag: zero }
  - { id: asked, when: { event: transfer_requested }, transfer: boss }
  - { id: tagged, when: { tags: [gold, silver] }, tag: metal }
  - { id: lost, when: { ai_lost: true }, transfer: boss }
  - { id: known, when: { fact: lead.plan, exists: true }, tag: known }
  - { id: tried, when: { transfers_tried: { between: [1, 2] } }, tag: tried }
  - { id: later, while: human, when: { dtmf: \"9\" }, transfer: ai }
  - { id: off, enabled: false, tag: off }
",
    ))
}

#[test]
fn an_event_that_matches_nothing_says_why_rule_by_rule() {
    let mut call = call();
    call.say("no_match");
    call.feel(-0.8);
    call.event(r#"{"type":"intent","name":"fraud","confidence":0.4}"#);
    call.after(61);
    insta::assert_snapshot!("nothing_matches", call.explanation());
}

#[test]
fn a_decision_says_what_made_it_and_what_it_passed_over() {
    let mut call = call();
    call.say("no_match");
    call.say("no_match");
    call.say("no_input");
    assert_eq!(call.verdict_on("three-misses").because, "fired: retries is 3, needs at least 3");
    assert_eq!(call.verdict_on("asked").verdict, Verdict::NotReached);
    let verdict = call.verdict_on("three-misses");
    insta::assert_snapshot!("as_json", serde_json::to_string_pretty(&verdict).unwrap());
}

#[test]
fn of_a_failed_all_only_the_failing_part_is_named_and_of_a_failed_any_every_part() {
    let mut call = call();
    call.say("no_match");
    assert_eq!(call.verdict_on("big-lead").because, "intent_seen is not known yet, needs enterprise");
    call.event(r#"{"type":"intent","name":"enterprise"}"#);
    assert_eq!(call.verdict_on("big-lead").because, "lead.value is 0, needs at least 10000");
    assert_eq!(
        call.verdict_on("plan").because,
        "lead.plan is not known yet, needs gold; lead.value is 0, needs 1 to 5"
    );
}

#[test]
fn what_is_compared_is_there_for_programs_too() {
    let mut call = call();
    call.say("no_match");
    let verdict = call.verdict_on("three-misses");
    let compared = &verdict.compared[0];
    assert_eq!((compared.fact.as_str(), compared.found.as_str()), ("retries", "1"));
    assert_eq!((compared.needs.as_str(), compared.held), ("at least 3", false));
    let negated = call.verdict_on("calm");
    assert_eq!(negated.because, "retries is 1, needs not at least 1");
    assert!(!negated.compared[0].held);
}

#[test]
fn an_explanation_goes_through_json_unchanged() {
    let mut call = call();
    call.say("no_match");
    let explanation = call.explanation();
    let json = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&json).unwrap(), explanation);
    assert!(json.contains(r#""verdict":"not_true""#), "{json}");
}
