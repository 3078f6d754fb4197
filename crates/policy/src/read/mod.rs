//! From files to a rule set: every name found, every value understood, every mistake noted with its place.
//!
//! Names are gathered over all files first, so that any file may refer to any other; then bodies are read; then the
//! whole is looked at for what works but is probably not meant.

mod advice;
mod callbacks;
mod conditions;
mod declarations;
mod destinations;
mod opening_hours;
mod options;
mod queues;
mod rules;
mod scenarios;

use crate::{
    callback::{Callback, OWN_PLACES},
    condition::{Declared, Leaf},
    diagnostic::{Diagnostic, Diagnostics, Severity},
    event::EventError,
    hours::Hours,
    number::NumberList,
    rule::{Rule, RuleVerb},
    ruleset::{Environment, Loaded, MAX_TRANSFERS, Quotable, RuleSet, SourceFile, SourceKind, To},
    test_run::Test,
    text::{Fields, Key, LARGEST_FILE, Node, Problems, Span, from_json, parse},
    transfer::{Destination, TransferOptions, Whisper},
};
use core::time::Duration;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The most rules of all files together.
const MOST_RULES: usize = 2000;

/// Reads and checks all files.
pub(crate) fn load(files: &[SourceFile], environment: &Environment) -> Result<Loaded, Diagnostics> {
    let mut sources: Vec<Source> =
        files.iter().filter(|file| file.kind != SourceKind::List).map(Source::read).collect();
    let mut reader = Reader::new(environment);
    let mut list_sources = Vec::new();

    for source in &mut sources {
        source.split(&mut reader);
    }
    each(&mut sources, |source, problems| reader.facts(source, problems));
    each(&mut sources, |source, problems| reader.lists(source, files, problems, &mut list_sources));
    each(&mut sources, |source, problems| reader.hours(source, problems));
    each(&mut sources, |source, problems| reader.destination_names(source, problems));
    each(&mut sources, |source, problems| reader.defaults(source, problems));
    each(&mut sources, |source, problems| reader.destinations(source, problems));
    for (index, source) in sources.iter_mut().enumerate() {
        let mut problems = core::mem::take(&mut source.problems);
        reader.rules(index, source, &mut problems);
        source.problems = problems;
    }
    each(&mut sources, |source, problems| reader.scenarios(source, problems));
    if !sources.iter().chain(&list_sources).any(|source| source.problems.any_error()) {
        advice::give(&reader, &mut sources);
    }

    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    for source in sources.into_iter().chain(list_sources) {
        diagnostics.extend(source.problems.located(&source.path, &source.text));
    }
    if diagnostics.iter().any(|it| it.severity == Severity::Error) {
        return Err(Diagnostics(diagnostics));
    }
    Ok(Loaded { rules: reader.finish(), warnings: diagnostics })
}

/// The list files that rules files name.
pub(crate) fn list_files(files: &[SourceFile]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for file in files.iter().filter(|file| file.kind != SourceKind::List) {
        let source = Source::read(file);
        let Some(tree) = &source.tree else { continue };
        let mut unused = Problems::default();
        let lists = Fields::new(tree, "key", &mut unused).and_then(|mut top| top.take("lists", &mut unused));
        let Some(mut lists) = lists.and_then(|lists| Fields::new(lists, "list", &mut unused)) else { continue };
        while let Some((_, list)) = lists.first_left() {
            let numbers = Fields::new(list, "key", &mut unused).and_then(|mut list| list.take("numbers", &mut unused));
            names.extend(numbers.and_then(Node::as_scalar).map(|(name, _)| name.to_owned()));
        }
    }
    names.into_iter().collect()
}

/// A request for a transfer: `to` and options, in the words of the rules.
pub(crate) fn request(rules: &RuleSet, body: &Value) -> Result<(To, TransferOptions), EventError> {
    let (node, paths) = from_json(body);
    let environment = Environment { mailboxes: rules.mailboxes.clone(), ..Environment::default() };
    let mut reader = Reader::new(&environment);
    reader.destination_names.extend(rules.destinations.keys().map(|name| (Arc::clone(name), None)));
    let mut problems = Problems::default();
    let mut to = None;
    let mut options = TransferOptions::default();
    if let Some(mut fields) = Fields::new(&node, "key", &mut problems) {
        to = fields.need("to", &mut problems).and_then(|to| to.text(&mut problems, 512)).map(To::parse);
        options = reader.options(&mut fields, &mut problems);
        fields.later(&["caller_id"], &mut problems);
        fields.finish(&mut problems);
    }
    let first = problems.0.into_iter().find(|problem| problem.severity == Severity::Error);
    match (first, to) {
        (None, Some(to)) => Ok((to, options)),
        (problem, _) => {
            let problem = problem.map(|it| (it.span, it.message, it.help));
            let (span, message, help) = problem.unwrap_or((Span::default(), "not a transfer".into(), None));
            let message = help.map_or(message.clone(), |help| format!("{message}, {help}"));
            let field = paths.get(span.column as usize).cloned().unwrap_or_default();
            Err(EventError { index: None, field, message })
        }
    }
}

fn each(sources: &mut [Source], mut read: impl FnMut(&Source, &mut Problems)) {
    for source in sources {
        let mut problems = core::mem::take(&mut source.problems);
        read(source, &mut problems);
        source.problems = problems;
    }
}

/// One file on its way.
struct Source {
    kind: SourceKind,
    path: Arc<str>,
    text: String,
    tree: Option<Node>,
    problems: Problems,
    /// The lines it applies to.
    lines: Option<Arc<[Arc<str>]>>,
}

const SECTIONS: [&str; 9] =
    ["version", "applies_to", "facts", "lists", "hours", "destinations", "defaults", "rules", "tests"];

impl Source {
    fn read(file: &SourceFile) -> Self {
        let mut problems = Problems::default();
        let mut text = String::new();
        let mut tree = None;
        if file.bytes.len() > LARGEST_FILE {
            let size = file.bytes.len();
            problems.error(Span::default(), format!("{size} bytes are too many, at most {LARGEST_FILE} are read"));
        } else {
            text = decode(&file.bytes, &mut problems);
            if problems.0.is_empty() {
                tree = parse(&text, &mut problems);
                if tree.is_none() && problems.0.is_empty() {
                    let help = "begin with `version: 1`";
                    problems.error_with(Span::default(), "the file is empty", help);
                }
            }
        }
        let (kind, path) = (file.kind, Arc::clone(&file.path));
        Self { kind, path, text, tree, problems, lines: None }
    }

    /// Checks the sections' names and reads those that concern the file alone.
    fn split(&mut self, reader: &mut Reader<'_>) {
        let problems = &mut self.problems;
        let Some(tree) = &self.tree else { return };
        let Some(mut top) = Fields::new(tree, "section", problems) else { return };
        match top.need("version", problems) {
            Some(version) if !version.is_word("1") => {
                let message = format!("found {}, expected `1`", version.described());
                problems.error_with(version.span, message, "this Tandem reads `version: 1`");
            }
            _ => {}
        }
        for section in SECTIONS {
            let _ = top.take(section, problems);
        }
        top.later(&["queues", "agents", "recording", "prompts", "context", "callbacks"], problems);
        if let Some((key, _)) = top.take_entry("defaults").filter(|_| self.kind != SourceKind::Main) {
            problems.error_with(key.span, "`defaults` stand only in rules.yaml", "move them there");
        }
        let applies = top.take_entry("applies_to").map(|(_, node)| node);
        let mut lines = None;
        if let Some(mut fields) = applies.and_then(|node| Fields::new(node, "key", problems)) {
            if let Some(node) = fields.need("lines", problems) {
                lines = Some(reader.line_names(node, problems).into());
            }
            fields.finish(problems);
        }
        top.finish(problems);
        self.lines = lines;
    }

    fn section(&self, name: &str) -> Option<&Node> {
        let crate::text::Kind::Map(entries) = &self.tree.as_ref()?.kind else { return None };
        let node = entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node)?;
        (!matches!(node.kind, crate::text::Kind::Empty)).then_some(node)
    }
}

fn decode(bytes: &[u8], problems: &mut Problems) -> String {
    match core::str::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text).to_owned(),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
            let span = Span { line: narrow(line), column: narrow(column), width: 1 };
            problems.error_with(span, "this is not UTF-8 text", "save the file as UTF-8");
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What has been read so far.
struct Reader<'e> {
    environment: &'e Environment,
    facts: BTreeMap<Arc<str>, Arc<Declared>>,
    lists: Vec<(Arc<str>, NumberList)>,
    hours: Vec<Hours>,
    /// Where each is declared; `None` for those of a rule set in force.
    destination_names: BTreeMap<Arc<str>, Option<Place>>,
    destinations: BTreeMap<Arc<str>, Destination>,
    preferences: BTreeMap<Arc<str>, Vec<(Arc<str>, crate::rule::Given)>>,
    defaults: TransferOptions,
    cooldown: Duration,
    max_transfers: u32,
    leaves: Vec<Leaf>,
    rules: Vec<Rule>,
    written: Vec<Written>,
    tests: Vec<Test>,
    prompts: BTreeSet<Arc<str>>,
    /// Destinations that a rule or a chain leads to.
    used: BTreeSet<Arc<str>>,
}

/// Where something is declared.
#[derive(Clone, Debug)]
struct Place {
    file: Arc<str>,
    span: Span,
}

/// What advice needs to know of a rule beside the rule.
struct Written {
    source: usize,
    file: Arc<str>,
    span: Span,
    /// Its condition as written, without places.
    when: String,
    when_span: Span,
}

impl<'e> Reader<'e> {
    fn new(environment: &'e Environment) -> Self {
        Self {
            environment,
            facts: BTreeMap::new(),
            lists: Vec::new(),
            hours: Vec::new(),
            destination_names: BTreeMap::new(),
            destinations: BTreeMap::new(),
            preferences: BTreeMap::new(),
            defaults: TransferOptions::default(),
            cooldown: Duration::from_secs(60),
            max_transfers: MAX_TRANSFERS,
            leaves: Vec::new(),
            rules: Vec::new(),
            written: Vec::new(),
            tests: Vec::new(),
            prompts: BTreeSet::new(),
            used: BTreeSet::new(),
        }
    }

    fn finish(self) -> RuleSet {
        let words = self.words();
        RuleSet {
            words,
            ids: self.rules.iter().map(|rule| Arc::clone(&rule.id)).collect(),
            rules: self.rules,
            leaves: self.leaves,
            hours: self.hours,
            lists: self.lists,
            declared: self.facts.into_values().collect(),
            destinations: self.destinations,
            preferences: self.preferences,
            mailboxes: self.environment.mailboxes.clone(),
            defaults: self.defaults,
            max_transfers: self.max_transfers,
            tests: self.tests,
            prompts: self.prompts,
        }
    }

    /// Whispers of the caller's own words: on which lines, and how much. A destination may be reached from every line.
    fn words(&self) -> Vec<Quotable> {
        let of = |options: &TransferOptions| options.whisper.as_ref().and_then(Whisper::words);
        let everywhere = self.destinations.values().map(|it| &it.options).chain([&self.defaults]);
        let everywhere = everywhere.filter_map(of).max().map(|lasting| (None, lasting));
        let by_rules = self.rules.iter().filter_map(|rule| match &rule.verb {
            Some(RuleVerb::Transfer { options, .. }) => Some((rule.lines.clone(), of(options)?)),
            _ => None,
        });
        everywhere.into_iter().chain(by_rules).collect()
    }

    /// A name of the configuration: unknown ones are mistakes where the configuration is known.
    fn configured(
        &self,
        kind: &str,
        known: Option<&BTreeSet<String>>,
        node: &Node,
        problems: &mut Problems,
    ) -> Option<Arc<str>> {
        let name = node.name(problems)?;
        if let Some(known) = known.filter(|known| !known.contains(&*name)) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            problems.unknown(node.span, kind, &name, &known);
            return None;
        }
        Some(name)
    }

    fn line_names(&self, node: &Node, problems: &mut Problems) -> Vec<Arc<str>> {
        let known = self.environment.lines.as_ref();
        node.items().iter().filter_map(|item| self.configured("line", known, item, problems)).collect()
    }

    /// A prompt or music by name; an unknown one is a warning, for it can be put there later.
    fn prompt(&mut self, node: &Node, problems: &mut Problems) -> Option<Arc<str>> {
        let name = node.name(problems)?;
        if let Some(known) = self.environment.prompts.as_ref().filter(|known| !known.contains(&*name)) {
            let meant = crate::diagnostic::did_you_mean(&name, known.iter().map(String::as_str));
            let help = meant.map_or("nothing will be heard".into(), |meant| format!("did you mean `{meant}`?"));
            problems.warning(node.span, format!("there is no prompt or music `{name}`"), Some(help));
        }
        self.prompts.insert(Arc::clone(&name));
        Some(name)
    }

    /// A mailbox of the configuration.
    fn mailbox_named(&self, name: &str, span: Span, problems: &mut Problems) -> Option<Arc<str>> {
        let known = self.environment.mailboxes.as_ref();
        if let Some(known) = known.filter(|known| !known.contains(name)) {
            if known.is_empty() {
                let help = "add it under `voicemail: { mailboxes: … }` of tandem.yaml";
                problems.error_with(span, format!("there is no mailbox `{}`", crate::text::short(name)), help);
            } else {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                problems.unknown(span, "mailbox", name, &known);
            }
            return None;
        }
        Some(name.into())
    }

    /// The place of an hours section's entry by name.
    fn hours_named(&self, node: &Node, problems: &mut Problems) -> Option<usize> {
        let name = node.name(problems)?;
        let found = self.hours.iter().position(|hours| hours.name == name);
        if found.is_none() {
            let known: Vec<&str> = self.hours.iter().map(|hours| &*hours.name).collect();
            problems.unknown(node.span, "opening hours", &name, &known);
        }
        found
    }

    fn list_named(&self, node: &Node, problems: &mut Problems) -> Option<usize> {
        let name = node.name(problems)?;
        let found = self.lists.iter().position(|(list, _)| *list == name);
        if found.is_none() {
            let known: Vec<&str> = self.lists.iter().map(|(list, _)| &**list).collect();
            problems.unknown(node.span, "list", &name, &known);
        }
        found
    }

    fn destination_named(&mut self, node: &Node, problems: &mut Problems) -> Option<Arc<str>> {
        let text = node.text(problems, 512)?;
        if let To::Uri(_) = To::parse(text) {
            let help = "declare it under `destinations` and write its name here";
            problems.error_with(node.span, "a rule names a destination, not an address", help);
            return None;
        }
        if let Some((name, _)) = self.destination_names.get_key_value(text) {
            let name = Arc::clone(name);
            self.used.insert(Arc::clone(&name));
            return Some(name);
        }
        if let Some(mailbox) = crate::mailbox::mailbox_of(text) {
            return self.mailbox_named(mailbox, node.span, problems).map(|it| crate::mailbox::name_of(&it));
        }
        if OWN_PLACES.contains(&text) {
            if text == "callback" {
                self.callback_used(node, &Callback::default(), problems);
            }
            return Some(text.into());
        }
        let own = ["ai"].into_iter().chain(OWN_PLACES);
        let known: Vec<&str> = self.destination_names.keys().map(|name| &**name).chain(own).collect();
        problems.unknown(node.span, "destination", text, &known);
        None
    }
}

/// A key that names something of the operator's.
fn own_name(key: &Key, what: &str, problems: &mut Problems) -> Option<Arc<str>> {
    let odd = key.text.chars().find(|c| !(c.is_alphanumeric() || "_-.".contains(*c)));
    if let Some(odd) = odd {
        let help = "use letters, digits, `_`, `-` and `.`";
        problems.error_with(key.span, format!("the name of a {what} cannot contain `{}`", odd.escape_default()), help);
        return None;
    }
    if key.text.is_empty() || key.text.chars().count() > 64 {
        problems.error(key.span, format!("the name of a {what} has 1 to 64 characters"));
        return None;
    }
    Some(key.text.as_str().into())
}

/// The mistake of naming something twice.
fn twice(what: &str, name: &str, first: &Place, span: Span, problems: &mut Problems) {
    let (file, line) = (&first.file, first.span.line);
    problems.error_with(span, format!("the {what} `{name}` is given twice"), format!("first in {file}, line {line}"));
}

/// One of these keys says where the destination `name` leads, never two.
fn exactly_one<'n>(
    fields: &mut Fields<'n>,
    keys: &[&'static str],
    name: &str,
    problems: &mut Problems,
) -> Option<(&'static str, &'n Node)> {
    let mut found = None;
    for key in keys {
        let Some((at, node)) = fields.take_entry(key) else { continue };
        match found {
            None => found = Some((*key, node)),
            Some((first, _)) => {
                problems.error(at.span, format!("`{key}` and `{first}` exclude each other"));
            }
        }
    }
    if found.is_none() {
        let help = "add `dial: \"sip:user@host\"`";
        problems.error_with(fields.span, format!("nothing says where `{name}` leads"), help);
    }
    found
}
