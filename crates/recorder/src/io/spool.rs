//! What is to be uploaded, and what was: a mark beside each recording. `c_….upload` is made before the recording is announced, and
//! becomes `c_….uploaded` when it has arrived.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the shell is where files live")]

use super::{
    archive::{Archive, ArchiveError, in_folder, read_timeline, remove},
    names::{Names, UPLOAD, UPLOADED, is_plain},
};
use std::{
    fs, io,
    io::Write as _,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// A recording, or message, that waits to be uploaded.
#[derive(Debug)]
pub struct Spool {
    /// Its call.
    pub call: String,
    /// The call's line.
    pub line: String,
    /// The day's folder it lies in: `2026-11-26`.
    pub day: String,
    /// Its files: audio, where there is any, and timelines.
    pub files: Vec<PathBuf>,
    names: Names,
}

impl Spool {
    /// What was noted of its upload so far; nothing before anything was.
    pub fn noted(&self) -> Vec<u8> {
        fs::read(self.names.with(UPLOAD)).unwrap_or_default()
    }

    /// Notes how far its upload is. [`io::ErrorKind::NotFound`]: it was deleted.
    pub fn note(&self, text: &str) -> io::Result<()> {
        // Never made anew: of what was deleted nothing stays.
        let mut mark = fs::OpenOptions::new().write(true).truncate(true).open(self.names.with(UPLOAD))?;
        mark.write_all(text.as_bytes())
    }

    /// It has arrived: `text` is kept beside it. Where it is not `kept`, its audio goes; what stands beside the audio stays.
    /// [`io::ErrorKind::NotFound`]: it was deleted.
    pub fn finish(&self, text: &str, kept: bool) -> io::Result<()> {
        self.note(text)?;
        fs::File::open(self.names.with(UPLOAD))?.sync_all()?;
        fs::rename(self.names.with(UPLOAD), self.names.with(UPLOADED))?;
        if kept { Ok(()) } else { remove(&self.names.audio()) }
    }
}

impl Archive {
    /// Which wait to be uploaded, and since when, the oldest day first.
    pub fn waiting(&self) -> Vec<(String, SystemTime)> {
        let mut folders = self.folders();
        folders.reverse();
        let marked = |folder: &PathBuf| in_folder(folder, UPLOAD);
        let since = |path: PathBuf| {
            let written = fs::metadata(path.with_extension("json")).and_then(|file| file.modified()).ok()?;
            Some((path.file_stem()?.to_str()?.to_owned(), written))
        };
        folders.iter().flat_map(marked).filter_map(since).filter(|(id, _)| is_plain(id)).collect()
    }

    /// One of them.
    pub fn spool(&self, id: &str) -> Result<Spool, ArchiveError> {
        let names = self.find(id)?;
        if !names.with(UPLOAD).exists() {
            return Err(ArchiveError::Unknown);
        }
        let timeline = read_timeline(&names.timeline()).ok_or(ArchiveError::Growing)?;
        let files = [names.audio(), names.sealed_timeline(), names.timeline()];
        let day = names.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let files = files.into_iter().filter(|file| file.exists()).collect();
        Ok(Spool { call: timeline.call, line: timeline.line, day, files, names })
    }

    /// How a recording's upload stands: that it waits, or what was said when it had arrived; nothing where it is not uploaded.
    pub fn upload(&self, id: &str) -> Option<serde_json::Value> {
        let names = self.find(id).ok()?;
        let said = |ending| serde_json::from_slice(&fs::read(names.with(ending)).ok()?).ok();
        match names.with(UPLOAD).exists() {
            true => Some(serde_json::json!({ "waiting": true })),
            false => said(UPLOADED),
        }
    }

    /// Removes the audio of recordings that were uploaded longer than `age` ago; says of how many.
    pub fn drop_uploaded(&self, age: Duration, now: SystemTime) -> usize {
        let mut dropped = 0;
        for mark in self.folders().iter().flat_map(|folder| in_folder(folder, UPLOADED)) {
            let written = fs::metadata(&mark).and_then(|file| file.modified());
            let old = written.is_ok_and(|written| now.duration_since(written).unwrap_or_default() >= age);
            let Some(id) = mark.file_stem().and_then(|stem| stem.to_str()).filter(|id| old && is_plain(id)) else {
                continue;
            };
            let audio = Names::as_they_are(&mark.with_file_name(""), id).audio();
            match (audio.exists(), remove(&audio)) {
                (true, Ok(())) => dropped += 1,
                (_, Ok(())) => {}
                (_, Err(error)) => {
                    tracing::error!(%error, id, "the local copy of an uploaded recording cannot be deleted");
                }
            }
        }
        dropped
    }
}
