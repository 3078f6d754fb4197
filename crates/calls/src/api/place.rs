//! Calls that are placed, in the API's words.

use crate::{CallId, CallState, EndCause, Problem, Time};
use core::time::Duration;
use policy::Cause;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The body of `POST /v1/calls`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceBody {
    /// Who is called: a `tel:`, `sip:` or `sips:` URI.
    pub to: String,
    /// The AI profile that talks to them; absent: the campaign's, else that of the line's route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai: Option<String>,
    /// The destination of the rules that gets them instead of an AI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<String>,
    /// The line whose rules hold; absent: the campaign's, else that on which the number shown would be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The number (E.164) that they see; absent: the campaign's, else `outbound.from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How long their phone rings, from 5s to 3m.
    #[serde(default, with = "policy::duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub ring_timeout: Option<Duration>,
    /// Whether the AI is dialled while their phone rings; absent: as the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predial: Option<bool>,
    /// What is done about a machine that answers; absent: as campaign and configuration say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<AmdBody>,
    /// What is known of them and of why they are called.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub context: BTreeMap<String, serde_json::Value>,
    /// What the call is about: the intent from the first moment on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentBody>,
    /// Tags that rules may ask for, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The campaign it belongs to, which is a tag as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The person's time zone (IANA): the campaign's hours are judged by their clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// `amd` of a call that is placed.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmdBody {
    /// `hang_up`, `continue`, or `none`: nobody listens whether it is one.
    pub on_machine: crate::OnMachine,
}

/// `intent` of a call that is placed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntentBody {
    /// Its name; nobody doubts it.
    Name(String),
    /// As the event says it.
    Full(IntentWords),
}

/// An intent as the event says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentWords {
    /// Its name.
    pub name: String,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
}

/// Tags of one request.
const MOST_TAGS: usize = 16;

impl PlaceBody {
    /// A call to `to`, everything else as the configuration says.
    pub fn to(to: impl Into<String>) -> Self {
        Self { to: to.into(), ..Self::default() }
    }

    /// What can be known to be wrong of it by itself.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if let Some(fault) = crate::dial::fault(&self.to) {
            let number = self.to.starts_with('+') && self.to.bytes().skip(1).all(|byte| byte.is_ascii_digit());
            let fault = if number { format!("{fault}; did you mean `tel:{}`?", self.to) } else { fault.to_owned() };
            return Err(Problem::invalid("to", fault));
        }
        if self.ai.is_some() && self.connect.is_some() {
            return Err(Problem::invalid("connect", "either `ai` or `connect` says who talks to them, not both"));
        }
        let (low, high) = (Duration::from_secs(5), Duration::from_secs(180));
        if self.ring_timeout.is_some_and(|ring| ring < low || ring > high) {
            return Err(Problem::invalid("ring_timeout", "expected 5s to 3m"));
        }
        if let Some(policy::Event::Intent { name, confidence }) = self.intent() {
            if name.is_empty() || name.chars().count() > policy::LONGEST_NAME {
                let detail = format!("a name of 1 to {} characters was expected", policy::LONGEST_NAME);
                return Err(Problem::invalid("intent", detail));
            }
            if confidence.is_some_and(|confidence| !(0.0..=1.0).contains(&confidence)) {
                return Err(Problem::invalid("intent.confidence", "a number from 0 to 1 was expected"));
            }
        }
        if self.tags.len() > MOST_TAGS {
            return Err(Problem::invalid("tags", format!("at most {MOST_TAGS} tags were expected")));
        }
        for (at, tag) in self.tags.iter().enumerate() {
            let fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
            if tag.is_empty() || tag.len() > policy::LONGEST_NAME || !tag.chars().all(fine) {
                let detail =
                    format!("1 to {} letters, digits, `-`, `_`, `.` and `/` were expected", policy::LONGEST_NAME);
                return Err(Problem::invalid(format!("tags[{at}]"), detail));
            }
        }
        Ok(())
    }

    /// The event that says what it is about.
    pub(crate) fn intent(&self) -> Option<policy::Event> {
        let (name, confidence) = match self.intent.as_ref()? {
            IntentBody::Name(name) => (name.clone(), None),
            IntentBody::Full(words) => (words.name.clone(), words.confidence),
        };
        Some(policy::Event::Intent { name, confidence })
    }
}

/// A call that was placed, in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedReply {
    /// Its id.
    pub call: CallId,
    /// Whether it is decided: they answered, and it is known what did where that is listened for; or they will not.
    pub over: bool,
    /// Where the call is.
    pub state: CallState,
    /// When they answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Time>,
    /// Why it ended, when it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EndCause>,
    /// Why they did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Cause>,
    /// The final SIP status of their phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_code: Option<u16>,
    /// What answered, where that was listened for and is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amd: Option<crate::AmdRecord>,
}
