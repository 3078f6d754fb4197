//! A daemon with a caller, an AI and humans around it: where most end-to-end tests begin.

use crate::{Daemon, Files, own_address, standard};
use anyhow::{Context, Result, ensure};
use parties::{
    io::{Call, ControlClient, Events, Party, Status, Voice},
    signal::Signal,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// Everything that a healthy daemon does at once is done within this; tests fail after it, they do not wait for it.
pub const SOON: Duration = Duration::from_secs(8);

/// What the three parties say, each a signal of its own.
pub const CALLER_SAYS: Signal = Signal::Noise(1);
/// The AI's signal.
pub const AI_SAYS: Signal = Signal::Noise(2);
/// The humans' signal.
pub const HUMAN_SAYS: Signal = Signal::Noise(3);

/// The daemon and its three parties.
pub struct Stage {
    /// The daemon.
    pub daemon: Daemon,
    /// Its control API.
    pub control: ControlClient,
    /// Where callers come from.
    pub caller: Party,
    /// The AI agent.
    pub ai: Party,
    /// Every human: the destinations of the rules are users here.
    pub human: Party,
}

/// A caller who talks with the AI.
pub struct Talk {
    /// The call's id.
    pub id: String,
    /// The caller's side.
    pub caller: Call,
    /// The AI's side.
    pub ai: Call,
    /// What happens in this call.
    pub events: Events,
}

impl Stage {
    /// With the standard files.
    pub async fn new() -> Result<Self> {
        Self::with(|files| files).await
    }

    /// With the standard files, changed by the test.
    pub async fn with(change: impl FnOnce(Files) -> Files) -> Result<Self> {
        Self::voiced(CALLER_SAYS, AI_SAYS, HUMAN_SAYS, change).await
    }

    /// With voices of the test's choice.
    pub async fn voiced(
        caller: Signal,
        ai: Signal,
        human: Signal,
        change: impl FnOnce(Files) -> Files,
    ) -> Result<Self> {
        let caller = Party::bind("caller", own_address().into(), Voice::of(caller)).await?;
        let ai = Party::bind("agent", own_address().into(), Voice::of(ai)).await?;
        let human = Party::bind("human", own_address().into(), Voice::of(human)).await?;
        let daemon = Daemon::start(&change(standard(ai.address(), human.address()))).await?;
        let control = ControlClient::new(daemon.control());
        Ok(Self { daemon, control, caller, ai, human })
    }

    /// The daemon's SIP address.
    pub fn sip(&self) -> SocketAddr {
        self.daemon.sip()
    }

    /// A caller calls, the AI answers, both hear each other.
    pub async fn talk(&self) -> Result<Talk> {
        let talk = self.connect().await?;
        hears(&talk.caller, &talk.ai).await?;
        hears(&talk.ai, &talk.caller).await?;
        Ok(talk)
    }

    /// A caller calls and the AI answers.
    pub async fn connect(&self) -> Result<Talk> {
        let events = self.control.subscribe("").await?;
        let caller = self.caller.call("+493055512345", "support", self.sip()).await?;
        let ai = self.ai.incoming(SOON).await.context("the AI was not called")?;
        ai.ring(180);
        caller.rings(SOON).await.context("the caller hears no ringing")?;
        ai.answer();
        caller.answered(SOON).await.context("the caller was not answered")?;
        ai.answered(SOON).await.context("the AI got no ACK")?;
        let id = ai.header("X-Tandem-Call-Id").context("the AI's INVITE has no X-Tandem-Call-Id")?.to_owned();
        ensure!(id.starts_with("c_"), "`{id}` is no call id");
        Ok(Talk { id, caller, ai, events })
    }

    /// Posts one event; the answer must be 200.
    pub async fn post_event(&self, call: &str, event: Value) -> Result<Value> {
        let answer = self.control.post(&format!("/v1/calls/{call}/events"), &event).await?;
        ensure!(answer.status == 200, "the event was answered {}: {}", answer.status, answer.body);
        Ok(answer.body)
    }

    /// Asks for a transfer; the answer must be 202. Returns the transfer's id.
    pub async fn transfer(&self, call: &str, body: Value) -> Result<String> {
        let answer = self.control.post(&format!("/v1/calls/{call}/transfer"), &body).await?;
        ensure!(answer.status == 202, "the transfer was answered {}: {}", answer.status, answer.body);
        let id = answer.body["id"].as_str().with_context(|| format!("no transfer id in {}", answer.body))?;
        Ok(id.to_owned())
    }

    /// Three turns that failed: the third answer.
    pub async fn three_misses(&self, call: &str) -> Result<Value> {
        self.post_event(call, json!({ "type": "no_match" })).await?;
        self.post_event(call, json!({ "type": "no_match" })).await?;
        self.post_event(call, json!({ "type": "no_match" })).await
    }

    /// The next human call.
    pub async fn human_rings(&self) -> Result<Call> {
        self.human.incoming(SOON).await.context("no human was called")
    }

    /// The next AI call.
    pub async fn ai_rings(&self) -> Result<Call> {
        self.ai.incoming(SOON).await.context("the AI was not called")
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let answer = self.control.get("/metrics").await?;
        sum_of_metric(answer.body.as_str().context("the metrics are text")?, name)
    }

    /// Waits until a metric has a value, looked at twenty times a second.
    pub async fn until_metric(&self, name: &str, wanted: f64, within: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let value = self.metric(name).await?;
            if (value - wanted).abs() < f64::EPSILON {
                return Ok(());
            }
            ensure!(tokio::time::Instant::now() < deadline, "{name} is {value} after {within:?}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The sum of a metric over its labels, in the text that `/metrics` answers.
pub fn sum_of_metric(text: &str, name: &str) -> Result<f64> {
    let values: Vec<f64> = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    ensure!(!values.is_empty(), "there is no metric {name}");
    Ok(values.iter().sum())
}

impl Talk {
    /// The next event of this type in this call.
    pub async fn event(&mut self, kind: &str) -> Result<Value> {
        let found = self.events.until(kind, SOON).await;
        found.with_context(|| format!("no event {kind} within {SOON:?}"))
    }
}

/// Waits until `listener` hears `speaker`: what it received in the last half second correlates 0.95 or better with what the other
/// has just said.
pub async fn hears(listener: &Call, speaker: &Call) -> Result<()> {
    let mut best: f64 = 0.0;
    let heard = listener
        .audio()
        .hears_that(SOON, |_| {
            best = best.max(listener.audio().hears_now(speaker.audio()));
            best >= 0.95
        })
        .await;
    ensure!(heard, "{} does not hear {}: the best correlation is {best:.3}", listener.id(), speaker.id());
    Ok(())
}

/// Makes sure that `listener` hears nothing of `speaker` in the next half second and hears packets all the same.
pub async fn hears_nothing_of(listener: &Call, speaker: &Call) -> Result<()> {
    tokio::time::timeout(SOON, listener.audio().hears(30)).await.context("no packets at all")?;
    let correlation = listener.audio().hears_now(speaker.audio());
    ensure!(correlation < 0.5, "{} hears {} ({correlation:.3})", listener.id(), speaker.id());
    Ok(())
}

/// Waits for the end of a call that the daemon must end.
pub async fn is_hung_up(call: &Call) -> Result<Status> {
    let status = call.ended(SOON).await?;
    ensure!(matches!(status, Status::Ended { by_peer: true, .. }), "{} ended otherwise: {status:?}", call.id());
    Ok(status)
}
