//! CPU per relayed packet and latency at 200 two-way calls (or as many as are asked for), beside a bare level-triggered epoll +
//! recvfrom + sendto forwarder in the same run: `cargo bench -p media-relay --features io --bench relay [-- CALLS]`.
//!
//! Latency is from a packet's sending to when the generator reads it: the same thread does both, so it is that of a busy machine,
//! and what counts is how it compares. One thread generates and drinks the traffic over loopback; the forwarder, then the relay's worker, each run on a thread
//! of their own. The kernel counts each thread's CPU. The ratio counts only if the bare forwarder costs at most 0.9 of the
//! generator's own CPU per packet sent and received. Prints one JSON object a line.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark has sockets, threads and a clock"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may fail loudly"
)]

use media_relay::{
    CallKey, Codec, Command, Latching, PortId, Source, Stream,
    io::{Config, Relay},
};
use nix::{
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::EventFd,
        resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit},
    },
    unistd::{SysconfVar, sysconf},
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{sleep, spawn},
    time::{Duration, Instant},
};

/// Calls where nobody asks for another number.
const CALLS: usize = 200;
const PACKET: usize = 172;
const PTIME: Duration = Duration::from_millis(20);
/// Seconds of each measured stretch; bare and relay take turns so that both see the machine's moods.
const STRETCH: Duration = Duration::from_secs(4);
const TURNS: usize = 4;

fn main() {
    let calls = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(CALLS);
    // Six descriptors a call.
    let most = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let (mut bare_took, mut relay_took, mut late) = (Vec::new(), Vec::new(), 0);
    let mut bare = Cost::default();
    let mut relay = Cost::default();
    let mut generator = Cost::default();
    for turn in 0..TURNS {
        let (forwarder, made) = run_bare(calls, &mut bare_took);
        let (worker, made_too, late_ticks) = run_relay(calls, &mut relay_took);
        late += late_ticks;
        eprintln!("turn {turn}: bare {:.2} us, relay {:.2} us a packet", forwarder.per_packet(), worker.per_packet());
        bare.add(forwarder);
        relay.add(worker);
        generator.add(made);
        generator.add(made_too);
    }
    let ratio = relay.per_packet() / bare.per_packet();
    let honest = bare.per_packet() / generator.per_packet();
    let machine = format!("{calls} two-way calls, {TURNS} turns of {} s", STRETCH.as_secs());
    let verdict = if honest <= 0.9 { "counts" } else { "does not count" };
    print(
        "relay_cpu_ratio_to_bare_forwarder",
        ratio,
        "ratio",
        &format!("{machine}; {verdict}: bare/generator {honest:.2}"),
    );
    print("relay_cpu_s_per_million_packets", relay.per_packet(), "s", &machine);
    print("bare_forwarder_cpu_s_per_million_packets", bare.per_packet(), "s", &machine);
    print("relay_bench_generator_cpu_s_per_million_packets", generator.per_packet(), "s", "sent and received");
    for (name, part) in [("median", 50), ("p99", 99)] {
        let (ours, theirs) = (percentile(&mut relay_took, part), percentile(&mut bare_took, part));
        print(&format!("relay_latency_{name}_us"), ours, "us", &format!("{machine}; bare forwarder {theirs:.0} us"));
        print(&format!("relay_latency_{name}_ratio_to_bare_forwarder"), ours / theirs, "ratio", &machine);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    print("relay_late_ticks", late as f64, "ticks", &format!("{machine}; later than 10 ms"));
}

/// Microseconds below which so many of a hundred lie.
fn percentile(took: &mut [u32], part: usize) -> f64 {
    let at = (took.len() * part / 100).min(took.len().saturating_sub(1));
    if took.is_empty() { f64::NAN } else { f64::from(*took.select_nth_unstable(at).1) / 1000.0 }
}

fn print(name: &str, value: f64, unit: &str, note: &str) {
    println!("{{\"name\":\"{name}\",\"value\":{value:.3},\"unit\":\"{unit}\",\"note\":\"{note}\"}}");
}

/// CPU time and the packets it was spent on.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu: Duration,
    packets: u64,
}

impl Cost {
    /// Microseconds a packet: seconds a million.
    fn per_packet(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.packets.max(1) as f64
    }

    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.packets += other.packets;
    }
}

/// CPU of the calling thread so far.
fn own_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|t| Duration::from_micros(u64::try_from(t.tv_sec() * 1_000_000 + t.tv_usec()).unwrap()))
        .sum()
}

/// CPU of the thread of that name so far, from the scheduler's own nanoseconds.
fn cpu_of(name: &str) -> Duration {
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        if std::fs::read_to_string(path.join("comm")).unwrap_or_default().trim() == name {
            if let Ok(stat) = std::fs::read_to_string(path.join("schedstat")) {
                let nanos: u64 = stat.split(' ').next().unwrap().parse().unwrap();
                if nanos > 0 {
                    return Duration::from_nanos(nanos);
                }
            }
            let stat = std::fs::read_to_string(path.join("stat")).unwrap();
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
            let rate = u64::try_from(sysconf(SysconfVar::CLK_TCK).unwrap().unwrap()).unwrap();
            return Duration::from_millis(ticks * 1000 / rate);
        }
    }
    panic!("no thread {name}");
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

/// Both ends of every call: socket `2n` talks to port `2n` of what is measured, and hears `2n + 1`'s party through it.
struct Generator {
    sockets: Vec<UdpSocket>,
    epoll: Epoll,
    sequence: u16,
    /// What the packets' times count from.
    began: Instant,
}

impl Generator {
    fn new(calls: usize) -> Self {
        let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
        let sockets: Vec<UdpSocket> = (0..2 * calls).map(|_| socket()).collect();
        for (index, socket) in sockets.iter().enumerate() {
            epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64)).unwrap();
        }
        Self { sockets, epoll, sequence: 0, began: Instant::now() }
    }

    /// Talks toward `targets` for a while, spread over each packet time; what it cost to send and receive, and how many
    /// came back.
    fn talk(&mut self, targets: &[SocketAddr], lasting: Duration, took: &mut Vec<u32>) -> Cost {
        let (cpu, start) = (own_cpu(), Instant::now());
        let mut received = 0;
        let mut packet = [0x55u8; PACKET];
        let mut buffer = [0u8; 2048];
        let mut ready = [EpollEvent::empty(); 256];
        let mut turn = 0u32;
        let count = u32::try_from(targets.len()).unwrap();
        while start.elapsed() < lasting {
            // As many as are due by now, one socket after the other.
            let due = u32::try_from(start.elapsed().as_nanos() * u128::from(count) / PTIME.as_nanos()).unwrap();
            while turn < due {
                let at = (turn % count) as usize;
                let round = turn / count;
                let sequence = self.sequence.wrapping_add(u16::try_from(round & 0xffff).unwrap());
                packet[..2].copy_from_slice(&[0x80, 0]);
                packet[2..4].copy_from_slice(&sequence.to_be_bytes());
                packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
                packet[8..12].copy_from_slice(&u32::try_from(at).unwrap().to_be_bytes());
                packet[12..20].copy_from_slice(&self.nanos().to_be_bytes());
                let _ = self.sockets[at].send_to(&packet, targets[at]);
                turn += 1;
            }
            let count = self.epoll.wait(&mut ready, EpollTimeout::from(1u8)).unwrap_or(0);
            for event in &ready[..count] {
                if self.sockets[usize::try_from(event.data()).unwrap()].recv_from(&mut buffer).is_ok() {
                    received += 1;
                    let sent = u64::from_be_bytes(buffer[12..20].try_into().unwrap());
                    // What the relay made itself carries no time.
                    if let Some(nanos) = self.nanos().checked_sub(sent) {
                        took.push(u32::try_from(nanos).unwrap_or(u32::MAX));
                    }
                }
            }
        }
        self.sequence = self.sequence.wrapping_add(u16::try_from((turn / count) & 0xffff).unwrap() + 1);
        Cost { cpu: own_cpu() - cpu, packets: received }
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(0)
    }
}

fn run_bare(calls: usize, took: &mut Vec<u32>) -> (Cost, Cost) {
    let mut generator = Generator::new(calls);
    let inside: Vec<UdpSocket> = (0..2 * calls).map(|_| socket()).collect();
    let targets: Vec<SocketAddr> = inside.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let peers: Vec<SocketAddr> = generator.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let (stop, forwarded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (its_stop, its_forwarded) = (stop.clone(), forwarded.clone());
    let thread = std::thread::Builder::new()
        .name("bare".to_owned())
        .spawn(move || {
            let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
            for (index, socket) in inside.iter().enumerate() {
                epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, index as u64)).unwrap();
            }
            let mut ready = [EpollEvent::empty(); 256];
            let mut buffer = [0u8; 2048];
            while !its_stop.load(Ordering::Relaxed) {
                let count = epoll.wait(&mut ready, EpollTimeout::from(100u8)).unwrap_or(0);
                let mut done = 0;
                for event in &ready[..count] {
                    let index = usize::try_from(event.data()).unwrap();
                    if let Ok((length, _)) = inside[index].recv_from(&mut buffer) {
                        let other = index ^ 1;
                        let _ = inside[other].send_to(&buffer[..length], peers[other]);
                        done += 1;
                    }
                }
                its_forwarded.fetch_add(done, Ordering::Relaxed);
            }
        })
        .unwrap();
    generator.talk(&targets, Duration::from_millis(500), &mut Vec::new());
    sleep(Duration::from_millis(50));
    let (cpu, packets) = (cpu_of("bare"), forwarded.load(Ordering::Relaxed));
    let made = generator.talk(&targets, STRETCH, took);
    sleep(Duration::from_millis(50));
    let cost = Cost { cpu: cpu_of("bare") - cpu, packets: forwarded.load(Ordering::Relaxed) - packets };
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    (cost, made)
}

fn run_relay(calls: usize, took: &mut Vec<u32>) -> (Cost, Cost, u64) {
    let mut generator = Generator::new(calls);
    let wake = Arc::new(EventFd::new().unwrap());
    let mut relay = Relay::start(Config { ports: 20_000..=29_999, ..Config::default() }, &wake).unwrap();
    let gauges = relay.gauges();
    let mut targets = Vec::new();
    let mut peers = generator.sockets.iter().map(|socket| socket.local_addr().unwrap());
    for n in 0..calls {
        let call = CallKey(n as u64);
        let opened = [relay.open(call).unwrap(), relay.open(call).unwrap()];
        for one in opened {
            let remote = peers.next().unwrap();
            relay.send(Command::Describe { port: one.port, stream: Box::new(stream(remote)) }).unwrap();
            targets.push(one.address);
        }
        let [a, b]: [PortId; 2] = opened.map(|one| one.port);
        let sources = vec![(a, Source::Port(b)), (b, Source::Port(a))];
        relay.send(Command::Plan { call, generation: 1, sources }).unwrap();
        relay.hand_over();
    }
    // The engine's part, on a thread of its own: fetch events now and then.
    let stop = Arc::new(AtomicBool::new(false));
    let its_stop = stop.clone();
    let engine = spawn(move || {
        while !its_stop.load(Ordering::Relaxed) {
            while relay.next_event().is_some() {}
            sleep(Duration::from_millis(20));
        }
        relay.stop();
    });
    generator.talk(&targets, Duration::from_millis(500), &mut Vec::new());
    sleep(Duration::from_millis(50));
    let (cpu, packets) = (cpu_of("media-0"), gauges.counters().packets_sent);
    let made = generator.talk(&targets, STRETCH, took);
    sleep(Duration::from_millis(50));
    let counters = gauges.counters();
    let cost = Cost { cpu: cpu_of("media-0") - cpu, packets: counters.packets_sent - packets };
    stop.store(true, Ordering::Relaxed);
    engine.join().unwrap();
    eprintln!("relay: {} of {} came back, {} late ticks", made.packets, cost.packets, counters.late_ticks);
    (cost, made, counters.late_ticks)
}

fn stream(remote: SocketAddr) -> Stream {
    Stream { telephone_event: Some((101, 101)), nat: Latching::Learn, ..Stream::new(remote, Codec::Pcmu) }
}
