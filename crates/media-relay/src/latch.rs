//! Whom a port believes to be its peer.

use crate::Latching;
use clock::Monotonic;
use std::{net::SocketAddr, time::Duration};

/// Packets in a row of one SSRC that make another source the peer while the window is open.
const IN_A_ROW: u8 = 3;
/// A peer that was silent for so long may come back from another address.
const MAY_MOVE_AFTER: Duration = Duration::from_secs(2);
/// How far a sequence may have run on and still count as the same stream (RFC 3550 appendix A.1, MAX_DROPOUT).
const CONTINUOUS: u16 = 3000;

/// What a packet's source is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Peer,
    /// The peer, and from now on this is its address.
    PeerAtNewAddress,
    Foreign,
}

/// The address of a port's peer. The description's address always wins; on a learning leg another source becomes the
/// peer while the window is open (from each answer until the peer is known), or by moving.
#[derive(Debug)]
pub(crate) struct Latch {
    described: SocketAddr,
    nat: Latching,
    window: bool,
    peer: Option<Peer>,
    candidate: Option<Candidate>,
}

#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    last: Monotonic,
}

#[derive(Debug)]
struct Candidate {
    address: SocketAddr,
    ssrc: u32,
    sequence: u16,
    seen: u8,
}

impl Latch {
    pub(crate) fn new(described: SocketAddr, nat: Latching) -> Self {
        Self { described, nat, window: true, peer: None, candidate: None }
    }

    /// An answer: the window opens. A peer that was learned stays while the description still says the same.
    pub(crate) fn describe(&mut self, described: SocketAddr, nat: Latching) {
        let keep = self
            .peer
            .as_ref()
            .is_some_and(|peer| peer.address == described || (described == self.described && nat == Latching::Learn));
        if !keep {
            self.peer = None;
        }
        self.described = described;
        self.nat = nat;
        self.window = true;
        self.candidate = None;
    }

    /// Where packets to the peer go.
    pub(crate) fn destination(&self) -> SocketAddr {
        self.peer.as_ref().map_or(self.described, |peer| peer.address)
    }

    /// Whether a packet from there could be the peer's, whatever it holds.
    #[inline]
    pub(crate) fn may_be_peer(&self, now: Monotonic, from: SocketAddr) -> bool {
        let moved = |peer: &Peer| peer.address == from || now.since(peer.last) >= MAY_MOVE_AFTER;
        match &self.peer {
            Some(peer) if peer.address == from => true,
            _ if from == self.described => true,
            _ if self.nat != Latching::Learn => false,
            peer => self.window || peer.as_ref().is_some_and(moved),
        }
    }

    /// True when `address` is the host of the peer (RTCP may come from another port of it).
    pub(crate) fn is_peer_host(&self, address: SocketAddr) -> bool {
        self.destination().ip() == address.ip()
    }

    /// Judges a packet's source, and learns.
    #[inline]
    pub(crate) fn judge(&mut self, now: Monotonic, from: SocketAddr, ssrc: u32, sequence: u16) -> Verdict {
        if let Some(peer) = &mut self.peer
            && peer.address == from
        {
            (peer.ssrc, peer.sequence, peer.last) = (ssrc, sequence, now);
            if self.candidate.is_some() || self.window {
                self.candidate = None;
                self.window = false;
            }
            return Verdict::Peer;
        }
        if from == self.described || self.has_moved(now, ssrc, sequence) || self.is_learned(from, ssrc, sequence) {
            self.peer = Some(Peer { address: from, ssrc, sequence, last: now });
            self.window = false;
            self.candidate = None;
            return Verdict::PeerAtNewAddress;
        }
        Verdict::Foreign
    }

    fn has_moved(&self, now: Monotonic, ssrc: u32, sequence: u16) -> bool {
        self.nat == Latching::Learn
            && self.peer.as_ref().is_some_and(|peer| {
                peer.ssrc == ssrc
                    && now.since(peer.last) >= MAY_MOVE_AFTER
                    && (1..=CONTINUOUS).contains(&sequence.wrapping_sub(peer.sequence))
            })
    }

    fn is_learned(&mut self, from: SocketAddr, ssrc: u32, sequence: u16) -> bool {
        if self.nat != Latching::Learn || !self.window {
            return false;
        }
        let seen = match &self.candidate {
            Some(c) if c.address == from && c.ssrc == ssrc && c.sequence.wrapping_add(1) == sequence => c.seen + 1,
            _ => 1,
        };
        self.candidate = Some(Candidate { address: from, ssrc, sequence, seen });
        seen >= IN_A_ROW
    }
}
