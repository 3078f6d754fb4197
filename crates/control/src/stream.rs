//! `/v1/events`: what happens, told over a WebSocket to whoever wants to know, at their own pace.

use crate::{
    document::{Document, invalid},
    events::{Entry, Follower, Found, Missed, Start},
    handlers::Query,
    routes::Shared,
    server::until,
};
use axum::{
    extract::{
        Request, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use calls::{CallId, Problem};
use core::time::Duration;
use futures_util::{FutureExt, SinkExt, StreamExt, stream::SplitSink};
use serde_json::json;
use std::{collections::VecDeque, sync::Arc};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, interval, timeout},
};

/// Sent to a reader that fell behind the ring, or did not take a message in time.
const TOO_SLOW: u16 = 4008;
/// The daemon stops (RFC 6455 section 7.4.1).
const GOING_AWAY: u16 = 1001;
/// How often a quiet reader is asked whether it is still there.
const ASK_EVERY: Duration = Duration::from_secs(20);
/// Without a word from it for this long, it is gone.
const GONE_AFTER: Duration = Duration::from_secs(70);
/// The largest message a reader may send.
const LARGEST_INCOMING: usize = 4 * 1024;
/// A reader that does not take a message for so long is not waited for.
const STUCK_AFTER: Duration = Duration::from_millis(50);
/// Events that a reader may leave without saying that it has seen them; beyond, it is not asked any more.
const MOST_UNSEEN: usize = 1_024;

/// `GET /v1/events`.
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Result<Response, Document> {
    let query = Query::of(&request, &["call", "type", "line", "since", "seen"])?;
    let filter = Filter::of(&query)?;
    let since = match query.get("since") {
        None => None,
        Some(since) => {
            Some(since.parse().map_err(|_| invalid("since", format!("found `{since}`, expected a sequence number")))?)
        }
    };
    let says = match query.get("seen") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(invalid("seen", format!("found `{other}`, expected `true` or `false`")).into()),
    };
    let Ok(upgrade) = upgrade else {
        let problem = Problem::new(426, "websocket-only", "this path speaks WebSocket")
            .detail("send `Connection: Upgrade` and `Upgrade: websocket` (RFC 6455)");
        return Err(problem.into());
    };
    let Ok(place) = Arc::clone(&shared.readers).try_acquire_owned() else {
        let problem = Problem::new(503, "too-many-readers", "there are as many readers of events as are taken")
            .retry_after(Duration::from_secs(5));
        return Err(problem.into());
    };
    let upgrade = upgrade.max_message_size(LARGEST_INCOMING).max_frame_size(LARGEST_INCOMING);
    // Before the upgrade is answered: what happens after the answer must not be missed.
    let start = shared.events.start(since);
    Ok(upgrade.on_upgrade(move |socket| async move {
        shared.metrics.event_readers_active.inc();
        let reader = Reader::new(&shared, socket, filter, &start, says);
        let end = reader.run().await;
        shared.metrics.event_readers_active.dec();
        if end == End::TooSlow {
            shared.metrics.event_readers_dropped_total.inc();
            tracing::warn!("a reader of /v1/events was dropped: it reads too slowly");
        }
        drop::<OwnedSemaphorePermit>(place);
    }))
}

/// Which events a reader wants; an empty list means all.
#[derive(Debug, Default)]
struct Filter {
    calls: Vec<String>,
    kinds: Vec<String>,
    lines: Vec<String>,
}

impl Filter {
    fn of(query: &Query) -> Result<Self, Problem> {
        let list = |name: &str| -> Vec<String> {
            query
                .get_all(name)
                .flat_map(|value| value.split(','))
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let filter = Self { calls: list("call"), kinds: list("type"), lines: list("line") };
        for call in &filter.calls {
            call.parse::<CallId>().map_err(|error| invalid("call", format!("found `{call}`: {error}")))?;
        }
        Ok(filter)
    }

    fn wants(&self, entry: &Entry) -> bool {
        let any =
            |list: &[String], matches: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|it| matches(it));
        any(&self.calls, &|call| call == entry.call)
            && any(&self.lines, &|line| line == entry.line)
            && any(&self.kinds, &|kind| match kind.strip_suffix('*') {
                Some(prefix) => entry.kind.starts_with(prefix),
                None => entry.kind == kind,
            })
    }
}

/// How a reader's time ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum End {
    /// It closed, or its socket did.
    Left,
    /// It did not read.
    TooSlow,
    /// The daemon stops.
    Stopping,
}

struct Reader<'a> {
    shared: &'a Shared,
    sink: SplitSink<WebSocket, Message>,
    incoming: futures_util::stream::SplitStream<WebSocket>,
    filter: Filter,
    position: u64,
    missed: Option<Missed>,
    heard: Instant,
    follower: Follower<'a>,
    /// Of a reader that says what it has seen: numbers and positions it was sent and has not said so of.
    unseen: Option<VecDeque<(u64, u64)>>,
}

impl<'a> Reader<'a> {
    fn new(shared: &'a Shared, socket: WebSocket, filter: Filter, start: &Start, says: bool) -> Self {
        let (sink, incoming) = socket.split();
        Self {
            shared,
            sink,
            incoming,
            filter,
            position: start.position,
            missed: start.missed,
            heard: Instant::now(),
            follower: shared.events.follow(start.position),
            unseen: says.then(VecDeque::new),
        }
    }

    async fn run(mut self) -> End {
        let end = self.follow().await;
        let (code, reason) = match end {
            End::Left => return end,
            End::TooSlow => (TOO_SLOW, "you read too slowly; resume with ?since="),
            End::Stopping => (GOING_AWAY, "the daemon stops"),
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // One who does not read will not take this either.
        let farewell = async {
            if self.sink.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.incoming.next().await {}
            }
        };
        let _too_late = timeout(Duration::from_secs(1), farewell).await.is_err();
        end
    }

    async fn follow(&mut self) -> End {
        let mut grown = self.shared.events.grown();
        let mut stopped = self.shared.stopped.clone();
        let mut ask = interval(ASK_EVERY);
        ask.reset();
        if let Some(Missed { first, last }) = self.missed {
            let text = json!({ "type": "events.missed", "data": { "first": first, "last": last } }).to_string();
            if let Err(end) = self.send(Message::Text(text.into())).await {
                return end;
            }
        }
        loop {
            grown.mark_unchanged();
            match self.shared.events.at(self.position) {
                Found::Gone => return End::TooSlow,
                Found::Entry(entry) => {
                    if self.filter.wants(&entry) {
                        if let Err(end) = self.send(Message::Text(entry.text.clone())).await {
                            return end;
                        }
                        self.sent(entry.seq);
                    }
                    self.position += 1;
                    self.has_read();
                    while let Some(heard) = self.incoming.next().now_or_never() {
                        if let Err(end) = self.hear(heard.as_ref()) {
                            return end;
                        }
                    }
                    if *stopped.borrow() {
                        return End::Stopping;
                    }
                }
                Found::Nothing => tokio::select! {
                    changed = grown.changed() => {
                        if changed.is_err() {
                            return End::Stopping;
                        }
                    }
                    heard = self.incoming.next() => {
                        if let Err(end) = self.hear(heard.as_ref()) {
                            return end;
                        }
                    }
                    () = until(&mut stopped) => return End::Stopping,
                    _ = ask.tick() => {
                        if self.heard.elapsed() > GONE_AFTER {
                            return End::Left;
                        }
                        if let Err(end) = self.send(Message::Ping(bytes::Bytes::new())).await {
                            return end;
                        }
                    }
                },
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let mut sending = std::pin::pin!(self.sink.send(message));
        let sent = match timeout(STUCK_AFTER, &mut sending).await {
            Ok(sent) => Ok(sent),
            Err(_) => {
                self.follower.is_stuck();
                timeout(self.shared.config.reader_timeout, sending).await
            }
        };
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Left),
            Err(_) => Err(End::TooSlow),
        }
    }

    /// The event at the present position was sent.
    fn sent(&mut self, seq: u64) {
        if let Some(unseen) = &mut self.unseen {
            unseen.push_back((seq, self.position));
        }
        // Nobody waits for one that has stopped saying so.
        self.unseen.take_if(|unseen| unseen.len() > MOST_UNSEEN);
    }

    fn has_read(&self) {
        let unseen = self.unseen.as_ref().and_then(|unseen| unseen.front());
        self.follower.has_read(unseen.map_or(self.position, |(_, position)| *position));
    }

    /// `{"seen": 17}`: everything up to this number is on the reader's screen.
    fn has_seen(&mut self, text: &str) {
        let said: Option<serde_json::Value> = serde_json::from_str(text).ok();
        let (Some(seen), Some(unseen)) = (said.and_then(|said| said["seen"].as_u64()), &mut self.unseen) else {
            return;
        };
        while unseen.front().is_some_and(|(seq, _)| *seq <= seen) {
            unseen.pop_front();
        }
        self.has_read();
    }

    fn hear(&mut self, heard: Option<&Result<Message, axum::Error>>) -> Result<(), End> {
        match heard {
            None | Some(Err(_) | Ok(Message::Close(_))) => Err(End::Left),
            Some(Ok(message)) => {
                if let Message::Text(text) = message {
                    self.has_seen(text);
                }
                self.heard = Instant::now();
                Ok(())
            }
        }
    }
}
