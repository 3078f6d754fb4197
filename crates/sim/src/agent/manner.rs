//! How a party takes a call: what it does until its answer, and after.

use super::Habits;
use crate::{chance::Chance, paper::Voice};
use std::time::Duration;

/// Something a party can do in a leg.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A provisional response, with early media or without.
    Ring {
        status: u16,
        session: bool,
    },
    Answer,
    Refuse(u16),
    /// CANCEL, BYE or a refusal, by the leg's state.
    HangUp,
    /// A key as telephone-events.
    Press(char),
    /// A key in an INFO.
    Info(char),
    /// Re-INVITE, sendonly.
    Hold,
    /// Re-INVITE, sendrecv.
    Resume,
    /// Re-INVITE without an offer.
    Ask,
    /// UPDATE with an offer.
    Update,
    /// REFER to this URI; quiet: nothing is to be told of the outcome.
    Refer {
        to: &'static str,
        quiet: bool,
    },
    /// REFER that joins this leg's other party with that of another leg.
    Join,
    Voice(Voice),
}

/// A leg's script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// From the INVITE on.
    pub(crate) before: Vec<(Duration, Act)>,
    /// From the answer on.
    pub(crate) after: Vec<(Duration, Act)>,
    pub(crate) voice: Voice,
    /// The user that an INVITE of theirs comes from, where it is not the usual one.
    pub(crate) from: Option<&'static str>,
    /// Sends 100.
    pub(crate) trying: bool,
    /// Never hears an INVITE.
    pub(crate) deaf: bool,
    /// A CANCEL crosses its 200.
    pub(crate) answers_cancel: bool,
    /// A second branch of a fork answers too, so long after the INVITE.
    pub(crate) fork: Option<Duration>,
    pub(crate) habits: Habits,
    /// Shows another password than ours where it is asked for one.
    pub(crate) wrong_password: bool,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ai,
    Human,
}

impl Manner {
    /// A called party's script: what `../faults`' rows 14, 16 and 17 name, well-behaved in one of two.
    pub(crate) fn by_chance(kind: Kind, chance: &mut Chance) -> Self {
        let mut manner = Self { voice: Voice::Talks, trying: chance.percent(50), ..Self::default() };
        manner.ring(chance);
        let patience = match kind {
            Kind::Ai => chance.ms(0, 1_500),
            Kind::Human => chance.ms(200, 12_000),
        };
        let odd = chance.below(100);
        let end = match odd {
            0..12 => Some(Act::Refuse(chance.pick(&[486, 600, 480, 603, 404, 408, 500, 503, 302, 488, 401]))),
            12..17 => None,
            _ => Some(Act::Answer),
        };
        manner.before.extend(end.map(|end| (patience, end)));
        match odd {
            15..17 => manner.deaf = true,
            17..22 => manner.answers_cancel = true,
            22..27 => manner.fork = Some(patience + chance.ms(0, 400)),
            27..32 => manner.voice = chance.pick(&[Voice::Gone, Voice::Hushed]),
            // BYE right behind the 200, before its ACK (RFC 5407, section 3.1.2).
            32..36 => manner.after.push((chance.ms(0, 60), Act::HangUp)),
            36..50 => manner.after.push((chance.ms(0, 20_000), Act::HangUp)),
            50..60 => manner.change(chance),
            _ => {}
        }
        if kind == Kind::Human && chance.percent(70) {
            manner.key(chance);
        }
        manner
    }

    /// 180, 183 with early media, 183 then 180, or nothing.
    fn ring(&mut self, chance: &mut Chance) {
        let at = chance.ms(0, 300);
        let ring = |status, session| Act::Ring { status, session };
        match chance.below(8) {
            0 => {}
            1 => self.before.push((at, ring(183, true))),
            2 => self.before.extend([(at, ring(183, true)), (at + chance.ms(0, 300), ring(180, false))]),
            3 => self.before.extend([(at, ring(180, false)), (at + chance.ms(0, 300), ring(183, true))]),
            _ => self.before.push((at, ring(180, false))),
        }
    }

    /// Hold, resume, UPDATE, re-INVITE without an offer: two of them, close together or right behind the answer.
    fn change(&mut self, chance: &mut Chance) {
        let at = if chance.percent(30) { chance.ms(0, 100) } else { chance.ms(500, 15_000) };
        let what = [Act::Hold, Act::Resume, Act::Ask, Act::Update];
        self.after.push((at, chance.pick(&what)));
        self.after.push((at + chance.ms(0, 4_000), chance.pick(&what)));
        self.after.push((at + chance.ms(4_000, 8_000), Act::Resume));
    }

    /// Takes the call by its key, perhaps by another key first, perhaps while it is told what for.
    fn key(&mut self, chance: &mut Chance) {
        let at = chance.ms(100, 8_000);
        if chance.percent(20) {
            self.after.push((at.saturating_sub(Duration::from_millis(90)), Act::Press('5')));
        }
        let key = if chance.percent(20) { Act::Info('1') } else { Act::Press('1') };
        self.after.push((at, key));
    }
}
