//! Behaviour by clause: one file a behaviour, all in one program so that they share one world.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

mod random_calls;
mod rfc3261_calls;
mod world;
