//! YAML as a tree: one document, no anchors, no tags, no merge keys, every key once.

use super::node::{Key, Kind, Node, Problems, Span, Style};
use serde_saphyr::granit_parser::{self, ErrorKind, Event, Parser, ScalarStyle, ScanError};
use std::collections::BTreeMap;

/// The largest file that is read.
pub(crate) const LARGEST_FILE: usize = 1 << 20;
/// The deepest nesting of a file.
const DEEPEST: usize = 32;

/// The tree of `text`; `None` when it is empty or when a mistake leaves no tree. Reading stops at the first mistake of
/// form (a missing bracket, wrong indentation): what follows it could only be guessed.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut tree = Tree { open: Vec::new(), root: None, text, documents: 0 };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => {
                if !tree.take(event, span_of(&span), problems) {
                    return None;
                }
            }
            Err(error) => {
                report(&error, text, problems);
                return None;
            }
        }
    }
    tree.root
}

struct Tree<'t> {
    open: Vec<Open>,
    root: Option<Node>,
    text: &'t str,
    documents: usize,
}

enum Open {
    List(Vec<Node>, Span),
    Map { entries: Vec<(Key, Node)>, key: Option<Key>, seen: BTreeMap<String, u32>, span: Span },
}

impl Tree<'_> {
    /// False when reading cannot go on.
    fn take(&mut self, event: Event<'_>, span: Span, problems: &mut Problems) -> bool {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    problems.error_with(span, "a second document begins here", "remove the `---`");
                    return false;
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let help = "write the value out; text that begins with `*` needs quotes";
                problems.error_with(span, "references (`*name`) are not allowed", help);
                self.skip(span);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), span, problems);
                let style = if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted };
                let empty = style == Style::Plain && (text.is_empty() || span.width == 0 || text == "~");
                let kind = if empty { Kind::Empty } else { Kind::Scalar(text.into_owned(), style) };
                self.add(Node { kind, span }, problems);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), span, problems);
                self.refuse_collection_key(span, problems);
                self.open.push(Open::List(Vec::new(), span));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), span, problems);
                self.refuse_collection_key(span, problems);
                self.open.push(Open::Map { entries: Vec::new(), key: None, seen: BTreeMap::new(), span });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(items, span)) => self.add(Node { kind: Kind::List(items), span }, problems),
                Some(Open::Map { entries, span, .. }) => self.add(Node { kind: Kind::Map(entries), span }, problems),
                None => {}
            },
            _ => {}
        }
        if self.open.len() > DEEPEST {
            problems.error(span, format!("nested more than {DEEPEST} levels deep"));
            return false;
        }
        true
    }

    fn refuse_properties(&self, anchor: usize, tag: bool, span: Span, problems: &mut Problems) {
        if anchor == 0 && !tag || problems.are_full() {
            return;
        }
        let line = self.text.lines().nth(span.line.saturating_sub(1) as usize).unwrap_or_default();
        if anchor != 0 {
            let help = "write the value where it is needed; text that begins with `&` needs quotes";
            problems.error_with(mark(line, '&', span), "anchors (`&name`) are not allowed", help);
        }
        if tag {
            let help = "text that begins with `!` needs quotes";
            problems.error_with(mark(line, '!', span), "tags (`!name`) are not allowed", help);
        }
    }

    fn refuse_collection_key(&self, span: Span, problems: &mut Problems) {
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            problems.error(span, "a key is a single word, not a list or mapping");
        }
    }

    /// In place of a node that cannot be: as a value, its key is dropped too, so that nothing more is said of it.
    fn skip(&mut self, span: Span) {
        match self.open.last_mut() {
            Some(Open::Map { key, .. }) if key.is_some() => *key = None,
            Some(Open::Map { key, .. }) => *key = Some(Key { text: String::new(), span }),
            _ => {}
        }
    }

    fn add(&mut self, node: Node, problems: &mut Problems) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Map { entries, key, seen, .. }) => match key.take() {
                Some(key) if key.text.is_empty() => {}
                Some(key) => entries.push((key, node)),
                None => {
                    let mut text = match node.kind {
                        Kind::Scalar(text, style) => {
                            refuse_boolean_key(&text, style, node.span, problems);
                            text
                        }
                        _ => String::new(),
                    };
                    if text == "<<" {
                        problems.error_with(node.span, "`<<` (merge) is not allowed", "write the keys out");
                        text.clear();
                    } else if text.is_empty() {
                        problems.error(node.span, "a key is missing before the `:`");
                    } else if let Some(line) = seen.get(&text) {
                        problems.error(node.span, format!("`{text}` is given twice, first in line {line}"));
                        text.clear();
                    } else {
                        seen.insert(text.clone(), node.span.line);
                    }
                    *key = Some(Key { text, span: node.span });
                }
            },
        }
    }
}

/// YAML 1.1 readers take `on`, `yes` and `no` for booleans; a key that reads differently elsewhere is refused here.
fn refuse_boolean_key(text: &str, style: Style, span: Span, problems: &mut Problems) {
    let word = text.to_ascii_lowercase();
    if style == Style::Plain && matches!(word.as_str(), "on" | "off" | "yes" | "no" | "y" | "n" | "true" | "false") {
        let help = "other YAML readers take it for a boolean: choose another word";
        problems.error_with(span, format!("`{text}` cannot be a key"), help);
    }
}

fn mark(line: &str, sign: char, span: Span) -> Span {
    let before: Vec<char> = line.chars().take(span.column as usize).collect();
    match before.iter().rposition(|c| *c == sign) {
        Some(at) => {
            let name = line.chars().skip(at).take_while(|c| !c.is_whitespace()).count();
            Span { column: narrow(at) + 1, width: narrow(name), ..span }
        }
        None => span,
    }
}

fn span_of(span: &granit_parser::Span) -> Span {
    let (start, end) = (span.start, span.end);
    let width = if end.line() == start.line() { end.col().saturating_sub(start.col()) } else { 1 };
    Span { line: narrow(start.line()), column: narrow(start.col()) + 1, width: narrow(width) }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn report(error: &ScanError, text: &str, problems: &mut Problems) {
    let at = error.marker();
    let mut span = Span { line: narrow(at.line()).max(1), column: narrow(at.col()) + 1, width: 1 };
    let lines = text.lines().count();
    if span.line as usize > lines && lines > 0 {
        let last = text.lines().last().map_or(0, |line| line.chars().count());
        span = Span { line: narrow(lines), column: narrow(last).max(1), width: 1 };
    }
    let line = text.lines().nth(span.line.saturating_sub(1) as usize).unwrap_or_default();
    if let Some((open, at)) = left_open(error.kind(), text, span) {
        let close = if open == '[' { ']' } else { '}' };
        let help = format!("a `,` or the closing `{close}` is missing, at the latest in line {}", span.line);
        problems.error_with(at, format!("what begins with this `{open}` is not complete"), help);
        return;
    }
    let (message, help) = explain(error.kind(), line);
    match help {
        Some(help) => problems.error_with(span, message, help),
        None => problems.error(span, message),
    }
}

/// The bracket that is still open where the reader gave up, if that is what it complains of.
fn left_open(kind: &ErrorKind, text: &str, until: Span) -> Option<(char, Span)> {
    use ErrorKind as E;
    let about_brackets = matches!(
        kind,
        E::UnexpectedEofFlowSequence
            | E::ExpectedFlowSequenceSeparator
            | E::UnexpectedEofFlowMapping
            | E::UnexpectedEofImplicitFlowMapping
            | E::ExpectedFlowMappingSeparator
            | E::UnclosedFlowCollection { .. }
    );
    if !about_brackets {
        return None;
    }
    let mut open: Vec<(char, Span)> = Vec::new();
    let mut quote = None;
    for (number, line) in text.lines().enumerate().take(until.line as usize) {
        let mut before = ' ';
        for (column, c) in line.chars().enumerate() {
            let span = Span { line: narrow(number) + 1, column: narrow(column) + 1, width: 1 };
            if span >= until {
                break;
            }
            match (quote, c) {
                (None, '#') if before.is_whitespace() => break,
                (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
                (Some(sign), _) if sign == c && before != '\\' => quote = None,
                (None, '[' | '{') => open.push((c, span)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            before = c;
        }
    }
    open.pop()
}

/// The reader's errors in an operator's words.
fn explain(kind: &ErrorKind, line: &str) -> (String, Option<String>) {
    use ErrorKind as E;
    let help = |text: &str| Some(text.to_owned());
    match kind {
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabInIndentation
        | E::TabAtBlockScalarStart
        | E::TabInPlainScalar => ("a tab stands where YAML wants spaces".into(), help("indent with spaces")),
        E::UnexpectedEofFlowSequence | E::ExpectedFlowSequenceSeparator => {
            ("this list in brackets is not complete".into(), help("a `,` or the closing `]` is missing"))
        }
        E::UnexpectedEofFlowMapping | E::UnexpectedEofImplicitFlowMapping | E::ExpectedFlowMappingSeparator => {
            ("this mapping in braces is not complete".into(), help("a `,` or the closing `}` is missing"))
        }
        E::UnclosedFlowCollection { open } | E::MismatchedFlowCollectionEnd { open, .. } => {
            let close = if *open == '[' { ']' } else { '}' };
            (format!("`{open}` is not closed"), Some(format!("the closing `{close}` is missing")))
        }
        E::MisplacedFlowCollectionEnd => {
            ("this bracket closes nothing".into(), help("remove it, or add the opening one"))
        }
        E::UnclosedQuotedScalar | E::InvalidQuotedScalarIndent => {
            ("a quoted text is not closed".into(), help("the closing quote is missing"))
        }
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            ("something follows the closing quote".into(), help("put the whole text in one pair of quotes"))
        }
        E::UnknownQuotedScalarEscape => {
            ("`\\` begins no known escape here".into(), help("write `\\\\`, or use single quotes"))
        }
        E::SimpleKeyExpected | E::InvalidSimpleKey => {
            ("a `:` is missing after this key".into(), help("write `key: value`"))
        }
        E::MappingValueNotAllowed | E::InvalidColonPlacement => (
            "a `:` is not possible here".into(),
            help("text with `: ` in it needs quotes; two keys need two lines, or braces and a `,`"),
        ),
        E::InvalidIndentation
        | E::ExpectedBlockMappingKey
        | E::MappingKeyNotAllowed
        | E::InvalidFlowScalarIndent
        | E::ExpectedDocumentStart
        | E::UnexpectedEofBlockMapping => (
            "the indentation does not fit the lines above".into(),
            help("keys of one mapping begin in one column; has a `:` or a `-` been left out?"),
        ),
        E::ExpectedBlockSequenceEntry if !line.trim_start().starts_with('-') => explain(&E::InvalidIndentation, line),
        E::ExpectedBlockSequenceEntry
        | E::BlockSequenceEntryNotAllowed
        | E::UnexpectedEofBlockSequence
        | E::BlockEntryInFlowCollection
        | E::InvalidBlockEntryWhitespace => (
            "a list entry (`- `) is not possible here".into(),
            help("entries of one list begin in one column, below their key"),
        ),
        E::RecursionLimitExceeded => (format!("nested more than {DEEPEST} levels deep"), None),
        E::UnexpectedCharacter { character } => (
            format!("`{}` cannot begin a value", character.escape_default()),
            help("text that begins with it needs quotes"),
        ),
        E::DirectiveDisallowed => ("`%` directives are not allowed".into(), help("remove the line")),
        E::UndeclaredTagHandle => {
            ("tags (`!name`) are not allowed".into(), help("text that begins with `!` needs quotes"))
        }
        E::CommentInterceptedScalar | E::CommentNotSeparated => {
            ("a comment interrupts this text".into(), help("put a space before `#`, or the text in quotes"))
        }
        E::BomInsideDocument => ("an invisible byte-order mark stands here".into(), help("remove it")),
        _ if line.contains('\t') => ("this line is not YAML".into(), help("is the tab meant to be spaces?")),
        _ => ("this line is not YAML".into(), help("check brackets, quotes, `:` and indentation around it")),
    }
}
