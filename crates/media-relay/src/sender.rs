//! The one continuous sender toward a leg: numbers of packets, whatever their source.

use crate::{
    codec::CLOCK_RATE,
    packet::{after, later},
};
use clock::Monotonic;
use std::time::Duration;

/// The fraction of a second that the time line of a source may wander from the sender's own before a switch follows the
/// source.
const WANDERING: u32 = 10;

/// Timestamp units in a stretch of time, at so many a second.
pub(crate) fn samples_at(duration: Duration, clock: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "timestamps are a circle")]
    let units = (duration.as_nanos() * u128::from(clock) / 1_000_000_000) as u32;
    units
}

/// The time that timestamp units take, at so many a second.
pub(crate) fn playing_at(units: u32, clock: u32) -> Duration {
    Duration::from_nanos(u64::from(units) * 1_000_000_000 / u64::from(clock.max(1)))
}

/// The time that units of the telephone's clock take.
pub(crate) fn playing(units: u32) -> Duration {
    playing_at(units, CLOCK_RATE)
}

/// One SSRC for life; sequence and timestamp go on over every switch of source.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) ssrc: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    /// Timestamp units a second.
    pub(crate) clock: u32,
    /// Packets and octets under earlier SSRCs.
    earlier: (u64, u64),
    /// Where the next packet stands when none was sent yet.
    first: (u16, u32),
    last: Option<Last>,
}

#[derive(Copy, Clone, Debug)]
struct Last {
    /// The highest sequence sent.
    sequence: u16,
    /// The latest audio sent: its timestamp, when, and how much of it.
    timestamp: u32,
    at: Monotonic,
    samples: u32,
    /// A point of the sender's own time line.
    origin: (Monotonic, u32),
}

impl Sender {
    pub(crate) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        let first = (sequence, timestamp);
        Self { ssrc, packets: 0, octets: 0, clock: CLOCK_RATE, earlier: (0, 0), first, last: None }
    }

    /// From now on the clock runs at another rate: under a new SSRC, unless nothing was sent yet (RFC 7160 section 4.1).
    pub(crate) fn change_clock(&mut self, clock: u32, ssrc: u32, sequence: u16, timestamp: u32) {
        if self.last.take().is_some() {
            (self.ssrc, self.first, self.earlier) = (ssrc, (sequence, timestamp), (self.packets, self.octets));
        }
        self.clock = clock;
    }

    /// Packets and octets under the present SSRC.
    pub(crate) fn sent_so_far(&self) -> (u64, u64) {
        (self.packets - self.earlier.0, self.octets - self.earlier.1)
    }

    /// When the audio sent so far has been played out by a listener without delay.
    pub(crate) fn covered_until(&self) -> Option<Monotonic> {
        self.last.map(|last| last.at + playing_at(last.samples, self.clock))
    }

    /// When the latest packet was sent.
    pub(crate) fn last_sent(&self) -> Option<Monotonic> {
        self.last.map(|last| last.at)
    }

    /// Sequence and timestamp with which a new source starts: highest sent + 1, and as much later as time has passed,
    /// but never inside audio already sent.
    pub(crate) fn start(&mut self, now: Monotonic) -> (u16, u32) {
        let Some(last) = &mut self.last else { return self.first };
        let (clock, wandering) = (self.clock, self.clock / WANDERING);
        let by_last = last.timestamp.wrapping_add(samples_at(now.since(last.at), clock));
        let mut timestamp = last.origin.1.wrapping_add(samples_at(now.since(last.origin.0), clock));
        if timestamp.wrapping_sub(by_last).wrapping_add(wandering) > 2 * wandering {
            timestamp = by_last;
            last.origin = (now, by_last);
        }
        let free = last.timestamp.wrapping_add(last.samples);
        if later(free, timestamp) {
            timestamp = free;
        }
        (last.sequence.wrapping_add(1), timestamp)
    }

    /// The next sequence, and the timestamp right after the audio already sent.
    pub(crate) fn next(&self) -> (u16, u32) {
        self.last.map_or(self.first, |last| (last.sequence.wrapping_add(1), last.timestamp.wrapping_add(last.samples)))
    }

    /// A packet left.
    pub(crate) fn sent(&mut self, at: Monotonic, sequence: u16, timestamp: u32, samples: u32, octets: usize) {
        self.packets += 1;
        self.octets += octets as u64;
        match &mut self.last {
            Some(last) => {
                if after(sequence, last.sequence) {
                    last.sequence = sequence;
                    if later(timestamp, last.timestamp) {
                        (last.timestamp, last.at, last.samples) = (timestamp, at, samples);
                    } else if timestamp == last.timestamp {
                        // A telephone-event grows: it stands for the time from its start.
                        last.samples = last.samples.max(samples);
                    }
                }
            }
            None => self.last = Some(Last { sequence, timestamp, at, samples, origin: (at, timestamp) }),
        }
    }

    /// The timestamp that stands for `now` (RFC 3550 section 6.4.1).
    pub(crate) fn timestamp_at(&self, now: Monotonic) -> u32 {
        self.last.map_or(self.first.1, |last| last.timestamp.wrapping_add(samples_at(now.since(last.at), self.clock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Monotonic {
        Monotonic::from_nanos(n * 1_000_000)
    }

    #[test]
    fn a_switch_advances_by_the_time_elapsed_and_never_into_audio_already_sent() {
        let mut sender = Sender::new(1, 65_535, u32::MAX);
        assert_eq!(sender.start(ms(100)), (65_535, u32::MAX));
        sender.sent(ms(100), 65_535, u32::MAX, 160, 160);
        assert_eq!(sender.start(ms(140)), (0, 319), "two packets later, over both wraps");
        assert_eq!(sender.start(ms(105)), (0, 159), "five milliseconds later the packet sent still plays");
    }

    #[test]
    fn early_switches_do_not_add_up() {
        let mut sender = Sender::new(1, 0, 0);
        sender.sent(ms(0), 0, 0, 160, 160);
        for (at, sequence) in [(5, 1), (25, 2), (45, 3), (65, 4)] {
            let (_, timestamp) = sender.start(ms(at));
            sender.sent(ms(at), sequence, timestamp, 160, 160);
        }
        assert_eq!(sender.start(ms(1000)), (5, 8000));
    }

    #[test]
    fn a_source_whose_clock_ran_away_is_followed() {
        let mut sender = Sender::new(1, 0, 0);
        sender.sent(ms(0), 0, 0, 160, 160);
        sender.sent(ms(20), 1, 1_000_000, 160, 160);
        assert_eq!(sender.start(ms(520)), (2, 1_004_000));
    }

    #[test]
    fn a_late_packet_moves_nothing_back() {
        let mut sender = Sender::new(1, 0, 0);
        sender.sent(ms(0), 10, 1600, 160, 160);
        sender.sent(ms(1), 9, 1440, 160, 160);
        assert_eq!(sender.next(), (11, 1760));
    }
}
