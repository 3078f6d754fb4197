//! The scene itself: three parties, three events, one handoff.

use super::{
    ladder::Ladder,
    measure::{AI_HZ, CALLER_HZ, HUMAN_HZ, Heard},
    stage::{self, Stage},
    story::Story,
};
use anyhow::{Context as _, bail, ensure};
use parties::{
    analysis::Received,
    io::{Audio, Call, ControlClient, Events, Party, Voice, now},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{collections::VecDeque, fs, sync::Mutex, time::Duration};
use tokio::sync::Notify;

/// No demonstration takes longer.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// What a step may take.
pub(super) const STEP: Duration = Duration::from_secs(15);
/// How long the AI's last sentence goes on after the decision.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(700);
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

pub(super) async fn play(stage: &Stage, story: &Story) -> anyhow::Result<Scene> {
    let bind = |name: &'static str, port: u16, hertz: f64| {
        Party::bind_to(name, stage.address(port), Voice::of(Signal::Tone(hertz)))
    };
    let caller_party = bind("caller", 5070, CALLER_HZ).await.context("the caller's address")?;
    let ai_party = bind("ai", 5090, AI_HZ).await.context("the AI's address")?;
    let human_party = bind("frontdesk", stage::HUMANS, HUMAN_HZ).await.context("the human's address")?;
    let control = stage.control();
    let news = News::default();
    let stream = control.subscribe("").await.context("the stream of events")?;

    story.party("caller", &format!("calls sip:support@{} over UDP", stage.address(5060)));
    let performed = perform(stage, story, &control, &news, [&caller_party, &ai_party, &human_party]);
    tokio::select! {
        scene = performed => scene,
        () = news.listen(stream, story) => bail!("the stream of events ended"),
    }
}

async fn perform(
    stage: &Stage,
    story: &Story,
    control: &ControlClient,
    news: &News,
    [caller_party, ai_party, human_party]: [&Party; 3],
) -> anyhow::Result<Scene> {
    let caller = caller_party.call("+4930123456", "support", stage.address(5060)).await?;
    let ai = ai_party.incoming(STEP).await.context("the AI was not called")?;
    let id = ai.header("X-Tandem-Call-Id").context("the AI was not told the call's id")?.to_owned();
    story.party("AI", &format!("rings, answers; X-Tandem-Call-Id: {id}"));
    ai.ring(180);
    ai.answer();
    caller.answered(STEP).await.context("the caller was not answered")?;
    news.until("ai.connected").await?;

    let heard = Ears::default();
    let performed = async {
        hears(&caller, Heard::Ai).await.context("the caller does not hear the AI")?;
        hears(&ai, Heard::Caller).await.context("the AI does not hear the caller")?;
        tokio::time::sleep(Duration::from_millis(800)).await;

        learn(control, &id, story).await?;
        let decided = three_misses(control, &id, story).await?;
        let last_words = async {
            tokio::time::sleep(LAST_WORDS).await;
            story.party("AI", "\"I am connecting you with a colleague.\" It has finished.");
            ai.audio().say(Signal::Silence);
            anyhow::Ok(())
        };
        let human_rings = async {
            let human = human_party.incoming(STEP).await.context("no human was called")?;
            heard.add("human", &human);
            let invited = invite_received(human_party).context("the human's INVITE was not written down")?;
            show_context(&human, story);
            human.ring(180);
            anyhow::Ok((human, invited))
        };
        let ((), (human, invited)) = tokio::try_join!(last_words, human_rings)?;
        hears(&caller, Heard::Sound).await.context("the caller hears no music")?;
        tokio::time::sleep(Duration::from_millis(1_200)).await;

        story.party("human", "answers");
        human.answer();
        news.until("whisper.started").await?;
        hears(&human, Heard::Sound).await.context("the human hears no whisper")?;
        tokio::time::sleep(Duration::from_millis(900)).await;
        story.party("human", "presses 1");
        let pressed = now();
        human.audio().press('1');
        news.until("transfer.bridged").await?;
        hears(&caller, Heard::Human).await.context("the caller does not hear the human")?;
        hears(&human, Heard::Caller).await.context("the human does not hear the caller")?;
        let measured = news.until("transfer.measured").await?;
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
    news.until("call.ended").await?;
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

/// What the AI has learned of the caller travels with the call.
async fn learn(control: &ControlClient, id: &str, story: &Story) -> anyhow::Result<()> {
    let context = json!({ "type": "context", "customer_name": "Jörg Öztürk", "topic": "an invoice" });
    story.party("AI", "has learned who calls and why: POST {\"type\": \"context\", …}");
    let answer = control.post(&format!("/v1/calls/{id}/events"), &context).await?;
    ensure!(answer.status == 200, "the context was refused: {} {}", answer.status, answer.body);
    Ok(())
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
        explain(&answer.body, story);
        if turn == 3 {
            let decision = &answer.body["results"][0]["decision"];
            ensure!(decision["rule"] == "three-misses", "the third miss decided nothing: {}", answer.body);
        }
        if turn < 3 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    Ok(at)
}

/// What was decided, and why.
pub(super) fn explain(answer: &Value, story: &Story) {
    let result = &answer["results"][0];
    let guidance = answer["guidance"].as_str().unwrap_or_default();
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
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

pub(super) fn invite_received(party: &Party) -> Option<Duration> {
    let trace = party.trace();
    trace.iter().find(|traced| !traced.sent && traced.message.method() == Some("INVITE")).map(|traced| traced.at)
}

/// The context that travels with the INVITE.
pub(super) fn show_context(human: &Call, story: &Story) {
    story.party("human", "rings; the INVITE says:");
    let told = |name: &str| name.starts_with("X-Tandem-") || name.eq_ignore_ascii_case("User-to-User");
    for (name, value) in human.invite().headers.iter().filter(|(name, _)| told(name)) {
        story.detail(&format!("{name}: {value}"));
    }
}

/// Waits until somebody hears this.
async fn hears(call: &Call, what: Heard) -> anyhow::Result<()> {
    let heard = |packets: &[Received]| packets.len() >= 10 && Heard::of(&packets[packets.len() - 10..]) == what;
    ensure!(call.audio().hears_that(STEP, heard).await, "waited {} s", STEP.as_secs());
    Ok(())
}

/// What the daemon says happens, told as it comes.
#[derive(Default)]
pub(super) struct News {
    told: Mutex<VecDeque<Value>>,
    more: Notify,
}

impl News {
    pub(super) async fn listen(&self, mut events: Events, story: &Story) {
        while let Some(event) = events.next().await {
            tell(&event, story);
            self.lock().push_back(event);
            self.more.notify_one();
        }
    }

    /// Waits for the next event of this type; others before it have been told and are done with.
    pub(super) async fn until(&self, kind: &str) -> anyhow::Result<Value> {
        let wait = async {
            loop {
                while let Some(event) = { self.lock().pop_front() } {
                    if event["type"] == kind {
                        return event;
                    }
                }
                self.more.notified().await;
            }
        };
        tokio::time::timeout(STEP, wait).await.with_context(|| format!("no event `{kind}` within {} s", STEP.as_secs()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Value>> {
        self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
pub(super) async fn record(stage: &Stage, id: &str) -> anyhow::Result<Value> {
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
struct Ears(Mutex<Vec<Ear>>);

struct Ear {
    name: &'static str,
    call: Call,
    /// What was told last.
    told: Option<Heard>,
}

impl Ears {
    fn add(&self, name: &'static str, call: &Call) {
        self.lock().push(Ear { name, call: call.clone(), told: None });
    }

    async fn listen(&self, story: &Story) {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            for ear in self.lock().iter_mut() {
                let Some(heard) = steady(ear.call.audio()) else { continue };
                if !ear.call.status().is_over() && ear.told != Some(heard) {
                    ear.told = Some(heard);
                    story.hears(ear.name, heard.name());
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Ear>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What is heard now; nothing while it changes. A pause between two words is not silence yet.
fn steady(audio: &Audio) -> Option<Heard> {
    let late = |ms: u64| audio.received_since(now().saturating_sub(Duration::from_millis(ms)));
    let packets = late(160);
    if packets.len() < 6 {
        return None;
    }
    let (first, second) = packets.split_at(packets.len() / 2);
    let heard = Heard::of(second);
    if Heard::of(first) != heard || heard == Heard::Nothing {
        return None;
    }
    (heard != Heard::Silence || Heard::of(&late(600)) == Heard::Silence).then_some(heard)
}
