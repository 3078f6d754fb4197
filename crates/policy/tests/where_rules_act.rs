//! Sentence 3: a rule acts in its phase; elsewhere events are folded but decide nothing, and the explanation says so.

mod common;

use common::{Call, NOON, rules, when};
use policy::{CallStart, Listening, Phase, Verdict};

const PHASES: [Phase; 4] = [Phase::Start, Phase::Ai, Phase::Waiting, Phase::Human];

#[test]
fn a_rule_acts_in_its_own_phase_alone() {
    for own in PHASES {
        let act = if own == Phase::Waiting { "tag: it" } else { "transfer: desk" };
        let set = rules(&format!(
            "rules:\n  - id: it\n    while: {}\n    when: {{ retries: {{ at_least: 1 }} }}\n    {act}\n",
            own.name()
        ));
        for phase in PHASES {
            let mut call = Call::starting(set.clone(), CallStart::default(), Listening::default(), NOON);
            call.phase = phase;
            let acted = call.say("no_match").is_some();
            assert_eq!(acted, phase == own, "{own:?} in {phase:?}");
            if phase != own {
                assert_eq!(call.verdict(), Verdict::OtherPhase);
                assert_eq!(call.because(), format!("acts while {}, now is {}", own.name(), phase.name()));
            }
        }
    }
}

#[test]
fn what_became_true_elsewhere_acts_on_the_return() {
    let mut call = Call::new(rules(
        "facts: { lead.value: { type: number, from: lead } }\nrules:\n  - { id: it, when: { fact: lead.value, above: 5 }, transfer: desk }\n",
    ));
    call.phase = Phase::Waiting;
    assert_eq!(call.event(r#"{"type":"lead","value":9}"#), None);
    assert_eq!(call.stint().as_deref(), Some("it"));
}

#[test]
fn what_held_before_and_still_holds_does_not_act_again_on_the_return() {
    let mut call = Call::new(rules(
        "facts: { lead.value: { type: number, from: lead } }\nrules:\n  - { id: it, when: { fact: lead.value, above: 5 }, transfer: desk }\n",
    ));
    assert_eq!(call.event(r#"{"type":"lead","value":9}"#).as_deref(), Some("it"));
    call.phase = Phase::Human;
    call.evaluate();
    assert_eq!(call.stint(), None);
    assert_eq!(call.verdict(), Verdict::AlreadyTrue);
}

#[test]
fn that_a_condition_ended_is_noticed_in_every_phase() {
    let mut call = Call::new(when("{ retries: { at_least: 1 } }"));
    assert_eq!(call.say("no_match").as_deref(), Some("it"));
    call.phase = Phase::Human;
    call.say("match");
    call.phase = Phase::Ai;
    assert_eq!(call.say("no_match").as_deref(), Some("it"));
}

#[test]
fn at_the_start_only_rules_for_the_start_are_asked() {
    let set = rules(
        "rules:\n  - { id: it, when: { retries: { at_most: 9 } }, transfer: desk }\n  - { id: early, while: start, when: { line: support }, announce: hello }\n",
    );
    let start = CallStart { line: Some("support".into()), ..CallStart::default() };
    let mut call = Call::starting(set, start, Listening::default(), NOON);
    assert_eq!(call.evaluate().as_deref(), Some("early"));
    assert!(call.decision().is_none());
    assert_eq!(call.stint().as_deref(), Some("it"));
}

#[test]
fn a_file_for_one_line_says_nothing_to_calls_of_another() {
    let text = "applies_to: { lines: [support] }\nrules:\n  - { id: it, when: { retries: { at_least: 1 } }, transfer: desk }\n";
    for (line, acts) in [(Some("support"), true), (Some("sales"), false), (None, false)] {
        let start = CallStart { line: line.map(Into::into), ..CallStart::default() };
        let mut call = Call::from(rules(text), start);
        assert_eq!(call.say("no_match").is_some(), acts, "{line:?}");
        assert_eq!(call.explanation().rules.len(), usize::from(acts), "another tenant's rules do not show");
    }
}
