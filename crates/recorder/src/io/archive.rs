//! The folder of recordings: what there is, what it says, and how it goes.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell is where files live")]

use super::{
    names::{ALL, Names, UPLOAD, is_plain},
    sealed,
};
use crate::{RATE, State, Timeline, wav};
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use thiserror::Error;

/// Recordings below one directory.
#[derive(Clone, Debug)]
pub struct Archive {
    directory: PathBuf,
}

/// Why a recording cannot be had or deleted.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// There is none of that call.
    #[error("there is no recording of this call")]
    Unknown,
    /// It still grows.
    #[error("the recording still grows; stop it first")]
    Growing,
    /// What the system said.
    #[error("the recording's files cannot be used: {0}")]
    Disk(#[from] io::Error),
}

impl Archive {
    /// Of this directory, which may not be there yet.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Timelines without their details, the newest day first; at most so many.
    pub fn list(&self, limit: usize) -> Vec<Timeline> {
        self.list_of(limit, |_| true)
    }

    /// The same of those that are wanted.
    pub fn list_of(&self, limit: usize, wanted: impl Fn(&Timeline) -> bool) -> Vec<Timeline> {
        let mut list = Vec::new();
        for folder in self.folders() {
            let mut day: Vec<Timeline> =
                entries(&folder).iter().filter_map(|path| read_timeline(path)).filter(|it| wanted(it)).collect();
            day.sort_by(|a, b| b.started.cmp(&a.started));
            list.extend(day);
            if list.len() >= limit {
                break;
            }
        }
        list.truncate(limit);
        list
    }

    /// What a call's recording says beside its audio.
    pub fn timeline(&self, call: &str) -> Result<Timeline, ArchiveError> {
        let names = self.find(call)?;
        let finished = read_timeline(&names.timeline());
        finished.or_else(|| read_timeline(&names.part(&names.timeline()))).ok_or(ArchiveError::Unknown)
    }

    /// The file of a call's audio, once it is finished.
    pub fn audio(&self, call: &str) -> Result<PathBuf, ArchiveError> {
        let names = self.find(call)?;
        let audio = names.audio();
        match audio.exists() {
            true => Ok(audio),
            false if names.part(&audio).exists() => Err(ArchiveError::Growing),
            false => Err(ArchiveError::Unknown),
        }
    }

    /// The file of a recording's whole timeline, encrypted where it is, once it is finished.
    pub fn whole_timeline(&self, call: &str) -> Result<PathBuf, ArchiveError> {
        let names = self.find(call)?;
        let timeline = names.timeline();
        match (names.sealed_timeline(), timeline.exists()) {
            (_, false) => Err(ArchiveError::Growing),
            (sealed, true) if sealed.exists() => Ok(sealed),
            _ => Ok(timeline),
        }
    }

    /// Removes everything of a recording: audio, timeline, and whatever is half done.
    pub fn delete(&self, call: &str) -> Result<(), ArchiveError> {
        let names = self.find(call)?;
        if names.part(&names.audio()).exists() || names.part(&names.timeline()).exists() {
            return Err(ArchiveError::Growing);
        }
        for ending in ALL {
            remove(&names.with(ending))?;
        }
        // The day's folder goes with its last recording.
        let _ = fs::remove_dir(&names.folder);
        Ok(())
    }

    /// Removes recordings that ended longer than `age` ago; says how many.
    pub fn expire(&self, age: Duration, now: SystemTime) -> usize {
        let mut removed = 0;
        for path in self.folders().iter().flat_map(|folder| entries(folder)) {
            let written = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let Ok(old) = written.map(|written| now.duration_since(written).unwrap_or_default()) else { continue };
            if old < age {
                continue;
            }
            let Some(call) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
            match self.delete(call) {
                Ok(()) => removed += 1,
                Err(error) => tracing::error!(%error, call, "a recording past its time could not be deleted"),
            }
        }
        removed
    }

    /// Closes recordings that a daemon left open when it died: their audio plays up to its last second. Says how many. Not to be
    /// called while anything is recorded. Where recordings are uploaded (`upload`), these are too.
    pub fn recover(&self, upload: bool) -> usize {
        let mut recovered = 0;
        for folder in self.folders() {
            for call in orphans(&folder) {
                let names = Names::as_they_are(&folder, &call);
                match close(&names, upload) {
                    Ok(()) => recovered += 1,
                    Err(error) => {
                        tracing::error!(%error, call = names.call, "a recording of an earlier life cannot be closed");
                    }
                }
            }
        }
        recovered
    }

    /// Days, the newest first.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let listed = fs::read_dir(&self.directory).into_iter().flatten();
        let mut folders: Vec<PathBuf> =
            listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders.reverse();
        folders
    }

    pub(super) fn find(&self, call: &str) -> Result<Names, ArchiveError> {
        if !is_plain(call) {
            return Err(ArchiveError::Unknown);
        }
        let names = |folder: PathBuf| Names::as_they_are(&folder, call);
        let there = |names: &Names| ALL.iter().any(|ending| names.with(ending).exists());
        self.folders().into_iter().map(names).find(there).ok_or(ArchiveError::Unknown)
    }
}

/// Timelines of a day, of recordings that ended.
fn entries(folder: &Path) -> Vec<PathBuf> {
    in_folder(folder, "json")
}

/// Files of a folder whose names end so.
pub(super) fn in_folder(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).into_iter().flatten();
    let paths = listed.filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|extension| extension == ending)).collect()
}

/// Calls of a day whose recordings have parts.
fn orphans(folder: &Path) -> Vec<String> {
    let listed = fs::read_dir(folder).into_iter().flatten();
    let mut calls: Vec<String> = listed
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".part")?.split_once('.')?.0.to_owned()))
        .filter(|call| is_plain(call))
        .collect();
    calls.sort();
    calls.dedup();
    calls
}

pub(super) fn read_timeline(path: &Path) -> Option<Timeline> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn close(names: &Names, upload: bool) -> io::Result<()> {
    if names.are_sealed() {
        return close_sealed(names, upload);
    }
    let (audio, timeline) = (names.audio(), names.timeline());
    let (audio_part, timeline_part) = (names.part(&audio), names.part(&timeline));
    let mut said = said_so_far(names);
    let source = if audio_part.exists() { &audio_part } else { &audio };
    let mut duration = 0;
    if let Ok(file) = fs::OpenOptions::new().read(true).write(true).open(source)
        && let Some((bytes, samples)) = mend(&file, names)?
    {
        duration = samples * 1_000 / u64::from(RATE);
        said.audio = audio.file_name().map(|name| name.to_string_lossy().into_owned());
        said.bytes = bytes;
    }
    if audio_part.exists() {
        fs::rename(&audio_part, &audio)?;
    }
    said.close(State::Interrupted, duration);
    mark(names, upload)?;
    fs::write(&timeline, serde_json::to_vec(&said)?)?;
    remove(&timeline_part)
}

/// The same without any key: the newest chunk is put behind those that are full.
fn close_sealed(names: &Names, upload: bool) -> io::Result<()> {
    let (audio, timeline, sealed) = (names.audio(), names.timeline(), names.sealed_timeline());
    let (part, tail) = (names.part(&audio), fs::read(names.tail()).unwrap_or_default());
    if read_timeline(&timeline).is_none_or(|said| said.state == State::Recording) {
        let mut said = said_so_far(names);
        let mut samples = sealed::ending(&tail, u64::MAX).map_or(0, |ending| ending.samples);
        // Where the audio has its name already, it is whole.
        if !audio.exists()
            && let Ok(file) = fs::OpenOptions::new().write(true).open(&part)
        {
            match sealed::ending(&tail, file.metadata()?.len()) {
                Some(ending) => {
                    file.set_len(ending.at)?;
                    file.write_all_at(&ending.last, ending.at)?;
                    file.sync_all()?;
                    fs::rename(&part, &audio)?;
                    samples = ending.samples;
                }
                None => samples = 0,
            }
        }
        if let Ok(file) = fs::metadata(&audio) {
            said.audio = audio.file_name().map(|name| name.to_string_lossy().into_owned());
            said.bytes = file.len();
        }
        if names.part(&sealed).exists() {
            fs::rename(names.part(&sealed), &sealed)?;
        }
        said.close(State::Interrupted, samples * 1_000 / u64::from(RATE));
        mark(names, upload)?;
        fs::write(&timeline, serde_json::to_vec(&said)?)?;
    }
    [part, names.tail(), names.fresh(&audio), names.part(&sealed), names.part(&timeline)]
        .iter()
        .try_for_each(|path| remove(path))
}

/// It waits to be uploaded, where recordings are.
fn mark(names: &Names, upload: bool) -> io::Result<()> {
    if upload { fs::write(names.with(UPLOAD), "{}") } else { Ok(()) }
}

/// What the timeline of a recording says that was left behind.
fn said_so_far(names: &Names) -> Timeline {
    read_timeline(&names.part(&names.timeline()))
        .or_else(|| read_timeline(&names.timeline()))
        .unwrap_or_else(|| Timeline::new(&names.call, "", "wav", Vec::new(), String::new()))
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Cuts a file after the last sample that is whole; its bytes and samples then. `None`: it is no file of ours.
fn mend(file: &File, names: &Names) -> io::Result<Option<(u64, u64)>> {
    if names.ending == "opus" {
        let mut bytes = Vec::new();
        let mut reader = file;
        reader.read_to_end(&mut bytes)?;
        let Some(whole) = crate::opus::whole(&bytes) else { return Ok(None) };
        file.set_len(whole.bytes)?;
        return Ok(Some((whole.bytes, whole.samples)));
    }
    let Some((described, bytes)) = length_of(file) else { return Ok(None) };
    let block = u64::from(described.channels * described.format.width()).max(1);
    let whole = bytes - bytes % block;
    let head = wav::header(described.format, described.channels, described.rate, whole);
    file.write_all_at(&head, 0)?;
    file.set_len(head.len() as u64 + whole)?;
    Ok(Some((head.len() as u64 + whole, whole / block)))
}

/// What a file of ours is, and how many bytes of audio are in it.
fn length_of(file: &File) -> Option<(wav::Described, u64)> {
    let mut head = Vec::new();
    file.take(128).read_to_end(&mut head).ok()?;
    let described = wav::read(&head)?;
    let bytes = file.metadata().ok()?.len().checked_sub(wav::header_length(described.format) as u64)?;
    Some((described, bytes))
}
