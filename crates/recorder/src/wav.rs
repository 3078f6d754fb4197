//! WAV files (RIFF WAVE) whose header may be written at any time, and which go beyond 4 GB as RF64 (EBU Tech 3306).

use media_relay::Codec;

/// How samples lie in the file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// 16-bit linear.
    Pcm16,
    /// G.711, one byte a sample.
    G711(Codec),
}

impl Format {
    /// Bytes of a sample.
    pub fn width(self) -> u16 {
        match self {
            Self::Pcm16 => 2,
            Self::G711(_) => 1,
        }
    }

    /// What silence looks like.
    pub fn silence(self) -> u8 {
        match self {
            Self::Pcm16 => 0,
            Self::G711(codec) => codec.silence(),
        }
    }

    /// Appends samples as they lie in the file.
    pub fn encode(self, samples: &[i16], bytes: &mut Vec<u8>) {
        match self {
            // Into room of known length: the compiler copies it in one piece.
            Self::Pcm16 => {
                let start = bytes.len();
                bytes.resize(start + samples.len() * 2, 0);
                for (pair, sample) in bytes[start..].chunks_exact_mut(2).zip(samples) {
                    pair.copy_from_slice(&sample.to_le_bytes());
                }
            }
            Self::G711(codec) => bytes.extend(samples.iter().map(|sample| codec.encode(*sample))),
        }
    }

    /// WAVE_FORMAT_PCM, _ALAW, _MULAW.
    fn tag(self) -> u16 {
        match self {
            Self::Pcm16 => 1,
            Self::G711(Codec::Pcma) => 6,
            Self::G711(_) => 7,
        }
    }
}

/// The header for `bytes` bytes of audio: the same length for every number of bytes.
pub fn header(format: Format, channels: u16, rate: u32, bytes: u64) -> Vec<u8> {
    let block = channels * format.width();
    let frames = bytes / u64::from(block.max(1));
    let plain = matches!(format, Format::Pcm16);
    let length = header_length(format);
    let riff = length as u64 - 8 + bytes + (bytes & 1);
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let large = riff > u64::from(u32::MAX);
    let size = |value: u64| if large { u32::MAX } else { small(value) };
    let mut header = Vec::with_capacity(length);
    header.extend(if large { b"RF64" } else { b"RIFF" });
    header.extend(size(riff).to_le_bytes());
    header.extend(b"WAVE");
    // Room for the sizes of a file beyond 4 GB; until then, padding.
    header.extend(if large { b"ds64" } else { b"JUNK" });
    header.extend(28u32.to_le_bytes());
    let sizes = if large { [riff, bytes, frames] } else { [0; 3] };
    header.extend(sizes.into_iter().flat_map(u64::to_le_bytes));
    header.extend(0u32.to_le_bytes());
    header.extend(b"fmt ");
    header.extend(if plain { 16u32 } else { 18 }.to_le_bytes());
    header.extend(format.tag().to_le_bytes());
    header.extend(channels.to_le_bytes());
    header.extend(rate.to_le_bytes());
    header.extend((rate * u32::from(block)).to_le_bytes());
    header.extend(block.to_le_bytes());
    header.extend((format.width() * 8).to_le_bytes());
    if !plain {
        header.extend(0u16.to_le_bytes());
        header.extend(b"fact");
        header.extend(4u32.to_le_bytes());
        header.extend(size(frames).to_le_bytes());
    }
    header.extend(b"data");
    header.extend(size(bytes).to_le_bytes());
    header
}

/// The header before audio whose length nobody knows yet, and which cannot be written again: every size is the largest there is, which
/// readers of streams take for "up to the end". As long as [`header`].
pub fn open_header(format: Format, channels: u16, rate: u32) -> Vec<u8> {
    let mut header = header(format, channels, rate, 0);
    let end = header.len();
    header[4..8].fill(0xff);
    if !matches!(format, Format::Pcm16) {
        // The samples of the chunk `fact`.
        header[end - 12..end - 8].fill(0xff);
    }
    header[end - 4..].fill(0xff);
    header
}

/// Bytes of [`header`].
pub fn header_length(format: Format) -> usize {
    12 + 36 + if matches!(format, Format::Pcm16) { 24 } else { 26 + 12 } + 8
}

/// What the header of a file of ours says it holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// How samples lie in it.
    pub format: Format,
    /// How many channels.
    pub channels: u16,
    /// Samples a second.
    pub rate: u32,
}

/// Reads what [`header`] wrote; `None` for anything else.
pub fn read(header: &[u8]) -> Option<Described> {
    let word = |at: usize| Some(u16::from_le_bytes(header.get(at..at + 2)?.try_into().ok()?));
    if !matches!(header.get(..4)?, b"RIFF" | b"RF64") || header.get(8..12)? != b"WAVE" || header.get(48..52)? != b"fmt "
    {
        return None;
    }
    let format = match word(56)? {
        1 => Format::Pcm16,
        6 => Format::G711(Codec::Pcma),
        7 => Format::G711(Codec::Pcmu),
        _ => return None,
    };
    let rate = u32::from_le_bytes(header.get(60..64)?.try_into().ok()?);
    Some(Described { format, channels: word(58)?, rate })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn u32_at(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn an_independent_reader_reads_what_is_written() {
        let samples: Vec<i16> = (0..1_600).map(|n| n * 20 - 16_000).collect();
        let mut bytes = header(Format::Pcm16, 2, 8_000, 3_200);
        assert_eq!(bytes.len(), header_length(Format::Pcm16));
        Format::Pcm16.encode(&samples, &mut bytes);
        let mut reader = hound::WavReader::new(&bytes[..]).unwrap();
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (2, 8_000, 16));
        assert!(reader.samples::<i16>().map(Result::unwrap).eq(samples));
    }

    #[test]
    fn every_header_is_as_long_as_it_says_and_reads_back() {
        for format in [Format::Pcm16, Format::G711(Codec::Pcma), Format::G711(Codec::Pcmu)] {
            for bytes in [0, 160, 5_000_000_000] {
                let header = header(format, 2, 8_000, bytes);
                assert_eq!(header.len(), header_length(format));
                assert_eq!(read(&header), Some(Described { format, channels: 2, rate: 8_000 }));
            }
        }
        assert_eq!(read(b"RIFF"), None);
    }

    #[test]
    fn the_header_of_an_unknown_length_differs_from_the_others_in_its_sizes_alone() {
        for format in [Format::Pcm16, Format::G711(Codec::Pcma)] {
            let (open, known) = (open_header(format, 2, 8_000), header(format, 2, 8_000, 0));
            let mut sizes = vec![4..8, known.len() - 4..known.len()];
            if format != Format::Pcm16 {
                let fact = known.windows(4).position(|name| name == b"fact").unwrap() + 8;
                sizes.push(fact..fact + 4);
            }
            for at in 0..known.len() {
                let expected = if sizes.iter().any(|size| size.contains(&at)) { 0xff } else { known[at] };
                assert_eq!(open[at], expected, "byte {at} of {format:?}");
            }
            assert_eq!(open.len(), known.len());
        }
    }

    /// EBU Tech 3306 section 3.5.
    #[test]
    fn ebu_tech_3306_a_file_beyond_4_gb_is_rf64_with_its_sizes_in_ds64() {
        let fits = u64::from(u32::MAX) - header_length(Format::Pcm16) as u64 + 8 - 3;
        let small = header(Format::Pcm16, 2, 8_000, fits);
        assert_eq!((&small[..4], &small[12..16]), (&b"RIFF"[..], &b"JUNK"[..]));
        let large = header(Format::Pcm16, 2, 8_000, fits + 4);
        assert_eq!((&large[..4], u32_at(&large, 4), &large[12..16]), (&b"RF64"[..], u32::MAX, &b"ds64"[..]));
        let u64_at = |at: usize| u64::from_le_bytes(large[at..at + 8].try_into().unwrap());
        assert_eq!(u64_at(20), fits + 4 + large.len() as u64 - 8);
        assert_eq!((u64_at(28), u64_at(36)), (fits + 4, (fits + 4) / 4));
        assert_eq!(u32_at(&large, large.len() - 4), u32::MAX);
    }
}
