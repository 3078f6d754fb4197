//! Two cores and an emulated network between them: this harness owns the clock and steps to the earliest deadline.

use bytes::Bytes;
use clock::{Monotonic, Now};
use rand::{Rng, SeedableRng, rngs::StdRng};
use signaling::{
    Command, Config, Contact, Core, Dial, EndedBy, Event, Flow, Incoming, Input, LegId, Network, Output,
    OutsideCommand, OutsideEvent, Party, Unknown,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

pub(crate) const OFFER: &[u8] = b"v=0 offer";
pub(crate) const ANSWER: &[u8] = b"v=0 answer";

pub(crate) fn a() -> SocketAddr {
    "192.0.2.1:5060".parse().unwrap()
}

pub(crate) fn b() -> SocketAddr {
    "192.0.2.2:5060".parse().unwrap()
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn config(local: SocketAddr) -> Config {
    Config {
        listeners: vec![local.into()],
        user_agent: "test".into(),
        allowed: vec!["192.0.2.0/24".parse::<Network>().unwrap()],
        unknown: Unknown::Silent,
        ..Config::default()
    }
}

pub(crate) fn dial(to: SocketAddr, listener: SocketAddr) -> Box<Dial> {
    Box::new(Dial {
        target: format!("sip:bob@{to}"),
        flow: Flow::udp(listener, to),
        peer_name: None,
        from: Party { display: "Alice \"A\"".into(), uri: "sip:alice@example.com".into() },
        to: Party::default(),
        headers: vec![("X-Tandem-Call-Id".into(), "c_1".into())],
        offer: Some(Bytes::from_static(OFFER)),
        credentials: None,
        max_forwards: 70,
        invite_timeout: Duration::from_secs(60),
        first_response: None,
        session_timer: None,
        routes: Vec::new(),
    })
}

/// What the network does to a datagram, by chance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Of a thousand datagrams.
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// The longest delay; the shortest is 1 ms.
    pub(crate) delay: u64,
}

pub(crate) struct World {
    pub(crate) now: Now,
    pub(crate) cores: Vec<(SocketAddr, Core)>,
    pub(crate) weather: Weather,
    pub(crate) events: Vec<(usize, LegId, Event)>,
    /// What came of requests outside of any dialog.
    pub(crate) outside: Vec<OutsideEvent>,
    /// What was told of registrations.
    pub(crate) contacts: Vec<(String, Vec<Contact>)>,
    /// Everything that was sent: when, from, to, what.
    pub(crate) sent: Vec<(Monotonic, SocketAddr, SocketAddr, Bytes)>,
    /// Everything that reached a core: who sent it, whom it reached, what.
    pub(crate) delivered: Vec<(SocketAddr, SocketAddr, Bytes)>,
    /// Datagrams to nobody's core: a test plays that party by hand.
    pub(crate) mail: Vec<(SocketAddr, SocketAddr, Bytes)>,
    /// Which way everything that was sent went, beside `sent`.
    pub(crate) flows: Vec<Flow>,
    flying: BTreeMap<(Monotonic, u64), (Flow, Bytes)>,
    random: StdRng,
    count: u64,
    losses: Vec<(SocketAddr, &'static str)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, [config(a()), config(b())])
    }

    pub(crate) fn with(seed: u64, configs: impl IntoIterator<Item = Config>) -> Self {
        let now = Now::default();
        let cores = configs
            .into_iter()
            .enumerate()
            .map(|(at, config)| (config.listeners[0].local, Core::new(config, seed * 2 + at as u64, now)))
            .collect();
        Self {
            now,
            cores,
            weather: Weather::default(),
            events: Vec::new(),
            outside: Vec::new(),
            contacts: Vec::new(),
            sent: Vec::new(),
            delivered: Vec::new(),
            mail: Vec::new(),
            flows: Vec::new(),
            flying: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            count: 0,
            losses: Vec::new(),
        }
    }

    pub(crate) fn command(&mut self, side: usize, command: Command) {
        let now = self.now;
        self.cores[side].1.handle_input(now, Input::Command(command));
        self.drain(side);
    }

    /// Asks the first core for something outside of any dialog.
    pub(crate) fn ask(&mut self, command: OutsideCommand) {
        let now = self.now;
        self.cores[0].1.handle_input(now, Input::Outside(command));
        self.drain(0);
    }

    /// Lets `bytes` arrive at a core from `source`, now.
    pub(crate) fn inject(&mut self, side: usize, source: SocketAddr, bytes: impl Into<Bytes>) {
        let local = self.cores[side].0;
        self.inject_over(side, Flow::udp(local, source), bytes);
    }

    pub(crate) fn inject_over(&mut self, side: usize, flow: Flow, bytes: impl Into<Bytes>) {
        self.cores[side].1.handle_input(self.now, Input::Received { flow, bytes: bytes.into() });
        self.drain(side);
    }

    /// Tells a core that nobody is at an address.
    pub(crate) fn transmit_failed(&mut self, side: usize, destination: SocketAddr) {
        let local = self.cores[side].0;
        self.transmit_failed_over(side, Flow::udp(local, destination));
    }

    pub(crate) fn transmit_failed_over(&mut self, side: usize, flow: Flow) {
        self.cores[side].1.handle_input(self.now, Input::TransmitFailed { flow });
        self.drain(side);
    }

    fn drain(&mut self, side: usize) {
        while let Some(output) = self.cores[side].1.poll_output() {
            match output {
                Output::Event { leg, event } => self.events.push((side, leg, event)),
                Output::Outside { event, .. } => self.outside.push(event),
                Output::Contacts { account, contacts } => self.contacts.push((account, contacts)),
                Output::Transmit { flow, bytes, .. } => {
                    self.fly(flow, &bytes);
                    self.flows.push(flow);
                    self.sent.push((self.now.monotonic, flow.local, flow.remote, bytes));
                }
            }
        }
    }

    /// Loses the next message from an address that begins so, once.
    pub(crate) fn lose(&mut self, from: SocketAddr, begins: &'static str) {
        self.losses.push((from, begins));
    }

    /// How many messages that should be lost have not been sent.
    pub(crate) fn losses(&self) -> usize {
        self.losses.len()
    }

    fn fly(&mut self, flow: Flow, bytes: &Bytes) {
        let lost = |(from, begins): &(SocketAddr, &str)| *from == flow.local && bytes.starts_with(begins.as_bytes());
        if let Some(at) = self.losses.iter().position(lost) {
            self.losses.remove(at);
            return;
        }
        let mut copies = 1;
        if self.random.next_u64() % 1000 < self.weather.doubled {
            copies = 2;
        }
        for _ in 0..copies {
            if self.random.next_u64() % 1000 < self.weather.lost {
                continue;
            }
            let delay = 1 + self.random.next_u64() % self.weather.delay.max(1);
            self.count += 1;
            self.flying.insert((self.now.monotonic + ms(delay), self.count), (flow, bytes.clone()));
        }
    }

    /// The earliest thing that will happen.
    pub(crate) fn next(&self) -> Option<Monotonic> {
        let timers = self.cores.iter().filter_map(|(_, core)| core.poll_timeout());
        timers.chain(self.flying.keys().next().map(|(at, _)| *at)).min()
    }

    /// Steps once; false when nothing is left before `until`.
    pub(crate) fn step(&mut self, until: Monotonic) -> bool {
        let Some(at) = self.next().filter(|at| *at <= until) else { return false };
        self.now = self.now.after(at.since(self.now.monotonic));
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= at) {
            let (flow, bytes) = entry.remove();
            let (source, to) = (flow.local, flow.remote);
            match self.cores.iter().position(|(local, _)| *local == to) {
                Some(side) => {
                    self.delivered.push((source, to, bytes.clone()));
                    self.inject_over(side, Flow { local: to, remote: source, ..flow }, bytes);
                }
                None => self.mail.push((source, to, bytes)),
            }
        }
        for side in 0..self.cores.len() {
            let now = self.now;
            self.cores[side].1.handle_timeout(now);
            self.drain(side);
        }
        true
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < 100_000, "a livelock");
        }
        self.now = self.now.after(until.since(self.now.monotonic));
    }

    /// The events of one side since the last look, without their legs.
    pub(crate) fn events_of(&mut self, side: usize) -> Vec<Event> {
        let mut mine = Vec::new();
        self.events.retain(|(at, _, event)| {
            if *at == side {
                mine.push(event.clone());
            }
            *at != side
        });
        mine
    }

    /// The leg of the incoming call that one side was told of last, and its description.
    pub(crate) fn incoming(&mut self, side: usize) -> (LegId, Incoming) {
        let found = self.events.iter().rev().find_map(|(at, leg, event)| match event {
            Event::Incoming(incoming) if *at == side => Some((*leg, (**incoming).clone())),
            _ => None,
        });
        found.expect("a call came in")
    }

    /// First lines of what went from one address to another, with when in milliseconds.
    pub(crate) fn ladder(&self, from: SocketAddr) -> Vec<(u64, String)> {
        let line = |bytes: &Bytes| String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
        let mine = self.sent.iter().filter(|(_, source, ..)| *source == from);
        mine.map(|(at, _, _, bytes)| (at.as_nanos() / 1_000_000, line(bytes))).collect()
    }

    /// How many messages from an address begin so.
    pub(crate) fn count(&self, from: SocketAddr, begins: &str) -> usize {
        self.ladder(from).iter().filter(|(_, line)| line.starts_with(begins)).count()
    }

    /// The last message from an address that begins so.
    pub(crate) fn last(&self, from: SocketAddr, begins: &str) -> String {
        let found = self
            .sent
            .iter()
            .rev()
            .find(|(_, source, _, bytes)| *source == from && bytes.starts_with(begins.as_bytes()));
        String::from_utf8(found.unwrap_or_else(|| panic!("no {begins} from {from}")).3.to_vec()).unwrap()
    }

    pub(crate) fn assert_nothing_left(&mut self) {
        self.pass(Duration::from_secs(40));
        for (local, core) in &self.cores {
            assert_eq!(core.gauges(), signaling::Gauges::default(), "{local} holds something");
        }
    }
}

/// A party that a test plays by hand.
pub(crate) fn hand() -> SocketAddr {
    "192.0.2.9:5070".parse().unwrap()
}

impl World {
    /// A core alone, with a party played by hand.
    pub(crate) fn alone() -> Self {
        Self::with(1, [config(a())])
    }

    /// Sends the core a message as written here, line ends put right, and lets 5 ms pass. What comes back to the hand.
    pub(crate) fn say(&mut self, message: &str) -> Vec<String> {
        self.say_from(hand(), message)
    }

    pub(crate) fn say_from(&mut self, source: SocketAddr, message: &str) -> Vec<String> {
        let text = message.trim_start().replace("\r\n", "\n").replace('\n', "\r\n");
        self.inject(0, source, text);
        self.pass(ms(5));
        self.heard()
    }

    /// What came to the hand since the last look.
    pub(crate) fn heard(&mut self) -> Vec<String> {
        self.mail.drain(..).map(|(.., bytes)| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }
}

/// A request as a stranger's program would write it.
pub(crate) fn request(method: &str, more: &str) -> String {
    format!(
        "{method} sip:line@192.0.2.1 SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-{method};rport\n\
         Max-Forwards: 70\n\
         From: <sip:caller@192.0.2.9>;tag=f1\n\
         To: <sip:line@192.0.2.1>\n\
         Call-ID: call-1\n\
         CSeq: 1 {method}\n\
         Contact: <sip:caller@192.0.2.9:5070>\n\
         {more}Content-Length: 0\n\n"
    )
}

/// The response of a hand to a request that came.
pub(crate) fn reply(request: &str, status: &str, tag: &str, more: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\n");
    for line in request.lines() {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "Call-ID", "CSeq"].contains(&name) {
            text.push_str(line);
            text.push('\n');
        }
        if name == "To" {
            let tag = if line.contains(";tag=") || tag.is_empty() { String::new() } else { format!(";tag={tag}") };
            text.push_str(&format!("{line}{tag}\n"));
        }
    }
    if !body.is_empty() {
        text.push_str("Content-Type: application/sdp\n");
    }
    text.push_str(&format!("{more}Content-Length: {}\n\n{body}", body.len()));
    text
}

/// The status of a response.
pub(crate) fn status(message: &str) -> u16 {
    message.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0)
}

pub(crate) const OUT: LegId = LegId(1);

/// A call that is up: the caller's leg is [`OUT`] at side 0; returns the other leg, at side 1.
pub(crate) fn established(world: &mut World) -> LegId {
    world.command(0, Command::Dial { leg: OUT, dial: dial(b(), a()) });
    world.pass(ms(50));
    let (leg, _) = world.incoming(1);
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(50));
    world.events.clear();
    leg
}

/// A header's first value in a message's text.
pub(crate) fn header<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let line =
        message.lines().find(|line| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name)));
    line.map(|line| line.split_once(':').unwrap().1.trim())
}

pub(crate) fn ended(events: &[Event]) -> Option<(EndedBy, Option<u16>)> {
    match events.last() {
        Some(Event::Ended { by, status, .. }) => Some((*by, *status)),
        _ => None,
    }
}

/// An answered incoming call of a caller played by hand: the rest of the caller's requests.
pub(crate) struct Caller {
    pub(crate) world: World,
    pub(crate) leg: LegId,
    /// To of the caller's requests, with the core's tag.
    pub(crate) to: String,
    cseq: u32,
}

impl Caller {
    pub(crate) fn answered() -> Self {
        let mut world = World::alone();
        world.say(
            &request("INVITE", "Content-Type: application/sdp\n")
                .replace("Content-Length: 0\n\n", "Content-Length: 3\n\nv=0"),
        );
        let (leg, _) = world.incoming(0);
        world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
        world.pass(ms(5));
        let ok = world.heard().into_iter().find(|message| message.starts_with("SIP/2.0 200")).unwrap();
        let mut caller = Self { world, leg, to: header(&ok, "To").unwrap().to_owned(), cseq: 1 };
        let ack = caller.written("ACK", "", "");
        caller.world.say(&ack);
        caller.world.events.clear();
        caller
    }

    /// A request within the dialog, with the next number.
    pub(crate) fn written(&mut self, method: &str, more: &str, body: &str) -> String {
        if method != "ACK" {
            self.cseq += 1;
        }
        let Self { to, cseq, .. } = self;
        format!(
            "{method} sip:192.0.2.1:5060 SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK-{method}-{cseq};rport\n\
             Max-Forwards: 70\nFrom: <sip:caller@192.0.2.9>;tag=f1\nTo: {to}\nCall-ID: call-1\n\
             CSeq: {cseq} {method}\nContact: <sip:caller@192.0.2.9:5070>\n\
             {more}Content-Length: {}\n\n{body}",
            body.len()
        )
    }

    /// Sends a request within the dialog: what comes back.
    pub(crate) fn say(&mut self, method: &str, more: &str) -> Vec<String> {
        let message = self.written(method, more, "");
        self.world.say(&message)
    }

    pub(crate) fn number(&self) -> u32 {
        self.cseq
    }

    pub(crate) fn command(&mut self, command: Command) -> Vec<String> {
        self.world.command(0, command);
        self.world.pass(ms(5));
        self.world.heard()
    }

    /// Answers a request of the core.
    pub(crate) fn answer(&mut self, request: &str, status: &str) -> Vec<String> {
        self.world.say(&reply(request, status, "", "", ""))
    }
}
