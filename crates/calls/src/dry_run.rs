//! `POST /v1/rules/evaluate`: what the rules would say, on a copy of a call's facts. Nothing of it stays.

use crate::{DecisionReply, EvaluationReply, EventResult, Problem};
use clock::Now;
use policy::{Facts, Phase, Posted, RuleSet, Verb};

/// Evaluates the facts as they are, then after each event.
pub(crate) fn run(rules: &RuleSet, mut facts: Facts, now: Now, events: &[Posted]) -> Result<EvaluationReply, Problem> {
    let mut results = vec![evaluate(rules, &mut facts, now, "facts".to_owned(), Vec::new())];
    for (index, posted) in events.iter().enumerate() {
        let folded = facts
            .fold(now, posted)
            .map_err(|error| Problem::invalid(format!("events[{index}].{}", error.field), error.message))?;
        let event = posted.id.clone().unwrap_or_else(|| posted.event.type_name().to_owned());
        results.push(evaluate(rules, &mut facts, now, event, folded.warnings));
    }
    let facts = serde_json::to_value(rules.view(&facts, now)).unwrap_or_default();
    Ok(EvaluationReply { results, facts })
}

fn evaluate(rules: &RuleSet, facts: &mut Facts, now: Now, event: String, notes: Vec<String>) -> EventResult {
    let evaluation = rules.evaluate(facts, now, Phase::Ai);
    let explanation = Some(rules.explain(&evaluation));
    let decision = evaluation.decision.map(|decision| {
        let (does, to) = match &decision.verb {
            Verb::Transfer(spec) if matches!(spec.place, policy::Place::Voicemail { .. }) => {
                ("voicemail", Some(spec.to.to_string()))
            }
            Verb::Transfer(spec) => ("transfer", Some(spec.to.to_string())),
            Verb::End { .. } => ("end", None),
        };
        let not_done = Some("a dry run".to_owned());
        DecisionReply { rule: decision.rule.to_string(), does: does.to_owned(), to, transfer: None, not_done }
    });
    EventResult { event, repeated: false, kept: None, decision, explanation, notes }
}
