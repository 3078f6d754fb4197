//! What an AI posts about a call, in the one vocabulary of API, rules and tests.

use crate::{
    diagnostic::did_you_mean,
    text::{Fields, Kind, Node, Problems, Style, from_json, to_json},
};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};
use std::fmt;

/// The longest name, label or id, in characters.
pub const LONGEST_NAME: usize = 128;
/// The longest free text (summary, transcript, message, reason), in characters.
pub const LONGEST_TEXT: usize = 4096;
/// The most bytes one value of `context`, or the `data` of `custom`, may have as JSON.
pub const LARGEST_DATA: usize = 4096;
/// The most events one request may carry.
pub const MOST_EVENTS: usize = 100;
/// The deepest nesting of `context` values and of `data`.
const DEEPEST_DATA: usize = 8;

/// A fact about a call that an AI posts. Serialises with `type` beside its fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// How the caller feels: a score in the profile's scale, a label, or both.
    Sentiment {
        /// From -1 (bad) to 1 (good), unless the profile has a scale of its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        score: Option<f64>,
        /// A word of the AI's, mapped by the profile when there is no score.
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
    /// What the caller wants.
    Intent {
        /// The intent's name.
        name: String,
        /// From 0 to 1; absent counts as 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        confidence: Option<f64>,
    },
    /// The AI did not understand: one more retry.
    NoMatch,
    /// The caller said nothing: one more retry.
    NoInput,
    /// The AI understood: the count of retries starts anew.
    Match,
    /// A verification failed.
    AuthFailed,
    /// A verification succeeded: the count of failures starts anew.
    AuthOk,
    /// What a sale might bring.
    Lead {
        /// Its value, in the operator's currency.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<f64>,
        /// The plan spoken of.
        #[serde(skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// The caller asked for a human, or the AI wants to give the call away.
    TransferRequested {
        /// Why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What the human should know.
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<String>,
    },
    /// The AI has said its last words (`start: on_ready`).
    Ready,
    /// What happened so far.
    Summary {
        /// In words.
        text: String,
    },
    /// One utterance.
    Transcript {
        /// Who spoke.
        speaker: String,
        /// What was said.
        text: String,
    },
    /// The caller's answer to a question of consent.
    Consent {
        /// Yes or no.
        granted: bool,
    },
    /// The caller wants to be called back.
    CallbackRequested {
        /// Where, when not at the caller's own number.
        #[serde(skip_serializing_if = "Option::is_none")]
        number: Option<String>,
        /// When, as the caller said it or as RFC 3339.
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// What about.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The caller left a message in words.
    Message {
        /// The words.
        text: String,
    },
    /// What the AI learned, key by key, merged into the call's context; null removes a key.
    Context {
        /// The keys and their values.
        #[serde(flatten)]
        values: Map<String, Value>,
    },
    /// Anything else, by a name of the operator's.
    Custom {
        /// The name.
        name: String,
        /// A value, or keys and values, that declared facts may read.
        #[serde(skip_serializing_if = "Value::is_null")]
        data: Value,
    },
}

/// The type names, in the order of the reference.
pub const TYPES: [&str; 17] = [
    "sentiment",
    "intent",
    "no_match",
    "no_input",
    "match",
    "auth_failed",
    "auth_ok",
    "lead",
    "transfer_requested",
    "ready",
    "summary",
    "transcript",
    "consent",
    "callback_requested",
    "message",
    "context",
    "custom",
];

impl Event {
    /// The name of its type, as in `type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Sentiment { .. } => "sentiment",
            Self::Intent { .. } => "intent",
            Self::NoMatch => "no_match",
            Self::NoInput => "no_input",
            Self::Match => "match",
            Self::AuthFailed => "auth_failed",
            Self::AuthOk => "auth_ok",
            Self::Lead { .. } => "lead",
            Self::TransferRequested { .. } => "transfer_requested",
            Self::Ready => "ready",
            Self::Summary { .. } => "summary",
            Self::Transcript { .. } => "transcript",
            Self::Consent { .. } => "consent",
            Self::CallbackRequested { .. } => "callback_requested",
            Self::Message { .. } => "message",
            Self::Context { .. } => "context",
            Self::Custom { .. } => "custom",
        }
    }
}

/// An event as it was posted: with the poster's id, if it gave one. A repeated id is answered, not counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Posted {
    /// The poster's id of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

impl From<Event> for Posted {
    fn from(event: Event) -> Self {
        Self { id: None, event }
    }
}

/// Why an event cannot be taken: 422 in the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventError {
    /// Which event of an array, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The field, as a path; empty when the whole event is meant.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "event {index}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for EventError {}

impl Posted {
    /// Reads one event: `{"type": "intent", "name": …}`, or a CloudEvents envelope around it.
    pub fn from_json(value: &Value) -> Result<Self, EventError> {
        let (node, paths) = from_json(value);
        let mut problems = Problems::default();
        let posted = envelope(&node, &mut problems);
        // A misspelt field is the reason, a missing one the consequence.
        let unknown = problems.0.iter().position(|problem| problem.message.starts_with("unknown field"));
        match (problems.0.into_iter().nth(unknown.unwrap_or(0)), posted) {
            (None, Some(posted)) => Ok(posted),
            (problem, _) => Err(problem.map_or_else(
                || EventError { index: None, field: String::new(), message: "not an event".into() },
                |problem| EventError {
                    index: None,
                    field: paths.get(problem.span.column as usize).cloned().unwrap_or_default(),
                    message: match problem.help {
                        Some(help) => format!("{}, {help}", problem.message),
                        None => problem.message,
                    },
                },
            )),
        }
    }

    /// Reads one event or an array of at most [`MOST_EVENTS`]; the first mistake refuses all.
    pub fn list_from_json(value: &Value) -> Result<Vec<Self>, EventError> {
        let Value::Array(items) = value else { return Self::from_json(value).map(|posted| vec![posted]) };
        if items.len() > MOST_EVENTS {
            let message = format!("{} events in one request, at most {MOST_EVENTS} are allowed", items.len());
            return Err(EventError { index: None, field: String::new(), message });
        }
        let read = |(index, item)| Self::from_json(item).map_err(|error| EventError { index: Some(index), ..error });
        items.iter().enumerate().map(read).collect()
    }
}

impl<'de> Deserialize<'de> for Posted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(&Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Posted::deserialize(deserializer).map(|posted| posted.event)
    }
}

/// An event with `type` inside, or a CloudEvents 1.0 envelope whose `data` holds the fields.
fn envelope(node: &Node, problems: &mut Problems) -> Option<Posted> {
    let mut fields = Fields::new(node, "field", problems)?;
    let is_cloud_event = fields.has("specversion");
    let id = match fields.take("id", problems) {
        Some(id) => Some(id.text(problems, LONGEST_NAME)?.to_owned()),
        None => None,
    };
    let kind = fields.need("type", problems)?;
    let name = kind.text(problems, LONGEST_NAME)?;
    if !is_cloud_event {
        let name = known_type(name, kind, problems)?;
        let event = fields_of(name, fields, problems)?;
        return Some(Posted { id, event });
    }
    // A CloudEvents type is dotted ("com.example.intent"); the last part is ours. Other attributes are the sender's own.
    let last = name.rsplit('.').next().unwrap_or(name);
    let name = known_type(if TYPES.contains(&name) { name } else { last }, kind, problems)?;
    let event = match fields.take_entry("data") {
        Some((_, data)) if !matches!(data.kind, Kind::Empty) => {
            fields_of(name, Fields::new(data, "field", problems)?, problems)?
        }
        _ => fields_of(
            name,
            Fields::new(&Node { kind: Kind::Map(Vec::new()), span: node.span }, "field", problems)?,
            problems,
        )?,
    };
    Some(Posted { id, event })
}

fn known_type(name: &str, node: &Node, problems: &mut Problems) -> Option<&'static str> {
    if let Some(known) = TYPES.into_iter().find(|known| *known == name) {
        return Some(known);
    }
    let message = format!("unknown event type `{}`", crate::text::short(name));
    match did_you_mean(name, TYPES) {
        Some(meant) => problems.error_with(node.span, message, format!("did you mean `{meant}`?")),
        None => problems.error_with(node.span, message, format!("the types are {}", TYPES.join(", "))),
    }
    None
}

/// The event `name` with its fields, all of which must be known.
pub(crate) fn fields_of(name: &str, mut fields: Fields<'_>, problems: &mut Problems) -> Option<Event> {
    let before = problems.0.len();
    let event = match name {
        "sentiment" => {
            let score = fields.take("score", problems).and_then(|node| node.number(problems));
            let label = short_text(&mut fields, "label", problems);
            if score.is_none() && label.is_none() && problems.0.len() == before {
                problems.error(fields.span, "`score` or `label` is missing");
            }
            Some(Event::Sentiment { score, label })
        }
        "intent" => {
            let name = fields.need("name", problems).and_then(|node| node.text(problems, LONGEST_NAME));
            let confidence = fields.take("confidence", problems).and_then(|node| share(node, problems));
            name.map(|name| Event::Intent { name: name.to_owned(), confidence })
        }
        "no_match" => Some(Event::NoMatch),
        "no_input" => Some(Event::NoInput),
        "match" => Some(Event::Match),
        "auth_failed" => Some(Event::AuthFailed),
        "auth_ok" => Some(Event::AuthOk),
        "lead" => {
            let value = fields.take("value", problems).and_then(|node| node.number(problems));
            let plan = short_text(&mut fields, "plan", problems);
            if value.is_none() && plan.is_none() && problems.0.len() == before {
                problems.error(fields.span, "`value` or `plan` is missing");
            }
            Some(Event::Lead { value, plan })
        }
        "transfer_requested" => {
            let reason = long_text(&mut fields, "reason", problems);
            Some(Event::TransferRequested { reason, summary: long_text(&mut fields, "summary", problems) })
        }
        "ready" => Some(Event::Ready),
        "summary" => needed_text(&mut fields, "text", problems).map(|text| Event::Summary { text }),
        "transcript" => {
            let speaker = fields.need("speaker", problems).and_then(|node| node.text(problems, LONGEST_NAME));
            let text = needed_text(&mut fields, "text", problems);
            speaker.zip(text).map(|(speaker, text)| Event::Transcript { speaker: speaker.to_owned(), text })
        }
        "consent" => {
            let granted = fields.need("granted", problems).and_then(|node| node.boolean(problems));
            granted.map(|granted| Event::Consent { granted })
        }
        "callback_requested" => Some(Event::CallbackRequested {
            number: short_text(&mut fields, "number", problems),
            at: short_text(&mut fields, "at", problems),
            reason: long_text(&mut fields, "reason", problems),
        }),
        "message" => needed_text(&mut fields, "text", problems).map(|text| Event::Message { text }),
        "context" => Some(Event::Context { values: context(&mut fields, problems) }),
        "custom" => {
            let name = fields.need("name", problems).and_then(|node| node.text(problems, LONGEST_NAME));
            let data = fields.take("data", problems).map_or(Some(Value::Null), |node| free_value(node, problems));
            name.zip(data).map(|(name, data)| Event::Custom { name: name.to_owned(), data })
        }
        _ => None,
    };
    fields.finish(problems);
    event.filter(|_| problems.0.len() == before)
}

fn short_text(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<String> {
    Some(fields.take(key, problems)?.text(problems, LONGEST_NAME)?.to_owned())
}

fn long_text(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<String> {
    Some(fields.take(key, problems)?.prose(problems, LONGEST_TEXT)?.to_owned())
}

fn needed_text(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Option<String> {
    Some(fields.need(key, problems)?.prose(problems, LONGEST_TEXT)?.to_owned())
}

fn share(node: &Node, problems: &mut Problems) -> Option<f64> {
    let share = node.number(problems)?;
    if !(0.0..=1.0).contains(&share) {
        problems.error(node.span, format!("found {share}, expected a number from 0 to 1"));
        return None;
    }
    Some(share)
}

/// Every key left is a key of the context.
fn context(fields: &mut Fields<'_>, problems: &mut Problems) -> Map<String, Value> {
    let mut values = Map::new();
    while let Some((key, node)) = fields.first_left() {
        if key.text.is_empty() || key.text.chars().count() > 64 || key.text.chars().any(char::is_control) {
            problems.error(key.span, "a context key has 1 to 64 characters and no control characters");
        } else if let Some(value) = free_value(node, problems) {
            values.insert(key.text.clone(), value);
        }
    }
    values
}

/// A value of any shape, bounded in depth and size.
pub(crate) fn free_value(node: &Node, problems: &mut Problems) -> Option<Value> {
    check_data(node, 0, problems)?;
    let value = to_json(node);
    let size = value.to_string().len();
    if size > LARGEST_DATA {
        problems.error(node.span, format!("{size} bytes are too many, at most {LARGEST_DATA} are allowed"));
        return None;
    }
    Some(value)
}

fn check_data(node: &Node, depth: usize, problems: &mut Problems) -> Option<()> {
    if depth > DEEPEST_DATA {
        problems.error(node.span, format!("nested more than {DEEPEST_DATA} levels deep"));
        return None;
    }
    match &node.kind {
        Kind::Empty => Some(()),
        Kind::Scalar(text, Style::Literal) | Kind::Scalar(text, _) if text.is_empty() => Some(()),
        Kind::Scalar(_, Style::Literal) => Some(()),
        Kind::Scalar(..) => node.prose(problems, LONGEST_TEXT).map(|_| ()),
        Kind::List(items) => items.iter().try_for_each(|item| check_data(item, depth + 1, problems)),
        Kind::Map(entries) => entries.iter().try_for_each(|(_, item)| check_data(item, depth + 1, problems)),
    }
}
