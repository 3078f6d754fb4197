//! `tandem recordings` and `tandem recording`; `tandem voicemails`, whose files are the same.

use super::{
    Colour,
    calls::{table, text},
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

#[derive(Args)]
pub(crate) struct VoicemailsArgs {
    /// One message by its id; without it they are listed.
    message: Option<String>,
    /// show; get, timeline: fetch the file of its audio, or of what stands beside it; delete: remove everything of it.
    #[arg(value_parser = ["show", "get", "timeline", "delete"], default_value = "show", requires = "message")]
    action: String,
    /// Where a file goes that is fetched; without it, to its own name in this folder. Nothing is overwritten.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only those of this mailbox.
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn voicemails(args: &VoicemailsArgs) -> anyhow::Result<ExitCode> {
    let Some(message) = &args.message else { return list_voicemails(args) };
    let path = format!("/v1/voicemails/{}", segment(message)?);
    let answer = match args.action.as_str() {
        "get" => return args.daemon.fetch(&format!("{path}/audio"), args.output.as_deref()),
        "timeline" => return args.daemon.fetch(&format!("{path}/timeline"), args.output.as_deref()),
        "delete" => args.daemon.request("DELETE", &path, None)?,
        _ => args.daemon.request("GET", &path, None)?,
    };
    answer.show(args.json, |body| {
        if args.action == "delete" {
            return say("done");
        }
        let message = body.get("message").cloned().unwrap_or_default();
        for field in ["mailbox", "from", "ended_by"] {
            say(&format!("{field:<12} {}", text(&message, field)));
        }
        for field in ["call", "state", "started", "duration_ms", "audio", "format", "encrypted", "complete", "flaws"] {
            say(&format!("{field:<12} {}", text(body, field)));
        }
    })
}

fn list_voicemails(args: &VoicemailsArgs) -> anyhow::Result<ExitCode> {
    let mut path = format!("/v1/voicemails?limit={}", args.limit);
    if let Some(mailbox) = &args.mailbox {
        path.push_str(&format!("&mailbox={}", segment(mailbox)?));
    }
    args.daemon.request("GET", &path, None)?.show(args.json, |body| {
        let messages: Vec<&Value> = body.get("voicemails").and_then(Value::as_array).into_iter().flatten().collect();
        if messages.is_empty() {
            return say("no messages");
        }
        let mut rows = vec![["MESSAGE", "MAILBOX", "FROM", "STARTED", "MS", "ENDED BY", "COMPLETE"].map(str::to_owned)];
        rows.extend(messages.iter().map(|one| {
            let message = one.get("message").cloned().unwrap_or_default();
            let (about, field) = (|name: &str| text(&message, name), |name: &str| text(one, name));
            [
                about("id"),
                about("mailbox"),
                about("from"),
                field("started"),
                field("duration_ms"),
                about("ended_by"),
                field("complete"),
            ]
        }));
        let colour = Colour::of_stdout();
        table(&rows, |row, line| if row == 0 { colour.dim(line) } else { line.to_owned() });
    })
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
