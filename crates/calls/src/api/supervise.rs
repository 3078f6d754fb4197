//! Supervisors: listening to a call, speaking to its human alone, or to both.

use crate::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// Who hears a supervisor. The AI never does.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuperviseMode {
    /// Nobody.
    #[default]
    Listen,
    /// The human who has the caller.
    Whisper,
    /// That human, and the caller.
    Barge,
}

impl SuperviseMode {
    /// The name in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
        }
    }
}

/// The body of `POST …/supervise`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperviseBody {
    /// An agent's name, or a `sip:`, `sips:` or `tel:` URI.
    pub to: String,
    /// `listen`, `whisper` or `barge`.
    #[serde(default)]
    pub mode: SuperviseMode,
    /// How long their phones ring, from `1s` to `10m`; `20s` when absent.
    #[serde(default, with = "policy::duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub ring_timeout: Option<Duration>,
}

/// The body of `PATCH …/supervise/{supervisor}`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuperviseChange {
    /// `listen`, `whisper` or `barge`.
    pub mode: SuperviseMode,
}

/// A supervisor of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorSummary {
    /// Its leg's name: what PATCH and DELETE take.
    pub supervisor: String,
    /// As asked.
    pub to: String,
    /// Who hears them.
    pub mode: SuperviseMode,
    /// Whether they are there.
    pub state: SupervisorState,
    /// When they were asked for, or joined.
    pub since: Time,
}

/// How far a supervisor is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorState {
    /// Their phones are being rung.
    Ringing,
    /// They hear the call.
    Joined,
}
