//! RTCP of our own, and what the peer's tells us (RFC 3550 section 6).

use crate::{Channel, Mos, Wire, port::Port, receiver::Block};
use clock::{Monotonic, Now};
use rtcp_types::{
    Bye, Compound, Packet, ReceiverReport, ReportBlock, RtcpPacketWriterExt, RtcpWriteError, Sdes, SdesChunk, SdesItem,
    SenderReport,
};
use std::{net::SocketAddr, time::Duration};

/// Room for a report with one block, SDES and BYE.
pub(crate) const ROOM: usize = 256;
/// RFC 3550 section 6.2: the least interval between reports.
const INTERVAL: Duration = Duration::from_secs(5);
/// Seconds from 1900 to 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// NTP time of a reading: seconds since 1900 and their 32-bit fraction.
pub(crate) fn ntp(now: Now) -> u64 {
    let fraction = (u64::from(now.unix.subsec_nanos()) << 32) / 1_000_000_000;
    ((now.unix.as_secs() + NTP_OFFSET) << 32) | fraction
}

/// The time until the next report (RFC 3550 section 6.3.1): half to one and a half of the interval by chance, made up for
/// timer reconsideration; half of that before the first.
pub(crate) fn interval(chance: u32, first: bool) -> Duration {
    let spread = 0.5 + f64::from(chance) / f64::from(u32::MAX);
    let interval = INTERVAL.mul_f64(spread / 1.218_28);
    if first { interval / 2 } else { interval }
}

/// What a report of ours says.
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    pub(crate) cname: &'a str,
    /// When we sent lately: NTP time, RTP timestamp, packets, octets.
    pub(crate) sent: Option<(u64, u32, u64, u64)>,
    pub(crate) block: Option<Block>,
    pub(crate) bye: bool,
}

impl Report<'_> {
    /// Writes the compound packet; its length.
    #[expect(clippy::cast_possible_truncation, reason = "counts wrap on the wire")]
    pub(crate) fn write(&self, into: &mut [u8; ROOM]) -> Result<usize, RtcpWriteError> {
        let block = self.block.map(|block| {
            ReportBlock::builder(block.ssrc)
                .fraction_lost(block.fraction_lost)
                .cumulative_lost(block.cumulative_lost)
                .extended_sequence_number(block.highest)
                .interarrival_jitter(block.jitter)
                .last_sender_report_timestamp(block.last_sr)
                .delay_since_last_sender_report_timestamp(block.delay)
        });
        let mut compound = Compound::builder();
        if let Some((ntp, timestamp, packets, octets)) = self.sent {
            let mut report = SenderReport::builder(self.ssrc)
                .ntp_timestamp(ntp)
                .rtp_timestamp(timestamp)
                .packet_count(packets as u32)
                .octet_count(octets as u32);
            if let Some(block) = block {
                report = report.add_report_block(block);
            }
            compound = compound.add_packet(report);
        } else {
            let mut report = ReceiverReport::builder(self.ssrc);
            if let Some(block) = block {
                report = report.add_report_block(block);
            }
            compound = compound.add_packet(report);
        }
        let cname = SdesItem::builder(SdesItem::CNAME, self.cname);
        compound = compound.add_packet(Sdes::builder().add_chunk(SdesChunk::builder(self.ssrc).add_item(cname)));
        if self.bye {
            compound = compound.add_packet(Bye::builder().add_source(self.ssrc));
        }
        compound.write_into(into)
    }
}

/// What a peer's compound packet says of use to us.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// NTP time of its sender report, and how many packets it has sent.
    pub(crate) sender_report: Option<(u64, u32)>,
    /// It is a report, be it empty: whom it hears it would say.
    pub(crate) reports: bool,
    /// Its block about our SSRC.
    pub(crate) about_us: Option<AboutUs>,
    /// Its VoIP metrics about our SSRC.
    pub(crate) voip: Option<Voip>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AboutUs {
    pub(crate) fraction_lost: u8,
    pub(crate) lost: i32,
    /// In timestamp units.
    pub(crate) jitter: u32,
    pub(crate) round_trip: Option<Duration>,
}

/// What a VoIP Metrics block says of use to us (RFC 3611 section 4.7); 127 stands for what it does not know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Voip {
    pub(crate) fraction_discarded: u8,
    pub(crate) round_trip: Option<Duration>,
    /// Conversational quality, else listening quality.
    pub(crate) mos: Option<Mos>,
}

/// Block type and length in bytes of a VoIP Metrics block.
const VOIP: (u8, usize) = (7, 36);

impl Voip {
    /// Looks for the block about `ssrc` in an extended report, which is whole.
    fn find(report: &[u8], ssrc: u32) -> Option<Self> {
        let mut rest = report.get(8..)?;
        while let Some(&[kind, _, high, low]) = rest.first_chunk() {
            let length = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
            let block = rest.get(..length)?;
            if (kind, length) == VOIP && block[4..8] == ssrc.to_be_bytes() {
                return Some(Self::read(block));
            }
            rest = &rest[length..];
        }
        None
    }

    fn read(block: &[u8]) -> Self {
        let trip = u16::from_be_bytes([block[16], block[17]]);
        let mos = [block[27], block[26]].into_iter().find(|tenths| (10..=50).contains(tenths));
        Self {
            fraction_discarded: block[9],
            round_trip: (trip > 0).then(|| Duration::from_millis(trip.into())),
            mos: mos.map(|tenths| Mos(u16::from(tenths) * 10)),
        }
    }
}

/// Reads a compound packet; `None` when it is none.
pub(crate) fn read(now: Now, bytes: &[u8], ssrc: u32) -> Option<Heard> {
    let mut heard = Heard::default();
    let mut rest = bytes;
    for packet in Compound::parse(bytes).ok()? {
        let packet = packet.ok()?;
        let &[_, _, high, low] = rest.first_chunk()?;
        let this;
        (this, rest) = rest.split_at_checked(4 + 4 * usize::from(u16::from_be_bytes([high, low])))?;
        let mut take = |block: ReportBlock<'_>| {
            if block.ssrc() == ssrc {
                heard.about_us = Some(about_us(now, &block));
            }
        };
        match packet {
            Packet::Sr(report) => {
                report.report_blocks().for_each(&mut take);
                heard.sender_report = Some((report.ntp_timestamp(), report.packet_count()));
                heard.reports = true;
            }
            Packet::Rr(report) => {
                report.report_blocks().for_each(&mut take);
                heard.reports = true;
            }
            Packet::Xr(_) => heard.voip = Voip::find(this, ssrc).or(heard.voip),
            _ => {}
        }
    }
    Some(heard)
}

#[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits of NTP time are meant")]
fn about_us(now: Now, block: &ReportBlock<'_>) -> AboutUs {
    let arrival = (ntp(now) >> 16) as u32;
    let (last, delay) = (block.last_sender_report_timestamp(), block.delay_since_last_sender_report_timestamp());
    let trip = arrival.wrapping_sub(last).wrapping_sub(delay);
    // A trip of more than a minute is a lie or a wrap.
    let round_trip = (last != 0 && trip < 60 << 16).then(|| Duration::from_secs_f64(f64::from(trip) / 65_536.0));
    let lost = (block.cumulative_lost() << 8).cast_signed() >> 8;
    AboutUs { fraction_lost: block.fraction_lost(), lost, jitter: block.interarrival_jitter(), round_trip }
}

/// When the first report is due.
pub(crate) fn first(now: Monotonic, chance: u32) -> Monotonic {
    now + interval(chance, true)
}

impl Port {
    /// Sends a report: SR when we sent since the last one, RR otherwise (RFC 3550 section 6.4).
    pub(crate) fn report(&mut self, now: Now, chance: u32, bye: bool, wire: &mut impl Wire) {
        self.rtcp_due = now.monotonic + interval(chance, false);
        // Who never sent anything has nothing to take leave of (RFC 3550 section 6.3.7).
        if bye && self.sender.packets == 0 && !self.reported {
            return;
        }
        let Some((to, cname)) = self.rtcp_outlet() else { return };
        let sent = self.sender.packets > std::mem::replace(&mut self.reported_packets, self.sender.packets);
        let report = Report {
            ssrc: self.sender.ssrc,
            cname: &cname,
            sent: sent.then(|| {
                let timestamp = self.sender.timestamp_at(now.monotonic);
                let (packets, octets) = self.sender.sent_so_far();
                (ntp(now), timestamp, packets, octets)
            }),
            block: self.receiver.report(now.monotonic),
            bye,
        };
        let mut room = [0; ROOM];
        let Ok(length) = report.write(&mut room) else { return };
        self.reported = true;
        let muxed = self.stream.as_ref().is_some_and(|stream| stream.rtcp_mux);
        let channel = if muxed { Channel::Rtp } else { Channel::Rtcp };
        match &mut self.srtp {
            None => wire.transmit(self.slot, channel, to, &room[..length]),
            Some(srtp) => {
                if let Some(packet) = srtp.protect_rtcp(&room[..length]) {
                    wire.transmit(self.slot, channel, to, &packet);
                }
            }
        }
    }

    /// Where RTCP goes (the peer's own address when it was learned), and the canonical name: one for the port's life that
    /// says nothing of the host (RFC 7022).
    fn rtcp_outlet(&self) -> Option<(SocketAddr, String)> {
        let (stream, latch) = (self.stream.as_ref()?, self.latch.as_ref()?);
        let media = latch.destination();
        let beside = SocketAddr::new(media.ip(), media.port().saturating_add(1));
        let described = if media == stream.remote { stream.remote_rtcp } else { beside };
        let learned = self.rtcp_peer.filter(|peer| peer.ip() == media.ip());
        let to = if stream.rtcp_mux { media } else { learned.unwrap_or(described) };
        let usable = to.port() != 0 && !to.ip().is_unspecified();
        usable.then(|| (to, format!("{:08x}", self.sender.ssrc.rotate_left(13) ^ 0x5bd1_e995)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Now {
        Now { monotonic: Monotonic::ORIGIN, unix: Duration::from_secs(1_900_000_000) }.after(Duration::from_millis(ms))
    }

    #[test]
    fn rfc3550_6_4_1_round_trip_is_arrival_less_lsr_less_dlsr() {
        #[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits")]
        let last_sr = (ntp(at(0)) >> 16) as u32;
        let block =
            Block { ssrc: 7, fraction_lost: 3, cumulative_lost: 5, highest: 9, jitter: 80, last_sr, delay: 65_536 / 2 };
        let report = Report { ssrc: 1, cname: "c", sent: Some((1, 2, 3, 4)), block: Some(block), bye: true };
        let mut room = [0; ROOM];
        let length = report.write(&mut room).unwrap();
        let heard = read(at(580), &room[..length], 7).unwrap();
        let about = heard.about_us.unwrap();
        let trip = about.round_trip.unwrap().as_millis();
        assert!((79..=81).contains(&trip), "{trip}");
        assert_eq!((about.fraction_lost, about.lost, about.jitter, heard.sender_report), (3, 5, 80, Some((1, 3))));
    }

    #[test]
    fn rfc3550_6_3_1_reports_keep_their_distance() {
        assert!(interval(0, false) >= Duration::from_millis(2050));
        assert!(interval(u32::MAX, false) <= Duration::from_millis(6160));
        assert!(interval(u32::MAX, true) <= Duration::from_millis(3080));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 200u8..208, words: u16, honest: bool
        ) {
            if bytes.len() >= 4 {
                let words = if honest { u16::try_from(bytes.len() / 4 - 1).unwrap() } else { words };
                bytes[0] = 0x80 | (bytes[0] & 0x3f);
                bytes[1] = kind;
                bytes[2..4].copy_from_slice(&words.to_be_bytes());
            }
            let _ = read(at(0), &bytes, 7);
        }
    }
}
