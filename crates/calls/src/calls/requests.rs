//! What the API asks of calls: to whom it goes, and what is answered here.

use super::Core;
use crate::{Availability, CallId, CallList, CallSummary, Output, Problem, Reply, Request, RequestId};
use clock::Now;
use policy::{CallStart, Facts};
use std::sync::Arc;

impl Core {
    pub(super) fn request(&mut self, now: Now, id: RequestId, request: Request) {
        let call = match &request {
            Request::Calls { sip_call_id, active } => {
                let list = self.list(sip_call_id.as_deref(), *active);
                return self.reply(id, Ok(Reply::Calls(list)));
            }
            Request::Place { body, idempotency_key, wait } => {
                return self.place(now, id, body, idempotency_key.as_deref(), *wait);
            }
            Request::Trunks => {
                let list = self.shared.trunks.list(&self.config, now.monotonic);
                return self.reply(id, Ok(Reply::Trunks(list)));
            }
            Request::Agents => {
                let list = self.shared.directory.list(now.monotonic);
                return self.reply(id, Ok(Reply::Agents(list)));
            }
            Request::Agent { agent } => {
                let reply = self.shared.directory.one(agent, now.monotonic);
                return self.reply(id, reply.map(Reply::Agent));
            }
            Request::ChangeAgent { agent, body } => {
                let reply = self.shared.directory.change(agent, body, now);
                return self.reply(id, reply.map(Reply::Agent));
            }
            Request::Queues => {
                let list = self.shared.directory.queues(self.rules.destinations(), now.monotonic);
                return self.reply(id, Ok(Reply::Queues(list)));
            }
            Request::Callbacks { state, list } => {
                let callbacks = self.shared.directory.list_callbacks(*state, list.as_deref()).cloned().collect();
                return self.reply(id, Ok(Reply::Callbacks(crate::CallbackList { callbacks })));
            }
            Request::Callback { callback, action } => {
                let reply = self.callback(now, *callback, action);
                return self.reply(id, reply.map(|it| Reply::Callback(Box::new(it))));
            }
            Request::Availability { destination, call, reserve } => {
                let reply = self.availability(now, destination, *call, *reserve);
                return self.reply(id, reply.map(|it| Reply::Availability(Box::new(it))));
            }
            Request::Evaluate(body) => {
                let reply = self.dry_run(now, body);
                return self.reply(id, reply);
            }
            Request::TransferStatus { transfer }
            | Request::CancelTransfer { transfer }
            | Request::AcceptTransfer { transfer, .. }
            | Request::DeclineTransfer { transfer, .. } => match self.shared.transfers.get(transfer) {
                Some(key) => *key,
                None => return self.reply(id, Err(Problem::unknown_transfer())),
            },
            Request::Events { call, .. }
            | Request::Transfer { call, .. }
            | Request::Hangup { call }
            | Request::Handback { call, .. }
            | Request::Context { call, .. }
            | Request::Dtmf { call, .. }
            | Request::Recording { call, .. }
            | Request::Supervise { call, .. }
            | Request::ChangeSupervisor { call, .. }
            | Request::EndSupervisor { call, .. }
            | Request::Call { call }
            | Request::NotBuilt { call, .. } => match self.ids.get(call) {
                Some(key) => *key,
                None => return self.reply_ended(id, *call, &request),
            },
        };
        self.step(now, call, |call, step| call.request(step, id, request));
    }

    pub(super) fn reply(&mut self, id: RequestId, reply: Result<Reply, Problem>) {
        self.out.push_back(Output::Reply { id, reply: Box::new(reply) });
    }

    /// To a request about a call that is not there: an ended call can still be read.
    fn reply_ended(&mut self, id: RequestId, call: CallId, request: &Request) {
        let ended = self.ended.iter().find(|(ended, _)| *ended == call);
        let reply = match (ended, request) {
            (None, _) => Err(Problem::unknown_call()),
            (Some((_, detail)), Request::Call { .. }) => Ok(Reply::Call(detail.clone())),
            (Some(_), _) => Err(Problem::ended_call()),
        };
        self.reply(id, reply);
    }

    fn list(&self, sip_call_id: Option<&str>, active: Option<bool>) -> CallList {
        let live = self.calls.values().map(|entry| entry.call.summary(&entry.story)).filter(|_| active != Some(false));
        let ended = self.ended.iter().map(|(_, detail)| detail.summary.clone()).filter(|_| active != Some(true));
        let wanted = |call: &CallSummary| sip_call_id.is_none_or(|id| call.sip_call_id == id);
        CallList { calls: live.chain(ended).filter(wanted).collect() }
    }

    /// Whether a destination could take a caller now: closed, nobody free, or who.
    fn availability(
        &mut self,
        now: Now,
        name: &str,
        call: Option<CallId>,
        reserve: Option<core::time::Duration>,
    ) -> Result<Availability, Problem> {
        let rules = Arc::clone(&self.rules);
        let destination = rules.destination(name).ok_or_else(Problem::unknown_destination)?;
        let key = call.map(|call| self.ids.get(&call).copied().ok_or_else(Problem::unknown_call)).transpose()?;
        if reserve.is_some() && key.is_none() {
            return Err(Problem::invalid("reserve", "an agent is promised to a call; `call` was expected too"));
        }
        let call = key.and_then(|key| self.calls.get(&key));
        let directory = &self.shared.directory;
        let candidates = match &destination.place {
            policy::Place::Queue(queue) => {
                let preferences = call.map(|entry| rules.preferences(name, entry.call.facts(), now));
                let from = call.and_then(|entry| entry.call.about.from.as_deref());
                directory.candidates(queue, &preferences.unwrap_or_default(), from, key, now.monotonic)
            }
            policy::Place::Dial(dial) => {
                let names: Vec<&str> =
                    dial.targets.iter().filter_map(|target| self.config.agents.account(target)).collect();
                directory.named(&names, key, now.monotonic)
            }
            _ => Vec::new(),
        };
        let free = candidates.iter().filter(|candidate| candidate.eligible).count();
        let open = rules.is_open(destination.hours.as_deref(), now);
        let is_queue = matches!(destination.place, policy::Place::Queue(_));
        let waiting = directory.length(name);
        let cause = match (open, is_queue || !candidates.is_empty()) {
            (false, _) => Some(policy::Cause::Closed),
            (true, true) if free <= waiting => Some(policy::Cause::NoAgent),
            _ => None,
        };
        let wait_s = match cause {
            None => Some(0),
            Some(policy::Cause::NoAgent) if is_queue => directory.expected_wait(name).map(|wait| wait.as_secs()),
            Some(_) => None,
        };
        let opens = if open { None } else { rules.next_opening(destination.hours.as_deref(), now) };
        let opens_at = opens.map(|at| crate::Time(u64::try_from(at.as_millis()).unwrap_or(u64::MAX)));
        let mut reserved = None;
        if let (None, Some(lasting), Some(key)) = (cause, reserve, key)
            && let Some(first) = candidates.iter().find(|candidate| candidate.eligible)
            && self.shared.directory.promise(&first.agent, key, lasting, now.monotonic)
        {
            reserved = Some(first.agent.to_string());
        }
        let (destination, available) = (name.to_owned(), cause.is_none());
        let free = (is_queue || !candidates.is_empty()).then_some(free);
        Ok(Availability { destination, available, cause, free, waiting, wait_s, opens_at, reserved, candidates })
    }

    fn dry_run(&self, now: Now, body: &crate::EvaluateBody) -> Result<Reply, Problem> {
        let facts = match body.call {
            Some(call) => {
                let key = self.ids.get(&call).ok_or_else(Problem::unknown_call)?;
                self.calls.get(key).map(|entry| entry.call.facts().clone()).ok_or_else(Problem::unknown_call)?
            }
            None => {
                let text = |text: &Option<String>| text.as_deref().map(Arc::from);
                let (caller, called) = (text(&body.caller), text(&body.called));
                let start = CallStart {
                    line: text(&body.line),
                    caller,
                    called,
                    trunk: None,
                    profile: None,
                    ..CallStart::default()
                };
                let mut facts = Facts::new(start, Arc::default(), now);
                facts.note(now, &policy::CallFact::StintStarted);
                facts
            }
        };
        crate::dry_run::run(&self.rules, facts, now, &body.events).map(Reply::Evaluation)
    }
}
