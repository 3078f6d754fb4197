//! Sentence 9: which list follows a failure, and how it is walked.

mod common;

use common::whole;
use policy::{Cause, FailureChain, RuleSet, Step, To, TransferOptions};

/// Destinations a to e, `a` with lists of its own, and defaults.
fn set(of_a: &str, defaults: &str) -> RuleSet {
    let plain = ["b", "c", "d", "e"].map(|name| format!("  {name}: {{ dial: \"sip:{name}@host\" }}\n")).concat();
    whole(&format!(
        "version: 1\ndestinations:\n  a: {{ dial: \"sip:a@host\"{} }}\n{plain}defaults: {{ transfer: {{ {} }} }}\n",
        if of_a.is_empty() { String::new() } else { format!(", on_failure: {of_a}") },
        if defaults.is_empty() { "mode: warm".to_owned() } else { format!("on_failure: {defaults}") },
    ))
}

fn walk(rules: &RuleSet, body: &str, causes: &[Cause]) -> Vec<String> {
    let (to, options) =
        rules.transfer_request(&serde_json::from_str(body).expect("the test says so")).expect("the test says so");
    let mut chain = FailureChain::new(&rules.transfer(&to, &options).expect("the test says so"));
    let mut steps = Vec::new();
    for cause in causes {
        let step = chain.next(*cause);
        steps.push(step.name().to_owned());
        if step == Step::Ai || step == Step::End {
            break;
        }
    }
    steps
}

const A: &str = r#"{"to":"a"}"#;

#[test]
fn a_plain_list_is_for_every_cause() {
    let rules = set("[b, c]", "");
    for cause in Cause::ALL {
        assert_eq!(walk(&rules, A, &[cause; 3]), ["b", "c", "ai"], "{cause}");
    }
}

#[test]
fn lists_are_chosen_by_cause_and_else_is_for_the_others() {
    let rules = set("{ busy: [b], no_answer: [c, end], else: [d] }", "");
    assert_eq!(walk(&rules, A, &[Cause::Busy; 2]), ["b", "ai"]);
    assert_eq!(walk(&rules, A, &[Cause::NoAnswer; 2]), ["c", "end"]);
    for cause in [Cause::Declined, Cause::NotAccepted, Cause::Closed, Cause::Unreachable, Cause::Failed] {
        assert_eq!(walk(&rules, A, &[cause; 2]), ["d", "ai"], "{cause}");
    }
}

#[test]
fn the_first_failure_chooses_the_list_and_later_ones_walk_it() {
    let rules = set("{ busy: [b, c], no_answer: [d] }", "");
    assert_eq!(walk(&rules, A, &[Cause::Busy, Cause::NoAnswer, Cause::NoAnswer]), ["b", "c", "ai"]);
}

#[test]
fn no_list_ends_in_the_ai() {
    assert_eq!(walk(&set("", ""), A, &[Cause::Busy]), ["ai"]);
    assert_eq!(walk(&set("{ busy: [b] }", ""), A, &[Cause::Declined]), ["ai"]);
}

#[test]
fn only_a_list_that_says_end_ends_the_call() {
    assert_eq!(walk(&set("[end]", ""), A, &[Cause::Busy]), ["end"]);
    assert_eq!(walk(&set("[b, end]", ""), A, &[Cause::Busy; 2]), ["b", "end"]);
}

#[test]
fn each_destination_is_tried_once_per_transfer() {
    let rules = set("[a, b, a, b, c]", "");
    assert_eq!(walk(&rules, A, &[Cause::Busy; 4]), ["b", "c", "ai"]);
}

#[test]
fn lists_of_other_destinations_on_the_way_are_not_entered() {
    let rules = whole(
        "version: 1\ndestinations:\n  a: { dial: \"sip:a@h\", on_failure: [b] }\n  b: { dial: \"sip:b@h\", on_failure: [c] }\n  c: { dial: \"sip:c@h\" }\n",
    );
    assert_eq!(walk(&rules, A, &[Cause::Busy; 2]), ["b", "ai"]);
}

#[test]
fn the_requests_over_the_destinations_over_the_defaults_merged_by_cause() {
    let rules = set("{ busy: [b], closed: [c] }", "{ busy: [d], declined: [d], else: [e] }");
    assert_eq!(walk(&rules, A, &[Cause::Busy]), ["b"]);
    assert_eq!(walk(&rules, A, &[Cause::Closed]), ["c"]);
    assert_eq!(walk(&rules, A, &[Cause::Declined]), ["d"]);
    assert_eq!(walk(&rules, A, &[Cause::Failed]), ["e"]);
    let request = r#"{"to":"a","on_failure":{"busy":["e"]}}"#;
    assert_eq!(walk(&rules, request, &[Cause::Busy]), ["e"]);
    assert_eq!(walk(&rules, request, &[Cause::Closed]), ["c"]);
    let plain = r#"{"to":"a","on_failure":["end"]}"#;
    for cause in Cause::ALL {
        assert_eq!(walk(&rules, plain, &[cause]), ["end"], "a plain list leaves nothing of the levels below");
    }
}

#[test]
fn the_rules_lists_stand_over_the_destinations() {
    let rules = whole(
        "version: 1\ndestinations:\n  a: { dial: \"sip:a@h\", on_failure: { busy: [b], else: [c] } }\n  b: { dial: \"sip:b@h\" }\n  c: { dial: \"sip:c@h\" }\nrules:\n  - { id: it, when: { ai_lost: true }, transfer: { to: a, on_failure: { busy: [c] } } }\n",
    );
    let mut call = common::Call::new(rules);
    call.note(&policy::CallFact::AiLost);
    let spec = call.spec();
    assert_eq!(FailureChain::new(&spec).next(Cause::Busy).name(), "c");
    assert_eq!(FailureChain::new(&spec).next(Cause::Failed).name(), "c");
    assert_eq!(spec.rule.as_deref(), Some("it"));
}

#[test]
fn a_chain_remembers_what_it_tried_and_survives_being_written_down() {
    let rules = set("[b, c]", "");
    let spec = rules.transfer(&To::Name("a".into()), &TransferOptions::default()).unwrap();
    let mut chain = FailureChain::new(&spec);
    chain.next(Cause::Busy);
    let mut again: FailureChain = serde_json::from_str(&serde_json::to_string(&chain).unwrap()).unwrap();
    assert_eq!(again, chain);
    assert_eq!(again.next(Cause::Busy), Step::Destination("c".into()));
    let tried: Vec<&str> = again.tried().iter().map(AsRef::as_ref).collect();
    assert_eq!(tried, ["a", "b", "c"]);
}

#[test]
fn no_chain_is_longer_than_its_destinations() {
    let rules = set("[b, c, d, e, b, c, d, e, a, a]", "");
    let spec = rules.transfer(&To::Name("a".into()), &TransferOptions::default()).unwrap();
    let mut chain = FailureChain::new(&spec);
    let steps = (0..20).map(|_| chain.next(Cause::Failed)).take_while(|step| *step != Step::Ai).count();
    assert_eq!(steps, 4);
}
