//! Garbage and malformed messages at the SIP port while calls run: the daemon answers on, and nobody hears it.

use anyhow::{Context, Result, ensure};
use parties::{
    analysis::continuity,
    io::{Party, Voice},
    signal::Signal,
};
use std::time::Duration;
use tests::{SOON, Stage, hears, own_address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn options_is_answered_and_audio_untouched_while_garbage_rains() -> Result<()> {
    let stage = Stage::new().await?;
    let mut talks = Vec::new();
    for _ in 0..10 {
        talks.push(stage.connect().await?);
    }
    let before: Vec<u64> = talks.iter().map(|talk| talk.caller.audio().count()).collect();
    let stranger = Party::bind("stranger", own_address().into(), Voice::of(Signal::Silence)).await?;
    for (number, broken) in broken().into_iter().enumerate() {
        stranger.send_raw(&broken, stage.sip());
        if number % 10 == 0 {
            options_answered(&stranger, &stage, number).await?;
        }
    }
    for (talk, before) in talks.iter().zip(before) {
        tokio::time::timeout(SOON, talk.caller.audio().hears(25)).await.context("audio stopped")?;
        ensure!(talk.caller.audio().count() > before, "audio stopped");
        let seen = continuity(&talk.caller.audio().received());
        ensure!(seen.sequence_gaps == 0 && seen.ssrc_count == 1, "{seen:?}");
        ensure!(!talk.caller.status().is_over() && !talk.ai.status().is_over(), "a call ended");
    }
    hears(&talks[0].caller, &talks[0].ai).await
}

/// OPTIONS gets its 200 within a second.
async fn options_answered(stranger: &Party, stage: &Stage, number: usize) -> Result<()> {
    let branch = format!("z9hG4bKopt{number}");
    let text = format!(
        "OPTIONS sip:{sip} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch={branch}\r\nMax-Forwards: 70\r\n\
         From: <sip:s@{own}>;tag=s{number}\r\nTo: <sip:{sip}>\r\nCall-ID: opt{number}@x\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n",
        sip = stage.sip(),
        own = stranger.address(),
    );
    stranger.send_raw(text.as_bytes(), stage.sip());
    let answered = tokio::time::timeout(Duration::from_secs(1), async {
        while !stranger
            .trace()
            .iter()
            .any(|traced| traced.message.status() == Some(200) && traced.message.branch() == Some(branch.as_str()))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    answered.await.with_context(|| format!("OPTIONS was not answered after broken message {number}"))
}

/// Bytes that are no SIP, and INVITEs each broken at one place, as the torture RFCs describe such.
fn broken() -> Vec<Vec<u8>> {
    let good = "INVITE sip:support@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKbroken\r\n\
                Max-Forwards: 70\r\nFrom: <sip:x@127.0.0.1>;tag=1\r\nTo: <sip:support@127.0.0.1>\r\nCall-ID: broken@x\r\n\
                CSeq: 1 INVITE\r\nContact: <sip:x@127.0.0.1:5999>\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\r\n";
    let changes = [
        ("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        ("CSeq: 1 INVITE", "CSeq: 9999999999999999999 INVITE"),
        ("CSeq: 1 INVITE", "CSeq: INVITE"),
        ("Content-Length: 4", "Content-Length: -999"),
        ("Content-Length: 4", "Content-Length: 4294967328"),
        ("Content-Length: 4", "Content-Length: 9999"),
        ("Content-Length: 4", "Content-Length: 4\r\nContent-Length: 5"),
        ("Max-Forwards: 70", "Max-Forwards: 0"),
        ("Max-Forwards: 70", "Max-Forwards: 0123456789999999"),
        ("To: <sip:support@127.0.0.1>", "To: \"unterminated <sip:support@127.0.0.1>"),
        ("To: <sip:support@127.0.0.1>", "To: "),
        ("From: <sip:x@127.0.0.1>;tag=1", "From: <>"),
        ("SIP/2.0\r\nVia", "SIP/7.0\r\nVia"),
        ("INVITE sip:support@127.0.0.1 SIP/2.0", "INVITE  sip:support@127.0.0.1  SIP/2.0"),
        ("INVITE sip:support@127.0.0.1 SIP/2.0", "INVITE <sip:support@127.0.0.1> SIP/2.0"),
        ("INVITE sip:support@127.0.0.1 SIP/2.0", "INVITE nobodyKnowsThisScheme:x SIP/2.0"),
        ("Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKbroken", "Via: SIP/2.0/UDP ;;,,,,"),
        ("Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKbroken\r\n", ""),
        ("Call-ID: broken@x\r\n", ""),
        ("Max-Forwards: 70", "Require: nothingSupportsThis, norThis"),
        ("application/sdp", "application/unknownformat"),
        ("v=0", "v="),
        ("\r\n", "\n"),
    ];
    let mut all: Vec<Vec<u8>> = changes
        .iter()
        .enumerate()
        .map(|(number, (from, to))| good.replace(from, to).replace("broken", &format!("b{number}")).into_bytes())
        .collect();
    all.extend([
        b"".to_vec(),
        b"\r\n\r\n".to_vec(),
        b"\0".repeat(100),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 1400],
    ]);
    for cut in (0..good.len()).step_by(7) {
        all.push(good.as_bytes()[..cut].to_vec());
    }
    for at in (0..good.len()).step_by(5) {
        let mut bytes = good.replace("broken", &format!("f{at}")).into_bytes();
        bytes[at] ^= 0x55;
        all.push(bytes);
    }
    all
}
