//! Every refusal is a problem document that names the field and the reason (RFC 9457; RFC 9110 for the statuses).

use crate::support::{Api, BRIDGED, BUSY_CALL, ENDED, LIVE, NO_TRANSFER, TRANSFER, UNKNOWN};
use hyper::Method;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn malformed_json_is_400_with_line_and_column() {
    let api = Api::start();
    let answer = api.post(&format!("/v1/calls/{LIVE}/events"), "{\n  \"type\": no_match\n}").await;
    let detail = answer.problem(400, "malformed");
    assert!(detail.starts_with("line 2, column 12"), "{detail}");
    let detail = api.post(&format!("/v1/calls/{LIVE}/events"), "").await.problem(400, "malformed");
    assert!(detail.contains("empty"), "{detail}");
    let detail = api.post(&format!("/v1/calls/{LIVE}/transfer"), "{\"to\": \"a\"").await.problem(400, "malformed");
    assert!(detail.contains("EOF"), "{detail}");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn an_unknown_call_is_404_and_named() {
    let api = Api::start();
    for (method, path, body) in [
        (Method::POST, "events", "{\"type\": \"no_match\"}"),
        (Method::POST, "transfer", "{\"to\": \"frontdesk\"}"),
        (Method::POST, "hangup", ""),
        (Method::POST, "handback", ""),
        (Method::POST, "supervise", "{\"to\": \"anna\"}"),
        (Method::PATCH, "context", "{\"a\": 1}"),
    ] {
        for id in [UNKNOWN, "c_nonsense", "42", "..%2f..", "%3Cscript%3E"] {
            let headers = [("content-type", "application/json")];
            let answer = api.send(method.clone(), &format!("/v1/calls/{id}/{path}"), &headers, body).await;
            let detail = answer.problem(404, "unknown-call");
            let shown = id.replace("%2f", "/").replace("%3C", "<").replace("%3E", ">");
            assert!(detail.contains(&shown), "{path} of {id}: {detail}");
        }
    }
    let detail = api.get(&format!("/v1/calls/{UNKNOWN}")).await.problem(404, "unknown-call");
    assert!(detail.contains(UNKNOWN), "{detail}");
}

#[tokio::test]
async fn an_unknown_transfer_is_404_and_named() {
    let api = Api::start();
    for id in [NO_TRANSFER, "t_x", LIVE] {
        for (method, end) in
            [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/accept"), (Method::POST, "/decline")]
        {
            let answer = api.send(method, &format!("/v1/transfers/{id}{end}"), &[], "").await;
            let detail = answer.problem(404, "unknown-transfer");
            assert!(detail.contains(id), "{detail}");
        }
    }
}

#[tokio::test]
async fn an_ended_call_is_410_and_named() {
    let api = Api::start();
    let detail =
        api.post(&format!("/v1/calls/{ENDED}/events"), "{\"type\": \"ready\"}").await.problem(410, "call-ended");
    assert!(detail.contains(ENDED), "{detail}");
    api.post(&format!("/v1/calls/{ENDED}/hangup"), "").await.problem(410, "call-ended");
}

#[tokio::test]
async fn a_second_transfer_is_409_with_the_id_of_the_first() {
    let api = Api::start();
    let answer = api.post(&format!("/v1/calls/{BUSY_CALL}/transfer"), "{\"to\": \"frontdesk\"}").await;
    answer.problem(409, "transfer-active");
    assert_eq!(answer.json()["transfer"], TRANSFER);
}

#[tokio::test]
async fn cancelling_a_bridged_transfer_is_409() {
    let api = Api::start();
    let answer = api.send(Method::DELETE, &format!("/v1/transfers/{BRIDGED}"), &[], "").await;
    assert_eq!(answer.problem(409, "wrong-state"), "it is bridged");
}

#[tokio::test]
async fn an_unknown_event_type_is_422_with_what_was_meant() {
    let api = Api::start();
    let answer = api.post(&format!("/v1/calls/{LIVE}/events"), "{\"type\": \"sentimnt\", \"score\": 0}").await;
    let detail = answer.problem(422, "invalid-field");
    assert!(detail.contains("did you mean `sentiment`?"), "{detail}");
    assert_eq!(answer.field(), "type");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn one_wrong_event_of_an_array_refuses_all_and_is_named_by_its_place() {
    let api = Api::start();
    let body = r#"[{"type": "no_match"}, {"type": "intent", "name": "a", "confidence": 1.5}]"#;
    let answer = api.post(&format!("/v1/calls/{LIVE}/events"), body).await;
    let detail = answer.problem(422, "invalid-field");
    assert_eq!(answer.field(), "[1].confidence");
    assert!(detail.contains("1.5"), "{detail}");
    api.engine.nothing_taken();
    api.post(&format!("/v1/calls/{LIVE}/events"), "[]").await.problem(422, "invalid-field");
}

#[tokio::test]
async fn an_unknown_field_of_a_command_is_422_with_what_was_meant() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/transfer");
    let answer = api.post(&path, "{\"to\": \"frontdesk\", \"ring_timout\": \"20s\"}").await;
    let detail = answer.problem(422, "invalid-field");
    assert_eq!(answer.field(), "ring_timout");
    assert!(detail.contains("did you mean `ring_timeout`?"), "{detail}");

    let answer = api.post(&path, "{\"mode\": \"warm\"}").await;
    assert_eq!(answer.problem(422, "invalid-field"), "is missing");
    assert_eq!(answer.field(), "to");

    let answer = api.post(&path, "{\"to\": \"frontdesk\", \"ring_timeout\": \"20\"}").await;
    answer.problem(422, "invalid-field");
    assert_eq!(answer.field(), "ring_timeout");

    let answer = api.post(&path, "{\"to\": \"frontdesk\", \"accept\": 5}").await;
    let detail = answer.problem(422, "invalid-field");
    assert_eq!(answer.field(), "accept");
    assert!(!detail.contains("untagged"), "{detail}");

    let answer = api.post(&path, "{\"to\": \"frontdesk\", \"mode\": \"wram\"}").await;
    let detail = answer.problem(422, "invalid-field");
    assert!(detail.contains("warm"), "{detail}");

    for body in ["[]", "\"frontdesk\"", "null"] {
        api.post(&path, body).await.problem(422, "invalid-field");
    }
    api.engine.nothing_taken();
}

#[tokio::test]
async fn an_unknown_query_parameter_is_422_so_that_a_misspelt_filter_does_not_mean_everything() {
    let api = Api::start();
    let answer = api.get("/v1/calls?sip_callid=x").await;
    assert!(answer.problem(422, "invalid-field").contains("did you mean `sip_call_id`?"), "{answer:?}");
    assert_eq!(answer.field(), "sip_callid");
    api.get("/v1/calls?state=gone").await.problem(422, "invalid-field");
    api.get("/v1/calls?limit=-1").await.problem(422, "invalid-field");
    let answer = api.post(&format!("/v1/calls/{LIVE}/transfer?wait=30"), "{\"to\": \"frontdesk\"}").await;
    assert!(answer.problem(422, "invalid-field").contains("30s"), "{answer:?}");
    let answer = api.post(&format!("/v1/calls/{LIVE}/transfer?wait=1h"), "{\"to\": \"frontdesk\"}").await;
    assert!(answer.problem(422, "invalid-field").contains("at most 2m"), "{answer:?}");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn a_wrong_content_type_is_415_and_says_which_is_right() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/events");
    for content_type in
        ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=latin1", "json", ""]
    {
        let answer = api.send(Method::POST, &path, &[("content-type", content_type)], "{\"type\": \"ready\"}").await;
        let detail = answer.problem(415, "media-type");
        assert!(detail.contains("application/json"), "{detail}");
        assert_eq!(answer.field(), "Content-Type");
    }
    api.send(Method::POST, &path, &[], "{\"type\": \"ready\"}").await.problem(415, "media-type");
    let compressed = [("content-type", "application/json"), ("content-encoding", "gzip")];
    api.send(Method::POST, &path, &compressed, "x").await.problem(415, "media-type");
    api.send(Method::POST, &format!("/v1/calls/{LIVE}/hangup"), &[], "{}").await.problem(415, "media-type");
    api.engine.nothing_taken();
    for content_type in ["application/json", "Application/JSON; charset=UTF-8", "application/cloudevents+json"] {
        let answer = api.send(Method::POST, &path, &[("content-type", content_type)], "{\"type\": \"ready\"}").await;
        assert_eq!(answer.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_with_allow() {
    let api = Api::start();
    let answer = api.send(Method::PUT, &format!("/v1/transfers/{TRANSFER}"), &[], "").await;
    let detail = answer.problem(405, "wrong-method");
    for method in ["GET", "DELETE"] {
        assert!(answer.header("allow").contains(method) && detail.contains(method), "{answer:?}");
    }
    let answer = api.get(&format!("/v1/calls/{LIVE}/events")).await;
    answer.problem(405, "wrong-method");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn a_path_of_no_route_is_404_and_so_is_what_is_not_built_yet() {
    let api = Api::start();
    for path in
        ["/", "/v1", "/v1/voicemail/callbacks", "/v1/calls/", "/v2/calls", "/v1/calls/../../etc/passwd", "//healthz"]
    {
        let answer = api.get(path).await;
        let detail = answer.problem(404, "no-such-route");
        assert!(detail.contains("/openapi.json"), "{detail}");
    }
    for path in ["answer", "hold", "mute"] {
        api.post(&format!("/v1/calls/{LIVE}/{path}"), "{}").await.problem(404, "no-such-route");
    }
    api.engine.nothing_taken();
}

#[tokio::test]
async fn a_full_inbox_is_503_with_retry_after() {
    let api = Api::start();
    api.engine.full.store(true, Ordering::SeqCst);
    let answer = api.post(&format!("/v1/calls/{LIVE}/events"), "{\"type\": \"ready\"}").await;
    answer.problem(503, "busy");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.json()["retry_after"], 1);
}

#[tokio::test]
async fn an_engine_that_says_nothing_is_504() {
    let config = control::Config { engine_timeout: core::time::Duration::from_millis(20), ..Default::default() };
    let api = Api::with(config, 10);
    api.engine.stuck.store(true, Ordering::SeqCst);
    api.get("/v1/calls").await.problem(504, "engine-timeout");
}

#[tokio::test]
async fn control_characters_are_400_wherever_they_come_in() {
    let api = Api::start();
    let context = format!("/v1/calls/{LIVE}/context");
    let json = [("content-type", "application/json")];
    for escape in ["\\r\\nX-Evil: 1", "\\n", "\\u0000", "\\u001b[2J", "\\u007f"] {
        let answer = api.send(Method::PATCH, &context, &json, &format!("{{\"customer_name\": \"{escape}\"}}")).await;
        let detail = answer.problem(400, "malformed");
        assert!(detail.contains("U+00"), "{detail}");
        assert_eq!(answer.field(), "customer_name");
        let answer = api.send(Method::PATCH, &context, &json, &format!("{{\"a{escape}\": 1}}")).await;
        answer.problem(400, "malformed");
        assert!(!answer.text.contains('\u{1b}') && !answer.text.contains("\\u001b"), "{answer:?}");
        let transfer = format!("/v1/calls/{LIVE}/transfer");
        let answer = api.post(&transfer, &format!("{{\"to\": \"sip:a@b{escape}\"}}")).await;
        answer.problem(400, "malformed");
        assert_eq!(answer.field(), "to");
    }
    api.get("/v1/calls?sip_call_id=a%0d%0ab").await.problem(400, "malformed");
    api.get("/v1/calls/c_%00").await.problem(400, "malformed");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn a_bad_idempotency_key_is_400() {
    let api = Api::start();
    let long = "k".repeat(256);
    for key in ["", &long] {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let answer = api.send(Method::POST, &format!("/v1/calls/{LIVE}/transfer"), &headers, "{\"to\": \"a\"}").await;
        answer.problem(400, "malformed");
        assert_eq!(answer.field(), "Idempotency-Key");
    }
    api.engine.nothing_taken();
}

#[tokio::test]
async fn broken_rules_are_422_with_file_line_and_column() {
    let api = Api::start();
    api.engine.broken_rules.store(true, Ordering::SeqCst);
    let answer = api.send(Method::POST, "/v1/rules/reload", &[], "").await;
    let detail = answer.problem(422, "rules-refused");
    assert!(detail.contains("etc/rules.yaml:7:5") && detail.contains("did you mean `sentiment`?"), "{detail}");
    let error = &answer.json()["errors"][0];
    assert_eq!((&error["file"], &error["line"], &error["column"]), (&"etc/rules.yaml".into(), &7.into(), &5.into()));
}
