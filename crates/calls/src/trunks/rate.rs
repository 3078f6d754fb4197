//! Calls a second: a bucket that holds one second's worth. Or a minute's.

use clock::Monotonic;
use core::time::Duration;

/// Filled at a rate; each call takes one.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Bucket {
    /// What was taken and has not grown back, in parts of which the period has as many milliseconds.
    taken: u64,
    at: Monotonic,
}

impl Bucket {
    /// True when a call may begin at this rate; it is counted then. Zero: no limit.
    pub(crate) fn take(&mut self, now: Monotonic, per_second: u32) -> bool {
        self.take_per(now, per_second, Duration::from_secs(1))
    }

    /// The same for so many in a period, which must always be the same.
    pub(crate) fn take_per(&mut self, now: Monotonic, rate: u32, period: Duration) -> bool {
        let room = self.wait(now, rate, period).is_zero();
        if room && rate > 0 {
            self.taken += millis(period);
        }
        room
    }

    /// How long it is until a call may begin. Zero: now.
    pub(crate) fn wait(&mut self, now: Monotonic, rate: u32, period: Duration) -> Duration {
        if rate == 0 {
            return Duration::ZERO;
        }
        let (rate, one) = (u64::from(rate), millis(period));
        let grown = millis(now.since(self.at)).saturating_mul(rate);
        self.taken = self.taken.saturating_sub(grown);
        self.at = now;
        let over = (self.taken + one).saturating_sub(rate * one);
        Duration::from_millis(over.div_ceil(rate))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
