//! Two parties over loopback: if these fail, nothing that parties say of the daemon counts.
#![cfg(feature = "io")]

use parties::{
    analysis::{audio, continuity, find},
    io::{Party, Refused, Status, Voice},
    signal::Signal,
};
use std::{net::IpAddr, time::Duration};

const SOON: Duration = Duration::from_secs(5);

async fn pair(last: u8) -> (Party, Party) {
    let ip = |n| IpAddr::from([127, 90, last, n]);
    let a = Party::bind("anna", ip(1), Voice::of(Signal::Noise(1))).await.expect("a socket");
    let b = Party::bind("ben", ip(2), Voice::of(Signal::Noise(2))).await.expect("a socket");
    (a, b)
}

#[tokio::test]
async fn a_call_is_set_up_heard_both_ways_held_and_ended() {
    let (anna, ben) = pair(1).await;
    let out = anna.call("+4930555", "ben", ben.address()).await.expect("a call");
    let come = ben.incoming(SOON).await.expect("the call arrives");
    assert!(come.header("From").expect("From").contains("+4930555"));
    come.ring(180);
    out.rings(SOON).await.expect("it rings");
    come.answer();
    out.answered(SOON).await.expect("it is answered");
    come.answered(SOON).await.expect("the ACK comes");
    tokio::join!(out.audio().hears(60), come.audio().hears(60));
    for (call, signal) in [(&out, Signal::Noise(2)), (&come, Signal::Noise(1))] {
        let packets = call.audio().received();
        let seen = continuity(&packets);
        assert_eq!((seen.ssrc_count, seen.sequence_gaps), (1, 0));
        assert!(find(&audio(&packets, 10), signal, 0..16_000).correlation > 0.99);
    }
    assert_eq!(out.change("sendonly", SOON).await, Ok(200));
    assert_eq!(come.changes(), 1);
    come.hang_up();
    assert!(matches!(out.ended(SOON).await, Ok(Status::Ended { by_peer: true, .. })));
    assert!(matches!(come.ended(SOON).await, Ok(Status::Ended { by_peer: false, .. })));
}

#[tokio::test]
async fn a_refusal_and_a_cancel_end_on_both_sides() {
    let (anna, ben) = pair(2).await;
    let out = anna.call("anna", "ben", ben.address()).await.expect("a call");
    ben.incoming(SOON).await.expect("the call arrives").refuse(486);
    let Err(Refused::Ended(Status::Ended { status: Some(486), .. })) = out.answered(SOON).await else {
        panic!("expected 486, the call is {:?}", out.status());
    };
    let out = anna.call("anna", "ben", ben.address()).await.expect("a call");
    let come = ben.incoming(SOON).await.expect("the call arrives");
    come.ring(180);
    out.rings(SOON).await.expect("it rings");
    out.hang_up();
    assert!(matches!(come.ended(SOON).await, Ok(Status::Ended { by_peer: true, .. })));
    assert!(matches!(out.ended(SOON).await, Ok(Status::Ended { status: Some(487), .. })));
}

#[tokio::test]
async fn early_media_is_heard_before_the_answer() {
    let (anna, ben) = pair(3).await;
    let out = anna.call("anna", "ben", ben.address()).await.expect("a call");
    let come = ben.incoming(SOON).await.expect("the call arrives");
    come.talk_early();
    out.audio().hears(30).await;
    assert_eq!(out.status(), Status::Early(183));
    come.answer();
    out.answered(SOON).await.expect("it is answered");
    out.audio().hears(10).await;
    assert_eq!(continuity(&out.audio().received()).ssrc_count, 1);
}

#[tokio::test]
async fn a_late_offer_is_answered_in_the_ack() {
    let (anna, ben) = pair(4).await;
    let out = anna.call_late("anna", "ben", ben.address()).await.expect("a call");
    let come = ben.incoming(SOON).await.expect("the call arrives");
    assert_eq!(come.invite().body, "");
    come.answer();
    come.answered(SOON).await.expect("the ACK comes");
    tokio::join!(out.audio().hears(30), come.audio().hears(30));
    let ack = ben.trace().into_iter().find(|traced| traced.message.method() == Some("ACK")).expect("an ACK");
    assert!(ack.message.body.contains("m=audio "), "{}", ack.message.body);
}

#[tokio::test]
async fn options_are_asked_and_answered() {
    let (anna, ben) = pair(5).await;
    assert_eq!(anna.options(ben.address(), SOON).await, Some(200));
    let nobody = "127.90.5.9:5060".parse().expect("an address");
    assert_eq!(anna.options(nobody, Duration::from_millis(50)).await, None);
}
