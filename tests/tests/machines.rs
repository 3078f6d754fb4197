//! Human or machine, from audio that is played to the daemon: no caller is left with a voicebox, and a machine that we call is hung up on.

use anyhow::{Context, Result, ensure};
use parties::{
    io::{Call, Party, Voice},
    signal::Signal,
};
use serde_json::json;
use std::time::Duration;
use tests::{AI_SAYS, CALLER_SAYS, HUMAN_SAYS, SOON, Stage, hears, is_hung_up, own_address};

/// Words of so many milliseconds, each with the pause after it.
fn said(words: &[(u64, u64)]) -> Vec<i16> {
    let mut samples = Vec::new();
    for (word, pause) in words {
        let length = usize::try_from(word * 8).unwrap_or(0);
        samples.extend(HUMAN_SAYS.samples(samples.len() as u64, length));
        samples.extend(Signal::Silence.samples(0, usize::try_from(pause * 8).unwrap_or(0)));
    }
    samples
}

/// "Hello?", and they wait.
fn human() -> Vec<i16> {
    said(&[(260, 60), (240, 0)])
}

/// Half a minute of greeting.
fn machine() -> Vec<i16> {
    said(&[(280, 60); 88])
}

/// Answers with these words; silence follows them.
async fn answers(call: &Call, words: Vec<i16>) -> Result<()> {
    call.audio().play(words);
    call.answer();
    call.answered(SOON).await.context("no ACK")?;
    Ok(())
}

/// Humans who say nothing of their own accord, and a destination that listens for machines.
async fn stage() -> Result<Stage> {
    Stage::voiced(CALLER_SAYS, AI_SAYS, Signal::Silence, |mut files| {
        let listens = ", detect: machine, on_failure: { machine: [retention], else: [ai] } }";
        let plain = files.rules.lines().find(|line| line.trim_start().starts_with("frontdesk:")).map(str::to_owned);
        let plain = plain.unwrap_or_default();
        files.rules = files.rules.replace(&plain, &format!("{}{listens}", plain.trim_end().trim_end_matches(" }")));
        files
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voicebox_does_not_get_the_caller_and_a_human_does() -> Result<()> {
    let stage = stage().await?;
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let box_ = stage.human_rings().await?;
    answers(&box_, machine()).await?;
    let result = talk.event("amd.result").await?;
    ensure!(result["data"]["result"] == "machine" && result["data"]["because"] == "long_greeting", "{result}");
    ensure!(result["data"]["leg"] == "human-1" && result["data"]["attempt"] == 1, "{result}");
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["cause"] == "machine" && failed["data"]["next"] == "retention", "{failed}");
    is_hung_up(&box_).await?;
    let human = stage.human_rings().await?;
    human.audio().say(HUMAN_SAYS);
    human.answer();
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    human.hang_up();
    is_hung_up(&talk.caller).await?;

    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human_rings().await?;
    answers(&human, self::human()).await?;
    let result = talk.event("amd.result").await?;
    ensure!(result["data"]["result"] == "human" && result["data"]["because"] == "short_greeting", "{result}");
    let after = result["data"]["after_ms"].as_u64().context("how long it took")?;
    ensure!(after < 6_000, "{result}");
    let bridged = talk.event("transfer.bridged").await?;
    ensure!(bridged["data"]["attempt"] == 1, "{bridged}");
    human.audio().say(HUMAN_SAYS);
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    let metrics = stage.control.get("/metrics").await?.body;
    let text = metrics.as_str().context("text")?;
    for line in [
        "tandem_amd_results_total{leg=\"human\",result=\"human\"} 1",
        "tandem_amd_results_total{leg=\"human\",result=\"machine\"} 1",
    ] {
        ensure!(text.contains(line), "{line} is missing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_we_call_is_hung_up_on_and_whoever_waits_is_told() -> Result<()> {
    let world = Party::bind("world", own_address().into(), Voice::of(Signal::Silence)).await?;
    let stage = Stage::with(|mut files| {
        let human = files.configuration.lines().find_map(|line| line.strip_prefix("    address: ")).map(str::to_owned);
        let carrier = format!("address: {}", human.unwrap_or_default());
        files.configuration = files.configuration.replace(&carrier, &format!("address: {}", world.address()))
            + "outbound: { from: \"+4930900\", on_machine: hang_up }\n";
        files
    })
    .await?;
    for (words, result) in [(machine(), "machine"), (human(), "human")] {
        let control = stage.control.clone();
        let asked =
            tokio::spawn(
                async move { control.post("/v1/calls?wait=60s", &json!({ "to": "tel:+493055512345" })).await },
            );
        let person = world.incoming(SOON).await.context("nobody was called")?;
        person.ring(180);
        let ai = stage.ai_rings().await?;
        ai.answer();
        answers(&person, words).await?;
        if result == "human" {
            hears(&person, &ai).await.context("nobody waits for the AI until it is known what they are")?;
        }
        let answer = asked.await??;
        ensure!(answer.status == 200 && answer.body["over"] == true, "{}", answer.body);
        ensure!(answer.body["amd"]["result"] == result && answer.body["answered"].is_string(), "{}", answer.body);
        if result == "machine" {
            ensure!(answer.body["failure"] == "machine" && answer.body["cause"] == "not_reached", "{}", answer.body);
            is_hung_up(&person).await?;
            is_hung_up(&ai).await?;
        } else {
            ensure!(answer.body["cause"].is_null() && answer.body["state"] == "with_ai", "{}", answer.body);
            hears(&person, &ai).await?;
            person.hang_up();
            is_hung_up(&ai).await?;
        }
        stage.until_metric("tandem_calls_active", 0.0, Duration::from_secs(16)).await?;
    }
    // They are written beside the calls.
    let deadline = tokio::time::Instant::now() + SOON * 2;
    let records = loop {
        let records = stage.daemon.records().unwrap_or_default();
        if records.len() == 2 || tokio::time::Instant::now() > deadline {
            break records;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let kept: Vec<_> = records.iter().map(|record| record["amd"]["result"].clone()).collect();
    ensure!(kept == ["machine", "human"], "{kept:?}");
    ensure!(records[0]["failure"] == "machine", "{}", records[0]);
    Ok(())
}
