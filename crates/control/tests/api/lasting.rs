//! Callbacks and messages: what reaches the engine and the ledger, and what is refused on the way.

use crate::support::{Api, CALLBACK, LIVE, MESSAGE};
use calls::{CallbackAction, CallbackState, ClaimBody, DialBody, DoneBody, Request};
use hyper::Method;

#[tokio::test]
async fn each_action_on_a_callback_reaches_the_engine_as_it_was_asked() {
    let api = Api::start();
    let path = |action: &str| format!("/v1/callbacks/{CALLBACK}/{action}");
    assert_eq!(api.get(&format!("/v1/callbacks/{CALLBACK}")).await.status, 200);
    assert_eq!(api.post(&path("claim"), "{\"agent\": \"anna\"}").await.status, 200);
    assert_eq!(api.send(Method::POST, &path("release"), &[], "").await.status, 200);
    assert_eq!(api.send(Method::POST, &path("dial"), &[], "").await.status, 202);
    assert_eq!(api.post(&path("dial"), "{\"agent\": \"ben\"}").await.status, 202);
    assert_eq!(api.post(&path("done"), "{\"outcome\": \"by mail\"}").await.status, 200);
    let list = api.get("/v1/callbacks?state=open&list=sales").await.json();
    assert_eq!(list["callbacks"][0]["id"], CALLBACK);
    let mut seen = Vec::new();
    for request in api.engine.seen.lock().unwrap().drain(..) {
        match request {
            Request::Callback { action, .. } => seen.push(action),
            Request::Callbacks { state, list } => {
                assert_eq!((state, list.as_deref()), (Some(CallbackState::Open), Some("sales")));
            }
            other => panic!("{other:?}"),
        }
    }
    let by = |agent: Option<&str>| CallbackAction::Dial(DialBody { agent: agent.map(str::to_owned) });
    let expected = [
        CallbackAction::Show,
        CallbackAction::Claim(ClaimBody { agent: "anna".into() }),
        CallbackAction::Release,
        by(None),
        by(Some("ben")),
        CallbackAction::Done(DoneBody { outcome: Some("by mail".into()) }),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn what_is_wrong_about_a_callback_or_a_message_is_said() {
    let api = Api::start();
    assert!(api.get("/v1/callbacks?state=opne").await.problem(422, "invalid-field").contains("open, claimed"));
    api.get("/v1/callbacks/b_1").await.problem(404, "unknown-callback");
    api.get("/v1/callbacks/b_00000000000000000000000000").await.problem(404, "unknown-callback");
    let claim = format!("/v1/callbacks/{CALLBACK}/claim");
    assert!(!api.post(&claim, "{}").await.status.is_success(), "who?");
    assert!(!api.post(&claim, "{\"agent\": \"anna\", \"until\": 5}").await.status.is_success());
    api.get("/v1/messages?unread=maybe").await.problem(422, "invalid-field");
    api.get("/v1/messages/m_1").await.problem(404, "unknown-message");
    api.send(Method::DELETE, "/v1/messages/m_00000000000000000000000000", &[], "")
        .await
        .problem(404, "unknown-message");
    api.get("/v1/calls/c_00000000000000000000000000/record").await.problem(404, "unknown-record");
}

#[tokio::test]
async fn messages_are_listed_shown_read_and_deleted_and_records_come_as_they_were_written() {
    let api = Api::start();
    let listed = api.get("/v1/messages?unread=true&line=support&limit=7").await.json();
    let text = listed["messages"][0]["text"].as_str().unwrap();
    assert!(text.contains("support") && text.contains("unread: true") && text.contains("limit: 7"), "{text}");
    assert_eq!(api.get(&format!("/v1/messages/{MESSAGE}")).await.json()["text"], "please call");
    let read = api.send(Method::POST, &format!("/v1/messages/{MESSAGE}/read"), &[], "").await.json();
    assert!(read["read"].is_string(), "{read}");
    let deleted = api.send(Method::DELETE, &format!("/v1/messages/{MESSAGE}"), &[], "").await.json();
    assert_eq!(deleted["done"], true);
    assert_eq!(api.get(&format!("/v1/calls/{LIVE}/record")).await.json()["version"], 1);
    assert_eq!(api.get("/healthz").await.json()["ledger"], "working");
}
