//! The worker in virtual time, one file a behaviour.

mod continuity;
mod house;
mod latching;
mod port_pairs;
mod rtcp;
mod silence;
mod stalls;
mod telephone_events;
