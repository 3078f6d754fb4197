//! `tandem demo` is the first thing anybody runs: it must succeed, and its figures must be good.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;

#[test]
fn the_demonstration_hands_over_and_measures_it() -> Result<()> {
    let output = Command::new(tests::binary()?).args(["demo", "--json"]).output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let last: Value = serde_json::from_str(printed.lines().last().context("it printed nothing")?)?;
    let measured = &last["measured"];
    let figure = |name: &str| measured[name].as_f64().with_context(|| format!("no figure {name} in {last}"));
    ensure!(figure("caller_ssrc_count")? == 1.0, "{measured}");
    ensure!(figure("rtp_sequence_gaps")? == 0.0, "{measured}");
    ensure!(figure("handoff_silence_ms")? < 300.0, "{measured}");
    ensure!(figure("decision_to_invite_ms")? < 100.0, "{measured}");
    ensure!(figure("time_to_bridge_ms")? > 0.0, "{measured}");
    Ok(())
}
