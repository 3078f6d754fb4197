//! Somebody is called, for an AI or a destination: whatever becomes of them and of the AI, nobody is called for silence, and nothing is left.

use crate::world::{SDP, World, config};
use bytes::Bytes;
use calls::{
    AiFailureStep, CallId, CallState, Campaign, Config, ConsentPrompt, EndCause, HandbackBody, Happening, IntentBody,
    Outbound, PlaceBody, PlacedReply, Problem, Recording, RecordingWhen, Reply, Request, Trunk,
};
use media_relay::Source;
use policy::{Cause, Direction};
use serde_json::json;
use signaling::{EndedBy, Event, LegId};
use std::time::Duration;

pub(crate) const NUMBER: &str = "tel:+493055512345";

pub(crate) const RULES: &str = r#"
version: 1
hours:
  office: { timezone: Europe/Berlin, open: { mon-sun: ["08:00-20:00"] } }
  never:  { timezone: Europe/Berlin, open: { mon: ["00:00-00:01"] } }
destinations:
  plain:     { dial: "sip:100@192.0.2.40", whisper: none }
  frontdesk: { dial: "sip:200@192.0.2.41", whisper: none, on_failure: [ai] }
defaults:
  transfer: { start: now, ring_timeout: 20s, whisper: none, on_failure: [ai] }
rules:
  - id: gold
    while: start
    when: { all: [ { direction: outbound }, { tags: gold } ] }
    transfer: plain
  - id: told
    while: start
    when: { tags: told }
    announce: recorded-line
  - id: wants-human
    when: { intent: human }
    transfer: frontdesk
  - id: paid
    when: { intent: paid }
    tag: paid
"#;

pub(crate) fn settings() -> Config {
    let mut config = config();
    config.outbound.from = Some("+4930900".into());
    config
}

fn world() -> World {
    World::with(settings(), RULES, 7)
}

/// Asks for a call; on success the world's call and caller are it.
pub(crate) fn place(world: &mut World, body: PlaceBody) -> Result<PlacedReply, Problem> {
    let request = Request::Place { body: Box::new(body), idempotency_key: None, wait: None };
    match world.reply(request)? {
        Reply::Placed(placed) => {
            world.call = placed.call;
            world.caller = world.dialled("tel:+4930");
            Ok(placed)
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refused(world: &mut World, body: PlaceBody) -> (u16, String, String) {
    let problem = place(world, body).unwrap_err();
    (problem.status, problem.field.unwrap_or_default(), problem.detail.unwrap_or_default())
}

/// Somebody is called, and their phone rings.
fn ringing(world: &mut World) -> LegId {
    let placed = place(world, PlaceBody::to(NUMBER)).unwrap();
    assert_eq!((placed.over, placed.state), (false, CallState::Connecting));
    let caller = world.caller;
    world.ring(caller);
    caller
}

/// An AI has them.
fn talking(world: &mut World) -> (LegId, LegId) {
    let caller = ringing(world);
    let ai = world.dialled("bot@");
    world.answer(ai);
    world.answer(caller);
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
    (caller, ai)
}

/// Every call is written down and taken up again: nothing changes.
pub(crate) fn written_down(world: &mut World) {
    let calls: Vec<CallId> = world.core.calls().collect();
    for call in calls {
        let snapshot = world.core.snapshot(world.now, call).unwrap();
        let text = serde_json::to_string(&snapshot).unwrap();
        world.core.restore(world.now, &serde_json::from_str(&text).unwrap()).unwrap();
    }
}

pub(crate) fn end_of(world: &World) -> (EndCause, Option<Cause>, Option<u16>) {
    let record = world.cdrs.last().expect("a record");
    let told = world.published.iter().rev().find_map(|event| match event.what {
        Happening::CallEnded { cause, failure, sip_code, .. } => Some((cause, failure, sip_code)),
        _ => None,
    });
    assert_eq!(told, Some((record.cause, record.failure, record.sip_code)), "events and records say the same");
    (record.cause, record.failure, record.sip_code)
}

#[test]
fn the_ai_is_dialled_while_their_phone_rings_and_has_them_in_the_moment_they_answer() {
    let mut world = world();
    let mut body = PlaceBody::to("tel:+49-30-555-12345");
    body.context = [("name".to_owned(), json!("Ada"))].into();
    body.intent = Some(IntentBody::Name("paid".into()));
    place(&mut world, body).unwrap();
    let caller = world.caller;
    assert!(!world.is_dialled("bot@"), "a number that is refused at once costs no AI");
    written_down(&mut world);
    world.ring(caller);
    let ai = world.dialled("bot@");
    assert_eq!(world.header(ai, "X-Tandem-Direction").as_deref(), Some("outbound"));
    assert_eq!(world.header(ai, "X-Tandem-From").as_deref(), Some("+493055512345"));
    assert_eq!(world.header(ai, "X-Tandem-To").as_deref(), Some("+4930900"));
    assert_eq!(world.header(ai, "X-Tandem-Context-Name").as_deref(), Some("Ada"));
    world.ring(ai);
    world.answer(ai);
    written_down(&mut world);
    assert_eq!(*world.hears(ai), Source::Silence);
    assert_eq!((world.state(), world.count("ai.connected")), (CallState::Connecting, 0));
    world.answer(caller);
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller), "in the same step");
    written_down(&mut world);
    assert_eq!(world.state(), CallState::WithAi);
    let shown = world.legs[&caller].dial.as_ref().unwrap().from.uri.clone();
    assert!(shown.contains("+4930900"), "{shown}");
    let told = world.now;
    world.hang_up(caller);
    world.all_gone(told);
    let story: Vec<_> = world.story().into_iter().filter(|name| *name != "facts.changed").collect();
    assert_eq!(story, ["call.started", "call.ringing", "call.answered", "ai.connected", "call.ended"]);
    let record = &world.cdrs[0];
    assert_eq!((record.direction, record.cause), (Direction::Outbound, EndCause::CallerHungUp));
    assert_eq!((record.from.as_deref(), record.to.as_str()), (Some("+493055512345"), "+4930900"));
    assert_eq!((record.trunk.as_str(), record.line.as_str()), ("carrier", "support"));
    assert!(record.answered.is_some() && record.ringing.is_some());
    assert_eq!(record.tags, ["paid"], "the rules knew what it is about when the first stint began");
}

#[test]
fn who_answers_before_the_ai_hears_silence_and_no_ringing() {
    for predial in [Some(false), None] {
        let mut world = world();
        place(&mut world, PlaceBody { predial, ..PlaceBody::to(NUMBER) }).unwrap();
        let caller = world.caller;
        world.ring(caller);
        assert_eq!(world.is_dialled("bot@"), predial.is_none());
        world.answer(caller);
        assert_eq!(*world.caller_hears(), Source::Silence);
        let ai = world.dialled("bot@");
        world.ring(ai);
        written_down(&mut world);
        world.answer(ai);
        assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
        assert_eq!((world.count("call.answered"), world.count("ai.connected")), (1, 1));
    }
}

#[test]
fn an_ai_profile_that_greets_at_once_is_dialled_when_they_have_answered_and_one_that_rings_nobody_too() {
    let mut settings = settings();
    settings.ai.get_mut("main").unwrap().predial = false;
    let mut world = World::with(settings, RULES, 7);
    let caller = ringing(&mut world);
    assert!(!world.is_dialled("bot@"));
    world.answer(caller);
    assert!(world.is_dialled("bot@"));
    let mut world = self::world();
    place(&mut world, PlaceBody::to(NUMBER)).unwrap();
    let caller = world.caller;
    world.answer(caller);
    let ai = world.dialled("bot@");
    world.answer(ai);
    assert!(world.hears_leg(caller, ai), "some networks never say that a phone rings");
}

#[test]
fn whoever_is_not_reached_ends_the_call_with_the_cause_and_leaves_no_ai_behind() {
    type Way = fn(&mut World);
    let ways: [(&str, Way, Cause, Option<u16>); 6] = [
        ("busy", |world| world.refuse(world.caller, 486), Cause::Busy, Some(486)),
        ("declined", |world| world.refuse(world.caller, 603), Cause::Declined, Some(603)),
        ("unknown", |world| world.refuse(world.caller, 404), Cause::Unreachable, Some(404)),
        ("gives up", |world| world.refuse(world.caller, 480), Cause::NoAnswer, Some(480)),
        ("nobody there", |world| world.end_leg(world.caller, EndedBy::Timeout, None), Cause::Unreachable, None),
        ("silent", |world| world.secs(45), Cause::NoAnswer, None),
    ];
    for (name, way, failure, sip_code) in ways {
        for ai in ["none", "dialled", "answered"] {
            let mut world = world();
            // An AI that is silent for longer than they ring does not count here.
            place(&mut world, PlaceBody { predial: Some(ai != "none"), ..PlaceBody::to(NUMBER) }).unwrap();
            let caller = world.caller;
            world.ring(caller);
            if ai == "answered" {
                world.answer(world.dialled("bot@"));
            } else if name == "silent" && ai == "dialled" {
                continue;
            }
            way(&mut world);
            let told = world.now;
            world.all_gone(told);
            assert_eq!(end_of(&world), (EndCause::NotReached, Some(failure), sip_code), "{name}, AI {ai}");
            assert_eq!(world.count("call.answered"), 0);
            assert_eq!(world.cdrs[0].duration_ms, 0);
        }
    }
}

#[test]
fn hanging_up_in_every_state_releases_everything() {
    type Reach = fn(&mut World);
    let states: [(&str, Reach); 6] = [
        ("dialled", |world| {
            place(world, PlaceBody::to(NUMBER)).unwrap();
        }),
        ("ringing, the AI too", |world| {
            ringing(world);
        }),
        ("ringing, the AI waits", |world| {
            ringing(world);
            world.answer(world.dialled("bot@"));
        }),
        ("answered, the AI rings", |world| {
            let caller = ringing(world);
            world.answer(caller);
        }),
        ("with the AI", |world| {
            talking(world);
        }),
        ("transferring", |world| {
            talking(world);
            world.transfer("plain");
            world.ring(world.dialled("100@"));
        }),
    ];
    for (state, reach) in states {
        for by in ["command", "person", "shutdown"] {
            let mut world = world();
            reach(&mut world);
            let answered = world.legs[&world.caller].answered;
            match by {
                "command" => drop(world.reply(Request::Hangup { call: world.call }).unwrap()),
                "shutdown" => world.give(calls::Input::Shutdown),
                _ if answered => world.hang_up(world.caller),
                _ => continue,
            }
            if by == "shutdown" {
                assert_eq!(world.cdrs.len(), 1, "{state}");
                continue;
            }
            let told = world.now;
            world.all_gone(told);
            let cause = if by == "command" { EndCause::Command } else { EndCause::CallerHungUp };
            assert_eq!(end_of(&world), (cause, None, None), "{state}, by {by}");
        }
    }
}

#[test]
fn an_ai_that_cannot_be_had_is_looked_for_while_they_ring_and_nobody_is_called_for_silence() {
    // The profile's list: another AI, then a destination, which gets them when they answer.
    let mut world = world();
    let caller = ringing(&mut world);
    world.refuse(world.dialled("bot@"), 486);
    let backup = world.dialled("backup@");
    assert_eq!(world.header(backup, "X-Tandem-Reason").as_deref(), Some("ai_lost"));
    written_down(&mut world);
    world.refuse(backup, 503);
    assert!(!world.is_dialled("100@"), "no human is rung for somebody who has not answered");
    assert!(!world.legs[&caller].ended);
    world.answer(caller);
    let human = world.dialled("100@");
    world.answer(human);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller));

    // Nothing in the list, or an announcement alone: their phone stops ringing.
    for list in [Vec::new(), vec![AiFailureStep::End], vec![AiFailureStep::Announce("sorry".into())]] {
        for lost in ["refused", "hung up", "silent"] {
            let mut settings = settings();
            settings.ai.get_mut("main").unwrap().on_ai_failure.clone_from(&list);
            let mut world = World::with(settings, RULES, 7);
            let caller = ringing(&mut world);
            let ai = world.dialled("bot@");
            match lost {
                "refused" => world.refuse(ai, 503),
                "silent" => world.secs(10),
                _ => {
                    world.answer(ai);
                    world.hang_up(ai);
                }
            }
            assert!(world.legs[&caller].ended, "{list:?}, {lost}");
            let told = world.now;
            world.all_gone(told);
            assert_eq!(end_of(&world), (EndCause::AiLost, None, None));
            assert_eq!(world.count("call.answered"), 0);
        }
    }
}

#[test]
fn an_ai_that_is_lost_after_they_answered_is_looked_for_as_in_every_call() {
    let mut world = world();
    let (caller, ai) = talking(&mut world);
    world.hang_up(ai);
    assert!(world.hears_music(), "{:?}", world.caller_hears());
    let backup = world.dialled("backup@");
    world.answer(backup);
    assert!(world.hears_leg(caller, backup));
    // Before it had them at all: the same, and who waits hears that they wait.
    let mut world = self::world();
    let caller = ringing(&mut world);
    world.answer(caller);
    world.refuse(world.dialled("bot@"), 503);
    assert!(world.hears_music(), "{:?}", world.caller_hears());
    world.refuse(world.dialled("backup@"), 503);
    world.answer(world.dialled("100@"));
    assert_eq!(world.state(), CallState::WithHuman);
}

#[test]
fn a_destination_gets_them_instead_of_an_ai_and_the_ai_where_it_cannot() {
    let mut world = world();
    place(&mut world, PlaceBody { connect: Some("frontdesk".into()), ..PlaceBody::to(NUMBER) }).unwrap();
    let caller = world.caller;
    world.ring(caller);
    assert!(world.legs.len() == 1, "neither AI nor human is rung for somebody who has not answered");
    world.answer(caller);
    let human = world.dialled("200@");
    world.ring(human);
    assert!(world.hears_music());
    written_down(&mut world);
    world.refuse(human, 486);
    let ai = world.dialled("bot@");
    assert_eq!(world.header(ai, "X-Tandem-Cause").as_deref(), Some("busy"));
    world.answer(ai);
    assert!(world.hears_leg(caller, ai));
    let transfer = world.transfer("frontdesk");
    let human = world.dialled("200@");
    world.answer(human);
    assert!(world.hears_leg(caller, human), "and from there on it is a call like any other");
    assert_eq!(world.transfer_record(transfer).state, calls::TransferState::Bridged);
    world.reply(Request::Handback { call: world.call, body: HandbackBody::default() }).unwrap();
    let ai = world.dialled("bot@");
    world.answer(ai);
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
    let told = world.now;
    world.hang_up(caller);
    world.all_gone(told);
}

#[test]
fn rules_hand_them_over_as_they_would_a_caller() {
    let mut world = world();
    let (caller, ai) = talking(&mut world);
    let reply = world.event(json!({ "type": "intent", "name": "human" }));
    assert_eq!(reply.results[0].decision.as_ref().unwrap().rule, "wants-human");
    let human = world.dialled("200@");
    let headers = &world.legs[&human].dial.as_ref().unwrap().from.uri;
    assert!(headers.contains("493055512345"), "the human sees whom they talk to: {headers}");
    world.answer(human);
    assert!(world.hears_leg(caller, human) && world.hears_leg(human, caller) && world.legs[&ai].ended);
    let told = world.now;
    world.hang_up(human);
    world.all_gone(told);
    assert_eq!(end_of(&world).0, EndCause::HumanHungUp);
}

#[test]
fn nothing_is_decided_about_somebody_who_has_not_answered() {
    let mut world = world();
    let caller = ringing(&mut world);
    let ai = world.dialled("bot@");
    world.answer(ai);
    let reply = world.event(json!({ "type": "intent", "name": "human" }));
    assert!(reply.results[0].decision.is_none(), "{reply:?}");
    assert!(reply.results[0].notes[0].contains("has not answered"), "{:?}", reply.results[0].notes);
    let problem = world.transfer_as(calls::TransferBody::to("plain")).unwrap_err();
    assert_eq!((problem.status, problem.detail.unwrap().contains("has not answered")), (409, true));
    assert!(!world.is_dialled("100@") && !world.is_dialled("200@"));
    world.answer(caller);
    assert_eq!(world.state(), CallState::WithAi, "a stint begins, and its intents anew");
    let reply = world.event(json!({ "type": "intent", "name": "human" }));
    assert!(reply.results[0].decision.is_some());
}

#[test]
fn rules_of_the_start_are_asked_when_they_answer() {
    let mut world = world();
    place(&mut world, PlaceBody { tags: vec!["gold".into()], ..PlaceBody::to(NUMBER) }).unwrap();
    let caller = world.caller;
    world.ring(caller);
    let ai = world.dialled("bot@");
    world.answer(ai);
    assert!(!world.is_dialled("100@"));
    world.answer(caller);
    let human = world.dialled("100@");
    assert!(world.legs[&ai].ended, "the AI is not needed");
    world.answer(human);
    assert!(world.hears_leg(caller, human));

    let mut world = self::world();
    place(&mut world, PlaceBody { tags: vec!["told".into()], ..PlaceBody::to(NUMBER) }).unwrap();
    let caller = world.caller;
    world.ring(caller);
    let ai = world.dialled("bot@");
    world.answer(ai);
    world.answer(caller);
    let Source::Play(play) = world.caller_hears() else { panic!("{:?}", world.caller_hears()) };
    assert_eq!(&*play.first[0], "recorded-line");
    assert_eq!(*world.hears(ai), Source::Silence, "the AI does not hear what is played to them");
    written_down(&mut world);
    world.prompt_over(caller);
    assert!(world.hears_leg(caller, ai) && world.hears_leg(ai, caller));
}

#[test]
fn an_ai_that_is_lost_while_they_are_told_something_is_looked_for_and_has_them_afterwards() {
    let mut world = world();
    place(&mut world, PlaceBody { tags: vec!["told".into()], ..PlaceBody::to(NUMBER) }).unwrap();
    let caller = world.caller;
    world.ring(caller);
    let ai = world.dialled("bot@");
    world.answer(ai);
    world.answer(caller);
    world.hang_up(ai);
    let backup = world.dialled("backup@");
    world.answer(backup);
    assert!(!world.hears_leg(caller, backup), "they are still told");
    world.prompt_over(caller);
    assert!(world.hears_leg(caller, backup) && world.hears_leg(backup, caller));
}

/// An AI that was lost while their phone rang left them in silence for as long as the next one rang: ten seconds of dead air.
#[test]
fn pain_4_whoever_took_our_call_and_waits_for_the_ai_hears_music_after_a_second() {
    let mut world = world();
    let caller = ringing(&mut world);
    world.end_leg(world.dialled("bot@"), EndedBy::Peer, None);
    let backup = world.dialled("backup@");
    world.answer(caller);
    assert_eq!(*world.caller_hears(), Source::Silence, "most AIs are there at once");
    world.ms(999);
    assert_eq!(*world.caller_hears(), Source::Silence);
    world.ms(1);
    assert!(world.hears_music());
    world.answer(backup);
    assert!(world.hears_leg(caller, backup) && world.hears_leg(backup, caller));
    // Who is with their AI is with their AI.
    world.secs(5);
    assert_eq!(world.state(), CallState::WithAi);
}

#[test]
fn they_are_asked_whether_they_agree_to_be_recorded_and_recorded_from_then_on() {
    let mut settings = settings();
    let consent =
        ConsentPrompt { prompt: "may-we-record".into(), yes: Some('1'), no: Some('2'), wait: Duration::from_secs(5) };
    settings.recording = Recording { when: RecordingWhen::Consent, consent: Some(consent), ..Recording::default() };
    let mut world = World::with(settings, RULES, 7);
    let caller = ringing(&mut world);
    let ai = world.dialled("bot@");
    world.answer(ai);
    world.answer(caller);
    assert_eq!(world.count("recording.started"), 0);
    world.prompt_over(caller);
    assert!(!world.hears_leg(ai, caller), "they may think about it");
    world.press(caller, '1');
    assert_eq!(world.count("recording.started"), 1);
    assert!(world.hears_leg(ai, caller) && world.hears_leg(caller, ai));
}

#[test]
fn a_recording_begins_with_their_answer() {
    let mut settings = settings();
    settings.recording = Recording { when: RecordingWhen::Answer, ..Recording::default() };
    let mut world = World::with(settings, RULES, 7);
    let caller = ringing(&mut world);
    world.answer(world.dialled("bot@"));
    assert_eq!(world.count("recording.started"), 0, "an AI that waits is no call");
    world.answer(caller);
    assert_eq!(world.count("recording.started"), 1);
}

#[test]
fn rfc3960_2_1_early_media_of_their_network_reaches_nobody() {
    let mut world = world();
    let caller = ringing(&mut world);
    let ai = world.dialled("bot@");
    world.answer(ai);
    world.tell(caller, Event::EarlyAnswer { body: Bytes::from_static(SDP.as_bytes()) });
    let port = world.legs[&caller].port.unwrap();
    assert_eq!(*world.hears(ai), Source::Silence);
    assert!(!world.plan.contains_key(&port), "{:?}", world.plan);
    world.answer(caller);
    assert!(world.hears_leg(ai, caller));
}

#[test]
fn another_trunk_carries_the_call_where_the_first_fails() {
    let mut settings = settings();
    let second = Trunk { host: "192.0.2.11".into(), priority: 1, ..Trunk::default() };
    settings.trunks.insert("second".into(), second);
    let mut world = World::with(settings, RULES, 7);
    place(&mut world, PlaceBody::to(NUMBER)).unwrap();
    let first = world.caller;
    world.refuse(first, 503);
    let caller = world.dialled("tel:+4930");
    assert_ne!(first, caller);
    world.caller = caller;
    world.ring(caller);
    world.answer(world.dialled("bot@"));
    world.answer(caller);
    assert_eq!(world.state(), CallState::WithAi);
    let told = world.now;
    world.hang_up(caller);
    world.all_gone(told);
    assert_eq!(world.cdrs[0].trunk, "second");
}

// ---- who asks

fn ask(world: &mut World, key: Option<&str>, wait: Option<u64>, body: PlaceBody) -> u64 {
    let request = Request::Place {
        body: Box::new(body),
        idempotency_key: key.map(str::to_owned),
        wait: wait.map(Duration::from_secs),
    };
    world.ask(request)
}

fn answered(world: &mut World, id: u64) -> Option<PlacedReply> {
    world.replies.remove(&id).map(|reply| match reply {
        Ok(Reply::Placed(placed)) => placed,
        other => panic!("{other:?}"),
    })
}

#[test]
fn who_waits_is_told_when_they_answer_when_they_will_not_and_when_time_is_over() {
    let mut world = world();
    let id = ask(&mut world, None, Some(60), PlaceBody::to(NUMBER));
    assert!(answered(&mut world, id).is_none());
    let caller = world.dialled("tel:+4930");
    world.answer(caller);
    let placed = answered(&mut world, id).unwrap();
    assert!(placed.over && placed.answered.is_some() && placed.cause.is_none());

    let id = ask(&mut world, None, Some(60), PlaceBody::to("tel:+49302"));
    world.refuse(world.dialled("tel:+49302"), 486);
    let placed = answered(&mut world, id).unwrap();
    assert_eq!((placed.over, placed.cause, placed.failure), (true, Some(EndCause::NotReached), Some(Cause::Busy)));
    assert_eq!(placed.sip_code, Some(486));

    let id = ask(&mut world, None, Some(10), PlaceBody::to("tel:+49303"));
    world.secs(9);
    assert!(answered(&mut world, id).is_none());
    world.secs(1);
    let placed = answered(&mut world, id).unwrap();
    assert_eq!((placed.over, placed.state), (false, CallState::Connecting));
    let id = ask(&mut world, None, Some(60), PlaceBody::to("tel:+49304"));
    world.give(calls::Input::Shutdown);
    assert!(answered(&mut world, id).unwrap().over, "whoever waits is never left waiting");
}

#[test]
fn a_repeat_with_the_same_key_answers_with_the_first_ones_call() {
    let mut world = world();
    let first = ask(&mut world, Some("k"), None, PlaceBody::to(NUMBER));
    let first = answered(&mut world, first).unwrap();
    let again = ask(&mut world, Some("k"), None, PlaceBody::to(NUMBER));
    assert_eq!(answered(&mut world, again).unwrap(), first);
    assert_eq!(world.legs.len(), 1, "nobody is called twice");
    let other = ask(&mut world, Some("k"), None, PlaceBody::to("tel:+49302"));
    let problem = world.replies.remove(&other).unwrap().unwrap_err();
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("Idempotency-Key")));
    world.refuse(world.dialled("tel:+4930"), 486);
    world.secs(1);
    let late = ask(&mut world, Some("k"), None, PlaceBody::to(NUMBER));
    let late = answered(&mut world, late).unwrap();
    assert_eq!((late.call, late.over, late.failure), (first.call, true, Some(Cause::Busy)));
    assert_eq!(late.sip_code, Some(486));
    let waiting = ask(&mut world, Some("w"), Some(60), PlaceBody::to("tel:+49302"));
    let joined = ask(&mut world, Some("w"), Some(60), PlaceBody::to("tel:+49302"));
    world.answer(world.dialled("tel:+49302"));
    let (waiting, joined) = (answered(&mut world, waiting).unwrap(), answered(&mut world, joined).unwrap());
    assert_eq!(waiting, joined);
}

#[test]
fn what_cannot_be_is_said_with_what_would_be_right_before_anybody_is_called() {
    let mut settings = settings();
    settings.outbound.campaigns.insert("dues".into(), Campaign::default());
    let deny = vec!["+49900".to_owned()];
    settings.dialling = calls::Dialling { deny, ..calls::Dialling::default() };
    settings.trunks.get_mut("carrier").unwrap().tel = vec!["+49".into()];
    let mut world = World::with(settings, RULES, 7);
    let to = |to: &str| PlaceBody::to(to);
    let with = |change: fn(&mut PlaceBody)| {
        let mut body = PlaceBody::to(NUMBER);
        change(&mut body);
        body
    };
    for (body, status, field, part) in [
        (to("+493055512345"), 422, "to", "did you mean `tel:+493055512345`?"),
        (to("anna"), 422, "to", "sip:, sips: or tel:"),
        (to("tel:+49900123"), 422, "to", "not dialled here"),
        (to("tel:+15550199"), 422, "to", "no trunk may reach"),
        (with(|body| body.ai = Some("man".into())), 404, "ai", "did you mean `main`?"),
        (with(|body| body.connect = Some("plane".into())), 404, "connect", "plain"),
        (with(|body| body.connect = Some("sip:a@b".into())), 422, "connect", "name of a destination"),
        (
            with(|body| (body.ai, body.connect) = (Some("main".into()), Some("plain".into()))),
            422,
            "connect",
            "not both",
        ),
        (with(|body| body.line = Some("sales".into())), 404, "line", "support"),
        (with(|body| body.campaign = Some("due".into())), 404, "campaign", "did you mean `dues`?"),
        (with(|body| body.from = Some("+15550100".into())), 422, "from", "outbound.allow_from"),
        (with(|body| body.from = Some("0900".into())), 422, "from", "+493012345"),
        (with(|body| body.ring_timeout = Some(Duration::from_secs(4))), 422, "ring_timeout", "5s to 3m"),
        (with(|body| body.tags = vec!["a b".into()]), 422, "tags[0]", "letters"),
        (with(|body| body.tags = vec!["a".into(); 17]), 422, "tags", "16"),
        (with(|body| body.context = [(String::new(), json!(1))].into()), 422, "context", "key"),
        (with(|body| body.intent = Some(IntentBody::Name(String::new()))), 422, "intent", "name"),
    ] {
        let shown = format!("{body:?}");
        let (found, at, detail) = refused(&mut world, body);
        assert_eq!((found, at.as_str()), (status, field), "{shown}: {detail}");
        assert!(detail.contains(part), "{shown}: {detail}");
    }
    assert!(world.legs.is_empty() && world.published.is_empty() && world.core.gauges().is_empty());
}

#[test]
fn they_see_a_number_of_ours_or_the_call_is_not_made() {
    let none = Config { outbound: Outbound::default(), ..settings() };
    let mut world = World::with(none.clone(), RULES, 7);
    let (status, field, detail) = refused(&mut world, PlaceBody::to(NUMBER));
    assert_eq!((status, field.as_str()), (422, "from"), "{detail}");
    let mut fixed = none;
    fixed.trunks.get_mut("carrier").unwrap().caller_id = calls::CallerId::Fixed("+4930777".into());
    let mut world = World::with(fixed, RULES, 7);
    place(&mut world, PlaceBody::to(NUMBER)).unwrap();
    assert!(world.legs[&world.caller].dial.as_ref().unwrap().from.uri.contains("+4930777"));
    let mut settings = settings();
    settings.outbound.allow_from = vec!["+49301".into()];
    settings.routes[0].called = "+4930800".into();
    for (from, allowed) in [("+4930900", true), ("+493011", true), ("+4930800", true), ("+49302", false)] {
        let mut world = World::with(settings.clone(), RULES, 7);
        let placed = place(&mut world, PlaceBody { from: Some(from.into()), ..PlaceBody::to(NUMBER) });
        assert_eq!(placed.is_ok(), allowed, "{from}");
    }
}
