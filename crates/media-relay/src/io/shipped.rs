//! The prompts and the music that are shipped, as they are played.

use super::{EXTENSIONS, load_clip};
use crate::active_level;
use std::{collections::BTreeMap, path::Path};

/// What the configuration brings prompts and music to by default, in dBov.
const PROMPTS: f64 = -20.0;
const MUSIC: f64 = -22.0;

/// Clips of a folder at their levels, and whether that changed a sample.
fn clips(folder: &str, level: f64) -> BTreeMap<String, (crate::Clip, bool)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc").join(folder);
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let audio = entries.filter(|path| EXTENSIONS.iter().any(|it| path.extension().is_some_and(|own| own == *it)));
    let load = |path: std::path::PathBuf| {
        let (levelled, own) = (load_clip(&path, Some(level)).unwrap(), load_clip(&path, None).unwrap());
        let changed = levelled != own;
        (path.file_stem().unwrap().to_string_lossy().into_owned(), (levelled, changed))
    };
    audio.map(load).collect()
}

fn decibels(samples: &[i16]) -> f64 {
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
    10.0 * (power / 32_768f64.powi(2)).max(1e-12).log10()
}

#[test]
fn p56_what_is_shipped_has_the_level_that_is_wanted_and_music_is_played_as_it_is() {
    for (folder, level) in [("prompts", PROMPTS), ("prompts/said", PROMPTS), ("music", MUSIC)] {
        for (name, (clip, changed)) in clips(folder, level) {
            let samples: Vec<f32> = clip.samples(8000).iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
            let measured = active_level(&samples, 8000).unwrap();
            assert!((measured.dbov - level).abs() < 1.1, "{folder}/{name}: {measured:?}");
            // A word alone is told from its pause less sharply than a sentence: some are 1 to 2 dB off by themselves.
            assert!(!changed || folder != "music", "{folder}/{name}: {measured:?}");
        }
    }
}

#[test]
fn hold_music_is_several_minutes_loops_without_a_seam_and_never_falls_silent() {
    let music = clips("music", MUSIC);
    let all: std::time::Duration = music.values().map(|(clip, _)| clip.duration()).sum();
    assert!(all.as_secs() >= 180 && music.len() >= 3, "{all:?} of {:?}", music.keys());
    for (name, (clip, _)) in music {
        assert!(clip.loops(), "{name} has a seam");
        assert_eq!(clip.length() % 160, 0, "{name} ends within a packet");
        for rate in [8000, 16_000] {
            let samples = clip.samples(rate);
            let second = rate as usize;
            let twice = [samples, samples].concat();
            let step = |pair: &[i16]| pair[0].abs_diff(pair[1]);
            let largest = samples.windows(2).map(step).max().unwrap();
            assert!(step(&twice[samples.len() - 1..][..2]) <= largest / 2, "{name} at {rate} Hz");
            let quietest = twice.windows(second).step_by(second / 10).map(decibels).fold(0.0, f64::min);
            assert!(quietest > -45.0, "{name} at {rate} Hz falls to {quietest:.0} dBov");
            let peak = samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!(peak < 29_000, "{name}: {peak}");
        }
    }
}
