//! Legs that speak different codecs hear each other; legs that speak the same are left alone.

use crate::{
    house::{House, assert_one_source, music, stream},
    speech::{Speaker, correlation, heard, ms, narrow, voice},
};
use media_relay::{Codec, Command, Event, MeasureId, Source, Stream};
use std::time::Duration;

const ALL: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16At8k, Codec::L16At16k];

/// Two parties that hear each other, and the second one's own packets.
fn pair(house: &mut House, one: Codec, other: Codec) -> (Speaker, Speaker) {
    let (a, b) = (house.party(1, one), house.party(2, other));
    house.plan(&[(a.port, Source::Port(b.port)), (b.port, Source::Port(a.port))]);
    (Speaker::new(a, 20), Speaker::new(b, 20))
}

#[test]
fn every_codec_is_heard_in_every_other() {
    for from in ALL {
        for to in ALL {
            let mut house = House::new();
            let (mut a, mut b) = pair(&mut house, from, to);
            for _ in 0..100 {
                a.speak(&mut house, voice);
                b.speak(&mut house, voice);
                house.advance(ms(20));
            }
            let sound = narrow(&heard(&house, b.party.port, to), to.sample_rate());
            let (alike, lag) = correlation(&voice(8000, 0, 12_000), &sound, 900);
            assert!(alike >= 0.95, "{from:?} to {to:?}: correlation {alike:.3} at lag {lag}");
            assert!(lag < 8 * 90, "{from:?} to {to:?}: {} ms late", lag / 8);
            assert_one_source(&house.heard_by(b.party.port), to.clock_rate(), ms(40), ms(25));
        }
    }
}

#[test]
fn the_same_codec_on_both_legs_is_forwarded_byte_by_byte() {
    for codec in ALL {
        let mut house = House::new();
        let (mut a, b) = pair(&mut house, codec, codec);
        let said: Vec<Vec<u8>> = (0..50)
            .map(|_| {
                let packet = a.packet(voice);
                house.receive(a.party.port, a.party.address, &packet);
                house.advance(ms(20));
                packet[12..].to_vec()
            })
            .collect();
        let sent: Vec<Vec<u8>> = house.heard_by(b.party.port).iter().map(|sent| sent.rtp().payload.to_vec()).collect();
        assert_eq!(said, sent, "{codec:?}");
    }
}

#[test]
fn packet_times_differ_on_both_sides() {
    for (from_ms, to_ms) in [(10u64, 60u64), (20, 30), (30, 20), (40, 20), (60, 10)] {
        let mut house = House::new();
        let (mut a, b) = pair(&mut house, Codec::G722, Codec::Pcmu);
        a.ms = usize::try_from(from_ms).unwrap();
        let asked = Stream { ptime: ms(to_ms), ..stream(b.party.address, Codec::Pcmu) };
        house.command(Command::Describe { port: b.party.port, stream: Box::new(asked) });
        for _ in 0..4000 / from_ms {
            a.speak(&mut house, voice);
            house.advance(ms(from_ms));
        }
        let sent = house.heard_by(b.party.port);
        let length = usize::try_from(to_ms * 8).unwrap();
        assert!(sent.iter().all(|sent| sent.rtp().payload.len() == length), "{from_ms} to {to_ms} ms");
        let (alike, lag) = correlation(&voice(8000, 0, 12_000), &heard(&house, b.party.port, Codec::Pcmu), 1600);
        assert!(alike >= 0.95, "{from_ms} to {to_ms} ms: correlation {alike:.3} at lag {lag}");
    }
}

/// An AI in mu-law, then a human in another codec, then the AI: what the caller is sent is one stream all the while.
#[test]
fn a_handoff_between_codecs_is_one_stream_without_a_gap_above_forty_milliseconds() {
    for human in [Codec::Opus, Codec::G722, Codec::L16At16k] {
        for caller in [Codec::Pcmu, Codec::Opus, Codec::G722] {
            let mut house = House::new();
            let [mut c, mut ai, mut h] = [(1, caller), (2, Codec::Pcmu), (3, human)]
                .map(|(number, codec)| Speaker::new(house.party(number, codec), 20));
            let ports = [c.party.port, ai.party.port, h.party.port];
            let mut talk = |house: &mut House, packets: u32| {
                for _ in 0..packets {
                    for speaker in [&mut c, &mut ai, &mut h] {
                        speaker.speak(house, |rate, from, count| crate::speech::tone(440.0, rate, from, count));
                    }
                    house.advance(ms(20));
                }
            };
            house.plan(&[(ports[0], Source::Port(ports[1])), (ports[1], Source::Port(ports[0]))]);
            talk(&mut house, 100);
            house.command(Command::MeasureStart { port: ports[0], id: MeasureId(1) });
            house.plan(&[(ports[0], music(1))]);
            house.advance(ms(3));
            talk(&mut house, 50);
            house.plan(&[(ports[0], Source::Port(ports[2])), (ports[2], Source::Port(ports[0]))]);
            house.advance(ms(7));
            talk(&mut house, 100);
            house.plan(&[(ports[0], Source::Port(ports[1])), (ports[1], Source::Port(ports[0]))]);
            talk(&mut house, 100);
            house.command(Command::MeasureStop { port: ports[0], id: MeasureId(1) });
            let name = format!("human {human:?}, caller {caller:?}");
            let sent = house.heard_by(ports[0]);
            assert_one_source(&sent, caller.clock_rate(), ms(45), ms(40));
            let silence = house.events().into_iter().find_map(|event| match event {
                Event::Measured { longest_silence, .. } => Some(longest_silence),
                _ => None,
            });
            // A new source fills its buffer before it is heard.
            assert!(silence.unwrap() <= ms(100), "{name}: {silence:?} of silence");
        }
    }
}

#[test]
fn rfc7160_4_1_another_clock_rate_takes_another_ssrc() {
    let mut house = House::new();
    let (mut a, b) = pair(&mut house, Codec::Pcmu, Codec::Pcmu);
    for _ in 0..10 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    let before = house.heard_by(b.party.port);
    house.command(Command::Describe { port: b.party.port, stream: Box::new(stream(b.party.address, Codec::Opus)) });
    for _ in 0..50 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    let after = house.heard_by(b.party.port).split_off(before.len());
    assert!(after.len() >= 48);
    assert_ne!(after[0].rtp().header.ssrc, before[0].rtp().header.ssrc);
    assert_one_source(&after, 48_000, ms(40), ms(25));
    // Between codecs of one clock rate the source stays.
    house.command(Command::Describe { port: a.party.port, stream: Box::new(stream(a.party.address, Codec::G722)) });
    assert_eq!(
        house.heard_by(a.party.port).first().map(|sent| sent.rtp().header.ssrc),
        house.heard_by(a.party.port).last().map(|sent| sent.rtp().header.ssrc)
    );
}

/// Story: a phone that had offered two codecs changed to the other in the middle of a call without a word.
#[test]
fn rfc3264_5_1_a_peer_that_changes_its_codec_on_its_own_is_still_heard() {
    let mut house = House::new();
    let (mut a, b) = pair(&mut house, Codec::G722, Codec::G722);
    for _ in 0..50 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    a.party.codec = Codec::Pcma;
    let mut changed = Speaker::new(a.party.clone(), 20);
    for _ in 0..150 {
        changed.speak(&mut house, voice);
        house.advance(ms(20));
    }
    let sent = house.heard_by(b.party.port);
    assert_one_source(&sent, 8000, ms(45), ms(40));
    let sound = narrow(&crate::speech::decoded(&sent[60..], Codec::G722), 16_000);
    let (alike, _) = correlation(&voice(8000, 3200, 12_000), &sound, 4800);
    assert!(alike > 0.9, "{alike}");
}

#[test]
fn a_digit_reaches_a_listener_of_another_codec_as_one_press() {
    let mut house = House::new();
    let (mut a, b) = pair(&mut house, Codec::Pcmu, Codec::Opus);
    for _ in 0..10 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    let before = house.heard_by(b.party.port).len();
    let began = a.party.timestamp;
    for n in 1..=5u16 {
        let packet = a.party.event(5, n == 5, began, n * 160);
        house.receive(a.party.port, a.party.address, &packet);
        house.advance(ms(20));
    }
    a.party.timestamp += 800;
    for _ in 0..30 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    assert_eq!(house.digits(), "5");
    let sent = house.heard_by(b.party.port).split_off(before);
    let events: Vec<_> = sent.iter().map(|sent| sent.rtp()).filter(|rtp| rtp.header.payload_type == 101).collect();
    assert!(events.len() >= 5, "{} event packets", events.len());
    let last = events.last().unwrap();
    assert_eq!(last.payload[..2], [5, 0x8a]);
    assert_eq!(u16::from_be_bytes([last.payload[2], last.payload[3]]), 800, "100 ms in the events' own clock");
}

#[test]
fn a_player_is_heard_in_every_codec() {
    for codec in ALL {
        let mut house = House::new();
        let a = house.party(1, codec);
        house.plan(&[(a.port, music(1))]);
        house.advance(Duration::from_secs(2));
        let sound = heard(&house, a.port, codec);
        let late = &sound[sound.len() / 2..];
        let share = crate::speech::energy_at(late, 300.0, codec.sample_rate()).sqrt() * 2.0;
        assert!((5000.0..7000.0).contains(&share), "{codec:?}: the tone has an amplitude of {share}");
        assert_one_source(&house.heard_by(a.port), codec.clock_rate(), ms(20), ms(1));
    }
}
