//! What our offers look like.

use crate::support::{media, ours, text, theirs, version};
use sdp::{Busy, Codec, Direction, LocalMedia, OfferAnswer, Open};

#[test]
fn an_offer_lists_both_laws_and_telephone_event() {
    assert_eq!(
        text(&ours().offer().unwrap()),
        "v=0\no=- 7 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 40000 RTP/AVP 0 8 101\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\n\
         a=sendrecv\n"
    );
}

#[test]
fn rfc4733_2_1_wide_codecs_are_offered_with_events_at_their_clocks_beside_8000() {
    let mut session = ours();
    session.local_mut().codecs = vec![Codec::Opus, Codec::G722, Codec::L16At16k, Codec::Pcma];
    let offer = media(&session.offer().unwrap());
    let events: Vec<&str> = offer.lines().filter(|line| line.contains("telephone-event")).collect();
    let clocks: Vec<&str> = events.iter().filter_map(|line| line.rsplit('/').next()).collect();
    assert_eq!(clocks, ["8000", "48000", "16000"], "{offer}");
    assert!(events[0].starts_with("a=rtpmap:101 "), "{offer}");
    // The peer takes Opus, and both clocks under numbers of its own.
    let answer = "m=audio 5004 RTP/AVP 111 97 98\na=rtpmap:111 opus/48000/2\na=rtpmap:97 telephone-event/8000\na=rtpmap:98 telephone-event/48000\n";
    session.receive_answer(&theirs(answer)).unwrap();
    let agreed = session.agreed().unwrap();
    let ours: u8 = events[1][9..].split(' ').next().unwrap().parse().unwrap();
    assert_eq!((agreed.telephone_event, agreed.telephone_event_clock), (Some((98, ours)), 48_000));
    assert_eq!(media(&session.offer().unwrap()), offer, "the next offer means the same by the same numbers");
}

#[test]
fn an_ipv6_host_offers_ip6() {
    let mut session = OfferAnswer::new(LocalMedia::new("2001:db8::1".parse().unwrap(), 40000, 7));
    let offer = text(&session.offer().unwrap());
    assert!(offer.contains("o=- 7 1 IN IP6 2001:db8::1\n") && offer.contains("c=IN IP6 2001:db8::1\n"), "{offer}");
}

#[test]
fn the_local_media_shape_the_offer() {
    let mut session = ours();
    session.local_mut().codecs = vec![Codec::Pcma, Codec::Pcma];
    session.local_mut().telephone_event = false;
    session.local_mut().direction = Direction::SendOnly;
    assert_eq!(
        media(&session.offer().unwrap()),
        "m=audio 40000 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=ptime:20\na=sendonly\n"
    );
}

#[test]
fn rfc3264_4_never_two_open_offers() {
    let mut session = ours();
    session.offer().unwrap();
    assert_eq!(session.open(), Open::Ours);
    assert_eq!(session.offer(), Err(Busy));
    let refusal = session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err();
    assert_eq!(refusal.status, 491, "glare (RFC 3261 section 14.2)");
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();

    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    assert_eq!(session.open(), Open::Theirs);
    assert_eq!(session.offer(), Err(Busy));
    assert_eq!(session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err().status, 500);
    session.answer(&[]).unwrap();
    assert_eq!(session.open(), Open::Nobodys);
}

#[test]
fn rfc3264_8_the_version_grows_only_when_the_body_changes() {
    let mut session = ours();
    assert_eq!(version(&session.offer().unwrap()), 1);
    session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0 8\n")).unwrap();
    assert_eq!(version(&session.offer().unwrap()), 1, "a refresh repeats the body");
    session.withdraw();
    session.local_mut().direction = Direction::SendOnly;
    assert_eq!(version(&session.offer().unwrap()), 2);
    session.withdraw();
    session.local_mut().direction = Direction::SendRecv;
    assert_eq!(version(&session.offer().unwrap()), 3, "never back, even after a rejected offer");
}

#[test]
fn an_answer_that_repeats_the_last_one_keeps_its_version() {
    let offer = theirs("m=audio 5004 RTP/AVP 0\n");
    let mut session = ours();
    session.receive_offer(&offer).unwrap();
    let first = session.answer(&[]).unwrap();
    session.receive_offer(&offer).unwrap();
    assert_eq!(session.answer(&[]).unwrap(), first);
}

#[test]
fn rfc3264_8_3_2_a_dynamic_payload_type_keeps_its_meaning_in_our_next_offer() {
    let mut session = ours();
    let offer = "m=audio 5004 RTP/AVP 97 101 110\na=rtpmap:97 PCMU/8000\na=rtpmap:101 opus/48000/2\n\
                 a=rtpmap:110 telephone-event/8000\n";
    session.receive_offer(&theirs(offer)).unwrap();
    session.answer(&[]).unwrap();
    let offer = media(&session.offer().unwrap());
    assert!(offer.starts_with("m=audio 40000 RTP/AVP 97 8 110\na=rtpmap:97 PCMU/8000\n"), "{offer}");
}

#[test]
fn a_number_the_peer_uses_for_something_else_is_not_taken_for_telephone_event() {
    let mut session = ours();
    let offer = "m=audio 5004 RTP/AVP 0 101 96\na=rtpmap:101 opus/48000/2\na=rtpmap:96 G726-32/8000\n";
    session.receive_offer(&theirs(offer)).unwrap();
    session.answer(&[]).unwrap();
    assert!(media(&session.offer().unwrap()).contains("m=audio 40000 RTP/AVP 0 8 97\n"));
}

#[test]
fn rfc3264_8_our_next_offer_keeps_the_lines_of_the_session() {
    let mut session = ours();
    let offer = "m=video 6000 RTP/AVP 31 32\nm=audio 5004 RTP/AVP 0\nm=application 0 TCP/BFCP *\n";
    session.receive_offer(&theirs(offer)).unwrap();
    session.answer(&[]).unwrap();
    let offer = media(&session.offer().unwrap());
    assert!(offer.starts_with("m=video 0 RTP/AVP 31\nm=audio 40000 RTP/AVP 0 8 101\n"), "{offer}");
    assert!(offer.ends_with("m=application 0 TCP/BFCP *\n"), "{offer}");
}
