//! The tree.

use crate::{
    diagnostic::{Diagnostic, Severity, did_you_mean},
    duration,
};
use core::time::Duration;
use std::sync::Arc;

/// Where a node stands. For JSON, `line` is 0 and `column` is the node's number in the table of paths.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) width: u32,
}

/// How a scalar was written.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// YAML without quotes: what it is depends on where it stands, never on how it looks.
    Plain,
    /// Text in quotes, a YAML block, or a JSON string.
    Quoted,
    /// A JSON number or boolean: never text.
    Literal,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Nothing was written, or JSON's null.
    Empty,
    Scalar(String, Style),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// A mistake or warning whose file is known to whoever collects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) severity: Severity,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Everything wrong in one source so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

/// No more problems than this are kept of one file: a file with more is not a rules file.
const MOST_PROBLEMS: usize = 200;

impl Problems {
    /// Nothing more is kept.
    pub(crate) fn are_full(&self) -> bool {
        self.0.len() >= MOST_PROBLEMS
    }

    pub(crate) fn any_error(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Error, span, message.into(), None);
    }

    pub(crate) fn error_with(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, span, message.into(), Some(help.into()));
    }

    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.push(Severity::Warning, span, message.into(), help);
    }

    /// `word` names nothing; suggests what was meant, or lists what there is.
    pub(crate) fn unknown(&mut self, span: Span, what: &str, word: &str, known: &[&str]) {
        if self.are_full() {
            return;
        }
        let help = match did_you_mean(word, known.iter().copied()) {
            Some(meant) => Some(format!("did you mean `{meant}`?")),
            None if known.is_empty() => match what {
                "fact" => Some("declare it under `facts`".to_owned()),
                "list" => Some("declare it under `lists`".to_owned()),
                "opening hours" => Some("declare them under `hours`".to_owned()),
                "destination" => Some("declare it under `destinations`".to_owned()),
                _ => None,
            },
            None if known.len() <= 12 => Some(format!("known here: {}", listed(known))),
            None => Some(format!("known here: {}, …", listed(known.get(..12).unwrap_or(known)))),
        };
        self.push(Severity::Error, span, format!("unknown {what} `{}`", short(word)), help);
    }

    /// Something of a later stage of Tandem.
    pub(crate) fn later(&mut self, span: Span, what: &str) {
        self.push(Severity::Error, span, format!("{what} is not built yet"), Some("remove it for now".into()));
    }

    fn push(&mut self, severity: Severity, span: Span, message: String, help: Option<String>) {
        let problem = Problem { severity, span, message, help };
        if !self.are_full() && !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    pub(crate) fn located(self, file: &Arc<str>, text: &str) -> Vec<Diagnostic> {
        let lines: Vec<&str> = text.lines().collect();
        let mut problems = self.0;
        problems.sort_by_key(|problem| problem.span);
        problems.into_iter().map(|problem| locate(problem, file, &lines)).collect()
    }
}

/// The longest part of a line that is shown.
const WIDEST: u32 = 160;

fn locate(problem: Problem, file: &Arc<str>, lines: &[&str]) -> Diagnostic {
    let Problem { severity, span, message, help } = problem;
    let line = (span.line as usize).checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or_default();
    let shown: String = line.chars().take(WIDEST as usize).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let room = (WIDEST + 1).saturating_sub(span.column).max(1);
    Diagnostic {
        severity,
        file: Arc::clone(file),
        line: span.line,
        column: span.column,
        width: span.width.clamp(1, room),
        source: shown,
        message,
        help,
    }
}

/// `a`, `b` and `c` as people list them.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A word cut so that a message stays readable.
pub(crate) fn short(word: &str) -> String {
    let mut cut: String = word.chars().take(60).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if cut.len() < word.len() && word.chars().count() > 60 {
        cut.push('…');
    }
    cut
}

impl Node {
    /// What it is, for messages: "a list", "`42`".
    pub(crate) fn described(&self) -> String {
        match &self.kind {
            Kind::Empty => "nothing".to_owned(),
            Kind::Scalar(text, Style::Quoted) => format!("the text \"{}\"", short(text)),
            Kind::Scalar(text, _) => format!("`{}`", short(text)),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a mapping".to_owned(),
        }
    }

    pub(crate) fn wrong(&self, problems: &mut Problems, wanted: &str, help: Option<&str>) {
        let message = format!("found {}, expected {wanted}", self.described());
        match help {
            Some(help) => problems.error_with(self.span, message, help),
            None => problems.error(self.span, message),
        }
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Style::Plain) if text == word)
    }

    pub(crate) fn as_scalar(&self) -> Option<(&str, Style)> {
        match &self.kind {
            Kind::Scalar(text, style) => Some((text, *style)),
            _ => None,
        }
    }

    /// Text of at most `longest` characters, none of them a control character.
    pub(crate) fn text(&self, problems: &mut Problems, longest: usize) -> Option<&str> {
        let text = match &self.kind {
            Kind::Scalar(text, Style::Plain | Style::Quoted) => text,
            _ => {
                self.wrong(problems, "text", None);
                return None;
            }
        };
        if text.chars().any(char::is_control) {
            problems.error(self.span, "control characters are not allowed here");
            return None;
        }
        self.bounded(text, problems, longest)
    }

    /// Text that may have several lines.
    pub(crate) fn prose(&self, problems: &mut Problems, longest: usize) -> Option<&str> {
        let Kind::Scalar(text, Style::Plain | Style::Quoted) = &self.kind else {
            self.wrong(problems, "text", None);
            return None;
        };
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            problems.error(self.span, "control characters other than line ends and tabs are not allowed here");
            return None;
        }
        self.bounded(text, problems, longest)
    }

    fn bounded<'n>(&self, text: &'n str, problems: &mut Problems, longest: usize) -> Option<&'n str> {
        let count = text.chars().count();
        if count > longest {
            problems.error(self.span, format!("{count} characters are too many, at most {longest} are allowed"));
            return None;
        }
        if text.is_empty() {
            problems.error(self.span, "empty text means nothing here");
            return None;
        }
        Some(text)
    }

    /// A name of our own: letters, digits, `_`, `-`, `.` and `/`.
    pub(crate) fn name(&self, problems: &mut Problems) -> Option<Arc<str>> {
        let text = self.text(problems, 64)?;
        if let Some(odd) = text.chars().find(|c| !(c.is_alphanumeric() || "_-./".contains(*c))) {
            problems.error_with(
                self.span,
                format!("a name cannot contain `{odd}`"),
                "use letters, digits, `_`, `-`, `.` and `/`",
            );
            return None;
        }
        Some(text.into())
    }

    pub(crate) fn number(&self, problems: &mut Problems) -> Option<f64> {
        match &self.kind {
            Kind::Scalar(text, Style::Plain | Style::Literal) => {
                if let Some(number) = number(text) {
                    return Some(number);
                }
                self.wrong(problems, "a number", None);
            }
            Kind::Scalar(text, Style::Quoted) if number(text).is_some() => {
                self.wrong(problems, "a number", Some("write it without quotes"));
            }
            _ => self.wrong(problems, "a number", None),
        }
        None
    }

    /// A whole number within `range`.
    pub(crate) fn whole(&self, problems: &mut Problems, range: core::ops::RangeInclusive<u32>) -> Option<u32> {
        let number = self.number(problems)?;
        let whole = format!("{number}").parse::<u32>().ok().filter(|whole| range.contains(whole));
        if whole.is_none() {
            let (low, high) = (range.start(), range.end());
            problems.error(self.span, format!("found {number}, expected a whole number from {low} to {high}"));
        }
        whole
    }

    pub(crate) fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        match &self.kind {
            Kind::Scalar(text, Style::Plain | Style::Literal) => match text.as_str() {
                "true" => return Some(true),
                "false" => return Some(false),
                other => {
                    let help = match other.to_ascii_lowercase().as_str() {
                        "yes" | "on" | "y" | "true" | "1" => Some("did you mean `true`?"),
                        "no" | "off" | "n" | "false" | "0" => Some("did you mean `false`?"),
                        _ => None,
                    };
                    self.wrong(problems, "`true` or `false`", help);
                }
            },
            Kind::Scalar(text, Style::Quoted) if text == "true" || text == "false" => {
                self.wrong(problems, "`true` or `false`", Some("write it without quotes"));
            }
            _ => self.wrong(problems, "`true` or `false`", None),
        }
        None
    }

    /// A duration between `range`'s ends.
    pub(crate) fn duration(&self, problems: &mut Problems, low: Duration, high: Duration) -> Option<Duration> {
        let Kind::Scalar(text, Style::Plain | Style::Quoted) = &self.kind else {
            let help = match &self.kind {
                Kind::Scalar(text, _) => duration::parse(text).err(),
                _ => None,
            };
            self.wrong(problems, "a duration such as `20s`", help.as_deref());
            return None;
        };
        match duration::parse(text) {
            Ok(it) if it < low || it > high => {
                let (low, high) = (duration::text(low), duration::text(high));
                problems.error(self.span, format!("found {text}, expected a duration from {low} to {high}"));
                None
            }
            Ok(it) => Some(it),
            Err(help) => {
                problems.error_with(self.span, format!("`{}` is not a duration", short(text)), help);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, problems: &mut Problems, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = match &self.kind {
            Kind::Scalar(text, Style::Plain | Style::Quoted) => text,
            _ => {
                let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
                self.wrong(problems, &format!("one of {}", listed(&names)), None);
                return None;
            }
        };
        if let Some((_, value)) = words.iter().find(|(name, _)| name == text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        problems.unknown(self.span, what, text, &names);
        None
    }

    /// A list, or one item standing for a list of one.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => std::slice::from_ref(self),
        }
    }
}

/// Numbers as JSON and people write them; no hexadecimal, no infinity, no separators.
pub(crate) fn number(text: &str) -> Option<f64> {
    let starts = text.strip_prefix('-').unwrap_or(text);
    let plain = starts.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    if !plain || text.len() > 32 {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}
