//! A party: a SIP user agent of its own, on text, with RFC 3261's timers. It shares nothing with the daemon, so that what one of them
//! gets wrong the other does not get wrong too. Well-behaved unless its [`Manner`] says otherwise.
//!
//! ```text
//! placed   Calling ──1xx──> Proceeding ──2xx, ACK──> Up ──BYE──> Over        CANCEL waits for the first 1xx; a 2xx that
//!             └───────────────┴──300 and above, nobody──> Over               crosses it is acknowledged and ended
//! received Incoming ──200──> Up ──BYE──> Over                               200 is repeated until its ACK, then BYE
//!             └──300 and above──> Over
//! ```

mod client;
mod extensions;
mod manner;
mod media;
mod referred;
mod server;
mod watched;

pub(crate) use extensions::{AfterRefer, Habits};
pub(crate) use manner::{Act, Manner};
pub(crate) use referred::{PASSWORD, USERNAME, answers};
pub(crate) use watched::OWN;

use crate::{
    chance::Chance,
    network::{Content, Packet},
    paper::Voice,
    scenario::NUMBERS,
    trace::Read,
};
use bytes::Bytes;
use client::Client;
use clock::{Monotonic, Timers};
use extensions::Extensions;
use media::Media;
use parties::message::{Description, Message};
use server::{Server, Unacked};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

pub(crate) const T1: Duration = Duration::from_millis(500);
pub(crate) const T2: Duration = Duration::from_secs(4);
/// 64·T1: how long anything is tried.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(32);

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// When a request is repeated (A, E).
    Repeat(u32),
    /// When a request is given up (B, F).
    GiveUp(u32),
    /// When a final response to an INVITE is repeated (G, section 13.3.1.4).
    RepeatFinal(usize),
    /// When no ACK came (H).
    AwaitAck(usize),
    /// When a cancelled INVITE is given up (section 9.1).
    Cancelled(usize),
    /// When a leg's script has its next act.
    Script(usize, usize),
    /// When 20 ms of audio are due.
    Frame,
    /// When a provisional response that no PRACK acknowledged is repeated (RFC 3262 section 3).
    RepeatReliable(usize),
    /// When no PRACK came.
    AwaitPrack(usize),
    /// When we refresh the session (RFC 4028 section 10).
    Refresh(usize),
    /// When a session that nobody refreshed is ended.
    Expire(usize),
    /// When a change that met the other side's is tried again (RFC 3261 section 14.1).
    Glare(usize),
    /// When whoever sent a REFER is told more.
    News(usize),
    /// When a subscription is ended by whoever tells.
    Watched,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Calling,
    Proceeding,
    Incoming,
    Up,
    Over,
}

/// CANCEL of our INVITE.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
}

/// One INVITE usage.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) call_id: String,
    /// `X-Tandem-Call-Id` of the INVITE.
    pub(crate) call: Option<String>,
    pub(crate) state: State,
    pub(crate) up_at: Option<Monotonic>,
    pub(crate) over_at: Option<Monotonic>,
    pub(crate) placed: bool,
    /// From and To of requests we send, with tags.
    us: String,
    them: String,
    pub(crate) our_tag: String,
    their_tag: String,
    target: String,
    peer: SocketAddr,
    cseq: u32,
    their_cseq: Option<u32>,
    invite: Rc<Read>,
    cancel: Cancel,
    manner: Manner,
    pub(crate) media: Media,
    /// ACKs sent, by the tag and number of the 2xx.
    acks: Vec<(String, u32, Packet)>,
    unacked: Option<Unacked>,
    /// A request of ours with an offer is out.
    offering: Option<u32>,
    /// Our 200 carried an offer, and its ACK has not brought the answer.
    asked: bool,
    version: u64,
    extensions: Extensions,
}

/// What a party's legs say.
#[derive(Clone, Debug)]
pub(crate) enum Words {
    /// One after the other, and from the beginning again.
    Own(Vec<u8>),
    /// Those of the whole world, each for one leg alone. Whoever comes too late says [`Words::NONE`].
    Shared(Rc<RefCell<Vec<u8>>>),
}

impl Words {
    /// Nobody's word.
    pub(crate) const NONE: u8 = 0;

    pub(super) fn next(&self, leg: usize) -> u8 {
        match self {
            Self::Own(words) => words.get(leg % words.len().max(1)).copied().unwrap_or(Self::NONE),
            Self::Shared(words) => words.borrow_mut().pop().unwrap_or(Self::NONE),
        }
    }
}

/// What a party tells its world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// An INVITE came.
    Invited,
    /// It answered, or was answered.
    Answered,
    /// What its microphone does, toward an RTP address of the daemon, and the word it says.
    Voice { to: SocketAddr, voice: Voice, word: u8 },
    /// A key was pressed.
    Digit { to: SocketAddr, digit: char },
}

#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) legs: Vec<Leg>,
    /// How the next calls are taken; afterwards by chance.
    pub(crate) manners: VecDeque<Manner>,
    pub(crate) notes: VecDeque<(usize, Note)>,
    kind: manner::Kind,
    chance: Chance,
    /// Its calls have habits by chance, unless they are said.
    pub(crate) rich: bool,
    /// It may be asked by REFER to call its callers away.
    pub(crate) refers: bool,
    /// In so many of a hundred calls that come through it it wants to know from whom.
    pub(crate) challenges: Option<u64>,
    /// Real packets, or notes of what they would say.
    sampled: bool,
    words: Words,
    now: Monotonic,
    clients: BTreeMap<u32, Client>,
    servers: Vec<Server>,
    timers: Timers<Timer>,
    out: VecDeque<Packet>,
    numbers: u32,
    /// BYEs of this party that were answered by 200.
    pub(crate) byes_answered: usize,
    /// It is asked which calls it has.
    pub(crate) watched: watched::Watched,
}

impl Leg {
    /// Whom its INVITE is for.
    pub(crate) fn uri(&self) -> &str {
        self.invite.message.uri().unwrap_or_default()
    }

    /// Its INVITE says that it is to watch over a call.
    pub(crate) fn supervises(&self) -> bool {
        !self.placed && self.invite.message.header("X-Tandem-Supervise").is_some()
    }
}

impl Agent {
    pub(crate) fn new(name: &'static str, address: SocketAddr, words: Words, sampled: bool, chance: Chance) -> Self {
        let kind = if name.starts_with("bot") || name == "backup" { manner::Kind::Ai } else { manner::Kind::Human };
        Self {
            name,
            address,
            legs: Vec::new(),
            manners: VecDeque::new(),
            notes: VecDeque::new(),
            kind,
            chance,
            rich: false,
            refers: false,
            challenges: None,
            sampled,
            words,
            now: Monotonic::ORIGIN,
            clients: BTreeMap::new(),
            servers: Vec::new(),
            timers: Timers::default(),
            out: VecDeque::new(),
            numbers: 0,
            byes_answered: 0,
            watched: watched::Watched::default(),
        }
    }

    /// Its names begin here: another party of this name was there before.
    pub(crate) fn begin_at(&mut self, number: u32) {
        self.numbers = number;
    }

    // ---- the contract of every machine

    pub(crate) fn handle_input(&mut self, now: Monotonic, from: SocketAddr, message: &Rc<Read>) {
        self.now = now;
        if message.status == 0 { self.request_came(from, message) } else { self.response_came(from, message) }
    }

    pub(crate) fn handle_timeout(&mut self, now: Monotonic) {
        self.now = now;
        while let Some(timer) = self.timers.pop_expired(now) {
            match timer {
                Timer::Repeat(client) => self.repeat(client),
                Timer::GiveUp(client) => self.give_up(client),
                Timer::RepeatFinal(leg) => self.repeat_final(leg),
                Timer::AwaitAck(leg) => self.no_ack_came(leg),
                Timer::Cancelled(leg) => self.over(leg),
                Timer::Script(leg, at) => self.script(leg, at),
                Timer::Frame => self.frame(),
                Timer::RepeatReliable(leg) => self.repeat_reliable(leg),
                Timer::AwaitPrack(leg) => self.prack_never_came(leg),
                Timer::Refresh(leg) => self.refresh(leg),
                Timer::Expire(leg) => self.session_expired(leg),
                Timer::Glare(leg) => self.try_again(leg),
                Timer::News(leg) => self.tell_news(leg),
                Timer::Watched => self.watched_enough(),
            }
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Packet> {
        self.out.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.next_timeout()
    }

    // ---- what its world can have it do

    /// Does something in a leg, as far as the leg's state lets it.
    pub(crate) fn act(&mut self, now: Monotonic, leg: usize, act: Act) {
        self.now = now;
        let state = self.legs[leg].state;
        match (act, state) {
            (_, State::Over) => {}
            (Act::Ring { status, session }, State::Incoming) => self.ring(leg, status, session),
            (Act::Answer, State::Incoming) => self.answer(leg),
            (Act::Refuse(status), State::Incoming) => self.refuse(leg, status),
            (Act::HangUp, State::Incoming) => self.refuse(leg, 486),
            (Act::HangUp, State::Calling) => self.legs[leg].cancel = Cancel::Wanted,
            (Act::HangUp, State::Proceeding) => self.cancel(leg),
            (Act::HangUp, State::Up) => self.bye(leg),
            (Act::Hold, State::Up) => self.offer(leg, Some("sendonly")),
            (Act::Resume, State::Up) => self.offer(leg, Some("sendrecv")),
            (Act::Ask, State::Up) => self.offer(leg, None),
            (Act::Update, State::Up) => self.update(leg),
            // Before the answer, whether the session is settled or not (RFC 3311 section 5).
            (Act::Update, State::Incoming | State::Proceeding) if !self.legs[leg].their_tag.is_empty() => {
                self.update(leg);
            }
            (Act::Refer { to, quiet }, State::Up) => self.refer(leg, to, quiet),
            (Act::Join, State::Up) => self.join(leg),
            (Act::Info(digit), State::Up) => self.info(leg, digit),
            (Act::Press(digit), State::Up) => self.press(leg, digit),
            (Act::Voice(voice), State::Up) => {
                self.legs[leg].manner.voice = voice;
                self.speak(leg);
            }
            (Act::Voice(voice), _) => self.legs[leg].manner.voice = voice,
            _ => {}
        }
    }

    /// Calls the daemon. Without a session the offer is left to it. `replaces` is the value of a Replaces header.
    pub(crate) fn place(
        &mut self,
        now: Monotonic,
        to: SocketAddr,
        number: &str,
        session: bool,
        manner: Manner,
        replaces: Option<&str>,
    ) -> usize {
        self.now = now;
        let no = self.legs.len();
        let media = self.new_media();
        let (tag, address) = (self.name("t"), self.address);
        let uri = format!("sip:{number}@{to}");
        let us = format!("<sip:{}@{}>;tag={tag}", manner.from.unwrap_or(NUMBERS[0]), address.ip());
        let them = format!("<{uri}>");
        let call_id = format!("{}@{}", self.name("c"), address.ip());
        let mut headers = vec![
            ("Via".to_owned(), self.via()),
            ("Max-Forwards".to_owned(), "70".to_owned()),
            ("From".to_owned(), us.clone()),
            ("To".to_owned(), them.clone()),
            ("Call-ID".to_owned(), call_id.clone()),
            ("CSeq".to_owned(), "1 INVITE".to_owned()),
            ("Contact".to_owned(), self.contact()),
        ];
        headers.push(("Allow".to_owned(), manner.habits.allow().to_owned()));
        headers.extend(manner.habits.of_invite());
        headers.extend(replaces.map(|value| ("Replaces".to_owned(), value.to_owned())));
        let mut invite = Message { start: format!("INVITE {uri} SIP/2.0"), headers, body: String::new() };
        if session {
            invite.describe(&media.description(address, "sendrecv"), 1);
        }
        let invite = read(&invite);
        self.legs.push(Leg {
            call_id,
            call: None,
            state: State::Calling,
            up_at: None,
            over_at: None,
            placed: true,
            us,
            them,
            our_tag: tag,
            their_tag: String::new(),
            target: uri,
            peer: to,
            cseq: 1,
            their_cseq: None,
            invite: Rc::clone(&invite),
            cancel: Cancel::No,
            manner,
            media,
            acks: Vec::new(),
            unacked: None,
            offering: None,
            asked: false,
            version: 1,
            extensions: Extensions::default(),
        });
        self.start_client(Some(no), to, invite);
        no
    }

    // ---- what all of it needs

    fn transmit(&mut self, to: SocketAddr, message: Rc<Read>) -> Packet {
        let packet = Packet { from: self.address, to, content: Content::Sip(message) };
        self.out.push_back(packet.clone());
        packet
    }

    fn note(&mut self, leg: usize, note: Note) {
        self.notes.push_back((leg, note));
    }

    /// A name that this party never used before.
    fn name(&mut self, what: &str) -> String {
        self.numbers += 1;
        format!("{}-{what}{}", self.name, self.numbers)
    }

    fn via(&mut self) -> String {
        let branch = self.name("b");
        format!("SIP/2.0/UDP {};branch=z9hG4bK{branch};rport", self.address)
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.name, self.address)
    }

    /// A request within a leg's dialog. ACK takes its INVITE's number.
    fn request(&mut self, leg: usize, method: &str, cseq: Option<u32>) -> Message {
        let (via, contact) = (self.via(), self.contact());
        let it = &mut self.legs[leg];
        let cseq = cseq.unwrap_or_else(|| {
            it.cseq += 1;
            it.cseq
        });
        let headers = vec![
            ("Via".to_owned(), via),
            ("Max-Forwards".to_owned(), "70".to_owned()),
            ("From".to_owned(), it.us.clone()),
            ("To".to_owned(), it.them.clone()),
            ("Call-ID".to_owned(), it.call_id.clone()),
            ("CSeq".to_owned(), format!("{cseq} {method}")),
            ("Contact".to_owned(), contact),
        ];
        let mut request = Message { start: format!("{method} {} SIP/2.0", it.target), headers, body: String::new() };
        if matches!(method, "INVITE" | "UPDATE") && it.state == State::Up {
            request.headers.extend(self.session_asks(leg));
        }
        request
    }

    fn describe(&mut self, leg: usize, message: &mut Message, direction: &'static str) {
        let address = self.address;
        let it = &mut self.legs[leg];
        it.version += 1;
        message.describe(&it.media.description(address, direction), it.version);
    }

    /// Answers an offer: holds where it holds.
    fn describe_answer(&mut self, leg: usize, message: &mut Message, offer: &str) {
        let direction = match Description::read(offer).map(|offer| offer.direction) {
            Some("sendonly") => "recvonly",
            Some("recvonly") => "sendonly",
            Some("inactive") => "inactive",
            _ => "sendrecv",
        };
        self.describe(leg, message, direction);
    }

    fn up(&mut self, leg: usize) {
        let it = &mut self.legs[leg];
        it.state = State::Up;
        it.up_at = Some(self.now);
        self.stop_ringing(leg);
        let it = &self.legs[leg];
        for (at, (after, _)) in it.manner.after.iter().enumerate() {
            self.timers.set(Timer::Script(leg, 100 + at), self.now + *after);
        }
        self.note(leg, Note::Answered);
        self.speak(leg);
        self.tell_watcher();
    }

    fn over(&mut self, leg: usize) {
        self.timers.cancel(Timer::Cancelled(leg));
        self.forget_extensions(leg);
        self.hush(leg);
        let it = &mut self.legs[leg];
        it.state = State::Over;
        it.over_at.get_or_insert(self.now);
        self.tell_watcher();
    }

    fn script(&mut self, leg: usize, at: usize) {
        let manner = &self.legs[leg].manner;
        let act = if at < 100 { manner.before.get(at) } else { manner.after.get(at - 100) };
        if let Some((_, act)) = act.copied() {
            self.act(self.now, leg, act);
        }
    }

    fn bye(&mut self, leg: usize) {
        let bye = self.request(leg, "BYE", None);
        let peer = self.legs[leg].peer;
        self.start_client(Some(leg), peer, read(&bye));
        self.over(leg);
    }

    /// Re-INVITE: with an offer of that direction, or asking for one.
    fn offer(&mut self, leg: usize, direction: Option<&'static str>) {
        let it = &self.legs[leg];
        if it.offering.is_some() || it.asked || it.unacked.is_some() {
            return;
        }
        let mut invite = self.request(leg, "INVITE", None);
        if let Some(direction) = direction {
            self.describe(leg, &mut invite, direction);
        }
        let peer = self.legs[leg].peer;
        let client = self.start_client(Some(leg), peer, read(&invite));
        self.legs[leg].offering = Some(client);
        self.legs[leg].extensions.tried = Some(match direction {
            Some("sendonly") => Act::Hold,
            Some(_) => Act::Resume,
            None => Act::Ask,
        });
    }

    fn update(&mut self, leg: usize) {
        let it = &self.legs[leg];
        if it.offering.is_some() || it.asked || it.unacked.is_some() {
            return;
        }
        let mut update = self.request(leg, "UPDATE", None);
        self.describe(leg, &mut update, "sendrecv");
        let peer = self.legs[leg].peer;
        let client = self.start_client(Some(leg), peer, read(&update));
        self.legs[leg].offering = Some(client);
        self.legs[leg].extensions.tried = Some(Act::Update);
    }

    fn info(&mut self, leg: usize, digit: char) {
        let mut info = self.request(leg, "INFO", None);
        info.headers.push(("Content-Type".to_owned(), "application/dtmf-relay".to_owned()));
        info.body = format!("Signal={digit}\r\nDuration=160\r\n");
        let peer = self.legs[leg].peer;
        self.start_client(Some(leg), peer, read(&info));
    }
}

/// What was written, as the wire and its checkers read it.
fn read(message: &Message) -> Rc<Read> {
    Rc::new(Read::of(Bytes::from(message.write())).expect("what a party writes is SIP"))
}
