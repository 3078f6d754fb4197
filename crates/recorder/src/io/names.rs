//! Where a recording's files lie: `DIRECTORY/2026-11-26/c_….wav` and `c_….json`, and while it grows `….part` of both.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What files have at their end while the recording grows.
pub(crate) const PART: &str = "part";
/// Endings of every file a recording can have.
pub(crate) const ALL: [&str; 7] = ["wav", "json", "wav.part", "json.part", "json.new", "json.part.new", "wav.fixed"];

/// The files of one recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) folder: PathBuf,
    pub(crate) call: String,
}

impl Names {
    /// By the day, in UTC, on which it started.
    pub(crate) fn new(directory: &Path, call: &str, started: Duration) -> Self {
        Self { folder: directory.join(&timestamp(started)[..10]), call: call.to_owned() }
    }

    pub(crate) fn audio(&self) -> PathBuf {
        self.with("wav")
    }

    pub(crate) fn timeline(&self) -> PathBuf {
        self.with("json")
    }

    pub(crate) fn part(&self, of: &Path) -> PathBuf {
        let mut name = of.as_os_str().to_owned();
        name.push(".");
        name.push(PART);
        name.into()
    }

    pub(crate) fn with(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.call))
    }
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
