//! Sentences 11 and 12: where `$path` may stand, and how a caller's number is understood.

mod common;

use common::{Call, complaints, rules};
use policy::{Act, CallStart, Environment, RuleSet, SourceFile, Verdict};

#[test]
fn a_path_is_a_whole_value_of_set_and_notify() {
    let mut call = Call::from(
        rules(
            "facts: { lead.value: { type: number, from: lead, default: 3 } }
rules:
  - id: it
    when: { retries: { at_least: 1 } }
    set: { who: $caller, what: $lead.value, name: $context.customer_name, text: costs $caller, misses: $retries }
    notify: { line: $line, intent: $intent, feeling: $sentiment, to: $called, by: $trunk, ai: $profile, failed: $auth_failures }
",
        ),
        CallStart {
            caller: Some("+4930".into()),
            called: Some("+4989".into()),
            line: Some("support".into()),
            trunk: Some("carrier".into()),
            profile: Some("default".into()),
            ..CallStart::default()
        },
    );
    call.event(r#"{"type":"context","customer_name":"Anna"}"#);
    call.feel(-0.25);
    call.say("no_match");
    let context = call.facts.context();
    assert_eq!(context["who"], "+4930");
    assert_eq!(context["what"], 3);
    assert_eq!(context["name"], "Anna");
    assert_eq!(context["text"], "costs $caller", "part of a value is text");
    assert_eq!(context["misses"], 1);
    let Act::Notify(fields) = &call.last.as_ref().unwrap().actions[5].act else { panic!() };
    let fields = serde_json::to_value(fields).unwrap();
    let expected = serde_json::json!({ "line": "support", "intent": null, "feeling": -0.25, "to": "+4989", "by": "carrier", "ai": "default", "failed": 0 });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&fields[key], value, "{key}");
    }
}

#[test]
fn a_path_never_stands_in_an_address() {
    assert!(complaints("version: 1\ndestinations: { a: { dial: $context.number } }\n").contains("cannot contain `$`"));
}

fn verdict(condition: &str, caller: Option<&str>) -> bool {
    let list = SourceFile::list("vip.txt", "+493012345678  # Anna\n+4989*\n");
    let text = format!(
        "version: 1\nlists: {{ vip: {{ numbers: vip.txt }}, few: {{ numbers: [\"+1555\"] }} }}\nrules:\n  - {{ id: it, when: {{ caller: {condition} }}, tag: it }}\n"
    );
    let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", text), list], &Environment::default());
    let rules = loaded.unwrap_or_else(|mistakes| panic!("{mistakes}")).rules;
    let start = CallStart { caller: caller.map(Into::into), ..CallStart::default() };
    Call::from(rules, start).verdict() == Verdict::Fired
}

#[test]
fn numbers_are_matched_as_e164_however_they_are_written() {
    for caller in ["+493012345678", "+49 30 1234-5678", "tel:+49-30-12345678", "+49(30)12345678;phone-context=x"] {
        assert!(verdict("\"+49 30 12345678\"", Some(caller)), "{caller}");
        assert!(verdict("{ in_list: vip }", Some(caller)), "{caller}");
        assert!(verdict("{ matches: \"+4930*\" }", Some(caller)), "{caller}");
    }
}

#[test]
fn patterns_lists_and_their_edges() {
    for (condition, caller, expected) in [
        ("{ matches: \"+4930*\" }", "+4930", true),
        ("{ matches: \"+4930*\" }", "+493", false),
        ("{ matches: \"+49301\" }", "+493012", false),
        ("{ matches: \"+4930?\" }", "+49305", true),
        ("{ matches: \"+4930?\" }", "+493055", false),
        ("{ matches: [\"+1*\", \"+44*\"] }", "+442", true),
        ("{ matches: \"*\" }", "100", true),
        ("{ in_list: vip }", "+4989", true),
        ("{ in_list: vip }", "+498912345", true),
        ("{ in_list: vip }", "+498", false),
        ("{ in_list: vip }", "+4930123456789", false),
        ("{ in_list: [vip, few] }", "+1555", true),
        ("{ is: \"100\" }", "100", true),
        ("{ in: [\"100\", \"200\"] }", "200", true),
        ("{ is: \"+49100\" }", "49100", false),
        ("{ exists: true }", "100", true),
    ] {
        assert_eq!(verdict(condition, Some(caller)), expected, "{condition} {caller}");
    }
}

#[test]
fn a_withheld_number_is_absent() {
    for caller in [None, Some(""), Some("anonymous"), Some("Anonymous"), Some("unavailable"), Some("restricted")] {
        assert!(verdict("{ exists: false }", caller), "{caller:?}");
        for condition in ["{ exists: true }", "{ matches: \"*\" }", "{ in_list: vip }", "\"100\""] {
            assert!(!verdict(condition, caller), "{condition} {caller:?}");
        }
    }
}
