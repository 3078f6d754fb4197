//! From 8 kHz to a multiple of it and back, for what programs say and hear in wideband codecs.
#![expect(clippy::cast_precision_loss, reason = "factors and counts are far below 2^52")]

/// How many samples at 8 kHz on each side of one count for what lies between.
const REACH: usize = 16;

/// The weights of a low pass at 4 kHz for `factor` times 8 kHz: a windowed sine.
fn low_pass(factor: usize) -> Vec<f64> {
    let reach = (REACH * factor) as f64;
    let weight = |at: f64| {
        let (x, window) = (std::f64::consts::PI * at / factor as f64, (std::f64::consts::PI * at / reach).cos());
        (if at == 0.0 { 1.0 } else { x.sin() / x }) * 0.5 * (1.0 + window)
    };
    (0..=2 * REACH * factor).map(|at| weight(at as f64 - reach)).collect()
}

/// The same at `factor` times the rate.
pub(crate) fn widened(samples: &[i16], factor: usize) -> Vec<i16> {
    let (weights, middle) = (low_pass(factor), REACH * factor);
    let at = |index: usize| {
        let (whole, part) = (index / factor, index % factor);
        let near = (whole + 1).saturating_sub(REACH)..(whole + REACH).min(samples.len());
        let sum: f64 = near
            .map(|known| weights[middle + whole * factor + part - known * factor] * f64::from(samples[known]))
            .sum();
        rounded(sum)
    };
    (0..samples.len() * factor).map(at).collect()
}

/// `count` samples at 8 kHz of what has `factor` times that rate.
pub(crate) fn narrowed(samples: &[i16], factor: usize, count: usize) -> Vec<i16> {
    let (weights, middle) = (low_pass(factor), REACH * factor);
    let at = |index: usize| {
        let (centre, end) = (index * factor, samples.len());
        let near = centre.saturating_sub(middle)..(centre + middle).min(end);
        let sum: f64 = near.map(|near| weights[middle + centre - near] * f64::from(samples[near])).sum();
        rounded(sum / factor as f64)
    };
    (0..count.min(samples.len() / factor)).map(at).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn rounded(sample: f64) -> i16 {
    sample.round() as i16
}

#[cfg(test)]
mod tests {
    use super::{narrowed, widened};
    use crate::recorded::correlation;
    use parties::signal::Signal;

    #[test]
    fn what_was_widened_and_narrowed_again_is_what_it_was() {
        let noise = Signal::Noise(1).samples(0, 4_000);
        for factor in [1, 2, 6] {
            let back = narrowed(&widened(&noise, factor), factor, 4_000);
            let same = correlation(&noise[100..3_900], &back[100..3_900]);
            assert!(same > 0.97, "{factor}: {same}");
        }
    }
}
