//! Plays clips one after the other, by samples.

use crate::{CLOCK_RATE, Clip, Codec, Library, Play, PlayId, Then};
use std::sync::Arc;

/// A playlist and where it stands.
#[derive(Debug)]
pub(crate) struct Player {
    /// `None` for ringback.
    pub(crate) id: Option<PlayId>,
    first: Vec<Arc<Clip>>,
    forever: Option<Arc<Clip>>,
    at: usize,
    offset: usize,
    /// The end of the clips is still to be reported.
    unreported: bool,
}

impl Player {
    pub(crate) fn new(play: &Play, library: &Library, ringback: &Arc<Clip>) -> Self {
        let playable = |name: &Arc<str>| library.clip(name).filter(|clip| !clip.is_empty()).cloned();
        Self {
            id: Some(play.id),
            first: play.first.iter().filter_map(playable).collect(),
            forever: match &play.then {
                Then::Silence => None,
                Then::Loop(name) => playable(name),
                Then::Ringback => Some(ringback.clone()),
            },
            at: 0,
            offset: 0,
            unreported: true,
        }
    }

    pub(crate) fn ringback(clip: Arc<Clip>) -> Self {
        Self { id: None, first: Vec::new(), forever: Some(clip), at: 0, offset: 0, unreported: false }
    }

    /// Fills a frame of G.711, and says, once, that the clips have come to their end.
    pub(crate) fn fill(&mut self, codec: Codec, frame: &mut [u8]) -> Option<PlayId> {
        self.play(frame, codec.silence(), 1, |clip| clip.encoded(codec))
    }

    /// The same in linear samples at 8000 or 16,000 a second.
    pub(crate) fn fill_linear(&mut self, rate: u32, frame: &mut [i16]) -> Option<PlayId> {
        self.play(frame, 0, (rate / CLOCK_RATE) as usize, |clip| clip.samples(rate))
    }

    /// `finer` is how many of the frame's samples one of 8 kHz is.
    fn play<T: Copy>(
        &mut self,
        frame: &mut [T],
        silence: T,
        finer: usize,
        samples: impl Fn(&Clip) -> &[T],
    ) -> Option<PlayId> {
        let mut filled = 0;
        while filled < frame.len() {
            let Some(clip) = self.first.get(self.at).or(self.forever.as_ref()) else {
                frame[filled..].fill(silence);
                break;
            };
            let left = samples(clip).get(self.offset * finer..).unwrap_or_default();
            let take = left.len().min(frame.len() - filled);
            frame[filled..filled + take].copy_from_slice(&left[..take]);
            filled += take;
            self.offset += take / finer;
            if take == left.len() {
                self.offset = 0;
                self.at = (self.at + 1).min(self.first.len());
            }
        }
        if self.unreported && self.at >= self.first.len() {
            self.unreported = false;
            return self.id;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_follow_each_other_within_a_frame_and_the_last_thing_lasts() {
        let mut library = Library::default();
        let clip = |value: i16, samples: usize| Clip::from_pcm16(&vec![value; samples]);
        library.insert("a", clip(1000, 100));
        library.insert("b", clip(-1000, 100));
        library.insert("empty", clip(0, 0));
        library.insert("music", clip(3000, 70));
        let first = ["a", "unknown", "empty", "b"].map(Arc::from).to_vec();
        let play = Play { id: PlayId(1), first, then: Then::Loop("music".into()) };
        let mut player = Player::new(&play, &library, &Arc::new(clip(0, 1)));
        let (a, b, music) = (Codec::Pcmu.encode(1000), Codec::Pcmu.encode(-1000), Codec::Pcmu.encode(3000));
        let mut frame = [0; 160];
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), None);
        assert_eq!((frame[99], frame[100], frame[159]), (a, b, b));
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), Some(PlayId(1)));
        assert_eq!((frame[39], frame[40], frame[159]), (b, music, music));
        assert_eq!(player.fill(Codec::Pcmu, &mut frame), None, "reported once");
        assert_eq!(frame, [music; 160]);
    }

    #[test]
    fn a_playlist_of_nothing_is_over_at_once_and_silent() {
        let play = Play { id: PlayId(1), first: vec!["unknown".into()], then: Then::Loop("unknown".into()) };
        let mut player = Player::new(&play, &Library::default(), &Arc::new(Clip::from_pcm16(&[])));
        let mut frame = [0; 160];
        assert_eq!(player.fill(Codec::Pcma, &mut frame), Some(PlayId(1)));
        assert_eq!(frame, [0xd5; 160]);
    }
}
