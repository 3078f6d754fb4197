//! Trunks: which takes a call, what happens when one fails, pings and registrations.

use crate::world::{RULES, SDP, World, config};
use calls::{
    Config, Happening, Input, OptionsPing, Reply, Request, Trunk, TrunkLimits, TrunkRegistration, TrunkSummary,
};
use policy::Cause;
use signaling::{
    EndedBy, Event, LegId, OutsideCommand, OutsideEvent, OutsideId, Transport,
    locate::{Target, Wanted},
};
use std::time::Duration;

/// `first` and `second` reach every number; the carrier that brings the calls reaches none.
fn two_trunks() -> Config {
    let mut config = config();
    config.trunks.get_mut("carrier").unwrap().tel.clear();
    let trunk = |host: &str, priority| Trunk { host: host.into(), priority, ..Trunk::default() };
    config.trunks.insert("first".into(), trunk("192.0.2.51", 1));
    config.trunks.insert("second".into(), trunk("192.0.2.52", 2));
    config
}

/// A caller who waits while a number is dialled.
fn waiting(config: Config) -> World {
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world.transfer("tel:+15550199");
    world.secs(5);
    world
}

fn hop(world: &World, leg: LegId) -> String {
    world.legs[&leg].dial.as_ref().unwrap().flow.remote.ip().to_string()
}

fn pinged(mut config: Config) -> World {
    for name in ["first", "second"] {
        config.trunks.get_mut(name).unwrap().ping = Some(OptionsPing::default());
    }
    let mut world = World::with(config, RULES, 7);
    world.pass(Duration::ZERO);
    world
}

/// Who was pinged since the last look, by address.
fn pings(world: &mut World) -> Vec<(OutsideId, String)> {
    let ping = |command| match command {
        OutsideCommand::Ping { id, ping } => Some((id, ping.flow.remote.ip().to_string())),
        _ => None,
    };
    world.outside.drain(..).filter_map(ping).collect()
}

fn pong(world: &mut World, id: OutsideId, result: Result<u16, EndedBy>) {
    world.give(Input::Outside { id, event: OutsideEvent::Pong { result } });
}

fn trunk(world: &mut World, name: &str) -> TrunkSummary {
    let Ok(Reply::Trunks(list)) = world.reply(Request::Trunks) else { panic!("no list") };
    list.trunks.into_iter().find(|trunk| trunk.name == name).unwrap()
}

fn ups_and_downs(world: &World) -> Vec<(String, bool, String)> {
    let told = |event: &calls::PublicEvent| match &event.what {
        Happening::TrunkUp { trunk, reason } => Some((trunk.clone(), true, reason.clone())),
        Happening::TrunkDown { trunk, reason } => Some((trunk.clone(), false, reason.clone())),
        _ => None,
    };
    world.published.iter().filter_map(told).collect()
}

// ---- failover by cause

#[test]
fn a_trunk_that_fails_by_its_own_fault_is_followed_by_the_next_within_the_same_attempt() {
    for (by, status) in [
        (EndedBy::Refused, 503),
        (EndedBy::Refused, 500),
        (EndedBy::Refused, 502),
        (EndedBy::Timeout, 408),
        (EndedBy::Transport, 503),
    ] {
        let mut world = waiting(two_trunks());
        let first = world.dialled("tel:");
        assert_eq!(hop(&world, first), "192.0.2.51");
        world.end_leg(first, by, Some(status));
        let second = world.dialled("tel:");
        assert_eq!(hop(&world, second), "192.0.2.52", "{by:?} {status}");
        assert_eq!(world.failures(), [], "the attempt goes on");
        assert_eq!(world.count("agent.offered"), 1);
        assert!(world.hears_music());
        world.ring(second);
        world.answer(second);
        world.prompt_over(second);
        assert_eq!(world.count("transfer.bridged"), 1);
        let call = world.call;
        let Ok(Reply::Call(detail)) = world.reply(Request::Call { call }) else { panic!("no call") };
        let names: Vec<_> = detail.legs.iter().map(|leg| (leg.name.as_str(), leg.sip_code)).collect();
        assert!(names.contains(&("human-1", Some(status))) && names.contains(&("human-1.2", None)), "{names:?}");
        assert_eq!(detail.transfers[0].attempts[0].leg, "human-1.2");
        let now = world.now;
        world.hang_up(world.caller);
        world.all_gone(now);
    }
}

#[test]
fn what_the_callee_answers_is_an_answer_and_no_reason_for_another_trunk() {
    for (status, cause) in [
        (486, Cause::Busy),
        (600, Cause::Busy),
        (603, Cause::Declined),
        (403, Cause::Declined),
        (404, Cause::Unreachable),
        (480, Cause::NoAnswer),
        (488, Cause::Failed),
    ] {
        let mut world = waiting(two_trunks());
        world.refuse(world.dialled("tel:"), status);
        assert!(!world.is_dialled("tel:"), "{status}");
        assert_eq!(world.failures()[0].0, cause, "{status}");
    }
}

#[test]
fn a_phone_that_has_rung_is_not_rung_again_by_another_trunk() {
    let mut world = waiting(two_trunks());
    let first = world.dialled("tel:");
    world.ring(first);
    world.refuse(first, 503);
    assert!(!world.is_dialled("tel:"));
    assert_eq!(world.failures()[0].0, Cause::Unreachable);
}

#[test]
fn when_every_trunk_fails_the_attempt_fails_with_the_last_cause() {
    let mut world = waiting(two_trunks());
    world.refuse(world.dialled("tel:"), 500);
    world.refuse(world.dialled("tel:"), 503);
    assert_eq!(world.failures(), [(Cause::Unreachable, Some(503), 1, "ai".into())]);
    let now = world.now;
    world.hang_up(world.caller);
    world.all_gone(now);
}

#[test]
fn the_ring_timeout_runs_from_the_first_trunk_on() {
    let mut world = waiting(two_trunks());
    world.secs(10);
    world.end_leg(world.dialled("tel:"), EndedBy::Timeout, Some(408));
    let second = world.dialled("tel:");
    world.ms(4_999);
    assert!(!world.legs[&second].ended);
    world.ms(1);
    assert!(world.legs[&second].ended, "20 s after the attempt began, 5 s of which the AI had");
    assert_eq!(world.failures()[0].0, Cause::NoAnswer);
}

#[test]
fn an_invite_waits_less_for_its_first_response_where_another_trunk_could_take_it() {
    let mut world = waiting(two_trunks());
    let first_response = |world: &World| world.legs[&world.dialled("tel:")].dial.as_ref().unwrap().first_response;
    assert_eq!(first_response(&world), Some(Duration::from_secs(3)));
    world.end_leg(world.dialled("tel:"), EndedBy::Timeout, Some(408));
    assert_eq!(first_response(&world), None, "the last one may take the standard's time");
}

#[test]
fn a_trunk_that_failed_is_tried_last_for_a_while_even_without_pings() {
    let mut world = waiting(two_trunks());
    world.end_leg(world.dialled("tel:"), EndedBy::Transport, Some(503));
    let next = |world: &mut World| {
        world.hang_up(world.caller);
        world.secs(1);
        world.connect();
        world.transfer("tel:+15550199");
        let leg = world.dialled("tel:");
        hop(world, leg)
    };
    assert_eq!(next(&mut world), "192.0.2.52", "at once");
    world.secs(30);
    assert_eq!(next(&mut world), "192.0.2.51", "and then it gets another chance");
    // Retry-After counts.
    let leg = world.dialled("tel:");
    world.sends_away(leg, 120);
    world.secs(60);
    assert_eq!(next(&mut world), "192.0.2.52");
    world.secs(61);
    assert_eq!(next(&mut world), "192.0.2.51");
}

#[test]
fn an_ai_behind_trunks_is_dialled_by_the_next_one_when_one_fails() {
    let mut config = two_trunks();
    config.ai.get_mut("main").unwrap().trunks = vec!["second".into(), "first".into()];
    let mut world = World::with(config, RULES, 7);
    world.caller_comes(Some(SDP));
    let ai = world.dialled("bot@");
    assert_eq!(hop(&world, ai), "192.0.2.51", "by priority");
    world.secs(3);
    world.end_leg(ai, EndedBy::Timeout, Some(408));
    let ai = world.dialled("bot@");
    assert_eq!(hop(&world, ai), "192.0.2.52");
    assert_eq!(world.count("ai.lost"), 0);
    // The profile's own time still counts, from the first INVITE on.
    world.ms(6_999);
    assert!(!world.legs[&ai].ended);
    world.ms(1);
    assert!(world.legs[&ai].ended);
    assert_eq!(world.count("ai.lost"), 1);
}

#[test]
fn an_ai_that_is_dialled_by_the_next_trunk_is_told_why_as_well() {
    let mut config = two_trunks();
    let mut spare = config.ai["main"].clone();
    spare.trunks = vec!["first".into(), "second".into()];
    config.ai.insert("spare".into(), spare);
    config.ai.get_mut("main").unwrap().on_ai_failure = vec![calls::AiFailureStep::Profile("spare".into())];
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world.hang_up(world.leg("bot@"));
    for hop_expected in ["192.0.2.51", "192.0.2.52"] {
        let ai = world.dialled("bot@");
        assert_eq!(hop(&world, ai), hop_expected);
        assert_eq!(world.header(ai, "X-Tandem-Reason").as_deref(), Some("ai_lost"));
        world.end_leg(ai, EndedBy::Timeout, Some(408));
    }
}

// ---- priority, weight, limits

#[test]
fn rfc2782_equal_trunks_share_calls_by_weight() {
    let mut config = two_trunks();
    for (name, weight) in [("first", 3), ("second", 1)] {
        let trunk = config.trunks.get_mut(name).unwrap();
        (trunk.priority, trunk.weight) = (1, weight);
    }
    let mut world = World::with(config, RULES, 7);
    let mut first = 0;
    for _ in 0..400 {
        world.connect();
        world.transfer("tel:+15550199");
        let leg = world.dialled("tel:");
        first += usize::from(hop(&world, leg) == "192.0.2.51");
        world.hang_up(world.caller);
        world.secs(1);
    }
    assert!((270..330).contains(&first), "three of four: {first} of 400");
}

#[test]
fn a_full_trunk_is_passed_over_and_a_place_is_given_back() {
    let mut config = two_trunks();
    config.trunks.get_mut("first").unwrap().limits = TrunkLimits { calls_out: 1, ..TrunkLimits::default() };
    let mut world = waiting(config);
    let (one, caller) = (world.dialled("tel:"), world.caller);
    assert_eq!(hop(&world, one), "192.0.2.51");
    assert_eq!(trunk(&mut world, "first").calls_out, 1);
    world.connect();
    world.transfer("tel:+15550199");
    let two = world.dialled("tel:");
    assert_eq!(hop(&world, two), "192.0.2.52");
    world.hang_up(caller);
    world.hang_up(world.caller);
    world.secs(1);
    assert_eq!((trunk(&mut world, "first").calls_out, trunk(&mut world, "second").calls_out), (0, 0));
}

#[test]
fn where_every_trunk_is_full_nobody_is_dialled() {
    let mut config = two_trunks();
    for name in ["first", "second"] {
        config.trunks.get_mut(name).unwrap().limits = TrunkLimits { calls_out: 0, ..TrunkLimits::default() };
    }
    let mut world = waiting(config);
    assert!(!world.is_dialled("tel:"));
    assert_eq!(world.failures()[0].0, Cause::Unreachable);
    let now = world.now;
    world.hang_up(world.caller);
    world.all_gone(now);
}

#[test]
fn calls_in_are_bounded_at_once_and_a_second_with_503() {
    let mut config = config();
    config.trunks.get_mut("carrier").unwrap().limits = TrunkLimits { per_second_in: 2, ..TrunkLimits::default() };
    let mut world = World::with(config.clone(), RULES, 7);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        world.caller_comes(Some(SDP));
        statuses.push(world.legs[&world.caller].status);
    }
    assert_eq!(statuses, [None, None, Some(503)]);
    world.secs(1);
    world.caller_comes(Some(SDP));
    assert_eq!(world.legs[&world.caller].status, None);

    config.trunks.get_mut("carrier").unwrap().limits = TrunkLimits { calls: 1, ..TrunkLimits::default() };
    let mut world = World::with(config, RULES, 7);
    world.caller_comes(Some(SDP));
    let first = world.caller;
    world.caller_comes(Some(SDP));
    assert_eq!(world.legs[&world.caller].status, Some(503));
    world.hang_up(first);
    world.secs(1);
    world.caller_comes(Some(SDP));
    assert_eq!(world.legs[&world.caller].status, None, "the place is free again");
}

// ---- pings

/// Fault row 26.
#[test]
fn a_silent_trunk_goes_down_after_two_misses_and_the_next_call_takes_the_other() {
    let mut world = pinged(two_trunks());
    let first = pings(&mut world);
    assert_eq!(first.iter().map(|(_, to)| to.as_str()).collect::<Vec<_>>(), ["192.0.2.51", "192.0.2.52"]);
    let id = first[0].0;
    pong(&mut world, id, Ok(200));
    pong(&mut world, first[1].0, Ok(404));
    world.ms(9_999);
    assert_eq!(pings(&mut world), []);
    world.ms(1);
    assert_eq!(pings(&mut world).len(), 2);
    pong(&mut world, id, Err(EndedBy::Timeout));
    assert_eq!(ups_and_downs(&world), [], "one lost packet changes nothing");
    world.secs(1);
    assert_eq!(pings(&mut world).len(), 1, "in doubt it is asked again soon");
    pong(&mut world, id, Err(EndedBy::Timeout));
    assert_eq!(ups_and_downs(&world), [("first".into(), false, "OPTIONS: silent".into())]);
    assert!(!trunk(&mut world, "first").up && trunk(&mut world, "second").up);
    assert_eq!(trunk(&mut world, "first").ping.as_deref(), Some("silent"));
    assert!(world.core.trunks_up().any(|(name, up)| name == "first" && !up));
    world.connect();
    world.transfer("tel:+15550199");
    let leg = world.dialled("tel:");
    assert_eq!(hop(&world, leg), "192.0.2.52", "the next call does not wait at all");
}

#[test]
fn a_trunk_that_says_503_or_is_not_there_is_down_at_once_and_back_within_two_pings() {
    for gone in [Ok(503), Err(EndedBy::Transport)] {
        let mut world = pinged(two_trunks());
        let id = pings(&mut world)[0].0;
        pong(&mut world, id, gone);
        assert_eq!(ups_and_downs(&world).len(), 1, "{gone:?}");
        world.secs(10);
        assert!(pings(&mut world).contains(&(id, "192.0.2.51".into())));
        pong(&mut world, id, Ok(200));
        assert_eq!(ups_and_downs(&world).len(), 1, "one answer is not believed yet");
        world.secs(1);
        assert!(pings(&mut world).contains(&(id, "192.0.2.51".into())));
        pong(&mut world, id, Ok(200));
        assert_eq!(ups_and_downs(&world)[1], ("first".into(), true, "OPTIONS: 200".into()));
    }
}

#[test]
fn where_all_are_down_a_call_is_tried_anyway() {
    let mut world = pinged(two_trunks());
    for (id, _) in pings(&mut world) {
        pong(&mut world, id, Err(EndedBy::Transport));
    }
    world.connect();
    world.transfer("tel:+15550199");
    assert_eq!(hop(&world, world.dialled("tel:")), "192.0.2.51");
}

#[test]
fn a_call_that_fails_on_a_trunk_makes_it_be_asked_at_once() {
    let mut world = pinged(two_trunks());
    for (id, _) in pings(&mut world) {
        pong(&mut world, id, Ok(200));
    }
    world.connect();
    world.transfer("tel:+15550199");
    world.end_leg(world.dialled("tel:"), EndedBy::Timeout, Some(408));
    world.pass(Duration::ZERO);
    assert_eq!(pings(&mut world).iter().map(|(_, to)| to.as_str()).collect::<Vec<_>>(), ["192.0.2.51"]);
}

#[test]
fn a_trunk_known_by_name_is_looked_up_for_each_ping() {
    let mut config = two_trunks();
    config.trunks.get_mut("first").unwrap().host = "sip.carrier.example".into();
    let mut world = pinged(config);
    let (id, wanted) = world.resolves.pop().unwrap();
    assert_eq!(wanted, Wanted::host("sip.carrier.example", None));
    let target = |address: &str| Target { transport: Transport::Udp, address: address.parse().unwrap(), name: None };
    let targets = vec![target("[2001:db8::1]:5060"), target("192.0.2.77:5060"), target("192.0.2.76:5060")];
    world.give(Input::Resolved { id, targets });
    assert_eq!(pings(&mut world).last().unwrap().1, "192.0.2.77");
    world.give(Input::Resolved { id, targets: vec![target("192.0.2.78:5060")] });
    assert_eq!(pings(&mut world), [], "an answer counts once");
}

// ---- registrations

fn registered() -> (World, OutsideId) {
    let mut config = two_trunks();
    let first = config.trunks.get_mut("first").unwrap();
    first.allow_located = true;
    first.register = Some(TrunkRegistration {
        domain: "carrier.example".into(),
        user: "4930100".into(),
        expires: Duration::from_secs(3600),
        retry: Duration::from_secs(30),
    });
    let mut world = World::with(config, RULES, 7);
    world.pass(Duration::ZERO);
    let order = world.outside.iter().find_map(|command| match command {
        OutsideCommand::Register { id, order } => Some((*id, order.clone())),
        _ => None,
    });
    let (id, order) = order.expect("a registration");
    assert_eq!(order.registrar, "sip:carrier.example");
    assert_eq!(order.address.uri, "sip:4930100@carrier.example");
    assert_eq!(order.flow.remote, "192.0.2.51:5060".parse().unwrap());
    (world, id)
}

fn tell(world: &mut World, id: OutsideId, event: OutsideEvent) {
    world.give(Input::Outside { id, event });
}

#[test]
fn a_trunk_we_register_with_takes_calls_while_the_registration_stands() {
    let (mut world, id) = registered();
    assert!(!trunk(&mut world, "first").up, "not before");
    assert_eq!(ups_and_downs(&world), [], "and that is no news");
    let service_route = vec!["<sip:192.0.2.99:5070;lr>".to_owned(), "<sip:192.0.2.98;lr>".to_owned()];
    let expires = Duration::from_secs(600);
    tell(&mut world, id, OutsideEvent::Registered { expires, service_route: service_route.clone() });
    let shown = trunk(&mut world, "first");
    assert_eq!((shown.up, shown.registration.as_deref()), (true, Some("registered")));
    assert_eq!(shown.registered_until.unwrap().ms_since(world.now.into()), 600_000);
    world.connect();
    world.transfer("tel:+15550199");
    let leg = world.dialled("tel:");
    let dial = world.legs[&leg].dial.as_ref().unwrap();
    assert_eq!(dial.routes, service_route, "RFC 3608, section 6.1");
    assert_eq!(dial.flow.remote, "192.0.2.99:5070".parse().unwrap());
    let (by, status, retry_in) = (EndedBy::Refused, Some(403), Duration::from_secs(30));
    tell(&mut world, id, OutsideEvent::RegistrationFailed { by, status, retry_in });
    assert_eq!(ups_and_downs(&world)[1], ("first".into(), false, "registration refused: 403".into()));
    assert_eq!(trunk(&mut world, "first").registration.as_deref(), Some("refused: 403"));
    world.give(Input::Shutdown);
    assert!(matches!(world.outside.last(), Some(OutsideCommand::Unregister { id: it }) if *it == id));
}

#[test]
fn a_trunk_that_is_known_by_name_has_its_own_session_timer() {
    let own =
        signaling::SessionTimer { enabled: true, expires: Duration::from_secs(600), min: Duration::from_secs(120) };
    let mut config = two_trunks();
    let first = config.trunks.get_mut("first").unwrap();
    (first.host, first.session_timer, first.allow_located) = ("sip.first.example".into(), Some(own), true);
    first.ping = Some(OptionsPing::default());
    let mut world = World::with(config, RULES, 7);
    let found = crate::world::targets(&["198.51.100.7:5060"]);
    world.pass(Duration::ZERO);
    let (id, _) = world.resolves.pop().expect("it is looked up for its ping");
    world.give(Input::Resolved { id, targets: found.clone() });
    let told = world.outside.iter().find_map(|command| match command {
        OutsideCommand::Allow { session_timer, .. } => Some(*session_timer),
        _ => None,
    });
    assert_eq!(told, Some(Some(own)), "of calls it brings");
    world.connect();
    world.transfer("tel:+15550199");
    world.secs(5);
    let (id, _) = world.resolves.pop().expect("it is looked up for the call");
    world.give(Input::Resolved { id, targets: found });
    let timer = |world: &World| world.legs[&world.dialled("tel:")].dial.as_ref().unwrap().session_timer;
    assert_eq!(timer(&world), Some(own), "of calls to it");
    world.end_leg(world.dialled("tel:"), EndedBy::Timeout, Some(408));
    assert_eq!(timer(&world), None, "another trunk goes by what is said for all");
}

#[test]
fn calls_through_a_registration_come_from_where_the_registrar_is_to_the_number_in_to() {
    let (mut world, _) = registered();
    let allowed = world.outside.iter().any(|command| {
        matches!(command, OutsideCommand::Allow { addresses, .. } if *addresses == ["192.0.2.51".parse::<std::net::IpAddr>().unwrap()])
    });
    assert!(allowed);
    let party = |uri: &str| signaling::Party { display: String::new(), uri: uri.into() };
    let leg = LegId((1 << 63) | 77);
    let incoming = signaling::Incoming {
        reliable: false,
        flow: signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.51:5060".parse().unwrap()),
        account: None,
        gate: None,
        request_uri: "sip:4930100@192.0.2.1:5060".into(),
        from: party("sip:+493055512345@carrier.example"),
        to: party("sip:+4930101@carrier.example"),
        call_id: "abc".into(),
        headers: Vec::new(),
        offer: None,
        max_forwards: 70,
    };
    world.give(Input::Signaling { leg, event: Event::Incoming(Box::new(incoming)) });
    let started = world.published.iter().find_map(|event| match &event.what {
        Happening::CallStarted { trunk, to, .. } => Some((trunk.clone(), to.clone())),
        _ => None,
    });
    assert_eq!(started, Some(("first".into(), "+4930101".into())));
}
