//! UPDATE of ours with an offer, for a session that was agreed on before the INVITE's final response (RFC 3311).

use super::{Leg, Phase, World, offers::TRIES};
use crate::{
    EndedBy, Event, compose::Extras, dialog::Dialog, message::session, slab::Id, timer::Timer, transaction::Role,
};
use bytes::Bytes;
use sip_codec::{Message, Method};
use std::time::Duration;

impl Leg {
    /// The early dialog in which we may offer: its session is settled, and its peer takes UPDATE (section 5.1).
    pub(super) fn early_dialog_for_update(&mut self) -> Option<&mut Dialog> {
        let settled = match self.phase {
            Phase::Ringing(_) => self.reliable.as_ref().is_some_and(|reliable| reliable.settled()),
            _ => false,
        };
        let dialog = match (self.phase, &mut self.forks[..]) {
            (Phase::Ringing(_), _) if settled => self.dialog.as_mut(),
            (Phase::Calling, [only]) if only.settled => Some(only),
            _ => None,
        };
        dialog.filter(|dialog| dialog.takes_update)
    }

    /// Sends our offer before the leg is answered.
    pub(super) fn offer_by_update(&mut self, w: &mut World<'_>, offer: Bytes) {
        let branch = w.transactions.clients.branch(w.cx);
        let sent = self.early_dialog_for_update().map(|dialog| dialog.request(&w.cx.config, Method::Update, branch));
        let contact = self.contact.clone();
        let update = sent.and_then(|(parts, destination)| {
            let extras = Extras { contact: Some(&contact), session: Some(offer), ..Extras::default() };
            self.send(w, Role::Update, parts, destination, extras)
        });
        match (&mut self.our_offer, update) {
            (Some(ours), Some(_)) => (ours.invite, ours.update) = (update, true),
            _ => {
                self.our_offer = None;
                self.tell(w, Event::OfferDone { result: Err(500) });
            }
        }
    }

    /// A response to an UPDATE of ours: one that offers, or one that refreshes.
    pub(super) fn update_response(&mut self, w: &mut World<'_>, id: Id, status: u16, message: &Message) {
        if self.refresh_response(w, id, status, message) || status < 200 {
            return;
        }
        let Some(ours) = self.our_offer.as_mut().filter(|ours| ours.invite == Some(id)) else { return };
        ours.invite = None;
        ours.tries += 1;
        let (tries, credentialed) = (ours.tries, ours.credentialed);
        match status {
            200..300 => {
                let tag = message.to().ok().and_then(|to| to.tag()).unwrap_or_default();
                let dialogs = self.dialog.iter_mut().chain(&mut self.forks);
                dialogs.filter(|dialog| dialog.remote_tag == tag).for_each(|dialog| dialog.refresh(message));
                self.our_offer = None;
                let answer = session(message).ok().flatten();
                self.tell(w, Event::OfferDone { result: answer.ok_or(488) });
            }
            491 if tries < TRIES && self.phase != Phase::Over => self.wait_after_glare(w),
            401 | 407 if self.challenged(w, id, status, message, credentialed) => {
                if let Some(ours) = &mut self.our_offer {
                    ours.credentialed += 1;
                }
                self.try_offer(w);
            }
            _ => {
                self.our_offer = None;
                self.tell(w, Event::OfferDone { result: Err(status) });
            }
        }
    }

    /// The owner of the Call-ID waits longer (RFC 3261 section 14.1).
    pub(super) fn wait_after_glare(&self, w: &mut World<'_>) {
        let (low, high) = if self.dialled.is_some() { (2_100, 4_000) } else { (0, 2_000) };
        let wait = w.cx.between(Duration::from_millis(low), Duration::from_millis(high));
        self.arm(w, Timer::Glare, wait);
    }

    /// An UPDATE of ours had no final response.
    pub(super) fn update_failed(&mut self, w: &mut World<'_>, by: EndedBy, status: u16) {
        if self.phase == Phase::Up {
            // Whether it offered or refreshed: nobody answers within the dialog (RFC 4028 section 10).
            self.reinvite_failed(w, by, status);
        } else if self.our_offer.as_ref().is_some_and(|ours| ours.update) {
            self.our_offer = None;
            self.tell(w, Event::OfferDone { result: Err(status) });
        }
    }
}
