//! The set: what may be heard after an answer, by kinds, each of any number of samples by their seeds.

use super::line::Line;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// "Hello?", a name, a name and a greeting: one to five syllables, then they wait; many say it once more.
    Person,
    /// The same in a car or a workshop: steady noise, 12 to 25 dB below their voice.
    PersonInNoise,
    /// Two or three words with pauses of up to half a second between them.
    SlowPerson,
    /// A company, a name, and how they can help: nine to fourteen syllables.
    PersonAtWork,
    /// A word or two among others who talk on.
    PersonAmongPeople,
    /// A greeting of two sentences and more, pauses between them, most of them with a beep.
    Mailbox,
    /// The same behind a bad line.
    MailboxInNoise,
    /// A word, a pause of more than 900 ms, then the greeting.
    MailboxThatWaits,
    /// The network's own: with or without three tones before it, over and over.
    Announcement,
    /// Nothing, steady noise, ringing.
    Nobody,
}

impl Kind {
    /// As the table of the documentation has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Person => "a person: a word, a name, a greeting",
            Self::PersonInNoise => "the same in steady noise, 12 to 25 dB below their voice",
            Self::SlowPerson => "a person who speaks slowly, with pauses up to half a second",
            Self::PersonAtWork => "a person with a sentence: company, name, how they can help",
            Self::PersonAmongPeople => "a person among others who talk on",
            Self::Mailbox => "a mailbox: two sentences and more, most with a beep",
            Self::MailboxInNoise => "the same in steady noise",
            Self::MailboxThatWaits => "a mailbox that says a word, waits a second, and goes on",
            Self::Announcement => "an announcement of the network, with and without its tones",
            Self::Nobody => "nobody: silence, noise, ringing",
        }
    }
}

pub(super) fn sample(kind: Kind, seed: u64) -> Vec<i16> {
    let seed = seed * 31 + kind as u64;
    let mut chance = StdRng::seed_from_u64(seed);
    let level = chance.random_range(-30.0_f32..-14.0);
    let quiet_line = [-75.0, -65.0, -60.0, -55.0][chance.random_range(0..4)];
    let noisy_line = level - chance.random_range(12.0_f32..25.0);
    let among = matches!(kind, Kind::PersonInNoise | Kind::MailboxInNoise);
    let mut line = Line::new(seed, if among { noisy_line } else { quiet_line });
    match kind {
        Kind::Person | Kind::PersonInNoise => {
            line.quiet(chance.random_range(100..1_600)).speech(chance.random_range(1..6), level);
            line.quiet(chance.random_range(1_200..4_000)).speech(2, level).quiet(6_000);
        }
        Kind::SlowPerson => {
            line.quiet(chance.random_range(200..1_500));
            for _ in 0..chance.random_range(2..4) {
                line.speech(chance.random_range(1..3), level).quiet(chance.random_range(200..500));
            }
            line.quiet(6_000);
        }
        Kind::PersonAtWork => {
            line.quiet(chance.random_range(200..800)).sentence(chance.random_range(9..15), level).quiet(6_000);
        }
        Kind::PersonAmongPeople => {
            line.quiet(chance.random_range(200..1_000)).speech(chance.random_range(1..6), level).quiet(6_000);
            let mut others = Line::new(seed + 7_777, -80.0);
            while others.ms() < line.ms() {
                others.sentence(6, level - chance.random_range(3.0_f32..12.0));
                others.quiet(chance.random_range(100..600));
            }
            line.among(others);
        }
        Kind::Mailbox | Kind::MailboxInNoise => {
            line.quiet(chance.random_range(200..1_500));
            for _ in 0..chance.random_range(2..5) {
                line.sentence(chance.random_range(8..18), level).quiet(chance.random_range(150..600));
            }
            if chance.random_bool(0.85) {
                let hz = [620.0, 850.0, 1_000.0, 1_400.0][chance.random_range(0..4)];
                line.tone(hz, chance.random_range(200..1_000), level + 5.0);
            }
            line.quiet(6_000);
        }
        Kind::MailboxThatWaits => {
            line.quiet(chance.random_range(200..800)).speech(2, level).quiet(chance.random_range(900..1_800));
            line.sentence(20, level).quiet(400).tone(1_000.0, 500, level + 5.0).quiet(6_000);
        }
        Kind::Announcement => {
            line.quiet(chance.random_range(100..2_000));
            if chance.random_bool(0.5) {
                for hz in [950.0, 1_400.0, 1_800.0] {
                    line.tone(hz, 330, level);
                }
                line.quiet(200);
            }
            for _ in 0..2 {
                line.sentence(chance.random_range(12..24), level).quiet(chance.random_range(300..900));
            }
            line.quiet(6_000);
        }
        Kind::Nobody => match chance.random_range(0..3) {
            0 => {
                line.quiet(9_000);
            }
            1 => {
                line = Line::new(seed, chance.random_range(-45.0_f32..-30.0));
                line.quiet(9_000);
            }
            _ => {
                let (first, second) = [(425.0, 425.0), (440.0, 480.0), (400.0, 450.0)][chance.random_range(0..3)];
                for _ in 0..4 {
                    line.tones(first, second, 1_000, -18.0).quiet(1_500);
                }
            }
        },
    }
    line.samples()
}
