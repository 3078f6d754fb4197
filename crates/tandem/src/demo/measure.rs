//! What the packets say: measured at the parties, by code that the daemon shares nothing with.

use super::scene::Scene;
use crate::cli::Colour;
use parties::analysis::{Received, continuity, longest_silence, tone_share};
use serde_json::{Value, json};
use std::time::Duration;

/// What each party says all the time: tones that no note of the music has.
pub(super) const CALLER_HZ: f64 = 1230.0;
pub(super) const AI_HZ: f64 = 970.0;
pub(super) const HUMAN_HZ: f64 = 1530.0;

/// Whose voice is in a packet, or what else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Caller,
    Ai,
    Human,
    /// Music or a prompt.
    Sound,
    Silence,
    Nothing,
}

impl Heard {
    /// What some packets in a row carry: what most of them do.
    pub(super) fn of(packets: &[Received]) -> Self {
        let samples: Vec<i16> = packets.iter().flat_map(Received::samples).collect();
        if samples.is_empty() {
            return Self::Nothing;
        }
        if parties::analysis::level_dbov(&samples) < -50.0 {
            return Self::Silence;
        }
        let voices = [(CALLER_HZ, Self::Caller), (AI_HZ, Self::Ai), (HUMAN_HZ, Self::Human)];
        voices.into_iter().find(|(hertz, _)| tone_share(&samples, *hertz) > 0.8).map_or(Self::Sound, |(_, who)| who)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Caller => "the caller",
            Self::Ai => "the AI",
            Self::Human => "the human",
            Self::Sound => "a prompt or music",
            Self::Silence => "silence",
            Self::Nothing => "nothing",
        }
    }
}

/// The figures.
pub(super) struct Measured {
    handoff_silence: Duration,
    longest_gap: Duration,
    sequence_gaps: u64,
    ssrc_count: usize,
    timestamps_back: u64,
    drift: Duration,
    packets: usize,
    reinvites: u32,
    decision_to_invite: Option<Duration>,
    answer_to_bridge: Option<Duration>,
    time_to_bridge: Option<Duration>,
    music: Duration,
    ai_heard_waiting: bool,
    caller_heard_human: bool,
    human_heard_caller: bool,
}

impl Measured {
    pub(super) fn of(scene: &Scene) -> Self {
        let stream = continuity(&scene.caller);
        let bridge = first_of(&scene.caller, Heard::Human, scene.decided);
        let until = bridge.unwrap_or(scene.hung_up).saturating_add(Duration::from_secs(1)).min(scene.hung_up);
        let waiting = scene.caller.iter().filter(|packet| packet.at > scene.decided && Some(packet.at) < bridge);
        let music = waiting.filter(|packet| Heard::of(std::slice::from_ref(*packet)) == Heard::Sound).count();
        let after_decision = |at: Duration| at.checked_sub(scene.decided);
        let ai_heard = |packet: &Received| Heard::of(std::slice::from_ref(packet)) == Heard::Sound;
        Self {
            handoff_silence: longest_silence(&scene.caller, scene.decided, until),
            longest_gap: stream.longest_gap,
            sequence_gaps: stream.sequence_gaps,
            ssrc_count: stream.ssrc_count,
            timestamps_back: stream.timestamps_back,
            drift: stream.largest_drift,
            packets: stream.packets,
            reinvites: scene.reinvites,
            decision_to_invite: after_decision(scene.invited),
            answer_to_bridge: bridge.and_then(|bridge| bridge.checked_sub(scene.pressed)),
            time_to_bridge: bridge.and_then(after_decision),
            music: Duration::from_millis(20) * u32::try_from(music).unwrap_or(u32::MAX),
            ai_heard_waiting: scene.ai.iter().any(|packet| packet.at > scene.decided && ai_heard(packet)),
            caller_heard_human: bridge.is_some(),
            human_heard_caller: first_of(&scene.human, Heard::Caller, scene.decided).is_some(),
        }
    }

    /// The handoff worked, and the caller's stream was one stream.
    pub(super) fn is_good(&self) -> bool {
        self.caller_heard_human
            && self.human_heard_caller
            && !self.ai_heard_waiting
            && self.sequence_gaps == 0
            && self.ssrc_count == 1
            && self.timestamps_back == 0
            && self.reinvites == 0
            && self.handoff_silence < Duration::from_secs(1)
    }

    pub(super) fn table(&self, colour: Colour) -> Vec<String> {
        let ms = |duration: Duration| format!("{:.1} ms", duration.as_secs_f64() * 1_000.0);
        let or_never = |duration: Option<Duration>| duration.map_or_else(|| "never".to_owned(), ms);
        let yes = |good: bool| if good { "yes" } else { "NO" }.to_owned();
        let rows = [
            (
                "silence heard by the caller",
                ms(self.handoff_silence),
                "longest, from the decision to 1 s after the bridge",
            ),
            ("longest gap between packets", ms(self.longest_gap), "whole call; a packet is 20 ms"),
            ("RTP sequence gaps", self.sequence_gaps.to_string(), "toward the caller, whole call"),
            ("RTP sources (SSRC)", self.ssrc_count.to_string(), "toward the caller, whole call"),
            ("timestamps going back", self.timestamps_back.to_string(), "toward the caller, whole call"),
            ("timestamp against clock", ms(self.drift), "largest difference"),
            ("re-INVITEs to the caller", self.reinvites.to_string(), "the handoff is ours alone"),
            ("event to INVITE", or_never(self.decision_to_invite), "third event posted, human's INVITE received"),
            ("key press to bridge", or_never(self.answer_to_bridge), "1 pressed, human's voice at the caller"),
            ("event to bridge", or_never(self.time_to_bridge), "ringing and whisper included"),
            ("prompt and music", format!("{:.1} s", self.music.as_secs_f64()), "heard by the caller while waiting"),
            ("caller hears human", yes(self.caller_heard_human), "by their tone"),
            ("human hears caller", yes(self.human_heard_caller), "by their tone"),
            ("AI hears the music", if self.ai_heard_waiting { "YES" } else { "no" }.to_owned(), "it must not"),
        ];
        let title = format!("\nmeasured from {} packets at the caller", self.packets);
        let mut lines = vec![colour.bold(&title)];
        lines.extend(rows.iter().map(|(what, value, how)| format!("  {what:<28} {value:>12}   {}", colour.dim(how))));
        lines.push(if self.is_good() {
            colour.green("  the caller was handed over: one dialog, one stream, no gap")
        } else {
            colour.red("  something is not as it should be")
        });
        lines
    }

    pub(super) fn json(&self, scene: &Scene) -> Value {
        let ms = |duration: Duration| (duration.as_secs_f64() * 10_000.0).round() / 10.0;
        json!({
            "ok": self.is_good(),
            "call": scene.call,
            "rule": scene.rule,
            "measured": {
                "handoff_silence_ms": ms(self.handoff_silence),
                "longest_packet_gap_ms": ms(self.longest_gap),
                "rtp_sequence_gaps": self.sequence_gaps,
                "caller_ssrc_count": self.ssrc_count,
                "timestamps_back": self.timestamps_back,
                "timestamp_drift_ms": ms(self.drift),
                "caller_reinvites": self.reinvites,
                "caller_packets": self.packets,
                "decision_to_invite_ms": self.decision_to_invite.map(ms),
                "key_press_to_bridge_ms": self.answer_to_bridge.map(ms),
                "time_to_bridge_ms": self.time_to_bridge.map(ms),
                "music_ms": ms(self.music),
                "caller_heard_human": self.caller_heard_human,
                "human_heard_caller": self.human_heard_caller,
                "ai_heard_music": self.ai_heard_waiting,
            },
            "daemon": { "handoff_silence_ms": scene.daemon_silence_ms },
        })
    }
}

/// When a voice is first heard for five packets in a row.
fn first_of(packets: &[Received], who: Heard, after: Duration) -> Option<Duration> {
    let late: Vec<&Received> = packets.iter().filter(|packet| packet.at >= after && packet.law().is_some()).collect();
    late.windows(5)
        .find(|five| five.iter().all(|packet| Heard::of(std::slice::from_ref(*packet)) == who))
        .map(|five| five[0].at)
}
