//! `tandem transfer`.

use super::{
    Colour, calls,
    client::{DaemonArg, segment},
    say,
};
use clap::Args;
use serde_json::{Map, Value, json};
use std::{process::ExitCode, time::Duration};

#[derive(Args)]
pub(crate) struct TransferArgs {
    /// The call's id (`tandem calls`).
    call: String,
    /// A destination of the rules, or a URI: sip:…, tel:+…
    to: String,
    /// warm: the human is reached and told first; cold: they get the caller when they answer.
    #[arg(long, value_parser = ["warm", "cold"])]
    mode: Option<String>,
    /// How long a phone rings, like 20s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ring_timeout: Option<Duration>,
    /// The human must press this digit to take the call.
    #[arg(long, value_name = "DIGIT")]
    accept: Option<char>,
    /// What the human alone hears first: the name of a prompt, or `none`.
    #[arg(long, value_name = "PROMPT")]
    whisper: Option<String>,
    /// The AI introduces the caller: all three hear one another for so long at the most, like 20s.
    #[arg(long, value_name = "DURATION", value_parser = duration, num_args = 0..=1, default_missing_value = "20s")]
    introduce: Option<Duration>,
    /// The key by which the human ends the introduction.
    #[arg(long, value_name = "DIGIT", requires = "introduce")]
    introduce_press: Option<char>,
    /// When the AI leaves: at_once, at_bridge, or never: stay, as a silent co-pilot.
    #[arg(long, value_parser = ["at_once", "at_bridge", "stay"])]
    release_ai: Option<String>,
    /// Wait for the outcome, at most this long, like 30s; the exit code says whether they were joined.
    #[arg(long, value_name = "DURATION", value_parser = duration, num_args = 0..=1, default_missing_value = "60s")]
    wait: Option<Duration>,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print the daemon's answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    crate::config::duration(text).map_err(|_| "a whole number with its unit: 250ms, 20s, 5m".to_owned())
}

/// What is asked for, in the words of the API.
fn order(args: &TransferArgs) -> Value {
    let mut body = Map::new();
    let written = |time: Duration| json!(format!("{}ms", time.as_millis()));
    body.insert("to".to_owned(), json!(args.to));
    if let Some(mode) = &args.mode {
        body.insert("mode".to_owned(), json!(mode));
    }
    if let Some(timeout) = args.ring_timeout {
        body.insert("ring_timeout".to_owned(), written(timeout));
    }
    if let Some(digit) = args.accept {
        body.insert("accept".to_owned(), json!({ "press": digit.to_string() }));
    }
    if let Some(prompt) = &args.whisper {
        let whisper = if prompt == "none" { json!("none") } else { json!({ "prompt": prompt }) };
        body.insert("whisper".to_owned(), whisper);
    }
    if let Some(within) = args.introduce {
        let mut introduce = json!({ "within": written(within) });
        if let Some(press) = args.introduce_press {
            introduce["press"] = json!(press.to_string());
        }
        body.insert("introduce".to_owned(), introduce);
    }
    if let Some(release) = &args.release_ai {
        body.insert("release_ai".to_owned(), json!(release));
    }
    Value::Object(body)
}

pub(crate) fn run(args: &TransferArgs) -> anyhow::Result<ExitCode> {
    let mut path = format!("/v1/calls/{}/transfer", segment(&args.call)?);
    if let Some(wait) = args.wait {
        path.push_str(&format!("?wait={}ms", wait.as_millis()));
    }
    let answer = args.daemon.request("POST", &path, Some(&order(args)))?;
    let bridged = answer.body.get("bridged").and_then(Value::as_bool) == Some(true);
    let shown = answer.show(args.json, |transfer| {
        let colour = Colour::of_stdout();
        let state = calls::text(transfer, "state");
        let state = match state.as_str() {
            "bridged" => colour.green("bridged"),
            "failed" => colour.red(&format!("failed ({})", calls::text(transfer, "cause"))),
            other => other.to_owned(),
        };
        say(&format!("{} to {}: {state}", calls::text(transfer, "id"), calls::text(transfer, "to")));
    })?;
    Ok(if args.wait.is_some() && answer.is_success() && !bridged { ExitCode::FAILURE } else { shown })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: TransferArgs,
    }

    fn asked(options: &[&str]) -> Result<Value, String> {
        let line = ["transfer", "c_1", "frontdesk"].iter().chain(options);
        Line::try_parse_from(line).map(|line| order(&line.args)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_flag_asks_in_the_words_of_the_api() {
        let table: [(&[&str], Value); 5] = [
            (&[], json!({ "to": "frontdesk" })),
            (&["--introduce"], json!({ "to": "frontdesk", "introduce": { "within": "20000ms" } })),
            (
                &["--introduce", "5s", "--introduce-press", "#", "--release-ai", "stay"],
                json!({ "to": "frontdesk", "introduce": { "within": "5000ms", "press": "#" }, "release_ai": "stay" }),
            ),
            (
                &["--mode", "cold", "--release-ai", "at_bridge", "--accept", "1", "--ring-timeout", "9s"],
                json!({ "to": "frontdesk", "mode": "cold", "release_ai": "at_bridge", "accept": { "press": "1" }, "ring_timeout": "9000ms" }),
            ),
            (&["--whisper", "none"], json!({ "to": "frontdesk", "whisper": "none" })),
        ];
        for (options, expected) in table {
            assert_eq!(asked(options), Ok(expected), "{options:?}");
        }
        assert!(asked(&["--introduce-press", "#"]).unwrap_err().contains("--introduce"));
        assert!(asked(&["--release-ai", "later"]).unwrap_err().contains("at_bridge"));
    }
}
