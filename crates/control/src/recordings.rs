//! Recordings: paused, resumed and stopped while they grow; listed, fetched and deleted afterwards, and messages left in mailboxes
//! likewise.

use crate::{
    Audio, Kept, body,
    document::{Document, internal, invalid},
    handlers::{Nothing, Query, answer, ask, call_id},
    json,
    routes::{Shared, plain},
};
use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use calls::{Problem, RecordingAction};
use core::time::Duration;
use futures_util::stream;
use serde::Deserialize;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

type Answer = Result<Response, Document>;

/// Recordings listed when the request does not say.
const LISTED: usize = 100;
/// And at the most.
const MOST_LISTED: usize = 10_000;
/// Bytes of audio sent at once.
const PIECE: usize = 64 << 10;

/// The body of a pause.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseBody {
    #[serde(rename = "for", with = "policy::duration::as_text::option")]
    lasting: Option<Duration>,
}

pub(crate) async fn pause(State(shared): State<Arc<Shared>>, Path(call): Path<String>, request: Request) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    let body = match body::optional(request, &shared.config).await? {
        Some(value) => json::typed::<PauseBody>(value, "an object such as {\"for\": \"3m\"}")?,
        None => PauseBody::default(),
    };
    let action = RecordingAction::Pause { lasting: body.lasting };
    answer(StatusCode::OK, &ask(&shared, calls::Request::Recording { call, action }).await?)
}

pub(crate) async fn resume(shared: State<Arc<Shared>>, call: Path<String>, request: Request) -> Answer {
    act(shared, call, request, RecordingAction::Resume).await
}

pub(crate) async fn stop(shared: State<Arc<Shared>>, call: Path<String>, request: Request) -> Answer {
    act(shared, call, request, RecordingAction::Stop).await
}

async fn act(
    State(shared): State<Arc<Shared>>,
    Path(call): Path<String>,
    request: Request,
    action: RecordingAction,
) -> Answer {
    let call = call_id(&call)?;
    Query::of(&request, &[])?;
    if let Some(value) = body::optional(request, &shared.config).await? {
        json::typed::<Nothing>(value, "no fields")?;
    }
    answer(StatusCode::OK, &ask(&shared, calls::Request::Recording { call, action }).await?)
}

pub(crate) async fn list(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let limit = limit(&Query::of(&request, &["limit"])?)?;
    Ok(Json(shared.engine.recordings(limit).await?).into_response())
}

pub(crate) async fn messages(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let query = Query::of(&request, &["limit", "mailbox"])?;
    let mailbox = query.get("mailbox").map(str::to_owned);
    Ok(Json(shared.engine.voicemails(mailbox, limit(&query)?).await?).into_response())
}

fn limit(query: &Query) -> Result<usize, Document> {
    let Some(limit) = query.get("limit") else { return Ok(LISTED) };
    let number = limit.parse::<usize>();
    let number = number.map_err(|_| invalid("limit", format!("found `{}`, expected a number", plain(limit))))?;
    Ok(number.min(MOST_LISTED))
}

/// `c_…` at the recordings, `v_…` at the messages: either path reads its own.
fn kept(uri: &axum::http::Uri, id: &str) -> Result<Kept, Document> {
    if uri.path().starts_with("/v1/voicemails/") {
        return Ok(Kept::Message(
            id.parse().map_err(|_| Problem::new(404, "unknown-voicemail", "there is no such message"))?,
        ));
    }
    Ok(Kept::Call(call_id(id)?))
}

pub(crate) async fn one(State(shared): State<Arc<Shared>>, Path(call): Path<String>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    Ok(Json(shared.engine.recording(kept(request.uri(), &call)?).await?).into_response())
}

pub(crate) async fn audio(State(shared): State<Arc<Shared>>, Path(call): Path<String>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    file(shared.engine.recording_audio(kept(request.uri(), &call)?).await?).await
}

/// As it lies on the disk: encrypted where it is.
pub(crate) async fn timeline(State(shared): State<Arc<Shared>>, Path(call): Path<String>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    file(shared.engine.recording_timeline(kept(request.uri(), &call)?).await?).await
}

async fn file(Audio { file, name, media_type }: Audio) -> Answer {
    let file = tokio::fs::File::from_std(file);
    let length = file.metadata().await.map_err(|_| internal())?.len();
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    // Names are ids and endings: nothing in them needs to be escaped.
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

pub(crate) async fn delete(State(shared): State<Arc<Shared>>, Path(call): Path<String>, request: Request) -> Answer {
    Query::of(&request, &[])?;
    shared.engine.delete_recording(kept(request.uri(), &call)?).await?;
    Ok(Json(serde_json::json!({ "done": true })).into_response())
}
