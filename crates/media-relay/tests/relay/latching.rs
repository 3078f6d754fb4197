//! Whom a port believes to be its peer. Foreign packets are never forwarded: not before, while or after learning.

use crate::house::{House, Party, assert_continuous, ms, raw, stream};
use media_relay::{Codec, Command, Event, Latching, Source, Stream};
use std::net::SocketAddr;

fn elsewhere(n: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, n], 9000))
}

fn foreign(sequence: u16, ssrc: u32) -> Vec<u8> {
    raw(0, false, sequence, u32::from(sequence) * 160, ssrc, &[0x66; 160])
}

/// A listener and a speaker whose leg learns, or not.
fn pair(nat: Latching) -> (House, Party, Party) {
    let mut house = House::new();
    let (listener, speaker) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    answer(&mut house, &speaker, nat);
    house.plan(&[(listener.port, Source::Port(speaker.port)), (speaker.port, Source::Port(listener.port))]);
    (house, listener, speaker)
}

fn answer(house: &mut House, party: &Party, nat: Latching) {
    let described = SocketAddr::from(([10, 0, 0, u8::try_from(party.port.0).expect("a small number")], 4000));
    house.command(Command::Describe {
        port: party.port,
        stream: Box::new(Stream { nat, ..stream(described, Codec::Pcmu) }),
    });
}

/// How many of the foreign packets came through.
fn leaked(house: &House, listener: &Party) -> usize {
    house.heard_by(listener.port).iter().filter(|sent| sent.rtp().payload[..] == [0x66; 160]).count()
}

#[test]
fn a_leg_that_does_not_learn_believes_its_description_alone() {
    let (mut house, listener, mut speaker) = pair(Latching::Sdp);
    for n in 0..50 {
        house.receive(speaker.port, elsewhere(1), &foreign(n, 5));
        house.speak(&mut speaker);
        house.advance(ms(20));
        house.receive(speaker.port, elsewhere(1), &foreign(n, speaker.ssrc));
        house.receive(speaker.port, SocketAddr::new(speaker.address.ip(), 4001), &foreign(n, 6));
    }
    assert_eq!(leaked(&house, &listener), 0);
    assert_eq!(house.heard_by(listener.port).len(), 50);
    assert_continuous(&house.heard_by(listener.port), ms(1));
    assert_eq!(house.worker.counters().foreign, 150);
}

#[test]
fn a_learning_leg_takes_another_source_after_three_packets_in_a_row() {
    let (mut house, listener, mut speaker) = pair(Latching::Learn);
    speaker.address = elsewhere(1);
    house.speak(&mut speaker);
    house.speak(&mut speaker);
    assert!(house.events().is_empty());
    house.speak(&mut speaker);
    assert_eq!(house.events(), [Event::Latched { port: speaker.port, from: elsewhere(1) }]);
    assert_eq!(house.heard_by(listener.port).len(), 1, "the two before the third are not forwarded");
    house.plan(&[(speaker.port, Source::Silence)]);
    house.advance(ms(50));
    assert!(
        house.heard_by(speaker.port).iter().rev().take(1).all(|sent| sent.to == elsewhere(1)),
        "and is answered there"
    );
}

#[test]
fn three_packets_that_are_not_in_a_row_or_not_of_one_ssrc_teach_nothing() {
    let (mut house, listener, speaker) = pair(Latching::Learn);
    for n in 0..20u16 {
        house.receive(speaker.port, elsewhere(1), &foreign(n, u32::from(n)));
        house.receive(speaker.port, elsewhere(2), &foreign(n, 7));
        house.receive(speaker.port, elsewhere(3), &foreign(n * 50, 8));
    }
    assert!(house.events().is_empty());
    assert_eq!(leaked(&house, &listener), 0);
}

#[test]
fn the_description_wins_even_over_what_was_learned() {
    let (mut house, listener, mut speaker) = pair(Latching::Learn);
    for n in 0..5 {
        house.receive(speaker.port, elsewhere(1), &foreign(n, 5));
    }
    assert_eq!(leaked(&house, &listener), 3);
    house.advance(ms(300));
    house.talk(&mut [&mut speaker], 5);
    for n in 5..50 {
        house.receive(speaker.port, elsewhere(1), &foreign(n, 5));
    }
    assert_eq!(leaked(&house, &listener), 3, "the impostor is out and stays out");
    assert!(house.events().contains(&Event::Latched { port: speaker.port, from: speaker.address }));
}

#[test]
fn the_window_closes_with_the_first_packet_of_the_peer_and_opens_with_each_answer() {
    let (mut house, listener, mut speaker) = pair(Latching::Learn);
    house.talk(&mut [&mut speaker], 5);
    for n in 0..50 {
        house.receive(speaker.port, elsewhere(1), &foreign(n, 5));
    }
    assert_eq!(leaked(&house, &listener), 0, "the window is closed");
    answer(&mut house, &speaker, Latching::Learn);
    house.speak(&mut speaker);
    for n in 50..100 {
        house.receive(speaker.port, elsewhere(1), &foreign(n, 5));
    }
    assert_eq!(leaked(&house, &listener), 0, "the peer that was known confirmed itself");
    answer(&mut house, &speaker, Latching::Learn);
    house.events();
    let moved = SocketAddr::from(([198, 51, 100, 1], 7000));
    speaker.address = moved;
    for _ in 0..3 {
        house.speak(&mut speaker);
    }
    assert_eq!(house.events(), [Event::Latched { port: speaker.port, from: moved }]);
}

#[test]
fn the_same_ssrc_with_a_continuous_sequence_moves_after_two_seconds_of_silence() {
    let (mut house, listener, mut speaker) = pair(Latching::Learn);
    house.talk(&mut [&mut speaker], 50);
    let heard = house.heard_by(listener.port).len();
    speaker.address = elsewhere(9);
    for _ in 0..95 {
        house.speak(&mut speaker);
        house.receive(speaker.port, elsewhere(1), &foreign(0, 5));
        house.advance(ms(20));
    }
    assert_eq!(house.heard_by(listener.port).len(), heard, "not before two seconds");
    house.advance(ms(200));
    house.receive(speaker.port, elsewhere(1), &foreign(speaker.sequence, 5));
    house.receive(speaker.port, elsewhere(1), &foreign(speaker.sequence.wrapping_add(20_000), speaker.ssrc));
    house.receive(speaker.port, elsewhere(1), &foreign(speaker.sequence.wrapping_sub(200), speaker.ssrc));
    assert_eq!(leaked(&house, &listener), 0, "another SSRC or another sequence does not move");
    house.talk(&mut [&mut speaker], 10);
    assert_eq!(house.heard_by(listener.port).len(), heard + 10);
    assert!(house.events().contains(&Event::Latched { port: speaker.port, from: elsewhere(9) }));
}

#[test]
fn a_leg_that_does_not_learn_does_not_move_either() {
    let (mut house, listener, mut speaker) = pair(Latching::Sdp);
    house.talk(&mut [&mut speaker], 5);
    house.advance(ms(5000));
    speaker.address = elsewhere(1);
    house.talk(&mut [&mut speaker], 5);
    assert_eq!(house.heard_by(listener.port).len(), 5);
}

#[test]
fn a_changed_description_ends_belief_in_the_old_address() {
    let (mut house, listener, mut speaker) = pair(Latching::Sdp);
    house.talk(&mut [&mut speaker], 5);
    let new = SocketAddr::from(([10, 0, 0, 99], 4000));
    house.command(Command::Describe { port: speaker.port, stream: Box::new(stream(new, Codec::Pcmu)) });
    house.talk(&mut [&mut speaker], 5);
    assert_eq!(house.heard_by(listener.port).len(), 5);
    speaker.address = new;
    house.talk(&mut [&mut speaker], 5);
    assert_eq!(house.heard_by(listener.port).len(), 10);
}

#[test]
fn stun_dtls_and_garbage_are_counted_and_change_nothing() {
    let (mut house, listener, mut speaker) = pair(Latching::Learn);
    house.talk(&mut [&mut speaker], 3);
    let stun = [0x00, 0x01, 0xff, 0xff, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let dtls = [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    for bytes in [&stun[..], &dtls[..], &[], &[0x80], &[0x80; 11]] {
        house.receive(speaker.port, speaker.address, bytes);
        house.receive(speaker.port, elsewhere(1), bytes);
    }
    assert_eq!(house.worker.counters().malformed, 10);
    house.talk(&mut [&mut speaker], 3);
    assert_eq!(house.heard_by(listener.port).len(), 6);
}
