//! Agents' phones register with the daemon. A rule dials the agent and all of its phones ring.

use anyhow::{Context, Result, ensure};
use parties::io::{ControlClient, Party, Voice};
use serde_json::json;
use tests::{AI_SAYS, CALLER_SAYS, Daemon, HUMAN_SAYS, Phone, SOON, Stage, hears, is_hung_up, own_address, standard};

/// A stage whose only trunk address is the caller's, where `anna` and `ben` may register and the rules' front desk is anna.
async fn desk() -> Result<Stage> {
    let caller = Party::bind("caller", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let ai = Party::bind("agent", own_address().into(), Voice::of(AI_SAYS)).await?;
    let human = Party::bind("human", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    let mut files = standard(ai.address(), human.address());
    files.configuration = files.configuration.replace("127.0.0.0/8", &caller.address().ip().to_string());
    files.configuration += "agents:\n  domains: [desk.example]\n  digest: [sha-256, md5]\n  accounts:\n    anna: { password: sesame }\n    ben: { password: open }\n";
    files.rules =
        files.rules.replace(&format!("{{ dial: \"sip:frontdesk@{}\" }}", human.address()), "{ agent: anna }").replace(
            &format!("{{ dial: \"sip:retention@{}\" }}", human.address()),
            "{ dial: \"sip:anna@desk.example\", on_failure: { unreachable: [verification] } }",
        );
    let daemon = Daemon::start(&files).await?;
    let control = ControlClient::new(daemon.control());
    Ok(Stage { daemon, control, caller, ai, human })
}

fn anna<'a>(stage: &Stage, party: &'a Party) -> Phone<'a> {
    Phone { party, registrar: stage.sip(), user: "anna", password: "sesame" }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_rings_both_phones_of_the_agent_and_the_one_that_answers_has_the_caller() -> Result<()> {
    let stage = desk().await?;
    let phone = Party::bind("anna", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    ensure!(anna(&stage, &phone).register(300).await? == Some(200), "our own phone is not registered");
    let other = Party::bind("anna", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    ensure!(anna(&stage, &other).register(300).await? == Some(200), "the other phone is not registered");
    stage.until_metric("tandem_sip_registered_contacts", 2.0, SOON).await?;
    let talk = stage.talk().await?;
    stage.three_misses(&talk.id).await?;
    let rings = phone.incoming(SOON).await.context("our phone does not ring")?;
    let too = other.incoming(SOON).await.context("the other phone does not ring")?;
    rings.answer();
    rings.answered(SOON).await?;
    is_hung_up(&talk.ai).await?;
    hears(&talk.caller, &rings).await?;
    hears(&rings, &talk.caller).await?;
    is_hung_up(&too).await?;
    ensure!(anna(&stage, &phone).register(0).await? == Some(200), "our own phone is still registered");
    stage.until_metric("tandem_sip_registered_contacts", 1.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_a_phone_is_unreachable_at_once_and_a_registered_one_may_call_in() -> Result<()> {
    let stage = desk().await?;
    let mut talk = stage.connect().await?;
    stage.transfer(&talk.id, json!({ "to": "retention" })).await?;
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["cause"] == "unreachable" && failed["data"]["next"] == "verification", "{failed}");
    stage.human_rings().await.context("the chain does not go on")?;
    let phone = Party::bind("anna", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    let anna = anna(&stage, &phone);
    ensure!(anna.invite("support").await?.is_none(), "who is not registered is nobody");
    ensure!(anna.register(300).await? == Some(200), "not registered");
    ensure!(anna.invite("support").await? == Some(100), "a registered phone may call");
    stage.ai_rings().await?;
    let ben = Phone { user: "ben", ..anna };
    ensure!(ben.invite("support").await? == Some(407), "another's password");
    Ok(())
}
