//! Connections: accepted up to a bound, read under time limits, closed in an orderly way at the end.

use crate::{
    Config, Engine, Events,
    document::Document,
    engine::busy,
    patience::Patience,
    routes::{self, Shared},
    scrapes,
};
use axum::{Extension, Router};
use bytes::Bytes;
use core::{pin::pin, time::Duration};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics::Metrics;
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

/// How long connections may take to finish what they are doing when the server stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes of a request's head; 431 beyond.
const LARGEST_HEAD: usize = 32 * 1024;

/// Who is at the other end of the socket, as the kernel says.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) uid: Option<u32>,
    pub(crate) pid: Option<i32>,
}

/// Serves the API on `listener` until `stop` is done; then answers what is under way and closes everything. At `scraped` whoever can
/// connect gets metrics and health, and nothing else.
///
/// The socket's file, its mode and its group are the caller's business.
pub async fn serve(
    listener: UnixListener,
    scraped: Option<TcpListener>,
    config: Config,
    engine: Arc<dyn Engine>,
    events: Arc<Events>,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(config.connections));
    let (head_timeout, write_timeout) = (config.head_timeout, config.write_timeout);
    let shared = Arc::new(Shared::new(config, engine, events, metrics, stopped.clone()));
    let router = routes::router(Arc::clone(&shared));
    let mut connections = JoinSet::new();
    if let Some(scraped) = scraped {
        connections.spawn(scrapes::serve(scraped, Arc::clone(&shared), stopped.clone()));
    }
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: let others close some before the next try.
                tracing::warn!(%error, "the control socket cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                let cred = stream.peer_cred();
                let peer =
                    cred.map_or_else(|_| Peer::default(), |cred| Peer { uid: Some(cred.uid()), pid: cred.pid() });
                let router = router.clone().layer(Extension(peer));
                let connection = connection(stream, write_timeout, router, head_timeout, stopped.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(_) => turn_away(&stream),
        }
    }
    drop(listener);
    stopping.send_replace(true);
    let readers = u32::try_from(shared.config.event_readers).unwrap_or(u32::MAX);
    let finish = async {
        while connections.join_next().await.is_some() {}
        // Readers of events left their connections behind; each holds its place until it has said goodbye.
        drop(shared.readers.acquire_many(readers).await);
    };
    if timeout(FAREWELL, finish).await.is_err() {
        tracing::warn!(left = connections.len(), "connections to the control socket did not finish in time");
    }
}

pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    write_timeout: Duration,
    router: Router,
    head_timeout: Duration,
    mut stopped: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_headers(64)
        .max_header_size(LARGEST_HEAD)
        .half_close(false)
        .serve_connection(TokioIo::new(Patience::new(stream, write_timeout)), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}

/// Waits until the server stops (or is gone).
pub(crate) async fn until(stopped: &mut watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        tracing::debug!("the server is gone");
    }
}

/// Says 503 to a connection that is one too many, without reading from it and without waiting for it.
fn turn_away(stream: &UnixStream) {
    let mut problem = busy();
    problem.detail = Some("the control socket has as many connections as it takes".to_owned());
    let body = serde_json::to_vec(&Document::from(problem)).map(Bytes::from).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let whole = [head.as_bytes(), &body].concat();
    if let Err(error) = stream.try_write(&whole) {
        tracing::debug!(%error, "a connection too many was closed without a word");
    }
}
