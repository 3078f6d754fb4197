//! Calls that are placed, described.

use super::Described;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{HttpMethod, RefOr, Schema},
};

pub(super) const DESCRIBED: &[Described] = &[Described {
    method: HttpMethod::Post,
    path: "/v1/calls",
    id: "placeCall",
    tag: "calls",
    summary: "Call somebody; when they answer, an AI profile or a destination has them",
    parameters: &[
        ("wait", "Answer when they have answered or will not, at the latest after this long, for example `30s`"),
        ("Idempotency-Key", "A repeat with the same key answers with the first one's call"),
    ],
    body: Some((
        "Place",
        || json!({ "to": "tel:+493055512345", "ai": "main", "context": { "appointment": "2026-12-01T09:00" } }),
    )),
    success: &[
        ("202", "Their phone is dialled; `Location` names the call", "Placed"),
        ("200", "They have answered or will not (with `wait`)", "Placed"),
    ],
    refusals: &["400", "404", "408", "409", "413", "415", "422", "429", "503"],
}];

/// Name and schema of each shape.
pub(super) fn all() -> [(String, RefOr<Schema>); 2] {
    fn one<T: ToSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), <T as PartialSchema>::schema())
    }
    [one::<Place>(), one::<Placed>()]
}

/// Who is called, for whom, and what is known of them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
struct Place {
    /// A `tel:`, `sip:` or `sips:` URI.
    #[schema(example = "tel:+493055512345")]
    to: String,
    /// The AI profile that talks to them; absent: the campaign's, else that of the line's route.
    ai: Option<String>,
    /// The destination of the rules that gets them instead of an AI.
    connect: Option<String>,
    /// The line whose rules hold; absent: the campaign's, else that on which `from` would be answered.
    line: Option<String>,
    /// The number (E.164) that they see: `outbound.from`, one that a route names, or one that `outbound.allow_from` allows.
    from: Option<String>,
    /// How long their phone rings, from `5s` to `3m`.
    ring_timeout: Option<String>,
    /// Whether the AI is dialled while their phone rings; absent: as its profile says.
    predial: Option<bool>,
    /// `{"on_machine": "hang_up"}`, `continue`, or `none`: what is done about a machine that answers; absent: as campaign and
    /// configuration say.
    amd: Option<Value>,
    /// What is known of them and of why they are called.
    context: Option<BTreeMap<String, Value>>,
    /// What the call is about: a name, or `{name, confidence}`.
    intent: Option<Value>,
    /// At most 16 tags that rules may ask for.
    tags: Option<Vec<String>>,
    /// The campaign it belongs to; also a tag.
    campaign: Option<String>,
    /// The person's time zone (IANA): the campaign's hours are judged by their clocks.
    time_zone: Option<String>,
}

/// A call that was placed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
struct Placed {
    /// Its id.
    call: String,
    /// Whether it is decided: they answered, and it is known what did where that is listened for; or they will not.
    over: bool,
    /// As in the list of calls.
    state: String,
    /// When they answered.
    answered: Option<String>,
    /// Why it ended, when it has.
    cause: Option<String>,
    /// Why they did not answer: `busy`, `no_answer`, `declined`, `machine`, `unreachable`, `failed`.
    failure: Option<String>,
    /// The final SIP status of their phone.
    sip_code: Option<u16>,
    /// `{result, because, after_ms}`: what answered, where that was listened for and is known.
    amd: Option<Value>,
}
