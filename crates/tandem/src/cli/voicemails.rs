//! `tandem voicemails`: the messages that callers left in mailboxes.

use super::{
    calls::{listing, text},
    client::{DaemonArg, segment},
    say,
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

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

pub(crate) fn run(args: &VoicemailsArgs) -> anyhow::Result<ExitCode> {
    let Some(message) = &args.message else { return list(args) };
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

fn list(args: &VoicemailsArgs) -> anyhow::Result<ExitCode> {
    let mut path = format!("/v1/voicemails?limit={}", args.limit);
    if let Some(mailbox) = &args.mailbox {
        path.push_str(&format!("&mailbox={}", segment(mailbox)?));
    }
    args.daemon.request("GET", &path, None)?.show(args.json, |body| {
        let heads = ["MESSAGE", "MAILBOX", "FROM", "STARTED", "MS", "ENDED BY", "COMPLETE"];
        listing(body, "voicemails", "no messages", heads, |one| {
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
        });
    })
}
