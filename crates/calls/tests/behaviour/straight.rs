//! Emergency numbers, and what else `routes` sends straight to a trunk: nothing of ours stands before it.

use crate::world::{RULES, SDP, World, config};
use calls::{Config, HandbackBody, Happening, Request, Route, Source};
use policy::Cause;
use signaling::LegId;

/// `112` and its like go by `rescue`, then by `carrier`; a main number of somebody else goes by `carrier`.
fn straight() -> Config {
    let mut config = config();
    let rescue = calls::Trunk { host: "192.0.2.11".into(), ..config.trunks["carrier"].clone() };
    config.trunks.insert("rescue".to_owned(), calls::Trunk { allowed: Vec::new(), ..rescue });
    let route = |called: &str, trunks: &[&str]| Route {
        called: called.into(),
        line: "straight".into(),
        bypass: trunks.iter().map(|trunk| (*trunk).to_owned()).collect(),
        ..Route::default()
    };
    config.routes.splice(0..0, [route("emergency", &["rescue", "carrier"]), route("+4989901*", &["carrier"])]);
    // Nothing of this may touch such a call.
    config.recording.when = calls::RecordingWhen::Consent;
    config.limits.call_duration = core::time::Duration::from_secs(30);
    config
}

/// A rule that would take every such call from whoever has answered.
const EAGER: &str = "  - id: eager\n    when: { line: straight }\n    while: human\n    transfer: closer\n";

fn calling(config: Config, uri: &'static str) -> World {
    let mut world = World::with(config, &format!("{RULES}{EAGER}"), 7);
    world.calls = uri;
    world.caller_comes(Some(SDP));
    world
}

/// Where a leg's INVITE went.
fn remote(world: &World, leg: LegId) -> String {
    world.legs[&leg].dial.as_ref().unwrap().flow.remote.to_string()
}

#[test]
fn stranded_nobody_an_emergency_call_goes_straight_to_its_trunk_and_nothing_is_in_its_way() {
    for uri in ["sip:112@192.0.2.1", "sip:911@192.0.2.1;user=phone", "urn:service:sos.fire"] {
        let mut world = calling(Config { limits: calls::Limits { calls: 0, ..straight().limits }, ..straight() }, uri);
        let called = uri.trim_start_matches("sip:").split('@').next().unwrap();
        let help = world.dialled(called);
        assert_eq!(remote(&world, help), "192.0.2.11:5060", "{uri}");
        assert!(!world.is_dialled("bot@"), "{uri}");
        world.ring(help);
        world.answer(help);
        assert!(world.hears_leg(world.caller, help) && world.hears_leg(help, world.caller), "{uri}");
        world.secs(3600);
        assert!(!world.legs[&help].ended, "{uri}: no limit of ours ends it");
        assert!(world.orders.is_empty(), "{uri}: recorded");
        world.hang_up(world.caller);
        assert!(world.legs[&help].ended);
        assert_eq!(world.cdrs[0].transfers[0].source, Source::Bypass);
    }
}

#[test]
fn stranded_nobody_a_trunk_that_fails_leaves_an_emergency_call_to_the_next() {
    let mut world = calling(straight(), "sip:112@192.0.2.1");
    let first = world.dialled("tel:112");
    world.refuse(first, 503);
    let second = world.dialled("tel:112");
    assert_eq!((remote(&world, first), remote(&world, second)), ("192.0.2.11:5060".into(), "192.0.2.10:5060".into()));
    world.answer(second);
    assert!(world.hears_leg(world.caller, second));
}

#[test]
fn the_answer_of_whoever_is_called_is_the_callers_own() {
    let mut world = calling(straight(), "sip:+4989901234@192.0.2.1");
    world.refuse(world.dialled("tel:+4989901234"), 486);
    assert_eq!(world.legs[&world.caller].status, Some(486));
    assert_eq!(world.failures(), [(Cause::Busy, Some(486), 1, "end".into())]);
    assert!(!world.is_dialled("bot@"));
}

#[test]
fn rfc3261_25_1_what_is_dialled_names_nobodys_host() {
    let mut config = straight();
    config.routes[1].called = "front*".into();
    let world = calling(config, "sip:front%40evil.example%3E@192.0.2.1");
    assert!(world.is_dialled("sip:front%40evil.example%3E@192.0.2.10"), "{:?}", world.legs);
}

#[test]
fn whoever_gives_up_cancels_what_they_called() {
    let mut world = calling(straight(), "sip:+4989901234@192.0.2.1");
    let called = world.dialled("tel:+4989901234");
    world.ring(called);
    world.hang_up(world.caller);
    assert!(world.legs[&called].ended);
}

#[test]
fn events_and_codes_do_nothing_and_a_hand_back_needs_a_name() {
    let mut config = straight();
    let code = calls::FeatureCode { keys: "*7".into(), act: calls::CodeAct::HandBack };
    config.codes.human = vec![code.clone()];
    config.codes.caller = vec![code];
    let mut world = calling(config, "sip:+4989901234@192.0.2.1");
    let called = world.dialled("tel:+4989901234");
    world.answer(called);
    for _ in 0..3 {
        world.event(serde_json::json!({ "type": "no_match" }));
    }
    for leg in [called, world.caller] {
        world.press(leg, '*');
        world.press(leg, '7');
    }
    assert!(world.hears_leg(world.caller, called));
    let call = world.call;
    let problem = world.reply(Request::Handback { call, body: HandbackBody::default() }).unwrap_err();
    assert_eq!(problem.status, 409, "{problem:?}");
    let body = HandbackBody { to_ai: Some("backup".into()), ..HandbackBody::default() };
    world.reply(Request::Handback { call, body }).unwrap();
    world.answer(world.dialled("backup@"));
}

#[test]
fn other_numbers_meet_the_ai_as_before() {
    let mut world = World::with(straight(), RULES, 7);
    world.calls = "sip:1120@192.0.2.1";
    world.caller_comes(Some(SDP));
    assert!(
        world.published.iter().any(|event| matches!(&event.what, Happening::CallStarted { ai, .. } if ai == "main"))
    );
    assert!(!world.is_dialled("1120@"));
}

/// Design, section 7: the human hangs up after the bridge, and the profile says queue.
#[test]
fn stranded_nobody_a_human_who_hangs_up_leaves_the_caller_to_where_the_profile_says() {
    let mut config = config();
    config.ai.get_mut("main").unwrap().after_human = calls::AfterHuman::Destination("plain".into());
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world.transfer("named");
    world.secs(5);
    let resolve = world.resolves.last().map(|(id, _)| *id);
    if let Some(id) = resolve {
        let targets = crate::world::targets(&["192.0.2.50:5060"]);
        world.give(calls::Input::Resolved { id, targets });
    }
    let human = world.dialled("100@pbx.example.net");
    world.answer(human);
    assert!(world.hears_leg(world.caller, human));
    world.hang_up(human);
    assert!(world.hears_music());
    let next = world.dialled("100@192.0.2.40");
    world.answer(next);
    assert!(world.hears_leg(world.caller, next));
    // Whoever took them there ends the call by hanging up: nobody goes round in circles.
    world.hang_up(next);
    assert!(world.legs[&world.caller].ended);
    assert_eq!(world.cdrs[0].transfers[1].source, Source::AfterHuman);
}

#[test]
fn stranded_nobody_where_the_profile_sends_the_caller_is_nobody_and_the_ai_has_them() {
    let mut config = config();
    config.ai.get_mut("main").unwrap().after_human = calls::AfterHuman::Destination("night".into());
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@192.0.2.40");
    world.answer(human);
    world.hang_up(human);
    // `night` is closed; its list says `second`, who is busy; then the AI.
    world.refuse(world.dialled("200@"), 603);
    let ai = world.dialled("bot@");
    // With the AI everything begins anew: after the next human they are sent there again.
    world.answer(ai);
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@192.0.2.40");
    world.answer(human);
    world.hang_up(human);
    assert!(!world.legs[&world.caller].ended, "{:?}", world.story());
    assert!(world.is_dialled("200@"));
}
