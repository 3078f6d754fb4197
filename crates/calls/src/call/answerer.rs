//! Human or machine: what has answered a leg that we dialled, as far as its sound tells.
//!
//! On a human's leg a machine is a failed attempt with the cause `machine`, and nobody is joined with anybody before it is known that
//! they are none; where it cannot be told, whoever answered is somebody. Whom we call is given to their AI or destination in the
//! moment they answer, and listened to meanwhile.

use super::{Call, Stage};
use crate::{AmdRecord, EndCause, Happening, Observation, OnMachine, Party, step::Step};
use media_relay::{Command, Finding, PortId};
use policy::{AnsweredBy, CallFact, Cause};
use signaling::LegId;

impl Call {
    /// From now on `leg` is listened to, or no longer.
    pub(super) fn listen_for_machine(&self, step: &mut Step<'_>, leg: LegId, on: bool) {
        if let Some(port) = self.leg(leg).and_then(|leg| leg.port) {
            let detection = on.then_some(step.config.media.detection);
            step.media(Command::Detect { port, detection });
        }
    }

    /// What has answered at `port`.
    pub(super) fn answerer(&mut self, step: &mut Step<'_>, port: PortId, finding: Finding) {
        let Some(leg) = self.leg_of_port(port) else { return };
        let (id, name, party) = (leg.id, leg.record.name.clone(), leg.party());
        let amd = AmdRecord::from(finding);
        if id == self.caller {
            return self.person_is(step, name, amd);
        }
        let Some(acts) = self.transfer.as_mut().and_then(|transfer| transfer.answerer(step, id, name, amd)) else {
            return;
        };
        step.observe(Observation::Answerer { party, result: amd.result });
        self.carry_out(step, acts);
    }

    /// What has answered whom we called.
    fn person_is(&mut self, step: &mut Step<'_>, leg: String, amd: AmdRecord) {
        let Some(person) = self.person_mut().filter(|person| person.amd.is_none()) else { return };
        person.amd = Some(amd);
        let on_machine = person.on_machine;
        step.publish(Happening::AmdResult { leg, transfer: None, attempt: None, amd });
        step.observe(Observation::Answerer { party: Party::Caller, result: amd.result });
        self.facts.note(step.now, &CallFact::AnsweredBy(amd.result));
        // A human of ours who has them already hears for themselves.
        let ends = amd.result == AnsweredBy::Machine && on_machine == OnMachine::HangUp;
        if ends && !matches!(self.stage, Stage::WithHuman { .. }) {
            return self.end_because(step, (EndCause::NotReached, Some(Cause::Machine)), "us", None);
        }
        self.answer_askers(step);
        self.run_rules(step, "amd");
    }

    /// What answered our call, where that is known.
    pub(super) fn answered_by(&self) -> Option<AmdRecord> {
        self.person()?.amd
    }
}
