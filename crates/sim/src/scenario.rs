//! A world's bad day, drawn from its seed: the weather, who calls when, and what happens at the worst moment (RFC 5407, and the
//! races that cost a caller the most).

mod rich;
mod whole;
mod wide;

use crate::{
    agent::{Act, Manner},
    chance::Chance,
    network::{Spoil, Weather},
    paper::Voice,
    premises::{DESTINATIONS, NOBODY, PARTIES},
};
use calls::SuperviseMode;
use std::time::Duration;

/// What happens in a world.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Calls and transfers in the plain traffic of RFC 3261.
    Plain,
    /// Parties speak all of their extensions; REFER and Replaces.
    Rich,
    /// All that, and everything that a caller can meet: queues, mailboxes, callbacks, messages, whispers, introductions, co-pilots,
    /// supervisors, recordings, consent.
    Whole,
    /// All that, and calls that are placed for whoever asks, agents whose phones tell of their other calls, and a trunk that shows a
    /// password.
    Wide,
}

impl Traffic {
    /// All of them.
    pub const ALL: [(Self, &str); 4] =
        [(Self::Plain, "plain"), (Self::Rich, "rich"), (Self::Whole, "whole"), (Self::Wide, "wide")];

    /// With everything that a caller can meet.
    pub(crate) const fn is_whole(self) -> bool {
        matches!(self, Self::Whole | Self::Wide)
    }
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) weather: Weather,
    pub(crate) config: usize,
    pub(crate) rules: usize,
    pub(crate) calls: Vec<CallPlan>,
    /// What happens in calls by which the daemon calls somebody back, one after the other.
    pub(crate) placed: Vec<CallPlan>,
    /// What the one name resolves to.
    pub(crate) named: &'static [&'static str],
    /// Which session timer the daemon has.
    pub(crate) timers: usize,
    /// How a party's first calls are taken; the others by chance.
    pub(crate) manners: Vec<(&'static str, Manner)>,
    /// Calls that are asked for through the control API.
    pub(crate) errands: Vec<Errand>,
    /// The trunk must show a password for each call that it brings.
    pub(crate) gated: bool,
    /// Agents' phones are asked to tell which calls they have.
    pub(crate) watched: bool,
    /// Whoever asks for a transfer or a call waits for its outcome.
    pub(crate) waits: bool,
}

/// A call that somebody asks for.
#[derive(Debug)]
pub(crate) struct Errand {
    /// When; all but the first are repetitions, with the same idempotency key.
    pub(crate) asked: Vec<Duration>,
    /// Who is called; nobody else is called by this number.
    pub(crate) number: &'static str,
    /// The destination that gets them; none: an AI.
    pub(crate) connect: Option<&'static str>,
    /// The AI is dialled while their phone rings.
    pub(crate) predial: Option<bool>,
    pub(crate) campaign: bool,
    pub(crate) ring_timeout: Duration,
    /// What happens in the call, until it has begun.
    pub(crate) plan: Option<CallPlan>,
}

/// One call.
#[derive(Debug)]
pub(crate) struct CallPlan {
    pub(crate) starts: Duration,
    /// The INVITE carries an offer.
    pub(crate) session: bool,
    /// Who calls; none: who does not want to be known.
    pub(crate) number: Option<&'static str>,
    pub(crate) manner: Manner,
    pub(crate) cues: Vec<Cue>,
}

/// When this happens for the `nth` time in the call, do that so much later.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Cue {
    pub(crate) when: When,
    pub(crate) nth: u32,
    pub(crate) delay: Duration,
    pub(crate) deed: Deed,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The call's INVITE left.
    Placed,
    /// A public event of that name.
    Told(&'static str),
    /// An AI, a human, was rung.
    AiInvited,
    HumanInvited,
    /// They sent their 200.
    AiAnswered,
    HumanAnswered,
}

#[derive(Copy, Clone, Debug)]
pub(crate) enum Deed {
    Caller(Act),
    Ai(Act),
    Human(Act),
    Supervisor(Act),
    Ask(Ask),
    Spoil(Spoil, u32),
    /// Cuts the party of that name off for so long.
    Cut(&'static str, Duration),
    /// Another phone asks to take the place of a leg (RFC 3891), over already or not.
    Replace(Whose),
    /// The agent whose phone is at the party of that name is on a call of their own, or no longer.
    Elsewhere(&'static str, bool),
}

/// Whose leg is to be replaced, and by whom: the caller's side by itself, a human by the third phone.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Caller,
    Human,
    /// A human's that is over.
    Ended,
}

/// Through the control API.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Transfer {
        to: &'static str,
        cold: bool,
    },
    /// As the destination says.
    To(&'static str),
    /// An event of the AI's, as JSON.
    Post(&'static str),
    Supervise {
        to: &'static str,
        mode: SuperviseMode,
    },
    /// The latest supervisor is heard otherwise, or hung up on.
    Mode(SuperviseMode),
    EndSupervisor,
    Recording(calls::RecordingAction),
    /// Of the callback that was asked for last.
    Callback(Back),
    /// An agent says how they stand.
    Presence(&'static str, calls::Presence),
    CancelTransfer,
    Accept,
    Decline,
    Miss,
    Handback,
    HangUp,
    Context,
}

/// What is done with a callback.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    Claim(&'static str),
    Release,
    Dial(&'static str),
    /// By whoever has claimed it.
    DialOwn,
    Done,
}

/// Who calls.
pub(crate) const NUMBERS: [&str; 4] = ["+493055512345", "+493055512346", "+493055512347", "+493055512348"];

/// The moments of a call at which somebody may leave.
const MOMENTS: [When; 16] = [
    When::Told("call.started"),
    When::Told("call.answered"),
    When::Told("ai.connected"),
    When::Told("ai.lost"),
    When::Told("transfer.started"),
    When::Told("ai.muted"),
    When::Told("agent.offered"),
    When::Told("agent.ringing"),
    When::Told("agent.answered"),
    When::Told("whisper.started"),
    When::Told("agent.accepted"),
    When::Told("transfer.bridged"),
    When::Told("transfer.failed"),
    When::AiAnswered,
    When::HumanInvited,
    When::HumanAnswered,
];

impl Scenario {
    pub(crate) fn of(chance: &mut Chance, weather: Weather, traffic: Traffic) -> Self {
        let calls = match chance.below(10) {
            0 => 3,
            1 => 2,
            _ => 1,
        };
        let config = usize::try_from(chance.below(4)).unwrap_or(0);
        let named: &[&[&str]] = &[&[], &[PARTIES[5].1], &[PARTIES[5].1], &[NOBODY, PARTIES[5].1]];
        let named = chance.pick(named);
        let calls = (0..calls).map(|_| CallPlan::of(chance)).collect();
        let mut scenario = Self {
            weather,
            config,
            rules: 0,
            named,
            calls,
            placed: Vec::new(),
            timers: 0,
            manners: Vec::new(),
            errands: Vec::new(),
            gated: false,
            watched: false,
            waits: false,
        };
        if traffic != Traffic::Plain {
            scenario.enrich(&mut chance.branch());
        }
        if traffic.is_whole() {
            scenario.complete(&mut chance.branch());
        }
        if traffic == Traffic::Wide {
            scenario.widen(&mut chance.branch());
        }
        scenario
    }
}

impl CallPlan {
    fn of(chance: &mut Chance) -> Self {
        let voice = if chance.percent(90) { Voice::Talks } else { chance.pick(&[Voice::Gone, Voice::Hushed]) };
        let mut plan = Self {
            starts: chance.ms(0, 3_000),
            session: chance.percent(88),
            number: Some(NUMBERS[0]),
            manner: Manner { voice, ..Manner::default() },
            cues: Vec::new(),
        };
        plan.transfer(chance);
        for _ in 0..chance.below(4) {
            plan.race(chance);
        }
        // Whoever is patient leaves in the end.
        plan.cue(When::Placed, chance.ms(2_000, 75_000), Deed::Caller(Act::HangUp));
        plan
    }

    pub(super) fn cue(&mut self, when: When, delay: Duration, deed: Deed) {
        self.cues.push(Cue { when, nth: 1, delay, deed });
    }

    /// What the call is about.
    fn transfer(&mut self, chance: &mut Chance) {
        let start = When::Told("ai.connected");
        let after = chance.ms(0, 6_000);
        if chance.percent(35) {
            for at in 0..3 {
                self.cue(start, after + Duration::from_millis(at * 300), Deed::Ask(Ask::Miss));
            }
        } else {
            let to = chance.pick(&DESTINATIONS);
            self.cue(start, after, Deed::Ask(Ask::Transfer { to, cold: chance.percent(40) }));
        }
        if chance.percent(40) {
            let ask = Ask::Transfer { to: chance.pick(&DESTINATIONS), cold: chance.percent(40) };
            let when = chance.pick(&[
                When::Told("transfer.failed"),
                When::Told("transfer.bridged"),
                When::Told("transfer.started"),
                When::Told("call.handed_back"),
            ]);
            self.cue(when, chance.ms(0, 5_000), Deed::Ask(ask));
        }
        if chance.percent(10) {
            self.cue(start, after, Deed::Ask(Ask::Context));
        }
    }

    fn race(&mut self, chance: &mut Chance) {
        let when = chance.pick(&MOMENTS);
        // In the same tick, while a datagram is on its way, or a while later.
        let delay = match chance.below(4) {
            0 => Duration::ZERO,
            1 | 2 => chance.ms(0, 120),
            _ => chance.ms(100, 4_000),
        };
        let near = delay + chance.ms(0, 60);
        let change = [Act::Hold, Act::Resume, Act::Ask, Act::Update];
        match chance.below(20) {
            0..4 => self.cue(when, delay, Deed::Caller(Act::HangUp)),
            4 => self.cue(when, delay, Deed::Human(Act::HangUp)),
            5 => self.cue(when, delay, Deed::Ai(Act::HangUp)),
            // Both hang up, and the BYEs cross (RFC 5407, section 3.1.4 and 3.2.3).
            6 => {
                let other = chance.pick(&[Some(true), Some(false), None]);
                self.cue(when, delay, Deed::Caller(Act::HangUp));
                let deed = match other {
                    Some(true) => Deed::Human(Act::HangUp),
                    Some(false) => Deed::Ai(Act::HangUp),
                    None => Deed::Ask(Ask::HangUp),
                };
                self.cue(when, near, deed);
            }
            7 => self.cue(when, delay, Deed::Ask(Ask::HangUp)),
            // CANCEL and 200 cross (section 3.1.1).
            8 => self.cue(When::AiAnswered, chance.ms(0, 80), Deed::Caller(Act::HangUp)),
            9 => self.cue(When::HumanAnswered, chance.ms(0, 80), Deed::Ask(Ask::CancelTransfer)),
            10 => self.cue(when, delay, Deed::Ask(chance.pick(&[Ask::CancelTransfer, Ask::Handback]))),
            11 => self.cue(When::Told("agent.answered"), delay, Deed::Ask(chance.pick(&[Ask::Accept, Ask::Decline]))),
            // Both sides change the session at once (section 3.3).
            12 | 13 => {
                self.cue(when, delay, Deed::Caller(chance.pick(&change)));
                self.cue(when, near, Deed::Human(chance.pick(&change)));
                self.cue(when, near + chance.ms(0, 3_000), Deed::Caller(chance.pick(&change)));
            }
            14 => {
                self.cue(when, delay, Deed::Ai(chance.pick(&change)));
                self.cue(when, near, Deed::Caller(chance.pick(&change)));
            }
            15 => self.cue(when, delay, Deed::Ai(Act::Voice(chance.pick(&[Voice::Gone, Voice::Hushed])))),
            16 | 17 => {
                let times = u32::try_from(1 + chance.below(4)).unwrap_or(1);
                self.cue(when, Duration::ZERO, Deed::Spoil(chance.pick(&Spoil::ALL), times));
            }
            18 => {
                let who = chance.pick(&["trunk", "bot", "human", "other"]);
                self.cue(when, delay, Deed::Cut(who, chance.ms(200, 45_000)));
            }
            _ => self.cue(when, delay, Deed::Human(Act::Voice(Voice::Gone))),
        }
    }
}
