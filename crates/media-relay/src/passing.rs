//! Digits from one leg to another, where the packets that carry them are not forwarded as they are.

use crate::{
    Worker,
    packet::Rtp,
    port::{Feed, Port},
    relay::Content,
    worker::{Slot, Wire},
};
use clock::Monotonic;

impl Worker {
    /// A digit that a party pressed, for whoever hears that party decoded, alone or among others: said again in the listener's own
    /// telephone-events, or as tones, after those that wait there already. Forwarded packets carry theirs with them where both have the same.
    pub(crate) fn pass_digit(&mut self, now: Monotonic, from: Slot, digit: char, wire: &mut impl Wire) {
        let Some(port) = self.port(from) else { return };
        let (call, in_band) = (port.call, port.in_band.is_some());
        let slots = self.calls.get(&call).map(|call| call.ports.clone()).unwrap_or_default();
        for slot in slots {
            let Some(port) = self.port(slot) else { continue };
            if port.wants_digits_of(from, in_band) {
                let before = port.sender.packets;
                port.send_digits(now, digit.encode_utf8(&mut [0; 4]), wire);
                let sent = port.sender.packets - before;
                self.counters.packets_sent += sent;
                self.schedule(slot);
            }
        }
    }
}

impl Port {
    /// While a digit of in-band tones goes on, listeners who are to have it as a telephone-event do not hear its tones too.
    #[inline]
    pub(crate) fn hide_tones(&self, packet: &Rtp, content: Content, bytes: &mut [u8]) {
        if self.hides_tones
            && let Content::Audio(codec) = content
            && codec.is_g711()
            && self.in_band.as_ref().is_some_and(|it| it.is_under_way())
        {
            bytes[packet.payload.clone()].fill(codec.silence());
        }
    }

    /// Whether this listener has no need of the tones of a party it hears.
    pub(crate) fn is_told_digits(&self) -> bool {
        let Some(stream) = self.stream.as_deref() else { return false };
        stream.telephone_event.is_some() || stream.in_band_digits && matches!(self.feed, Feed::Mix(_))
    }

    /// Whether digits that ended at `from` are to be sent here anew: where its audio is decoded, and where one of the two has
    /// telephone-events and the other tones.
    fn wants_digits_of(&self, from: Slot, in_band: bool) -> bool {
        match &self.feed {
            Feed::Mix(mix) => mix.parties.contains(&from),
            Feed::Leg(relayed) => {
                let stream = self.stream.as_deref();
                relayed.from == from
                    && stream.is_some_and(|stream| match stream.telephone_event {
                        Some(_) => in_band,
                        None => stream.in_band_digits && !in_band,
                    })
            }
            _ => false,
        }
    }
}
