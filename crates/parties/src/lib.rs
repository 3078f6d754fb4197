//! Scripted SIP and RTP parties (trunk, AI, human) for the demonstration, rehearsals and tests.
//!
//! They share no code with what they check: SIP and SDP text, G.711, the measurements and the RTP endpoint (on the `rtp` crate)
//! are their own.
#![forbid(unsafe_code)]

pub mod analysis;
pub mod clip;
pub mod g711;
#[cfg(feature = "io")]
pub mod io;
pub mod message;
pub mod signal;
