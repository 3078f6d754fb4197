//! Line ends that keep streams alive (RFC 5626 sections 3.5.1 and 4.4.1).

use crate::shell::{Hand, address, message, options, quick, shell};
use signaling::{Flow, Transport, io::StreamLimits};
use std::net::TcpListener;

#[test]
fn rfc5626_4_4_1_a_ping_is_answered_by_one_line_end() {
    let mut streams = shell(StreamLimits::default());
    let mut hand = Hand::connect(&streams);
    hand.say("\r\n\r\n");
    assert_eq!(hand.hear(2), "\r\n");
    hand.say(&format!("\r\n\r\n{}", options(1)));
    assert_eq!(hand.hear(2), "\r\n");
    assert_eq!(message(&mut streams).1, options(1));
    // Line ends in front of a message are no ping (RFC 3261 section 7.5).
    hand.say(&format!("\r\n{}", options(2)));
    assert_eq!(message(&mut streams).1, options(2));
}

#[test]
fn rfc5626_4_4_1_a_stream_of_ours_is_pinged_when_it_is_silent_and_pongs_are_not_answered() {
    let mut streams = shell(quick());
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let flow = Flow::new(Transport::Tcp, address(&streams), peer.local_addr().unwrap());
    streams.send(&flow, None, options(1).into());
    let mut hand = Hand(peer.accept().unwrap().0);
    assert_eq!(hand.hear(options(1).len()), options(1));
    for _ in 0..3 {
        assert_eq!(hand.hear(4), "\r\n\r\n");
        hand.say("\r\n");
    }
    hand.say(&options(2));
    assert_eq!(message(&mut streams).1, options(2));
}
