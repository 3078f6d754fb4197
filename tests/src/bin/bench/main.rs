//! `make bench`: the hot paths, as a table and as `target/bench.json`.
//!
//! Each figure says what it is and how it was taken. Run it on a quiet machine; ratios are of things measured in one run.
#![expect(clippy::print_stdout, reason = "a command-line program")]

mod floor;
mod handoff;
mod setup;
mod soak;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::{
    socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
    time::TimeSpec,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{IoSliceMut, Read, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};
use tests::{Daemon, Files, Tool, own_address, standard, sum_of_metric};

#[tokio::main]
async fn main() -> Result<()> {
    // `make bench ARGS=relay` measures that part alone.
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut figures = Vec::new();
    if wanted("parse") {
        figures.extend(of_cargo_bench("sip-codec", "parse", &[])?);
    }
    if wanted("relay") {
        figures.extend(of_cargo_bench("media-relay", "relay", &["--features", "io"])?);
    }
    // These are long, and measured only when they are asked for.
    let named = |part: &str| parts.iter().any(|named| named == part);
    for calls in ["500", "1000"] {
        if named(&format!("relay-{calls}")) {
            figures.extend(of_cargo_bench("media-relay", "relay", &["--features", "io", "--", calls])?);
        }
    }
    if named("media") {
        figures.extend(of_cargo_bench("media-relay", "mixing", &["--features", "io"])?);
    }
    if named("recording") {
        figures.extend(of_cargo_bench("recorder", "recording", &["--features", "io"])?);
    }
    // `soak` takes ten minutes, `soak=120` two.
    for part in &parts {
        match part.split_once('=') {
            None if part == "soak" => figures.extend(soak::figures(soak::LASTING).await?),
            Some(("soak", seconds)) => {
                let seconds = seconds.parse().with_context(|| format!("`{part}`: how many seconds?"))?;
                figures.extend(soak::figures(Duration::from_secs(seconds)).await?);
            }
            _ => {}
        }
    }
    if wanted("calls") {
        figures.push(signaling_cpu().await?);
        figures.push(floor::bare_forwarder().await?);
    }
    if wanted("memory") {
        figures.push(memory_per_call().await?);
    }
    if wanted("decision") {
        figures.push(decision_to_invite().await?);
    }
    if wanted("handoff") {
        figures.extend(handoff::figures().await?);
    }
    if wanted("held") {
        figures.extend(setup::beside_held_calls().await?);
    }
    if wanted("handshakes") {
        figures.push(setup::beside_handshakes().await?);
    }

    println!("\n{:<38} {:>12}  {:<10} what it is", "figure", "value", "unit");
    for figure in &figures {
        println!(
            "{:<38} {:>12.3}  {:<10} {}",
            figure["name"].as_str().unwrap_or_default(),
            figure["value"].as_f64().unwrap_or(f64::NAN),
            figure["unit"].as_str().unwrap_or_default(),
            figure["note"].as_str().unwrap_or_default(),
        );
    }
    let path = tests::root().join("target/bench.json");
    fs::write(&path, serde_json::to_string_pretty(&figures)?)?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str, note: &str) -> Value {
    json!({ "name": name, "value": value, "unit": unit, "note": note })
}

/// Runs one `cargo bench` and takes the figures it prints as JSON objects, one a line.
fn of_cargo_bench(package: &str, bench: &str, extra: &[&str]) -> Result<Vec<Value>> {
    println!("measuring {package} ({bench}) ...");
    let output = Command::new(env!("CARGO"))
        .args(["bench", "--quiet", "-p", package, "--bench", bench])
        .args(extra)
        .current_dir(tests::root())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{package} {bench}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    let figures: Vec<Value> = printed
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{package} {bench} printed a line that is no figure"))?;
    ensure!(!figures.is_empty(), "{package} {bench} printed no figure:\n{printed}");
    Ok(figures)
}

/// CPU of the daemon for complete calls at 200 a second, INVITE to BYE through both legs, SDP offered and ports open; counted once
/// transactions and ports of calls that are over are let go as fast as new ones begin (they are kept for 32 s).
async fn signaling_cpu() -> Result<Value> {
    println!("measuring calls under SIPp ...");
    const RATE: u32 = 200;
    const WARM: Duration = Duration::from_secs(40);
    const COUNTED: Duration = Duration::from_secs(30);
    let (caller, ai) = (own_address(), own_address());
    let ai_port = SocketAddr::from((ai, 5060));
    let Files { configuration, rules } = standard(ai_port, ai_port);
    // 400 ports a second rest for 30 s before they are used again.
    let configuration = configuration.replace("20000-23999", "10000-64999");
    let daemon = Daemon::start(&Files { configuration, rules }).await?;
    let _answerer = answerer(ai, &[]);
    let calls = RATE * u32::try_from((WARM + COUNTED).as_secs() + 5)?;
    let running = call(daemon.sip(), caller, "caller.xml", calls, RATE, 0);
    let ended = || -> Result<f64> {
        let (status, metrics) = http(&daemon.control(), "GET", "/metrics", "")?;
        ensure!(status == 200, "metrics answered {status}");
        sum_of_metric(&metrics, "tandem_calls_total")
    };
    tokio::time::sleep(WARM).await;
    let (before, first) = (daemon.usage()?, ended()?);
    tokio::time::sleep(COUNTED).await;
    let (after, last) = (daemon.usage()?, ended()?);
    let finished = running.finished(Duration::from_secs(90)).await;
    ensure!(finished.status.success(), "SIPp lost calls:\n{}", last_lines(&finished.printed));
    let counted = last - first;
    let expected = f64::from(RATE) * COUNTED.as_secs_f64();
    ensure!((expected * 0.95..=expected * 1.05).contains(&counted), "{counted} calls instead of {expected}");
    Ok(figure(
        "signaling_cpu_s_per_1000_calls",
        (after.cpu - before.cpu).as_secs_f64() / counted * 1000.0,
        "s",
        "daemon CPU by the kernel, SIPp calls at 200/s through both legs for 30 s after 40 s, INFO logs on; goal 0.25 or less",
    ))
}

/// Resident memory that 500 held calls with open ports and flowing audio of the caller add.
async fn memory_per_call() -> Result<Value> {
    println!("measuring memory of held calls ...");
    const CALLS: u32 = 500;
    let (caller, ai) = (own_address(), own_address());
    let ai_port = SocketAddr::from((ai, 5060));
    let daemon = Daemon::start(&standard(ai_port, ai_port)).await?;
    let _answerer = answerer(ai, &["-rtp_echo"]);
    // One call first, so that what is made once is not counted as a call's.
    let warm = call(daemon.sip(), caller, "caller.xml", 1, 1, 100).finished(Duration::from_secs(20)).await;
    ensure!(warm.status.success(), "the first call failed:\n{}", last_lines(&warm.printed));
    let before = daemon.usage()?;
    let held = call(daemon.sip(), caller, "caller-rtp.xml", CALLS, 100, 15_000);
    until_calls(&daemon, CALLS as usize).await?;
    let during = daemon.usage()?;
    let finished = held.finished(Duration::from_secs(60)).await;
    ensure!(finished.status.success(), "SIPp lost calls:\n{}", last_lines(&finished.printed));
    let value = (during.resident.saturating_sub(before.resident)) as f64 / 1024.0 / f64::from(CALLS);
    Ok(figure(
        "memory_kib_per_held_call",
        value,
        "KiB",
        "resident memory added by 500 held calls with two ports each and RTP flowing; goal 64 or less",
    ))
}

/// From the event's POST to the INVITE at the human's socket, by the kernel's receive time, 1,000 times with 200 calls up.
async fn decision_to_invite() -> Result<Value> {
    println!("measuring from event to INVITE ...");
    const CALLS: u32 = 200;
    const TIMES: usize = 1000;
    let (caller, ai, human) = (own_address(), own_address(), own_address());
    let human_port = SocketAddr::from((human, 5060));
    let socket = timed(human_port)?;
    let Files { configuration, rules } = standard(SocketAddr::from((ai, 5060)), human_port);
    let rules = rules.split("rules:\n  - id").next().context("the rules begin somewhere")?.to_owned()
        + "rules:\n  - id: at-once\n    when: { event: transfer_requested }\n    transfer: frontdesk\n";
    let daemon = Daemon::start(&Files { configuration, rules }).await?;
    let _answerer = answerer(ai, &["-rtp_echo"]);
    let held = call(daemon.sip(), caller, "caller.xml", CALLS, 100, 60_000);
    until_calls(&daemon, CALLS as usize).await?;
    let calls = calls(&daemon.control())?;
    let mut taken = Vec::with_capacity(TIMES);
    for round in 0..TIMES {
        let id = &calls[round % calls.len()];
        let posted = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let (status, body) = http(
            &daemon.control(),
            "POST",
            &format!("/v1/calls/{id}/events"),
            r#"{"type":"transfer_requested","reason":"bench"}"#,
        )?;
        ensure!(status == 200, "event answered {status}: {body}");
        let (at, invite, from) = receive_invite(&socket)?;
        taken.push(at.saturating_sub(posted));
        decline(&socket, &invite, from)?;
    }
    drop(held);
    taken.sort_unstable();
    let at = |percent: usize| taken[(TIMES * percent / 100).min(TIMES - 1)].as_secs_f64() * 1000.0;
    println!("  median {:.3} ms, p99 {:.3} ms, longest {:.3} ms", at(50), at(99), at(100));
    Ok(figure(
        "decision_to_invite_ms_p99",
        at(99),
        "ms",
        "from the event's POST to the INVITE's kernel receive time, p99 of 1000 with 200 calls up; goal 5 or less",
    ))
}

/// SIPp as an AI that answers at once.
fn answerer(address: Ipv4Addr, extra: &[&str]) -> Tool {
    let ip = address.to_string();
    let mut arguments = vec!["-i", &ip, "-p", "5060", "-mi", &ip];
    arguments.extend(extra);
    Tool::sipp("answerer.xml", &arguments)
}

/// SIPp as a trunk with callers.
fn call(target: SocketAddr, address: Ipv4Addr, scenario: &str, calls: u32, rate: u32, hold_ms: u32) -> Tool {
    let ip = address.to_string();
    let target = target.to_string();
    let (calls, rate, hold) = (calls.to_string(), rate.to_string(), hold_ms.to_string());
    Tool::sipp(
        scenario,
        &[
            "-i", &ip, "-p", "5060", "-mi", &ip, "-m", &calls, "-r", &rate, "-d", &hold, "-l", "100000", "-s",
            "support", &target,
        ],
    )
}

async fn until_calls(daemon: &Daemon, wanted: usize) -> Result<()> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let (_, metrics) = http(&daemon.control(), "GET", "/metrics", "")?;
        let talking: f64 = metrics
            .lines()
            .filter(|line| line.starts_with("tandem_calls_active{") && line.contains("ai"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        if talking >= wanted as f64 {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            bail!("only {talking} of {wanted} calls came up; the log ends:\n{}", last_lines(&daemon.log()));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn calls(socket: &Path) -> Result<Vec<String>> {
    let (status, body) = http(socket, "GET", "/v1/calls?limit=1000", "")?;
    ensure!(status == 200, "calls answered {status}: {body}");
    let list: Value = serde_json::from_str(&body)?;
    let list = list.get("calls").unwrap_or(&list).as_array().context("a list of calls")?.clone();
    Ok(list.iter().filter_map(|call| Some(call.get("id").or_else(|| call.get("call"))?.as_str()?.to_owned())).collect())
}

/// One HTTP exchange on a connection of its own.
fn http(socket: &Path, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: tandem\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).context("a status line")?.parse()?;
    Ok((status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

/// The next INVITE with its kernel receive time; ACKs and retransmissions that come before are passed over.
fn receive_invite(socket: &UdpSocket) -> Result<(Duration, String, SocketAddr)> {
    loop {
        let (at, text, from) = receive(socket)?;
        if text.starts_with("INVITE ") {
            return Ok((at, text, from));
        }
    }
}

/// The next datagram with its kernel receive time.
fn receive(socket: &UdpSocket) -> Result<(Duration, String, SocketAddr)> {
    let mut buffer = [0u8; 4096];
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::empty())?;
    let at = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    let from = message.address.context("a sender")?;
    let (at, length) = (at.context("a kernel time")?, message.bytes);
    let from = SocketAddr::from((from.ip(), from.port()));
    Ok((at, String::from_utf8_lossy(&buffer[..length]).into_owned(), from))
}

/// A socket whose datagrams tell when the kernel got them; five seconds without one are an error.
fn timed(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    setsockopt(&socket, ReceiveTimestampns, &true)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(socket)
}

/// Declines an INVITE, so that the caller is back with the AI before the next round.
fn decline(socket: &UdpSocket, invite: &str, to: SocketAddr) -> Result<()> {
    let mut answer = String::from("SIP/2.0 486 Busy Here\r\n");
    for name in ["via:", "from:", "to:", "call-id:", "cseq:"] {
        for line in invite.lines().filter(|line| line.to_ascii_lowercase().starts_with(name)) {
            answer += line.trim_end();
            answer += if name == "to:" { ";tag=bench\r\n" } else { "\r\n" };
        }
    }
    answer += "Content-Length: 0\r\n\r\n";
    socket.send_to(answer.as_bytes(), to)?;
    Ok(())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
