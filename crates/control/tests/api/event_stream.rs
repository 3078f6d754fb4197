//! `GET /v1/events`: everyone is told everything they asked for, in order, and nobody can hold the others up.

use crate::support::{Api, BUSY_CALL, LIVE, digit, event};
use calls::{EndCause, Happening};
use control::Config;
use core::time::Duration;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

#[tokio::test]
async fn what_happens_after_the_upgrade_is_told_in_order_and_whole() {
    let api = Api::start();
    api.events.publish(&digit(1, LIVE));
    let mut reader = follow(&api, "").await;
    for seq in 2..=50 {
        api.events.publish(&digit(seq, LIVE));
    }
    for seq in 2..=50 {
        let told = next(&mut reader).await;
        assert_eq!(told["seq"], seq);
        assert_eq!(told["call"], LIVE);
        assert_eq!(told["type"], "dtmf");
        assert_eq!(told["data"], json!({ "leg": "caller", "digit": "1", "duration_ms": 100 }));
        assert!(told["time"].as_str().is_some_and(|time| time.starts_with("2026-11-18T")), "{told}");
    }
    assert!(api.metrics.encode().contains("tandem_event_readers_active 1\n"));
}

/// What a phone rings for is on the screens before it rings: see `Output::Show` of `calls`.
#[tokio::test]
async fn what_was_published_is_waited_for_until_every_reader_has_it() {
    let api = Api::start();
    let waited = |events: &control::Events| {
        let (tell, told) = tokio::sync::oneshot::channel();
        events.when_read(move || {
            let _ = tell.send(());
        });
        told
    };
    assert!(waited(&api.events).try_recv().is_ok(), "nobody reads");
    let mut plain = follow(&api, "").await;
    let mut other = follow(&api, "?type=call.ended").await;
    let mut screen = follow(&api, "?seen=true").await;
    // The readers follow once their upgrade is through: each has got an event.
    api.events.publish(&digit(1, LIVE));
    assert_eq!((next(&mut plain).await["seq"].clone(), next(&mut screen).await["seq"].clone()), (1.into(), 1.into()));
    screen.send(Message::text("{\"seen\": 1}")).await.unwrap();
    api.events.publish(&digit(2, LIVE));
    let mut told = waited(&api.events);
    assert_eq!(next(&mut screen).await["seq"], 2);
    for not_yet in ["{\"seen\": 1}", "{\"seen\": \"two\"}", "not JSON", "[]"] {
        screen.send(Message::text(not_yet)).await.unwrap();
    }
    assert!(timeout(Duration::from_millis(50), &mut told).await.is_err(), "sent, and not seen");
    screen.send(Message::text("{\"seen\": 2}")).await.unwrap();
    timeout(Duration::from_secs(10), told).await.expect("everybody has it").unwrap();
    assert_eq!(next(&mut plain).await["seq"], 2);
    // Whoever leaves is not waited for.
    api.events.publish(&digit(3, LIVE));
    let told = waited(&api.events);
    screen.close(None).await.unwrap();
    timeout(Duration::from_secs(10), told).await.expect("the others have it").unwrap();
    assert!(timeout(Duration::from_millis(20), other.next()).await.is_err(), "not asked for");
}

#[tokio::test]
async fn nobody_waits_for_a_reader_that_does_not_read() {
    // The ring is so long that it is not let go.
    let api = Api::with(Config::default(), 50_000);
    let _stuck = follow(&api, "").await;
    for seq in 1..=20_000 {
        api.events.publish(&digit(seq, LIVE));
    }
    let (tell, told) = tokio::sync::oneshot::channel();
    api.events.when_read(move || {
        let _ = tell.send(());
    });
    timeout(Duration::from_secs(8), told).await.expect("it was waited for").unwrap();
}

#[tokio::test]
async fn a_reader_is_told_only_of_its_calls_types_and_lines() {
    let api = Api::start();
    let queries = [
        format!("?call={LIVE}"),
        "?type=call.ended".to_owned(),
        "?type=call.*,transfer.*".to_owned(),
        format!("?call={LIVE},{BUSY_CALL}&type=dtmf"),
        "?line=support".to_owned(),
        "?line=sales".to_owned(),
    ];
    let mut readers = Vec::new();
    for query in &queries {
        readers.push(follow(&api, query).await);
    }
    let ended = |seq, call| {
        event(
            seq,
            call,
            Happening::CallEnded {
                cause: EndCause::Command,
                failure: None,
                by: "us".into(),
                sip_code: None,
                duration_ms: 1,
            },
        )
    };
    api.events.publish(&digit(1, LIVE));
    api.events.publish(&digit(2, BUSY_CALL));
    api.events.publish(&ended(3, BUSY_CALL));
    api.events.publish(&ended(4, LIVE));
    let mut last = digit(5, LIVE);
    last.line = "sales".into();
    api.events.publish(&last);
    let owed: [&[u64]; 6] = [&[1, 4, 5], &[3, 4], &[3, 4], &[1, 2, 5], &[1, 2, 3, 4], &[5]];
    for (reader, owed) in readers.iter_mut().zip(owed) {
        for seq in owed {
            assert_eq!(next(reader).await["seq"], *seq);
        }
        assert!(timeout(Duration::from_millis(20), reader.next()).await.is_err(), "nothing else");
    }
}

#[tokio::test]
async fn a_reader_resumes_after_the_last_number_it_saw() {
    let api = Api::start();
    for seq in 1..=10 {
        api.events.publish(&digit(seq, LIVE));
    }
    let mut reader = follow(&api, "?since=7").await;
    for seq in 8..=10 {
        assert_eq!(next(&mut reader).await["seq"], seq);
    }
    api.events.publish(&digit(11, LIVE));
    assert_eq!(next(&mut reader).await["seq"], 11);
    let mut reader = follow(&api, "?since=0").await;
    assert_eq!(next(&mut reader).await["seq"], 1);
}

#[tokio::test]
async fn a_reader_that_resumes_too_late_is_told_what_it_missed() {
    let api = Api::with(Config::default(), 4);
    for seq in 1..=10 {
        api.events.publish(&digit(seq, LIVE));
    }
    let mut reader = follow(&api, "?since=3").await;
    assert_eq!(next(&mut reader).await, json!({ "type": "events.missed", "data": { "first": 4, "last": 6 } }));
    assert_eq!(next(&mut reader).await["seq"], 7);

    let mut reader = follow(&api, "?since=6").await;
    assert_eq!(next(&mut reader).await["seq"], 7, "nothing was missed");

    let mut reader = follow(&api, "?since=5000").await;
    let restarted = json!({ "type": "events.missed", "data": { "first": 5001, "last": null } });
    assert_eq!(next(&mut reader).await, restarted, "a number from before a restart");
    assert_eq!(next(&mut reader).await["seq"], 7);
}

/// Numbers began at 1 with each process: a reader that came back with 500 got what followed the new process's 500, and never knew.
#[tokio::test]
async fn a_number_from_before_a_restart_is_not_taken_for_one_of_this_process() {
    let api = Api::start();
    for seq in 1_000_001..=1_000_003 {
        api.events.publish(&digit(seq, LIVE));
    }
    let mut reader = follow(&api, "?since=500").await;
    let restarted = json!({ "type": "events.missed", "data": { "first": 501, "last": null } });
    assert_eq!(next(&mut reader).await, restarted);
    assert_eq!(next(&mut reader).await["seq"], 1_000_001);
    for since in ["0", "1000000"] {
        let mut reader = follow(&api, &format!("?since={since}")).await;
        assert_eq!(next(&mut reader).await["seq"], 1_000_001, "since={since}: nothing was missed");
    }
}

#[tokio::test]
async fn a_slow_reader_is_dropped_with_a_code_and_counted_and_others_are_told_all() {
    let config = Config { reader_timeout: Duration::from_millis(100), ..Config::default() };
    let api = Api::with(config, 100_000);
    let mut slow = follow(&api, "").await;
    let mut quick = follow(&api, "").await;
    let many = 20_000;
    let count = tokio::spawn(async move {
        for seq in 1..=many {
            assert_eq!(next(&mut quick).await["seq"], seq);
        }
    });
    for seq in 1..=many {
        api.events.publish(&digit(seq, LIVE));
    }
    count.await.expect("the quick reader is told all");
    until_counted(&api, 1).await;
    let mut code = None;
    while let Ok(Some(Ok(message))) = timeout(Duration::from_secs(5), slow.next()).await {
        if let Message::Close(Some(frame)) = message {
            code = Some(u16::from(frame.code));
        }
    }
    assert!(code.is_none_or(|code| code == 4008), "{code:?}");
}

#[tokio::test]
async fn a_reader_that_falls_behind_the_ring_is_dropped_with_4008() {
    let api = Api::with(Config::default(), 8);
    let mut late = follow(&api, "").await;
    // Everything is published before the reader's task gets its turn: this runtime has one thread.
    for seq in 1..=100 {
        api.events.publish(&digit(seq, LIVE));
    }
    let Message::Close(Some(frame)) = timeout(Duration::from_secs(5), late.next()).await.unwrap().unwrap().unwrap()
    else {
        panic!("not closed")
    };
    assert_eq!(u16::from(frame.code), 4008);
    assert!(frame.reason.contains("since"), "{}", frame.reason);
    until_counted(&api, 1).await;
}

#[tokio::test]
async fn hundreds_of_readers_that_never_read_leave_events_and_requests_undisturbed() {
    let config = Config { event_readers: 300, reader_timeout: Duration::from_millis(100), ..Config::default() };
    let api = Api::with(config, 1_000);
    let mut deaf = Vec::new();
    for _ in 0..300 {
        deaf.push(follow(&api, "").await);
    }
    let refused = api.send(hyper::Method::GET, "/v1/events", &UPGRADE, "").await;
    refused.problem(503, "too-many-readers");
    assert_eq!(refused.header("retry-after"), "5");
    for seq in 1..=2_000 {
        api.events.publish(&digit(seq, LIVE));
        if seq % 200 == 0 {
            assert_eq!(api.post(&format!("/v1/calls/{LIVE}/events"), "{\"type\": \"ready\"}").await.status, 200);
        }
    }
    until_counted(&api, 300).await;
    drop(deaf);
    let mut reader = follow(&api, "?since=1999").await;
    assert_eq!(next(&mut reader).await["seq"], 2_000, "places are free again");
}

#[tokio::test]
async fn a_reader_that_leaves_frees_its_place() {
    let api = Api::with(Config { event_readers: 1, ..Config::default() }, 10);
    for _ in 0..5 {
        let mut reader = follow(&api, "").await;
        reader.close(None).await.unwrap();
        while let Some(Ok(_)) = reader.next().await {}
        while !api.metrics.encode().contains("tandem_event_readers_active 0\n") {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
    assert!(api.metrics.encode().contains("tandem_event_readers_dropped_total 0\n"));
}

#[tokio::test]
async fn what_a_reader_says_is_ignored_and_a_ping_is_answered() {
    let api = Api::start();
    let mut reader = follow(&api, "").await;
    reader.send(Message::text("{\"hang\": \"up\"}")).await.unwrap();
    reader.send(Message::Ping(b"there?"[..].into())).await.unwrap();
    let pong = timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Message::Pong(b"there?"[..].into()));
    reader.send(Message::text("x".repeat(100_000))).await.unwrap();
    let end = timeout(Duration::from_secs(5), reader.next()).await.expect("a flood of words ends it");
    assert!(matches!(end, None | Some(Err(_) | Ok(Message::Close(_)))), "{end:?}");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn a_stopping_server_says_goodbye_to_its_readers() {
    let mut api = Api::start();
    let mut reader = follow(&api, "").await;
    let goodbye =
        tokio::spawn(async move { timeout(Duration::from_secs(5), reader.next()).await.unwrap().unwrap().unwrap() });
    api.stop().await;
    let Message::Close(Some(frame)) = goodbye.await.unwrap() else { panic!("no goodbye") };
    assert_eq!(u16::from(frame.code), 1001);
}

#[tokio::test]
async fn what_is_no_websocket_and_what_filters_wrongly_is_refused_as_a_problem() {
    let api = Api::start();
    let detail = api.get("/v1/events").await.problem(426, "websocket-only");
    assert!(detail.contains("RFC 6455"), "{detail}");
    for (query, field) in [("since=x", "since"), ("since=-1", "since"), ("call=42", "call"), ("calls=1", "calls")] {
        let answer = api.send(hyper::Method::GET, &format!("/v1/events?{query}"), &UPGRADE, "").await;
        answer.problem(422, "invalid-field");
        assert_eq!(answer.field(), field);
    }
    let foreign = [&UPGRADE[..], &[("origin", "http://evil.example")]].concat();
    api.send(hyper::Method::GET, "/v1/events", &foreign, "").await.problem(403, "foreign-origin");
}

const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

async fn follow(api: &Api, query: &str) -> WebSocketStream<UnixStream> {
    let stream = api.raw().await;
    let (socket, _) = tokio_tungstenite::client_async(format!("ws://tandem/v1/events{query}"), stream).await.unwrap();
    socket
}

async fn next(reader: &mut WebSocketStream<UnixStream>) -> Value {
    let message = timeout(Duration::from_secs(10), reader.next()).await.expect("an event").unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

/// Waits until so many readers were dropped.
async fn until_counted(api: &Api, dropped: u32) {
    let line = format!("tandem_event_readers_dropped_total {dropped}\n");
    let counted = async {
        while !api.metrics.encode().contains(&line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), counted).await.unwrap_or_else(|_| panic!("{}", api.metrics.encode()));
}
