//! Problem documents on the wire (RFC 9457).

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use calls::Problem;
use core::time::Duration;
use serde::Serialize;

/// A refusal as it is sent: the problem, and members of its own kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    pub(crate) problem: Problem,
    /// Every mistake in the rules' files, for `rules-refused`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<policy::Diagnostic>,
    /// Whether the connection is in a state in which no further request can be read from it.
    #[serde(skip)]
    pub(crate) close: bool,
}

impl From<Problem> for Document {
    fn from(problem: Problem) -> Self {
        Self { problem, errors: Vec::new(), close: false }
    }
}

impl From<policy::Diagnostics> for Document {
    fn from(errors: policy::Diagnostics) -> Self {
        let problem = Problem::new(422, "rules-refused", "the rules are refused; those of before stay in force")
            .detail(errors.to_string());
        Self { problem, errors: errors.0, close: false }
    }
}

impl Document {
    pub(crate) fn closing(self) -> Self {
        Self { close: true, ..self }
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if let Some(after) = self.problem.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(after));
        }
        if self.close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The request cannot be read as what it claims to be.
pub(crate) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(400, "malformed", "the request cannot be read").detail(detail)
}

/// A field's value cannot be taken.
pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Problem {
    let problem = Problem::new(422, "invalid-field", "a field's value cannot be taken").detail(detail);
    match field.into() {
        field if field.is_empty() => problem,
        field => problem.field(field),
    }
}

pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(413, "too-large", "the request is larger than the limit")
        .detail(format!("a body may have at most {limit} bytes"))
}

pub(crate) fn too_slow(limit: Duration) -> Problem {
    Problem::new(408, "too-slow", "the request came too slowly")
        .detail(format!("a body has {} ms to arrive", limit.as_millis()))
}

pub(crate) fn media_type(found: Option<&str>, taken: &[&str]) -> Problem {
    let found = found.map_or_else(|| "there is no Content-Type".to_owned(), |found| format!("found {found:?}"));
    Problem::new(415, "media-type", "the body's media type is not taken here")
        .detail(format!("{found}, expected {}", taken.join(" or ")))
        .field("Content-Type")
}

pub(crate) fn no_route(path: &str) -> Problem {
    Problem::new(404, "no-such-route", "there is nothing at this path")
        .detail(format!("{path} is no path of this API; GET /openapi.json lists them all"))
}

pub(crate) fn wrong_method(method: &str, path: &str, allow: &str) -> Problem {
    Problem::new(405, "wrong-method", "the path does not take this method")
        .detail(format!("{path} takes {allow}, not {method}"))
}

pub(crate) fn engine_silent() -> Problem {
    Problem::new(504, "engine-timeout", "the engine did not answer in time")
}

pub(crate) fn internal() -> Problem {
    Problem::new(500, "internal", "the daemon answered with something unexpected")
}
