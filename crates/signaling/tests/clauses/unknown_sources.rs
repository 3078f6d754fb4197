//! Who may send us what.

use crate::world::{World, a, config, established, request, status};
use signaling::{EndedBy, Event, Network, Unknown};
use std::{net::SocketAddr, time::Duration};

fn stranger() -> SocketAddr {
    "203.0.113.5:5060".parse().unwrap()
}

fn alone(unknown: Unknown) -> World {
    World::with(1, [signaling::Config { unknown, ..config(a()) }])
}

#[test]
fn a_stranger_gets_nothing_when_we_are_silent() {
    let mut world = alone(Unknown::Silent);
    for method in ["INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "MESSAGE"] {
        assert!(world.say_from(stranger(), &request(method, "")).is_empty(), "{method}");
    }
    assert!(world.events.is_empty());
    assert_eq!(world.cores[0].1.counters().unknown_sources, 6);
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default());
}

#[test]
fn a_stranger_gets_403_that_is_not_remembered_and_is_no_amplifier() {
    let mut world = alone(Unknown::Forbid);
    let short = "OPTIONS sip:x SIP/2.0\nv:SIP/2.0/UDP a;rport\nf:sip:a\nt:sip:a\ni:1\nCSeq:1 OPTIONS\n\n";
    for message in [request("INVITE", ""), request("OPTIONS", ""), short.to_owned()] {
        let heard = world.say_from(stranger(), &message);
        for answer in &heard {
            assert_eq!(status(answer), 403);
            assert!(answer.len() * 2 <= message.replace('\n', "\r\n").len() * 3, "{answer}");
        }
    }
    assert_eq!(status(&world.say_from(stranger(), &request("INVITE", ""))[0]), 403);
    assert!(world.say_from(stranger(), &request("ACK", "")).is_empty());
    assert!(world.events.is_empty());
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default());
}

#[test]
fn a_dialog_s_own_peer_is_known_and_a_stranger_who_has_learned_its_names_is_not() {
    let mut configs = [config(a()), config(crate::world::b())];
    // We dial somebody who is not on the list.
    configs[0].allowed = vec!["198.51.100.0/24".parse::<Network>().unwrap()];
    let mut world = World::with(1, configs);
    established(&mut world);
    let ack = world.last(a(), "ACK");
    let line = |name: &str| ack.lines().find_map(|l| l.strip_prefix(name)).unwrap().to_owned();
    let bye = |number: u32| {
        format!(
            "BYE sip:192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx{number}\r\nFrom:{}\r\nTo:{}\r\nCall-ID:{}\r\nCSeq: {number} BYE\r\n\r\n",
            line("To:"),
            line("From:"),
            line("Call-ID:")
        )
    };
    world.sent.clear();
    world.inject(0, stranger(), bye(7));
    assert!(world.sent.is_empty() && world.events_of(0).is_empty());
    world.inject(0, crate::world::b(), bye(8));
    assert_eq!(world.count(a(), "SIP/2.0 200"), 1);
    assert!(matches!(world.events_of(0)[..], [Event::Ended { by: EndedBy::Peer, .. }]));
    world.pass(Duration::from_secs(40));
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default());
}
