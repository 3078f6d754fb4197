//! OPTIONS of ours: is a peer there (RFC 3261 section 11)?

use crate::world::{World, a, hand, header, ms, reply};
use signaling::{EndedBy, Flow, OutsideCommand, OutsideEvent, OutsideId, Party, Ping};
use std::time::Duration;

const ID: OutsideId = OutsideId(7);

fn ping(world: &mut World) -> Vec<String> {
    let ping = Ping {
        target: "sip:carrier.example".into(),
        flow: Flow::udp(a(), hand()),
        peer_name: None,
        from: Party::default(),
        timeout: Duration::from_secs(2),
    };
    world.ask(OutsideCommand::Ping { id: ID, ping: Box::new(ping) });
    world.pass(ms(5));
    world.heard()
}

fn outcomes(world: &mut World) -> Vec<Result<u16, EndedBy>> {
    let result = |event| match event {
        OutsideEvent::Pong { result } => result,
        other => panic!("{other:?}"),
    };
    world.outside.drain(..).map(result).collect()
}

#[test]
fn rfc3261_11_1_options_is_a_request_of_its_own_and_any_final_response_shows_the_peer() {
    let mut world = World::alone();
    let options = ping(&mut world).remove(0);
    assert!(options.starts_with("OPTIONS sip:carrier.example SIP/2.0\r\n"), "{options}");
    assert_eq!(header(&options, "To"), Some("<sip:carrier.example>"));
    assert_eq!(header(&options, "Accept"), Some("application/sdp"));
    assert_eq!(header(&options, "Max-Forwards"), Some("70"));
    assert_eq!(header(&options, "CSeq"), Some("1 OPTIONS"));
    world.say(&reply(&options, "100 Trying", "", "", ""));
    assert_eq!(outcomes(&mut world), [], "a provisional response says nothing yet");
    world.say(&reply(&options, "503 Service Unavailable", "x", "", ""));
    assert_eq!(outcomes(&mut world), [Ok(503)]);
    world.say(&reply(&options, "200 OK", "x", "", ""));
    assert_eq!(outcomes(&mut world), [], "once");
    let again = ping(&mut world).remove(0);
    assert_ne!(header(&again, "Call-ID"), header(&options, "Call-ID"));
    world.say(&reply(&again, "200 OK", "x", "", ""));
    assert_eq!(outcomes(&mut world), [Ok(200)]);
    world.assert_nothing_left();
}

#[test]
fn silence_is_told_after_the_pings_own_time_and_stops_the_copies() {
    let mut world = World::alone();
    assert_eq!(ping(&mut world).len(), 1);
    assert_eq!(ping(&mut world), Vec::<String>::new(), "one at a time");
    world.pass(Duration::from_millis(1_980));
    assert_eq!(outcomes(&mut world), []);
    world.pass(ms(40));
    assert_eq!(outcomes(&mut world), [Err(EndedBy::Timeout)]);
    let copies = world.heard().len();
    world.pass(Duration::from_secs(60));
    assert!(world.heard().is_empty() && copies == 2, "copies at 500 ms and 1500 ms, none after the end: {copies}");
    world.assert_nothing_left();
}

#[test]
fn a_transport_failure_is_told_at_once() {
    let mut world = World::alone();
    ping(&mut world);
    world.transmit_failed(0, hand());
    assert_eq!(outcomes(&mut world), [Err(EndedBy::Transport)]);
    world.assert_nothing_left();
}

#[test]
fn a_challenge_shows_the_peer_and_draws_no_credentials() {
    let mut world = World::alone();
    let options = ping(&mut world).remove(0);
    let heard =
        world.say(&reply(&options, "401 Unauthorized", "x", "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\n", ""));
    assert!(heard.is_empty());
    assert_eq!(outcomes(&mut world), [Ok(401)]);
    world.assert_nothing_left();
}

#[test]
fn rfc3261_8_1_1_what_no_message_can_hold_is_not_sent() {
    let mut world = World::alone();
    let ping = Ping {
        target: "sip:a\r\nX: y@b".into(),
        flow: Flow::udp(a(), hand()),
        peer_name: None,
        from: Party::default(),
        timeout: Duration::from_secs(2),
    };
    world.ask(OutsideCommand::Ping { id: ID, ping: Box::new(ping) });
    assert_eq!(outcomes(&mut world), [Err(EndedBy::Unsent)]);
    world.assert_nothing_left();
}
