//! Music that lasts: clips in an order, over and over, and where a caller is in it.

use crate::{Clip, Library};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::{sync::Arc, time::Duration};

/// Clips that are played one after the other for as long as it takes, under one name of a [`Library`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playlist {
    /// Names of clips. Those that the library does not know are passed over.
    pub clips: Vec<String>,
    /// What follows what.
    pub order: Order,
    /// Where a caller who hears it for the first time begins.
    pub begin: Begin,
    /// A caller who comes back to it within a call goes on where they left off; else it begins again.
    pub goes_on: bool,
    /// How long it takes to its full loudness each time it begins or goes on. (Five milliseconds at the least in the middle of a
    /// clip: what begins there would click.)
    pub fade_in: Duration,
}

/// What follows what in a [`Playlist`].
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As listed.
    #[default]
    AsListed,
    /// By chance, each once a round, none twice in a row.
    Shuffled,
}

/// Where a [`Playlist`] begins.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// With its first clip.
    #[default]
    First,
    /// Anywhere, so that those who call every day do not hear the same bars every day.
    Anywhere,
}

/// A playlist with its clips at hand; one clip alone is one too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Music {
    pub(crate) clips: Vec<Arc<Clip>>,
    order: Order,
    begin: Begin,
    goes_on: bool,
    /// In samples of 8 kHz.
    pub(crate) fade_in: u32,
}

impl Music {
    /// One clip over and over.
    pub(crate) fn of(clip: Arc<Clip>) -> Self {
        Self { clips: vec![clip], order: Order::AsListed, begin: Begin::First, goes_on: true, fade_in: 0 }
    }

    /// Of the clips that there are.
    pub(crate) fn assemble(list: &Playlist, library: &Library) -> Self {
        let there = |name: &String| library.clip(name).filter(|clip| !clip.is_empty()).cloned();
        Self {
            clips: list.clips.iter().filter_map(there).collect(),
            order: list.order,
            begin: list.begin,
            goes_on: list.goes_on,
            fade_in: u32::try_from(list.fade_in.as_millis() * 8).unwrap_or(u32::MAX),
        }
    }

    fn needs_chance(&self) -> bool {
        self.begin == Begin::Anywhere || self.order == Order::Shuffled
    }
}

/// Where one listener is in a playlist.
#[derive(Clone, Debug)]
pub(crate) struct Lasting {
    pub(crate) name: Arc<str>,
    music: Arc<Music>,
    /// Places of clips in this round.
    order: Vec<u32>,
    at: usize,
    /// In samples of 8 kHz.
    pub(crate) offset: usize,
    seed: u64,
    round: u64,
}

impl Lasting {
    /// At its beginning; none without a clip to play.
    pub(crate) fn begin(name: Arc<str>, music: Arc<Music>, chance: &mut StdRng) -> Option<Self> {
        if music.clips.is_empty() {
            return None;
        }
        let seed = if music.needs_chance() { chance.next_u64() } else { 0 };
        let count = u32::try_from(music.clips.len()).unwrap_or(u32::MAX);
        let mut it = Self { name, music, order: (0..count).collect(), at: 0, offset: 0, seed, round: 0 };
        it.shuffle();
        if it.music.begin == Begin::Anywhere {
            let mut chance = StdRng::seed_from_u64(!seed);
            it.at = chance.random_range(0..it.order.len());
            it.offset = chance.random_range(0..it.clip().length());
        }
        Some(it)
    }

    /// Where a listener of the same left off, if it is to go on there.
    pub(crate) fn goes_on(&self, name: &str, music: &Arc<Music>) -> bool {
        self.music.goes_on
            && &*self.name == name
            && Arc::ptr_eq(&self.music.clips[0], &music.clips[0])
            && self.music == *music
    }

    /// What is played.
    pub(crate) fn clip(&self) -> &Arc<Clip> {
        &self.music.clips[self.order[self.at] as usize]
    }

    /// One clip that follows itself without a step.
    pub(crate) fn is_seamless(&self) -> bool {
        self.order.len() == 1 && self.clip().loops()
    }

    pub(crate) fn fade_in(&self) -> u32 {
        self.music.fade_in
    }

    /// The clip is over.
    pub(crate) fn next(&mut self) {
        self.offset = 0;
        self.at += 1;
        if self.at == self.order.len() {
            (self.at, self.round) = (0, self.round.wrapping_add(1));
            self.shuffle();
        }
    }

    /// Another round's order, where that is by chance: none of it follows itself.
    fn shuffle(&mut self) {
        if self.music.order == Order::AsListed {
            return;
        }
        let last = self.order.last().copied().filter(|_| self.round > 0);
        self.order.shuffle(&mut StdRng::seed_from_u64(self.seed.wrapping_add(self.round)));
        if self.order.len() > 1 && self.order.first().copied() == last {
            self.order.swap(0, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(lists: &[(&str, Order, Begin)]) -> Library {
        let mut library = Library::default();
        for (n, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
            library.insert(name, Clip::from_pcm16(&vec![i16::try_from(n).unwrap() + 1; 800 * (n + 1)]));
        }
        for (name, order, begin) in lists {
            let clips = ["a", "b", "unknown", "c", "d"].map(str::to_owned).to_vec();
            let list = Playlist { clips, order: *order, begin: *begin, goes_on: true, fade_in: Duration::ZERO };
            library.insert_playlist(name, &list);
        }
        library
    }

    /// Which clips follow one another, by their lengths.
    fn played(library: &Library, name: &str, seed: u64, count: usize) -> Vec<usize> {
        let music = library.music(name).unwrap();
        let mut lasting = Lasting::begin(name.into(), music, &mut StdRng::seed_from_u64(seed)).unwrap();
        (0..count)
            .map(|_| {
                let length = lasting.clip().length() / 800;
                lasting.next();
                length
            })
            .collect()
    }

    #[test]
    fn a_list_is_played_in_its_order_and_begins_again() {
        let library = library(&[("list", Order::AsListed, Begin::First)]);
        assert_eq!(played(&library, "list", 1, 9), [1, 2, 3, 4, 1, 2, 3, 4, 1]);
    }

    #[test]
    fn shuffled_each_comes_once_a_round_none_twice_in_a_row_and_a_seed_is_an_order() {
        let library = library(&[("list", Order::Shuffled, Begin::First)]);
        let mut orders = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let order = played(&library, "list", seed, 40);
            assert_eq!(order, played(&library, "list", seed, 40));
            for round in order.chunks(4) {
                let mut sorted = round.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, [1, 2, 3, 4], "{order:?}");
            }
            assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "{order:?}");
            orders.insert(order);
        }
        assert!(orders.len() > 190, "{}", orders.len());
    }

    #[test]
    fn who_begins_anywhere_begins_in_each_clip_and_within_it() {
        let library = library(&[("list", Order::AsListed, Begin::Anywhere)]);
        let mut clips = std::collections::BTreeSet::new();
        let mut within = 0;
        for seed in 0..100 {
            let music = library.music("list").unwrap();
            let lasting = Lasting::begin("list".into(), music, &mut StdRng::seed_from_u64(seed)).unwrap();
            assert!(lasting.offset < lasting.clip().length());
            clips.insert(lasting.clip().length());
            within += usize::from(lasting.offset > 0);
        }
        assert_eq!((clips.len(), within > 90), (4, true));
    }

    #[test]
    fn a_list_of_nothing_that_is_known_is_no_music() {
        let mut library = Library::default();
        let list = Playlist {
            clips: vec!["unknown".to_owned()],
            order: Order::Shuffled,
            begin: Begin::Anywhere,
            goes_on: true,
            fade_in: Duration::ZERO,
        };
        library.insert_playlist("list", &list);
        assert!(library.music("list").is_none());
    }
}
