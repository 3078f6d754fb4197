//! After each step: who hears what, and what each port watches for, follow from the state.

use super::{Call, Stage, voicemail::LONGEST_GREETING};
use crate::{
    Happening, Party,
    leg::{Leg, Watch},
    plan::{self, Part, Playing, Scene, Seat, Then},
    relay,
    step::{Step, Timer},
};
use core::time::Duration;
use media_relay::{Command, Direction, Event, PlayId, PortId};
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::sync::Arc;

/// A caller who has said nothing for this long is quiet; rules on silence count from its beginning.
const CALLER_QUIET: Duration = Duration::from_secs(1);
/// An announcement that does not report its end by then has ended.
const LONGEST_ANNOUNCEMENT: Duration = Duration::from_secs(120);

/// What is kept of what the caller says.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    port: PortId,
    lasting: Duration,
    /// Whether what they say now is kept.
    listening: bool,
}

impl Call {
    /// Sends the audio plan and the watches, where they changed.
    pub(super) fn settle(&mut self, step: &mut Step<'_>) {
        self.replan(step);
        self.guard_prompts(step);
        self.record(step);
        self.record_message(step);
        self.remember(step);
        let watches: SmallVec<[(LegId, Watch); 4]> =
            self.legs.iter().filter(|leg| leg.is_up()).map(|leg| (leg.id, self.watch(step, leg))).collect();
        for (id, watch) in watches {
            if let Some(leg) = self.leg_mut(id) {
                leg.watch(step, watch);
            }
        }
    }

    /// Sends the audio plan, if it changed.
    pub(super) fn replan(&mut self, step: &mut Step<'_>) {
        let seats = self.seats();
        let plan = plan::plan(&self.scene(), &seats);
        if plan == self.plan {
            return;
        }
        self.generation += 1;
        let sources = plan.iter().map(|(port, hears)| (*port, relay::source(hears))).collect();
        step.media(Command::Plan { call: step.key, generation: self.generation, sources });
        self.plan = plan;
    }

    /// Keeps what the caller says where some rule may have a human told of it: while they talk with somebody, and not what the recording
    /// is to leave out.
    fn remember(&mut self, step: &mut Step<'_>) {
        let lasting = step.rules.whispered_words(&self.about.line).filter(|_| !self.goes_straight());
        if lasting.is_none() && self.remembered.is_none() {
            return;
        }
        let caller = self.leg(self.caller).filter(|leg| leg.is_up() && leg.codec().is_some());
        let wanted =
            lasting.zip(caller.and_then(|leg| Some((leg.port?, leg.holds)))).map(|(lasting, (port, holds))| {
                let talks = matches!(self.stage, Stage::WithAi | Stage::WithHuman { .. });
                Remembered { port, lasting, listening: talks && !holds && !self.recording.paused }
            });
        if wanted == self.remembered {
            return;
        }
        if let Some(before) = self.remembered.take_if(|before| wanted.as_ref().is_none_or(|it| it.port != before.port))
        {
            step.media(Command::Remember { port: before.port, lasting: None, listening: false });
        }
        if let Some(Remembered { port, lasting, listening }) = wanted {
            step.media(Command::Remember { port, lasting: Some(lasting), listening });
        }
        self.remembered = wanted;
    }

    fn scene(&self) -> Scene {
        let waits = self.transfer.as_ref().is_some_and(|transfer| transfer.caller_hears().is_some());
        let introduced = self.introduced_leg().is_some();
        match (&self.announcement, &self.stage) {
            (Some(playing), Stage::Connecting | Stage::WithAi | Stage::Reconnecting { .. }) => {
                return Scene::Waiting(playing.clone());
            }
            (Some(playing), Stage::WithHuman { .. }) => return Scene::Told(playing.clone()),
            (Some(playing), Stage::Transferring) if introduced => return Scene::Told(playing.clone()),
            // Over the music, which goes on after it. The AI's last words are heard out first.
            (Some(playing), Stage::Transferring) if waits => return Scene::Waiting(playing.clone()),
            _ => {}
        }
        match &self.stage {
            // Whom we called hears no ringing.
            Stage::Connecting if self.is_to_person() => Scene::Quiet,
            Stage::Connecting => Scene::Connecting,
            Stage::WithAi => Scene::WithAi,
            Stage::Transferring if introduced => Scene::Introducing,
            Stage::Transferring => match self.transfer.as_ref().and_then(|transfer| transfer.caller_hears()) {
                Some(playing) => Scene::Waiting(playing),
                None => Scene::LastWords,
            },
            Stage::WithHuman { held } => Scene::WithHuman { held: held.clone() },
            Stage::Reconnecting { playing } => Scene::Waiting(playing.clone()),
            Stage::Announcing { playing, .. } => Scene::Announcing(playing.clone()),
            Stage::Voicemail { playing, .. } => Scene::Voicemail(playing.clone()),
            Stage::Ending => Scene::Over,
        }
    }

    pub(super) fn seats(&self) -> SmallVec<[Seat; 4]> {
        let part = |leg: &Leg| match leg.party() {
            Party::Caller => (self.caller == leg.id).then_some(Part::Caller),
            Party::Ai if self.ai != Some(leg.id) => None,
            Party::Ai if matches!(self.stage, Stage::WithHuman { .. }) => Some(Part::Copilot),
            Party::Ai => Some(Part::Ai),
            Party::Human if [self.human, self.introduced_leg()].contains(&Some(leg.id)) => Some(Part::Human),
            Party::Human if self.parked == Some(leg.id) => Some(Part::Candidate(None)),
            Party::Human if self.waits_for_caller(leg.id).is_some() => {
                Some(Part::Candidate(self.waits_for_caller(leg.id)))
            }
            Party::Human => {
                let transfer = self.transfer.as_ref()?;
                match transfer.briefs(leg.id) {
                    true => Some(Part::Briefed),
                    false => {
                        let caller = self.leg(self.caller).and_then(|leg| leg.port);
                        transfer.candidate(leg.id, caller).map(Part::Candidate)
                    }
                }
            }
            Party::Supervisor => self.supervisors.mode_of(leg.id).map(Part::Supervisor),
        };
        let seat = |leg: &Leg| {
            let port = leg.port.filter(|_| leg.is_up() && leg.codec().is_some())?;
            Some(Seat { port, part: part(leg)?, holds: leg.holds })
        };
        self.legs.iter().filter_map(seat).collect()
    }

    /// The human to whom the AI introduces the caller.
    fn introduced_leg(&self) -> Option<LegId> {
        self.transfer.as_ref().and_then(|transfer| transfer.introducing())
    }

    fn watch(&self, step: &Step<'_>, leg: &Leg) -> Watch {
        let media = &step.config.media;
        let profile = step.config.ai.get(&self.profile);
        let last_words = self.transfer.as_ref().is_some_and(|transfer| transfer.speak_until().is_some());
        let silence_after = match leg.party() {
            Party::Caller => Some(CALLER_QUIET),
            Party::Ai if last_words => profile.map(|profile| profile.quiet_after),
            Party::Ai | Party::Human | Party::Supervisor => None,
        };
        let (before_first, after_last) = match leg.party() {
            // Whoever only listens may send nothing at all.
            Party::Supervisor => (Duration::ZERO, Duration::ZERO),
            _ if leg.holds => (media.dead_on_hold, media.dead_on_hold),
            // A co-pilot has nothing to say.
            Party::Ai if matches!(self.stage, Stage::WithHuman { .. }) => (Duration::ZERO, Duration::ZERO),
            // Nor has one that waits for somebody whom we call.
            Party::Ai if self.keeps_person() => (Duration::ZERO, Duration::ZERO),
            Party::Ai => profile.map(|profile| (profile.dead_after, profile.dead_after)).unwrap_or_default(),
            _ => (media.dead_before_first, media.dead_after),
        };
        let dead_after = (!before_first.is_zero() && !after_last.is_zero()).then_some((before_first, after_last));
        Watch { silence_after, dead_after }
    }

    /// What the relay reports.
    pub(crate) fn media(&mut self, step: &mut Step<'_>, event: Event) {
        match event {
            Event::Latched { port, .. } => self.heard(step, port),
            Event::Dtmf { port, digit, duration } => {
                if let Some(leg) = self.leg_of_port(port).map(|leg| leg.id) {
                    self.digit(step, leg, digit, duration);
                }
            }
            Event::Quiet { port, lasting } => {
                let since = step.now.monotonic - lasting;
                if self.is_ai(port) {
                    let profile = step.config.ai.get(&self.profile);
                    let after = profile.map(|profile| profile.quiet_after).unwrap_or_default();
                    self.with_transfer(step, |transfer, step| transfer.ai_quiet(step, since, after));
                } else if self.is_caller(port) {
                    self.facts.note(step.now, &policy::CallFact::CallerQuiet(since));
                    self.message_quiet(step, since);
                    self.run_rules(step, "silence");
                }
            }
            Event::Speech { port } => {
                if self.is_ai(port) {
                    if let Some(transfer) = &mut self.transfer {
                        transfer.ai_speaks(step);
                    }
                } else if self.is_caller(port) {
                    self.facts.note(step.now, &policy::CallFact::CallerSpeaks);
                    self.message_goes_on(step);
                    self.run_rules(step, "speech");
                }
            }
            Event::Answerer { port, finding } => self.answerer(step, port, finding),
            Event::Dead { port, .. } => self.dead(step, port),
            Event::OneWay { port, direction } => self.one_way(step, port, direction),
            Event::PlayDone { port, play, clips } => self.play_done(step, port, play, clips),
            Event::Measured { id, longest_silence, .. } => self.measured(step, id, longest_silence),
            Event::Statistics { port, stats } => self.port_counts(port, &stats),
            Event::Closed { port, stats } => self.port_counted(step, port, &stats),
            Event::Lost { port } => self.port_lost(step, port),
        }
        self.settle(step);
    }

    fn heard(&mut self, step: &mut Step<'_>, port: PortId) {
        if self.is_caller(port) {
            self.first_media.get_or_insert(step.time());
        }
    }

    fn one_way(&self, step: &mut Step<'_>, port: PortId, missing: Direction) {
        if let Some(leg) = self.legs.iter().find(|leg| leg.port == Some(port)) {
            step.publish(Happening::OneWayAudio { leg: leg.record.name.clone(), missing });
        }
    }

    /// A defect in the relay took the call's ports: there is nothing to go on with.
    fn port_lost(&mut self, step: &mut Step<'_>, port: PortId) {
        step.shared.ports.remove(&port);
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.port == Some(port)) {
            leg.port = None;
        }
        self.end(step, crate::EndCause::InternalError, "us", Some(500));
        self.counting.retain(|(counting, _)| *counting != port);
    }

    fn dead(&mut self, step: &mut Step<'_>, port: PortId) {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.port == Some(port)) else { return };
        leg.record.ended_by = Some("media".to_owned());
        let (id, party) = (leg.id, leg.party());
        match party {
            Party::Caller => self.end(step, crate::EndCause::MediaTimeout, "us", None),
            Party::Ai => self.ai_failed(step, id, crate::AiLoss::DeadMedia, None),
            Party::Human if self.human == Some(id) => {
                self.drop_leg(step, id);
                self.human_left(step);
            }
            Party::Supervisor => {}
            Party::Human => {
                self.parked.take_if(|parked| *parked == id);
                self.drop_leg(step, id);
                let cause = policy::Cause::NotAccepted;
                self.with_transfer(step, |transfer, step| transfer.leg_gone(step, id, cause, None));
            }
        }
    }

    pub(super) fn digit(&mut self, step: &mut Step<'_>, leg: LegId, digit: char, duration: Duration) {
        let Some(it) = self.leg(leg) else { return };
        let (name, party) = (it.record.name.clone(), it.party());
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        step.publish(Happening::Dtmf { leg: name, digit: digit.to_string(), duration_ms });
        if self.code(step, leg, digit) {
            return;
        }
        match party {
            Party::Caller if self.answers_consent(step, digit) => {}
            Party::Caller if digit == '#' && self.message.is_some() => {
                self.message_over(step, crate::MessageEnd::Key);
            }
            Party::Caller => {
                self.facts.note(step.now, &policy::CallFact::Dtmf(digit));
                self.run_rules(step, "dtmf");
            }
            Party::Human => self.with_transfer(step, |transfer, step| transfer.digit(step, leg, digit)),
            Party::Ai | Party::Supervisor => {}
        }
    }

    fn play_done(&mut self, step: &mut Step<'_>, port: PortId, play: PlayId, clips: usize) {
        let Ok(number) = u32::try_from(play.0) else { return };
        let Some(leg) = self.leg_of_port(port).map(|leg| leg.id) else { return };
        if leg != self.caller {
            return self.with_transfer(step, |transfer, step| transfer.play_done(step, leg, number));
        }
        if matches!(&self.stage, Stage::Voicemail { playing, .. } if playing.number == number) {
            return self.greeted(step);
        }
        let announcing = match (&self.stage, &self.announcement) {
            (Stage::Announcing { playing, .. }, _) | (_, Some(playing)) => Some(playing),
            _ => None,
        };
        // Of a queue that drained while more was on its way to it, the end is still to come.
        if announcing.is_some_and(|playing| playing.number == number && playing.first.len() <= clips) {
            self.announced(step);
        }
    }

    /// What is said to a caller who holds us stands still, as everything does that they would hear, and goes on when they are back. Until then
    /// nothing takes it for said: its guard does not run. Who never comes back leaves with their session (`dead_on_hold`, RFC 4028).
    fn guard_prompts(&self, step: &mut Step<'_>) {
        let (guard, longest) = match self.stage {
            Stage::Voicemail { .. } if self.message.is_none() => (Timer::Voicemail, LONGEST_GREETING),
            Stage::Voicemail { .. } | Stage::Announcing { .. } | Stage::Ending => return,
            _ if self.announcement.is_some() && step.timers.deadline(Timer::Consent).is_none() => {
                (Timer::Announcement, LONGEST_ANNOUNCEMENT)
            }
            _ => return,
        };
        let held = self.leg(self.caller).is_some_and(|caller| caller.holds);
        match (held, step.timers.deadline(guard).is_some()) {
            (true, true) => step.disarm(guard),
            (false, false) => step.arm(guard, longest),
            _ => {}
        }
    }

    /// Says a prompt to the caller, over whatever else they would hear. Prompts queue.
    pub(super) fn announce(&mut self, step: &mut Step<'_>, prompt: Arc<str>) {
        step.publish(Happening::AnnouncementStarted { prompt: prompt.to_string() });
        let mut playing = match self.announcement.take() {
            Some(under_way) => under_way,
            None => Playing { number: self.new_player(), first: SmallVec::new(), words: None, then: Then::Silence },
        };
        playing.first.push(prompt);
        self.announcement = Some(playing);
        step.arm(Timer::Announcement, LONGEST_ANNOUNCEMENT);
    }

    /// The prompt is over.
    pub(super) fn announced(&mut self, step: &mut Step<'_>) {
        step.disarm(Timer::Announcement);
        if let Stage::Announcing { cause, .. } = self.stage {
            return self.end(step, cause, "us", None);
        }
        if self.may_still_consent(step) {
            return;
        }
        self.announcement = None;
        if self.keeps_person() {
            self.give_person(step);
        } else if self.stage == Stage::Connecting && self.ai.is_none() {
            self.dial_ai(step, None, &[]);
        }
    }

    /// The last thing the caller hears; then the call ends. Whoever else is in the call leaves.
    pub(super) fn announce_and_end(&mut self, step: &mut Step<'_>, prompt: Arc<str>, cause: crate::EndCause) {
        if self.caller_is_missing() {
            // Nobody is there to be told.
            return self.end(step, cause, "us", None);
        }
        if !self.answer_caller(step, None, Party::Caller) {
            return;
        }
        step.publish(Happening::AnnouncementStarted { prompt: prompt.to_string() });
        let first = SmallVec::from_iter([prompt]);
        let playing = Playing { number: self.new_player(), first, words: None, then: Then::Silence };
        self.stage = Stage::Announcing { playing, cause };
        // The prompt begins in the command that takes everything else away; only then may anybody leave.
        self.replan(step);
        for leg in [self.ai.take(), self.human.take(), self.parked.take()].into_iter().flatten() {
            self.drop_leg(step, leg);
        }
        step.arm(Timer::Announcement, LONGEST_ANNOUNCEMENT);
    }

    /// What a waiting caller hears without a transfer that says otherwise.
    pub(super) fn hold_music(&mut self, step: &Step<'_>, announcement: Option<&str>) -> Playing {
        Playing {
            number: self.new_player(),
            first: announcement.map(Arc::from).into_iter().collect(),
            words: None,
            then: step.config.media.hold(&step.config.media.hold_music.as_str().into()).into(),
        }
    }

    fn is_ai(&self, port: PortId) -> bool {
        self.leg_of_port(port).is_some_and(|leg| self.ai == Some(leg.id))
    }

    fn is_caller(&self, port: PortId) -> bool {
        self.leg_of_port(port).is_some_and(|leg| leg.id == self.caller)
    }
}
