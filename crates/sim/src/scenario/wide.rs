//! What the daemon does by itself, and who may come in: calls that are placed for whoever asks (`POST /v1/calls`), agents whose phones tell of
//! calls of their own (RFC 4235), and a trunk whose address alone opens nothing (RFC 3261 section 22.2).

use super::{Act, Ask, CallPlan, Deed, Errand, Manner, Scenario, Voice, When};
use crate::{agent::Habits, chance::Chance};
use calls::SuperviseMode;
use std::time::Duration;

/// Who is called. Nobody else has these numbers.
const PERSONS: [&str; 3] = ["+493055567001", "+493055567002", "+493055567003"];

/// Who gets them where no AI does.
const CONNECTED: [&str; 8] = ["desk", "anna", "human", "keyed", "mail", "later", "gone", "intro"];

/// Moments of a call that is placed.
const MOMENTS: [When; 8] = [
    When::Placed,
    When::Told("call.ringing"),
    When::Told("call.answered"),
    When::Told("ai.connected"),
    When::Told("ai.lost"),
    When::Told("announcement.started"),
    When::Told("transfer.started"),
    When::AiAnswered,
];

impl Scenario {
    pub(super) fn widen(&mut self, chance: &mut Chance) {
        self.gated = chance.percent(40);
        self.watched = chance.percent(60);
        self.waits = chance.percent(50);
        let count = usize::try_from(chance.below(4)).unwrap_or(0);
        self.errands = PERSONS.iter().take(count).map(|number| Errand::by_chance(chance, number)).collect();
        for plan in &mut self.calls {
            if self.gated {
                plan.manner.wrong_password = chance.percent(6);
            }
            if self.watched && chance.percent(60) {
                plan.elsewhere(chance);
            }
        }
    }
}

impl CallPlan {
    /// An agent has a call of their own, begun beside ours or before.
    fn elsewhere(&mut self, chance: &mut Chance) {
        let who = chance.pick(&["anna", "ben"]);
        let when = chance.pick(&[
            When::Placed,
            When::Placed,
            When::Told("transfer.started"),
            When::Told("queue.entered"),
            When::Told("agent.ringing"),
            When::Told("transfer.bridged"),
        ]);
        let begins = chance.ms(0, 4_000);
        self.cue(when, begins, Deed::Elsewhere(who, true));
        self.cue(when, begins + chance.ms(500, 30_000), Deed::Elsewhere(who, false));
        // Whatever the call came to.
        self.cue(When::Placed, Duration::from_secs(120), Deed::Elsewhere(who, false));
    }
}

impl Errand {
    fn by_chance(chance: &mut Chance, number: &'static str) -> Self {
        let first = chance.ms(0, 8_000);
        let mut asked = vec![first];
        // Whoever asks heard nothing, and asks again: at once, while the phone rings, when it is over.
        for _ in 0..chance.below(3) {
            asked.push(first + chance.ms(0, 40_000));
        }
        asked.sort_unstable();
        Self {
            asked,
            number,
            connect: chance.percent(40).then(|| chance.pick(&CONNECTED)),
            predial: chance.pick(&[None, Some(true), Some(false)]),
            campaign: chance.percent(40),
            ring_timeout: chance.pick(&[5, 9, 14, 30].map(Duration::from_secs)),
            plan: Some(CallPlan::placed(chance)),
        }
    }
}

impl CallPlan {
    fn placed(chance: &mut Chance) -> Self {
        let mut plan = Self {
            starts: Duration::ZERO,
            session: true,
            number: None,
            manner: Manner { voice: Voice::Talks, habits: Habits::by_chance(chance), ..Manner::default() },
            cues: Vec::new(),
        };
        for _ in 0..chance.below(3) {
            plan.meets(chance);
        }
        for _ in 0..chance.below(3) {
            let change = chance.pick(&[Act::Hold, Act::Resume, Act::Ask, Act::Update]);
            let deed = chance.pick(&[
                Deed::Caller(Act::HangUp),
                Deed::Caller(Act::HangUp),
                Deed::Ai(Act::HangUp),
                Deed::Ai(Act::HangUp),
                Deed::Ai(Act::Voice(Voice::Gone)),
                Deed::Caller(change),
                Deed::Caller(Act::Voice(Voice::Gone)),
                Deed::Ask(Ask::HangUp),
                Deed::Ask(Ask::To("desk")),
                Deed::Ask(Ask::Post(super::whole::GOODBYE)),
                Deed::Ask(Ask::Post(super::whole::NOTICE)),
                Deed::Ask(Ask::Supervise { to: "sip:boss@10.0.0.35", mode: SuperviseMode::Barge }),
            ]);
            let delay = match chance.below(3) {
                0 => Duration::ZERO,
                1 => chance.ms(0, 150),
                _ => chance.ms(100, 5_000),
            };
            plan.cue(chance.pick(&MOMENTS), delay, deed);
        }
        plan.cue(When::Placed, chance.ms(20_000, 70_000), Deed::Caller(Act::HangUp));
        plan.cue(When::Placed, chance.ms(70_000, 120_000), Deed::Ask(Ask::HangUp));
        plan
    }
}
