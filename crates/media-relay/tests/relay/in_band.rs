//! Digits in the audio itself (ITU-T Q.23), where a peer has no telephone-events.

use crate::house::{EVENT_TYPE, House, Party, Sent, assert_continuous, dbov, ms, raw, stream};
use media_relay::{Codec, Command, Event, PortId, Source, Stream};

/// Row and column of a few digits, in Hz.
fn pair(digit: char) -> (f64, f64) {
    match digit {
        '5' => (770.0, 1336.0),
        '7' => (852.0, 1209.0),
        '#' => (941.0, 1477.0),
        other => panic!("{other} is not used here"),
    }
}

/// A caller whose digits are tones, an AI with telephone-events; they hear each other.
fn parties(house: &mut House) -> (Party, Party) {
    let (caller, ai) = (house.party(1, Codec::Pcma), house.party(2, Codec::Pcmu));
    let plain = Stream { in_band_digits: true, ..Stream::new(caller.address, Codec::Pcma) };
    house.command(Command::Describe { port: caller.port, stream: Box::new(plain) });
    house.plan(&[(caller.port, Source::Port(ai.port)), (ai.port, Source::Port(caller.port))]);
    (caller, ai)
}

/// The party presses a digit for so many packets of 20 ms; nothing else is said.
fn press(house: &mut House, party: &mut Party, digit: char, packets: usize) {
    let (row, column) = pair(digit);
    for packet in 0..packets {
        let payload: Vec<u8> = (0..160)
            .map(|n| {
                let at = (packet * 160 + n) as f64 / 8000.0 * std::f64::consts::TAU;
                #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
                let sample = (5000.0 * ((at * row).sin() + (at * column).sin())) as i16;
                party.codec.encode(sample)
            })
            .collect();
        let bytes =
            raw(party.codec.static_payload_type(), false, party.sequence, party.timestamp, party.ssrc, &payload);
        party.skip(1);
        house.receive(party.port, party.address, &bytes);
        house.advance(ms(20));
    }
}

/// The events in what was sent: which, and how often one began.
fn events(heard: &[Sent]) -> Vec<u8> {
    let packets = heard.iter().map(Sent::rtp).filter(|packet| packet.header.payload_type == EVENT_TYPE);
    packets.filter(|packet| packet.header.marker).map(|packet| packet.payload[0]).collect()
}

fn loud(heard: &[Sent]) -> usize {
    let packets = heard.iter().map(Sent::rtp).filter(|packet| packet.header.payload_type != EVENT_TYPE);
    packets.filter(|packet| dbov(packet) > -40.0).count()
}

/// How much of a G.711 stream's power lies in the digit's two tones.
fn share(heard: &[Sent], digit: char) -> f64 {
    let (row, column) = pair(digit);
    let mut shares = Vec::new();
    for packet in heard.iter().map(Sent::rtp) {
        let samples: Vec<f64> = packet.payload.iter().map(|word| f64::from(Codec::Pcma.decode(*word))).collect();
        let power: f64 = samples.iter().map(|sample| sample * sample).sum();
        let held: f64 = [row, column]
            .map(|hz| {
                let turn = |n: usize| n as f64 / 8000.0 * hz * std::f64::consts::TAU;
                let of = |part: fn(f64) -> f64| samples.iter().enumerate().map(|(n, s)| s * part(turn(n))).sum::<f64>();
                (of(f64::sin).powi(2) + of(f64::cos).powi(2)) * 2.0 / samples.len() as f64
            })
            .iter()
            .sum();
        shares.push(if power > 0.0 { held / power } else { 0.0 });
    }
    shares.into_iter().fold(0.0, f64::max)
}

#[test]
fn q24_tones_are_told_once_and_whoever_has_telephone_events_gets_those_instead() {
    let mut house = House::new();
    let (mut caller, mut ai) = parties(&mut house);
    caller.amplitude = 0.0;
    house.talk(&mut [&mut caller, &mut ai], 50);
    house.forget();
    press(&mut house, &mut caller, '5', 6);
    house.talk(&mut [&mut caller, &mut ai], 4);
    press(&mut house, &mut caller, '#', 30);
    house.talk(&mut [&mut caller, &mut ai], 30);
    assert_eq!(house.digits(), "5#");
    let heard = house.heard_by(ai.port);
    assert_eq!(events(&heard), [5, 11]);
    // Two blocks of 12.75 ms until a digit is known for one, and the packet it is in: not enough to be taken for it.
    assert!(loud(&heard) <= 4, "{} packets of tones were let through", loud(&heard));
    // An event's packets have the time of its beginning.
    assert_continuous(&heard, ms(125));
    // A caller who speaks is not a digit, and is heard.
    caller.amplitude = 8000.0;
    house.forget();
    house.talk(&mut [&mut caller, &mut ai], 50);
    assert_eq!(house.digits(), "");
    assert!(loud(&house.heard_by(ai.port)) >= 48);
}

#[test]
fn a_digit_whose_packets_stop_has_ended() {
    let mut house = House::new();
    let (mut caller, _) = parties(&mut house);
    press(&mut house, &mut caller, '7', 5);
    assert_eq!(house.digits(), "");
    house.advance(ms(400));
    assert_eq!(house.digits(), "7");
}

#[test]
fn q23_telephone_events_become_tones_where_the_listener_has_none() {
    let mut house = House::new();
    let (mut caller, mut ai) = parties(&mut house);
    ai.amplitude = 0.0;
    house.talk(&mut [&mut caller, &mut ai], 50);
    house.forget();
    let timestamp = ai.timestamp;
    for (step, end) in [(1u16, false), (2, false), (3, true)] {
        let bytes = ai.event(7, end, timestamp, step * 160);
        house.receive(ai.port, ai.address, &bytes);
        house.advance(ms(20));
    }
    ai.skip(3);
    house.talk(&mut [&mut caller, &mut ai], 20);
    let heard = house.heard_by(caller.port);
    assert!(heard.iter().all(|sent| sent.rtp().header.payload_type == 8), "audio alone");
    assert!((4..=6).contains(&loud(&heard)), "{} packets of 20 ms are no 100 ms of tones", loud(&heard));
    assert!(share(&heard, '7') > 0.97 && share(&heard, '5') < 0.2, "{} {}", share(&heard, '7'), share(&heard, '5'));
    assert_continuous(&heard, ms(45));
}

#[test]
fn digits_of_the_api_are_tones_where_the_stream_says_so_and_dropped_and_counted_where_not() {
    for (in_band_digits, tones) in [(true, 10), (false, 0)] {
        let mut house = House::new();
        let caller = house.party(1, Codec::Pcma);
        let plain = Stream { in_band_digits, ..Stream::new(caller.address, Codec::Pcma) };
        house.command(Command::Describe { port: caller.port, stream: Box::new(plain) });
        house.plan(&[(caller.port, Source::Silence)]);
        house.advance(ms(200));
        house.command(Command::SendDtmf { port: caller.port, digits: "57".into() });
        house.advance(ms(1000));
        assert_eq!(loud(&house.heard_by(caller.port)), tones);
        house.command(Command::Close { port: PortId(1) });
        let dropped = house.events().into_iter().find_map(|event| match event {
            Event::Closed { stats, .. } => Some(stats.digits_dropped),
            _ => None,
        });
        assert_eq!(dropped, Some(if in_band_digits { 0 } else { 2 }));
    }
}

#[test]
fn without_being_asked_for_nothing_is_looked_for_in_audio() {
    let mut house = House::new();
    let (mut caller, ai) = parties(&mut house);
    house.command(Command::Describe { port: caller.port, stream: Box::new(stream(caller.address, Codec::Pcma)) });
    press(&mut house, &mut caller, '5', 10);
    house.advance(ms(400));
    assert_eq!(house.digits(), "");
    assert!(loud(&house.heard_by(ai.port)) >= 9, "the tones go through");
}
