//! Where one file names what another holds, the mistake is shown where it was made.

use super::*;
use crate::config::{self, Environment};

const TANDEM: &str = "trunks: { local: { allowed: [127.0.0.0/8], address: 127.0.0.1 } }
ai: { bot: { uri: \"sip:bot@127.0.0.1:5090\" } }
routes: [{ number: \"*\", line: support, ai: bot }]
";
const RULES: &str = "version: 1\ndestinations:\n  frontdesk: { dial: \"sip:1@127.0.0.1:5091\" }\nrules:\n  - { id: one, transfer: frontdesk }\n";

/// The files in a folder of their own, with two prompts and one music; what is found, as it is shown.
fn found(tandem: &str, rules: &str, more: &[(&str, &str)]) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let real = fs::canonicalize(folder.path()).expect("a folder");
    let audio = [("prompts/hello.wav", ""), ("prompts/said/yes.wav", ""), ("music/default.wav", "")];
    for (name, text) in [("tandem.yaml", tandem), ("rules.yaml", rules)].iter().chain(&audio).chain(more) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let place = |text: String| {
        text.replace(&folder.path().display().to_string(), "ETC").replace(&real.display().to_string(), "ETC")
    };
    let read = config::load(&folder.path().join("tandem.yaml"), &Environment::default());
    let read = read.map_err(|problems| place(problems.to_string()))?;
    let mut shown: Vec<String> = read.warnings.iter().map(|warning| warning.block.clone()).collect();
    let loaded = load(&read).map_err(|wrong| place(wrong.to_string()))?;
    shown.extend(loaded.warnings.iter().map(ToString::to_string));
    Ok(place(shown.join("\n")))
}

#[test]
fn a_destination_that_the_configuration_names_in_vain_is_shown_where_it_is_named() {
    let tandem = TANDEM.replace("5090\" }", "5090\", on_ai_failure: [frontdsk] }");
    let wrong = found(&tandem, RULES, &[]).unwrap_err();
    assert!(
        wrong.starts_with(
            "error: `ai.bot.on_ai_failure`: the rules have no destination `frontdsk`\n --> ETC/tandem.yaml:2:61\n"
        ),
        "{wrong}"
    );
    assert!(wrong.contains("^^^^^^^^ did you mean `frontdesk`?"), "{wrong}");

    let more = "outbound: { from: \"+4930\" }\ncampaigns: { calls: { hours: daytime } }\nfeature_codes: { human: { \"*2\": \"transfer:back\" } }\n";
    let wrong = found(&format!("{TANDEM}{more}"), RULES, &[]).unwrap_err();
    for place in [
        "`feature_codes.human.*2`: the rules have no destination `back`\n --> ETC/tandem.yaml:6:33",
        "`campaigns.calls.hours`: the rules have no opening hours `daytime`\n --> ETC/tandem.yaml:5:30",
    ] {
        assert!(wrong.contains(place), "{wrong}");
    }
}

#[test]
fn audio_that_is_named_in_vain_is_shown_where_it_is_named_with_what_is_there() {
    let more = "media: { hold_music: music/defalt }\nvoicemail: { mailboxes: { default: { greeting: helo } } }\n";
    let seen = found(&format!("{TANDEM}{more}"), RULES, &[]).unwrap();
    for place in [
        "`media.hold_music`: there is no prompt or music `music/defalt`\n --> ETC/tandem.yaml:4:22",
        "did you mean `music/default`?",
        "--> ETC/tandem.yaml:5:48",
        "did you mean `hello`?",
    ] {
        assert!(seen.contains(place), "{seen}");
    }
    let seen = found(TANDEM, &RULES.replace("transfer: frontdesk", "announce: said/yes"), &[]).unwrap();
    assert!(!seen.contains("said/yes"), "what the relay reads is there: {seen}");
}

#[test]
fn a_folder_of_audio_that_is_not_there_is_told() {
    let seen = found(&format!("{TANDEM}media: {{ music: musik }}\n"), RULES, &[]).unwrap();
    assert!(seen.contains("`media.music`: the folder ETC/musik cannot be read"), "{seen}");
    assert!(seen.contains("--> ETC/tandem.yaml:4:17"), "{seen}");
}

#[test]
fn a_file_that_is_read_by_nobody_because_of_its_name_is_told() {
    let seen = found(
        TANDEM,
        RULES,
        &[("conf.d/10-more.yml", "x: y"), ("rules.d/night.YAML", "x: y"), ("rules.d/old.bak", "x")],
    )
    .unwrap();
    assert!(seen.contains("conf.d/10-more.yml") && seen.contains("rules.d/night.YAML"), "{seen}");
    assert!(!seen.contains("old.bak"), "{seen}");
    assert_eq!(found(TANDEM, RULES, &[("conf.d/10-more.yaml", "logging: { level: warn }")]), Ok(String::new()));
}

#[test]
fn a_queue_that_nobody_can_serve_is_told() {
    let queue =
        "destinations:\n  fraud: { queue: { skills: { fraud: 5 } } }\nrules:\n  - { id: two, transfer: fraud }\n";
    let rules = format!("version: 1\n{queue}");
    let agents = |level: u8| {
        format!(
            "{TANDEM}agents: {{ static: {{ carl: {{ dial: \"sip:c@127.0.0.1:5092\", skills: {{ fraud: {level} }} }} }} }}\n"
        )
    };
    let seen = found(&agents(4), &rules, &[]).unwrap();
    assert!(seen.contains("no agent of the configuration has what the queue `fraud` needs: fraud 5"), "{seen}");
    assert_eq!(found(&agents(5), &rules, &[]), Ok(String::new()));
}

#[test]
fn a_rule_that_two_files_give_names_the_first_file() {
    let again = "version: 1\nrules:\n  - { id: one, transfer: frontdesk }\n";
    let wrong = found(TANDEM, RULES, &[("rules.d/more.yaml", again)]).unwrap_err();
    assert!(wrong.contains("first in ETC/rules.yaml, line 5"), "{wrong}");
}
