//! The TCP port for Prometheus: metrics and health, and nothing by which a call could be seen or steered.

use crate::support::{Api, LIVE};
use control::Config;
use core::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// What the port answers to a request without a body.
async fn asked(at: std::net::SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: edge.example.net:9464\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn prometheus_gets_metrics_and_health_and_nobody_gets_anything_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let mut api = Api::scraped_at(Config::default(), 10, Some(listener));
    let metrics = asked(at, "GET", "/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200 ") && metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    for path in ["/healthz", "/readyz"] {
        let answer = asked(at, "GET", path).await;
        assert!(answer.contains("application/json"), "{path}: {answer}");
    }
    let hangup = format!("/v1/calls/{LIVE}/hangup");
    for (method, path) in
        [("GET", "/v1/calls"), ("GET", "/v1/events"), ("GET", "/openapi.json"), ("POST", hangup.as_str())]
    {
        let answer = asked(at, method, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{method} {path}: {answer}");
    }
    let answer = asked(at, "POST", "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    api.engine.nothing_taken();
    api.stop().await;
    assert!(TcpStream::connect(at).await.is_err(), "the port is closed with the server");
}
