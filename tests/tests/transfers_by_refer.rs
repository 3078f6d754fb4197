//! Transfers that a party asks for over SIP: the AI, the human's phone, and a phone with two calls (RFC 5589).

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::{Files, SOON, Stage, Talk, hears, hears_nothing_of, is_hung_up};

/// A caller with a human, by command.
async fn with_human(stage: &Stage) -> Result<(Talk, parties::io::Call)> {
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk", "mode": "cold" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    hears(&talk.caller, &human).await?;
    talk.event("transfer.bridged").await?;
    Ok((talk, human))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ai_refers_the_caller_to_a_destination_and_is_told_the_outcome() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talk = stage.talk().await?;
    talk.ai.refer(&format!("<sip:retention@{}>", stage.sip()));
    let started = talk.event("transfer.started").await?;
    ensure!(started["data"]["source"]["by"] == "refer" && started["data"]["to"] == "retention", "{started}");
    let human = stage.human_rings().await?;
    human.ring(180);
    human.answer();
    human.answered(SOON).await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    ensure!(talk.ai.referred(SOON).await == Some(200), "the AI was told {:?}", talk.ai.notified());
    is_hung_up(&talk.ai).await?;
    ensure!(talk.ai.notified() == [100, 180, 200], "{:?}", talk.ai.notified());
    ensure!(talk.caller.changes() == 0, "the caller was sent a re-INVITE");
    talk.caller.hang_up();
    is_hung_up(&human).await?;
    let folder = stage.daemon.stop().await?;
    let record = std::fs::read_to_string(folder.path().join("cdr.jsonl"))?;
    let record: serde_json::Value = serde_json::from_str(record.lines().next().context("no CDR line")?)?;
    let source = &record["transfers"][0]["source"];
    ensure!(source["by"] == "refer" && source["leg"] == "ai-1", "{record}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_human_transfers_the_caller_on_by_their_phone_and_has_them_back_when_it_fails() -> Result<()> {
    let stage = Stage::new().await?;
    let (talk, human) = with_human(&stage).await?;
    human.refer(&format!("<sip:closer@{}>", stage.human.address()));
    let busy = stage.human_rings().await?;
    hears_nothing_of(&talk.caller, &human).await?;
    busy.refuse(486);
    ensure!(human.referred(SOON).await == Some(486), "the human was told {:?}", human.notified());
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    human.refer("<sip:retention@pbx.invalid>");
    let other = stage.human_rings().await?;
    other.answer();
    other.answered(SOON).await?;
    hears(&talk.caller, &other).await?;
    is_hung_up(&human).await?;
    talk.caller.hang_up();
    is_hung_up(&other).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_joins_its_caller_with_the_colleague_it_called() -> Result<()> {
    let stage = Stage::new().await?;
    let (mut talk, human) = with_human(&stage).await?;
    // The human calls through us, reaches the AI, and has it put them through to a colleague.
    let consult = stage.human.call("anna", "support", stage.sip()).await?;
    let ai = stage.ai_rings().await?;
    ai.answer();
    consult.answered(SOON).await?;
    let second = ai.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
    stage.transfer(&second, json!({ "to": "closer", "mode": "cold", "accept": "none" })).await?;
    let colleague = stage.human_rings().await?;
    colleague.answer();
    colleague.answered(SOON).await?;
    hears(&consult, &colleague).await?;
    human.refer(&format!("<sip:{}?Replaces={}>", stage.sip(), consult.replaces()));
    hears(&talk.caller, &colleague).await?;
    hears(&colleague, &talk.caller).await?;
    is_hung_up(&human).await?;
    is_hung_up(&consult).await?;
    ensure!(human.referred(SOON).await == Some(200), "the human was told {:?}", human.notified());
    let joined = talk.event("leg.joined").await?;
    ensure!(joined["data"]["from"] == second.as_str(), "{joined}");
    talk.caller.hang_up();
    is_hung_up(&colleague).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_callers_trunk_calls_them_away_or_the_same_transfer_is_bridged() -> Result<()> {
    let may = |files: Files| {
        let configuration = files.configuration.replace("trusted: true", "trusted: true\n    refer: may");
        Files { configuration, ..files }
    };
    let stage = Stage::with(may).await?;
    let cold = json!({ "to": "frontdesk", "mode": "cold", "cold_by": "refer" });
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, cold.clone()).await?;
    let to = talk.caller.asked_to_call(SOON).await.context("the trunk was not asked")?;
    ensure!(to == format!("<sip:frontdesk@{}>", stage.human.address()), "{to}");
    is_hung_up(&talk.ai).await?;
    talk.caller.notify(100);
    talk.caller.notify(486);
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["cause"] == "busy" && failed["data"]["next"] == "bridging", "{failed}");
    let human = stage.human_rings().await?;
    human.answer();
    hears(&talk.caller, &human).await?;
    talk.caller.hang_up();
    is_hung_up(&human).await?;

    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, cold).await?;
    talk.caller.asked_to_call(SOON).await.context("the trunk was not asked")?;
    talk.caller.notify(180);
    talk.caller.notify(200);
    talk.event("transfer.referred").await?;
    is_hung_up(&talk.caller).await?;
    let folder = stage.daemon.stop().await?;
    let records = std::fs::read_to_string(folder.path().join("cdr.jsonl"))?;
    let last: serde_json::Value = serde_json::from_str(records.lines().last().context("no CDR line")?)?;
    ensure!(last["cause"] == "referred" && last["transfers"][0]["state"] == "referred", "{last}");
    Ok(())
}
