//! A person whom we call, for an AI or for a destination of the rules.
//!
//! ```text
//!             ┌─ the AI is dialled (`predial`), and hears nothing
//!             v
//!  Ringing ──answer──> Answered ──asked for consent, told what `while: start` says──> Given: WithAi, Transferring …
//!     │ busy, no answer, declined, hang-up, no AI to be had            │ they hang up
//!     v                                                                v
//!   Ending                                                           Ending
//! ```
//! Until they answer nothing is decided: events are folded, and nobody may transfer a call that has no caller. An AI that is lost
//! before they have been given to it is looked for by its profile's `on_ai_failure`, step by step; where that ends, their phone
//! stops ringing: nobody is called for silence. Where it is not there a second after their answer, they hear music. Timers:
//! [`Timer::CallerRing`], [`Timer::AiAnswer`], [`Timer::Attended`].

use super::{About, Call, Stage, placing::Placed, placing::Why};
use crate::{
    AiFailureStep, AmdRecord, CallState, EndCause, Happening, Observation, OnMachine, PlacedReply, Problem, Reply,
    RequestId, Source, dial,
    step::{Step, Timer},
};
use core::time::Duration;
use policy::{Cause, Event, Facts, Phase, Posted, To, TransferOptions};
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// How long somebody whom we called may hear nothing, once nothing but the AI is missing: then they hear that they are waited for.
const LONGEST_DEAD_AIR: Duration = Duration::from_secs(1);
/// Requests that wait for the answer of one person.
const MOST_WAITERS: usize = 4;

/// Why somebody is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Person {
    /// Who gets them.
    pub(crate) then: Then,
    /// The AI is dialled while their phone rings.
    pub(crate) predial: bool,
    /// What it is about, until a first stint has begun.
    pub(crate) intent: Option<Event>,
    pub(crate) campaign: Option<String>,
    /// What is done about a machine.
    #[serde(default)]
    pub(crate) on_machine: OnMachine,
    /// What answered.
    #[serde(default)]
    pub(super) amd: Option<AmdRecord>,
    given: bool,
    waiters: SmallVec<[RequestId; 1]>,
}

/// Who gets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Then {
    /// The AI of the profile in charge.
    Ai,
    /// A destination of the rules.
    Destination(String),
}

impl Person {
    /// Somebody who has not been called yet.
    pub(crate) fn new(then: Then, predial: bool, intent: Option<Event>, campaign: Option<String>) -> Self {
        let (on_machine, amd) = (OnMachine::None, None);
        Self { then, predial, intent, campaign, on_machine, amd, given: false, waiters: SmallVec::new() }
    }

    /// Whether it is still to be known what answered.
    fn is_asked_of(&self) -> bool {
        self.on_machine != OnMachine::None && self.amd.is_none()
    }
}

impl Call {
    /// A call whose caller is somebody whom we call; `caller` is the leg they will have.
    pub(crate) fn place_to(
        about: About,
        facts: Facts,
        caller: LegId,
        (target, ring): (String, Duration),
        person: Person,
    ) -> Self {
        let why = Why::Person(Box::new(person));
        Self {
            placed: Some(Placed { target, ring, reached: false, why }),
            ..Self::without_caller(about, caller, facts)
        }
    }

    /// Their phone is dialled.
    pub(crate) fn dial_person(&mut self, step: &mut Step<'_>, route: dial::Route, ways: VecDeque<dial::Route>) {
        if !step.config.limits.call_duration.is_zero() {
            step.arm(Timer::MaxDuration, step.config.limits.call_duration);
        }
        self.ring_caller(step, route, ways);
        self.settle(step);
    }

    pub(super) fn person(&self) -> Option<&Person> {
        match &self.placed.as_ref()?.why {
            Why::Person(person) => Some(person),
            Why::Callback(_) => None,
        }
    }

    pub(super) fn person_mut(&mut self) -> Option<&mut Person> {
        match &mut self.placed.as_mut()?.why {
            Why::Person(person) => Some(person),
            Why::Callback(_) => None,
        }
    }

    /// The campaign that the call belongs to.
    pub(crate) fn campaign(&self) -> Option<&str> {
        self.person()?.campaign.as_deref()
    }

    /// Whether the call counts among those that are placed for whoever asks.
    pub(crate) fn is_to_person(&self) -> bool {
        self.person().is_some()
    }

    /// Somebody is called and has not answered: there is nobody to decide about.
    pub(super) fn rings_person(&self) -> bool {
        self.person().is_some() && self.placed.as_ref().is_some_and(|placed| !placed.reached)
    }

    /// Somebody who is called has not been given to anybody: an AI that is there waits.
    pub(super) fn keeps_person(&self) -> bool {
        self.stage == Stage::Connecting && self.person().is_some_and(|person| !person.given)
    }

    /// Their phone rings.
    pub(super) fn person_rings(&mut self, step: &mut Step<'_>, sip_code: u16) {
        if !self.rings_person() {
            return;
        }
        step.publish(Happening::CallRinging { sip_code });
        let early = self.person().is_some_and(|person| person.predial && person.then == Then::Ai);
        if early && self.ai.is_none() {
            self.dial_ai(step, None, &[]);
        }
    }

    /// They answered: they are asked, and the rules are, before anybody gets them.
    pub(super) fn person_answered(&mut self, step: &mut Step<'_>) {
        if self.person().is_some_and(Person::is_asked_of) {
            // Nobody waits for that but whoever asked for the call.
            self.listen_for_machine(step, self.caller, true);
        } else {
            self.answer_askers(step);
        }
        self.ask_consent(step);
        self.run_rules_in(step, "start", Phase::Start);
        if self.announcement.is_none() {
            self.give_person(step);
        }
    }

    /// Nothing is in the way any more: they are given to whom they are called for.
    pub(super) fn give_person(&mut self, step: &mut Step<'_>) {
        if !self.keeps_person() || self.rings_person() {
            return;
        }
        let Some(person) = self.person_mut() else { return };
        person.given = true;
        match person.then.clone() {
            Then::Ai if self.ai_is_up() => self.with_ai(step),
            Then::Ai => {
                step.arm(Timer::Attended, LONGEST_DEAD_AIR);
                // Perhaps it is on its way.
                if self.ai.is_none() {
                    self.dial_ai(step, None, &[]);
                }
            }
            Then::Destination(name) => {
                let to = To::Name(name.as_str().into());
                let spec = step.rules.transfer(&to, &TransferOptions::default());
                let begun = spec.map(|spec| self.begin_transfer(step, Source::Command, spec));
                if !matches!(begun, Ok(Ok(_))) && self.stage == Stage::Connecting {
                    // The rules no longer know it.
                    self.dial_ai(step, None, &[]);
                }
            }
        }
    }

    /// [`Timer::Attended`]: they took the call, and the AI is still not there. Whoever hears nothing hangs up.
    pub(super) fn attend(&mut self, step: &mut Step<'_>) {
        if self.stage == Stage::Connecting && self.is_to_person() && self.caller_answered() {
            let playing = self.hold_music(step, None);
            self.stage = Stage::Reconnecting { playing };
        }
    }

    /// An AI was lost before the person was given to it. `refuge` is the next step of its profile.
    pub(super) fn lost_before_person(&mut self, step: &mut Step<'_>, refuge: AiFailureStep) {
        let answered = self.caller_answered();
        match refuge {
            AiFailureStep::Profile(name) => {
                self.dial_ai(step, Some(&name), &[("X-Tandem-Reason", "ai_lost".to_owned())]);
            }
            AiFailureStep::Destination(name) if step.rules.knows(&name) => {
                if let Some(person) = self.person_mut() {
                    person.then = Then::Destination(name);
                }
            }
            AiFailureStep::Destination(_) => {
                let next = self.next_refuge(step);
                self.lost_before_person(step, next);
            }
            AiFailureStep::Announce(prompt) if answered => self.announce_and_end(step, prompt.into(), EndCause::AiLost),
            AiFailureStep::Announce(_) | AiFailureStep::End => self.end(step, EndCause::AiLost, "us", None),
        }
    }

    /// A stint has begun: what the call is about does not start anew with the first.
    pub(super) fn tell_intent(&mut self, step: &Step<'_>) {
        if let Some(intent) = self.person_mut().and_then(|person| person.intent.take()) {
            // It was folded once already: what is wrong with it was said then.
            let _ = self.facts.fold(step.now, &Posted::from(intent));
        }
    }

    // ---- whoever waits for their answer

    /// Answers the request that placed the call, now or when they have answered.
    pub(crate) fn placed_request(&mut self, step: &mut Step<'_>, id: RequestId, wait: Option<Duration>) {
        let undecided = self.rings_person() || self.person().is_some_and(Person::is_asked_of) && self.end.is_none();
        let wait = wait.filter(|wait| !wait.is_zero() && undecided);
        let most = MOST_WAITERS;
        match (wait, self.person_mut()) {
            (Some(_), Some(person)) if person.waiters.len() >= most => {
                step.reply(id, Err(Problem::limit(format!("at most {most} requests wait for one answer"))));
            }
            (Some(wait), Some(person)) => {
                person.waiters.push(id);
                step.arm(Timer::Wait(id), wait.min(step.config.limits.wait));
            }
            _ => step.reply(id, Ok(Reply::Placed(self.placed_reply(step)))),
        }
    }

    /// The person answered, or will not: whoever waits for that is told.
    pub(super) fn answer_askers(&mut self, step: &mut Step<'_>) {
        let waiters = self.person_mut().map(|person| std::mem::take(&mut person.waiters)).unwrap_or_default();
        for id in waiters {
            step.disarm(Timer::Wait(id));
            step.reply(id, Ok(Reply::Placed(self.placed_reply(step))));
        }
    }

    /// [`Timer::Wait`]: a request has waited long enough. False: it does not wait for this.
    pub(super) fn asker_waited(&mut self, step: &mut Step<'_>, id: RequestId) -> bool {
        let Some(person) = self.person_mut() else { return false };
        let Some(at) = person.waiters.iter().position(|waiter| *waiter == id) else { return false };
        person.waiters.remove(at);
        step.reply(id, Ok(Reply::Placed(self.placed_reply(step))));
        true
    }

    fn placed_reply(&self, step: &Step<'_>) -> PlacedReply {
        let answered = self.first_answer(step.story);
        let end = self.end.as_ref();
        let caller = |record: &&crate::LegRecord| record.party == crate::Party::Caller;
        let refused = step.story.legs.iter().rev().find(caller).and_then(|record| record.sip_code);
        PlacedReply {
            call: step.id,
            over: answered.is_some() && !self.person().is_some_and(Person::is_asked_of) || end.is_some(),
            state: self.state(),
            answered,
            cause: end.map(|end| end.cause),
            failure: end.and_then(|end| end.failure),
            sip_code: end.and_then(|end| end.sip_code).or(refused).filter(|_| answered.is_none()),
            amd: self.answered_by(),
        }
    }

    /// The call ends: it is counted, and whoever waits is told.
    pub(super) fn person_done(&mut self, step: &mut Step<'_>) {
        if self.person().is_none() {
            return;
        }
        self.answer_askers(step);
        let Some(end) = &self.end else { return };
        let reached = self.placed.as_ref().is_some_and(|placed| placed.reached);
        let outcome = match (reached, end.failure, end.cause) {
            // A machine that was not to have the call has not answered it.
            (_, Some(cause), _) => Cause::name(cause),
            (true, ..) => "answered",
            (_, None, EndCause::AiLost) => "ai_lost",
            (_, None, EndCause::Command | EndCause::Shutdown) => "cancelled",
            _ => "failed",
        };
        let campaign = self.campaign().unwrap_or_default().to_owned();
        step.observe(Observation::Placed { campaign, outcome });
    }
}

impl PlacedReply {
    /// Of a call that is over and only remembered.
    pub(crate) fn of_ended(detail: &crate::CallDetail) -> Self {
        let summary = &detail.summary;
        let caller = |record: &&crate::LegRecord| record.party == crate::Party::Caller;
        let refused = detail.legs.iter().rev().find(caller).and_then(|record| record.sip_code);
        Self {
            call: summary.id,
            over: true,
            state: CallState::Ended,
            answered: summary.answered,
            cause: summary.cause,
            failure: summary.failure,
            sip_code: refused.filter(|_| summary.answered.is_none()),
            amd: detail.amd,
        }
    }
}
