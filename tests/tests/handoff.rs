//! The main job: a caller reaches the AI, a rule fires, a human takes over, and the caller's stream is one stream.

use anyhow::{Context, Result, ensure};
use parties::{
    analysis::{continuity, level_dbov, longest_silence},
    io::Audio,
    signal::Signal,
};
use serde_json::json;
use std::time::Duration;
use tests::{SOON, Stage, hears, hears_nothing_of, is_hung_up};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_misses_hand_the_caller_to_the_front_desk_and_the_ai_leaves() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    stage.control.patch(&format!("/v1/calls/{}/context", talk.id), &json!({ "customer_name": "Ann\u{e4}" })).await?;

    let answer = stage.three_misses(&talk.id).await?;
    let decision = &answer["results"][0]["decision"];
    ensure!(decision["rule"] == "three-misses", "decided {answer}");

    let human = stage.human_rings().await?;
    ensure!(human.header("X-Tandem-Call-Id") == Some(talk.id.as_str()), "the human's INVITE names no call");
    let name = human.header("X-Tandem-Context-Customer-Name").or(human.header("X-Tandem-Context-customer_name"));
    ensure!(name == Some("Ann%C3%A4"), "the context is {name:?} in {:?}", human.invite());
    human.ring(180);
    is_hung_up(&talk.ai).await.context("cold: the AI leaves at once")?;
    let waits = talk
        .caller
        .audio()
        .hears_that(SOON, |packets| packets.iter().rev().take(5).all(|packet| level_dbov(&packet.samples()) > -50.0));
    ensure!(waits.await, "the caller hears no music while the human's phone rings");
    hears_nothing_of(&talk.caller, &talk.ai).await?;

    human.answer();
    human.answered(SOON).await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    talk.event("transfer.bridged").await?;
    ensure!(talk.caller.changes() == 0, "the caller was sent a re-INVITE");

    talk.caller.hang_up();
    is_hung_up(&human).await?;
    let ended = talk.event("call.ended").await?;
    ensure!(ended["data"]["cause"] == "caller_hung_up", "{ended}");
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await?;

    let folder = stage.daemon.stop().await?;
    let record = std::fs::read_to_string(folder.path().join("cdr.jsonl"))?;
    let record: serde_json::Value = serde_json::from_str(record.lines().next().context("no CDR line")?)?;
    ensure!(record["call"] == talk.id.as_str() && record["transfers"][0]["state"] == "bridged", "{record}");
    Ok(())
}

/// Beside the caller's stream runs a control stream that bypasses the daemon: what the machine itself adds shows there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_gets_one_unbroken_stream_from_hello_to_goodbye() -> Result<()> {
    let stage = Stage::voiced(Signal::Noise(1), Signal::Tone(440.0), Signal::Tone(880.0), |files| files).await?;
    let direct = [direct().await?, direct().await?];
    direct[0].send_to(to(&direct[1]));
    let talk = stage.connect().await?;
    tokio::time::timeout(SOON, talk.caller.audio().hears(50)).await?;
    stage.transfer(&talk.id, json!({ "to": "retention", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    tokio::time::timeout(SOON, talk.caller.audio().hears(50)).await?;
    human.answer();
    human.answered(SOON).await?;
    is_hung_up(&talk.ai).await?;
    tokio::time::timeout(SOON, talk.caller.audio().hears(100)).await?;
    talk.caller.hang_up();
    is_hung_up(&human).await?;

    let packets = talk.caller.audio().received();
    let seen = continuity(&packets);
    let control = continuity(&direct[1].received());
    println!("caller: {seen:?}\ncontrol: {control:?}");
    ensure!(seen.ssrc_count == 1, "{} sources", seen.ssrc_count);
    ensure!(seen.sequence_gaps == 0 && seen.duplicates == 0, "{seen:?}");
    ensure!(seen.timestamps_back == 0, "{seen:?}");
    // What the machine itself does to a plain stream is allowed on top.
    let noise = control.longest_gap.saturating_sub(Duration::from_millis(20)) + control.largest_drift;
    ensure!(seen.largest_drift < Duration::from_millis(60) + noise, "{seen:?}, control {control:?}");
    ensure!(seen.longest_gap < Duration::from_millis(60) + noise, "{seen:?}, control {control:?}");
    let silence = longest_silence(&packets, packets[0].at, packets[packets.len() - 1].at);
    ensure!(silence < Duration::from_millis(300) + noise, "the caller heard {silence:?} of silence");
    ensure!(talk.caller.changes() == 0, "the caller was sent a re-INVITE");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_transfer_keeps_the_ai_muted_until_the_bridge_and_whispers_to_the_human_alone() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    let intent = json!({ "type": "intent", "name": "card_stolen", "confidence": 0.9 });
    let answer = stage.post_event(&talk.id, intent).await?;
    ensure!(answer["results"][0]["decision"]["rule"] == "unknown-transaction", "{answer}");
    let human = stage.human_rings().await?;
    talk.event("ai.muted").await?;
    hears_nothing_of(&talk.ai, &talk.caller).await?;
    hears_nothing_of(&talk.caller, &talk.ai).await?;
    human.answer();
    talk.event("whisper.started").await?;
    ensure!(
        human
            .audio()
            .hears_that(SOON, |packets| packets.iter().any(|packet| level_dbov(&packet.samples()) > -30.0))
            .await,
        "the human hears no whisper"
    );
    ensure!(!talk.ai.status().is_over(), "warm: the AI stays until the bridge");
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    is_hung_up(&talk.ai).await?;
    human.hang_up();
    is_hung_up(&talk.caller).await.context("`after_human: end`")?;
    Ok(())
}

async fn direct() -> Result<Audio> {
    Ok(Audio::bind(tests::own_address().into(), Signal::Tone(300.0), parties::io::Keep::All).await?)
}

fn to(other: &Audio) -> parties::io::Sending {
    let law = parties::g711::Law::Mu;
    parties::io::Sending { remote: other.local(), law, payload_type: law.payload_type(), telephone_event: None }
}
