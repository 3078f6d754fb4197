//! The record of calls: one JSON line an ended call, written and rotated by a thread of its own.

use super::outbox::Outbox;
use crate::config::Cdr as Settings;
use anyhow::Context as _;
use serde::Serialize;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

/// Records that may wait for the disk.
const BOUND: usize = 100_000;
const LINGER: Duration = Duration::from_millis(50);
/// A disk that refused records is tried again so often, also when no call ends.
const RETRY: Duration = Duration::from_secs(1);

/// Takes records from the engine. Ends after everything was written and synced when [`Writer::finish`] is called.
pub(crate) struct Writer<T> {
    outbox: Arc<Outbox<T>>,
    thread: JoinHandle<()>,
}

impl<T: Serialize + Send + 'static> Writer<T> {
    /// Opens the file and shows every record to `show`, as it is and as it is written down; fails when it cannot be written, so that a daemon without records does not start.
    pub(crate) fn start(settings: &Settings, show: impl Fn(&T, &[u8]) + Send + 'static) -> anyhow::Result<Self> {
        let mut log = Log::open(settings)
            .with_context(|| format!("cannot write the call records at {}", settings.path.display()))?;
        let outbox = Arc::new(Outbox::new(BOUND, LINGER));
        let queue: Arc<Outbox<T>> = Arc::clone(&outbox);
        let thread = std::thread::Builder::new().name("records".to_owned()).spawn(move || {
            loop {
                let batch = queue.take_within(log.patience());
                if batch.refused > 0 {
                    tracing::error!(records = batch.refused, "call records were lost: the disk is too slow");
                }
                log.append(&batch.items, &show);
                if batch.last {
                    log.sync();
                    return;
                }
            }
        })?;
        Ok(Self { outbox, thread })
    }

    /// Where the engine puts records.
    pub(crate) fn outbox(&self) -> Arc<Outbox<T>> {
        Arc::clone(&self.outbox)
    }

    /// Writes what waits, syncs, and ends.
    pub(crate) fn finish(self) {
        self.outbox.close();
        let _ = self.thread.join();
    }
}

struct Log {
    path: PathBuf,
    rotate_size: u64,
    keep: u32,
    file: File,
    size: u64,
    /// Whole lines that the disk refused; tried again with the next ones.
    unwritten: Vec<u8>,
    /// How often in a row it refused them.
    refusals: u32,
}

/// Bytes that are kept for a disk that refuses them.
const UNWRITTEN: usize = 64 << 20;

impl Log {
    fn open(settings: &Settings) -> io::Result<Self> {
        if let Some(folder) = settings.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
        }
        let file = open(&settings.path)?;
        let size = file.metadata()?.len();
        let mut log = Self {
            path: settings.path.clone(),
            rotate_size: settings.rotate_size,
            keep: settings.keep,
            file,
            size,
            unwritten: Vec::new(),
            refusals: 0,
        };
        log.end_torn_line()?;
        Ok(log)
    }

    /// How long to wait for more records before those the disk refused are tried again.
    fn patience(&self) -> Option<Duration> {
        (!self.unwritten.is_empty()).then_some(RETRY)
    }

    /// A crash may have cut the last line; what follows must not be glued to it.
    fn end_torn_line(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let mut last = [0];
        if self.size > 0 && File::open(&self.path)?.read_at(&mut last, self.size - 1)? == 1 && last[0] != b'\n' {
            self.file.write_all(b"\n")?;
            self.size += 1;
        }
        Ok(())
    }

    fn append<T: Serialize>(&mut self, records: &[T], show: &impl Fn(&T, &[u8])) {
        for record in records {
            let before = self.unwritten.len();
            match serde_json::to_writer(&mut self.unwritten, record) {
                Ok(()) => {
                    show(record, &self.unwritten[before..]);
                    self.unwritten.push(b'\n');
                }
                Err(error) => {
                    self.unwritten.truncate(before);
                    tracing::error!(%error, "a call record could not be written down");
                }
            }
        }
        if self.unwritten.is_empty() {
            return;
        }
        if self.size > 0 && self.size + self.unwritten.len() as u64 > self.rotate_size {
            self.rotate();
        }
        match self.file.write_all(&self.unwritten) {
            Ok(()) => {
                self.size += self.unwritten.len() as u64;
                self.unwritten.clear();
                if std::mem::take(&mut self.refusals) > 0 {
                    tracing::warn!(path = %self.path.display(), "call records are written again");
                }
            }
            Err(error) => {
                // What was written in part stays in the file; a line is never glued to the next.
                let _ = self.file.set_len(self.size);
                self.refusals = self.refusals.saturating_add(1);
                // Said once for each power of two: a disk that is full for a night must not fill the log as well.
                if self.refusals.is_power_of_two() {
                    let bytes = self.unwritten.len();
                    tracing::error!(%error, path = %self.path.display(), bytes, "call records cannot be written; they are kept and tried again");
                }
                if self.unwritten.len() > UNWRITTEN {
                    tracing::error!(bytes = self.unwritten.len(), "call records were lost: the disk refuses them");
                    self.unwritten.clear();
                }
            }
        }
    }

    /// `cdr.jsonl` becomes `cdr.jsonl.1`, that `.2`, and the oldest goes.
    fn rotate(&mut self) {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        let _ = self.file.sync_all();
        for n in (1..self.keep).rev() {
            let _ = fs::rename(numbered(n), numbered(n + 1));
        }
        let renamed = fs::rename(&self.path, numbered(1)).and_then(|()| open(&self.path));
        match renamed {
            Ok(file) => {
                self.file = file;
                self.size = 0;
            }
            Err(error) => tracing::error!(%error, path = %self.path.display(), "call records cannot be rotated"),
        }
    }

    fn sync(&mut self) {
        self.append(&[] as &[()], &|_, _| ());
        if let Err(error) = self.file.sync_all() {
            tracing::error!(%error, "call records could not be synced");
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records that a full disk had refused waited for the next call to end: on a quiet night for hours, and a crash lost them.
    #[test]
    fn what_a_full_disk_refused_is_tried_again_without_waiting_for_another_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cdr.jsonl");
        let mut log = Log::open(&Settings { path: path.clone(), rotate_size: 1000, keep: 2 }).expect("opens");
        assert_eq!(log.patience(), None);
        log.file = open(Path::new("/dev/full")).expect("a disk that is full");
        log.append(&["one"], &|_, _| ());
        log.append(&["two"], &|_, _| ());
        assert_eq!(log.patience(), Some(RETRY));
        assert_eq!(fs::read_to_string(&path).expect("a file"), "");
        log.file = open(&path).expect("there is room again");
        log.append(&[] as &[()], &|_, _| ());
        assert_eq!(fs::read_to_string(&path).expect("a file"), "\"one\"\n\"two\"\n");
        assert_eq!(log.patience(), None);
    }

    #[test]
    fn records_are_rotated_by_size_and_none_is_lost_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/cdr.jsonl");
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, "{\"torn\":").expect("a file");
        let writer =
            Writer::start(&Settings { path: path.clone(), rotate_size: 100, keep: 2 }, |_, _| ()).expect("starts");
        for record in ["a".repeat(60), "b".repeat(60), "c".repeat(60)] {
            assert!(writer.outbox().push([record], 1));
        }
        writer.finish();
        let text = |name: &str| fs::read_to_string(folder.path().join("deep").join(name)).unwrap_or_default();
        let all = format!("{}{}{}", text("cdr.jsonl.2"), text("cdr.jsonl.1"), text("cdr.jsonl"));
        let lines: Vec<&str> = all.lines().collect();
        assert_eq!(lines[0], "{\"torn\":");
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].contains("cccc"));
    }
}
