//! The call's recording: it begins with the caller's answer (or their consent, or where a rule says so), follows the audio plan through every handoff, and
//! ends with the call. What is tapped, and who is said to be on which channel, follow from the plan as it is sent.
//!
//! ```text
//!  Off ──caller answered, consent──> On ──pause──> paused ──resume, [`Timer::RecordingPause`]──> On
//!                                    └──────────────┴── stop, end of the call ──> Over
//! ```

use super::{Call, Stage};
use crate::{
    Happening, Problem, RecordOrder, RecordingAction, RecordingChannels, RecordingRecord, RecordingWhen, Reply,
    SuperviseMode, config,
    plan::{Hears, Part, Plan, Seat, Then},
    step::{Step, Timer},
};
use core::time::Duration;
use media_relay::{Command, PortId, Tap, TapId};
use policy::RecordingAct;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The longest pause one request may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Recording {
    /// Whether the caller agreed; none: nobody has said so.
    pub(super) consent: Option<bool>,
    /// A rule wants the call to be recorded.
    wanted: bool,
    pub(super) record: Option<RecordingRecord>,
    over: bool,
    pub(super) paused: bool,
    tapped: Taps,
    heard: Heard,
}

type Taps = SmallVec<[(PortId, Tap); 4]>;
type Heard = Vec<(u8, String)>;

impl Call {
    /// Brings taps and timeline up to the plan. To be called after each step.
    pub(super) fn record(&mut self, step: &mut Step<'_>) {
        if self.recording.record.is_none() {
            if !self.is_to_be_recorded(step) {
                return;
            }
            self.begin_recording(step);
        }
        if self.recording.over {
            return;
        }
        // Consent may be taken back: what was agreed to until then stays.
        let agreed = self.agreed(step);
        if self.stage == Stage::Ending || !agreed {
            return self.finish_recording(step);
        }
        let (taps, heard) = if self.recording.paused {
            (Taps::new(), Heard::new())
        } else {
            wanted(tap_id(step), &step.config.recording, &self.seats(), &self.plan, |port| self.name_of(port))
        };
        self.tap(step, taps);
        if heard != self.recording.heard {
            step.record(RecordOrder::Heard { tap: tap_id(step), who: heard.clone() });
            self.recording.heard = heard;
        }
    }

    fn is_to_be_recorded(&self, step: &Step<'_>) -> bool {
        let config = &step.config.recording;
        let line = config.lines.is_empty() || config.lines.iter().any(|line| **line == *self.about.line);
        let wanted = match config.when {
            RecordingWhen::Never => false,
            RecordingWhen::Rule => self.recording.wanted,
            RecordingWhen::Answer | RecordingWhen::Consent => line || self.recording.wanted,
        };
        wanted
            && !self.goes_straight()
            && !self.recording.over
            && self.agreed(step)
            && self.stage != Stage::Ending
            && self.caller_answered()
    }

    /// Who refused is not recorded, whatever asks for it; who was not asked only where nobody has to be.
    fn agreed(&self, step: &Step<'_>) -> bool {
        self.recording.consent.unwrap_or(step.config.recording.when != RecordingWhen::Consent)
    }

    /// Whether this call is recorded once the caller agrees.
    pub(super) fn awaits_consent(&self, step: &Step<'_>) -> bool {
        let config = &step.config.recording;
        let line = config.lines.is_empty() || config.lines.iter().any(|line| **line == *self.about.line);
        config.when == RecordingWhen::Consent && self.recording.consent.is_none() && line
    }

    /// What a rule does with the recording.
    pub(super) fn recording_by_rule(&mut self, step: &mut Step<'_>, rule: &str, act: RecordingAct) {
        let not_done = match act {
            RecordingAct::Start if step.config.recording.when == RecordingWhen::Never => {
                Some("nothing is recorded here (`recording.when: never`)".to_owned())
            }
            RecordingAct::Start if self.recording.over => Some("the recording of this call is over".to_owned()),
            RecordingAct::Start if !self.agreed(step) => Some("the caller has not agreed".to_owned()),
            RecordingAct::Start => {
                self.recording.wanted = true;
                None
            }
            RecordingAct::Pause(lasting) => self.refused(step, RecordingAction::Pause { lasting }),
            RecordingAct::Resume => self.refused(step, RecordingAction::Resume),
            // What has not begun must not begin.
            RecordingAct::Stop if self.recording.record.is_none() => {
                self.recording.over = true;
                None
            }
            RecordingAct::Stop => self.refused(step, RecordingAction::Stop),
        };
        let (rule, action) = (rule.to_owned(), act.name().to_owned());
        step.publish(Happening::RecordingRule { rule, action, not_done });
    }

    fn refused(&mut self, step: &mut Step<'_>, action: RecordingAction) -> Option<String> {
        let refusal = self.recording_request(step, action).err()?;
        Some(refusal.detail.unwrap_or(refusal.title))
    }

    fn begin_recording(&mut self, step: &mut Step<'_>) {
        let config = &step.config.recording;
        let channels = channels(config);
        let record =
            RecordingRecord { started: step.time(), ended: None, paused_ms: 0, paused_since: None, failed: None };
        self.recording.record = Some(record);
        step.record(RecordOrder::Start {
            tap: tap_id(step),
            call: step.id,
            line: self.about.line.to_string(),
            channels: channels.clone(),
        });
        step.publish(Happening::RecordingStarted { channels });
    }

    fn tap(&mut self, step: &mut Step<'_>, taps: Taps) {
        for (port, _) in &self.recording.tapped {
            if !taps.iter().any(|(other, _)| other == port) {
                step.media(Command::Tap { port: *port, tap: Tap { id: tap_id(step), received: None, sent: None } });
            }
        }
        for (port, tap) in &taps {
            if !self.recording.tapped.contains(&(*port, *tap)) {
                step.media(Command::Tap { port: *port, tap: *tap });
            }
        }
        self.recording.tapped = taps;
    }

    fn finish_recording(&mut self, step: &mut Step<'_>) {
        self.resume_recording(step);
        self.tap(step, Taps::new());
        self.recording.over = true;
        step.disarm(Timer::RecordingPause);
        step.record(RecordOrder::Finish { tap: tap_id(step) });
        let time = step.time();
        if let Some(record) = &mut self.recording.record {
            record.ended = Some(time);
        }
    }

    /// What the API asks of the recording.
    pub(super) fn recording_request(&mut self, step: &mut Step<'_>, action: RecordingAction) -> Result<Reply, Problem> {
        if self.recording.record.is_none() {
            return Err(Problem::conflict("this call is not recorded"));
        }
        if self.recording.over {
            return Err(Problem::conflict("the recording of this call is over"));
        }
        match action {
            RecordingAction::Pause { lasting } => {
                let lasting = lasting.unwrap_or(step.config.recording.pause);
                if lasting.is_zero() || lasting > LONGEST_PAUSE {
                    return Err(Problem::invalid("for", "expected 1ms to 1h"));
                }
                self.pause_recording(step, lasting);
            }
            RecordingAction::Resume => self.resume_recording(step),
            RecordingAction::Stop => self.finish_recording(step),
        }
        Ok(Reply::Done(crate::DoneReply { done: true }))
    }

    /// Nothing is kept for so long; a pause within a pause only moves its end.
    fn pause_recording(&mut self, step: &mut Step<'_>, lasting: Duration) {
        step.arm(Timer::RecordingPause, lasting);
        if !std::mem::replace(&mut self.recording.paused, true) {
            let time = step.time();
            if let Some(record) = &mut self.recording.record {
                record.paused_since = Some(time);
            }
            step.record(RecordOrder::Pause { tap: tap_id(step) });
            let for_ms = u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX);
            step.publish(Happening::RecordingPaused { for_ms });
        }
    }

    /// [`Timer::RecordingPause`], or by command.
    pub(super) fn resume_recording(&mut self, step: &mut Step<'_>) {
        step.disarm(Timer::RecordingPause);
        if std::mem::replace(&mut self.recording.paused, false) {
            let time = step.time();
            if let Some(record) = &mut self.recording.record {
                record.paused_ms += record.paused_since.take().map_or(0, |since| time.ms_since(since));
            }
            step.record(RecordOrder::Resume { tap: tap_id(step) });
            step.publish(Happening::RecordingResumed {});
        }
    }

    /// The recorder's disk refuses it: the call goes on.
    pub(crate) fn recording_failed(&mut self, step: &mut Step<'_>, reason: &str) {
        if let Some(record) = &mut self.recording.record {
            record.failed = Some(reason.to_owned());
        }
        step.publish(Happening::RecordingFailed { reason: reason.to_owned() });
    }

    fn name_of(&self, port: PortId) -> String {
        self.leg_of_port(port).map(|leg| leg.record.name.clone()).unwrap_or_default()
    }
}

/// One recording a call: its number is the call's.
fn tap_id(step: &Step<'_>) -> TapId {
    TapId(step.key.0)
}

fn channels(config: &config::Recording) -> Vec<String> {
    let names: &[&str] = match config.channels {
        RecordingChannels::Stereo => &["caller", "heard"],
        RecordingChannels::Parties => &["caller", "ai", "human", "played"],
    };
    names.iter().copied().chain(config.whisper.then_some("whisper")).map(str::to_owned).collect()
}

/// Which audio of which port goes to which channel, and who is on it. Whoever is not heard by the caller is not on it either: a
/// human who is told what it is about, or consults somebody, and an AI that has been muted.
fn wanted(
    id: TapId,
    config: &config::Recording,
    seats: &[Seat],
    plan: &Plan,
    name: impl Fn(PortId) -> String,
) -> (Taps, Heard) {
    let (mut taps, mut heard) = (Taps::new(), Heard::new());
    let whisper_channel = if config.channels == RecordingChannels::Stereo { 2 } else { 4 };
    let caller_hears = seats.iter().find(|seat| seat.part == Part::Caller);
    let caller_hears = caller_hears.and_then(|seat| plan.iter().find(|(port, _)| *port == seat.port));
    let hears_it = |it: PortId| caller_hears.is_some_and(|(_, hears)| hears.voices().contains(&it));
    let human_hears = |it: PortId| {
        let human = seats.iter().find(|seat| seat.part == Part::Human);
        human
            .and_then(|human| plan.iter().find(|(port, _)| *port == human.port))
            .is_some_and(|(_, hears)| hears.voices().contains(&it))
    };
    for (seat, (port, hears)) in seats.iter().zip(plan) {
        let (mut received, mut sent) = (None, None);
        match &seat.part {
            Part::Caller => {
                // What a caller sends who holds us is music of their own.
                received = (!seat.holds).then_some(0);
                let (voice, played) = match config.channels {
                    RecordingChannels::Stereo => (Some(1), Some(1)),
                    RecordingChannels::Parties => (None, Some(3)),
                };
                let (channel, who) = match hears {
                    Hears::Ringback => (played, Some("ringback")),
                    Hears::Playing(playing) if playing.first.is_empty() && matches!(playing.then, Then::Loop(_)) => {
                        (played, Some("music"))
                    }
                    Hears::Playing(_) => (played, Some("prompt")),
                    Hears::Nothing | Hears::Silence | Hears::Leg(_) | Hears::Mix(_) => (voice, None),
                };
                sent = channel;
                heard.extend(received.map(|channel| (channel, name(*port))));
                let who = who.map(str::to_owned).into_iter().chain(hears.voices().iter().map(|it| name(*it)));
                heard.extend(sent.iter().flat_map(|sent| who.clone().map(|who| (*sent, who))));
            }
            Part::Ai | Part::Human if config.channels == RecordingChannels::Parties && hears_it(*port) => {
                let channel = if seat.part == Part::Ai { 1 } else { 2 };
                received = Some(channel);
                heard.push((channel, name(*port)));
            }
            Part::Candidate(Some(_)) if config.whisper && matches!(hears, Hears::Playing(_)) => {
                sent = Some(whisper_channel);
                heard.push((whisper_channel, name(*port)));
            }
            Part::Briefed if config.whisper && matches!(hears, Hears::Leg(_)) => {
                sent = Some(whisper_channel);
                heard.push((whisper_channel, name(*port)));
            }
            // What the caller hears of a supervisor lies where what is played to them does, for nothing is then; what the human
            // alone hears, where whispers do.
            Part::Supervisor(mode) => {
                let channel = match (mode, config.channels) {
                    (SuperviseMode::Barge, RecordingChannels::Parties) if hears_it(*port) => Some(3),
                    (SuperviseMode::Whisper, _) if config.whisper && human_hears(*port) => Some(whisper_channel),
                    _ => None,
                };
                received = channel;
                heard.extend(received.map(|channel| (channel, name(*port))));
            }
            _ => {}
        }
        if received.is_some() || sent.is_some() {
            taps.push((*port, Tap { id, received, sent }));
        }
    }
    (taps, heard)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Playing, Scene, plan};

    /// A state's name, scene, seats and configuration, and what each channel holds.
    type Row<'a> = (&'a str, Scene, Vec<Seat>, &'a config::Recording, &'a str, &'a str);

    const CALLER: PortId = PortId(1);
    const AI: PortId = PortId(2);
    const HUMAN: PortId = PortId(3);

    fn playing(number: u32, then: Then) -> Playing {
        let first =
            if then == Then::Silence { SmallVec::from_iter(["incoming-handoff".into()]) } else { SmallVec::new() };
        Playing { number, first, words: None, then }
    }

    fn seat(port: PortId, part: Part) -> Seat {
        Seat { port, part, holds: false }
    }

    /// `caller 0<1>` reads: what the caller says on channel 0, what they hear on channel 1.
    fn shown(scene: &Scene, seats: &[Seat], config: &config::Recording) -> (String, String) {
        let plan = plan(scene, seats);
        let name = |port| ["caller", "ai-1", "human-1", "supervisor-1", "supervisor-2"][port_index(port)].to_owned();
        let (taps, heard) = wanted(TapId(1), config, seats, &plan, name);
        let channel = |channel: Option<u8>| channel.map_or("-".to_owned(), |channel| channel.to_string());
        let taps: Vec<String> = taps
            .iter()
            .map(|(port, tap)| format!("{} {}<{}>", name(*port), channel(tap.received), channel(tap.sent)))
            .collect();
        let heard: Vec<String> = heard.iter().map(|(channel, who)| format!("{channel}:{who}")).collect();
        (taps.join(", "), heard.join(" "))
    }

    fn port_index(port: PortId) -> usize {
        port.0 as usize - 1
    }

    #[test]
    fn the_table_of_what_is_recorded() {
        use Part::{Ai, Caller, Candidate, Human, Supervisor};
        use SuperviseMode::{Barge, Listen, Whisper};
        let music = || playing(1, Then::Loop("music/default".into()));
        let whisper = || Candidate(Some(playing(2, Then::Silence)));
        let (c, a) = (|| seat(CALLER, Caller), || seat(AI, Ai));
        let held = |port, part| Seat { port, part, holds: true };
        let with_human = || Scene::WithHuman { held: music() };
        let h = || seat(HUMAN, Human);
        let s = |mode| seat(PortId(4), Supervisor(mode));
        let stereo = config::Recording::default();
        let parties = config::Recording { channels: RecordingChannels::Parties, ..stereo.clone() };
        let told = config::Recording { whisper: true, ..stereo.clone() };
        let all = config::Recording { whisper: true, ..parties.clone() };
        #[rustfmt::skip]
        let table: Vec<Row<'_>> = vec![
            ("with AI",                   Scene::WithAi,           vec![c(), a()],                             &stereo,  "caller 0<1>",                "0:caller 1:ai-1"),
            ("last words",                Scene::LastWords,        vec![c(), a()],                             &stereo,  "caller 0<1>",                "0:caller 1:ai-1"),
            ("waiting",                   Scene::Waiting(music()), vec![c(), a()],                             &stereo,  "caller 0<1>",                "0:caller 1:music"),
            ("whisper is left out",       Scene::Waiting(music()), vec![c(), a(), seat(HUMAN, whisper())],     &stereo,  "caller 0<1>",                "0:caller 1:music"),
            ("whisper on its own channel", Scene::Waiting(music()), vec![c(), a(), seat(HUMAN, whisper())],    &told,    "caller 0<1>, human-1 -<2>",  "0:caller 1:music 2:human-1"),
            ("with human",                with_human(),            vec![c(), seat(HUMAN, Human)],              &stereo,  "caller 0<1>",                "0:caller 1:human-1"),
            ("human holds",               with_human(),            vec![c(), held(HUMAN, Human)],              &stereo,  "caller 0<1>",                "0:caller 1:music"),
            ("caller holds",              with_human(),            vec![held(CALLER, Caller), seat(HUMAN, Human)], &stereo, "caller -<1>",             ""),
            ("introduction",              Scene::Introducing,      vec![c(), a(), h()],                        &stereo,  "caller 0<1>",                "0:caller 1:ai-1 1:human-1"),
            ("parties: introduction",     Scene::Introducing,      vec![c(), a(), h()],                        &parties, "caller 0<->, ai-1 1<->, human-1 2<->", "0:caller 1:ai-1 2:human-1"),
            ("parties: co-pilot",         with_human(),            vec![c(), seat(AI, Part::Copilot), h()],    &parties, "caller 0<->, human-1 2<->",  "0:caller 2:human-1"),
            ("listening is not on it",    with_human(),            vec![c(), h(), s(Listen)],                  &told,    "caller 0<1>",                "0:caller 1:human-1"),
            ("supervisor's whisper is left out", with_human(),     vec![c(), h(), s(Whisper)],                 &stereo,  "caller 0<1>",                "0:caller 1:human-1"),
            ("or has its channel",        with_human(),            vec![c(), h(), s(Whisper)],                 &told,    "caller 0<1>, supervisor-1 2<->", "0:caller 1:human-1 2:supervisor-1"),
            ("whom nobody hears is not on it", Scene::WithAi,      vec![c(), a(), s(Whisper)],                 &told,    "caller 0<1>",                "0:caller 1:ai-1"),
            ("barging, as the caller hears it", with_human(),      vec![c(), h(), s(Barge)],                   &told,    "caller 0<1>",                "0:caller 1:human-1 1:supervisor-1"),
            ("parties: whispering",       with_human(),            vec![c(), h(), s(Whisper)],                 &all,     "caller 0<->, human-1 2<->, supervisor-1 4<->", "0:caller 2:human-1 4:supervisor-1"),
            ("parties: barging",          with_human(),            vec![c(), h(), s(Barge)],                   &parties, "caller 0<->, human-1 2<->, supervisor-1 3<->", "0:caller 2:human-1 3:supervisor-1"),
            ("parties: two barge",        with_human(),            vec![c(), h(), s(Barge), seat(PortId(5), Supervisor(Barge))], &parties, "caller 0<->, human-1 2<->, supervisor-1 3<->, supervisor-2 3<->", "0:caller 2:human-1 3:supervisor-1 3:supervisor-2"),
            ("parties: two whisper",      with_human(),            vec![c(), h(), s(Whisper), seat(PortId(5), Supervisor(Whisper))], &all, "caller 0<->, human-1 2<->, supervisor-1 4<->, supervisor-2 4<->", "0:caller 2:human-1 4:supervisor-1 4:supervisor-2"),
            ("parties: with AI",          Scene::WithAi,           vec![c(), a()],                             &parties, "caller 0<->, ai-1 1<->",     "0:caller 1:ai-1"),
            ("parties: waiting",          Scene::Waiting(music()), vec![c(), a(), seat(HUMAN, whisper())],     &parties, "caller 0<3>",                "0:caller 3:music"),
            ("parties: with human",       with_human(),            vec![c(), a(), seat(HUMAN, Human)],         &parties, "caller 0<->, human-1 2<->",  "0:caller 2:human-1"),
        ];
        for (state, scene, seats, config, taps, heard) in table {
            assert_eq!(shown(&scene, &seats, config), (taps.to_owned(), heard.to_owned()), "{state}");
        }
    }
}
