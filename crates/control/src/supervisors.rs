//! Supervisors of a call: asked for, changed, and let go.

use crate::{
    body,
    document::internal,
    handlers::{Answer, At, Query, answer, ask, call_id},
    json,
    routes::{Shared, plain},
};
use axum::{
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::IntoResponse,
};
use calls::{Reply, SuperviseBody, SuperviseChange, SupervisorState};
use std::sync::Arc;

/// A call and one of its supervisors.
type OfACall = Path<(String, String)>;

pub(crate) async fn supervise(State(shared): State<Arc<Shared>>, Path(call): At, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let value = body::required(request, &shared.config, body::JSON).await?;
    let body: SuperviseBody = json::typed(value, "whom and how, such as {\"to\": \"anna\", \"mode\": \"listen\"}")?;
    let reply = ask(&shared, calls::Request::Supervise { call, body }).await?;
    let Reply::Supervisor(supervisor) = &reply else { return Err(internal().into()) };
    // Who is there already had only their mode changed.
    let status = if supervisor.state == SupervisorState::Joined { StatusCode::OK } else { StatusCode::ACCEPTED };
    let location = format!("/v1/calls/{call}/supervise/{}", supervisor.supervisor);
    Ok(([(header::LOCATION, location)], answer(status, &reply)?).into_response())
}

pub(crate) async fn change(
    State(shared): State<Arc<Shared>>,
    Path((call, supervisor)): OfACall,
    request: Request,
) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let value = body::required(request, &shared.config, body::MERGE).await?;
    let SuperviseChange { mode } = json::typed(value, "what is to change, such as {\"mode\": \"whisper\"}")?;
    let request = calls::Request::ChangeSupervisor { call, supervisor: plain(&supervisor), mode };
    answer(StatusCode::OK, &ask(&shared, request).await?)
}

pub(crate) async fn end(
    State(shared): State<Arc<Shared>>,
    Path((call, supervisor)): OfACall,
    request: Request,
) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let request = calls::Request::EndSupervisor { call, supervisor: plain(&supervisor) };
    answer(StatusCode::OK, &ask(&shared, request).await?)
}
