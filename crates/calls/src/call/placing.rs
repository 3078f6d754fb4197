//! A call that we place: an agent is rung first, and when they have taken it, the caller is called for them.
//!
//! ```text
//!  Transferring (to the agent) ──they take it──> the caller is dialled ──answers──> WithHuman
//!        │ nobody takes it                             │ no answer, busy, the agent hangs up
//!        v                                             v
//!      Ending                                        Ending
//! ```
//! From the bridge on it is a call like any other: its human can hand the caller on, or to the AI.

use super::{About, Call, ways::Outgoing};
use crate::{
    CallbackId, EndCause, Happening, Party, Source, dial,
    directory::Tried,
    identity,
    leg::Leg,
    plan::{Playing, Then},
    step::{Step, Timer},
};
use policy::{Cause, Facts, TransferSpec};
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Why and whom we call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Placed {
    pub(super) callback: CallbackId,
    number: String,
    /// Who has taken the call and waits for the caller.
    waits: Option<LegId>,
    /// What they hear meanwhile.
    ringing: u32,
    reached: bool,
    told: bool,
}

impl Call {
    /// A call without a caller yet; `caller` is the leg they will have.
    pub(crate) fn place(about: About, facts: Facts, caller: LegId, callback: CallbackId) -> Self {
        let number = about.from.clone().unwrap_or_default();
        let placed = Placed { callback, number, waits: None, ringing: 0, reached: false, told: false };
        Self { placed: Some(placed), ..Self::without_caller(about, caller, facts) }
    }

    /// Whether we called, and nobody called us.
    pub(crate) fn is_placed(&self) -> bool {
        self.placed.is_some()
    }

    /// The agent is rung.
    pub(crate) fn ring_first(&mut self, step: &mut Step<'_>, spec: TransferSpec, callback: CallbackId) {
        if !step.config.limits.call_duration.is_zero() {
            step.arm(Timer::MaxDuration, step.config.limits.call_duration);
        }
        let _ = self.begin_transfer(step, Source::Callback { callback }, spec);
        self.settle(step);
    }

    pub(super) fn caller_is_to_be_called(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.waits.is_none() && !placed.reached)
    }

    /// The caller is being called, and has not answered.
    pub(super) fn is_calling_caller(&self) -> bool {
        self.placed.as_ref().is_some_and(|placed| placed.waits.is_some() && !placed.reached)
    }

    /// What an agent hears who waits for the caller.
    pub(super) fn waits_for_caller(&self, leg: LegId) -> Option<Playing> {
        let placed = self.placed.as_ref().filter(|placed| placed.waits == Some(leg) && !placed.reached)?;
        Some(Playing { number: placed.ringing, first: SmallVec::new(), then: Then::Ringback })
    }

    /// The agent has taken the call: now the caller.
    pub(super) fn call_caller(&mut self, step: &mut Step<'_>, agent: LegId) {
        let ringing = self.new_player();
        let Some(placed) = &mut self.placed else { return };
        (placed.waits, placed.ringing) = (Some(agent), ringing);
        let target = format!("tel:{}", placed.number);
        let through = step.config.callbacks.trunk.clone();
        let routes = dial::human(step.config, &target, through.as_deref(), "", false).unwrap_or_default();
        let mut ways = self.ordered(step, routes);
        let caller = self.caller;
        step.shared.legs.insert(caller, step.key);
        let Some(route) = Self::first_free(step, caller, &mut ways) else {
            step.shared.legs.remove(&caller);
            return self.caller_not_reached(step, Cause::Unreachable, None);
        };
        step.arm(Timer::CallerRing, step.config.callbacks.ring_timeout);
        self.dial_caller_by(step, caller, route, ways);
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
        let target = format!("tel:{}", placed.number);
        let trunk_name = route.peer.trunk().unwrap_or_default().to_owned();
        let trunk = step.config.trunks.get(&trunk_name);
        let target = trunk.map_or_else(|| target.clone(), |trunk| dial::request_uri(trunk, &target));
        // They see the number that they had called, whatever the trunk shows of callers otherwise.
        let own = identity::Identity::of_number(&self.about.to);
        let host = dial::own_host(step.config, self.about.local);
        let whom = identity::Whom { trunk, called: &self.about.to, host: &host, forwarded_to: None, passes: &[] };
        let shown = identity::show(&own, &whom);
        let terms = step.config.terms_of(&route);
        let agreed = placed.waits.and_then(|agent| self.leg(agent)).and_then(Leg::codec);
        let mut codecs = step.config.media.codecs_of(trunk.map(|trunk| &trunk.codecs)).to_vec();
        codecs.sort_by_key(|codec| Some(*codec) != agreed);
        let record = self.leg_record(step, "caller".to_owned(), Party::Caller, &target, &trunk_name);
        let outgoing = Outgoing {
            record,
            target: target.into(),
            from: shown.from,
            headers: shown.headers,
            terms,
            codecs,
            ring: step.config.callbacks.ring_timeout,
        };
        self.about.trunk = trunk_name;
        self.dial_leg(step, leg, (route, ways), outgoing);
    }

    /// The caller answered: both hear each other.
    pub(super) fn caller_reached(&mut self, step: &mut Step<'_>) {
        let Some(placed) = &mut self.placed else { return };
        placed.reached = true;
        let agent = placed.waits;
        step.disarm(Timer::CallerRing);
        if let Some(caller) = self.leg(self.caller).map(|caller| caller.sip_call_id.clone()) {
            self.about.sip_call_id = caller;
        }
        step.publish(Happening::CallAnswered { by: Party::Caller });
        if let Some(agent) = agent {
            self.bridge(step, agent);
        }
    }

    /// The caller came to nothing: the agent is let go.
    pub(super) fn caller_not_reached(&mut self, step: &mut Step<'_>, cause: Cause, sip_code: Option<u16>) {
        if !self.is_calling_caller() {
            return;
        }
        self.callback_tried(step, Tried::NoCaller(cause.name()));
        self.end(step, EndCause::NotReached, "caller", sip_code);
    }

    /// What became of the callback that this call is for. Only the first word counts.
    pub(super) fn callback_tried(&mut self, step: &mut Step<'_>, tried: Tried<'_>) {
        if let Some(placed) = &mut self.placed
            && !std::mem::replace(&mut placed.told, true)
        {
            let bounds = step.config.callbacks.bounds();
            step.shared.directory.callback_tried(step.key, tried, bounds, step.now);
        }
    }

    /// The call ends, and nobody was connected.
    pub(super) fn callback_came_to_nothing(&mut self, step: &mut Step<'_>, end: EndCause) {
        if self.placed.as_ref().is_none_or(|placed| placed.told) {
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
