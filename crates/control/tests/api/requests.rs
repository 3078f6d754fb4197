//! What the engine is asked for, and what comes back from it.

use crate::support::{Api, LIVE, TRANSFER};
use calls::{Request, SuperviseMode};
use core::time::Duration;
use hyper::Method;
use policy::Event;
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn one_event_an_array_and_a_cloud_event_arrive_alike() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/events");
    let bodies = [
        r#"{"type": "intent", "name": "refund", "confidence": 0.9, "id": "e-1"}"#,
        r#"[{"type": "intent", "name": "refund", "confidence": 0.9, "id": "e-1"}]"#,
        r#"{"specversion": "1.0", "type": "com.example.intent", "source": "/bot", "id": "e-1",
            "data": {"name": "refund", "confidence": 0.9}}"#,
    ];
    for body in bodies {
        let answer = api.post(&path, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.json()["results"][0]["event"], "e-1");
        assert_eq!(answer.json()["guidance"], "continue");
        let Request::Events { call, events } = api.engine.taken() else { panic!("not events") };
        assert_eq!(call.to_string(), LIVE);
        assert_eq!(events[0].id.as_deref(), Some("e-1"));
        assert_eq!(events[0].event, Event::Intent { name: "refund".into(), confidence: Some(0.9) });
    }
}

#[tokio::test]
async fn a_cloud_event_in_binary_mode_has_its_envelope_in_headers() {
    let api = Api::start();
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.sentiment"),
        ("ce-source", "/bot"),
        ("ce-id", "e-2"),
    ];
    let answer = api.send(Method::POST, &format!("/v1/calls/{LIVE}/events"), &headers, r#"{"score": -0.5}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let Request::Events { events, .. } = api.engine.taken() else { panic!("not events") };
    assert_eq!(events[0].id.as_deref(), Some("e-2"));
    assert_eq!(events[0].event, Event::Sentiment { score: Some(-0.5), label: None });
}

#[tokio::test]
async fn a_transfer_is_202_with_its_place_and_carries_key_and_wait() {
    let api = Api::start();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k-1")];
    let path = format!("/v1/calls/{LIVE}/transfer?wait=30s");
    let body = r#"{"to": "frontdesk", "mode": "cold", "ring_timeout": "5s", "context": {"name": "Ada"}}"#;
    let answer = api.send(Method::POST, &path, &headers, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("location"), format!("/v1/transfers/{TRANSFER}"));
    assert_eq!(answer.json()["id"], TRANSFER);
    assert_eq!(answer.json()["state"], "last_words");
    let Request::Transfer { call, body, idempotency_key, wait } = api.engine.taken() else { panic!("not a transfer") };
    assert_eq!(call.to_string(), LIVE);
    assert_eq!((body.to.as_str(), body.mode), ("frontdesk", Some(policy::Mode::Cold)));
    assert_eq!(body.ring_timeout, Some(Duration::from_secs(5)));
    assert_eq!(idempotency_key.as_deref(), Some("k-1"));
    assert_eq!(wait, Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_transfer_that_is_over_when_it_is_answered_is_200() {
    let api = Api::start();
    let answer = api.post(&format!("/v1/calls/{LIVE}/transfer?wait=1s"), r#"{"to": "quick"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["state"], "bridged");
}

#[tokio::test]
async fn a_call_is_placed_with_202_and_its_place_and_carries_everything_that_was_said() {
    let api = Api::start();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k-2")];
    let body = r#"{"to": "tel:+493055512345", "ai": "main", "ring_timeout": "25s", "campaign": "dues", "predial": false,
        "context": {"name": "Ada"}, "intent": {"name": "reminder", "confidence": 0.9}, "tags": ["gold"],
        "from": "+4930900", "line": "sales", "time_zone": "Europe/Berlin"}"#;
    let answer = api.send(Method::POST, "/v1/calls?wait=30s", &headers, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("location"), format!("/v1/calls/{LIVE}"));
    assert_eq!(answer.json(), json!({ "call": LIVE, "over": false, "state": "connecting" }));
    let Request::Place { body, idempotency_key, wait } = api.engine.taken() else { panic!("no call") };
    assert_eq!((idempotency_key.as_deref(), wait), (Some("k-2"), Some(Duration::from_secs(30))));
    assert_eq!((body.to.as_str(), body.ai.as_deref(), body.connect), ("tel:+493055512345", Some("main"), None));
    assert_eq!((body.ring_timeout, body.predial), (Some(Duration::from_secs(25)), Some(false)));
    assert_eq!((body.campaign.as_deref(), body.tags), (Some("dues"), vec!["gold".to_owned()]));
    assert_eq!((body.from.as_deref(), body.line.as_deref()), (Some("+4930900"), Some("sales")));
    assert_eq!((body.context["name"].clone(), body.time_zone.as_deref()), (json!("Ada"), Some("Europe/Berlin")));
    let intent = calls::IntentWords { name: "reminder".into(), confidence: Some(0.9) };
    assert_eq!(body.intent, Some(calls::IntentBody::Full(intent)));
}

#[tokio::test]
async fn a_call_that_came_to_nothing_is_200_and_one_too_many_says_when_to_try_again() {
    let api = Api::start();
    let answer = api.post("/v1/calls?wait=1s", r#"{"to": "tel:+4930486", "intent": "reminder"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = json!({ "call": LIVE, "over": true, "state": "connecting", "cause": "not_reached", "failure": "busy", "sip_code": 486 });
    assert_eq!(answer.json(), expected);
    let answer = api.post("/v1/calls", r#"{"to": "tel:+4930486", "campaign": "full"}"#).await;
    answer.problem(429, "limit-reached");
    assert_eq!(answer.header("retry-after"), "5");
    for (body, field) in [
        (r#"{"ai": "main"}"#, "to"),
        (r#"{"to": "tel:+4930486", "campain": "x"}"#, "campain"),
        (r#"{"to": "tel:+4930486", "ring_timeout": "soon"}"#, "ring_timeout"),
    ] {
        let answer = api.post("/v1/calls", body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(answer.json().to_string().contains(field), "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn transfers_are_read_cancelled_accepted_and_declined() {
    let api = Api::start();
    let path = format!("/v1/transfers/{TRANSFER}");
    assert_eq!(api.get(&path).await.status, 200);
    assert!(matches!(api.engine.taken(), Request::TransferStatus { .. }));
    assert_eq!(api.send(Method::DELETE, &path, &[], "").await.status, 200);
    assert!(matches!(api.engine.taken(), Request::CancelTransfer { .. }));
    assert_eq!(api.send(Method::POST, &format!("{path}/accept"), &[], "").await.status, 200);
    assert!(matches!(api.engine.taken(), Request::AcceptTransfer { attempt: None, .. }));
    assert_eq!(api.post(&format!("{path}/decline"), r#"{"attempt": 2}"#).await.status, 200);
    assert!(matches!(api.engine.taken(), Request::DeclineTransfer { attempt: Some(2), .. }));
}

#[tokio::test]
async fn calls_are_found_by_foreign_id_and_by_state() {
    let api = Api::start();
    let answer = api.get("/v1/calls?sip_call_id=a84b4c76e66710%40pc33&state=active").await;
    assert_eq!(answer.json()["calls"][0]["id"], LIVE);
    let Request::Calls { sip_call_id, active } = api.engine.taken() else { panic!("not calls") };
    assert_eq!((sip_call_id.as_deref(), active), (Some("a84b4c76e66710@pc33"), Some(true)));
    assert_eq!(api.get("/v1/calls?limit=0").await.json(), json!({ "calls": [] }));
    assert!(matches!(api.engine.taken(), Request::Calls { sip_call_id: None, active: None }));
    assert_eq!(api.get(&format!("/v1/calls/{LIVE}")).await.status, 200);
    assert!(matches!(api.engine.taken(), Request::Call { .. }));
}

#[tokio::test]
async fn a_context_is_merged_with_null_to_remove() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/context");
    for content_type in ["application/json", "application/merge-patch+json"] {
        let answer =
            api.send(Method::PATCH, &path, &[("content-type", content_type)], r#"{"a": {"b": 1}, "c": null}"#).await;
        assert_eq!(answer.json(), json!({ "context": { "a": { "b": 1 }, "c": null } }));
        let Request::Context { context, .. } = api.engine.taken() else { panic!("not a context") };
        assert_eq!(context["c"], json!(null));
    }
}

#[tokio::test]
async fn hanging_up_and_handing_back_need_no_body() {
    let api = Api::start();
    let answer = api.send(Method::POST, &format!("/v1/calls/{LIVE}/hangup"), &[], "").await;
    assert_eq!(answer.json(), json!({ "done": true }));
    assert!(matches!(api.engine.taken(), Request::Hangup { .. }));
    assert_eq!(api.send(Method::POST, &format!("/v1/calls/{LIVE}/handback"), &[], "").await.status, 200);
    assert!(matches!(api.engine.taken(), Request::Handback { .. }));
    let body = r#"{"disposition": "solved", "note": "two\nlines", "to_ai": "survey"}"#;
    assert_eq!(api.post(&format!("/v1/calls/{LIVE}/handback"), body).await.status, 200);
    let Request::Handback { body, .. } = api.engine.taken() else { panic!("not a handback") };
    assert_eq!(body.note.as_deref(), Some("two\nlines"));
    assert_eq!(body.to_ai.as_deref(), Some("survey"));
}

#[tokio::test]
async fn supervisors_are_asked_for_changed_and_let_go() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/supervise");
    let body = r#"{"to": "sip:boss@192.0.2.9", "mode": "whisper", "ring_timeout": "10s"}"#;
    let answer = api.post(&path, body).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (202, format!("{path}/supervisor-1").as_str()));
    assert_eq!(answer.json()["state"], "ringing");
    let Request::Supervise { body, .. } = api.engine.taken() else { panic!("not asked for") };
    assert_eq!((body.mode, body.ring_timeout), (SuperviseMode::Whisper, Some(Duration::from_secs(10))));
    assert_eq!(api.post(&path, r#"{"to": "anna"}"#).await.status, 200, "who is there");
    let Request::Supervise { body, .. } = api.engine.taken() else { panic!("not asked for") };
    assert_eq!(body.mode, SuperviseMode::Listen, "unless told");
    let json = [("content-type", "application/json")];
    let one = format!("{path}/supervisor-1");
    assert_eq!(api.send(Method::PATCH, &one, &json, r#"{"mode": "barge"}"#).await.json()["mode"], "barge");
    assert!(matches!(api.engine.taken(), Request::ChangeSupervisor { mode: SuperviseMode::Barge, .. }));
    assert_eq!(api.send(Method::DELETE, &one, &[], "").await.json(), json!({ "done": true }));
    assert!(matches!(api.engine.taken(), Request::EndSupervisor { .. }));
    let other = api.send(Method::PATCH, &format!("{path}/supervisor-9"), &json, r#"{"mode": "listen"}"#).await;
    assert!(other.problem(404, "unknown-supervisor").contains("supervisor-9"));
    api.engine.taken();
    api.post(&path, r#"{"to": "anna", "mode": "shout"}"#).await.problem(422, "invalid-field");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn rules_are_shown_tried_and_reloaded() {
    let api = Api::start();
    assert_eq!(api.get("/v1/rules").await.json()["rules"], json!(["three-misses"]));
    let answer = api.post("/v1/rules/evaluate", r#"{"line": "support", "events": [{"type": "no_match"}]}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let Request::Evaluate(body) = api.engine.taken() else { panic!("not a dry run") };
    assert_eq!(body.events[0].event, Event::NoMatch);
    assert_eq!(api.send(Method::POST, "/v1/rules/reload", &[], "").await.json()["generation"], 2);
}

#[tokio::test]
async fn health_readiness_and_metrics_answer_without_the_engine_thread() {
    let api = Api::start();
    api.engine.stuck.store(true, Ordering::SeqCst);
    assert_eq!(api.get("/healthz").await.status, 200);
    assert_eq!(api.get("/readyz").await.json(), json!({ "ready": true, "reasons": [] }));
    api.engine.unready.store(true, Ordering::SeqCst);
    let answer = api.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["reasons"], json!(["draining"]));
    let answer = api.get("/metrics").await;
    assert_eq!(answer.text, "tandem_ports_in_use 0\n");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let head = api.send(Method::HEAD, "/metrics", &[], "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn one_connection_carries_many_requests_and_each_is_counted() {
    let api = Api::start();
    let mut client = api.client().await;
    let path = format!("/v1/calls/{LIVE}/events");
    for _ in 0..20 {
        let answer =
            client.send(Method::POST, &path, &[("content-type", "application/json")], "{\"type\":\"match\"}").await;
        assert_eq!(answer.status, 200);
    }
    client.send(Method::GET, "/nowhere", &[], "").await.problem(404, "no-such-route");
    let text = api.metrics.encode();
    let line = "tandem_control_requests_total{method=\"POST\",route=\"/v1/calls/{id}/events\",status=\"200\"} 20\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("route=\"none\",status=\"404\"} 1\n"), "{text}");
}
