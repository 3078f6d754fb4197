//! The thread that writes.

use crate::{
    Record, Retention,
    file::{File, LedgerError},
};
use calls::{Restored, StoreId};
use core::time::Duration;
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Instant, SystemTime},
};

/// Records that are written in one transaction at most.
const MOST_AT_ONCE: usize = 1_000;
/// Records of calls gather so long: nobody waits for them, and a transaction costs the same for one and for many.
const LINGER: Duration = Duration::from_millis(250);
/// A disk that refused is tried again after this long.
const RETRY: Duration = Duration::from_secs(2);
/// What is past its time is looked for so often, and sooner while there is more of it.
const THIN_OUT: Duration = Duration::from_secs(60);
const THIN_OUT_MORE: Duration = Duration::from_millis(200);
/// Records that are held for a disk that refuses them, beside those in the queue. The oldest calls go first: they are in the call
/// records' file as well.
const MOST_HELD: usize = 2_000;

/// Where the ledger is, and what it keeps.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file.
    pub path: PathBuf,
    /// How long what is kept.
    pub retention: Retention,
    /// Records that may wait for the thread; more are refused.
    pub queue: usize,
}

/// What the thread tells.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// These are on the disk.
    Written(Vec<StoreId>),
    /// These are not, and will not be.
    Lost(Vec<StoreId>),
    /// The file cannot be opened or written any more, in the operator's words. It is tried again.
    Failing(String),
    /// It can be written again.
    Working,
    /// A file was opened that could not be opened before, or that has taken another's place: what is in it.
    Opened(Restored),
}

/// What was counted so far.
#[derive(Debug, Default)]
pub struct Counts {
    up: AtomicBool,
    written: [AtomicU64; KINDS.len()],
    lost: [AtomicU64; KINDS.len()],
}

/// What is counted apart.
const KINDS: [&str; 4] = ["call", "callback", "message", "presence"];

impl Counts {
    /// Whether the file is open and was written when it was written last.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Kind, records written, records lost.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let of = |at: usize| (self.written[at].load(Ordering::Relaxed), self.lost[at].load(Ordering::Relaxed));
        KINDS.iter().enumerate().map(move |(at, kind)| (*kind, of(at).0, of(at).1))
    }

    fn add(counts: &[AtomicU64; KINDS.len()], record: &Record) {
        if let Some(at) = KINDS.iter().position(|kind| *kind == record.kind()) {
            counts[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Where records go. Told to finish, or dropped, it writes what waits and ends.
#[derive(Debug)]
pub struct Ledger {
    queue: Mutex<Option<SyncSender<Record>>>,
    counts: Arc<Counts>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Ledger {
    /// Opens the file, making it where it is not there, and starts the thread, which goes on trying where that failed. With it comes what
    /// was kept, or why nothing can be.
    pub fn start(
        settings: Settings,
        tell: impl Fn(News) + Send + 'static,
    ) -> io::Result<(Self, Result<Restored, LedgerError>)> {
        let (queue, records) = sync_channel(settings.queue);
        let counts = Arc::<Counts>::default();
        let (file, restored) = match open(&settings.path) {
            Ok((file, restored)) => (Some(file), Ok(restored)),
            Err(error) => (None, Err(error)),
        };
        counts.up.store(file.is_some(), Ordering::Relaxed);
        let now = Instant::now();
        let writer = Writer {
            failing: file.is_none(),
            file,
            held: VecDeque::new(),
            retry: now + RETRY,
            thin_out: now,
            counts: Arc::clone(&counts),
            settings,
            tell: Box::new(tell),
        };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || writer.run(&records))?;
        let ledger = Self { queue: Mutex::new(Some(queue)), counts, thread: Mutex::new(Some(thread)) };
        Ok((ledger, restored))
    }

    /// Puts a record into the queue; never waits. False: the queue is full or closed; the record is lost and counted.
    pub fn write(&self, record: Record) -> bool {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match queue.as_ref().map(|queue| queue.try_send(record)) {
            Some(Ok(())) => return true,
            Some(Err(TrySendError::Full(record) | TrySendError::Disconnected(record))) => Some(record),
            None => None,
        };
        if let Some(record) = refused {
            Counts::add(&self.counts.lost, &record);
        }
        false
    }

    /// What was counted.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Writes what waits, and ends.
    pub fn finish(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.finish();
    }
}

fn open(path: &Path) -> Result<(File, Restored), LedgerError> {
    let file = File::open(path)?;
    let restored = file.restored()?;
    Ok((file, restored))
}

struct Writer {
    settings: Settings,
    file: Option<File>,
    /// What is to be written, in order.
    held: VecDeque<Record>,
    failing: bool,
    /// When a disk that refused is tried again.
    retry: Instant,
    /// When what is past its time is looked for.
    thin_out: Instant,
    counts: Arc<Counts>,
    tell: Box<dyn Fn(News) + Send>,
}

impl Writer {
    fn run(mut self, records: &Receiver<Record>) {
        loop {
            let next = if self.failing { self.retry } else { self.thin_out };
            match records.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(first) => self.gather(first, records),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.finish(),
            }
            let now = Instant::now();
            if !self.failing || now >= self.retry {
                self.write();
            }
            if !self.failing && now >= self.thin_out {
                self.thin_out();
            }
            self.let_go();
        }
    }

    /// Takes what has gathered; calls alone may gather a little longer.
    fn gather(&mut self, first: Record, records: &Receiver<Record>) {
        let until = Instant::now() + LINGER;
        let mut urgent = !matches!(first, Record::Call(_));
        self.held.push_back(first);
        while self.held.len() < MOST_AT_ONCE {
            let wait =
                if urgent || self.failing { Duration::ZERO } else { until.saturating_duration_since(Instant::now()) };
            let Ok(record) = records.recv_timeout(wait) else { return };
            urgent |= !matches!(record, Record::Call(_));
            self.held.push_back(record);
        }
    }

    /// Writes all that is held, or finds out why that cannot be.
    fn write(&mut self) {
        if let Err(error) = self.try_to_write() {
            self.retry = Instant::now() + RETRY;
            // Whatever was wrong with the file, it may be another one by then.
            self.file = None;
            self.counts.up.store(false, Ordering::Relaxed);
            if !std::mem::replace(&mut self.failing, true) {
                let path = self.settings.path.display();
                tracing::error!(%path, %error, "the ledger cannot be written; calls go on, and it is tried again");
                (self.tell)(News::Failing(error.to_string()));
            }
        }
    }

    fn try_to_write(&mut self) -> Result<(), LedgerError> {
        self.file.take_if(|file| !file.is_there());
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let (file, restored) = open(&self.settings.path)?;
                (self.tell)(News::Opened(restored));
                none.insert(file)
            }
        };
        while !self.held.is_empty() {
            let some = self.held.len().min(MOST_AT_ONCE);
            file.write(self.held.range(..some))?;
            let mut written = Vec::new();
            for record in self.held.drain(..some) {
                Counts::add(&self.counts.written, &record);
                if let Record::Stored(id, _) = record {
                    written.push(id);
                }
            }
            if !written.is_empty() {
                (self.tell)(News::Written(written));
            }
        }
        self.counts.up.store(true, Ordering::Relaxed);
        if std::mem::take(&mut self.failing) {
            tracing::warn!(path = %self.settings.path.display(), "the ledger is written again");
            (self.tell)(News::Working);
        }
        Ok(())
    }

    fn thin_out(&mut self) {
        let now_ms = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        let Some(file) = &mut self.file else { return };
        let more = file.thin_out(&self.settings.retention, now_ms);
        if let Err(error) = &more {
            tracing::warn!(%error, "the ledger could not be thinned out");
        }
        self.thin_out = Instant::now() + if more.unwrap_or(false) { THIN_OUT_MORE } else { THIN_OUT };
    }

    /// What a disk refuses for long must not fill the memory.
    fn let_go(&mut self) {
        let mut lost = Vec::new();
        while self.held.len() > MOST_HELD {
            let at = self.held.iter().position(|record| matches!(record, Record::Call(_))).unwrap_or(0);
            if let Some(record) = self.held.remove(at) {
                Counts::add(&self.counts.lost, &record);
                if let Record::Stored(id, _) = record {
                    lost.push(id);
                }
            }
        }
        if !lost.is_empty() {
            (self.tell)(News::Lost(lost));
        }
    }

    fn finish(mut self) {
        self.write();
        if !self.held.is_empty() {
            let records = self.held.len();
            tracing::error!(records, "records of the ledger were lost: it could not be written before the end");
        }
    }
}
