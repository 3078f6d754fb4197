//! `callback` and `message`: as destinations, as steps, as what a rule decides.
#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic")]

use clock::Now;
use policy::{
    CALLBACK_PROMPT, CallFact, CallStart, Callback, Cause, Environment, Event, Facts, FailureChain, Phase, Place,
    Posted, RuleSet, SourceFile, To, TransferOptions, Verb,
};
use std::{sync::Arc, time::Duration};

const RULES: &str = r#"
version: 1
destinations:
  desk:  { dial: "sip:1@192.0.2.1", on_failure: { busy: [callback], no_answer: [later], else: [message] } }
  later: { callback: { list: sales, say: will-call } }
  short: { callback: sales }
rules:
  - id: wants-one
    when: { intent: call_me }
    callback: { list: vip }
  - id: asked
    when: { event: callback_requested }
    tag: asked
  - id: later
    when: { retries: { at_least: 1 } }
    transfer: short
  - id: no-desk
    when: { intent: desk }
    transfer: desk
tests:
  - name: nobody answers, the caller is called back
    steps: [{ intent: desk }, { wait: 30s }, no_match]
    call: { caller: "+49301" }
    outcomes: { desk: no_answer }
    expect: { tried: [desk, later], ended_at: later }
  - name: by a step of its own
    steps: [{ intent: desk }]
    call: { caller: "+49301" }
    outcomes: { desk: busy }
    expect: { tried: [desk, callback], ended_at: callback }
  - name: whose number is withheld comes back to the AI
    steps: [{ intent: desk }]
    outcomes: { desk: busy }
    expect: { tried: [desk, callback], ended_at: ai, why: { desk: busy, callback: unreachable } }
  - name: the AI takes a message
    steps: [{ intent: desk }]
    outcomes: { desk: declined }
    expect: { tried: [desk, message], ended_at: ai }
  - name: a rule decides it
    steps: [{ intent: call_me }]
    call: { caller: "+49301" }
    expect: { rule: wants-one, ended_at: callback }
"#;

fn rules(text: &str) -> RuleSet {
    RuleSet::load(&[SourceFile::main("rules.yaml", text)], &Environment::default())
        .unwrap_or_else(|wrong| panic!("{wrong}"))
        .rules
}

fn place(rules: &RuleSet, name: &str) -> Place {
    rules.transfer(&To::parse(name), &TransferOptions::default()).unwrap().place
}

#[test]
fn a_callback_is_a_destination_with_a_list_and_a_prompt_or_none() {
    let rules = rules(RULES);
    let callback = |list: Option<&str>, say: Option<&str>| {
        Place::Callback(Callback { list: list.map(Arc::from), say: say.map(Arc::from) })
    };
    assert_eq!(place(&rules, "later"), callback(Some("sales"), Some("will-call")));
    assert_eq!(place(&rules, "short"), callback(Some("sales"), None));
    assert_eq!(place(&rules, "callback"), callback(None, None), "it needs no destination of that name");
    assert_eq!(place(&rules, "message"), Place::Message);
    assert_eq!(&*Callback::default().prompt(), CALLBACK_PROMPT);
    assert!(rules.prompts().any(|prompt| prompt == CALLBACK_PROMPT) && rules.prompts().any(|it| it == "will-call"));
}

#[test]
fn a_destination_of_that_name_takes_the_words_place() {
    let rules = rules("version: 1\ndestinations:\n  callback: { dial: \"sip:1@192.0.2.1\" }\n");
    assert!(matches!(place(&rules, "callback"), Place::Dial(_)));
}

#[test]
fn a_step_by_its_own_name_is_walked_once() {
    let rules = rules(RULES);
    let desk = rules.transfer(&To::parse("desk"), &TransferOptions::default()).unwrap();
    let mut chain = FailureChain::new(&desk);
    let policy::Step::Destination(name) = chain.next(Cause::Busy) else { panic!("a step") };
    let spec = rules.next_in_chain(&name, &desk).unwrap();
    assert!(matches!(spec.place, Place::Callback(_)));
    assert_eq!(chain.next(Cause::Unreachable), policy::Step::Ai);
}

#[test]
fn a_rule_decides_a_callback_even_when_its_transfers_are_used_up() {
    let rules =
        rules(&RULES.replace(
            "rules:\n  - id: wants-one",
            "defaults: { rules: { max_transfers: 0 } }\nrules:\n  - id: wants-one",
        ));
    let mut facts = Facts::new(CallStart::default(), Arc::default(), Now::default());
    facts.note(Now::default(), &CallFact::StintStarted);
    let event = Posted::from(Event::Intent { name: "call_me".into(), confidence: None });
    facts.fold(Now::default(), &event).unwrap();
    let decision = rules.evaluate(&mut facts, Now::default(), Phase::Ai).decision.expect("a decision");
    let Verb::Transfer(spec) = decision.verb else { panic!("{:?}", decision.verb) };
    assert_eq!(spec.place, Place::Callback(Callback { list: Some("vip".into()), say: None }));
    assert_eq!((&*spec.to, spec.rule.as_deref()), ("callback", Some("wants-one")));
}

#[test]
fn the_files_own_tests_know_them() {
    for report in rules(RULES).run_tests() {
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn where_nobody_may_be_called_back_the_author_is_warned() {
    let told = |callbacks, prompts: &[&str]| {
        let prompts = Some(prompts.iter().map(|name| (*name).to_owned()).collect());
        let environment = Environment { callbacks, prompts, ..Environment::default() };
        let text = "version: 1\nrules:\n  - id: it\n    when: { ai_lost: true }\n    callback: true\n";
        let loaded = RuleSet::load(&[SourceFile::main("rules.yaml", text)], &environment).unwrap();
        loaded.warnings.iter().map(|it| it.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(told(Some(true), &["callback"]), [] as [&str; 0]);
    assert_eq!(told(Some(false), &["callback"]), ["nobody may be called back"]);
    assert_eq!(told(None, &[]), ["there is no prompt `callback`"]);
}

#[test]
fn an_agent_is_rung_for_a_callback_without_a_word_and_nothing_follows() {
    let text = "version: 1\ndefaults:\n  transfer: { whisper: { prompt: w }, accept: { press: \"1\" }, mode: warm, on_failure: [ai] }\n";
    let spec = rules(text).ring_agent("anna", Duration::from_secs(30));
    assert_eq!((spec.whisper, spec.accept, spec.mode), (policy::Whisper::None, None, policy::Mode::Cold));
    assert_eq!(spec.on_failure.steps(Cause::Busy), [policy::Step::End]);
    let Place::Dial(dial) = spec.place else { panic!("a phone") };
    assert_eq!(*dial.targets[0], *"agent:anna");
}
