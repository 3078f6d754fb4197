//! Prompts and music from files: WAV, FLAC, MP3 and Ogg Vorbis of any rate, mixed to one channel and resampled once.

use crate::{CLOCK_RATE, Clip, Library, gain_toward};
use std::{
    collections::BTreeMap,
    f64::consts::PI,
    fs::File,
    io,
    path::{Path, PathBuf},
};
use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    errors::Error,
    formats::{FormatOptions, TrackType, probe::Hint},
    io::MediaSourceStream,
    meta::MetadataOptions,
};
use thiserror::Error as ThisError;

/// The longest clip.
const LONGEST_S: usize = 3600;
/// Half the taps of the filter at the lower of both rates.
const HALF_TAPS: f64 = 16.0;
/// What the files of a library end in.
pub const EXTENSIONS: [&str; 4] = ["wav", "flac", "mp3", "ogg"];

/// Why a clip cannot be played.
#[derive(Debug, ThisError)]
pub enum ClipError {
    /// The file or directory cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no file that we understand.
    #[error("{}: no audio of WAV, FLAC, MP3 or Ogg Vorbis: {source}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: Error,
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
        /// What the file says.
        found: String,
        /// What we take.
        expected: &'static str,
    },
    /// Two files of one name.
    #[error("{} is not used: {} has the same name", path.display(), used.display())]
    Twice {
        /// Which is passed over.
        path: PathBuf,
        /// Which is used.
        used: PathBuf,
    },
}

/// Reads a file of any format we understand, and brings it to a level in dBov where one is wanted (see [`gain_toward`]). What has
/// more than the telephone's band keeps 7 kHz of it for legs that carry as much.
pub fn load_clip(path: &Path, level: Option<f64>) -> Result<Clip, ClipError> {
    let (mono, rate) = read(path)?;
    if mono.is_empty() {
        return Err(ClipError::Empty { path: path.to_owned() });
    }
    let (samples, rate) = match rate {
        CLOCK_RATE | WIDE_RATE => (mono, rate),
        ..WIDE_RATE => (resample(&mono, rate, CLOCK_RATE), CLOCK_RATE),
        _ => (resample(&mono, rate, WIDE_RATE), WIDE_RATE),
    };
    let gain = 32_768.0 * level.map_or(1.0, |level| gain_toward(level, &samples, rate));
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let pcm: Vec<i16> = samples.iter().map(|sample| (f64::from(*sample) * gain).round() as i16).collect();
    Ok(if rate == CLOCK_RATE { Clip::from_pcm16(&pcm) } else { Clip::from_wideband(&pcm) })
}

/// What wideband codecs speak at.
const WIDE_RATE: u32 = 2 * CLOCK_RATE;

/// A file's samples, its channels mixed, and how many make a second.
fn read(path: &Path) -> Result<(Vec<f32>, u32), ClipError> {
    let wrong = |source| match source {
        Error::IoError(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            ClipError::Read { path: path.to_owned(), source }
        }
        source => ClipError::Format { path: path.to_owned(), source },
    };
    let unreasonable = |found, expected| ClipError::Unreasonable { path: path.to_owned(), found, expected };
    let file = File::open(path).map_err(|source| ClipError::Read { path: path.to_owned(), source })?;
    let stream = MediaSourceStream::new(Box::new(file), symphonia::core::io::MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let probe = symphonia::default::get_probe();
    let mut format = probe.probe(&hint, stream, FormatOptions::default(), MetadataOptions::default()).map_err(wrong)?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| wrong(Error::Unsupported("no audio track")))?;
    let id = track.id;
    let codec = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let codec = codec.ok_or_else(|| wrong(Error::Unsupported("no known codec")))?;
    let decoders = symphonia::default::get_codecs();
    let mut decoder = decoders.make_audio_decoder(codec, &AudioDecoderOptions::default()).map_err(wrong)?;
    let (mut mono, mut rate, mut frames) = (Vec::new(), 0, Vec::new());
    while let Some(packet) = format.next_packet().map_err(wrong)? {
        if packet.track_id != id {
            continue;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            // What is damaged is left out.
            Err(Error::DecodeError(_)) => continue,
            Err(error) => return Err(wrong(error)),
        };
        rate = decoded.spec().rate();
        if !(4000..=192_000).contains(&rate) {
            return Err(unreasonable(format!("a rate of {rate} Hz"), "4000 to 192000 Hz"));
        }
        let channels = decoded.spec().channels().count().max(1);
        frames.resize(decoded.samples_interleaved(), 0f32);
        decoded.copy_to_slice_interleaved(&mut frames);
        mono.extend(frames.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32));
        if mono.len() > LONGEST_S * rate as usize {
            return Err(unreasonable("more than an hour of audio".to_owned(), "an hour at most"));
        }
    }
    Ok((mono, rate))
}

/// Reads every file of a directory that ends in one of [`EXTENSIONS`] into the library, named `<prefix><file stem>`; what could not
/// be read, file by file. Of two files of one name the first by name is used. Each is brought to a level in dBov where one is wanted.
pub fn load_directory(library: &mut Library, directory: &Path, prefix: &str, level: Option<f64>) -> Vec<ClipError> {
    let unread = |source| ClipError::Read { path: directory.to_owned(), source };
    let mut problems = Vec::new();
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return vec![unread(error)],
    };
    let mut paths = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => paths.push(entry.path()),
            Err(error) => problems.push(unread(error)),
        }
    }
    paths.retain(|path| {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    });
    paths.sort();
    let mut used: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in paths {
        let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
        if let Some(used) = used.get(&stem) {
            problems.push(ClipError::Twice { path, used: used.clone() });
            continue;
        }
        match load_clip(&path, level) {
            Ok(clip) => {
                library.insert(&format!("{prefix}{stem}"), clip);
                used.insert(stem, path);
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems
}

/// Band-limited resampling by a Hann-windowed sinc: slow and clean, once at load.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "indices within the clip")]
fn resample(samples: &[f32], rate: u32, wanted: u32) -> Vec<f32> {
    let ratio = f64::from(rate) / f64::from(wanted);
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
        let low = resample(&tone(1000.0), 48_000, 8000);
        assert_eq!(low.len(), 8000);
        assert!((power(&low) / 0.125 - 1.0).abs() < 0.02, "{}", power(&low));
        let high = resample(&tone(6000.0), 48_000, 8000);
        assert!(power(&high) < 0.125 / 1000.0, "an alias of {}", power(&high));
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong() {
        let missing = load_clip(Path::new("/nonexistent/hold.wav"), None).unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/hold.wav: "), "{missing}");
        let source =
            load_clip(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), None).unwrap_err().to_string();
        assert!(source.contains("Cargo.toml: no audio of WAV, FLAC, MP3 or Ogg Vorbis"), "{source}");
    }

    fn write_wav(path: &Path, rate: u32, channels: u16, samples: impl IntoIterator<Item = i16>) {
        let sample_format = hound::SampleFormat::Int;
        let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format };
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        samples.into_iter().for_each(|sample| writer.write_sample(sample).unwrap());
        writer.finalize().unwrap();
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "files for the test to read")]
    fn stereo_is_mixed_a_directory_is_named_by_its_files_and_a_bad_file_costs_itself_alone() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write_wav(&at("hello.wav"), 8000, 2, [12_000i16, 4_000].into_iter().cycle().take(320));
        write_wav(&at("Good.WAV"), 8000, 1, [0; 160]);
        std::fs::write(at("broken.mp3"), "this is no music").unwrap();
        std::fs::write(at("hello.flac"), "nor is this").unwrap();
        std::fs::write(at("notes.txt"), "nor this").unwrap();
        write_wav(&at("empty.wav"), 8000, 1, []);
        let mut library = Library::default();
        let problems: Vec<String> =
            load_directory(&mut library, directory.path(), "music/", None).iter().map(ToString::to_string).collect();
        assert_eq!(library.names().collect::<Vec<_>>(), ["music/Good", "music/hello"]);
        let clip = library.clip("music/hello").unwrap();
        assert_eq!(clip.encoded(Codec::Pcma), [Codec::Pcma.encode(8000); 160]);
        let named = |name: &str| problems.iter().any(|problem| problem.contains(name));
        assert!(
            problems.len() == 3 && named("broken.mp3") && named("empty.wav") && named("hello.flac"),
            "{problems:?}"
        );
    }

    #[test]
    fn flac_mp3_and_vorbis_are_the_same_tone_as_they_were_made_of() {
        for ending in ["flac", "mp3", "ogg"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audio/tone").with_extension(ending);
            let clip = load_clip(&path, None).unwrap_or_else(|error| panic!("{error}"));
            let ms = clip.duration().as_millis();
            // MP3 has a frame or two around what was encoded.
            assert!((495..=600).contains(&ms), "{ending}: {ms} ms");
            let samples = &clip.samples(8000)[1600..2400];
            let (sine, cosine) = samples.iter().enumerate().fold((0.0, 0.0), |(sine, cosine), (n, sample)| {
                let turn = TAU * 1000.0 * n as f32 / 8000.0;
                (sine + f32::from(*sample) * turn.sin(), cosine + f32::from(*sample) * turn.cos())
            });
            let amplitude = sine.hypot(cosine) * 2.0 / 800.0;
            assert!((7800.0..8700.0).contains(&amplitude), "{ending}: -12 dBFS is 8231, not {amplitude}");
            let power = samples.iter().map(|sample| f32::from(*sample).powi(2)).sum::<f32>() / 800.0;
            assert!(amplitude * amplitude / 2.0 / power > 0.99, "{ending}: a tone and nothing else");
        }
    }

    #[test]
    fn what_has_more_than_the_telephones_band_keeps_it_for_those_who_hear_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wide.wav");
        #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
        let sample = |n: i32| (8000.0 * (TAU * 5000.0 * n as f32 / 48_000.0).sin()) as i16;
        write_wav(&path, 48_000, 1, (0..48_000).map(sample));
        let clip = load_clip(&path, None).unwrap();
        let power = |samples: &[i16]| {
            let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            (sum / samples.len() as f64).sqrt()
        };
        let (wide, narrow) = (power(clip.samples(16_000)), power(&clip.samples(8000)[100..7900]));
        assert!((5400.0..5900.0).contains(&wide), "5 kHz at 16 kHz: {wide}");
        assert!(narrow < 10.0, "and not at 8 kHz: {narrow}");
    }

    #[test]
    fn a_file_of_any_rate_is_brought_to_the_level_wanted_and_without_one_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        for (rate, amplitude) in [(8000, 300.0), (16_000, 30_000.0), (44_100, 2000.0), (22_050, 20_000.0)] {
            let path = directory.path().join(format!("{rate}.wav"));
            #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
            let sample = |n: u32| (amplitude * (TAU * 500.0 * n as f32 / rate as f32).sin()) as i16;
            write_wav(&path, rate, 1, (0..2 * rate).map(sample));
            let rms = |level| {
                let clip = load_clip(&path, level).unwrap();
                let samples = &clip.samples(8000)[200..15_800];
                (samples.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>() / samples.len() as f64).sqrt()
            };
            let (wanted, own) = (rms(Some(-20.0)), rms(None));
            assert!((3150.0..3400.0).contains(&wanted), "-20 dBov is 3277, not {wanted}, at {rate} Hz");
            assert!((own / f64::from(amplitude) * 2f64.sqrt() - 1.0).abs() < 0.02, "{own} at {rate} Hz");
        }
    }
}
