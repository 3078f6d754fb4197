//! The rules files' own tests: what they can say, and what a failing one tells.

mod common;

use common::whole;
use policy::TestReport;

const RULES: &str = "version: 1
hours:
  office: { timezone: Europe/Berlin, open: { mon-fri: [\"08:00-18:00\"] } }
facts:
  lead.value: { type: number, from: lead }
destinations:
  fraud: { dial: [\"sip:f1@host\", \"sip:f2@host\"], on_failure: [desk, boss] }
  desk: { dial: \"sip:desk@host\", hours: office }
  boss: { dial: \"sip:boss@host\", accept: { press: \"1\", within: 8s } }
rules:
  - { id: vip, while: start, when: { caller: { matches: \"+1555*\" } }, tag: vip }
  - { id: night, while: start, when: { not: { open: office } }, announce: we-are-closed }
  - { id: fraud, when: { intent: { is: unknown_transaction, confidence: 0.6 } }, transfer: fraud }
  - { id: misses, when: { retries: { at_least: 3 } }, set: { why: misses }, transfer: desk }
  - { id: quiet, when: { silence: 30s }, end: { say: goodbye } }
  - { id: lost, when: { ai_lost: true }, transfer: boss }
  - { id: zero, when: { dtmf: \"0\" }, transfer: boss }
  - { id: back, while: human, when: { dtmf: \"*9\" }, transfer: ai }
  - { id: reached, when: { answered_by: [human, unknown] }, tag: reached }
  - { id: voicebox, when: { answered_by: machine }, end: { say: goodbye } }
  - { id: long-wait, while: waiting, when: { call_duration: { at_least: 30s } }, announce: still-here }
tests:
";

fn reports(tests: &str) -> Vec<TestReport> {
    whole(&format!("{RULES}{tests}")).run_tests()
}

#[test]
fn tests_know_time_outcomes_and_hours() {
    let reports = reports(
        r#"  - name: fraud at night, nobody there
    at: "2026-11-30T03:12:00+01:00"
    call: { caller: "+15551", called: "+49301", line: support, trunk: carrier, profile: default }
    outcomes: { fraud: no_answer, boss: answers }
    steps: [no_match, { intent: unknown_transaction, confidence: 0.9 }, { wait: 95s }]
    expect: { rule: fraud, tried: [fraud, desk, boss], ended_at: boss, why: { fraud: no_answer, desk: closed }, tags: [vip], announced: [we-are-closed, still-here] }
  - name: a match in between starts the count anew
    steps: [no_match, no_match, { intent: balance, confidence: 0.9 }, no_match]
    expect: none
  - name: silence ends the call
    steps: [{ silence: 30s }]
    expect: { rule: quiet, ended_at: end }
  - name: the AI is lost
    steps: [ai_lost]
    expect: { rule: lost, tried: [boss] }
  - name: a key, a human, and back
    at: "2026-01-07T12:00:00+01:00"
    steps: [{ dtmf: "0" }, { wait: 5s }, { dtmf: "*9" }]
    expect: { rule: back, tried: [boss, ai], ended_at: ai }
  - name: nobody presses 1, and the rule rests
    outcomes: { boss: not_accepted }
    steps: [{ dtmf: "0" }, { wait: 8s }, { dtmf: "0" }]
    expect: { rule: zero, tried: [boss], ended_at: ai, why: { boss: not_accepted } }
  - name: after the rest it acts again
    outcomes: { boss: not_accepted }
    steps: [{ dtmf: "0" }, { wait: 8s }, { wait: 60s }, { dtmf: "0" }]
    expect: { tried: [boss, boss] }
  - name: what a rule set
    steps: [no_match, no_match, no_match, handback]
    expect: { rule: misses, context: { why: misses } }
  - name: a mailbox is tried, and the next
    at: "2026-01-07T12:00:00+01:00"
    outcomes: { fraud: machine }
    steps: [{ intent: unknown_transaction, confidence: 0.9 }]
    expect: { tried: [fraud, desk], ended_at: desk, why: { fraud: machine } }
  - name: a machine answers our call
    call: { direction: outbound }
    steps: [{ answered_by: machine }]
    expect: { rule: voicebox, ended_at: end, tags: [] }
  - name: somebody does
    call: { direction: outbound }
    steps: [{ answered_by: human }]
    expect: { ended_at: ai, tags: [reached] }
  - name: a rule that only announces
    at: "2026-11-30T03:12:00+01:00"
    expect: { rule: night, announced: [we-are-closed], ended_at: ai }
  - name: events with their fields
    steps: [{ sentiment: { score: -0.4, label: sad } }, { lead: { value: 3, plan: gold } }, { custom: churn, data: { score: 1 } }, { context: { a: 1 } }, { transcript: { speaker: ai, text: hi } }, { consent: true }, { message: hello }]
    expect: none
"#,
    );
    let failed: Vec<String> = reports.iter().filter(|it| !it.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert_eq!(reports.len(), 13);
}

#[test]
fn a_failing_test_tells_what_happened_instead_and_why() {
    let reports = reports(
        r#"  - name: two misses are enough, thought somebody
    at: "2026-01-07T12:00:00+01:00"
    outcomes: { desk: busy }
    steps: [no_match, no_match]
    expect: { rule: misses, tried: [desk], ended_at: desk }
  - name: nothing happens, thought somebody
    at: "2026-01-07T12:00:00+01:00"
    outcomes: { desk: busy }
    steps: [no_match, no_match, no_match, { wait: 5s }]
    expect: none
"#,
    );
    assert!(reports.iter().all(|report| !report.passed()));
    let told: Vec<String> = reports.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!("failing", told.join("\n\n"));
}

#[test]
fn rules_that_keep_each_other_going_come_to_an_end() {
    let rules = whole(
        "version: 1
destinations: { desk: { dial: \"sip:desk@host\" } }
defaults: { rules: { cooldown: 0s, max_transfers: 1000 } }
rules:
  - { id: it, transfer: desk }
  - { id: back, while: human, transfer: ai }
tests:
  - { name: it, steps: [{ wait: 24h }], expect: { rule: it } }
",
    );
    assert_eq!(rules.run_tests().len(), 1);
}
