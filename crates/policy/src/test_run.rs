//! The rules files' own tests: virtual time, scripted events, and destinations that answer or fail as told.

use crate::{
    evaluation::{Act, Evaluation, Phase, Verb, Verdict},
    event::{Event, Posted},
    facts::{AnsweredBy, CallFact, CallStart, Facts, Listening},
    queue::{AgentState, AgentView, Attributes, Queue, Skills},
    ruleset::RuleSet,
    transfer::{self, Cause, FailureChain, Place, Ring, TransferSpec},
};
use clock::{Monotonic, Now};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
};

/// How one test of a rules file went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: Arc<str>,
    /// Its line.
    pub line: u32,
    /// What happened instead, line by line, with the explanation; empty when it passed.
    pub failure: String,
}

impl TestReport {
    /// True when everything expected happened.
    pub fn passed(&self) -> bool {
        self.failure.is_empty()
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passed() {
            return write!(f, "ok: {}", self.name);
        }
        write!(f, "FAILED: {} ({}:{})\n{}", self.name, self.file, self.line, self.failure)
    }
}

/// A test as written.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
    /// When the call begins, since 1970.
    pub(crate) at: Duration,
    pub(crate) call: CallStart,
    /// The agents there are; `None`: whoever is asked answers.
    pub(crate) agents: Option<BTreeMap<Arc<str>, Somebody>>,
    pub(crate) outcomes: BTreeMap<Arc<str>, Outcome>,
    /// Each with its words.
    pub(crate) steps: Vec<(String, Step)>,
    pub(crate) expect: Expect,
}

/// An agent of a test.
#[derive(Clone, Debug)]
pub(crate) struct Somebody {
    pub(crate) skills: Skills,
    pub(crate) attributes: Attributes,
    pub(crate) state: AgentState,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Outcome {
    Answers,
    Fails(Cause),
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Event(Event),
    Wait(Duration),
    /// The caller says nothing for so long.
    Silence(Duration),
    Dtmf(String),
    AiLost,
    Handback,
    /// It is known what answered.
    AnsweredBy(AnsweredBy),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    /// No rule decides.
    pub(crate) nothing: bool,
    pub(crate) rule: Option<Arc<str>>,
    pub(crate) tried: Option<Vec<Arc<str>>>,
    pub(crate) ended_at: Option<Arc<str>>,
    pub(crate) why: BTreeMap<Arc<str>, Cause>,
    pub(crate) tags: Option<Vec<Arc<str>>>,
    pub(crate) announced: Option<Vec<Arc<str>>>,
    pub(crate) context: BTreeMap<String, Value>,
}

/// Runs one test.
pub(crate) fn run(rules: &RuleSet, test: &Test) -> TestReport {
    let mut play = Play::new(rules, test);
    play.begin();
    for (label, step) in &test.steps {
        play.step(label, step);
    }
    play.run_out();
    let failure = play.judge();
    TestReport { name: test.name.clone(), file: Arc::clone(&test.file), line: test.line, failure }
}

/// No test makes more moves than this: a chain of rules that keep each other going ends here.
const MOST_MOVES: u32 = 10_000;

/// A call without phones: the same rules, facts and chains, and outcomes from the script.
struct Play<'t> {
    rules: &'t RuleSet,
    test: &'t Test,
    facts: Facts,
    now: Now,
    phase: Phase,
    next_change: Option<Monotonic>,
    transfer: Option<Running>,
    /// With whom the caller is: a destination, `ai`, `end`, or nobody yet.
    with: Option<Arc<str>>,
    /// The caller will be called back.
    over: bool,
    decided: Vec<Arc<str>>,
    tried: Vec<Arc<str>>,
    why: BTreeMap<Arc<str>, Cause>,
    announced: Vec<Arc<str>>,
    story: Vec<String>,
    last_reasons: String,
    moves: u32,
}

struct Running {
    spec: TransferSpec,
    chain: FailureChain,
    outcome: Outcome,
    ends: Monotonic,
}

impl<'t> Play<'t> {
    fn new(rules: &'t RuleSet, test: &'t Test) -> Self {
        // A few hours after the clock's origin, so that nothing is younger than time itself.
        let now = Now { monotonic: Monotonic::ORIGIN + Duration::from_secs(100_000), unix: test.at };
        Self {
            rules,
            test,
            facts: Facts::new(test.call.clone(), Arc::new(Listening::default()), now),
            now,
            phase: Phase::Start,
            next_change: None,
            transfer: None,
            with: None,
            over: false,
            decided: Vec::new(),
            tried: Vec::new(),
            why: BTreeMap::new(),
            announced: Vec::new(),
            story: Vec::new(),
            last_reasons: String::new(),
            moves: 0,
        }
    }

    fn begin(&mut self) {
        self.evaluate("the call begins");
        if self.transfer.is_none() && self.with.is_none() {
            self.ai_takes("the AI answers");
        }
    }

    fn step(&mut self, label: &str, step: &Step) {
        if self.over || self.with.as_deref() == Some("end") {
            self.story.push(format!("{label}: the call has ended"));
            return;
        }
        match step {
            Step::Event(event) => {
                let posted = Posted::from(event.clone());
                match self.facts.fold(self.now, &posted) {
                    Ok(folded) => {
                        self.story.extend(folded.warnings.into_iter().map(|it| format!("{label}: {it}")));
                        self.evaluate(label);
                    }
                    Err(error) => self.story.push(format!("{label}: refused, {error}")),
                }
            }
            Step::Wait(duration) => self.wait(*duration),
            Step::Silence(duration) => {
                self.facts.note(self.now, &CallFact::CallerQuiet(self.now.monotonic));
                self.evaluate(label);
                self.wait(*duration);
                self.facts.note(self.now, &CallFact::CallerSpeaks);
                self.evaluate("the caller speaks");
            }
            Step::Dtmf(keys) => {
                for key in keys.chars() {
                    self.facts.note(self.now, &CallFact::Dtmf(key));
                    self.evaluate(&format!("key {key}"));
                }
            }
            Step::AiLost => {
                self.facts.note(self.now, &CallFact::AiLost);
                self.evaluate(label);
            }
            Step::AnsweredBy(who) => {
                self.facts.note(self.now, &CallFact::AnsweredBy(*who));
                self.evaluate(label);
            }
            Step::Handback if self.phase == Phase::Human => self.ai_takes("the human hands back"),
            Step::Handback => self.story.push("handback: no human has the caller".into()),
        }
    }

    /// Lets time pass, with everything that falls due.
    fn wait(&mut self, duration: Duration) {
        let end = self.now.monotonic + duration;
        loop {
            let attempt_ends = self.transfer.as_ref().map(|running| running.ends);
            let due = attempt_ends.into_iter().chain(self.next_change).min().filter(|due| *due <= end);
            let Some(due) = due.filter(|_| self.may_move()) else { break };
            self.now = self.now.after(due.since(self.now.monotonic));
            if attempt_ends.is_some_and(|ends| ends <= self.now.monotonic) {
                self.attempt_over();
            } else {
                let after = format!("after {}", crate::duration::text(self.now.unix.saturating_sub(self.test.at)));
                self.evaluate(&after);
            }
        }
        self.now = self.now.after(end.since(self.now.monotonic));
    }

    /// Lets a transfer under way come to its end.
    fn run_out(&mut self) {
        while let Some(ends) = self.transfer.as_ref().map(|running| running.ends) {
            if !self.may_move() {
                return;
            }
            self.wait(ends.since(self.now.monotonic));
        }
    }

    fn may_move(&mut self) -> bool {
        self.moves += 1;
        self.moves <= MOST_MOVES
    }

    fn evaluate(&mut self, label: &str) {
        if !self.may_move() {
            return;
        }
        let mut evaluation = self.rules.evaluate(&mut self.facts, self.now, self.phase);
        let decision = evaluation.decision.take();
        self.next_change = evaluation.next_change;
        self.last_reasons = self.reasons(&evaluation);
        for action in &evaluation.actions {
            if let Act::Announce(prompt) = &action.act {
                self.announced.push(Arc::clone(prompt));
            }
            self.story.push(format!("{label}: {} acts", action.rule));
        }
        let Some(decision) = decision else {
            if evaluation.actions.is_empty() {
                self.story.push(format!("{label}: nothing decided"));
            }
            return;
        };
        self.decided.push(Arc::clone(&decision.rule));
        let rules = self.rules.explain(&evaluation).rules;
        let because = rules.into_iter().find(|it| it.rule == decision.rule).map(|it| it.because).unwrap_or_default();
        match decision.verb {
            Verb::End { .. } => {
                self.story.push(format!("{label}: {} ends the call ({because})", decision.rule));
                self.transfer = None;
                self.with = Some("end".into());
                self.next_change = None;
            }
            Verb::Transfer(spec) => {
                self.story.push(format!("{label}: {} transfers to {} ({because})", decision.rule, spec.to));
                self.facts.note(self.now, &CallFact::TransferStarted { rule: Some(decision.rule) });
                let chain = FailureChain::new(&spec);
                self.attempt(*spec, chain);
            }
        }
    }

    fn reasons(&self, evaluation: &Evaluation) -> String {
        let mut text = String::new();
        for rule in self.rules.explain(evaluation).rules {
            if rule.verdict != Verdict::Disabled {
                let _ = writeln!(text, "    {}: {}", rule.rule, rule.because);
            }
        }
        text
    }

    fn attempt(&mut self, spec: TransferSpec, chain: FailureChain) {
        self.tried.push(Arc::clone(&spec.to));
        if matches!(spec.place, Place::Ai { .. }) {
            return self.ai_takes("the AI takes the caller");
        }
        match &spec.place {
            Place::Message => return self.ai_takes("the AI takes a message"),
            Place::Callback(_) if self.test.call.caller.is_some() => {
                self.story.push(format!("{}: the caller is called back", spec.to));
                self.transfer = None;
                self.with = Some(spec.to);
                self.over = true;
                self.next_change = None;
                return;
            }
            _ => {}
        }
        self.phase = Phase::Waiting;
        let open = self.rules.is_open(spec.hours.as_deref(), self.now);
        if matches!(spec.place, Place::Voicemail { .. }) && open {
            self.story.push(format!("{}: the caller leaves a message", spec.to));
            self.transfer = None;
            self.with = Some(spec.to);
            return;
        }
        self.with = None;
        let wait = match &spec.place {
            Place::Queue(queue) => self.wait_for_agent(&spec, queue),
            Place::Callback(_) => Some((Duration::ZERO, true)),
            Place::Dial(dial) if !self.any_free(&dial.targets) => Some((Duration::ZERO, false)),
            _ => Some((Duration::ZERO, true)),
        };
        let outcome = match (open, wait) {
            (false, _) => Outcome::Fails(Cause::Closed),
            _ if matches!(spec.place, Place::Callback(_)) => Outcome::Fails(Cause::Unreachable),
            (true, Some((_, true))) => self.test.outcomes.get(&spec.to).copied().unwrap_or(Outcome::Answers),
            (true, _) => Outcome::Fails(Cause::NoAgent),
        };
        let rings = match &spec.place {
            Place::Dial(dial) if dial.ring == Ring::Ordered => u32::try_from(dial.targets.len()).unwrap_or(1),
            _ => 1,
        };
        let takes = match outcome {
            Outcome::Fails(Cause::NoAnswer) => spec.ring_timeout * rings,
            Outcome::Fails(Cause::NotAccepted) => {
                spec.accept.as_ref().map_or(Duration::from_secs(10), |accept| accept.within)
            }
            _ => Duration::from_secs(1),
        };
        let takes = match (outcome, wait) {
            (Outcome::Fails(Cause::Closed), _) => Duration::ZERO,
            (Outcome::Fails(Cause::NoAgent), Some((waits, false))) => waits,
            (_, Some((waits, true))) => waits + takes,
            _ => takes,
        };
        let (ends, to) = (self.now.monotonic + takes, Arc::clone(&spec.to));
        self.transfer = Some(Running { spec, chain, outcome, ends });
        self.evaluate(&format!("waiting for {to}"));
    }

    /// How long the caller waits in a queue, and whether an agent takes them then: nobody's state changes during a test.
    fn wait_for_agent(&mut self, spec: &TransferSpec, queue: &Queue) -> Option<(Duration, bool)> {
        let Some(agents) = &self.test.agents else { return Some((Duration::ZERO, true)) };
        let wanted = self.rules.preferences(&spec.to, &self.facts, self.now);
        let views = agents.iter().enumerate().map(|(place, (name, it))| AgentView {
            name,
            skills: &it.skills,
            attributes: &it.attributes,
            state: it.state,
            idle_since: Monotonic::ORIGIN,
            calls: 0,
            had_caller: false,
            place,
        });
        for candidate in queue.explain(&wanted, Duration::ZERO, views.clone()) {
            self.story.push(format!("{}: {} {}", spec.to, candidate.agent, candidate.because));
        }
        let mut waits = [Duration::ZERO, queue.relax_after].into_iter().filter(|waits| *waits < queue.overflow_after);
        if let Some(waits) = waits.find(|waits| !queue.rank(&wanted, *waits, views.clone()).is_empty()) {
            return Some((waits, true));
        }
        let staffed = views.clone().any(|agent| agent.state.is_staffed() && queue.takes(&agent).is_ok());
        let waits = if staffed || queue.wait_unstaffed { queue.overflow_after } else { Duration::ZERO };
        Some((waits, false))
    }

    /// Whether any of these targets can be rung, as far as the test says who is free.
    fn any_free(&self, targets: &[Arc<str>]) -> bool {
        let Some(agents) = &self.test.agents else { return true };
        let free = |target: &Arc<str>| {
            let agent = target.strip_prefix("agent:").and_then(|name| agents.get(name));
            agent.is_none_or(|agent| agent.state == AgentState::Available)
        };
        targets.iter().any(free)
    }

    fn attempt_over(&mut self) {
        let Some(mut running) = self.transfer.take() else { return };
        let to = Arc::clone(&running.spec.to);
        let cause = match running.outcome {
            Outcome::Answers => {
                self.facts.note(self.now, &CallFact::TransferBridged);
                self.phase = Phase::Human;
                self.with = Some(Arc::clone(&to));
                return self.evaluate(&format!("{to} answers"));
            }
            Outcome::Fails(cause) => cause,
        };
        self.story.push(format!("{to}: {cause}"));
        self.why.insert(to, cause);
        let rule = running.spec.rule.clone();
        match running.chain.next(cause) {
            transfer::Step::Destination(name) => match self.rules.next_in_chain(&name, &running.spec) {
                Ok(spec) => self.attempt(spec, running.chain),
                Err(error) => self.story.push(error.to_string()),
            },
            transfer::Step::Ai => {
                self.facts.note(self.now, &CallFact::TransferFailed { rule, cause });
                self.ai_takes("back to the AI");
            }
            transfer::Step::End => {
                self.facts.note(self.now, &CallFact::TransferFailed { rule, cause });
                self.with = Some("end".into());
                self.next_change = None;
            }
        }
    }

    fn ai_takes(&mut self, label: &str) {
        self.transfer = None;
        self.facts.note(self.now, &CallFact::StintStarted);
        self.phase = Phase::Ai;
        self.with = Some("ai".into());
        self.evaluate(label);
    }

    /// What differs, with the story and the reasons; nothing when all is as expected.
    fn judge(&self) -> String {
        let expect = &self.test.expect;
        let mut text = String::new();
        let mut differs = |what: &str, expected: &str, got: &str| {
            if expected != got {
                let _ = writeln!(text, "  {what}: expected {expected}, got {got}");
            }
        };
        let names = |names: &[Arc<str>]| format!("[{}]", names.join(", "));
        let or_none = |name: Option<&Arc<str>>| name.map_or_else(|| "none".to_owned(), |it| (**it).to_owned());
        if expect.nothing {
            differs("rule", "none", &or_none(self.decided.last()));
        }
        if expect.rule.is_some() {
            let acted = expect.rule.as_ref().filter(|rule| self.story_names(rule));
            let got = if self.decided.is_empty() { acted } else { self.decided.last() };
            differs("rule", &or_none(expect.rule.as_ref()), &or_none(got));
        }
        if let Some(tried) = &expect.tried {
            differs("tried", &names(tried), &names(&self.tried));
        }
        if expect.ended_at.is_some() {
            differs("ended_at", &or_none(expect.ended_at.as_ref()), &or_none(self.with.as_ref()));
        }
        for (destination, cause) in &expect.why {
            let got = self.why.get(destination).map_or("nothing failed", |cause| cause.name());
            differs(&format!("why {destination}"), cause.name(), got);
        }
        if let Some(tags) = &expect.tags {
            let mut tags = tags.clone();
            tags.sort();
            let worn: Vec<Arc<str>> = self.facts.tags.iter().cloned().collect();
            differs("tags", &names(&tags), &names(&worn));
        }
        if let Some(announced) = &expect.announced {
            differs("announced", &names(announced), &names(&self.announced));
        }
        for (key, value) in &expect.context {
            let got = self.facts.context.get(key).unwrap_or(&Value::Null);
            if !same(value, got) {
                differs(&format!("context {key}"), &value.to_string(), &got.to_string());
            }
        }
        if text.is_empty() {
            return text;
        }
        text.push_str("  what happened:\n");
        for line in &self.story {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str("  why, at the end:\n");
        text.push_str(&self.last_reasons);
        text.truncate(text.trim_end().len());
        text
    }

    fn story_names(&self, rule: &str) -> bool {
        let acts = format!(": {rule} acts");
        self.story.iter().any(|line| line.ends_with(&acts))
    }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left.as_f64(), right.as_f64()) {
        (Some(left), Some(right)) => left == right,
        _ => left == right,
    }
}
