//! Systematically broken messages: the core always answers the next OPTIONS, keeps nothing it should not, never panics.

use crate::world::{ANSWER, OUT, World, a, dial, established, hand, ms, reply, request, status};
use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use signaling::Command;
use std::time::Duration;

/// One to four cuts, copies, swaps and strange bytes.
fn mutate(random: &mut StdRng, message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    let below = |random: &mut StdRng, end: usize| usize::try_from(random.next_u64()).unwrap_or(0) % end.max(1);
    for _ in 0..=below(random, 4) {
        let at = below(random, bytes.len());
        match below(random, 6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..(at + below(random, 40)).min(bytes.len()))),
            2 => {
                let end = (at + below(random, 80)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = below(random, bytes.len());
                bytes.splice(to..to, part);
            }
            3 => {
                let strange =
                    *[b'\0', b'\r', b'\n', b'"', b'<', b'>', b';', b',', b':', b'=', 0x80, 0xff, b' ', b'@', b'%']
                        .get(below(random, 15))
                        .unwrap();
                bytes.insert(at, strange);
            }
            4 if !bytes.is_empty() => bytes[at] = u8::try_from(random.next_u64() & 0xff).unwrap(),
            _ => {
                let number = ["-1", "4294967328", "99999999999999999999", "0", "2147483609"][below(random, 5)];
                bytes.splice(at..at, number.bytes());
            }
        }
    }
    bytes
}

#[test]
fn a_core_survives_thousands_of_broken_messages_and_still_answers_options() {
    let mut random = StdRng::seed_from_u64(7);
    let mut world = World::alone();
    world.command(0, Command::Dial { leg: OUT, dial: dial(hand(), a()) });
    world.pass(ms(5));
    let invite = world.heard().remove(0);
    let contact = "Contact: <sip:bob@192.0.2.9:5070>\nRecord-Route: <sip:192.0.2.9;lr>\n";
    let mut seeds: Vec<String> = ["INVITE", "BYE", "CANCEL", "ACK", "OPTIONS", "UPDATE", "INFO", "SUBSCRIBE"]
        .iter()
        .map(|method| request(method, "Reason: Q.850;cause=16;text=\"x\"\nRequire: a\nX-A: b\n"))
        .collect();
    seeds.push(reply(&invite, "180 Ringing", "t", contact, ""));
    seeds.push(reply(&invite, "200 OK", "t", contact, std::str::from_utf8(ANSWER).unwrap()));
    seeds.push(reply(&invite, "401 Unauthorized", "t", "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\n", ""));
    for round in 0..20_000 {
        let seed = seeds[round % seeds.len()].replace('\n', "\r\n").replace("\r\r", "\r");
        let broken = mutate(&mut random, seed.as_bytes());
        world.inject(0, hand(), Bytes::from(broken));
        if round % 1_000 == 0 {
            world.pass(ms(10));
            world.heard();
            let options =
                request("OPTIONS", "").replace("z9hG4bK-", &format!("z9hG4bK-{round}-")).replace("call-1", "o");
            let heard = world.say(&options.replace("CSeq: 1 ", &format!("CSeq: {round} ")));
            assert!(heard.iter().any(|answer| status(answer) == 200), "deaf after {round}");
        }
        world.sent.clear();
    }
    world.events.clear();
    // Nobody answers the calls that came through: they are refused in time, and nothing stays.
    world.pass(Duration::from_secs(420));
    world.command(0, Command::Hangup { leg: OUT, reason: None });
    world.pass(Duration::from_secs(120));
    assert_eq!(world.cores[0].1.gauges(), signaling::Gauges::default());
}

#[test]
fn a_running_call_does_not_feel_broken_messages() {
    let mut random = StdRng::seed_from_u64(8);
    let mut world = World::new(3);
    let leg = established(&mut world);
    let copies: Vec<Bytes> = world.sent.iter().filter(|(_, _, to, _)| *to == a()).map(|(.., b)| b.clone()).collect();
    for round in 0..5_000 {
        let broken = mutate(&mut random, &copies[round % copies.len()]);
        world.inject(0, hand(), Bytes::from(broken));
    }
    assert!(world.events.is_empty(), "{:?}", world.events);
    world.command(1, Command::Hangup { leg, reason: None });
    world.pass(ms(50));
    assert_eq!(world.events.len(), 2);
}
