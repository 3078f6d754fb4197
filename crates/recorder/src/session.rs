//! One recording's audio: frames in, samples of all channels out.

use crate::{RATE, channel::Placed, lanes::Lanes};
use clock::Monotonic;
use media_relay::{Codec, Decoder, Frame, MAX_DECODED};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Samples are given out when they are this old: by then whatever will come has come, through the tap's blocks and past the
/// network's jitter.
pub const HOLD: Duration = Duration::from_millis(500);

/// Channels of one recording.
const MAX_CHANNELS: usize = 8;
/// Pauses that wait to be given out; of more, those in between are kept out too.
const MAX_PAUSES: usize = 64;

/// What is missing in a recording that should be there.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaws {
    /// Frames the relay left out because nobody took them away in time.
    pub dropped_frames: u64,
    /// Frames that came too late to find their place.
    pub late_frames: u64,
    /// Times the disk refused something.
    pub write_errors: u64,
    /// Audio that is silence because the disk did not take it, in milliseconds.
    pub unwritten_ms: u64,
}

impl Flaws {
    /// Nothing is missing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One recording, from its start to its finish, on the relay's clock.
#[derive(Debug)]
pub struct Session {
    start: Monotonic,
    channels: Vec<Lanes<Ear>>,
    /// Samples given out, a channel.
    given: u64,
    end: Option<u64>,
    /// In samples; the last may still be open.
    pauses: Vec<(u64, Option<u64>)>,
    room: Box<[i16; MAX_DECODED]>,
    decoded: Vec<i16>,
}

impl Session {
    /// Begins at `start`, with so many channels (from 1 to 8).
    pub fn new(start: Monotonic, channels: usize) -> Self {
        let channels = (0..channels.clamp(1, MAX_CHANNELS)).map(|_| Lanes::new()).collect();
        let (room, decoded) = (Box::new([0; MAX_DECODED]), Vec::new());
        Self { start, channels, given: 0, end: None, pauses: Vec::new(), room, decoded }
    }

    /// How many channels there are.
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Samples given out so far, a channel.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Frames that found no place.
    pub fn late_frames(&self) -> u64 {
        self.channels.iter().map(Lanes::late).sum()
    }

    /// Audio passed the relay.
    pub fn frame(&mut self, frame: &Frame, payload: &[u8]) {
        let Some(channel) = self.channels.get_mut(usize::from(frame.channel)) else { return };
        let unit = frame.codec.clock_rate() / RATE;
        let placed = Placed {
            // Timestamps of another unit are those of another source.
            source: u64::from(unit) << 32 | u64::from(frame.source),
            unit: unit.into(),
            timestamp: frame.timestamp,
            arrival: position(self.start, frame.at),
        };
        let (room, decoded) = (&mut self.room, &mut self.decoded);
        decoded.clear();
        let fits = |ear: &Ear| ear.codec == frame.codec;
        channel.frame(
            placed,
            fits,
            || Ear::new(frame.codec),
            |ear, lane| {
                ear.hear(payload, room, decoded);
                lane.frame(placed, decoded);
            },
        );
    }

    /// From `at` on nothing is kept.
    pub fn pause(&mut self, at: Monotonic) {
        let (at, many) = (self.sample(at), self.pauses.len() >= MAX_PAUSES);
        match self.pauses.last_mut() {
            Some((_, None)) => {}
            // Rather too much kept out than too little.
            Some((_, until)) if many => *until = None,
            _ => self.pauses.push((at, None)),
        }
    }

    /// From `at` on everything is kept again.
    pub fn resume(&mut self, at: Monotonic) {
        let at = self.sample(at);
        if let Some((_, until @ None)) = self.pauses.last_mut() {
            *until = Some(at);
        }
    }

    /// The recording ends at `at`.
    pub fn finish(&mut self, at: Monotonic) {
        let end = self.sample(at).max(self.given);
        self.end.get_or_insert(end);
    }

    /// Everything was given out.
    pub fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.given >= end)
    }

    /// Appends the samples that are old enough at `now`, interleaved, and says how many there are a channel.
    pub fn take(&mut self, now: Monotonic, samples: &mut Vec<i16>) -> usize {
        self.take_until(now - HOLD, samples)
    }

    /// Appends everything up to the end, without waiting for what may still come.
    pub fn take_rest(&mut self, samples: &mut Vec<i16>) -> usize {
        self.take_until(Monotonic::from_nanos(u64::MAX), samples)
    }

    fn take_until(&mut self, until: Monotonic, samples: &mut Vec<i16>) -> usize {
        let until = self.sample(until).min(self.end.unwrap_or(u64::MAX));
        let count = match self.end {
            // A clock that leaps makes no endless file.
            None => until.saturating_sub(self.given).min(u64::from(RATE) * 60),
            Some(_) => until.saturating_sub(self.given),
        };
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 {
            return 0;
        }
        let (start, width) = (samples.len(), self.channels.len());
        samples.resize(start + count * width, 0);
        let out = &mut samples[start..];
        for (number, channel) in self.channels.iter_mut().enumerate() {
            channel.take(out, width, number);
        }
        let given = self.given + count as u64;
        for (from, until) in &self.pauses {
            let within = |at: u64| usize::try_from(at.clamp(self.given, given) - self.given).unwrap_or(0) * width;
            out[within(*from)..within(until.unwrap_or(u64::MAX).max(*from))].fill(0);
        }
        self.pauses.retain(|(_, until)| until.is_none_or(|until| until > given));
        self.given = given;
        count
    }

    fn sample(&self, at: Monotonic) -> u64 {
        u64::try_from(position(self.start, at)).unwrap_or(0)
    }
}

/// Samples from `start` to `at`.
fn position(start: Monotonic, at: Monotonic) -> i64 {
    let samples = |duration: Duration| {
        i64::try_from(duration.as_nanos() * u128::from(RATE) / 1_000_000_000).unwrap_or(i64::MAX / 2)
    };
    if at >= start { samples(at.since(start)) } else { -samples(start.since(at)) }
}

/// One source's way from payloads to samples at [`RATE`].
#[derive(Debug)]
struct Ear {
    codec: Codec,
    decoder: Decoder,
    /// The last samples at 16 kHz, for the filter that halves the rate.
    before: [i16; 6],
}

impl Ear {
    fn new(codec: Codec) -> Self {
        Self { codec, decoder: Decoder::new(codec), before: [0; 6] }
    }

    fn hear(&mut self, payload: &[u8], room: &mut [i16; MAX_DECODED], samples: &mut Vec<i16>) {
        let count = self.decoder.decode(payload, room);
        let heard = &room[..count];
        if self.codec.sample_rate() == RATE {
            return samples.extend_from_slice(heard);
        }
        // A half-band filter, then every other sample.
        let wide: Vec<i16> = self.before.iter().chain(heard).copied().collect();
        samples.extend(wide.windows(7).step_by(2).map(|w| {
            let sum =
                16 * i32::from(w[3]) + 9 * (i32::from(w[2]) + i32::from(w[4])) - i32::from(w[0]) - i32::from(w[6]);
            i16::try_from((sum / 32).clamp(i16::MIN.into(), i16::MAX.into())).unwrap_or(0)
        }));
        if let Some(last) = wide.last_chunk::<6>() {
            self.before = *last;
        }
    }
}
