//! What other threads tell the engine: a bounded queue beside an eventfd that its epoll watches.

use calls::{Problem, Reply, Request, RequestId};
use nix::sys::eventfd::{EfdFlags, EventFd};
use policy::RuleSet;
use signaling::locate::Target;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::oneshot;

/// Requests that may wait; beyond them the API answers 503.
const BOUND: usize = 4_096;

/// Where a reply is awaited.
pub(crate) type Waiter = oneshot::Sender<Result<Reply, Problem>>;

/// One thing told to the engine.
pub(crate) enum Note {
    /// From the API.
    Request(Request, Waiter),
    /// Rules that take over; the sender is told when they have.
    Rules(Arc<RuleSet>, oneshot::Sender<()>),
    /// An answer to a question for addresses.
    Resolved(calls::ResolveId, Vec<Target>),
    /// Everything published so far was read: this leg's phone may ring.
    Shown(signaling::LegId),
    /// What another system says of an agent.
    Availability(String, Option<calls::Elsewhere>),
    /// What came of a recording of this call of that line.
    Recorded(calls::CallId, String, calls::Recorded),
    /// What became of something to be kept, or of the ledger.
    Ledger(super::ledger::News),
    /// Refuse new calls, end the running ones, then end.
    Stop,
    /// Bring the gauges up to date.
    Gauges(oneshot::Sender<()>),
}

/// The queue.
pub(crate) struct Inbox {
    notes: Mutex<VecDeque<Note>>,
    wake: Arc<EventFd>,
    /// True from a wake-up until the engine has looked: one system call for many notes.
    woken: AtomicBool,
}

impl Inbox {
    /// An empty queue.
    pub(crate) fn new() -> nix::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { notes: Mutex::default(), wake: Arc::new(wake), woken: AtomicBool::new(false) })
    }

    /// Gives the note back when the queue is full. What the daemon itself must know always fits.
    pub(crate) fn put(&self, note: Note) -> Result<(), Note> {
        {
            let mut notes = self.lock();
            if notes.len() >= BOUND && matches!(note, Note::Request(..) | Note::Gauges(_)) {
                return Err(note);
            }
            notes.push_back(note);
        }
        self.wake();
        Ok(())
    }

    /// Makes the engine turn.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is at its limit: then it is readable anyway.
            let _ = self.wake.write(1);
        }
    }

    /// What epoll watches, and what the audio workers ring as well.
    pub(crate) fn bell(&self) -> &Arc<EventFd> {
        &self.wake
    }

    /// The engine's side: forgets the wake-up, then takes everything.
    pub(crate) fn take(&self) -> VecDeque<Note> {
        let _ = self.wake.read();
        self.woken.store(false, Ordering::Release);
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers for requests and who waits for them; the engine's own.
#[derive(Default)]
pub(crate) struct Waiters {
    next: u64,
    waiting: std::collections::BTreeMap<RequestId, Waiter>,
}

impl Waiters {
    /// A number for a request whose reply `waiter` awaits.
    pub(crate) fn enter(&mut self, waiter: Waiter) -> RequestId {
        self.next += 1;
        let id = RequestId(self.next);
        self.waiting.insert(id, waiter);
        id
    }

    /// Brings the reply; nobody may be there any more.
    pub(crate) fn leave(&mut self, id: RequestId, reply: Result<Reply, Problem>) {
        if let Some(waiter) = self.waiting.remove(&id) {
            let _ = waiter.send(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_gives_requests_back_but_takes_what_must_be_known() {
        let inbox = Inbox::new().expect("an eventfd");
        for _ in 0..BOUND {
            let (waiter, _) = oneshot::channel();
            assert!(inbox.put(Note::Gauges(waiter)).is_ok());
        }
        let (waiter, _) = oneshot::channel();
        assert!(inbox.put(Note::Gauges(waiter)).is_err());
        assert!(inbox.put(Note::Stop).is_ok());
        assert_eq!(inbox.take().len(), BOUND + 1);
        assert!(inbox.take().is_empty());
    }
}
