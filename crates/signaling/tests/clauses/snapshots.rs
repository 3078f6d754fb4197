//! Legs written down by one core and taken up by another.

use crate::world::{ANSWER, Caller, OUT, World, a, dial, hand, header, ms, reply, status};
use signaling::{Command, Core, Event, LegId, LegSnapshot, Output, Unrestorable};
use std::time::Duration;

/// A core of its own in the place of the one that is there, with the legs that it wrote down.
fn take_over(world: &mut World, legs: &[LegId]) {
    let written: Vec<LegSnapshot> =
        legs.iter().map(|leg| world.cores[0].1.snapshot(world.now, *leg).unwrap()).collect();
    let mut core = Core::new(crate::world::config(a()), 99, world.now);
    for leg in written {
        core.restore(world.now, leg).unwrap();
    }
    assert_eq!(core.legs().collect::<Vec<_>>(), legs);
    world.cores[0].1 = core;
}

fn no_transaction_is_left(world: &mut World) {
    world.pass(Duration::from_secs(40));
    world.heard();
}

#[test]
fn a_called_leg_goes_on_in_another_core() {
    let mut caller = Caller::answered();
    let leg = caller.leg;
    assert_eq!(caller.world.cores[0].1.snapshot(caller.world.now, leg), None, "a copy of its INVITE may still come");
    no_transaction_is_left(&mut caller.world);
    take_over(&mut caller.world, &[leg]);
    // The peer's requests find it, ours go on in order.
    assert_eq!(status(&caller.say("INFO", "")[0]), 200);
    let refer = Command::Offer { leg, offer: ANSWER.into() };
    let invite = caller.command(refer).remove(0);
    assert_eq!(header(&invite, "CSeq"), Some("1 INVITE"));
    assert_eq!(header(&invite, "From"), Some(caller.to.as_str()));
    let ack = caller.world.say(&reply(&invite, "200 OK", "", "Contact: <sip:caller@192.0.2.9:5070>\n", "v=0 more"));
    assert!(ack[0].starts_with("ACK "));
    let bye = caller.command(Command::Hangup { leg, reason: None }).remove(0);
    assert_eq!(header(&bye, "CSeq"), Some("2 BYE"));
    caller.answer(&bye, "200 OK");
    caller.world.assert_nothing_left();
    // The next call is another leg.
    caller.world.say(&crate::world::request("INVITE", "").replace("call-1", "call-2").replace("z9hG4bK", "z9hG4bKn"));
    assert_ne!(caller.world.incoming(0).0, leg);
}

#[test]
fn a_dialled_leg_goes_on_in_another_core_and_acknowledges_what_it_had() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let ok =
        reply(&invite, "200 OK", "one", "Contact: <sip:bob@192.0.2.9:5070>\n", std::str::from_utf8(ANSWER).unwrap());
    world.say(&ok);
    assert_eq!(world.cores[0].1.snapshot(world.now, OUT), None, "a copy of the 2xx may still come");
    no_transaction_is_left(&mut world);
    take_over(&mut world, &[OUT]);
    world.events.clear();
    let bye = format!(
        "BYE sip:192.0.2.1:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKbye;rport\nMax-Forwards: 70\n\
         From: {};tag=one\nTo: {}\nCall-ID: {}\nCSeq: 1 BYE\nContent-Length: 0\n\n",
        header(&invite, "To").unwrap(),
        header(&invite, "From").unwrap(),
        header(&invite, "Call-ID").unwrap(),
    );
    assert_eq!(status(&world.say(&bye)[0]), 200);
    assert!(matches!(world.events_of(0)[..], [Event::Ended { .. }]));
    world.assert_nothing_left();
}

#[test]
fn rfc4028_10_a_session_is_refreshed_by_whoever_took_it_up() {
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let timed =
        "Contact: <sip:bob@192.0.2.9:5070>\nAllow: UPDATE\nRequire: timer\nSession-Expires: 120;refresher=uac\n";
    world.say(&reply(&invite, "200 OK", "one", timed, std::str::from_utf8(ANSWER).unwrap()));
    no_transaction_is_left(&mut world);
    take_over(&mut world, &[OUT]);
    world.pass(Duration::from_secs(15));
    assert!(world.heard().is_empty());
    world.pass(Duration::from_secs(6));
    let update = world.heard().remove(0);
    assert!(update.starts_with("UPDATE "), "{update}");
    assert_eq!(world.cores[0].1.snapshot(world.now, OUT), None, "it is being refreshed");
}

#[test]
fn a_leg_of_another_version_or_whose_place_is_taken_is_not_taken_up() {
    let mut caller = Caller::answered();
    no_transaction_is_left(&mut caller.world);
    let leg = caller.world.cores[0].1.snapshot(caller.world.now, caller.leg).unwrap();
    let mut other = World::alone();
    other.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    let now = other.now;
    assert_eq!(other.cores[0].1.restore(now, leg), Err(Unrestorable::Taken(caller.leg)));
    assert!(matches!(other.cores[0].1.poll_output(), None | Some(Output::Transmit { .. })));
}
