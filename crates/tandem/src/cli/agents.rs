//! `tandem agents`.

use super::{
    Colour,
    calls::{table, text},
    client::{DaemonArg, segment},
    say,
};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct AgentsArgs {
    /// One agent, to show or to change.
    agent: Option<String>,
    /// Say so of the agent: available, busy, wrap_up or away. During a call it takes effect after it.
    #[arg(long, requires = "agent", value_name = "STATE", value_parser = ["available", "busy", "wrap_up", "away"])]
    presence: Option<String>,
    /// List the queues instead.
    #[arg(long, conflicts_with = "agent")]
    queues: bool,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &AgentsArgs) -> anyhow::Result<ExitCode> {
    if args.queues {
        return args.daemon.request("GET", "/v1/queues", None)?.show(args.json, queues);
    }
    let Some(agent) = &args.agent else {
        return args.daemon.request("GET", "/v1/agents", None)?.show(args.json, list);
    };
    let path = format!("/v1/agents/{}", segment(agent)?);
    let answer = match &args.presence {
        Some(presence) => args.daemon.request("PATCH", &path, Some(&json!({ "presence": presence })))?,
        None => args.daemon.request("GET", &path, None)?,
    };
    answer.show(args.json, |agent| rows(&[agent]))
}

fn list(body: &Value) {
    let agents: Vec<&Value> = body.get("agents").and_then(Value::as_array).into_iter().flatten().collect();
    match agents.is_empty() {
        true => say("no agents"),
        false => rows(&agents),
    }
}

fn rows(agents: &[&Value]) {
    let colour = Colour::of_stdout();
    let mut rows = vec![["AGENT", "STATE", "PRESENCE", "SKILLS", "NOW", "TAKEN", "ADDRESS"].map(str::to_owned)];
    for agent in agents {
        let mut row =
            ["id", "state", "presence", "skills", "calls_now", "calls_taken", "address"].map(|key| text(agent, key));
        let skills = agent.get("skills").and_then(Value::as_object).into_iter().flatten();
        row[3] = skills.map(|(skill, level)| format!("{skill}:{level}")).collect::<Vec<_>>().join(" ");
        rows.push(row);
    }
    table(&rows, |row, line| {
        let state = row.checked_sub(1).and_then(|at| agents.get(at)).map(|agent| text(agent, "state"));
        match state.as_deref() {
            None | Some("offline" | "away") => colour.dim(line),
            Some("available") => colour.green(line),
            Some(_) => line.to_owned(),
        }
    });
}

fn queues(body: &Value) {
    let colour = Colour::of_stdout();
    let queues: Vec<&Value> = body.get("queues").and_then(Value::as_array).into_iter().flatten().collect();
    if queues.is_empty() {
        return say("no queues");
    }
    let mut rows = vec![["QUEUE", "WAITING", "LONGEST", "EXPECTED", "STAFFED", "FREE"].map(str::to_owned)];
    for queue in &queues {
        let keys = ["name", "waiting", "longest_wait_s", "expected_wait_s", "agents_staffed", "agents_free"];
        rows.push(keys.map(|key| text(queue, key)));
    }
    table(&rows, |row, line| if row == 0 { colour.dim(line) } else { line.to_owned() });
}
