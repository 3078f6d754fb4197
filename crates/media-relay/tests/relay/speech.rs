//! Parties that speak and hear any codec, with coders of their own, and how alike two signals are.

use crate::house::{House, Party, Sent, raw};
use ezk_g722::libg722::{self, Bitrate};
use media_relay::{Codec, PortId};
use std::{f32::consts::TAU, time::Duration};

/// Something like a voice: a pitch that wanders, overtones, syllables, pauses and some breath. By time, so that it is the
/// same at every rate; nothing above 3.4 kHz.
pub(crate) fn voice(rate: u32, from: usize, count: usize) -> Vec<i16> {
    (from..from + count)
        .map(|n| {
            let t = n as f32 / rate as f32;
            let turn = TAU * (140.0 * t + 6.0 * (TAU * 0.7 * t).sin());
            let syllable = ((TAU * 2.3 * t).sin() + 0.35).clamp(0.0, 1.0);
            let formant = 3.0 + 2.0 * (TAU * 1.1 * t).sin();
            let sum: f32 = (1..20)
                .map(|k| {
                    let k = k as f32;
                    let weight = 1.0 / (1.0 + (k - formant).abs()) / k.sqrt();
                    weight * (turn * k + k * k).sin()
                })
                .sum();
            let breath = (1900.0 * TAU * t + 40.0 * (TAU * 371.0 * t).sin()).sin() * 0.05;
            sample(7000.0 * syllable * (sum + breath))
        })
        .collect()
}

/// A steady tone.
pub(crate) fn tone(hz: f32, rate: u32, from: usize, count: usize) -> Vec<i16> {
    (from..from + count).map(|n| sample(8000.0 * (TAU * hz * (n % rate as usize) as f32 / rate as f32).sin())).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
fn sample(value: f32) -> i16 {
    value as i16
}

/// A party that says a signal in its codec, packet by packet.
pub(crate) struct Speaker {
    pub(crate) party: Party,
    pub(crate) ms: usize,
    said: usize,
    coder: Coder,
}

enum Coder {
    Words,
    G722(Box<libg722::encoder::Encoder>),
    Opus(Box<opus::Encoder>),
}

impl Speaker {
    pub(crate) fn new(party: Party, ms: usize) -> Self {
        let coder = match party.codec {
            Codec::G722 => Coder::G722(Box::new(libg722::encoder::Encoder::new(Bitrate::Mode1_64000, false, false))),
            Codec::Opus => Coder::Opus(Box::new(
                opus::Encoder::new(16_000, opus::Channels::Mono, opus::Application::Audio).expect("an encoder"),
            )),
            _ => Coder::Words,
        };
        Self { party, ms, said: 0, coder }
    }

    /// The next packet.
    pub(crate) fn packet(&mut self, signal: impl Fn(u32, usize, usize) -> Vec<i16>) -> Vec<u8> {
        let codec = self.party.codec;
        let count = codec.sample_rate() as usize / 1000 * self.ms;
        let samples = signal(codec.sample_rate(), self.said, count);
        self.said += count;
        let payload: Vec<u8> = match &mut self.coder {
            Coder::Words if matches!(codec, Codec::Pcmu | Codec::Pcma) => {
                samples.iter().map(|s| codec.encode(*s)).collect()
            }
            Coder::Words => samples.iter().flat_map(|s| s.to_be_bytes()).collect(),
            Coder::G722(encoder) => encoder.encode(&samples),
            Coder::Opus(encoder) => encoder.encode_vec(&samples, 1275).expect("it encodes"),
        };
        let party = &mut self.party;
        let bytes = raw(codec.static_payload_type(), false, party.sequence, party.timestamp, party.ssrc, &payload);
        party.sequence = party.sequence.wrapping_add(1);
        party.timestamp =
            party.timestamp.wrapping_add(codec.clock_rate() / 1000 * u32::try_from(self.ms).expect("some ms"));
        bytes
    }

    pub(crate) fn speak(&mut self, house: &mut House, signal: impl Fn(u32, usize, usize) -> Vec<i16>) {
        let bytes = self.packet(signal);
        house.receive(self.party.port, self.party.address, &bytes);
    }
}

/// What was sent toward a port, decoded by coders of our own: samples at the codec's rate.
pub(crate) fn heard(house: &House, port: PortId, codec: Codec) -> Vec<i16> {
    decoded(&house.heard_by(port), codec)
}

pub(crate) fn decoded(packets: &[Sent], codec: Codec) -> Vec<i16> {
    let mut g722 = libg722::decoder::Decoder::new(Bitrate::Mode1_64000, false, false);
    let mut opus = opus::Decoder::new(16_000, opus::Channels::Mono).expect("a decoder");
    let mut samples = Vec::new();
    for packet in packets {
        let rtp = packet.rtp();
        assert_eq!(rtp.header.payload_type, codec.static_payload_type());
        match codec {
            Codec::G722 => samples.extend(g722.decode(&rtp.payload)),
            Codec::Opus => {
                let mut room = [0; 1920];
                let count = opus.decode(&rtp.payload, &mut room, false).expect("what is sent is Opus");
                samples.extend_from_slice(&room[..count]);
            }
            Codec::Pcmu | Codec::Pcma => samples.extend(rtp.payload.iter().map(|word| codec.decode(*word))),
            _ => samples.extend(rtp.payload.as_chunks::<2>().0.iter().map(|pair| i16::from_be_bytes(*pair))),
        }
    }
    samples
}

/// Every other sample of 16 kHz, or what there is at 8 kHz: enough to compare by.
pub(crate) fn narrow(samples: &[i16], rate: u32) -> Vec<i16> {
    samples.iter().step_by(rate as usize / 8000).copied().collect()
}

/// The best correlation of `heard` with `truth` (both 8 kHz) over lags up to `most` samples, and that lag.
pub(crate) fn correlation(truth: &[i16], heard: &[i16], most: usize) -> (f64, usize) {
    let at = |lag: usize| {
        let (mut product, mut one, mut other) = (0.0, 1.0, 1.0);
        for (a, b) in truth.iter().zip(&heard[lag.min(heard.len())..]) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            product += a * b;
            one += a * a;
            other += b * b;
        }
        product / (one * other).sqrt()
    };
    (0..=most).map(|lag| (at(lag), lag)).fold((f64::MIN, 0), |best, this| if this.0 > best.0 { this } else { best })
}

/// Energy of one tone in a stretch of sound, as a share of full scale squared.
pub(crate) fn energy_at(samples: &[i16], hz: f64, rate: u32) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let turn = std::f64::consts::TAU * hz * n as f64 / f64::from(rate);
        re += f64::from(*sample) * turn.cos();
        im += f64::from(*sample) * turn.sin();
    }
    (re * re + im * im) / (samples.len() as f64).powi(2)
}

/// One packet's time.
pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}
