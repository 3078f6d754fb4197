//! Somebody is called through a trunk: an AI has them in the moment they answer, a rule hands them to a human, and whatever ends it leaves nothing behind.

use anyhow::{Context, Result, ensure};
use parties::io::{Call, Party, Voice};
use serde_json::{Value, json};
use std::process::Command;
use tests::{CALLER_SAYS, SOON, Stage, binary, hears, hears_nothing_of, is_hung_up, own_address};

/// A daemon whose carrier is `world`: whoever is called is one of its users.
async fn stage(more: &str) -> Result<(Stage, Party)> {
    let world = Party::bind("world", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let stage = Stage::with(|mut files| {
        let human = files.configuration.lines().find_map(|line| line.strip_prefix("    address: ")).map(str::to_owned);
        let carrier = format!("address: {}", human.unwrap_or_default());
        files.configuration = files.configuration.replace(&carrier, &format!("address: {}", world.address()))
            + "outbound: { from: \"+4930900\" }\n"
            + more;
        files
    })
    .await?;
    Ok((stage, world))
}

async fn place(stage: &Stage, path: &str, body: Value) -> Result<(u16, Value)> {
    let answer = stage.control.post(path, &body).await?;
    Ok((answer.status, answer.body))
}

async fn person_rings(world: &Party) -> Result<Call> {
    world.incoming(SOON).await.context("nobody was called")
}

/// Nothing of any call is left.
async fn nothing_is_left(stage: &Stage) -> Result<()> {
    for gauge in ["tandem_calls_active", "tandem_ports_in_use"] {
        stage.until_metric(gauge, 0.0, SOON * 2).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_an_ai_a_human_and_one_recording_from_the_answer_to_the_goodbye() -> Result<()> {
    let recording = "recording: { when: answer, directory: recordings }\n";
    let (stage, world) = stage(recording).await?;
    let mut events = stage.control.subscribe("").await?;
    let output = Command::new(binary()?)
        .args(["call", "tel:+493055512345", "--ai", "agent", "-c", "customer_name=Ada", "--tag", "gold", "--json"])
        .arg("--socket")
        .arg(stage.daemon.control())
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let placed: Value = serde_json::from_slice(&output.stdout)?;
    let id = placed["call"].as_str().context("the call's id")?.to_owned();
    ensure!(placed["over"] == false && placed["state"] == "connecting", "{placed}");

    let person = person_rings(&world).await?;
    ensure!(person.invite().uri().is_some_and(|uri| uri.contains("+493055512345")), "{:?}", person.invite().uri());
    ensure!(person.header("From").is_some_and(|from| from.contains("+4930900")), "{:?}", person.header("From"));
    let traces = person.invite().headers.iter().any(|(name, _)| name.starts_with("X-Tandem"));
    ensure!(!traces, "what is ours reaches nobody outside: {:?}", person.invite().headers);
    person.ring(180);
    let ai = stage.ai_rings().await?;
    ensure!(ai.header("X-Tandem-Direction") == Some("outbound"), "{:?}", ai.invite().headers);
    ensure!(ai.header("X-Tandem-Context-Customer-Name") == Some("Ada"), "{:?}", ai.invite().headers);
    ai.answer();
    ai.answered(SOON).await?;
    tokio::time::timeout(SOON, ai.audio().hears(20)).await.context("the AI that waits is sent nothing")?;
    person.answer();
    person.answered(SOON).await?;
    hears(&person, &ai).await?;
    hears(&ai, &person).await?;
    ensure!(events.until("call.answered", SOON).await.is_some() && events.until("ai.connected", SOON).await.is_some());

    stage.post_event(&id, json!({ "type": "intent", "name": "card_stolen", "confidence": 0.9 })).await?;
    let human = stage.human_rings().await?;
    ensure!(human.header("X-Tandem-Call-Id") == Some(id.as_str()), "{:?}", human.invite().headers);
    human.answer();
    events.until("transfer.bridged", SOON).await.context("no bridge")?;
    hears(&person, &human).await?;
    hears(&human, &person).await?;
    is_hung_up(&ai).await?;
    human.hang_up();
    is_hung_up(&person).await?;
    let finished = events.until("recording.finished", SOON).await.context("no recording")?;
    ensure!(finished["data"]["complete"] == true, "{finished}");
    nothing_is_left(&stage).await?;

    let record = stage.daemon.records()?.pop().context("no record")?;
    ensure!(record["direction"] == "outbound" && record["trunk"] == "carrier", "{record}");
    ensure!(record["from"] == "+493055512345" && record["to"] == "+4930900", "{record}");
    ensure!(record["cause"] == "human_hung_up" && record["tags"] == json!(["gold"]), "{record}");
    let lasted = record["duration_ms"].as_u64().context("no duration")?;
    let kept = finished["data"]["duration_ms"].as_u64().context("no duration")?;
    ensure!(kept.abs_diff(lasted) <= 60, "{kept} ms were recorded of a call of {lasted} ms");
    ensure!((stage.metric("tandem_outbound_calls_total").await? - 1.0).abs() < f64::EPSILON);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ai_hears_nothing_of_the_network_before_the_answer_and_goes_when_nobody_answers() -> Result<()> {
    let (stage, world) = stage("").await?;
    let mut events = stage.control.subscribe("type=call.*").await?;
    let waits = stage.control.clone();
    let asked = tokio::spawn(async move {
        waits.post("/v1/calls?wait=60s", &json!({ "to": "tel:+493055512345", "intent": "reminder" })).await
    });
    let person = person_rings(&world).await?;
    person.ring(180);
    let ai = stage.ai_rings().await?;
    ai.answer();
    ai.answered(SOON).await?;
    person.talk_early();
    hears_nothing_of(&ai, &person).await?;
    person.refuse(486);
    let answer = asked.await??;
    ensure!(answer.status == 200, "{}", answer.body);
    ensure!(answer.body["over"] == true && answer.body["failure"] == "busy", "{}", answer.body);
    ensure!(answer.body["cause"] == "not_reached" && answer.body["sip_code"] == 486, "{}", answer.body);
    is_hung_up(&ai).await?;
    let ended = events.until("call.ended", SOON).await.context("no end")?;
    ensure!(ended["data"]["failure"] == "busy", "{ended}");
    nothing_is_left(&stage).await
}

/// The person answers in the moment in which we give up: their 200 crosses our CANCEL (RFC 3261 section 9.1).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_9_1_an_answer_that_crosses_a_hang_up_is_ended_and_leaves_nothing() -> Result<()> {
    let (stage, world) = stage("").await?;
    for _ in 0..5 {
        let (status, placed) = place(&stage, "/v1/calls", json!({ "to": "tel:+493055512345" })).await?;
        ensure!(status == 202, "{placed}");
        let person = person_rings(&world).await?;
        person.ring(180);
        let ai = stage.ai_rings().await?;
        let path = format!("/v1/calls/{}/hangup", placed["call"].as_str().context("an id")?);
        let (nothing, control) = (json!({}), stage.control.clone());
        let hangup = tokio::spawn(async move { control.post(&path, &nothing).await });
        person.answer();
        let answer = hangup.await??;
        ensure!(answer.status == 200, "{}", answer.body);
        person.ended(SOON).await.context("the person is left in a call with nobody")?;
        ai.ended(SOON).await.context("the AI is left")?;
    }
    nothing_is_left(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_gets_whoever_answers_and_an_ai_where_it_cannot() -> Result<()> {
    let (stage, world) = stage("").await?;
    let body = json!({ "to": "tel:+493055512345", "connect": "frontdesk" });
    let (status, placed) = place(&stage, "/v1/calls", body).await?;
    ensure!(status == 202, "{placed}");
    let person = person_rings(&world).await?;
    person.ring(180);
    person.answer();
    person.answered(SOON).await?;
    stage.human_rings().await?.refuse(486);
    let ai = stage.ai_rings().await?;
    ensure!(ai.header("X-Tandem-Cause") == Some("busy"), "{:?}", ai.invite().headers);
    ai.answer();
    hears(&person, &ai).await?;
    person.hang_up();
    is_hung_up(&ai).await?;
    nothing_is_left(&stage).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_is_refused_outside_its_hours_and_above_its_caps_and_counted() -> Result<()> {
    let never = "hours: { never: { timezone: Europe/Berlin, open: { mon: [\"00:00-00:01\"] }, except: {} } }";
    let world = Party::bind("world", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let stage = Stage::with(|mut files| {
        let human = files.configuration.lines().find_map(|line| line.strip_prefix("    address: ")).map(str::to_owned);
        let carrier = format!("address: {}", human.unwrap_or_default());
        files.configuration = files.configuration.replace(&carrier, &format!("address: {}", world.address()))
            + "campaigns:\n  small: { from: \"+4930901\", max_at_once: 1 }\n  night: { from: \"+4930901\", hours: never }\n";
        files.rules = files.rules.replace("defaults:\n", &format!("{never}\ndefaults:\n"));
        files
    })
    .await?;
    let call = |campaign: &str| json!({ "to": "tel:+493055512345", "campaign": campaign });
    let monday_midnight = stage.control.post("/v1/calls", &call("night")).await?;
    // One minute of the week it is open.
    if monday_midnight.status != 202 {
        ensure!(monday_midnight.status == 409, "{}", monday_midnight.body);
        ensure!(monday_midnight.body["type"] == "urn:tandem:problem:outside-hours", "{}", monday_midnight.body);
        ensure!(monday_midnight.body["retry_after"].as_u64().is_some_and(|wait| wait > 0), "{}", monday_midnight.body);
    }
    let (status, placed) = place(&stage, "/v1/calls", call("small")).await?;
    ensure!(status == 202, "{placed}");
    let person = person_rings(&world).await?;
    let (status, refused) = place(&stage, "/v1/calls", call("small")).await?;
    ensure!(status == 429 && refused["retry_after"] == 5, "{refused}");
    person.refuse(603);
    nothing_is_left(&stage).await?;
    let metrics = stage.control.get("/metrics").await?.body;
    let text = metrics.as_str().context("text")?;
    for line in [
        "tandem_outbound_calls_total{campaign=\"small\",outcome=\"declined\"} 1",
        "tandem_outbound_refused_total{campaign=\"small\",reason=\"at_once\"} 1",
    ] {
        ensure!(text.contains(line), "{line} is missing");
    }
    Ok(())
}
