//! How a listener would judge a stream: the E-model (ITU-T G.107), with the impairments of G.113 for the codec, and delay by
//! its common approximation. An estimate from loss, jitter and delay: it knows neither echo nor noise nor what was said.

use crate::Codec;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A mean opinion score of 1.00 (bad) to 4.41 (as good as a telephone gets), in hundredths.
///
/// Estimated by the E-model (ITU-T G.107) from what was counted: loss with G.113's figures for the codec, and delay.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mos(pub u16);

impl Mos {
    /// As the number people know.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// Estimates it for a stream of which `lost` of `expected` packets were lost, spread in arrival by `jitter` (RFC 3550),
    /// on a path of `round_trip`. `None` before anything was expected.
    pub(crate) fn estimate(
        codec: Codec,
        expected: u64,
        lost: u64,
        jitter: Duration,
        round_trip: Option<Duration>,
    ) -> Option<Self> {
        if expected == 0 {
            return None;
        }
        let loss = 100.0 * lost.min(expected) as f64 / expected as f64;
        // Whoever listens holds back twice the jitter and a packet, and conceals what is missing.
        let delay = round_trip.unwrap_or_default() / 2 + jitter * 2 + Duration::from_millis(20);
        Some(Self::of_rating(93.2 - delay_impairment(delay) - loss_impairment(codec, loss)))
    }

    /// G.107 annex B.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 100 and 450")]
    fn of_rating(r: f64) -> Self {
        let r = r.clamp(0.0, 100.0);
        let score = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        Self((score.clamp(1.0, 4.5) * 100.0).round() as u16)
    }
}

/// Id: what delay costs, gently at first and beyond 177 ms dearly.
fn delay_impairment(delay: Duration) -> f64 {
    let ms = delay.as_secs_f64() * 1000.0;
    0.024 * ms + 0.11 * (ms - 177.3).max(0.0)
}

/// Ie-eff (G.107 section 3.5): `bpl` says how well a codec bears loss at random. G.711's is that of its concealment
/// (G.113 table I.4); for the wideband codecs G.113 has none on this scale, so theirs is taken a little lower.
fn loss_impairment(codec: Codec, percent: f64) -> f64 {
    let bpl = match codec {
        Codec::Pcmu | Codec::Pcma | Codec::L16At8k | Codec::L16At16k => 25.1,
        Codec::G722 | Codec::Opus => 20.0,
    };
    95.0 * percent / (percent + bpl)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mos(lost: u64, jitter_ms: u64, round_trip_ms: u64) -> f64 {
        let (jitter, trip) = (Duration::from_millis(jitter_ms), Duration::from_millis(round_trip_ms));
        Mos::estimate(Codec::Pcma, 1000, lost, jitter, Some(trip)).unwrap().value()
    }

    #[test]
    fn a_clean_line_is_as_good_as_a_telephone_gets() {
        assert!((4.35..=4.41).contains(&mos(0, 0, 20)), "{}", mos(0, 0, 20));
        assert_eq!(Mos::estimate(Codec::Pcma, 0, 0, Duration::ZERO, None), None);
    }

    #[test]
    fn g107_annex_b_the_score_of_known_ratings() {
        for (r, score) in [(90.0, 434), (80.0, 403), (70.0, 360), (60.0, 310), (50.0, 258), (0.0, 100)] {
            assert!(Mos::of_rating(r).0.abs_diff(score) <= 1, "R {r}: {:?}", Mos::of_rating(r));
        }
    }

    #[test]
    fn loss_jitter_and_delay_each_cost() {
        let clean = mos(0, 0, 20);
        let losses: Vec<f64> = [0, 10, 50, 100, 300].map(|lost| mos(lost, 0, 20)).to_vec();
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{losses:?}");
        assert!((3.2..3.9).contains(&losses[2]), "5 % lost: {}", losses[2]);
        assert!(mos(0, 60, 20) < clean && mos(0, 0, 300) < clean);
        assert!(mos(0, 0, 800) < 3.2, "{}", mos(0, 0, 800));
        assert!(mos(1000, 500, 5000) >= 1.0);
    }
}
