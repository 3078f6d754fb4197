//! What a peer can fill has a bound, and what takes too long has an end.

use crate::shell::{Hand, address, connect_from, message, nothing, options, quick, shell};
use bytes::Bytes;
use signaling::{Flow, Transport, io::StreamLimits};
use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

#[test]
fn a_source_has_its_share_and_no_more() {
    let mut streams = shell(StreamLimits { per_source: 3, ..StreamLimits::default() });
    let mut kept: Vec<Hand> = (0..3).map(|_| Hand::connect(&streams)).collect();
    for _ in 0..20 {
        assert_eq!(Hand::connect(&streams).closed(), 0);
    }
    assert_eq!((streams.counts().accepted, streams.counts().turned_away), (3, 20));
    kept[2].say(&options(1));
    message(&mut streams);
    // Who leaves makes room.
    drop(kept.pop());
    while streams.counts().open > 2 {
        std::thread::yield_now();
    }
    let mut next = Hand::connect(&streams);
    next.say(&options(2));
    message(&mut streams);
}

#[test]
fn the_last_tenth_is_kept_for_peers_that_we_know() {
    let mut streams = shell(StreamLimits { connections: 10, ..StreamLimits::default() });
    let to = address(&streams);
    let kept: Vec<Hand> = (0..9).map(|_| connect_from("127.0.0.2", to)).collect();
    assert_eq!(connect_from("127.0.0.3", to).closed(), 0);
    let mut known = connect_from("127.0.0.9", to);
    known.say(&options(1));
    assert_eq!(message(&mut streams).0.remote.ip().to_string(), "127.0.0.9");
    assert_eq!(connect_from("127.0.0.9", to).closed(), 0, "the bound holds for everybody");
    drop(kept);
}

#[test]
fn who_says_nothing_whole_is_closed() {
    let streams = shell(quick());
    let mut silent = Hand::connect(&streams);
    let mut endless = Hand::connect(&streams);
    endless.say("OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nX: 1\r\n");
    assert_eq!((silent.closed(), endless.closed()), (0, 0));
    while streams.counts().open > 0 {
        std::thread::yield_now();
    }
    assert_eq!(streams.counts().idle, 2);
}

#[test]
fn a_second_message_that_never_ends_is_closed_too_but_silence_between_messages_is_fine() {
    let mut streams = shell(quick());
    let mut quiet = Hand::connect(&streams);
    quiet.say(&options(1));
    message(&mut streams);
    let mut dripping = Hand::connect(&streams);
    dripping.say(&options(2));
    message(&mut streams);
    dripping.say("OPTIONS ");
    assert_eq!(dripping.closed(), 0);
    quiet.say(&options(3));
    message(&mut streams);
}

#[test]
fn a_connection_that_says_nothing_for_long_is_closed_and_a_keep_alive_is_something() {
    let idle = Duration::from_secs(3);
    let mut streams = shell(StreamLimits { idle, ..StreamLimits::default() });
    let mut hand = Hand::connect(&streams);
    hand.say(&options(1));
    message(&mut streams);
    let begun = Instant::now();
    let mut last = begun;
    while begun.elapsed() < Duration::from_millis(400) {
        last = Instant::now();
        hand.say("\r\n\r\n");
        assert_eq!(hand.hear(2), "\r\n");
    }
    assert_eq!(hand.closed(), 0);
    assert!(last.elapsed() >= idle, "closed {:?} after it was last heard", last.elapsed());
    while streams.counts().open > 0 {
        std::thread::yield_now();
    }
    assert_eq!(streams.counts().idle, 1);
}

#[test]
fn a_peer_that_does_not_read_is_given_up() {
    let mut streams = shell(StreamLimits { queue: 4, ..StreamLimits::default() });
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let flow = Flow::new(Transport::Tcp, address(&streams), peer.local_addr().unwrap());
    let long = Bytes::from(vec![b'x'; 60_000]);
    let mut failed = Vec::new();
    for _ in 0..100_000 {
        streams.send(&flow, None, long.clone());
        streams.flush(&mut failed);
        if !failed.is_empty() {
            break;
        }
    }
    assert_eq!(failed.len(), 1);
    assert_eq!(streams.counts().slow, 1);
}

#[test]
fn rfc3261_18_3_lengths_that_lie_close_the_stream_and_smuggle_nothing() {
    for length in [
        "Content-Length: 4294967328\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nl: 5\r\n",
        "Content-Length: 0x10\r\n",
        "Content-Length: 1 0\r\n",
        "",
    ] {
        let mut streams = shell(StreamLimits::default());
        let mut hand = Hand::connect(&streams);
        hand.say(&options(1).replace("Content-Length: 0\r\n", length));
        // Whatever follows is no message any more; the peer may have been cut off already.
        let _ = std::io::Write::write_all(&mut hand.0, options(2).as_bytes());
        hand.closed();
        while streams.counts().open > 0 {
            std::thread::yield_now();
        }
        nothing(&mut streams);
        assert_eq!(streams.counts().garbage, 1, "{length:?}");
    }
    // A space before the colon is allowed (RFC 3261 section 7.3.1) and must not hide the length.
    let mut streams = shell(StreamLimits::default());
    let mut hand = Hand::connect(&streams);
    hand.say(&format!("{}hello", options(1).replace("Content-Length: 0", "Content-Length : 5")));
    assert!(message(&mut streams).1.ends_with("\r\n\r\nhello"));
}
