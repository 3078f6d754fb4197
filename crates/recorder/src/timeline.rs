//! What a recording's audio does not say: who was to be heard on which channel and when, pauses, and what happened meanwhile.

use crate::Flaws;
use serde::{Deserialize, Serialize};

/// Lines of one timeline; more are counted.
const MAX_LINES: usize = 10_000;

/// A moment of a recording, in milliseconds from its start.
pub type Moment = u64;

/// The file beside the audio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Version of this shape.
    pub version: u32,
    /// The call.
    pub call: String,
    /// Its line.
    pub line: String,
    /// What a message left in a mailbox has beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// To whom it is encrypted, where it is: public keys. What is not in this file then is in the one named here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<Encrypted>,
    /// How far it is.
    pub state: State,
    /// The audio's file, beside this one; none when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    /// `wav-pcm16` or `wav-g711`.
    pub format: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// What each channel holds, in the audio's order.
    pub channels: Vec<String>,
    /// The recording's start, RFC 3339.
    pub started: String,
    /// Length of the audio.
    pub duration_ms: Moment,
    /// Bytes of the audio's file.
    pub bytes: u64,
    /// Nothing is missing but what was left out on purpose.
    pub complete: bool,
    /// What is missing.
    pub flaws: Flaws,
    /// Who was to be heard where.
    pub segments: Vec<Segment>,
    /// Stretches of silence with a reason.
    pub gaps: Vec<Gap>,
    /// What happened in the call: the events of the control API, without context, without which digits were pressed, and without
    /// those pressed in a pause.
    pub events: Vec<Event>,
    /// Segments, gaps and events that found no place.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// Who can open what is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encrypted {
    /// Their public keys.
    pub to: Vec<String>,
    /// The file of the whole timeline, beside this one; absent before there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<String>,
}

/// A message left in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id, which its files are called by.
    pub id: String,
    /// Whose mailbox.
    pub mailbox: String,
    /// The caller's number; absent when withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Why it ended, once it has: `hung_up`, `silence`, `limit`, `key` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
}

/// How far a recording is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It grows.
    Recording,
    /// It was ended.
    Finished,
    /// The daemon died over it; the audio goes on to the last second.
    Interrupted,
}

/// Somebody on a channel for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The channel, from 0.
    pub channel: u8,
    /// A leg's name (`caller`, `ai-1`, `human-2`), `music`, `prompt` or `ringback`.
    pub who: String,
    /// Its beginning.
    pub from_ms: Moment,
    /// Its end; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<Moment>,
}

/// Silence that is not the parties'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why.
    pub reason: Reason,
    /// Its beginning.
    pub from_ms: Moment,
    /// Its end; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<Moment>,
}

/// Why there is silence.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The recording was paused.
    Paused,
    /// The disk took nothing.
    Disk,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at_ms: Moment,
    /// `type` and `data` as the control API has them.
    #[serde(flatten)]
    pub what: serde_json::Value,
}

impl Timeline {
    /// A recording begins.
    pub fn new(call: &str, line: &str, format: &str, channels: Vec<String>, started: String) -> Self {
        Self {
            version: 1,
            call: call.to_owned(),
            line: line.to_owned(),
            message: None,
            encrypted: None,
            state: State::Recording,
            audio: None,
            format: format.to_owned(),
            sample_rate: crate::RATE,
            channels,
            started,
            duration_ms: 0,
            bytes: 0,
            complete: false,
            flaws: Flaws::default(),
            segments: Vec::new(),
            gaps: Vec::new(),
            events: Vec::new(),
            left_out: 0,
        }
    }

    /// What anybody may know of an encrypted recording: not who was heard when, not what happened, not who called.
    #[must_use]
    pub fn outline(&self) -> Self {
        let message = self.message.clone().map(|message| Message { from: None, ..message });
        let (segments, gaps, events) = (Vec::new(), Vec::new(), Vec::new());
        Self { message, segments, gaps, events, ..self.clone() }
    }

    /// From now on these are to be heard, by channel; whoever is not named any more is not.
    pub fn heard(&mut self, at: Moment, who: &[(u8, String)]) {
        for segment in self.segments.iter_mut().filter(|segment| segment.to_ms.is_none()) {
            if !who.iter().any(|(channel, who)| segment.channel == *channel && segment.who == *who) {
                segment.to_ms = Some(at.max(segment.from_ms));
            }
        }
        for (channel, who) in who {
            let open = |it: &Segment| it.to_ms.is_none() && it.channel == *channel && it.who == *who;
            if !self.segments.iter().any(open) && self.has_room() {
                self.segments.push(Segment { channel: *channel, who: who.clone(), from_ms: at, to_ms: None });
            }
        }
    }

    /// A pause, or the disk's silence, begins.
    pub fn gap(&mut self, at: Moment, reason: Reason) {
        if let Some(gap) = self.gaps.iter_mut().rfind(|gap| gap.reason == reason && gap.to_ms == Some(at)) {
            // It goes on.
            gap.to_ms = None;
        } else if !self.is_in(reason) && self.has_room() {
            self.gaps.push(Gap { reason, from_ms: at, to_ms: None });
        }
    }

    /// It ends.
    pub fn gap_over(&mut self, at: Moment, reason: Reason) {
        if let Some(gap) = self.gaps.iter_mut().rfind(|gap| gap.reason == reason && gap.to_ms.is_none()) {
            gap.to_ms = Some(at.max(gap.from_ms));
        }
    }

    /// Something happened in the call. Digits pressed in a pause are nobody's business.
    pub fn event(&mut self, at: Moment, mut what: serde_json::Value) {
        if what["type"] == "dtmf" {
            let pressed = at.saturating_sub(what["data"]["duration_ms"].as_u64().unwrap_or(0));
            let paused = self.gaps.iter().filter(|gap| gap.reason == Reason::Paused);
            let within = |gap: &Gap| gap.from_ms <= at && gap.to_ms.is_none_or(|until| until >= pressed);
            if paused.into_iter().any(within) {
                return;
            }
        }
        if let Some(data) = what.get_mut("data").and_then(serde_json::Value::as_object_mut) {
            data.remove("context");
            // Callers type secrets.
            data.remove("digit");
        }
        if self.has_room() {
            self.events.push(Event { at_ms: at, what });
        }
    }

    /// The recording is over: what lasts, ends.
    pub fn close(&mut self, state: State, duration: Moment) {
        (self.state, self.duration_ms) = (state, duration);
        for segment in &mut self.segments {
            segment.to_ms = Some(segment.to_ms.unwrap_or(duration).min(duration).max(segment.from_ms));
        }
        for gap in &mut self.gaps {
            gap.to_ms = Some(gap.to_ms.unwrap_or(duration).min(duration).max(gap.from_ms));
        }
        self.complete = state == State::Finished && self.flaws.is_empty();
    }

    /// Time spent in pauses so far, those that ended.
    pub fn paused_ms(&self) -> u64 {
        let paused = self.gaps.iter().filter(|gap| gap.reason == Reason::Paused);
        paused.map(|gap| gap.to_ms.unwrap_or(gap.from_ms) - gap.from_ms).sum()
    }

    fn is_in(&self, reason: Reason) -> bool {
        self.gaps.iter().any(|gap| gap.reason == reason && gap.to_ms.is_none())
    }

    fn has_room(&mut self) -> bool {
        let room = self.segments.len() + self.gaps.len() + self.events.len() < MAX_LINES;
        self.left_out += u64::from(!room);
        room
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
