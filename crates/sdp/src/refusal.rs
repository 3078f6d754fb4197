//! Why a body is not accepted.

use serde::{Deserialize, Serialize};

/// A body that is not accepted, and how to say so in SIP. The agreement before it stays in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{why}")]
pub struct Refusal {
    /// The SIP status: 400 for what is no session description, 413 for one beyond the limits, 488 for one that we cannot
    /// meet, 491 and 500 when another offer is open.
    pub status: u16,
    /// The `Warning` code (RFC 3261 section 20.43) that goes with it: 301 network address format, 302 transport
    /// protocol, 304 media type, 305 media format, 399 anything else.
    pub warning: u16,
    /// What was found and what was expected.
    pub why: String,
}

impl Refusal {
    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self { status: 400, warning: 399, why: why.into() }
    }

    pub(crate) fn too_large(why: impl Into<String>) -> Self {
        Self { status: 413, warning: 399, why: why.into() }
    }

    pub(crate) fn not_acceptable(warning: u16, why: impl Into<String>) -> Self {
        Self { status: 488, warning, why: why.into() }
    }

    pub(crate) fn out_of_turn(status: u16, why: &'static str) -> Self {
        Self { status, warning: 399, why: why.to_owned() }
    }
}

/// An offer is open already: wait for its answer (RFC 3264 section 4), then try again.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an offer is open in this dialog; it must be answered or withdrawn first")]
pub struct Busy;
