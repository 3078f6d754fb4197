//! Where audio is decoded: loss is concealed, jitter is held back, the peer's clock is followed. The figures are printed
//! (`cargo nextest run -p media-relay loss --no-capture`) and stand in docs/bench.md.

use crate::{
    house::{House, assert_one_source},
    speech::{Speaker, correlation, decoded, ms, narrow, voice},
};
use media_relay::{Codec, Source};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::time::Duration;

/// Loses `percent` of packets in bursts of two on average (Gilbert's model).
struct Bursts {
    chance: StdRng,
    losing: bool,
    begin: f64,
}

impl Bursts {
    fn new(percent: f64) -> Self {
        let share = percent / 100.0;
        Self { chance: StdRng::seed_from_u64(3), losing: false, begin: 0.5 * share / (1.0 - share) }
    }

    fn loses(&mut self) -> bool {
        let turn = if self.losing { 0.5 } else { self.begin };
        if self.chance.random_bool(turn) {
            self.losing = !self.losing;
        }
        self.losing
    }
}

/// What a listener in L16 hears of 12 s of voice in `codec` with packets lost; `silent` stands silence in for what is lost,
/// for comparison.
fn heard_with_loss(codec: Codec, percent: f64, silent: bool) -> Vec<i16> {
    let mut house = House::new();
    let (a, b) = (house.party(1, codec), house.party(2, Codec::L16At16k));
    house.plan(&[(b.port, Source::Port(a.port))]);
    let (mut a, mut bursts) = (Speaker::new(a, 20), Bursts::new(percent));
    let mut muted = Speaker::new(a.party.clone(), 20);
    for n in 0..600 {
        let lost = bursts.loses() && n > 20;
        let (packet, hush) = (a.packet(voice), muted.packet(|_, _, count| vec![0; count]));
        match (lost, silent) {
            (false, _) => house.receive(a.party.port, a.party.address, &packet),
            (true, true) => house.receive(a.party.port, a.party.address, &hush),
            (true, false) => {}
        }
        house.advance(ms(20));
    }
    narrow(&decoded(&house.heard_by(b.port), Codec::L16At16k), 16_000)
}

/// The mean over frames of 20 ms of the ratio of signal to error, each within -10 and 35 dB, where there is signal.
fn segmental_snr(truth: &[i16], heard: &[i16]) -> f64 {
    let mut all = Vec::new();
    for (was, is) in truth.chunks_exact(160).zip(heard.chunks_exact(160)) {
        let signal: f64 = was.iter().map(|s| f64::from(*s).powi(2)).sum();
        let error: f64 = was.iter().zip(is).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        if signal > 160.0 * 10_737.0 {
            all.push((10.0 * (signal / error.max(1.0)).log10()).clamp(-10.0, 35.0));
        }
    }
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

#[test]
fn loss_in_bursts_is_concealed_better_than_by_silence() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let clean = heard_with_loss(codec, 0.0, false);
        for percent in [1.0, 5.0, 10.0] {
            let concealed = heard_with_loss(codec, percent, false);
            let hushed = heard_with_loss(codec, percent, true);
            // Second by second, each where it fits best: the delay may have changed by a period of the pitch.
            let figures = |heard: &[i16]| {
                let seconds = 1..(heard.len().min(clean.len()) / 8000 - 1);
                let all: Vec<(f64, f64)> = seconds
                    .map(|second| {
                        let (truth, from) = (&clean[second * 8000..][..8000], second * 8000 - 240);
                        let (alike, lag) = correlation(truth, &heard[from..], 480);
                        (alike, segmental_snr(truth, &heard[from + lag..]))
                    })
                    .collect();
                let mean = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
                (mean(|figure| figure.0), mean(|figure| figure.1))
            };
            let ((alike, snr), (alike_hushed, snr_hushed)) = (figures(&concealed), figures(&hushed));
            println!(
                "{codec:?}, {percent} % lost in bursts: correlation {alike:.3} (silence {alike_hushed:.3}), \
                 segmental SNR {snr:.1} dB (silence {snr_hushed:.1} dB)"
            );
            assert!(alike >= 1.0 - 0.03 * percent, "{codec:?}, {percent} %: {alike:.3}");
            assert!(alike > alike_hushed - 0.005, "{codec:?}, {percent} %: {alike:.3}, silence {alike_hushed:.3}");
        }
    }
}

/// Packets of 20 ms that each come up to `jitter` late, in order or not.
fn with_jitter(jitter_ms: u32, seconds: u32) -> (House, Vec<i16>) {
    let mut house = House::new();
    let (a, b) = (house.party(1, Codec::G722), house.party(2, Codec::Pcma));
    house.plan(&[(b.port, Source::Port(a.port))]);
    let (mut a, mut chance) = (Speaker::new(a, 20), StdRng::seed_from_u64(11));
    let mut under_way: Vec<(u32, Vec<u8>)> = Vec::new();
    for at in 0..seconds * 1000 {
        if at % 20 == 0 {
            let late = if jitter_ms == 0 { 0 } else { chance.random_range(0..jitter_ms) };
            under_way.push((at + late, a.packet(voice)));
        }
        under_way.retain(|(due, packet)| {
            if *due <= at {
                house.receive(a.party.port, a.party.address, packet);
            }
            *due > at
        });
        house.advance(ms(1));
    }
    assert_one_source(&house.heard_by(b.port), 8000, ms(20), ms(1));
    let sound = decoded(&house.heard_by(b.port), Codec::Pcma);
    (house, sound)
}

#[test]
fn jitter_is_held_back_and_no_longer_than_it_must_be() {
    for (jitter, most_late) in [(0, 80), (20, 110), (60, 170)] {
        let (_, sound) = with_jitter(jitter, 12);
        // The last two seconds: by then it has adapted.
        let truth = voice(8000, 80_000, 8000);
        let (alike, lag) = correlation(&truth, &sound[80_000..], 8000);
        println!("jitter of up to {jitter} ms: {} ms late, correlation {alike:.3}", lag / 8);
        assert!(alike > 0.9, "jitter {jitter} ms: {alike:.3}");
        assert!(lag / 8 <= most_late, "jitter {jitter} ms: {} ms late", lag / 8);
    }
}

/// Story: a phone whose clock ran 0.5 % fast was heard two seconds late after seven minutes.
#[test]
fn a_peer_whose_clock_runs_fast_or_slow_is_followed_without_growing_delay() {
    for (length_us, name) in [(19_900u64, "0.5 % fast"), (20_100, "0.5 % slow"), (20_000, "even")] {
        let mut house = House::new();
        let (a, b) = (house.party(1, Codec::Pcmu), house.party(2, Codec::G722));
        house.plan(&[(b.port, Source::Port(a.port))]);
        let mut a = Speaker::new(a, 20);
        let packets = 60_000_000 / length_us;
        for _ in 0..packets {
            a.speak(&mut house, voice);
            house.advance(Duration::from_micros(length_us));
        }
        let sound = narrow(&decoded(&house.heard_by(b.port), Codec::G722), 16_000);
        assert_one_source(&house.heard_by(b.port), 8000, ms(21), ms(1));
        // What was said last is heard within the bound of delay.
        let said = usize::try_from(packets).unwrap() * 160;
        let truth = voice(8000, said - 6000, 4000);
        let from = sound.len() - 8000;
        let (alike, lag) = correlation(&truth, &sound[from..], 3999);
        let late = (from + lag).cast_signed() - (sound.len() - 6000).cast_signed();
        println!("{name}: {} ms late after a minute, correlation {alike:.3}", late / 8);
        assert!(alike > 0.9, "{name}: {alike:.3}");
        assert!((0..=120 * 8).contains(&late), "{name}: {} ms late", late / 8);
    }
}

/// A pause of a peer that suppresses silence is filled with the noise it announced, and costs no delay.
#[test]
fn rfc3389_comfort_noise_fills_a_pause() {
    let mut house = House::new();
    let (a, b) = (house.party(1, Codec::Pcmu), house.party(2, Codec::G722));
    house.plan(&[(b.port, Source::Port(a.port))]);
    let mut a = Speaker::new(a, 20);
    let mut say = |house: &mut House, packets: u32| {
        for _ in 0..packets {
            a.speak(house, voice);
            house.advance(ms(20));
        }
        (a.party.port, a.party.address, a.party.sequence, a.party.timestamp, a.party.ssrc)
    };
    let (port, address, sequence, timestamp, ssrc) = say(&mut house, 50);
    house.receive(port, address, &crate::house::raw(13, false, sequence, timestamp, ssrc, &[45]));
    let before = house.heard_by(b.port).len();
    house.advance(ms(1500));
    let sound = decoded(&house.heard_by(b.port), Codec::G722);
    let pause = &sound[(before + 10) * 320..];
    let power = pause.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / pause.len() as f64;
    let dbov = 10.0 * (power / (32_768.0 * 32_768.0)).log10();
    assert!((-49.0..-41.0).contains(&dbov), "{dbov} dBov of noise, -45 was announced");
    assert_one_source(&house.heard_by(b.port), 8000, ms(20), ms(1));
}

/// Row 22 of the faults: stopped for ten seconds, the daemon says nothing old when it wakes.
#[test]
fn ten_seconds_of_stop_leave_no_old_audio_and_no_burst() {
    let mut house = House::new();
    let (a, b) = (house.party(1, Codec::Pcmu), house.party(2, Codec::Opus));
    house.plan(&[(b.port, Source::Port(a.port))]);
    let mut a = Speaker::new(a, 20);
    for _ in 0..100 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    house.stop_for(Duration::from_secs(10));
    let before = house.heard_by(b.port).len();
    for _ in 0..500 {
        let packet = a.packet(voice);
        house.receive_aged(a.party.port, a.party.address, &packet, media_relay::Age::Stale);
    }
    house.wake();
    for _ in 0..100 {
        a.speak(&mut house, voice);
        house.advance(ms(20));
    }
    let sent = house.heard_by(b.port).split_off(before);
    assert!(sent.len() <= 100 + 10, "{} packets in two seconds", sent.len());
    let sound = narrow(&decoded(&sent, Codec::Opus), 16_000);
    let (alike, lag) = correlation(&voice(8000, 600 * 160 + 1600, 8000), &sound, 4000);
    assert!(alike > 0.9 && lag < 1600 + 8 * 100, "{alike:.3} at {} ms", lag / 8);
}
