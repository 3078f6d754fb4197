//! Requests a party sends, and what comes back (RFC 3261 sections 8.1, 9.1, 13.2, 17.1).

use super::{Agent, Cancel, GIVE_UP, State, T1, T2, Timer, read};
use crate::trace::Read;
use parties::message::uri_of;
use std::{net::SocketAddr, rc::Rc, time::Duration};

#[derive(Debug)]
pub(super) struct Client {
    pub(super) leg: Option<usize>,
    peer: SocketAddr,
    request: Rc<Read>,
    interval: Duration,
    /// The ACK to a refusal.
    ack: Option<Rc<Read>>,
    done: bool,
}

impl Agent {
    pub(super) fn start_client(&mut self, leg: Option<usize>, peer: SocketAddr, request: Rc<Read>) -> u32 {
        self.numbers += 1;
        let number = self.numbers;
        self.transmit(peer, Rc::clone(&request));
        self.timers.set(Timer::Repeat(number), self.now + T1);
        self.timers.set(Timer::GiveUp(number), self.now + GIVE_UP);
        self.clients.insert(number, Client { leg, peer, request, interval: T1, ack: None, done: false });
        number
    }

    /// Requests that had no final response yet and are not given up.
    pub(crate) fn waiting(&self) -> usize {
        self.clients.values().filter(|client| !client.done).count()
    }

    pub(super) fn repeat(&mut self, number: u32) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        client.interval *= 2;
        if !client.request.is("INVITE") {
            client.interval = client.interval.min(T2);
        }
        let (peer, request, interval) = (client.peer, Rc::clone(&client.request), client.interval);
        self.timers.set(Timer::Repeat(number), self.now + interval);
        self.transmit(peer, request);
    }

    pub(super) fn give_up(&mut self, number: u32) {
        self.finish(number);
        let Some(client) = self.clients.get(&number) else { return };
        let Some(leg) = client.leg else { return self.told(number, 408) };
        match client.request.method.as_str() {
            // Nobody is there.
            "INVITE" if self.legs[leg].state != State::Up => self.over(leg),
            "INVITE" | "UPDATE" => {
                self.legs[leg].offering = None;
                if self.legs[leg].state == State::Up {
                    self.bye(leg);
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self, number: u32) {
        self.timers.cancel(Timer::Repeat(number));
        self.timers.cancel(Timer::GiveUp(number));
        if let Some(client) = self.clients.get_mut(&number) {
            client.done = true;
        }
    }

    pub(super) fn response_came(&mut self, _from: SocketAddr, response: &Rc<Read>) {
        let found = self.clients.iter().find(|(_, client)| {
            client.request.branch == response.branch && client.request.method == response.cseq_method
        });
        let Some((&number, client)) = found else { return };
        let (leg, method, done) = (client.leg, client.request.method.clone(), client.done);
        let Some(leg) = leg else {
            if response.status >= 200 {
                self.finish(number);
                self.told(number, response.status);
            }
            return;
        };
        if response.status < 200 {
            if method == "INVITE" {
                self.timers.cancel(Timer::Repeat(number));
                self.timers.cancel(Timer::GiveUp(number));
            }
            if method == "INVITE" && self.legs[leg].state == State::Calling {
                self.legs[leg].state = State::Proceeding;
                if self.legs[leg].cancel == Cancel::Wanted {
                    self.cancel(leg);
                }
            }
            if method == "INVITE" && !done && self.legs[leg].state == State::Proceeding {
                self.provisional(leg, response);
            }
            return;
        }
        self.finish(number);
        match method.as_str() {
            "INVITE" if response.status < 300 => self.success(leg, number, response),
            "INVITE" => self.refused(leg, number, response, done),
            "BYE" if response.status == 200 && !done => self.byes_answered += 1,
            "UPDATE" if self.legs[leg].offering == Some(number) => {
                self.legs[leg].offering = None;
                if response.status < 300 {
                    self.hear(leg, &response.message.body);
                    if self.legs[leg].state == State::Up {
                        self.session_answered(leg, response);
                    }
                } else if response.status == 491 {
                    self.met(leg);
                }
            }
            "REFER" if !done => self.refer_answered(leg, response.status),
            _ => {}
        }
    }

    /// A 2xx to an INVITE or re-INVITE: it is acknowledged, and again whenever it comes again (13.2.2.4).
    fn success(&mut self, leg: usize, number: u32, response: &Rc<Read>) {
        let it = &self.legs[leg];
        let same = it.acks.iter().find(|(tag, cseq, _)| *tag == response.to_tag && *cseq == response.cseq);
        if let Some((_, _, packet)) = same {
            let packet = packet.clone();
            self.out.push_back(packet);
            return;
        }
        let first = matches!(it.state, State::Calling | State::Proceeding);
        let it = &mut self.legs[leg];
        if it.placed && (first || it.their_tag.is_empty()) {
            it.their_tag.clone_from(&response.to_tag);
            it.them = response.message.header("To").unwrap_or_default().to_owned();
        }
        if let Some(contact) = response.message.header("Contact") {
            it.target = uri_of(contact).to_owned();
        }
        let (cseq, peer) = (response.cseq, it.peer);
        if first || it.offering == Some(number) {
            self.session_answered(leg, response);
        }
        let mut ack = self.request(leg, "ACK", Some(cseq));
        // The daemon's offer is answered in the ACK.
        let asked = self.clients.get(&number).is_some_and(|client| !client.request.has_session());
        if asked && response.has_session() {
            self.describe_answer(leg, &mut ack, &response.message.body);
        }
        let packet = self.transmit(peer, read(&ack));
        self.legs[leg].acks.push((response.to_tag.clone(), cseq, packet));
        self.hear(leg, &response.message.body);
        if self.legs[leg].offering == Some(number) {
            self.legs[leg].offering = None;
        }
        if !first {
            if self.legs[leg].state == State::Over && self.legs[leg].up_at.is_none() {
                // It was given up, and answered after all.
                self.bye(leg);
            }
            return;
        }
        if self.legs[leg].cancel == Cancel::No {
            self.up(leg);
        } else {
            self.bye(leg);
        }
    }

    fn refused(&mut self, leg: usize, number: u32, response: &Rc<Read>, done: bool) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let ack = client.ack.clone().unwrap_or_else(|| {
            let uri = client.request.message.uri().unwrap_or_default();
            read(&{
                let mut ack = response.message.ack_of_refusal(uri);
                // Its Via is the INVITE's, without what the other side wrote into it (17.1.1.3).
                ack.headers[0].1 = client.request.message.header("Via").unwrap_or_default().to_owned();
                ack
            })
        });
        client.ack = Some(Rc::clone(&ack));
        let peer = client.peer;
        self.transmit(peer, ack);
        if done {
            return;
        }
        if self.legs[leg].offering == Some(number) {
            self.legs[leg].offering = None;
            if response.status == 491 {
                self.met(leg);
            }
            if matches!(response.status, 408 | 481) && self.legs[leg].state == State::Up {
                self.bye(leg);
            }
        } else if self.legs[leg].state != State::Up {
            let wanted = self.legs[leg].cancel == Cancel::No;
            let again = match response.status {
                422 if wanted => self.ask_for_longer(leg, response),
                407 if wanted => self.show_password(leg, response),
                _ => false,
            };
            if !again {
                self.over(leg);
            }
        }
    }

    pub(super) fn cancel(&mut self, leg: usize) {
        let it = &mut self.legs[leg];
        it.cancel = Cancel::Sent;
        let (cancel, peer) = (it.invite.message.cancel(), it.peer);
        self.start_client(Some(leg), peer, read(&cancel));
        self.timers.set(Timer::Cancelled(leg), self.now + GIVE_UP);
    }
}
