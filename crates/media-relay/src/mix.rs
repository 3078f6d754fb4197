//! Several parties heard at once.

use crate::worker::Slot;
use smallvec::SmallVec;

/// Parties one listener can hear at once; further ones are left out.
pub const MAX_MIXED: usize = 16;
/// Louder than this the sum is turned down (-1.2 dBov).
const CEILING: f32 = 28_500.0;
/// How much of the way back to full loudness is gone in each block of 5 ms: a second for most of it.
const RECOVERY: f32 = 0.01;

/// Whom a listener hears, decoded, and how loud the sum is at the moment.
#[derive(Debug)]
pub(crate) struct Mix {
    pub(crate) parties: SmallVec<[Slot; 2]>,
    gain: f32,
}

impl Mix {
    pub(crate) fn new(parties: SmallVec<[Slot; 2]>) -> Self {
        Self { parties, gain: 1.0 }
    }

    /// Turns sums into samples. One party alone is never touched.
    pub(crate) fn level(&mut self, sums: &[i32], samples: &mut [i16]) {
        let highest = sums.iter().map(|sum| sum.unsigned_abs()).max().unwrap_or(0) as f32;
        let wanted = if self.parties.len() > 1 && highest > CEILING { CEILING / highest } else { 1.0 };
        let before = self.gain;
        // Down at once, within the block; up slowly.
        self.gain = if wanted < before { wanted } else { before + (wanted - before) * RECOVERY };
        let length = sums.len().max(1) as f32;
        for (n, (sum, sample)) in sums.iter().zip(samples).enumerate() {
            let gain = if before == 1.0 && self.gain == 1.0 {
                1.0
            } else {
                // The step down is over in the first eighth of the block.
                let share = if wanted < before { (8.0 * n as f32 / length).min(1.0) } else { n as f32 / length };
                before + (self.gain - before) * share
            };
            *sample = crate::resample::rounded(*sum as f32 * gain);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(parties: u32) -> Mix {
        Mix::new((0..parties).map(Slot).collect())
    }

    #[test]
    fn what_fits_is_not_touched() {
        let sums: Vec<i32> = (0..40).map(|n| n * 700).collect();
        let mut samples = [0; 40];
        mix(2).level(&sums, &mut samples);
        assert!(sums.iter().zip(samples).all(|(sum, sample)| *sum == i32::from(sample)));
    }

    #[test]
    fn sixteen_shouting_at_once_are_turned_down_and_not_clipped() {
        let mut mix = mix(16);
        let mut clipped = 0;
        for block in 0..20 {
            let sums: Vec<i32> = (0..40)
                .map(|n| {
                    #[expect(clippy::cast_possible_truncation, reason = "half a million at most")]
                    let sum = (16.0 * 30_000.0 * f64::from(block * 40 + n).mul_add(0.3, 0.0).sin()) as i32;
                    sum
                })
                .collect();
            let mut samples = [0; 40];
            mix.level(&sums, &mut samples);
            if block > 0 {
                clipped += samples.iter().filter(|sample| sample.unsigned_abs() > 32_000).count();
            }
        }
        assert_eq!(clipped, 0);
        let mut quiet = [0; 40];
        for _ in 0..400 {
            mix.level(&[1000; 40], &mut quiet);
        }
        assert!(quiet[39] > 950, "two seconds later it is loud again: {}", quiet[39]);
    }
}
