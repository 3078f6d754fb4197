//! `tandem trunks`.

use super::{
    Colour,
    calls::{table, text},
    client::DaemonArg,
    say,
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct TrunksArgs {
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &TrunksArgs) -> anyhow::Result<ExitCode> {
    args.daemon.request("GET", "/v1/trunks", None)?.show(args.json, list)
}

fn list(body: &Value) {
    let colour = Colour::of_stdout();
    let trunks: Vec<&Value> = body.get("trunks").and_then(Value::as_array).into_iter().flatten().collect();
    if trunks.is_empty() {
        say("no trunks");
        return;
    }
    let is_up = |trunk: &Value| trunk.get("up").and_then(Value::as_bool).unwrap_or(false);
    let mut rows = vec![
        ["TRUNK", "STATE", "SINCE", "ADDRESS", "PING", "REGISTRATION", "REFER", "RESTS UNTIL", "IN", "OUT"]
            .map(str::to_owned),
    ];
    for trunk in &trunks {
        let mut row =
            ["name", "up", "since", "address", "ping", "registration", "refer", "rests_until", "calls_in", "calls_out"]
                .map(|key| text(trunk, key));
        row[1] = if is_up(trunk) { "up" } else { "down" }.to_owned();
        rows.push(row);
    }
    table(&rows, |row, line| match row.checked_sub(1).and_then(|at| trunks.get(at)) {
        Some(trunk) if is_up(trunk) => line.to_owned(),
        Some(_) => colour.red(line),
        None => colour.dim(line),
    });
}
