//! `tandem demo` is the first thing anybody runs: it must succeed, and its figures must be good.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Command, Output};

#[test]
fn the_demonstration_hands_over_and_measures_it() -> Result<()> {
    let last = played(&["demo", "--json"])?;
    let measured = &last["measured"];
    let figure = |name: &str| measured[name].as_f64().with_context(|| format!("no figure {name} in {last}"));
    ensure!(figure("caller_ssrc_count")? == 1.0, "{measured}");
    ensure!(figure("rtp_sequence_gaps")? == 0.0, "{measured}");
    ensure!(figure("handoff_silence_ms")? < 300.0, "{measured}");
    ensure!(figure("decision_to_invite_ms")? < 100.0, "{measured}");
    ensure!(figure("time_to_bridge_ms")? > 0.0, "{measured}");
    Ok(())
}

#[test]
fn the_bank_story_keeps_every_promise_of_a_warm_handoff() -> Result<()> {
    let kept = tempfile::tempdir()?;
    let wav = kept.path().join("call.wav");
    let last = played(&["demo", "--story", "bank", "--json", "--keep", &wav.display().to_string()])?;
    let measured = &last["measured"];
    let figure = |name: &str| measured[name].as_f64().with_context(|| format!("no figure {name} in {last}"));
    for one_stream in ["rtp_sequence_gaps", "timestamps_back", "caller_reinvites", "recording_missing_frames"] {
        ensure!(figure(one_stream)? == 0.0, "{one_stream}: {measured}");
    }
    ensure!(figure("caller_ssrc_count")? == 1.0, "{measured}");
    for window in ["handoff_silence_ms", "quiet_window_ms"] {
        ensure!(figure(window)? < 1_000.0, "{window}: {measured}");
    }
    ensure!(figure("longest_packet_gap_ms")? > 0.0, "{measured}");
    // The specialist's screen says that it has the context before the INVITE leaves.
    ensure!(figure("context_lead_ms")? > 0.0, "{measured}");
    ensure!(figure("decision_to_invite_ms")? < 300.0, "{measured}");
    ensure!(figure("time_to_bridge_ms")? > figure("key_press_to_bridge_ms")?, "{measured}");
    ensure!(measured["whisper_heard_by_human_only"] == true, "{measured}");
    ensure!(measured["ai_heard_music"] == false, "{measured}");
    ensure!(figure("recording_drift_ms")? <= 20.0, "{measured}");
    ensure!(figure("music_after_ms")? < 1_000.0, "{measured}");
    // The daemon and whoever listens to its packets tell the same silence; a packet may wait on its way on a busy machine.
    let told = |name: &str| last["daemon"][name].as_f64().with_context(|| format!("no {name} in {last}"));
    let heard = figure("handoff_silence_ms")?;
    for name in ["handoff_silence_ms", "handoff_silence_metric_ms"] {
        ensure!((told(name)? - heard).abs() <= 100.0, "{name}: {last}");
    }
    let bytes = std::fs::metadata(&wav)?.len();
    ensure!(bytes as f64 > figure("recording_ms")? * 32.0, "{bytes} bytes of {measured}");
    Ok(())
}

#[test]
fn a_story_without_a_name_lists_the_names() -> Result<()> {
    let listed = tandem(&["demo", "--story"])?;
    let text = String::from_utf8(listed.stdout)?;
    ensure!(listed.status.success() && text.contains("bank") && text.contains("handoff"), "{text}");
    let unknown = tandem(&["demo", "--story", "banks"])?;
    let text = String::from_utf8(unknown.stderr)?;
    ensure!(!unknown.status.success() && text.contains("`banks`") && text.contains("bank"), "{text}");
    Ok(())
}

/// Plays a demonstration to its end: the last line's JSON.
fn played(arguments: &[&str]) -> Result<Value> {
    let output = tandem(arguments)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_str(printed.lines().last().context("it printed nothing")?)?)
}

fn tandem(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(tests::binary()?).args(arguments).output()?)
}
