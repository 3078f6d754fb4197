//! Recordings of real calls, checked against what the parties themselves sent and heard.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal as Kill;
use parties::{
    analysis::Received,
    io::{ControlClient, Party, Voice},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tests::{
    AI_SAYS, CALLER_SAYS, Daemon, Files, HUMAN_SAYS, SOON, Stage, hears, is_hung_up, own_address,
    recorded::{HEADER, Recording, correlation, files_below, power, samples},
    standard,
};

fn recorded(files: Files, more: &str) -> Files {
    let configuration =
        format!("{}\nrecording: {{ when: answer, directory: recordings{more} }}\n", files.configuration);
    Files { configuration, ..files }
}

/// AI -> hold music -> whisper -> human -> handed back -> AI.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recording_of_a_whole_handoff_misses_and_repeats_nothing_and_keeps_the_whisper_out() -> Result<()> {
    let stage = Stage::with(|files| recorded(files, "")).await?;
    let mut talk = stage.talk().await?;
    let (said, said_at) = (talk.caller.audio().saying(), parties::io::now());
    stage.post_event(&talk.id, json!({ "type": "intent", "name": "card_stolen", "confidence": 0.9 })).await?;
    let human = stage.human_rings().await?;
    human.ring(180);
    tokio::time::timeout(SOON, talk.caller.audio().hears(50)).await?;
    human.answer();
    talk.event("whisper.started").await?;
    talk.event("transfer.bridged").await?;
    hears(&talk.caller, &human).await?;
    hears(&human, &talk.caller).await?;
    let back = stage.control.post(&format!("/v1/calls/{}/handback", talk.id), &json!({})).await?;
    ensure!(back.status == 200, "{back:?}");
    let ai = stage.ai_rings().await?;
    ai.answer();
    ai.answered(SOON).await?;
    hears(&talk.caller, &ai).await?;
    talk.caller.hang_up();
    is_hung_up(&ai).await?;
    let finished = talk.event("recording.finished").await?;
    ensure!(finished["data"]["complete"] == true, "{finished}");

    let recording = Recording::read(stage.daemon.folder(), &talk.id)?;
    let record = stage.daemon.records()?.pop().context("no CDR")?;
    let lasted = record["duration_ms"].as_u64().context("no duration")?;
    let duration = recording.left.len() as u64 / 8;
    ensure!(duration.abs_diff(lasted) <= 20, "{duration} ms recorded of {lasted} ms");
    ensure!(record["recording"]["started"].is_string(), "{record}");

    let heard = talk.caller.audio().received();
    let right = recording.place_of(&heard)?;
    let left = recording.place_of_signal(CALLER_SAYS)?;
    // What was said at that moment lies where what was heard at that moment lies.
    let packet = heard.iter().min_by_key(|packet| packet.at.abs_diff(said_at)).context("nothing heard")?;
    let heard_at = i64::from(packet.timestamp.wrapping_sub(heard[0].timestamp)) + right;
    let apart = packet.at.as_secs_f64() - said_at.as_secs_f64();
    let said_at = left + i64::try_from(said.1)?;
    let skew = (heard_at - said_at) as f64 / 8.0 - apart * 1_000.0;
    ensure!(skew.abs() <= 20.0, "channels are {skew:.1} ms apart");

    let timeline = recording.timeline;
    let who: Vec<&str> = timeline["segments"]
        .as_array()
        .context("segments")?
        .iter()
        .filter(|segment| segment["channel"] == 1)
        .filter_map(|segment| segment["who"].as_str())
        .collect();
    ensure!(who == ["ai-1", "music", "human-1", "music", "ai-2"], "heard: {who:?}");
    let music = timeline["segments"].as_array().context("segments")?.iter().find(|it| it["who"] == "music");
    let at = |key: &str| music.map_or(0, |music| samples(&music[key]));
    let held = &recording.right[at("from_ms") + 800..at("to_ms") - 800];
    ensure!(power(held) > 100.0 * 100.0, "no music while the caller waits: {}", power(held).sqrt());

    let whispered = human.audio().received();
    let first = whispered.iter().position(|packet| power(&packet.samples()) > 300.0 * 300.0).context("no whisper")?;
    let whisper: Vec<i16> = whispered[first..].iter().take(100).flat_map(Received::samples).collect();
    let micros = |packet: &Received| i64::try_from(packet.at.as_micros());
    let elapsed = micros(&whispered[first])? - micros(&heard[0])?;
    let position = usize::try_from(right + elapsed * 8 / 1_000)?;
    for (side, channel) in [("left", &recording.left), ("right", &recording.right)] {
        let correlation = correlation(&whisper, &channel[position..position + whisper.len()]);
        ensure!(correlation.abs() <= 0.05, "the whisper is on the {side}: {correlation:.3}");
    }
    Ok(())
}

/// faults.md, row 30.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_30_a_pause_leaves_a_gap_of_its_length_and_deletion_leaves_nothing() -> Result<()> {
    let stage = Stage::with(|files| recorded(files, "")).await?;
    let mut talk = stage.talk().await?;
    let post = async |what: &str, body: Value| {
        let answer = stage.control.post(&format!("/v1/calls/{}/recording/{what}", talk.id), &body).await;
        answer.map(|answer| answer.status)
    };
    ensure!(post("pause", json!({ "for": "1h30m" })).await? == 422);
    ensure!(post("pause", json!({ "for": "10m" })).await? == 200);
    talk.caller.audio().press('7');
    tokio::time::timeout(SOON, talk.caller.audio().hears(75)).await?;
    ensure!(post("resume", json!({})).await? == 200);
    tokio::time::timeout(SOON, talk.caller.audio().hears(50)).await?;
    let growing = stage.control.delete(&format!("/v1/recordings/{}", talk.id)).await?;
    ensure!(growing.status == 409, "{growing:?}");
    talk.caller.hang_up();
    talk.event("recording.finished").await?;
    let recording = Recording::read(stage.daemon.folder(), &talk.id)?;
    let gap = &recording.timeline["gaps"][0];
    ensure!(gap["reason"] == "paused", "{}", recording.timeline);
    let at = |key: &str| samples(&gap[key]);
    let (from, to) = (at("from_ms") + 8, at("to_ms"));
    ensure!(to - from >= 8 * 1_400, "{gap}");
    for side in [&recording.left, &recording.right] {
        ensure!(side[from..to].iter().all(|sample| *sample == 0), "something of the pause is kept");
        ensure!(power(&side[to + 800..to + 4_000]) > 100.0 * 100.0, "nothing after the pause");
    }
    ensure!(!recording.timeline["events"].to_string().contains("dtmf"), "{}", recording.timeline["events"]);

    let listed = stage.control.get("/v1/recordings").await?;
    ensure!(listed.body["recordings"][0]["call"] == talk.id.as_str(), "{listed:?}");
    let gone = stage.control.delete(&format!("/v1/recordings/{}", talk.id)).await?;
    ensure!(gone.status == 200, "{gone:?}");
    let left = files_below(&stage.daemon.folder().join("recordings"))?;
    ensure!(left.is_empty(), "{left:?}");
    ensure!(stage.control.get(&format!("/v1/recordings/{}", talk.id)).await?.status == 404);
    Ok(())
}

/// faults.md: recordings survive kill -9 up to the last second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_mid_call_the_recording_plays_up_to_the_last_second() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("recordings");
    let change = |files: Files| {
        let configuration = recorded(files.clone(), "").configuration;
        let configuration =
            configuration.replace("directory: recordings", &format!("directory: {}", directory.display()));
        Files { configuration, ..files }
    };
    let stage = Stage::with(change).await?;
    let talk = stage.connect().await?;
    let random = u64::from(std::process::id() % 997);
    tokio::time::timeout(SOON, talk.caller.audio().hears(100 + random % 50)).await?;
    let heard = talk.caller.audio().received();
    stage.daemon.signal(Kill::SIGKILL)?;
    let lasted = usize::try_from((heard[heard.len() - 1].at - heard[0].at).as_millis())?;

    let part = files_below(&directory)?.into_iter().find(|path| path.to_string_lossy().ends_with(".wav.part"));
    let bytes = fs::read(part.context("no partial file")?)?;
    let length = u32::from_le_bytes(bytes[HEADER - 4..HEADER].try_into()?) as usize;
    ensure!(length <= bytes.len() - HEADER && length / 32 + 1_000 >= lasted, "{} ms of {lasted} ms", length / 32);

    // The next life closes it.
    let files = change(standard(own_address_and_port(), own_address_and_port()));
    let _daemon = Daemon::start(&files).await?;
    let audio = directory.join(day_of(&directory)?).join(format!("{}.wav", talk.id));
    let deadline = tokio::time::Instant::now() + SOON;
    while !audio.with_extension("json").exists() {
        ensure!(tokio::time::Instant::now() < deadline, "not closed: {:?}", files_below(&directory)?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let recording = Recording::at(&audio)?;
    ensure!(recording.timeline["state"] == "interrupted", "{}", recording.timeline);
    ensure!(recording.left.len() / 8 + 1_000 >= lasted, "{} ms of {lasted} ms", recording.left.len() / 8);
    recording.place_of_signal(CALLER_SAYS)?;
    Ok(())
}

/// faults.md, row 21: a disk of 1 MB, in a mount namespace of the daemon's own, fills after some twelve seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_21_a_disk_that_fills_costs_the_recording_and_never_the_call() -> Result<()> {
    let disk = tempfile::tempdir()?;
    let mounted = disk.path().display().to_string();
    let bind =
        |name: &'static str, signal| async move { Party::bind(name, own_address().into(), Voice::of(signal)).await };
    let caller = bind("caller", CALLER_SAYS).await?;
    let (ai, human) = (bind("agent", AI_SAYS).await?, bind("human", HUMAN_SAYS).await?);
    let files = recorded(standard(ai.address(), human.address()), ", channels: parties, whisper: own_channel");
    let directory = format!("directory: {mounted}");
    let files = Files { configuration: files.configuration.replace("directory: recordings", &directory), ..files };
    let mount = "mount -t tmpfs -o size=1m none \"$0\" && exec \"$@\"";
    let daemon = Daemon::start_under(&["unshare", "-m", "sh", "-c", mount, &mounted], own_address(), &files).await?;
    let control = ControlClient::new(daemon.control());
    let stage = Stage { daemon, control, caller, ai, human };
    let mut talk = stage.talk().await?;
    let failed = talk.events.until("recording.failed", Duration::from_secs(40)).await.context("nobody was told")?;
    ensure!(failed["data"]["reason"].as_str().is_some_and(|why| why.contains("No space left")), "{failed}");
    ensure!(stage.metric("tandem_recording_errors_total").await? >= 1.0);
    hears(&talk.caller, &talk.ai).await?;
    hears(&talk.ai, &talk.caller).await?;
    talk.caller.hang_up();
    is_hung_up(&talk.ai).await?;
    let finished = talk.event("recording.finished").await?;
    ensure!(finished["data"]["complete"] == false, "{finished}");
    // Logs are written in order, and the end of the recording was told after its failure.
    ensure!(stage.daemon.log().contains("the recording cannot be written"), "nothing in the log");
    let record = stage.daemon.records()?.pop().context("no CDR")?;
    ensure!(record["recording"]["failed"].is_string(), "{record}");
    stage.daemon.stop().await?;
    Ok(())
}

fn day_of(directory: &Path) -> Result<PathBuf> {
    let mut days: Vec<_> = fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    days.sort();
    Ok(days.pop().context("no recordings")?.into())
}

fn own_address_and_port() -> std::net::SocketAddr {
    (own_address(), 5070).into()
}
