//! Sentences 5, 6 and 7: sentiment and its scale, retries, intents and their confidence.

mod common;

use common::{Call, NOON, when};
use policy::{CallStart, Listening, Posted, RuleSet};

fn listening(rules: RuleSet, listening: Listening) -> Call {
    Call::starting(rules, CallStart::default(), listening, NOON).with_ai()
}

fn score_of(call: &Call) -> Option<f64> {
    call.facts.view(call.now).sentiment
}

#[test]
fn a_profiles_scale_is_mapped_to_minus_one_and_one() {
    let other = Listening { scale: [-5.0, 5.0], ..Listening::default() };
    let mut call = listening(RuleSet::default(), other);
    for (given, mapped) in [(-5.0, -1.0), (0.0, 0.0), (2.5, 0.5), (5.0, 1.0)] {
        call.feel(given);
        assert_eq!(score_of(&call), Some(mapped));
    }
    let mut stars = listening(RuleSet::default(), Listening { scale: [1.0, 5.0], ..Listening::default() });
    stars.feel(3.0);
    assert_eq!(score_of(&stars), Some(0.0));
}

#[test]
fn a_score_out_of_scale_is_refused_never_clamped() {
    for (scale, score) in [([-1.0, 1.0], 1.01), ([-1.0, 1.0], -2.0), ([-5.0, 5.0], 5.5), ([0.0, 1.0], -0.1)] {
        let mut call = listening(RuleSet::default(), Listening { scale, ..Listening::default() });
        let posted: Posted = serde_json::from_str(&format!(r#"{{"type":"sentiment","score":{score}}}"#)).unwrap();
        let before = call.facts.clone();
        let error = call.facts.fold(call.now, &posted).unwrap_err();
        assert_eq!(error.field, "score");
        assert!(error.message.contains("out of scale"), "{}", error.message);
        assert_eq!(call.facts, before, "nothing has changed");
    }
}

#[test]
fn a_label_alone_is_mapped_and_an_unknown_one_kept_with_a_warning() {
    let labels = [("frustrated".to_owned(), -0.6)].into();
    let mut call = listening(when("{ sentiment: { below: -0.5 } }"), Listening { labels, ..Listening::default() });
    let folded = call.fold(r#"{"type":"sentiment","label":"amused"}"#);
    assert!(folded.warnings[0].contains("`amused` has no score"), "{:?}", folded.warnings);
    assert_eq!(call.evaluate(), None);
    assert_eq!(call.event(r#"{"type":"sentiment","label":"frustrated"}"#).as_deref(), Some("it"));
}

#[test]
fn a_score_beside_a_label_is_the_score() {
    let labels = [("frustrated".to_owned(), -0.6)].into();
    let mut call = listening(RuleSet::default(), Listening { labels, ..Listening::default() });
    call.event(r#"{"type":"sentiment","score":0.2,"label":"frustrated"}"#);
    assert!((score_of(&call).unwrap() - 0.2).abs() < 1e-12);
}

#[test]
fn last_asks_for_so_many_in_a_row() {
    for (scores, holds) in [
        (&[-0.6][..], false),
        (&[-0.6, -0.7], true),
        (&[-0.6, 0.0, -0.7], false),
        (&[0.9, -0.6, -0.7], true),
        (&[-0.6, -0.5], false),
    ] {
        let mut call = Call::new(when("{ sentiment: { below: -0.5, last: 2 } }"));
        let acted = scores.iter().filter_map(|score| call.feel(*score)).count() > 0;
        assert_eq!(acted, holds, "{scores:?}");
    }
}

#[test]
fn within_forgets_what_is_older() {
    let mut call = Call::new(when("{ sentiment: { below: -0.5, last: 2, within: 1m } }"));
    call.feel(-0.9);
    call.after(61);
    assert_eq!(call.feel(-0.9), None);
    assert!(call.because().starts_with("sentiment is known 1 time, needs below -0.5, 2 times in a row, within 1m"));
    call.after(60);
    assert_eq!(call.feel(-0.9).as_deref(), Some("it"), "exactly a minute is within a minute");
}

#[test]
fn retries_count_failed_turns_and_start_anew_with_a_match() {
    // What each event makes of the count.
    for (events, retries) in [
        (&["no_match", "no_input"][..], 2),
        (&["no_match", "match"], 0),
        (&["no_match", "match", "no_input"], 1),
        (&["no_match", "auth_failed", "ready"], 1),
    ] {
        let mut call = Call::new(RuleSet::default());
        for event in events {
            call.say(event);
        }
        assert_eq!(call.facts.retries(), retries, "{events:?}");
    }
}

#[test]
fn an_intent_at_or_above_match_confidence_is_a_match() {
    for (confidence, retries) in [("0.49", 1), ("0.5", 0), ("1", 0)] {
        let mut call = Call::new(RuleSet::default());
        call.say("no_match");
        call.event(&format!(r#"{{"type":"intent","name":"x","confidence":{confidence}}}"#));
        assert_eq!(call.facts.retries(), retries, "{confidence}");
    }
    let mut call = Call::new(RuleSet::default());
    call.say("no_match");
    call.event(r#"{"type":"intent","name":"x"}"#);
    assert_eq!(call.facts.retries(), 0, "absent confidence counts as 1");
    let mut strict = listening(RuleSet::default(), Listening { match_confidence: 0.9, ..Listening::default() });
    strict.say("no_match");
    strict.event(r#"{"type":"intent","name":"x","confidence":0.8}"#);
    assert_eq!(strict.facts.retries(), 1);
}

#[test]
fn intent_is_the_latest_and_intent_seen_any_of_the_stint() {
    let post = |call: &mut Call, name: &str| call.event(&format!(r#"{{"type":"intent","name":"{name}"}}"#));
    let mut latest = Call::new(when("{ intent: a }"));
    post(&mut latest, "b");
    assert_eq!(post(&mut latest, "a").as_deref(), Some("it"));
    post(&mut latest, "b");
    assert_eq!(latest.because(), "intent is b at confidence 1, needs a");

    let mut seen = Call::new(when("{ all: [ { intent_seen: a }, { intent: b } ] }"));
    post(&mut seen, "a");
    assert_eq!(post(&mut seen, "b").as_deref(), Some("it"));
}

#[test]
fn confidence_is_a_floor_and_absent_counts_as_one() {
    for (posted, holds) in [(r#""confidence":0.59"#, false), (r#""confidence":0.6"#, true), ("", true)] {
        let mut call = Call::new(when("{ intent: { is: [fraud, stolen], confidence: 0.6 } }"));
        let comma = if posted.is_empty() { "" } else { "," };
        let acted = call.event(&format!(r#"{{"type":"intent","name":"stolen"{comma}{posted}}}"#)).is_some();
        assert_eq!(acted, holds, "{posted}");
    }
}

#[test]
fn of_intents_seen_the_surest_counts() {
    let mut call = Call::new(when("{ intent_seen: { is: a, confidence: 0.8 } }"));
    assert_eq!(call.event(r#"{"type":"intent","name":"a","confidence":0.7}"#), None);
    assert_eq!(call.event(r#"{"type":"intent","name":"a","confidence":0.9}"#).as_deref(), Some("it"));
    call.event(r#"{"type":"intent","name":"a","confidence":0.1}"#);
    assert_eq!(call.verdict(), policy::Verdict::AlreadyTrue);
}

#[test]
fn a_successful_verification_starts_the_count_of_failures_anew() {
    let mut call = Call::new(when("{ auth_failures: { at_least: 2 } }"));
    call.say("auth_failed");
    call.say("auth_ok");
    assert_eq!(call.say("auth_failed"), None);
    assert_eq!(call.say("auth_failed").as_deref(), Some("it"));
}
