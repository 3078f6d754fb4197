//! What a caller said last, told to somebody else of their call: in any codec, from its end, and only where it was to be kept.

use crate::{
    house::{House, music},
    speech::{Speaker, correlation, heard, ms, narrow, tone, voice},
};
use media_relay::{CallKey, Codec, Command, Event, Play, PlayId, PortId, Source, Then, Words};
use std::time::Duration;

const ALL: [Codec; 6] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus, Codec::L16At8k, Codec::L16At16k];

fn remember(house: &mut House, port: PortId, listening: bool) {
    house.command(Command::Remember { port, lasting: Some(Duration::from_secs(4)), listening });
}

fn told(of: PortId, seconds: u64) -> Source {
    let words = Some(Words { of, lasting: Duration::from_secs(seconds), after: 0 });
    Source::Play(Play { id: PlayId(5), first: vec![], words, then: Then::Silence })
}

fn say(house: &mut House, speaker: &mut Speaker, packets: usize, signal: impl Fn(u32, usize, usize) -> Vec<i16>) {
    for _ in 0..packets {
        speaker.speak(house, &signal);
        house.advance(ms(20));
    }
}

/// A caller and a human, who hears nothing yet.
fn pair(house: &mut House, caller: Codec, human: Codec) -> (Speaker, PortId) {
    let (a, b) = (house.party(1, caller), house.party(2, human));
    house.plan(&[(a.port, music(1)), (b.port, Source::Silence)]);
    (Speaker::new(a, 20), b.port)
}

#[test]
fn what_the_caller_said_last_is_heard_in_every_codec_and_by_the_human_alone() {
    let pairs = ALL.map(|caller| (caller, Codec::Pcmu)).into_iter().chain(ALL.map(|human| (Codec::Pcma, human)));
    for (caller_codec, human_codec) in pairs {
        let mut house = House::new();
        let (mut caller, human) = pair(&mut house, caller_codec, human_codec);
        let port = caller.party.port;
        remember(&mut house, port, true);
        say(&mut house, &mut caller, 300, voice);
        let before = heard(&house, human, human_codec).len();
        house.plan(&[(port, music(1)), (human, told(port, 3))]);
        house.advance(ms(4_000));
        let name = format!("{caller_codec:?} to {human_codec:?}");
        // The last three of six seconds, but for the pause that they may end with: half a second into them.
        let sound = heard(&house, human, human_codec);
        let sound = narrow(&sound[before..], human_codec.sample_rate());
        let (alike, lag) = correlation(&voice(8000, 4 * 8000, 8000), &sound[6_000..], 4_000);
        assert!(alike > 0.95, "{name}: {alike:.3} at {lag}");
        let (alike, _) = correlation(&voice(8000, 4 * 8000, 4000), &heard(&house, port, caller_codec)[..4_000], 400);
        assert!(alike < 0.3, "{name}: the caller hears themselves, {alike:.3}");
        let done = |event: &Event| matches!(event, Event::PlayDone { port, clips: 0, .. } if *port == human);
        assert_eq!(house.events().iter().filter(|event| done(event)).count(), 1, "{name}");
    }
}

#[test]
fn nothing_is_kept_that_nobody_asked_for_and_nothing_said_while_nobody_is_to_listen() {
    let tones = |hz: f32| move |rate: u32, from: usize, count: usize| tone(hz, rate, from, count);
    let share = |house: &House, human: PortId, hz: f64| {
        let sound = heard(house, human, Codec::Pcmu);
        crate::speech::energy_at(&sound[sound.len() - 8_000..], hz, 8000) * 1e-6
    };
    for (asked, listening) in [(false, false), (true, false), (true, true)] {
        let mut house = House::new();
        let (mut caller, human) = pair(&mut house, Codec::Pcmu, Codec::Pcmu);
        let port = caller.party.port;
        if asked {
            remember(&mut house, port, true);
        }
        say(&mut house, &mut caller, 100, tones(400.0));
        if asked {
            remember(&mut house, port, listening);
        }
        say(&mut house, &mut caller, 100, tones(1500.0));
        house.plan(&[(port, music(1)), (human, told(port, 1))]);
        house.advance(ms(1_000));
        let (first, last) = (share(&house, human, 400.0), share(&house, human, 1500.0));
        assert_eq!((first > 1.0, last > 1.0), (asked && !listening, listening), "{asked} {listening}: {first} {last}");
    }
}

#[test]
fn words_of_another_call_and_of_one_who_is_gone_are_nobodys_to_hear() {
    for elsewhere in [true, false] {
        let mut house = House::new();
        let (mut caller, human) = pair(&mut house, Codec::Pcmu, Codec::Pcmu);
        let port = caller.party.port;
        remember(&mut house, port, true);
        say(&mut house, &mut caller, 100, voice);
        if elsewhere {
            house.command(Command::Adopt { port, call: CallKey(2) });
        } else {
            house.command(Command::Close { port });
        }
        house.plan(&[(human, told(port, 1))]);
        house.advance(ms(100));
        assert!(heard(&house, human, Codec::Pcmu).iter().all(|sample| sample.unsigned_abs() < 10));
        assert!(house.events().iter().any(|event| matches!(event, Event::PlayDone { .. })), "it is over at once");
    }
}

#[test]
fn words_stand_where_the_play_says_and_a_plan_that_repeats_it_changes_nothing() {
    let mut house = House::new();
    let (mut caller, human) = pair(&mut house, Codec::Pcmu, Codec::Pcmu);
    let port = caller.party.port;
    remember(&mut house, port, true);
    say(&mut house, &mut caller, 100, |rate, from, count| tone(1500.0, rate, from, count));
    let words = Some(Words { of: port, lasting: Duration::from_secs(1), after: 1 });
    let play = Play { id: PlayId(5), first: vec!["hello".into(), "hello".into()], words, then: Then::Silence };
    let before = heard(&house, human, Codec::Pcmu).len();
    for _ in 0..35 {
        house.plan(&[(port, music(1)), (human, Source::Play(play.clone()))]);
        house.advance(ms(100));
    }
    let sound = &heard(&house, human, Codec::Pcmu)[before..];
    for (second, hz) in [(0, 500.0), (1, 1500.0), (2, 500.0)] {
        let part = &sound[second * 8_000 + 1_000..second * 8_000 + 7_000];
        assert!(crate::speech::energy_at(part, hz, 8000) > 1e6, "second {second}");
    }
    let done: Vec<usize> = house
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::PlayDone { port, clips, .. } if *port == human => Some(*clips),
            _ => None,
        })
        .collect();
    assert_eq!(done, [2]);
}
