//! One world: the daemon's cores, the parties, the network between them, and the one clock that all of them are told.

mod asks;
mod evidence;

use crate::{
    agent::{Act, Agent, Manner, Note, State, Words},
    chance::Chance,
    check::{self, Violation},
    house::{House, Plan},
    network::{Network, Packet, Partition, Weather, longest_way},
    paper::Voice,
    premises::{HOUSE, PARTIES, Premises, address, parties, signaling},
    scenario::{Deed, Scenario, Traffic, When, Whose},
    trace::{Fingerprint, Read, Way, Wire, ladder},
};
use calls::{CallId, Happening, PublicEvent};
use clock::{Monotonic, Now};
pub use evidence::{Evidence, Role, Seat};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

/// How long after the last datagram everything must be gone: 64·T1, and a moment.
const REST: Duration = Duration::from_secs(33);
/// No world lasts longer.
const LONGEST: Duration = Duration::from_secs(1_200);
/// How often what the daemon has is written down.
const MOMENTS: u32 = 24;
/// Nor takes more steps.
const STEPS: u32 = 2_000_000;

/// How a seed is run.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// The network's preset.
    pub weather: Weather,
    /// Every packet of RTP, or a relay on paper.
    pub sampled: bool,
    /// What happens.
    pub traffic: Traffic,
    /// Calls are written down and taken up again in mid-flight, at moments by chance.
    pub written_down: bool,
}

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// All that was seen.
    pub evidence: Evidence,
    /// What was wrong.
    pub violations: Vec<Violation>,
    /// Over everything that happened.
    pub hash: u64,
}

impl Outcome {
    /// The story, one line a datagram or event.
    pub fn ladder(&self) -> String {
        let names = |address: SocketAddr| {
            let party = PARTIES.iter().find(|(_, at)| *at == address.to_string()).map(|(name, _)| *name);
            party.unwrap_or("tandem").to_owned()
        };
        let tell = |(at, event): &(Monotonic, PublicEvent)| {
            let call = event.call.map(|call| call.to_string()).unwrap_or_default();
            (*at, format!("{call} {}", serde_json::to_string(&event.what).unwrap_or_default()))
        };
        let told: Vec<_> = self.evidence.told.iter().map(tell).collect();
        ladder(self.evidence.start, &self.evidence.wire, &told, &names)
    }
}

/// Runs one seed.
pub fn run(seed: u64, premises: &Premises, options: Options) -> Outcome {
    let mut world = World::new(seed, premises, options);
    let errors = crate::errors::count(|| world.live());
    let (mut evidence, hash) = world.into_evidence(premises);
    evidence.errors = errors;
    let violations = check::judge(&evidence);
    Outcome { seed, evidence, violations, hash }
}

/// Runs a seed again with its calls written down and taken up at moments by chance: nothing may change.
pub fn taken_up(before: &Outcome, premises: &Premises, options: Options) -> Option<Violation> {
    let after = run(before.seed, premises, Options { written_down: true, ..options });
    (after.hash != before.hash).then(|| Violation {
        checker: "a snapshot changes nothing",
        what: format!(
            "another run: {} datagrams, and {}; {}",
            before.evidence.wire.len(),
            after.evidence.wire.len(),
            difference(&before.ladder(), &after.ladder())
        ),
    })
}

/// Where two stories part.
fn difference(before: &str, after: &str) -> String {
    let mut lines = before.lines().map(Some).chain([None]).zip(after.lines().map(Some).chain([None]));
    match lines.find(|(before, after)| before != after) {
        Some((before, after)) => {
            let line = |line: Option<&str>| line.unwrap_or("the end").trim().to_owned();
            format!("first `{}`, and `{}`", line(before), line(after))
        }
        None => "the same in short".to_owned(),
    }
}

struct World {
    now: Now,
    start: Monotonic,
    house: House,
    network: Network,
    agents: Vec<Agent>,
    scenario: Scenario,
    traffic: Traffic,
    sampled: bool,
    calls: Vec<Line>,
    /// Calls that were ended through the control API.
    hung_up: BTreeSet<CallId>,
    /// What happens when: of which call, what.
    planned: BTreeMap<(Monotonic, u32), (usize, Step)>,
    plans: u32,
    happened: BTreeMap<(usize, &'static str), u32>,
    told: usize,
    wire: Vec<Wire>,
    hash: Fingerprint,
    last_datagram: Monotonic,
    rested: bool,
}

/// A call, as far as this world knows it.
#[derive(Clone, Debug, Default)]
struct Line {
    /// The caller's leg at the trunk.
    leg: Option<usize>,
    id: Option<CallId>,
    /// Whom the daemon calls, where it places the call itself.
    calls: Option<String>,
}

#[derive(Copy, Clone, Debug)]
enum Step {
    Place,
    Do(Deed),
    /// A call is asked for.
    Ask(usize),
    /// What the daemon has is written down and taken up again.
    WriteDown,
    /// A party hangs up a leg.
    Leave {
        agent: usize,
        leg: usize,
    },
}

impl World {
    fn new(seed: u64, premises: &Premises, options: Options) -> Self {
        let now = Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: Duration::from_secs(1_795_000_000) };
        let mut chance = Chance::new(seed);
        let traffic = options.traffic;
        let scenario = Scenario::of(&mut chance.branch(), options.weather, traffic);
        let house = House::new(
            Plan {
                address: address(HOUSE),
                signaling: signaling(scenario.timers, scenario.gated),
                calls: premises.config_of(traffic, &scenario),
                rules: premises.rules(traffic, scenario.rules),
                library: std::sync::Arc::clone(&premises.library),
                sampled: options.sampled,
                whole: traffic.is_whole(),
                resolves_to: scenario.named.iter().copied().map(address).collect(),
                seed: chance.word(),
            },
            now,
        );
        let parties = parties(traffic);
        let shared = Rc::new(RefCell::new(premises.words.clone()));
        let words = |at: usize| match traffic {
            Traffic::Whole | Traffic::Wide => Words::Shared(Rc::clone(&shared)),
            Traffic::Plain | Traffic::Rich => {
                let each = premises.words.len() / parties.len();
                Words::Own(premises.words[at * each..(at + 1) * each].to_vec())
            }
        };
        let agents = parties
            .iter()
            .enumerate()
            .map(|(no, (name, at))| Agent::new(name, address(at), words(no), options.sampled, chance.branch()));
        let mut agents: Vec<Agent> = agents.collect();
        for agent in &mut agents {
            agent.rich = traffic != Traffic::Plain;
            if traffic.is_whole() && agent.name == "trunk" {
                (agent.refers, agent.challenges) = (true, Some(30));
            }
            if scenario.watched && ["anna", "ben"].contains(&agent.name) {
                agent.may_be_watched();
            }
            let mine = scenario.manners.iter().filter(|(name, _)| *name == agent.name);
            agent.manners.extend(mine.map(|(_, manner)| manner.clone()));
        }
        let network = Network::new(options.weather, chance.branch());
        let mut planned = BTreeMap::new();
        for (call, plan) in scenario.calls.iter().enumerate() {
            planned.insert((now.monotonic + plan.starts, u32::try_from(call).unwrap_or(0)), (call, Step::Place));
        }
        let mut plans = 1_000;
        for (no, errand) in scenario.errands.iter().enumerate() {
            for at in &errand.asked {
                plans += 1;
                planned.insert((now.monotonic + *at, plans), (0, Step::Ask(no)));
            }
        }
        if options.written_down {
            let mut chance = chance.branch();
            for no in 0..MOMENTS {
                let longest = if no % 2 == 0 { 60_000 } else { 260_000 };
                planned.insert((now.monotonic + chance.ms(0, longest), u32::MAX - no), (0, Step::WriteDown));
            }
        }
        Self {
            now,
            start: now.monotonic,
            house,
            network,
            agents,
            calls: vec![Line::default(); scenario.calls.len()],
            traffic,
            sampled: options.sampled,
            hung_up: BTreeSet::new(),
            plans,
            scenario,
            planned,
            happened: BTreeMap::new(),
            told: 0,
            wire: Vec::new(),
            hash: Fingerprint::default(),
            last_datagram: now.monotonic,
            rested: false,
        }
    }

    // ---- time

    fn live(&mut self) {
        for _ in 0..STEPS {
            let Some(at) = self.next() else {
                self.rested = true;
                return;
            };
            // What is only written down keeps no world alive.
            let planned = self.planned.values().any(|(_, step)| !matches!(step, Step::WriteDown));
            if !planned && at > self.last_datagram + REST + longest_way(self.scenario.weather) {
                self.rested = true;
                return;
            }
            if at > self.start + LONGEST {
                return;
            }
            self.now = self.now.after(at.since(self.now.monotonic));
            self.step();
        }
    }

    fn next(&self) -> Option<Monotonic> {
        let planned = self.planned.first_key_value().map(|((at, _), _)| *at);
        let agents = self.agents.iter().filter_map(Agent::poll_timeout).min();
        [self.house.poll_timeout(), self.network.poll_timeout(), planned, agents].into_iter().flatten().min()
    }

    /// One moment: everything that is due.
    fn step(&mut self) {
        let at = self.now.monotonic;
        while let Some(packet) = self.network.poll_output(at) {
            self.arrive(packet);
        }
        while let Some(entry) = self.planned.first_entry().filter(|entry| entry.key().0 <= at) {
            let (call, step) = entry.remove();
            match step {
                Step::Place => self.place(call),
                Step::Do(deed) => self.act(call, deed),
                Step::Ask(errand) => self.ask_for_call(errand),
                Step::WriteDown => self.house.write_down_and_take_up(self.now),
                Step::Leave { agent, leg } => {
                    self.agents[agent].act(at, leg, Act::HangUp);
                    self.drain_agent(agent);
                }
            }
        }
        for agent in 0..self.agents.len() {
            if self.agents[agent].poll_timeout().is_some_and(|due| due <= at) {
                self.agents[agent].handle_timeout(at);
                self.drain_agent(agent);
            }
        }
        if self.house.poll_timeout().is_some_and(|due| due <= at) {
            self.house.handle_timeout(self.now);
            self.drain_house();
        }
    }

    // ---- the wire

    fn arrive(&mut self, packet: Packet) {
        let Packet { from, to, content } = packet;
        if let crate::network::Content::Sip(message) = &content {
            self.see(from, to, Way::Arrived, message);
        }
        if to.ip() == address(HOUSE).ip() {
            self.house.handle_input(self.now, Packet { from, to, content });
            return self.drain_house();
        }
        let crate::network::Content::Sip(message) = content else { return };
        if let Some(agent) = self.agents.iter().position(|agent| agent.address == to) {
            self.agents[agent].handle_input(self.now.monotonic, from, &message);
            self.drain_agent(agent);
        }
    }

    fn send(&mut self, packet: &Packet) {
        let sip = match &packet.content {
            crate::network::Content::Sip(message) => Some((packet.from, packet.to, Rc::clone(message))),
            crate::network::Content::Rtp(_) => None,
        };
        let arrives = self.network.handle_input(self.now.monotonic, packet);
        if let Some((from, to, message)) = sip {
            self.see(from, to, if arrives { Way::Sent } else { Way::Lost }, &message);
        }
    }

    fn see(&mut self, from: SocketAddr, to: SocketAddr, way: Way, message: &Rc<Read>) {
        let at = self.now.monotonic;
        self.last_datagram = at;
        let wire = Wire { at, from, to, way, message: Rc::clone(message) };
        self.hash.wire(&wire);
        self.wire.push(wire);
    }

    fn drain_house(&mut self) {
        while let Some(packet) = self.house.poll_output() {
            self.send(&packet);
        }
        while let Some((at, event)) = self.house.published.get(self.told) {
            self.told += 1;
            let Some(id) = event.call else { continue };
            let name = event.what.name();
            self.hash.bytes(*at, name.as_bytes());
            if let Happening::CallStarted { sip_call_id, from, .. } = &event.what {
                let (number, trunk) = (from.clone(), &self.agents[0]);
                let same = |line: &&mut Line| line.leg.is_some_and(|leg| trunk.legs[leg].call_id == *sip_call_id);
                if let Some(line) = self.calls.iter_mut().find(same) {
                    line.id = Some(id);
                } else if sip_call_id.is_empty() {
                    self.is_placed(id, number);
                }
            }
            if let Some(call) = self.calls.iter().position(|line| line.id == Some(id)) {
                self.happens(call, When::Told(name), name);
            }
        }
    }

    fn drain_agent(&mut self, at: usize) {
        while let Some(packet) = self.agents[at].poll_output() {
            self.send(&packet);
        }
        while let Some((leg, note)) = self.agents[at].notes.pop_front() {
            let name = self.agents[at].name;
            match note {
                Note::Voice { to, voice, word } => {
                    self.house.voice(self.now, to, voice, word);
                    self.drain_house();
                }
                Note::Digit { to, digit } => {
                    self.house.digit(self.now, to, digit);
                    self.drain_house();
                }
                Note::Invited if at == 0 => self.caller_is_called(leg),
                Note::Invited | Note::Answered if at > 0 && name != "boss" => {
                    let ai = ["bot", "backup"].contains(&name);
                    let (when, word) = match (note == Note::Answered, ai) {
                        (true, true) => (When::AiAnswered, "AI answered"),
                        (true, false) => (When::HumanAnswered, "human answered"),
                        (false, true) => (When::AiInvited, "AI invited"),
                        (false, false) => (When::HumanInvited, "human invited"),
                    };
                    let id = self.agents[at].legs[leg].call.as_deref().and_then(|id| id.parse().ok());
                    if let Some(call) = self.calls.iter().position(|line| id.is_some() && line.id == id) {
                        self.happens(call, when, word);
                    }
                }
                Note::Invited | Note::Answered => {}
            }
        }
    }

    // ---- the script

    fn happens(&mut self, call: usize, when: When, name: &'static str) {
        let count = self.happened.entry((call, name)).or_default();
        *count += 1;
        let now = self.now.monotonic;
        for cue in &self.scenario.calls[call].cues {
            if cue.when == when && cue.nth == *count {
                self.plans += 1;
                self.planned.insert((now + cue.delay, self.plans), (call, Step::Do(cue.deed)));
            }
        }
    }

    fn place(&mut self, call: usize) {
        let plan = &self.scenario.calls[call];
        let (session, mut manner) = (plan.session, plan.manner.clone());
        manner.from = Some(plan.number.unwrap_or("anonymous"));
        let leg = self.agents[0].place(self.now.monotonic, address(HOUSE), "4930900", session, manner, None);
        self.calls[call].leg = Some(leg);
        self.drain_agent(0);
        self.happens(call, When::Placed, "placed");
    }

    /// The daemon begins a call of its own.
    fn is_placed(&mut self, id: CallId, number: Option<String>) {
        let errand = self.scenario.errands.iter_mut().find(|errand| number.as_deref() == Some(errand.number));
        let plan = match errand.and_then(|errand| errand.plan.take()) {
            Some(plan) => plan,
            None if self.scenario.placed.is_empty() => return,
            None => self.scenario.placed.remove(0),
        };
        self.scenario.calls.push(plan);
        self.calls.push(Line { leg: None, id: Some(id), calls: number });
        self.happens(self.calls.len() - 1, When::Placed, "placed");
    }

    /// A call comes to the trunk: for whoever waits to be called back, perhaps.
    fn caller_is_called(&mut self, leg: usize) {
        let invite = &self.agents[0].legs[leg];
        let (uri, call_id) = (invite.uri().to_owned(), &invite.call_id);
        // Another INVITE of the same call, or another branch of a fork.
        let same = |line: &&mut Line| line.leg.is_some_and(|leg| self.agents[0].legs[leg].call_id == *call_id);
        if let Some(line) = self.calls.iter_mut().find(same) {
            if line.leg.is_some_and(|leg| self.agents[0].legs[leg].state == State::Over) {
                line.leg = Some(leg);
            }
            return;
        }
        let called = |line: &&mut Line| line.calls.as_deref().is_some_and(|number| uri.contains(number));
        let live = |line: &&mut Line| line.leg.is_none_or(|leg| self.agents[0].legs[leg].state == State::Over);
        if let Some(line) = self.calls.iter_mut().rev().filter(called).find(live) {
            line.leg = Some(leg);
        }
    }

    fn act(&mut self, call: usize, deed: Deed) {
        match deed {
            Deed::Caller(act) => {
                if let Some(leg) = self.calls[call].leg {
                    self.agents[0].act(self.now.monotonic, leg, act);
                    self.drain_agent(0);
                }
            }
            Deed::Ai(act) => self.act_of(call, 1..3, act),
            Deed::Human(act) => self.act_of(call, 3..8, act),
            Deed::Supervisor(act) => self.act_of(call, 8..9, act),
            Deed::Ask(ask) => self.ask(call, ask),
            Deed::Spoil(what, times) => self.network.spoil(what, times),
            Deed::Replace(whose) => self.replace(call, whose),
            Deed::Elsewhere(name, on) => {
                if let Some(at) = self.agents.iter().position(|agent| agent.name == name) {
                    self.agents[at].elsewhere(self.now.monotonic, on);
                    self.drain_agent(at);
                }
            }
            Deed::Cut(name, lasting) => {
                if let Some(agent) = self.agents.iter().find(|agent| agent.name == name) {
                    let from = self.now.monotonic;
                    self.network.cut(Partition { address: agent.address.ip(), from, until: from + lasting });
                }
            }
        }
    }

    /// The latest leg of the call at one of these parties.
    fn act_of(&mut self, call: usize, parties: std::ops::Range<usize>, act: Act) {
        let Some(id) = self.calls[call].id.map(|id| id.to_string()) else { return };
        for at in parties.start..parties.end.min(self.agents.len()) {
            let live = |leg: &crate::agent::Leg| leg.call.as_ref() == Some(&id) && leg.state != State::Over;
            if let Some(leg) = self.agents[at].legs.iter().rposition(live) {
                self.agents[at].act(self.now.monotonic, leg, act);
                return self.drain_agent(at);
            }
        }
    }

    /// Another phone calls to take the place of a leg.
    fn replace(&mut self, call: usize, whose: Whose) {
        let (Some(id), Some(caller)) = (self.calls[call].id.map(|id| id.to_string()), self.calls[call].leg) else {
            return;
        };
        let found = match whose {
            Whose::Caller => Some((0, caller)),
            Whose::Human | Whose::Ended => (3..self.agents.len().min(8)).find_map(|at| {
                let fits = |leg: &crate::agent::Leg| {
                    leg.call.as_ref() == Some(&id) && (leg.state == State::Over) == (whose == Whose::Ended)
                };
                Some((at, self.agents[at].legs.iter().rposition(fits)?))
            }),
        };
        let Some((at, leg)) = found else { return };
        let replaces = self.agents[at].replaces(leg);
        let by = if at == 0 { 0 } else { 5 };
        let now = self.now.monotonic;
        let manner = Manner { voice: Voice::Talks, ..Manner::default() };
        let new = self.agents[by].place(now, address(HOUSE), "party", true, manner, Some(&replaces));
        self.agents[by].legs[new].call = Some(id);
        self.drain_agent(by);
        // Whoever picks up leaves in the end, too.
        let stays = Duration::from_millis(500 + 37 * (self.hash.value() % 1_000));
        self.plans += 1;
        self.planned.insert((now + stays, self.plans), (call, Step::Leave { agent: by, leg: new }));
    }
}
