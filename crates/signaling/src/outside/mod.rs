//! Requests of ours outside of any call: OPTIONS to see whether a peer is there (RFC 3261 section 11), REGISTER to be
//! reached through one ([`registration`]), SUBSCRIBE to be told how something stands ([`subscriber`]).

mod api;
mod registration;
mod subscriber;

pub use api::{OutsideCommand, OutsideEvent, OutsideId, Ping, Register, Subscribe};

use crate::{
    EndedBy, Flow,
    compose::{self, Extras, Parts},
    context::{Located, token_index},
    legs::World,
    message::Request,
    slab::{Id, Slab},
    timer::{Owner, Timer},
    transaction::{FromClient, Outgoing, Role, User},
};
use registration::Registration;
use rustc_hash::FxHashMap;
use sip_codec::{Message, Method};
use std::{sync::Arc, time::Duration};
use subscriber::Subscriber;

/// Usages at once; beyond it nothing is sent. They are ours alone: trunks, not calls, make them.
const MOST: usize = 4_096;
/// Addresses that one name may let in.
const MOST_ADDRESSES: usize = 16;

/// All usages.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    table: Slab<Usage>,
    by_id: FxHashMap<OutsideId, Id>,
}

#[derive(Debug)]
struct Usage {
    id: OutsideId,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// An OPTIONS that waits for its response; this is its transaction.
    Ping(Id),
    Registration(Box<Registration>),
    Subscriber(Box<Subscriber>),
}

/// Whether a usage goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Then {
    Stay,
    Leave,
}

impl Outside {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn command(&mut self, w: &mut World<'_>, command: OutsideCommand) {
        match command {
            OutsideCommand::Ping { id, ping } => self.ping(w, id, &ping),
            OutsideCommand::Register { id, order } => self.register(w, id, *order),
            OutsideCommand::Allow { id, addresses, session_timer } => {
                if w.cx.located.len() < MOST || w.cx.located.contains_key(&id) {
                    let addresses = addresses.into_iter().take(MOST_ADDRESSES).collect();
                    w.cx.located.insert(id, Located { addresses, session_timer });
                }
            }
            OutsideCommand::Unregister { id } => match self.by_id.get(&id).copied() {
                Some(slot) => self.leave(w, slot),
                None => w.cx.outside(id, OutsideEvent::Unregistered),
            },
            OutsideCommand::Subscribe { id, order } => self.subscribe(w, id, *order),
            OutsideCommand::Unsubscribe { id } => match self.by_id.get(&id).copied() {
                Some(slot) => self.leave(w, slot),
                None => w.cx.outside(id, OutsideEvent::Unsubscribed),
            },
        }
    }

    fn ping(&mut self, w: &mut World<'_>, id: OutsideId, ping: &Ping) {
        if self.by_id.contains_key(&id) {
            return;
        }
        let slot = self.table.next_id();
        let sent = if self.table.len() < MOST { options(w, slot, ping) } else { None };
        match sent {
            Some(client) => {
                self.by_id.insert(id, self.table.insert(Usage { id, kind: Kind::Ping(client) }));
                w.cx.arm(Owner::Outside(slot), Timer::Pong, ping.timeout);
            }
            None => w.cx.outside(id, OutsideEvent::Pong { result: Err(EndedBy::Unsent) }),
        }
    }

    fn register(&mut self, w: &mut World<'_>, id: OutsideId, order: Register) {
        if let Some(slot) = self.by_id.get(&id).copied() {
            return self.with(w, slot, |usage, w| match &mut usage.kind {
                Kind::Registration(registration) => registration.reorder(w, usage.id, slot, order),
                Kind::Ping(_) | Kind::Subscriber(_) => Then::Stay,
            });
        }
        let slot = self.table.next_id();
        let registration = Registration::new(w, &order, slot).filter(|_| self.table.len() < MOST);
        let Some(registration) = registration else {
            tracing::warn!(registrar = %order.registrar, "a registration cannot be sent as it is ordered");
            let event =
                OutsideEvent::RegistrationFailed { by: EndedBy::Unsent, status: Some(400), retry_in: order.retry };
            return w.cx.outside(id, event);
        };
        self.begin(w, id, Kind::Registration(Box::new(registration)));
    }

    fn subscribe(&mut self, w: &mut World<'_>, id: OutsideId, order: Subscribe) {
        if self.by_id.contains_key(&id) {
            return;
        }
        let (target, retry_in) = (order.target.clone(), order.retry);
        let subscriber = Subscriber::new(w, order, self.table.next_id()).filter(|_| self.table.len() < MOST);
        let Some(subscriber) = subscriber else {
            tracing::warn!(%target, "a subscription cannot be sent as it is ordered");
            let event = OutsideEvent::SubscriptionFailed { by: EndedBy::Unsent, status: Some(400), retry_in };
            return w.cx.outside(id, event);
        };
        self.begin(w, id, Kind::Subscriber(Box::new(subscriber)));
    }

    /// A usage that is kept sends its first request.
    fn begin(&mut self, w: &mut World<'_>, id: OutsideId, kind: Kind) {
        let slot = self.table.insert(Usage { id, kind });
        self.by_id.insert(id, slot);
        self.timer(w, slot, Timer::Refresh);
    }

    fn leave(&mut self, w: &mut World<'_>, slot: Id) {
        self.with(w, slot, |usage, w| match &mut usage.kind {
            Kind::Registration(registration) => registration.leave(w, usage.id, slot),
            Kind::Subscriber(subscriber) => subscriber.leave(w, usage.id, slot),
            Kind::Ping(_) => Then::Stay,
        });
    }

    /// The subscription that a NOTIFY belongs to.
    pub(crate) fn find(&self, request: &Request) -> Option<Id> {
        if request.method != Method::Notify {
            return None;
        }
        let (slot, usage) = self.table.at(token_index(request.to_tag()?, "")?)?;
        matches!(&usage.kind, Kind::Subscriber(subscriber) if subscriber.is_meant(request)).then_some(slot)
    }

    /// A NOTIFY that [`Self::find`] has found the subscription of.
    pub(crate) fn notified(&mut self, w: &mut World<'_>, slot: Id, request: Request) {
        let request = Arc::new(request);
        let server = w.transactions.servers.start(Arc::clone(&request), None);
        self.with(w, slot, |usage, w| {
            if let Kind::Subscriber(subscriber) = &mut usage.kind {
                let response = subscriber.notified(w, usage.id, slot, &request);
                w.respond(server, &response);
            }
            Then::Stay
        });
    }

    /// A transaction's word; [`Role::Outside`] says that it is for this table.
    pub(crate) fn client_told(&mut self, w: &mut World<'_>, told: &FromClient) {
        let slot = told.user().leg;
        self.with(w, slot, |usage, w| {
            let outcome = match told {
                FromClient::Response { message, .. } => match message.status() {
                    Some(status @ 200..) => Ok((status, message)),
                    _ => return Then::Stay,
                },
                FromClient::TimedOut { .. } => Err(EndedBy::Timeout),
                FromClient::Failed { .. } => Err(EndedBy::Transport),
                FromClient::Over { .. } => return Then::Stay,
            };
            match &mut usage.kind {
                Kind::Ping(_) => {
                    w.cx.outside(usage.id, OutsideEvent::Pong { result: outcome.map(|(status, _)| status) });
                    Then::Leave
                }
                Kind::Registration(registration) => registration.answered(w, usage.id, slot, outcome),
                Kind::Subscriber(subscriber) => subscriber.answered(w, usage.id, slot, outcome),
            }
        });
    }

    pub(crate) fn timer(&mut self, w: &mut World<'_>, slot: Id, timer: Timer) {
        self.with(w, slot, |usage, w| match (&mut usage.kind, timer) {
            (Kind::Ping(client), Timer::Pong) => {
                w.transactions.clients.forget(w.cx, *client);
                w.cx.outside(usage.id, OutsideEvent::Pong { result: Err(EndedBy::Timeout) });
                Then::Leave
            }
            (Kind::Registration(registration), Timer::Refresh) => registration.ask(w, usage.id, slot),
            (Kind::Subscriber(subscriber), Timer::Refresh) => subscriber.ask(w, usage.id, slot),
            _ => Then::Stay,
        });
    }

    fn with(&mut self, w: &mut World<'_>, slot: Id, act: impl FnOnce(&mut Usage, &mut World<'_>) -> Then) {
        let Some(usage) = self.table.get_mut(slot) else { return };
        if act(usage, w) == Then::Leave {
            for timer in [Timer::Pong, Timer::Refresh] {
                w.cx.disarm(Owner::Outside(slot), timer);
            }
            let id = usage.id;
            self.by_id.remove(&id);
            self.table.remove(slot);
        }
    }
}

fn options(w: &mut World<'_>, slot: Id, ping: &Ping) -> Option<Id> {
    let listener = w.cx.listener(&ping.flow);
    let tag = w.cx.token("", u32::MAX);
    let parts = Parts {
        method: Method::Options,
        uri: ping.target.clone(),
        branch: w.transactions.clients.branch(w.cx),
        transport: ping.flow.transport,
        sent_by: listener.advertised,
        routes: Vec::new(),
        from: compose::address(&ping.from, &format!("sip:{}", listener.advertised), Some(&tag))?,
        to: compose::address(&crate::Party::default(), &ping.target, None)?,
        call_id: w.cx.call_id().into(),
        cseq: 1,
        max_forwards: 70,
    };
    let secure =
        ping.target.as_bytes().first_chunk().is_some_and(|scheme: &[u8; 5]| scheme.eq_ignore_ascii_case(b"sips:"));
    let contact = compose::contact(listener, secure);
    let headers = [("Accept".to_owned(), "application/sdp".to_owned())];
    let extras = Extras { contact: Some(&contact), headers: &headers, ..Extras::default() };
    send(w, slot, parts, extras, ping.flow, ping.peer_name.clone())
}

/// Sends a request in a transaction of its own. `None` when it cannot be written or there is no room for it.
fn send(
    w: &mut World<'_>,
    slot: Id,
    parts: Parts,
    extras: Extras<'_>,
    flow: Flow,
    peer_name: Option<Arc<str>>,
) -> Option<Id> {
    if w.transactions.overfull(w.cx) {
        return None;
    }
    let bytes = compose::request(&w.cx.config, &parts, extras)?;
    let user = User { leg: slot, role: Role::Outside };
    Some(w.transactions.clients.start(w.cx, Outgoing { user, flow, peer_name, parts, bytes, instead: None }))
}

/// A header that holds one number of seconds.
fn seconds(message: &Message, name: &str) -> Option<u32> {
    std::str::from_utf8(message.header_named(name)?.trim_ascii()).ok()?.parse().ok()
}

/// Between which times after the grant it is renewed: soon enough for a whole transaction that fails, not all at once.
fn renewal(granted: Duration) -> (Duration, Duration) {
    let margin = (granted / 10).clamp(Duration::from_secs(40), Duration::from_secs(600)).min(granted / 2);
    let latest = granted - margin;
    (latest - margin.min(latest) / 2, latest)
}
