//! SIP transactions, dialogs and the INVITE usage as a machine without sockets or a clock (RFC 3261, RFC 6026).
//!
//! Two layers, each of small machines. The transaction layer (RFC 3261 section 17, RFC 6026) repeats what is lost and
//! swallows what is repeated. Above it a [`LegId`] is one party's INVITE usage: call control dials, answers, offers and hangs
//! up by [`Command`] and learns what happened by [`Event`]; CANCEL, ACK, BYE, forks, glare, digest and everything else that
//! SIP owes its peers stays inside.
//!
//! The contract is that of every core of this project: time and chance come in as arguments, messages and events go out
//! through [`Core::poll_output`], and nothing a peer does is an error of ours.
#![forbid(unsafe_code)]

mod api;
mod auth;
mod challenge;
mod compose;
mod config;
mod context;
mod core;
mod counters;
mod dialog;
mod gates;
mod guard;
mod inbound;
#[cfg(feature = "io")]
pub mod io;
mod legs;
pub mod locate;
mod message;
mod multipart;
mod octets;
mod outside;
mod reasons;
mod refer;
mod registrar;
mod slab;
mod stun;
mod table;
mod timer;
mod transaction;
mod transport;

pub use crate::{
    api::{Command, Credentials, Dial, EndedBy, Event, Incoming, Input, LegId, Output, Party, Reason},
    challenge::Digests,
    config::{Config, Limits, Listener, Network, NetworkError, SessionTimer, Unknown},
    core::Core,
    counters::{Counters, Gauges, Way},
    gates::Gate,
    guard::{Abuse, Offence},
    legs::{LegSnapshot, Unrestorable},
    outside::{OutsideCommand, OutsideEvent, OutsideId, Ping, Register, Subscribe},
    refer::{Refer, ReferRequest, Referral, Replaces},
    registrar::{Account, Contact, Reach, Registration},
    transport::{ConnectionId, Flow, Transport},
};
