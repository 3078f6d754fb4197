//! Human or machine: no caller is left with a voicebox, and no human waits longer than it takes to know that they are one.

use crate::{
    outbound::{NUMBER, end_of, place, settings, written_down},
    world::{World, config},
};
use calls::{
    AmdBody, AmdRecord, CallState, Campaign, EndCause, Happening, OnMachine, PlaceBody, Reply, Request, TransferBody,
};
use media_relay::{Answerer, Because, Detection, Finding, Source};
use policy::{AnsweredBy, Cause, Detect};
use signaling::LegId;
use std::time::Duration;

const RULES: &str = r#"
version: 1
destinations:
  phones: { dial: ["sip:anna@192.0.2.30", "sip:ben@192.0.2.31"], detect: machine, on_failure: { machine: [second] } }
  all:    { dial: ["sip:anna@192.0.2.30", "sip:ben@192.0.2.31"], ring: simultaneous, detect: machine }
  keyed:  { dial: "sip:100@192.0.2.40", detect: machine, accept: { press: "1", within: 10s }, on_failure: { machine: [second], else: [end] } }
  told:   { dial: "sip:100@192.0.2.40", detect: machine, whisper: { prompt: incoming-handoff } }
  plain:  { dial: "sip:100@192.0.2.40" }
  second: { dial: "sip:200@192.0.2.41" }
defaults:
  transfer: { start: now, ring_timeout: 20s, whisper: none, on_failure: { else: [ai] } }
rules:
  - id: reminder
    when: { answered_by: machine }
    end: { say: reminder }
  - id: someone
    when: { answered_by: [human, unknown] }
    tag: someone
"#;

/// A caller whom `to` is to take; their phone or phones ring.
fn waiting(to: &str) -> World {
    let mut world = World::with(config(), RULES, 7);
    world.connect();
    world.transfer(to);
    assert!(world.hears_music());
    world
}

fn listened(world: &World, leg: LegId) -> bool {
    world.detecting.contains_key(&world.legs[&leg].port.unwrap())
}

/// The relay has found out what has answered `leg`.
fn found(world: &mut World, leg: LegId, answerer: Answerer) {
    let because = match answerer {
        Answerer::Human => Because::ShortGreeting,
        Answerer::Machine => Because::LongGreeting,
        Answerer::Unknown => Because::NothingSaid,
    };
    let port = world.legs[&leg].port.unwrap();
    let finding = Finding { answerer, because, after: Duration::from_millis(1_860) };
    world.media(media_relay::Event::Answerer { port, finding });
}

/// Leg, attempt and result of each `amd.result`.
fn results(world: &World) -> Vec<(String, Option<u32>, AnsweredBy)> {
    let of = |what: &Happening| match what {
        Happening::AmdResult { leg, attempt, amd, .. } => Some((leg.clone(), *attempt, amd.result)),
        _ => None,
    };
    world.published.iter().filter_map(|event| of(&event.what)).collect()
}

fn joined(world: &World, human: LegId) -> bool {
    world.hears_leg(world.caller, human) && world.hears_leg(human, world.caller)
}

#[test]
fn a_machine_is_a_failed_attempt_then_comes_the_next_address_then_the_list_of_its_cause() {
    let mut world = waiting("phones");
    let anna = world.dialled("anna@");
    world.answer(anna);
    assert!(listened(&world, anna) && world.hears_music(), "nobody is joined with anybody before it is known");
    assert_eq!(*world.hears(anna), Source::Silence);
    found(&mut world, anna, Answerer::Machine);
    assert!(world.legs[&anna].ended && world.hears_music());
    let ben = world.dialled("ben@");
    world.answer(ben);
    found(&mut world, ben, Answerer::Machine);
    assert!(world.legs[&ben].ended);
    assert_eq!(
        world.failures(),
        [(Cause::Machine, None, 1, "next target".into()), (Cause::Machine, None, 2, "second".into())]
    );
    assert_eq!(
        results(&world),
        [("human-1".into(), Some(1), AnsweredBy::Machine), ("human-2".into(), Some(2), AnsweredBy::Machine)]
    );
    let second = world.dialled("200@");
    world.answer(second);
    assert!(joined(&world, second) && !listened(&world, second), "this one does not ask for it");
    world.hang_up(world.caller);
    world.secs(1);
    let attempts = &world.cdrs[0].transfers[0].attempts;
    let amd = AmdRecord { result: AnsweredBy::Machine, because: Because::LongGreeting, after_ms: 1_860 };
    assert_eq!(attempts.iter().map(|attempt| attempt.amd).collect::<Vec<_>>(), [Some(amd), Some(amd), None]);
    assert_eq!(attempts[0].cause, Some(Cause::Machine));
}

#[test]
fn a_human_has_the_caller_in_the_step_in_which_it_is_known() {
    let mut world = waiting("phones");
    let anna = world.dialled("anna@");
    world.answer(anna);
    world.ms(1_500);
    assert!(world.hears_music() && world.count("agent.accepted") == 0);
    written_down(&mut world);
    let before = world.now;
    found(&mut world, anna, Answerer::Human);
    assert!(joined(&world, anna) && world.now == before);
    let story = world.story();
    let told = ["agent.answered", "amd.result", "agent.accepted", "transfer.bridged"];
    let at: Vec<_> = told.iter().map(|name| story.iter().position(|it| it == name)).collect();
    assert!(at.is_sorted() && at.iter().all(Option::is_some), "{story:?}");
}

#[test]
fn what_cannot_be_told_is_somebody_and_so_is_what_nobody_ever_says() {
    let mut world = waiting("phones");
    let anna = world.dialled("anna@");
    world.answer(anna);
    found(&mut world, anna, Answerer::Unknown);
    assert!(joined(&world, anna));
    assert_eq!(results(&world)[0].2, AnsweredBy::Unknown);

    let mut world = waiting("phones");
    let anna = world.dialled("anna@");
    world.answer(anna);
    world.secs(19);
    assert!(world.hears_music());
    world.secs(1);
    assert!(joined(&world, anna), "the relay never said anything");
}

#[test]
fn others_ring_on_until_it_is_known_that_somebody_has_answered() {
    let mut world = waiting("all");
    let (anna, ben) = (world.dialled("anna@"), world.dialled("ben@"));
    world.ring(ben);
    world.answer(anna);
    assert!(!world.legs[&ben].ended, "a voicebox takes no call from who is about to answer");
    found(&mut world, anna, Answerer::Machine);
    assert!(world.legs[&anna].ended && !world.legs[&ben].ended);
    world.answer(ben);
    found(&mut world, ben, Answerer::Human);
    assert!(joined(&world, ben));

    let mut world = waiting("all");
    let (anna, ben) = (world.dialled("anna@"), world.dialled("ben@"));
    world.answer(anna);
    world.answer(ben);
    found(&mut world, ben, Answerer::Human);
    assert!(joined(&world, ben) && world.legs[&anna].ended, "who is known first to be somebody");
    assert_eq!(world.failures(), []);
}

#[test]
fn a_key_is_a_yes_before_anything_is_known_and_ends_the_listening() {
    let mut world = waiting("keyed");
    let human = world.dialled("100@");
    world.answer(human);
    assert!(listened(&world, human));
    world.press(human, '1');
    assert!(joined(&world, human) && !listened(&world, human));
    // What was on its way already.
    found(&mut world, human, Answerer::Machine);
    assert!(joined(&world, human) && world.state() == CallState::WithHuman);
    assert_eq!(results(&world), []);
}

#[test]
fn a_machine_that_is_asked_for_a_key_is_given_up_at_once_and_a_human_is_still_asked() {
    let mut world = waiting("keyed");
    let human = world.dialled("100@");
    world.answer(human);
    world.ms(2_500);
    found(&mut world, human, Answerer::Machine);
    assert!(world.legs[&human].ended && world.is_dialled("200@"), "not when the ten seconds are over");
    assert_eq!(world.failures(), [(Cause::Machine, None, 1, "second".into())]);

    for answerer in [Answerer::Human, Answerer::Unknown] {
        let mut world = waiting("keyed");
        let human = world.dialled("100@");
        world.answer(human);
        found(&mut world, human, answerer);
        assert!(world.hears_music(), "a greeting is no key");
        world.secs(10);
        assert_eq!(world.failures(), [(Cause::NotAccepted, None, 1, "end".into())]);
    }
}

#[test]
fn a_whisper_is_heard_meanwhile_and_both_must_be_over() {
    let whispers = |world: &World, human| matches!(world.hears(human), Source::Play(_));
    let mut world = waiting("told");
    let human = world.dialled("100@");
    world.answer(human);
    assert!(whispers(&world, human));
    found(&mut world, human, Answerer::Human);
    assert!(whispers(&world, human) && world.hears_music());
    world.prompt_over(human);
    assert!(joined(&world, human));

    let mut world = waiting("told");
    let human = world.dialled("100@");
    world.answer(human);
    world.prompt_over(human);
    assert!(world.hears_music() && *world.hears(human) == Source::Silence);
    found(&mut world, human, Answerer::Human);
    assert!(joined(&world, human));

    let mut world = waiting("told");
    let human = world.dialled("100@");
    world.answer(human);
    found(&mut world, human, Answerer::Machine);
    assert!(world.legs[&human].ended && world.failures()[0].0 == Cause::Machine, "in the middle of the whisper");
}

#[test]
fn a_caller_who_hangs_up_meanwhile_leaves_nothing() {
    for to in ["phones", "all", "keyed", "told"] {
        let mut world = waiting(to);
        let human = world.dialled(if matches!(to, "phones" | "all") { "anna@" } else { "100@" });
        world.answer(human);
        assert!(listened(&world, human));
        let told = world.now;
        world.hang_up(world.caller);
        world.all_gone(told);
    }
}

#[test]
fn a_human_who_hangs_up_meanwhile_has_not_accepted() {
    let mut world = waiting("phones");
    let anna = world.dialled("anna@");
    world.answer(anna);
    world.hang_up(anna);
    assert_eq!(world.failures(), [(Cause::NotAccepted, None, 1, "next target".into())]);
    assert!(world.is_dialled("ben@"));
}

#[test]
fn nobody_is_listened_to_unless_that_is_asked_for_by_the_rules_or_in_the_request() {
    let mut world = waiting("plain");
    let human = world.dialled("100@");
    world.answer(human);
    assert!(joined(&world, human) && world.detecting.is_empty());
    found(&mut world, human, Answerer::Machine);
    assert!(joined(&world, human) && results(&world).is_empty());

    for (to, detect, listens) in [("plain", Detect::Machine, true), ("phones", Detect::None, false)] {
        let mut world = World::with(config(), RULES, 7);
        world.connect();
        world.transfer_as(TransferBody { detect: Some(detect), ..TransferBody::to(to) }).unwrap();
        let human = world.dialled(if to == "plain" { "100@" } else { "anna@" });
        world.answer(human);
        assert_eq!((listened(&world, human), joined(&world, human)), (listens, !listens));
    }
}

#[test]
fn the_operators_bounds_reach_the_relay() {
    let mut config = config();
    config.media.detection.longest_greeting = Duration::from_millis(2_500);
    let mut world = World::with(config, RULES, 7);
    world.connect();
    world.transfer("phones");
    let anna = world.dialled("anna@");
    world.answer(anna);
    let told = world.detecting[&world.legs[&anna].port.unwrap()];
    assert_eq!(told, Detection { longest_greeting: Duration::from_millis(2_500), ..Detection::default() });
}

// ---- whom we call

fn body(on_machine: OnMachine) -> PlaceBody {
    PlaceBody { amd: Some(AmdBody { on_machine }), ..PlaceBody::to(NUMBER) }
}

/// Somebody or something has answered our call, and an AI has them.
fn talking(body: PlaceBody) -> (World, LegId, LegId) {
    let mut world = World::with(settings(), RULES, 7);
    place(&mut world, body).unwrap();
    let caller = world.caller;
    world.ring(caller);
    let ai = world.dialled("bot@");
    world.answer(ai);
    world.answer(caller);
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller), "in the moment of the answer");
    (world, caller, ai)
}

#[test]
fn a_machine_that_we_call_is_hung_up_on_and_the_record_says_why() {
    let (mut world, caller, ai) = talking(body(OnMachine::HangUp));
    assert!(listened(&world, caller));
    world.ms(2_000);
    let told = world.now;
    found(&mut world, caller, Answerer::Machine);
    assert!(world.legs[&caller].ended && world.legs[&ai].ended);
    world.all_gone(told);
    assert_eq!(end_of(&world), (EndCause::NotReached, Some(Cause::Machine), None));
    assert_eq!(world.cdrs[0].amd.map(|amd| amd.result), Some(AnsweredBy::Machine));
    assert_eq!(results(&world), [("caller".into(), None, AnsweredBy::Machine)]);
}

#[test]
fn somebody_whom_we_call_notices_nothing() {
    for answerer in [Answerer::Human, Answerer::Unknown] {
        let (mut world, caller, ai) = talking(body(OnMachine::HangUp));
        let plans = world.plans.len();
        found(&mut world, caller, answerer);
        assert_eq!(world.plans.len(), plans);
        assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
        world.hang_up(caller);
        world.secs(1);
        assert_eq!(end_of(&world).1, None);
        assert_eq!(world.cdrs[0].tags, ["someone"], "rules know it");
    }
}

#[test]
fn where_the_call_goes_on_rules_say_what_is_said_to_a_machine() {
    let (mut world, caller, ai) = talking(body(OnMachine::Continue));
    found(&mut world, caller, Answerer::Machine);
    assert!(world.legs[&ai].ended && !world.legs[&caller].ended);
    let Source::Play(play) = world.hears(caller) else { panic!("{:?}", world.hears(caller)) };
    assert_eq!(&*play.first[0], "reminder");
    let told = world.now;
    world.prompt_over(caller);
    world.all_gone(told);
    assert_eq!(end_of(&world), (EndCause::Rule, None, None));
}

#[test]
fn whoever_waits_is_told_when_it_is_known_what_has_answered() {
    for (answerer, over) in [(Answerer::Human, None), (Answerer::Machine, Some(Cause::Machine))] {
        let mut world = World::with(settings(), RULES, 7);
        let (body, wait) = (Box::new(body(OnMachine::HangUp)), Some(Duration::from_secs(60)));
        let asked = world.ask(Request::Place { body, idempotency_key: None, wait });
        let caller = world.dialled("tel:+4930");
        world.caller = caller;
        world.ring(caller);
        world.answer(caller);
        written_down(&mut world);
        assert!(!world.replies.contains_key(&asked), "it may be a machine");
        found(&mut world, caller, answerer);
        let Some(Ok(Reply::Placed(reply))) = world.replies.get(&asked) else { panic!("{:?}", world.replies) };
        assert!(reply.over && reply.answered.is_some());
        assert_eq!((reply.failure, reply.amd.map(|amd| amd.after_ms)), (over, Some(1_860)));
    }
}

#[test]
fn a_machine_costs_no_human_anything_but_a_ring() {
    let wanted = PlaceBody { connect: Some("plain".into()), ..body(OnMachine::HangUp) };
    let mut world = World::with(settings(), RULES, 7);
    place(&mut world, wanted.clone()).unwrap();
    let caller = world.caller;
    world.ring(caller);
    world.answer(caller);
    let human = world.dialled("100@");
    world.ring(human);
    found(&mut world, caller, Answerer::Machine);
    assert!(world.legs[&human].ended && world.legs[&caller].ended);

    // Who has them already hears for themselves.
    let mut world = World::with(settings(), RULES, 7);
    place(&mut world, wanted).unwrap();
    let caller = world.caller;
    world.ring(caller);
    world.answer(caller);
    let human = world.dialled("100@");
    world.answer(human);
    found(&mut world, caller, Answerer::Machine);
    assert!(joined(&world, human));
}

#[test]
fn the_request_says_it_before_the_campaign_and_the_campaign_before_the_configuration() {
    use OnMachine::{Continue, HangUp, None as Nobody};
    for (outbound, campaign, request, listens) in [
        (Nobody, None, None, false),
        (HangUp, None, None, true),
        (HangUp, Some(Nobody), None, false),
        (Nobody, Some(Continue), None, true),
        (HangUp, Some(Continue), Some(Nobody), false),
        (Nobody, Some(Nobody), Some(HangUp), true),
    ] {
        let mut config = settings();
        config.outbound.on_machine = outbound;
        config.outbound.campaigns.insert("dues".into(), Campaign { on_machine: campaign, ..Campaign::default() });
        let mut world = World::with(config, RULES, 7);
        let amd = request.map(|on_machine| AmdBody { on_machine });
        place(&mut world, PlaceBody { campaign: Some("dues".into()), amd, ..PlaceBody::to(NUMBER) }).unwrap();
        let caller = world.caller;
        world.ring(caller);
        assert!(world.detecting.is_empty(), "nobody is listened to before they answer");
        world.answer(caller);
        assert_eq!(listened(&world, caller), listens, "{outbound:?} {campaign:?} {request:?}");
    }
}
