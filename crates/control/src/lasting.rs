//! What outlives calls: callbacks, messages, and the records of ended calls.

use crate::{
    MessageFilter, body,
    document::{Document, invalid, malformed},
    handlers::{Answer, At, Nothing, Query, answer, ask, call_id, id},
    json,
    routes::{Shared, plain},
};
use axum::{
    Json,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::IntoResponse as _,
};
use calls::{CallbackAction, CallbackId, CallbackState, Message, MessageId, Problem};
use serde_json::json;
use std::sync::Arc;

/// Messages listed when the request does not say.
const LISTED: u32 = 100;
/// And at the most.
const MOST_LISTED: u32 = 10_000;

type Here = State<Arc<Shared>>;

pub(crate) async fn callbacks(State(shared): Here, request: Request) -> Answer {
    let query = Query::of(&request, &["state", "list"])?;
    let known = || CallbackState::ALL.map(CallbackState::name).join(", ");
    let state = match query.get("state") {
        None => None,
        Some(state) => Some(
            state
                .parse::<CallbackState>()
                .map_err(|()| invalid("state", format!("found `{}`, expected one of {}", plain(state), known())))?,
        ),
    };
    let list = query.get("list").map(str::to_owned);
    answer(StatusCode::OK, &ask(&shared, calls::Request::Callbacks { state, list }).await?)
}

pub(crate) async fn callback(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    act(&shared, &id, CallbackAction::Show, StatusCode::OK).await
}

pub(crate) async fn claim(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    let value = body::required(request, &shared.config, body::JSON).await?;
    let action = CallbackAction::Claim(json::typed(value, "who takes it, such as {\"agent\": \"anna\"}")?);
    act(&shared, &id, action, StatusCode::OK).await
}

pub(crate) async fn release(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    if let Some(value) = body::optional(request, &shared.config).await? {
        json::typed::<Nothing>(value, "no fields")?;
    }
    act(&shared, &id, CallbackAction::Release, StatusCode::OK).await
}

pub(crate) async fn dial(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    let body = match body::optional(request, &shared.config).await? {
        Some(value) => json::typed(value, "who calls, such as {\"agent\": \"anna\"}")?,
        None => calls::DialBody::default(),
    };
    act(&shared, &id, CallbackAction::Dial(body), StatusCode::ACCEPTED).await
}

pub(crate) async fn done(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    let body = match body::optional(request, &shared.config).await? {
        Some(value) => json::typed(value, "what came of it, such as {\"outcome\": \"solved by mail\"}")?,
        None => calls::DoneBody::default(),
    };
    act(&shared, &id, CallbackAction::Done(body), StatusCode::OK).await
}

async fn act(shared: &Shared, text: &str, action: CallbackAction, status: StatusCode) -> Answer {
    let callback: CallbackId = id(text, "unknown-callback", "there is no such callback")?;
    answer(status, &ask(shared, calls::Request::Callback { callback, action }).await?)
}

pub(crate) async fn messages(State(shared): Here, request: Request) -> Answer {
    let query = Query::of(&request, &["line", "unread", "limit"])?;
    let unread = match query.get("unread") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(invalid("unread", format!("found `{}`, expected true or false", plain(other))).into());
        }
    };
    let limit = match query.get("limit") {
        None => LISTED,
        Some(limit) => limit
            .parse::<u32>()
            .map_err(|_| invalid("limit", format!("found `{}`, expected a number", plain(limit))))?,
    };
    let filter = MessageFilter { line: query.get("line").map(str::to_owned), unread, limit: limit.min(MOST_LISTED) };
    Ok(Json(json!({ "messages": shared.engine.messages(filter).await? })).into_response())
}

pub(crate) async fn message(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    one(shared.engine.message(message_id(&id)?).await?)
}

pub(crate) async fn read(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    if let Some(value) = body::optional(request, &shared.config).await? {
        json::typed::<Nothing>(value, "no fields")?;
    }
    one(shared.engine.read_message(message_id(&id)?).await?)
}

pub(crate) async fn delete(State(shared): Here, Path(id): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    match shared.engine.delete_message(message_id(&id)?).await? {
        true => Ok(Json(json!({ "done": true })).into_response()),
        false => Err(unknown_message().into()),
    }
}

/// The record of an ended call, as it was written down.
pub(crate) async fn record(State(shared): Here, Path(call): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    let call = call_id(&call)?;
    let record = shared.engine.call_record(call).await?;
    let unknown = || {
        let detail = "a call has a record once it has ended, for as long as the ledger keeps it";
        Document::from(Problem::new(404, "unknown-record", "there is no record of such a call").detail(detail))
    };
    Ok(([(header::CONTENT_TYPE, "application/json")], record.ok_or_else(unknown)?).into_response())
}

fn one(message: Option<Message>) -> Answer {
    Ok(Json(message.ok_or_else(unknown_message)?).into_response())
}

fn unknown_message() -> Problem {
    Problem::new(404, "unknown-message", "there is no such message; GET /v1/messages lists them")
}

fn message_id(text: &str) -> Result<MessageId, Problem> {
    if text.chars().any(char::is_control) {
        return Err(malformed("the path holds a control character"));
    }
    id(text, "unknown-message", "there is no such message")
}
