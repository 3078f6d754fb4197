//! What crosses the border of this room: inputs and outputs. Every act is an output with an id; its outcome comes back as an input.

use crate::{
    CallId, Cdr, Elsewhere, MessageEnd, Party, Problem, PublicEvent, Reply, Request, RequestId, Restored, StoreId,
    Stored, VoicemailId,
    ids::{OpenId, ResolveId},
};
use core::time::Duration;
use media_relay::{CallKey, PortId, TapId};
use serde::{Deserialize, Serialize};
use signaling::{
    LegId,
    locate::{Target, Wanted},
};
use std::{net::SocketAddr, sync::Arc};

/// What happens to the core.
#[derive(Clone, Debug)]
pub enum Input {
    /// A leg's call control.
    Signaling {
        /// Which leg.
        leg: LegId,
        /// What happened.
        event: signaling::Event,
    },
    /// A port's news.
    Media(media_relay::Event),
    /// The outcome of [`Output::OpenPort`].
    PortOpened {
        /// Which opening.
        id: OpenId,
        /// What was opened.
        opened: Opened,
    },
    /// The other outcome of [`Output::OpenPort`].
    PortFailed {
        /// Which opening.
        id: OpenId,
    },
    /// The outcome of [`Output::Resolve`].
    Resolved {
        /// Which resolution.
        id: ResolveId,
        /// Where it may be dialled, in order; empty when nothing leads there.
        targets: Vec<Target>,
    },
    /// Something came of an [`Output::Outside`].
    Outside {
        /// Which.
        id: signaling::OutsideId,
        /// What.
        event: signaling::OutsideEvent,
    },
    /// The API asks.
    Request {
        /// Echoed with the reply.
        id: RequestId,
        /// What.
        request: Request,
    },
    /// A phone registered or unregistered.
    Contacts {
        /// Whose.
        account: String,
        /// Everywhere the account is registered now.
        contacts: Vec<signaling::Contact>,
    },
    /// What another system says of an agent.
    Availability {
        /// Of whom; somebody who is none is passed over.
        agent: String,
        /// How they stand; none: it is not known, or not any more.
        elsewhere: Option<Elsewhere>,
    },
    /// What came of a recording.
    Recorded {
        /// Whose.
        call: CallId,
        /// The call's line: it may have ended.
        line: String,
        /// What.
        what: Recorded,
    },
    /// The outcome of [`Output::Show`].
    Shown {
        /// Which leg waits for it.
        leg: LegId,
    },
    /// The outcome of an [`Output::Store`].
    Stored {
        /// Which.
        id: StoreId,
        /// Whether it will be there after a restart.
        kept: bool,
    },
    /// How the ledger is.
    Ledger(LedgerNews),
    /// New rules are in force; calls keep their facts.
    RulesLoaded(Arc<policy::RuleSet>),
    /// A new configuration is in force, for what happens from now on.
    Configured(Arc<crate::Config>),
    /// End all calls: the daemon is stopping. Their records come out at once.
    Shutdown,
}

/// How the ledger is, which keeps what outlives the daemon.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerNews {
    /// It was opened, with this in it: at the start, and when it could not be opened before.
    Opened(Box<Restored>),
    /// It cannot be opened or written.
    Failing {
        /// In the operator's words.
        reason: String,
    },
    /// It can be written again.
    Working,
}

/// An open port.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The port.
    pub port: PortId,
    /// Where its peer sends RTP: what our SDP says (the external address, where there is one).
    pub address: SocketAddr,
}

/// What the core wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// To `signaling`.
    Signaling(signaling::Command),
    /// To `signaling`: a request outside of any dialog; answered by [`Input::Outside`].
    Outside(signaling::OutsideCommand),
    /// To `media-relay`.
    Media(media_relay::Command),
    /// Open a port and answer [`Input::PortOpened`] or [`Input::PortFailed`]; at once if that can be done.
    OpenPort {
        /// For the answer.
        id: OpenId,
        /// All ports of a call live on one worker.
        call: CallKey,
    },
    /// Locate a server (RFC 3263) and answer [`Input::Resolved`]. IP literals never come here.
    Resolve {
        /// For the answer.
        id: ResolveId,
        /// Whom.
        wanted: Wanted,
    },
    /// The answer to a request.
    Reply {
        /// Which request.
        id: RequestId,
        /// The answer.
        reply: Box<Result<Reply, Problem>>,
    },
    /// Tell the outside.
    Publish(PublicEvent),
    /// Answer [`Input::Shown`] when everything published so far has been read by whoever follows, or at once when nobody does: then
    /// this leg's phone may ring.
    Show {
        /// For the answer.
        leg: LegId,
    },
    /// Write the record of an ended call. Exactly once a call.
    Cdr(Box<Cdr>),
    /// Keep this beyond the daemon's end; answered by [`Input::Stored`].
    Store {
        /// For the answer.
        id: StoreId,
        /// What.
        what: Box<Stored>,
    },
    /// To the recorder.
    Record(RecordOrder),
    /// Count for the metrics.
    Observe(Observation),
}

/// What the recorder is to do, at the moment of the step that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordOrder {
    /// A recording begins.
    Start {
        /// Names it, as the relay's taps do.
        tap: TapId,
        /// The call.
        call: CallId,
        /// Its line.
        line: String,
        /// What each channel holds.
        channels: Vec<String>,
    },
    /// Who is to be heard from now on, by channel.
    Heard {
        /// In which recording.
        tap: TapId,
        /// Channel and name.
        who: Vec<(u8, String)>,
    },
    /// Keep nothing from now on.
    Pause {
        /// Of which recording.
        tap: TapId,
    },
    /// Keep everything again.
    Resume {
        /// Of which recording.
        tap: TapId,
    },
    /// The recording ends.
    Finish {
        /// Which.
        tap: TapId,
    },
    /// A caller begins to leave a message.
    Message {
        /// Names it, as the relay's taps do.
        tap: TapId,
        /// What it is.
        message: Box<MessageOrder>,
    },
    /// The message ends, and is kept.
    Keep {
        /// Which.
        tap: TapId,
        /// Why it ended.
        ended_by: MessageEnd,
    },
    /// The message ends, and nothing of it is kept.
    Discard {
        /// Which.
        tap: TapId,
    },
}

/// A message that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageOrder {
    /// Its id.
    pub id: VoicemailId,
    /// Whose mailbox.
    pub mailbox: String,
    /// The call.
    pub call: CallId,
    /// Its line.
    pub line: String,
    /// The caller's number; absent when withheld.
    pub from: Option<String>,
}

/// What came of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Its disk refuses it.
    Failed {
        /// What the system said.
        reason: String,
    },
    /// Its files are whole, as far as they can be.
    Finished {
        /// Length of the audio.
        duration_ms: u64,
        /// How much of it was paused.
        paused_ms: u64,
        /// Bytes of the audio's file.
        bytes: u64,
        /// Whether nothing is missing but what was left out on purpose.
        complete: bool,
        /// Public keys of those who can open it; none where it is not encrypted.
        encrypted_to: Vec<String>,
    },
    /// It is elsewhere now.
    Uploaded(Box<Uploaded>),
    /// It is not, and will be tried again.
    UploadFailed {
        /// Of which message, and no recording.
        voicemail: Option<VoicemailId>,
        /// Why.
        reason: String,
        /// Attempts so far.
        attempts: u32,
        /// When the next one is made.
        retry_ms: u64,
        /// How long it has waited.
        waited_ms: u64,
    },
    /// A message is there.
    Message(Box<MessageLeft>),
    /// A message's disk refuses it.
    MessageFailed {
        /// Which.
        voicemail: VoicemailId,
        /// What the system said.
        reason: String,
    },
}

/// A recording that is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// Which message, where it is no recording.
    pub voicemail: Option<VoicemailId>,
    /// The folder that its files are in.
    pub to: String,
    /// Bytes of them all.
    pub bytes: u64,
    /// How long it took since the recording was there.
    pub waited_ms: u64,
    /// Attempts that were made.
    pub attempts: u32,
    /// Whether the audio is here as well.
    pub kept: bool,
}

/// A message that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageLeft {
    /// Its id.
    pub voicemail: VoicemailId,
    /// Whose mailbox.
    pub mailbox: String,
    /// The caller's number; absent when withheld.
    pub from: Option<String>,
    /// Length of the audio.
    pub duration_ms: u64,
    /// Bytes of the audio's file.
    pub bytes: u64,
    /// The audio's file; none when its disk took nothing.
    pub file: Option<String>,
    /// Why it ended.
    pub ended_by: MessageEnd,
    /// Whether nothing is missing.
    pub complete: bool,
    /// Public keys of those who can open it; none where it is not encrypted.
    pub encrypted_to: Vec<String>,
}

/// What metrics are made of beyond [`PublicEvent`]s, [`Cdr`]s and [`Gauges`].
#[derive(Clone, Debug)]
pub enum Observation {
    /// An INVITE was refused before it became a call.
    Refused {
        /// The trunk, when known.
        trunk: Option<String>,
        /// The status sent.
        status: u16,
        /// Whether for overload (503).
        overload: bool,
    },
    /// The caller's INVITE to our answer.
    CallSetup(Duration),
    /// An event was folded.
    Event {
        /// Its type.
        kind: &'static str,
    },
    /// A rule acted: it decided, or did something beside that.
    Acted {
        /// Its id.
        rule: Arc<str>,
    },
    /// A transfer is over.
    Transfer {
        /// `warm` or `cold`.
        mode: policy::Mode,
        /// The destination that was reached, or tried last; `uri` for a direct command.
        destination: Arc<str>,
        /// How it ended.
        outcome: crate::TransferState,
        /// Why, when it failed.
        cause: Option<policy::Cause>,
        /// From the decision to the outcome.
        duration: Duration,
    },
    /// A call that was placed for whoever asked is over.
    Placed {
        /// The campaign; empty: none.
        campaign: String,
        /// `answered`, why they did not answer, `ai_lost` or `cancelled`.
        outcome: &'static str,
    },
    /// A call was not placed.
    NotPlaced {
        /// The campaign; empty: none.
        campaign: String,
        /// `closed`, `at_once`, `rate`, `trunks`, `calls` or `invalid`.
        reason: &'static str,
    },
    /// It is known what has answered a leg that we dialled.
    Answerer {
        /// Whose leg.
        party: Party,
        /// What.
        result: policy::AnsweredBy,
    },
    /// A caller waits no longer for an agent.
    QueueLeft {
        /// The destination's name.
        queue: Arc<str>,
        /// Why.
        outcome: crate::QueueOutcome,
        /// Since when they waited.
        waited: Duration,
    },
    /// A supervisor joined a call, or came to nothing.
    Supervised {
        /// As whom they were asked to join.
        mode: crate::SuperviseMode,
        /// Why they did not.
        failed: Option<policy::Cause>,
    },
    /// Design, section 6.
    HandoffSilence(Duration),
    /// One call's step panicked; the call was ended.
    Panicked {
        /// Which call.
        call: CallId,
    },
}

/// What exists at the moment. All zero when every call is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauges {
    /// Calls by [`crate::CallState::LIVE`], in that order.
    pub calls: [usize; 8],
    /// Legs by party: caller, AI, human, supervisor.
    pub legs: [usize; 4],
    /// Ports asked for or open.
    pub ports: usize,
    /// Armed timers.
    pub timers: usize,
    /// Outstanding openings, resolutions and waiting requests.
    pub outstanding: usize,
}

impl Gauges {
    /// How many legs of `party` there are.
    pub fn legs_of(&self, party: Party) -> usize {
        self.legs[party as usize]
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
