//! What the API asks of a call.

use super::{Call, Stage};
use crate::{
    ContextBody, ContextReply, DoneReply, EndCause, HandbackBody, Happening, Problem, Reply, Request, RequestId,
    Source, TransferBody, TransferId, TransferRecord,
    call::{
        decide::{UNANSWERED, event_problem},
        handoff::NotNow,
    },
    dial,
    step::{Step, Timer},
};
use core::time::Duration;
use media_relay::Command;
use policy::To;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Digits of one request.
const MOST_DIGITS: usize = 32;

impl Call {
    /// Answers a request, now or when the outcome it waits for is there.
    pub(crate) fn request(&mut self, step: &mut Step<'_>, id: RequestId, request: Request) {
        let over = self.stage == Stage::Ending;
        let reply = match request {
            Request::Call { .. } => Some(Ok(Reply::Call(Box::new(self.detail(step))))),
            Request::TransferStatus { transfer } => Some(self.transfer_reply(step, transfer)),
            _ if over => Some(Err(Problem::ended_call())),
            Request::Events { events, .. } => Some(self.events(step, &events)),
            Request::Transfer { body, idempotency_key, wait, .. } => {
                self.transfer_request(step, id, &body, idempotency_key, wait)
            }
            Request::CancelTransfer { transfer } => Some(self.cancel_request(step, transfer)),
            Request::AcceptTransfer { transfer, attempt } => Some(self.screen(step, transfer, attempt, true)),
            Request::DeclineTransfer { transfer, attempt } => Some(self.screen(step, transfer, attempt, false)),
            Request::Hangup { .. } => {
                self.end(step, EndCause::Command, "command", Some(480));
                Some(done())
            }
            Request::Handback { body, .. } => Some(self.hand_back(step, body)),
            Request::Context { context, .. } => Some(self.merge_context(step, context)),
            Request::Dtmf { leg, digits, .. } => Some(self.send_digits(step, leg.as_deref(), &digits)),
            Request::Recording { action, .. } => Some(self.recording_request(step, action)),
            Request::Supervise { body, .. } => Some(self.supervise(step, &body)),
            Request::ChangeSupervisor { supervisor, mode, .. } => Some(self.change_supervisor(step, &supervisor, mode)),
            Request::EndSupervisor { supervisor, .. } => Some(self.end_supervisor(step, &supervisor)),
            Request::NotBuilt { what, .. } => Some(Err(Problem::not_built(&what))),
            Request::Calls { .. }
            | Request::Trunks
            | Request::Place { .. }
            | Request::Evaluate(_)
            | Request::Agents
            | Request::Agent { .. }
            | Request::ChangeAgent { .. }
            | Request::Queues
            | Request::Callbacks { .. }
            | Request::Callback { .. }
            | Request::Availability { .. } => None,
        };
        if let Some(reply) = reply {
            step.reply(id, reply);
        }
        self.settle(step);
    }

    fn transfer_request(
        &mut self,
        step: &mut Step<'_>,
        id: RequestId,
        body: &TransferBody,
        key: Option<String>,
        wait: Option<Duration>,
    ) -> Option<Result<Reply, Problem>> {
        let transfer = match self.start_by_command(step, body, key) {
            Ok(transfer) => transfer,
            Err(problem) => return Some(Err(problem)),
        };
        let Some(wait) = wait.filter(|wait| !wait.is_zero()) else { return Some(self.transfer_reply(step, transfer)) };
        if step.story.transfer(transfer).is_some() {
            return Some(self.transfer_reply(step, transfer));
        }
        if self.waiters.len() >= step.config.limits.waiters {
            return Some(Err(Problem::limit("too many requests wait for this call's transfers")));
        }
        step.arm(Timer::Wait(id), wait.min(step.config.limits.wait));
        self.waiters.push((id, transfer));
        None
    }

    fn start_by_command(
        &mut self,
        step: &mut Step<'_>,
        body: &TransferBody,
        key: Option<String>,
    ) -> Result<TransferId, Problem> {
        if let Some((_, before, transfer)) = self.keys.iter().find(|(known, ..)| Some(known) == key.as_ref()) {
            if before != body {
                let detail = "this key was used for another transfer request of this call";
                return Err(Problem::invalid("Idempotency-Key", detail));
            }
            return Ok(*transfer);
        }
        if let Some(active) = &self.transfer {
            return Err(Problem::transfer_active(active.id()));
        }
        if self.rings_person() {
            return Err(Problem::conflict(UNANSWERED));
        }
        if self.commands >= step.config.limits.transfers_per_call {
            return Err(Problem::limit("this call has used up its transfers by command"));
        }
        let to = To::parse(&body.to);
        if let To::Uri(uri) = &to
            && let Some(fault) = dial::fault(uri)
        {
            return Err(Problem::invalid("to", fault));
        }
        if body.to == "ai" && self.stage == Stage::WithAi {
            return Err(Problem::conflict("the AI has the caller already"));
        }
        let options = body.options()?;
        let mut spec = step.rules.transfer(&to, &options).map_err(|error| Problem::invalid("to", error.to_string()))?;
        if let To::Uri(uri) = &to {
            self.check_reach(step, uri)?;
        }
        super::named::check(body, &spec, step.rules, &step.config.media)?;
        if let Some(ContextBody::Values(values)) = &body.context {
            self.merge_context(step, values.clone())?;
            spec.context = None;
        }
        let transfer = self.begin_transfer(step, Source::Command, spec).map_err(|not_now| match not_now {
            NotNow::Active(active) => Problem::transfer_active(active),
            NotNow::Ending => Problem::conflict("the call is ending"),
            NotNow::Unanswered => Problem::conflict(UNANSWERED),
        })?;
        self.commands += 1;
        if let Some(key) = key {
            if self.keys.len() >= step.config.limits.idempotency_keys {
                self.keys.pop_front();
            }
            self.keys.push_back((key, body.clone(), transfer));
        }
        Ok(transfer)
    }

    /// A number that no trunk may reach, or an agent without a phone, is refused at once, not rung into a failure.
    fn check_reach(&self, step: &Step<'_>, uri: &str) -> Result<(), Problem> {
        self.reaches(step, uri).map_err(|why| Problem::invalid("to", why))
    }

    /// Whether a URI that somebody names can be dialled: by the phones that are registered for it, or by itself.
    pub(super) fn reaches(&self, step: &Step<'_>, uri: &str) -> Result<(), &'static str> {
        if Self::has_phone(step, uri) {
            return Ok(());
        }
        dial::human(step.config, uri, None, &self.about.trunk, false).map(|_| ())
    }

    /// Whether a URI names an account of ours that is registered.
    pub(super) fn has_phone(step: &Step<'_>, uri: &str) -> bool {
        step.config.agents.phones(&step.shared.registered, uri).iter().any(Option::is_some)
    }

    fn transfer_reply(&self, step: &Step<'_>, id: TransferId) -> Result<Reply, Problem> {
        let active = self.transfer.as_ref().filter(|transfer| transfer.id() == id).map(|transfer| &transfer.record);
        let record = active.or_else(|| step.story.transfer(id)).ok_or_else(Problem::unknown_transfer)?;
        Ok(Reply::Transfer(record.clone().into()))
    }

    fn cancel_request(&mut self, step: &mut Step<'_>, id: TransferId) -> Result<Reply, Problem> {
        self.active(step, id)?;
        self.cancel_transfer(step);
        self.transfer_reply(step, id)
    }

    fn screen(
        &mut self,
        step: &mut Step<'_>,
        id: TransferId,
        attempt: Option<u32>,
        yes: bool,
    ) -> Result<Reply, Problem> {
        self.active(step, id)?;
        let Some(transfer) = &mut self.transfer else { return Err(Problem::unknown_transfer()) };
        let acts = if yes { transfer.accept(step, attempt) } else { transfer.decline(step, attempt) };
        let acts = acts.ok_or_else(|| {
            Problem::conflict(if yes {
                "nobody has answered who could accept"
            } else {
                "nobody is rung who could decline"
            })
        })?;
        self.carry_out(step, acts);
        self.transfer_reply(step, id)
    }

    fn active(&self, step: &Step<'_>, id: TransferId) -> Result<(), Problem> {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.id() == id) {
            return Ok(());
        }
        let record = step.story.transfer(id).ok_or_else(Problem::unknown_transfer)?;
        let state = serde_json::to_value(record.state).unwrap_or_default();
        let mut problem = Problem::conflict(format!("{id} is over: {}", state.as_str().unwrap_or_default()));
        problem.transfer = Some(Box::new(id));
        Err(problem)
    }

    pub(super) fn hand_back(&mut self, step: &mut Step<'_>, body: HandbackBody) -> Result<Reply, Problem> {
        let Some(human) = self.human else { return Err(Problem::conflict("no human has the caller")) };
        if self.goes_straight() && body.to_ai.is_none() {
            return Err(Problem::conflict("this call went straight to its trunk: name the AI profile in `to_ai`"));
        }
        if let Some(profile) = &body.to_ai
            && !step.config.ai.contains_key(profile)
        {
            return Err(Problem::invalid("to_ai", "there is no such AI profile"));
        }
        self.human = None;
        self.handed_back(step, "handback", body);
        self.drop_leg(step, human);
        done()
    }

    fn merge_context(&mut self, step: &mut Step<'_>, values: BTreeMap<String, Value>) -> Result<Reply, Problem> {
        check_context(&step.config.limits, &values)?;
        let values: Map<String, Value> = values.into_iter().collect();
        self.facts.merge_context(step.now, &values).map_err(|error| event_problem(&error, None))?;
        step.publish(Happening::FactsChanged { event: "context".to_owned() });
        self.run_rules(step, "context");
        Ok(Reply::Context(ContextReply { context: self.facts.context().clone() }))
    }

    fn send_digits(&mut self, step: &mut Step<'_>, leg: Option<&str>, digits: &str) -> Result<Reply, Problem> {
        let fine = |digit: char| digit.is_ascii_digit() || matches!(digit, '*' | '#' | 'A'..='D');
        if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.chars().all(fine) {
            return Err(Problem::invalid("digits", format!("from 1 to {MOST_DIGITS} of 0-9, *, #, A-D were expected")));
        }
        let leg = leg.unwrap_or("caller");
        let found = self.legs.iter().find(|it| it.record.name == leg && it.is_up());
        let port = found.and_then(|it| it.port).ok_or_else(|| {
            Problem::invalid("leg", "there is no such leg that is answered; GET the call to see its legs")
        })?;
        step.media(Command::SendDtmf { port, digits: digits.into() });
        done()
    }

    // ---- waiting for an outcome

    pub(super) fn answer_waiters(&mut self, step: &mut Step<'_>, id: TransferId, record: &TransferRecord) {
        let waiting: Vec<_> = self.waiters.extract_if(.., |(_, transfer)| *transfer == id).collect();
        for (request, _) in waiting {
            step.disarm(Timer::Wait(request));
            step.reply(request, Ok(Reply::Transfer(record.clone().into())));
        }
    }

    pub(super) fn wait_over(&mut self, step: &mut Step<'_>, id: RequestId) {
        let Some(at) = self.waiters.iter().position(|(request, _)| *request == id) else { return };
        let (_, transfer) = self.waiters.remove(at);
        let reply = self.transfer_reply(step, transfer);
        step.reply(id, reply);
    }
}

/// Whether a request's context is within its bounds.
pub(crate) fn check_context(limits: &crate::Limits, values: &BTreeMap<String, Value>) -> Result<(), Problem> {
    let (keys, largest) = (limits.context_keys, limits.context_value);
    if values.len() > keys {
        return Err(Problem::invalid("context", format!("at most {keys} keys are kept")));
    }
    for (key, value) in values {
        if key.is_empty() || key.len() > policy::LONGEST_NAME {
            let detail = format!("a key has from 1 to {} bytes", policy::LONGEST_NAME);
            return Err(Problem::invalid("context", detail));
        }
        if serde_json::to_string(value).map_or(0, |text| text.len()) > largest {
            return Err(Problem::invalid(format!("context.{key}"), format!("at most {largest} bytes are kept")));
        }
    }
    Ok(())
}

fn done() -> Result<Reply, Problem> {
    Ok(Reply::Done(DoneReply { done: true }))
}
