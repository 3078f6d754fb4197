//! One function a route: from HTTP to a typed request, and from the typed reply to HTTP.

use crate::{
    body,
    document::{Document, engine_silent, internal, invalid, malformed},
    engine::ReloadRefused,
    json,
    routes::{Shared, plain},
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use calls::{CallId, EvaluateBody, HandbackBody, PlaceBody, Problem, Reply, TransferBody, TransferId};
use core::{str::FromStr, time::Duration};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::timeout;

pub(crate) type Answer = Result<Response, Document>;
pub(crate) type At = Path<String>;

/// Longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

pub(crate) async fn events(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let headers = request.headers().clone();
    let value = body::required(request, &shared.config, body::EVENTS).await?;
    let value = binary_cloud_event(&headers, value);
    let events = policy::Posted::list_from_json(&value).map_err(|error| {
        let place = error.index.map_or_else(String::new, |index| format!("[{index}]"));
        let field = if error.field.is_empty() || place.is_empty() {
            format!("{place}{}", error.field)
        } else {
            format!("{place}.{}", error.field)
        };
        invalid(field, error.message)
    })?;
    if events.is_empty() {
        return Err(invalid("", "an empty array: expected at least one event").into());
    }
    answer(StatusCode::OK, &ask(&shared, calls::Request::Events { call, events }).await?)
}

pub(crate) async fn transfer(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    let wait = wait(&request, &shared)?;
    let idempotency_key = idempotency_key(request.headers())?;
    let value = body::required(request, &shared.config, body::JSON).await?;
    let body: Box<TransferBody> = Box::new(json::typed(value, "a transfer such as {\"to\": \"frontdesk\"}")?);
    let request = calls::Request::Transfer { call, body, idempotency_key, wait };
    let reply = ask_within(&shared, request, wait.unwrap_or_default()).await?;
    let Reply::Transfer(transfer) = &reply else { return Err(internal().into()) };
    let status = if transfer.over { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = format!("/v1/transfers/{}", transfer.transfer.id);
    Ok(([(header::LOCATION, location)], answer(status, &reply)?).into_response())
}

/// Somebody is called.
pub(crate) async fn place(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let wait = wait(&request, &shared)?;
    let idempotency_key = idempotency_key(request.headers())?;
    let value = body::required(request, &shared.config, body::JSON).await?;
    let body: Box<PlaceBody> = Box::new(json::typed(value, "a call such as {\"to\": \"tel:+493055512345\"}")?);
    let request = calls::Request::Place { body, idempotency_key, wait };
    let reply = ask_within(&shared, request, wait.unwrap_or_default()).await?;
    let Reply::Placed(placed) = &reply else { return Err(internal().into()) };
    let status = if placed.over { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = format!("/v1/calls/{}", placed.call);
    Ok(([(header::LOCATION, location)], answer(status, &reply)?).into_response())
}

pub(crate) async fn hangup(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    if let Some(value) = body::optional(request, &shared.config).await? {
        json::typed::<Nothing>(value, "no fields")?;
    }
    answer(StatusCode::OK, &ask(&shared, calls::Request::Hangup { call }).await?)
}

pub(crate) async fn handback(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let body: HandbackBody = match body::optional(request, &shared.config).await? {
        Some(value) => json::typed(value, "a handback such as {\"disposition\": \"solved\"}")?,
        None => HandbackBody::default(),
    };
    answer(StatusCode::OK, &ask(&shared, calls::Request::Handback { call, body }).await?)
}

pub(crate) async fn context(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let value = body::required(request, &shared.config, body::MERGE).await?;
    let context: BTreeMap<String, Value> = json::typed(value, "keys and values")?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::Context { call, context }).await?)
}

pub(crate) async fn transfer_status(State(shared): State<Arc<Shared>>, Path(tid): At, request: Request) -> Answer {
    let transfer = transfer_id(&tid)?;
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::TransferStatus { transfer }).await?)
}

pub(crate) async fn cancel(State(shared): State<Arc<Shared>>, Path(tid): At, request: Request) -> Answer {
    let transfer = transfer_id(&tid)?;
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::CancelTransfer { transfer }).await?)
}

pub(crate) async fn accept(State(shared): State<Arc<Shared>>, Path(tid): At, request: Request) -> Answer {
    let transfer = transfer_id(&tid)?;
    let attempt = attempt(request, &shared).await?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::AcceptTransfer { transfer, attempt }).await?)
}

pub(crate) async fn decline(State(shared): State<Arc<Shared>>, Path(tid): At, request: Request) -> Answer {
    let transfer = transfer_id(&tid)?;
    let attempt = attempt(request, &shared).await?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::DeclineTransfer { transfer, attempt }).await?)
}

pub(crate) async fn trunks(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::Trunks).await?)
}

pub(crate) async fn calls(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let query = Query::of(&request, &["sip_call_id", "state", "limit"])?;
    let active = match query.get("state") {
        None => None,
        Some("active") => Some(true),
        Some("ended") => Some(false),
        Some(other) => {
            return Err(invalid("state", format!("found `{}`, expected active or ended", plain(other))).into());
        }
    };
    let limit = match query.get("limit") {
        None => None,
        Some(limit) => Some(
            limit
                .parse::<usize>()
                .map_err(|_| invalid("limit", format!("found `{}`, expected a number", plain(limit))))?,
        ),
    };
    let sip_call_id = query.get("sip_call_id").map(str::to_owned);
    let mut reply = ask(&shared, calls::Request::Calls { sip_call_id, active }).await?;
    if let (Reply::Calls(list), Some(limit)) = (&mut reply, limit) {
        list.calls.truncate(limit);
    }
    answer(StatusCode::OK, &reply)
}

pub(crate) async fn call(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::Call { call }).await?)
}

pub(crate) async fn rules(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    Ok(Json(shared.engine.rules()).into_response())
}

pub(crate) async fn evaluate(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    let value = body::required(request, &shared.config, body::JSON).await?;
    let body: Box<EvaluateBody> = Box::new(json::typed(value, "a dry run such as {\"events\": []}")?);
    answer(StatusCode::OK, &ask(&shared, calls::Request::Evaluate(body)).await?)
}

pub(crate) async fn reload(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    if let Some(value) = body::optional(request, &shared.config).await? {
        json::typed::<Nothing>(value, "no fields")?;
    }
    match shared.engine.reload().await {
        Ok(reloaded) => Ok(Json(reloaded).into_response()),
        Err(ReloadRefused::Rules(diagnostics)) => Err(diagnostics.into()),
        Err(ReloadRefused::Problem(problem)) => Err(problem.into()),
    }
}

pub(crate) async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    let ledger = if shared.engine.ledger_works() { "working" } else { "failing" };
    Json(json!({ "alive": true, "ledger": ledger })).into_response()
}

pub(crate) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let readiness = shared.engine.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> Answer {
    let text = timeout(shared.config.engine_timeout, shared.engine.metrics()).await.map_err(|_| engine_silent())?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

pub(crate) async fn openapi(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], shared.openapi.clone()).into_response()
}

/// A body that may be there but says nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The body of accept and decline.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AttemptBody {
    attempt: Option<u32>,
}

async fn attempt(request: Request, shared: &Shared) -> Result<Option<u32>, Document> {
    Query::of(&request, &[])?;
    match body::optional(request, &shared.config).await? {
        Some(value) => Ok(json::typed::<AttemptBody>(value, "an object such as {\"attempt\": 1}")?.attempt),
        None => Ok(None),
    }
}

pub(crate) async fn ask(shared: &Shared, request: calls::Request) -> Result<Reply, Document> {
    ask_within(shared, request, Duration::ZERO).await
}

async fn ask_within(shared: &Shared, request: calls::Request, wait: Duration) -> Result<Reply, Document> {
    let subject = subject(&request);
    match timeout(shared.config.engine_timeout.saturating_add(wait), shared.engine.request(request)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(problem)) => match (&problem.detail, subject) {
            (None, Some(subject)) => Err(problem.detail(subject).into()),
            _ => Err(problem.into()),
        },
        Err(_) => Err(engine_silent().into()),
    }
}

/// The id a request is about: a refusal without more to say names it.
fn subject(request: &calls::Request) -> Option<String> {
    use calls::Request as R;
    match request {
        R::Events { call, .. }
        | R::Transfer { call, .. }
        | R::Hangup { call }
        | R::Handback { call, .. }
        | R::Context { call, .. }
        | R::Recording { call, .. }
        | R::Supervise { call, .. }
        | R::Call { call } => Some(call.to_string()),
        R::TransferStatus { transfer }
        | R::CancelTransfer { transfer }
        | R::AcceptTransfer { transfer, .. }
        | R::DeclineTransfer { transfer, .. } => Some(transfer.to_string()),
        R::ChangeSupervisor { call, supervisor, .. } | R::EndSupervisor { call, supervisor } => {
            Some(format!("{supervisor} of {call}"))
        }
        R::Callback { callback, .. } => Some(callback.to_string()),
        R::Agent { agent } | R::ChangeAgent { agent, .. } => Some(agent.clone()),
        R::Availability { destination, .. } => Some(destination.clone()),
        R::Evaluate(body) => body.call.as_ref().map(CallId::to_string),
        _ => None,
    }
}

pub(crate) fn answer(status: StatusCode, reply: &Reply) -> Answer {
    Ok((status, Json(reply)).into_response())
}

pub(crate) fn call_id(text: &str) -> Result<CallId, Problem> {
    id(text, "unknown-call", "there is no such call")
}

fn transfer_id(text: &str) -> Result<TransferId, Problem> {
    id(text, "unknown-transfer", "there is no such transfer in a call that is still up")
}

/// What is no id at all is as unknown as one that nobody has.
pub(crate) fn id<T: FromStr<Err: core::fmt::Display>>(text: &str, kind: &str, title: &str) -> Result<T, Problem> {
    if text.chars().any(char::is_control) {
        return Err(malformed("the path holds a control character"));
    }
    text.parse().map_err(|error| Problem::new(404, kind, title).detail(format!("found `{}`: {error}", plain(text))))
}

/// `?wait=`.
fn wait(request: &Request, shared: &Shared) -> Result<Option<Duration>, Problem> {
    let query = Query::of(request, &["wait"])?;
    let Some(text) = query.get("wait") else { return Ok(None) };
    let wait = policy::duration::parse(text).map_err(|help| invalid("wait", format!("found `{text}`: {help}")))?;
    if wait > shared.config.wait {
        return Err(invalid("wait", format!("at most {}", policy::duration::text(shared.config.wait))));
    }
    Ok(Some(wait))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let wrong = |detail: &str| malformed(detail).field("Idempotency-Key");
    if keys.next().is_some() {
        return Err(wrong("the header is there twice"));
    }
    let key = key.to_str().map_err(|_| wrong("expected visible ASCII characters"))?.trim();
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(wrong("expected 1 to 255 characters"));
    }
    Ok(Some(key.to_owned()))
}

/// CloudEvents' binary mode: the envelope is in `ce-` headers, the body is the data.
fn binary_cloud_event(headers: &HeaderMap, data: Value) -> Value {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    match (text("ce-specversion"), text("ce-type")) {
        (Some(specversion), Some(kind)) => {
            json!({ "specversion": specversion, "type": kind, "id": text("ce-id"), "data": data })
        }
        _ => data,
    }
}

/// The query of a request. An unknown name is refused: a misspelt filter must not mean everything.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(request: &Request, known: &[&str]) -> Result<Self, Problem> {
        let parsed = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri());
        let pairs = parsed.map_err(|error| malformed(format!("the query cannot be read: {error}")))?.0;
        for (name, value) in &pairs {
            if name.chars().chain(value.chars()).any(char::is_control) {
                return Err(malformed("the query holds a control character").field(plain(name)));
            }
            if !known.contains(&name.as_str()) {
                let help = match policy::did_you_mean(name, known.iter().copied()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if known.is_empty() => "this path takes none".to_owned(),
                    None => format!("this path takes {}", known.join(", ")),
                };
                return Err(invalid(plain(name), format!("unknown query parameter, {help}")));
            }
        }
        Ok(Self(pairs))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
