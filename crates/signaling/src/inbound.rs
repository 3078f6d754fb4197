//! What happens to a message before a leg sees it: who sent it, is it whole, does it belong to something, may it begin
//! something (RFC 3261 section 8.2).

use crate::{
    Flow, Transport, Unknown, Way,
    compose::{self, ALLOW, Response},
    gates,
    guard::Offence,
    legs::{Legs, Named, World, too_small},
    message::{Broken, Request, method_name, reply_to},
    outside::Outside,
    refer, registrar,
    slab::Id,
    stun,
    transaction::{FromClient, Taken},
};
use bytes::Bytes;
use sip_codec::{Limits, Message, Method, Name, Via};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// How long a refused caller is told to wait at a limit, in seconds.
pub(crate) const RETRY_AFTER: &str = "5";

/// Takes one message. What a response means to a request of ours is the answer.
pub(crate) fn receive(
    w: &mut World<'_>,
    legs: &mut Legs,
    outside: &mut Outside,
    flow: Flow,
    bytes: Bytes,
) -> Option<FromClient> {
    if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        // A keep-alive.
        return None;
    }
    if !flow.transport.is_reliable() && stun::is_stun(&bytes) {
        keep_alive(w, flow, &bytes);
        return None;
    }
    let limits = Limits::default();
    let message = match Message::parse(bytes.clone(), &limits) {
        Ok(message) => message,
        Err(error) => {
            tracing::debug!(%flow, %error, "this is no SIP message");
            w.cx.counters.garbage += 1;
            match Message::salvage(bytes, &limits) {
                Some(message) => {
                    let (status, why) = (error.status(), error.to_string());
                    broken(w, &Broken { message, status, why }, flow);
                }
                None => offends(w, flow.remote, Offence::Garbage),
            }
            return None;
        }
    };
    if message.is_request() {
        w.cx.counters.message(method_name(message.method().unwrap_or(Method::Other)), Way::In, 0);
        match Request::read(message, flow) {
            Ok(request) => take_request(w, legs, outside, request),
            Err(found) => broken(w, &found, flow),
        }
        return None;
    }
    take_response(w, message)
}

/// STUN on our port (RFC 5626 section 4.4.2). Somebody we do not know gets no more than half as much again as was sent.
fn keep_alive(w: &mut World<'_>, flow: Flow, request: &[u8]) {
    let Some(answer) = stun::answer(request, flow.remote) else { return };
    let phone = w.cx.registrar.as_ref().is_some_and(|registrar| registrar.has_source(flow.remote.ip()));
    if phone || w.cx.allowed(flow.remote) || answer.len() * 2 <= request.len() * 3 {
        w.cx.transmit(flow, None, answer);
    }
}

fn take_response(w: &mut World<'_>, message: Message) -> Option<FromClient> {
    let status = message.status()?;
    let found = message.core().ok().and_then(|core| {
        // A second Via means that somebody else sent the request (18.1.2).
        let alone = message.values(Name::Via).nth(1).is_none();
        core.via.branch().filter(|_| alone).map(|branch| (Bytes::copy_from_slice(branch), core.cseq.method))
    });
    let Some((branch, method)) = found else {
        w.cx.counters.stray += 1;
        return None;
    };
    w.transactions.clients.response(w.cx, &branch, method, status, message)
}

fn take_request(w: &mut World<'_>, legs: &mut Legs, usages: &mut Outside, request: Request) {
    match w.transactions.servers.take(w.cx, &request) {
        Taken::Known => return,
        Taken::Ack { leg: Some(leg) } => return legs.ack(w, leg, &request),
        Taken::Ack { leg: None } => return,
        Taken::New => {}
    }
    // Whoever names the subscription's own tag was told it by us.
    if let Some(slot) = usages.find(&request) {
        return usages.notified(w, slot, request);
    }
    let leg = legs.find(&request);
    let known = w.cx.allowed(request.flow.remote) || leg.is_some_and(|leg| legs.knows(leg, request.flow.remote));
    if request.is_ack() {
        match leg.filter(|_| known) {
            Some(leg) => legs.ack(w, leg, &request),
            None => w.cx.counters.stray += 1,
        }
    } else if request.method == Method::Register && request.to_tag().is_none() && w.cx.registrar.is_some() {
        registrar::receive(w, request);
    } else if !known && !cancels_own(w, legs, &request) {
        unknown(w, legs, request);
    } else if w.transactions.overfull(w.cx) {
        w.cx.counters.refused_at_limit += 1;
        let tag = w.cx.token("", u32::MAX);
        let response = Response::tagged(503, &tag).with(Name::RetryAfter, RETRY_AFTER);
        answer_bare(w, &request.message, request.flow, request.reply_to, &response);
    } else if request.method == Method::Cancel {
        cancel(w, legs, &Arc::new(request));
    } else if request.to_tag().is_some() {
        within(w, legs, leg, Arc::new(request));
    } else {
        outside(w, legs, Arc::new(request));
    }
}

/// A request from an address that no trunk allows, and of no dialog of its sender's.
fn unknown(w: &mut World<'_>, legs: &mut Legs, mut request: Request) {
    let source = request.flow.remote.ip();
    let phone = w.cx.registrar.as_ref().is_some_and(|registrar| registrar.has_source(source));
    if !lets_in(w, source, phone) {
        return;
    }
    let gated = w.cx.gates.covers(source);
    // A trunk speaks of calls that we have forgotten: its BYE has crossed ours, and each copy of it. It is told so (12.2.2), or it would be
    // banned for it.
    if gated && (request.to_tag().is_some() || request.method == Method::Cancel) {
        answer_bare(w, &request.message, request.flow, request.reply_to, &Response::tagged(481, "0"));
        return;
    }
    if !(phone || gated) || request.to_tag().is_some() || !registrar::may_begin(request.method) {
        return stranger(w, &request.message, request.flow, request.reply_to);
    }
    if w.transactions.overfull(w.cx) {
        w.cx.counters.refused_at_limit += 1;
        let response = Response::tagged(503, "0").with(Name::RetryAfter, RETRY_AFTER);
        answer_bare(w, &request.message, request.flow, request.reply_to, &response);
        return;
    }
    if request.is_invite() && gated {
        let Some(gate) = gates::caller(w, &request) else { return };
        request.gate = Some(gate);
    } else if request.is_invite() {
        let Some(account) = registrar::caller(w, &request) else { return };
        request.account = Some(account);
    }
    outside(w, legs, Arc::new(request));
}

/// A CANCEL by the sender of the INVITE that it means.
fn cancels_own(w: &World<'_>, legs: &Legs, request: &Request) -> bool {
    request.method == Method::Cancel
        && w.transactions
            .servers
            .cancelled_by(request)
            .and_then(|invite| w.transactions.servers.leg_of(invite))
            .is_some_and(|leg| legs.knows(leg, request.flow.remote))
}

/// False when a request of a source that no trunk allows is to be dropped unheard: it is banned, unless it is `own` (a phone that is
/// registered from there), or it has come too often.
pub(crate) fn lets_in(w: &mut World<'_>, source: IpAddr, own: bool) -> bool {
    let now = w.cx.now;
    if !own && w.cx.guard.is_banned(now, source) {
        w.cx.counters.dropped_banned += 1;
        return false;
    }
    let open = w.cx.guard.lets_in(now, source);
    if !open {
        w.cx.counters.dropped_rate += 1;
    }
    open
}

/// Notes an offence of somebody whom no trunk allows and who is no phone of ours.
fn offends(w: &mut World<'_>, source: SocketAddr, offence: Offence) {
    let phone = w.cx.registrar.as_ref().is_some_and(|registrar| registrar.has_source(source.ip()));
    if !phone && !w.cx.allowed(source) {
        w.cx.guard.offends(w.cx.now, source.ip(), offence, false);
    }
}

/// 9.2
fn cancel(w: &mut World<'_>, legs: &mut Legs, request: &Arc<Request>) {
    let invite = w.transactions.servers.cancelled_by(request);
    let server = w.transactions.servers.start(Arc::clone(request), None);
    let leg = invite.and_then(|invite| w.transactions.servers.leg_of(invite));
    match (invite, leg) {
        (Some(invite), Some(leg)) if legs.has(leg) => legs.cancel(w, leg, invite, server, request),
        _ => {
            let tag = w.cx.token("", u32::MAX);
            let status = if invite.is_some() { 200 } else { 481 };
            w.respond(server, &Response::tagged(status, &tag));
        }
    }
}

/// A request within a dialog.
fn within(w: &mut World<'_>, legs: &mut Legs, leg: Option<Id>, request: Arc<Request>) {
    let refusal = match (request.method, leg) {
        (_, None) => Some(Response::new(481)),
        (Method::Bye, _) => None,
        (Method::Refer | Method::Notify, _) => unknown_extension(w, &request),
        (Method::Invite | Method::Update, Some(leg)) => {
            unwanted(w, &request).or_else(|| too_small(w.cx, &request, legs.session_timer(leg)))
        }
        _ => unwanted(w, &request),
    };
    match (refusal, leg) {
        (None, Some(leg)) => {
            let invite = request.is_invite().then_some(leg);
            let server = w.transactions.servers.start(Arc::clone(&request), invite);
            legs.request(w, leg, server, &request);
        }
        (refusal, _) => refuse(w, request, refusal.unwrap_or_else(|| Response::new(481))),
    }
}

/// A request that would begin something.
fn outside(w: &mut World<'_>, legs: &mut Legs, request: Arc<Request>) {
    if w.transactions.servers.merged(&request) {
        return refuse(w, request, Response::new(482));
    }
    let refusal = match request.method {
        Method::Options => Some(unwanted(w, &request).unwrap_or_else(|| capabilities(w))),
        Method::Bye | Method::Update | Method::Info | Method::Prack => Some(Response::new(481)),
        Method::Invite => {
            unwanted(w, &request).or_else(|| unroutable(w, &request)).or_else(|| too_small(w.cx, &request, None))
        }
        _ => unwanted(w, &request),
    };
    if let Some(refusal) = refusal {
        return refuse(w, request, refusal);
    }
    if !request.message.accepts("application/sdp") {
        return refuse(w, request, Response::new(406));
    }
    let Ok(offer) = request.session() else {
        return refuse(w, request, Response::new(415).with(Name::Accept, "application/sdp"));
    };
    if w.transactions.full(w.cx) || legs.len() >= w.cx.config.limits.legs {
        w.cx.counters.refused_at_limit += 1;
        return refuse(w, request, Response::new(503).with(Name::RetryAfter, RETRY_AFTER));
    }
    let replaces = match refer::replaces_of(&request.message).map(|replaces| replaces.map(|it| legs.named(&it))) {
        Ok(None) => None,
        Ok(Some(Named::Leg(leg))) => Some(leg),
        Ok(Some(Named::Refused(status))) | Err(status) => return refuse(w, request, Response::new(status)),
    };
    legs.incoming(w, request, offer, replaces);
}

/// Methods and extensions that we do not take (8.2.1, 8.2.2.3).
fn unwanted(w: &World<'_>, request: &Request) -> Option<Response<'static>> {
    let refusal = match request.method {
        Method::Invite
        | Method::Ack
        | Method::Cancel
        | Method::Bye
        | Method::Options
        | Method::Info
        | Method::Prack
        | Method::Update => None,
        Method::Subscribe => Some(Response::new(489)),
        // It belongs to nothing we have.
        Method::Notify => Some(Response::new(481)),
        // Whom it speaks of is known within a dialog alone (RFC 7647).
        Method::Refer => Some(Response::new(403)),
        Method::Register | Method::Message | Method::Publish => Some(Response::new(405).with(Name::Allow, ALLOW)),
        Method::Other => Some(Response::new(501).with(Name::Allow, ALLOW)),
    };
    refusal.or_else(|| unknown_extension(w, request))
}

/// 8.2.2.3
fn unknown_extension(w: &World<'_>, request: &Request) -> Option<Response<'static>> {
    let required = request.message.values(Name::Require);
    let strange = required.filter(|tag| !compose::is_supported(&w.cx.config, tag));
    let wanted: Vec<_> = strange.map(crate::message::text).collect();
    (!wanted.is_empty()).then(|| Response::new(420).with(Name::Unsupported, wanted.join(", ")))
}

/// Where an INVITE wants to go, and where it has been.
fn unroutable(w: &World<'_>, request: &Request) -> Option<Response<'static>> {
    let message = &request.message;
    match message.uri() {
        Err(_) => return Some(Response::new(400)),
        // What came unsecured cannot be what `sips:` promises (26.2.2).
        Ok(uri) if uri.is_sips() && request.flow.transport != Transport::Tls => return Some(Response::new(416)),
        Ok(uri) if !(uri.is_sip() || uri.is_tel()) => return Some(Response::new(416)),
        Ok(_) => {}
    }
    if request.max_forwards == Some(0) {
        return Some(Response::new(483));
    }
    let uri = message.uri_bytes().unwrap_or_default();
    let ours = message
        .values(Name::Via)
        .filter_map(|value| Via::parse(value)?.branch())
        .any(|branch| w.transactions.clients.sent(branch, uri));
    ours.then(|| Response::new(482))
}

/// Answers in a transaction of its own.
fn refuse(w: &mut World<'_>, request: Arc<Request>, response: Response<'_>) {
    let server = w.transactions.servers.start(request, None);
    let tag = w.cx.token("", u32::MAX);
    w.respond(server, &Response { to_tag: Some(&tag), ..response });
}

/// What we can do, for OPTIONS (11.2).
pub(crate) fn capabilities(w: &World<'_>) -> Response<'static> {
    let supported = compose::supported(&w.cx.config);
    Response::new(200).with(Name::Allow, ALLOW).with(Name::Accept, "application/sdp").with(Name::Supported, supported)
}

/// A request whose core headers cannot be read: the answer has what is there, and nothing is remembered.
fn broken(w: &mut World<'_>, broken: &Broken, flow: Flow) {
    let Broken { message, status, why } = broken;
    let reply_to = match message.top_via() {
        Ok(via) => reply_to(&via, flow),
        Err(_) if message.is_answerable() => flow,
        Err(_) => {
            w.cx.counters.garbage += 1;
            return;
        }
    };
    if message.method() == Some(Method::Ack) {
        w.cx.counters.stray += 1;
    } else if w.cx.allowed(flow.remote) {
        tracing::debug!(%flow, why, "a request cannot be read");
        let phrase = (*status == 400).then(|| format!("Bad Request: {why}"));
        let tag = w.cx.token("", u32::MAX);
        let response = Response { phrase: phrase.as_deref(), ..Response::tagged(*status, &tag) };
        answer_bare(w, message, flow, reply_to, &response);
    } else if lets_in(w, flow.remote.ip(), false) {
        stranger(w, message, flow, reply_to);
    }
}

/// Somebody we do not know.
pub(crate) fn stranger(w: &mut World<'_>, message: &Message, flow: Flow, reply_to: Flow) {
    w.cx.counters.unknown_sources += 1;
    tracing::debug!(%flow, "a request of an unknown source");
    offends(w, flow.remote, Offence::UnknownSource);
    if w.cx.config.unknown == Unknown::Forbid && message.method() != Some(Method::Ack) {
        answer_bare(w, message, flow, reply_to, &Response::tagged(403, "0"));
    }
}

/// Sends a response that is not remembered, unless it is half as long again as what it answers. True when it was sent.
pub(crate) fn answer_bare(
    w: &mut World<'_>,
    message: &Message,
    flow: Flow,
    reply_to: Flow,
    response: &Response<'_>,
) -> bool {
    let Some(bytes) = compose::bare_response(message, flow.remote, response) else { return false };
    let fits = bytes.len() * 2 <= message.as_bytes().len() * 3 || w.cx.allowed(flow.remote);
    if fits {
        w.cx.counters.message(method_name(message.method().unwrap_or(Method::Other)), Way::Out, response.status);
        w.cx.transmit(reply_to, None, bytes);
    }
    fits
}
