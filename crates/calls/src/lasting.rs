//! What outlives the daemon, as plain data. Keeping it is somebody else's act: [`crate::Output::Store`] asks for it.

use crate::{CallId, CallbackId, MessageId, Presence, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that is to be kept; what was kept under the same name before gives way.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "few at a time, and boxed on their way")]
pub enum Stored {
    /// A caller who is to be called back.
    Callback(Callback),
    /// A message that a caller left with the AI.
    Message(Message),
    /// What an agent said of themselves.
    Presence(AgentPresence),
}

impl Stored {
    /// What it is, in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Callback(_) => "callback",
            Self::Message(_) => "message",
            Self::Presence(_) => "presence",
        }
    }
}

/// Everything that was kept and is needed to go on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    /// Callbacks that are not done, and some that are.
    pub callbacks: Vec<Callback>,
    /// What agents said of themselves last.
    pub presences: Vec<AgentPresence>,
}

/// A caller who is to be called back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Callback {
    /// Its id.
    pub id: CallbackId,
    /// The call in which it was asked for last.
    pub call: CallId,
    /// That call's line.
    pub line: String,
    /// Its AI profile.
    pub ai: String,
    /// The list it stands in.
    pub list: String,
    /// Whom to call.
    pub number: String,
    /// The number they had called: they are shown it.
    pub called: String,
    /// Why: what came to nothing, or the AI's words.
    pub reason: Option<String>,
    /// When it would suit them, in the AI's words.
    pub at: Option<String>,
    /// When it was asked for first.
    pub requested: Time,
    /// How far it is.
    pub state: CallbackState,
    /// Who has it.
    pub agent: Option<String>,
    /// Since when it is so far.
    pub changed: Time,
    /// How often somebody set out to call.
    pub tries: u32,
    /// What came of the last try that is over, or who said it was done and why.
    pub outcome: Option<String>,
    /// The call of the last try.
    pub tried_in: Option<CallId>,
    /// What the AI had learned, for whoever calls back.
    pub context: BTreeMap<String, serde_json::Value>,
}

/// How far a callback is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackState {
    /// Nobody has it.
    Open,
    /// An agent has it, and has not called.
    Claimed,
    /// The agent or the caller is being rung, or they talk.
    Dialling,
    /// They have talked, or somebody said that it is done.
    Done,
}

impl CallbackState {
    /// Every state, in the order in which a callback goes through them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Claimed, Self::Dialling, Self::Done];

    /// The name in the API and wherever it is kept.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Dialling => "dialling",
            Self::Done => "done",
        }
    }
}

impl core::str::FromStr for CallbackState {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.name() == name).ok_or(())
    }
}

/// A message that a caller left with the AI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The call in which it was left.
    pub call: CallId,
    /// That call's line.
    pub line: String,
    /// Who left it; absent when withheld.
    pub from: Option<String>,
    /// The words.
    pub text: String,
    /// When.
    pub left: Time,
    /// When it was marked as read first.
    pub read: Option<Time>,
}

/// What was said of an agent by the API; of what nothing was said, the configuration counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPresence {
    /// Who.
    pub agent: String,
    /// How they stand.
    pub presence: Option<Presence>,
    /// What they can do, each from 1 to 10.
    pub skills: Option<BTreeMap<String, u8>>,
    /// Calls at once.
    pub capacity: Option<u32>,
    /// When the last of it was said.
    pub since: Time,
}
