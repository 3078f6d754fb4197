//! Malformed, oversized and hostile bodies: each gets a refusal with a status, or is read for what it plainly means.

use crate::support::{media, ours, theirs, wire};
use sdp::{MAX_ATTRIBUTES, MAX_BODY, MAX_MEDIA, Refusal};

fn refusal(body: &[u8]) -> Refusal {
    let mut session = ours();
    let before = session.clone();
    let refusal = session.receive_offer(body).unwrap_err();
    assert_eq!(session, before);
    refusal
}

#[test]
fn what_is_no_session_description_gets_400() {
    let bodies: [&[u8]; 12] = [
        b"",
        b"\r\n",
        b"v",
        b"v=",
        b"v=1\r\nm=audio 5004 RTP/AVP 0\r\n",
        b"m",
        b"a\r\n",
        b"INVITE sip:x SIP/2.0\r\n\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 5004 RTP/AVP\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\nm=audio 5004 RTP/AVP 0\r\n",
        b"\x00\x00\x00\x00",
    ];
    for body in bodies {
        assert_eq!(refusal(body).status, 400, "{:?}", String::from_utf8_lossy(body));
    }
}

#[test]
fn lines_of_one_byte_are_refused_and_of_two_bytes_read() {
    assert_eq!(refusal(&theirs("m=audio 5004 RTP/AVP 0\na\n")).status, 400);
    let mut session = ours();
    session.receive_offer(&theirs("m=audio 5004 RTP/AVP 0\na=\nb=\ni=\n")).unwrap();
}

#[test]
fn the_final_newline_may_be_missing() {
    let mut session = ours();
    session
        .receive_offer(
            b"v=0\no=- 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\nm=audio 5004 RTP/AVP 0\na=sendonly",
        )
        .unwrap();
    session.answer(&[]).unwrap();
    assert!(session.agreed().unwrap().remote_holds);
}

#[test]
fn broken_lines_that_nothing_depends_on_cost_no_call() {
    let body = wire(
        "v=0\no=jd\u{e4} 1 1 IN IP4 192.0.2.9\ns=-\nb=AS:\nt=now\nr=\nz=x\nk=\nc=IN IP4 192.0.2.9\nm=audio 5004 RTP/AVP 0\nb=AS:64.5\n",
    );
    ours().receive_offer(&body).unwrap();
    ours().receive_offer(&theirs("m=audio 5004 RTP/AVP 0\na=\u{1f600}\n")).unwrap();
    let mut latin = theirs("m=audio 5004 RTP/AVP 0\n");
    latin.splice(5..5, *b"x=\xe4\xff\r\n");
    ours().receive_offer(&latin).unwrap();
}

#[test]
fn ports_beyond_the_range_and_payload_types_beyond_127_get_400() {
    for line in [
        "m=audio 65536 RTP/AVP 0\n",
        "m=audio -1 RTP/AVP 0\n",
        "m=audio 5004 RTP/AVP 128\n",
        "m=audio 5004 RTP/AVP 0 255\n",
        "m=audio 5004 RTP/AVP 4294967296\n",
        "m=audio 5004 RTP/AVP -1\n",
        "m=audio 5004 RTP/AVP +0\n",
        "m=audio 5004 RTP/AVP zero\n",
        "m=audio 5004 RTP/AVP 0\na=rtpmap:300 PCMU/8000\n",
        "m=audio 5004 RTP/AVP 0\na=rtpmap:\n",
    ] {
        assert_eq!(refusal(&theirs(line)).status, 400, "{line}");
    }
}

#[test]
fn addresses_that_cannot_be_sent_to_are_refused() {
    for (line, status) in [
        ("c=IN IP4 224.1.1.1/127\n", 488),
        ("c=IN IP4 224.1.1.1\n", 488),
        ("c=IN IP4 255.255.255.255\n", 488),
        ("c=IN IP4 media.example.net\n", 488),
        ("c=IN IP4 .1\n", 488),
        ("c=ATM NSAP 47.0091\n", 488),
        ("c=IN IP4 2001:db8::1\n", 400),
        ("c=IN IP6 192.0.2.1\n", 400),
        ("c=IN IP6 2001:db8::1\n", 488),
        ("c=\n", 400),
    ] {
        assert_eq!(refusal(&theirs(&format!("m=audio 5004 RTP/AVP 0\n{line}"))).status, status, "{line}");
    }
    assert_eq!(refusal(b"v=0\r\nm=audio 5004 RTP/AVP 0\r\n").status, 400, "no connection line at all");
}

#[test]
fn what_cannot_be_met_gets_488_and_says_why() {
    for (offer, warning, why) in [
        ("m=audio 5004 RTP/SAVP 0\n", 302, "RTP/SAVP, here is RTP/AVP only"),
        (
            "m=audio 5004 UDP/TLS/RTP/SAVPF 0\n",
            302,
            "audio over UDP/TLS/RTP/SAVPF, only RTP/AVP and RTP/SAVP are supported",
        ),
        ("m=video 5004 RTP/AVP 31\n", 304, "media video, only audio is supported"),
        ("m=audio 0 RTP/AVP 0\nm=image 6000 udptl t38\n", 304, "the audio stream is switched off (port 0)"),
        ("m=audio 5004 RTP/AVP 18 9\n", 305, "no codec in common, here are PCMU, PCMA"),
        (
            "m=audio 5004 RTP/AVP 13 101\na=rtpmap:101 telephone-event/8000\n",
            305,
            "no codec in common, here are PCMU, PCMA",
        ),
    ] {
        let refusal = refusal(&theirs(offer));
        assert_eq!((refusal.status, refusal.warning, refusal.why.as_str()), (488, warning, why), "{offer}");
    }
}

#[test]
fn at_most_64_media_and_256_attributes_are_read() {
    let lines = |count: usize| "m=audio 5004 RTP/AVP 0\n".repeat(count);
    ours().receive_offer(&theirs(&lines(MAX_MEDIA))).unwrap();
    assert_eq!(refusal(&theirs(&lines(MAX_MEDIA + 1))).status, 413);
    let attributes =
        |count: usize| format!("{}{}", lines(1), "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n".repeat(count));
    ours().receive_offer(&theirs(&attributes(MAX_ATTRIBUTES))).unwrap();
    assert_eq!(refusal(&theirs(&attributes(MAX_ATTRIBUTES + 1))).status, 413);
    assert_eq!(refusal(&vec![b'\n'; MAX_BODY + 1]).status, 413);
}

#[test]
fn a_line_full_of_payload_types_is_read_once_each() {
    let mut session = ours();
    session.receive_offer(&theirs(&format!("m=audio 5004 RTP/AVP{}\n", " 0 8".repeat(10_000)))).unwrap();
    assert!(media(&session.answer(&[]).unwrap()).starts_with("m=audio 40000 RTP/AVP 0\n"));
}

#[test]
fn numbers_that_rtcp_would_shadow_are_not_used() {
    assert_eq!(refusal(&theirs("m=audio 5004 RTP/AVP 72\na=rtpmap:72 PCMU/8000\n")).status, 488);
}

#[test]
fn a_peers_text_breaks_no_line_of_ours() {
    assert_eq!(refusal(&theirs("m=video 5004 RTP/AVP 0\rm=audio 1 RTP/AVP 0\nm=audio 5004 RTP/AVP 0\n")).status, 400);
    let mut session = ours();
    session.receive_offer(&theirs("m=x\u{85}y 9 \u{2028} *\nm=audio 5004 RTP/AVP 0\n")).unwrap();
    let answer = session.answer(&[]).unwrap();
    assert_eq!(media(&answer).matches("\nm=").count(), 1);
}
