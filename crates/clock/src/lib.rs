//! Time as an argument: the one clock type of every room, and a small table of named timers.
//!
//! No pure room reads a clock. A shell reads it once per step and hands the same [`Now`] to every machine it drives, so
//! that tests own time and two runs of one seed are the same run.
#![forbid(unsafe_code)]

mod timers;

#[cfg(feature = "io")]
pub mod io;

use core::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};
use serde::{Deserialize, Serialize};
pub use timers::Timers;

/// A point on the monotonic clock: nanoseconds since an origin that one process chooses for itself.
///
/// Only differences mean anything; the value is comparable within one process alone.
#[derive(Copy, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Monotonic(u64);

impl Monotonic {
    /// The origin itself.
    pub const ORIGIN: Self = Self(0);

    /// The point `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The next whole multiple of `step`; this moment itself if it is one.
    #[must_use]
    pub fn rounded_up(self, step: Duration) -> Self {
        let step = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self(self.0.checked_next_multiple_of(step).unwrap_or(u64::MAX))
    }

    /// Time elapsed since `earlier`; zero when `earlier` lies in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Monotonic {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Monotonic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// One reading of both clocks. `monotonic` never decreases and drives every timer; `unix` (time since 1970-01-01 UTC) is
/// for opening hours, records and logs, and may be stepped by an administrator.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Now {
    /// Drives timers.
    pub monotonic: Monotonic,
    /// Civil time: the time since 1970-01-01T00:00:00Z.
    pub unix: Duration,
}

impl Now {
    /// The reading `by` later on both clocks: how tests and the simulator let time pass.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self { monotonic: self.monotonic + by, unix: self.unix + by }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn unix_ms(self) -> u64 {
        u64::try_from(self.unix.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_rounded_up_to_a_whole_step() {
        let step = Duration::from_nanos(50);
        for (at, rounded) in [(0, 0), (1, 50), (50, 50), (51, 100), (u64::MAX, u64::MAX)] {
            assert_eq!(Monotonic::from_nanos(at).rounded_up(step).as_nanos(), rounded, "{at}");
        }
        assert_eq!(Monotonic::from_nanos(7).rounded_up(Duration::ZERO).as_nanos(), 7);
    }
}
