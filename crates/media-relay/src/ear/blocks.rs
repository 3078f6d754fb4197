//! The last blocks of decoded audio, at the rate it was decoded to and, once somebody asked for it, at the other.

use crate::resample::{Doubling, Halving};

/// Blocks kept: more than a worker ever catches up on.
const KEPT: usize = 64;
/// Samples of a block at 16 kHz.
const WIDEST: usize = 80;

#[derive(Debug)]
pub(super) struct Blocks {
    /// Samples of a block as decoded: 40 or 80.
    length: usize,
    own: Vec<i16>,
    other: Option<Other>,
    /// The number of the next block.
    produced: u64,
    /// The first number kept.
    since: u64,
}

#[derive(Debug)]
struct Other {
    samples: Vec<i16>,
    filter: Filter,
    since: u64,
}

#[derive(Debug)]
enum Filter {
    Halving(Box<Halving>),
    Doubling(Box<Doubling>),
}

static SILENCE: [i16; WIDEST] = [0; WIDEST];

impl Blocks {
    pub(super) fn new(length: usize) -> Self {
        Self { length, own: vec![0; length * KEPT], other: None, produced: 0, since: 0 }
    }

    pub(super) fn produced(&self) -> u64 {
        self.produced
    }

    /// Whether anything was made yet.
    pub(super) fn started(&self) -> bool {
        self.produced > self.since
    }

    /// The next block is that of `number`; what was there before is gone.
    pub(super) fn skip_to(&mut self, number: u64) {
        (self.produced, self.since) = (number, number);
    }

    pub(super) fn push(&mut self, block: &[i16]) {
        let at = place(self.produced, self.length);
        self.own[at..at + self.length].copy_from_slice(block);
        if let Some(other) = &mut self.other {
            other.push(self.produced, block);
        }
        self.produced += 1;
    }

    pub(super) fn get(&mut self, number: u64, rate: u32) -> &[i16] {
        let length = rate as usize / 200;
        if number >= self.produced || number < self.since || self.produced - number > KEPT as u64 {
            return &SILENCE[..length.min(WIDEST)];
        }
        if length == self.length {
            let at = place(number, length);
            return &self.own[at..at + length];
        }
        let other = self.other.get_or_insert_with(|| {
            let mut other = Other::new(length);
            // The filter knows the block before from the beginning.
            if number > self.since && self.produced - number < KEPT as u64 {
                let at = place(number - 1, self.length);
                other.push(number - 1, &self.own[at..at + self.length]);
            }
            other.since = number;
            for number in number..self.produced {
                let at = place(number, self.length);
                other.push(number, &self.own[at..at + self.length]);
            }
            other
        });
        if number < other.since {
            return &SILENCE[..length.min(WIDEST)];
        }
        let at = place(number, length);
        &other.samples[at..at + length]
    }
}

impl Other {
    fn new(length: usize) -> Self {
        let filter = if length < WIDEST {
            Filter::Halving(Box::new(Halving::new()))
        } else {
            Filter::Doubling(Box::new(Doubling::new()))
        };
        Self { samples: vec![0; length * KEPT], filter, since: 0 }
    }

    fn push(&mut self, number: u64, block: &[i16]) {
        let length = self.samples.len() / KEPT;
        let at = place(number, length);
        let into = &mut self.samples[at..at + length];
        match &mut self.filter {
            Filter::Halving(filter) => filter.halve(block, into),
            Filter::Doubling(filter) => filter.double(block, into),
        }
    }
}

fn place(number: u64, length: usize) -> usize {
    usize::try_from(number % KEPT as u64).unwrap_or(0) * length
}
