//! G.711 by its definition, sample by sample: independent of the relay's tables, because it checks them.

use serde::{Deserialize, Serialize};

/// The two laws of ITU-T G.711, at 8000 samples a second.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Law {
    /// PCMU, static payload type 0.
    Mu,
    /// PCMA, static payload type 8.
    A,
}

impl Law {
    /// The static RTP payload type (RFC 3551, table 4).
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Mu => 0,
            Self::A => 8,
        }
    }

    /// Encodes one sample of 16 bits.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => encode_mu(sample),
            Self::A => encode_a(sample),
        }
    }

    /// Decodes one octet to a sample of 16 bits.
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Self::Mu => decode_mu(octet),
            Self::A => decode_a(octet),
        }
    }
}

fn encode_mu(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + BIAS;
    // The segment is the position of the highest bit above bit 7.
    let segment = (24 - magnitude.leading_zeros()).min(7);
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | low_byte(segment << 4) | low_byte(mantissa.unsigned_abs()))
}

fn decode_mu(octet: u8) -> i16 {
    let octet = !octet;
    let segment = (octet >> 4) & 7;
    let magnitude = ((i32::from(octet & 0x0f) << 3) + 0x84) << segment;
    let magnitude = magnitude - 0x84;
    to_sample(if octet & 0x80 == 0 { magnitude } else { -magnitude })
}

fn encode_a(sample: i16) -> u8 {
    let sign = if sample < 0 { 0 } else { 0x80 };
    let magnitude = if sample < 0 { !i32::from(sample) } else { i32::from(sample) } >> 3;
    let code = if magnitude < 32 {
        magnitude >> 1
    } else {
        let segment = 27 - i32::try_from(magnitude.leading_zeros()).unwrap_or(0);
        (segment << 4) | ((magnitude >> segment) & 0x0f)
    };
    (sign | low_byte(code.unsigned_abs())) ^ 0x55
}

fn decode_a(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let segment = (octet >> 4) & 7;
    let mantissa = i32::from(octet & 0x0f);
    let magnitude = match segment {
        0 => (mantissa << 4) + 8,
        segment => ((mantissa << 4) + 0x108) << (segment - 1),
    };
    to_sample(if octet & 0x80 == 0 { -magnitude } else { magnitude })
}

fn low_byte(value: u32) -> u8 {
    u8::try_from(value & 0xff).unwrap_or(u8::MAX)
}

fn to_sample(value: i32) -> i16 {
    i16::try_from(value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends and the middle of both laws, from the tables of ITU-T G.711.
    #[test]
    fn decodes_the_values_of_the_standard() {
        for (octet, sample) in
            [(0xff, 0), (0x7f, 0), (0x80, 32_124), (0x00, -32_124), (0xfe, 8), (0xf0, 120), (0xef, 132)]
        {
            assert_eq!(Law::Mu.decode(octet), sample, "PCMU {octet:#04x}");
        }
        for (octet, sample) in [(0xd5, 8), (0x55, -8), (0xaa, 32_256), (0x2a, -32_256), (0xd4, 24)] {
            assert_eq!(Law::A.decode(octet), sample, "PCMA {octet:#04x}");
        }
    }

    #[test]
    fn every_octet_survives_decoding_and_encoding() {
        for law in [Law::Mu, Law::A] {
            for octet in 0..=u8::MAX {
                let back = law.encode(law.decode(octet));
                // PCMU has two zeros: 0x7f is minus zero.
                let same = back == octet || (law == Law::Mu && octet == 0x7f && back == 0xff);
                assert!(same, "{law:?} {octet:#04x} came back as {back:#04x}");
            }
        }
    }

    #[test]
    fn no_sample_moves_further_than_its_quantisation_step() {
        for law in [Law::Mu, Law::A] {
            for sample in i16::MIN..=i16::MAX {
                let heard = i32::from(law.decode(law.encode(sample)));
                let error = (heard - i32::from(sample)).abs();
                let allowed = (i32::from(sample).abs() / 24).max(16);
                assert!(
                    error <= allowed.max(if sample.unsigned_abs() > 32_000 { 700 } else { 0 }),
                    "{law:?} {sample} -> {heard}"
                );
            }
        }
    }
}
