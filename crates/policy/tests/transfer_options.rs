//! A transfer's options: request over rule over destination over defaults, and the same words in a request.

mod common;

use common::{Call, whole};
use core::time::Duration;
use policy::{
    Accept, CallerHears, Detect, Hold, Introduce, Mode, Place, ReleaseAi, Ring, SayIf, Start, To, TransferOptions,
    TransferSpec, Whisper,
};
use serde_json::json;

const RULES: &str = "version: 1
destinations:
  plain: { dial: \"sip:plain@host\" }
  rich:
    dial: [\"sip:a@host\", \"sip:b@host\"]
    ring: simultaneous
    mode: cold
    ring_timeout: 11s
    start: on_ready
    drain_max: 1s
    predial: false
    caller_hears: { then: ringback }
    whisper: none
    accept: { press: \"#\" }
    release_ai: at_bridge
    introduce: { within: 15s, press: \"*\" }
    detect: machine
    context: [intent]
  number: { dial: \"tel:+15550199\", trunk: carrier }
  robot: { ai: sales }
defaults:
  transfer:
    ring_timeout: 30s
    accept: { press: \"1\", within: 5s }
    whisper: { prompt: incoming }
    caller_hears: { say: hold-on, say_if: ai_quiet, then: music/jazz }
rules:
  - { id: it, when: { ai_lost: true }, transfer: { to: rich, mode: warm, ring_timeout: 7s, accept: none } }
";

fn spec(body: &serde_json::Value) -> TransferSpec {
    let rules = whole(RULES);
    let (to, options) = rules.transfer_request(body).unwrap_or_else(|error| panic!("{error}"));
    rules.transfer(&to, &options).expect("the test says so")
}

#[test]
fn what_nobody_says_has_a_value_all_the_same() {
    let rules = whole("version: 1\ndestinations: { a: { dial: \"sip:a@host\" } }\n");
    let spec = rules.transfer(&To::Name("a".into()), &TransferOptions::default()).unwrap();
    assert_eq!(spec.mode, Mode::Warm);
    assert_eq!(spec.ring_timeout, Duration::from_secs(20));
    assert_eq!(spec.start, Start::AfterSpeech);
    assert_eq!(spec.drain_max, Duration::from_secs(5));
    assert!(spec.predial);
    assert_eq!(
        spec.caller_hears,
        CallerHears { say: None, say_if: SayIf::Always, then: Hold::Music("music/default".into()) }
    );
    assert_eq!(spec.whisper, Whisper::None);
    assert_eq!(spec.accept, None);
    assert_eq!(spec.release_ai, ReleaseAi::AtBridge);
    assert_eq!((spec.context, spec.introduce, spec.detect), (None, None, Detect::None));
}

#[test]
fn a_destination_speaks_over_the_defaults() {
    let plain = spec(&json!({"to": "plain"}));
    assert_eq!(plain.ring_timeout, Duration::from_secs(30));
    assert_eq!(plain.accept, Some(Accept { press: '1', within: Duration::from_secs(5) }));
    assert_eq!(plain.whisper, Whisper::Prompt("incoming".into()));
    let hears =
        CallerHears { say: Some("hold-on".into()), say_if: SayIf::AiQuiet, then: Hold::Music("music/jazz".into()) };
    assert_eq!(plain.caller_hears, hears);

    let rich = spec(&json!({"to": "rich"}));
    assert_eq!((rich.mode, rich.ring_timeout), (Mode::Cold, Duration::from_secs(11)));
    assert_eq!((rich.start, rich.drain_max, rich.predial), (Start::OnReady, Duration::from_secs(1), false));
    assert_eq!(rich.caller_hears, CallerHears { say: None, say_if: SayIf::Always, then: Hold::Ringback });
    assert_eq!(rich.whisper, Whisper::None);
    assert_eq!(rich.accept, Some(Accept { press: '#', within: Duration::from_secs(10) }));
    assert_eq!(rich.release_ai, ReleaseAi::AtBridge);
    assert_eq!(rich.introduce, Some(Introduce { within: Duration::from_secs(15), press: Some('*') }));
    assert_eq!(rich.context, Some(vec!["intent".into()]));
    assert_eq!((plain.detect, rich.detect), (Detect::None, Detect::Machine));
    let Place::Dial(dial) = rich.place else { panic!() };
    assert_eq!((dial.targets.len(), dial.ring), (2, Ring::Simultaneous));
}

/// What nobody may hear again is not kept: only the lines on which some whisper tells it say so.
#[test]
fn the_callers_own_words_are_kept_where_some_whisper_may_tell_them() {
    let clip = |lasting: &str| format!("transfer: {{ to: plain, whisper: {{ clip: {lasting}, prompt: hello }} }}");
    let rule =
        |id: &str, lasting: &str| format!("  - id: {id}\n    when: {{ ai_lost: true }}\n    {}\n", clip(lasting));
    let plain = "version: 1\ndestinations: { plain: { dial: \"sip:a@host\" } }\n";
    assert_eq!(whole(plain).whispered_words("support"), None);
    let by_rule = format!("applies_to: {{ lines: [support] }}\n{plain}rules:\n{}{}", rule("a", "4s"), rule("b", "9s"));
    let rules = whole(&by_rule);
    assert_eq!(rules.whispered_words("support"), Some(Duration::from_secs(9)));
    assert_eq!(rules.whispered_words("sales"), None);
    for everywhere in ["defaults: { transfer: { whisper: { clip: 3s } } }", ""] {
        let own = if everywhere.is_empty() { "whisper: { clip: 3s }," } else { "" };
        let text = format!("version: 1\n{everywhere}\ndestinations: {{ plain: {{ {own} dial: \"sip:a@host\" }} }}\n");
        assert_eq!(whole(&text).whispered_words("sales"), Some(Duration::from_secs(3)), "{text}");
    }
    let spec = whole(&format!("{plain}rules:\n{}", rule("a", "4s")));
    let (to, options) = spec.transfer_request(&json!({"to": "plain", "whisper": {"clip": "2s"}})).unwrap();
    let spec = spec.transfer(&to, &options).unwrap();
    assert_eq!(spec.whisper, Whisper::Clip { lasting: Duration::from_secs(2), prompt: None });
}

#[test]
fn a_rule_speaks_over_the_destination_and_goes_along_the_chain() {
    let mut call = Call::new(whole(RULES));
    call.note(&policy::CallFact::AiLost);
    let first = call.spec();
    assert_eq!((first.mode, first.ring_timeout, first.accept.clone()), (Mode::Warm, Duration::from_secs(7), None));
    let next = call.rules.next_in_chain("plain", &first).unwrap();
    assert_eq!((next.mode, next.ring_timeout, next.accept), (Mode::Warm, Duration::from_secs(7), None));
    assert_eq!(next.rule.as_deref(), Some("it"));
}

#[test]
fn a_request_speaks_over_all_in_the_words_of_the_rules() {
    let asked = spec(&json!({
        "to": "rich", "mode": "warm", "ring_timeout": "9s", "start": "now", "whisper": {"prompt": "hello"},
        "accept": {"press": "5", "within": "20s"}, "caller_hears": {"say": "one-moment", "then": "music/slow"},
        "context": ["customer_name"], "on_failure": ["plain", "end"], "detect": "none",
    }));
    assert_eq!(asked.detect, Detect::None);
    assert_eq!((asked.mode, asked.ring_timeout, asked.start), (Mode::Warm, Duration::from_secs(9), Start::Now));
    assert_eq!(asked.whisper, Whisper::Prompt("hello".into()));
    assert_eq!(asked.accept, Some(Accept { press: '5', within: Duration::from_secs(20) }));
    assert_eq!(asked.context, Some(vec!["customer_name".into()]));
    assert!(asked.on_failure.replaces);
}

#[test]
fn cold_lets_the_ai_go_at_once_and_warm_at_the_bridge() {
    assert_eq!(spec(&json!({"to": "plain", "mode": "cold"})).release_ai, ReleaseAi::AtOnce);
    assert_eq!(spec(&json!({"to": "plain", "mode": "warm"})).release_ai, ReleaseAi::AtBridge);
    assert_eq!(
        spec(&json!({"to": "plain", "mode": "cold", "release_ai": "at_bridge"})).release_ai,
        ReleaseAi::AtBridge
    );
}

#[test]
fn the_ai_may_introduce_the_caller_and_may_stay() {
    let stays = spec(&json!({"to": "plain", "release_ai": "stay", "introduce": {}}));
    assert_eq!(stays.release_ai, ReleaseAi::Stay);
    assert_eq!(stays.introduce, Some(Introduce { within: Duration::from_secs(20), press: None }));
    assert_eq!(spec(&json!({"to": "rich", "introduce": "none"})).introduce, None, "over the destination");
    // Levels that differ: whoever comes first counts, and an AI that has left introduces nobody.
    assert_eq!(spec(&json!({"to": "rich", "mode": "cold"})).release_ai, ReleaseAi::AtBridge);
    let rules = whole(RULES);
    for (body, field, message) in [
        (json!({"to": "plain", "introduce": "20s"}), "introduce", "expected `{ within: 20s }` or `none`"),
        (json!({"to": "plain", "introduce": {"within": "6m"}}), "introduce.within", "5m"),
        (json!({"to": "plain", "introduce": {"press": "11"}}), "introduce.press", "one key of a telephone"),
        (json!({"to": "plain", "mode": "cold", "introduce": {}}), "introduce", "the AI has left"),
        (json!({"to": "plain", "release_ai": "at_once", "introduce": {}}), "introduce", "add `release_ai: at_bridge`"),
    ] {
        let error = rules.transfer_request(&body).unwrap_err();
        assert_eq!(error.field, field, "{body}: {error:?}");
        assert!(error.message.contains(message), "{body}: {}", error.message);
    }
}

#[test]
fn a_request_may_name_an_address() {
    for uri in ["sip:anna@host", "sips:anna@host", "tel:+4930", "SIP:anna@host"] {
        let spec = spec(&json!({"to": uri}));
        assert_eq!(&*spec.to, uri);
        let Place::Dial(dial) = spec.place else { panic!() };
        assert_eq!((&*dial.targets[0], dial.trunk), (uri, None));
    }
    let number = spec(&json!({"to": "number"}));
    let Place::Dial(dial) = number.place else { panic!() };
    assert_eq!(dial.trunk.as_deref(), Some("carrier"));
    assert_eq!(spec(&json!({"to": "ai"})).place, Place::Ai { profile: None });
    assert_eq!(spec(&json!({"to": "robot"})).place, Place::Ai { profile: Some("sales".into()) });
}

#[test]
fn what_is_wrong_in_a_request_is_told_with_its_field() {
    let rules = whole(RULES);
    for (body, field, message) in [
        (json!({}), "", "`to` is missing"),
        (json!({"to": "plain", "mood": "warm"}), "mood", "unknown key `mood`, did you mean `mode`?"),
        (json!({"to": "plain", "mode": "hot"}), "mode", "unknown mode `hot`, known here: `warm`, `cold`"),
        (
            json!({"to": "plain", "ring_timeout": 20}),
            "ring_timeout",
            "found `20`, expected a duration such as `20s`, a duration has a unit: `20s` or `20ms`?",
        ),
        (
            json!({"to": "plain", "accept": {"press": 1}}),
            "accept.press",
            "found `1`, expected a key as text, such as \"1\", write \"1\"",
        ),
        (
            json!({"to": "plain", "on_failure": ["plian"]}),
            "on_failure[0]",
            "unknown destination `plian`, did you mean `plain`?",
        ),
        (
            json!({"to": "plain", "whisper": {"clip": "5s", "context": ["intent"]}}),
            "whisper.context",
            "either the caller's own words are heard, or `context`, leave one of them away",
        ),
    ] {
        let error = rules.transfer_request(&body).unwrap_err();
        assert_eq!((error.field.as_str(), error.message.as_str()), (field, message), "{body}");
    }
    let unknown = rules.transfer(&To::parse("plian"), &TransferOptions::default()).unwrap_err();
    assert_eq!(unknown.to_string(), "unknown destination `plian`, did you mean `plain`?");
    let hint = rules.transfer(&To::parse("+4930"), &TransferOptions::default()).unwrap_err().to_string();
    assert!(hint.contains("begins `sip:`, `sips:` or `tel:`"), "{hint}");
}
