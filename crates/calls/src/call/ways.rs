//! Ways to a target: the trunks that may carry a leg, in order, and the next one when a trunk fails an attempt by its own
//! fault. What the callee answers (486, 603, any 4xx) is an answer and not a fault.

use super::Call;
use crate::{
    LegRecord, Party, cause,
    config::Terms,
    dial::{Hop, Route},
    leg::{Leg, Order, Peer},
    step::{Step, Timer},
};
use core::time::Duration;
use policy::Cause;
use sdp::Codec;
use signaling::{EndedBy, LegId};
use std::{collections::VecDeque, sync::Arc};

/// How much longer than its timer an INVITE may live, so that the timer, whose cause is known, comes first.
const TIMER_FIRST: Duration = Duration::from_secs(5);

/// What an INVITE of ours says, whichever way it takes.
pub(super) struct Outgoing {
    pub(super) record: LegRecord,
    /// Its Request-URI, unless it goes to a registered phone.
    pub(super) target: Arc<str>,
    pub(super) from: signaling::Party,
    pub(super) headers: Vec<(String, String)>,
    pub(super) terms: Terms,
    /// Offered, best first.
    pub(super) codecs: Vec<Codec>,
    /// How long it may ring.
    pub(super) ring: Duration,
}

/// Why a leg that was dialled through a trunk came to nothing.
#[derive(Copy, Clone, Debug)]
pub(super) enum Failure {
    /// Its INVITE ended. `rests`: for how long nobody there wants another.
    Ended { by: EndedBy, sip_code: Option<u16>, rests: Option<Duration> },
    /// It was never sent.
    Unsent { cause: Cause, rests: Option<Duration> },
}

impl Call {
    /// The candidates in the order in which they are tried; `brought` is the trunk that brought the call.
    pub(crate) fn ordered(step: &mut Step<'_>, routes: Vec<Route>, brought: &str) -> VecDeque<Route> {
        let names: Vec<&str> = routes.iter().filter_map(|route| route.peer.trunk()).collect();
        if names.len() < 2 || names.len() < routes.len() {
            return routes.into();
        }
        let shared = &mut *step.shared;
        let now = step.now.monotonic;
        let names = shared.trunks.order(step.config, names, brought, now, &mut shared.chance);
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let place = |route: &Route| names.iter().position(|name| route.peer.trunk() == Some(name.as_str()));
        let mut routes = routes;
        routes.sort_by_key(place);
        routes.into()
    }

    /// The first way that has a place for `leg`, which it then holds; those that are full are passed over.
    pub(crate) fn first_free(step: &mut Step<'_>, leg: LegId, ways: &mut VecDeque<Route>) -> Option<Route> {
        while let Some(mut route) = ways.pop_front() {
            let Some(name) = route.peer.trunk() else { return Some(route) };
            let Some(trunk) = step.config.trunks.get(name) else { continue };
            match step.shared.trunks.reserve(trunk, name, leg, step.now.monotonic) {
                Ok(()) => {
                    // RFC 3608, section 6.1: calls through a registration take its route.
                    route.routes = step.shared.trunks.service_route(name).to_vec();
                    if let Some(hop) = route.routes.first().and_then(|first| Hop::of_route(first)) {
                        route.hop = hop;
                    }
                    return Some(route);
                }
                Err(full) => tracing::debug!(call = %step.id, trunk = name, ?full, "passed over"),
            }
        }
        None
    }

    /// Dials a leg by one of the ways to it; the others are kept for the case that its trunk fails.
    pub(super) fn dial_leg(
        &mut self,
        step: &mut Step<'_>,
        id: LegId,
        (route, ways): (Route, VecDeque<Route>),
        outgoing: Outgoing,
    ) {
        let Outgoing { record, target, from, headers, terms, codecs, ring } = outgoing;
        // The caller's request goes on one hop further (RFC 3261, section 16.6, step 3); whom we call ourselves, we are the first hop.
        let hops = u8::from(record.party != Party::Caller);
        let order = Order {
            target: route.phone.as_ref().map_or(target, |phone| phone.uri.as_str().into()),
            phone: route.phone,
            hop: route.hop,
            first_response: Self::first_response(step, &route.peer, &ways),
            peer: route.peer,
            from,
            headers,
            max_forwards: self.about.max_forwards.saturating_sub(hops),
            timeout: ring + TIMER_FIRST,
            codecs,
            routes: route.routes,
            insists: self.goes_straight(),
        };
        let mut leg = Leg::outgoing(step, id, record, order, terms);
        leg.ways = ways;
        self.legs.push(leg);
    }

    /// How long a trunk may leave an INVITE without any response, where another could take it.
    pub(super) fn first_response(step: &Step<'_>, peer: &Peer, ways: &VecDeque<Route>) -> Option<Duration> {
        let trunk = peer.trunk().filter(|_| !ways.is_empty())?;
        step.config.trunks.get(trunk).map(|trunk| trunk.first_response)
    }

    /// A leg that was dialled rings or is answered: its trunk is there.
    pub(super) fn trunk_worked(&self, step: &mut Step<'_>, leg: LegId) {
        if let Some(name) = self.leg(leg).and_then(Leg::trunk) {
            step.shared.trunks.worked(name);
        }
    }

    /// A leg came to nothing. Where that was its trunk's fault and another way is left, the same target is dialled by it in
    /// the same attempt. True: another leg has taken its place.
    pub(super) fn fails_over(&mut self, step: &mut Step<'_>, leg: LegId, failure: Failure) -> bool {
        let Some(it) = self.legs.iter_mut().find(|it| it.id == leg) else { return false };
        if it.record.answered.is_some() || it.is_closing() {
            return false;
        }
        let Some(name) = it.trunk().map(str::to_owned) else { return false };
        let (fault, avoid, rests) = match failure {
            Failure::Ended { by, sip_code, rests } => {
                (cause::is_of_the_trunk(by, sip_code), cause::is_trunk_lost(by, sip_code), rests)
            }
            Failure::Unsent { cause, rests } => (cause == Cause::Unreachable, cause == Cause::Unreachable, rests),
        };
        if avoid && it.record.ringing.is_none() {
            step.shared.trunks.failed(&name, step.now, rests);
        }
        let mut ways = core::mem::take(&mut it.ways);
        // A phone that has rung is not rung again by another way.
        if !fault || it.record.ringing.is_some() || ways.is_empty() {
            return false;
        }
        let new = step.new_leg();
        let Some(route) = Self::first_free(step, new, &mut ways) else {
            step.shared.legs.remove(&new);
            return false;
        };
        tracing::info!(call = %step.id, trunk = name, next = route.peer.trunk(), "the trunk failed: the next one");
        if self.ai == Some(leg) {
            step.rename(Timer::AiAnswer(leg), Timer::AiAnswer(new));
            self.ai = Some(new);
            self.dial_ai_by(step, new, route, ways);
            return true;
        }
        if self.caller == leg {
            self.caller = new;
            self.dial_caller_by(step, new, route, ways);
            return true;
        }
        if self.supervisor_moves(step, leg, new, &route, &ways) {
            return true;
        }
        let moved = self.transfer.as_mut().and_then(|transfer| transfer.moved(step, leg, new));
        match moved {
            Some((target, name)) => {
                self.dial_human_by(step, new, &target, &name, route, ways);
                true
            }
            None => {
                step.shared.legs.remove(&new);
                step.shared.trunks.release(new);
                false
            }
        }
    }
}
