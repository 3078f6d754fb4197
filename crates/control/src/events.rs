//! The story of all calls, kept in a bounded ring for readers who come, go, and come back.
//!
//! There is no queue a reader: everyone reads from the one ring by a position of their own, and who falls behind its
//! oldest entry has lost. So a thousand readers that never read cost nothing but their sockets.

use axum::extract::ws::Utf8Bytes;
use calls::PublicEvent;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

/// Bytes of JSON the ring keeps at most, whatever its capacity in events.
const MOST_BYTES: usize = 32 << 20;
/// How many may wait until something is read.
const MOST_AWAITED: usize = 4_096;
/// Further than any reader reads.
const NOT_AWAITED: u64 = u64::MAX;

/// The events of all calls, as `/v1/events` tells them. The daemon publishes, any number of readers follow.
#[derive(Debug)]
pub struct Events {
    ring: Mutex<Ring>,
    grown: watch::Sender<u64>,
    following: Mutex<Following>,
    /// How many wait in `following`: no reader locks it for nothing.
    awaited: AtomicUsize,
}

/// Who reads how far, and who waits for that.
#[derive(Default)]
struct Following {
    next: u64,
    readers: Vec<Progress>,
    waiting: Vec<Waiting>,
}

/// A reader's place.
struct Progress {
    id: u64,
    /// Everything before this position was read; [`NOT_AWAITED`] of a reader nobody waits for.
    read: Arc<AtomicU64>,
}

struct Waiting {
    position: u64,
    then: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Following {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (readers, waiting) = (self.readers.len(), self.waiting.len());
        f.debug_struct("Following").field("readers", &readers).field("waiting", &waiting).finish_non_exhaustive()
    }
}

/// A reader whose reading is followed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    events: &'a Events,
    id: u64,
    read: Arc<AtomicU64>,
}

impl Follower<'_> {
    /// Everything before this position was read.
    pub(crate) fn has_read(&self, position: u64) {
        self.read.store(position, Ordering::SeqCst);
        self.events.progressed();
    }

    /// It does not take what it is sent: nobody waits for it until it does.
    pub(crate) fn is_stuck(&self) {
        self.has_read(NOT_AWAITED);
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        let mut following = self.events.following();
        following.readers.retain(|progress| progress.id != self.id);
        self.events.settle(following);
    }
}

#[derive(Debug)]
struct Ring {
    kept: VecDeque<Arc<Entry>>,
    /// Position of the oldest entry kept: how many were let go.
    first: u64,
    /// Sequence number of the very first event; lower ones are of a process before this one.
    born: Option<u64>,
    bytes: usize,
    capacity: usize,
    most_bytes: usize,
    latest_seq: u64,
}

/// One event as it is sent, and what it is filtered by.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) seq: u64,
    pub(crate) call: String,
    pub(crate) line: String,
    pub(crate) kind: &'static str,
    pub(crate) text: Utf8Bytes,
}

/// Where a reader starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) position: u64,
    /// Sequence numbers asked for that are gone.
    pub(crate) missed: Option<Missed>,
}

/// What a reader asked for and will not get.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missed {
    /// The first sequence number gone.
    pub(crate) first: u64,
    /// The last one; unknown when the reader's number is from before a restart.
    pub(crate) last: Option<u64>,
}

/// What a reader finds at its position.
#[derive(Debug)]
pub(crate) enum Found {
    /// The event there.
    Entry(Arc<Entry>),
    /// Nothing yet.
    Nothing,
    /// It was let go before the reader came to it.
    Gone,
}

impl Events {
    /// Keeps the last `capacity` events for resuming readers, at least one.
    pub fn new(capacity: usize) -> Self {
        Self::bounded(capacity, MOST_BYTES)
    }

    fn bounded(capacity: usize, most_bytes: usize) -> Self {
        let ring = Ring {
            kept: VecDeque::new(),
            first: 0,
            born: None,
            bytes: 0,
            capacity: capacity.max(1),
            most_bytes,
            latest_seq: 0,
        };
        Self {
            ring: Mutex::new(ring),
            grown: watch::Sender::new(0),
            following: Mutex::default(),
            awaited: AtomicUsize::new(0),
        }
    }

    /// Tells everyone. Serialises the event; call it from the asynchronous side, not from the engine's thread.
    /// Never waits for a reader.
    pub fn publish(&self, event: &PublicEvent) {
        let text = match serde_json::to_string(event) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(%error, seq = event.seq, "an event cannot be written as JSON");
                return;
            }
        };
        let entry = Entry {
            seq: event.seq,
            call: event.call.map(|call| call.to_string()).unwrap_or_default(),
            line: event.line.clone(),
            kind: event.what.name(),
            text: text.into(),
        };
        let total = self.ring().push(entry);
        self.grown.send_replace(total);
    }

    /// Sequence number of the latest event; 0 before the first.
    pub fn latest(&self) -> u64 {
        self.ring().latest_seq
    }

    /// Whether anybody waits for more.
    pub fn has_readers(&self) -> bool {
        self.grown.receiver_count() > 0
    }

    /// Runs `then` when every reader has read everything published so far; at once when nobody reads. A reader that does not take what it
    /// is sent, or leaves, is not waited for. At most `MOST_AWAITED` wait: beyond them it is at once as well.
    pub fn when_read(&self, then: impl FnOnce() + Send + 'static) {
        let position = {
            let ring = self.ring();
            ring.first + ring.kept.len() as u64
        };
        let mut following = self.following();
        if following.waiting.len() < MOST_AWAITED {
            following.waiting.push(Waiting { position, then: Box::new(then) });
            return self.settle(following);
        }
        drop(following);
        then();
    }

    /// A reader that starts here.
    pub(crate) fn follow(&self, position: u64) -> Follower<'_> {
        let mut following = self.following();
        let (id, read) = (following.next, Arc::new(AtomicU64::new(position)));
        following.next += 1;
        following.readers.push(Progress { id, read: Arc::clone(&read) });
        Follower { events: self, id, read }
    }

    fn progressed(&self) {
        if self.awaited.load(Ordering::SeqCst) > 0 {
            self.settle(self.following());
        }
    }

    /// Runs what has been waited for, outside of the lock.
    fn settle(&self, mut following: MutexGuard<'_, Following>) {
        // Before the readers are asked: whoever reads on after that sees that somebody waits.
        self.awaited.store(following.waiting.len(), Ordering::SeqCst);
        let read = following.readers.iter().map(|progress| progress.read.load(Ordering::SeqCst)).min();
        let due: Vec<Waiting> =
            following.waiting.extract_if(.., |waiting| read.is_none_or(|read| read >= waiting.position)).collect();
        self.awaited.store(following.waiting.len(), Ordering::SeqCst);
        drop(following);
        for waiting in due {
            (waiting.then)();
        }
    }

    fn following(&self) -> MutexGuard<'_, Following> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place to wait for more.
    pub(crate) fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// Where to start after `since`; without it, with whatever comes next.
    pub(crate) fn start(&self, since: Option<u64>) -> Start {
        let ring = self.ring();
        let end = ring.first + ring.kept.len() as u64;
        let Some(since) = since else { return Start { position: end, missed: None } };
        // 0 is no number of an event: whatever is kept, from the beginning.
        let before_restart =
            since > ring.latest_seq || since != 0 && ring.born.is_some_and(|born| since.saturating_add(1) < born);
        if before_restart {
            // What the reader lacks cannot be known, what is here it has not seen.
            return Start { position: ring.first, missed: Some(Missed { first: since.saturating_add(1), last: None }) };
        }
        let seen = ring.kept.partition_point(|entry| entry.seq <= since) as u64;
        let missed = match ring.kept.front() {
            Some(oldest) if ring.first > 0 && oldest.seq > since + 1 => {
                let first = (since + 1).max(ring.born.unwrap_or(1));
                Some(Missed { first, last: Some(oldest.seq - 1) })
            }
            _ => None,
        };
        Start { position: ring.first + seen, missed }
    }

    pub(crate) fn at(&self, position: u64) -> Found {
        let ring = self.ring();
        let Some(offset) = position.checked_sub(ring.first) else { return Found::Gone };
        match usize::try_from(offset).ok().and_then(|offset| ring.kept.get(offset)) {
            Some(entry) => Found::Entry(Arc::clone(entry)),
            None => Found::Nothing,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    /// Keeps the entry, lets old ones go, and says how many there were in all.
    fn push(&mut self, entry: Entry) -> u64 {
        self.born.get_or_insert(entry.seq);
        self.latest_seq = self.latest_seq.max(entry.seq);
        self.bytes += entry.text.len();
        self.kept.push_back(Arc::new(entry));
        while self.kept.len() > self.capacity || (self.bytes > self.most_bytes && self.kept.len() > 1) {
            if let Some(oldest) = self.kept.pop_front() {
                self.bytes -= oldest.text.len();
                self.first += 1;
            }
        }
        self.first + self.kept.len() as u64
    }
}
