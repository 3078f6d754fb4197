//! What the API asks of agents and queues.

use super::{Agent, Directory, Presence, Timer};
use crate::{AgentBody, AgentList, AgentSummary, Problem, QueueList, QueueSummary};
use clock::{Monotonic, Now};
use core::time::Duration;
use media_relay::CallKey;
use policy::AgentState;

/// Most calls an agent may be given at once.
const MOST_CAPACITY: u32 = 100;

impl Directory {
    pub(crate) fn list(&self, now: Monotonic) -> AgentList {
        AgentList { agents: self.agents.iter().map(|agent| summary(agent, now)).collect() }
    }

    pub(crate) fn one(&self, name: &str, now: Monotonic) -> Result<AgentSummary, Problem> {
        self.agent(name).map(|agent| summary(agent, now)).ok_or_else(Problem::unknown_agent)
    }

    /// Changes what is said of an agent: all of it, or nothing.
    pub(crate) fn change(&mut self, name: &str, body: &AgentBody, at_now: Now) -> Result<AgentSummary, Problem> {
        let now = at_now.monotonic;
        let at = self.names.get(name).copied().ok_or_else(Problem::unknown_agent)?;
        if let Some(skills) = &body.skills
            && let Some((skill, level)) = skills.iter().find(|(_, level)| !(1..=10).contains(*level))
        {
            return Err(Problem::invalid(format!("skills.{skill}"), format!("found {level}, expected 1 to 10")));
        }
        if body.skills.as_ref().is_some_and(|skills| skills.len() > 32) {
            return Err(Problem::invalid("skills", "at most 32 skills are kept"));
        }
        if let Some(capacity) = body.capacity.filter(|it| !(1..=MOST_CAPACITY).contains(it)) {
            return Err(Problem::invalid("capacity", format!("found {capacity}, expected 1 to {MOST_CAPACITY}")));
        }
        let agent = &mut self.agents[at];
        if let Some(skills) = &body.skills {
            agent.config.skills = skills.iter().map(|(name, level)| (name.as_str().into(), *level)).collect();
            agent.said.skills = true;
        }
        if let Some(capacity) = body.capacity {
            agent.config.capacity = capacity;
            agent.said.capacity = true;
        }
        self.dirty = true;
        if let Some(presence) = body.presence {
            agent.said.presence = Some(presence);
            self.present(at, presence, now);
        }
        if body.presence.is_some() || body.skills.is_some() || body.capacity.is_some() {
            self.agents[at].said.since = Some(at_now.into());
            self.keep_presence(at);
        }
        self.tell(at, now, "command");
        self.one(name, now)
    }

    /// Holds a free agent for a call that is about to be told so.
    pub(crate) fn promise(&mut self, name: &str, call: CallKey, lasting: Duration, now: Monotonic) -> bool {
        let Some(at) = self.names.get(name).copied() else { return false };
        if self.agents[at].state_for(call, now) != AgentState::Available {
            return false;
        }
        self.agents[at].promised = Some((call, now + lasting));
        self.timers.set(Timer::Promise(at), now + lasting);
        self.tell(at, now, "promised");
        true
    }

    /// A call is gone: it waits no longer, nothing of it holds an agent, and what was promised to it is free again.
    pub(crate) fn call_gone(&mut self, call: CallKey, now: Monotonic) {
        if self.agents.is_empty() {
            return;
        }
        self.leave(call, crate::QueueOutcome::Abandoned, now);
        let held = self.agents.iter().flat_map(|agent| &agent.holds).filter(|hold| hold.call == call);
        let legs: Vec<signaling::LegId> = held.flat_map(|hold| hold.legs.iter().copied()).collect();
        for leg in legs {
            self.release(leg, now);
        }
        for at in 0..self.agents.len() {
            if self.agents[at].promised.is_some_and(|(promised, _)| promised == call) {
                self.agents[at].promised = None;
                self.timers.cancel(Timer::Promise(at));
                self.dirty = true;
                self.tell(at, now, "call_ended");
            }
        }
    }

    pub(crate) fn queues<'a>(&self, names: impl Iterator<Item = &'a policy::Destination>, now: Monotonic) -> QueueList {
        let queue = |destination: &policy::Destination| {
            let policy::Place::Queue(queue) = &destination.place else { return None };
            let able = |state: fn(AgentState) -> bool| {
                let fits = |agent: &&Agent| queue.takes(&agent.view(0, agent.state(now), false)).is_ok();
                self.agents.iter().filter(fits).filter(|agent| state(agent.state(now))).count()
            };
            let seconds = |wait: Duration| wait.as_secs();
            Some(QueueSummary {
                name: destination.name.to_string(),
                waiting: self.length(&destination.name),
                longest_wait_s: self.longest_wait(&destination.name, now).map(seconds),
                expected_wait_s: self.expected_wait(&destination.name).map(seconds),
                agents_staffed: able(AgentState::is_staffed),
                agents_free: able(|state| state == AgentState::Available),
            })
        };
        QueueList { queues: names.filter_map(queue).collect() }
    }
}

fn summary(agent: &Agent, now: Monotonic) -> AgentSummary {
    let state = agent.state(now);
    AgentSummary {
        id: agent.name.to_string(),
        state,
        presence: agent.presence,
        after_call: agent.pending,
        skills: agent.config.skills.iter().map(|(name, level)| (name.to_string(), *level)).collect(),
        capacity: agent.config.capacity,
        calls_now: agent.holds.len(),
        calls_taken: agent.counters.calls,
        unanswered: agent.counters.unanswered,
        address: agent.config.dial.as_deref().map(str::to_owned),
        idle_s: (state == AgentState::Available).then(|| now.since(agent.idle_since).as_secs()),
    }
}

/// Presence in words.
impl Presence {
    /// The name in API and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::WrapUp => "wrap_up",
            Self::Away => "away",
        }
    }

    /// The presence of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Available, Self::Busy, Self::WrapUp, Self::Away].into_iter().find(|presence| presence.name() == name)
    }
}
