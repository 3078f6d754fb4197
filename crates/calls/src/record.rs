//! What is remembered of a call: the same records answer the API while it lives and make its CDR when it has ended.

use crate::{CallId, CallbackId, TransferId, VoicemailId};
use clock::Now;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment of civil time, to the millisecond; written as RFC 3339 in UTC.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub u64,
);

impl From<Now> for Time {
    fn from(now: Now) -> Self {
        Self(now.unix_ms())
    }
}

impl Time {
    /// Milliseconds from `earlier` to this; zero when the clock was set back in between.
    pub fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    fn timestamp(self) -> jiff::Timestamp {
        i64::try_from(self.0)
            .ok()
            .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
            .unwrap_or(jiff::Timestamp::MAX)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let timestamp: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Self(u64::try_from(timestamp.as_millisecond()).unwrap_or_default()))
    }
}

/// Whose leg it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// Who called.
    Caller,
    /// The AI voice agent.
    Ai,
    /// A human the caller is or may be handed to.
    Human,
    /// Somebody who watches over the call: listens, speaks to the human alone, or to both.
    Supervisor,
}

/// Why a leg or call ended, in one word for tables and metrics.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The caller hung up, or gave up before the answer.
    CallerHungUp,
    /// The human hung up after the bridge, and the profile ends the call then.
    HumanHungUp,
    /// The AI is gone and nothing was left to try.
    AiLost,
    /// Nobody was left to take the caller.
    NobodyLeft,
    /// They left a message, which came to its end.
    Voicemail,
    /// They will be called back.
    Callback,
    /// Whoever we called did not take the call.
    NotReached,
    /// By the API.
    Command,
    /// By a rule.
    Rule,
    /// One of its parties joined it to another call; what is left of it goes on there.
    Joined,
    /// The caller's trunk has called them away, as it was asked to by REFER.
    Referred,
    /// The limit on a call's length.
    MaxDuration,
    /// No RTP from the caller.
    MediaTimeout,
    /// The call could not be served: no route, no port, no common codec.
    Refused,
    /// The daemon is stopping.
    Shutdown,
    /// A defect of our own, in its signaling or its audio, ended this call alone.
    InternalError,
}

/// One leg, from its first INVITE to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LegRecord {
    /// Stable within the call: `caller`, `ai-1`, `human-2`, `supervisor-1`.
    pub name: String,
    /// Whose.
    pub party: Party,
    /// The URI dialled, or the caller's.
    pub peer: String,
    /// AI profile, destination or trunk.
    pub via: String,
    /// When it began.
    pub setup: Time,
    /// First ringing (180 or 183).
    pub ringing: Option<Time>,
    /// Its answer.
    pub answered: Option<Time>,
    /// Its end.
    pub ended: Option<Time>,
    /// The final SIP status when it was never answered.
    pub sip_code: Option<u16>,
    /// `peer`, `us`, `cancel`, `timeout`, `transport`, `refused`, `media`.
    pub ended_by: Option<String>,
    /// The peer's Reason header (RFC 3326), for example `Q.850;cause=16`.
    pub reason: Option<String>,
    /// Codec agreed.
    pub codec: Option<String>,
    /// What its port counted.
    pub media: Option<MediaRecord>,
}

/// What a leg's port counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MediaRecord {
    /// RTP packets from the peer.
    pub packets_received: u64,
    /// RTP packets to the peer.
    pub packets_sent: u64,
    /// Lost on the way to us.
    pub packets_lost: u64,
    /// Interarrival jitter at the end, in milliseconds.
    pub jitter_ms: f64,
    /// Lost on the way to the peer, by its last RTCP report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_packets_lost: Option<u64>,
    /// Interarrival jitter at the peer, in milliseconds, by its last RTCP report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_jitter_ms: Option<f64>,
    /// Round trip to the peer, in milliseconds, by RTCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f64>,
    /// How the peer's audio would be judged here (mean opinion score, 1 to 4.41, by the E-model of ITU-T G.107).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mos: Option<f64>,
    /// How our audio would be judged at the peer: what it says itself (RFC 3611), or estimated from its reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_mos: Option<f64>,
}

/// What asked for a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Source {
    /// A rule fired.
    Rule {
        /// Its id.
        rule: String,
    },
    /// A command over the API.
    Command,
    /// A step of `on_ai_failure`.
    AiLost,
    /// The human hung up, and the profile's `after_human` names a destination.
    AfterHuman,
    /// The call's route goes straight to a trunk.
    Bypass,
    /// A caller is called back.
    Callback {
        /// Which callback.
        callback: CallbackId,
    },
    /// A party of the call, by a feature code.
    FeatureCode {
        /// Which leg.
        leg: String,
        /// The keys.
        code: String,
    },
    /// A party of the call, by REFER.
    Refer {
        /// Which leg.
        leg: String,
        /// The URI of Referred-By, if one was given.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        referred_by: Option<String>,
    },
}

/// How far a transfer is, or how it ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// The AI's last words play out; the human may be dialled meanwhile.
    LastWords,
    /// The caller waits for an agent.
    Queued,
    /// The caller waits while a human is dialled or rings.
    Ringing,
    /// A human answered and is being told, or has yet to accept.
    Whisper,
    /// The AI introduces the caller to the human; all three hear one another.
    Introduction,
    /// Caller and human hear each other.
    Bridged,
    /// The caller's trunk has called them away, as it was asked to by REFER.
    Referred,
    /// The caller leaves a message.
    Voicemail,
    /// The caller will be called back.
    Callback,
    /// Nobody took the caller.
    Failed,
    /// By command.
    Cancelled,
    /// The caller hung up, or the call ended otherwise.
    CallEnded,
}

impl TransferState {
    /// Whether nothing more can happen to it.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Bridged
                | Self::Referred
                | Self::Voicemail
                | Self::Callback
                | Self::Failed
                | Self::Cancelled
                | Self::CallEnded
        )
    }
}

/// One attempt at one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Counts from 1 within the transfer.
    pub attempt: u32,
    /// The destination's name, or the URI of a direct command.
    pub destination: String,
    /// The URI dialled.
    pub target: String,
    /// The agent, where the target is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The leg's name.
    pub leg: String,
    /// When it was dialled.
    pub started: Time,
    /// First ringing.
    pub ringing: Option<Time>,
    /// Its answer.
    pub answered: Option<Time>,
    /// Its acceptance.
    pub accepted: Option<Time>,
    /// What answered, where that was listened for and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<AmdRecord>,
    /// When it failed or was given up.
    pub ended: Option<Time>,
    /// Why it failed; absent when it was bridged, or given up because another accepted first.
    pub cause: Option<policy::Cause>,
    /// The final SIP status.
    pub sip_code: Option<u16>,
}

/// What answered a leg that we dialled, by its sound.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmdRecord {
    /// `human`, `machine` or `unknown`.
    pub result: policy::AnsweredBy,
    /// Why.
    pub because: media_relay::Because,
    /// How much was heard until then, in milliseconds.
    pub after_ms: u64,
}

impl From<media_relay::Finding> for AmdRecord {
    fn from(finding: media_relay::Finding) -> Self {
        let result = match finding.answerer {
            media_relay::Answerer::Human => policy::AnsweredBy::Human,
            media_relay::Answerer::Machine => policy::AnsweredBy::Machine,
            media_relay::Answerer::Unknown => policy::AnsweredBy::Unknown,
        };
        let after_ms = u64::try_from(finding.after.as_millis()).unwrap_or(u64::MAX);
        Self { result, because: finding.because, after_ms }
    }
}

/// A transfer, from its decision to its outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransferRecord {
    /// Its id.
    pub id: TransferId,
    /// Its call.
    pub call: CallId,
    /// What asked for it.
    pub source: Source,
    /// Where to, as asked.
    pub to: String,
    /// `warm` or `cold`.
    pub mode: policy::Mode,
    /// How far it is.
    pub state: TransferState,
    /// The decision.
    pub started: Time,
    /// When the caller began to wait (music started).
    pub waiting: Option<Time>,
    /// The bridge.
    pub bridged: Option<Time>,
    /// Its outcome.
    pub ended: Option<Time>,
    /// Why it failed: the last attempt's cause.
    pub cause: Option<policy::Cause>,
    /// The last attempt's final SIP status.
    pub sip_code: Option<u16>,
    /// Each attempt in the order of dialling.
    pub attempts: Vec<AttemptRecord>,
    /// The agents of the destination tried last, and why each was passed over when it was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<policy::Candidate>,
    /// Design, section 6: the longest silence toward the caller around the handoff, in milliseconds.
    pub handoff_silence_ms: Option<u64>,
}

/// A call's recording, as far as the call knows of it; its timeline says the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingRecord {
    /// Its start.
    pub started: Time,
    /// Its end.
    pub ended: Option<Time>,
    /// Time spent in pauses that are over, in milliseconds.
    pub paused_ms: u64,
    /// Since when it has been paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<Time>,
    /// What its disk refused it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A message that the caller left, or began to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoicemailRecord {
    /// Its id.
    pub voicemail: VoicemailId,
    /// Whose mailbox.
    pub mailbox: String,
    /// The beep's end.
    pub started: Time,
    /// From there to the end of what was said, in milliseconds.
    pub spoken_ms: u64,
    /// Why it ended.
    pub ended_by: MessageEnd,
    /// Whether it was long enough to be kept.
    pub kept: bool,
    /// What its disk refused it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// Why a message ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageEnd {
    /// The caller hung up.
    HungUp,
    /// The caller said nothing for so long.
    Silence,
    /// It was as long as a message may be.
    Limit,
    /// The caller pressed `#`.
    Key,
    /// The call went on otherwise, or was ended.
    Other,
}

impl MessageEnd {
    /// The name in events and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HungUp => "hung_up",
            Self::Silence => "silence",
            Self::Limit => "limit",
            Self::Key => "key",
            Self::Other => "other",
        }
    }

    /// The end of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::HungUp, Self::Silence, Self::Limit, Self::Key, Self::Other].into_iter().find(|end| end.name() == name)
    }
}

/// A decision of the policy, with its reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// When.
    pub time: Time,
    /// What made the rules run: an event's type, `start`, `timer`.
    pub trigger: String,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    /// The transfer it started.
    pub transfer: Option<TransferId>,
    /// Rule by rule.
    pub explanation: policy::Explanation,
}

/// One line of a call's story.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When.
    pub time: Time,
    /// What: one of the public events.
    #[serde(flatten)]
    pub what: crate::Happening,
}

/// The record of an ended call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cdr {
    /// Version of this shape.
    pub version: u32,
    /// Its id.
    pub call: CallId,
    /// Call-ID of the caller's INVITE.
    pub sip_call_id: String,
    /// The trunk that brought it, or carried it to whom we called.
    pub trunk: String,
    /// The line called.
    pub line: String,
    /// The AI profile the route names.
    pub ai: String,
    /// The caller's number or user, or whom we called; absent when withheld.
    pub from: Option<String>,
    /// The number called, or what we showed to whom we called.
    pub to: String,
    /// The caller's INVITE.
    pub setup: Time,
    /// First ringing toward the caller.
    pub ringing: Option<Time>,
    /// Our answer to the caller.
    pub answered: Option<Time>,
    /// The caller's first RTP packet.
    pub first_media: Option<Time>,
    /// First bridge with a human.
    pub bridged: Option<Time>,
    /// The end.
    pub released: Time,
    /// Answered time, in milliseconds.
    pub duration_ms: u64,
    /// Why it ended.
    pub cause: EndCause,
    /// Who ended it.
    pub ended_by: String,
    /// Status sent to a caller that was never answered.
    pub sip_code: Option<u16>,
    /// The first handoff's silence, in milliseconds; each transfer has its own.
    pub handoff_silence_ms: Option<u64>,
    /// All legs.
    pub legs: Vec<LegRecord>,
    /// All decisions kept.
    pub decisions: Vec<DecisionRecord>,
    /// All transfers.
    pub transfers: Vec<TransferRecord>,
    /// Its recording, when it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<RecordingRecord>,
    /// Whether the caller agreed to be recorded, when that was asked or said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_consent: Option<bool>,
    /// The messages the caller left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub voicemails: Vec<VoicemailRecord>,
    /// The callback that was carried out, when the call was placed for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackId>,
    /// Who called whom.
    #[serde(default)]
    pub direction: policy::Direction,
    /// The campaign that the call was placed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// Why whoever we called did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<policy::Cause>,
    /// What answered our call, where that was listened for and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<AmdRecord>,
    /// Tags the rules gave.
    pub tags: Vec<String>,
    /// Events taken.
    pub events: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339_and_reads_back() {
        let time = Time(1_795_000_000_123);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(json, "\"2026-11-18T11:06:40.123Z\"");
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
    }
}
