//! What no AI stands before: emergency numbers and other routes that go straight to a trunk; and where a caller goes after a human.

use anyhow::{Context, Result, ensure};
use parties::io::{Party, Voice};
use serde_json::json;
use tests::{
    SOON, Stage, hears, is_hung_up, own_address,
    tones::{self, CALLER, HUMAN, hears_just},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_for_help_goes_straight_to_its_trunk_in_front_of_every_route_and_limit() -> Result<()> {
    let rescue = Party::bind("rescue", own_address().into(), Voice::of(tests::HUMAN_SAYS)).await?;
    let at = rescue.address();
    let stage = Stage::with(|mut files| {
        files.configuration = files
            .configuration
            .replace("trunks:\n", &format!("trunks:\n  rescue: {{ address: {at} }}\n"))
            .replace("routes:\n", "routes:\n  - { number: emergency, bypass: [rescue, carrier] }\n")
            .replace("limits: {", "recording: { directory: recordings, when: answer }\nlimits: { calls: 1,");
        files
    })
    .await?;
    // The one call that the limit allows.
    let talk = stage.talk().await?;
    let refused = stage.caller.call("+493055512346", "support", stage.sip()).await?;
    ensure!(refused.answered(SOON).await.is_err(), "the limit does not hold");

    let mut events = stage.control.subscribe("").await?;
    let caller = stage.caller.call("+493055512347", "112", stage.sip()).await?;
    let help = rescue.incoming(SOON).await.context("nobody was called for help")?;
    help.ring(180);
    caller.rings(SOON).await.context("the caller hears no ringing")?;
    help.answer();
    caller.answered(SOON).await?;
    hears(&caller, &help).await?;
    hears(&help, &caller).await?;
    let started = events.until("call.started", SOON).await.context("no call")?;
    ensure!(started["data"]["to"] == "112" && started["data"]["ai"] == "", "{started}");
    let id = started["call"].as_str().context("no id")?;
    let about = stage.control.get(&format!("/v1/calls/{id}")).await?.body;
    ensure!(about["transfers"][0]["source"]["by"] == "bypass", "{about}");
    ensure!(help.header("X-Tandem-Call-Id").is_none(), "a carrier sees nothing of ours: {:?}", help.invite().headers);
    caller.hang_up();
    is_hung_up(&help).await?;
    // Who is refused there, is refused so.
    let caller = stage.caller.call("+493055512347", "911", stage.sip()).await?;
    rescue.incoming(SOON).await.context("nobody was called for help")?.refuse(486);
    let refused = caller.ended(SOON).await?;
    ensure!(format!("{refused:?}").contains("486"), "{refused:?}");
    hears(&talk.caller, &talk.ai).await?;
    talk.caller.hang_up();
    is_hung_up(&talk.ai).await?;
    let ended = stage.control.get("/v1/recordings").await?.body;
    ensure!(ended["recordings"].as_array().context("a list")?.iter().all(|it| it["call"] != id), "recorded: {ended}");
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_human_who_hangs_up_leaves_the_caller_to_the_survey_of_the_profile() -> Result<()> {
    let (stage, mut talk) = tones::stage(|mut files| {
        files.configuration = files.configuration.replace("after_human: end", "after_human: retention");
        files
    })
    .await?;
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    hears_just("caller, with the human", &talk.caller, &[HUMAN]).await?;
    human.hang_up();
    let survey = stage.human_rings().await?;
    ensure!(survey.header("To").is_some_and(|to| to.contains("retention@")), "{:?}", survey.invite());
    hears_just("caller, between them", &talk.caller, &[]).await?;
    survey.answer();
    hears_just("caller, in the survey", &talk.caller, &[HUMAN]).await?;
    hears_just("survey", &survey, &[CALLER]).await?;
    survey.hang_up();
    is_hung_up(&talk.caller).await?;
    talk.event("call.ended").await?;
    Ok(())
}
