//! The real clock, for shells only.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the one place where the clock is read")]

use crate::{Monotonic, Now};
use std::{
    sync::OnceLock,
    time::{Instant, SystemTime},
};

/// The process's origin of [`Monotonic`], fixed at the first reading, so that every thread's readings compare.
static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Reads both clocks.
pub fn now() -> Now {
    Now { monotonic: monotonic(), unix: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() }
}

/// Reads the monotonic clock alone.
pub fn monotonic() -> Monotonic {
    let origin = *ORIGIN.get_or_init(Instant::now);
    Monotonic::from_nanos(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
}
