//! Sentence 1: numbers of people, DTMF and times are strings; only `true` and `false` are booleans; durations carry
//! their unit; nothing is guessed between types.

mod common;

use common::{Call, complaints, rules, whole};
use core::time::Duration;
use policy::{Accept, Place};

#[test]
fn what_looks_like_a_number_or_a_boolean_stays_text_where_text_belongs() {
    let rules = rules(
        "rules:\n  - id: it\n    set: { a: text }\n    when: { intent: [NO, +15550199, 08, 1e3, yes, null] }\n    transfer: { to: desk, accept: { press: 1 } }\n",
    );
    for intent in ["NO", "+15550199", "08", "1e3", "yes", "null"] {
        let mut call = Call::new(rules.clone());
        let event = format!("{{\"type\":\"intent\",\"name\":\"{intent}\"}}");
        assert_eq!(call.event(&event).as_deref(), Some("it"), "{intent}");
        assert_eq!(call.spec().accept, Some(Accept { press: '1', within: Duration::from_secs(10) }));
    }
}

#[test]
fn an_address_is_kept_exactly_as_written() {
    let text = "version: 1\ndestinations:\n  a: { dial: [tel:+15550199;ext=1, \"SIPS:Anna@PBX.example.net;transport=tls\"], trunk: t }\n";
    let rules = whole(text);
    let Place::Dial(dial) = &rules.destination("a").unwrap().place else { panic!() };
    let targets: Vec<&str> = dial.targets.iter().map(AsRef::as_ref).collect();
    assert_eq!(targets, ["tel:+15550199;ext=1", "SIPS:Anna@PBX.example.net;transport=tls"]);
}

#[test]
fn only_true_and_false_are_booleans() {
    for (written, fine) in [
        ("true", true),
        ("false", true),
        ("True", false),
        ("yes", false),
        ("on", false),
        ("1", false),
        ("\"true\"", false),
    ] {
        let said = complaints(&format!("version: 1\ndefaults: {{ transfer: {{ predial: {written} }} }}\n"));
        assert_eq!(said.is_empty(), fine, "{written}: {said}");
    }
}

#[test]
fn durations_have_one_of_four_units() {
    for (written, fine) in [
        ("20s", true),
        ("1m", true),
        ("\"20s\"", true),
        ("1500ms", true),
        ("20", false),
        ("20 s", false),
        ("0:20", false),
        ("PT20S", false),
        ("1.5s", false),
        ("-5s", false),
    ] {
        let said = complaints(&format!("version: 1\ndefaults: {{ transfer: {{ ring_timeout: {written} }} }}\n"));
        assert_eq!(said.is_empty(), fine, "{written}: {said}");
    }
}

#[test]
fn numbers_are_written_plainly() {
    for (written, fine) in [
        ("0.5", true),
        ("-0.5", true),
        ("1e-1", true),
        (".5", false),
        ("0x1", false),
        (".inf", false),
        ("1_0", false),
        ("+1", false),
    ] {
        let text =
            format!("version: 1\nrules:\n  - id: it\n    when: {{ sentiment: {{ below: {written} }} }}\n    tag: it\n");
        assert_eq!(complaints(&text).is_empty(), fine, "{written}: {}", complaints(&text));
    }
}

#[test]
fn no_key_is_a_boolean_of_another_reader() {
    for key in ["on", "yes", "no", "off", "Y", "NO", "true"] {
        let said = complaints(&format!("version: 1\nrules:\n  - id: it\n    set: {{ {key}: x }}\n"));
        assert!(said.contains("cannot be a key"), "{key}: {said}");
        assert!(complaints(&format!("version: 1\nrules:\n  - id: it\n    set: {{ \"{key}\": x }}\n")).is_empty());
    }
}
