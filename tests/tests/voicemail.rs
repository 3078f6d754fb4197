//! Messages that callers leave: what is in the file, what ends it, and what is not kept.

use anyhow::{Context, Result, ensure};
use parties::{analysis::Received, g711::Law};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};
use tests::{CALLER_SAYS, Files, Stage, Talk, is_hung_up};

/// Samples of a frame.
const FRAME: usize = 160;
/// Bytes before the audio.
const HEADER: usize = 80;
/// What takes seconds by itself is waited for longer than what is done at once.
const LATER: Duration = Duration::from_secs(40);

fn with_mailboxes(mut files: Files) -> Files {
    let mailboxes = "voicemail:
  directory: voicemails
  mailboxes:
    default: { greeting: goodbye, silence: 3s, min_length: 1s }
    brief: { max_length: 5s, silence: 60s, min_length: 1s }
    patient: { min_length: 60s }
";
    files.rules = files.rules.replace("on_failure: [ai]", "on_failure: { no_answer: [voicemail], else: [ai] }");
    files.configuration.push_str(mailboxes);
    files
}

/// The next event of this type in this call.
async fn event(talk: &mut Talk, kind: &str) -> Result<Value> {
    talk.events.until(kind, LATER).await.with_context(|| format!("no event {kind} within {LATER:?}"))
}

/// The caller is with the mailbox, and the beep is over.
async fn beeped(stage: &Stage, mailbox: &str) -> Result<Talk> {
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    // The transfer is over as soon as the greeting begins: 200, and not 202.
    let answer = stage.control.post(&format!("/v1/calls/{}/transfer", talk.id), &json!({ "to": mailbox })).await?;
    ensure!(answer.body["state"] == "voicemail", "{answer:?}");
    event(&mut talk, "voicemail.started").await?;
    let heard = talk.caller.audio().hears_that(LATER, |heard| beep(heard, from).is_some()).await;
    ensure!(heard, "no beep");
    Ok(talk)
}

/// When the beep that began after `from` was over, by the clock of what the caller was sent; none before silence follows it.
fn beep(heard: &[Received], from: Duration) -> Option<Duration> {
    let elapsed = |packet: &Received| u64::from(packet.timestamp.wrapping_sub(heard[0].timestamp)) * 1_000_000 / 8_000;
    // The least delayed packet tells the clock.
    let start =
        heard.iter().filter_map(|packet| packet.at.checked_sub(Duration::from_micros(elapsed(packet)))).min()?;
    let at = |packet: &Received| start + Duration::from_micros(elapsed(packet));
    let tone = |packet: &&Received| {
        let samples = packet.samples();
        let power = power(&samples);
        // A sine of 1000 Hz repeats itself every eight samples.
        let differs: f64 = samples.iter().zip(samples.iter().skip(8)).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        power > 2_000.0 * 2_000.0 && differs < power * samples.len() as f64 * 0.01
    };
    let last = heard.iter().filter(|packet| at(packet) > from).rfind(tone)?;
    let quiet = heard.iter().filter(|packet| at(packet) > at(last)).count() >= 5;
    quiet.then(|| at(last) + Duration::from_millis(20))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_human_who_does_not_answer_leads_to_a_message_that_begins_after_the_beep() -> Result<()> {
    let stage = Stage::with(with_mailboxes).await?;
    let mut talk = stage.talk().await?;
    let from = parties::io::now();
    stage.transfer(&talk.id, json!({ "to": "frontdesk" })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    event(&mut talk, "voicemail.started").await?;
    is_hung_up(&talk.ai).await?;
    ensure!(talk.caller.audio().hears_that(LATER, |heard| beep(heard, from).is_some()).await, "no beep");
    tokio::time::timeout(LATER, talk.caller.audio().hears(100)).await?;
    let (said_at, (_, said)) = (parties::io::now(), talk.caller.audio().saying());
    talk.caller.hang_up();
    let left = event(&mut talk, "voicemail.left").await?;
    let about = &left["data"];
    ensure!(about["ended_by"] == "hung_up" && about["mailbox"] == "default" && about["complete"] == true, "{left}");
    ensure!(about["from"] == "+493055512345", "{left}");

    let samples = samples_of(Path::new(about["file"].as_str().context("no file")?))?;
    let lasted = about["duration_ms"].as_u64().context("no duration")?;
    ensure!(lasted >= 1_800 && samples.len() as u64 / 8 == lasted, "{lasted} ms, {} samples", samples.len());
    let first = place_of_the_callers_words(&samples)?;
    // When the first sample of the file was said, and when the caller had heard the beep's end.
    let before = Duration::from_micros((said.saturating_sub(first)) * 125);
    let spoken = said_at.saturating_sub(before);
    let heard = talk.caller.audio().received();
    let beeped = beep(&heard, from).context("the beep is gone")?;
    ensure!(spoken + Duration::from_millis(150) >= beeped, "begins {:?} before the beep's end", beeped - spoken);
    ensure!(spoken <= beeped + Duration::from_secs(2), "begins {:?} after the beep", spoken - beeped);
    // The greeting was heard before it: seconds of speech, after the music.
    let greeting: Vec<&Received> = heard.iter().filter(|it| it.at > from && it.at < beeped).collect();
    ensure!(greeting.len() > 50, "no greeting");

    let id = about["voicemail"].as_str().context("no id")?;
    let listed = stage.control.get("/v1/voicemails?mailbox=default").await?;
    ensure!(listed.body["voicemails"][0]["message"]["id"] == id, "{listed:?}");
    let none = stage.control.get("/v1/voicemails?mailbox=brief").await?;
    ensure!(none.body["voicemails"] == json!([]), "{none:?}");
    let one = stage.control.get(&format!("/v1/voicemails/{id}")).await?;
    ensure!(one.body["state"] == "finished" && one.body["call"] == talk.id.as_str(), "{one:?}");
    ensure!(stage.control.delete(&format!("/v1/voicemails/{id}")).await?.status == 200);
    ensure!(stage.control.get(&format!("/v1/voicemails/{id}")).await?.status == 404);
    ensure!(files_below(&stage.daemon.folder().join("voicemails"))? == 0, "something is left");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_the_limit_end_a_message_and_the_call() -> Result<()> {
    let stage = Stage::with(with_mailboxes).await?;
    let mut talk = beeped(&stage, "voicemail").await?;
    tokio::time::timeout(LATER, talk.caller.audio().hears(100)).await?;
    talk.caller.audio().mute(true);
    talk.caller.ended(LATER).await?;
    let left = event(&mut talk, "voicemail.left").await?;
    ensure!(left["data"]["ended_by"] == "silence", "{left}");
    let ended = stage.daemon.records()?.pop().context("no CDR")?;
    ensure!(ended["cause"] == "voicemail" && ended["voicemails"][0]["kept"] == true, "{ended}");

    let mut talk = beeped(&stage, "voicemail:brief").await?;
    talk.caller.ended(LATER).await?;
    let left = event(&mut talk, "voicemail.left").await?;
    let lasted = left["data"]["duration_ms"].as_u64().unwrap_or(0);
    ensure!(left["data"]["ended_by"] == "limit" && (4_900..=7_000).contains(&lasted), "{left}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_short_is_thrown_away_and_said_so() -> Result<()> {
    let stage = Stage::with(with_mailboxes).await?;
    let mut talk = beeped(&stage, "voicemail:patient").await?;
    tokio::time::timeout(LATER, talk.caller.audio().hears(50)).await?;
    talk.caller.hang_up();
    let discarded = event(&mut talk, "voicemail.discarded").await?;
    ensure!(discarded["data"]["min_ms"] == 60_000, "{discarded}");
    let folder = stage.daemon.folder().join("voicemails");
    let deadline = tokio::time::Instant::now() + LATER;
    while files_below(&folder)? > 0 {
        ensure!(tokio::time::Instant::now() < deadline, "it is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listed = stage.control.get("/v1/voicemails").await?;
    ensure!(listed.body["voicemails"] == json!([]), "{listed:?}");
    stage.daemon.stop().await?;
    Ok(())
}

fn samples_of(path: &Path) -> Result<Vec<i16>> {
    let bytes = fs::read(path)?;
    Ok(bytes[HEADER..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}

/// Which sample of the caller's signal the file begins with: all of it must be the signal, to the sample.
fn place_of_the_callers_words(samples: &[i16]) -> Result<u64> {
    let coded = |n: u64| Law::Mu.decode(Law::Mu.encode(CALLER_SAYS.sample(n)));
    let matches = |n: u64, at: usize| (0..FRAME).all(|k| coded(n + k as u64) == samples[at + k]);
    let begin = samples.iter().position(|sample| *sample != 0).context("only silence")? + FRAME;
    let end = samples.iter().rposition(|sample| *sample != 0).unwrap_or(0) + 1;
    let n = (begin as u64..1_000_000).find(|n| matches(*n, begin)).context("what is in the file is not the caller")?;
    for at in (begin..end.saturating_sub(FRAME)).step_by(FRAME) {
        ensure!(matches(n + (at - begin) as u64, at), "something is missing or doubled at {} ms", at / 8);
    }
    Ok(n - begin as u64)
}

fn files_below(folder: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        files += if path.is_dir() { files_below(&path)? } else { 1 };
    }
    Ok(files)
}

fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}
