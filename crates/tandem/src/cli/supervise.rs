//! `tandem supervise`.

use super::{
    calls::text,
    client::{DaemonArg, segment},
    say,
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{process::ExitCode, time::Duration};

#[derive(Args)]
pub(crate) struct SuperviseArgs {
    /// The call's id (`tandem calls`).
    call: String,
    /// Whom to ring: an agent's name, or a URI: sip:…, tel:+…. Again with another --mode changes the mode of who is there. With
    /// --end: the supervisor's name, like supervisor-1.
    to: String,
    /// Who hears them: nobody, the human alone, or the caller too. Never the AI.
    #[arg(long, value_parser = ["listen", "whisper", "barge"], default_value = "listen")]
    mode: String,
    /// How long their phones ring, like 20s.
    #[arg(long, value_name = "DURATION", value_parser = super::transfer::duration)]
    ring_timeout: Option<Duration>,
    /// Let a supervisor go instead.
    #[arg(long, conflicts_with_all = ["mode", "ring_timeout"])]
    end: bool,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &SuperviseArgs) -> anyhow::Result<ExitCode> {
    let path = format!("/v1/calls/{}/supervise", segment(&args.call)?);
    if args.end {
        let answer = args.daemon.request("DELETE", &format!("{path}/{}", segment(&args.to)?), None)?;
        return answer.show(args.json, |_| say(&format!("{} is let go", args.to)));
    }
    let mut body = Map::new();
    body.insert("to".to_owned(), json!(args.to));
    body.insert("mode".to_owned(), json!(args.mode));
    if let Some(timeout) = args.ring_timeout {
        body.insert("ring_timeout".to_owned(), json!(format!("{}ms", timeout.as_millis())));
    }
    args.daemon.request("POST", &path, Some(&Value::Object(body)))?.show(args.json, |supervisor| {
        let word = |key: &str| text(supervisor, key);
        say(&format!("{} {} ({}): {}", word("supervisor"), word("to"), word("mode"), word("state")));
    })
}
