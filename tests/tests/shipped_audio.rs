//! The prompts and the music that are shipped: what a telephone carries, at a level that is neither shouted nor lost.
#![cfg(test)]

use std::{collections::BTreeSet, fs, path::Path};

const RATE: usize = 8_000;
const TWENTY_MS: usize = RATE / 50;

#[test]
fn prompts_are_at_a_speakers_level_with_no_click_and_no_long_pause() {
    let mut prompts = clips("prompts");
    assert!(prompts.len() >= 5, "{}", prompts.len());
    prompts.extend(clips("prompts/said"));
    for (name, samples) in prompts {
        let level = level(&samples);
        assert!((-22.0..=-19.0).contains(&level), "{name}: {level:.1} dBov");
        assert!(peak(&samples) < -1.0, "{name}: peak {:.1} dBov", peak(&samples));
        assert!(samples.first() == Some(&0) && samples.last() == Some(&0), "{name}: starts or ends with a click");
        let pause = samples
            .chunks(TWENTY_MS)
            .map(|frame| level_of(frame) < -50.0)
            .collect::<Vec<_>>()
            .split(|quiet| !quiet)
            .map(<[bool]>::len)
            .max();
        assert!(pause.unwrap_or_default() < 40, "{name}: {} ms of silence", pause.unwrap_or_default() * 20);
    }
}

#[test]
fn hold_music_never_falls_silent_and_loops_without_a_seam() {
    for (name, samples) in clips("music") {
        assert!((60 * RATE..=120 * RATE).contains(&samples.len()), "{name}: {} s", samples.len() / RATE);
        assert_eq!(samples.len() % TWENTY_MS, 0, "{name}: the loop ends within a packet");
        let whole = level(&samples);
        assert!((-23.0..=-21.0).contains(&whole), "{name}: {whole:.1} dBov");
        let twice = [&samples[..], &samples[..]].concat();
        for (tenth, second) in twice.windows(RATE).step_by(RATE / 10).enumerate() {
            assert!(level_of(second) > -45.0, "{name}: silent around {} ms", tenth * 100);
        }
        let (first, last) = (i32::from(samples[0]), i32::from(samples[samples.len() - 1]));
        assert!((first - last).abs() < 500, "{name}: a step of {} at the seam", (first - last).abs());
    }
}

#[test]
fn what_the_shipped_rules_play_is_shipped_and_all_of_it_is_small() {
    let shipped: BTreeSet<String> = clips("prompts")
        .into_iter()
        .map(|(name, _)| name)
        .chain(clips("music").into_iter().map(|(name, _)| format!("music/{name}")))
        .collect();
    let said: BTreeSet<String> = clips("prompts/said").into_iter().map(|(name, _)| name).collect();
    for needed in
        ["unknown-transaction", "card-stolen", "billing-dispute", "angry", "frustrated", "see-your-screen", "press-1"]
    {
        assert!(said.contains(needed), "said/{needed} is not shipped");
    }
    for digit in 0..=9 {
        assert!(shipped.contains(&format!("digit-{digit}")), "digit-{digit} is not shipped");
    }
    for needed in ["please-hold", "incoming-handoff", "we-are-closed", "ai-lost", "music/default"] {
        assert!(shipped.contains(needed), "{needed} is not shipped");
    }
    let bytes: u64 = ["prompts", "prompts/said", "music"].iter().map(|folder| size(folder)).sum();
    assert!(bytes <= 9 << 19, "{bytes} bytes of audio");
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc").join(name)
}

fn size(name: &str) -> u64 {
    fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// Name and samples of every WAV file of a folder: 8 kHz, mono, 16 bit, or it is no clip.
fn clips(name: &str) -> Vec<(String, Vec<i16>)> {
    let mut clips = Vec::new();
    for entry in fs::read_dir(folder(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wav") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let number = |at: usize, length: usize| {
            bytes[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
        };
        assert_eq!(
            (&bytes[..4], &bytes[8..16], &bytes[36..40]),
            (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..]),
            "{path:?}"
        );
        assert_eq!((number(20, 2), number(22, 2), number(24, 4), number(34, 2)), (1, 1, RATE, 16), "{path:?}");
        assert_eq!(number(40, 4), bytes.len() - 44, "{path:?}");
        let samples = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        clips.push((path.file_stem().unwrap().to_string_lossy().into_owned(), samples));
    }
    clips.sort();
    clips
}

/// dBov over what is spoken or played: pads of silence at either end do not count.
fn level(samples: &[i16]) -> f64 {
    let first = samples.iter().position(|sample| sample.abs() > 100).unwrap_or(0);
    let last = samples.iter().rposition(|sample| sample.abs() > 100).unwrap_or(samples.len() - 1);
    level_of(&samples[first..=last])
}

fn level_of(samples: &[i16]) -> f64 {
    let power = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64;
    20.0 * (power.sqrt() / 32_768.0).max(1e-9).log10()
}

fn peak(samples: &[i16]) -> f64 {
    20.0 * (f64::from(samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0)) / 32_768.0).log10()
}
