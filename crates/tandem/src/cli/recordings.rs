//! `tandem recordings` and `tandem recording`.

use super::{
    calls::{listing, text},
    client::{DaemonArg, segment},
    say,
};
use clap::Args;
use serde_json::{Value, json};
use std::{path::PathBuf, process::ExitCode};

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
    /// show; get, timeline: fetch the file of its audio, or of its timeline, encrypted where it is; pause, resume, stop: end it before the
    /// call ends; delete: remove everything of it.
    #[arg(value_parser = ["show", "get", "timeline", "pause", "resume", "stop", "delete"], default_value = "show")]
    action: String,
    /// Where a file goes that is fetched; without it, to its own name in this folder. Nothing is overwritten.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
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
        let heads = ["CALL", "LINE", "STARTED", "MS", "STATE", "COMPLETE"];
        let fields = ["call", "line", "started", "duration_ms", "state", "complete"];
        let row = |recording: &Value| fields.map(|field| text(recording, field));
        listing(body, "recordings", "no recordings", heads, row);
    })
}

pub(crate) fn one(args: &RecordingArgs) -> anyhow::Result<ExitCode> {
    let call = segment(&args.call)?;
    let answer = match args.action.as_str() {
        "show" => args.daemon.request("GET", &format!("/v1/recordings/{call}"), None)?,
        "get" => return args.daemon.fetch(&format!("/v1/recordings/{call}/audio"), args.output.as_deref()),
        "timeline" => return args.daemon.fetch(&format!("/v1/recordings/{call}/timeline"), args.output.as_deref()),
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
        for field in
            ["state", "started", "duration_ms", "audio", "format", "channels", "encrypted", "complete", "flaws"]
        {
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
