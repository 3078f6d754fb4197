//! What is counted, for metrics.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Which way a message went.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// What is there at the moment. All of it returns to zero when every leg has ended.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Transactions of both roles.
    pub transactions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Legs, with those that have ended and still owe the peer something.
    pub legs: usize,
    /// Armed timers.
    pub timers: usize,
}

/// What has happened since birth.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    messages: FxHashMap<(&'static str, Way, u16), u64>,
    /// Copies of our own messages that timers sent, or that a peer's copy drew.
    pub retransmissions: u64,
    /// Datagrams that are no SIP message and got no answer.
    pub garbage: u64,
    /// Requests of unknown sources.
    pub unknown_sources: u64,
    /// Responses and ACKs that belong to nothing.
    pub stray: u64,
    /// Requests answered 503 at a limit.
    pub refused_at_limit: u64,
    /// REGISTER requests that were granted, those that only ask included.
    pub registrations: u64,
    /// Challenges that were sent.
    pub challenges: u64,
    /// Digests that were wrong under a nonce of ours.
    pub failed_authentications: u64,
    /// Requests that were dropped because their source is banned.
    pub dropped_banned: u64,
    /// Requests that were dropped because their source sends too many.
    pub dropped_rate: u64,
    /// Headers of call control that were left out because no header can hold them.
    pub headers_left_out: u64,
}

impl Counters {
    /// `(method, way, status or 0 for the request itself, count)`, in no order. The methods are those of the IANA registry
    /// and `other`.
    pub fn messages(&self) -> impl Iterator<Item = (&'static str, Way, u16, u64)> + '_ {
        self.messages.iter().map(|(&(method, way, status), &count)| (method, way, status, count))
    }

    /// How many messages of one kind; status 0 is the request itself.
    pub fn count_of(&self, method: &'static str, way: Way, status: u16) -> u64 {
        self.messages.get(&(method, way, status)).copied().unwrap_or(0)
    }

    pub(crate) fn message(&mut self, method: &'static str, way: Way, status: u16) {
        *self.messages.entry((method, way, status)).or_default() += 1;
    }
}
