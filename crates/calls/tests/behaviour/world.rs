//! A scripted world around the real core: parties that do what a test says, a relay that only keeps plans, virtual time.
//! Checkers run after every step: who hears whom, legs and ports that must be gone.

use bytes::Bytes;
use calls::{
    AiFailureStep, AiProfile, CallId, Cdr, Config, Core, Happening, Input, Network, Opened, Output, Party, Problem,
    PublicEvent, Reply, Request, RequestId, Route, TransferBody, TransferId, Trunk,
};
use clock::Now;
use media_relay::{PortId, Source};
use policy::{Environment, RuleSet, SourceFile};
use signaling::{
    Command, Dial, EndedBy, Event, Incoming, LegId, OutsideCommand,
    locate::{Target, Wanted},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

pub(crate) const RULES: &str = r#"
version: 1
facts:
  lead.value: { type: number, from: lead, default: 0 }
hours:
  never:
    timezone: Europe/Berlin
    open: { mon: ["00:00-00:01"] }
destinations:
  retention: { dial: ["sip:anna@192.0.2.30", "sip:ben@192.0.2.31"], ring: ordered }
  team:      { dial: ["sip:anna@192.0.2.30", "sip:ben@192.0.2.31"], ring: simultaneous, accept: { press: "1", within: 10s } }
  closer:    { dial: "tel:+15550199", trunk: carrier, accept: { press: "1", within: 10s } }
  frontdesk: { dial: "sip:100@192.0.2.40" }
  second:    { dial: "sip:200@192.0.2.41" }
  night:     { dial: "sip:300@192.0.2.42", hours: never }
  plain:     { dial: "sip:100@192.0.2.40", whisper: none }
  named:     { dial: "sip:100@pbx.example.net", whisper: none }
defaults:
  rules: { cooldown: 60s, max_transfers: 5 }
  transfer:
    mode: warm
    ring_timeout: 20s
    start: after_speech
    drain_max: 5s
    predial: true
    caller_hears: { then: music/default }
    whisper: { prompt: incoming-handoff }
    on_failure: { busy: [second], closed: [second], else: [ai] }
rules:
  - id: three-misses
    when: { retries: { at_least: 3 } }
    transfer: { to: frontdesk, mode: cold }
  - id: angry-caller
    when: { sentiment: { below: -0.5, last: 2 } }
    transfer: retention
  - id: big-lead
    when: { fact: lead.value, at_least: 10000 }
    transfer: closer
"#;

/// One party's leg, as its far end sees it.
#[derive(Clone, Debug)]
pub(crate) struct Far {
    pub(crate) dial: Option<Dial>,
    pub(crate) target: String,
    pub(crate) answered: bool,
    pub(crate) ended: bool,
    pub(crate) ended_at: Option<Now>,
    pub(crate) status: Option<u16>,
    pub(crate) port: Option<PortId>,
}

pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: Now,
    pub(crate) call: CallId,
    pub(crate) caller: LegId,
    pub(crate) legs: BTreeMap<LegId, Far>,
    pub(crate) ports: BTreeMap<PortId, bool>,
    pub(crate) roles: BTreeMap<PortId, Party>,
    pub(crate) plan: BTreeMap<PortId, Source>,
    pub(crate) plans: Vec<(Now, BTreeMap<PortId, Source>)>,
    pub(crate) published: Vec<PublicEvent>,
    pub(crate) outside: Vec<OutsideCommand>,
    pub(crate) replies: BTreeMap<u64, Result<Reply, Problem>>,
    pub(crate) cdrs: Vec<Cdr>,
    pub(crate) measures: Vec<media_relay::MeasureId>,
    pub(crate) resolves: Vec<(calls::ResolveId, Wanted)>,
    pub(crate) watches: BTreeMap<PortId, Option<Duration>>,
    /// What is kept of what is said, and whether now.
    pub(crate) remembered: BTreeMap<PortId, (Option<Duration>, bool)>,
    opening: Vec<LegId>,
    described: BTreeSet<PortId>,
    /// What was agreed last for each port.
    pub(crate) streams: BTreeMap<PortId, media_relay::Stream>,
    bridged: bool,
    next_port: u32,
    next_request: u64,
    next_incoming: u64,
    pub(crate) no_ports: bool,
    /// AI and human may hear each other: in an introduction, or a co-pilot its human.
    pub(crate) together: bool,
    /// Callers require reliable provisional responses.
    pub(crate) reliable: bool,
    /// Everything that signaling was asked for.
    pub(crate) commands: Vec<Command>,
    /// Everything that the recorder was asked for.
    pub(crate) orders: Vec<calls::RecordOrder>,
    /// Everything that was to be kept.
    pub(crate) stored: Vec<calls::Stored>,
    /// Nothing can be kept.
    pub(crate) no_ledger: bool,
    /// Ports at which a machine is listened for.
    pub(crate) detecting: BTreeMap<PortId, media_relay::Detection>,
    /// The disk takes its time: what was to be kept and is not yet.
    pub(crate) unkept: Option<Vec<calls::StoreId>>,
    /// Ports that are tapped.
    pub(crate) taps: BTreeMap<PortId, media_relay::Tap>,
    pub(crate) message_taps: BTreeMap<PortId, media_relay::Tap>,
    /// Whose phone the next caller calls from, when it is a registered one.
    pub(crate) account: Option<String>,
    /// The request URI of the next caller.
    pub(crate) calls: &'static str,
    /// Legs that wait until what they are about is on the screens.
    pub(crate) showing: Vec<LegId>,
    inbox: VecDeque<Input>,
}

pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

pub(crate) fn config() -> Config {
    let network = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
    let ai = |uri: &str| AiProfile { uri: uri.into(), ..AiProfile::default() };
    let mut main = ai("sip:bot@192.0.2.20");
    main.on_ai_failure = vec![AiFailureStep::Profile("backup".into()), AiFailureStep::Destination("plain".into())];
    Config {
        listeners: vec![signaling::Listener::from("192.0.2.1:5060".parse::<SocketAddr>().unwrap())],
        trunks: [(
            "carrier".to_owned(),
            Trunk { host: "192.0.2.10".into(), allowed: vec![network("192.0.2.10", 32)], ..Trunk::default() },
        )]
        .into(),
        routes: vec![Route { called: "*".into(), line: "support".into(), ai: "main".into(), ..Route::default() }],
        ai: [("main".to_owned(), main), ("backup".to_owned(), ai("sip:backup@192.0.2.21"))].into(),
        ..Config::default()
    }
}

/// A leg's peer holds us, or no longer.
pub(crate) fn holding(world: &mut World, leg: LegId, holds: bool) {
    let direction = if holds { "sendonly" } else { "sendrecv" };
    world.tell(leg, Event::Offer { body: Some(Bytes::from(format!("{SDP}a={direction}\r\n"))) });
}

/// What was located: addresses over UDP.
pub(crate) fn targets(addresses: &[&str]) -> Vec<Target> {
    let target = |address: &&str| Target {
        transport: signaling::Transport::Udp,
        address: address.parse().unwrap(),
        name: Some("pbx.example.net".into()),
    };
    addresses.iter().map(target).collect()
}

pub(crate) fn rules(text: &str) -> Arc<RuleSet> {
    match RuleSet::load(&[SourceFile::main("rules.yaml", text)], &Environment::default()) {
        Ok(loaded) => Arc::new(loaded.rules),
        Err(wrong) => panic!("{wrong}"),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config(), RULES, 7)
    }

    pub(crate) fn with(config: Config, text: &str, seed: u64) -> Self {
        let now = Now { unix: Duration::from_secs(1_795_000_000), ..Now::default() }.after(Duration::from_secs(5));
        Self {
            core: Core::new(Arc::new(config), rules(text), seed, now),
            now,

            call: "c_00000000000000000000000000".parse().unwrap(),
            caller: LegId(0),
            legs: BTreeMap::new(),
            ports: BTreeMap::new(),
            roles: BTreeMap::new(),
            plan: BTreeMap::new(),
            plans: Vec::new(),
            published: Vec::new(),
            outside: Vec::new(),
            replies: BTreeMap::new(),
            cdrs: Vec::new(),
            measures: Vec::new(),
            resolves: Vec::new(),
            watches: BTreeMap::new(),
            remembered: BTreeMap::new(),
            opening: Vec::new(),
            described: BTreeSet::new(),
            streams: BTreeMap::new(),
            bridged: false,
            next_port: 0,
            next_request: 0,
            next_incoming: 0,
            no_ports: false,
            together: false,
            reliable: false,
            commands: Vec::new(),
            orders: Vec::new(),
            stored: Vec::new(),
            no_ledger: false,
            detecting: BTreeMap::new(),
            unkept: None,
            taps: BTreeMap::new(),
            message_taps: BTreeMap::new(),
            account: None,
            calls: "sip:+4930900@192.0.2.1",
            showing: Vec::new(),
            inbox: VecDeque::new(),
        }
    }

    /// A caller who talks with the AI.
    pub(crate) fn with_ai() -> Self {
        let mut world = Self::new();
        world.connect();
        world
    }

    pub(crate) fn connect(&mut self) {
        self.caller_comes(Some(SDP));
        let ai = self.dialled("bot@");
        self.ring(ai);
        self.answer(ai);
        assert!(self.legs[&self.caller].answered, "the caller is answered when the AI answers");
    }

    // ---- the parties

    pub(crate) fn caller_comes(&mut self, offer: Option<&'static str>) {
        self.next_incoming += 1;
        let leg = LegId((1 << 63) | self.next_incoming);
        self.caller = leg;
        let party = |uri: &str| signaling::Party { display: String::new(), uri: uri.into() };
        let incoming = Incoming {
            account: self.account.clone(),
            gate: None,
            flow: signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.10:5060".parse().unwrap()),
            request_uri: self.calls.into(),
            from: party("sip:+493055512345@192.0.2.10"),
            to: party("sip:+4930900@192.0.2.1"),
            call_id: format!("abc-{}", self.next_incoming),
            reliable: self.reliable,
            headers: Vec::new(),
            offer: offer.map(|text| Bytes::from_static(text.as_bytes())),
            max_forwards: 70,
        };
        let far = Far {
            dial: None,
            target: "caller".into(),
            answered: false,
            ended: false,
            ended_at: None,
            status: None,
            port: None,
        };
        self.legs.insert(leg, far);
        self.opening.push(leg);
        self.tell(leg, Event::Incoming(Box::new(incoming)));
        if let Some(PublicEvent { call: Some(call), .. }) =
            self.published.iter().rev().find(|event| matches!(event.what, Happening::CallStarted { .. }))
        {
            self.call = *call;
        }
    }

    pub(crate) fn tell(&mut self, leg: LegId, event: Event) {
        self.give(Input::Signaling { leg, event });
    }

    pub(crate) fn ring(&mut self, leg: LegId) {
        self.tell(leg, Event::Provisional { status: 180, body: None });
    }

    pub(crate) fn answer(&mut self, leg: LegId) {
        if let Some(far) = self.legs.get_mut(&leg) {
            far.answered = true;
        }
        self.tell(leg, Event::Answered { body: Some(Bytes::from_static(SDP.as_bytes())), headers: Vec::new() });
    }

    pub(crate) fn refuse(&mut self, leg: LegId, status: u16) {
        self.end_leg(leg, EndedBy::Refused, Some(status));
    }

    pub(crate) fn hang_up(&mut self, leg: LegId) {
        let by = if leg == self.caller && !self.legs[&leg].answered { EndedBy::Cancel } else { EndedBy::Peer };
        self.end_leg(leg, by, None);
    }

    pub(crate) fn end_leg(&mut self, leg: LegId, by: EndedBy, status: Option<u16>) {
        let far = self.legs.get_mut(&leg).unwrap();
        assert!(!far.ended, "a leg ends once");
        (far.ended, far.ended_at) = (true, Some(self.now));
        self.tell(leg, Event::Ended { by, status, reason: None, retry_after: None });
    }

    /// 503 with Retry-After.
    pub(crate) fn sends_away(&mut self, leg: LegId, seconds: u64) {
        let far = self.legs.get_mut(&leg).unwrap();
        (far.ended, far.ended_at) = (true, Some(self.now));
        let retry_after = Some(Duration::from_secs(seconds));
        self.tell(leg, Event::Ended { by: EndedBy::Refused, status: Some(503), reason: None, retry_after });
    }

    pub(crate) fn press(&mut self, leg: LegId, digit: char) {
        let port = self.legs[&leg].port.unwrap();
        self.media(media_relay::Event::Dtmf { port, digit, duration: Duration::from_millis(100) });
    }

    pub(crate) fn media(&mut self, event: media_relay::Event) {
        self.give(Input::Media(event));
    }

    /// The prompt that `leg` hears is over.
    pub(crate) fn prompt_over(&mut self, leg: LegId) {
        let port = self.legs[&leg].port.unwrap();
        let Some(Source::Play(play)) = self.plan.get(&port) else { panic!("{leg} hears {:?}", self.plan.get(&port)) };
        let (play, clips) = (play.id, play.first.len());
        self.media(media_relay::Event::PlayDone { port, play, clips });
    }

    pub(crate) fn ai_quiet(&mut self) {
        let port = self.legs[&self.leg("bot@")].port.unwrap();
        let lasting = self.watches[&port].expect("the AI is watched while it says its last words");
        self.media(media_relay::Event::Quiet { port, lasting });
    }

    // ---- the API

    pub(crate) fn ask(&mut self, request: Request) -> u64 {
        self.next_request += 1;
        let id = self.next_request;
        self.give(Input::Request { id: RequestId(id), request });
        id
    }

    pub(crate) fn reply(&mut self, request: Request) -> Result<Reply, Problem> {
        let id = self.ask(request);
        self.replies.remove(&id).expect("an answer at once")
    }

    pub(crate) fn event(&mut self, json: serde_json::Value) -> calls::EventsReply {
        let events = policy::Posted::list_from_json(&json).unwrap();
        let call = self.call;
        match self.reply(Request::Events { call, events }) {
            Ok(Reply::Events(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn transfer(&mut self, to: &str) -> TransferId {
        self.transfer_as(TransferBody::to(to)).unwrap()
    }

    pub(crate) fn transfer_as(&mut self, body: TransferBody) -> Result<TransferId, Problem> {
        let call = self.call;
        let request = Request::Transfer { call, body: Box::new(body), idempotency_key: None, wait: None };
        match self.reply(request)? {
            Reply::Transfer(reply) => Ok(reply.transfer.id),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn state(&mut self) -> calls::CallState {
        let call = self.call;
        match self.reply(Request::Call { call }) {
            Ok(Reply::Call(detail)) => detail.summary.state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn transfer_record(&mut self, transfer: TransferId) -> calls::TransferRecord {
        match self.reply(Request::TransferStatus { transfer }) {
            Ok(Reply::Transfer(reply)) => reply.transfer,
            other => panic!("{other:?}"),
        }
    }

    // ---- time

    pub(crate) fn pass(&mut self, duration: Duration) {
        let until = self.now.monotonic + duration;
        for _ in 0..10_000 {
            match self.core.poll_timeout().filter(|at| *at <= until) {
                Some(at) => {
                    self.now = self.now.after(at.since(self.now.monotonic));
                    self.core.handle_timeout(self.now);
                    self.drain();
                }
                None => {
                    self.now = self.now.after(until.since(self.now.monotonic));
                    return;
                }
            }
        }
        panic!("timers that never come to rest");
    }

    pub(crate) fn secs(&mut self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    pub(crate) fn ms(&mut self, milliseconds: u64) {
        self.pass(Duration::from_millis(milliseconds));
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.inbox.push_back(input);
        self.drain();
    }

    fn drain(&mut self) {
        for _ in 0..10_000 {
            if let Some(output) = self.core.poll_output() {
                self.take(output);
            } else if let Some(input) = self.inbox.pop_front() {
                self.core.handle_input(self.now, input);
            } else {
                return;
            }
        }
        panic!("a livelock");
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Signaling(command) => self.command(command),
            Output::Outside(command) => self.outside.push(command),
            Output::Media(command) => self.relay(command),
            Output::OpenPort { id, .. } => {
                if self.no_ports {
                    return self.inbox.push_back(Input::PortFailed { id });
                }
                self.next_port += 1;
                let port = PortId(self.next_port);
                self.ports.insert(port, true);
                let address =
                    SocketAddr::new("192.0.2.1".parse().unwrap(), 20_000 + 2 * u16::try_from(self.next_port).unwrap());
                self.inbox.push_back(Input::PortOpened { id, opened: Opened { port, address } });
                // Whose it is shows when it is described; the caller's is the first of a call.
                if let Some(leg) = self.opening.pop() {
                    self.roles.insert(port, Party::Caller);
                    self.legs.get_mut(&leg).unwrap().port = Some(port);
                }
            }
            Output::Show { leg } => self.showing.push(leg),
            Output::Resolve { id, wanted } => self.resolves.push((id, wanted)),
            Output::Reply { id, reply } => {
                assert!(self.replies.insert(id.0, *reply).is_none(), "one answer a request");
            }
            Output::Publish(event) => {
                let first = self.published.first().map_or(event.seq, |first| first.seq);
                assert_eq!(event.seq, first + self.published.len() as u64);
                self.bridged |= matches!(event.what, Happening::TransferBridged { .. });
                self.published.push(event);
            }
            Output::Cdr(cdr) => self.cdrs.push(*cdr),
            Output::Store { id, what } => {
                self.stored.push(*what);
                match &mut self.unkept {
                    Some(unkept) => unkept.push(id),
                    None => self.inbox.push_back(Input::Stored { id, kept: !self.no_ledger }),
                }
            }
            Output::Record(order) => self.orders.push(order),
            Output::Observe(_) => {}
        }
    }

    fn command(&mut self, command: Command) {
        self.commands.push(command.clone());
        match command {
            Command::Dial { leg, dial } => {
                let body = String::from_utf8_lossy(dial.offer.as_ref().unwrap()).into_owned();
                let media = body.lines().find_map(|line| line.strip_prefix("m=audio ")).unwrap();
                let number: u32 = media.split(' ').next().unwrap().parse().unwrap();
                let port = PortId((number - 20_000) / 2);
                let party = if dial.target.contains("bot@") || dial.target.contains("backup@") {
                    Party::Ai
                } else if dial.target.contains("15550177")
                    || dial.headers.iter().any(|(name, _)| name == "X-Tandem-Supervise")
                {
                    Party::Supervisor
                } else if dial.target.starts_with("tel:+4930") {
                    // Somebody who is called back.
                    Party::Caller
                } else {
                    Party::Human
                };
                self.roles.insert(port, party);
                let target = dial.target.clone();
                let far = Far {
                    dial: Some(*dial),
                    target,
                    answered: false,
                    ended: false,
                    ended_at: None,
                    status: None,
                    port: Some(port),
                };
                assert!(self.legs.insert(leg, far).is_none(), "a leg is dialled once");
            }
            Command::Answer { leg, .. } => self.legs.get_mut(&leg).unwrap().answered = true,
            Command::Hangup { leg, .. } | Command::Reject { leg, .. } => {
                let status = match command {
                    Command::Reject { status, .. } => Some(status),
                    _ => None,
                };
                let far = self.legs.get_mut(&leg).unwrap();
                if !far.ended {
                    (far.ended, far.ended_at, far.status) = (true, Some(self.now), status);
                    let event = Event::Ended { by: EndedBy::Us, status, reason: None, retry_after: None };
                    self.inbox.push_back(Input::Signaling { leg, event });
                }
            }
            _ => {}
        }
    }

    fn relay(&mut self, command: media_relay::Command) {
        use media_relay::Command as C;
        match command {
            C::Plan { sources, .. } => {
                self.plan = sources.into_iter().collect();
                self.check_plan();
                self.plans.push((self.now, self.plan.clone()));
            }
            C::Describe { port, stream } => {
                assert!(self.ports[&port]);
                self.described.insert(port);
                self.streams.insert(port, *stream);
            }
            C::Watch { port, silence_after, .. } => {
                self.watches.insert(port, silence_after);
            }
            C::Detect { port, detection: Some(detection) } => {
                self.detecting.insert(port, detection);
            }
            C::Detect { port, detection: None } => {
                self.detecting.remove(&port);
            }
            C::Remember { port, lasting, listening } => {
                self.remembered.insert(port, (lasting, listening));
            }
            C::Tap { port, tap } => {
                // A message's tap is told by its number.
                let taps = if tap.id.0 >> 63 == 1 { &mut self.message_taps } else { &mut self.taps };
                match tap.received.or(tap.sent) {
                    Some(_) => taps.insert(port, tap),
                    None => taps.remove(&port),
                };
            }
            C::MeasureStart { id, .. } => self.measures.push(id),
            C::MeasureStop { port, id } => {
                self.measures.retain(|measuring| *measuring != id);
                let longest_silence = Duration::from_millis(20);
                self.inbox.push_back(Input::Media(media_relay::Event::Measured { port, id, longest_silence }));
            }
            C::Close { port } => {
                assert_eq!(self.ports.insert(port, false), Some(true), "a port is closed once");
                if self.roles.get(&port) == Some(&Party::Caller) {
                    for id in std::mem::take(&mut self.measures) {
                        let longest_silence = Duration::from_millis(20);
                        self.inbox.push_back(Input::Media(media_relay::Event::Measured { port, id, longest_silence }));
                    }
                }
                // Each port has counted its own number of packets.
                let stats = Box::new(media_relay::Stats { packets_received: port.0.into(), ..Default::default() });
                self.inbox.push_back(Input::Media(media_relay::Event::Closed { port, stats }));
            }
            _ => {}
        }
    }

    /// Design, section 5, seen from outside.
    fn check_plan(&self) {
        for (port, source) in &self.plan {
            assert!(self.ports[port], "a plan for a closed port");
            assert!(self.described.contains(port), "a plan for a port without an answer");
            let role = self.roles[port];
            let voices = match source {
                Source::Port(heard) => std::slice::from_ref(heard),
                Source::Mix(several) => several,
                _ => &[],
            };
            for heard in voices {
                assert!(self.ports[heard], "a closed port is heard");
                assert_ne!(port, heard, "nobody hears themselves");
                let heard = self.roles[heard];
                assert!(role == Party::Supervisor || role != heard, "nobody hears their own kind here");
                let both = role == Party::Ai && heard == Party::Human || role == Party::Human && heard == Party::Ai;
                let briefing = |event: &PublicEvent| {
                    matches!(event.what, Happening::WhisperStarted { by: calls::WhisperedBy::Ai, .. })
                };
                let told = !self.bridged && self.published.iter().any(briefing);
                assert!(!both || told || self.together, "AI and human hear each other only where that was asked for");
                assert!(!(role == Party::Ai && heard == Party::Supervisor), "the AI hears no supervisor");
            }
            match (role, source) {
                (Party::Ai, Source::Play(_) | Source::Ringback) => panic!("the AI hears music"),
                (Party::Supervisor, Source::Play(_) | Source::Ringback) => panic!("a supervisor hears music"),
                (Party::Caller, Source::Play(play)) => {
                    assert!(!play.first.iter().any(|clip| &**clip == "incoming-handoff"), "a caller hears a whisper");
                }
                _ => {}
            }
        }
    }

    // ---- looking

    /// The live leg that was dialled at a target that contains `part`.
    pub(crate) fn dialled(&self, part: &str) -> LegId {
        let found = self.legs.iter().rev().find(|(_, far)| far.target.contains(part) && !far.ended);
        *found.unwrap_or_else(|| panic!("nobody was dialled at {part}: {:#?}", self.story())).0
    }

    pub(crate) fn leg(&self, part: &str) -> LegId {
        *self.legs.iter().rev().find(|(_, far)| far.target.contains(part)).unwrap().0
    }

    pub(crate) fn is_dialled(&self, part: &str) -> bool {
        self.legs.values().any(|far| far.target.contains(part) && !far.ended)
    }

    pub(crate) fn hears(&self, leg: LegId) -> &Source {
        let port = self.legs[&leg].port.unwrap();
        self.plan.get(&port).unwrap_or(&Source::Nothing)
    }

    pub(crate) fn caller_hears(&self) -> &Source {
        self.hears(self.caller)
    }

    pub(crate) fn hears_leg(&self, listener: LegId, speaker: LegId) -> bool {
        *self.hears(listener) == Source::Port(self.legs[&speaker].port.unwrap())
    }

    pub(crate) fn hears_music(&self) -> bool {
        matches!(self.caller_hears(), Source::Play(play) if play.then == media_relay::Then::Loop("music/default".into()))
    }

    pub(crate) fn header(&self, leg: LegId, name: &str) -> Option<String> {
        let dial = self.legs[&leg].dial.as_ref().unwrap();
        dial.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    pub(crate) fn story(&self) -> Vec<&'static str> {
        self.published.iter().map(|event| event.what.name()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.story().iter().filter(|it| **it == name).count()
    }

    /// (cause, sip_code, attempt, next) of each `transfer.failed`.
    pub(crate) fn failures(&self) -> Vec<(policy::Cause, Option<u16>, u32, String)> {
        let failure = |event: &PublicEvent| match &event.what {
            Happening::TransferFailed { cause, sip_code, attempt, next, .. } => {
                Some((*cause, *sip_code, *attempt, next.clone()))
            }
            _ => None,
        };
        self.published.iter().filter_map(failure).collect()
    }

    /// Everybody is gone within 200 ms, every port closed, every gauge at zero, one record written.
    pub(crate) fn all_gone(&mut self, since: Now) {
        self.pass(Duration::from_millis(200));
        for (leg, far) in &self.legs {
            assert!(far.ended, "{leg} ({}) is left: {:?}", far.target, self.story());
            let after = far.ended_at.unwrap().monotonic.since(since.monotonic);
            assert!(after <= Duration::from_millis(200), "{leg} left {after:?} later");
        }
        assert!(self.ports.values().all(|open| !open), "a port is left");
        assert!(self.core.gauges().is_empty(), "{:?}", self.core.gauges());
        assert_eq!(self.core.poll_timeout(), None);
        assert_eq!(self.cdrs.len(), 1);
    }
}
