//! Reading a message costs memory in proportion to nothing: a place for its headers, and what a shared buffer needs.

#[path = "support/invite.rs"]
mod invite;

use bytes::Bytes;
use invite::INVITE;
use sip_codec::{Limits, Message};

#[test]
fn an_invite_is_read_to_its_core_with_four_allocations_at_most() {
    let limits = Limits::default();
    let mut bytes = Some(Bytes::from(INVITE.replace('\n', "\r\n").into_bytes()));
    let counted = allocation_counter::measure(|| {
        let message = Message::parse(bytes.take().expect("once"), &limits).expect("a message");
        let core = message.core().expect("a core");
        assert_eq!((core.cseq.number, message.body().len() > 200), (314_159, true));
    });
    assert!(counted.count_total <= 4, "{} allocations", counted.count_total);
}

#[test]
fn a_message_of_many_short_lines_costs_no_more_than_a_few_times_its_size() {
    let mut text = String::from("OPTIONS sip:a@b SIP/2.0\r\n");
    while text.len() < 65_000 {
        text.push_str("a:\r\n");
    }
    text.push_str("\r\n");
    let bytes = Bytes::from(text.into_bytes());
    let counted = allocation_counter::measure(|| {
        let refused = Message::parse(bytes.clone(), &Limits::default());
        assert!(refused.is_err(), "far more than 128 headers");
        drop(Message::salvage(bytes.clone(), &Limits::default()));
    });
    assert!(counted.bytes_max <= 65_536, "{} bytes at once", counted.bytes_max);
}
