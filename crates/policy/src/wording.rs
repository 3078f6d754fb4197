//! Conditions in words: what is looked at, what was found, what is needed.

use crate::{
    condition::{Counter, FactTest, Found, Leaf, Operator, Party, PartyTest, Since, Word},
    duration,
    hours::Hours,
    number::{NumberList, Pattern},
};
use core::time::Duration;
use std::{fmt::Write as _, sync::Arc};

/// A number as people write it: no trailing zeros, at most three decimals.
pub(crate) fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number != 0.0 {
        return number.to_string();
    }
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn operators_text<T: Copy>(operators: &[Operator<T>], show: impl Fn(T) -> String) -> String {
    let one = |operator: &Operator<T>| match *operator {
        Operator::Equals(it) => format!("exactly {}", show(it)),
        Operator::AtLeast(it) => format!("at least {}", show(it)),
        Operator::AtMost(it) => format!("at most {}", show(it)),
        Operator::Above(it) => format!("above {}", show(it)),
        Operator::Below(it) => format!("below {}", show(it)),
        Operator::Between(low, high) => format!("{} to {}", show(low), show(high)),
    };
    match operators {
        [only] => one(only),
        _ => operators.iter().map(one).collect::<Vec<_>>().join(" and "),
    }
}

fn names_text(names: &[Arc<str>]) -> String {
    names.join(" or ")
}

impl Leaf {
    /// What is looked at.
    pub(crate) fn fact_name(&self) -> String {
        match self {
            Self::Sentiment { .. } | Self::SentimentExists(_) => "sentiment".into(),
            Self::Count { of: Counter::Retries, .. } => "retries".into(),
            Self::Count { of: Counter::AuthFailures, .. } => "auth_failures".into(),
            Self::Count { of: Counter::TransfersTried, .. } => "transfers_tried".into(),
            Self::Intent { seen: false, .. } | Self::IntentExists { seen: false, .. } => "intent".into(),
            Self::Intent { .. } | Self::IntentExists { .. } => "intent_seen".into(),
            Self::Fact { fact, .. } => (*fact.name).to_owned(),
            Self::Party { which: Party::Caller, .. } => "caller".into(),
            Self::Party { which: Party::Called, .. } => "called".into(),
            Self::Word { which: Word::Line, .. } => "line".into(),
            Self::Word { which: Word::Trunk, .. } => "trunk".into(),
            Self::Word { which: Word::Profile, .. } => "profile".into(),
            Self::Tags(_) => "tags".into(),
            Self::Open(_) => "open".into(),
            Self::Elapsed { since: Since::Call, .. } => "call_duration".into(),
            Self::Elapsed { since: Since::Stint, .. } => "stint_duration".into(),
            Self::Silence(_) => "silence".into(),
            Self::Digits(_) => "dtmf".into(),
            Self::Event(_) => "event".into(),
            Self::AiLost(_) => "ai_lost".into(),
            Self::AnsweredBy(_) => "answered_by".into(),
            Self::Direction(_) => "direction".into(),
        }
    }

    /// True for conditions on a moment rather than on a state.
    pub(crate) fn is_moment(&self) -> bool {
        matches!(self, Self::Digits(_) | Self::Event(_))
    }

    /// What it needs, in words.
    pub(crate) fn needs(&self, lists: &[(Arc<str>, NumberList)], hours: &[Hours]) -> String {
        let exists = |wanted: bool| if wanted { "to be known".to_owned() } else { "to be unknown".to_owned() };
        let in_lists = |which: &[usize]| {
            let names: Vec<&str> = which.iter().filter_map(|it| lists.get(*it)).map(|(name, _)| &**name).collect();
            format!("to be in the list {}", names.join(" or "))
        };
        let patterns = |patterns: &[Pattern]| {
            let names: Vec<&str> = patterns.iter().map(|it| &*it.0).collect();
            format!("to match {}", names.join(" or "))
        };
        match self {
            Self::Sentiment { test, last, within } => {
                let mut text = operators_text(test, number_text);
                if *last > 1 {
                    let _ = write!(text, ", {last} times in a row");
                }
                if let Some(within) = within {
                    let _ = write!(text, ", within {}", duration::text(*within));
                }
                text
            }
            Self::Count { test, .. } => operators_text(test, number_text),
            Self::Intent { names, confidence, .. } => match *confidence > 0.0 {
                true => format!("{} at confidence {} or more", names_text(names), number_text(*confidence)),
                false => names_text(names),
            },
            Self::SentimentExists(wanted) | Self::IntentExists { wanted, .. } => exists(*wanted),
            Self::Fact { test, .. } => match test {
                FactTest::Number(test) => operators_text(test, number_text),
                FactTest::Text(names) => names_text(names),
                FactTest::Matches(list) => patterns(list),
                FactTest::InList(which) => in_lists(which),
                FactTest::Boolean(wanted) => wanted.to_string(),
                FactTest::Exists(wanted) => exists(*wanted),
            },
            Self::Party { test, .. } => match test {
                PartyTest::Is(numbers) => names_text(numbers),
                PartyTest::Matches(list) => patterns(list),
                PartyTest::InList(which) => in_lists(which),
                PartyTest::Exists(wanted) => exists(*wanted),
            },
            Self::Word { names, .. } | Self::Tags(names) => names_text(names),
            Self::Open(which) => {
                let names: Vec<&str> = which.iter().filter_map(|it| hours.get(*it)).map(|it| &*it.name).collect();
                format!("{} to be open", names.join(" or "))
            }
            Self::Elapsed { test, .. } => operators_text(test, duration::text),
            Self::Silence(needed) => format!("at least {}", duration::text(*needed)),
            Self::Digits(wanted) => format!("{wanted} to be pressed just now"),
            Self::Event(names) => format!("{} just now", names_text(names)),
            Self::AiLost(wanted) => wanted.to_string(),
            Self::AnsweredBy(wanted) => wanted.iter().map(|who| who.name()).collect::<Vec<_>>().join(" or "),
            Self::Direction(wanted) => wanted.iter().map(|direction| direction.name()).collect::<Vec<_>>().join(" or "),
        }
    }

    /// What was found, in words that follow `fact_name`.
    pub(crate) fn found(&self, found: &Found, held: bool) -> String {
        match (self, found) {
            (Self::Open(_), Found::Word(name)) => format!("{name} is {}", if held { "open" } else { "closed" }),
            (Self::Fact { .. }, Found::Flag(there)) if self.asks_existence() => known(*there),
            (Self::Silence(_), Found::Absent) => "none, the caller speaks".into(),
            (Self::Event(_) | Self::Digits(_), Found::Absent) => "none".into(),
            (Self::Party { .. }, Found::Absent) => "withheld".into(),
            (Self::Tags(_), Found::Absent) => "none".into(),
            (Self::Sentiment { .. }, Found::Few(count)) => {
                format!("known {count} time{}", if *count == 1 { "" } else { "s" })
            }
            (_, Found::Absent) => "not known yet".into(),
            (_, Found::Number(number)) => number_text(*number),
            (_, Found::Duration(elapsed)) => duration::text(Duration::from_secs(elapsed.as_secs())),
            (_, Found::Word(word) | Found::Event(word)) => (**word).to_owned(),
            (_, Found::Term(word)) => (*word).to_owned(),
            (_, Found::Confident(name, sure)) => format!("{name} at confidence {}", number_text(*sure)),
            (_, Found::Flag(flag)) => flag.to_string(),
            (_, Found::Few(count)) => count.to_string(),
            (_, Found::Names(names)) => names.join(", "),
        }
    }

    fn asks_existence(&self) -> bool {
        matches!(self, Self::Fact { test: FactTest::Exists(_), .. })
    }
}

fn known(there: bool) -> String {
    if there { "known".to_owned() } else { "not known yet".to_owned() }
}
