//! One recording a call: from the caller's answer to the end, through every handoff, and nothing of a pause.

use crate::world::{RULES, World, config};
use calls::{Config, Input, RecordOrder, Recorded, Recording, RecordingAction, RecordingWhen, Request};
use core::time::Duration;
use media_relay::Tap;
use serde_json::json;

fn recorded(when: RecordingWhen) -> World {
    let recording = Recording { when, ..Recording::default() };
    World::with(Config { recording, ..config() }, RULES, 7)
}

fn connected() -> World {
    let mut world = recorded(RecordingWhen::Answer);
    world.connect();
    world
}

/// The orders in short.
fn orders(world: &World) -> Vec<String> {
    let who = |who: &[(u8, String)]| who.iter().map(|(at, who)| format!("{at}:{who}")).collect::<Vec<_>>().join(" ");
    world
        .orders
        .iter()
        .map(|order| match order {
            RecordOrder::Start { .. } => "start".to_owned(),
            RecordOrder::Heard { who: heard, .. } => who(heard),
            RecordOrder::Pause { .. } => "pause".to_owned(),
            RecordOrder::Resume { .. } => "resume".to_owned(),
            RecordOrder::Finish { .. } => "finish".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

fn act(world: &mut World, action: RecordingAction) -> Result<calls::Reply, calls::Problem> {
    let call = world.call;
    world.reply(Request::Recording { call, action })
}

fn pause(world: &mut World, seconds: u64) {
    act(world, RecordingAction::Pause { lasting: Some(Duration::from_secs(seconds)) }).unwrap();
}

#[test]
fn one_recording_from_the_callers_answer_to_the_end_through_every_handoff() {
    let mut world = connected();
    let port = world.legs[&world.caller].port.unwrap();
    let tap = world.taps[&port];
    assert_eq!((tap.received, tap.sent, world.taps.len()), (Some(0), Some(1), 1));
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    assert_eq!(world.taps[&port], tap, "the tap stays where it is");
    let caller = world.caller;
    world.hang_up(caller);
    let heard = ["0:caller 1:ai-1", "0:caller 1:music", "0:caller 1:human-1"];
    let expected: Vec<&str> = ["start"].into_iter().chain(heard).chain(["finish"]).collect();
    assert_eq!(orders(&world), expected);
    assert!(world.taps.is_empty());
    let recording = world.cdrs[0].recording.clone().unwrap();
    assert!(recording.ended.is_some() && recording.failed.is_none() && recording.paused_ms == 0);
    world.all_gone(world.now);
}

/// Elsewhere a transfer that came to nothing left the recording stopped, or paused.
#[test]
fn pain_7_a_failed_transfer_does_not_interrupt_the_recording() {
    let mut world = connected();
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.refuse(human, 603);
    assert!(world.hears_leg(world.caller, world.leg("bot@")), "back with the AI");
    world.hang_up(world.caller);
    let expected = ["start", "0:caller 1:ai-1", "0:caller 1:music", "0:caller 1:ai-1", "finish"];
    assert_eq!(orders(&world), expected);
}

#[test]
fn nothing_is_recorded_that_is_not_configured() {
    let mut world = recorded(RecordingWhen::Never);
    world.connect();
    assert!(world.orders.is_empty() && world.taps.is_empty());
    assert_eq!(act(&mut world, RecordingAction::Resume).unwrap_err().status, 409);
    let other = Recording { when: RecordingWhen::Answer, lines: vec!["sales".into()], ..Recording::default() };
    let mut world = World::with(Config { recording: other, ..config() }, RULES, 7);
    world.connect();
    assert!(world.orders.is_empty(), "another line's calls are recorded, not this one's");
}

#[test]
fn with_consent_a_recording_begins_when_the_caller_agrees() {
    let mut world = recorded(RecordingWhen::Consent);
    world.connect();
    world.event(json!({ "type": "consent", "granted": false }));
    assert!(world.orders.is_empty());
    world.event(json!({ "type": "consent", "granted": true }));
    assert_eq!(orders(&world), ["start", "0:caller 1:ai-1"]);
    // Taken back: what was agreed to until then stays.
    world.event(json!({ "type": "consent", "granted": false }));
    assert_eq!(orders(&world).last().unwrap(), "finish");
}

#[test]
fn a_pause_ends_by_itself_and_takes_the_tap_off_meanwhile() {
    let mut world = connected();
    pause(&mut world, 180);
    assert!(world.taps.is_empty(), "audio does not even leave the relay");
    world.secs(179);
    pause(&mut world, 60);
    world.secs(59);
    assert!(world.taps.is_empty(), "a pause within a pause moves its end");
    world.secs(2);
    assert_eq!(world.taps.len(), 1);
    assert_eq!(orders(&world), ["start", "0:caller 1:ai-1", "pause", "", "resume", "0:caller 1:ai-1"]);
    assert_eq!((world.count("recording.paused"), world.count("recording.resumed")), (1, 1));
    let caller = world.caller;
    world.hang_up(caller);
    let paused = world.cdrs[0].recording.as_ref().unwrap().paused_ms;
    assert!((238_000..=241_000).contains(&paused), "{paused}");
}

#[test]
fn a_pause_outlives_a_handoff() {
    let mut world = connected();
    pause(&mut world, 600);
    world.transfer("plain");
    world.secs(5);
    let human = world.dialled("100@");
    world.answer(human);
    assert!(world.taps.is_empty());
    act(&mut world, RecordingAction::Resume).unwrap();
    assert_eq!(orders(&world).last().unwrap(), "0:caller 1:human-1");
}

#[test]
fn what_was_stopped_does_not_begin_again() {
    let mut world = connected();
    act(&mut world, RecordingAction::Stop).unwrap();
    assert!(world.taps.is_empty());
    world.transfer("plain");
    world.secs(5);
    assert_eq!(orders(&world), ["start", "0:caller 1:ai-1", "finish"]);
    for action in [RecordingAction::Resume, RecordingAction::Stop, RecordingAction::Pause { lasting: None }] {
        assert_eq!(act(&mut world, action).unwrap_err().status, 409);
    }
    let mut world = connected();
    for lasting in [Duration::ZERO, Duration::from_secs(3_601)] {
        assert_eq!(act(&mut world, RecordingAction::Pause { lasting: Some(lasting) }).unwrap_err().status, 422);
    }
}

/// faults.md, row 21.
#[test]
fn fault_21_a_disk_that_refuses_is_told_flagged_and_never_touches_the_call() {
    let mut world = connected();
    let (call, line) = (world.call, "support".to_owned());
    let reason = "No space left on device".to_owned();
    world.give(Input::Recorded { call, line: line.clone(), what: Recorded::Failed { reason: reason.clone() } });
    assert_eq!(world.count("recording.failed"), 1);
    assert_eq!(world.state(), calls::CallState::WithAi);
    let caller = world.caller;
    world.hang_up(caller);
    assert_eq!(world.cdrs[0].recording.as_ref().unwrap().failed.as_deref(), Some(reason.as_str()));
    // What comes of it after the call is told too.
    let what = Recorded::Finished { duration_ms: 1, paused_ms: 0, bytes: 96, complete: false };
    world.give(Input::Recorded { call, line, what });
    assert_eq!(world.count("recording.finished"), 1);
}

#[test]
fn whispers_have_a_channel_of_their_own_where_they_are_wanted() {
    let recording = Recording { when: RecordingWhen::Answer, whisper: true, ..Recording::default() };
    let mut world = World::with(Config { recording, ..config() }, RULES, 7);
    world.connect();
    world.transfer("second");
    world.secs(5);
    let human = world.dialled("200@");
    world.answer(human);
    let told: Tap = world.taps[&world.legs[&human].port.unwrap()];
    assert_eq!((told.received, told.sent), (None, Some(2)));
    world.prompt_over(human);
    assert_eq!(world.taps.len(), 1, "once told, only what the caller says and hears is recorded");
}
