//! Locating servers away from the engine: one task that turns `signaling`'s locator and asks the DNS. A slow DNS delays the call
//! that needs it, and no other.

use super::{
    inbox::{Inbox, Note},
    upstream::Upstream,
};
use crate::config;
use calls::ResolveId;
use signaling::locate::{Able, Config, Input, Limits, LocateId, Locator, Output, Wanted};
use std::sync::Arc;
use tokio::{sync::mpsc, task::JoinSet};

/// Locations that the engine may have asked for and the task has not seen; beyond them there is no answer but "unreachable".
const BACKLOG: usize = 4_096;

/// Answers the engine's questions.
pub(crate) struct Resolver {
    inbox: Arc<Inbox>,
    asks: mpsc::Sender<(ResolveId, Wanted)>,
}

impl Resolver {
    /// Starts the task. `able` is what the listeners reach.
    pub(crate) fn start(
        inbox: Arc<Inbox>,
        runtime: &tokio::runtime::Handle,
        dns: &config::Dns,
        able: Able,
        seed: u64,
    ) -> Self {
        let (asks, asked) = mpsc::channel(BACKLOG);
        let config = Config {
            able,
            timeout: dns.timeout,
            ttl_min: dns.ttl_min,
            ttl_max: dns.ttl_max,
            last_good: dns.last_good,
            limits: Limits::default(),
        };
        let locator = Locator::new(config, seed, clock::io::now());
        runtime.spawn(turn(locator, Upstream::new(dns), asked, Arc::clone(&inbox)));
        Self { inbox, asks }
    }

    /// Never blocks; the answer comes as [`Note::Resolved`], empty when there is none.
    pub(crate) fn ask(&self, id: ResolveId, wanted: Wanted) {
        if self.asks.try_send((id, wanted)).is_err() {
            tracing::error!("too many names wait to be located; this one counts as unreachable");
            let _ = self.inbox.put(Note::Resolved(id, Vec::new()));
        }
    }
}

/// The task. It ends when the engine is gone.
async fn turn(
    mut locator: Locator,
    mut upstream: Upstream,
    mut asked: mpsc::Receiver<(ResolveId, Wanted)>,
    inbox: Arc<Inbox>,
) {
    let mut lookups = JoinSet::new();
    loop {
        while let Some(output) = locator.poll_output() {
            match output {
                Output::Ask(question) => {
                    lookups.spawn(upstream.look_up(question));
                }
                Output::Located { id, targets } => {
                    let _ = inbox.put(Note::Resolved(ResolveId(id.0), targets));
                }
            }
        }
        let timeout = locator.poll_timeout();
        let wait = timeout.map(|at| at.since(clock::io::monotonic())).unwrap_or_default();
        tokio::select! {
            ask = asked.recv() => {
                let Some((id, wanted)) = ask else { return };
                locator.handle_input(clock::io::now(), Input::Locate { id: LocateId(id.0), wanted });
            }
            Some(done) = lookups.join_next() => {
                // A lookup that panicked is one that was not answered: the locator's timer says so.
                if let Ok((question, answer, ttl)) = done {
                    locator.handle_input(clock::io::now(), Input::Answered { question, answer, ttl });
                }
            }
            () = tokio::time::sleep(wait), if timeout.is_some() => locator.handle_timeout(clock::io::now()),
        }
    }
}
