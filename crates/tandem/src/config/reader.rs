//! Typed reading of a tree: every mistake is noted and reading goes on, so that one run finds all of them.

use super::{
    problem::{Place, Problem, nearest},
    tree::{Node, Value},
};
use std::{cell::RefCell, fmt::Display, ops::RangeInclusive, time::Duration};

/// Where mistakes are collected while sections are read.
#[derive(Debug, Default)]
pub(super) struct Notes(RefCell<Vec<Problem>>);

impl Notes {
    /// Notes a mistake.
    pub(super) fn add(&self, place: Option<Place>, message: impl Into<String>, help: Option<String>) {
        self.0.borrow_mut().push(Problem { message: message.into(), place, warning: false, help });
    }

    /// Notes what may not have been meant.
    pub(super) fn warn(&self, place: Option<Place>, message: impl Into<String>, help: Option<String>) {
        self.0.borrow_mut().push(Problem { message: message.into(), place, warning: true, help });
    }

    /// Everything noted.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// What is wrong with one value, and what would be right.
#[derive(Debug)]
pub(crate) struct Wrong {
    message: String,
    help: Option<String>,
}

impl Wrong {
    /// Found and expected, in one sentence.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// With what would be right.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A value with the place it was written at, for checks that need several values.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands; `None` for a default.
    pub place: Option<Place>,
}

/// One section being read. Ends with [`Section::done`], which refuses the keys nobody asked for.
pub(super) struct Section<'a> {
    notes: &'a Notes,
    node: Option<&'a Node>,
    place: Option<Place>,
    path: String,
    known: Vec<&'static str>,
    later: &'static [&'static str],
}

impl<'a> Section<'a> {
    /// The whole configuration.
    pub(super) fn root(node: &'a Node, notes: &'a Notes) -> Self {
        Self::of(Some(node), None, String::new(), notes)
    }

    fn of(node: Option<&'a Node>, place: Option<Place>, path: String, notes: &'a Notes) -> Self {
        let node = node.filter(|node| !node.is_null());
        let place = place.or(node.map(|node| node.place));
        if let Some(node) = node
            && !matches!(node.value, Value::Map(_))
        {
            let what = if path.is_empty() { "the configuration".to_owned() } else { format!("`{path}`") };
            notes.add(Some(node.place), format!("{what} must be a section with keys, not {}", node.kind()), None);
        }
        Self { notes, node, place, path, known: Vec::new(), later: &[] }
    }

    /// Names keys that Tandem will have one day: they are refused as not built yet instead of as unknown.
    pub(super) fn later(&mut self, keys: &'static [&'static str]) {
        self.later = keys;
    }

    /// True when the section was written.
    pub(super) fn is_present(&self) -> bool {
        self.node.is_some()
    }

    /// Where the section starts.
    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// Dotted path of the section.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Notes a mistake at `place`.
    pub(super) fn wrong(&self, place: Option<Place>, message: impl Into<String>, help: Option<&str>) {
        self.notes.add(place.or(self.place), message, help.map(str::to_owned));
    }

    /// Notes at `place` what is taken as it is written and may not have been meant.
    pub(super) fn doubt(&self, place: Option<Place>, message: impl Into<String>, help: Option<&str>) {
        self.notes.warn(place.or(self.place), message, help.map(str::to_owned));
    }

    /// True when nothing at all is written in it.
    pub(super) fn is_empty(&self) -> bool {
        !matches!(self.node, Some(Node { value: Value::Map(entries), .. }) if !entries.is_empty())
    }

    /// True when it was written as something that is no section, which was noted.
    pub(super) fn is_something_else(&self) -> bool {
        self.node.is_some_and(|node| !matches!(node.value, Value::Map(_)))
    }

    /// How many values `key` was written with.
    pub(super) fn length_of(&self, key: &str) -> usize {
        let Some(Node { value: Value::Map(entries), .. }) = self.node else { return 0 };
        entries.iter().find(|entry| entry.key == key).map_or(0, |entry| match &entry.node.value {
            Value::Sequence(items) => items.len(),
            _ => usize::from(!entry.node.is_null()),
        })
    }

    /// Notes what a reader found wrong.
    pub(super) fn note(&self, place: Option<Place>, wrong: Wrong) {
        self.notes.add(place.or(self.place), wrong.message, wrong.help);
    }

    /// True when `key` was written, rightly or wrongly.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(self.node, Some(Node { value: Value::Map(entries), .. }) if entries.iter().any(|entry| entry.key == key))
    }

    /// True when `key` was written with nothing in it.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let Some(Node { value: Value::Map(entries), .. }) = self.node else { return false };
        entries.iter().any(|entry| {
            entry.key == key
                && (entry.node.is_null() || matches!(&entry.node.value, Value::Sequence(items) if items.is_empty()))
        })
    }

    fn find(&mut self, key: &'static str) -> Option<(&'a Node, Place)> {
        self.known.push(key);
        let Some(Node { value: Value::Map(entries), .. }) = self.node else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| (&entry.node, entry.place))
    }

    fn named(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A value read by `read`; `None` when it is absent or wrong (then it was noted).
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        let (node, _) = self.find(key)?;
        let name = self.named(key);
        scalar(node, &name, self.notes, &read).filter(|_| !node.is_null())
    }

    /// A value that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Placed<T>> {
        let absent = self.find(key).is_none_or(|(node, _)| node.is_null());
        self.known.pop();
        if absent {
            self.known.push(key);
            self.wrong(None, format!("`{}` is missing", self.named(key)), None);
            return None;
        }
        self.optional(key, read)
    }

    /// A value with a default.
    pub(super) fn or<T>(&mut self, key: &'static str, default: T, read: impl Fn(&str) -> Result<T, Wrong>) -> T {
        self.optional(key, read).map_or(default, |placed| placed.value)
    }

    /// A duration with a default and a range.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        self.or(key, default, |text| {
            let value = duration(text)?;
            if range.contains(&value) {
                return Ok(value);
            }
            Err(Wrong::new(format!("`{text}` is out of range")).help(format!(
                "{} to {}",
                shown(*range.start()),
                shown(*range.end())
            )))
        })
    }

    /// A whole number with a default and a range.
    pub(super) fn number(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.or(key, default, |text| number(text, &range))
    }

    /// A size in bytes (`64KiB`, `100MB`, plain bytes) with a default and a range.
    pub(super) fn size(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.or(key, default, |text| {
            let value = size(text)?;
            if range.contains(&value) {
                return Ok(value);
            }
            Err(Wrong::new(format!("`{text}` is out of range")).help(format!(
                "{} to {} bytes",
                range.start(),
                range.end()
            )))
        })
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.or(key, default, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(Wrong::new(format!("`{other}` is neither `true` nor `false`"))),
        })
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, default: T, words: &[(&'static str, T)]) -> T {
        self.or(key, default, |text| word(text, words))
    }

    /// A list; a single value stands for a list of one.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<Placed<T>>> {
        let (node, _) = self.find(key)?;
        let name = self.named(key);
        match &node.value {
            Value::Sequence(items) => {
                Some(items.iter().filter_map(|item| scalar(item, &name, self.notes, &read)).collect())
            }
            Value::Scalar { .. } if !node.is_null() => scalar(node, &name, self.notes, &read).map(|one| vec![one]),
            Value::Scalar { .. } => Some(Vec::new()),
            Value::Map(_) => {
                self.notes.add(Some(node.place), format!("`{name}` must be a list, not {}", node.kind()), None);
                None
            }
        }
    }

    /// A list whose items are values, or sections where there is more to say of one.
    pub(super) fn mixed<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Wrong>,
        more: impl Fn(Section<'a>) -> Option<T>,
    ) -> Option<Vec<Placed<T>>> {
        let (node, _) = self.find(key)?;
        let name = self.named(key);
        let items = match &node.value {
            Value::Sequence(items) => &items[..],
            _ if node.is_null() => &[],
            _ => std::slice::from_ref(node),
        };
        let one = |(at, item): (usize, &'a Node)| match &item.value {
            Value::Map(_) => {
                let section = Section::of(Some(item), Some(item.place), format!("{name}[{at}]"), self.notes);
                more(section).map(|value| Placed { value, place: Some(item.place) })
            }
            _ => scalar(item, &name, self.notes, &read),
        };
        Some(items.iter().enumerate().filter_map(one).collect())
    }

    /// A section inside this one; empty when absent.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        let name = self.named(key);
        let found = self.find(key);
        Section::of(found.map(|(node, _)| node), found.map(|(_, place)| place).or(self.place), name, self.notes)
    }

    /// Sections under names that the operator chooses.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let name = self.named(key);
        let Some((node, _)) = self.find(key) else { return Vec::new() };
        match &node.value {
            Value::Map(entries) => entries
                .iter()
                .map(|entry| {
                    let path = format!("{name}.{}", entry.key);
                    let section = Section::of(Some(&entry.node), Some(entry.place), path, self.notes);
                    (entry.key.clone(), section)
                })
                .collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                self.notes.add(
                    Some(node.place),
                    format!("`{name}` must hold named sections, not {}", node.kind()),
                    None,
                );
                Vec::new()
            }
        }
    }

    /// Sections in a list.
    pub(super) fn items(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let name = self.named(key);
        let Some((node, _)) = self.find(key) else { return Vec::new() };
        match &node.value {
            Value::Sequence(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| Section::of(Some(item), Some(item.place), format!("{name}[{at}]"), self.notes))
                .collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                self.notes.add(Some(node.place), format!("`{name}` must be a list, not {}", node.kind()), None);
                Vec::new()
            }
        }
    }

    /// Values under names that the operator chooses.
    pub(super) fn pairs<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Vec<(Placed<String>, Placed<T>)> {
        let name = self.named(key);
        let Some((node, _)) = self.find(key) else { return Vec::new() };
        match &node.value {
            Value::Map(entries) => entries
                .iter()
                .filter_map(|entry| {
                    let value = scalar(&entry.node, &format!("{name}.{}", entry.key), self.notes, &read)?;
                    Some((Placed { value: entry.key.clone(), place: Some(entry.place) }, value))
                })
                .collect(),
            _ if node.is_null() => Vec::new(),
            _ => {
                self.notes.add(
                    Some(node.place),
                    format!("`{name}` must hold `name: value` pairs, not {}", node.kind()),
                    None,
                );
                Vec::new()
            }
        }
    }

    /// Ends the section: keys that nobody asked for are mistakes.
    pub(super) fn done(self) {
        let Some(Node { value: Value::Map(entries), .. }) = self.node else { return };
        for entry in entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str())) {
            let within = if self.path.is_empty() { String::new() } else { format!(" in `{}`", self.path) };
            if self.later.contains(&entry.key.as_str()) {
                self.notes.add(
                    Some(entry.place),
                    format!("`{}`{within} is not built yet", entry.key),
                    Some("leave it away; a setting is never ignored silently".to_owned()),
                );
                continue;
            }
            let help = match nearest(&entry.key, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            self.notes.add(Some(entry.place), format!("unknown key `{}`{within}", entry.key), Some(help));
        }
    }
}

fn scalar<T>(node: &Node, name: &str, notes: &Notes, read: &impl Fn(&str) -> Result<T, Wrong>) -> Option<Placed<T>> {
    let Value::Scalar { text, .. } = &node.value else {
        notes.add(Some(node.place), format!("`{name}` must be a single value, not {}", node.kind()), None);
        return None;
    };
    if node.is_null() {
        return None;
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        notes.add(Some(node.place), format!("`{name}` holds the control character {control:?}"), None);
        return None;
    }
    match read(text) {
        Ok(value) => Some(Placed { value, place: Some(node.place) }),
        Err(Wrong { message, help }) => {
            notes.add(Some(node.place), format!("`{name}`: {message}"), help);
            None
        }
    }
}

/// One of a few words, with the nearest as help.
pub(super) fn word<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    Err(Wrong::new(format!("`{text}` is not known")).help(match nearest(text, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? one of: {}", names.join(", ")),
        None => format!("one of: {}", names.join(", ")),
    }))
}

/// A whole number within a range.
pub(super) fn number<N: std::str::FromStr + PartialOrd + Display>(
    text: &str,
    range: &RangeInclusive<N>,
) -> Result<N, Wrong> {
    match text.parse::<N>() {
        Ok(value) if range.contains(&value) => Ok(value),
        Ok(_) => {
            Err(Wrong::new(format!("`{text}` is out of range")).help(format!("{} to {}", range.start(), range.end())))
        }
        Err(_) => Err(Wrong::new(format!("`{text}` is not a number from {} to {}", range.start(), range.end()))),
    }
}

/// `250ms`, `20s`, `5m`, `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let wrong = || {
        Wrong::new(format!("`{text}` is not a duration"))
            .help("a whole number with its unit: `250ms`, `20s`, `5m` or `2h`")
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(wrong)
}

/// `4096`, `64KiB`, `100MiB`, `1GiB`, and their decimal cousins.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let wrong = || {
        Wrong::new(format!("`{text}` is not a size")).help("bytes, or a whole number with its unit: `64KiB`, `100MiB`")
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let factor = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// A duration as an operator would write it.
pub(super) fn shown(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}
