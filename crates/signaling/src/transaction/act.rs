//! What a transaction machine wants done. The machines themselves touch nothing.

use crate::timer::Timer;
use smallvec::SmallVec;
use std::time::Duration;

/// One step to carry out.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Send the request (client) or the last response (server), the same bytes each time.
    Send,
    /// Send it again: a copy.
    Repeat,
    /// Send the ACK to a refusal (client INVITE).
    Acknowledge,
    /// Hand what came in to the user above.
    Up,
    /// Set a timer.
    Arm(Timer, Duration),
    /// Stop a timer.
    Disarm(Timer),
    /// Tell the user that nobody answered.
    TimedOut,
    /// Tell the user that the network did not carry it.
    Failed,
    /// Forget the transaction and its timers.
    End,
}

/// A few steps, in order.
pub(crate) type Acts = SmallVec<[Act; 4]>;

/// What kind of response came.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 300 to 699.
    Refusal,
}

impl Class {
    pub(crate) const fn of(status: u16) -> Self {
        match status {
            0..200 => Self::Provisional,
            200..300 => Self::Success,
            _ => Self::Refusal,
        }
    }
}
