//! Who answered: somebody, or a machine that says its greeting. Judged by energy and cadence of the decoded audio, and by nothing
//! else: people answer with a word or two and wait; machines speak a whole greeting, and some begin or end it with a tone.
//!
//! ```text
//!  listening ──a short greeting, then silence──────────────> human
//!      ├──a greeting that goes on, many words, a beep──────> machine
//!      └──nothing said in time, or nothing certain in time─> unknown
//! ```
//! Frames of 20 ms are told apart into voice and the rest by their energy: above an absolute threshold, and well above the quietest
//! frame of its surroundings (400 ms to either side), so that a steady noise is no voice at any level. A frame is a tone when
//! three neighbouring lines of its spectrum hold nearly all of it: no voice either, and a beep when it lasts.
//!
//! What it cannot do: who answers with a long sentence is taken for a machine, a machine that says a word and waits for somebody.
//! How often is measured in its tests, on signals made there, and written in docs/outbound.md.

mod beep;
mod port;
#[cfg(test)]
mod tests;

pub(crate) use port::Listening;

use beep::Beep;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};

/// Samples of a frame at 8 kHz, and its length.
const FRAME: usize = 160;
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Frames to either side by which a frame is judged.
const AROUND: usize = 20;
/// A frame below this mean square (-46 dBov) is no voice.
const QUIETEST: f32 = 164.0 * 164.0;
/// How far above the quietest frame around it a voice is (9 dB).
const ABOVE_NOISE: f32 = 8.0;
/// Voice with a gap of more frames than this is another word; one of fewer frames than that is a click.
const WORD_GAP: u64 = 4;
const SHORTEST_WORD: u64 = 4;

/// How to judge.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detection {
    /// Who says nothing for so long after the answer is nobody that can be told.
    pub initial_silence: Duration,
    /// A greeting of at least so long, the pauses in it included, is a machine's.
    pub longest_greeting: Duration,
    /// After a shorter one, silence of so long is somebody who waits.
    pub silence_after: Duration,
    /// More words than these are a machine's.
    pub most_words: u32,
    /// What is not certain by then is unknown.
    pub within: Duration,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            initial_silence: Duration::from_millis(3_000),
            longest_greeting: Duration::from_millis(1_800),
            silence_after: Duration::from_millis(800),
            most_words: 6,
            within: Duration::from_millis(6_000),
        }
    }
}

/// Who answered.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answerer {
    /// Somebody.
    Human,
    /// A mailbox, an announcement, a fax.
    Machine,
    /// It cannot be said.
    Unknown,
}

/// Why it is judged so.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// A short greeting, then silence.
    ShortGreeting,
    /// A greeting that goes on.
    LongGreeting,
    /// Many words.
    ManyWords,
    /// A tone that lasts.
    Beep,
    /// Nothing was said.
    NothingSaid,
    /// Neither was certain in time.
    OutOfTime,
}

/// What was found out.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who answered.
    pub answerer: Answerer,
    /// Why.
    pub because: Because,
    /// How much was heard until then.
    pub after: Duration,
}

/// Listens to one stream of samples, 8000 a second, from the answer on; has one finding in its life.
#[derive(Debug)]
pub(crate) struct Detector {
    detection: Detection,
    /// The frame that is being filled.
    frame: [f32; FRAME],
    filled: usize,
    /// Frames heard.
    heard: u64,
    /// Mean squares of the frames around the one that is judged, the newest last; none of a tone's.
    around: VecDeque<Option<f32>>,
    cadence: Cadence,
    beep: Beep,
}

/// What was said so far, in frames that have been judged.
#[derive(Debug, Default)]
struct Cadence {
    judged: u64,
    /// The first frame of voice of the greeting.
    began: Option<u64>,
    /// The frame after the last one of voice.
    ended: u64,
    /// The first frame of the word that is being said.
    word: Option<u64>,
    words: u32,
}

impl Detector {
    pub(crate) fn new(detection: Detection) -> Self {
        Self {
            detection,
            frame: [0.0; FRAME],
            filled: 0,
            heard: 0,
            around: VecDeque::with_capacity(2 * AROUND + 1),
            cadence: Cadence::default(),
            beep: Beep::default(),
        }
    }

    /// How much was heard.
    pub(crate) fn heard(&self) -> Duration {
        time(self.heard)
    }

    /// Hears a sample; what was found out by it.
    pub(crate) fn hear(&mut self, sample: i16) -> Option<Finding> {
        self.frame[self.filled] = f32::from(sample);
        self.filled += 1;
        if self.filled < FRAME {
            return None;
        }
        self.filled = 0;
        self.heard += 1;
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let energy = self.frame.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32;
        let tone = energy >= QUIETEST && self.beep.hear(&self.frame, energy);
        if energy < QUIETEST {
            self.beep.pause();
        }
        if self.around.len() > 2 * AROUND {
            self.around.pop_front();
        }
        self.around.push_back((!tone).then_some(energy));
        let quietest = self.around.iter().flatten().copied().fold(f32::MAX, f32::min);
        if self.around.len() > AROUND {
            let middle = self.around[self.around.len() - 1 - AROUND];
            self.cadence.hear(is_voice(middle, quietest));
        }
        self.judge(quietest)
    }

    fn judge(&self, quietest: f32) -> Option<Finding> {
        let (cadence, detection) = (&self.cadence, &self.detection);
        let greeted = time(cadence.began.map_or(0, |began| cadence.ended - began));
        let said = cadence.words > 0 || cadence.word.is_some_and(|began| cadence.ended - began >= SHORTEST_WORD);
        let heard = self.heard();
        let (answerer, because) = if self.beep.is_heard() {
            (Answerer::Machine, Because::Beep)
        } else if said && greeted >= detection.longest_greeting {
            (Answerer::Machine, Because::LongGreeting)
        } else if cadence.words > detection.most_words {
            (Answerer::Machine, Because::ManyWords)
        } else if said && time(self.silent(quietest)) >= detection.silence_after {
            (Answerer::Human, Because::ShortGreeting)
        } else if !said && !self.is_saying(quietest) && heard >= detection.initial_silence {
            (Answerer::Unknown, Because::NothingSaid)
        } else if heard >= detection.within {
            (Answerer::Unknown, Because::OutOfTime)
        } else {
            return None;
        };
        Some(Finding { answerer, because, after: heard })
    }

    /// Frames since the last one of voice. Those that have not been judged count as they look by what is known now: a quieter
    /// one that is still to come makes voice of few of them.
    fn silent(&self, quietest: f32) -> u64 {
        let newest = self.around.iter().rev().take(AROUND);
        let quiet = newest.take_while(|energy| !is_voice(**energy, quietest)).count();
        if quiet < AROUND.min(self.around.len()) {
            return quiet as u64;
        }
        self.heard - self.cadence.ended
    }

    /// Whether something is under way that has not been judged.
    fn is_saying(&self, quietest: f32) -> bool {
        self.silent(quietest) < AROUND as u64
    }
}

fn is_voice(energy: Option<f32>, quietest: f32) -> bool {
    energy.is_some_and(|energy| energy >= QUIETEST && energy >= quietest * ABOVE_NOISE)
}

fn time(frames: u64) -> Duration {
    FRAME_TIME * u32::try_from(frames).unwrap_or(u32::MAX)
}

impl Cadence {
    fn hear(&mut self, voice: bool) {
        let frame = self.judged;
        self.judged += 1;
        if voice {
            self.word.get_or_insert(frame);
            self.began.get_or_insert(frame);
            self.ended = self.judged;
            return;
        }
        let Some(began) = self.word.filter(|_| self.judged - self.ended > WORD_GAP) else { return };
        self.word = None;
        if self.ended - began >= SHORTEST_WORD {
            self.words += 1;
        } else if self.words == 0 {
            // A click, and no greeting.
            self.began = None;
        }
    }
}
