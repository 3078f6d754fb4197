//! The path of a packet takes nothing from the heap. Alone in its program: the counter counts the thread it is asked on.

use clock::{Monotonic, Now};
use media_relay::{
    Age, Block, CallKey, Channel, Clip, Codec, Command, Detection, Library, Play, PlayId, PortId, Slot, Source, Stream,
    Tap, TapId, Taps, Then, Wire, Worker,
};
use std::{
    net::SocketAddr,
    sync::{Arc, mpsc::sync_channel},
    time::Duration,
};

struct Count(u64);

impl Wire for Count {
    fn transmit(&mut self, _: Slot, channel: Channel, _: SocketAddr, _: &[u8]) {
        self.0 += u64::from(channel == Channel::Rtp);
    }
}

const ONE: PortId = PortId(1);
const OTHER: PortId = PortId(2);
const PACKET: Duration = Duration::from_millis(20);

struct House {
    worker: Worker,
    now: Now,
    wire: Count,
    sequence: u16,
    timestamp: u32,
}

fn peer(port: PortId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000 + u16::try_from(port.0).expect("a small number")))
}

impl House {
    /// [`ONE`] speaks PCMU, `codec` is what [`OTHER`] wants, and what it hears is `source`.
    fn new(codec: Codec, source: Source) -> Self {
        let now = Now { monotonic: Monotonic::from_nanos(1), unix: Duration::from_secs(1_900_000_000) };
        let mut library = Library::default();
        library.insert("music", Clip::from_pcm16(&[1000; 8000]));
        library.insert("hello", Clip::from_pcm16(&[2000; 1600]));
        let mut house =
            Self { worker: Worker::new(Arc::new(library), 7, now), now, wire: Count(0), sequence: 1, timestamp: 160 };
        for (port, codec) in [(ONE, Codec::Pcmu), (OTHER, codec)] {
            let stream = Stream { telephone_event: Some((101, 101)), ..Stream::new(peer(port), codec) };
            house.command(Command::Open { port, call: CallKey(1) });
            house.command(Command::Describe { port, stream: Box::new(stream) });
        }
        let sources = vec![(ONE, Source::Port(OTHER)), (OTHER, source)];
        house.command(Command::Plan { call: CallKey(1), generation: 1, sources });
        house
    }

    fn command(&mut self, command: Command) {
        self.worker.handle_command(self.now, command, &mut self.wire);
    }

    /// A packet from [`ONE`]'s peer.
    fn packet(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let mut bytes = [0; 172];
        bytes[..2].copy_from_slice(&[0x80, payload_type]);
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&7u32.to_be_bytes());
        bytes[12..12 + payload.len()].copy_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        let slot = self.worker.slot(ONE).expect("it is open");
        let (now, length) = (self.now.monotonic, 12 + payload.len());
        self.worker.handle_rtp(now, slot, peer(ONE), &mut bytes[..length], Age::Fresh, &mut self.wire);
    }

    fn speak(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(160);
        self.packet(0, self.timestamp, &[0x55; 160]);
    }

    /// A digit of 100 ms, its end three times.
    fn press(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(160);
        for n in 1..=7u8 {
            let (end, duration) = (if n > 4 { 0x80 } else { 0 }, u16::from(n.min(5)) * 160);
            let [high, low] = duration.to_be_bytes();
            self.packet(101, self.timestamp, &[5, end | 10, high, low]);
            self.advance();
        }
        self.timestamp = self.timestamp.wrapping_add(800);
    }

    /// 20 ms pass, with everything that is due in them.
    fn advance(&mut self) {
        let until = self.now.monotonic + PACKET;
        while let Some(due) = self.worker.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.after(due.since(self.now.monotonic));
            self.worker.handle_timeout(self.now, &mut self.wire);
        }
        self.now = self.now.after(until.since(self.now.monotonic));
    }

    /// Runs `act` once everything has found its place, and all of it in less than the 1.25 s after which a first report may be due.
    #[track_caller]
    fn allocates_nothing(&mut self, rounds: usize, mut act: impl FnMut(&mut Self), at_least: u64) {
        for _ in 0..rounds {
            act(self);
            while self.worker.poll_event().is_some() {}
        }
        let before = self.wire.0;
        let counted = allocation_counter::measure(|| {
            for _ in 0..rounds {
                act(self);
                while self.worker.poll_event().is_some() {}
            }
        });
        let sent = self.wire.0 - before;
        assert!(sent >= at_least, "only {sent} packets were sent");
        assert_eq!(counted.count_total, 0, "allocations in {sent} packets");
    }
}

fn speak_and_wait(house: &mut House) {
    house.speak();
    house.advance();
}

#[test]
fn no_allocation_per_forwarded_packet() {
    House::new(Codec::Pcmu, Source::Port(ONE)).allocates_nothing(25, speak_and_wait, 25);
}

#[test]
fn no_allocation_per_converted_packet() {
    House::new(Codec::Pcma, Source::Port(ONE)).allocates_nothing(25, speak_and_wait, 25);
}

/// Decoded, held back, resampled, encoded; and the other way round nothing but silence.
#[test]
fn no_allocation_per_packet_coded_anew() {
    for codec in [Codec::G722, Codec::Opus, Codec::L16At8k, Codec::L16At16k] {
        House::new(codec, Source::Port(ONE)).allocates_nothing(25, speak_and_wait, 25);
    }
}

/// Four parties, each in a codec of its own, each hearing the other three; the first of them is forwarded to nobody.
#[test]
fn no_allocation_per_mixed_packet() {
    let mut house = House::new(Codec::G722, Source::Silence);
    let ports = [ONE, OTHER, PortId(3), PortId(4)];
    for (port, codec) in [(ports[2], Codec::Opus), (ports[3], Codec::Pcma)] {
        house.command(Command::Open { port, call: CallKey(1) });
        house.command(Command::Describe { port, stream: Box::new(Stream::new(peer(port), codec)) });
    }
    let others = |port| ports.into_iter().filter(|other| *other != port).collect();
    let sources = ports.into_iter().map(|port| (port, Source::Mix(others(port)))).collect();
    house.command(Command::Plan { call: CallKey(1), generation: 2, sources });
    house.allocates_nothing(25, speak_and_wait, 100);
}

#[test]
fn no_allocation_per_recorded_packet() {
    let mut house = House::new(Codec::Pcma, Source::Port(ONE));
    let (reader, blocks) = sync_channel(100);
    house.worker.set_taps(Taps::new(vec![reader]));
    let (one, other) =
        (Tap { id: TapId(1), received: Some(0), sent: None }, Tap { id: TapId(1), received: None, sent: Some(1) });
    house.command(Command::Tap { port: ONE, tap: one });
    house.command(Command::Tap { port: OTHER, tap: other });
    let speak = |house: &mut House| {
        speak_and_wait(house);
        blocks.try_iter().for_each(Block::give_back);
    };
    house.allocates_nothing(25, speak, 25);
}

/// While it is found out who speaks; what is not G.711 is decoded for that.
#[test]
fn no_allocation_per_packet_that_is_listened_to() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::L16At8k] {
        let mut house = House::new(Codec::Pcmu, Source::Port(ONE));
        let stream = Stream { payload_type_receive: 0, ..Stream::new(peer(ONE), codec) };
        house.command(Command::Describe { port: ONE, stream: Box::new(stream) });
        house.command(Command::Detect { port: ONE, detection: Some(Detection::default()) });
        house.allocates_nothing(25, speak_and_wait, 25);
    }
}

#[test]
fn no_allocation_per_remembered_packet() {
    let mut house = House::new(Codec::Pcma, Source::Port(ONE));
    house.command(Command::Remember { port: ONE, lasting: Some(Duration::from_millis(300)), listening: true });
    house.allocates_nothing(25, speak_and_wait, 25);
}

#[test]
fn no_allocation_per_telephone_event() {
    let mut house = House::new(Codec::Pcmu, Source::Port(ONE));
    house.allocates_nothing(
        3,
        |house| {
            house.press();
            speak_and_wait(house);
        },
        24,
    );
}

#[test]
fn no_allocation_per_tick_of_a_player() {
    let play = |first: Vec<Arc<str>>, then| Source::Play(Play { id: PlayId(1), first, words: None, then });
    for source in [
        play(vec![], Then::Loop("music".into())),
        play(vec!["hello".into()], Then::Loop("music".into())),
        Source::Silence,
        Source::Ringback,
    ] {
        for codec in [Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16At16k] {
            House::new(codec, source.clone()).allocates_nothing(25, House::advance, 25);
        }
    }
}
