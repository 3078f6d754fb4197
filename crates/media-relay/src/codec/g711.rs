//! G.711 by tables: one code word a sample, each by itself.

use crate::Codec;

impl Codec {
    /// G.711's code word of silence (zero for every other codec).
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
            _ => 0,
        }
    }

    /// G.711's code word of one sample of linear 16-bit PCM: A-law's where it is that, else mu-law's.
    pub fn encode(self, sample: i16) -> u8 {
        if self == Self::Pcma { encode_a(sample) } else { encode_mu(sample) }
    }

    /// One code word of G.711 as linear 16-bit PCM: A-law's where it is that, else mu-law's.
    pub fn decode(self, word: u8) -> i16 {
        let table = if self == Self::Pcma { &A_TO_LINEAR } else { &MU_TO_LINEAR };
        table[usize::from(word)]
    }

    /// Converts a payload of one law to the other in place; the length stays. Between other codecs it changes nothing.
    pub fn convert(self, to: Self, payload: &mut [u8]) {
        let table = match (self, to) {
            (Self::Pcmu, Self::Pcma) => &MU_TO_A,
            (Self::Pcma, Self::Pcmu) => &A_TO_MU,
            _ => return,
        };
        for word in payload {
            *word = table[usize::from(*word)];
        }
    }

    /// The energy of a payload of G.711 or L16: the mean of its squared samples, where full scale is 32768. Of a codec with
    /// a memory, whose payload says nothing by itself, zero.
    pub fn mean_square(self, payload: &[u8]) -> u32 {
        let table = match self {
            Self::Pcmu => &MU_SQUARED,
            Self::Pcma => &A_SQUARED,
            Self::L16At8k | Self::L16At16k => {
                let (samples, _) = payload.as_chunks::<2>();
                let sum: u64 = samples.iter().map(|s| u64::from(i16::from_be_bytes(*s).unsigned_abs()).pow(2)).sum();
                return u32::try_from(sum.checked_div(samples.len() as u64).unwrap_or(0)).unwrap_or(u32::MAX);
            }
            _ => return 0,
        };
        let sum: u64 = payload.iter().map(|word| u64::from(table[usize::from(*word)])).sum();
        u32::try_from(sum.checked_div(payload.len() as u64).unwrap_or(0)).unwrap_or(u32::MAX)
    }
}

static MU_TO_LINEAR: [i16; 256] = table_i16(true);
static A_TO_LINEAR: [i16; 256] = table_i16(false);
static MU_SQUARED: [u32; 256] = squared(&table_i16(true));
static A_SQUARED: [u32; 256] = squared(&table_i16(false));
static MU_TO_A: [u8; 256] = conversion(true);
static A_TO_MU: [u8; 256] = conversion(false);

/// G.711 section 3.2 (mu-law, 14-bit scaled to 16): sign, 3 bits of segment, 4 of step, all inverted.
const fn decode_mu(word: u8) -> i16 {
    let word = !word;
    let segment = (word >> 4) & 7;
    let step = (word & 15) as i16;
    let magnitude = (((step << 3) + 0x84) << segment) - 0x84;
    if word & 0x80 != 0 { -magnitude } else { magnitude }
}

/// G.711 section 3.1 (A-law, 13-bit scaled to 16): even bits inverted, sign positive when set.
const fn decode_a(word: u8) -> i16 {
    let word = word ^ 0x55;
    let segment = (word >> 4) & 7;
    let step = ((word & 15) as i16) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if word & 0x80 != 0 { magnitude } else { -magnitude }
}

#[expect(clippy::cast_possible_truncation, reason = "both terms are masked to a byte")]
const fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let mut magnitude = (sample as i32).abs();
    if magnitude > 32_635 {
        magnitude = 32_635;
    }
    magnitude += 0x84;
    let segment = 24 - (magnitude.leading_zeros() as i32); // the highest bit is 7 to 14
    let step = (magnitude >> (segment + 3)) & 15;
    !((sign | (segment << 4) | step) as u8)
}

#[expect(clippy::cast_possible_truncation, reason = "both terms are masked to a byte")]
const fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, sample as i32) } else { (0, -(sample as i32) - 1) };
    let word = if magnitude < 256 {
        magnitude >> 4
    } else {
        let segment = 24 - (magnitude.leading_zeros() as i32); // the highest bit is 8 to 14
        (segment << 4) | ((magnitude >> (segment + 3)) & 15)
    };
    ((sign | word) as u8) ^ 0x55
}

const fn table_i16(mu: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut word = 0;
    while word < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the index is below 256")]
        let code = word as u8;
        table[word] = if mu { decode_mu(code) } else { decode_a(code) };
        word += 1;
    }
    table
}

const fn squared(linear: &[i16; 256]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut word = 0;
    while word < 256 {
        let magnitude = linear[word].unsigned_abs() as u32;
        table[word] = magnitude * magnitude;
        word += 1;
    }
    table
}

const fn conversion(mu_to_a: bool) -> [u8; 256] {
    let linear = table_i16(mu_to_a);
    let mut table = [0; 256];
    let mut word = 0;
    while word < 256 {
        table[word] = if mu_to_a { encode_a(linear[word]) } else { encode_mu(linear[word]) };
        word += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::QUIET_MEAN_SQUARE;

    #[test]
    fn known_code_words_decode_to_the_values_of_g711() {
        assert_eq!(Codec::Pcmu.decode(0xff), 0);
        assert_eq!(Codec::Pcmu.decode(0x80), 32_124);
        assert_eq!(Codec::Pcmu.decode(0x00), -32_124);
        assert_eq!(Codec::Pcma.decode(0xd5), 8);
        assert_eq!(Codec::Pcma.decode(0x55), -8);
        assert_eq!(Codec::Pcma.decode(0xaa), 32_256);
        assert_eq!(Codec::Pcma.decode(0x2a), -32_256);
    }

    #[test]
    fn every_code_word_survives_decoding_and_encoding() {
        for word in 0..=255u8 {
            assert_eq!(Codec::Pcma.encode(Codec::Pcma.decode(word)), word);
            let again = Codec::Pcmu.encode(Codec::Pcmu.decode(word));
            assert!(again == word || (word == 0x7f && again == 0xff), "{word:#x} came back as {again:#x}");
        }
    }

    #[test]
    fn encoding_takes_the_nearest_step() {
        for sample in i16::MIN..=i16::MAX {
            for codec in [Codec::Pcmu, Codec::Pcma] {
                let error = (i32::from(codec.decode(codec.encode(sample))) - i32::from(sample)).abs();
                let magnitude = i32::from(sample).abs();
                // Half a step of the sample's segment; the top of the range is clipped.
                assert!(error <= 16.max((magnitude + 132) / 31), "{codec:?} {sample} is off by {error}");
            }
        }
    }

    #[test]
    fn conversion_there_and_back_keeps_every_sample_within_a_step() {
        for word in 0..=255u8 {
            let mut there = [word];
            Codec::Pcmu.convert(Codec::Pcma, &mut there);
            let (before, after) = (i32::from(Codec::Pcmu.decode(word)), i32::from(Codec::Pcma.decode(there[0])));
            assert!((before - after).abs() <= 16.max(before.abs() / 20), "{before} became {after}");
        }
    }

    #[test]
    fn levels_are_in_dbov() {
        let full: Vec<u8> = std::iter::repeat_n([0x80, 0x00], 80).flatten().collect();
        let dbov = 10.0 * (f64::from(Codec::Pcmu.mean_square(&full)) / (32768.0 * 32768.0)).log10();
        assert!((dbov + 0.17).abs() < 0.01, "{dbov}");
        assert_eq!(Codec::Pcmu.mean_square(&[]), 0);
        assert!(Codec::Pcma.mean_square(&[Codec::Pcma.silence(); 160]) < QUIET_MEAN_SQUARE);
    }
}
