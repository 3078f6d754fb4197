//! CPU of a call by what is done to its audio, without sockets, packets of 20 ms: two who are forwarded to each other, in plain and
//! encrypted, two whose codecs are converted, and a caller, an AI and a human who each hear the other two mixed:
//! `cargo bench -p media-relay --features io --bench mixing`.
//!
//! Virtual time: every call sends a packet a party and lets 20 ms pass, as fast as one thread can. Prints one JSON object a line:
//! microseconds of CPU for each second of a call.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and may fail loudly")]

use clock::{Monotonic, Now};
use ezk_g722::libg722::{Bitrate, encoder::Encoder};
use media_relay::{
    Age, CallKey, Channel, Codec, Command, CryptoSuite, Library, PortId, Slot, Source, SrtpKey, SrtpKeys, Stream, Wire,
    Worker,
};
use nix::sys::resource::{UsageWho, getrusage};
use rtc_srtp::{context::Context, crypto::default_provider, protection_profile::ProtectionProfile};
use std::{f32::consts::TAU, net::SocketAddr, sync::Arc, time::Duration};

const CALLS: u32 = 50;
const SECONDS: u32 = 20;
const PACKET: Duration = Duration::from_millis(20);

fn main() {
    let note = format!("{CALLS} calls, {SECONDS} s each, packets of 20 ms, no sockets");
    let print = |name: &str, codecs: [Codec; 3], mixed: bool, suite: Option<CryptoSuite>| {
        let (cpu, packets) = run(codecs, mixed, suite);
        let value = cpu.as_secs_f64() * 1e6 / f64::from(CALLS * SECONDS);
        println!(
            "{{\"name\":\"{name}\",\"value\":{value:.0},\"unit\":\"us\",\"note\":\"{note}; {packets} packets sent\"}}"
        );
    };
    let pcmu = [Codec::Pcmu; 3];
    print("forwarding_cpu_us_per_call_second", pcmu, false, None);
    print("srtp_cm_cpu_us_per_call_second", pcmu, false, Some(CryptoSuite::AesCm128HmacSha1_80));
    print("srtp_gcm_cpu_us_per_call_second", pcmu, false, Some(CryptoSuite::AeadAes128Gcm));
    let with = |other: Codec| [Codec::Pcmu, other, Codec::Pcmu];
    print("conversion_cpu_us_per_call_second_pcmu_pcma", with(Codec::Pcma), false, None);
    print("conversion_cpu_us_per_call_second_pcmu_g722", with(Codec::G722), false, None);
    print("conversion_cpu_us_per_call_second_pcmu_opus", with(Codec::Opus), false, None);
    print("mixing_cpu_us_per_call_second_pcmu", pcmu, true, None);
    print("mixing_cpu_us_per_call_second_g722", [Codec::G722; 3], true, None);
    print("mixing_cpu_us_per_call_second_pcmu_g722_opus", [Codec::Pcmu, Codec::G722, Codec::Opus], true, None);
}

struct Count(u64);

impl Wire for Count {
    fn transmit(&mut self, _: Slot, channel: Channel, _: SocketAddr, _: &[u8]) {
        self.0 += u64::from(channel == Channel::Rtp);
    }
}

struct Party {
    slot: Slot,
    peer: SocketAddr,
    codec: Codec,
    /// What it says: a packet's payload, over and over.
    payload: Vec<u8>,
    ssrc: u32,
    /// Where it encrypts: its packets in order, made before anybody looks at the clock.
    encrypted: Vec<Vec<u8>>,
}

impl Party {
    fn packet(&self, round: u32, bytes: &mut [u8]) -> usize {
        let length = 12 + self.payload.len();
        bytes[..2].copy_from_slice(&[0x80, self.codec.static_payload_type()]);
        bytes[2..4].copy_from_slice(&u16::try_from(round & 0xffff).unwrap().to_be_bytes());
        bytes[4..8].copy_from_slice(&(round * self.codec.clock_rate() / 50).to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[12..length].copy_from_slice(&self.payload);
        length
    }
}

/// Keys of one byte over and over, and the peer's side of them.
fn keys(suite: CryptoSuite) -> (SrtpKeys, Context) {
    let (profile, salt) = match suite {
        CryptoSuite::AeadAes128Gcm => (ProtectionProfile::AeadAes128Gcm, 12),
        _ => (ProtectionProfile::Aes128CmHmacSha1_80, 14),
    };
    let key = |byte: u8| SrtpKey { suite, key: vec![byte; 16], salt: vec![byte; salt] };
    let provider = default_provider().unwrap();
    let peer = Context::new(&[2; 16], &vec![2; salt], profile, None, None, provider.crypto()).unwrap();
    (SrtpKeys { send: key(1), receive: key(2) }, peer)
}

fn run(codecs: [Codec; 3], mixed: bool, suite: Option<CryptoSuite>) -> (Duration, u64) {
    let mut now = Now { monotonic: Monotonic::from_nanos(1), unix: Duration::from_secs(1_900_000_000) };
    let (mut worker, mut wire) = (Worker::new(Arc::new(Library::default()), 7, now), Count(0));
    let mut parties = Vec::new();
    for call in 0..CALLS {
        let ports: Vec<PortId> = (0..3).map(|n| PortId(call * 3 + n)).collect();
        for (port, codec) in ports.iter().zip(codecs) {
            let peer = SocketAddr::from(([10, 0, 0, 1], 4000 + 2 * u16::try_from(port.0).unwrap()));
            worker.handle_command(now, Command::Open { port: *port, call: CallKey(call.into()) }, &mut wire);
            let (keys, context) = suite.map(keys).unzip();
            let stream = Box::new(Stream { srtp: keys.map(Box::new), ..Stream::new(peer, codec) });
            worker.handle_command(now, Command::Describe { port: *port, stream }, &mut wire);
            let (slot, ssrc) = (worker.slot(*port).unwrap(), port.0);
            let payload = payload(codec, 300.0 + 200.0 * ssrc as f32);
            let mut party = Party { slot, peer, codec, payload, ssrc, encrypted: Vec::new() };
            if let Some(mut context) = context {
                let mut bytes = [0; 400];
                let mut encrypt = |round| {
                    let length = party.packet(round, &mut bytes);
                    context.encrypt_rtp(&bytes[..length]).unwrap().to_vec()
                };
                let packets: Vec<_> = (0..SECONDS * 50).map(&mut encrypt).collect();
                party.encrypted = packets;
            }
            parties.push(party);
        }
        let source = |listener: usize| match (mixed, listener) {
            (true, _) => Source::Mix(ports.iter().copied().filter(|other| *other != ports[listener]).collect()),
            (false, 0) => Source::Port(ports[1]),
            (false, 1) => Source::Port(ports[0]),
            (false, _) => Source::Nothing,
        };
        let sources = ports.iter().enumerate().map(|(at, port)| (*port, source(at))).collect();
        worker.handle_command(now, Command::Plan { call: CallKey(call.into()), generation: 1, sources }, &mut wire);
    }
    let speaking = if mixed { 3 } else { 2 };
    let (before, sent) = (cpu(), wire.0);
    let mut bytes = [0; 400];
    for round in 0..SECONDS * 50 {
        for (at, party) in parties.iter().enumerate() {
            if at % 3 >= speaking {
                continue;
            }
            let length = match party.encrypted.get(round as usize) {
                Some(packet) => {
                    bytes[..packet.len()].copy_from_slice(packet);
                    packet.len()
                }
                None => party.packet(round, &mut bytes),
            };
            worker.handle_rtp(now.monotonic, party.slot, party.peer, &mut bytes[..length], Age::Fresh, &mut wire);
        }
        let until = now.monotonic + PACKET;
        while let Some(due) = worker.poll_timeout().filter(|due| *due <= until) {
            now = now.after(due.since(now.monotonic));
            worker.handle_timeout(now, &mut wire);
            while worker.poll_event().is_some() {}
        }
        now = now.after(until.since(now.monotonic));
    }
    (cpu() - before, wire.0 - sent)
}

/// 20 ms of a tone.
fn payload(codec: Codec, hz: f32) -> Vec<u8> {
    let rate = codec.sample_rate();
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let samples: Vec<i16> =
        (0..rate / 50).map(|n| (6000.0 * (TAU * hz * n as f32 / rate as f32).sin()) as i16).collect();
    match codec {
        Codec::G722 => Encoder::new(Bitrate::Mode1_64000, false, false).encode(&samples),
        Codec::Opus => opus::Encoder::new(16_000, opus::Channels::Mono, opus::Application::Voip)
            .and_then(|mut encoder| encoder.encode_vec(&samples, 300))
            .unwrap(),
        _ => samples.iter().map(|sample| codec.encode(*sample)).collect(),
    }
}

/// CPU of this thread so far.
fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|t| Duration::from_micros(u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).unwrap()))
        .sum()
}
