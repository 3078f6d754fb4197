//! Transactions over transports that repeat what is lost themselves (RFC 3261 section 17): no copies of ours, no waiting for
//! copies of the peer's; but a 2xx to an INVITE is repeated over every transport (13.3.1.4).

use crate::world::{ANSWER, OUT, World, a, b, config, dial, ms};
use bytes::Bytes;
use signaling::{Command, Config, Dial, EndedBy, Event, Flow, Gauges, Listener, Transport};
use std::{net::SocketAddr, time::Duration};

fn listening(transport: Transport, local: SocketAddr) -> Config {
    Config { listeners: vec![Listener::new(transport, local)], ..config(local) }
}

fn over(transport: Transport) -> World {
    World::with(1, [listening(transport, a()), listening(transport, b())])
}

fn dial_over(transport: Transport) -> Command {
    let dial = Dial { flow: Flow::new(transport, a(), b()), ..*dial(b(), a()) };
    Command::Dial { leg: OUT, dial: Box::new(dial) }
}

#[test]
fn rfc3261_17_1_1_2_an_invite_over_tcp_is_sent_once_and_given_up_at_timer_b() {
    let mut world = over(Transport::Tcp);
    world.weather.lost = 1_000;
    world.command(0, dial_over(Transport::Tcp));
    world.pass(Duration::from_millis(31_999));
    assert_eq!(world.count(a(), "INVITE"), 1, "{:?}", world.ladder(a()));
    assert!(!world.events_of(0).iter().any(|event| matches!(event, Event::Ended { .. })));
    world.pass(ms(2));
    let events = world.events_of(0);
    assert!(
        matches!(events.last(), Some(Event::Ended { by: EndedBy::Timeout, status: Some(408), .. })),
        "timer B is the same over every transport: {events:?}"
    );
}

#[test]
fn rfc3261_17_1_2_2_a_bye_over_tls_is_sent_once_and_its_transaction_ends_with_the_answer() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut world = over(transport);
        world.command(0, dial_over(transport));
        world.pass(ms(10));
        let (leg, _) = world.incoming(1);
        world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
        world.pass(Duration::from_secs(40));
        world.command(0, Command::Hangup { leg: OUT, reason: None });
        world.pass(ms(10));
        assert_eq!(world.count(a(), "BYE"), 1);
        for (local, core) in &world.cores {
            assert_eq!(core.gauges(), Gauges::default(), "timers J and K are zero: {local}");
        }
    }
}

#[test]
fn rfc3261_17_2_1_a_refusal_over_tcp_is_sent_once_and_timers_d_and_i_are_zero() {
    let mut world = over(Transport::Tcp);
    world.command(0, dial_over(Transport::Tcp));
    world.pass(ms(10));
    let (leg, _) = world.incoming(1);
    world.command(1, Command::Reject { leg, status: 486, reason: None, headers: vec![] });
    world.pass(ms(10));
    assert_eq!(world.count(b(), "SIP/2.0 486"), 1);
    for (local, core) in &world.cores {
        assert_eq!(core.gauges(), Gauges::default(), "{local}");
    }
    // Nobody acknowledges: no copies either, the end comes with timer H.
    let mut world = over(Transport::Tcp);
    world.command(0, dial_over(Transport::Tcp));
    world.pass(ms(10));
    let (leg, _) = world.incoming(1);
    world.weather.lost = 1_000;
    world.command(1, Command::Reject { leg, status: 486, reason: None, headers: vec![] });
    world.pass(Duration::from_secs(31));
    assert_eq!(world.count(b(), "SIP/2.0 486"), 1, "no timer G over TCP");
    assert_eq!(world.cores[1].1.gauges().transactions, 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.cores[1].1.gauges().transactions, 0);
}

#[test]
fn rfc3261_13_3_1_4_a_200_that_is_not_acknowledged_is_repeated_over_tcp_too() {
    let mut world = over(Transport::Tcp);
    world.command(0, dial_over(Transport::Tcp));
    world.pass(ms(10));
    let (leg, _) = world.incoming(1);
    world.weather.lost = 1_000;
    world.command(1, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    world.pass(ms(3_600));
    assert_eq!(world.count(b(), "SIP/2.0 200"), 4, "at 0, 500, 1500, 3500 ms: {:?}", world.ladder(b()));
}

#[test]
fn rfc3261_17_datagrams_and_streams_keep_their_own_timers_in_one_core() {
    let mut both = config(a());
    both.listeners.push(Listener::new(Transport::Tcp, a()));
    let mut world = World::with(1, [both]);
    world.weather.lost = 1_000;
    world.command(0, dial_over(Transport::Tcp));
    let datagrams = Dial { flow: Flow::udp(a(), b()), ..*dial(b(), a()) };
    world.command(0, Command::Dial { leg: signaling::LegId(2), dial: Box::new(datagrams) });
    world.pass(ms(3_600));
    let sent = |transport| world.flows.iter().filter(|flow| flow.transport == transport).count();
    assert_eq!((sent(Transport::Tcp), sent(Transport::Udp)), (1, 4));
}
