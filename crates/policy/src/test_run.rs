//! The rules file's own tests: virtual time, scripted events, outcomes of destinations.

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// How one test of a rules file went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: Arc<str>,
    /// Its line.
    pub line: u32,
    /// What happened instead, line by line, with the explanation; empty when it passed.
    pub failure: String,
}

impl TestReport {
    /// True when everything expected happened.
    pub fn passed(&self) -> bool {
        self.failure.is_empty()
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.passed() {
            return write!(f, "ok: {}", self.name);
        }
        write!(f, "FAILED: {} ({}:{})\n{}", self.name, self.file, self.line, self.failure)
    }
}
