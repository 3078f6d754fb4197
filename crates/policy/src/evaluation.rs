//! What an evaluation answers: what to do, why, and when to ask again.

use crate::{evaluate::Reasons, transfer::TransferSpec};
use clock::Monotonic;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Where the call stands; a rule acts only in its own phase (`while:`, default `ai`).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before the AI is dialled.
    Start,
    /// The AI has the caller.
    #[default]
    Ai,
    /// A transfer is under way.
    Waiting,
    /// A human has the caller.
    Human,
}

impl Phase {
    /// As written in `while:`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Ai => "ai",
            Self::Waiting => "waiting",
            Self::Human => "human",
        }
    }
}

/// Something a rule does that does not end the evaluation. `Set` and `Tag` are already done to the facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// The rule.
    pub rule: Arc<str>,
    /// What it does.
    #[serde(flatten)]
    pub act: Act,
}

/// What a rule does beside deciding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A key of the context got this value.
    Set {
        /// The key.
        key: Arc<str>,
        /// Its value.
        value: Value,
    },
    /// The call wears this tag.
    Tag(Arc<str>),
    /// Tell whoever listens to the event stream, with these fields.
    Notify(BTreeMap<Arc<str>, Value>),
    /// Do this with the call's recording.
    Recording(RecordingAct),
    /// Say this prompt to the caller.
    Announce(Arc<str>),
}

/// What a rule does with a call's recording.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingAct {
    /// Record from now on a call that is not recorded by itself.
    Start,
    /// Keep nothing for so long; `None`: as configured.
    Pause(#[serde(with = "crate::duration::as_text::option")] Option<Duration>),
    /// Keep everything again.
    Resume,
    /// End it for good.
    Stop,
}

impl RecordingAct {
    /// As written in a rule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause(_) => "pause",
            Self::Resume => "resume",
            Self::Stop => "stop",
        }
    }
}

/// What decides: the first rule that says one of these ends the evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The rule.
    pub rule: Arc<str>,
    /// What is to be done.
    #[serde(flatten)]
    pub verb: Verb,
}

/// What a decision tells the call to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Transfer the caller.
    Transfer(Box<TransferSpec>),
    /// End the call.
    End {
        /// A prompt to say first.
        say: Option<Arc<str>>,
    },
}

/// The answer of one evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// What to do beside deciding, in this order, before the decision.
    pub actions: Vec<Action>,
    /// What was decided, if anything.
    pub decision: Option<Decision>,
    /// The earliest time at which a verdict could change without an event: evaluate again then.
    pub next_change: Option<Monotonic>,
    pub(crate) reasons: Reasons,
}

/// Why: every rule of the call's line, in order, with its verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Where the call stood.
    pub phase: Phase,
    /// Rule by rule.
    pub rules: Vec<RuleVerdict>,
    /// Where it was decided to go to agents: each of them, and why they were passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<crate::queue::Candidate>,
}

/// One rule's verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleVerdict {
    /// The rule.
    pub rule: Arc<str>,
    /// In one word.
    pub verdict: Verdict,
    /// The values compared: those that made the condition hold or fail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Comparison>,
    /// In a sentence: "retries is 2, needs at least 3".
    pub because: String,
}

/// A verdict in one word.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Its condition became true: it acted.
    Fired,
    /// Its condition does not hold.
    NotTrue,
    /// Its condition holds, and held before: a rule acts only when it becomes true.
    AlreadyTrue,
    /// Its condition holds, but it rests after a transfer that failed, or for its own cooldown.
    Resting,
    /// It acts in another phase.
    OtherPhase,
    /// `enabled: false`.
    Disabled,
    /// `once: true`, and it has acted.
    Once,
    /// Its condition holds, but the call has used up its transfers by rule.
    NoTransfersLeft,
    /// An earlier rule decided.
    NotReached,
}

/// One comparison of a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was looked at: `retries`, `lead.value`.
    pub fact: String,
    /// What it was, in words.
    pub found: String,
    /// What the rule needs, in words.
    pub needs: String,
    /// Whether that held.
    pub held: bool,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.rules.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {}", rule.rule, rule.because)?;
        }
        for candidate in &self.candidates {
            write!(f, "\n{} {}", candidate.agent, candidate.because)?;
        }
        Ok(())
    }
}
