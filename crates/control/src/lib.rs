//! The control API: HTTP and WebSocket over a unix socket.
//!
//! [`serve`] carries requests between programs and an [`Engine`]: it parses and bounds what comes in, turns it into
//! [`calls::Request`], and answers with the engine's reply or with a problem document (RFC 9457) that names the field
//! and the reason. It decides nothing about calls. What happens in the engine is handed to [`Events`], from which any
//! number of `/v1/events` readers take it at their own pace: none of them can make the engine wait.
#![forbid(unsafe_code)]
#![expect(clippy::result_large_err, reason = "a refusal is made once a request and sent at once")]

mod agents;
mod body;
mod document;
mod engine;
mod events;
mod guard;
mod handlers;
mod json;
mod lasting;
mod openapi;
mod patience;
mod recordings;
mod routes;
mod scrapes;
mod server;
mod stream;
mod supervisors;

pub use engine::{Audio, BoxFuture, Engine, Kept, MessageFilter, Readiness, ReloadRefused, Reloaded, Rules, busy};
pub use events::Events;
pub use routes::described_routes;
pub use server::serve;

use core::time::Duration;

/// What bounds the socket. Every field has a default that suits one host.
#[derive(Clone, Debug)]
pub struct Config {
    /// Connections at once; the next is told 503 and closed.
    pub connections: usize,
    /// Readers of `/v1/events` at once, beside those; the next gets 503.
    pub event_readers: usize,
    /// How long a request's head may take, and how long a connection may stay idle.
    pub head_timeout: Duration,
    /// How long a request's body may take; 408 beyond.
    pub body_timeout: Duration,
    /// How long the engine may take, beyond a request's own `wait`; 504 beyond.
    pub engine_timeout: Duration,
    /// Bytes of a body; 413 beyond.
    pub body: usize,
    /// Nesting of a JSON body; 400 beyond.
    pub depth: usize,
    /// The longest `?wait=`.
    pub wait: Duration,
    /// How long a peer may take nothing of an answer before its connection is closed.
    pub write_timeout: Duration,
    /// How long one message may take to reach a reader of `/v1/events` before it is dropped as too slow.
    pub reader_timeout: Duration,
    /// Names in `Host` (and in `Origin`, when it is the same) that are taken besides `localhost`, `tandem`, `unix` and
    /// loopback addresses. A browser that was sent here by a foreign page names another.
    pub hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: 1_024,
            event_readers: 256,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            engine_timeout: Duration::from_secs(5),
            body: 1 << 20,
            depth: 32,
            wait: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            reader_timeout: Duration::from_secs(10),
            hosts: Vec::new(),
        }
    }
}
