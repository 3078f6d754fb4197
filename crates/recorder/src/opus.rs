//! Ogg Opus (RFC 7845), each channel a stream of its own: what one party says is not in what another is heard to say.
//!
//! Every piece that is encoded ends its page, so that a file that is cut off plays up to its last piece. All pages that are written stay
//! as they are: nothing is ever corrected at the file's beginning.

use crate::RATE;
use ogg::{PacketWriteEndInfo, PacketWriter};
use opus::{Application, Bitrate, Channels, Encoder};

/// Samples of a frame: 20 ms.
const FRAME: usize = 160;
/// Opus counts at 48 kHz, whatever its input (RFC 7845 section 4).
const FINER: u64 = 48_000 / RATE as u64;
/// Bits a second of a channel.
const BITRATE: i32 = 32_000;
/// Effort, of ten.
const COMPLEXITY: i32 = 5;
/// The longest packet of one stream: three bytes beyond RFC 6716 section 3.4.
const LONGEST: usize = 1_278;

/// One file's encoder.
pub(crate) struct Opus {
    serial: u32,
    encoders: Vec<Encoder>,
    packets: PacketWriter<'static, Vec<u8>>,
    /// Samples of an unfinished frame, interleaved.
    left: Vec<i16>,
    /// Samples taken so far, a channel.
    taken: u64,
    /// Frames encoded.
    frames: u64,
    pre_skip: u64,
    begun: bool,
}

impl Opus {
    /// For so many channels; `serial` tells this stream from others in files that are joined.
    pub(crate) fn new(channels: usize, serial: u32) -> Result<Self, opus::Error> {
        let encoder = || {
            let mut encoder = Encoder::new(RATE, Channels::Mono, Application::Audio)?;
            encoder.set_bitrate(Bitrate::Bits(BITRATE))?;
            encoder.set_complexity(COMPLEXITY)?;
            Ok(encoder)
        };
        let mut encoders = (0..channels).map(|_| encoder()).collect::<Result<Vec<_>, opus::Error>>()?;
        let look = encoders.first_mut().map_or(Ok(0), Encoder::get_lookahead)?;
        Ok(Self {
            serial,
            encoders,
            packets: PacketWriter::new(Vec::new()),
            left: Vec::new(),
            taken: 0,
            frames: 0,
            pre_skip: u64::try_from(look).unwrap_or(0) * FINER,
            begun: false,
        })
    }

    /// Appends pages with these samples, interleaved, but for those of a frame that is not full.
    pub(crate) fn encode(&mut self, samples: &[i16], bytes: &mut Vec<u8>) {
        self.begin();
        self.left.extend_from_slice(samples);
        self.taken += (samples.len() / self.encoders.len().max(1)) as u64;
        let block = FRAME * self.encoders.len();
        let whole = self.left.len() / block;
        let input: Vec<i16> = self.left.drain(..whole * block).collect();
        for (at, frame) in input.chunks_exact(block).enumerate() {
            let end = if at + 1 == whole { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
            self.packet(frame, end, None);
        }
        bytes.append(self.packets.inner_mut());
    }

    /// Appends the last pages: with them, the file is as long as what was encoded, to the sample (RFC 7845 section 4.4).
    pub(crate) fn finish(&mut self, bytes: &mut Vec<u8>) {
        self.begin();
        let end = self.pre_skip + self.taken * FINER;
        let block = FRAME * self.encoders.len();
        loop {
            let mut frame = std::mem::take(&mut self.left);
            frame.resize(block, 0);
            let last = (self.frames + 1) * FRAME as u64 * FINER >= end;
            let how = if last { PacketWriteEndInfo::EndStream } else { PacketWriteEndInfo::NormalPacket };
            self.packet(&frame, how, last.then_some(end));
            if last {
                break;
            }
        }
        bytes.append(self.packets.inner_mut());
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            let head = head(u8::try_from(self.encoders.len()).unwrap_or(1), u16::try_from(self.pre_skip).unwrap_or(0));
            self.put(head, PacketWriteEndInfo::EndPage, 0);
            self.put(tags(), PacketWriteEndInfo::EndPage, 0);
        }
    }

    fn packet(&mut self, frame: &[i16], end: PacketWriteEndInfo, granule: Option<u64>) {
        let (channels, mut packet) = (self.encoders.len(), Vec::new());
        for (number, encoder) in self.encoders.iter_mut().enumerate() {
            let samples: Vec<i16> = frame.iter().skip(number).step_by(channels).copied().collect();
            // A refusal would be a defect; an empty frame (RFC 6716 section 3.2.1) is concealed where it is played.
            let one = encoder.encode_vec(&samples, LONGEST).unwrap_or_else(|_| vec![0x08]);
            if number + 1 == channels {
                packet.extend_from_slice(&one);
            } else {
                delimited(&one, &mut packet);
            }
        }
        self.frames += 1;
        let granule = granule.unwrap_or(self.frames * FRAME as u64 * FINER);
        self.put(packet, end, granule);
    }

    fn put(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, granule: u64) {
        // Memory refuses nothing.
        let _ = self.packets.write_packet(packet, self.serial, end, granule);
    }
}

/// RFC 6716 appendix B: a packet of one frame with its length after its first byte.
fn delimited(packet: &[u8], bytes: &mut Vec<u8>) {
    let Some((toc, frame)) = packet.split_first() else { return };
    debug_assert_eq!(toc & 3, 0, "one frame a packet");
    bytes.push(*toc);
    match frame.len() {
        short @ 0..252 => bytes.push(u8::try_from(short).unwrap_or(0)),
        long => {
            let first = 252 + (long & 3);
            bytes.push(u8::try_from(first).unwrap_or(0));
            bytes.push(u8::try_from((long - first) / 4).unwrap_or(0));
        }
    }
    bytes.extend_from_slice(frame);
}

/// RFC 7845 section 5.1.
fn head(channels: u8, pre_skip: u16) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(pre_skip.to_le_bytes());
    head.extend(RATE.to_le_bytes());
    head.extend(0i16.to_le_bytes());
    // One channel needs no table; left and right have a meaning to players; more are merely channels.
    let family = match channels {
        1 => 0,
        2 => 1,
        _ => 255,
    };
    head.push(family);
    if family != 0 {
        head.extend([channels, 0]);
        head.extend(0..channels);
    }
    head
}

/// RFC 7845 section 5.2.
fn tags() -> Vec<u8> {
    let vendor = concat!("tandem ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend(u32::try_from(vendor.len()).unwrap_or(0).to_le_bytes());
    tags.extend_from_slice(vendor.as_bytes());
    tags.extend(0u32.to_le_bytes());
    tags
}

/// What is whole of a file of ours.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// Bytes up to the end of the last whole page.
    pub(crate) bytes: u64,
    /// Samples at [`RATE`] that play from them, a channel.
    pub(crate) samples: u64,
}

/// Reads a file's pages up to the first that is cut off or damaged; `None` for what is no Ogg Opus.
pub(crate) fn whole(file: &[u8]) -> Option<Whole> {
    let mut found = None;
    let (mut at, mut pre_skip) = (0, None);
    while let Some((length, body, granule)) = page(&file[at..]) {
        let pre_skip = match pre_skip {
            Some(pre_skip) => pre_skip,
            None => {
                let head = &file[at + body..at + length];
                if head.get(..8)? != b"OpusHead" {
                    return None;
                }
                *pre_skip.insert(u64::from(u16::from_le_bytes(head.get(10..12)?.try_into().ok()?)))
            }
        };
        at += length;
        found = Some(Whole { bytes: at as u64, samples: granule.saturating_sub(pre_skip) / FINER });
    }
    found
}

/// The first page: its length, where its body begins, its granule position (RFC 3533 section 6).
fn page(bytes: &[u8]) -> Option<(usize, usize, u64)> {
    if bytes.get(..4)? != b"OggS" {
        return None;
    }
    let segments = usize::from(*bytes.get(26)?);
    let body = 27 + segments;
    let length = body + bytes.get(27..body)?.iter().map(|length| usize::from(*length)).sum::<usize>();
    let page = bytes.get(..length)?;
    let granule = u64::from_le_bytes(page.get(6..14)?.try_into().ok()?);
    let told = u32::from_le_bytes(page.get(22..26)?.try_into().ok()?);
    let sum = page.iter().enumerate().fold(0u32, |sum, (at, byte)| {
        let byte = if (22..26).contains(&at) { 0 } else { *byte };
        (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    });
    (sum == told).then_some((length, body, granule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ogg::PacketReader;
    use std::io::Cursor;

    /// Two voices: each a few tones of its own.
    fn voices(count: usize) -> [Vec<i16>; 2] {
        let voice = |tones: [f64; 3]| {
            (0..count)
                .map(|n| {
                    let sum: f64 = tones.iter().map(|hz| (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin()).sum();
                    #[expect(clippy::cast_possible_truncation, reason = "within plus and minus 12,000")]
                    let sample = (4_000.0 * sum) as i16;
                    sample
                })
                .collect()
        };
        [voice([310.0, 730.0, 1_330.0]), voice([450.0, 990.0, 2_210.0])]
    }

    /// A reader of another's: pages by the library, each stream by a decoder of its own, cut as RFC 7845 section 4 says.
    fn decoded(file: &[u8]) -> [Vec<i16>; 2] {
        let mut reader = PacketReader::new(Cursor::new(file));
        let head = reader.read_packet().unwrap().unwrap();
        assert_eq!((&head.data[..9], head.data[9], head.data[18]), (&b"OpusHead\x01"[..], 2, 1));
        assert_eq!(&head.data[19..], [2, 0, 0, 1], "two streams, none of them coupled");
        let skip = usize::from(u16::from_le_bytes([head.data[10], head.data[11]])) / 6;
        assert_eq!(&reader.read_packet().unwrap().unwrap().data[..8], b"OpusTags");
        let mut decoders = [0, 1].map(|_| opus::Decoder::new(RATE, Channels::Mono).unwrap());
        let (mut sides, mut end) = ([Vec::new(), Vec::new()], 0);
        while let Some(packet) = reader.read_packet().unwrap() {
            let (toc, rest) = packet.data.split_first().unwrap();
            let (length, rest) = match rest[0] {
                short @ 0..252 => (usize::from(short), &rest[1..]),
                long => (usize::from(long) + 4 * usize::from(rest[1]), &rest[2..]),
            };
            let first: Vec<u8> = [*toc].into_iter().chain(rest[..length].iter().copied()).collect();
            for ((side, decoder), packet) in sides.iter_mut().zip(&mut decoders).zip([&first[..], &rest[length..]]) {
                let mut room = [0; FRAME];
                assert_eq!(decoder.decode(packet, &mut room, false).ok(), Some(FRAME));
                side.extend(room);
            }
            end = usize::try_from(packet.absgp_page()).unwrap() / 6;
        }
        sides.map(|side| side[skip..end].to_vec())
    }

    fn correlation(a: &[i16], b: &[i16]) -> f64 {
        let product = |a: &[i16], b: &[i16]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    }

    fn encoded(pieces: &[usize]) -> (Vec<u8>, Vec<usize>, [Vec<i16>; 2]) {
        let said = voices(pieces.iter().sum());
        let woven: Vec<i16> = said[0].iter().zip(&said[1]).flat_map(|(left, right)| [*left, *right]).collect();
        let mut opus = Opus::new(2, 7).unwrap();
        let (mut file, mut ends, mut at) = (Vec::new(), Vec::new(), 0);
        for piece in pieces {
            opus.encode(&woven[at * 2..(at + piece) * 2], &mut file);
            at += piece;
            ends.push(file.len());
        }
        opus.finish(&mut file);
        (file, ends, said)
    }

    #[test]
    fn rfc7845_what_is_encoded_plays_to_the_sample_and_each_channel_holds_its_own_voice_alone() {
        let (file, _, said) = encoded(&[1_600, 1_601, 77, 30_000, 3_333]);
        let heard = decoded(&file);
        let [left, right] = [0, 1].map(|side: usize| {
            assert_eq!(heard[side].len(), said[side].len(), "to the sample");
            (correlation(&heard[side], &said[side]), correlation(&heard[side], &said[1 - side]))
        });
        assert!(left.0 > 0.98 && right.0 > 0.98, "{left:?} {right:?}");
        assert!(left.1.abs() < 0.03 && right.1.abs() < 0.03, "nothing comes over: {left:?} {right:?}");
        assert_eq!(whole(&file), Some(Whole { bytes: file.len() as u64, samples: 36_611 }));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_plays_up_to_its_last_piece() {
        let (file, ends, _) = encoded(&[1_600; 20]);
        for cut in (200..file.len()).step_by(97) {
            let pieces = ends.iter().filter(|end| **end <= cut).count() as u64;
            let whole = whole(&file[..cut]).unwrap();
            // The encoder looks ahead by 6.5 ms.
            let lead = 52;
            assert!(whole.samples + lead >= pieces * 1_600, "{whole:?} of {pieces} pieces");
            assert!(whole.bytes <= cut as u64);
        }
        let mut damaged = file.clone();
        damaged[file.len() / 2] ^= 1;
        assert!(whole(&damaged).unwrap().bytes < file.len() as u64 / 2 + 4_000, "a page whose sum is wrong is no page");
        assert_eq!(whole(b"RIFF"), None);
        assert!(decoded(&encoded(&[]).0)[0].is_empty());
    }
}
