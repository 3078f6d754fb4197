//! Agents and queues: who is rung, who waits, and that nobody is stranded or stays held.

use crate::world::{World, config, targets};
use calls::{
    AgentBody, AgentConfig, Agents, Availability, Config, Happening, Input, OptionsPing, Presence, QueueOutcome, Reply,
    Request, TransferState,
};
use policy::{AgentState, Cause};
use signaling::{EndedBy, LegId, OutsideCommand, OutsideEvent, OutsideId};
use std::time::Duration;

const RULES: &str = r#"
version: 1
hours:
  never: { timezone: Europe/Berlin, open: { mon: ["00:00-00:01"] } }
destinations:
  fraud:
    queue: { skills: [fraud], overflow_after: 90s, announce: { position: you-are-number, every: 30s } }
    on_failure: [frontdesk]
  small:     { queue: { skills: [fraud], overflow_at: 1 }, on_failure: [frontdesk] }
  sales:     { queue: { skills: [sales] }, on_failure: [ai] }
  shut:      { queue: { skills: [fraud] }, hours: never, on_failure: { closed: [frontdesk] } }
  team:      { agent: [anna, ben], on_failure: { no_agent: [frontdesk], else: [ai] } }
  frontdesk: { dial: "sip:100@192.0.2.40" }
defaults:
  transfer: { start: now, ring_timeout: 20s, whisper: none }
rules:
  - id: fraud
    when: { intent: unknown_transaction }
    transfer: { to: fraud, priority: 10 }
"#;

fn agent(address: &str) -> AgentConfig {
    AgentConfig { dial: Some(address.into()), skills: [("fraud".into(), 5)].into(), ..AgentConfig::default() }
}

fn desk() -> World {
    let people =
        vec![("anna".to_owned(), agent("sip:anna@192.0.2.30")), ("ben".to_owned(), agent("sip:ben@192.0.2.31"))];
    World::with(Config { agents: Agents { people, ..Agents::default() }, ..config() }, RULES, 7)
}

/// A new caller who talks with the AI and is transferred to `to`: their leg.
fn caller(world: &mut World, to: &str) -> LegId {
    world.connect();
    world.transfer(to);
    world.caller
}

fn states(world: &mut World) -> String {
    let Ok(Reply::Agents(list)) = world.reply(Request::Agents) else { panic!("a list of agents") };
    list.agents.iter().map(|agent| format!("{} {}", agent.id, agent.state)).collect::<Vec<_>>().join(", ")
}

fn available(world: &mut World, destination: &str, reserve: Option<Duration>) -> Availability {
    let call = Some(world.call);
    match world.reply(Request::Availability { destination: destination.into(), call, reserve }) {
        Ok(Reply::Availability(it)) => *it,
        other => panic!("{other:?}"),
    }
}

fn left(world: &World) -> Vec<(QueueOutcome, u64)> {
    let of = |event: &calls::PublicEvent| match &event.what {
        Happening::QueueLeft { outcome, waited_ms, .. } => Some((*outcome, *waited_ms)),
        _ => None,
    };
    world.published.iter().filter_map(of).collect()
}

#[test]
fn two_calls_never_ring_one_agent_and_the_third_goes_down_the_chain() {
    let mut world = desk();
    caller(&mut world, "team");
    let anna = world.dialled("anna@");
    caller(&mut world, "team");
    let ben = world.dialled("ben@");
    assert_eq!(states(&mut world), "anna ringing, ben ringing");
    caller(&mut world, "team");
    assert!(world.is_dialled("100@"), "{:?}", world.story());
    assert_eq!(world.failures(), [(Cause::NoAgent, None, 1, "frontdesk".to_owned())]);
    world.answer(anna);
    world.refuse(ben, 486);
    assert_eq!(states(&mut world), "anna busy, ben resting");
    world.secs(5);
    assert_eq!(states(&mut world), "anna busy, ben available");
}

#[test]
fn a_caller_waits_with_music_and_gets_the_next_agent_who_is_free() {
    let mut world = desk();
    let mut humans = Vec::new();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
        humans.push(human);
    }
    let waiting = caller(&mut world, "fraud");
    assert!(world.hears_music());
    let transfer = world.published.iter().rev().find_map(|event| match event.what {
        Happening::QueueEntered { transfer, position: 1, .. } => Some(transfer),
        _ => None,
    });
    let transfer = transfer.expect("the caller waits");
    assert_eq!(world.transfer_record(transfer).state, TransferState::Queued);
    world.secs(20);
    world.hang_up(humans[0]);
    let anna = world.dialled("anna@");
    world.ring(anna);
    world.answer(anna);
    assert!(world.hears_leg(waiting, anna) && world.hears_leg(anna, waiting));
    assert_eq!(left(&world)[2], (QueueOutcome::Connected, 20_000));
    let record = world.transfer_record(transfer);
    assert_eq!((record.state, record.attempts[0].agent.as_deref()), (TransferState::Bridged, Some("anna")));
}

#[test]
fn stranded_nobody_an_agent_does_not_answer_and_the_caller_waits_on_for_the_next() {
    let mut world = desk();
    let waiting = caller(&mut world, "fraud");
    assert!(world.is_dialled("anna@"));
    world.secs(20);
    assert_eq!(world.failures(), [(Cause::NoAnswer, None, 1, "queue".to_owned())]);
    let ben = world.dialled("ben@");
    assert!(!world.is_dialled("anna@"));
    world.refuse(ben, 603);
    assert!(world.hears_music(), "both rest");
    world.secs(5);
    let again = world.dialled("anna@");
    world.answer(again);
    assert!(world.hears_leg(waiting, again));
    assert_eq!(left(&world).len(), 1, "one stay in the queue, whoever was asked");
}

#[test]
fn stranded_nobody_no_agent_has_time_and_the_caller_overflows_to_the_next_destination() {
    let mut world = desk();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
    }
    caller(&mut world, "fraud");
    world.secs(89);
    assert!(!world.is_dialled("100@"));
    world.secs(1);
    assert!(world.is_dialled("100@"));
    assert_eq!(left(&world).last(), Some(&(QueueOutcome::Overflow, 90_000)));
    assert_eq!(world.failures().last().map(|failure| failure.0), Some(Cause::NoAgent));
    let desk = world.dialled("100@");
    world.answer(desk);
    assert!(world.hears_leg(world.caller, desk));
}

#[test]
fn stranded_nobody_an_agent_who_rings_at_the_end_of_the_wait_may_still_take_the_caller() {
    let mut world = desk();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
    }
    let anna = world.leg("anna@");
    let waiting = caller(&mut world, "fraud");
    world.secs(80);
    world.hang_up(anna);
    world.secs(15);
    assert!(!world.is_dialled("100@"), "her phone rings");
    let again = world.dialled("anna@");
    world.answer(again);
    assert!(world.hears_leg(waiting, again));
}

#[test]
fn stranded_nobody_nobody_is_signed_in_and_nobody_waits() {
    let mut world = desk();
    let away = AgentBody { presence: Some(Presence::Away), ..AgentBody::default() };
    for agent in ["anna", "ben"] {
        world.reply(Request::ChangeAgent { agent: agent.into(), body: away.clone() }).unwrap();
    }
    caller(&mut world, "fraud");
    assert!(world.is_dialled("100@"));
    assert_eq!(world.count("queue.entered"), 0);
    let ai = caller(&mut world, "sales");
    assert!(world.hears_leg(ai, world.leg("bot@")), "nobody sells: back to the AI");
}

#[test]
fn stranded_nobody_a_closed_queue_goes_down_its_list() {
    let mut world = desk();
    caller(&mut world, "shut");
    assert!(world.is_dialled("100@"));
    assert_eq!(world.failures()[0].0, Cause::Closed);
}

#[test]
fn stranded_nobody_the_caller_hangs_up_while_they_wait_and_while_an_agent_rings() {
    let mut world = desk();
    let first = caller(&mut world, "fraud");
    let anna = world.dialled("anna@");
    world.ring(anna);
    let second = caller(&mut world, "fraud");
    let third = caller(&mut world, "fraud");
    world.secs(3);
    world.hang_up(third);
    world.secs(2);
    world.hang_up(first);
    world.hang_up(second);
    assert_eq!(states(&mut world), "anna available, ben available");
    assert_eq!(
        left(&world),
        [(QueueOutcome::Abandoned, 3_000), (QueueOutcome::Abandoned, 5_000), (QueueOutcome::Abandoned, 5_000)]
    );
    world.secs(60);
    assert!(world.core.gauges().is_empty(), "{:?}", world.core.gauges());
}

#[test]
fn stranded_nobody_the_ai_leaves_while_the_caller_waits_and_the_wait_goes_on() {
    let mut world = desk();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
    }
    let waiting = caller(&mut world, "fraud");
    world.hang_up(world.dialled("bot@"));
    assert!(world.hears_music());
    world.hang_up(world.dialled("ben@"));
    let ben = world.dialled("ben@");
    world.answer(ben);
    assert!(world.hears_leg(waiting, ben));
}

#[test]
fn a_full_queue_takes_nobody_more() {
    let mut world = desk();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
    }
    caller(&mut world, "small");
    assert!(!world.is_dialled("100@"));
    caller(&mut world, "small");
    assert!(world.is_dialled("100@"), "the next destination at once");
}

#[test]
fn a_waiting_caller_is_told_their_place_and_hears_music_again() {
    let mut world = desk();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
    }
    caller(&mut world, "fraud");
    world.secs(30);
    let media_relay::Source::Play(play) = world.caller_hears() else { panic!("{:?}", world.caller_hears()) };
    let said: Vec<&str> = play.first.iter().map(|clip| &**clip).collect();
    assert_eq!(said, ["you-are-number", "digit-1"]);
    assert!(world.hears_music(), "and the music goes on after it");
    assert_eq!(world.count("queue.position"), 1);
    let first = play.id;
    world.secs(30);
    let media_relay::Source::Play(play) = world.caller_hears() else { panic!("{:?}", world.caller_hears()) };
    assert_ne!(play.id, first, "said anew");
}

#[test]
fn higher_priority_is_served_first_and_then_who_came_first() {
    let mut world = desk();
    for name in ["anna@", "ben@"] {
        caller(&mut world, "fraud");
        let human = world.dialled(name);
        world.answer(human);
    }
    let plain = caller(&mut world, "fraud");
    world.connect();
    let reply = world.event(serde_json::json!({ "type": "intent", "name": "unknown_transaction" }));
    let urgent = world.caller;
    let explanation = reply.results[0].explanation.as_ref().unwrap();
    let told: Vec<String> = explanation.candidates.iter().map(|it| format!("{} {}", it.agent, it.because)).collect();
    assert_eq!(told, ["anna is busy", "ben is busy"], "why each was passed over");
    world.hang_up(world.dialled("anna@"));
    let anna = world.dialled("anna@");
    world.answer(anna);
    assert!(world.hears_leg(urgent, anna));
    world.hang_up(world.dialled("ben@"));
    let ben = world.dialled("ben@");
    world.answer(ben);
    assert!(world.hears_leg(ben, plain));
}

#[test]
fn availability_is_told_before_anything_is_promised_and_a_promise_is_kept() {
    let mut world = desk();
    caller(&mut world, "fraud");
    world.answer(world.dialled("anna@"));
    world.connect();
    let (first, first_caller) = (world.call, world.caller);
    let told = available(&mut world, "fraud", Some(Duration::from_secs(20)));
    assert_eq!((told.available, told.free, told.reserved.as_deref()), (true, Some(1), Some("ben")));
    assert_eq!(available(&mut world, "fraud", None).free, Some(1), "still free for this caller");
    caller(&mut world, "fraud");
    assert!(!world.is_dialled("ben@"), "promised to another");
    let other = available(&mut world, "fraud", None);
    assert_eq!((other.available, other.cause, other.free), (false, Some(Cause::NoAgent), Some(0)));
    let shut = available(&mut world, "shut", None);
    assert_eq!((shut.available, shut.cause), (false, Some(Cause::Closed)));
    assert!(shut.opens_at.is_some());
    (world.call, world.caller) = (first, first_caller);
    world.transfer("fraud");
    let ben = world.dialled("ben@");
    world.answer(ben);
    assert!(world.hears_leg(first_caller, ben), "whom he was promised to");
}

#[test]
fn an_agent_who_wraps_up_or_is_away_gets_no_caller_until_they_are_back() {
    let wrapping = AgentConfig { wrap_up: Duration::from_secs(15), ..agent("sip:anna@192.0.2.30") };
    let people = vec![("anna".to_owned(), wrapping)];
    let mut world = World::with(Config { agents: Agents { people, ..Agents::default() }, ..config() }, RULES, 7);
    caller(&mut world, "fraud");
    world.answer(world.dialled("anna@"));
    caller(&mut world, "fraud");
    world.hang_up(world.dialled("anna@"));
    assert_eq!(states(&mut world), "anna wrap_up");
    world.secs(14);
    assert!(!world.is_dialled("anna@"));
    world.secs(1);
    assert!(world.is_dialled("anna@"), "the next caller as soon as she is free");
    let Ok(Reply::Agent(anna)) = world.reply(Request::Agent { agent: "anna".into() }) else { panic!("anna") };
    assert_eq!((anna.state, anna.calls_taken), (AgentState::Ringing, 1));
}

#[test]
fn an_agent_who_is_silent_when_asked_is_offline_and_not_rung_until_they_answer_again() {
    let ping = Some(OptionsPing { up_after: 1, ..OptionsPing::default() });
    let anna = AgentConfig { ping: ping.clone(), ..agent("sip:anna@192.0.2.30") };
    // Who is known by a name is looked up first.
    let ben = AgentConfig { ping, ..agent("sip:ben@pbx.example.net") };
    let people =
        vec![("anna".to_owned(), anna), ("ben".to_owned(), ben), ("carl".to_owned(), agent("sip:carl@192.0.2.32"))];
    let mut world = World::with(Config { agents: Agents { people, ..Agents::default() }, ..config() }, RULES, 7);
    world.secs(1);
    let asked = |world: &mut World| -> Vec<(OutsideId, String)> {
        let pings = std::mem::take(&mut world.outside).into_iter().filter_map(|command| match command {
            OutsideCommand::Ping { id, ping } => Some((id, ping.target.clone())),
            _ => None,
        });
        pings.collect()
    };
    let (id, wanted) = world.resolves.pop().expect("ben's name");
    assert_eq!(wanted.host, "pbx.example.net");
    world.give(Input::Resolved { id, targets: targets(&["192.0.2.31:5060"]) });
    let first = asked(&mut world);
    assert_eq!(first.len(), 2, "carl is asked nothing: {first:?}");
    let (anna, ben) = (first[0].0, first[1].0);
    assert_eq!((&*first[0].1, &*first[1].1), ("sip:anna@192.0.2.30", "sip:ben@pbx.example.net"));
    let answer = |world: &mut World, id: OutsideId, result: Result<u16, EndedBy>| {
        world.give(Input::Outside { id, event: OutsideEvent::Pong { result } });
    };
    // Any answer shows somebody; one miss is none.
    answer(&mut world, ben, Ok(404));
    answer(&mut world, anna, Err(EndedBy::Timeout));
    assert_eq!(states(&mut world), "anna available, ben available, carl available");
    world.secs(1);
    assert_eq!(asked(&mut world).len(), 1, "who is in doubt is asked again soon");
    answer(&mut world, anna, Err(EndedBy::Timeout));
    assert_eq!(states(&mut world), "anna offline, ben available, carl available");
    let told = world.published.iter().any(|event| {
        matches!(&event.what, Happening::AgentState { agent, reason, .. } if agent == "anna" && reason == "silent")
    });
    assert!(told);
    caller(&mut world, "team");
    let (id, _) = world.resolves.pop().expect("ben's name, for his call");
    world.give(Input::Resolved { id, targets: targets(&["192.0.2.31:5060"]) });
    assert!(!world.is_dialled("anna@") && world.is_dialled("ben@"));
    // The next caller waits for her, and has her with the first answer.
    world.secs(10);
    answer(&mut world, anna, Ok(200));
    assert!(states(&mut world).starts_with("anna available"));
    caller(&mut world, "team");
    assert!(world.is_dialled("anna@"));
}
