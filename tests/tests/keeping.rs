//! What becomes of recordings when the call is over: who can open them, and where they go.

use age::x25519::Identity;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal as Kill;
use std::{fs, io::Read as _, path::Path, process::Command, time::Duration};
use tests::{
    CALLER_SAYS, Daemon, Files, SOON, Stage, binary, is_hung_up, own_address,
    recorded::{Recording, files_below},
    standard,
};

/// What takes seconds by itself is waited for longer than what is done at once.
const LATER: Duration = Duration::from_secs(40);

fn recorded(files: Files, more: &str) -> Files {
    let configuration =
        format!("{}\nrecording:\n  when: answer\n  directory: recordings\n{more}\n", files.configuration);
    Files { configuration, ..files }
}

/// By the library, with the private key that the daemon never had.
fn opened(file: &[u8], identity: &Identity) -> Result<Vec<u8>> {
    let decryptor = age::Decryptor::new(file).map_err(|error| anyhow::anyhow!("no age file: {error}"))?;
    let reader = decryptor.decrypt(std::iter::once(identity as &dyn age::Identity));
    let mut opened = Vec::new();
    reader.map_err(|error| anyhow::anyhow!("not opened: {error}"))?.read_to_end(&mut opened)?;
    Ok(opened)
}

/// The command line, asked of this daemon in this folder; what it prints.
fn tandem(stage: &Stage, folder: &Path, arguments: &[&str]) -> Result<(bool, String)> {
    let mut command = Command::new(binary()?);
    let done = command.args(arguments).env("TANDEM_SOCKET", stage.daemon.control()).current_dir(folder).output()?;
    Ok((done.status.success(), format!("{}{}", String::from_utf8(done.stdout)?, String::from_utf8(done.stderr)?)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_recording_is_fetched_as_it_is_and_opened_by_its_key_alone() -> Result<()> {
    let identity = Identity::generate();
    let key = identity.to_public().to_string();
    let stage = Stage::with(|files| recorded(files, &format!("  encrypt_to: [{key}]"))).await?;
    let mut talk = stage.talk().await?;
    tokio::time::timeout(LATER, talk.caller.audio().hears(150)).await?;
    talk.caller.hang_up();
    is_hung_up(&talk.ai).await?;
    let finished = talk.event("recording.finished").await?;
    ensure!(finished["data"]["encrypted"] == true && finished["data"]["complete"] == true, "{finished}");
    ensure!(finished["data"]["recipients"] == serde_json::json!([key]), "{finished}");

    let path = format!("/v1/recordings/{}", talk.id);
    let outline = stage.control.get(&path).await?;
    ensure!(outline.body["encrypted"]["to"][0] == key.as_str() && outline.body["segments"] == serde_json::json!([]));
    let fetched = stage.control.fetch(&format!("{path}/audio")).await?;
    let (media_type, audio) = fetched.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    ensure!(media_type == "application/vnd.age", "{media_type}");
    ensure!(finished["data"]["bytes"] == audio.len(), "{finished}, {} came", audio.len());
    let fetched = stage.control.fetch(&format!("{path}/timeline")).await?;
    let (media_type, timeline) = fetched.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    ensure!(media_type == "application/vnd.age", "{media_type}");
    ensure!(opened(&audio, &Identity::generate()).is_err(), "any key opens it");

    let timeline = serde_json::from_slice(&opened(&timeline, &identity)?)?;
    let recording = Recording::of(&opened(&audio, &identity)?, timeline)?;
    ensure!(recording.timeline["segments"][0]["who"] == "caller", "{}", recording.timeline);
    ensure!(recording.left.len() >= 3 * 8_000, "{} samples", recording.left.len());
    recording.place_of_signal(CALLER_SAYS)?;
    recording.place_of(&talk.caller.audio().received())?;

    let folder = tempfile::tempdir()?;
    let (done, said) = tandem(&stage, folder.path(), &["recording", &talk.id, "get"])?;
    let name = format!("{}.wav.age", talk.id);
    ensure!(done && said.trim() == name && fs::read(folder.path().join(&name))? == audio, "{said}");
    let (done, said) = tandem(&stage, folder.path(), &["recording", &talk.id, "get"])?;
    ensure!(!done && said.contains("cannot make"), "what is there was overwritten: {said}");
    ensure!(tandem(&stage, folder.path(), &["recording", &talk.id, "timeline", "--output", "beside"])?.0);
    ensure!(tandem(&stage, folder.path(), &["recording", &talk.id, "delete"])?.0);
    let left = files_below(&stage.daemon.folder().join("recordings"))?;
    ensure!(left.is_empty(), "{left:?}");
    stage.daemon.stop().await?;
    Ok(())
}

/// faults.md: recordings survive kill -9 up to the last second; nobody had a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_mid_call_an_encrypted_recording_can_be_opened_up_to_the_last_second() -> Result<()> {
    let identity = Identity::generate();
    let folder = tempfile::tempdir()?;
    let directory = folder.path().join("recordings");
    let more = format!("  encrypt_to: [{}]", identity.to_public());
    let change = |files: Files| {
        let files = recorded(files, &more);
        let elsewhere = format!("directory: {}", directory.display());
        Files { configuration: files.configuration.replace("directory: recordings", &elsewhere), ..files }
    };
    let stage = Stage::with(change).await?;
    let talk = stage.connect().await?;
    let random = u64::from(std::process::id() % 97);
    tokio::time::timeout(LATER, talk.caller.audio().hears(150 + random)).await?;
    let heard = talk.caller.audio().received();
    stage.daemon.signal(Kill::SIGKILL)?;
    let lasted = usize::try_from((heard[heard.len() - 1].at - heard[0].at).as_millis())?;

    let own = (own_address(), 5070).into();
    let _daemon = Daemon::start(&change(standard(own, own))).await?;
    let deadline = tokio::time::Instant::now() + SOON;
    let file = |ending: &str| -> Result<Option<Vec<u8>>> {
        let found = files_below(&directory)?.into_iter().find(|path| path.ends_with(format!("{}.{ending}", talk.id)));
        Ok(found.map(fs::read).transpose()?)
    };
    while file("json")?.is_none() || file("json.part")?.is_some() {
        ensure!(tokio::time::Instant::now() < deadline, "not closed: {:?}", files_below(&directory)?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let outline: serde_json::Value = serde_json::from_slice(&file("json")?.context("no timeline")?)?;
    ensure!(outline["state"] == "interrupted", "{outline}");
    let mut wav = opened(&file("wav.age")?.context("no audio")?, &identity)?;
    // It could not know its length.
    let length = u32::try_from(wav.len() - tests::recorded::HEADER)?;
    ensure!(wav[4..8] == [0xff; 4] && outline["duration_ms"] == length / 32, "{outline}");
    wav[tests::recorded::HEADER - 4..tests::recorded::HEADER].copy_from_slice(&length.to_le_bytes());
    let recording = Recording::of(&wav, outline)?;
    ensure!(recording.left.len() / 8 + 1_000 >= lasted, "{} ms of {lasted} ms", recording.left.len() / 8);
    recording.place_of_signal(CALLER_SAYS)?;
    Ok(())
}
