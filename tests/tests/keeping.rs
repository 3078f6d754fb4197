//! What becomes of recordings when the call is over: who can open them, and where they go.

use age::x25519::Identity;
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal as Kill;
use serde_json::Value;
use std::{fs, io::Read as _, path::Path, process::Command, time::Duration};
use tests::{
    Bucket, CALLER_SAYS, Daemon, Fault, Files, SOON, Stage, Talk, binary, certificates, is_hung_up, own_address,
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
    let outline: Value = serde_json::from_slice(&file("json")?.context("no timeline")?)?;
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

fn upload_to(bucket: &Bucket, more: &str) -> String {
    format!(
        "  upload:\n    to: s3://calls/edge-1\n    endpoint: {}\n    access_key_id: uploader\n    secret_access_key: secret\n    timeout: 2s\n{more}",
        bucket.endpoint()
    )
}

/// A caller talks for a second; the call's id, and its events from there on.
async fn a_call(stage: &Stage) -> Result<Talk> {
    let talk = stage.talk().await?;
    tokio::time::timeout(LATER, talk.caller.audio().hears(50)).await?;
    talk.caller.hang_up();
    is_hung_up(&talk.ai).await?;
    Ok(talk)
}

/// An event of that call; those of others are passed over.
async fn event(talk: &mut Talk, kind: &str) -> Result<Value> {
    let wanted = |event: &Value| event["type"] == kind && event["call"] == talk.id.as_str();
    let came = talk.events.until_that(LATER, wanted).await;
    came.with_context(|| format!("no event {kind} of {} within {LATER:?}", talk.id))
}

/// Everything of a recording is elsewhere as it is here.
fn arrived_as_they_are(stage: &Stage, id: &str, elsewhere: impl Fn(&str) -> Option<Vec<u8>>) -> Result<usize> {
    let files = files_below(&stage.daemon.folder().join("recordings"))?;
    let own =
        files.iter().filter(|path| path.to_string_lossy().contains(id) && !path.ends_with(format!("{id}.uploaded")));
    let mut count = 0;
    for file in own {
        let name = file.file_name().context("no name")?.to_string_lossy().into_owned();
        ensure!(elsewhere(&name) == Some(fs::read(file)?), "{name} did not arrive as it is");
        count += 1;
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_uploaded_to_a_folder_read_back_and_only_then_gone_from_here() -> Result<()> {
    let archive = tempfile::tempdir()?;
    let elsewhere = archive.path().join("mounted");
    let more = format!("  upload:\n    to: file://{}\n    keep_local: 0s\n", elsewhere.display());
    let stage = Stage::with(|files| recorded(files, &more)).await?;
    let mut talk = a_call(&stage).await?;
    // A file server that is not mounted: nothing is made in its place.
    let failed = event(&mut talk, "recording.upload_failed").await?;
    ensure!(failed["data"]["attempts"] == 1 && !elsewhere.exists(), "{failed}");
    let path = format!("/v1/recordings/{}", talk.id);
    ensure!(stage.control.get(&path).await?.body["upload"]["waiting"] == true);
    let audio = stage.control.fetch(&format!("{path}/audio")).await?;
    let (_, audio) = audio.map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    fs::create_dir(&elsewhere)?;
    let uploaded = event(&mut talk, "recording.uploaded").await?;
    ensure!(uploaded["data"]["kept"] == false && uploaded["data"]["attempts"].as_u64() >= Some(2), "{uploaded}");

    let there = files_below(&elsewhere)?;
    let named = |ending: &str| there.iter().find(|path| path.ends_with(format!("{}.{ending}", talk.id)));
    ensure!(there.len() == 2 && fs::read(named("wav").context("no audio")?)? == audio, "{there:?}");
    let timeline: Value = serde_json::from_slice(&fs::read(named("json").context("no timeline")?)?)?;
    Recording::of(&audio, timeline)?.place_of_signal(CALLER_SAYS)?;
    let gone = stage.control.get(&format!("{path}/audio")).await?;
    ensure!(
        gone.status == 404 && gone.body["detail"].as_str().is_some_and(|told| told.contains("mounted")),
        "{gone:?}"
    );
    let about = stage.control.get(&path).await?;
    ensure!(about.body["upload"]["files"][0]["bytes"] == audio.len(), "{about:?}");
    ensure!(stage.control.delete(&path).await?.status == 200);
    let left = files_below(&stage.daemon.folder().join("recordings"))?;
    ensure!(left.is_empty(), "{left:?}");
    stage.until_metric("tandem_uploads_waiting", 0.0, LATER).await?;
    stage.daemon.stop().await?;
    Ok(())
}

/// The service shows a certificate of an authority of its own: whoever is not told of that uploads nothing to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_over_tls_goes_to_whom_the_named_authority_vouches_for_alone() -> Result<()> {
    let address = own_address();
    let (folder, _authority) = certificates(address)?;
    let bucket = Bucket::open_tls(address, folder.path(), "daemon").await?;
    let ca = format!("    ca: {}\n", folder.path().join("ca.pem").display());
    for (more, arrives) in [("", false), (ca.as_str(), true)] {
        let more = upload_to(&bucket, more);
        let stage = Stage::with(|files| recorded(files, &more)).await?;
        let mut talk = a_call(&stage).await?;
        if arrives {
            event(&mut talk, "recording.uploaded").await?;
            ensure!(arrived_as_they_are(&stage, &talk.id, |name| bucket.object(name))? > 0, "{:?}", bucket.keys());
        } else {
            event(&mut talk, "recording.upload_failed").await?;
            ensure!(bucket.asked().is_empty(), "{:?}", bucket.asked());
        }
        stage.daemon.stop().await?;
    }
    ensure!(bucket.refused().is_empty(), "{:?}", bucket.refused());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_reach_a_bucket_through_whatever_its_service_does() -> Result<()> {
    let bucket = Bucket::open(own_address()).await?;
    let identity = Identity::generate();
    let more = format!("  encrypt_to: [{}]\n{}", identity.to_public(), upload_to(&bucket, "    check: content\n"));
    let stage = Stage::with(|files| recorded(files, &more)).await?;
    bucket.fails_with([Fault::SlowDown, Fault::Reset, Fault::Silence, Fault::DoneAndFailed]);
    let mut talk = a_call(&stage).await?;
    let failed = event(&mut talk, "recording.upload_failed").await?;
    ensure!(failed["data"]["reason"].as_str().is_some_and(|told| !told.contains("secret")), "{failed}");
    // A call meanwhile is none the wiser.
    let other = stage.talk().await?;
    other.caller.hang_up();
    is_hung_up(&other.ai).await?;
    let uploaded = event(&mut talk, "recording.uploaded").await?;
    ensure!(bucket.faults_left() == 0 && uploaded["data"]["kept"] == true, "{uploaded}");
    ensure!(uploaded["data"]["to"].as_str().is_some_and(|to| to.starts_with("s3://calls/edge-1/")), "{uploaded}");
    ensure!(arrived_as_they_are(&stage, &talk.id, |name| bucket.object(name))? == 3, "{:?}", bucket.keys());
    ensure!(bucket.keys().iter().all(|key| key.starts_with("edge-1/")), "{:?}", bucket.keys());
    ensure!(bucket.refused().is_empty(), "{:?}", bucket.refused());
    let wav = opened(&bucket.object("wav.age").context("no audio")?, &identity)?;
    ensure!(wav.starts_with(b"RIFF"), "it holds something else");
    stage.until_metric("tandem_uploads_waiting", 0.0, LATER).await?;
    ensure!(stage.metric("tandem_upload_bytes_total").await? > 10_000.0);
    ensure!(stage.metric("tandem_upload_oldest_seconds").await? == 0.0);
    stage.daemon.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_its_upload_outlives_kill_9_and_is_reported_when_it_waits_for_too_long() -> Result<()> {
    let bucket = Bucket::open(own_address()).await?;
    bucket.is_down(true);
    let more = upload_to(&bucket, "    overdue: 1s\n");
    let mut stage = Stage::with(|files| recorded(files, &more)).await?;
    let mut talk = a_call(&stage).await?;
    event(&mut talk, "recording.finished").await?;
    event(&mut talk, "recording.upload_failed").await?;
    let deadline = tokio::time::Instant::now() + LATER;
    while !stage.daemon.log().contains("wait for their upload for too long") {
        ensure!(tokio::time::Instant::now() < deadline, "nobody is told:\n{}", stage.daemon.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(stage.metric("tandem_upload_oldest_seconds").await? >= 1.0);
    stage.daemon.kill_and_start_again().await?;
    let mut events = stage.control.subscribe("").await?;
    bucket.is_down(false);
    let uploaded = events.until("recording.uploaded", LATER).await.context("it was forgotten")?;
    ensure!(uploaded["call"] == talk.id.as_str(), "{uploaded}");
    ensure!(arrived_as_they_are(&stage, &talk.id, |name| bucket.object(name))? == 2, "{:?}", bucket.keys());
    stage.daemon.stop().await?;
    Ok(())
}

/// 20 MB that an earlier life has left: three parts, and the second life goes on where the first was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_recording_goes_in_parts_and_after_a_kill_where_it_was() -> Result<()> {
    const CALL: &str = "c_01JDKQ2J8Z0000000000000000";
    let bucket = Bucket::open(own_address()).await?;
    let folder = tempfile::tempdir()?;
    let day = folder.path().join("2026-11-25");
    fs::create_dir_all(&day)?;
    let audio: Vec<u8> = (0..20_000_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    fs::write(day.join(format!("{CALL}.wav")), &audio)?;
    let timeline = format!(
        "{{\"version\":1,\"call\":\"{CALL}\",\"line\":\"support\",\"state\":\"finished\",\"audio\":\"{CALL}.wav\",\"format\":\"wav-pcm16\",\
         \"sample_rate\":8000,\"channels\":[],\"started\":\"2026-11-25T10:00:00.000Z\",\"duration_ms\":1,\"bytes\":1,\"complete\":true,\
         \"flaws\":{{\"dropped_frames\":0,\"late_frames\":0,\"write_errors\":0,\"unwritten_ms\":0}},\"segments\":[],\"gaps\":[],\"events\":[]}}"
    );
    fs::write(day.join(format!("{CALL}.json")), timeline)?;
    fs::write(day.join(format!("{CALL}.upload")), "{}")?;
    // Begun, one part, and from there on no answer: until it is killed over the second.
    bucket.answers_and_then(2, Fault::Silence);
    let own = (own_address(), 5070).into();
    let change = |files: Files| {
        let files = recorded(files, &upload_to(&bucket, "").replace("timeout: 2s", "timeout: 60s"));
        let elsewhere = format!("directory: {}", folder.path().display());
        Files { configuration: files.configuration.replace("directory: recordings", &elsewhere), ..files }
    };
    let mut daemon = Daemon::start(&change(standard(own, own))).await?;
    let parts = |bucket: &Bucket| bucket.asked().iter().filter(|asked| asked.contains("partNumber")).count();
    let deadline = tokio::time::Instant::now() + LATER;
    while !fs::read_to_string(day.join(format!("{CALL}.upload")))?.contains("arrived\":[\"") {
        ensure!(tokio::time::Instant::now() < deadline, "no part has arrived: {:?}", bucket.asked());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bucket.works_again();
    daemon.kill_and_start_again().await?;
    let deadline = tokio::time::Instant::now() + LATER;
    while !day.join(format!("{CALL}.uploaded")).exists() {
        ensure!(tokio::time::Instant::now() < deadline, "not uploaded: {:?}\n{}", bucket.asked(), daemon.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(bucket.object("wav") == Some(audio), "something else has arrived");
    ensure!(parts(&bucket) == 3, "what had arrived was sent again: {:?}", bucket.asked());
    let begun = bucket.asked().iter().filter(|asked| asked.contains("uploads=")).count();
    ensure!(begun == 1 && bucket.refused().is_empty(), "{:?} {:?}", bucket.asked(), bucket.refused());
    daemon.stop().await?;
    Ok(())
}
