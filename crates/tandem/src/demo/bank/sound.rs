//! The sounds of the story that lie in files: what was recorded, and what was to be heard.

use super::super::stage;
use anyhow::{Context as _, ensure};
use parties::analysis::{Received, correlation};
use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    time::Duration,
};

/// Samples of a frame.
const FRAME: usize = 160;

/// The call's recording, read by nobody who wrote it: the caller on the left, what the caller hears on the right.
pub(super) struct Recording {
    pub(super) path: PathBuf,
    pub(super) left: Vec<i16>,
    pub(super) right: Vec<i16>,
    /// What the timeline says of its length, in milliseconds.
    pub(super) duration_ms: u64,
}

impl Recording {
    pub(super) fn read(folder: &Path, call: &str) -> anyhow::Result<Self> {
        let path = find(folder, &format!("{call}.wav"))?.context("there is no recording")?;
        let mut reader = hound::WavReader::open(&path).with_context(|| path.display().to_string())?;
        let spec = reader.spec();
        ensure!((spec.channels, spec.sample_rate) == (2, 8_000), "the recording is {spec:?}");
        let samples = reader.samples::<i16>().collect::<Result<Vec<_>, _>>()?;
        let side = |side: usize| samples.iter().skip(side).step_by(2).copied().collect();
        let timeline: serde_json::Value = serde_json::from_slice(&fs::read(path.with_extension("json"))?)?;
        let duration_ms = timeline["duration_ms"].as_u64().context("the timeline has no duration")?;
        Ok(Self { left: side(0), right: side(1), duration_ms, path })
    }

    /// Packets that the caller received and that are not on the right where their timestamps put them, to the sample.
    pub(super) fn missing(&self, packets: &[Received]) -> usize {
        let packets: Vec<(u32, Vec<i16>)> =
            packets.iter().map(|packet| (packet.timestamp, packet.samples())).filter(|it| !it.1.is_empty()).collect();
        let loud = |samples: &[i16]| parties::analysis::level_dbov(samples) > -40.0;
        let Some((anchor, wanted)) = packets.iter().find(|(_, samples)| loud(samples)) else { return packets.len() };
        let Some(found) = self.right.windows(wanted.len()).position(|window| window == wanted.as_slice()) else {
            return packets.len();
        };
        let place = |timestamp: u32| {
            let distance = i64::from(timestamp.wrapping_sub(*anchor).cast_signed());
            usize::try_from(i64::try_from(found).unwrap_or(0) + distance).ok()
        };
        // The recording ends when the caller hangs up: within a packet, or in the one whose time has not come, for timestamps
        // may run a packet ahead.
        let there = |(timestamp, samples): &&(u32, Vec<i16>)| {
            let Some(at) = place(*timestamp) else { return false };
            match self.right.get(at..) {
                Some(stretch) => stretch.iter().zip(samples).all(|(there, heard)| there == heard),
                None => at < self.right.len() + FRAME,
            }
        };
        packets.len() - packets.iter().filter(there).count()
    }

    /// Frames of the caller's own voice that are not on the left, from the first of it to the last.
    pub(super) fn unsaid(&self, said: super::Said, ended: Duration) -> usize {
        let frames: Vec<&[i16]> = self.left.chunks_exact(FRAME).collect();
        let heard = |frame: &&[i16]| frame.iter().any(|sample| sample.unsigned_abs() > 200);
        let (Some(first), Some(last)) = (frames.iter().position(&heard), frames.iter().rposition(heard)) else {
            return frames.len();
        };
        // Where in its signal the caller is in the middle of the recording; from there on by counting.
        let middle = (first + last) / 2 * FRAME;
        let stretch = &self.left[middle..(middle + 8_000).min(self.left.len())];
        let left = Duration::from_millis((self.left.len() - middle) as u64 / 8);
        let about = said.about(ended.saturating_sub(left));
        let found = parties::analysis::find(stretch, said.signal, about.saturating_sub(8_000)..about + 8_000);
        if found.correlation < 0.95 {
            return last - first;
        }
        let expected = |frame: usize| {
            let index = (found.index + (frame * FRAME) as u64).checked_sub(middle as u64)?;
            Some(said.signal.samples(index, FRAME))
        };
        // The first and the last may be cut.
        (first + 1..last)
            .filter(|frame| expected(*frame).is_none_or(|expected| correlation(frames[*frame], &expected) < 0.9))
            .count()
    }
}

fn find(folder: &Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if path.file_name().is_some_and(|it| it == name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Shipped clips, one after the other.
pub(super) fn clips(names: &[&str]) -> anyhow::Result<Vec<i16>> {
    let mut samples = Vec::new();
    for name in names {
        let bytes = stage::shipped(name).with_context(|| format!("{name} is not shipped"))?;
        samples.extend(hound::WavReader::new(Cursor::new(bytes))?.samples::<i16>().collect::<Result<Vec<_>, _>>()?);
    }
    Ok(samples)
}
