//! A caller and an AI that each speak one codec, both baresip: what the caller says is converted, comes back from the AI and is
//! converted again, and the caller hears itself.

use anyhow::{Context, Result, ensure};
use parties::io::ControlClient;
use std::{net::SocketAddr, time::Duration};
use tests::{CALLER_SAYS, Daemon, Files, Program::Baresip, Softphone, Who, certificates, own_address, standard};

/// Looking at what was decoded takes seconds of a busy machine.
const LONG: Duration = Duration::from_secs(40);

/// A call between the two codecs.
async fn converts(caller_speaks: &str, ai_speaks: &str) -> Result<()> {
    let own = own_address();
    let (_folder, authority) = certificates(own)?;
    let who = |user, codecs, says| Who {
        program: Baresip,
        transport: "udp",
        user,
        registrar: None,
        codecs,
        authority: &authority,
        says,
    };
    let (one, other) = ([caller_speaks], [ai_speaks]);
    let mut ai = Softphone::start(who("agent", &other, None)).await?;
    let mut caller = Softphone::start(who("caller", &one, Some(CALLER_SAYS))).await?;
    let nobody = SocketAddr::from((own_address(), 5060));
    let Files { configuration, rules } = standard(nobody, nobody);
    let configuration = configuration
        .replace(&format!("sip:agent@{nobody}"), &ai.uri("agent"))
        .replace("codecs: [pcmu, pcma]", "codecs: [pcmu, pcma, g722, opus, l16-16k]");
    let daemon = Daemon::start_at(own, &Files { configuration, rules }).await?;
    caller.does("dial", &format!("sip:support@{}", daemon.sip()))?;
    for phone in [&mut caller, &mut ai] {
        let up = phone.until("CALL_ESTABLISHED").await;
        up.with_context(|| daemon.log())?;
    }
    let mut best: f64 = 0.0;
    let until = tokio::time::Instant::now() + LONG;
    while best < 0.95 {
        ensure!(tokio::time::Instant::now() < until, "the caller hears itself with a correlation of {best:.3} at best");
        tokio::time::sleep(Duration::from_millis(500)).await;
        best = best.max(caller.heard(CALLER_SAYS)?.unwrap_or_default());
    }
    let control = ControlClient::new(daemon.control());
    let calls = control.get("/v1/calls").await?.body;
    let id = calls["calls"][0]["id"].as_str().with_context(|| calls.to_string())?.to_owned();
    let about = control.get(&format!("/v1/calls/{id}")).await?.body;
    let legs = about["legs"].as_array().context("legs")?;
    let spoken = |party: &str, codec: &str| {
        let leg = legs.iter().find(|leg| leg["party"] == party);
        leg.and_then(|leg| leg["codec"].as_str()).is_some_and(|spoken| spoken.to_lowercase().starts_with(codec))
    };
    ensure!(spoken("caller", caller_speaks) && spoken("ai", ai_speaks), "{about}");
    caller.does("hangup", "")?;
    ai.until("CALL_CLOSED").await?;
    Ok(())
}

/// One test for each pair, so that they run beside one another and each is told by its name.
macro_rules! pairs {
    ($($name:ident: $caller:literal, $ai:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() -> Result<()> {
            converts($caller, $ai).await
        })*
    };
}

pairs! {
    pcmu_and_pcma: "pcmu", "pcma";
    pcmu_and_g722: "pcmu", "g722";
    pcmu_and_opus: "pcmu", "opus";
    pcmu_and_l16: "pcmu", "l16";
    pcma_and_g722: "pcma", "g722";
    pcma_and_opus: "pcma", "opus";
    pcma_and_l16: "pcma", "l16";
    g722_and_opus: "g722", "opus";
    g722_and_l16: "g722", "l16";
    opus_and_l16: "opus", "l16";
    opus_and_opus: "opus", "opus";
}
