//! Slips of an operator's, each told once, at its place, in words that lead on.

use super::tests::{mistakes, reading};

const TRUNK: &str = "trunks: { local: { address: \"192.0.2.1:5060\", allowed: [192.0.2.0/24] } }\n";

#[test]
fn a_listener_that_cannot_be_read_is_one_mistake_and_puts_nobody_out_of_reach() {
    for listener in ["udp://192.0.2.9:5060", "udp:192.0.2.9:99999", "ws:192.0.2.9:5060"] {
        let wrong =
            mistakes(&format!("sip: {{ listeners: [\"{listener}\"] }}\nmedia: {{ address: 192.0.2.9 }}\n{TRUNK}"));
        assert!(wrong.ends_with("1 mistake in the configuration"), "{wrong}");
    }
    let wrong =
        mistakes(&format!("sip: {{ listeners: [\"tcp:192.0.2.9\"] }}\nmedia: {{ address: 192.0.2.9 }}\n{TRUNK}"));
    assert!(wrong.contains("no listener is of that kind"), "where all can be read it is told: {wrong}");
}

#[test]
fn a_file_that_is_no_text_says_where_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tandem.yaml");
    std::fs::write(&path, b"sip:\n  user_agent: M\xfcller\n").expect("a file");
    let wrong = super::load(&path, &super::Environment::default()).expect_err("not UTF-8").to_string();
    assert!(wrong.contains("error: this is not UTF-8 text") && wrong.contains("tandem.yaml:2:16"), "{wrong}");
    assert!(wrong.contains("save the file as UTF-8"), "{wrong}");
}

/// The line that a mistake is in was shown as it is, and so a password beside it stood in the journal.
#[test]
fn a_password_beside_a_mistake_is_not_shown() {
    for auth in [
        "auth: { username: u, pasword: s3same, realm: r }",
        "auth: { username: u, password: \"s3same, {x}\", relm: r }",
        "auth: { relm: r, password: s3same }",
        "auth:\n      username: u\n      passwort: s3same, and more",
        "digest: { username: u, 'password': 's3same', realms: x }",
    ] {
        let wrong = mistakes(&format!("trunks:\n  a:\n    address: 127.0.0.1\n    {auth}\n"));
        assert!(!wrong.contains("s3same") && wrong.contains("******"), "{wrong}");
    }
    let wrong =
        mistakes("trunks:\n  a:\n    address: 127.0.0.1\n    auth: { username: u, password_file: nowhere.txt }\n");
    assert!(wrong.contains("password_file: nowhere.txt"), "a file's name is no secret: {wrong}");
}

#[test]
fn a_list_or_a_word_in_place_of_the_configuration_is_one_mistake() {
    for text in ["- a\n", "hello\n"] {
        let wrong = mistakes(text);
        assert!(wrong.contains("error: the configuration must be a section with keys, not "), "{wrong}");
        assert!(wrong.ends_with("1 mistake in the configuration"), "{wrong}");
    }
}

#[test]
fn a_range_of_ports_that_ends_before_it_begins_is_turned_round() {
    let wrong = mistakes("media: { ports: 29999-20000 }");
    assert!(wrong.contains("ends before it begins") && wrong.contains("like `20000-29999`"), "{wrong}");
}

#[test]
fn a_line_of_the_recording_that_no_route_leads_to_is_a_mistake() {
    let calls = "ai: { bot: { uri: \"sip:bot@192.0.2.20\" } }\nroutes: [{ number: \"*\", line: support, ai: bot }]\n";
    let rest = format!("sip: {{ listeners: [\"udp:192.0.2.9\"] }}\n{TRUNK}{calls}");
    let wrong = mistakes(&format!("{rest}recording: {{ when: answer, lines: [supprt] }}\n"));
    assert!(wrong.contains("there is no line `supprt`") && wrong.contains("did you mean `support`?"), "{wrong}");
    let right = format!("{rest}recording: {{ when: answer, lines: [support] }}\n");
    assert_eq!(reading(&[("tandem.yaml", &right)], &[]).expect("right").recording.lines, ["support"]);
}

/// `sip:` with everything under it commented out took the whole section of the file below away, its listeners included.
#[test]
fn a_section_with_nothing_in_it_takes_nothing_away() {
    let base = "sip: { user_agent: one, unknown_sources: forbid }\n";
    for (files, variables) in [
        (vec![("tandem.yaml", base), ("conf.d/10.yaml", "sip:\n#  user_agent: two\n")], vec![]),
        (vec![("tandem.yaml", base)], vec![("TANDEM__SIP", "")]),
    ] {
        assert_eq!(reading(&files, &variables).expect("right").sip.user_agent, "one");
    }
    let none = reading(&[("tandem.yaml", base)], &[("TANDEM__SIP__LISTENERS", "")]).expect_err("no listener");
    assert!(none.contains("`sip.listeners` names no socket to listen on"), "{none}");
    assert!(none.ends_with("1 mistake in the configuration"), "{none}");
}
