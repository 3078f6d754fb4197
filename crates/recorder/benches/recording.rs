//! What recording adds to a relayed packet, without the network: `cargo bench -p recorder --features io`.
//!
//! 500 two-way G.711 calls pass a relay worker for some seconds of virtual time, once untapped and once with the caller's port
//! tapped and a desk writing WAV files of two channels. Prints one JSON object a line: nanoseconds of CPU per relayed packet of both, and
//! what a packet through sockets must cost for recording to add 40 %.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark has a clock and files")]
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

use clock::{Monotonic, Now};
use media_relay::{
    Age, CallKey, Channel, Codec, Command, PortId, Slot, Source, Stream, Tap, TapId, Taps, Wire, Worker,
};
use recorder::{
    Form,
    io::{Beginning, Config, Desk, Order, RealDisk, Recipients},
    wav::Format,
};
use std::{
    net::SocketAddr,
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

const CALLS: u32 = 500;
const SECONDS: u32 = 20;

struct Nowhere(u64);

impl Wire for Nowhere {
    fn transmit(&mut self, _: Slot, _: Channel, _: SocketAddr, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

fn main() {
    let plain = (0..3).map(|_| run(false)).fold(f64::MAX, f64::min);
    let recorded = (0..3).map(|_| run(true)).fold(f64::MAX, f64::min);
    let added = recorded - plain;
    let note = format!("{CALLS} two-way calls, {SECONDS} s, no sockets");
    for (name, value) in [
        ("relayed_ns", plain),
        ("recorded_ns", recorded),
        ("recording_added_ns", added),
        ("packet_ns_for_40_percent", added / 0.4),
    ] {
        println!("{{\"name\":\"{name}\",\"value\":{value:.0},\"unit\":\"ns\",\"note\":\"{note}\"}}");
    }
}

/// Nanoseconds per relayed packet.
fn run(recorded: bool) -> f64 {
    let mut now = Now { monotonic: Monotonic::from_nanos(1_000_000_000), unix: Duration::from_secs(1_795_000_000) };
    let mut worker = Worker::new(std::sync::Arc::default(), 1, now);
    let (reader, blocks) = sync_channel(65_536);
    worker.set_taps(Taps::new(vec![reader]));
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::new(
        Config {
            directory: folder.path().to_owned(),
            messages: folder.path().join("messages"),
            form: Form::Wav(Format::Pcm16),
            encrypt_to: Recipients::default(),
            upload: false,
        },
        RealDisk,
    );
    let mut wire = Nowhere(0);
    for call in 0..CALLS {
        let (key, one, other) = (CallKey(u64::from(call)), PortId(call * 2), PortId(call * 2 + 1));
        for port in [one, other] {
            worker.handle_command(now, Command::Open { port, call: key }, &mut wire);
            worker.handle_command(now, Command::Describe { port, stream: Box::new(stream(port)) }, &mut wire);
        }
        let sources = vec![(one, Source::Port(other)), (other, Source::Port(one))];
        worker.handle_command(now, Command::Plan { call: key, generation: 1, sources }, &mut wire);
        if recorded {
            let tap = TapId(u64::from(call));
            let channels = vec!["caller".to_owned(), "heard".to_owned()];
            let beginning =
                Beginning { call: format!("c_{call}"), line: String::new(), channels, at: now, message: None };
            desk.order(Order::Start(tap, Box::new(beginning)));
            let tap = Tap { id: tap, received: Some(0), sent: Some(1) };
            worker.handle_command(now, Command::Tap { port: one, tap }, &mut wire);
        }
    }
    let began = Instant::now();
    for step in 0..SECONDS * 50 {
        for port in 0..CALLS * 2 {
            let mut packet = [0x55; 172];
            packet[..2].copy_from_slice(&[0x80, 8]);
            packet[2..4].copy_from_slice(&u16::try_from(step).unwrap().to_be_bytes());
            packet[4..8].copy_from_slice(&(step * 160).to_be_bytes());
            let slot = worker.slot(PortId(port)).unwrap();
            worker.handle_rtp(now.monotonic, slot, peer(PortId(port)), &mut packet, Age::Fresh, &mut wire);
        }
        now = now.after(Duration::from_millis(20));
        while worker.poll_timeout().is_some_and(|due| due <= now.monotonic) {
            worker.handle_timeout(now, &mut wire);
        }
        while worker.poll_event().is_some() {}
        blocks.try_iter().for_each(|block| desk.block(block));
        desk.tick(now.monotonic);
    }
    let took = began.elapsed();
    assert!(!recorded || desk.bytes > 0);
    took.as_nanos() as f64 / f64::from(SECONDS * 50 * CALLS * 2)
}

fn peer(port: PortId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], u16::try_from(10_000 + port.0).unwrap()))
}

fn stream(port: PortId) -> Stream {
    Stream { remote_rtcp: peer(port), ..Stream::new(peer(port), Codec::Pcma) }
}
