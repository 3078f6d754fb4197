//! How loud speech is while somebody speaks (after ITU-T P.56, method B), and the gain that brings a clip to a level.
//!
//! The power is that of the parts in which an envelope of two smoothings of 30 ms, held on for 200 ms, is above a threshold
//! 15.9 dB below that very power: pauses between words count, pauses between sentences do not. Of music that never pauses it is the
//! power of the whole.

/// A level measured.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct ActiveLevel {
    /// The power while it is active, in dB over that of a full-scale square wave.
    pub dbov: f64,
    /// How much of the time that is, from 0 to 1.
    pub activity: f64,
}

/// A second of the envelope's smoothing, and how long activity outlasts it.
const SMOOTHING_S: f64 = 0.03;
const HANGOVER_MS: u32 = 200;
/// How far below the level the threshold of activity is, in dB.
const MARGIN: f64 = 15.9;
/// Thresholds, 6 dB apart, the highest at half of full scale.
const THRESHOLDS: usize = 15;

/// The level of samples between -1 and 1, so many a second; none where there is no activity at all (below -84 dBov).
pub fn active_level(samples: &[f32], rate: u32) -> Option<ActiveLevel> {
    let keeps = (-1.0 / (f64::from(rate.max(1)) * SMOOTHING_S)).exp();
    // The envelope moves slowly: it is looked at once a millisecond.
    let block = (rate as usize / 1000).max(1);
    let (mut once, mut twice, mut energy) = (0.0, 0.0, 0.0);
    let mut active = [0u64; THRESHOLDS];
    let mut since = [HANGOVER_MS; THRESHOLDS];
    for samples in samples.chunks(block) {
        for sample in samples {
            let sample = f64::from(*sample);
            energy += sample * sample;
            once = keeps * once + (1.0 - keeps) * sample.abs();
            twice = keeps * twice + (1.0 - keeps) * once;
        }
        for (at, (active, since)) in active.iter_mut().zip(&mut since).enumerate() {
            *since = if twice >= threshold(at) { 0 } else { (*since + 1).min(HANGOVER_MS) };
            if *since == HANGOVER_MS {
                break;
            }
            *active += samples.len() as u64;
        }
    }
    let level = |at: usize| 10.0 * (energy / active[at] as f64).log10();
    let above = |at: usize| level(at) - 20.0 * threshold(at).log10();
    let heard = active.iter().take_while(|count| **count > 0).count();
    let last = heard.checked_sub(1)?;
    let total = samples.len() as f64;
    // Where the distance falls through the margin, between two thresholds.
    let dbov = match (1..heard).find(|at| above(*at) <= MARGIN) {
        _ if above(0) <= MARGIN => level(0),
        Some(at) => {
            let part = (above(at - 1) - MARGIN) / (above(at - 1) - above(at));
            level(at - 1) + part * (level(at) - level(at - 1))
        }
        None => level(last),
    };
    let activity = energy / total / 10f64.powf(dbov / 10.0);
    Some(ActiveLevel { dbov, activity: activity.min(1.0) })
}

fn threshold(at: usize) -> f64 {
    2f64.powi(i32::try_from(at).unwrap_or(0) - 15)
}

/// No peak is brought above this (-1 dBov).
const HIGHEST: f64 = 0.891;
/// What is as near to the wanted level as this, in dB, is left as it is, sample by sample.
const NEAR_ENOUGH: f64 = 1.0;
/// Nothing is made louder by more: noise is not speech.
const MOST: f64 = 30.0;

/// The factor that brings samples between -1 and 1 to a level in dBov, as near to it as their peaks allow.
pub fn gain_toward(dbov: f64, samples: &[f32], rate: u32) -> f64 {
    let Some(level) = active_level(samples, rate) else { return 1.0 };
    let wanted = (dbov - level.dbov).min(MOST);
    if wanted.abs() <= NEAR_ENOUGH {
        return 1.0;
    }
    let gain = 10f64.powf(wanted / 20.0);
    let peak = samples.iter().fold(0.0, |peak, sample| f64::from(sample.abs()).max(peak));
    if gain > 1.0 { gain.min((HIGHEST / peak).max(1.0)) } else { gain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn tone(dbov: f64, seconds: f32, rate: u32) -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
        let count = (seconds * rate as f32) as u32;
        #[expect(clippy::cast_possible_truncation, reason = "an amplitude")]
        let amplitude = (10f64.powf(dbov / 20.0) * 2f64.sqrt()) as f32;
        (0..count).map(|n| amplitude * (TAU * 440.0 * n as f32 / rate as f32).sin()).collect()
    }

    fn level(samples: &[f32], rate: u32) -> f64 {
        active_level(samples, rate).unwrap().dbov
    }

    #[test]
    fn p56_a_steady_signals_active_level_is_its_power_at_any_rate() {
        for rate in [8000, 16_000, 44_100] {
            for dbov in [-50.0, -35.0, -26.0, -12.0, -4.0] {
                let measured = active_level(&tone(dbov, 4.0, rate), rate).unwrap();
                assert!((measured.dbov - dbov).abs() < 0.2, "{dbov} dBov at {rate} Hz: {measured:?}");
                assert!(measured.activity > 0.97, "{measured:?}");
            }
        }
    }

    /// Bursts as long as words in sentences, with as much silence as there is between sentences: power alone would say 3 to 6 dB less.
    #[test]
    fn p56_pauses_do_not_count_and_the_hangover_does() {
        for (pause, least_activity, most_activity) in [(1usize, 0.5, 0.75), (3, 0.25, 0.40)] {
            let mut samples = Vec::new();
            for _ in 0..8 {
                samples.extend(tone(-26.0, 1.0, 8000));
                samples.extend(vec![0.0; pause * 8000]);
            }
            let measured = active_level(&samples, 8000).unwrap();
            assert!((-28.0..=-26.0).contains(&measured.dbov), "{measured:?} with pauses of {pause} s");
            assert!((least_activity..most_activity).contains(&measured.activity), "{measured:?}");
            let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
            let power = 10.0 * power.log10();
            assert!(measured.dbov > power + 1.5, "{measured:?}, power {power:.1}");
        }
        // 100 ms between words are within the hangover: they are part of the speech.
        let mut words = Vec::new();
        for _ in 0..20 {
            words.extend(tone(-26.0, 0.3, 8000));
            words.extend(vec![0.0; 800]);
        }
        let measured = active_level(&words, 8000).unwrap();
        assert!(measured.activity > 0.98 && (measured.dbov + 27.25).abs() < 0.2, "{measured:?}");
    }

    #[test]
    fn p56_noise_far_below_the_speech_is_no_speech() {
        let mut samples = tone(-20.0, 2.0, 8000);
        samples.extend(tone(-60.0, 6.0, 8000));
        let measured = active_level(&samples, 8000).unwrap();
        assert!((measured.dbov + 20.6).abs() < 0.8 && measured.activity < 0.33, "{measured:?}");
    }

    #[test]
    fn silence_has_no_level_and_is_never_made_louder() {
        for samples in [vec![], vec![0.0; 16_000], vec![1e-6; 16_000]] {
            assert_eq!(active_level(&samples, 8000), None);
            assert!((gain_toward(-20.0, &samples, 8000) - 1.0).abs() < f64::EPSILON);
        }
    }

    #[test]
    fn the_gain_brings_what_is_soft_and_what_is_loud_to_the_level_and_leaves_what_is_near_it() {
        for dbov in [-45.0, -32.0, -23.5, -10.0, -5.0] {
            let samples = tone(dbov, 3.0, 16_000);
            let gain = gain_toward(-20.0, &samples, 16_000);
            #[expect(clippy::cast_possible_truncation, reason = "a factor")]
            let louder: Vec<f32> = samples.iter().map(|sample| sample * gain as f32).collect();
            assert!((level(&louder, 16_000) + 20.0).abs() < 0.2, "{dbov}: {gain}");
        }
        for dbov in [-20.7, -20.0, -19.3] {
            assert!((gain_toward(-20.0, &tone(dbov, 3.0, 8000), 8000) - 1.0).abs() < f64::EPSILON, "{dbov}");
        }
        let whisper = gain_toward(-10.0, &tone(-70.0, 3.0, 8000), 8000);
        assert!((whisper - 31.62).abs() < 0.1, "30 dB at the most: {whisper}");
    }

    #[test]
    fn no_gain_clips_and_none_makes_softer_what_it_should_make_louder() {
        // Soft, with a peak now and then that leaves no room.
        let mut samples = tone(-40.0, 3.0, 8000);
        for at in (0..samples.len()).step_by(4000) {
            samples[at] = 0.5;
        }
        let gain = gain_toward(-20.0, &samples, 8000);
        assert!((gain - 0.891 / 0.5).abs() < 0.01, "{gain}");
        samples[0] = 0.99;
        assert!((gain_toward(-20.0, &samples, 8000) - 1.0).abs() < f64::EPSILON);
    }
}
