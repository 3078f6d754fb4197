//! Audio that stops, on one side, on both and on hold; a daemon that stood still; a clock that jumps is the cores' matter (see
//! `crates/calls/tests/behaviour`).

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use parties::io::{Call, now};
use std::time::Duration;
use tests::{Files, SOON, Stage, Talk, hears, is_hung_up};

/// Everybody counts as gone after 2 s without a packet, and the AI too.
fn impatient(files: Files) -> Files {
    let configuration = files
        .configuration
        .replace("    silence_limit: 15s\n", "    silence_limit: 2s\n")
        .replace("media:\n", "media:\n  dead_after: 2s\n  dead_before_first: 2s\n");
    Files { configuration, ..files }
}

async fn with_human(stage: &Stage) -> Result<(Talk, Call)> {
    let mut talk = stage.talk().await?;
    stage.three_misses(&talk.id).await?;
    let human = stage.human_rings().await?;
    human.answer();
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    Ok((talk, human))
}

/// The only record, once it is written.
async fn record(stage: &Stage) -> Result<serde_json::Value> {
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await?;
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        if let [record] = &stage.daemon.records()?[..] {
            return Ok(record.clone());
        }
        ensure!(tokio::time::Instant::now() < deadline, "no record of the call");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_19_an_ai_whose_audio_stops_leaves_the_caller_to_the_front_desk() -> Result<()> {
    let stage = Stage::with(impatient).await?;
    let mut talk = stage.talk().await?;
    talk.ai.audio().mute(true);
    let lost = talk.event("ai.lost").await?;
    ensure!(lost["data"]["cause"] == "dead_media", "{lost}");
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    is_hung_up(&talk.ai).await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_19_a_caller_whose_audio_stops_ends_the_call_and_the_record_says_why() -> Result<()> {
    let stage = Stage::with(impatient).await?;
    let (talk, human) = with_human(&stage).await?;
    talk.caller.audio().mute(true);
    is_hung_up(&talk.caller).await?;
    is_hung_up(&human).await?;
    let record = record(&stage).await?;
    ensure!(record["cause"] == "media_timeout", "{record}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_19_audio_that_stops_on_both_sides_ends_the_call_once() -> Result<()> {
    let stage = Stage::with(impatient).await?;
    let (talk, human) = with_human(&stage).await?;
    talk.caller.audio().mute(true);
    human.audio().mute(true);
    is_hung_up(&talk.caller).await?;
    is_hung_up(&human).await?;
    let record = record(&stage).await?;
    // Whoever is found gone first: the human's end leaves the caller, who is gone too.
    ensure!(record["cause"] == "media_timeout" || record["cause"] == "human_hung_up", "{record}");
    let legs = record["legs"].as_array().context("legs")?;
    ensure!(legs.iter().any(|leg| leg["ended_by"] == "media"), "{record}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_19_who_holds_us_may_be_silent_for_longer() -> Result<()> {
    let stage = Stage::with(impatient).await?;
    let (talk, human) = with_human(&stage).await?;
    ensure!(talk.caller.change("inactive", SOON).await? == 200, "the hold is taken");
    talk.caller.audio().mute(true);
    // Twice as long as would do without the hold, told by what the human is sent meanwhile.
    tokio::time::timeout(4 * SOON, human.audio().hears(250)).await.context("the human is sent silence")?;
    ensure!(!talk.caller.status().is_over() && !human.status().is_over(), "the call stands");
    ensure!(talk.caller.change("sendrecv", SOON).await? == 200, "the hold is ended");
    talk.caller.audio().mute(false);
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_22_a_daemon_that_stood_still_for_ten_seconds_keeps_its_calls_and_plays_no_old_audio() -> Result<()> {
    let stage = Stage::with(impatient).await?;
    let (talk, human) = with_human(&stage).await?;
    let with_ai = stage.talk().await?;
    stage.daemon.signal(Signal::SIGSTOP)?;
    // Nothing of the daemon's can be awaited while it stands still: ten seconds of the caller's own audio go by.
    let said = talk.caller.audio().sent();
    let deadline = tokio::time::Instant::now() + 5 * SOON;
    while talk.caller.audio().sent() < said + 500 {
        ensure!(tokio::time::Instant::now() < deadline, "the caller says nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let resumed = now();
    stage.daemon.signal(Signal::SIGCONT)?;
    for (listener, speaker) in
        [(&talk.caller, &human), (&human, &talk.caller), (&with_ai.caller, &with_ai.ai), (&with_ai.ai, &with_ai.caller)]
    {
        hears(listener, speaker).await?;
        // Its packets since then are what was said since then, and 200 ms of what waited at the most.
        let heard = listener.audio().received_since(resumed);
        let (Some(first), Some(last)) = (heard.first(), heard.last()) else { anyhow::bail!("nothing was heard") };
        let lasted = last.at.saturating_sub(first.at);
        let sent = Duration::from_millis(20) * u32::try_from(heard.len())?;
        ensure!(sent <= lasted + Duration::from_millis(240), "{} packets within {lasted:?}", heard.len());
        ensure!(heard.iter().all(|packet| packet.ssrc == first.ssrc), "one source");
    }
    ensure!(stage.metric("tandem_calls_active").await? == 2.0, "both calls stand");
    Ok(())
}
