//! Agents' phones that register with us: their addresses lead to all of their contacts, and their calls are calls.

use crate::world::{World, config};
use calls::{Agents, Config, Input, Route, TransferBody, Trunk};
use policy::Cause;
use signaling::{Contact, Event, ReferRequest};

const RULES: &str = r#"
version: 1
destinations:
  anna: { dial: "sip:anna@desk.example", whisper: none }
  both: { dial: ["sip:anna@desk.example", "sip:ben@desk.example"], ring: ordered, whisper: none }
  team: { agent: [anna, ben], ring: simultaneous, whisper: none }
defaults:
  transfer: { start: now, ring_timeout: 20s }
"#;

fn desk() -> World {
    let agents = Agents { domains: vec!["desk.example".into()], ..Agents::default() };
    let mut world = World::with(Config { agents, ..config() }, RULES, 7);
    world.connect();
    world
}

fn contact(uri: &str) -> Contact {
    Contact {
        uri: uri.into(),
        flow: signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "203.0.113.5:40001".parse().unwrap()),
        routes: vec!["<sip:203.0.113.9;lr>".into()],
    }
}

fn register(world: &mut World, account: &str, uris: &[&str]) {
    world.give(Input::Contacts { account: account.into(), contacts: uris.iter().map(|uri| contact(uri)).collect() });
}

#[test]
fn all_phones_of_an_account_ring_at_once_and_the_first_answer_wins() {
    let mut world = desk();
    register(&mut world, "anna", &["sip:desk@10.0.0.7", "sip:mobile@10.0.0.8"]);
    world.transfer("anna");
    let (desk, mobile) = (world.dialled("desk@"), world.dialled("mobile@"));
    let dial = world.legs[&desk].dial.clone().unwrap();
    assert_eq!(
        (dial.flow.remote.to_string(), &dial.routes[..]),
        ("203.0.113.5:40001".into(), &["<sip:203.0.113.9;lr>".to_owned()][..])
    );
    world.ring(desk);
    world.ring(mobile);
    world.answer(mobile);
    assert!(world.legs[&desk].ended && world.hears_leg(world.caller, mobile));
}

#[test]
fn a_phone_that_declines_leaves_the_others_of_its_account_ringing() {
    let mut world = desk();
    register(&mut world, "anna", &["sip:desk@10.0.0.7", "sip:mobile@10.0.0.8"]);
    register(&mut world, "ben", &["sip:ben@10.0.0.9"]);
    world.transfer("both");
    assert!(!world.is_dialled("ben@"), "one after the other");
    world.refuse(world.dialled("desk@"), 603);
    assert!(!world.legs[&world.dialled("mobile@")].ended && !world.is_dialled("ben@"));
    world.refuse(world.dialled("mobile@"), 486);
    assert!(world.is_dialled("ben@"));
    world.answer(world.dialled("ben@"));
    assert!(world.hears_leg(world.caller, world.leg("ben@")));
}

#[test]
fn who_is_not_registered_is_unreachable_at_once() {
    let mut world = desk();
    world.transfer("anna");
    assert_eq!(world.failures(), [(Cause::Unreachable, None, 1, "ai".into())]);
    assert!(!world.is_dialled("anna@"), "nothing was dialled");
    register(&mut world, "anna", &["sip:desk@10.0.0.7"]);
    register(&mut world, "anna", &[]);
    world.transfer("both");
    assert!(!world.is_dialled("desk@"), "its registration is over");
}

#[test]
fn a_destination_names_agents_and_rings_those_who_are_there() {
    let mut world = desk();
    register(&mut world, "ben", &["sip:ben@10.0.0.9"]);
    world.transfer("team");
    assert_eq!(world.failures()[0].0, Cause::Unreachable, "anna");
    world.answer(world.dialled("ben@"));
    assert!(world.hears_leg(world.caller, world.leg("ben@")));
}

/// A command or a REFER to `sip:anna@desk.example` was refused though anna was registered: what could be dialled was judged
/// before her phones were asked for.
#[test]
fn a_command_and_a_refer_that_name_an_agents_address_ring_their_phones() {
    let refer = |to: &str| {
        Event::Refer(Box::new(ReferRequest {
            to: to.into(),
            replaces: None,
            ours: to.contains("192.0.2.1"),
            replaced: None,
            referred_by: None,
            subscribe: true,
            asked: Vec::new(),
            headers: Vec::new(),
        }))
    };
    for to in ["sip:ben@desk.example", "sip:ben@192.0.2.1"] {
        let ask: [fn(&mut World, &str, Event); 2] = [
            |world, to, _| assert!(world.transfer_as(TransferBody::to(to)).is_ok(), "{to}"),
            |world, _, refer| world.tell(world.leg("bot@"), refer),
        ];
        for (at, ask) in ask.into_iter().enumerate() {
            let agents = Agents { domains: vec!["desk.example".into(), "192.0.2.1:5060".into()], ..Agents::default() };
            let mut world = World::with(Config { agents, ..config() }, RULES, 7);
            world.connect();
            let refused = world.transfer_as(TransferBody::to(to)).unwrap_err();
            assert_eq!(refused.status, 422, "nobody is there yet: {refused:?}");
            world.tell(world.leg("bot@"), refer(to));
            assert_eq!(world.count("transfer.refused"), 1, "{to}");
            register(&mut world, "ben", &["sip:desk@10.0.0.7", "sip:mobile@10.0.0.8"]);
            ask(&mut world, to, refer(to));
            assert!(world.is_dialled("desk@") && world.is_dialled("mobile@"), "{to}, {at}");
            world.answer(world.dialled("mobile@"));
            assert!(world.hears_leg(world.caller, world.leg("mobile@")), "{to}, {at}");
        }
    }
}

#[test]
fn an_ai_that_registers_is_called_where_it_is_and_is_unreachable_while_it_is_not() {
    let start = || {
        let agents = Agents { domains: vec!["192.0.2.20".into()], ..Agents::default() };
        World::with(Config { agents, ..config() }, RULES, 7)
    };
    let mut world = start();
    world.caller_comes(Some(crate::world::SDP));
    assert!(!world.is_dialled("bot@") && world.is_dialled("backup@"), "the next of `on_ai_failure`");
    let mut world = start();
    register(&mut world, "bot", &["sip:bot@10.0.0.7", "sip:bot@10.0.0.8"]);
    // Each of several contacts has its share of the calls.
    let mut used = [0, 0];
    for _ in 0..20 {
        world.connect();
        let bot = world.leg("bot@");
        let dial = world.legs[&bot].dial.clone().unwrap();
        assert_eq!(dial.flow.remote.to_string(), "203.0.113.5:40001");
        used[usize::from(dial.target == "sip:bot@10.0.0.8")] += 1;
        assert!(world.hears_leg(world.caller, bot));
    }
    assert!(used.iter().all(|times| *times > 2), "{used:?}");
}

#[test]
fn a_registered_phone_calls_in_by_the_routes_that_take_agents() {
    let caller = Trunk { max_calls: 1, ..Trunk::default() };
    let agents = Agents { domains: vec!["desk.example".into()], caller, ..Agents::default() };
    let route = |trunks: &[&str], line: &str| Route {
        called: "*".into(),
        trunks: trunks.iter().map(|name| (*name).to_owned()).collect(),
        line: line.into(),
        ai: "main".into(),
        ..Route::default()
    };
    let routes = vec![route(&["agents"], "inside"), route(&["carrier"], "support")];
    let mut world = World::with(Config { agents, routes, ..config() }, RULES, 7);
    world.account = Some("anna".into());
    world.connect();
    assert_eq!(world.published[0].line, "inside");
    world.caller_comes(None);
    assert_eq!(world.legs[&world.caller].status, Some(503), "more than agents may bring");
    world.account = None;
    world.connect();
    assert_eq!(world.published.last().unwrap().line, "support");
}
