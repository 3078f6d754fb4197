//! Telephone-events (RFC 4733): read from a port, and generated toward one.

use clock::Monotonic;
use std::{collections::VecDeque, time::Duration};

/// An event without a packet for so long has ended, though its end was lost.
pub(crate) const LOST_END: Duration = Duration::from_millis(150);
/// Digits waiting to be sent toward one port.
const MAX_WAITING: usize = 64;
/// Samples of tone and of pause of a digit we send.
pub(crate) const TONE: u16 = 800;
pub(crate) const PAUSE: u16 = 480;

/// The four bytes of an event (RFC 4733 section 2.3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) event: u8,
    pub(crate) end: bool,
    pub(crate) volume: u8,
    pub(crate) duration: u16,
}

impl Payload {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let &[event, flags, high, low] = bytes.first_chunk::<4>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration })
    }

    pub(crate) fn write(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (self.volume & 0x3f) | if self.end { 0x80 } else { 0 }, high, low]
    }
}

/// The digit of an event code, and back (RFC 4733 section 3.2, table 3).
pub(crate) const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// A digit that ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pressed {
    pub(crate) digit: char,
    pub(crate) samples: u16,
}

/// Digits received: each once, by its timestamp.
#[derive(Debug, Default)]
pub(crate) struct DigitReceiver {
    open: Option<Open>,
    /// Timestamps of the last events that ended.
    ended: [Option<u32>; 4],
}

#[derive(Copy, Clone, Debug)]
struct Open {
    timestamp: u32,
    payload: Payload,
    last: Monotonic,
}

impl DigitReceiver {
    /// Takes an event packet; up to two digits end by it (one whose own end was lost, and its own).
    pub(crate) fn receive(&mut self, now: Monotonic, timestamp: u32, payload: Payload) -> [Option<Pressed>; 2] {
        if self.ended.contains(&Some(timestamp)) {
            return [None, None];
        }
        let lost = match self.open {
            Some(open) if open.timestamp != timestamp => self.end(),
            _ => None,
        };
        let longest = self.open.map_or(0, |open| open.payload.duration).max(payload.duration);
        self.open = Some(Open { timestamp, payload: Payload { duration: longest, ..payload }, last: now });
        [lost, if payload.end { self.end() } else { None }]
    }

    /// Ends an event of which nothing is heard any more.
    pub(crate) fn expire(&mut self, now: Monotonic) -> Option<Pressed> {
        if now.since(self.open?.last) >= LOST_END { self.end() } else { None }
    }

    /// The timestamp of the event under way, or of the last one (its end is repeated).
    pub(crate) fn latest(&self) -> Option<u32> {
        self.open.map(|open| open.timestamp).or(self.ended[0])
    }

    fn end(&mut self) -> Option<Pressed> {
        let open = self.open.take()?;
        self.ended.rotate_right(1);
        self.ended[0] = Some(open.timestamp);
        let digit = *DIGITS.get(usize::from(open.payload.event))?;
        Some(Pressed { digit, samples: open.payload.duration })
    }
}

/// Digits on their way toward a port.
#[derive(Debug, Default)]
pub(crate) struct DigitSender {
    pub(crate) waiting: VecDeque<u8>,
    pub(crate) state: Sending,
}

/// What is sent in the next packet's time.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) enum Sending {
    #[default]
    Idle,
    Tone {
        event: u8,
        /// `None` before the first packet.
        timestamp: Option<u32>,
        duration: u16,
    },
    /// Encoded silence between digits.
    Pause { left: u16 },
}

impl DigitSender {
    /// Queues digits; returns how many found no place or are none.
    pub(crate) fn queue(&mut self, digits: &str) -> u64 {
        let mut dropped = 0;
        for digit in digits.chars() {
            let event =
                DIGITS.iter().position(|d| *d == digit.to_ascii_uppercase()).and_then(|at| u8::try_from(at).ok());
            match event {
                Some(event) if self.waiting.len() < MAX_WAITING => self.waiting.push_back(event),
                _ => dropped += 1,
            }
        }
        dropped
    }

    /// True while digits pre-empt the port's source. Takes the next digit when idle.
    pub(crate) fn busy(&mut self) -> bool {
        if let Sending::Idle = self.state
            && let Some(event) = self.waiting.pop_front()
        {
            self.state = Sending::Tone { event, timestamp: None, duration: 0 };
        }
        !matches!(self.state, Sending::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Monotonic {
        Monotonic::from_nanos(n * 1_000_000)
    }

    fn packet(event: u8, end: bool, duration: u16) -> Payload {
        Payload { event, end, volume: 10, duration }
    }

    #[test]
    fn rfc4733_2_5_1_4_an_end_sent_three_times_is_one_digit() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.receive(ms(0), 7, packet(1, false, 160)), [None, None]);
        assert_eq!(
            receiver.receive(ms(20), 7, packet(1, true, 320)),
            [None, Some(Pressed { digit: '1', samples: 320 })]
        );
        assert_eq!(receiver.receive(ms(20), 7, packet(1, true, 320)), [None, None]);
        assert_eq!(receiver.receive(ms(21), 7, packet(1, false, 160)), [None, None], "reordered");
        assert_eq!(receiver.latest(), Some(7));
    }

    #[test]
    fn a_digit_whose_end_is_lost_ends_with_the_next_or_by_time() {
        let mut receiver = DigitReceiver::default();
        receiver.receive(ms(0), 7, packet(11, false, 160));
        let [lost, own] = receiver.receive(ms(100), 900, packet(2, false, 160));
        assert_eq!((lost, own), (Some(Pressed { digit: '#', samples: 160 }), None));
        assert_eq!(receiver.expire(ms(200)), None);
        assert_eq!(receiver.expire(ms(250)), Some(Pressed { digit: '2', samples: 160 }));
        assert_eq!(receiver.expire(ms(500)), None);
    }

    #[test]
    fn events_that_are_no_digits_are_not_reported() {
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.receive(ms(0), 7, packet(66, true, 160)), [None, None]);
    }

    #[test]
    fn digits_waiting_to_be_sent_are_bounded() {
        let mut sender = DigitSender::default();
        assert_eq!(sender.queue("12x4*#aD"), 1);
        assert_eq!(sender.queue(&"5".repeat(100)), 100 - (64 - 7));
    }
}
