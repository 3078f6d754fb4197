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

/// Keys at 48 kHz from a phone that speaks Opus, to another of its kind and to one whose events run at 8 kHz: as packets are forwarded the
/// durations change, and nothing else does.
#[test]
fn rfc4733_2_1_events_at_the_clock_of_opus_reach_a_listener_at_its_own() {
    for (listeners, durations) in [(48_000, [960u16, 1920, 2880, 3840, 4800]), (8000, [160, 320, 480, 640, 800])] {
        let mut house = House::new();
        let (mut caller, ai) = (house.party(1, Codec::Opus), house.party(2, Codec::Opus));
        house.plan(&[(ai.port, Source::Port(caller.port)), (caller.port, Source::Port(ai.port))]);
        for (party, telephone_event_clock) in [(&caller, 48_000), (&ai, listeners)] {
            let stream = Stream { telephone_event_clock, ..stream(party.address, Codec::Opus) };
            house.command(Command::Describe { port: party.port, stream: Box::new(stream) });
        }
        let start = caller.timestamp;
        for step in 1..=5u16 {
            let packet = caller.event(8, step == 5, start, step * 960);
            house.receive(caller.port, caller.address, &packet);
            house.advance(ms(20));
        }
        let seen = events(&house.heard_by(ai.port), EVENT_TYPE);
        assert_eq!(seen.iter().map(|(_, _, duration, _)| *duration).collect::<Vec<_>>(), durations);
        assert!(seen.iter().all(|(event, _, _, timestamp)| *event == 8 && *timestamp == seen[0].3));
        let told: Vec<Event> = house.events().into_iter().filter(|event| matches!(event, Event::Dtmf { .. })).collect();
        assert_eq!(told, [Event::Dtmf { port: caller.port, digit: '8', duration: ms(100) }]);
        // And ours toward it, in its own clock.
        house.forget();
        house.command(Command::SendDtmf { port: ai.port, digits: "3".into() });
        house.advance(ms(400));
        let sent = events(&house.heard_by(ai.port), EVENT_TYPE);
        assert_eq!(sent.iter().map(|(_, _, duration, _)| *duration).collect::<Vec<_>>()[..5], durations);
        assert_eq!((sent.len(), sent[6].1, sent[6].2), (7, true, durations[4]), "its end three times");
    }
}

/// What a listener was sent of keys, as digits: each by its last packet.
fn keys(heard: &[Sent]) -> Vec<u8> {
    let mut last: Vec<(u32, u8)> = Vec::new();
    for (event, _, _, timestamp) in events(heard, EVENT_TYPE) {
        if last.last().is_none_or(|(known, _)| *known != timestamp) {
            last.push((timestamp, event));
        }
    }
    last.into_iter().map(|(_, event)| event).collect()
}

/// An introduction, and a supervisor who whispers: whoever hears a party gets its keys, each once, in the order in which they ended; nobody
/// else gets any.
#[test]
fn keys_of_one_of_several_are_passed_on_once_and_in_order_to_whoever_hears_them() {
    let codecs = [Codec::Pcmu, Codec::Opus, Codec::G722, Codec::Pcma];
    let mut house = House::new();
    let [mut caller, mut ai, mut human, mut boss] =
        [1, 2, 3, 4].map(|n: u8| house.party(n, codecs[usize::from(n) - 1]));
    house.plan(&[
        (caller.port, Source::Mix(vec![ai.port, human.port])),
        (ai.port, Source::Mix(vec![caller.port, human.port])),
        (human.port, Source::Mix(vec![caller.port, ai.port, boss.port])),
        (boss.port, Source::Mix(vec![caller.port, ai.port, human.port])),
    ]);
    house.advance(ms(100));
    let press = |house: &mut House, party: &mut Party, digit: u8| {
        let start = party.timestamp;
        for (end, duration) in [(false, 160), (false, 320), (true, 480), (true, 480), (true, 480)] {
            let packet = party.event(digit, end, start, duration);
            house.receive(party.port, party.address, &packet);
        }
        party.timestamp = party.timestamp.wrapping_add(9600);
    };
    press(&mut house, &mut human, 7);
    press(&mut house, &mut caller, 1);
    press(&mut house, &mut boss, 5);
    press(&mut house, &mut human, 8);
    press(&mut house, &mut ai, 2);
    house.advance(ms(1500));
    let heard = |party: &Party| keys(&house.heard_by(party.port));
    assert_eq!(heard(&caller), [7, 8, 2], "of the supervisor, who whispers, nothing");
    assert_eq!(heard(&ai), [7, 1, 8]);
    assert_eq!(heard(&human), [1, 5, 2]);
    assert_eq!(heard(&boss), [7, 1, 8, 2]);
    assert_eq!(house.digits().len(), 5, "and each is told once");
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
