//! The virtual world: the daemon's real cores, scripted parties, an emulated network, and checkers, in virtual time and by seed.
//!
//! A [`run`] of a seed is one world: a few calls with transfers whose parties do the worst at the worst moment, over a network that
//! loses, doubles and reorders. The judges of [`check`] stand outside; they see the wire, the public events and the records. The same seed
//! is the same world, byte for byte, so a seed that failed once can be looked at, and kept.
//!
//! Architecture invariants:
//! - Parties read and write SIP with code of their own ([`parties`]' text), never with the daemon's.
//! - Checkers look at [`Evidence`] alone.
//! - Nothing here reads a clock or draws from chance that is not the seed's; the binary alone measures how long it took.
#![forbid(unsafe_code)]

mod agent;
mod chance;
pub mod check;
mod errors;
mod house;
mod network;
mod paper;
mod phone;
mod premises;
mod scenario;
mod soak;
mod trace;
mod world;

pub use house::{Left, Sound, Voiced};
pub use network::Weather;
pub use phone::{Phone, Tally};
pub use premises::{Clips, Premises};
pub use scenario::Traffic;
pub use soak::{Soaked, Soaking, soak};
pub use trace::{Read, Way, Wire};
pub use world::{Evidence, Options, Outcome, Role, Seat, run, taken_up};
