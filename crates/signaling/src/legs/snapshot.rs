//! A leg written down, and taken up again: by this process or by another.

use super::{Dialled, Leg, Legs, Phase, SentAck, SessionTimer, World, dialled::Written};
use crate::{
    LegId, Listener,
    context::Context,
    dialog::Dialog,
    slab::Id,
    timer::{Owner, Timer},
    transaction::Transactions,
};
use clock::Monotonic;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};

/// The version of a snapshot's shape.
const VERSION: u32 = 1;

/// A leg as plain data: its dialog, its session timer, the ACKs it has sent, what it may answer challenges with. The last makes it a secret.
///
/// A leg can be written down while it is answered and nothing is under way in it: no transaction of an INVITE is left (32 s after the
/// last, when no copy can come any more), no request of ours waits for its answer, no offer of either side and no REFER is open. Before the
/// answer, in the middle of a change and after the end there is nothing to go on with: the peer's own timers carry it through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegSnapshot {
    version: u32,
    id: LegId,
    /// Our tag says where in the table the leg is.
    slot: Id,
    listener: Listener,
    contact: String,
    peer_name: Option<Arc<str>>,
    tag: String,
    dialog: Dialog,
    dialled: Option<Written>,
    session: Option<SessionTimer>,
    acks: Vec<SentAck>,
    referred: bool,
    invite_cseq: u32,
    /// How long until these are due.
    refresh_in: Option<Duration>,
    expires_in: Option<Duration>,
}

impl LegSnapshot {
    /// Which leg it is.
    pub const fn leg(&self) -> LegId {
        self.id
    }
}

/// Why a leg cannot be taken up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrestorable {
    /// Of another version of this program.
    #[error("found a leg of version {0}, expected version {VERSION}")]
    Version(u32),
    /// Another leg has its place: legs are taken up before new ones begin.
    #[error("found the place of leg {0} taken, expected it free: legs are taken up before new ones begin")]
    Taken(LegId),
}

impl Legs {
    pub(crate) fn ids(&self) -> impl Iterator<Item = LegId> {
        self.table.iter().filter(|(_, leg)| !leg.ended).map(|(_, leg)| leg.id)
    }

    pub(crate) fn snapshot(
        &self,
        now: Monotonic,
        cx: &Context,
        transactions: &Transactions,
        leg: LegId,
    ) -> Option<LegSnapshot> {
        let slot = *self.by_id.get(&leg)?;
        let leg = self.table.get(slot).filter(|leg| leg.is_quiet() && !transactions.servers.any_of(slot))?;
        let left = |timer| cx.timers.deadline((Owner::Leg(slot), timer)).map(|due| due.since(now));
        Some(LegSnapshot {
            version: VERSION,
            id: leg.id,
            slot,
            listener: leg.listener,
            contact: leg.contact.clone(),
            peer_name: leg.peer_name.clone(),
            tag: leg.tag.clone(),
            dialog: leg.dialog.clone()?,
            dialled: leg.dialled.as_ref().map(|dialled| dialled.write()),
            session: leg.session.as_deref().cloned(),
            acks: leg.acks.clone(),
            referred: leg.referred,
            invite_cseq: leg.invite_cseq,
            refresh_in: left(Timer::RefreshSession),
            expires_in: left(Timer::Expire),
        })
    }

    pub(crate) fn restore(&mut self, w: &mut World<'_>, snapshot: LegSnapshot) -> Result<(), Unrestorable> {
        let LegSnapshot { version, id, slot, listener, tag, .. } = snapshot;
        if version != VERSION {
            return Err(Unrestorable::Version(version));
        }
        if self.table.at(slot.index).is_some_and(|(_, other)| other.id != id) {
            return Err(Unrestorable::Taken(id));
        }
        if id.is_incoming() {
            self.last_incoming = self.last_incoming.max(id.0 & !LegId::INCOMING);
        }
        let mut leg = Leg::new(id, slot, listener, false, tag, Phase::Up);
        leg.contact = snapshot.contact;
        leg.peer_name = snapshot.peer_name;
        leg.dialog = Some(snapshot.dialog);
        leg.dialled = snapshot.dialled.map(|written| Box::new(Dialled::read(written, slot)));
        leg.session = snapshot.session.map(Box::new);
        leg.acks = snapshot.acks;
        (leg.referred, leg.invite_cseq) = (snapshot.referred, snapshot.invite_cseq);
        for (timer, left) in [(Timer::RefreshSession, snapshot.refresh_in), (Timer::Expire, snapshot.expires_in)] {
            match left {
                Some(left) => leg.arm(w, timer, left),
                None => leg.disarm(w, timer),
            }
        }
        self.table.put(slot, leg);
        self.by_id.insert(id, slot);
        Ok(())
    }
}

impl Leg {
    /// Answered, and nothing under way.
    fn is_quiet(&self) -> bool {
        self.phase == Phase::Up
            && !self.ended
            && self.clients == 0
            && self.forks.is_empty()
            && self.unacked.is_none()
            && self.peer_offer.is_none()
            && self.our_offer.is_none()
            && self.notifier.is_none()
            && self.follower.is_none()
            && self.abandoned.is_none()
            && !self.owes_late_answer()
            && self.session.as_ref().is_none_or(|session| !session.is_refreshing())
            && self.reliable.as_ref().is_none_or(|reliable| !reliable.waits())
    }
}
