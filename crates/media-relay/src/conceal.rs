//! What is heard in place of audio that was lost: the last pitch period again and again, fading (in the manner of G.711
//! Appendix I, for 8 and 16 kHz). Nothing is delayed for it: the end of what was heard is continued from where it stopped.

use crate::resample::rounded;

/// How far back it remembers, in ms: three of the longest pitch periods and a quarter of one.
const MEMORY_MS: usize = 50;
/// Samples of the memory at the wider rate.
const MEMORY: usize = 16 * MEMORY_MS;
/// Pitch periods looked for: 66 to 200 Hz (of a higher voice it finds two or three at once).
pub(crate) const SHORTEST_MS: usize = 5;
pub(crate) const LONGEST_MS: usize = 15;
/// What is compared to find them.
const COMPARED_MS: usize = 20;
/// Full loudness for so long, then down to nothing.
const STEADY_MS: usize = 10;
/// From here on nothing is left.
pub(crate) const SILENT_MS: usize = 60;

/// The memory of one stream and the state of its present gap.
#[derive(Clone, Debug)]
pub(crate) struct Concealer {
    /// Samples a millisecond.
    per_ms: usize,
    /// The last samples heard or made, oldest first; as many as [`MEMORY_MS`] take.
    memory: [i16; MEMORY],
    gap: Option<Gap>,
}

#[derive(Clone, Debug)]
struct Gap {
    /// The memory as it was when the gap began.
    past: [i16; MEMORY],
    size: usize,
    pitch: usize,
    /// Periods in the cycle that is repeated now, and in the one after it.
    periods: usize,
    periods_next: usize,
    at: usize,
    /// What the first sample made would jump by; it dies away within a quarter of a period.
    jump: f32,
    /// Samples made so far.
    made: usize,
}

impl Concealer {
    /// For 8000 or 16,000 samples a second.
    pub(crate) fn new(rate: u32) -> Self {
        Self { per_ms: (rate / 1000) as usize, memory: [0; MEMORY], gap: None }
    }

    /// Audio that was received: remembered, and blended with what stood in for the audio before it.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if let Some(mut gap) = self.gap.take() {
            // The longer the gap, the longer the way back: 4 ms, and 4 ms more for every 10 ms, 10 ms at most.
            let blend = (4 * self.per_ms + gap.made * 4 / 10).min(10 * self.per_ms).min(samples.len());
            for (n, sample) in samples.iter_mut().take(blend).enumerate() {
                let share = (n + 1) as f32 / (blend + 1) as f32;
                *sample = rounded(f32::from(*sample) * share + gap.next(self.per_ms) * (1.0 - share));
            }
        }
        self.remember(samples);
    }

    /// Fills in for audio that is missing.
    pub(crate) fn conceal(&mut self, samples: &mut [i16]) {
        self.tear();
        if let Some(gap) = &mut self.gap {
            for sample in &mut *samples {
                *sample = rounded(gap.next(self.per_ms));
            }
        }
        self.remember(samples);
    }

    /// What comes next does not follow what was heard: it will be blended in.
    pub(crate) fn tear(&mut self) {
        if self.gap.is_none() {
            let size = self.per_ms * MEMORY_MS;
            let (pitch, _) = period(&self.memory[..size], self.per_ms);
            let jump = f32::from(self.memory[size - 1]) - f32::from(self.memory[size - 1 - pitch]);
            self.gap = Some(Gap { past: self.memory, size, pitch, periods: 1, periods_next: 1, at: 0, jump, made: 0 });
        }
    }

    fn remember(&mut self, samples: &[i16]) {
        let size = self.per_ms * MEMORY_MS;
        let new = &samples[samples.len().saturating_sub(size)..];
        self.memory.copy_within(new.len()..size, 0);
        self.memory[size - new.len()..size].copy_from_slice(new);
    }
}

impl Gap {
    fn next(&mut self, per_ms: usize) -> f32 {
        let (steady, silent) = (STEADY_MS * per_ms, SILENT_MS * per_ms);
        let loudness = match self.made {
            made if made < steady => 1.0,
            made if made < silent => 1.0 - (made - steady) as f32 / (silent - steady) as f32,
            _ => return 0.0,
        };
        let quarter = self.pitch / 4;
        let cycle = self.periods * self.pitch;
        if self.at == cycle - quarter {
            // Two and three periods after 10 and 20 ms, lest it sound like a buzzer.
            self.periods_next = (1 + self.made / (10 * per_ms)).min(3);
        }
        let mut sample = f32::from(self.past[self.size - cycle + self.at]);
        if let Some(n) = self.at.checked_sub(cycle - quarter) {
            // The end of the cycle leads into its next beginning.
            let share = (n + 1) as f32 / (quarter + 1) as f32;
            let before = self.past[self.size - self.periods_next * self.pitch - quarter + n];
            sample += (f32::from(before) - sample) * share;
        }
        if self.made < quarter {
            sample += self.jump * (1.0 - (self.made + 1) as f32 / (quarter + 1) as f32);
        }
        self.at += 1;
        if self.at == cycle {
            (self.at, self.periods) = (0, self.periods_next);
        }
        self.made += 1;
        sample * loudness
    }
}

/// The pitch period at the end of `samples`, which are at least 35 ms, and how alike two of them are (1: the same).
pub(crate) fn period(samples: &[i16], per_ms: usize) -> (usize, f32) {
    let compared = &samples[samples.len() - COMPARED_MS * per_ms..];
    // Every other sample is enough to find it at the wider rate; its neighbours are looked at then.
    let coarse = per_ms / 8;
    let likeness = |lag: usize, step: usize| {
        let start = samples.len() - COMPARED_MS * per_ms - lag;
        let (mut product, mut energy) = (0.0f32, 1.0f32);
        for (now, then) in compared.iter().zip(&samples[start..]).step_by(step) {
            let (now, then) = (f32::from(*now), f32::from(*then));
            product += now * then;
            energy += then * then;
        }
        (product, energy)
    };
    let better = |best: (usize, f32), lag: usize, step: usize| {
        let (product, energy) = likeness(lag, step);
        let score = product.max(0.0) * product.max(0.0) / energy;
        if score > best.1 { (lag, score) } else { best }
    };
    let (shortest, longest) = (SHORTEST_MS * per_ms, LONGEST_MS * per_ms);
    let found = (shortest..=longest).step_by(coarse).fold((longest, 0.0), |best, lag| better(best, lag, coarse));
    let near = found.0.saturating_sub(coarse).max(shortest)..=(found.0 + coarse).min(longest);
    let (lag, score) = near.fold((found.0, 0.0), |best, lag| better(best, lag, 1));
    let own: f32 = compared.iter().map(|sample| f32::from(*sample) * f32::from(*sample)).sum();
    (lag, if own > 0.0 { (score / own).sqrt().min(1.0) } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    fn voice(rate: u32, pitch: f32, count: usize) -> Vec<i16> {
        (0..count)
            .map(|n| {
                let t = n as f32 / rate as f32;
                rounded((1..12).map(|k| 4000.0 / k as f32 * (TAU * pitch * k as f32 * t + k as f32).sin()).sum())
            })
            .collect()
    }

    fn snr(was: &[i16], is: &[i16]) -> f32 {
        let signal: f32 = was.iter().map(|s| f32::from(*s).powi(2)).sum();
        let error: f32 = was.iter().zip(is).map(|(a, b)| (f32::from(*a) - f32::from(*b)).powi(2)).sum();
        10.0 * (signal / error.max(1.0)).log10()
    }

    #[test]
    fn the_period_of_a_voice_is_found_at_either_rate() {
        for (rate, per_ms) in [(8000, 8), (16_000, 16)] {
            for pitch in [80.0f32, 125.0, 180.0] {
                let (lag, alike) = period(&voice(rate, pitch, 50 * per_ms), per_ms);
                let periods = lag as f32 * pitch / rate as f32;
                assert!((periods - periods.round()).abs() < 0.03, "{rate} Hz, pitch {pitch}: {periods} periods");
                assert!(alike > 0.9, "{alike}");
            }
        }
    }

    #[test]
    fn a_lost_packet_of_a_steady_voice_is_hardly_missed() {
        for (rate, per_ms) in [(8000, 8usize), (16_000, 16)] {
            let mut signal = voice(rate, 125.0, 300 * per_ms);
            let truth = signal.clone();
            let mut concealer = Concealer::new(rate);
            for (n, packet) in signal.chunks_mut(20 * per_ms).enumerate() {
                if n == 7 { concealer.conceal(packet) } else { concealer.heard(packet) }
            }
            let lost = 140 * per_ms..160 * per_ms;
            assert!(snr(&truth[lost.clone()], &signal[lost]) > 10.0);
            let after = 160 * per_ms..300 * per_ms;
            assert!(snr(&truth[after.clone()], &signal[after]) > 20.0);
        }
    }

    #[test]
    fn g711_appendix_i_a_long_loss_fades_to_nothing_without_a_click() {
        let mut concealer = Concealer::new(8000);
        let mut heard = voice(8000, 100.0, 800);
        let steepest = heard.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap();
        concealer.heard(&mut heard);
        let mut made = vec![0; 800];
        concealer.conceal(&mut made);
        assert!(made[480..].iter().all(|sample| *sample == 0));
        assert!(made[..80].iter().any(|sample| sample.abs() > 3000));
        let whole: Vec<i16> = heard.iter().chain(&made).copied().collect();
        let jump = whole.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap();
        assert!(jump <= steepest * 3 / 2, "a step of {jump}, the voice's own is {steepest}");
    }

    #[test]
    fn silence_before_a_loss_is_silence_in_it() {
        let mut concealer = Concealer::new(8000);
        let mut made = [7; 160];
        concealer.conceal(&mut made);
        assert_eq!(made, [0; 160]);
    }
}
