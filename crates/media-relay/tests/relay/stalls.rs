//! The process was stopped, or a tick came late: no burst of old audio, and nobody is called dead for it.

use crate::house::{House, assert_continuous, ms, music, raw};
use media_relay::{Age, Codec, Command, DeadAfter, Event, Source};

#[test]
fn ten_seconds_of_stop_make_no_burst_of_music() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    house.plan(&[(caller.port, music(1))]);
    house.advance(ms(1000));
    house.stop_for(ms(10_000));
    let before = house.heard_by(caller.port).len();
    house.wake();
    assert!(house.heard_by(caller.port).len() - before <= 10, "200 ms of audio at most");
    house.advance(ms(1000));
    assert_continuous(&house.heard_by(caller.port), ms(5));
    assert_eq!(house.worker.counters().late_ticks, 1);
}

#[test]
fn a_tick_late_by_less_than_two_hundred_milliseconds_loses_nothing() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    house.plan(&[(caller.port, music(1))]);
    house.advance(ms(1000));
    let before = house.heard_by(caller.port).len();
    house.stop_for(ms(150));
    house.wake();
    assert!((7..=8).contains(&(house.heard_by(caller.port).len() - before)));
    assert_eq!(house.worker.counters().late_ticks, 1);
    house.advance(ms(500));
    assert_eq!(house.worker.counters().late_ticks, 1);
}

#[test]
fn what_waited_in_the_socket_is_not_forwarded_but_its_digits_count() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port))]);
    house.command(Command::Watch {
        port: ai.port,
        silence_after: None,
        dead_after: Some(DeadAfter { before_first: ms(500), after_last: ms(500) }),
    });
    house.talk(&mut [&mut ai], 50);
    house.stop_for(ms(10_000));
    for _ in 0..250 {
        let packet = ai.packet();
        house.receive_aged(ai.port, ai.address, &packet, Age::Stale);
    }
    let digit = ai.event(7, true, 42, 400);
    house.receive_aged(ai.port, ai.address, &digit, Age::Stale);
    ai.pause(ms(5000));
    house.wake();
    house.talk(&mut [&mut ai], 50);
    let heard = house.heard_by(caller.port);
    assert_eq!(heard.len(), 100);
    assert_continuous(&heard, ms(21));
    let events = house.events();
    assert!(events.iter().any(|event| matches!(event, Event::Dtmf { digit: '7', .. })));
    assert!(events.iter().all(|event| !matches!(event, Event::Dead { .. })), "we were away, not they");
}

#[test]
fn random_bytes_on_both_sockets_never_panic_and_never_stop_the_audio() {
    let mut house = House::new();
    let (caller, mut ai) = (house.party(1, Codec::Pcma), house.party(2, Codec::Pcmu));
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Port(caller.port))]);
    let mut state = 1u64;
    let mut chance = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    for round in 0..3000u16 {
        let length = usize::from(chance()) % 64;
        let mut bytes: Vec<u8> = (0..length).map(|_| chance()).collect();
        if round % 2 == 0 && !bytes.is_empty() {
            bytes[0] = 0x80 | (bytes[0] & 0x3f);
        }
        house.receive(ai.port, caller.address, &bytes);
        house.receive_rtcp(ai.port, ai.address, &bytes);
        if round % 2 == 1 {
            house.receive(caller.port, caller.address, &bytes);
        } else {
            house.receive(caller.port, caller.address, &raw(chance(), false, round, 0, 1, &bytes));
        }
        if round % 10 == 0 {
            house.talk(&mut [&mut ai], 1);
        }
    }
    assert_continuous(&house.heard_by(caller.port), ms(21));
}
