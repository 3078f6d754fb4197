//! Challenges and credentials of digest (RFC 3261 section 22, RFC 8760), whole and broken.

use bytes::Bytes;
use sip_codec::{Challenge, Limits, Message, Name};

#[test]
fn rfc3261_20_44_a_challenge_gives_its_parameters_without_quotes() {
    let value = b"Digest realm=\"a, \\\"b\\\"\",\r\n domain=\"sip:x;y\", qop=\"auth,auth-int\", nonce=\"f84f1cec41e6\", opaque=\"\", stale=FALSE, algorithm=MD5";
    let challenge = Challenge::parse(value).expect("a challenge");
    assert!(challenge.is_digest());
    for (name, wanted) in [
        ("realm", &b"a, \\\"b\\\""[..]),
        ("QOP", b"auth,auth-int"),
        ("nonce", b"f84f1cec41e6"),
        ("opaque", b""),
        ("stale", b"FALSE"),
        ("algorithm", b"MD5"),
    ] {
        assert_eq!(challenge.value(name), Some(wanted), "{name}");
    }
    assert_eq!(challenge.value("response"), None);
}

#[test]
fn what_is_cut_open_or_said_twice_is_no_challenge() {
    for value in [
        "",
        " ",
        "Digest",
        "Digest ",
        "Digest realm",
        "Digest realm=",
        "Digest realm=\"a",
        "Digest realm=\"a\\\"",
        "Digest realm=\"a\", nonce=\"b",
        "Digest realm=\"a\", nonce",
        "Digest realm=\"a\",, nonce=\"b\"",
        "Digest realm=\"a\" nonce=\"b\"",
        "Digest realm=\"a\", realm=\"b\"",
        "Digest re alm=\"a\"",
        "Dig\"est realm=\"a\"",
    ] {
        assert_eq!(Challenge::parse(value.as_bytes()), None, "{value:?}");
    }
    let endless = format!("Digest {}", (0..1000).map(|number| format!("a{number}=1")).collect::<Vec<_>>().join(","));
    assert_eq!(Challenge::parse(endless.as_bytes()), None, "far more parameters than any digest has");
}

#[test]
fn rfc8760_2_4_each_line_is_a_challenge_in_order() {
    let text = "SIP/2.0 401 No\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=SHA-256\r\n\
        WWW-Authenticate: Digest realm=\"r\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"2\"\r\n\r\n";
    let message = Message::parse(Bytes::from_static(text.as_bytes()), &Limits::default()).expect("a message");
    let nonces: Vec<_> = message.challenges(Name::WwwAuthenticate).map(|challenge| challenge.value("nonce")).collect();
    assert_eq!(nonces, [Some(&b"1"[..]), Some(b"2")], "the broken one in between is passed over");
}
