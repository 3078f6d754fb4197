//! A name with several targets: one attempt goes through them (RFC 3263 section 4.3).

use crate::world::{World, targets};
use calls::CallState;
use signaling::{EndedBy, LegId};
use std::net::SocketAddr;

/// A transfer to a name that has two targets; the first is being dialled.
fn two_targets() -> (World, LegId) {
    let mut world = World::with_ai();
    world.transfer("named");
    // The AI's last words are over.
    world.secs(5);
    let (id, wanted) = world.resolves.pop().unwrap();
    assert_eq!(wanted, signaling::locate::Wanted::host("pbx.example.net", None));
    world.give(calls::Input::Resolved { id, targets: targets(&["198.51.100.7:5060", "198.51.100.8:5070"]) });
    let first = world.dialled("pbx.example.net");
    assert_eq!(next_hop(&world, first), "198.51.100.7:5060".parse().unwrap());
    (world, first)
}

fn next_hop(world: &World, leg: LegId) -> SocketAddr {
    world.legs[&leg].dial.as_ref().unwrap().flow.remote
}

#[test]
fn rfc3263_4_3_the_next_target_is_dialled_after_silence_a_transport_error_or_503() {
    for (by, status) in [(EndedBy::Timeout, Some(408)), (EndedBy::Transport, Some(503)), (EndedBy::Refused, Some(503))]
    {
        let (mut world, first) = two_targets();
        world.end_leg(first, by, status);
        let second = world.dialled("pbx.example.net");
        assert_ne!(first, second, "an id is never used twice");
        assert_eq!(next_hop(&world, second), "198.51.100.8:5070".parse().unwrap());
        let (one, two) = (&world.legs[&first].dial, &world.legs[&second].dial);
        let headers = |dial: &Option<signaling::Dial>| dial.as_ref().unwrap().headers.clone();
        assert_eq!(headers(one), headers(two), "it is the same call");
        world.ring(second);
        world.answer(second);
        assert_eq!(world.state(), CallState::WithHuman, "{by:?}");
        assert!(world.failures().is_empty(), "all of it was one attempt");
    }
}

#[test]
fn rfc3263_4_3_a_server_that_answers_otherwise_has_spoken_for_all() {
    for status in [486, 404, 500, 408] {
        let (mut world, first) = two_targets();
        world.refuse(first, status);
        assert!(!world.is_dialled("pbx.example.net"), "{status}");
        assert_eq!(world.failures().len(), 1, "{status}");
    }
    let (mut world, first) = two_targets();
    world.ring(first);
    world.end_leg(first, EndedBy::Timeout, Some(408));
    assert!(!world.is_dialled("pbx.example.net"), "a phone that rang is not rung at another server");
}

#[test]
fn rfc3263_4_3_the_last_target_to_fail_says_why() {
    let (mut world, first) = two_targets();
    world.end_leg(first, EndedBy::Transport, Some(503));
    let second = world.dialled("pbx.example.net");
    world.end_leg(second, EndedBy::Timeout, Some(408));
    assert_eq!(world.failures()[0].0, policy::Cause::Unreachable);
    assert_eq!(world.state(), CallState::WithAi);
}

#[test]
fn one_ring_timeout_covers_all_targets() {
    let (mut world, first) = two_targets();
    world.secs(10);
    world.end_leg(first, EndedBy::Timeout, Some(408));
    let second = world.dialled("pbx.example.net");
    world.secs(60);
    assert!(world.failures().iter().any(|(cause, ..)| *cause == policy::Cause::NoAnswer), "{:?}", world.failures());
    assert!(!world.is_dialled("pbx.example.net"), "{second} was hung up");
}

#[test]
fn a_caller_who_leaves_while_the_second_target_rings_leaves_nothing_behind() {
    for rings in [false, true] {
        let (mut world, first) = two_targets();
        world.end_leg(first, EndedBy::Transport, Some(503));
        if rings {
            let second = world.dialled("pbx.example.net");
            world.ring(second);
        }
        let now = world.now;
        world.hang_up(world.caller);
        world.all_gone(now);
    }
}

#[test]
fn targets_that_no_listener_of_ours_reaches_are_passed_over() {
    let mut world = World::with_ai();
    world.transfer("named");
    let (id, _) = world.resolves.pop().unwrap();
    world.give(calls::Input::Resolved { id, targets: targets(&["[2001:db8::7]:5060", "198.51.100.7:5060"]) });
    let leg = world.dialled("pbx.example.net");
    assert_eq!(next_hop(&world, leg), "198.51.100.7:5060".parse().unwrap());
    let mut world = World::with_ai();
    world.transfer("named");
    let (id, _) = world.resolves.pop().unwrap();
    world.give(calls::Input::Resolved { id, targets: targets(&["[2001:db8::7]:5060"]) });
    assert_eq!(world.failures()[0].0, policy::Cause::Unreachable);
}
