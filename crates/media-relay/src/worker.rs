//! One worker's ports, driven by packets, commands and time.

use crate::{
    CallKey, Clip, Command, Counters, Event, Library, MAX_MEASUREMENTS, PortId, Source, Stream,
    codec::MAX_DECODED,
    latch::{Latch, Verdict as Whose},
    meter::Meter,
    outbox::Outbox,
    packet::{Datagram, HEADER, classify},
    port::{MAX_FRAME, MAX_LINEAR, Port},
    receiver::Verdict,
    relay::{Content, Incoming},
    rtcp,
    secure::Refused,
    sender::Sender,
    tap::Taps,
};
use clock::{Monotonic, Now};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};

/// Housekeeping (reports, watches, lost ends of digits) visits a fifth of the ports each time.
const HOUSEKEEPING: Duration = Duration::from_millis(20);
const SHARES: usize = 5;
/// A tick handled later than this after it was due is a late one.
const LATE: Duration = Duration::from_millis(10);
/// Away for so long, we have no right to call others dead.
const STALL: Duration = Duration::from_secs(1);
const STATISTICS: Duration = Duration::from_secs(5);

/// A port's place in its worker: what the shell finds its sockets by. Reused after the port's close.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// Which of a port's two sockets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The even one.
    Rtp,
    /// The odd one.
    Rtcp,
}

/// Where packets leave.
pub trait Wire {
    /// Sends `bytes` from one of the port's sockets.
    fn transmit(&mut self, slot: Slot, channel: Channel, to: SocketAddr, bytes: &[u8]);
}

/// How old a packet is when it is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Age {
    /// Read when it came.
    Fresh,
    /// It waited in its socket while the worker was stopped: counted, its digits read, its audio not forwarded.
    Stale,
}

/// One worker's ports. Packets leave through a [`Wire`] at once; events wait in reserved places until fetched.
#[derive(Debug)]
pub struct Worker {
    pub(crate) ports: Vec<Option<Box<Port>>>,
    free: Vec<Slot>,
    by_id: FxHashMap<PortId, Slot>,
    pub(crate) calls: FxHashMap<CallKey, Call>,
    pub(crate) library: Arc<Library>,
    pub(crate) ringback: Arc<Clip>,
    taps: Taps,
    /// Ports that make packets of their own now.
    ticking: Vec<Slot>,
    next_tick: Option<Monotonic>,
    housekeeping: Option<Monotonic>,
    share: usize,
    /// Ports of which a short silence is to be told: looked at each time.
    pub(crate) listening: Vec<Slot>,
    clock: Now,
    pending: VecDeque<Slot>,
    closed: VecDeque<(PortId, Outbox)>,
    /// Whose step is under way: who pays for a panic.
    pub(crate) serving: Option<(CallKey, PortId)>,
    lost: VecDeque<PortId>,
    pub(crate) counters: Counters,
    pub(crate) chance: StdRng,
    room: Box<[u8; HEADER + MAX_FRAME]>,
    /// What is mixed, and what is encoded.
    pub(crate) sums: Box<[i32; MAX_LINEAR]>,
    pub(crate) linear: Box<[i16; MAX_LINEAR]>,
    pub(crate) decoded: Box<[i16; MAX_DECODED]>,
    /// How much of it the packet under way was decoded to, where it was.
    pub(crate) decoded_count: usize,
    copy: Box<[u8; 2048]>,
}

#[derive(Debug, Default)]
pub(crate) struct Call {
    generation: Option<u64>,
    pub(crate) ports: SmallVec<[Slot; 4]>,
}

impl Worker {
    /// A worker without ports. SSRCs, first sequence numbers and timestamps, and the spread of reports come from `seed`.
    pub fn new(library: Arc<Library>, seed: u64, now: Now) -> Self {
        Self {
            ports: Vec::new(),
            free: Vec::new(),
            by_id: FxHashMap::default(),
            calls: FxHashMap::default(),
            ringback: library.ringback(),
            library,
            taps: Taps::default(),
            ticking: Vec::new(),
            next_tick: None,
            housekeeping: None,
            share: 0,
            listening: Vec::new(),
            clock: now,
            pending: VecDeque::new(),
            closed: VecDeque::new(),
            serving: None,
            lost: VecDeque::new(),
            counters: Counters::default(),
            chance: StdRng::seed_from_u64(seed),
            room: Box::new([0; HEADER + MAX_FRAME]),
            sums: Box::new([0; MAX_LINEAR]),
            linear: Box::new([0; MAX_LINEAR]),
            decoded: Box::new([0; MAX_DECODED]),
            decoded_count: 0,
            copy: Box::new([0; 2048]),
        }
    }

    /// Whom [`Command::Tap`] hands audio to; nobody, until this is called.
    pub fn set_taps(&mut self, taps: Taps) {
        self.taps = taps;
    }

    /// Where a port lives.
    pub fn slot(&self, port: PortId) -> Option<Slot> {
        self.by_id.get(&port).copied()
    }

    /// Counts over all ports, closed ones included.
    pub fn counters(&self) -> Counters {
        Counters { ports: self.by_id.len() as u64, ..self.counters }
    }

    /// When [`Worker::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        match (self.next_tick, self.housekeeping) {
            (Some(tick), Some(housekeeping)) => Some(tick.min(housekeeping)),
            (tick, housekeeping) => tick.or(housekeeping),
        }
    }

    /// What is to be reported next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.serving = None;
        while let Some(slot) = self.pending.front().copied() {
            if let Some(port) = self.port(slot) {
                let id = port.id;
                if let Some(event) = port.outbox.pop(id) {
                    return Some(event);
                }
                port.outbox.queued = false;
            }
            self.pending.pop_front();
        }
        while let Some((id, outbox)) = self.closed.front_mut() {
            if let Some(event) = outbox.pop(*id) {
                return Some(event);
            }
            self.closed.pop_front();
        }
        self.lost.pop_front().map(|port| Event::Lost { port })
    }

    /// After a panic out of any other method: the call whose step it was pays for it, and no other. Its ports are gone with
    /// [`Event::Lost`] as their last word; returned are their slots. None at all: it was nobody's step, and nothing here can be trusted.
    pub fn give_up(&mut self) -> SmallVec<[Slot; 4]> {
        let Some((call, id)) = self.serving.take() else { return SmallVec::new() };
        let slots = self.calls.remove(&call).map(|call| call.ports).unwrap_or_default();
        let mut ids: SmallVec<[PortId; 4]> = SmallVec::from_iter([id]);
        for slot in &slots {
            let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::take) else { continue };
            ids.push(port.id);
            self.free.push(*slot);
        }
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            self.by_id.remove(&id);
            self.lost.push_back(id);
        }
        self.ticking.retain(|slot| !slots.contains(slot));
        self.pending.retain(|slot| !slots.contains(slot));
        if self.by_id.is_empty() {
            (self.housekeeping, self.next_tick) = (None, None);
        }
        slots
    }

    /// Carries a command out.
    pub fn handle_command(&mut self, now: Now, command: Command, wire: &mut impl Wire) {
        self.clock = now;
        self.serving = None;
        match command {
            Command::Open { port, call } => self.open(now.monotonic, port, call),
            Command::Describe { port, stream } => self.describe(now.monotonic, port, stream, wire),
            Command::Plan { call, generation, sources } => self.plan(now.monotonic, call, generation, &sources, wire),
            Command::Adopt { port, call } => self.adopt(now.monotonic, port, call, wire),
            Command::SendDtmf { port, digits } => self.with(port, wire, |port, wire| {
                port.send_digits(now.monotonic, &digits, wire);
            }),
            Command::MeasureStart { port, id } => self.with(port, wire, |port, _| {
                port.meters.retain(|meter| meter.id != id);
                if port.meters.len() < MAX_MEASUREMENTS {
                    port.meters.push(Meter::new(id, now.monotonic));
                }
            }),
            Command::MeasureStop { port, id } => self.with(port, wire, |port, _| {
                if let Some(at) = port.meters.iter().position(|meter| meter.id == id) {
                    let meter = port.meters.remove(at);
                    port.outbox.measured.push((id, meter.longest(now.monotonic)));
                }
            }),
            Command::Watch { port, silence_after, dead_after } => {
                self.with(port, wire, |port, _| port.watch.begin(now.monotonic, silence_after, dead_after));
                self.listen_from_now_on(port);
            }
            Command::Detect { port, detection } => {
                self.with(port, wire, |port, _| port.detect(now.monotonic, detection));
            }
            Command::Tap { port, tap } => {
                let taps = self.taps.clone();
                self.with(port, wire, |port, _| port.tap(tap, &taps));
            }
            Command::Remember { port, lasting, listening } => {
                self.with(port, wire, |port, _| port.remember(lasting, listening));
            }
            Command::Library(library) => {
                self.ringback = library.ringback();
                self.library = library.0;
            }
            Command::Close { port } => self.close(now, port, wire),
        }
    }

    /// Time has come: packets of our own making, reports, watches.
    pub fn handle_timeout(&mut self, now: Now, wire: &mut impl Wire) {
        if now.monotonic.since(self.clock.monotonic) > STALL {
            for port in self.ports.iter_mut().flatten() {
                port.watch.alive_since = now.monotonic;
                port.watch.heard = port.watch.heard.max(now.monotonic - STALL);
            }
        }
        self.clock = now;
        if self.next_tick.is_some_and(|due| due <= now.monotonic) {
            self.tick(now.monotonic, wire);
        }
        if self.housekeeping.is_some_and(|due| due <= now.monotonic) {
            self.keep_house(now, wire);
        }
    }

    /// A datagram came to a port's RTP socket. The buffer is changed.
    #[inline]
    pub fn handle_rtp(
        &mut self,
        now: Monotonic,
        slot: Slot,
        from: SocketAddr,
        bytes: &mut [u8],
        age: Age,
        wire: &mut impl Wire,
    ) {
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        self.serving = Some((port.call, port.id));
        let bytes = match port.unprotect(now, from, bytes) {
            Ok(length) => &mut bytes[..length],
            Err(Refused::Rtcp) => return self.handle_rtcp(now, slot, from, bytes),
            Err(Refused::Foreign) => {
                port.stats.foreign += 1;
                self.counters.foreign += 1;
                return;
            }
            Err(Refused::Unauthentic) => {
                port.stats.unauthentic += 1;
                self.counters.unauthentic += 1;
                return;
            }
        };
        let packet = match classify(bytes) {
            Datagram::Rtp(packet) => packet,
            Datagram::Rtcp => return self.handle_rtcp(now, slot, from, bytes),
            Datagram::Malformed => {
                port.stats.malformed += 1;
                self.counters.malformed += 1;
                return;
            }
        };
        let (Some(stream), Some(latch)) = (&port.stream, &mut port.latch) else {
            port.stats.foreign += 1;
            self.counters.foreign += 1;
            return;
        };
        let whose = latch.judge(now, from, packet.ssrc, packet.sequence);
        if whose == Whose::Foreign {
            port.stats.foreign += 1;
            self.counters.foreign += 1;
            return;
        }
        let verdict = port.receiver.accept(now, &packet);
        port.stats.packets_received += 1;
        port.stats.octets_received += packet.payload.len() as u64;
        self.counters.packets_received += 1;
        let mut news = false;
        if whose == Whose::PeerAtNewAddress {
            port.outbox.latched = Some(from);
            port.stats.first_packet_after.get_or_insert(now.since(port.opened));
            news = true;
        }
        match verdict {
            Verdict::Continues => {}
            Verdict::Begins => port.epoch = port.epoch.wrapping_add(1),
            Verdict::Stray => {
                port.stats.late += 1;
                if news {
                    self.queue(slot);
                }
                return;
            }
        }
        let content = Content::of(stream, &packet, bytes).unwrap_or_else(|| {
            port.stats.unknown_payload_type += 1;
            Content::Skip
        });
        let may_receive = stream.may_receive;
        if let Content::Audio(codec) = content
            && port.receiving != Some(codec)
        {
            port.receiving = Some(codec);
            let call = port.call;
            self.wire_up(now, call, wire);
        }
        let loud = self.loudness(slot, &packet, content, bytes);
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        let pressed = port.observe(now, &packet, content, loud, bytes, &mut news);
        port.hide_tones(&packet, content, bytes);
        if age == Age::Stale || !may_receive {
            // What comes after is a new source, lest the packets left out look lost.
            port.epoch = port.epoch.wrapping_add(1);
            port.stats.late += u64::from(age == Age::Stale);
        } else {
            if let Some(memory) = &mut port.memory {
                memory.take(port.epoch, &packet, content, loud, bytes, &self.decoded[..self.decoded_count]);
            }
            if let Some(ear) = &mut port.ear {
                match content {
                    Content::Audio(_) => ear.receive(port.epoch, packet.timestamp, &bytes[packet.payload.clone()]),
                    Content::Noise(level) => ear.quieten(level),
                    Content::Event(_) | Content::Skip => {}
                }
            }
            let incoming = Incoming {
                epoch: port.epoch,
                marker: packet.marker,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                content,
                loud,
            };
            self.forward(now, slot, incoming, &mut bytes[packet.payload.start - HEADER..packet.payload.end], wire);
        }
        for digit in pressed.into_iter().flatten() {
            self.pass_digit(now, slot, digit, wire);
        }
        if news {
            self.queue(slot);
        }
    }

    /// A datagram came to a port's RTCP socket (or to the RTP socket, and is RTCP).
    pub fn handle_rtcp(&mut self, now: Monotonic, slot: Slot, from: SocketAddr, bytes: &[u8]) {
        let now = self.clock.after(now.since(self.clock.monotonic));
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        self.serving = Some((port.call, port.id));
        let known = port.latch.as_ref().is_some_and(|latch| latch.is_peer_host(from))
            || port.stream.as_ref().is_some_and(|stream| stream.remote_rtcp == from);
        if !known {
            port.stats.foreign += 1;
            self.counters.foreign += 1;
            return;
        }
        let plain;
        let bytes = match &mut port.srtp {
            None => bytes,
            Some(srtp) => {
                let Some(opened) = srtp.open_rtcp(now.monotonic, bytes) else {
                    port.stats.unauthentic += 1;
                    self.counters.unauthentic += 1;
                    return;
                };
                plain = opened;
                &plain[..]
            }
        };
        let Some(heard) = rtcp::read(now, bytes, port.sender.ssrc) else {
            port.stats.malformed += 1;
            self.counters.malformed += 1;
            return;
        };
        port.rtcp_peer = Some(from);
        if port.reported_by_peer(now.monotonic, &heard) {
            self.queue(slot);
        }
    }

    fn forward(&mut self, now: Monotonic, slot: Slot, incoming: Incoming, packet: &mut [u8], wire: &mut impl Wire) {
        let mut at = 0;
        while let Some(port) = self.port(slot)
            && let Some(listener) = port.listeners.get(at).copied()
        {
            let last = at + 1 == port.listeners.len();
            at += 1;
            let Some(listener) = self.ports.get_mut(listener.0 as usize).and_then(Option::as_deref_mut) else {
                continue;
            };
            let before = listener.sender.packets;
            if last {
                listener.relay(now, incoming, packet, wire);
            } else if let Some(copy) = self.copy.get_mut(..packet.len()) {
                // Conversion changes the packet, so all but the last listener get a copy.
                copy.copy_from_slice(packet);
                listener.relay(now, incoming, copy, wire);
            }
            self.counters.packets_sent += listener.sender.packets - before;
        }
    }

    fn open(&mut self, now: Monotonic, id: PortId, call: CallKey) {
        if self.by_id.contains_key(&id) {
            return;
        }
        // In the lower half: who misses our first packets must not miss a turn with them, which SRTP does not recover from.
        #[expect(clippy::cast_possible_truncation, reason = "chance needs no more than its low half")]
        let sequence = self.chance.next_u32() as u16 & 0x7fff;
        let sender = Sender::new(self.chance.next_u32(), sequence, self.chance.next_u32());
        let rtcp_due = rtcp::first(now, self.chance.next_u32());
        let slot = self.free.pop().unwrap_or_else(|| {
            self.ports.push(None);
            Slot(u32::try_from(self.ports.len() - 1).unwrap_or(u32::MAX))
        });
        self.ports[slot.0 as usize] = Some(Box::new(Port::new(id, slot, call, now, sender, rtcp_due)));
        self.by_id.insert(id, slot);
        self.calls.entry(call).or_default().ports.push(slot);
        self.housekeeping.get_or_insert(now + HOUSEKEEPING);
    }

    fn describe(&mut self, now: Monotonic, id: PortId, stream: Box<Stream>, wire: &mut impl Wire) {
        let Some(slot) = self.slot(id) else { return };
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        self.serving = Some((port.call, port.id));
        match &mut port.latch {
            Some(latch) => latch.describe(stream.remote, stream.nat),
            none => *none = Some(Latch::new(stream.remote, stream.nat)),
        }
        if port.rtcp_peer.is_some_and(|peer| peer.ip() != stream.remote.ip()) {
            port.rtcp_peer = None;
        }
        let silent_until_now = port.stream.is_none();
        port.secure(now, &stream);
        let (before, codec) = (port.stream.as_ref().map(|stream| stream.codec), stream.codec);
        if port.sender.clock != codec.clock_rate() {
            #[expect(clippy::cast_possible_truncation, reason = "chance needs no more than its low half")]
            let sequence = self.chance.next_u32() as u16;
            let (ssrc, timestamp) = (self.chance.next_u32(), self.chance.next_u32());
            port.sender.change_clock(codec.clock_rate(), ssrc, sequence, timestamp);
        }
        port.receiver.set_clock(codec.clock_rate());
        if port.stream.as_ref().is_some_and(|before| before.opus != stream.opus) {
            port.encoder = None;
        }
        match (stream.in_band_digits, &mut port.in_band) {
            (true, Some(_)) => {}
            (true, none) => *none = Some(Box::default()),
            (false, any) => *any = None,
        }
        port.stream = Some(stream);
        if silent_until_now {
            port.plan_next(now);
        }
        let call = port.call;
        if before != Some(codec) {
            port.receiving = None;
            self.wire_up(now, call, wire);
        } else {
            self.connect(call);
        }
        self.schedule(slot);
    }

    fn plan(
        &mut self,
        now: Monotonic,
        call: CallKey,
        generation: u64,
        sources: &[(PortId, Source)],
        wire: &mut impl Wire,
    ) {
        let Some(entry) = self.calls.get_mut(&call) else { return };
        if entry.generation.is_some_and(|newest| newest >= generation) {
            return;
        }
        entry.generation = Some(generation);
        let slots = entry.ports.clone();
        for slot in &slots {
            let Some(id) = self.port(*slot).map(|port| port.id) else { continue };
            self.serving = Some((call, id));
            let source =
                sources.iter().find(|(listener, _)| *listener == id).map_or(&Source::Silence, |(_, source)| source);
            self.listen(now, *slot, source, wire);
        }
        self.connect(call);
    }

    fn close(&mut self, now: Now, id: PortId, wire: &mut impl Wire) {
        let Some(slot) = self.by_id.remove(&id) else { return };
        let chance = self.chance.next_u32();
        if let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) {
            self.serving = Some((port.call, id));
            port.end_event(now.monotonic, wire);
            port.report(now, chance, true, wire);
        }
        let Some(mut port) = self.ports[slot.0 as usize].take() else { return };
        for meter in std::mem::take(&mut port.meters) {
            port.outbox.measured.push((meter.id, meter.longest(now.monotonic)));
        }
        let stats = port.snapshot();
        self.counters.packets_lost += u64::try_from(stats.packets_lost).unwrap_or(0);
        port.outbox.statistics = None;
        port.outbox.closed = Some(Box::new(stats));
        self.closed.push_back((id, std::mem::take(&mut port.outbox)));
        self.free.push(slot);
        self.ticking.retain(|ticking| *ticking != slot);
        self.pending.retain(|pending| *pending != slot);
        self.leave(now.monotonic, slot, id, port.call, wire);
        if self.by_id.is_empty() {
            (self.housekeeping, self.next_tick) = (None, None);
        }
    }

    fn tick(&mut self, now: Monotonic, wire: &mut impl Wire) {
        if self.next_tick.is_some_and(|due| now.since(due) > LATE) {
            self.counters.late_ticks += 1;
        }
        let mut next: Option<Monotonic> = None;
        let mut at = 0;
        while let Some(slot) = self.ticking.get(at).copied() {
            let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else {
                self.ticking.swap_remove(at);
                continue;
            };
            self.serving = Some((port.call, port.id));
            let before = port.sender.packets;
            while let Some(due) = self.port(slot).and_then(|port| port.due_by(now)) {
                self.gather(slot, due);
                let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { break };
                port.tick(due, &mut self.linear[..], &mut self.room[..], wire);
            }
            let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { continue };
            self.counters.packets_sent += port.sender.packets - before;
            let news = port.outbox.has_plays();
            match port.due {
                Some(due) => {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    at += 1;
                }
                None => {
                    port.ticking = false;
                    self.ticking.swap_remove(at);
                }
            }
            if news {
                self.queue(slot);
            }
        }
        self.next_tick = next;
    }

    fn keep_house(&mut self, now: Now, wire: &mut impl Wire) {
        let first = self.share;
        self.share = (self.share + 1) % SHARES;
        self.housekeeping = Some(now.monotonic + HOUSEKEEPING);
        self.listen_closely(now.monotonic);
        for at in (first..self.ports.len()).step_by(SHARES) {
            let Some(port) = self.ports[at].as_deref_mut() else { continue };
            self.serving = Some((port.call, port.id));
            let mut news = port.detect_silence(now.monotonic);
            port.keep_tap(now.monotonic);
            let expired = port.expired_digit(now.monotonic);
            if let Some(pressed) = expired {
                port.pressed(pressed);
                news = true;
            }
            for noticed in port.watch.check(now.monotonic, port.receiver.last_packet()).into_iter().flatten() {
                port.outbox.noticed(noticed);
                news = true;
            }
            if port.statistics_due <= now.monotonic {
                port.statistics_due = now.monotonic + STATISTICS;
                port.outbox.statistics = Some(Box::new(port.snapshot()));
                news = true;
            }
            if port.rtcp_due <= now.monotonic {
                let chance = self.chance.next_u32();
                port.report(now, chance, false, wire);
            }
            let slot = Slot(u32::try_from(at).unwrap_or(u32::MAX));
            if news {
                self.queue(slot);
            }
            if let Some(pressed) = expired {
                self.pass_digit(now.monotonic, slot, pressed.digit, wire);
            }
        }
    }

    /// Runs a command on one port.
    fn with<W: Wire>(&mut self, id: PortId, wire: &mut W, run: impl FnOnce(&mut Port, &mut W)) {
        let Some(slot) = self.slot(id) else { return };
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        self.serving = Some((port.call, port.id));
        let before = port.sender.packets;
        run(port, wire);
        let sent = port.sender.packets - before;
        self.counters.packets_sent += sent;
        self.schedule(slot);
        self.queue(slot);
    }

    pub(crate) fn port(&mut self, slot: Slot) -> Option<&mut Port> {
        self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut)
    }

    /// Sees to it that what a port has due is done in time.
    pub(crate) fn schedule(&mut self, slot: Slot) {
        let Some(port) = self.ports.get_mut(slot.0 as usize).and_then(Option::as_deref_mut) else { return };
        let Some(due) = port.due.filter(|_| port.stream.is_some()) else { return };
        if !std::mem::replace(&mut port.ticking, true) {
            self.ticking.push(slot);
        }
        self.next_tick = Some(self.next_tick.map_or(due, |next| next.min(due)));
    }

    /// The port has something to report.
    pub(crate) fn queue(&mut self, slot: Slot) {
        if let Some(port) = self.port(slot)
            && !std::mem::replace(&mut port.outbox.queued, true)
        {
            self.pending.push_back(slot);
        }
    }
}
