//! What an operator says about a trunk beyond its address: is it asked, registered with, how much does it carry.

use core::time::Duration;

/// Whether a trunk or an agent is there, asked by OPTIONS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsPing {
    /// Between two.
    pub interval: Duration,
    /// Without any response for this long, one is missed.
    pub timeout: Duration,
    /// Misses in a row after which they count as gone.
    pub down_after: u32,
    /// Answers in a row after which they are back.
    pub up_after: u32,
}

impl Default for OptionsPing {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(2), down_after: 2, up_after: 2 }
    }
}

/// A registration with the trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRegistration {
    /// The registrar's domain, and that of the address-of-record.
    pub domain: String,
    /// The user of the address-of-record and of our Contact.
    pub user: String,
    /// How long a registration is asked for.
    pub expires: Duration,
    /// How long to wait after a first failure.
    pub retry: Duration,
}

/// How much a trunk carries. Beyond it callers get 503 with Retry-After, calls out take the next trunk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Calls in both directions at once.
    pub calls: usize,
    /// Calls to it at once.
    pub calls_out: usize,
    /// New calls from it a second; zero: no limit.
    pub per_second_in: u32,
    /// New calls to it a second; zero: no limit.
    pub per_second_out: u32,
}

impl Default for TrunkLimits {
    fn default() -> Self {
        Self { calls: usize::MAX, calls_out: usize::MAX, per_second_in: 0, per_second_out: 0 }
    }
}
