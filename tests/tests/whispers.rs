//! What the human alone hears before the bridge, at packet level: recorded words that tell what is known, and the AI itself.
#![cfg(test)]

use anyhow::{Context, Result, ensure};
use parties::{
    analysis::{audio, correlation, find, find_clip, level_dbov},
    io::Call,
};
use serde_json::json;
use tests::{CALLER_SAYS, SOON, Stage, hears, hears_nothing_of, is_hung_up, root};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_is_told_to_the_human_alone_in_recorded_words() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let known = [
        json!({ "type": "intent", "name": "billing_dispute", "confidence": 0.9 }),
        json!({ "type": "sentiment", "score": -0.4, "label": "frustrated" }),
        json!({ "type": "context", "account": "47-11", "customer_name": "J\u{f6}rg" }),
    ];
    for event in known {
        stage.post_event(&talk.id, event).await?;
    }
    let keys = ["intent", "sentiment", "customer_name", "account"];
    stage.transfer(&talk.id, json!({ "to": "closer", "whisper": { "context": keys } })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    let started = talk.event("whisper.started").await?;
    let said: Vec<&str> =
        started["data"]["said"].as_array().context("said")?.iter().filter_map(|it| it.as_str()).collect();
    let words = ["said/billing-dispute", "said/frustrated", "said/account"];
    let digits = ["digit-4", "digit-7", "digit-1", "digit-1"];
    let expected: Vec<&str> = words.into_iter().chain(digits).chain(["said/press-1"]).collect();
    ensure!(said == expected, "{started}");
    let mut clip = Vec::new();
    for name in &expected {
        clip.extend(samples(name)?);
    }
    // Until all of it was said, and a little longer: nobody has pressed anything.
    let packets = clip.len() as u64 / 160 + 20;
    tokio::time::timeout(SOON + std::time::Duration::from_secs(20), human.audio().hears(packets)).await?;
    human.audio().press('1');
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;

    let heard = audio(&human.audio().received(), 60);
    let begins = clip.iter().position(|sample| sample.unsigned_abs() > 500).context("a silent clip")?;
    let found = find_clip(&heard, &clip[begins..begins + 4_000]);
    let at = usize::try_from(found.index)?;
    let whole = heard.get(at..at + clip.len() - begins).context("cut off")?;
    let same = correlation(whole, &clip[begins..]);
    ensure!(same > 0.95, "the words are not what the human heard: {same:.3}");
    for (who, call) in [("the caller", &talk.caller), ("the AI", &talk.ai)] {
        let heard = audio(&call.audio().received(), 60);
        let found = find_clip(&heard, &clip[begins..begins + 8_000]);
        ensure!(found.correlation < 0.35, "{who} heard the whisper: {found:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ai_tells_the_human_alone_while_the_caller_hears_music() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let task = "Say who calls and why.";
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "whisper": { "ai": task } })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    let started = talk.event("whisper.started").await?;
    ensure!(started["data"]["by"] == "ai" && started["data"]["task"] == task, "{started}");
    hears(&human, &talk.ai).await?;
    hears(&talk.ai, &human).await?;
    hears_nothing_of(&talk.caller, &talk.ai).await?;
    hears_nothing_of(&talk.caller, &human).await?;
    hears_nothing_of(&talk.ai, &talk.caller).await?;
    hears_nothing_of(&human, &talk.caller).await?;
    ensure!(level(&talk.caller) > -45.0, "the caller hears no music");
    stage.post_event(&talk.id, json!({ "type": "ready" })).await?;
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    is_hung_up(&talk.ai).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_caller_said_last_is_told_to_the_human_alone_in_the_callers_own_voice() -> Result<()> {
    let stage = Stage::with(|mut files| {
        files.rules = files.rules.replace(
            "accept: { press: \"1\", within: 2s }",
            "accept: { press: \"1\", within: 10s }, whisper: { clip: 3s }",
        );
        files
    })
    .await?;
    let mut talk = stage.talk().await?;
    // Four seconds of it, and more than is told.
    tokio::time::timeout(SOON + SOON, talk.ai.audio().hears(200)).await?;
    let (_, before) = talk.caller.audio().saying();
    stage.transfer(&talk.id, json!({ "to": "closer" })).await?;
    let (_, after) = talk.caller.audio().saying();
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    let started = talk.event("whisper.started").await?;
    ensure!(started["data"]["by"] == "clip", "{started}");
    let words = 3 * 50;
    tokio::time::timeout(SOON + SOON, human.audio().hears(words + 10)).await?;
    hears_nothing_of(&talk.caller, &talk.caller).await?;
    hears_nothing_of(&talk.caller, &human).await?;
    ensure!(level(&talk.caller) > -45.0, "the caller hears no music");
    human.audio().press('1');
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;

    let heard = audio(&human.audio().received(), 60);
    let begins = heard.windows(80).position(|it| level_dbov(it) > -30.0).context("the human heard nothing")?;
    for second in 0..3usize {
        let from = begins + second * 8_000 + 400;
        let part = heard.get(from..from + 4_000).context("cut off")?;
        let found = find(part, CALLER_SAYS, before.saturating_sub(5 * 8_000)..after);
        ensure!(found.correlation > 0.95, "second {second} is not what the caller said: {found:?}");
        // It ends where the transfer began, give or take what was on its way then.
        let expected = (before - 24_000 + second as u64 * 8_000, after - 24_000 + (second as u64 + 1) * 8_000);
        let slack = 8_000;
        ensure!(
            found.index + slack > expected.0 && found.index < expected.1 + slack,
            "second {second} was said at {}, expected {expected:?}",
            found.index
        );
    }
    Ok(())
}

/// How loud the last half second was.
fn level(call: &Call) -> f64 {
    let heard = call.audio().received();
    level_dbov(&audio(&heard[heard.len().saturating_sub(25)..], 2))
}

/// A shipped prompt.
fn samples(name: &str) -> Result<Vec<i16>> {
    let bytes = std::fs::read(root().join(format!("etc/prompts/{name}.wav")))?;
    Ok(bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}
