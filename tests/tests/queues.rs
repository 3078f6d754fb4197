//! Fifty callers, five agents, one queue, and everything that happens in a call centre: who declines, who lets it ring, who gives up.

use anyhow::{Context, Result, ensure};
use parties::{
    io::{Call, ControlClient, Events, Keep, Party, Voice},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tests::{Daemon, Tool, own_address, standard};

const CALLERS: usize = 50;
const AGENTS: usize = 5;
/// By agent, each time they were rung: whether a call of theirs was still up.
type Rung = Arc<Mutex<BTreeMap<String, Vec<bool>>>>;

const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callers_and_five_agents_under_churn_nobody_rings_twice_and_the_order_holds() -> Result<()> {
    let human = Arc::new(Party::bind("human", own_address().into(), light(500.0)).await?);
    let rung = Rung::default();
    let desk = tokio::spawn(desk(Arc::clone(&human), Arc::clone(&rung)));
    fifty_callers([human.address(); AGENTS]).await?;
    desk.abort();
    let rung = rung.lock().unwrap().clone();
    ensure!(rung.len() == AGENTS, "not every agent had work: {rung:?}");
    ensure!(!rung.values().flatten().any(|twice| *twice), "an agent was rung twice at once: {rung:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_callers_and_five_phones_of_sipp_nobody_rings_twice_and_the_order_holds() -> Result<()> {
    let addresses = [(); AGENTS].map(|()| own_address());
    let phones = addresses.map(|address| {
        let ip = address.to_string();
        Tool::sipp("human.xml", &["-i", &ip, "-p", "5060", "-mi", &ip, "-trace_shortmsg"])
    });
    fifty_callers(addresses.map(|address| SocketAddr::from((address, 5060)))).await?;
    for phone in phones {
        let told = told_by(&phone)?;
        ensure!(told.rung > 0, "an agent had no work");
        ensure!(told.at_once == 1, "an agent was rung twice at once: {told:?}");
    }
    Ok(())
}

fn light(hertz: f64) -> Voice {
    Voice { keep: Keep::Count, ..Voice::of(Signal::Tone(hertz)) }
}

/// Fifty callers whose AI hands each to a queue of five agents at these addresses, until every caller is gone.
async fn fifty_callers(agents: [SocketAddr; AGENTS]) -> Result<()> {
    let caller = Party::bind("caller", own_address().into(), light(300.0)).await?;
    let ai = Arc::new(Party::bind("agent", own_address().into(), light(400.0)).await?);
    let nobody = SocketAddr::from((own_address(), 5060));
    let mut files = standard(ai.address(), nobody);
    files.configuration += "agents:\n  rest: 1s\n  away_after: 0\n  static:\n";
    for (agent, address) in (1..).zip(agents) {
        files.configuration +=
            &format!("    a{agent}: {{ dial: \"sip:a{agent}@{address}\", skills: {{ fraud: {agent} }} }}\n");
    }
    files.rules = files
        .rules
        .replace(&format!("{{ dial: \"sip:fraud@{nobody}\" }}"), "{ queue: { skills: [fraud], overflow_after: 2m } }");
    let daemon = Daemon::start(&files).await?;
    let control = ControlClient::new(daemon.control());
    let events = control.subscribe("").await?;
    let watch = tokio::spawn(watch(events));

    let ais = tokio::spawn(answer_as_ai(Arc::clone(&ai), control.clone()));
    let mut callers = Vec::new();
    for number in 0..CALLERS {
        callers.push(caller.call(&format!("+49305550{number:04}"), "support", daemon.sip()).await?);
    }
    // Every seventh gives up after a while, wherever they are; the others stay until their agent hangs up.
    let mut turns = Vec::new();
    for (number, call) in callers.into_iter().enumerate() {
        turns.push(tokio::spawn(async move {
            call.answered(LONG).await?;
            if number % 7 == 3 {
                tokio::time::sleep(Duration::from_millis(1_500 + 100 * number as u64)).await;
                call.hang_up();
            }
            call.ended(LONG).await?;
            anyhow::Ok(())
        }));
    }
    for turn in turns {
        turn.await??;
    }
    ais.await??;
    let seen = tokio::time::timeout(LONG, watch).await.context("not every caller's stay in the queue ended")???;

    ensure!(seen.entered == CALLERS, "{} callers waited", seen.entered);
    ensure!(seen.out_of_order.is_empty(), "served before others who came first: {:?}", seen.out_of_order);
    let text = control.get("/metrics").await?.body.as_str().context("text")?.to_owned();
    for outcome in ["connected", "abandoned"] {
        let waits = seen.waits.get(outcome).cloned().unwrap_or_default();
        ensure!(!waits.is_empty(), "nobody {outcome}");
        let counted = metric(&text, "tandem_queue_wait_seconds_count", outcome);
        ensure!(counted == waits.len() as f64, "{outcome}: {counted} counted, {} told", waits.len());
        let measured = metric(&text, "tandem_queue_wait_seconds_sum", outcome);
        let told = waits.iter().sum::<u64>() as f64 / 1e3;
        let apart = (measured - told).abs();
        ensure!(apart <= 0.002 * waits.len() as f64, "{outcome}: {measured} s measured, {told} s told");
    }
    ensure!(metric(&text, "tandem_queue_length", "fraud") == 0.0, "somebody still waits");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let agents = control.get("/v1/agents").await?.body;
        let held: Vec<&Value> =
            agents["agents"].as_array().context("a list")?.iter().filter(|it| it["calls_now"] != 0).collect();
        if held.is_empty() {
            break;
        }
        ensure!(Instant::now() < deadline, "agents are still held: {held:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    daemon.stop().await?;
    Ok(())
}

/// What a phone of SIPp's saw.
#[derive(Debug, Default)]
struct Told {
    rung: usize,
    /// Most calls that were up or ringing at the same time.
    at_once: usize,
}

/// By its trace of messages, a line each. A call begins with its INVITE, and is over for the phone with the BYE of either side, when it
/// declines, or when it is cancelled.
fn told_by(phone: &Tool) -> Result<Told> {
    let trace = fs::read_dir(phone.folder())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().ends_with("_shortmessages.log"))
        .context("SIPp traced nothing")?;
    let (mut told, mut up, mut known) = (Told::default(), BTreeSet::new(), BTreeSet::new());
    for line in fs::read_to_string(trace)?.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let &[.., call, _cseq, first] = words.as_slice() else { continue };
        let begins = first.starts_with("INVITE") && known.insert(call.to_owned());
        let ends = first.starts_with("BYE") || first.starts_with("CANCEL") || first.starts_with("SIP/2.0 603");
        if begins {
            told.rung += 1;
            up.insert(call.to_owned());
        } else if ends {
            up.remove(call);
        }
        told.at_once = told.at_once.max(up.len());
    }
    Ok(told)
}

/// What the events told.
#[derive(Default)]
struct Seen {
    entered: usize,
    waits: BTreeMap<String, Vec<u64>>,
    out_of_order: Vec<String>,
}

/// Follows the events until every caller has left the queue. An offer must go to the first who waits and is not being offered.
async fn watch(mut events: Events) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut waiting: BTreeMap<u64, String> = BTreeMap::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut left = 0;
    while left < CALLERS {
        let event = events.next().await.context("the event stream ended")?;
        let call = event["call"].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap_or_default() {
            "queue.entered" => {
                seen.entered += 1;
                waiting.insert(event["seq"].as_u64().context("seq")?, call);
            }
            "agent.offered" => {
                let first = waiting.values().find(|call| !asked.contains(*call));
                if first != Some(&call) {
                    seen.out_of_order.push(format!("{call} before {first:?}"));
                }
                asked.insert(call);
            }
            "transfer.failed" if event["data"]["next"] == "queue" => {
                asked.remove(&call);
            }
            "queue.left" => {
                left += 1;
                waiting.retain(|_, it| *it != call);
                asked.remove(&call);
                let outcome = event["data"]["outcome"].as_str().unwrap_or_default().to_owned();
                seen.waits.entry(outcome).or_default().push(event["data"]["waited_ms"].as_u64().context("waited_ms")?);
            }
            _ => {}
        }
    }
    Ok(seen)
}

/// Each AI answers and hands its caller to the queue.
async fn answer_as_ai(ai: Arc<Party>, control: ControlClient) -> Result<()> {
    let mut turns = Vec::new();
    for _ in 0..CALLERS {
        let call = ai.incoming(LONG).await.context("an AI was not called")?;
        let control = control.clone();
        turns.push(tokio::spawn(async move {
            call.answer();
            call.answered(LONG).await?;
            let id = call.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
            let answer = control.post(&format!("/v1/calls/{id}/transfer"), &json!({ "to": "fraud" })).await?;
            ensure!(answer.status == 202, "{answer:?}");
            call.ended(LONG).await?;
            anyhow::Ok(())
        }));
    }
    for turn in turns {
        turn.await??;
    }
    Ok(())
}

/// The agents: each call to one is answered, declined, or left to ring. Who was rung, and who was rung while a call of theirs was up.
async fn desk(human: Arc<Party>, rung: Rung) {
    let mut last = BTreeMap::<String, Arc<Call>>::new();
    let mut number = 0_u64;
    while let Some(call) = human.incoming(LONG).await {
        let to = call.header("To").unwrap_or_default().to_owned();
        let agent = to.split("sip:").nth(1).and_then(|rest| rest.split('@').next()).unwrap_or_default().to_owned();
        let call = Arc::new(call);
        let before = last.insert(agent.clone(), Arc::clone(&call));
        let twice = before.is_some_and(|before| !before.status().is_over());
        rung.lock().expect("nobody panics with the list in hand").entry(agent).or_default().push(twice);
        number += 1;
        tokio::spawn(serve(call, number));
    }
}

async fn serve(call: Arc<Call>, number: u64) {
    call.ring(180);
    tokio::time::sleep(Duration::from_millis(20 + 13 * (number % 7))).await;
    match number % 9 {
        4 => call.refuse(603),
        // Rings until it is cancelled.
        7 => {}
        _ => {
            call.answer();
            let _ = call.answered(LONG).await;
            tokio::time::sleep(Duration::from_millis(200 + 37 * (number % 11))).await;
            call.hang_up();
        }
    }
}

/// The sum of a metric over the lines that contain a word.
fn metric(text: &str, name: &str, word: &str) -> f64 {
    text.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(word))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
