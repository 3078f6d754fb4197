//! Asking the rules and doing what they say.

use super::{Call, Stage};
use crate::{
    DecisionRecord, DecisionReply, EndCause, EventResult, EventsReply, Guidance, Happening, Observation, Problem,
    Reply, Source,
    call::handoff::NotNow,
    step::{Step, Timer},
};
use policy::{Act, Decision, Explanation, Phase, Posted, Verb};

/// Why nothing is decided yet.
pub(super) const UNANSWERED: &str = "the person who is called has not answered";

/// What asking the rules came to.
pub(super) struct Asked {
    pub(super) explanation: Explanation,
    pub(super) decision: Option<DecisionReply>,
    /// The decision was carried out.
    pub(super) done: bool,
}

impl Call {
    /// Where the call stands, in the rules' words.
    fn phase(&self) -> Phase {
        match self.stage {
            Stage::Connecting if self.ai.is_none() => Phase::Start,
            Stage::WithAi => Phase::Ai,
            Stage::WithHuman { .. } => Phase::Human,
            _ => Phase::Waiting,
        }
    }

    /// Asks the rules; true when a decision was carried out.
    pub(super) fn run_rules(&mut self, step: &mut Step<'_>, trigger: &str) -> bool {
        let phase = self.phase();
        self.run_rules_in(step, trigger, phase)
    }

    pub(super) fn run_rules_in(&mut self, step: &mut Step<'_>, trigger: &str, phase: Phase) -> bool {
        self.ask(step, trigger, phase, false).done
    }

    /// Asks the rules. The explanation is made when somebody will read it: the poster of an event, or the record of a
    /// decision.
    fn ask(&mut self, step: &mut Step<'_>, trigger: &str, phase: Phase, explain: bool) -> Asked {
        let none = self.rings_person() || self.goes_straight();
        if matches!(self.stage, Stage::Ending | Stage::Announcing { .. }) || none {
            return Asked { explanation: Explanation::default(), decision: None, done: false };
        }
        let rules = std::sync::Arc::clone(step.rules);
        let evaluation = rules.evaluate(&mut self.facts, step.now, phase);
        match evaluation.next_change {
            Some(at) => step.arm_at(Timer::Policy, at.max(step.now.monotonic + core::time::Duration::from_millis(1))),
            None => step.disarm(Timer::Policy),
        }
        let mut acted: Option<&std::sync::Arc<str>> = None;
        let acts = evaluation.actions.iter().map(|action| &action.rule);
        for rule in acts.chain(evaluation.decision.as_ref().map(|decision| &decision.rule)) {
            // A rule that does several things has acted once; they stand one behind the other.
            if acted.replace(rule) != Some(rule) {
                step.observe(Observation::Acted { rule: std::sync::Arc::clone(rule) });
            }
        }
        let mut explanation =
            if explain || evaluation.decision.is_some() { rules.explain(&evaluation) } else { Explanation::default() };
        for action in evaluation.actions {
            match &action.act {
                Act::Set { .. } => step.publish(Happening::FactsChanged { event: format!("rule {}", action.rule) }),
                Act::Tag(_) => {}
                Act::Notify(_) => {
                    let rule = action.rule.to_string();
                    let action = serde_json::to_value(&action.act).unwrap_or_default();
                    step.publish(Happening::PolicyNotified { rule, action });
                }
                Act::Recording(act) => self.recording_by_rule(step, &action.rule, *act),
                Act::Announce(prompt) => self.announce(step, std::sync::Arc::clone(prompt)),
            }
        }
        let Some(decision) = evaluation.decision else { return Asked { explanation, decision: None, done: false } };
        let reply = self.decided(step, trigger, decision, &mut explanation);
        let done = reply.not_done.is_none();
        Asked { explanation, decision: Some(reply), done }
    }

    fn decided(
        &mut self,
        step: &mut Step<'_>,
        trigger: &str,
        decision: Decision,
        explanation: &mut Explanation,
    ) -> DecisionReply {
        let rule = decision.rule.to_string();
        let does = match &decision.verb {
            Verb::Transfer(spec) if matches!(spec.place, policy::Place::Voicemail { .. }) => "voicemail",
            Verb::Transfer(spec) if matches!(spec.place, policy::Place::Callback(_)) => "callback",
            Verb::Transfer(_) => "transfer",
            Verb::End { .. } => "end",
        };
        step.publish(Happening::PolicyDecided {
            rule: rule.clone(),
            does: does.to_owned(),
            trigger: trigger.to_owned(),
        });
        let mut reply =
            DecisionReply { rule: rule.clone(), does: does.to_owned(), to: None, transfer: None, not_done: None };
        match decision.verb {
            Verb::Transfer(spec) => {
                // Who waits for somebody can be called back instead.
                if let (true, Some(active)) = (does == "callback", self.transfer.as_ref().map(|transfer| transfer.id()))
                {
                    self.finish_transfer(step, crate::TransferState::Cancelled);
                    step.publish(Happening::TransferCancelled { transfer: active });
                }
                reply.to = Some(spec.to.to_string());
                match self.begin_transfer(step, Source::Rule { rule: rule.clone() }, *spec) {
                    Ok(transfer) => {
                        reply.transfer = Some(transfer);
                        explanation.candidates = self.candidates(step, transfer);
                    }
                    Err(NotNow::Active(transfer)) => reply.not_done = Some(format!("{transfer} is under way")),
                    Err(NotNow::Ending) => reply.not_done = Some("the call is ending".to_owned()),
                    Err(NotNow::Unanswered) => reply.not_done = Some(UNANSWERED.to_owned()),
                }
            }
            Verb::End { say: Some(prompt) } => {
                self.finish_transfer(step, crate::TransferState::CallEnded);
                self.announce_and_end(step, prompt, EndCause::Rule);
            }
            Verb::End { say: None } => self.end(step, EndCause::Rule, "us", Some(480)),
        }
        let record = DecisionRecord {
            time: step.time(),
            trigger: trigger.to_owned(),
            rule: Some(rule),
            transfer: reply.transfer,
            explanation: explanation.clone(),
        };
        step.story.decided(record, step.config.limits.decisions);
        reply
    }

    /// The agents a transfer that has just begun could go to, and why each was passed over.
    fn candidates(&self, step: &Step<'_>, id: crate::TransferId) -> Vec<policy::Candidate> {
        let active = self.transfer.as_ref().filter(|transfer| transfer.id() == id).map(|transfer| &transfer.record);
        active.or_else(|| step.story.transfer(id)).map(|record| record.candidates.clone()).unwrap_or_default()
    }

    /// Events of the API: folded and evaluated one by one; after a decision that was carried out the rest only folded.
    pub(super) fn events(&mut self, step: &mut Step<'_>, events: &[Posted]) -> Result<Reply, Problem> {
        let limits = &step.config.limits;
        if events.len() > limits.events_per_request {
            return Err(Problem::too_large(format!("at most {} events in one request", limits.events_per_request)));
        }
        let most = u64::try_from(limits.events_per_call).unwrap_or(u64::MAX);
        if step.story.events.saturating_add(events.len() as u64) > most {
            return Err(Problem::limit(format!("a call takes at most {most} events")));
        }
        if events.len() > 1 {
            // All or nothing: a request that is refused has changed nothing.
            let mut facts = self.facts.clone();
            for (index, posted) in events.iter().enumerate() {
                facts.fold(step.now, posted).map_err(|error| event_problem(&error, Some(index)))?;
            }
        }
        let mut results = Vec::with_capacity(events.len());
        let mut decided = false;
        for posted in events {
            let result = self.event(step, posted, decided)?;
            decided |= result.decision.as_ref().is_some_and(|decision| decision.not_done.is_none());
            results.push(result);
        }
        let (guidance, speak_by_ms) = self.guidance(step);
        Ok(Reply::Events(EventsReply { results, guidance, speak_by_ms }))
    }

    fn event(&mut self, step: &mut Step<'_>, posted: &Posted, decided: bool) -> Result<EventResult, Problem> {
        let kind = posted.event.type_name();
        let folded = self.facts.fold(step.now, posted).map_err(|error| event_problem(&error, None))?;
        if let policy::Event::Consent { granted } = &posted.event {
            self.consented(step, *granted, crate::ConsentBy::Event);
        }
        let mut result = EventResult {
            event: posted.id.clone().unwrap_or_else(|| kind.to_owned()),
            repeated: folded.repeat,
            kept: None,
            decision: None,
            explanation: None,
            notes: folded.warnings,
        };
        if folded.repeat {
            result.notes.push("an event of this id was taken before; nothing was counted".to_owned());
            return Ok(result);
        }
        step.story.events += 1;
        step.observe(Observation::Event { kind });
        step.publish(Happening::FactsChanged { event: kind.to_owned() });
        if self.has_copilot() && matches!(kind, "summary" | "transcript" | "custom") {
            let leg = self.human.and_then(|human| self.leg(human)).map(|leg| leg.record.name.clone());
            let event = serde_json::to_value(&posted.event).unwrap_or_default();
            step.publish(Happening::CopilotEvent { leg: leg.unwrap_or_default(), event });
        }
        result.kept = self.keep(step, &posted.event);
        if self.rings_person() {
            result.notes.push(format!("only folded: {UNANSWERED}"));
            return Ok(result);
        }
        if decided {
            result.notes.push("only folded: an earlier event of this request decided".to_owned());
            return Ok(result);
        }
        if kind == "ready" {
            self.with_transfer(step, |transfer, step| transfer.ai_ready(step));
        }
        let phase = self.phase();
        let asked = self.ask(step, kind, phase, true);
        result.decision = asked.decision;
        result.explanation = Some(asked.explanation);
        Ok(result)
    }

    fn guidance(&self, step: &Step<'_>) -> (Guidance, Option<u64>) {
        match (&self.stage, &self.transfer) {
            (Stage::WithAi | Stage::Connecting | Stage::Reconnecting { .. }, _) => (Guidance::Continue, None),
            (Stage::Transferring, Some(transfer)) if transfer.introducing().is_some() => (Guidance::Continue, None),
            (Stage::Transferring, Some(transfer)) => match transfer.speak_until() {
                Some(until) => {
                    let left = until.since(step.now.monotonic);
                    let by = step.now.unix_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
                    (Guidance::FinishSentence, Some(by))
                }
                None => (Guidance::Stop, None),
            },
            _ => (Guidance::Stop, None),
        }
    }
}

pub(super) fn event_problem(error: &policy::EventError, index: Option<usize>) -> Problem {
    let field = match (index.or(error.index), error.field.as_str()) {
        (Some(index), "") => format!("[{index}]"),
        (Some(index), field) => format!("[{index}].{field}"),
        (None, field) => field.to_owned(),
    };
    Problem::invalid(field, error.message.clone())
}
