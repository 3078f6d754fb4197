//! Reading a mapping key by key, so that every key left over is reported.

use super::node::{Key, Kind, Node, Problems, Span};

/// A mapping being read.
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    taken: Vec<bool>,
    known: Vec<&'static str>,
    what: &'static str,
    /// Everything before it has been taken by `first_left`.
    cursor: usize,
    pub(crate) span: Span,
}

impl<'n> Fields<'n> {
    /// `node` as a mapping; `what` is what its keys are called in messages ("key", "condition").
    pub(crate) fn new(node: &'n Node, what: &'static str, problems: &mut Problems) -> Option<Self> {
        let Kind::Map(entries) = &node.kind else {
            node.wrong(problems, "a mapping (`key: value`)", None);
            return None;
        };
        Some(Self { entries, taken: vec![false; entries.len()], known: Vec::new(), what, cursor: 0, span: node.span })
    }

    /// The value of `key`; an empty value counts as a mistake and as absent.
    pub(crate) fn take(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'n Node> {
        let (key, node) = self.take_entry(key)?;
        if matches!(node.kind, Kind::Empty) {
            problems.error(key.span, format!("`{}` has no value", key.text));
            return None;
        }
        Some(node)
    }

    /// Key and value of `key`, even when the value is empty.
    pub(crate) fn take_entry(&mut self, key: &'static str) -> Option<(&'n Key, &'n Node)> {
        self.known.push(key);
        let index = self.entries.iter().position(|(it, _)| it.text == key)?;
        self.taken[index] = true;
        let (key, node) = &self.entries[index];
        Some((key, node))
    }

    /// `take`, and a mistake when it is missing.
    pub(crate) fn need(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'n Node> {
        if !self.has(key) {
            self.known.push(key);
            problems.error(self.span, format!("`{key}` is missing"));
            return None;
        }
        self.take(key, problems)
    }

    /// Keys of a later stage, refused by name.
    pub(crate) fn later(&mut self, keys: &[&'static str], problems: &mut Problems) {
        for key in keys {
            if let Some(index) = self.entries.iter().position(|(it, _)| it.text == *key) {
                self.taken[index] = true;
                problems.later(self.entries[index].0.span, &format!("`{key}`"));
            }
        }
    }

    /// Ignores `key`, which somebody else reads.
    pub(crate) fn skip(&mut self, key: &'static str) {
        let _ = self.take_entry(key);
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(it, _)| it.text == key)
    }

    /// The first entry nobody has taken.
    pub(crate) fn first_left(&mut self) -> Option<(&'n Key, &'n Node)> {
        let index = self.cursor + self.taken[self.cursor..].iter().position(|taken| !taken)?;
        self.taken[index] = true;
        self.cursor = index;
        let (key, node) = &self.entries[index];
        Some((key, node))
    }

    /// Every key that nobody asked for is a mistake.
    pub(crate) fn finish(self, problems: &mut Problems) {
        for ((key, _), _) in self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken) {
            problems.unknown(key.span, self.what, &key.text, &self.known);
        }
    }
}
