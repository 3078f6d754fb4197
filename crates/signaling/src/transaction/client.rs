//! The table of client transactions. Our branches carry the slot of their transaction, so that a response finds it without
//! a search.

use super::{
    Act, Acts, Class, Rest, carry_out, client_invite::ClientInvite, client_non_invite::ClientNonInvite, disarm_all,
};
use crate::{
    Flow, Way,
    compose::{self, Parts},
    context::{Context, token_index},
    slab::{Id, Slab},
    timer::{Owner, Timer, Timing},
};
use bytes::Bytes;
use sip_codec::{Message, Method};
use std::sync::Arc;

/// What every branch of ours begins with: the cookie of RFC 3261 section 8.1.1.7.
pub(crate) const COOKIE: &str = "z9hG4bK";

/// What a request is to the leg that sent it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The INVITE that opens the leg.
    Invite,
    /// A re-INVITE of ours.
    ReInvite,
    /// The CANCEL of either.
    Cancel,
    /// The PRACK of a provisional response.
    Prack,
    /// An UPDATE: an offer of ours, or a refresh of the session.
    Update,
    /// The BYE that ends the leg.
    Bye,
    /// The BYE to a further 2xx of a fork, or to one that came too late.
    ExtraBye,
    /// A request outside of any dialog; the slot is its usage's.
    Outside,
    /// A REFER of ours.
    Refer,
    /// A NOTIFY to a peer that sent us a REFER.
    Notify,
}

/// Whom a response is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) leg: Id,
    pub(crate) role: Role,
}

/// A request to send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) user: User,
    pub(crate) flow: Flow,
    /// Whose certificate the peer must show over TLS.
    pub(crate) peer_name: Option<Arc<str>>,
    /// What an ACK or a CANCEL of it is made of, and itself.
    pub(crate) parts: Parts,
    pub(crate) bytes: Bytes,
    /// What takes its place if the peer takes no connection.
    pub(crate) instead: Option<Box<Instead>>,
}

/// The datagram that a request would have been, had it not been too long for one (18.1.1).
#[derive(Debug)]
pub(crate) struct Instead {
    pub(crate) flow: Flow,
    pub(crate) parts: Parts,
    pub(crate) bytes: Bytes,
}

/// What a client transaction says to its user.
#[derive(Debug)]
pub(crate) enum FromClient {
    /// A response.
    Response { user: User, id: Id, message: Message },
    /// Nobody answered (408 in the words of RFC 3261 section 8.1.3.1).
    TimedOut { user: User },
    /// The network did not carry it (503).
    Failed { user: User },
    /// Over; the user had its final response.
    Over { user: User },
}

impl FromClient {
    /// Whom it is for.
    pub(crate) fn user(&self) -> User {
        match self {
            Self::Response { user, .. } | Self::TimedOut { user } | Self::Failed { user } | Self::Over { user } => {
                *user
            }
        }
    }
}

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite),
    Other(ClientNonInvite),
}

impl Machine {
    fn start(method: Method, timing: &Timing) -> (Self, Acts) {
        if method == Method::Invite {
            let (machine, acts) = ClientInvite::start(timing);
            return (Self::Invite(machine), acts);
        }
        let (machine, acts) = ClientNonInvite::start(timing);
        (Self::Other(machine), acts)
    }
}

#[derive(Debug)]
struct Client {
    machine: Machine,
    user: User,
    flow: Flow,
    peer_name: Option<Arc<str>>,
    parts: Parts,
    request: Bytes,
    instead: Option<Box<Instead>>,
    /// The ACK to a refusal.
    ack: Option<Bytes>,
    /// The CANCEL of this INVITE: it has the same branch, and so the same slot in its responses.
    cancel: Option<Id>,
}

const TIMERS: [Timer; 7] = [Timer::A, Timer::B, Timer::D, Timer::E, Timer::F, Timer::K, Timer::M];

/// All client transactions.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    table: Slab<Client>,
}

impl Clients {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// True while a request of ours has no final response. A question whether somebody is there owes nobody anything.
    pub(crate) fn is_owed(&self) -> bool {
        self.table.iter().any(|(_, client)| match &client.machine {
            Machine::Invite(machine) => machine.is_open(),
            Machine::Other(machine) => machine.is_open() && client.parts.method != Method::Options,
        })
    }

    /// The branch for the request that [`Self::start`] is handed next.
    pub(crate) fn branch(&self, cx: &mut Context) -> String {
        cx.token(COOKIE, self.table.next_id().index)
    }

    /// Sends a request whose branch is from [`Self::branch`].
    pub(crate) fn start(&mut self, cx: &mut Context, outgoing: Outgoing) -> Id {
        let Outgoing { user, flow, peer_name, parts, bytes, instead } = outgoing;
        let (machine, acts) = Machine::start(parts.method, &cx.timing_over(flow.transport));
        cx.counters.message(parts.method.text(), Way::Out, 0);
        let id = self.table.insert(Client {
            machine,
            user,
            flow,
            peer_name: peer_name.clone(),
            parts,
            request: bytes.clone(),
            instead,
            ack: None,
            cancel: None,
        });
        carry_out(cx, Owner::Client(id), &acts);
        cx.transmit(flow, peer_name, bytes);
        id
    }

    /// Takes a response.
    pub(crate) fn response(
        &mut self,
        cx: &mut Context,
        branch: &[u8],
        method: Method,
        status: u16,
        message: Message,
    ) -> Option<FromClient> {
        let Some(id) = self.find(branch, method) else {
            cx.counters.stray += 1;
            return None;
        };
        let client = self.table.get_mut(id)?;
        cx.counters.message(client.parts.method.text(), Way::In, status);
        let class = Class::of(status);
        let timing = cx.timing_over(client.flow.transport);
        let acts = match &mut client.machine {
            Machine::Invite(machine) => machine.response(class, &timing),
            Machine::Other(machine) => machine.response(class, &timing),
        };
        let user = client.user;
        let rest = self.carry_out(cx, id, &acts, Some(&message));
        rest.up.then_some(FromClient::Response { user, id, message })
    }

    fn find(&self, branch: &[u8], method: Method) -> Option<Id> {
        let (id, client) = self.table.at(token_index(branch, COOKIE)?)?;
        if client.parts.branch.as_bytes() != branch {
            return None;
        }
        if client.parts.method == method {
            return Some(id);
        }
        client.cancel.filter(|_| method == Method::Cancel)
    }

    /// Tells an INVITE's transaction which one its CANCEL is.
    pub(crate) fn cancelled_by(&mut self, invite: Id, cancel: Id) {
        if let Some(client) = self.table.get_mut(invite) {
            client.cancel = Some(cancel);
        }
    }

    pub(crate) fn timer(&mut self, cx: &mut Context, id: Id, timer: Timer) -> Option<FromClient> {
        let client = self.table.get_mut(id)?;
        let user = client.user;
        let acts = match &mut client.machine {
            Machine::Invite(machine) => machine.timer(timer),
            Machine::Other(machine) => machine.timer(timer, &cx.timing_over(client.flow.transport)),
        };
        let rest = self.carry_out(cx, id, &acts, None);
        if rest.timed_out { Some(FromClient::TimedOut { user }) } else { rest.end.then_some(FromClient::Over { user }) }
    }

    /// The network said that nobody is there. Everything unanswered there fails, but for what may still go as a datagram.
    pub(crate) fn transport_failed(&mut self, cx: &mut Context, flow: &Flow) -> Vec<FromClient> {
        let there = |client: &Client| flow.carries(&client.flow);
        let ids: Vec<Id> = self.table.iter().filter(|(_, client)| there(client)).map(|(id, _)| id).collect();
        let mut told = Vec::new();
        for id in ids {
            let Some(client) = self.table.get(id) else { continue };
            let user = client.user;
            let acts = match &client.machine {
                Machine::Invite(machine) => machine.transport_failed(),
                Machine::Other(machine) => machine.transport_failed(),
            };
            if acts.contains(&Act::Failed) && self.send_instead(cx, id) {
                continue;
            }
            if self.carry_out(cx, id, &acts, None).failed {
                told.push(FromClient::Failed { user });
            }
        }
        told
    }

    /// Begins anew over UDP what the peer takes over no connection. False when that is no way.
    fn send_instead(&mut self, cx: &mut Context, id: Id) -> bool {
        let Some(client) = self.table.get_mut(id) else { return false };
        let Some(instead) = client.instead.take() else { return false };
        tracing::debug!(flow = %client.flow, "the peer takes no connection: a long request goes over UDP");
        cx.has_no_streams(client.flow.remote);
        disarm_all(cx, Owner::Client(id), &TIMERS);
        let (machine, acts) = Machine::start(instead.parts.method, &cx.timing_over(instead.flow.transport));
        (client.machine, client.flow, client.parts, client.request) =
            (machine, instead.flow, instead.parts, instead.bytes);
        cx.transmit(client.flow, None, client.request.clone());
        carry_out(cx, Owner::Client(id), &acts);
        true
    }

    /// What an INVITE was made of, for its CANCEL, and which way it went.
    pub(crate) fn parts(&self, id: Id) -> Option<(&Parts, Flow)> {
        self.table.get(id).map(|client| (&client.parts, client.flow))
    }

    /// True when a response with this branch and request URI would be our own request come back: a loop.
    pub(crate) fn sent(&self, branch: &[u8], uri: &[u8]) -> bool {
        let found = token_index(branch, COOKIE).and_then(|index| self.table.at(index));
        found.is_some_and(|(_, client)| client.parts.branch.as_bytes() == branch && client.parts.uri.as_bytes() == uri)
    }

    /// Forgets a transaction whose user has given it up.
    pub(crate) fn forget(&mut self, cx: &mut Context, id: Id) -> bool {
        let known = self.table.remove(id).is_some();
        if known {
            disarm_all(cx, Owner::Client(id), &TIMERS);
        }
        known
    }

    fn carry_out(&mut self, cx: &mut Context, id: Id, acts: &Acts, response: Option<&Message>) -> Rest {
        let rest = carry_out(cx, Owner::Client(id), acts);
        let Some(client) = self.table.get_mut(id) else { return rest };
        if rest.repeat {
            cx.counters.retransmissions += 1;
            cx.transmit(client.flow, client.peer_name.clone(), client.request.clone());
        }
        if rest.acknowledge {
            if client.ack.is_some() {
                cx.counters.retransmissions += 1;
            } else {
                client.ack = response.and_then(|response| compose::ack_to_refusal(&client.parts, response));
                cx.counters.message("ACK", Way::Out, 0);
            }
            if let Some(ack) = client.ack.clone() {
                cx.transmit(client.flow, client.peer_name.clone(), ack);
            }
        }
        if rest.end {
            self.forget(cx, id);
        }
        rest
    }
}
