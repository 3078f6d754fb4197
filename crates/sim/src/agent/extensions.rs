//! What a party speaks beyond RFC 3261, on text of its own: reliable provisional responses (RFC 3262), session timers (RFC 4028),
//! REFER and its NOTIFYs (RFC 3515), and another try after 491 (RFC 3261 section 14.1).

use super::{Act, Agent, GIVE_UP, State, T1, Timer, read};
use crate::{chance::Chance, network::Packet, trace::Read};
use parties::message::Message;
use std::{collections::VecDeque, net::SocketAddr, rc::Rc, time::Duration};

/// What a party's user agent can do. By default nothing of it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Habits {
    /// Knows `100rel`: uses it where the other side does.
    pub(crate) reliable: bool,
    /// Calls nobody who does not.
    pub(crate) requires_reliable: bool,
    pub(crate) prack: Prack,
    /// Session timers: seconds asked for, or the least that is taken.
    pub(crate) interval: Option<u32>,
    /// Whom it names as the refresher: the caller, the called, or nobody.
    pub(crate) refresher: Option<&'static str>,
    /// Never refreshes, whatever was agreed on.
    pub(crate) lazy: bool,
    /// Its Allow names UPDATE.
    pub(crate) update: bool,
    /// Tries again after 491.
    pub(crate) persistent: bool,
    pub(crate) after_refer: AfterRefer,
}

/// How PRACKs are sent and answered.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Prack {
    #[default]
    Well,
    /// Sends none, or answers none but by a refusal.
    Refuses(u16),
    /// Acknowledges what was never sent.
    Wrong,
}

/// What a party does that has sent a REFER.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum AfterRefer {
    /// Waits for what is done with its leg.
    #[default]
    Stays,
    /// Hangs up as soon as its REFER is taken.
    LeavesAtOnce,
    /// Hangs up when it is told of success.
    LeavesAfter,
    /// Refuses to be told.
    Deaf,
}

impl Habits {
    pub(crate) fn by_chance(chance: &mut Chance) -> Self {
        let reliable = chance.percent(50);
        Self {
            reliable,
            requires_reliable: reliable && chance.percent(40),
            prack: match chance.below(12) {
                0 => Prack::Refuses(chance.pick(&[481, 488, 500])),
                1 => Prack::Wrong,
                _ => Prack::Well,
            },
            interval: chance.percent(50).then(|| chance.pick(&[20, 40, 60, 90, 120])),
            refresher: chance.pick(&[None, Some("uac"), Some("uas")]),
            lazy: chance.percent(15),
            update: chance.percent(60),
            persistent: chance.percent(70),
            after_refer: chance.pick(&[
                AfterRefer::Stays,
                AfterRefer::LeavesAfter,
                AfterRefer::LeavesAfter,
                AfterRefer::LeavesAtOnce,
                AfterRefer::Deaf,
            ]),
        }
    }

    /// The headers of an INVITE that opens a call.
    pub(super) fn of_invite(self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        if self.requires_reliable {
            headers.push(header("Require", "100rel"));
        } else if self.reliable {
            headers.push(header("Supported", "100rel"));
        }
        if let Some(interval) = self.interval {
            let refresher = self.refresher.map(|who| format!(";refresher={who}")).unwrap_or_default();
            headers.push(header("Supported", "timer"));
            headers.push(header("Session-Expires", &format!("{interval}{refresher}")));
        }
        headers
    }

    pub(super) fn allow(self) -> &'static str {
        if self.update || self == Self::default() {
            "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE"
        } else {
            "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
        }
    }
}

/// Where a leg's extensions stand.
#[derive(Debug, Default)]
pub(crate) struct Extensions {
    /// Our reliable provisional response that no PRACK has acknowledged.
    pending: Option<Pending>,
    rseq: u32,
    /// The answer waits for a PRACK.
    answering: bool,
    /// Offer and answer were exchanged before the final response.
    pub(super) settled: bool,
    /// The number of the last reliable response that we acknowledged.
    acknowledged: Option<u32>,
    session: Option<Session>,
    /// What met the other side's change, and is tried again.
    pub(super) tried: Option<Act>,
    /// What whoever sent us a REFER is to be told.
    pub(super) news: VecDeque<super::referred::News>,
}

#[derive(Debug)]
struct Pending {
    packet: Packet,
    interval: Duration,
    session: bool,
}

#[derive(Copy, Clone, Debug)]
struct Session {
    interval: u32,
    /// We refresh.
    us: bool,
}

pub(super) fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Whether a header lists an option tag.
pub(super) fn lists(message: &Message, name: &str, tag: &str) -> bool {
    message.values(name).flat_map(|value| value.split(',')).any(|it| it.trim() == tag)
}

/// Interval and refresher of Session-Expires.
fn session_expires(message: &Message) -> Option<(u32, Option<&str>)> {
    let value = message.header("Session-Expires")?;
    let mut parts = value.split(';');
    let interval = parts.next()?.trim().parse().ok()?;
    Some((interval, parts.find_map(|part| part.trim().strip_prefix("refresher="))))
}

impl Agent {
    fn habits(&self, leg: usize) -> Habits {
        self.legs[leg].manner.habits
    }

    /// Nothing of it concerns a leg any more that is over.
    pub(super) fn forget_extensions(&mut self, leg: usize) {
        self.stop_ringing(leg);
        for timer in [Timer::Refresh(leg), Timer::Expire(leg), Timer::Glare(leg), Timer::News(leg)] {
            self.timers.cancel(timer);
        }
    }

    // ---- reliable provisional responses, ours

    /// Sends a provisional response reliably, where both sides can. False: it goes as any other.
    pub(super) fn ring_reliably(&mut self, leg: usize, at: usize, response: &mut Message) -> bool {
        let invite = Rc::clone(&self.legs[leg].invite);
        let both = lists(&invite.message, "Supported", "100rel") || lists(&invite.message, "Require", "100rel");
        if !self.habits(leg).reliable || !both {
            return false;
        }
        if self.legs[leg].extensions.pending.is_some() {
            // One at a time; what is not said now is never said.
            return true;
        }
        let start = u32::try_from(self.chance.below(1 << 20)).unwrap_or(0) + 1;
        let extensions = &mut self.legs[leg].extensions;
        extensions.rseq = if extensions.rseq == 0 { start } else { extensions.rseq + 1 };
        let rseq = extensions.rseq;
        response.headers.extend([
            header("Require", "100rel"),
            header("RSeq", &rseq.to_string()),
            header("Allow", self.habits(leg).allow()),
        ]);
        let response = read(response);
        let session = response.has_session();
        let packet = self.transmit(self.legs[leg].peer, response);
        self.servers[at].last = Some(packet.clone());
        self.legs[leg].extensions.pending = Some(Pending { packet, interval: T1, session });
        self.timers.set(Timer::RepeatReliable(leg), self.now + T1);
        self.timers.set(Timer::AwaitPrack(leg), self.now + GIVE_UP);
        true
    }

    pub(super) fn repeat_reliable(&mut self, leg: usize) {
        let Some(pending) = &mut self.legs[leg].extensions.pending else { return };
        pending.interval *= 2;
        let (packet, interval) = (pending.packet.clone(), pending.interval);
        self.timers.set(Timer::RepeatReliable(leg), self.now + interval);
        self.out.push_back(packet);
    }

    pub(super) fn prack_never_came(&mut self, leg: usize) {
        if self.legs[leg].state == State::Incoming {
            self.refuse(leg, 504);
        }
    }

    pub(super) fn stop_ringing(&mut self, leg: usize) {
        self.legs[leg].extensions.pending = None;
        self.timers.cancel(Timer::RepeatReliable(leg));
        self.timers.cancel(Timer::AwaitPrack(leg));
    }

    /// A 2xx waits for the PRACK of a response that had a session description. True: it does.
    pub(super) fn answer_waits(&mut self, leg: usize) -> bool {
        let extensions = &mut self.legs[leg].extensions;
        extensions.answering = extensions.pending.as_ref().is_some_and(|pending| pending.session);
        extensions.answering
    }

    pub(super) fn prack_came(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, leg: usize) {
        let it = &self.legs[leg];
        let expected = format!("{} {} INVITE", it.extensions.rseq, it.invite.cseq);
        if it.extensions.pending.is_none() || request.message.header("RAck") != Some(expected.as_str()) {
            return self.respond(at, from, request, 481, None);
        }
        if let Prack::Refuses(status) = self.habits(leg).prack {
            return self.respond(at, from, request, status, None);
        }
        let session = self.legs[leg].extensions.pending.as_ref().is_some_and(|pending| pending.session);
        self.stop_ringing(leg);
        self.legs[leg].extensions.settled |= session;
        self.respond(at, from, request, 200, request.has_session().then_some(leg));
        if std::mem::take(&mut self.legs[leg].extensions.answering) && self.legs[leg].state == State::Incoming {
            self.answer(leg);
        }
    }

    // ---- reliable provisional responses, the other side's

    pub(super) fn provisional(&mut self, leg: usize, response: &Rc<Read>) {
        let it = &mut self.legs[leg];
        if it.placed && it.their_tag.is_empty() && !response.to_tag.is_empty() {
            it.their_tag.clone_from(&response.to_tag);
            it.them = response.message.header("To").unwrap_or_default().to_owned();
            if let Some(contact) = response.message.header("Contact") {
                it.target = parties::message::uri_of(contact).to_owned();
            }
        }
        let rseq = response.message.header("RSeq").and_then(|value| value.parse::<u32>().ok());
        let Some(rseq) = rseq.filter(|_| lists(&response.message, "Require", "100rel")) else { return };
        if it.extensions.acknowledged.is_some_and(|last| last + 1 != rseq) {
            return;
        }
        it.extensions.acknowledged = Some(rseq);
        let (cseq, answers) = (it.invite.cseq, !it.invite.has_session() && response.has_session());
        let number = match self.habits(leg).prack {
            Prack::Well => rseq,
            Prack::Wrong => rseq + 7,
            Prack::Refuses(_) => return,
        };
        let mut prack = self.request(leg, "PRACK", None);
        prack.headers.push(header("RAck", &format!("{number} {cseq} INVITE")));
        if answers {
            self.describe_answer(leg, &mut prack, &response.message.body);
        }
        self.legs[leg].extensions.settled |= answers;
        let peer = self.legs[leg].peer;
        self.start_client(Some(leg), peer, read(&prack));
        self.hear(leg, &response.message.body);
    }

    // ---- session timers

    /// True for an INVITE whose interval is too small for us.
    pub(super) fn too_short(&self, leg: usize) -> bool {
        let asked = session_expires(&self.legs[leg].invite.message);
        self.habits(leg).interval.zip(asked).is_some_and(|(least, (asked, _))| asked < least)
    }

    /// What a 2xx of ours to an INVITE or UPDATE says, and what is in force from then on.
    pub(super) fn session_answers(&mut self, leg: usize, request: &Read) -> Vec<(String, String)> {
        let habits = self.habits(leg);
        let asked = session_expires(&request.message);
        let Some((interval, named)) = asked.filter(|_| habits.interval.is_some()) else {
            self.run_session(leg, None);
            return Vec::new();
        };
        let refresher = if named.or(habits.refresher) == Some("uas") { "uas" } else { "uac" };
        self.run_session(leg, Some(Session { interval, us: refresher == "uas" }));
        let mut headers = vec![header("Session-Expires", &format!("{interval};refresher={refresher}"))];
        if refresher == "uac" {
            headers.push(header("Require", "timer"));
        }
        headers
    }

    /// A 2xx came to an INVITE or UPDATE of ours.
    pub(super) fn session_answered(&mut self, leg: usize, response: &Read) {
        let agreed = session_expires(&response.message).filter(|_| self.habits(leg).interval.is_some());
        self.run_session(leg, agreed.map(|(interval, who)| Session { interval, us: who != Some("uas") }));
    }

    fn run_session(&mut self, leg: usize, session: Option<Session>) {
        self.legs[leg].extensions.session = session;
        self.timers.cancel(Timer::Refresh(leg));
        self.timers.cancel(Timer::Expire(leg));
        let Some(Session { interval, us }) = session else { return };
        let interval = Duration::from_secs(interval.into());
        self.timers.set(Timer::Expire(leg), self.now + interval - (interval / 3).min(Duration::from_secs(32)));
        if us && !self.habits(leg).lazy {
            self.timers.set(Timer::Refresh(leg), self.now + interval / 2);
        }
    }

    /// The headers of a re-INVITE or UPDATE of ours.
    pub(super) fn session_asks(&self, leg: usize) -> Vec<(String, String)> {
        let Some(Session { interval, us }) = self.legs[leg].extensions.session else { return Vec::new() };
        let refresher = if us { "uac" } else { "uas" };
        vec![header("Supported", "timer"), header("Session-Expires", &format!("{interval};refresher={refresher}"))]
    }

    pub(super) fn refresh(&mut self, leg: usize) {
        let it = &self.legs[leg];
        if it.state != State::Up {
            return;
        }
        if it.offering.is_some() || it.asked || it.unacked.is_some() {
            self.timers.set(Timer::Refresh(leg), self.now + Duration::from_secs(1));
        } else if self.habits(leg).update {
            let update = self.request(leg, "UPDATE", None);
            let peer = self.legs[leg].peer;
            let client = self.start_client(Some(leg), peer, read(&update));
            self.legs[leg].offering = Some(client);
        } else {
            self.offer(leg, Some("sendrecv"));
        }
    }

    pub(super) fn session_expired(&mut self, leg: usize) {
        if self.legs[leg].state == State::Up {
            self.bye(leg);
        }
    }

    /// The caller's INVITE asked for less than is taken (section 7.3).
    pub(super) fn ask_for_longer(&mut self, leg: usize, response: &Read) -> bool {
        let least = response.message.header("Min-SE").and_then(|value| value.parse::<u32>().ok());
        let Some(least) = least.filter(|least| self.habits(leg).interval.is_some_and(|asked| asked < *least)) else {
            return false;
        };
        self.legs[leg].manner.habits.interval = Some(least);
        let least = least.to_string();
        self.call_again(leg, &[("Session-Expires", &least), ("Min-SE", &least)]);
        true
    }

    /// The INVITE of a call that was refused goes out again, with these headers.
    pub(super) fn call_again(&mut self, leg: usize, with: &[(&str, &str)]) {
        let via = self.via();
        let it = &mut self.legs[leg];
        it.cseq += 1;
        let mut invite = it.invite.message.clone();
        // What was shown once opens nothing again.
        let once = ["Content-Length", "Proxy-Authorization"];
        let replaced = |name: &str| once.contains(&name) || with.iter().any(|(new, _)| *new == name);
        invite.headers.retain(|(name, _)| !replaced(name));
        for (name, value) in &mut invite.headers {
            match name.as_str() {
                "Via" => value.clone_from(&via),
                "CSeq" => *value = format!("{} INVITE", it.cseq),
                _ => {}
            }
        }
        invite.headers.extend(with.iter().map(|(name, value)| header(name, value)));
        let invite = read(&invite);
        it.invite = Rc::clone(&invite);
        (it.state, it.their_tag) = (State::Calling, String::new());
        let peer = it.peer;
        self.start_client(Some(leg), peer, invite);
    }

    // ---- 491

    /// A change of ours met the other side's: the owner of the Call-ID waits longer.
    pub(super) fn met(&mut self, leg: usize) {
        if self.habits(leg).persistent && self.legs[leg].extensions.tried.is_some() {
            let placed = self.legs[leg].placed;
            let wait = if placed { self.chance.ms(2_100, 4_000) } else { self.chance.ms(0, 2_000) };
            self.timers.set(Timer::Glare(leg), self.now + wait);
        }
    }

    pub(super) fn try_again(&mut self, leg: usize) {
        if let Some(act) = self.legs[leg].extensions.tried.take() {
            self.act(self.now, leg, act);
        }
    }

    // ---- REFER

    pub(super) fn refer(&mut self, leg: usize, to: &str, quiet: bool) {
        let mut refer = self.request(leg, "REFER", None);
        refer.headers.push(header("Refer-To", &format!("<{to}>")));
        refer.headers.push(header("Referred-By", &format!("<sip:{}@{}>", self.name, self.address.ip())));
        if quiet {
            refer.headers.push(header("Refer-Sub", "false"));
        }
        let peer = self.legs[leg].peer;
        self.start_client(Some(leg), peer, read(&refer));
    }

    /// Asks that the other party of this leg talk to the other party of another leg of ours (RFC 5589 section 7).
    pub(super) fn join(&mut self, leg: usize) {
        let mut others = self.legs.iter().enumerate().filter(|(at, it)| *at != leg && it.state == State::Up);
        let Some((at, _)) = others.next() else { return };
        let replaces = self.replaces(at).replace('@', "%40").replace(';', "%3B").replace('=', "%3D");
        let to = format!("sip:party@{}?Replaces={replaces}", self.legs[leg].peer.ip());
        self.refer(leg, &to, false);
    }

    /// The value of Replaces for a leg's dialog, as the other side is to read it.
    pub(crate) fn replaces(&self, leg: usize) -> String {
        let it = &self.legs[leg];
        format!("{};to-tag={};from-tag={}", it.call_id, it.their_tag, it.our_tag)
    }

    pub(super) fn refer_answered(&mut self, leg: usize, status: u16) {
        let leaves = self.habits(leg).after_refer == AfterRefer::LeavesAtOnce;
        if status < 300 && leaves && self.legs[leg].state == State::Up {
            self.bye(leg);
        }
    }

    pub(super) fn notify_came(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, leg: usize) {
        let after = self.habits(leg).after_refer;
        self.respond(at, from, request, if after == AfterRefer::Deaf { 481 } else { 200 }, None);
        let success = request.message.body.starts_with("SIP/2.0 2");
        if success && after == AfterRefer::LeavesAfter && self.legs[leg].state == State::Up {
            self.bye(leg);
        }
    }
}
