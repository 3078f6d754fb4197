//! Digits heard in audio itself (ITU-T Q.23, Q.24), where a peer has no telephone-events.
//!
//! Blocks of 102 samples at 8 kHz go through a Goertzel filter for each of the eight tones. A block is a digit's when one
//! tone of each group stands out, the two are about as loud, and they are nearly all there is. Two blocks in a row begin a
//! digit, three without it end it: 40 ms of tone and 40 ms of pause are always seen, 19 ms of tone and 10 ms of pause never.
//!
//! What it cannot do: a block is too short to tell a low tone from one 3.5 % beside it (Q.24 wants that refused), and a
//! voice that whistles two of the tones at once for 26 ms is taken for a digit. How often that happens is measured in its tests.

use crate::digits::{DIGITS, Pressed};
use std::f32::consts::TAU;

const BLOCK: usize = 102;
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// Digits by row and column, as places in [`DIGITS`].
const KEYS: [[usize; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];
/// Mean square below which nothing is looked for: each tone at -30 dBm0.
const QUIETEST: f32 = 2.0 * 290.0 * 290.0;
/// Of a block's power, what the two tones must hold.
const SHARE: f32 = 0.78;
/// By how much the other tones of a group must be weaker (8 dB).
const STANDS_OUT: f32 = 6.3;
/// How much weaker the column may be than the row (8 dB), and the row than the column (4 dB).
const TWIST: f32 = 6.3;
const REVERSE_TWIST: f32 = 2.5;

/// Blocks without a digit that end it: a drop-out of 10 ms touches two at the most.
const ENDS_AFTER: usize = 3;

/// Listens to one stream of samples.
#[derive(Debug, Default)]
pub(crate) struct InBand {
    filters: [[f32; 2]; 8],
    power: f32,
    filled: usize,
    /// What the block before was.
    before: Option<usize>,
    under_way: Option<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    digit: usize,
    blocks: usize,
    /// Blocks without it since it was heard last.
    missing: usize,
}

impl InBand {
    /// Hears a packet's samples; the digits that have ended by them (of 100 ms there are two at the most).
    pub(crate) fn hear_all(&mut self, samples: impl Iterator<Item = i16>) -> [Option<Pressed>; 2] {
        let mut ended = [None; 2];
        for sample in samples {
            if let Some(pressed) = self.hear(sample) {
                ended = [ended[0].or(Some(pressed)), ended[0].and(Some(pressed))];
            }
        }
        ended
    }

    /// Hears a sample; a digit that has ended by it.
    #[inline]
    pub(crate) fn hear(&mut self, sample: i16) -> Option<Pressed> {
        let sample = f32::from(sample);
        self.power += sample * sample;
        for (state, coefficient) in self.filters.iter_mut().zip(COEFFICIENTS) {
            *state = [sample + coefficient * state[0] - state[1], state[0]];
        }
        self.filled += 1;
        if self.filled < BLOCK { None } else { self.block() }
    }

    /// Whether a digit is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Silence, or nothing at all: what is under way has ended.
    pub(crate) fn stop(&mut self) -> Option<Pressed> {
        let pressed = self.under_way.take().map(|it| it.pressed());
        *self = Self::default();
        pressed
    }

    fn block(&mut self) -> Option<Pressed> {
        let found = self.judge();
        (self.filters, self.power, self.filled) = ([[0.0; 2]; 8], 0.0, 0);
        let before = std::mem::replace(&mut self.before, found);
        let begins = found.filter(|digit| before == Some(*digit));
        let Some(it) = &mut self.under_way else {
            self.under_way = begins.map(|digit| UnderWay { digit, blocks: 2, missing: 0 });
            return None;
        };
        if found == Some(it.digit) {
            (it.blocks, it.missing) = (it.blocks + 1 + it.missing, 0);
            return None;
        }
        it.missing += 1;
        if it.missing < ENDS_AFTER {
            return None;
        }
        let ended = it.pressed();
        self.under_way = begins.map(|digit| UnderWay { digit, blocks: 2, missing: 0 });
        Some(ended)
    }

    fn judge(&self) -> Option<usize> {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let samples = BLOCK as f32;
        if self.power < QUIETEST * samples {
            return None;
        }
        let strength = |at: usize| {
            let [now, last] = self.filters[at];
            now * now + last * last - COEFFICIENTS[at] * now * last
        };
        let loudest = |first: usize| (first..first + 4).max_by(|a, b| strength(*a).total_cmp(&strength(*b)));
        let (row, column) = (loudest(0)?, loudest(4)?);
        let (low, high) = (strength(row), strength(column));
        let stands_out = |chosen: usize, first: usize, strong: f32| {
            (first..first + 4).all(|other| other == chosen || strength(other) * STANDS_OUT < strong)
        };
        // A sine of amplitude A has a strength of (samples * A / 2)^2 and a power of samples * A^2 / 2.
        let share = (low + high) * 2.0 / (samples * self.power);
        let fits = share >= SHARE
            && high * TWIST >= low
            && low * REVERSE_TWIST >= high
            && stands_out(row, 0, low)
            && stands_out(column, 4, high);
        fits.then(|| KEYS[row][column - 4])
    }
}

impl UnderWay {
    fn pressed(&self) -> Pressed {
        let samples = u16::try_from(self.blocks * BLOCK).unwrap_or(u16::MAX);
        Pressed { digit: DIGITS[self.digit], samples }
    }
}

/// 2 cos(2 pi f / rate), by row and column. (`cos` is no constant function.)
const COEFFICIENTS: [f32; 8] =
    [1.707_737_8, 1.645_281, 1.568_687, 1.478_205, 1.164_104, 0.996_370_2, 0.798_618_4, 0.568_532_7];

/// The two tones of the digit at a place in [`DIGITS`], of `amplitude` each, from its `at`-th sample on at `rate` samples a second;
/// silence for none.
pub(crate) fn tones(place: usize, at: u32, rate: u32, amplitude: f32, into: &mut [i16]) {
    let key = (0..16).map(|n| (n / 4, n % 4)).find(|(row, column)| KEYS[*row][*column] == place);
    let Some((row, column)) = key else { return into.fill(0) };
    for (n, sample) in (at..).zip(into) {
        #[expect(clippy::cast_precision_loss, reason = "a digit lasts seconds at most")]
        let turn = TAU * (n % rate) as f32 / rate as f32;
        let value = amplitude * ((turn * ROWS[row]).sin() + (turn * COLUMNS[column]).sin());
        #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
        let value = value as i16;
        *sample = value;
    }
}

#[cfg(test)]
mod tests;
