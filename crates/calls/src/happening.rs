//! What the outside is told: one vocabulary for the event stream, the timeline and, later, webhooks and the ledger.

use crate::{CallId, CallbackId, MessageEnd, MessageId, Party, Time, TransferId, VoicemailId, record::EndCause};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One event out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublicEvent {
    /// Counts from 1 over all calls of this process; a stream is resumed by it.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Which call; none for what happens to a trunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The call's line, to filter by; empty without a call.
    pub line: String,
    /// `type` and `data`.
    #[serde(flatten)]
    pub what: Happening,
}

/// `type` and `data` of an event out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "field names are the documentation; interfaces, section 4")]
pub enum Happening {
    /// The caller's INVITE was taken, or somebody is called.
    #[serde(rename = "call.started")]
    CallStarted {
        trunk: String,
        line: String,
        ai: String,
        /// The caller, or whom we call.
        from: Option<String>,
        to: String,
        sip_call_id: String,
        direction: policy::Direction,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign: Option<String>,
    },
    /// The phone of somebody whom we call rings.
    #[serde(rename = "call.ringing")]
    CallRinging { sip_code: u16 },
    /// The caller was answered.
    #[serde(rename = "call.answered")]
    CallAnswered { by: Party },
    /// The AI has the caller: a stint begins.
    #[serde(rename = "ai.connected")]
    AiConnected { profile: String, stint: u32 },
    /// The AI could not be reached, hung up, or fell silent.
    #[serde(rename = "ai.lost")]
    AiLost { profile: String, cause: AiLoss, sip_code: Option<u16>, next: String },
    /// The AI that is being called said that it is to be found elsewhere (3xx).
    #[serde(rename = "ai.redirected")]
    AiRedirected {
        profile: String,
        sip_code: Option<u16>,
        from: String,
        /// Where it will be called, in this order.
        to: Vec<String>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        passed_over: Vec<PassedContact>,
    },
    /// The AI no longer hears nor is heard.
    #[serde(rename = "ai.muted")]
    AiMuted { transfer: TransferId },
    /// Facts changed by an event or by the call itself.
    #[serde(rename = "facts.changed")]
    FactsChanged { event: String },
    /// A rule decided.
    #[serde(rename = "policy.decided")]
    PolicyDecided { rule: String, does: String, trigger: String },
    /// A rule asked that somebody be told.
    #[serde(rename = "policy.notified")]
    PolicyNotified { rule: String, action: serde_json::Value },
    /// A transfer began.
    #[serde(rename = "transfer.started")]
    TransferStarted { transfer: TransferId, to: String, mode: policy::Mode, source: crate::Source },
    /// A human is about to be dialled; carries the whole context.
    #[serde(rename = "agent.offered")]
    AgentOffered {
        transfer: TransferId,
        attempt: u32,
        destination: String,
        target: String,
        /// The agent, where the target is one's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
        context: BTreeMap<String, serde_json::Value>,
    },
    /// An agent stands otherwise than before.
    #[serde(rename = "agent.state")]
    AgentState { agent: String, state: policy::AgentState, was: policy::AgentState, reason: String },
    /// The caller waits for an agent.
    #[serde(rename = "queue.entered")]
    QueueEntered { transfer: TransferId, queue: String, priority: u32, position: usize },
    /// The caller is told which place they have.
    #[serde(rename = "queue.position")]
    QueuePosition { transfer: TransferId, queue: String, position: usize },
    /// The caller waits no longer.
    #[serde(rename = "queue.left")]
    QueueLeft { transfer: TransferId, queue: String, outcome: QueueOutcome, waited_ms: u64 },
    /// Their phone rings.
    #[serde(rename = "agent.ringing")]
    AgentRinging { transfer: TransferId, attempt: u32, target: String, sip_code: u16 },
    /// They answered.
    #[serde(rename = "agent.answered")]
    AgentAnswered { transfer: TransferId, attempt: u32, target: String },
    /// They alone hear what it is about.
    #[serde(rename = "whisper.started")]
    WhisperStarted {
        transfer: TransferId,
        attempt: u32,
        by: WhisperedBy,
        /// Clips, in the order of their being said.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        said: Vec<String>,
        /// What the AI is to do: it hears the human alone, and they it, until it posts `ready`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<String>,
    },
    /// What has answered a leg that we dialled, by its sound: a human's (`transfer` and `attempt`), or that of whom we called.
    #[serde(rename = "amd.result")]
    AmdResult {
        leg: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transfer: Option<TransferId>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        #[serde(flatten)]
        amd: crate::AmdRecord,
    },
    /// They took the call.
    #[serde(rename = "agent.accepted")]
    AgentAccepted { transfer: TransferId, attempt: u32, target: String, by: AcceptedBy },
    /// The AI introduces the caller: it, the caller and the human hear one another, for so long at the most.
    #[serde(rename = "introduction.started")]
    IntroductionStarted { transfer: TransferId, attempt: u32, target: String, within_ms: u64 },
    /// The introduction is over.
    #[serde(rename = "introduction.ended")]
    IntroductionEnded { transfer: TransferId, by: IntroductionEnd, lasted_ms: u64 },
    /// The AI stays with caller and human: it hears both, and is heard by nobody.
    #[serde(rename = "copilot.started")]
    CopilotStarted { transfer: TransferId, profile: String },
    /// What a co-pilot has to say to the agent's screen: a `summary`, `transcript` or `custom` event, as it was posted.
    #[serde(rename = "copilot.event")]
    CopilotEvent { leg: String, event: serde_json::Value },
    /// Caller and human hear each other.
    #[serde(rename = "transfer.bridged")]
    TransferBridged { transfer: TransferId, attempt: u32, destination: String, target: String, waited_ms: u64 },
    /// An attempt failed; `next` says what follows: a destination, the next target, `ai` or `end`.
    #[serde(rename = "transfer.failed")]
    TransferFailed {
        transfer: TransferId,
        attempt: u32,
        destination: String,
        target: String,
        cause: policy::Cause,
        sip_code: Option<u16>,
        next: String,
    },
    /// The caller's trunk has called them away, as it was asked to by REFER; the call ends here.
    #[serde(rename = "transfer.referred")]
    TransferReferred { transfer: TransferId, attempt: u32, destination: String, target: String },
    /// By command.
    #[serde(rename = "transfer.cancelled")]
    TransferCancelled { transfer: TransferId },
    /// Design, section 6; one second after the bridge.
    #[serde(rename = "transfer.measured")]
    TransferMeasured { transfer: TransferId, handoff_silence_ms: u64 },
    /// The caller goes back to the AI: from whom, who had them for how long, and with which word.
    #[serde(rename = "call.handed_back")]
    HandedBack {
        reason: String,
        by: String,
        human_ms: u64,
        disposition: Option<String>,
        note: Option<String>,
        to_ai: Option<String>,
    },
    /// A party asked by REFER for a transfer that cannot be made.
    #[serde(rename = "transfer.refused")]
    ReferRefused { leg: String, to: String, sip_code: u16 },
    /// A transfer failed, and the human who asked for it has the caller again.
    #[serde(rename = "call.returned")]
    CallReturned { leg: String },
    /// A supervisor answered: they hear the call, and are heard as their mode says.
    #[serde(rename = "supervisor.joined")]
    SupervisorJoined { supervisor: String, to: String, mode: crate::SuperviseMode },
    /// A supervisor's mode changed.
    #[serde(rename = "supervisor.changed")]
    SupervisorChanged { supervisor: String, mode: crate::SuperviseMode },
    /// A supervisor who had joined is gone: `by` is `peer`, `command`, `us` (the call ended) or how else their leg ended.
    #[serde(rename = "supervisor.left")]
    SupervisorLeft { supervisor: String, by: String, duration_ms: u64 },
    /// A supervisor could not be reached; the call goes on.
    #[serde(rename = "supervisor.failed")]
    SupervisorFailed { supervisor: String, to: String, cause: policy::Cause, sip_code: Option<u16> },
    /// A leg took the place of another (Replaces).
    #[serde(rename = "leg.replaced")]
    LegReplaced { leg: String, by: String, peer: String },
    /// A leg of another call joined this one: an attended transfer.
    #[serde(rename = "leg.joined")]
    LegJoined { leg: String, from: CallId },
    /// A leg of this call joined another call, and this one ends.
    #[serde(rename = "call.joined")]
    CallJoined { leg: String, into: CallId },
    /// A digit was pressed.
    #[serde(rename = "dtmf")]
    Dtmf { leg: String, digit: String, duration_ms: u64 },
    /// A party holds us, or took us off hold.
    #[serde(rename = "leg.hold")]
    LegHold { leg: String, holds: bool },
    /// Audio flows one way only between us and a leg.
    #[serde(rename = "leg.one_way_audio")]
    OneWayAudio { leg: String, missing: media_relay::Direction },
    /// An announcement plays to the caller.
    #[serde(rename = "announcement.started")]
    AnnouncementStarted { prompt: String },
    /// The call is recorded from now on.
    #[serde(rename = "recording.started")]
    RecordingStarted { channels: Vec<String> },
    /// The caller agreed to be recorded, or did not.
    #[serde(rename = "recording.consent")]
    RecordingConsent { granted: bool, by: ConsentBy },
    /// A rule acted on the recording; `not_done` says why nothing came of it.
    #[serde(rename = "recording.rule")]
    RecordingRule {
        rule: String,
        action: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_done: Option<String>,
    },
    /// Nothing is kept for so long.
    #[serde(rename = "recording.paused")]
    RecordingPaused { for_ms: u64 },
    /// Everything is kept again.
    #[serde(rename = "recording.resumed")]
    RecordingResumed {},
    /// The recording cannot be written; the call goes on.
    #[serde(rename = "recording.failed")]
    RecordingFailed { reason: String },
    /// The recording's files are there; comes after the call's end.
    #[serde(rename = "recording.finished")]
    RecordingFinished {
        duration_ms: u64,
        paused_ms: u64,
        bytes: u64,
        complete: bool,
        encrypted: bool,
        /// Public keys of those who can open it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recipients: Vec<String>,
    },
    /// The recording's files, or those of a message, have arrived elsewhere.
    #[serde(rename = "recording.uploaded")]
    RecordingUploaded {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voicemail: Option<VoicemailId>,
        to: String,
        bytes: u64,
        waited_ms: u64,
        attempts: u32,
        kept: bool,
    },
    /// They have not, and are tried again.
    #[serde(rename = "recording.upload_failed")]
    RecordingUploadFailed {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        voicemail: Option<VoicemailId>,
        reason: String,
        attempts: u32,
        retry_ms: u64,
        waited_ms: u64,
    },
    /// The caller hears a mailbox's greeting, then its beep.
    #[serde(rename = "voicemail.started")]
    VoicemailStarted { mailbox: String },
    /// A message is there; comes after the call's end, mostly.
    #[serde(rename = "voicemail.left")]
    VoicemailLeft {
        voicemail: VoicemailId,
        mailbox: String,
        from: Option<String>,
        duration_ms: u64,
        bytes: u64,
        file: Option<String>,
        ended_by: MessageEnd,
        complete: bool,
        encrypted: bool,
        /// Public keys of those who can open it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        recipients: Vec<String>,
    },
    /// A message was shorter than the mailbox keeps.
    #[serde(rename = "voicemail.discarded")]
    VoicemailDiscarded { voicemail: VoicemailId, mailbox: String, spoken_ms: u64, min_ms: u64, ended_by: MessageEnd },
    /// A message cannot be written.
    #[serde(rename = "voicemail.failed")]
    VoicemailFailed { voicemail: VoicemailId, reason: String },
    /// A caller wants to be called back; `again` when they wait for it already.
    #[serde(rename = "callback.requested")]
    CallbackRequested {
        callback: CallbackId,
        list: String,
        number: String,
        at: Option<String>,
        reason: Option<String>,
        again: bool,
    },
    /// A callback is so far.
    #[serde(rename = "callback.changed")]
    CallbackChanged {
        callback: CallbackId,
        state: crate::CallbackState,
        agent: Option<String>,
        tries: u32,
        outcome: Option<String>,
        tried_in: Option<CallId>,
    },
    /// A caller left a message with the AI.
    #[serde(rename = "message.left")]
    MessageLeft { message: MessageId, from: Option<String>, text: String },
    /// The AI is to take a message: nobody else is there for the caller.
    #[serde(rename = "message.wanted")]
    MessageWanted { transfer: TransferId, cause: Option<policy::Cause> },
    /// What is to outlive the daemon cannot be written; calls go on, and it is tried again.
    #[serde(rename = "ledger.failing")]
    LedgerFailing { reason: String },
    /// It can be written again.
    #[serde(rename = "ledger.working")]
    LedgerWorking {},
    /// A trunk takes calls (again).
    #[serde(rename = "trunk.up")]
    TrunkUp { trunk: String, reason: String },
    /// A trunk takes no calls: others are tried first.
    #[serde(rename = "trunk.down")]
    TrunkDown { trunk: String, reason: String },
    /// The end.
    #[serde(rename = "call.ended")]
    CallEnded {
        cause: EndCause,
        /// Why whoever we called did not answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<policy::Cause>,
        by: String,
        sip_code: Option<u16>,
        duration_ms: u64,
    },
}

/// A contact of a redirection that is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedContact {
    /// As it was written, without headers.
    pub contact: String,
    /// Why.
    pub why: String,
}

/// Who whispers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhisperedBy {
    /// A prompt.
    Prompt,
    /// Recorded words that tell what is known.
    Context,
    /// What the caller said last, in their own voice.
    Clip,
    /// The AI.
    Ai,
}

impl Happening {
    /// The `type` on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CallStarted { .. } => "call.started",
            Self::CallRinging { .. } => "call.ringing",
            Self::CallAnswered { .. } => "call.answered",
            Self::AiConnected { .. } => "ai.connected",
            Self::AiLost { .. } => "ai.lost",
            Self::AiRedirected { .. } => "ai.redirected",
            Self::AiMuted { .. } => "ai.muted",
            Self::FactsChanged { .. } => "facts.changed",
            Self::PolicyDecided { .. } => "policy.decided",
            Self::PolicyNotified { .. } => "policy.notified",
            Self::TransferStarted { .. } => "transfer.started",
            Self::AgentOffered { .. } => "agent.offered",
            Self::AgentState { .. } => "agent.state",
            Self::QueueEntered { .. } => "queue.entered",
            Self::QueuePosition { .. } => "queue.position",
            Self::QueueLeft { .. } => "queue.left",
            Self::AgentRinging { .. } => "agent.ringing",
            Self::AgentAnswered { .. } => "agent.answered",
            Self::WhisperStarted { .. } => "whisper.started",
            Self::AmdResult { .. } => "amd.result",
            Self::AgentAccepted { .. } => "agent.accepted",
            Self::IntroductionStarted { .. } => "introduction.started",
            Self::IntroductionEnded { .. } => "introduction.ended",
            Self::CopilotStarted { .. } => "copilot.started",
            Self::CopilotEvent { .. } => "copilot.event",
            Self::TransferBridged { .. } => "transfer.bridged",
            Self::TransferFailed { .. } => "transfer.failed",
            Self::TransferReferred { .. } => "transfer.referred",
            Self::TransferCancelled { .. } => "transfer.cancelled",
            Self::TransferMeasured { .. } => "transfer.measured",
            Self::HandedBack { .. } => "call.handed_back",
            Self::ReferRefused { .. } => "transfer.refused",
            Self::CallReturned { .. } => "call.returned",
            Self::SupervisorJoined { .. } => "supervisor.joined",
            Self::SupervisorChanged { .. } => "supervisor.changed",
            Self::SupervisorLeft { .. } => "supervisor.left",
            Self::SupervisorFailed { .. } => "supervisor.failed",
            Self::LegReplaced { .. } => "leg.replaced",
            Self::LegJoined { .. } => "leg.joined",
            Self::CallJoined { .. } => "call.joined",
            Self::Dtmf { .. } => "dtmf",
            Self::LegHold { .. } => "leg.hold",
            Self::OneWayAudio { .. } => "leg.one_way_audio",
            Self::AnnouncementStarted { .. } => "announcement.started",
            Self::RecordingStarted { .. } => "recording.started",
            Self::RecordingConsent { .. } => "recording.consent",
            Self::RecordingRule { .. } => "recording.rule",
            Self::RecordingPaused { .. } => "recording.paused",
            Self::RecordingResumed {} => "recording.resumed",
            Self::RecordingFailed { .. } => "recording.failed",
            Self::RecordingFinished { .. } => "recording.finished",
            Self::RecordingUploaded { .. } => "recording.uploaded",
            Self::RecordingUploadFailed { .. } => "recording.upload_failed",
            Self::VoicemailStarted { .. } => "voicemail.started",
            Self::VoicemailLeft { .. } => "voicemail.left",
            Self::VoicemailDiscarded { .. } => "voicemail.discarded",
            Self::VoicemailFailed { .. } => "voicemail.failed",
            Self::CallbackRequested { .. } => "callback.requested",
            Self::CallbackChanged { .. } => "callback.changed",
            Self::MessageLeft { .. } => "message.left",
            Self::MessageWanted { .. } => "message.wanted",
            Self::LedgerFailing { .. } => "ledger.failing",
            Self::LedgerWorking {} => "ledger.working",
            Self::TrunkUp { .. } => "trunk.up",
            Self::TrunkDown { .. } => "trunk.down",
            Self::CallEnded { .. } => "call.ended",
        }
    }
}

/// Why a caller waits no longer for an agent.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueOutcome {
    /// An agent has them.
    Connected,
    /// They waited as long as one waits there.
    Overflow,
    /// They hung up, or the call ended otherwise.
    Abandoned,
    /// By command, or because the rules say otherwise now.
    Cancelled,
}

impl QueueOutcome {
    /// The name in events and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Overflow => "overflow",
            Self::Abandoned => "abandoned",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What ended an introduction.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntroductionEnd {
    /// The AI posted `ready`.
    Ready,
    /// The human pressed the key.
    Digit,
    /// The screen of the human accepted.
    Command,
    /// It had lasted as long as it may.
    Timeout,
    /// The AI's leg ended.
    AiLost,
    /// The human hung up or declined, or the transfer was cancelled: there was no bridge.
    GivenUp,
}

/// How an AI was lost.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiLoss {
    /// It answered with a failure.
    Refused,
    /// It did not answer in time.
    NoAnswer,
    /// No way to it: name, transport, port.
    Unreachable,
    /// It hung up in mid-call.
    HungUp,
    /// It sent no RTP for its profile's `dead_after`.
    DeadMedia,
}

/// How a caller said whether they agree to be recorded.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentBy {
    /// By the event `consent`.
    Event,
    /// By a key.
    Digit,
}

/// How a human took a call.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptedBy {
    /// By answering: nothing more was asked.
    Answer,
    /// By the digit.
    Digit,
    /// By their screen.
    Command,
}
