//! What one human hears and must do before the bridge.

use crate::{
    AcceptedBy,
    plan::{Playing, Then},
    step::{Step, Timer},
};
use core::time::Duration;
use media_relay::{PortId, Words};
use policy::Accept;
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::sync::Arc;

/// A whisper that has not ended by then has ended.
const LONGEST_WHISPER: Duration = Duration::from_secs(60);

/// The relay has said long before what answered.
const LONGEST_DETECTION: Duration = Duration::from_secs(20);

/// Telling one human, and waiting for their yes.
///
/// ```text
///            clips                  clips over, accept asked
///  answered ────────> Telling ─────────────────────────────────> Deciding ──digit, screen──> accepted
///     │                  │ ╲──digit, screen──> accepted             │
///     │                  │ clips over, nothing asked                │ within
///     │                  └──────> accepted                          └─────> not accepted
///     │ by the AI
///     ├────────> Briefed ──the AI is ready or gone: as when clips are over; digit, screen──> accepted
///     │ nothing to tell, nothing asked
///     └─────> accepted
/// ```
/// Where a machine is listened for, nobody is accepted by their answer alone before it is known that they are none: they wait in
/// `Listening` instead. A machine is given up in every state. The timer is [`Timer::Whisper`]: the guard in `Telling`, `Briefed` and
/// `Listening`, `within` in `Deciding`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whisper {
    accept: Option<Accept>,
    /// It is not known yet whether they are a machine.
    #[serde(default)]
    listens: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Telling {
        clips: SmallVec<[Arc<str>; 2]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        words: Option<Quote>,
        number: u32,
    },
    Briefed,
    Deciding,
    Listening,
    Over,
}

/// What the caller said last, in their own voice.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Quote {
    /// So much of it.
    pub(crate) lasting: Duration,
    /// After so many clips.
    pub(crate) after: usize,
}

/// How a human is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tell {
    Nothing,
    /// By these clips, one after the other, and perhaps what the caller said last among them.
    Clips(SmallVec<[Arc<str>; 2]>, Option<Quote>),
    /// By the AI.
    Ai,
}

/// What a step of it came to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not yet.
    Pending,
    /// The human has the call.
    Accepted(AcceptedBy),
    /// They do not take it.
    NotAccepted,
    /// They are a machine.
    Machine,
}

impl Whisper {
    /// The human of `leg` has answered; `number` is for the player of the clips. `listens`: [`Whisper::answerer`] will say what has.
    pub(crate) fn begin(
        step: &mut Step<'_>,
        leg: LegId,
        tell: Tell,
        (accept, listens): (Option<Accept>, bool),
        number: u32,
    ) -> (Self, Verdict) {
        let state = match tell {
            Tell::Clips(clips, words) => State::Telling { clips, words, number },
            Tell::Ai => State::Briefed,
            Tell::Nothing => {
                let mut whisper = Self { accept, listens, state: State::Over };
                let verdict = whisper.told(step, leg);
                return (whisper, verdict);
            }
        };
        step.arm(Timer::Whisper(leg), LONGEST_WHISPER);
        (Self { accept, listens, state }, Verdict::Pending)
    }

    /// Whether the AI tells this human.
    pub(crate) fn is_briefed(&self) -> bool {
        self.state == State::Briefed
    }

    /// The AI has told them, or is gone.
    pub(crate) fn briefed(&mut self, step: &mut Step<'_>, leg: LegId) -> Verdict {
        if self.is_briefed() { self.told(step, leg) } else { Verdict::Pending }
    }

    /// The clips have been played.
    pub(crate) fn play_done(&mut self, step: &mut Step<'_>, leg: LegId, number: u32) -> Verdict {
        match &self.state {
            State::Telling { number: playing, .. } if *playing == number => self.told(step, leg),
            _ => Verdict::Pending,
        }
    }

    fn told(&mut self, step: &mut Step<'_>, leg: LegId) -> Verdict {
        match &self.accept {
            Some(accept) => {
                step.arm(Timer::Whisper(leg), accept.within);
                self.state = State::Deciding;
                Verdict::Pending
            }
            None if self.listens => {
                step.arm(Timer::Whisper(leg), LONGEST_DETECTION);
                self.state = State::Listening;
                Verdict::Pending
            }
            None => self.over(step, leg, Verdict::Accepted(AcceptedBy::Answer)),
        }
    }

    /// Whether what has answered was to be found out, and nobody has said it.
    pub(crate) fn listens(&self) -> bool {
        self.listens
    }

    /// Whether it matters.
    pub(crate) fn waits_for_answerer(&self) -> bool {
        self.listens && self.state != State::Over
    }

    /// It is known whether a machine has answered, or cannot be.
    pub(crate) fn answerer(&mut self, step: &mut Step<'_>, leg: LegId, machine: bool) -> Verdict {
        self.listens = false;
        match self.state {
            // They have said yes already.
            State::Over => Verdict::Pending,
            _ if machine => self.over(step, leg, Verdict::Machine),
            State::Listening => self.told(step, leg),
            State::Telling { .. } | State::Briefed | State::Deciding => Verdict::Pending,
        }
    }

    /// The human pressed a key.
    pub(crate) fn digit(&mut self, step: &mut Step<'_>, leg: LegId, digit: char) -> Verdict {
        let wanted = self.accept.as_ref().is_some_and(|accept| accept.press.eq_ignore_ascii_case(&digit));
        if wanted && self.state != State::Over {
            return self.over(step, leg, Verdict::Accepted(AcceptedBy::Digit));
        }
        Verdict::Pending
    }

    /// Their screen says yes.
    pub(crate) fn command(&mut self, step: &mut Step<'_>, leg: LegId) -> Verdict {
        self.over(step, leg, Verdict::Accepted(AcceptedBy::Command))
    }

    /// [`Timer::Whisper`] is due.
    pub(crate) fn timeout(&mut self, step: &mut Step<'_>, leg: LegId) -> Verdict {
        match self.state {
            State::Telling { .. } | State::Briefed => self.told(step, leg),
            State::Deciding => self.over(step, leg, Verdict::NotAccepted),
            State::Listening => self.answerer(step, leg, false),
            State::Over => Verdict::Pending,
        }
    }

    fn over(&mut self, step: &mut Step<'_>, leg: LegId, verdict: Verdict) -> Verdict {
        step.disarm(Timer::Whisper(leg));
        self.state = State::Over;
        verdict
    }

    /// What the human hears now.
    pub(crate) fn hears(&self, caller: Option<PortId>) -> Option<Playing> {
        match &self.state {
            State::Telling { clips, words, number } => {
                let words =
                    words.zip(caller).map(|(quote, of)| Words { of, lasting: quote.lasting, after: quote.after });
                Some(Playing { number: *number, first: clips.clone(), words, then: Then::Silence })
            }
            _ => None,
        }
    }
}
