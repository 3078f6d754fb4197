//! A TCP port for Prometheus, which reads no unix socket: metrics and health, nothing that steers or tells of a call, to whoever may connect.

use crate::{
    document::{Document, no_route},
    handlers,
    routes::{Shared, plain},
    server::{connection, until},
};
use axum::{Router, extract::Request, routing::get};
use core::time::Duration;
use std::sync::Arc;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Connections at once; more are closed without a word.
const CONNECTIONS: usize = 32;

/// Serves `listener` until the server stops.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (head_timeout, write_timeout) = (shared.config.head_timeout, shared.config.write_timeout);
    let router = Router::new()
        .route("/metrics", get(handlers::metrics))
        .route("/healthz", get(handlers::healthz))
        .route("/readyz", get(handlers::readyz))
        .fallback(async |request: Request| Document::from(no_route(&plain(request.uri().path()))))
        .with_state(shared);
    let (closing, mut connections) = (stopped.clone(), JoinSet::new());
    loop {
        let accepted = tokio::select! {
            () = until(&mut stopped) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: let others close some before the next try.
                tracing::warn!(%error, "the port of the metrics cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let connection = connection(stream, write_timeout, router.clone(), head_timeout, closing.clone());
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}
