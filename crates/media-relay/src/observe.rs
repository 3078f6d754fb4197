//! What is to be known of a packet received beside where it goes.

use crate::{
    Codec, PortId, Stats, Worker,
    codec::{Decoder, QUIET_MEAN_SQUARE, mean_square},
    digits::{LOST_END, Pressed},
    packet::Rtp,
    port::Port,
    relay::Content,
    worker::Slot,
};
use clock::Monotonic;

impl Worker {
    /// Whether a packet is above the threshold of silence, where the payload does not show it and somebody wants to know.
    #[inline]
    pub(crate) fn loudness(&mut self, slot: Slot, packet: &Rtp, content: Content, bytes: &[u8]) -> Option<bool> {
        let Content::Audio(codec @ (Codec::G722 | Codec::Opus)) = content else { return None };
        let port = self.ports.get(slot.0 as usize).and_then(Option::as_deref)?;
        let measured = |listener: &Slot| {
            self.ports.get(listener.0 as usize).and_then(Option::as_deref).is_some_and(|port| !port.meters.is_empty())
        };
        let remembered = port.memory.as_ref().is_some_and(|memory| memory.listening);
        let wanted = port.watch.silence_after.is_some() || remembered || port.listeners.iter().any(measured);
        let port = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut)?;
        if !wanted {
            port.listening = None;
            return Some(true);
        }
        let decoder = match &mut port.listening {
            Some(decoder) if decoder.codec == codec => decoder,
            other => other.insert(Box::new(Decoder::new(codec))),
        };
        let count = decoder.decode(&bytes[packet.payload.clone()], &mut self.decoded);
        self.decoded_count = count;
        Some(mean_square(&self.decoded[..count]) >= QUIET_MEAN_SQUARE)
    }

    /// A port is watched from now on, for a short silence perhaps.
    pub(crate) fn listen_from_now_on(&mut self, port: PortId) {
        if let Some(slot) = self.slot(port)
            && !self.listening.contains(&slot)
            && self.port(slot).is_some_and(|port| port.watch.is_short())
        {
            self.listening.push(slot);
        }
    }

    /// Looks at the ports of which a short silence is to be told.
    pub(crate) fn listen_closely(&mut self, now: Monotonic) {
        let mut at = 0;
        while let Some(slot) = self.listening.get(at).copied() {
            let Some(port) = self.port(slot).filter(|port| port.watch.is_short()) else {
                self.listening.swap_remove(at);
                continue;
            };
            let serving = (port.call, port.id);
            let mut news = false;
            for noticed in port.watch.check(now, port.receiver.last_packet()).into_iter().flatten() {
                port.outbox.noticed(noticed);
                news = true;
            }
            self.serving = Some(serving);
            if news {
                self.queue(slot);
            }
            at += 1;
        }
    }
}

impl Port {
    /// Takes from a packet received what others than listeners want to know, `news` when there is something to report; the
    /// digits that ended by it.
    #[inline]
    pub(crate) fn observe(
        &mut self,
        now: Monotonic,
        packet: &Rtp,
        content: Content,
        loud: Option<bool>,
        bytes: &[u8],
        news: &mut bool,
    ) -> [Option<char>; 2] {
        match content {
            Content::Audio(codec) => {
                self.receiver.time(now, packet.timestamp);
                self.tap_received(now, codec, packet, bytes);
                if self.detecting.is_some() {
                    *news |= self.detect_in(codec, packet, bytes);
                }
                let audible =
                    || loud.unwrap_or_else(|| codec.mean_square(&bytes[packet.payload.clone()]) >= QUIET_MEAN_SQUARE);
                if self.watch.silence_after.is_some()
                    && audible()
                    && let Some(noticed) = self.watch.audible(now)
                {
                    self.outbox.noticed(noticed);
                    *news = true;
                }
                if let Some(in_band) = &mut self.in_band
                    && codec.is_g711()
                {
                    let ended = in_band.hear_all(bytes[packet.payload.clone()].iter().map(|word| codec.decode(*word)));
                    return self.told(ended, news);
                }
            }
            Content::Event(payload) => {
                let ended = self.digits_in.receive(now, packet.timestamp, payload);
                return self.told(ended, news);
            }
            Content::Noise(_) | Content::Skip => {}
        }
        [None, None]
    }

    /// Reports digits that ended; which.
    fn told(&mut self, ended: [Option<Pressed>; 2], news: &mut bool) -> [Option<char>; 2] {
        for pressed in ended.into_iter().flatten() {
            self.pressed(pressed);
            *news = true;
        }
        ended.map(|pressed| pressed.map(|pressed| pressed.digit))
    }

    /// A digit that has ended because nothing comes any more.
    pub(crate) fn expired_digit(&mut self, now: Monotonic) -> Option<Pressed> {
        let silent = self.receiver.last_packet().is_none_or(|last| now.since(last) >= LOST_END);
        let in_band = self.in_band.as_deref_mut().filter(|it| silent && it.is_under_way());
        self.digits_in.expire(now).or_else(|| in_band?.stop())
    }

    pub(crate) fn pressed(&mut self, pressed: Pressed) {
        self.stats.digits_received += 1;
        if !self.outbox.digit(pressed) {
            self.stats.digits_dropped += 1;
        }
    }

    /// Counts up to now.
    pub(crate) fn snapshot(&self) -> Stats {
        let mut stats = Stats {
            packets_sent: self.sender.packets,
            octets_sent: self.sender.octets,
            packets_lost: self.receiver.lost(),
            jitter: self.receiver.jitter(),
            jitter_highest: self.receiver.jitter_highest(),
            ..self.stats.clone()
        };
        stats.note(self.ear.as_deref());
        self.judge(&mut stats);
        stats
    }
}
