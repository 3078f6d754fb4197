//! Bounds on what a peer can make us read.

/// The most that one message may bring. Exceeding one is an error that names it; nothing is cut silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a whole message.
    pub message: usize,
    /// Header lines, folded ones counted once.
    pub headers: usize,
    /// Bytes of one header line with its folds, and of the start line.
    pub line: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message: 64 * 1024, headers: 128, line: 8 * 1024 }
    }
}
