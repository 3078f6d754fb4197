//! What a transfer is told: where to, how, what everybody hears meanwhile, and what follows a failure.

use crate::duration;
pub use crate::whisper::Whisper;
use core::{fmt, str::FromStr, time::Duration};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Cold: nobody introduces the caller. Warm: the human is reached, told and accepts first.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The AI stays, muted, until the bridge.
    #[default]
    Warm,
    /// The AI leaves at once.
    Cold,
}

/// When the AI is muted and the hold music starts.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// When the AI has finished its sentence, at most `drain_max` later.
    #[default]
    AfterSpeech,
    /// At once.
    Now,
    /// When the AI posts `ready`, at most `drain_max` later.
    OnReady,
}

/// In which order a destination's targets ring.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ring {
    /// One after the other, each for `ring_timeout`.
    #[default]
    Ordered,
    /// All at once; the first who answers (and accepts, where asked) wins.
    Simultaneous,
}

/// When the AI's leg ends.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseAi {
    /// When the hold music starts; redialled if it is needed again.
    AtOnce,
    /// When caller and human are joined.
    AtBridge,
    /// Not at all: as their co-pilot it hears both from then on, and is heard by nobody.
    Stay,
}

/// Who carries a cold transfer out.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColdBy {
    /// We do: the destination is dialled, and the caller joined with it.
    #[default]
    Bridge,
    /// The trunk that brought the call, asked by REFER where it may be; else, and when that comes to nothing, as by `Bridge`.
    Refer,
}

/// When the `say` of `caller_hears` is said.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SayIf {
    /// Only when the AI said nothing as its last words.
    AiQuiet,
    /// Each time a transfer starts.
    #[default]
    Always,
}

/// What the caller hears while waiting, after the announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Hold {
    /// A music or prompt by name, in a loop.
    Music(Arc<str>),
    /// A ringing tone, written `ringback`.
    Ringback,
}

impl From<String> for Hold {
    fn from(name: String) -> Self {
        if name == "ringback" { Self::Ringback } else { Self::Music(name.into()) }
    }
}

impl From<Hold> for String {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::Music(name) => (*name).to_owned(),
            Hold::Ringback => "ringback".to_owned(),
        }
    }
}

/// What the caller hears from the AI's last words to the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerHears {
    /// A prompt, said once per transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub say: Option<Arc<str>>,
    /// Whether the prompt is always said.
    #[serde(default)]
    pub say_if: SayIf,
    /// And then, until the bridge.
    #[serde(default = "default_hold")]
    pub then: Hold,
}

fn default_hold() -> Hold {
    Hold::Music("music/default".into())
}

impl Default for CallerHears {
    fn default() -> Self {
        Self { say: None, say_if: SayIf::default(), then: default_hold() }
    }
}

/// How the human says yes before the bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The key to press: one of `0`-`9`, `*`, `#`, `A`-`D`.
    pub press: char,
    /// How long they may take, counted from the end of the whisper; then the cause is `not_accepted`.
    #[serde(with = "duration::as_text", default = "default_accept_within")]
    pub within: Duration,
}

/// What is listened for when a phone is answered.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detect {
    /// Nothing: whoever answers is somebody.
    #[default]
    None,
    /// Whether it is a machine: then the cause is `machine`.
    Machine,
}

/// How long `accept` waits where `within` is not given.
pub const ACCEPT_WITHIN: Duration = Duration::from_secs(10);

fn default_accept_within() -> Duration {
    ACCEPT_WITHIN
}

/// The three of them together, after the human's yes and before the AI falls silent: it introduces the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduce {
    /// How long, unless the AI posts `ready` before.
    #[serde(with = "duration::as_text", default = "default_introduce_within")]
    pub within: Duration,
    /// The key by which the human ends it: one of `0`-`9`, `*`, `#`, `A`-`D`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub press: Option<char>,
}

/// How long `introduce` lasts where `within` is not given.
pub const INTRODUCE_WITHIN: Duration = Duration::from_secs(20);

fn default_introduce_within() -> Duration {
    INTRODUCE_WITHIN
}

/// Why a destination could not take the caller. The machine's mapping from SIP to these lives in `calls`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It rang, nobody came.
    NoAnswer,
    /// Busy.
    Busy,
    /// The human refused.
    Declined,
    /// The human answered and did not accept in time, or hung up in the whisper.
    NotAccepted,
    /// A machine answered.
    Machine,
    /// No agent with the skill is free.
    NoAgent,
    /// Outside its hours.
    Closed,
    /// Nothing came back, or no way leads there.
    Unreachable,
    /// Anything else.
    Failed,
}

impl Cause {
    /// Every cause, in the order of the reference.
    pub const ALL: [Self; 9] = [
        Self::NoAnswer,
        Self::Busy,
        Self::Declined,
        Self::NotAccepted,
        Self::Machine,
        Self::NoAgent,
        Self::Closed,
        Self::Unreachable,
        Self::Failed,
    ];

    /// The name used in rules, events, metrics and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::NotAccepted => "not_accepted",
            Self::Machine => "machine",
            Self::NoAgent => "no_agent",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cause {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|cause| cause.name() == name).ok_or(())
    }
}

/// One step of an `on_failure` list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Step {
    /// Try this destination.
    Destination(Arc<str>),
    /// Back to the AI, redialled if it left, and told why.
    Ai,
    /// End the call.
    End,
}

impl From<String> for Step {
    fn from(name: String) -> Self {
        match name.as_str() {
            "ai" => Self::Ai,
            "end" => Self::End,
            _ => Self::Destination(name.into()),
        }
    }
}

impl From<Step> for String {
    fn from(step: Step) -> Self {
        step.name().to_owned()
    }
}

impl Step {
    /// As written: a destination's name, `ai` or `end`.
    pub fn name(&self) -> &str {
        match self {
            Self::Destination(name) => name,
            Self::Ai => "ai",
            Self::End => "end",
        }
    }
}

/// What follows a failure, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnFailure {
    /// A plain list: it stands for every cause and leaves nothing of the level below.
    pub replaces: bool,
    /// Steps by cause.
    pub by_cause: BTreeMap<Cause, Vec<Step>>,
    /// Steps for every cause not named.
    #[serde(rename = "else")]
    pub otherwise: Option<Vec<Step>>,
}

impl OnFailure {
    /// One list for every cause.
    pub fn always(steps: Vec<Step>) -> Self {
        Self { replaces: true, by_cause: BTreeMap::new(), otherwise: Some(steps) }
    }

    /// These lists over `below`'s, cause by cause.
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        if self.replaces {
            return self.clone();
        }
        let mut merged = below.clone();
        merged.by_cause.extend(self.by_cause.iter().map(|(cause, steps)| (*cause, steps.clone())));
        if self.otherwise.is_some() {
            merged.otherwise.clone_from(&self.otherwise);
        }
        merged
    }

    /// The list for `cause`, empty when none is given.
    pub fn steps(&self, cause: Cause) -> &[Step] {
        self.by_cause.get(&cause).or(self.otherwise.as_ref()).map_or(&[], Vec::as_slice)
    }
}

/// The options of a transfer as one level states them: defaults, destination, rule, or a request to the API.
/// What a level leaves out comes from the level below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TransferOptions {
    /// Cold or warm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How long each target rings.
    #[serde(with = "duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub ring_timeout: Option<Duration>,
    /// When the AI is muted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The longest the AI's last words may take.
    #[serde(with = "duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub drain_max: Option<Duration>,
    /// Dial the human while the AI still speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predial: Option<bool>,
    /// What the caller hears meanwhile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_hears: Option<CallerHears>,
    /// What the human hears first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whisper: Option<Whisper>,
    /// How the human says yes; `Some(None)` asks for nothing although a level below does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<Option<Accept>>,
    /// What is listened for when they answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detect: Option<Detect>,
    /// Whether the AI introduces the caller; `Some(None)`: it does not although a level below says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introduce: Option<Option<Introduce>>,
    /// When the AI's leg ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release_ai: Option<ReleaseAi>,
    /// Who carries it out when it is cold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_by: Option<ColdBy>,
    /// The keys of the context that travel with the call; absent: all that may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<Vec<Arc<str>>>,
    /// How long an INVITE to a human waits at most until the context is on the screens.
    #[serde(with = "duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub context_wait: Option<Duration>,
    /// In queues: higher ones first, then by arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// What follows a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
}

impl TransferOptions {
    /// These options over `below`'s, key by key (`on_failure` cause by cause).
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        Self {
            mode: self.mode.or(below.mode),
            ring_timeout: self.ring_timeout.or(below.ring_timeout),
            start: self.start.or(below.start),
            drain_max: self.drain_max.or(below.drain_max),
            predial: self.predial.or(below.predial),
            caller_hears: self.caller_hears.clone().or_else(|| below.caller_hears.clone()),
            whisper: self.whisper.clone().or_else(|| below.whisper.clone()),
            accept: self.accept.clone().or_else(|| below.accept.clone()),
            detect: self.detect.or(below.detect),
            introduce: self.introduce.clone().or_else(|| below.introduce.clone()),
            release_ai: self.release_ai.or(below.release_ai),
            cold_by: self.cold_by.or(below.cold_by),
            context: self.context.clone().or_else(|| below.context.clone()),
            context_wait: self.context_wait.or(below.context_wait),
            priority: self.priority.or(below.priority),
            on_failure: match (&self.on_failure, &below.on_failure) {
                (Some(own), Some(under)) => Some(own.over(under)),
                (own, under) => own.clone().or_else(|| under.clone()),
            },
        }
    }
}

/// Where a destination leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A phone, or several.
    Dial(Dial),
    /// The next free agent who has the skills.
    Queue(Box<crate::queue::Queue>),
    /// Nobody now: the caller is called back.
    Callback(crate::callback::Callback),
    /// The AI again, which is to take a message.
    Message,
    /// The AI: of the named profile, or the call's own.
    Ai {
        /// A profile of tandem.yaml; `None` is the call's own.
        profile: Option<Arc<str>>,
    },
    /// A mailbox in which the caller leaves a message.
    Voicemail {
        /// Its name in tandem.yaml.
        mailbox: Arc<str>,
    },
}

/// Whom a destination rings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dial {
    /// `sip:`, `sips:` or `tel:` URIs, exactly as written, or `agent:NAME` for an account of tandem.yaml.
    pub targets: Vec<Arc<str>>,
    /// The trunk to go through; always given for `tel:`.
    pub trunk: Option<Arc<str>>,
    /// In which order they ring.
    pub ring: Ring,
}

/// A named place a call can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Its name.
    pub name: Arc<str>,
    /// Where it leads.
    pub place: Place,
    /// The opening hours it keeps, by name; outside them its cause is `closed`.
    pub hours: Option<Arc<str>>,
    /// What it says about transfers to it.
    pub options: TransferOptions,
}

/// One destination's part of a transfer with every level merged: nothing is left to look up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferSpec {
    /// The destination's name, or the URI that a request named.
    pub to: Arc<str>,
    /// Where it leads.
    pub place: Place,
    /// The opening hours it keeps; ask `RuleSet::is_open`.
    pub hours: Option<Arc<str>>,
    /// The rule that decided, if one did.
    pub rule: Option<Arc<str>>,
    /// Cold or warm.
    pub mode: Mode,
    /// How long each target rings.
    #[serde(with = "duration::as_text")]
    pub ring_timeout: Duration,
    /// When the AI is muted.
    pub start: Start,
    /// The longest the AI's last words may take.
    #[serde(with = "duration::as_text")]
    pub drain_max: Duration,
    /// Dial the human while the AI still speaks.
    pub predial: bool,
    /// What the caller hears meanwhile.
    pub caller_hears: CallerHears,
    /// What the human hears first.
    pub whisper: Whisper,
    /// How the human says yes, if asked.
    pub accept: Option<Accept>,
    /// What is listened for when they answer.
    #[serde(default)]
    pub detect: Detect,
    /// How the AI introduces the caller, if it does.
    #[serde(default)]
    pub introduce: Option<Introduce>,
    /// When the AI's leg ends.
    pub release_ai: ReleaseAi,
    /// Some level says so; else it follows from the mode.
    #[serde(default)]
    pub release_said: bool,
    /// Who carries it out when it is cold.
    #[serde(default)]
    pub cold_by: ColdBy,
    /// The keys of the context that travel along; `None`: all that may.
    pub context: Option<Vec<Arc<str>>>,
    /// How long an INVITE to a human waits at most until the context is on the screens; `None`: as the daemon does.
    #[serde(default, with = "duration::as_text::option", skip_serializing_if = "Option::is_none")]
    pub context_wait: Option<Duration>,
    /// In queues: higher ones first, then by arrival.
    pub priority: u32,
    /// What follows a failure; `FailureChain` walks it.
    pub on_failure: OnFailure,
    /// What rule and request said, so that the next destination of the chain is merged with it too.
    pub overrides: TransferOptions,
}

impl TransferSpec {
    /// Merges `overrides` (of the rule or the request) over `destination` over `defaults`.
    pub(crate) fn merge(
        destination: &Destination,
        rule: Option<Arc<str>>,
        overrides: &TransferOptions,
        defaults: &TransferOptions,
    ) -> Self {
        let merged = overrides.over(&destination.options).over(defaults);
        let mode = merged.mode.unwrap_or_default();
        Self {
            to: Arc::clone(&destination.name),
            place: destination.place.clone(),
            hours: destination.hours.clone(),
            rule,
            mode,
            ring_timeout: merged.ring_timeout.unwrap_or(Duration::from_secs(20)),
            start: merged.start.unwrap_or_default(),
            drain_max: merged.drain_max.unwrap_or(Duration::from_secs(5)),
            predial: merged.predial.unwrap_or(true),
            caller_hears: merged.caller_hears.unwrap_or_default(),
            whisper: merged.whisper.unwrap_or_default(),
            accept: merged.accept.flatten(),
            detect: merged.detect.unwrap_or_default(),
            introduce: merged.introduce.flatten(),
            release_said: merged.release_ai.is_some(),
            release_ai: merged.release_ai.unwrap_or(match mode {
                Mode::Warm => ReleaseAi::AtBridge,
                Mode::Cold => ReleaseAi::AtOnce,
            }),
            cold_by: merged.cold_by.unwrap_or_default(),
            context: merged.context,
            context_wait: merged.context_wait,
            priority: merged.priority.unwrap_or(0),
            on_failure: merged.on_failure.unwrap_or_default(),
            overrides: overrides.clone(),
        }
    }
}

/// What the chain says next.
pub type Next = Step;

/// Walks a transfer's `on_failure`: the first failure chooses the list, later ones walk it, no destination is tried
/// twice, and a list that does not say `end` ends in the AI.
///
/// ```text
/// fresh --first failure (cause)--> walking list[cause] --failure--> next step ... --list over--> Ai
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureChain {
    on_failure: OnFailure,
    tried: Vec<Arc<str>>,
    walking: Option<Walk>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Walk {
    steps: Vec<Step>,
    at: usize,
}

impl FailureChain {
    /// The chain of a transfer whose first destination is `first`.
    pub fn new(first: &TransferSpec) -> Self {
        Self { on_failure: first.on_failure.clone(), tried: vec![Arc::clone(&first.to)], walking: None }
    }

    /// The destination under way failed with `cause`: what is next. After `Ai` or `End` the chain is over.
    pub fn next(&mut self, cause: Cause) -> Next {
        let chosen = &self.on_failure;
        let walk = self.walking.get_or_insert_with(|| Walk { steps: chosen.steps(cause).to_vec(), at: 0 });
        while let Some(step) = walk.steps.get(walk.at) {
            walk.at += 1;
            match step {
                Step::Destination(name) if self.tried.contains(name) => {}
                Step::Destination(name) => {
                    self.tried.push(Arc::clone(name));
                    return step.clone();
                }
                Step::Ai | Step::End => return step.clone(),
            }
        }
        Step::Ai
    }

    /// Every destination tried so far, in order.
    pub fn tried(&self) -> &[Arc<str>] {
        &self.tried
    }
}
