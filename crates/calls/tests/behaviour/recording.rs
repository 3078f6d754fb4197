//! One recording a call: from the caller's answer to the end, through every handoff, and nothing of a pause.

use crate::world::{RULES, World, config};
use calls::{Config, ConsentPrompt, Input, RecordOrder, Recorded, Recording, RecordingAction, RecordingWhen, Request};
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
    let what =
        Recorded::Finished { duration_ms: 1, paused_ms: 0, bytes: 96, complete: false, encrypted_to: Vec::new() };
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

fn by_rules(when: RecordingWhen) -> World {
    let rules = format!(
        "{RULES}  - {{ id: card, when: {{ intent: pay_by_card }}, recording: {{ pause: 3m }} }}
  - {{ id: paid, when: {{ intent: paid }}, recording: resume }}
  - {{ id: never-mind, when: {{ intent: do_not_record }}, recording: stop }}
  - {{ id: complaint, when: {{ intent: complaint }}, recording: start }}
"
    );
    let recording = Recording { when, ..Recording::default() };
    let mut world = World::with(Config { recording, ..config() }, &rules, 7);
    world.connect();
    world
}

/// What the last rule's action came to.
fn said_of_the_rule(world: &World) -> (String, Option<String>) {
    let said = world.published.iter().rev().find_map(|event| match &event.what {
        calls::Happening::RecordingRule { action, not_done, .. } => Some((action.clone(), not_done.clone())),
        _ => None,
    });
    said.unwrap()
}

#[test]
fn rules_pause_resume_and_stop_the_recording() {
    let mut world = by_rules(RecordingWhen::Answer);
    world.event(json!({ "type": "intent", "name": "pay_by_card" }));
    assert!(world.taps.is_empty());
    world.secs(179);
    assert!(world.taps.is_empty());
    world.secs(2);
    assert_eq!(world.taps.len(), 1, "it resumes by itself");
    world.event(json!({ "type": "intent", "name": "pay_by_card" }));
    world.event(json!({ "type": "intent", "name": "paid" }));
    assert_eq!((world.taps.len(), said_of_the_rule(&world)), (1, ("resume".to_owned(), None)));
    world.event(json!({ "type": "intent", "name": "do_not_record" }));
    assert_eq!((world.taps.len(), orders(&world).last().unwrap().as_str()), (0, "finish"));
    world.event(json!({ "type": "intent", "name": "complaint" }));
    assert!(said_of_the_rule(&world).1.unwrap().contains("over"), "what was stopped does not begin again");
}

#[test]
fn a_rule_starts_the_recording_where_rules_may_and_says_so_where_it_cannot() {
    let mut world = by_rules(RecordingWhen::Rule);
    world.event(json!({ "type": "intent", "name": "pay_by_card" }));
    assert!(world.orders.is_empty() && said_of_the_rule(&world).1.unwrap().contains("not recorded"));
    world.event(json!({ "type": "intent", "name": "complaint" }));
    assert_eq!((orders(&world), said_of_the_rule(&world).1), (vec!["start".into(), "0:caller 1:ai-1".into()], None));
    let mut world = by_rules(RecordingWhen::Never);
    world.event(json!({ "type": "intent", "name": "complaint" }));
    assert!(world.orders.is_empty() && said_of_the_rule(&world).1.unwrap().contains("never"));
    // Who refused is not recorded, whatever a rule says.
    let mut world = by_rules(RecordingWhen::Rule);
    world.event(json!({ "type": "consent", "granted": false }));
    world.event(json!({ "type": "intent", "name": "complaint" }));
    assert!(world.orders.is_empty() && said_of_the_rule(&world).1.unwrap().contains("not agreed"));
    // And what is stopped before it began does not begin.
    let mut world = by_rules(RecordingWhen::Consent);
    world.event(json!({ "type": "intent", "name": "do_not_record" }));
    world.event(json!({ "type": "consent", "granted": true }));
    assert!(world.orders.is_empty());
}

fn asked() -> World {
    let consent =
        ConsentPrompt { prompt: "may-we-record".into(), yes: Some('1'), no: Some('2'), wait: Duration::from_secs(5) };
    let recording = Recording { when: RecordingWhen::Consent, consent: Some(consent), ..Recording::default() };
    let mut world = World::with(Config { recording, ..config() }, RULES, 7);
    world.caller_comes(Some(crate::world::SDP));
    let hears = matches!(world.caller_hears(), media_relay::Source::Play(play) if &*play.first[0] == "may-we-record");
    assert!(hears && !world.is_dialled("bot@"), "asked before the AI");
    world
}

fn consent(world: &World) -> Option<bool> {
    world.published.iter().find_map(|event| match event.what {
        calls::Happening::RecordingConsent { granted, .. } => Some(granted),
        _ => None,
    })
}

#[test]
fn a_caller_who_agrees_by_a_key_is_recorded_once_and_the_ai_comes_at_once() {
    for in_the_prompt in [true, false] {
        let mut world = asked();
        if in_the_prompt {
            world.press(world.caller, '7');
            world.press(world.caller, '1');
            assert!(!world.is_dialled("bot@"), "the prompt is heard to its end");
            world.prompt_over(world.caller);
        } else {
            world.prompt_over(world.caller);
            assert!(!world.is_dialled("bot@"), "time to think");
            world.press(world.caller, '1');
        }
        assert!(world.is_dialled("bot@"));
        let starts = orders(&world).iter().filter(|order| *order == "start").count();
        assert_eq!((consent(&world), starts), (Some(true), 1));
        world.answer(world.dialled("bot@"));
        world.hang_up(world.caller);
        assert_eq!(world.cdrs[0].recording_consent, Some(true));
    }
}

#[test]
fn a_caller_who_refuses_or_says_nothing_is_never_recorded_and_that_is_marked() {
    let mut world = asked();
    world.press(world.caller, '2');
    world.prompt_over(world.caller);
    assert!(world.is_dialled("bot@"));
    world.answer(world.dialled("bot@"));
    // A key means something else to the AI.
    world.press(world.caller, '1');
    assert!(world.orders.is_empty());
    world.hang_up(world.caller);
    assert_eq!((consent(&world), world.cdrs[0].recording_consent), (Some(false), Some(false)));
    assert!(world.cdrs[0].recording.is_none());

    let mut world = asked();
    world.prompt_over(world.caller);
    world.ms(4_900);
    assert!(!world.is_dialled("bot@"));
    world.ms(200);
    world.answer(world.dialled("bot@"));
    assert!(world.orders.is_empty());
    // Said later, to the AI, it counts all the same.
    world.event(json!({ "type": "consent", "granted": true }));
    assert_eq!(orders(&world), ["start", "0:caller 1:ai-1"]);
}

/// Two minutes after a caller had put us on hold in the middle of the question, the AI was dialled and the question taken for asked, although
/// they had heard half of it.
#[test]
fn a_caller_who_holds_us_while_they_are_asked_hears_the_rest_when_they_are_back() {
    use crate::world::holding;
    use media_relay::Source;
    let mut world = asked();
    let caller = world.caller;
    world.secs(1);
    holding(&mut world, caller, true);
    assert_eq!(*world.caller_hears(), Source::Nothing, "who holds us hears nothing");
    world.secs(600);
    assert!(!world.is_dialled("bot@"), "what they did not hear has not been said");
    holding(&mut world, caller, false);
    let goes_on = matches!(world.caller_hears(), Source::Play(play) if &*play.first[0] == "may-we-record");
    assert!(goes_on);
    // A relay that never says that it is over holds nobody up for ever, and has its whole time for the rest.
    world.secs(119);
    assert!(!world.is_dialled("bot@"));
    world.prompt_over(caller);
    world.press(caller, '1');
    assert_eq!((world.is_dialled("bot@"), consent(&world)), (true, Some(true)));

    let mut world = asked();
    let caller = world.caller;
    holding(&mut world, caller, true);
    world.secs(600);
    holding(&mut world, caller, false);
    world.secs(121);
    world.secs(5);
    assert!(world.is_dialled("bot@"));
}

/// A caller may hold us from their first INVITE on: a switchboard that has not found the other party yet (RFC 3725).
#[test]
fn a_caller_who_holds_us_from_the_beginning_is_asked_when_they_come() {
    let consent = ConsentPrompt { prompt: "may-we-record".into(), yes: None, no: None, wait: Duration::from_secs(5) };
    let recording = Recording { when: RecordingWhen::Consent, consent: Some(consent), ..Recording::default() };
    let mut world = World::with(Config { recording, ..config() }, RULES, 7);
    let held: &'static str = Box::leak(format!("{}a=sendonly\r\n", crate::world::SDP).into_boxed_str());
    world.caller_comes(Some(held));
    world.secs(600);
    assert!(!world.is_dialled("bot@"));
    let caller = world.caller;
    crate::world::holding(&mut world, caller, false);
    world.prompt_over(caller);
    assert!(world.is_dialled("bot@"));
}

#[test]
fn an_event_is_an_answer_too_and_nobody_is_asked_who_is_not_to_be_recorded() {
    let mut world = asked();
    world.prompt_over(world.caller);
    world.event(json!({ "type": "consent", "granted": false }));
    assert!(world.is_dialled("bot@"), "nothing is waited for any more");
    let consent = ConsentPrompt { prompt: "may-we-record".into(), yes: None, no: None, wait: Duration::from_secs(5) };
    let here = Recording { when: RecordingWhen::Consent, consent: Some(consent), ..Recording::default() };
    let elsewhere = Recording { lines: vec!["sales".into()], ..here.clone() };
    let mut world = World::with(Config { recording: elsewhere, ..config() }, RULES, 7);
    world.caller_comes(Some(crate::world::SDP));
    assert!(world.is_dialled("bot@"), "another line's callers are asked");
    // Without a key, the event says it: there is nothing to wait for after the prompt.
    let mut world = World::with(Config { recording: here, ..config() }, RULES, 7);
    world.caller_comes(Some(crate::world::SDP));
    world.prompt_over(world.caller);
    assert!(world.is_dialled("bot@"));
}
