//! Counts of one port.

use crate::{Mos, ear::Ear};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Counts of one port since it opened. Loss and jitter as RFC 3550 sections 6.4.1 and A.3, A.8 define them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// RTP packets accepted from the peer.
    pub packets_received: u64,
    /// Their payload bytes.
    pub octets_received: u64,
    /// RTP packets sent to the peer.
    pub packets_sent: u64,
    /// Their payload bytes.
    pub octets_sent: u64,
    /// Packets the peer sent that never came (negative when duplicates outweigh losses).
    pub packets_lost: i64,
    /// Interarrival jitter of what is received, now.
    pub jitter: Duration,
    /// Its highest value.
    pub jitter_highest: Duration,
    /// Loss of what we send, in 1/256, from the peer's last RTCP report.
    pub remote_fraction_lost: Option<u8>,
    /// Packets of ours that the peer missed, from its last RTCP report.
    pub remote_packets_lost: Option<i32>,
    /// Interarrival jitter the peer sees, from its last RTCP report.
    pub remote_jitter: Option<Duration>,
    /// Round trip by LSR and DLSR of the peer's last RTCP report.
    pub round_trip: Option<Duration>,
    /// How what is received would be judged where it is heard.
    pub mos: Option<Mos>,
    /// How what is sent would be judged at the peer: by its own report (RFC 3611 section 4.7), or estimated from its RTCP
    /// reports.
    pub remote_mos: Option<Mos>,
    /// What the peer's jitter buffer threw away of what we sent, in 1/256 (RFC 3611 section 4.7).
    pub remote_fraction_discarded: Option<u8>,
    /// Packets from an address that is not the peer's: dropped.
    pub foreign: u64,
    /// Packets whose tag was wrong, or that had come before (SRTP): dropped.
    pub unauthentic: u64,
    /// Packets that are no RTP or RTCP, or whose lengths lie: dropped.
    pub malformed: u64,
    /// Packets of a payload type that was not agreed: dropped.
    pub unknown_payload_type: u64,
    /// Packets that came too late to be forwarded (of an old source, or after a stall of ours): dropped.
    pub late: u64,
    /// Milliseconds of the peer's audio that were missing where it was decoded, and were made up (pauses of a peer that
    /// suppresses silence included).
    pub concealed_ms: u64,
    /// Milliseconds put in and taken out where its audio was decoded, to follow its clock and jitter.
    pub stretched_ms: u64,
    /// Digits received.
    pub digits_received: u64,
    /// Digits that could not be reported or sent (bound reached, or telephone-event not agreed).
    pub digits_dropped: u64,
    /// Time from the port's opening to the first packet received.
    pub first_packet_after: Option<Duration>,
}

impl Stats {
    /// Takes over what an ear counted.
    pub(crate) fn note(&mut self, ear: Option<&Ear>) {
        let Some(heard) = ear.map(Ear::heard) else { return };
        self.late += heard.late;
        self.concealed_ms += heard.concealed_ms;
        self.stretched_ms += heard.grown_ms + heard.shrunk_ms;
    }
}
