//! Encrypted legs: what comes in with the right tag is forwarded, and nothing else, whoever sends it and whenever.
//! The parties' side is the ciphers' crate by itself.

use crate::house::{House, Party, assert_continuous, ms, music, raw, stream};
use media_relay::{Codec, Command, CryptoSuite, Event, Latching, PortId, Source, SrtpKey, SrtpKeys, Stream};
use rtc_srtp::{context::Context, crypto::default_provider, protection_profile::ProtectionProfile};
use std::net::SocketAddr;

const SUITE: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;

/// A party that encrypts.
struct Secure {
    party: Party,
    speaks: Context,
    hears: Context,
}

fn key(byte: u8) -> SrtpKey {
    SrtpKey { suite: SUITE, key: vec![byte; 16], salt: vec![byte; 14] }
}

fn context(byte: u8) -> Context {
    let provider = default_provider().expect("ring is there");
    let profile = ProtectionProfile::Aes128CmHmacSha1_80;
    Context::new(&[byte; 16], &[byte; 14], profile, None, None, provider.crypto()).expect("lengths fit")
}

fn secured(address: SocketAddr, ours: u8, theirs: u8) -> Stream {
    let keys = SrtpKeys { send: key(ours), receive: key(theirs) };
    Stream { srtp: Some(Box::new(keys)), ..stream(address, Codec::Pcmu) }
}

impl Secure {
    /// A party of the house whose leg is encrypted: we send with a key of 1, they with one of 2.
    fn of(house: &mut House, party: Party, nat: Latching) -> Self {
        let described = SocketAddr::from(([10, 0, 0, u8::try_from(party.port.0).expect("small")], 4000));
        let stream = Stream { nat, ..secured(described, 1, 2) };
        house.command(Command::Describe { port: party.port, stream: Box::new(stream) });
        Self { party, speaks: context(2), hears: context(1) }
    }

    /// Its next packet, encrypted.
    fn packet(&mut self) -> Vec<u8> {
        let plain = self.party.packet();
        self.speaks.encrypt_rtp(&plain).expect("it can").to_vec()
    }

    fn speak(&mut self, house: &mut House) {
        let packet = self.packet();
        house.receive(self.party.port, self.party.address, &packet);
    }
}

/// A plain listener (1) and an encrypted speaker (2) that hear each other.
fn pair(nat: Latching) -> (House, Party, Secure) {
    let mut house = House::new();
    let (plain, speaker) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    let speaker = Secure::of(&mut house, speaker, nat);
    house.plan(&[(plain.port, Source::Port(speaker.party.port)), (speaker.party.port, Source::Port(plain.port))]);
    (house, plain, speaker)
}

#[test]
fn what_an_encrypted_caller_said_last_is_told_to_a_plain_listener() {
    let (mut house, plain, mut speaker) = pair(Latching::Sdp);
    let port = speaker.party.port;
    let second = std::time::Duration::from_secs(1);
    house.command(Command::Remember { port, lasting: Some(second), listening: true });
    let mut said: Vec<u8> = Vec::new();
    for _ in 0..100 {
        said.extend_from_slice(&speaker.party.clone().packet()[12..]);
        speaker.speak(&mut house);
        house.advance(ms(20));
    }
    let before = house.heard_by(plain.port).len();
    let words = Some(media_relay::Words { of: port, lasting: second, after: 0 });
    let play = media_relay::Play { id: media_relay::PlayId(1), first: vec![], words, then: media_relay::Then::Silence };
    house.plan(&[(plain.port, Source::Play(play)), (port, Source::Silence)]);
    house.advance(second);
    let told: Vec<u8> =
        house.heard_by(plain.port)[before..].iter().flat_map(|sent| sent.rtp().payload.to_vec()).collect();
    let words = |bytes: &[u8]| bytes.iter().map(|word| Codec::Pcmu.decode(*word)).collect::<Vec<_>>();
    let last = said.len() - 8_000;
    // But for the edges, which come up and go down.
    assert_eq!(words(&told[100..7_800]), words(&said[last + 100..last + 7_800]));
}

fn foreign(sequence: u16, ssrc: u32) -> Vec<u8> {
    raw(0, false, sequence, u32::from(sequence) * 160, ssrc, &[0x66; 170])
}

/// The first message of a DTLS handshake, as far as anybody looks at it.
fn client_hello() -> Vec<u8> {
    let mut hello = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1];
    hello.resize(73, 0);
    hello
}

#[test]
fn both_ways_an_encrypted_leg_and_a_plain_one_hear_each_other_to_the_bit() {
    let (mut house, mut plain, mut speaker) = pair(Latching::Sdp);
    let (mut said, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let mut before = speaker.party.clone();
        said.push(before.packet()[12..].to_vec());
        speaker.speak(&mut house);
        answered.push(house.speak(&mut plain)[12..].to_vec());
        house.advance(ms(20));
    }
    let heard: Vec<_> = house.heard_by(plain.port).iter().map(|sent| sent.rtp().payload.to_vec()).collect();
    assert_eq!(heard, said);
    let sent = house.heard_by(speaker.party.port);
    let heard: Vec<_> = sent
        .iter()
        .map(|sent| speaker.hears.decrypt_rtp(&sent.bytes).expect("our tag is right")[12..].to_vec())
        .collect();
    assert_eq!(heard, answered);
    assert!(sent.iter().zip(&answered).all(|(sent, plain)| sent.bytes[12..172] != plain[..]), "nothing in plain");
    assert_continuous(&sent, ms(1));
}

/// Fault row 8: a third address, wrong tags, two hundred bad packets, a stray ClientHello.
#[test]
fn nothing_foreign_is_forwarded_before_while_or_after_the_peer_is_known() {
    for nat in [Latching::Sdp, Latching::Learn] {
        let (mut house, plain, mut speaker) = pair(nat);
        let (port, peer) = (speaker.party.port, speaker.party.address);
        let third = SocketAddr::from(([203, 0, 113, 9], 9000));
        let mut sequence = 0;
        let mut attack = |house: &mut House, ssrc: u32| {
            for from in [third, peer, SocketAddr::new(peer.ip(), 4002)] {
                for _ in 0..70 {
                    sequence += 1;
                    house.receive(port, from, &foreign(sequence, ssrc));
                }
                house.receive(port, from, &client_hello());
                house.receive(port, from, &[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                house.receive(port, from, &[]);
            }
        };
        attack(&mut house, 7);
        let mut spoken = 0;
        for round in 0..150 {
            speaker.speak(&mut house);
            spoken += 1;
            if round % 10 == 0 {
                attack(&mut house, speaker.party.ssrc);
                attack(&mut house, round);
            }
            house.advance(ms(20));
        }
        attack(&mut house, 8);
        let heard = house.heard_by(plain.port);
        assert_eq!(heard.len(), spoken, "{nat:?}: every packet of the peer, and none else");
        assert!(heard.iter().all(|sent| sent.rtp().payload[..16] != [0x66; 16]));
        assert_continuous(&heard, ms(1));
        assert!(house.heard_by(port).iter().all(|sent| sent.to == peer), "nor was any address learned");
        let latched = house.events().into_iter().filter(|event| matches!(event, Event::Latched { .. })).count();
        assert_eq!(latched, 1);
        assert!(house.worker.counters().unauthentic >= 200);
    }
}

#[test]
fn the_tag_is_checked_before_an_address_is_learned() {
    let (mut house, plain, mut speaker) = pair(Latching::Learn);
    let (thief, home) = (SocketAddr::from(([203, 0, 113, 1], 9000)), SocketAddr::from(([203, 0, 113, 2], 9000)));
    for n in 0..10 {
        house.receive(speaker.party.port, thief, &foreign(n, 5));
    }
    speaker.party.address = home;
    for _ in 0..5 {
        speaker.speak(&mut house);
        house.advance(ms(20));
    }
    let learned: Vec<_> = house
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Latched { from, .. } = event { Some(from) } else { None })
        .collect();
    assert_eq!(learned, [home]);
    assert_eq!(house.heard_by(plain.port).len(), 3, "from the third in a row on");
    // Replayed from elsewhere, the peer's own packets move nothing either.
    let old = speaker.packet();
    house.receive(speaker.party.port, home, &old);
    house.advance(ms(3000));
    for _ in 0..5 {
        house.receive(speaker.party.port, thief, &old);
    }
    assert!(house.events().iter().all(|event| !matches!(event, Event::Latched { .. })));
}

#[test]
fn what_was_learned_in_plain_is_forgotten_when_keys_come() {
    let mut house = House::new();
    let (plain, mut speaker) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    let thief = SocketAddr::from(([203, 0, 113, 1], 9000));
    let described = speaker.address;
    let early = Stream { nat: Latching::Learn, ..stream(described, Codec::Pcmu) };
    house.command(Command::Describe { port: speaker.port, stream: Box::new(early) });
    house.plan(&[(plain.port, Source::Silence), (speaker.port, music(1))]);
    speaker.address = thief;
    for _ in 0..3 {
        house.speak(&mut speaker);
    }
    house.advance(ms(100));
    assert!(house.heard_by(speaker.port).iter().any(|sent| sent.to == thief));
    house.forget();
    let speaker = Secure::of(&mut house, speaker, Latching::Learn);
    house.advance(ms(100));
    let sent = house.heard_by(speaker.party.port);
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.to == described));
}

#[test]
fn a_plain_packet_is_no_packet_of_an_encrypted_leg_and_the_other_way_round() {
    let (mut house, plain, mut speaker) = pair(Latching::Sdp);
    for _ in 0..5 {
        let in_plain = speaker.party.packet();
        house.receive(speaker.party.port, speaker.party.address, &in_plain);
    }
    assert_eq!(house.heard_by(plain.port).len(), 0);
    // Music of our own is encrypted too.
    house.plan(&[(plain.port, Source::Silence), (speaker.party.port, music(1))]);
    house.advance(ms(500));
    let sent = house.heard_by(speaker.party.port);
    assert!(sent.len() >= 20);
    for packet in &sent {
        assert_eq!(speaker.hears.decrypt_rtp(&packet.bytes).expect("our tag is right").len(), 172);
    }
}

#[test]
fn a_new_key_of_the_peer_costs_no_packet() {
    let (mut house, plain, mut speaker) = pair(Latching::Sdp);
    for _ in 0..10 {
        speaker.speak(&mut house);
        house.advance(ms(20));
    }
    let address = speaker.party.address;
    house.command(Command::Describe { port: speaker.party.port, stream: Box::new(secured(address, 1, 3)) });
    // Two are on their way still.
    for round in 0..10 {
        if round == 2 {
            speaker.speaks = context(3);
        }
        speaker.speak(&mut house);
        house.advance(ms(20));
    }
    let heard = house.heard_by(plain.port);
    assert_eq!(heard.len(), 20);
    assert_continuous(&heard, ms(1));
}

#[test]
fn digits_cross_encrypted_legs() {
    let mut house = House::new();
    let (one, two) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    let (mut one, two) = (Secure::of(&mut house, one, Latching::Sdp), Secure::of(&mut house, two, Latching::Sdp));
    house.plan(&[(two.party.port, Source::Port(one.party.port)), (one.party.port, Source::Silence)]);
    one.speak(&mut house);
    let start = one.party.timestamp;
    for n in 1..=4 {
        let event = one.party.event(5, n == 4, start, n * 160);
        let event = one.speaks.encrypt_rtp(&event).expect("it can");
        house.receive(one.party.port, one.party.address, &event);
        house.advance(ms(20));
    }
    assert_eq!(house.digits(), "5");
    let mut hears = two.hears;
    let heard: Vec<_> = house
        .heard_by(two.party.port)
        .iter()
        .filter_map(|sent| Some(hears.decrypt_rtp(&sent.bytes).ok()?.to_vec()))
        .collect();
    assert_eq!(heard.iter().filter(|plain| plain[1] & 0x7f == 101).count(), 4);
}

#[test]
fn rfc3711_3_4_reports_are_encrypted_both_ways_and_a_forged_one_is_not_read() {
    let (mut house, mut plain, mut speaker) = pair(Latching::Sdp);
    let rtcp = SocketAddr::new(speaker.party.address.ip(), 4001);
    for _ in 0..400 {
        speaker.speak(&mut house);
        house.speak(&mut plain);
        house.advance(ms(20));
    }
    let sent = house.rtcp_to(speaker.party.port);
    assert!(!sent.is_empty());
    for report in &sent {
        assert_eq!(report.to, rtcp);
        let opened = speaker.hears.decrypt_rtcp(&report.bytes).expect("our tag is right");
        assert_eq!(opened[1], 200, "SR");
    }
    let ssrc = house.heard_by(speaker.party.port)[0].rtp().header.ssrc;
    let mut report = vec![0x81, 201, 0, 7];
    report.extend(speaker.party.ssrc.to_be_bytes());
    report.extend(ssrc.to_be_bytes());
    report.extend([64, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let remote_loss = |house: &mut House, port: PortId| {
        house.command(Command::Close { port });
        house.events().into_iter().rev().find_map(|event| match event {
            Event::Closed { stats, .. } => Some((stats.remote_fraction_lost, stats.unauthentic)),
            _ => None,
        })
    };
    let mut forged = report.clone();
    forged.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    house.receive_rtcp(speaker.party.port, rtcp, &report);
    house.receive_rtcp(speaker.party.port, rtcp, &forged);
    house.receive_rtcp(speaker.party.port, SocketAddr::from(([203, 0, 113, 9], 4001)), &report);
    let protected = speaker.speaks.encrypt_rtcp(&report).expect("it can");
    house.receive_rtcp(speaker.party.port, rtcp, &protected);
    assert_eq!(remote_loss(&mut house, speaker.party.port), Some((Some(64), 2)));
}

#[test]
fn rfc5761_4_reports_share_the_port_when_both_agreed_and_are_taken_at_either() {
    for secure in [false, true] {
        let mut house = House::new();
        let mut party = house.party(1, Codec::Pcmu);
        let base = if secure { secured(party.address, 1, 2) } else { stream(party.address, Codec::Pcmu) };
        let muxed = Stream { rtcp_mux: true, remote_rtcp: party.address, ..base };
        house.command(Command::Describe { port: party.port, stream: Box::new(muxed) });
        house.plan(&[(party.port, music(1))]);
        let (mut speaks, mut hears) = (context(2), context(1));
        for _ in 0..400 {
            let packet = party.packet();
            let packet = if secure { speaks.encrypt_rtp(&packet).expect("it can").to_vec() } else { packet };
            house.receive(party.port, party.address, &packet);
            house.advance(ms(20));
        }
        assert!(house.rtcp_to(party.port).is_empty(), "nothing to the port above");
        let reports: Vec<_> =
            house.heard_by(party.port).into_iter().filter(|sent| (192..=223).contains(&sent.bytes[1])).collect();
        assert!(!reports.is_empty());
        for report in &reports {
            assert_eq!(report.to, party.address);
            let plain =
                if secure { hears.decrypt_rtcp(&report.bytes).expect("ours").to_vec() } else { report.bytes.clone() };
            assert_eq!(plain[1], 200);
        }
        let mut bytes = vec![0x80, 201, 0, 1];
        bytes.extend(party.ssrc.to_be_bytes());
        let bytes = if secure { speaks.encrypt_rtcp(&bytes).expect("it can").to_vec() } else { bytes };
        let before = house.worker.counters();
        house.receive(party.port, party.address, &bytes);
        assert_eq!(house.worker.counters(), before, "neither malformed nor foreign nor a packet of audio");
    }
}
