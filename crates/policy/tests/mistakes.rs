//! What an operator reads after a mistake: the file, the line, the line itself, and what would be right.
//!
//! One snapshot holds them all, so that their words can be read and weighed together.

mod common;

use common::{complaints, complaints_of};
use policy::{Environment, RuleSet, SourceFile};
use std::fmt::Write as _;

/// Files with one mistake each. `…` at the beginning stands for `version: 1` and a destination `desk`.
const MISTAKES: &[(&str, &str)] = &[
    ("a misspelt condition", "…\nrules:\n  - id: angry\n    when: { sentimnt: { below: -0.5 } }\n    transfer: desk\n"),
    ("a misspelt operator", "…\nrules:\n  - id: misses\n    when: { retries: { atleast: 3 } }\n    transfer: desk\n"),
    (
        "a misspelt destination",
        "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 3 } }\n    transfer: dask\n",
    ),
    ("a misspelt section", "…\nruels:\n  - id: misses\n"),
    (
        "a misspelt key of a rule",
        "…\nrules:\n  - id: misses\n    whne: { retries: { at_least: 3 } }\n    transfer: desk\n",
    ),
    ("a number without comparison", "…\nrules:\n  - id: misses\n    when: { retries: 3 }\n    transfer: desk\n"),
    ("a sentiment without comparison", "…\nrules:\n  - id: angry\n    when: { sentiment: -0.5 }\n    transfer: desk\n"),
    (
        "a sentiment out of scale",
        "…\nrules:\n  - id: angry\n    when: { sentiment: { below: -5 } }\n    transfer: desk\n",
    ),
    (
        "a number in quotes",
        "…\nrules:\n  - id: misses\n    when: { retries: { at_least: \"3\" } }\n    transfer: desk\n",
    ),
    ("half a retry", "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 2.5 } }\n    transfer: desk\n"),
    ("a duration without unit", "…\ndefaults:\n  transfer:\n    ring_timeout: 20\n"),
    ("a duration with a foreign unit", "…\ndefaults:\n  transfer:\n    ring_timeout: 20sec\n"),
    ("a duration out of range", "…\ndefaults:\n  transfer:\n    ring_timeout: 2h\n"),
    (
        "yes for true",
        "…\nrules:\n  - id: misses\n    once: yes\n    when: { retries: { at_least: 3 } }\n    transfer: desk\n",
    ),
    ("a boolean in quotes", "…\ndefaults:\n  transfer:\n    predial: \"true\"\n"),
    ("on as a key", "…\nrules:\n  - id: vip\n    set: { on: support }\n"),
    ("a rule without id", "…\nrules:\n  - when: { retries: { at_least: 3 } }\n    transfer: desk\n"),
    ("a rule that does nothing", "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 3 } }\n"),
    (
        "two decisions in a rule",
        "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 3 } }\n    transfer: desk\n    end: true\n",
    ),
    (
        "two rules of one id",
        "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 3 } }\n    transfer: desk\n  - id: misses\n    when: { ai_lost: true }\n    transfer: desk\n",
    ),
    (
        "a key given twice",
        "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 3 } }\n    when: { ai_lost: true }\n    transfer: desk\n",
    ),
    (
        "an address in a rule",
        "…\nrules:\n  - id: misses\n    when: { retries: { at_least: 3 } }\n    transfer: \"sip:anna@host\"\n",
    ),
    ("an address without scheme", "version: 1\ndestinations:\n  anna: { dial: anna@pbx.example.net }\n"),
    ("a number without scheme", "version: 1\ndestinations:\n  anna: { dial: +4930123456 }\n"),
    ("a tel number without trunk", "version: 1\ndestinations:\n  anna: { dial: \"tel:+4930123456\" }\n"),
    ("a path in an address", "version: 1\ndestinations:\n  anna: { dial: \"sip:$caller@host\" }\n"),
    ("a destination without address", "version: 1\ndestinations:\n  anna: { ring: ordered }\n"),
    ("a reserved name", "version: 1\ndestinations:\n  ai: { dial: \"sip:x@host\" }\n"),
    (
        "an undeclared fact",
        "…\nfacts:\n  lead.value: { type: number, from: lead }\nrules:\n  - id: big\n    when: { fact: lead.valeu, at_least: 10 }\n    transfer: desk\n",
    ),
    (
        "a fact without comparison",
        "…\nfacts:\n  lead.value: { type: number, from: lead }\nrules:\n  - id: big\n    when: { fact: lead.value }\n    transfer: desk\n",
    ),
    ("an unknown path", "…\nrules:\n  - id: it\n    set: { who: $calller }\n"),
    (
        "an unknown time zone",
        "version: 1\nhours:\n  office: { timezone: Berlin, open: { mon-fri: [\"08:00-12:00\"] } }\n",
    ),
    (
        "times that are none",
        "version: 1\nhours:\n  office: { timezone: Europe/Berlin, open: { mon-fri: [\"8-12\"] } }\n",
    ),
    (
        "a day that is none",
        "version: 1\nhours:\n  office: { timezone: Europe/Berlin, open: { weekdays: [\"08:00-12:00\"] } }\n",
    ),
    (
        "a date that is none",
        "version: 1\nhours:\n  office: { timezone: Europe/Berlin, open: { mon: [\"08:00-12:00\"] }, except: { 24.12.: closed } }\n",
    ),
    (
        "unknown hours",
        "…\nrules:\n  - id: night\n    while: start\n    when: { not: { open: offcie } }\n    transfer: desk\n",
    ),
    ("a phase that is none", "…\nrules:\n  - id: night\n    while: ringing\n    transfer: desk\n"),
    (
        "a key that no telephone has",
        "…\nrules:\n  - id: zero\n    when: { dtmf: \"x\" }\n    transfer: { to: desk, accept: { press: \"12\" } }\n",
    ),
    ("an event that is none", "…\nrules:\n  - id: it\n    when: { event: transfer_request }\n    transfer: desk\n"),
    ("a misspelt cause", "…\ndefaults:\n  transfer:\n    on_failure: { noanswer: [desk] }\n"),
    (
        "a transfer in a transfer",
        "…\nrules:\n  - id: it\n    while: waiting\n    when: { dtmf: \"1\" }\n    transfer: desk\n",
    ),
    ("a condition of nothing", "…\nrules:\n  - id: it\n    when: {}\n    transfer: desk\n"),
    ("any of nothing", "…\nrules:\n  - id: it\n    when: { any: [] }\n    transfer: desk\n"),
    ("a condition that is a word", "…\nrules:\n  - id: it\n    when: always\n    transfer: desk\n"),
    ("a pattern where a number belongs", "…\nrules:\n  - id: it\n    when: { caller: +4930* }\n    tag: berlin\n"),
    ("a value left out", "…\nrules:\n  - id: it\n    when: { ai_lost: true }\n    transfer:\n"),
    ("no version", "rules: []\n"),
    ("another version", "version: 2\n"),
    ("a test of an unknown event", "…\ntests:\n  - name: it\n    steps: [no_mach]\n    expect: none\n"),
    ("a test of an unknown rule", "…\ntests:\n  - name: it\n    steps: [no_match]\n    expect: { rule: misses }\n"),
    (
        "a test with a field that is none",
        "…\ntests:\n  - name: it\n    steps: [{ intent: balance, confidnce: 0.9 }]\n    expect: none\n",
    ),
    ("a queue without skills", "version: 1\ndestinations:\n  fraud: { queue: { pick: nicest } }\n"),
    ("a mailbox that rings", "version: 1\ndestinations:\n  message: { voicemail: default, ring: ordered }\n"),
    (
        "a transfer and a message",
        "…\nrules:\n  - id: it\n    when: { ai_lost: true }\n    transfer: desk\n    voicemail: default\n",
    ),
    (
        "a message in a transfer",
        "…\nrules:\n  - id: it\n    while: waiting\n    when: { dtmf: \"1\" }\n    voicemail: default\n",
    ),
    (
        "a callback that rings",
        "version: 1\ndestinations:\n  later: { callback: { list: sales, tell: them }, ring: ordered }\n",
    ),
    ("two decisions", "…\nrules:\n  - id: it\n    when: { ai_lost: true }\n    callback: true\n    end: true\n"),
    ("not built: expr", "…\nrules:\n  - id: odd\n    when: { expr: 'retries > 1' }\n    transfer: desk\n"),
    ("not built: percent", "…\nrules:\n  - id: odd\n    when: { percent: 10 }\n    transfer: desk\n"),
    (
        "not built: shadow",
        "…\nrules:\n  - id: odd\n    shadow: true\n    when: { ai_lost: true }\n    transfer: desk\n",
    ),
    (
        "a pause without an end",
        "…\nrules:\n  - id: card\n    when: { intent: pay_by_card }\n    recording: { pause: 3h }\n",
    ),
    ("a recording that rewinds", "…\nrules:\n  - id: card\n    when: { intent: pay_by_card }\n    recording: resum\n"),
    ("a whisper by the AI and by a prompt", "…\ndefaults:\n  transfer:\n    whisper: { ai: brief, prompt: hello }\n"),
    ("a whisper of nothing", "…\ndefaults:\n  transfer:\n    whisper: { context: [] }\n"),
    ("a whisper of all that the caller said", "…\ndefaults:\n  transfer:\n    whisper: { clip: 30m }\n"),
    ("a whisper by the caller and by the AI", "…\ndefaults:\n  transfer:\n    whisper: { clip: 5s, ai: brief }\n"),
    (
        "too high a priority",
        "…\nrules:\n  - id: it\n    when: { ai_lost: true }\n    transfer: { to: desk, priority: 1001 }\n",
    ),
    ("an answer by nobody known", "…\nrules:\n  - id: odd\n    when: { answered_by: robot }\n    transfer: desk\n"),
    ("a detection of nobody known", "…\ndefaults:\n  transfer:\n    detect: machines\n"),
    (
        "an agent of a test in no known state",
        "…\ntests:\n  - name: it\n    agents: { anna: { state: bussy } }\n    expect: none\n",
    ),
    (
        "not YAML: a bracket left open",
        "…\nrules:\n  - id: it\n    when: { retries: { at_least: 3 }\n    transfer: desk\n",
    ),
    ("not YAML: a quote left open", "…\nrules:\n  - id: \"it\n    transfer: desk\n"),
    ("not YAML: a tab", "…\nrules:\n\t- id: it\n"),
    ("not YAML: a colon left out", "…\nrules:\n  - id: it\n    when\n    transfer: desk\n"),
    ("not YAML: indentation", "…\nrules:\n  - id: it\n   transfer: desk\n"),
    ("not YAML: two colons in a line", "…\nrules:\n  - id: it\n    transfer: to: desk\n"),
    (
        "an anchor and a reference",
        "…\nrules:\n  - id: it\n    when: &loud { sentiment: { below: -0.5 } }\n    transfer: desk\n  - id: that\n    when: *loud\n    tag: loud\n",
    ),
    ("a tag of YAML", "…\nrules:\n  - id: !!str it\n    when: { ai_lost: true }\n    transfer: desk\n"),
    ("a second document", "version: 1\n---\nversion: 1\n"),
    ("an empty file", ""),
    ("only comments", "# nothing yet\n"),
    ("a list instead of a mapping", "- version: 1\n"),
];

/// Files that work, but probably not as meant.
const WARNINGS: &[(&str, &str)] = &[
    ("a destination nobody leads to", "…\n"),
    (
        "comparisons that exclude each other",
        "…\nrules:\n  - id: it\n    when: { retries: { above: 5, below: 3 } }\n    transfer: desk\n",
    ),
    (
        "a rule too early",
        "…\nrules:\n  - id: it\n    while: start\n    when: { retries: { at_least: 3 } }\n    transfer: desk\n",
    ),
    (
        "a rule that another decides first",
        "…\nrules:\n  - id: one\n    when: { ai_lost: true }\n    transfer: desk\n  - id: two\n    when: { ai_lost: true }\n    transfer: desk\n",
    ),
    (
        "a rule for a line the file is not for",
        "…\napplies_to: { lines: [support] }\nrules:\n  - id: it\n    when: { line: sales }\n    transfer: desk\n",
    ),
    ("a step after the AI", "…\ndefaults:\n  transfer:\n    on_failure: [ai, desk]\n"),
    ("a step given twice", "…\ndefaults:\n  transfer:\n    on_failure: [desk, desk]\n"),
    (
        "a chain that leads back to itself",
        "version: 1\ndestinations:\n  desk: { dial: \"sip:desk@host\", on_failure: [desk] }\n",
    ),
    (
        "a chain that strands a caller",
        "version: 1\ndestinations:\n  desk: { dial: \"sip:desk@host\", on_failure: [end] }\nrules:\n  - id: it\n    when: { ai_lost: true }\n    transfer: desk\n",
    ),
    (
        "trust in the caller's number",
        "…\nrules:\n  - id: it\n    while: start\n    when: { caller: { matches: \"+49*\" } }\n    transfer: desk\n",
    ),
];

fn file(text: &str) -> String {
    text.replacen("…", "version: 1\ndestinations:\n  desk: { dial: \"sip:desk@host\" }", 1)
}

fn album(cases: &[(&str, &str)]) -> String {
    let mut album = String::new();
    for (title, text) in cases {
        let said = complaints(&file(text));
        let _ = writeln!(album, "## {title}\n{said}\n");
    }
    album
}

#[test]
fn mistakes_are_told_in_the_operators_words() {
    insta::assert_snapshot!("mistakes", album(MISTAKES));
}

#[test]
fn warnings_are_told_in_the_operators_words() {
    insta::assert_snapshot!("warnings", album(WARNINGS));
}

#[test]
fn every_mistake_refuses_and_every_warning_does_not() {
    for (title, text) in MISTAKES {
        let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", file(text))], &Environment::default());
        assert!(loaded.is_err(), "{title}");
    }
    for (title, text) in WARNINGS {
        let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", file(text))], &Environment::default());
        assert!(loaded.is_ok_and(|it| !it.warnings.is_empty()), "{title}");
    }
}

#[test]
fn all_mistakes_come_in_one_run_in_the_order_of_their_lines() {
    let text = file(
        "…\nrules:\n  - id: one\n    when: { retires: { at_least: 3 } }\n    transfer: dask\n  - id: two\n    once: yes\n    when: { sentiment: { below: -9 } }\n    transfer: desk\ntests:\n  - name: it\n    steps: [no_mach]\n    expect: nothing\n",
    );
    let mistakes = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &Environment::default()).unwrap_err().0;
    let lines: Vec<u32> = mistakes.iter().map(|it| it.line).collect();
    assert_eq!(lines, [6, 7, 9, 10, 14, 15], "{mistakes:#?}");
}

#[test]
fn the_librarys_words_never_show() {
    let told = album(MISTAKES).to_lowercase();
    for word in
        ["scalar", "flow", "block", "mapping entry", "serde", "invalid type", "expected struct", "simple key", "eof"]
    {
        assert!(!told.contains(word), "{word}");
    }
}

#[test]
fn lists_are_checked_line_by_line_and_missing_ones_reported() {
    let main = "version: 1\nlists:\n  vip: { numbers: vip.txt }\n  old: { numbers: vipp.txt }\n";
    let list = "+493012345678 # Anna\n\n+4930*\nBen\n030/12345\n";
    let said = complaints_of(&[SourceFile::main("etc/rules.yaml", main), SourceFile::list("vip.txt", list)]);
    insta::assert_snapshot!("lists", said);
    let asked = RuleSet::list_files(&[SourceFile::main("etc/rules.yaml", main)]);
    assert_eq!(asked, ["vip.txt", "vipp.txt"]);
}

#[test]
fn what_is_not_utf8_is_located() {
    let said = complaints_of(&[SourceFile::main("rules.yaml", b"version: 1\nlists: { \xff }\n".to_vec())]);
    assert!(said.contains("rules.yaml:2:10") && said.contains("not UTF-8"), "{said}");
}

#[test]
fn names_of_the_configuration_are_checked_where_it_is_known() {
    let known = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let environment = Environment {
        lines: known(&["support"]),
        trunks: known(&["carrier-a"]),
        profiles: known(&["default"]),
        agents: known(&["anna", "ben"]),
        mailboxes: known(&["default", "sales"]),
        prompts: known(&["please-hold", "music/default"]),
        callbacks: None,
    };
    let text = "version: 1\napplies_to: { lines: [suport] }\ndestinations:\n  a: { dial: \"tel:+49301\", trunk: carrier-b }\n  b: { ai: defualt }\n";
    let said = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &environment).unwrap_err().to_string();
    insta::assert_snapshot!("configuration", said);
    let text = "version: 1\ndestinations:\n  a: { agent: [anna, bne], trunk: carrier-a }\n  b: { agent: [] }\n";
    let said = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &environment).unwrap_err().to_string();
    assert!(
        said.contains("unknown agent `bne`")
            && said.contains("leave `trunk` away")
            && said.contains("the list of addresses is empty"),
        "{said}"
    );
    let text = "version: 1\ndestinations:\n  a: { voicemail: sale, on_failure: [\"voicemail:x\"] }\nrules: [{ id: it, voicemail: defualt }]\n";
    let said = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &environment).unwrap_err().to_string();
    for mistake in ["did you mean `sales`?", "unknown mailbox `x`", "did you mean `default`?"] {
        assert!(said.contains(mistake), "{said}");
    }
    let text = "version: 1\nrules: [{ id: it, while: start, announce: plase-hold }]\n";
    let warned = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &environment).unwrap().warnings;
    assert!(warned[0].to_string().contains("there is no prompt or music `plase-hold`"));
    assert!(warned[0].to_string().contains("did you mean `please-hold`?"));
}
