//! Calls a second: a bucket that holds one second's worth.

use clock::Monotonic;

/// Filled at a rate; each call takes one.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Bucket {
    /// Thousandths of calls that were taken and have not grown back.
    taken: u64,
    at: Monotonic,
}

impl Bucket {
    /// True when a call may begin at this rate; it is counted then. Zero: no limit.
    pub(crate) fn take(&mut self, now: Monotonic, per_second: u32) -> bool {
        if per_second == 0 {
            return true;
        }
        let rate = u64::from(per_second);
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let grown = passed.saturating_mul(rate);
        self.taken = self.taken.saturating_sub(grown);
        self.at = now;
        let room = self.taken + 1_000 <= rate * 1_000;
        if room {
            self.taken += 1_000;
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_the_rate() {
        let at = |ms: u64| Monotonic::from_nanos(ms * 1_000_000);
        let mut bucket = Bucket::default();
        let mut taken = |ms, most: usize| (0..most).filter(|_| bucket.take(at(ms), 10)).count();
        assert_eq!(taken(0, 30), 10);
        assert_eq!(taken(50, 1), 0);
        assert_eq!(taken(100, 3), 1);
        assert_eq!(taken(600_000, 30), 10, "an idle hour is no credit");
        assert!((0..100).all(|_| Bucket::default().take(at(0), 0)), "no limit");
    }

    #[test]
    fn steps_of_less_than_a_millisecond_lose_nothing_that_matters() {
        let mut bucket = Bucket::default();
        let taken = (0..10_000_u64).filter(|at| bucket.take(Monotonic::from_nanos(at * 1_000_000), 1)).count();
        assert_eq!(taken, 10, "ten seconds, one a second");
    }
}
