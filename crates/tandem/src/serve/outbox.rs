//! A bounded queue from a thread that must never wait to one that may: writers of logs, call records, public events.
//!
//! The consumer is woken at most once per `linger`, so a busy producer pays a lock and an append, not a system call.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The queue. Shared by `Arc`.
pub(crate) struct Outbox<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
    bound: usize,
    linger: Duration,
}

struct State<T> {
    waiting: Vec<T>,
    weight: usize,
    refused: u64,
    /// The consumer sleeps until something comes.
    idle: bool,
    /// Something waits that is not to be gathered for.
    urgent: bool,
    closed: bool,
}

/// What a consumer takes at once.
pub(crate) struct Batch<T> {
    /// In order.
    pub(crate) items: Vec<T>,
    /// How many were refused at the bound since the last batch.
    pub(crate) refused: u64,
    /// Nothing comes after this one.
    pub(crate) last: bool,
}

impl<T> Outbox<T> {
    /// At most `bound` of weight; the consumer gathers for `linger` before it takes.
    pub(crate) fn new(bound: usize, linger: Duration) -> Self {
        let state = State { waiting: Vec::new(), weight: 0, refused: 0, idle: false, urgent: false, closed: false };
        Self { state: Mutex::new(state), wake: Condvar::new(), bound, linger }
    }

    /// Appends `items` of this total weight; false when the bound is reached (then nothing is appended and the refusal counted).
    pub(crate) fn push(&self, items: impl IntoIterator<Item = T>, weight: usize) -> bool {
        self.append(items, weight, false)
    }

    /// The same, and the consumer takes them at once.
    pub(crate) fn push_urgent(&self, items: impl IntoIterator<Item = T>, weight: usize) -> bool {
        self.append(items, weight, true)
    }

    fn append(&self, items: impl IntoIterator<Item = T>, weight: usize, urgent: bool) -> bool {
        let mut state = self.lock();
        if state.closed || state.weight.saturating_add(weight) > self.bound {
            state.refused += 1;
            return false;
        }
        state.waiting.extend(items);
        state.weight += weight;
        state.urgent |= urgent;
        let wake = std::mem::take(&mut state.idle) || urgent;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Waits for something, gathers for `linger`, and takes all of it.
    pub(crate) fn take(&self) -> Batch<T> {
        self.gather(None, self.linger)
    }

    /// As [`Outbox::take`], gathering for this long.
    pub(crate) fn take_after(&self, linger: Duration) -> Batch<T> {
        self.gather(None, linger)
    }

    /// As [`Outbox::take`]; a consumer with something left to do gets an empty batch after its `patience`.
    pub(crate) fn take_within(&self, patience: Option<Duration>) -> Batch<T> {
        self.gather(patience, self.linger)
    }

    fn gather(&self, patience: Option<Duration>, linger: Duration) -> Batch<T> {
        let mut state = self.lock();
        while state.waiting.is_empty() && !state.closed {
            state.idle = true;
            let Some(patience) = patience else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, waited) = self.wake.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() {
                break;
            }
        }
        state.idle = false;
        if !state.closed && !linger.is_zero() {
            let (gathered, _) = self
                .wake
                .wait_timeout_while(state, linger, |state| !state.closed && !state.urgent)
                .unwrap_or_else(PoisonError::into_inner);
            state = gathered;
        }
        let items = std::mem::take(&mut state.waiting);
        (state.weight, state.urgent) = (0, false);
        Batch { items, refused: std::mem::take(&mut state.refused), last: state.closed }
    }

    /// Nothing more comes; what waits is still taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_something_left_to_do_does_not_wait_for_ever() {
        let outbox = Outbox::<u8>::new(3, Duration::ZERO);
        let batch = outbox.take_within(Some(Duration::from_millis(1)));
        assert!(batch.items.is_empty() && !batch.last);
        assert!(outbox.push([1], 1));
        assert_eq!(outbox.take_within(Some(Duration::from_secs(60))).items, [1]);
    }

    #[test]
    fn what_is_urgent_is_not_gathered_for() {
        let outbox = Outbox::<u8>::new(3, Duration::from_secs(60));
        assert!(outbox.push([1], 1) && outbox.push_urgent([2], 1));
        assert_eq!(outbox.take().items, [1, 2]);
    }

    #[test]
    fn what_waits_at_the_close_is_still_taken_and_the_bound_is_counted() {
        let outbox = Outbox::new(3, Duration::ZERO);
        assert!(outbox.push([1, 2], 2));
        assert!(!outbox.push([3, 4], 2), "over the bound");
        assert!(outbox.push([5], 1));
        outbox.close();
        assert!(!outbox.push([6], 1), "closed");
        let batch = outbox.take();
        assert_eq!(batch.items, [1, 2, 5]);
        assert_eq!(batch.refused, 2);
        assert!(batch.last);
    }
}
