//! `tandem callbacks`.

use super::{
    calls::{listing, text},
    client::{DaemonArg, segment},
    say,
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct CallbacksArgs {
    /// One callback by its id; without it they are listed.
    callback: Option<String>,
    /// show; claim: an agent takes it; release: back to the list; dial: the agent is rung, then the caller; done: nobody needs to call.
    #[arg(value_parser = ["show", "claim", "release", "dial", "done"], default_value = "show", requires = "callback")]
    action: String,
    /// Who claims it or calls.
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// What came of it, for `done`.
    #[arg(long, value_name = "TEXT")]
    outcome: Option<String>,
    /// Only those in this state: open, claimed, dialling or done.
    #[arg(long, value_parser = ["open", "claimed", "dialling", "done"])]
    state: Option<String>,
    /// Only those of this list.
    #[arg(long, value_name = "NAME")]
    list: Option<String>,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CallbacksArgs) -> anyhow::Result<ExitCode> {
    let Some(callback) = &args.callback else { return list(args) };
    let path = format!("/v1/callbacks/{}", segment(callback)?);
    let answer = match args.action.as_str() {
        "show" => args.daemon.request("GET", &path, None)?,
        action => {
            let body = match action {
                "claim" | "dial" => args.agent.as_ref().map(|agent| json!({ "agent": agent })),
                "done" => args.outcome.as_ref().map(|outcome| json!({ "outcome": outcome })),
                _ => None,
            };
            args.daemon.request("POST", &format!("{path}/{action}"), body.as_ref())?
        }
    };
    answer.show(args.json, |body| {
        for field in FIELDS {
            say(&format!("{field:<10} {}", text(body, field)));
        }
        for (key, value) in body.get("context").and_then(Value::as_object).into_iter().flatten() {
            say(&format!("  {key} = {value}"));
        }
    })
}

const FIELDS: [&str; 14] = [
    "id",
    "state",
    "number",
    "list",
    "reason",
    "at",
    "requested",
    "agent",
    "changed",
    "tries",
    "outcome",
    "tried_in",
    "call",
    "line",
];

fn list(args: &CallbacksArgs) -> anyhow::Result<ExitCode> {
    let mut query = Vec::new();
    query.extend(args.state.as_ref().map(|state| format!("state={state}")));
    if let Some(list) = &args.list {
        query.push(format!("list={}", segment(list)?));
    }
    let path = if query.is_empty() { "/v1/callbacks".to_owned() } else { format!("/v1/callbacks?{}", query.join("&")) };
    args.daemon.request("GET", &path, None)?.show(args.json, |body| {
        let heads = ["CALLBACK", "LIST", "STATE", "NUMBER", "REQUESTED", "AT", "AGENT", "TRIES", "OUTCOME"];
        let fields = ["id", "list", "state", "number", "requested", "at", "agent", "tries", "outcome"];
        let row = |callback: &Value| fields.map(|field| text(callback, field));
        listing(body, "callbacks", "nobody is to be called back", heads, row);
    })
}
