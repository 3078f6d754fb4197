//! One agent: what they say of themselves, and the calls that hold them.

use super::{AgentConfig, Elsewhere, Presence, Unsaid};
use crate::Time;
use clock::Monotonic;
use core::ops::{Deref, DerefMut};
use media_relay::CallKey;
use policy::{AgentState, AgentView, Cause};
use signaling::LegId;
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc};

/// Callers whom an agent is remembered by, for `sticky`; the oldest is forgotten.
const MOST_REMEMBERED: usize = 64;

/// An agent.
///
/// ```text
///                    ┌─────────── rest ───────────┐
///                    v                            │ busy, declined, no answer …
///  away <─> available ──reserved──> ringing ──────┴─ answered ──> busy ──last leg gone──> wrap-up ──> available
///    ^  (API)        ^─────────── given up without failure ──────┘                       (or what was asked meanwhile)
///    └── after `away_after` offers in a row that came to nothing
/// ```
#[derive(Debug)]
pub(crate) struct Agent {
    pub(super) name: Arc<str>,
    pub(super) config: AgentConfig,
    pub(super) presence: Presence,
    /// What was said of them by command, beside their skills and capacity: it outlives the daemon.
    pub(super) said: Said,
    /// What they asked for during a call.
    pub(super) pending: Option<Presence>,
    /// A phone is registered, or none is needed.
    pub(super) online: bool,
    /// Calls that their switchboard knows of; ours are among them.
    pub(super) elsewhere: usize,
    /// What another system says of them.
    pub(super) asked: Option<Elsewhere>,
    pub(super) holds: SmallVec<[Hold; 2]>,
    pub(super) idle_since: Monotonic,
    pub(super) rests_until: Option<Monotonic>,
    /// Held for a call that was told they are free, until then.
    pub(super) promised: Option<(CallKey, Monotonic)>,
    pub(super) counters: Counters,
    /// The state that was told last.
    pub(super) told: AgentState,
    remembered: VecDeque<Arc<str>>,
}

/// What was said of an agent by command.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Said {
    pub(super) presence: Option<Presence>,
    /// Their skills are not those of the configuration.
    pub(super) skills: bool,
    pub(super) capacity: bool,
    /// When the last of it was said.
    pub(super) since: Option<Time>,
}

/// What is counted of an agent.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Calls taken.
    pub(super) calls: u64,
    /// Offers in a row that came to nothing.
    pub(super) unanswered: u32,
}

/// A call that holds an agent.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Their phones that ring, or the one that is answered, and those that are on their way out.
    pub(super) legs: SmallVec<[LegId; 2]>,
    pub(super) call: CallKey,
    pub(super) state: HoldState,
    pub(super) failed: Option<Cause>,
    /// Whose call it is.
    pub(super) from: Option<Arc<str>>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum HoldState {
    /// Being dialled, or ringing.
    Offered,
    /// Answered; told, or asked whether they take the call.
    Answered,
    /// They have the caller.
    Taken,
    /// Their own call.
    Own,
}

impl Deref for Agent {
    type Target = Counters;
    fn deref(&self) -> &Counters {
        &self.counters
    }
}

impl DerefMut for Agent {
    fn deref_mut(&mut self) -> &mut Counters {
        &mut self.counters
    }
}

impl Agent {
    pub(super) fn new(name: Arc<str>, config: AgentConfig, now: Monotonic) -> Self {
        let presence = if config.signed_in { Presence::Available } else { Presence::Away };
        let online = config.dial.is_some();
        let elsewhere =
            if config.dialogs.as_ref().is_some_and(|watch| watch.busy_unless_told) { usize::MAX } else { 0 };
        let mut agent = Self {
            name,
            config,
            presence,
            said: Said::default(),
            pending: None,
            online,
            elsewhere,
            asked: None,
            holds: SmallVec::new(),
            idle_since: now,
            rests_until: None,
            promised: None,
            counters: Counters::default(),
            told: AgentState::Offline,
            remembered: VecDeque::new(),
        };
        agent.told = agent.state(now);
        agent
    }

    /// How they stand toward everybody.
    pub(super) fn state(&self, now: Monotonic) -> AgentState {
        let rings = |hold: &Hold| hold.state == HoldState::Offered;
        let most = usize::try_from(self.config.capacity).unwrap_or(usize::MAX);
        let full = self.holds.len().max(self.elsewhere) >= most;
        if self.holds.iter().any(rings) {
            AgentState::Ringing
        } else if full {
            AgentState::Busy
        } else if !self.online {
            AgentState::Offline
        } else if let Some(state) = self.kept_elsewhere() {
            state
        } else {
            match self.presence {
                Presence::Away => AgentState::Away,
                Presence::WrapUp => AgentState::WrapUp,
                Presence::Busy => AgentState::Busy,
                // Whoever asked for something else during a call gets no other one.
                Presence::Available if self.pending.is_some() => AgentState::Busy,
                Presence::Available if self.rests_until.is_some_and(|until| until > now) => AgentState::Resting,
                Presence::Available if self.promised.is_some() => AgentState::Ringing,
                Presence::Available => AgentState::Available,
            }
        }
    }

    /// How another system keeps them, where it does.
    fn kept_elsewhere(&self) -> Option<AgentState> {
        match (self.asked, self.config.asked?) {
            (Some(Elsewhere::Busy), _) => Some(AgentState::Busy),
            (Some(Elsewhere::Away), _) | (None, Unsaid::Away) => Some(AgentState::Away),
            (Some(Elsewhere::Free), _) | (None, Unsaid::Free) => None,
        }
    }

    /// How they stand toward a call: what was promised to it is free for it.
    pub(super) fn state_for(&self, call: CallKey, now: Monotonic) -> AgentState {
        match (self.state(now), self.promised) {
            (AgentState::Ringing, Some((promised, _))) if promised == call && self.holds.is_empty() => {
                AgentState::Available
            }
            (state, _) => state,
        }
    }

    pub(super) fn remember(&mut self, caller: Arc<str>) {
        self.remembered.retain(|known| *known != caller);
        if self.remembered.len() >= MOST_REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(caller);
    }

    pub(super) fn had(&self, caller: Option<&str>) -> bool {
        caller.is_some_and(|caller| self.remembered.iter().any(|known| **known == *caller))
    }

    pub(super) fn view(&self, place: usize, state: AgentState, had_caller: bool) -> AgentView<'_> {
        AgentView {
            name: &self.name,
            skills: &self.config.skills,
            attributes: &self.config.attributes,
            state,
            idle_since: self.idle_since,
            calls: self.counters.calls,
            had_caller,
            place,
        }
    }
}
