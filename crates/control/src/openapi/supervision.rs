//! The shapes of supervision, for the description alone.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// Name and schema of each shape.
pub(super) fn all() -> [(String, RefOr<Schema>); 3] {
    fn one<T: ToSchema>() -> (String, RefOr<Schema>) {
        (T::name().into_owned(), <T as PartialSchema>::schema())
    }
    [one::<Supervise>(), one::<SuperviseChange>(), one::<Supervisor>()]
}

/// Whom to ring, and who is to hear them. One who is there already has only their mode changed.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
struct Supervise {
    /// An agent's name, or a `sip:`, `sips:` or `tel:` URI.
    #[schema(example = "anna")]
    to: String,
    /// `listen` (nobody hears them; the default), `whisper` (the human alone does) or `barge` (the caller too). The AI never does.
    mode: Option<String>,
    /// How long their phones ring, from `1s` to `10m`; `20s` when absent.
    ring_timeout: Option<String>,
}

/// Who is to hear a supervisor from now on.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
struct SuperviseChange {
    /// `listen`, `whisper` or `barge`.
    mode: String,
}

/// A supervisor of a call.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
struct Supervisor {
    /// Its leg's name: what PATCH and DELETE take.
    #[schema(example = "supervisor-1")]
    supervisor: String,
    /// As asked.
    to: String,
    /// `listen`, `whisper` or `barge`.
    mode: String,
    /// `ringing` or `joined`.
    state: String,
    /// When they were asked for, or joined.
    since: String,
}
