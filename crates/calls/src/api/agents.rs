//! Agents, queues and availability in the API's words.

use crate::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of `PATCH /v1/agents/{id}`; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentBody {
    /// What they say of themselves; during a call it takes effect after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence: Option<crate::Presence>,
    /// Their skills, each from 1 to 10, instead of those they had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<BTreeMap<String, u8>>,
    /// Calls at once, 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u32>,
}

/// Agents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentList {
    /// In the configuration's order.
    pub agents: Vec<AgentSummary>,
}

/// An agent as they are now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentSummary {
    /// The name.
    pub id: String,
    /// How they stand.
    pub state: policy::AgentState,
    /// What they say of themselves.
    pub presence: crate::Presence,
    /// What they asked for during a call, for after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after_call: Option<crate::Presence>,
    /// Their skills, each from 1 to 10.
    pub skills: BTreeMap<String, u8>,
    /// Calls at once.
    pub capacity: u32,
    /// Calls they have, are offered, or make.
    pub calls_now: usize,
    /// Calls they took from the queue or a transfer since the start.
    pub calls_taken: u64,
    /// Offers in a row that came to nothing.
    pub unanswered: u32,
    /// Where they are dialled; absent: at the phones they registered.
    pub address: Option<String>,
    /// Seconds since their last call, while they are available.
    pub idle_s: Option<u64>,
}

/// Queues.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueList {
    /// By name.
    pub queues: Vec<QueueSummary>,
}

/// A queue as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueSummary {
    /// The destination's name.
    pub name: String,
    /// Callers who wait.
    pub waiting: usize,
    /// Seconds that the first of them has waited.
    pub longest_wait_s: Option<u64>,
    /// Seconds that callers waited lately, on average.
    pub expected_wait_s: Option<u64>,
    /// Agents with the skills who are at work.
    pub agents_staffed: usize,
    /// Those of them who are free.
    pub agents_free: usize,
}

/// Whether a destination could take a caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Availability {
    /// The destination.
    pub destination: String,
    /// Whether it could take the caller now.
    pub available: bool,
    /// Why not: `closed` or `no_agent`.
    pub cause: Option<policy::Cause>,
    /// Agents who are free; absent where it is no agent's.
    pub free: Option<usize>,
    /// Callers who wait there.
    pub waiting: usize,
    /// Seconds to wait; absent: nobody can say.
    pub wait_s: Option<u64>,
    /// When it opens, where it is closed.
    pub opens_at: Option<Time>,
    /// The agent who is held for the call.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reserved: Option<String>,
    /// Each agent, and why they are passed over.
    pub candidates: Vec<policy::Candidate>,
}
