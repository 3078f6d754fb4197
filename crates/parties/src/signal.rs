//! Known signals: each sample is a function of its index alone, so whoever hears a stretch can say where it comes from.

use serde::{Deserialize, Serialize};

/// What a party says.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Digital silence.
    Silence,
    /// A sine of this frequency in Hz at -15 dBov.
    Tone(f64),
    /// Continuous noise below 1 kHz, different for each seed and never quiet: what correlation is measured with.
    Noise(u64),
    /// What the other side said 200 ms ago.
    Echo,
}

/// Samples a second of everything here.
pub const RATE: u32 = 8000;

/// Root mean square of a signal at -15 dBov.
const LEVEL: f64 = 5827.0;

impl Signal {
    /// The sample at index `n`; zero for [`Signal::Echo`], which depends on what was heard.
    pub fn sample(self, n: u64) -> i16 {
        match self {
            Self::Silence | Self::Echo => 0,
            #[expect(clippy::cast_precision_loss, reason = "an index of hours at 8 kHz is far below 2^52")]
            Self::Tone(hertz) => {
                // The index wraps at a whole second, where every whole frequency is at phase zero.
                let phase = (n % (u64::from(RATE) * 1000)) as f64 * hertz / f64::from(RATE);
                quantise(LEVEL * core::f64::consts::SQRT_2 * (phase * core::f64::consts::TAU).sin())
            }
            Self::Noise(seed) => quantise(noise(seed, n)),
        }
    }

    /// `count` samples from index `from` on.
    pub fn samples(self, from: u64, count: usize) -> Vec<i16> {
        (from..).take(count).map(|n| self.sample(n)).collect()
    }
}

/// Random points every four samples, joined by straight lines: noise below 1 kHz whose level never falls for long.
fn noise(seed: u64, n: u64) -> f64 {
    let (left, right) = (point(seed, n / 4), point(seed, n / 4 + 1));
    #[expect(clippy::cast_precision_loss, reason = "0 to 3")]
    let within = (n % 4) as f64 / 4.0;
    // Uniform points in -1..1 joined by lines have a root mean square of about 0.47.
    (left + (right - left) * within) * LEVEL / 0.47
}

fn point(seed: u64, n: u64) -> f64 {
    // SplitMix64 of the seed and the index.
    let mut z = n.wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    #[expect(clippy::cast_precision_loss, reason = "53 bits of chance are plenty")]
    let unit = (z >> 11) as f64 / (1u64 << 53) as f64;
    unit * 2.0 - 1.0
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of a sample")]
fn quantise(value: f64) -> i16 {
    value.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::level_dbov;

    #[test]
    fn tone_and_noise_stand_at_minus_15_dbov_in_every_20_ms() {
        for signal in [Signal::Tone(440.0), Signal::Noise(1), Signal::Noise(77)] {
            for window in signal.samples(0, 80_000).chunks(800) {
                let level = level_dbov(window);
                assert!((-18.0..-12.0).contains(&level), "{signal:?}: {level}");
            }
        }
    }

    #[test]
    fn a_sample_depends_on_its_index_alone() {
        let whole = Signal::Noise(5).samples(0, 1000);
        assert_eq!(Signal::Noise(5).samples(700, 100), whole[700..800]);
        assert_ne!(Signal::Noise(6).samples(700, 100), whole[700..800]);
    }
}
