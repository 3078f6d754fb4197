//! JSON as it may come in: bounded in depth, without control characters and doubled keys, and with the place of every
//! mistake.

use crate::document::{invalid, malformed};
use calls::Problem;
use core::{cell::RefCell, fmt};
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// Fields that hold prose: line breaks and tabs are part of it. They never reach a header unescaped.
const PROSE: &[&str] = &["text", "summary", "note", "reason"];

/// Reads one JSON text. Every refusal is a 400 with line and column.
pub(crate) fn parse(bytes: &[u8], depth: usize) -> Result<Value, Problem> {
    let refused = RefCell::new(None);
    let seed = Guarded { depth, path: Path::Root, refused: &refused };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match refused.take() {
            Some(Refused { field, why }) => {
                let problem = malformed(format!("{place}: {why}"));
                if field.is_empty() { problem } else { problem.field(field) }
            }
            None => {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or_default();
                malformed(format!("{place}: {what}"))
            }
        }
    })
}

/// Reads a value as what a request wants. Every refusal is a 422 that names the field and, where it can, what was meant.
pub(crate) fn typed<T: DeserializeOwned>(value: Value, what: &str) -> Result<T, Problem> {
    if !value.is_object() {
        return Err(invalid("", format!("expected {what}: an object")));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let message = error.inner().to_string();
        let mut names = message.split('`').skip(1).step_by(2);
        let first = names.next().unwrap_or_default();
        if message.starts_with("missing field") {
            let field = if path.is_empty() { first.to_owned() } else { format!("{path}.{first}") };
            return invalid(field, "is missing");
        }
        if message.starts_with("unknown field") || message.starts_with("unknown variant") {
            let known: Vec<&str> = names.collect();
            let kind = if message.starts_with("unknown field") { "field" } else { "value" };
            let field = match path {
                path if path.is_empty() => first.to_owned(),
                path => path,
            };
            let help = match policy::did_you_mean(first, known.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("expected {}", known.join(", ")),
            };
            return invalid(field, format!("unknown {kind} `{first}`, {help}"));
        }
        if message.starts_with("data did not match any variant") {
            return invalid(path.clone(), format!("expected {}", shape(&path)));
        }
        invalid(path, in_words(&message))
    })
}

/// Serde's words for types in those of JSON, and none of Rust's.
fn in_words(message: &str) -> String {
    let Some(rest) = message.strip_prefix("invalid type: ") else { return message.to_owned() };
    let (found, expected) = rest.split_once(", expected ").unwrap_or((rest, "another type"));
    let found = match found {
        "map" => "an object",
        "sequence" => "a list",
        found => found,
    };
    let expected = match expected {
        "a map" | "map" => "an object",
        "a sequence" => "a list",
        "string or map" => "text or an object",
        expected if expected.starts_with("struct ") => "an object",
        expected if expected.starts_with("enum ") => "text",
        expected => expected,
    };
    format!("found {found}, expected {expected}")
}

/// What the fields that come in several shapes may look like.
fn shape(path: &str) -> &'static str {
    match path {
        "accept" => "\"none\" or an object such as {\"press\": \"1\", \"within\": \"10s\"}",
        "context" => "a list of keys, or an object of keys and values",
        "whisper" => {
            "\"none\", {\"prompt\": \"incoming-handoff\"}, {\"context\": [\"intent\"]}, {\"clip\": \"5s\"} or {\"ai\": \"brief\"}"
        }
        "on_failure" => "a list of destinations, or an object of such lists by cause",
        _ => "another shape; see /openapi.json",
    }
}

struct Refused {
    field: String,
    why: String,
}

/// Where a value lies, from the outside in.
#[derive(Copy, Clone)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(&shown(key)),
            Self::Key(parent, key) => write!(f, "{parent}.{}", shown(key)),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A key without what a terminal would act on.
fn shown(key: &str) -> String {
    key.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Reads one value under the bounds.
#[derive(Copy, Clone)]
struct Guarded<'a> {
    depth: usize,
    path: Path<'a>,
    refused: &'a RefCell<Option<Refused>>,
}

impl Guarded<'_> {
    fn refuse<E: serde::de::Error>(&self, why: impl Into<String>) -> E {
        self.refused.replace(Some(Refused { field: self.path.to_string(), why: why.into() }));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(&self) -> Result<usize, E> {
        self.depth.checked_sub(1).ok_or_else(|| {
            self.refused.replace(Some(Refused { field: String::new(), why: "nested too deeply".to_owned() }));
            E::custom("refused")
        })
    }

    fn check<E: serde::de::Error>(&self, text: &str, prose: bool) -> Result<(), E> {
        match text.chars().find(|c| c.is_control() && !(prose && matches!(c, '\n' | '\t'))) {
            None => Ok(()),
            Some(c) => Err(self.refuse(format!("the control character U+{:04X} is not allowed", u32::from(c)))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Guarded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Guarded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        let prose = matches!(self.path, Path::Key(_, key) if PROSE.contains(&key));
        self.check(text, prose)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Guarded {
            depth,
            path: Path::Index(&self.path, list.len()),
            refused: self.refused,
        })? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let inside = Guarded { depth, path: Path::Key(&self.path, &key), refused: self.refused };
            inside.check(&key, false)?;
            if map.contains_key(&key) {
                return Err(inside.refuse("the key is there twice"));
            }
            let value = entries.next_value_seed(inside)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    fn refusal(text: &str) -> (String, Option<String>) {
        let problem = parse(text.as_bytes(), 32).expect_err(text);
        assert_eq!(problem.status, 400);
        (problem.detail.expect("a detail"), problem.field)
    }

    #[test]
    fn a_mistake_has_its_line_and_column() {
        let (detail, field) = refusal("{\n  \"type\": no_match\n}");
        assert!(detail.starts_with("line 2, column 12: expected ident"), "{detail}");
        assert_eq!(field, None);
        assert!(refusal("").0.contains("line 1, column 0: EOF"), "{}", refusal("").0);
        assert!(refusal("{} {}").0.contains("trailing characters"), "{}", refusal("{} {}").0);
        assert!(refusal("{\"a\": 1e999}").0.contains("number out of range"));
        assert!(refusal("{\"a\": NaN}").0.contains("line 1, column 7"), "{}", refusal("{\"a\": NaN}").0);
    }

    #[test]
    fn invalid_utf_8_is_malformed() {
        let problem = parse(b"{\"a\": \"\xff\"}", 32).expect_err("not UTF-8");
        assert_eq!(problem.status, 400);
    }

    #[test]
    fn depth_is_bounded_exactly() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(32).as_bytes(), 32).is_ok());
        assert!(refusal(&nested(33)).0.contains("nested too deeply"));
        assert!(refusal(&"{\"a\":".repeat(100_000)).0.contains("nested too deeply"));
    }

    #[test]
    fn control_characters_are_refused_by_field_and_prose_may_have_lines() {
        let (detail, field) = refusal(r#"{"events": [{"name": "a\r\nX-Evil: 1"}]}"#);
        assert!(detail.contains("U+000D"), "{detail}");
        assert_eq!(field.as_deref(), Some("events[0].name"));
        for escape in ["\\u0000", "\\n", "\\t", "\\u001b[31m", "\\u007f", "\\u0085"] {
            refusal(&format!(r#"{{"to": "{escape}"}}"#));
        }
        assert_eq!(refusal(r#"{"a\u0000b": 1}"#).1.as_deref(), Some("a\u{fffd}b"));
        assert!(parse(br#"{"text": "two\nlines"}"#, 32).is_ok());
        assert!(parse(br#"{"text": "two\r\nlines"}"#, 32).is_err());
    }

    #[test]
    fn a_doubled_key_is_refused() {
        let (detail, field) = refusal(r#"{"to": "a", "to": "b"}"#);
        assert!(detail.contains("twice"), "{detail}");
        assert_eq!(field.as_deref(), Some("to"));
    }

    /// Any JSON value without control characters, a few levels deep.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i32>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,8}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_allowed_is_read_as_it_was_written(value in any_value()) {
            let bytes = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(parse(&bytes, 32), Ok(value));
        }

        #[test]
        fn no_bytes_make_it_panic_and_every_refusal_is_a_400(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Err(problem) = parse(&bytes, 32) {
                prop_assert_eq!(problem.status, 400);
            }
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its absence matters")]
        to: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters")]
        attempt: u32,
    }

    #[test]
    fn a_wrong_field_is_named_with_what_was_meant() {
        let refusal = |text: &str| {
            let value = parse(text.as_bytes(), 32).expect(text);
            let problem = typed::<Sample>(value, "a sample").expect_err(text);
            assert_eq!(problem.status, 422);
            (problem.field, problem.detail.expect("a detail"))
        };
        assert_eq!(refusal("{}"), (Some("to".to_owned()), "is missing".to_owned()));
        let (field, detail) = refusal(r#"{"to": "a", "atempt": 1}"#);
        assert_eq!(field.as_deref(), Some("atempt"));
        assert!(detail.contains("did you mean `attempt`?"), "{detail}");
        let (field, detail) = refusal(r#"{"to": 5}"#);
        assert_eq!(field.as_deref(), Some("to"));
        assert_eq!(detail, "found integer `5`, expected a string");
        assert_eq!(refusal("[1]").0, None);
    }
}
