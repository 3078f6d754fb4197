//! Who waits for an agent, in which order, and who is next.

use super::{Directory, Timer};
use crate::{Observation, QueueOutcome};
use clock::Monotonic;
use core::{cmp::Reverse, time::Duration};
use media_relay::CallKey;
use policy::{AgentState, Candidate, Cause, Pick, Preferences, Queue};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// The most candidates an explanation lists.
const MOST_CANDIDATES: usize = 50;
/// Callers whose wait is remembered for the estimate of the next ones'.
const RECENT: usize = 20;

/// A caller who wants an agent.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) call: CallKey,
    /// The destination's name.
    pub(crate) name: Arc<str>,
    pub(crate) queue: Box<Queue>,
    pub(crate) preferences: Preferences,
    pub(crate) priority: u32,
    /// The caller's number, for `sticky`.
    pub(crate) from: Option<Arc<str>>,
    pub(crate) entered: Monotonic,
}

/// An agent, or several at once, for the call that is next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) call: CallKey,
    pub(crate) agents: Vec<Arc<str>>,
}

/// By priority, then by arrival.
type Place = (Reverse<u32>, u64);

#[derive(Debug, Default)]
pub(crate) struct Waiting {
    order: BTreeMap<Place, Entry>,
    places: FxHashMap<CallKey, Place>,
    lengths: FxHashMap<Arc<str>, usize>,
    /// How long callers of a queue waited lately, in milliseconds.
    recent: FxHashMap<Arc<str>, VecDeque<u64>>,
    arrivals: u64,
}

impl Waiting {
    /// How many entries each table has.
    pub(super) fn tables(&self) -> [(&'static str, usize); 4] {
        [
            ("calls.waiting", self.order.len()),
            ("calls.places", self.places.len()),
            ("calls.queues", self.lengths.len()),
            ("calls.queue_history", self.recent.values().map(VecDeque::len).sum()),
        ]
    }
}

#[derive(Debug)]
struct Entry {
    waiter: Waiter,
    /// An agent is being asked.
    asking: bool,
}

impl Directory {
    /// A caller comes to wait. `Err`: the queue is full, or nobody who could ever take them is at work.
    pub(crate) fn enqueue(&mut self, waiter: Waiter, now: Monotonic) -> Result<(), Cause> {
        let length = self.waiting.lengths.get(&waiter.name).copied().unwrap_or(0);
        if length >= usize::try_from(waiter.queue.overflow_at).unwrap_or(usize::MAX) {
            return Err(Cause::NoAgent);
        }
        if !waiter.queue.wait_unstaffed && !self.is_staffed(&waiter.queue, now) {
            return Err(Cause::NoAgent);
        }
        self.leave(waiter.call, QueueOutcome::Cancelled, now);
        if !waiter.queue.relax_after.is_zero() && !waiter.preferences.is_empty() {
            self.timers.set(Timer::Relax(waiter.call), now + waiter.queue.relax_after);
        }
        let waiting = &mut self.waiting;
        waiting.arrivals += 1;
        let place = (Reverse(waiter.priority), waiting.arrivals);
        *waiting.lengths.entry(Arc::clone(&waiter.name)).or_default() += 1;
        waiting.places.insert(waiter.call, place);
        waiting.order.insert(place, Entry { waiter, asking: false });
        self.dirty = true;
        Ok(())
    }

    fn is_staffed(&self, queue: &Queue, now: Monotonic) -> bool {
        let fits = |agent: &super::Agent| {
            let view = agent.view(0, agent.state(now), false);
            view.state.is_staffed() && queue.takes(&view).is_ok()
        };
        self.agents.iter().any(fits)
    }

    /// The agent who was asked came to nothing: the caller waits on at their old place.
    pub(crate) fn waits_on(&mut self, call: CallKey) {
        let place = self.waiting.places.get(&call);
        if let Some(entry) = place.and_then(|place| self.waiting.order.get_mut(place)) {
            entry.asking = false;
            self.dirty = true;
        }
    }

    /// The caller waits no longer. How long they did; `None`: they did not wait.
    pub(crate) fn leave(&mut self, call: CallKey, outcome: QueueOutcome, now: Monotonic) -> Option<Duration> {
        let waiting = &mut self.waiting;
        let place = waiting.places.remove(&call)?;
        let entry = waiting.order.remove(&place)?;
        self.timers.cancel(Timer::Relax(call));
        let queue = entry.waiter.name;
        if let Some(length) = waiting.lengths.get_mut(&queue) {
            *length = length.saturating_sub(1);
        }
        let waited = now.since(entry.waiter.entered);
        if outcome == QueueOutcome::Connected {
            let recent = waiting.recent.entry(Arc::clone(&queue)).or_default();
            if recent.len() >= RECENT {
                recent.pop_front();
            }
            recent.push_back(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        }
        self.observations.push_back(Observation::QueueLeft { queue, outcome, waited });
        Some(waited)
    }

    /// The next caller who can be served, with their agents. The caller of this asks again until nothing comes.
    pub(crate) fn poll_grant(&mut self, now: Monotonic) -> Option<Grant> {
        if !core::mem::take(&mut self.dirty) || self.waiting.order.is_empty() {
            return None;
        }
        // Mostly nobody is free, or one is: those alone are looked at for each who waits.
        let free = |agent: &super::Agent| agent.state(now) == AgentState::Available || agent.promised.is_some();
        let agents: Vec<(usize, &super::Agent)> =
            self.agents.iter().enumerate().filter(|(_, agent)| free(agent)).collect();
        if agents.is_empty() {
            return None;
        }
        let grant = self.waiting.order.values_mut().filter(|entry| !entry.asking).find_map(|entry| {
            let waiter = &entry.waiter;
            let from = waiter.from.as_deref();
            let views = agents.iter().map(|(place, agent)| {
                agent.view(*place, agent.state_for(waiter.call, now), waiter.queue.sticky && agent.had(from))
            });
            let mut chosen = waiter.queue.rank(&waiter.preferences, now.since(waiter.entered), views);
            if waiter.queue.pick != Pick::Simultaneous {
                chosen.truncate(1);
            }
            if chosen.is_empty() {
                return None;
            }
            entry.asking = true;
            Some(Grant { call: waiter.call, agents: chosen })
        });
        // Another may be served too.
        self.dirty = grant.is_some();
        grant
    }

    /// The caller's place among those of their queue, from 1.
    pub(crate) fn position(&self, call: CallKey) -> Option<usize> {
        let place = self.waiting.places.get(&call)?;
        let name = &self.waiting.order.get(place)?.waiter.name;
        let before = self.waiting.order.range(..place).filter(|(_, entry)| entry.waiter.name == *name);
        Some(before.count() + 1)
    }

    /// How many wait in each queue.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.waiting.lengths.iter().map(|(name, length)| (&**name, *length))
    }

    /// How many wait in a queue.
    pub(crate) fn length(&self, name: &str) -> usize {
        self.waiting.lengths.get(name).copied().unwrap_or(0)
    }

    /// Since when the first of a queue waits.
    pub(crate) fn longest_wait(&self, name: &str, now: Monotonic) -> Option<Duration> {
        let of = self.waiting.order.values().filter(|entry| *entry.waiter.name == *name);
        of.map(|entry| now.since(entry.waiter.entered)).max()
    }

    /// How long who comes now may have to wait: what those of lately waited, on average.
    pub(crate) fn expected_wait(&self, name: &str) -> Option<Duration> {
        let recent = self.waiting.recent.get(name).filter(|recent| !recent.is_empty())?;
        Some(Duration::from_millis(recent.iter().sum::<u64>() / recent.len() as u64))
    }

    /// Each agent, and why they are passed over, for an explanation.
    pub(crate) fn candidates(
        &self,
        queue: &Queue,
        preferences: &Preferences,
        from: Option<&str>,
        call: Option<CallKey>,
        now: Monotonic,
    ) -> Vec<Candidate> {
        let state = |agent: &super::Agent| call.map_or(agent.state(now), |call| agent.state_for(call, now));
        let views = self.agents.iter().enumerate();
        let views = views.map(|(place, agent)| agent.view(place, state(agent), queue.sticky && agent.had(from)));
        let mut candidates = queue.explain(preferences, Duration::ZERO, views);
        candidates.truncate(MOST_CANDIDATES);
        candidates
    }

    /// The same of agents who are named.
    pub(crate) fn named(&self, names: &[&str], call: Option<CallKey>, now: Monotonic) -> Vec<Candidate> {
        let candidate = |name: &&str| {
            let agent = self.agent(name)?;
            let state = call.map_or(agent.state(now), |call| agent.state_for(call, now));
            let eligible = state == AgentState::Available;
            let because = if eligible { "is free".to_owned() } else { format!("is {state}") };
            Some(Candidate { agent: Arc::clone(&agent.name), state, eligible, because })
        };
        names.iter().filter_map(candidate).take(MOST_CANDIDATES).collect()
    }
}
