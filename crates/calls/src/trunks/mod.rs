//! Trunks: which of them are there, how much they carry, which takes the next call. One owner for all calls, never sharded.
//!
//! It asks ([`signaling::OutsideCommand`]) and is told; a call asks it for an order of trunks, reserves a place on one, and
//! tells it what came of the call.

mod config;
pub(crate) mod health;
mod order;
mod rate;

pub use config::{OptionsPing, TrunkLimits, TrunkRegistration};
pub(crate) use rate::Bucket;

use crate::{
    AGENTS, Config, Happening, Output, Time, Trunk, TrunkList, TrunkSummary,
    dial::{self, Hop},
    ids::ResolveId,
};
use clock::{Monotonic, Now, Timers};
use core::time::Duration;
use health::{Health, Heard};
use rustc_hash::FxHashMap;
use signaling::{EndedBy, LegId, OutsideCommand, OutsideEvent, OutsideId, Ping, Register, locate::Target};
use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

/// A trunk that failed a call is tried last for this long, unless its pings say that it is there.
const SUSPECTED: Duration = Duration::from_secs(30);
/// How soon a trunk that is in doubt is asked again.
const SOON: Duration = Duration::from_secs(1);
/// How long a trunk that takes no REFER is not asked for another.
const REFERS_AGAIN: Duration = Duration::from_secs(3600);
/// How long a name that is not found is left alone.
const LOCATE_AGAIN: Duration = Duration::from_secs(30);

/// Why no place was found on a trunk.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too many calls at once.
    Calls,
    /// Too many new calls this second.
    Rate,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// When a trunk is asked whether it is there.
    Ping(usize),
    /// When a registrar's name is looked up again.
    Locate(usize),
}

/// What an address is wanted for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Ping,
    Register,
}

/// All trunks.
#[derive(Debug, Default)]
pub(crate) struct Trunks {
    states: Vec<State>,
    by_name: FxHashMap<String, usize>,
    timers: Timers<Timer>,
    /// Calls that registered phones have brought. They are no trunk: nothing is asked of them, and none goes out through them.
    agents: usize,
    /// Places that legs of ours hold.
    legs: FxHashMap<LegId, usize>,
    resolving: FxHashMap<ResolveId, (usize, For)>,
    next_resolve: u64,
    outputs: VecDeque<Output>,
    happenings: VecDeque<Happening>,
}

#[derive(Debug)]
struct State {
    name: String,
    health: Health,
    registration: Registration,
    /// Since when it is as it is.
    since: Time,
    /// The outcome of the last ping in words.
    last: Option<String>,
    /// Where it was asked last.
    address: Option<SocketAddr>,
    /// Every address that its name led to.
    found: Vec<IpAddr>,
    /// A call failed on it: until when it is tried last.
    avoided: Option<Avoided>,
    /// What became of our REFERs to it.
    refers: Refers,
    incoming: usize,
    outgoing: usize,
    rate_in: Bucket,
    rate_out: Bucket,
}

/// That a trunk is tried after all others, or not at all.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
struct Avoided {
    until: Monotonic,
    /// It asked for it (503 with Retry-After), and is sent nothing: nothing but that time lifts it. Else it is only tried last,
    /// until it answers again.
    asked: Option<Time>,
}

/// Whether a trunk calls a caller away when it is asked to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Refers {
    /// It was not asked.
    Unknown,
    /// It took a REFER.
    Takes,
    /// It said that it takes none; asked again after this moment.
    Refuses { until: Monotonic },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Registration {
    /// None is configured.
    None,
    /// The first answer is not here yet.
    Pending,
    Done {
        until: Time,
        service_route: Vec<String>,
    },
    Failed {
        status: Option<u16>,
    },
}

impl State {
    /// Until when it asked to be left alone.
    fn rests(&self, now: Monotonic) -> Option<Time> {
        self.avoided.filter(|avoided| avoided.until > now)?.asked
    }

    /// It answered: what was only suspected of it is not so.
    fn is_there(&mut self) {
        self.avoided.take_if(|avoided| avoided.asked.is_none());
    }

    fn is_available(&self) -> bool {
        self.health.is_up() && matches!(self.registration, Registration::None | Registration::Done { .. })
    }
}

/// A trunk's host, and its port where one is written, as in a URI.
pub(crate) fn authority(trunk: &Trunk) -> String {
    let host = if trunk.host.contains(':') { format!("[{}]", trunk.host) } else { trunk.host.clone() };
    match trunk.port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

/// The two usages of a trunk in `signaling`.
fn ping_id(at: usize) -> OutsideId {
    OutsideId(2 * at as u64)
}

fn registration_id(at: usize) -> OutsideId {
    OutsideId(2 * at as u64 + 1)
}

impl Trunks {
    /// How many entries each table has.
    pub(crate) fn tables(&self) -> [(&'static str, usize); 3] {
        [
            ("calls.trunk_legs", self.legs.len()),
            ("calls.trunk_lookups", self.resolving.len()),
            ("calls.trunk_timers", self.timers.len()),
        ]
    }

    /// The trunks of a configuration. What is to be asked is asked at once.
    pub(crate) fn new(config: &Config, now: Now) -> Self {
        let mut trunks = Self::default();
        for (name, trunk) in &config.trunks {
            let at = trunks.states.len();
            let registration = if trunk.register.is_some() { Registration::Pending } else { Registration::None };
            trunks.states.push(State {
                name: name.clone(),
                health: Health::Up { misses: 0 },
                registration,
                since: now.into(),
                last: None,
                address: None,
                found: Vec::new(),
                avoided: None,
                refers: Refers::Unknown,
                incoming: 0,
                outgoing: 0,
                rate_in: Bucket::default(),
                rate_out: Bucket::default(),
            });
            trunks.by_name.insert(name.clone(), at);
            if trunk.ping.is_some() {
                trunks.timers.set(Timer::Ping(at), now.monotonic);
            }
            if trunk.register.is_some() {
                trunks.timers.set(Timer::Locate(at), now.monotonic);
            }
        }
        trunks
    }

    /// What is to be done, in order.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the outside is to be told.
    pub(crate) fn poll_happening(&mut self) -> Option<Happening> {
        self.happenings.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.next_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, config: &Config, now: Now) {
        while let Some(timer) = self.timers.pop_expired(now.monotonic) {
            match timer {
                Timer::Ping(at) => self.locate(config, now, at, For::Ping),
                Timer::Locate(at) => self.locate(config, now, at, For::Register),
            }
        }
    }

    /// The daemon stops: registrations are taken back.
    pub(crate) fn shut_down(&mut self) {
        self.timers = Timers::default();
        for (at, state) in self.states.iter().enumerate() {
            if state.registration != Registration::None {
                let command = OutsideCommand::Unregister { id: registration_id(at) };
                self.outputs.push_back(Output::Outside(command));
            }
        }
    }

    // ---- pings and registrations

    fn locate(&mut self, config: &Config, now: Now, at: usize, what: For) {
        let Some(trunk) = self.trunk(config, at) else { return };
        match dial::hop(&trunk.wanted(), trunk.tls_name.as_deref()) {
            Hop::Targets(targets) => self.located(config, now, (at, what), targets.into_vec()),
            Hop::Wanted(wanted) => {
                self.next_resolve += 1;
                // Apart from the calls' own.
                let id = ResolveId(self.next_resolve | 1 << 63);
                self.resolving.insert(id, (at, what));
                self.outputs.push_back(Output::Resolve { id, wanted });
            }
        }
    }

    /// What was to be located, if it was asked for here; else it is a call's.
    pub(crate) fn resolving(&mut self, id: ResolveId) -> Option<(usize, For)> {
        self.resolving.remove(&id)
    }

    /// Where a trunk is: the first target that a listener of ours reaches is asked.
    pub(crate) fn located(&mut self, config: &Config, now: Now, (at, what): (usize, For), targets: Vec<Target>) {
        let Some(trunk) = self.trunk(config, at) else { return };
        let found: Vec<IpAddr> = targets.iter().map(|target| target.address.ip()).collect();
        let Some((flow, peer_name)) = dial::reached(config, targets) else {
            match what {
                For::Ping => self.heard(config, now, at, Heard::Miss, "not found"),
                For::Register => {
                    self.timers.set(Timer::Locate(at), now.monotonic + LOCATE_AGAIN);
                    self.registration_is(now, at, Registration::Failed { status: None }, "its name is not found");
                }
            }
            return;
        };
        self.states[at].address = Some(flow.remote);
        if self.states[at].found != found {
            self.states[at].found.clone_from(&found);
            if trunk.allow_located {
                let command = OutsideCommand::Allow {
                    id: registration_id(at),
                    addresses: found,
                    session_timer: trunk.session_timer,
                };
                self.outputs.push_back(Output::Outside(command));
            }
        }
        let command = match (what, &trunk.ping, &trunk.register) {
            (For::Ping, Some(ping), _) => {
                let ping = Ping {
                    target: format!("sip:{}", authority(trunk)),
                    flow,
                    peer_name,
                    from: signaling::Party::default(),
                    timeout: ping.timeout,
                };
                OutsideCommand::Ping { id: ping_id(at), ping: Box::new(ping) }
            }
            (For::Register, _, Some(register)) => {
                let order = Register {
                    registrar: format!("sip:{}", register.domain),
                    address: signaling::Party {
                        display: String::new(),
                        uri: format!("sip:{}@{}", register.user, register.domain),
                    },
                    flow,
                    peer_name,
                    contact_user: register.user.clone(),
                    expires: register.expires,
                    credentials: trunk.credentials.as_ref().map(|it| signaling::Credentials {
                        realm: it.realm.clone(),
                        username: it.username.clone(),
                        password: it.password.clone(),
                    }),
                    retry: register.retry,
                };
                OutsideCommand::Register { id: registration_id(at), order: Box::new(order) }
            }
            _ => return,
        };
        self.outputs.push_back(Output::Outside(command));
    }

    /// What came of a request outside of a dialog.
    pub(crate) fn outside(&mut self, config: &Config, now: Now, id: OutsideId, event: OutsideEvent) {
        let at = usize::try_from(id.0 / 2).unwrap_or(usize::MAX);
        if at >= self.states.len() {
            return;
        }
        match event {
            OutsideEvent::Pong { result } => {
                let word = match result {
                    Ok(status) => status.to_string(),
                    Err(EndedBy::Transport) => "unreachable".to_owned(),
                    Err(EndedBy::Unsent) => "not sent".to_owned(),
                    Err(_) => "silent".to_owned(),
                };
                self.heard(config, now, at, Heard::of(result), &word);
            }
            OutsideEvent::Registered { expires, service_route } => {
                let until = Time::from(now.after(expires));
                self.registration_is(now, at, Registration::Done { until, service_route }, "registered");
            }
            OutsideEvent::RegistrationFailed { by, status, .. } => {
                let why = match (status, by) {
                    (Some(status), _) => format!("registration refused: {status}"),
                    (None, EndedBy::Transport) => "registrar unreachable".to_owned(),
                    (None, _) => "registrar silent".to_owned(),
                };
                // It may have moved: its name is looked up again, soon.
                self.timers.set(Timer::Locate(at), now.monotonic + SOON);
                self.registration_is(now, at, Registration::Failed { status }, &why);
            }
            // Nobody subscribes to anything of a trunk's.
            OutsideEvent::Notified { .. } | OutsideEvent::SubscriptionFailed { .. } | OutsideEvent::Unsubscribed => {}
            OutsideEvent::Unregistered => {}
        }
    }

    fn heard(&mut self, config: &Config, now: Now, at: usize, heard: Heard, word: &str) {
        let Some(ping) = self.trunk(config, at).and_then(|trunk| trunk.ping.as_ref()) else { return };
        let state = &mut self.states[at];
        let before = state.is_available();
        state.health.hear(heard, ping.down_after.max(1), ping.up_after.max(1));
        state.last = Some(word.to_owned());
        if heard == Heard::Answer {
            state.is_there();
        }
        let wait = if state.health.in_doubt() { ping.interval.min(SOON) } else { ping.interval };
        self.timers.set(Timer::Ping(at), now.monotonic + wait);
        self.tell(now, at, before, &format!("OPTIONS: {word}"));
    }

    fn registration_is(&mut self, now: Now, at: usize, registration: Registration, why: &str) {
        let state = &mut self.states[at];
        let before = state.is_available();
        // The first answer is news, whichever it is.
        let first = state.registration == Registration::Pending && !matches!(registration, Registration::Done { .. });
        state.registration = registration;
        self.tell(now, at, before || first, why);
    }

    fn tell(&mut self, now: Now, at: usize, before: bool, why: &str) {
        let state = &mut self.states[at];
        let (trunk, reason) = (state.name.clone(), why.to_owned());
        match (before, state.is_available()) {
            (false, true) => self.happenings.push_back(Happening::TrunkUp { trunk, reason }),
            (true, false) => self.happenings.push_back(Happening::TrunkDown { trunk, reason }),
            _ => return,
        }
        state.since = now.into();
    }

    // ---- calls

    /// True when a trunk was found at an address.
    pub(crate) fn is_located_at(&self, name: &str, address: IpAddr) -> bool {
        self.state(name).is_some_and(|state| state.found.contains(&address))
    }

    /// A call comes in by a trunk, or from an agent's phone: a place there, or why there is none.
    pub(crate) fn admit(&mut self, trunk: &Trunk, name: &str, now: Monotonic) -> Result<(), Full> {
        if name == AGENTS {
            if self.agents >= trunk.max_calls {
                return Err(Full::Calls);
            }
            self.agents += 1;
            return Ok(());
        }
        let Some(state) = self.state_mut(name) else { return Err(Full::Calls) };
        if state.incoming >= trunk.max_calls || state.incoming + state.outgoing >= trunk.limits.calls {
            return Err(Full::Calls);
        }
        if !state.rate_in.take(now, trunk.limits.per_second_in) {
            return Err(Full::Rate);
        }
        state.incoming += 1;
        Ok(())
    }

    /// The same for a call that no limit stops.
    pub(crate) fn admit_anyway(&mut self, name: &str) {
        if name == AGENTS {
            self.agents += 1;
        } else if let Some(state) = self.state_mut(name) {
            state.incoming += 1;
        }
    }

    /// A call that [`Self::admit`] gave a place is over.
    pub(crate) fn leave(&mut self, name: &str) {
        if name == AGENTS {
            self.agents = self.agents.saturating_sub(1);
            return;
        }
        if let Some(state) = self.state_mut(name) {
            state.incoming = state.incoming.saturating_sub(1);
        }
    }

    /// A call is taken up that was begun elsewhere: its places are its own, whatever the limits say.
    pub(crate) fn resume(&mut self, name: &str, dialled: Vec<(LegId, String)>) {
        if name == AGENTS {
            self.agents += 1;
        } else if let Some(state) = self.state_mut(name) {
            state.incoming += 1;
        }
        for (leg, trunk) in dialled {
            if let Some(&at) = self.by_name.get(&trunk) {
                self.states[at].outgoing += 1;
                self.legs.insert(leg, at);
            }
        }
    }

    /// A leg is dialled through a trunk: a place on it until [`Self::release`], or why there is none.
    pub(crate) fn reserve(&mut self, trunk: &Trunk, name: &str, leg: LegId, now: Monotonic) -> Result<(), Full> {
        let Some(&at) = self.by_name.get(name) else { return Err(Full::Calls) };
        let state = &mut self.states[at];
        if state.outgoing >= trunk.limits.calls_out || state.incoming + state.outgoing >= trunk.limits.calls {
            return Err(Full::Calls);
        }
        if !state.rate_out.take(now, trunk.limits.per_second_out) {
            return Err(Full::Rate);
        }
        state.outgoing += 1;
        self.legs.insert(leg, at);
        Ok(())
    }

    /// A leg is gone; those without a place are none of ours.
    pub(crate) fn release(&mut self, leg: LegId) {
        if let Some(state) = self.legs.remove(&leg).and_then(|at| self.states.get_mut(at)) {
            state.outgoing = state.outgoing.saturating_sub(1);
        }
    }

    /// A call failed on a trunk by what is the trunk's own fault: it is tried last for a while, and asked at once. `rests` is for
    /// how long it asked to be left alone.
    pub(crate) fn failed(&mut self, name: &str, now: Now, rests: Option<Duration>) {
        let Some(&at) = self.by_name.get(name) else { return };
        let state = &mut self.states[at];
        match rests {
            Some(rests) => {
                let asked = Some(now.after(rests).into());
                state.avoided = Some(Avoided { until: now.monotonic + rests, asked });
            }
            None if state.rests(now.monotonic).is_some() => {}
            None => state.avoided = Some(Avoided { until: now.monotonic + SUSPECTED, asked: None }),
        }
        if self.timers.deadline(Timer::Ping(at)).is_some() {
            self.timers.set(Timer::Ping(at), now.monotonic);
        }
    }

    /// A trunk showed that it takes calls.
    pub(crate) fn worked(&mut self, name: &str) {
        if let Some(state) = self.state_mut(name) {
            state.is_there();
        }
    }

    /// Whether there is no reason to believe that the trunk would refuse a REFER.
    pub(crate) fn may_refer(&self, name: &str, now: Monotonic) -> bool {
        self.state(name).is_some_and(|state| match state.refers {
            Refers::Unknown | Refers::Takes => true,
            Refers::Refuses { until } => until <= now,
        })
    }

    /// A trunk took a REFER, or said that it takes none.
    pub(crate) fn referred(&mut self, name: &str, took: bool, now: Monotonic) {
        if let Some(state) = self.state_mut(name) {
            state.refers = if took { Refers::Takes } else { Refers::Refuses { until: now + REFERS_AGAIN } };
        }
    }

    /// The Route of calls through a trunk that we are registered with.
    pub(crate) fn service_route(&self, name: &str) -> &[String] {
        match self.state(name).map(|state| &state.registration) {
            Some(Registration::Done { service_route, .. }) => service_route,
            _ => &[],
        }
    }

    /// How soon a trunk should be tried: lower first.
    fn rank(&self, config: &Config, name: &str, now: Monotonic) -> (bool, bool, u16) {
        let priority = config.trunks.get(name).map_or(0, |trunk| trunk.priority);
        let Some(state) = self.state(name) else { return (true, true, priority) };
        (!state.is_available(), state.avoided.is_some_and(|avoided| avoided.until > now), priority)
    }

    // ---- for the API and the metrics

    /// Every trunk as it is now.
    pub(crate) fn list(&self, config: &Config, now: Monotonic) -> TrunkList {
        let one = |state: &State| TrunkSummary {
            name: state.name.clone(),
            up: state.is_available(),
            since: state.since,
            address: state.address.map(|address| address.to_string()).or_else(|| {
                let trunk = config.trunks.get(&state.name).filter(|trunk| !trunk.host.is_empty())?;
                Some(authority(trunk))
            }),
            ping: state.last.clone(),
            registration: match &state.registration {
                Registration::None => None,
                Registration::Pending => Some("pending".to_owned()),
                Registration::Done { .. } => Some("registered".to_owned()),
                Registration::Failed { status: Some(status) } => Some(format!("refused: {status}")),
                Registration::Failed { status: None } => Some("no answer".to_owned()),
            },
            registered_until: match &state.registration {
                Registration::Done { until, .. } => Some(*until),
                _ => None,
            },
            refer: config.trunks.get(&state.name).filter(|trunk| trunk.refers).map(|_| {
                let word = match state.refers {
                    Refers::Unknown => "not_asked",
                    Refers::Takes => "takes",
                    Refers::Refuses { .. } => "refuses",
                };
                word.to_owned()
            }),
            rests_until: state.rests(now),
            calls_in: state.incoming,
            calls_out: state.outgoing,
        };
        TrunkList { trunks: self.states.iter().map(one).collect() }
    }

    /// Each trunk's name, and whether it takes calls.
    pub(crate) fn up(&self) -> impl Iterator<Item = (&str, bool)> {
        self.states.iter().map(|state| (state.name.as_str(), state.is_available()))
    }

    /// Each trunk's name, and whether it asked to be left alone.
    pub(crate) fn resting(&self, now: Monotonic) -> impl Iterator<Item = (&str, bool)> {
        self.states.iter().map(move |state| (state.name.as_str(), state.rests(now).is_some()))
    }

    fn state(&self, name: &str) -> Option<&State> {
        self.by_name.get(name).and_then(|at| self.states.get(*at))
    }

    fn state_mut(&mut self, name: &str) -> Option<&mut State> {
        self.by_name.get(name).and_then(|at| self.states.get_mut(*at))
    }

    fn trunk<'a>(&self, config: &'a Config, at: usize) -> Option<&'a Trunk> {
        config.trunks.get(&self.states.get(at)?.name)
    }
}
