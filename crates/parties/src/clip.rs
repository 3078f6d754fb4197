//! Short sounds made of notes, so that the demonstration needs no files.

use crate::signal::RATE;

/// What the demo AI says first: a rising chord, "I am here".
pub fn greeting() -> Vec<i16> {
    [note(523.25, 180), note(659.25, 180), note(783.99, 180), note(1046.5, 420)].concat()
}

/// What the demo human says first: two low notes, unlike the AI's.
pub fn human_greeting() -> Vec<i16> {
    [note(392.0, 260), note(329.63, 420)].concat()
}

/// An event was taken.
pub fn accepted() -> Vec<i16> {
    note(880.0, 120)
}

/// An event was refused.
pub fn refused() -> Vec<i16> {
    [note(220.0, 140), rest(60), note(220.0, 140)].concat()
}

/// A tone with soft edges and an overtone, at about -15 dBov.
fn note(hertz: f64, milliseconds: u32) -> Vec<i16> {
    let count = milliseconds * RATE / 1000;
    let edge = f64::from(RATE) / 100.0;
    (0..count)
        .map(|n| {
            let phase = f64::from(n) * hertz / f64::from(RATE) * core::f64::consts::TAU;
            let gain = (f64::from(n) / edge).min(f64::from(count - n) / edge).min(1.0);
            let sample = gain * 7400.0 * (phase.sin() + 0.3 * (2.0 * phase).sin());
            #[expect(clippy::cast_possible_truncation, reason = "9,620 at the most")]
            let sample = sample as i16;
            sample
        })
        .collect()
}

fn rest(milliseconds: u32) -> Vec<i16> {
    vec![0; (milliseconds * RATE / 1000) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{level_dbov, tone_share};

    #[test]
    fn sounds_are_short_loud_enough_and_tell_each_other_apart() {
        for (sound, most) in [(greeting(), 1.0), (human_greeting(), 1.0), (accepted(), 0.2), (refused(), 0.4)] {
            assert!(sound.len() as f64 <= most * f64::from(RATE));
            assert!((-22.0..-10.0).contains(&level_dbov(&sound)), "{}", level_dbov(&sound));
        }
        assert!(tone_share(&accepted(), 880.0) > 0.8);
        assert!(tone_share(&refused(), 880.0) < 0.1);
    }
}
