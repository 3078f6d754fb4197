//! What the API asks of calls: to whom it goes, and what is answered here.

use super::Core;
use crate::{CallId, CallList, CallSummary, Output, Problem, Reply, Request, RequestId};
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
            Request::Trunks => {
                let list = self.shared.trunks.list(&self.config);
                return self.reply(id, Ok(Reply::Trunks(list)));
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
            | Request::Call { call }
            | Request::NotBuilt { call, .. } => match self.ids.get(call) {
                Some(key) => *key,
                None => return self.reply_ended(id, *call, &request),
            },
        };
        self.step(now, call, |call, step| call.request(step, id, request));
    }

    fn reply(&mut self, id: RequestId, reply: Result<Reply, Problem>) {
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

    fn dry_run(&self, now: Now, body: &crate::EvaluateBody) -> Result<Reply, Problem> {
        let facts = match body.call {
            Some(call) => {
                let key = self.ids.get(&call).ok_or_else(Problem::unknown_call)?;
                self.calls.get(key).map(|entry| entry.call.facts().clone()).ok_or_else(Problem::unknown_call)?
            }
            None => {
                let text = |text: &Option<String>| text.as_deref().map(Arc::from);
                let (caller, called) = (text(&body.caller), text(&body.called));
                let start = CallStart { line: text(&body.line), caller, called, trunk: None, profile: None };
                let mut facts = Facts::new(start, Arc::default(), now);
                facts.note(now, &policy::CallFact::StintStarted);
                facts
            }
        };
        crate::dry_run::run(&self.rules, facts, now, &body.events).map(Reply::Evaluation)
    }
}
