//! What Tandem knows of a call at a moment, folded from events and from the call itself.

use crate::{
    event::{Event, EventError, Posted},
    number::canonical,
    rule_state::RuleState,
    transfer::Cause,
};
use clock::{Monotonic, Now};
use core::time::Duration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// The most sentiment scores kept; also the largest `last`.
pub const MOST_SCORES: usize = 32;
/// The most samples kept of one declared fact for `within`.
pub const MOST_SAMPLES: usize = 64;
/// The most keys of a call's context.
pub const MOST_CONTEXT_KEYS: usize = 64;
/// The most bytes of a call's whole context as JSON.
pub const LARGEST_CONTEXT: usize = 16 * 1024;
/// The most intents remembered per stint.
pub const MOST_INTENTS: usize = 64;
/// The most digits remembered; also the longest `dtmf` sequence.
pub const MOST_DIGITS: usize = 32;
/// The most ids of posted events remembered; an older repeat is counted again.
pub const MOST_IDS: usize = 128;
/// The most distinct sources of declared facts (`lead.value`, `custom.churn.score`) remembered.
pub const MOST_SERIES: usize = 64;

/// What is known when a call begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallStart {
    /// The line the called number stands for.
    pub line: Option<Arc<str>>,
    /// The caller's number as the trunk gave it; withheld, anonymous or absent ones count as absent.
    pub caller: Option<Arc<str>>,
    /// The called number.
    pub called: Option<Arc<str>>,
    /// The trunk that brought the call.
    pub trunk: Option<Arc<str>>,
    /// The AI profile.
    pub profile: Option<Arc<str>>,
    /// Who called whom.
    pub direction: Direction,
}

/// Who called whom.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The caller called us.
    #[default]
    Inbound,
    /// We called them.
    Outbound,
}

impl Direction {
    /// The name in rules, events and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// What answered a call that we placed, as far as its sound tells.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// Somebody.
    Human,
    /// A mailbox, an announcement, a fax.
    Machine,
    /// It cannot be said.
    Unknown,
}

impl AnsweredBy {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Human, Self::Machine, Self::Unknown];

    /// The name in rules, events and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Machine => "machine",
            Self::Unknown => "unknown",
        }
    }
}

/// How an AI profile's events are to be understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listening {
    /// The ends of the profile's sentiment scale, mapped to -1 and 1.
    pub scale: [f64; 2],
    /// Scores (-1 to 1) of labels that come alone.
    pub labels: BTreeMap<String, f64>,
    /// An intent at or above it counts as a match.
    pub match_confidence: f64,
}

impl Default for Listening {
    fn default() -> Self {
        Self { scale: [-1.0, 1.0], labels: BTreeMap::new(), match_confidence: 0.5 }
    }
}

/// What the call itself reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallFact {
    /// The AI has the caller: at the start, after a handback, after a failed transfer. Counters start anew.
    StintStarted,
    /// The caller pressed a key.
    Dtmf(char),
    /// The caller has said nothing since this moment.
    CallerQuiet(Monotonic),
    /// The caller speaks.
    CallerSpeaks,
    /// The AI's leg ended, its socket dropped or its audio stopped.
    AiLost,
    /// A transfer began, by a rule or by command.
    TransferStarted {
        /// The rule that decided it, if one did.
        rule: Option<Arc<str>>,
    },
    /// A transfer ended without a bridge: the rule that decided it rests for its cooldown.
    TransferFailed {
        /// The rule that decided it, if one did.
        rule: Option<Arc<str>>,
        /// The last cause.
        cause: Cause,
    },
    /// Caller and human are joined.
    TransferBridged,
    /// What answered, where we called them and listened for that.
    AnsweredBy(AnsweredBy),
}

/// What folding an event did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// The id was seen before: nothing was counted, and nothing is to be evaluated.
    pub repeat: bool,
    /// What the poster should know, for the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// The facts of one call. Plain data: written down and taken up again at any moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub(crate) call: CallStart,
    pub(crate) listening: Arc<Listening>,
    pub(crate) call_started: Monotonic,
    pub(crate) stint_started: Monotonic,
    pub(crate) stint: u32,
    pub(crate) retries: u32,
    pub(crate) auth_failures: u32,
    pub(crate) scores: VecDeque<(Monotonic, f64)>,
    pub(crate) intent: Option<(Arc<str>, f64)>,
    pub(crate) intents_seen: Vec<(Arc<str>, f64)>,
    /// The latest label of a sentiment.
    #[serde(default)]
    pub(crate) mood: Option<Arc<str>>,
    /// What the AI said the call is about.
    #[serde(default)]
    pub(crate) summary: Option<Arc<str>>,
    pub(crate) quiet_since: Option<Monotonic>,
    pub(crate) ai_lost: bool,
    #[serde(default)]
    pub(crate) answered_by: Option<AnsweredBy>,
    pub(crate) digits: String,
    pub(crate) transfers_tried: u32,
    pub(crate) tags: BTreeSet<Arc<str>>,
    pub(crate) context: BTreeMap<String, Value>,
    pub(crate) series: BTreeMap<String, Series>,
    pub(crate) ids: VecDeque<Arc<str>>,
    /// What has just happened: true for one evaluation only.
    pub(crate) fresh: Fresh,
    pub(crate) rules: RuleState,
}

/// Conditions on a moment look here; an evaluation consumes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fresh {
    pub(crate) event: Option<Arc<str>>,
    pub(crate) digit: bool,
}

/// Everything one source said: enough for `keep: last | count | sum | max | average`, with or without `within`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    pub(crate) last: Value,
    pub(crate) count: u32,
    pub(crate) numbers: u32,
    pub(crate) sum: f64,
    pub(crate) max: Option<f64>,
    pub(crate) samples: VecDeque<(Monotonic, Option<f64>)>,
}

impl Facts {
    /// The facts of a call that begins now. Its first stint begins with `CallFact::StintStarted`.
    pub fn new(call: CallStart, listening: Arc<Listening>, now: Now) -> Self {
        let call = CallStart {
            caller: call.caller.as_deref().and_then(canonical),
            called: call.called.as_deref().and_then(canonical),
            ..call
        };
        Self {
            call,
            listening,
            call_started: now.monotonic,
            stint_started: now.monotonic,
            stint: 0,
            retries: 0,
            auth_failures: 0,
            scores: VecDeque::new(),
            intent: None,
            intents_seen: Vec::new(),
            mood: None,
            summary: None,
            quiet_since: None,
            ai_lost: false,
            answered_by: None,
            digits: String::new(),
            transfers_tried: 0,
            tags: BTreeSet::new(),
            context: BTreeMap::new(),
            series: BTreeMap::new(),
            ids: VecDeque::new(),
            fresh: Fresh::default(),
            rules: RuleState::default(),
        }
    }

    /// Folds a posted event. On `Err` (422) nothing has changed.
    pub fn fold(&mut self, now: Now, posted: &Posted) -> Result<Folded, EventError> {
        let id = posted.id.as_deref();
        if id.is_some_and(|id| self.ids.iter().any(|seen| **seen == *id)) {
            return Ok(Folded { repeat: true, warnings: Vec::new() });
        }
        let mut warnings = Vec::new();
        self.take(now, &posted.event, &mut warnings)?;
        self.fresh.event = Some(posted.event.type_name().into());
        if let Some(id) = id {
            if self.ids.len() == MOST_IDS {
                self.ids.pop_front();
            }
            self.ids.push_back(id.into());
        }
        Ok(Folded { repeat: false, warnings })
    }

    fn take(&mut self, now: Now, event: &Event, warnings: &mut Vec<String>) -> Result<(), EventError> {
        let at = now.monotonic;
        match event {
            Event::Sentiment { score, label } => {
                match self.score(*score, label.as_deref())? {
                    Some(score) => push_bounded(&mut self.scores, (at, score), MOST_SCORES),
                    None => warnings.push(format!(
                        "the label `{}` has no score in this profile: kept, but no rule on sentiment sees it",
                        label.as_deref().unwrap_or_default()
                    )),
                }
                self.mood = label.as_deref().map(Arc::from);
            }
            Event::Intent { name, confidence } => self.take_intent(name, confidence.unwrap_or(1.0)),
            Event::NoMatch | Event::NoInput => self.retries = self.retries.saturating_add(1),
            Event::Match => self.retries = 0,
            Event::AuthFailed => self.auth_failures = self.auth_failures.saturating_add(1),
            Event::AuthOk => self.auth_failures = 0,
            Event::Lead { value, plan } => {
                if let Some(value) = value {
                    self.sample(at, "lead.value".into(), &Value::from(*value), warnings);
                }
                if let Some(plan) = plan {
                    self.sample(at, "lead.plan".into(), &Value::from(plan.as_str()), warnings);
                }
            }
            Event::Context { values } => self.merge_context(now, values)?,
            Event::Custom { name, data } => match data {
                Value::Object(entries) => {
                    for (key, value) in entries {
                        self.sample(at, format!("custom.{name}.{key}"), value, warnings);
                    }
                    self.sample(at, format!("custom.{name}"), &Value::Null, warnings);
                }
                value => self.sample(at, format!("custom.{name}"), value, warnings),
            },
            Event::Summary { text } => self.summary = Some(text.as_str().into()),
            Event::TransferRequested { summary: Some(summary), .. } => self.summary = Some(summary.as_str().into()),
            Event::TransferRequested { .. }
            | Event::Ready
            | Event::Transcript { .. }
            | Event::Consent { .. }
            | Event::CallbackRequested { .. }
            | Event::Message { .. } => {}
        }
        Ok(())
    }

    /// A score between -1 and 1, `None` for an unknown label; out of scale is refused, never clamped.
    fn score(&self, score: Option<f64>, label: Option<&str>) -> Result<Option<f64>, EventError> {
        let Some(score) = score else {
            return Ok(label.and_then(|label| self.listening.labels.get(label)).copied());
        };
        let [low, high] = self.listening.scale;
        if !(low..=high).contains(&score) {
            let message = format!("{score} is out of scale: this profile's scores go from {low} to {high}");
            return Err(EventError { index: None, field: "score".into(), message });
        }
        Ok(Some((score - low) / (high - low) * 2.0 - 1.0))
    }

    fn take_intent(&mut self, name: &str, confidence: f64) {
        if confidence >= self.listening.match_confidence {
            self.retries = 0;
        }
        let known = self.intents_seen.iter().position(|(seen, _)| **seen == *name);
        let name: Arc<str> = known.map_or_else(|| name.into(), |at| Arc::clone(&self.intents_seen[at].0));
        match known {
            Some(at) => self.intents_seen[at].1 = self.intents_seen[at].1.max(confidence),
            None => {
                if self.intents_seen.len() == MOST_INTENTS {
                    self.intents_seen.remove(0);
                }
                self.intents_seen.push((Arc::clone(&name), confidence));
            }
        }
        self.intent = Some((name, confidence));
    }

    fn sample(&mut self, at: Monotonic, source: String, value: &Value, warnings: &mut Vec<String>) {
        if !self.series.contains_key(&source) && self.series.len() >= MOST_SERIES {
            warnings.push(format!("`{source}` is one source too many: rules see at most {MOST_SERIES} per call"));
            return;
        }
        self.series.entry(source).or_insert_with(Series::new).push(at, value);
    }

    /// Merges keys into the context; null removes a key. On `Err` (422) nothing has changed.
    pub fn merge_context(&mut self, now: Now, values: &Map<String, Value>) -> Result<(), EventError> {
        let mut merged = self.context.clone();
        for (key, value) in values {
            if value.is_null() {
                merged.remove(key);
            } else {
                merged.insert(key.clone(), value.clone());
            }
        }
        let refused = |message: String| EventError { index: None, field: "context".into(), message };
        if merged.len() > MOST_CONTEXT_KEYS {
            return Err(refused(format!("{} keys are too many, at most {MOST_CONTEXT_KEYS} are kept", merged.len())));
        }
        let size: usize = merged.iter().map(|(key, value)| key.len() + value.to_string().len()).sum();
        if size > LARGEST_CONTEXT {
            return Err(refused(format!("{size} bytes are too many, at most {LARGEST_CONTEXT} are kept")));
        }
        self.context = merged;
        let mut warnings = Vec::new();
        for (key, value) in values {
            let source = format!("context.{key}");
            if value.is_null() {
                self.series.remove(&source);
            } else {
                self.sample(now.monotonic, source, value, &mut warnings);
            }
        }
        Ok(())
    }

    /// Does a rule's `set`. It is bounded by the rules file, so it always succeeds.
    pub(crate) fn set(&mut self, now: Now, key: &str, value: &Value) {
        if value.is_null() {
            self.context.remove(key);
            self.series.remove(&format!("context.{key}"));
            return;
        }
        self.context.insert(key.to_owned(), value.clone());
        self.sample(now.monotonic, format!("context.{key}"), value, &mut Vec::new());
    }

    /// Takes what the call itself reports.
    pub fn note(&mut self, now: Now, fact: &CallFact) {
        match fact {
            CallFact::StintStarted => {
                self.stint = self.stint.saturating_add(1);
                self.stint_started = now.monotonic;
                self.retries = 0;
                self.auth_failures = 0;
                self.scores.clear();
                self.intent = None;
                self.intents_seen.clear();
                self.mood = None;
                self.quiet_since = self.quiet_since.map(|_| now.monotonic);
                self.digits.clear();
                self.ai_lost = false;
            }
            CallFact::Dtmf(digit) => {
                if self.digits.len() >= MOST_DIGITS {
                    self.digits.remove(0);
                }
                self.digits.push(if digit.is_ascii() { digit.to_ascii_uppercase() } else { '?' });
                self.fresh.digit = true;
            }
            CallFact::CallerQuiet(since) => {
                self.quiet_since.get_or_insert((*since).max(self.stint_started));
            }
            CallFact::CallerSpeaks => self.quiet_since = None,
            CallFact::AiLost => self.ai_lost = true,
            CallFact::TransferStarted { .. } => self.transfers_tried = self.transfers_tried.saturating_add(1),
            CallFact::TransferFailed { rule, .. } => {
                if let Some(rule) = rule {
                    self.rules.failed(rule, now.monotonic);
                }
            }
            CallFact::AnsweredBy(who) => self.answered_by = Some(*who),
            CallFact::TransferBridged => {}
        }
    }

    /// The call's context: what the AI learned and rules set.
    pub fn context(&self) -> &BTreeMap<String, Value> {
        &self.context
    }

    /// Everything that a human who takes the call should know: the context, and beside it what events said (`intent`,
    /// `intent_confidence`, `sentiment`, `sentiment_label`, `summary`). A key of the context's own stands.
    pub fn learned(&self) -> BTreeMap<String, Value> {
        let text = |value: &Option<Arc<str>>| value.as_deref().map(Value::from);
        let intent = self.intent.as_ref();
        let said = [
            ("intent", intent.map(|(name, _)| Value::from(&**name))),
            ("intent_confidence", intent.map(|(_, confidence)| Value::from(*confidence))),
            ("sentiment", self.scores.back().map(|(_, score)| Value::from(*score))),
            ("sentiment_label", text(&self.mood)),
            ("summary", text(&self.summary)),
        ];
        let mut learned = self.context.clone();
        for (key, value) in said {
            if let Some(value) = value {
                learned.entry(key.to_owned()).or_insert(value);
            }
        }
        learned
    }

    /// The call wears a tag from the start. The caller bounds how many there are.
    pub fn tag(&mut self, name: &str) {
        self.tags.insert(name.into());
    }

    /// The tags the call wears.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(AsRef::as_ref)
    }

    /// What was known when the call began; numbers are canonical here.
    pub fn call(&self) -> &CallStart {
        &self.call
    }

    /// Failed turns in a row in this stint.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// How long the call lasts.
    pub fn call_duration(&self, now: Now) -> Duration {
        now.monotonic.since(self.call_started)
    }

    /// The facts for people and programs: built-in ones, tags and context. `RuleSet::view` adds the declared ones.
    pub fn view(&self, now: Now) -> FactsView {
        FactsView {
            sentiment: self.scores.back().map(|(_, score)| *score),
            retries: self.retries,
            intent: self.intent.as_ref().map(|(name, _)| Arc::clone(name)),
            intents_seen: self.intents_seen.iter().map(|(name, _)| Arc::clone(name)).collect(),
            auth_failures: self.auth_failures,
            ai_lost: self.ai_lost,
            answered_by: self.answered_by,
            transfers_tried: self.transfers_tried,
            stint: self.stint,
            call_duration_s: self.call_duration(now).as_secs_f64(),
            stint_duration_s: now.monotonic.since(self.stint_started).as_secs_f64(),
            silence_s: self.quiet_since.map(|since| now.monotonic.since(since).as_secs_f64()),
            tags: self.tags.iter().cloned().collect(),
            context: self.context.clone(),
            declared: BTreeMap::new(),
        }
    }
}

/// A call's facts as the API shows them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FactsView {
    /// The latest score, -1 to 1.
    pub sentiment: Option<f64>,
    /// Failed turns in a row.
    pub retries: u32,
    /// The latest intent.
    pub intent: Option<Arc<str>>,
    /// Every intent of this stint.
    pub intents_seen: Vec<Arc<str>>,
    /// Failed verifications.
    pub auth_failures: u32,
    /// True from the AI's loss to the next stint.
    pub ai_lost: bool,
    /// What answered, where we called them and listened for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<AnsweredBy>,
    /// Transfers begun in this call.
    pub transfers_tried: u32,
    /// Which stint this is, counted from 1.
    pub stint: u32,
    /// Seconds since the call began.
    pub call_duration_s: f64,
    /// Seconds since the stint began.
    pub stint_duration_s: f64,
    /// Seconds since the caller last spoke, while quiet.
    pub silence_s: Option<f64>,
    /// Tags.
    pub tags: Vec<Arc<str>>,
    /// Context.
    pub context: BTreeMap<String, Value>,
    /// Facts that the rules declare, by name.
    pub declared: BTreeMap<Arc<str>, Value>,
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

impl Series {
    fn new() -> Self {
        Self { last: Value::Null, count: 0, numbers: 0, sum: 0.0, max: None, samples: VecDeque::new() }
    }

    fn push(&mut self, at: Monotonic, value: &Value) {
        // Rules compare scalars; a list or mapping counts, but its content stays in the context alone.
        self.last = if value.is_array() || value.is_object() { Value::Null } else { value.clone() };
        self.count = self.count.saturating_add(1);
        let number = value.as_f64();
        if let Some(number) = number {
            self.numbers = self.numbers.saturating_add(1);
            self.sum += number;
            self.max = Some(self.max.map_or(number, |max| max.max(number)));
        }
        push_bounded(&mut self.samples, (at, number), MOST_SAMPLES);
    }
}
