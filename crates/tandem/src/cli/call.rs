//! `tandem call`.

use super::{Colour, calls, client::DaemonArg, say, transfer::duration};
use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};
use std::{process::ExitCode, time::Duration};

#[derive(Args)]
pub(crate) struct CallArgs {
    /// Who is called: tel:+49…, or a SIP URI.
    to: String,
    /// The AI profile that talks to them.
    #[arg(long, value_name = "PROFILE", conflicts_with = "connect")]
    ai: Option<String>,
    /// The destination of the rules that gets them instead of an AI.
    #[arg(long, value_name = "DESTINATION")]
    connect: Option<String>,
    /// The line whose rules hold.
    #[arg(long)]
    line: Option<String>,
    /// The number that they see.
    #[arg(long, value_name = "NUMBER")]
    from: Option<String>,
    /// The campaign that the call belongs to.
    #[arg(long)]
    campaign: Option<String>,
    /// The person's time zone, like America/New_York: the campaign's hours are judged by their clocks.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What the call is about.
    #[arg(long)]
    intent: Option<String>,
    /// A tag that rules may ask for; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// What is known of them, as KEY=VALUE; a value may be JSON; may be repeated.
    #[arg(long = "context", short = 'c', value_name = "KEY=VALUE")]
    context: Vec<String>,
    /// How long their phone rings, like 30s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ring_timeout: Option<Duration>,
    /// What is done about a machine that answers: hang_up, continue (rules say how), or none: nobody listens for it.
    #[arg(long, value_parser = ["hang_up", "continue", "none"])]
    on_machine: Option<String>,
    /// Dial the AI only when they have answered.
    #[arg(long)]
    no_predial: bool,
    /// Wait for their answer, at most this long, like 60s; the exit code says whether they answered.
    #[arg(long, value_name = "DURATION", value_parser = duration, num_args = 0..=1, default_missing_value = "60s")]
    wait: Option<Duration>,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CallArgs) -> anyhow::Result<ExitCode> {
    let mut path = "/v1/calls".to_owned();
    if let Some(wait) = args.wait {
        path.push_str(&format!("?wait={}ms", wait.as_millis()));
    }
    let answer = args.daemon.request("POST", &path, Some(&Value::Object(body(args)?)))?;
    // A machine that was not to have the call has not answered it.
    let answered = answer.body.get("answered").is_some_and(Value::is_string)
        && !answer.body.get("failure").is_some_and(Value::is_string);
    let shown = answer.show(args.json, |placed| {
        let colour = Colour::of_stdout();
        let said = |name: &str| placed.get(name).and_then(Value::as_str);
        let state = match (answered, said("failure").or(said("cause"))) {
            (true, _) => colour.green("answered"),
            (false, Some(why)) => colour.red(&format!("not reached ({why})")),
            (false, None) => "dialled".to_owned(),
        };
        say(&format!("{} to {}: {state}", calls::text(placed, "call"), args.to));
    })?;
    Ok(if args.wait.is_some() && answer.is_success() && !answered { ExitCode::FAILURE } else { shown })
}

fn body(args: &CallArgs) -> anyhow::Result<Map<String, Value>> {
    let mut body = Map::new();
    body.insert("to".to_owned(), json!(args.to));
    for (name, value) in [
        ("ai", &args.ai),
        ("connect", &args.connect),
        ("line", &args.line),
        ("from", &args.from),
        ("campaign", &args.campaign),
        ("time_zone", &args.time_zone),
        ("intent", &args.intent),
    ] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    if !args.tags.is_empty() {
        body.insert("tags".to_owned(), json!(args.tags));
    }
    let mut context = Map::new();
    for pair in &args.context {
        let (key, value) = pair.split_once('=').with_context(|| format!("found `{pair}`, expected KEY=VALUE"))?;
        // What is no JSON is text: `name=Ada` as well as `age=36`.
        let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        context.insert(key.to_owned(), value);
    }
    if !context.is_empty() {
        body.insert("context".to_owned(), Value::Object(context));
    }
    if let Some(ring) = args.ring_timeout {
        body.insert("ring_timeout".to_owned(), json!(format!("{}ms", ring.as_millis())));
    }
    if let Some(on_machine) = &args.on_machine {
        body.insert("amd".to_owned(), json!({ "on_machine": on_machine }));
    }
    if args.no_predial {
        body.insert("predial".to_owned(), json!(false));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CallArgs,
    }

    fn said(words: &[&str]) -> Value {
        let line = Line::parse_from(["call"].iter().chain(words));
        Value::Object(body(&line.args).unwrap())
    }

    #[test]
    fn what_is_said_on_the_command_line_is_what_is_posted() {
        assert_eq!(said(&["tel:+4930123"]), json!({ "to": "tel:+4930123" }));
        let words = [
            "tel:+4930123",
            "--ai",
            "main",
            "-c",
            "name=Ada",
            "-c",
            "age=36",
            "--tag",
            "gold",
            "--intent",
            "reminder",
            "--ring-timeout",
            "30s",
            "--no-predial",
            "--campaign",
            "dues",
            "--time-zone",
            "Europe/Berlin",
            "--on-machine",
            "hang_up",
        ];
        let expected = json!({
            "to": "tel:+4930123", "ai": "main", "context": { "name": "Ada", "age": 36 }, "tags": ["gold"],
            "intent": "reminder", "ring_timeout": "30000ms", "predial": false, "campaign": "dues",
            "time_zone": "Europe/Berlin", "amd": { "on_machine": "hang_up" },
        });
        assert_eq!(said(&words), expected);
    }

    #[test]
    fn context_without_a_value_and_two_who_are_to_talk_are_refused() {
        let line = Line::parse_from(["call", "tel:+4930123", "-c", "name"]);
        assert!(body(&line.args).unwrap_err().to_string().contains("expected KEY=VALUE"));
        assert!(Line::try_parse_from(["call", "tel:+4930123", "--ai", "main", "--connect", "desk"]).is_err());
    }
}
