//! Rules, facts and decisions, each with its explanation: what should happen to a call, never how.
//!
//! A call keeps its [`Facts`]: posted events are folded in by [`Facts::fold`], what the call itself reports by
//! [`Facts::note`]. [`RuleSet::evaluate`] then asks the rules and answers with actions, at most one [`Decision`], and
//! the time at which to ask again; [`RuleSet::explain`] says why, rule by rule. A transfer's [`TransferSpec`] has every
//! level merged (defaults, destination, rule, request); its [`FailureChain`] says what follows a failure.
#![forbid(unsafe_code)]

mod callback;
mod condition;
mod diagnostic;
pub mod duration;
mod evaluate;
mod evaluation;
mod event;
mod facts;
mod hours;
mod mailbox;
mod number;
mod queue;
mod read;
mod rule;
mod rule_state;
mod ruleset;
mod test_run;
mod text;
mod transfer;
mod whisper;
mod wording;

pub use callback::{CALLBACK_PROMPT, Callback};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, did_you_mean};
pub use evaluation::{
    Act, Action, Comparison, Decision, Evaluation, Explanation, Phase, RecordingAct, RuleVerdict, Verb, Verdict,
};
pub use event::{Event, EventError, LARGEST_DATA, LONGEST_NAME, LONGEST_TEXT, MOST_EVENTS, Posted, TYPES};
pub use facts::{
    AnsweredBy, CallFact, CallStart, Direction, Facts, FactsView, Folded, LARGEST_CONTEXT, Listening,
    MOST_CONTEXT_KEYS, MOST_DIGITS, MOST_IDS, MOST_INTENTS, MOST_SAMPLES, MOST_SCORES, MOST_SERIES,
};
pub use mailbox::{DEFAULT_MAILBOX, mailbox_of};
pub use queue::{
    AgentState, AgentView, Attributes, Candidate, LEVEL, Passed, Pick, PositionAnnouncement, Preferences, Queue, Skills,
};
pub use ruleset::{
    Environment, Loaded, RuleSet, SourceFile, SourceKind, To, UnknownDestination, UnknownWindow, Window, knows_zone,
};
pub use test_run::TestReport;
pub use transfer::{
    ACCEPT_WITHIN, Accept, CallerHears, Cause, ColdBy, Destination, Detect, Dial, FailureChain, Hold, INTRODUCE_WITHIN,
    Introduce, Mode, Next, OnFailure, Place, ReleaseAi, Ring, SayIf, Start, Step, TransferOptions, TransferSpec,
    Whisper,
};
