//! REFER the other way round: the trunk that brought the caller is asked to call them away (RFC 5589 section 6).

use super::Call;
use crate::{
    EndCause, Happening, TransferState, cause, dial,
    step::{Step, Timer},
    transfer::{Acts, Transfer},
};
use core::time::Duration;
use policy::Cause;
use signaling::{Command, EndedBy, LegId, Refer, Referral};
use std::sync::Arc;

/// How much longer than a phone may ring the trunk may be silent, so that our own timer comes first.
const TIMER_FIRST: Duration = Duration::from_secs(5);

impl Call {
    /// Asks the caller's trunk, if its profile and what is known of it allow that and the target means something to it.
    pub(super) fn refer_caller(&mut self, step: &mut Step<'_>, target: &Arc<str>) -> Acts {
        let usage = self.leg(self.caller).filter(|caller| caller.is_up()).map(|caller| caller.usage);
        let name = self.about.trunk.as_str();
        let trunk = step.config.trunks.get(name).filter(|trunk| trunk.refers);
        let allowed = trunk.filter(|_| step.shared.trunks.may_refer(name, step.now.monotonic));
        // A phone of ours is nothing that a trunk could call.
        let foreign = step.config.agents.account(target).is_none() && dial::fault(target).is_none();
        let (Some(usage), Some(trunk), true) = (usage, allowed, foreign) else {
            return self.transfer.as_mut().map(|transfer| transfer.refer_unasked(step)).unwrap_or_default();
        };
        let ring_timeout = self.transfer.as_ref().map(|transfer| transfer.spec.ring_timeout).unwrap_or_default();
        let refer = Refer {
            to: dial::request_uri(trunk, target),
            replaces: None,
            referred_by: Some(format!("sip:{}", dial::own_host(step.config, self.about.local))),
            subscribe: true,
            timeout: ring_timeout + TIMER_FIRST,
        };
        step.signaling(Command::Refer { leg: usage, refer: Box::new(refer) });
        if let Some(transfer) = &mut self.transfer {
            transfer.refer_asked(step, target, self.caller);
        }
        Acts::new()
    }

    /// What became of it.
    pub(super) fn referral(&mut self, step: &mut Step<'_>, usage: LegId, referral: Referral) {
        let from_caller = self.leg(self.caller).is_some_and(|caller| caller.usage == usage);
        let asked = self.transfer.as_ref().is_some_and(|transfer| transfer.asked(self.caller));
        let trunk = self.about.trunk.clone();
        match referral {
            Referral::Accepted { .. } if from_caller => step.shared.trunks.referred(&trunk, true, step.now.monotonic),
            Referral::Refused { status } if from_caller && takes_none(status) => {
                step.shared.trunks.referred(&trunk, false, step.now.monotonic);
            }
            _ => {}
        }
        // An outcome that comes after we have begun to dial ourselves changes nothing: the trunk hangs up if it has the caller.
        if !from_caller || !asked {
            return;
        }
        match referral {
            Referral::Accepted { .. } => {}
            Referral::Progress { status } => {
                if status >= 180 {
                    self.tell_referrer(step, status);
                    if let Some(transfer) = &mut self.transfer {
                        transfer.refer_rings(step, status);
                    }
                }
            }
            Referral::Done { status: Some(200..=299) } => self.called_away(step),
            Referral::Done { status } => {
                let cause = status.map_or(Cause::Failed, |status| cause::of_attempt(EndedBy::Refused, Some(status)));
                self.with_transfer(step, |transfer, step| transfer.refer_failed(step, cause, status));
            }
            Referral::Refused { status } => {
                self.with_transfer(step, |transfer, step| transfer.refer_failed(step, Cause::Failed, Some(status)));
            }
            Referral::TimedOut => {
                self.with_transfer(step, |transfer, step| transfer.refer_failed(step, Cause::NoAnswer, None));
            }
        }
    }

    /// The caller talks to somebody without us: there is nothing left to do here.
    fn called_away(&mut self, step: &mut Step<'_>) {
        let done = self.transfer.as_mut().and_then(|transfer: &mut Box<Transfer>| transfer.refer_done(step));
        let Some((transfer, _)) = self.finish_transfer(step, TransferState::Referred) else { return };
        if let Some((attempt, destination, target)) = done {
            step.publish(Happening::TransferReferred { transfer, attempt, destination, target });
        }
        step.disarm(Timer::Measure);
        self.release_parked(step);
        self.end(step, EndCause::Referred, "us", None);
    }
}

/// Statuses that are about REFER itself, not about this one.
fn takes_none(status: u16) -> bool {
    matches!(status, 403 | 405 | 420 | 489 | 501 | 603)
}
