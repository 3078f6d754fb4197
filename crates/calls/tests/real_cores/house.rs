//! Everything real but sockets and clocks. The far end is a second signaling core with one listener a party; parties send
//! 20 ms tones while they are in a call, and keep what they hear.

use bytes::Bytes;
use calls::{AiFailureStep, AiProfile, Config, Input, Opened, Output, PublicEvent, Route, Trunk};
use clock::{Monotonic, Now};
use media_relay::{Age, Channel, Clip, Codec, Library, PortId, Slot, Wire, Worker};
use policy::{Environment, RuleSet, SourceFile};
use signaling::{Command, Dial, Event, LegId, Refer, Referral};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

pub(crate) const RULES: &str = r#"
version: 1
destinations:
  human: { dial: "sip:human@10.0.0.30" }
  keyed: { dial: "sip:human@10.0.0.30", accept: { press: "1", within: 10s } }
  both:  { dial: ["sip:human@10.0.0.30", "sip:other@10.0.0.31"], ring: simultaneous, accept: { press: "1", within: 10s } }
  other: { dial: "sip:other@10.0.0.31", whisper: none }
defaults:
  transfer:
    caller_hears: { then: music/default }
    whisper: { prompt: incoming-handoff }
    on_failure: { busy: [other], else: [ai] }
rules:
  - id: three-misses
    when: { retries: { at_least: 3 } }
    transfer: { to: human, mode: cold }
"#;

/// How a party answers its phone.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum Phone {
    /// Rings, then answers after so long.
    Answers(Duration),
    /// Rings for ever.
    Rings,
    /// Refuses.
    Refuses(u16),
    /// Its packets go nowhere.
    Unplugged,
}

/// A packet a party heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Monotonic,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    pub(crate) loud: bool,
    /// The first sample's word tells whose tone it is: each party says its own.
    pub(crate) word: u8,
}

#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) address: IpAddr,
    pub(crate) phone: Phone,
    /// What it says: a square wave of this word and its negative; `None`: it sends nothing.
    pub(crate) says: Option<u8>,
    pub(crate) legs: Vec<(LegId, bool)>,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) heard: Vec<Heard>,
    pub(crate) invites: Vec<signaling::Incoming>,
    pub(crate) ended: Vec<(LegId, Monotonic)>,
    /// A CANCEL or BYE that its leg's end was.
    sequence: u16,
    timestamp: u32,
}

pub(crate) struct House {
    pub(crate) now: Now,
    near: signaling::Core,
    far: signaling::Core,
    pub(crate) calls: calls::Core,
    worker: Worker,
    pub(crate) parties: BTreeMap<&'static str, Party>,
    network: VecDeque<(Monotonic, bool, SocketAddr, SocketAddr, Bytes)>,
    planned: Vec<(Monotonic, LegId)>,
    next_frame: Monotonic,
    next_port: u32,
    next_leg: u64,
    pub(crate) published: Vec<PublicEvent>,
    pub(crate) cdrs: Vec<calls::Cdr>,
    pub(crate) replies: Vec<Result<calls::Reply, calls::Problem>>,
    pub(crate) largest_invite: usize,
    /// What parties that sent a REFER were told.
    pub(crate) referrals: Vec<Referral>,
    /// Every SIP message that was sent, and whether by us.
    wire: Vec<(bool, String)>,
    air: Air,
}

#[derive(Default)]
struct Air {
    packets: Vec<(SocketAddr, Vec<u8>)>,
}

impl Wire for Air {
    fn transmit(&mut self, _: Slot, channel: Channel, to: SocketAddr, bytes: &[u8]) {
        if channel == Channel::Rtp {
            self.packets.push((to, bytes.to_vec()));
        }
    }
}

const NEAR: &str = "10.0.0.1:5060";
const TRIP: Duration = Duration::from_millis(1);
const FRAME: Duration = Duration::from_millis(20);

fn sip(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, 5060)
}

fn sdp(address: IpAddr) -> Bytes {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\n"
    )
    .into()
}

/// Where a description says RTP goes.
fn remote(body: &[u8]) -> SocketAddr {
    let text = String::from_utf8_lossy(body);
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).unwrap().to_owned();
    let port = line("m=audio ").split(' ').next().unwrap().parse().unwrap();
    SocketAddr::new(line("c=IN IP4 ").parse().unwrap(), port)
}

impl House {
    pub(crate) fn new() -> Self {
        let now = Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: Duration::from_secs(1_795_000_000) };
        let mut parties = BTreeMap::new();
        for (name, last, phone, word) in [
            ("caller", 10, Phone::Rings, 0x90),
            ("second", 11, Phone::Rings, 0x94),
            ("bot", 20, Phone::Answers(Duration::from_millis(300)), 0x98),
            ("backup", 21, Phone::Answers(Duration::from_millis(300)), 0x9c),
            ("human", 30, Phone::Answers(Duration::from_secs(7)), 0xa0),
            ("other", 31, Phone::Answers(Duration::from_secs(2)), 0xa8),
        ] {
            let party = Party {
                address: IpAddr::from([10, 0, 0, last]),
                phone,
                says: Some(word),
                legs: Vec::new(),
                remote: None,
                heard: Vec::new(),
                invites: Vec::new(),
                ended: Vec::new(),
                sequence: u16::from(last) * 1_000,
                timestamp: u32::from(last) * 99_999,
            };
            parties.insert(name, party);
        }
        let near: SocketAddr = NEAR.parse().unwrap();
        let everyone: Vec<signaling::Network> = vec!["10.0.0.0/24".parse().unwrap()];
        let config = |listeners: Vec<SocketAddr>| signaling::Config {
            listeners: listeners.into_iter().map(signaling::Listener::from).collect(),
            allowed: everyone.clone(),
            ..signaling::Config::default()
        };
        let far: Vec<SocketAddr> = parties.values().map(|party: &Party| sip(party.address)).collect();
        let tone = |samples: usize| Clip::from_pcm16(&vec![3_000; samples]);
        let mut library = Library::default();
        library.insert("music/default", tone(80_000));
        library.insert("incoming-handoff", tone(8_000));
        let rules = RuleSet::load(&[SourceFile::main("rules.yaml", RULES)], &Environment::default());
        let rules = rules.unwrap_or_else(|wrong| panic!("{wrong}")).rules;
        Self {
            near: signaling::Core::new(config(vec![near]), 1, now),
            far: signaling::Core::new(config(far), 2, now),
            calls: calls::Core::new(Arc::new(calls_config(near)), Arc::new(rules), 3, now),
            worker: Worker::new(Arc::new(library), 4, now),
            now,
            parties,
            network: VecDeque::new(),
            planned: Vec::new(),
            next_frame: now.monotonic,
            next_port: 0,
            next_leg: 0,
            published: Vec::new(),
            cdrs: Vec::new(),
            replies: Vec::new(),
            largest_invite: 0,
            referrals: Vec::new(),
            wire: Vec::new(),
            air: Air::default(),
        }
    }

    /// A caller who talks with the AI.
    pub(crate) fn with_ai() -> Self {
        let mut house = Self::new();
        house.place_call();
        house.ms(1_500);
        assert!(house.said("ai.connected"), "{:?}", house.story());
        house
    }

    pub(crate) fn place_call(&mut self) {
        self.place_call_of("caller", &[]);
    }

    pub(crate) fn place_call_of(&mut self, name: &str, headers: &[(&str, String)]) {
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let caller = self.parties.get_mut(name).unwrap();
        caller.legs.push((leg, false));
        let address = caller.address;
        let dial = Dial {
            target: "sip:4930900@10.0.0.1".into(),
            flow: signaling::Flow::udp(sip(address), NEAR.parse().unwrap()),
            peer_name: None,
            from: signaling::Party { display: String::new(), uri: format!("sip:+493055512345@{address}") },
            to: signaling::Party::default(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            offer: Some(sdp(address)),
            credentials: None,
            max_forwards: 70,
            invite_timeout: Duration::from_secs(120),
            first_response: None,
            session_timer: None,
            routes: Vec::new(),
        };
        self.far.handle_input(self.now, signaling::Input::Command(Command::Dial { leg, dial: Box::new(dial) }));
        self.settle();
    }

    // ---- what parties do

    pub(crate) fn hang_up(&mut self, name: &str) {
        let legs = self.parties[name].legs.clone();
        for (leg, _) in legs {
            self.far_command(Command::Hangup { leg, reason: None });
        }
    }

    /// A party puts its first leg on hold.
    pub(crate) fn hold(&mut self, name: &str) {
        let party = &self.parties[name];
        let mut offer = sdp(party.address).to_vec();
        offer.extend_from_slice(b"a=sendonly\r\n");
        self.far_command(Command::Offer { leg: party.legs[0].0, offer: offer.into() });
        self.ms(50);
    }

    /// A party asks Tandem, on its first leg, to call somebody else; to take the place of its last leg's dialog, if so.
    pub(crate) fn refer(&mut self, name: &str, to: &str, replaces: bool) {
        let legs = &self.parties[name].legs;
        let (leg, other) = (legs[0].0, legs[legs.len() - 1].0);
        let refer = Refer {
            to: to.into(),
            replaces: replaces.then_some(other),
            referred_by: Some(format!("sip:{name}@{}", self.parties[name].address)),
            subscribe: true,
            timeout: Duration::from_secs(60),
        };
        self.far_command(Command::Refer { leg, refer: Box::new(refer) });
    }

    /// The value of Replaces for our dialog with a party that we dialled, as a third party would write it.
    pub(crate) fn replaces(&self, name: &str) -> String {
        let call_id = &self.parties[name].invites.last().unwrap().call_id;
        let of = |ours: bool, begins: &str| {
            let mut found = self.wire.iter().rev().filter(|(by_us, _)| *by_us == ours).map(|(_, text)| text);
            found.find(|text| {
                text.starts_with(begins) && text.contains(call_id.as_str()) && text.contains(" INVITE\r\n")
            })
        };
        let tag = |text: &str, header: &str| {
            let line = text.lines().find(|line| line.starts_with(header)).unwrap();
            line.split("tag=").nth(1).unwrap().to_owned()
        };
        let theirs = of(false, "SIP/2.0 200").or_else(|| of(false, "SIP/2.0 180")).unwrap();
        let invite = of(true, "INVITE ").unwrap();
        format!("{call_id};to-tag={};from-tag={}", tag(invite, "From:"), tag(theirs, "To:"))
    }

    /// The same for the dialog that the caller made.
    pub(crate) fn replaces_of_caller(&self) -> String {
        let ok = self.wire.iter().find(|(ours, text)| *ours && text.starts_with("SIP/2.0 200")).unwrap();
        let line = |header: &str| ok.1.lines().find_map(|line| line.strip_prefix(header)).unwrap().trim().to_owned();
        let tag = |line: String| line.split("tag=").nth(1).unwrap().to_owned();
        format!("{};to-tag={};from-tag={}", line("Call-ID:"), tag(line("To:")), tag(line("From:")))
    }

    /// The last request of ours that begins so.
    pub(crate) fn sent(&self, begins: &str) -> &str {
        &self.wire.iter().rev().find(|(ours, text)| *ours && text.starts_with(begins)).unwrap().1
    }

    pub(crate) fn press(&mut self, name: &str, digit: u8) {
        let party = &self.parties[name];
        let (address, timestamp) = (SocketAddr::new(party.address, 4000), party.timestamp);
        let remote = party.remote.unwrap();
        for (at, end) in [(0_u16, 0_u8), (320, 0), (640, 0), (960, 0x80), (960, 0x80), (960, 0x80)].into_iter() {
            let party = self.parties.get_mut(name).unwrap();
            party.sequence = party.sequence.wrapping_add(1);
            let mut packet = header(101, party.sequence, timestamp, 7_777 + u32::from(party.sequence / 60_000));
            packet[8..12].copy_from_slice(&ssrc(name).to_be_bytes());
            packet.extend([digit, end | 10]);
            packet.extend(at.to_be_bytes());
            self.deliver(remote, address, packet);
        }
        self.settle();
    }

    fn far_command(&mut self, command: Command) {
        self.far.handle_input(self.now, signaling::Input::Command(command));
        self.settle();
    }

    // ---- the API

    pub(crate) fn call(&self) -> calls::CallId {
        self.published[0].call.expect("a call comes first")
    }

    pub(crate) fn ask(&mut self, request: calls::Request) -> Result<calls::Reply, calls::Problem> {
        self.calls.handle_input(self.now, Input::Request { id: calls::RequestId(1), request });
        self.settle();
        self.replies.pop().unwrap()
    }

    pub(crate) fn misses(&mut self, count: usize) {
        let call = self.call();
        for _ in 0..count {
            let events = policy::Posted::list_from_json(&serde_json::json!({"type": "no_match"})).unwrap();
            self.ask(calls::Request::Events { call, events }).unwrap();
        }
    }

    pub(crate) fn transfer(&mut self, to: &str, mode: policy::Mode) -> calls::TransferId {
        self.transfer_of(self.call(), to, mode)
    }

    pub(crate) fn transfer_of(&mut self, call: calls::CallId, to: &str, mode: policy::Mode) -> calls::TransferId {
        let body = calls::TransferBody { mode: Some(mode), ..calls::TransferBody::to(to) };
        let request = calls::Request::Transfer { call, body: Box::new(body), idempotency_key: None, wait: None };
        match self.ask(request).unwrap() {
            calls::Reply::Transfer(reply) => reply.transfer.id,
            other => panic!("{other:?}"),
        }
    }

    // ---- time

    pub(crate) fn ms(&mut self, milliseconds: u64) {
        let until = self.now.monotonic + Duration::from_millis(milliseconds);
        for _ in 0..1_000_000 {
            let times = [
                self.near.poll_timeout(),
                self.far.poll_timeout(),
                self.calls.poll_timeout(),
                self.worker.poll_timeout(),
                self.network.front().map(|(at, ..)| *at),
                self.planned.iter().map(|(at, _)| *at).min(),
                Some(self.next_frame),
            ];
            let Some(at) = times.into_iter().flatten().min().filter(|at| *at <= until) else {
                self.now = self.now.after(until.since(self.now.monotonic));
                return;
            };
            self.now = self.now.after(at.since(self.now.monotonic));
            self.turn();
        }
        panic!("a livelock");
    }

    /// One moment: everything that is due.
    fn turn(&mut self) {
        let now = self.now;
        while self.network.front().is_some_and(|(at, ..)| *at <= now.monotonic) {
            let (_, to_far, source, local, bytes) = self.network.pop_front().unwrap();
            let unplugged = self.parties.values().any(|party| {
                party.phone == Phone::Unplugged && (party.address == local.ip() || party.address == source.ip())
            });
            if unplugged {
                continue;
            }
            let core = if to_far { &mut self.far } else { &mut self.near };
            core.handle_input(now, signaling::Input::Received { flow: signaling::Flow::udp(local, source), bytes });
        }
        let due: Vec<LegId> = self.planned.extract_if(.., |(at, _)| *at <= now.monotonic).map(|(_, leg)| leg).collect();
        for leg in due {
            self.answer(leg);
        }
        if self.next_frame <= now.monotonic {
            self.next_frame = self.next_frame + FRAME;
            self.speak();
        }
        if self.near.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            self.near.handle_timeout(now);
        }
        if self.far.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            self.far.handle_timeout(now);
        }
        if self.calls.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            self.calls.handle_timeout(now);
        }
        if self.worker.poll_timeout().is_some_and(|at| at <= now.monotonic) {
            self.worker.handle_timeout(now, &mut self.air);
        }
        self.settle();
    }

    fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut quiet = true;
            while let Some(output) = self.near.poll_output() {
                quiet = false;
                match output {
                    signaling::Output::Outside { .. } => {}
                    signaling::Output::Transmit { flow, bytes, .. } => {
                        self.wire.push((true, String::from_utf8_lossy(&bytes).into_owned()));
                        if bytes.starts_with(b"INVITE ") {
                            self.largest_invite = self.largest_invite.max(bytes.len());
                        }
                        self.network.push_back((self.now.monotonic + TRIP, true, flow.local, flow.remote, bytes));
                    }
                    signaling::Output::Event { leg, event } => {
                        self.calls.handle_input(self.now, Input::Signaling { leg, event });
                    }
                    signaling::Output::Contacts { .. } => {}
                }
            }
            while let Some(output) = self.far.poll_output() {
                quiet = false;
                match output {
                    signaling::Output::Outside { .. } => {}
                    signaling::Output::Transmit { flow, bytes, .. } => {
                        self.wire.push((false, String::from_utf8_lossy(&bytes).into_owned()));
                        self.network.push_back((self.now.monotonic + TRIP, false, flow.local, flow.remote, bytes));
                    }
                    signaling::Output::Event { leg, event } => self.far_event(leg, event),
                    signaling::Output::Contacts { .. } => {}
                }
            }
            while let Some(event) = self.worker.poll_event() {
                quiet = false;
                self.calls.handle_input(self.now, Input::Media(event));
            }
            while let Some(output) = self.calls.poll_output() {
                quiet = false;
                self.take(output);
            }
            for (to, bytes) in std::mem::take(&mut self.air.packets) {
                self.hear(to, &bytes);
            }
            if quiet {
                return;
            }
        }
        panic!("a livelock");
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Outside(_) => {}
            Output::Signaling(command) => {
                self.near.handle_input(self.now, signaling::Input::Command(command));
            }
            Output::Media(command) => self.worker.handle_command(self.now, command, &mut self.air),
            Output::OpenPort { id, call } => {
                self.next_port += 1;
                let port = PortId(self.next_port);
                let open = media_relay::Command::Open { port, call };
                self.worker.handle_command(self.now, open, &mut self.air);
                let number = 20_000 + 2 * u16::try_from(self.next_port).unwrap();
                let address = SocketAddr::new(IpAddr::from([10, 0, 0, 1]), number);
                self.calls.handle_input(self.now, Input::PortOpened { id, opened: Opened { port, address } });
            }
            Output::Show { leg } => self.calls.handle_input(self.now, Input::Shown { leg }),
            Output::Resolve { id, .. } => {
                self.calls.handle_input(self.now, Input::Resolved { id, targets: Vec::new() });
            }
            Output::Reply { reply, .. } => self.replies.push(*reply),
            Output::Publish(event) => self.published.push(event),
            Output::Cdr(cdr) => self.cdrs.push(*cdr),
            Output::Record(_) | Output::Store { .. } | Output::Observe(_) => {}
        }
    }

    // ---- the far end

    fn far_event(&mut self, leg: LegId, event: Event) {
        match event {
            Event::Incoming(incoming) => {
                let address = incoming.flow.local.ip();
                let (_, party) = self.parties.iter_mut().find(|(_, party)| party.address == address).unwrap();
                party.legs.push((leg, false));
                party.remote = incoming.offer.as_ref().map(|offer| remote(offer));
                party.invites.push(*incoming);
                let phone = party.phone;
                match phone {
                    Phone::Refuses(status) => {
                        let (reason, headers) = (None, Vec::new());
                        self.far_command(Command::Reject { leg, status, reason, headers });
                    }
                    Phone::Answers(after) => {
                        self.far_command(Command::Progress { leg, status: 180, answer: None, headers: Vec::new() });
                        self.planned.push((self.now.monotonic + after, leg));
                    }
                    Phone::Rings | Phone::Unplugged => {
                        self.far_command(Command::Progress { leg, status: 180, answer: None, headers: Vec::new() });
                    }
                }
            }
            Event::Answered { body, .. } => {
                let mut parties = self.parties.values_mut();
                let caller = parties.find(|party| party.legs.iter().any(|(it, _)| *it == leg)).unwrap();
                caller.remote = body.as_ref().map(|body| remote(body));
                caller.legs.iter_mut().filter(|(it, _)| *it == leg).for_each(|(_, up)| *up = true);
            }
            Event::Offer { .. } => panic!("nobody is sent a re-INVITE"),
            Event::Referral(referral) => self.referrals.push(referral),
            Event::Ended { .. } => {
                let now = self.now.monotonic;
                self.planned.retain(|(_, planned)| *planned != leg);
                for party in self.parties.values_mut() {
                    if party.legs.iter().any(|(it, _)| *it == leg) {
                        party.legs.retain(|(it, _)| *it != leg);
                        party.ended.push((leg, now));
                    }
                }
            }
            _ => {}
        }
    }

    fn answer(&mut self, leg: LegId) {
        let Some(party) = self.parties.values_mut().find(|party| party.legs.iter().any(|(it, _)| *it == leg)) else {
            return;
        };
        party.legs.iter_mut().filter(|(it, _)| *it == leg).for_each(|(_, up)| *up = true);
        let body = Some(sdp(party.address));
        self.far_command(Command::Answer { leg, body, headers: Vec::new() });
    }

    /// Everybody in a call says 20 ms of their tone.
    fn speak(&mut self) {
        let names: Vec<&'static str> = self.parties.keys().copied().collect();
        for name in names {
            let party = self.parties.get_mut(name).unwrap();
            let up = party.legs.iter().any(|(_, up)| *up);
            let (Some(word), Some(remote), true) = (party.says, party.remote, up) else { continue };
            party.sequence = party.sequence.wrapping_add(1);
            party.timestamp = party.timestamp.wrapping_add(160);
            let mut packet = header(0, party.sequence, party.timestamp, ssrc(name));
            packet.extend(std::iter::repeat_n([word, word & 0x7f], 80).flatten());
            let from = SocketAddr::new(party.address, 4000);
            self.deliver(remote, from, packet);
        }
    }

    fn deliver(&mut self, to: SocketAddr, from: SocketAddr, mut packet: Vec<u8>) {
        let port = PortId(u32::from((to.port() - 20_000) / 2));
        if let Some(slot) = self.worker.slot(port) {
            self.worker.handle_rtp(self.now.monotonic, slot, from, &mut packet, Age::Fresh, &mut self.air);
        }
    }

    fn hear(&mut self, to: SocketAddr, bytes: &[u8]) {
        let Some(party) = self.parties.values_mut().find(|party| SocketAddr::new(party.address, 4000) == to) else {
            return;
        };
        if bytes[1] & 0x7f != 0 {
            return;
        }
        party.heard.push(Heard {
            at: self.now.monotonic,
            sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
            timestamp: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            ssrc: u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]),
            loud: Codec::Pcmu.mean_square(&bytes[12..]) >= media_relay::QUIET_MEAN_SQUARE,
            word: bytes[12],
        });
    }

    // ---- looking

    pub(crate) fn story(&self) -> Vec<&'static str> {
        self.published.iter().map(|event| event.what.name()).collect()
    }

    pub(crate) fn said(&self, name: &str) -> bool {
        self.story().contains(&name)
    }

    /// Whose tone the party heard last.
    pub(crate) fn hears(&self, listener: &str) -> Option<&'static str> {
        let last = self.parties[listener].heard.last().filter(|it| it.at + FRAME * 2 > self.now.monotonic)?;
        let speaker = self.parties.iter().find(|(_, party)| party.says == Some(last.word));
        Some(match speaker {
            Some((name, _)) => name,
            None if last.loud => "clip",
            None => "silence",
        })
    }

    /// What the caller's RTP must be over the whole call: one SSRC, no gap in sequence, time that advances as time does,
    /// never 40 ms without a packet; never more than a second of silence.
    pub(crate) fn check_caller(&self) {
        let heard = &self.parties["caller"].heard;
        assert!(!heard.is_empty());
        let mut quiet_since: Option<Monotonic> = None;
        for pair in heard.windows(2) {
            let [before, after] = pair else { unreachable!() };
            assert_eq!(before.ssrc, after.ssrc, "one SSRC");
            assert_eq!(before.sequence.wrapping_add(1), after.sequence, "no gap in sequence");
            let gap = after.at.since(before.at);
            assert!(gap <= Duration::from_millis(40), "no packet for {gap:?}");
            let advanced = i64::from(after.timestamp.wrapping_sub(before.timestamp));
            let elapsed = i64::try_from(gap.as_micros()).unwrap() * 8 / 1_000;
            assert!((advanced - elapsed).abs() <= 320, "{advanced} in {elapsed} samples of time");
            if after.loud {
                quiet_since = None;
            } else {
                let since = *quiet_since.get_or_insert(after.at);
                assert!(after.at.since(since) <= Duration::from_secs(1), "more than a second of silence");
            }
        }
        let (first, last) = (&heard[0], &heard[heard.len() - 1]);
        let elapsed = last.at.since(first.at).as_micros() * 8 / 1_000;
        let advanced = u128::from(last.timestamp.wrapping_sub(first.timestamp));
        assert!(advanced.abs_diff(elapsed) <= 640, "timestamps drift: {advanced} in {elapsed}");
    }

    /// Nobody is in a call; nothing of ours is left once the standard's timers are over.
    pub(crate) fn nothing_left(&mut self) {
        assert!(self.parties.values().all(|party| party.legs.is_empty()), "a party is still in a call");
        assert!(self.calls.gauges().is_empty(), "{:?}", self.calls.gauges());
        assert_eq!(self.worker.counters().ports, 0);
        self.ms(40_000);
        assert_eq!(self.near.gauges(), signaling::Gauges::default());
    }
}

fn header(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet
}

fn ssrc(name: &str) -> u32 {
    name.bytes().fold(17, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)))
}

fn calls_config(near: SocketAddr) -> Config {
    let profile = |uri: &str, on_ai_failure| AiProfile { uri: uri.into(), on_ai_failure, ..AiProfile::default() };
    let network = calls::Network { address: "10.0.0.10".parse().unwrap(), prefix: 31 };
    let phones = calls::Network { address: "10.0.0.30".parse().unwrap(), prefix: 31 };
    let on_failure = vec![AiFailureStep::Profile("backup".into()), AiFailureStep::Destination("other".into())];
    Config {
        listeners: vec![near.into()],
        trunks: [
            ("carrier".into(), Trunk { host: "10.0.0.10".into(), allowed: vec![network], ..Trunk::default() }),
            ("phones".into(), Trunk { allowed: vec![phones], ..Trunk::default() }),
        ]
        .into(),
        user_to_user: true,
        routes: vec![Route { called: "*".into(), line: "support".into(), ai: "bot".into(), ..Route::default() }],
        ai: [
            ("bot".into(), profile("sip:bot@10.0.0.20", on_failure)),
            ("backup".into(), profile("sip:backup@10.0.0.21", Vec::new())),
        ]
        .into(),
        ..Config::default()
    }
}
