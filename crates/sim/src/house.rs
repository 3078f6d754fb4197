//! The daemon without its shell: the real cores of `signaling`, `calls` (with `sdp` and `policy` inside) and `media-relay`, joined as the
//! engine joins them. The only file here that knows the cores' inputs and outputs.

mod outside;

use crate::{
    network::{Content, Packet},
    paper::{Paper, Voice},
    trace::Read,
};
use bytes::Bytes;
use calls::{Cdr, Input, Opened, Output, Problem, PublicEvent, Reply, Request, RequestId};
use clock::{Monotonic, Now};
use media_relay::{Age, Channel, Library, PortId, Slot, Wire, Worker};
use outside::Outside;
use signaling::{Flow, OutsideCommand, OutsideId, Transport, locate::Target};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

/// The first RTP port; each leg takes an even one.
const FIRST_PORT: u16 = 20_000;

/// Packets further apart than this are two stretches of what is heard.
const GAP: Duration = Duration::from_millis(60);

/// The cores.
#[derive(Debug)]
pub(crate) struct House {
    address: SocketAddr,
    signaling: signaling::Core,
    calls: calls::Core,
    relay: Relay,
    ports: u32,
    next_request: u64,
    /// Names that are being looked up: when the answer comes, and what it is.
    resolving: VecDeque<(Monotonic, calls::ResolveId, Vec<Target>)>,
    resolves_to: Vec<SocketAddr>,
    out: VecDeque<Packet>,
    pub(crate) published: Vec<(Monotonic, PublicEvent)>,
    pub(crate) cdrs: Vec<Cdr>,
    /// The answer to the last request.
    answer: Option<Result<Reply, Problem>>,
    /// When each request was answered, as often as it was.
    pub(crate) answers: Vec<(Monotonic, RequestId)>,
    /// Subscriptions that are kept for as long as the daemon lives.
    subscriptions: BTreeSet<OutsideId>,
    pub(crate) outside: Outside,
    pub(crate) panicked: u32,
    /// Calls and legs that were written down and taken up again.
    pub(crate) taken_up: (usize, usize),
    /// Every change in what is sent to an RTP address.
    pub(crate) voices: Vec<Voiced>,
    latest: BTreeMap<SocketAddr, usize>,
}

/// From when until when packets with this word went to an address.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Voiced {
    /// The first.
    pub from: Monotonic,
    /// The last.
    pub until: Monotonic,
    /// The RTP address of the listener.
    pub to: SocketAddr,
    /// Whose it is.
    pub sound: Sound,
}

/// What a packet's audio is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A party's own word.
    Word(u8),
    /// A clip's constant sample.
    Clip(u8),
    /// Parties' words at once, in order; the rest is 0.
    Words([u8; 6]),
    /// A tone of the relay's.
    Tone,
    /// Nothing to be heard.
    Silence,
    /// Where packets are real: a tone, several words, or one thing ending in the middle of a packet and another beginning.
    Mixed,
}

impl Sound {
    fn of(audio: &[u8]) -> Self {
        let [first, second, ..] = *audio else { return Self::Mixed };
        let same = audio.chunks_exact(2).all(|pair| pair == [first, second]);
        match (first & 0x7f, first == second) {
            _ if !same => Self::Mixed,
            (0x7e | 0x7f, _) => Self::Silence,
            (word, true) => Self::Clip(word),
            (word, false) if second & 0x7f == word => Self::Word(word),
            _ => Self::Mixed,
        }
    }
}

#[derive(Debug)]
enum Relay {
    Real(Box<Worker>, Air),
    Paper(Paper),
}

#[derive(Debug, Default)]
struct Air {
    packets: Vec<(Slot, SocketAddr, Rc<[u8]>)>,
}

impl Wire for Air {
    fn transmit(&mut self, slot: Slot, channel: Channel, to: SocketAddr, bytes: &[u8]) {
        if channel == Channel::Rtp {
            self.packets.push((slot, to, Rc::from(bytes)));
        }
    }
}

/// What the house is built of.
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) signaling: signaling::Config,
    pub(crate) calls: Arc<calls::Config>,
    pub(crate) rules: Arc<policy::RuleSet>,
    pub(crate) library: Arc<Library>,
    /// Every packet of RTP, or the relay on paper.
    pub(crate) sampled: bool,
    /// Recorder, ledger and screens fail, or take their time.
    pub(crate) whole: bool,
    pub(crate) resolves_to: Vec<SocketAddr>,
    pub(crate) seed: u64,
}

/// What is left when every call is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Transactions, dialogs, legs, timers.
    pub signaling: signaling::Gauges,
    /// Calls, legs, ports, timers, outstanding requests.
    pub calls: calls::Gauges,
    /// Ports of the relay.
    pub ports: u64,
    /// Recordings and messages that were begun and not ended.
    pub tapes: usize,
}

impl House {
    pub(crate) fn new(plan: Plan, now: Now) -> Self {
        let Plan { address, signaling, calls, rules, library, sampled, whole, resolves_to, seed } = plan;
        let relay = if sampled {
            Relay::Real(Box::new(Worker::new(library, seed ^ 4, now)), Air::default())
        } else {
            Relay::Paper(Paper::new(library))
        };
        Self {
            address,
            signaling: signaling::Core::new(signaling, seed ^ 1, now),
            calls: calls::Core::new(calls, rules, seed ^ 3, now),
            relay,
            ports: 0,
            next_request: 0,
            resolving: VecDeque::new(),
            resolves_to,
            out: VecDeque::new(),
            published: Vec::new(),
            cdrs: Vec::new(),
            answer: None,
            answers: Vec::new(),
            subscriptions: BTreeSet::new(),
            outside: Outside::new(whole, seed ^ 5),
            panicked: 0,
            taken_up: (0, 0),
            voices: Vec::new(),
            latest: BTreeMap::new(),
        }
    }

    // ---- what comes in

    pub(crate) fn handle_input(&mut self, now: Now, packet: Packet) {
        match packet.content {
            Content::Sip(message) => {
                let (flow, bytes) = (Flow::udp(self.address, packet.from), message.bytes.clone());
                self.signaling.handle_input(now, signaling::Input::Received { flow, bytes });
            }
            Content::Rtp(bytes) => {
                let port = port_at(packet.to);
                if let Relay::Real(worker, air) = &mut self.relay
                    && let Some(slot) = worker.slot(port)
                {
                    worker.handle_rtp(now.monotonic, slot, packet.from, &mut bytes.to_vec(), Age::Fresh, air);
                }
            }
        }
        self.settle(now);
    }

    /// What the party at the other end of an RTP address of ours does; without a meaning where packets are real.
    pub(crate) fn voice(&mut self, now: Now, to: SocketAddr, voice: Voice, word: u8) {
        if let Relay::Paper(paper) = &mut self.relay {
            paper.voice(now.monotonic, port_at(to), voice, word);
        }
        self.settle(now);
    }

    pub(crate) fn digit(&mut self, now: Now, to: SocketAddr, digit: char) {
        if let Relay::Paper(paper) = &mut self.relay {
            paper.digit(port_at(to), digit);
        }
        self.settle(now);
    }

    /// How many requests there were.
    pub(crate) const fn asked(&self) -> u64 {
        self.next_request
    }

    /// Asks through the control API; the answer, when there is one at once.
    pub(crate) fn ask(&mut self, now: Now, request: Request) -> Option<Result<Reply, Problem>> {
        self.next_request += 1;
        self.answer = None;
        self.calls.handle_input(now, Input::Request { id: RequestId(self.next_request), request });
        self.settle(now);
        self.answer.take()
    }

    /// What is being sent right now is sent no longer.
    pub(crate) fn all_is_said(&mut self, now: Monotonic) {
        if let Relay::Paper(paper) = &mut self.relay {
            paper.all_is_said(now);
            self.voices.append(&mut paper.voices);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        let due = |at: Option<Monotonic>| at.is_some_and(|at| at <= now.monotonic);
        while self.resolving.front().is_some_and(|(at, ..)| *at <= now.monotonic) {
            if let Some((_, id, targets)) = self.resolving.pop_front() {
                self.calls.handle_input(now, Input::Resolved { id, targets });
            }
        }
        while let Some(input) = self.outside.due(now.monotonic) {
            self.calls.handle_input(now, input);
        }
        if due(self.signaling.poll_timeout()) {
            self.signaling.handle_timeout(now);
        }
        if due(self.calls.poll_timeout()) {
            self.calls.handle_timeout(now);
        }
        match &mut self.relay {
            Relay::Real(worker, air) if due(worker.poll_timeout()) => worker.handle_timeout(now, air),
            Relay::Paper(paper) if due(paper.poll_timeout()) => paper.handle_timeout(now.monotonic),
            _ => {}
        }
        self.settle(now);
    }

    // ---- what goes out

    pub(crate) fn poll_output(&mut self) -> Option<Packet> {
        self.out.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        let relay = match &self.relay {
            Relay::Real(worker, _) => worker.poll_timeout(),
            Relay::Paper(paper) => paper.poll_timeout(),
        };
        let resolving = self.resolving.front().map(|(at, ..)| *at);
        let outside = self.outside.poll_timeout();
        [self.signaling.poll_timeout(), self.calls.poll_timeout(), relay, resolving, outside]
            .into_iter()
            .flatten()
            .min()
    }

    /// Every call is written down, and every leg in which nothing is under way; from the text they are taken up again.
    pub(crate) fn write_down_and_take_up(&mut self, now: Now) {
        let calls: Vec<calls::CallId> = self.calls.calls().collect();
        for call in calls {
            let Some(snapshot) = self.calls.snapshot(now, call) else { continue };
            let read = through_text(&snapshot);
            self.calls.restore(now, &read).expect("what was written down can be taken up");
            self.taken_up.0 += 1;
        }
        let legs: Vec<signaling::LegId> = self.signaling.legs().collect();
        for leg in legs {
            let Some(snapshot) = self.signaling.snapshot(now, leg) else { continue };
            let read = through_text(&snapshot);
            self.signaling.restore(now, read).expect("what was written down can be taken up");
            self.taken_up.1 += 1;
        }
    }

    pub(crate) fn left(&self) -> Left {
        let ports = match &self.relay {
            Relay::Real(worker, _) => worker.counters().ports,
            Relay::Paper(paper) => paper.ports(),
        };
        let tapes = self.outside.tapes();
        let mut signaling = self.signaling.gauges();
        // Each is renewed in good time, or asked for again.
        signaling.timers = signaling.timers.saturating_sub(self.subscriptions.len());
        Left { signaling, calls: self.calls.gauges(), ports, tapes }
    }

    /// How much each table holds.
    pub(crate) fn tables(&self) -> Vec<(&'static str, usize)> {
        self.signaling.tables().into_iter().chain(self.calls.tables()).collect()
    }

    // ---- between the cores

    fn settle(&mut self, now: Now) {
        for _ in 0..10_000 {
            let mut quiet = true;
            while let Some(output) = self.signaling.poll_output() {
                quiet = false;
                match output {
                    signaling::Output::Transmit { flow, bytes, .. } => self.transmit(flow.local, flow.remote, bytes),
                    signaling::Output::Event { leg, event } => {
                        self.calls.handle_input(now, Input::Signaling { leg, event });
                    }
                    signaling::Output::Outside { id, event } => {
                        self.calls.handle_input(now, Input::Outside { id, event });
                    }
                    signaling::Output::Contacts { .. } => {}
                }
            }
            while let Some(event) = self.media_event() {
                quiet = false;
                self.calls.handle_input(now, Input::Media(event));
            }
            while let Some(output) = self.calls.poll_output() {
                quiet = false;
                self.carry_out(now, output);
            }
            if quiet {
                self.collect_rtp(now.monotonic);
                return;
            }
        }
        panic!("the cores keep each other busy for ever");
    }

    fn transmit(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let message = Read::of(bytes).expect("what the daemon sends is SIP");
        self.out.push_back(Packet { from, to, content: Content::Sip(Rc::new(message)) });
    }

    fn media_event(&mut self) -> Option<media_relay::Event> {
        match &mut self.relay {
            Relay::Real(worker, _) => worker.poll_event(),
            Relay::Paper(paper) => paper.poll_event(),
        }
    }

    fn media_command(&mut self, now: Now, command: media_relay::Command) {
        match &mut self.relay {
            Relay::Real(worker, air) => worker.handle_command(now, command, air),
            Relay::Paper(paper) => paper.handle_command(now.monotonic, command),
        }
    }

    fn carry_out(&mut self, now: Now, output: Output) {
        match output {
            Output::Signaling(command) => {
                self.signaling.handle_input(now, signaling::Input::Command(command));
            }
            Output::Outside(command) => {
                match &command {
                    OutsideCommand::Subscribe { id, .. } => drop(self.subscriptions.insert(*id)),
                    OutsideCommand::Unsubscribe { id } => drop(self.subscriptions.remove(id)),
                    _ => {}
                }
                self.signaling.handle_input(now, signaling::Input::Outside(command));
            }
            Output::Media(command) => self.media_command(now, command),
            Output::OpenPort { id, call } => {
                self.ports += 1;
                let port = PortId(self.ports);
                self.media_command(now, media_relay::Command::Open { port, call });
                let address = address_of(self.address.ip(), port);
                self.calls.handle_input(now, Input::PortOpened { id, opened: Opened { port, address } });
            }
            Output::Show { leg } => {
                if let Some(shown) = self.outside.show(now.monotonic, leg) {
                    self.calls.handle_input(now, shown);
                }
            }
            Output::Resolve { id, .. } => {
                let at = now.monotonic + Duration::from_millis(30);
                let target = |&address: &SocketAddr| Target { transport: Transport::Udp, address, name: None };
                self.resolving.push_back((at, id, self.resolves_to.iter().map(target).collect()));
            }
            Output::Reply { id, reply } => {
                self.answers.push((now.monotonic, id));
                if id.0 == self.next_request {
                    self.answer = Some(*reply);
                }
            }
            Output::Publish(event) => self.published.push((now.monotonic, event)),
            Output::Cdr(cdr) => self.cdrs.push(*cdr),
            Output::Observe(calls::Observation::Panicked { .. }) => self.panicked += 1,
            Output::Store { id, what } => {
                let kept = self.outside.store(now.monotonic, *what);
                self.calls.handle_input(now, Input::Stored { id, kept });
            }
            Output::Record(order) => self.outside.record(now.monotonic, order),
            Output::Observe(_) => {}
        }
    }

    fn collect_rtp(&mut self, now: Monotonic) {
        let air = match &mut self.relay {
            Relay::Real(_, air) => air,
            Relay::Paper(paper) => return self.voices.append(&mut paper.voices),
        };
        for (_, to, bytes) in air.packets.drain(..) {
            // Digits carry no voice.
            if bytes.len() > 12 && bytes[1] & 0x7f == 0 {
                let sound = Sound::of(&bytes[12..]);
                let last = self.latest.get(&to).and_then(|at| self.voices.get_mut(*at));
                match last {
                    // Where nothing came for a while, somebody was on hold: nobody heard anything meanwhile.
                    Some(voiced) if voiced.sound == sound && now.since(voiced.until) <= GAP => voiced.until = now,
                    _ => {
                        self.latest.insert(to, self.voices.len());
                        self.voices.push(Voiced { from: now, until: now, to, sound });
                    }
                }
            }
        }
    }
}

fn through_text<T: serde::Serialize + serde::de::DeserializeOwned>(snapshot: &T) -> T {
    let text = serde_json::to_string(snapshot).expect("plain data can be written");
    serde_json::from_str(&text).expect("what was written can be read")
}

fn port_at(address: SocketAddr) -> PortId {
    PortId(u32::from(address.port().saturating_sub(FIRST_PORT) / 2))
}

fn address_of(ip: IpAddr, port: PortId) -> SocketAddr {
    SocketAddr::new(ip, FIRST_PORT + 2 * u16::try_from(port.0).unwrap_or(0))
}
