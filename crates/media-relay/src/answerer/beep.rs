//! A tone that lasts: what a mailbox's greeting ends with, an announcement of the network begins with, and a fax answers with.

use super::FRAME;
use std::sync::LazyLock;

/// Of a frame's power, what three neighbouring lines of its spectrum must hold for a tone to begin, and for it to go on: two
/// tones of ringing that beat hold less where they cancel each other.
const TONE_SHARE: f32 = 0.82;
const LEAST_SHARE: f32 = 0.68;
/// A tone of so many frames is a beep.
const SHORTEST_BEEP: u32 = 7;
/// Lines of the spectrum that are looked at, 50 Hz apart: 300 to 2200 Hz.
const FIRST_LINE: usize = 6;
const LINES: usize = 39;
/// Ringing and busy tones (350 to 480 Hz) lie below this line: no voice, and no beep.
const FIRST_BEEP: usize = 10;

/// The tone that goes on.
#[derive(Debug, Default)]
pub(super) struct Beep {
    line: usize,
    frames: u32,
}

impl Beep {
    /// A frame whose mean square is `energy`; whether it is one of a tone.
    pub(super) fn hear(&mut self, frame: &[f32; FRAME], energy: f32) -> bool {
        let (line, share) = loudest(frame, energy);
        if self.frames > 0 && line.abs_diff(self.line) <= 1 && share >= LEAST_SHARE {
            self.frames += 1;
        } else if share >= TONE_SHARE {
            *self = Self { line, frames: 1 };
        } else {
            self.frames = 0;
        }
        self.frames > 0
    }

    /// A frame of nothing.
    pub(super) fn pause(&mut self) {
        self.frames = 0;
    }

    pub(super) fn is_heard(&self) -> bool {
        self.frames >= SHORTEST_BEEP && self.line >= FIRST_BEEP
    }
}

/// The loudest line of the spectrum, and what it holds of a frame with its neighbours. The lines are those of a Fourier transform of
/// the frame, so that the shares of all of them together are one (Parseval).
fn loudest(frame: &[f32; FRAME], energy: f32) -> (usize, f32) {
    let mut lines = [0.0_f32; LINES + 2];
    for (strength, coefficient) in lines.iter_mut().zip(COEFFICIENTS.iter()) {
        *strength = goertzel(frame, *coefficient);
    }
    let best = (1..=LINES).max_by(|a, b| lines[*a].total_cmp(&lines[*b])).unwrap_or(1);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let samples = FRAME as f32;
    // A line and its mirror image: twice its strength, over the square of the samples.
    let share = (lines[best - 1] + lines[best] + lines[best + 1]) * 2.0 / (samples * samples * energy);
    (FIRST_LINE - 1 + best, share)
}

/// The strength of one line.
fn goertzel(frame: &[f32; FRAME], coefficient: f32) -> f32 {
    let (mut now, mut last) = (0.0_f32, 0.0_f32);
    for sample in frame {
        (now, last) = (sample + coefficient * now - last, now);
    }
    now * now + last * last - coefficient * now * last
}

/// 2 cos(2 pi line / samples), from the line before the first to the one after the last. (`cos` is no constant function.)
static COEFFICIENTS: LazyLock<[f32; LINES + 2]> = LazyLock::new(|| {
    core::array::from_fn(|at| {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let turn = core::f32::consts::TAU * (FIRST_LINE - 1 + at) as f32 / FRAME as f32;
        2.0 * turn.cos()
    })
});
