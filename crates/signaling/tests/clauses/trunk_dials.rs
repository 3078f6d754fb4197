//! What a dial through a trunk may ask for: a short wait for the first response, and the Route of a registration.

use crate::world::{OUT, World, a, dial, ended, hand, ms, reply};
use signaling::{Command, EndedBy};
use std::time::Duration;

#[test]
fn a_peer_that_says_nothing_at_all_is_given_up_before_timer_b_when_the_dial_says_so() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    dial.first_response = Some(Duration::from_secs(3));
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(Duration::from_millis(2_990));
    assert_eq!(ended(&world.events_of(0)), None);
    world.pass(ms(20));
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Timeout, Some(408))));
    // A 200 that comes too late is acknowledged and ended.
    let invite = world.heard().remove(0);
    let heard = world.say(&reply(&invite, "200 OK", "y", "Contact: <sip:bob@192.0.2.9:5070>\n", "v=0"));
    assert!(heard[0].starts_with("ACK") && heard[1].starts_with("BYE"), "{heard:?}");
    world.say(&reply(&heard[1], "200 OK", "", "", ""));
    world.assert_nothing_left();
}

#[test]
fn a_100_is_enough_to_be_waited_for() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    dial.first_response = Some(Duration::from_secs(3));
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    world.say(&reply(&invite, "100 Trying", "", "", ""));
    world.pass(Duration::from_secs(30));
    assert_eq!(ended(&world.events_of(0)), None);
}

#[test]
fn rfc3608_6_1_preloaded_routes_are_sent_with_the_invite_its_ack_and_its_cancel() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    dial.routes = vec!["<sip:192.0.2.9:5070;lr>".into(), "<sip:p2.carrier.example;lr>".into()];
    world.command(0, Command::Dial { leg: OUT, dial });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let routes = |message: &str| message.matches("\r\nRoute: ").count();
    assert_eq!(routes(&invite), 2);
    world.say(&reply(&invite, "180 Ringing", "y", "", ""));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(ms(5));
    assert_eq!(routes(&world.heard()[0]), 2);
    let ack = world.say(&reply(&invite, "487 Request Terminated", "y", "", "")).remove(0);
    assert_eq!(routes(&ack), 2);
}
