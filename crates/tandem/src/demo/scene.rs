//! The scene itself: three parties, three events, one handoff.

use super::{
    measure::{AI_HZ, CALLER_HZ, HUMAN_HZ, Heard},
    stage::Stage,
    story::Story,
};
use anyhow::{Context as _, bail, ensure};
use parties::{
    analysis::Received,
    io::{Audio, Call, ControlClient, Events, Party, Traced, Voice, now},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{fs, sync::Mutex, time::Duration};

/// No demonstration takes longer.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// What a step may take.
const STEP: Duration = Duration::from_secs(15);
/// How often who hears whom is looked at, and how much of the past counts.
const LOOK: Duration = Duration::from_millis(60);

/// What the parties kept.
pub(super) struct Scene {
    pub(super) call: String,
    pub(super) rule: String,
    /// Everything each of them heard.
    pub(super) caller: Vec<Received>,
    pub(super) ai: Vec<Received>,
    pub(super) human: Vec<Received>,
    pub(super) ladder: Ladder,
    /// When the third event was posted.
    pub(super) decided: Duration,
    /// When the human's INVITE was received.
    pub(super) invited: Duration,
    /// When the human pressed 1.
    pub(super) pressed: Duration,
    /// When the caller hung up.
    pub(super) hung_up: Duration,
    pub(super) reinvites: u32,
    /// What the daemon measured itself.
    pub(super) daemon_silence_ms: Option<u64>,
}

pub(super) struct Ladder {
    pub(super) caller: Vec<Traced>,
    pub(super) ai: Vec<Traced>,
    pub(super) human: Vec<Traced>,
}

pub(super) async fn play(stage: &Stage, story: &Story) -> anyhow::Result<Scene> {
    let bind = |name: &'static str, port: u16, hertz: f64| {
        Party::bind_to(name, stage.address(port), Voice::of(Signal::Tone(hertz)))
    };
    let caller_party = bind("caller", 5070, CALLER_HZ).await.context("the caller's address")?;
    let ai_party = bind("ai", 5090, AI_HZ).await.context("the AI's address")?;
    let human_party = bind("frontdesk", 5091, HUMAN_HZ).await.context("the human's address")?;
    let control = stage.control();
    let mut events = control.subscribe("").await.context("the stream of events")?;

    story.party("caller", &format!("calls sip:support@{} over UDP", stage.address(5060)));
    let caller = caller_party.call("+4930123456", "support", stage.address(5060)).await?;
    let ai = ai_party.incoming(STEP).await.context("the AI was not called")?;
    let id = ai.header("X-Tandem-Call-Id").context("the AI was not told the call's id")?.to_owned();
    story.party("AI", &format!("rings, answers; X-Tandem-Call-Id: {id}"));
    ai.ring(180);
    ai.answer();
    caller.answered(STEP).await.context("the caller was not answered")?;
    until_event(&mut events, story, "ai.connected").await?;

    let heard = Ears::default();
    let performed = async {
        hears(&caller, Heard::Ai).await.context("the caller does not hear the AI")?;
        hears(&ai, Heard::Caller).await.context("the AI does not hear the caller")?;
        tokio::time::sleep(Duration::from_millis(800)).await;

        let decided = three_misses(&control, &id, story).await?;
        let human = human_party.incoming(STEP).await.context("no human was called")?;
        heard.add("human", &human);
        let invited = invite_received(&human_party).context("the human's INVITE was not written down")?;
        show_context(&human, story);
        human.ring(180);
        drain(&mut events, story).await;
        hears(&caller, Heard::Sound).await.context("the caller hears no music")?;
        tokio::time::sleep(Duration::from_millis(1_200)).await;

        story.party("human", "answers");
        human.answer();
        until_event(&mut events, story, "whisper.started").await?;
        hears(&human, Heard::Sound).await.context("the human hears no whisper")?;
        tokio::time::sleep(Duration::from_millis(900)).await;
        story.party("human", "presses 1");
        let pressed = now();
        human.audio().press('1');
        until_event(&mut events, story, "transfer.bridged").await?;
        hears(&caller, Heard::Human).await.context("the caller does not hear the human")?;
        hears(&human, Heard::Caller).await.context("the human does not hear the caller")?;
        let measured = until_event(&mut events, story, "transfer.measured").await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        anyhow::Ok((human, decided, invited, pressed, measured["data"]["handoff_silence_ms"].as_u64()))
    };
    heard.add("caller", &caller);
    heard.add("AI", &ai);
    let (human, decided, invited, pressed, daemon_silence_ms) = tokio::select! {
        performed = performed => performed?,
        () = heard.listen(story) => bail!("nobody listens"),
    };

    ai.ended(STEP).await.context("the AI was not released")?;
    let reinvites = caller.changes();
    story.party("caller", "hangs up");
    let hung_up = now();
    caller.hang_up();
    human.ended(STEP).await.context("the human was not released")?;
    until_event(&mut events, story, "call.ended").await?;
    let record = record(stage, &id).await?;
    story.tandem(&format!(
        "one record of the call: {} legs, {} transfer",
        count(&record, "legs"),
        count(&record, "transfers")
    ));
    Ok(Scene {
        call: id,
        rule: "three-misses".to_owned(),
        caller: caller.audio().received(),
        ai: ai.audio().received(),
        human: human.audio().received(),
        ladder: Ladder { caller: caller_party.trace(), ai: ai_party.trace(), human: human_party.trace() },
        decided,
        invited,
        pressed,
        hung_up,
        reinvites,
        daemon_silence_ms,
    })
}

/// Three times `no_match`: the third decides. Answers when the third was posted.
async fn three_misses(control: &ControlClient, id: &str, story: &Story) -> anyhow::Result<Duration> {
    let path = format!("/v1/calls/{id}/events");
    let mut at = now();
    for turn in 1..=3 {
        story.party("AI", &format!("did not understand: POST {{\"type\": \"no_match\"}} ({turn})"));
        at = now();
        let answer = control.post(&path, &json!({ "type": "no_match" })).await?;
        ensure!(answer.status == 200, "the event was refused: {} {}", answer.status, answer.body);
        let result = &answer.body["results"][0];
        let guidance = answer.body["guidance"].as_str().unwrap_or_default();
        let decision = &result["decision"];
        let said = match decision["rule"].as_str() {
            Some(rule) => format!("rule {rule} decides: {} to {}", text(decision, "does"), text(decision, "to")),
            None => "no rule decides".to_owned(),
        };
        story.tandem(&format!("{said}; guidance: {guidance}"));
        for verdict in result["explanation"]["rules"].as_array().into_iter().flatten() {
            let rule = text(verdict, "rule");
            story.detail(&format!("{rule:<22} {:<12} {}", text(verdict, "verdict"), text(verdict, "because")));
        }
        if turn == 3 {
            ensure!(decision["rule"] == "three-misses", "the third miss decided nothing: {}", answer.body);
        }
        if turn < 3 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    Ok(at)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn invite_received(party: &Party) -> Option<Duration> {
    let trace = party.trace();
    trace.iter().find(|traced| !traced.sent && traced.message.method() == Some("INVITE")).map(|traced| traced.at)
}

/// The context that travels with the INVITE.
fn show_context(human: &Call, story: &Story) {
    story.party("human", "rings; the INVITE says:");
    for name in ["X-Tandem-Call-Id", "X-Tandem-Context-Retries", "X-Tandem-Context-Reason", "User-to-User"] {
        if let Some(value) = human.header(name) {
            story.detail(&format!("{name}: {value}"));
        }
    }
}

/// Waits until somebody hears this.
async fn hears(call: &Call, what: Heard) -> anyhow::Result<()> {
    let heard = |packets: &[Received]| packets.len() >= 10 && Heard::of(&packets[packets.len() - 10..]) == what;
    ensure!(call.audio().hears_that(STEP, heard).await, "waited {} s", STEP.as_secs());
    Ok(())
}

/// Tells every event up to the next of this type.
async fn until_event(events: &mut Events, story: &Story, kind: &str) -> anyhow::Result<Value> {
    let wait = async {
        while let Some(event) = events.next().await {
            tell(&event, story);
            if event["type"] == kind {
                return Some(event);
            }
        }
        None
    };
    let event = tokio::time::timeout(STEP, wait).await.with_context(|| format!("no event `{kind}`"))?;
    event.with_context(|| format!("the stream of events ended before `{kind}`"))
}

/// Tells what has come already.
async fn drain(events: &mut Events, story: &Story) {
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(30), events.next()).await {
        tell(&event, story);
    }
}

fn tell(event: &Value, story: &Story) {
    let kind = event["type"].as_str().unwrap_or_default();
    let data = &event["data"];
    let fields: Vec<String> = data
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| {
            !value.is_null() && !matches!(name.as_str(), "transfer" | "context" | "sip_call_id" | "target")
        })
        .map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    if kind != "facts.changed" {
        story.tandem(&format!("{kind} {}", fields.join(" ")));
    }
}

/// The record that the daemon has written of the call.
async fn record(stage: &Stage, id: &str) -> anyhow::Result<Value> {
    let look = async {
        loop {
            let text = fs::read_to_string(stage.records()).unwrap_or_default();
            let found =
                text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|cdr| cdr["call"] == id);
            if let Some(record) = found {
                return record;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), look).await.context("no record of the call was written")
}

fn count(record: &Value, key: &str) -> usize {
    record[key].as_array().map_or(0, Vec::len)
}

/// Who hears whom, told at every change.
#[derive(Default)]
struct Ears(Mutex<Vec<(&'static str, Call, Option<Heard>)>>);

impl Ears {
    fn add(&self, name: &'static str, call: &Call) {
        self.lock().push((name, call.clone(), None));
    }

    async fn listen(&self, story: &Story) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            for (name, call, last) in self.lock().iter_mut() {
                let heard = recent(call.audio());
                if call.status().is_over() || heard == Heard::Nothing || *last == Some(heard) {
                    continue;
                }
                *last = Some(heard);
                story.hears(name, heard.name());
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Call, Option<Heard>)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What was heard in the last 100 ms.
fn recent(audio: &Audio) -> Heard {
    Heard::of(&audio.received_since(now().saturating_sub(Duration::from_millis(100))))
}
