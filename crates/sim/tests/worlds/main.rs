//! Worlds by seed: what must hold in all of them, what they must reach, and that each checker can fail.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic")]

mod checkers;
mod seeds;
