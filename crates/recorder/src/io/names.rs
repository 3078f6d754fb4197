//! Where a recording's files lie: `DIRECTORY/2026-11-26/c_….wav` and `c_….json`, and while it grows `….part` of both. Where it is
//! encrypted: `c_….wav.age`, `c_….json.age` with the whole timeline, and `c_….json` with what anybody may know.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What files have at their end while the recording grows.
pub(crate) const PART: &str = "part";
/// What a file is called at its end while it is written anew.
const FRESH: &str = "new";
/// What stands at the end of the file beside an encrypted one that grows.
const TAIL: &str = "tail";
/// The mark of a recording that waits to be uploaded, and of one that was.
pub(super) const UPLOAD: &str = "upload";
pub(super) const UPLOADED: &str = "uploaded";
/// Endings of every file a recording can have.
pub(crate) const ALL: [&str; 23] = [
    // Before the rest: an upload that ends meanwhile finds its mark gone.
    UPLOAD,
    UPLOADED,
    "upload.new",
    "wav",
    "opus",
    "json",
    "wav.part",
    "opus.part",
    "json.part",
    "json.new",
    "json.part.new",
    "wav.age",
    "opus.age",
    "json.age",
    "wav.age.part",
    "opus.age.part",
    "json.age.part",
    "wav.age.tail",
    "opus.age.tail",
    "wav.age.new",
    "opus.age.new",
    "json.age.new",
    "json.age.part.new",
];
/// Endings of audio.
pub(crate) const AUDIO: [&str; 4] = ["wav", "opus", "wav.age", "opus.age"];

/// The files of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) folder: PathBuf,
    pub(crate) call: String,
    /// The audio's ending.
    pub(crate) ending: &'static str,
}

impl Names {
    /// By the day, in UTC, on which it started.
    pub(crate) fn new(directory: &Path, call: &str, started: Duration, ending: &'static str) -> Self {
        Self { folder: directory.join(&timestamp(started)[..10]), call: call.to_owned(), ending }
    }

    pub(crate) fn audio(&self) -> PathBuf {
        self.with(self.ending)
    }

    /// The same recording, by the ending that its audio, or what there is of it, has.
    pub(crate) fn as_they_are(folder: &Path, call: &str) -> Self {
        let names = |ending| Self { folder: folder.to_owned(), call: call.to_owned(), ending };
        let there = |names: &Self| names.audio().exists() || names.part(&names.audio()).exists();
        AUDIO.into_iter().map(names).find(there).unwrap_or_else(|| names(AUDIO[0]))
    }

    pub(crate) fn timeline(&self) -> PathBuf {
        self.with("json")
    }

    /// The whole timeline, where it is encrypted.
    pub(crate) fn sealed_timeline(&self) -> PathBuf {
        self.with("json.age")
    }

    /// Whether the audio is encrypted.
    pub(crate) fn are_sealed(&self) -> bool {
        self.ending.ends_with(".age")
    }

    pub(crate) fn part(&self, of: &Path) -> PathBuf {
        longer(of, PART)
    }

    /// What is written anew.
    pub(crate) fn fresh(&self, of: &Path) -> PathBuf {
        longer(of, FRESH)
    }

    /// The newest of an encrypted recording that grows.
    pub(crate) fn tail(&self) -> PathBuf {
        longer(&self.audio(), TAIL)
    }

    pub(crate) fn with(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.call))
    }
}

fn longer(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn timestamp(unix: Duration) -> String {
    let ms = i64::try_from(unix.as_millis()).unwrap_or(0);
    let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{timestamp:.3}")
}

/// What may stand for a call in a file's name: nothing that leads elsewhere.
pub(crate) fn is_plain(call: &str) -> bool {
    !call.is_empty() && call.len() <= 64 && call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
