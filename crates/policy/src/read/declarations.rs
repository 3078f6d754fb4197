//! `facts` and `lists`.

use super::{Place, Reader, Source, narrow, own_name, twice};
use crate::{
    condition::{Declared, FactKind, Keep},
    diagnostic::did_you_mean,
    number::{NumberList, Pattern, canonical},
    ruleset::{SourceFile, SourceKind},
    text::{Fields, Kind, Node, Problems, Span, short},
};
use core::time::Duration;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// The largest list file.
const LARGEST_LIST: usize = 16 << 20;

impl Reader<'_> {
    pub(super) fn facts(&mut self, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("facts") else { return };
        let Some(mut facts) = Fields::new(section, "fact", problems) else { return };
        while let Some((key, node)) = facts.first_left() {
            let Some(name) = own_name(key, "fact", problems) else { continue };
            let Some(fact) = read_fact(&name, node, problems) else { continue };
            if self.facts.insert(Arc::clone(&name), Arc::new(fact)).is_some() {
                problems.error(key.span, format!("the fact `{name}` is given twice"));
            }
        }
    }

    pub(super) fn lists(
        &mut self,
        source: &Source,
        files: &[SourceFile],
        problems: &mut Problems,
        list_sources: &mut Vec<Source>,
    ) {
        let Some(section) = source.section("lists") else { return };
        let Some(mut lists) = Fields::new(section, "list", problems) else { return };
        let mut places: BTreeMap<Arc<str>, Place> = BTreeMap::new();
        while let Some((key, node)) = lists.first_left() {
            let Some(name) = own_name(key, "list", problems) else { continue };
            if self.lists.iter().any(|(known, _)| *known == name) {
                match places.get(&name) {
                    Some(first) => twice("list", &name, first, key.span, problems),
                    None => problems.error(key.span, format!("the list `{name}` is given twice")),
                }
                continue;
            }
            places.insert(Arc::clone(&name), Place { file: Arc::clone(&source.path), span: key.span });
            let list = read_list(node, files, problems, list_sources).unwrap_or_default();
            self.lists.push((name, list));
        }
    }
}

fn read_fact(name: &Arc<str>, node: &Node, problems: &mut Problems) -> Option<Declared> {
    const KINDS: [(&str, FactKind); 3] =
        [("number", FactKind::Number), ("string", FactKind::Text), ("boolean", FactKind::Boolean)];
    const KEEPS: [(&str, Keep); 5] = [
        ("last", Keep::Last),
        ("count", Keep::Count),
        ("sum", Keep::Sum),
        ("max", Keep::Max),
        ("average", Keep::Average),
    ];
    let before = problems.0.len();
    let mut fields = Fields::new(node, "key", problems)?;
    let kind = fields.need("type", problems).and_then(|it| it.choice(problems, "type", &KINDS));
    let from = match fields.take("from", problems) {
        None => Some("context"),
        Some(node) => {
            node.choice(problems, "source", &[("lead", "lead"), ("context", "context"), ("custom", "custom")])
        }
    };
    let own_key = match fields.take("key", problems) {
        Some(key) => Some(key.text(problems, 128)?.to_owned()),
        None => None,
    };
    let keep_node = fields.take("keep", problems);
    let keep = keep_node.and_then(|it| it.choice(problems, "way to keep", &KEEPS)).unwrap_or_default();
    let day = Duration::from_secs(24 * 3600);
    let within = fields.take("within", problems).and_then(|it| it.duration(problems, Duration::from_secs(1), day));
    let default_node = fields.take("default", problems);
    fields.finish(problems);
    let (kind, from) = (kind?, from?);
    if keep != Keep::Last && kind != FactKind::Number {
        let span = keep_node.map_or(node.span, |it| it.span);
        problems.error_with(span, "only numbers can be counted, summed or compared", "write `type: number`");
    }
    let default = match (default_node, kind) {
        (None, FactKind::Number) => Value::from(0.0),
        (None, _) => Value::Null,
        (Some(it), FactKind::Number) => Value::from(it.number(problems)?),
        (Some(it), FactKind::Text) => Value::from(it.text(problems, 256)?),
        (Some(it), FactKind::Boolean) => Value::from(it.boolean(problems)?),
    };
    let key = own_key.unwrap_or_else(|| {
        let own = name.strip_prefix(from).and_then(|rest| rest.strip_prefix('.'));
        own.unwrap_or(name).to_owned()
    });
    if from == "lead" && !["value", "plan"].contains(&key.as_str()) {
        let help = "name the fact `lead.value` or `lead.plan`, or add `key: value` or `key: plan`";
        problems.error_with(node.span, format!("a lead has `value` and `plan`, not `{}`", short(&key)), help);
    }
    let name = Arc::clone(name);
    (problems.0.len() == before).then(|| Declared {
        name,
        kind,
        keep,
        within,
        source: format!("{from}.{key}"),
        default,
    })
}

fn read_list(
    node: &Node,
    files: &[SourceFile],
    problems: &mut Problems,
    list_sources: &mut Vec<Source>,
) -> Option<NumberList> {
    let mut fields = Fields::new(node, "key", problems)?;
    let numbers = fields.need("numbers", problems);
    fields.finish(problems);
    let numbers = numbers?;
    if let Kind::List(items) = &numbers.kind {
        let mut list = Numbers::default();
        for item in items {
            if let Some(number) = item.text(problems, 64) {
                list.add(number, item.span, problems);
            }
        }
        return Some(list.finish());
    }
    let name = numbers.text(problems, 256)?;
    let lists = || files.iter().filter(|file| file.kind == SourceKind::List);
    let Some(file) = lists().find(|file| *file.path == *name) else {
        let known: Vec<&str> = lists().map(|file| &*file.path).collect();
        let message = format!("there is no list file `{}`", short(name));
        match did_you_mean(name, known.iter().copied()) {
            Some(meant) => problems.error_with(numbers.span, message, format!("did you mean `{meant}`?")),
            None => problems.error_with(numbers.span, message, "put it beside rules.yaml, one number a line"),
        }
        return None;
    };
    let (list, found) = read_list_file(file);
    let already = list_sources.iter().any(|source| source.path == file.path);
    if !already {
        list_sources.push(found);
    }
    Some(list)
}

/// One number or `prefix*` a line; `#` begins a comment.
fn read_list_file(file: &SourceFile) -> (NumberList, Source) {
    let mut problems = Problems::default();
    let mut numbers = Numbers::default();
    let mut text = String::new();
    if file.bytes.len() > LARGEST_LIST {
        problems.error(Span::default(), format!("the list is too large, at most {LARGEST_LIST} bytes are read"));
    } else {
        text = super::decode(&file.bytes, &mut problems);
    }
    for (index, line) in text.lines().enumerate() {
        let number = line.split('#').next().unwrap_or_default().trim();
        if !number.is_empty() {
            let column = line.chars().take_while(|c| c.is_whitespace()).count();
            let (line, column) = (narrow(index) + 1, narrow(column) + 1);
            let span = Span { line, column, width: narrow(number.chars().count()) };
            numbers.add(number, span, &mut problems);
        }
    }
    let source =
        Source { kind: SourceKind::List, path: Arc::clone(&file.path), text, tree: None, problems, lines: None };
    (numbers.finish(), source)
}

#[derive(Default)]
struct Numbers {
    exact: Vec<Box<str>>,
    prefixes: Vec<Box<str>>,
}

impl Numbers {
    fn add(&mut self, number: &str, span: Span, problems: &mut Problems) {
        match Pattern::parse(number) {
            Ok(Pattern(pattern)) if pattern.contains('?') => {
                problems.error(span, "a list holds numbers and prefixes, not `?`");
            }
            Ok(Pattern(pattern)) => match pattern.strip_suffix('*') {
                Some(prefix) => self.prefixes.push(prefix.into()),
                None => self.exact.extend(canonical(&pattern).map(|number| (*number).into())),
            },
            Err(_) => {
                let help = "one number such as +493055512345, or a prefix such as +4930*, a line";
                problems.error_with(span, format!("`{}` is not a number", short(number)), help);
            }
        }
    }

    fn finish(self) -> NumberList {
        NumberList::new(self.exact, self.prefixes)
    }
}
