//! Behaviour by clause: one file a behaviour, all in one program so that they share one world.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

mod abuse;
mod broken_messages;
mod identity_headers;
mod limits;
mod phone;
mod random_calls;
mod rfc3261_10_registrar;
mod rfc3261_10_registrations;
mod rfc3261_11_options;
mod rfc3261_13_2_forks;
mod rfc3261_14_offers;
mod rfc3261_17_reliable;
mod rfc3261_18_transports;
mod rfc3261_22_digest;
mod rfc3261_22_registrar;
mod rfc3261_8_2_requests;
mod rfc3261_calls;
mod rfc3262_reliable;
mod rfc3263_locating;
mod rfc3263_remembering;
mod rfc3327_path;
mod rfc3515_refer;
mod rfc3515_refer_sent;
mod rfc3665_3_sessions;
mod rfc3891_replaces;
mod rfc4028_session_timers;
mod rfc4488_norefersub;
mod rfc5407_races;
mod rfc6665_4_1_subscriptions;
mod snapshots;
mod trunk_dials;
mod trunk_gates;
mod unknown_sources;
mod world;
