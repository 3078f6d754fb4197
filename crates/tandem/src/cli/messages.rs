//! `tandem messages`.

use super::{
    calls::{listing, text},
    client::{DaemonArg, segment},
    plain, say,
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct MessagesArgs {
    /// One message by its id; without it they are listed.
    message: Option<String>,
    /// show; read: mark it as read; delete: take it away.
    #[arg(value_parser = ["show", "read", "delete"], default_value = "show", requires = "message")]
    action: String,
    /// Only those that were not read.
    #[arg(long)]
    unread: bool,
    /// Only those of this line.
    #[arg(long, value_name = "NAME")]
    line: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &MessagesArgs) -> anyhow::Result<ExitCode> {
    let Some(message) = &args.message else { return list(args) };
    let path = format!("/v1/messages/{}", segment(message)?);
    let answer = match args.action.as_str() {
        "read" => args.daemon.request("POST", &format!("{path}/read"), None)?,
        "delete" => args.daemon.request("DELETE", &path, None)?,
        _ => args.daemon.request("GET", &path, None)?,
    };
    answer.show(args.json, |body| {
        if args.action == "delete" {
            return say("done");
        }
        for field in ["id", "from", "line", "call", "left", "read"] {
            say(&format!("{field:<6} {}", text(body, field)));
        }
        say(&plain(body.get("text").and_then(Value::as_str).unwrap_or_default()));
    })
}

fn list(args: &MessagesArgs) -> anyhow::Result<ExitCode> {
    let mut path = format!("/v1/messages?limit={}&unread={}", args.limit, args.unread);
    if let Some(line) = &args.line {
        path.push_str(&format!("&line={}", segment(line)?));
    }
    args.daemon.request("GET", &path, None)?.show(args.json, |body| {
        let heads = ["MESSAGE", "LINE", "FROM", "LEFT", "READ", "TEXT"];
        listing(body, "messages", "no messages", heads, |message| {
            let field = |name: &str| text(message, name);
            let brief = field("text").chars().take(60).collect();
            [field("id"), field("line"), field("from"), field("left"), field("read"), brief]
        });
    })
}
