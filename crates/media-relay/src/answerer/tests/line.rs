//! A telephone line: its noise, and what is said on it, made of harmonics, hiss and tones.

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::f32::consts::{PI, TAU};

const RATE: f32 = 8_000.0;

pub(super) struct Line {
    chance: StdRng,
    noise: f32,
    clean: Vec<f32>,
    /// The speaker's, in Hz.
    pitch: f32,
}

impl Line {
    /// With noise of so many dBov.
    pub(super) fn new(seed: u64, noise: f32) -> Self {
        let mut chance = StdRng::seed_from_u64(seed ^ 0x5eed);
        let pitch = chance.random_range(90.0..240.0);
        Self { chance, noise: amplitude(noise), clean: Vec::new(), pitch }
    }

    pub(super) fn ms(&self) -> u64 {
        self.clean.len() as u64 / 8
    }

    pub(super) fn quiet(&mut self, ms: usize) -> &mut Self {
        self.clean.resize(self.clean.len() + ms * 8, 0.0);
        self
    }

    pub(super) fn tone(&mut self, hz: f32, ms: usize, level: f32) -> &mut Self {
        self.tones(hz, hz, ms, level)
    }

    /// Two at once, of `level` together; one when they are the same.
    pub(super) fn tones(&mut self, first: f32, second: f32, ms: usize, level: f32) -> &mut Self {
        let amplitude = amplitude(level) * 2.0_f32.sqrt();
        let wave = |n: usize, hz: f32| (TAU * hz * n as f32 / RATE).sin();
        let one = (first - second).abs() < f32::EPSILON;
        let sample = |n: usize| match one {
            true => amplitude * wave(n, first),
            false => amplitude * (wave(n, first) + wave(n, second)) / 2.0_f32.sqrt(),
        };
        self.clean.extend((0..ms * 8).map(sample));
        self
    }

    /// Syllables close together: a word or two.
    pub(super) fn speech(&mut self, syllables: usize, level: f32) -> &mut Self {
        for _ in 0..syllables {
            self.syllable(level);
            let gap = self.chance.random_range(10..60);
            self.quiet(gap);
        }
        self
    }

    /// Words with the pauses that are between them.
    pub(super) fn sentence(&mut self, syllables: usize, level: f32) -> &mut Self {
        let mut left = syllables;
        while left > 0 {
            let word = self.chance.random_range(1..4).min(left);
            self.speech(word, level);
            let gap = self.chance.random_range(30..140);
            self.quiet(gap);
            left -= word;
        }
        self
    }

    /// What is said on another line is heard on this one.
    pub(super) fn among(&mut self, other: Self) {
        for (sample, theirs) in self.clean.iter_mut().zip(other.clean) {
            *sample += theirs;
        }
    }

    /// Harmonics of a pitch that glides, shaped by two formants, swelling and fading; a hiss before some.
    fn syllable(&mut self, level: f32) {
        let level = amplitude(level) * self.chance.random_range(0.6_f32..1.2);
        if self.chance.random_bool(0.3) {
            for _ in 0..self.chance.random_range(40..90) * 8 {
                let hiss = self.chance.random_range(-1.0_f32..1.0) * level * 0.4;
                self.clean.push(hiss);
            }
        }
        let count = self.chance.random_range(110..260) * 8;
        let (low, high) = (self.chance.random_range(300.0_f32..800.0), self.chance.random_range(1_000.0_f32..2_400.0));
        let glide = self.chance.random_range(0.85_f32..1.15);
        let pitch = self.pitch * self.chance.random_range(0.85_f32..1.2);
        let weight = |hz: f32| {
            let near = |formant: f32, width: f32| 1.0 / (1.0 + ((hz - formant) / width).powi(2));
            near(low, 120.0) + 0.5 * near(high, 200.0) + 0.05
        };
        let harmonics: Vec<(f32, f32)> =
            (1..16_u8).map(f32::from).filter(|n| n * pitch < 3_400.0).map(|n| (n, weight(n * pitch))).collect();
        let loud = harmonics.iter().map(|(_, weight)| weight * weight / 2.0).sum::<f32>().sqrt();
        let mut turn = 0.0_f32;
        for n in 0..count {
            let at = n as f32 / count as f32;
            turn = (turn + pitch * (1.0 + (glide - 1.0) * at) / RATE).fract();
            let swell = (PI * at.powf(0.6)).sin().max(0.0);
            let voice: f32 = harmonics.iter().map(|(n, weight)| weight * (TAU * n * turn).sin()).sum();
            self.clean.push(level * 1.4 * swell * voice / loud);
        }
    }

    pub(super) fn samples(mut self) -> Vec<i16> {
        // Noise without preference between its peaks has a root mean square of their root of a third.
        let peak = self.noise * 3.0_f32.sqrt();
        let clean = std::mem::take(&mut self.clean);
        let noisy = clean.into_iter().map(|sample| coded(sample + self.chance.random_range(-peak..=peak)));
        noisy.collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn coded(sample: f32) -> i16 {
    sample as i16
}

/// The root mean square of so many dBov.
fn amplitude(dbov: f32) -> f32 {
    32_768.0 * 10.0_f32.powf(dbov / 20.0)
}
