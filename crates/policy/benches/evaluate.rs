//! What an evaluation of 200 rules costs: `cargo bench -p policy`. One line per measurement, in nanoseconds.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads the clock and prints"
)]

use clock::{Monotonic, Now};
use core::time::Duration;
use policy::{CallFact, CallStart, Environment, Facts, Listening, Phase, Posted, RuleSet, SourceFile};
use std::{fmt::Write as _, hint::black_box, sync::Arc, time::Instant};

const ROUNDS: u32 = 20_000;

fn main() {
    let rules = rules(200);
    let now = Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: Duration::from_secs(1_767_787_200) };
    let mut facts = Facts::new(CallStart::default(), Arc::new(Listening::default()), now);
    facts.note(now, &CallFact::StintStarted);
    let posted: Posted = serde_json::from_str(r#"{"type":"sentiment","score":0.1}"#).expect("an event");
    let _ = facts.fold(now, &posted);
    rules.evaluate(&mut facts, now, Phase::Ai);

    measure("policy_evaluate_200_rules_ns", || {
        black_box(rules.evaluate(&mut facts, now, Phase::Ai));
    });
    measure("policy_fold_and_evaluate_200_rules_ns", || {
        let _ = facts.fold(now, &posted);
        black_box(rules.evaluate(&mut facts, now, Phase::Ai));
    });
    let evaluation = rules.evaluate(&mut facts, now, Phase::Ai);
    measure("policy_explain_200_rules_ns", || {
        black_box(rules.explain(&evaluation));
    });
    let json: serde_json::Value =
        serde_json::from_str(r#"{"type":"intent","name":"x","confidence":0.5}"#).expect("JSON");
    measure("policy_read_event_ns", || {
        let _ = black_box(Posted::from_json(&json));
    });
}

fn measure(name: &str, mut run: impl FnMut()) {
    let begun = Instant::now();
    for _ in 0..ROUNDS {
        run();
    }
    println!("{name} {}", begun.elapsed().as_nanos() / u128::from(ROUNDS));
}

/// Rules of every kind, none of which holds.
fn rules(count: usize) -> RuleSet {
    let mut text = "version: 1
facts: { lead.value: { type: number, from: lead } }
hours: { office: { timezone: Europe/Berlin, open: { mon-fri: [\"08:00-18:00\"] } } }
destinations: { desk: { dial: \"sip:desk@host\" } }
rules:
"
    .to_owned();
    let conditions = [
        "{ retries: { at_least: 3 } }",
        "{ sentiment: { below: -0.5, last: 2 } }",
        "{ intent: { is: [fraud, stolen], confidence: 0.6 } }",
        "{ all: [ { intent_seen: enterprise }, { fact: lead.value, at_least: 10000 } ] }",
        "{ auth_failures: { at_least: 2 } }",
        "{ any: [ { call_duration: { at_least: 30m } }, { silence: 20s } ] }",
        "{ not: { open: office } }",
        "{ event: transfer_requested }",
        "{ fact: lead.value, between: [5, 9] }",
        "{ tags: [vip, gold] }",
    ];
    for (number, condition) in conditions.iter().cycle().take(count).enumerate() {
        let _ = writeln!(text, "  - {{ id: rule-{number}, when: {condition}, transfer: desk }}");
    }
    let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &Environment::default());
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).rules
}
