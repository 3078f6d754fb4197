//! Prompts and music: encoded once a codec, shared by everyone who plays them.

use crate::{
    Codec,
    codec::CLOCK_RATE,
    resample::{Doubling, Halving, WIDE_BLOCK},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt, ops::Deref, sync::Arc, time::Duration};

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
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clip").field("duration", &self.duration()).finish_non_exhaustive()
    }
}

/// Clips by name, and the ringing tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    clips: BTreeMap<String, Arc<Clip>>,
    ringback: Option<Arc<Clip>>,
}

impl Library {
    /// Adds a clip, or replaces the one of that name.
    pub fn insert(&mut self, name: &str, clip: Clip) {
        self.clips.insert(name.to_owned(), Arc::new(clip));
    }

    /// Callers hear this while a phone rings, over and over.
    pub fn set_ringback(&mut self, clip: Clip) {
        self.ringback = Some(Arc::new(clip));
    }

    /// What callers hear while a phone rings.
    pub(crate) fn ringback(&self) -> Arc<Clip> {
        self.ringback.clone().unwrap_or_else(|| Arc::new(Clip::ringback("")))
    }

    /// The clip of a name.
    pub fn clip(&self, name: &str) -> Option<&Arc<Clip>> {
        self.clips.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.clips.keys().map(String::as_str)
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
