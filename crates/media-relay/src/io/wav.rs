//! Prompts and music from WAV files: any rate, mixed to one channel, brought to 8 kHz once.

use crate::{CLOCK_RATE, Clip, Library};
use std::{
    f64::consts::PI,
    io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The longest clip.
const LONGEST_S: u32 = 3600;
/// Half the taps of the filter at the lower of both rates.
const HALF_TAPS: f64 = 16.0;

/// Why a clip cannot be played.
#[derive(Debug, Error)]
pub enum ClipError {
    /// The file or directory cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no WAV file that we understand.
    #[error("{}: not a WAV file of PCM or float samples: {source}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: hound::Error,
    },
    /// Nothing to play.
    #[error("{}: holds no audio", path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
    /// Rate or length is beyond all reason.
    #[error("{}: {found}, expected {expected}", path.display())]
    Unreasonable {
        /// Which.
        path: PathBuf,
        /// What the header says.
        found: String,
        /// What we take.
        expected: &'static str,
    },
}

/// Reads a WAV file.
pub fn load_clip(path: &Path) -> Result<Clip, ClipError> {
    let format = |source| ClipError::Format { path: path.to_owned(), source };
    let reader = hound::WavReader::open(path).map_err(|error| match error {
        hound::Error::IoError(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            ClipError::Read { path: path.to_owned(), source }
        }
        other => format(other),
    })?;
    let spec = reader.spec();
    let unreasonable = |found, expected| Err(ClipError::Unreasonable { path: path.to_owned(), found, expected });
    if !(4000..=192_000).contains(&spec.sample_rate) {
        return unreasonable(format!("a rate of {} Hz", spec.sample_rate), "4000 to 192000 Hz");
    }
    if reader.duration() / spec.sample_rate > LONGEST_S {
        return unreasonable(format!("{} s of audio", reader.duration() / spec.sample_rate), "an hour at most");
    }
    let channels = usize::from(spec.channels.max(1));
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => reader.into_samples::<f32>().collect::<Result<_, _>>(),
        hound::SampleFormat::Int => {
            let scale = 1.0 / (1u64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
            reader.into_samples::<i32>().map(|sample| sample.map(|sample| sample as f32 * scale)).collect()
        }
    }
    .map_err(format)?;
    let mono: Vec<f32> =
        samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect();
    if mono.is_empty() {
        return Err(ClipError::Empty { path: path.to_owned() });
    }
    let at_8k = if spec.sample_rate == CLOCK_RATE { mono } else { resample(&mono, spec.sample_rate) };
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let pcm: Vec<i16> = at_8k.iter().map(|sample| (sample * 32_768.0).round() as i16).collect();
    Ok(Clip::from_pcm16(&pcm))
}

/// Reads every `*.wav` of a directory into the library, named `<prefix><file stem>`; how many.
pub fn load_directory(library: &mut Library, directory: &Path, prefix: &str) -> Result<usize, ClipError> {
    let read = |source| ClipError::Read { path: directory.to_owned(), source };
    let mut paths = std::fs::read_dir(directory)
        .map_err(read)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(read)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")));
    paths.sort();
    for path in &paths {
        let Some(stem) = path.file_stem() else { continue };
        library.insert(&format!("{prefix}{}", stem.to_string_lossy()), load_clip(path)?);
    }
    Ok(paths.len())
}

/// Band-limited resampling to 8 kHz by a Hann-windowed sinc: slow and clean, once at load.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "indices within the clip")]
fn resample(samples: &[f32], rate: u32) -> Vec<f32> {
    let ratio = f64::from(rate) / f64::from(CLOCK_RATE);
    let stretch = ratio.max(1.0);
    let reach = HALF_TAPS * stretch;
    let length = (samples.len() as f64 / ratio) as usize;
    (0..length)
        .map(|n| {
            let center = n as f64 * ratio;
            let from = (center - reach).ceil().max(0.0) as usize;
            let to = ((center + reach).floor() as usize).min(samples.len().saturating_sub(1));
            let (sum, weight) = (from..=to).fold((0.0, 0.0), |(sum, weight), at| {
                let x = (at as f64 - center) / stretch;
                let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
                let window = 0.5 + 0.5 * (PI * x / HALF_TAPS).cos();
                (sum + f64::from(samples[at]) * sinc * window, weight + sinc * window)
            });
            if weight.abs() < 1e-9 { 0.0 } else { (sum / weight) as f32 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use std::f32::consts::TAU;

    #[test]
    fn a_tone_keeps_its_level_and_what_eight_khz_cannot_carry_is_gone() {
        let tone =
            |hz: f32| -> Vec<f32> { (0..48_000).map(|n| 0.5 * (TAU * hz * n as f32 / 48_000.0).sin()).collect() };
        let power = |samples: &[f32]| samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
        let low = resample(&tone(1000.0), 48_000);
        assert_eq!(low.len(), 8000);
        assert!((power(&low) / 0.125 - 1.0).abs() < 0.02, "{}", power(&low));
        let high = resample(&tone(6000.0), 48_000);
        assert!(power(&high) < 0.125 / 1000.0, "an alias of {}", power(&high));
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong() {
        let missing = load_clip(Path::new("/nonexistent/hold.wav")).unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/hold.wav: "), "{missing}");
        let source = load_clip(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).unwrap_err().to_string();
        assert!(source.contains("Cargo.toml: not a WAV file"), "{source}");
    }

    #[test]
    fn stereo_is_mixed_and_a_directory_is_named_by_its_files() {
        let directory = std::env::temp_dir().join(format!("media-relay-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 8000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(directory.join("hello.wav"), spec).unwrap();
        for _ in 0..160 {
            writer.write_sample(12_000i16).unwrap();
            writer.write_sample(4_000i16).unwrap();
        }
        writer.finalize().unwrap();
        let mut library = Library::default();
        let loaded = load_directory(&mut library, &directory, "music/");
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(loaded.unwrap(), 1);
        let clip = library.clip("music/hello").unwrap();
        assert_eq!(clip.encoded(Codec::Pcma), [Codec::Pcma.encode(8000); 160]);
    }
}
