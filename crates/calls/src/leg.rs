//! One party's leg: its INVITE usage, its offer/answer machine and its port, taken together.

mod offers;

use crate::{AiLoss, LegRecord, Party, cause, config::Terms, outputs::Opened, relay, rests::Tried, step::Step};
use bytes::Bytes;
use core::time::Duration;
use media_relay::{DeadAfter, PortId};
use policy::Cause;
use sdp::{Codec, LocalMedia, OfferAnswer, Open};
use serde::{Deserialize, Serialize};
use signaling::{
    Command, EndedBy, Event, LegId,
    locate::{Target, Wanted},
};
use smallvec::SmallVec;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

/// A leg.
///
/// ```text
///                                                             ┌──────┐ nobody there, 503: next target
///                                                             v      │
/// out  Preparing ──port open, target known, context shown──> Dialling ──180──> Ringing ──2xx──> Up ──hang-up──> Closing ──Ended──> gone
///          │ no port, no target                                 └── final failure, timeout ───────────────────────> gone
/// in   Arriving ──port open──> Offered ──answer()──> Up
/// ```
/// Within `Up` the offer/answer machine of `sdp` goes its own way; a re-INVITE or UPDATE of the peer is answered here and
/// touches no other leg. Ringing and answer timeouts belong to who dialled: the AI's or the transfer's machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    /// Its INVITE usage: its own id, until another target is tried.
    pub(crate) usage: LegId,
    pub(crate) record: LegRecord,
    /// Its port, while open.
    pub(crate) port: Option<PortId>,
    /// Its peer holds us.
    pub(crate) holds: bool,
    /// Call-ID of its INVITE.
    pub(crate) sip_call_id: String,
    /// Whom it was dialled through, or to; none for the caller's leg.
    peer: Option<Peer>,
    /// Other ways to its target, should its trunk fail.
    pub(crate) ways: VecDeque<crate::dial::Route>,
    /// What its port was last asked to watch for.
    watched: Watch,
    terms: Terms,
    media: Option<OfferAnswer>,
    /// Our 200 carried an offer: the ACK carries the answer.
    late: bool,
    /// An offer of ours is due as soon as no other is open.
    wanted: bool,
    /// The peer requires reliable provisional responses: the first of ours carries our offer when it made none.
    reliable: bool,
    /// It is not dialled before what it is about is on the screens.
    pub(crate) unshown: bool,
    /// Its peer's redirections are followed.
    follows: bool,
    /// Where its peer says it has moved.
    pub(crate) contacts: Vec<String>,
    /// Where its INVITE was sent last.
    #[serde(default)]
    hop: Option<SocketAddr>,
    /// What became of the targets that it had.
    #[serde(default)]
    tried: Tried,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Preparing(Box<Order>),
    /// The targets left in the order come after the one that is being tried.
    Dialling(Box<Order>),
    Ringing,
    Arriving,
    Offered,
    Up,
    Closing,
}

/// What a port reports about what its peer sends.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) silence_after: Option<Duration>,
    /// Before the first packet, and after the last.
    pub(crate) dead_after: Option<(Duration, Duration)>,
}

/// Everything an INVITE of ours needs beside port and address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) target: Arc<str>,
    /// The registered phone that it is, if it is one.
    pub(crate) phone: Option<Arc<signaling::Contact>>,
    pub(crate) hop: Hop,
    pub(crate) peer: Peer,
    pub(crate) from: signaling::Party,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) max_forwards: u8,
    pub(crate) timeout: Duration,
    pub(crate) codecs: Vec<Codec>,
    /// Without any response for this long it is given up.
    pub(crate) first_response: Option<Duration>,
    /// The Route of a registration.
    pub(crate) routes: Vec<String>,
    /// It is sent even to who asked to be left alone: somebody may need help.
    #[serde(default)]
    pub(crate) insists: bool,
}

/// Where an INVITE goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Hop {
    /// To the first that takes it.
    Targets(Targets),
    /// To be located.
    Wanted(Wanted),
}

/// Most have one.
pub(crate) type Targets = SmallVec<[Target; 1]>;

/// Whose credentials a leg may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Peer {
    Trunk(String),
    Ai(String),
    Direct,
}

impl Peer {
    /// The trunk it is, if it is one.
    pub(crate) fn trunk(&self) -> Option<&str> {
        match self {
            Self::Trunk(name) => Some(name),
            Self::Ai(_) | Self::Direct => None,
        }
    }
}

/// What a leg tells its call.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) enum News {
    Nothing,
    /// The port of an incoming leg is open: it can be answered.
    Ready,
    Ringing(u16),
    Answered,
    /// The peer holds us, or no longer.
    Hold,
    Digit(char, Duration),
    /// Never came to be, or came to nothing before any event of `signaling` could say so.
    Failed {
        cause: Cause,
        sip_code: Option<u16>,
        /// For how long nobody there wants to be called.
        rests: Option<Duration>,
    },
    /// Over.
    Ended {
        by: EndedBy,
        sip_code: Option<u16>,
        /// For how long nobody there wants to be called.
        rests: Option<Duration>,
    },
}

impl News {
    pub(crate) fn failed(cause: Cause, sip_code: Option<u16>) -> Self {
        Self::Failed { cause, sip_code, rests: None }
    }
}

impl Leg {
    /// The caller's leg; its port is being opened. The refusal is for the caller.
    pub(crate) fn incoming(
        step: &mut Step<'_>,
        id: LegId,
        record: LegRecord,
        incoming: &signaling::Incoming,
        terms: Terms,
        codecs: &[Codec],
    ) -> Result<Self, sdp::Refusal> {
        // The port's own address takes its place before anything is answered.
        let mut media = OfferAnswer::new(local_media(step, incoming.flow.local, codecs, terms.srtp));
        if let Some(offer) = &incoming.offer {
            media.receive_offer(offer)?;
        }
        step.shared.legs.insert(id, step.key);
        step.open_port(id);
        Ok(Self {
            id,
            usage: id,
            record,
            port: None,
            holds: false,
            sip_call_id: incoming.call_id.clone(),
            peer: None,
            ways: VecDeque::new(),
            watched: Watch::default(),
            terms,
            media: Some(media),
            late: false,
            wanted: false,
            reliable: incoming.reliable,
            unshown: false,
            follows: false,
            contacts: Vec::new(),
            hop: None,
            tried: Tried::default(),
            state: State::Arriving,
        })
    }

    /// A leg that is to be dialled.
    pub(crate) fn outgoing(step: &mut Step<'_>, id: LegId, record: LegRecord, order: Order, terms: Terms) -> Self {
        step.open_port(id);
        if let Hop::Wanted(wanted) = &order.hop {
            step.resolve(id, wanted.clone());
        }
        let follows = match &order.peer {
            // Whether an AI is followed is its profile's word, and its call says what became of it.
            _ if record.party == Party::Ai => true,
            Peer::Trunk(name) => step.config.trunks.get(name).is_some_and(|trunk| trunk.follows_redirects),
            Peer::Ai(_) | Peer::Direct => false,
        };
        Self {
            id,
            usage: id,
            record,
            port: None,
            holds: false,
            sip_call_id: String::new(),
            peer: Some(order.peer.clone()),
            ways: VecDeque::new(),
            watched: Watch::default(),
            terms,
            media: None,
            late: false,
            wanted: false,
            reliable: false,
            unshown: false,
            follows,
            contacts: Vec::new(),
            hop: None,
            tried: Tried::default(),
            state: State::Preparing(Box::new(order)),
        }
    }

    /// Its port is open.
    pub(crate) fn port_opened(&mut self, step: &mut Step<'_>, opened: Opened) -> News {
        if self.state == State::Closing {
            step.close_port(opened.port);
            return News::Nothing;
        }
        self.port = Some(opened.port);
        match &mut self.state {
            State::Arriving => {
                if let Some(media) = &mut self.media {
                    media.local_mut().address = opened.address.ip();
                    media.local_mut().port = opened.address.port();
                }
                self.state = State::Offered;
                News::Ready
            }
            State::Preparing(order) => {
                let local = local_media(step, opened.address, &order.codecs, self.terms.srtp);
                self.media = Some(OfferAnswer::new(local));
                self.dial(step)
            }
            _ => News::Nothing,
        }
    }

    /// Its targets are known, or none is to be found.
    pub(crate) fn resolved(&mut self, step: &mut Step<'_>, targets: Vec<Target>) -> News {
        let State::Preparing(order) = &mut self.state else { return News::Nothing };
        order.hop = Hop::Targets(targets.into());
        self.dial(step)
    }

    /// What it is about is on the screens, or was waited for long enough.
    pub(crate) fn shown(&mut self, step: &mut Step<'_>) -> News {
        if std::mem::take(&mut self.unshown) { self.dial(step) } else { News::Nothing }
    }

    /// Dials the first target that a listener of ours can reach; the rest is kept in case it comes to nothing.
    fn dial(&mut self, step: &mut Step<'_>) -> News {
        if self.unshown {
            return News::Nothing;
        }
        let (State::Preparing(order), Some(media)) = (&mut self.state, &mut self.media) else { return News::Nothing };
        let Hop::Targets(targets) = &mut order.hop else { return News::Nothing };
        let (now, insists) = (step.now.monotonic, order.insists);
        let (target, listener) = loop {
            if targets.is_empty() {
                let rests = self.tried.rest(now);
                return News::Failed { cause: Cause::Unreachable, sip_code: rests.map(|_| 503), rests };
            }
            let target = targets.remove(0);
            if let Some(rest) = step.shared.rests.rest_of(target.address, now).filter(|_| !insists) {
                tracing::debug!(call = %step.id, address = %target.address, ?rest, "asked to be left alone: not dialled");
                step.shared.rests.spared += 1;
                self.tried.rests(now + rest);
                continue;
            }
            let fits = |listener: &&signaling::Listener| {
                listener.transport == target.transport && listener.local.is_ipv4() == target.address.is_ipv4()
            };
            match step.config.listeners.iter().find(fits) {
                Some(listener) => break (target, listener),
                None => {
                    tracing::debug!(call = %step.id, address = %target.address, "no listener of ours reaches this target");
                }
            }
        };
        // A phone is reached the way it registered: its NAT knows no other address of ours.
        let otherwise = || signaling::Flow::new(target.transport, listener.local, target.address);
        let flow = order.phone.as_ref().map_or_else(otherwise, |phone| phone.flow);
        let Ok(offer) = media.offer() else { return News::failed(Cause::Failed, None) };
        self.hop = Some(flow.remote);
        let credentials = match &order.peer {
            Peer::Trunk(name) => step.config.trunks.get(name).and_then(|trunk| trunk.credentials.as_ref()),
            Peer::Ai(name) => step.config.ai.get(name).and_then(|profile| profile.credentials.as_ref()),
            Peer::Direct => None,
        };
        let credentials = credentials.map(|it| signaling::Credentials {
            realm: it.realm.clone(),
            username: it.username.clone(),
            password: it.password.clone(),
        });
        let trunk = order.peer.trunk().and_then(|name| step.config.trunks.get(name));
        let dial = signaling::Dial {
            session_timer: trunk.and_then(|trunk| trunk.session_timer),
            target: order.target.to_string(),
            flow,
            peer_name: target.name,
            from: order.from.clone(),
            to: signaling::Party::default(),
            headers: order.headers.clone(),
            offer: Some(offer),
            credentials,
            max_forwards: order.max_forwards,
            invite_timeout: order.timeout,
            // Another target, or another trunk, may be reached sooner.
            first_response: (!targets.is_empty()).then_some(step.config.limits.next_target).or(order.first_response),
            routes: order.phone.as_ref().map_or_else(|| order.routes.clone(), |phone| phone.routes.clone()),
        };
        if let State::Preparing(order) = std::mem::replace(&mut self.state, State::Closing) {
            self.state = State::Dialling(order);
        }
        step.signaling(Command::Dial { leg: self.usage, dial: Box::new(dial) });
        News::Nothing
    }

    /// Whether the INVITE ended in a way after which the next target is tried (RFC 3263 section 4.3): nobody was there, or
    /// whoever was there cannot serve anybody now.
    fn goes_on(&self, by: EndedBy, status: Option<u16>) -> bool {
        let State::Dialling(order) = &self.state else { return false };
        let left = matches!(&order.hop, Hop::Targets(targets) if !targets.is_empty());
        left && match by {
            EndedBy::Transport | EndedBy::Timeout => true,
            EndedBy::Refused => status == Some(503),
            _ => false,
        }
    }

    /// Its INVITE ended: whoever answered 503 may have said when to come again.
    fn rests(&mut self, step: &mut Step<'_>, by: EndedBy, status: Option<u16>, retry_after: Option<Duration>) {
        let (Some(hop), true) = (self.hop, matches!(self.state, State::Dialling(_) | State::Ringing)) else { return };
        let asked = retry_after.filter(|_| by == EndedBy::Refused && status == Some(503));
        let now = step.now.monotonic;
        match asked.map(|asked| step.shared.rests.rest(hop, now, asked)) {
            Some(rest) if !rest.is_zero() => {
                tracing::warn!(call = %step.id, address = %hop, ?rest, "asked to be left alone (503)");
                self.tried.rests(now + rest);
            }
            _ => self.tried.failed(),
        }
    }

    fn dial_next(&mut self, step: &mut Step<'_>) -> News {
        if let State::Dialling(order) = std::mem::replace(&mut self.state, State::Closing) {
            self.state = State::Preparing(order);
        }
        tracing::debug!(call = %step.id, leg = %self.id, "this target came to nothing; trying the next");
        self.usage = step.next_usage(self.usage);
        if let Some(media) = &mut self.media {
            media.withdraw();
            // Whoever did not take the call has seen the keys that were offered.
            media.local_mut().keys = step.new_keys(self.terms.srtp);
        }
        self.dial(step)
    }

    /// What happened to its INVITE usage.
    pub(crate) fn signaling(&mut self, step: &mut Step<'_>, event: Event) -> News {
        if let Event::Ended { by, status, reason, retry_after } = event {
            self.rests(step, by, status, retry_after);
            if self.goes_on(by, status) {
                return self.dial_next(step);
            }
            self.ended(step, by, status, reason.as_ref());
            return News::Ended { by, sip_code: status, rests: self.tried.rest(step.now.monotonic) };
        }
        if self.state == State::Closing {
            return News::Nothing;
        }
        match event {
            Event::Incoming(_) | Event::Replacing { .. } | Event::Referral(_) | Event::Ended { .. } => News::Nothing,
            // Theirs who know the whole call.
            Event::Refer(_) => News::Nothing,
            Event::Dialling { call_id } => {
                self.sip_call_id = call_id;
                News::Nothing
            }
            Event::Provisional { status, .. } if status >= 180 && matches!(self.state, State::Dialling(_)) => {
                self.state = State::Ringing;
                self.record.ringing = Some(step.time());
                News::Ringing(status)
            }
            Event::Provisional { .. } => News::Nothing,
            Event::Answered { body, .. } => self.was_answered(step, body.as_deref()),
            Event::Acked { body } => self.acked(step, body.as_deref()),
            Event::Offer { body } => self.offered(step, body.as_deref()),
            Event::OfferDone { result } => self.offer_done(step, result),
            Event::EarlyAnswer { body } => self.early_answered(step, &body),
            Event::Refresh => self.renegotiate(step),
            // A caller who does not acknowledge what they asked to acknowledge is never answered, and no record says so.
            Event::AnswerWaits => {
                self.record.answered = None;
                News::Nothing
            }
            Event::AnswerSent => {
                self.record.answered = Some(step.time());
                News::Nothing
            }
            Event::Redirected { contacts } => {
                if self.follows {
                    self.contacts = contacts;
                }
                News::Nothing
            }
            Event::Info { content_type, body } => info_digit(&content_type, &body),
        }
    }

    fn was_answered(&mut self, step: &mut Step<'_>, body: Option<&[u8]>) -> News {
        let media = self.media.as_mut();
        let judged = media.zip(body).map(|(media, body)| media.receive_answer(body));
        if !matches!(judged, Some(Ok(()))) {
            tracing::debug!(call = %step.id, leg = %self.record.name, "answer without a usable session description");
            self.hang_up(step, Some(488));
            return News::failed(Cause::Failed, Some(488));
        }
        self.state = State::Up;
        self.record.answered = Some(step.time());
        self.describe(step);
        News::Answered
    }

    /// Answers the caller, if they are not answered yet and can be. `prefer` is the codec of who takes the call.
    pub(crate) fn answer(&mut self, step: &mut Step<'_>, prefer: Option<Codec>) -> Result<bool, sdp::Refusal> {
        let State::Offered = self.state else { return Ok(false) };
        let Some(media) = &mut self.media else { return Ok(false) };
        let body: Bytes = if media.open() == Open::Theirs {
            media.answer(prefer.as_slice())?
        } else if media.agreed().is_some() {
            // Agreed on before the answer: the 200 says nothing again.
            Bytes::new()
        } else {
            if let Some(codec) = prefer {
                let codecs = &mut media.local_mut().codecs;
                codecs.sort_by_key(|it| *it != codec);
            }
            self.late = true;
            media.offer().unwrap_or_default()
        };
        self.state = State::Up;
        self.record.answered = Some(step.time());
        let body = Some(body).filter(|body| !body.is_empty());
        step.signaling(Command::Answer { leg: self.usage, body, headers: Vec::new() });
        self.describe(step);
        Ok(true)
    }

    /// Lets the caller hear that somebody's phone rings.
    pub(crate) fn progress(&mut self, step: &mut Step<'_>, status: u16) {
        if self.state == State::Offered && self.record.ringing.is_none() {
            self.record.ringing = Some(step.time());
            let answer = self.early_offer();
            step.signaling(Command::Progress { leg: self.usage, status, answer, headers: Vec::new() });
        }
    }

    /// Ends it: 487, CANCEL, BYE or, with a status, a refusal of an unanswered caller. Its port closes at once. False: it
    /// was never dialled, so `signaling` knows nothing of it and no `Ended` will follow.
    pub(crate) fn hang_up(&mut self, step: &mut Step<'_>, status: Option<u16>) -> bool {
        self.hang_up_because(step, status, None)
    }

    /// The same, telling the peer why (RFC 3326).
    pub(crate) fn hang_up_because(
        &mut self,
        step: &mut Step<'_>,
        status: Option<u16>,
        reason: Option<signaling::Reason>,
    ) -> bool {
        let known = !matches!(self.state, State::Preparing(_));
        match (&self.state, status) {
            (State::Closing, _) => {}
            (State::Arriving | State::Offered, Some(status)) => {
                self.record.sip_code = Some(status);
                let retry = (status == 503).then(|| ("Retry-After".to_owned(), "10".to_owned()));
                let headers = retry.into_iter().collect();
                step.signaling(Command::Reject { leg: self.usage, status, reason: None, headers });
            }
            (State::Preparing(_), _) => {}
            _ => step.signaling(Command::Hangup { leg: self.usage, reason }),
        }
        self.state = State::Closing;
        self.close_port(step);
        known
    }

    /// Closes its port, if it is open.
    pub(crate) fn close_port(&mut self, step: &mut Step<'_>) {
        if let Some(port) = self.port.take() {
            step.close_port(port);
        }
    }

    fn ended(&mut self, step: &mut Step<'_>, by: EndedBy, status: Option<u16>, reason: Option<&signaling::Reason>) {
        let by_word = cause::ended_by(by);
        let reason = reason.map(|reason| match reason.cause {
            Some(cause) => format!("{};cause={cause}", reason.protocol),
            None => reason.protocol.clone(),
        });
        if self.record.ended_by.is_none() {
            self.record.ended_by = Some(by_word.to_owned());
        }
        if self.record.answered.is_none() && self.record.sip_code.is_none() {
            self.record.sip_code = status;
        }
        self.record.reason = reason;
        self.record.ended = Some(step.time());
    }

    /// Tells the relay what was agreed on.
    fn describe(&mut self, step: &mut Step<'_>) {
        let (Some(port), Some(agreed)) = (self.port, self.media.as_ref().and_then(OfferAnswer::agreed)) else { return };
        self.holds = agreed.remote_holds;
        self.record.codec = Some(agreed.codec.name().to_owned());
        let stream = relay::stream(agreed, self.terms.nat, step.config.media.in_band_digits);
        step.media(media_relay::Command::Describe { port, stream: Box::new(stream) });
    }

    /// Watches what its peer sends, if that is not what is watched for already.
    pub(crate) fn watch(&mut self, step: &mut Step<'_>, watch: Watch) {
        let Some(port) = self.port else { return };
        if self.watched != watch {
            self.watched = watch;
            let silence_after = watch.silence_after;
            let dead_after = watch.dead_after.map(|(before_first, after_last)| DeadAfter { before_first, after_last });
            step.media(media_relay::Command::Watch { port, silence_after, dead_after });
        }
    }

    /// Answered and not ended.
    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    /// Hung up; its `Ended` is on the way.
    pub(crate) fn is_closing(&self) -> bool {
        self.state == State::Closing
    }

    /// The codec its peer and we use.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.agreed().map(|agreed| agreed.codec)
    }

    fn agreed(&self) -> Option<&sdp::Agreement> {
        self.media.as_ref()?.agreed()
    }

    /// What the caller's open offer holds, best first.
    pub(crate) fn offered_codecs(&self) -> Vec<Codec> {
        self.media.as_ref().map(OfferAnswer::offered).unwrap_or_default()
    }

    /// The trunk it was dialled through, if one.
    pub(crate) fn trunk(&self) -> Option<&str> {
        self.peer.as_ref().and_then(Peer::trunk)
    }

    /// What is agreed with its peer's media.
    pub(crate) fn terms(&self) -> Terms {
        self.terms
    }

    /// Whose it is.
    pub(crate) fn party(&self) -> Party {
        self.record.party
    }
}

/// How an AI was lost that failed with `cause` before its answer.
pub(crate) fn ai_loss(cause: Cause) -> AiLoss {
    match cause {
        Cause::NoAnswer => AiLoss::NoAnswer,
        Cause::Unreachable => AiLoss::Unreachable,
        _ => AiLoss::Refused,
    }
}

fn local_media(step: &mut Step<'_>, address: SocketAddr, codecs: &[Codec], srtp: sdp::Srtp) -> LocalMedia {
    let keys = step.new_keys(srtp);
    let media = &step.config.media;
    let rtcp_mux = media.rtcp_mux;
    let (telephone_event, ptime) = (media.telephone_event, media.ptime);
    // RFC 8866, section 5.2: numeric, unique for the user; 31 bits are understood everywhere.
    let session_id = rand::Rng::next_u64(&mut step.shared.chance) >> 33;
    LocalMedia {
        codecs: codecs.to_vec(),
        telephone_event,
        ptime,
        srtp,
        keys,
        rtcp_mux,
        ..LocalMedia::new(address.ip(), address.port(), session_id)
    }
}

/// A digit of an INFO: `application/dtmf-relay` (`Signal=5`, `Duration=160`) or `application/dtmf` (`5`).
fn info_digit(content_type: &str, body: &[u8]) -> News {
    let text = String::from_utf8_lossy(body);
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let (signal, duration) = match content_type {
        "application/dtmf-relay" => (value("signal"), value("duration")),
        "application/dtmf" => (Some(text.trim().to_owned()), None),
        _ => return News::Nothing,
    };
    let ms = duration.and_then(|ms| ms.parse().ok()).filter(|ms| *ms <= 10_000_u64).unwrap_or(100);
    match signal.as_deref().map(str::as_bytes) {
        Some([digit @ (b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D' | b'a'..=b'd')]) => {
            News::Digit(char::from(digit.to_ascii_uppercase()), Duration::from_millis(ms))
        }
        _ => News::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_request_holds_one_digit_or_is_ignored() {
        let digit = |digit, ms| News::Digit(digit, Duration::from_millis(ms));
        assert_eq!(info_digit("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), digit('5', 160));
        assert_eq!(info_digit("application/dtmf-relay", b"Signal= #\r\n"), digit('#', 100));
        assert_eq!(info_digit("application/dtmf", b"1"), digit('1', 100));
        assert_eq!(info_digit("application/dtmf-relay", b"Signal=55\r\n"), News::Nothing);
        assert_eq!(info_digit("application/dtmf", b"\xff"), News::Nothing);
        assert_eq!(info_digit("text/plain", b"1"), News::Nothing);
    }
}
