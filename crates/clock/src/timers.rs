//! A table of named timers with one next deadline.

use crate::Monotonic;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, hash::Hash};

/// Named timers: at most one deadline a name, and one earliest deadline over all.
///
/// A machine names its timers by an enum and keeps one `Timers` of it; a room with many machines keeps one `Timers` of
/// `(machine, timer)`. Equal deadlines come out in the order of their names, so a run is repeatable.
///
/// Written down as a list of (name, deadline): a name may be more than a word.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    from = "Vec<(K, Monotonic)>",
    into = "Vec<(K, Monotonic)>",
    bound(serialize = "K: Ord + Copy + Hash + Serialize", deserialize = "K: Ord + Copy + Hash + Deserialize<'de>")
)]
pub struct Timers<K> {
    /// Most cancellations are of timers that are not armed, so asking must be cheap.
    by_name: FxHashMap<K, Monotonic>,
    by_time: BTreeSet<(Monotonic, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { by_name: FxHashMap::default(), by_time: BTreeSet::new() }
    }
}

impl<K: Ord + Copy + Hash> From<Vec<(K, Monotonic)>> for Timers<K> {
    fn from(list: Vec<(K, Monotonic)>) -> Self {
        let mut timers = Self::default();
        for (name, at) in list {
            timers.set(name, at);
        }
        timers
    }
}

impl<K> From<Timers<K>> for Vec<(K, Monotonic)> {
    fn from(timers: Timers<K>) -> Self {
        timers.by_name.into_iter().collect()
    }
}

impl<K: Ord + Copy + Hash> Timers<K> {
    /// Arms `name` for `at`, replacing its earlier deadline.
    pub fn set(&mut self, name: K, at: Monotonic) {
        if let Some(old) = self.by_name.insert(name, at) {
            self.by_time.remove(&(old, name));
        }
        self.by_time.insert((at, name));
    }

    /// Disarms `name`; true if it was armed.
    pub fn cancel(&mut self, name: K) -> bool {
        match self.by_name.remove(&name) {
            Some(at) => self.by_time.remove(&(at, name)),
            None => false,
        }
    }

    /// When `name` is due, if it is armed.
    pub fn deadline(&self, name: K) -> Option<Monotonic> {
        self.by_name.get(&name).copied()
    }

    /// The earliest deadline of all.
    pub fn next_timeout(&self) -> Option<Monotonic> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due at `now` and disarms it.
    pub fn pop_expired(&mut self, now: Monotonic) -> Option<K> {
        let (at, name) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_name.remove(&name);
        Some(name)
    }

    /// How many timers are armed.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// True when no timer is armed.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_earliest_fires_first_and_only_once() {
        let at = Monotonic::from_nanos;
        let mut timers = Timers::default();
        timers.set('b', at(20));
        timers.set('a', at(10));
        timers.set('b', at(5));
        assert_eq!(timers.next_timeout(), Some(at(5)));
        assert_eq!(timers.pop_expired(at(4)), None);
        assert_eq!(timers.pop_expired(at(20)), Some('b'));
        assert_eq!(timers.pop_expired(at(20)), Some('a'));
        assert_eq!(timers.pop_expired(at(20)), None);
        assert!(timers.is_empty());
    }

    proptest! {
        /// Against a plain list: whatever is set, moved or cancelled, the same timers fire in the same order.
        #[test]
        fn agrees_with_a_plain_list(steps in proptest::collection::vec((0u8..8, 0u64..50, any::<bool>()), 0..60)) {
            let mut timers = Timers::default();
            let mut plain: Vec<(u64, u8)> = Vec::new();
            for (name, at, arm) in steps {
                plain.retain(|(_, n)| *n != name);
                if arm {
                    timers.set(name, Monotonic::from_nanos(at));
                    plain.push((at, name));
                } else {
                    timers.cancel(name);
                }
                prop_assert_eq!(timers.len(), plain.len());
            }
            plain.sort_unstable();
            let mut fired = Vec::new();
            while let Some(name) = timers.pop_expired(Monotonic::from_nanos(u64::MAX)) {
                fired.push(name);
            }
            prop_assert_eq!(fired, plain.into_iter().map(|(_, n)| n).collect::<Vec<_>>());
        }
    }
}
