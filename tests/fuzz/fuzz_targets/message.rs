//! Any bytes as a datagram: reading never panics, what is read prints as it came, and every view may be asked for.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sip_codec::{Builder, Limits, Message, Name};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes), &Limits::default()) else { return };
    let printed = message.as_bytes();
    assert!(bytes.windows(printed.len()).any(|window| window == &printed[..]), "a message prints as it came");
    let _ = (message.core().is_ok(), message.uri().is_ok(), message.expires().is_ok(), message.retry_after());
    let _ = (message.contacts().count(), message.addresses(Name::Route).count());
    let _ = message.challenges(Name::WwwAuthenticate).map(|challenge| challenge.value("realm").is_some()).count();
    let source = "192.0.2.1:5060".parse().expect("an address");
    for built in [Builder::response(&message, 400, "Bad Request", source, Some("t")).build(), Builder::cancel_of(&message).build()] {
        if let Ok(built) = built {
            let again = Message::parse(built.as_bytes().clone(), &Limits::default());
            assert_eq!(again.map(|again| again.as_bytes().clone()).ok(), Some(built.as_bytes().clone()), "what is written is read");
        }
    }
});
