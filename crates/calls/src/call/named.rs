//! Whether what a transfer request names is there: said now, not noticed when somebody waits for it.

use crate::{AcceptBody, OnFailureBody, Problem, TransferBody, config::Media};
use policy::{CallerHears, Hold, RuleSet, Step, TransferSpec, Whisper};
use std::sync::Arc;

/// Refuses prompts, music and destinations that there are not, and keys that no telephone has.
pub(super) fn check(body: &TransferBody, spec: &TransferSpec, rules: &RuleSet, media: &Media) -> Result<(), Problem> {
    if let Some(AcceptBody::Press(accept)) = &body.accept
        && !matches!(accept.press.to_ascii_uppercase(), '0'..='9' | '*' | '#' | 'A'..='D')
    {
        return Err(Problem::invalid("accept.press", "expected one key of a telephone: 0 to 9, *, #, A to D"));
    }
    match &body.whisper {
        Some(Whisper::Prompt(prompt)) => clip(media, "whisper.prompt", prompt)?,
        Some(Whisper::Context { prompt: Some(prompt), .. } | Whisper::Clip { prompt: Some(prompt), .. }) => {
            clip(media, "whisper.prompt", prompt)?;
        }
        _ => {}
    }
    if let Some(CallerHears { say, then, .. }) = &body.caller_hears {
        if let Some(say) = say {
            clip(media, "caller_hears.say", say)?;
        }
        if let Hold::Music(music) = then {
            clip(media, "caller_hears.then", music)?;
        }
    }
    let steps: Vec<&Step> = match &body.on_failure {
        Some(OnFailureBody::Always(steps)) => steps.iter().collect(),
        Some(OnFailureBody::ByCause(lists)) => lists.values().flatten().collect(),
        None => Vec::new(),
    };
    for step in steps {
        if let Step::Destination(name) = step
            && let Err(unknown) = rules.next_in_chain(name, spec)
        {
            return Err(Problem::invalid("on_failure", unknown.to_string()));
        }
    }
    Ok(())
}

/// Where no clip is known at all, whoever plays them knows.
fn clip(media: &Media, field: &str, name: &Arc<str>) -> Result<(), Problem> {
    if media.clips.is_empty() || media.clips.contains(&**name) {
        return Ok(());
    }
    let mut why = format!("there is no prompt or music `{name}`");
    if let Some(near) = policy::did_you_mean(name, media.clips.iter().map(String::as_str)) {
        why.push_str(&format!(", did you mean `{near}`?"));
    }
    Err(Problem::invalid(field, why))
}
