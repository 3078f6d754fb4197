//! baresip and pjsua2 as agents' phones and as AI, over UDP, TCP and TLS.

use anyhow::{Context, Result, ensure};
use parties::{
    analysis::continuity,
    io::{Call, ControlClient, Party, Voice},
};
use serde_json::json;
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tempfile::TempDir;
use tests::{
    AI_SAYS, CALLER_SAYS, Daemon, Files, HUMAN_SAYS,
    Program::{self, Baresip, Pjsua2},
    SOON, Softphone, Stage, Talk, Who, certificates, hears, hears_nothing_of, is_hung_up, own_address, standard,
    wire::Authority,
};

/// What phones speak where it does not matter.
const G711: [&str; 2] = ["pcmu", "pcma"];

/// Whom the daemon and its phones believe.
struct Trust {
    own: Ipv4Addr,
    authority: Authority,
    folder: TempDir,
    /// What the daemon speaks, best first.
    codecs: &'static str,
}

impl Trust {
    fn new() -> Result<Self> {
        let own = own_address();
        let (folder, authority) = certificates(own)?;
        Ok(Self { own, authority, folder, codecs: "pcmu, pcma" })
    }

    /// A daemon that listens on every transport, where `anna` may register, and whose AI may be elsewhere.
    async fn stage(&self, ai: Option<String>) -> Result<Stage> {
        let (own, at) = (self.own, self.folder.path().display());
        let caller = Party::bind("caller", own_address().into(), Voice::of(CALLER_SAYS)).await?;
        let agent = Party::bind("agent", own_address().into(), Voice::of(AI_SAYS)).await?;
        let human = Party::bind("human", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
        let listeners = format!(
            "listeners: [\"udp:{own}:5060\", \"tcp:{own}:5060\", \"tls:{own}:5061\"]\n  \
             tls: {{ certificate: {at}/daemon.pem, private_key: {at}/daemon.key, ca: {at}/ca.pem }}"
        );
        let Files { configuration, rules } = standard(agent.address(), human.address());
        let at = format!("sip:agent@{}", agent.address());
        let configuration = configuration
            .replace("listeners: [\"udp:{ip}:5060\"]", &listeners)
            .replace("127.0.0.0/8", &caller.address().ip().to_string())
            .replace(&at, ai.as_ref().unwrap_or(&at))
            .replace("codecs: [pcmu, pcma]", &format!("codecs: [{}]", self.codecs))
            // baresip 1.0 gives up at SHA-256.
            + "agents:\n  digest: [md5]\n  accounts:\n    anna: { password: sesame }\n";
        let daemon = Daemon::start_at(own, &Files { configuration, rules }).await?;
        let control = ControlClient::new(daemon.control());
        Ok(Stage { daemon, control, caller, ai: agent, human })
    }

    /// Where phones register over a transport.
    fn registrar(&self, transport: &str) -> SocketAddr {
        SocketAddr::from((self.own, if transport == "tls" { 5061 } else { 5060 }))
    }

    /// anna's phone, registered.
    async fn anna(&self, stage: &Stage, program: Program, transport: &str) -> Result<Softphone> {
        self.anna_speaks(stage, program, transport, &G711).await
    }

    async fn anna_speaks(
        &self,
        stage: &Stage,
        program: Program,
        transport: &str,
        codecs: &[&str],
    ) -> Result<Softphone> {
        let registrar = Some(self.registrar(transport));
        let who = Who { program, transport, user: "anna", registrar, codecs, authority: &self.authority, says: None };
        let phone = Softphone::start(who).await.with_context(|| stage.daemon.log())?;
        stage.until_metric("tandem_sip_registered_contacts", 1.0, SOON).await?;
        Ok(phone)
    }
}

/// A caller whom anna's phone has.
async fn with_anna(stage: &Stage, phone: &mut Softphone) -> Result<Talk> {
    let mut talk = stage.talk().await?;
    let to = format!("sip:anna@{}", stage.daemon.address());
    stage.transfer(&talk.id, json!({ "to": to, "mode": "warm" })).await?;
    phone.until("CALL_ESTABLISHED").await.with_context(|| stage.daemon.log())?;
    hears(&talk.caller, &talk.caller).await.with_context(|| phone.story())?;
    is_hung_up(&talk.ai).await?;
    talk.event("transfer.bridged").await?;
    Ok(talk)
}

/// As an agent's phone: it registers, has a caller, hangs up, and calls in.
async fn is_a_phone(program: Program, transport: &str) -> Result<()> {
    let trust = Trust::new()?;
    let stage = trust.stage(None).await?;
    let mut phone = trust.anna(&stage, program, transport).await?;
    let talk = with_anna(&stage, &mut phone).await?;
    phone.does("hangup", "")?;
    is_hung_up(&talk.caller).await?;
    phone.until("CALL_CLOSED").await?;

    phone.does("dial", &format!("sip:support@{};transport={transport}", trust.registrar(transport)))?;
    let ai = stage.ai_rings().await.with_context(|| phone.story())?;
    ai.answer();
    ai.answered(SOON).await?;
    hears(&ai, &ai).await.with_context(|| phone.story())?;
    let second = if program == Pjsua2 { 1 } else { 0 };
    phone.orders(&json!({ "command": "hangup", "call": second }))?;
    is_hung_up(&ai).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

/// As the AI of a profile: it answers, and leaves when a human has the caller.
async fn is_an_ai(program: Program, transport: &str) -> Result<()> {
    let trust = Trust::new()?;
    let who = Who {
        program,
        transport,
        user: "agent",
        registrar: None,
        codecs: &G711,
        authority: &trust.authority,
        says: None,
    };
    let phone = Softphone::start(who).await?;
    let stage = trust.stage(Some(phone.uri("agent"))).await?;
    has_a_caller(stage, phone).await
}

/// The same for one that registers: its profile names the account.
async fn is_an_ai_that_registers(program: Program, transport: &str) -> Result<()> {
    let trust = Trust::new()?;
    let stage = trust.stage(Some(format!("sip:anna@{}", trust.own))).await?;
    let phone = trust.anna(&stage, program, transport).await?;
    has_a_caller(stage, phone).await
}

async fn has_a_caller(stage: Stage, mut phone: Softphone) -> Result<()> {
    let mut events = stage.control.subscribe("").await?;
    let caller = stage.caller.call("+493055512345", "support", stage.sip()).await?;
    phone.until("CALL_ESTABLISHED").await.with_context(|| stage.daemon.log())?;
    caller.answered(SOON).await?;
    hears(&caller, &caller).await.with_context(|| phone.story())?;
    let answered = events.until("call.answered", SOON).await.context("no call")?;
    let id = answered["call"].as_str().context("no id")?.to_owned();
    stage.transfer(&id, json!({ "to": "frontdesk", "mode": "warm" })).await?;
    let human = stage.human_rings().await?;
    human.answer();
    human.answered(SOON).await?;
    hears(&caller, &human).await?;
    hears(&human, &caller).await?;
    phone.until("CALL_CLOSED").await?;
    caller.hang_up();
    is_hung_up(&human).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

/// RFC 5589 section 6: the phone sends the caller on and leaves.
async fn transfers_blindly(program: Program, transport: &str) -> Result<()> {
    let trust = Trust::new()?;
    let stage = trust.stage(None).await?;
    let mut phone = trust.anna(&stage, program, transport).await?;
    let talk = with_anna(&stage, &mut phone).await?;
    phone.does("transfer", &format!("sip:retention@{}", stage.human.address()))?;
    let colleague = stage.human_rings().await.with_context(|| phone.story())?;
    // baresip does not say who refers.
    ensure!(program == Baresip || colleague.header("Referred-By").is_some(), "{:?}", colleague.invite());
    hears_nothing_of(&talk.caller, &talk.caller).await?;
    colleague.answer();
    colleague.answered(SOON).await?;
    both_hear(&talk.caller, &colleague).await?;
    phone.until("CALL_CLOSED").await?;
    talk.caller.hang_up();
    is_hung_up(&colleague).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

/// The phone speaks a codec that neither caller nor AI does: a handoff to it and back is one stream for the caller, and what goes
/// through the codec twice is what the caller said.
async fn speaks(program: Program, codec: &str) -> Result<()> {
    let trust = Trust { codecs: "pcmu, pcma, g722, opus, l16-16k", ..Trust::new()? };
    let stage = trust.stage(None).await?;
    let mut phone = trust.anna_speaks(&stage, program, "udp", &[codec]).await?;
    let talk = with_anna(&stage, &mut phone).await?;
    let about = stage.control.get(&format!("/v1/calls/{}", talk.id)).await?.body;
    let legs = about["legs"].as_array().context("legs")?;
    let spoken: Vec<_> = legs.iter().filter_map(|leg| leg["codec"].as_str()).map(str::to_lowercase).collect();
    ensure!(spoken.iter().any(|spoken| spoken.starts_with(codec)), "{about}");
    ensure!(spoken.iter().filter(|spoken| spoken.starts_with("pcm")).count() == 2, "{about}");
    // Back to an AI that is dialled anew.
    let handback = stage.control.post(&format!("/v1/calls/{}/handback", talk.id), &json!({})).await?;
    ensure!(handback.status < 300, "{}", handback.body);
    let ai = stage.ai_rings().await?;
    ai.answer();
    ai.answered(SOON).await?;
    both_hear(&talk.caller, &ai).await?;
    let stream = continuity(&talk.caller.audio().received());
    ensure!(stream.ssrc_count == 1 && stream.sequence_gaps == 0, "{stream:?}");
    ensure!(stream.timestamps_back == 0 && stream.reordered == 0 && stream.duplicates == 0, "{stream:?}");
    // Timestamps go by the clock, whatever the daemon's threads and ours had to wait for.
    ensure!(stream.largest_drift < Duration::from_millis(500), "{stream:?}");
    ensure!(talk.caller.changes() == 0, "no re-INVITE to the caller");
    talk.caller.hang_up();
    is_hung_up(&ai).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

async fn both_hear(one: &Call, other: &Call) -> Result<()> {
    hears(one, other).await?;
    hears(other, one).await
}

/// RFC 5589 section 7: the phone calls a colleague through us, and joins them with its caller.
async fn transfers_attended(transport: &str) -> Result<()> {
    let trust = Trust::new()?;
    let stage = trust.stage(None).await?;
    let mut phone = trust.anna(&stage, Pjsua2, transport).await?;
    let talk = with_anna(&stage, &mut phone).await?;
    phone.orders(&json!({ "command": "hold", "call": 0 }))?;
    hears_nothing_of(&talk.caller, &talk.caller).await?;
    // The AI takes the phone's own call and puts it through.
    phone.does("dial", &format!("sip:support@{};transport={transport}", trust.registrar(transport)))?;
    let ai = stage.ai_rings().await.with_context(|| phone.story())?;
    ai.answer();
    ai.answered(SOON).await?;
    let second = ai.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
    stage.transfer(&second, json!({ "to": "retention", "mode": "cold" })).await?;
    let colleague = stage.human_rings().await?;
    colleague.answer();
    colleague.answered(SOON).await?;
    hears(&colleague, &colleague).await.with_context(|| phone.story())?;
    phone.orders(&json!({ "command": "attended", "call": 0, "other": 1 }))?;
    both_hear(&talk.caller, &colleague).await.with_context(|| format!("{}\n{}", phone.story(), stage.daemon.log()))?;
    phone.until("CALL_CLOSED").await?;
    phone.until("CALL_CLOSED").await?;
    ensure!(talk.caller.changes() <= 2, "{} re-INVITEs", talk.caller.changes());
    talk.caller.hang_up();
    is_hung_up(&colleague).await?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await
}

/// One test for each line, so that they run beside one another and each is told by its name.
macro_rules! tests {
    ($(async fn $name:ident() = $what:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> Result<()> {
            $what.await
        })*
    };
}

tests! {
    async fn baresip_is_an_agents_phone_over_udp() = is_a_phone(Baresip, "udp");
    async fn baresip_is_an_agents_phone_over_tcp() = is_a_phone(Baresip, "tcp");
    async fn baresip_is_an_agents_phone_over_tls() = is_a_phone(Baresip, "tls");
    async fn pjsua2_is_an_agents_phone_over_udp() = is_a_phone(Pjsua2, "udp");
    async fn pjsua2_is_an_agents_phone_over_tcp() = is_a_phone(Pjsua2, "tcp");
    async fn pjsua2_is_an_agents_phone_over_tls() = is_a_phone(Pjsua2, "tls");
    async fn baresip_is_an_ai_over_udp() = is_an_ai(Baresip, "udp");
    async fn baresip_is_an_ai_over_tcp() = is_an_ai(Baresip, "tcp");
    async fn baresip_is_an_ai_over_tls() = is_an_ai(Baresip, "tls");
    async fn pjsua2_is_an_ai_over_udp() = is_an_ai(Pjsua2, "udp");
    async fn pjsua2_is_an_ai_over_tcp() = is_an_ai(Pjsua2, "tcp");
    async fn pjsua2_is_an_ai_over_tls() = is_an_ai(Pjsua2, "tls");
    async fn baresip_is_an_ai_that_registers_over_udp() = is_an_ai_that_registers(Baresip, "udp");
    async fn baresip_is_an_ai_that_registers_over_tls() = is_an_ai_that_registers(Baresip, "tls");
    async fn pjsua2_is_an_ai_that_registers_over_udp() = is_an_ai_that_registers(Pjsua2, "udp");
    async fn pjsua2_is_an_ai_that_registers_over_tcp() = is_an_ai_that_registers(Pjsua2, "tcp");
    async fn a_handoff_from_pcmu_to_baresip_in_g722_and_back_is_one_stream() = speaks(Baresip, "g722");
    async fn a_handoff_from_pcmu_to_baresip_in_opus_and_back_is_one_stream() = speaks(Baresip, "opus");
    async fn a_handoff_from_pcmu_to_baresip_in_l16_and_back_is_one_stream() = speaks(Baresip, "l16");
    async fn a_handoff_from_pcmu_to_pjsua2_in_g722_and_back_is_one_stream() = speaks(Pjsua2, "g722");
    async fn rfc5589_6_baresip_sends_its_caller_on_over_tcp() = transfers_blindly(Baresip, "tcp");
    async fn rfc5589_6_pjsua2_sends_its_caller_on_over_udp() = transfers_blindly(Pjsua2, "udp");
    async fn rfc5589_7_pjsua2_joins_its_caller_with_a_colleague_over_udp() = transfers_attended("udp");
    async fn rfc5589_7_pjsua2_joins_its_caller_with_a_colleague_over_tls() = transfers_attended("tls");
}
