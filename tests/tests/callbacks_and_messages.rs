//! Whom nobody could take is called back and what they left is read, whatever becomes of the daemon in the meantime.

use anyhow::{Context, Result, ensure};
use parties::io::{ControlClient, Party, Voice};
use serde_json::{Value, json};
use std::{fs, process::Command, time::Duration};
use tests::{CALLER_SAYS, Files, SOON, Stage, Talk, binary, hears, is_hung_up, own_address};

/// A prompt is heard out, and a disk that is tried again is found, within this.
const LATER: Duration = Duration::from_secs(30);

/// Two agents; whoever rings at the front desk in vain is called back through `world`, or leaves a message.
fn files(files: &Files, world: &Party, human: &str) -> Files {
    let configuration =
        files.configuration.replace(&format!("address: {human}"), &format!("address: {}", world.address()))
            + "callbacks: { allow: [\"+49\"] }\nagents:\n  rest: 1s\n  static:\n"
            + &format!("    anna: {{ dial: \"sip:anna@{human}\" }}\n    ben: {{ dial: \"sip:ben@{human}\" }}\n");
    let desk = format!("{{ dial: \"sip:frontdesk@{human}\" }}");
    let chain =
        format!("{{ dial: \"sip:frontdesk@{human}\", on_failure: {{ no_answer: [callback], else: [message] }} }}");
    Files { configuration, rules: files.rules.replace(&desk, &chain) }
}

async fn stage() -> Result<(Stage, Party)> {
    let world = Party::bind("world", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let stage = Stage::with(|standard| {
        let human =
            standard.configuration.lines().find_map(|line| line.strip_prefix("    address: ")).map(str::to_owned);
        files(&standard, &world, &human.unwrap_or_default())
    })
    .await?;
    Ok((stage, world))
}

async fn body(control: &ControlClient, path: &str) -> Result<Value> {
    let answer = control.get(path).await?;
    ensure!(answer.status == 200, "{path} was answered {}: {}", answer.status, answer.body);
    Ok(answer.body)
}

async fn act(control: &ControlClient, id: &str, action: &str, body: Value) -> Result<(u16, Value)> {
    let answer = control.post(&format!("/v1/callbacks/{id}/{action}"), &body).await?;
    Ok((answer.status, answer.body))
}

/// Waits until a callback is in a state.
async fn until_callback(control: &ControlClient, id: &str, state: &str) -> Result<Value> {
    let deadline = tokio::time::Instant::now() + LATER;
    loop {
        let callback = body(control, &format!("/v1/callbacks/{id}")).await?;
        if callback["state"] == state {
            return Ok(callback);
        }
        ensure!(tokio::time::Instant::now() < deadline, "it is not {state}: {callback}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the ledger has a call's record: whatever was to be kept before it is kept, too.
async fn until_recorded(control: &ControlClient, call: &str) -> Result<Value> {
    let deadline = tokio::time::Instant::now() + LATER;
    loop {
        let answer = control.get(&format!("/v1/calls/{call}/record")).await?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        ensure!(tokio::time::Instant::now() < deadline, "there is no record: {} {}", answer.status, answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A caller who talks with the AI, is transferred to the front desk, and hears it ring until nobody answers.
async fn missed(stage: &Stage) -> Result<(Talk, String)> {
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    stage.human_rings().await?.ring(180);
    let requested = talk.event("callback.requested").await?;
    let id = requested["data"]["callback"].as_str().context("an id")?.to_owned();
    Ok((talk, id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_and_a_message_survive_kill_9_and_the_agent_is_rung_first_then_the_caller() -> Result<()> {
    let (mut stage, world) = stage().await?;
    let mut talk = stage.talk().await?;
    let left = stage.post_event(&talk.id, json!({ "type": "message", "text": "please send the invoice" })).await?;
    ensure!(left["results"][0]["kept"]["message"].is_string(), "{left}");
    stage.post_event(&talk.id, json!({ "type": "context", "customer_name": "Ann" })).await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    stage.human_rings().await?.ring(180);
    let requested = talk.event("callback.requested").await?;
    ensure!(requested["data"]["reason"] == "no_answer", "{requested}");
    let id = requested["data"]["callback"].as_str().context("an id")?.to_owned();
    talk.caller.ended(LATER).await.context("the call ends when the caller has been told")?;
    let record = until_recorded(&stage.control, &talk.id).await?;
    ensure!(record["cause"] == "callback" && record["transfers"][0]["state"] == "callback", "{record}");
    let before = body(&stage.control, "/v1/callbacks?state=open").await?;
    ensure!(before["callbacks"].as_array().is_some_and(|list| list.len() == 1), "{before}");

    stage.daemon.kill_and_start_again().await?;
    let after = body(&stage.control, "/v1/callbacks?state=open").await?;
    ensure!(after == before, "before: {before}\nafter: {after}");
    ensure!(until_recorded(&stage.control, &talk.id).await? == record);
    let messages = body(&stage.control, "/v1/messages?unread=true").await?;
    ensure!(messages["messages"][0]["text"] == "please send the invoice", "{messages}");
    let message = messages["messages"][0]["id"].as_str().context("an id")?.to_owned();

    let (status, claimed) = act(&stage.control, &id, "claim", json!({ "agent": "anna" })).await?;
    ensure!(status == 200 && claimed["agent"] == "anna", "{claimed}");
    ensure!(act(&stage.control, &id, "claim", json!({ "agent": "ben" })).await?.0 == 409, "anna has it");
    let (status, dialled) = act(&stage.control, &id, "dial", json!({})).await?;
    ensure!(status == 202 && dialled["tries"] == 1, "{dialled}");
    let call = dialled["tried_in"].as_str().context("the call's id")?.to_owned();
    let agent = stage.human_rings().await?;
    ensure!(agent.invite().uri().is_some_and(|uri| uri.starts_with("sip:anna@")), "{:?}", agent.invite().uri());
    ensure!(agent.header("X-Tandem-Context-Customer-Name").is_some(), "{:?}", agent.invite().headers);
    ensure!(act(&stage.control, &id, "dial", json!({})).await?.0 == 409, "it is being dialled");
    ensure!(world.incoming(Duration::from_millis(300)).await.is_none(), "the caller is called for nobody");
    agent.ring(180);
    agent.answer();
    agent.answered(SOON).await?;
    let called = world.incoming(SOON).await.context("the caller was not called")?;
    called.ring(180);
    tokio::time::timeout(SOON, agent.audio().hears(20)).await.context("the agent hears no ringing")?;
    called.answer();
    called.answered(SOON).await?;
    hears(&agent, &called).await?;
    hears(&called, &agent).await?;
    ensure!(until_callback(&stage.control, &id, "done").await?["outcome"] == "connected");
    agent.hang_up();
    is_hung_up(&called).await?;
    let record = until_recorded(&stage.control, &call).await?;
    ensure!(record["callback"] == id.as_str() && record["from"] == "+493055512345", "{record}");

    for (arguments, expected) in
        [(vec!["callbacks", "--json"], id.as_str()), (vec!["messages", &message, "read", "--json"], "invoice")]
    {
        let socket = stage.daemon.control();
        let output = Command::new(binary()?).args(&arguments).arg("--socket").arg(socket).output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success() && told.contains(expected), "{arguments:?}: {output:?}");
    }
    let unread = body(&stage.control, "/v1/messages?unread=true").await?;
    ensure!(unread["messages"] == json!([]), "{unread}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_who_does_not_take_a_callback_leaves_it_in_the_list() -> Result<()> {
    let (stage, world) = stage().await?;
    let (_talk, id) = missed(&stage).await?;
    let (status, dialled) = act(&stage.control, &id, "dial", json!({ "agent": "ben" })).await?;
    ensure!(status == 202, "{dialled}");
    stage.human_rings().await?.refuse(486);
    let callback = until_callback(&stage.control, &id, "open").await?;
    ensure!(callback["tries"] == 1 && callback["outcome"] == "agent: busy", "{callback}");
    let (status, dialled) = act(&stage.control, &id, "dial", json!({ "agent": "anna" })).await?;
    ensure!(status == 202, "{dialled}");
    let agent = stage.human_rings().await?;
    agent.answer();
    agent.answered(SOON).await?;
    world.incoming(SOON).await.context("the caller was not called")?.refuse(486);
    is_hung_up(&agent).await?;
    let callback = until_callback(&stage.control, &id, "claimed").await?;
    ensure!(callback["tries"] == 2 && callback["outcome"] == "caller: busy", "{callback}");
    ensure!(callback["agent"] == "anna", "{callback}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_number_is_withheld_is_back_with_the_ai_and_a_busy_desk_means_a_message() -> Result<()> {
    let (stage, _world) = stage().await?;
    let caller = stage.caller.call("anonymous", "support", stage.sip()).await?;
    let ai = stage.ai_rings().await?;
    ai.answer();
    caller.answered(SOON).await?;
    let id = ai.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
    let mut events = stage.control.subscribe(&format!("call={id}")).await?;
    stage.transfer(&id, json!({ "to": "frontdesk" })).await?;
    stage.human_rings().await?.ring(180);
    let failed = events.until_that(LATER, |event| event["data"]["destination"] == "callback").await;
    ensure!(failed.as_ref().is_some_and(|event| event["data"]["cause"] == "unreachable"), "{failed:?}");
    hears(&caller, &ai).await?;
    ensure!(body(&stage.control, "/v1/callbacks").await?["callbacks"] == json!([]));
    stage.transfer(&id, json!({ "to": "frontdesk" })).await?;
    stage.human_rings().await?.refuse(486);
    events.until("message.wanted", SOON).await.context("the AI is not told to take a message")?;
    hears(&caller, &ai).await?;
    caller.hang_up();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_said_survives_kill_9() -> Result<()> {
    let (mut stage, _world) = stage().await?;
    let answer = stage.control.patch("/v1/agents/anna", &json!({ "presence": "away" })).await?;
    ensure!(answer.status == 200, "{}", answer.body);
    stage.until_metric("tandem_ledger_written_total", 1.0, LATER).await?;
    stage.daemon.kill_and_start_again().await?;
    let anna = body(&stage.control, "/v1/agents/anna").await?;
    ensure!(anna["presence"] == "away" && anna["state"] == "away", "{anna}");
    let ben = body(&stage.control, "/v1/agents/ben").await?;
    ensure!(ben["presence"] == "available", "{ben}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_ledger_is_told_costs_no_call_and_is_begun_anew_when_it_is_moved_away() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ledger.db");
    fs::write(&path, "this was a ledger once\n".repeat(500))?;
    let own = format!("ledger: {{ path: {} }}", path.display());
    let world = Party::bind("world", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let stage = Stage::with(|standard| {
        let human =
            standard.configuration.lines().find_map(|line| line.strip_prefix("    address: ")).map(str::to_owned);
        let mut files = files(&standard, &world, &human.unwrap_or_default());
        files.configuration = files.configuration.replace("ledger: { path: ledger.db }", &own);
        files
    })
    .await?;
    ensure!(stage.daemon.log().contains("move it away"), "{}", stage.daemon.log());
    ensure!(body(&stage.control, "/healthz").await?["ledger"] == "failing");
    ensure!(stage.metric("tandem_ledger_up").await? == 0.0);
    ensure!(stage.control.get("/v1/messages").await?.status == 503);
    // A call goes its whole way all the same.
    let (_talk, id) = missed(&stage).await?;
    ensure!(until_callback(&stage.control, &id, "open").await?["tries"] == 0);
    fs::rename(&path, folder.path().join("damaged.db"))?;
    stage.until_metric("tandem_ledger_up", 1.0, LATER).await?;
    ensure!(body(&stage.control, "/healthz").await?["ledger"] == "working");
    ensure!(body(&stage.control, "/v1/messages").await?["messages"] == json!([]));
    let mut stage = stage;
    stage.daemon.kill_and_start_again().await?;
    ensure!(until_callback(&stage.control, &id, "open").await?["number"] == "+493055512345");
    Ok(())
}
