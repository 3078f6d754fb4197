//! What is to be kept, and how: mistakes about it.

use super::tests::{mistakes, reading};

const WITH_A_RECORDING: &str = "trunks: { t: { allowed: [192.0.2.0/24] } }\nai: { a: { uri: \"sip:a@192.0.2.9\" } }\n\
     routes: [{ number: \"*\", line: l, ai: a }]\nmedia: { address: 127.0.0.1 }\nrecording:\n  when: answer\n";

#[test]
fn recordings_are_encrypted_to_keys_that_are_checked_and_private_ones_are_never_shown() {
    const KEY: &str = "age1nqhwwthp8k3q8wez8mhrr7chc5khds2yglkycd7j02pd57nx2dfqy7zlyh";
    const SECRET: &str = "AGE-SECRET-KEY-1J70FE30H7QFA2Q4G39WXTLLEZ470U98JQXTJAT8LC3T3RE8C7M7S34WT6S";
    let with = |keys: &str| format!("{WITH_A_RECORDING}  encrypt_to: {keys}\n");
    let read = reading(&[("tandem.yaml", &with(&format!("[{KEY}]")))], &[]).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(read.recording.encrypt_to.texts(), [KEY]);
    let read = reading(&[("tandem.yaml", WITH_A_RECORDING)], &[]).unwrap_or_else(|told| panic!("{told}"));
    assert!(read.recording.encrypt_to.is_empty());

    let told = mistakes(&with(&format!("[{SECRET}]")));
    assert!(told.contains("tandem.yaml:7:16") && told.contains("this is a private key"), "{told}");
    assert!(told.contains("age-keygen -y"), "{told}");
    for secret in
        [SECRET.to_owned(), SECRET.to_lowercase(), format!("[{SECRET}, {SECRET}]"), format!("{{ {SECRET}: {SECRET} }}")]
    {
        let told = mistakes(&with(&secret)).to_uppercase();
        assert!(!told.contains("J70FE30") && told.contains("****"), "{told}");
    }
    let variables = [("TANDEM__RECORDING__ENCRYPT_TO", SECRET)];
    let told = reading(&[("tandem.yaml", WITH_A_RECORDING)], &variables).expect_err("a mistake").to_uppercase();
    assert!(told.contains("PRIVATE KEY") && !told.contains("J70FE30"), "{told}");

    for (keys, expected) in [
        ("[]".to_owned(), "nothing would be encrypted"),
        (format!("[{KEY}, {KEY}]"), "twice"),
        (format!("[{}]", KEY.replace('h', "j")), "its checksum is wrong"),
        ("[alice]".to_owned(), "`age1` and 58 letters and digits"),
        ("[\"ssh-ed25519 AAAA\"]".to_owned(), "another kind than X25519"),
    ] {
        let told = mistakes(&with(&keys));
        assert!(told.contains(expected), "{keys}: {told}");
    }
}
