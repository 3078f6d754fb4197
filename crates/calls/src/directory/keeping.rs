//! What of the directory outlives the daemon: asked to be stored, asked again when it was lost, and taken up after a start.

use super::Directory;
use crate::{AgentPresence, Callback, CallbackId, Message, Restored, StoreId, Stored};
use clock::Now;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Orders whose outcome is awaited; beyond them the oldest is forgotten, and would not be asked for again.
const MOST_AWAITED: usize = 100_000;

/// What is asked to be stored, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    wanted: VecDeque<(Subject, Stored)>,
    /// Of what an order was whose outcome is awaited.
    awaited: BTreeMap<StoreId, Subject>,
    /// What was lost: asked for again once there is a ledger.
    lost: BTreeSet<Subject>,
}

/// Of what it is: its latest state is what counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Agent(usize),
    Callback(CallbackId),
    /// Nothing is known of it here any more.
    Message,
}

impl Keeping {
    /// How many entries each table has.
    pub(super) fn tables(&self) -> [(&'static str, usize); 3] {
        [
            ("calls.to_be_kept", self.wanted.len()),
            ("calls.being_kept", self.awaited.len()),
            ("calls.not_kept", self.lost.len()),
        ]
    }
}

impl Directory {
    /// A message is to be kept.
    pub(crate) fn keep_message(&mut self, message: Message) {
        self.keeping.wanted.push_back((Subject::Message, Stored::Message(message)));
    }

    pub(super) fn keep_callback(&mut self, callback: &Callback) {
        self.keeping.wanted.push_back((Subject::Callback(callback.id), Stored::Callback(callback.clone())));
    }

    pub(super) fn keep_presence(&mut self, at: usize) {
        let agent = &self.agents[at];
        let said = agent.said;
        let Some(since) = said.since else { return };
        let skills = agent.config.skills.iter().map(|(skill, level)| (skill.to_string(), *level)).collect();
        let presence = AgentPresence {
            agent: agent.name.to_string(),
            presence: said.presence,
            skills: said.skills.then_some(skills),
            capacity: said.capacity.then_some(agent.config.capacity),
            since,
        };
        self.keeping.wanted.push_back((Subject::Agent(at), Stored::Presence(presence)));
    }

    /// The next thing to be stored.
    pub(crate) fn poll_store(&mut self, id: impl FnOnce() -> StoreId) -> Option<(StoreId, Stored)> {
        let (subject, stored) = self.keeping.wanted.pop_front()?;
        let id = id();
        self.keeping.awaited.insert(id, subject);
        if self.keeping.awaited.len() > MOST_AWAITED {
            self.keeping.awaited.pop_first();
        }
        Some((id, stored))
    }

    /// It is kept, or lost; the callback that it was.
    pub(crate) fn stored(&mut self, id: StoreId, kept: bool) -> Option<CallbackId> {
        let subject = self.keeping.awaited.remove(&id)?;
        if !kept && subject != Subject::Message {
            self.keeping.lost.insert(subject);
        }
        match subject {
            Subject::Callback(callback) => Some(callback),
            Subject::Agent(_) | Subject::Message => None,
        }
    }

    /// There is a ledger again: what was lost is asked for once more.
    pub(crate) fn store_again(&mut self) {
        for subject in core::mem::take(&mut self.keeping.lost) {
            match subject {
                Subject::Agent(at) => self.keep_presence(at),
                Subject::Callback(id) => self.keep_callback_of(id),
                Subject::Message => {}
            }
        }
    }

    /// What was kept before is taken up, and what is not in it is asked to be kept. What was said since then counts.
    pub(crate) fn restore(&mut self, restored: Restored, bounds: super::Bounds, now: Now) {
        let mut known = BTreeSet::new();
        for kept in restored.presences {
            let Some(at) = self.names.get(&*kept.agent).copied() else { continue };
            known.insert(at);
            self.take_up(at, kept, now);
        }
        for at in (0..self.agents.len()).filter(|at| !known.contains(at)) {
            self.keep_presence(at);
        }
        self.restore_callbacks(restored.callbacks, bounds, now);
    }

    /// What was said of an agent before the restart; whatever was said since counts more, and is kept with it.
    fn take_up(&mut self, at: usize, kept: AgentPresence, now: Now) {
        let agent = &mut self.agents[at];
        let newer = agent.said.since.is_some();
        if let Some(skills) = kept.skills.filter(|_| !agent.said.skills) {
            agent.config.skills = skills.into_iter().map(|(skill, level)| (skill.into(), level)).collect();
            agent.said.skills = true;
        }
        if let Some(capacity) = kept.capacity.filter(|_| !agent.said.capacity) {
            agent.config.capacity = capacity;
            agent.said.capacity = true;
        }
        agent.said.since = agent.said.since.max(Some(kept.since));
        let presence = kept.presence.filter(|_| agent.said.presence.is_none());
        if let Some(presence) = presence {
            agent.said.presence = Some(presence);
            self.present(at, presence, now.monotonic);
        }
        if newer {
            self.keep_presence(at);
        }
    }
}
