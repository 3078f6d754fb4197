//! A rule as it was read: everything named is found, everything written is understood.

use crate::{
    condition::Condition,
    evaluation::{Phase, RecordingAct},
    transfer::TransferOptions,
};
use core::time::Duration;
use serde_json::Value;
use std::sync::Arc;

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) enabled: bool,
    /// The lines its file applies to; `None`: every line.
    pub(crate) lines: Option<Arc<[Arc<str>]>>,
    pub(crate) phase: Phase,
    pub(crate) when: Condition,
    /// Its condition asks about a moment (a key, an event): such an answer is not remembered as having held.
    pub(crate) moment: bool,
    pub(crate) once: bool,
    /// How long it rests after a transfer of its that failed, or, where it decides nothing, after it acted.
    pub(crate) cooldown: Duration,
    pub(crate) acts: Vec<RuleAct>,
    pub(crate) verb: Option<RuleVerb>,
}

/// What it does beside deciding.
#[derive(Clone, Debug)]
pub(crate) enum RuleAct {
    Set(Arc<str>, Given),
    Tag(Arc<str>),
    Notify(Vec<(Arc<str>, Given)>),
    Recording(RecordingAct),
    Announce(Arc<str>),
}

/// What it decides.
#[derive(Clone, Debug)]
pub(crate) enum RuleVerb {
    Transfer { to: Arc<str>, options: Box<TransferOptions> },
    Callback(crate::callback::Callback),
    End { say: Option<Arc<str>> },
}

/// A value written down, or a `$path` to one.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    Value(Value),
    Path(Path),
}

/// What a `$path` may name.
#[derive(Clone, Debug)]
pub(crate) enum Path {
    Caller,
    Called,
    Line,
    Trunk,
    Profile,
    Sentiment,
    Retries,
    Intent,
    AuthFailures,
    Context(String),
    Declared(Arc<crate::condition::Declared>),
}
