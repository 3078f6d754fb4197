//! Recordings of calls: audio that taps hand over, laid on one clock, sample by sample, and the files it ends in.
//!
//! [`Session`] is the pure core of one recording: it takes frames as they passed the relay and gives samples of all channels,
//! interleaved, that begin at the recording's start and miss and repeat nothing. [`Timeline`] says beside it who was to be
//! heard where and when. [`wav`] writes headers. What touches disks lives in `mod io`.
//!
//! Architecture invariants:
//! - A recording hangs on the call, not on a leg, and lives through every handoff.
//! - All channels share one clock, the relay's; what is missing is silence of equal length.
//! - Of a pause nothing is kept: neither audio nor digits.
#![forbid(unsafe_code)]

mod channel;
mod form;
mod lanes;
mod opus;
mod session;
mod timeline;
pub mod wav;

#[cfg(feature = "io")]
pub mod io;

pub use form::Form;
pub use session::{Flaws, HOLD, Session};
pub use timeline::{Encrypted, Event, Gap, Message, Moment, Reason, Segment, State, Timeline};

/// Samples a second of every recording.
pub const RATE: u32 = 8000;
