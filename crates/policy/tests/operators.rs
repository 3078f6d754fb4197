//! Sentence 8: every operator on either side of its edge; lists; windows; nesting.

mod common;

use common::{Call, rules, when};
use core::time::Duration;
use policy::{AnsweredBy, CallStart, Direction, RuleSet};

fn holds(rules: &RuleSet, event: &str) -> bool {
    let mut call = Call::new(rules.clone());
    call.event(event);
    call.verdict() != policy::Verdict::NotTrue
}

fn lead(condition: &str) -> RuleSet {
    rules(&format!(
        "facts: {{ lead.value: {{ type: number, from: lead, default: -1 }}, lead.plan: {{ type: string, from: lead }} }}\nrules:\n  - {{ id: it, when: {{ {condition} }}, tag: it }}\n"
    ))
}

#[test]
fn comparisons_of_numbers_at_their_edges() {
    let table = [
        ("equals: 5", [false, true, false]),
        ("is: 5", [false, true, false]),
        ("at_least: 5", [false, true, true]),
        ("at_most: 5", [true, true, false]),
        ("above: 5", [false, false, true]),
        ("below: 5", [true, false, false]),
        ("between: [5, 5]", [false, true, false]),
        ("between: [4.99, 5]", [true, true, false]),
        ("between: [5, 6]", [false, true, true]),
        ("above: 4, below: 5.005", [true, true, false]),
    ];
    for (operator, expected) in table {
        let rules = lead(&format!("fact: lead.value, {operator}"));
        let got = [4.99, 5.0, 5.01].map(|value| holds(&rules, &format!(r#"{{"type":"lead","value":{value}}}"#)));
        assert_eq!(got, expected, "{operator}");
    }
}

#[test]
fn comparisons_of_counts_at_their_edges() {
    let table = [
        ("equals: 2", [false, true, false]),
        ("at_least: 2", [false, true, true]),
        ("at_most: 2", [true, true, false]),
        ("above: 2", [false, false, true]),
        ("below: 2", [true, false, false]),
        ("between: [2, 3]", [false, true, true]),
    ];
    for (operator, expected) in table {
        for (fact, event) in [("retries", "no_input"), ("auth_failures", "auth_failed")] {
            let mut call = Call::new(when(&format!("{{ {fact}: {{ {operator} }} }}")));
            let got = [1, 2, 3].map(|_| {
                call.say(event);
                call.verdict() != policy::Verdict::NotTrue
            });
            assert_eq!(got, expected, "{fact} {operator}");
        }
    }
}

#[test]
fn comparisons_of_durations_at_their_edges_and_the_time_of_the_next_change() {
    // Seconds after the call's start at which the answer changes, by the evaluation's own word.
    let table: [(&str, bool, &[u64]); 6] = [
        ("at_least: 10s", false, &[10_000]),
        ("above: 10s", false, &[10_001]),
        ("below: 10s", true, &[10_000]),
        ("at_most: 10s", true, &[10_001]),
        ("between: [10s, 20s]", false, &[10_000, 20_001]),
        ("equals: 10s", false, &[10_000, 10_001]),
    ];
    for (operator, at_first, changes) in table {
        for fact in ["call_duration", "stint_duration"] {
            let mut call = Call::new(when(&format!("{{ {fact}: {{ {operator} }} }}")));
            let is_true = |call: &Call| call.verdict() != policy::Verdict::NotTrue;
            assert_eq!(is_true(&call), at_first, "{fact} {operator}");
            let (mut passed, mut expected) = (0, at_first);
            for change in changes {
                let (leap, _) = call.leap_to_next_change().unwrap();
                passed += u64::try_from(leap.as_millis()).unwrap();
                expected = !expected;
                assert_eq!((passed, is_true(&call)), (*change, expected), "{fact} {operator}");
            }
            assert_eq!(call.last.as_ref().unwrap().next_change, None, "{fact} {operator}");
        }
    }
}

#[test]
fn words_are_one_of_those_given() {
    for (operator, expected) in
        [("is: gold", [true, false]), ("in: [gold, silver]", [true, true]), ("equals: silver", [false, true])]
    {
        let rules = lead(&format!("fact: lead.plan, {operator}"));
        let got = ["gold", "silver"].map(|plan| holds(&rules, &format!(r#"{{"type":"lead","plan":"{plan}"}}"#)));
        assert_eq!(got, expected, "{operator}");
    }
}

#[test]
fn exists_asks_whether_anything_is_known() {
    let known = [
        ("sentiment: { exists: true }", r#"{"type":"sentiment","score":0}"#),
        ("intent: { exists: true }", r#"{"type":"intent","name":"x"}"#),
        ("intent_seen: { exists: true }", r#"{"type":"intent","name":"x"}"#),
    ];
    for (condition, event) in known {
        let mut call = Call::new(when(&format!("{{ {condition} }}")));
        assert!(call.say("ready").is_none(), "{condition}");
        assert!(call.event(event).is_some(), "{condition}");
    }
    let rules = lead("fact: lead.value, exists: true");
    assert!(!holds(&rules, r#"{"type":"lead","plan":"x"}"#), "a default is not knowledge");
    assert!(holds(&rules, r#"{"type":"lead","value":0}"#));
    let rules = lead("fact: lead.value, exists: false");
    assert!(Call::new(rules).verdict() == policy::Verdict::Fired);
}

#[test]
fn a_rule_may_ask_who_called_whom_and_what_answered() {
    let start = |direction| CallStart { direction, ..CallStart::default() };
    for (condition, inbound, outbound) in [
        ("direction: inbound", true, false),
        ("direction: outbound", false, true),
        ("direction: [inbound, outbound]", true, true),
        ("not: { direction: outbound }", true, false),
    ] {
        let holds = |direction| {
            Call::from(when(&format!("{{ {condition} }}")), start(direction)).verdict() == policy::Verdict::Fired
        };
        assert_eq!((holds(Direction::Inbound), holds(Direction::Outbound)), (inbound, outbound), "{condition}");
    }
    let (human, machine, unknown) = (AnsweredBy::Human, AnsweredBy::Machine, AnsweredBy::Unknown);
    for (condition, held) in [
        ("answered_by: machine", vec![machine]),
        ("answered_by: { is: human }", vec![human]),
        ("answered_by: [human, unknown]", vec![human, unknown]),
        ("not: { answered_by: machine }", vec![human, unknown]),
    ] {
        for who in AnsweredBy::ALL {
            let mut call = Call::new(when(&format!("{{ {condition} }}")));
            call.note(&policy::CallFact::AnsweredBy(who));
            assert_eq!(call.verdict() != policy::Verdict::NotTrue, held.contains(&who), "{condition}: {who:?}");
        }
    }
    let unasked = Call::new(when("{ answered_by: unknown }")).verdict();
    assert_eq!(unasked, policy::Verdict::NotTrue, "nobody listened");
}

#[test]
fn line_trunk_and_profile_are_one_of_those_given() {
    let start = CallStart {
        line: Some("support".into()),
        trunk: Some("carrier-a".into()),
        profile: Some("default".into()),
        ..CallStart::default()
    };
    for (condition, expected) in [
        ("line: support", true),
        ("line: [sales, support]", true),
        ("line: { in: [sales] }", false),
        ("line: { is: support }", true),
        ("trunk: carrier-a", true),
        ("trunk: carrier-b", false),
        ("profile: default", true),
        ("profile: [other]", false),
        ("line: support, trunk: carrier-a, profile: default", true),
        ("line: support, trunk: carrier-b", false),
    ] {
        let rules = when(&format!("{{ {condition} }}"));
        let acted = Call::from(rules.clone(), start.clone()).verdict() == policy::Verdict::Fired;
        assert_eq!(acted, expected, "{condition}");
        let unknown = Call::from(rules, CallStart::default()).verdict() == policy::Verdict::Fired;
        assert!(!unknown, "{condition}: what is not known is nothing");
    }
}

#[test]
fn all_any_and_not_follow_the_truth_tables() {
    // a: retries at least 1, b: auth_failures at least 1.
    let (a, b) = ("{ retries: { at_least: 1 } }", "{ auth_failures: { at_least: 1 } }");
    let table = [
        (format!("{{ all: [ {a}, {b} ] }}"), [false, false, false, true]),
        (format!("{{ any: [ {a}, {b} ] }}"), [false, true, true, true]),
        (format!("{{ not: {a} }}"), [true, true, false, false]),
        (format!("{{ not: {{ all: [ {a}, {b} ] }} }}"), [true, true, true, false]),
        (format!("{{ not: {{ any: [ {a}, {b} ] }} }}"), [true, false, false, false]),
        (format!("{{ not: {{ not: {b} }} }}"), [false, true, false, true]),
        ("{ retries: { at_least: 1 }, auth_failures: { at_least: 1 } }".to_owned(), [false, false, false, true]),
        ("{ not: { retries: { at_least: 1 }, auth_failures: { at_least: 1 } } }".to_owned(), [true, true, true, false]),
        (
            format!("{{ any: [ {{ all: [ {a}, {{ not: {b} }} ] }}, {{ all: [ {{ not: {a} }}, {b} ] }} ] }}"),
            [false, true, true, false],
        ),
    ];
    for (condition, expected) in table {
        let got = [(false, false), (false, true), (true, false), (true, true)].map(|(a, b)| {
            let mut call = Call::new(when(&condition));
            for (yes, event) in [(a, "no_match"), (b, "auth_failed")] {
                if yes {
                    call.say(event);
                }
            }
            call.verdict() != policy::Verdict::NotTrue
        });
        assert_eq!(got, expected, "{condition}");
    }
}

#[test]
fn declared_facts_keep_what_they_are_told_to_keep() {
    // Values 4, 10, 1, a minute apart; the window of 90 s still sees the last two.
    for (keep, expected) in [
        ("last", 1.0),
        ("count", 3.0),
        ("sum", 15.0),
        ("max", 10.0),
        ("average", 5.0),
        ("last, within: 90s", 1.0),
        ("count, within: 90s", 2.0),
        ("sum, within: 90s", 11.0),
        ("max, within: 90s", 10.0),
        ("average, within: 90s", 5.5),
    ] {
        let rules =
            rules(&format!("facts: {{ score: {{ type: number, from: custom, key: churn.score, keep: {keep} }} }}\n"));
        let mut call = Call::new(rules);
        for value in [4, 10, 1] {
            call.event(&format!(r#"{{"type":"custom","name":"churn","data":{{"score":{value}}}}}"#));
            call.now = call.now.after(Duration::from_secs(60));
        }
        call.now.monotonic = call.now.monotonic - Duration::from_secs(60);
        let value = call.rules.view(&call.facts, call.now).declared["score"].as_f64();
        assert_eq!(value, Some(expected), "{keep}");
    }
}

#[test]
fn a_window_that_empties_gives_the_default_again_and_says_when() {
    let mut call = Call::new(rules(
        "facts: { lead.value: { type: number, from: lead, keep: sum, within: 1m } }\nrules:\n  - { id: it, when: { not: { fact: lead.value, above: 5 } }, tag: calm }\n",
    ));
    call.event(r#"{"type":"lead","value":9}"#);
    assert_eq!(call.verdict(), policy::Verdict::NotTrue);
    let (leap, acted) = call.leap_to_next_change().unwrap();
    assert_eq!((leap.as_millis(), acted.as_deref()), (60_001, Some("it")));
}

#[test]
fn facts_read_context_lead_and_custom_by_their_names() {
    let rules = rules(
        "facts:
  caller.language: { type: string, default: de }
  context.age: { type: number }
  vip: { type: boolean, from: context, key: is_vip }
  custom.churn: { type: number, from: custom }
rules:
  - { id: language, when: { fact: caller.language, is: en }, tag: a }
  - { id: age, when: { fact: context.age, at_least: 18 }, tag: b }
  - { id: vip, when: { fact: vip, is: true }, tag: c }
  - { id: churn, when: { fact: custom.churn, above: 0.5 }, tag: d }
",
    );
    let mut call = Call::new(rules);
    assert_eq!(call.event(r#"{"type":"context","caller.language":"en"}"#).as_deref(), Some("language"));
    assert_eq!(call.event(r#"{"type":"context","age":44}"#).as_deref(), Some("age"));
    assert_eq!(call.event(r#"{"type":"context","is_vip":true}"#).as_deref(), Some("vip"));
    assert_eq!(call.event(r#"{"type":"custom","name":"churn","data":0.7}"#).as_deref(), Some("churn"));
    assert_eq!(call.event(r#"{"type":"context","caller.language":null}"#), None);
    assert_eq!(call.rules.view(&call.facts, call.now).declared["caller.language"], "de");
}
