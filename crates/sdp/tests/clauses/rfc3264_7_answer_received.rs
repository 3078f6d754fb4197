//! The peer's answers to our offers.

use crate::support::{ours, theirs};
use sdp::{Codec, Direction, Open};

#[test]
fn rfc3264_payload_types_may_differ_by_direction() {
    let mut session = ours();
    session.offer().unwrap();
    let answer = "m=audio 5004 RTP/AVP 97 96\na=rtpmap:97 PCMA/8000\na=rtpmap:96 telephone-event/8000\n";
    session.receive_answer(&theirs(answer)).unwrap();
    let agreed = session.agreed().unwrap();
    assert_eq!((agreed.codec, agreed.payload_type_send, agreed.payload_type_receive), (Codec::Pcma, 97, 8));
    assert_eq!(agreed.telephone_event, Some((96, 101)));
}

#[test]
fn an_answer_with_both_codecs_names_the_other_as_alternative() {
    let mut session = ours();
    session.offer().unwrap();
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 8 0\n")).unwrap();
    let agreed = session.agreed().unwrap();
    assert_eq!((agreed.codec, agreed.alternatives.as_slice()), (Codec::Pcma, &[(0, Codec::Pcmu)][..]));
}

#[test]
fn only_what_we_offered_counts() {
    let mut session = ours();
    session.local_mut().codecs = vec![Codec::Pcmu];
    session.local_mut().telephone_event = false;
    session.offer().unwrap();
    let answer = "m=audio 5004 RTP/AVP 8 18 0 101\na=rtpmap:101 telephone-event/8000\n";
    session.receive_answer(&theirs(answer)).unwrap();
    let agreed = session.agreed().unwrap();
    assert_eq!((agreed.codec, agreed.telephone_event), (Codec::Pcmu, None));
    session.offer().unwrap();
    let refusal = session.receive_answer(&theirs("m=audio 5004 RTP/AVP 8\n")).unwrap_err();
    assert_eq!(refusal.why, "the answer holds no codec that we offered");
}

#[test]
fn a_bad_answer_closes_the_offer_and_keeps_the_old_agreement() {
    let mut session = ours();
    session.offer().unwrap();
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    let before = session.agreed().cloned();
    for (answer, status) in [
        ("", 400),
        ("m=video 5004 RTP/AVP 31\n", 488),
        ("m=audio 0 RTP/AVP 0\n", 488),
        ("m=audio 5004 RTP/SAVP 0\n", 488),
        ("m=audio 5004 RTP/AVP 18\n", 488),
        ("m=audio 5004 RTP/AVP 300\n", 400),
        ("garbage\n", 400),
    ] {
        session.offer().unwrap();
        assert_eq!(session.receive_answer(&theirs(answer)).unwrap_err().status, status, "{answer}");
        assert_eq!((session.open(), session.agreed()), (Open::Nobodys, before.as_ref()), "{answer}");
    }
}

#[test]
fn rfc3264_5_1_the_narrower_direction_wins() {
    for (offered, answered, may_send, may_receive) in [
        (Direction::SendRecv, "sendrecv", true, true),
        (Direction::SendRecv, "recvonly", true, false),
        (Direction::SendRecv, "sendonly", false, true),
        (Direction::SendRecv, "inactive", false, false),
        (Direction::SendOnly, "recvonly", true, false),
        (Direction::SendOnly, "sendrecv", true, false),
        (Direction::RecvOnly, "sendonly", false, true),
        (Direction::Inactive, "sendrecv", false, false),
    ] {
        let mut session = ours();
        session.local_mut().direction = offered;
        session.offer().unwrap();
        session.receive_answer(&theirs(&format!("m=audio 5004 RTP/AVP 0\na={answered}\n"))).unwrap();
        let agreed = session.agreed().unwrap();
        assert_eq!((agreed.may_send, agreed.may_receive), (may_send, may_receive), "{offered:?} {answered}");
    }
}

#[test]
fn rfc3261_13_2_1_a_late_offer_is_answered_in_the_ack() {
    let mut session = ours();
    let offer = session.offer().unwrap();
    assert!(!offer.is_empty());
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    assert!(session.agreed().unwrap().may_send);
}

#[test]
fn an_early_answer_may_be_taken_back_or_replaced() {
    let mut session = ours();
    session.offer().unwrap();
    session.preview_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    assert_eq!((session.open(), session.agreed().unwrap().remote.port()), (Open::Ours, 5004));
    assert_eq!(session.preview_answer(&theirs("m=audio 5004 RTP/AVP 18\n")).unwrap_err().status, 488);
    assert_eq!(session.agreed().unwrap().remote.port(), 5004, "a second 183 that fails changes nothing");
    session.receive_answer(&theirs("m=audio 6004 RTP/AVP 8\n")).unwrap();
    assert_eq!(session.agreed().unwrap().remote.port(), 6004);

    session.offer().unwrap();
    session.preview_answer(&theirs("m=audio 7004 RTP/AVP 0\n")).unwrap();
    session.withdraw();
    assert_eq!(session.agreed().unwrap().remote.port(), 6004);
}

#[test]
fn another_answer_to_the_same_offer_replaces_the_first() {
    let mut session = ours();
    session.offer().unwrap();
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    session.receive_answer(&theirs("m=audio 6004 RTP/AVP 0\n")).unwrap();
    assert_eq!(session.agreed().unwrap().remote.port(), 6004);
    session.receive_offer(&theirs("m=audio 6004 RTP/AVP 0\n")).unwrap();
    session.answer(&[]).unwrap();
    assert_eq!(session.receive_answer(&theirs("m=audio 7004 RTP/AVP 0\n")).unwrap_err().status, 500);
    assert_eq!(session.agreed().unwrap().remote.port(), 6004);
}

#[test]
fn an_answer_nobody_waits_for_is_refused() {
    let mut session = ours();
    assert_eq!(session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err().status, 500);
    assert_eq!(session.preview_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err().status, 500);
    assert_eq!(session.agreed(), None);
}

#[test]
fn withdrawing_nothing_changes_nothing() {
    let mut session = ours();
    session.offer().unwrap();
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    let before = session.clone();
    session.withdraw();
    assert_eq!(session, before);
}

#[test]
fn a_session_written_down_in_mid_exchange_goes_on() {
    let mut session = ours();
    session.offer().unwrap();
    let text = serde_json::to_string(&session).unwrap();
    let mut restored: sdp::OfferAnswer = serde_json::from_str(&text).unwrap();
    restored.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    assert_eq!(restored, session);
}
