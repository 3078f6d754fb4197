//! `tandem recordings` and `tandem recording`.

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
pub(crate) struct RecordingsArgs {
    /// At most so many, the newest.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct RecordingArgs {
    /// The call's id (`tandem calls`, `tandem recordings`).
    call: String,
    /// show, pause, resume, stop: end it before the call ends; delete: remove everything of it.
    #[arg(value_parser = ["show", "pause", "resume", "stop", "delete"], default_value = "show")]
    action: String,
    /// How long a pause lasts, like 3m.
    #[arg(long = "for", value_name = "DURATION")]
    lasting: Option<String>,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn list(args: &RecordingsArgs) -> anyhow::Result<ExitCode> {
    args.daemon.request("GET", &format!("/v1/recordings?limit={}", args.limit), None)?.show(args.json, |body| {
        let recordings: Vec<&Value> = body.get("recordings").and_then(Value::as_array).into_iter().flatten().collect();
        if recordings.is_empty() {
            return say("no recordings");
        }
        let mut rows = vec![["CALL", "LINE", "STARTED", "MS", "STATE", "COMPLETE"].map(str::to_owned)];
        let fields = ["call", "line", "started", "duration_ms", "state", "complete"];
        rows.extend(recordings.iter().map(|recording| fields.map(|field| text(recording, field))));
        let colour = Colour::of_stdout();
        table(&rows, |row, line| if row == 0 { colour.dim(line) } else { line.to_owned() });
    })
}

pub(crate) fn one(args: &RecordingArgs) -> anyhow::Result<ExitCode> {
    let call = segment(&args.call)?;
    let answer = match args.action.as_str() {
        "show" => args.daemon.request("GET", &format!("/v1/recordings/{call}"), None)?,
        "delete" => args.daemon.request("DELETE", &format!("/v1/recordings/{call}"), None)?,
        action => {
            let body = args.lasting.as_ref().filter(|_| action == "pause").map(|lasting| json!({ "for": lasting }));
            args.daemon.request("POST", &format!("/v1/calls/{call}/recording/{action}"), body.as_ref())?
        }
    };
    answer.show(args.json, |body| {
        if args.action != "show" {
            return say("done");
        }
        for field in ["state", "started", "duration_ms", "audio", "format", "channels", "complete", "flaws"] {
            say(&format!("{field:<12} {}", text(body, field)));
        }
        let lines = |key: &str| body.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        for segment in lines("segments") {
            let (from, to) = (text(&segment, "from_ms"), text(&segment, "to_ms"));
            say(&format!("  {from:>9} {to:>9}  {}: {}", text(&segment, "channel"), text(&segment, "who")));
        }
        for gap in lines("gaps") {
            say(&format!("  {:>9} {:>9}  {}", text(&gap, "from_ms"), text(&gap, "to_ms"), text(&gap, "reason")));
        }
    })
}
