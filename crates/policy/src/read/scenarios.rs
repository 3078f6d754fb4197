//! `tests`.

use super::{Reader, Source, options::is_key};
use crate::{
    callback::OWN_PLACES,
    event::{TYPES, fields_of},
    facts::{AnsweredBy, CallStart, Direction},
    test_run::{Expect, Outcome, Step, Test},
    text::{Fields, Key, Kind, Node, Problems, Span, short},
    transfer::Cause,
};
use core::time::Duration;
use std::{collections::BTreeMap, sync::Arc};

/// When a test does not say `at`: a Wednesday noon.
const NOON: &str = "2026-01-07T12:00:00Z";
/// What a test's step may be beside an event.
const OWN_STEPS: [&str; 6] = ["wait", "dtmf", "silence", "ai_lost", "handback", "answered_by"];
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Reader<'_> {
    pub(super) fn scenarios(&mut self, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("tests") else { return };
        let Kind::List(items) = &section.kind else {
            section.wrong(problems, "a list of tests", Some("begin each test with `- name: …`"));
            return;
        };
        for node in items {
            let test = self.scenario(source, node, problems);
            self.tests.extend(test);
        }
    }

    fn scenario(&mut self, source: &Source, node: &Node, problems: &mut Problems) -> Option<Test> {
        let mut fields = Fields::new(node, "key", problems)?;
        let name = fields.need("name", problems).and_then(|it| it.text(problems, 200));
        let at = match fields.take("at", problems) {
            Some(node) => moment(node.text(problems, 64)?, node.span, problems),
            None => moment(NOON, Span::default(), problems),
        };
        let call = fields.take("call", problems).map(|it| self.call(it, problems)).unwrap_or_default();
        let call = self.with_line(call, source);
        fields.later(&["queues", "reputation"], problems);
        let agents = fields.take("agents", problems).map(|it| self.somebody(it, problems));
        let outcomes = fields.take("outcomes", problems).map(|it| self.outcomes(it, problems)).unwrap_or_default();
        let steps = match fields.take("steps", problems) {
            Some(node) => node.items().iter().filter_map(|item| step(item, problems)).collect(),
            None => Vec::new(),
        };
        let expect = fields.need("expect", problems).and_then(|it| self.expect(it, problems));
        fields.finish(problems);
        Some(Test {
            name: name?.to_owned(),
            file: Arc::clone(&source.path),
            line: node.span.line,
            at: at?,
            call,
            agents,
            outcomes,
            steps,
            expect: expect?,
        })
    }

    /// A test that names no line calls one that its file applies to.
    fn with_line(&self, mut call: CallStart, source: &Source) -> CallStart {
        if call.line.is_none() {
            call.line = source.lines.as_ref().and_then(|lines| lines.first()).cloned();
        }
        call
    }

    fn call(&mut self, node: &Node, problems: &mut Problems) -> CallStart {
        let Some(mut fields) = Fields::new(node, "key", problems) else { return CallStart::default() };
        let environment = self.environment;
        let mut name = |key, what, known, problems: &mut Problems| {
            fields.take(key, problems).and_then(|it| self.configured(what, known, it, problems))
        };
        let line = name("line", "line", environment.lines.as_ref(), problems);
        let trunk = name("trunk", "trunk", environment.trunks.as_ref(), problems);
        let profile = name("profile", "AI profile", environment.profiles.as_ref(), problems);
        let mut number = |key, problems: &mut Problems| {
            fields.take(key, problems).and_then(|it| it.text(problems, 64)).map(Arc::from)
        };
        let caller = number("caller", problems);
        let called = number("called", problems);
        let words = [Direction::Inbound, Direction::Outbound].map(|direction| (direction.name(), direction));
        let direction = fields.take("direction", problems).and_then(|it| it.choice(problems, "direction", &words));
        fields.finish(problems);
        CallStart { line, caller, called, trunk, profile, direction: direction.unwrap_or_default() }
    }

    fn outcomes(&mut self, node: &Node, problems: &mut Problems) -> BTreeMap<Arc<str>, Outcome> {
        let mut outcomes = BTreeMap::new();
        let Some(mut fields) = Fields::new(node, "destination", problems) else { return outcomes };
        let words: Vec<(&str, Outcome)> = Cause::ALL
            .into_iter()
            .map(|cause| (cause.name(), Outcome::Fails(cause)))
            .chain([("answers", Outcome::Answers)])
            .collect();
        while let Some((key, node)) = fields.first_left() {
            let Some(name) = self.known_destination(key, problems) else { continue };
            if let Some(outcome) = node.choice(problems, "outcome", &words) {
                outcomes.insert(name, outcome);
            }
        }
        outcomes
    }

    fn known_destination(&self, key: &Key, problems: &mut Problems) -> Option<Arc<str>> {
        let known = self.destination_names.get_key_value(key.text.as_str()).map(|(name, _)| Arc::clone(name));
        let own = OWN_PLACES.iter().find(|name| **name == key.text).map(|name| Arc::from(*name));
        let known = known.or(own);
        if known.is_none() {
            let names: Vec<&str> = self.destination_names.keys().map(|name| &**name).collect();
            problems.unknown(key.span, "destination", &key.text, &names);
        }
        known
    }

    fn expect(&mut self, node: &Node, problems: &mut Problems) -> Option<Expect> {
        if node.is_word("none") {
            return Some(Expect { nothing: true, ..Expect::default() });
        }
        if node.as_scalar().is_some() {
            node.wrong(problems, "`none`, or `{ rule: ID, ended_at: DESTINATION }`", None);
            return None;
        }
        let mut fields = Fields::new(node, "key", problems)?;
        let mut expect = Expect::default();
        if let Some(node) = fields.take("rule", problems) {
            match node.is_word("none") {
                true => expect.nothing = true,
                false => expect.rule = self.rule_named(node, problems),
            }
        }
        if let Some(node) = fields.take("tried", problems) {
            let mut names = Vec::new();
            for item in node.items() {
                names.extend(self.place_named(item, &["ai", "callback", "message"], problems));
            }
            expect.tried = Some(names);
        }
        if let Some(node) = fields.take("ended_at", problems) {
            expect.ended_at = self.place_named(node, &["ai", "end", "callback", "message"], problems);
        }
        if let Some(mut why) = fields.take("why", problems).and_then(|it| Fields::new(it, "destination", problems)) {
            let words: Vec<(&str, Cause)> = Cause::ALL.into_iter().map(|cause| (cause.name(), cause)).collect();
            while let Some((key, node)) = why.first_left() {
                let cause = node.choice(problems, "cause", &words);
                expect.why.extend(self.known_destination(key, problems).zip(cause));
            }
        }
        if let Some(node) = fields.take("tags", problems) {
            expect.tags = Some(node.items().iter().filter_map(|item| item.name(problems)).collect());
        }
        if let Some(node) = fields.take("announced", problems) {
            expect.announced = Some(node.items().iter().filter_map(|item| item.name(problems)).collect());
        }
        if let Some(mut context) = fields.take("context", problems).and_then(|it| Fields::new(it, "key", problems)) {
            while let Some((key, node)) = context.first_left() {
                expect.context.insert(key.text.clone(), crate::text::to_json(node));
            }
        }
        fields.finish(problems);
        Some(expect)
    }

    fn rule_named(&self, node: &Node, problems: &mut Problems) -> Option<Arc<str>> {
        let name = node.name(problems)?;
        if !self.rules.iter().any(|rule| rule.id == name) {
            let known: Vec<&str> = self.rules.iter().map(|rule| &*rule.id).collect();
            problems.unknown(node.span, "rule", &name, &known);
        }
        Some(name)
    }

    fn place_named(&self, node: &Node, own: &[&str], problems: &mut Problems) -> Option<Arc<str>> {
        if let Some(mailbox) = node.as_scalar().and_then(|(text, _)| crate::mailbox::mailbox_of(text)) {
            return self.mailbox_named(mailbox, node.span, problems).map(|it| crate::mailbox::name_of(&it));
        }
        let name = node.name(problems)?;
        if !own.contains(&&*name) && !self.destination_names.contains_key(&name) {
            let names = self.destination_names.keys().map(|name| &**name);
            let known: Vec<&str> = names.chain(own.iter().copied()).collect();
            problems.unknown(node.span, "destination", &name, &known);
        }
        Some(name)
    }
}

fn moment(text: &str, span: Span, problems: &mut Problems) -> Option<Duration> {
    let at = text.parse::<jiff::Timestamp>().ok().and_then(|at| u64::try_from(at.as_second()).ok());
    if at.is_none() {
        let help = "write \"2026-11-30T03:12:00+01:00\"";
        problems.error_with(span, format!("`{}` is not a moment with its offset", short(text)), help);
    }
    at.map(Duration::from_secs)
}

/// An event by name, an event with its fields, or something that happens.
fn step(node: &Node, problems: &mut Problems) -> Option<(String, Step)> {
    match &node.kind {
        Kind::Scalar(name, _) => {
            if name == "ai_lost" || name == "handback" {
                return Some((name.clone(), if name == "ai_lost" { Step::AiLost } else { Step::Handback }));
            }
            let none = Node { kind: Kind::Map(Vec::new()), span: node.span };
            let name = step_name(name, node.span, problems)?;
            let event = fields_of(name, Fields::new(&none, "field", problems)?, problems)?;
            Some((name.to_owned(), Step::Event(event)))
        }
        Kind::Map(entries) if !entries.is_empty() => {
            let (key, value) = &entries[0];
            let label = format!("{}: {}", key.text, crate::text::to_json(value));
            let own = own_step(key, value, problems);
            if let Some(step) = own {
                for (key, _) in &entries[1..] {
                    problems.error(key.span, "one step does one thing");
                }
                return step.map(|step| (label, step));
            }
            event_step(node, entries, problems).map(|event| (label, event))
        }
        _ => {
            node.wrong(problems, "a step, such as `no_match`, `{ intent: balance }` or `{ wait: 20s }`", None);
            None
        }
    }
}

fn step_name(name: &str, span: Span, problems: &mut Problems) -> Option<&'static str> {
    let known = TYPES.into_iter().find(|known| *known == name);
    if known.is_none() {
        let all: Vec<&str> = TYPES.into_iter().chain(OWN_STEPS).collect();
        problems.unknown(span, "step", name, &all);
    }
    known
}

/// `None`: not one of ours. `Some(None)`: ours, with a mistake.
#[expect(clippy::option_option, reason = "three answers: another's, ours, ours but wrong")]
fn own_step(key: &Key, value: &Node, problems: &mut Problems) -> Option<Option<Step>> {
    let step = match key.text.as_str() {
        "wait" => value.duration(problems, Duration::from_millis(1), 7 * DAY).map(Step::Wait),
        "silence" => value.duration(problems, Duration::from_millis(1), DAY).map(Step::Silence),
        "dtmf" => match value.text(problems, 32) {
            Some(keys) if keys.chars().all(|it| is_key(it.to_ascii_uppercase())) => Some(Step::Dtmf(keys.to_owned())),
            Some(_) => {
                value.wrong(problems, "keys of a telephone: 0 to 9, `*`, `#`, A to D", None);
                None
            }
            None => None,
        },
        "answered_by" => {
            let words = AnsweredBy::ALL.map(|who| (who.name(), who));
            value.choice(problems, "answerer", &words).map(Step::AnsweredBy)
        }
        "ai_lost" => value.boolean(problems).map(|_| Step::AiLost),
        "handback" => value.boolean(problems).map(|_| Step::Handback),
        _ => return None,
    };
    Some(step)
}

/// `{ intent: balance, confidence: 0.9 }`, or `{ intent: { name: balance, confidence: 0.9 } }`.
fn event_step(node: &Node, entries: &[(Key, Node)], problems: &mut Problems) -> Option<Step> {
    let (key, value) = &entries[0];
    let name = step_name(&key.text, key.span, problems)?;
    if entries.len() == 1 && matches!(value.kind, Kind::Map(_)) {
        let event = fields_of(name, Fields::new(value, "field", problems)?, problems)?;
        return Some(Step::Event(event));
    }
    let main = match name {
        "sentiment" => "score",
        "intent" | "custom" => "name",
        "lead" => "value",
        "transfer_requested" => "reason",
        "summary" | "message" => "text",
        "consent" => "granted",
        _ => {
            value.wrong(problems, "the event's fields", Some("write `{ context: { key: value } }`"));
            return None;
        }
    };
    let mut flat: Vec<(Key, Node)> = entries.to_vec();
    flat[0].0.text = main.to_owned();
    let flat = Node { kind: Kind::Map(flat), span: node.span };
    let event = fields_of(name, Fields::new(&flat, "field", problems)?, problems)?;
    Some(Step::Event(event))
}
