//! Which way messages go (RFC 3261 section 18): what Via and Contact say, where responses and requests within a dialog go,
//! and when a request is too long for a datagram.

use crate::world::{ANSWER, OFFER, OUT, World, a, config, dial, hand, header, ms, reply, request, status};
use bytes::Bytes;
use signaling::{Command, Config, ConnectionId, Dial, EndedBy, Event, Flow, Listener, Transport};
use std::{net::SocketAddr, time::Duration};

/// Another socket of ours: TCP and TLS have ports of their own in these tests.
fn tcp() -> SocketAddr {
    "192.0.2.1:5070".parse().unwrap()
}

fn tls() -> SocketAddr {
    "192.0.2.1:5061".parse().unwrap()
}

fn everything() -> Config {
    let mut config = config(a());
    config.listeners.push(Listener::new(Transport::Tcp, tcp()));
    config.listeners.push(Listener::new(Transport::Tls, tls()));
    config
}

fn alone() -> World {
    World::with(1, [everything()])
}

/// A stream that somebody opened to us, from a port of the moment.
fn stream(transport: Transport, number: u16) -> Flow {
    let local = if transport == Transport::Tls { tls() } else { tcp() };
    Flow {
        transport,
        local,
        remote: SocketAddr::new(hand().ip(), 40_000 + number),
        connection: Some(ConnectionId(number.into())),
    }
}

fn text(message: &str) -> String {
    message.trim_start().replace("\r\n", "\n").replace('\n', "\r\n")
}

fn over(message: &str, transport: &str) -> String {
    text(message).replace("SIP/2.0/UDP", &format!("SIP/2.0/{transport}"))
}

/// What was sent last, and which way.
fn last(world: &World) -> (Flow, String) {
    let (_, _, _, bytes) = world.sent.last().unwrap();
    (*world.flows.last().unwrap(), String::from_utf8(bytes.to_vec()).unwrap())
}

fn dial_by(flow: Flow, target: &str) -> Command {
    Command::Dial { leg: OUT, dial: Box::new(Dial { flow, target: target.into(), ..*dial(flow.remote, flow.local) }) }
}

fn invite(more: &str) -> String {
    request("INVITE", more)
}

#[test]
fn rfc3261_18_1_1_via_and_contact_say_the_transport() {
    for (flow, target, via, contact) in [
        (Flow::udp(a(), hand()), "sip:x@192.0.2.9:5070", "SIP/2.0/UDP 192.0.2.1:5060", "<sip:192.0.2.1:5060>"),
        (
            Flow::new(Transport::Tcp, tcp(), hand()),
            "sip:x@192.0.2.9:5070;transport=tcp",
            "SIP/2.0/TCP 192.0.2.1:5070",
            "<sip:192.0.2.1:5070;transport=tcp>",
        ),
        (
            Flow::new(Transport::Tls, tls(), hand()),
            "sip:x@192.0.2.9:5070;transport=tls",
            "SIP/2.0/TLS 192.0.2.1:5061",
            "<sip:192.0.2.1:5061;transport=tls>",
        ),
        (
            Flow::new(Transport::Tls, tls(), hand()),
            "sips:x@192.0.2.9:5070",
            "SIP/2.0/TLS 192.0.2.1:5061",
            "<sips:192.0.2.1:5061>",
        ),
    ] {
        let mut world = alone();
        world.command(0, dial_by(flow, target));
        let (sent, invite) = last(&world);
        assert_eq!(sent, flow);
        assert!(header(&invite, "Via").unwrap().starts_with(via), "{invite}");
        assert_eq!(header(&invite, "Contact"), Some(contact));
    }
}

#[test]
fn rfc3261_26_2_2_a_sips_target_is_never_dialled_in_the_clear() {
    let mut world = alone();
    world.command(0, dial_by(Flow::new(Transport::Tcp, tcp(), hand()), "sips:x@192.0.2.9"));
    assert!(world.sent.is_empty());
    assert!(matches!(world.events_of(0)[..], [Event::Ended { by: EndedBy::Unsent, status: Some(400), .. }]));
}

#[test]
fn rfc3261_26_2_2_a_sips_call_is_taken_over_tls_alone_and_gets_a_sips_contact() {
    let sips = |transport: &str| over(&invite("").replace("INVITE sip:", "INVITE sips:"), transport);
    let mut world = alone();
    world.inject_over(0, stream(Transport::Tcp, 1), sips("TCP"));
    assert_eq!(status(&last(&world).1), 416);
    world.inject_over(0, stream(Transport::Tls, 2), sips("TLS").replace("call-1", "call-2").replace("-INVITE", "-2"));
    let (leg, incoming) = world.incoming(0);
    assert_eq!(incoming.flow, stream(Transport::Tls, 2));
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    assert_eq!(header(&last(&world).1, "Contact"), Some("<sips:192.0.2.1:5061>"));
}

#[test]
fn rfc3261_18_2_2_responses_go_back_over_the_connection_and_else_to_the_port_of_sent_by() {
    let mut world = alone();
    world.inject_over(0, stream(Transport::Tcp, 3), over(&invite(""), "TCP"));
    let (flow, trying) = last(&world);
    assert_eq!(status(&trying), 100);
    assert_eq!(flow.connection, Some(ConnectionId(3)), "over the connection as long as it is open");
    assert_eq!(flow.remote, hand(), "sent-by says port 5070; the stream's own port belongs to nobody else");
    // Without a port in sent-by it is the transport's own.
    let portless = over(&request("OPTIONS", ""), "TLS").replace("192.0.2.9:5070;branch", "192.0.2.9;branch");
    world.inject_over(0, stream(Transport::Tls, 4), portless);
    let (flow, _) = last(&world);
    assert_eq!((flow.remote.port(), flow.connection), (5061, Some(ConnectionId(4))));
}

#[test]
fn rfc3581_4_over_udp_rport_still_decides() {
    let mut world = alone();
    let source: SocketAddr = "192.0.2.9:61000".parse().unwrap();
    world.inject(0, source, text(&request("OPTIONS", "")));
    assert_eq!(last(&world).0.remote, source);
    world.inject(0, source, text(&request("OPTIONS", "")).replace(";rport", "").replace("-OPTIONS", "-2"));
    assert_eq!(last(&world).0.remote, hand());
}

#[test]
fn a_broken_request_on_a_stream_is_answered_there() {
    let mut world = alone();
    let broken = over(&request("OPTIONS", ""), "TCP").replace("CSeq: 1 OPTIONS", "CSeq: one OPTIONS");
    world.inject_over(0, stream(Transport::Tcp, 5), broken);
    let (flow, answer) = last(&world);
    assert_eq!((status(&answer), flow.connection), (400, Some(ConnectionId(5))));
}

#[test]
fn rfc5626_5_3_requests_within_a_dialog_go_back_over_the_stream_its_invite_came_by() {
    let mut world = alone();
    world.inject_over(0, stream(Transport::Tcp, 6), over(&invite(""), "TCP"));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    let answer = last(&world).1;
    let ack = over(&request("ACK", "").replace("To: <sip:line@192.0.2.1>", &to_line(&answer)), "TCP");
    world.inject_over(0, stream(Transport::Tcp, 6), ack);
    world.command(0, Command::Hangup { leg, reason: None });
    let (flow, bye) = last(&world);
    assert!(bye.starts_with("BYE "), "{bye}");
    assert_eq!(flow.connection, Some(ConnectionId(6)));
    assert_eq!(flow.remote, hand(), "the Contact is where a new connection would go");
}

#[test]
fn rfc5626_5_3_a_dialog_follows_its_peer_to_a_new_stream() {
    let mut world = alone();
    world.inject_over(0, stream(Transport::Tcp, 7), over(&invite(""), "TCP"));
    let (leg, _) = world.incoming(0);
    world.command(0, Command::Answer { leg, body: Some(Bytes::from_static(ANSWER)), headers: vec![] });
    let to = to_line(&last(&world).1);
    let within = |method: &str, cseq: u32| {
        let text = request(method, "").replace("To: <sip:line@192.0.2.1>", &to);
        over(&text.replace("CSeq: 1", &format!("CSeq: {cseq}")), "TCP")
    };
    world.inject_over(0, stream(Transport::Tcp, 7), within("ACK", 1));
    world.inject_over(0, stream(Transport::Tcp, 8), within("OPTIONS", 2));
    world.inject_over(0, stream(Transport::Tcp, 8), within("UPDATE", 3));
    world.command(0, Command::Hangup { leg, reason: None });
    assert_eq!(last(&world).0.connection, Some(ConnectionId(8)));
}

fn to_line(answer: &str) -> String {
    format!("To: {}", header(answer, "To").unwrap())
}

#[test]
fn rfc3261_12_2_1_1_the_contact_of_the_answer_names_the_transport_of_what_follows() {
    for (contact, local, transport, port) in [
        ("sip:bob@192.0.2.9:5070", a(), Transport::Udp, 5070),
        ("sip:bob@192.0.2.9;transport=tcp", tcp(), Transport::Tcp, 5060),
        ("sip:bob@192.0.2.9:5070;transport=TLS", tls(), Transport::Tls, 5070),
        ("sips:bob@192.0.2.9", tls(), Transport::Tls, 5061),
        ("sip:bob@192.0.2.9;transport=sctp", a(), Transport::Udp, 5060),
    ] {
        let mut world = alone();
        world.command(0, dial_by(Flow::udp(a(), hand()), "sip:x@192.0.2.9:5070"));
        let invite = last(&world).1;
        let answer = text(&reply(&invite, "200 OK", "t", &format!("Contact: <{contact}>\n"), "v=0 answer"));
        world.inject(0, hand(), answer);
        let (flow, ack) = last(&world);
        assert!(ack.starts_with("ACK "), "{ack}");
        assert_eq!((flow.local, flow.transport, flow.remote.port()), (local, transport, port), "{contact}");
        let via = format!("SIP/2.0/{} {local}", transport.name());
        assert!(header(&ack, "Via").unwrap().starts_with(&via), "{ack}");
    }
}

/// An offer that makes a datagram of the INVITE impossible.
fn long_offer() -> Option<Bytes> {
    Some(Bytes::from(format!("{}{}", String::from_utf8_lossy(OFFER), "a".repeat(1_300))))
}

fn dial_long() -> Command {
    let dial = Dial { offer: long_offer(), ..*dial(hand(), a()) };
    Command::Dial { leg: OUT, dial: Box::new(dial) }
}

#[test]
fn rfc3261_18_1_1_a_request_longer_than_1300_bytes_goes_over_tcp() {
    let mut world = alone();
    world.command(0, dial_long());
    let (flow, invite) = last(&world);
    assert_eq!(flow, Flow::new(Transport::Tcp, tcp(), hand()));
    assert!(header(&invite, "Via").unwrap().starts_with("SIP/2.0/TCP 192.0.2.1:5070;"), "{invite}");
    // Its CANCEL and the ACK to a refusal take the same way (9.1, 17.1.1.3).
    world.inject_over(0, Flow::new(Transport::Tcp, tcp(), hand()), text(&reply(&invite, "180 Ringing", "t", "", "")));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    let (flow, cancel) = last(&world);
    assert!(cancel.starts_with("CANCEL ") && flow.transport == Transport::Tcp, "{cancel}");
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    world.inject_over(0, flow, text(&reply(&invite, "487 Request Terminated", "t", "", "")));
    let (flow, ack) = last(&world);
    assert!(ack.starts_with("ACK ") && flow.transport == Transport::Tcp, "{ack}");
    // A short one stays a datagram.
    world.command(0, Command::Dial { leg: signaling::LegId(2), dial: dial(hand(), a()) });
    assert_eq!(last(&world).0, Flow::udp(a(), hand()));
}

#[test]
fn rfc3261_18_1_1_where_the_connection_is_refused_the_datagram_goes_after_all_with_its_timers() {
    let mut world = alone();
    world.command(0, dial_long());
    let (flow, invite) = last(&world);
    world.transmit_failed_over(0, flow);
    let (again, datagram) = last(&world);
    assert_eq!(again, Flow::udp(a(), hand()));
    assert!(header(&datagram, "Via").unwrap().starts_with("SIP/2.0/UDP 192.0.2.1:5060;"), "{datagram}");
    assert_eq!(header(&datagram, "Call-ID"), header(&invite, "Call-ID"));
    assert!(!world.events_of(0).iter().any(|event| matches!(event, Event::Ended { .. })), "nobody above noticed");
    world.pass(ms(600));
    assert_eq!(world.flows.iter().filter(|flow| flow.transport == Transport::Udp).count(), 2, "timer A runs now");
    // The peer is not asked again for a while, and a second failure is one.
    world.command(
        0,
        Command::Dial { leg: signaling::LegId(2), dial: Box::new(Dial { offer: long_offer(), ..*dial(hand(), a()) }) },
    );
    assert_eq!(last(&world).0.transport, Transport::Udp);
    world.transmit_failed(0, hand());
    let ended = world.events_of(0);
    assert_eq!(ended.iter().filter(|e| matches!(e, Event::Ended { by: EndedBy::Transport, .. })).count(), 2);
    world.pass(Duration::from_secs(601));
    world.command(
        0,
        Command::Dial { leg: signaling::LegId(3), dial: Box::new(Dial { offer: long_offer(), ..*dial(hand(), a()) }) },
    );
    assert_eq!(last(&world).0.transport, Transport::Tcp, "ten minutes later it is");
}

#[test]
fn rfc3261_18_1_1_without_a_tcp_listener_a_long_request_stays_a_datagram() {
    let mut world = World::alone();
    world.command(0, dial_long());
    assert_eq!(last(&world).0, Flow::udp(a(), hand()));
}

#[test]
fn rfc3261_18_4_a_connection_that_breaks_fails_what_nobody_has_answered() {
    let mut world = alone();
    let flow = Flow::new(Transport::Tls, tls(), hand());
    world.command(0, dial_by(flow, "sip:x@192.0.2.9;transport=tls"));
    // Another way to the same peer says nothing about this one.
    world.transmit_failed_over(0, Flow::new(Transport::Tcp, tcp(), hand()));
    assert!(!world.events_of(0).iter().any(|event| matches!(event, Event::Ended { .. })));
    world.transmit_failed_over(0, flow);
    assert!(matches!(world.events_of(0).last(), Some(Event::Ended { by: EndedBy::Transport, status: Some(503), .. })));
}

#[test]
fn rfc5626_4_4_2_a_stun_keep_alive_of_a_peer_is_answered_and_is_no_garbage() {
    let mut request = vec![0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42];
    request.extend_from_slice(b"twelve bytes");
    let mut world = alone();
    world.inject(0, hand(), request.clone());
    let (flow, answer) = (*world.flows.last().unwrap(), world.sent.last().unwrap().3.clone());
    assert_eq!(flow, Flow::udp(a(), hand()));
    assert_eq!((&answer[..2], &answer[8..20]), (&[0x01, 0x01][..], &b"twelve bytes"[..]));
    // A stranger could use us against somebody else: the answer would be longer than half as much again.
    world.inject(0, "203.0.113.5:9".parse().unwrap(), request);
    assert_eq!(world.sent.len(), 1);
    assert_eq!(world.cores[0].1.counters().garbage, 0);
}
