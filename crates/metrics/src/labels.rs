//! Labels whose values are bounded.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// What a label says when its value is not in the vocabulary, or too many distinct values came before it.
pub const OTHER: &str = "other";

/// Longest value of a label in bytes; longer ones count as [`OTHER`].
const LONGEST: usize = 64;

/// One label of a family and the values it may take.
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) name: &'static str,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Only these, besides the empty value.
    Fixed(&'static [&'static str]),
    /// The first `limit` distinct names.
    Names { limit: usize, seen: Mutex<BTreeSet<String>> },
}

/// A label with a vocabulary.
pub(crate) fn fixed(name: &'static str, vocabulary: &'static [&'static str]) -> Label {
    Label { name, values: Values::Fixed(vocabulary) }
}

/// A label whose values are names from the configuration, at most `limit` of them.
pub(crate) fn names(name: &'static str, limit: usize) -> Label {
    Label { name, values: Values::Names { limit, seen: Mutex::default() } }
}

impl Label {
    /// The values that are known beforehand.
    pub(crate) fn vocabulary(&self) -> &'static [&'static str] {
        match &self.values {
            Values::Fixed(vocabulary) => vocabulary,
            Values::Names { .. } => &[],
        }
    }

    /// The value itself while it is within the label's bound, else [`OTHER`].
    pub(crate) fn bounded<'a>(&self, value: &'a str) -> &'a str {
        if value.is_empty() {
            return value;
        }
        let within = match &self.values {
            Values::Fixed(vocabulary) => vocabulary.contains(&value),
            Values::Names { limit, seen } => {
                is_name(value) && {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.contains(value) || (seen.len() < *limit && seen.insert(value.to_owned()))
                }
            }
        };
        if within { value } else { OTHER }
    }
}

/// Names are short and printable and are no addresses: a caller's number or a URI must not end up in a label.
fn is_name(value: &str) -> bool {
    value.len() <= LONGEST
        && !value.starts_with('+')
        && value.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '{' | '}' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_refuses_strangers() {
        let label = fixed("mode", &["cold", "warm"]);
        assert_eq!(label.bounded("warm"), "warm");
        assert_eq!(label.bounded("hot"), OTHER);
        assert_eq!(label.bounded(""), "");
    }

    #[test]
    fn names_beyond_the_bound_are_other_and_known_ones_stay() {
        let label = names("destination", 2);
        assert_eq!(label.bounded("sales"), "sales");
        assert_eq!(label.bounded("fraud"), "fraud");
        assert_eq!(label.bounded("third"), OTHER);
        assert_eq!(label.bounded("sales"), "sales");
    }

    #[test]
    fn addresses_and_terminal_escapes_are_no_names_and_take_no_room() {
        let label = names("destination", 1);
        for stranger in ["sip:anna@pbx.example.net", "tel:+15550199", "+4930123", "\u{1b}[31m", &"x".repeat(65)] {
            assert_eq!(label.bounded(stranger), OTHER, "{stranger:?}");
        }
        assert_eq!(label.bounded("sales"), "sales");
    }
}
