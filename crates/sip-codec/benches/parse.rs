//! The time and the allocations of reading an INVITE of 1.3 kB with SDP to its typed core headers. Prints one JSON object a line.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

#[path = "../tests/support/invite.rs"]
mod invite;

use bytes::Bytes;
use invite::INVITE;
use sip_codec::{Limits, Message, frame};
use std::{hint::black_box, time::Instant};

const ROUNDS: usize = 201;
const READS: u32 = 2_000;

fn main() {
    let bytes = Bytes::from(INVITE.replace('\n', "\r\n").into_bytes());
    let limits = Limits::default();
    let size = bytes.len();
    let read = |bytes: Bytes| {
        let message = Message::parse(bytes, &limits).expect("a message");
        black_box(message.core().expect("a core"));
        black_box(&message);
    };
    // The datagram's buffer is there already; each reading shares it, as the shell's receive buffer is shared.
    line(
        "sip_parse_invite_ns",
        median(|| read(bytes.clone())),
        "ns",
        &format!("{size} bytes to typed core headers, median"),
    );
    let counted = allocation_counter::measure(|| read(bytes.clone()));
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    line("sip_parse_invite_allocations", counted.count_total as f64, "1", "while reading it once");
    line(
        "sip_frame_invite_ns",
        median(|| {
            black_box(frame(black_box(&bytes), &limits));
        }),
        "ns",
        "its boundary on a stream, median",
    );
}

/// Nanoseconds of one call: the median of many rounds.
fn median(mut action: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..READS {
                action();
            }
            start.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

fn line(name: &str, value: f64, unit: &str, note: &str) {
    println!("{{\"name\":\"{name}\",\"value\":{value:.1},\"unit\":\"{unit}\",\"note\":\"{note}\"}}");
}
