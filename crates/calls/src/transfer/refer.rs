//! A cold transfer by REFER to the caller's trunk (RFC 3515), and its way back to bridging.
//!
//! ```text
//! wants_refer ──Act::Refer──> asked ──2xx told──> carried out: the call ends here
//!      │ cannot be asked        │ refused, silent, or the trunk's call failed
//!      └────────────────────────┴──> the same target, and those after it, are dialled by us
//! ```

use super::{Acts, Referring, Transfer};
use crate::{
    Happening, TransferState,
    step::{Step, Timer},
};
use policy::{Cause, ColdBy, Mode, Place};
use signaling::LegId;
use std::sync::Arc;

impl Transfer {
    /// Whether the next target is one for the caller's trunk.
    pub(super) fn wants_refer(&self, target: &str) -> bool {
        self.referring == Referring::Untried
            && self.spec.cold_by == ColdBy::Refer
            && self.spec.mode == Mode::Cold
            && matches!(self.spec.place, Place::Dial(_))
            // Agents are ours to ring: nobody else knows whether they are free.
            && !target.starts_with("agent:")
    }

    /// Whether the destination's first target is one for the caller's trunk.
    pub(super) fn refers_first(&self) -> bool {
        let Place::Dial(dial) = &self.spec.place else { return false };
        dial.targets.first().is_some_and(|target| self.wants_refer(target))
    }

    /// Whether the trunk of this caller was asked, and has not told the outcome.
    pub(crate) fn asked(&self, caller: LegId) -> bool {
        matches!(&self.referring, Referring::Asked { caller: asked, .. } if *asked == caller)
    }

    /// The caller's trunk cannot be asked: we dial.
    pub(crate) fn refer_unasked(&mut self, step: &mut Step<'_>) -> Acts {
        self.referring = Referring::Over;
        let mut acts = Acts::new();
        self.dial_on(step, &mut acts);
        acts
    }

    /// The caller's trunk was asked. It has as long as a phone may ring.
    pub(crate) fn refer_asked(&mut self, step: &mut Step<'_>, target: &Arc<str>, caller: LegId) {
        let number = self.next_attempt();
        self.note_attempt(step, number, target, None, "caller".to_owned());
        self.referring = Referring::Asked { number, target: Arc::clone(target), caller };
        step.arm(Timer::Ring(caller), self.spec.ring_timeout);
        self.restate();
    }

    /// The phone that the trunk calls rings.
    pub(crate) fn refer_rings(&mut self, step: &mut Step<'_>, sip_code: u16) {
        let Referring::Asked { number, target, .. } = &self.referring else { return };
        let (number, target, time) = (*number, target.to_string(), step.time());
        let record = self.record.attempts.iter_mut().find(|record| record.attempt == number);
        if let Some(record) = record.filter(|record| record.ringing.is_none()) {
            record.ringing = Some(time);
            let transfer = self.record.id;
            step.publish(Happening::AgentRinging { transfer, attempt: number, target, sip_code });
        }
    }

    /// The trunk has called the caller away: attempt, destination, target.
    pub(crate) fn refer_done(&mut self, step: &Step<'_>) -> Option<(u32, String, String)> {
        let Referring::Asked { number, target, .. } = &self.referring else { return None };
        let (number, target) = (*number, target.to_string());
        let record = self.record.attempts.iter_mut().find(|record| record.attempt == number)?;
        record.answered = Some(step.time());
        Some((number, self.spec.to.to_string(), target))
    }

    /// The trunk did not, or what it called did not answer: we dial, the same target first.
    pub(crate) fn refer_failed(&mut self, step: &mut Step<'_>, cause: Cause, sip_code: Option<u16>) -> Acts {
        let Referring::Asked { number, target, caller } = std::mem::replace(&mut self.referring, Referring::Over)
        else {
            return Acts::new();
        };
        step.disarm(Timer::Ring(caller));
        self.last = Some((cause, sip_code));
        if let Some(record) = self.record.attempts.iter_mut().find(|record| record.attempt == number) {
            record.ended = Some(step.time());
            record.cause = Some(cause);
            record.sip_code = sip_code;
        }
        let destination = self.spec.to.to_string();
        self.failed(step, number, destination, target.to_string(), cause, sip_code, "bridging".to_owned());
        let mut acts = Acts::new();
        self.dial_on(step, &mut acts);
        acts
    }

    /// The transfer is over in this state.
    pub(super) fn refer_closed(&mut self, step: &mut Step<'_>, state: TransferState) {
        let Referring::Asked { number, caller, .. } = std::mem::replace(&mut self.referring, Referring::Over) else {
            return;
        };
        step.disarm(Timer::Ring(caller));
        let record = self.record.attempts.iter_mut().find(|record| record.attempt == number);
        if let Some(record) = record.filter(|_| state != TransferState::Referred) {
            record.ended = Some(step.time());
        }
    }
}
