//! Reliable provisional responses (RFC 3262), ours and the peer's.

use super::{Leg, Phase, World};
use crate::{
    EndedBy, Event,
    compose::{Extras, Response},
    dialog::Dialog,
    message::{Request, session},
    slab::Id,
    timer::Timer,
    transaction::Role,
};
use bytes::Bytes;
use sip_codec::{Message, Method, Name};
use std::{collections::VecDeque, time::Duration};

/// Provisional responses that wait for the PRACK of the one before; the oldest without a body goes first.
const WAITING: usize = 8;

/// How often a reliable provisional response is followed by a new one so that proxies on the way keep waiting (section 3).
const KEEP_RINGING: Duration = Duration::from_secs(150);

/// The called side: our provisional responses to one INVITE whose peer knows `100rel`.
///
/// ```text
///   Idle --response (required, or with a body)--> Waiting for PRACK --T1, doubling--> sent again
///    ^                                              |      |
///    +--PRACK with its RAck: 200, next in line------+      `--64·T1--> 504 to the INVITE
///   a 2xx waits for the PRACK of a response with a body; any other final response ends the copies at once
/// ```
#[derive(Debug)]
pub(super) struct Reliable {
    /// Every provisional response must be reliable; else only those with a body are.
    pub(super) required: bool,
    rseq: u32,
    pending: Option<Pending>,
    waiting: VecDeque<Progress>,
    /// What was acknowledged last.
    status: u16,
    /// Our 2xx, until the PRACK allows it.
    answer: Option<Answer>,
    /// The offer of the INVITE was answered, or ours was: no later response has a session description.
    settled: bool,
}

#[derive(Debug)]
struct Pending {
    status: u16,
    interval: Duration,
    /// It carried our answer, or our offer.
    session: bool,
    offers: bool,
}

/// A 2xx of call control.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Option<Bytes>,
    pub(super) headers: Vec<(String, String)>,
}

#[derive(Debug)]
struct Progress {
    status: u16,
    session: Option<Bytes>,
    headers: Vec<(String, String)>,
}

/// The calling side: what was acknowledged of one early dialog.
#[derive(Debug)]
pub(super) struct Acknowledged {
    tag: Bytes,
    rseq: u32,
    /// The PRACK, while it is out, and what it said: for a challenge.
    prack: Option<Id>,
    cseq: u32,
    session: Option<Bytes>,
    tries: u8,
    /// The response had an offer that call control has not answered.
    offered: bool,
    /// The peer's answer to the INVITE: its 2xx need not repeat it.
    pub(super) answer: Option<Bytes>,
}

impl Acknowledged {
    pub(super) fn is_of(&self, tag: &[u8]) -> bool {
        self.tag == tag
    }
}

impl Reliable {
    /// What an INVITE says about it; nothing for a peer that does not know it.
    pub(super) fn of_invite(request: &Request, chance: u64) -> Option<Box<Self>> {
        let names = |name| request.message.values(name).any(|tag| tag.eq_ignore_ascii_case(b"100rel"));
        let required = names(Name::Require);
        if !required && !names(Name::Supported) {
            return None;
        }
        // Section 3: the first number is any from 1 to 2^31 - 1; room is left for those that follow.
        let rseq = u32::try_from(chance % (1 << 30)).unwrap_or(0);
        Some(Box::new(Self {
            required,
            rseq,
            pending: None,
            waiting: VecDeque::new(),
            status: 180,
            answer: None,
            settled: false,
        }))
    }

    /// True while a provisional response waits for its PRACK, or something waits for that.
    pub(super) fn waits(&self) -> bool {
        self.pending.is_some() || self.answer.is_some()
    }

    /// True when a session was agreed on before the final response.
    pub(super) fn settled(&self) -> bool {
        self.settled
    }

    /// True when a provisional response goes reliably.
    pub(super) fn takes(&self, session: Option<&Bytes>) -> bool {
        self.required || session.is_some() || self.pending.is_some()
    }
}

impl Leg {
    // ---- ours

    /// [`crate::Command::Progress`] toward a peer that acknowledges it.
    pub(super) fn progress_reliably(
        &mut self,
        w: &mut World<'_>,
        status: u16,
        session: Option<Bytes>,
        headers: Vec<(String, String)>,
    ) {
        let (Phase::Ringing(invite), Some(reliable)) = (self.phase, &mut self.reliable) else { return };
        if reliable.answer.is_some() {
            return;
        }
        if reliable.pending.is_some() {
            if reliable.waiting.len() >= WAITING {
                let bare = reliable.waiting.iter().position(|progress| progress.session.is_none()).unwrap_or(0);
                reliable.waiting.remove(bare);
            }
            reliable.waiting.push_back(Progress { status, session, headers });
            return;
        }
        let session = session.filter(|_| !reliable.settled);
        reliable.rseq += 1;
        let interval = w.cx.timing.t1;
        let offers = self.asked && session.is_some();
        let carries = session.is_some();
        reliable.settled |= carries && !offers;
        reliable.pending = Some(Pending { status, interval, session: carries, offers });
        let (rseq, contact) = (Some(reliable.rseq), Some(self.contact.as_str()));
        let response = Response { contact, headers: &headers, rseq, session, ..Response::tagged(status, &self.tag) };
        w.respond(invite, &response);
        self.arm(w, Timer::RepeatReliable, interval);
        self.arm(w, Timer::AwaitPrack, w.cx.timing.give_up());
        self.disarm(w, Timer::KeepRinging);
    }

    /// Timer [`Timer::RepeatReliable`].
    pub(super) fn repeat_reliable(&mut self, w: &mut World<'_>) {
        let (Phase::Ringing(invite), Some(reliable)) = (self.phase, &mut self.reliable) else { return };
        let Some(pending) = &mut reliable.pending else { return };
        pending.interval *= 2;
        let interval = pending.interval;
        w.transactions.servers.repeat(w.cx, invite);
        self.arm(w, Timer::RepeatReliable, interval);
    }

    /// Timer [`Timer::AwaitPrack`].
    pub(super) fn prack_never_came(&mut self, w: &mut World<'_>) {
        let Phase::Ringing(invite) = self.phase else { return };
        w.respond(invite, &Response::tagged(504, &self.tag));
        self.close(w, EndedBy::Timeout, Some(504));
    }

    pub(super) fn stop_repeating(&self, w: &mut World<'_>) {
        if self.reliable.is_some() {
            self.disarm(w, Timer::RepeatReliable);
            self.disarm(w, Timer::AwaitPrack);
        }
    }

    /// Keeps our 2xx until it may leave; gives it back when it may now. What was agreed on early is not said again.
    pub(super) fn answer_after_prack(&mut self, w: &mut World<'_>, mut answer: Answer) -> Option<Answer> {
        let Some(reliable) = &mut self.reliable else { return Some(answer) };
        answer.body = answer.body.filter(|_| !reliable.settled);
        reliable.waiting.clear();
        if reliable.pending.as_ref().is_some_and(|pending| pending.session) {
            reliable.answer.get_or_insert(answer);
            return None;
        }
        self.stop_repeating(w);
        Some(answer)
    }

    /// A PRACK of the peer.
    pub(super) fn prack(&mut self, w: &mut World<'_>, server: Id, request: &Request) {
        let acknowledges = rack(&request.message);
        let invite = self.invite_cseq;
        let expected = self.reliable.as_mut().filter(|reliable| {
            reliable.pending.is_some() && acknowledges == Some((reliable.rseq, invite, Method::Invite))
        });
        let Some(reliable) = expected else {
            w.respond(server, &Response::tagged(481, &self.tag));
            return;
        };
        let Ok(body) = request.session() else {
            w.respond(server, &Response::tagged(415, &self.tag).with(Name::Accept, "application/sdp"));
            return;
        };
        let Some(pending) = reliable.pending.take_if(|pending| !pending.offers || body.is_some()) else {
            // Section 5: an offer in the response is answered here, and nowhere else.
            let response = Response { phrase: Some("Missing Answer"), ..Response::tagged(400, &self.tag) };
            w.respond(server, &response);
            return;
        };
        self.stop_repeating(w);
        match body {
            Some(body) if pending.offers => {
                if let Some(reliable) = &mut self.reliable {
                    reliable.settled = true;
                }
                w.respond(server, &Response::tagged(200, &self.tag));
                self.tell(w, Event::EarlyAnswer { body });
            }
            Some(_) => self.peer_offers(w, server, request),
            None => w.respond(server, &Response::tagged(200, &self.tag)),
        }
        self.after_prack(w, pending.status);
    }

    /// What has waited for the PRACK.
    fn after_prack(&mut self, w: &mut World<'_>, status: u16) {
        let (Phase::Ringing(_), Some(reliable)) = (self.phase, &mut self.reliable) else { return };
        if let Some(Answer { body, headers }) = reliable.answer.take() {
            self.answer(w, body, headers);
            self.tell(w, Event::AnswerSent);
        } else if let Some(Progress { status, session, headers }) = reliable.waiting.pop_front() {
            self.progress_reliably(w, status, session, headers);
        } else if reliable.required {
            reliable.status = status;
            self.arm(w, Timer::KeepRinging, KEEP_RINGING);
        }
    }

    // ---- the peer's

    /// A provisional response with an RSeq. False when it must be ignored: a copy, or one that came too early.
    pub(super) fn reliable_provisional(&mut self, w: &mut World<'_>, id: Id, message: &Message) -> bool {
        let required = message.values(Name::Require).any(|tag| tag.eq_ignore_ascii_case(b"100rel"));
        let Some(rseq) = message.header(Name::RSeq).and_then(number).filter(|_| required) else { return true };
        let Some(tag) = message.to().ok().and_then(|to| to.tag()) else { return false };
        let Some(cseq) = w.transactions.clients.parts(id).map(|(parts, _)| parts.cseq) else { return false };
        // An early dialog beyond the limit is not kept, and so has nothing a PRACK could be sent in.
        let Some(fork) = self.forks.iter().position(|fork| fork.remote_tag == tag) else { return false };
        let Some(dialled) = &mut self.dialled else { return false };
        let body = session(message).ok().flatten();
        let offered = body.is_some() && dialled.offer.is_none() && !dialled.settled;
        let known = dialled.acknowledged.iter_mut().find(|known| known.tag == tag);
        let acknowledged = match known {
            Some(known) if known.rseq.checked_add(1) == Some(rseq) && !known.offered => {
                (known.rseq, known.tries, known.offered) = (rseq, 0, offered);
                known
            }
            Some(_) => return false,
            None => {
                let tag = Bytes::copy_from_slice(tag);
                let fresh =
                    Acknowledged { tag, rseq, prack: None, cseq, session: None, tries: 0, offered, answer: None };
                dialled.acknowledged.push(fresh);
                let Some(fresh) = dialled.acknowledged.last_mut() else { return false };
                fresh
            }
        };
        acknowledged.session = None;
        if let Some(body) = body.filter(|_| !offered) {
            acknowledged.answer.get_or_insert(body);
            self.forks[fork].settled = true;
        }
        if offered {
            self.arm(w, Timer::LateAnswer, w.cx.config.offer_timeout);
        } else {
            self.send_prack(w, fork);
        }
        true
    }

    /// Sends the PRACK of what came last in an early dialog.
    fn send_prack(&mut self, w: &mut World<'_>, fork: usize) {
        let (Some(dialog), Some(dialled)) = (self.forks.get_mut(fork), &mut self.dialled) else { return };
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, destination) = dialog.request(&w.cx.config, Method::Prack, branch);
        let known = dialled.acknowledged.iter_mut().find(|known| known.tag == dialog.remote_tag);
        let Some(known) = known else { return };
        let (rack, session, tag) = (Some((known.rseq, known.cseq)), known.session.clone(), known.tag.clone());
        let prack = self.send(w, Role::Prack, parts, destination, Extras { rack, session, ..Extras::default() });
        let dialled = self.dialled.iter_mut().flat_map(|dialled| &mut dialled.acknowledged);
        if let Some(known) = dialled.into_iter().find(|known| known.tag == tag) {
            known.prack = prack;
        }
    }

    /// [`crate::Command::AnswerLate`] for an offer in a provisional response. False when none waits.
    pub(super) fn answer_early(&mut self, w: &mut World<'_>, answer: Option<&Bytes>) -> bool {
        let Some(dialled) = &mut self.dialled else { return false };
        let Some(known) = dialled.acknowledged.iter_mut().find(|known| known.offered) else { return false };
        known.offered = false;
        known.session = answer.cloned();
        let tag = known.tag.clone();
        dialled.settled |= answer.is_some();
        self.disarm(w, Timer::LateAnswer);
        if let Some(fork) = self.forks.iter().position(|fork| fork.remote_tag == tag) {
            self.forks[fork].settled = answer.is_some();
            self.send_prack(w, fork);
        }
        true
    }

    /// True while an offer in a provisional response waits for our answer.
    pub(super) fn owes_early_answer(&self) -> bool {
        self.dialled.as_ref().is_some_and(|dialled| dialled.acknowledged.iter().any(|known| known.offered))
    }

    /// A final response to a PRACK. A challenge is answered; any other refusal leaves the INVITE to its own final response,
    /// which a called side that misses its PRACK owes within 64·T1.
    pub(super) fn prack_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        if status < 200 || self.phase != Phase::Calling {
            return;
        }
        let known = self.dialled.iter_mut().flat_map(|dialled| &mut dialled.acknowledged);
        let Some(known) = known.into_iter().find(|known| known.prack == Some(id)) else { return };
        known.prack = None;
        let (tag, tries) = (known.tag.clone(), known.tries);
        known.tries += 1;
        if status >= 300 && self.challenged(w, id, status, message, tries) {
            if let Some(fork) = self.forks.iter().position(|fork| fork.remote_tag == tag) {
                self.send_prack(w, fork);
            }
        } else if status >= 300 {
            tracing::debug!(leg = %self.id, status, "a PRACK was refused");
        }
    }

    /// Whether the offer and answer of the INVITE are done, in the early dialog of that tag.
    pub(super) fn settled_early(&self, remote_tag: &[u8]) -> bool {
        match self.phase {
            Phase::Ringing(_) => self.reliable.as_ref().is_some_and(|reliable| reliable.settled()),
            // With several early dialogs there is no one session that an offer could change.
            Phase::Calling => {
                matches!(&self.forks[..], [Dialog { remote_tag: tag, settled: true, .. }] if tag == remote_tag)
            }
            Phase::Up | Phase::Over => false,
        }
    }

    /// A provisional response so that proxies on the way keep waiting; true when it had to be a new one.
    pub(super) fn keep_ringing_reliably(&mut self, w: &mut World<'_>) -> bool {
        let Some(reliable) = self.reliable.as_ref().filter(|reliable| reliable.required) else { return false };
        self.progress_reliably(w, reliable.status, None, Vec::new());
        true
    }
}

/// The numbers and the method of RAck.
fn rack(message: &Message) -> Option<(u32, u32, Method)> {
    let mut parts = message.header(Name::RAck)?.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty());
    let (rseq, cseq, method) = (number(parts.next()?)?, number(parts.next()?)?, Method::of(parts.next()?));
    parts.next().is_none().then_some((rseq, cseq, method))
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}
