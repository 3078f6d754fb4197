//! Rules, facts and decisions, each with its explanation: what should happen to a call, never how.
#![forbid(unsafe_code)]
