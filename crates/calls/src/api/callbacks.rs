//! Callbacks in the API's words.

use crate::{Callback, CallbackId, MessageId};
use serde::{Deserialize, Serialize};

/// Callbacks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallbackList {
    /// The oldest first.
    pub callbacks: Vec<Callback>,
}

/// What is to be done with a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallbackAction {
    /// Only shown.
    Show,
    /// An agent takes it.
    Claim(ClaimBody),
    /// It goes back to the list.
    Release,
    /// The agent is rung, and then the caller.
    Dial(DialBody),
    /// Nobody needs to call any more.
    Done(DoneBody),
}

/// The body of `POST /v1/callbacks/{id}/claim`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    /// The agent who takes it.
    pub agent: String,
}

/// The body of `POST /v1/callbacks/{id}/dial`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DialBody {
    /// The agent who calls; absent: who has claimed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// The body of `POST /v1/callbacks/{id}/done`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoneBody {
    /// What came of it, at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// What an event left behind that outlives the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The caller is to be called back.
    Callback(CallbackId),
    /// Their message.
    Message(MessageId),
    /// Nothing, because of this.
    Refused(String),
}
