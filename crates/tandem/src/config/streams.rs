//! `sip.streams`: how long connections of SIP over TCP and TLS may take, and how long they may stay.

use super::reader::Section;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Keys `sip.streams.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streams {
    /// Opening a connection.
    pub connect: Duration,
    /// A TLS handshake.
    pub handshake: Duration,
    /// From a connection's beginning to its first whole message.
    pub first_message: Duration,
    /// From a message's first byte to its last.
    pub message: Duration,
    /// Without a byte of whoever opened it; zero: for ever.
    pub idle: Duration,
    /// How long a peer may take none of what is written.
    pub write: Duration,
    /// How long a connection of ours is silent before it is pinged.
    pub ping: Duration,
}

pub(super) fn streams(mut section: Section<'_>) -> Streams {
    let connect = section.duration("connect", SECOND * 3, SECOND / 2..=SECOND * 30);
    let handshake = section.duration("handshake", SECOND * 10, SECOND..=SECOND * 60);
    let first_message = section.duration("first_message", SECOND * 30, SECOND..=SECOND * 600);
    let message = section.duration("message", SECOND * 30, SECOND..=SECOND * 600);
    let idle = section.duration("idle", SECOND * 3600, Duration::ZERO..=SECOND * 86_400);
    let write = section.duration("write", SECOND * 10, SECOND..=SECOND * 60);
    let ping = section.duration("ping", SECOND * 100, SECOND * 10..=SECOND * 600);
    if !idle.is_zero() && idle < SECOND * 60 {
        // RFC 5626, section 4.4.1: who keeps a connection alive does so every two minutes.
        let place = section.place();
        let why = "`idle` is shorter than a minute: connections would be closed between two keep-alives";
        section.wrong(place, why, Some("60s or more; 0s leaves them open"));
    }
    section.done();
    Streams { connect, handshake, first_message, message, idle, write, ping }
}
