//! Silence: what a listener was sent, and what a party says.

use crate::house::{House, Party, Sent, dbov, ms, music};
use media_relay::{Codec, Command, DeadAfter, Event, MeasureId, Source};
use std::time::Duration;

const ID: MeasureId = MeasureId(1);

fn measured(house: &mut House) -> Duration {
    house
        .events()
        .iter()
        .find_map(|event| match event {
            Event::Measured { id: ID, longest_silence, .. } => Some(*longest_silence),
            _ => None,
        })
        .expect("the measurement is reported")
}

/// The same by the receiver's own energy, packet by packet.
fn longest_silence(heard: &[Sent], from: Duration, to: Duration) -> Duration {
    let mut audible_until = from;
    let mut longest = Duration::ZERO;
    for sent in heard.iter().filter(|sent| sent.at >= from && sent.at <= to) {
        let packet = sent.rtp();
        if dbov(&packet) >= -50.0 {
            longest = longest.max(sent.at.saturating_sub(audible_until));
            audible_until = audible_until.max(sent.at + Duration::from_micros(packet.payload.len() as u64 * 125));
        }
    }
    longest.max(to.saturating_sub(audible_until))
}

fn quiet(party: &mut Party, amplitude: f32) {
    party.amplitude = amplitude;
}

#[test]
fn the_measure_agrees_with_the_receivers_energy_over_a_whole_handoff() {
    for (gap, quiet_packets, hum) in
        [(0, 0, 0.0), (0, 7, 0.0), (300, 0, 0.0), (120, 11, 60.0), (40, 30, 100.0), (40, 30, 300.0)]
    {
        let mut house = House::new();
        let (caller, mut ai, mut human) =
            (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu), house.party(3, Codec::Pcma));
        house.plan(&[(caller.port, Source::Port(ai.port))]);
        house.talk(&mut [&mut ai], 20);
        let from = house.elapsed();
        house.command(Command::MeasureStart { port: caller.port, id: ID });
        house.talk(&mut [&mut ai], 10);
        quiet(&mut ai, hum);
        house.talk(&mut [&mut ai], quiet_packets);
        house.plan(&[(caller.port, music(1))]);
        house.advance(ms(1500));
        house.plan(&[(caller.port, Source::Port(human.port))]);
        house.advance(ms(gap));
        house.talk(&mut [&mut human], 50);
        let to = house.elapsed();
        house.command(Command::MeasureStop { port: caller.port, id: ID });
        let (ours, theirs) = (measured(&mut house), longest_silence(&house.heard_by(caller.port), from, to));
        assert!(
            ours.abs_diff(theirs) <= ms(1),
            "gap {gap}, quiet {quiet_packets}: we say {ours:?}, the receiver {theirs:?}"
        );
        assert!(gap < 300 || ours >= ms(280));
        assert!(gap + quiet_packets as u64 > 0 || ours <= ms(20), "{ours:?}");
    }
}

#[test]
fn a_measure_that_nobody_stops_is_reported_at_the_close() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    house.plan(&[(caller.port, Source::Silence)]);
    house.command(Command::MeasureStart { port: caller.port, id: ID });
    house.advance(ms(700));
    house.command(Command::Close { port: caller.port });
    let events = house.events();
    assert!(
        matches!(events[..], [Event::Measured { longest_silence, .. }, Event::Closed { .. }] if longest_silence == ms(700))
    );
}

#[test]
fn quiet_is_told_once_and_speech_ends_it() {
    let mut house = House::new();
    let mut caller = house.party(1, Codec::Pcmu);
    house.speak(&mut caller);
    house.command(Command::Watch { port: caller.port, silence_after: Some(ms(2000)), dead_after: None });
    house.talk(&mut [&mut caller], 200);
    assert!(house.events().iter().all(|event| !matches!(event, Event::Quiet { .. } | Event::Speech { .. })));
    quiet(&mut caller, 50.0);
    house.talk(&mut [&mut caller], 300);
    let told: Vec<Event> = house.events().into_iter().filter(|event| matches!(event, Event::Quiet { .. })).collect();
    assert!(
        matches!(told[..], [Event::Quiet { lasting, .. }] if lasting >= ms(2000) && lasting <= ms(2120)),
        "{told:?}"
    );
    quiet(&mut caller, 8000.0);
    house.talk(&mut [&mut caller], 10);
    let told: Vec<Event> = house.events().into_iter().filter(|e| !matches!(e, Event::Statistics { .. })).collect();
    assert_eq!(told, [Event::Speech { port: caller.port }]);
}

/// The end of an AI's last words: every millisecond until it is noticed is silence that the caller hears.
#[test]
fn a_short_silence_is_told_within_a_packets_time_whether_packets_stop_or_go_on() {
    for packets_go_on in [true, false] {
        for offset in [0, 20, 40, 60, 80] {
            let mut house = House::new();
            let mut ai = house.party(1, Codec::Pcmu);
            house.advance(ms(offset));
            house.command(Command::Watch { port: ai.port, silence_after: Some(ms(150)), dead_after: None });
            house.talk(&mut [&mut ai], 50);
            house.events();
            let fell_silent = house.elapsed();
            quiet(&mut ai, 0.0);
            while !house.events().iter().any(|event| matches!(event, Event::Quiet { .. })) {
                match packets_go_on {
                    true => house.talk(&mut [&mut ai], 1),
                    false => house.advance(ms(5)),
                }
                assert!(house.elapsed() - fell_silent <= ms(175), "{packets_go_on} {offset}: not told");
            }
            assert!(house.elapsed() - fell_silent >= ms(130), "{packets_go_on} {offset}: told too early");
        }
    }
}

#[test]
fn a_party_that_sends_nothing_is_quiet_and_told_at_once_to_a_late_watcher() {
    let mut house = House::new();
    let caller = house.party(1, Codec::Pcmu);
    house.advance(ms(4000));
    house.command(Command::Watch { port: caller.port, silence_after: Some(ms(3000)), dead_after: None });
    house.advance(ms(101));
    assert!(matches!(house.events()[..], [Event::Quiet { lasting, .. }] if lasting >= ms(4000)));
}

#[test]
fn dead_media_is_told_after_thirty_seconds_before_and_fifteen_after_the_first_packet() {
    let mut house = House::new();
    let (mut caller, ai) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Pcmu));
    for port in [caller.port, ai.port] {
        house.command(Command::Watch { port, silence_after: None, dead_after: Some(DeadAfter::default()) });
    }
    let dead = |house: &mut House| -> Vec<Event> {
        house.events().into_iter().filter(|e| matches!(e, Event::Dead { .. })).collect()
    };
    house.talk(&mut [&mut caller], 100);
    house.advance(ms(14_800));
    assert_eq!(dead(&mut house), []);
    house.advance(ms(500));
    assert_eq!(dead(&mut house), [Event::Dead { port: caller.port, before_first: false }]);
    house.advance(ms(12_000));
    assert_eq!(dead(&mut house), []);
    house.advance(ms(1000));
    assert_eq!(dead(&mut house), [Event::Dead { port: ai.port, before_first: true }]);
    house.talk(&mut [&mut caller], 100);
    house.advance(ms(16_000));
    assert_eq!(
        dead(&mut house),
        [Event::Dead { port: caller.port, before_first: false }],
        "again, after packets came again"
    );
}
