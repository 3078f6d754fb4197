//! Tones of our own making: what a phone sounds like while it rings at the other end, country by country (ITU-T E.180, supplement 2), and
//! the beep after which a caller speaks.

use crate::Clip;
use core::f32::consts::TAU;

/// A ringing tone: the frequencies that sound together in Hz, and how long it sounds and is silent, in turns, in milliseconds.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Tone {
    hz: &'static [f32],
    cadence: &'static [u16],
}

const fn tone(hz: &'static [f32], cadence: &'static [u16]) -> Tone {
    Tone { hz, cadence }
}

/// Most of the world.
const COMMON: Tone = tone(&[425.0], &[1000, 4000]);
/// Britain and whom it taught.
const BRITISH: Tone = tone(&[400.0, 450.0], &[400, 200, 400, 2000]);
/// North America.
const AMERICAN: Tone = tone(&[440.0, 480.0], &[2000, 4000]);

/// By ISO 3166 code, in order.
const COUNTRIES: [(&str, Tone); 34] = [
    ("at", tone(&[420.0], &[1000, 5000])),
    ("au", BRITISH),
    ("be", tone(&[425.0], &[1000, 3000])),
    ("br", COMMON),
    ("ca", AMERICAN),
    ("ch", COMMON),
    ("cn", tone(&[450.0], &[1000, 4000])),
    ("cz", COMMON),
    ("de", COMMON),
    ("dk", COMMON),
    ("es", tone(&[425.0], &[1500, 3000])),
    ("fi", COMMON),
    ("fr", tone(&[440.0], &[1500, 3500])),
    ("gb", BRITISH),
    ("gr", COMMON),
    ("hk", tone(&[440.0, 480.0], &[400, 200, 400, 3000])),
    ("hu", tone(&[425.0], &[1250, 3750])),
    ("ie", BRITISH),
    ("il", tone(&[400.0], &[1000, 3000])),
    ("it", COMMON),
    ("jp", tone(&[384.0, 416.0], &[1000, 2000])),
    ("kr", tone(&[440.0, 480.0], &[1000, 2000])),
    ("mx", COMMON),
    ("nl", COMMON),
    ("no", COMMON),
    ("nz", BRITISH),
    ("pl", COMMON),
    ("pt", tone(&[425.0], &[1000, 5000])),
    ("ru", tone(&[425.0], &[800, 3200])),
    ("se", tone(&[425.0], &[1000, 5000])),
    ("sg", tone(&[401.0, 449.0], &[400, 200, 400, 2000])),
    ("tr", tone(&[450.0], &[2000, 4000])),
    ("us", AMERICAN),
    ("za", tone(&[383.0, 417.0], &[400, 200, 400, 2000])),
];

/// The countries whose ringing tone is known: their ISO 3166 codes in small letters, in order.
pub fn countries() -> impl Iterator<Item = &'static str> {
    COUNTRIES.iter().map(|(code, _)| *code)
}

impl Clip {
    /// One period of the ringing tone of a country by its ISO 3166 code, at -19 dBov, with ramps of 5 ms so that it does not click; 425 Hz,
    /// one second of five (ETSI TR 101 041-2), where the country's is not known.
    pub fn ringback(country: &str) -> Self {
        let known = COUNTRIES.iter().find(|(code, _)| code.eq_ignore_ascii_case(country));
        let Tone { hz, cadence } = known.map_or(COMMON, |(_, tone)| *tone);
        // Together they are as loud as one would be.
        #[expect(clippy::cast_precision_loss, reason = "one or two")]
        let amplitude = 5200.0 / (hz.len() as f32).sqrt();
        let mut samples = Vec::new();
        for (turn, ms) in cadence.iter().enumerate() {
            let length = u32::from(*ms) * 8;
            samples.extend((0..length).map(|n| {
                #[expect(clippy::cast_precision_loss, reason = "a cadence lasts seconds")]
                let ramp = n.min(length - n).min(40) as f32 / 40.0;
                #[expect(clippy::cast_precision_loss, reason = "a cadence lasts seconds")]
                let sum: f32 = hz.iter().map(|hz| (TAU * hz * (n % 8000) as f32 / 8000.0).sin()).sum();
                #[expect(clippy::cast_possible_truncation, reason = "within plus and minus 7400")]
                let sample = (amplitude * ramp * sum) as i16;
                if turn % 2 == 0 { sample } else { 0 }
            }));
        }
        Self::from_pcm16(&samples)
    }

    /// The tone after which a caller speaks: 1000 Hz at -19 dBov for 400 ms, with ramps of 5 ms so that it does not click.
    pub fn beep() -> Self {
        let length = 3_200u16;
        let samples: Vec<i16> = (0..length)
            .map(|n| {
                let ramp = f32::from(n.min(length - n).min(40)) / 40.0;
                let sine = (TAU * f32::from(n % 8) / 8.0).sin();
                #[expect(clippy::cast_possible_truncation, reason = "within plus and minus 5200")]
                let sample = (5200.0 * ramp * sine) as i16;
                sample
            })
            .collect();
        Self::from_pcm16(&samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, codec::QUIET_MEAN_SQUARE};
    use std::time::Duration;

    /// Frames of 20 ms, loud or not, as lengths in milliseconds.
    fn heard(clip: &Clip) -> Vec<(bool, usize)> {
        let loud = |frame: &[u8]| Codec::Pcmu.mean_square(frame) > QUIET_MEAN_SQUARE;
        let mut turns: Vec<(bool, usize)> = Vec::new();
        for frame in clip.encoded(Codec::Pcmu).chunks(160) {
            match turns.last_mut() {
                Some((last, ms)) if *last == loud(frame) => *ms += frame.len() / 8,
                _ => turns.push((loud(frame), frame.len() / 8)),
            }
        }
        turns
    }

    #[test]
    fn e180_each_country_rings_in_its_own_time() {
        assert_eq!(heard(&Clip::ringback("de")), [(true, 1000), (false, 4000)]);
        assert_eq!(heard(&Clip::ringback("GB")), [(true, 400), (false, 200), (true, 400), (false, 2000)]);
        assert_eq!(heard(&Clip::ringback("us")), [(true, 2000), (false, 4000)]);
        assert_eq!(heard(&Clip::ringback("xx")), [(true, 1000), (false, 4000)], "unknown: the common one");
        for country in countries() {
            let turns = heard(&Clip::ringback(country));
            assert!(turns.len().is_multiple_of(2) && turns[0].0, "{country}: {turns:?}");
            assert!(Clip::ringback(country).duration() >= Duration::from_secs(3), "{country}");
        }
        assert!(countries().collect::<Vec<_>>().is_sorted());
    }

    #[test]
    fn a_beep_is_heard_and_short_and_does_not_click() {
        let clip = Clip::beep();
        assert_eq!(clip.duration(), Duration::from_millis(400));
        let samples = clip.samples(8000);
        assert!(samples[..4].iter().chain(&samples[3_196..]).all(|sample| sample.abs() < 700));
        let loud = clip.encoded(Codec::Pcmu).chunks(160).filter(|it| Codec::Pcmu.mean_square(it) > 4_000_000).count();
        assert_eq!(loud, 20);
    }

    #[test]
    fn two_frequencies_are_no_louder_than_one() {
        let power = |country: &str| -> f64 {
            let clip = Clip::ringback(country);
            let samples = &clip.samples(8000)[400..2800];
            samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64
        };
        let ratio = power("us") / power("de");
        assert!((0.8..1.25).contains(&ratio), "{ratio}");
    }
}
