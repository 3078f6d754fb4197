//! Sentence 10: names are unique over all files, `defaults` only in rules.yaml, one bad file refuses all.

mod common;

use common::complaints_of;
use policy::{Environment, RuleSet, SourceFile};

const MAIN: &str = "version: 1\ndestinations:\n  desk: { dial: \"sip:desk@host\" }\nrules:\n  - { id: one, when: { ai_lost: true }, transfer: desk }\n";

fn extra(text: &str) -> SourceFile {
    SourceFile::extra("rules.d/10-more.yaml", format!("version: 1\n{text}"))
}

#[test]
fn rules_of_all_files_are_asked_in_the_order_of_the_files() {
    let second = extra("rules:\n  - { id: two, when: { retries: { above: 9 } }, transfer: desk }\n");
    let third = SourceFile::extra("rules.d/20-last.yaml", "version: 1\nrules:\n  - { id: three, tag: x }\n");
    let loaded =
        RuleSet::load(&[SourceFile::main("rules.yaml", MAIN), second, third], &Environment::default()).unwrap();
    let ids: Vec<&str> = loaded.rules.rule_ids().iter().map(AsRef::as_ref).collect();
    assert_eq!(ids, ["one", "two", "three"]);
}

#[test]
fn names_are_unique_over_all_files() {
    for (what, text) in [
        ("rule `one`", "rules:\n  - { id: one, tag: x }\n"),
        ("destination `desk`", "destinations:\n  desk: { dial: \"sip:other@host\" }\n"),
    ] {
        let said = complaints_of(&[SourceFile::main("rules.yaml", MAIN), extra(text)]);
        assert!(said.contains(&format!("the {what} is given twice")), "{said}");
        assert!(said.contains("rules.d/10-more.yaml:3"), "{said}");
    }
    for section in [
        "hours: { office: { timezone: UTC, open: { mon: closed } } }",
        "lists: { vip: { numbers: [\"+49\"] } }",
        "facts: { x: { type: number } }",
    ] {
        let main = SourceFile::main("rules.yaml", format!("version: 1\n{section}\n"));
        let said = complaints_of(&[main, extra(&format!("{section}\n"))]);
        assert!(said.contains("given twice"), "{section}: {said}");
    }
}

#[test]
fn a_file_may_use_what_another_declares_whichever_comes_first() {
    let user = SourceFile::extra(
        "a.yaml",
        "version: 1\nrules:\n  - { id: it, when: { open: office, fact: x, above: 1 }, transfer: late }\n",
    );
    let owner = SourceFile::extra(
        "b.yaml",
        "version: 1\nfacts: { x: { type: number } }\nhours: { office: { timezone: UTC, open: { mon-sun: [\"00:00-24:00\"] } } }\ndestinations: { late: { dial: \"sip:x@host\" } }\n",
    );
    assert_eq!(complaints_of(&[user, owner]), "");
}

#[test]
fn defaults_stand_only_in_rules_yaml() {
    let said = complaints_of(&[SourceFile::main("rules.yaml", MAIN), extra("defaults: { rules: { cooldown: 5s } }\n")]);
    assert!(said.contains("`defaults` stand only in rules.yaml"), "{said}");
}

#[test]
fn one_bad_file_refuses_all() {
    let said = RuleSet::load(
        &[SourceFile::main("rules.yaml", MAIN), extra("rules: [{ id: two }]\n")],
        &Environment::default(),
    );
    assert!(said.is_err());
}

#[test]
fn files_that_are_too_large_or_too_deep_are_refused() {
    let large = format!("version: 1\n# {}\n", "x".repeat(1 << 20));
    assert!(complaints_of(&[SourceFile::main("rules.yaml", large)]).contains("too many"));
    let deep = format!("version: {}1{}\n", "[".repeat(40), "]".repeat(40));
    assert!(complaints_of(&[SourceFile::main("rules.yaml", deep)]).contains("nested more than 32 levels deep"));
    let laughs = "version: 1\na: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n";
    let said = complaints_of(&[SourceFile::main("rules.yaml", laughs)]);
    assert!(said.contains("anchors (`&name`) are not allowed") && said.contains("references (`*name`)"), "{said}");
}

#[test]
fn more_mistakes_than_anyone_reads_are_cut_off() {
    let many: String = (0..5000).map(|n| format!("k{n}: 1\n")).collect();
    let mistakes = RuleSet::load(&[SourceFile::main("rules.yaml", many)], &Environment::default()).unwrap_err();
    assert!(mistakes.0.len() <= 200);
}
