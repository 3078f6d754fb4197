//! 200 calls at once, each through a whole handoff; 40 s later nothing is left of them.

use anyhow::{Context, Result, ensure};
use parties::{
    io::{Keep, Party, Voice},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tests::{Daemon, own_address, standard};

const CALLS: usize = 200;
const LONG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_handoffs_at_once_all_succeed_and_leave_nothing() -> Result<()> {
    let light = |seed| Voice { keep: Keep::Count, ..Voice::of(Signal::Tone(seed)) };
    let caller = Party::bind("caller", own_address().into(), light(300.0)).await?;
    let ai = Arc::new(Party::bind("agent", own_address().into(), light(400.0)).await?);
    let human = Arc::new(Party::bind("human", own_address().into(), light(500.0)).await?);
    let daemon = Daemon::start(&standard(ai.address(), human.address())).await?;
    let control = parties::io::ControlClient::new(daemon.control());

    // The AIs answer and post three misses each; the humans answer.
    let agents = tokio::spawn({
        let (ai, control) = (Arc::clone(&ai), control.clone());
        async move {
            let mut turns = Vec::new();
            for _ in 0..CALLS {
                let call = ai.incoming(LONG).await.context("an AI was not called")?;
                let control = control.clone();
                turns.push(tokio::spawn(async move {
                    call.answer();
                    call.answered(LONG).await?;
                    let id = call.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
                    let miss = json!({ "type": "no_match" });
                    let answer = control.post(&format!("/v1/calls/{id}/events"), &json!([miss, miss, miss])).await?;
                    ensure!(answer.status == 200, "{answer:?}");
                    call.ended(LONG).await?;
                    anyhow::Ok(())
                }));
            }
            for turn in turns {
                turn.await??;
            }
            anyhow::Ok(())
        }
    });
    let desks = tokio::spawn({
        let human = Arc::clone(&human);
        async move {
            let mut calls = Vec::new();
            for _ in 0..CALLS {
                let call = human.incoming(LONG).await.context("a human was not called")?;
                call.ring(180);
                call.answer();
                calls.push(call);
            }
            for call in &calls {
                call.answered(LONG).await?;
            }
            anyhow::Ok(calls)
        }
    });
    let mut callers = Vec::new();
    for number in 0..CALLS {
        callers.push(caller.call(&format!("+49305550{number:04}"), "support", daemon.sip()).await?);
    }
    for call in &callers {
        call.answered(LONG).await?;
    }
    agents.await??;
    let humans = desks.await??;

    // Everybody with a human hears packets.
    let everybody = humans.iter().chain(&callers).map(|call| tokio::time::timeout(LONG, call.audio().hears(10)));
    for heard in futures_util::future::join_all(everybody).await {
        heard.context("a party hears nothing")?;
    }
    let bridged = total(&metrics(&control).await?, "tandem_transfers_total", "bridged");
    ensure!(bridged == CALLS as f64, "{bridged} of {CALLS} were bridged");
    for call in &callers {
        call.hang_up();
    }
    for call in &humans {
        call.ended(LONG).await?;
    }

    // Timers D, I, J and K run out within 32 s; the quarantine of ports is not use.
    let gauges = [
        "tandem_calls_active",
        "tandem_ports_in_use",
        "tandem_sip_transactions_active",
        "tandem_sip_dialogs_active",
        "tandem_timers_active",
    ];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(40);
    loop {
        let text = metrics(&control).await?;
        let left: Vec<(&str, f64)> =
            gauges.iter().map(|name| (*name, total(&text, name, ""))).filter(|(_, value)| *value != 0.0).collect();
        if left.is_empty() {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "40 s later there is still {left:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let folder = daemon.stop().await?;
    let records = std::fs::read_to_string(folder.path().join("cdr.jsonl"))?;
    let bridged = records
        .lines()
        .map(serde_json::from_str::<Value>)
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .filter(|record| record["transfers"][0]["state"] == "bridged")
        .count();
    ensure!(bridged == CALLS, "{bridged} records of a bridged transfer");
    Ok(())
}

async fn metrics(control: &parties::io::ControlClient) -> Result<String> {
    Ok(control.get("/metrics").await?.body.as_str().context("text")?.to_owned())
}

/// The sum of a metric over the lines that contain a word.
fn total(text: &str, name: &str, word: &str) -> f64 {
    text.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(word))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
