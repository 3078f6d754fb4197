//! The real cores of signaling, media-relay, policy and sdp around the core of calls, against scripted far ends, in
//! virtual time: what the behaviours look like on the wire.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic")]

mod house;
mod on_the_wire;
mod rfc3891_replaces;
mod rfc5589_transfers;
