//! Who hears whom: a plan's sources become feeds, and ports learn who listens to them.

use crate::{
    CallKey, MAX_MIXED, PortId, Source, Worker,
    ear::{BLOCK_NS, Ear},
    mix::Mix,
    player::Player,
    port::{Feed, Relayed},
    worker::{Slot, Wire},
};
use clock::Monotonic;
use smallvec::SmallVec;

/// The parties of a listener.
type Parties = SmallVec<[Slot; 2]>;

impl Worker {
    /// From now on the listener hears `source`. Nothing changes when it does already, and in the same way.
    pub(crate) fn listen(&mut self, now: Monotonic, slot: Slot, source: &Source, wire: &mut impl Wire) {
        let parties = self.parties(slot, source);
        let forwards = parties.len() == 1 && self.forwards(slot, parties[0]);
        let swallow = parties.first().filter(|_| forwards).and_then(|from| self.port(*from)?.digits_in.latest());
        let (library, ringback) = (self.library.clone(), self.ringback.clone());
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        let same_way = match &port.feed {
            Feed::Leg(relayed) => forwards && relayed.from == parties[0],
            Feed::Mix(mix) => !forwards && mix.parties == parties,
            Feed::Nothing | Feed::Silence | Feed::Play(_) => parties.is_empty(),
        };
        if port.source == *source && same_way {
            return;
        }
        // A play under its id goes on even if the rest of it changed; what was added to its clips is said too.
        if let (Source::Play(new), Source::Play(old)) = (source, &port.source)
            && new.id == old.id
        {
            if let Feed::Play(player) = &mut port.feed
                && new.first.starts_with(&old.first)
            {
                player.extend(&new.first, &library);
                port.source = source.clone();
            }
            return;
        }
        // What was said last is looked up once, when the play begins.
        let words = match source {
            Source::Play(play) if !port.is_suspended(play.id) => play.words,
            _ => None,
        };
        let words = words.and_then(|words| Some((words.after, self.words(slot, &words)?)));
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        let feed = match source {
            Source::Nothing => Feed::Nothing,
            Source::Port(_) | Source::Mix(_) if forwards => {
                Feed::Leg(Relayed { from: parties[0], mapping: None, swallow })
            }
            Source::Port(_) | Source::Mix(_) if !parties.is_empty() => Feed::Mix(Mix::new(parties)),
            Source::Silence | Source::Port(_) | Source::Mix(_) => Feed::Silence,
            Source::Play(play) => Feed::Play(match port.resume(play.id) {
                Some(mut player) => {
                    player.extend(&play.first, &library);
                    player.go_on();
                    player
                }
                None => {
                    let left_off = port.left_off(&play.then).cloned();
                    Player::new(play, words, &library, &ringback, left_off, &mut self.chance)
                }
            }),
            Source::Ringback => Feed::Play(Player::ringback(ringback, &mut self.chance)),
        };
        let before = port.sender.packets;
        port.switch(now, source.clone(), feed, wire);
        let sent = port.sender.packets - before;
        self.counters.packets_sent += sent;
        self.schedule(slot);
    }

    /// Codecs of the call changed: whoever was forwarded to may need conversion now, or none any more.
    pub(crate) fn wire_up(&mut self, now: Monotonic, call: CallKey, wire: &mut impl Wire) {
        let slots = self.calls.get(&call).map(|call| call.ports.clone()).unwrap_or_default();
        for slot in slots {
            let source = self.port(slot).map(|port| port.source.clone());
            if let Some(source @ (Source::Port(_) | Source::Mix(_))) = source {
                self.listen(now, slot, &source, wire);
            }
        }
        self.connect(call);
    }

    /// Tells every port of a call who listens to its packets, and opens an ear where somebody must hear them decoded.
    pub(crate) fn connect(&mut self, call: CallKey) {
        let slots = self.calls.get(&call).map(|call| call.ports.clone()).unwrap_or_default();
        for slot in &slots {
            let mut listeners = SmallVec::new();
            let (mut decoded, mut hides_tones) = (false, true);
            for other in &slots {
                let Some(listener) = self.port(*other) else { continue };
                match &listener.feed {
                    Feed::Leg(relayed) if relayed.from == *slot => listeners.push(*other),
                    Feed::Mix(mix) if mix.parties.contains(slot) => decoded = true,
                    _ => continue,
                }
                hides_tones &= listener.is_told_digits();
            }
            let Some(port) = self.port(*slot) else { continue };
            (port.listeners, port.hides_tones) = (listeners, hides_tones);
            let codec = port.receiving.or(port.stream.as_ref().map(|stream| stream.codec)).filter(|_| decoded);
            if codec != port.ear.as_ref().map(|ear| ear.codec()) {
                port.stats.note(port.ear.take().as_deref());
                port.ear = codec.map(|codec| Box::new(Ear::new(codec)));
            }
        }
    }

    /// Nobody of the call hears the port any more, and the port is none of the call's.
    pub(crate) fn leave(&mut self, now: Monotonic, slot: Slot, id: PortId, call: CallKey, wire: &mut impl Wire) {
        let others = self.calls.get_mut(&call).map(|call| {
            call.ports.retain(|other| *other != slot);
            call.ports.clone()
        });
        for other in others.iter().flatten() {
            let Some(listener) = self.port(*other) else { continue };
            listener.listeners.retain(|listener| *listener != slot);
            let without = match &listener.source {
                Source::Port(heard) if *heard == id => Source::Silence,
                Source::Mix(ids) if ids.contains(&id) => {
                    Source::Mix(ids.iter().copied().filter(|other| *other != id).collect())
                }
                _ => continue,
            };
            self.listen(now, *other, &without, wire);
        }
        self.connect(call);
        if others.is_none_or(|others| others.is_empty()) {
            self.calls.remove(&call);
        }
    }

    /// The port belongs to another call from now on; what was said in the one before is nothing to it.
    pub(crate) fn adopt(&mut self, now: Monotonic, id: PortId, call: CallKey, wire: &mut impl Wire) {
        let Some(slot) = self.slot(id) else { return };
        let Some(before) = self.port(slot).map(|port| port.call).filter(|before| *before != call) else { return };
        self.leave(now, slot, id, before, wire);
        self.listen(now, slot, &Source::Silence, wire);
        if let Some(port) = self.port(slot) {
            port.call = call;
            port.tapping.clear();
            port.listeners.clear();
            port.ear = None;
            port.memory = None;
        }
        self.calls.entry(call).or_default().ports.push(slot);
    }

    /// The ports a source names that can be heard: others, of the same call, each once.
    fn parties(&self, listener: Slot, source: &Source) -> Parties {
        let call = self.ports.get(listener.0 as usize).and_then(Option::as_deref).map(|port| port.call);
        let heard = |id: &PortId| {
            let slot = self.slot(*id).filter(|slot| *slot != listener)?;
            let port = self.ports.get(slot.0 as usize).and_then(Option::as_deref)?;
            (Some(port.call) == call).then_some(slot)
        };
        let mut parties = Parties::new();
        let ids = match source {
            Source::Port(id) => std::slice::from_ref(id),
            Source::Mix(ids) => ids.as_slice(),
            _ => &[],
        };
        for slot in ids.iter().filter_map(heard) {
            if parties.len() < MAX_MIXED && !parties.contains(&slot) {
                parties.push(slot);
            }
        }
        parties
    }

    /// Whether packets of `from` reach the listener as they are, or word by word. Before both are described: they will.
    fn forwards(&self, listener: Slot, from: Slot) -> bool {
        let at = |slot: Slot| self.ports.get(slot.0 as usize).and_then(Option::as_deref);
        let (Some(listener), Some(from)) = (at(listener), at(from)) else { return true };
        let sent = from.receiving.or(from.stream.as_ref().map(|stream| stream.codec));
        match (sent, listener.stream.as_ref().map(|stream| stream.codec)) {
            (Some(sent), Some(wanted)) => sent.converts_in_place(wanted),
            _ => true,
        }
    }

    /// Mixes what a port's listener hears in the frame that ends at `due`.
    pub(crate) fn gather(&mut self, slot: Slot, due: Monotonic) {
        let Some(port) = self.ports.get(slot.0 as usize).and_then(Option::as_deref) else { return };
        let (Feed::Mix(mix), Some(codec)) = (&port.feed, port.stream.as_ref().map(|stream| stream.codec)) else {
            return;
        };
        let (ms, rate, count) = (u64::from(port.frame_ms()), codec.sample_rate(), mix.parties.len());
        let length = (ms * u64::from(rate) / 1000) as usize;
        let block = rate as usize / 200;
        let first = (due.as_nanos() / BLOCK_NS).saturating_sub(ms / 5);
        let Some(sums) = self.sums.get_mut(..length) else { return };
        sums.fill(0);
        for at in 0..count {
            let Some(Feed::Mix(mix)) = self.ports[slot.0 as usize].as_deref().map(|port| &port.feed) else { return };
            let party = mix.parties[at];
            let Some(ear) = self.ports.get_mut(party.0 as usize).and_then(Option::as_mut).and_then(|p| p.ear.as_mut())
            else {
                continue;
            };
            ear.taken_in(usize::try_from(ms).unwrap_or(0));
            for (number, sums) in (first..).zip(sums.chunks_mut(block)) {
                for (sum, sample) in sums.iter_mut().zip(ear.block(number, rate)) {
                    *sum += i32::from(*sample);
                }
            }
        }
        if let Some(Feed::Mix(mix)) = self.ports[slot.0 as usize].as_deref_mut().map(|port| &mut port.feed) {
            mix.level(sums, &mut self.linear[..length], block);
        }
    }
}
