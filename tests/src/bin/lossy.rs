//! Calls over a network that loses a share of all datagrams, measured. To be run in a network namespace of its own, because it
//! drops what goes over `lo`: `unshare --net target/debug/lossy --percent 10`. Prints one line of JSON.
#![expect(clippy::print_stdout, reason = "a command-line program")]

use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};
use tests::{Daemon, Files, Series, Tool, standard};
use tokio::time::Instant;

#[tokio::main]
async fn main() -> Result<()> {
    let number = |name: &str, otherwise: u32| -> Result<u32> {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        match arguments.nth(1) {
            None => Ok(otherwise),
            Some(text) => text.parse().with_context(|| format!("{name} {text}, expected a number")),
        }
    };
    let (percent, calls, rate) = (number("--percent", 0)?, number("--calls", 1000)?, number("--rate", 100)?);
    let sipp_calls = number("--sipp", 0)?;
    ensure!(percent <= 100 && rate > 0, "--percent up to 100, --rate at least 1");
    spoil_loopback(percent)?;

    let [caller, ai, own] = [2, 3, 1].map(|last| SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 5060)));
    let Files { configuration, rules } = standard(ai, ai);
    // What is measured is whether calls come and go, however long the network takes.
    let configuration = configuration
        .replace("ring_timeout: 5s", "ring_timeout: 60s")
        .replace("silence_limit: 15s", "silence_limit: 600s");
    let daemon = Daemon::start_at(Ipv4Addr::new(127, 0, 0, 1), &Files { configuration, rules }).await?;
    let series = Series {
        caller,
        ai,
        to: own,
        calls: calls as usize,
        every: Duration::from_secs(1) / rate,
        hold: Duration::from_secs(1),
        within: Duration::from_secs(150),
    };
    let outcome = tokio::task::spawn_blocking(move || series.run()).await??;
    let left = until_nothing_is_left(&daemon, Duration::from_secs(64)).await?;
    let sipp = match sipp_calls {
        0 => None,
        calls => Some((sipp(calls, caller, ai, ai).await?, sipp(calls, caller, ai, own).await?)),
    };
    // Set up, held and ended with every final response where it belongs.
    let clean = outcome.caller.byes_answered.min(outcome.caller.answered);
    let open = |tally: sim::Tally| tally.calls - tally.over + tally.waiting;
    println!(
        "{}",
        json!({
            "percent": percent, "calls": calls, "clean": clean, "answered": outcome.caller.answered,
            "ai_calls": outcome.ai.calls, "ai_answered": outcome.ai.answered,
            "stuck_at_phones": open(outcome.caller) + open(outcome.ai),
            "left_in_daemon": left.0, "left_for_s": left.1.as_secs_f64(), "took_s": outcome.took.as_secs_f64(),
            "sipp_direct": sipp.map(|both| both.0), "sipp_through": sipp.map(|both| both.1), "sipp_calls": sipp_calls,
        })
    );
    Ok(())
}

/// Brings this namespace's `lo` up and drops a share of the UDP datagrams that come over it.
fn spoil_loopback(percent: u32) -> Result<()> {
    run("iproute2", "ip", &["link", "set", "lo", "up"])?;
    if percent > 0 {
        let share = format!("{:.2}", f64::from(percent) / 100.0);
        let rule = ["-A", "INPUT", "-i", "lo", "-p", "udp", "-m", "statistic", "--mode", "random", "--probability"];
        let rule: Vec<&str> = rule.into_iter().chain([share.as_str(), "-j", "DROP"]).collect();
        run("iptables", "iptables", &rule)?;
    }
    Ok(())
}

fn run(package: &str, program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .status()
        .with_context(|| format!("{program} is missing; install it with: apt-get install {package}"))?;
    ensure!(status.success(), "{program} {arguments:?} ended with {status}");
    Ok(())
}

/// Waits until the daemon has no call, transaction, dialog, leg or port any more. What was left at the end, and how long it took.
async fn until_nothing_is_left(daemon: &Daemon, within: Duration) -> Result<(f64, Duration)> {
    let control = parties::io::ControlClient::new(daemon.control());
    let began = Instant::now();
    loop {
        let metrics = control.get("/metrics").await?;
        let left: f64 = metrics
            .body
            .as_str()
            .unwrap_or_default()
            .lines()
            .filter(|line| {
                ["tandem_calls_active", "tandem_sip_transactions_active", "tandem_ports_in_use"]
                    .iter()
                    .any(|name| line.starts_with(name))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum();
        if left == 0.0 || began.elapsed() > within {
            return Ok((left, began.elapsed()));
        }
        // Gauges are read, not awaited.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Calls that SIPp counts as successful, from its caller to `to`, with its answerer at `ai`.
async fn sipp(calls: u32, caller: SocketAddr, ai: SocketAddr, to: SocketAddr) -> Result<u32> {
    let (caller, ai) = (caller.ip().to_string(), ai.ip().to_string());
    let _answerer = Tool::sipp("answerer.xml", &["-i", &ai, "-p", "5060", "-mi", &ai]);
    let (calls, to) = (calls.to_string(), to.to_string());
    let arguments = [
        "-i",
        &caller,
        "-p",
        "5060",
        "-mi",
        &caller,
        "-m",
        &calls,
        "-r",
        "50",
        "-d",
        "500",
        "-l",
        "100000",
        "-s",
        "support",
        "-timeout",
        "100s",
        "-trace_stat",
        "-stf",
        "stat.csv",
        "-fd",
        "1",
        &to,
    ];
    let mut caller = Tool::sipp("caller.xml", &arguments);
    // Calls that failed make its exit status 1; calls that hang are given up.
    caller.ended(Duration::from_secs(110)).await;
    let table = std::fs::read_to_string(caller.folder().join("stat.csv")).context("SIPp wrote no statistics")?;
    let mut lines = table.lines();
    let names = lines.next().context("SIPp wrote no statistics")?;
    let place = names.split(';').position(|name| name == "SuccessfulCall(C)").context("no such column")?;
    let row = lines.next_back().context("SIPp wrote no row of statistics")?;
    Ok(row.split(';').nth(place).context("a short row")?.parse()?)
}
