//! The story of the angry bank caller: a payment that they do not know, an AI that says "let me connect you", a fraud specialist whose
//! screen has the context before the phone rings, whom a whisper tells, who presses 1. Recorded from hello to goodbye.

mod measure;
mod sound;

use super::{
    ladder::Ladder,
    scene::{LAST_WORDS, News, STEP, explain, invite_received, record, show_context},
    stage::{self, Stage},
    story::Story,
};
use anyhow::{Context as _, bail, ensure};
pub(super) use measure::Measured;
use parties::{
    analysis::{Received, audio, find},
    io::{Audio, Call, ControlClient, Events, Party, Voice, now},
    signal::{RATE, Signal},
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

/// What each party says all the time: known noise, told apart packet by packet.
const CALLER_SAYS: Signal = Signal::Noise(11);
const AI_SAYS: Signal = Signal::Noise(22);
const HUMAN_SAYS: Signal = Signal::Noise(33);

/// How long the caller and whoever has them talk.
const TALK: Duration = Duration::from_millis(1_500);
/// How long the specialist listens to the whisper before they press 1.
const LISTENS: Duration = Duration::from_millis(4_000);

/// What the parties kept.
pub(super) struct Scene {
    call: String,
    caller: Vec<Received>,
    ai: Vec<Received>,
    human: Vec<Received>,
    pub(super) ladder: Ladder,
    /// Where in its signal each voice was, and when.
    ai_said: Said,
    human_said: Said,
    caller_said: Said,
    /// When the event was posted that decided.
    decided: Duration,
    /// When the screen had the context.
    screen: Duration,
    /// When the specialist's INVITE was received.
    invited: Duration,
    answered: Duration,
    pressed: Duration,
    hung_up: Duration,
    reinvites: u32,
    recording: sound::Recording,
    /// What the human alone was to hear, word by word.
    whisper: Vec<Vec<i16>>,
    /// What the daemon measured itself.
    daemon_silence_ms: Option<f64>,
    metric_silence_ms: Option<f64>,
}

/// The index of a signal's next sample at a moment.
#[derive(Clone, Copy)]
struct Said {
    signal: Signal,
    next: u64,
    at: Duration,
}

impl Said {
    fn by(audio: &Audio) -> Self {
        let (signal, next) = audio.saying();
        Self { signal, next, at: now() }
    }

    /// About which index was said then.
    fn about(self, at: Duration) -> u64 {
        let since = i64::try_from(at.as_micros()).unwrap_or(i64::MAX) - i64::try_from(self.at.as_micros()).unwrap_or(0);
        self.next.saturating_add_signed(since * i64::from(RATE) / 1_000_000)
    }
}

pub(super) async fn play(stage: &Stage, story: &Story, keep: Option<&PathBuf>) -> anyhow::Result<Scene> {
    let bind = |name: &'static str, port: u16, signal| Party::bind_to(name, stage.address(port), Voice::of(signal));
    let caller_party = bind("caller", 5070, CALLER_SAYS).await.context("the caller's address")?;
    let ai_party = bind("ai", 5090, AI_SAYS).await.context("the AI's address")?;
    let human_party = bind("fraud", stage::HUMANS, HUMAN_SAYS).await.context("the specialist's address")?;
    let control = stage.control();
    let news = News::default();
    let stream = control.subscribe("").await.context("the stream of events")?;
    let screen = control.subscribe("type=agent.*&seen=true").await.context("the specialist's screen")?;
    story.party("caller", &format!("is angry and calls the bank, sip:support@{}", stage.address(5060)));
    let parties = [&caller_party, &ai_party, &human_party];
    tokio::select! {
        scene = perform(stage, story, &control, &news, screen, parties, keep) => scene,
        () = news.listen(stream, story) => bail!("the stream of events ended"),
    }
}

async fn perform(
    stage: &Stage,
    story: &Story,
    control: &ControlClient,
    news: &News,
    screen: Events,
    [caller_party, ai_party, human_party]: [&Party; 3],
    keep: Option<&PathBuf>,
) -> anyhow::Result<Scene> {
    let caller = caller_party.call("+4930123456", "support", stage.address(5060)).await?;
    let ai = ai_party.incoming(STEP).await.context("the AI was not called")?;
    let id = ai.header("X-Tandem-Call-Id").context("the AI was not told the call's id")?.to_owned();
    ai.ring(180);
    ai.answer();
    caller.answered(STEP).await.context("the caller was not answered")?;
    story.party("AI", "answers; the recording runs");
    hears(&caller, &ai).await.context("the caller does not hear the AI")?;
    hears(&ai, &caller).await.context("the AI does not hear the caller")?;
    let (caller_said, ai_said) = (Said::by(caller.audio()), Said::by(ai.audio()));
    story.party("caller", "\"There is a payment of 480 euros that I know nothing about!\"");
    tokio::time::sleep(TALK).await;

    let on_screen = tokio::spawn(offered(screen));
    let decided = tell(control, &id, story).await?;
    let last_words = async {
        story.party("AI", "\"Let me connect you with a specialist …\"");
        tokio::time::sleep(LAST_WORDS).await;
        ai.audio().say(Signal::Silence);
        anyhow::Ok(())
    };
    let rings = async {
        let human = human_party.incoming(STEP).await.context("no human was called")?;
        let invited = invite_received(human_party).context("the specialist's INVITE was not written down")?;
        show_context(&human, story);
        human.ring(180);
        anyhow::Ok((human, invited))
    };
    let ((), (human, invited)) = tokio::try_join!(last_words, rings)?;
    let (offer, screen) = tokio::time::timeout(STEP, on_screen).await.context("nothing came to the screen")???;
    let context = &offer["data"]["context"];
    for key in ["customer_name", "intent", "intent_confidence", "sentiment", "sentiment_label", "summary"] {
        ensure!(!context[key].is_null(), "the screen lacks `{key}`: {offer}");
    }
    let lead = invited.as_secs_f64() - screen.as_secs_f64();
    story.party("screen", &format!("had the context {:.1} ms before the phone rang: {context}", lead * 1_000.0));
    tokio::time::sleep(TALK).await;

    story.party("human", "answers");
    human.answer();
    human.answered(STEP).await.context("the specialist's answer was not acknowledged")?;
    let answered = now();
    news.until("whisper.started").await?;
    tokio::time::sleep(LISTENS).await;
    story.party("human", "presses 1");
    let pressed = now();
    human.audio().press('1');
    news.until("transfer.bridged").await?;
    hears(&caller, &human).await.context("the caller does not hear the specialist")?;
    hears(&human, &caller).await.context("the specialist does not hear the caller")?;
    let human_said = Said::by(human.audio());
    story.party("caller", "and the specialist talk");
    let measured = news.until("transfer.measured").await?;
    tokio::time::sleep(TALK).await;

    ai.ended(STEP).await.context("the AI was not released")?;
    let reinvites = caller.changes();
    story.party("caller", "\"Thank you. Goodbye.\"");
    let hung_up = now();
    caller.hang_up();
    human.ended(STEP).await.context("the specialist was not released")?;
    let recorded = news.until("recording.finished").await?;
    ensure!(recorded["data"]["complete"] == true, "the recording is not whole: {recorded}");
    record(stage, &id).await?;
    let metrics = control.get("/metrics").await?;
    let recording = sound::Recording::read(&stage.recordings(), &id)?;
    if let Some(path) = keep {
        std::fs::copy(&recording.path, path).with_context(|| format!("cannot write {}", path.display()))?;
        story.tandem(&format!("the recording is {}", path.display()));
    }
    Ok(Scene {
        call: id,
        caller: caller.audio().received(),
        ai: ai.audio().received(),
        human: human.audio().received(),
        ladder: Ladder { caller: caller_party.trace(), ai: ai_party.trace(), human: human_party.trace() },
        ai_said,
        human_said,
        caller_said,
        decided,
        screen,
        invited,
        answered,
        pressed,
        hung_up,
        reinvites,
        recording,
        whisper: stage::WHISPER.iter().map(|word| sound::clips(&[*word])).collect::<anyhow::Result<_>>()?,
        daemon_silence_ms: measured["data"]["handoff_silence_ms"].as_f64(),
        metric_silence_ms: metrics.body.as_str().and_then(silence_of),
    })
}

/// The agent's screen: takes in the offer, says that it has it, and when.
async fn offered(mut screen: Events) -> anyhow::Result<(Value, Duration)> {
    loop {
        let event = screen.next().await.context("the screen's stream ended")?;
        if event["type"] == "agent.offered" {
            let at = now();
            screen.seen(&event).await?;
            return Ok((event, at));
        }
    }
}

/// The AI tells what it has learned; the last event decides. Answers when that one was posted.
async fn tell(control: &ControlClient, id: &str, story: &Story) -> anyhow::Result<Duration> {
    let learned = [
        json!({ "type": "context", "customer_name": "Jörg Öztürk", "account": "…4711", "amount": "480.00 EUR" }),
        json!({ "type": "sentiment", "score": -0.8, "label": "angry" }),
        json!({ "type": "summary", "text": "Does not know a card payment of 480 euros from yesterday and wants it back." }),
        json!({ "type": "intent", "name": "unknown_transaction", "confidence": 0.87 }),
    ];
    let mut at = now();
    for event in &learned {
        story.party("AI", &format!("POST {event}"));
        at = now();
        let answer = control.post(&format!("/v1/calls/{id}/events"), event).await?;
        ensure!(answer.status == 200, "the event was refused: {} {}", answer.status, answer.body);
        let decision = &answer.body["results"][0]["decision"];
        let decides = event["type"] == "intent";
        ensure!(decision["rule"].is_null() != decides, "an unexpected decision: {}", answer.body);
        if decides {
            ensure!(decision["rule"] == "unknown-transaction", "another rule decided: {}", answer.body);
            explain(&answer.body, story);
        } else {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    Ok(at)
}

/// Waits until `listener` hears what `speaker` says.
async fn hears(listener: &Call, speaker: &Call) -> anyhow::Result<()> {
    let heard = |packets: &[Received]| {
        let late = &packets[packets.len().saturating_sub(15)..];
        let (signal, next) = speaker.audio().saying();
        late.len() == 15 && find(&audio(late, 2), signal, next.saturating_sub(8_000)..next).correlation >= 0.95
    };
    ensure!(listener.audio().hears_that(STEP, heard).await, "waited {} s", STEP.as_secs());
    Ok(())
}

/// What the histogram of silences says of its one handoff, in milliseconds.
fn silence_of(metrics: &str) -> Option<f64> {
    let value = |name: &str| -> Option<f64> {
        metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
    };
    let count = value("tandem_handoff_silence_seconds_count")?;
    let sum = value("tandem_handoff_silence_seconds_sum")?;
    ((count - 1.0).abs() < f64::EPSILON).then_some(sum * 1_000.0)
}
