//! Requests that come to a party (RFC 3261 sections 8.2, 9.2, 12.2.2, 13.3, 17.2).

use super::{
    Agent, Cancel, GIVE_UP, Habits, Leg, Manner, Note, State, T1, T2, Timer,
    extensions::{Extensions, header},
    read,
};
use crate::{network::Packet, trace::Read};
use parties::message::uri_of;
use std::{net::SocketAddr, rc::Rc, time::Duration};

#[derive(Debug)]
pub(super) struct Server {
    branch: String,
    method: String,
    /// Its last response.
    pub(super) last: Option<Packet>,
    legs: Vec<usize>,
}

/// A final response to an INVITE that waits for its ACK.
#[derive(Debug)]
pub(super) struct Unacked {
    cseq: u32,
    packet: Packet,
    interval: Duration,
    success: bool,
}

impl Agent {
    pub(super) fn request_came(&mut self, from: SocketAddr, request: &Rc<Read>) {
        if request.is("ACK") {
            return self.ack_came(request);
        }
        let same = |server: &&Server| server.branch == request.branch && server.method == request.method;
        if let Some(server) = self.servers.iter().find(same) {
            let last = server.last.clone();
            self.out.extend(last);
            return;
        }
        let (branch, method) = (request.branch.clone(), request.method.clone());
        self.servers.push(Server { branch, method, last: None, legs: Vec::new() });
        let at = self.servers.len() - 1;
        match (request.method.as_str(), request.to_tag.is_empty()) {
            ("INVITE", true) => self.invited(at, from, request),
            ("CANCEL", _) => self.cancel_came(at, from, request),
            ("SUBSCRIBE", _) if self.watched.may_be() => self.subscribe_came(at, from, request),
            (_, true) => self.respond(at, from, request, if request.is("OPTIONS") { 200 } else { 405 }, None),
            _ => self.within(at, from, request),
        }
    }

    fn within(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>) {
        let found = self.legs.iter().position(|leg| leg.call_id == request.call_id && leg.our_tag == request.to_tag);
        let Some(leg) = found else { return self.respond(at, from, request, 481, None) };
        let it = &mut self.legs[leg];
        if it.their_cseq.is_some_and(|last| request.cseq < last) {
            return self.respond(at, from, request, 500, None);
        }
        it.their_cseq = Some(request.cseq);
        match (request.method.as_str(), it.state) {
            ("BYE", state) => {
                self.respond(at, from, request, 200, None);
                self.stop_repeating(leg);
                if state == State::Incoming {
                    self.refuse(leg, 487);
                } else if state != State::Over {
                    self.over(leg);
                }
            }
            (_, State::Over) => self.respond(at, from, request, 481, None),
            ("INVITE", State::Up) => self.reinvited(at, from, request, leg),
            ("UPDATE", _) if request.has_session() && self.legs[leg].offering.is_some() => {
                self.respond(at, from, request, 491, None);
            }
            ("UPDATE", _) if request.has_session() => {
                self.hear(leg, &request.message.body);
                self.respond(at, from, request, 200, Some(leg));
            }
            ("UPDATE", State::Up) => self.refreshed(at, from, request, leg),
            ("NOTIFY", _) => self.notify_came(at, from, request, leg),
            ("PRACK", _) => self.prack_came(at, from, request, leg),
            ("UPDATE" | "INFO" | "OPTIONS", _) => self.respond(at, from, request, 200, None),
            ("REFER", State::Up) if self.refers => self.refer_came(at, from, request, leg),
            ("REFER", _) => self.respond(at, from, request, 603, None),
            _ => self.respond(at, from, request, 491, None),
        }
    }

    /// An UPDATE without an offer.
    fn refreshed(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, leg: usize) {
        let mut response = request.message.response(200, Some(&self.legs[leg].our_tag));
        response.headers.push(header("Contact", &self.contact()));
        response.headers.extend(self.session_answers(leg, request));
        let packet = self.transmit(from, read(&response));
        self.servers[at].last = Some(packet);
    }

    fn reinvited(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, leg: usize) {
        self.servers[at].legs.push(leg);
        let it = &self.legs[leg];
        if it.offering.is_some() || it.unacked.is_some() {
            return self.final_response(at, from, request, leg, 491, None);
        }
        if let Some(contact) = request.message.header("Contact") {
            self.legs[leg].target = uri_of(contact).to_owned();
        }
        self.hear(leg, &request.message.body);
        self.legs[leg].asked = !request.has_session();
        self.final_response(at, from, request, leg, 200, Some("sendrecv"));
    }

    // ---- a call that comes in

    fn invited(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>) {
        if self.is_challenged(at, from, request) {
            return;
        }
        let mut manner = self.manners.pop_front().unwrap_or_else(|| Manner::by_chance(self.kind, &mut self.chance));
        if self.rich && manner.habits == Habits::default() {
            manner.habits = Habits::by_chance(&mut self.chance);
        }
        if manner.deaf {
            return;
        }
        if manner.trying {
            self.respond(at, from, request, 100, None);
        }
        let fork = manner.fork;
        let taken = self.take(at, from, request, manner);
        if let Some(after) = fork.filter(|_| taken) {
            let manner = Manner { before: vec![(after, super::Act::Answer)], ..Manner::default() };
            self.take(at, from, request, manner);
        }
    }

    /// False: it was refused at once.
    fn take(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>, manner: Manner) -> bool {
        let leg = self.legs.len();
        let tag = self.name("t");
        let header = |name: &str| request.message.header(name).unwrap_or_default().to_owned();
        for (step, (after, _)) in manner.before.iter().enumerate() {
            self.timers.set(Timer::Script(leg, step), self.now + *after);
        }
        let media = self.new_media();
        self.legs.push(Leg {
            call_id: request.call_id.clone(),
            call: request.message.header("X-Tandem-Call-Id").map(str::to_owned),
            state: State::Incoming,
            up_at: None,
            over_at: None,
            placed: false,
            us: format!("{};tag={tag}", header("To")),
            them: header("From"),
            our_tag: tag,
            their_tag: request.from_tag.clone(),
            target: uri_of(&header("Contact")).to_owned(),
            peer: from,
            cseq: 0,
            their_cseq: Some(request.cseq),
            invite: Rc::clone(request),
            cancel: Cancel::No,
            manner,
            media,
            acks: Vec::new(),
            unacked: None,
            offering: None,
            asked: false,
            version: 0,
            extensions: Extensions::default(),
        });
        self.hear(leg, &request.message.body);
        self.servers[at].legs.push(leg);
        if self.too_short(leg) {
            self.refuse(leg, 422);
            return false;
        }
        self.note(leg, Note::Invited);
        self.tell_watcher();
        true
    }

    pub(super) fn ring(&mut self, leg: usize, status: u16, session: bool) {
        let Some(at) = self.server_of(leg) else { return };
        let (from, request) = (self.legs[leg].peer, Rc::clone(&self.legs[leg].invite));
        let mut response = request.message.response(status, Some(&self.legs[leg].our_tag));
        response.headers.push(("Contact".to_owned(), self.contact()));
        if session && request.has_session() {
            self.describe_answer(leg, &mut response, &request.message.body);
        }
        if self.ring_reliably(leg, at, &mut response) {
            return;
        }
        let packet = self.transmit(from, read(&response));
        self.servers[at].last = Some(packet);
    }

    pub(super) fn answer(&mut self, leg: usize) {
        let Some(at) = self.server_of(leg) else { return };
        if self.answer_waits(leg) {
            return;
        }
        let (from, request) = (self.legs[leg].peer, Rc::clone(&self.legs[leg].invite));
        self.legs[leg].asked = !request.has_session();
        // What was agreed on before is not said again.
        let session = (!self.legs[leg].extensions.settled).then_some("sendrecv");
        self.final_response(at, from, &request, leg, 200, session);
        self.up(leg);
    }

    pub(super) fn refuse(&mut self, leg: usize, status: u16) {
        let Some(at) = self.server_of(leg) else { return };
        let others = self.servers[at].legs.iter().filter(|other| **other != leg);
        if others.clone().any(|other| self.legs[*other].state != State::Over) {
            // One branch of a fork refuses: its proxy waits for the others (16.7).
            return self.over(leg);
        }
        let (from, request) = (self.legs[leg].peer, Rc::clone(&self.legs[leg].invite));
        self.final_response(at, from, &request, leg, status, None);
        self.over(leg);
    }

    fn cancel_came(&mut self, at: usize, from: SocketAddr, request: &Rc<Read>) {
        let invite = self.servers.iter().find(|server| server.branch == request.branch && server.method == "INVITE");
        let Some(legs) = invite.map(|invite| invite.legs.clone()) else {
            return self.respond(at, from, request, 481, None);
        };
        self.respond(at, from, request, 200, None);
        let waiting: Vec<usize> = legs.into_iter().filter(|leg| self.legs[*leg].state == State::Incoming).collect();
        // The branches of a fork are told by their proxy; the caller sees one refusal.
        for leg in waiting.iter().skip(1) {
            self.over(*leg);
        }
        if let Some(leg) = waiting.first() {
            if self.legs[*leg].manner.answers_cancel { self.answer(*leg) } else { self.refuse(*leg, 487) }
        }
    }

    // ---- responses

    pub(super) fn respond(
        &mut self,
        at: usize,
        from: SocketAddr,
        request: &Rc<Read>,
        status: u16,
        session: Option<usize>,
    ) {
        let tag = session.map(|leg| self.legs[leg].our_tag.clone()).unwrap_or_else(|| format!("{}-s", self.name));
        let mut response = request.message.response(status, Some(&tag));
        if let Some(leg) = session {
            response.headers.push(("Contact".to_owned(), self.contact()));
            if request.is("UPDATE") && status < 300 && self.legs[leg].state == State::Up {
                response.headers.extend(self.session_answers(leg, request));
            }
            self.describe_answer(leg, &mut response, &request.message.body);
        }
        let packet = self.transmit(from, read(&response));
        self.servers[at].last = Some(packet);
    }

    /// A final response to an INVITE is repeated until its ACK comes.
    fn final_response(
        &mut self,
        at: usize,
        from: SocketAddr,
        request: &Rc<Read>,
        leg: usize,
        status: u16,
        session: Option<&'static str>,
    ) {
        let mut response = request.message.response(status, Some(&self.legs[leg].our_tag));
        match self.legs[leg].manner.habits.interval.filter(|_| status == 422) {
            Some(least) => response.headers.push(header("Min-SE", &least.to_string())),
            None if status < 300 => response.headers.extend(self.session_answers(leg, request)),
            None => {}
        }
        if status < 300 {
            response.headers.push(("Contact".to_owned(), self.contact()));
            let habits = self.legs[leg].manner.habits;
            if habits != Habits::default() {
                response.headers.push(header("Allow", habits.allow()));
            }
        }
        if let Some(direction) = session {
            if request.has_session() {
                self.describe_answer(leg, &mut response, &request.message.body);
            } else {
                self.describe(leg, &mut response, direction);
            }
        }
        let packet = self.transmit(from, read(&response));
        self.servers[at].last = Some(packet.clone());
        let success = status < 300;
        self.legs[leg].unacked = Some(Unacked { cseq: request.cseq, packet, interval: T1, success });
        self.timers.set(Timer::RepeatFinal(leg), self.now + T1);
        self.timers.set(Timer::AwaitAck(leg), self.now + GIVE_UP);
    }

    pub(super) fn repeat_final(&mut self, leg: usize) {
        let Some(unacked) = &mut self.legs[leg].unacked else { return };
        unacked.interval = (unacked.interval * 2).min(T2);
        let (packet, interval) = (unacked.packet.clone(), unacked.interval);
        self.timers.set(Timer::RepeatFinal(leg), self.now + interval);
        self.out.push_back(packet);
    }

    /// Nobody acknowledged: a session that was answered is ended all the same (13.3.1.4).
    pub(super) fn no_ack_came(&mut self, leg: usize) {
        let success = self.legs[leg].unacked.as_ref().is_some_and(|unacked| unacked.success);
        self.stop_repeating(leg);
        if success && self.legs[leg].state == State::Up {
            self.bye(leg);
        }
    }

    fn stop_repeating(&mut self, leg: usize) {
        self.legs[leg].unacked = None;
        self.timers.cancel(Timer::RepeatFinal(leg));
        self.timers.cancel(Timer::AwaitAck(leg));
    }

    fn ack_came(&mut self, ack: &Rc<Read>) {
        let found = self.legs.iter().position(|leg| {
            leg.call_id == ack.call_id
                && leg.our_tag == ack.to_tag
                && leg.unacked.as_ref().is_some_and(|unacked| unacked.cseq == ack.cseq)
        });
        let Some(leg) = found else { return };
        self.stop_repeating(leg);
        self.legs[leg].asked = false;
        self.hear(leg, &ack.message.body);
    }

    fn server_of(&self, leg: usize) -> Option<usize> {
        let branch = &self.legs[leg].invite.branch;
        self.servers.iter().position(|server| server.branch == *branch && server.method == "INVITE")
    }
}
