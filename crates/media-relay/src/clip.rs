//! Prompts and music: encoded once a codec, shared by everyone who plays them.

use crate::{
    Codec,
    codec::CLOCK_RATE,
    resample::{Doubling, Halving, WIDE_BLOCK},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, f32::consts::TAU, fmt, ops::Deref, sync::Arc, time::Duration};

/// Audio ready to be played in any codec: in both laws of G.711, and as it is for the others.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    mu: Arc<[u8]>,
    a: Arc<[u8]>,
    narrow: Arc<[i16]>,
    wide: Arc<[i16]>,
}

impl Clip {
    /// Encodes mono linear 16-bit PCM at 8 kHz.
    pub fn from_pcm16(samples: &[i16]) -> Self {
        let mut wide = vec![0; samples.len() * 2];
        let mut filter = Doubling::new();
        for (narrow, wide) in samples.chunks(WIDE_BLOCK / 2).zip(wide.chunks_mut(WIDE_BLOCK)) {
            filter.double(narrow, wide);
        }
        Self::of(samples, wide.into())
    }

    /// The same of 16 kHz; an odd last sample is left out.
    pub fn from_wideband(samples: &[i16]) -> Self {
        let samples = &samples[..samples.len() / 2 * 2];
        let mut narrow = vec![0; samples.len() / 2];
        let mut filter = Halving::new();
        for (wide, narrow) in samples.chunks(WIDE_BLOCK).zip(narrow.chunks_mut(WIDE_BLOCK / 2)) {
            filter.halve(wide, narrow);
        }
        Self::of(&narrow, samples.into())
    }

    fn of(narrow: &[i16], wide: Arc<[i16]>) -> Self {
        let encode = |codec: Codec| narrow.iter().map(|sample| codec.encode(*sample)).collect();
        Self { mu: encode(Codec::Pcmu), a: encode(Codec::Pcma), narrow: narrow.into(), wide }
    }

    /// The samples at 8000 or 16,000 a second.
    pub(crate) fn samples(&self, rate: u32) -> &[i16] {
        if rate == CLOCK_RATE { &self.narrow } else { &self.wide }
    }

    /// Whether it holds no audio.
    pub fn is_empty(&self) -> bool {
        self.mu.is_empty()
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.mu.len() as u64 * (1_000_000_000 / u64::from(CLOCK_RATE)))
    }

    /// G.711's code words, one a sample of 8 kHz: A-law's for [`Codec::Pcma`], else mu-law's.
    pub fn encoded(&self, codec: Codec) -> &[u8] {
        if codec == Codec::Pcma { &self.a } else { &self.mu }
    }

    /// One period of ringback: 425 Hz at -19 dBov, one second on, four seconds off (ETSI TR 101 041-2), with ramps of
    /// 5 ms so that it does not click.
    pub fn ringback() -> Self {
        let tone = 8000u16;
        let samples: Vec<i16> = (0..5 * 8000u16)
            .map(|n| {
                let ramp = f32::from(n.min(tone.saturating_sub(n)).min(40)) / 40.0;
                let sine = (TAU * 425.0 * f32::from(n % 8000) / 8000.0).sin();
                #[expect(clippy::cast_possible_truncation, reason = "within plus and minus 5200")]
                let sample = (5200.0 * ramp * sine) as i16;
                sample
            })
            .collect();
        Self::from_pcm16(&samples)
    }
}

impl Clip {
    /// The tone after which a caller speaks: 1000 Hz at -19 dBov for 400 ms, with ramps of 5 ms so that it does not click.
    pub fn beep() -> Self {
        let length = 3_200u16;
        let samples: Vec<i16> = (0..length)
            .map(|n| {
                let ramp = f32::from(n.min(length - n).min(40)) / 40.0;
                let sine = (TAU * f32::from(n % 8) / 8.0).sin();
                #[expect(clippy::cast_possible_truncation, reason = "within plus and minus 5200")]
                let sample = (5200.0 * ramp * sine) as i16;
                sample
            })
            .collect();
        Self::from_pcm16(&samples)
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clip").field("duration", &self.duration()).finish_non_exhaustive()
    }
}

/// Clips by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library(BTreeMap<String, Arc<Clip>>);

impl Library {
    /// Adds a clip, or replaces the one of that name.
    pub fn insert(&mut self, name: &str, clip: Clip) {
        self.0.insert(name.to_owned(), Arc::new(clip));
    }

    /// The clip of a name.
    pub fn clip(&self, name: &str) -> Option<&Arc<Clip>> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// A library on its way to the workers. It is written down as nothing: clips are files, and are loaded anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedLibrary(pub Arc<Library>);

impl Deref for SharedLibrary {
    type Target = Library;

    fn deref(&self) -> &Library {
        &self.0
    }
}

impl Serialize for SharedLibrary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for SharedLibrary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <()>::deserialize(deserializer).map(|()| Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beep_is_heard_and_short_and_does_not_click() {
        let clip = Clip::beep();
        assert_eq!(clip.duration(), Duration::from_millis(400));
        let samples = clip.samples(CLOCK_RATE);
        assert!(samples[..4].iter().chain(&samples[3_196..]).all(|sample| sample.abs() < 700));
        let loud = clip.encoded(Codec::Pcmu).chunks(160).filter(|it| Codec::Pcmu.mean_square(it) > 4_000_000).count();
        assert_eq!(loud, 20);
    }

    #[test]
    fn ringback_sounds_for_one_second_of_five() {
        let clip = Clip::ringback();
        assert_eq!(clip.duration(), Duration::from_secs(5));
        let loud = |at: usize| {
            Codec::Pcmu.mean_square(&clip.encoded(Codec::Pcmu)[at..at + 160]) > crate::codec::QUIET_MEAN_SQUARE
        };
        assert!((0..50).all(|frame| loud(frame * 160)));
        assert!((50..250).all(|frame| !loud(frame * 160)));
    }
}
