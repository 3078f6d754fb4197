//! G.722 at 64 kbit/s: two bands of adaptive differential PCM behind a quadrature mirror filter. Written from the
//! Recommendation's blocks, whose names the functions bear; state is fixed in size, so a packet takes nothing from the heap.

/// QUANTL: decision levels of the lower band (table 14), of six bits.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// INVQBL: output levels of the lower band for six bits.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360, -8576,
    -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040,
    -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456,
    4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// INVQAL: output levels for the four bits that adapt the lower band.
const QM4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
/// INVQAH: output levels of the higher band.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// LOGSCL: the step of the logarithmic scale factor by the code's magnitude.
const WL: [i32; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];
const RL42: [u8; 16] = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0];
/// LOGSCH: the same of the higher band, by its code.
const WH: [i32; 4] = [798, -214, 798, -214];
/// SCALEL and SCALEH: from the logarithmic to the linear scale factor.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025,
    3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
/// Half of the mirror filter (table 11); the other half is the same backwards.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// Both directions know the signal of a band by the same predictor.
#[derive(Clone, Debug)]
struct Band {
    /// Scale factor, linear and logarithmic.
    scale: i32,
    log_scale: i32,
    /// The predicted signal, and the zero section's part of it.
    predicted: i32,
    zeros: i32,
    /// Two poles over the reconstructed signal.
    pole: [i32; 2],
    reconstructed: [i32; 2],
    /// The last two partially reconstructed signals.
    partial: [i32; 2],
    /// Six zeros over the difference signal.
    zero: [i32; 6],
    difference: [i32; 6],
}

impl Band {
    const fn new(scale: i32) -> Self {
        Self {
            scale,
            log_scale: 0,
            predicted: 0,
            zeros: 0,
            pole: [0; 2],
            reconstructed: [0; 2],
            partial: [0; 2],
            zero: [0; 6],
            difference: [0; 6],
        }
    }

    /// Blocks 3L and 3H: how coarse the next step is.
    fn adapt_scale(&mut self, step: i32, most: i32, shift: i32) {
        self.log_scale = (((self.log_scale * 127) >> 7) + step).clamp(0, most);
        let mantissa = ILB[((self.log_scale >> 6) & 31) as usize];
        let shift = shift - (self.log_scale >> 11);
        self.scale = (if shift < 0 { mantissa << -shift } else { mantissa >> shift }) << 2;
    }

    /// Blocks 4L and 4H: RECONS, PARREC, UPPOL2, UPPOL1, UPZERO, the delays, FILTEP, FILTEZ, PREDIC.
    fn predict(&mut self, difference: i32) {
        let reconstructed = saturate(self.predicted + difference);
        let partial = saturate(self.zeros + difference);
        let same = |a: i32, b: i32| (a < 0) == (b < 0);

        let upper = saturate(self.pole[0] << 2);
        let upper = if same(partial, self.partial[0]) { -upper } else { upper }.min(32_767);
        let towards = if same(partial, self.partial[1]) { 128 } else { -128 };
        let second = (towards + (upper >> 7) + ((self.pole[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        let towards = if same(partial, self.partial[0]) { 192 } else { -192 };
        let limit = saturate(15_360 - second);
        let first = saturate(towards + ((self.pole[0] * 32_640) >> 15)).clamp(-limit, limit);

        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zero.iter_mut().zip(self.difference) {
            let towards = if same(before, difference) { step } else { -step };
            *zero = saturate(towards + ((*zero * 32_640) >> 15));
        }

        self.difference.copy_within(..5, 1);
        self.difference[0] = difference;
        self.pole = [first, second];
        self.partial = [partial, self.partial[0]];
        self.reconstructed = [reconstructed, self.reconstructed[0]];

        let poles: i32 = (0..2).map(|i| (self.pole[i] * saturate(self.reconstructed[i] * 2)) >> 15).sum();
        let zeros = (0..6).map(|i| (self.zero[i] * saturate(self.difference[i] * 2)) >> 15).sum();
        self.zeros = saturate(zeros);
        self.predicted = saturate(saturate(poles) + self.zeros);
    }

    /// What adapts the lower band: four of its six bits.
    fn hear_lower(&mut self, code: u8) -> i32 {
        let four = usize::from(code >> 2);
        let difference = (self.scale * QM4[four]) >> 15;
        self.adapt_scale(WL[usize::from(RL42[four])], 18_432, 8);
        difference
    }

    fn hear_higher(&mut self, code: u8) -> i32 {
        let difference = (self.scale * QM2[usize::from(code)]) >> 15;
        self.adapt_scale(WH[usize::from(code)], 22_528, 10);
        difference
    }
}

/// Encodes 16 kHz audio; two samples a byte.
#[derive(Clone, Debug)]
pub(crate) struct G722Encoder {
    lower: Band,
    higher: Band,
    line: [i32; 24],
}

impl G722Encoder {
    pub(crate) const fn new() -> Self {
        Self { lower: Band::new(32), higher: Band::new(8), line: [0; 24] }
    }

    /// An odd last sample is left out.
    pub(crate) fn encode(&mut self, samples: &[i16], bytes: &mut [u8]) -> usize {
        let mut written = 0;
        for (pair, byte) in samples.chunks_exact(2).zip(bytes) {
            *byte = self.pair(i32::from(pair[0]), i32::from(pair[1]));
            written += 1;
        }
        written
    }

    fn pair(&mut self, first: i32, second: i32) -> u8 {
        // Transmit QMF.
        self.line.copy_within(2.., 0);
        (self.line[22], self.line[23]) = (first, second);
        let (mut odd, mut even) = (0, 0);
        for (i, coefficient) in QMF.iter().enumerate() {
            odd += self.line[2 * i] * coefficient;
            even += self.line[2 * i + 1] * QMF[11 - i];
        }
        let (low, high) = ((even + odd) >> 14, (even - odd) >> 14);

        // SUBTRA, QUANTL.
        let error = saturate(low - self.lower.predicted);
        let magnitude = if error >= 0 { error } else { -(error + 1) };
        let level = Q6[1..].iter().take_while(|level| magnitude >= (*level * self.lower.scale) >> 12).count();
        let low_code = lower_code(level, error < 0);
        let difference = self.lower.hear_lower(low_code);
        self.lower.predict(difference);

        // SUBTRA, QUANTH.
        let error = saturate(high - self.higher.predicted);
        let magnitude = if error >= 0 { error } else { -(error + 1) };
        let far = magnitude >= (564 * self.higher.scale) >> 12;
        let high_code = match (error < 0, far) {
            (true, false) => 1,
            (true, true) => 0,
            (false, false) => 3,
            (false, true) => 2,
        };
        let difference = self.higher.hear_higher(high_code);
        self.higher.predict(difference);
        high_code << 6 | low_code
    }
}

/// Table 15: the six bits of a decision level, counted from zero.
fn lower_code(level: usize, negative: bool) -> u8 {
    let level = u8::try_from(level).unwrap_or(29).min(29);
    match (negative, level) {
        (true, 0) => 63,
        (true, 1) => 62,
        (true, level) => 33 - level,
        (false, level) => 61 - level,
    }
}

/// Decodes to 16 kHz audio.
#[derive(Clone, Debug)]
pub(crate) struct G722Decoder {
    lower: Band,
    higher: Band,
    line: [i32; 24],
}

impl G722Decoder {
    pub(crate) const fn new() -> Self {
        Self { lower: Band::new(32), higher: Band::new(8), line: [0; 24] }
    }

    pub(crate) fn decode(&mut self, bytes: &[u8], samples: &mut [i16]) -> usize {
        let mut written = 0;
        for (byte, pair) in bytes.iter().zip(samples.chunks_exact_mut(2)) {
            pair.copy_from_slice(&self.pair(*byte));
            written += 2;
        }
        written
    }

    #[expect(clippy::cast_possible_truncation, reason = "saturated to 16 bits")]
    fn pair(&mut self, byte: u8) -> [i16; 2] {
        let (low_code, high_code) = (byte & 63, byte >> 6);
        // INVQBL, RECONS, LIMIT.
        let fine = (self.lower.scale * QM6[usize::from(low_code)]) >> 15;
        let low = (self.lower.predicted + fine).clamp(-16_384, 16_383);
        let difference = self.lower.hear_lower(low_code);
        self.lower.predict(difference);
        let before = self.higher.predicted;
        let difference = self.higher.hear_higher(high_code);
        let high = (before + difference).clamp(-16_384, 16_383);
        self.higher.predict(difference);

        // Receive QMF.
        self.line.copy_within(2.., 0);
        (self.line[22], self.line[23]) = (low + high, low - high);
        let (mut first, mut second) = (0, 0);
        for (i, coefficient) in QMF.iter().enumerate() {
            second += self.line[2 * i] * coefficient;
            first += self.line[2 * i + 1] * QMF[11 - i];
        }
        [saturate(first >> 11) as i16, saturate(second >> 11) as i16]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezk_g722::libg722::{self, Bitrate};
    use proptest::prelude::*;
    use std::f32::consts::TAU;

    fn speech_like(count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| {
                let t = n as f32 / 16_000.0;
                let swell = (TAU * 3.0 * t).sin().abs();
                let voice: f32 = (1..20).map(|k| (TAU * 137.0 * k as f32 * t).sin() / k as f32).sum();
                #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
                let sample = (9000.0 * swell * voice) as i16;
                sample
            })
            .collect()
    }

    /// The other implementation begins with scale factors of zero, ours with the Recommendation's 32 and 8.
    fn encoder() -> G722Encoder {
        G722Encoder { lower: Band::new(0), higher: Band::new(0), line: [0; 24] }
    }

    fn decoder() -> G722Decoder {
        G722Decoder { lower: Band::new(0), higher: Band::new(0), line: [0; 24] }
    }

    fn agrees(samples: &[i16]) {
        let mut ours = vec![0; samples.len() / 2];
        encoder().encode(samples, &mut ours);
        let theirs = libg722::encoder::Encoder::new(Bitrate::Mode1_64000, false, false).encode(samples);
        assert_eq!(ours, theirs);
        let mut heard = vec![0; samples.len()];
        decoder().decode(&ours, &mut heard);
        assert_eq!(heard, libg722::decoder::Decoder::new(Bitrate::Mode1_64000, false, false).decode(&ours));
    }

    #[test]
    fn speech_is_coded_bit_for_bit_as_an_independent_implementation_does() {
        agrees(&speech_like(32_000));
    }

    #[test]
    fn speech_comes_back_with_the_delay_of_both_filters() {
        let samples = speech_like(32_000);
        let mut bytes = vec![0; 16_000];
        G722Encoder::new().encode(&samples, &mut bytes);
        let mut heard = vec![0; 32_000];
        G722Decoder::new().decode(&bytes, &mut heard);
        let (mut error, mut signal) = (0.0, 0.0);
        for n in 1000..31_000 {
            let (was, is) = (f64::from(samples[n]), f64::from(heard[n + 22]));
            signal += was * was;
            error += (was - is) * (was - is);
        }
        let snr = 10.0 * (signal / error).log10();
        assert!(snr > 20.0, "{snr} dB");
    }

    proptest! {
        #[test]
        fn whatever_the_samples_both_code_alike(samples in proptest::collection::vec(any::<i16>(), 0..400)) {
            let even = samples.len() / 2 * 2;
            agrees(&samples[..even]);
        }

        #[test]
        fn whatever_the_bytes_both_decode_alike(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut ours = vec![0; bytes.len() * 2];
            decoder().decode(&bytes, &mut ours);
            prop_assert_eq!(ours, libg722::decoder::Decoder::new(Bitrate::Mode1_64000, false, false).decode(&bytes));
        }
    }
}
