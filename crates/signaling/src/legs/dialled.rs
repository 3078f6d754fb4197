//! The calling side of an INVITE (RFC 3261 sections 8.1, 9.1, 13.2).

use super::{
    Leg, Legs, Phase, World, reason, redirect, reliable::Acknowledged, retry_after, session_timer::SessionTimer,
};
use crate::{
    Dial, EndedBy, Event, Flow, LegId, Listener, Reason, Transport,
    auth::{Asker, Keyring},
    compose::{self, Extras, Parts},
    dialog::Dialog,
    message::{passed, session},
    octets,
    slab::Id,
    timer::Timer,
    transaction::Role,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_codec::{Message, Method, Name, Uri};
use std::{mem, time::Duration};

/// What only a dialled leg has.
#[derive(Debug)]
pub(super) struct Dialled {
    target: String,
    /// To the next hop.
    flow: Flow,
    from: Bytes,
    to: Bytes,
    call_id: Bytes,
    headers: Vec<(String, String)>,
    pub(super) offer: Option<Bytes>,
    max_forwards: u8,
    cseq: u32,
    invite: Id,
    keyring: Option<Keyring>,
    /// What the INVITE carried: its ACK carries the same.
    pub(super) credentials: Vec<(&'static str, String)>,
    tries: u8,
    first_response: Option<Duration>,
    routes: Vec<Bytes>,
    cancel: Cancel,
    /// Anyone has answered at all.
    heard: bool,
    /// The 2xx brought an offer and its ACK waits for our answer.
    late: bool,
    /// The offer of a provisional response was answered in its PRACK.
    pub(super) settled: bool,
    /// The reliable provisional responses that were acknowledged, one entry an early dialog.
    pub(super) acknowledged: Vec<Acknowledged>,
    /// Forks that lost and whose early dialogs had requests of ours: their tags, and the last numbers. Should they answer after all, our
    /// BYE goes on from there (12.2.1.1).
    numbered: Vec<(Bytes, u32)>,
}

/// What of it still matters once the leg is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    target: String,
    flow: Flow,
    #[serde(with = "octets")]
    from: Bytes,
    #[serde(with = "octets")]
    to: Bytes,
    #[serde(with = "octets")]
    call_id: Bytes,
    max_forwards: u8,
    cseq: u32,
    keyring: Option<Keyring>,
    credentials: Vec<(String, String)>,
}

impl Dialled {
    pub(super) fn write(&self) -> Written {
        Written {
            target: self.target.clone(),
            flow: self.flow,
            from: self.from.clone(),
            to: self.to.clone(),
            call_id: self.call_id.clone(),
            max_forwards: self.max_forwards,
            cseq: self.cseq,
            keyring: self.keyring.clone(),
            credentials: self.credentials.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }

    /// `slot` stands for an INVITE that has long been answered.
    pub(super) fn read(written: Written, slot: Id) -> Self {
        let Written { target, flow, from, to, call_id, max_forwards, cseq, keyring, credentials } = written;
        let known = |name: &str| [Asker::Server, Asker::Proxy].map(Asker::header).into_iter().find(|it| *it == name);
        let credentials = credentials.into_iter().filter_map(|(name, value)| Some((known(&name)?, value))).collect();
        Self {
            target,
            flow,
            from,
            to,
            call_id,
            headers: Vec::new(),
            offer: None,
            max_forwards,
            cseq,
            invite: slot,
            keyring,
            credentials,
            tries: 0,
            first_response: None,
            routes: Vec::new(),
            cancel: Cancel::No,
            heard: true,
            late: false,
            settled: false,
            acknowledged: Vec::new(),
            numbered: Vec::new(),
        }
    }
}

/// CANCEL may leave only after a provisional response (9.1).
#[derive(Debug)]
enum Cancel {
    No,
    Wanted(Option<Reason>),
    Sent,
}

impl Dialled {
    /// Credentials go to the next hop and to nobody else.
    pub(super) fn shows_credentials_to(&self, flow: Flow) -> bool {
        self.flow.remote.ip() == flow.remote.ip()
    }
}

impl Legs {
    pub(super) fn dial(&mut self, w: &mut World<'_>, id: LegId, dial: Dial) {
        let unsent = |w: &mut World<'_>, status| {
            let event = Event::Ended { by: EndedBy::Unsent, status: Some(status), reason: None, retry_after: None };
            w.cx.event(id, event);
        };
        if id.is_incoming() || self.by_id.contains_key(&id) {
            tracing::error!(leg = %id, "a leg was dialled under an id that is not its own");
            return;
        }
        if dial.max_forwards == 0 {
            return unsent(w, 483);
        }
        if w.transactions.full(w.cx) || self.len() >= w.cx.config.limits.legs {
            w.cx.counters.refused_at_limit += 1;
            return unsent(w, 503);
        }
        let listener = w.cx.listener(&dial.flow);
        let slot = self.table.next_id();
        let tag = w.cx.token("", slot.index);
        let addresses = addresses(&dial, listener, &tag);
        let Some((from, to)) = addresses else {
            tracing::warn!(leg = %id, "the dial names an address that is no URI");
            return unsent(w, 400);
        };
        let call_id = w.cx.call_id();
        let keyring = dial.credentials.map(|credentials| Keyring::new(credentials, dial.flow.remote.ip()));
        let secure = Uri::parse(dial.target.as_bytes()).is_some_and(|uri| uri.is_sips());
        let mut leg = Leg::new(id, slot, listener, secure, tag, Phase::Calling);
        leg.peer_name = dial.peer_name;
        leg.dialled = Some(Box::new(Dialled {
            target: dial.target,
            flow: dial.flow,
            from,
            to,
            call_id: call_id.clone().into(),
            headers: compose::addable(w.cx, dial.headers),
            offer: dial.offer,
            max_forwards: dial.max_forwards,
            cseq: 0,
            invite: slot,
            keyring,
            credentials: Vec::new(),
            tries: 0,
            first_response: dial.first_response,
            routes: dial.routes.into_iter().map(Bytes::from).collect(),
            cancel: Cancel::No,
            heard: false,
            late: false,
            settled: false,
            acknowledged: Vec::new(),
            numbered: Vec::new(),
        }));
        leg.session = SessionTimer::asking(w.cx, dial.flow.remote.ip(), dial.session_timer);
        let sent = leg.invite(w);
        if sent {
            leg.arm(w, Timer::C, dial.invite_timeout);
            leg.tell(w, Event::Dialling { call_id });
            self.insert(leg);
        } else {
            unsent(w, 400);
        }
    }
}

/// From and To; `None` when either, or the target, is no URI.
fn addresses(dial: &Dial, listener: Listener, tag: &str) -> Option<(Bytes, Bytes)> {
    let target = Uri::parse(dial.target.as_bytes())?;
    // What `sips:` promises is kept over TLS alone (26.2.2).
    let kept = !target.is_sips() || listener.transport == Transport::Tls;
    if !kept || (!target.is_sip() && !target.is_tel()) {
        return None;
    }
    let from = compose::address(&dial.from, &format!("sip:{}", listener.advertised), Some(tag))?;
    let to = compose::address(&dial.to, &dial.target, None)?;
    Some((from, to))
}

impl Leg {
    /// Sends the INVITE: the first, or again with credentials.
    fn invite(&mut self, w: &mut World<'_>) -> bool {
        let Some(mut dialled) = self.dialled.take() else { return false };
        dialled.cseq += 1;
        dialled.heard = false;
        dialled.acknowledged.clear();
        let parts = Parts {
            method: Method::Invite,
            uri: dialled.target.clone(),
            branch: w.transactions.clients.branch(w.cx),
            transport: dialled.flow.transport,
            sent_by: self.listener.advertised,
            routes: dialled.routes.clone(),
            from: dialled.from.clone(),
            to: dialled.to.clone(),
            call_id: dialled.call_id.clone(),
            cseq: dialled.cseq,
            max_forwards: dialled.max_forwards,
        };
        let cnonce = w.cx.call_id();
        dialled.credentials = match &mut dialled.keyring {
            Some(keyring) => keyring.headers("INVITE", &parts.uri, dialled.flow.remote.ip(), &cnonce),
            None => Vec::new(),
        };
        let extras = Extras {
            contact: Some(&self.contact),
            credentials: &dialled.credentials,
            headers: &dialled.headers,
            expires: self.session_asks(),
            session: dialled.offer.clone(),
            ..Extras::default()
        };
        let outgoing = self.outgoing(w, Role::Invite, parts, dialled.flow, extras);
        let sent = outgoing.is_some();
        if let Some(outgoing) = outgoing {
            self.clients += 1;
            dialled.invite = w.transactions.clients.start(w.cx, outgoing);
        }
        if let Some(wait) = dialled.first_response.filter(|_| sent) {
            self.arm(w, Timer::Unheard, wait);
        }
        self.dialled = Some(dialled);
        sent
    }

    /// A response to the INVITE that opens the leg.
    pub(super) fn invite_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        self.disarm(w, Timer::Unheard);
        match status {
            100..200 => self.provisional(w, id, status, message),
            200..300 => self.success(w, id, message),
            _ => self.refused(w, id, status, message),
        }
    }

    fn provisional(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        let Some(dialled) = &mut self.dialled else { return };
        dialled.heard = true;
        if let Cancel::Wanted(reason) = mem::replace(&mut dialled.cancel, Cancel::No) {
            self.send_cancel(w, reason.as_ref());
            return;
        }
        if status == 100 || self.phase != Phase::Calling {
            return;
        }
        self.early_dialog(w, id, message);
        if message.header(Name::RSeq).is_some() && !self.reliable_provisional(w, id, message) {
            return;
        }
        // Only a reliable response may offer, and what was not asked for there is no offer (RFC 3261 section 13.2.1).
        let asked = self.dialled.as_ref().is_some_and(|dialled| dialled.offer.is_some());
        let body = session(message).ok().flatten().filter(|_| asked || self.owes_early_answer());
        self.tell(w, Event::Provisional { status, body });
    }

    /// Keeps each fork's dialog by its tag, up to the limit.
    fn early_dialog(&mut self, w: &World<'_>, id: Id, message: &Message) {
        let tag = message.to().ok().and_then(|to| to.tag());
        let Some(tag) = tag else { return };
        if let Some(known) = self.forks.iter_mut().find(|fork| fork.remote_tag == tag) {
            known.refresh(message);
        } else if self.forks.len() < w.cx.config.limits.forks
            && let Some((parts, _)) = w.transactions.clients.parts(id)
            && let Some(dialled) = &self.dialled
        {
            self.forks.extend(Dialog::of_response(parts, dialled.flow, self.listener.advertised, message));
        }
    }

    /// Whether our INVITE went out under this Call-ID.
    pub(super) fn is_invited(&self, call_id: &[u8]) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| dialled.call_id == call_id)
    }

    fn success(&mut self, w: &mut World<'_>, id: Id, message: &Message) {
        let tag = message.to().ok().and_then(|to| to.tag()).unwrap_or_default();
        let Some(cseq) = w.transactions.clients.parts(id).map(|(parts, _)| parts.cseq) else { return };
        if self.acknowledged_before(w, tag, cseq) {
            return;
        }
        let early = self.forks.iter().position(|fork| fork.remote_tag == tag).map(|at| self.forks.swap_remove(at));
        let Some((parts, _)) = w.transactions.clients.parts(id) else { return };
        let Some(flow) = self.dialled.as_ref().map(|dialled| dialled.flow) else { return };
        let Some(dialog) = Dialog::of_response(parts, flow, self.listener.advertised, message) else { return };
        let dialog = dialog.confirmed_over(early);
        if self.ended || self.phase != Phase::Calling {
            let ours = self.dialog.as_ref().is_some_and(|known| known.remote_tag == dialog.remote_tag);
            if !ours {
                self.end_extra(w, dialog, cseq);
            }
            return;
        }
        self.disarm(w, Timer::C);
        self.phase = Phase::Up;
        if let Some(dialled) = &mut self.dialled {
            let asked = self.forks.iter().filter(|fork| fork.local_cseq > cseq);
            dialled.numbered = asked.map(|fork| (fork.remote_tag.clone(), fork.local_cseq)).collect();
        }
        self.forks.clear();
        let mut body = session(message).ok().flatten();
        let mut late = false;
        if let Some(dialled) = &mut self.dialled {
            let early = mem::take(&mut dialled.acknowledged).into_iter().find(|early| early.is_of(tag));
            body = body.filter(|_| !dialled.settled).or(early.and_then(|early| early.answer));
            late = dialled.offer.is_none() && body.is_some();
            dialled.late = late;
            dialled.offer = None;
            dialled.headers = Vec::new();
        }
        if late {
            self.arm(w, Timer::LateAnswer, w.cx.config.offer_timeout);
        } else {
            self.acknowledge(w, &dialog, cseq, None);
        }
        self.dialog = Some(dialog);
        self.session_answered(w, message);
        let headers = passed(message, &w.cx.config.passed_headers);
        self.tell(w, Event::Answered { body, headers });
    }

    /// A 2xx of another fork, or one that crossed our CANCEL: it is acknowledged and ended (13.2.2.4, 9.1).
    fn end_extra(&mut self, w: &mut World<'_>, mut dialog: Dialog, cseq: u32) {
        self.acknowledge(w, &dialog, cseq, None);
        let numbered = self.dialled.iter().flat_map(|dialled| &dialled.numbered);
        if let Some((_, number)) = numbered.into_iter().find(|(tag, _)| *tag == dialog.remote_tag) {
            dialog.local_cseq = dialog.local_cseq.max(*number);
        }
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, flow) = dialog.request(&w.cx.config, Method::Bye, branch);
        self.send(w, Role::ExtraBye, parts, flow, Extras::default());
        if self.phase == Phase::Calling {
            self.phase = Phase::Over;
            self.stop_cancelling(w);
        }
    }

    fn refused(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        self.stop_cancelling(w);
        self.forks.clear();
        let tries = self.dialled.as_ref().map_or(0, |dialled| dialled.tries);
        let longer = !self.ended && self.interval_too_small(status, message);
        if longer || !self.ended && self.challenged(w, id, status, message, tries) {
            if let Some(dialled) = &mut self.dialled {
                dialled.tries += u8::from(!longer);
            }
            if self.invite(w) {
                return;
            }
        }
        self.phase = Phase::Over;
        if matches!(status, 300..400) {
            self.tell(w, Event::Redirected { contacts: redirect::contacts(w.cx, message) });
        }
        self.end(w, EndedBy::Refused, Some(status), reason(message), retry_after(message));
    }

    fn stop_cancelling(&mut self, w: &mut World<'_>) {
        self.abandoned = None;
        self.disarm(w, Timer::CancelGrace);
    }

    /// Timer [`Timer::Unheard`]: somewhere else may be reached sooner.
    pub(super) fn nobody_answers(&mut self, w: &mut World<'_>) {
        if self.dialled.as_ref().is_some_and(|dialled| !dialled.heard) {
            self.invite_timed_out(w);
        }
    }

    /// Timer C.
    pub(super) fn invite_timed_out(&mut self, w: &mut World<'_>) {
        if self.phase == Phase::Calling {
            self.end(w, EndedBy::Timeout, Some(408), None, None);
            self.cancel_invite(w, None);
        }
    }

    /// Cancels the INVITE, now or after the first provisional response (9.1). Until then its copies go on (17.1.1.2): nobody knows
    /// whether it was lost or its answer was, and only a copy makes a phone that rings say so again. Without them it would ring for
    /// a minute, for nobody; with them a phone that is switched on meanwhile rings for one round trip.
    pub(super) fn cancel_invite(&mut self, w: &mut World<'_>, reason: Option<Reason>) {
        let Some(dialled) = &mut self.dialled else { return };
        if !dialled.heard {
            dialled.cancel = Cancel::Wanted(reason);
            return;
        }
        self.send_cancel(w, reason.as_ref());
    }

    fn send_cancel(&mut self, w: &mut World<'_>, reason: Option<&Reason>) {
        let Some(dialled) = &mut self.dialled else { return };
        if matches!(dialled.cancel, Cancel::Sent) {
            return;
        }
        dialled.cancel = Cancel::Sent;
        let invite = dialled.invite;
        self.cancel_transaction(w, invite, reason);
    }

    /// Sends the CANCEL of an INVITE transaction and waits 64·T1 for its end.
    pub(super) fn cancel_transaction(&mut self, w: &mut World<'_>, invite: Id, reason: Option<&Reason>) {
        let Some((parts, flow)) = w.transactions.clients.parts(invite) else { return };
        let parts = parts.cancel();
        let cancel = self.send(w, Role::Cancel, parts, flow, Extras { reason, ..Extras::default() });
        if let Some(cancel) = cancel {
            w.transactions.clients.cancelled_by(invite, cancel);
        }
        self.abandon(w, invite);
    }

    /// The answer to the offer of a 2xx; without one the ACK goes empty, for a call that ends.
    pub(super) fn answer_late(&mut self, w: &mut World<'_>, answer: Option<Bytes>) {
        let Some(dialled) = self.dialled.as_mut().filter(|dialled| dialled.late) else { return };
        dialled.late = false;
        let cseq = dialled.cseq;
        self.disarm(w, Timer::LateAnswer);
        if let Some(dialog) = self.dialog.take() {
            self.acknowledge(w, &dialog, cseq, answer);
            self.dialog = Some(dialog);
        }
        self.try_offer(w);
    }

    pub(super) fn late_answer_never_came(&mut self, w: &mut World<'_>) {
        if self.owes_early_answer() {
            self.end(w, EndedBy::Timeout, Some(408), None, None);
            self.cancel_invite(w, None);
        }
        if self.owes_late_answer() {
            self.end(w, EndedBy::Timeout, Some(408), None, None);
            self.bye(w, None);
        }
    }

    /// True while the ACK of a 2xx with an offer waits for our answer.
    pub(super) fn owes_late_answer(&self) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| dialled.late)
    }

    /// Takes a 401 or 407. True when the request may be sent once more with credentials.
    pub(super) fn challenged(&mut self, w: &World<'_>, id: Id, status: u16, message: &Message, tries: u8) -> bool {
        let Some(asker) = Asker::of(status) else { return false };
        let name = if asker == Asker::Server { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
        let Some(dialled) = &mut self.dialled else { return false };
        let Some((_, flow)) = w.transactions.clients.parts(id) else { return false };
        let asked = flow.remote.ip();
        dialled.keyring.as_mut().is_some_and(|keyring| keyring.challenged(asker, message.raw(name), tries, asked))
    }

    /// The credentials for a request within the dialog: only for the next hop.
    pub(super) fn credentials(&mut self, w: &mut World<'_>, parts: &Parts, flow: Flow) -> Vec<(&'static str, String)> {
        let Some(keyring) = self.dialled.as_mut().and_then(|dialled| dialled.keyring.as_mut()) else {
            return Vec::new();
        };
        let cnonce = w.cx.call_id();
        keyring.headers(parts.method.text(), &parts.uri, flow.remote.ip(), &cnonce)
    }
}
