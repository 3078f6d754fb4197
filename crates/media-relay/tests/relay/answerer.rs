//! Who answered, by the packets of a port in virtual time.

use crate::{
    house::{House, ms},
    speech::{Speaker, voice},
};
use media_relay::{Age, Answerer, Because, Codec, Command, Detection, Event, Finding, PortId, Source};
use std::time::Duration;

const CODECS: [Codec; 6] = [Codec::Pcma, Codec::Pcmu, Codec::G722, Codec::Opus, Codec::L16At8k, Codec::L16At16k];

/// Says something until then, and nothing after it.
fn says(until: Duration) -> impl Fn(u32, usize, usize) -> Vec<i16> {
    move |rate, from, count| {
        let last = usize::try_from(until.as_millis()).expect("some ms") * rate as usize / 1_000;
        let mut samples = voice(rate, from, count);
        let kept = last.saturating_sub(from).min(count);
        samples[kept..].fill(0);
        samples
    }
}

fn listen(house: &mut House, port: PortId) {
    house.command(Command::Detect { port, detection: Some(Detection::default()) });
}

fn findings(house: &mut House) -> Vec<(PortId, Finding)> {
    let of = |event| match event {
        Event::Answerer { port, finding } => Some((port, finding)),
        _ => None,
    };
    house.events().into_iter().filter_map(of).collect()
}

/// A party that has been answered, and is listened to from now on.
fn answered(codec: Codec) -> (House, Speaker) {
    let mut house = House::new();
    let party = house.party(1, codec);
    house.plan(&[(party.port, Source::Silence)]);
    listen(&mut house, party.port);
    (house, Speaker::new(party, 20))
}

/// The party sends packets for so long.
fn hears(house: &mut House, speaker: &mut Speaker, lasting: Duration, signal: impl Fn(u32, usize, usize) -> Vec<i16>) {
    for _ in 0..lasting.as_millis() / 20 {
        speaker.speak(house, &signal);
        house.advance(ms(20));
    }
}

#[test]
fn people_and_machines_are_told_apart_in_every_codec() {
    for codec in CODECS {
        let (mut house, mut speaker) = answered(codec);
        hears(&mut house, &mut speaker, ms(4_000), says(ms(600)));
        let [(port, found)] = findings(&mut house)[..] else { panic!("{codec:?}: one finding") };
        assert_eq!((port, found.answerer, found.because), (PortId(1), Answerer::Human, Because::ShortGreeting));
        assert!((ms(1_000)..ms(1_700)).contains(&found.after), "{codec:?}: {found:?}");

        let (mut house, mut speaker) = answered(codec);
        hears(&mut house, &mut speaker, ms(4_000), says(ms(10_000)));
        let [(_, found)] = findings(&mut house)[..] else { panic!("{codec:?}: one finding") };
        assert_eq!((found.answerer, found.because), (Answerer::Machine, Because::LongGreeting), "{codec:?}");
        assert!((ms(1_800)..ms(2_900)).contains(&found.after), "{codec:?}: {found:?}");
    }
}

#[test]
fn rfc3551_4_1_a_party_that_suppresses_silence_is_heard_to_wait() {
    let (mut house, mut speaker) = answered(Codec::Pcma);
    hears(&mut house, &mut speaker, ms(500), says(ms(500)));
    house.advance(ms(700));
    assert_eq!(findings(&mut house), []);
    house.advance(ms(900));
    let [(_, found)] = findings(&mut house)[..] else { panic!("one finding") };
    assert_eq!((found.answerer, found.because), (Answerer::Human, Because::ShortGreeting));
}

#[test]
fn who_sends_nothing_is_nobody_that_can_be_told() {
    let mut house = House::new();
    let party = house.party(1, Codec::Pcmu);
    listen(&mut house, party.port);
    house.advance(ms(2_900));
    assert_eq!(findings(&mut house), []);
    house.advance(ms(600));
    let [(_, found)] = findings(&mut house)[..] else { panic!("one finding") };
    assert_eq!((found.answerer, found.because, found.after), (Answerer::Unknown, Because::NothingSaid, ms(3_000)));
}

#[test]
fn it_is_found_out_once_and_nobody_is_listened_to_unasked_or_any_more() {
    let (mut house, mut speaker) = answered(Codec::Pcma);
    hears(&mut house, &mut speaker, ms(8_000), says(ms(500)));
    assert_eq!(findings(&mut house).len(), 1);
    listen(&mut house, PortId(1));
    house.advance(ms(4_000));
    assert_eq!(findings(&mut house).len(), 1, "anew");
    listen(&mut house, PortId(1));
    house.advance(ms(1_000));
    house.command(Command::Detect { port: PortId(1), detection: None });
    house.advance(ms(8_000));
    assert_eq!(findings(&mut house), [], "no longer");
    // What was found out before it was asked for anew is not told as an answer to that.
    listen(&mut house, PortId(1));
    house.advance(ms(3_500));
    listen(&mut house, PortId(1));
    assert_eq!(findings(&mut house), []);
    let mut other = Speaker::new(house.party(2, Codec::Pcma), 20);
    hears(&mut house, &mut other, ms(2_000), says(ms(400)));
    assert!(findings(&mut house).iter().all(|(port, _)| *port == PortId(1)), "unasked");
}

#[test]
fn what_others_hear_of_it_is_the_same_to_the_byte() {
    let forwarded = |listens: bool| {
        let mut house = House::new();
        let (party, other) = (house.party(1, Codec::Pcma), house.party(2, Codec::Pcmu));
        house.plan(&[(party.port, Source::Silence), (other.port, Source::Port(party.port))]);
        if listens {
            listen(&mut house, party.port);
        }
        let mut speaker = Speaker::new(party, 20);
        hears(&mut house, &mut speaker, ms(3_000), says(ms(10_000)));
        assert_eq!(findings(&mut house).len(), usize::from(listens));
        house.heard_by(other.port).into_iter().map(|sent| (sent.at, sent.bytes)).collect::<Vec<_>>()
    };
    let plain = forwarded(false);
    assert!(plain.len() >= 149);
    assert_eq!(forwarded(true), plain);
}

/// The worker was stopped in the middle of a greeting: what was said meanwhile waits in the socket, and is no pause.
#[test]
fn a_stall_of_our_own_is_no_silence() {
    let (mut house, mut speaker) = answered(Codec::Pcma);
    hears(&mut house, &mut speaker, ms(600), says(ms(10_000)));
    house.stop_for(ms(1_200));
    house.wake();
    for _ in 0..60 {
        let bytes = speaker.packet(says(ms(10_000)));
        house.receive_aged(speaker.party.port, speaker.party.address, &bytes, Age::Stale);
    }
    hears(&mut house, &mut speaker, ms(2_000), says(ms(10_000)));
    let [(_, found)] = findings(&mut house)[..] else { panic!("one finding") };
    assert_eq!((found.answerer, found.because), (Answerer::Machine, Because::LongGreeting));
}

#[test]
fn lost_packets_make_no_machine_of_a_word() {
    let (mut house, mut speaker) = answered(Codec::Pcma);
    for packet in 0..200 {
        let bytes = speaker.packet(says(ms(700)));
        if packet % 10 != 3 {
            house.receive(speaker.party.port, speaker.party.address, &bytes);
        }
        house.advance(ms(20));
    }
    let [(_, found)] = findings(&mut house)[..] else { panic!("one finding") };
    assert_eq!(found.answerer, Answerer::Human, "{found:?}");
}

#[test]
fn a_party_that_must_not_be_heard_is_not_listened_to() {
    let (mut house, mut speaker) = answered(Codec::Pcma);
    let held =
        media_relay::Stream { may_receive: false, ..media_relay::Stream::new(speaker.party.address, Codec::Pcma) };
    house.command(Command::Describe { port: PortId(1), stream: Box::new(held) });
    hears(&mut house, &mut speaker, ms(4_000), says(ms(10_000)));
    let [(_, found)] = findings(&mut house)[..] else { panic!("one finding") };
    assert_eq!(found.because, Because::NothingSaid, "hold music is nobody's greeting");
}
