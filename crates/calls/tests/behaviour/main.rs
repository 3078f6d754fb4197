//! The behaviour of calls in virtual time, one file a behaviour.

mod ai_lost;
mod api;
mod caller_leaves;
mod handoff;
mod human_fails;
mod limits;
mod random;
mod sessions;
mod world;
