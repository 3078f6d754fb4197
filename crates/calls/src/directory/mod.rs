//! Who of the agents can be given a caller, and who waits for one. One for all calls; nothing is rung here.
//!
//! An agent is held by the legs that ring or carry them, from before their INVITE leaves until the last of those legs is gone: no
//! two calls ring one agent, and whatever ends a leg frees its agent. Callers wait in one order, by priority and arrival, and each
//! freed agent goes to the first whom they can serve.

mod agent;
mod api;
mod callbacks;
mod dialog_info;
mod keeping;
mod pings;
mod waiting;
mod watches;

#[cfg(test)]
mod tests;

use crate::{CallbackId, Happening, Observation};
use agent::{Agent, Hold, HoldState};
pub(crate) use callbacks::{Bounds, Tried};
use clock::{Monotonic, Now, Timers};
use media_relay::CallKey;
use policy::{AgentState, Attributes, Cause, Skills};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc, time::Duration};
pub(crate) use waiting::Waiter;
pub use watches::DialogWatch;

/// An agent as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Where they are reached; none: at the phones that are registered under their name.
    pub dial: Option<Arc<str>>,
    /// What they can do, each from 1 to 10.
    pub skills: Skills,
    /// What else is known of them.
    pub attributes: Attributes,
    /// Calls at once.
    pub capacity: u32,
    /// After a call, before the next.
    pub wrap_up: Duration,
    /// After so many offers in a row that came to nothing they are taken out; zero: never.
    pub away_after: u32,
    /// After an offer that came to nothing, before the next.
    pub rest: Duration,
    /// Whether they are asked by OPTIONS if they are there; only who is dialled at a `sip:` address can be.
    pub ping: Option<crate::OptionsPing>,
    /// Whether their switchboard is asked to tell of their calls; only who is dialled at a `sip:` address can be watched so.
    pub dialogs: Option<DialogWatch>,
    /// Whether another system is asked how they stand, and what they are while it does not say.
    pub asked: Option<Unsaid>,
    /// Whether they are there from the start, or sign in by the API.
    pub signed_in: bool,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            dial: None,
            skills: Skills::new(),
            attributes: Attributes::new(),
            capacity: 1,
            wrap_up: Duration::ZERO,
            away_after: 3,
            rest: Duration::from_secs(5),
            ping: None,
            dialogs: None,
            asked: None,
            signed_in: true,
        }
    }
}

/// What an agent is of whom another system was asked and says nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unsaid {
    /// As if it were not asked.
    Free,
    /// Not there.
    Away,
}

/// How an agent stands in another system.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Nothing there keeps them.
    Free,
    /// They are at work there.
    Busy,
    /// They are not there.
    Away,
}

/// What an agent says of themselves.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Takes calls.
    Available,
    /// Takes none for a reason of their own.
    Busy,
    /// Finishes what belongs to the last call; over after their `wrap_up`, where that is not zero.
    WrapUp,
    /// Is not there.
    Away,
}

/// The directory's timers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// When an agent's wrap-up is over.
    WrapUp(usize),
    /// When an agent has rested after an offer that came to nothing.
    Rest(usize),
    /// When the promise of an agent is over.
    Promise(usize),
    /// When the preference of somebody who waits is relaxed.
    Relax(CallKey),
    /// When whoever has a callback has done nothing with it.
    Claim(CallbackId),
}

/// All agents, and everybody who waits for one.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    agents: Vec<Agent>,
    names: FxHashMap<Arc<str>, usize>,
    legs: FxHashMap<LegId, usize>,
    waiting: waiting::Waiting,
    pings: pings::Pings,
    watches: watches::Watches,
    callbacks: callbacks::Callbacks,
    keeping: keeping::Keeping,
    timers: Timers<Timer>,
    /// Somebody may be served who could not be before.
    dirty: bool,
    happenings: VecDeque<Happening>,
    observations: VecDeque<Observation>,
}

impl Directory {
    pub(crate) fn new(agents: &[(String, AgentConfig)], now: Monotonic) -> Self {
        let mut directory = Self::default();
        for (name, config) in agents {
            let name: Arc<str> = name.as_str().into();
            directory.names.insert(Arc::clone(&name), directory.agents.len());
            directory.pings.add(directory.agents.len(), config, now);
            directory.watches.add(directory.agents.len(), config, now);
            directory.agents.push(Agent::new(name, config.clone(), now));
        }
        directory
    }

    /// How many entries each table has.
    pub(crate) fn tables(&self) -> Vec<(&'static str, usize)> {
        let mut all = vec![
            ("calls.agent_legs", self.legs.len()),
            ("calls.agent_holds", self.agents.iter().map(|agent| agent.holds.len()).sum()),
            ("calls.directory_timers", self.timers.len()),
        ];
        all.extend(self.waiting.tables());
        all.extend(self.callbacks.tables());
        all.extend(self.keeping.tables());
        all
    }

    /// Where an agent is dialled, when it is not at the phones they registered. `None`: nobody of this name, or phones.
    pub(crate) fn address(&self, name: &str) -> Option<Arc<str>> {
        self.agent(name)?.config.dial.clone()
    }

    pub(crate) fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    // ---- offers

    /// Holds an agent for a leg that is about to ring them. A further leg of the same call rings another of their phones.
    pub(crate) fn reserve(&mut self, name: &str, leg: LegId, call: CallKey, now: Monotonic) -> Result<(), Cause> {
        let Some(at) = self.names.get(name).copied() else { return Ok(()) };
        let agent = &mut self.agents[at];
        if let Some(hold) = agent.holds.iter_mut().find(|it| it.call == call && it.state == HoldState::Offered) {
            hold.legs.push(leg);
            self.legs.insert(leg, at);
            return Ok(());
        }
        match agent.state_for(call, now) {
            AgentState::Available => {}
            AgentState::Busy | AgentState::Ringing => return Err(Cause::Busy),
            AgentState::Offline => return Err(Cause::Unreachable),
            AgentState::WrapUp | AgentState::Resting | AgentState::Away => return Err(Cause::NoAgent),
        }
        agent.promised = None;
        self.timers.cancel(Timer::Promise(at));
        self.hold(at, leg, call, HoldState::Offered, now);
        Ok(())
    }

    /// An agent calls somebody from a phone of their own.
    pub(crate) fn calls_out(&mut self, name: &str, leg: LegId, call: CallKey, now: Monotonic) {
        if let Some(at) = self.names.get(name).copied() {
            self.hold(at, leg, call, HoldState::Own, now);
        }
    }

    /// An agent is to watch over a call from a phone of their own, which keeps callers from them as a call of their own does. Not
    /// while they are rung or talk, to callers of ours or to others. A further leg of the same call rings another of their phones.
    pub(crate) fn supervises(&mut self, name: &str, leg: LegId, call: CallKey, now: Monotonic) -> Result<(), Cause> {
        let Some(at) = self.names.get(name).copied() else { return Ok(()) };
        let agent = &mut self.agents[at];
        if let Some(hold) = agent.holds.iter_mut().find(|it| it.call == call && it.state == HoldState::Own) {
            hold.legs.push(leg);
            self.legs.insert(leg, at);
            return Ok(());
        }
        if !agent.holds.is_empty() || agent.elsewhere > 0 {
            return Err(Cause::Busy);
        }
        self.hold(at, leg, call, HoldState::Own, now);
        Ok(())
    }

    fn hold(&mut self, at: usize, leg: LegId, call: CallKey, state: HoldState, now: Monotonic) {
        let legs = SmallVec::from_iter([leg]);
        self.agents[at].holds.push(Hold { legs, call, state, failed: None, from: None });
        self.legs.insert(leg, at);
        self.tell(at, now, "");
    }

    /// An agent's phone was answered.
    pub(crate) fn answered(&mut self, leg: LegId, now: Monotonic) {
        self.restate(leg, now, |hold, _| hold.state = HoldState::Answered);
    }

    /// The agent has the caller.
    pub(crate) fn taken(&mut self, leg: LegId, from: Option<&str>, now: Monotonic) {
        self.restate(leg, now, |hold, agent| {
            hold.state = HoldState::Taken;
            hold.from = from.map(Arc::from);
            agent.calls += 1;
            agent.unanswered = 0;
        });
    }

    fn restate(&mut self, leg: LegId, now: Monotonic, change: impl FnOnce(&mut Hold, &mut agent::Counters)) {
        let Some(at) = self.legs.get(&leg).copied() else { return };
        let agent = &mut self.agents[at];
        if let Some(hold) = agent.holds.iter_mut().find(|hold| hold.legs.contains(&leg)) {
            change(hold, &mut agent.counters);
            self.tell(at, now, "");
        }
    }

    /// An offer came to nothing; the agent is free when its legs are gone.
    pub(crate) fn failed(&mut self, leg: LegId, cause: Cause) {
        let Some(at) = self.legs.get(&leg).copied() else { return };
        if let Some(hold) = self.agents[at].holds.iter_mut().find(|hold| hold.legs.contains(&leg)) {
            hold.failed = Some(cause);
        }
    }

    /// An offer goes on by another leg.
    pub(crate) fn moved(&mut self, old: LegId, new: LegId) {
        let Some(at) = self.legs.get(&old).copied() else { return };
        if let Some(hold) = self.agents[at].holds.iter_mut().find(|hold| hold.legs.contains(&old)) {
            hold.legs.push(new);
            self.legs.insert(new, at);
        }
    }

    /// A leg has gone over to another call.
    pub(crate) fn rehome(&mut self, leg: LegId, call: CallKey) {
        let Some(at) = self.legs.get(&leg).copied() else { return };
        if let Some(hold) = self.agents[at].holds.iter_mut().find(|hold| hold.legs.contains(&leg)) {
            hold.call = call;
        }
    }

    /// A leg is gone, whoever's it was.
    pub(crate) fn release(&mut self, leg: LegId, now: Monotonic) {
        let Some(at) = self.legs.remove(&leg) else { return };
        let agent = &mut self.agents[at];
        let Some(held) = agent.holds.iter().position(|hold| hold.legs.contains(&leg)) else { return };
        agent.holds[held].legs.retain(|it| *it != leg);
        if !agent.holds[held].legs.is_empty() {
            return;
        }
        let hold = agent.holds.remove(held);
        let mut why = "";
        match hold.state {
            HoldState::Taken => {
                agent.idle_since = now;
                if let Some(from) = hold.from {
                    agent.remember(from);
                }
                let wraps = agent.presence == Presence::Available && !agent.config.wrap_up.is_zero();
                if wraps && agent.holds.is_empty() && agent.pending.is_none() {
                    agent.presence = Presence::WrapUp;
                    self.timers.set(Timer::WrapUp(at), now + agent.config.wrap_up);
                }
            }
            HoldState::Own => agent.idle_since = now,
            HoldState::Offered | HoldState::Answered => {
                if let Some(cause) = hold.failed {
                    agent.rests_until = Some(now + agent.config.rest);
                    self.timers.set(Timer::Rest(at), now + agent.config.rest);
                    if counts(cause) {
                        agent.counters.unanswered += 1;
                    }
                    let most = agent.config.away_after;
                    if most > 0 && agent.counters.unanswered >= most && agent.presence == Presence::Available {
                        agent.presence = Presence::Away;
                        agent.counters.unanswered = 0;
                        why = "unanswered";
                    }
                }
            }
        }
        if agent.holds.is_empty()
            && let Some(pending) = agent.pending.take()
        {
            self.set_presence(at, pending, now);
        }
        self.dirty = true;
        self.tell(at, now, why);
    }

    // ---- what agents say of themselves

    /// Whether phones are registered for an account.
    pub(crate) fn registered(&mut self, account: &str, online: bool, now: Monotonic) {
        let Some(at) = self.names.get(account).copied() else { return };
        self.is_online(at, online, if online { "registered" } else { "unregistered" }, now);
    }

    /// What another system says of an agent; nobody of this name is passed over.
    pub(crate) fn is_elsewhere(&mut self, name: &str, said: Option<Elsewhere>, now: Monotonic) {
        let Some(at) = self.names.get(name).copied() else { return };
        let agent = &mut self.agents[at];
        agent.asked = said;
        self.dirty = true;
        self.tell(at, now, "asked");
    }

    fn is_online(&mut self, at: usize, online: bool, reason: &'static str, now: Monotonic) {
        let agent = &mut self.agents[at];
        if agent.online != online {
            agent.online = online;
            if online {
                agent.idle_since = now;
            }
            self.dirty |= online;
            self.tell(at, now, reason);
        }
    }

    /// A change of presence; during a call it takes effect after it.
    pub(crate) fn present(&mut self, at: usize, presence: Presence, now: Monotonic) {
        if self.agents[at].holds.is_empty() {
            self.set_presence(at, presence, now);
        } else {
            self.agents[at].pending = Some(presence);
        }
        self.tell(at, now, "presence");
    }

    fn set_presence(&mut self, at: usize, presence: Presence, now: Monotonic) {
        let agent = &mut self.agents[at];
        if presence == Presence::Available && agent.presence != Presence::Available {
            agent.idle_since = now;
            agent.counters.unanswered = 0;
            agent.rests_until = None;
            self.dirty = true;
        }
        agent.presence = presence;
        self.timers.cancel(Timer::WrapUp(at));
        if presence == Presence::WrapUp && !agent.config.wrap_up.is_zero() {
            self.timers.set(Timer::WrapUp(at), now + agent.config.wrap_up);
        }
    }

    // ---- time

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        [self.timers.next_timeout(), self.next_ping(), self.watches.poll_timeout()].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, at: Now) {
        let now = at.monotonic;
        while let Some(timer) = self.timers.pop_expired(now) {
            self.dirty = true;
            match timer {
                Timer::WrapUp(at) => {
                    self.agents[at].presence = Presence::Available;
                    self.tell(at, now, "wrapped_up");
                }
                Timer::Rest(at) => {
                    self.agents[at].rests_until = None;
                    self.tell(at, now, "rested");
                }
                Timer::Promise(at) => {
                    self.agents[at].promised = None;
                    self.tell(at, now, "promise_over");
                }
                Timer::Relax(_) => {}
                Timer::Claim(id) => self.claim_lapsed(id, at),
            }
        }
    }

    // ---- what is told

    pub(crate) fn poll_happening(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    pub(crate) fn poll_observation(&mut self) -> Option<Observation> {
        self.observations.pop_front()
    }

    /// How many agents are in each state, in the order of [`AgentState::ALL`].
    pub(crate) fn by_state(&self, now: Monotonic) -> [usize; AgentState::ALL.len()] {
        let mut counts = [0; AgentState::ALL.len()];
        for agent in &self.agents {
            counts[agent.state(now) as usize] += 1;
        }
        counts
    }

    /// Tells a state that is another than the last one told.
    fn tell(&mut self, at: usize, now: Monotonic, reason: &'static str) {
        let agent = &mut self.agents[at];
        let state = agent.state(now);
        if state != agent.told {
            let was = std::mem::replace(&mut agent.told, state);
            let agent = agent.name.to_string();
            self.happenings.push_back(Happening::AgentState { agent, state, was, reason: reason.to_owned() });
        }
    }

    fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.get(*self.names.get(name)?)
    }
}

/// Whether an offer that ended so shows that nobody is there.
const fn counts(cause: Cause) -> bool {
    matches!(cause, Cause::NoAnswer | Cause::NotAccepted | Cause::Unreachable | Cause::Failed)
}
