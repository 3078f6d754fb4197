//! Plays clips one after the other, by samples.

use crate::{
    CLOCK_RATE, Clip, Codec, Library, Play, PlayId, Then,
    playlist::{Lasting, Music},
};
use rand::rngs::StdRng;
use std::sync::Arc;

/// Samples of 8 kHz in which what would click comes up or goes down: 5 ms.
const EDGE: u32 = 40;

/// A playlist and where it stands.
#[derive(Debug)]
pub(crate) struct Player {
    /// `None` for ringback.
    pub(crate) id: Option<PlayId>,
    first: Vec<Arc<Clip>>,
    /// How many names they were, unknown ones among them.
    names: usize,
    lasting: Option<Lasting>,
    at: usize,
    offset: usize,
    /// The end of the clips is still to be reported.
    unreported: bool,
    /// Samples of 8 kHz since it began or went on, and how many it takes to its full loudness.
    faded: u32,
    fade: u32,
}

impl Player {
    /// From its beginning; what lasts goes on where `left_off` says, when that is of the same name. `words` come after so many names.
    pub(crate) fn new(
        play: &Play,
        words: Option<(usize, Arc<Clip>)>,
        library: &Library,
        ringback: &Arc<Clip>,
        left_off: Option<Lasting>,
        chance: &mut StdRng,
    ) -> Self {
        let lasting = match &play.then {
            Then::Silence => None,
            Then::Loop(name) => library.music(name).and_then(|music| {
                let goes_on = left_off.filter(|it| it.goes_on(name, &music));
                goes_on.or_else(|| Lasting::begin(name.clone(), music, chance))
            }),
            Then::Ringback => Lasting::begin("".into(), Arc::new(Music::of(ringback.clone())), chance),
        };
        let mut player = Self { id: Some(play.id), lasting, ..Self::empty() };
        if let Some((after, words)) = words {
            player.extend(&play.first[..after.min(play.first.len())], library);
            player.first.push(words);
        }
        player.extend(&play.first, library);
        player.unreported = true;
        if player.first.is_empty() {
            player.fade_lasting();
        }
        player
    }

    pub(crate) fn ringback(clip: Arc<Clip>, chance: &mut StdRng) -> Self {
        Self { lasting: Lasting::begin("".into(), Arc::new(Music::of(clip)), chance), ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            id: None,
            first: Vec::new(),
            names: 0,
            lasting: None,
            at: 0,
            offset: 0,
            unreported: false,
            faded: 0,
            fade: 0,
        }
    }

    /// Names that were added at the end are said too, before what lasts.
    pub(crate) fn extend(&mut self, names: &[Arc<str>], library: &Library) {
        for name in names.get(self.names..).unwrap_or_default() {
            self.first.extend(library.said(name));
            self.unreported = true;
        }
        self.names = self.names.max(names.len());
    }

    /// It was interrupted, and goes on where it was.
    pub(crate) fn go_on(&mut self) {
        if self.at < self.first.len() {
            (self.faded, self.fade) = (0, if self.offset > 0 { EDGE } else { 0 });
        } else {
            self.fade_lasting();
        }
    }

    /// Where its music is.
    pub(crate) fn lasting(&self) -> Option<&Lasting> {
        self.lasting.as_ref()
    }

    fn fade_lasting(&mut self) {
        let Some(lasting) = &self.lasting else { return };
        let least = if lasting.offset > 0 { EDGE } else { 0 };
        (self.faded, self.fade) = (0, lasting.fade_in().max(least));
    }

    /// Fills a frame of G.711, and says, once, that the clips have come to their end, and how many they were by name.
    pub(crate) fn fill(&mut self, codec: Codec, frame: &mut [u8]) -> Option<(PlayId, usize)> {
        let softer = |word, gain| codec.encode(softer(codec.decode(word), gain));
        self.play(frame, codec.silence(), 1, |clip| clip.encoded(codec), softer)
    }

    /// The same in linear samples at 8000 or 16,000 a second.
    pub(crate) fn fill_linear(&mut self, rate: u32, frame: &mut [i16]) -> Option<(PlayId, usize)> {
        self.play(frame, 0, (rate / CLOCK_RATE) as usize, |clip| clip.samples(rate), softer)
    }

    /// `finer` is how many of the frame's samples one of 8 kHz is.
    fn play<T: Copy>(
        &mut self,
        frame: &mut [T],
        silence: T,
        finer: usize,
        samples: impl Fn(&Clip) -> &[T],
        softer: impl Fn(T, f32) -> T,
    ) -> Option<(PlayId, usize)> {
        let mut rest = frame;
        while !rest.is_empty() {
            let seamless = self.at >= self.first.len() && self.lasting.as_ref().is_some_and(Lasting::is_seamless);
            let (clip, offset) = match (self.first.get(self.at), &self.lasting) {
                (Some(clip), _) => (clip, self.offset),
                (None, Some(lasting)) => (lasting.clip(), lasting.offset),
                (None, None) => {
                    rest.fill(silence);
                    break;
                }
            };
            let left = samples(clip).get(offset * finer..).unwrap_or_default();
            let take = left.len().min(rest.len());
            let (now, later) = rest.split_at_mut(take);
            now.copy_from_slice(&left[..take]);
            let edges = Edges {
                offset,
                length: clip.length(),
                comes_up: clip.begins_loud() && !seamless,
                goes_down: clip.ends_loud() && !seamless,
                faded: self.faded,
                fade: self.fade,
            };
            if edges.touch(take / finer) {
                for (n, sample) in now.iter_mut().enumerate() {
                    let gain = edges.gain(n / finer);
                    if gain < 1.0 {
                        *sample = softer(*sample, gain);
                    }
                }
            }
            let over = take == left.len();
            rest = later;
            self.advance(take / finer, over);
        }
        if self.unreported && self.at >= self.first.len() {
            self.unreported = false;
            return self.id.map(|id| (id, self.names));
        }
        None
    }

    /// So many samples of 8 kHz were played; the clip is over with them.
    fn advance(&mut self, samples: usize, over: bool) {
        self.faded = self.faded.saturating_add(u32::try_from(samples).unwrap_or(u32::MAX));
        if self.at < self.first.len() {
            self.offset += samples;
            if over {
                (self.at, self.offset) = (self.at + 1, 0);
                if self.at == self.first.len() {
                    self.fade_lasting();
                }
            }
        } else if let Some(lasting) = &mut self.lasting {
            lasting.offset += samples;
            if over {
                lasting.next();
            }
        }
    }
}

/// How loud the samples of a stretch of a clip are played.
struct Edges {
    offset: usize,
    length: usize,
    comes_up: bool,
    goes_down: bool,
    faded: u32,
    fade: u32,
}

impl Edges {
    /// Whether any of the next samples is softer than it is in the clip.
    fn touch(&self, samples: usize) -> bool {
        self.faded < self.fade
            || self.comes_up && self.offset < EDGE as usize
            || self.goes_down && self.offset + samples + EDGE as usize > self.length
    }

    #[expect(clippy::cast_precision_loss, reason = "a fade lasts seconds")]
    fn gain(&self, n: usize) -> f32 {
        let edge = EDGE as f32;
        let at = self.offset + n;
        let up = if self.comes_up { at as f32 / edge } else { 1.0 };
        let down = if self.goes_down { (self.length - 1 - at.min(self.length - 1)) as f32 / edge } else { 1.0 };
        let fade = if self.fade > 0 { (self.faded as f32 + n as f32) / self.fade as f32 } else { 1.0 };
        up.min(down).min(fade)
    }
}

fn softer(sample: i16, gain: f32) -> i16 {
    crate::resample::rounded(f32::from(sample) * gain)
}

#[cfg(test)]
mod tests;
