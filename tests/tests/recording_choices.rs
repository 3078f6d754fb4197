//! Who is recorded, by the caller's consent and by rules, and in which form.

use anyhow::{Context as _, Result, ensure};
use parties::io::Events;
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tests::{
    AI_SAYS, CALLER_SAYS, Files, Stage, hears, is_hung_up,
    recorded::{Recording, files_below, opus_channels, place_by_correlation, power, samples},
};

/// What takes seconds by itself is waited for longer than what is done at once.
const LATER: Duration = Duration::from_secs(40);

fn recorded(files: Files, more: &str) -> Files {
    let configuration = format!("{}\nrecording:\n  directory: recordings\n{more}\n", files.configuration);
    Files { configuration, ..files }
}

async fn event(events: &mut Events, kind: &str) -> Result<Value> {
    events.until(kind, LATER).await.with_context(|| format!("no event {kind} within {LATER:?}"))
}

/// The audio of a call's recording, as it lies on the disk.
fn audio(stage: &Stage, folder: &str, id: &str) -> Result<Vec<u8>> {
    let found = files_below(&stage.daemon.folder().join(folder))?;
    let named = |ending: &str| format!("{id}.{ending}");
    let found = found.into_iter().find(|path| path.ends_with(named("wav")) || path.ends_with(named("opus")));
    Ok(fs::read(found.context("no audio")?)?)
}

/// The call's record, which is written when the call has ended.
async fn record(stage: &Stage, id: &str) -> Result<Value> {
    let deadline = tokio::time::Instant::now() + LATER;
    loop {
        if let Some(record) = stage.daemon.records()?.into_iter().find(|record| record["call"] == id) {
            return Ok(record);
        }
        ensure!(tokio::time::Instant::now() < deadline, "no record: {:?}", stage.daemon.records()?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

enum Answer {
    Key(char),
    Event(bool),
}

/// A caller is asked, answers while the AI has not been dialled yet, talks for two seconds and hangs up. Whether a recording was told of;
/// what the record of the call says of the consent; how long the recording is, and the call was, in milliseconds.
async fn asked(stage: &Stage, answer: Answer) -> Result<(Option<u64>, Value, u64)> {
    let mut events = stage.control.subscribe("").await?;
    let caller = stage.caller.call("+493055512345", "support", stage.sip()).await?;
    let started = event(&mut events, "call.started").await?;
    let id = started["call"].as_str().context("no call")?.to_owned();
    caller.answered(LATER).await.context("the caller was not answered")?;
    let prompted = caller.audio().hears_that(LATER, |heard| {
        heard.iter().filter(|packet| power(&packet.samples()) > 300.0 * 300.0).count() >= 20
    });
    ensure!(prompted.await, "no prompt is to be heard");
    ensure!(stage.ai.incoming(Duration::from_millis(1)).await.is_none(), "the AI was dialled before the answer");
    let granted = match answer {
        Answer::Key(key) => {
            caller.audio().press(key);
            key == '1'
        }
        Answer::Event(granted) => {
            stage.post_event(&id, json!({ "type": "consent", "granted": granted })).await?;
            granted
        }
    };
    let consent = event(&mut events, "recording.consent").await?;
    let by = if matches!(answer, Answer::Key(_)) { "digit" } else { "event" };
    ensure!(consent["data"]["granted"] == granted && consent["data"]["by"] == by, "{consent}");
    let ai = stage.ai.incoming(LATER).await.context("the AI was not called")?;
    ai.answer();
    ai.answered(LATER).await?;
    hears(&caller, &ai).await?;
    hears(&ai, &caller).await?;
    tokio::time::timeout(LATER, caller.audio().hears(100)).await?;
    caller.hang_up();
    is_hung_up(&ai).await?;
    event(&mut events, "call.ended").await?;
    let record = record(stage, &id).await?;
    let lasted = record["duration_ms"].as_u64().context("no duration")?;
    if !granted {
        let none = !stage.daemon.folder().join("recordings").exists()
            || files_below(&stage.daemon.folder().join("recordings"))?
                .iter()
                .all(|file| !file.to_string_lossy().contains(&id));
        ensure!(none, "something was kept of a caller who refused");
        return Ok((None, record["recording_consent"].clone(), lasted));
    }
    event(&mut events, "recording.finished").await?;
    let timeline = stage.control.get(&format!("/v1/recordings/{id}")).await?.body;
    let recording = Recording::of(&audio(stage, "recordings", &id)?, timeline)?;
    recording.place_of_signal(CALLER_SAYS)?;
    let length = recording.left.len() as u64 / 8;
    Ok((Some(length), record["recording_consent"].clone(), lasted))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_asked_before_the_ai_and_what_they_answer_by_key_or_event_decides() -> Result<()> {
    let consent = "  when: consent\n  consent: { prompt: greeting, yes: \"1\", no: \"2\", wait: 30s }";
    let stage = Stage::with(|files| recorded(files, consent)).await?;
    for (answer, expected) in [
        (Answer::Key('1'), true),
        (Answer::Key('2'), false),
        (Answer::Event(true), true),
        (Answer::Event(false), false),
    ] {
        let (length, consent, lasted) = asked(&stage, answer).await?;
        ensure!(consent == expected && length.is_some() == expected, "{length:?} {consent}");
        // The prompt, of which at least 400 ms were heard, is before the recording.
        ensure!(length.is_none_or(|length| length >= 2_000 && length + 400 <= lasted), "{length:?} of {lasted} ms");
    }
    stage.daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_begin_pause_resume_and_end_a_recording() -> Result<()> {
    let rules = "  - { id: row,  when: { intent: complaint },     recording: start }
  - { id: card, when: { intent: pay_by_card },   recording: { pause: 3m } }
  - { id: paid, when: { intent: paid },          recording: resume }
  - { id: no,   when: { intent: do_not_record }, recording: stop }
";
    let stage = Stage::with(|files| {
        let files = recorded(files, "  when: rule");
        Files { rules: files.rules + rules, ..files }
    })
    .await?;
    let mut talk = stage.talk().await?;
    let says = async |name: &str| {
        stage.post_event(&talk.id, json!({ "type": "intent", "name": name, "confidence": 0.9 })).await
    };
    let more = async |packets: u64| tokio::time::timeout(LATER, talk.caller.audio().hears(packets)).await;
    says("complaint").await?;
    event(&mut talk.events, "recording.started").await?;
    more(75).await?;
    says("pay_by_card").await?;
    event(&mut talk.events, "recording.paused").await?;
    more(75).await?;
    says("paid").await?;
    event(&mut talk.events, "recording.resumed").await?;
    more(75).await?;
    says("do_not_record").await?;
    let finished = event(&mut talk.events, "recording.finished").await?;
    ensure!(finished["data"]["complete"] == true, "{finished}");
    // The call goes on, unrecorded.
    hears(&talk.caller, &talk.ai).await?;
    says("complaint").await?;
    more(50).await?;
    talk.caller.hang_up();
    is_hung_up(&talk.ai).await?;
    event(&mut talk.events, "call.ended").await?;

    let timeline = stage.control.get(&format!("/v1/recordings/{}", talk.id)).await?.body;
    let recording = Recording::of(&audio(&stage, "recordings", &talk.id)?, timeline)?;
    let record = record(&stage, &talk.id).await?;
    let (length, lasted) = (recording.left.len() as u64 / 8, record["duration_ms"].as_u64().unwrap_or(0));
    ensure!(length >= 3 * 1_400 && length + 1_000 <= lasted, "{length} ms of {lasted} ms");
    let gap = &recording.timeline["gaps"][0];
    let (from, to) = (samples(&gap["from_ms"]) + 8, samples(&gap["to_ms"]));
    ensure!(gap["reason"] == "paused" && to - from >= 8 * 1_400, "{}", recording.timeline["gaps"]);
    for side in [&recording.left, &recording.right] {
        ensure!(side[from..to].iter().all(|sample| *sample == 0), "something of the pause is kept");
        for spoken in [&side[from - 8_000..from - 800], &side[to + 800..to + 8_000]] {
            ensure!(power(spoken) > 1_000.0 * 1_000.0, "nothing beside the pause: {}", power(spoken).sqrt());
        }
    }
    let lists = stage.control.get("/v1/recordings").await?;
    ensure!(lists.body["recordings"].as_array().is_some_and(|all| all.len() == 1), "{lists:?}");
    stage.daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_and_messages_in_ogg_opus_hold_what_was_said_each_channel_its_own() -> Result<()> {
    let mailbox = "voicemail:\n  directory: voicemails\n  mailboxes: { default: { silence: 60s, min_length: 1s } }\n";
    let stage = Stage::with(|files| {
        let files = recorded(files, "  when: answer\n  format: ogg-opus");
        Files { configuration: files.configuration + mailbox, ..files }
    })
    .await?;
    let mut talk = stage.talk().await?;
    tokio::time::timeout(LATER, talk.caller.audio().hears(150)).await?;
    let answer = stage.control.post(&format!("/v1/calls/{}/transfer", talk.id), &json!({ "to": "voicemail" })).await?;
    ensure!(answer.body["state"] == "voicemail", "{answer:?}");
    event(&mut talk.events, "voicemail.started").await?;
    tokio::time::timeout(LATER, talk.caller.audio().hears(200)).await?;
    talk.caller.hang_up();
    let (mut finished, mut left) = (None, None);
    while finished.is_none() || left.is_none() {
        let next = tokio::time::timeout(LATER, talk.events.next()).await?.context("the stream has ended")?;
        match next["type"].as_str() {
            Some("recording.finished") => finished = Some(next),
            Some("voicemail.left") => left = Some(next),
            _ => {}
        }
    }
    let (finished, left) = (finished.context("-")?, left.context("-")?);

    let timeline = stage.control.get(&format!("/v1/recordings/{}", talk.id)).await?.body;
    let channels = opus_channels(&audio(&stage, "recordings", &talk.id)?)?;
    let [said, heard] = &channels[..] else { anyhow::bail!("{} channels", channels.len()) };
    let length = said.len() as u64 / 8;
    ensure!(finished["data"]["duration_ms"] == length && heard.len() == said.len(), "{length} ms, {finished}");
    let ai = timeline["segments"].as_array().context("no segments")?.iter().find(|it| it["who"] == "ai-1");
    let ai = ai.context("the AI is not on the timeline")?;
    // The AI's stint, but for its edges; the caller spoke all the time.
    let (from, to) = (samples(&ai["from_ms"]) + 8_000, samples(&ai["to_ms"]) - 1_600);
    let (_, worst) = place_by_correlation(said, CALLER_SAYS, from, said.len() - 4_000)?;
    ensure!(worst >= 0.8, "the caller is on the left by {worst:.3}");
    let (_, worst) = place_by_correlation(heard, AI_SAYS, from, to)?;
    ensure!(worst >= 0.8, "the AI is on the right by {worst:.3}");
    for (side, other) in [(said, AI_SAYS), (heard, CALLER_SAYS)] {
        let (_, best) = place_by_correlation(side, other, from, from + 1_600 + 1)?;
        ensure!(best < 0.3, "a channel holds the other's voice too: {best:.3}");
    }

    let id = left["data"]["voicemail"].as_str().context("no id")?;
    let channels = opus_channels(&audio(&stage, "voicemails", id)?)?;
    let [said] = &channels[..] else { anyhow::bail!("{} channels", channels.len()) };
    ensure!(left["data"]["duration_ms"] == said.len() as u64 / 8, "{} samples, {left}", said.len());
    let (_, worst) = place_by_correlation(said, CALLER_SAYS, 1_600, said.len() - 4_000)?;
    ensure!(worst >= 0.8, "the message holds the caller by {worst:.3}");
    stage.daemon.stop().await?;
    Ok(())
}
