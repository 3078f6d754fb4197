//! The description of the API for programs: OpenAPI 3.1, with an example for every body that can be posted as it is.

mod lasting;
mod outbound;
mod shapes;
mod supervision;

use serde_json::{Value, json};
use utoipa::openapi::{
    Components, Content, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, Ref, Required, Response,
    ResponseBuilder, ResponsesBuilder, Schema,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
    tag::TagBuilder,
};

/// The document as JSON.
pub(crate) fn text() -> String {
    serde_json::to_string_pretty(&document()).unwrap_or_default()
}

fn document() -> OpenApi {
    let mut paths = Paths::new();
    for described in DESCRIBED.iter().chain(lasting::DESCRIBED).chain(outbound::DESCRIBED) {
        paths.add_path_operation(described.path, vec![described.method.clone()], described.operation());
    }
    let mut components = Components::new();
    for (name, schema) in shapes::all().into_iter().chain(supervision::all()).chain(outbound::all()) {
        components.schemas.insert(name, schema);
    }
    let tags = [
        ("calls", "What is said about a call, and done with it"),
        ("transfers", "A handoff under way"),
        ("agents", "Who can be given callers, and who waits for them"),
        ("callbacks", "Who is to be called back"),
        ("messages", "What callers left with the AI"),
        ("recordings", "What was said"),
        ("rules", "The rules in force"),
        ("events", "What happens, as it happens"),
        ("daemon", "The daemon itself"),
    ];
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Tandem control API")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "HTTP over a unix socket. Refusals are problem documents (RFC 9457) that name the field and the reason.",
                ))
                .license(Some(License::new("MIT OR Apache-2.0")))
                .build(),
        )
        .tags(Some(tags.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build())))
        .paths(paths)
        .components(Some(components))
        .build()
}

/// One route in words.
struct Described {
    method: HttpMethod,
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    /// Name and meaning of each query or header parameter.
    parameters: &'static [(&'static str, &'static str)],
    body: Option<Body>,
    /// Status, meaning and schema (or media type) of success.
    success: &'static [(&'static str, &'static str, &'static str)],
    refusals: &'static [&'static str],
}

/// Name of a body's schema, and an example of it.
type Body = (&'static str, fn() -> Value);

const ON_A_CALL: &[&str] = &["400", "404", "408", "410", "413", "415", "422", "503"];
const ON_A_TRANSFER: &[&str] = &["400", "404", "409", "503"];

const DESCRIBED: &[Described] = &[
    Described {
        method: HttpMethod::Get,
        path: "/v1/calls",
        id: "listCalls",
        tag: "calls",
        summary: "Live calls and those that ended lately",
        parameters: &[
            ("sip_call_id", "Only the call whose caller's INVITE has this Call-ID"),
            ("state", "`active` or `ended`; absent: both"),
            ("limit", "At most this many, the first of the list"),
        ],
        body: None,
        success: &[("200", "The calls", "CallList")],
        refusals: &["422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/calls/{id}",
        id: "getCall",
        tag: "calls",
        summary: "One call with its facts, legs, timeline, decisions and transfers",
        parameters: &[],
        body: None,
        success: &[("200", "The call", "Call")],
        refusals: &["404", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/events",
        id: "postEvents",
        tag: "calls",
        summary: "Tell what happened in the conversation; the rules are evaluated and the answer says what they decided and why",
        parameters: &[],
        body: Some((
            "Events",
            || json!([{ "type": "no_match" }, { "type": "sentiment", "score": -0.7, "id": "e-17" }]),
        )),
        success: &[("200", "What came of each event", "EventsReply")],
        refusals: ON_A_CALL,
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/transfer",
        id: "startTransfer",
        tag: "calls",
        summary: "Hand the caller to a destination or an address",
        parameters: &[
            ("wait", "Answer with the outcome, at the latest after this long, for example `30s`"),
            ("Idempotency-Key", "A repeat with the same key answers with the first one's transfer"),
        ],
        body: Some(("Transfer", || json!({ "to": "frontdesk", "mode": "warm", "ring_timeout": "20s" }))),
        success: &[
            ("202", "It is under way; `Location` names it", "TransferReply"),
            ("200", "It is over (with `wait`)", "TransferReply"),
        ],
        refusals: &["400", "404", "408", "409", "410", "413", "415", "422", "429", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/hangup",
        id: "hangUp",
        tag: "calls",
        summary: "End the call: every leg",
        parameters: &[],
        body: None,
        success: &[("200", "It is ending", "Done")],
        refusals: &["404", "410", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/recording/pause",
        id: "pauseRecording",
        tag: "recordings",
        summary: "Keep nothing of the call for a while: a gap of equal length, and no digits",
        parameters: &[],
        body: Some(("Pause", || json!({ "for": "3m" }))),
        success: &[("200", "It is paused", "Done")],
        refusals: &["400", "404", "408", "409", "410", "413", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/recording/resume",
        id: "resumeRecording",
        tag: "recordings",
        summary: "Keep everything again",
        parameters: &[],
        body: None,
        success: &[("200", "It goes on", "Done")],
        refusals: &["400", "404", "408", "409", "410", "413", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/recording/stop",
        id: "stopRecording",
        tag: "recordings",
        summary: "End the recording; it does not begin again in this call",
        parameters: &[],
        body: None,
        success: &[("200", "It ends", "Done")],
        refusals: &["400", "404", "408", "409", "410", "413", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/recordings",
        id: "listRecordings",
        tag: "recordings",
        summary: "The newest recordings",
        parameters: &[("limit", "At most this many; 100 unless told, 10000 at the most")],
        body: None,
        success: &[("200", "The recordings", "RecordingList")],
        refusals: &["422", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/recordings/{id}",
        id: "getRecording",
        tag: "recordings",
        summary: "A recording with its timeline, by its call: who was to be heard where and when, pauses, events",
        parameters: &[],
        body: None,
        success: &[("200", "The recording", "Recording")],
        refusals: &["404", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/recordings/{id}/audio",
        id: "getAudio",
        tag: "recordings",
        summary: "Its audio, once it is finished",
        parameters: &[],
        body: None,
        success: &[("200", "The file", "audio/wav audio/ogg application/vnd.age")],
        refusals: &["404", "409", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/recordings/{id}/timeline",
        id: "getTimeline",
        tag: "recordings",
        summary: "Its whole timeline, as the file that it is: JSON, or encrypted",
        parameters: &[],
        body: None,
        success: &[("200", "The file", "application/json application/vnd.age")],
        refusals: &["404", "409", "500"],
    },
    Described {
        method: HttpMethod::Delete,
        path: "/v1/recordings/{id}",
        id: "deleteRecording",
        tag: "recordings",
        summary: "Remove everything of it: audio, timeline, whatever is half done",
        parameters: &[],
        body: None,
        success: &[("200", "It is gone", "Done")],
        refusals: &["404", "409", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/voicemails",
        id: "listVoicemails",
        tag: "recordings",
        summary: "The newest messages that callers left in mailboxes",
        parameters: &[
            ("limit", "At most this many; 100 unless told, 10000 at the most"),
            ("mailbox", "Of this mailbox only"),
        ],
        body: None,
        success: &[("200", "The messages", "VoicemailList")],
        refusals: &["422", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/voicemails/{id}",
        id: "getVoicemail",
        tag: "recordings",
        summary: "A message: whose mailbox, who left it, when, how long",
        parameters: &[],
        body: None,
        success: &[("200", "The message", "Recording")],
        refusals: &["404", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/voicemails/{id}/audio",
        id: "getVoicemailAudio",
        tag: "recordings",
        summary: "Its audio, once it is there",
        parameters: &[],
        body: None,
        success: &[("200", "The file", "audio/wav audio/ogg application/vnd.age")],
        refusals: &["404", "409", "500"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/voicemails/{id}/timeline",
        id: "getVoicemailTimeline",
        tag: "recordings",
        summary: "What stands beside its audio, as the file that it is: JSON, or encrypted",
        parameters: &[],
        body: None,
        success: &[("200", "The file", "application/json application/vnd.age")],
        refusals: &["404", "409", "500"],
    },
    Described {
        method: HttpMethod::Delete,
        path: "/v1/voicemails/{id}",
        id: "deleteVoicemail",
        tag: "recordings",
        summary: "Remove everything of it",
        parameters: &[],
        body: None,
        success: &[("200", "It is gone", "Done")],
        refusals: &["404", "409", "500"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/handback",
        id: "handBack",
        tag: "calls",
        summary: "The human gives the caller back to the AI",
        parameters: &[],
        body: Some(("Handback", || json!({ "disposition": "solved", "note": "Refund is on its way." }))),
        success: &[("200", "The AI is being reached", "Done")],
        refusals: &["400", "404", "409", "410", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/calls/{id}/supervise",
        id: "supervise",
        tag: "calls",
        summary: "Ring a supervisor, who hears the call and is heard by nobody, by the human, or by the caller too; again: change that",
        parameters: &[],
        body: Some(("Supervise", || json!({ "to": "sip:lead@pbx.example.net", "mode": "listen" }))),
        success: &[
            ("202", "Their phones are rung; `Location` names them", "Supervisor"),
            ("200", "They are there, and their mode is this now", "Supervisor"),
        ],
        refusals: &["400", "404", "408", "409", "410", "413", "415", "422", "429", "503"],
    },
    Described {
        method: HttpMethod::Patch,
        path: "/v1/calls/{id}/supervise/{supervisor}",
        id: "changeSupervisor",
        tag: "calls",
        summary: "Change who hears a supervisor",
        parameters: &[],
        body: Some(("SuperviseChange", || json!({ "mode": "whisper" }))),
        success: &[("200", "From now on", "Supervisor")],
        refusals: ON_A_CALL,
    },
    Described {
        method: HttpMethod::Delete,
        path: "/v1/calls/{id}/supervise/{supervisor}",
        id: "endSupervisor",
        tag: "calls",
        summary: "Let a supervisor go; the call goes on",
        parameters: &[],
        body: None,
        success: &[("200", "They are hung up on", "Done")],
        refusals: &["404", "410", "503"],
    },
    Described {
        method: HttpMethod::Patch,
        path: "/v1/calls/{id}/context",
        id: "mergeContext",
        tag: "calls",
        summary: "Merge keys into the call's context; null removes one (RFC 7396)",
        parameters: &[],
        body: Some(("Context", || json!({ "customer_name": "Ada Lovelace", "verified": true, "old_key": null }))),
        success: &[("200", "The whole context", "ContextReply")],
        refusals: ON_A_CALL,
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/transfers/{tid}",
        id: "getTransfer",
        tag: "transfers",
        summary: "How a transfer stands; readable until its call has ended",
        parameters: &[],
        body: None,
        success: &[("200", "The transfer", "TransferReply")],
        refusals: &["404", "503"],
    },
    Described {
        method: HttpMethod::Delete,
        path: "/v1/transfers/{tid}",
        id: "cancelTransfer",
        tag: "transfers",
        summary: "Cancel a transfer that is not bridged yet; the AI has the caller again",
        parameters: &[],
        body: None,
        success: &[("200", "The transfer, cancelled", "TransferReply")],
        refusals: ON_A_TRANSFER,
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/transfers/{tid}/accept",
        id: "acceptTransfer",
        tag: "transfers",
        summary: "Accept for the human, instead of the digit",
        parameters: &[],
        body: Some(("Attempt", || json!({ "attempt": 1 }))),
        success: &[("200", "The transfer", "TransferReply")],
        refusals: ON_A_TRANSFER,
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/transfers/{tid}/decline",
        id: "declineTransfer",
        tag: "transfers",
        summary: "Decline for the human; the next target or destination is tried",
        parameters: &[],
        body: Some(("Attempt", || json!({ "attempt": 1 }))),
        success: &[("200", "The transfer", "TransferReply")],
        refusals: ON_A_TRANSFER,
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/trunks",
        id: "listTrunks",
        tag: "daemon",
        summary: "Every trunk: whether it takes calls, what its last ping and its registration showed, how many calls it carries",
        parameters: &[],
        body: None,
        success: &[("200", "The trunks", "TrunkList")],
        refusals: &["422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/agents",
        id: "listAgents",
        tag: "agents",
        summary: "Every agent: how they stand, their skills, the calls they have",
        parameters: &[],
        body: None,
        success: &[("200", "The agents", "AgentList")],
        refusals: &["422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/agents/{id}",
        id: "getAgent",
        tag: "agents",
        summary: "One agent",
        parameters: &[],
        body: None,
        success: &[("200", "The agent", "AgentSummary")],
        refusals: &["404", "422", "503"],
    },
    Described {
        method: HttpMethod::Patch,
        path: "/v1/agents/{id}",
        id: "changeAgent",
        tag: "agents",
        summary: "Change an agent's presence, skills or capacity; a presence asked for during a call takes effect after it",
        parameters: &[],
        body: Some(("Agent", || json!({ "presence": "away" }))),
        success: &[("200", "The agent", "AgentSummary")],
        refusals: &["404", "413", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/queues",
        id: "listQueues",
        tag: "agents",
        summary: "Every queue: who waits, for how long, and how many agents there are",
        parameters: &[],
        body: None,
        success: &[("200", "The queues", "QueueList")],
        refusals: &["422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/destinations/{name}/availability",
        id: "getAvailability",
        tag: "agents",
        summary: "Whether a destination could take a caller now, before anything is promised; `reserve` holds an agent for the call",
        parameters: &[
            ("call", "For the needs of this call's caller; an agent promised to it counts as free"),
            ("reserve", "Hold the agent for this call, up to 60s"),
        ],
        body: None,
        success: &[("200", "Whether it could, and if not, why", "Availability")],
        refusals: &["404", "422", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/rules",
        id: "getRules",
        tag: "rules",
        summary: "The rules in force",
        parameters: &[],
        body: None,
        success: &[("200", "Their ids, files and warnings", "Rules")],
        refusals: &[],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/rules/evaluate",
        id: "evaluateRules",
        tag: "rules",
        summary: "A dry run of events on a call's facts, or on a fresh call's; nothing of it stays",
        parameters: &[],
        body: Some((
            "Evaluate",
            || json!({ "line": "support", "caller": "+493055512345", "events": [{ "type": "no_match" }] }),
        )),
        success: &[("200", "What each event would decide", "EvaluationReply")],
        refusals: &["400", "404", "413", "415", "422", "503"],
    },
    Described {
        method: HttpMethod::Post,
        path: "/v1/rules/reload",
        id: "reloadRules",
        tag: "rules",
        summary: "Read the rules' files anew: all or nothing; calls keep their facts",
        parameters: &[],
        body: None,
        success: &[("200", "In force", "Reloaded")],
        refusals: &["422"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/v1/events",
        id: "followEvents",
        tag: "events",
        summary: "A WebSocket that tells everything that happens, one JSON text a message",
        parameters: &[
            ("call", "Only of these calls, comma separated"),
            ("type", "Only of these types, comma separated; `transfer.*` takes all that start so"),
            ("line", "Only of these lines, comma separated"),
            ("since", "Resume after this sequence number; 0: everything that is kept"),
        ],
        body: None,
        success: &[("101", "WebSocket", "")],
        refusals: &["403", "422", "426", "503"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/healthz",
        id: "health",
        tag: "daemon",
        summary: "Whether the daemon answers",
        parameters: &[],
        body: None,
        success: &[("200", "It does", "Health")],
        refusals: &[],
    },
    Described {
        method: HttpMethod::Get,
        path: "/readyz",
        id: "readiness",
        tag: "daemon",
        summary: "Whether new calls can be taken",
        parameters: &[],
        body: None,
        success: &[("200", "They can", "Readiness"), ("503", "They cannot; `reasons` says why", "Readiness")],
        refusals: &[],
    },
    Described {
        method: HttpMethod::Get,
        path: "/metrics",
        id: "metrics",
        tag: "daemon",
        summary: "Metrics in Prometheus' text format",
        parameters: &[],
        body: None,
        success: &[("200", "The metrics", "text/plain")],
        refusals: &["504"],
    },
    Described {
        method: HttpMethod::Get,
        path: "/openapi.json",
        id: "openapi",
        tag: "daemon",
        summary: "This document",
        parameters: &[],
        body: None,
        success: &[("200", "OpenAPI 3.1", "application/json")],
        refusals: &[],
    },
];

impl Described {
    fn operation(&self) -> Operation {
        let mut operation =
            OperationBuilder::new().operation_id(Some(self.id)).tag(self.tag).summary(Some(self.summary));
        let message = self.path.starts_with("/v1/voicemails");
        let id = if message { "The message's id, `v_…`" } else { "The call's id, `c_…`" };
        for (mark, name, text) in [
            ("{id}", "id", id),
            ("{tid}", "tid", "The transfer's id, `t_…`"),
            ("{supervisor}", "supervisor", "The supervisor's name, such as `supervisor-1`"),
        ] {
            if self.path.contains(mark) {
                operation = operation.parameter(parameter(name, ParameterIn::Path, text));
            }
        }
        for (name, text) in self.parameters {
            let place = if name.starts_with(char::is_uppercase) { ParameterIn::Header } else { ParameterIn::Query };
            operation = operation.parameter(parameter(name, place, text));
        }
        if let Some((schema, example)) = self.body {
            let content =
                Content::builder().schema(Some(Ref::from_schema_name(schema))).example(Some(example())).build();
            let needed = if matches!(schema, "Attempt" | "Handback") { Required::False } else { Required::True };
            let body = RequestBodyBuilder::new().content("application/json", content).required(Some(needed)).build();
            operation = operation.request_body(Some(body));
        }
        let mut responses = ResponsesBuilder::new();
        for (status, text, schema) in self.success {
            responses = responses.response(*status, success(text, schema));
        }
        for status in self.refusals.iter().chain(&["403", "405", "504"]) {
            if !self.success.iter().any(|(other, ..)| other == status) {
                responses = responses.response(*status, refusal(status));
            }
        }
        operation.responses(responses.build()).build()
    }
}

fn parameter(name: &str, place: ParameterIn, text: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let schema = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(text))
        .schema(Some(schema))
        .build()
}

fn success(text: &str, schema: &str) -> Response {
    let response = ResponseBuilder::new().description(text);
    match schema {
        "" => response.build(),
        media_types if media_types.contains('/') => {
            let schema = || Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
            let content =
                |response: ResponseBuilder, media_type| response.content(media_type, Content::new(Some(schema())));
            media_types.split(' ').fold(response, content).build()
        }
        schema => response.content("application/json", Content::new(Some(Ref::from_schema_name(schema)))).build(),
    }
}

fn refusal(status: &str) -> Response {
    let text = match status {
        "400" => "Malformed: the place is named by line and column, or by field",
        "403" => "A foreign Host or Origin",
        "404" => "Unknown id, or a path of no route",
        "405" => "Another method; `Allow` lists them",
        "408" => "The body came too slowly",
        "409" => "Not in this state; `transfer` names what is in the way",
        "410" => "The call has ended",
        "413" => "Too large",
        "415" => "Another media type is needed",
        "422" => "A field's value cannot be taken; `field` and `detail` say which and why",
        "426" => "Only WebSocket",
        "429" => "A limit of this call, or of calls that are placed, is reached; `Retry-After` says when to try again",
        "503" => "Busy; `Retry-After` says when to try again",
        "504" => "The engine did not answer in time",
        _ => "Refused",
    };
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    ResponseBuilder::new().description(text).content("application/problem+json", content).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_described_and_nothing_else_is() {
        let routes: BTreeSet<(String, String)> =
            crate::described_routes().into_iter().map(|(method, path)| (method, path.to_owned())).collect();
        let document: Value = serde_json::from_str(&text()).unwrap();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        assert_eq!(routes, described);
    }

    #[test]
    fn every_schema_that_is_referred_to_exists() {
        let text = text();
        let document: Value = serde_json::from_str(&text).unwrap();
        let names: BTreeSet<&str> =
            document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut seen = 0;
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(names.contains(name), "{name} is not described");
            seen += 1;
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let all = || DESCRIBED.iter().chain(lasting::DESCRIBED).chain(outbound::DESCRIBED);
        let ids: BTreeSet<&str> = all().map(|it| it.id).collect();
        assert_eq!(ids.len(), all().count());
    }
}
