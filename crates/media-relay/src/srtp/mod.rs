//! SRTP and SRTCP of one port (RFC 3711, RFC 7714), around the one crate that does the ciphers.
//!
//! What that crate leaves open is closed here: no packet is believed before its tag was checked (it would take SRTCP that
//! says of itself that it is not encrypted), no stranger's packet leaves anything behind (it would keep state for every SSRC
//! that was ever tried, and let a forged first packet move the replay window), the rollover counter outlives its key
//! (section 3.3.1: it is never reset), and nothing is encrypted twice under one index (section 9.1).

mod context;
mod keys;
mod receiving;

pub use keys::{CryptoSuite, SrtpKey, SrtpKeys};

use bytes::BytesMut;
use clock::Monotonic;
use context::{Cipher, Window};
use receiving::Receiving;
use std::time::Duration;

/// How long packets under the peer's key before this one are taken still: they were on their way when it changed.
const OLD_KEY: Duration = Duration::from_secs(3);

/// A port's keys at work.
#[derive(Debug)]
pub(crate) struct Srtp {
    keys: SrtpKeys,
    /// Our SSRC.
    ssrc: u32,
    sending: Option<Cipher>,
    sent: Window,
    reports_sent: u32,
    receiving: Receiving,
    previous: Option<(Receiving, Monotonic)>,
}

impl Srtp {
    pub(crate) fn new(keys: SrtpKeys, ssrc: u32) -> Self {
        let (sending, receiving) = (Cipher::new(&keys.send), Receiving::new(keys.receive.clone()));
        Self { keys, ssrc, sending, sent: Window::default(), reports_sent: 0, receiving, previous: None }
    }

    /// What was agreed on now. A direction whose key is the same goes on as if nothing had been said.
    pub(crate) fn rekey(&mut self, now: Monotonic, keys: &SrtpKeys) {
        if keys.send != self.keys.send {
            self.sending = Cipher::new(&keys.send).map(|mut cipher| {
                if let Some(index) = self.sent.highest() {
                    cipher.advance_sender(self.ssrc, index);
                }
                cipher.advance_reports(self.ssrc, self.reports_sent);
                cipher
            });
        }
        if keys.receive != self.keys.receive {
            let next = Receiving::after(&self.receiving, keys.receive.clone());
            let old = std::mem::replace(&mut self.receiving, next);
            self.previous = Some((old, now + OLD_KEY));
        }
        self.keys = keys.clone();
    }

    /// An RTP packet of ours for the wire. `None`: it must not leave, for its index was used (a packet forwarded twice), or
    /// there is no cipher.
    #[inline]
    pub(crate) fn protect(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let header = packet.first_chunk::<12>()?;
        let ssrc = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        if ssrc != self.ssrc {
            // Another clock rate (RFC 7160): indices are an SSRC's own.
            (self.ssrc, self.sent) = (ssrc, Window::default());
        }
        let sequence = u16::from_be_bytes([header[2], header[3]]);
        let sending = self.sending.as_mut()?;
        self.sent.take(self.sent.index_of(sequence)).then(|| sending.encrypt(packet, 12)).flatten()
    }

    /// A compound packet of ours for the wire.
    pub(crate) fn protect_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.reports_sent = self.reports_sent.wrapping_add(1);
        self.sending.as_mut()?.encrypt_rtcp(packet)
    }

    /// The RTP packet behind one from the wire, in its place; its length. `None`: it is not the peer's, or came before.
    #[inline]
    pub(crate) fn open(&mut self, now: Monotonic, bytes: &mut [u8]) -> Option<usize> {
        let plain = self.receiving.open(bytes).or_else(|| self.previous(now)?.open(bytes))?;
        bytes.get_mut(..plain.len())?.copy_from_slice(&plain);
        Some(plain.len())
    }

    /// The compound packet behind one from the wire.
    pub(crate) fn open_rtcp(&mut self, now: Monotonic, bytes: &[u8]) -> Option<BytesMut> {
        self.receiving.open_rtcp(bytes).or_else(|| self.previous(now)?.open_rtcp(bytes))
    }

    fn previous(&mut self, now: Monotonic) -> Option<&mut Receiving> {
        self.previous.take_if(|(_, until)| *until <= now);
        self.previous.as_mut().map(|(receiving, _)| receiving)
    }
}

#[cfg(test)]
mod tests;
