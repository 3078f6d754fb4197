//! Bounds, each with what happens there; what strangers get; snapshots; stopping.

use crate::world::{RULES, SDP, World, config};
use calls::{EndCause, Input, Request, TransferBody};
use serde_json::json;
use std::time::Duration;

#[test]
fn strangers_unknown_numbers_and_full_houses_are_refused() {
    let mut stranger = config();
    stranger.trunks.get_mut("carrier").unwrap().allowed.clear();
    let mut nowhere = config();
    nowhere.routes.clear();
    let mut full = config();
    full.limits.calls = 0;
    let mut trunk_full = config();
    trunk_full.trunks.get_mut("carrier").unwrap().max_calls = 0;
    for (config, status) in [(stranger, 403), (nowhere, 404), (full, 503), (trunk_full, 503)] {
        let mut world = World::with(config, RULES, 1);
        world.caller_comes(Some(SDP));
        assert_eq!(world.legs[&world.caller].status, Some(status));
        assert!(world.core.gauges().is_empty());
    }
}

#[test]
fn without_ports_a_caller_is_refused_and_an_ai_is_lost() {
    let mut world = World::new();
    world.no_ports = true;
    world.caller_comes(Some(SDP));
    let now = world.now;
    assert_eq!(world.legs[&world.caller].status, Some(503));
    world.all_gone(now);
}

#[test]
fn a_call_lasts_no_longer_than_it_may() {
    let mut config = config();
    config.limits.call_duration = Duration::from_secs(60);
    let mut world = World::with(config, RULES, 1);
    world.connect();
    world.secs(60);
    let now = world.now;
    world.all_gone(now);
    assert_eq!(world.cdrs[0].cause, EndCause::MaxDuration);
}

#[test]
fn tables_a_poster_can_fill_are_bounded() {
    let mut config = config();
    config.limits.events_per_call = 5;
    config.limits.events_per_request = 3;
    config.limits.transfers_per_call = 2;
    config.limits.timeline = 4;
    config.limits.waiters = 1;
    config.limits.ended_calls = 1;
    let mut world = World::with(config, RULES, 1);
    world.connect();
    let call = world.call;
    let events = |n: usize| policy::Posted::list_from_json(&json!(vec![json!({"type": "match"}); n])).unwrap();
    let status =
        |world: &mut World, n| world.reply(Request::Events { call, events: events(n) }).err().map(|it| it.status);
    assert_eq!(status(&mut world, 4), Some(413));
    assert_eq!(status(&mut world, 3), None);
    assert_eq!(status(&mut world, 3), Some(429));
    for _ in 0..2 {
        let transfer = world.transfer("plain");
        world.reply(Request::CancelTransfer { transfer }).unwrap();
    }
    assert_eq!(world.transfer_as(TransferBody::to("plain")).unwrap_err().status, 429);
    match world.reply(Request::Call { call }) {
        Ok(calls::Reply::Call(detail)) => {
            assert_eq!(detail.timeline.len(), 4);
            assert!(detail.timeline_dropped > 0);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_digit_that_a_caller_types_is_kept_nowhere() {
    let mut world = World::with_ai();
    for digit in "48151623".chars() {
        world.press(world.caller, digit);
    }
    let call = world.call;
    let Ok(calls::Reply::Call(detail)) = world.reply(Request::Call { call }) else { panic!() };
    assert!(!serde_json::to_string(&detail).unwrap().contains("48151623"));
    assert!(detail.timeline.iter().all(|entry| entry.what.name() != "dtmf"));
}

#[test]
fn a_call_in_mid_transfer_is_plain_data() {
    let mut world = World::with_ai();
    world.transfer("team");
    world.secs(5);
    world.answer(world.dialled("anna@"));
    let snapshot = world.core.snapshot(world.now, world.call).expect("a call can be written down at any moment");
    assert!(serde_json::to_string(&snapshot).unwrap().len() > 1_000);
}

#[test]
fn when_the_daemon_stops_every_call_ends_and_is_recorded() {
    let mut world = World::with_ai();
    world.transfer("frontdesk");
    world.give(Input::Shutdown);
    let now = world.now;
    world.all_gone(now);
    assert_eq!(world.cdrs[0].cause, EndCause::Shutdown);
}
