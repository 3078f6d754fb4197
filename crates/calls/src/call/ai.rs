//! The AI's side of a call: reaching it, losing it, reaching another.

use super::{Call, MOST_AI_LOSSES, MOST_LEGS, Stage, ways::Outgoing};
use crate::{
    AfterHuman, AiFailureStep, AiLoss, AiProfile, EndCause, HandbackBody, Happening, Observation, Party, Source, dial,
    headers, identity,
    leg::{Leg, Peer},
    step::{Step, Timer},
    transfer::Transfer,
};
use policy::{CallFact, To, TransferOptions};
use rand::seq::IndexedRandom as _;
use sdp::Codec;
use signaling::LegId;
use std::{collections::VecDeque, sync::Arc};

impl Call {
    /// The caller's port is open: the rules may decide at once, else the AI is dialled.
    pub(super) fn arrived(&mut self, step: &mut Step<'_>) {
        if self.goes_straight() {
            return self.go_straight(step);
        }
        if !step.config.limits.call_duration.is_zero() {
            step.arm(Timer::MaxDuration, step.config.limits.call_duration);
        }
        self.ask_consent(step);
        self.run_rules(step, "start");
        if self.stage != Stage::Connecting {
            return;
        }
        if self.announcement.is_some() {
            // The caller is told first; the AI is dialled when the prompt is over.
            self.answer_caller(step, None, Party::Caller);
        } else {
            self.dial_ai(step, None, &[]);
        }
    }

    /// Dials the AI of `profile`, or of the profile in charge. `told` are headers that say why.
    pub(super) fn dial_ai(&mut self, step: &mut Step<'_>, profile: Option<&str>, told: &[(&str, String)]) {
        if let Some(profile) = profile {
            profile.clone_into(&mut self.profile);
        }
        self.moved = None;
        self.ai_told = told.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let config = Arc::clone(step.config);
        let Some(profile) = config.ai.get(&self.profile).filter(|_| self.legs.len() < MOST_LEGS) else {
            return self.ai_lost(step, AiLoss::Unreachable, None);
        };
        let Ok(routes) = Self::ways_to_ai(step, profile, &self.profile) else {
            return self.ai_lost(step, AiLoss::Unreachable, None);
        };
        let mut ways = Self::ordered(step, routes, &self.about.trunk);
        let id = step.new_leg();
        let Some(route) = Self::first_free(step, id, &mut ways) else {
            step.shared.legs.remove(&id);
            return self.ai_lost(step, AiLoss::Unreachable, None);
        };
        step.arm(Timer::AiAnswer(id), profile.answer_timeout);
        self.ai = Some(id);
        self.dial_ai_by(step, id, route, ways);
    }

    /// An AI that is an account of ours is at one of its contacts, by chance, and nowhere while it is not registered.
    fn ways_to_ai(step: &mut Step<'_>, profile: &AiProfile, name: &str) -> Result<Vec<dial::Route>, &'static str> {
        let elsewhere = !profile.trunks.is_empty() || profile.proxy.is_some();
        if elsewhere || step.config.agents.account(&profile.uri).is_none() {
            return dial::ai(step.config, profile, name);
        }
        let phones = step.config.agents.phones(&step.shared.registered, &profile.uri);
        let there: Vec<_> = phones.into_iter().flatten().collect();
        let one = there.choose(&mut step.shared.chance).ok_or("the AI is not registered")?;
        Ok(vec![dial::Route { peer: Peer::Ai(name.to_owned()), ..dial::phone(one) }])
    }

    /// Dials the AI of the profile in charge by one of its ways; the others are kept for the case that its trunk fails.
    pub(super) fn dial_ai_by(
        &mut self,
        step: &mut Step<'_>,
        id: LegId,
        route: dial::Route,
        ways: VecDeque<dial::Route>,
    ) {
        let config = Arc::clone(step.config);
        let Some(profile) = config.ai.get(&self.profile) else { return };
        self.ai_dials += 1;
        let name = format!("ai-{}", self.ai_dials);
        let target = self.ai_target(profile);
        let trunk = route.peer.trunk().and_then(|name| config.trunks.get(name));
        let target = trunk.map_or_else(|| Arc::clone(&target), |trunk| dial::request_uri(trunk, &target).into());
        let record = self.leg_record(step, name, Party::Ai, &target, &self.profile);
        let shown = self.shown_to(step, &route.peer, None, &profile.pass_headers);
        let mut headers = shown.headers;
        let terms = config.terms_of_ai(profile, &route);
        let srtp_keys = if terms.srtp == sdp::Srtp::Off { 0 } else { config.media.srtp_suites.len() };
        headers.extend(self.headers_for_ai(profile, &target, srtp_keys));
        let outgoing = Outgoing {
            record,
            target,
            from: shown.from,
            headers,
            terms,
            codecs: self.codecs_for(step, Some(&profile.codecs)),
            ring: profile.answer_timeout,
        };
        self.dial_leg(step, id, (route, ways), outgoing);
    }

    fn headers_for_ai(&self, profile: &AiProfile, target: &str, srtp_keys: usize) -> Vec<(String, String)> {
        let mut list = vec![headers::call_id(self.about.id)];
        let mut add = |name: &str, value: &str| list.push((name.to_owned(), headers::encode(value, 256).0));
        add("X-Tandem-Line", &self.about.line);
        add("X-Tandem-To", &self.about.to);
        if let Some(from) = &self.about.from {
            add("X-Tandem-From", from);
        }
        if self.is_placed() {
            add("X-Tandem-Direction", "outbound");
        }
        if let Some(campaign) = self.campaign() {
            add("X-Tandem-Campaign", campaign);
        }
        for (name, value) in &self.ai_told {
            add(name, value);
        }
        list.extend(profile.headers.iter().cloned());
        // An AI that is dialled again has forgotten what it learned.
        let from = self.about.from.as_deref().unwrap_or_default();
        list.extend(headers::context(self.facts.context(), None, (target, from), srtp_keys, &list));
        list
    }

    /// What the peer of a leg is told of the caller. `forwarded_to` is where a call that is handed on goes.
    pub(super) fn shown_to(
        &self,
        step: &Step<'_>,
        peer: &Peer,
        forwarded_to: Option<&str>,
        passes: &[String],
    ) -> identity::Shown {
        self.shown_as(step, &self.about.identity, peer, forwarded_to, passes)
    }

    /// The same of somebody else.
    pub(super) fn shown_as(
        &self,
        step: &Step<'_>,
        who: &identity::Identity,
        peer: &Peer,
        forwarded_to: Option<&str>,
        passes: &[String],
    ) -> identity::Shown {
        let trunk = peer.trunk().and_then(|name| step.config.trunks.get(name));
        let host = dial::own_host(step.config, self.about.local);
        let whom = identity::Whom { trunk, called: &self.about.to, host: &host, forwarded_to, passes };
        identity::show(who, &whom)
    }

    /// What to offer: the caller's codecs first, so that both legs agree on one where they can.
    pub(super) fn codecs_for(&self, step: &Step<'_>, own: Option<&Vec<Codec>>) -> Vec<Codec> {
        let caller = self.leg(self.caller);
        let mut wanted = caller.map(Leg::offered_codecs).unwrap_or_default();
        wanted.extend(caller.and_then(Leg::codec));
        let mut codecs = step.config.media.codecs_of(own).to_vec();
        codecs.sort_by_key(|codec| wanted.iter().position(|it| it == codec).unwrap_or(usize::MAX));
        codecs
    }

    /// The AI answered: it has the caller, unless we called them and they are not there yet.
    pub(super) fn ai_answered(&mut self, step: &mut Step<'_>, leg: LegId) {
        step.disarm(Timer::AiAnswer(leg));
        if self.keeps_person() {
            return;
        }
        let codec = self.leg(leg).and_then(Leg::codec);
        if self.answer_caller(step, codec, Party::Ai) {
            self.with_ai(step);
        }
    }

    /// The AI, which is up, takes the caller: a stint begins.
    pub(super) fn with_ai(&mut self, step: &mut Step<'_>) {
        self.stage = Stage::WithAi;
        self.refuge = super::Refuge::default();
        self.after_human = false;
        self.facts.note(step.now, &CallFact::StintStarted);
        self.tell_intent(step);
        let stint = self.facts.view(step.now).stint;
        step.publish(Happening::AiConnected { profile: self.profile.clone(), stint });
        self.replan(step);
        self.measure_ends(step);
        self.run_rules(step, "stint");
    }

    /// Answers the caller if that has not been done. False: the call has ended instead.
    pub(super) fn answer_caller(&mut self, step: &mut Step<'_>, codec: Option<Codec>, by: Party) -> bool {
        let began = self.about.began;
        let Some(caller) = self.caller_leg() else { return false };
        match caller.answer(step, codec) {
            Ok(true) => {
                step.publish(Happening::CallAnswered { by });
                step.observe(Observation::CallSetup(step.now.monotonic.since(began)));
                true
            }
            Ok(false) => caller.is_up(),
            Err(refusal) => {
                self.end(step, EndCause::Refused, "us", Some(refusal.status));
                false
            }
        }
    }

    /// The AI's leg came to nothing, or is gone. During a transfer the transfer goes on.
    pub(super) fn ai_failed(&mut self, step: &mut Step<'_>, leg: LegId, loss: AiLoss, sip_code: Option<u16>) {
        if self.ai != Some(leg) || self.stage == Stage::Ending {
            return;
        }
        self.ai = None;
        step.disarm(Timer::AiAnswer(leg));
        self.drop_leg(step, leg);
        if self.transfer.is_some() {
            // An AI that asked for the transfer by REFER has done its part when it hangs up.
            if !self.is_referrer(leg) {
                let next = "the transfer goes on".to_owned();
                step.publish(Happening::AiLost { profile: self.profile.clone(), cause: loss, sip_code, next });
            }
            return self.with_transfer(step, Transfer::ai_gone);
        }
        if matches!(self.stage, Stage::WithHuman { .. }) {
            let next = "the human has the caller".to_owned();
            return step.publish(Happening::AiLost { profile: self.profile.clone(), cause: loss, sip_code, next });
        }
        self.ai_lost(step, loss, sip_code);
    }

    /// There is no AI: what the rules say, else the profile's `on_ai_failure`.
    pub(super) fn ai_lost(&mut self, step: &mut Step<'_>, loss: AiLoss, sip_code: Option<u16>) {
        self.ai_losses += 1;
        if self.refuge.profile.is_empty() {
            self.refuge.profile.clone_from(&self.profile);
        }
        let refuge = self.next_refuge(step);
        let next = match &refuge {
            AiFailureStep::Profile(name) => format!("profile {name}"),
            AiFailureStep::Destination(name) => format!("destination {name}"),
            AiFailureStep::Announce(name) => format!("announce {name}"),
            AiFailureStep::End => "end".to_owned(),
        };
        step.publish(Happening::AiLost { profile: self.profile.clone(), cause: loss, sip_code, next });
        if self.keeps_person() {
            return self.lost_before_person(step, refuge);
        }
        if self.caller_answered() {
            let announcement = step.config.media.ai_lost_announcement.clone();
            let playing = self.hold_music(step, announcement.as_deref());
            self.stage = Stage::Reconnecting { playing };
        } else {
            self.stage = Stage::Connecting;
        }
        self.facts.note(step.now, &CallFact::AiLost);
        if self.run_rules_in(step, "ai_lost", policy::Phase::Ai) {
            return;
        }
        self.take_refuge(step, refuge);
    }

    pub(super) fn next_refuge(&mut self, step: &Step<'_>) -> AiFailureStep {
        if self.ai_losses > MOST_AI_LOSSES {
            return AiFailureStep::End;
        }
        let list = step.config.ai.get(&self.refuge.profile).map(|profile| profile.on_ai_failure.as_slice());
        let refuge = list.and_then(|list| list.get(self.refuge.at)).cloned().unwrap_or(AiFailureStep::End);
        self.refuge.at += 1;
        refuge
    }

    fn take_refuge(&mut self, step: &mut Step<'_>, refuge: AiFailureStep) {
        match refuge {
            AiFailureStep::Profile(name) => {
                self.dial_ai(step, Some(&name), &[("X-Tandem-Reason", "ai_lost".to_owned())]);
            }
            AiFailureStep::Announce(prompt) => self.announce_and_end(step, prompt.into(), EndCause::AiLost),
            AiFailureStep::End => self.end(step, EndCause::AiLost, "us", Some(480)),
            AiFailureStep::Destination(name) => {
                let to = To::Name(name.as_str().into());
                let spec = step.rules.transfer(&to, &TransferOptions::default());
                let taken = spec.map(|spec| self.begin_transfer(step, Source::AiLost, spec));
                if !matches!(taken, Ok(Ok(_))) {
                    // The rules no longer know the destination: the next step.
                    let next = self.next_refuge(step);
                    self.take_refuge(step, next);
                }
            }
        }
    }

    /// Gives the caller to an AI: the one that is still there, or one that is dialled and told why.
    pub(super) fn give_to_ai(&mut self, step: &mut Step<'_>, profile: Option<&str>, told: &[(&str, String)]) {
        let other = profile.is_some_and(|profile| profile != self.profile);
        if self.ai_is_up() && !other {
            return self.with_ai(step);
        }
        if let Some(ai) = self.ai.take() {
            self.drop_leg(step, ai);
        }
        if self.caller_answered() {
            let playing = match &self.stage {
                // The same music goes on where it was.
                Stage::Reconnecting { playing } => playing.clone(),
                _ => self.hold_music(step, None),
            };
            self.stage = Stage::Reconnecting { playing };
        } else {
            self.stage = Stage::Connecting;
        }
        self.replan(step);
        self.dial_ai(step, profile, told);
    }

    /// The human who had the caller hung up.
    pub(super) fn human_left(&mut self, step: &mut Step<'_>) {
        self.human = None;
        let after = step.config.ai.get(&self.profile).map(|profile| profile.after_human.clone()).unwrap_or_default();
        let after = if self.thinks_it_transferred(step) { AfterHuman::Ai } else { after };
        match after {
            AfterHuman::Destination(name) if !self.after_human => {
                self.after_human = true;
                let to = To::Name(name.as_str().into());
                let spec = step.rules.transfer(&to, &TransferOptions::default());
                let taken = spec.map(|spec| self.begin_transfer(step, Source::AfterHuman, spec));
                if !matches!(taken, Ok(Ok(_))) {
                    // The rules no longer know the destination.
                    self.handed_back(step, "human_hung_up", HandbackBody::default());
                }
            }
            AfterHuman::End | AfterHuman::Destination(_) => self.end(step, EndCause::HumanHungUp, "human", None),
            AfterHuman::Ai => {
                self.handed_back(step, "human_hung_up", HandbackBody::default());
            }
        }
    }

    /// The caller goes back to the AI, which is told why, from whom, how long they had them, and their word.
    pub(super) fn handed_back(&mut self, step: &mut Step<'_>, reason: &str, body: HandbackBody) {
        let HandbackBody { disposition, note, to_ai } = body;
        let reason = reason.to_owned();
        let (by, since) = self.last_human.take().unwrap_or_else(|| (String::new(), step.time()));
        let human_ms = step.time().ms_since(since);
        let mut told = vec![
            ("X-Tandem-Reason", reason.clone()),
            ("X-Tandem-Handed-Back-By", by.clone()),
            ("X-Tandem-Human-Seconds", (human_ms / 1000).to_string()),
        ];
        told.extend(disposition.clone().map(|it| ("X-Tandem-Disposition", it)));
        told.extend(note.clone().map(|it| ("X-Tandem-Note", it)));
        step.publish(Happening::HandedBack { reason, by, human_ms, disposition, note, to_ai: to_ai.clone() });
        self.give_to_ai(step, to_ai.as_deref(), &told);
    }
}
