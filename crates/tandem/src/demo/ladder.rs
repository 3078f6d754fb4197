//! The SIP ladder of a call: every message that the parties sent or received, in the order of time.

use crate::cli::{Colour, plain};
use parties::io::Traced;
use std::time::Duration;

/// Width between two columns.
const WIDE: usize = 26;

/// What each party sent and received.
pub(super) struct Ladder {
    pub(super) caller: Vec<Traced>,
    pub(super) ai: Vec<Traced>,
    pub(super) human: Vec<Traced>,
}

pub(super) fn draw(ladder: &Ladder, colour: Colour) -> String {
    let columns = ["caller", "tandem", "AI", "human"];
    let mut all: Vec<(usize, &Traced)> = Vec::new();
    for (column, trace) in [(0, &ladder.caller), (2, &ladder.ai), (3, &ladder.human)] {
        all.extend(trace.iter().map(|traced| (column, traced)));
    }
    all.sort_by_key(|(_, traced)| traced.at);
    let began = all.first().map_or(Duration::ZERO, |(_, traced)| traced.at);
    let header: String = columns.iter().map(|name| format!("{name:<WIDE$}")).collect();
    let mut lines = vec![String::new(), colour.bold(&format!("{:10}{}", "SIP", header.trim_end()))];
    for (column, traced) in all {
        let label = label(traced);
        // The daemon is column 1: an arrow lies between it and the party, over the columns in between.
        let (left, right) = if column == 0 { (0, 1) } else { (1, column) };
        let toward_right = (column == 0) == traced.sent;
        let span = (right - left) * WIDE - 1;
        let text: String = label.chars().take(span.saturating_sub(6)).collect();
        let dashes = span.saturating_sub(text.chars().count() + 4);
        let arrow = if toward_right {
            format!("─ {text} {}▶", "─".repeat(dashes))
        } else {
            format!("◀{} {text} ─", "─".repeat(dashes))
        };
        let mut row = String::new();
        for (at, _) in columns.iter().enumerate() {
            if at == left {
                row.push('│');
                row.push_str(&arrow);
            } else if at < left || at >= right {
                row.push('│');
                if at + 1 < columns.len() {
                    row.push_str(&" ".repeat(WIDE - 1));
                }
            }
        }
        let at = traced.at.saturating_sub(began).as_secs_f64();
        lines.push(format!("{} {row}", colour.dim(&format!("{at:8.3}s"))));
    }
    lines.join("\n")
}

fn label(traced: &Traced) -> String {
    let message = &traced.message;
    let text = match (message.method(), message.status(), message.cseq()) {
        (Some(method), _, _) => method.to_owned(),
        (None, Some(status), Some((_, method))) => format!("{status} {method}"),
        (None, Some(status), None) => status.to_string(),
        _ => "?".to_owned(),
    };
    plain(&text)
}
