//! Who answers in `make run`: a demo AI that anyone with a softphone can talk to, and the humans it hands over to.
//!
//! Both live behind one SIP address, told apart by the user that is called: `ai` is the AI, everybody else a human.

use super::{Call, ControlClient, Party, Voice};
use crate::{clip, io::Keep, signal::Signal};
use serde_json::{Value, json};
use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};

/// What each key does while the demo AI has the caller, for the daemon's welcome and the documentation.
pub const KEYS: [(char, &str); 8] = [
    ('1', "the AI has not understood you (no_match): the third time a human takes over"),
    ('2', "you sound angry (sentiment -0.8): twice, and a human takes over"),
    (
        '3',
        "you ask for a transaction you do not know (intent unknown_transaction, 0.9); the human has to press 1 first",
    ),
    ('4', "you could not be verified (auth_failed): the second time a human takes over"),
    ('5', "you want 20,000 worth of the enterprise plan (lead); the human has to press 1 first"),
    ('0', "you ask for a human (transfer_requested)"),
    ('9', "the AI has understood you (match): the count of misses starts anew"),
    ('#', "the AI crashes: it hangs up in mid-call"),
];

/// Calls taken at once; further ones hear 486.
const MOST_CALLS: usize = 100;
/// How long a human's telephone rings.
const RINGS: Duration = Duration::from_secs(2);
/// How long after the answer a human who is asked to accept presses 1.
const CONSIDERS: Duration = Duration::from_millis(2500);
/// The users whose destinations in the shipped rules wait for an accepting key.
const ASKED_TO_ACCEPT: [&str; 2] = ["closer", "fraud"];
/// No call of the demonstration lasts longer.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

/// The demo AI and the demo humans. Dropping it takes them off the network.
#[derive(Debug)]
pub struct Demo {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Demo {
    /// Listens at `address` and posts events to the daemon's control socket at `control`. `greeting` is what the AI says
    /// first, 8 kHz; without one it plays a chime.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, control: PathBuf, greeting: Option<Arc<[i16]>>) -> io::Result<Self> {
        let voice = Voice { keep: Keep::Count, ..Voice::of(Signal::Echo) };
        let party = Party::bind_to("demo", address, voice).await?;
        let address = party.address();
        let script = Arc::new(Script {
            control: ControlClient::new(control),
            greeting: greeting.unwrap_or_else(|| clip::greeting().into()),
        });
        Ok(Self { address, task: tokio::spawn(answer_calls(party, script)) })
    }

    /// The SIP address of all of them.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer_calls(party: Party, script: Arc<Script>) {
    let places = Arc::new(Semaphore::new(MOST_CALLS));
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            call = party.incoming(LONGEST) => {
                let Some(call) = call else { continue };
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    call.refuse(486);
                    continue;
                };
                let script = Arc::clone(&script);
                calls.spawn(async move {
                    script.play(&call).await;
                    drop(place);
                });
            }
            Some(_) = calls.join_next() => {}
        }
    }
}

struct Script {
    control: ControlClient,
    greeting: Arc<[i16]>,
}

impl Script {
    /// One call from its INVITE to its end.
    async fn play(&self, call: &Call) {
        let user = user_of(call.invite().uri().unwrap_or_default()).to_owned();
        let talk = async { if user == "ai" { self.ai(call).await } else { human(call, &user).await } };
        tokio::select! {
            _ = call.ended(LONGEST) => {}
            () = talk => {}
        }
        call.hang_up();
    }

    /// Greets, says back what it hears, and tells the daemon what a pressed key stands for. Ends when it crashes on request.
    async fn ai(&self, call: &Call) {
        call.answer();
        if call.answered(Duration::from_secs(40)).await.is_err() {
            return;
        }
        let id = call.header("X-Tandem-Call-Id").unwrap_or_default().to_owned();
        call.audio().play(Arc::clone(&self.greeting));
        while let Some(digit) = call.audio().pressed().await {
            if digit == '#' {
                tracing::info!(call = id, "the demo AI hangs up, as asked");
                return;
            }
            if let Some(event) = event_of(digit) {
                let taken = self.post(&id, digit, &event).await;
                call.audio().play(if taken { clip::accepted() } else { clip::refused() });
            }
        }
        std::future::pending::<()>().await;
    }

    async fn post(&self, id: &str, digit: char, event: &Value) -> bool {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            tracing::warn!("a call without X-Tandem-Call-Id came to the demo AI; its keys lead nowhere");
            return false;
        }
        match self.control.post(&format!("/v1/calls/{id}/events"), event).await {
            Ok(answer) if answer.status < 300 => {
                let decision = &answer.body["results"][0]["decision"];
                tracing::info!(call = id, %digit, event = %event["type"], %decision, "the demo AI posted an event");
                true
            }
            Ok(answer) => {
                tracing::warn!(call = id, %digit, status = answer.status, problem = %answer.body, "an event was refused");
                false
            }
            Err(error) => {
                tracing::warn!(call = id, %digit, %error, "an event could not be posted");
                false
            }
        }
    }
}

/// Rings, answers, says hello, and then says back what it hears; accepts where the shipped rules ask for it.
async fn human(call: &Call, user: &str) {
    call.ring(180);
    tokio::time::sleep(RINGS).await;
    call.answer();
    if call.answered(Duration::from_secs(40)).await.is_err() {
        return;
    }
    if ASKED_TO_ACCEPT.contains(&user) {
        tokio::time::sleep(CONSIDERS).await;
        call.audio().press('1');
    }
    call.audio().play(clip::human_greeting());
    tracing::info!(
        user,
        call = call.header("X-Tandem-Call-Id"),
        context = ?context_of(call),
        "a demo human has answered"
    );
    std::future::pending::<()>().await;
}

/// What the daemon tells a human beside the ringing.
fn context_of(call: &Call) -> Vec<String> {
    let headers = call.invite().headers.iter();
    headers
        .filter(|(name, _)| name.to_ascii_lowercase().starts_with("x-tandem-context-"))
        .map(|(name, value)| format!("{}: {value}", &name["x-tandem-context-".len()..]))
        .collect()
}

/// The event that a key stands for.
fn event_of(digit: char) -> Option<Value> {
    Some(match digit {
        '1' => json!({ "type": "no_match" }),
        '2' => json!({ "type": "sentiment", "score": -0.8 }),
        '3' => json!({ "type": "intent", "name": "unknown_transaction", "confidence": 0.9 }),
        '4' => json!({ "type": "auth_failed" }),
        '5' => json!({ "type": "lead", "value": 20_000, "plan": "enterprise_plan" }),
        '0' => json!({ "type": "transfer_requested", "reason": "the caller pressed 0" }),
        '9' => json!({ "type": "match" }),
        _ => return None,
    })
}

fn user_of(uri: &str) -> &str {
    uri.split_once(':').and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_list_does_something() {
        for (key, _) in KEYS {
            assert!(key == '#' || event_of(key).is_some(), "{key}");
        }
        assert_eq!(event_of('7'), None);
        assert_eq!((user_of("sip:ai@127.0.0.1:5090"), user_of("sip:127.0.0.1")), ("ai", ""));
    }
}
