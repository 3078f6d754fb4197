//! Telephone numbers: one canonical form, patterns, and lists.

use std::sync::Arc;

/// A number as E.164 where it is one: separators and `tel:` dropped. `None` when it is withheld.
pub(crate) fn canonical(number: &str) -> Option<Arc<str>> {
    let number = number.trim();
    let number = number.strip_prefix("tel:").unwrap_or(number);
    let number = number.split(';').next().unwrap_or(number);
    let kept: String = number.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
    let withheld = ["", "anonymous", "unavailable", "unknown", "restricted", "private", "withheld"];
    if withheld.contains(&kept.to_ascii_lowercase().as_str()) {
        return None;
    }
    Some(kept.chars().take(64).collect::<String>().into())
}

/// `+4930*`: digits, `?` for any one digit, and a `*` at the end for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(pub(crate) Arc<str>);

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let kept: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
        let body = kept.strip_suffix('*').unwrap_or(&kept);
        let digits = body.strip_prefix('+').unwrap_or(body);
        if kept.is_empty() || kept.len() > 32 {
            return Err("a number pattern has 1 to 32 characters".into());
        }
        if let Some(odd) = digits.chars().find(|c| !(c.is_ascii_digit() || *c == '?')) {
            return Err(format!("`{odd}` is not possible there; write digits, `?` for any one, and `*` at the end"));
        }
        Ok(Self(kept.into()))
    }

    pub(crate) fn matches(&self, number: &str) -> bool {
        let (body, open) = match self.0.strip_suffix('*') {
            Some(body) => (body, true),
            None => (&*self.0, false),
        };
        let long_enough = if open { number.len() >= body.len() } else { number.len() == body.len() };
        long_enough
            && body
                .bytes()
                .zip(number.bytes())
                .all(|(want, have)| want == have || (want == b'?' && have.is_ascii_digit()))
    }
}

/// Exact numbers and prefixes, sorted: a look-up costs a few binary searches however long the list is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NumberList {
    exact: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
}

impl NumberList {
    pub(crate) fn new(mut exact: Vec<Box<str>>, mut prefixes: Vec<Box<str>>) -> Self {
        exact.sort_unstable();
        exact.dedup();
        prefixes.sort_unstable();
        prefixes.dedup();
        Self { exact, prefixes }
    }

    pub(crate) fn contains(&self, number: &str) -> bool {
        let has = |list: &[Box<str>], word: &str| list.binary_search_by(|it| (**it).cmp(word)).is_ok();
        has(&self.exact, number)
            || (!self.prefixes.is_empty()
                && (0..=number.len()).any(|end| number.get(..end).is_some_and(|prefix| has(&self.prefixes, prefix))))
    }
}
