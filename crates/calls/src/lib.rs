//! The B2BUA itself: calls, legs, who hears whom, and the transfer from AI to human and back, without side effects.
//!
//! [`Core`] takes [`Input`]s (a leg's call control, a port's news, a request of the API, the outcome of something it asked
//! for) and answers with [`Output`]s. `Call` only routes; `Leg`, `Transfer` and `Whisper` are machines of their own; the
//! audio plan is one pure function of the call's state (`plan.rs`), sent after each step in which it changed.
//!
//! Architecture invariants:
//! - Nothing is done here, only asked for; what cannot be done comes back as an input and is part of a machine.
//! - A panic in one call's step ends that call, never another.
//! - The caller is never sent a re-INVITE by this room.
#![forbid(unsafe_code)]

mod agents;
mod api;
mod call;
mod callbacks;
mod calls;
mod cause;
mod config;
mod dial;
mod dialling;
mod directory;
mod dry_run;
mod happening;
mod headers;
mod identity;
mod ids;
mod lasting;
mod leg;
mod outbound;
mod outputs;
mod plan;
mod problem;
mod record;
mod redirect;
mod relay;
mod rests;
mod routes;
mod spoken;
mod step;
mod story;
mod transfer;
mod trunks;
mod whisper;

pub use agents::{AGENTS, Agents};
pub use api::{
    AcceptBody, AcceptWord, AgentBody, AgentList, AgentSummary, AmdBody, Availability, CallDetail, CallList, CallState,
    CallSummary, CallbackAction, CallbackList, ClaimBody, ContextBody, ContextReply, DecisionReply, DialBody, DoneBody,
    DoneReply, EvaluateBody, EvaluationReply, EventResult, EventsReply, Guidance, HandbackBody, IntentBody,
    IntentWords, IntroduceBody, Kept, OnFailureBody, PlaceBody, PlacedReply, QueueList, QueueSummary, RecordingAction,
    Reply, Request, SuperviseBody, SuperviseChange, SuperviseMode, SupervisorState, SupervisorSummary, TransferBody,
    TransferReply, TrunkList, TrunkSummary,
};
pub use callbacks::Callbacks;
pub use calls::{Core, Snapshot, Unrestorable};
pub use config::{
    AfterHuman, AiFailureStep, AiProfile, CallerId, CodeAct, Config, ConsentPrompt, FeatureCode, FeatureCodes, Limits,
    Mailbox, Media, Nat, Network, Numbers, Recording, RecordingChannels, RecordingWhen, RedirectHost, Trunk,
    TrunkCredentials,
};
pub use dialling::{Dialling, PREMIUM};
pub use directory::{AgentConfig, DialogWatch, Elsewhere, Presence, Unsaid};
pub use happening::{
    AcceptedBy, AiLoss, ConsentBy, Happening, IntroductionEnd, PassedContact, PublicEvent, QueueOutcome, WhisperedBy,
};
pub use identity::{Forwarded, NumberFormat, RequestUri, TrunkIdentity};
pub use ids::{BadId, CallId, CallbackId, MessageId, OpenId, RequestId, ResolveId, StoreId, TransferId, VoicemailId};
pub use lasting::{AgentPresence, Callback, CallbackState, Message, Restored, Stored};
pub use outbound::{Campaign, OnMachine, Outbound, Pace};
pub use outputs::{
    Gauges, Input, LedgerNews, MessageLeft, MessageOrder, Observation, Opened, Output, RecordOrder, Recorded, Uploaded,
};
pub use problem::Problem;
pub use record::{
    AmdRecord, AttemptRecord, Cdr, DecisionRecord, EndCause, LegRecord, MediaRecord, MessageEnd, Party,
    RecordingRecord, Source, Time, TimelineEntry, TransferRecord, TransferState, VoicemailRecord,
};
pub use routes::Route;
pub use trunks::{OptionsPing, TrunkLimits, TrunkRegistration};
