//! The behaviour of calls in virtual time, one file a behaviour.
#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "the helpers of tests may panic, and read better so"
)]

mod ai_lost;
mod ai_moves;
mod announcements;
mod api;
mod callbacks;
mod caller_leaves;
mod campaigns;
mod dialogs;
mod farewells;
mod feature_codes;
mod handoff;
mod human_fails;
mod introduction;
mod lasting;
mod limits;
mod machines;
mod outbound;
mod pains;
mod queues;
mod random;
mod recording;
mod referred_by_us;
mod registered_phones;
mod rests;
mod sessions;
mod srtp;
mod straight;
mod supervisors;
mod targets;
mod trunks;
mod voicemail;
mod whispers;
mod world;
