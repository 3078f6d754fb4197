//! Events as an AI posts them: names, fields, bounds, ids, CloudEvents.

mod common;

use common::{Call, rules};
use policy::{
    CallFact, EventError, LARGEST_CONTEXT, LARGEST_DATA, LONGEST_NAME, LONGEST_TEXT, MOST_CONTEXT_KEYS, MOST_DIGITS,
    MOST_EVENTS, MOST_IDS, MOST_INTENTS, MOST_SAMPLES, MOST_SCORES, MOST_SERIES, Posted, RuleSet, TYPES,
};
use serde_json::{Value, json};

fn read(value: &Value) -> Result<Posted, EventError> {
    Posted::from_json(value)
}

#[test]
fn every_type_is_read_with_its_fields_and_written_the_same() {
    let all = [
        json!({"type": "sentiment", "score": -0.5, "label": "cross"}),
        json!({"type": "intent", "name": "balance", "confidence": 0.9}),
        json!({"type": "no_match"}),
        json!({"type": "no_input"}),
        json!({"type": "match"}),
        json!({"type": "auth_failed"}),
        json!({"type": "auth_ok"}),
        json!({"type": "lead", "value": 20000.0, "plan": "enterprise"}),
        json!({"type": "transfer_requested", "reason": "wants a human", "summary": "line one\nline two"}),
        json!({"type": "ready"}),
        json!({"type": "summary", "text": "all said"}),
        json!({"type": "transcript", "speaker": "caller", "text": "hello"}),
        json!({"type": "consent", "granted": true}),
        json!({"type": "callback_requested", "number": "+4930", "at": "tomorrow", "reason": "busy"}),
        json!({"type": "message", "text": "call me"}),
        json!({"type": "context", "customer_name": "Anna", "order": {"id": 7}}),
        json!({"type": "custom", "name": "churn", "data": {"score": 0.4}}),
    ];
    let types: Vec<&str> = all.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, TYPES);
    for event in all {
        let posted = read(&event).unwrap();
        assert_eq!(serde_json::to_value(&posted).unwrap(), event);
        assert_eq!(posted.event.type_name(), event["type"]);
        let again: Posted = serde_json::from_value(serde_json::to_value(&posted).unwrap()).unwrap();
        assert_eq!(again, posted);
    }
}

#[test]
fn mistakes_name_the_field_and_what_would_be_right() {
    let table = [
        (json!({"type": "sentimnt", "score": 1}), "type", "unknown event type `sentimnt`, did you mean `sentiment`?"),
        (json!({"type": "sentiment", "scroe": 1}), "scroe", "unknown field `scroe`, did you mean `score`?"),
        (json!({"type": "sentiment"}), "", "`score` or `label` is missing"),
        (
            json!({"type": "sentiment", "score": "-0.5"}),
            "score",
            "found the text \"-0.5\", expected a number, write it without quotes",
        ),
        (json!({"type": "intent"}), "", "`name` is missing"),
        (json!({"type": "intent", "name": 5}), "name", "found `5`, expected text"),
        (json!({"type": "intent", "name": ""}), "name", "empty text means nothing here"),
        (json!({"type": "intent", "name": "a\r\nb"}), "name", "control characters are not allowed here"),
        (
            json!({"type": "intent", "name": "a", "confidence": 1.2}),
            "confidence",
            "found 1.2, expected a number from 0 to 1",
        ),
        (json!({"type": "no_match", "count": 3}), "count", "unknown field `count`, known here: `id`, `type`"),
        (json!({"type": "consent", "granted": "yes"}), "granted", "found the text \"yes\", expected `true` or `false`"),
        (
            json!({"type": "summary", "text": "a\u{0}b"}),
            "text",
            "control characters other than line ends and tabs are not allowed here",
        ),
        (json!({"name": "x"}), "", "`type` is missing"),
        (json!([1]), "", "found a list, expected a mapping (`key: value`)"),
        (json!({"type": "lead", "value": null}), "value", "`value` has no value"),
        (
            json!({"type": "custom", "name": "x", "data": {"a": [{"b": "c\u{7}"}]}}),
            "data.a[0].b",
            "control characters other than line ends and tabs are not allowed here",
        ),
    ];
    for (event, field, message) in table {
        let error = read(&event).unwrap_err();
        assert_eq!((error.field.as_str(), error.message.as_str()), (field, message), "{event}");
    }
    let unknown = read(&json!({"type": "zzz"})).unwrap_err().to_string();
    assert!(unknown.starts_with("type: unknown event type `zzz`, the types are sentiment, intent,"), "{unknown}");
}

#[test]
fn texts_and_data_are_bounded() {
    let name = |length: usize| json!({"type": "intent", "name": "x".repeat(length)});
    assert!(read(&name(LONGEST_NAME)).is_ok());
    assert!(read(&name(LONGEST_NAME + 1)).is_err());
    let text = |length: usize| json!({"type": "summary", "text": "ü".repeat(length)});
    assert!(read(&text(LONGEST_TEXT)).is_ok());
    assert!(read(&text(LONGEST_TEXT + 1)).is_err());
    let data = |length: usize| json!({"type": "custom", "name": "x", "data": vec![1; length]});
    assert!(read(&data((LARGEST_DATA - 2) / 2)).is_ok());
    assert!(read(&data(LARGEST_DATA)).is_err());
    let mut deep = json!(1);
    for _ in 0..20 {
        deep = json!([deep]);
    }
    assert!(read(&json!({"type": "custom", "name": "x", "data": deep})).is_err());
    let id = json!({"type": "ready", "id": "x".repeat(LONGEST_NAME + 1)});
    assert_eq!(read(&id).unwrap_err().field, "id");
}

#[test]
fn an_array_is_read_whole_or_not_at_all_and_says_which_is_wrong() {
    let list = json!([{"type": "no_match"}, {"type": "ready", "id": "1"}]);
    assert_eq!(Posted::list_from_json(&list).unwrap().len(), 2);
    assert_eq!(Posted::list_from_json(&json!({"type": "ready"})).unwrap().len(), 1);
    let error = Posted::list_from_json(&json!([{"type": "no_match"}, {"type": "redy"}])).unwrap_err();
    assert_eq!(error.to_string(), "event 1: type: unknown event type `redy`, did you mean `ready`?");
    let many = Value::Array(vec![json!({"type": "ready"}); MOST_EVENTS + 1]);
    assert!(Posted::list_from_json(&many).unwrap_err().message.contains("at most 100"));
}

#[test]
fn cloudevents_envelopes_are_opened() {
    let envelope = json!({
        "specversion": "1.0", "id": "A234", "source": "/bot/7", "type": "com.example.intent",
        "time": "2026-11-30T03:12:00Z", "datacontenttype": "application/json", "traceparent": "00-1",
        "data": {"name": "balance", "confidence": 0.9},
    });
    let posted = read(&envelope).unwrap();
    assert_eq!(posted.id.as_deref(), Some("A234"));
    assert_eq!(
        serde_json::to_value(&posted.event).unwrap(),
        json!({"type": "intent", "name": "balance", "confidence": 0.9})
    );
    assert!(read(&json!({"specversion": "1.0", "id": "1", "source": "x", "type": "no_match"})).is_ok());
    let wrong = json!({"specversion": "1.0", "id": "1", "source": "x", "type": "intent", "data": {"nam": "x"}});
    assert!(read(&wrong).unwrap_err().message.contains("missing") || read(&wrong).unwrap_err().field == "data.nam");
}

#[test]
fn a_repeated_id_is_answered_not_counted() {
    let mut call = Call::new(RuleSet::default());
    assert!(!call.fold(r#"{"type":"no_match","id":"1"}"#).repeat);
    assert!(call.fold(r#"{"type":"no_match","id":"1"}"#).repeat);
    assert!(!call.fold(r#"{"type":"no_match"}"#).repeat);
    assert_eq!(call.facts.retries(), 2);
}

#[test]
fn a_refused_event_leaves_its_id_free() {
    let mut call = Call::new(RuleSet::default());
    let bad: Posted = serde_json::from_str(r#"{"type":"sentiment","score":7,"id":"1"}"#).unwrap();
    assert!(call.facts.fold(call.now, &bad).is_err());
    assert!(!call.fold(r#"{"type":"sentiment","score":0.7,"id":"1"}"#).repeat);
}

#[test]
fn context_is_merged_key_by_key_and_null_removes() {
    let mut call = Call::new(RuleSet::default());
    call.event(r#"{"type":"context","a":1,"b":{"c":2}}"#);
    call.event(r#"{"type":"context","a":null,"d":"x"}"#);
    assert_eq!(serde_json::to_value(call.facts.context()).unwrap(), json!({"b": {"c": 2}, "d": "x"}));
}

#[test]
fn a_context_too_large_is_refused_and_nothing_changes() {
    let mut call = Call::new(RuleSet::default());
    for n in 0..MOST_CONTEXT_KEYS {
        call.fold(&format!(r#"{{"type":"context","k{n}":1}}"#));
    }
    let before = call.facts.clone();
    let more: Posted = serde_json::from_str(r#"{"type":"context","one_more":1}"#).unwrap();
    assert!(call.facts.fold(call.now, &more).unwrap_err().message.contains("at most 64"));
    assert_eq!(call.facts, before);

    let mut call = Call::new(RuleSet::default());
    let big = "x".repeat(4000);
    let mut refused = 0;
    for n in 0..8 {
        let event: Posted = serde_json::from_value(json!({"type": "context", format!("k{n}"): big})).unwrap();
        refused += usize::from(call.facts.fold(call.now, &event).is_err());
    }
    let size: usize = call.facts.context().values().map(|value| value.to_string().len()).sum();
    assert!(refused > 0 && size <= LARGEST_CONTEXT);
}

#[test]
fn whatever_is_posted_the_facts_stay_small() {
    let mut call = Call::new(rules("facts: { many: { type: number, from: custom, key: many.n, within: 1h } }\n"));
    for n in 0..2000 {
        call.fold(&format!(r#"{{"type":"sentiment","score":0.1,"id":"id{n}"}}"#));
        call.fold(&format!(r#"{{"type":"intent","name":"intent{n}"}}"#));
        call.fold(&format!(r#"{{"type":"custom","name":"c{n}","data":{{"x":1,"y":2}}}}"#));
        call.fold(r#"{"type":"custom","name":"many","data":{"n":1}}"#);
        call.facts.note(call.now, &CallFact::Dtmf('1'));
    }
    let size = serde_json::to_string(&call.facts).unwrap().len();
    let bound = MOST_IDS * 40
        + MOST_SCORES * 40
        + MOST_INTENTS * 40
        + MOST_SERIES * (MOST_SAMPLES * 40 + 200)
        + MOST_DIGITS
        + 2000;
    assert!(size < bound, "{size} bytes");
    let folded = call.fold(r#"{"type":"custom","name":"new","data":1}"#);
    assert!(folded.warnings[0].contains("one source too many"), "{:?}", folded.warnings);
}
