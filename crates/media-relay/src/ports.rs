//! UDP ports of the relay: even for RTP, the odd one above for RTCP (RFC 3550 section 11), and a pause before reuse.

use clock::Monotonic;
use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::{
    collections::{BTreeSet, VecDeque},
    ops::RangeInclusive,
    time::Duration,
};

/// Which pairs of a range are free, in use, or resting. A pair that was released rests for a while, so that a late packet
/// of its last call reaches nobody; the pair that rested longest is given out first.
#[derive(Clone, Debug)]
pub struct Ports {
    free: VecDeque<u16>,
    resting: VecDeque<(Monotonic, u16)>,
    in_use: BTreeSet<u16>,
    quarantine: Duration,
}

impl Ports {
    /// The pairs within `range`, in an order by `seed` (nobody is to guess the next call's ports).
    pub fn new(range: RangeInclusive<u16>, quarantine: Duration, seed: u64) -> Self {
        let mut free: Vec<u16> =
            range.clone().filter(|port| port % 2 == 0 && *port != 0 && range.contains(&(port + 1))).collect();
        free.shuffle(&mut StdRng::seed_from_u64(seed));
        Self { free: free.into(), resting: VecDeque::new(), in_use: BTreeSet::new(), quarantine }
    }

    /// Takes a pair: its even port.
    pub fn allocate(&mut self, now: Monotonic) -> Option<u16> {
        while let Some((until, port)) = self.resting.front().copied()
            && until <= now
        {
            self.resting.pop_front();
            self.free.push_back(port);
        }
        let port = self.free.pop_front()?;
        self.in_use.insert(port);
        Some(port)
    }

    /// Gives a pair back; a pair that is not in use is none of ours.
    pub fn release(&mut self, now: Monotonic, port: u16) {
        if self.in_use.remove(&port) {
            self.resting.push_back((now + self.quarantine, port));
        }
    }

    /// Pairs in use.
    pub fn in_use(&self) -> usize {
        self.in_use.len()
    }

    /// Pairs that rest (some may be free by now).
    pub fn resting(&self) -> usize {
        self.resting.len()
    }

    /// All pairs.
    pub fn capacity(&self) -> usize {
        self.free.len() + self.resting.len() + self.in_use.len()
    }
}
