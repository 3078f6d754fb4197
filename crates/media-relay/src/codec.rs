//! Codecs: what each is called on the wire, and how fast its clocks run.

pub(crate) mod coding;
mod g711;
mod g722;

pub(crate) use coding::Encoder;
pub use coding::{Decoder, MAX_DECODED, OpusSettings};

use serde::{Deserialize, Serialize};

/// An audio codec of the relay; one channel each.
#[non_exhaustive]
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 mu-law, 8 kHz, static payload type 0.
    Pcmu,
    /// G.711 A-law, 8 kHz, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, 16 kHz, static payload type 9.
    G722,
    /// Opus (RFC 6716, RFC 7587), coded here at 16 kHz.
    Opus,
    /// Linear 16-bit PCM at 8 kHz (RFC 3551 section 4.5.11).
    L16At8k,
    /// Linear 16-bit PCM at 16 kHz.
    L16At16k,
}

/// Samples a second of telephone audio: the rate of G.711 and of clips in its code words.
pub const CLOCK_RATE: u32 = 8000;

/// -50 dBov as a mean square: 0 dBov is 32768 squared (the power of a full-scale square wave, RFC 6464).
pub const QUIET_MEAN_SQUARE: u32 = 10_737;

impl Codec {
    /// RTP timestamp units a second. G.722's is 8000 though it carries 16,000 samples (RFC 3551 section 4.5.2), Opus's is
    /// always 48,000 (RFC 7587 section 4.1).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16At8k => 8000,
            Self::L16At16k => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Samples a second of the audio it is decoded to and encoded from here.
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::L16At8k => 8000,
            Self::G722 | Self::Opus | Self::L16At16k => 16_000,
        }
    }

    /// The payload type of RFC 3551 table 4; for the others one of the dynamic range (96 to 127), as it is offered here.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16At8k => 97,
            Self::L16At16k => 98,
        }
    }

    /// The codec that a static payload type stands for.
    pub(crate) const fn of_static_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// Whether a packet of it becomes one of `other` word by word, without history: then loss, reordering and timing stay
    /// what they are.
    pub(crate) const fn converts_in_place(self, other: Self) -> bool {
        self as u8 == other as u8 || (self.is_g711() && other.is_g711())
    }

    /// One code word a sample, each by itself.
    pub(crate) const fn is_g711(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }

    /// Timestamp units that a payload stands for; `None` when it is no payload of this codec.
    pub(crate) fn timestamp_units(self, payload: &[u8]) -> Option<u32> {
        let length = u32::try_from(payload.len()).ok().filter(|length| *length > 0)?;
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => Some(length),
            Self::L16At8k | Self::L16At16k => Some(length / 2).filter(|samples| *samples > 0),
            Self::Opus => coding::opus_duration(payload),
        }
    }

    /// The longest packet of our own making in whole 10 ms: within 100 ms, within what Opus can code at once, and within
    /// what an Ethernet frame carries.
    pub(crate) const fn packet_time(self, ptime_ms: u128) -> u32 {
        let tens = if ptime_ms < 10 {
            1
        } else if ptime_ms > 100 {
            10
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "between 1 and 10")]
            let tens = (ptime_ms / 10) as u32;
            tens
        };
        10 * match self {
            Self::Pcmu | Self::Pcma | Self::G722 => tens,
            Self::L16At8k => {
                if tens > 8 {
                    8
                } else {
                    tens
                }
            }
            Self::L16At16k => {
                if tens > 4 {
                    4
                } else {
                    tens
                }
            }
            // RFC 6716 section 2.1.4: 10, 20, 40 or 60 ms.
            Self::Opus => match tens {
                1 => 1,
                2 | 3 => 2,
                4 | 5 => 4,
                _ => 6,
            },
        }
    }
}

/// The energy of linear samples: the mean of their squares, where full scale is 32768.
pub(crate) fn mean_square(samples: &[i16]) -> u32 {
    let sum: u64 = samples.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    u32::try_from(sum.checked_div(samples.len() as u64).unwrap_or(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_our_own_fit_the_codec_and_the_wire() {
        for (codec, asked, made) in [
            (Codec::Pcmu, 0, 10),
            (Codec::Pcmu, 20, 20),
            (Codec::Pcma, 250, 100),
            (Codec::Opus, 30, 20),
            (Codec::Opus, 50, 40),
            (Codec::Opus, 100, 60),
            (Codec::L16At16k, 60, 40),
            (Codec::L16At8k, 60, 60),
        ] {
            assert_eq!(codec.packet_time(asked), made, "{codec:?} asked for {asked} ms");
        }
    }

    #[test]
    fn rfc3551_4_5_2_g722_counts_half_its_samples() {
        assert_eq!((Codec::G722.clock_rate(), Codec::G722.sample_rate()), (8000, 16_000));
        assert_eq!(Codec::G722.timestamp_units(&[0; 160]), Some(160));
        assert_eq!(Codec::L16At16k.timestamp_units(&[0; 640]), Some(320));
        assert_eq!(Codec::L16At16k.timestamp_units(&[0; 1]), None);
        assert_eq!(Codec::Opus.timestamp_units(&[]), None);
    }
}
