//! What is to be kept, and how: mistakes about it.

use super::{
    UploadTo,
    tests::{mistakes, reading},
};
use std::time::Duration;

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

#[test]
fn where_recordings_are_uploaded_to_is_checked_and_its_secret_never_shown() {
    let with = |upload: &str| format!("{WITH_A_RECORDING}  upload: {{ {upload} }}\n");
    let read = |upload: &str| {
        let read = reading(&[("tandem.yaml", &with(upload)), ("s3", "hush\n")], &[]);
        read.unwrap_or_else(|told| panic!("{told}")).recording.upload.expect("it is there")
    };
    let bucket = read(
        "to: \"s3://calls/edge-1/\", endpoint: \"https://s3.example.net\", access_key_id: me, secret_access_key_file: s3, keep_local: 24h",
    );
    assert_eq!(bucket.to, UploadTo::Bucket { bucket: "calls".to_owned(), prefix: "edge-1".to_owned() });
    assert_eq!((bucket.shown.as_str(), bucket.keep_local), ("s3://calls/edge-1", Some(Duration::from_secs(86_400))));
    assert_eq!(bucket.credentials.as_ref().map(|(id, secret)| (id.as_str(), secret.expose())), Some(("me", "hush")));
    assert!(!format!("{bucket:?}").contains("hush"), "{bucket:?}");
    let folder = read("to: \"file:///mnt/archive\"");
    assert_eq!((folder.to, folder.keep_local), (UploadTo::Folder("/mnt/archive".into()), None));

    for (upload, expected) in [
        ("region: x", "`recording.upload.to` is missing"),
        ("to: \"gs://calls\"", "`s3://BUCKET/PREFIX`"),
        ("to: \"s3://Calls\"", "is no name of a bucket"),
        ("to: \"s3://calls/a/../b\"", "cannot stand before names"),
        ("to: \"file://mnt/archive\"", "like `file:///mnt/archive`"),
        ("to: \"file:///mnt\", access_key_id: me, secret_access_key: x", "no endpoint, no authorities and no keys"),
        ("to: \"s3://calls\", access_key_id: me", "needs a secret access key"),
        ("to: \"s3://calls\", secret_access_key: x", "without its `access_key_id`"),
        ("to: \"s3://calls\", access_key_id: me, secret_access_key: x, secret_access_key_file: s3", "are both given"),
        ("to: \"s3://calls\", endpoint: \"ftp://x\"", "is no endpoint"),
        ("to: \"s3://calls\", keep_local: soon", "neither `always` nor a duration"),
        ("to: \"s3://calls\", keep: 1h", "unknown key `keep`"),
    ] {
        let told = reading(&[("tandem.yaml", &with(upload)), ("s3", "hush\n")], &[]).expect_err("a mistake");
        assert!(told.contains(expected), "{upload}: {told}");
    }
    let told = mistakes(&with("to: \"s3://calls\", endpoint: \"https://me:hush@s3\""));
    assert!(told.contains("an endpoint holds no user"), "{told}");
}
