//! Bodies of requests: media type, size and time are judged before a byte is parsed.

use crate::{
    Config,
    document::{Document, malformed, media_type, too_large, too_slow},
    json,
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

/// What most calls take.
pub(crate) const JSON: &[&str] = &["application/json"];
/// What events may also come as (CloudEvents over HTTP, structured and batched).
pub(crate) const EVENTS: &[&str] =
    &["application/json", "application/cloudevents+json", "application/cloudevents-batch+json"];
/// What a merge may also come as (RFC 7396).
pub(crate) const MERGE: &[&str] = &["application/json", "application/merge-patch+json"];

/// How much of a refused body is read and thrown away, so that its sender gets to read the refusal.
const DRAINED: usize = 8 << 20;

/// The JSON value of a body that must be there.
pub(crate) async fn required(request: Request, config: &Config, types: &[&str]) -> Result<Value, Document> {
    let (parts, body) = request.into_parts();
    if let Err(problem) = check_media_type(&parts.headers, types) {
        return Err(refuse(body, problem.into()).await);
    }
    let bytes = read(&parts.headers, body, config).await?;
    if bytes.is_empty() {
        return Err(malformed("the body is empty, expected JSON").into());
    }
    Ok(json::parse(&bytes, config.depth)?)
}

/// The JSON value of a body that may be left out.
pub(crate) async fn optional(request: Request, config: &Config) -> Result<Option<Value>, Document> {
    let (parts, body) = request.into_parts();
    let bytes = read(&parts.headers, body, config).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    check_media_type(&parts.headers, JSON)?;
    Ok(Some(json::parse(&bytes, config.depth)?))
}

fn check_media_type(headers: &HeaderMap, taken: &[&str]) -> Result<(), calls::Problem> {
    let found = match headers.get(header::CONTENT_TYPE) {
        None => return Err(media_type(None, taken)),
        Some(found) => found.to_str().unwrap_or("text that is not ASCII"),
    };
    let mut parts = found.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let taken_type = taken.iter().any(|taken| taken.eq_ignore_ascii_case(essence));
    if taken_type && charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8")) {
        return Ok(());
    }
    Err(media_type(Some(found), taken))
}

async fn read(headers: &HeaderMap, mut body: Body, config: &Config) -> Result<Bytes, Document> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(refuse(body, media_type(Some("a compressed body"), &["one without Content-Encoding"]).into()).await);
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > config.body as u64) {
        return Err(refuse(body, too_large(config.body).into()).await);
    }
    let deadline = Instant::now() + config.body_timeout;
    let mut bytes = BytesMut::new();
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Document::from(too_slow(config.body_timeout)).closing()),
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Err(error))) => {
                return Err(Document::from(malformed(format!("the body broke off: {error}"))).closing());
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > config.body {
            return Err(refuse(body, too_large(config.body).into()).await);
        }
        bytes.extend_from_slice(&data);
    }
}

/// Reads the rest of a refused body for a moment, then closes the connection behind the refusal.
async fn refuse(mut body: Body, document: Document) -> Document {
    let drain = async {
        let mut left = DRAINED;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    match timeout(Duration::from_secs(1), drain).await {
        Ok(true) => document,
        _ => document.closing(),
    }
}
