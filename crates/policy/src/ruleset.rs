//! The rules in force, and everything that can be asked of them.

use crate::{
    diagnostic::{Diagnostic, Diagnostics, did_you_mean},
    evaluation::{Evaluation, Explanation, Phase},
    facts::{Facts, FactsView},
    test_run::TestReport,
    transfer::{Destination, Dial, Place, Ring, TransferOptions, TransferSpec},
};
use clock::Now;
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
    /// Prompts and music: an unknown one is a warning.
    pub prompts: Option<BTreeSet<String>>,
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

/// The rules in force: immutable, shared by every call.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) destinations: BTreeMap<Arc<str>, Destination>,
    pub(crate) defaults: TransferOptions,
}

impl RuleSet {
    /// Reads and checks all files: all of them, or every mistake.
    pub fn load(files: &[SourceFile], environment: &Environment) -> Result<Loaded, Diagnostics> {
        let _ = environment;
        let whole = |file: &SourceFile| Diagnostic {
            severity: crate::diagnostic::Severity::Error,
            file: Arc::clone(&file.path),
            line: 0,
            column: 0,
            width: 0,
            source: String::new(),
            message: "rules files cannot be read yet".into(),
            help: None,
        };
        Err(Diagnostics(files.iter().map(whole).collect()))
    }

    /// The names of the list files that these rules files ask for: read them and hand them to [`RuleSet::load`].
    pub fn list_files(files: &[SourceFile]) -> Vec<String> {
        let _ = files;
        Vec::new()
    }

    /// Asks every rule, from the top; consumes what has just happened; does `set` and `tag` to `facts`.
    pub fn evaluate(&self, facts: &mut Facts, now: Now, phase: Phase) -> Evaluation {
        let _ = (facts, now, phase);
        Evaluation { actions: Vec::new(), decision: None, next_change: None }
    }

    /// The reasons of an evaluation of these very rules, in words.
    pub fn explain(&self, evaluation: &Evaluation) -> Explanation {
        let _ = evaluation;
        Explanation::default()
    }

    /// A destination by name.
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations.get(name)
    }

    /// Every destination, by name.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.values()
    }

    /// A request's transfer, merged: `overrides` over the destination over the defaults.
    pub fn transfer(&self, to: &To, overrides: &TransferOptions) -> Result<TransferSpec, UnknownDestination> {
        match to {
            To::Name(name) if **name == *"ai" => {
                let place = Place::Ai { profile: None };
                let ai = Destination { name: "ai".into(), place, hours: None, options: TransferOptions::default() };
                Ok(TransferSpec::merge(&ai, None, overrides, &self.defaults))
            }
            To::Name(name) => self.named(name, None, overrides),
            To::Uri(uri) => {
                let place = Place::Dial(Dial { targets: vec![Arc::clone(uri)], trunk: None, ring: Ring::Ordered });
                let direct =
                    Destination { name: Arc::clone(uri), place, hours: None, options: TransferOptions::default() };
                Ok(TransferSpec::merge(&direct, None, overrides, &self.defaults))
            }
        }
    }

    /// The next destination of a chain, merged with what rule and request said about the whole transfer.
    pub fn next_in_chain(&self, name: &str, before: &TransferSpec) -> Result<TransferSpec, UnknownDestination> {
        self.named(name, before.rule.clone(), &before.overrides)
    }

    fn named(
        &self,
        name: &str,
        rule: Option<Arc<str>>,
        overrides: &TransferOptions,
    ) -> Result<TransferSpec, UnknownDestination> {
        match self.destinations.get(name) {
            Some(destination) => Ok(TransferSpec::merge(destination, rule, overrides, &self.defaults)),
            None => Err(UnknownDestination {
                name: name.to_owned(),
                did_you_mean: did_you_mean(name, self.destinations.keys().map(AsRef::as_ref)).map(str::to_owned),
            }),
        }
    }

    /// Whether opening hours (a destination's or a spec's `hours`) are open now; true without hours.
    pub fn is_open(&self, hours: Option<&str>, now: Now) -> bool {
        let _ = (hours, now);
        true
    }

    /// A call's facts with the declared ones.
    pub fn view(&self, facts: &Facts, now: Now) -> FactsView {
        facts.view(now)
    }

    /// Runs the files' own tests.
    pub fn run_tests(&self) -> Vec<TestReport> {
        Vec::new()
    }

    /// Every rule's id, in order.
    pub fn rule_ids(&self) -> &[Arc<str>] {
        &[]
    }
}
