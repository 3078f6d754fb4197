//! The introduction: after the human's yes the AI, the caller and the human talk with one another, for a while.

use super::{Act, Acts, Side, Transfer};
use crate::{
    Happening, IntroductionEnd,
    step::{Step, Timer},
};
use signaling::LegId;

impl Transfer {
    /// What joins the caller and the human who was won.
    pub(super) fn joining(&self, leg: LegId) -> Act {
        if self.spec.introduce.is_some() { Act::Introduce { leg } } else { Act::Bridge { leg } }
    }

    /// The AI is there: the introduction begins.
    pub(crate) fn introduce(&mut self, step: &mut Step<'_>, leg: LegId) {
        let Some(within) = self.spec.introduce.as_ref().map(|introduce| introduce.within) else { return };
        let Some((attempt, _, target)) = self.winner(leg) else { return };
        self.side = Side::Introducing { since: step.now.monotonic };
        step.arm(Timer::Introduction, within);
        self.restate();
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        step.publish(Happening::IntroductionStarted { transfer: self.record.id, attempt, target, within_ms });
    }

    /// The human to whom the caller is being introduced.
    pub(crate) fn introducing(&self) -> Option<LegId> {
        self.won.filter(|_| matches!(self.side, Side::Introducing { .. }))
    }

    /// The introduction is over, if there is one: caller and human are joined.
    pub(crate) fn introduced(&mut self, step: &mut Step<'_>, by: IntroductionEnd) -> Acts {
        let Some(leg) = self.introducing() else { return Acts::new() };
        self.end_introduction(step, by);
        Acts::from_iter([Act::Bridge { leg }])
    }

    /// Nobody is joined: the caller waits again. True: there was an introduction.
    pub(super) fn not_introduced(&mut self, step: &mut Step<'_>) -> bool {
        self.end_introduction(step, IntroductionEnd::GivenUp)
    }

    fn end_introduction(&mut self, step: &mut Step<'_>, by: IntroductionEnd) -> bool {
        let Side::Introducing { since } = self.side else { return false };
        step.disarm(Timer::Introduction);
        self.side = Side::Waiting { announced: false };
        let lasted = step.now.monotonic.since(since).as_millis();
        let lasted_ms = u64::try_from(lasted).unwrap_or(u64::MAX);
        step.publish(Happening::IntroductionEnded { transfer: self.record.id, by, lasted_ms });
        true
    }
}
