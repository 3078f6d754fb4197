//! Offers within a dialog: re-INVITE both ways, UPDATE and PRACK from the peer (RFC 3261 section 14, RFC 3311), and the ACKs that
//! our 2xx wait for (13.3.1.4). One offer at a time.

use super::{Leg, Phase, World};
use crate::{
    EndedBy, Event, Reason,
    compose::{Extras, Response},
    message::{Request, session},
    slab::Id,
    timer::Timer,
    transaction::Role,
};
use bytes::Bytes;
use sip_codec::{Message, Method, Name};
use std::time::Duration;

/// How often an offer that met the peer's is tried.
pub(super) const TRIES: u8 = 5;

/// A 2xx of ours that waits for its ACK.
#[derive(Debug)]
pub(super) struct Unacked {
    server: Id,
    cseq: u32,
    interval: Duration,
    /// It carried our offer: the ACK brings the answer.
    offers: bool,
    /// It answered the INVITE that opened the leg: no BYE before the ACK (section 15).
    pub(super) opens: bool,
    /// The leg was hung up meanwhile.
    pub(super) bye: Option<Option<Reason>>,
}

impl Unacked {
    pub(super) const fn new(server: Id, cseq: u32, offers: bool, opens: bool) -> Self {
        Self { server, cseq, interval: Duration::ZERO, offers, opens, bye: None }
    }
}

/// A peer's offer that call control has not replied to.
#[derive(Debug)]
pub(super) struct PeerOffer {
    pub(super) server: Id,
    cseq: u32,
    invite: bool,
    /// The re-INVITE had no offer: the reply is ours.
    asks: bool,
    /// The request, for its Contact: a target is refreshed when the request is accepted.
    message: Message,
}

/// Our offer that the peer has not answered.
#[derive(Debug)]
pub(super) struct OurOffer {
    /// The re-INVITE or UPDATE, when it is out.
    pub(super) invite: Option<Id>,
    /// It is an UPDATE.
    pub(super) update: bool,
    pub(super) offer: Bytes,
    pub(super) tries: u8,
    pub(super) credentialed: u8,
}

impl Leg {
    /// Repeats a 2xx until its ACK comes.
    pub(super) fn wait_for_ack(&mut self, w: &mut World<'_>, mut unacked: Unacked) {
        unacked.interval = w.cx.timing.t1;
        self.arm(w, Timer::Repeat2xx, unacked.interval);
        self.arm(w, Timer::AwaitAck, w.cx.timing.give_up());
        self.unacked = Some(unacked);
    }

    pub(super) fn stop_waiting_for_ack(&mut self, w: &mut World<'_>) -> Option<Unacked> {
        let unacked = self.unacked.take()?;
        self.disarm(w, Timer::Repeat2xx);
        self.disarm(w, Timer::AwaitAck);
        Some(unacked)
    }

    pub(super) fn repeat_2xx(&mut self, w: &mut World<'_>) {
        let Some(unacked) = &mut self.unacked else { return };
        unacked.interval = (unacked.interval * 2).min(w.cx.timing.t2);
        let (server, interval) = (unacked.server, unacked.interval);
        w.transactions.servers.repeat(w.cx, server);
        self.arm(w, Timer::Repeat2xx, interval);
    }

    pub(super) fn ack_never_came(&mut self, w: &mut World<'_>) {
        let Some(unacked) = self.stop_waiting_for_ack(w) else { return };
        let hung_up = unacked.bye.flatten();
        self.end(w, EndedBy::Timeout, Some(408), None, None);
        self.bye(w, hung_up);
    }

    /// An ACK to a 2xx of ours.
    pub(super) fn acked(&mut self, w: &mut World<'_>, ack: &Request) {
        if self.unacked.as_ref().is_none_or(|unacked| unacked.cseq != ack.cseq) {
            return;
        }
        let Some(unacked) = self.stop_waiting_for_ack(w) else { return };
        if let Some(reason) = unacked.bye {
            self.send_bye(w, reason.as_ref());
            return;
        }
        let body = ack.session().ok().flatten().filter(|_| unacked.offers);
        self.tell(w, Event::Acked { body });
        self.try_offer(w);
    }

    /// A re-INVITE, or an UPDATE or PRACK with a body.
    pub(super) fn peer_offers(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        let Ok(body) = request.session() else {
            w.respond(server, &Response::tagged(415, &self.tag).with(Name::Accept, "application/sdp"));
            return;
        };
        let invite = request.is_invite();
        let early = !invite && self.settled_early(request.sender_tag().unwrap_or_default());
        if !self.settle_implied_ack(w)
            || self.our_invite_is_out()
            || self.owes_late_answer()
            || (self.phase == Phase::Calling && !early)
        {
            w.respond(server, &Response::tagged(491, &self.tag));
            return;
        }
        if self.peer_offer.is_some() || !(self.phase == Phase::Up || early) {
            let wait = w.cx.between(Duration::ZERO, Duration::from_secs(10)).as_secs().to_string();
            w.respond(server, &Response::tagged(500, &self.tag).with(Name::RetryAfter, wait));
            return;
        }
        // An offer of ours that waits for its next try has lost.
        if self.our_offer.take().is_some() {
            self.disarm(w, Timer::Glare);
            self.tell(w, Event::OfferDone { result: Err(491) });
        }
        if invite {
            w.respond(server, &Response::new(100));
        }
        let (cseq, asks, message) = (request.cseq, body.is_none(), request.message.clone());
        self.peer_offer = Some(PeerOffer { server, cseq, invite, asks, message });
        self.arm(w, Timer::OfferReply, w.cx.config.offer_timeout);
        self.tell(w, Event::Offer { body });
    }

    /// A peer that asks anew has had our 2xx, whatever became of its ACK; unless that ACK owes us an answer.
    fn settle_implied_ack(&mut self, w: &mut World<'_>) -> bool {
        if self.unacked.as_ref().is_some_and(|unacked| unacked.offers) {
            return false;
        }
        if self.stop_waiting_for_ack(w).is_some() {
            self.tell(w, Event::Acked { body: None });
        }
        true
    }

    pub(super) fn our_invite_is_out(&self) -> bool {
        self.our_offer.as_ref().is_some_and(|offer| offer.invite.is_some())
    }

    /// Whether an offer of ours has no answer yet, sent or not.
    pub(super) fn offers(&self) -> bool {
        self.our_offer.is_some()
    }

    /// [`crate::Command::AcceptOffer`].
    pub(super) fn accept_offer(&mut self, w: &mut World<'_>, answer: Bytes) {
        let Some(peer) = self.peer_offer.take() else { return };
        self.disarm(w, Timer::OfferReply);
        let early = if self.phase == Phase::Calling { self.forks.first_mut() } else { None };
        let mut expires = None;
        if let Some(dialog) = early.or(self.dialog.as_mut()) {
            dialog.refresh(&peer.message);
        }
        if peer.message.method() != Some(Method::Prack) && self.phase == Phase::Up {
            expires = self.session_answers(w, &peer.message);
        }
        let contact = Some(self.contact.as_str());
        let response = Response { contact, expires, session: Some(answer), ..Response::tagged(200, &self.tag) };
        w.respond(peer.server, &response);
        if peer.invite {
            self.wait_for_ack(w, Unacked::new(peer.server, peer.cseq, peer.asks, false));
        } else {
            self.try_offer(w);
        }
    }

    /// [`crate::Command::RefuseOffer`].
    pub(super) fn refuse_offer(&mut self, w: &mut World<'_>, status: u16) {
        let Some(peer) = self.peer_offer.take() else { return };
        self.disarm(w, Timer::OfferReply);
        let status = if (400..700).contains(&status) { status } else { 488 };
        let mut response = Response::tagged(status, &self.tag);
        if status == 500 {
            response = response.with(Name::RetryAfter, "5");
        }
        w.respond(peer.server, &response);
        self.try_offer(w);
    }

    /// [`crate::Command::Offer`].
    pub(super) fn offer(&mut self, w: &mut World<'_>, offer: Bytes) {
        if self.ended {
            return;
        }
        let possible = self.phase == Phase::Up || self.early_dialog_for_update().is_some();
        if !possible || self.our_offer.is_some() || self.peer_offer.is_some() {
            self.tell(w, Event::OfferDone { result: Err(491) });
            return;
        }
        self.our_offer = Some(OurOffer { invite: None, update: false, offer, tries: 0, credentialed: 0 });
        self.try_offer(w);
    }

    /// Sends our offer as soon as no other INVITE is under way in the dialog (14.1).
    pub(super) fn try_offer(&mut self, w: &mut World<'_>) {
        let busy =
            self.unacked.is_some() || self.peer_offer.is_some() || self.owes_late_answer() || self.our_invite_is_out();
        if busy
            || self.phase == Phase::Over
            || w.cx.timers.deadline((crate::timer::Owner::Leg(self.slot), Timer::Glare)).is_some()
        {
            return;
        }
        let Some(offer) = self.our_offer.as_ref().map(|ours| ours.offer.clone()) else { return };
        if self.phase != Phase::Up {
            return self.offer_by_update(w, offer);
        }
        let Some(dialog) = &mut self.dialog else { return };
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, flow) = dialog.request(&w.cx.config, Method::Invite, branch);
        let contact = self.contact.clone();
        let expires = self.session_asks();
        let extras = Extras { contact: Some(&contact), expires, session: Some(offer), ..Extras::default() };
        let invite = self.send(w, Role::ReInvite, parts, flow, extras);
        if let Some(ours) = &mut self.our_offer {
            (ours.invite, ours.update) = (invite, false);
        }
        if invite.is_none() {
            self.our_offer = None;
            self.tell(w, Event::OfferDone { result: Err(500) });
            return;
        }
        self.arm(w, Timer::ReInvite, w.cx.timing.give_up());
    }

    /// A response to a re-INVITE of ours.
    pub(super) fn reinvite_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        let Some(cseq) = w.transactions.clients.parts(id).map(|(parts, _)| parts.cseq) else { return };
        let current = self.our_offer.as_ref().is_some_and(|ours| ours.invite == Some(id));
        if (200..300).contains(&status) {
            self.reinvite_success(w, cseq, current, message);
        } else if status >= 300 && current {
            self.stop_reinvite(w);
            self.reinvite_refused(w, id, status, message);
        }
    }

    fn reinvite_success(&mut self, w: &mut World<'_>, cseq: u32, current: bool, message: &Message) {
        let Some(mut dialog) = self.dialog.take() else { return };
        if !self.acknowledged_before(w, &dialog.remote_tag, cseq) {
            if current {
                dialog.refresh(message);
            }
            self.acknowledge(w, &dialog, cseq, None);
        }
        self.dialog = Some(dialog);
        if current {
            self.stop_reinvite(w);
            self.our_offer = None;
            self.session_answered(w, message);
            let answer = session(message).ok().flatten();
            self.tell(w, Event::OfferDone { result: answer.ok_or(488) });
        }
    }

    fn reinvite_refused(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        let Some(ours) = &mut self.our_offer else { return };
        ours.invite = None;
        ours.tries += 1;
        let (tries, credentialed) = (ours.tries, ours.credentialed);
        match status {
            491 if tries < TRIES && self.phase == Phase::Up => {
                self.wait_after_glare(w);
            }
            401 | 407 if self.challenged(w, id, status, message, credentialed) => {
                if let Some(ours) = &mut self.our_offer {
                    ours.credentialed += 1;
                }
                self.try_offer(w);
            }
            422 if tries < TRIES && self.interval_too_small(status, message) => self.try_offer(w),
            408 | 481 => self.reinvite_failed(w, EndedBy::Peer, status),
            _ => {
                self.our_offer = None;
                self.tell(w, Event::OfferDone { result: Err(status) });
            }
        }
    }

    /// The peer does not know the dialog any more, or does not answer: it is over (12.2.1.2).
    pub(super) fn reinvite_failed(&mut self, w: &mut World<'_>, by: EndedBy, status: u16) {
        self.disarm(w, Timer::ReInvite);
        let by = if status == 408 { EndedBy::Timeout } else { by };
        self.end(w, by, Some(status), None, None);
        if self.phase == Phase::Up {
            self.bye(w, None);
        }
    }

    /// Timer [`Timer::ReInvite`]: the peer has answered provisionally and nothing more.
    pub(super) fn reinvite_timed_out(&mut self, w: &mut World<'_>) {
        let Some(invite) = self.our_offer.take().and_then(|ours| ours.invite) else { return };
        self.cancel_transaction(w, invite, None);
        self.tell(w, Event::OfferDone { result: Err(408) });
    }

    fn stop_reinvite(&mut self, w: &mut World<'_>) {
        self.disarm(w, Timer::ReInvite);
    }

    /// The leg ends: nothing is negotiated any more.
    pub(super) fn drop_offers(&mut self, w: &mut World<'_>) {
        if let Some(peer) = self.peer_offer.take() {
            w.respond(peer.server, &Response::tagged(487, &self.tag));
        }
        self.disarm(w, Timer::ReInvite);
        // An UPDATE ends by its own timer F.
        let ours = self.our_offer.take().filter(|ours| !ours.update);
        if let Some(invite) = ours.and_then(|ours| ours.invite) {
            self.abandon(w, invite);
        }
    }
}
