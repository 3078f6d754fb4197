//! Who hears what when several talk: a tone a party, looked for in the packets that each is sent.

use anyhow::{Context, Result, ensure};
use parties::{
    io::{Party, Voice},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};
use tests::{
    Stage, Talk, is_hung_up, own_address,
    tones::{AI, CALLER, HUMAN, LONG, SUPERVISOR, hears_just, hears_silence, hears_something_else, stage},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_listens_whispers_and_barges_and_the_ai_never_hears_them() -> Result<()> {
    let (stage, mut talk) = stage(|files| files).await?;
    let boss = Party::bind("boss", own_address().into(), Voice::of(Signal::Tone(SUPERVISOR))).await?;
    let path = format!("/v1/calls/{}/supervise", talk.id);
    let to = format!("sip:boss@{}", boss.address());

    let asked = stage.control.post(&path, &json!({ "to": to, "mode": "listen" })).await?;
    ensure!(asked.status == 202 && asked.body["supervisor"] == "supervisor-1", "{asked:?}");
    let watching = boss.incoming(LONG).await.context("the supervisor was not called")?;
    ensure!(watching.header("X-Tandem-Call-Id") == Some(talk.id.as_str()), "{:?}", watching.invite());
    watching.ring(180);
    watching.answer();
    event(&mut talk, "supervisor.joined").await?;
    hears_just("supervisor, with the AI", &watching, &[CALLER, AI]).await?;
    hears_just("caller", &talk.caller, &[AI]).await?;
    hears_just("AI", &talk.ai, &[CALLER]).await?;

    mode(&stage, &path, "barge").await?;
    hears_just("caller, barged in on", &talk.caller, &[AI, SUPERVISOR]).await?;
    hears_just("AI, barged in on", &talk.ai, &[CALLER]).await?;

    mode(&stage, &path, "listen").await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human.incoming(LONG).await.context("no human was called")?;
    human.answer();
    event(&mut talk, "transfer.bridged").await?;
    hears_just("supervisor, with the human", &watching, &[CALLER, HUMAN]).await?;
    hears_just("caller", &talk.caller, &[HUMAN]).await?;
    hears_just("human", &human, &[CALLER]).await?;

    mode(&stage, &path, "whisper").await?;
    hears_just("human, whispered to", &human, &[CALLER, SUPERVISOR]).await?;
    hears_just("caller, beside a whisper", &talk.caller, &[HUMAN]).await?;
    hears_just("supervisor who whispers", &watching, &[CALLER, HUMAN]).await?;

    // By the command line this time.
    let cli = Command::new(tests::binary()?)
        .args(["supervise", &talk.id, &to, "--mode", "barge", "--socket"])
        .arg(stage.daemon.control())
        .output()?;
    ensure!(cli.status.success() && String::from_utf8_lossy(&cli.stdout).contains("(barge): joined"), "{cli:?}");
    hears_just("caller, barged in on", &talk.caller, &[HUMAN, SUPERVISOR]).await?;
    hears_just("human, barged in on", &human, &[CALLER, SUPERVISOR]).await?;

    // Hold music is for the caller alone, and nobody hears what the human's phone plays meanwhile.
    ensure!(human.change("sendonly", LONG).await? == 200);
    hears_just("supervisor, while the human holds", &watching, &[CALLER]).await?;
    ensure!(human.change("sendrecv", LONG).await? == 200);
    hears_just("caller again", &talk.caller, &[HUMAN, SUPERVISOR]).await?;

    let back = stage.control.post(&format!("/v1/calls/{}/handback", talk.id), &json!({})).await?;
    ensure!(back.status == 200, "{back:?}");
    let ai = stage.ai.incoming(LONG).await.context("the AI was not called")?;
    ai.answer();
    hears_just("supervisor, with the AI again", &watching, &[CALLER, AI]).await?;
    hears_just("AI, handed back to", &ai, &[CALLER]).await?;
    hears_just("caller, handed back", &talk.caller, &[AI, SUPERVISOR]).await?;

    ensure!(stage.control.delete(&format!("{path}/supervisor-1")).await?.status == 200);
    is_hung_up(&watching).await?;
    event(&mut talk, "supervisor.left").await?;
    hears_just("caller, alone with the AI", &talk.caller, &[AI]).await?;
    ensure!(talk.caller.changes() == 0, "the caller was sent a re-INVITE");

    talk.caller.hang_up();
    is_hung_up(&ai).await?;
    event(&mut talk, "call.ended").await?;
    stage.until_metric("tandem_ports_in_use", 0.0, LONG).await?;
    stage.until_metric("tandem_supervisors_total", 1.0, LONG).await?;
    let record = record(&stage).await?;
    let leg = record["legs"].as_array().and_then(|legs| legs.iter().find(|leg| leg["party"] == "supervisor"));
    let leg = leg.with_context(|| format!("no supervisor in {record}"))?;
    ensure!(leg["name"] == "supervisor-1" && leg["media"]["packets_sent"].as_u64() > Some(100), "{leg}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_on_when_its_supervisor_declines_and_ends_theirs_when_it_ends() -> Result<()> {
    let (stage, mut talk) = stage(|files| files).await?;
    let boss = Party::bind("boss", own_address().into(), Voice::of(Signal::Tone(SUPERVISOR))).await?;
    let path = format!("/v1/calls/{}/supervise", talk.id);
    let body = json!({ "to": format!("sip:boss@{}", boss.address()), "mode": "barge" });
    ensure!(stage.control.post(&path, &body).await?.status == 202);
    boss.incoming(LONG).await.context("the supervisor was not called")?.refuse(486);
    let failed = event(&mut talk, "supervisor.failed").await?;
    ensure!(failed["data"]["cause"] == "busy" && failed["data"]["sip_code"] == 486, "{failed}");
    hears_just("caller", &talk.caller, &[AI]).await?;
    hears_just("AI", &talk.ai, &[CALLER]).await?;

    ensure!(stage.control.post(&path, &body).await?.status == 202);
    let watching = boss.incoming(LONG).await.context("the supervisor was not called again")?;
    watching.answer();
    event(&mut talk, "supervisor.joined").await?;
    talk.caller.hang_up();
    is_hung_up(&watching).await?;
    let left = event(&mut talk, "supervisor.left").await?;
    ensure!(left["data"]["by"] == "us", "{left}");
    stage.until_metric("tandem_ports_in_use", 0.0, LONG).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ai_introduces_the_caller_stays_as_co_pilot_and_takes_them_back_without_being_dialled() -> Result<()> {
    let (stage, mut talk) = stage(|files| files).await?;
    let body = json!({ "to": "frontdesk", "introduce": { "within": "5m", "press": "#" }, "release_ai": "stay" });
    stage.transfer(&talk.id, body).await?;
    let human = stage.human.incoming(LONG).await.context("no human was called")?;
    human.answer();
    event(&mut talk, "introduction.started").await?;
    hears_just("caller, introduced", &talk.caller, &[AI, HUMAN]).await?;
    hears_just("AI that introduces", &talk.ai, &[CALLER, HUMAN]).await?;
    hears_just("human, introduced", &human, &[CALLER, AI]).await?;

    stage.post_event(&talk.id, json!({ "type": "ready" })).await?;
    let ended = event(&mut talk, "introduction.ended").await?;
    ensure!(ended["data"]["by"] == "ready", "{ended}");
    event(&mut talk, "copilot.started").await?;
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    hears_just("human, with the caller", &human, &[CALLER]).await?;
    hears_just("co-pilot", &talk.ai, &[CALLER, HUMAN]).await?;
    ensure!(human.change("sendonly", LONG).await? == 200);
    hears_just("co-pilot, while the human holds", &talk.ai, &[]).await?;
    ensure!(human.change("sendrecv", LONG).await? == 200);
    hears_just("co-pilot again", &talk.ai, &[CALLER, HUMAN]).await?;

    stage.post_event(&talk.id, json!({ "type": "summary", "text": "Wants a refund." })).await?;
    let told = event(&mut talk, "copilot.event").await?;
    ensure!(told["data"]["event"]["text"] == "Wants a refund." && told["data"]["leg"] == "human-1", "{told}");

    let back = stage.control.post(&format!("/v1/calls/{}/handback", talk.id), &json!({})).await?;
    ensure!(back.status == 200, "{back:?}");
    is_hung_up(&human).await?;
    hears_just("caller, handed back", &talk.caller, &[AI]).await?;
    hears_just("AI, handed back to", &talk.ai, &[CALLER]).await?;
    talk.caller.hang_up();
    is_hung_up(&talk.ai).await?;
    event(&mut talk, "call.ended").await?;
    let record = record(&stage).await?;
    let ais = record["legs"].as_array().map_or(0, |legs| legs.iter().filter(|leg| leg["party"] == "ai").count());
    ensure!(ais == 1 && record["transfers"][0]["state"] == "bridged", "{record}");
    Ok(())
}

/// The human's key ends an introduction, and the AI leaves where it was not asked to stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_ends_an_introduction_and_the_ai_leaves() -> Result<()> {
    let (stage, mut talk) = stage(|files| files).await?;
    let body = json!({ "to": "frontdesk", "introduce": { "within": "5m", "press": "#" } });
    stage.transfer(&talk.id, body).await?;
    let human = stage.human.incoming(LONG).await.context("no human was called")?;
    human.answer();
    event(&mut talk, "introduction.started").await?;
    hears_just("human, introduced", &human, &[CALLER, AI]).await?;
    human.audio().press('#');
    let ended = event(&mut talk, "introduction.ended").await?;
    ensure!(ended["data"]["by"] == "digit", "{ended}");
    is_hung_up(&talk.ai).await?;
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    hears_just("human, with the caller", &human, &[CALLER]).await?;
    Ok(())
}

/// The call's record, once it is written.
async fn record(stage: &Stage) -> Result<Value> {
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        if let Some(record) = stage.daemon.records().unwrap_or_default().pop() {
            return Ok(record);
        }
        ensure!(tokio::time::Instant::now() < deadline, "no record within {LONG:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn mode(stage: &Stage, path: &str, mode: &str) -> Result<()> {
    let answer = stage.control.patch(&format!("{path}/supervisor-1"), &json!({ "mode": mode })).await?;
    ensure!(answer.status == 200 && answer.body["mode"] == mode, "{answer:?}");
    Ok(())
}

async fn event(talk: &mut Talk, kind: &str) -> Result<Value> {
    talk.events.until(kind, LONG).await.with_context(|| format!("no event {kind} within {LONG:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_hears_nothing_and_whom_a_human_holds_hears_music() -> Result<()> {
    let (stage, talk) = stage(|files| files).await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human.incoming(LONG).await.context("no human was called")?;
    human.answer();
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    hears_just("human, with the caller", &human, &[CALLER]).await?;
    is_hung_up(&talk.ai).await?;
    // To consult somebody, say.
    ensure!(human.change("sendonly", LONG).await? == 200);
    hears_something_else("caller, while the human holds", &talk.caller).await?;
    ensure!(human.change("sendrecv", LONG).await? == 200);
    hears_just("human, back with the caller", &human, &[CALLER]).await?;
    hears_just("caller, back with the human", &talk.caller, &[HUMAN]).await?;
    ensure!(talk.caller.change("sendonly", LONG).await? == 200);
    hears_silence("human, while the caller holds", &human).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_ai_is_lost_hears_music_until_somebody_has_them() -> Result<()> {
    let (stage, talk) = stage(|files| files).await?;
    hears_just("caller, with the AI", &talk.caller, &[AI]).await?;
    talk.ai.hang_up();
    let human = stage.human.incoming(LONG).await.context("no human was called")?;
    human.ring(180);
    hears_something_else("caller, whose AI is lost", &talk.caller).await?;
    human.answer();
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    Ok(())
}
