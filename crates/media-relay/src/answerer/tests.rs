//! How it judges, one by one, and how often it is right, on a set that is made here from seeds: people, machines, and what is neither.

mod line;
mod set;

use super::{Answerer, Because, Detection, Detector, Finding};
use crate::Codec;
use line::Line;
use set::{Kind, sample};
use std::time::Duration;

/// What is found out, as it comes through a telephone network.
fn finding_by(detection: Detection, samples: &[i16]) -> Option<Finding> {
    let mut detector = Detector::new(detection);
    samples.iter().find_map(|sample| detector.hear(Codec::Pcma.decode(Codec::Pcma.encode(*sample))))
}

fn finding(samples: &[i16]) -> Finding {
    finding_by(Detection::default(), samples).expect("it is found out, or out of time")
}

fn who(samples: &[i16]) -> (Answerer, Because) {
    let found = finding(samples);
    (found.answerer, found.because)
}

fn ms(found: Finding) -> u128 {
    found.after.as_millis()
}

const SOMEBODY: (Answerer, Because) = (Answerer::Human, Because::ShortGreeting);
const NOBODY: (Answerer, Because) = (Answerer::Unknown, Because::NothingSaid);

#[test]
fn a_word_and_silence_is_somebody_and_is_known_when_the_silence_has_lasted() {
    let mut line = Line::new(1, -70.0);
    line.quiet(500).speech(2, -20.0);
    let spoken = u128::from(line.ms());
    line.quiet(4_000);
    let found = finding(&line.samples());
    assert_eq!((found.answerer, found.because), SOMEBODY);
    // A syllable fades, and a frame is 20 ms.
    assert!(
        (spoken + 600..spoken + 900).contains(&ms(found)),
        "spoken until {spoken} ms, known after {} ms",
        ms(found)
    );
}

#[test]
fn a_greeting_that_goes_on_is_a_machine_and_is_known_before_it_ends() {
    let mut line = Line::new(3, -60.0);
    line.quiet(400);
    while line.ms() < 8_000 {
        line.sentence(6, -22.0);
    }
    let found = finding(&line.samples());
    assert_eq!((found.answerer, found.because), (Answerer::Machine, Because::LongGreeting));
    assert!((2_200..3_200).contains(&ms(found)), "{found:?}");
}

#[test]
fn a_beep_is_a_machine_whatever_was_said_before_it() {
    for hz in [620.0, 850.0, 1_000.0, 1_400.0, 2_000.0] {
        let mut line = Line::new(4, -60.0);
        line.quiet(800).tone(hz, 400, -15.0).quiet(3_000);
        let found = finding(&line.samples());
        assert_eq!((found.answerer, found.because), (Answerer::Machine, Because::Beep), "{hz} Hz");
        assert!((900..1_200).contains(&ms(found)), "{hz} Hz: {found:?}");
        let mut line = Line::new(5, -60.0);
        line.quiet(300).speech(2, -22.0).quiet(300).tone(hz, 400, -15.0).quiet(3_000);
        assert_eq!(who(&line.samples()), (Answerer::Machine, Because::Beep), "{hz} Hz after a word");
    }
    // Short ones are keys, or nothing.
    let mut line = Line::new(6, -60.0);
    line.quiet(800).tone(1_000.0, 90, -15.0).quiet(5_000);
    assert_ne!(who(&line.samples()).0, Answerer::Machine);
}

#[test]
fn the_tones_by_which_a_network_says_that_a_number_is_none_are_a_machines() {
    // ITU-T E.180: three tones of a third of a second.
    let mut line = Line::new(7, -60.0);
    line.quiet(300).tone(950.0, 330, -18.0).tone(1_400.0, 330, -18.0).tone(1_800.0, 330, -18.0).quiet(1_000);
    assert_eq!(who(&line.samples()), (Answerer::Machine, Because::Beep));
}

#[test]
fn silence_noise_at_any_level_and_ringing_are_nobody() {
    for level in [-80.0, -60.0, -50.0, -40.0, -35.0, -30.0] {
        let mut line = Line::new(8, level);
        line.quiet(8_000);
        assert_eq!(who(&line.samples()), NOBODY, "noise at {level} dBov");
    }
    // Ringing of Europe, North America and Britain (ITU-T E.180, supplement 2).
    for (first, second) in [(425.0, 425.0), (440.0, 480.0), (400.0, 450.0)] {
        let mut line = Line::new(9, -60.0);
        for _ in 0..3 {
            line.tones(first, second, 1_000, -18.0).quiet(2_000);
        }
        assert_eq!(who(&line.samples()), NOBODY, "ringing at {first} and {second} Hz");
    }
    assert_eq!(who(&vec![0; 80_000]), NOBODY);
}

#[test]
fn clicks_are_no_words() {
    let mut line = Line::new(10, -65.0);
    for _ in 0..6 {
        line.quiet(400).tones(900.0, 1_700.0, 15, -15.0);
    }
    line.quiet(4_000);
    assert_eq!(who(&line.samples()).0, Answerer::Unknown);
}

#[test]
fn every_bound_is_the_operators() {
    let (detection, at) = (Detection::default(), Duration::from_millis);
    let mut line = Line::new(11, -70.0);
    line.quiet(300).speech(2, -20.0).quiet(500).speech(3, -20.0).quiet(500).speech(2, -20.0).quiet(6_000);
    let samples = line.samples();
    let by = |detection| finding_by(detection, &samples).map(|found| (found.answerer, found.because));
    assert_eq!(by(detection), Some((Answerer::Machine, Because::LongGreeting)));
    assert_eq!(by(Detection { longest_greeting: at(4_000), ..detection }), Some(SOMEBODY));
    assert_eq!(by(Detection { silence_after: at(350), ..detection }), Some(SOMEBODY), "the first pause is enough");
    let words = Detection { longest_greeting: at(5_000), most_words: 2, ..detection };
    assert_eq!(by(words), Some((Answerer::Machine, Because::ManyWords)));
    let soon = Detection { within: at(900), ..detection };
    assert_eq!(by(soon), Some((Answerer::Unknown, Because::OutOfTime)));
    let mut line = Line::new(12, -70.0);
    line.quiet(9_000);
    let found = finding_by(Detection { initial_silence: at(1_000), ..detection }, &line.samples());
    assert_eq!(found.map(|found| found.after), Some(at(1_000)));
}

#[test]
fn whatever_is_heard_something_is_found_out_in_time() {
    let mut line = Line::new(13, -20.0);
    for _ in 0..200 {
        line.quiet(130).tones(300.0, 1_900.0, 50, -15.0);
    }
    let found = finding(&line.samples());
    assert!(found.after <= Detection::default().within, "{found:?}");
}

// ---- how often it is right

/// How a kind was judged, in percent, and how long that took.
#[derive(Debug)]
struct Rate {
    kind: Kind,
    human: f64,
    machine: f64,
    unknown: f64,
    mean: Duration,
    slowest: Duration,
}

const EACH: u32 = 200;

fn rate(kind: Kind) -> Rate {
    let (mut human, mut machine, mut unknown) = (0_u32, 0_u32, 0_u32);
    let (mut total, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for seed in 0..EACH {
        let found = finding(&sample(kind, seed.into()));
        *match found.answerer {
            Answerer::Human => &mut human,
            Answerer::Machine => &mut machine,
            Answerer::Unknown => &mut unknown,
        } += 1;
        slowest = slowest.max(found.after);
        total += found.after;
    }
    let percent = |count: u32| f64::from(count) * 100.0 / f64::from(EACH);
    let rate = Rate {
        kind,
        human: percent(human),
        machine: percent(machine),
        unknown: percent(unknown),
        mean: total / EACH,
        slowest,
    };
    println!(
        "| {} | {:.1} | {:.1} | {:.1} | {:.1} s | {:.1} s |",
        kind.name(),
        rate.human,
        rate.machine,
        rate.unknown,
        rate.mean.as_secs_f64(),
        rate.slowest.as_secs_f64()
    );
    rate
}

/// The figures stand in docs/outbound.md. Each kind in a test of its own, that they run side by side.
fn judged(kind: Kind, holds: impl Fn(&Rate) -> bool) {
    let rate = rate(kind);
    assert!(holds(&rate), "{}: {rate:?}", rate.kind.name());
}

#[test]
fn people_who_say_a_word_or_a_name_are_people() {
    judged(Kind::Person, |rate| rate.human >= 95.0 && rate.machine <= 2.0);
}

#[test]
fn people_in_noise_are_people() {
    judged(Kind::PersonInNoise, |rate| rate.human >= 90.0 && rate.machine <= 5.0);
}

#[test]
fn people_who_speak_slowly_are_people() {
    judged(Kind::SlowPerson, |rate| rate.human >= 75.0 && rate.machine <= 25.0);
}

#[test]
fn mailboxes_are_machines() {
    judged(Kind::Mailbox, |rate| rate.machine >= 97.0 && rate.human <= 3.0);
}

#[test]
fn mailboxes_in_noise_are_machines() {
    judged(Kind::MailboxInNoise, |rate| rate.machine >= 95.0 && rate.human <= 5.0);
}

#[test]
fn announcements_of_the_network_are_machines() {
    judged(Kind::Announcement, |rate| rate.machine >= 97.0 && rate.human <= 3.0);
}

#[test]
fn nobody_is_neither() {
    judged(Kind::Nobody, |rate| rate.human <= 1.0 && rate.machine <= 1.0);
}

/// Were it better one day, the documentation would have to say so.
#[test]
fn what_it_cannot_do() {
    judged(Kind::PersonAtWork, |rate| rate.machine >= 30.0);
    judged(Kind::MailboxThatWaits, |rate| rate.human >= 50.0);
    judged(Kind::PersonAmongPeople, |rate| rate.human <= 80.0);
}
