//! Section `feature_codes`: keys by which parties who talk ask for something.

use super::{
    reader::{Section, Wrong},
    types::{CodeAct, FeatureCode, FeatureCodes},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Codes a party may have.
const MOST_CODES: usize = 32;

pub(super) fn codes(mut section: Section<'_>) -> FeatureCodes {
    let within = section.duration("within", SECOND * 3, SECOND / 2..=SECOND * 30);
    let human = of_party(&mut section, "human");
    let caller = of_party(&mut section, "caller");
    section.done();
    FeatureCodes { human, caller, within }
}

fn of_party(section: &mut Section<'_>, party: &'static str) -> Vec<FeatureCode> {
    let mut all: Vec<FeatureCode> = Vec::new();
    for (keys, act) in section.pairs(party, |text| act(text, party)) {
        if let Err(wrong) = sound(&keys.value) {
            section.note(keys.place, wrong);
        } else if all.len() == MOST_CODES {
            section.wrong(keys.place, format!("more than {MOST_CODES} codes"), None);
        } else if let Some(other) = all.iter().find(|other| clash(&other.keys, &keys.value)) {
            let help = "whoever keys in the longer one has keyed in the shorter one on the way";
            section.wrong(
                keys.place,
                format!("`{}` holds `{}`, or the other way round", keys.value, other.keys),
                Some(help),
            );
        } else {
            all.push(FeatureCode { keys: keys.value, act: act.value });
        }
    }
    all
}

fn clash(one: &str, other: &str) -> bool {
    one.contains(other) || other.contains(one)
}

fn sound(keys: &str) -> Result<(), Wrong> {
    let known = keys.bytes().all(|key| matches!(key, b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D'));
    if known && keys.starts_with(['*', '#']) && (2..=8).contains(&keys.len()) {
        return Ok(());
    }
    Err(Wrong::new(format!("`{keys}` is no feature code"))
        .help("2 to 8 keys that begin with `*` or `#`, like `\"*7\"`"))
}

fn act(text: &str, party: &str) -> Result<CodeAct, Wrong> {
    match text.strip_prefix("transfer:") {
        Some(name) if !name.is_empty() && name.len() <= 64 => Ok(CodeAct::Transfer(name.to_owned())),
        None if text == "handback" && party == "human" => Ok(CodeAct::HandBack),
        None if text == "handback" => {
            Err(Wrong::new("only a human can hand a caller back")
                .help("`transfer:NAME` with a destination of rules.yaml"))
        }
        _ => Err(Wrong::new(format!("`{text}` is nothing that a code can ask for")).help(match party {
            "human" => "`handback`, or `transfer:NAME` with a destination of rules.yaml",
            _ => "`transfer:NAME` with a destination of rules.yaml",
        })),
    }
}
