//! Each kind of event triggers its rule, and an event that decides nothing says why, rule by rule.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::{SOON, Stage, hears};

/// Posts these events and returns the last answer's only result.
async fn last(stage: &Stage, call: &str, events: &[Value]) -> Result<Value> {
    let mut answer = Value::Null;
    for event in events {
        answer = stage.post_event(call, event.clone()).await?;
    }
    Ok(answer["results"][0].clone())
}

async fn triggers(rule: &str, user: &str, events: &[Value]) -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    for (at, _) in events.iter().enumerate().skip(1) {
        let early = last(&stage, &talk.id, &events[at - 1..at]).await?;
        ensure!(early["decision"].is_null(), "event {at} decided already: {early}");
    }
    let result = last(&stage, &talk.id, &events[events.len() - 1..]).await?;
    ensure!(result["decision"]["rule"] == rule, "{result}");
    let human = stage.human_rings().await?;
    let uri = human.invite().uri().context("a request")?.to_owned();
    ensure!(uri.starts_with(&format!("sip:{user}@")), "{uri} was dialled");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_low_sentiments_call_retention() -> Result<()> {
    let low = json!({ "type": "sentiment", "score": -0.8 });
    triggers("angry-caller", "retention", &[low.clone(), low]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certain_intent_calls_the_fraud_desk_and_an_uncertain_one_does_not() -> Result<()> {
    let intent = |confidence: f64| json!({ "type": "intent", "name": "unknown_transaction", "confidence": confidence });
    triggers("unknown-transaction", "fraud", &[intent(0.4), intent(0.7)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_failed_verifications_call_verification() -> Result<()> {
    let failed = json!({ "type": "auth_failed" });
    triggers("locked-out", "verification", &[failed.clone(), failed]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_big_lead_on_the_enterprise_plan_calls_the_closer() -> Result<()> {
    let events = [
        json!({ "type": "intent", "name": "enterprise_plan", "confidence": 0.9 }),
        json!({ "type": "lead", "value": 20000, "plan": "enterprise" }),
    ];
    triggers("big-lead", "closer", &events).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_matches_nothing_says_why_not_rule_by_rule() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    let result = last(&stage, &talk.id, &[json!({ "type": "no_match" })]).await?;
    ensure!(result["decision"].is_null(), "{result}");
    let explanation = result["explanation"].to_string();
    for rule in ["unknown-transaction", "angry-caller", "three-misses", "big-lead", "locked-out"] {
        ensure!(explanation.contains(rule), "{rule} is not explained: {explanation}");
    }
    ensure!(explanation.contains("retries"), "the value compared is not named: {explanation}");
    Ok(())
}

/// The time of an evaluation was never measured, and of the rules only those that decide were counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_say_how_long_events_took_and_which_rules_acted() -> Result<()> {
    let stage = Stage::with(|mut files| {
        let both = "\nrules:\n  - { id: noted, when: { event: summary }, tag: [noted, again], set: { told: true } }\n";
        files.rules = files.rules.replacen("\nrules:\n", both, 1);
        files
    })
    .await?;
    let talk = stage.connect().await?;
    stage
        .post_event(&talk.id, json!([{ "type": "summary", "text": "Wants a refund." }, { "type": "no_match" }]))
        .await?;
    stage.until_metric("tandem_policy_evaluation_seconds_count", 2.0, SOON).await?;
    stage.until_metric("tandem_rule_matches_total", 1.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_decision_the_rest_of_an_array_is_only_folded() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.connect().await?;
    let miss = json!({ "type": "no_match" });
    let low = json!({ "type": "sentiment", "score": -0.9 });
    let answer = stage.post_event(&talk.id, json!([miss, miss, miss, low, low])).await?;
    let rules: Vec<&Value> = answer["results"]
        .as_array()
        .context("results")?
        .iter()
        .map(|result| &result["decision"]["rule"])
        .filter(|rule| !rule.is_null())
        .collect();
    ensure!(rules == ["three-misses"], "{rules:?} of {answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_transfers_warm_to_a_sip_uri_and_cold_to_a_number_through_the_trunk() -> Result<()> {
    let stage = Stage::new().await?;
    let talk = stage.talk().await?;
    let target = format!("sip:anna@{}", stage.human.address());
    run(&stage, &["transfer", &talk.id, &target, "--mode", "warm"])?;
    let anna = stage.human_rings().await?;
    ensure!(anna.invite().uri() == Some(target.as_str()), "{:?} was dialled", anna.invite().uri());
    anna.answer();
    anna.answered(SOON).await?;
    hears(&talk.caller, &anna).await?;

    let talk = stage.talk().await?;
    run(&stage, &["transfer", &talk.id, "tel:+15550199", "--mode", "cold"])?;
    let closer = stage.human_rings().await?;
    let uri = closer.invite().uri().context("a request")?.to_owned();
    ensure!(uri.contains("15550199"), "{uri} was dialled");
    closer.answer();
    closer.answered(SOON).await?;
    hears(&talk.caller, &closer).await?;
    hears(&closer, &talk.caller).await?;
    Ok(())
}

/// Runs the command line against the stage's daemon; it must succeed.
fn run(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let output = std::process::Command::new(tests::binary()?)
        .args(arguments)
        .arg("--socket")
        .arg(stage.daemon.control())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "tandem {arguments:?}: {printed}");
    Ok(printed)
}
