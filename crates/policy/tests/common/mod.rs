//! A call at the hands of a test: rules in, events in, verdicts out.
#![expect(dead_code, reason = "each test file uses its own part")]

use clock::{Monotonic, Now};
use core::time::Duration;
use policy::{
    CallFact, CallStart, Decision, Environment, Evaluation, Explanation, Facts, Folded, Listening, Phase, Posted,
    RuleSet, RuleVerdict, SourceFile, TransferSpec, Verb, Verdict,
};
use std::sync::Arc;

/// Rules from `text`, with `version: 1` and the destinations `desk` and `boss` added.
pub(crate) fn rules(text: &str) -> RuleSet {
    whole(&format!(
        "version: 1\ndestinations:\n  desk: {{ dial: \"sip:desk@host\" }}\n  boss: {{ dial: \"sip:boss@host\" }}\n{text}"
    ))
}

/// Rules from a whole file.
pub(crate) fn whole(text: &str) -> RuleSet {
    let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &Environment::default());
    loaded.unwrap_or_else(|mistakes| panic!("{mistakes}\n\nin\n{text}")).rules
}

/// One rule `it` with this condition, which transfers to `desk`.
pub(crate) fn when(condition: &str) -> RuleSet {
    rules(&format!("rules:\n  - id: it\n    when: {condition}\n    transfer: desk\n"))
}

/// Everything wrong with a file, as the operator reads it; warnings where nothing is wrong.
pub(crate) fn complaints(text: &str) -> String {
    complaints_of(&[SourceFile::main("rules.yaml", text)])
}

/// The same of several files.
pub(crate) fn complaints_of(files: &[SourceFile]) -> String {
    let all = match RuleSet::load(files, &Environment::default()) {
        Err(mistakes) => mistakes.0,
        Ok(loaded) => loaded.warnings,
    };
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// 2026-01-07, a Wednesday, noon UTC.
pub(crate) const NOON: Duration = Duration::from_secs(1_767_787_200);

pub(crate) struct Call {
    pub(crate) rules: RuleSet,
    pub(crate) facts: Facts,
    pub(crate) now: Now,
    pub(crate) phase: Phase,
    pub(crate) last: Option<Evaluation>,
}

impl Call {
    /// With the AI since this moment.
    pub(crate) fn new(rules: RuleSet) -> Self {
        Self::from(rules, CallStart { caller: Some("+493055512345".into()), ..CallStart::default() })
    }

    pub(crate) fn from(rules: RuleSet, start: CallStart) -> Self {
        Self::starting(rules, start, Listening::default(), NOON).with_ai()
    }

    /// Before the AI.
    pub(crate) fn starting(rules: RuleSet, start: CallStart, listening: Listening, unix: Duration) -> Self {
        let now = Now { monotonic: Monotonic::from_nanos(1_000_000_000_000), unix };
        let facts = Facts::new(start, Arc::new(listening), now);
        Self { rules, facts, now, phase: Phase::Start, last: None }
    }

    pub(crate) fn with_ai(mut self) -> Self {
        self.stint();
        self
    }

    /// A stint begins; what the rules say to that is dropped.
    pub(crate) fn stint(&mut self) -> Option<String> {
        self.phase = Phase::Ai;
        self.note(&CallFact::StintStarted)
    }

    pub(crate) fn note(&mut self, fact: &CallFact) -> Option<String> {
        self.facts.note(self.now, fact);
        self.evaluate()
    }

    /// Folds an event given as JSON and asks the rules; the id of the rule that decided or acted first.
    pub(crate) fn event(&mut self, json: &str) -> Option<String> {
        self.fold(json);
        self.evaluate()
    }

    pub(crate) fn fold(&mut self, json: &str) -> Folded {
        let posted: Posted = serde_json::from_str(json).expect("the test says so");
        self.facts.fold(self.now, &posted).expect("the test says so")
    }

    /// `no_match`, or the name of any event without fields.
    pub(crate) fn say(&mut self, name: &str) -> Option<String> {
        self.event(&format!("{{\"type\":\"{name}\"}}"))
    }

    pub(crate) fn feel(&mut self, score: f64) -> Option<String> {
        self.event(&format!("{{\"type\":\"sentiment\",\"score\":{score}}}"))
    }

    pub(crate) fn press(&mut self, key: char) -> Option<String> {
        self.note(&CallFact::Dtmf(key))
    }

    /// Lets time pass in one leap, then asks.
    pub(crate) fn after(&mut self, seconds: u64) -> Option<String> {
        self.now = self.now.after(Duration::from_secs(seconds));
        self.evaluate()
    }

    /// Leaps to the time the last evaluation named; how long that took.
    pub(crate) fn leap_to_next_change(&mut self) -> Option<(Duration, Option<String>)> {
        let due = self.last.as_ref()?.next_change?;
        let leap = due.since(self.now.monotonic);
        self.now = self.now.after(leap);
        Some((leap, self.evaluate()))
    }

    pub(crate) fn evaluate(&mut self) -> Option<String> {
        let evaluation = self.rules.evaluate(&mut self.facts, self.now, self.phase);
        let decided = evaluation.decision.as_ref().map(|decision| decision.rule.to_string());
        let acted = evaluation.actions.first().map(|action| action.rule.to_string());
        self.last = Some(evaluation);
        decided.or(acted)
    }

    pub(crate) fn decision(&self) -> Option<&Decision> {
        self.last.as_ref()?.decision.as_ref()
    }

    pub(crate) fn spec(&self) -> TransferSpec {
        match self.decision().map(|decision| &decision.verb) {
            Some(Verb::Transfer(spec)) => (**spec).clone(),
            other => panic!("no transfer but {other:?}"),
        }
    }

    pub(crate) fn explanation(&self) -> Explanation {
        self.rules.explain(self.last.as_ref().expect("the test says so"))
    }

    pub(crate) fn verdict_on(&self, rule: &str) -> RuleVerdict {
        self.explanation().rules.into_iter().find(|verdict| *verdict.rule == *rule).expect("the test says so")
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict_on("it").verdict
    }

    pub(crate) fn because(&self) -> String {
        self.verdict_on("it").because
    }
}
