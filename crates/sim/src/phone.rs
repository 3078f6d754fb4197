//! A party for shells with real sockets: well-behaved, on text, with RFC 3261's timers on its side, whatever the network does.

use crate::{
    agent::{Act, Agent, Manner, State, Words},
    chance::Chance,
    network::Content,
    paper::Voice,
    trace::Read,
};
use bytes::Bytes;
use clock::Monotonic;
use std::{net::SocketAddr, rc::Rc, time::Duration};

/// One user agent with any number of calls. It sends no audio.
#[derive(Debug)]
pub struct Phone(Agent);

/// How a phone's calls went.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// INVITEs placed or received, each counted once.
    pub calls: usize,
    /// Of them answered by a 2xx that was acknowledged or, where the phone called, received.
    pub answered: usize,
    /// Of them over.
    pub over: usize,
    /// Requests of the phone's own that had no final response yet.
    pub waiting: usize,
    /// BYEs of the phone's own that were answered by 200.
    pub byes_answered: usize,
}

impl Phone {
    /// A phone at an address. `name` is the user part of its URI and of no meaning.
    pub fn new(name: &'static str, address: SocketAddr, seed: u64) -> Self {
        Self(Agent::new(name, address, Words::Own(Vec::new()), false, Chance::new(seed)))
    }

    /// Calls `number` at `to` and, once answered, hangs up after `hold`.
    pub fn call(&mut self, now: Monotonic, to: SocketAddr, number: &str, hold: Duration) {
        let manner = Manner { after: vec![(hold, Act::HangUp)], voice: Voice::Gone, ..Manner::default() };
        self.0.place(now, to, number, true, manner, None);
        self.0.notes.clear();
    }

    /// Takes the next `count` calls: rings at once, answers after `patience`, stays until the other side hangs up.
    pub fn answer(&mut self, count: usize, patience: Duration) {
        let ring = Act::Ring { status: 180, session: false };
        let manner = Manner {
            before: vec![(Duration::ZERO, ring), (patience, Act::Answer)],
            voice: Voice::Gone,
            ..Manner::default()
        };
        self.0.manners.extend(std::iter::repeat_n(manner, count));
    }

    /// A datagram came. What is no SIP is dropped.
    pub fn handle_datagram(&mut self, now: Monotonic, from: SocketAddr, bytes: &[u8]) {
        if let Some(message) = Read::of(Bytes::copy_from_slice(bytes)) {
            self.0.handle_input(now, from, &Rc::new(message));
        }
        self.0.notes.clear();
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Monotonic) {
        self.0.handle_timeout(now);
        self.0.notes.clear();
    }

    /// The next datagram to send, and where to.
    pub fn poll_transmit(&mut self) -> Option<(SocketAddr, Bytes)> {
        while let Some(packet) = self.0.poll_output() {
            if let Content::Sip(message) = packet.content {
                return Some((packet.to, message.bytes.clone()));
            }
        }
        None
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        self.0.poll_timeout()
    }

    /// How its calls stand.
    pub fn tally(&self) -> Tally {
        let legs = &self.0.legs;
        Tally {
            calls: legs.len(),
            answered: legs.iter().filter(|leg| leg.up_at.is_some()).count(),
            over: legs.iter().filter(|leg| leg.state == State::Over).count(),
            waiting: self.0.waiting(),
            byes_answered: self.0.byes_answered,
        }
    }
}
