//! The caller hangs up in each state of a transfer; the AI refuses, leaves or falls silent.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;
use tests::{SOON, Stage, hears, is_hung_up};

/// Nothing of the call is left: no port, and every leg over.
async fn nothing_left(stage: &Stage) -> Result<()> {
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await?;
    stage.until_metric("tandem_calls_active", 0.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_hangs_up_while_the_phone_has_not_rung_yet() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human_rings().await?;
    talk.caller.hang_up();
    human.ended(SOON).await.context("the human's phone must not ring for nobody")?;
    is_hung_up(&talk.ai).await?;
    nothing_left(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_hangs_up_while_the_phone_rings() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    tokio::time::timeout(SOON, talk.caller.audio().hears(10)).await?;
    talk.caller.hang_up();
    is_hung_up(&human).await.context("a CANCEL must come")?;
    is_hung_up(&talk.ai).await?;
    nothing_left(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_hangs_up_during_the_whisper() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "fraud", "whisper": { "prompt": "incoming-handoff" } })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    talk.event("whisper.started").await?;
    talk.caller.hang_up();
    is_hung_up(&human).await?;
    is_hung_up(&talk.ai).await?;
    nothing_left(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_gives_up_before_the_ai_answers() -> Result<()> {
    let stage = Stage::new().await?;
    let caller = stage.caller.call("+4930", "support", stage.sip()).await?;
    let ai = stage.ai_rings().await?;
    ai.ring(180);
    caller.rings(SOON).await?;
    caller.hang_up();
    is_hung_up(&ai).await?;
    caller.ended(SOON).await?;
    nothing_left(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ai_that_refuses_sends_the_caller_to_the_front_desk() -> Result<()> {
    let stage = Stage::new().await?;
    let caller = stage.caller.call("+4930", "support", stage.sip()).await?;
    stage.ai_rings().await?.refuse(503);
    let human = stage.human_rings().await?;
    human.answer();
    caller.answered(SOON).await?;
    hears(&caller, &human).await?;
    hears(&human, &caller).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ai_that_hangs_up_in_mid_call_leaves_the_caller_to_the_front_desk() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    talk.ai.hang_up();
    let lost = talk.event("ai.lost").await?;
    ensure!(lost["data"]["cause"] == "hung_up", "{lost}");
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    hears(&talk.caller, &human).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ai_that_sends_nothing_for_its_limit_is_lost() -> Result<()> {
    let stage = Stage::with(|mut files| {
        files.configuration = files.configuration.replace("silence_limit: 15s", "silence_limit: 3s");
        files
    })
    .await?;
    let mut talk = stage.talk().await?;
    let begin = tokio::time::Instant::now();
    talk.ai.audio().mute(true);
    let human = stage.human_rings().await?;
    let waited = begin.elapsed();
    ensure!((Duration::from_secs(2)..Duration::from_secs(6)).contains(&waited), "lost after {waited:?}");
    let lost = talk.event("ai.lost").await?;
    ensure!(lost["data"]["cause"] == "dead_media", "{lost}");
    is_hung_up(&talk.ai).await?;
    human.answer();
    human.answered(SOON).await?;
    hears(&talk.caller, &human).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ai_that_leaves_during_a_transfer_does_not_stop_it() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    talk.ai.hang_up();
    talk.ai.ended(SOON).await?;
    human.answer();
    human.answered(SOON).await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await
}
