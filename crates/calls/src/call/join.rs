//! Two calls of one party become one (RFC 5589 section 7.1): their own legs end, those at the other ends are joined.

use super::{Call, Stage};
use crate::{
    CallId, EndCause, Happening, Party, Source, TransferId, TransferRecord, TransferState,
    leg::Leg,
    step::{Step, Timer},
};
use core::time::Duration;
use media_relay::{CallKey, Command};
use policy::{CallFact, Mode};
use signaling::{LegId, ReferRequest};

/// A leg that leaves its call for another, and what goes with it.
pub(crate) struct Guest {
    leg: Leg,
    /// The AI profile, when it is an AI.
    profile: Option<String>,
}

impl Call {
    /// Whether another party may take the place of `leg`: the human who has the caller.
    pub(crate) fn may_exchange(&self, usage: LegId) -> bool {
        let Some(leg) = self.of_usage(usage) else { return false };
        matches!(self.stage, Stage::WithHuman { .. }) && self.human == Some(leg) && self.caller_answered()
    }

    /// Who talks with `leg`.
    pub(crate) fn partner_of(&self, usage: LegId) -> Option<LegId> {
        let leg = self.of_usage(usage)?;
        let partner = match self.stage {
            Stage::WithHuman { .. } if self.human == Some(leg) => Some(self.caller),
            Stage::WithHuman { .. } if self.caller == leg => self.human,
            Stage::WithAi if self.caller == leg => self.ai,
            _ => None,
        };
        partner.filter(|partner| self.leg(*partner).is_some_and(Leg::is_up))
    }

    /// Takes `partner` out of the call for the call `into`, and ends what is left of this one.
    pub(crate) fn give_away(
        &mut self,
        step: &mut Step<'_>,
        partner: LegId,
        key: CallKey,
        into: CallId,
    ) -> Option<Box<Guest>> {
        let at = self.legs.iter().position(|leg| leg.id == partner)?;
        if partner == self.caller {
            self.stop_measuring(step);
        }
        let leg = self.legs.remove(at);
        let profile = (self.ai.take_if(|ai| *ai == partner)).map(|_| self.profile.clone());
        self.human.take_if(|human| *human == partner);
        let mut record = leg.record.clone();
        record.ended = Some(step.time());
        record.ended_by = Some("joined".to_owned());
        step.story.leg_gone(record);
        step.shared.legs.insert(leg.usage, key);
        step.shared.directory.rehome(leg.id, key);
        if let Some(port) = leg.port {
            step.shared.ports.insert(port, key);
            step.media(Command::Adopt { port, call: key });
        }
        step.publish(Happening::CallJoined { into, leg: leg.record.name.clone() });
        self.end(step, EndCause::Joined, "us", None);
        self.settle(step);
        Some(Box::new(Guest { leg, profile }))
    }

    /// The party of another call takes the place of `transferor`.
    pub(crate) fn take_in(
        &mut self,
        step: &mut Step<'_>,
        transferor: LegId,
        guest: Box<Guest>,
        from: CallId,
        refer: ReferRequest,
    ) {
        let Guest { mut leg, profile } = *guest;
        let transferor = self.of_usage(transferor).unwrap_or(transferor);
        let id = TransferId::generate(step.now, &mut step.shared.chance);
        step.shared.transfers.insert(id, step.key);
        let name = self.leg(transferor).map(|leg| leg.record.name.clone()).unwrap_or_default();
        let source = Source::Refer { leg: name, referred_by: refer.referred_by };
        self.facts.note(step.now, &CallFact::TransferStarted { rule: None });
        step.publish(Happening::TransferStarted {
            transfer: id,
            to: from.to_string(),
            mode: Mode::Warm,
            source: source.clone(),
        });
        self.measure_begins(step, id);
        self.replacements += 1;
        leg.record.name = format!("joined-{}", self.replacements);
        leg.record.party = if profile.is_some() { Party::Ai } else { Party::Human };
        leg.record.via = from.to_string();
        let (guest, name, peer) = (leg.id, leg.record.name.clone(), leg.record.peer.clone());
        self.legs.push(leg);
        self.human = None;
        if let Some(profile) = profile {
            if let Some(ai) = self.ai.replace(guest) {
                self.drop_leg(step, ai);
            }
            self.profile = profile;
            self.with_ai(step);
        } else {
            let held = self.hold_music(step, None);
            // A co-pilot stayed with another human: nobody asked this one, who may be another call's caller.
            let copilot = self.ai.take();
            self.human_has_caller(step, guest, None);
            self.stage = Stage::WithHuman { held };
            self.replan(step);
            if let Some(ai) = copilot {
                self.drop_leg(step, ai);
            }
        }
        self.drop_leg(step, transferor);
        let time = step.time();
        step.story.transfers.push(TransferRecord {
            id,
            call: step.id,
            source,
            to: from.to_string(),
            mode: Mode::Warm,
            state: TransferState::Bridged,
            started: time,
            waiting: None,
            bridged: Some(time),
            ended: Some(time),
            cause: None,
            sip_code: None,
            attempts: Vec::new(),
            candidates: Vec::new(),
            handoff_silence_ms: None,
        });
        step.publish(Happening::TransferBridged {
            transfer: id,
            attempt: 0,
            destination: from.to_string(),
            target: peer,
            waited_ms: 0,
        });
        step.publish(Happening::LegJoined { leg: name, from });
        if matches!(self.stage, Stage::WithHuman { .. }) {
            step.story.first_bridge.get_or_insert(time);
            self.facts.note(step.now, &CallFact::TransferBridged);
        }
        step.arm(Timer::Measure, Duration::from_secs(1));
        self.settle(step);
    }
}
