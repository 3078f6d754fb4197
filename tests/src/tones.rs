//! A tone a party, looked for in the packets that each is sent: who hears whom.

use crate::{Files, Stage, Talk};
use anyhow::{Result, ensure};
use parties::{
    analysis::{Received, audio},
    io::Call,
    signal::Signal,
};
use std::{f64::consts::TAU, time::Duration};

/// Ends of waits, generous: other tests share the machine.
pub const LONG: Duration = Duration::from_secs(20);
/// What the caller says, in Hz.
pub const CALLER: f64 = 400.0;
/// What the AI says.
pub const AI: f64 = 700.0;
/// What the humans say.
pub const HUMAN: f64 = 1100.0;
/// What a supervisor says.
pub const SUPERVISOR: f64 = 1700.0;

/// The caller with the AI.
pub async fn stage(change: impl FnOnce(Files) -> Files) -> Result<(Stage, Talk)> {
    let tone = Signal::Tone;
    let stage = Stage::voiced(tone(CALLER), tone(AI), tone(HUMAN), change).await?;
    let talk = stage.connect().await?;
    Ok((stage, talk))
}

/// Waits until the last half second that was sent to `listener` holds these tones, well above a whisper, and nothing of the others.
pub async fn hears_just(who: &str, listener: &Call, wanted: &[f64]) -> Result<()> {
    let mut last = Vec::new();
    let just = listener.audio().hears_that(LONG, |packets| {
        let Some(packets) = packets.len().checked_sub(25).map(|from| &packets[from..]) else { return false };
        last = [CALLER, AI, HUMAN, SUPERVISOR].iter().map(|hertz| (*hertz, level(packets, *hertz))).collect();
        last.iter().all(|(hertz, level)| if wanted.contains(hertz) { *level > 2_000.0 } else { *level < 120.0 })
    });
    let just = just.await;
    ensure!(just, "{who}: expected the tones {wanted:?}, heard {last:.0?} at last");
    Ok(())
}

/// How loud one tone is (root of the mean square).
fn level(packets: &[Received], hertz: f64) -> f64 {
    let samples = audio(packets, 2);
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in (0_u32..).zip(&samples) {
        let turn = TAU * hertz * f64::from(n) / 8_000.0;
        re += f64::from(*sample) * turn.cos();
        im += f64::from(*sample) * turn.sin();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of samples are far below 2^52")]
    let count = samples.len().max(1) as f64;
    (2.0 * (re * re + im * im)).sqrt() / count
}

/// Waits until half a second that was sent to `listener` is silence: no tone, no music, no prompt.
pub async fn hears_silence(who: &str, listener: &Call) -> Result<()> {
    let mut last = 0;
    let silent = listener.audio().hears_that(LONG, |packets| {
        let Some(packets) = packets.len().checked_sub(25).map(|from| &packets[from..]) else { return false };
        last = audio(packets, 2).iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        last < 64
    });
    let silent = silent.await;
    ensure!(silent, "{who}: expected silence, the loudest sample is {last} at last");
    Ok(())
}

/// Waits until half a second that was sent to `listener` is neither silence nor a party's tone: music, a prompt, ringing.
pub async fn hears_something_else(who: &str, listener: &Call) -> Result<()> {
    let mut last = (0, 0.0);
    let heard = listener.audio().hears_that(LONG, |packets| {
        let Some(packets) = packets.len().checked_sub(25).map(|from| &packets[from..]) else { return false };
        let loudest = audio(packets, 2).iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        let tones = [CALLER, AI, HUMAN, SUPERVISOR].map(|hertz| level(packets, hertz));
        last = (loudest, tones.into_iter().fold(0.0, f64::max));
        last.0 > 500 && last.1 < 1_000.0
    });
    let heard = heard.await;
    ensure!(heard, "{who}: expected music, heard samples up to {} with a party's tone of {:.0}", last.0, last.1);
    Ok(())
}
