//! What the API needs of the daemon behind it.

use calls::{CallId, Message, MessageId, Problem, Reply, Request, Time, VoicemailId};
use core::{pin::Pin, time::Duration};
use policy::{Diagnostic, Diagnostics};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A future that a trait object can return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The daemon behind the API; `crates/tandem` implements it.
pub trait Engine: Send + Sync + 'static {
    /// Carries a request to the engine thread and brings its reply back. A full inbox answers [`busy`] at once.
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Reply, Problem>>;

    /// The rules in force.
    fn rules(&self) -> Rules;

    /// Reads the rules' files anew: all of them or none.
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadRefused>>;

    /// Whether new calls can be taken, and if not, why.
    fn readiness(&self) -> Readiness;

    /// The newest recordings, at most so many: `{"recordings": […]}`.
    fn recordings(&self, limit: usize) -> BoxFuture<'_, Result<Value, Problem>>;

    /// The newest messages, of one mailbox or all, at most so many: `{"voicemails": […]}`.
    fn voicemails(&self, mailbox: Option<String>, limit: usize) -> BoxFuture<'_, Result<Value, Problem>>;

    /// A recording, or a message, with its timeline.
    fn recording(&self, which: Kept) -> BoxFuture<'_, Result<Value, Problem>>;

    /// Its audio.
    fn recording_audio(&self, which: Kept) -> BoxFuture<'_, Result<Audio, Problem>>;

    /// The file of its whole timeline: encrypted where it is.
    fn recording_timeline(&self, which: Kept) -> BoxFuture<'_, Result<Audio, Problem>>;

    /// Removes everything of it.
    fn delete_recording(&self, which: Kept) -> BoxFuture<'_, Result<(), Problem>>;

    /// Whether what is to outlive the daemon can be written.
    fn ledger_works(&self) -> bool;

    /// The record of an ended call, as JSON.
    fn call_record(&self, call: CallId) -> BoxFuture<'_, Result<Option<String>, Problem>>;

    /// Messages that callers left, the latest first.
    fn messages(&self, filter: MessageFilter) -> BoxFuture<'_, Result<Vec<Message>, Problem>>;

    /// One of them.
    fn message(&self, id: MessageId) -> BoxFuture<'_, Result<Option<Message>, Problem>>;

    /// Marks one as read.
    fn read_message(&self, id: MessageId) -> BoxFuture<'_, Result<Option<Message>, Problem>>;

    /// Takes one away; false: there is none.
    fn delete_message(&self, id: MessageId) -> BoxFuture<'_, Result<bool, Problem>>;

    /// All metrics, up to date, in Prometheus' text format.
    fn metrics(&self) -> BoxFuture<'_, String>;
}

/// What audio is kept of.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The recording of a call.
    Call(CallId),
    /// A message left in a mailbox.
    Message(VoicemailId),
}

/// A file of audio, or what lies beside one.
#[derive(Debug)]
pub struct Audio {
    /// What it is called.
    pub name: String,
    /// Its bytes.
    pub file: std::fs::File,
    /// Its media type.
    pub media_type: &'static str,
}

/// Which messages are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// Of this line.
    pub line: Option<String>,
    /// Only those that were not read.
    pub unread: bool,
    /// At most so many.
    pub limit: u32,
}

/// The refusal of an engine whose bounded inbox is full: 503, try again in a second.
pub fn busy() -> Problem {
    Problem::new(503, "busy", "the engine is busy")
        .detail("more requests wait than the engine takes; calls go on undisturbed")
        .retry_after(Duration::from_secs(1))
}

/// The rules in force: the answer to `GET /v1/rules`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// Counts the loads of this process from 1.
    pub generation: u64,
    /// When they were loaded.
    pub loaded: Time,
    /// The files they came from, in the order of reading.
    pub files: Vec<String>,
    /// Ids of the rules, from the top.
    pub rules: Vec<String>,
    /// Names of the destinations.
    pub destinations: Vec<String>,
    /// What the files do that was probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// The answer to `POST /v1/rules/reload`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reloaded {
    /// Counts the loads of this process from 1.
    pub generation: u64,
    /// How many rules are in force now.
    pub rules: usize,
    /// The files they came from.
    pub files: Vec<String>,
    /// What the files do that was probably not meant.
    pub warnings: Vec<Diagnostic>,
}

/// Why a reload changed nothing. The rules of before stay in force.
#[derive(Clone, Debug)]
pub enum ReloadRefused {
    /// The files are wrong: 422 with every mistake.
    Rules(Diagnostics),
    /// Anything else, for example a file that cannot be read.
    Problem(Problem),
}

/// The answer to `GET /readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether new calls can be taken: 200 or 503.
    pub ready: bool,
    /// Why not, in words; empty when ready.
    #[serde(default)]
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Ready.
    pub fn ready() -> Self {
        Self { ready: true, reasons: Vec::new() }
    }

    /// Not ready, because of this.
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self { ready: false, reasons: vec![reason.into()] }
    }
}
