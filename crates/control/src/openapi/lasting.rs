//! Routes and shapes of what outlives calls.

use super::{Described, HttpMethod, ON_A_CALL};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

const ON_A_CALLBACK: &[&str] = &["400", "404", "409", "413", "415", "422", "503"];

pub(super) const DESCRIBED: &[Described] = &[
    Described {
        method: HttpMethod::Get,
        path: "/v1/callbacks",
        id: "listCallbacks",
        tag: "callbacks",
        summary: "Callers who are to be called back, and those who were lately",
        parameters: &[
            ("state", "`open`, `claimed`, `dialling` or `done`; absent: all"),
            ("list", "Only those of this list"),
        ],
        body: None,
        success: &[("200", "The callbacks", "CallbackList")],
        refusals: &["422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/callbacks/{id}",
        id: "getCallback",
        tag: "callbacks",
        summary: "One callback",
        parameters: &[],
        body: None,
        success: &[("200", "The callback", "CallbackRecord")],
        refusals: &["404", "422", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/callbacks/{id}/claim",
        id: "claimCallback",
        tag: "callbacks",
        summary: "An agent takes it: nobody else can",
        parameters: &[],
        body: Some(("Claim", || json!({ "agent": "anna" }))),
        success: &[("200", "The callback", "CallbackRecord")],
        refusals: ON_A_CALLBACK,
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/callbacks/{id}/release",
        id: "releaseCallback",
        tag: "callbacks",
        summary: "It goes back to the list",
        parameters: &[],
        body: None,
        success: &[("200", "The callback", "CallbackRecord")],
        refusals: ON_A_CALLBACK,
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/callbacks/{id}/dial",
        id: "dialCallback",
        tag: "callbacks",
        summary: "The agent is rung, and when they have taken the call, the caller; `tried_in` is the call's id",
        parameters: &[],
        body: Some(("CallBy", || json!({ "agent": "anna" }))),
        success: &[("202", "The callback", "CallbackRecord")],
        refusals: ON_A_CALLBACK,
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/callbacks/{id}/done",
        id: "finishCallback",
        tag: "callbacks",
        summary: "Nobody needs to call any more",
        parameters: &[],
        body: Some(("CallbackDone", || json!({ "outcome": "solved by mail" }))),
        success: &[("200", "The callback", "CallbackRecord")],
        refusals: ON_A_CALLBACK,
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/messages",
        id: "listMessages",
        tag: "messages",
        summary: "Messages that callers left with the AI, the latest first",
        parameters: &[
            ("line", "Only those of this line"),
            ("unread", "`true`: only those that were not read"),
            ("limit", "At most this many; absent: 100"),
        ],
        body: None,
        success: &[("200", "The messages", "MessageList")],
        refusals: &["422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/messages/{id}",
        id: "getMessage",
        tag: "messages",
        summary: "One message",
        parameters: &[],
        body: None,
        success: &[("200", "The message", "MessageRecord")],
        refusals: &["404", "422", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/messages/{id}/read",
        id: "readMessage",
        tag: "messages",
        summary: "Mark a message as read",
        parameters: &[],
        body: None,
        success: &[("200", "The message", "MessageRecord")],
        refusals: &["400", "404", "413", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Delete,
        path: "/v1/messages/{id}",
        id: "deleteMessage",
        tag: "messages",
        summary: "Take a message away",
        parameters: &[],
        body: None,
        success: &[("200", "It is gone", "Done")],
        refusals: &["404", "422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/calls/{id}/record",
        id: "getRecord",
        tag: "calls",
        summary: "The record of an ended call with its decisions and transfers, for as long as the ledger keeps it",
        parameters: &[],
        body: None,
        success: &[("200", "The record, as in the call records' file", "application/json")],
        refusals: ON_A_CALL,
    },
];

/// Callbacks.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct CallbackList {
    /// The oldest first.
    callbacks: Vec<CallbackRecord>,
}

/// A caller who is to be called back.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct CallbackRecord {
    /// Its id.
    id: String,
    /// The call in which it was asked for last.
    call: String,
    /// That call's line.
    line: String,
    /// Its AI profile.
    ai: String,
    /// The list it stands in.
    list: String,
    /// Whom to call.
    number: String,
    /// The number they had called.
    called: String,
    /// Why.
    reason: Option<String>,
    /// When it would suit them.
    at: Option<String>,
    /// When it was asked for first.
    requested: String,
    /// `open`, `claimed`, `dialling` or `done`.
    state: String,
    /// Who has it.
    agent: Option<String>,
    /// Since when it is so far.
    changed: String,
    /// How often somebody set out to call.
    tries: u32,
    /// What came of the last try: `connected`, `agent: …`, `caller: …`, `interrupted`, or what a command said.
    outcome: Option<String>,
    /// The call of the last try.
    tried_in: Option<String>,
    /// What the AI had learned.
    context: BTreeMap<String, Value>,
}

/// Who takes a callback.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct Claim {
    /// The agent.
    agent: String,
}

/// Who calls.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct CallBy {
    /// The agent; absent: who has claimed it.
    agent: Option<String>,
}

/// How a callback was done with.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct CallbackDone {
    /// In at most 256 bytes.
    outcome: Option<String>,
}

/// Messages.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct MessageList {
    /// The latest first.
    messages: Vec<MessageRecord>,
}

/// A message that a caller left with the AI.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
pub(super) struct MessageRecord {
    /// Its id.
    id: String,
    /// The call in which it was left.
    call: String,
    /// That call's line.
    line: String,
    /// Who left it; null when withheld.
    from: Option<String>,
    /// The words.
    text: String,
    /// When.
    left: String,
    /// When it was marked as read.
    read: Option<String>,
}
