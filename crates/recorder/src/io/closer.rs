//! The thread on which recordings that ended are put on the medium. A medium that is slow delays what is announced, and nothing else.

use super::{active::Active, disk::Disk};
use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

/// Recordings that wait to be closed; beyond that, whoever writes them closes them.
const WAITING: usize = 4_096;

type Done = (Box<Active>, io::Result<()>);

/// The way to the thread, and back.
pub struct Closer {
    jobs: SyncSender<Box<Active>>,
    done: Receiver<Done>,
    open: usize,
}

impl Closer {
    /// Starts the thread; it ends with this.
    pub fn start(disk: impl Disk) -> io::Result<Self> {
        let (jobs, inbox) = sync_channel::<Box<Active>>(WAITING);
        let (report, done) = sync_channel(WAITING);
        std::thread::Builder::new().name("recorder-close".to_owned()).spawn(move || {
            for mut active in inbox {
                let done = active.publish(&disk);
                if report.send((active, done)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs, done, open: 0 })
    }

    /// How many are on their way.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Takes a recording, or gives it back where too many wait.
    pub(super) fn close(&mut self, active: Box<Active>) -> Result<(), Box<Active>> {
        // What is told is taken off in time: there is room for all that are open.
        if self.open >= WAITING {
            return Err(active);
        }
        match self.jobs.try_send(active) {
            Ok(()) => {
                self.open += 1;
                Ok(())
            }
            Err(TrySendError::Full(active) | TrySendError::Disconnected(active)) => Err(active),
        }
    }

    /// One that was closed.
    pub(super) fn poll(&mut self) -> Option<Done> {
        let done = self.done.try_recv().ok()?;
        self.open -= 1;
        Some(done)
    }

    /// The next that is closed; none when none is open.
    pub(super) fn wait(&mut self) -> Option<Done> {
        if self.open == 0 {
            return None;
        }
        let done = self.done.recv().ok()?;
        self.open -= 1;
        Some(done)
    }
}
