//! A caller who waits for an agent.

use super::{Acts, Side, Transfer};
use crate::{
    Happening, QueueOutcome,
    step::{Step, Timer},
};
use policy::{Cause, Place};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Announcements of one stay in a queue, for the numbers of their players.
const MOST_ANNOUNCED: u32 = 400;
/// Players of announcements are numbered from here; whispers below.
const FIRST_ANNOUNCED: u32 = 500;

/// The caller waits.
///
/// ```text
/// Act::Wait ──taken in──> waiting ──granted──> asking ──accepted──> bridge
///     │                      ^  │                 │ no answer, declined, busy …
///     │ full, unstaffed      │  │ Timer::Queue    │
///     v                      └──┼─────────────────┘ (or, when it is over: NoAgent)
///  next of the chain <──NoAgent─┘
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Queueing {
    name: Arc<str>,
    /// They have waited as long as one waits; the agent who is being asked is the last.
    over: bool,
    announced: u32,
    saying: Vec<Arc<str>>,
}

impl Queueing {
    /// What is said of the caller's place: the number of its player among the transfer's, and the prompts.
    pub(super) fn says(&self) -> Option<(u32, SmallVec<[Arc<str>; 2]>)> {
        let number = FIRST_ANNOUNCED + self.announced % MOST_ANNOUNCED;
        (!self.saying.is_empty()).then(|| (number, self.saying.iter().cloned().collect()))
    }
}

impl Transfer {
    /// The caller waits now.
    pub(crate) fn queued(&mut self, step: &mut Step<'_>) {
        let Place::Queue(queue) = &self.spec.place else { return };
        step.arm(Timer::Queue, queue.overflow_after);
        if let Some(announce) = &queue.announce {
            step.arm(Timer::Position, announce.every);
        }
        let queue = Arc::clone(&self.spec.to);
        let position = step.shared.directory.position(step.key).unwrap_or(1);
        let (transfer, priority) = (self.record.id, self.spec.priority);
        step.publish(Happening::QueueEntered { transfer, queue: queue.to_string(), priority, position });
        self.queue = Some(Queueing { name: queue, over: false, announced: 0, saying: Vec::new() });
        self.restate();
    }

    /// The queue is full, or nobody is at work who could take the caller.
    pub(crate) fn not_queued(&mut self, step: &mut Step<'_>, cause: Cause) -> Acts {
        let mut acts = Acts::new();
        if self.unreached(step, cause, &mut acts) {
            self.reach(step, &mut acts);
        }
        acts
    }

    /// These agents are free for the caller.
    pub(crate) fn granted(&mut self, step: &mut Step<'_>, agents: &[Arc<str>]) -> Acts {
        let mut acts = Acts::new();
        self.targets = agents.iter().map(|agent| Arc::from(format!("agent:{agent}"))).collect();
        if self.dial_more(step, &mut acts).is_some() {
            self.waits_on(step);
        }
        acts
    }

    /// [`Timer::Queue`]: the caller has waited long enough. Whoever rings just now may still take them.
    pub(crate) fn waited_enough(&mut self, step: &mut Step<'_>) -> Acts {
        let mut acts = Acts::new();
        let Some(queue) = &mut self.queue else { return acts };
        queue.over = true;
        if self.attempts.is_empty() && self.won.is_none() {
            self.leave_queue(step, QueueOutcome::Overflow);
            if self.unreached(step, Cause::NoAgent, &mut acts) {
                self.reach(step, &mut acts);
            }
        }
        acts
    }

    /// [`Timer::Position`]: the caller is told their place.
    pub(crate) fn tell_position(&mut self, step: &mut Step<'_>) {
        let (Place::Queue(place), Some(queue)) = (&self.spec.place, &mut self.queue) else { return };
        let Some(announce) = &place.announce else { return };
        step.arm(Timer::Position, announce.every);
        let Some(position) = step.shared.directory.position(step.key) else { return };
        if !matches!(self.side, Side::Waiting { .. }) || !self.attempts.is_empty() {
            return;
        }
        queue.announced += 1;
        let digits = position.to_string();
        let digits = digits.chars().map(|digit| Arc::from(format!("{}-{digit}", announce.digits)));
        queue.saying = std::iter::once(Arc::clone(&announce.position)).chain(digits).collect();
        let (transfer, queue) = (self.record.id, queue.name.to_string());
        step.publish(Happening::QueuePosition { transfer, queue, position });
    }

    /// The agent who was asked came to nothing: the caller waits on, unless they have waited long enough.
    pub(super) fn waits_on(&mut self, step: &mut Step<'_>) -> bool {
        let waits = self.queue.as_ref().is_some_and(|queue| !queue.over);
        if waits {
            step.shared.directory.waits_on(step.key);
            self.restate();
        }
        waits
    }

    /// The caller waits no longer. False: they did not wait.
    pub(super) fn leave_queue(&mut self, step: &mut Step<'_>, outcome: QueueOutcome) -> bool {
        let Some(queue) = self.queue.take() else { return false };
        step.disarm(Timer::Queue);
        step.disarm(Timer::Position);
        let waited = step.shared.directory.leave(step.key, outcome, step.now.monotonic).unwrap_or_default();
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        let (transfer, queue) = (self.record.id, queue.name.to_string());
        step.publish(Happening::QueueLeft { transfer, queue, outcome, waited_ms });
        true
    }
}
