//! RTP and SRTP ports, forwarding with one continuous sender a leg, conversion, players and measurement, without sockets or a clock.
//!
//! Whatever a leg hears (another leg, music, a prompt, silence), it hears from one RTP source for the leg's whole life:
//! one SSRC, sequence numbers without a gap of our making, timestamps that advance with time.
#![forbid(unsafe_code)]

mod answerer;
mod api;
mod clip;
mod codec;
mod conceal;
mod counters;
mod digits;
mod ear;
mod feedback;
mod in_band;
mod latch;
mod level;
mod meter;
mod mix;
mod noise;
mod observe;
mod outbox;
mod packet;
mod passing;
mod player;
mod playlist;
mod port;
mod ports;
mod quality;
mod receiver;
mod relay;
mod resample;
mod rtcp;
mod secure;
mod sender;
mod srtp;
mod stats;
mod stretch;
mod tap;
mod tones;
mod wiring;
mod words;
mod worker;

#[cfg(feature = "io")]
pub mod io;

pub use answerer::{Answerer, Because, Detection, Finding};
pub use api::{
    CallKey, Command, DeadAfter, Direction, Event, Latching, MeasureId, Play, PlayId, PortId, Source, Stream, Then,
};
pub use clip::{Clip, Library, SharedLibrary};
pub use codec::{CLOCK_RATE, Codec, Decoder, MAX_DECODED, OpusSettings, QUIET_MEAN_SQUARE};
pub use counters::Counters;
pub use level::{ActiveLevel, active_level, gain_toward};
pub use mix::MAX_MIXED;
pub use playlist::{Begin, Order, Playlist};
pub use ports::Ports;
pub use quality::Mos;
pub use srtp::{CryptoSuite, SrtpKey, SrtpKeys};
pub use stats::Stats;
pub use tap::{Block, Frame, MOST_TAPS, Tap, TapId, Taps};
pub use tones::countries;
pub use words::Words;
pub use worker::{Age, Channel, Slot, Wire, Worker};

/// How many measurements may run on one port at once.
pub const MAX_MEASUREMENTS: usize = 4;
