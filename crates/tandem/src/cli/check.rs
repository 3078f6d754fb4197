//! `tandem check`: configuration and rules, every mistake in one run, and the rules' own tests.

use super::{Colour, ConfigArg, say, warn};
use crate::{config, rules};
use clap::Args;
use policy::{Diagnostic, Loaded, RuleSet, SourceFile, TestReport};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Exit codes: 0 everything is right, 1 mistakes or failed tests, 2 wrong usage.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CheckArgs {
    /// A configuration file, its folder, or a rules file alone.
    path: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Default)]
struct Findings {
    mistakes: Vec<(String, String)>,
    warnings: Vec<(String, String)>,
    tests: Vec<TestReport>,
    rules: usize,
}

pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut path = args.path.clone().unwrap_or_else(|| args.config.path());
    if path.is_dir() {
        path = path.join("tandem.yaml");
    }
    let mut findings = Findings::default();
    if is_rules(&path) {
        check_rules_alone(&path, &mut findings);
    } else {
        check_all(&path, &mut findings);
    }
    let failed = findings.tests.iter().filter(|test| !test.passed()).count();
    let good = findings.mistakes.is_empty() && failed == 0;
    if args.json {
        say(&as_json(&path, good, &findings).to_string());
    } else {
        show(&path, &findings, failed);
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_all(path: &Path, findings: &mut Findings) {
    match config::load(path, &config::Environment::of_process()) {
        Ok(configuration) => {
            let shown = |warning: &config::Warning| (warning.line.clone(), warning.block.clone());
            findings.warnings.extend(configuration.warnings.iter().map(shown));
            match rules::load(&configuration) {
                Ok(loaded) => judge(&loaded, findings),
                Err(diagnostics) => mistakes(&diagnostics.0, findings),
            }
        }
        Err(problems) => {
            findings.mistakes.extend(problems.lines().zip(problems.blocks()));
            // The rules are still worth reading: all mistakes in one run.
            let rules = path.with_file_name("rules.yaml");
            if rules.is_file() {
                check_rules_alone(&rules, findings);
            }
        }
    }
}

fn check_rules_alone(path: &Path, findings: &mut Findings) {
    let name = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let line = format!("{name}: cannot be read: {error}");
            findings.mistakes.push((line.clone(), format!("error: {line}")));
            return;
        }
    };
    let mut files = vec![SourceFile::main(name, bytes)];
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    for list in RuleSet::list_files(&files) {
        match fs::read(folder.join(&list)) {
            Ok(bytes) => files.push(SourceFile::list(list, bytes)),
            Err(error) => {
                let line = format!("{}: cannot be read: {error}", folder.join(&list).display());
                findings.mistakes.push((line.clone(), format!("error: {line}")));
            }
        }
    }
    match RuleSet::load(&files, &policy::Environment::default()) {
        Ok(loaded) => judge(&loaded, findings),
        Err(diagnostics) => mistakes(&diagnostics.0, findings),
    }
}

fn judge(loaded: &Loaded, findings: &mut Findings) {
    findings.rules = loaded.rules.rule_ids().len();
    findings.warnings.extend(loaded.warnings.iter().map(|warning| (rules::line(warning), warning.to_string())));
    findings.tests = loaded.rules.run_tests();
}

/// Files that are refused: their mistakes, and what else was noticed in them.
fn mistakes(diagnostics: &[Diagnostic], findings: &mut Findings) {
    for diagnostic in diagnostics {
        let list = match diagnostic.severity {
            policy::Severity::Error => &mut findings.mistakes,
            policy::Severity::Warning => &mut findings.warnings,
        };
        list.push((rules::line(diagnostic), diagnostic.to_string()));
    }
}

fn show(path: &Path, findings: &Findings, failed: usize) {
    let colour = Colour::of_stdout();
    for (_, block) in &findings.mistakes {
        warn(&block.replacen("error:", &Colour::of_stderr().red("error:"), 1));
        warn("");
    }
    for (_, block) in &findings.warnings {
        warn(&block.replacen("warning:", &Colour::of_stderr().yellow("warning:"), 1));
        warn("");
    }
    for test in &findings.tests {
        if test.passed() {
            say(&format!("{} {}", colour.green("ok    "), test.name));
        } else {
            say(&format!("{} {} ({}:{})", colour.red("FAILED"), test.name, test.file, test.line));
            say(&format!("       {}", test.failure.replace('\n', "\n       ")));
        }
    }
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let summary = format!(
        "{}: {}, {}, {} of {}, {}",
        path.display(),
        count(findings.mistakes.len(), "mistake"),
        count(findings.warnings.len(), "warning"),
        count(failed, "failed test"),
        findings.tests.len(),
        count(findings.rules, "rule")
    );
    say(&if findings.mistakes.is_empty() && failed == 0 { colour.green(&summary) } else { colour.red(&summary) });
}

fn as_json(path: &Path, good: bool, findings: &Findings) -> Value {
    let lines = |list: &[(String, String)]| list.iter().map(|(line, _)| line.clone()).collect::<Vec<_>>();
    json!({
        "path": path.display().to_string(),
        "ok": good,
        "errors": lines(&findings.mistakes),
        "warnings": lines(&findings.warnings),
        "rules": findings.rules,
        "tests": findings.tests,
    })
}

/// A rules file is known by its name or by its folder.
fn is_rules(path: &Path) -> bool {
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    name == "rules" || path.parent().is_some_and(|folder| folder.ends_with("rules.d"))
}
