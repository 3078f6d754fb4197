//! Queues: what the rules say of them, and what the files' own tests know of agents.

mod common;

use common::{complaints, whole};
use policy::{Pick, Place, TestReport, To, TransferOptions};
use std::time::Duration;

const RULES: &str = "version: 1
hours:
  office: { timezone: Europe/Berlin, open: { mon-fri: [\"08:00-18:00\"] } }
facts:
  caller.language: { type: string, default: de }
destinations:
  fraud:
    queue: { skills: [fraud], prefer: { language: $caller.language }, relax_after: 20s, overflow_after: 90s }
    on_failure: [frontdesk, team]
  experts: { queue: { skills: { fraud: 8 }, pick: best, sticky: true, overflow_at: 3, unstaffed: wait } }
  frontdesk: { dial: \"sip:100@pbx.example.net\", hours: office }
  team: { agent: [anna, ben], on_failure: { no_agent: [experts], else: [ai] } }
rules:
  - { id: fraud, when: { intent: unknown_transaction }, transfer: { to: fraud, priority: 10 } }
  - { id: zero, when: { dtmf: \"0\" }, transfer: team }
tests:
";

fn reports(tests: &str) -> Vec<TestReport> {
    whole(&format!("{RULES}{tests}")).run_tests()
}

#[test]
fn a_queue_says_whom_it_needs_and_how_long_its_callers_wait() {
    let rules = whole(RULES.trim_end_matches("tests:\n"));
    let of = |name: &str| {
        let spec = rules.transfer(&To::Name(name.into()), &TransferOptions::default()).unwrap();
        let Place::Queue(queue) = spec.place else { panic!("{name} is a queue") };
        *queue
    };
    let fraud = of("fraud");
    assert_eq!((fraud.skills["fraud"], fraud.pick), (1, Pick::LongestIdle));
    assert_eq!((fraud.relax_after, fraud.overflow_after), (Duration::from_secs(20), Duration::from_secs(90)));
    let experts = of("experts");
    assert_eq!((experts.skills["fraud"], experts.pick, experts.sticky), (8, Pick::Best, true));
    assert_eq!((experts.overflow_at, experts.wait_unstaffed), (3, true));
    assert_eq!(experts.overflow_after, Duration::from_secs(300));
}

#[test]
fn tests_know_agents_and_why_nobody_was_there() {
    let reports = reports(
        r#"  - name: fraud at night, nobody free
    at: "2026-11-30T03:12:00+01:00"
    agents: { anna: { skills: [fraud], state: busy }, ben: { skills: [fraud], state: away } }
    steps: [{ intent: unknown_transaction, confidence: 0.9 }, { wait: 95s }]
    expect: { rule: fraud, tried: [fraud, frontdesk, team], ended_at: ai, why: { fraud: no_agent, frontdesk: closed, team: no_agent } }
  - name: nobody is signed in, so nobody waits
    at: "2026-11-30T12:00:00+01:00"
    agents: { anna: { skills: [fraud], state: away } }
    steps: [{ intent: unknown_transaction, confidence: 0.9 }, { wait: 2s }]
    expect: { tried: [fraud, frontdesk], ended_at: frontdesk, why: { fraud: no_agent } }
  - name: after the preference is relaxed any agent will do
    agents: { anna: { skills: [fraud], attributes: { language: [en] } } }
    steps: [{ intent: unknown_transaction, confidence: 0.9 }, { wait: 21s }]
    expect: { tried: [fraud], ended_at: fraud }
  - name: one of the team is free
    agents: { anna: { state: busy }, ben: { skills: [fraud] } }
    steps: [{ dtmf: "0" }, { wait: 2s }]
    expect: { tried: [team], ended_at: team }
"#,
    );
    let failed: Vec<String> = reports.iter().filter(|it| !it.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert_eq!(reports.len(), 4);
}

#[test]
fn a_test_that_expects_somebody_who_is_not_free_says_why_they_were_passed_over() {
    let reports = reports(
        r"  - name: too optimistic
    agents: { anna: { skills: [sales] }, ben: { skills: [fraud], state: busy } }
    steps: [{ intent: unknown_transaction, confidence: 0.9 }]
    expect: { ended_at: fraud }
",
    );
    let told = &reports[0].failure;
    assert!(told.contains("fraud: anna does not have the skill fraud"), "{told}");
    assert!(told.contains("fraud: ben is busy"), "{told}");
}

#[test]
fn mistakes_in_a_queue_are_told() {
    let queue = |text: &str| complaints(&format!("version: 1\ndestinations:\n  q: {{ {text} }}\n"));
    for (text, told) in [
        ("queue: { }", "`skills` is missing"),
        ("queue: { skills: [a], pick: nicest }", "unknown way to pick `nicest`"),
        ("queue: { skills: { a: 11 } }", "found 11, expected a whole number from 1 to 10"),
        ("queue: { skills: [a], relax_after: 5s }", "there is nothing to relax"),
        ("queue: { skills: [a], overflow_after: 5h }", "expected a duration from 1s to 4h"),
        ("queue: { skills: [a] }, ring: simultaneous", "a queue offers its callers to one agent after the other"),
        ("queue: { skills: [a] }, trunk: x", "leave `trunk` away"),
        ("queue: { skill: [a] }", "did you mean `skills`?"),
        ("queue: { skills: [a] }, priority: 1001", "from 0 to 1000"),
    ] {
        let complaint = queue(text);
        assert!(complaint.contains(told), "{text}: {complaint}");
    }
}
