//! Another system says which agents are free: asked again and again beside the calls, so that no caller waits for it.

use super::{
    inbox::{Inbox, Note},
    web::Web,
};
use crate::config::AskedElsewhere;
use calls::Elsewhere;
use hyper::Uri;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use tokio::task::JoinSet;

/// Questions that are under way at once.
const AT_ONCE: usize = 8;
/// Mistakes of one answer that are told.
const MOST_TOLD: usize = 3;
/// Where an agent's name goes in the address.
const PLACE: &str = "{agent}";

/// What is known of one agent.
#[derive(Default)]
struct Known {
    said: Option<Elsewhere>,
    at: Option<Instant>,
}

/// Asks for as long as the daemon runs.
pub(super) async fn ask(settings: AskedElsewhere, agents: Vec<String>, inbox: Arc<Inbox>) {
    let web = match Web::new(settings.ca.as_deref()) {
        Ok(web) => web,
        Err(error) => return tracing::error!(%error, "nobody can be asked how agents stand"),
    };
    let mut known: BTreeMap<String, Known> = agents.into_iter().map(|agent| (agent, Known::default())).collect();
    let mut ticks = tokio::time::interval(settings.every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let (answers, failed) = round(&settings, &web, known.keys().cloned().collect()).await;
        if let Some(error) = &failed
            && !failing
        {
            tracing::warn!(%error, "it is not known how every agent stands");
        } else if failing && failed.is_none() {
            tracing::info!("it is known again how every agent stands");
        }
        failing = failed.is_some();
        let now = Instant::now();
        for (agent, known) in &mut known {
            let said = match answers.get(agent) {
                Some(said) => {
                    known.at = Some(now);
                    Some(*said)
                }
                None if known.at.is_some_and(|at| now.duration_since(at) < settings.keep) => continue,
                None => None,
            };
            if known.said != said {
                known.said = said;
                let _ = inbox.put(Note::Availability(agent.clone(), said));
            }
        }
    }
}

/// What was said of each, and what went wrong first.
async fn round(
    settings: &AskedElsewhere,
    web: &Web,
    agents: Vec<String>,
) -> (BTreeMap<String, Elsewhere>, Option<String>) {
    let (mut said, mut failed) = (BTreeMap::new(), None);
    if !settings.url.contains(PLACE) {
        return match one(settings, web, &settings.url).await.and_then(|body| list(&body, &agents)) {
            Ok((said, wrong)) => (said, wrong),
            Err(error) => (said, Some(format!("all: {error}"))),
        };
    }
    let mut take = |agent: String, answer: Result<Elsewhere, String>| match answer {
        Ok(state) => drop(said.insert(agent, state)),
        Err(error) => drop(failed.get_or_insert(format!("{agent}: {error}"))),
    };
    let mut asked = JoinSet::new();
    let mut left = agents.into_iter();
    loop {
        while asked.len() < AT_ONCE
            && let Some(agent) = left.next()
        {
            let (settings, web) = (settings.clone(), web.clone());
            asked.spawn(async move {
                let url = settings.url.replace(PLACE, &escaped(&agent));
                let answer = one(&settings, &web, &url).await.and_then(|body| single(&body));
                (agent, answer)
            });
        }
        match asked.join_next().await {
            Some(Ok((agent, answer))) => take(agent, answer),
            Some(Err(_)) => {}
            None => return (said, failed),
        }
    }
}

async fn one(settings: &AskedElsewhere, web: &Web, url: &str) -> Result<Vec<u8>, String> {
    let url: Uri = url.parse().map_err(|error| format!("`{url}` is no address: {error}"))?;
    match web.get(&url, settings.token.as_deref(), settings.timeout).await {
        Ok(body) => Ok(body.to_vec()),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// An answer about one agent: `available`, `"available"` or `{"state": "available"}`.
fn single(body: &[u8]) -> Result<Elsewhere, String> {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => state(&value),
        Err(_) => state(&Value::String(String::from_utf8_lossy(body).trim().to_owned())),
    }
}

/// An answer about all: `{"anna": "available", "ben": {"state": "busy"}}`, also under the key `agents`. Beside it what is no state, and whose:
/// nothing is known of them, and everything of the others. What is said of strangers to us does not matter.
fn list(body: &[u8], agents: &[String]) -> Result<(BTreeMap<String, Elsewhere>, Option<String>), String> {
    let value: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
    let all = value.get("agents").filter(|agents| agents.is_object()).unwrap_or(&value);
    let all = all.as_object().ok_or("expected an object of agents, like {\"anna\": \"available\"}")?;
    let (mut said, mut wrong) = (BTreeMap::new(), Vec::new());
    for (agent, value) in all {
        match state(value) {
            Ok(state) => drop(said.insert(agent.clone(), state)),
            Err(_) if !agents.contains(agent) => {}
            Err(error) => wrong.push(format!("{}: {error}", agent.chars().take(64).collect::<String>())),
        }
    }
    let more = wrong.len().saturating_sub(MOST_TOLD);
    wrong.truncate(MOST_TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Ok((said, (!wrong.is_empty()).then(|| wrong.join("; ") + &more)))
}

fn state(value: &Value) -> Result<Elsewhere, String> {
    let word = match value {
        Value::Bool(free) => return Ok(if *free { Elsewhere::Free } else { Elsewhere::Away }),
        Value::String(word) => word.as_str(),
        Value::Object(fields) => {
            let field = ["state", "status", "availability", "available"].iter().find_map(|name| fields.get(*name));
            return field.filter(|it| !it.is_object()).map_or(Err("it has no `state`".to_owned()), state);
        }
        other => return Err(format!("found {other}, expected a state like `available`")),
    };
    match word.to_ascii_lowercase().as_str() {
        "available" | "free" | "idle" | "online" | "ready" => Ok(Elsewhere::Free),
        "busy" | "on_call" | "talking" | "ringing" | "wrap_up" => Ok(Elsewhere::Busy),
        "away" | "offline" | "unavailable" | "dnd" | "break" | "not_ready" => Ok(Elsewhere::Away),
        other => {
            let other: String = other.chars().take(40).collect();
            Err(format!("`{other}` is no state; `available`, `busy` and `away` are"))
        }
    }
}

/// Percent-encoded, as part of a path or a query.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_one_agent_is_a_word_or_has_a_state() {
        for (body, said) in [
            ("available", Elsewhere::Free),
            ("\"busy\"\n", Elsewhere::Busy),
            ("{\"state\": \"Away\", \"since\": 3}", Elsewhere::Away),
            ("{\"available\": false}", Elsewhere::Away),
            ("true", Elsewhere::Free),
        ] {
            assert_eq!(single(body.as_bytes()), Ok(said), "{body}");
        }
        for (body, told) in [
            ("", "`` is no state"),
            ("lunch", "`lunch` is no state; `available`, `busy` and `away` are"),
            ("{}", "it has no `state`"),
            ("{\"state\": {\"state\": \"busy\"}}", "it has no `state`"),
            ("[1]", "found [1], expected a state like `available`"),
        ] {
            assert!(single(body.as_bytes()).unwrap_err().starts_with(told), "{body}");
        }
    }

    #[test]
    fn an_answer_about_all_names_each_and_says_whose_is_wrong() {
        let all = |body: &str| list(body.as_bytes(), &[]);
        let right = [("anna".to_owned(), Elsewhere::Free), ("ben".to_owned(), Elsewhere::Busy)].into();
        assert_eq!(all("{\"anna\": \"free\", \"ben\": {\"status\": \"on_call\"}}"), Ok((right, None)));
        assert_eq!(all("{\"agents\": {\"eve\": true}}"), Ok(([("eve".to_owned(), Elsewhere::Free)].into(), None)));
        assert!(all("[]").unwrap_err().starts_with("expected an object"));
        assert!(all("no").unwrap_err().starts_with("no JSON"));
    }

    /// One agent at lunch, and nothing was known of the other forty.
    #[test]
    fn a_state_that_is_none_is_that_agents_alone_and_is_told_with_its_place() {
        let ours: Vec<String> = (0..9).map(|n| format!("a{n}")).chain(["ben".to_owned()]).collect();
        let body = b"{\"anna\": \"free\", \"ben\": \"lunch\", \"eve\": \"busy\", \"stranger\": 7}";
        let (said, wrong) = list(body, &ours).unwrap();
        assert_eq!(said, [("anna".to_owned(), Elsewhere::Free), ("eve".to_owned(), Elsewhere::Busy)].into());
        assert_eq!(wrong.as_deref(), Some("ben: `lunch` is no state; `available`, `busy` and `away` are"));
        let many: String = (0..9).map(|n| format!("\"a{n}\": {n}, ")).collect();
        let (said, wrong) = list(format!("{{{many}\"eve\": true}}").as_bytes(), &ours).unwrap();
        let wrong = wrong.unwrap();
        assert_eq!(said.len(), 1);
        assert!(wrong.starts_with("a0: found 0") && wrong.ends_with("; and 6 more"), "{wrong}");
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_address() {
        assert_eq!(escaped("anna-1"), "anna-1");
        assert_eq!(escaped("../x?y#z ü"), "..%2Fx%3Fy%23z%20%C3%BC");
    }
}
