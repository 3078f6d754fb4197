//! Comfort noise (RFC 3389): white, of a level.

use crate::Codec;

/// White noise, the same for the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    peak: f32,
    state: u32,
}

impl Noise {
    /// Of so many -dBov.
    pub(crate) fn new(level: u8) -> Self {
        Self::seeded(level, 0x9e37_79b9)
    }

    pub(crate) fn seeded(level: u8, seed: u32) -> Self {
        let mut noise = Self { peak: 0.0, state: seed | 1 };
        noise.level(level);
        noise
    }

    /// Changes the level.
    pub(crate) fn level(&mut self, level: u8) {
        // A uniform spread has a power of a third of its peak squared. From 78 on it is below the smallest step of G.711.
        let peak = (32_768.0 * 3f32.sqrt() * 10f32.powf(-f32::from(level) / 20.0)).min(32_000.0);
        self.peak = if level >= 78 { 0.0 } else { peak };
    }

    fn sample(&mut self) -> i16 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        #[expect(clippy::cast_possible_truncation, reason = "the peak is within 16 bits")]
        #[expect(clippy::cast_precision_loss, reason = "it is noise")]
        let sample = (self.peak * (self.state.cast_signed() as f32 / 2_147_483_648.0)) as i16;
        sample
    }

    pub(crate) fn fill(&mut self, samples: &mut [i16]) {
        samples.fill_with(|| self.sample());
    }

    /// The same in code words of G.711.
    pub(crate) fn fill_words(&mut self, codec: Codec, words: &mut [u8]) {
        words.fill_with(|| if self.peak == 0.0 { codec.silence() } else { codec.encode(self.sample()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comfort_noise_has_the_level_it_is_told() {
        for level in [30u8, 40, 50, 60] {
            let mut frame = [0; 800];
            Noise::seeded(level, 12_345).fill_words(Codec::Pcmu, &mut frame);
            let dbov = 10.0 * (f64::from(Codec::Pcmu.mean_square(&frame)) / (32_768.0 * 32_768.0)).log10();
            assert!((dbov + f64::from(level)).abs() < 1.0, "wanted -{level}, got {dbov}");
        }
    }
}
