//! One caller's session. This file only routes: what happens goes to the machine it belongs to, and after each step the
//! audio plan and the watches follow from the state.
//!
//! ```text
//!              ┌──────────────────────────── on_ai_failure: profile ────────────────────────┐
//!              v                                                                            │
//!  INVITE ─> Connecting ──AI answers──> WithAi ──decision, command──> Transferring ──bridge──> WithHuman
//!              │   │ on_ai_failure:      ^  │ AI lost                  │   │ chain: ai         │ after_human: ai,
//!              │   └─ destination ──┐    │  v                          │   v                   v handback
//!              │                    │    └─ Reconnecting <─────────────┴───┴───────────────────┘
//!              │                    └──> Transferring
//!              │   │ on_ai_failure, chain, rule, command: a mailbox
//!              │   └───────────── Voicemail ──silence, limit, `#`──> Ending
//!              └───────────── Announcing ──prompt over──> Ending ──last leg gone, ports counted──> record
//!  (from every state: the caller hangs up, hang-up by command, max_duration ──> Ending)
//! ```

mod ai;
mod answerer;
mod audio;
mod bypass;
mod callback;
mod codes;
mod consent;
mod decide;
mod end;
mod handoff;
mod join;
mod moved;
mod named;
mod outbound;
mod placing;
mod queue;
mod recording;
mod refer;
mod referral;
mod replace;
mod request;
mod supervise;
mod voicemail;
mod ways;

pub(crate) use outbound::{Person, Then};
pub(crate) use request::check_context;
pub(crate) use voicemail::message_tap;

use crate::{
    CallId, CallState, EndCause, Gauges, LegRecord, Party, RequestId, Time, TransferBody, TransferId, cause,
    identity::Identity,
    leg::{Leg, News},
    outputs::Opened,
    plan::{Plan, Playing},
    step::{Step, Timer},
    transfer::Transfer,
};
use clock::Monotonic;
use core::time::Duration;
use media_relay::{MeasureId, PortId};
use policy::Facts;
use serde::{Deserialize, Serialize};
use signaling::{EndedBy, LegId, locate::Target};
use smallvec::SmallVec;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

/// A call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) about: About,
    stage: Stage,
    legs: Vec<Leg>,
    caller: LegId,
    /// The AI's leg: dialled, or up.
    ai: Option<LegId>,
    /// The human who has the caller.
    human: Option<LegId>,
    /// Who that is, or was: an agent's name or an address, and since when.
    last_human: Option<(String, Time)>,
    /// The caller is, or was, where `after_human` sends them, since an AI last had them.
    after_human: bool,
    transfer: Option<Box<Transfer>>,
    /// The human who asked for the transfer by REFER, and waits for its outcome.
    parked: Option<LegId>,
    referrer: Option<refer::Referrer>,
    /// When a human had the caller again whose transfer by REFER had failed.
    returned: Option<Monotonic>,
    supervisors: supervise::Supervisors,
    /// New legs that are to take the place of others once their ports are open.
    replacing: Vec<(LegId, LegId)>,
    /// Legs that took another's place, for their names.
    replacements: u32,
    facts: Facts,
    /// The AI profile in charge, which may be another than the route's after a loss.
    profile: String,
    /// How far the profile's `on_ai_failure` has been walked since an AI last had the caller.
    refuge: Refuge,
    /// AIs dialled, for the names of their legs.
    ai_dials: u32,
    ai_losses: u32,
    /// Headers that tell the AI that is being dialled why, whichever trunk it is reached by.
    ai_told: Vec<(String, String)>,
    /// Where the AI that is being dialled has moved.
    #[serde(default)]
    moved: Option<Box<moved::Moved>>,
    /// Said to the caller once, over whatever else they would hear.
    announcement: Option<Playing>,
    /// The last plan sent, and its generation.
    plan: Plan,
    generation: u64,
    /// What of the caller's words is kept for a human.
    #[serde(default)]
    remembered: Option<audio::Remembered>,
    players: u32,
    /// Whose handoff is being measured at the caller's port.
    measuring: Option<MeasureId>,
    /// Measurements begun and not reported, and whose they are.
    measurements: Vec<(MeasureId, TransferId)>,
    /// Ports that were closed and have not told yet what they counted; whose they were.
    counting: Vec<(PortId, String)>,
    first_media: Option<Time>,
    recording: recording::Recording,
    /// The caller is being asked whether they agree to be recorded.
    asked: bool,
    /// The message that is being left.
    message: Option<Box<voicemail::Message>>,
    voicemails: Vec<crate::VoicemailRecord>,
    keys: VecDeque<(String, TransferBody, TransferId)>,
    waiters: Vec<(RequestId, TransferId)>,
    commands: usize,
    /// Keys of parties who talk, on their way to a feature code.
    keyed: SmallVec<[codes::Keyed; 1]>,
    /// Callbacks and messages that the AI asked for.
    #[serde(default)]
    requested: callback::Asked,
    /// The callback that the caller is told of once it is kept.
    #[serde(default)]
    promise: Option<callback::Promise>,
    /// Why we call the caller, where they did not call us.
    #[serde(default)]
    placed: Option<placing::Placed>,
    end: Option<End>,
}

/// What is known of a call from its first message on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) id: CallId,
    pub(crate) line: Arc<str>,
    pub(crate) trunk: String,
    pub(crate) ai: String,
    /// The trunks it goes straight to, if it does.
    pub(crate) bypass: Vec<String>,
    pub(crate) from: Option<String>,
    pub(crate) identity: Identity,
    pub(crate) to: String,
    pub(crate) sip_call_id: String,
    pub(crate) local: SocketAddr,
    pub(crate) max_forwards: u8,
    /// RFC 7433: the caller's, or what the AI put in its place by REFER.
    pub(crate) user_to_user: Option<String>,
    pub(crate) started: Time,
    pub(crate) began: Monotonic,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Stage {
    Connecting,
    WithAi,
    Transferring,
    WithHuman { held: Playing },
    Reconnecting { playing: Playing },
    Announcing { playing: Playing, cause: EndCause },
    Voicemail { playing: Playing, mailbox: Arc<str> },
    Ending,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Refuge {
    /// The profile whose list is walked.
    profile: String,
    at: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct End {
    cause: EndCause,
    /// Why whoever we called did not answer.
    #[serde(default)]
    failure: Option<policy::Cause>,
    by: String,
    sip_code: Option<u16>,
    time: Time,
}

/// AIs a call may lose before it is given up: whatever the profiles say, no call redials for ever.
const MOST_AI_LOSSES: u32 = 10;
/// Legs a call may have at once; beyond it an attempt fails.
const MOST_LEGS: usize = 24;

impl Call {
    /// The caller's INVITE was taken; their leg's port is being opened.
    pub(crate) fn new(about: About, caller: Leg, facts: Facts) -> Self {
        let id = caller.id;
        Self { legs: vec![caller], ..Self::without_caller(about, id, facts) }
    }

    fn without_caller(about: About, caller: LegId, facts: Facts) -> Self {
        Self {
            stage: Stage::Connecting,
            caller,
            legs: Vec::new(),
            ai: None,
            human: None,
            last_human: None,
            after_human: false,
            transfer: None,
            parked: None,
            referrer: None,
            returned: None,
            supervisors: supervise::Supervisors::default(),
            replacing: Vec::new(),
            replacements: 0,
            facts,
            profile: about.ai.clone(),
            refuge: Refuge::default(),
            ai_dials: 0,
            ai_losses: 0,
            ai_told: Vec::new(),
            moved: None,
            announcement: None,
            plan: Plan::new(),
            generation: 0,
            remembered: None,
            players: 0,
            measuring: None,
            measurements: Vec::new(),
            counting: Vec::new(),
            first_media: None,
            recording: recording::Recording::default(),
            asked: false,
            message: None,
            voicemails: Vec::new(),
            keys: VecDeque::new(),
            waiters: Vec::new(),
            commands: 0,
            keyed: SmallVec::new(),
            requested: callback::Asked::default(),
            promise: None,
            placed: None,
            end: None,
            about,
        }
    }

    // ---- inputs

    pub(crate) fn port_opened(&mut self, step: &mut Step<'_>, leg: LegId, opened: Opened) {
        match self.leg_mut(leg) {
            Some(it) => {
                step.shared.ports.insert(opened.port, step.key);
                let news = it.port_opened(step, opened);
                self.news(step, leg, news);
            }
            None => step.media(media_relay::Command::Close { port: opened.port }),
        }
        self.settle(step);
    }

    pub(crate) fn port_failed(&mut self, step: &mut Step<'_>, leg: LegId) {
        if leg == self.caller {
            self.end(step, EndCause::Refused, "us", Some(503));
        } else if self.leg(leg).is_some() {
            self.news(step, leg, News::failed(policy::Cause::Failed, None));
        }
        self.settle(step);
    }

    pub(crate) fn resolved(&mut self, step: &mut Step<'_>, leg: LegId, targets: Vec<Target>) {
        if let Some(it) = self.leg_mut(leg) {
            let news = it.resolved(step, targets);
            self.news(step, leg, news);
        }
        self.settle(step);
    }

    /// What `leg`'s phone rings for is on the screens.
    pub(crate) fn shown(&mut self, step: &mut Step<'_>, leg: LegId) {
        self.leg_shown(step, leg);
        self.settle(step);
    }

    fn leg_shown(&mut self, step: &mut Step<'_>, leg: LegId) {
        step.disarm(Timer::Show(leg));
        if let Some(it) = self.leg_mut(leg) {
            let news = it.shown(step);
            self.news(step, leg, news);
        }
    }

    /// `usage` is the INVITE usage in which it happened: the leg's own id, unless the leg was dialled again.
    pub(crate) fn signaling(&mut self, step: &mut Step<'_>, usage: LegId, event: signaling::Event) {
        if let signaling::Event::Referral(referral) = event {
            self.referral(step, usage, referral);
        } else if let Some(it) = self.legs.iter_mut().find(|leg| leg.usage == usage) {
            let leg = it.id;
            let news = it.signaling(step, event);
            self.news(step, leg, news);
        }
        self.settle(step);
    }

    pub(crate) fn timeout(&mut self, step: &mut Step<'_>, timer: Timer) {
        match timer {
            Timer::AiAnswer(leg) => self.ai_failed(step, leg, crate::AiLoss::NoAnswer, None),
            Timer::Show(leg) => self.leg_shown(step, leg),
            Timer::Ring(leg) => self.with_transfer(step, |transfer, step| transfer.ring_timeout(step, leg)),
            Timer::Whisper(leg) => self.with_transfer(step, |transfer, step| transfer.whisper_timeout(step, leg)),
            Timer::LastWords => self.with_transfer(step, Transfer::last_words_over),
            Timer::Queue => self.with_transfer(step, Transfer::waited_enough),
            Timer::Position => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.tell_position(step);
                }
            }
            Timer::Quiet => self.with_transfer(step, Transfer::quiet_long_enough),
            Timer::Introduction => {
                self.with_transfer(step, |transfer, step| transfer.introduced(step, crate::IntroductionEnd::Timeout));
            }
            Timer::Supervisor(number) => self.supervisor_rang(step, number),
            Timer::Policy => {
                self.run_rules(step, "timer");
            }
            Timer::CallerRing => self.caller_not_reached(step, policy::Cause::NoAnswer, None),
            Timer::MaxDuration => self.end(step, EndCause::MaxDuration, "us", None),
            Timer::Announcement => self.announced(step),
            Timer::Kept => self.callback_kept(step, false),
            Timer::Measure => self.stop_measuring(step),
            Timer::Wait(id) => {
                if !self.asker_waited(step, id) {
                    self.wait_over(step, id);
                }
            }
            Timer::RecordingPause => self.resume_recording(step),
            Timer::Consent => self.consent_over(step),
            Timer::Attended => self.attend(step),
            Timer::Voicemail => self.voicemail_timeout(step),
            Timer::VoicemailQuiet => self.message_over(step, crate::MessageEnd::Silence),
            Timer::Ending => self.give_up_ending(step),
        }
        self.settle(step);
    }

    /// What a leg told goes to whom it concerns.
    fn news(&mut self, step: &mut Step<'_>, leg: LegId, news: News) {
        match news {
            News::Nothing => {}
            News::Ready => match self.replaces(leg) {
                Some(old) => self.take_place(step, leg, old),
                None => self.arrived(step),
            },
            News::Ringing(status) => {
                self.trunk_worked(step, leg);
                if leg == self.caller {
                    // An agent who waits for them hears ringing already.
                    self.person_rings(step, status);
                } else if self.ai == Some(leg) {
                    self.caller_rings(step);
                } else if self.supervisors.rings(leg) {
                    // Nobody but who asked waits for them.
                } else if let Some(transfer) = &mut self.transfer {
                    transfer.ringing(step, leg, status);
                    self.tell_referrer(step, status);
                    self.caller_rings(step);
                }
            }
            News::Answered => {
                self.trunk_worked(step, leg);
                if leg == self.caller {
                    self.caller_reached(step);
                } else if self.ai == Some(leg) {
                    self.ai_answered(step, leg);
                } else if !self.supervisor_answered(step, leg) {
                    self.with_transfer(step, |transfer, step| transfer.answered(step, leg));
                }
            }
            News::Hold => self.hold_changed(step, leg),
            News::Digit(digit, duration) => self.digit(step, leg, digit, duration),
            News::Failed { cause, sip_code, rests } => self.leg_failed(step, leg, (cause, sip_code), rests),
            News::Ended { by, sip_code, rests } => self.leg_ended(step, leg, by, sip_code, rests),
        }
    }

    fn leg_failed(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        (cause, sip_code): (policy::Cause, Option<u16>),
        rests: Option<Duration>,
    ) {
        if self.fails_over(step, leg, ways::Failure::Unsent { cause, rests }) || self.ai_moves(step, leg, sip_code, &[])
        {
            return self.drop_leg(step, leg);
        }
        self.offer_failed(step, leg, cause);
        self.drop_leg(step, leg);
        if leg == self.caller && self.is_calling_caller() {
            self.caller_not_reached(step, cause, sip_code);
        } else if leg == self.caller {
            self.end(step, EndCause::Refused, "us", sip_code);
        } else if self.ai == Some(leg) {
            self.ai_failed(step, leg, crate::leg::ai_loss(cause), sip_code);
        } else if !self.supervisor_gone(step, leg, cause, sip_code, "us") {
            self.with_transfer(step, |transfer, step| transfer.leg_gone(step, leg, cause, sip_code));
        }
    }

    fn leg_ended(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        by: EndedBy,
        sip_code: Option<u16>,
        rests: Option<Duration>,
    ) {
        let answered = self.leg(leg).is_some_and(|it| it.record.answered.is_some());
        let contacts = self.leg_mut(leg).map(|it| std::mem::take(&mut it.contacts)).unwrap_or_default();
        let failed_over = self.fails_over(step, leg, ways::Failure::Ended { by, sip_code, rests })
            || self.ai_moves(step, leg, sip_code, &contacts);
        self.offer_failed(
            step,
            leg,
            if answered { policy::Cause::NotAccepted } else { cause::of_attempt(by, sip_code) },
        );
        self.remove_leg(step, leg);
        if failed_over {
            return;
        }
        self.parked.take_if(|parked| *parked == leg);
        if self.replaces(leg).is_some() {
            return self.replacing.retain(|(new, _)| *new != leg);
        }
        if leg == self.caller && self.is_calling_caller() {
            self.caller_not_reached(step, cause::of_attempt(by, sip_code), sip_code);
        } else if leg == self.caller {
            let (cause, who) = match by {
                EndedBy::Peer | EndedBy::Cancel => (EndCause::CallerHungUp, "caller"),
                _ => (EndCause::Refused, "us"),
            };
            self.end(step, cause, who, None);
        } else if self.ai == Some(leg) {
            let loss = if answered { crate::AiLoss::HungUp } else { cause::of_ai(by, sip_code) };
            self.ai_failed(step, leg, loss, sip_code);
        } else if self.human == Some(leg) {
            self.human_left(step);
        } else if !self.supervisor_gone(step, leg, cause::of_attempt(by, sip_code), sip_code, cause::ended_by(by)) {
            let cause = cause::of_attempt(by, sip_code);
            if let Some(transfer) = &mut self.transfer
                && !contacts.is_empty()
            {
                transfer.redirected(step, leg, &contacts);
            }
            self.with_transfer(step, |transfer, step| transfer.leg_gone(step, leg, cause, sip_code));
        }
    }

    /// An agent's phone is gone before they took the call: known before the leg frees them.
    fn offer_failed(&self, step: &mut Step<'_>, leg: LegId, cause: policy::Cause) {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.tries(leg)) {
            step.shared.directory.failed(leg, cause);
        }
    }

    fn hold_changed(&mut self, step: &mut Step<'_>, leg: LegId) {
        let Some(it) = self.leg(leg) else { return };
        let (holds, name) = (it.holds, it.record.name.clone());
        let known = self.plan.iter().find(|(port, _)| it.port == Some(*port));
        let held = matches!(known, Some((_, crate::plan::Hears::Nothing)));
        if holds != held {
            step.publish(crate::Happening::LegHold { leg: name, holds });
        }
    }

    // ---- legs

    fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    /// The leg of an INVITE usage.
    fn of_usage(&self, usage: LegId) -> Option<LegId> {
        self.legs.iter().find(|leg| leg.usage == usage).map(|leg| leg.id)
    }

    fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    fn leg_of_port(&self, port: PortId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.port == Some(port))
    }

    fn caller_leg(&mut self) -> Option<&mut Leg> {
        self.leg_mut(self.caller)
    }

    fn caller_answered(&self) -> bool {
        self.leg(self.caller).is_some_and(Leg::is_up)
    }

    fn ai_is_up(&self) -> bool {
        self.ai.and_then(|ai| self.leg(ai)).is_some_and(Leg::is_up)
    }

    fn caller_rings(&mut self, step: &mut Step<'_>) {
        if let Some(caller) = self.caller_leg() {
            caller.progress(step, 180);
        }
    }

    /// Gives a leg up. It disappears when `signaling` says so, or at once when it was never dialled.
    fn drop_leg(&mut self, step: &mut Step<'_>, id: LegId) {
        self.drop_leg_because(step, id, None);
    }

    /// The same, telling its peer why.
    fn drop_leg_because(&mut self, step: &mut Step<'_>, id: LegId, reason: Option<signaling::Reason>) {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else { return };
        if let Some(port) = leg.port {
            self.counting.push((port, leg.record.name.clone()));
        }
        if !leg.is_closing() && leg.record.ended_by.is_none() {
            leg.record.ended_by = Some("us".to_owned());
        }
        if !leg.hang_up_because(step, None, reason) {
            leg.record.ended = Some(step.time());
            self.remove_leg(step, id);
        }
    }

    fn remove_leg(&mut self, step: &mut Step<'_>, id: LegId) {
        let Some(at) = self.legs.iter().position(|leg| leg.id == id) else { return };
        let mut leg = self.legs.remove(at);
        if let Some(port) = leg.port {
            self.counting.push((port, leg.record.name.clone()));
        }
        leg.close_port(step);
        step.shared.legs.remove(&leg.usage);
        step.shared.trunks.release(id);
        step.shared.directory.release(id, step.now.monotonic);
        step.disarm(Timer::AiAnswer(id));
        step.disarm(Timer::Show(id));
        step.story.leg_gone(leg.record);
    }

    // ---- for the core

    /// Nothing of it is left: its record can be written.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Ending && self.legs.is_empty() && self.counting.is_empty()
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn state(&self) -> CallState {
        match self.stage {
            Stage::Connecting => CallState::Connecting,
            Stage::WithAi => CallState::WithAi,
            Stage::Transferring => CallState::Transferring,
            Stage::WithHuman { .. } => CallState::WithHuman,
            Stage::Reconnecting { .. } => CallState::Reconnecting,
            Stage::Announcing { .. } => CallState::Announcing,
            Stage::Voicemail { .. } => CallState::Voicemail,
            Stage::Ending => CallState::Ending,
        }
    }

    pub(crate) fn count(&self, gauges: &mut Gauges) {
        if let Some(at) = CallState::LIVE.iter().position(|state| *state == self.state()) {
            gauges.calls[at] += 1;
        }
        for leg in &self.legs {
            gauges.legs[leg.party() as usize] += 1;
        }
        gauges.outstanding += self.waiters.len();
    }

    fn leg_record(&self, step: &Step<'_>, name: String, party: Party, peer: &str, via: &str) -> LegRecord {
        LegRecord {
            name,
            party,
            peer: peer.to_owned(),
            via: via.to_owned(),
            setup: step.time(),
            ringing: None,
            answered: None,
            ended: None,
            sip_code: None,
            ended_by: None,
            reason: None,
            codec: None,
            media: None,
        }
    }

    fn new_player(&mut self) -> u32 {
        // A transfer numbers its whispers above its own number, one an attempt.
        self.players = self.players.wrapping_add(1_000);
        self.players
    }

    /// Every leg that is there.
    pub(crate) fn leg_ids(&self) -> impl Iterator<Item = LegId> {
        self.legs.iter().map(|leg| leg.id)
    }

    /// Its legs, each with its INVITE usage.
    pub(crate) fn usages(&self) -> impl Iterator<Item = (LegId, LegId)> {
        self.legs.iter().map(|leg| (leg.id, leg.usage))
    }

    /// Its ports, with those that are closed and have not told what they counted.
    pub(crate) fn ports(&self) -> impl Iterator<Item = PortId> {
        self.legs.iter().filter_map(|leg| leg.port).chain(self.counting.iter().map(|(port, _)| *port))
    }

    /// The transfer under way.
    pub(crate) fn transfer_id(&self) -> Option<TransferId> {
        self.transfer.as_ref().map(|transfer| transfer.id())
    }

    /// Its legs that hold a place on a trunk.
    pub(crate) fn trunks_of_legs(&self) -> impl Iterator<Item = (LegId, String)> {
        self.legs.iter().filter_map(|leg| Some((leg.id, leg.trunk()?.to_owned())))
    }

    fn live_legs(&self) -> SmallVec<[LegId; 4]> {
        self.legs.iter().filter(|leg| !leg.is_closing()).map(|leg| leg.id).collect()
    }
}

/// For phones that stop ringing because another was answered (RFC 3326 section 2).
fn completed_elsewhere() -> signaling::Reason {
    signaling::Reason {
        protocol: "SIP".to_owned(),
        cause: Some(200),
        text: Some("Call completed elsewhere".to_owned()),
    }
}
