//! The forwarding path: one packet of one leg, to one listener. No allocation, no lock, no clock.

use crate::{
    Codec, Stream,
    digits::Payload,
    noise::Noise,
    packet::{HEADER, Rtp, after},
    port::{Feed, MAX_FRAME, Mapping, Outgoing, Port},
    worker::Wire,
};
use clock::Monotonic;

/// Payload type of comfort noise (RFC 3389).
const COMFORT_NOISE: u8 = 13;

/// What a packet carries.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Content {
    Audio(Codec),
    Event(Payload),
    /// Comfort noise of so many -dBov (RFC 3389 section 3).
    Noise(u8),
    /// Nothing a listener is to have.
    Skip,
}

impl Content {
    /// What a packet of an agreed stream carries. A static payload type is always understood: a peer may change among the
    /// codecs offered at any time (RFC 3264 section 5.1).
    #[inline]
    pub(crate) fn of(stream: &Stream, packet: &Rtp, bytes: &[u8]) -> Option<Self> {
        let payload = &bytes[packet.payload.clone()];
        if stream.telephone_event.is_some_and(|(_, receive)| receive == packet.payload_type) {
            let clock = stream.telephone_event_clock;
            return Some(Payload::read(payload, clock).map_or(Self::Skip, Self::Event));
        }
        let codec = match packet.payload_type {
            own if own == stream.payload_type_receive => stream.codec,
            COMFORT_NOISE => return Some(Self::Noise(payload.first().map_or(127, |level| level & 0x7f))),
            other => {
                let accepted = stream.alternatives.iter().find(|(number, _)| *number == other).map(|(_, codec)| *codec);
                accepted.or(Codec::of_static_payload_type(other))?
            }
        };
        Some(if payload.is_empty() { Self::Skip } else { Self::Audio(codec) })
    }
}

/// A packet of a leg, on its way to listeners.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) epoch: u32,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) content: Content,
    /// Whether it is above the threshold of silence, where that was looked at because the payload does not show it.
    pub(crate) loud: Option<bool>,
}

impl Port {
    /// Forwards a packet toward this port. `packet` is room for a header and the payload; it is changed.
    #[inline]
    pub(crate) fn relay(&mut self, now: Monotonic, incoming: Incoming, packet: &mut [u8], wire: &mut impl Wire) {
        let busy = self.is_sending_digits();
        let outlet = self.outlet().filter(|_| !busy);
        let Feed::Leg(relayed) = &self.feed else { return };
        let mapping = relayed.mapping.filter(|mapping| mapping.epoch == incoming.epoch);
        let Some((stream, _)) = outlet else {
            return self.map(None);
        };
        let (codec, audio_type, event_clock) = (stream.codec, stream.payload_type_send, stream.telephone_event_clock);
        let (payload_type, samples) = match incoming.content {
            Content::Event(payload) => match stream.telephone_event {
                Some((send, _)) if relayed.swallow != Some(incoming.timestamp) => {
                    (send, payload.units(self.sender.clock))
                }
                _ => return self.skip(mapping, incoming.sequence),
            },
            Content::Audio(from) if from.converts_in_place(codec) => {
                (audio_type, from.timestamp_units(&packet[HEADER..]).unwrap_or(0))
            }
            // Noise is made of G.711's words; to other codecs it is a pause like any other.
            Content::Noise(_) if codec.is_g711() => (audio_type, self.frame_units()),
            Content::Audio(_) | Content::Noise(_) => return self.skip(mapping, incoming.sequence),
            Content::Skip => return self.skip(mapping, incoming.sequence),
        };
        let marker = incoming.marker || mapping.is_none();
        let mut mapping = mapping.unwrap_or_else(|| self.begin(now, incoming));
        if incoming.sequence.wrapping_sub(mapping.first) >= 0x8000 {
            self.stats.late += 1;
            return;
        }
        mapping.reached(incoming.sequence);
        self.map(Some(mapping));
        let out = Outgoing {
            marker,
            payload_type,
            sequence: incoming.sequence.wrapping_add(mapping.sequence),
            timestamp: incoming.timestamp.wrapping_add(mapping.timestamp),
            samples,
        };
        match incoming.content {
            Content::Audio(from) => {
                from.convert(codec, &mut packet[HEADER..]);
                self.forwarded_audio();
                let audible = incoming.loud.unwrap_or_else(|| self.is_audible(codec, &packet[HEADER..]));
                self.transmit(now, out, audible, packet, wire);
            }
            Content::Event(payload) => {
                let told = payload.at(event_clock);
                if payload.clock != event_clock
                    && let Some(room) = packet.get_mut(HEADER..HEADER + 4)
                {
                    room.copy_from_slice(&told.write());
                }
                self.forwarded_event(out.timestamp, told);
                self.transmit(now, out, true, packet, wire);
            }
            Content::Noise(level) => {
                self.forwarded_audio();
                let mut room = [0; HEADER + MAX_FRAME];
                let packet = &mut room[..(HEADER + samples as usize).min(HEADER + MAX_FRAME)];
                Noise::seeded(level, out.timestamp).fill_words(codec, &mut packet[HEADER..]);
                let audible = self.is_audible(codec, &packet[HEADER..]);
                self.transmit(now, out, audible, packet, wire);
            }
            Content::Skip => {}
        }
    }

    /// The first packet of a source: its offsets, for as long as it lasts. Filling in ends.
    fn begin(&mut self, now: Monotonic, incoming: Incoming) -> Mapping {
        let (sequence, timestamp) = self.sender.start(now);
        self.due = None;
        Mapping {
            epoch: incoming.epoch,
            first: incoming.sequence,
            highest: incoming.sequence,
            sequence: sequence.wrapping_sub(incoming.sequence),
            timestamp: timestamp.wrapping_sub(incoming.timestamp),
        }
    }

    /// A packet withheld on purpose must not look like a loss: the numbers after it close up.
    fn skip(&mut self, mapping: Option<Mapping>, sequence: u16) {
        if let Some(mut mapping) = mapping
            && after(sequence, mapping.highest)
        {
            mapping.sequence = mapping.sequence.wrapping_sub(1);
            mapping.first = sequence.wrapping_add(1);
            mapping.highest = sequence;
            self.map(Some(mapping));
        }
    }

    fn map(&mut self, mapping: Option<Mapping>) {
        if let Feed::Leg(relayed) = &mut self.feed {
            relayed.mapping = mapping;
        }
    }
}

impl Mapping {
    fn reached(&mut self, sequence: u16) {
        if after(sequence, self.highest) {
            self.highest = sequence;
            // The switch is long over: its mark moves along, lest the circle of numbers comes round to it.
            if sequence.wrapping_sub(self.first) > 0x4000 {
                self.first = sequence.wrapping_sub(0x2000);
            }
        }
    }
}
