//! Several parties heard at once.

use crate::worker::Slot;
use smallvec::SmallVec;

/// Parties one listener can hear at once; further ones are left out.
pub const MAX_MIXED: usize = 16;
/// Louder than this the sum is turned down (-1.2 dBov).
const CEILING: f32 = 28_500.0;
/// How much of the way back to full loudness is gone in each block of 5 ms: a second for most of it.
const RECOVERY: f32 = 0.01;
/// Nearer to full loudness than this is full loudness.
const NEARLY: f32 = 0.9999;

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

    /// Turns a frame's sums into samples, in blocks of so many. One party alone, and sums that fit, are never touched; others
    /// pass a limiter that knows the whole frame: the gain is down before the peak comes, along a line, and goes up slowly.
    pub(crate) fn level(&mut self, sums: &[i32], samples: &mut [i16], block: usize) {
        let quiet = self.gain == 1.0 && (self.parties.len() < 2 || wanted(sums) == 1.0);
        if quiet {
            for (sum, sample) in sums.iter().zip(samples) {
                *sample = crate::resample::rounded(*sum as f32);
            }
            return;
        }
        let mut ahead = sums.chunks(block).skip(1);
        for (sums, samples) in sums.chunks(block).zip(samples.chunks_mut(block)) {
            let own = wanted(sums);
            let next = ahead.next().map_or(1.0, wanted);
            let recovered = self.gain + (1.0 - self.gain) * RECOVERY;
            let end = own.min(next).min(if recovered > NEARLY { 1.0 } else { recovered });
            self.glide(sums, samples, own, end);
        }
    }

    /// One block: to `end`, and nowhere above what its own peaks leave.
    fn glide(&mut self, sums: &[i32], samples: &mut [i16], own: f32, end: f32) {
        let start = self.gain;
        let mut slope = (end - start) / sums.len().max(1) as f32;
        if start > own {
            // The peak is in the first block of a frame, of which the frame before could know nothing.
            for (n, sum) in (1..).zip(sums) {
                let most = CEILING / sum.unsigned_abs().max(1) as f32;
                if most < start {
                    slope = slope.min((most - start) / n as f32);
                }
            }
        }
        let (low, high) = (start.min(end), start.max(end));
        for (n, (sum, sample)) in (1..).zip(sums.iter().zip(samples)) {
            let gain = (start + slope * n as f32).clamp(low, high);
            *sample = crate::resample::rounded(*sum as f32 * gain);
        }
        self.gain = end;
    }
}

/// The gain with which these just fit.
fn wanted(sums: &[i32]) -> f32 {
    let highest = sums.iter().map(|sum| sum.unsigned_abs()).max().unwrap_or(0) as f32;
    if highest > CEILING { CEILING / highest } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::TAU;

    const BLOCK: usize = 40;
    const FRAME: usize = 160;

    fn mix(parties: u32) -> Mix {
        Mix::new((0..parties).map(Slot).collect())
    }

    #[expect(clippy::cast_possible_truncation, reason = "half a million at most")]
    fn wave(amplitude: f64, hz: f64, from: usize) -> Vec<i32> {
        (from..from + FRAME).map(|n| (amplitude * (TAU * hz * n as f64 / 8000.0).sin()) as i32).collect()
    }

    #[test]
    fn what_fits_is_not_touched() {
        let sums: Vec<i32> = (0..160).map(|n| n * 170).collect();
        let mut samples = [0; FRAME];
        mix(2).level(&sums, &mut samples, BLOCK);
        assert!(sums.iter().zip(samples).all(|(sum, sample)| *sum == i32::from(sample)));
    }

    /// From silence to sixteen at their loudest, at every place of a frame where that can begin.
    #[test]
    fn sixteen_shouting_at_once_are_turned_down_and_never_clipped() {
        for quiet in 0..FRAME {
            let mut mix = mix(16);
            let mut samples = [0; FRAME];
            for frame in 0..5 {
                let mut sums = wave(16.0 * 32_767.0, 381.0, frame * FRAME);
                if frame == 0 {
                    sums[..quiet].fill(0);
                }
                mix.level(&sums, &mut samples, BLOCK);
                let highest = samples.iter().map(|sample| sample.unsigned_abs()).max();
                assert!(highest <= Some(28_501), "{highest:?} in frame {frame} after {quiet} of silence");
            }
        }
    }

    #[test]
    fn after_a_shout_it_is_loud_again_two_seconds_later() {
        let mut mix = mix(2);
        let mut samples = [0; FRAME];
        mix.level(&wave(60_000.0, 500.0, 0), &mut samples, BLOCK);
        mix.level(&[1000; FRAME], &mut samples, BLOCK);
        assert!(samples[0] < 550, "right after it is still turned down: {}", samples[0]);
        for _ in 0..100 {
            mix.level(&[1000; FRAME], &mut samples, BLOCK);
        }
        assert!(samples[FRAME - 1] > 950, "{}", samples[FRAME - 1]);
        for _ in 0..200 {
            mix.level(&[1000; FRAME], &mut samples, BLOCK);
        }
        assert_eq!(samples, [1000; FRAME], "and then untouched");
    }

    /// A click is a step: of the gain, here, for the input has none. Two tones come up and go within the frames.
    #[test]
    fn the_gain_makes_no_step_while_it_goes_down_and_up() {
        let mut mix = mix(2);
        let mut samples = [0; FRAME];
        let mut last: Option<f64> = None;
        for frame in 0..200 {
            let loud = 12_000.0 + 30_000.0 * (TAU * f64::from(frame) / 50.0).sin().abs();
            let from = FRAME * usize::try_from(frame).unwrap_or(0);
            let sums: Vec<i32> =
                wave(loud, 210.0, from).iter().zip(wave(loud, 330.0, from)).map(|(a, b)| a + b).collect();
            mix.level(&sums, &mut samples, BLOCK);
            for (sum, sample) in sums.iter().zip(samples).filter(|(sum, _)| sum.abs() > 4_000) {
                let gain = f64::from(sample) / f64::from(*sum);
                let step = last.map_or(0.0, |last| (gain - last).abs());
                assert!(step < 0.05, "a step of {step} in frame {frame}");
                last = Some(gain);
            }
        }
    }
}
