//! No caller is left stranded: whatever a human does not do, the caller is back with the AI, was never in silence, and the AI is told why.

use anyhow::{Context, Result, ensure};
use parties::analysis::longest_silence;
use serde_json::json;
use std::time::Duration;
use tests::{SOON, Stage, Talk, hears};

/// The caller heard no window above 1 s below -50 dBov since `from`, up to now.
fn no_dead_air(talk: &Talk, from: Duration) -> Result<()> {
    let silence = longest_silence(&talk.caller.audio().received(), from, parties::io::now());
    ensure!(silence <= Duration::from_secs(1), "the caller heard {silence:?} of silence");
    Ok(())
}

/// Warm: the AI stayed, and has the caller again.
async fn back_with_the_ai(talk: &mut Talk, from: Duration, cause: &str, status: Option<u16>) -> Result<()> {
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["cause"] == cause, "{failed}");
    ensure!(failed["data"]["sip_code"].as_u64() == status.map(u64::from), "{failed}");
    ensure!(failed["data"]["attempt"] == 1, "{failed}");
    hears(&talk.caller, &talk.ai).await?;
    hears(&talk.ai, &talk.caller).await?;
    no_dead_air(talk, from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_declined_and_unavailable_bring_the_caller_back() -> Result<()> {
    let stage = Stage::new().await?;
    for (status, cause) in [(486, "busy"), (603, "declined"), (480, "no_answer")] {
        let mut talk = stage.talk().await?;
        let from = parties::io::now();
        stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
        stage.human_rings().await?.refuse(status);
        back_with_the_ai(&mut talk, from, cause, Some(status)).await.with_context(|| format!("after {status}"))?;
        talk.caller.hang_up();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_rings_out_is_cancelled_and_the_caller_comes_back() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    back_with_the_ai(&mut talk, from, "no_answer", None).await?;
    human.ended(SOON).await.context("the phone rings on")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_human_brings_the_caller_back() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    let nobody = format!("sip:nobody@{}:5060", tests::own_address());
    stage.transfer(&talk.id, json!({ "to": nobody, "mode": "warm", "ring_timeout": "2s" })).await?;
    let failed = talk.event("transfer.failed").await?;
    let cause = failed["data"]["cause"].as_str().unwrap_or_default();
    ensure!(["unreachable", "no_answer"].contains(&cause), "{failed}");
    hears(&talk.caller, &talk.ai).await?;
    no_dead_air(&talk, from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_human_who_hangs_up_in_the_whisper_brings_the_caller_back() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    stage.transfer(&talk.id, json!({ "to": "fraud", "whisper": { "prompt": "incoming-handoff" } })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    talk.event("whisper.started").await?;
    human.hang_up();
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["cause"] == "not_accepted", "{failed}");
    hears(&talk.caller, &talk.ai).await?;
    no_dead_air(&talk, from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_presses_1_gets_the_caller_and_who_does_not_does_not() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    stage.transfer(&talk.id, json!({ "to": "closer" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    back_with_the_ai(&mut talk, from, "not_accepted", None).await?;
    human.ended(SOON).await.context("who does not accept is hung up")?;

    let again = stage.transfer(&talk.id, json!({ "to": "closer" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    human.audio().press('1');
    talk.event("agent.accepted").await?;
    let bridged = talk.event("transfer.bridged").await?;
    ensure!(bridged["data"]["transfer"] == again.as_str(), "{bridged}");
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_transfer_that_fails_redials_the_ai_and_tells_it_why() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "cold" })).await?;
    talk.ai.ended(SOON).await.context("cold: the AI leaves at once")?;
    stage.human_rings().await?.refuse(486);
    let again = stage.ai_rings().await?;
    ensure!(again.header("X-Tandem-Call-Id") == Some(talk.id.as_str()), "another call id");
    ensure!(
        again.invite().headers.iter().any(|(name, value)| name.starts_with("X-Tandem") && value.contains("busy")),
        "the AI is not told why: {:?}",
        again.invite().headers
    );
    again.answer();
    again.answered(SOON).await?;
    hears(&talk.caller, &again).await?;
    hears(&again, &talk.caller).await?;
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["cause"] == "busy" && failed["data"]["sip_code"] == 486, "{failed}");
    no_dead_air(&talk, from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chain_by_cause_reaches_the_next_destination() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.talk().await?;
    let on_failure = json!({ "busy": ["verification"], "else": ["ai"] });
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "on_failure": on_failure })).await?;
    stage.human_rings().await?.refuse(486);
    let second = stage.human_rings().await?;
    ensure!(
        second.invite().uri().is_some_and(|uri| uri.starts_with("sip:verification@")),
        "{:?}",
        second.invite().uri()
    );
    second.answer();
    second.answered(SOON).await?;
    hears(&talk.caller, &second).await
}
