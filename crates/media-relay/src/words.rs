//! What a port's peer said last, kept while somebody may be told it in the peer's own voice: decoded, and its pauses cut short, so that a few
//! seconds of it are a few seconds of speech. Only where [`crate::Command::Remember`] asks for it; every other packet passes by one test.

use crate::{
    Clip, Codec, PortId, Worker,
    codec::{CLOCK_RATE, QUIET_MEAN_SQUARE},
    packet::Rtp,
    port::Port,
    relay::Content,
    worker::Slot,
};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// So much of a pause is kept: words without any would run into each other.
const PAUSE_MS: usize = 300;
/// A longer stretch that is missing is no loss but a pause.
const LOSS_MS: u64 = 100;
/// Never more than this is kept.
const MOST: Duration = Duration::from_secs(30);

/// What another port's peer said last, as part of a play; of what nobody has kept, nothing is heard.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Whose: a port of the same call.
    pub of: PortId,
    /// So much of it, up to its end.
    pub lasting: Duration,
    /// After so many names of [`crate::Play::first`].
    pub after: usize,
}

/// The memory of one port.
#[derive(Debug)]
pub(crate) struct Memory {
    lasting: Duration,
    /// Whether what is said now is kept.
    pub(crate) listening: bool,
    /// Samples a second of what is kept; 0 before the first.
    rate: u32,
    samples: VecDeque<i16>,
    /// How much of the pause under way is kept, in samples.
    pause: usize,
    /// The source, and the timestamp that its next packet should have.
    next: Option<(u32, u32)>,
}

impl Memory {
    fn new(lasting: Duration) -> Self {
        Self { lasting: lasting.min(MOST), listening: true, rate: 0, samples: VecDeque::new(), pause: 0, next: None }
    }

    /// A packet came. `decoded` is what it was decoded to, of a codec whose loudness is known by nothing else.
    pub(crate) fn take(
        &mut self,
        epoch: u32,
        packet: &Rtp,
        content: Content,
        loud: Option<bool>,
        bytes: &[u8],
        decoded: &[i16],
    ) {
        let Content::Audio(codec) = content else { return };
        let payload = &bytes[packet.payload.clone()];
        let Some(units) = codec.timestamp_units(payload).filter(|_| self.listening) else { return };
        let loud = loud.unwrap_or_else(|| codec.mean_square(payload) >= QUIET_MEAN_SQUARE);
        let from = (epoch, packet.timestamp);
        match codec {
            Codec::Pcmu | Codec::Pcma => {
                self.hear(from, codec, loud, units, payload.iter().map(|it| codec.decode(*it)));
            }
            Codec::L16At8k | Codec::L16At16k => {
                let (pairs, _) = payload.as_chunks::<2>();
                self.hear(from, codec, loud, units, pairs.iter().map(|pair| i16::from_be_bytes(*pair)));
            }
            Codec::G722 | Codec::Opus => self.hear(from, codec, loud, units, decoded.iter().copied()),
        }
    }

    /// A packet's audio. `loud`: above the threshold of silence.
    fn hear(
        &mut self,
        from: (u32, u32),
        codec: Codec,
        loud: bool,
        units: u32,
        samples: impl ExactSizeIterator<Item = i16>,
    ) {
        if self.rate != codec.sample_rate() {
            self.rate = codec.sample_rate();
            self.samples = VecDeque::with_capacity(self.capacity());
            self.next = None;
        }
        let (epoch, timestamp) = from;
        match self.next {
            Some((known, next)) if known == epoch => {
                let ahead = timestamp.wrapping_sub(next).cast_signed();
                let Ok(missing) = u64::try_from(ahead) else { return };
                let missed = usize::try_from(missing * u64::from(self.rate) / u64::from(codec.clock_rate()));
                let missed = missed.unwrap_or(usize::MAX);
                if missing * 1000 > LOSS_MS * u64::from(codec.clock_rate()) {
                    self.pause_for(missed);
                } else {
                    self.keep(std::iter::repeat_n(0, missed));
                }
            }
            // Whatever was before is not what this goes on from.
            _ => self.pause_for(usize::MAX),
        }
        self.next = Some((epoch, timestamp.wrapping_add(units)));
        if loud {
            self.pause = 0;
            self.keep(samples);
        } else {
            let room = self.room().min(samples.len());
            self.pause += room;
            if !self.samples.is_empty() {
                self.keep(samples.take(room));
            }
        }
    }

    /// Nothing is said for so many samples.
    fn pause_for(&mut self, samples: usize) {
        let samples = samples.min(self.room());
        self.pause += samples;
        if !self.samples.is_empty() {
            self.keep(std::iter::repeat_n(0, samples));
        }
    }

    /// How much more of the pause under way may be kept.
    fn room(&self) -> usize {
        (PAUSE_MS * self.rate as usize / 1000).saturating_sub(self.pause)
    }

    fn keep(&mut self, samples: impl ExactSizeIterator<Item = i16>) {
        let capacity = self.capacity();
        let excess = (self.samples.len() + samples.len()).saturating_sub(capacity);
        self.samples.drain(..excess.min(self.samples.len()));
        self.samples.extend(samples);
    }

    fn capacity(&self) -> usize {
        samples_in(self.lasting, self.rate)
    }

    /// The last so much of it, without the pause that it ends with.
    fn last(&self, lasting: Duration) -> Option<Clip> {
        let end = self.samples.len().saturating_sub(self.pause);
        let begin = end.saturating_sub(samples_in(lasting, self.rate));
        let samples: Vec<i16> = self.samples.range(begin..end).copied().collect();
        let clip = if self.rate == CLOCK_RATE { Clip::from_pcm16(&samples) } else { Clip::from_wideband(&samples) };
        Some(clip).filter(|clip| !clip.is_empty())
    }
}

fn samples_in(time: Duration, rate: u32) -> usize {
    usize::try_from(time.as_millis() * u128::from(rate) / 1000).unwrap_or(usize::MAX)
}

impl Port {
    /// What the peer says is kept from now on, or not any more; what is known already stays.
    pub(crate) fn remember(&mut self, lasting: Option<Duration>, listening: bool) {
        match (lasting, &mut self.memory) {
            (None, memory) => *memory = None,
            (Some(lasting), Some(memory)) if memory.lasting == lasting.min(MOST) => memory.listening = listening,
            (Some(lasting), memory) => *memory = Some(Box::new(Memory { listening, ..Memory::new(lasting) })),
        }
        if let Some(memory) = &mut self.memory
            && !listening
        {
            memory.next = None;
        }
    }
}

impl Worker {
    /// What a party of the listener's call said last.
    pub(crate) fn words(&self, listener: Slot, words: &Words) -> Option<Arc<Clip>> {
        let at = |slot: Slot| self.ports.get(slot.0 as usize).and_then(Option::as_deref);
        let speaker = self.slot(words.of).filter(|slot| *slot != listener).and_then(at)?;
        let same_call = at(listener).is_some_and(|listener| listener.call == speaker.call);
        speaker.memory.as_ref().filter(|_| same_call)?.last(words.lasting).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: usize = 160;

    /// A memory of so many seconds, and packets told to it: each letter is 20 ms, `.` quiet, `-` lost, anything else a word of its own loudness.
    fn told(seconds: u64, packets: &str) -> Memory {
        let mut memory = Memory::new(Duration::from_secs(seconds));
        for (number, letter) in packets.chars().enumerate() {
            let timestamp = u32::try_from(number * FRAME).unwrap();
            let value = if letter == '.' { 7 } else { i16::try_from(u32::from(letter)).unwrap() * 10 };
            if letter != '-' {
                memory.hear((1, timestamp), Codec::Pcmu, letter != '.', 160, vec![value; FRAME].into_iter());
            }
        }
        memory
    }

    /// What is left of it, in the same letters.
    fn kept(memory: &Memory, lasting: Duration) -> String {
        let end = memory.samples.len() - memory.pause.min(memory.samples.len());
        let begin = end.saturating_sub(samples_in(lasting, memory.rate));
        let samples: Vec<i16> = memory.samples.range(begin..end).copied().collect();
        let letter = |frame: &[i16]| match frame[0] {
            0 => '-',
            7 => '.',
            value => char::from_u32(u32::from(value.unsigned_abs()) / 10).unwrap(),
        };
        samples.chunks(FRAME).map(letter).collect()
    }

    #[test]
    fn pauses_are_cut_short_and_what_was_said_first_goes_first() {
        let long = Duration::from_secs(60);
        for (said, expected) in [
            ("....abc....", "abc"),
            ("ab..cd", "ab..cd"),
            ("ab....................cd", "ab...............cd"),
            ("ab-cd", "ab-cd"),
            ("ab--------------------cd", "ab---------------cd"),
            ("ab..........----------cd", "ab..........-----cd"),
            ("", ""),
            ("....", ""),
        ] {
            assert_eq!(kept(&told(9, said), long), expected, "{said}");
        }
        let many: String = ('A'..='z').cycle().take(80).collect();
        assert_eq!(kept(&told(1, &many), long), many[30..], "a second is fifty packets");
        assert_eq!(kept(&told(1, &many), Duration::from_millis(60)), many[77..]);
        assert!(told(1, "").last(long).is_none() && told(1, "...").last(long).is_none());
        assert_eq!(told(1, "ab..").last(long).unwrap().duration(), Duration::from_millis(40));
    }

    #[test]
    fn what_comes_late_or_twice_is_not_said_twice_and_a_new_source_begins_after_a_pause() {
        let mut memory = told(9, "abc");
        let again = |memory: &mut Memory, epoch, at: u32| {
            memory.hear((epoch, at * 160), Codec::Pcmu, true, 160, vec![1000; FRAME].into_iter());
        };
        again(&mut memory, 1, 2);
        again(&mut memory, 1, 0);
        assert_eq!(kept(&memory, Duration::MAX), "abc");
        again(&mut memory, 2, 9_000);
        assert_eq!(kept(&memory, Duration::MAX), "abc---------------d");
    }

    #[test]
    fn another_rate_begins_anew_and_the_memory_never_grows_beyond_what_was_asked_for() {
        let mut memory = told(1, &"a".repeat(200));
        assert_eq!((memory.samples.len(), memory.samples.capacity() < 9_000), (8_000, true));
        memory.hear((1, 200 * 160), Codec::G722, true, 160, vec![500; 2 * FRAME].into_iter());
        assert_eq!((memory.rate, memory.samples.len()), (16_000, 2 * FRAME));
        assert_eq!(memory.last(Duration::from_secs(1)).unwrap().duration(), Duration::from_millis(20));
    }
}
