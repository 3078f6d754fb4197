//! A worker in virtual time, parties that talk to it, and everything it sent, read by an independent RTP parser.

use bytes::Bytes;
use clock::{Monotonic, Now};
use media_relay::{
    Age, CallKey, Channel, Clip, Codec, Command, Event, Library, Play, PlayId, PortId, Slot, Source, Stream, Then,
    Wire, Worker,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use webrtc_util::marshal::Unmarshal;

pub(crate) const CALL: CallKey = CallKey(1);
pub(crate) const EVENT_TYPE: u8 = 101;

/// A packet the worker sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Duration,
    pub(crate) slot: Slot,
    pub(crate) channel: Channel,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn rtp(&self) -> rtp::packet::Packet {
        rtp::packet::Packet::unmarshal(&mut Bytes::from(self.bytes.clone())).expect("what is sent is RTP")
    }
}

#[derive(Default)]
struct Record {
    now: Duration,
    sent: Vec<Sent>,
}

impl Wire for Record {
    fn transmit(&mut self, slot: Slot, channel: Channel, to: SocketAddr, bytes: &[u8]) {
        self.sent.push(Sent { at: self.now, slot, channel, to, bytes: bytes.to_vec() });
    }
}

pub(crate) struct House {
    pub(crate) worker: Worker,
    start: Now,
    pub(crate) now: Now,
    record: Record,
    generation: u64,
}

/// A party behind a port: sends a tone, packet by packet.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) port: PortId,
    pub(crate) address: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) samples: u32,
    pub(crate) amplitude: f32,
    phase: f32,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::seeded(7)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        let start =
            Now { monotonic: Monotonic::from_nanos(1_234_567_890_123), unix: Duration::from_millis(1_900_000_000_500) };
        let mut library = Library::default();
        library.insert("hello", Clip::from_pcm16(&tone(8000, 500.0, 8000.0)));
        library.insert("music", Clip::from_pcm16(&tone(80_000, 300.0, 6000.0)));
        library.insert("hush", Clip::from_pcm16(&[0; 8000]));
        let worker = Worker::new(Arc::new(library), seed, start);
        Self { worker, start, now: start, record: Record::default(), generation: 0 }
    }

    /// Time since the test began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now.monotonic.since(self.start.monotonic)
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.record.now = self.elapsed();
        self.worker.handle_command(self.now, command, &mut self.record);
    }

    /// Opens and describes a port whose party lives at `10.0.0.<number>:4000`.
    pub(crate) fn party(&mut self, number: u8, codec: Codec) -> Party {
        let port = PortId(u32::from(number));
        let address = SocketAddr::from(([10, 0, 0, number], 4000));
        self.command(Command::Open { port, call: CALL });
        self.command(Command::Describe { port, stream: Box::new(stream(address, codec)) });
        let n = u32::from(number);
        Party {
            port,
            address,
            codec,
            ssrc: 0x1000 + n,
            sequence: 65_000u16.wrapping_add(u16::from(number) * 171),
            timestamp: 0xffff_0000u32.wrapping_add(n * 77_777),
            samples: 160,
            amplitude: 8000.0,
            phase: 0.0,
        }
    }

    pub(crate) fn plan(&mut self, sources: &[(PortId, Source)]) {
        self.generation += 1;
        let generation = self.generation;
        self.command(Command::Plan { call: CALL, generation, sources: sources.to_vec() });
    }

    /// Lets time pass, stopping at whatever the worker has due.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now.monotonic + by;
        for _ in 0..100_000 {
            let Some(due) = self.worker.poll_timeout().filter(|due| *due <= until) else {
                self.now = self.now.after(until.since(self.now.monotonic));
                return;
            };
            self.now = self.now.after(due.since(self.now.monotonic));
            self.record.now = self.elapsed();
            self.worker.handle_timeout(self.now, &mut self.record);
        }
        panic!("the worker never rests");
    }

    /// Lets time pass without anyone looking, as when the process is stopped.
    pub(crate) fn stop_for(&mut self, by: Duration) {
        self.now = self.now.after(by);
    }

    /// The worker looks at its clock.
    pub(crate) fn wake(&mut self) {
        self.record.now = self.elapsed();
        self.worker.handle_timeout(self.now, &mut self.record);
    }

    pub(crate) fn receive(&mut self, port: PortId, from: SocketAddr, bytes: &[u8]) {
        self.receive_aged(port, from, bytes, Age::Fresh);
    }

    pub(crate) fn receive_aged(&mut self, port: PortId, from: SocketAddr, bytes: &[u8], age: Age) {
        self.record.now = self.elapsed();
        let Some(slot) = self.worker.slot(port) else { return };
        let mut bytes = bytes.to_vec();
        self.worker.handle_rtp(self.now.monotonic, slot, from, &mut bytes, age, &mut self.record);
    }

    pub(crate) fn receive_rtcp(&mut self, port: PortId, from: SocketAddr, bytes: &[u8]) {
        let slot = self.worker.slot(port).expect("the port is open");
        self.worker.handle_rtcp(self.now.monotonic, slot, from, bytes);
    }

    /// The party's next packet arrives.
    pub(crate) fn speak(&mut self, party: &mut Party) -> Vec<u8> {
        let bytes = party.packet();
        self.receive(party.port, party.address, &bytes);
        bytes
    }

    /// The parties talk for `packets` packet times of 20 ms.
    pub(crate) fn talk(&mut self, parties: &mut [&mut Party], packets: usize) {
        for _ in 0..packets {
            for party in parties.iter_mut() {
                self.speak(party);
            }
            self.advance(Duration::from_millis(20));
        }
    }

    /// RTP sent toward a port so far.
    pub(crate) fn heard_by(&self, port: PortId) -> Vec<Sent> {
        let slot = self.worker.slot(port).expect("the port is open");
        self.record.sent.iter().filter(|sent| sent.slot == slot && sent.channel == Channel::Rtp).cloned().collect()
    }

    pub(crate) fn rtcp_to(&self, port: PortId) -> Vec<Sent> {
        let slot = self.worker.slot(port).expect("the port is open");
        self.record.sent.iter().filter(|sent| sent.slot == slot && sent.channel == Channel::Rtcp).cloned().collect()
    }

    pub(crate) fn all_sent(&self) -> &[Sent] {
        &self.record.sent
    }

    pub(crate) fn forget(&mut self) {
        self.record.sent.clear();
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.worker.poll_event()).collect()
    }

    pub(crate) fn digits(&mut self) -> String {
        self.events()
            .iter()
            .filter_map(|event| if let Event::Dtmf { digit, .. } = event { Some(*digit) } else { None })
            .collect()
    }
}

impl Party {
    /// The next packet of a tone.
    pub(crate) fn packet(&mut self) -> Vec<u8> {
        let step = 440.0 + f32::from(u8::try_from(self.port.0).unwrap_or(0)) * 70.0;
        let payload: Vec<u8> = (0..self.samples)
            .map(|_| {
                self.phase += step / 8000.0;
                #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
                let sample = (self.amplitude * (self.phase * std::f32::consts::TAU).sin()) as i16;
                self.codec.encode(sample)
            })
            .collect();
        let bytes = raw(self.codec.static_payload_type(), false, self.sequence, self.timestamp, self.ssrc, &payload);
        self.skip(1);
        bytes
    }

    /// Packets that are made and never sent on, or lost on their way.
    pub(crate) fn skip(&mut self, packets: u16) {
        self.sequence = self.sequence.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(self.samples * u32::from(packets));
    }

    /// Silence suppression: time passes, no packet is made.
    pub(crate) fn pause(&mut self, duration: Duration) {
        self.timestamp = self.timestamp.wrapping_add(u32::try_from(duration.as_millis()).unwrap_or(0) * 8);
    }

    /// A packet of a telephone-event that began at `timestamp`.
    pub(crate) fn event(&mut self, event: u8, end: bool, timestamp: u32, duration: u16) -> Vec<u8> {
        let [high, low] = duration.to_be_bytes();
        let payload = [event, if end { 0x8a } else { 0x0a }, high, low];
        let bytes = raw(EVENT_TYPE, duration <= 160, self.sequence, timestamp, self.ssrc, &payload);
        self.sequence = self.sequence.wrapping_add(1);
        bytes
    }
}

pub(crate) fn raw(payload_type: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn stream(remote: SocketAddr, codec: Codec) -> Stream {
    Stream { telephone_event: Some((EVENT_TYPE, EVENT_TYPE)), ..Stream::new(remote, codec) }
}

pub(crate) fn music(id: u64) -> Source {
    Source::Play(Play { id: PlayId(id), first: vec![], words: None, then: Then::Loop("music".into()) })
}

pub(crate) fn tone(samples: u32, hz: f32, amplitude: f32) -> Vec<i16> {
    (0..samples)
        .map(|n| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a tone")]
            let sample = (amplitude * (std::f32::consts::TAU * hz * n as f32 / 8000.0).sin()) as i16;
            sample
        })
        .collect()
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Mean power of what a packet carries, in dBov, by decoding it anew from G.711's definition.
pub(crate) fn dbov(packet: &rtp::packet::Packet) -> f64 {
    let linear = |word: u8| -> f64 {
        if packet.header.payload_type == 0 {
            let word = !word;
            let magnitude = f64::from((u32::from(word & 15) * 2 + 33) << ((word >> 4) & 7)) - 33.0;
            (if word & 0x80 != 0 { -magnitude } else { magnitude }) * 4.0
        } else {
            let word = word ^ 0x55;
            let (segment, step) = ((word >> 4) & 7, u32::from(word & 15));
            let magnitude = if segment == 0 { step * 2 + 1 } else { (step * 2 + 33) << (segment - 1) };
            f64::from(magnitude) * 8.0 * if word & 0x80 != 0 { 1.0 } else { -1.0 }
        }
    };
    let power =
        packet.payload.iter().map(|word| linear(*word).powi(2)).sum::<f64>() / packet.payload.len().max(1) as f64;
    10.0 * (power / (32_768.0 * 32_768.0)).max(1e-12).log10()
}

/// Asserts what every receiver is owed: one SSRC, sequence numbers without a gap, timestamps that go with time (to within
/// `slack`).
pub(crate) fn assert_continuous(heard: &[Sent], slack: Duration) {
    let packets: Vec<_> = heard.iter().map(|sent| (sent.at, sent.rtp().header)).collect();
    let (first_at, first) = packets.first().expect("something was sent").clone();
    for (index, pair) in packets.windows(2).enumerate() {
        let ((_, before), (at, header)) = (&pair[0], &pair[1]);
        assert_eq!(header.ssrc, first.ssrc, "packet {index}: one SSRC for life");
        assert_eq!(header.sequence_number, before.sequence_number.wrapping_add(1), "packet {index} at {at:?}");
        let advanced = f64::from(header.timestamp.wrapping_sub(first.timestamp)) / 8.0;
        let elapsed = (*at - first_at).as_secs_f64() * 1000.0;
        assert!(
            (advanced - elapsed).abs() <= slack.as_secs_f64() * 1000.0,
            "packet {index} at {at:?}: the timestamp advanced by {advanced} ms in {elapsed} ms"
        );
    }
}

/// One SSRC, sequence numbers without a gap, no more than `gap` between packets, and a timestamp that follows time within
/// `slack`, at so many units a second.
#[track_caller]
pub(crate) fn assert_one_source(heard: &[Sent], clock: u32, gap: Duration, slack: Duration) {
    let packets: Vec<_> = heard.iter().map(|sent| (sent.at, sent.rtp().header)).collect();
    let (first_at, first) = packets.first().expect("something was sent").clone();
    for (index, pair) in packets.windows(2).enumerate() {
        let ((before_at, before), (at, header)) = (&pair[0], &pair[1]);
        assert_eq!(header.ssrc, first.ssrc, "packet {index}: one SSRC");
        assert_eq!(header.sequence_number, before.sequence_number.wrapping_add(1), "packet {index} at {at:?}");
        assert!(*at - *before_at <= gap, "packet {index}: nothing from {before_at:?} to {at:?}");
        let advanced = f64::from(header.timestamp.wrapping_sub(first.timestamp)) / f64::from(clock);
        let elapsed = (*at - first_at).as_secs_f64();
        assert!(
            (advanced - elapsed).abs() <= slack.as_secs_f64(),
            "packet {index} at {at:?}: the timestamp advanced by {advanced} s in {elapsed} s"
        );
    }
}

/// The longest time between two packets.
pub(crate) fn longest_gap(heard: &[Sent]) -> Duration {
    heard.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
}
