//! The shapes of bodies and answers, for the description alone: the types themselves belong to `calls` and `policy`. A
//! test posts every example through the real types, so that the two cannot part.

use super::lasting;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// Name and schema of each shape.
pub(super) fn all() -> Vec<(String, RefOr<Schema>)> {
    fn one<T: ToSchema>(into: &mut Vec<(String, RefOr<Schema>)>) {
        T::schemas(into);
        into.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    }
    let mut shapes = Vec::new();
    one::<Problem>(&mut shapes);
    one::<Events>(&mut shapes);
    one::<EventsReply>(&mut shapes);
    one::<Transfer>(&mut shapes);
    one::<TransferReply>(&mut shapes);
    one::<Handback>(&mut shapes);
    one::<Context>(&mut shapes);
    one::<ContextReply>(&mut shapes);
    one::<Attempt>(&mut shapes);
    one::<Done>(&mut shapes);
    one::<Pause>(&mut shapes);
    one::<RecordingList>(&mut shapes);
    one::<VoicemailList>(&mut shapes);
    one::<Recording>(&mut shapes);
    one::<CallList>(&mut shapes);
    one::<Call>(&mut shapes);
    one::<TrunkList>(&mut shapes);
    one::<AgentList>(&mut shapes);
    one::<AgentSummary>(&mut shapes);
    one::<Agent>(&mut shapes);
    one::<QueueList>(&mut shapes);
    one::<lasting::CallbackList>(&mut shapes);
    one::<lasting::CallbackRecord>(&mut shapes);
    one::<lasting::Claim>(&mut shapes);
    one::<lasting::CallBy>(&mut shapes);
    one::<lasting::CallbackDone>(&mut shapes);
    one::<lasting::MessageList>(&mut shapes);
    one::<lasting::MessageRecord>(&mut shapes);
    one::<Availability>(&mut shapes);
    one::<Rules>(&mut shapes);
    one::<Reloaded>(&mut shapes);
    one::<Evaluate>(&mut shapes);
    one::<EvaluationReply>(&mut shapes);
    one::<Readiness>(&mut shapes);
    one::<Health>(&mut shapes);
    shapes
}

/// Shapes of which only the description is used.
macro_rules! shapes {
    ($($(#[$meta:meta])* struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(ToSchema)]
            #[expect(dead_code, reason = "a shape is described, never made")]
            struct $name { $($(#[$field_meta])* $field: $type,)* }
        )*
    };
}

shapes! {
    /// How long nothing is kept.
    struct Pause {
        /// From `1ms` to `1h`; absent: as configured.
        #[schema(rename = "for", example = "3m")]
        lasting: Option<String>,
    }
    /// Recordings, the newest first.
    struct RecordingList {
        /// As in the answer about one, without its details.
        recordings: Vec<Value>,
    }
    /// Messages, the newest first.
    struct VoicemailList {
        /// As in the answer about one, without its details.
        voicemails: Vec<Value>,
    }
    /// A recording, or a message: what stands beside its audio.
    struct Recording {
        /// The call it is of.
        call: String,
        /// The call's line.
        line: String,
        /// A message's own: `id`, `mailbox`, `from`, and why it ended (`ended_by`).
        message: Option<Value>,
        /// Who can open it, where it is encrypted: public keys (`to`), and the file of the whole timeline (`timeline`).
        encrypted: Option<Value>,
        /// How its upload stands: `waiting`, or where it is (`to`, `unix`, `files` with their SHA-256).
        upload: Option<Value>,
        /// `recording`, `finished` or `interrupted`.
        state: String,
        /// Name of the audio's file.
        audio: Option<String>,
        /// `wav-pcm16`, `wav-pcma`, `wav-pcmu` or `ogg-opus`.
        format: String,
        /// Samples a second.
        sample_rate: u32,
        /// What each channel holds.
        channels: Vec<String>,
        /// Its start, RFC 3339.
        started: String,
        /// Its length.
        duration_ms: u64,
        /// Bytes of the audio's file.
        bytes: u64,
        /// Nothing is missing but what was left out on purpose.
        complete: bool,
        /// What is missing.
        flaws: Value,
        /// Who was to be heard on which channel, and when.
        segments: Vec<Value>,
        /// Stretches of silence: `paused`, or `disk`.
        gaps: Vec<Value>,
        /// What happened in the call.
        events: Vec<Value>,
    }
    /// Why a request was refused (RFC 9457).
    struct Problem {
        /// Stable name of the kind: `urn:tandem:problem:<kind>`.
        #[schema(rename = "type", example = "urn:tandem:problem:transfer-active")]
        kind: String,
        /// The kind in words.
        title: String,
        /// The HTTP status.
        status: u16,
        /// What was wrong this time, and what would be right.
        detail: Option<String>,
        /// The field at fault, as a path: `to`, `[2].score`.
        field: Option<String>,
        /// The transfer that is in the way.
        transfer: Option<String>,
        /// When to try again, in seconds.
        retry_after: Option<u64>,
        /// Every mistake in the rules' files.
        errors: Option<Vec<Diagnostic>>,
    }

    /// A mistake or warning in a rules file.
    struct Diagnostic {
        /// `error` or `warning`.
        severity: String,
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: u32,
        /// The column in characters, counted from 1.
        column: u32,
        /// How many characters are meant.
        width: u32,
        /// The line itself.
        source: String,
        /// What is wrong.
        message: String,
        /// What would be right.
        help: Option<String>,
    }

    /// What came of the events.
    struct EventsReply {
        /// One for each event, in order.
        results: Vec<EventResult>,
        /// `continue`, `finish_sentence` or `stop`.
        guidance: String,
        /// When the last words must be over, in milliseconds since 1970.
        speak_by_ms: Option<u64>,
    }

    /// What came of one event.
    struct EventResult {
        /// Its id if it had one, else its type.
        event: String,
        /// Its id was seen before: it was answered, not counted.
        repeated: Option<bool>,
        /// What was decided, if anything.
        decision: Option<Decision>,
        /// Rule by rule: the verdict and the values compared.
        explanation: Option<BTreeMap<String, Value>>,
        /// Warnings.
        notes: Option<Vec<String>>,
    }

    /// A decision.
    struct Decision {
        /// The rule.
        rule: String,
        /// `transfer` or `end`.
        does: String,
        /// The destination.
        to: Option<String>,
        /// The transfer it started.
        transfer: Option<String>,
        /// Why it was not carried out, if it was not.
        not_done: Option<String>,
    }

    /// Where to hand the caller, and how. What is absent is as the destination and the defaults say.
    struct Transfer {
        /// A destination's name, or a `sip:`, `sips:` or `tel:` URI.
        #[schema(example = "frontdesk")]
        to: String,
        /// `warm` or `cold`.
        mode: Option<String>,
        /// `bridge` or `refer`: who carries a cold transfer out, we or the trunk that brought the call.
        cold_by: Option<String>,
        /// `at_once`, `at_bridge` or `stay`: when the AI leaves; where it stays it hears both and is heard by nobody.
        release_ai: Option<String>,
        /// `"none"`, or `{"within": "20s", "press": "#"}`: before the AI falls silent all three talk with one another.
        introduce: Option<Value>,
        /// `"none"`, `{"prompt": NAME}`, `{"context": [KEY]}`, `{"clip": "5s"}` or `{"ai": TASK}`: what the human alone hears first.
        whisper: Option<Value>,
        /// `"none"`, or `{"press": "1", "within": "10s"}`.
        accept: Option<Value>,
        /// `machine` or `none`: whether a machine that answers is listened for.
        detect: Option<String>,
        /// `{"say": NAME, "say_if": "ai_quiet", "then": NAME}`.
        caller_hears: Option<BTreeMap<String, Value>>,
        /// How long the human's phone rings, for example `20s`.
        ring_timeout: Option<String>,
        /// `after_speech`, `now` or `on_ready`.
        start: Option<String>,
        /// The longest the AI's last words may take.
        drain_max: Option<String>,
        /// Dial the human while the AI still speaks.
        predial: Option<bool>,
        /// In queues: higher ones first, 0 to 1000.
        priority: Option<u32>,
        /// The keys that may travel along, or keys and values to merge first.
        context: Option<Value>,
        /// A list of destinations, or such lists by cause.
        on_failure: Option<Value>,
    }

    /// How a transfer stands.
    struct TransferReply {
        /// Whether nothing more can happen to it.
        over: bool,
        /// Its id.
        id: String,
        /// Its call.
        call: String,
        /// What asked for it.
        source: BTreeMap<String, Value>,
        /// Where to, as asked.
        to: String,
        /// `warm` or `cold`.
        mode: String,
        /// `last_words`, `queued`, `ringing`, `whisper`, `introduction`, `bridged`, `referred`, `failed`, `cancelled` or `call_ended`.
        state: String,
        /// The decision (RFC 3339).
        started: String,
        /// When the caller began to wait.
        waiting: Option<String>,
        /// The bridge.
        bridged: Option<String>,
        /// The outcome.
        ended: Option<String>,
        /// Why it failed.
        cause: Option<String>,
        /// The last attempt's SIP status.
        sip_code: Option<u16>,
        /// Each attempt in the order of dialling.
        attempts: Vec<BTreeMap<String, Value>>,
        /// The longest silence toward the caller around the handoff.
        handoff_silence_ms: Option<u64>,
    }

    /// What the AI is told when the caller comes back.
    struct Handback {
        /// How it went, in one word.
        disposition: Option<String>,
        /// In words.
        note: Option<String>,
        /// Another AI profile than the call's own.
        to_ai: Option<String>,
    }

    /// The context after a merge.
    struct ContextReply {
        /// All keys.
        context: BTreeMap<String, Value>,
    }

    /// Which attempt of a transfer.
    struct Attempt {
        /// Counted from 1; absent: whichever it concerns.
        attempt: Option<u32>,
    }

    /// Done.
    struct Done {
        /// Always true.
        done: bool,
    }

    /// Calls.
    struct CallList {
        /// Live ones first.
        calls: Vec<CallSummary>,
    }

    /// A call in a list.
    struct CallSummary {
        /// Its id.
        id: String,
        /// `connecting`, `with_ai`, `transferring`, `with_human`, `reconnecting`, `announcing`, `ending` or `ended`.
        state: String,
        /// The line called.
        line: String,
        /// The trunk that brought it.
        trunk: String,
        /// The caller's number; null when withheld.
        from: Option<String>,
        /// The number called.
        to: String,
        /// Call-ID of the caller's INVITE.
        sip_call_id: String,
        /// The caller's INVITE (RFC 3339).
        started: String,
        /// Our answer.
        answered: Option<String>,
        /// The end.
        ended: Option<String>,
        /// `inbound`: they called us; `outbound`: we called them.
        direction: String,
        /// The campaign that it was placed for.
        campaign: Option<String>,
        /// Why it ended.
        cause: Option<String>,
        /// Why whoever we called did not answer.
        failure: Option<String>,
        /// The active transfer.
        transfer: Option<String>,
    }

    /// Trunks.
    struct TrunkList {
        /// By name.
        trunks: Vec<TrunkSummary>,
    }

    /// A trunk as it is now.
    struct TrunkSummary {
        /// Its name.
        name: String,
        /// Whether it takes calls: pings and registration, where there are any, are answered.
        up: bool,
        /// Since when (RFC 3339).
        since: String,
        /// Where calls to it are sent; null: it takes none.
        address: Option<String>,
        /// What its last OPTIONS showed: a status, `silent`, `unreachable`; null: none was sent.
        ping: Option<String>,
        /// `registered`, `pending`, `refused: STATUS` or `no answer`; null: none is configured.
        registration: Option<String>,
        /// Until when it stands.
        registered_until: Option<String>,
        /// What became of our REFERs to it: `not_asked`, `takes` or `refuses`; null: it is not to be asked.
        refer: Option<String>,
        /// Until when it asked to be left alone (503 with Retry-After); null: it did not.
        rests_until: Option<String>,
        /// Calls it brought that are up.
        calls_in: u64,
        /// Calls to it that are up or being dialled.
        calls_out: u64,
    }

    /// Agents.
    struct AgentList {
        /// In the configuration's order.
        agents: Vec<AgentSummary>,
    }

    /// An agent as they are now.
    struct AgentSummary {
        /// The name.
        id: String,
        /// `available`, `ringing`, `busy`, `wrap_up`, `resting`, `away` or `offline`.
        state: String,
        /// What they say of themselves: `available`, `busy`, `wrap_up` or `away`.
        presence: String,
        /// What they asked for during a call, for after it.
        after_call: Option<String>,
        /// Their skills, each from 1 to 10.
        skills: BTreeMap<String, u8>,
        /// Calls at once.
        capacity: u32,
        /// Calls they have, are offered, or make.
        calls_now: u64,
        /// Calls they took since the start.
        calls_taken: u64,
        /// Offers in a row that came to nothing.
        unanswered: u32,
        /// Where they are dialled; null: at the phones they registered.
        address: Option<String>,
        /// Seconds since their last call, while they are available.
        idle_s: Option<u64>,
    }

    /// What of an agent is to change; what is left out stays.
    struct Agent {
        /// `available`, `busy`, `wrap_up` or `away`.
        presence: Option<String>,
        /// Their skills, each from 1 to 10, instead of those they had.
        skills: Option<BTreeMap<String, u8>>,
        /// Calls at once, 1 to 100.
        capacity: Option<u32>,
    }

    /// Queues.
    struct QueueList {
        /// By name.
        queues: Vec<QueueSummary>,
    }

    /// A queue as it is now.
    struct QueueSummary {
        /// The destination's name.
        name: String,
        /// Callers who wait.
        waiting: u64,
        /// Seconds that the first of them has waited.
        longest_wait_s: Option<u64>,
        /// Seconds that callers waited lately, on average.
        expected_wait_s: Option<u64>,
        /// Agents with the skills who are at work.
        agents_staffed: u64,
        /// Those of them who are free.
        agents_free: u64,
    }

    /// Whether a destination could take a caller.
    struct Availability {
        /// The destination.
        destination: String,
        /// Whether it could take the caller now.
        available: bool,
        /// Why not: `closed` or `no_agent`.
        cause: Option<String>,
        /// Agents who are free; null where it is no agent's.
        free: Option<u64>,
        /// Callers who wait there.
        waiting: u64,
        /// Seconds to wait; null: nobody can say.
        wait_s: Option<u64>,
        /// When it opens, where it is closed (RFC 3339).
        opens_at: Option<String>,
        /// The agent who is held for the call.
        reserved: Option<String>,
        /// Each agent, and why they are passed over.
        candidates: Vec<Candidate>,
    }

    /// An agent in an explanation.
    struct Candidate {
        /// Who.
        agent: String,
        /// How they stood.
        state: String,
        /// Whether they could be given the caller.
        eligible: bool,
        /// Why, or why not, in words.
        because: String,
    }

    /// Everything about one call.
    struct Call {
        /// Its id.
        id: String,
        /// As in the list; all its other fields are here too.
        state: String,
        /// What is known of it.
        facts: BTreeMap<String, Value>,
        /// What the AI learned.
        context: BTreeMap<String, Value>,
        /// Its legs, gone ones too.
        legs: Vec<BTreeMap<String, Value>>,
        /// Its story, in the words of the events out.
        timeline: Vec<BTreeMap<String, Value>>,
        /// Timeline entries that did not fit.
        timeline_dropped: u64,
        /// Who watches over it, and whose phones ring to do so.
        supervisors: Option<Vec<BTreeMap<String, Value>>>,
        /// Its decisions with their explanations.
        decisions: Vec<BTreeMap<String, Value>>,
        /// Its transfers.
        transfers: Vec<TransferReply>,
        /// What started the transfer under way.
        transfer_source: Option<BTreeMap<String, Value>>,
    }

    /// The rules in force.
    struct Rules {
        /// Counts the loads of this process from 1.
        generation: u64,
        /// When they were loaded (RFC 3339).
        loaded: String,
        /// The files they came from.
        files: Vec<String>,
        /// Ids, from the top.
        rules: Vec<String>,
        /// Names of the destinations.
        destinations: Vec<String>,
        /// What was probably not meant.
        warnings: Vec<Diagnostic>,
    }

    /// Rules that were loaded anew.
    struct Reloaded {
        /// Counts the loads of this process from 1.
        generation: u64,
        /// How many rules are in force.
        rules: u64,
        /// The files they came from.
        files: Vec<String>,
        /// What was probably not meant.
        warnings: Vec<Diagnostic>,
    }

    /// A dry run.
    struct Evaluate {
        /// On this call's facts; absent: on a fresh call's.
        call: Option<String>,
        /// The line of the fresh call.
        line: Option<String>,
        /// The caller of the fresh call.
        caller: Option<String>,
        /// The number the fresh call dialled.
        called: Option<String>,
        /// Folded one by one, each evaluated.
        events: Vec<Event>,
    }

    /// What a dry run found.
    struct EvaluationReply {
        /// One for the state before, then one for each event.
        results: Vec<EventResult>,
        /// The facts afterwards.
        facts: BTreeMap<String, Value>,
    }

    /// Whether new calls can be taken.
    struct Readiness {
        /// Whether they can.
        ready: bool,
        /// Why not.
        reasons: Vec<String>,
    }

    /// The daemon answers.
    struct Health {
        /// Always true.
        alive: bool,
    }
}

/// Keys and values; null removes a key.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a shape is described, never made")]
struct Context(BTreeMap<String, Value>);

/// One event, or an array of at most 100.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a shape is described, never made")]
enum Events {
    /// One.
    One(Event),
    /// Several, evaluated one by one.
    Several(Vec<Event>),
}

/// A fact about a call. Each may carry an `id`: a repeat is answered, not counted. CloudEvents envelopes are taken too.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "a shape is described, never made")]
enum Event {
    /// How the caller feels.
    Sentiment {
        /// The poster's id of the event.
        id: Option<String>,
        /// From -1 to 1, or in the profile's scale.
        score: Option<f64>,
        /// A word that the profile maps.
        label: Option<String>,
    },
    /// What the caller wants.
    Intent {
        /// Its name.
        name: String,
        /// From 0 to 1; absent counts as 1.
        confidence: Option<f64>,
    },
    /// Not understood: one more retry.
    NoMatch {},
    /// Nothing said: one more retry.
    NoInput {},
    /// Understood: the retries start anew.
    Match {},
    /// A verification failed.
    AuthFailed {},
    /// A verification succeeded.
    AuthOk {},
    /// What a sale might bring.
    Lead {
        /// Its value.
        value: Option<f64>,
        /// The plan spoken of.
        plan: Option<String>,
    },
    /// The caller asked for a human.
    TransferRequested {
        /// Why.
        reason: Option<String>,
        /// What the human should know.
        summary: Option<String>,
    },
    /// The AI has said its last words.
    Ready {},
    /// What happened so far.
    Summary {
        /// In words.
        text: String,
    },
    /// One utterance.
    Transcript {
        /// Who spoke.
        speaker: String,
        /// What was said.
        text: String,
    },
    /// The answer to a question of consent.
    Consent {
        /// Yes or no.
        granted: bool,
    },
    /// The caller wants to be called back.
    CallbackRequested {
        /// Where.
        number: Option<String>,
        /// When.
        at: Option<String>,
        /// What about.
        reason: Option<String>,
    },
    /// A message in words.
    Message {
        /// The words.
        text: String,
    },
    /// What the AI learned, key by key.
    Context {
        /// Any keys.
        #[serde(flatten)]
        values: BTreeMap<String, Value>,
    },
    /// Anything else.
    Custom {
        /// Its name.
        name: String,
        /// What declared facts may read.
        data: Option<Value>,
    },
}
