//! Conditions: what a rule's `when` asks of the facts, looked at without allocating, explained on demand.

use crate::{
    facts::{AnsweredBy, Direction, Facts, Series},
    hours::Hours,
    number::{NumberList, Pattern},
    wording::number_text,
};
use clock::{Monotonic, Now};
use core::time::Duration;
use serde_json::Value;
use std::sync::Arc;

/// The shape of a `when`; leaves live in one table of the rule set.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// Every one holds; of an empty list, always.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// One question, by its place in the table.
    Leaf(u32),
}

/// One question.
#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    Sentiment { test: Numbers, last: usize, within: Option<Duration> },
    SentimentExists(bool),
    Count { of: Counter, test: Numbers },
    Intent { seen: bool, names: Vec<Arc<str>>, confidence: f64 },
    IntentExists { seen: bool, wanted: bool },
    Fact { fact: Arc<Declared>, test: FactTest },
    Party { which: Party, test: PartyTest },
    Word { which: Word, names: Vec<Arc<str>> },
    Tags(Vec<Arc<str>>),
    Open(Vec<usize>),
    Elapsed { since: Since, test: Durations },
    Silence(Duration),
    Digits(Arc<str>),
    Event(Vec<Arc<str>>),
    AiLost(bool),
    AnsweredBy(Vec<AnsweredBy>),
    Direction(Vec<Direction>),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Retries,
    AuthFailures,
    TransfersTried,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Caller,
    Called,
}

#[derive(Clone, Debug)]
pub(crate) enum PartyTest {
    Is(Vec<Arc<str>>),
    Matches(Vec<Pattern>),
    InList(Vec<usize>),
    Exists(bool),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Line,
    Trunk,
    Profile,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    Call,
    Stint,
}

/// A comparison; several in one condition must all hold.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Operator<T> {
    Equals(T),
    AtLeast(T),
    AtMost(T),
    Above(T),
    Below(T),
    Between(T, T),
}

pub(crate) type Numbers = Vec<Operator<f64>>;
pub(crate) type Durations = Vec<Operator<Duration>>;

/// A fact the operator declared.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: Arc<str>,
    pub(crate) kind: FactKind,
    pub(crate) keep: Keep,
    pub(crate) within: Option<Duration>,
    /// `lead.value`, `context.language`, `custom.churn.score`.
    pub(crate) source: String,
    pub(crate) default: Value,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum FactKind {
    Number,
    Text,
    Boolean,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keep {
    #[default]
    Last,
    Count,
    Sum,
    Max,
    Average,
}

#[derive(Clone, Debug)]
pub(crate) enum FactTest {
    Number(Numbers),
    Text(Vec<Arc<str>>),
    Matches(Vec<Pattern>),
    InList(Vec<usize>),
    Boolean(bool),
    Exists(bool),
}

/// What was found; cheap to copy, worded later.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// Nothing there.
    Absent,
    Number(f64),
    Duration(Duration),
    Word(Arc<str>),
    /// A word of ours.
    Term(&'static str),
    Confident(Arc<str>, f64),
    Flag(bool),
    /// How many there are, of how many needed.
    Few(usize),
    /// The event that has just come.
    Event(Arc<str>),
    /// Names, many of them.
    Names(Arc<[Arc<str>]>),
}

/// One leaf as it was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) leaf: u32,
    pub(crate) held: bool,
    pub(crate) negated: bool,
    pub(crate) found: Found,
    /// When the answer could change without an event.
    pub(crate) changes: Option<Monotonic>,
}

/// Everything a leaf may look at.
pub(crate) struct View<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) now: Now,
    pub(crate) leaves: &'a [Leaf],
    pub(crate) hours: &'a [Hours],
    pub(crate) lists: &'a [(Arc<str>, NumberList)],
    /// False: as if nothing had just happened.
    pub(crate) fresh: bool,
}

impl View<'_> {
    /// Whether `condition` holds. `trace` gets the leaves that decide it: of a condition that holds or fails, those
    /// whose answer would have to change for it to change.
    pub(crate) fn look(&self, condition: &Condition, negated: bool, trace: &mut Vec<Looked>) -> bool {
        match condition {
            Condition::Leaf(leaf) => {
                let mut looked = Looked { leaf: *leaf, held: false, negated, found: Found::Absent, changes: None };
                (looked.held, looked.found, looked.changes) = self.leaf(&self.leaves[*leaf as usize]);
                let held = looked.held;
                trace.push(looked);
                held
            }
            Condition::Not(inner) => !self.look(inner, !negated, trace),
            Condition::All(parts) => self.look_until(parts, false, negated, trace),
            Condition::Any(parts) => self.look_until(parts, true, negated, trace),
        }
    }

    /// Looks at `parts` until one answers `decisive`, which then is the answer and alone the reason.
    fn look_until(&self, parts: &[Condition], decisive: bool, negated: bool, trace: &mut Vec<Looked>) -> bool {
        let start = trace.len();
        for part in parts {
            let before = trace.len();
            if self.look(part, negated, trace) == decisive {
                trace.drain(start..before);
                return decisive;
            }
        }
        !decisive
    }

    fn leaf(&self, leaf: &Leaf) -> (bool, Found, Option<Monotonic>) {
        let facts = self.facts;
        match leaf {
            Leaf::Sentiment { test, last, within } => self.sentiment(test, *last, *within),
            Leaf::SentimentExists(wanted) => {
                let found = facts.scores.back().map_or(Found::Absent, |(_, score)| Found::Number(*score));
                (facts.scores.is_empty() != *wanted, found, None)
            }
            Leaf::Count { of, test } => {
                let count = match of {
                    Counter::Retries => facts.retries,
                    Counter::AuthFailures => facts.auth_failures,
                    Counter::TransfersTried => facts.transfers_tried,
                };
                (all_hold(test, f64::from(count)), Found::Number(f64::from(count)), None)
            }
            Leaf::Intent { seen, names, confidence } => self.intent(*seen, names, *confidence),
            Leaf::IntentExists { seen, wanted } => {
                let found = if *seen { facts.intents_seen.last() } else { facts.intent.as_ref() };
                let word = found.map_or(Found::Absent, |(name, _)| Found::Word(Arc::clone(name)));
                (found.is_some() == *wanted, word, None)
            }
            Leaf::Fact { fact, test } => self.fact(fact, test),
            Leaf::Party { which, test } => {
                let number = match which {
                    Party::Caller => &facts.call.caller,
                    Party::Called => &facts.call.called,
                };
                let found = number.as_ref().map_or(Found::Absent, |it| Found::Word(Arc::clone(it)));
                (self.party(number.as_deref(), test), found, None)
            }
            Leaf::Word { which, names } => {
                let word = match which {
                    Word::Line => &facts.call.line,
                    Word::Trunk => &facts.call.trunk,
                    Word::Profile => &facts.call.profile,
                };
                let found = word.as_ref().map_or(Found::Absent, |it| Found::Word(Arc::clone(it)));
                (word.as_ref().is_some_and(|word| names.contains(word)), found, None)
            }
            Leaf::Tags(names) => {
                let worn = names.iter().find(|name| facts.tags.contains(*name));
                let found = match worn {
                    Some(name) => Found::Word(Arc::clone(name)),
                    None if facts.tags.is_empty() => Found::Absent,
                    None => Found::Names(facts.tags.iter().cloned().collect()),
                };
                (worn.is_some(), found, None)
            }
            Leaf::Open(which) => self.open(which),
            Leaf::Elapsed { since, test } => {
                let from = match since {
                    Since::Call => facts.call_started,
                    Since::Stint => facts.stint_started,
                };
                let elapsed = self.now.monotonic.since(from);
                let next = test.iter().filter_map(|operator| operator.next_edge(elapsed)).min();
                (all_hold(test, elapsed), Found::Duration(elapsed), next.map(|edge| from + edge))
            }
            Leaf::Silence(needed) => match facts.quiet_since {
                None => (false, Found::Absent, None),
                Some(since) => {
                    let quiet = self.now.monotonic.since(since);
                    let held = quiet >= *needed;
                    (held, Found::Duration(quiet), (!held).then(|| since + *needed))
                }
            },
            Leaf::Digits(wanted) => {
                let held = self.fresh && facts.fresh.digit && facts.digits.ends_with(&**wanted);
                let found = match facts.digits.is_empty() {
                    true => Found::Absent,
                    false => Found::Word(facts.digits.as_str().into()),
                };
                (held, found, None)
            }
            Leaf::Event(names) => match facts.fresh.event.as_ref().filter(|_| self.fresh) {
                Some(event) => (names.contains(event), Found::Event(Arc::clone(event)), None),
                None => (false, Found::Absent, None),
            },
            Leaf::AiLost(wanted) => (facts.ai_lost == *wanted, Found::Flag(facts.ai_lost), None),
            Leaf::AnsweredBy(wanted) => match facts.answered_by {
                Some(who) => (wanted.contains(&who), Found::Term(who.name()), None),
                None => (false, Found::Absent, None),
            },
            Leaf::Direction(wanted) => {
                let direction = facts.call.direction;
                (wanted.contains(&direction), Found::Term(direction.name()), None)
            }
        }
    }

    fn sentiment(&self, test: &Numbers, last: usize, within: Option<Duration>) -> (bool, Found, Option<Monotonic>) {
        let now = self.now.monotonic;
        let recent = |at: Monotonic| within.is_none_or(|window| now.since(at) <= window);
        let mut scores = 0;
        let mut expires = None;
        let mut latest = None;
        for (at, score) in self.facts.scores.iter().rev().filter(|(at, _)| recent(*at)).take(last) {
            if !all_hold(test, *score) {
                return (false, Found::Number(*score), within.map(|window| *at + window + TICK));
            }
            latest.get_or_insert(*score);
            scores += 1;
            expires = within.map(|window| *at + window + TICK);
        }
        match latest {
            None => (false, Found::Absent, None),
            Some(_) if scores < last => (false, Found::Few(scores), expires),
            Some(score) => (true, Found::Number(score), expires),
        }
    }

    fn intent(&self, seen: bool, names: &[Arc<str>], confidence: f64) -> (bool, Found, Option<Monotonic>) {
        let describe = |(name, sure): &(Arc<str>, f64)| Found::Confident(Arc::clone(name), *sure);
        if !seen {
            let Some(intent) = &self.facts.intent else { return (false, Found::Absent, None) };
            let held = intent.1 >= confidence && names.contains(&intent.0);
            return (held, describe(intent), None);
        }
        let named = |it: &&(Arc<str>, f64)| names.contains(&it.0);
        let best = self.facts.intents_seen.iter().filter(named).max_by(|left, right| left.1.total_cmp(&right.1));
        match best {
            Some(intent) => (intent.1 >= confidence, describe(intent), None),
            None if self.facts.intents_seen.is_empty() => (false, Found::Absent, None),
            None => {
                let names = self.facts.intents_seen.iter().map(|(name, _)| Arc::clone(name));
                (false, Found::Names(names.collect()), None)
            }
        }
    }

    fn fact(&self, fact: &Declared, test: &FactTest) -> (bool, Found, Option<Monotonic>) {
        let series = self.facts.series.get(&fact.source);
        let changes = fact.within.zip(series).and_then(|(window, series)| series.expires(self.now.monotonic, window));
        if let FactTest::Exists(wanted) = test {
            let there = series.is_some_and(|series| series.counted(self.now.monotonic, fact.within) > 0);
            return (there == *wanted, Found::Flag(there), changes);
        }
        let value = fact.number(series, self.now.monotonic);
        if let FactTest::Number(test) = test {
            return (all_hold(test, value), Found::Number(value), changes);
        }
        let value = fact.last(series, self.now.monotonic);
        let text = value.as_str();
        let held = match test {
            FactTest::Boolean(wanted) => value.as_bool() == Some(*wanted),
            FactTest::Text(names) => text.is_some_and(|text| names.iter().any(|name| **name == *text)),
            FactTest::Matches(patterns) => text.is_some_and(|text| patterns.iter().any(|it| it.matches(text))),
            FactTest::InList(lists) => text.is_some_and(|text| lists.iter().any(|list| self.listed(*list, text))),
            FactTest::Number(_) | FactTest::Exists(_) => false,
        };
        let found = match value {
            Value::Bool(flag) => Found::Flag(*flag),
            Value::String(text) => Found::Word(text.as_str().into()),
            _ => Found::Absent,
        };
        (held, found, changes)
    }

    fn party(&self, number: Option<&str>, test: &PartyTest) -> bool {
        let Some(number) = number else { return matches!(test, PartyTest::Exists(false)) };
        match test {
            PartyTest::Exists(wanted) => *wanted,
            PartyTest::Is(numbers) => numbers.iter().any(|it| **it == *number),
            PartyTest::Matches(patterns) => patterns.iter().any(|it| it.matches(number)),
            PartyTest::InList(lists) => lists.iter().any(|list| self.listed(*list, number)),
        }
    }

    fn listed(&self, list: usize, number: &str) -> bool {
        self.lists.get(list).is_some_and(|(_, list)| list.contains(number))
    }

    fn open(&self, which: &[usize]) -> (bool, Found, Option<Monotonic>) {
        let now_ms = self.now.unix_ms();
        let mut until_ms = u64::MAX;
        let mut open = None;
        for index in which {
            let known = self.facts.rules.hours[*index];
            until_ms = until_ms.min(known.until_ms);
            if known.open && open.is_none() {
                open = Some(*index);
            }
        }
        let shown = open.or(which.first().copied()).and_then(|index| self.hours.get(index));
        let found = shown.map_or(Found::Absent, |hours| Found::Word(Arc::clone(&hours.name)));
        let wait = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
        (open.is_some(), found, Some(self.now.monotonic + wait))
    }
}

/// A window of 5 minutes still holds a sample of exactly 5 minutes ago; just after that it does not.
const TICK: Duration = Duration::from_millis(1);

impl Series {
    fn in_window(&self, now: Monotonic, within: Duration) -> impl Iterator<Item = &(Monotonic, Option<f64>)> {
        self.samples.iter().filter(move |(at, _)| now.since(*at) <= within)
    }

    fn counted(&self, now: Monotonic, within: Option<Duration>) -> usize {
        match within {
            None => self.count as usize,
            Some(within) => self.in_window(now, within).count(),
        }
    }

    fn expires(&self, now: Monotonic, within: Duration) -> Option<Monotonic> {
        self.in_window(now, within).next().map(|(at, _)| *at + within + TICK)
    }
}

impl Declared {
    /// Its value as a number; the default where nothing came.
    pub(crate) fn number(&self, series: Option<&Series>, now: Monotonic) -> f64 {
        let default = self.default.as_f64().unwrap_or(0.0);
        let Some(series) = series else { return default };
        let Some(within) = self.within else {
            return match self.keep {
                Keep::Count => f64::from(series.count),
                _ if series.numbers == 0 => default,
                Keep::Last => series.last.as_f64().unwrap_or(default),
                Keep::Sum => series.sum,
                Keep::Max => series.max.unwrap_or(default),
                Keep::Average => series.sum / f64::from(series.numbers),
            };
        };
        let numbers = || series.in_window(now, within).filter_map(|(_, number)| *number);
        match self.keep {
            Keep::Count => series.in_window(now, within).fold(0.0, |count, _| count + 1.0),
            _ if numbers().next().is_none() => default,
            Keep::Last => numbers().last().unwrap_or(default),
            Keep::Sum => numbers().sum(),
            Keep::Max => numbers().fold(f64::NEG_INFINITY, f64::max),
            Keep::Average => {
                let (sum, count) = numbers().fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
                sum / count
            }
        }
    }

    /// Its latest value of its own type; the default where nothing of that type came.
    pub(crate) fn last<'a>(&'a self, series: Option<&'a Series>, now: Monotonic) -> &'a Value {
        let recent = |series: &&Series| self.within.is_none_or(|window| series.counted(now, Some(window)) > 0);
        let fits = |value: &&Value| match self.kind {
            FactKind::Number => value.is_number(),
            FactKind::Text => value.is_string(),
            FactKind::Boolean => value.is_boolean(),
        };
        series.filter(recent).map(|series| &series.last).filter(fits).unwrap_or(&self.default)
    }

    /// Its value for people and `$path`.
    pub(crate) fn value(&self, series: Option<&Series>, now: Monotonic) -> Value {
        match self.kind {
            FactKind::Number => {
                let number = self.number(series, now);
                // A whole number is shown as one: 3, not 3.0.
                let whole = number_text(number).parse::<i64>().ok().filter(|_| number.fract() == 0.0);
                whole.map_or_else(|| Value::from(number), Value::from)
            }
            _ => self.last(series, now).clone(),
        }
    }
}

pub(crate) fn all_hold<T: PartialOrd + Copy>(operators: &[Operator<T>], value: T) -> bool {
    operators.iter().all(|operator| operator.holds(value))
}

impl<T: PartialOrd + Copy> Operator<T> {
    pub(crate) fn holds(&self, value: T) -> bool {
        match *self {
            Self::Equals(wanted) => value == wanted,
            Self::AtLeast(low) => value >= low,
            Self::AtMost(high) => value <= high,
            Self::Above(low) => value > low,
            Self::Below(high) => value < high,
            Self::Between(low, high) => low <= value && value <= high,
        }
    }
}

impl Operator<Duration> {
    /// The elapsed time at which the answer next changes, when `elapsed` has passed.
    fn next_edge(&self, elapsed: Duration) -> Option<Duration> {
        let edges = match *self {
            Self::AtLeast(edge) | Self::Below(edge) => [edge, edge],
            Self::AtMost(edge) | Self::Above(edge) => [edge + TICK, edge + TICK],
            Self::Equals(edge) => [edge, edge + TICK],
            Self::Between(low, high) => [low, high + TICK],
        };
        edges.into_iter().filter(|edge| *edge > elapsed).min()
    }
}
