//! What goes beyond the plain traffic: reliable provisional responses, UPDATE before the answer, session timers, REFER, Replaces,
//! and the races between them (RFC 5407; RFC 5589; faults, rows 14 to 18).

use super::{Act, CallPlan, Deed, MOMENTS, Manner, Scenario, Voice, When, Whose};
use crate::{
    agent::{AfterRefer, Habits},
    chance::Chance,
    scenario::Ask,
};
use std::time::Duration;

/// Whom a REFER can name: destinations by name, a number, a phone's own address, nobody; a human an AI by its address, too.
const REFERRED: [&str; 9] = [
    "sip:human@10.0.0.1",
    "sip:other@10.0.0.1",
    "sip:team@10.0.0.1",
    "sip:keyed@10.0.0.1:5060",
    "sip:third@10.0.0.32",
    "sip:other@10.0.0.31",
    "tel:+4930123456",
    "sip:nobody@10.0.0.1",
    "sip:bot@10.0.0.20",
];

impl Scenario {
    pub(super) fn enrich(&mut self, chance: &mut Chance) {
        self.timers = usize::try_from(chance.below(3)).unwrap_or(0);
        if chance.percent(12) {
            self.two_calls_to_be_joined(chance);
        }
        for plan in &mut self.calls {
            plan.manner.habits = Habits::by_chance(chance);
            for _ in 0..=chance.below(3) {
                plan.richer(chance);
            }
            if chance.percent(20) {
                // Long enough for a session to be refreshed, twice or not at all.
                plan.lasts(chance.ms(60_000, 260_000));
            }
        }
    }

    /// Two callers reach the same phone, whose human then joins them (RFC 5589 section 7).
    fn two_calls_to_be_joined(&mut self, chance: &mut Chance) {
        let phone = |chance: &mut Chance| Manner {
            before: vec![
                (chance.ms(100, 900), Act::Ring { status: 180, session: false }),
                (chance.ms(900, 2_000), Act::Answer),
            ],
            voice: Voice::Talks,
            habits: Habits { after_refer: AfterRefer::LeavesAfter, ..Habits::by_chance(chance) },
            ..Manner::default()
        };
        let bot = Manner { before: vec![(chance.ms(0, 500), Act::Answer)], voice: Voice::Talks, ..Manner::default() };
        self.manners.extend([("bot", bot.clone()), ("bot", bot), ("other", phone(chance)), ("other", phone(chance))]);
        self.calls.truncate(2);
        while self.calls.len() < 2 {
            self.calls.push(CallPlan::of(chance));
        }
        for plan in &mut self.calls {
            (plan.starts, plan.session) = (chance.ms(0, 1_500), true);
            plan.cues.clear();
            plan.cue(When::Placed, chance.ms(15_000, 60_000), Deed::Caller(Act::HangUp));
            let ask = Ask::Transfer { to: "other", cold: true };
            plan.cue(When::Told("ai.connected"), chance.ms(0, 1_000), Deed::Ask(ask));
        }
        let at = usize::try_from(chance.below(2)).unwrap_or(0);
        self.calls[at].cue(When::Told("transfer.bridged"), chance.ms(0, 8_000), Deed::Human(Act::Join));
        if chance.percent(30) {
            let who = chance.pick(&[Deed::Caller(Act::HangUp), Deed::Human(Act::HangUp), Deed::Human(Act::Hold)]);
            self.calls[1 - at].cue(When::Told("transfer.bridged"), chance.ms(0, 8_000), who);
        }
    }
}

impl CallPlan {
    /// The patient caller leaves so much later.
    fn lasts(&mut self, lasting: Duration) {
        if let Some(last) = self.cues.last_mut().filter(|cue| cue.when == When::Placed) {
            last.delay = lasting;
        }
    }

    fn richer(&mut self, chance: &mut Chance) {
        let moment = chance.pick(&MOMENTS);
        let delay = match chance.below(4) {
            0 => Duration::ZERO,
            1 | 2 => chance.ms(0, 150),
            _ => chance.ms(100, 5_000),
        };
        let near = delay + chance.ms(0, 80);
        let change = [Act::Hold, Act::Resume, Act::Ask, Act::Update];
        let quiet = chance.percent(15);
        let refer = Act::Refer { to: chance.pick(&REFERRED), quiet };
        let by_ai = Act::Refer { to: chance.pick(&REFERRED[..8]), quiet };
        let (ai, human) = (When::Told("ai.connected"), When::Told("transfer.bridged"));
        // Before the others, so that the last cue stays the caller's patience.
        let mut cue = |when, delay, deed| self.cues.insert(0, super::Cue { when, nth: 1, delay, deed });
        match chance.below(16) {
            0 | 1 => cue(ai, delay, Deed::Ai(by_ai)),
            2 | 3 => cue(human, delay, Deed::Human(refer)),
            // A change of the session, or a hang-up, while a REFER is on its way or its transfer under way.
            4 => {
                cue(ai, delay, Deed::Ai(by_ai));
                cue(ai, near, Deed::Ai(chance.pick(&change)));
                cue(When::Told("transfer.started"), near, Deed::Caller(chance.pick(&change)));
            }
            5 => {
                cue(human, delay, Deed::Human(refer));
                cue(human, near, Deed::Human(chance.pick(&change)));
                cue(human, near, Deed::Caller(chance.pick(&change)));
            }
            6 => {
                cue(ai, delay, Deed::Ai(by_ai));
                cue(moment, near, Deed::Caller(Act::HangUp));
            }
            7 => {
                cue(human, delay, Deed::Human(refer));
                let who = chance.pick(&[Deed::Caller(Act::HangUp), Deed::Human(Act::HangUp), Deed::Ask(Ask::HangUp)]);
                cue(human, near, who);
            }
            // Two at once, and one with nobody to ask it for.
            8 => {
                cue(ai, delay, Deed::Ai(by_ai));
                cue(ai, near, Deed::Ask(Ask::Transfer { to: "human", cold: true }));
            }
            9 => cue(moment, delay, Deed::Caller(refer)),
            10 | 11 => {
                let who = chance.pick(&[Whose::Human, Whose::Human, Whose::Caller, Whose::Ended]);
                let at =
                    [human, When::HumanInvited, When::Told("agent.ringing"), When::Told("whisper.started"), moment];
                cue(chance.pick(&at), delay, Deed::Replace(who));
            }
            12 => {
                cue(human, delay, Deed::Replace(Whose::Human));
                cue(human, near, Deed::Human(chance.pick(&[refer, Act::HangUp, Act::Hold])));
            }
            // UPDATE before the answer, settled or not.
            13 => cue(When::Placed, chance.ms(50, 1_500), Deed::Caller(Act::Update)),
            14 => cue(When::HumanInvited, chance.ms(50, 2_000), Deed::Human(Act::Update)),
            _ => cue(When::AiInvited, chance.ms(50, 1_500), Deed::Ai(Act::Update)),
        }
    }
}
