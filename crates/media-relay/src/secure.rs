//! Where a port's packets meet its keys: who is believed before, and what comes of it.

use crate::{Stream, latch::Latch, packet::is_rtcp, port::Port, srtp::Srtp};
use clock::Monotonic;
use std::net::SocketAddr;

/// Why a datagram is not read as RTP.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It came to the RTP port, and is RTCP.
    Rtcp,
    /// From where nobody is who could be the peer: not even its tag is looked at.
    Foreign,
    /// Its tag is wrong, it came before, or it is no RTP (a stray STUN or DTLS message).
    Unauthentic,
}

impl Port {
    /// What was agreed on about keys; the latch has heard of the rest already.
    pub(crate) fn secure(&mut self, now: Monotonic, stream: &Stream) {
        let keys = stream.srtp.as_deref();
        match (&mut self.srtp, keys) {
            (Some(srtp), Some(keys)) => srtp.rekey(now, keys),
            (srtp, Some(keys)) => {
                // What was learned from packets in plain is not known of those who have the key.
                self.latch = Some(Latch::new(stream.remote, stream.nat));
                *srtp = Some(Box::new(Srtp::new(keys.clone(), self.sender.ssrc)));
            }
            (srtp, None) => *srtp = None,
        }
    }

    /// Reads a datagram of the RTP socket as RTP in plain, in its place; how long it is then. Nothing is learned from it before
    /// its tag was found right. In plain already, nothing is done.
    #[inline]
    pub(crate) fn unprotect(&mut self, now: Monotonic, from: SocketAddr, bytes: &mut [u8]) -> Result<usize, Refused> {
        match &mut self.srtp {
            None => Ok(bytes.len()),
            Some(_) if is_rtcp(bytes) => Err(Refused::Rtcp),
            Some(srtp) => match &self.latch {
                Some(latch) if latch.may_be_peer(now, from) => srtp.open(now, bytes).ok_or(Refused::Unauthentic),
                _ => Err(Refused::Foreign),
            },
        }
    }
}
