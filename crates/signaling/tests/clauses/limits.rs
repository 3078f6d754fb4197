//! Bounds: what a peer can fill is full one day, and what runs goes on.

use crate::world::{World, a, config, dial, ended, hand, header, request, status};
use signaling::{Command, EndedBy, LegId, Limits};

fn flood(world: &mut World, number: usize) -> Vec<u16> {
    let invite = request("INVITE", "")
        .replace("z9hG4bK-", &format!("z9hG4bK-{number}-"))
        .replace("Call-ID: call-1", &format!("Call-ID: call-{number}"));
    world.say(&invite).iter().map(|m| status(m)).collect()
}

#[test]
fn at_the_limit_new_calls_get_503_with_retry_after_and_options_is_still_answered() {
    let limits = Limits { legs: 10, ..Limits::default() };
    let mut world = World::with(1, [signaling::Config { limits, ..config(a()) }]);
    for number in 0..10 {
        assert_eq!(flood(&mut world, number), [100]);
    }
    assert_eq!(flood(&mut world, 10), [503]);
    assert!(header(&world.last(a(), "SIP/2.0 503"), "Retry-After").is_some());
    assert_eq!(status(&world.say(&request("OPTIONS", ""))[0]), 200);
    assert_eq!(world.cores[0].1.gauges().legs, 10);
    world.command(0, Command::Dial { leg: LegId(1), dial: dial(hand(), a()) });
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Unsent, Some(503))));
}

#[test]
fn a_flood_of_any_method_meets_the_bound_of_transactions() {
    let limits = Limits { transactions: 50, ..Limits::default() };
    let mut world = World::with(1, [signaling::Config { limits, ..config(a()) }]);
    for number in 0..500 {
        for method in ["INVITE", "OPTIONS", "BYE", "MESSAGE"] {
            world.say(
                &request(method, "")
                    .replace("z9hG4bK-", &format!("z9hG4bK-{number}-"))
                    .replace("call-1", &format!("c{number}")),
            );
        }
    }
    assert!(world.cores[0].1.gauges().transactions <= 50 + 5 + 16);
    assert!(world.cores[0].1.counters().refused_at_limit > 1_000);
}

#[test]
fn max_forwards_0_is_not_dialled_on() {
    let mut world = World::alone();
    let mut dial = dial(hand(), a());
    dial.max_forwards = 0;
    world.command(0, Command::Dial { leg: LegId(1), dial });
    assert_eq!(ended(&world.events_of(0)), Some((EndedBy::Unsent, Some(483))));
    assert!(world.sent.is_empty());
}
