//! RTP and SRTP ports, forwarding with one continuous sender a leg, conversion, players and measurement, without sockets or a clock.
//!
//! Whatever a leg hears (another leg, music, a prompt, silence), it hears from one RTP source for the leg's whole life:
//! one SSRC, sequence numbers without a gap of our making, timestamps that advance with time.
#![forbid(unsafe_code)]

mod api;
mod clip;
mod codec;
mod counters;
mod digits;
mod latch;
mod meter;
mod outbox;
mod packet;
mod player;
mod port;
mod ports;
mod receiver;
mod relay;
mod rtcp;
mod secure;
mod sender;
mod srtp;
mod stats;
mod tap;
mod worker;

#[cfg(feature = "io")]
pub mod io;

pub use api::{CallKey, Command, DeadAfter, Event, Latching, MeasureId, Play, PlayId, PortId, Source, Stream, Then};
pub use clip::{Clip, Library, SharedLibrary};
pub use codec::{CLOCK_RATE, Codec, QUIET_MEAN_SQUARE};
pub use counters::Counters;
pub use ports::Ports;
pub use srtp::{CryptoSuite, SrtpKey, SrtpKeys};
pub use stats::Stats;
pub use tap::{Block, Frame, Tap, TapId, Taps};
pub use worker::{Age, Channel, Slot, Wire, Worker};

/// How many measurements may run on one port at once.
pub const MAX_MEASUREMENTS: usize = 4;
