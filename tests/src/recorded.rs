//! Recordings, read back and compared with what parties said and heard.

use anyhow::{Context as _, Result, ensure};
use parties::{analysis::Received, g711::Law, signal::Signal};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Samples of a frame.
const FRAME: usize = 160;
/// Bytes before the audio of a WAV file of 16-bit samples.
pub const HEADER: usize = 80;

/// Milliseconds of a timeline as samples.
pub fn samples(ms: &Value) -> usize {
    usize::try_from(ms.as_u64().unwrap_or(0)).unwrap_or(usize::MAX / 8) * 8
}

/// A recording of two channels, and what stands beside it.
#[derive(Debug)]
pub struct Recording {
    /// The caller.
    pub left: Vec<i16>,
    /// What the caller heard.
    pub right: Vec<i16>,
    /// What stands beside it.
    pub timeline: Value,
}

impl Recording {
    /// Of this call, in a daemon's folder.
    pub fn read(folder: &Path, call: &str) -> Result<Self> {
        let directory = folder.join("recordings");
        let wanted = format!("{call}.wav");
        let found = files_below(&directory)?.into_iter().find(|path| path.ends_with(&wanted));
        Self::at(&found.with_context(|| format!("there is no {wanted}"))?)
    }

    /// In this file, with its timeline beside it.
    pub fn at(path: &Path) -> Result<Self> {
        let timeline = serde_json::from_slice(&fs::read(path.with_extension("json"))?)?;
        Self::of(&fs::read(path)?, timeline)
    }

    /// In these bytes of a WAV file whose header must know its length.
    pub fn of(bytes: &[u8], timeline: Value) -> Result<Self> {
        let length = u32::from_le_bytes(bytes[HEADER - 4..HEADER].try_into()?) as usize;
        ensure!(bytes.len() == HEADER + length, "the header says {length}, there are {}", bytes.len() - HEADER);
        let samples: Vec<i16> =
            bytes[HEADER..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let side = |side: usize| samples.iter().skip(side).step_by(2).copied().collect();
        Ok(Self { left: side(0), right: side(1), timeline })
    }

    /// Where the first of these packets begins on the right; every one of them must be there, to the sample.
    pub fn place_of(&self, packets: &[Received]) -> Result<i64> {
        let anchor =
            packets.iter().position(|packet| power(&packet.samples()) > 300.0 * 300.0).context("only silence")?;
        let wanted = packets[anchor].samples();
        let found = self.right.windows(wanted.len()).position(|window| window == wanted);
        let found = i64::try_from(found.context("the first packet heard is not on the right")?)?;
        let from_first = |packet: &Received| i64::from(packet.timestamp.wrapping_sub(packets[0].timestamp));
        let first = found - from_first(&packets[anchor]);
        for (number, packet) in packets.iter().enumerate() {
            let (at, samples) = (usize::try_from(first + from_first(packet))?, packet.samples());
            // The call ends in a packet, or in the one whose time has not come: timestamps may run a packet ahead.
            let end = (at + samples.len()).min(self.right.len());
            if at >= end && at < end + FRAME {
                continue;
            }
            let same = self.right.get(at..end).is_some_and(|there| *there == samples[..there.len()]);
            ensure!(same, "packet {number} of {} is not at sample {at} of {}", packets.len(), self.right.len());
        }
        Ok(first)
    }

    /// Where the caller's signal begins on the left; from its first frame to its last it must be there, to the sample.
    pub fn place_of_signal(&self, signal: Signal) -> Result<i64> {
        let begin = self.left.iter().position(|sample| *sample != 0).context("the caller is not on the left")?;
        let end = self.left.iter().rposition(|sample| *sample != 0).unwrap_or(0) + 1;
        let coded = |n: u64| Law::Mu.decode(Law::Mu.encode(signal.sample(n)));
        let matches = |n: u64, at: usize, count: usize| (0..count).all(|k| coded(n + k as u64) == self.left[at + k]);
        let at = begin + FRAME;
        let n = (0..400_000u64).find(|n| matches(*n, at, FRAME)).context("what is on the left is not the caller")?;
        let place = i64::try_from(at)? - i64::try_from(n)?;
        for at in (begin..end - FRAME).step_by(FRAME) {
            let n = u64::try_from(i64::try_from(at)? - place)?;
            ensure!(matches(n, at, FRAME), "something is missing or doubled at {} ms", at / 8);
        }
        Ok(place)
    }
}

/// Every file below a folder.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

/// The mean square of samples.
pub fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// How alike two stretches of samples are, from -1 to 1.
pub fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let product: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    product / (power(a) * power(b)).sqrt().max(1.0) / a.len() as f64
}

/// The channels of an Ogg Opus file (RFC 7845), by the library's reader of pages and a decoder for each stream.
pub fn opus_channels(file: &[u8]) -> Result<Vec<Vec<i16>>> {
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(file));
    let head = reader.read_packet()?.context("no header")?.data;
    ensure!(head.starts_with(b"OpusHead\x01"), "no Opus: {head:?}");
    let (channels, skip) = (usize::from(head[9]), usize::from(u16::from_le_bytes([head[10], head[11]])) / 6);
    reader.read_packet()?.context("no tags")?;
    let mut decoders = Vec::new();
    for _ in 0..channels {
        decoders.push(opus::Decoder::new(8_000, opus::Channels::Mono)?);
    }
    let (mut sides, mut end) = (vec![Vec::new(); channels], 0);
    while let Some(packet) = reader.read_packet()? {
        let mut rest = &packet.data[..];
        for (number, (side, decoder)) in sides.iter_mut().zip(&mut decoders).enumerate() {
            let (own, after) = if number + 1 == channels { (rest.to_vec(), &[][..]) } else { delimited(rest)? };
            let mut room = [0; 5_760];
            let count = decoder.decode(&own, &mut room, false)?;
            side.extend_from_slice(&room[..count]);
            rest = after;
        }
        end = usize::try_from(packet.absgp_page())? / 6;
    }
    Ok(sides.into_iter().map(|side| side[skip..end.min(side.len())].to_vec()).collect())
}

/// A packet with its length after its first byte (RFC 6716 appendix B), and what follows it.
fn delimited(bytes: &[u8]) -> Result<(Vec<u8>, &[u8])> {
    let (length, begin) = match bytes {
        [_, short @ 0..252, ..] => (usize::from(*short), 2),
        [_, long, more, ..] => (usize::from(*long) + 4 * usize::from(*more), 3),
        _ => anyhow::bail!("a packet is cut off"),
    };
    let own = bytes.get(begin..begin + length).context("a packet is cut off")?;
    Ok(([&bytes[..1], own].concat(), &bytes[begin + length..]))
}

/// Where `signal` was when the first of these samples was said, found by its best correlation in the second from `from` on; and the worst
/// correlation of any 200 ms, from there to `to`.
pub fn place_by_correlation(samples: &[i16], signal: Signal, from: usize, to: usize) -> Result<(i64, f64)> {
    let window = samples.get(from..from + 4_000).context("too short")?;
    let said: Vec<i16> = signal.samples(0, 160_000);
    let places = said.windows(window.len()).map(|place| correlation(window, place));
    let (best, _) = places.enumerate().max_by(|one, other| one.1.total_cmp(&other.1)).context("nothing said")?;
    let offset = i64::try_from(best)? - i64::try_from(from)?;
    let worst = (from..to.saturating_sub(1_600)).step_by(1_600).map(|at| {
        let n = u64::try_from(offset + at as i64).unwrap_or(0);
        correlation(&samples[at..at + 1_600], &signal.samples(n, 1_600))
    });
    Ok((offset, worst.fold(1.0, f64::min)))
}
