//! The rules that Tandem ships: without mistake, without warning, and true to their own tests.

use policy::{Environment, RuleSet, SourceFile};

const SHIPPED: &str = include_str!("../../../etc/rules.yaml");

#[test]
fn the_shipped_rules_load_without_a_word() {
    let loaded = RuleSet::load(&[SourceFile::main("etc/rules.yaml", SHIPPED)], &Environment::default());
    let loaded = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.is_empty(), "{}", warnings.join("\n\n"));
}

#[test]
fn the_shipped_rules_pass_their_own_tests() {
    let loaded = RuleSet::load(&[SourceFile::main("etc/rules.yaml", SHIPPED)], &Environment::default()).unwrap();
    let reports = loaded.rules.run_tests();
    assert!(reports.len() >= 10);
    let failed: Vec<String> = reports.iter().filter(|it| !it.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}
