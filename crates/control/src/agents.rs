//! Agents, queues, and whether a destination could take a caller.

use crate::{
    body,
    document::invalid,
    handlers::{Answer, At, Query, answer, ask, call_id},
    json,
    routes::{Shared, plain},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
};
use calls::AgentBody;
use core::time::Duration;
use std::sync::Arc;

/// The longest that an agent is held for a caller who is told they are free.
const LONGEST_PROMISE: Duration = Duration::from_secs(60);

pub(crate) async fn list(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::Agents).await?)
}

pub(crate) async fn one(State(shared): State<Arc<Shared>>, Path(agent): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::Agent { agent: plain(&agent) }).await?)
}

pub(crate) async fn change(State(shared): State<Arc<Shared>>, Path(agent): At, request: Request) -> Answer {
    Query::of(&request, &[])?;
    let value = body::required(request, &shared.config, body::MERGE).await?;
    let body: AgentBody = json::typed(value, "what is to change, such as {\"presence\": \"away\"}")?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::ChangeAgent { agent: plain(&agent), body }).await?)
}

pub(crate) async fn queues(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    answer(StatusCode::OK, &ask(&shared, calls::Request::Queues).await?)
}

pub(crate) async fn availability(State(shared): State<Arc<Shared>>, Path(name): At, request: Request) -> Answer {
    let query = Query::of(&request, &["call", "reserve"])?;
    let call = query.get("call").map(call_id).transpose()?;
    let reserve = match query.get("reserve") {
        None => None,
        Some(text) => {
            let reserve =
                policy::duration::parse(text).map_err(|help| invalid("reserve", format!("found `{text}`: {help}")))?;
            if reserve > LONGEST_PROMISE {
                let most = policy::duration::text(LONGEST_PROMISE);
                return Err(invalid("reserve", format!("at most {most}")).into());
            }
            Some(reserve)
        }
    };
    let destination = plain(&name);
    answer(StatusCode::OK, &ask(&shared, calls::Request::Availability { destination, call, reserve }).await?)
}
