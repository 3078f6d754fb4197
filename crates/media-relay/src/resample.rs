//! Twice and half the rate: between the 8 kHz of the telephone and the 16 kHz of wideband codecs. One half-band filter, so
//! every other tap is zero; 1.4 ms of delay either way. (A library's resamplers take blocks of their own choosing, and more
//! delay; the only ratio needed here is two.)

/// Samples of the wider rate in the longest block.
pub(crate) const WIDE_BLOCK: usize = 80;
/// Taps on one side of the middle, whose weight is a half; they stand at odd distances. Kaiser window, beta 5.65: 3.4 kHz
/// passes within 0.1 dB, what would fold back from beyond 4.6 kHz is 60 dB down.
const SIDE: [f32; 12] = [
    0.317048,
    -0.101975,
    0.0569294,
    -0.0364316,
    0.0243879,
    -0.0164404,
    0.0109158,
    -0.00701518,
    0.00428547,
    -0.00242864,
    0.00122482,
    -0.000499783,
];
/// Wide samples before the newest that the filter still sees.
const REACH: usize = 46;

/// 16 kHz to 8 kHz.
#[derive(Clone, Debug)]
pub(crate) struct Halving {
    line: [f32; REACH + WIDE_BLOCK],
}

/// 8 kHz to 16 kHz.
#[derive(Clone, Debug)]
pub(crate) struct Doubling {
    line: [f32; REACH / 2 + WIDE_BLOCK / 2],
}

impl Halving {
    pub(crate) const fn new() -> Self {
        Self { line: [0.0; REACH + WIDE_BLOCK] }
    }

    /// Half of the samples of `wide` (an even number, at most [`WIDE_BLOCK`]) into `narrow`.
    pub(crate) fn halve(&mut self, wide: &[i16], narrow: &mut [i16]) {
        let length = wide.len().min(WIDE_BLOCK) & !1;
        for (at, sample) in self.line[REACH..].iter_mut().zip(wide) {
            *at = f32::from(*sample);
        }
        for (n, out) in narrow.iter_mut().enumerate().take(length / 2) {
            let middle = 2 * n + REACH / 2 + 1;
            let sides: f32 = SIDE
                .iter()
                .enumerate()
                .map(|(i, tap)| tap * (self.line[middle - 1 - 2 * i] + self.line[middle + 1 + 2 * i]))
                .sum();
            *out = rounded(0.5 * self.line[middle] + sides);
        }
        self.line.copy_within(length..length + REACH, 0);
    }
}

impl Doubling {
    pub(crate) const fn new() -> Self {
        Self { line: [0.0; REACH / 2 + WIDE_BLOCK / 2] }
    }

    /// Twice the samples of `narrow` (at most half of [`WIDE_BLOCK`]) into `wide`.
    pub(crate) fn double(&mut self, narrow: &[i16], wide: &mut [i16]) {
        const KEPT: usize = REACH / 2;
        let length = narrow.len().min(WIDE_BLOCK / 2);
        for (at, sample) in self.line[KEPT..].iter_mut().zip(narrow) {
            *at = f32::from(*sample);
        }
        for (n, pair) in wide.chunks_exact_mut(2).enumerate().take(length) {
            // On a sample stands the sample itself, between it and the next what the filter says.
            let on = n + KEPT / 2;
            let sides: f32 =
                SIDE.iter().enumerate().map(|(i, tap)| tap * (self.line[on - i] + self.line[on + 1 + i])).sum();
            pair[0] = rounded(self.line[on]);
            pair[1] = rounded(2.0 * sides);
        }
        self.line.copy_within(length..length + KEPT, 0);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
pub(crate) fn rounded(sample: f32) -> i16 {
    sample.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn tone(hz: f32, rate: f32, count: usize) -> Vec<i16> {
        (0..count).map(|n| rounded(10_000.0 * (TAU * hz * n as f32 / rate).sin())).collect()
    }

    fn halved(wide: &[i16]) -> Vec<i16> {
        let mut filter = Halving::new();
        let mut narrow = vec![0; wide.len() / 2];
        for (from, to) in wide.chunks(80).zip(narrow.chunks_mut(40)) {
            filter.halve(from, to);
        }
        narrow
    }

    fn doubled(narrow: &[i16]) -> Vec<i16> {
        let mut filter = Doubling::new();
        let mut wide = vec![0; narrow.len() * 2];
        for (from, to) in narrow.chunks(40).zip(wide.chunks_mut(80)) {
            filter.double(from, to);
        }
        wide
    }

    fn decibels(samples: &[i16]) -> f32 {
        10.0 * (crate::codec::mean_square(samples) as f32 / 50_000_000.0).log10()
    }

    #[test]
    fn the_telephone_band_passes_and_what_would_fold_back_does_not() {
        for (hz, least, most) in
            [(300.0, -0.1, 0.1), (3400.0, -0.5, 0.1), (4700.0, -200.0, -55.0), (7000.0, -200.0, -55.0)]
        {
            let level = decibels(&halved(&tone(hz, 16_000.0, 16_000))[100..]);
            assert!((least..=most).contains(&level), "{hz} Hz at {level} dB");
        }
    }

    #[test]
    fn doubling_makes_no_mirror_image() {
        let wide = doubled(&tone(1000.0, 8000.0, 8000));
        assert!(decibels(&wide[100..]).abs() < 0.1);
        // What is left when the tone itself, wherever its phase, is taken away: the mean of two samples half a turn apart.
        let rest: Vec<i16> = wide[100..].windows(9).map(|w| (w[0] + w[8]) / 2).collect();
        assert!(decibels(&rest) < -55.0, "{}", decibels(&rest));
    }

    #[test]
    fn there_and_back_is_the_same_signal_a_little_later() {
        let narrow: Vec<i16> =
            tone(700.0, 8000.0, 4000).iter().zip(tone(1900.0, 8000.0, 4000)).map(|(a, b)| a / 2 + b / 2).collect();
        let back = halved(&doubled(&narrow));
        let off = |lag: usize| decibels(&(200..3900).map(|n| back[n + lag] - narrow[n]).collect::<Vec<_>>());
        let best = (15..30).map(off).fold(0.0, f32::min);
        assert!(best < -40.0, "{best}");
    }
}
