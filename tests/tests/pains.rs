//! What hurts elsewhere and must not happen here, where no other test shows it: see docs/pains.md.
#![cfg(test)]

use anyhow::{Context, Result, ensure};
use parties::signal::Signal;
use serde_json::json;
use std::collections::BTreeSet;
use tests::{
    Stage, Talk, hears, is_hung_up,
    tones::{self, AI, CALLER, HUMAN, LONG, hears_just, hears_silence},
};

/// Elsewhere a consultation was dialled with the Call-ID of one that had been cancelled: the phone answered 482.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_25_each_attempt_has_a_call_id_of_its_own() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let mut ids = BTreeSet::from([talk.caller.id().to_owned(), talk.ai.id().to_owned()]);
    for attempt in 1..=3 {
        stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
        let human = stage.human_rings().await?;
        ensure!(ids.insert(human.id().to_owned()), "attempt {attempt} has a Call-ID that there was: {ids:?}");
        human.ring(180);
        human.refuse(486);
        talk.event("transfer.failed").await.with_context(|| format!("attempt {attempt}"))?;
        hears(&talk.caller, &talk.ai).await?;
    }
    talk.caller.hang_up();
    Ok(())
}

/// Elsewhere the last sentence is cut off, or everybody waits for a fixed time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_5_the_ais_last_sentence_is_heard_whole_however_soon_the_human_answers() -> Result<()> {
    let (stage, mut talk) = stage_with_last_words("5s").await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(LONG).await?;
    hears_just("human, before the AI has ended", &human, &[]).await?;
    hears_just("caller, before the AI has ended", &talk.caller, &[AI]).await?;
    talk.ai.audio().say(Signal::Silence);
    talk.event("transfer.bridged").await?;
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    hears_just("human, with the caller", &human, &[CALLER]).await?;
    is_hung_up(&talk.ai).await?;
    Ok(())
}

/// The same for an AI that does not stop: it has `drain_max`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_5_an_ai_that_talks_on_is_waited_for_no_longer_than_drain_max() -> Result<()> {
    let (stage, mut talk) = stage_with_last_words("1s").await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let started = talk.event("transfer.started").await?;
    let human = stage.human_rings().await?;
    human.answer();
    let muted = talk.event("ai.muted").await?;
    // By the daemon's own clock; 5 s is what it would be if the rules said nothing.
    let waited = (at(&muted)? - at(&started)?).rem_euclid(86_400_000);
    ensure!((950..4_500).contains(&waited), "muted {waited} ms after the decision");
    talk.event("transfer.bridged").await?;
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    is_hung_up(&talk.ai).await?;
    Ok(())
}

/// When it happened, in milliseconds of its day.
fn at(event: &serde_json::Value) -> Result<i64> {
    let time = event["time"].as_str().context("a time")?;
    let clock: Vec<&str> = time.split(['T', 'Z', ':', '.']).collect();
    let [_, hours, minutes, seconds, milliseconds, ..] = clock[..] else { anyhow::bail!("`{time}` is no time") };
    let number = |text: &str| text.parse::<i64>().context("a number");
    Ok(((number(hours)? * 60 + number(minutes)?) * 60 + number(seconds)?) * 1_000 + number(milliseconds)?)
}

async fn stage_with_last_words(drain_max: &str) -> Result<(Stage, Talk)> {
    let (stage, talk) = tones::stage(|mut files| {
        files.rules = files.rules.replace("start: now", &format!("start: after_speech\n    drain_max: {drain_max}"));
        files
    })
    .await?;
    hears_just("caller, with the AI", &talk.caller, &[AI]).await?;
    Ok((stage, talk))
}

/// Elsewhere an AI talks to hold music for minutes: ours, or that of a caller who holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_11_no_ai_hears_music_whoever_plays_it() -> Result<()> {
    let (stage, mut talk) = tones::stage(|files| files).await?;
    hears_just("AI, with the caller", &talk.ai, &[CALLER]).await?;
    // The caller's switchboard says that it holds us, and plays something.
    ensure!(talk.caller.change("sendonly", LONG).await? == 200);
    hears_silence("AI, while the caller holds", &talk.ai).await?;
    ensure!(talk.caller.change("sendrecv", LONG).await? == 200);
    hears_just("AI, with the caller again", &talk.ai, &[CALLER]).await?;
    // Ours, while a phone rings.
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    hears_just("caller, who hears music", &talk.caller, &[]).await?;
    hears_silence("AI, while the caller hears music", &talk.ai).await?;
    human.refuse(486);
    talk.event("transfer.failed").await?;
    hears_just("AI, with the caller once more", &talk.ai, &[CALLER]).await?;
    Ok(())
}

/// Elsewhere digits are lost between legs, or come twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_18_each_digit_arrives_once_in_both_directions_and_is_told() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    let digits = ['1', '1', '2', '#', '9', '0', 'D'];
    for (presses, listens, leg) in [(&talk.caller, &human, "caller"), (&human, &talk.caller, "human-1")] {
        digits.iter().for_each(|digit| presses.audio().press(*digit));
        for digit in digits {
            let pressed = tokio::time::timeout(LONG, listens.audio().pressed()).await;
            ensure!(pressed == Ok(Some(digit)), "{leg} pressed {digit}, but {pressed:?} arrived");
        }
        for digit in digits {
            let told = talk.events.until("dtmf", LONG).await.context("no event")?;
            ensure!(told["data"]["leg"] == leg && told["data"]["digit"] == digit.to_string(), "{digit}: {told}");
        }
    }
    // None of them came twice: the next that arrives is the next that is pressed.
    talk.caller.audio().press('7');
    let last = tokio::time::timeout(LONG, human.audio().pressed()).await;
    ensure!(last == Ok(Some('7')), "{last:?}");
    Ok(())
}

/// Elsewhere the AI begins anew, or is silent, when it has the caller again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_23_the_ai_is_told_who_had_the_caller_for_how_long_and_with_which_word() -> Result<()> {
    let stage = Stage::with(|mut files| {
        files.configuration = files.configuration.replace("after_human: end", "after_human: ai");
        files
    })
    .await?;
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    let note = json!({ "disposition": "solved", "note": "Refund is on its way; zurück ≤ 3 Tage" });
    let back = stage.control.post(&format!("/v1/calls/{}/handback", talk.id), &note).await?;
    ensure!(back.status == 200, "{back:?}");
    let ai = stage.ai_rings().await?;
    let frontdesk = format!("sip:frontdesk@{}", stage.human.address());
    let expected = [
        ("X-Tandem-Reason", "handback"),
        ("X-Tandem-Handed-Back-By", frontdesk.as_str()),
        ("X-Tandem-Disposition", "solved"),
        ("X-Tandem-Note", "Refund is on its way; zur%C3%BCck %E2%89%A4 3 Tage"),
    ];
    for (name, value) in expected {
        ensure!(ai.header(name) == Some(value), "{name} is {:?}", ai.header(name));
    }
    let had: Option<u64> = ai.header("X-Tandem-Human-Seconds").and_then(|seconds| seconds.parse().ok());
    let told = talk.event("call.handed_back").await?;
    let human_ms = told["data"]["human_ms"].as_u64().context("human_ms")?;
    ensure!(human_ms > 0 && had == Some(human_ms / 1000), "{had:?}, {told}");
    ensure!(told["data"]["by"] == frontdesk.as_str(), "{told}");
    ai.answer();
    hears(&talk.caller, &ai).await?;

    // And when the human hangs up.
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    hears(&talk.caller, &human).await?;
    human.hang_up();
    let ai = stage.ai_rings().await?;
    ensure!(ai.header("X-Tandem-Reason") == Some("human_hung_up"), "{:?}", ai.invite().headers);
    ensure!(ai.header("X-Tandem-Handed-Back-By") == Some(frontdesk.as_str()), "{:?}", ai.invite().headers);
    ensure!(ai.header("X-Tandem-Note").is_none(), "a note of another time: {:?}", ai.invite().headers);
    ai.answer();
    hears(&talk.caller, &ai).await?;
    Ok(())
}
