//! What concerns two calls: a leg that takes another's place, and a party who joins two of their calls (RFC 5589 section 7).

use super::Core;
use crate::Output;
use clock::Now;
use media_relay::CallKey;
use signaling::{Command, Incoming, LegId, ReferRequest};

impl Core {
    /// A call comes to take the place of a leg.
    pub(super) fn replacing(&mut self, now: Now, leg: LegId, replaces: LegId, incoming: &Incoming) {
        let Some(key) = self.shared.legs.get(&replaces).copied() else { return self.refuse(leg, None, 481) };
        let mut outcome = Err(500);
        self.step(now, key, |call, step| outcome = call.replace(step, leg, replaces, incoming));
        if let Err(status) = outcome {
            self.refuse(leg, None, status);
        }
    }

    /// A party asks that the other be called away: elsewhere, or to the party of another call of ours.
    pub(super) fn refer(&mut self, now: Now, leg: LegId, refer: ReferRequest) {
        let Some(key) = self.shared.legs.get(&leg).copied() else {
            return self.out.push_back(Output::Signaling(Command::RefuseRefer { leg, status: 481 }));
        };
        let other = refer.replaced.and_then(|replaced| Some((*self.shared.legs.get(&replaced)?, replaced)));
        match other {
            Some((other, replaced)) if other != key => self.join(now, (key, leg), (other, replaced), refer),
            _ => self.step(now, key, |call, step| call.refer(step, leg, refer)),
        }
    }

    /// The transferor has a leg in each of two calls; the parties at the other ends are joined and both legs end. The call
    /// in which the transferor is the human goes on, with the party of the other call in their place.
    fn join(&mut self, now: Now, asked: (CallKey, LegId), named: (CallKey, LegId), refer: ReferRequest) {
        let refuse = |core: &mut Self, status| {
            core.out.push_back(Output::Signaling(Command::RefuseRefer { leg: asked.1, status }));
        };
        let keeps = |core: &Self, (key, leg): (CallKey, LegId)| {
            core.calls.get(&key).is_some_and(|entry| entry.call.may_exchange(leg))
        };
        let (kept, given) = match (keeps(self, asked), keeps(self, named)) {
            (true, _) => (asked, named),
            (false, true) => (named, asked),
            (false, false) => return refuse(self, 603),
        };
        if !self.config.media.joinable {
            return refuse(self, 603);
        }
        let Some(into) = self.calls.get(&kept.0).map(|entry| entry.call.about.id) else { return refuse(self, 603) };
        let Some(partner) = self.calls.get(&given.0).and_then(|entry| entry.call.partner_of(given.1)) else {
            return refuse(self, 603);
        };
        // The outcome is certain from here on, and told before the legs that are told of it end.
        self.out.push_back(Output::Signaling(Command::AcceptRefer { leg: asked.1 }));
        self.out.push_back(Output::Signaling(Command::NotifyRefer { leg: asked.1, status: 200 }));
        let from = self.calls.get(&given.0).map(|entry| entry.call.about.id);
        let mut party = None;
        self.step(now, given.0, |call, step| party = call.give_away(step, partner, kept.0, into));
        if let (Some(party), Some(from)) = (party, from) {
            self.step(now, kept.0, |call, step| call.take_in(step, kept.1, party, from, refer));
        }
    }
}
