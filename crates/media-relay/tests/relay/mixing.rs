//! Who hears whom when several talk: a tone a party, looked for in what each is sent.

use crate::{
    house::{House, assert_one_source},
    speech::{Speaker, energy_at, heard, ms, tone},
};
use media_relay::{Codec, MAX_MIXED, PortId, Source};

/// The tones of caller, AI, human and supervisor.
const TONES: [f32; 4] = [400.0, 700.0, 1100.0, 1700.0];
const CALLER: usize = 0;
const AI: usize = 1;
const HUMAN: usize = 2;
const SUPERVISOR: usize = 3;

/// Whom each party hears, by the plan of one state of a call.
type Plan = [&'static [usize]; 4];

fn source(ports: &[PortId], heard: &[usize]) -> Source {
    match heard {
        [] => Source::Silence,
        [one] => Source::Port(ports[*one]),
        several => Source::Mix(several.iter().map(|at| ports[*at]).collect()),
    }
}

/// The table of docs: everybody's tone is in everybody's ear exactly where the plan says so, whoever speaks which codec.
#[test]
fn introduction_co_pilot_listening_whispering_and_barging_reach_whom_they_should_and_nobody_else() {
    let mut each = [Codec::Pcma, Codec::Pcmu, Codec::Opus, Codec::G722];
    for _ in 0..each.len() {
        everybody_hears_whom_they_should(each);
        each.rotate_left(1);
    }
}

/// Where all speak alike, what one hears of another alone is forwarded.
#[test]
fn who_hears_whom_is_the_same_where_all_speak_the_same_and_in_linear_samples() {
    for codecs in [[Codec::Pcmu; 4], [Codec::Opus; 4], [Codec::L16At16k, Codec::L16At8k, Codec::Pcma, Codec::Opus]] {
        everybody_hears_whom_they_should(codecs);
    }
}

fn everybody_hears_whom_they_should(codecs: [Codec; 4]) {
    let plans: [(&str, Plan); 9] = [
        ("with the AI", [&[AI], &[CALLER], &[], &[]]),
        ("with the AI, supervisor listening", [&[AI], &[CALLER], &[], &[CALLER, AI]]),
        ("with the AI, supervisor barging", [&[AI, SUPERVISOR], &[CALLER], &[], &[CALLER, AI]]),
        ("three-way introduction", [&[AI, HUMAN], &[CALLER, HUMAN], &[CALLER, AI], &[]]),
        ("introduction, supervisor listening", [&[AI, HUMAN], &[CALLER, HUMAN], &[CALLER, AI], &[CALLER, AI, HUMAN]]),
        ("AI as co-pilot", [&[HUMAN], &[CALLER, HUMAN], &[CALLER], &[]]),
        ("supervisor listening", [&[HUMAN], &[], &[CALLER], &[CALLER, HUMAN]]),
        ("supervisor whispering", [&[HUMAN], &[], &[CALLER, SUPERVISOR], &[CALLER, HUMAN]]),
        ("supervisor barging", [&[HUMAN, SUPERVISOR], &[], &[CALLER, SUPERVISOR], &[CALLER, HUMAN]]),
    ];
    let mut house = House::new();
    let mut speakers: Vec<Speaker> =
        codecs.iter().zip(1..).map(|(codec, number)| Speaker::new(house.party(number, *codec), 20)).collect();
    let ports: Vec<PortId> = speakers.iter().map(|speaker| speaker.party.port).collect();
    for (name, plan) in plans {
        let sources: Vec<_> = ports.iter().zip(plan).map(|(port, hears)| (*port, source(&ports, hears))).collect();
        house.plan(&sources);
        let before: Vec<usize> = ports.iter().map(|port| house.heard_by(*port).len()).collect();
        for _ in 0..60 {
            for (speaker, hz) in speakers.iter_mut().zip(TONES) {
                speaker.speak(&mut house, |rate, from, count| tone(hz, rate, from, count));
            }
            house.advance(ms(20));
        }
        for (listener, codec) in codecs.iter().enumerate() {
            let sent = house.heard_by(ports[listener]).split_off(before[listener]);
            // What a switch leaves behind in coders' memories is over by then.
            let sound = crate::speech::decoded(&sent, *codec);
            let late = &sound[sound.len() / 2..];
            for (speaker, hz) in TONES.into_iter().enumerate() {
                let amplitude = 2.0 * energy_at(late, f64::from(hz), codec.sample_rate()).sqrt();
                if plan[listener].contains(&speaker) {
                    assert!(amplitude > 6000.0, "{codecs:?}, {name}: {listener} hears {speaker} at {amplitude}");
                } else {
                    assert!(amplitude < 150.0, "{codecs:?}, {name}: {listener} must not hear {speaker}: {amplitude}");
                }
            }
        }
    }
    for (codec, port) in codecs.iter().zip(&ports) {
        assert_one_source(&house.heard_by(*port), codec.clock_rate(), ms(45), ms(40));
    }
}

#[test]
fn sixteen_parties_are_mixed_without_clipping_and_a_seventeenth_is_left_out() {
    let mut house = House::new();
    let mut speakers: Vec<Speaker> =
        (1..=18).map(|number| Speaker::new(house.party(number, Codec::Pcmu), 20)).collect();
    let ports: Vec<PortId> = speakers.iter().map(|speaker| speaker.party.port).collect();
    let hz = |index: usize| 300.0 + 150.0 * index as f32;
    house.plan(&[(ports[0], Source::Mix(ports[1..].to_vec()))]);
    for _ in 0..100 {
        for (index, speaker) in speakers.iter_mut().enumerate() {
            speaker.speak(&mut house, |rate, from, count| tone(hz(index), rate, from, count));
        }
        house.advance(ms(20));
    }
    let sound = heard(&house, ports[0], Codec::Pcmu);
    let late = &sound[sound.len() / 2..];
    let clipped = late.iter().filter(|sample| sample.unsigned_abs() > 32_000).count();
    assert_eq!(clipped, 0, "sixteen tones of 8000 are turned down to fit");
    let level = |index: usize| 2.0 * energy_at(late, f64::from(hz(index)), 8000).sqrt();
    for index in 1..=MAX_MIXED {
        assert!(level(index) > 800.0, "party {index} is heard at {}", level(index));
    }
    assert!(level(MAX_MIXED + 1) < 100.0, "one more than can be mixed");
    assert!(level(0) < 100.0, "nobody hears itself");
}

/// Clicks and clipping show as energy where no tone is: everything but the two tones lies far below them, while both come and
/// go at their loudest.
#[test]
fn two_at_their_loudest_are_turned_down_without_clicks() {
    for codec in [Codec::L16At8k, Codec::L16At16k] {
        let mut house = House::new();
        let mut speakers: Vec<Speaker> = (1..=3).map(|number| Speaker::new(house.party(number, codec), 20)).collect();
        let ports: Vec<PortId> = speakers.iter().map(|speaker| speaker.party.port).collect();
        house.plan(&[(ports[0], Source::Mix(vec![ports[1], ports[2]]))]);
        let loud = |hz: f32| {
            move |rate: u32, from: usize, count: usize| {
                let tone = tone(hz, rate, from, count);
                tone.iter().map(|sample| sample.saturating_mul(4)).collect::<Vec<i16>>()
            }
        };
        for _ in 0..150 {
            speakers[1].speak(&mut house, loud(400.0));
            speakers[2].speak(&mut house, loud(710.0));
            house.advance(ms(20));
        }
        let sound = heard(&house, ports[0], codec);
        let rate = codec.sample_rate();
        let late = &sound[sound.len() / 2..][..rate as usize];
        assert!(late.iter().all(|sample| sample.unsigned_abs() < 29_000), "nothing is clipped at {rate}");
        let all: f64 = late.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / late.len() as f64;
        let tones = 2.0 * (energy_at(late, 400.0, rate) + energy_at(late, 710.0, rate));
        let rest = (all - tones).max(1.0);
        assert!(10.0 * (tones / rest).log10() > 26.0, "{tones} of {all} at {rate}");
    }
}

#[test]
fn a_party_that_leaves_is_gone_from_the_mix_and_strangers_never_were_in_it() {
    let mut house = House::new();
    let mut speakers: Vec<Speaker> = (1..=3).map(|number| Speaker::new(house.party(number, Codec::Pcmu), 20)).collect();
    let ports: Vec<PortId> = speakers.iter().map(|speaker| speaker.party.port).collect();
    let stranger = PortId(77);
    house.command(media_relay::Command::Open { port: stranger, call: media_relay::CallKey(9) });
    house.plan(&[(ports[0], Source::Mix(vec![ports[1], ports[2], stranger, ports[0]]))]);
    let mut talk = |house: &mut House, hz: [f32; 3]| {
        for _ in 0..50 {
            for (speaker, hz) in speakers.iter_mut().zip(hz) {
                speaker.speak(house, |rate, from, count| tone(hz, rate, from, count));
            }
            house.advance(ms(20));
        }
    };
    talk(&mut house, [400.0, 700.0, 1100.0]);
    house.command(media_relay::Command::Close { port: ports[2] });
    let before = house.heard_by(ports[0]).len();
    talk(&mut house, [400.0, 700.0, 1100.0]);
    let sound = crate::speech::decoded(&house.heard_by(ports[0])[before..], Codec::Pcmu);
    let late = &sound[sound.len() / 2..];
    assert!(2.0 * energy_at(late, 700.0, 8000).sqrt() > 7000.0);
    assert!(2.0 * energy_at(late, 1100.0, 8000).sqrt() < 100.0);
    assert_one_source(&house.heard_by(ports[0]), 8000, ms(40), ms(25));
}
