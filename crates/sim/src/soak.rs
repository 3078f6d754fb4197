//! A long stretch of traffic through one daemon: so many calls a second, most of them handed on, for hours of virtual time. What is looked at is
//! what stays: no table of the cores may hold more in the end than after a short while.

use crate::{
    agent::{Act, Agent, Manner, Note, Words},
    chance::Chance,
    house::{House, Plan},
    network::{Content, Network, Packet, Weather},
    paper::Voice,
    premises::{HOUSE, Premises, address, parties, signaling},
    scenario::Traffic,
};
use calls::{
    CallId, CallbackAction, DialBody, DoneBody, Happening, Request, SuperviseBody, SuperviseMode, TransferBody,
};
use clock::{Monotonic, Now};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

/// How a soak is run.
#[derive(Copy, Clone, Debug)]
pub struct Soaking {
    /// Everything random comes from it.
    pub seed: u64,
    /// The network's preset.
    pub weather: Weather,
    /// Calls a second.
    pub rate: u32,
    /// Until tables are looked at first.
    pub warm: Duration,
    /// From then on until they are looked at again.
    pub lasting: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Soaked {
    /// Calls placed, after the warm-up.
    pub calls: u64,
    /// Of them such that a human had the caller.
    pub bridged: u64,
    /// Tables after the warm-up, once every call was over.
    pub before: Vec<(&'static str, usize)>,
    /// And in the end.
    pub after: Vec<(&'static str, usize)>,
    /// What was wrong.
    pub wrong: Vec<String>,
}

/// Parties are born anew so often, for they remember every call they ever had.
const GENERATION: Duration = Duration::from_secs(5);
/// By then everything that a generation had is over.
const LIFETIME: Duration = Duration::from_secs(160);
/// Everybody has gone by then, and everything that was kept for copies.
const DRAIN: Duration = Duration::from_secs(220);

const DESTINATIONS: [&str; 20] = [
    "human", "other", "team", "keyed", "both", "named", "quick", "desk", "anna", "mail", "bare", "later", "brief",
    "told", "intro", "copilot", "number", "away", "gone", "message",
];

/// Runs it. `look` is called after the warm-up and in the end, when every call is over.
pub fn soak(premises: &Premises, soaking: Soaking, mut look: impl FnMut()) -> Soaked {
    let mut bath = Bath::new(premises, soaking);
    let mut soaked = Soaked::default();
    bath.run(soaking.warm, true);
    bath.run(DRAIN, false);
    soaked.before = bath.house.tables();
    look();
    (bath.calls, bath.bridged) = (0, 0);
    bath.run(soaking.lasting, true);
    bath.run(DRAIN, false);
    look();
    soaked.after = bath.house.tables();
    (soaked.calls, soaked.bridged) = (bath.calls, bath.bridged);
    for ((name, before), (_, after)) in soaked.before.iter().zip(&soaked.after) {
        // What is remembered of what is over has a bound of its own.
        let most = REMEMBERED.iter().find(|(table, _)| table == name).map_or(*before, |(_, most)| *most);
        if *after > most.max(*before) {
            soaked.wrong.push(format!("{name} held {before} after the warm-up and {after} in the end"));
        }
    }
    if bath.house.panicked > 0 {
        soaked.wrong.push(format!("{} steps panicked", bath.house.panicked));
    }
    let left = bath.house.left();
    if left != crate::Left::default() {
        soaked.wrong.push(format!("left over: {left:?}"));
    }
    soaked
}

/// Tables that fill up with what is over, and how far.
const REMEMBERED: [(&str, usize); 4] =
    [("calls.ended", 500), ("calls.callbacks_done", 1_000), ("calls.callbacks", 1_003), ("calls.queue_history", 200)];

/// All parties, for calls that begin within some seconds.
struct Generation {
    born: Monotonic,
    agents: Vec<Agent>,
    next: Option<Monotonic>,
}

struct Bath {
    now: Now,
    house: House,
    network: Network,
    chance: Chance,
    rate: u32,
    generations: VecDeque<Generation>,
    /// How many there were before those.
    gone: u64,
    /// Whose call it is, by Call-ID.
    whose: HashMap<String, u64>,
    asks: BTreeMap<(Monotonic, u64), Request>,
    count: u64,
    calls: u64,
    bridged: u64,
}

impl Bath {
    fn new(premises: &Premises, soaking: Soaking) -> Self {
        let now = Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: Duration::from_secs(1_795_000_000) };
        let mut chance = Chance::new(soaking.seed);
        let house = House::new(
            Plan {
                address: address(HOUSE),
                signaling: signaling(1, false),
                calls: premises.config(Traffic::Whole, 7),
                rules: premises.rules(Traffic::Whole, 0),
                library: std::sync::Arc::clone(&premises.library),
                sampled: false,
                whole: true,
                resolves_to: vec![address(crate::premises::PARTIES[5].1)],
                seed: chance.word(),
            },
            now,
        );
        let network = Network::new(soaking.weather, chance.branch());
        Self {
            now,
            house,
            network,
            chance,
            rate: soaking.rate.max(1),
            generations: VecDeque::new(),
            gone: 0,
            whose: HashMap::new(),
            asks: BTreeMap::new(),
            count: 0,
            calls: 0,
            bridged: 0,
        }
    }

    fn run(&mut self, lasting: Duration, calling: bool) {
        let end = self.now.monotonic + lasting;
        let mut next_call = calling.then_some(self.now.monotonic);
        loop {
            let asks = self.asks.first_key_value().map(|((at, _), _)| *at);
            let parties = self.generations.iter().filter_map(|generation| generation.next).min();
            let due = [self.house.poll_timeout(), self.network.poll_timeout(), asks, parties, next_call];
            let Some(at) = due.into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.after(at.since(self.now.monotonic));
            self.step(at);
            if next_call.is_some_and(|due| due <= at) {
                self.call();
                next_call = Some(at + Duration::from_secs(1) / self.rate);
            }
        }
        self.now = self.now.after(end.since(self.now.monotonic));
    }

    fn step(&mut self, at: Monotonic) {
        while let Some(Packet { from, to, content }) = self.network.poll_output(at) {
            if to.ip() == address(HOUSE).ip() {
                self.house.handle_input(self.now, Packet { from, to, content });
                self.drain_house();
            } else if let Content::Sip(message) = content {
                let newest = self.gone + self.generations.len() as u64 - 1;
                let whose = *self.whose.entry(message.call_id.clone()).or_insert(newest);
                let Some(place) = whose.checked_sub(self.gone).and_then(|at| usize::try_from(at).ok()) else {
                    continue;
                };
                let Some(generation) = self.generations.get_mut(place) else { continue };
                if let Some(no) = generation.agents.iter().position(|agent| agent.address == to) {
                    generation.agents[no].handle_input(at, from, &message);
                    self.drain_agent(place, no);
                }
            }
        }
        while let Some(entry) = self.asks.first_entry().filter(|entry| entry.key().0 <= at) {
            let request = entry.remove();
            drop(self.house.ask(self.now, request));
            self.drain_house();
        }
        for place in 0..self.generations.len() {
            if self.generations[place].next.is_none_or(|next| next > at) {
                continue;
            }
            for no in 0..self.generations[place].agents.len() {
                if self.generations[place].agents[no].poll_timeout().is_some_and(|due| due <= at) {
                    self.generations[place].agents[no].handle_timeout(at);
                    self.drain_agent(place, no);
                }
            }
        }
        if self.house.poll_timeout().is_some_and(|due| due <= at) {
            self.house.handle_timeout(self.now);
            self.drain_house();
        }
    }

    /// Somebody calls.
    fn call(&mut self) {
        let now = self.now.monotonic;
        if self.generations.back().is_none_or(|latest| now.since(latest.born) >= GENERATION) {
            self.give_birth();
        }
        let place = self.generations.len() - 1;
        let lasting = self.chance.ms(2_000, 25_000);
        let manner = Manner { after: vec![(lasting, Act::HangUp)], voice: Voice::Talks, ..Manner::default() };
        let trunk = &mut self.generations[place].agents[0];
        let leg = trunk.place(now, address(HOUSE), "4930900", true, manner, None);
        self.whose.insert(trunk.legs[leg].call_id.clone(), self.gone + place as u64);
        self.calls += 1;
        self.drain_agent(place, 0);
    }

    fn give_birth(&mut self) {
        let now = self.now.monotonic;
        while self.generations.front().is_some_and(|first| now.since(first.born) > LIFETIME) {
            self.generations.pop_front();
            self.gone += 1;
            let gone = self.gone;
            self.whose.retain(|_, whose| *whose >= gone);
        }
        let number = self.gone + self.generations.len() as u64;
        let agents = parties(Traffic::Whole).iter().map(|(name, at)| {
            let mut agent = Agent::new(name, address(at), Words::Own(Vec::new()), false, self.chance.branch());
            (agent.rich, agent.refers) = (true, *name == "trunk");
            agent.begin_at(u32::try_from(number).unwrap_or(0).wrapping_mul(100_000));
            agent
        });
        let agents = agents.collect();
        self.generations.push_back(Generation { born: now, agents, next: None });
    }

    fn drain_agent(&mut self, place: usize, no: usize) {
        let agent = &mut self.generations[place].agents[no];
        let packets: Vec<Packet> = std::iter::from_fn(|| agent.poll_output()).collect();
        let notes: Vec<Note> = agent.notes.drain(..).map(|(_, note)| note).collect();
        for packet in packets {
            self.network.handle_input(self.now.monotonic, &packet);
        }
        for note in notes {
            match note {
                Note::Voice { to, voice, word } => self.house.voice(self.now, to, voice, word),
                Note::Digit { to, digit } => self.house.digit(self.now, to, digit),
                Note::Invited | Note::Answered => {}
            }
        }
        self.drain_house();
        let generation = &mut self.generations[place];
        generation.next = generation.agents.iter().filter_map(Agent::poll_timeout).min();
    }

    fn drain_house(&mut self) {
        while let Some(packet) = self.house.poll_output() {
            self.network.handle_input(self.now.monotonic, &packet);
        }
        for (_, event) in std::mem::take(&mut self.house.published) {
            self.follow(event.call, &event.what);
        }
        self.bridged += self.house.cdrs.drain(..).filter(|cdr| cdr.bridged.is_some()).count() as u64;
        self.house.voices.clear();
        self.house.answers.clear();
    }

    /// What is asked for because of what happened.
    fn follow(&mut self, call: Option<CallId>, what: &Happening) {
        let wait = self.chance.ms(100, 4_000);
        let request = match (what, call) {
            (Happening::AiConnected { stint: 1, .. }, Some(call)) if self.chance.percent(85) => {
                let body = Box::new(TransferBody::to(self.chance.pick(&DESTINATIONS)));
                Request::Transfer { call, body, idempotency_key: None, wait: None }
            }
            (Happening::TransferBridged { .. }, Some(call)) => match self.chance.below(10) {
                0 => Request::Handback { call, body: calls::HandbackBody::default() },
                1 => {
                    let body = Box::new(TransferBody::to(self.chance.pick(&DESTINATIONS)));
                    Request::Transfer { call, body, idempotency_key: None, wait: None }
                }
                2 => {
                    let mode = self.chance.pick(&[SuperviseMode::Listen, SuperviseMode::Barge]);
                    let body = SuperviseBody { to: "sip:boss@10.0.0.35".into(), mode, ring_timeout: None };
                    Request::Supervise { call, body }
                }
                _ => return,
            },
            (Happening::CallbackRequested { callback, .. }, _) => {
                let agent = Some(self.chance.pick(&["anna", "ben"]).to_owned());
                let action = match self.chance.below(2) {
                    0 => CallbackAction::Dial(DialBody { agent }),
                    _ => CallbackAction::Done(DoneBody { outcome: None }),
                };
                Request::Callback { callback: *callback, action }
            }
            _ => return,
        };
        self.count += 1;
        self.asks.insert((self.now.monotonic + wait, self.count), request);
    }
}
