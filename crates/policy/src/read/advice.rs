//! Warnings: what works, but probably not as meant.

use super::{Reader, Source};
use crate::{
    condition::{Condition, Counter, Leaf, Numbers, Operator, Party, Since, Word},
    evaluation::Phase,
    rule::Rule,
    transfer::{OnFailure, Place, Step},
};

/// Looks at the whole once it has been read.
pub(super) fn give(reader: &Reader<'_>, sources: &mut [Source]) {
    unused_destinations(reader, sources);
    for (at, rule) in reader.rules.iter().enumerate() {
        let written = &reader.written[at];
        let problems = &mut sources[written.source].problems;
        let why =
            never_holds(reader, &rule.when).or_else(|| too_early(reader, rule)).or_else(|| other_lines(reader, rule));
        if let Some(why) = why {
            problems.warning(written.when_span, format!("the rule `{}` can never act", rule.id), Some(why));
        } else if let Some(first) = decided_before(reader, at) {
            let help = format!("it asks the same as `{first}` above, which decides first");
            problems.warning(written.span, format!("the rule `{}` is not reached", rule.id), Some(help));
        }
        if rule.verb.is_some() && only_caller(reader, &rule.when) {
            let help = "a caller's number can be forged: it should not alone decide where a call goes";
            problems.warning(
                written.when_span,
                format!("the rule `{}` trusts the caller's number", rule.id),
                Some(help.into()),
            );
        }
    }
    chains(reader, sources);
}

fn unused_destinations(reader: &Reader<'_>, sources: &mut [Source]) {
    for (name, place) in &reader.destination_names {
        let Some(place) = place.as_ref().filter(|_| !reader.used.contains(name)) else { continue };
        if let Some(source) = sources.iter_mut().find(|source| source.path == place.file) {
            let help = "only a request to the API can lead there";
            let message = format!("no rule and no `on_failure` leads to `{name}`");
            source.problems.warning(place.span, message, Some(help.into()));
        }
    }
}

/// A destination whose own list begins with itself, and lists that lead a caller nowhere.
fn chains(reader: &Reader<'_>, sources: &mut [Source]) {
    for (name, destination) in &reader.destinations {
        let Some(Some(place)) = reader.destination_names.get(name) else { continue };
        let Some(source) = sources.iter_mut().find(|source| source.path == place.file) else { continue };
        let lists = destination.options.on_failure.as_ref();
        if lists.is_some_and(|lists| mentions(lists, name)) {
            let help = "each destination is tried once per transfer: it is skipped there";
            source.problems.warning(place.span, format!("`{name}` leads back to itself"), Some(help.into()));
        }
        let ends_at_once = |steps: &Vec<Step>| steps.first() == Some(&Step::End);
        if matches!(destination.place, Place::Dial(_) | Place::Queue(_))
            && lists.is_some_and(|it| every_list(it).any(ends_at_once))
        {
            let help = "the caller is hung up on when it fails; name another destination or `ai` before `end`";
            source.problems.warning(place.span, format!("`{name}` can strand a caller"), Some(help.into()));
        }
    }
}

fn every_list(lists: &OnFailure) -> impl Iterator<Item = &Vec<Step>> {
    lists.by_cause.values().chain(&lists.otherwise)
}

fn mentions(lists: &OnFailure, name: &str) -> bool {
    every_list(lists).flatten().any(|step| matches!(step, Step::Destination(it) if **it == *name))
}

/// An earlier rule with the same condition, phase and lines that decides.
fn decided_before<'r>(reader: &'r Reader<'_>, at: usize) -> Option<&'r str> {
    let (rule, written) = (&reader.rules[at], &reader.written[at]);
    let same = |(other, its): &(&Rule, &super::Written)| {
        other.enabled
            && other.verb.is_some()
            && other.phase == rule.phase
            && its.when == written.when
            && (other.lines.is_none() || other.lines == rule.lines)
    };
    reader.rules[..at].iter().zip(&reader.written).find(same).map(|(other, _)| &*other.id)
}

/// Why a condition contradicts itself.
fn never_holds(reader: &Reader<'_>, condition: &Condition) -> Option<String> {
    match condition {
        Condition::All(parts) => parts.iter().find_map(|part| never_holds(reader, part)),
        Condition::Any(parts) => {
            let mut reasons = parts.iter().map(|part| never_holds(reader, part));
            let first = reasons.next().flatten();
            first.filter(|_| reasons.all(|reason| reason.is_some()))
        }
        Condition::Not(_) => None,
        Condition::Leaf(leaf) => match reader.leaves.get(*leaf as usize)? {
            Leaf::Sentiment { test, .. } => empty_range(test, -1.0, 1.0, "sentiment goes from -1 to 1"),
            Leaf::Count { test, .. } => empty_range(test, 0.0, f64::INFINITY, "a count begins at 0"),
            Leaf::Fact { test: crate::condition::FactTest::Number(test), .. } => {
                empty_range(test, f64::NEG_INFINITY, f64::INFINITY, "")
            }
            _ => None,
        },
    }
}

fn empty_range(test: &Numbers, lowest: f64, highest: f64, scale: &str) -> Option<String> {
    let (mut low, mut high) = ((lowest, true), (highest, true));
    let raise = |low: &mut (f64, bool), to: f64, inclusive: bool| {
        if to > low.0 || (to == low.0 && !inclusive) {
            *low = (to, inclusive);
        }
    };
    let sink = |high: &mut (f64, bool), to: f64, inclusive: bool| {
        if to < high.0 || (to == high.0 && !inclusive) {
            *high = (to, inclusive);
        }
    };
    for operator in test {
        match *operator {
            Operator::Equals(it) => {
                raise(&mut low, it, true);
                sink(&mut high, it, true);
            }
            Operator::AtLeast(it) => raise(&mut low, it, true),
            Operator::Above(it) => raise(&mut low, it, false),
            Operator::AtMost(it) => sink(&mut high, it, true),
            Operator::Below(it) => sink(&mut high, it, false),
            Operator::Between(from, to) => {
                raise(&mut low, from, true);
                sink(&mut high, to, true);
            }
        }
    }
    let empty = low.0 > high.0 || (low.0 == high.0 && !(low.1 && high.1));
    let by_scale = test.len() == 1 && !scale.is_empty();
    empty.then(|| if by_scale { scale.to_owned() } else { "these comparisons exclude each other".to_owned() })
}

/// A rule for the start that waits for what only a conversation brings.
fn too_early(reader: &Reader<'_>, rule: &Rule) -> Option<String> {
    if rule.phase != Phase::Start {
        return None;
    }
    let needed = must_hold(&rule.when);
    let late = needed.into_iter().filter_map(|leaf| reader.leaves.get(leaf as usize)).find_map(|leaf| {
        let zero_fails = |test: &Numbers| !test.iter().all(|operator| operator.holds(0.0));
        let late = match leaf {
            Leaf::Sentiment { .. }
            | Leaf::Intent { .. }
            | Leaf::Silence(_)
            | Leaf::Digits(_)
            | Leaf::Event(_)
            | Leaf::AiLost(true) => true,
            Leaf::Count { of: Counter::Retries | Counter::AuthFailures | Counter::TransfersTried, test } => {
                zero_fails(test)
            }
            Leaf::Elapsed { since: Since::Call | Since::Stint, test } => {
                !test.iter().all(|operator| operator.holds(core::time::Duration::ZERO))
            }
            _ => false,
        };
        late.then(|| leaf.fact_name())
    });
    late.map(|fact| format!("`while: start` is before the AI: `{fact}` cannot hold yet"))
}

/// The leaves without which it cannot hold.
fn must_hold(condition: &Condition) -> Vec<u32> {
    match condition {
        Condition::Leaf(leaf) => vec![*leaf],
        Condition::All(parts) => parts.iter().flat_map(must_hold).collect(),
        Condition::Any(_) | Condition::Not(_) => Vec::new(),
    }
}

fn other_lines(reader: &Reader<'_>, rule: &Rule) -> Option<String> {
    let lines = rule.lines.as_ref()?;
    let outside = must_hold(&rule.when).into_iter().any(|leaf| match reader.leaves.get(leaf as usize) {
        Some(Leaf::Word { which: Word::Line, names }) => !names.iter().any(|name| lines.contains(name)),
        _ => false,
    });
    outside.then(|| format!("this file applies to the line {} alone", lines.join(" and ")))
}

fn only_caller(reader: &Reader<'_>, condition: &Condition) -> bool {
    match condition {
        Condition::Leaf(leaf) => matches!(
            reader.leaves.get(*leaf as usize),
            Some(Leaf::Party { which: Party::Caller, test }) if !matches!(test, crate::condition::PartyTest::Exists(_))
        ),
        Condition::All(parts) => !parts.is_empty() && parts.iter().all(|part| only_caller(reader, part)),
        Condition::Any(parts) => parts.iter().any(|part| only_caller(reader, part)),
        Condition::Not(_) => false,
    }
}
