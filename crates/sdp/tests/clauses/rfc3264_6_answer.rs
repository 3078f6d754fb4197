//! Offers in, answers out, as pairs of texts.

use crate::support::{media, ours, theirs, wire};
use core::time::Duration;
use sdp::{Agreement, Codec, OfferAnswer};

/// Our answer's media lines to an offer's, and what was agreed.
fn answer(offer: &str, prefer: &[Codec]) -> (String, Agreement) {
    let mut session = ours();
    session.receive_offer(&theirs(offer)).unwrap();
    let body = session.answer(prefer).unwrap();
    (media(&body), session.agreed().unwrap().clone())
}

#[test]
fn the_first_codec_of_the_offer_wins_when_nobody_prefers() {
    let (body, agreed) =
        answer("m=audio 5004 RTP/AVP 18 8 0 101\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n", &[]);
    assert_eq!(
        body,
        "m=audio 40000 RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
         a=ptime:20\na=sendrecv\n"
    );
    assert_eq!(
        agreed,
        Agreement {
            remote: "192.0.2.9:5004".parse().unwrap(),
            remote_rtcp: "192.0.2.9:5005".parse().unwrap(),
            codec: Codec::Pcma,
            payload_type_send: 8,
            payload_type_receive: 8,
            telephone_event: Some((101, 101)),
            telephone_event_clock: 8000,
            alternatives: vec![],
            opus: sdp::OpusFormat::default(),
            ptime: Duration::from_millis(20),
            may_send: true,
            may_receive: true,
            remote_holds: false,
            srtp: None,
            rtcp_mux: false,
        }
    );
}

#[test]
fn our_preference_wins_over_the_offers_order() {
    let (body, agreed) = answer("m=audio 5004 RTP/AVP 8 0\n", &[Codec::Pcmu]);
    assert_eq!(body, "m=audio 40000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=ptime:20\na=sendrecv\n");
    assert_eq!(agreed.codec, Codec::Pcmu);
}

#[test]
fn codecs_match_by_rtpmap_in_any_case_at_any_number() {
    let offer = "m=audio 5004 RTP/AVP 96 120\na=rtpmap:96 pcma/8000/1\na=rtpmap:120 Telephone-Event/8000\n";
    let (body, agreed) = answer(offer, &[]);
    assert!(
        body.starts_with("m=audio 40000 RTP/AVP 96 120\na=rtpmap:96 PCMA/8000\na=rtpmap:120 telephone-event/8000\n")
    );
    assert_eq!((agreed.codec, agreed.payload_type_send, agreed.payload_type_receive), (Codec::Pcma, 96, 96));
    assert_eq!(agreed.telephone_event, Some((120, 120)));
}

#[test]
fn an_rtpmap_outranks_the_static_meaning_of_a_number() {
    let mut session = ours();
    let refusal = session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\na=rtpmap:0 G726-32/8000\n")).unwrap_err();
    assert_eq!((refusal.status, refusal.warning), (488, 305));
    let refusal = session.receive_offer(&theirs("m=audio 5004 RTP/AVP 96\na=rtpmap:96 PCMU/16000\n")).unwrap_err();
    assert_eq!(refusal.status, 488, "G.711 at another clock is another codec");
    let refusal = session.receive_offer(&theirs("m=audio 5004 RTP/AVP 96\na=rtpmap:96 PCMU/8000/2\n")).unwrap_err();
    assert_eq!(refusal.status, 488, "so is stereo");
}

#[test]
fn rfc4733_telephone_event_needs_the_codecs_clock_and_the_digits() {
    let (_, agreed) = answer("m=audio 5004 RTP/AVP 0 101\na=rtpmap:101 telephone-event/48000\n", &[]);
    assert_eq!(agreed.telephone_event, None);
    let two = "m=audio 5004 RTP/AVP 0 101 97\na=rtpmap:101 telephone-event/48000\na=rtpmap:97 telephone-event/8000\n";
    assert_eq!(answer(two, &[]).1.telephone_event, Some((97, 97)));
    let event = |fmtp: &str| {
        let offer = format!("m=audio 5004 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n{fmtp}");
        answer(&offer, &[]).1.telephone_event
    };
    assert_eq!(event(""), Some((101, 101)), "no list means 0 to 15");
    assert_eq!(event("a=fmtp:101 0-9,10,11,16\n"), Some((101, 101)));
    assert_eq!(event("a=fmtp:101 events=0-15\n"), Some((101, 101)));
    assert_eq!(event("a=fmtp:101 66,70\n"), None, "fax tones only");
    assert_eq!(event("a=fmtp:101 0-65535\n"), Some((101, 101)));
    assert_eq!(event("a=fmtp:101 11-0\n"), None);
}

#[test]
fn rfc4733_2_1_beside_a_wide_codec_events_run_at_its_clock_or_at_8000_where_there_is_no_other() {
    let answered = |events: &str| {
        let mut session = ours();
        session.local_mut().codecs = vec![Codec::Opus, Codec::Pcmu];
        let offer = format!("m=audio 5004 RTP/AVP 96 0 101 102\na=rtpmap:96 opus/48000/2\n{events}");
        session.receive_offer(&theirs(&offer)).unwrap();
        let body = media(&session.answer(&[Codec::Opus]).unwrap());
        let agreed = session.agreed().unwrap();
        (agreed.telephone_event, agreed.telephone_event_clock, body)
    };
    let (both, clock, body) = answered("a=rtpmap:101 telephone-event/8000\na=rtpmap:102 telephone-event/48000\n");
    assert_eq!((both, clock), (Some((102, 102)), 48_000));
    assert!(body.contains("a=rtpmap:102 telephone-event/48000\n") && !body.contains("telephone-event/8000"), "{body}");
    let (narrow, clock, body) = answered("a=rtpmap:101 telephone-event/8000\n");
    assert_eq!((narrow, clock), (Some((101, 101)), 8000));
    assert!(body.contains("a=rtpmap:101 telephone-event/8000\n"), "{body}");
    assert_eq!(answered("a=rtpmap:101 telephone-event/16000\n").0, None, "no clock of Opus");
}

#[test]
fn telephone_event_not_wanted_here_is_not_answered() {
    let mut session = ours();
    session.local_mut().telephone_event = false;
    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n")).unwrap();
    assert!(media(&session.answer(&[]).unwrap()).starts_with("m=audio 40000 RTP/AVP 0\n"));
    assert_eq!(session.agreed().unwrap().telephone_event, None);
}

#[test]
fn rfc3264_6_every_unused_line_is_answered_with_port_zero_in_its_place() {
    let offer = "m=video 6000 RTP/AVP 31 32\na=rtpmap:31 H261/90000\nm=audio 5000 RTP/SAVP 0\na=crypto:1 AES\n\
                 m=audio 5004/2 RTP/AVP 0\nm=audio 5008 RTP/AVP 0\nm=image 0 udptl t38\nm=message 9 TCP/MSRP *\n";
    let (body, agreed) = answer(offer, &[]);
    assert_eq!(
        body,
        "m=video 0 RTP/AVP 31\nm=audio 0 RTP/SAVP 0\nm=audio 40000 RTP/AVP 0\na=rtpmap:0 PCMU/8000\na=ptime:20\n\
         a=sendrecv\nm=audio 0 RTP/AVP 0\nm=image 0 udptl t38\nm=message 0 TCP/MSRP *\n"
    );
    assert_eq!(agreed.remote.port(), 5004);
}

#[test]
fn an_audio_line_without_a_common_codec_gives_way_to_the_next() {
    let (body, agreed) = answer("m=audio 5000 RTP/AVP 18\nm=audio 5004 RTP/AVPF 8\n", &[]);
    assert!(body.starts_with("m=audio 0 RTP/AVP 18\nm=audio 40000 RTP/AVPF 8\n"), "{body}");
    assert_eq!(agreed.remote.port(), 5004);
}

#[test]
fn the_medias_own_connection_line_outranks_the_sessions() {
    let (_, agreed) = answer("m=audio 5004 RTP/AVP 0\nc=IN IP4 192.0.2.77\n", &[]);
    assert_eq!(agreed.remote, "192.0.2.77:5004".parse().unwrap());
}

#[test]
fn rfc3605_rtcp_may_be_elsewhere() {
    let rtcp = |attribute: &str| answer(&format!("m=audio 5004 RTP/AVP 0\n{attribute}"), &[]).1.remote_rtcp.to_string();
    assert_eq!(rtcp(""), "192.0.2.9:5005");
    assert_eq!(rtcp("a=rtcp:53020\n"), "192.0.2.9:53020");
    assert_eq!(rtcp("a=rtcp:53020 IN IP4 192.0.2.50\n"), "192.0.2.50:53020");
    assert_eq!(rtcp("a=rtcp:53020 IN IP6 2001:db8::1\n"), "192.0.2.9:53020", "another family cannot be reached");
    assert_eq!(rtcp("a=rtcp:0\n"), "192.0.2.9:5005");
    assert_eq!(rtcp("a=rtcp:99999\n"), "192.0.2.9:5005");
    assert_eq!(rtcp("a=rtcp\n"), "192.0.2.9:5005");
}

#[test]
fn ptime_follows_the_peer_where_it_is_usual() {
    let ptime = |attributes: &str| answer(&format!("m=audio 5004 RTP/AVP 0\n{attributes}"), &[]).1.ptime.as_millis();
    assert_eq!(ptime("a=ptime:30\n"), 30);
    assert_eq!(ptime("a=ptime:20.000\n"), 20);
    for strange in ["0", "7", "1000", "99999999", "-20", ""] {
        assert_eq!(ptime(&format!("a=ptime:{strange}\n")), 20, "{strange}");
    }
    assert_eq!(ptime("a=ptime:40\na=maxptime:20\n"), 20);
    assert_eq!(ptime("a=maxptime:15\n"), 10);
    assert_eq!(ptime("a=maxptime:0\n"), 20);
    assert_eq!(ptime("a=maxptime:150\n"), 20);
}

#[test]
fn ipv6_meets_ipv6() {
    let mut session = OfferAnswer::new(sdp::LocalMedia::new("2001:db8::1".parse().unwrap(), 40000, 7));
    let offer = wire("v=0\no=- 1 1 IN IP6 2001:db8::9\ns=-\nc=IN IP6 2001:db8::9\nt=0 0\nm=audio 5004 RTP/AVP 0\n");
    session.receive_offer(&offer).unwrap();
    session.answer(&[]).unwrap();
    assert_eq!(session.agreed().unwrap().remote, "[2001:db8::9]:5004".parse().unwrap());

    let refusal = session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap_err();
    assert_eq!((refusal.status, refusal.warning), (488, 301));
    assert_eq!(refusal.why, "media address 192.0.2.9 is IPv4, here is IPv6");
}

#[test]
fn a_mapped_ipv4_address_is_ipv4() {
    let mut session = ours();
    let offer = wire("v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP6 ::ffff:192.0.2.9\nt=0 0\nm=audio 5004 RTP/AVP 0\n");
    session.receive_offer(&offer).unwrap();
    session.answer(&[]).unwrap();
    assert_eq!(session.agreed().unwrap().remote, "192.0.2.9:5004".parse().unwrap());
}

#[test]
fn what_changed_here_since_the_offer_came_counts() {
    let mut session = ours();
    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\n")).unwrap();
    session.local_mut().codecs = vec![Codec::Pcma];
    assert_eq!(session.answer(&[]).unwrap_err().status, 488);
    assert_eq!(session.open(), sdp::Open::Nobodys);
    assert_eq!(session.answer(&[]).unwrap_err().status, 500);
}

#[test]
fn the_open_offers_codecs_are_known_before_it_is_answered() {
    let mut session = ours();
    assert_eq!(session.offered(), []);
    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 18 8 0\n")).unwrap();
    assert_eq!(session.offered(), [Codec::Pcma, Codec::Pcmu]);
    session.answer(&[]).unwrap();
    assert_eq!(session.offered(), []);
}

#[test]
fn rfc7587_7_opus_is_named_with_its_clock_and_channels_and_its_wishes_are_kept() {
    let mut session = wide();
    session
        .receive_offer(&theirs(
            "m=audio 5004 RTP/AVP 107 9\na=rtpmap:107 OPUS/48000/2\n\
             a=fmtp:107 useinbandfec=1; maxaveragebitrate=20000;cbr=1\n",
        ))
        .unwrap();
    let body = session.answer(&[]).unwrap();
    assert_eq!(
        media(&body),
        "m=audio 40000 RTP/AVP 107\na=rtpmap:107 opus/48000/2\na=fmtp:107 maxplaybackrate=16000;useinbandfec=1\n\
         a=ptime:20\na=sendrecv\n"
    );
    let agreed = session.agreed().unwrap();
    assert_eq!((agreed.codec, agreed.payload_type_send), (Codec::Opus, 107));
    assert_eq!(agreed.opus, sdp::OpusFormat { max_average_bitrate: Some(20_000), fec: true, cbr: true });
}

#[test]
fn rfc3551_4_5_2_g722_says_8000_and_is_understood_at_16000_and_without_a_map() {
    for offer in [
        "m=audio 5004 RTP/AVP 9\n",
        "m=audio 5004 RTP/AVP 9\na=rtpmap:9 G722/8000\n",
        "m=audio 5004 RTP/AVP 9\na=rtpmap:9 g722/16000\n",
    ] {
        let mut session = wide();
        session.receive_offer(&theirs(offer)).unwrap();
        let body = session.answer(&[]).unwrap();
        assert!(media(&body).starts_with("m=audio 40000 RTP/AVP 9\na=rtpmap:9 G722/8000\n"), "{offer}");
    }
}

#[test]
fn linear_pcm_matches_by_its_rate_and_one_channel_alone() {
    for (map, codec) in [
        ("L16/8000", Some(Codec::L16At8k)),
        ("l16/16000/1", Some(Codec::L16At16k)),
        ("L16/44100", None),
        ("L16/16000/2", None),
    ] {
        let mut session = wide();
        let offer = format!("m=audio 5004 RTP/AVP 96 0\na=rtpmap:96 {map}\n");
        session.receive_offer(&theirs(&offer)).unwrap();
        session.answer(&[]).unwrap();
        assert_eq!(session.agreed().unwrap().codec, codec.unwrap_or(Codec::Pcmu), "{map}");
    }
}

#[test]
fn an_offer_of_every_codec_gives_each_a_number_of_its_own() {
    let mut session = wide();
    let body = session.offer().unwrap();
    assert!(
        media(&body).starts_with(
            "m=audio 40000 RTP/AVP 0 8 9 111 97 98 101 102 103\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n\
             a=rtpmap:9 G722/8000\na=rtpmap:111 opus/48000/2\na=fmtp:111 maxplaybackrate=16000;useinbandfec=1\n\
             a=rtpmap:97 L16/8000\na=rtpmap:98 L16/16000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n\
             a=rtpmap:102 telephone-event/48000\na=fmtp:102 0-15\na=rtpmap:103 telephone-event/16000\na=fmtp:103 0-15\n"
        ),
        "{}",
        media(&body)
    );
    // A peer that means something else by 111 is offered Opus under another number.
    let mut session = wide();
    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0 111\na=rtpmap:111 speex/16000\n")).unwrap();
    session.answer(&[]).unwrap();
    let body = session.offer().unwrap();
    assert!(media(&body).contains("a=rtpmap:96 opus/48000/2\n"), "{}", media(&body));
}

/// Ours with every codec.
fn wide() -> OfferAnswer {
    let mut session = ours();
    session.local_mut().codecs = Codec::ALL.to_vec();
    session
}
