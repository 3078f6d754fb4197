//! Supervisors: people who listen to a call, speak to its human alone, or to both. The call itself never waits for one, and follows
//! none of them: who hears what is `plan.rs`'s business, whatever becomes of the caller.

use super::{Call, MOST_LEGS, Stage, ways::Outgoing};
use crate::{
    DoneReply, Happening, Observation, Party, Problem, Reply, SuperviseBody, SuperviseMode, SupervisorState,
    SupervisorSummary, Time,
    dial::{self, Route, Sees},
    headers,
    step::{Step, Timer},
};
use core::time::Duration;
use policy::Cause;
use serde::{Deserialize, Serialize};
use signaling::{Contact, LegId};
use smallvec::{SmallVec, smallvec};
use std::{collections::VecDeque, sync::Arc};

/// How long phones ring where the request does not say.
const RING_TIMEOUT: Duration = Duration::from_secs(20);

/// A call's supervisors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Supervisors {
    /// How many there have been, for their names.
    asked: u32,
    list: SmallVec<[Supervisor; 1]>,
}

/// One of them.
///
/// ```text
///  asked for ──> Ringing ──first phone answers──> Joined ──hang-up, DELETE, end of the call──> left
///                   └─ no answer, refused, nobody there, DELETE ──> failed; the call goes on
/// ```
/// The timer is [`Timer::Supervisor`], in `Ringing`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Supervisor {
    number: u32,
    /// As asked.
    to: String,
    /// What is dialled.
    target: Arc<str>,
    mode: SuperviseMode,
    /// Legs dialled, for their names.
    dialled: u32,
    state: State,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum State {
    Ringing { since: Time, legs: SmallVec<[LegId; 2]> },
    Joined { since: Time, leg: LegId },
}

impl Call {
    /// By the API: rings a supervisor, or changes the mode of one who is there.
    pub(super) fn supervise(&mut self, step: &mut Step<'_>, body: &SuperviseBody) -> Result<Reply, Problem> {
        if matches!(self.stage, Stage::Ending | Stage::Announcing { .. }) {
            return Err(Problem::conflict("the call is ending"));
        }
        if let Some(known) = self.supervisors.list.iter().find(|it| it.to == body.to) {
            let name = known.name();
            return self.change_supervisor(step, &name, body.mode);
        }
        let ring = body.ring_timeout.unwrap_or(RING_TIMEOUT);
        if ring < Duration::from_secs(1) || ring > Duration::from_secs(600) {
            return Err(Problem::invalid("ring_timeout", "expected 1s to 10m"));
        }
        let most = step.config.limits.supervisors;
        if self.supervisors.list.len() >= most {
            return Err(Problem::limit(format!("a call has at most {most} supervisors at once")));
        }
        if usize::try_from(self.supervisors.asked).unwrap_or(usize::MAX) >= step.config.limits.transfers_per_call {
            return Err(Problem::limit("this call has used up its supervisors"));
        }
        let target = Self::supervisor_target(step, &body.to)?;
        let (agent, phones) = self.supervisor_phones(step, &target)?;
        // An agent without a phone of ours is dialled where they are, not by their name.
        let address = agent.as_deref().and_then(|agent| step.shared.directory.address(agent));
        let target = address.unwrap_or(target);
        self.supervisors.asked += 1;
        let (number, time) = (self.supervisors.asked, step.time());
        let state = State::Ringing { since: time, legs: SmallVec::new() };
        let mut supervisor = Supervisor { number, to: body.to.clone(), target, mode: body.mode, dialled: 0, state };
        let mut legs = SmallVec::new();
        for ways in phones {
            legs.extend(self.ring_supervisor(step, &mut supervisor, agent.as_deref(), ways, ring)?);
        }
        if legs.is_empty() {
            return Err(Problem::conflict(format!("{} cannot be rung now: every way there is taken", body.to)));
        }
        supervisor.state = State::Ringing { since: time, legs };
        let summary = supervisor.summary();
        self.supervisors.list.push(supervisor);
        step.arm(Timer::Supervisor(number), ring);
        Ok(Reply::Supervisor(summary))
    }

    /// By the API: who hears a supervisor from now on.
    pub(super) fn change_supervisor(
        &mut self,
        step: &mut Step<'_>,
        name: &str,
        mode: SuperviseMode,
    ) -> Result<Reply, Problem> {
        let found = self.supervisors.list.iter_mut().find(|it| it.name() == name);
        let supervisor = found.ok_or_else(Problem::unknown_supervisor)?;
        if supervisor.mode != mode {
            supervisor.mode = mode;
            step.publish(Happening::SupervisorChanged { supervisor: supervisor.name(), mode });
        }
        Ok(Reply::Supervisor(supervisor.summary()))
    }

    /// By the API: a supervisor is hung up on.
    pub(super) fn end_supervisor(&mut self, step: &mut Step<'_>, name: &str) -> Result<Reply, Problem> {
        let found = self.supervisors.list.iter().position(|it| it.name() == name);
        let supervisor = self.supervisors.list.remove(found.ok_or_else(Problem::unknown_supervisor)?);
        supervisor.gone(step, None, "command");
        for leg in supervisor.legs() {
            self.drop_leg(step, leg);
        }
        Ok(Reply::Done(DoneReply { done: true }))
    }

    /// Whom `to` means.
    fn supervisor_target(step: &Step<'_>, to: &str) -> Result<Arc<str>, Problem> {
        if to.contains(':') {
            return match dial::fault(to) {
                Some(fault) => Err(Problem::invalid("to", fault)),
                None => Ok(to.into()),
            };
        }
        if step.shared.directory.knows(to) || step.shared.registered.contains_key(to) {
            return Ok(format!("agent:{to}").into());
        }
        Err(Problem::invalid("to", "an agent's name, or a URI that starts sip:, sips: or tel: was expected"))
    }

    /// The agent whom a target means, and for each phone of theirs, or for the target itself, the ways to it.
    #[expect(clippy::type_complexity, reason = "two words for two callers' lines")]
    fn supervisor_phones(
        &self,
        step: &Step<'_>,
        target: &Arc<str>,
    ) -> Result<(Option<String>, SmallVec<[Vec<Route>; 2]>), Problem> {
        let account = step.config.agents.account(target);
        let agent = account.filter(|name| step.shared.directory.knows(name)).map(str::to_owned);
        let address = agent.as_deref().and_then(|agent| step.shared.directory.address(agent));
        let phones: SmallVec<[Option<Arc<Contact>>; 2]> = match address {
            Some(_) => smallvec![None],
            None => step.config.agents.phones(&step.shared.registered, target),
        };
        let target = address.as_ref().unwrap_or(target);
        let most = step.config.limits.ringing_at_once.max(1);
        let ways = phones.iter().take(most).map(|phone| match phone {
            Some(phone) => Ok(vec![dial::phone(phone)]),
            None => dial::human(step.config, target, None, &self.about.trunk, false),
        });
        let ways: Result<SmallVec<[Vec<Route>; 2]>, &str> = ways.collect();
        Ok((agent, ways.map_err(|why| Problem::invalid("to", why))?))
    }

    /// Dials one phone, if there is a way to it that is free.
    fn ring_supervisor(
        &mut self,
        step: &mut Step<'_>,
        supervisor: &mut Supervisor,
        agent: Option<&str>,
        ways: Vec<Route>,
        ring: Duration,
    ) -> Result<Option<LegId>, Problem> {
        if self.legs.len() >= MOST_LEGS {
            return Ok(None);
        }
        let leg = step.new_leg();
        if let Some(agent) = agent
            && step.shared.directory.supervises(agent, leg, step.key, step.now.monotonic).is_err()
        {
            step.shared.legs.remove(&leg);
            return Err(Problem::conflict(format!("{agent} is rung or talks already")));
        }
        let mut ways = Self::ordered(step, ways, &self.about.trunk);
        let Some(route) = Self::first_free(step, leg, &mut ways) else {
            step.shared.legs.remove(&leg);
            step.shared.directory.release(leg, step.now.monotonic);
            return Ok(None);
        };
        self.dial_supervisor_by(step, leg, supervisor, route, ways, ring);
        Ok(Some(leg))
    }

    fn dial_supervisor_by(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        supervisor: &mut Supervisor,
        route: Route,
        ways: VecDeque<Route>,
        ring: Duration,
    ) {
        let trunk = route.peer.trunk().and_then(|name| step.config.trunks.get(name));
        let target = &supervisor.target;
        let target = trunk.map_or_else(|| Arc::clone(target), |trunk| dial::request_uri(trunk, target).into());
        let codecs = self.codecs_for(step, trunk.map(|trunk| &trunk.codecs));
        let shown = self.shown_to(step, &route.peer, None, &[]);
        let mut list = shown.headers;
        if route.sees != Sees::Nothing {
            list.push(headers::call_id(self.about.id));
            list.push(("X-Tandem-Supervise".to_owned(), supervisor.mode.name().to_owned()));
        }
        let terms = step.config.terms_of(&route);
        supervisor.dialled += 1;
        let name = match supervisor.dialled {
            1 => supervisor.name(),
            more => format!("{}.{more}", supervisor.name()),
        };
        let record = self.leg_record(step, name, Party::Supervisor, &supervisor.target, &supervisor.to);
        let outgoing = Outgoing { record, target, from: shown.from, headers: list, terms, codecs, ring };
        self.dial_leg(step, leg, (route, ways), outgoing);
    }

    /// A trunk failed a supervisor's leg: `new` goes another way. False: it is no supervisor's.
    pub(super) fn supervisor_moves(
        &mut self,
        step: &mut Step<'_>,
        old: LegId,
        new: LegId,
        route: &Route,
        ways: &VecDeque<Route>,
    ) -> bool {
        let Some(supervisor) = self.supervisors.of(old) else { return false };
        let State::Ringing { legs, .. } = &mut supervisor.state else { return false };
        let Some(at) = legs.iter().position(|leg| *leg == old) else { return false };
        legs[at] = new;
        let mut moved = supervisor.clone();
        step.shared.directory.moved(old, new);
        let until = step.timers.deadline(Timer::Supervisor(moved.number));
        let ring = until.map_or(RING_TIMEOUT, |until| until.since(step.now.monotonic));
        self.dial_supervisor_by(step, new, &mut moved, route.clone(), ways.clone(), ring);
        if let Some(supervisor) = self.supervisors.of(new) {
            supervisor.dialled = moved.dialled;
        }
        true
    }

    /// A leg is answered. False: it is no supervisor's.
    pub(super) fn supervisor_answered(&mut self, step: &mut Step<'_>, leg: LegId) -> bool {
        let time = step.time();
        let Some(supervisor) = self.supervisors.of(leg) else { return false };
        let others = supervisor.legs();
        supervisor.state = State::Joined { since: time, leg };
        step.disarm(Timer::Supervisor(supervisor.number));
        let (supervisor, to, mode) = (supervisor.name(), supervisor.to.clone(), supervisor.mode);
        step.observe(Observation::Supervised { mode, failed: None });
        step.publish(Happening::SupervisorJoined { supervisor, to, mode });
        for other in others.into_iter().filter(|other| *other != leg) {
            self.drop_leg_because(step, other, Some(super::completed_elsewhere()));
        }
        true
    }

    /// A leg is gone, or never came to be. False: it is no supervisor's.
    pub(super) fn supervisor_gone(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        cause: Cause,
        sip_code: Option<u16>,
        by: &str,
    ) -> bool {
        let found = self.supervisors.list.iter().position(|it| it.legs().contains(&leg));
        let Some(at) = found else { return false };
        if let State::Ringing { legs, .. } = &mut self.supervisors.list[at].state {
            legs.retain(|it| *it != leg);
            if !legs.is_empty() {
                return true;
            }
        }
        self.supervisors.list.remove(at).gone(step, Some((cause, sip_code)), by);
        true
    }

    /// [`Timer::Supervisor`] is due.
    pub(super) fn supervisor_rang(&mut self, step: &mut Step<'_>, number: u32) {
        let Some(at) = self.supervisors.list.iter().position(|it| it.number == number) else { return };
        let supervisor = self.supervisors.list.remove(at);
        supervisor.gone(step, Some((Cause::NoAnswer, None)), "us");
        for leg in supervisor.legs() {
            self.drop_leg(step, leg);
        }
    }

    /// The call ends: so does the supervision. Their legs go with all others.
    pub(super) fn supervisors_leave(&mut self, step: &mut Step<'_>) {
        for supervisor in std::mem::take(&mut self.supervisors.list) {
            supervisor.gone(step, None, "us");
        }
    }
}

impl Supervisors {
    /// Who hears the supervisor whose leg this is, when they have joined by it.
    pub(super) fn mode_of(&self, leg: LegId) -> Option<SuperviseMode> {
        let joined = |it: &&Supervisor| matches!(it.state, State::Joined { leg: by, .. } if by == leg);
        self.list.iter().find(joined).map(|it| it.mode)
    }

    /// Whether a supervisor's phone rings by this leg.
    pub(super) fn rings(&self, leg: LegId) -> bool {
        self.list.iter().any(|it| it.legs().contains(&leg))
    }

    /// For the API.
    pub(super) fn summary(&self) -> Vec<SupervisorSummary> {
        self.list.iter().map(Supervisor::summary).collect()
    }

    fn of(&mut self, leg: LegId) -> Option<&mut Supervisor> {
        self.list.iter_mut().find(|it| it.legs().contains(&leg))
    }
}

impl Supervisor {
    fn name(&self) -> String {
        format!("supervisor-{}", self.number)
    }

    fn legs(&self) -> SmallVec<[LegId; 2]> {
        match &self.state {
            State::Ringing { legs, .. } => legs.clone(),
            State::Joined { leg, .. } => smallvec![*leg],
        }
    }

    fn summary(&self) -> SupervisorSummary {
        let (state, since) = match self.state {
            State::Ringing { since, .. } => (SupervisorState::Ringing, since),
            State::Joined { since, .. } => (SupervisorState::Joined, since),
        };
        SupervisorSummary { supervisor: self.name(), to: self.to.clone(), mode: self.mode, state, since }
    }

    /// They are no more, and the outside is told so: that they left, or what kept them from joining.
    fn gone(&self, step: &mut Step<'_>, failed: Option<(Cause, Option<u16>)>, by: &str) {
        step.disarm(Timer::Supervisor(self.number));
        let supervisor = self.name();
        match (&self.state, failed) {
            (State::Ringing { .. }, Some((cause, sip_code))) => {
                step.observe(Observation::Supervised { mode: self.mode, failed: Some(cause) });
                step.publish(Happening::SupervisorFailed { supervisor, to: self.to.clone(), cause, sip_code });
            }
            (state, _) => {
                let duration_ms = match state {
                    State::Joined { since, .. } => step.time().ms_since(*since),
                    State::Ringing { .. } => 0,
                };
                step.publish(Happening::SupervisorLeft { supervisor, by: by.to_owned(), duration_ms });
            }
        }
    }
}
