//! Replaces: a new call takes the place of one of the legs (RFC 3891). Same call, same part, same audio plan.

use super::{Call, MOST_LEGS, Stage};
use crate::{Happening, Party, leg::Leg, step::Step};
use signaling::{Incoming, LegId};
use std::sync::Arc;

/// Calls that may wait to take a leg's place at once.
const MOST_WAITING: usize = 4;

impl Call {
    /// `new` is to take the place of `old`; it is answered when its port is open. The status that refuses it is for it.
    pub(crate) fn replace(
        &mut self,
        step: &mut Step<'_>,
        new: LegId,
        old: LegId,
        incoming: &Incoming,
    ) -> Result<(), u16> {
        let old = self.of_usage(old).ok_or(481_u16)?;
        let it = self.leg(old).filter(|it| !it.is_closing()).ok_or(481_u16)?;
        if matches!(self.stage, Stage::Ending | Stage::Announcing { .. }) || !self.has_part(old) {
            return Err(603);
        }
        if self.legs.len() >= MOST_LEGS || self.replacing.len() >= MOST_WAITING {
            return Err(503);
        }
        let (party, terms, via) = (it.party(), it.terms(), it.record.via.clone());
        self.replacements += 1;
        let name = format!("replacement-{}", self.replacements);
        let record = self.leg_record(step, name, party, &incoming.from.uri, &via);
        let config = Arc::clone(step.config);
        let leg = Leg::incoming(step, new, record, incoming, terms, &config.media.codecs)
            .map_err(|refusal| refusal.status)?;
        self.legs.push(leg);
        self.replacing.push((new, old));
        Ok(())
    }

    /// Whether the call needs the leg.
    fn has_part(&self, leg: LegId) -> bool {
        leg == self.caller
            || [self.ai, self.human, self.parked].contains(&Some(leg))
            || self.transfer.as_ref().is_some_and(|transfer| transfer.tries(leg))
    }

    /// Whose place a leg is to take whose port has opened.
    pub(super) fn replaces(&self, new: LegId) -> Option<LegId> {
        self.replacing.iter().find(|(it, _)| *it == new).map(|(_, old)| *old)
    }

    /// The port of `new` is open: it takes the place of `old`, whose peer is hung up on after the audio has moved.
    pub(super) fn take_place(&mut self, step: &mut Step<'_>, new: LegId, old: LegId) {
        self.replacing.retain(|(it, _)| *it != new);
        let there = self.leg(old).is_some_and(|it| !it.is_closing()) && self.has_part(old);
        let codec = self.leg(old).and_then(Leg::codec);
        let answered = self.leg_mut(new).filter(|_| there).map(|leg| leg.answer(step, codec));
        let refusal = match answered {
            Some(Ok(_)) => None,
            Some(Err(refusal)) => Some(refusal.status),
            None => Some(481),
        };
        if refusal.is_some() {
            if let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == new) {
                if let Some(port) = leg.port {
                    self.counting.push((port, leg.record.name.clone()));
                }
                leg.hang_up(step, refusal);
            }
            return;
        }
        let name = |leg: Option<&Leg>| leg.map(|leg| leg.record.name.clone()).unwrap_or_default();
        let (leg, by) = (name(self.leg(old)), name(self.leg(new)));
        let peer = self.leg(new).map(|leg| leg.record.peer.clone()).unwrap_or_default();
        step.publish(Happening::LegReplaced { leg, by, peer });
        let ai_was_up = self.ai_is_up();
        if self.caller == old {
            self.stop_measuring(step);
            self.caller = new;
        }
        for part in [&mut self.ai, &mut self.human, &mut self.parked] {
            if *part == Some(old) {
                *part = Some(new);
            }
        }
        if let Some(transfer) = &mut self.transfer
            && transfer.tries(old)
        {
            let acts = transfer.replaced(step, old, new);
            self.carry_out(step, acts);
        }
        if self.ai == Some(new) && !ai_was_up {
            step.disarm(crate::step::Timer::AiAnswer(old));
            self.ai_answered(step, new);
        }
        // The audio moves first, so that nobody hears a gap.
        self.replan(step);
        self.drop_leg(step, old);
    }

    /// The caller's first answer, whichever leg was theirs then.
    pub(super) fn first_answer(&self, story: &crate::story::Story) -> Option<crate::Time> {
        let live = self.legs.iter().map(|leg| &leg.record);
        live.chain(&story.legs).filter(|leg| leg.party == Party::Caller).filter_map(|leg| leg.answered).min()
    }
}
