//! Whatever bytes stand in the files and whatever JSON is posted: an answer, never a panic.

use policy::{Environment, Posted, RuleSet, SourceFile};
use proptest::prelude::*;

const SHIPPED: &str = include_str!("../../../etc/rules.yaml");

fn load(bytes: Vec<u8>) {
    let file = SourceFile::main("rules.yaml", bytes);
    let _ = RuleSet::list_files(std::slice::from_ref(&file));
    match RuleSet::load(std::slice::from_ref(&file), &Environment::default()) {
        Err(mistakes) => {
            assert!(!mistakes.0.is_empty(), "a refusal says why");
            assert!(!mistakes.to_string().is_empty());
        }
        Ok(loaded) => drop(loaded.rules.run_tests()),
    }
}

/// Words that rules are made of, so that chance meets the deeper parts of the reader.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "version: 1\n",
        "rules:\n",
        "  - id: x\n",
        "    when: ",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        ": ",
        "retries",
        "at_least",
        "3",
        "sentiment",
        "below",
        "-0.5",
        "last",
        "within",
        "20s",
        "transfer",
        "to",
        "desk",
        "destinations:\n",
        "  desk: ",
        "dial",
        "\"sip:a@b\"",
        "tel:+1",
        "hours:\n",
        "  office: ",
        "timezone",
        "Europe/Berlin",
        "open",
        "mon-fri",
        "\"08:00-12:00\"",
        "except",
        "tests:\n",
        "  - name: y\n",
        "    steps: ",
        "no_match",
        "wait",
        "expect",
        "none",
        "facts:\n",
        "lead.value",
        "type",
        "number",
        "from",
        "lead",
        "keep",
        "sum",
        "any",
        "all",
        "not",
        "&a ",
        "*a",
        "!!str ",
        "|\n",
        ">\n",
        "---\n",
        "...\n",
        "\t",
        "\n",
        "  ",
        "'",
        "\"",
        "#",
        "%",
        "?",
        "<<",
        "~",
        "null",
        "é",
        "\u{feff}",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        load(bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        load(text.into_bytes());
    }

    #[test]
    fn any_words_of_rules(text in words()) {
        load(text.into_bytes());
    }

    #[test]
    fn the_shipped_file_with_a_piece_cut_out_or_doubled(at in 0..SHIPPED.len(), length in 0..200_usize, double in any::<bool>()) {
        let bytes = SHIPPED.as_bytes();
        let end = (at + length).min(bytes.len());
        let middle: &[u8] = if double { &bytes[at..end] } else { &[] };
        load([&bytes[..at], middle, middle, &bytes[end..]].concat());
    }

    #[test]
    fn any_json(text in "[\\[\\]{}:,\"0-9a-z\\\\ .-]{0,120}", kind in prop::sample::select(policy::TYPES.to_vec())) {
        if let Ok(mut value) = serde_json::from_str::<serde_json::Value>(&text) {
            let _ = Posted::list_from_json(&value);
            let _ = RuleSet::default().transfer_request(&value);
            if let Some(object) = value.as_object_mut() {
                object.insert("type".into(), kind.into());
                let _ = Posted::from_json(&value);
            }
        }
    }
}

#[test]
fn very_deep_and_very_wide_files_are_answered_quickly() {
    load("[".repeat(100_000).into_bytes());
    load("- ".repeat(100_000).into_bytes());
    load("{a: ".repeat(50_000).into_bytes());
    load(b"a:\n".repeat(100_000));
    load(format!("version: 1\nrules:\n{}", "  - { id: x, tag: y }\n".repeat(20_000)).into_bytes());
    load(format!("x: {}", "\u{10ffff}".repeat(200_000)).into_bytes());
}
