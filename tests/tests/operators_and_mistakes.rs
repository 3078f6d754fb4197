//! What an operator and an AI's developer get back when they are wrong, and that nothing is lost by it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::fs;
use tests::{Files, SOON, Stage, hears};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_rules_file_leaves_the_old_rules_in_force_and_says_where() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    let path = stage.daemon.folder().join("rules.yaml");
    let good = fs::read_to_string(&path)?;
    fs::write(&path, good.replace("sentiment:", "sentimnt:"))?;
    let answer = stage.control.post("/v1/rules/reload", &json!({})).await?;
    ensure!(answer.status >= 400, "{answer:?}");
    let text = answer.body.to_string();
    let line = good.lines().position(|line| line.contains("sentiment:")).context("the rule")? + 1;
    let mistake = &answer.body["errors"][0];
    ensure!(
        mistake["line"] == line && mistake["file"].as_str().is_some_and(|file| file.ends_with("rules.yaml")),
        "{text}"
    );
    ensure!(mistake["help"].as_str().is_some_and(|help| help.contains("`sentiment`")), "{text}");
    let answer = stage.three_misses(&talk.id).await?;
    ensure!(answer["results"][0]["decision"]["rule"] == "three-misses", "the old rules are gone: {answer}");

    fs::write(&path, good.replace("three-misses", "too-many-misses"))?;
    let answer = stage.control.post("/v1/rules/reload", &json!({})).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let talk = stage.connect().await?;
    let answer = stage.three_misses(&talk.id).await?;
    ensure!(answer["results"][0]["decision"]["rule"] == "too-many-misses", "{answer}");
    Ok(())
}

/// A reload took such a file, and the next start did not: the unit ran `tandem check` first, which a test that fails makes fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_of_the_rules_that_fails_is_told_and_keeps_no_daemon_from_starting() -> Result<()> {
    let wrong = "\ntests:\n  - { name: wrong, steps: [no_match], expect: { rule: three-misses } }\n";
    let stage = Stage::with(|mut files| {
        files.rules.push_str(wrong);
        files
    })
    .await?;
    let told = "the test `wrong`";
    let rules = stage.control.get("/v1/rules").await?;
    ensure!(rules.body["warnings"].to_string().contains(told), "{rules:?}");
    let answer = stage.control.post("/v1/rules/reload", &json!({})).await?;
    ensure!(answer.status == 200 && answer.body["warnings"].to_string().contains(told), "{answer:?}");
    ensure!(stage.daemon.log().contains(told), "{}", stage.daemon.log());
    let unit = fs::read_to_string(tests::root().join("systemd/tandem.service"))?;
    ensure!(!unit.contains("tandem check"), "the unit asks more than the daemon does");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_answered_with_problem_documents() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    let events = format!("/v1/calls/{}/events", talk.id);
    let answer = stage.control.post_raw(&events, "{\"type\": ").await?;
    ensure!(answer.status == 400 && answer.body["title"].is_string(), "{answer:?}");
    let unknown =
        stage.control.post("/v1/calls/c_01ARZ3NDEKTSV4RRFFQ69G5FAV/events", &json!({ "type": "no_match" })).await?;
    ensure!(unknown.status == 404 && unknown.body["title"].is_string(), "{unknown:?}");
    let odd = stage.control.post(&events, &json!({ "type": "sentimnt" })).await?;
    ensure!(odd.status == 422 && odd.body.to_string().contains("sentiment"), "{odd:?}");
    let loud = stage.control.post(&events, &json!({ "type": "sentiment", "score": 7 })).await?;
    ensure!(loud.status == 422, "{loud:?}");

    let first = stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let path = format!("/v1/calls/{}/transfer", talk.id);
    let second = stage.control.post(&path, &json!({ "to": "retention" })).await?;
    ensure!(second.status == 409 && second.body.to_string().contains(&first), "{second:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_makes_one_transfer_of_two_requests() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    let path = format!("/v1/calls/{}/transfer", talk.id);
    let body = json!({ "to": "frontdesk" });
    let key = [("Idempotency-Key", "k-1")];
    let one = stage.control.post_with(&path, &body, &key).await?;
    let two = stage.control.post_with(&path, &body, &key).await?;
    ensure!(one.status == 202 && two.status == 202 && one.body["id"] == two.body["id"], "{one:?} {two:?}");
    let cancel = stage.control.delete(&format!("/v1/transfers/{}", one.body["id"].as_str().context("an id")?)).await?;
    ensure!(cancel.status == 200, "{cancel:?}");
    hears(&talk.caller, &talk.ai).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_waits_for_the_outcome_when_asked() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    let path = format!("/v1/calls/{}/transfer?wait=20s", talk.id);
    let body = json!({ "to": "frontdesk" });
    let (answer, human) = tokio::join!(stage.control.post(&path, &body), stage.human.incoming(SOON));
    drop(human);
    let answer = answer?;
    ensure!(answer.body["state"] == "failed" && answer.body["cause"] == "no_answer", "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_describes_itself_and_says_that_it_is_well() -> Result<()> {
    let stage = Stage::new().await?;
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/v1/calls", "/v1/rules"] {
        let answer = stage.control.get(path).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
    }
    let answer = stage.control.get("/openapi.json").await?;
    ensure!(answer.body["paths"]["/v1/calls/{id}/events"].is_object(), "{answer:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_every_call_and_loses_no_record() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talks = Vec::new();
    for _ in 0..20 {
        talks.push(stage.connect().await?);
    }
    let Stage { daemon, caller: _caller, ai: _ai, .. } = stage;
    let folder = daemon.stop().await?;
    let records = fs::read_to_string(folder.path().join("cdr.jsonl"))?;
    for talk in &talks {
        talk.caller.ended(SOON).await.context("the caller got no BYE")?;
        talk.ai.ended(SOON).await.context("the AI got no BYE")?;
        ensure!(records.contains(&talk.id), "no record of {}", talk.id);
    }
    ensure!(records.lines().count() == 20, "{} records of 20 calls", records.lines().count());
    for line in records.lines() {
        let record: serde_json::Value = serde_json::from_str(line)?;
        ensure!(record["cause"] == "shutdown", "{record}");
    }
    Ok(())
}

/// The daemon waited out `limits.shutdown` although every BYE was answered, and so made each restart longer than it had to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_as_soon_as_nothing_is_owed_any_more() -> Result<()> {
    let stage = Stage::with(|files| {
        let configuration =
            files.configuration.replace("calls_per_second: 1000", "calls_per_second: 1000, shutdown: 30s");
        Files { configuration, ..files }
    })
    .await?;
    let talk = stage.connect().await?;
    let Stage { daemon, caller: _caller, ai: _ai, .. } = stage;
    // It must end within ten seconds of its thirty.
    let folder = daemon.stop().await?;
    talk.caller.ended(SOON).await.context("the caller got no BYE")?;
    talk.ai.ended(SOON).await.context("the AI got no BYE")?;
    ensure!(fs::read_to_string(folder.path().join("cdr.jsonl"))?.contains(&talk.id), "no record");
    Ok(())
}
