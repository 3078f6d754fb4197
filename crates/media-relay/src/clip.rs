//! Prompts and music: encoded once a codec, shared by everyone who plays them.

use crate::{
    Codec,
    codec::CLOCK_RATE,
    playlist::{Music, Playlist},
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
    edges: Edges,
}

/// Whether it clicks: coming out of silence, going into it, and following itself.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Edges {
    begins_loud: bool,
    ends_loud: bool,
    loops: bool,
}

/// A step out of silence, or into it, up to this is none (-50 dBov).
const STEP: u16 = 100;

impl Clip {
    /// Encodes mono linear 16-bit PCM at 8 kHz.
    pub fn from_pcm16(samples: &[i16]) -> Self {
        let loops = loops(samples);
        let mut wide = vec![0; samples.len() * 2];
        let mut filter = Doubling::new();
        if loops {
            // What follows itself without a step does so at the other rate too: before its beginning there is its end.
            filter.double(last(samples, WIDE_BLOCK / 2), &mut []);
        }
        for (narrow, wide) in samples.chunks(WIDE_BLOCK / 2).zip(wide.chunks_mut(WIDE_BLOCK)) {
            filter.double(narrow, wide);
        }
        Self::of(samples, wide.into(), loops)
    }

    /// The same of 16 kHz; an odd last sample is left out.
    pub fn from_wideband(samples: &[i16]) -> Self {
        let samples = &samples[..samples.len() / 2 * 2];
        let loops = loops(samples);
        let mut narrow = vec![0; samples.len() / 2];
        let mut filter = Halving::new();
        if loops {
            filter.halve(last(samples, WIDE_BLOCK), &mut []);
        }
        for (wide, narrow) in samples.chunks(WIDE_BLOCK).zip(narrow.chunks_mut(WIDE_BLOCK / 2)) {
            filter.halve(wide, narrow);
        }
        Self::of(&narrow, samples.into(), loops)
    }

    fn of(narrow: &[i16], wide: Arc<[i16]>, loops: bool) -> Self {
        let encode = |codec: Codec| narrow.iter().map(|sample| codec.encode(*sample)).collect();
        // The filter between the rates takes its time: where the one ends softly the other need not.
        let loud = |sample: Option<&i16>| sample.is_some_and(|sample| sample.unsigned_abs() > STEP);
        let edges = Edges {
            begins_loud: loud(narrow.first()) || loud(wide.first()),
            ends_loud: loud(narrow.last()) || loud(wide.last()),
            loops,
        };
        Self { mu: encode(Codec::Pcmu), a: encode(Codec::Pcma), narrow: narrow.into(), wide, edges }
    }

    /// Samples of 8 kHz.
    pub(crate) fn length(&self) -> usize {
        self.mu.len()
    }

    /// Coming out of silence it clicks.
    pub(crate) fn begins_loud(&self) -> bool {
        self.edges.begins_loud
    }

    /// Going into silence it clicks.
    pub(crate) fn ends_loud(&self) -> bool {
        self.edges.ends_loud
    }

    /// It follows itself without a step.
    pub(crate) fn loops(&self) -> bool {
        self.edges.loops
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

fn last(samples: &[i16], count: usize) -> &[i16] {
    &samples[samples.len().saturating_sub(count)..]
}

/// Whether the seam is as smooth as what is around it, 10 ms at either end, when it follows itself.
fn loops(samples: &[i16]) -> bool {
    let step = |pair: &[i16]| pair[0].abs_diff(pair[1]);
    let first = &samples[..samples.len().min(80)];
    let around = first.windows(2).chain(last(samples, 80).windows(2)).map(step).max().unwrap_or(0);
    let seam = samples.last().zip(samples.first()).map_or(0, |(last, first)| last.abs_diff(*first));
    seam <= STEP.max(around.saturating_add(around / 2))
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clip").field("duration", &self.duration()).finish_non_exhaustive()
    }
}

/// Clips and playlists by name, and the ringing tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    clips: BTreeMap<String, Arc<Clip>>,
    playlists: BTreeMap<String, Arc<Music>>,
    ringback: Option<Arc<Clip>>,
}

impl Library {
    /// Adds a clip, or replaces the one of that name.
    pub fn insert(&mut self, name: &str, clip: Clip) {
        self.clips.insert(name.to_owned(), Arc::new(clip));
    }

    /// Adds a playlist, or replaces the one of that name, of the clips that there are by now. It is played before a clip of its name.
    pub fn insert_playlist(&mut self, name: &str, list: &Playlist) {
        let music = Music::assemble(list, self);
        self.playlists.insert(name.to_owned(), Arc::new(music));
    }

    /// What a name stands for where it is played over and over.
    pub(crate) fn music(&self, name: &str) -> Option<Arc<Music>> {
        let alone = || self.clip(name).filter(|clip| !clip.is_empty()).map(|clip| Arc::new(Music::of(clip.clone())));
        self.playlists.get(name).filter(|list| !list.clips.is_empty()).cloned().or_else(alone)
    }

    /// What a name stands for where it is played once.
    pub(crate) fn said(&self, name: &str) -> impl Iterator<Item = Arc<Clip>> {
        let list = self.playlists.get(name);
        let alone = self.clip(name).filter(|clip| list.is_none() && !clip.is_empty());
        list.into_iter().flat_map(|list| &list.clips).chain(alone).cloned()
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

    /// The names of all clips, then those of all playlists, each in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.clips.keys().chain(self.playlists.keys()).map(String::as_str)
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
