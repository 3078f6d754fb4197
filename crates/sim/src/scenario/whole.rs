//! Everything that a caller can meet, at moments by chance, with somebody who leaves at every step: queues, mailboxes, callbacks, messages,
//! whispers of the AI's, introductions, co-pilots, supervisors, recordings, and hand-backs in every way.

use super::{Act, Ask, Back, CallPlan, Cue, Deed, MOMENTS, Manner, NUMBERS, Scenario, Voice, When, Whose};
use crate::{
    agent::Habits,
    chance::Chance,
    premises::{CONFIGS, RULE_SETS},
};
use calls::{Presence, RecordingAction, SuperviseMode};
use std::time::Duration;

/// Where calls of the whole traffic go.
const DESTINATIONS: [&str; 30] = [
    "desk", "desk", "all", "anna", "pair", "mail", "bare", "later", "brief", "briefed", "told", "intro", "intro",
    "copilot", "copilot", "three", "ready", "number", "away", "away", "sent", "empty", "last", "gone", "callback",
    "message", "human", "keyed", "both", "team",
];

/// Moments beyond those of the rich traffic.
const MORE_MOMENTS: [When; 18] = [
    When::Told("introduction.started"),
    When::Told("introduction.ended"),
    When::Told("copilot.started"),
    When::Told("supervisor.joined"),
    When::Told("supervisor.changed"),
    When::Told("supervisor.left"),
    When::Told("queue.entered"),
    When::Told("queue.left"),
    When::Told("voicemail.started"),
    When::Told("callback.requested"),
    When::Told("message.wanted"),
    When::Told("announcement.started"),
    When::Told("recording.started"),
    When::Told("recording.paused"),
    When::Told("call.handed_back"),
    When::Told("call.returned"),
    When::Told("transfer.cancelled"),
    When::Told("policy.decided"),
];

/// Whom a REFER can name here.
const REFERRED: [&str; 10] = [
    "sip:desk@10.0.0.1",
    "sip:mail@10.0.0.1",
    "sip:later@10.0.0.1",
    "sip:intro@10.0.0.1",
    "sip:copilot@10.0.0.1",
    "sip:anna@10.0.0.1",
    "sip:away@10.0.0.1",
    "sip:third@10.0.0.32",
    "tel:+4930123456",
    "sip:bot@10.0.0.20",
];

/// What AIs post.
const POSTS: [&str; 16] = [
    r#"{"type":"ready"}"#,
    r#"{"type":"intent","name":"call_me_back"}"#,
    r#"{"type":"intent","name":"leave_message"}"#,
    r#"{"type":"intent","name":"pay_by_card"}"#,
    r#"{"type":"intent","name":"record"}"#,
    r#"{"type":"intent","name":"forget"}"#,
    r#"{"type":"intent","name":"notice"}"#,
    r#"{"type":"intent","name":"goodbye"}"#,
    r#"{"type":"consent","granted":true}"#,
    r#"{"type":"consent","granted":false}"#,
    r#"{"type":"message","text":"call me"}"#,
    r#"{"type":"callback_requested","reason":"price"}"#,
    r#"{"type":"callback_requested","number":"+4930555999"}"#,
    r#"{"type":"context","intent":"anger","anger":true}"#,
    r#"{"type":"summary","text":"angry"}"#,
    r#"{"type":"transcript","speaker":"caller","text":"hello"}"#,
];

pub(super) const NOTICE: &str = POSTS[6];
pub(super) const GOODBYE: &str = POSTS[7];

const MODES: [SuperviseMode; 3] = [SuperviseMode::Listen, SuperviseMode::Whisper, SuperviseMode::Barge];

const WORDS: Voice = Voice::Talks;

impl Scenario {
    pub(super) fn complete(&mut self, chance: &mut Chance) {
        self.config = usize::try_from(chance.below(CONFIGS)).unwrap_or(0);
        self.rules = usize::try_from(chance.below(RULE_SETS)).unwrap_or(0);
        let joined = !self.manners.is_empty();
        for (at, plan) in self.calls.iter_mut().enumerate() {
            plan.number = (!chance.percent(8)).then_some(NUMBERS[at % NUMBERS.len()]);
            if !joined && chance.percent(75) {
                plan.cues.clear();
                plan.story(chance);
            }
            for _ in 0..1 + chance.below(5) {
                plan.meets(chance);
            }
            let patience = if chance.percent(65) { chance.ms(3_000, 70_000) } else { chance.ms(70_000, 230_000) };
            plan.cue(When::Placed, patience, Deed::Caller(Act::HangUp));
        }
        self.placed = (0..4).map(|_| CallPlan::called_back(chance)).collect();
        // Last, so that older seeds mean what they meant.
        for plan in &mut self.calls {
            if chance.percent(25) {
                let when = chance.pick(&[When::Told("recording.started"), When::Told("ai.connected")]);
                let post = chance.pick(&[POSTS[3], POSTS[3], POSTS[4]]);
                plan.cue(when, chance.ms(0, 4_000), Deed::Ask(Ask::Post(post)));
            }
            if chance.percent(15) {
                let deed = Deed::Human(Act::Press('#'));
                plan.cue(When::Told("introduction.started"), chance.ms(0, 4_000), deed);
            }
        }
    }
}

impl CallPlan {
    fn story(&mut self, chance: &mut Chance) {
        let start = When::Told("ai.connected");
        let after = chance.ms(0, 5_000);
        match chance.below(20) {
            0 => self.cue(start, after, Deed::Ask(Ask::Post(POSTS[1]))),
            1 => self.cue(start, after, Deed::Ask(Ask::Post(POSTS[2]))),
            2 => {
                for at in 0..3 {
                    self.cue(start, after + Duration::from_millis(at * 300), Deed::Ask(Ask::Miss));
                }
            }
            3 | 4 => self.cue(start, after, Deed::Ai(Act::Refer { to: chance.pick(&REFERRED[..9]), quiet: false })),
            _ => self.cue(start, after, Deed::Ask(Ask::To(chance.pick(&DESTINATIONS)))),
        }
        if chance.percent(60) {
            let when = chance.pick(&[
                When::Told("transfer.failed"),
                When::Told("transfer.bridged"),
                When::Told("transfer.bridged"),
                When::Told("call.handed_back"),
                When::Told("voicemail.started"),
            ]);
            self.cue(when, chance.ms(0, 9_000), Deed::Ask(Ask::To(chance.pick(&DESTINATIONS))));
        }
        // A second round: the AI has the caller again.
        if chance.percent(40) {
            let to = Deed::Ask(Ask::To(chance.pick(&DESTINATIONS)));
            self.cues.push(Cue { when: start, nth: 2, delay: chance.ms(0, 5_000), deed: to });
        }
    }

    /// A call that the daemon places; an end by command, for nobody else may ever hang up.
    fn called_back(chance: &mut Chance) -> Self {
        let mut plan = Self {
            starts: Duration::ZERO,
            session: true,
            number: None,
            manner: Manner { voice: WORDS, habits: Habits::by_chance(chance), ..Manner::default() },
            cues: Vec::new(),
        };
        for _ in 0..chance.below(4) {
            plan.meets(chance);
        }
        if chance.percent(30) {
            let when = chance.pick(&[
                When::Placed,
                When::Told("agent.offered"),
                When::Told("agent.ringing"),
                When::Told("agent.answered"),
                When::Told("agent.accepted"),
            ]);
            let deed = chance.pick(&[
                Deed::Human(Act::HangUp),
                Deed::Human(Act::Hold),
                Deed::Ask(Ask::CancelTransfer),
                Deed::Ask(Ask::Decline),
                Deed::Ask(Ask::HangUp),
                Deed::Ask(Ask::Post(POSTS[1])),
                Deed::Ask(Ask::Post(POSTS[7])),
                Deed::Ask(Ask::Supervise { to: "sip:boss@10.0.0.35", mode: SuperviseMode::Barge }),
                Deed::Human(Act::Refer { to: "sip:desk@10.0.0.1", quiet: false }),
            ]);
            plan.cue(when, chance.ms(0, 3_000), deed);
        }
        plan.cue(When::Placed, chance.ms(20_000, 60_000), Deed::Caller(Act::HangUp));
        plan.cue(When::Placed, chance.ms(60_000, 90_000), Deed::Ask(Ask::HangUp));
        plan
    }

    /// One thing more that happens.
    pub(super) fn meets(&mut self, chance: &mut Chance) {
        let moment = match chance.below(2) {
            0 => chance.pick(&MOMENTS),
            _ => chance.pick(&MORE_MOMENTS),
        };
        let delay = match chance.below(4) {
            0 => Duration::ZERO,
            1 | 2 => chance.ms(0, 150),
            _ => chance.ms(100, 6_000),
        };
        let near = delay + chance.ms(0, 80);
        let change = [Act::Hold, Act::Resume, Act::Ask, Act::Update];
        match chance.below(30) {
            0..5 => self.supervised(chance, moment, delay),
            5 | 6 => self.told_by_the_ai(chance),
            7 | 8 => self.hangs_up(chance, moment, delay),
            9 => self.hangs_up(chance, When::Told("introduction.started"), delay),
            10 => self.hangs_up(chance, When::Told("copilot.started"), delay),
            11 => self.hangs_up(chance, When::Told("voicemail.started"), delay),
            12 => self.hangs_up(chance, When::Told("announcement.started"), delay),
            13 | 14 => self.goes_back(chance),
            15 | 16 => self.cue(moment, delay, Deed::Ask(Ask::Post(chance.pick(&POSTS)))),
            17 => {
                let (who, change) = (chance.below(4), chance.pick(&change));
                let deed = match who {
                    0 => Deed::Caller(change),
                    1 => Deed::Ai(change),
                    2 => Deed::Human(change),
                    _ => Deed::Supervisor(change),
                };
                self.cue(moment, delay, deed);
                self.cue(moment, delay + chance.ms(500, 9_000), Deed::Caller(Act::Resume));
                self.cue(moment, delay + chance.ms(500, 9_000), Deed::Human(Act::Resume));
            }
            18 => self.presses(chance),
            19 | 20 => self.called_for(chance),
            21 => {
                let presence = chance.pick(&[Presence::Available, Presence::Away, Presence::Busy, Presence::WrapUp]);
                self.cue(moment, delay, Deed::Ask(Ask::Presence(chance.pick(&["anna", "ben"]), presence)));
            }
            22 => self.cue(moment, delay, Deed::Ask(Ask::To(chance.pick(&DESTINATIONS)))),
            23 => {
                let ask = chance.pick(&[Ask::CancelTransfer, Ask::Accept, Ask::Decline, Ask::HangUp]);
                self.cue(moment, delay, Deed::Ask(ask));
            }
            24 => {
                let refer = Act::Refer { to: chance.pick(&REFERRED), quiet: chance.percent(15) };
                self.cue(When::Told("transfer.bridged"), delay, Deed::Human(refer));
                if chance.percent(50) {
                    let deed = [Deed::Caller(Act::HangUp), Deed::Human(Act::HangUp), Deed::Human(Act::Hold)];
                    self.cue(When::Told("transfer.started"), near, chance.pick(&deed));
                }
            }
            25 => {
                let lasting = Some(chance.ms(1, 4_000));
                let action =
                    chance.pick(&[RecordingAction::Pause { lasting }, RecordingAction::Resume, RecordingAction::Stop]);
                self.cue(moment, delay, Deed::Ask(Ask::Recording(action)));
            }
            26 => {
                let who = chance.pick(&["trunk", "bot", "human", "other", "anna", "ben", "boss"]);
                self.cue(moment, delay, Deed::Cut(who, chance.ms(200, 40_000)));
            }
            27 => {
                let who = chance.pick(&[Whose::Human, Whose::Caller]);
                let at = [When::Told("transfer.bridged"), When::Told("introduction.started"), moment];
                self.cue(chance.pick(&at), delay, Deed::Replace(who));
            }
            28 => self.cue(moment, delay, Deed::Ai(Act::Voice(chance.pick(&[Voice::Gone, Voice::Hushed])))),
            _ => {
                let deed = chance.pick(&[Deed::Human as fn(Act) -> Deed, Deed::Caller]);
                self.cue(moment, delay, deed(Act::Voice(chance.pick(&[Voice::Gone, Voice::Hushed]))));
            }
        }
    }

    /// Somebody listens, is heard otherwise, and goes in one way or another, or stays.
    fn supervised(&mut self, chance: &mut Chance, moment: When, delay: Duration) {
        let to = chance.pick(&[
            "sip:boss@10.0.0.35",
            "sip:boss@10.0.0.35",
            "sip:boss@10.0.0.35",
            "ben",
            "sip:third@10.0.0.32",
        ]);
        self.cue(moment, delay, Deed::Ask(Ask::Supervise { to, mode: chance.pick(&MODES) }));
        if chance.percent(60) {
            let when = chance.pick(&[When::Told("supervisor.joined"), moment, When::Told("transfer.bridged")]);
            self.cue(when, chance.ms(0, 5_000), Deed::Ask(Ask::Mode(chance.pick(&MODES))));
        }
        let when = chance.pick(&[When::Told("supervisor.joined"), When::Told("supervisor.joined"), moment]);
        let deed = match chance.below(5) {
            0 => Deed::Ask(Ask::EndSupervisor),
            1 => Deed::Supervisor(Act::HangUp),
            2 => Deed::Supervisor(Act::Hold),
            3 => Deed::Cut("boss", chance.ms(5_000, 60_000)),
            _ => return,
        };
        self.cue(when, chance.ms(0, 12_000), deed);
    }

    /// The AI tells the human and says so, or never does, or leaves in the middle.
    fn told_by_the_ai(&mut self, chance: &mut Chance) {
        let when = chance.pick(&[When::Told("whisper.started"), When::Told("introduction.started")]);
        let deed = match chance.below(6) {
            0..3 => Deed::Ask(Ask::Post(POSTS[0])),
            3 => Deed::Ai(Act::HangUp),
            4 => Deed::Human(Act::Press('#')),
            _ => Deed::Ai(Act::Voice(Voice::Gone)),
        };
        self.cue(when, chance.ms(0, 4_000), deed);
    }

    fn hangs_up(&mut self, chance: &mut Chance, when: When, delay: Duration) {
        let deed = match chance.below(7) {
            0..2 => Deed::Caller(Act::HangUp),
            2..4 => Deed::Human(Act::HangUp),
            4..6 => Deed::Ai(Act::HangUp),
            _ => Deed::Supervisor(Act::HangUp),
        };
        self.cue(when, delay, deed);
        if chance.percent(25) {
            let other = chance.pick(&[Deed::Caller(Act::HangUp), Deed::Human(Act::HangUp), Deed::Ai(Act::HangUp)]);
            self.cue(when, delay + chance.ms(0, 80), other);
        }
    }

    /// Back to the AI: by a key, by the API, by REFER.
    fn goes_back(&mut self, chance: &mut Chance) {
        let when = chance.pick(&[
            When::Told("transfer.bridged"),
            When::Told("copilot.started"),
            When::Told("copilot.started"),
            When::Told("call.returned"),
        ]);
        let at = chance.ms(200, 9_000);
        match chance.below(4) {
            0 | 1 => {
                let code = chance.pick(&['7', '7', '2']);
                self.cue(when, at, Deed::Human(Act::Press('*')));
                self.cue(when, at + Duration::from_millis(400), Deed::Human(Act::Press(code)));
            }
            2 => self.cue(when, at, Deed::Ask(Ask::Handback)),
            _ => self.cue(when, at, Deed::Human(Act::Refer { to: "sip:bot@10.0.0.20", quiet: false })),
        }
    }

    /// The caller presses keys: while they wait, while they are asked, at the end of a message, and codes.
    fn presses(&mut self, chance: &mut Chance) {
        let (when, key) = chance.pick(&[
            (When::Told("announcement.started"), '1'),
            (When::Told("announcement.started"), '2'),
            (When::Told("queue.entered"), '9'),
            (When::Told("queue.entered"), '8'),
            (When::Told("agent.ringing"), '9'),
            (When::Told("transfer.started"), '8'),
            (When::Told("voicemail.started"), '#'),
            (When::Told("transfer.bridged"), '*'),
        ]);
        let at = chance.ms(0, 6_000);
        self.cue(when, at, Deed::Caller(Act::Press(key)));
        if key == '*' {
            self.cue(when, at + Duration::from_millis(300), Deed::Caller(Act::Press('9')));
        }
    }

    /// Somebody takes the callback that this call asks for.
    fn called_for(&mut self, chance: &mut Chance) {
        let when = When::Told("callback.requested");
        if chance.percent(50) {
            let deed = Deed::Ask(Ask::To(chance.pick(&["later", "callback"])));
            self.cue(When::Told("ai.connected"), chance.ms(500, 6_000), deed);
        }
        let after = chance.ms(0, 9_000);
        let first = chance.pick(&[Back::Claim("anna"), Back::Claim("ben"), Back::Dial("anna"), Back::Dial("ben")]);
        self.cue(when, after, Deed::Ask(Ask::Callback(first)));
        for _ in 0..chance.below(4) {
            let what = [Back::DialOwn, Back::DialOwn, Back::Dial("anna"), Back::Dial("ben"), Back::Release, Back::Done];
            let deed = Deed::Ask(Ask::Callback(chance.pick(&what)));
            self.cue(when, after + chance.ms(0, 30_000), deed);
        }
    }
}
