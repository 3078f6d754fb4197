//! A registration that is kept (RFC 3261 section 10.2; RFC 3327 Path, RFC 3608 Service-Route; RFC 5626 section 4.5 back-off).

use super::{OutsideEvent, OutsideId, Register, Then, renewal, seconds, send};
use crate::{
    EndedBy, Listener, Transport,
    auth::{Asker, Keyring},
    compose::{self, Extras, Parts},
    legs::World,
    slab::Id,
    timer::{Owner, Timer},
};
use bytes::Bytes;
use sip_codec::{Message, Method, Name};
use std::{net::SocketAddr, time::Duration};

/// The longest wait between two tries (RFC 5626 section 4.5), and the longest Retry-After that is believed.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);
/// What a registrar may grant at most; more is not waited for.
const LONGEST_GRANT: Duration = Duration::from_secs(24 * 3600);
/// How often one round may ask for longer because of 423.
const TOO_BRIEF: u8 = 2;
/// Service-Route values that are kept.
const MOST_ROUTES: usize = 8;

/// ```text
///            +----401, 407 (two tries), 423 (a longer time)----+
///            v                                                 |
///  start: Asking --200--> Registered --Refresh--> Asking ------+
///            |  ^
///       else v  | Refresh, after a growing time
///          Failing
///  Leave: Asking --any answer--> Leaving;  Registered --> Leaving;  Failing --> gone
///         Leaving --200, refusal, timeout--> gone           (401, 407: as above)
/// ```
#[derive(Debug)]
pub(super) struct Registration {
    order: Register,
    call_id: Bytes,
    from: Bytes,
    to: Bytes,
    cseq: u32,
    keyring: Option<Keyring>,
    phase: Phase,
    /// [`super::OutsideCommand::Unregister`] came while a request was out.
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
    /// A REGISTER is out.
    Asking,
    /// The registrar knows us.
    Registered,
    /// It does not; the next try waits for its time.
    Failing,
    /// A REGISTER with no time is out.
    Leaving,
}

impl Registration {
    /// `None` when the order names an address that is no URI.
    pub(super) fn new(w: &mut World<'_>, order: &Register, slot: Id) -> Option<Self> {
        let tag = w.cx.token("", slot.index);
        sip_codec::Uri::parse(order.registrar.as_bytes()).filter(sip_codec::Uri::is_sip)?;
        Some(Self {
            from: compose::address(&order.address, &order.registrar, Some(&tag))?,
            to: compose::address(&order.address, &order.registrar, None)?,
            call_id: w.cx.call_id().into(),
            cseq: 0,
            keyring: keyring(order),
            phase: Phase::Failing,
            leaving: false,
            expires: order.expires,
            tries: 0,
            too_brief: 0,
            failures: 0,
            order: order.clone(),
        })
    }

    /// A new order: it holds from the next request on, which is sent now unless one is out.
    pub(super) fn reorder(&mut self, w: &mut World<'_>, id: OutsideId, slot: Id, order: Register) -> Then {
        let moved = self.order.flow != order.flow;
        if moved || self.order.credentials != order.credentials {
            self.keyring = keyring(&order);
        }
        self.order = order;
        self.leaving = false;
        if moved && matches!(self.phase, Phase::Registered | Phase::Failing) {
            return self.ask(w, id, slot);
        }
        Then::Stay
    }

    /// A new round: the first, a renewal, or another try.
    pub(super) fn ask(&mut self, w: &mut World<'_>, id: OutsideId, slot: Id) -> Then {
        (self.tries, self.too_brief) = (0, 0);
        self.phase = Phase::Asking;
        w.cx.disarm(Owner::Outside(slot), Timer::Refresh);
        if self.register(w, slot, self.expires).is_none() {
            self.failed(w, id, slot, EndedBy::Unsent, None, None);
        }
        Then::Stay
    }

    /// [`super::OutsideCommand::Unregister`].
    pub(super) fn leave(&mut self, w: &mut World<'_>, id: OutsideId, slot: Id) -> Then {
        w.cx.disarm(Owner::Outside(slot), Timer::Refresh);
        match self.phase {
            Phase::Registered => {
                self.phase = Phase::Leaving;
                self.tries = 0;
                if self.register(w, slot, Duration::ZERO).is_some() {
                    return Then::Stay;
                }
                w.cx.outside(id, OutsideEvent::Unregistered);
                Then::Leave
            }
            // No new request before the final response to the last one (10.2).
            Phase::Asking | Phase::Leaving => {
                self.leaving = true;
                Then::Stay
            }
            Phase::Failing => {
                w.cx.outside(id, OutsideEvent::Unregistered);
                Then::Leave
            }
        }
    }

    fn register(&mut self, w: &mut World<'_>, slot: Id, expires: Duration) -> Option<Id> {
        let listener = w.cx.listener(&self.order.flow);
        self.cseq += 1;
        let parts = Parts {
            method: Method::Register,
            uri: self.order.registrar.clone(),
            branch: w.transactions.clients.branch(w.cx),
            transport: self.order.flow.transport,
            sent_by: listener.advertised,
            routes: Vec::new(),
            from: self.from.clone(),
            to: self.to.clone(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            max_forwards: 70,
        };
        let cnonce = w.cx.call_id();
        let credentials = match &mut self.keyring {
            Some(keyring) => keyring.headers("REGISTER", &parts.uri, self.order.flow.remote.ip(), &cnonce),
            None => Vec::new(),
        };
        let contact = contact(&self.order, listener);
        // An edge proxy may put itself into the way of our calls (RFC 3327).
        let headers =
            [("Expires".to_owned(), expires.as_secs().to_string()), ("Supported".to_owned(), "path".to_owned())];
        let extras =
            Extras { contact: Some(&contact), credentials: &credentials, headers: &headers, ..Extras::default() };
        send(w, slot, parts, extras, self.order.flow, self.order.peer_name.clone())
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
            if self.register(w, slot, expires).is_some() {
                return Then::Stay;
            }
        }
        if self.phase == Phase::Leaving {
            w.cx.outside(id, OutsideEvent::Unregistered);
            return Then::Leave;
        }
        match outcome {
            Ok((200..300, message)) => self.registered(w, id, slot, message),
            Ok((423, message)) if self.asks_for_longer(message) && self.register(w, slot, self.expires).is_some() => {}
            Ok((status, message)) => {
                let retry_after = message.retry_after().map(|seconds| Duration::from_secs(seconds.into()));
                self.failed(w, id, slot, EndedBy::Refused, Some(status), retry_after);
            }
            Err(by) => self.failed(w, id, slot, by, None, None),
        }
        if std::mem::take(&mut self.leaving) { self.leave(w, id, slot) } else { Then::Stay }
    }

    /// True when the request is worth another try with credentials. A new nonce in every challenge gets two.
    fn challenged(&mut self, outcome: Result<(u16, &Message), EndedBy>) -> bool {
        let Ok((status, message)) = outcome else { return false };
        let Some(asker) = Asker::of(status) else { return false };
        let name = if asker == Asker::Server { Name::WwwAuthenticate } else { Name::ProxyAuthenticate };
        let (tries, peer) = (self.tries, self.order.flow.remote.ip());
        self.keyring.as_mut().is_some_and(|keyring| keyring.challenged(asker, message.raw(name), tries, peer))
    }

    /// 423 (10.2.8).
    fn asks_for_longer(&mut self, message: &Message) -> bool {
        let Some(least) = seconds(message, "Min-Expires").map(|seconds| Duration::from_secs(seconds.into())) else {
            return false;
        };
        let longer = least > self.expires && least <= LONGEST_GRANT && self.too_brief < TOO_BRIEF;
        if longer {
            self.too_brief += 1;
            self.expires = least;
        }
        longer
    }

    fn registered(&mut self, w: &mut World<'_>, id: OutsideId, slot: Id, message: &Message) {
        let granted = self.granted(message, w.cx.listener(&self.order.flow).advertised);
        if granted.is_zero() {
            return self.failed(w, id, slot, EndedBy::Refused, message.status(), None);
        }
        self.failures = 0;
        self.phase = Phase::Registered;
        let (least, most) = renewal(granted);
        let wait = w.cx.between(least, most);
        w.cx.arm(Owner::Outside(slot), Timer::Refresh, wait);
        let service_route = message
            .headers()
            .filter(|header| header.name.eq_ignore_ascii_case(b"Service-Route"))
            .flat_map(|header| routes(header.value))
            .take(MOST_ROUTES)
            .collect();
        w.cx.outside(id, OutsideEvent::Registered { expires: granted, service_route });
    }

    /// What the registrar grants our Contact: its own parameter, else the Expires header, else what was asked (10.2.4).
    fn granted(&self, message: &Message, advertised: SocketAddr) -> Duration {
        let ours = message.contacts().filter_map(Result::ok).find(|contact| {
            contact.uri.user == Some(self.order.contact_user.as_bytes())
                && contact.uri.host_ip() == Some(advertised.ip())
                && contact.uri.port.unwrap_or(5060) == advertised.port()
        });
        let own = ours.and_then(|contact| std::str::from_utf8(contact.params().value(b"expires")?).ok()?.parse().ok());
        let seconds: Option<u32> = own.or_else(|| message.expires().ok().flatten());
        seconds.map_or(self.expires, |seconds| Duration::from_secs(seconds.into())).min(LONGEST_GRANT)
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
        self.failures = self.failures.saturating_add(1);
        // Not everybody at once after a registrar's restart.
        let by_chance = w.cx.between(wait / 2, wait);
        let retry_in = by_chance.max(retry_after.unwrap_or_default().min(LONGEST_WAIT));
        w.cx.arm(Owner::Outside(slot), Timer::Refresh, retry_in);
        w.cx.outside(id, OutsideEvent::RegistrationFailed { by, status, retry_in });
    }
}

fn keyring(order: &Register) -> Option<Keyring> {
    order.credentials.clone().map(|credentials| Keyring::new(credentials, order.flow.remote.ip()))
}

fn contact(order: &Register, listener: Listener) -> String {
    match listener.transport {
        Transport::Udp => format!("<sip:{}@{}>", order.contact_user, listener.advertised),
        stream => format!("<sip:{}@{};transport={stream}>", order.contact_user, listener.advertised),
    }
}

/// The values of a Service-Route header that are addresses; commas inside of brackets and quotes separate nothing.
fn routes(value: &[u8]) -> Vec<String> {
    let text = crate::message::text(value);
    let (mut all, mut from, mut within, mut quoted) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => within = true,
            '>' if !quoted => within = false,
            ',' if !quoted && !within => {
                all.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(&text[from..]);
    let sound = |route: &&str| sip_codec::NameAddr::parse(route.as_bytes()).is_some_and(|route| route.uri.is_sip());
    all.into_iter().map(str::trim).filter(sound).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_renewed_while_a_lost_request_can_still_be_tried_to_its_end() {
        for (granted, least, most) in [(3600, 3060, 3240), (60, 15, 30), (600, 510, 540), (86_400, 85_500, 85_800)] {
            let seconds = Duration::from_secs;
            assert_eq!(renewal(seconds(granted)), (seconds(least), seconds(most)), "{granted}");
        }
        let (least, most) = renewal(Duration::from_secs(1));
        assert!(!least.is_zero() && most < Duration::from_secs(1));
    }

    #[test]
    fn rfc3608_5_routes_are_taken_apart_at_commas_that_separate() {
        let of = |value: &str| routes(value.as_bytes());
        assert_eq!(of("<sip:a;lr>, <sip:b;lr>"), ["<sip:a;lr>", "<sip:b;lr>"]);
        assert_eq!(of("\"a, b\" <sip:a,b@c;lr>,<sip:d;lr>"), ["\"a, b\" <sip:a,b@c;lr>", "<sip:d;lr>"]);
        assert_eq!(of("<tel:+1>, nonsense, <sip:c;lr>"), ["<sip:c;lr>"]);
    }
}
