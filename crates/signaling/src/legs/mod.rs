//! Legs: the INVITE usages above the transactions.
//!
//! A leg is told of by [`Event`]s until its [`Event::Ended`]; it stays in the table until nothing is owed to its peer any
//! more: copies of 2xx to acknowledge, an ACK to wait for before the BYE, a BYE to repeat.

mod dialled;
mod incoming;
mod offers;
mod redirect;
mod refer;
mod reliable;
mod session_timer;
mod snapshot;
mod subscription;
mod update;
mod within;

pub(crate) use self::refer::Named;
pub(crate) use self::session_timer::{Expires, too_small};
pub use self::snapshot::{LegSnapshot, Unrestorable};
use self::{
    dialled::Dialled,
    offers::{OurOffer, PeerOffer, Unacked},
    reliable::Reliable,
    session_timer::SessionTimer,
    subscription::{Follower, Notifier},
};
use crate::{
    Command, EndedBy, Event, Flow, LegId, Listener, Reason, Way,
    compose::{self, Extras, Parts, Response},
    context::{Context, token_index},
    dialog::Dialog,
    message::Request,
    octets, reasons,
    slab::{Id, Slab},
    timer::{Owner, Timer},
    transaction::{COOKIE, FromClient, FromServer, Instead, Outgoing, Role, Transactions, User},
};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use sip_codec::{Message, Method};
use std::{sync::Arc, time::Duration};

/// What legs work with.
pub(crate) struct World<'a> {
    pub(crate) cx: &'a mut Context,
    pub(crate) transactions: &'a mut Transactions,
}

impl World<'_> {
    pub(crate) fn respond(&mut self, server: Id, response: &Response<'_>) {
        self.transactions.servers.respond(self.cx, server, response);
    }
}

/// All legs.
#[derive(Debug, Default)]
pub(crate) struct Legs {
    table: Slab<Leg>,
    by_id: FxHashMap<LegId, Id>,
    last_incoming: u64,
}

/// One party's INVITE usage.
///
/// ```text
///  dialled:   Calling --2xx--> Up --BYE either way--> Over
///                |  `--refused, cancelled, timed out--> Over
///  incoming:  Ringing --200--> Up                  (Over waits for the ACK to a 200 before its BYE)
///                `--refused, cancelled--> Over
/// ```
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    slot: Id,
    listener: Listener,
    contact: String,
    /// Whose certificate the peer must show over TLS.
    peer_name: Option<Arc<str>>,
    /// Our tag.
    tag: String,
    phase: Phase,
    /// The dialog that counts.
    dialog: Option<Dialog>,
    /// Early dialogs of a dialled leg.
    forks: Vec<Dialog>,
    dialled: Option<Box<Dialled>>,
    /// [`Event::Ended`] was told.
    ended: bool,
    /// Client transactions that are alive.
    clients: u32,
    unacked: Option<Unacked>,
    peer_offer: Option<PeerOffer>,
    our_offer: Option<OurOffer>,
    acks: Vec<SentAck>,
    /// Provisional responses to an INVITE whose peer knows `100rel`.
    reliable: Option<Box<Reliable>>,
    session: Option<Box<SessionTimer>>,
    /// A cancelled or abandoned INVITE, forgotten by [`Timer::CancelGrace`].
    abandoned: Option<Id>,
    bye_tries: u8,
    /// The INVITE came without an offer: our 2xx brings one.
    asked: bool,
    /// The peer asked us to call somebody.
    notifier: Option<Box<Notifier>>,
    /// It has done so before.
    referred: bool,
    /// We asked the peer to.
    follower: Option<Box<Follower>>,
    /// The number of the INVITE that came; requests of its early dialog go beyond it.
    invite_cseq: u32,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Our INVITE is out.
    Calling,
    /// Its INVITE is in; this is its transaction.
    Ringing(Id),
    /// Answered by 2xx.
    Up,
    /// Done, but for what is owed.
    Over,
}

/// Bytes of the longest request that goes as a datagram where the peer may take a connection (RFC 3261 section 18.1.1).
const LONGEST_DATAGRAM: usize = 1_300;

/// How often a BYE is sent that was challenged or overtaken.
const BYES: u8 = 3;

/// An ACK to a 2xx, sent again for each copy of the 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SentAck {
    #[serde(with = "octets")]
    tag: Bytes,
    cseq: u32,
    #[serde(with = "octets")]
    bytes: Bytes,
    flow: Flow,
}

const TIMERS: [Timer; 18] = [
    Timer::C,
    Timer::Unheard,
    Timer::Repeat2xx,
    Timer::AwaitAck,
    Timer::KeepRinging,
    Timer::Answer,
    Timer::OfferReply,
    Timer::LateAnswer,
    Timer::CancelGrace,
    Timer::Glare,
    Timer::ReInvite,
    Timer::ReferReply,
    Timer::ReferExpires,
    Timer::Referral,
    Timer::RepeatReliable,
    Timer::AwaitPrack,
    Timer::RefreshSession,
    Timer::Expire,
];

impl Legs {
    /// How many entries each table has.
    pub(crate) fn tables(&self) -> [(&'static str, usize); 2] {
        [("signaling.legs", self.table.len()), ("signaling.leg_ids", self.by_id.len())]
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn dialogs(&self) -> usize {
        self.table.iter().map(|(_, leg)| usize::from(leg.dialog.is_some()) + leg.forks.len()).sum()
    }

    /// True while a leg is up, or waits for the ACK to its 2xx.
    pub(crate) fn is_owed(&self) -> bool {
        self.table.iter().any(|(_, leg)| !leg.ended || leg.unacked.is_some())
    }

    pub(crate) fn has(&self, slot: Id) -> bool {
        self.table.get(slot).is_some()
    }

    /// The leg whose dialog a request speaks of.
    pub(crate) fn find(&self, request: &Request) -> Option<Id> {
        let tag = request.to_tag()?;
        let (slot, leg) = self.table.at(token_index(tag, "")?)?;
        let remote = request.sender_tag().unwrap_or_default();
        let mut dialogs = leg.dialog.iter().chain(&leg.forks);
        let known = leg.tag.as_bytes() == tag
            && (dialogs.any(|dialog| dialog.call_id == request.call_id() && dialog.remote_tag == remote)
                || leg.is_left_before_its_answer(request));
        known.then_some(slot)
    }

    /// True when a request comes from where the leg's peer speaks.
    pub(crate) fn knows(&self, slot: Id, source: std::net::SocketAddr) -> bool {
        let Some(leg) = self.table.get(slot) else { return false };
        leg.dialog.iter().chain(&leg.forks).any(|dialog| dialog.knows(source.ip()))
    }

    /// The session timer that a leg goes by, where it has one.
    pub(crate) fn session_timer(&self, slot: Id) -> Option<crate::SessionTimer> {
        Some(self.table.get(slot)?.session.as_ref()?.policy())
    }

    pub(crate) fn command(&mut self, w: &mut World<'_>, command: Command) {
        if let Command::Dial { leg, dial } = command {
            self.dial(w, leg, *dial);
            return;
        }
        let Some(&slot) = self.by_id.get(&command.leg()) else { return };
        if let Command::Refer { refer, .. } = command {
            return self.send_refer(w, slot, &refer);
        }
        self.with(w, slot, |leg, w| match command {
            Command::Dial { .. } | Command::Refer { .. } => {}
            Command::Progress { status, answer, headers, .. } => leg.progress(w, status, answer, headers),
            Command::Answer { body, headers, .. } => leg.answer(w, body, headers),
            Command::Reject { status, reason, headers, .. } => leg.reject(w, status, reason.as_deref(), headers),
            Command::AcceptOffer { answer, .. } => leg.accept_offer(w, answer),
            Command::RefuseOffer { status, .. } => leg.refuse_offer(w, status),
            Command::Offer { offer, .. } => leg.offer(w, offer),
            Command::AcceptRefer { .. } => leg.accept_refer(w),
            Command::RefuseRefer { status, .. } => leg.refuse_refer(w, status),
            Command::NotifyRefer { status, .. } => leg.notify_refer(w, status),
            Command::AnswerLate { answer, .. } => {
                if !leg.answer_early(w, Some(&answer)) {
                    leg.answer_late(w, Some(answer));
                }
            }
            Command::Hangup { reason, .. } => leg.hangup(w, reason),
        });
    }

    pub(crate) fn client_told(&mut self, w: &mut World<'_>, told: FromClient) {
        let User { leg: slot, role } = told.user();
        self.with(w, slot, |leg, w| {
            let failure = match told {
                FromClient::Response { id, message, .. } => {
                    leg.response(w, role, id, &message);
                    return;
                }
                FromClient::Over { .. } => None,
                FromClient::TimedOut { .. } => Some((EndedBy::Timeout, 408)),
                FromClient::Failed { .. } => Some((EndedBy::Transport, 503)),
            };
            leg.clients = leg.clients.saturating_sub(1);
            if let Some((by, status)) = failure {
                leg.unanswered(w, role, by, status);
            }
        });
    }

    pub(crate) fn server_told(&mut self, w: &mut World<'_>, told: FromServer) {
        let FromServer::Over { leg } = told;
        if let Some(slot) = leg {
            self.with(w, slot, |_, _| {});
        }
    }

    pub(crate) fn timer(&mut self, w: &mut World<'_>, slot: Id, timer: Timer) {
        self.with(w, slot, |leg, w| leg.timer(w, timer));
    }

    /// An ACK to a 2xx.
    pub(crate) fn ack(&mut self, w: &mut World<'_>, slot: Id, ack: &Request) {
        self.with(w, slot, |leg, w| leg.acked(w, ack));
    }

    /// A request within a leg's dialog, in a transaction of its own.
    pub(crate) fn request(&mut self, w: &mut World<'_>, slot: Id, server: Id, request: &Request) {
        if request.method == Method::Refer {
            return self.refer_came(w, slot, server, request);
        }
        self.with(w, slot, |leg, w| leg.request(w, server, request));
    }

    /// A CANCEL of an INVITE that belongs to a leg. The CANCEL itself is answered here.
    pub(crate) fn cancel(&mut self, w: &mut World<'_>, slot: Id, invite: Id, server: Id, cancel: &Request) {
        self.with(w, slot, |leg, w| leg.cancelled(w, invite, server, cancel));
    }

    /// Lets a leg act, and drops it when nothing is left to do for it.
    fn with(&mut self, w: &mut World<'_>, slot: Id, act: impl FnOnce(&mut Leg, &mut World<'_>)) {
        let Some(leg) = self.table.get_mut(slot) else { return };
        act(leg, w);
        if leg.is_done() {
            leg.drop_offers(w);
            let owner = Owner::Leg(slot);
            for timer in TIMERS {
                w.cx.disarm(owner, timer);
            }
            self.by_id.remove(&leg.id);
            self.table.remove(slot);
        }
    }

    fn insert(&mut self, leg: Leg) -> Id {
        let id = leg.id;
        let slot = self.table.insert(leg);
        self.by_id.insert(id, slot);
        slot
    }
}

impl Leg {
    fn new(id: LegId, slot: Id, listener: Listener, secure: bool, tag: String, phase: Phase) -> Self {
        Self {
            id,
            slot,
            listener,
            contact: compose::contact(listener, secure),
            peer_name: None,
            tag,
            phase,
            dialog: None,
            forks: Vec::new(),
            dialled: None,
            ended: false,
            clients: 0,
            unacked: None,
            peer_offer: None,
            our_offer: None,
            acks: Vec::new(),
            reliable: None,
            session: None,
            abandoned: None,
            bye_tries: 0,
            asked: false,
            notifier: None,
            referred: false,
            follower: None,
            invite_cseq: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.ended && self.clients == 0 && self.unacked.is_none() && self.notifier.is_none()
    }

    fn arm(&self, w: &mut World<'_>, timer: Timer, wait: Duration) {
        w.cx.arm(Owner::Leg(self.slot), timer, wait);
    }

    fn disarm(&self, w: &mut World<'_>, timer: Timer) {
        w.cx.disarm(Owner::Leg(self.slot), timer);
    }

    fn tell(&self, w: &mut World<'_>, event: Event) {
        if !self.ended {
            w.cx.event(self.id, event);
        }
    }

    /// Tells the end, once, and stops what concerned call control alone.
    fn end(
        &mut self,
        w: &mut World<'_>,
        by: EndedBy,
        status: Option<u16>,
        reason: Option<Reason>,
        retry_after: Option<Duration>,
    ) {
        self.tell(w, Event::Ended { by, status, reason, retry_after });
        self.ended = true;
        for timer in [
            Timer::C,
            Timer::Unheard,
            Timer::KeepRinging,
            Timer::Answer,
            Timer::OfferReply,
            Timer::LateAnswer,
            Timer::Glare,
        ] {
            self.disarm(w, timer);
        }
        self.drop_refers(w);
        self.stop_repeating(w);
        self.stop_session(w);
    }

    /// [`Command::Hangup`].
    fn hangup(&mut self, w: &mut World<'_>, reason: Option<Reason>) {
        if self.ended {
            return;
        }
        let phase = self.phase;
        self.end(w, EndedBy::Us, None, None, None);
        match phase {
            Phase::Calling => self.cancel_invite(w, reason),
            Phase::Ringing(invite) => {
                self.phase = Phase::Over;
                self.dialog = None;
                w.respond(invite, &Response::tagged(487, &self.tag));
            }
            Phase::Up => self.bye(w, reason),
            Phase::Over => {}
        }
    }

    /// Ends an answered leg toward its peer. The BYE to a 2xx of ours waits for the ACK (RFC 3261 section 15).
    fn bye(&mut self, w: &mut World<'_>, reason: Option<Reason>) {
        self.phase = Phase::Over;
        self.drop_offers(w);
        if let Some(unacked) = &mut self.unacked
            && unacked.opens
        {
            unacked.bye = Some(reason);
            return;
        }
        self.stop_waiting_for_ack(w);
        self.answer_late(w, None);
        self.send_bye(w, reason.as_ref());
    }

    fn send_bye(&mut self, w: &mut World<'_>, reason: Option<&Reason>) {
        let Some(mut dialog) = self.dialog.take() else { return };
        let branch = w.transactions.clients.branch(w.cx);
        let (parts, flow) = dialog.request(&w.cx.config, Method::Bye, branch);
        self.dialog = Some(dialog);
        self.send(w, Role::Bye, parts, flow, Extras { reason, ..Extras::default() });
    }

    /// Sends a request of this leg, with credentials where they are due.
    fn send(&mut self, w: &mut World<'_>, role: Role, parts: Parts, flow: Flow, extras: Extras<'_>) -> Option<Id> {
        let credentials = match role {
            Role::Cancel => Vec::new(),
            _ => self.credentials(w, &parts, flow),
        };
        let outgoing = self.outgoing(w, role, parts, flow, Extras { credentials: &credentials, ..extras })?;
        self.clients += 1;
        Some(w.transactions.clients.start(w.cx, outgoing))
    }

    /// A request as it goes out: over TCP, if the peer will take that, when it is too long for a datagram (18.1.1).
    fn outgoing(&self, w: &World<'_>, role: Role, parts: Parts, flow: Flow, extras: Extras<'_>) -> Option<Outgoing> {
        let user = User { leg: self.slot, role };
        let peer_name = self.peer_name.clone();
        let bytes = compose::request(&w.cx.config, &parts, extras.clone())?;
        let stream = if bytes.len() > LONGEST_DATAGRAM { w.cx.stream_instead(&flow) } else { None };
        let Some((stream, listener)) = stream else {
            return Some(Outgoing { user, flow, peer_name, parts, bytes, instead: None });
        };
        let long = Parts { transport: stream.transport, sent_by: listener.advertised, ..parts.clone() };
        let long_bytes = compose::request(&w.cx.config, &long, extras)?;
        let instead = Some(Box::new(Instead { flow, parts, bytes }));
        Some(Outgoing { user, flow: stream, peer_name, parts: long, bytes: long_bytes, instead })
    }

    /// Sends the ACK of a 2xx, and keeps it for the copies (13.2.2.4).
    fn acknowledge(&mut self, w: &mut World<'_>, dialog: &Dialog, cseq: u32, session: Option<Bytes>) {
        let branch = w.cx.token(COOKIE, u32::MAX);
        let (parts, flow) = dialog.numbered(&w.cx.config, Method::Ack, cseq, branch);
        let credentials = match &self.dialled {
            Some(dialled) if dialled.shows_credentials_to(flow) => &dialled.credentials[..],
            _ => &[],
        };
        let extras = Extras { credentials, session, ..Extras::default() };
        let Some(bytes) = compose::request(&w.cx.config, &parts, extras) else { return };
        w.cx.counters.message("ACK", Way::Out, 0);
        w.cx.transmit(flow, self.peer_name.clone(), bytes.clone());
        if self.acks.len() > w.cx.config.limits.forks {
            self.acks.remove(0);
        }
        self.acks.push(SentAck { tag: dialog.remote_tag.clone(), cseq, bytes, flow });
    }

    /// A copy of a 2xx draws its ACK again. True when it was one.
    fn acknowledged_before(&self, w: &mut World<'_>, tag: &[u8], cseq: u32) -> bool {
        let sent = self.acks.iter().find(|ack| ack.tag == tag && ack.cseq == cseq);
        if let Some(ack) = sent {
            w.cx.counters.retransmissions += 1;
            w.cx.transmit(ack.flow, self.peer_name.clone(), ack.bytes.clone());
        }
        sent.is_some()
    }

    fn response(&mut self, w: &mut World<'_>, role: Role, id: Id, message: &Message) {
        let status = message.status().unwrap_or(500);
        match role {
            Role::Invite => self.invite_response(w, id, status, message),
            Role::ReInvite => self.reinvite_response(w, id, status, message),
            Role::Bye if matches!(status, 401 | 407) => self.bye_challenged(w, id, status, message),
            Role::Bye if status == 500 => self.bye_out_of_order(w, id),
            Role::Refer => self.refer_response(w, id, status, message),
            Role::Notify => self.notify_response(w, id, status, message),
            Role::Prack => self.prack_response(w, id, status, message),
            Role::Update => self.update_response(w, id, status, message),
            Role::Bye | Role::ExtraBye | Role::Cancel | Role::Outside => {}
        }
    }

    /// A request of ours had no final response.
    fn unanswered(&mut self, w: &mut World<'_>, role: Role, by: EndedBy, status: u16) {
        match role {
            Role::Invite => {
                self.phase = Phase::Over;
                self.forks.clear();
                self.end(w, by, Some(status), None, None);
            }
            Role::ReInvite => self.reinvite_failed(w, by, status),
            Role::Refer | Role::Notify => self.refer_unanswered(w, role, by),
            Role::Update => self.update_failed(w, by, status),
            // The called side misses its PRACK and refuses its INVITE.
            Role::Prack => {}
            Role::Cancel | Role::Bye | Role::ExtraBye | Role::Outside => {}
        }
    }

    fn bye_challenged(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        let tries = self.bye_tries;
        if self.challenged(w, id, status, message, tries) {
            self.bye_tries += 1;
            self.send_bye(w, None);
        }
    }

    /// A NOTIFY of ours overtook the BYE, which came too late to be in order (12.2.2): its peer is still in the call.
    fn bye_out_of_order(&mut self, w: &mut World<'_>, id: Id) {
        let number = w.transactions.clients.parts(id).map(|(parts, _)| parts.cseq);
        let overtaken = self.dialog.as_ref().map(|dialog| dialog.local_cseq) > number;
        if overtaken && self.bye_tries < BYES {
            self.bye_tries += 1;
            self.send_bye(w, None);
        }
    }

    fn timer(&mut self, w: &mut World<'_>, timer: Timer) {
        match timer {
            Timer::C => self.invite_timed_out(w),
            Timer::Unheard => self.nobody_answers(w),
            Timer::Repeat2xx => self.repeat_2xx(w),
            Timer::AwaitAck => self.ack_never_came(w),
            Timer::KeepRinging => self.keep_ringing(w),
            Timer::Answer => self.never_answered(w),
            Timer::OfferReply => self.refuse_offer(w, 500),
            Timer::LateAnswer => self.late_answer_never_came(w),
            Timer::Glare => self.try_offer(w),
            Timer::ReInvite => self.reinvite_timed_out(w),
            Timer::ReferReply => self.refuse_refer(w, 500),
            Timer::ReferExpires => self.refer_expired(w),
            Timer::Referral => self.refer_timed_out(w),
            Timer::RepeatReliable => self.repeat_reliable(w),
            Timer::AwaitPrack => self.prack_never_came(w),
            Timer::RefreshSession => self.refresh_session(w),
            Timer::Expire => self.session_expired(w),
            Timer::CancelGrace => {
                if let Some(id) = self.abandoned.take()
                    && w.transactions.clients.forget(w.cx, id)
                {
                    self.clients = self.clients.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    /// Sees to it that an INVITE of ours that has no final response does not stay for ever.
    fn abandon(&mut self, w: &mut World<'_>, id: Id) {
        self.abandoned = Some(id);
        self.arm(w, Timer::CancelGrace, w.cx.timing.give_up());
    }
}

fn retry_after(message: &Message) -> Option<Duration> {
    message.retry_after().map(|seconds| Duration::from_secs(seconds.into()))
}

fn reason(message: &Message) -> Option<Reason> {
    reasons::read(message)
}
