//! From payloads to linear samples and back. An encoder or decoder is made once a stream; a packet takes nothing from the
//! heap.

use super::{
    Codec,
    g722::{G722Decoder, G722Encoder},
};
use std::fmt;

/// The longest packet that is decoded, in samples: 120 ms at 16 kHz, Opus's longest.
pub const MAX_DECODED: usize = 1920;
/// Opus as it is coded here, in bit/s: more than the 16 to 20 kbit/s that RFC 7587 section 3.1.1 recommends for wideband
/// speech, as hold music passes here too.
const OPUS_BITRATE: i32 = 32_000;
/// Opus's rate here: G.722's, so that one conversion of rates is enough for all codecs.
const OPUS_RATE: u32 = 16_000;

/// How the peer wants Opus (RFC 7587 section 6.1); absent: as it comes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OpusSettings {
    /// The highest mean bit rate, in bit/s.
    pub max_average_bitrate: Option<u32>,
    /// The peer makes use of forward error correction inside the stream.
    pub fec: bool,
    /// The peer wants a constant bit rate.
    pub cbr: bool,
}

/// Linear samples to payloads.
pub(crate) struct Encoder {
    pub(crate) codec: Codec,
    state: Encoding,
}

enum Encoding {
    Words,
    G722(Box<G722Encoder>),
    Opus(Box<opus::Encoder>),
    /// libopus gave no encoder (it is out of memory): nothing is sent.
    Broken,
}

impl Encoder {
    pub(crate) fn new(codec: Codec, opus: OpusSettings) -> Self {
        let state = match codec {
            Codec::G722 => Encoding::G722(Box::new(G722Encoder::new())),
            Codec::Opus => match opus_encoder(opus) {
                Ok(encoder) => Encoding::Opus(Box::new(encoder)),
                Err(error) => {
                    tracing::error!(%error, "no Opus encoder");
                    Encoding::Broken
                }
            },
            _ => Encoding::Words,
        };
        Self { codec, state }
    }

    /// Encodes samples at the codec's own rate; how many bytes, 0 when it cannot be done.
    pub(crate) fn encode(&mut self, samples: &[i16], bytes: &mut [u8]) -> usize {
        match &mut self.state {
            Encoding::Words if self.codec.is_g711() => {
                for (byte, sample) in bytes.iter_mut().zip(samples) {
                    *byte = self.codec.encode(*sample);
                }
                samples.len().min(bytes.len())
            }
            Encoding::Words => {
                for (pair, sample) in bytes.chunks_exact_mut(2).zip(samples) {
                    pair.copy_from_slice(&sample.to_be_bytes());
                }
                (samples.len() * 2).min(bytes.len())
            }
            Encoding::G722(encoder) => encoder.encode(samples, bytes),
            Encoding::Opus(encoder) => encoder.encode(samples, bytes).unwrap_or(0),
            Encoding::Broken => 0,
        }
    }
}

fn opus_encoder(settings: OpusSettings) -> opus::Result<opus::Encoder> {
    // Not `Voip`: that one's high-pass filter and speech model change the wave form of what a codec before it made
    // (correlation 0.93 instead of 0.99 at the same bit rate).
    let mut encoder = opus::Encoder::new(OPUS_RATE, opus::Channels::Mono, opus::Application::Audio)?;
    let most = settings.max_average_bitrate.and_then(|most| i32::try_from(most).ok()).unwrap_or(OPUS_BITRATE);
    encoder.set_bitrate(opus::Bitrate::Bits(OPUS_BITRATE.min(most.max(6000))))?;
    // Of ten: what is above costs up to ten times as much and is not heard on a telephone.
    encoder.set_complexity(5)?;
    encoder.set_vbr(!settings.cbr)?;
    encoder.set_inband_fec(settings.fec)?;
    if settings.fec {
        encoder.set_packet_loss_perc(5)?;
    }
    Ok(encoder)
}

/// Payloads to linear samples: one stream's, in its order.
pub struct Decoder {
    pub(crate) codec: Codec,
    state: Decoding,
}

enum Decoding {
    Words,
    G722(Box<G722Decoder>),
    Opus(Box<opus::Decoder>),
    Broken,
}

impl Decoder {
    /// A decoder that has heard nothing yet.
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::G722 => Decoding::G722(Box::new(G722Decoder::new())),
            Codec::Opus => match opus::Decoder::new(OPUS_RATE, opus::Channels::Mono) {
                Ok(decoder) => Decoding::Opus(Box::new(decoder)),
                Err(error) => {
                    tracing::error!(%error, "no Opus decoder");
                    Decoding::Broken
                }
            },
            _ => Decoding::Words,
        };
        Self { codec, state }
    }

    /// Decodes a payload; how many samples at the codec's own rate, 0 when it is none.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16; MAX_DECODED]) -> usize {
        match &mut self.state {
            Decoding::Words if self.codec.is_g711() => {
                for (sample, word) in samples.iter_mut().zip(payload) {
                    *sample = self.codec.decode(*word);
                }
                payload.len().min(MAX_DECODED)
            }
            Decoding::Words => {
                let (pairs, _) = payload.as_chunks::<2>();
                for (sample, pair) in samples.iter_mut().zip(pairs) {
                    *sample = i16::from_be_bytes(*pair);
                }
                pairs.len().min(MAX_DECODED)
            }
            Decoding::G722(decoder) => decoder.decode(payload, samples),
            // An empty payload would mean "conceal" to libopus.
            Decoding::Opus(decoder) if !payload.is_empty() => decoder.decode(payload, samples, false).unwrap_or(0),
            Decoding::Opus(_) | Decoding::Broken => 0,
        }
    }

    /// What a codec with a concealment of its own puts in place of what was lost; 0 where it has none. `samples` is a
    /// multiple of 2.5 ms long.
    pub(crate) fn conceal(&mut self, samples: &mut [i16]) -> usize {
        match &mut self.state {
            Decoding::Opus(decoder) => decoder.decode(&[], samples, false).unwrap_or(0),
            _ => 0,
        }
    }

    /// What `next` says of the audio right before it (Opus's forward error correction); 0 where it says nothing.
    pub(crate) fn recover(&mut self, next: &[u8], samples: &mut [i16]) -> usize {
        match &mut self.state {
            Decoding::Opus(decoder) if !next.is_empty() => decoder.decode(next, samples, true).unwrap_or(0),
            _ => 0,
        }
    }

    /// Samples in a payload, without decoding it.
    pub(crate) fn count(&self, payload: &[u8]) -> usize {
        let units = self.codec.timestamp_units(payload).unwrap_or(0);
        let samples = u64::from(units) * u64::from(self.codec.sample_rate()) / u64::from(self.codec.clock_rate());
        usize::try_from(samples).unwrap_or(usize::MAX)
    }
}

/// Timestamp units of an Opus packet, by its first bytes (RFC 6716 section 3.1).
pub(crate) fn opus_duration(payload: &[u8]) -> Option<u32> {
    let samples = opus::packet::get_nb_samples(payload, 48_000).ok()?;
    u32::try_from(samples).ok().filter(|samples| (1..=5760).contains(samples))
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({:?})", self.codec)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({:?})", self.codec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::f32::consts::TAU;

    const ALL: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16At8k, Codec::L16At16k];

    #[test]
    fn a_tone_survives_every_codec() {
        for codec in ALL {
            let rate = codec.sample_rate();
            let frame = rate as usize / 50;
            let (mut encoder, mut decoder) = (Encoder::new(codec, OpusSettings::default()), Decoder::new(codec));
            let mut heard = Vec::new();
            for n in 0..50usize {
                let tone: Vec<i16> = (n * frame..(n + 1) * frame)
                    .map(|at| {
                        #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
                        let sample = (8000.0 * (TAU * 440.0 * at as f32 / rate as f32).sin()) as i16;
                        sample
                    })
                    .collect();
                let mut bytes = [0; 1400];
                let length = encoder.encode(&tone, &mut bytes);
                assert_eq!(codec.timestamp_units(&bytes[..length]), Some(codec.clock_rate() / 50), "{codec:?}");
                assert_eq!(decoder.count(&bytes[..length]), frame);
                let mut samples = [0; MAX_DECODED];
                let count = decoder.decode(&bytes[..length], &mut samples);
                heard.extend_from_slice(&samples[..count]);
            }
            assert_eq!(heard.len(), 50 * frame, "{codec:?}");
            let late = &heard[25 * frame..];
            let share = share_of(late, 440.0 / rate as f32);
            assert!(share > 0.98, "{codec:?}: the tone is {share} of what is heard");
            let level = super::super::mean_square(late) as f32 / 32_000_000.0;
            assert!((0.7..1.3).contains(&level), "{codec:?}: power {level} of what it was");
        }
    }

    /// How much of the energy lies at one frequency (in cycles a sample).
    fn share_of(samples: &[i16], frequency: f32) -> f32 {
        let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let (sample, turn) = (f32::from(*sample), TAU * frequency * n as f32);
            re += sample * turn.cos();
            im += sample * turn.sin();
            all += sample * sample;
        }
        2.0 * (re * re + im * im) / (all * samples.len() as f32)
    }

    proptest! {
        /// Whatever comes from the wire, a decoder neither panics nor writes more than there is room for.
        #[test]
        fn no_payload_breaks_a_decoder(payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..8)) {
            for codec in ALL {
                let mut decoder = Decoder::new(codec);
                let mut samples = [0; MAX_DECODED];
                for payload in &payloads {
                    prop_assert!(decoder.decode(payload, &mut samples) <= MAX_DECODED);
                    prop_assert!(decoder.recover(payload, &mut samples[..320]) <= 320);
                    prop_assert!(decoder.conceal(&mut samples[..80]) <= 80);
                }
            }
        }
    }
}
