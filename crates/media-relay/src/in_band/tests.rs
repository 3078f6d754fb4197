//! Digits at every level and length they may have, and what must not be taken for one.

use super::*;
use crate::Codec;
use rand::{RngExt as _, SeedableRng, rngs::StdRng};

const RATE: f32 = 8000.0;

fn heard(samples: impl IntoIterator<Item = i16>) -> String {
    let mut detector = InBand::default();
    let mut digits: String =
        samples.into_iter().filter_map(|sample| detector.hear(sample)).map(|pressed| pressed.digit).collect();
    digits.extend(detector.stop().map(|pressed| pressed.digit));
    digits
}

fn digit(digit: char, ms: usize, amplitude: f32) -> Vec<i16> {
    let mut samples = vec![0; ms * 8];
    let place = DIGITS.iter().position(|known| *known == digit).expect("a digit");
    tones(place, 0, 8000, amplitude, &mut samples);
    samples
}

fn pause(ms: usize) -> Vec<i16> {
    vec![0; ms * 8]
}

fn sine(samples: usize, hz: f32, amplitude: f32) -> Vec<f32> {
    (0..samples).map(|n| amplitude * (TAU * hz * n as f32 / RATE).sin()).collect()
}

fn mixed(parts: &[Vec<f32>]) -> Vec<i16> {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let sum = |n: usize| parts.iter().map(|part| part[n]).sum::<f32>() as i16;
    (0..parts[0].len()).map(sum).collect()
}

#[test]
fn q23_every_digit_is_heard_through_either_law() {
    for law in [Codec::Pcmu, Codec::Pcma] {
        for amplitude in [500.0, 2000.0, 8000.0, 15_000.0] {
            let mut samples = Vec::new();
            for known in DIGITS {
                samples.extend(digit(known, 50, amplitude));
                samples.extend(pause(50));
            }
            let coded = samples.iter().map(|sample| law.decode(law.encode(*sample)));
            assert_eq!(heard(coded), DIGITS.iter().collect::<String>(), "{law:?} at {amplitude}");
        }
    }
}

#[test]
fn the_coefficients_are_those_of_the_tones() {
    for (hz, known) in ROWS.iter().chain(&COLUMNS).zip(COEFFICIENTS) {
        assert!((2.0 * (TAU * hz / RATE).cos() - known).abs() < 1e-3, "{hz}: {}", 2.0 * (TAU * hz / RATE).cos());
    }
}

#[test]
fn q24_forty_milliseconds_of_tone_and_pause_wherever_they_begin() {
    for offset in 0..102 {
        let mut samples = vec![0; offset];
        for known in "5599".chars() {
            samples.extend(digit(known, 40, 4000.0));
            samples.extend(pause(40));
        }
        assert_eq!(heard(samples), "5599", "{offset} samples into a block");
        let mut short = vec![0; offset];
        short.extend(digit('5', 19, 4000.0));
        short.extend(pause(100));
        assert_eq!(heard(short), "", "19 ms are none, {offset} samples into a block");
        // A drop-out of 10 ms in a digit makes no two of it.
        let mut broken = vec![0; offset];
        broken.extend(digit('5', 60, 4000.0));
        broken.extend(pause(10));
        broken.extend(digit('5', 60, 4000.0));
        broken.extend(pause(60));
        assert_eq!(heard(broken), "5", "{offset} samples into a block");
    }
}

#[test]
fn q24_twist_is_taken_within_its_bounds_and_a_tone_beside_it_refused() {
    let pair = |low: f32, high: f32, louder: f32| {
        mixed(&[sine(800, low, 4000.0), sine(800, high, 4000.0 * 10f32.powf(louder / 20.0))])
    };
    for (louder, expected) in [(-12.0, ""), (-7.0, "5"), (0.0, "5"), (3.0, "5"), (8.0, "")] {
        assert_eq!(heard(pair(770.0, 1336.0, louder)), expected, "column {louder} dB above row");
    }
    for off in [0.985, 1.015] {
        assert_eq!(heard(pair(770.0 * off, 1336.0 * off, 0.0)), "5", "1.5 % off");
    }
    assert_eq!(heard(pair(770.0, 1336.0 * 1.045, 0.0)), "", "a high tone 4.5 % off");
    assert_eq!(heard(mixed(&[sine(800, 770.0, 4000.0)])), "", "one tone alone");
    assert_eq!(heard(mixed(&[sine(800, 770.0, 4000.0), sine(800, 941.0, 4000.0)])), "", "two of one group");
    assert_eq!(heard(mixed(&[sine(800, 440.0, 4000.0), sine(800, 480.0, 4000.0)])), "", "a ringing tone");
    assert_eq!(heard(digit('5', 100, 200.0)), "", "below -30 dBm0");
}

#[test]
fn a_digit_is_heard_in_noise_15_db_below_it() {
    let mut chance = StdRng::seed_from_u64(5);
    let mut missed = 0;
    for round in 0..200 {
        let known = DIGITS[round % 16];
        let mut samples = pause(40);
        samples.extend(digit(known, 60, 4000.0));
        samples.extend(pause(60));
        let noisy = samples.into_iter().map(|sample| sample + chance.random_range(-1230..1230));
        missed += usize::from(heard(noisy) != known.to_string());
    }
    assert!(missed <= 2, "{missed} of 200");
}

/// Talk-off: an hour and a half of something like speech (a buzzing source at 80 to 300 Hz that glides, through three
/// formants that move, in syllables with pauses) and white noise. Real voices differ; this says what it says.
#[test]
fn talk_off_on_speech_like_signals_is_rare() {
    let mut false_digits = 0;
    let minutes = 15;
    for seed in 0..minutes {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut speech = Speech::new(&mut chance);
        false_digits += heard((0..60 * 8000).map(|_| speech.next(&mut chance))).len();
    }
    let mut chance = StdRng::seed_from_u64(99);
    let in_noise = heard((0..300 * 8000).map(|_| chance.random_range(-8000..8000))).len();
    println!(
        "{false_digits} false digits in {minutes} minutes of speech-like signal, {in_noise} in 5 minutes of noise"
    );
    assert!(false_digits <= 3, "{false_digits} false digits in {minutes} minutes");
    assert_eq!(in_noise, 0);
}

/// Something like speech.
struct Speech {
    left: usize,
    voiced: bool,
    pitch: f32,
    glide: f32,
    phase: f32,
    formants: [Resonator; 3],
}

#[derive(Default)]
struct Resonator {
    hz: f32,
    drift: f32,
    state: [f32; 2],
}

impl Speech {
    fn new(chance: &mut StdRng) -> Self {
        let mut speech =
            Self { left: 0, voiced: false, pitch: 120.0, glide: 0.0, phase: 0.0, formants: Default::default() };
        speech.syllable(chance);
        speech
    }

    fn syllable(&mut self, chance: &mut StdRng) {
        self.left = chance.random_range(400..2400);
        self.voiced = chance.random_range(0..5) > 0;
        self.pitch = chance.random_range(80.0..300.0);
        self.glide = chance.random_range(-0.004..0.004);
        let ranges = [(300.0, 950.0), (900.0, 2300.0), (2200.0, 3400.0)];
        for (formant, (low, high)) in self.formants.iter_mut().zip(ranges) {
            formant.hz = chance.random_range(low..high);
            formant.drift = chance.random_range(-0.05..0.05);
        }
    }

    fn next(&mut self, chance: &mut StdRng) -> i16 {
        if self.left == 0 {
            self.syllable(chance);
        }
        self.left -= 1;
        self.pitch = (self.pitch + self.glide).clamp(70.0, 350.0);
        self.phase = (self.phase + self.pitch / RATE).fract();
        let buzz = if self.phase < self.pitch / RATE { 1.0 } else { 0.0 };
        let source = if self.voiced { buzz } else { 0.0 } + chance.random_range(-0.01..0.01);
        let out: f32 = self.formants.iter_mut().map(|formant| formant.ring(source)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "within the clamp")]
        let sample = (out * 9000.0).clamp(-32_000.0, 32_000.0) as i16;
        sample
    }
}

impl Resonator {
    fn ring(&mut self, source: f32) -> f32 {
        self.hz = (self.hz + self.drift).clamp(250.0, 3600.0);
        let radius = (-TAU * 40.0 / RATE).exp();
        let out =
            source + 2.0 * radius * (TAU * self.hz / RATE).cos() * self.state[0] - radius * radius * self.state[1];
        self.state = [out, self.state[0]];
        out * 0.3
    }
}
