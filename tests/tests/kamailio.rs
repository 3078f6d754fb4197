//! kamailio in front of the daemon: a proxy that stays in the way of the caller, the AI and the human (Record-Route).

use anyhow::{Context, Result, ensure};
use parties::io::{Call, ControlClient, Party, Voice};
use std::{fs, net::Ipv4Addr, time::Duration};
use tests::{
    AI_SAYS, CALLER_SAYS, Daemon, Files, HUMAN_SAYS, SOON, Stage, Tool, hears, is_hung_up, own_address, standard,
};
use tokio::{net::TcpStream, time::Instant};

/// kamailio at `proxy`, in front of `tandem`, which it reaches over `transport`.
async fn kamailio(proxy: Ipv4Addr, tandem: Ipv4Addr, transport: &str) -> Result<Tool> {
    let folder = tempfile::tempdir()?;
    let text = fs::read_to_string(tests::root().join("tests/peers/kamailio.cfg"))?
        .replace("{proxy}", &proxy.to_string())
        .replace("{tandem}", &tandem.to_string())
        .replace("{transport}", transport);
    let at = folder.path().display().to_string();
    fs::write(folder.path().join("kamailio.cfg"), text)?;
    let file = format!("{at}/kamailio.cfg");
    // In the foreground; little memory, and nothing outside its folder.
    let arguments = ["-f", &file, "-DD", "-E", "-m", "16", "-M", "4", "-Y", &at, "-w", &at];
    let tool = Tool::start_in(folder, "/usr/sbin/kamailio", "kamailio", &arguments).ended_gently();
    let deadline = Instant::now() + SOON;
    while TcpStream::connect((proxy, 5060)).await.is_err() {
        ensure!(Instant::now() < deadline, "kamailio: {}", tool.printed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(tool)
}

/// A whole handoff in which every party is behind the proxy.
async fn handoff(transport: &str) -> Result<()> {
    let (own, proxy) = (own_address(), own_address());
    let kamailio = kamailio(proxy, own, transport).await?;
    let caller = Party::bind("caller", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let ai = Party::bind("agent", own_address().into(), Voice::of(AI_SAYS)).await?;
    let human = Party::bind("human", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    let Files { configuration, rules } = standard(ai.address(), human.address());
    let configuration = configuration
        .replace("listeners: [\"udp:{ip}:5060\"]", "listeners: [\"udp:{ip}:5060\", \"tcp:{ip}:5060\"]")
        .replace(&format!("address: {}\n", human.address()), &format!("address: {proxy}\n    transport: {transport}\n"))
        .replace("127.0.0.0/8", &proxy.to_string())
        // The URI's host stays the AI's; the proxy is only the way there.
        .replace("    ring_timeout: 5s\n", "    trunks: [carrier]\n    ring_timeout: 5s\n");
    let frontdesk = format!("dial: \"sip:frontdesk@{}\"", human.address());
    let rules = rules.replace(&frontdesk, &format!("{frontdesk}, trunk: carrier"));
    let daemon = Daemon::start_at(own, &Files { configuration, rules }).await?;
    let control = ControlClient::new(daemon.control());
    let stage = Stage { daemon, control, caller, ai, human };

    let mut events = stage.control.subscribe("").await?;
    let context = || format!("kamailio: {}\nthe daemon: {}", kamailio.printed(), stage.daemon.log());
    let caller = stage.caller.call("+493055512345", "support", (proxy, 5060).into()).await?;
    let ai = stage.ai_rings().await.with_context(context)?;
    passes(&ai, proxy, transport)?;
    ai.answer();
    caller.answered(SOON).await.with_context(context)?;
    ai.answered(SOON).await.with_context(context)?;
    both_hear(&caller, &ai).await?;
    let id = ai.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
    stage.three_misses(&id).await?;
    let human = stage.human_rings().await.with_context(context)?;
    passes(&human, proxy, transport)?;
    is_hung_up(&ai).await.with_context(context)?;
    human.answer();
    human.answered(SOON).await?;
    both_hear(&caller, &human).await?;
    events.until("transfer.bridged", SOON).await.context("no bridge")?;
    ensure!(caller.changes() == 0, "the caller was sent a re-INVITE");
    // The human sends the caller back, by a request within the dialog that comes through the proxy.
    human.refer(&format!("<sip:verification@{}>", stage.sip()));
    let other = stage.human_rings().await.with_context(context)?;
    other.answer();
    other.answered(SOON).await?;
    both_hear(&caller, &other).await?;
    is_hung_up(&human).await?;
    caller.hang_up();
    is_hung_up(&other).await.with_context(context)?;
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await?;
    ensure!(!kamailio.printed().contains("ERROR"), "{}", kamailio.printed());
    Ok(())
}

/// The proxy is in the way, on both sides where they differ.
fn passes(call: &Call, proxy: Ipv4Addr, transport: &str) -> Result<()> {
    let routes: Vec<&str> = call.invite().values("Record-Route").collect();
    let expected = if transport == "udp" { 1 } else { 2 };
    ensure!(
        routes.len() == expected && routes.iter().all(|route| route.contains(&proxy.to_string())),
        "{routes:?} in {:?}",
        call.invite()
    );
    Ok(())
}

async fn both_hear(one: &Call, other: &Call) -> Result<()> {
    hears(one, other).await?;
    hears(other, one).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_16_a_handoff_goes_through_a_proxy_that_stays_in_the_way() -> Result<()> {
    handoff("udp").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3261_16_a_handoff_goes_through_a_proxy_from_tcp_to_udp() -> Result<()> {
    handoff("tcp").await
}
