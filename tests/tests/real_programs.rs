//! Programs that are not ours as parties: SIPp as the trunk and its caller, baresip as the human.

use anyhow::{Context, Result, ensure};
use parties::{
    analysis::{audio, find, tone_share},
    io::{ControlClient, Party, Voice},
    signal::Signal,
};
use serde_json::json;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};
use tests::{AI_SAYS, CALLER_SAYS, Daemon, HUMAN_SAYS, SOON, Stage, Tool, is_hung_up, own_address, standard};

/// SIPp says `Noise(1)` from a file; it cannot judge what it hears, so the other direction is proven by our own caller elsewhere and
/// by the packets it counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sipp_brings_a_caller_through_the_ai_to_a_human() -> Result<()> {
    let ai = Party::bind("agent", own_address().into(), Voice::of(AI_SAYS)).await?;
    let human = Party::bind("human", own_address().into(), Voice::of(HUMAN_SAYS)).await?;
    let daemon = Daemon::start(&standard(ai.address(), human.address())).await?;
    let control = ControlClient::new(daemon.control());
    let (ip, target) = (own_address().to_string(), daemon.sip().to_string());
    let sipp = Tool::sipp(
        "caller-rtp.xml",
        &["-i", &ip, "-p", "5060", "-mi", &ip, "-m", "1", "-d", "6000", "-s", "support", &target],
    );
    let agent = ai.incoming(SOON).await.context("the AI was not called")?;
    agent.answer();
    agent.answered(SOON).await?;
    let says_noise = |packets: &[parties::analysis::Received]| {
        let last = &packets[packets.len().saturating_sub(50)..];
        find(&audio(last, 10), CALLER_SAYS, 0..80_000).correlation >= 0.95
    };
    // SIPp's octets, none changed, from the file that it repeats.
    let said = fs::read(sipp.folder().join("voice.ulaw"))?.repeat(2);
    let verbatim = |packets: &[parties::analysis::Received]| {
        let last = packets[packets.len().saturating_sub(50)..].iter();
        let octets: Vec<u8> = last.flat_map(|packet| packet.payload.iter().copied()).collect();
        octets.len() == 8_000 && said.windows(octets.len()).any(|stretch| stretch == octets)
    };
    ensure!(agent.audio().hears_that(SOON, says_noise).await, "the AI does not hear SIPp's caller");
    ensure!(agent.audio().hears_that(SOON, verbatim).await, "the AI hears other octets than SIPp's caller sent");
    let id = agent.header("X-Tandem-Call-Id").context("no call id")?.to_owned();
    let miss = json!({ "type": "no_match" });
    let answer = control.post(&format!("/v1/calls/{id}/events"), &json!([miss, miss, miss])).await?;
    ensure!(answer.body["results"][2]["decision"]["rule"] == "three-misses", "{answer:?}");
    let desk = human.incoming(SOON).await.context("no human was called")?;
    desk.answer();
    desk.answered(SOON).await?;
    is_hung_up(&agent).await?;
    ensure!(desk.audio().hears_that(SOON, says_noise).await, "the human does not hear SIPp's caller");
    ensure!(desk.audio().hears_that(SOON, verbatim).await, "the human hears other octets than SIPp's caller sent");
    let finished = sipp.finished(Duration::from_secs(30)).await;
    ensure!(finished.status.success(), "SIPp: {}", finished.printed);
    is_hung_up(&desk).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_takes_the_caller_and_both_hear_each_other() -> Result<()> {
    let stage = Stage::voiced(Signal::Tone(440.0), Signal::Tone(600.0), Signal::Silence, |files| files).await?;
    // baresip sends RTP from a socket without an address, so only on 127.0.0.1 it comes from where its SDP says.
    let address = free_port()?;
    let phone = baresip(address, Signal::Tone(880.0), "")?;
    until_printed(&phone, "baresip is ready").await?;
    let talk = stage.connect().await?;
    stage.transfer(&talk.id, json!({ "to": format!("sip:human@{address}"), "mode": "warm" })).await?;
    let hears = |hertz: f64| {
        move |packets: &[parties::analysis::Received]| {
            let last = &packets[packets.len().saturating_sub(10)..];
            tone_share(&audio(last, 10), hertz) > 0.9
        }
    };
    ensure!(
        talk.caller.audio().hears_that(SOON, hears(880.0)).await,
        "the caller does not hear baresip: {}",
        phone.printed()
    );
    is_hung_up(&talk.ai).await?;
    tokio::time::timeout(SOON, talk.caller.audio().hears(100)).await?;
    talk.caller.hang_up();
    until_printed(&phone, "terminated").await?;
    let share = heard_by(phone.folder())?;
    ensure!(share > 0.9, "baresip heard the caller's tone for a share of {share}");
    Ok(())
}

/// A whole handoff: the caller and the AI speak in plain, the human's phone speaks SRTP or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn baresip_takes_the_caller_over_srtp_and_nobody_answers_where_it_is_asked_for_in_vain() -> Result<()> {
    let stage = Stage::with(|mut files| {
        files.configuration = files
            .configuration
            .replace("    tel: [\"+\"]\n", "    tel: [\"+\"]\n    srtp: off\n")
            .replace("    ring_timeout: 5s\n", "    ring_timeout: 5s\n    srtp: off\n")
            .replace("media:\n", "media:\n  srtp: required\n")
            .replace("logging: { redact: false }", "logging: { redact: false, level: trace }");
        files
    });
    let stage = stage.await?;
    let (address, plain) = (free_port()?, free_port()?);
    let phone = baresip(address, HUMAN_SAYS, ";mediaenc=srtp-mand")?;
    let plain_phone = baresip(plain, HUMAN_SAYS, "")?;
    until_printed(&phone, "baresip is ready").await?;
    until_printed(&plain_phone, "baresip is ready").await?;
    let mut talk = stage.talk().await?;
    stage.transfer(&talk.id, json!({ "to": format!("sip:human@{plain}"), "mode": "warm" })).await?;
    let failed = talk.event("transfer.failed").await?;
    ensure!(failed["data"]["sip_code"] == 488, "a phone without SRTP: {failed}");
    stage.transfer(&talk.id, json!({ "to": format!("sip:human@{address}"), "mode": "warm" })).await?;
    let says_noise = |packets: &[parties::analysis::Received]| {
        let last = &packets[packets.len().saturating_sub(50)..];
        find(&audio(last, 10), HUMAN_SAYS, 0..480_000).correlation >= 0.95
    };
    ensure!(
        talk.caller.audio().hears_that(SOON, says_noise).await,
        "the caller does not hear baresip: {}",
        phone.printed()
    );
    is_hung_up(&talk.ai).await?;
    tokio::time::timeout(SOON, talk.caller.audio().hears(100)).await?;
    let told = [
        stage.control.get(&format!("/v1/calls/{}", talk.id)).await?.body.to_string(),
        stage.control.get("/metrics").await?.body.to_string(),
        format!("{:?}", talk.caller.audio().received().len()),
    ];
    talk.caller.hang_up();
    until_printed(&phone, "terminated").await?;
    let heard = decoded_by(phone.folder())?;
    let second = &heard[heard.len().saturating_sub(9600)..heard.len().saturating_sub(1600)];
    let correlation = find(second, CALLER_SAYS, 0..480_000).correlation;
    ensure!(correlation >= 0.95, "baresip heard the caller with a correlation of {correlation}");
    // Fault row 12: the keys that went by are nowhere else.
    stage.until_metric("tandem_ports_in_use", 0.0, SOON).await?;
    let folder = stage.daemon.stop().await?;
    let mut told = told.to_vec();
    for entry in fs::read_dir(folder.path())? {
        told.push(String::from_utf8_lossy(&fs::read(entry?.path()).unwrap_or_default()).into_owned());
    }
    ensure!(told.iter().any(|text| text.contains("DEBUG")), "the daemon's log is among what was looked at");
    ensure!(told.iter().all(|text| !text.contains("inline:")), "a key was written down");
    Ok(())
}

/// A port of 127.0.0.1 that was free just now.
fn free_port() -> Result<SocketAddr> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// baresip at this address: answers by itself, says a signal, writes what it hears into its folder. `more` ends its account's line.
fn baresip(address: SocketAddr, says: Signal, more: &str) -> Result<Tool> {
    let folder = tempfile::tempdir()?;
    let modules = "/usr/lib/baresip/modules";
    ensure!(
        Path::new(modules).is_dir(),
        "baresip is missing; install it with: apt-get install baresip-core baresip-ffmpeg"
    );
    let config = format!(
        "sip_listen {address}\nnet_interface {ip}\naudio_source aufile,{dir}/says.wav\naudio_player aufile,{dir}/played.wav\n\
         snd_path {dir}\nrtp_ports 40000-48000\nmodule_path {modules}\nmodule g711.so\nmodule aufile.so\n\
         module sndfile.so\nmodule srtp.so\nmodule_tmp account.so\nmodule_app menu.so\n",
        dir = folder.path().display(),
        ip = address.ip(),
    );
    fs::write(folder.path().join("config"), config)?;
    fs::write(
        folder.path().join("accounts"),
        format!("<sip:human@{address}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1,PCMA/8000/1{more}\n"),
    )?;
    fs::write(folder.path().join("contacts"), "")?;
    fs::write(folder.path().join("says.wav"), wav(&says.samples(0, 60 * 8000)))?;
    let path = folder.path().display().to_string();
    Ok(Tool::start_in(folder, "baresip", "baresip-core baresip-ffmpeg", &["-f", &path]))
}

/// A WAV file of 8 kHz, one channel, 16 bits.
fn wav(samples: &[i16]) -> Vec<u8> {
    let length = u32::try_from(samples.len() * 2).expect("a short file");
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(8000u32.to_le_bytes());
    file.extend(16000u32.to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

async fn until_printed(tool: &Tool, words: &str) -> Result<()> {
    let printed = tokio::time::timeout(SOON, async {
        while !tool.printed().contains(words) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    printed.await.with_context(|| format!("it did not print `{words}` but:\n{}", tool.printed()))
}

/// The share of 440 Hz in the last second that baresip decoded.
fn heard_by(folder: &Path) -> Result<f64> {
    let samples = decoded_by(folder)?;
    let last = &samples[samples.len().saturating_sub(8000)..samples.len().saturating_sub(1600)];
    Ok(tone_share(last, 440.0))
}

/// All that baresip decoded.
fn decoded_by(folder: &Path) -> Result<Vec<i16>> {
    let dump = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.to_string_lossy().ends_with("dec.wav"))
        .context("baresip wrote no dump of what it heard")?;
    let bytes = fs::read(dump)?;
    Ok(bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
}
