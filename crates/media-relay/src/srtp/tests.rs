//! Packets between us and a peer that keeps its counters as RFC 3711 says: the crate's own context, walked packet by packet.

use super::*;
use proptest::prelude::*;
use rtc_srtp::{context::Context, crypto::default_provider, protection_profile::ProtectionProfile};

const SUITES: [CryptoSuite; 4] = [
    CryptoSuite::AeadAes256Gcm,
    CryptoSuite::AeadAes128Gcm,
    CryptoSuite::AesCm128HmacSha1_80,
    CryptoSuite::AesCm128HmacSha1_32,
];
const CM: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;
const OURS: u32 = 0xcafe_babe;
const THEIRS: u32 = 0x1234_5678;

fn profile(suite: CryptoSuite) -> ProtectionProfile {
    match suite {
        CryptoSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
    }
}

fn key(suite: CryptoSuite, byte: u8) -> SrtpKey {
    let profile = profile(suite);
    SrtpKey { suite, key: vec![byte; profile.key_len()], salt: vec![byte ^ 0xff; profile.salt_len()] }
}

/// We send with a key of 1, the peer with one of 2.
fn keys(suite: CryptoSuite) -> SrtpKeys {
    SrtpKeys { send: key(suite, 1), receive: key(suite, 2) }
}

fn ours(suite: CryptoSuite) -> Srtp {
    Srtp::new(keys(suite), OURS)
}

fn context(key: &SrtpKey) -> Context {
    let provider = default_provider().unwrap();
    Context::new(&key.key, &key.salt, profile(key.suite), None, None, provider.crypto()).unwrap()
}

/// The peer's sending side.
fn peer(suite: CryptoSuite) -> Context {
    context(&key(suite, 2))
}

/// The sequence of the n-th packet.
fn low(n: u32) -> u16 {
    u16::try_from(n % 65_536).unwrap()
}

fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 160]);
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([0x55; 40]);
    bytes
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend(ssrc.to_be_bytes());
    bytes
}

/// What comes of a packet of the peer.
fn open_at(srtp: &mut Srtp, at: u64, packet: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = packet.to_vec();
    let length = srtp.open(Monotonic::from_nanos(at * 1_000_000), &mut bytes)?;
    bytes.truncate(length);
    Some(bytes)
}

fn open(srtp: &mut Srtp, packet: &[u8]) -> Option<Vec<u8>> {
    open_at(srtp, 0, packet)
}

fn open_rtcp(srtp: &mut Srtp, packet: &[u8]) -> Option<Vec<u8>> {
    srtp.open_rtcp(Monotonic::ORIGIN, packet).map(|plain| plain.to_vec())
}

/// The known packet of AES-CM with an 80-bit tag that implementations of RFC 3711 check themselves by.
#[test]
fn rfc3711_a_known_packet_becomes_the_known_bytes() {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let key =
        SrtpKey { suite: CM, key: hex("e1f97a0d3e018be0d64fa32c06de4139"), salt: hex("0ec675ad498afeebb6960b3aabe6") };
    let plain = hex("800f1234decafbadcafebabeabababababababababababababababab");
    let cipher = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    let mut srtp = Srtp::new(SrtpKeys { send: key.clone(), receive: key }, OURS);
    assert_eq!(srtp.protect(&plain).unwrap()[..], cipher);
    assert_eq!(open(&mut srtp, &cipher), Some(plain));
}

#[test]
fn every_suite_both_ways_over_two_turns_of_the_sequence() {
    for suite in SUITES {
        let (mut srtp, mut them, mut they_hear) = (ours(suite), peer(suite), context(&key(suite, 1)));
        for n in 0..140_000u32 {
            let sequence = low(n);
            // Most of them only at the peer: a jump is a jump, but two thousand lost are none.
            if n % 997 == 0 || n % 65_536 < 3 {
                let plain = packet(OURS, sequence);
                assert_eq!(they_hear.decrypt_rtp(&srtp.protect(&plain).unwrap()).unwrap()[..], plain);
                let plain = packet(THEIRS, sequence);
                assert_eq!(open(&mut srtp, &them.encrypt_rtp(&plain).unwrap()), Some(plain), "{suite:?} {n}");
            }
        }
        let plain = report(THEIRS);
        assert_eq!(open_rtcp(&mut srtp, &them.encrypt_rtcp(&plain).unwrap()), Some(plain));
        let plain = report(OURS);
        assert_eq!(they_hear.decrypt_rtcp(&srtp.protect_rtcp(&plain).unwrap()).unwrap()[..], plain);
    }
}

#[test]
fn headers_with_contributing_sources_extensions_and_padding_keep_their_place() {
    for suite in SUITES {
        for (first, rest) in [
            (0x82, vec![7; 8]),
            // A one-byte extension with padding in its middle, and one of no known profile.
            (0x90, vec![0xbe, 0xde, 0, 2, 0, 0x10, 9, 0, 0x21, 1, 2, 0]),
            (0x90, vec![0xab, 0xcd, 0, 1, 1, 2, 3, 4]),
            (0x90, vec![0xbe, 0xde, 0, 0]),
            (0xa0, vec![]),
        ] {
            let mut plain = packet(OURS, 1);
            plain[0] = first;
            plain.splice(12..12, rest);
            if first == 0xa0 {
                plain.extend([0, 0, 0, 4]);
            }
            let header = crate::packet::protected(&plain).unwrap().length;
            let mut sender = Cipher::new(&key(suite, 2)).unwrap();
            let sent = sender.encrypt(&plain, header).unwrap();
            assert_eq!(sent[..header], plain[..header], "the header is not encrypted");
            assert_ne!(sent[header..plain.len()], plain[header..], "and all of the payload is");
            assert_eq!(open(&mut ours(suite), &sent), Some(plain));
        }
    }
}

#[test]
fn rfc3711_3_3_2_what_came_before_is_refused() {
    let (mut srtp, mut them) = (ours(CM), peer(CM));
    let sent: Vec<_> = (0..100).map(|n| them.encrypt_rtp(&packet(THEIRS, n)).unwrap()).collect();
    assert!(open(&mut srtp, &sent[1]).is_some() && open(&mut srtp, &sent[0]).is_some(), "reordered is not replayed");
    assert!(open(&mut srtp, &sent[0]).is_none() && open(&mut srtp, &sent[1]).is_none());
    assert!(open(&mut srtp, &sent[99]).is_some());
    assert!(open(&mut srtp, &sent[2]).is_none(), "too old to know");
    let report = them.encrypt_rtcp(&report(THEIRS)).unwrap();
    assert!(open_rtcp(&mut srtp, &report).is_some());
    assert!(open_rtcp(&mut srtp, &report).is_none());
}

#[test]
fn whatever_bit_is_changed_the_tag_tells() {
    for suite in SUITES {
        let mut them = peer(suite);
        let sent = them.encrypt_rtp(&packet(THEIRS, 5)).unwrap();
        for bit in 0..sent.len() * 8 {
            let mut forged = sent.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&mut ours(suite), &forged), None, "{suite:?}, bit {bit}");
        }
        let sent = them.encrypt_rtcp(&report(THEIRS)).unwrap();
        for bit in 0..sent.len() * 8 {
            let mut forged = sent.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open_rtcp(&mut ours(suite), &forged), None, "{suite:?}, bit {bit} of a report");
        }
    }
}

/// The ciphers' crate takes SRTCP whose E bit is clear without looking at its tag.
#[test]
fn rfc3711_3_4_reports_that_claim_to_be_in_plain_are_refused() {
    for suite in SUITES {
        let mut forged = report(THEIRS);
        forged.extend([0, 0, 0, 1]);
        forged.extend([0; 26]);
        for length in 12..forged.len() {
            assert_eq!(open_rtcp(&mut ours(suite), &forged[..length]), None, "{suite:?}");
        }
    }
}

/// A forged packet that comes before the first true one must not move what is remembered of its source.
#[test]
fn forged_packets_leave_nothing_behind() {
    let (mut srtp, mut them) = (ours(CM), peer(CM));
    for n in 0..10_000u32 {
        let mut forged = packet(if n % 2 == 0 { THEIRS } else { n }, 30_000);
        forged.extend([0; 10]);
        assert_eq!(open(&mut srtp, &forged), None);
        let mut forged = report(n);
        forged.extend([0x80, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(open_rtcp(&mut srtp, &forged), None);
    }
    for n in 0..3 {
        assert!(open(&mut srtp, &them.encrypt_rtp(&packet(THEIRS, n)).unwrap()).is_some(), "{n}");
        assert!(open_rtcp(&mut srtp, &them.encrypt_rtcp(&report(THEIRS)).unwrap()).is_some());
    }
}

#[test]
fn sources_of_a_peer_are_bounded() {
    let (mut srtp, mut them) = (ours(CM), peer(CM));
    let mut taken = 0;
    for ssrc in 0..100 {
        taken += u32::from(open(&mut srtp, &them.encrypt_rtp(&packet(ssrc, 1)).unwrap()).is_some());
    }
    assert_eq!(taken, 32);
    assert!(open(&mut srtp, &them.encrypt_rtp(&packet(0, 2)).unwrap()).is_some(), "those that were heard go on");
    let reports = (0..100).filter(|ssrc| open_rtcp(&mut srtp, &them.encrypt_rtcp(&report(*ssrc)).unwrap()).is_some());
    assert_eq!(reports.count(), 32);
}

#[test]
fn rfc3711_3_3_1_a_source_whose_first_packets_were_lost_at_the_turn_is_found() {
    for suite in SUITES {
        let (mut srtp, mut them) = (ours(suite), peer(suite));
        for sequence in [65_530u16, 65_534, 65_535] {
            them.encrypt_rtp(&packet(THEIRS, sequence)).unwrap();
        }
        for sequence in 0..5 {
            let sent = them.encrypt_rtp(&packet(THEIRS, sequence)).unwrap();
            assert_eq!(open(&mut srtp, &sent), Some(packet(THEIRS, sequence)), "{suite:?}");
        }
    }
}

#[test]
fn rfc3711_9_1_nothing_is_encrypted_twice_under_one_index() {
    let mut srtp = ours(CryptoSuite::AeadAes128Gcm);
    assert!(srtp.protect(&packet(OURS, 10)).is_some());
    let mut other = packet(OURS, 10);
    other[20] = 0;
    assert!(srtp.protect(&other).is_none());
    assert!(srtp.protect(&packet(OURS, 12)).is_some() && srtp.protect(&packet(OURS, 11)).is_some());
    assert!(srtp.protect(&packet(OURS, 11)).is_none());
    assert!(srtp.protect(&packet(OURS, 500)).is_some() && srtp.protect(&packet(OURS, 13)).is_none());
}

/// Our SSRC and its packets walk two turns under one key, then the key changes: the peer, whose counter went on, hears us.
#[test]
fn rfc3711_3_3_1_our_rollover_counter_outlives_its_key() {
    for suite in SUITES {
        let mut srtp = ours(suite);
        for n in (0..140_000u32).step_by(1000) {
            srtp.protect(&packet(OURS, low(n))).unwrap();
        }
        srtp.protect_rtcp(&report(OURS)).unwrap();
        let new = SrtpKeys { send: key(suite, 9), ..keys(suite) };
        srtp.rekey(Monotonic::ORIGIN, &new);
        // The peer's counter under the new key, walked by packets that somebody did encrypt.
        let (mut walker, mut they_hear) = (context(&key(suite, 9)), context(&key(suite, 9)));
        for n in (0..=139_000u32).step_by(1000) {
            let sent = walker.encrypt_rtp(&packet(OURS, low(n))).unwrap();
            they_hear.decrypt_rtp(&sent).unwrap();
        }
        for n in 139_001..139_010u32 {
            let plain = packet(OURS, low(n));
            let sent = srtp.protect(&plain).unwrap();
            assert_eq!(they_hear.decrypt_rtp(&sent).unwrap()[..], plain, "{suite:?} {n}");
            assert!(context(&key(suite, 9)).decrypt_rtp(&sent).is_err(), "a counter at nought does not hear it");
        }
        let sent = srtp.protect_rtcp(&report(OURS)).unwrap();
        let tag = if matches!(suite, CryptoSuite::AeadAes128Gcm | CryptoSuite::AeadAes256Gcm) { 0 } else { 10 };
        assert_eq!(
            sent[sent.len() - tag - 4..sent.len() - tag],
            [0x80, 0, 0, 2],
            "nor does the SRTCP index start anew"
        );
    }
}

#[test]
fn rfc3711_3_3_1_the_peers_rollover_counter_outlives_its_key_and_need_not() {
    for suite in SUITES {
        for kept in [true, false] {
            let (mut srtp, mut them) = (ours(suite), peer(suite));
            for n in (0..140_000u32).step_by(1000) {
                open(&mut srtp, &them.encrypt_rtp(&packet(THEIRS, low(n))).unwrap()).unwrap();
            }
            srtp.rekey(Monotonic::ORIGIN, &SrtpKeys { receive: key(suite, 7), ..keys(suite) });
            let mut them = context(&key(suite, 7));
            if kept {
                for n in (0..=139_000u32).step_by(1000) {
                    them.encrypt_rtp(&packet(THEIRS, low(n))).unwrap();
                }
            }
            for n in 139_001..139_010u32 {
                let plain = packet(THEIRS, low(n));
                let sent = them.encrypt_rtp(&plain).unwrap();
                assert_eq!(open(&mut srtp, &sent), Some(plain), "{suite:?} kept: {kept}");
                assert_eq!(open(&mut srtp, &sent), None, "once");
            }
        }
    }
}

#[test]
fn packets_on_their_way_when_the_key_changed_arrive_for_three_seconds() {
    let (mut srtp, mut them) = (ours(CM), peer(CM));
    open(&mut srtp, &them.encrypt_rtp(&packet(THEIRS, 1)).unwrap()).unwrap();
    srtp.rekey(Monotonic::ORIGIN, &SrtpKeys { receive: key(CM, 7), ..keys(CM) });
    let mut new = context(&key(CM, 7));
    assert!(open_at(&mut srtp, 10, &new.encrypt_rtp(&packet(THEIRS, 3)).unwrap()).is_some());
    assert!(open_at(&mut srtp, 10, &them.encrypt_rtp(&packet(THEIRS, 2)).unwrap()).is_some());
    assert!(open_at(&mut srtp, 2999, &them.encrypt_rtp(&packet(THEIRS, 4)).unwrap()).is_some());
    assert!(open_at(&mut srtp, 3000, &them.encrypt_rtp(&packet(THEIRS, 5)).unwrap()).is_none());
    assert!(open_at(&mut srtp, 3000, &new.encrypt_rtp(&packet(THEIRS, 6)).unwrap()).is_some());
}

#[test]
fn keys_that_stay_go_on_and_a_suite_may_change_with_them() {
    let (mut srtp, mut them) = (ours(CM), peer(CM));
    let sent = them.encrypt_rtp(&packet(THEIRS, 1)).unwrap();
    assert!(open(&mut srtp, &sent).is_some() && srtp.protect(&packet(OURS, 1)).is_some());
    srtp.rekey(Monotonic::ORIGIN, &keys(CM));
    assert!(open(&mut srtp, &sent).is_none(), "a repeated description makes nothing new of an old packet");
    assert!(srtp.protect(&packet(OURS, 1)).is_none());
    srtp.rekey(Monotonic::ORIGIN, &keys(CryptoSuite::AeadAes256Gcm));
    let sent = peer(CryptoSuite::AeadAes256Gcm).encrypt_rtp(&packet(THEIRS, 2)).unwrap();
    assert!(open(&mut srtp, &sent).is_some());
    let sent = srtp.protect(&packet(OURS, 2)).unwrap();
    assert!(context(&key(CryptoSuite::AeadAes256Gcm, 1)).decrypt_rtp(&sent).is_ok());
}

#[test]
fn a_key_of_the_wrong_length_protects_nothing_and_lets_nothing_through() {
    let short = SrtpKey { suite: CM, key: vec![1; 3], salt: vec![2; 14] };
    let mut srtp = Srtp::new(SrtpKeys { send: short.clone(), receive: short }, OURS);
    assert!(srtp.protect(&packet(OURS, 1)).is_none() && srtp.protect_rtcp(&report(OURS)).is_none());
    assert!(open(&mut srtp, &packet(THEIRS, 1)).is_none() && open_rtcp(&mut srtp, &report(THEIRS)).is_none());
}

#[test]
fn keys_do_not_show() {
    assert_eq!(
        format!("{:?}", keys(CM)),
        "SrtpKeys { send: SrtpKey(AesCm128HmacSha1_80, …), receive: SrtpKey(AesCm128HmacSha1_80, …) }"
    );
    let shown = format!("{:?}", ours(CM));
    assert!(!shown.contains("[2, 2") && !shown.contains("[1, 1"), "{shown}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), suite in 0usize..4, kind in 0u8..3) {
        if kind > 0 && bytes.len() > 2 {
            bytes[0] = 0x80 | bytes[0] & 0x3f;
            bytes[1] = if kind == 1 { 201 } else { bytes[1] & 0x7f };
        }
        let mut srtp = ours(SUITES[suite]);
        prop_assert!(open(&mut srtp, &bytes).is_none());
        prop_assert!(open_rtcp(&mut srtp, &bytes).is_none());
        let _ = srtp.protect(&bytes);
    }
}
