//! SIPp on one side of the daemon, one of our own parties on the other: what RFC 3261's extensions look like to a program that
//! is not ours. SIPp judges the signaling by its scenario and sends back every packet it hears, so that our party, who hears
//! itself, has proven both directions.

use anyhow::{Context, Result, ensure};
use parties::io::Call;
use std::{net::Ipv4Addr, time::Duration};
use tests::{Files, SOON, Stage, Tool, hears, own_address};

/// The longest a scenario may go on after its call is over.
const OVER: Duration = Duration::from_secs(5);

/// SIPp as the AI: a daemon whose profile is there, and a caller who was answered.
struct Ai {
    stage: Stage,
    sipp: Tool,
    caller: Call,
}

impl Ai {
    async fn plays(scenario: &str) -> Result<Self> {
        Self::plays_with(scenario, "").await
    }

    /// `more` is added to the AI profile.
    async fn plays_with(scenario: &str, more: &str) -> Result<Self> {
        let ip = own_address();
        let sipp = echoing(scenario, ip, &[]);
        let stage =
            Stage::with(|files| Files { configuration: ai_at(&files.configuration, ip, more), ..files }).await?;
        let caller = stage.caller.call("+493055512345", "support", stage.sip()).await?;
        if caller.answered(SOON).await.is_err() {
            anyhow::bail!("the caller was not answered; SIPp: {}", sipp.printed());
        }
        Ok(Self { stage, sipp, caller })
    }

    async fn both_hear(&self) -> Result<()> {
        hears(&self.caller, &self.caller).await.with_context(|| format!("SIPp: {}", self.sipp.printed()))
    }

    /// The caller hangs up; SIPp must be content.
    async fn ends(self) -> Result<()> {
        self.both_hear().await?;
        self.caller.hang_up();
        let finished = self.sipp.finished(OVER).await;
        ensure!(finished.status.success(), "SIPp: {}\nthe daemon: {}", finished.printed, self.stage.daemon.log());
        self.stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
    }
}

/// SIPp as the trunk that brings the call: the AI, who was called, and SIPp's end.
async fn sipp_calls(scenario: &str, change: impl FnOnce(Files) -> Files, within: Duration) -> Result<()> {
    let stage = Stage::with(change).await?;
    let target = stage.sip().to_string();
    // What its digest is for: SIPp leaves the user out by itself.
    let uri = format!("support@{target}");
    let sipp = echoing(scenario, own_address(), &["-s", "support", "-auth_uri", &uri, &target]);
    let Ok(ai) = stage.ai_rings().await else { anyhow::bail!("the AI was not called; SIPp: {}", sipp.printed()) };
    ai.ring(180);
    tokio::time::sleep(Duration::from_millis(300)).await;
    ai.answer();
    ai.answered(SOON).await?;
    hears(&ai, &ai).await.with_context(|| format!("SIPp: {}", sipp.printed()))?;
    let finished = sipp.finished(within).await;
    ensure!(finished.status.success(), "SIPp: {}\nthe daemon: {}", finished.printed, stage.daemon.log());
    tests::is_hung_up(&ai).await?;
    let heard = ai.audio().received();
    ensure!(heard.len() > 50, "the AI heard {} packets", heard.len());
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

/// SIPp at an address: one call, every packet of audio is sent back.
fn echoing(scenario: &str, ip: Ipv4Addr, more: &[&str]) -> Tool {
    let ip = ip.to_string();
    let common = ["-i", &ip, "-p", "5060", "-mi", &ip, "-mp", "6000", "-rtp_echo", "-m", "1", "-trace_err"];
    Tool::sipp(scenario, &[&common[..], more].concat())
}

/// Until something listens at an address: before that, whoever calls there is told by the system that nobody does.
async fn listens(ip: Ipv4Addr) -> Result<()> {
    // As the kernel prints it: the four bytes as one number of this machine's.
    let bound = format!(" {:08X}:{:04X} ", u32::from_ne_bytes(ip.octets()), 5060);
    let deadline = tokio::time::Instant::now() + OVER;
    while !std::fs::read_to_string("/proc/net/udp")?.contains(&bound) {
        ensure!(tokio::time::Instant::now() < deadline, "nobody listens at {ip}:5060");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The standard configuration with its AI at another address.
fn ai_at(configuration: &str, ip: Ipv4Addr, more: &str) -> String {
    let (before, rest) = configuration.split_once("sip:agent@").expect("the profile's URI");
    let (_, after) = rest.split_once('"').expect("the end of the URI");
    format!("{before}sip:agent@{ip}:5060\"{more}{after}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc4028_7_an_ai_that_wants_longer_sessions_has_them_and_is_sent_the_refresh() -> Result<()> {
    let ai = Ai::plays("ai-session-timer.xml").await?;
    ai.both_hear().await?;

    tokio::time::sleep(Duration::from_secs(16)).await;
    ai.ends().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc4028_10_an_ai_that_does_not_refresh_is_hung_up_before_its_session_expires() -> Result<()> {
    let ai = Ai::plays("ai-never-refreshes.xml").await?;
    ai.both_hear().await?;
    let finished = ai.sipp.finished(Duration::from_secs(22)).await;
    ensure!(finished.status.success(), "SIPp: {}", finished.printed);
    // What an AI that is lost means for its caller is the profile's to say: a human.
    let human = ai.stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    hears(&ai.caller, &human).await?;
    hears(&human, &ai.caller).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc4028_9_a_trunk_is_told_the_least_interval_and_refreshes_by_update_and_by_re_invite() -> Result<()> {
    sipp_calls("caller-session-timer.xml", |files| files, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3262_4_reliable_ringing_of_an_ai_is_confirmed_each_time() -> Result<()> {
    Ai::plays("ai-prack.xml").await?.ends().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3262_3_a_trunk_that_requires_reliable_ringing_gets_it() -> Result<()> {
    sipp_calls("caller-prack.xml", |files| files, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3264_5_a_trunk_without_an_offer_is_made_one_at_the_start_and_in_the_call() -> Result<()> {
    sipp_calls("caller-late-offer.xml", |files| files, 2 * SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3264_8_an_ai_that_asks_for_an_offer_in_the_call_gets_it() -> Result<()> {
    let ai = Ai::plays("ai-late-offer.xml").await?;
    ai.both_hear().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    ai.ends().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_14_1_re_invites_that_cross_are_both_refused_and_both_tried_again() -> Result<()> {
    let ai = Ai::plays("ai-glare.xml").await?;
    ai.both_hear().await?;
    tokio::time::sleep(Duration::from_secs(20)).await;
    ai.ends().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_13_2_2_4_of_two_answers_of_a_fork_one_has_the_call_and_the_other_is_ended() -> Result<()> {
    let ai = Ai::plays("ai-forked.xml").await?;
    let calls = ai.stage.control.get("/v1/calls").await?.body;
    ensure!(calls["calls"].as_array().is_some_and(|calls| calls.len() == 1), "{calls}");
    ai.ends().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_22_2_a_trunk_that_knows_md5_alone_shows_its_password_and_calls() -> Result<()> {
    let change = |files: Files| {
        let digest = "    allowed: [127.0.0.0/8]\n    digest: { username: branch, password: canary, realm: desk, algorithms: [md5] }\n";
        let configuration = files.configuration.replace("    allowed: [127.0.0.0/8]\n", digest);
        Files { configuration, ..files }
    };
    sipp_calls("caller-digest.xml", change, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_22_2_an_ai_that_asks_who_calls_is_shown_the_profiles_password() -> Result<()> {
    let auth = "\n    auth: { username: tandem, password: sesame }";
    Ai::plays_with("ai-digest.xml", auth).await?.ends().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_8_1_3_4_an_ai_that_is_elsewhere_is_called_there_and_nowhere_that_was_not_allowed() -> Result<()> {
    let ip = own_address();
    let stage = Stage::with(|files| {
        let follow = "\n    redirects: follow\n    redirect_hosts: [127.0.0.0/8]";
        Files { configuration: ai_at(&files.configuration, ip, follow), ..files }
    })
    .await?;
    let moved = format!("sip:elsewhere@{}", stage.ai.address());
    let sipp = echoing("ai-moved.xml", ip, &["-key", "moved", &moved]);
    listens(ip).await?;
    let mut events = stage.control.subscribe("").await?;
    let caller = stage.caller.call("+493055512345", "support", stage.sip()).await?;
    let Ok(ai) = stage.ai_rings().await else { anyhow::bail!("the AI was not called; SIPp: {}", sipp.printed()) };
    let told = events.until("ai.redirected", SOON).await.context("nobody is told")?;
    let data = &told["data"];
    ensure!(data["to"] == serde_json::json!([moved]) && data["sip_code"] == 302, "{told}");
    ensure!(data["passed_over"][0]["contact"] == "sip:nobody@203.0.113.9", "{told}");
    ai.answer();
    caller.answered(SOON).await?;
    hears(&caller, &ai).await?;
    hears(&ai, &caller).await?;
    let finished = sipp.finished(OVER).await;
    ensure!(finished.status.success(), "SIPp: {}\nthe daemon: {}", finished.printed, stage.daemon.log());
    caller.hang_up();
    tests::is_hung_up(&ai).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_21_5_4_an_ai_that_wants_to_be_left_alone_is_and_callers_reach_somebody_else_meanwhile() -> Result<()> {
    let ip = own_address();
    let stage = Stage::with(|files| Files { configuration: ai_at(&files.configuration, ip, ""), ..files }).await?;
    // Two INVITEs, neither more nor less: the first caller's and the third's.
    let sipp = echoing("ai-rests.xml", ip, &["-m", "2"]);
    listens(ip).await?;
    for resting in [false, true, false] {
        let spared = stage.metric("tandem_sip_invites_spared_total").await?;
        let caller = stage.caller.call("+493055512345", "support", stage.sip()).await?;
        let human = stage.human_rings().await?;
        human.answer();
        caller.answered(SOON).await?;
        let more = stage.metric("tandem_sip_invites_spared_total").await? - spared;
        ensure!((more > 0.5) == resting, "{more} INVITEs were kept back; SIPp: {}", sipp.printed());
        caller.hang_up();
        tests::is_hung_up(&human).await?;
        if resting {
            stage.until_metric("tandem_sip_next_hops_resting", 0.0, 4 * SOON).await?;
        } else {
            let rests = stage.until_metric("tandem_sip_next_hops_resting", 1.0, SOON).await;
            rests.with_context(|| format!("SIPp: {}\nthe daemon: {}", sipp.printed(), stage.daemon.log()))?;
        }
    }
    let finished = sipp.finished(OVER).await;
    ensure!(finished.status.success(), "SIPp: {}\nthe daemon: {}", finished.printed, stage.daemon.log());
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}
