//! The receiving side of a port's statistics (RFC 3550 sections 6.4.1, A.1, A.3 and A.8), and which packets belong to
//! the stream that is heard now.

use crate::{
    CLOCK_RATE,
    packet::Rtp,
    sender::{playing_at, samples_at},
};
use clock::Monotonic;
use std::time::Duration;

const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;
/// An SSRC that was replaced comes back only after its successor was silent for so long.
const HOLD_DOWN: Duration = Duration::from_millis(200);

/// How a packet relates to the stream heard so far.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Continues,
    /// Another SSRC, or the same after its numbers jumped: a new source.
    Begins,
    /// A packet of the source before this one, or the first after a jump: not to be forwarded.
    Stray,
}

/// What is received from a port's peer.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    stream: Option<Received>,
    previous: Option<u32>,
    /// Losses of earlier streams.
    lost_before: i64,
    jitter_highest: u32,
    /// Middle 32 bits of the NTP time of the peer's last sender report, and when it came.
    sender_report: Option<(u32, Monotonic)>,
    /// Timestamp units a second; zero stands for the telephone's 8000.
    clock: u32,
}

#[derive(Debug)]
struct Received {
    ssrc: u32,
    base: u32,
    /// Highest sequence, extended by its cycles.
    highest: u32,
    received: u32,
    expected_prior: u32,
    received_prior: u32,
    transit: Option<u32>,
    /// In timestamp units, times 16.
    jitter: u32,
    /// The sequence that would confirm a jump.
    jumped_to: Option<u16>,
    last: Monotonic,
}

/// What a report block says (RFC 3550 section 6.4.1).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) ssrc: u32,
    pub(crate) fraction_lost: u8,
    pub(crate) cumulative_lost: u32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
    pub(crate) last_sr: u32,
    pub(crate) delay: u32,
}

impl Receiver {
    #[inline]
    pub(crate) fn accept(&mut self, now: Monotonic, packet: &Rtp) -> Verdict {
        let Some(stream) = &mut self.stream else {
            self.stream = Some(Received::new(packet, now));
            return Verdict::Begins;
        };
        if stream.ssrc != packet.ssrc {
            if self.previous == Some(packet.ssrc) && now.since(stream.last) < HOLD_DOWN {
                return Verdict::Stray;
            }
            self.previous = Some(stream.ssrc);
            return self.begin(now, packet);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the sequence is the low half")]
        let ahead = packet.sequence.wrapping_sub(stream.highest as u16);
        if ahead < MAX_DROPOUT {
            stream.highest = stream.highest.wrapping_add(u32::from(ahead));
        } else if ahead <= u16::MAX - MAX_MISORDER {
            if stream.jumped_to == Some(packet.sequence) {
                return self.begin(now, packet);
            }
            stream.jumped_to = Some(packet.sequence.wrapping_add(1));
            return Verdict::Stray;
        }
        stream.received = stream.received.wrapping_add(1);
        stream.last = now;
        Verdict::Continues
    }

    fn begin(&mut self, now: Monotonic, packet: &Rtp) -> Verdict {
        self.lost_before += self.stream.as_ref().map_or(0, Received::lost);
        self.stream = Some(Received::new(packet, now));
        Verdict::Begins
    }

    /// Jitter by an audio packet's arrival (telephone-events repeat their timestamp and say nothing).
    #[inline]
    pub(crate) fn time(&mut self, now: Monotonic, timestamp: u32) {
        let clock = self.clock();
        let Some(stream) = &mut self.stream else { return };
        let transit = samples_at(now.since(Monotonic::ORIGIN), clock).wrapping_sub(timestamp);
        if let Some(before) = stream.transit.replace(transit) {
            let difference = transit.wrapping_sub(before).cast_signed().unsigned_abs().min(1 << 20);
            stream.jitter = (stream.jitter + difference).saturating_sub((stream.jitter + 8) >> 4);
            self.jitter_highest = self.jitter_highest.max(stream.jitter >> 4);
        }
    }

    pub(crate) fn last_packet(&self) -> Option<Monotonic> {
        self.stream.as_ref().map(|stream| stream.last)
    }

    pub(crate) fn lost(&self) -> i64 {
        self.lost_before + self.stream.as_ref().map_or(0, Received::lost)
    }

    pub(crate) fn jitter(&self) -> Duration {
        playing_at(self.stream.as_ref().map_or(0, |stream| stream.jitter >> 4), self.clock())
    }

    pub(crate) fn jitter_highest(&self) -> Duration {
        playing_at(self.jitter_highest, self.clock())
    }

    /// The peer's timestamps run at this rate from now on.
    pub(crate) fn set_clock(&mut self, clock: u32) {
        if clock != self.clock() {
            self.jitter_highest = samples_at(playing_at(self.jitter_highest, self.clock()), clock);
            if let Some(stream) = &mut self.stream {
                (stream.transit, stream.jitter) = (None, 0);
            }
        }
        self.clock = clock;
    }

    fn clock(&self) -> u32 {
        if self.clock == 0 { CLOCK_RATE } else { self.clock }
    }

    /// The peer's sender report came.
    pub(crate) fn sender_report(&mut self, now: Monotonic, ntp: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "the middle 32 bits are meant")]
        let middle = (ntp >> 16) as u32;
        self.sender_report = Some((middle, now));
    }

    /// What our report says of the peer's stream; the interval for the fraction starts anew.
    pub(crate) fn report(&mut self, now: Monotonic) -> Option<Block> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let interval = expected.wrapping_sub(stream.expected_prior);
        let received = stream.received.wrapping_sub(stream.received_prior);
        (stream.expected_prior, stream.received_prior) = (expected, stream.received);
        let lost = interval.saturating_sub(received);
        let fraction = (u64::from(lost) << 8).checked_div(u64::from(interval)).unwrap_or(0).min(255);
        let (last_sr, delay) = self.sender_report.map_or((0, 0), |(middle, at)| {
            let delay = now.since(at).as_nanos() * 65_536 / 1_000_000_000;
            (middle, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        Some(Block {
            ssrc: stream.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            // 24 bits, signed in RFC 3550; what is lost is never reported as less than nothing.
            cumulative_lost: u32::try_from(stream.lost().clamp(0, 0x7f_ffff)).unwrap_or(0),
            highest: stream.highest,
            jitter: stream.jitter >> 4,
            last_sr,
            delay,
        })
    }
}

impl Received {
    fn new(packet: &Rtp, now: Monotonic) -> Self {
        let base = u32::from(packet.sequence);
        Self {
            ssrc: packet.ssrc,
            base,
            highest: base,
            received: 1,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
            jumped_to: None,
            last: now,
        }
    }

    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }

    fn lost(&self) -> i64 {
        i64::from(self.expected()) - i64::from(self.received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ssrc: u32, sequence: u16) -> Rtp {
        Rtp { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc, payload: 12..12 }
    }

    fn ms(n: u64) -> Monotonic {
        Monotonic::from_nanos(n * 1_000_000)
    }

    #[test]
    fn rfc3550_a_3_loss_is_counted_over_the_wrap_and_reordering_is_none() {
        let mut receiver = Receiver::default();
        for (at, sequence) in [65_533u16, 65_535, 65_534, 1, 2].into_iter().enumerate() {
            receiver.accept(ms(at as u64 * 20), &packet(9, sequence));
        }
        assert_eq!(receiver.lost(), 1, "only 0 is missing");
        let block = receiver.report(ms(100)).unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost, block.highest), (1, 42, 65_536 + 2));
        receiver.accept(ms(120), &packet(9, 3));
        assert_eq!(receiver.report(ms(120)).unwrap().fraction_lost, 0, "the interval starts anew");
    }

    #[test]
    fn rfc3550_a_8_jitter_follows_the_spread_of_transit_times() {
        let mut receiver = Receiver::default();
        receiver.accept(ms(0), &packet(9, 0));
        for n in 0..200u32 {
            let late = if n % 2 == 0 { 0 } else { 5 };
            receiver.time(ms(u64::from(n) * 20 + late), n * 160);
        }
        let jitter = receiver.jitter().as_micros();
        assert!((4500..=5000).contains(&jitter), "transit alternates by 5 ms, jitter says {jitter} us");
    }

    #[test]
    fn rfc3550_a_1_a_jump_is_a_new_source_once_a_second_packet_confirms_it() {
        let mut receiver = Receiver::default();
        assert_eq!(receiver.accept(ms(0), &packet(9, 10)), Verdict::Begins);
        assert_eq!(receiver.accept(ms(20), &packet(9, 40_000)), Verdict::Stray);
        assert_eq!(receiver.accept(ms(40), &packet(9, 11)), Verdict::Continues);
        assert_eq!(receiver.accept(ms(60), &packet(9, 50_000)), Verdict::Stray);
        assert_eq!(receiver.accept(ms(80), &packet(9, 50_001)), Verdict::Begins);
    }

    #[test]
    fn stragglers_of_a_replaced_ssrc_are_strays_until_its_successor_falls_silent() {
        let mut receiver = Receiver::default();
        receiver.accept(ms(0), &packet(1, 0));
        assert_eq!(receiver.accept(ms(20), &packet(2, 500)), Verdict::Begins);
        assert_eq!(receiver.accept(ms(21), &packet(1, 1)), Verdict::Stray);
        assert_eq!(receiver.accept(ms(40), &packet(2, 501)), Verdict::Continues);
        assert_eq!(receiver.accept(ms(400), &packet(1, 2)), Verdict::Begins);
    }
}
