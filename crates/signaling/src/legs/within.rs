//! Requests of the peer within a dialog (RFC 3261 sections 12.2.2, 15.1.2; RFC 3311, RFC 6086).

use super::{Leg, Phase, World, reason};
use crate::{
    EndedBy, Event,
    compose::Response,
    inbound,
    message::{Request, content_type},
    slab::Id,
};
use sip_codec::{Method, Name};

const DIGITS: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];

impl Leg {
    pub(super) fn request(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        if !self.in_order(w, server, request) {
            return;
        }
        match request.method {
            Method::Bye => self.bye_came(w, server, request),
            _ if self.phase == Phase::Over => w.respond(server, &Response::tagged(481, &self.tag)),
            Method::Invite => self.peer_offers(w, server, request),
            Method::Update => self.update(w, server, request),
            Method::Info => self.info(w, server, request),
            Method::Notify => self.notified(w, server, request),
            Method::Prack => self.prack(w, server, request),
            Method::Options => {
                let capabilities = inbound::capabilities(w);
                w.respond(server, &Response { to_tag: Some(&self.tag), ..capabilities });
            }
            _ => w.respond(server, &Response::tagged(481, &self.tag)),
        }
    }

    /// False: the request came too late to be in order, and was answered so (12.2.2).
    pub(super) fn in_order(&mut self, w: &mut World<'_>, server: Id, request: &Request) -> bool {
        let remote = request.sender_tag().unwrap_or_default();
        let dialogs = self.dialog.iter_mut().chain(&mut self.forks);
        let ordered = dialogs.filter(|dialog| dialog.remote_tag == remote).all(|dialog| {
            dialog.came_by(request.flow);
            dialog.in_order(request.cseq)
        });
        if !ordered {
            w.respond(server, &Response::tagged(500, &self.tag).with(Name::RetryAfter, "0"));
        }
        ordered
    }

    /// Whether a BYE has overtaken the answer to our INVITE that would have made its dialog: who answered is gone already, and what comes
    /// late must not look like a party that is there. With other early dialogs about, one of them may still answer.
    pub(super) fn is_left_before_its_answer(&self, request: &Request) -> bool {
        let ours = self.phase == Phase::Calling && self.forks.is_empty() && self.is_invited(request.call_id());
        request.method == Method::Bye && ours
    }

    fn bye_came(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        w.respond(server, &Response::tagged(200, &self.tag));
        if self.phase == Phase::Calling && self.forks.len() > 1 {
            // One branch of a fork gave up; the others may still answer.
            let remote = request.sender_tag().unwrap_or_default();
            self.forks.retain(|fork| fork.remote_tag != remote);
            return;
        }
        let phase = self.phase;
        self.phase = Phase::Over;
        self.stop_waiting_for_ack(w);
        self.drop_offers(w);
        self.end(w, EndedBy::Peer, None, reason(&request.message), None);
        match phase {
            Phase::Ringing(invite) => w.respond(invite, &Response::tagged(487, &self.tag)),
            Phase::Calling => {
                self.phase = Phase::Calling;
                self.cancel_invite(w, None);
            }
            // The ACK is owed even to a peer that has gone.
            Phase::Up => self.answer_late(w, None),
            Phase::Over => {}
        }
    }

    fn update(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        if !request.message.body().is_empty() {
            self.peer_offers(w, server, request);
            return;
        }
        let remote = request.sender_tag().unwrap_or_default();
        let dialogs = self.dialog.iter_mut().chain(&mut self.forks);
        dialogs.filter(|dialog| dialog.remote_tag == remote).for_each(|dialog| dialog.refresh(&request.message));
        let expires = if self.phase == Phase::Up { self.session_answers(w, &request.message) } else { None };
        w.respond(server, &Response { contact: Some(&self.contact), expires, ..Response::tagged(200, &self.tag) });
    }

    fn info(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        let message = &request.message;
        if message.header_named("Info-Package").is_some() {
            w.respond(server, &Response::tagged(469, &self.tag));
            return;
        }
        let content_type = content_type(message);
        if message.body().is_empty() {
            w.respond(server, &Response::tagged(200, &self.tag));
        } else if DIGITS.contains(&content_type.as_str()) {
            w.respond(server, &Response::tagged(200, &self.tag));
            self.tell(w, Event::Info { content_type, body: message.body_bytes() });
        } else {
            w.respond(server, &Response::tagged(415, &self.tag).with(Name::Accept, DIGITS.join(", ")));
        }
    }
}
