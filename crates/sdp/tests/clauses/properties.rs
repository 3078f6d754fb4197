//! What holds for every sequence of bodies and calls.

use crate::support::{theirs, version};
use proptest::prelude::*;
use sdp::{Codec, CryptoSuite, Direction, LocalMedia, MasterKey, OfferAnswer, Open, Srtp};

#[derive(Clone, Debug)]
enum Step {
    Offer,
    ReceiveOffer(Vec<u8>),
    Answer,
    Preview(Vec<u8>),
    ReceiveAnswer(Vec<u8>),
    Withdraw,
    Direct(Direction),
    Codecs(Vec<Codec>),
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "m=(audio|video|x) (0|9|5004|70000) (RTP/AVP|RTP/SAVP|udptl) (0|8|0 8|96 97 101|t38|200)",
        "a=rtpmap:(0|8|96|97|101|200) (PCMU|pcma|opus|telephone-event)/(8000|48000|x)(/2)?",
        "a=(sendrecv|sendonly|recvonly|inactive|ptime:[0-9]{1,3}|maxptime:[0-9]{1,3}|rtcp:[0-9]{1,6}|fmtp:101 [0-9,-]{0,8})",
        "a=crypto:[0-9]{1,10} (AES_CM_128_HMAC_SHA1_80|AEAD_AES_128_GCM|X) inline:[A-Za-z0-9+/]{37,41}={0,2}(\\|2\\^[0-9]{1,2})?( [A-Z=]{1,9})?",
        "c=IN (IP4|IP6) (192\\.0\\.2\\.9|0\\.0\\.0\\.0|::1|224\\.0\\.0\\.1|x)",
        "[a-z]=.{0,20}",
        ".{0,5}",
    ];
    let lines = prop::collection::vec(line, 0..10).prop_map(|lines| theirs(&(lines.join("\n") + "\n")));
    let sound = prop_oneof![
        Just("m=audio 5004 RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n"),
        Just("m=audio 5004 RTP/AVP 8\na=sendonly\n"),
        Just(
            "m=video 9 RTP/AVP 31\nm=audio 6004 RTP/AVP 97 96\na=rtpmap:97 PCMU/8000\na=rtpmap:96 telephone-event/8000\n"
        ),
        Just("m=audio 5004 RTP/AVP 0\nc=IN IP4 0.0.0.0\n"),
        Just("m=audio 0 RTP/AVP 0\n"),
        Just(
            "m=audio 5004 RTP/SAVP 0\na=rtcp-mux\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
        ),
        Just(
            "m=audio 5004 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QkJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\n"
        ),
        Just(""),
    ];
    prop_oneof![2 => lines, 3 => sound.prop_map(theirs), 1 => prop::collection::vec(any::<u8>(), 0..80)]
}

fn step() -> impl Strategy<Value = Step> {
    let directions = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    prop_oneof![
        2 => Just(Step::Offer),
        3 => body().prop_map(Step::ReceiveOffer),
        3 => Just(Step::Answer),
        1 => body().prop_map(Step::Preview),
        3 => body().prop_map(Step::ReceiveAnswer),
        1 => Just(Step::Withdraw),
        1 => prop::sample::select(directions.to_vec()).prop_map(Step::Direct),
        1 => prop::sample::subsequence(Codec::ALL.to_vec(), 0..=2).prop_map(Step::Codecs),
    ]
}

fn lines(body: &[u8]) -> usize {
    body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"m=")).count()
}

proptest! {
    #[test]
    fn any_bytes_are_accepted_or_refused(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut session = crate::support::ours();
        if session.receive_offer(&body).is_ok() {
            session.answer(&[]).unwrap();
        }
    }

    #[test]
    fn any_walk_keeps_the_machine_sound(
        steps in prop::collection::vec(step(), 0..40),
        srtp in prop::sample::select(vec![Srtp::Off, Srtp::Optional, Srtp::Required]),
    ) {
        let mut local = LocalMedia::new("192.0.2.1".parse().unwrap(), 40000, 7);
        local.srtp = srtp;
        local.keys = vec![MasterKey::new(CryptoSuite::AesCm128HmacSha1_80, vec![1; 30]).unwrap()];
        let mut session = OfferAnswer::new(local);
        let mut encrypted = false;
        let mut last = None::<(u64, Vec<u8>)>;
        let mut offered = 0;
        for step in steps {
            let before = session.clone();
            let (sent, succeeded) = match step {
                Step::Offer => (session.offer().ok(), true),
                Step::ReceiveOffer(body) => {
                    let accepted = session.receive_offer(&body).is_ok();
                    if accepted {
                        offered = lines(&body);
                    }
                    (None, accepted)
                }
                Step::Answer => {
                    let answer = session.answer(&[]).ok();
                    if let Some(answer) = &answer {
                        prop_assert_eq!(before.open(), Open::Theirs);
                        prop_assert_eq!(lines(answer), offered);
                    }
                    let succeeded = answer.is_some();
                    (answer, succeeded)
                }
                Step::Preview(body) => (None, session.preview_answer(&body).is_ok()),
                Step::ReceiveAnswer(body) => (None, session.receive_answer(&body).is_ok()),
                Step::Withdraw => { session.withdraw(); (None, true) }
                Step::Direct(direction) => { session.local_mut().direction = direction; (None, true) }
                Step::Codecs(codecs) => { session.local_mut().codecs = codecs; (None, true) }
            };
            // Written down and taken up again, it is the same machine.
            let text = serde_json::to_string(&session).unwrap();
            prop_assert_eq!(&serde_json::from_str::<OfferAnswer>(&text).unwrap(), &session);
            if let Some(sent) = sent {
                let now = version(&sent);
                if let Some((version, body)) = &last {
                    prop_assert_eq!(now, if body == &sent { *version } else { version + 1 });
                }
                last = Some((now, sent.to_vec()));
            }
            if !succeeded && before.open() != Open::Ours {
                prop_assert_eq!(session.agreed(), before.agreed());
            }
            if let Some(agreed) = session.agreed() {
                // Never a downgrade; an early answer alone binds nobody.
                encrypted |= agreed.srtp.is_some() && session.open() != Open::Ours;
                prop_assert!(agreed.srtp.is_some() || !(encrypted || srtp == Srtp::Required) || !agreed.may_send);
                prop_assert!(agreed.srtp.is_none() || srtp != Srtp::Off);
                prop_assert!(agreed.payload_type_send < 128 && agreed.payload_type_receive < 128);
                if agreed.remote.ip().is_unspecified() || agreed.remote.port() == 0 {
                    prop_assert!(!agreed.may_send && agreed.remote_holds);
                }
                if agreed.may_send {
                    prop_assert!(agreed.remote.is_ipv4() && !agreed.remote_holds);
                }
            }
        }
    }

    #[test]
    fn two_of_us_always_agree(
        one in prop::sample::subsequence(Codec::G711.to_vec(), 1..=2).prop_shuffle(),
        events in any::<(bool, bool)>(),
        turns in prop::collection::vec(any::<(bool, u8)>(), 1..8),
    ) {
        let mut a = OfferAnswer::new(LocalMedia::new("192.0.2.1".parse().unwrap(), 40000, 1));
        let mut b = OfferAnswer::new(LocalMedia::new("192.0.2.2".parse().unwrap(), 50000, 2));
        a.local_mut().codecs = one;
        (a.local_mut().telephone_event, b.local_mut().telephone_event) = events;
        let directions = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        for (from_a, direction) in turns {
            let (offerer, answerer) = if from_a { (&mut a, &mut b) } else { (&mut b, &mut a) };
            offerer.local_mut().direction = directions[usize::from(direction % 4)];
            let offer = offerer.offer().unwrap();
            answerer.receive_offer(&offer).unwrap();
            let answer = answerer.answer(&[]).unwrap();
            offerer.receive_answer(&answer).unwrap();
            let (a, b) = (a.agreed().unwrap(), b.agreed().unwrap());
            prop_assert_eq!(a.codec, b.codec);
            prop_assert_eq!(a.payload_type_send, b.payload_type_receive);
            prop_assert_eq!(b.payload_type_send, a.payload_type_receive);
            prop_assert_eq!(a.may_send, b.may_receive);
            prop_assert_eq!(b.may_send, a.may_receive);
            prop_assert_eq!(a.telephone_event.is_some(), events.0 && events.1);
            prop_assert_eq!(a.telephone_event, b.telephone_event.map(|(send, receive)| (receive, send)));
        }
    }
}
