//! The B2BUA itself: calls, legs, who hears whom, and the transfer from AI to human and back, without side effects.
#![forbid(unsafe_code)]

mod api;
mod config;
mod happening;
mod ids;
mod problem;
mod record;

pub use api::{
    AcceptBody, AcceptWord, CallDetail, CallList, CallState, CallSummary, ContextBody, ContextReply, DecisionReply,
    DoneReply, EvaluateBody, EvaluationReply, EventResult, EventsReply, Guidance, HandbackBody, OnFailureBody, Reply,
    Request, TransferBody, TransferReply,
};
pub use config::{
    AfterHuman, AiFailureStep, AiProfile, CallerId, Config, Limits, Media, Nat, Network, Numbers, Route, Trunk,
    TrunkCredentials,
};
pub use happening::{AcceptedBy, AiLoss, Happening, PublicEvent};
pub use ids::{BadId, CallId, OpenId, RequestId, ResolveId, TransferId};
pub use problem::Problem;
pub use record::{
    AttemptRecord, Cdr, DecisionRecord, EndCause, LegRecord, MediaRecord, Party, Source, Time, TimelineEntry,
    TransferRecord, TransferState,
};
