//! Digits: passed on, reported once, ended at a switch, generated.

use crate::house::{EVENT_TYPE, House, Party, Sent, assert_continuous, ms, music, stream};
use media_relay::{Codec, Command, Event, Source, Stream};
use std::time::Duration;

fn conversation() -> (House, Party, Party, Party) {
    let mut house = House::new();
    let (caller, ai, human) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu), house.party(3, Codec::Pcmu));
    house.plan(&[(ai.port, Source::Port(caller.port)), (caller.port, Source::Port(ai.port))]);
    (house, caller, ai, human)
}

/// Event packets among what was heard: event, end, duration, timestamp.
fn events(heard: &[Sent], payload_type: u8) -> Vec<(u8, bool, u16, u32)> {
    heard
        .iter()
        .map(Sent::rtp)
        .filter(|packet| packet.header.payload_type == payload_type)
        .map(|p| {
            (
                p.payload[0],
                p.payload[1] & 0x80 != 0,
                u16::from_be_bytes([p.payload[2], p.payload[3]]),
                p.header.timestamp,
            )
        })
        .collect()
}

#[test]
fn a_digit_is_passed_on_under_the_listeners_payload_type_and_reported_once() {
    let (mut house, mut caller, ai, _) = conversation();
    let other = Stream { telephone_event: Some((96, 97)), ..stream(ai.address, Codec::Pcmu) };
    house.command(Command::Describe { port: ai.port, stream: Box::new(other) });
    house.talk(&mut [&mut caller], 5);
    let start = caller.timestamp;
    for step in 1..=4u16 {
        let packet = caller.event(5, false, start, step * 160);
        house.receive(caller.port, caller.address, &packet);
        house.advance(ms(20));
    }
    for _ in 0..3 {
        let packet = caller.event(5, true, start, 800);
        house.receive(caller.port, caller.address, &packet);
    }
    caller.pause(ms(100));
    house.advance(ms(20));
    house.talk(&mut [&mut caller], 5);
    let heard = house.heard_by(ai.port);
    let seen = events(&heard, 96);
    assert_eq!(seen.len(), 7);
    assert!(
        seen.iter().all(|(event, _, _, timestamp)| *event == 5 && *timestamp == seen[0].3),
        "one timestamp an event"
    );
    let numbers: Vec<u16> = heard.iter().map(|sent| sent.rtp().header.sequence_number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    let digits: Vec<Event> = house.events().into_iter().filter(|event| matches!(event, Event::Dtmf { .. })).collect();
    assert_eq!(digits, [Event::Dtmf { port: caller.port, digit: '5', duration: ms(100) }]);
}

#[test]
fn an_event_under_way_at_a_switch_ends_on_the_old_side_and_its_remainder_is_swallowed() {
    let (mut house, mut caller, ai, mut human) = conversation();
    house.talk(&mut [&mut caller], 5);
    let start = caller.timestamp;
    for step in 1..=3u16 {
        let packet = caller.event(1, false, start, step * 160);
        house.receive(caller.port, caller.address, &packet);
        house.advance(ms(20));
    }
    house.plan(&[
        (human.port, Source::Port(caller.port)),
        (caller.port, Source::Port(human.port)),
        (ai.port, Source::Silence),
    ]);
    for step in 4..=5u16 {
        let packet = caller.event(1, false, start, step * 160);
        house.receive(caller.port, caller.address, &packet);
        house.advance(ms(20));
    }
    for _ in 0..3 {
        let packet = caller.event(1, true, start, 960);
        house.receive(caller.port, caller.address, &packet);
    }
    caller.pause(ms(120));
    house.advance(ms(20));
    house.talk(&mut [&mut caller, &mut human], 5);
    let seen = events(&house.heard_by(ai.port), EVENT_TYPE);
    assert_eq!(
        seen.iter().map(|(_, end, duration, _)| (*end, *duration)).collect::<Vec<_>>(),
        [(false, 160), (false, 320), (false, 480), (true, 480), (true, 480), (true, 480)]
    );
    assert_eq!(events(&house.heard_by(human.port), EVENT_TYPE), [], "the human hears nothing of it");
    assert_continuous(&house.heard_by(human.port), ms(41));
    assert_eq!(house.digits(), "1", "and it counts once");
}

#[test]
fn the_end_of_an_accept_key_sent_three_times_does_not_reach_who_is_joined_by_it() {
    let (mut house, mut caller, _, mut human) = conversation();
    house.plan(&[(human.port, music(1)), (caller.port, music(2))]);
    house.talk(&mut [&mut caller, &mut human], 5);
    let start = human.timestamp;
    let (press, release) = (human.event(1, false, start, 160), human.event(1, true, start, 320));
    house.receive(human.port, human.address, &press);
    house.advance(ms(20));
    house.receive(human.port, human.address, &release);
    assert_eq!(house.digits(), "1");
    house.plan(&[(human.port, Source::Port(caller.port)), (caller.port, Source::Port(human.port))]);
    for _ in 0..2 {
        let again = human.event(1, true, start, 320);
        house.receive(human.port, human.address, &again);
    }
    human.pause(ms(60));
    house.advance(ms(20));
    house.talk(&mut [&mut caller, &mut human], 5);
    assert_eq!(events(&house.heard_by(caller.port), EVENT_TYPE), []);
    assert_continuous(&house.heard_by(caller.port), ms(41));
}

#[test]
fn a_listener_without_telephone_events_gets_no_packet_and_no_gap() {
    let (mut house, mut caller, ai, _) = conversation();
    let other = Stream { telephone_event: None, ..stream(ai.address, Codec::Pcmu) };
    house.command(Command::Describe { port: ai.port, stream: Box::new(other) });
    house.talk(&mut [&mut caller], 5);
    let start = caller.timestamp;
    for step in 1..=5u16 {
        let packet = caller.event(3, step == 5, start, step * 160);
        house.receive(caller.port, caller.address, &packet);
        caller.pause(ms(20));
        house.advance(ms(20));
    }
    house.talk(&mut [&mut caller], 5);
    let heard = house.heard_by(ai.port);
    assert_eq!(heard.len(), 10);
    assert_continuous(&heard, ms(1));
    assert_eq!(house.digits(), "3");
}

#[test]
fn digits_are_never_lost_while_nobody_fetches_them() {
    let (mut house, mut caller, _, _) = conversation();
    let mut pressed = String::new();
    for n in 0..200u8 {
        let start = caller.timestamp;
        let packet = caller.event(n % 10, true, start, 400);
        house.receive(caller.port, caller.address, &packet);
        house.receive(caller.port, caller.address, &packet);
        pressed.push(char::from(b'0' + n % 10));
        caller.pause(ms(50));
        house.advance(ms(50));
    }
    assert_eq!(house.digits(), pressed);
}

#[test]
fn rfc4733_2_5_1_digits_are_sent_with_one_timestamp_growing_duration_and_three_ends() {
    let (mut house, caller, mut ai, _) = conversation();
    house.talk(&mut [&mut ai], 5);
    house.command(Command::SendDtmf { port: caller.port, digits: "4#".into() });
    house.talk(&mut [&mut ai], 30);
    let heard = house.heard_by(caller.port);
    let sent = events(&heard, EVENT_TYPE);
    let shape = |code| {
        [
            (code, false, 160),
            (code, false, 320),
            (code, false, 480),
            (code, false, 640),
            (code, true, 800),
            (code, true, 800),
            (code, true, 800),
        ]
    };
    assert_eq!(sent.iter().map(|(e, end, d, _)| (*e, *end, *d)).collect::<Vec<_>>(), [shape(4), shape(11)].concat());
    assert!(
        sent[..7].iter().all(|(_, _, _, t)| *t == sent[0].3) && sent[7..].iter().all(|(_, _, _, t)| *t == sent[7].3)
    );
    assert!(u64::from(sent[7].3.wrapping_sub(sent[0].3)) >= 8 * 140, "tone and pause");
    let numbers: Vec<u16> = heard.iter().map(|sent| sent.rtp().header.sequence_number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
    let last = heard.last().unwrap().rtp();
    assert_eq!(last.header.payload_type, 0, "and the source goes on");
    let first = heard[0].rtp();
    let advanced = Duration::from_micros(u64::from(last.header.timestamp.wrapping_sub(first.header.timestamp)) * 125);
    let elapsed = heard.last().unwrap().at - heard[0].at;
    assert!(advanced.abs_diff(elapsed) <= ms(25), "{advanced:?} in {elapsed:?}");
}
