//! Messages over streams: whole, both ways, over the one that is there (RFC 3261 section 18).

use crate::shell::{Hand, address, failure, message, options, quick, shell, shell_of, until};
use bytes::Bytes;
use signaling::{Flow, Input, Transport, io::StreamLimits};
use std::net::TcpListener;

#[test]
fn rfc3261_18_a_stream_is_opened_on_demand_shared_and_answered_over() {
    let (mut one, mut two) = (shell(StreamLimits::default()), shell(StreamLimits::default()));
    let flow = Flow::new(Transport::Tcp, address(&one), address(&two));
    one.send(&flow, None, options(1).into());
    one.send(&flow, None, options(2).into());
    let came = until(&mut two, |inputs| inputs.len() == 2);
    let Input::Received { flow: back, bytes } = &came[1] else { panic!("{came:?}") };
    assert_eq!(bytes, options(2).as_bytes());
    assert!(back.connection.is_some() && back.local == address(&two) && back.remote.port() != address(&one).port());
    two.send(back, None, Bytes::from_static(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let (answered, answer) = message(&mut one);
    assert!(answer.starts_with("SIP/2.0 200"));
    assert_eq!((answered.local, answered.remote), (flow.local, flow.remote), "the flow is our listener's");
    assert_eq!((one.counts().opened, two.counts().accepted), (1, 1), "one stream carried all of it");
}

#[test]
fn rfc3261_18_2_2_an_answer_whose_stream_is_gone_goes_over_a_new_one() {
    let mut streams = shell(StreamLimits::default());
    let sent_by = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut hand = Hand::connect(&streams);
    hand.say(&options(1));
    let (flow, _) = message(&mut streams);
    drop(hand);
    while streams.counts().open > 0 {
        std::thread::yield_now();
    }
    let reply_to = Flow { remote: sent_by.local_addr().unwrap(), ..flow };
    streams.send(&reply_to, None, Bytes::from_static(b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let mut hand = Hand(sent_by.accept().unwrap().0);
    assert!(hand.hear(14).starts_with("SIP/2.0 200 OK"));
}

#[test]
fn rfc3261_18_4_nobody_there_is_told() {
    let mut streams = shell(StreamLimits::default());
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flow = Flow::new(Transport::Tcp, address(&streams), gone);
    streams.send(&flow, None, options(1).into());
    let failed = failure(&mut streams);
    assert_eq!((failed.transport, failed.local, failed.remote), (flow.transport, flow.local, flow.remote));
    assert_eq!((streams.counts().failed, streams.counts().open), (1, 0));
}

#[test]
fn rfc3261_18_4_a_stream_that_breaks_is_told_when_it_carried_a_request_of_ours_alone() {
    let mut streams = shell(StreamLimits::default());
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let flow = Flow::new(Transport::Tcp, address(&streams), peer.local_addr().unwrap());
    // A stranger who comes and goes is nobody's loss.
    let mut stranger = Hand::connect(&streams);
    stranger.say(&options(1));
    message(&mut streams);
    drop(stranger);
    streams.send(&flow, None, options(2).into());
    drop(peer.accept().unwrap());
    let failed = failure(&mut streams);
    assert_eq!(failed.remote, flow.remote);
}

#[test]
fn rfc3261_7_5_messages_come_whole_however_they_were_cut() {
    let mut streams = shell(StreamLimits::default());
    let mut hand = Hand::connect(&streams);
    for byte in options(1).chars() {
        hand.say(&byte.to_string());
    }
    assert_eq!(message(&mut streams).1, options(1));
    hand.say(&format!("{}{}{}", options(2), options(3), &options(4)[..20]));
    let came = until(&mut streams, |inputs| inputs.len() == 2);
    assert!(matches!(&came[1], Input::Received { bytes, .. } if bytes == options(3).as_bytes()));
    hand.say(&options(4)[20..]);
    assert_eq!(message(&mut streams).1, options(4));
}

#[test]
fn rfc3261_18_over_ipv6() {
    let mut one = shell_of(Transport::Tcp, "[::1]:0", quick(), None);
    let mut two = shell_of(Transport::Tcp, "[::1]:0", quick(), None);
    one.send(&Flow::new(Transport::Tcp, address(&one), address(&two)), None, options(1).into());
    let (flow, came) = message(&mut two);
    assert!(flow.remote.is_ipv6() && came == options(1));
}
