//! Requests: answers, refusals that say why, idempotency, waiting for an outcome.

use crate::world::{RULES, World, config};
use calls::{CallState, Problem, Reply, Request, TransferBody, TransferState};
use serde_json::json;
use std::time::Duration;

fn ask(world: &mut World, to: &str, key: Option<&str>, wait: Option<u64>) -> u64 {
    let call = world.call;
    let body = Box::new(TransferBody::to(to));
    let wait = wait.map(Duration::from_secs);
    world.ask(Request::Transfer { call, body, idempotency_key: key.map(str::to_owned), wait })
}

fn transfer_of(reply: &Result<Reply, Problem>) -> calls::TransferRecord {
    match reply {
        Ok(Reply::Transfer(reply)) => reply.transfer.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_second_transfer_gets_409_and_the_running_ones_id() {
    let mut world = World::with_ai();
    let running = world.transfer("frontdesk");
    let problem = world.transfer_as(TransferBody::to("retention")).unwrap_err();
    assert_eq!((problem.status, problem.transfer.as_deref()), (409, Some(&running)));
    let by_rule = world.event(json!([{"type": "no_match"}, {"type": "no_match"}, {"type": "no_match"}]));
    assert!(by_rule.results.iter().all(|result| result.decision.is_none()), "rules of the AI rest in a transfer");
}

/// Each of these was taken: the human was told nothing, callers waited in silence, the list after a failure was passed over.
#[test]
fn what_a_request_names_in_vain_is_refused_before_anybody_is_rung() {
    let mut config = config();
    config.media.clips = std::sync::Arc::new(["music/default", "hello"].map(str::to_owned).into());
    let mut world = World::with(config, RULES, 7);
    world.connect();
    for (more, field, near) in [
        (json!({ "whisper": { "prompt": "helo" } }), "whisper.prompt", "did you mean `hello`?"),
        (json!({ "whisper": { "context": ["intent"], "prompt": "x" } }), "whisper.prompt", "`x`"),
        (json!({ "caller_hears": { "say": "nothing" } }), "caller_hears.say", "`nothing`"),
        (json!({ "caller_hears": { "then": "music/defalt" } }), "caller_hears.then", "did you mean `music/default`?"),
        (json!({ "on_failure": ["secnd"] }), "on_failure", "did you mean `second`?"),
        (json!({ "on_failure": { "busy": ["ai"], "else": ["nobody"] } }), "on_failure", "`nobody`"),
        (json!({ "accept": { "press": "x" } }), "accept.press", "one key of a telephone"),
    ] {
        let mut body = json!({ "to": "frontdesk" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let problem = world.transfer_as(serde_json::from_value(body).unwrap()).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)));
        assert!(problem.detail.as_ref().unwrap().contains(near), "{problem:?}");
    }
    assert!(!world.is_dialled("100@"));
    let right = json!({ "to": "frontdesk", "whisper": { "prompt": "hello" }, "on_failure": ["second", "voicemail", "callback", "ai"],
        "caller_hears": { "say": "hello", "then": "ringback" }, "introduce": { "within": "20s" } });
    world.transfer_as(serde_json::from_value(right).unwrap()).unwrap();
}

/// `"ring_timeout": "99h"` was taken, and a phone would have rung until the call's own limit ended it.
#[test]
fn times_of_a_transfer_have_the_ranges_of_the_rules() {
    let mut world = World::with_ai();
    for (body, field) in [
        (json!({ "to": "frontdesk", "ring_timeout": "99h" }), "ring_timeout"),
        (json!({ "to": "frontdesk", "ring_timeout": "0s" }), "ring_timeout"),
        (json!({ "to": "frontdesk", "drain_max": "61s" }), "drain_max"),
        (json!({ "to": "frontdesk", "accept": { "press": "1", "within": "3m" } }), "accept.within"),
    ] {
        let body: TransferBody = serde_json::from_value(body).unwrap();
        let problem = world.transfer_as(body).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)));
    }
    let body = json!({ "to": "frontdesk", "ring_timeout": "10m", "drain_max": "0s", "accept": { "press": "1", "within": "2m" } });
    assert!(world.transfer_as(serde_json::from_value(body).unwrap()).is_ok());
}

#[test]
fn an_idempotency_key_answers_a_repeat_with_the_same_transfer() {
    let mut world = World::with_ai();
    let first = ask(&mut world, "frontdesk", Some("k1"), None);
    let again = ask(&mut world, "frontdesk", Some("k1"), None);
    assert_eq!(transfer_of(&world.replies[&first]).id, transfer_of(&world.replies[&again]).id);
    let other = ask(&mut world, "retention", Some("k1"), None);
    assert_eq!(world.replies[&other].as_ref().unwrap_err().status, 422);
    assert_eq!(world.count("transfer.started"), 1);
}

#[test]
fn a_request_that_waits_is_answered_with_the_outcome_or_when_its_time_is_over() {
    let mut world = World::with_ai();
    let waiting = ask(&mut world, "plain", None, Some(30));
    world.secs(5);
    assert!(!world.replies.contains_key(&waiting));
    world.answer(world.dialled("100@"));
    assert_eq!(transfer_of(&world.replies[&waiting]).state, TransferState::Bridged);

    let mut world = World::with_ai();
    let impatient = ask(&mut world, "plain", None, Some(3));
    world.secs(3);
    assert_eq!(transfer_of(&world.replies[&impatient]).state, TransferState::LastWords);

    let mut world = World::with_ai();
    let abandoned = ask(&mut world, "plain", None, Some(30));
    world.hang_up(world.caller);
    assert_eq!(transfer_of(&world.replies[&abandoned]).state, TransferState::CallEnded);

    let mut world = World::with_ai();
    let failed = ask(&mut world, "plain", None, Some(30));
    world.refuse(world.dialled("100@"), 603);
    let record = transfer_of(&world.replies[&failed]);
    assert_eq!(
        (record.state, record.cause, record.sip_code),
        (TransferState::Failed, Some(policy::Cause::Declined), Some(603))
    );
}

#[test]
fn what_cannot_be_reached_is_refused_before_anything_is_dialled() {
    let mut world = World::with_ai();
    for (to, word) in [
        ("frontdsk", "frontdesk"),
        ("sip:", "host"),
        ("sips:a@192.0.2.1;transport=udp", "TLS"),
        ("tel:abc", "number"),
        ("sip:a@192.0.2.1\r\nX-Evil: 1", "control"),
    ] {
        let problem = world.transfer_as(TransferBody::to(to)).unwrap_err();
        assert_eq!((problem.status, problem.field.as_deref()), (422, Some("to")), "{to}");
        assert!(problem.detail.as_ref().unwrap().contains(word), "{to}: {:?}", problem.detail);
    }
    assert_eq!(world.transfer_as(TransferBody::to("ai")).unwrap_err().status, 409);
    assert_eq!(world.count("transfer.started"), 0);
    let body: Result<TransferBody, _> = serde_json::from_value(json!({"to": "frontdesk", "mod": "cold"}));
    assert!(body.unwrap_err().to_string().contains("mod"));
}

#[test]
fn unknown_calls_and_transfers_are_404_and_ended_ones_410() {
    let mut world = World::with_ai();
    let call = "c_01J00000000000000000000000".parse().unwrap();
    assert_eq!(world.reply(Request::Hangup { call }).unwrap_err().status, 404);
    let transfer = "t_01J00000000000000000000000".parse().unwrap();
    assert_eq!(world.reply(Request::TransferStatus { transfer }).unwrap_err().status, 404);
    let call = world.call;
    assert_eq!(world.reply(Request::NotBuilt { call, what: "play".into() }).unwrap_err().status, 501);
    world.hang_up(world.caller);
    let events = policy::Posted::list_from_json(&json!({"type": "no_match"})).unwrap();
    assert_eq!(world.reply(Request::Events { call, events }).unwrap_err().status, 410);
}

#[test]
fn an_event_out_of_scale_changes_nothing_of_its_request() {
    let mut world = World::with_ai();
    let call = world.call;
    let events =
        policy::Posted::list_from_json(&json!([{"type": "no_match"}, {"type": "sentiment", "score": -7}])).unwrap();
    let problem = world.reply(Request::Events { call, events }).unwrap_err();
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("[1].score")));
    match world.reply(Request::Call { call }) {
        Ok(Reply::Call(detail)) => assert_eq!(detail.facts["retries"], json!(0)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn after_a_decision_the_rest_of_the_events_are_only_folded_and_a_repeat_is_not_counted() {
    let mut world = World::with_ai();
    let misses = json!([{"type": "no_match", "id": "a"}, {"type": "no_match", "id": "a"}, {"type": "no_match"}]);
    let reply = world.event(misses);
    assert!(reply.results[1].repeated);
    assert!(reply.results.iter().all(|result| result.decision.is_none()));
    let reply = world.event(json!([{"type": "no_match"}, {"type": "no_match"}]));
    assert!(reply.results[0].decision.is_some());
    assert!(reply.results[1].explanation.is_none() && !reply.results[1].notes.is_empty());
}

#[test]
fn each_kind_of_event_fires_its_rule_and_what_fires_nothing_says_why() {
    let mut world = World::with_ai();
    let reply = world.event(json!({"type": "lead", "value": 9_999}));
    let explanation = reply.results[0].explanation.clone().unwrap();
    assert!(explanation.rules.iter().all(|rule| !rule.because.is_empty()));
    let reply = world.event(json!({"type": "lead", "value": 10_000}));
    assert_eq!(reply.results[0].decision.as_ref().unwrap().rule, "big-lead");
    let mut world = World::with_ai();
    world.event(json!({"type": "sentiment", "score": -0.6}));
    let reply = world.event(json!({"type": "sentiment", "score": -0.7}));
    assert_eq!(reply.results[0].decision.as_ref().unwrap().rule, "angry-caller");
}

#[test]
fn context_is_merged_listed_and_bounded() {
    let mut world = World::with_ai();
    let call = world.call;
    let patch = |value: serde_json::Value| serde_json::from_value(value).unwrap();
    let reply = world.reply(Request::Context { call, context: patch(json!({"a": 1, "b": "x"})) });
    assert!(matches!(reply, Ok(Reply::Context(reply)) if reply.context.len() == 2));
    let reply = world.reply(Request::Context { call, context: patch(json!({"a": null})) });
    assert!(matches!(reply, Ok(Reply::Context(reply)) if reply.context.len() == 1));
    let large = json!({"c": "x".repeat(5_000)});
    assert_eq!(world.reply(Request::Context { call, context: patch(large) }).unwrap_err().status, 422);
    let many: std::collections::BTreeMap<_, _> = (0..65).map(|i| (i.to_string(), json!(1))).collect();
    assert_eq!(world.reply(Request::Context { call, context: many }).unwrap_err().status, 422);
}

#[test]
fn calls_are_listed_and_found_by_a_foreign_id() {
    let mut world = World::with_ai();
    let list = |world: &mut World, sip_call_id: Option<&str>, active| match world
        .reply(Request::Calls { sip_call_id: sip_call_id.map(str::to_owned), active })
    {
        Ok(Reply::Calls(list)) => list.calls,
        other => panic!("{other:?}"),
    };
    let all = list(&mut world, None, None);
    assert_eq!((all.len(), all[0].state), (1, CallState::WithAi));
    assert_eq!(list(&mut world, Some("abc-1"), None).len(), 1);
    assert_eq!(list(&mut world, Some("abc-2"), None).len(), 0);
    world.hang_up(world.caller);
    assert_eq!(list(&mut world, None, Some(true)).len(), 0);
    assert_eq!(list(&mut world, None, Some(false))[0].state, CallState::Ended);
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut world = World::with_ai();
    world.event(json!([{"type": "no_match"}, {"type": "no_match"}]));
    let events = policy::Posted::list_from_json(&json!({"type": "no_match"})).unwrap();
    let body = calls::EvaluateBody { call: Some(world.call), line: None, caller: None, called: None, events };
    match world.reply(Request::Evaluate(Box::new(body))) {
        Ok(Reply::Evaluation(reply)) => {
            assert_eq!(reply.results[1].decision.as_ref().unwrap().rule, "three-misses");
            assert_eq!(reply.facts["retries"], json!(3));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(world.state(), CallState::WithAi);
}

#[test]
fn digits_are_sent_to_a_leg() {
    let mut world = World::with_ai();
    let call = world.call;
    world.reply(Request::Dtmf { call, leg: None, digits: "12#".into() }).unwrap();
    world.reply(Request::Dtmf { call, leg: Some("ai-1".into()), digits: "1".into() }).unwrap();
    for (leg, digits) in [(None, ""), (None, "x"), (Some("human-1"), "1")] {
        let leg = leg.map(str::to_owned);
        assert_eq!(world.reply(Request::Dtmf { call, leg, digits: digits.into() }).unwrap_err().status, 422);
    }
}
