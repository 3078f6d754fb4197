//! One channel: frames laid on the recording's clock by their RTP timestamps, and samples taken off in order.
//!
//! Timestamps say how frames follow one another, to the sample; arrival says when that was, give or take the network's jitter.
//! So a source is anchored once, by the least delayed of its first packets, and runs on by its timestamps, through loss and
//! reordering. It is anchored anew when its timestamps leave the clock for good (a source that stood still, a jump), and moved
//! by what it has drifted when that grows beyond a frame.

/// Packets that are looked at before a source is anchored: what arrives within 100 ms of the first.
const LOOK: i64 = 800;
/// As many at the most: a network that held packets up gives them all at once.
const LOOKED_AT: usize = 64;
/// A frame that is further than this from when it should have come makes us look again.
const JUMP: i64 = 800;
/// Within a frame of the clock a source is where it belongs.
const FRAME: i64 = 160;
/// The least delay is taken over so many samples: ten seconds.
const WINDOW: i64 = 80_000;
/// No frame lies further ahead of what was taken off than this; a timestamp that lies costs no memory.
const AHEAD: i64 = 32_000;

/// A frame's numbers, in samples; `arrival` on the recording's clock.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) source: u64,
    /// Timestamp units of a sample.
    pub(crate) unit: i64,
    pub(crate) timestamp: u32,
    pub(crate) arrival: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// Samples from `taken` on.
    buffer: Vec<i16>,
    /// How many were taken off.
    taken: i64,
    line: Option<Line>,
    /// Frames of a source that is not anchored yet.
    waiting: Vec<(Placed, Vec<i16>)>,
    /// The least delay since the window began.
    least: Option<(i64, i64)>,
    /// Frames that came when their time had been taken off, or lay in no time at all.
    pub(crate) late: u64,
}

/// A point of a source's time line.
#[derive(Copy, Clone, Debug)]
struct Line {
    source: u64,
    unit: i64,
    timestamp: u32,
    position: i64,
}

impl Line {
    fn position(self, timestamp: u32) -> i64 {
        self.position + i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed()) / self.unit
    }
}

impl Channel {
    /// A frame passed.
    pub(crate) fn frame(&mut self, frame: Placed, samples: &[i16]) {
        if self.waiting.first().is_some_and(|(first, _)| first.source != frame.source) {
            self.anchor();
        }
        if self.waiting.is_empty()
            && let Some(line) = self.line.filter(|line| line.source == frame.source)
        {
            let delay = frame.arrival - line.position(frame.timestamp);
            if delay.abs() <= JUMP {
                return self.run_on(frame, delay, samples);
            }
        }
        self.waiting.push((frame, samples.to_vec()));
        let first = self.waiting[0].0.arrival;
        if frame.arrival - first >= LOOK || self.waiting.len() == LOOKED_AT {
            self.anchor();
        }
    }

    /// One that begins when so many samples were taken off.
    pub(crate) fn from(taken: i64) -> Self {
        Self { taken, ..Self::default() }
    }

    /// Nothing waits to be taken off.
    pub(crate) fn is_idle(&self) -> bool {
        self.buffer.is_empty() && self.waiting.is_empty()
    }

    /// Adds samples of this channel to what is at `number` in each group of `width`, in order; what did not come is silence.
    pub(crate) fn take(&mut self, groups: &mut [i16], width: usize, number: usize) {
        let count = groups.len() / width.max(1);
        let until = self.taken + i64::try_from(count).unwrap_or(0);
        if self.waiting.first().is_some_and(|(first, _)| first.arrival < until + 3 * JUMP) {
            self.anchor();
        }
        let there = count.min(self.buffer.len());
        for (group, sample) in groups.chunks_exact_mut(width.max(1)).zip(self.buffer.drain(..there)) {
            if let Some(place) = group.get_mut(number) {
                *place = place.saturating_add(sample);
            }
        }
        self.taken = until;
    }

    /// Decides where the frames that wait belong.
    fn anchor(&mut self) {
        let Some((first, _)) = self.waiting.first() else { return };
        let known = self.line.filter(|line| line.source == first.source);
        let fresh =
            Line { source: first.source, unit: first.unit, timestamp: first.timestamp, position: first.arrival };
        let shift = |line: Line| {
            self.waiting.iter().map(|(frame, _)| frame.arrival - line.position(frame.timestamp)).min().unwrap_or(0)
        };
        // One that came in time shows that the others were held up.
        let line = match known.filter(|line| shift(*line).abs() <= JUMP) {
            Some(line) => Some(line),
            None if shift(fresh).abs() <= JUMP => Some(Line { position: fresh.position + shift(fresh), ..fresh }),
            // Numbers without a relation to one another.
            None => None,
        };
        self.line = line.or(Some(fresh));
        self.least = None;
        for (frame, samples) in std::mem::take(&mut self.waiting) {
            match line {
                Some(line) => self.run_on(frame, frame.arrival - line.position(frame.timestamp), &samples),
                None => self.write(frame.arrival, &samples),
            }
        }
    }

    fn run_on(&mut self, frame: Placed, delay: i64, samples: &[i16]) {
        let Some(line) = &mut self.line else { return };
        let position = line.position(frame.timestamp);
        // Moves along, lest the circle of timestamps comes round to it.
        (line.timestamp, line.position) = (frame.timestamp, position);
        let (begun, least) = self.least.unwrap_or((frame.arrival, delay));
        let least = least.min(delay);
        self.least = Some((begun, least));
        if frame.arrival - begun >= WINDOW {
            self.least = None;
            if least.abs() > FRAME {
                line.position += least;
            }
        }
        self.write(position, samples);
    }

    fn write(&mut self, position: i64, samples: &[i16]) {
        let start = position - self.taken;
        let end = start + i64::try_from(samples.len()).unwrap_or(0);
        if end <= 0 || end > AHEAD {
            self.late += 1;
            return;
        }
        let cut = usize::try_from(-start).unwrap_or(0);
        let (start, end) = (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0));
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer[start..end].copy_from_slice(&samples[cut..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(source: u64, timestamp: u32, arrival: i64) -> Placed {
        Placed { source, unit: 1, timestamp, arrival }
    }

    fn all(channel: &mut Channel, count: usize) -> Vec<i16> {
        let mut samples = vec![0; count];
        channel.take(&mut samples, 1, 0);
        samples
    }

    /// Frame `n` holds `n + 1` in each sample.
    fn frame(n: i16) -> [i16; 160] {
        [n + 1; 160]
    }

    fn numbers(samples: &[i16]) -> Vec<i16> {
        let mut numbers = samples.to_vec();
        numbers.dedup();
        numbers
    }

    #[test]
    fn a_source_is_anchored_by_its_least_delayed_packet() {
        let mut channel = Channel::default();
        for (n, delay) in [240, 100, 0, 80, 20, 60].into_iter().enumerate() {
            let n = i16::try_from(n).unwrap();
            let at = i64::from(n) * 160;
            channel.frame(
                placed(1, u32::try_from(at).unwrap().wrapping_add(u32::MAX - 100), 1_000 + at + delay),
                &frame(n),
            );
        }
        let samples = all(&mut channel, 3_000);
        assert_eq!(samples.iter().position(|sample| *sample == 1), Some(1_000), "the third came without delay");
        assert_eq!(numbers(&samples), [0, 1, 2, 3, 4, 5, 6, 0]);
    }

    #[test]
    fn what_is_lost_is_silence_of_its_length_and_what_is_doubled_is_there_once() {
        let mut channel = Channel::default();
        for n in [0, 1, 1, 2, 5, 4, 6, 7] {
            channel.frame(placed(1, u32::try_from(n).unwrap() * 160, i64::from(n) * 160), &frame(n));
        }
        let samples = all(&mut channel, 8 * 160);
        assert_eq!(numbers(&samples), [1, 2, 3, 0, 5, 6, 7, 8]);
        assert!(samples[3 * 160..4 * 160].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_network_that_held_packets_up_moves_nothing() {
        let mut channel = Channel::default();
        for n in 0..100i16 {
            let due = i64::from(n) * 160;
            // Half a second of standstill, then everything at once.
            let arrival = if (20..45).contains(&n) { 45 * 160 } else { due };
            channel.frame(placed(1, u32::try_from(due).unwrap(), arrival), &frame(n));
        }
        let samples = all(&mut channel, 100 * 160);
        assert!(
            samples
                .chunks(160)
                .enumerate()
                .all(|(n, chunk)| chunk.iter().all(|it| usize::try_from(*it).unwrap() == n + 1))
        );
    }

    #[test]
    fn a_source_whose_clock_stood_still_goes_on_when_it_is_heard_again() {
        let mut channel = Channel::default();
        for n in 0..100i16 {
            let due = i64::from(n) * 160;
            // On hold for a second after 50 packets, in which its timestamps did not move.
            let arrival = if n < 50 { due } else { due + 8_000 };
            channel.frame(placed(1, u32::try_from(due).unwrap(), arrival), &frame(n));
        }
        let samples = all(&mut channel, 100 * 160 + 8_000);
        assert_eq!(samples[50 * 160 - 1], 50);
        assert!(samples[50 * 160..50 * 160 + 8_000].iter().all(|sample| *sample == 0));
        assert_eq!(samples[50 * 160 + 8_000], 51);
    }

    #[test]
    fn a_clock_that_drifts_is_followed_within_a_frame() {
        for (drift, name) in [(1.0002, "slow"), (0.9998, "fast")] {
            let mut channel = Channel::default();
            let (mut taken, mut worst) = (0, 0.0f64);
            // Ten minutes of a source whose clock is off by 200 ppm: 120 ms in all.
            for n in 0..30_000u32 {
                let arrival = f64::from(n) * 160.0 * drift;
                #[expect(clippy::cast_possible_truncation, reason = "a test")]
                let arrival = arrival as i64;
                channel.frame(placed(1, n * 160, arrival), &[i16::try_from(n % 30_000).unwrap(); 160]);
                if n % 50 == 49 {
                    let count = usize::try_from(arrival - 1_000 - taken).unwrap_or(0);
                    let samples = all(&mut channel, count);
                    for (at, sample) in samples.iter().enumerate().filter(|(_, sample)| **sample > 100) {
                        let should = f64::from(*sample) * 160.0 * drift;
                        #[expect(clippy::cast_precision_loss, reason = "a test")]
                        let is = (taken + at as i64) as f64;
                        worst = worst.max((is - should).abs().min((is - should - 159.0).abs()));
                    }
                    taken += i64::try_from(count).unwrap();
                }
            }
            assert!(worst < 330.0, "a {name} clock strayed by {worst} samples");
            assert!(channel.late < 40, "{name}: {} late", channel.late);
        }
    }

    #[test]
    fn timestamps_that_lie_cost_no_memory() {
        let mut channel = Channel::default();
        for n in 0..10_000u32 {
            channel.frame(placed(u64::from(n % 3), n.wrapping_mul(0x9e37_79b9), i64::from(n) * 10), &[1; 160]);
        }
        assert!(channel.buffer.len() <= usize::try_from(AHEAD).unwrap() && channel.waiting.len() <= LOOKED_AT);
    }
}
