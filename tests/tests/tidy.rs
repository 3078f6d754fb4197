//! The house rules that no compiler checks: who may import whom, where clocks and sockets live, what must be absent.
//! Each test names the places that break its rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Which rooms each room may import (ARCHITECTURE.md draws the same picture).
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("sip-codec", &[]),
    ("sdp", &[]),
    ("metrics", &[]),
    ("signaling", &["clock", "sip-codec"]),
    ("media-relay", &["clock"]),
    ("policy", &["clock"]),
    ("calls", &["clock", "media-relay", "policy", "sdp", "signaling"]),
    ("control", &["calls", "clock", "metrics", "policy"]),
    ("ledger", &["calls"]),
    ("recorder", &["clock", "media-relay"]),
    ("parties", &["clock", "sdp", "sip-codec"]),
    ("sim", &["calls", "clock", "media-relay", "parties", "policy", "signaling"]),
    (
        "tandem",
        &[
            "calls",
            "clock",
            "control",
            "ledger",
            "media-relay",
            "metrics",
            "parties",
            "policy",
            "recorder",
            "sdp",
            "signaling",
            "sip-codec",
        ],
    ),
    ("tests", &["clock", "parties", "sdp", "sim", "sip-codec"]),
];

/// Rooms without sockets, files, clocks or randomness of their own.
const PURE: &[&str] =
    &["clock", "sip-codec", "sdp", "metrics", "signaling", "media-relay", "policy", "calls", "recorder"];

/// Everything that may lie at the top level.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "docs",
    "etc",
    "rustfmt.toml",
    "systemd",
    "tests",
];

/// The longest source file that still tells one story.
const LONGEST_FILE: usize = 700;

#[test]
fn a_room_imports_only_rooms_below_it() {
    let mut wrong = Vec::new();
    for (room, allowed) in MAY_IMPORT {
        let manifest = manifest(room);
        for dependency in dependencies(&manifest, "[dependencies]") {
            let is_room = MAY_IMPORT.iter().any(|(name, _)| *name == dependency);
            if is_room && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{room} must not import {dependency}"));
            }
        }
    }
    assert_none("imports across rooms", &wrong);
}

#[test]
fn every_room_is_on_the_map_and_none_is_a_drawer() {
    let on_disk: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .expect("crates/")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    let on_map: BTreeSet<String> =
        MAY_IMPORT.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name != "tests").collect();
    assert_eq!(on_disk, on_map, "a room is missing from the map in this test");
    for drawer in ["common", "utils", "util", "model", "helpers", "shared"] {
        assert!(!on_disk.contains(drawer), "there is no `{drawer}` crate");
    }
    let map = read("ARCHITECTURE.md");
    for room in on_map {
        assert!(map.contains(&format!("crates/{room}")), "ARCHITECTURE.md does not describe crates/{room}");
    }
}

#[test]
fn every_crate_forbids_unsafe_code_and_takes_the_workspace_lints() {
    let mut wrong = Vec::new();
    for (room, _) in MAY_IMPORT {
        if !manifest(room).contains("[lints]\nworkspace = true") {
            wrong.push(format!("{room}: Cargo.toml lacks `[lints] workspace = true`"));
        }
        let folder = folder(room).join("src");
        for name in ["lib.rs", "main.rs"] {
            let file = folder.join(name);
            if file.exists() && !fs::read_to_string(&file).expect("source").contains("#![forbid(unsafe_code)]") {
                wrong.push(format!("{}: lacks #![forbid(unsafe_code)]", shown(&file)));
            }
        }
    }
    assert_none("crate roots", &wrong);
}

#[test]
fn pure_rooms_refuse_clocks_sockets_and_chance() {
    let standard = read("crates/clock/clippy.toml");
    for word in ["Instant::now", "SystemTime::now", "UdpSocket", "rand::rng", "thread::spawn", "env::var"] {
        assert!(standard.contains(word), "crates/clock/clippy.toml no longer refuses {word}");
    }
    for room in PURE {
        assert_eq!(read(&format!("crates/{room}/clippy.toml")), standard, "crates/{room}/clippy.toml differs");
    }
    let mut wrong = Vec::new();
    for file in tracked("rs") {
        let Some(room) = room_of(&file) else { continue };
        let in_shell = file.contains("/src/io/") || file.ends_with("/src/io.rs");
        let in_tests = file.contains("/tests/") || file.contains("/benches/");
        let text = read(&file);
        if PURE.contains(&room.as_str()) && !in_shell && !in_tests && text.contains("clippy::disallowed_") {
            wrong.push(format!("{file}: lifts a ban of the pure rooms outside `mod io`"));
        }
    }
    assert_none("pure rooms", &wrong);
}

#[test]
fn only_the_daemon_turns_sockets_on() {
    let mut wrong = Vec::new();
    for (room, _) in MAY_IMPORT.iter().filter(|(room, _)| !["tandem", "tests"].contains(room)) {
        let manifest = manifest(room);
        let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in normal.split("[dependencies]").nth(1).unwrap_or_default().lines() {
            if line.contains("features = [\"io\"]") {
                wrong.push(format!("{room}: {line}"));
            }
        }
    }
    assert_none("`io` features outside crates/tandem and tests", &wrong);
}

#[test]
fn only_the_daemon_reads_the_environment() {
    let wrong: Vec<String> = matching(&["env::var(", "env::vars(", "env::var_os("])
        .into_iter()
        .filter(|at| !at.starts_with("crates/tandem/") && !at.starts_with("tests/"))
        .collect();
    assert_none("reads of the environment outside crates/tandem", &wrong);
}

#[test]
fn every_channel_has_a_bound() {
    let wrong = matching(&["unbounded_channel", "mpsc::channel::<", "std::sync::mpsc::channel()", "flume::unbounded"]);
    let wrong: Vec<String> = wrong.into_iter().filter(|at| !at.starts_with("tests/tests/tidy.rs")).collect();
    assert_none("channels without a bound", &wrong);
}

#[test]
fn nothing_is_unfinished_ignored_or_slept_through() {
    let mut wrong = matching(&["todo!(", "unimplemented!(", "FIXME", "XXX", "#[ignore", "thread::sleep("]);
    wrong.extend(matching(&["#[allow(", "#![allow("]));
    wrong.retain(|at| !at.starts_with("tests/tests/tidy.rs") && !at.starts_with("tests/fuzz/"));
    assert_none("unfinished work", &wrong);
}

#[test]
fn a_file_tells_one_story() {
    let wrong: Vec<String> = tracked("rs")
        .into_iter()
        .filter_map(|file| {
            let lines = read(&file).lines().count();
            (lines > LONGEST_FILE).then(|| format!("{file}: {lines} lines, at most {LONGEST_FILE}"))
        })
        .collect();
    assert_none("long files", &wrong);
}

#[test]
fn every_test_that_the_coverage_of_clauses_names_exists() {
    let page = read("docs/rfc-coverage.md");
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
            let test = cells.nth(1)?.strip_prefix('`')?.strip_suffix('`')?;
            Some((test, cells.next()?))
        })
        .collect();
    assert!(rows.len() > 300, "docs/rfc-coverage.md has {} rows", rows.len());
    let wrong: Vec<String> = rows
        .into_iter()
        .filter(|(test, file)| {
            !fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(&format!("fn {test}(")))
        })
        .map(|(test, file)| format!("{file}: no test {test}"))
        .collect();
    assert_none("clauses without their test", &wrong);
}

#[test]
fn every_pain_has_a_test_and_every_test_that_the_page_names_exists() {
    let page = read("docs/pains.md");
    let mut wrong = Vec::new();
    for number in 1..=25 {
        let section = page.split("\n## ").find(|section| section.starts_with(&format!("{number}. ")));
        let rows: Vec<(&str, &str)> = section
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
            .collect();
        if rows.is_empty() {
            wrong.push(format!("{number}: no test"));
        }
        // Each is seen by a party of the daemon, or of the simulated one.
        if !rows.iter().any(|(_, file)| file.starts_with("tests/tests/") || file.starts_with("crates/sim/")) {
            wrong.push(format!("{number}: no end-to-end test and none in the simulator"));
        }
        wrong.extend(rows.into_iter().filter_map(|(test, file)| {
            let exists = fs::read_to_string(root().join(file)).is_ok_and(|text| text.contains(&format!("fn {test}(")));
            (!exists).then(|| format!("{number}: {file}: no test {test}"))
        }));
    }
    let tables: Vec<&str> = page.split("\n# ").skip(1).collect();
    assert_eq!(tables.len(), 2, "who is left stranded, and who hears what");
    for row in tables
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| line.contains('`'))
        .filter_map(|line| line.strip_prefix("| "))
    {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let [what, tests, file] = cells[..] else {
            wrong.push(format!("{row}: a row of three cells was expected"));
            continue;
        };
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        let missing = tests.split('`').skip(1).step_by(2).filter(|test| !text.contains(&format!("fn {test}(")));
        wrong.extend(missing.map(|test| format!("{what}: {file}: no test {test}")));
    }
    assert_none("pains without their test", &wrong);
}

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
    let page = read("docs/faults.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").nth(2));
    let named: Vec<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "docs/faults.md names {} tests", named.len());
    let sources: Vec<String> =
        git(&["ls-files", "*.rs"]).lines().filter_map(|file| fs::read_to_string(root().join(file)).ok()).collect();
    let exists = |test: &str| sources.iter().any(|text| text.contains(&format!("fn {test}(")));
    let wrong: Vec<String> =
        named.into_iter().filter(|test| !exists(test)).map(|test| format!("no test {test}")).collect();
    assert_none("faults without their test", &wrong);
}

/// A metric that nobody feeds is worse than none: it says that nothing happens.
#[test]
fn every_metric_is_fed_by_somebody() {
    // Conditions that are computed (`expr`) are not built yet; docs/rules.md refuses them by name.
    let waiting = ["rule_errors_total"];
    let declared = read("crates/metrics/src/lib.rs");
    let kinds = ["Counter", "Counters<", "Gauge", "Gauges<", "Histogram", "Histograms<"];
    let fields: Vec<&str> = declared
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.strip_suffix(',')?.split_once(": "))
        .filter(|(_, kind)| {
            kinds.iter().any(|known| kind.trim_end_matches(|c: char| c == '>' || c.is_ascii_digit()) == *known)
        })
        .map(|(name, _)| name)
        .collect();
    assert!(fields.len() > 40, "crates/metrics declares {} metrics", fields.len());
    let daemon: String = ["crates/tandem/src/", "crates/control/src/"]
        .iter()
        .flat_map(|room| tracked("rs").into_iter().filter(move |file| file.starts_with(room)))
        .map(|file| read(&file))
        .collect();
    let fed = |name: &str| daemon.contains(&format!("metrics.{name}")) || daemon.contains(&format!(".{name}."));
    let wrong: Vec<String> = fields
        .into_iter()
        .filter(|name| fed(name) == waiting.contains(name))
        .map(|name| format!("tandem_{name}"))
        .collect();
    assert_none("metrics that nobody feeds, or that are fed and said not to be", &wrong);
}

/// An alert on a metric that there is not never fires.
#[test]
fn every_metric_that_an_alert_asks_for_is_on_the_page_of_metrics() {
    let (page, alerts) = (read("docs/metrics.md"), read("etc/prometheus/alerts.yaml"));
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let named: BTreeSet<&str> = words.filter(|it| it.starts_with("tandem_") || it.starts_with("process_")).collect();
    assert!(named.len() > 10, "the alerts ask for {} metrics", named.len());
    let known = |name: &str| page.contains(&format!("| `{}` |", name.trim_end_matches("_bucket")));
    let wrong: Vec<String> = named.into_iter().filter(|name| !known(name)).map(str::to_owned).collect();
    assert_none("alerts on metrics that there are not", &wrong);
}

/// Whoever copies a command from a page must not be answered 415.
#[test]
fn every_curl_of_the_pages_that_sends_a_body_says_that_it_is_json() {
    let pages = tracked("md");
    let mut commands = 0;
    let mut wrong = Vec::new();
    for page in pages {
        let text = read(&page).replace("\\\n", " ");
        for line in text.lines().filter(|line| line.trim_start().starts_with("curl ") && line.contains(" -d ")) {
            commands += 1;
            if !line.contains("-H 'Content-Type: application/json'") {
                wrong.push(format!("{page}: {}", line.trim()));
            }
        }
    }
    assert!(commands > 10, "the pages show {commands} commands with a body");
    assert_none("commands that are refused as they stand", &wrong);
}

#[test]
fn the_top_level_holds_only_what_belongs_there() {
    let entries: BTreeSet<String> =
        git(&["ls-files"]).lines().map(|path| path.split('/').next().unwrap_or_default().to_owned()).collect();
    let wrong: Vec<String> = entries.into_iter().filter(|entry| !TOP_LEVEL.contains(&entry.as_str())).collect();
    assert_none("top-level entries", &wrong);
}

#[test]
fn nothing_points_outside_the_repository() {
    let mut wrong = Vec::new();
    for file in git(&["ls-files"]).lines() {
        let binary = [".wav", ".flac", ".mp3", ".ogg", ".lock", ".bin", ".raw"].iter().any(|end| file.ends_with(end));
        if binary || file == "tests/tests/tidy.rs" || file.starts_with("tests/fuzz/seeds/") {
            continue;
        }
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        for word in
            ["/work/", "index.crates.io", "static.crates.io", "pypi.org", "registry.npmjs.org", "deb.debian.org"]
        {
            if text.contains(word) {
                wrong.push(format!("{file}: {word}"));
            }
        }
    }
    assert_none("paths and hosts outside the repository", &wrong);
}

#[test]
fn every_dependency_says_why_it_is_there_and_versions_live_in_one_place() {
    let root_manifest = read("Cargo.toml");
    let external = root_manifest.split("# Each with its reason").nth(1).expect("the list of dependencies");
    let wrong: Vec<String> = external
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.contains("# "))
        .map(str::to_owned)
        .collect();
    assert_none("dependencies without a reason", &wrong);

    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut versions = Vec::new();
    for (room, _) in MAY_IMPORT {
        let manifest = manifest(room);
        for section in ["[dependencies]", "[dev-dependencies]"] {
            for line in section_lines(&manifest, section) {
                let name = line.split([' ', '.', '=']).next().unwrap_or_default();
                *used.entry(name.to_owned()).or_default() += 1;
                if !line.contains("workspace = true") {
                    versions.push(format!("{room}: {line}"));
                }
            }
        }
    }
    assert_none("versions outside the root Cargo.toml", &versions);
    let unused: Vec<String> = external
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(" =").next().filter(|name| !name.is_empty()))
        .filter(|name| !used.contains_key(*name))
        .map(str::to_owned)
        .collect();
    assert_none("declared dependencies that nobody takes", &unused);
}

#[test]
fn a_room_uses_every_dependency_it_takes() {
    let mut wrong = Vec::new();
    for (room, _) in MAY_IMPORT {
        let prefix = shown(&folder(room));
        let text: String = tracked("rs")
            .iter()
            .filter(|file| file.starts_with(&format!("{prefix}/")))
            .map(|file| read(file))
            .collect();
        for section in ["[dependencies]", "[dev-dependencies]"] {
            for name in dependencies(&manifest(room), section) {
                let word = if name == "md-5" { "md5".to_owned() } else { name.replace('-', "_") };
                let used = text
                    .match_indices(&word)
                    .any(|(at, _)| !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'));
                if !used {
                    wrong.push(format!("{room}: {name}"));
                }
            }
        }
    }
    assert_none("dependencies that nothing mentions", &wrong);
}

fn assert_none(rule: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn folder(room: &str) -> PathBuf {
    if room == "tests" { root().join("tests") } else { root().join("crates").join(room) }
}

fn manifest(room: &str) -> String {
    fs::read_to_string(folder(room).join("Cargo.toml")).expect("a room has a Cargo.toml")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn room_of(file: &str) -> Option<String> {
    file.strip_prefix("crates/")?.split('/').next().map(str::to_owned)
}

/// Names of a manifest section's entries.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    section_lines(manifest, section)
        .iter()
        .map(|line| line.split([' ', '.', '=']).next().unwrap_or_default().to_owned())
        .collect()
}

fn section_lines(manifest: &str, section: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != section)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Tracked files with this extension, by path from the root.
fn tracked(extension: &str) -> Vec<String> {
    let end = format!(".{extension}");
    git(&["ls-files"]).lines().filter(|file| file.ends_with(&end)).map(str::to_owned).collect()
}

/// `file:line` of every tracked Rust line that contains one of the words.
fn matching(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in tracked("rs") {
        for (number, line) in read(&file).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{file}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn git(arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(root()).output().expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("paths are UTF-8")
}
