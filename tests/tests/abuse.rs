//! Guessers, floods and overload at the SIP port of the real daemon.

use anyhow::{Context, Result, ensure};
use parties::{
    io::{ControlClient, Party, Voice},
    signal::Signal,
};
use std::{collections::HashMap, fs, net::UdpSocket, time::Duration};
use tests::{AI_SAYS, CALLER_SAYS, Daemon, HUMAN_SAYS, Phone, Stage, Tool, own_address, root, standard};

/// A stage whose only trunk address is the caller's.
async fn guarded(more: &str, change: impl FnOnce(String) -> String) -> Result<Stage> {
    let caller = Party::bind("caller", own_address().into(), Voice::of(CALLER_SAYS)).await?;
    let ai = Party::bind("agent", own_address().into(), Voice::of(AI_SAYS)).await?;
    let human = Party::bind("human", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    let mut files = standard(ai.address(), human.address());
    files.configuration = files.configuration.replace("127.0.0.0/8", &caller.address().ip().to_string()) + more;
    files.configuration = change(files.configuration);
    let daemon = Daemon::start(&files).await?;
    let control = ControlClient::new(daemon.control());
    Ok(Stage { daemon, control, caller, ai, human })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guesser_is_banned_and_fail2ban_finds_the_address_in_the_log() -> Result<()> {
    let stage =
        guarded("agents: { accounts: { anna: { password: sesame } } }\nabuse: { failures: 3 }\n", |it| it).await?;
    let party = Party::bind("guesser", own_address().into(), Voice::of(Signal::Silence)).await?;
    let guess = |password| Phone { party: &party, registrar: stage.sip(), user: "anna", password };
    ensure!(guess("one").register(300).await? == Some(401), "a wrong password");
    ensure!(guess("two").register(300).await? == Some(401), "a wrong password");
    ensure!(guess("three").register(300).await?.is_none(), "the last guess that is heard is not answered");
    ensure!(guess("sesame").register(300).await?.is_none(), "a banned source is not heard");
    ensure!((stage.metric("tandem_sip_banned_sources").await? - 1.0).abs() < 0.1, "one source is banned");
    // Calls go on meanwhile, and another phone registers.
    stage.connect().await?;
    let other = Party::bind("anna", own_address().into(), Voice::of(Signal::Silence)).await?;
    let anna = Phone { party: &other, registrar: stage.sip(), user: "anna", password: "sesame" };
    ensure!(anna.register(300).await? == Some(200), "the account's owner");
    let folder = stage.daemon.stop().await?;
    let log = fs::read_to_string(folder.path().join("log"))?;
    let address = party.address().ip();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" abuse source=")).collect();
    ensure!(
        lines.len() == 3
            && lines[0].ends_with(&format!("WARN  abuse source={address} reason=failed_authentication banned_s=0")),
        "{log}"
    );
    ensure!(lines[2].ends_with("banned_s=600"), "{log}");
    ensure!(!log.contains("sesame"), "a password is in the log");
    let filter = root().join("etc/fail2ban/filter.d/tandem.conf");
    let (log, filter) = (folder.path().join("log"), filter.display().to_string());
    let found = Tool::start("fail2ban-regex", "fail2ban", &["-o", "ip", &log.display().to_string(), &filter]);
    let found = found.finished(Duration::from_secs(20)).await;
    let found: Vec<&str> = found.printed.lines().collect();
    ensure!(found == vec![address.to_string(); 3], "fail2ban found {found:?}");
    Ok(())
}

fn invite(number: usize, from: &str, to: &str) -> String {
    format!(
        "INVITE sip:support@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKf{number};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:+49301111111@{from}>;tag=f{number}\r\nTo: <sip:support@{to}>\r\nCall-ID: flood-{number}@{from}\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:f@{from}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    )
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_invites_a_second_of_a_stranger_leave_calls_and_memory_alone() -> Result<()> {
    let stage = guarded("agents: { accounts: { anna: { password: sesame } } }\n", |configuration| {
        configuration.replace("sip:\n", "sip:\n  unknown_sources: forbid\n")
    })
    .await?;
    stage.connect().await?.caller.hang_up();
    let before = stage.daemon.usage()?.resident;
    let socket = UdpSocket::bind((own_address(), 5060))?;
    socket.set_nonblocking(true)?;
    let (own, to) = (socket.local_addr()?.to_string(), stage.sip());
    let flood = tokio::spawn(async move {
        let (mut said, mut heard, mut buffer) = (0_usize, 0_usize, [0; 2048]);
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        for turn in 0..300 {
            tick.tick().await;
            for at in 0..20 {
                said += socket.send_to(invite(turn * 20 + at, &own, &to.to_string()).as_bytes(), to).unwrap_or(0);
            }
            while let Ok(length) = socket.recv(&mut buffer) {
                heard += length;
            }
        }
        (said, heard)
    });
    let mut calls = 0;
    // Each call's ports rest for half a minute afterwards: not more calls than there are ports for.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    while !flood.is_finished() {
        pace.tick().await;
        let talk = stage.connect().await.with_context(|| format!("call {calls} of the trunk"))?;
        talk.caller.hang_up();
        calls += 1;
    }
    let (said, heard) = flood.await?;
    ensure!(calls >= 3, "only {calls} calls in the time of the flood");
    ensure!(heard * 50 < said, "the stranger was answered {heard} bytes for {said}");
    let after = stage.daemon.usage()?.resident;
    ensure!(after < before + (16 << 20), "memory grew from {before} to {after} bytes");
    ensure!(stage.metric("tandem_sip_dropped_total").await? > 3_000.0, "the flood was heard");
    Ok(())
}

/// Rated for 50 calls a second and offered 100, then 200: who is refused knows it at once, and as many as promised get through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_two_and_four_times_the_rated_load_503_comes_at_once_and_goodput_stays() -> Result<()> {
    const RATED: usize = 50;
    const SECONDS: usize = 2;
    for times in [2, 4] {
        let rate = format!("calls_per_second: {RATED}");
        let stage = guarded("", |configuration| configuration.replace("calls_per_second: 1000", &rate)).await?;
        let from = stage.caller.address().to_string();
        let mut sent = HashMap::new();
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        for number in 0..RATED * times * SECONDS {
            if number % times == 0 {
                tick.tick().await;
            }
            sent.insert(format!("z9hG4bKf{number}"), std::time::SystemTime::now());
            stage.caller.send_raw(invite(number, &from, &stage.sip().to_string()).as_bytes(), stage.sip());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut refused: HashMap<String, Duration> = HashMap::new();
        for traced in stage.caller.trace() {
            let Some(branch) = traced.message.branch().filter(|_| !traced.sent) else { continue };
            if traced.message.status() == Some(503) {
                ensure!(traced.message.header("Retry-After").is_some(), "503 without Retry-After");
                let left = sent[branch].duration_since(std::time::UNIX_EPOCH)?;
                refused.entry(branch.to_owned()).or_insert(traced.at.saturating_sub(left));
            }
        }
        let (offered, through) = (sent.len(), sent.len() - refused.len());
        ensure!(
            through * 10 >= RATED * SECONDS * 8,
            "{through} of {offered} calls got through at {times} times the load"
        );
        ensure!(refused.len() * 4 >= offered - RATED * (SECONDS + 1), "{} of {offered} were refused", refused.len());
        let mut waits: Vec<Duration> = refused.into_values().collect();
        waits.sort_unstable();
        let typical = waits[waits.len() * 9 / 10];
        ensure!(typical <= Duration::from_millis(200), "at {times} times the load 503 came after {typical:?}");
    }
    Ok(())
}
