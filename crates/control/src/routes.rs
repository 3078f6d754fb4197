//! Which path leads where, and what every request passes on its way: the guard, the count, the shape of refusals.

use crate::{
    Config, Engine, Events, agents,
    document::{Document, no_route, wrong_method},
    guard, handlers, lasting, openapi, recordings,
    server::Peer,
    stream, supervisors,
};
use axum::{
    Extension, Router,
    body::to_bytes,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, patch, post},
};
use calls::Problem;
use metrics::Metrics;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// What handlers share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) events: Arc<Events>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readers: Arc<Semaphore>,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) openapi: String,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        engine: Arc<dyn Engine>,
        events: Arc<Events>,
        metrics: Arc<Metrics>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let readers = Arc::new(Semaphore::new(config.event_readers));
        Self { config, engine, events, metrics, readers, stopped, openapi: openapi::text() }
    }
}

/// Every route: method, path, and who answers.
fn table() -> Vec<(Method, &'static str, MethodRouter<Arc<Shared>>)> {
    vec![
        (Method::GET, "/v1/calls", get(handlers::calls)),
        (Method::POST, "/v1/calls", post(handlers::place)),
        (Method::GET, "/v1/calls/{id}", get(handlers::call)),
        (Method::POST, "/v1/calls/{id}/events", post(handlers::events)),
        (Method::POST, "/v1/calls/{id}/transfer", post(handlers::transfer)),
        (Method::POST, "/v1/calls/{id}/hangup", post(handlers::hangup)),
        (Method::POST, "/v1/calls/{id}/handback", post(handlers::handback)),
        (Method::PATCH, "/v1/calls/{id}/context", patch(handlers::context)),
        (Method::POST, "/v1/calls/{id}/supervise", post(supervisors::supervise)),
        (Method::PATCH, "/v1/calls/{id}/supervise/{supervisor}", patch(supervisors::change)),
        (Method::DELETE, "/v1/calls/{id}/supervise/{supervisor}", delete(supervisors::end)),
        (Method::POST, "/v1/calls/{id}/recording/pause", post(recordings::pause)),
        (Method::POST, "/v1/calls/{id}/recording/resume", post(recordings::resume)),
        (Method::POST, "/v1/calls/{id}/recording/stop", post(recordings::stop)),
        (Method::GET, "/v1/calls/{id}/record", get(lasting::record)),
        (Method::GET, "/v1/callbacks", get(lasting::callbacks)),
        (Method::GET, "/v1/callbacks/{id}", get(lasting::callback)),
        (Method::POST, "/v1/callbacks/{id}/claim", post(lasting::claim)),
        (Method::POST, "/v1/callbacks/{id}/release", post(lasting::release)),
        (Method::POST, "/v1/callbacks/{id}/dial", post(lasting::dial)),
        (Method::POST, "/v1/callbacks/{id}/done", post(lasting::done)),
        (Method::GET, "/v1/messages", get(lasting::messages)),
        (Method::GET, "/v1/messages/{id}", get(lasting::message)),
        (Method::DELETE, "/v1/messages/{id}", delete(lasting::delete)),
        (Method::POST, "/v1/messages/{id}/read", post(lasting::read)),
        (Method::GET, "/v1/recordings", get(recordings::list)),
        (Method::GET, "/v1/recordings/{id}", get(recordings::one)),
        (Method::GET, "/v1/recordings/{id}/audio", get(recordings::audio)),
        (Method::GET, "/v1/recordings/{id}/timeline", get(recordings::timeline)),
        (Method::DELETE, "/v1/recordings/{id}", delete(recordings::delete)),
        (Method::GET, "/v1/voicemails", get(recordings::messages)),
        (Method::GET, "/v1/voicemails/{id}", get(recordings::one)),
        (Method::GET, "/v1/voicemails/{id}/audio", get(recordings::audio)),
        (Method::GET, "/v1/voicemails/{id}/timeline", get(recordings::timeline)),
        (Method::DELETE, "/v1/voicemails/{id}", delete(recordings::delete)),
        (Method::GET, "/v1/transfers/{tid}", get(handlers::transfer_status)),
        (Method::DELETE, "/v1/transfers/{tid}", delete(handlers::cancel)),
        (Method::POST, "/v1/transfers/{tid}/accept", post(handlers::accept)),
        (Method::POST, "/v1/transfers/{tid}/decline", post(handlers::decline)),
        (Method::GET, "/v1/trunks", get(handlers::trunks)),
        (Method::GET, "/v1/agents", get(agents::list)),
        (Method::GET, "/v1/agents/{id}", get(agents::one)),
        (Method::PATCH, "/v1/agents/{id}", patch(agents::change)),
        (Method::GET, "/v1/queues", get(agents::queues)),
        (Method::GET, "/v1/destinations/{name}/availability", get(agents::availability)),
        (Method::GET, "/v1/rules", get(handlers::rules)),
        (Method::POST, "/v1/rules/evaluate", post(handlers::evaluate)),
        (Method::POST, "/v1/rules/reload", post(handlers::reload)),
        (Method::GET, "/v1/events", get(stream::events)),
        (Method::GET, "/healthz", get(handlers::healthz)),
        (Method::GET, "/readyz", get(handlers::readyz)),
        (Method::GET, "/metrics", get(handlers::metrics)),
        (Method::GET, "/openapi.json", get(handlers::openapi)),
    ]
}

/// Method and path template of every route.
pub fn described_routes() -> Vec<(String, &'static str)> {
    table().into_iter().map(|(method, path, _)| (method.to_string(), path)).collect()
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new();
    for (_, path, route) in table() {
        router = router.route(path, route);
    }
    router
        .fallback(async |request: Request| Document::from(no_route(&plain(request.uri().path()))))
        .layer(from_fn_with_state(Arc::clone(&shared), on_the_way))
        .with_state(shared)
}

/// Every request and every answer passes here.
async fn on_the_way(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    route: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let path = plain(request.uri().path());
    let response = match guard::check(request.headers(), request.uri(), &shared.config.hosts) {
        Ok(()) => next.run(request).await,
        Err(problem) => Document::from(problem).into_response(),
    };
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let response = refusal_as_document(response, &method, &path, route).await;
    let status = response.status();
    shared.metrics.control_requests_total.inc([method.as_str(), route, status.as_str()]);
    if method.is_safe() || status.is_client_error() || route.ends_with("/events") {
        tracing::debug!(%method, path, status = status.as_u16(), uid = peer.uid, pid = peer.pid, "control request");
    } else {
        tracing::info!(%method, path, status = status.as_u16(), uid = peer.uid, pid = peer.pid, "control command");
    }
    response
}

/// Whatever refused a request, its answer is a problem document.
async fn refusal_as_document(response: Response, method: &Method, path: &str, route: &str) -> Response {
    let status = response.status();
    let is_document = response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == "application/problem+json");
    if is_document
        || !(status.is_client_error() || status.is_server_error())
        || status == StatusCode::SERVICE_UNAVAILABLE
    {
        return response;
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allow = allowed(route);
        let mut response = Document::from(wrong_method(&plain(method.as_str()), path, &allow)).into_response();
        if let Ok(allow) = HeaderValue::from_str(&allow) {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        return response;
    }
    let body = response.into_body();
    let text = to_bytes(body, 4_096).await.unwrap_or_default();
    let detail = plain(&String::from_utf8_lossy(&text));
    Document::from(Problem::new(status.as_u16(), "malformed", "the request cannot be read").detail(detail))
        .into_response()
}

/// The methods a route takes, as `Allow` lists them.
fn allowed(route: &str) -> String {
    let mut methods = Vec::new();
    for (method, _, _) in table().into_iter().filter(|(_, path, _)| *path == route) {
        if method == Method::GET {
            methods.push("HEAD".to_owned());
        }
        methods.push(method.to_string());
    }
    methods.sort();
    methods.join(", ")
}

/// What a peer wrote, short and without what a terminal would act on.
pub(crate) fn plain(text: &str) -> String {
    let mut plain: String = text.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(200).is_some() {
        plain.push('…');
    }
    plain
}
