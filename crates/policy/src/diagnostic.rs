//! Mistakes and warnings, each with its place, the line itself and what would be right.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// How bad it is: an error refuses every file, a warning refuses nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The files are refused.
    Error,
    /// The files work, but probably not as meant.
    Warning,
}

/// One mistake or warning, located in a file. Its `Display` is the whole block an operator reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file as it was named by whoever read it.
    pub file: Arc<str>,
    /// Line, counted from 1; 0 when the whole file is meant.
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// How many characters the caret underlines, at least 1.
    pub width: u32,
    /// The line itself.
    pub source: String,
    /// What is wrong, in the operator's words.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        if self.line == 0 {
            write!(f, "  --> {}", self.file)?;
            return match &self.help {
                Some(help) => write!(f, "\n   = {help}"),
                None => Ok(()),
            };
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "{margin}--> {}:{}:{}", self.file, self.line, self.column)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", self.source)?;
        let indent = " ".repeat(self.column.saturating_sub(1) as usize);
        write!(f, "{margin} | {indent}{}", "^".repeat(self.width.max(1) as usize))?;
        match &self.help {
            Some(help) => write!(f, " {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong, in the order of the files and their lines; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// The name among `known` that `word` was probably meant to be.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase().replace('-', "_")), name))
        .filter(|(closeness, name)| {
            *closeness >= 0.83 || (name.len() > 3 && strsim::damerau_levenshtein(&lower, name) <= 2)
        })
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, name)| name)
}
