//! `when`.

use super::{Reader, options::is_key};
use crate::{
    condition::{
        Condition, Counter, Declared, FactKind, FactTest, Leaf, Numbers, Operator, Party, PartyTest, Since, Word,
    },
    event::TYPES,
    facts::{AnsweredBy, Direction, MOST_DIGITS, MOST_SCORES},
    number::{Pattern, canonical},
    text::{Fields, Kind, Node, Problems},
};
use core::time::Duration;
use std::sync::Arc;

const DAY: Duration = Duration::from_secs(24 * 3600);
const SECOND: Duration = Duration::from_secs(1);

const DIRECTIONS: [Direction; 2] = [Direction::Inbound, Direction::Outbound];

/// What a later stage of Tandem will know.
const LATER: [&str; 5] = ["expr", "percent", "rate", "rates", "queue"];

impl Reader<'_> {
    /// A mapping whose conditions must all hold.
    pub(super) fn condition(&mut self, node: &Node, problems: &mut Problems) -> Option<Condition> {
        if !matches!(node.kind, Kind::Map(_)) {
            let help = "write `{ retries: { at_least: 3 } }`; leave `when` out for a rule that always holds";
            node.wrong(problems, "conditions", Some(help));
            return None;
        }
        let before = problems.0.len();
        let mut fields = Fields::new(node, "condition", problems)?;
        let mut parts = Vec::new();
        self.groups(&mut fields, problems, &mut parts);
        self.conversation(&mut fields, problems, &mut parts);
        self.of_the_call(&mut fields, problems, &mut parts);
        fields.later(&LATER, problems);
        fields.finish(problems);
        if parts.is_empty() && problems.0.len() == before {
            problems.error_with(
                node.span,
                "there is no condition in it",
                "leave `when` out for a rule that always holds",
            );
        }
        match parts.len() {
            1 => parts.pop(),
            _ => Some(Condition::All(parts)),
        }
    }

    fn leaf(&mut self, leaf: Leaf) -> Condition {
        self.leaves.push(leaf);
        Condition::Leaf(u32::try_from(self.leaves.len() - 1).unwrap_or(u32::MAX))
    }

    fn groups(&mut self, fields: &mut Fields<'_>, problems: &mut Problems, parts: &mut Vec<Condition>) {
        for key in ["all", "any"] {
            let Some(node) = fields.take(key, problems) else { continue };
            let Kind::List(items) = &node.kind else {
                node.wrong(problems, "a list of conditions", Some("write `[ { … }, { … } ]`"));
                continue;
            };
            if items.is_empty() {
                problems.error(node.span, format!("`{key}` of nothing means nothing"));
            }
            let inner: Vec<Condition> = items.iter().filter_map(|item| self.condition(item, problems)).collect();
            parts.push(if key == "all" { Condition::All(inner) } else { Condition::Any(inner) });
        }
        if let Some(node) = fields.take("not", problems) {
            parts.extend(self.condition(node, problems).map(|inner| Condition::Not(Box::new(inner))));
        }
    }

    /// What is said and felt.
    fn conversation(&mut self, fields: &mut Fields<'_>, problems: &mut Problems, parts: &mut Vec<Condition>) {
        let mut found = Vec::new();
        if let Some(node) = fields.take("sentiment", problems) {
            found.extend(sentiment(node, problems));
        }
        let counters = [
            ("retries", Counter::Retries),
            ("auth_failures", Counter::AuthFailures),
            ("transfers_tried", Counter::TransfersTried),
        ];
        for (key, of) in counters {
            if let Some(node) = fields.take(key, problems) {
                found.extend(count(node, problems).map(|test| Leaf::Count { of, test }));
            }
        }
        for (key, seen) in [("intent", false), ("intent_seen", true)] {
            if let Some(node) = fields.take(key, problems) {
                found.extend(intent(node, seen, problems));
            }
        }
        if let Some(node) = fields.take("fact", problems) {
            found.extend(self.fact(node, fields, problems));
        }
        if let Some(node) = fields.take("dtmf", problems) {
            found.extend(digits(node, problems));
        }
        if let Some(node) = fields.take("silence", problems) {
            let duration = match &node.kind {
                Kind::Map(_) => Fields::new(node, "key", problems).and_then(|mut fields| {
                    let node = fields.need("for", problems);
                    fields.finish(problems);
                    node
                }),
                _ => Some(node),
            };
            found.extend(duration.and_then(|it| it.duration(problems, SECOND, DAY)).map(Leaf::Silence));
        }
        if let Some(node) = fields.take("event", problems) {
            let words: Vec<(&str, &str)> = TYPES.iter().map(|name| (*name, *name)).collect();
            let one = |item: &Node| item.choice(problems, "event type", &words).map(Arc::from);
            let names: Vec<Arc<str>> = node.items().iter().filter_map(one).collect();
            found.push(Leaf::Event(names));
        }
        if let Some(node) = fields.take("ai_lost", problems) {
            found.extend(node.boolean(problems).map(Leaf::AiLost));
        }
        for leaf in found {
            parts.push(self.leaf(leaf));
        }
    }

    /// Who calls whom, how long, when.
    fn of_the_call(&mut self, fields: &mut Fields<'_>, problems: &mut Problems, parts: &mut Vec<Condition>) {
        let mut found = Vec::new();
        for (key, which) in [("caller", Party::Caller), ("called", Party::Called)] {
            if let Some(node) = fields.take(key, problems) {
                self.party(node, which, problems, &mut found);
            }
        }
        for (key, which) in [("line", Word::Line), ("trunk", Word::Trunk), ("profile", Word::Profile)] {
            if let Some(node) = fields.take(key, problems) {
                let environment = self.environment;
                let known = match which {
                    Word::Line => environment.lines.as_ref(),
                    Word::Trunk => environment.trunks.as_ref(),
                    Word::Profile => environment.profiles.as_ref(),
                };
                let what = if which == Word::Profile { "AI profile" } else { key };
                let one = |item: &Node| self.configured(what, known, item, problems);
                let names = named(node).iter().filter_map(one).collect();
                found.push(Leaf::Word { which, names });
            }
        }
        if let Some(node) = fields.take("direction", problems) {
            let words = DIRECTIONS.map(|direction| (direction.name(), direction));
            let one = |item: &Node| item.choice(problems, "direction", &words);
            found.push(Leaf::Direction(node.items().iter().filter_map(one).collect()));
        }
        if let Some(node) = fields.take("answered_by", problems) {
            let words = AnsweredBy::ALL.map(|who| (who.name(), who));
            let one = |item: &Node| item.choice(problems, "answerer", &words);
            found.push(Leaf::AnsweredBy(named(node).iter().filter_map(one).collect()));
        }
        if let Some(node) = fields.take("tags", problems) {
            let names = named(node).iter().filter_map(|item| item.name(problems)).collect();
            found.push(Leaf::Tags(names));
        }
        if let Some(node) = fields.take("open", problems) {
            let which: Vec<usize> = node.items().iter().filter_map(|item| self.hours_named(item, problems)).collect();
            found.push(Leaf::Open(which));
        }
        for (key, since) in [("call_duration", Since::Call), ("stint_duration", Since::Stint)] {
            let Some(node) = fields.take(key, problems) else { continue };
            if node.as_scalar().is_some() {
                node.wrong(problems, "a comparison", Some("write `{ at_least: 5m }`"));
            } else if let Some(mut inner) = Fields::new(node, "operator", problems) {
                let read = |node: &Node, problems: &mut Problems| node.duration(problems, Duration::ZERO, DAY);
                let before = problems.0.len();
                let test = operators(&mut inner, problems, read);
                inner.finish(problems);
                if test.is_empty() && problems.0.len() == before {
                    problems.error_with(node.span, "there is no comparison in it", "write `{ at_least: 5m }`");
                }
                found.push(Leaf::Elapsed { since, test });
            }
        }
        for leaf in found {
            parts.push(self.leaf(leaf));
        }
    }

    fn party(&mut self, node: &Node, which: Party, problems: &mut Problems, found: &mut Vec<Leaf>) {
        let mut add = |test| found.push(Leaf::Party { which, test });
        if !matches!(node.kind, Kind::Map(_)) {
            add(PartyTest::Is(numbers(node, problems)));
            return;
        }
        let Some(mut fields) = Fields::new(node, "operator", problems) else { return };
        for key in ["is", "in"] {
            if let Some(node) = fields.take(key, problems) {
                add(PartyTest::Is(numbers(node, problems)));
            }
        }
        if let Some(node) = fields.take("matches", problems) {
            add(PartyTest::Matches(patterns(node, problems)));
        }
        if let Some(node) = fields.take("in_list", problems) {
            add(PartyTest::InList(node.items().iter().filter_map(|it| self.list_named(it, problems)).collect()));
        }
        if let Some(wanted) = fields.take("exists", problems).and_then(|node| node.boolean(problems)) {
            add(PartyTest::Exists(wanted));
        }
        fields.finish(problems);
    }

    /// `fact: NAME` with its operators beside it.
    fn fact(&mut self, node: &Node, fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Leaf> {
        let Some(name) = node.text(problems, 64) else { return Vec::new() };
        let Some(fact) = self.facts.get(name).cloned() else {
            let known: Vec<&str> = self.facts.keys().map(|name| &**name).collect();
            problems.unknown(node.span, "fact", name, &known);
            // What stands beside it belongs to it.
            for key in ["equals", "at_least", "at_most", "above", "below", "between", "is", "in", "exists"] {
                fields.skip(key);
            }
            return Vec::new();
        };
        let before = problems.0.len();
        let tests = match fact.kind {
            FactKind::Number => number_tests(fields, problems),
            FactKind::Text => self.text_tests(fields, problems),
            FactKind::Boolean => boolean_tests(fields, problems),
        };
        let exists = fields.take("exists", problems).and_then(|node| node.boolean(problems)).map(FactTest::Exists);
        let tests: Vec<FactTest> = tests.into_iter().chain(exists).collect();
        if tests.is_empty() && problems.0.len() == before {
            let help = match fact.kind {
                FactKind::Number => "add `at_least: 1000`, `below: 5` or the like",
                FactKind::Text => "add `is: WORD`",
                FactKind::Boolean => "add `is: true`",
            };
            problems.error_with(node.span, format!("nothing says what `{name}` should be"), help);
        }
        let leaf = |test| Leaf::Fact { fact: Arc::<Declared>::clone(&fact), test };
        tests.into_iter().map(leaf).collect()
    }

    fn text_tests(&self, fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<FactTest> {
        let mut tests = Vec::new();
        for key in ["is", "in", "equals"] {
            if let Some(node) = fields.take(key, problems) {
                tests.push(FactTest::Text(texts(node, problems)));
            }
        }
        if let Some(node) = fields.take("matches", problems) {
            tests.push(FactTest::Matches(patterns(node, problems)));
        }
        if let Some(node) = fields.take("in_list", problems) {
            let lists = node.items().iter().filter_map(|it| self.list_named(it, problems)).collect();
            tests.push(FactTest::InList(lists));
        }
        tests
    }
}

fn number_tests(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<FactTest> {
    let mut test = operators(fields, problems, Node::number);
    if let Some(number) = fields.take("is", problems).and_then(|node| node.number(problems)) {
        test.push(Operator::Equals(number));
    }
    if test.is_empty() { Vec::new() } else { vec![FactTest::Number(test)] }
}

fn boolean_tests(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<FactTest> {
    let mut tests = Vec::new();
    for key in ["is", "equals"] {
        if let Some(wanted) = fields.take(key, problems).and_then(|node| node.boolean(problems)) {
            tests.push(FactTest::Boolean(wanted));
        }
    }
    tests
}

fn sentiment(node: &Node, problems: &mut Problems) -> Option<Leaf> {
    if let Some((text, _)) = node.as_scalar() {
        let help = format!("write `{{ below: {} }}`", crate::text::short(text));
        node.wrong(problems, "a comparison", Some(&help));
        return None;
    }
    let before = problems.0.len();
    let mut fields = Fields::new(node, "operator", problems)?;
    let score = |node: &Node, problems: &mut Problems| {
        let score = node.number(problems)?;
        if !(-1.0..=1.0).contains(&score) {
            problems.error(node.span, format!("found {score}, but sentiment goes from -1 to 1"));
            return None;
        }
        Some(score)
    };
    let test = operators(&mut fields, problems, score);
    let most = u32::try_from(MOST_SCORES).unwrap_or(u32::MAX);
    let last = fields.take("last", problems).and_then(|node| node.whole(problems, 1..=most)).unwrap_or(1);
    let within = fields.take("within", problems).and_then(|node| node.duration(problems, SECOND, DAY));
    let exists = fields.take("exists", problems).and_then(|node| node.boolean(problems));
    fields.finish(problems);
    match exists {
        Some(wanted) if test.is_empty() => return Some(Leaf::SentimentExists(wanted)),
        _ => {}
    }
    if test.is_empty() && problems.0.len() == before {
        problems.error_with(node.span, "nothing says which sentiment is meant", "add `below: -0.5` or the like");
    }
    Some(Leaf::Sentiment { test, last: last as usize, within })
}

fn count(node: &Node, problems: &mut Problems) -> Option<Numbers> {
    if let Some((text, _)) = node.as_scalar() {
        let help = format!("write `{{ at_least: {} }}`", crate::text::short(text));
        node.wrong(problems, "a comparison", Some(&help));
        return None;
    }
    let before = problems.0.len();
    let mut fields = Fields::new(node, "operator", problems)?;
    let whole = |node: &Node, problems: &mut Problems| node.whole(problems, 0..=10_000).map(f64::from);
    let test = operators(&mut fields, problems, whole);
    fields.finish(problems);
    if test.is_empty() && problems.0.len() == before {
        problems.error_with(node.span, "there is no comparison in it", "write `{ at_least: 3 }`");
    }
    Some(test)
}

fn intent(node: &Node, seen: bool, problems: &mut Problems) -> Option<Leaf> {
    if !matches!(node.kind, Kind::Map(_)) {
        return Some(Leaf::Intent { seen, names: texts(node, problems), confidence: 0.0 });
    }
    let before = problems.0.len();
    let mut fields = Fields::new(node, "operator", problems)?;
    let mut names = Vec::new();
    for key in ["is", "in"] {
        if let Some(node) = fields.take(key, problems) {
            names.extend(texts(node, problems));
        }
    }
    let mut confidence = 0.0;
    let confidence_node = fields.take("confidence", problems);
    if let Some((node, number)) = confidence_node.and_then(|node| Some((node, node.number(problems)?))) {
        confidence = number;
        if !(0.0..=1.0).contains(&number) {
            problems.error(node.span, format!("found {number}, but confidence goes from 0 to 1"));
        }
    }
    let exists = fields.take("exists", problems).and_then(|node| node.boolean(problems));
    fields.finish(problems);
    match exists {
        Some(wanted) if names.is_empty() => Some(Leaf::IntentExists { seen, wanted }),
        _ => {
            if names.is_empty() && problems.0.len() == before {
                problems.error_with(node.span, "nothing says which intent is meant", "add `is: NAME`");
            }
            Some(Leaf::Intent { seen, names, confidence })
        }
    }
}

fn digits(node: &Node, problems: &mut Problems) -> Option<Leaf> {
    let node = match &node.kind {
        Kind::Map(_) => {
            let mut fields = Fields::new(node, "operator", problems)?;
            let inner = fields.need("is", problems);
            fields.finish(problems);
            inner?
        }
        _ => node,
    };
    let text = node.text(problems, MOST_DIGITS)?.to_ascii_uppercase();
    if !text.chars().all(is_key) {
        node.wrong(problems, "keys of a telephone: 0 to 9, `*`, `#`, A to D", None);
        return None;
    }
    Some(Leaf::Digits(text.into()))
}

/// The comparisons in `fields`; others read the rest.
fn operators<T: Copy + PartialOrd>(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
    read: impl Fn(&Node, &mut Problems) -> Option<T>,
) -> Vec<Operator<T>> {
    type Make<T> = fn(T) -> Operator<T>;
    let simple: [(&'static str, Make<T>); 5] = [
        ("equals", Operator::Equals),
        ("at_least", Operator::AtLeast),
        ("at_most", Operator::AtMost),
        ("above", Operator::Above),
        ("below", Operator::Below),
    ];
    let mut found = Vec::new();
    for (key, make) in simple {
        if let Some(node) = fields.take(key, problems) {
            found.extend(read(node, problems).map(make));
        }
    }
    if let Some(node) = fields.take("between", problems) {
        match &node.kind {
            Kind::List(ends) if ends.len() == 2 => {
                if let (Some(low), Some(high)) = (read(&ends[0], problems), read(&ends[1], problems)) {
                    if low > high {
                        problems.error(node.span, "the first end is above the second");
                    }
                    found.push(Operator::Between(low, high));
                }
            }
            _ => node.wrong(problems, "two ends", Some("write `between: [1, 5]`; both belong to it")),
        }
    }
    found
}

/// `is` or `in` inside a mapping, or the names themselves.
fn named(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::Map(entries) => match entries.as_slice() {
            [(key, inner)] if key.text == "is" || key.text == "in" => inner.items(),
            _ => std::slice::from_ref(node),
        },
        _ => node.items(),
    }
}

fn texts(node: &Node, problems: &mut Problems) -> Vec<Arc<str>> {
    if matches!(&node.kind, Kind::List(items) if items.is_empty()) {
        problems.error(node.span, "the list is empty");
    }
    node.items().iter().filter_map(|item| item.text(problems, 128)).map(Arc::from).collect()
}

fn numbers(node: &Node, problems: &mut Problems) -> Vec<Arc<str>> {
    let mut found = Vec::new();
    for item in node.items() {
        let Some(text) = item.text(problems, 64) else { continue };
        match Pattern::parse(text) {
            Ok(Pattern(pattern)) if pattern.contains(['*', '?']) => {
                problems.error_with(item.span, "this is a pattern", format!("write `{{ matches: \"{text}\" }}`"));
            }
            Ok(Pattern(number)) => found.extend(canonical(&number)),
            Err(help) => {
                problems.error_with(item.span, format!("`{}` is not a number", crate::text::short(text)), help);
            }
        }
    }
    found
}

fn patterns(node: &Node, problems: &mut Problems) -> Vec<Pattern> {
    let mut found = Vec::new();
    for item in node.items() {
        let Some(text) = item.text(problems, 64) else { continue };
        match Pattern::parse(text) {
            Ok(pattern) => found.push(pattern),
            Err(help) => {
                problems.error_with(item.span, format!("`{}` is not a pattern", crate::text::short(text)), help);
            }
        }
    }
    found
}
