//! What a peer can fill has a bound: bodies, depth, time, connections.

use crate::support::{Api, LIVE};
use control::Config;
use core::time::Duration;
use hyper::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, timeout},
};

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_413_announced_or_not() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/events");
    let large = format!("{{\"type\": \"summary\", \"text\": \"{}\"}}", "x".repeat(1 << 20));
    let answer = api.post(&path, &large).await;
    assert!(answer.problem(413, "too-large").contains("1048576"), "{answer:?}");

    let mut chunked = api.raw().await;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: tandem\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    chunked.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "[".repeat(1 << 16));
    for _ in 0..17 {
        chunked.write_all(chunk.as_bytes()).await.unwrap();
    }
    chunked.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(read_some(&mut chunked).await.starts_with("HTTP/1.1 413 "));

    let announced = [("content-type", "application/json"), ("content-length", "99999999999")];
    let mut raw = api.raw().await;
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: tandem\r\n");
    for (name, value) in announced {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    raw.write_all(format!("{head}\r\n{{").as_bytes()).await.unwrap();
    assert!(read_some(&mut raw).await.starts_with("HTTP/1.1 413 "));
    api.engine.nothing_taken();
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let api = Api::with(Config { body: 64, ..Config::default() }, 10);
    let path = format!("/v1/calls/{LIVE}/events");
    let exact = format!("{{\"type\": \"ready\"}}{}", " ".repeat(64 - 17));
    assert_eq!(exact.len(), 64);
    assert_eq!(api.post(&path, &exact).await.status, 200);
    api.post(&path, &format!("{exact} ")).await.problem(413, "too-large");
}

#[tokio::test]
async fn json_nested_deeper_than_32_is_400() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/context");
    let json = [("content-type", "application/json")];
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let answer = api.send(Method::PATCH, &path, &json, &nested(33)).await;
    assert!(answer.problem(400, "malformed").contains("nested too deeply"), "{answer:?}");
    assert_eq!(api.send(Method::PATCH, &path, &json, &nested(32)).await.status, 200);
    let answer = api.post(&format!("/v1/calls/{LIVE}/events"), &"[".repeat(1_000_000)).await;
    assert!(answer.problem(400, "malformed").contains("nested too deeply"), "{answer:?}");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_408_and_the_connection_is_closed() {
    let api = Api::with(Config { body_timeout: Duration::from_millis(50), ..Config::default() }, 10);
    let mut slow = api.raw().await;
    let head = format!(
        "POST /v1/calls/{LIVE}/events HTTP/1.1\r\nhost: tandem\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    timeout(Duration::from_secs(5), slow.read_to_string(&mut text)).await.expect("it is closed").unwrap();
    assert!(text.starts_with("HTTP/1.1 408 ") && text.contains("urn:tandem:problem:too-slow"), "{text}");
    api.engine.nothing_taken();
}

#[tokio::test]
async fn who_asks_and_never_reads_the_answers_loses_its_place() {
    let config = Config { connections: 2, write_timeout: Duration::from_millis(50), ..Config::default() };
    let api = Api::with(config, 10);
    let mut deaf = api.raw().await;
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: tandem\r\n\r\n".repeat(200);
    let cut_off = async { while deaf.write_all(&ask).await.is_ok() {} };
    timeout(Duration::from_secs(10), cut_off).await.expect("it is cut off");
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_head_that_never_ends_and_an_idle_connection_are_closed() {
    let api = Api::with(Config { head_timeout: Duration::from_millis(50), ..Config::default() }, 10);
    for start in ["GET /healthz HTTP/1.1\r\nhost: tan", ""] {
        let mut half = api.raw().await;
        half.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(Duration::from_secs(5), half.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&rest));
    }
}

#[tokio::test]
async fn a_head_of_a_hundred_kilobytes_is_refused_and_others_go_on() {
    let api = Api::start();
    let mut raw = api.raw().await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: tandem\r\nx-long: {}\r\n\r\n", "x".repeat(100_000));
    let _cut_off = raw.write_all(head.as_bytes()).await.is_err();
    let text = read_some(&mut raw).await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 431 "), "{text}");
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_http_are_400_and_others_go_on() {
    let api = Api::start();
    for garbage in [&b"\x00\xff\x16\x03\x01\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"INVITE sip:a SIP/2.0\r\n\r\n"] {
        let mut raw = api.raw().await;
        raw.write_all(garbage).await.unwrap();
        let text = read_some(&mut raw).await;
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    }
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn two_lengths_are_no_smuggled_request() {
    let api = Api::start();
    let path = format!("/v1/calls/{LIVE}/events");
    let smuggled = format!("POST /v1/calls/{LIVE}/hangup HTTP/1.1\r\nhost: tandem\r\n\r\n");
    for lengths in ["content-length: 0\r\ncontent-length: 5\r\n", "content-length: -1\r\n", "content-length: 0x10\r\n"]
    {
        let mut raw = api.raw().await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: tandem\r\ncontent-type: application/json\r\n{lengths}\r\n{smuggled}"
        );
        raw.write_all(head.as_bytes()).await.unwrap();
        assert!(read_some(&mut raw).await.starts_with("HTTP/1.1 400 "), "{lengths}");
    }
    api.engine.nothing_taken();
}

#[tokio::test]
async fn one_connection_too_many_is_told_503_and_a_freed_place_is_given_anew() {
    let api = Api::with(Config { connections: 2, ..Config::default() }, 10);
    let (mut first, mut second) = (api.client().await, api.client().await);
    assert_eq!(first.send(Method::GET, "/healthz", &[], "").await.status, 200);
    assert_eq!(second.send(Method::GET, "/healthz", &[], "").await.status, 200);

    let mut third = api.raw().await;
    let mut text = String::new();
    third.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
    assert!(text.contains("retry-after: 1\r\n") && text.contains("application/problem+json"), "{text}");
    assert!(text.ends_with('}'), "{text}");
    assert_eq!(first.send(Method::GET, "/healthz", &[], "").await.status, 200, "those who are in stay in");

    drop(second);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let mut next = api.raw().await;
        let asked = next.write_all(b"GET /healthz HTTP/1.1\r\nhost: tandem\r\nconnection: close\r\n\r\n").await;
        if asked.is_ok() && read_some(&mut next).await.starts_with("HTTP/1.1 200 ") {
            break;
        }
        assert!(Instant::now() < deadline, "the place is never given anew");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stopping_server_answers_what_is_under_way_and_closes_the_rest() {
    let mut api = Api::start();
    let mut client = api.client().await;
    assert_eq!(client.send(Method::GET, "/healthz", &[], "").await.status, 200);
    let mut idle = api.raw().await;
    api.stop().await;
    let mut rest = Vec::new();
    let _reset = idle.read_to_end(&mut rest).await.is_err();
    assert!(rest.is_empty());
    assert!(tokio::net::UnixStream::connect(&api.socket).await.is_err(), "nobody listens any more");
}

/// Reads until the peer pauses after something, or closes.
async fn read_some(stream: &mut tokio::net::UnixStream) -> String {
    let mut buffer = vec![0; 8_192];
    let read = timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.expect("an answer").unwrap_or(0);
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}
