//! The client of the control socket and the demo AI, against a socket that says what it was asked.
#![cfg(feature = "io")]

use futures_util::{SinkExt, StreamExt};
use parties::{
    io::{ControlClient, ControlError, Demo, Keep, Party, Status, Voice},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{net::IpAddr, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::mpsc,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn requests_carry_method_path_headers_and_json() {
    let (socket, mut asked) = Socket::open();
    let client = ControlClient::new(&socket.path);
    let answer = client.post_with("/v1/calls/c_1/transfer", &json!({ "to": "x" }), &[("Idempotency-Key", "k")]).await;
    assert_eq!(answer.unwrap().body, json!({ "results": [{ "decision": null }] }));
    let request = asked.recv().await.unwrap();
    assert!(request.starts_with("POST /v1/calls/c_1/transfer HTTP/1.1\r\n"), "{request}");
    for part in ["host: localhost\r\n", "content-type: application/json\r\n", "idempotency-key: k\r\n"] {
        assert!(request.contains(part), "{request}");
    }
    assert!(request.ends_with("{\"to\":\"x\"}"), "{request}");

    for (method, answer) in [
        ("GET", client.get("/v1/calls").await),
        ("DELETE", client.delete("/v1/transfers/t_1").await),
        ("PATCH", client.patch("/v1/calls/c_1/context", &json!({})).await),
    ] {
        assert_eq!(answer.unwrap().status, 200);
        assert!(asked.recv().await.unwrap().starts_with(method));
    }
    assert!(client.ready(SOON).await);
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let client = ControlClient::new("/nonexistent/control.sock");
    let error = client.get("/readyz").await.unwrap_err();
    assert!(matches!(error, ControlError::Connect { .. }));
    assert!(error.to_string().starts_with("/nonexistent/control.sock: "), "{error}");
    assert!(!client.ready(Duration::from_millis(50)).await);
}

#[tokio::test]
async fn events_may_be_waited_for_in_any_order() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("events.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = accept_async(stream).await.unwrap();
        for kind in ["call.started", "call.answered", "transfer.started", "call.ended"] {
            socket.send(Message::text(json!({ "type": kind }).to_string())).await.unwrap();
        }
        while let Some(Ok(_)) = socket.next().await {}
    });
    let mut events = ControlClient::new(&path).subscribe("type=*").await.unwrap();
    let kind = |event: Option<Value>| event.map(|event| event["type"].as_str().unwrap().to_owned());
    assert_eq!(kind(events.until("transfer.started", SOON).await).unwrap(), "transfer.started");
    assert_eq!(kind(events.until("call.started", SOON).await).unwrap(), "call.started");
    assert_eq!(kind(events.next().await).unwrap(), "call.answered");
    assert_eq!(events.until("call.answered", Duration::from_millis(50)).await, None, "each once");
    assert_eq!(kind(events.next().await).unwrap(), "call.ended", "what a vain wait passed over is still there");
}

#[tokio::test]
async fn the_demo_ai_greets_posts_an_event_for_a_key_and_crashes_on_request() {
    let (socket, mut asked) = Socket::open();
    let demo = Demo::start("127.91.1.1:0".parse().unwrap(), socket.path.clone(), None).await.unwrap();
    let caller = caller([127, 91, 1, 2]).await;
    let headers = [("X-Tandem-Call-Id", "c_01ABC")];
    let call = caller.call_with("anna", "ai", demo.address(), &headers).await.unwrap();
    call.answered(SOON).await.unwrap();
    let loud = |packets: &[parties::analysis::Received]| {
        packets.iter().any(|packet| parties::analysis::level_dbov(&packet.samples()) > -30.0)
    };
    assert!(call.audio().hears_that(SOON, loud).await, "the greeting");
    call.audio().press('3');
    let request = asked.recv().await.unwrap();
    assert!(request.starts_with("POST /v1/calls/c_01ABC/events HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with(r#"{"type":"intent","name":"unknown_transaction","confidence":0.9}"#), "{request}");
    call.audio().press('#');
    assert!(matches!(call.ended(SOON).await, Ok(Status::Ended { by_peer: true, .. })));
}

#[tokio::test]
async fn a_demo_human_rings_answers_and_accepts_where_it_is_asked_to() {
    let (socket, _asked) = Socket::open();
    let demo = Demo::start("127.91.2.1:0".parse().unwrap(), socket.path.clone(), None).await.unwrap();
    let caller = caller([127, 91, 2, 2]).await;
    let call = caller.call("tandem", "closer", demo.address()).await.unwrap();
    call.rings(SOON).await.unwrap();
    assert_eq!(call.status(), Status::Early(180));
    call.answered(SOON).await.unwrap();
    assert_eq!(call.audio().pressed().await, Some('1'));
    call.hang_up();
    call.ended(SOON).await.expect("loopback and a temporary folder are at hand");
}

async fn caller(ip: [u8; 4]) -> Party {
    let voice = Voice { keep: Keep::All, ..Voice::of(Signal::Silence) };
    Party::bind("caller", IpAddr::from(ip), voice).await.expect("loopback and a temporary folder are at hand")
}

/// A control socket that answers everything alike.
struct Socket {
    path: PathBuf,
    _folder: TempDir,
}

impl Socket {
    fn open() -> (Self, mpsc::Receiver<String>) {
        let folder = TempDir::new().expect("loopback and a temporary folder are at hand");
        let path = folder.path().join("control.sock");
        let listener = UnixListener::bind(&path).expect("loopback and a temporary folder are at hand");
        let (tell, asked) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move {
                    if let Some(request) = answer(stream).await {
                        let _ = tell.send(request).await;
                    }
                });
            }
        });
        (Self { path, _folder: folder }, asked)
    }
}

async fn answer(mut stream: UnixStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let wanted = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if body.len() >= wanted {
            let json = r#"{"results":[{"decision":null}]}"#;
            let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{json}", json.len());
            stream.write_all(response.as_bytes()).await.ok()?;
            return Some(text);
        }
    }
}
