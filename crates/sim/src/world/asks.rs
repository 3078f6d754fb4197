//! What is asked of the daemon through its control API.

use super::World;
use crate::{
    premises::CAMPAIGN,
    scenario::{Ask, Back},
};
use calls::{
    AgentBody, CallbackAction, CallbackId, ClaimBody, DialBody, DoneBody, Happening, PlaceBody, Request, SuperviseBody,
    TransferBody,
};
use std::time::Duration;

/// How long whoever asks waits for the outcome.
const WAIT: Duration = Duration::from_secs(20);

impl World {
    pub(super) fn ask(&mut self, at: usize, ask: Ask) {
        let Some(request) = self.request(at, ask) else { return };
        if let Request::Hangup { call } = &request {
            self.hung_up.insert(*call);
        }
        self.house.ask(self.now, request);
        self.drain_house();
    }

    /// Somebody is to be called: for the first time, or asked for again by whoever heard no answer.
    pub(super) fn ask_for_call(&mut self, errand: usize) {
        let Some(errand) = self.scenario.errands.get(errand) else { return };
        let body = PlaceBody {
            connect: errand.connect.map(str::to_owned),
            predial: errand.predial,
            campaign: errand.campaign.then(|| CAMPAIGN.to_owned()),
            ring_timeout: Some(errand.ring_timeout),
            ..PlaceBody::to(format!("tel:{}", errand.number))
        };
        let idempotency_key = Some(errand.number.to_owned());
        let wait = self.scenario.waits.then_some(WAIT);
        self.house.ask(self.now, Request::Place { body: Box::new(body), idempotency_key, wait });
        self.drain_house();
    }

    fn request(&self, at: usize, ask: Ask) -> Option<Request> {
        let call = self.calls[at].id?;
        let latest = || self.house.published.iter().rev().filter(move |(_, event)| event.call == Some(call));
        let transfer = || {
            latest().find_map(|(_, event)| match &event.what {
                Happening::TransferStarted { transfer, .. } => Some(*transfer),
                _ => None,
            })
        };
        let wait = self.scenario.waits.then_some(WAIT);
        let transferred = |body| Request::Transfer { call, body: Box::new(body), idempotency_key: None, wait };
        Some(match ask {
            Ask::Transfer { to, cold } => {
                let mode = Some(if cold { policy::Mode::Cold } else { policy::Mode::Warm });
                transferred(TransferBody { mode, ..TransferBody::to(to) })
            }
            Ask::To(to) => transferred(TransferBody::to(to)),
            Ask::CancelTransfer => Request::CancelTransfer { transfer: transfer()? },
            Ask::Accept => Request::AcceptTransfer { transfer: transfer()?, attempt: None },
            Ask::Decline => Request::DeclineTransfer { transfer: transfer()?, attempt: None },
            Ask::Miss => {
                let events = policy::Posted::list_from_json(&serde_json::json!({"type": "no_match"})).ok()?;
                Request::Events { call, events }
            }
            Ask::Post(text) => {
                let event = serde_json::from_str(text).expect("an event of the scenario is JSON");
                let events = policy::Posted::list_from_json(&event).expect("an event of the scenario is one");
                Request::Events { call, events }
            }
            Ask::Handback => Request::Handback { call, body: calls::HandbackBody::default() },
            Ask::HangUp => Request::Hangup { call },
            Ask::Context => {
                let context = (0..20).map(|n| (format!("key_{n}"), serde_json::json!("ä".repeat(40)))).collect();
                Request::Context { call, context }
            }
            Ask::Supervise { to, mode } => {
                let ring_timeout = Some(Duration::from_secs(9));
                Request::Supervise { call, body: SuperviseBody { to: to.to_owned(), mode, ring_timeout } }
            }
            Ask::Mode(mode) => Request::ChangeSupervisor { call, supervisor: self.supervisor(at)?, mode },
            Ask::EndSupervisor => Request::EndSupervisor { call, supervisor: self.supervisor(at)? },
            Ask::Recording(action) => Request::Recording { call, action },
            Ask::Callback(back) => Request::Callback { callback: self.callback(at)?, action: action(back) },
            Ask::Presence(agent, presence) => {
                let body = AgentBody { presence: Some(presence), ..AgentBody::default() };
                Request::ChangeAgent { agent: agent.to_owned(), body }
            }
        })
    }

    /// Whom the latest event of the call about a supervisor names.
    fn supervisor(&self, at: usize) -> Option<String> {
        let call = self.calls[at].id;
        self.house.published.iter().rev().filter(|(_, event)| event.call == call).find_map(|(_, event)| {
            match &event.what {
                Happening::SupervisorJoined { supervisor, .. } | Happening::SupervisorChanged { supervisor, .. } => {
                    Some(supervisor.clone())
                }
                _ => None,
            }
        })
    }

    /// What the call asked for, or this world did last.
    fn callback(&self, at: usize) -> Option<CallbackId> {
        let call = self.calls[at].id;
        let asked = |mine: bool| {
            self.house.published.iter().rev().find_map(|(_, event)| match &event.what {
                Happening::CallbackRequested { callback, .. } if !mine || event.call == call => Some(*callback),
                _ => None,
            })
        };
        asked(true).or_else(|| asked(false))
    }
}

fn action(back: Back) -> CallbackAction {
    match back {
        Back::Claim(agent) => CallbackAction::Claim(ClaimBody { agent: agent.to_owned() }),
        Back::Release => CallbackAction::Release,
        Back::Dial(agent) => CallbackAction::Dial(DialBody { agent: Some(agent.to_owned()) }),
        Back::DialOwn => CallbackAction::Dial(DialBody { agent: None }),
        Back::Done => CallbackAction::Done(DoneBody { outcome: None }),
    }
}
