//! Ten minutes of whole handoffs through one daemon, of every kind and with every way to fail: what of them stays in its memory and its tables.

use super::figure;
use anyhow::{Context, Result, bail, ensure};
use parties::{
    analysis::tone_share,
    io::{Call, ControlClient, Keep, Party, Voice, now},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tests::{Daemon, Files, own_address, standard, sum_of_metric};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// How long calls are placed where nothing else is said.
pub(super) const LASTING: Duration = Duration::from_secs(600);
/// Calls a second.
const RATE: u32 = 20;
/// Agents of the queue: a third of them would do.
const AGENTS: u32 = 60;
/// In Hz: who is heard is known by them, and neither music nor prompts are like them.
const CALLER_SAYS: f64 = 300.0;
const AI_SAYS: f64 = 500.0;
const HUMAN_SAYS: f64 = 900.0;
const LONG: Duration = Duration::from_secs(30);
/// By then the tables and rings that are filled to a bound are full, and the allocator has what that takes.
const WARM: Duration = Duration::from_secs(120);
/// What is kept of ended calls for 32 s is gone by then.
const DRAIN: Duration = Duration::from_secs(60);

/// Places calls for so long; growth of memory, leftovers and calls that failed.
pub(super) async fn figures(lasting: Duration) -> Result<Vec<Value>> {
    let warm = (lasting / 3).clamp(Duration::from_secs(45), WARM);
    ensure!(lasting >= warm + Duration::from_secs(10), "less than a minute says nothing: `soak=60` at least");
    println!("measuring {RATE} handoffs a second for {} s ...", lasting.as_secs());
    let (stage, daemon) = Stage::new().await?;
    stage.open();
    let before = Left::of(&stage.control).await?;
    let mut samples = Vec::new();
    let (began, cpu) = (Instant::now(), daemon.usage()?.cpu);
    let mut next_call = interval(Duration::from_secs(1) / RATE);
    next_call.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut next_look = interval(Duration::from_secs(1));
    let mut number = 0;
    while began.elapsed() < lasting {
        tokio::select! {
            _ = next_call.tick() => {
                number += 1;
                stage.go(number, caller(Arc::clone(&stage), number));
            }
            _ = next_look.tick() => {
                let sample = Sample { at: began.elapsed(), calls: stage.over.load(Ordering::Relaxed), resident: daemon.usage()?.resident };
                if sample.at.as_secs().is_multiple_of(10) {
                    println!(
                        "  {:>4} s: {} calls over, {} failed, {:.1} MB resident",
                        sample.at.as_secs(), sample.calls, stage.failed().len(), sample.resident as f64 / 1e6
                    );
                }
                samples.push(sample);
            }
        }
    }
    let cpu = (daemon.usage()?.cpu - cpu).as_secs_f64() / number as f64 * 1000.0;
    let left = stage.drain(&before).await?;
    let resident = daemon.usage()?.resident;
    let failed = stage.failed().clone();
    for (number, why) in failed.iter().take(20) {
        println!("  call {number} ({:?}): {why}", Manner::of(*number));
    }
    if let Some(left) = &left {
        println!("  left over: {left}");
    }
    let counted: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= warm).collect();
    let growth = slope(&counted).context("too short")? * 10_000.0 / 1e6;
    let quarter = counted.len() / 4;
    let mean = |of: &[&Sample]| of.iter().map(|it| it.resident as f64).sum::<f64>() / of.len().max(1) as f64 / 1e6;
    let (early, late) = (mean(&counted[..quarter]), mean(&counted[counted.len() - quarter..]));
    let counts = if warm < WARM { "; does not count: tables are still being filled" } else { "" };
    let calls = counted.last().zip(counted.first()).map_or(0, |(last, first)| last.calls - first.calls);
    Ok(vec![
        figure(
            "soak_memory_mb_per_10000_calls",
            growth,
            "MB",
            &format!(
                "resident memory gained, fitted over {calls} calls after {} s ({early:.1} MB in the first quarter of them, {late:.1} in the last, {:.1} when all was over{counts}); goal 1 or less",
                warm.as_secs(),
                resident as f64 / 1e6
            ),
        ),
        figure(
            "soak_leftovers",
            left.as_ref().map_or(0.0, Left::sum),
            "",
            "calls, dialogs, transactions, ports, timers, recordings, waiting callers and held agents after the last call; goal 0",
        ),
        figure(
            "soak_failed_calls",
            failed.len() as f64,
            "",
            &format!("of {number} that did not go as they should; goal 0"),
        ),
        figure("soak_cpu_s_per_1000_handoffs", cpu, "s", "CPU of the daemon, audio of everybody included; no goal"),
    ])
}

/// How a call goes; its number alone decides.
#[derive(Copy, Clone, Debug)]
struct Manner {
    way: Way,
    ends: Ends,
    recorded: bool,
    /// How long the AI has the caller, and then whoever is last.
    ai: Duration,
    last: Duration,
}

/// What the AI's event leads to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Way {
    Cold,
    /// Accepted by a key.
    Warm,
    Whispered,
    /// To an agent of a queue.
    Queued,
    /// The first human is busy, the next one is not.
    Busy,
    /// Back to the AI, which is there, or is called again.
    Declined,
    DeclinedCold,
    Unanswered,
    /// The AI hangs up instead, and the caller is given to a human.
    AiGone,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Ends {
    Caller,
    Human,
    /// The caller goes at that time, wherever they are.
    Early(Duration),
}

impl Manner {
    fn of(number: u64) -> Self {
        let mut chance = Chance(number);
        let way = match chance.below(100) {
            0..22 => Way::Cold,
            22..42 => Way::Warm,
            42..50 => Way::Whispered,
            50..70 => Way::Queued,
            70..78 => Way::Busy,
            78..83 => Way::Declined,
            83..88 => Way::DeclinedCold,
            88..93 => Way::Unanswered,
            _ => Way::AiGone,
        };
        let ends = match chance.below(100) {
            0..15 => Ends::Early(chance.ms(0, 5_000)),
            15..35 if way.reaches_human() => Ends::Human,
            _ => Ends::Caller,
        };
        let recorded = chance.below(20) == 0;
        Self { way, ends, recorded, ai: chance.ms(200, 1_200), last: chance.ms(500, 2_500) }
    }

    fn is_early(self) -> bool {
        matches!(self.ends, Ends::Early(_))
    }
}

impl Way {
    fn reaches_human(self) -> bool {
        !matches!(self, Self::Declined | Self::DeclinedCold | Self::Unanswered)
    }

    fn intent(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Warm => "warm",
            Self::Whispered => "whispered",
            Self::Queued => "queued",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::DeclinedCold => "declined_cold",
            Self::Unanswered => "unanswered",
            Self::AiGone => "none",
        }
    }
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least))
    }
}

/// Everybody but the daemon.
struct Stage {
    sip: std::net::SocketAddr,
    control: ControlClient,
    caller: Party,
    ai: Party,
    human: Party,
    /// Turns of parties under way, and callers that are gone.
    turns: AtomicU64,
    over: AtomicU64,
    /// Calls whose AI has said what it wants, and whose human came to nothing.
    said: Mutex<HashSet<u64>>,
    refused: Mutex<HashSet<u64>>,
    failed: Mutex<BTreeMap<u64, String>>,
}

impl Stage {
    async fn new() -> Result<(Arc<Self>, Daemon)> {
        let voice = |hertz, keep| Voice { keep, ..Voice::of(Signal::Tone(hertz)) };
        let caller = Party::bind("caller", own_address().into(), voice(CALLER_SAYS, Keep::All)).await?;
        let ai = Party::bind("agent", own_address().into(), voice(AI_SAYS, Keep::Count)).await?;
        let human = Party::bind("human", own_address().into(), voice(HUMAN_SAYS, Keep::Count)).await?;
        for party in [&caller, &ai, &human] {
            party.forget_messages();
        }
        let daemon = Daemon::start(&files(ai.address(), human.address())).await?;
        let stage = Self {
            sip: daemon.sip(),
            control: ControlClient::new(daemon.control()),
            caller,
            ai,
            human,
            turns: AtomicU64::new(0),
            over: AtomicU64::new(0),
            said: Mutex::default(),
            refused: Mutex::default(),
            failed: Mutex::default(),
        };
        Ok((Arc::new(stage), daemon))
    }

    /// AIs and humans take calls from now on.
    fn open(self: &Arc<Self>) {
        let stage = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(call) = stage.ai.incoming(Duration::MAX).await {
                stage.go(number_of(&call), ai(Arc::clone(&stage), call));
            }
        });
        let stage = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(call) = stage.human.incoming(Duration::MAX).await {
                stage.go(number_of(&call), human(Arc::clone(&stage), call));
            }
        });
    }

    /// A party's turn in a call.
    fn go(self: &Arc<Self>, number: u64, turn: impl Future<Output = Result<()>> + Send + 'static) {
        let stage = Arc::clone(self);
        stage.turns.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            if let Err(error) = turn.await {
                stage.failed().entry(number).or_insert_with(|| format!("{error:#}"));
            }
            stage.turns.fetch_sub(1, Ordering::Relaxed);
        });
    }

    /// Waits until everybody is gone and nothing is left; what is, when it stays.
    async fn drain(&self, before: &Left) -> Result<Option<Left>> {
        let deadline = Instant::now() + LONG + DRAIN;
        loop {
            let left = Left::of(&self.control).await?.beyond(before);
            if self.turns.load(Ordering::Relaxed) == 0 && left.sum() == 0.0 {
                return Ok(None);
            }
            if Instant::now() > deadline {
                return Ok(Some(left));
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    fn failed(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        lock(&self.failed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every call has a number of its own to call from.
fn from(number: u64) -> String {
    format!("+49305{number:08}")
}

fn number_of(call: &Call) -> u64 {
    let from = call.header("From").unwrap_or_default();
    let digits = from.split("+49305").nth(1).unwrap_or_default();
    digits.get(..8).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

async fn caller(stage: Arc<Stage>, number: u64) -> Result<()> {
    let manner = Manner::of(number);
    let line = if manner.recorded { "recorded" } else { "support" };
    let call = stage.caller.call(&from(number), line, stage.sip).await?;
    let turn = caller_turn(&stage, &call, number, manner).await;
    if turn.is_err() {
        call.hang_up();
    }
    stage.over.fetch_add(1, Ordering::Relaxed);
    lock(&stage.said).remove(&number);
    lock(&stage.refused).remove(&number);
    turn
}

async fn caller_turn(stage: &Stage, call: &Call, number: u64, manner: Manner) -> Result<()> {
    if let Ends::Early(after) = manner.ends {
        sleep(after).await;
        call.hang_up();
        call.ended(LONG).await?;
        return Ok(());
    }
    call.answered(LONG).await.context("the caller is not answered")?;
    let reaches = manner.way.reaches_human();
    let deadline = Instant::now() + LONG;
    loop {
        sleep(Duration::from_millis(100)).await;
        let ready = reaches || lock(&stage.refused).contains(&number);
        if ready && hears(call, if reaches { HUMAN_SAYS } else { AI_SAYS }) {
            break;
        }
        let status = call.status();
        if status.is_over() {
            // A human who has hung up by then was perhaps heard, and not for long enough to be noticed.
            ensure!(manner.ends == Ends::Human, "the call is over before its time: {status:?}");
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the caller never heard {}", if reaches { "a human" } else { "the AI again" });
        }
    }
    if manner.ends == Ends::Caller {
        sleep(manner.last).await;
        ensure!(!call.status().is_over(), "the call is over before its time: {:?}", call.status());
        call.hang_up();
    }
    call.ended(LONG).await.context("the caller is not let go")?;
    Ok(())
}

/// Whether the last 200 ms were this tone.
fn hears(call: &Call, hertz: f64) -> bool {
    let heard = call.audio().received_since(now().saturating_sub(Duration::from_millis(200)));
    let samples: Vec<i16> = heard.iter().flat_map(parties::analysis::Received::samples).collect();
    samples.len() >= 800 && tone_share(&samples, hertz) > 0.9
}

async fn ai(stage: Arc<Stage>, call: Call) -> Result<()> {
    let number = number_of(&call);
    let manner = Manner::of(number);
    match ai_turn(&stage, &call, number, manner).await {
        // Who hangs up early may do so in the midst of anything.
        Err(_) if manner.is_early() => {
            call.ended(LONG).await.context("the AI is not let go")?;
            Ok(())
        }
        turn => turn,
    }
}

async fn ai_turn(stage: &Stage, call: &Call, number: u64, manner: Manner) -> Result<()> {
    call.ring(180);
    call.answer();
    call.answered(LONG).await.context("the AI")?;
    if lock(&stage.said).insert(number) {
        sleep(manner.ai).await;
        if manner.way == Way::AiGone {
            call.hang_up();
        } else {
            let id = call.header("X-Tandem-Call-Id").context("the AI is told the call's id")?;
            let event = json!({ "type": "intent", "name": manner.way.intent(), "confidence": 0.9 });
            let answer = stage.control.post(&format!("/v1/calls/{id}/events"), &event).await?;
            ensure!(answer.status == 200, "the event was answered {}: {}", answer.status, answer.body);
        }
    }
    call.ended(DRAIN).await.context("the AI is not let go")?;
    Ok(())
}

async fn human(stage: Arc<Stage>, call: Call) -> Result<()> {
    let number = number_of(&call);
    let manner = Manner::of(number);
    match human_turn(&stage, &call, number, manner).await {
        Err(_) if manner.is_early() => {
            call.ended(LONG).await.context("the human is not let go")?;
            Ok(())
        }
        turn => turn,
    }
}

async fn human_turn(stage: &Stage, call: &Call, number: u64, manner: Manner) -> Result<()> {
    call.ring(180);
    let uri = call.invite().uri().unwrap_or_default().to_owned();
    let is = |user: &str| uri.starts_with(&format!("sip:{user}@"));
    if is("busy") || is("declined") {
        call.refuse(if is("busy") { 486 } else { 603 });
        lock(&stage.refused).insert(number);
        return Ok(());
    }
    if is("unanswered") {
        call.ended(LONG).await.context("rings for ever")?;
        lock(&stage.refused).insert(number);
        return Ok(());
    }
    call.answer();
    call.answered(LONG).await.context("the human")?;
    if is("closer") {
        sleep(Duration::from_millis(200)).await;
        call.audio().press('1');
    }
    if manner.ends == Ends::Human {
        // Long enough to be heard by the caller after the key, or the whisper, which takes six seconds.
        let told = if manner.way == Way::Whispered { 7 } else { 2 };
        sleep(Duration::from_secs(told) + manner.last).await;
        call.hang_up();
    }
    call.ended(DRAIN).await.context("the human is not let go")?;
    Ok(())
}

/// What a scrape says there is.
#[derive(Clone, Debug)]
struct Left(BTreeMap<&'static str, f64>);

impl Left {
    async fn of(control: &ControlClient) -> Result<Self> {
        let answer = control.get("/metrics").await?;
        let text = answer.body.as_str().context("the metrics are text")?;
        let mut left = BTreeMap::new();
        for name in [
            "tandem_calls_active",
            "tandem_sip_dialogs_active",
            "tandem_sip_transactions_active",
            "tandem_ports_in_use",
            "tandem_timers_active",
            "tandem_recordings_active",
        ] {
            left.insert(name, sum_of_metric(text, name)?);
        }
        // The queue has a series when somebody has waited in it.
        left.insert("tandem_queue_length", sum_of_metric(text, "tandem_queue_length").unwrap_or(0.0));
        for state in ["ringing", "busy", "wrap_up"] {
            left.insert(state, sum_of_metric(text, &format!("tandem_agents{{state=\"{state}\"}}"))?);
        }
        Ok(Self(left))
    }

    fn beyond(mut self, before: &Self) -> Self {
        for (name, count) in &mut self.0 {
            *count = (*count - before.0.get(name).copied().unwrap_or(0.0)).max(0.0);
        }
        self
    }

    fn sum(&self) -> f64 {
        self.0.values().sum()
    }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let left: Vec<String> =
            self.0.iter().filter(|(_, count)| **count > 0.0).map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&left.join(", "))
    }
}

/// One look at the daemon.
struct Sample {
    at: Duration,
    calls: u64,
    resident: u64,
}

/// Bytes a call, by least squares.
fn slope(samples: &[&Sample]) -> Option<f64> {
    let count = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(|sample| of(sample)).sum::<f64>() / count;
    let (calls, resident) = (mean(|it| it.calls as f64), mean(|it| it.resident as f64));
    let along: f64 = samples.iter().map(|it| (it.calls as f64 - calls) * (it.resident as f64 - resident)).sum();
    let spread: f64 = samples.iter().map(|it| (it.calls as f64 - calls).powi(2)).sum();
    (spread > 0.0).then(|| along / spread)
}

/// The standard files with a queue, a line that is recorded, humans who fail, and an event for each way.
fn files(ai: std::net::SocketAddr, human: std::net::SocketAddr) -> Files {
    let Files { configuration, rules } = standard(ai, human);
    let agents: String =
        (1..=AGENTS).map(|n| format!("    a{n}: {{ dial: \"sip:a{n}@{human}\", skills: {{ desk: 5 }} }}\n")).collect();
    let configuration = configuration
        .replace("20000-23999", "10000-64999")
        .replace("routes:\n", "routes:\n  - { number: \"recorded\", line: recorded, ai: agent }\n")
        + &format!(
            "recording: {{ when: answer, lines: [recorded], directory: \"{{dir}}/recordings\" }}\nagents:\n  wrap_up: 1s\n  away_after: 0\n  static:\n{agents}"
        );
    let (head, _) = rules.split_once("rules:\n  - id").unwrap_or((&rules, ""));
    let destinations = format!(
        "destinations:\n  busy: {{ dial: \"sip:busy@{human}\", on_failure: [frontdesk] }}\n  declined: {{ dial: \"sip:declined@{human}\" }}\n  unanswered: {{ dial: \"sip:unanswered@{human}\", ring_timeout: 1s }}\n  desk: {{ queue: {{ skills: [desk], overflow_after: 1m }} }}\n"
    );
    let to = |intent: &str, transfer: &str| {
        format!("  - {{ id: {intent}, when: {{ intent: {intent} }}, transfer: {{ {transfer} }} }}\n")
    };
    let rules = head
        .replace("destinations:\n", &destinations)
        .replace("within: 2s", "within: 10s")
        .replace("ring_timeout: 2s", "ring_timeout: 10s")
        + "rules:\n"
        + &to("cold", "to: frontdesk, mode: cold")
        + &to("warm", "to: closer")
        + &to("whispered", "to: fraud, whisper: { prompt: incoming-handoff }")
        + &to("queued", "to: desk")
        + &to("busy", "to: busy")
        + &to("declined", "to: declined")
        + &to("declined_cold", "to: declined, mode: cold")
        + &to("unanswered", "to: unanswered");
    Files { configuration, rules }
}
