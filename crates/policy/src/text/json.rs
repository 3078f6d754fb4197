//! JSON as a tree, and a tree as JSON.

use super::node::{Key, Kind, Node, Span, Style, number};
use serde_json::{Map, Value};

/// The tree of `value`, and the path of every node by its number.
pub(crate) fn from_json(value: &Value) -> (Node, Vec<String>) {
    let mut paths = Vec::new();
    let node = convert(value, "", &mut paths);
    (node, paths)
}

fn convert(value: &Value, path: &str, paths: &mut Vec<String>) -> Node {
    let span = Span { line: 0, column: u32::try_from(paths.len()).unwrap_or(u32::MAX), width: 0 };
    paths.push(path.to_owned());
    let child = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let kind = match value {
        Value::Null => Kind::Empty,
        Value::Bool(it) => Kind::Scalar(it.to_string(), Style::Literal),
        Value::Number(it) => Kind::Scalar(it.to_string(), Style::Literal),
        Value::String(it) => Kind::Scalar(it.clone(), Style::Quoted),
        Value::Array(items) => Kind::List(
            items.iter().enumerate().map(|(index, item)| convert(item, &format!("{path}[{index}]"), paths)).collect(),
        ),
        Value::Object(entries) => Kind::Map(
            entries
                .iter()
                .map(|(name, item)| {
                    let node = convert(item, &child(name), paths);
                    (Key { text: name.clone(), span: node.span }, node)
                })
                .collect(),
        ),
    };
    Node { kind, span }
}

/// Free data: plain scalars are read the JSON way (`true`, `false`, numbers), everything else is text.
pub(crate) fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Empty => Value::Null,
        Kind::Scalar(text, Style::Quoted) => Value::String(text.clone()),
        Kind::Scalar(text, Style::Plain | Style::Literal) => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => serde_json::from_str::<serde_json::Number>(text)
                .ok()
                .filter(|_| number(text).is_some())
                .map_or_else(|| Value::String(text.clone()), Value::Number),
        },
        Kind::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Kind::Map(entries) => {
            let entries = entries.iter().map(|(key, item)| (key.text.clone(), to_json(item)));
            Value::Object(entries.collect::<Map<String, Value>>())
        }
    }
}
