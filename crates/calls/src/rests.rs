//! Next hops that want to be left alone (RFC 3261 section 21.5.4): who answers an INVITE with 503 and Retry-After is sent none
//! until then, whichever trunk, AI or phone it is reached as. Without Retry-After a 503 says no more than a 500.

use clock::Monotonic;
use core::time::Duration;
use rustc_hash::FxHashMap;
use std::net::SocketAddr;

/// No peer keeps us away for longer than this, whatever its Retry-After says.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);
/// Next hops that are remembered; beyond them the one that is ready soonest is forgotten.
const MOST: usize = 256;

/// Who rests, and until when.
#[derive(Debug, Default)]
pub(crate) struct Rests {
    until: FxHashMap<SocketAddr, Monotonic>,
    /// INVITEs that were not sent because whoever should have got them rests.
    pub(crate) spared: u64,
}

impl Rests {
    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.until.len()
    }

    /// How many rest now.
    pub(crate) fn count(&self, now: Monotonic) -> usize {
        self.until.values().filter(|until| **until > now).count()
    }

    /// A next hop asked to be left alone. How long it is.
    pub(crate) fn rest(&mut self, hop: SocketAddr, now: Monotonic, asked: Duration) -> Duration {
        let rest = asked.min(LONGEST);
        self.until.retain(|_, until| *until > now);
        if rest.is_zero() {
            self.until.remove(&hop);
            return rest;
        }
        if self.until.len() >= MOST && !self.until.contains_key(&hop) {
            let soonest = self.until.iter().min_by_key(|(hop, until)| (**until, **hop)).map(|(hop, _)| *hop);
            self.until.remove(&soonest.unwrap_or(hop));
        }
        self.until.insert(hop, now + rest);
        rest
    }

    /// How much longer a next hop rests, if it does.
    pub(crate) fn rest_of(&self, hop: SocketAddr, now: Monotonic) -> Option<Duration> {
        if self.until.is_empty() {
            return None;
        }
        self.until.get(&hop).map(|until| until.since(now)).filter(|rest| !rest.is_zero())
    }
}

/// What became of the targets of one leg: whether each of them rests, and for how long the first of them does.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tried {
    /// The first to be ready is ready then.
    ready: Option<Monotonic>,
    /// One of them failed otherwise.
    otherwise: bool,
}

impl Tried {
    /// One rests.
    pub(crate) fn rests(&mut self, until: Monotonic) {
        self.ready = Some(self.ready.map_or(until, |ready| ready.min(until)));
    }

    /// One failed, and said nothing of resting.
    pub(crate) fn failed(&mut self) {
        self.otherwise = true;
    }

    /// For how long nobody of them wants to hear of us, where they all have said so.
    pub(crate) fn rest(self, now: Monotonic) -> Option<Duration> {
        self.ready.filter(|_| !self.otherwise).map(|until| until.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Monotonic = Monotonic::ORIGIN;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn rfc3261_21_5_4_a_next_hop_rests_for_its_time_and_never_longer_than_five_minutes() {
        let mut rests = Rests::default();
        let hop = "192.0.2.1:5060".parse().unwrap();
        assert_eq!(rests.rest(hop, NOW, secs(10)), secs(10));
        assert_eq!(rests.rest_of(hop, NOW + secs(4)), Some(secs(6)));
        assert_eq!(rests.rest_of(hop, NOW + secs(10)), None);
        assert_eq!((rests.count(NOW), rests.count(NOW + secs(10))), (1, 0));
        assert_eq!(rests.rest(hop, NOW, secs(100_000)), LONGEST);
        assert_eq!(rests.rest_of(hop, NOW), Some(LONGEST));
        rests.rest(hop, NOW, Duration::ZERO);
        assert_eq!(rests.rest_of(hop, NOW), None, "it changed its mind");
    }

    #[test]
    fn the_table_of_resting_next_hops_is_bounded_and_forgets_the_soonest() {
        let mut rests = Rests::default();
        let hop = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
        for port in 1..=261 {
            rests.rest(hop(port), NOW, secs(u64::from(270 - port)));
        }
        assert_eq!(rests.len(), MOST);
        assert!(rests.rest_of(hop(1), NOW).is_some(), "the longest is kept");
        assert!(rests.rest_of(hop(261), NOW).is_some(), "and the newest");
        assert!(rests.rest_of(hop(256), NOW).is_none());
    }

    #[test]
    fn a_leg_rests_as_long_as_the_first_of_its_targets_and_only_if_all_do() {
        let mut tried = Tried::default();
        assert_eq!(tried.rest(NOW), None);
        tried.rests(NOW + secs(20));
        tried.rests(NOW + secs(10));
        tried.rests(NOW + secs(30));
        assert_eq!(tried.rest(NOW + secs(4)), Some(secs(6)));
        tried.failed();
        assert_eq!(tried.rest(NOW), None);
    }
}
