//! Random calls between two cores over a bad network, by seed, judged by checkers that know nothing of the cores.

use crate::world::{ANSWER, OFFER, Weather, World, a, b, dial, header, ms};
use bytes::Bytes;
use clock::Monotonic;
use rand::{Rng, SeedableRng, rngs::StdRng};
use signaling::{Command, Credentials, Event, LegId};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

#[test]
fn random_calls_over_a_good_network_leave_nothing_behind() {
    (0..40).for_each(|seed| run(seed, Weather { lost: 0, doubled: 0, delay: 40 }));
}

#[test]
fn random_calls_under_loss_copies_and_reordering_leave_nothing_behind() {
    (1_000..1_060).for_each(|seed| run(seed, Weather { lost: 50, doubled: 50, delay: 200 }));
}

#[test]
fn random_calls_over_a_terrible_network_leave_nothing_behind() {
    (2_000..2_030).for_each(|seed| run(seed, Weather { lost: 250, doubled: 200, delay: 1_500 }));
}

#[test]
fn one_seed_is_one_run() {
    let trace = |seed| {
        let mut world = World::new(seed);
        play(&mut world, seed, Weather { lost: 100, doubled: 100, delay: 300 });
        world.sent
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}

#[test]
fn the_random_calls_reach_what_they_are_meant_to_reach() {
    let mut seen = BTreeSet::new();
    for seed in 1_000..1_040 {
        let mut world = World::new(seed);
        play(&mut world, seed, Weather { lost: 50, doubled: 50, delay: 200 });
        seen.extend(world.sent.iter().map(|(.., bytes)| text(bytes).split(' ').take(2).collect::<Vec<_>>().join(" ")));
    }
    for expected in ["100", "183", "200", "480", "481", "487", "488", "491", "500"] {
        assert!(seen.contains(&format!("SIP/2.0 {expected}")), "{expected} never happened: {seen:?}");
    }
}

fn run(seed: u64, weather: Weather) {
    let mut world = World::new(seed);
    play(&mut world, seed, weather);
    let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&mut world)));
    if judged.is_err() {
        let line = |(at, from, to, bytes): &(Monotonic, SocketAddr, SocketAddr, Bytes)| {
            let text = text(bytes);
            let first = text.lines().next().unwrap_or_default();
            format!(
                "{at:?} {from} > {to} {first} | {} | {}\n",
                header(&text, "CSeq").unwrap(),
                header(&text, "Call-ID").unwrap()
            )
        };
        let trace: String = world.sent.iter().map(line).collect();
        panic!("{trace}seed {seed} under {weather:?}");
    }
}

/// Both sides act by chance for two minutes, then hang everything up.
fn play(world: &mut World, seed: u64, weather: Weather) {
    let mut random = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut chance = |of: u64| random.next_u64() % of;
    world.weather = weather;
    let mut legs: BTreeSet<(usize, LegId)> = BTreeSet::new();
    let mut seen = 0;
    let mut next = 0;
    for _ in 0..400 {
        world.pass(ms(chance(600)));
        let fresh = world.events[seen..].to_vec();
        seen = world.events.len();
        for (side, leg, event) in fresh {
            match event {
                Event::Incoming(_) | Event::Dialling { .. } => drop(legs.insert((side, leg))),
                Event::Ended { .. } => drop(legs.remove(&(side, leg))),
                Event::Offer { .. } if chance(4) == 0 => {
                    world.command(side, Command::RefuseOffer { leg, status: 488 });
                }
                Event::Offer { .. } if chance(10) > 0 => {
                    world.command(side, Command::AcceptOffer { leg, answer: Bytes::from_static(ANSWER) });
                }
                Event::Answered { body: Some(body), .. } if body == OFFER && chance(10) > 0 => {
                    world.command(side, Command::AnswerLate { leg, answer: Bytes::from_static(ANSWER) });
                }
                _ => {}
            }
        }
        if next < 12 && chance(8) == 0 {
            next += 1;
            let side = usize::try_from(chance(2)).unwrap();
            let (to, from) = if side == 0 { (b(), a()) } else { (a(), b()) };
            let mut dial = dial(to, from);
            dial.invite_timeout = Duration::from_secs(5 + chance(60));
            if chance(3) == 0 {
                dial.offer = None;
            }
            dial.credentials =
                (chance(2) == 0).then(|| Credentials { realm: None, username: "u".into(), password: "p".into() });
            world.command(side, Command::Dial { leg: LegId(next), dial });
        }
        for (side, leg) in legs.clone() {
            let body = Some(Bytes::from_static(if chance(2) == 0 { ANSWER } else { OFFER }));
            let headers = vec![];
            let command = match chance(60) {
                0..4 => Command::Progress { leg, status: 183, answer: body, headers },
                4..10 => Command::Answer { leg, body, headers },
                10 => Command::Reject { leg, status: 480, reason: None, headers },
                11 | 12 => Command::Hangup { leg, reason: None },
                13..17 => Command::Offer { leg, offer: Bytes::from_static(OFFER) },
                _ => continue,
            };
            world.command(side, command);
        }
    }
    for (side, leg) in legs {
        world.command(side, Command::Hangup { leg, reason: None });
    }
}

fn judge(world: &mut World) {
    // What the other side has not heard of ends by its own timers at the latest.
    world.pass(Duration::from_secs(300));
    let rest: Vec<_> = open_legs(world).into_iter().collect();
    for (side, leg) in rest {
        world.command(side, Command::Hangup { leg, reason: None });
    }
    world.assert_nothing_left();
    assert!(open_legs(world).is_empty());
    each_leg_ends_once_and_last(world);
    one_final_response_per_invite(world);
    copies_are_identical(world);
    every_2xx_is_acknowledged_and_ended(world);
    the_order_of_requests_rises(world);
    cancel_never_precedes_a_provisional_response(world);
}

fn open_legs(world: &World) -> BTreeSet<(usize, LegId)> {
    let mut open = BTreeSet::new();
    for (side, leg, event) in &world.events {
        match event {
            Event::Ended { .. } => open.remove(&(*side, *leg)),
            _ => open.insert((*side, *leg)),
        };
    }
    open
}

fn each_leg_ends_once_and_last(world: &World) {
    let mut ended = BTreeSet::new();
    for (side, leg, event) in &world.events {
        assert!(!ended.contains(&(*side, *leg)), "{event:?} of {leg} at {side} after its end");
        if matches!(event, Event::Ended { .. }) {
            ended.insert((*side, *leg));
        }
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

fn branch(message: &str) -> &str {
    let via = header(message, "Via").unwrap();
    via.split("branch=").nth(1).unwrap().split(';').next().unwrap()
}

fn tag(message: &str, name: &str) -> String {
    header(message, name).unwrap().split(";tag=").nth(1).unwrap_or_default().to_owned()
}

fn call(message: &str) -> (String, String) {
    (header(message, "Call-ID").unwrap().to_owned(), header(message, "CSeq").unwrap().to_owned())
}

fn one_final_response_per_invite(world: &World) {
    let mut finals: BTreeMap<String, Bytes> = BTreeMap::new();
    for (.., bytes) in &world.sent {
        let message = text(bytes);
        if status(&message).is_some_and(|status| status >= 200) && header(&message, "CSeq").unwrap().ends_with("INVITE")
        {
            let first = finals.entry(branch(&message).to_owned()).or_insert_with(|| bytes.clone());
            assert_eq!(first, bytes, "two final responses");
        }
    }
}

fn copies_are_identical(world: &World) {
    let mut first: BTreeMap<(String, String), Bytes> = BTreeMap::new();
    for (.., bytes) in &world.sent {
        let message = text(bytes);
        if status(&message).is_none() {
            let key = (branch(&message).to_owned(), header(&message, "CSeq").unwrap().to_owned());
            assert_eq!(first.entry(key).or_insert_with(|| bytes.clone()), bytes, "a copy differs");
        }
    }
}

fn every_2xx_is_acknowledged_and_ended(world: &World) {
    let sent: Vec<String> = world.sent.iter().map(|(.., bytes)| text(bytes)).collect();
    let begins = |method: &str| sent.iter().filter(|m| m.starts_with(method)).collect::<Vec<_>>();
    let (acks, byes) = (begins("ACK "), begins("BYE "));
    for (.., bytes) in &world.delivered {
        let message = text(bytes);
        if status(&message) != Some(200) || !header(&message, "CSeq").unwrap().ends_with(" INVITE") {
            continue;
        }
        let ((call_id, cseq), to) = (call(&message), tag(&message, "To"));
        let number = cseq.split(' ').next().unwrap();
        let acked =
            acks.iter().any(|ack| call(ack) == (call_id.clone(), format!("{number} ACK")) && tag(ack, "To") == to);
        assert!(acked, "a 2xx of {call_id} was not acknowledged");
        let bye = byes.iter().any(|bye| call(bye).0 == call_id && [tag(bye, "To"), tag(bye, "From")].contains(&to));
        assert!(bye, "a 2xx of {call_id} was not ended");
    }
}

fn the_order_of_requests_rises(world: &World) {
    let mut last: BTreeMap<(String, String, String), (u32, String)> = BTreeMap::new();
    for (_, from, _, bytes) in &world.sent {
        let message = text(bytes);
        if status(&message).is_some() || message.starts_with("ACK ") || message.starts_with("CANCEL ") {
            continue;
        }
        let (call_id, cseq) = call(&message);
        let number: u32 = cseq.split(' ').next().unwrap().parse().unwrap();
        let key = (from.to_string(), call_id, tag(&message, "From"));
        let branch = branch(&message).to_owned();
        match last.get(&key) {
            Some((before, same)) if *same == branch || *before > number => {
                assert!(*before >= number || *same != branch);
            }
            Some((before, _)) => assert!(*before < number, "{number} after {before}"),
            None => {}
        }
        if last.get(&key).is_none_or(|(before, _)| *before < number) {
            last.insert(key, (number, branch));
        }
    }
}

fn cancel_never_precedes_a_provisional_response(world: &World) {
    let mut heard: BTreeSet<String> = BTreeSet::new();
    let answered: BTreeSet<String> = world
        .delivered
        .iter()
        .filter_map(|(.., bytes)| {
            let message = text(bytes);
            status(&message).filter(|status| *status < 200).map(|_| branch(&message).to_owned())
        })
        .collect();
    heard.extend(answered);
    for (.., bytes) in &world.sent {
        let message = text(bytes);
        if message.starts_with("CANCEL ") {
            assert!(heard.contains(branch(&message)), "a CANCEL before any provisional response");
        }
    }
}
