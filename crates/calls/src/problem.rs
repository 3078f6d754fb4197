//! Why a request was refused: RFC 9457 problem documents.

use crate::TransferId;
use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A refusal that says what was wrong and, where it can, which field and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable name of the kind: `urn:tandem:problem:<kind>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words; the same for every problem of the kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// The field at fault, as a path: `to`, `events[2].score`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The transfer that is in the way.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub transfer: Option<Box<TransferId>>,
    /// When to try again, in seconds (also the `Retry-After` header).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem of `kind` (`unknown-call`), in words `title`.
    pub fn new(status: u16, kind: &str, title: &str) -> Self {
        Self {
            kind: format!("urn:tandem:problem:{kind}"),
            title: title.to_owned(),
            status,
            detail: None,
            field: None,
            transfer: None,
            retry_after: None,
        }
    }

    /// Says what was wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says which field was wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(u32::try_from(after.as_secs()).unwrap_or(u32::MAX).max(1));
        self
    }

    pub(crate) fn unknown_call() -> Self {
        Self::new(404, "unknown-call", "there is no such call")
    }

    pub(crate) fn ended_call() -> Self {
        Self::new(410, "call-ended", "the call has ended")
    }

    pub(crate) fn unknown_transfer() -> Self {
        Self::new(404, "unknown-transfer", "there is no such transfer in a call that is still up")
    }

    pub(crate) fn unknown_agent() -> Self {
        Self::new(404, "unknown-agent", "there is no such agent; GET /v1/agents lists them")
    }

    pub(crate) fn unknown_supervisor() -> Self {
        Self::new(404, "unknown-supervisor", "there is no such supervisor of this call; GET the call to see them")
    }

    pub(crate) fn unknown_callback() -> Self {
        Self::new(404, "unknown-callback", "there is no such callback; GET /v1/callbacks lists them")
    }

    pub(crate) fn unknown_destination() -> Self {
        Self::new(404, "unknown-destination", "there is no such destination; GET /v1/rules lists them")
    }

    pub(crate) fn transfer_active(transfer: TransferId) -> Self {
        let mut problem = Self::new(409, "transfer-active", "a call has one active transfer at a time")
            .detail(format!("{transfer} is under way; cancel it or wait for its outcome"));
        problem.transfer = Some(Box::new(transfer));
        problem
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "wrong-state", "the call or transfer is not in a state for this").detail(detail)
    }

    pub(crate) fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(422, "invalid-field", "a field's value cannot be taken").field(field).detail(detail)
    }

    pub(crate) fn limit(detail: impl Into<String>) -> Self {
        Self::new(429, "limit-reached", "a limit of this call is reached").detail(detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(413, "too-large", "the request is larger than the limit").detail(detail)
    }

    pub(crate) fn not_built(what: &str) -> Self {
        Self::new(501, "not-built-yet", "this is not built yet").detail(what)
    }
}
