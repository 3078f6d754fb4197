//! Sessions that change: hold in both styles, other codecs, streams switched off.

use crate::support::{media, ours, text, theirs, wire};
use sdp::{Codec, Direction, OfferAnswer};

fn established() -> OfferAnswer {
    let mut session = ours();
    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 8 0\n")).unwrap();
    session.answer(&[Codec::Pcmu]).unwrap();
    session
}

fn reoffer(session: &mut OfferAnswer, offer: &[u8]) -> String {
    session.receive_offer(offer).unwrap();
    text(&session.answer(&[]).unwrap())
}

/// (may send, may receive, held)
fn flow(session: &OfferAnswer) -> (bool, bool, bool) {
    let agreed = session.agreed().unwrap();
    (agreed.may_send, agreed.may_receive, agreed.remote_holds)
}

#[test]
fn rfc3264_8_4_hold_by_attribute_at_the_media() {
    for (attribute, answered, expected) in [
        ("sendonly", "recvonly", (false, true, true)),
        ("inactive", "inactive", (false, false, true)),
        ("recvonly", "sendonly", (true, false, false)),
        ("sendrecv", "sendrecv", (true, true, false)),
    ] {
        let mut session = established();
        let answer = reoffer(&mut session, &theirs(&format!("m=audio 5004 RTP/AVP 8 0\na={attribute}\n")));
        assert!(answer.ends_with(&format!("a={answered}\n")), "{answer}");
        assert_eq!(flow(&session), expected, "{attribute}");
    }
}

#[test]
fn rfc3264_5_1_hold_by_attribute_at_the_session_and_the_media_outranks_it() {
    let offer = |media: &str| {
        wire(&format!(
            "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\na=sendonly\nm=audio 5004 RTP/AVP 0\n{media}"
        ))
    };
    let mut session = established();
    reoffer(&mut session, &offer(""));
    assert_eq!(flow(&session), (false, true, true));
    reoffer(&mut session, &offer("a=sendrecv\n"));
    assert_eq!(flow(&session), (true, true, false));
}

#[test]
fn rfc3264_8_4_hold_by_the_unspecified_address() {
    for address in ["IP4 0.0.0.0", "IP6 ::", "IP6 host.invalid"] {
        let mut session = established();
        let answer = reoffer(&mut session, &theirs(&format!("m=audio 5004 RTP/AVP 0\nc=IN {address}\n")));
        assert!(answer.ends_with("a=recvonly\n"), "{answer}");
        assert_eq!(flow(&session), (false, true, true), "{address}");
        assert!(session.agreed().unwrap().remote.ip().is_unspecified());
        reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 0\n"));
        assert_eq!(flow(&session), (true, true, false), "taken back");
    }
}

#[test]
fn both_styles_at_once_are_one_hold() {
    let mut session = established();
    let answer = reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 0\nc=IN IP4 0.0.0.0\na=inactive\n"));
    assert!(answer.ends_with("a=inactive\n"), "{answer}");
    assert_eq!(flow(&session), (false, false, true));
}

#[test]
fn a_call_may_begin_on_hold() {
    let mut session = ours();
    reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 0\na=inactive\n"));
    assert_eq!(flow(&session), (false, false, true));
}

#[test]
fn rfc6337_5_3_our_offer_says_what_we_want_even_while_held() {
    let mut session = established();
    reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 0\na=sendonly\n"));
    assert!(media(&session.offer().unwrap()).ends_with("a=sendrecv\n"));
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\na=sendonly\n")).unwrap();
    assert_eq!(flow(&session), (false, true, true));
}

#[test]
fn we_hold_and_take_back() {
    let mut session = established();
    session.local_mut().direction = Direction::SendOnly;
    assert!(media(&session.offer().unwrap()).ends_with("a=sendonly\n"));
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\na=recvonly\n")).unwrap();
    assert_eq!(flow(&session), (true, false, false));
    let answer = reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 0\n"));
    assert!(answer.ends_with("a=sendonly\n"), "the peer's refresh does not lift our hold: {answer}");
    session.local_mut().direction = Direction::SendRecv;
    session.offer().unwrap();
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    assert_eq!(flow(&session), (true, true, false));
}

#[test]
fn a_refresh_keeps_the_codec_in_use_whatever_the_order() {
    let mut session = established();
    assert_eq!(session.agreed().unwrap().codec, Codec::Pcmu);
    reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 8 0\n"));
    assert_eq!(session.agreed().unwrap().codec, Codec::Pcmu);
}

#[test]
fn an_offer_without_the_codec_in_use_agrees_on_another() {
    let mut session = established();
    reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 8\n"));
    assert_eq!(session.agreed().unwrap().codec, Codec::Pcma);
}

#[test]
fn an_offer_that_cannot_be_met_keeps_the_old_agreement() {
    let mut session = established();
    let before = session.clone();
    for offer in [
        "m=audio 5004 RTP/AVP 18\n",
        "m=audio 5004 RTP/SAVP 0\n",
        "m=audio 0 RTP/AVP 0\nm=image 6000 udptl t38\n",
        "m=audio 5004 RTP/AVP 128\n",
    ] {
        session.receive_offer(&theirs(offer)).unwrap_err();
        assert_eq!(session, before, "{offer}");
    }
}

#[test]
fn a_withdrawn_offer_of_the_peer_leaves_no_trace() {
    let mut session = established();
    let before = session.agreed().cloned();
    session.receive_offer(&theirs("m=audio 6004 RTP/AVP 8\n")).unwrap();
    session.withdraw();
    assert_eq!(session.agreed(), before.as_ref());
    assert_eq!(session.answer(&[]).unwrap_err().status, 500);
}

#[test]
fn the_peer_may_move() {
    let mut session = established();
    reoffer(&mut session, &theirs("m=audio 7004 RTP/AVP 0\nc=IN IP4 192.0.2.10\n"));
    assert_eq!(session.agreed().unwrap().remote, "192.0.2.10:7004".parse().unwrap());
}

#[test]
fn rfc3264_8_2_a_stream_switched_off_is_answered_so_and_may_come_back() {
    let mut session = established();
    let answer = reoffer(&mut session, &theirs("m=audio 0 RTP/AVP 0\n"));
    assert!(answer.ends_with("m=audio 0 RTP/AVP 0\n"), "{answer}");
    assert_eq!(flow(&session), (false, false, true));
    reoffer(&mut session, &theirs("m=audio 5004 RTP/AVP 0\n"));
    assert_eq!(flow(&session), (true, true, false));
}

#[test]
fn our_offer_takes_up_the_line_that_was_switched_off() {
    let mut session = established();
    reoffer(&mut session, &theirs("m=audio 0 RTP/AVP 0\n"));
    let offer = media(&session.offer().unwrap());
    assert!(offer.starts_with("m=audio 40000 RTP/AVP 0 8 101\n") && offer.matches("m=").count() == 1, "{offer}");
}

#[test]
fn rfc3725_4_4_an_offer_without_streams_is_an_empty_session_until_one_comes() {
    let mut session = ours();
    let answer = reoffer(&mut session, &theirs(""));
    assert!(!answer.contains("m="), "{answer}");
    assert_eq!(flow(&session), (false, false, true));
    assert!(media(&session.offer().unwrap()).starts_with("m=audio 40000 RTP/AVP 0 8 101\n"));
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    assert_eq!(flow(&session), (true, true, false));
}

#[test]
fn an_audio_stream_added_on_another_line_is_followed() {
    let mut session = established();
    let answer = reoffer(&mut session, &theirs("m=audio 0 RTP/AVP 0\nm=audio 8004 RTP/AVP 0\n"));
    assert!(answer.contains("m=audio 0 RTP/AVP 0\nm=audio 40000 RTP/AVP 0\n"), "{answer}");
    assert_eq!(session.agreed().unwrap().remote.port(), 8004);
}

#[test]
fn the_line_in_use_is_kept_when_a_second_one_comes_before_it_could_win() {
    let mut session = ours();
    reoffer(&mut session, &theirs("m=audio 5000 RTP/SAVP 0\nm=audio 5004 RTP/AVP 0\n"));
    reoffer(&mut session, &theirs("m=audio 5000 RTP/AVP 0\nm=audio 5004 RTP/AVP 0\n"));
    assert_eq!(session.agreed().unwrap().remote.port(), 5004);
}
