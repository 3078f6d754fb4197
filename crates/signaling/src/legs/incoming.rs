//! The called side of an INVITE (RFC 3261 sections 8.2, 9.2, 13.3).

use super::{
    Leg, Legs, Phase, Unacked, World, reason,
    reliable::{Answer, Reliable},
    session_timer::SessionTimer,
};
use crate::{
    EndedBy, Event, Incoming, LegId, compose,
    compose::Response,
    dialog::Dialog,
    message::{Request, passed, text},
    slab::Id,
    timer::Timer,
};
use bytes::Bytes;
use sip_codec::{Message, Name, NameAddr};
use std::{sync::Arc, time::Duration};

/// How often a provisional response is repeated so that proxies on the way keep waiting (13.3.1.1).
const KEEP_RINGING: Duration = Duration::from_secs(60);

impl Legs {
    /// A new call, which may take the place of a leg. The INVITE has been checked; it gets 100 at once.
    pub(crate) fn incoming(
        &mut self,
        w: &mut World<'_>,
        request: Arc<Request>,
        offer: Option<Bytes>,
        replaces: Option<LegId>,
    ) {
        let listener = w.cx.listener(&request.flow);
        let slot = self.table.next_id();
        let tag = w.cx.token("", slot.index);
        let Some(dialog) = Dialog::of_request(&request, &tag, listener.advertised) else {
            let server = w.transactions.servers.start(request, None);
            w.respond(server, &Response { phrase: Some("Missing Contact"), ..Response::tagged(400, &tag) });
            return;
        };
        self.last_incoming += 1;
        let id = LegId(LegId::INCOMING | self.last_incoming);
        let message = &request.message;
        let chance = w.cx.random();
        let reliable = Reliable::of_invite(&request, chance);
        let session = SessionTimer::asked(w.cx, &request);
        let invite_cseq = request.cseq;
        let incoming = Incoming {
            flow: request.flow,
            account: request.account.clone(),
            gate: request.gate.clone(),
            request_uri: text(message.uri_bytes().unwrap_or_default()),
            from: compose::party(message, Name::From),
            to: compose::party(message, Name::To),
            call_id: text(request.call_id()),
            reliable: reliable.as_ref().is_some_and(|reliable| reliable.required),
            headers: passed(message, &w.cx.config.passed_headers),
            max_forwards: request.max_forwards.unwrap_or(70).min(70),
            offer,
        };
        let secure = is_secure(message);
        let server = w.transactions.servers.start(request, Some(slot));
        w.respond(server, &Response::new(100));
        let mut leg = Leg::new(id, slot, listener, secure, tag, Phase::Ringing(server));
        leg.dialog = Some(dialog);
        leg.asked = incoming.offer.is_none();
        (leg.reliable, leg.session, leg.invite_cseq) = (reliable, session, invite_cseq);
        leg.arm(w, Timer::Answer, w.cx.config.answer_timeout);
        let incoming = Box::new(incoming);
        leg.tell(
            w,
            match replaces {
                Some(replaces) => Event::Replacing { replaces, incoming },
                None => Event::Incoming(incoming),
            },
        );
        self.insert(leg);
    }
}

/// True when the dialog that a request opens must stay secured: our Contact is a `sips:` URI then (12.1.1).
fn is_secure(message: &Message) -> bool {
    let route = message.values(Name::RecordRoute).next();
    let next = match route {
        Some(route) => NameAddr::parse(route).is_some_and(|route| route.uri.is_sips()),
        None => message.contacts().next().and_then(Result::ok).is_some_and(|contact| contact.uri.is_sips()),
    };
    next || message.uri().is_ok_and(|uri| uri.is_sips())
}

impl Leg {
    /// [`crate::Command::Progress`].
    pub(super) fn progress(
        &mut self,
        w: &mut World<'_>,
        status: u16,
        answer: Option<Bytes>,
        headers: Vec<(String, String)>,
    ) {
        let Phase::Ringing(invite) = self.phase else { return };
        if !(101..200).contains(&status) {
            return;
        }
        let headers = compose::addable(w.cx, headers);
        if self.reliable.as_ref().is_some_and(|reliable| reliable.takes(answer.as_ref())) {
            return self.progress_reliably(w, status, answer, headers);
        }
        let contact = Some(self.contact.as_str());
        let response = Response { contact, headers: &headers, session: answer, ..Response::tagged(status, &self.tag) };
        w.respond(invite, &response);
        self.arm(w, Timer::KeepRinging, KEEP_RINGING);
    }

    pub(super) fn keep_ringing(&mut self, w: &mut World<'_>) {
        if let Phase::Ringing(invite) = self.phase
            && !self.keep_ringing_reliably(w)
        {
            w.transactions.servers.repeat(w.cx, invite);
            self.arm(w, Timer::KeepRinging, KEEP_RINGING);
        }
    }

    /// [`crate::Command::Answer`].
    pub(super) fn answer(&mut self, w: &mut World<'_>, body: Option<Bytes>, headers: Vec<(String, String)>) {
        let Phase::Ringing(invite) = self.phase else { return };
        let headers = compose::addable(w.cx, headers);
        let Some(Answer { body, headers }) = self.answer_after_prack(w, Answer { body, headers }) else {
            return self.tell(w, Event::AnswerWaits);
        };
        let offers = self.asked && body.is_some();
        let expires = self.session_agreed(w);
        let contact = Some(self.contact.as_str());
        let response =
            Response { contact, headers: &headers, expires, session: body, ..Response::tagged(200, &self.tag) };
        w.respond(invite, &response);
        self.phase = Phase::Up;
        self.disarm(w, Timer::Answer);
        self.disarm(w, Timer::KeepRinging);
        self.wait_for_ack(w, Unacked::new(invite, self.invite_cseq, offers, true));
    }

    /// [`crate::Command::Reject`].
    pub(super) fn reject(
        &mut self,
        w: &mut World<'_>,
        status: u16,
        phrase: Option<&str>,
        headers: Vec<(String, String)>,
    ) {
        let Phase::Ringing(invite) = self.phase else { return };
        let status = if (300..700).contains(&status) { status } else { 500 };
        let headers = compose::addable(w.cx, headers);
        let phrase = phrase.filter(|phrase| phrase.len() <= 128 && !phrase.chars().any(char::is_control));
        let response = Response { phrase, headers: &headers, ..Response::tagged(status, &self.tag) };
        w.respond(invite, &response);
        self.close(w, EndedBy::Us, Some(status));
    }

    /// Timer [`Timer::Answer`]: call control has forgotten the call.
    pub(super) fn never_answered(&mut self, w: &mut World<'_>) {
        if let Phase::Ringing(invite) = self.phase {
            w.respond(invite, &Response::tagged(408, &self.tag));
            self.close(w, EndedBy::Timeout, Some(408));
        }
    }

    /// A CANCEL of an INVITE or re-INVITE of this leg (9.2).
    pub(super) fn cancelled(&mut self, w: &mut World<'_>, invite: Id, server: Id, cancel: &Request) {
        w.respond(server, &Response::tagged(200, &self.tag));
        if self.phase == Phase::Ringing(invite) {
            w.respond(invite, &Response::tagged(487, &self.tag));
            self.phase = Phase::Over;
            self.dialog = None;
            self.end(w, EndedBy::Cancel, Some(487), reason(&cancel.message), None);
        } else if self.peer_offer.as_ref().is_some_and(|offer| offer.server == invite) {
            self.refuse_offer(w, 487);
        }
    }

    pub(super) fn close(&mut self, w: &mut World<'_>, by: EndedBy, status: Option<u16>) {
        self.phase = Phase::Over;
        self.dialog = None;
        self.end(w, by, status, None, None);
    }
}
