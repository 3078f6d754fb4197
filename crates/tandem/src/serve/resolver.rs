//! Names to addresses, away from the engine: bounded in time and number, and the last good answer is kept for bad days.

use super::inbox::{Inbox, Note};
use signaling::{
    Transport,
    locate::{Target, Wanted},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// Questions under way at once; more wait.
const AT_ONCE: usize = 32;
/// Names remembered.
const REMEMBERED: usize = 1_024;
/// Addresses taken of one answer.
const ADDRESSES: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(4);

/// The last good answer by host and port.
type Answers = BTreeMap<(String, u16), Vec<SocketAddr>>;

/// Answers the engine's questions.
pub(crate) struct Resolver {
    inbox: Arc<Inbox>,
    runtime: tokio::runtime::Handle,
    places: Arc<Semaphore>,
    last_good: Arc<Mutex<Answers>>,
}

impl Resolver {
    pub(crate) fn new(inbox: Arc<Inbox>, runtime: tokio::runtime::Handle) -> Self {
        Self { inbox, runtime, places: Arc::new(Semaphore::new(AT_ONCE)), last_good: Arc::default() }
    }

    /// Never blocks; the answer comes as [`Note::Resolved`], empty when there is none.
    pub(crate) fn ask(&self, id: calls::ResolveId, wanted: Wanted) {
        let (host, port) = (wanted.host, wanted.port.unwrap_or_else(|| Transport::Udp.default_port()));
        let (inbox, places, last_good) =
            (Arc::clone(&self.inbox), Arc::clone(&self.places), Arc::clone(&self.last_good));
        self.runtime.spawn(async move {
            let found = tokio::time::timeout(TIMEOUT, async {
                let _place = places.acquire().await.ok()?;
                let found = tokio::net::lookup_host((host.as_str(), port)).await.ok()?;
                Some(found.take(ADDRESSES).collect::<Vec<_>>())
            })
            .await;
            let found = found.ok().flatten().unwrap_or_default();
            let addresses = {
                let mut known = last_good.lock().unwrap_or_else(PoisonError::into_inner);
                let key = (host, port);
                if found.is_empty() {
                    let kept = known.get(&key).cloned().unwrap_or_default();
                    tracing::warn!(
                        host = key.0,
                        kept = kept.len(),
                        "a host name was not resolved; taking the last good answer"
                    );
                    kept
                } else {
                    if known.len() >= REMEMBERED && !known.contains_key(&key) {
                        known.pop_first();
                    }
                    known.insert(key, found.clone());
                    found
                }
            };
            let targets = addresses
                .into_iter()
                .map(|address| Target { transport: Transport::Udp, address, name: None })
                .collect();
            let _ = inbox.put(Note::Resolved(id, targets));
        });
    }
}
