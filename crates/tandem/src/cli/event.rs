//! `tandem event`.

use super::{
    Colour, calls,
    client::{DaemonArg, segment},
    say,
};
use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value};
use std::{io::Read as _, process::ExitCode};

/// Posts one event or several.
///
///   tandem event c_01… '{"type": "sentiment", "score": -0.8}'
///   tandem event c_01… --type intent name=unknown_transaction confidence=0.9
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct EventArgs {
    /// The call's id (`tandem calls`).
    call: String,
    /// The event as JSON (an object or an array; `-` reads it from standard input), or fields `name=value` after `--type`.
    #[arg(value_name = "JSON | NAME=VALUE", allow_hyphen_values = true)]
    body: Vec<String>,
    /// The event's type: no_match, sentiment, intent, auth_failed, lead, …
    #[arg(long = "type", short = 't', value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &EventArgs) -> anyhow::Result<ExitCode> {
    let body = body(args)?;
    let answer = args.daemon.request("POST", &format!("/v1/calls/{}/events", segment(&args.call)?), Some(&body))?;
    answer.show(args.json, |answer| {
        let colour = Colour::of_stdout();
        for result in answer.get("results").and_then(Value::as_array).into_iter().flatten() {
            let decision = match result.get("decision").filter(|decision| !decision.is_null()) {
                Some(decision) => {
                    let to =
                        decision.get("to").and_then(Value::as_str).map(|to| format!(" to {to}")).unwrap_or_default();
                    let line = format!(
                        "rule {} decided: {}{to}",
                        calls::text(decision, "rule"),
                        calls::text(decision, "does")
                    );
                    colour.green(&line)
                }
                None => "nothing decided".to_owned(),
            };
            say(&format!("{}: {decision}", calls::text(result, "event")));
            calls::explain(result.get("explanation").unwrap_or(&Value::Null), colour);
            for note in result.get("notes").and_then(Value::as_array).into_iter().flatten() {
                say(&colour.yellow(&format!("  note: {}", super::terminal::plain(note.as_str().unwrap_or_default()))));
            }
        }
        say(&format!("guidance for the AI: {}", calls::text(answer, "guidance")));
    })
}

fn body(args: &EventArgs) -> anyhow::Result<Value> {
    if let Some(kind) = &args.kind {
        let mut fields = Map::new();
        fields.insert("type".to_owned(), Value::String(kind.clone()));
        for field in &args.body {
            let Some((name, value)) = field.split_once('=') else {
                bail!("`{field}` is not a field; write it as name=value");
            };
            // Numbers, booleans and objects mean themselves; anything else is text.
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
            fields.insert(name.to_owned(), value);
        }
        return Ok(Value::Object(fields));
    }
    match args.body.as_slice() {
        [] => bail!("say what happened: JSON, or --type TYPE with fields name=value"),
        [dash] if dash == "-" => {
            let mut text = String::new();
            std::io::stdin().lock().take(1 << 20).read_to_string(&mut text)?;
            serde_json::from_str(&text).context("standard input is not JSON")
        }
        [one] => {
            serde_json::from_str(one).with_context(|| format!("`{one}` is not JSON; for plain fields use --type TYPE"))
        }
        _ => bail!("one JSON text at a time; quote it: '{{\"type\": \"no_match\"}}'"),
    }
}
