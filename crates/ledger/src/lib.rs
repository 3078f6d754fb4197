//! What outlives the daemon: callbacks, messages, agents' presence and ended calls, in one SQLite file.
//!
//! [`Ledger::write`] never waits: it puts a record into a bounded queue, and a thread of its own writes what has gathered in one
//! transaction, on the disk before the next begins. What was written is there after `kill -9` and after a power cut. A file that cannot
//! be opened or written is told ([`News`]), tried again, and stops nothing else.
//!
//! Architecture invariants:
//! - Nothing here is called on the engine or a media worker but [`Ledger::write`].
//! - A record that is written twice is there once: each has an id, and a later one of that id takes its place.
//! - A file of another program, or of a newer version of this one, is never written to.
#![forbid(unsafe_code)]

mod file;
mod reader;
mod tables;
mod writer;

pub use file::LedgerError;
pub use reader::{MessageFilter, Reader};
pub use writer::{Counts, Ledger, News, Settings};

use core::time::Duration;

/// The record of an ended call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedCall {
    /// The call.
    pub call: calls::CallId,
    /// Its line.
    pub line: String,
    /// When it began, in milliseconds since 1970.
    pub setup_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub released_ms: u64,
    /// Why, in one word.
    pub cause: String,
    /// All of it, as JSON: legs, decisions, transfers.
    pub record: String,
}

/// One thing to be kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What calls asked for.
    Stored(calls::StoreId, Box<calls::Stored>),
    /// A call has ended.
    Call(Box<EndedCall>),
}

impl Record {
    /// What it is, in one word: the label of its counts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stored(_, stored) => stored.kind(),
            Self::Call(_) => "call",
        }
    }
}

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended calls, from their end.
    pub calls: Duration,
    /// At most so many of them; the oldest go.
    pub most_calls: u64,
    /// Callbacks that are done, from then on. Others stay.
    pub callbacks: Duration,
    /// Messages, from when they were left.
    pub messages: Duration,
    /// At most so many of them; the oldest go.
    pub most_messages: u64,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self { calls: days(30), most_calls: 1_000_000, callbacks: days(90), messages: days(90), most_messages: 100_000 }
    }
}
