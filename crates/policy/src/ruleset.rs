//! The rules in force, and everything that can be asked of them.

use crate::{
    condition::{Declared, Leaf},
    diagnostic::{Diagnostic, Diagnostics, did_you_mean},
    event::EventError,
    facts::{Facts, FactsView},
    hours::Hours,
    number::NumberList,
    rule::{Given, Rule},
    test_run::{Test, TestReport},
    transfer::{Destination, Dial, Place, Ring, TransferOptions, TransferSpec},
};
use clock::Now;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

/// What a source file is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// `rules.yaml`: the only one that may hold `defaults`.
    Main,
    /// One of `rules.d/*.yaml`, given in byte order of their names.
    Extra,
    /// A list of numbers that a rules file names; its `path` is the name as written there.
    List,
}

/// A file as it was read by somebody who may read files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// What it is.
    pub kind: SourceKind,
    /// Its path as the operator knows it; for lists, the name as written in the rules.
    pub path: Arc<str>,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl SourceFile {
    /// `rules.yaml`.
    pub fn main(path: impl Into<Arc<str>>, text: impl Into<Vec<u8>>) -> Self {
        Self { kind: SourceKind::Main, path: path.into(), bytes: text.into() }
    }

    /// A file of `rules.d`.
    pub fn extra(path: impl Into<Arc<str>>, text: impl Into<Vec<u8>>) -> Self {
        Self { kind: SourceKind::Extra, path: path.into(), bytes: text.into() }
    }

    /// A list of numbers; `name` as the rules write it (`vip.txt`).
    pub fn list(name: impl Into<Arc<str>>, text: impl Into<Vec<u8>>) -> Self {
        Self { kind: SourceKind::List, path: name.into(), bytes: text.into() }
    }
}

/// What the configuration knows; `None` where it is not known, then nothing is checked against it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Lines of the routes: an unknown one is an error.
    pub lines: Option<BTreeSet<String>>,
    /// Trunks: an unknown one is an error.
    pub trunks: Option<BTreeSet<String>>,
    /// AI profiles: an unknown one is an error.
    pub profiles: Option<BTreeSet<String>>,
    /// Accounts of agents: an unknown one is an error.
    pub agents: Option<BTreeSet<String>>,
    /// Mailboxes: an unknown one is an error.
    pub mailboxes: Option<BTreeSet<String>>,
    /// Prompts and music: an unknown one is a warning.
    pub prompts: Option<BTreeSet<String>>,
    /// Whether anybody may be called back: where nobody may, a callback is a warning.
    pub callbacks: Option<bool>,
}

/// Rules that may take over, and what their author should know.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The rules.
    pub rules: RuleSet,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

/// Where a request wants the caller to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// A destination by name.
    Name(Arc<str>),
    /// A `sip:`, `sips:` or `tel:` URI, with the trunk for `tel:`.
    Uri(Arc<str>),
}

impl To {
    /// `sip:`, `sips:` and `tel:` make a URI, anything else a name.
    pub fn parse(text: &str) -> Self {
        let is_uri = ["sip:", "sips:", "tel:"]
            .iter()
            .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        if is_uri { Self::Uri(text.into()) } else { Self::Name(text.into()) }
    }
}

/// Whether a time is within opening hours.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// It is.
    pub open: bool,
    /// When they open, in time since 1970; none while they are open.
    pub opens: Option<Duration>,
}

/// Why nobody can say whether a time is within opening hours.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum UnknownWindow {
    /// There are no opening hours of this name.
    Hours,
    /// There is no such time zone.
    Zone,
}

/// Whether a time zone of this name is known (the IANA database).
pub fn knows_zone(name: &str) -> bool {
    crate::hours::zone(name).is_some()
}

/// A name that no destination has: 422 in the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownDestination {
    /// The name.
    pub name: String,
    /// What was probably meant.
    pub did_you_mean: Option<String>,
}

impl fmt::Display for UnknownDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown destination `{}`", self.name)?;
        match &self.did_you_mean {
            Some(meant) => write!(f, ", did you mean `{meant}`?"),
            None => {
                f.write_str(": name one of the rules' destinations, or a URI that begins `sip:`, `sips:` or `tel:`")
            }
        }
    }
}

impl std::error::Error for UnknownDestination {}

/// How much of what a caller says may be told to a human, and on which lines (`None`: on every one).
pub(crate) type Quotable = (Option<Arc<[Arc<str>]>>, Duration);

/// The rules in force: immutable, shared by every call.
#[derive(Clone, Debug)]
pub struct RuleSet {
    pub(crate) ids: Arc<[Arc<str>]>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) hours: Vec<Hours>,
    pub(crate) lists: Vec<(Arc<str>, NumberList)>,
    pub(crate) declared: Vec<Arc<Declared>>,
    pub(crate) destinations: BTreeMap<Arc<str>, Destination>,
    /// `prefer` of the queues.
    pub(crate) preferences: BTreeMap<Arc<str>, Vec<(Arc<str>, Given)>>,
    /// Mailboxes of the configuration; `None`: whichever is named.
    pub(crate) mailboxes: Option<BTreeSet<String>>,
    pub(crate) defaults: TransferOptions,
    pub(crate) max_transfers: u32,
    pub(crate) tests: Vec<Test>,
    pub(crate) prompts: BTreeSet<Arc<str>>,
    /// How much of what callers say may be told to humans: on which lines (`None`: on every one), and how much.
    pub(crate) words: Vec<Quotable>,
}

/// How many transfers rules may begin in a call where the file does not say.
pub(crate) const MAX_TRANSFERS: u32 = 5;

impl Default for RuleSet {
    fn default() -> Self {
        Self {
            ids: Arc::from([]),
            rules: Vec::new(),
            leaves: Vec::new(),
            hours: Vec::new(),
            lists: Vec::new(),
            declared: Vec::new(),
            destinations: BTreeMap::new(),
            preferences: BTreeMap::new(),
            mailboxes: None,
            defaults: TransferOptions::default(),
            max_transfers: MAX_TRANSFERS,
            tests: Vec::new(),
            prompts: BTreeSet::new(),
            words: Vec::new(),
        }
    }
}

impl RuleSet {
    /// Reads and checks all files: all of them, or every mistake.
    pub fn load(files: &[SourceFile], environment: &Environment) -> Result<Loaded, Diagnostics> {
        crate::read::load(files, environment)
    }

    /// The names of the list files that these rules files ask for, as written there: read them and hand them to
    /// [`RuleSet::load`] as [`SourceFile::list`].
    pub fn list_files(files: &[SourceFile]) -> Vec<String> {
        crate::read::list_files(files)
    }

    /// A destination by name.
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations.get(name)
    }

    /// Every destination, by name.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.values()
    }

    /// How much of what a caller of this line said last a human may be told in the caller's own voice; `None`: nothing of it has to be
    /// kept.
    pub fn whispered_words(&self, line: &str) -> Option<Duration> {
        let here =
            |lines: &Option<Arc<[Arc<str>]>>| lines.as_ref().is_none_or(|lines| lines.iter().any(|it| **it == *line));
        self.words.iter().filter(|(lines, _)| here(lines)).map(|(_, lasting)| *lasting).max()
    }

    /// A request's transfer, merged: `overrides` over the destination over the defaults.
    pub fn transfer(&self, to: &To, overrides: &TransferOptions) -> Result<TransferSpec, UnknownDestination> {
        match to {
            To::Name(name) => self.spec(name, None, overrides),
            To::Uri(uri) => {
                let place = Place::Dial(Dial { targets: vec![Arc::clone(uri)], trunk: None, ring: Ring::Ordered });
                let options = TransferOptions::default();
                let direct = Destination { name: Arc::clone(uri), place, hours: None, options };
                Ok(TransferSpec::merge(&direct, None, overrides, &self.defaults))
            }
        }
    }

    /// The body of a request for a transfer: `{"to": …}` with options in the words of the rules. Destinations of its
    /// `on_failure` are checked here, `to` by [`RuleSet::transfer`].
    pub fn transfer_request(&self, body: &serde_json::Value) -> Result<(To, TransferOptions), EventError> {
        crate::read::request(self, body)
    }

    /// The next destination of a chain, merged with what rule and request said about the whole transfer.
    pub fn next_in_chain(&self, name: &str, before: &TransferSpec) -> Result<TransferSpec, UnknownDestination> {
        self.named(name, before.rule.clone(), &before.overrides)
    }

    pub(crate) fn back_to_ai(&self, rule: Option<Arc<str>>, overrides: &TransferOptions) -> TransferSpec {
        let place = Place::Ai { profile: None };
        let ai = Destination { name: "ai".into(), place, hours: None, options: TransferOptions::default() };
        TransferSpec::merge(&ai, rule, overrides, &self.defaults)
    }

    pub(crate) fn named(
        &self,
        name: &str,
        rule: Option<Arc<str>>,
        overrides: &TransferOptions,
    ) -> Result<TransferSpec, UnknownDestination> {
        let own = if self.destinations.contains_key(name) {
            None
        } else {
            self.mailbox(name).or_else(|| crate::callback::own_place(name))
        };
        match self.destinations.get(name).or(own.as_ref()) {
            Some(destination) => Ok(TransferSpec::merge(destination, rule, overrides, &self.defaults)),
            None => Err(UnknownDestination {
                name: name.to_owned(),
                did_you_mean: did_you_mean(name, self.destinations.keys().map(AsRef::as_ref)).map(str::to_owned),
            }),
        }
    }

    /// What a caller with these facts prefers of the agents of a destination's queue; facts that are absent ask for nothing.
    pub fn preferences(&self, destination: &str, facts: &Facts, now: Now) -> crate::queue::Preferences {
        let wanted = self.preferences.get(destination).map(Vec::as_slice).unwrap_or_default();
        let value = |(key, given): &(Arc<str>, Given)| {
            let text = match given.value(facts, now) {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Some((Arc::clone(key), text.into()))
        };
        wanted.iter().filter_map(value).collect()
    }

    /// When the opening hours change next, in time since 1970; none without hours, or when they never change.
    pub fn next_opening(&self, hours: Option<&str>, now: Now) -> Option<Duration> {
        let hours = hours.and_then(|name| self.hours.iter().find(|hours| *hours.name == *name))?;
        let state = hours.at(now.unix);
        (!state.open).then_some(state.until).filter(|until| *until < Duration::from_secs(u64::MAX / 2_000))
    }

    /// Whether opening hours (a destination's or a spec's `hours`) are open now; true without hours.
    pub fn is_open(&self, hours: Option<&str>, now: Now) -> bool {
        let named = hours.and_then(|name| self.hours.iter().find(|hours| *hours.name == *name));
        named.is_none_or(|hours| hours.at(now.unix).open)
    }

    /// Whether opening hours of this name are open now, by the clocks of a time zone (IANA) instead of their own where one is given.
    pub fn window(&self, hours: &str, zone: Option<&str>, now: Now) -> Result<Window, UnknownWindow> {
        let known = self.hours.iter().find(|it| *it.name == *hours).ok_or(UnknownWindow::Hours)?;
        let state = match zone {
            Some(name) => {
                let zone = crate::hours::zone(name).ok_or(UnknownWindow::Zone)?;
                Hours { zone, ..known.clone() }.at(now.unix)
            }
            None => known.at(now.unix),
        };
        let opens = (!state.open && state.until > now.unix).then_some(state.until);
        Ok(Window { open: state.open, opens })
    }

    /// Whether there are opening hours of this name.
    pub fn knows_hours(&self, name: &str) -> bool {
        self.hours.iter().any(|hours| *hours.name == *name)
    }

    /// A call's facts with the declared ones.
    pub fn view(&self, facts: &Facts, now: Now) -> FactsView {
        let value =
            |fact: &Arc<Declared>| (Arc::clone(&fact.name), fact.value(facts.series.get(&fact.source), now.monotonic));
        FactsView { declared: self.declared.iter().map(value).collect(), ..facts.view(now) }
    }

    /// Runs the files' own tests.
    pub fn run_tests(&self) -> Vec<TestReport> {
        self.tests.iter().map(|test| crate::test_run::run(self, test)).collect()
    }

    /// Every rule's id, in order.
    pub fn rule_ids(&self) -> &[Arc<str>] {
        &self.ids
    }

    /// Every prompt and music the rules name.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.prompts.iter().map(AsRef::as_ref)
    }
}
