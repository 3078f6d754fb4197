//! The table of server transactions, found by the client's branch (RFC 3261 section 17.2.3).

use super::{
    Acts, Class, Rest, carry_out, disarm_all, server_invite::ServerInvite, server_non_invite::ServerNonInvite,
};
use crate::{
    Flow, Transport, Way,
    compose::{self, Response},
    context::Context,
    message::Request,
    slab::{Id, Slab},
    table::Keyed,
    timer::{Owner, Timer},
};
use bytes::Bytes;
use smallvec::SmallVec;
use std::{collections::HashMap, sync::Arc};

/// The name of a transaction as its client chose it.
pub(crate) type Key = SmallVec<[u8; 128]>;

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Taken {
    /// A copy of one we know, or an ACK that was waited for: done with.
    Known,
    /// An ACK of a 2xx, for its leg.
    Ack { leg: Option<Id> },
    /// Not known.
    New,
}

/// What a server transaction says to its user.
#[derive(Copy, Clone, Debug)]
pub(crate) enum FromServer {
    /// Over. The ACK to a refusal came or never will: the user need not know which.
    Over { leg: Option<Id> },
}

#[derive(Copy, Clone, Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerNonInvite),
}

#[derive(Debug)]
struct Server {
    machine: Machine,
    key: Key,
    merge_key: Option<Key>,
    leg: Option<Id>,
    transport: Transport,
    method: &'static str,
    /// Until the final response is made.
    request: Option<Arc<Request>>,
    last: Option<(Bytes, Flow)>,
}

const TIMERS: [Timer; 5] = [Timer::G, Timer::H, Timer::I, Timer::J, Timer::L];

/// All server transactions.
#[derive(Debug)]
pub(crate) struct Servers {
    table: Slab<Server>,
    by_key: HashMap<Key, Id, Keyed>,
    by_merge_key: HashMap<Key, Id, Keyed>,
}

impl Servers {
    pub(crate) fn new(key: (u64, u64)) -> Self {
        let keyed = Keyed::new(key);
        Self { table: Slab::default(), by_key: HashMap::with_hasher(keyed), by_merge_key: HashMap::with_hasher(keyed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many entries each table has.
    pub(crate) fn tables(&self) -> [(&'static str, usize); 3] {
        [
            ("signaling.server_transactions", self.table.len()),
            ("signaling.server_keys", self.by_key.len()),
            ("signaling.merge_keys", self.by_merge_key.len()),
        ]
    }

    /// True while a request has no final response from us, or a refusal of ours no ACK.
    pub(crate) fn is_owed(&self) -> bool {
        self.table.iter().any(|(_, server)| match server.machine {
            Machine::Invite(machine) => machine.is_open(),
            Machine::Other(machine) => machine.is_open(),
        })
    }

    /// True while a transaction of a leg's INVITE is there.
    pub(crate) fn any_of(&self, leg: Id) -> bool {
        self.table.iter().any(|(_, server)| server.leg == Some(leg))
    }

    /// Lets a request pass by the transactions that are there.
    pub(crate) fn take(&mut self, cx: &mut Context, request: &Request) -> Taken {
        let Some(&id) = self.by_key.get(request.transaction_key()) else { return Taken::New };
        let Some(server) = self.table.get_mut(id) else { return Taken::New };
        let timing = cx.timing_over(server.transport);
        let acts = match (&mut server.machine, request.is_ack()) {
            (Machine::Invite(machine), true) => machine.ack(&timing),
            (Machine::Invite(machine), false) => machine.request(),
            (Machine::Other(machine), _) => machine.request(),
        };
        let leg = server.leg;
        if self.carry_out(cx, id, &acts).up { Taken::Ack { leg } } else { Taken::Known }
    }

    /// The transaction of the INVITE that a CANCEL means (9.2).
    pub(crate) fn cancelled_by(&self, cancel: &Request) -> Option<Id> {
        self.by_key.get(&cancel.invite_key()).copied()
    }

    /// True when the same request has come another way already (8.2.2.2).
    pub(crate) fn merged(&self, request: &Request) -> bool {
        request.merge_key().is_some_and(|key| self.by_merge_key.contains_key(&key))
    }

    /// Begins a transaction.
    pub(crate) fn start(&mut self, request: Arc<Request>, leg: Option<Id>) -> Id {
        let machine = if request.is_invite() {
            Machine::Invite(ServerInvite::Proceeding)
        } else {
            Machine::Other(ServerNonInvite::Trying)
        };
        let (key, merge_key) = (request.transaction_key().clone(), request.merge_key());
        let (transport, method) = (request.flow.transport, request.method_name());
        let id = self.table.insert(Server {
            machine,
            key: key.clone(),
            merge_key: merge_key.clone(),
            leg,
            transport,
            method,
            request: Some(request),
            last: None,
        });
        self.by_key.insert(key, id);
        if let Some(merge_key) = merge_key {
            self.by_merge_key.insert(merge_key, id);
        }
        id
    }

    /// Whose leg the transaction belongs to.
    pub(crate) fn leg_of(&self, id: Id) -> Option<Id> {
        self.table.get(id).and_then(|server| server.leg)
    }

    /// Answers. A second final response is dropped here.
    pub(crate) fn respond(&mut self, cx: &mut Context, id: Id, response: &Response<'_>) {
        let Some(server) = self.table.get_mut(id) else { return };
        let Some(request) = &server.request else { return };
        let Some(bytes) = compose::response(&cx.config, request, response) else { return };
        let class = Class::of(response.status);
        server.last = Some((bytes, request.reply_to));
        let timing = cx.timing_over(server.transport);
        let acts = match &mut server.machine {
            Machine::Invite(machine) => machine.respond(class, &timing),
            Machine::Other(machine) => machine.respond(class, &timing),
        };
        if class != Class::Provisional {
            server.request = None;
        }
        cx.counters.message(server.method, Way::Out, response.status);
        self.carry_out(cx, id, &acts);
    }

    /// Sends the last response once more: the user's 2xx (13.3.1.4), or a ringing that keeps proxies waiting.
    pub(crate) fn repeat(&mut self, cx: &mut Context, id: Id) {
        let Some(server) = self.table.get(id) else { return };
        if let Some((bytes, flow)) = &server.last {
            cx.counters.retransmissions += 1;
            cx.transmit(*flow, None, bytes.clone());
        }
    }

    pub(crate) fn timer(&mut self, cx: &mut Context, id: Id, timer: Timer) -> Option<FromServer> {
        let server = self.table.get_mut(id)?;
        let leg = server.leg;
        let timing = cx.timing_over(server.transport);
        let acts = match &mut server.machine {
            Machine::Invite(machine) => machine.timer(timer, &timing),
            Machine::Other(machine) => machine.timer(timer),
        };
        self.carry_out(cx, id, &acts).end.then_some(FromServer::Over { leg })
    }

    fn carry_out(&mut self, cx: &mut Context, id: Id, acts: &Acts) -> Rest {
        let rest = carry_out(cx, Owner::Server(id), acts);
        if (rest.send || rest.repeat)
            && let Some(server) = self.table.get(id)
            && let Some((bytes, flow)) = &server.last
        {
            if rest.repeat {
                cx.counters.retransmissions += 1;
            }
            cx.transmit(*flow, None, bytes.clone());
        }
        if rest.end {
            self.forget(cx, id);
        }
        rest
    }

    fn forget(&mut self, cx: &mut Context, id: Id) {
        let Some(server) = self.table.remove(id) else { return };
        disarm_all(cx, Owner::Server(id), &TIMERS);
        self.by_key.remove(&server.key);
        if let Some(key) = &server.merge_key
            && self.by_merge_key.get(key) == Some(&id)
        {
            self.by_merge_key.remove(key);
        }
    }
}
