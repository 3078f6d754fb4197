//! YAML as a tree in which every key and value knows where it was written, and the layering of such trees.

use super::problem::{Place, Problem, Source, Sources};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

/// How deep a configuration may nest; a real one needs six.
const DEEPEST: usize = 16;
/// How many values one file may hold.
const LARGEST: usize = 100_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it starts.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a YAML value can be here.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text as written; `plain` when without quotes.
    Scalar {
        /// Unescaped.
        text: String,
        /// Whether `true`, `null` or a number may be meant.
        plain: bool,
    },
    /// Items in order.
    Sequence(Vec<Node>),
    /// Entries in order, keys unique.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// An empty map that was written nowhere.
    pub(super) fn empty(source: u32) -> Self {
        Self { place: Place { source, line: 1, column: 1, length: 1 }, value: Value::Map(Vec::new()) }
    }

    /// True for nothing, `~` and `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// What an operator would call this value.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::Sequence(_) => "a list",
            Value::Map(_) => "a section with keys",
        }
    }
}

/// Reads one YAML text. Mistakes of syntax go to `problems`; `None` when there is no tree at all.
pub(super) fn parse(sources: &mut Sources, source: Source, problems: &mut Vec<Problem>) -> Option<Node> {
    let (text, variable) = (source.text.clone(), source.variable);
    let index = sources.add(source);
    let mut builder = Builder { source: index, open: Vec::new(), root: None, problems, documents: 0, values: 0 };
    let mut parser = Parser::new_from_str(&text);
    while let Some(step) = parser.next_event() {
        match step {
            Ok((event, span)) => {
                if !builder.take(event, span) {
                    return None;
                }
            }
            Err(error) => {
                let marker = error.marker();
                let place = place(index, marker.line(), marker.col(), 1);
                builder.problems.push(Problem {
                    message: format!("this is not YAML: {}", error.info()),
                    place: Some(place),
                    warning: false,
                    help: Some(
                        "check the indentation, the colons and the quotes here and on the line above".to_owned(),
                    ),
                });
                return None;
            }
        }
    }
    // A file may be empty, a variable says that its key has no value.
    Some(match builder.root.filter(|root| !root.is_null()) {
        Some(root) => root,
        None if variable => Node { value: Value::Scalar { text: String::new(), plain: true }, ..Node::empty(index) },
        None => Node::empty(index),
    })
}

/// Lays `over` upon `under`: sections are merged key by key, everything else is replaced.
pub(super) fn lay(under: Node, over: Node) -> Node {
    match (under.value, over.value) {
        (Value::Map(mut below), Value::Map(above)) => {
            for entry in above {
                match below.iter().position(|known| known.key == entry.key) {
                    Some(at) => {
                        let known = below.remove(at);
                        below.insert(
                            at,
                            Entry { node: lay(known.node, entry.node), key: entry.key, place: entry.place },
                        );
                    }
                    None => below.push(entry),
                }
            }
            Node { place: under.place, value: Value::Map(below) }
        }
        // `sip:` with nothing under it lays nothing over the section below.
        (below @ Value::Map(_), Value::Scalar { text, plain: true }) if matches!(text.as_str(), "" | "~" | "null") => {
            Node { place: under.place, value: below }
        }
        (_, value) => Node { place: over.place, value },
    }
}

/// Wraps `node` into sections named by `path`, outermost first.
pub(super) fn nest(path: &[String], node: Node) -> Node {
    path.iter().rev().fold(node, |inner, key| {
        let place = inner.place;
        Node { place, value: Value::Map(vec![Entry { key: key.clone(), place, node: inner }]) }
    })
}

struct Builder<'p> {
    source: u32,
    open: Vec<Open>,
    root: Option<Node>,
    problems: &'p mut Vec<Problem>,
    documents: usize,
    values: usize,
}

enum Open {
    Sequence(Place, Vec<Node>),
    Map(Place, Vec<Entry>, Option<(String, Place)>),
}

impl Builder<'_> {
    /// False when reading on makes no sense.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some() {
                    return self.refuse(place, "tags (`!…`) mean nothing here", "leave the tag away");
                }
                let plain = matches!(style, ScalarStyle::Plain);
                self.value(Node { place, value: Value::Scalar { text: text.into_owned(), plain } })
            }
            Event::SequenceStart(..) => self.open(Open::Sequence(Place { length: 1, ..place }, Vec::new())),
            Event::MappingStart(..) => self.open(Open::Map(Place { length: 1, ..place }, Vec::new(), None)),
            Event::SequenceEnd => match self.open.pop() {
                Some(Open::Sequence(place, items)) => self.value(Node { place, value: Value::Sequence(items) }),
                _ => false,
            },
            Event::MappingEnd => match self.open.pop() {
                Some(Open::Map(place, entries, _)) => self.value(Node { place, value: Value::Map(entries) }),
                _ => false,
            },
            Event::Alias(_) => self.refuse(place, "aliases (`*name`) are not resolved here", "write the value out"),
            Event::DocumentStart(..) => {
                self.documents += 1;
                self.documents == 1
                    || self.refuse(place, "a second YAML document starts here", "use one file for each, in conf.d")
            }
            _ => true,
        }
    }

    fn open(&mut self, open: Open) -> bool {
        let (Open::Sequence(place, _) | Open::Map(place, ..)) = &open;
        let place = *place;
        if self.open.len() >= DEEPEST {
            return self.refuse(place, "this is nested too deeply", "16 levels are the limit");
        }
        if let Some(Open::Map(_, _, None)) = self.open.last() {
            return self.refuse(place, "a key must be a single word", "quote the key if the brackets belong to it");
        }
        self.open.push(open);
        true
    }

    fn value(&mut self, node: Node) -> bool {
        self.values += 1;
        if self.values > LARGEST {
            return self.refuse(node.place, "this file holds too many values", "100000 are the limit");
        }
        match self.open.last_mut() {
            None => {
                self.root = Some(node);
            }
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some((key, place)) => {
                    if entries.iter().any(|known| known.key == key) {
                        let first = entries.iter().find(|known| known.key == key).map_or(0, |known| known.place.line);
                        return {
                            self.problems.push(Problem {
                                message: format!("`{key}` is written twice in one section"),
                                place: Some(place),
                                warning: false,
                                help: Some(format!("it is already on line {first}; keep one of them")),
                            });
                            true
                        };
                    }
                    entries.push(Entry { key, place, node });
                }
                None => {
                    let Value::Scalar { text, .. } = node.value else { return false };
                    *key = Some((text, node.place));
                }
            },
        }
        true
    }

    fn refuse(&mut self, place: Place, message: &str, help: &str) -> bool {
        self.problems.push(Problem {
            message: message.to_owned(),
            place: Some(place),
            warning: false,
            help: Some(help.to_owned()),
        });
        false
    }

    fn place(&self, span: Span) -> Place {
        let length = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()).max(1)
        } else {
            1
        };
        place(self.source, span.start.line(), span.start.col(), length)
    }
}

fn place(source: u32, line: usize, column_from_zero: usize, length: usize) -> Place {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        source,
        line: small(line).max(1),
        column: small(column_from_zero).saturating_add(1),
        length: small(length).max(1),
    }
}
