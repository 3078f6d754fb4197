//! What a receiver can say of a stream from its packets alone: continuity, silence, and whose signal it was.
//!
//! Pure, and independent of the daemon's own measurements, because it checks them.

use crate::{
    g711::Law,
    signal::{RATE, Signal},
};
use serde::Serialize;
use std::{collections::BTreeSet, ops::Range, time::Duration};

/// One received RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When the kernel received it, as time since the Unix epoch.
    pub at: Duration,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in units of 1/8000 s.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Payload; empty where only headers are kept.
    pub payload: Vec<u8>,
}

impl Received {
    /// The law of its audio, if its payload type is a static one of G.711.
    pub fn law(&self) -> Option<Law> {
        match self.payload_type {
            0 => Some(Law::Mu),
            8 => Some(Law::A),
            _ => None,
        }
    }

    /// Its audio as samples; empty when it is not G.711.
    pub fn samples(&self) -> Vec<i16> {
        self.law().map(|law| self.payload.iter().map(|octet| law.decode(*octet)).collect()).unwrap_or_default()
    }
}

/// Whether a stream was one stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Continuity {
    /// Packets received.
    pub packets: usize,
    /// Different synchronisation sources.
    pub ssrc_count: usize,
    /// Sequence numbers that never came.
    pub sequence_gaps: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// The longest time between two packets.
    pub longest_gap: Duration,
    /// The largest difference between how far the timestamp and how far the clock advanced since the first packet.
    pub largest_drift: Duration,
    /// Packets whose timestamp went back against the packet before, in order of sequence.
    pub timestamps_back: u64,
    /// Packets with the marker set.
    pub markers: u64,
}

/// Judges a stream in the order of its arrival.
pub fn continuity(packets: &[Received]) -> Continuity {
    let mut result = Continuity {
        packets: packets.len(),
        ssrc_count: packets.iter().map(|packet| packet.ssrc).collect::<BTreeSet<_>>().len(),
        sequence_gaps: 0,
        duplicates: 0,
        reordered: 0,
        longest_gap: Duration::ZERO,
        largest_drift: Duration::ZERO,
        timestamps_back: 0,
        markers: packets.iter().filter(|packet| packet.marker).count() as u64,
    };
    let Some(first) = packets.first() else { return result };
    let mut seen = BTreeSet::new();
    let mut highest = i64::from(first.sequence);
    let mut in_order: Vec<(i64, u32)> = Vec::with_capacity(packets.len());
    for (index, packet) in packets.iter().enumerate() {
        let sequence = extend(highest, packet.sequence);
        if !seen.insert(sequence) {
            result.duplicates += 1;
        } else if sequence < highest {
            result.reordered += 1;
        }
        highest = highest.max(sequence);
        in_order.push((sequence, packet.timestamp));
        if index > 0 {
            result.longest_gap = result.longest_gap.max(packet.at.saturating_sub(packets[index - 1].at));
        }
        // Events carry the timestamp of their beginning (RFC 4733), so only audio tells the time.
        if packet.law().is_some() {
            let advanced = Duration::from_secs(u64::from(packet.timestamp.wrapping_sub(first.timestamp))) / RATE;
            let elapsed = packet.at.saturating_sub(first.at);
            result.largest_drift = result.largest_drift.max(advanced.abs_diff(elapsed));
        }
    }
    let lowest = seen.first().copied().unwrap_or(0);
    result.sequence_gaps = u64::try_from(highest - lowest + 1).unwrap_or(0) - seen.len() as u64;
    in_order.sort_unstable();
    result.timestamps_back =
        in_order.windows(2).filter(|pair| pair[1].1.wrapping_sub(pair[0].1) > u32::MAX / 2).count() as u64;
    result
}

/// The sequence number nearest to `highest` that ends in these sixteen bits.
fn extend(highest: i64, sequence: u16) -> i64 {
    let mut full = (highest & !0xffff) | i64::from(sequence);
    if full - highest > 0x8000 {
        full -= 0x1_0000;
    } else if highest - full > 0x8000 {
        full += 0x1_0000;
    }
    full
}

/// Level in dBov: 0 is the root mean square of a full-scale square wave; silence is -127.
pub fn level_dbov(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return -127.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    let mean = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
    (10.0 * (mean / 32_768f64.powi(2)).log10()).max(-127.0)
}

/// The longest time between `from` and `until` in which the receiver had no packet to play, or packets below -50 dBov.
pub fn longest_silence(packets: &[Received], from: Duration, until: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    let mut heard_until = from;
    for packet in packets.iter().filter(|packet| packet.at >= from && packet.at <= until) {
        let samples = packet.samples();
        if level_dbov(&samples) >= -50.0 {
            longest = longest.max(packet.at.saturating_sub(heard_until));
            let lasting = Duration::from_secs(samples.len() as u64) / RATE;
            heard_until = heard_until.max(packet.at + lasting);
        }
    }
    longest.max(until.saturating_sub(heard_until))
}

/// Joins the audio of packets that follow each other in time: samples placed by timestamp, missing ones zero, at most `most`
/// seconds from the first.
pub fn audio(packets: &[Received], most: u32) -> Vec<i16> {
    let Some(first) = packets.iter().find(|packet| packet.law().is_some()) else { return Vec::new() };
    let mut joined = Vec::new();
    for packet in packets.iter().filter(|packet| packet.law().is_some()) {
        let at = packet.timestamp.wrapping_sub(first.timestamp);
        if at > most * RATE {
            continue;
        }
        let samples = packet.samples();
        let start = at as usize;
        if joined.len() < start + samples.len() {
            joined.resize(start + samples.len(), 0);
        }
        joined[start..start + samples.len()].copy_from_slice(&samples);
    }
    joined
}

/// Where in a known signal something was found.
#[derive(Copy, Clone, Debug, PartialEq, Serialize)]
pub struct Match {
    /// Normalised correlation at the best place, -1 to 1.
    pub correlation: f64,
    /// Index of the known signal at the first heard sample.
    pub index: u64,
}

/// How well `heard` (at least 0.2 s; more than 1 s is cut) is a stretch of `signal` that begins at an index in `within`.
///
/// A coarse search over every index with a quarter of the samples, then the whole stretch at the best candidates.
pub fn find(heard: &[i16], signal: Signal, within: Range<u64>) -> Match {
    let heard = &heard[..heard.len().min(RATE as usize)];
    let none = Match { correlation: 0.0, index: 0 };
    let indices = usize::try_from(within.end.saturating_sub(within.start)).unwrap_or(usize::MAX);
    if heard.len() < RATE as usize / 5 || indices == 0 {
        return none;
    }
    let known = signal.samples(within.start, indices.saturating_add(heard.len()));
    let probe = &heard[..heard.len() / 4];
    let mut candidates: Vec<(f64, usize)> = Vec::new();
    for index in 0..indices {
        let score = correlation(probe, &known[index..index + probe.len()]);
        if score > 0.4 && (candidates.len() < 8 || score > candidates[7].0) {
            candidates.push((score, index));
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
            candidates.truncate(8);
        }
    }
    candidates
        .into_iter()
        .map(|(_, index)| Match {
            correlation: correlation(heard, &known[index..index + heard.len()]),
            index: within.start + index as u64,
        })
        .max_by(|a, b| a.correlation.total_cmp(&b.correlation))
        .unwrap_or(none)
}

/// Where in what was heard a known stretch of at least 0.2 s is, and how well it fits there; the index counts samples heard.
///
/// Every index with a quarter of the samples, then the whole stretch at the best candidates.
pub fn find_clip(heard: &[i16], clip: &[i16]) -> Match {
    let none = Match { correlation: 0.0, index: 0 };
    if clip.len() < RATE as usize / 5 || heard.len() < clip.len() {
        return none;
    }
    let probe: Vec<i16> = clip.iter().copied().step_by(4).collect();
    let mut candidates: Vec<(f64, usize)> = Vec::new();
    for index in 0..=heard.len() - clip.len() {
        let stretch = &heard[index..index + clip.len()];
        let score = correlation_of(stretch.iter().step_by(4).zip(&probe));
        if candidates.len() < 8 || score > candidates[7].0 {
            candidates.push((score, index));
            candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
            candidates.truncate(8);
        }
    }
    candidates
        .into_iter()
        .map(|(_, index)| Match {
            correlation: correlation(&heard[index..index + clip.len()], clip),
            index: index as u64,
        })
        .max_by(|a, b| a.correlation.total_cmp(&b.correlation))
        .unwrap_or(none)
}

/// Normalised correlation of two stretches of equal length: 1 for the same shape, 0 for strangers or silence.
pub fn correlation(a: &[i16], b: &[i16]) -> f64 {
    correlation_of(a.iter().zip(b))
}

fn correlation_of<'a>(pairs: impl Iterator<Item = (&'a i16, &'a i16)>) -> f64 {
    let (mut product, mut left, mut right) = (0i64, 0i64, 0i64);
    for (a, b) in pairs {
        let (a, b) = (i64::from(*a), i64::from(*b));
        product += a * b;
        left += a * a;
        right += b * b;
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more")]
    let result =
        if left == 0 || right == 0 { 0.0 } else { product as f64 / ((left as f64).sqrt() * (right as f64).sqrt()) };
    result
}

/// The share of a stretch's energy that lies at one frequency (Goertzel): near 1 for a pure tone of it, near 0 otherwise.
pub fn tone_share(samples: &[i16], hertz: f64) -> f64 {
    let coefficient = 2.0 * (core::f64::consts::TAU * hertz / f64::from(RATE)).cos();
    let (mut one, mut two, mut energy) = (0.0, 0.0, 0.0);
    for sample in samples {
        let sample = f64::from(*sample);
        (one, two) = (sample + coefficient * one - two, one);
        energy += sample * sample;
    }
    let power = one * one + two * two - coefficient * one * two;
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    let count = samples.len() as f64;
    if energy == 0.0 { 0.0 } else { (2.0 * power / (count * energy)).min(1.0) }
}

/// The digits of the telephone-events (RFC 4733) at this payload type, each event once.
pub fn digits(packets: &[Received], payload_type: u8) -> String {
    let mut last = None;
    let mut digits = String::new();
    for packet in packets.iter().filter(|packet| packet.payload_type == payload_type && packet.payload.len() >= 4) {
        if last != Some(packet.timestamp) {
            last = Some(packet.timestamp);
            digits.push("0123456789*#ABCD".chars().nth(packet.payload[0].into()).unwrap_or('?'));
        }
    }
    digits
}

#[cfg(test)]
#[path = "analysis_tests.rs"]
mod tests;
