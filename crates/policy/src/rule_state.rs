//! What a call remembers of each rule: whether its condition already held, when it rests, how often it acted.

use clock::Monotonic;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One entry a rule, in the order of `ids`. A reload gives the rules other places; entries move along by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RuleState {
    pub(crate) ids: Arc<[Arc<str>]>,
    pub(crate) rules: Vec<OneRule>,
    /// Whether each of the set's opening hours is open, and until when (Unix milliseconds) that is known.
    pub(crate) hours: Vec<KnownHours>,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct OneRule {
    /// The condition held when it was last looked at in the rule's phase, or has held since the rule acted.
    pub(crate) held: bool,
    /// How often it acted in this call.
    pub(crate) acted: u32,
    /// The last moment that a rest counts from.
    pub(crate) rests_from: Option<Monotonic>,
}

#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct KnownHours {
    pub(crate) open: bool,
    pub(crate) from_ms: u64,
    pub(crate) until_ms: u64,
}

impl RuleState {
    /// The transfer that `rule` decided has failed: it rests from now.
    pub(crate) fn failed(&mut self, rule: &str, now: Monotonic) {
        if let Some(at) = self.ids.iter().position(|id| **id == *rule) {
            self.rules[at].rests_from = Some(now);
        }
    }

    /// Takes the order of a rule set; what is known of a rule follows its id.
    pub(crate) fn align(&mut self, ids: &Arc<[Arc<str>]>) {
        if Arc::ptr_eq(&self.ids, ids) && self.rules.len() == ids.len() {
            return;
        }
        let known =
            |id: &Arc<str>| self.ids.iter().position(|old| old == id).and_then(|at| self.rules.get(at)).copied();
        self.rules = ids.iter().map(|id| known(id).unwrap_or_default()).collect();
        self.ids = Arc::clone(ids);
        self.hours.clear();
    }
}
