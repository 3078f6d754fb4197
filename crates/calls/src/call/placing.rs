//! A call that we place. For a callback an agent is rung first, and when they have taken it, the caller is called for them:
//!
//! ```text
//!  Transferring (to the agent) ──they take it──> the caller is dialled ──answers──> WithHuman
//!        │ nobody takes it                             │ no answer, busy, the agent hangs up
//!        v                                             v
//!      Ending                                        Ending
//! ```
//! For an AI or a destination it is the person who is called first (`outbound.rs`). From the bridge, or their answer, on it is a call
//! like any other.

use super::{About, Call, outbound::Person, ways::Outgoing};
use crate::{
    CallbackId, EndCause, Happening, Party, Source, dial,
    directory::Tried,
    identity::Identity,
    leg::Leg,
    plan::{Playing, Then},
    step::{Step, Timer},
};
use core::time::Duration;
use policy::{Cause, Facts, TransferSpec};
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Whom we call and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Placed {
    /// What is dialled.
    pub(super) target: String,
    /// How long their phone rings.
    pub(super) ring: Duration,
    /// They answered.
    pub(super) reached: bool,
    pub(super) why: Why,
}

/// Why we call them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Why {
    /// They are called back.
    Callback(Back),
    /// An AI or a destination is to talk to them.
    Person(Box<Person>),
}

/// A callback that is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Back {
    callback: CallbackId,
    /// Who has taken the call and waits for the caller.
    waits: Option<LegId>,
    /// What they hear meanwhile.
    ringing: u32,
    told: bool,
}

impl Call {
    /// A call without a caller yet, for a callback; `caller` is the leg they will have.
    pub(crate) fn place(about: About, facts: Facts, caller: LegId, callback: CallbackId, ring: Duration) -> Self {
        let target = format!("tel:{}", about.from.as_deref().unwrap_or_default());
        let why = Why::Callback(Back { callback, waits: None, ringing: 0, told: false });
        Self {
            placed: Some(Placed { target, ring, reached: false, why }),
            ..Self::without_caller(about, caller, facts)
        }
    }

    /// Whether we called, and nobody called us.
    pub(crate) fn is_placed(&self) -> bool {
        self.placed.is_some()
    }

    fn back(&self) -> Option<&Back> {
        match &self.placed.as_ref()?.why {
            Why::Callback(back) => Some(back),
            Why::Person(_) => None,
        }
    }

    fn back_mut(&mut self) -> Option<&mut Back> {
        match &mut self.placed.as_mut()?.why {
            Why::Callback(back) => Some(back),
            Why::Person(_) => None,
        }
    }

    /// The callback that is carried out.
    pub(super) fn callback(&self) -> Option<CallbackId> {
        self.back().map(|back| back.callback)
    }

    /// The agent is rung.
    pub(crate) fn ring_first(&mut self, step: &mut Step<'_>, spec: TransferSpec, callback: CallbackId) {
        if !step.config.limits.call_duration.is_zero() {
            step.arm(Timer::MaxDuration, step.config.limits.call_duration);
        }
        let _ = self.begin_transfer(step, Source::Callback { callback }, spec);
        self.settle(step);
    }

    /// Whether we are about to call the caller, or are calling them: nobody is there yet.
    pub(super) fn caller_is_missing(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| !placed.reached)
    }

    pub(super) fn caller_is_to_be_called(&self) -> bool {
        self.back().is_some_and(|back| back.waits.is_none()) && !self.is_reached()
    }

    fn is_reached(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.reached)
    }

    /// The caller is being called, and has not answered.
    pub(super) fn is_calling_caller(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| {
            !placed.reached && !matches!(&placed.why, Why::Callback(back) if back.waits.is_none())
        })
    }

    /// What an agent hears who waits for the caller.
    pub(super) fn waits_for_caller(&self, leg: LegId) -> Option<Playing> {
        let back = self.back().filter(|back| back.waits == Some(leg) && !self.is_reached())?;
        Some(Playing { number: back.ringing, first: SmallVec::new(), words: None, then: Then::Ringback })
    }

    /// The agent has taken the call: now the caller.
    pub(super) fn call_caller(&mut self, step: &mut Step<'_>, agent: LegId) {
        let ringing = self.new_player();
        let Some(back) = self.back_mut() else { return };
        (back.waits, back.ringing) = (Some(agent), ringing);
        let through = step.config.callbacks.trunk.clone();
        let target = self.placed.as_ref().map(|placed| placed.target.clone()).unwrap_or_default();
        let routes = dial::human(step.config, &target, through.as_deref(), "", false).unwrap_or_default();
        let mut ways = Self::ordered(step, routes, &self.about.trunk);
        let caller = self.caller;
        step.shared.legs.insert(caller, step.key);
        let Some(route) = Self::first_free(step, caller, &mut ways) else {
            step.shared.legs.remove(&caller);
            return self.caller_not_reached(step, Cause::Unreachable, None);
        };
        self.ring_caller(step, route, ways);
    }

    /// Their phone is rung, for as long as it may.
    pub(super) fn ring_caller(&mut self, step: &mut Step<'_>, route: dial::Route, ways: VecDeque<dial::Route>) {
        let ring = self.placed.as_ref().map(|placed| placed.ring).unwrap_or_default();
        step.arm(Timer::CallerRing, ring);
        self.dial_caller_by(step, self.caller, route, ways);
    }

    /// Dials the caller by one of the ways; the others are kept for the case that its trunk fails.
    pub(super) fn dial_caller_by(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        route: dial::Route,
        ways: VecDeque<dial::Route>,
    ) {
        let Some(placed) = &self.placed else { return };
        let (target, ring) = (&placed.target, placed.ring);
        let trunk_name = route.peer.trunk().unwrap_or_default().to_owned();
        let trunk = step.config.trunks.get(&trunk_name);
        let target = trunk.map_or_else(|| target.clone(), |trunk| dial::request_uri(trunk, target));
        // They see the number that they had called, or ours, whatever the trunk shows of callers otherwise.
        let own = Some(&self.about.to).filter(|own| !own.is_empty());
        let own = own.map_or_else(Identity::default, |own| Identity::of_number(own));
        let shown = self.shown_as(step, &own, &route.peer, None, &[]);
        let terms = step.config.terms_of(&route);
        let waiting = self.back().and_then(|back| back.waits).or(self.ai);
        let agreed = waiting.and_then(|leg| self.leg(leg)).and_then(Leg::codec);
        let mut codecs = step.config.media.codecs_of(trunk.map(|trunk| &trunk.codecs)).to_vec();
        codecs.sort_by_key(|codec| Some(*codec) != agreed);
        let record = self.leg_record(step, "caller".to_owned(), Party::Caller, &target, &trunk_name);
        let outgoing =
            Outgoing { record, target: target.into(), from: shown.from, headers: shown.headers, terms, codecs, ring };
        self.about.trunk = trunk_name;
        self.dial_leg(step, leg, (route, ways), outgoing);
    }

    /// The caller answered: whoever waits for them hears them, and they are heard.
    pub(super) fn caller_reached(&mut self, step: &mut Step<'_>) {
        let Some(placed) = &mut self.placed else { return };
        placed.reached = true;
        step.disarm(Timer::CallerRing);
        if let Some(caller) = self.leg(self.caller).map(|caller| caller.sip_call_id.clone()) {
            self.about.sip_call_id = caller;
        }
        step.publish(Happening::CallAnswered { by: Party::Caller });
        match self.back() {
            Some(Back { waits: Some(agent), .. }) => {
                let agent = *agent;
                self.bridge(step, agent);
            }
            Some(_) => {}
            None => self.person_answered(step),
        }
    }

    /// The caller came to nothing: whoever waits for them is let go.
    pub(super) fn caller_not_reached(&mut self, step: &mut Step<'_>, cause: Cause, sip_code: Option<u16>) {
        if !self.is_calling_caller() {
            return;
        }
        self.callback_tried(step, Tried::NoCaller(cause.name()));
        self.end_because(step, (EndCause::NotReached, Some(cause)), "caller", sip_code);
    }

    /// What became of the callback that this call is for. Only the first word counts.
    pub(super) fn callback_tried(&mut self, step: &mut Step<'_>, tried: Tried<'_>) {
        if let Some(back) = self.back_mut()
            && !std::mem::replace(&mut back.told, true)
        {
            let bounds = step.config.callbacks.bounds();
            step.shared.directory.callback_tried(step.key, tried, bounds, step.now);
        }
    }

    /// The call ends, and nobody was connected.
    pub(super) fn callback_came_to_nothing(&mut self, step: &mut Step<'_>, end: EndCause) {
        if self.back().is_none_or(|back| back.told) {
            return;
        }
        let failure = self.transfer.as_ref().and_then(|transfer| transfer.last_failure());
        let last = step.story.transfers.last().and_then(|transfer| transfer.cause);
        let why = match (end, failure.map(|(cause, _)| cause).or(last)) {
            (EndCause::NobodyLeft, Some(cause)) => cause.name(),
            (EndCause::Shutdown, _) => "interrupted",
            (EndCause::Command, _) => "by command",
            _ => "failed",
        };
        self.callback_tried(step, Tried::NoAgent(why));
    }
}
