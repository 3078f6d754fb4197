//! A client of the daemon's control socket: HTTP with JSON, and the stream of events.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{net::UnixStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// The longest a request may take, waiting for a transfer's outcome included.
const PATIENCE: Duration = Duration::from_secs(90);
/// The largest answer that is read.
const LARGEST_ANSWER: usize = 64 << 20;
/// Events put aside by [`Events::until`] at the most; the oldest are let go first.
const MOST_PUT_ASIDE: usize = 100_000;

/// Why the daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket could not be reached.
    #[error("{path}: {error}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The daemon does not speak HTTP, or hung up in between.
    #[error("the control socket broke off: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written, such as for a path with spaces.
    #[error("the request cannot be written: {0}")]
    Request(#[from] hyper::http::Error),
    /// The answer's body could not be read to its end, or is too large.
    #[error("the answer cannot be read: {0}")]
    Body(String),
    /// The stream of events was refused.
    #[error("no stream of events: {0}")]
    WebSocket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// What the daemon answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body: JSON, else its text as a string; null when there is none.
    pub body: Value,
}

/// The control API on a unix socket; each request has a connection of its own.
#[derive(Clone, Debug)]
pub struct ControlClient {
    path: PathBuf,
}

impl ControlClient {
    /// A client of the socket at this path. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Answer, ControlError> {
        self.send(Method::GET, path, None, &[]).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, ControlError> {
        self.send(Method::POST, path, Some(text(body)), &[]).await
    }

    /// `POST` with a JSON body and headers such as `Idempotency-Key`.
    pub async fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Answer, ControlError> {
        self.send(Method::POST, path, Some(text(body)), headers).await
    }

    /// `POST` of bytes that need not be JSON, said to be JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<Bytes>) -> Result<Answer, ControlError> {
        self.send(Method::POST, path, Some(body.into()), &[]).await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Result<Answer, ControlError> {
        self.send(Method::PATCH, path, Some(text(body)), &[]).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Result<Answer, ControlError> {
        self.send(Method::DELETE, path, None, &[]).await
    }

    /// `GET` of a file: its media type and its bytes, or the answer where the status is not 200.
    pub async fn fetch(&self, path: &str) -> Result<Result<(String, Bytes), Answer>, ControlError> {
        let request = Request::builder().uri(path).header(header::HOST, "localhost").body(Full::default())?;
        let (status, media_type, body) =
            timeout(PATIENCE, self.exchange(request)).await.map_err(|_| ControlError::Late(PATIENCE))??;
        Ok(if status == 200 { Ok((media_type, body)) } else { Err(Answer { status, body: value(&body) }) })
    }

    /// Waits until the daemon answers `/readyz` with 200; false when `within` has passed.
    pub async fn ready(&self, within: Duration) -> bool {
        let asked = async {
            let mut again = tokio::time::interval(Duration::from_millis(20));
            loop {
                again.tick().await;
                if self.get("/readyz").await.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
        };
        timeout(within, asked).await.is_ok()
    }

    /// Everything that happens from now on, filtered by a query such as `call=c_…&type=transfer.*`, or all for an empty one.
    pub async fn subscribe(&self, query: &str) -> Result<Events, ControlError> {
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("ws://localhost/v1/events{mark}{query}");
        let stream = self.connect().await?;
        let opened = timeout(PATIENCE, client_async(url, stream)).await.map_err(|_| ControlError::Late(PATIENCE))?;
        let (socket, _) = opened.map_err(Box::new)?;
        Ok(Events { socket, aside: VecDeque::new() })
    }

    async fn connect(&self) -> Result<UnixStream, ControlError> {
        let connected = UnixStream::connect(&self.path).await;
        connected.map_err(|error| ControlError::Connect { path: self.path.clone(), error })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, ControlError> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.unwrap_or_default()))?;
        let exchanged = timeout(PATIENCE, self.exchange(request)).await;
        let (status, _, body) = exchanged.map_err(|_| ControlError::Late(PATIENCE))??;
        Ok(Answer { status, body: value(&body) })
    }

    /// The status, the media type and the body.
    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<(u16, String, Bytes), ControlError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        let asked = async move {
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let media_type = media_type.unwrap_or_default().to_owned();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| ControlError::Body(error.to_string()))?.to_bytes();
            Ok((status, media_type, body))
        };
        // The connection moves while the answer is waited for, and goes with it.
        tokio::pin!(asked);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            answer = &mut asked => answer,
            ended = &mut connection => {
                ended?;
                asked.await
            }
        }
    }
}

fn text(body: &Value) -> Bytes {
    body.to_string().into()
}

fn value(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
}

/// The stream of `/v1/events`; each event is an object with `seq`, `time`, `call`, `type` and `data`.
#[derive(Debug)]
pub struct Events {
    socket: WebSocketStream<UnixStream>,
    /// Events passed over by [`Events::until_that`], in order.
    aside: VecDeque<Value>,
}

impl Events {
    /// The next event, or `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        match self.aside.pop_front() {
            Some(event) => Some(event),
            None => self.read().await,
        }
    }

    /// Says that this event, and all before it, are on the screen; for a stream subscribed to with `seen=true`.
    pub async fn seen(&mut self, event: &Value) -> Result<(), ControlError> {
        let said = serde_json::json!({ "seen": event["seq"] }).to_string();
        self.socket.send(Message::text(said)).await.map_err(|error| Box::new(error).into())
    }

    /// The next event of this type, waited for at most this long. Events of other types in between are put aside, so that
    /// waits in any order find what has come already.
    pub async fn until(&mut self, kind: &str, within: Duration) -> Option<Value> {
        self.until_that(within, |event| event["type"] == kind).await
    }

    /// As [`Events::until`], for any wish.
    pub async fn until_that(&mut self, within: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at);
        }
        let read = async {
            loop {
                let event = self.read().await?;
                if wanted(&event) {
                    return Some(event);
                }
                if self.aside.len() == MOST_PUT_ASIDE {
                    self.aside.pop_front();
                }
                self.aside.push_back(event);
            }
        };
        timeout(within, read).await.ok().flatten()
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(event) => return Some(event),
                    Err(error) => tracing::warn!(%error, "an event that is not JSON"),
                },
                // Pongs are queued by the library and leave with the next flush.
                Message::Ping(_) => self.socket.flush().await.ok()?,
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }
}
