//! What the relay owes its listeners, in virtual time: one behaviour a file.

mod answerer;
mod continuity;
mod conversion;
mod house;
mod in_band;
mod latching;
mod loss;
mod mixing;
mod panics;
mod port_pairs;
mod random_schedules;
mod rtcp;
mod silence;
mod speech;
mod srtp;
mod stalls;
mod taps;
mod telephone_events;
mod words;
