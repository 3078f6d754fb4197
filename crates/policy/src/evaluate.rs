//! Asking the rules.

use crate::{
    condition::{Leaf, Looked, View},
    duration,
    evaluation::{Act, Action, Comparison, Decision, Evaluation, Explanation, Phase, RuleVerdict, Verb, Verdict},
    facts::{Facts, Fresh},
    rule::{Given, Path, Rule, RuleAct, RuleVerb},
    rule_state::{KnownHours, OneRule},
    ruleset::RuleSet,
    transfer::TransferOptions,
};
use clock::{Monotonic, Now};
use core::time::Duration;
use serde_json::Value;
use std::{mem, sync::Arc};

/// One rule's verdict before it is worded.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    rule: u32,
    verdict: Verdict,
    /// Its part of the trace.
    trace: (u32, u32),
    /// How long it still rests.
    rest: Duration,
}

/// Everything `explain` needs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reasons {
    phase: Phase,
    judged: Vec<Judged>,
    trace: Vec<Looked>,
    transfers_tried: u32,
    decided: Option<u32>,
}

impl RuleSet {
    /// Asks every rule, from the top; consumes what has just happened; does `set` and `tag` to `facts`.
    ///
    /// Call it after each folded event, at the call's start (`Phase::Start`), after `CallFact`s, and at the
    /// [`Evaluation::next_change`] of the evaluation before.
    pub fn evaluate(&self, facts: &mut Facts, now: Now, phase: Phase) -> Evaluation {
        facts.rules.align(&self.ids);
        self.look_at_the_clock(facts, now);
        let mut states = mem::take(&mut facts.rules.rules);
        let mut reasons = Reasons {
            phase,
            judged: Vec::with_capacity(self.rules.len()),
            trace: Vec::with_capacity(self.rules.len() * 2),
            transfers_tried: facts.transfers_tried,
            decided: None,
        };
        let mut answer =
            Evaluation { actions: Vec::new(), decision: None, next_change: None, reasons: Reasons::default() };
        for ((index, rule), state) in self.rules.iter().enumerate().zip(&mut states) {
            if !rule.is_for(facts) {
                continue;
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let start = reasons.trace.len();
            let (verdict, rest_ends) = match answer.decision {
                Some(_) => {
                    // What time alone may bring is still to be told, although the rule is not asked now.
                    if rule.enabled && rule.phase == phase {
                        self.looking(facts, now, true).look(&rule.when, false, &mut reasons.trace);
                    }
                    (Verdict::NotReached, None)
                }
                None => self.judge(rule, state, facts, now, phase, &mut reasons.trace),
            };
            let changes = reasons.trace[start..].iter().filter_map(|looked| looked.changes).chain(rest_ends);
            answer.next_change = answer.next_change.into_iter().chain(changes).min();
            if verdict == Verdict::NotReached {
                reasons.trace.truncate(start);
            }
            reasons.judged.push(Judged {
                rule: index,
                verdict,
                trace: (narrow(start), narrow(reasons.trace.len())),
                rest: rest_ends.map_or(Duration::ZERO, |at| at.since(now.monotonic)),
            });
            if verdict == Verdict::Fired {
                self.act(rule, facts, now, &mut answer);
                if answer.decision.is_some() {
                    reasons.decided = Some(index);
                }
            }
        }
        facts.rules.rules = states;
        facts.fresh = Fresh::default();
        answer.reasons = reasons;
        answer
    }

    /// The verdict on one rule, with its state brought up to date, and when its rest ends if it rests.
    fn judge(
        &self,
        rule: &Rule,
        state: &mut OneRule,
        facts: &Facts,
        now: Now,
        phase: Phase,
        trace: &mut Vec<Looked>,
    ) -> (Verdict, Option<Monotonic>) {
        if !rule.enabled {
            return (Verdict::Disabled, None);
        }
        let start = trace.len();
        if rule.phase != phase {
            // Elsewhere it does not act, but that its condition ended is noticed, so that it can become true again.
            if state.held {
                state.held = self.looking(facts, now, true).look(&rule.when, false, trace);
                trace.truncate(start);
            }
            return (Verdict::OtherPhase, None);
        }
        let holds = self.looking(facts, now, true).look(&rule.when, false, trace);
        if !holds {
            state.held = false;
            return (Verdict::NotTrue, None);
        }
        if state.held {
            return (Verdict::AlreadyTrue, None);
        }
        let remembered = !rule.moment || {
            let decided_here = trace.len();
            let lasting = self.looking(facts, now, false).look(&rule.when, false, trace);
            trace.truncate(decided_here);
            lasting
        };
        if rule.once && state.acted > 0 {
            state.held = remembered;
            return (Verdict::Once, None);
        }
        if let Some(ends) = state.rests_from.map(|from| from + rule.cooldown).filter(|ends| *ends > now.monotonic) {
            return (Verdict::Resting, Some(ends));
        }
        let transfers = matches!(rule.verb, Some(RuleVerb::Transfer { .. }));
        if transfers && facts.transfers_tried >= self.max_transfers {
            return (Verdict::NoTransfersLeft, None);
        }
        state.held = remembered;
        state.acted = state.acted.saturating_add(1);
        if rule.verb.is_none() && rule.cooldown > Duration::ZERO {
            state.rests_from = Some(now.monotonic);
        }
        (Verdict::Fired, None)
    }

    fn looking<'a>(&'a self, facts: &'a Facts, now: Now, fresh: bool) -> View<'a> {
        View { facts, now, leaves: &self.leaves, hours: &self.hours, lists: &self.lists, fresh }
    }

    fn act(&self, rule: &Rule, facts: &mut Facts, now: Now, answer: &mut Evaluation) {
        for act in &rule.acts {
            let act = match act {
                RuleAct::Set(key, given) => {
                    let value = given.value(facts, now);
                    facts.set(now, key, &value);
                    Act::Set { key: Arc::clone(key), value }
                }
                RuleAct::Tag(tag) => {
                    facts.tags.insert(Arc::clone(tag));
                    Act::Tag(Arc::clone(tag))
                }
                RuleAct::Notify(fields) => {
                    let value = |(key, given): &(Arc<str>, Given)| (Arc::clone(key), given.value(facts, now));
                    Act::Notify(fields.iter().map(value).collect())
                }
                RuleAct::Recording(act) => Act::Recording(*act),
                RuleAct::Announce(prompt) => Act::Announce(Arc::clone(prompt)),
            };
            answer.actions.push(Action { rule: Arc::clone(&rule.id), act });
        }
        let verb = match &rule.verb {
            None => return,
            Some(RuleVerb::Callback(callback)) => {
                Verb::Transfer(Box::new(self.callback_spec(callback, Some(Arc::clone(&rule.id)))))
            }
            Some(RuleVerb::End { say }) => Verb::End { say: say.clone() },
            Some(RuleVerb::Transfer { to, options }) => {
                // Every destination was found when the files were read.
                match self.spec(to, Some(Arc::clone(&rule.id)), options) {
                    Ok(spec) => Verb::Transfer(Box::new(spec)),
                    Err(_) => return,
                }
            }
        };
        answer.decision = Some(Decision { rule: Arc::clone(&rule.id), verb });
    }

    /// Brings the opening hours' states up to date; costs nothing until one of them changes.
    fn look_at_the_clock(&self, facts: &mut Facts, now: Now) {
        let known = &mut facts.rules.hours;
        known.resize(self.hours.len(), KnownHours::default());
        let now_ms = now.unix_ms();
        for (known, hours) in known.iter_mut().zip(&self.hours) {
            if !(known.from_ms..known.until_ms).contains(&now_ms) {
                let state = hours.at(now.unix);
                let until_ms = u64::try_from(state.until.as_millis()).unwrap_or(u64::MAX);
                *known = KnownHours { open: state.open, from_ms: now_ms, until_ms };
            }
        }
    }

    /// The reasons of an evaluation of these very rules, in words: each rule of the call's line with its verdict and the
    /// values compared.
    pub fn explain(&self, evaluation: &Evaluation) -> Explanation {
        let reasons = &evaluation.reasons;
        let rules = reasons.judged.iter().filter_map(|judged| self.verdict(judged, reasons)).collect();
        Explanation { phase: reasons.phase, rules, candidates: Vec::new() }
    }

    fn verdict(&self, judged: &Judged, reasons: &Reasons) -> Option<RuleVerdict> {
        let rule = self.rules.get(judged.rule as usize)?;
        let trace = reasons.trace.get(judged.trace.0 as usize..judged.trace.1 as usize)?;
        let compared: Vec<Comparison> = trace.iter().filter_map(|looked| self.comparison(looked)).collect();
        let values = |joint: &str| {
            let mut text = String::with_capacity(48 * compared.len());
            for (looked, comparison) in trace.iter().zip(&compared) {
                if !text.is_empty() {
                    text.push_str(joint);
                }
                self.sentence(looked, comparison, &mut text);
            }
            text
        };
        let holds = || if trace.is_empty() { "always".to_owned() } else { values(" and ") };
        let because = match judged.verdict {
            Verdict::Fired => format!("fired: {}", holds()),
            Verdict::NotTrue => values("; "),
            Verdict::AlreadyTrue => format!("already true: {}", holds()),
            Verdict::Resting => format!("rests for another {}: {}", duration::text(seconds_up(judged.rest)), holds()),
            Verdict::OtherPhase => {
                format!("acts while {}, now is {}", rule.phase.name(), reasons.phase.name())
            }
            Verdict::Disabled => "disabled".to_owned(),
            Verdict::Once => format!("acts once per call and has: {}", holds()),
            Verdict::NoTransfersLeft => {
                let (tried, most) = (reasons.transfers_tried, self.max_transfers);
                format!("{tried} transfers of at most {most} are used up: {}", holds())
            }
            Verdict::NotReached => {
                let decider = reasons.decided.and_then(|index| self.rules.get(index as usize));
                format!("not reached: {} has decided", decider.map_or("another rule", |rule| &*rule.id))
            }
        };
        Some(RuleVerdict { rule: Arc::clone(&rule.id), verdict: judged.verdict, compared, because })
    }

    fn comparison(&self, looked: &Looked) -> Option<Comparison> {
        let leaf = self.leaves.get(looked.leaf as usize)?;
        let needs = leaf.needs(&self.lists, &self.hours);
        Some(Comparison {
            fact: leaf.fact_name(),
            found: leaf.found(&looked.found, looked.held),
            needs: if looked.negated { format!("not {needs}") } else { needs },
            held: looked.held != looked.negated,
        })
    }

    /// "retries is 2, needs at least 3"
    fn sentence(&self, looked: &Looked, comparison: &Comparison, text: &mut String) {
        // Opening hours name themselves: "office is closed".
        if !matches!(self.leaves.get(looked.leaf as usize), Some(Leaf::Open(_))) {
            text.push_str(&comparison.fact);
            text.push_str(" is ");
        }
        text.push_str(&comparison.found);
        text.push_str(", needs ");
        text.push_str(&comparison.needs);
    }

    pub(crate) fn spec(
        &self,
        to: &str,
        rule: Option<Arc<str>>,
        options: &TransferOptions,
    ) -> Result<crate::TransferSpec, crate::UnknownDestination> {
        if to == "ai" { Ok(self.back_to_ai(rule, options)) } else { self.named(to, rule, options) }
    }
}

impl Rule {
    fn is_for(&self, facts: &Facts) -> bool {
        match (&self.lines, &facts.call.line) {
            (None, _) => true,
            (Some(lines), Some(line)) => lines.contains(line),
            (Some(_), None) => false,
        }
    }
}

impl Given {
    pub(crate) fn value(&self, facts: &Facts, now: Now) -> Value {
        let text = |text: &Option<Arc<str>>| text.as_deref().map_or(Value::Null, Value::from);
        match self {
            Self::Value(value) => value.clone(),
            Self::Path(path) => match path {
                Path::Caller => text(&facts.call.caller),
                Path::Called => text(&facts.call.called),
                Path::Line => text(&facts.call.line),
                Path::Trunk => text(&facts.call.trunk),
                Path::Profile => text(&facts.call.profile),
                Path::Sentiment => facts.scores.back().map_or(Value::Null, |(_, score)| Value::from(*score)),
                Path::Retries => facts.retries.into(),
                Path::Intent => facts.intent.as_ref().map_or(Value::Null, |(name, _)| Value::from(&**name)),
                Path::AuthFailures => facts.auth_failures.into(),
                Path::Context(key) => facts.context.get(key).cloned().unwrap_or_default(),
                Path::Declared(fact) => fact.value(facts.series.get(&fact.source), now.monotonic),
            },
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn seconds_up(rest: Duration) -> Duration {
    Duration::from_secs(rest.as_secs() + u64::from(rest.subsec_nanos() > 0))
}
