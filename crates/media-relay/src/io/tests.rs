//! Workers that panic and workers that die: real threads, real sockets.

use super::*;
use crate::{Codec, Source, Stream};
use clock::io::monotonic;

/// A packet that ends so makes the worker panic where it is sent on.
pub(super) const POISON: &[u8] = b"a packet that panics";

const SOON: Duration = Duration::from_secs(5);

struct Call {
    key: CallKey,
    ports: [Opened; 2],
    peers: [UdpSocket; 2],
}

fn relay() -> (Relay, Arc<EventFd>) {
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
    let seed = u64::from(std::process::id());
    let config = Config { quarantine: Duration::ZERO, seed, ..Config::default() };
    (Relay::start(config, &wake).unwrap(), wake)
}

fn call(relay: &mut Relay, key: u64) -> Call {
    let key = CallKey(key);
    let ports = [relay.open(key).unwrap(), relay.open(key).unwrap()];
    let peers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    for (opened, peer) in ports.iter().zip(&peers) {
        peer.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let remote = peer.local_addr().unwrap();
        let stream = Stream { remote_rtcp: SocketAddr::new(remote.ip(), 9), ..Stream::new(remote, Codec::Pcmu) };
        relay.send(Command::Describe { port: opened.port, stream: Box::new(stream) }).unwrap();
    }
    let [one, other] = [ports[0].port, ports[1].port];
    let sources = vec![(one, Source::Port(other)), (other, Source::Port(one))];
    relay.send(Command::Plan { call: key, generation: 1, sources }).unwrap();
    relay.hand_over();
    Call { key, ports, peers }
}

impl Call {
    /// Sends packets from one peer until the other has one of them; false when none comes.
    fn talks(&self) -> bool {
        let mut bytes = [0x55u8; 172];
        bytes[..12].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7]);
        let started = monotonic();
        while monotonic().since(started) < SOON {
            bytes[3] = bytes[3].wrapping_add(1);
            self.peers[0].send_to(&bytes, self.ports[0].address).unwrap();
            let mut room = [0; 2048];
            while let Ok(length) = self.peers[1].recv(&mut room) {
                if room[..length].ends_with(&[0x55; 160]) {
                    return true;
                }
            }
        }
        false
    }

    fn poison(&self) {
        let mut bytes = vec![0x80, 0, 1, 0, 0, 0, 9, 9, 0, 0, 0, 7];
        bytes.extend(POISON);
        self.peers[0].send_to(&bytes, self.ports[0].address).unwrap();
    }
}

/// Waits for `count` ports to be lost.
fn lost(relay: &mut Relay, count: usize) -> Vec<PortId> {
    let mut lost = Vec::new();
    let started = monotonic();
    while lost.len() < count && monotonic().since(started) < SOON {
        match relay.next_event() {
            Some(Event::Lost { port }) => lost.push(port),
            Some(_) => {}
            None => std::thread::yield_now(),
        }
    }
    lost.sort_unstable();
    lost
}

/// One packet of one call made the worker panic, and every call of that worker was silent from then on.
#[test]
fn a_packet_that_panics_costs_its_call_alone_its_ports() {
    let (mut relay, _wake) = relay();
    let (good, bad) = (call(&mut relay, 1), call(&mut relay, 2));
    assert!(good.talks() && bad.talks());
    bad.poison();
    assert_eq!(lost(&mut relay, 2), bad.ports.map(|opened| opened.port));
    assert!(good.talks(), "the other call goes on");
    assert_eq!(relay.gauges().ports_in_use(), 2);
    let again = call(&mut relay, 3);
    assert!(again.talks(), "and new ones begin");
    relay.stop();
}

/// A dead worker was not replaced: its calls sat in silence, and every later call got no port.
#[test]
fn a_worker_that_dies_is_replaced_and_its_calls_are_told() {
    let (mut relay, wake) = relay();
    let first = call(&mut relay, 1);
    assert!(first.talks());
    let before = relay.gauges().counters().packets_received;
    while monotonic().since(relay.workers[0].born) < INFANCY {
        std::thread::yield_now();
    }
    while relay.next_event().is_some() {}
    let _ = wake.read();
    relay.order(0, Order::Die).unwrap();
    relay.hand_over();
    let started = monotonic();
    while wake.read().is_err() && monotonic().since(started) < SOON {
        std::thread::yield_now();
    }
    assert!(monotonic().since(started) < SOON, "the engine is woken");
    assert_eq!(lost(&mut relay, 2), first.ports.map(|opened| opened.port));
    assert_eq!(relay.gauges().ports_in_use(), 0);
    let second = call(&mut relay, first.key.0);
    assert!(second.talks(), "the new worker carries calls");
    while relay.gauges().counters().packets_received <= before && monotonic().since(started) < SOON {
        std::thread::yield_now();
    }
    assert!(relay.gauges().counters().packets_received > before, "counters never go back");
    relay.stop();
}

/// Orders without haste ring no bell while the worker ticks: the next packet finds them done.
#[test]
fn who_is_taken_off_the_line_is_not_heard_with_the_next_packet_though_nobody_woke_the_worker() {
    let (mut relay, _wake) = relay();
    let call = call(&mut relay, 1);
    assert!(call.talks());
    let [one, other] = call.ports.map(|opened| opened.port);
    let say = |what: u8| {
        let mut bytes = [what; 172];
        bytes[..12].copy_from_slice(&[0x80, 0, 7, what, 0, 0, 0, 160, 0, 0, 0, 9]);
        call.peers[0].send_to(&bytes, call.ports[0].address).unwrap();
    };
    // What was said before this has been counted when this was heard and the worker has turned once more.
    let mut room = [0; 2048];
    say(0);
    while !matches!(call.peers[1].recv(&mut room), Ok(172) if room[171] == 0) {}
    let opened = relay.open(CallKey(2)).unwrap();
    relay.send(Command::Close { port: opened.port }).unwrap();
    relay.hand_over();
    while !matches!(relay.next_event(), Some(Event::Closed { port, .. }) if port == opened.port) {
        std::thread::yield_now();
    }
    let (before, mut heard) = (relay.gauges().counters().packets_received, Vec::new());
    for round in 1..=20u8 {
        let source = if round % 2 == 0 { Source::Port(one) } else { Source::Nothing };
        let generation = 1 + u64::from(round);
        relay.send(Command::Plan { call: call.key, generation, sources: vec![(other, source)] }).unwrap();
        relay.hand_over();
        assert!(!relay.workers[0].bell.ringing.load(Ordering::SeqCst), "nobody rings for it");
        say(round);
        while relay.gauges().counters().packets_received < before + u64::from(round) {
            std::thread::yield_now();
        }
    }
    while heard.last() != Some(&20) {
        let length = call.peers[1].recv(&mut room).expect("what was sent on the line arrives");
        heard.extend((length == 172).then_some(room[171]));
    }
    heard.retain(|payload| (1..=20).contains(payload));
    assert_eq!(heard, (1..=10).map(|n| n * 2).collect::<Vec<u8>>(), "odd rounds were off the line");
    relay.stop();
}

/// A worker without a port has no tick: it must be woken.
#[test]
fn a_worker_that_sleeps_is_woken_for_orders_without_haste() {
    let (mut relay, _wake) = relay();
    for key in 1..50 {
        let opened = relay.open(CallKey(key)).unwrap();
        relay.send(Command::Close { port: opened.port }).unwrap();
        relay.hand_over();
        let started = monotonic();
        loop {
            match relay.next_event() {
                Some(Event::Closed { port, .. }) if port == opened.port => break,
                _ => std::thread::yield_now(),
            }
            assert!(monotonic().since(started) < SOON, "call {key} was forgotten");
        }
    }
    relay.stop();
}

/// Fault row 22: a worker that was stopped plays no burst of old audio.
#[test]
fn what_waited_while_a_worker_stood_still_is_not_forwarded_and_what_comes_then_is() {
    let (mut relay, _wake) = relay();
    let call = call(&mut relay, 1);
    assert!(call.talks());
    let ((stands, standing), (go_on, told)) = (sync_channel(1), sync_channel(1));
    relay.order(0, Order::Stand(stands, told)).unwrap();
    relay.hand_over();
    standing.recv().unwrap();
    let say = |what: u8| {
        let mut bytes = [what; 172];
        bytes[..12].copy_from_slice(&[0x80, 0, 9, what, 0, 0, 0, 160, 0, 0, 0, 11]);
        call.peers[0].send_to(&bytes, call.ports[0].address).unwrap();
    };
    let before = relay.gauges().counters().packets_received;
    let stood = monotonic();
    (1..=20).for_each(say);
    while monotonic().since(stood) <= thread::STALL {
        std::thread::yield_now();
    }
    go_on.send(()).unwrap();
    while relay.gauges().counters().packets_received < before + 20 {
        std::thread::yield_now();
    }
    say(21);
    let mut room = [0; 2048];
    let first = loop {
        let length = call.peers[1].recv(&mut room).expect("what comes then arrives");
        if length == 172 && (1..=21).contains(&room[171]) {
            break room[171];
        }
    };
    assert_eq!(first, 21, "old audio was forwarded");
    relay.stop();
}
