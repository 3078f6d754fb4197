//! What is known of a caller, in words that were recorded: no service speaks them.
//!
//! A value is told by the clip `said/VALUE`, with everything but letters and digits a hyphen; digits one by one by `digit-0` to `digit-9`,
//! after `said/KEY`, if there is one. A value that nobody has recorded is left out; where nothing can be told, `said/see-your-screen` is.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The most clips of one whisper.
const MOST_CLIPS: usize = 32;
/// Longer numbers are for the screen.
const MOST_DIGITS: usize = 16;
/// Scores beyond these are told where no label is.
const FRUSTRATED: f64 = -0.5;
const HAPPY: f64 = 0.5;

/// The clips that tell the values of these keys.
pub(crate) fn clips(learned: &BTreeMap<String, Value>, keys: &[Arc<str>], known: &BTreeSet<String>) -> Vec<Arc<str>> {
    let mut clips: Vec<String> = Vec::new();
    for key in keys {
        match learned.get(&**key) {
            Some(value) if &**key == "sentiment" => {
                let label = learned.get("sentiment_label").and_then(Value::as_str).map(said);
                clips.extend(label.filter(|clip| known.contains(clip)).or_else(|| mood(value)));
            }
            Some(value) => clips.extend(of(key, value, known)),
            None => {}
        }
    }
    clips.retain(|clip| known.contains(clip));
    clips.truncate(MOST_CLIPS);
    if clips.is_empty() {
        clips.extend(Some("said/see-your-screen".to_owned()).filter(|clip| known.contains(clip)));
    }
    clips.into_iter().map(Arc::from).collect()
}

/// The clip that says which key takes a call, if there is one.
pub(crate) fn press(key: char, known: &BTreeSet<String>) -> Option<Arc<str>> {
    let clip = said(&format!("press {key}"));
    known.contains(&clip).then(|| clip.into())
}

fn of(key: &str, value: &Value, known: &BTreeSet<String>) -> Vec<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => return vec![said(key)],
        Value::Bool(false) => return vec![said(&format!("not {key}"))],
        _ => return Vec::new(),
    };
    let whole = said(&text);
    if known.contains(&whole) {
        return vec![whole];
    }
    let spoken = text.chars().filter(|letter| !" -/+".contains(*letter));
    let digits: Option<Vec<String>> = spoken
        .map(|letter| match letter {
            '0'..='9' => Some(format!("digit-{letter}")),
            '.' => Some("said/point".to_owned()),
            _ => None,
        })
        .collect();
    match digits {
        Some(digits) if (1..=MOST_DIGITS).contains(&digits.len()) => std::iter::once(said(key)).chain(digits).collect(),
        _ => Vec::new(),
    }
}

/// The name of the clip that says this.
fn said(text: &str) -> String {
    let mut name = "said/".to_owned();
    for letter in text.chars().take(64).flat_map(char::to_lowercase) {
        if letter.is_alphanumeric() {
            name.push(letter);
        } else if !name.ends_with(['-', '/']) {
            name.push('-');
        }
    }
    name.trim_end_matches('-').to_owned()
}

fn mood(score: &Value) -> Option<String> {
    let score = score.as_f64()?;
    match () {
        () if score < FRUSTRATED => Some("said/frustrated".to_owned()),
        () if score > HAPPY => Some("said/happy".to_owned()),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(learned: Value, keys: &[&str]) -> Vec<String> {
        let digits = (0..10).map(|digit| format!("digit-{digit}"));
        let words = ["billing-dispute", "angry", "frustrated", "happy", "account", "point", "verified", "not-verified"];
        let words = words.into_iter().chain(["see-your-screen", "press-1"]).map(|word| format!("said/{word}"));
        let known: BTreeSet<String> = digits.chain(words).collect();
        let learned: BTreeMap<String, Value> = serde_json::from_value(learned).unwrap();
        let keys: Vec<Arc<str>> = keys.iter().map(|key| Arc::from(*key)).collect();
        clips(&learned, &keys, &known).iter().map(|clip| clip.replace("said/", "").replace("digit-", "")).collect()
    }

    #[test]
    fn values_are_told_by_the_words_that_were_recorded_and_others_are_left_out() {
        #[rustfmt::skip]
        let table: Vec<(Value, &[&str], &[&str])> = vec![
            (json!({"intent": "billing_dispute", "sentiment": -0.9, "sentiment_label": "angry"}), &["intent", "sentiment"], &["billing-dispute", "angry"]),
            (json!({"intent": "Billing  Dispute!"}),                             &["intent"],          &["billing-dispute"]),
            (json!({"sentiment": -0.9, "sentiment_label": "desperate"}),         &["sentiment"],       &["frustrated"]),
            (json!({"sentiment": 0.9}),                                          &["sentiment"],       &["happy"]),
            (json!({"sentiment": 0.1}),                                          &["sentiment"],       &["see-your-screen"]),
            (json!({"account": "47 11"}),                                        &["account"],         &["account", "4", "7", "1", "1"]),
            (json!({"amount": 12.5}),                                            &["amount"],          &["1", "2", "point", "5"]),
            (json!({"account": "12345678901234567"}),                            &["account"],         &["see-your-screen"]),
            (json!({"verified": true}),                                          &["verified"],        &["verified"]),
            (json!({"verified": false}),                                         &["verified"],        &["not-verified"]),
            (json!({"customer_name": "J\u{f6}rg", "intent": "billing_dispute"}), &["customer_name", "intent", "unknown"], &["billing-dispute"]),
            (json!({"list": [1], "name": null, "text": ""}),                     &["list", "name", "text"], &["see-your-screen"]),
            (json!({"account": "../../etc/passwd"}),                             &["account"],         &["see-your-screen"]),
        ];
        for (learned, keys, expected) in table {
            assert_eq!(told(learned.clone(), keys), expected, "{learned}");
        }
        assert!(clips(&BTreeMap::new(), &["intent".into()], &BTreeSet::new()).is_empty(), "no clips at all");
    }

    #[test]
    fn a_whisper_is_bounded_whatever_is_known() {
        let learned: BTreeMap<String, Value> = (0..16).map(|n| (format!("k{n}"), json!("1234567890123456"))).collect();
        let keys: Vec<Arc<str>> = learned.keys().map(|key| Arc::from(key.as_str())).collect();
        let known: BTreeSet<String> = (0..10).map(|digit| format!("digit-{digit}")).collect();
        assert_eq!(clips(&learned, &keys, &known).len(), MOST_CLIPS);
    }
}
