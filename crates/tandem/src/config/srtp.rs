//! `srtp` wherever it stands, and `media.srtp_suites`.

use super::reader::{Section, word};
use sdp::{CryptoSuite, Srtp};

/// `srtp` of a section; `None` where it is not written, and what stands above it counts.
pub(super) fn policy(section: &mut Section<'_>) -> Option<Srtp> {
    let words = [("off", Srtp::Off), ("optional", Srtp::Optional), ("required", Srtp::Required)];
    section.optional("srtp", |text| word(text, &words)).map(|placed| placed.value)
}

/// `srtp_suites`: all where it is not written.
pub(super) fn suites(section: &mut Section<'_>) -> Vec<CryptoSuite> {
    let words = CryptoSuite::ALL.map(|suite| (suite.name(), suite));
    let Some(listed) = section.list("srtp_suites", |text| word(text, &words)) else {
        return CryptoSuite::ALL.to_vec();
    };
    if section.is_empty_list("srtp_suites") {
        section.wrong(None, "`media.srtp_suites` names no suite", Some("like `[AES_CM_128_HMAC_SHA1_80]`"));
    }
    let mut suites = Vec::new();
    for placed in listed {
        if suites.contains(&placed.value) {
            section.wrong(placed.place, "this suite is listed twice", None);
        } else {
            suites.push(placed.value);
        }
    }
    suites
}
