//! `tandem calls`.

use super::{
    Colour,
    client::{DaemonArg, segment},
    say,
    terminal::plain,
};
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

#[derive(Args)]
pub(crate) struct CallsArgs {
    /// Show this call: its legs, its story, its decisions and transfers.
    id: Option<String>,
    #[command(flatten)]
    daemon: DaemonArg,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Only calls that are up.
    #[arg(long)]
    active: bool,
}

pub(crate) fn run(args: &CallsArgs) -> anyhow::Result<ExitCode> {
    match &args.id {
        Some(id) => {
            let answer = args.daemon.request("GET", &format!("/v1/calls/{}", segment(id)?), None)?;
            answer.show(args.json, one)
        }
        None => {
            let path = if args.active { "/v1/calls?state=active" } else { "/v1/calls" };
            args.daemon.request("GET", path, None)?.show(args.json, list)
        }
    }
}

fn list(body: &Value) {
    let colour = Colour::of_stdout();
    let calls: Vec<&Value> = body.get("calls").and_then(Value::as_array).into_iter().flatten().collect();
    if calls.is_empty() {
        say("no calls");
        return;
    }
    let mut rows = vec![["CALL", "STATE", "LINE", "FROM", "TO", "STARTED"].map(str::to_owned)];
    for call in calls {
        rows.push(["id", "state", "line", "from", "to", "started"].map(|key| text(call, key)));
    }
    table(&rows, |row, line| if row == 0 { colour.dim(line) } else { line.to_owned() });
}

fn one(call: &Value) {
    let colour = Colour::of_stdout();
    say(&format!("{} {}", colour.bold(&text(call, "id")), text(call, "state")));
    say(&format!(
        "  line {}  trunk {}  {} -> {}",
        text(call, "line"),
        text(call, "trunk"),
        text(call, "from"),
        text(call, "to")
    ));
    say(&colour.bold("legs"));
    for leg in array(call, "legs") {
        let ended = leg
            .get("ended")
            .filter(|ended| !ended.is_null())
            .map_or("up".to_owned(), |_| format!("ended by {}", text(leg, "ended_by")));
        say(&format!("  {:<10} {:<24} {}", text(leg, "name"), text(leg, "via"), ended));
    }
    say(&colour.bold("story"));
    for entry in array(call, "timeline") {
        let data =
            entry.get("data").filter(|data| !data.is_null()).map(|data| plain(&data.to_string())).unwrap_or_default();
        say(&format!("  {}  {:<18} {}", text(entry, "time"), text(entry, "type"), colour.dim(&data)));
    }
    let decisions = array(call, "decisions");
    if let Some(last) = decisions.last() {
        say(&colour.bold("last decision"));
        explain(last.get("explanation").unwrap_or(&Value::Null), colour);
    }
    for transfer in array(call, "transfers") {
        say(&format!(
            "{} {} to {} ({}): {}",
            colour.bold("transfer"),
            text(transfer, "id"),
            text(transfer, "to"),
            text(transfer, "mode"),
            text(transfer, "state")
        ));
    }
}

/// An explanation, rule by rule.
pub(crate) fn explain(explanation: &Value, colour: Colour) {
    for rule in array(explanation, "rules") {
        let verdict = text(rule, "verdict");
        let shown = if verdict == "fired" { colour.green(&verdict) } else { colour.dim(&verdict) };
        say(&format!("  {:<22} {shown}  {}", text(rule, "rule"), text(rule, "because")));
    }
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A field as text; `-` when there is none.
pub(crate) fn text(value: &Value, key: &str) -> String {
    match value.get(key) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => plain(text),
        Some(other) => plain(&other.to_string()),
    }
}

/// A list of the answer as a table; `none` where nothing is in it.
pub(crate) fn listing<const N: usize>(
    body: &Value,
    key: &str,
    none: &str,
    heads: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) {
    let entries = array(body, key);
    if entries.is_empty() {
        return say(none);
    }
    let mut rows = vec![heads.map(str::to_owned)];
    rows.extend(entries.iter().map(row));
    let colour = Colour::of_stdout();
    table(&rows, |row, line| if row == 0 { colour.dim(line) } else { line.to_owned() });
}

/// Columns as wide as their widest cell; a row is a line, whatever a caller has said in it.
pub(crate) fn table<const N: usize>(rows: &[[String; N]], paint: impl Fn(usize, &str) -> String) {
    for (at, line) in lines(rows).iter().enumerate() {
        say(paint(at, line).as_str());
    }
}

fn lines<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let one_line = |cell: &String| cell.split(['\n', '\t']).collect::<Vec<_>>().join(" ");
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(one_line)).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    /// A message of two lines broke the list in two.
    #[test]
    fn a_row_of_a_list_is_one_line() {
        let rows = [["MESSAGE", "TEXT"], ["m_1", "please call\nback\tsoon"]].map(|row| row.map(str::to_owned));
        assert_eq!(super::lines(&rows), ["MESSAGE  TEXT", "m_1      please call back soon"]);
    }
}
