//! A subscription that is kept: a peer tells how something stands (RFC 6665 section 4.1; RFC 5626 section 4.5 back-off).

use super::{OutsideEvent, OutsideId, Subscribe, Then, send};
use crate::{
    EndedBy,
    auth::{Asker, Keyring},
    compose::{self, Extras, Parts, Response},
    dialog::Dialog,
    legs::World,
    message::{Request, content_type},
    slab::Id,
    timer::{Owner, Timer},
};
use bytes::Bytes;
use sip_codec::{Message, Method, Name, Params};
use std::time::Duration;

/// The longest wait between two tries, and the longest that a peer may send us away for.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);
/// What a peer may grant at most; more is not waited for.
const LONGEST_GRANT: Duration = Duration::from_secs(24 * 3600);
/// How often one round may ask for longer because of 423.
const TOO_BRIEF: u8 = 2;
/// A peer that ends a subscription may be asked anew after this long (RFC 6665 section 4.1.3: deactivated, timeout).
const SOON: Duration = Duration::from_secs(1);

/// ```text
///            +-- 401, 407 (two tries), 423 (a longer time) --+
///            v                                               |
///  start: Asking --2xx--> Active --Refresh--> Asking --------+
///            |  ^           |
///       else v  | Refresh   | NOTIFY: terminated
///          Failing <--------+
///  Leave: Asking --any answer--> Leaving;  Active --> Leaving;  Failing --> gone
///         Leaving --any answer--> gone                       (401, 407: as above)
/// ```
/// The first NOTIFY may come before the answer to its SUBSCRIBE (4.1.2.4); a second peer's, behind a fork, is refused (4.1.4).
#[derive(Debug)]
pub(super) struct Subscriber {
    order: Subscribe,
    /// Ours, in From: what leads a NOTIFY here.
    tag: String,
    from: Bytes,
    to: Bytes,
    call_id: Bytes,
    cseq: u32,
    /// The SUBSCRIBE that is out: its answer makes the dialog.
    asked: Option<Parts>,
    dialog: Option<Dialog>,
    keyring: Option<Keyring>,
    phase: Phase,
    /// The order to end it came while a request was out.
    leaving: bool,
    /// What the next request asks for.
    expires: Duration,
    /// How many requests of this round carried credentials.
    tries: u8,
    too_brief: u8,
    /// Rounds that failed since the last that did not.
    failures: u32,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// A SUBSCRIBE is out.
    Asking,
    /// The peer tells us.
    Active,
    /// It does not; the next try waits for its time.
    Failing,
    /// A SUBSCRIBE with no time is out.
    Leaving,
}

impl Subscriber {
    /// `None` when the order names an address that is no URI.
    pub(super) fn new(w: &mut World<'_>, order: Subscribe, slot: Id) -> Option<Self> {
        sip_codec::Uri::parse(order.target.as_bytes()).filter(sip_codec::Uri::is_sip)?;
        let keyring = order.credentials.clone().map(|credentials| Keyring::new(credentials, order.flow.remote.ip()));
        let mut subscriber = Self {
            tag: String::new(),
            from: Bytes::new(),
            to: compose::address(&crate::Party::default(), &order.target, None)?,
            call_id: Bytes::new(),
            cseq: 0,
            asked: None,
            dialog: None,
            keyring,
            phase: Phase::Failing,
            leaving: false,
            expires: order.expires,
            tries: 0,
            too_brief: 0,
            failures: 0,
            order,
        };
        subscriber.begin(w, slot)?;
        Some(subscriber)
    }

    /// A subscription of its own: what the last one's peer still says belongs to none.
    fn begin(&mut self, w: &mut World<'_>, slot: Id) -> Option<()> {
        self.tag = w.cx.token("", slot.index);
        let listener = w.cx.listener(&self.order.flow).advertised;
        self.from = compose::address(&self.order.from, &format!("sip:{listener}"), Some(&self.tag))?;
        self.call_id = w.cx.call_id().into();
        self.cseq = 0;
        self.dialog = None;
        Some(())
    }

    /// A new round: the first, a renewal, or another try.
    pub(super) fn ask(&mut self, w: &mut World<'_>, id: OutsideId, slot: Id) -> Then {
        (self.tries, self.too_brief) = (0, 0);
        if self.phase == Phase::Failing && self.begin(w, slot).is_none() {
            return Then::Leave;
        }
        self.phase = Phase::Asking;
        w.cx.disarm(Owner::Outside(slot), Timer::Refresh);
        if self.subscribe(w, slot, self.expires).is_none() {
            self.failed(w, id, slot, EndedBy::Unsent, None, None);
        }
        Then::Stay
    }

    /// The order to end it.
    pub(super) fn leave(&mut self, w: &mut World<'_>, id: OutsideId, slot: Id) -> Then {
        w.cx.disarm(Owner::Outside(slot), Timer::Refresh);
        match self.phase {
            Phase::Active => {
                self.phase = Phase::Leaving;
                self.tries = 0;
                if self.subscribe(w, slot, Duration::ZERO).is_some() {
                    return Then::Stay;
                }
                w.cx.outside(id, OutsideEvent::Unsubscribed);
                Then::Leave
            }
            Phase::Asking | Phase::Leaving => {
                self.leaving = true;
                Then::Stay
            }
            Phase::Failing => {
                w.cx.outside(id, OutsideEvent::Unsubscribed);
                Then::Leave
            }
        }
    }

    fn subscribe(&mut self, w: &mut World<'_>, slot: Id, expires: Duration) -> Option<Id> {
        let listener = w.cx.listener(&self.order.flow);
        let branch = w.transactions.clients.branch(w.cx);
        self.cseq += 1;
        let (parts, flow) = match &mut self.dialog {
            Some(dialog) => dialog.request(&w.cx.config, Method::Subscribe, branch),
            None => {
                let parts = Parts {
                    method: Method::Subscribe,
                    uri: self.order.target.clone(),
                    branch,
                    transport: self.order.flow.transport,
                    sent_by: listener.advertised,
                    routes: Vec::new(),
                    from: self.from.clone(),
                    to: self.to.clone(),
                    call_id: self.call_id.clone(),
                    cseq: self.cseq,
                    max_forwards: 70,
                };
                (parts, self.order.flow)
            }
        };
        self.cseq = parts.cseq;
        self.asked = Some(parts.clone());
        let cnonce = w.cx.call_id();
        let credentials = match &mut self.keyring {
            Some(keyring) => keyring.headers("SUBSCRIBE", &parts.uri, flow.remote.ip(), &cnonce),
            None => Vec::new(),
        };
        let contact = compose::contact(listener, is_secure(&self.order.target));
        let headers = [
            ("Event".to_owned(), self.order.package.to_owned()),
            ("Accept".to_owned(), self.order.accept.to_owned()),
            ("Expires".to_owned(), expires.as_secs().to_string()),
        ];
        let extras =
            Extras { contact: Some(&contact), credentials: &credentials, headers: &headers, ..Extras::default() };
        send(w, slot, parts, extras, flow, self.order.peer_name.clone())
    }

    /// The final outcome of one request.
    pub(super) fn answered(
        &mut self,
        w: &mut World<'_>,
        id: OutsideId,
        slot: Id,
        outcome: Result<(u16, &Message), EndedBy>,
    ) -> Then {
        if self.challenged(outcome) {
            self.tries += 1;
            let expires = if self.phase == Phase::Leaving { Duration::ZERO } else { self.expires };
            if self.subscribe(w, slot, expires).is_some() {
                return Then::Stay;
            }
        }
        match (self.phase, outcome) {
            (Phase::Leaving, _) => {
                w.cx.outside(id, OutsideEvent::Unsubscribed);
                return Then::Leave;
            }
            // A NOTIFY has ended it meanwhile.
            (Phase::Failing | Phase::Active, _) => {}
            (Phase::Asking, Ok((200..300, message))) => self.granted(w, slot, message),
            (Phase::Asking, Ok((423, message)))
                if self.asks_for_longer(message) && self.subscribe(w, slot, self.expires).is_some() => {}
            (Phase::Asking, Ok((status, message))) => {
                let retry_after = message.retry_after().map(|seconds| Duration::from_secs(seconds.into()));
                self.failed(w, id, slot, EndedBy::Refused, Some(status), retry_after);
            }
            (Phase::Asking, Err(by)) => self.failed(w, id, slot, by, None, None),
        }
        if std::mem::take(&mut self.leaving) { self.leave(w, id, slot) } else { Then::Stay }
    }

    fn challenged(&mut self, outcome: Result<(u16, &Message), EndedBy>) -> bool {
        let Ok((status, message)) = outcome else { return false };
        let Some(asker) = Asker::of(status) else { return false };
        let name = if asker == Asker::Server { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
        let (tries, peer) = (self.tries, self.order.flow.remote.ip());
        self.keyring.as_mut().is_some_and(|keyring| keyring.challenged(asker, message.raw(name), tries, peer))
    }

    /// 423 (RFC 6665 section 4.1.2.1).
    fn asks_for_longer(&mut self, message: &Message) -> bool {
        let least = super::seconds(message, "Min-Expires").map(|seconds| Duration::from_secs(seconds.into()));
        let Some(least) = least.filter(|least| *least > self.expires && *least <= LONGEST_GRANT) else { return false };
        let longer = self.too_brief < TOO_BRIEF;
        if longer {
            self.too_brief += 1;
            self.expires = least;
        }
        longer
    }

    fn granted(&mut self, w: &mut World<'_>, slot: Id, message: &Message) {
        let listener = w.cx.listener(&self.order.flow).advertised;
        match &mut self.dialog {
            Some(dialog) => dialog.refresh(message),
            none => {
                let asked = self.asked.as_ref();
                *none = asked.and_then(|parts| Dialog::of_response(parts, self.order.flow, listener, message));
            }
        }
        self.phase = Phase::Active;
        let granted = message.expires().ok().flatten().map_or(self.expires, |s| Duration::from_secs(s.into()));
        self.lasts(w, slot, granted);
    }

    /// It is renewed before that is over.
    fn lasts(&self, w: &mut World<'_>, slot: Id, granted: Duration) {
        let (least, most) = super::renewal(granted.clamp(SOON, LONGEST_GRANT));
        let wait = w.cx.between(least, most);
        w.cx.arm(Owner::Outside(slot), Timer::Refresh, wait);
    }

    /// Whether a NOTIFY belongs here.
    pub(super) fn is_meant(&self, request: &Request) -> bool {
        let ours = request.to_tag() == Some(self.tag.as_bytes()) && self.call_id == request.call_id();
        ours && self.dialog.as_ref().is_none_or(|dialog| Some(dialog.remote_tag.as_ref()) == request.sender_tag())
    }

    /// A NOTIFY: what it tells is told, and this answers it.
    pub(super) fn notified(
        &mut self,
        w: &mut World<'_>,
        id: OutsideId,
        slot: Id,
        request: &Request,
    ) -> Response<'static> {
        let message = &request.message;
        let event = message.header(Name::Event).unwrap_or_default();
        let package = event.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if !package.eq_ignore_ascii_case(self.order.package.as_bytes()) {
            return Response::new(489);
        }
        let Some(state) = message.header_named("Subscription-State") else { return Response::new(400) };
        let state = State::read(state);
        let body = message.body_bytes();
        if !body.is_empty() && content_type(message) != self.order.accept {
            return Response::new(415).with(Name::Accept, self.order.accept);
        }
        if self.dialog.as_mut().is_some_and(|dialog| !dialog.in_order(request.cseq)) {
            return Response::new(500);
        }
        if !body.is_empty() {
            w.cx.outside(id, OutsideEvent::Notified { body });
        }
        match state {
            State::Terminated { wait } => {
                if matches!(self.phase, Phase::Asking | Phase::Active) {
                    self.failed(w, id, slot, EndedBy::Peer, None, Some(wait));
                }
            }
            State::On { expires } => {
                self.failures = 0;
                if let (Some(expires), Phase::Active) = (expires, self.phase) {
                    self.lasts(w, slot, expires);
                }
            }
        }
        Response::new(200)
    }

    fn failed(
        &mut self,
        w: &mut World<'_>,
        id: OutsideId,
        slot: Id,
        by: EndedBy,
        status: Option<u16>,
        retry_after: Option<Duration>,
    ) {
        self.phase = Phase::Failing;
        let wait = self.order.retry.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        let by_chance = w.cx.between(wait / 2, wait);
        let retry_in = match (by, retry_after) {
            // The peer said when; one that always sends us away is asked ever more seldom.
            (EndedBy::Peer, Some(after)) if self.failures == 0 => after,
            (_, after) => by_chance.max(after.unwrap_or_default().min(LONGEST_WAIT)),
        };
        self.failures = self.failures.saturating_add(1);
        w.cx.arm(Owner::Outside(slot), Timer::Refresh, retry_in);
        w.cx.outside(id, OutsideEvent::SubscriptionFailed { by, status, retry_in });
    }
}

/// What Subscription-State says.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum State {
    /// `active`, `pending`, and whatever else there may be.
    On { expires: Option<Duration> },
    /// `terminated`; a new subscription may be asked for after this long (RFC 6665 section 4.1.3).
    Terminated { wait: Duration },
}

impl State {
    fn read(value: &[u8]) -> Self {
        let at = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
        let params = Params::new(&value[at..]);
        let seconds = |name: &[u8]| {
            let seconds: Option<u32> = std::str::from_utf8(params.value(name)?).ok()?.parse().ok();
            seconds.map(|seconds| Duration::from_secs(seconds.into()))
        };
        if !value[..at].trim_ascii().eq_ignore_ascii_case(b"terminated") {
            return Self::On { expires: seconds(b"expires") };
        }
        let reason = params.value(b"reason").unwrap_or_default().to_ascii_lowercase();
        let wait = match reason.as_slice() {
            b"deactivated" | b"timeout" => SOON,
            // Asked for again all the same, seldom: somebody may have mended it.
            b"rejected" | b"noresource" | b"invariant" => LONGEST_WAIT,
            _ => seconds(b"retry-after").unwrap_or(Duration::from_secs(60)),
        };
        Self::Terminated { wait: wait.clamp(SOON, LONGEST_WAIT) }
    }
}

fn is_secure(uri: &str) -> bool {
    uri.as_bytes().first_chunk().is_some_and(|scheme: &[u8; 5]| scheme.eq_ignore_ascii_case(b"sips:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6665_4_1_3_why_it_ended_says_when_to_ask_again() {
        let wait = |value: &str| match State::read(value.as_bytes()) {
            State::Terminated { wait } => Some(wait.as_secs()),
            State::On { .. } => None,
        };
        assert_eq!(wait("terminated;reason=deactivated"), Some(1));
        assert_eq!(wait("terminated;reason=timeout;retry-after=90"), Some(1));
        assert_eq!(wait("terminated;reason=probation;retry-after=90"), Some(90));
        assert_eq!(wait("terminated ; reason=giveup"), Some(60));
        assert_eq!(wait("Terminated;reason=noresource"), Some(1800));
        assert_eq!(wait("terminated;reason=probation;retry-after=99999"), Some(1800));
        assert_eq!(wait("active;expires=20"), None);
    }

    #[test]
    fn rfc6665_4_1_3_how_long_it_lasts_may_be_told_by_a_notify() {
        let on = |seconds: Option<u64>| State::On { expires: seconds.map(Duration::from_secs) };
        assert_eq!(State::read(b"active;expires=600"), on(Some(600)));
        assert_eq!(State::read(b"pending"), on(None));
        assert_eq!(State::read(b"active;expires=soon"), on(None));
    }
}
