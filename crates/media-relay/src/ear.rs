//! What a port's peer says, decoded: a jitter buffer that adapts, follows the peer's clock and conceals what is missing.
//! It exists only while somebody must hear the audio in another form than it comes in; forwarding goes by without it.
//!
//! Audio leaves in blocks of 5 ms, numbered by the worker's clock, so that any number of listeners with packet times of
//! their own hear the same. Whoever asks for a block first makes it.
//!
//! How much is held back is governed by the least that was left over in the last half second: too much of it and a pitch
//! period is taken out, too little and one is put in, a packet that came too late and it is played all the same, later.
//! That one figure holds jitter, the peer's packet time and the difference of both clocks.

mod blocks;
mod packets;

use crate::{
    Codec,
    codec::{Decoder, MAX_DECODED},
    conceal::Concealer,
    noise::Noise,
    stretch,
};
use blocks::Blocks;
use packets::{Kept, Packets};

/// Length of a block.
pub(crate) const BLOCK_NS: u64 = 5_000_000;
const BLOCK_MS: usize = 5;
/// Never more than this is held back.
const MOST_MS: usize = 200;
/// Playing starts with so much more at hand than a listener takes at once, or after so long.
const START_MS: usize = 10;
const START_BLOCKS: usize = 8;
/// Without a packet for so long the stream has paused: it starts anew with the next.
const PAUSE_MS: usize = 100;
/// After so many blocks the delay is looked at.
const WINDOW: u32 = 100;
/// What should be left over at the worst moment: at least, and at most beyond the reserve.
const LEAST_MS: usize = 3;
const SLACK_MS: usize = 25;
/// The reserve against jitter, at most.
const RESERVE_MS: usize = 100;

/// What an ear did.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Packets that came too late to be played.
    pub(crate) late: u64,
    /// Milliseconds of audio that had to be made up, the gaps of a peer that suppresses silence included.
    pub(crate) concealed_ms: u64,
    /// Milliseconds put in and taken out to follow the peer's clock and jitter.
    pub(crate) grown_ms: u64,
    pub(crate) shrunk_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Ear {
    decoder: Decoder,
    per_ms: usize,
    packets: Packets,
    /// The position after what has been decoded or made up.
    next: i64,
    /// The position after the last audio received that was decoded.
    played: i64,
    /// Decoded and not yet taken.
    ready: Vec<i16>,
    concealer: Concealer,
    /// Blocks since playing should start.
    waiting: Option<u32>,
    /// The longest stretch that a listener takes at once, in ms.
    taken_ms: usize,
    /// Samples made up since the last packet.
    dry: usize,
    /// Comfort noise instead of silence, and the place from which on audio ends it.
    noise: Option<Noise>,
    noise_from: i64,
    /// The waiting is for the end of a pause, in which the peer's time line is followed on.
    paused: bool,
    // How much is held back.
    least: usize,
    window: u32,
    reserve: usize,
    late_in_window: bool,
    blocks: Blocks,
    heard: Heard,
    /// Fractions of the milliseconds above, in samples.
    concealed: u64,
    grown: u64,
    shrunk: u64,
    scratch: Box<[i16; MAX_DECODED]>,
}

impl Ear {
    pub(crate) fn new(codec: Codec) -> Self {
        let per_ms = (codec.sample_rate() / 1000) as usize;
        Self {
            decoder: Decoder::new(codec),
            per_ms,
            packets: Packets::new(),
            next: 0,
            played: i64::MIN,
            ready: Vec::with_capacity(per_ms * 400),
            concealer: Concealer::new(codec.sample_rate()),
            waiting: Some(0),
            taken_ms: 0,
            dry: 0,
            noise: None,
            noise_from: 0,
            paused: false,
            least: usize::MAX,
            window: 0,
            reserve: 0,
            late_in_window: false,
            blocks: Blocks::new(BLOCK_MS * per_ms),
            heard: Heard::default(),
            concealed: 0,
            grown: 0,
            shrunk: 0,
            scratch: Box::new([0; MAX_DECODED]),
        }
    }

    pub(crate) fn codec(&self) -> Codec {
        self.decoder.codec
    }

    /// What was done so far.
    pub(crate) fn heard(&self) -> Heard {
        let ms = |samples: u64| samples / self.per_ms as u64;
        Heard { concealed_ms: ms(self.concealed), grown_ms: ms(self.grown), shrunk_ms: ms(self.shrunk), ..self.heard }
    }

    /// A packet came. `epoch` changes when its numbers have nothing to do with those before.
    pub(crate) fn receive(&mut self, epoch: u32, timestamp: u32, payload: &[u8]) {
        let count = self.decoder.count(payload);
        if count == 0 || count > MAX_DECODED {
            return;
        }
        let (codec, next) = (self.decoder.codec, self.next);
        if self.packets.is_new(epoch) {
            self.packets.clear();
            (self.waiting, self.paused) = (Some(0), false);
            self.played = i64::MIN;
        }
        let at = self.packets.position(epoch, timestamp, codec, next);
        if (at - self.next).unsigned_abs() > 2 * u64::from(codec.sample_rate()) {
            // Too far to be loss or lateness: the peer's time line jumped.
            self.packets.clear();
            self.packets.anchor(timestamp, next);
            (self.waiting, self.paused) = (Some(0), false);
            self.played = i64::MIN;
            return self.packets.keep(next, count, payload);
        }
        if self.waiting.is_none() && at < self.next {
            let lateness = usize::try_from(self.next - at).unwrap_or(0);
            if at < self.played || !self.packets.is_empty() {
                self.heard.late += 1;
                return;
            }
            // Nothing after it was played yet: it is played now, and so is everything after it, later.
            self.next = at;
            self.reserve = self.reserve.max(lateness + 5 * self.per_ms).min(RESERVE_MS * self.per_ms);
            self.late_in_window = true;
        } else if at < self.played {
            self.heard.late += 1;
            return;
        }
        self.dry = 0;
        self.packets.keep(at, count, payload);
    }

    /// Comfort noise of so many -dBov from now on, until audio comes (RFC 3389).
    pub(crate) fn quieten(&mut self, level: u8) {
        match &mut self.noise {
            Some(noise) => noise.level(level),
            none => *none = Some(Noise::new(level)),
        }
        // Audio that is still held back came before it.
        self.noise_from = self.packets.end().unwrap_or(self.next).max(self.next);
        self.dry = 0;
    }

    /// A listener takes so many milliseconds at once.
    pub(crate) fn taken_in(&mut self, ms: usize) {
        self.taken_ms = self.taken_ms.max(ms);
    }

    /// The block of that number at 8000 or 16,000 samples a second. Blocks long gone are silence.
    pub(crate) fn block(&mut self, number: u64, rate: u32) -> &[i16] {
        if number.saturating_sub(self.blocks.produced()) > (MOST_MS / BLOCK_MS) as u64 {
            // The first time, or nobody asked for so long that what waits is stale.
            if self.blocks.started() {
                self.start_anew();
            }
            self.blocks.skip_to(number);
        }
        while self.blocks.produced() <= number {
            self.make_block();
        }
        self.blocks.get(number, rate)
    }

    fn start_anew(&mut self) {
        self.packets.clear();
        self.ready.clear();
        self.concealer.tear();
        (self.waiting, self.paused) = (Some(0), false);
    }

    fn make_block(&mut self) {
        let length = BLOCK_MS * self.per_ms;
        if let Some(waited) = self.waiting {
            let at_hand = self.packets.end().map_or(0, |end| end - self.packets.first().unwrap_or(end));
            let enough = at_hand >= ((START_MS + self.taken_ms) * self.per_ms).cast_signed() as i64;
            let enough = enough && waited as usize * BLOCK_MS >= START_MS;
            let waited_enough = waited as usize >= START_BLOCKS + self.taken_ms / BLOCK_MS;
            let most = (MOST_MS * self.per_ms).cast_signed() as i64;
            match self.packets.first() {
                Some(first) if self.paused && (0..most).contains(&(first - self.next)) => {
                    // The peer kept its time in the pause, and is heard with the delay it had.
                    self.waiting = None;
                    (self.least, self.window) = (usize::MAX, 0);
                }
                Some(first) if enough || waited_enough => {
                    self.waiting = None;
                    self.next = first;
                    (self.least, self.window) = (usize::MAX, 0);
                }
                Some(_) => self.waiting = Some(waited + 1),
                None => {}
            }
        }
        while self.ready.len() < length {
            if self.waiting.is_some() {
                self.stand_in(length);
                if self.paused {
                    self.next += length.cast_signed() as i64;
                }
            } else {
                self.append();
            }
        }
        self.blocks.push(&self.ready[..length]);
        self.ready.drain(..length);
        if self.waiting.is_none() {
            self.govern();
        }
    }

    /// Decodes what is due, or makes something up in its place.
    fn append(&mut self) {
        match self.packets.first() {
            Some(first) if first <= self.next => {
                let Some(kept) = self.packets.take() else { return };
                self.decode(kept);
            }
            Some(first) => {
                let gap = usize::try_from(first - self.next).unwrap_or(usize::MAX);
                self.bridge(gap);
            }
            None => {
                self.make_up(BLOCK_MS * self.per_ms);
                if self.dry > PAUSE_MS * self.per_ms {
                    (self.waiting, self.paused) = (Some(0), true);
                }
            }
        }
    }

    fn decode(&mut self, kept: Kept) {
        let count = self.decoder.decode(self.packets.payload(&kept), &mut self.scratch);
        self.packets.release(kept);
        if count == 0 {
            // No payload after all: a loss.
            return self.make_up(kept.count);
        }
        let known = usize::try_from(self.next - kept.at).unwrap_or(0);
        self.next = self.next.max(kept.at + count.cast_signed() as i64);
        self.played = self.next;
        if kept.at >= self.noise_from {
            self.noise = None;
        }
        if let Some(new) = self.scratch[..count].get_mut(known..) {
            self.concealer.heard(new);
            self.ready.extend_from_slice(new);
        }
    }

    /// Something is missing before the first packet at hand.
    fn bridge(&mut self, gap: usize) {
        let ten = 10 * self.per_ms;
        if self.decoder.codec == Codec::Opus && self.noise.is_none() {
            let (length, redundant) = self.packets.peek(|count, payload| {
                let unit = 5 * self.per_ms / 2;
                let whole = gap.div_ceil(unit) * unit;
                if gap > count {
                    (whole.min(ten), 0)
                } else {
                    (whole, self.decoder.recover(payload, &mut self.scratch[..whole]))
                }
            });
            if redundant > 0 {
                return self.add_stand_in(redundant);
            }
            return self.make_up(length);
        }
        self.make_up(gap.min(ten));
    }

    /// Fills a stretch of the peer's time line.
    fn make_up(&mut self, length: usize) {
        self.dry += length;
        let made = match (&self.noise, self.decoder.codec) {
            (None, Codec::Opus) => {
                let unit = 5 * self.per_ms / 2;
                let whole = length.div_ceil(unit) * unit;
                self.decoder.conceal(&mut self.scratch[..whole.min(MAX_DECODED)])
            }
            _ => 0,
        };
        if made > 0 {
            return self.add_stand_in(made);
        }
        self.stand_in(length);
        self.next += length.cast_signed() as i64;
        self.concealed += length as u64;
    }

    /// What the decoder made up itself lies in the scratch.
    fn add_stand_in(&mut self, length: usize) {
        let made = &mut self.scratch[..length];
        self.concealer.heard(made);
        self.ready.extend_from_slice(made);
        self.next += length.cast_signed() as i64;
        self.concealed += length as u64;
    }

    /// Fills a stretch of our own time line: the peer's stands still.
    fn stand_in(&mut self, length: usize) {
        let from = self.ready.len();
        self.ready.resize(from + length, 0);
        let made = &mut self.ready[from..];
        match &mut self.noise {
            Some(noise) => {
                noise.fill(made);
                self.concealer.heard(made);
            }
            None => self.concealer.conceal(made),
        }
    }

    /// What is held back: decoded, and waiting to be.
    fn level(&self) -> usize {
        let waiting = self.packets.end().map_or(0, |end| usize::try_from(end - self.next).unwrap_or(0));
        self.ready.len() + waiting
    }

    /// Looks at the delay, and mends it.
    fn govern(&mut self) {
        let level = self.level();
        if level > MOST_MS * self.per_ms {
            // Beyond the bound: what is oldest is left out at once.
            let keep = (self.reserve + (self.taken_ms + 4 * START_MS) * self.per_ms) as i64;
            if let Some(end) = self.packets.end() {
                self.packets.drop_before(end - keep);
                self.next = self.packets.first().unwrap_or(end);
                self.ready.clear();
                self.concealer.tear();
            }
            (self.least, self.window) = (usize::MAX, 0);
            return;
        }
        self.least = self.least.min(level);
        self.window += 1;
        let ms = self.per_ms;
        let most = self.reserve + SLACK_MS * ms;
        // Far too much is mended five times as fast.
        let due = self.window >= WINDOW || (self.window >= WINDOW / 5 && self.least > most + 60 * ms);
        if !due {
            return;
        }
        if !std::mem::take(&mut self.late_in_window) {
            self.reserve -= self.reserve / 40;
        }
        let needed = stretch::NEEDED_MS * ms;
        if self.least > most {
            while self.ready.len() < needed && self.packets.first().is_some_and(|first| first <= self.next) {
                self.append();
            }
            self.shrunk += stretch::shrink(&mut self.ready, ms) as u64;
        } else if self.least < LEAST_MS * ms {
            while self.ready.len() < needed && self.packets.first().is_some_and(|first| first <= self.next) {
                self.append();
            }
            self.grown += stretch::grow(&mut self.ready, ms) as u64;
        }
        (self.least, self.window) = (usize::MAX, 0);
    }
}
