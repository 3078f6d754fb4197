//! Prompts and music: encoded once a codec, shared by everyone who plays them.

use crate::{Codec, codec::CLOCK_RATE};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, f32::consts::TAU, fmt, ops::Deref, sync::Arc, time::Duration};

/// Audio ready to be played in any codec.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    mu: Arc<[u8]>,
    a: Arc<[u8]>,
}

impl Clip {
    /// Encodes mono linear 16-bit PCM at 8 kHz.
    pub fn from_pcm16(samples: &[i16]) -> Self {
        let encode = |codec: Codec| samples.iter().map(|sample| codec.encode(*sample)).collect();
        Self { mu: encode(Codec::Pcmu), a: encode(Codec::Pcma) }
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.mu.len() as u64 * (1_000_000_000 / u64::from(CLOCK_RATE)))
    }

    /// The code words in `codec`, one a sample.
    pub fn encoded(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcmu => &self.mu,
            Codec::Pcma => &self.a,
        }
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
