use super::*;

/// A folder with files as given, read with variables as given.
fn reading(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path = folder.path().join("tandem.yaml");
    let real = fs::canonicalize(folder.path()).expect("a folder").display().to_string();
    load(&path, &Environment { variables }).map_err(|problems| {
        problems.to_string().replace(&folder.path().display().to_string(), "ETC").replace(&real, "ETC")
    })
}

fn mistakes(text: &str) -> String {
    reading(&[("tandem.yaml", text)], &[]).expect_err("mistakes")
}

#[test]
fn the_shipped_file_is_right_and_an_empty_one_serves_loopback() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc/tandem.yaml");
    let shipped = load(&shipped, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(shipped.sip.listeners, vec!["127.0.0.1:5060".parse().expect("an address")]);
    assert!(shipped.media.prompts.join("please-hold.wav").is_file(), "{}", shipped.media.prompts.display());
    assert_eq!(shipped.routes[0].profile, "demo");

    let empty = reading(&[("tandem.yaml", "")], &[]).expect("defaults");
    assert!(empty.sip.listeners[0].ip().is_loopback());
    assert!(empty.media.address.is_loopback());
    assert!(empty.logging.redact);
}

#[test]
fn layers_are_laid_over_one_another_key_by_key() {
    let files = [
        ("tandem.yaml", "sip: { user_agent: one }\nlogging: { level: warn }\n"),
        ("conf.d/20-late.yaml", "sip: { user_agent: three }\n"),
        ("conf.d/10-early.yaml", "sip: { user_agent: two, unknown_sources: forbid }\n"),
        ("conf.d/notes.txt", "not: [read"),
    ];
    let read = reading(&files, &[]).expect("right");
    assert_eq!(read.sip.user_agent, "three");
    assert_eq!(read.sip.unknown_sources, Strangers::Forbid);
    assert_eq!(read.logging.level, tracing::Level::WARN);

    let variables = [
        ("TANDEM__SIP__USER_AGENT", "four"),
        ("TANDEM__SIP__LISTENERS", "[\"udp:127.0.0.9:5070\"]"),
        ("TANDEM_OTHER", "x"),
    ];
    let read = reading(&files, &variables).expect("right");
    assert_eq!(read.sip.user_agent, "four");
    assert_eq!(read.sip.listeners[0].to_string(), "127.0.0.9:5070");
    assert_eq!(read.sip.unknown_sources, Strangers::Forbid);
}

#[test]
fn all_mistakes_come_out_of_one_run_with_their_places() {
    insta::assert_snapshot!(mistakes(
        "sip:\n  listners: [\"udp:127.0.0.1\"]\n  listeners: [\"127.0.0.1:5060\", \"tls:0.0.0.0:5061\"]\n  timers: { t1: 500 }\n\
         media:\n  ports: 20001-20100\n  codecs: [pcma, opus]\n\
         trunks:\n  carrier:\n    address: 192.0.2.300\n    allowed: [192.0.2.7/24]\n    trusted: maybe\n    auth: { username: u }\n\
         routes:\n  - { number: \"*\", ai: dmeo }\n  - { number: \"+49*\", ai: demo }\n\
         ai:\n  demo: { uri: \"ai@host\", match_confidence: 1.5, on_ai_failure: [end, frontdesk] }\n\
         recording: { when: on_answer }\nlogging: loud\n"
    ));
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let files = [("tandem.yaml", "")];
    insta::assert_snapshot!(
        reading(&files, &[("TANDEM__MEDIA__PORTS", "lots"), ("TANDEM__SIP__PROT", "x")]).expect_err("mistakes")
    );
}

#[test]
fn broken_yaml_says_where() {
    insta::assert_snapshot!(mistakes("sip:\n  listeners: [\"udp:127.0.0.1:5060\"\nmedia:\n  ports: 20000-20100\n"));
}

#[test]
fn what_yaml_could_hide_is_refused() {
    assert!(mistakes("sip: { user_agent: a }\nsip: { user_agent: b }\n").contains("written twice"));
    assert!(mistakes("sip: &a { user_agent: a }\nmedia: *a\n").contains("aliases"));
    assert!(mistakes("sip: { user_agent: \"a\\r\\nVia: b\" }\n").contains("control character"));
    assert!(mistakes(&format!("sip: {}{}", "[".repeat(40), "]".repeat(40))).contains("nested too deeply"));
    assert!(mistakes("sip: 1\n---\nsip: 2\n").contains("second YAML document"));
}

#[test]
fn a_password_comes_from_a_file_or_a_credential_and_is_never_shown() {
    let text = "trunks:\n  a: { address: 192.0.2.1, auth: { username: u, password_file: secret } }\n";
    let read = reading(&[("tandem.yaml", text), ("secret", "s3cr3t\n")], &[]).expect("right");
    assert_eq!(read.trunks[0].auth.as_ref().expect("auth").password, "s3cr3t");
    assert!(!format!("{read:?}").contains("s3cr3t"));

    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "from-systemd").expect("a file");
    let credentials = folder.path().display().to_string();
    let read = reading(&[("tandem.yaml", text)], &[("CREDENTIALS_DIRECTORY", &credentials)]).expect("right");
    assert_eq!(read.trunks[0].auth.as_ref().expect("auth").password, "from-systemd");
    assert!(mistakes(text).contains("cannot read"));
}
