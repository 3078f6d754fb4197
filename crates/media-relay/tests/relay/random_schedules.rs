//! Any schedule of talking, losing, reordering, pausing, switching, pressing and stalling, by seed: what a receiver is
//! owed holds all the time.

use crate::house::{House, Party, Sent, music};
use media_relay::{Age, Codec, Command, MeasureId, Source};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// A packet on its way.
struct Travelling {
    arrives: Duration,
    party: usize,
    bytes: Vec<u8>,
}

fn run(seed: u64) -> BTreeMap<usize, Vec<Sent>> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut house = House::seeded(seed);
    let mut parties: Vec<Party> =
        (1..=4).map(|n| house.party(n, if n % 2 == 0 { Codec::Pcma } else { Codec::Pcmu })).collect();
    let mut travelling: Vec<Travelling> = Vec::new();
    let mut muted = [0u32; 4];
    for tick in 0..1500u32 {
        for (index, party) in parties.iter_mut().enumerate() {
            if muted[index] > 0 {
                muted[index] -= 1;
                party.pause(crate::house::ms(20));
                continue;
            }
            match chance.random_range(0..400) {
                0 => muted[index] = chance.random_range(1..60),
                1 => {
                    party.ssrc = chance.next_u32();
                    party.timestamp = chance.next_u32();
                }
                2..20 => {
                    party.skip(1);
                    continue;
                }
                20..26 => {
                    let (start, length) = (party.timestamp, chance.random_range(1..8u16));
                    for step in 1..=length {
                        let bytes = party.event(5, step == length, start, step * 160);
                        let arrives = house.elapsed() + crate::house::ms(u64::from(step) * 20);
                        travelling.push(Travelling { arrives, party: index, bytes });
                    }
                    party.pause(crate::house::ms(20));
                    muted[index] = u32::from(length) - 1;
                    continue;
                }
                _ => {}
            }
            let jitter =
                if chance.random_range(0..10) == 0 { chance.random_range(0..45) } else { chance.random_range(0..4) };
            let arrives = house.elapsed() + crate::house::ms(jitter);
            travelling.push(Travelling { arrives, party: index, bytes: party.packet() });
        }
        if chance.random_range(0..25) == 0 {
            let listener = chance.random_range(0..4usize);
            let sources: Vec<_> = (0..4)
                .map(|at| {
                    let source = match if at == listener { chance.random_range(0..6) } else { at % 4 } {
                        0 => music(u64::from(tick / 100)),
                        1 => Source::Silence,
                        2 => Source::Ringback,
                        other => Source::Port(parties[(at + other) % 4].port),
                    };
                    (parties[at].port, source)
                })
                .collect();
            house.plan(&sources);
        }
        match chance.random_range(0..300) {
            0 => house.command(Command::SendDtmf { port: parties[0].port, digits: "12".into() }),
            1 => house.command(Command::MeasureStart { port: parties[1].port, id: MeasureId(3) }),
            2 => {
                let away = crate::house::ms(chance.random_range(1..2500));
                parties.iter_mut().for_each(|party| party.pause(away));
                house.stop_for(away);
                house.wake();
            }
            _ => {}
        }
        let until = house.elapsed() + crate::house::ms(20);
        loop {
            travelling.sort_by_key(|packet| packet.arrives);
            let Some(next) = travelling.first().filter(|packet| packet.arrives <= until) else { break };
            let wait = next.arrives.saturating_sub(house.elapsed());
            let stale = house.elapsed().saturating_sub(next.arrives) > crate::house::ms(200);
            house.advance(wait);
            let packet = travelling.remove(0);
            let party = &parties[packet.party];
            let age = if stale { Age::Stale } else { Age::Fresh };
            house.receive_aged(party.port, party.address, &packet.bytes, age);
            house.receive(party.port, SocketAddr::from(([203, 0, 113, 1], 9)), &packet.bytes);
        }
        house.advance(until.saturating_sub(house.elapsed()));
        house.events();
    }
    parties.iter().enumerate().map(|(index, party)| (index, house.heard_by(party.port))).collect()
}

/// The checkers know nothing of the relay: they see packets and times.
fn check(seed: u64, heard: &[Sent]) {
    let Some(first) = heard.first().map(Sent::rtp) else { return };
    let mut highest: i64 = 0;
    let mut seen = std::collections::BTreeSet::new();
    for sent in heard {
        let packet = sent.rtp();
        assert_eq!(packet.header.ssrc, first.header.ssrc, "seed {seed}: one SSRC");
        let place = packet.header.sequence_number.wrapping_sub(low(highest)).cast_signed();
        let sequence =
            if seen.is_empty() { i64::from(packet.header.sequence_number) } else { highest + i64::from(place) };
        // What was lost or reordered before us stays visible; nothing of our making is ever missing or doubled.
        assert!(seen.is_empty() || (-8..=60).contains(&place), "seed {seed} at {:?}: a jump of {place}", sent.at);
        assert!(seen.insert(sequence), "seed {seed} at {:?}: {sequence} twice", sent.at);
        highest = if seen.len() == 1 { sequence } else { highest.max(sequence) };
    }
    // Timestamps go with sequence and with time.
    let mut by_sequence = Vec::new();
    let base = first.header.sequence_number;
    let mut unrolled = 0i64;
    for sent in heard {
        let packet = sent.rtp();
        let step = packet.header.sequence_number.wrapping_sub(base).wrapping_sub(low(unrolled)).cast_signed();
        unrolled += i64::from(step);
        by_sequence.push((unrolled, packet.header.timestamp, sent.at, packet.header.payload_type));
        if step < 0 {
            unrolled -= i64::from(step);
        }
    }
    by_sequence.sort_unstable();
    for pair in by_sequence.windows(2) {
        let ((_, before, _, before_type), (_, after, at, after_type)) = (pair[0], pair[1]);
        let step = after.wrapping_sub(before).cast_signed();
        let events = before_type == crate::house::EVENT_TYPE && after_type == crate::house::EVENT_TYPE;
        assert!(step > 0 || (events && step == 0), "seed {seed} at {at:?}: the timestamp moved by {step}");
    }
    let (_, begin, started, _) = by_sequence[0];
    for (_, timestamp, at, _) in by_sequence.iter().filter(|(_, _, _, kind)| *kind != crate::house::EVENT_TYPE) {
        let drift = f64::from(timestamp.wrapping_sub(begin)) / 8.0 - (*at - started).as_secs_f64() * 1000.0;
        assert!(drift.abs() <= 400.0, "seed {seed} at {at:?}: {drift} ms away from time");
    }
}

/// A number's place in the circle of sequence numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the circle of numbers")]
fn low(number: i64) -> u16 {
    number as u16
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_receiver_hears_one_continuous_source(seed: u64) {
        for heard in run(seed).values() {
            check(seed, heard);
        }
    }
}

#[test]
fn one_seed_is_one_run() {
    let bytes = |seed| run(seed).into_values().flatten().map(|sent| (sent.at, sent.bytes)).collect::<Vec<_>>();
    assert_eq!(bytes(11), bytes(11));
}
