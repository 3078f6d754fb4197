//! Playing a little faster or slower: one pitch period taken out or put in, blended over its whole length, where it is
//! least heard. This is how a jitter buffer follows the other side's clock.

use crate::conceal::{LONGEST_MS, SHORTEST_MS};

/// What must lie ready: two of the longest periods, and what is compared.
pub(crate) const NEEDED_MS: usize = 2 * LONGEST_MS + COMPARED_MS;
const COMPARED_MS: usize = 10;
/// Less alike than this, and the change would be heard.
const ALIKE: f32 = 0.5;
/// Nobody hears what happens below this (-50 dBov), as a mean square.
const UNHEARD: f32 = 10_737.0;

/// Takes one period out of the beginning of `samples`; how many samples, 0 where it would be heard.
pub(crate) fn shrink(samples: &mut Vec<i16>, per_ms: usize) -> usize {
    let Some(period) = period(samples, per_ms) else { return 0 };
    for n in 0..period {
        samples[n] = blend(samples[n], samples[n + period], n, period);
    }
    samples.copy_within(2 * period.., period);
    samples.truncate(samples.len() - period);
    period
}

/// Puts one period in at the beginning; how many samples, 0 where it would be heard or there is no room.
pub(crate) fn grow(samples: &mut Vec<i16>, per_ms: usize) -> usize {
    let Some(period) = period(samples, per_ms) else { return 0 };
    let length = samples.len();
    if length + period > samples.capacity() {
        return 0;
    }
    samples.resize(length + period, 0);
    samples.copy_within(period..length, 2 * period);
    // The first period stays; the second leads from where it was going back to the first one's beginning.
    for n in 0..period {
        let going_on = samples[if 2 * period + n < length + period { 2 * period + n } else { n }];
        samples[period + n] = blend(going_on, samples[n], n, period);
    }
    period
}

#[expect(clippy::cast_possible_truncation, reason = "between two samples of 16 bits")]
fn blend(from: i16, to: i16, n: usize, length: usize) -> i16 {
    let (from, to, n, length) = (i64::from(from), i64::from(to), n as i64 + 1, length as i64 + 1);
    (from + (to - from) * n / length) as i16
}

/// The lag at which the beginning of `samples` is most like what follows.
fn period(samples: &[i16], per_ms: usize) -> Option<usize> {
    if samples.len() < NEEDED_MS * per_ms {
        return None;
    }
    let compared = &samples[..COMPARED_MS * per_ms];
    let energy = |samples: &[i16]| samples.iter().map(|s| f32::from(*s) * f32::from(*s)).sum::<f32>();
    let own = energy(compared);
    if own < UNHEARD * compared.len() as f32 {
        return Some(10 * per_ms);
    }
    let mut best = (0, 0.0);
    for lag in (SHORTEST_MS * per_ms..=LONGEST_MS * per_ms).step_by(per_ms / 8) {
        let other = &samples[lag..lag + compared.len()];
        let product: f32 = compared.iter().zip(other).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
        let alike = product / (own * energy(other).max(1.0)).sqrt();
        if alike > best.1 {
            best = (lag, alike);
        }
    }
    (best.1 >= ALIKE).then_some(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn voice(count: usize) -> Vec<i16> {
        let mut samples: Vec<i16> = (0..count)
            .map(|n| {
                let t = n as f32 / 8000.0;
                crate::resample::rounded((1..8).map(|k| 4000.0 / k as f32 * (TAU * 125.0 * k as f32 * t).sin()).sum())
            })
            .collect();
        samples.reserve(1000);
        samples
    }

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
    }

    #[test]
    fn a_period_goes_in_or_out_without_a_click() {
        let before = voice(600);
        let mut shorter = before.clone();
        let out = shrink(&mut shorter, 8);
        assert_eq!((out, shorter.len()), (64, 536), "125 Hz at 8 kHz");
        assert_eq!(shorter[64..], before[128..]);
        let mut longer = before.clone();
        longer.reserve(1000);
        let into = grow(&mut longer, 8);
        assert_eq!((into, longer.len()), (64, 664));
        assert_eq!((&longer[..64], &longer[128..]), (&before[..64], &before[64..]));
        assert!(steepest(&shorter).max(steepest(&longer)) <= steepest(&before) * 11 / 10);
    }

    #[test]
    fn noise_is_left_alone_and_silence_is_not() {
        let mut state = 1u32;
        let mut noise: Vec<i16> = (0..600)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                i16::from_be_bytes([state.to_be_bytes()[0], state.to_be_bytes()[1]]) / 4
            })
            .collect();
        assert_eq!(shrink(&mut noise, 8), 0);
        assert_eq!(shrink(&mut vec![3; 600], 8), 80);
        assert_eq!(shrink(&mut vec![3; 100], 8), 0, "too little lies ready");
    }
}
