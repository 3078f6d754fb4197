//! Carrying out what the transfer's machine says: legs, bridge, back to the AI.

use super::{Call, MOST_LEGS, Stage, ways::Outgoing};
use crate::{
    EndCause, Happening, Observation, Party, Source, TransferId, TransferState,
    dial::{self, Route, Sees},
    directory::Tried,
    headers,
    leg::Leg,
    spoken,
    step::{Step, Timer},
    transfer::{Act, Acts, Transfer},
};
use core::time::Duration;
use media_relay::{Command, MeasureId};
use policy::{CallFact, Cause, ReleaseAi, To, TransferSpec};
use signaling::LegId;
use std::{collections::VecDeque, sync::Arc};

/// The silence around a handoff is measured until this long after the bridge.
const MEASURED_AFTER: Duration = Duration::from_secs(1);

/// Why a transfer cannot begin.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum NotNow {
    /// This one is under way.
    Active(TransferId),
    /// The call is ending.
    Ending,
    /// Whoever is called has not answered.
    Unanswered,
}

impl Call {
    /// Begins a transfer, whoever has the caller.
    pub(super) fn begin_transfer(
        &mut self,
        step: &mut Step<'_>,
        source: Source,
        spec: TransferSpec,
    ) -> Result<TransferId, NotNow> {
        if let Some(active) = &self.transfer {
            return Err(NotNow::Active(active.id()));
        }
        if matches!(self.stage, Stage::Ending | Stage::Announcing { .. }) {
            return Err(NotNow::Ending);
        }
        if self.rings_person() {
            return Err(NotNow::Unanswered);
        }
        let id = TransferId::generate(step.now, &mut step.shared.chance);
        step.shared.transfers.insert(id, step.key);
        self.facts.note(step.now, &CallFact::TransferStarted { rule: spec.rule.clone() });
        // An AI that is only being reached is not needed any more; a human who has the caller leaves now.
        let ai = self.stage == Stage::WithAi && self.ai_is_up();
        let copilot = self.has_copilot();
        if let Some(leg) = self.ai.take_if(|_| !ai && !copilot) {
            self.drop_leg(step, leg);
        }
        if let Some(human) = self.human.take() {
            self.drop_leg(step, human);
        }
        self.announcement = None;
        step.disarm(Timer::Announcement);
        self.measure_begins(step, id);
        if !self.caller_answered() {
            self.caller_rings(step);
        }
        let player = self.new_player();
        let (transfer, acts) = Transfer::begin(step, id, source, spec, ai, copilot, player);
        self.transfer = Some(transfer);
        self.stage = Stage::Transferring;
        self.carry_out(step, acts);
        Ok(id)
    }

    /// Hands an input to the transfer, if there is one, and carries out what it says.
    pub(super) fn with_transfer(
        &mut self,
        step: &mut Step<'_>,
        input: impl FnOnce(&mut Transfer, &mut Step<'_>) -> Acts,
    ) {
        if let Some(transfer) = &mut self.transfer {
            let acts = input(transfer, step);
            self.carry_out(step, acts);
        }
    }

    pub(super) fn carry_out(&mut self, step: &mut Step<'_>, acts: Acts) {
        let mut queue: VecDeque<Act> = acts.into_iter().collect();
        while let Some(act) = queue.pop_front() {
            match act {
                Act::CallerWaits { release } => self.caller_waits(step, release),
                Act::Dial { leg, target, phone, attempt } => {
                    let more = self.dial_human(step, leg, &target, phone.as_ref(), attempt);
                    queue.extend(more);
                }
                Act::Refer { target } => {
                    let more = self.refer_caller(step, &target);
                    queue.extend(more);
                }
                Act::Drop { leg } => {
                    // Nobody failed to answer: somebody else did (RFC 3326).
                    let elsewhere = self.transfer.as_ref().is_some_and(|transfer| transfer.is_won());
                    self.drop_leg_because(step, leg, elsewhere.then(super::completed_elsewhere));
                }
                Act::Listen { leg, on } => self.listen_for_machine(step, leg, on),
                Act::Wait => {
                    let more = self.wait_for_agent(step);
                    queue.extend(more);
                }
                Act::Bridge { leg } | Act::Introduce { leg } if self.caller_is_to_be_called() => {
                    self.call_caller(step, leg);
                }
                Act::Introduce { leg } => self.introduce(step, leg),
                Act::Bridge { leg } => self.bridge(step, leg),
                Act::Voicemail { mailbox } => self.greet(step, &mailbox),
                Act::CallBack => {
                    let more = self.take_callback(step);
                    queue.extend(more);
                }
                Act::TakeMessage => self.message_for_ai(step),
                Act::ToAi { profile } => self.transfer_to_ai(step, profile.as_deref()),
                Act::End => {
                    let status = self.refusal();
                    self.finish_transfer(step, TransferState::Failed);
                    if self.back_to_human(step) {
                        continue;
                    }
                    self.end(step, EndCause::NobodyLeft, "us", Some(status));
                }
            }
        }
    }

    fn caller_waits(&mut self, step: &mut Step<'_>, release: bool) {
        // Music in the same command that takes the AI's voice away; only then may its leg go.
        self.replan(step);
        let Some(ai) = self.ai else { return };
        if let Some(transfer) = &self.transfer {
            step.publish(Happening::AiMuted { transfer: transfer.id() });
        }
        if release {
            self.ai = None;
            self.drop_leg(step, ai);
        }
    }

    fn dial_human(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        target: &Arc<str>,
        phone: Option<&Arc<signaling::Contact>>,
        attempt: u32,
    ) -> Acts {
        let Some(transfer) = &self.transfer else {
            step.shared.legs.remove(&leg);
            step.shared.directory.release(leg, step.now.monotonic);
            return Acts::new();
        };
        let spec = &transfer.spec;
        let named = matches!(To::parse(&spec.to), To::Name(_)) && transfer.names(target);
        let through = match &spec.place {
            policy::Place::Dial(dial) => dial.trunk.clone(),
            _ => None,
        };
        let routes = match phone {
            Some(phone) => Ok(vec![dial::phone(phone)]),
            None if transfer.is_bypass() => dial::by_trunks(step.config, &self.about.bypass),
            None => dial::human(step.config, target, through.as_deref(), &self.about.trunk, named),
        };
        let full = self.legs.len() >= MOST_LEGS;
        let (id, destination) = (transfer.id(), spec.to.to_string());
        let found = match routes {
            Ok(routes) if !full => {
                // A bypass says itself in which order.
                let straight = transfer.is_bypass();
                let mut ways = if straight { routes.into() } else { Self::ordered(step, routes, &self.about.trunk) };
                Self::first_free(step, leg, &mut ways).map(|route| (route, ways)).ok_or("every trunk is full")
            }
            Ok(_) => Err("too many legs"),
            Err(why) => Err(why),
        };
        let (route, ways) = match found {
            Ok(found) => found,
            Err(why) => {
                tracing::debug!(call = %step.id, attempt, why, "not dialled");
                step.shared.legs.remove(&leg);
                let Some(transfer) = &mut self.transfer else { return Acts::new() };
                let acts = transfer.leg_gone(step, leg, Cause::Unreachable, None);
                step.shared.directory.release(leg, step.now.monotonic);
                return acts;
            }
        };
        let context = self.facts.learned();
        match spec.whisper.clone() {
            policy::Whisper::Context { keys, .. } => {
                let clips = spoken::clips(&context, &keys, &step.config.media.clips);
                if let Some(transfer) = &mut self.transfer {
                    transfer.will_say(leg, clips);
                }
            }
            policy::Whisper::Clip { lasting, .. } if self.remembered.is_some() => {
                if let Some(transfer) = &mut self.transfer {
                    transfer.will_quote(leg, lasting);
                }
            }
            _ => {}
        }
        // The whole context is on the agent's screen before the INVITE leaves.
        let (dialled, target_text) = (target, target.to_string());
        let agent = self.transfer.as_ref().and_then(|transfer| transfer.agent(leg));
        let target = target_text;
        step.publish(Happening::AgentOffered { transfer: id, attempt, destination, target, agent, context });
        let wait = self.transfer.as_ref().and_then(|transfer| transfer.spec.context_wait);
        let name = self.transfer.as_ref().and_then(|transfer| transfer.leg_name(leg)).unwrap_or_default();
        self.dial_human_by(step, leg, dialled, &name, route, ways);
        let wait = wait.unwrap_or(step.config.context_wait);
        if let Some(it) = self.leg_mut(leg).filter(|_| !wait.is_zero()) {
            it.unshown = true;
            step.show(leg, wait);
        }
        Acts::new()
    }

    /// Dials a target by one of its ways; the others are kept for the case that its trunk fails.
    pub(super) fn dial_human_by(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        target: &Arc<str>,
        name: &str,
        route: Route,
        ways: VecDeque<Route>,
    ) {
        let Some(spec) = self.transfer.as_ref().map(|transfer| &transfer.spec) else { return };
        let (keys, ring, via) = (spec.context.clone(), spec.ring_timeout, spec.to.to_string());
        let trunk = route.peer.trunk().and_then(|name| step.config.trunks.get(name));
        let target_there = trunk.map_or_else(|| Arc::clone(target), |trunk| dial::request_uri(trunk, target).into());
        let passes = trunk.map_or(&[][..], |trunk| &trunk.identity.headers_out);
        let shown = self.shown_to(step, &route.peer, Some(&target_there), passes);
        let (from, mut list) = (shown.from, shown.headers);
        let terms = step.config.terms_of(&route);
        let srtp_keys = if terms.srtp == sdp::Srtp::Off { 0 } else { step.config.media.srtp_suites.len() };
        if route.sees != Sees::Nothing {
            list.push(headers::call_id(self.about.id));
        }
        if route.sees == Sees::Context {
            let context =
                headers::context(self.facts.context(), keys.as_deref(), (&target_there, &from.uri), srtp_keys, &list);
            list.extend(context);
        }
        if route.sees != Sees::Nothing {
            list.extend(self.referred_headers(&via));
            let shown = list.iter().any(|(name, _)| name.eq_ignore_ascii_case("User-to-User"));
            let passed = self.about.user_to_user.clone().filter(|_| step.config.user_to_user && !shown);
            list.extend(passed.map(|value| ("User-to-User".to_owned(), value)));
        }
        let record = self.leg_record(step, name.to_owned(), Party::Human, target, &via);
        let trunk = route.peer.trunk().and_then(|name| step.config.trunks.get(name));
        let codecs = self.codecs_for(step, trunk.map(|trunk| &trunk.codecs));
        let outgoing = Outgoing { record, target: target_there, from, headers: list, terms, codecs, ring };
        self.dial_leg(step, leg, (route, ways), outgoing);
    }

    /// All three hear one another, where there is an AI.
    fn introduce(&mut self, step: &mut Step<'_>, leg: LegId) {
        let three = self.ai_is_up() && self.caller_answered() && self.leg(leg).is_some_and(Leg::is_up);
        match &mut self.transfer {
            Some(transfer) if three => transfer.introduce(step, leg),
            _ => self.bridge(step, leg),
        }
    }

    /// Whether the AI has stayed with caller and human.
    pub(super) fn has_copilot(&self) -> bool {
        matches!(self.stage, Stage::WithHuman { .. }) && self.ai_is_up()
    }

    /// From now on the caller is this human's, who is an agent or known by their address.
    pub(super) fn human_has_caller(&mut self, step: &Step<'_>, leg: LegId, agent: Option<String>) {
        let peer = self.leg(leg).map(|leg| leg.record.peer.clone());
        self.human = Some(leg);
        self.last_human = Some((agent.or(peer).unwrap_or_default(), step.time()));
    }

    /// Caller and human hear each other, by one command to the relay; whoever is not needed any more leaves after it.
    pub(super) fn bridge(&mut self, step: &mut Step<'_>, leg: LegId) {
        let codec = self.leg(leg).and_then(Leg::codec);
        if !self.leg(leg).is_some_and(Leg::is_up) || !self.answer_caller(step, codec, Party::Human) {
            return;
        }
        let held = self.hold_music(step, None);
        let stays = self.transfer.as_ref().is_some_and(|transfer| transfer.release_ai() == ReleaseAi::Stay);
        let leaving = self.ai.take_if(|_| !stays);
        let agent = self.transfer.as_ref().and_then(|transfer| transfer.agent(leg));
        self.human_has_caller(step, leg, agent);
        self.stage = Stage::WithHuman { held };
        // What was said to whoever waits is not said on.
        self.announcement = None;
        step.disarm(Timer::Announcement);
        self.replan(step);
        step.shared.directory.taken(leg, self.about.from.as_deref(), step.now.monotonic);
        let winner = self.transfer.as_ref().and_then(|transfer| transfer.winner(leg));
        let Some(record) = self.finish_transfer(step, TransferState::Bridged) else { return };
        if let Some(ai) = leaving {
            self.drop_leg(step, ai);
        }
        self.release_parked(step);
        if let Some((attempt, destination, target)) = winner {
            let waited_ms = step.time().ms_since(record.1);
            step.publish(Happening::TransferBridged { transfer: record.0, attempt, destination, target, waited_ms });
        }
        if self.has_copilot() {
            step.publish(Happening::CopilotStarted { transfer: record.0, profile: self.profile.clone() });
        }
        step.story.first_bridge.get_or_insert(step.now.into());
        self.callback_tried(step, Tried::Connected);
        self.refuge = super::Refuge::default();
        self.facts.note(step.now, &CallFact::TransferBridged);
        step.arm(Timer::Measure, MEASURED_AFTER);
        self.run_rules(step, "bridged");
    }

    /// The chain came to the AI: unmuted where it stayed, redialled and told why where it left.
    fn transfer_to_ai(&mut self, step: &mut Step<'_>, profile: Option<&str>) {
        self.transfer_to_ai_for(step, profile, None);
    }

    /// The same, with a reason of its own instead of the usual ones.
    pub(super) fn transfer_to_ai_for(&mut self, step: &mut Step<'_>, profile: Option<&str>, reason: Option<&str>) {
        let failure = self.transfer.as_ref().and_then(|transfer| transfer.last_failure());
        let rule = self.transfer.as_ref().and_then(|transfer| transfer.spec.rule.clone());
        let attempts = self.transfer.as_ref().map_or(0, |transfer| transfer.record.attempts.len());
        self.finish_transfer(step, TransferState::Failed);
        let mut told = vec![("X-Tandem-Reason", "transfer_failed".to_owned())];
        if let Some((cause, sip_code)) = failure {
            self.facts.note(step.now, &CallFact::TransferFailed { rule, cause });
            if self.back_to_human(step) {
                return;
            }
            told.push(("X-Tandem-Cause", cause.name().to_owned()));
            told.extend(sip_code.map(|code| ("X-Tandem-Sip-Code", code.to_string())));
            told.push(("X-Tandem-Attempt", attempts.to_string()));
        } else {
            told = vec![("X-Tandem-Reason", "transferred".to_owned())];
        }
        if let (Some(reason), Some((_, value))) = (reason, told.first_mut()) {
            reason.clone_into(value);
        }
        self.give_to_ai(step, profile, &told);
        self.release_parked(step);
    }

    /// The transfer is over: its record is kept, its legs but the winner's are dropped, who waits for it is answered.
    pub(super) fn finish_transfer(
        &mut self,
        step: &mut Step<'_>,
        state: TransferState,
    ) -> Option<(TransferId, crate::Time)> {
        let mut transfer = self.transfer.take()?;
        self.forget_promise(step, state);
        let losers = transfer.finish(step, state);
        let id = transfer.id();
        let started = transfer.record.started;
        let record = transfer.record.clone();
        step.story.transfers.push(transfer.record);
        self.conclude_refer(step, state, &record);
        for leg in losers {
            self.drop_leg(step, leg);
        }
        self.answer_waiters(step, id, &record);
        Some((id, started))
    }

    /// By command: nobody is to be rung any more, the AI has the caller again.
    pub(super) fn cancel_transfer(&mut self, step: &mut Step<'_>) {
        let Some((transfer, _)) = self.finish_transfer(step, TransferState::Cancelled) else { return };
        step.publish(Happening::TransferCancelled { transfer });
        if self.caller_is_missing() {
            // There is nobody whom an AI could have.
            return self.end(step, EndCause::Command, "command", None);
        }
        if self.back_to_human(step) {
            return;
        }
        self.give_to_ai(step, None, &[("X-Tandem-Reason", "transfer_cancelled".to_owned())]);
    }

    // ---- the silence around a handoff

    pub(super) fn measure_begins(&mut self, step: &mut Step<'_>, transfer: TransferId) {
        self.stop_measuring(step);
        let Some(port) = self.leg(self.caller).filter(|leg| leg.is_up()).and_then(|leg| leg.port) else { return };
        let id = MeasureId(u64::from(self.new_player()));
        self.measuring = Some(id);
        self.measurements.push((id, transfer));
        step.media(Command::MeasureStart { port, id });
    }

    /// The caller is with the AI again.
    pub(super) fn measure_ends(&mut self, step: &mut Step<'_>) {
        if self.measuring.is_some() {
            step.arm(Timer::Measure, MEASURED_AFTER);
        }
    }

    pub(super) fn stop_measuring(&mut self, step: &mut Step<'_>) {
        step.disarm(Timer::Measure);
        let port = self.leg(self.caller).and_then(|leg| leg.port);
        if let (Some(id), Some(port)) = (self.measuring.take(), port) {
            step.media(Command::MeasureStop { port, id });
        }
    }

    pub(super) fn measured(&mut self, step: &mut Step<'_>, id: MeasureId, silence: Duration) {
        let Some(at) = self.measurements.iter().position(|(known, _)| *known == id) else { return };
        let (_, transfer) = self.measurements.remove(at);
        let bridged = step.story.transfer(transfer).is_some_and(|it| it.state == TransferState::Bridged);
        let handoff_silence_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        step.story.measured(transfer, handoff_silence_ms);
        if bridged {
            step.observe(Observation::HandoffSilence(silence));
            step.publish(Happening::TransferMeasured { transfer, handoff_silence_ms });
        }
    }
}
