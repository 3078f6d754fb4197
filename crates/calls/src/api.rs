//! Requests and replies of the control API, typed. `crates/control` only carries them over HTTP.

mod agents;
mod callbacks;
mod options;
mod place;
mod supervise;

use crate::{
    CallId, DecisionRecord, LegRecord, Problem, RecordingRecord, Source, Time, TimelineEntry, TransferId,
    TransferRecord,
};
pub use agents::{AgentBody, AgentList, AgentSummary, Availability, QueueList, QueueSummary};
pub use callbacks::{CallbackAction, CallbackList, ClaimBody, DialBody, DoneBody, Kept};
use core::time::Duration;
pub use options::{AcceptBody, AcceptWord, ContextBody, IntroduceBody, OnFailureBody};
pub use place::{AmdBody, IntentBody, IntentWords, PlaceBody, PlacedReply};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
pub use supervise::{SuperviseBody, SuperviseChange, SuperviseMode, SupervisorState, SupervisorSummary};

/// What can be asked of the engine.
#[derive(Clone, Debug)]
pub enum Request {
    /// `POST /v1/calls/{id}/events`; answers [`Reply::Events`].
    Events {
        /// Which call.
        call: CallId,
        /// In order; each is evaluated by itself.
        events: Vec<policy::Posted>,
    },
    /// `POST /v1/calls/{id}/transfer`; answers [`Reply::Transfer`], 202.
    Transfer {
        /// Which call.
        call: CallId,
        /// Where to and how.
        body: Box<TransferBody>,
        /// The `Idempotency-Key` header.
        idempotency_key: Option<String>,
        /// `?wait=`: answer with the outcome, or after this long with how far it is.
        wait: Option<Duration>,
    },
    /// `GET /v1/transfers/{tid}`; answers [`Reply::Transfer`].
    TransferStatus {
        /// Which transfer.
        transfer: TransferId,
    },
    /// `DELETE /v1/transfers/{tid}`; answers [`Reply::Transfer`]; 409 once bridged.
    CancelTransfer {
        /// Which transfer.
        transfer: TransferId,
    },
    /// `POST /v1/transfers/{tid}/accept`: the agent's screen instead of a digit; answers [`Reply::Transfer`].
    AcceptTransfer {
        /// Which transfer.
        transfer: TransferId,
        /// Which attempt, where several humans were told; absent: the first that answered.
        attempt: Option<u32>,
    },
    /// `POST /v1/transfers/{tid}/decline`; answers [`Reply::Transfer`].
    DeclineTransfer {
        /// Which transfer.
        transfer: TransferId,
        /// Which attempt; absent: every one that rings or is being told.
        attempt: Option<u32>,
    },
    /// `POST /v1/calls/{id}/hangup`; answers [`Reply::Done`].
    Hangup {
        /// Which call.
        call: CallId,
    },
    /// `POST /v1/calls/{id}/handback`; answers [`Reply::Done`].
    Handback {
        /// Which call.
        call: CallId,
        /// What the AI is told.
        body: HandbackBody,
    },
    /// `PATCH /v1/calls/{id}/context`: a merge, `null` removes a key; answers [`Reply::Context`].
    Context {
        /// Which call.
        call: CallId,
        /// The keys to change.
        context: BTreeMap<String, serde_json::Value>,
    },
    /// `POST /v1/calls/{id}/dtmf`: send digits to a leg; answers [`Reply::Done`].
    Dtmf {
        /// Which call.
        call: CallId,
        /// Which leg by name; absent: the caller's.
        leg: Option<String>,
        /// `0`-`9`, `*`, `#`, `A`-`D`; at most 32.
        digits: String,
    },
    /// `POST /v1/calls/{id}/recording/{pause,resume,stop}`; answers [`Reply::Done`].
    Recording {
        /// Which call.
        call: CallId,
        /// What.
        action: RecordingAction,
    },
    /// `POST /v1/calls/{id}/supervise`: rings a supervisor, or changes the mode of one who is there; answers [`Reply::Supervisor`].
    Supervise {
        /// Which call.
        call: CallId,
        /// Whom, and who hears them.
        body: SuperviseBody,
    },
    /// `PATCH /v1/calls/{id}/supervise/{supervisor}`; answers [`Reply::Supervisor`].
    ChangeSupervisor {
        /// Which call.
        call: CallId,
        /// The leg's name, such as `supervisor-1`.
        supervisor: String,
        /// Who is to hear them.
        mode: SuperviseMode,
    },
    /// `DELETE /v1/calls/{id}/supervise/{supervisor}`; answers [`Reply::Done`].
    EndSupervisor {
        /// Which call.
        call: CallId,
        /// The leg's name.
        supervisor: String,
    },
    /// `POST /v1/calls`; answers [`Reply::Placed`], 202.
    Place {
        /// Who is called, and for whom.
        body: Box<PlaceBody>,
        /// The `Idempotency-Key` header.
        idempotency_key: Option<String>,
        /// `?wait=`: answer when they have answered or will not, or after this long with how far it is.
        wait: Option<Duration>,
    },
    /// `GET /v1/calls`; answers [`Reply::Calls`].
    Calls {
        /// `?sip_call_id=`: find a call by a foreign id.
        sip_call_id: Option<String>,
        /// `?state=active|ended`; absent: both.
        active: Option<bool>,
    },
    /// `GET /v1/calls/{id}`; answers [`Reply::Call`], also for an ended call that is still remembered.
    Call {
        /// Which call.
        call: CallId,
    },
    /// `GET /v1/trunks`; answers [`Reply::Trunks`].
    Trunks,
    /// `GET /v1/agents`; answers [`Reply::Agents`].
    Agents,
    /// `GET /v1/agents/{id}`; answers [`Reply::Agent`].
    Agent {
        /// Who.
        agent: String,
    },
    /// `PATCH /v1/agents/{id}`; answers [`Reply::Agent`].
    ChangeAgent {
        /// Who.
        agent: String,
        /// What of them is to change.
        body: AgentBody,
    },
    /// `GET /v1/callbacks`; answers [`Reply::Callbacks`].
    Callbacks {
        /// In this state; absent: in any.
        state: Option<crate::CallbackState>,
        /// In this list; absent: in any.
        list: Option<String>,
    },
    /// `GET /v1/callbacks/{id}` and what can be done with one; answers [`Reply::Callback`].
    Callback {
        /// Which.
        callback: crate::CallbackId,
        /// What is to be done.
        action: CallbackAction,
    },
    /// `GET /v1/queues`; answers [`Reply::Queues`].
    Queues,
    /// `GET /v1/destinations/{name}/availability`; answers [`Reply::Availability`].
    Availability {
        /// The destination's name.
        destination: String,
        /// For this caller's needs.
        call: Option<CallId>,
        /// Hold the agent for that call for so long.
        reserve: Option<Duration>,
    },
    /// `POST /v1/rules/evaluate`: a dry run on a call's facts, or on none; answers [`Reply::Evaluation`].
    Evaluate(Box<EvaluateBody>),
    /// Call control that is named in the API and not built yet (`answer`, `hold`, `resume`, `mute`, `play`);
    /// answers a problem 501 that says so, or 404 and 410 as the others do.
    NotBuilt {
        /// Which call.
        call: CallId,
        /// What was asked for.
        what: String,
    },
}

/// What is asked of a recording.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum RecordingAction {
    /// Keep nothing for a while.
    Pause {
        /// How long; absent: as configured. At most an hour.
        lasting: Option<Duration>,
    },
    /// Keep everything again.
    Resume,
    /// End it; it does not begin again in this call.
    Stop,
}

/// The body of `POST …/transfer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferBody {
    /// A destination's name, or a `sip:`, `sips:` or `tel:` URI.
    pub to: String,
    /// `warm` or `cold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<policy::Mode>,
    /// `bridge` or `refer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_by: Option<policy::ColdBy>,
    /// `at_once`, `at_bridge` or `stay`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_ai: Option<policy::ReleaseAi>,
    /// `"none"` or `{within, press}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introduce: Option<IntroduceBody>,
    /// `"none"` or `{prompt: NAME}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whisper: Option<policy::Whisper>,
    /// `"none"` or `{press, within}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<AcceptBody>,
    /// `machine` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<policy::Detect>,
    /// `{say, say_if, then}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_hears: Option<policy::CallerHears>,
    /// For example `20s`.
    #[serde(default, with = "policy::duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub ring_timeout: Option<Duration>,
    /// `after_speech`, `now` or `on_ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<policy::Start>,
    /// The longest the AI's last words may take.
    #[serde(default, with = "policy::duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub drain_max: Option<Duration>,
    /// Dial the human while the AI still speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predial: Option<bool>,
    /// In queues: higher ones first, 0 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Keys that may travel along, or keys with values to merge first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextBody>,
    /// A list for every cause, or lists by cause and `else`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailureBody>,
}

impl TransferBody {
    /// A transfer to `to`, everything else as destination and defaults say.
    pub fn to(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            mode: None,
            cold_by: None,
            release_ai: None,
            introduce: None,
            whisper: None,
            accept: None,
            detect: None,
            caller_hears: None,
            ring_timeout: None,
            start: None,
            drain_max: None,
            predial: None,
            priority: None,
            context: None,
            on_failure: None,
        }
    }

    /// What it says over destination and defaults.
    pub(crate) fn options(&self) -> Result<policy::TransferOptions, Problem> {
        let within = match &self.accept {
            Some(AcceptBody::Press(accept)) => Some(accept.within),
            _ => None,
        };
        let introduced = match &self.introduce {
            Some(IntroduceBody::Within(introduce)) => Some(introduce),
            _ => None,
        };
        if let Some(press) = introduced.and_then(|introduce| introduce.press)
            && !matches!(press.to_ascii_uppercase(), '0'..='9' | '*' | '#' | 'A'..='D')
        {
            return Err(Problem::invalid("introduce.press", "expected one key of a telephone: 0 to 9, *, #, A to D"));
        }
        // The ranges of the rules.
        for (field, found, low, high, expected) in [
            ("ring_timeout", self.ring_timeout, 1, 600, "expected 1s to 10m"),
            ("drain_max", self.drain_max, 0, 60, "expected 0s to 60s"),
            ("accept.within", within, 1, 120, "expected 1s to 2m"),
            ("introduce.within", introduced.map(|introduce| introduce.within), 1, 300, "expected 1s to 5m"),
        ] {
            let (low, high) = (Duration::from_secs(low), Duration::from_secs(high));
            if found.is_some_and(|found| found < low || found > high) {
                return Err(Problem::invalid(field, expected));
            }
        }
        if self.priority.is_some_and(|priority| priority > 1_000) {
            return Err(Problem::invalid("priority", "expected 0 to 1000"));
        }
        Ok(policy::TransferOptions {
            mode: self.mode,
            ring_timeout: self.ring_timeout,
            start: self.start,
            drain_max: self.drain_max,
            predial: self.predial,
            caller_hears: self.caller_hears.clone(),
            whisper: self.whisper.clone(),
            accept: self.accept.as_ref().map(|accept| match accept {
                AcceptBody::Press(accept) => Some(accept.clone()),
                AcceptBody::Word(AcceptWord::None) => None,
            }),
            detect: self.detect,
            introduce: self.introduce.as_ref().map(|introduce| match introduce {
                IntroduceBody::Within(introduce) => Some(introduce.clone()),
                IntroduceBody::Word(AcceptWord::None) => None,
            }),
            release_ai: self.release_ai,
            cold_by: self.cold_by,
            context_wait: None,
            priority: self.priority,
            context: match &self.context {
                Some(ContextBody::Keys(keys)) => Some(keys.iter().map(|key| Arc::from(key.as_str())).collect()),
                _ => None,
            },
            on_failure: self.on_failure.as_ref().map(OnFailureBody::options).transpose()?,
        })
    }
}

/// The body of `POST …/handback`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HandbackBody {
    /// How it went, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// For the AI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Another AI profile than the call's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ai: Option<String>,
}

/// The body of `POST /v1/rules/evaluate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluateBody {
    /// On this call's facts; absent: on a fresh call's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The line of the fresh call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The caller of the fresh call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The number the fresh call dialled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// Folded one by one, each evaluated; nothing of it stays.
    #[serde(default)]
    pub events: Vec<policy::Posted>,
}

/// The answer to a request; each serialises as the HTTP body.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// To events.
    Events(EventsReply),
    /// To everything about a transfer.
    Transfer(TransferReply),
    /// To a call that is placed.
    Placed(PlacedReply),
    /// To the list of calls.
    Calls(CallList),
    /// To one call.
    Call(Box<CallDetail>),
    /// To the list of trunks.
    Trunks(TrunkList),
    /// To the list of agents.
    Agents(AgentList),
    /// To one agent.
    Agent(AgentSummary),
    /// To the list of callbacks.
    Callbacks(CallbackList),
    /// To one callback.
    Callback(Box<crate::Callback>),
    /// To the list of queues.
    Queues(QueueList),
    /// To a question whether a destination is there.
    Availability(Box<Availability>),
    /// To everything about a supervisor.
    Supervisor(SupervisorSummary),
    /// To a context patch.
    Context(ContextReply),
    /// To a dry run.
    Evaluation(EvaluationReply),
    /// Done; there is nothing more to say.
    Done(DoneReply),
}

/// The answer to `POST …/events`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventsReply {
    /// One for each event, in order.
    pub results: Vec<EventResult>,
    /// What the AI should do with its sentence.
    pub guidance: Guidance,
    /// The time by which it must have said its last words, in milliseconds since 1970; absent when it goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub speak_by_ms: Option<u64>,
}

/// What the AI should do with its sentence.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guidance {
    /// Go on talking with the caller.
    Continue,
    /// A transfer has started: finish the sentence.
    FinishSentence,
    /// The caller hears you no longer.
    Stop,
}

/// What came of one event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventResult {
    /// Its id if it had one, else its type.
    pub event: String,
    /// True when its id was seen before: nothing was counted.
    #[serde(skip_serializing_if = "core::ops::Not::not", default)]
    pub repeated: bool,
    /// What was kept beyond the call, or why it was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept: Option<Kept>,
    /// What was decided, if anything.
    pub decision: Option<DecisionReply>,
    /// Rule by rule; absent when the event was only folded, and `note` says why.
    pub explanation: Option<policy::Explanation>,
    /// Warnings: an unknown label kept without a score, only folded after a decision.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

/// A decision in an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionReply {
    /// The rule.
    pub rule: String,
    /// `transfer` or `end`.
    pub does: String,
    /// The destination.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub to: Option<String>,
    /// The transfer it started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer: Option<TransferId>,
    /// Why it was not carried out, if it was not (a transfer is already under way).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub not_done: Option<String>,
}

/// A transfer in an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferReply {
    /// Whether nothing more can happen to it.
    pub over: bool,
    /// Everything known of it.
    #[serde(flatten)]
    pub transfer: TransferRecord,
}

impl From<TransferRecord> for TransferReply {
    fn from(transfer: TransferRecord) -> Self {
        Self { over: transfer.state.is_over(), transfer }
    }
}

/// Calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallList {
    /// Live ones first, each group by age.
    pub calls: Vec<CallSummary>,
}

/// A call in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallSummary {
    /// Its id.
    pub id: CallId,
    /// Its state.
    pub state: CallState,
    /// The line called.
    pub line: String,
    /// The trunk that brought it.
    pub trunk: String,
    /// The caller's number; absent when withheld.
    pub from: Option<String>,
    /// The number called.
    pub to: String,
    /// Call-ID of the caller's INVITE.
    pub sip_call_id: String,
    /// The caller's INVITE.
    pub started: Time,
    /// Our answer.
    pub answered: Option<Time>,
    /// The end.
    pub ended: Option<Time>,
    /// Who called whom.
    #[serde(default)]
    pub direction: policy::Direction,
    /// The campaign that it was placed for.
    #[serde(default)]
    pub campaign: Option<String>,
    /// Why it ended.
    #[serde(default)]
    pub cause: Option<crate::EndCause>,
    /// Why whoever we called did not answer.
    #[serde(default)]
    pub failure: Option<policy::Cause>,
    /// The active transfer.
    pub transfer: Option<TransferId>,
}

/// Where a call is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// The AI (or whoever takes the call first) is being reached; the caller hears ringing.
    Connecting,
    /// The AI has the caller.
    WithAi,
    /// A transfer is under way.
    Transferring,
    /// A human has the caller.
    WithHuman,
    /// The AI is lost or was left, and is being reached again.
    Reconnecting,
    /// An announcement plays; the call ends after it.
    Announcing,
    /// The caller leaves a message.
    Voicemail,
    /// Over: legs are being closed.
    Ending,
    /// Over: remembered only.
    Ended,
}

impl CallState {
    /// Every state a call that still has legs can be in.
    pub const LIVE: [Self; 8] = [
        Self::Connecting,
        Self::WithAi,
        Self::Transferring,
        Self::WithHuman,
        Self::Reconnecting,
        Self::Announcing,
        Self::Voicemail,
        Self::Ending,
    ];

    /// The name in the API and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::WithAi => "with_ai",
            Self::Transferring => "transferring",
            Self::WithHuman => "with_human",
            Self::Reconnecting => "reconnecting",
            Self::Announcing => "announcing",
            Self::Voicemail => "voicemail",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// Everything about one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallDetail {
    /// As in the list.
    #[serde(flatten)]
    pub summary: CallSummary,
    /// What is known of it.
    pub facts: serde_json::Value,
    /// What the AI learned.
    pub context: BTreeMap<String, serde_json::Value>,
    /// Its legs, gone ones too.
    pub legs: Vec<LegRecord>,
    /// Its story.
    pub timeline: Vec<TimelineEntry>,
    /// Timeline entries that did not fit.
    pub timeline_dropped: u64,
    /// Who watches over it, and whose phones ring to do so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supervisors: Vec<SupervisorSummary>,
    /// Its decisions.
    pub decisions: Vec<DecisionRecord>,
    /// Its transfers.
    pub transfers: Vec<TransferRecord>,
    /// What answered our call, where that was listened for and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<crate::AmdRecord>,
    /// Its recording, when it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingRecord>,
    /// Whether the caller agreed to be recorded, when that was asked or said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_consent: Option<bool>,
    /// The messages the caller left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voicemails: Vec<crate::VoicemailRecord>,
    /// What started the transfer under way.
    pub transfer_source: Option<Source>,
}

/// Trunks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrunkList {
    /// By name.
    pub trunks: Vec<TrunkSummary>,
}

/// A trunk as it is now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrunkSummary {
    /// Its name.
    pub name: String,
    /// Whether it takes calls: its pings are answered and, where it is registered with, the registration stands.
    pub up: bool,
    /// Since when.
    pub since: Time,
    /// Where calls to it are sent; absent: it takes none.
    pub address: Option<String>,
    /// What its last OPTIONS showed: a status, `silent` or `unreachable`; absent: none was sent.
    pub ping: Option<String>,
    /// `registered`, `pending`, `refused: STATUS` or `no answer`; absent: none is configured.
    pub registration: Option<String>,
    /// Until when it stands.
    pub registered_until: Option<Time>,
    /// What became of our REFERs to it: `not_asked`, `takes` or `refuses`; absent: it is not to be asked.
    pub refer: Option<String>,
    /// Until when it asked to be left alone (503 with Retry-After); absent: it did not.
    pub rests_until: Option<Time>,
    /// Calls it brought that are up.
    pub calls_in: usize,
    /// Calls to it that are up or being dialled.
    pub calls_out: usize,
}

/// The answer to a context patch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContextReply {
    /// The whole context after the merge.
    pub context: BTreeMap<String, serde_json::Value>,
}

/// The answer to a dry run.
#[derive(Clone, Debug, Serialize)]
pub struct EvaluationReply {
    /// One for each event, after one for the state before.
    pub results: Vec<EventResult>,
    /// The facts afterwards.
    pub facts: serde_json::Value,
}

/// Done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DoneReply {
    /// Always true.
    pub done: bool,
}
