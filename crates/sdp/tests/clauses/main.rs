//! The behaviour of sessions, a file a clause.
#![cfg(test)]

mod bodies_that_lie;
mod properties;
mod rfc3264_5_offer;
mod rfc3264_6_answer;
mod rfc3264_7_answer_received;
mod rfc3264_8_changes;
mod rfc4568_crypto;
mod support;
