//! SRTP by SDES: keys offered, answered, changed, and no way back to plain RTP.

use crate::support::{media, theirs};
use sdp::{Agreement, CryptoSuite, LocalMedia, MasterKey, OfferAnswer, Refusal, Srtp};

const CM: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;
const GCM: CryptoSuite = CryptoSuite::AeadAes128Gcm;
/// 30 and 28 bytes of 'A' and 'B', as base64.
const THEIR_CM: &str = "AES_CM_128_HMAC_SHA1_80 inline:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB";
const THEIR_GCM: &str = "AEAD_AES_128_GCM inline:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQg==";
/// 28 and 30 bytes of 1.
const OUR_GCM: &str = "AEAD_AES_128_GCM inline:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ==";
const OUR_CM: &str = "AES_CM_128_HMAC_SHA1_80 inline:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";

/// A session of ours with keys of the byte 1, GCM preferred.
fn ours(srtp: Srtp) -> OfferAnswer {
    let mut local = LocalMedia::new("192.0.2.1".parse().unwrap(), 40000, 7);
    local.srtp = srtp;
    local.keys = vec![key(GCM, 1), key(CM, 1)];
    OfferAnswer::new(local)
}

fn key(suite: CryptoSuite, byte: u8) -> MasterKey {
    MasterKey::new(suite, vec![byte; suite.key_length() + suite.salt_length()]).unwrap()
}

fn answer(session: &mut OfferAnswer, offer: &str) -> Result<String, Refusal> {
    session.receive_offer(&theirs(offer))?;
    session.answer(&[]).map(|body| media(&body))
}

/// Whom we take a key from and whether we send one: (ours, theirs), by suite and first byte.
fn keys(agreed: &Agreement) -> Option<((CryptoSuite, u8), (CryptoSuite, u8))> {
    let named = |key: &MasterKey| (key.suite(), key.key()[0]);
    agreed.srtp.as_ref().map(|keys| (named(&keys.send), named(&keys.receive)))
}

fn agreed(session: &OfferAnswer) -> Option<((CryptoSuite, u8), (CryptoSuite, u8))> {
    keys(session.agreed().expect("something is agreed on"))
}

fn secure(crypto: &str) -> String {
    format!("m=audio 5004 RTP/SAVP 0\n{crypto}")
}

#[test]
fn rfc4568_5_1_1_an_offer_lists_a_key_a_suite_and_its_transport_says_whether_it_must_be() {
    let lines = format!("a=crypto:1 {OUR_GCM}\na=crypto:2 {OUR_CM}\na=ptime:20\na=sendrecv\n");
    for (srtp, transport) in [(Srtp::Required, "RTP/SAVP"), (Srtp::Optional, "RTP/AVP")] {
        let offer = media(&ours(srtp).offer().unwrap());
        assert!(offer.starts_with(&format!("m=audio 40000 {transport} 0 8 101\n")), "{offer}");
        assert!(offer.ends_with(&lines), "{offer}");
    }
    let plain = media(&ours(Srtp::Off).offer().unwrap());
    assert!(plain.starts_with("m=audio 40000 RTP/AVP 0 8 101\n") && !plain.contains("crypto"), "{plain}");
}

#[test]
fn rfc4568_5_1_2_an_answer_repeats_the_tag_of_the_first_line_that_can_be_kept() {
    for srtp in [Srtp::Optional, Srtp::Required] {
        let mut session = ours(srtp);
        let offer = secure(&format!(
            "a=crypto:4 F8_128_HMAC_SHA1_80 inline:x\na=crypto:5 {THEIR_CM}|2^31\na=crypto:6 {THEIR_GCM}\n"
        ));
        let body = answer(&mut session, &offer).unwrap();
        let expected =
            format!("m=audio 40000 RTP/SAVP 0\na=rtpmap:0 PCMU/8000\na=crypto:5 {OUR_CM}\na=ptime:20\na=sendrecv\n");
        assert_eq!(body, expected);
        assert_eq!(agreed(&session), Some(((CM, 1), (CM, b'A'))));
    }
}

#[test]
fn rtp_avp_with_a_key_is_encrypted_where_that_is_wanted() {
    let offer = format!("m=audio 5004 RTP/AVP 0\na=crypto:1 {THEIR_GCM}\n");
    for srtp in [Srtp::Optional, Srtp::Required] {
        let mut session = ours(srtp);
        let body = answer(&mut session, &offer).unwrap();
        assert!(body.starts_with("m=audio 40000 RTP/AVP 0\n") && body.contains(&format!("a=crypto:1 {OUR_GCM}\n")));
        assert_eq!(agreed(&session), Some(((GCM, 1), (GCM, b'B'))));
    }
    let mut session = ours(Srtp::Off);
    assert!(!answer(&mut session, &offer).unwrap().contains("crypto"));
    assert_eq!(agreed(&session), None);
}

#[test]
fn what_is_wanted_and_what_is_offered_decide() {
    let plain = "m=audio 5004 RTP/AVP 0\n".to_owned();
    let good = secure(&format!("a=crypto:1 {THEIR_CM}\n"));
    let bad = secure("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\n");
    let keyless = secure("");
    let best_effort_bad = "m=audio 5004 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:short\n".to_owned();
    for (srtp, offer, expected) in [
        (Srtp::Off, &plain, Ok(false)),
        (Srtp::Off, &good, Err(488)),
        (Srtp::Optional, &plain, Ok(false)),
        (Srtp::Optional, &good, Ok(true)),
        (Srtp::Optional, &bad, Err(488)),
        (Srtp::Optional, &keyless, Err(488)),
        (Srtp::Optional, &best_effort_bad, Ok(false)),
        (Srtp::Required, &plain, Err(488)),
        (Srtp::Required, &good, Ok(true)),
        (Srtp::Required, &bad, Err(488)),
        (Srtp::Required, &keyless, Err(488)),
        (Srtp::Required, &best_effort_bad, Err(488)),
    ] {
        let mut session = ours(srtp);
        let found = answer(&mut session, offer).map(|_| agreed(&session).is_some()).map_err(|refusal| refusal.status);
        assert_eq!(found, expected, "{srtp:?} and {offer}");
    }
}

#[test]
fn of_two_audio_lines_the_encrypted_one_is_taken() {
    let both = format!("m=audio 5004 RTP/AVP 0\nm=audio 5006 RTP/SAVP 0\na=crypto:1 {THEIR_CM}\n");
    for (srtp, encrypted) in [(Srtp::Off, false), (Srtp::Optional, true), (Srtp::Required, true)] {
        let mut session = ours(srtp);
        let body = answer(&mut session, &both).unwrap();
        assert_eq!(agreed(&session).is_some(), encrypted);
        assert_eq!(body.contains("m=audio 0 RTP/AVP 0\n"), encrypted, "{body}");
    }
}

#[test]
fn rfc4568_5_1_3_an_answer_takes_one_of_our_lines_by_its_tag() {
    for (crypto, expected) in [
        (format!("a=crypto:1 {THEIR_GCM}\n"), Ok(Some(((GCM, 1), (GCM, b'B'))))),
        (format!("a=crypto:2 {THEIR_CM}\n"), Ok(Some(((CM, 1), (CM, b'A'))))),
        // Another tag's suite, a tag that was not offered, a broken key, none.
        (format!("a=crypto:1 {THEIR_CM}\n"), Err(488)),
        (format!("a=crypto:3 {THEIR_CM}\n"), Err(488)),
        ("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:short\n".to_owned(), Err(488)),
        (String::new(), Err(488)),
    ] {
        let mut session = ours(Srtp::Required);
        session.offer().unwrap();
        let outcome = session.receive_answer(&theirs(&secure(&crypto))).map_err(|refusal| refusal.status);
        assert_eq!(outcome.map(|()| agreed(&session)), expected, "{crypto}");
    }
}

#[test]
fn an_optional_offer_may_be_answered_in_plain_but_not_by_a_key_that_does_not_fit() {
    let answered = |rest: &str| {
        let mut session = ours(Srtp::Optional);
        session.offer().unwrap();
        session.receive_answer(&theirs(&format!("m=audio 5004 RTP/AVP 0\n{rest}"))).map(|()| agreed(&session).is_some())
    };
    assert_eq!(answered(""), Ok(false));
    assert_eq!(answered(&format!("a=crypto:2 {THEIR_CM}\n")), Ok(true));
    assert_eq!(answered(&format!("a=crypto:9 {THEIR_CM}\n")).map_err(|refusal| refusal.status), Err(488));
    // A required one may not.
    let mut session = ours(Srtp::Required);
    session.offer().unwrap();
    let refusal = session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err();
    assert_eq!((refusal.status, refusal.warning), (488, 302));
    assert_eq!(session.agreed(), None);
}

/// Fault row 9: a re-INVITE that downgrades is refused and the old media stays; by the peer's offer, by its answer, and
/// over a stretch in which everything was switched off.
#[test]
fn once_encrypted_never_plain_again() {
    for srtp in [Srtp::Optional, Srtp::Required] {
        let mut session = ours(srtp);
        answer(&mut session, &secure(&format!("a=crypto:1 {THEIR_CM}\n"))).unwrap();
        let before = session.agreed().cloned();
        for plain in ["m=audio 5004 RTP/AVP 0\n", "m=audio 5004 RTP/SAVP 0\n", "m=audio 5004 RTP/AVP 0\na=crypto:1 x\n"]
        {
            let refusal = answer(&mut session, plain).unwrap_err();
            assert_eq!(refusal.status, 488, "{plain}");
            assert_eq!(session.agreed().cloned(), before, "{plain}");
        }
        // What we wish for later changes nothing for this session, toward plain.
        session.local_mut().srtp = Srtp::Off;
        assert_eq!(answer(&mut session, "m=audio 5004 RTP/AVP 0\n").unwrap_err().status, 488);
        let offer = media(&session.offer().unwrap());
        assert!(offer.starts_with("m=audio 40000 RTP/SAVP") && offer.contains("a=crypto:"), "{offer}");
        assert_eq!(session.receive_answer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err().status, 488);
        assert_eq!(session.agreed().cloned(), before);
        // Switched off and on again.
        assert!(answer(&mut session, "m=audio 0 RTP/SAVP 0\n").is_ok());
        assert!(agreed(&session).is_some());
        assert_eq!(answer(&mut session, "m=audio 5004 RTP/AVP 0\n").unwrap_err().status, 488);
        let offer = media(&session.offer().unwrap());
        assert!(offer.starts_with("m=audio 40000 RTP/SAVP") && offer.contains("a=crypto:"), "{offer}");
    }
}

#[test]
fn rfc4568_7_1_4_a_new_key_of_the_peer_changes_only_its_own_direction() {
    let mut session = ours(Srtp::Required);
    answer(&mut session, &secure(&format!("a=crypto:1 {THEIR_CM}\n"))).unwrap();
    // The suite in use stays though another is listed before it.
    let rekeyed = THEIR_CM.replace("QUFB", "Q0ND");
    answer(&mut session, &secure(&format!("a=crypto:1 {THEIR_GCM}\na=crypto:2 {rekeyed}\n"))).unwrap();
    assert_eq!(agreed(&session), Some(((CM, 1), (CM, b'C'))));
    // Without it, the other one.
    answer(&mut session, &secure(&format!("a=crypto:1 {THEIR_GCM}\n"))).unwrap();
    assert_eq!(agreed(&session), Some(((GCM, 1), (GCM, b'B'))));
}

#[test]
fn an_offer_in_between_repeats_our_keys() {
    let mut session = ours(Srtp::Required);
    let first = media(&session.offer().unwrap());
    session.receive_answer(&theirs(&secure(&format!("a=crypto:2 {THEIR_CM}\n")))).unwrap();
    assert_eq!(media(&session.offer().unwrap()), first, "the same keys under the same tags: nothing changes");
}

#[test]
fn sixty_five_keys_and_more_are_read_within_bounds() {
    let lines = |n: usize, text: &str| (1..=n).map(|tag| format!("a=crypto:{tag} {text}\n")).collect::<String>();
    let mut session = ours(Srtp::Required);
    answer(&mut session, &secure(&lines(65, THEIR_CM))).unwrap();
    let mut session = ours(Srtp::Required);
    let last = format!("{}a=crypto:66 {THEIR_CM}\n", lines(65, "F8_128_HMAC_SHA1_80 inline:x"));
    assert!(answer(&mut session, &secure(&last)).unwrap().contains("a=crypto:66 "));
    assert_eq!(answer(&mut session, &secure(&lines(300, THEIR_CM))).unwrap_err().status, 413);
}

#[test]
fn a_tag_used_twice_names_its_first_line() {
    let mut session = ours(Srtp::Required);
    answer(&mut session, &secure(&format!("a=crypto:1 {THEIR_CM}\na=crypto:1 {THEIR_GCM}\n"))).unwrap();
    assert_eq!(agreed(&session), Some(((CM, 1), (CM, b'A'))));
}

#[test]
fn keys_do_not_show_when_a_session_is_printed() {
    let mut session = ours(Srtp::Required);
    session.offer().unwrap();
    session.receive_answer(&theirs(&secure(&format!("a=crypto:2 {THEIR_CM}\n")))).unwrap();
    let shown = format!("{session:?}");
    assert!(
        !shown.contains("inline") && !shown.contains("AQEB") && !shown.contains("65, 65") && !shown.contains("1, 1, 1")
    );
    let json = serde_json::to_string(&session).unwrap();
    assert_eq!(serde_json::from_str::<OfferAnswer>(&json).unwrap(), session, "and are there when it is taken up");
}

#[test]
fn rfc5761_5_1_1_rtcp_shares_the_port_only_when_both_say_so() {
    let rtcp = |ours_too: bool, theirs_too: bool, we_offer: bool| {
        let mut session = ours(Srtp::Off);
        session.local_mut().rtcp_mux = ours_too;
        let body = format!("m=audio 5004 RTP/AVP 0\n{}", if theirs_too { "a=rtcp-mux\n" } else { "" });
        let sent = if we_offer {
            let offer = media(&session.offer().unwrap());
            session.receive_answer(&theirs(&body)).unwrap();
            offer
        } else {
            answer(&mut session, &body).unwrap()
        };
        let agreed = session.agreed().unwrap();
        assert_eq!(agreed.remote_rtcp.port(), if agreed.rtcp_mux { 5004 } else { 5005 });
        (sent.contains("a=rtcp-mux\n"), agreed.rtcp_mux)
    };
    for we_offer in [true, false] {
        assert_eq!(rtcp(true, true, we_offer), (true, true));
        assert_eq!(rtcp(false, true, we_offer), (false, false));
        assert_eq!(rtcp(false, false, we_offer), (false, false));
    }
    assert_eq!(rtcp(true, false, true), (true, false));
    assert_eq!(rtcp(true, false, false), (false, false), "an answer claims no more than was offered");
}
