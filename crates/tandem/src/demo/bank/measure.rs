//! What the packets, the recording and the screen say of the story: measured at the parties, by code that the daemon shares nothing with.

use super::{Said, Scene, sound};
use crate::cli::Colour;
use parties::{
    analysis::{Received, audio, continuity, correlation, find, find_clip, level_dbov, longest_silence},
    io::Traced,
    signal::RATE,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What counts as hearing a known sound, and as not hearing it.
const HEARD: f64 = 0.9;
const NOT_HEARD: f64 = 0.35;

/// The figures, and whether they are as they should be.
pub(in super::super) struct Measured {
    rows: Vec<Row>,
    call: String,
    packets: usize,
    daemon: Value,
}

struct Row {
    key: &'static str,
    name: &'static str,
    value: Value,
    unit: &'static str,
    how: &'static str,
    good: bool,
}

impl Measured {
    pub(in super::super) fn of(scene: &Scene) -> anyhow::Result<Self> {
        let heard = &scene.caller;
        let stream = continuity(heard);
        let ai = Aligned::of(heard, scene.ai_said, scene.ai_said.at.saturating_sub(Duration::from_millis(700)));
        let human =
            Aligned::of(heard, scene.human_said, scene.human_said.at.saturating_sub(Duration::from_millis(700)));
        let last_word = heard.iter().rev().find(|packet| packet.at < scene.pressed && ai.says(packet));
        let bridge =
            heard.iter().find(|packet| packet.at > scene.answered && human.says(packet)).map(|packet| packet.at);
        let music = music_begins(heard, scene, last_word.map(|packet| packet.at))?;
        let music_after = music.filter(|at| *at > 0).map(|at| heard[at].at.saturating_sub(heard[at - 1].at));
        let pause = music.zip(last_word).map(|(at, word)| heard[at].at.saturating_sub(word.at));
        let until = bridge.unwrap_or(scene.hung_up).saturating_add(Duration::from_secs(1)).min(scene.hung_up);
        let first = heard.first().map_or(scene.hung_up, |packet| packet.at);
        let silence = longest_silence(heard, scene.decided, until);
        let window = longest_silence(heard, first, heard.last().map_or(scene.hung_up, |packet| packet.at));
        let after_decision = |at: Duration| at.checked_sub(scene.decided);
        let lead = scene.invited.as_secs_f64() * 1_000.0 - scene.screen.as_secs_f64() * 1_000.0;
        let (alone, whispered) = whisper(scene, bridge.unwrap_or(scene.hung_up));
        let ai_heard_music =
            scene.ai.iter().filter(|packet| packet.at > scene.decided + Duration::from_millis(100)).any(is_loud);
        let human_heard = scene.human.iter().filter(|packet| Some(packet.at) > bridge && is_loud(packet)).count();
        let human_heard_caller = {
            let at = scene.human_said.at.saturating_sub(Duration::from_millis(700));
            let caller = Aligned::of(&scene.human, scene.caller_said, at);
            scene.human.iter().filter(|packet| Some(packet.at) > bridge && caller.says(packet)).count() * 10
                > human_heard * 9
                && human_heard > 0
        };
        let recorded = scene.recording.right.len() as f64 * 1_000.0 / f64::from(RATE);
        let before_goodbye: Vec<Received> = heard.iter().filter(|packet| packet.at < scene.hung_up).cloned().collect();
        let drift = off(scene, &before_goodbye, recorded);
        let missing =
            scene.recording.missing(&before_goodbye) + scene.recording.unsaid(scene.caller_said, scene.hung_up);
        let off_timeline = (recorded - scene.recording.duration_ms as f64).abs();
        let frame = Duration::from_millis(20);
        let row = |key, name, value: Value, unit, how, good| Row { key, name, value, unit, how, good };
        let milli = |key, name, duration: Option<Duration>, how, good: &dyn Fn(Duration) -> bool| {
            row(key, name, json!(duration.map(ms)), "ms", how, duration.is_some_and(good))
        };
        let always = &|_: Duration| true;
        let rows = vec![
            milli(
                "handoff_silence_ms",
                "silence heard by the caller",
                Some(silence),
                "longest, from the decision to 1 s after the bridge",
                &|it| it < Duration::from_secs(1),
            ),
            milli("quiet_window_ms", "longest window below -50 dBov", Some(window), "whole call", &|it| {
                it < Duration::from_secs(1)
            }),
            milli(
                "longest_packet_gap_ms",
                "longest gap between packets",
                Some(stream.longest_gap),
                "whole call; a packet is 20 ms",
                always,
            ),
            milli("ai_pause_ms", "AI's last word to music", pause, "its pause tells that it has finished", always),
            milli("music_after_ms", "AI's last packet to music", music_after, "one tick is 20 ms", always),
            row(
                "rtp_sequence_gaps",
                "RTP sequence gaps",
                json!(stream.sequence_gaps),
                "",
                "toward the caller, whole call",
                stream.sequence_gaps == 0,
            ),
            row(
                "caller_ssrc_count",
                "RTP sources (SSRC)",
                json!(stream.ssrc_count),
                "",
                "toward the caller, whole call",
                stream.ssrc_count == 1,
            ),
            row(
                "timestamps_back",
                "timestamps going back",
                json!(stream.timestamps_back),
                "",
                "toward the caller, whole call",
                stream.timestamps_back == 0,
            ),
            milli(
                "timestamp_drift_ms",
                "timestamp against clock",
                Some(stream.largest_drift),
                "largest difference",
                always,
            ),
            row(
                "caller_reinvites",
                "re-INVITEs to the caller",
                json!(scene.reinvites),
                "",
                "the handoff is ours alone",
                scene.reinvites == 0,
            ),
            row("caller_packets", "packets to the caller", json!(stream.packets), "", "whole call", stream.packets > 0),
            row(
                "context_lead_ms",
                "context before the ring",
                json!(round(lead)),
                "ms",
                "on the screen, before the INVITE was received",
                lead > 0.0,
            ),
            milli(
                "decision_to_invite_ms",
                "event to INVITE",
                after_decision(scene.invited),
                "last event posted, INVITE received",
                always,
            ),
            milli(
                "key_press_to_bridge_ms",
                "key press to bridge",
                bridge.and_then(|at| at.checked_sub(scene.pressed)),
                "1 pressed, specialist's voice at the caller",
                always,
            ),
            milli(
                "time_to_bridge_ms",
                "event to bridge",
                bridge.and_then(after_decision),
                "ringing and whisper included",
                always,
            ),
            row(
                "whisper_heard_by_human_only",
                "whisper heard by the human only",
                json!(alone),
                "",
                "by correlation with its file",
                alone,
            ),
            row(
                "whisper_correlation",
                "whisper at the human",
                json!(round(whispered[0] * 100.0) / 100.0),
                "",
                "1 is the same",
                true,
            ),
            row(
                "whisper_elsewhere",
                "whisper at the others",
                json!(round(whispered[1].max(whispered[2]) * 100.0) / 100.0),
                "",
                "caller and AI, the louder of both",
                true,
            ),
            row(
                "caller_heard_human",
                "caller hears human",
                json!(bridge.is_some()),
                "",
                "packet by packet",
                bridge.is_some(),
            ),
            row(
                "human_heard_caller",
                "human hears caller",
                json!(human_heard_caller),
                "",
                "packet by packet",
                human_heard_caller,
            ),
            row("ai_heard_music", "AI hears the music", json!(ai_heard_music), "", "it must not", !ai_heard_music),
            row(
                "recording_drift_ms",
                "recording against RTP",
                json!(round(drift)),
                "ms",
                "shorter than what the caller got, or longer than the call",
                drift <= ms(frame),
            ),
            row(
                "recording_missing_frames",
                "frames missing in it",
                json!(missing),
                "",
                "of both sides, to the sample",
                missing == 0,
            ),
            row(
                "recording_ms",
                "recording",
                json!(round(recorded)),
                "ms",
                "from hello to goodbye",
                off_timeline <= 1.0,
            ),
        ];
        let daemon = json!({ "handoff_silence_ms": scene.daemon_silence_ms, "handoff_silence_metric_ms": scene.metric_silence_ms });
        Ok(Self { rows, call: scene.call.clone(), packets: stream.packets, daemon })
    }

    /// Everything is as it should be.
    pub(in super::super) fn is_good(&self) -> bool {
        self.rows.iter().all(|row| row.good)
    }

    pub(in super::super) fn table(&self, colour: Colour) -> Vec<String> {
        let title = format!("\nmeasured from {} packets at the caller, the screen, and the recording", self.packets);
        let mut lines = vec![colour.bold(&title)];
        lines.extend(self.rows.iter().map(|row| {
            let value = match &row.value {
                Value::Null => "never".to_owned(),
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                value => value.to_string(),
            };
            let value = if row.good { value } else { format!("{value} (!)") };
            format!("  {:<32} {value:>10} {:<2}   {}", row.name, row.unit, colour.dim(row.how))
        }));
        lines.push(if self.is_good() {
            colour.green("  the caller reached the right human, who knew why before the phone rang")
        } else {
            colour.red("  something is not as it should be")
        });
        lines
    }

    pub(in super::super) fn json(&self) -> Value {
        let measured: Map<String, Value> =
            self.rows.iter().map(|row| (row.key.to_owned(), row.value.clone())).collect();
        json!({
            "ok": self.is_good(),
            "story": "bank",
            "call": self.call,
            "rule": "unknown-transaction",
            "measured": measured,
            "daemon": self.daemon,
        })
    }
}

/// A voice in a stream: which index of its signal stands at which timestamp.
struct Aligned {
    said: Said,
    place: Option<(u32, u64)>,
}

impl Aligned {
    /// Found in the half second from `from` on.
    fn of(packets: &[Received], said: Said, from: Duration) -> Self {
        let stretch: Vec<Received> =
            packets.iter().filter(|packet| packet.at >= from && packet.law().is_some()).take(25).cloned().collect();
        let about = said.about(from);
        let found = find(&audio(&stretch, 2), said.signal, about.saturating_sub(8_000)..about + 4_000);
        let first = stretch.first().filter(|_| found.correlation > HEARD);
        Self { said, place: first.map(|packet| (packet.timestamp, found.index)) }
    }

    /// Whether this packet carries it.
    fn says(&self, packet: &Received) -> bool {
        let Some((timestamp, index)) = self.place else { return false };
        let distance = i64::from(packet.timestamp.wrapping_sub(timestamp).cast_signed());
        let Some(index) = index.checked_add_signed(distance) else { return false };
        let samples = packet.samples();
        !samples.is_empty() && correlation(&samples, &self.said.signal.samples(index, samples.len())) > HEARD
    }
}

/// The packet with which the hold music begins: where the file begins that is heard a second before the key press.
fn music_begins(heard: &[Received], scene: &Scene, after: Option<Duration>) -> anyhow::Result<Option<usize>> {
    let from = scene.answered.saturating_sub(Duration::from_millis(600));
    let stretch: Vec<Received> = heard.iter().filter(|packet| packet.at >= from).take(25).cloned().collect();
    let music = sound::clips(&["music/default.wav"])?;
    let lasted = scene.pressed.saturating_sub(scene.decided).as_secs() + 2;
    let most = usize::try_from(lasted * u64::from(RATE)).unwrap_or(usize::MAX).min(music.len());
    let found = find_clip(&music[..most], &audio(&stretch, 2));
    let Some(first) = stretch.first().filter(|_| found.correlation > HEARD) else { return Ok(None) };
    let began = first.timestamp.wrapping_sub(u32::try_from(found.index).unwrap_or(0));
    Ok(heard.iter().position(|packet| packet.timestamp == began && Some(packet.at) > after))
}

/// Whether the human alone heard the whisper; how much of it was at the human, the caller and the AI.
fn whisper(scene: &Scene, bridge: Duration) -> (bool, [f64; 3]) {
    // The best part of a second of each word, from where it is spoken on.
    let probes = scene.whisper.iter().map(|word| {
        let begins = word.iter().position(|sample| sample.unsigned_abs() > 500).unwrap_or(0);
        &word[begins..(begins + RATE as usize * 4 / 5).min(word.len())]
    });
    let probes: Vec<&[i16]> = probes.collect();
    let until = bridge + Duration::from_secs(1);
    let meanwhile = |packets: &[Received]| {
        let heard = packets.iter().filter(|packet| packet.at >= scene.answered - Duration::from_millis(100));
        let heard: Vec<Received> = heard.filter(|packet| packet.at <= until).cloned().collect();
        let heard = audio(&heard, 30);
        probes.iter().map(|probe| find_clip(&heard, probe).correlation).collect::<Vec<_>>()
    };
    // At the specialist the word that is heard least counts, elsewhere the one that is heard most.
    let least = |all: Vec<f64>| all.into_iter().fold(1.0, f64::min);
    let most = |all: Vec<f64>| all.into_iter().fold(0.0, f64::max);
    let found = [least(meanwhile(&scene.human)), most(meanwhile(&scene.caller)), most(meanwhile(&scene.ai))];
    (found[0] > HEARD && found[1] < NOT_HEARD && found[2] < NOT_HEARD, found)
}

/// How much shorter the recording is than the audio that the caller received (by its timestamps, up to the last packet), or longer than
/// the call (by the clock, from the 200 to the BYE), in milliseconds.
fn off(scene: &Scene, packets: &[Received], recorded: f64) -> f64 {
    let is_answer = |traced: &&Traced| {
        let message = &traced.message;
        !traced.sent && message.status() == Some(200) && message.cseq().is_some_and(|(_, method)| method == "INVITE")
    };
    let answered = scene.ladder.caller.iter().find(is_answer).map(|traced| traced.at);
    let audio = || packets.iter().filter(|packet| packet.law().is_some());
    let (Some(answered), Some(first), Some(last)) = (answered, audio().next(), audio().next_back()) else {
        return recorded;
    };
    let heard = f64::from(last.timestamp.wrapping_sub(first.timestamp)) * 1_000.0 / f64::from(RATE);
    let call = (scene.hung_up.as_secs_f64() - answered.as_secs_f64()) * 1_000.0;
    (heard - recorded).max(recorded - call).max(0.0)
}

fn is_loud(packet: &Received) -> bool {
    level_dbov(&packet.samples()) >= -50.0
}

fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1_000.0)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
