//! The caller is asked whether they agree to be recorded, before an AI has them.
//!
//! ```text
//!  arrived ──`when: consent`──> prompt ──over, no key is configured──────────────> the AI is dialled
//!                                 │  └──over──> waiting ──[`Timer::Consent`]──────────^
//!                                 └────────────────┴──a key, the event `consent`──────┘
//! ```
//! Nothing is recorded until they agree; who says nothing has not agreed, and the event may still say so later.

use super::{Call, Stage};
use crate::{
    ConsentBy, Happening,
    step::{Step, Timer},
};

impl Call {
    /// Asks, where the caller is to be asked. To be called before the rules are.
    pub(super) fn ask_consent(&mut self, step: &mut Step<'_>) {
        let Some(consent) = step.config.recording.consent.clone().filter(|_| self.awaits_consent(step)) else { return };
        self.asked = true;
        self.announce(step, consent.prompt);
    }

    /// The prompts before the AI are over; true when the caller has time left to press a key.
    pub(super) fn may_still_consent(&mut self, step: &mut Step<'_>) -> bool {
        let Some(consent) = &step.config.recording.consent else { return false };
        let by_key = consent.yes.or(consent.no).is_some();
        if !self.asked || !by_key || self.recording.consent.is_some() || step.timers.deadline(Timer::Consent).is_some()
        {
            return false;
        }
        step.arm(Timer::Consent, consent.wait);
        true
    }

    /// [`Timer::Consent`]: no key is an answer too.
    pub(super) fn consent_over(&mut self, step: &mut Step<'_>) {
        self.asked = false;
        step.disarm(Timer::Consent);
        if self.stage == Stage::Connecting && (self.ai.is_none() || self.keeps_person()) {
            self.announced(step);
        }
    }

    /// A key of a caller who is being asked; true when it was an answer.
    pub(super) fn answers_consent(&mut self, step: &mut Step<'_>, key: char) -> bool {
        let asked = self.asked && self.stage == Stage::Connecting && self.recording.consent.is_none();
        let Some(consent) = step.config.recording.consent.as_ref().filter(|_| asked) else { return false };
        let granted = match key {
            key if consent.yes == Some(key) => true,
            key if consent.no == Some(key) => false,
            _ => return false,
        };
        self.consented(step, granted, ConsentBy::Digit);
        true
    }

    /// The caller said whether they agree.
    pub(super) fn consented(&mut self, step: &mut Step<'_>, granted: bool, by: ConsentBy) {
        if self.recording.consent.replace(granted) != Some(granted) {
            step.publish(Happening::RecordingConsent { granted, by });
        }
        // Who thinks no longer need not wait; a prompt is heard to its end.
        if step.timers.deadline(Timer::Consent).is_some() {
            self.consent_over(step);
        }
    }
}
