//! The command line as an operator meets it: what it says, and the exit code a script sees.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Output},
};

#[test]
fn check_accepts_the_shipped_files_and_runs_the_rules_own_tests() {
    let etc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc");
    let output = tandem(&["check", &etc.display().to_string()]);
    let printed = text(&output);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("three misses in a row lead to the front desk"), "{printed}");
    assert!(printed.contains("0 mistakes"), "{printed}");
    assert!(!printed.contains('\u{1b}'), "no colours into a pipe");
}

#[test]
fn check_tells_mistakes_of_configuration_and_rules_in_one_run() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("tandem.yaml"), "sip: { listners: [] }\n").expect("a file");
    fs::write(folder.path().join("rules.yaml"), "version: 1\nrulez: []\n").expect("a file");
    let output = tandem(&["check", &folder.path().display().to_string()]);
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("did you mean `listeners`?") && printed.contains("tandem.yaml:1:8"), "{printed}");
    assert!(printed.contains("unknown section `rulez`") && printed.contains("rules.yaml:2:1"), "{printed}");

    let json = tandem(&["check", "--json", &folder.path().display().to_string()]);
    let document: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON document");
    assert_eq!(document["ok"], false);
    assert!(document["errors"].as_array().is_some_and(|errors| errors.len() >= 2), "{document}");
}

#[test]
fn a_daemon_does_not_start_with_a_mistake_and_says_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tandem.yaml");
    fs::write(&path, "media:\n  ports: 20001-20100\n").expect("a file");
    let output = tandem(&["serve", "--config", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("tandem.yaml:2:10"), "{}", text(&output));
}

/// The control socket was bound before the SIP port turned out to be taken, and its file stayed behind.
#[test]
fn a_daemon_whose_sip_port_is_taken_says_so_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address");
    let configuration = format!(
        "sip: {{ listeners: [\"udp:{address}\"] }}\ncontrol: {{ socket: control.sock }}\ncdr: {{ path: cdr.jsonl }}\n"
    );
    let path = folder.path().join("tandem.yaml");
    fs::write(&path, configuration).expect("a file");
    fs::write(folder.path().join("rules.yaml"), "version: 1\n").expect("a file");
    let output = tandem(&["serve", "--config", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(&format!("{address} is taken by another program")), "{}", text(&output));
    assert!(!folder.path().join("control.sock").exists());
}

/// It opened the other's ledger first, and what it does to a ledger at its start it did under the other's feet.
#[test]
fn a_daemon_beside_another_ends_before_it_touches_anything_of_its() {
    let folder = tempfile::tempdir().expect("a folder");
    let _other = std::os::unix::net::UnixListener::bind(folder.path().join("control.sock")).expect("a socket");
    let path = folder.path().join("tandem.yaml");
    let configuration = "sip: { listeners: [\"udp:127.0.0.1:0\"] }\ncontrol: { socket: control.sock }\ncdr: { path: cdr.jsonl }\nledger: { path: ledger.db }\n";
    fs::write(&path, configuration).expect("a file");
    fs::write(folder.path().join("rules.yaml"), "version: 1\n").expect("a file");
    let output = tandem(&["serve", "--config", &path.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("another daemon is listening"), "{}", text(&output));
    assert!(!folder.path().join("ledger.db").exists() && !folder.path().join("cdr.jsonl").exists());
}

/// To the journal each line was of one level, so that no warning could be found there, with a second time before it.
#[test]
fn the_journal_is_told_each_lines_level_and_nobody_else_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = taken.local_addr().expect("an address");
    let path = folder.path().join("tandem.yaml");
    let configuration = format!("sip: {{ listeners: [\"udp:{address}\"] }}\ncontrol: {{ socket: control.sock }}\n");
    fs::write(&path, configuration).expect("a file");
    fs::write(folder.path().join("rules.yaml"), "version: 1\n").expect("a file");
    let log = folder.path().join("log");
    for journal in [true, false] {
        let stderr = fs::File::create(&log).expect("a file");
        let about = stderr.metadata().expect("of a file");
        let stream = format!("{}:{}", about.dev(), about.ino() + u64::from(!journal));
        let status = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["serve", "--config", &path.display().to_string()])
            .env("JOURNAL_STREAM", stream)
            .env("RUNTIME_DIRECTORY", folder.path())
            .stderr(stderr)
            .status()
            .expect("it starts");
        assert!(!status.success());
        let written = fs::read_to_string(&log).expect("a log");
        let told = written.lines().find(|line| line.contains("the ledger is open")).expect("a line of the log");
        assert_eq!(told.starts_with("<6>INFO  the ledger"), journal, "{told}");
        assert_eq!(told.starts_with("20"), !journal, "{told}");
    }
}

#[test]
fn without_a_daemon_the_client_says_what_to_do() {
    let output = tandem(&["calls", "--socket", "/nonexistent/control.sock"]);
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains("systemctl start tandem") && printed.contains("TANDEM_SOCKET"), "{printed}");
}

#[test]
fn an_event_is_checked_before_anything_is_sent() {
    let said = |arguments: &[&str]| text(&tandem(&[&["event", "c_1", "--socket", "/nonexistent"], arguments].concat()));
    assert!(said(&[]).contains("say what happened"));
    assert!(said(&["{broken"]).contains("is not JSON"));
    assert!(said(&["--type", "intent", "name"]).contains("name=value"));
    let output = tandem(&["event", "../../v1/drain", "{}"]);
    assert!(text(&output).contains("is not an id"), "{}", text(&output));
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = tandem(&["completions", shell]);
        assert!(output.status.success() && text(&output).contains("transfer"), "{shell}");
    }
}

fn tandem(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(arguments)
        .env_remove("TANDEM_SOCKET")
        .env_remove("TANDEM_CONFIG")
        .output()
        .expect("the binary runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
