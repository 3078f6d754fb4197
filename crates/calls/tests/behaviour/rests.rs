//! Next hops that want to be left alone (RFC 3261 section 21.5.4): a trunk, an AI or a phone that answers 503 with Retry-After gets
//! no INVITE until then, somebody else gets the call meanwhile, and afterwards all is as it was.

use crate::world::{RULES, SDP, World, config, targets};
use calls::{Config, Input, OptionsPing, Reply, Request, Route, Trunk, TrunkSummary};
use policy::Cause;
use signaling::{EndedBy, Event, OutsideCommand, OutsideEvent};
use std::time::Duration;

/// `first` and `second` reach every number, in this order.
fn two_trunks() -> Config {
    let mut config = config();
    config.trunks.get_mut("carrier").unwrap().tel.clear();
    let trunk = |host: &str, priority| Trunk { host: host.into(), priority, ..Trunk::default() };
    config.trunks.insert("first".into(), trunk("192.0.2.51", 1));
    config.trunks.insert("second".into(), trunk("192.0.2.52", 2));
    config
}

/// Another caller, who waits while a number is dialled.
fn another(world: &mut World) {
    if world.legs.contains_key(&world.caller) {
        world.hang_up(world.caller);
        world.secs(1);
    }
    world.connect();
    world.transfer("tel:+15550199");
    world.secs(5);
}

/// Where the number is being dialled.
fn hop(world: &World) -> String {
    world.legs[&world.dialled("tel:")].dial.as_ref().unwrap().flow.remote.ip().to_string()
}

fn trunk(world: &mut World, name: &str) -> TrunkSummary {
    let Ok(Reply::Trunks(list)) = world.reply(Request::Trunks) else { panic!("no list") };
    list.trunks.into_iter().find(|trunk| trunk.name == name).unwrap()
}

#[test]
fn rfc3261_21_5_4_a_trunk_rests_for_its_retry_after_and_is_the_first_again_afterwards() {
    let mut world = World::with(two_trunks(), RULES, 7);
    another(&mut world);
    assert_eq!(hop(&world), "192.0.2.51");
    let until = world.now.after(Duration::from_secs(120));
    world.sends_away(world.dialled("tel:"), 120);
    assert_eq!(hop(&world), "192.0.2.52", "the same attempt goes on");
    assert_eq!(world.failures(), []);
    let summary = trunk(&mut world, "first");
    assert_eq!(summary.rests_until.unwrap().ms_since(world.now.into()), 120_000);
    assert!(summary.up, "it answers");
    assert_eq!(trunk(&mut world, "second").rests_until, None);
    assert_eq!(world.core.trunks_resting(world.now).filter(|(_, rests)| *rests).count(), 1);
    for _ in 0..3 {
        another(&mut world);
        assert_eq!(hop(&world), "192.0.2.52");
    }
    world.pass(until.monotonic.since(world.now.monotonic));
    assert_eq!(trunk(&mut world, "first").rests_until, None);
    another(&mut world);
    assert_eq!(hop(&world), "192.0.2.51");
}

#[test]
fn rfc3261_21_5_4_a_503_without_retry_after_is_a_500_and_its_trunk_is_only_tried_last_for_30_s() {
    for retry_after in [None, Some(Duration::ZERO)] {
        let mut world = World::with(two_trunks(), RULES, 7);
        another(&mut world);
        let leg = world.dialled("tel:");
        world.legs.get_mut(&leg).unwrap().ended = true;
        world.tell(leg, Event::Ended { by: EndedBy::Refused, status: Some(503), reason: None, retry_after });
        assert_eq!(hop(&world), "192.0.2.52");
        assert_eq!(trunk(&mut world, "first").rests_until, None);
        another(&mut world);
        assert_eq!(hop(&world), "192.0.2.52");
        world.end_leg(world.dialled("tel:"), EndedBy::Transport, Some(503));
        assert_eq!(hop(&world), "192.0.2.51", "the last that is left is called all the same");
    }
}

#[test]
fn tables_of_ours_that_are_full_are_no_trunks_fault() {
    let mut world = World::with(two_trunks(), RULES, 7);
    another(&mut world);
    world.end_leg(world.dialled("tel:"), EndedBy::Unsent, Some(503));
    assert!(!world.is_dialled("tel:"));
    assert_eq!(world.failures()[0].0, Cause::Unreachable);
    another(&mut world);
    assert_eq!(hop(&world), "192.0.2.51");
}

#[test]
fn a_trunk_that_rests_is_not_called_even_where_no_other_is_left() {
    let mut world = World::with(two_trunks(), RULES, 7);
    another(&mut world);
    world.sends_away(world.dialled("tel:"), 20);
    world.sends_away(world.dialled("tel:"), 40);
    assert_eq!(world.failures()[0].0, Cause::Unreachable);
    another(&mut world);
    assert!(!world.is_dialled("tel:"));
    assert_eq!(world.failures()[1].0, Cause::Unreachable, "known at once");
    assert_eq!(world.core.rests(world.now), (2, 2));
    world.secs(20);
    another(&mut world);
    assert_eq!(hop(&world), "192.0.2.51");
    // Rests are bounded, whatever they say.
    world.sends_away(world.dialled("tel:"), 86_400);
    world.secs(300);
    another(&mut world);
    assert_eq!(hop(&world), "192.0.2.51");
}

/// A trunk is asked whether it is there, and is.
fn pinged(world: &mut World) {
    world.pass(Duration::ZERO);
    let ping = world.outside.drain(..).find_map(|command| match command {
        OutsideCommand::Ping { id, .. } => Some(id),
        _ => None,
    });
    let event = OutsideEvent::Pong { result: Ok(200) };
    world.give(Input::Outside { id: ping.expect("it is asked at once"), event });
}

#[test]
fn a_ping_that_is_answered_lifts_a_suspicion_and_no_rest() {
    for asked in [true, false] {
        let mut config = two_trunks();
        config.trunks.get_mut("first").unwrap().ping = Some(OptionsPing::default());
        let mut world = World::with(config, RULES, 7);
        pinged(&mut world);
        another(&mut world);
        let leg = world.dialled("tel:");
        if asked {
            world.sends_away(leg, 120);
        } else {
            world.end_leg(leg, EndedBy::Refused, Some(503));
        }
        pinged(&mut world);
        another(&mut world);
        assert_eq!(hop(&world), if asked { "192.0.2.52" } else { "192.0.2.51" });
    }
}

#[test]
fn an_ai_that_wants_to_be_left_alone_is_not_called_and_the_next_profile_is() {
    let mut world = World::new();
    world.caller_comes(Some(SDP));
    world.sends_away(world.dialled("bot@"), 60);
    world.answer(world.dialled("backup@"));
    for _ in 0..2 {
        world.hang_up(world.caller);
        world.secs(1);
        world.caller_comes(Some(SDP));
        assert!(!world.is_dialled("bot@"));
        world.answer(world.dialled("backup@"));
        assert!(world.legs[&world.caller].answered);
    }
    world.secs(60);
    world.hang_up(world.caller);
    world.connect();
    assert!(world.hears_leg(world.caller, world.leg("bot@")));
}

#[test]
fn rfc3263_4_3_one_address_of_a_name_may_rest_while_its_others_are_called() {
    let mut config = two_trunks();
    config.trunks.get_mut("first").unwrap().host = "sip.first.example".into();
    let mut world = World::with(config, RULES, 7);
    let resolved = |world: &mut World| {
        let (id, wanted) = world.resolves.pop().expect("the name is looked up");
        assert_eq!(wanted.host, "sip.first.example");
        world.give(Input::Resolved { id, targets: targets(&["198.51.100.7:5060", "198.51.100.8:5060"]) });
    };
    another(&mut world);
    resolved(&mut world);
    assert_eq!(hop(&world), "198.51.100.7");
    world.sends_away(world.dialled("tel:"), 60);
    assert_eq!(hop(&world), "198.51.100.8");
    assert_eq!(trunk(&mut world, "first").rests_until, None, "not the whole of it");
    another(&mut world);
    resolved(&mut world);
    assert_eq!(hop(&world), "198.51.100.8", "the first is spared");
    world.sends_away(world.dialled("tel:"), 90);
    assert_eq!(hop(&world), "192.0.2.52");
    let rests = trunk(&mut world, "first").rests_until.expect("all of it rests");
    assert_eq!(rests.ms_since(world.now.into()), 54_000, "until the first of them is ready");
}

#[test]
fn stranded_nobody_an_emergency_call_is_sent_even_to_who_wants_to_be_left_alone() {
    let mut config = two_trunks();
    let straight =
        Route { called: "emergency".into(), line: "straight".into(), bypass: vec!["first".into()], ..Route::default() };
    config.routes.insert(0, straight);
    let mut world = World::with(config, RULES, 7);
    another(&mut world);
    world.sends_away(world.dialled("tel:"), 120);
    world.calls = "sip:112@192.0.2.1";
    world.caller_comes(Some(SDP));
    assert_eq!(hop_of(&world, "112"), "192.0.2.51");
}

fn hop_of(world: &World, part: &str) -> String {
    world.legs[&world.dialled(part)].dial.as_ref().unwrap().flow.remote.ip().to_string()
}
