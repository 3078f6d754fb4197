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
    /// Units of the duration in a second (section 2.1). Not on the wire: it is agreed.
    pub(crate) clock: u32,
}

impl Payload {
    pub(crate) fn read(bytes: &[u8], clock: u32) -> Option<Self> {
        let &[event, flags, high, low] = bytes.first_chunk::<4>()?;
        let duration = u16::from_be_bytes([high, low]);
        Some(Self { event, end: flags & 0x80 != 0, volume: flags & 0x3f, duration, clock })
    }

    /// The same with its duration at another clock. What does not fit there stays at the most there is: a long press remains one.
    pub(crate) fn at(self, clock: u32) -> Self {
        Self { duration: u16::try_from(self.units(clock)).unwrap_or(u16::MAX), clock, ..self }
    }

    /// Its duration in units of another clock.
    pub(crate) fn units(self, clock: u32) -> u32 {
        let units = u64::from(self.duration) * u64::from(clock) / u64::from(self.clock.max(1));
        u32::try_from(units).unwrap_or(u32::MAX)
    }

    pub(crate) fn write(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.event, (self.volume & 0x3f) | if self.end { 0x80 } else { 0 }, high, low]
    }
}

/// The digit of an event code, and back (RFC 4733 section 3.2, table 3).
pub(crate) const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

/// A digit that ended, and how many samples of 8 kHz it lasted.
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
    /// Of its earlier segments, in samples of 8 kHz.
    before: u32,
}

impl Open {
    /// Whether a packet is the next segment of this event, which has outlasted the 16 bits of a duration: 1.4 s at 48 kHz (RFC 4733
    /// section 2.5.1.3). It begins where the one before ends, of which the last packet may be lost.
    fn is_continued_by(&self, timestamp: u32, payload: Payload) -> bool {
        let step = timestamp.wrapping_sub(self.timestamp);
        let (known, most) = (u32::from(self.payload.duration), u32::from(u16::MAX));
        self.payload.event == payload.event && known >= most / 2 && (known..=most).contains(&step)
    }
}

impl DigitReceiver {
    /// Takes an event packet; up to two digits end by it (one whose own end was lost, and its own).
    pub(crate) fn receive(&mut self, now: Monotonic, timestamp: u32, payload: Payload) -> [Option<Pressed>; 2] {
        if self.ended.contains(&Some(timestamp)) {
            return [None, None];
        }
        let mut before = self.open.map_or(0, |open| open.before);
        let lost = match self.open {
            Some(open) if open.timestamp == timestamp => None,
            Some(open) if open.is_continued_by(timestamp, payload) => {
                before += open.payload.units(8000);
                self.is_over(open.timestamp);
                self.open = None;
                None
            }
            _ => {
                before = 0;
                self.end()
            }
        };
        let longest = self.open.map_or(0, |open| open.payload.duration).max(payload.duration);
        self.open = Some(Open { timestamp, payload: Payload { duration: longest, ..payload }, last: now, before });
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
        self.is_over(open.timestamp);
        let digit = *DIGITS.get(usize::from(open.payload.event))?;
        let samples = open.before.saturating_add(open.payload.units(8000));
        Some(Pressed { digit, samples: u16::try_from(samples).unwrap_or(u16::MAX) })
    }

    fn is_over(&mut self, timestamp: u32) {
        self.ended.rotate_right(1);
        self.ended[0] = Some(timestamp);
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
        Payload { event, end, volume: 10, duration, clock: 8000 }
    }

    #[test]
    fn rfc4733_2_1_durations_are_converted_between_clocks() {
        let wide = Payload { clock: 48_000, ..packet(5, true, 4800) };
        assert_eq!((wide.at(8000).duration, wide.at(16_000).duration, wide.units(48_000)), (800, 1600, 4800));
        assert_eq!(packet(5, true, 800).at(48_000).duration, 4800);
        assert_eq!(packet(5, true, 20_000).at(48_000).duration, u16::MAX, "a long press stays one");
        let mut receiver = DigitReceiver::default();
        assert_eq!(receiver.receive(ms(0), 7, wide)[1], Some(Pressed { digit: '5', samples: 800 }));
    }

    #[test]
    fn rfc4733_2_5_1_3_a_key_held_beyond_sixteen_bits_is_one_digit_whose_segments_add_up() {
        let wide = |end, duration| Payload { clock: 48_000, ..packet(9, end, duration) };
        // The last packet of the second segment is lost.
        let mut receiver = DigitReceiver::default();
        let second = 1000 + u32::from(u16::MAX);
        for (timestamp, duration) in [(1000, 48_000), (1000, u16::MAX), (second, 960), (second, 60_000)] {
            assert_eq!(receiver.receive(ms(0), timestamp, wide(false, duration)), [None, None]);
        }
        assert_eq!(receiver.receive(ms(0), 1000, wide(false, 48_000)), [None, None], "late, of the first");
        let third = second + u32::from(u16::MAX);
        let [lost, own] = receiver.receive(ms(0), third, wide(true, 4800));
        assert_eq!((lost, own), (None, Some(Pressed { digit: '9', samples: 10_922 + 10_000 + 800 })));
        // The same key again a little later is another press.
        receiver.receive(ms(0), third + 9600, wide(false, 960));
        let [first, again] = receiver.receive(ms(0), third + 40_000, wide(true, 960));
        assert!(first.is_some() && again.is_some());
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
