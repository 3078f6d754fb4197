//! A panic in a call's step costs that call its audio, and no other call anything.

use crate::house::{House, ms, music, raw, stream};
use clock::Monotonic;
use media_relay::{Age, CallKey, Channel, Codec, Command, Event, PortId, Slot, Source, Wire};
use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A wire that one peer's packets tear.
struct Torn {
    poisoned: SocketAddr,
    sent: Vec<SocketAddr>,
}

impl Wire for Torn {
    fn transmit(&mut self, _: Slot, _: Channel, to: SocketAddr, _: &[u8]) {
        assert!(to != self.poisoned, "a wire that tears, by order of a test");
        self.sent.push(to);
    }
}

const GOOD: CallKey = CallKey(8);
const BAD: CallKey = CallKey(9);

fn peer(port: PortId) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(port.0).expect("a small number")], 4000))
}

/// Two calls of two ports: 1 and 2 good, 3 and 4 bad; each hears the other.
fn house() -> (House, Torn) {
    let mut house = House::new();
    for (call, one, other) in [(GOOD, PortId(1), PortId(2)), (BAD, PortId(3), PortId(4))] {
        for port in [one, other] {
            house.command(Command::Open { port, call });
            house.command(Command::Describe { port, stream: Box::new(stream(peer(port), Codec::Pcmu)) });
        }
        let sources = vec![(one, Source::Port(other)), (other, Source::Port(one))];
        house.command(Command::Plan { call, generation: 1, sources });
    }
    (house, Torn { poisoned: peer(PortId(4)), sent: Vec::new() })
}

fn receive(house: &mut House, port: PortId, wire: &mut Torn) -> std::thread::Result<()> {
    let slot = house.worker.slot(port).expect("the port is open");
    let mut bytes = raw(0, false, 1, 160, 0x1000 + port.0, &[0x55; 160]);
    let now: Monotonic = house.now.monotonic;
    catch_unwind(AssertUnwindSafe(|| house.worker.handle_rtp(now, slot, peer(port), &mut bytes, Age::Fresh, wire)))
}

#[test]
fn a_panic_while_a_packet_is_forwarded_ends_the_ports_of_its_call_alone() {
    let (mut house, mut wire) = house();
    house.events();
    assert!(receive(&mut house, PortId(3), &mut wire).is_err());
    let slots = house.worker.give_up();
    assert_eq!(slots.len(), 2);
    let lost: Vec<PortId> =
        house.events().iter().filter(|it| matches!(it, Event::Lost { .. })).map(Event::port).collect();
    assert_eq!(lost, [PortId(3), PortId(4)]);
    assert_eq!((house.worker.slot(PortId(3)), house.worker.slot(PortId(4))), (None, None));
    assert_eq!(house.worker.counters().ports, 2);

    assert!(receive(&mut house, PortId(1), &mut wire).is_ok());
    assert_eq!(wire.sent, [peer(PortId(2))], "the other call goes on");
    // Their places are free for others, each once.
    for port in [PortId(5), PortId(6)] {
        house.command(Command::Open { port, call: BAD });
    }
    let mut places: Vec<_> = (1..=6).filter_map(|port| house.worker.slot(PortId(port))).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 4);
}

#[test]
fn a_panic_in_a_tick_ends_the_ports_of_its_call_and_the_others_get_their_packet_in_the_same_tick() {
    let (mut house, mut wire) = house();
    for (call, port) in [(BAD, PortId(4)), (GOOD, PortId(2))] {
        house.command(Command::Plan { call, generation: 2, sources: vec![(port, music(1))] });
    }
    house.events();
    house.stop_for(ms(25));
    let now = house.now;
    assert!(catch_unwind(AssertUnwindSafe(|| house.worker.handle_timeout(now, &mut wire))).is_err());
    assert_eq!(house.worker.give_up().len(), 2);
    assert!(house.worker.poll_timeout().is_some_and(|due| due <= now.monotonic), "what was interrupted is due at once");
    house.worker.handle_timeout(now, &mut wire);
    assert!(wire.sent.contains(&peer(PortId(2))), "{:?}", wire.sent);
}

#[test]
fn a_panic_in_nobodys_step_gives_up_nobody() {
    let (mut house, mut wire) = house();
    assert!(receive(&mut house, PortId(1), &mut wire).is_ok());
    house.events();
    assert!(house.worker.give_up().is_empty());
    assert_eq!(house.worker.counters().ports, 4);
}
