//! The human's side of a transfer: attempts, whisper, acceptance, and what follows a failure.

use super::{Act, Acts, Attempt, Side, Transfer};
use crate::{
    AmdRecord, AttemptRecord, Happening, TransferState, WhisperedBy, spoken,
    step::{Step, Timer},
    whisper::{self, Quote, Tell, Whisper},
};
use core::time::Duration;
use policy::{Cause, Detect, Mode, Place, Ring};
use signaling::LegId;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

impl Transfer {
    /// Dials the destination under way, or, where it cannot be dialled, what the chain says instead.
    pub(super) fn reach(&mut self, step: &mut Step<'_>, acts: &mut Acts) {
        self.dialling = true;
        loop {
            let unreached = match &self.spec.place {
                Place::Ai { profile } => {
                    let profile = profile.clone();
                    return acts.push(Act::ToAi { profile });
                }
                // Nobody is rung: what the AI says is heard out first.
                Place::Callback(_) | Place::Message if matches!(self.side, Side::LastWords { .. }) => {
                    self.dialling = false;
                    return;
                }
                Place::Callback(_) => return acts.push(Act::CallBack),
                Place::Message => return acts.push(Act::TakeMessage),
                Place::Dial(_) | Place::Queue(_) | Place::Voicemail { .. }
                    if !step.rules.is_open(self.spec.hours.as_deref(), step.now) =>
                {
                    Cause::Closed
                }
                Place::Queue(_) => return acts.push(Act::Wait),
                // The rules and the configuration are read at different times.
                Place::Voicemail { mailbox } if !step.config.mailboxes.contains_key(&**mailbox) => Cause::Failed,
                Place::Voicemail { .. } if matches!(self.side, Side::LastWords { .. }) => {
                    // The greeting waits for the AI's last words.
                    self.dialling = false;
                    return;
                }
                Place::Voicemail { mailbox } => {
                    let mailbox = Arc::clone(mailbox);
                    return acts.push(Act::Voicemail { mailbox });
                }
                Place::Dial(dial) if dial.targets.is_empty() => Cause::Failed,
                Place::Dial(dial) => {
                    self.targets = dial.targets.iter().cloned().collect();
                    self.record.candidates = candidates(step, &dial.targets);
                    match self.dial_more(step, acts) {
                        Some(cause) => cause,
                        None => return,
                    }
                }
            };
            if !self.unreached(step, unreached, acts) {
                return;
            }
        }
    }

    /// Whether the destination under way is a mailbox.
    pub(super) fn is_voicemail(&self) -> bool {
        matches!(self.spec.place, Place::Voicemail { .. })
    }

    /// Nothing was dialled, so no attempt is counted; the chain still hears of it. True: another destination is under way.
    pub(super) fn unreached(&mut self, step: &mut Step<'_>, cause: Cause, acts: &mut Acts) -> bool {
        self.last = Some((cause, None));
        let number = self.next_attempt();
        let destination = self.spec.to.to_string();
        let next = self.walk(step, cause, acts);
        self.failed(step, number, destination.clone(), destination, cause, None, next.1);
        next.0
    }

    /// Dials as many targets as may ring at once. The cause, when nobody rings and nobody is left: the last one passed over.
    pub(super) fn dial_more(&mut self, step: &mut Step<'_>, acts: &mut Acts) -> Option<Cause> {
        if let Some(target) = self.targets.front()
            && self.wants_refer(target)
        {
            let target = Arc::clone(target);
            acts.push(Act::Refer { target });
            return None;
        }
        let at_once = match &self.spec.place {
            Place::Dial(dial) if dial.ring == Ring::Simultaneous => step.config.limits.ringing_at_once,
            Place::Queue(queue) if queue.pick == policy::Pick::Simultaneous => step.config.limits.ringing_at_once,
            _ => 1,
        };
        let mut passed = None;
        while self.attempts.len() < at_once {
            let Some(target) = self.targets.pop_front() else { break };
            if let Err(cause) = self.dial_target(step, &target, acts) {
                passed = Some(cause);
            }
        }
        self.restate();
        passed.filter(|_| self.attempts.is_empty())
    }

    /// Dials what is left of the destination, or goes on where nobody of it can be rung.
    pub(super) fn dial_on(&mut self, step: &mut Step<'_>, acts: &mut Acts) {
        if let Some(cause) = self.dial_more(step, acts)
            && self.unreached(step, cause, acts)
        {
            self.reach(step, acts);
        }
    }

    /// Rings a target: all phones of an account at once, for they are one person's. An agent is held first; one who is not free is
    /// passed over.
    fn dial_target(&mut self, step: &mut Step<'_>, target: &Arc<str>, acts: &mut Acts) -> Result<(), Cause> {
        let account = step.config.agents.account(target);
        let agent: Option<Arc<str>> = account.filter(|name| step.shared.directory.knows(name)).map(Arc::from);
        let address = agent.as_deref().and_then(|agent| step.shared.directory.address(agent));
        let phones = match address {
            Some(_) => smallvec![None],
            None => step.config.agents.phones(&step.shared.registered, target),
        };
        let named = target.starts_with("agent:");
        let target = address.as_ref().unwrap_or(target);
        for phone in phones.into_iter().take(step.config.limits.ringing_at_once.max(1)) {
            let leg = step.new_leg();
            if let Some(agent) = &agent {
                let held = step.shared.directory.reserve(agent, leg, step.key, step.now.monotonic);
                if let Err(cause) = held {
                    step.shared.legs.remove(&leg);
                    return Err(if named { Cause::NoAgent } else { cause });
                }
            }
            self.dial_one(step, leg, target, agent.clone(), phone, acts);
        }
        Ok(())
    }

    fn dial_one(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        target: &Arc<str>,
        agent: Option<Arc<str>>,
        phone: Option<Arc<signaling::Contact>>,
        acts: &mut Acts,
    ) {
        let number = self.next_attempt();
        let name = agent.as_deref().map(str::to_owned);
        self.attempts.push(Attempt {
            number,
            leg,
            target: Arc::clone(target),
            agent,
            tries: 1,
            said: Vec::new(),
            words: None,
            whisper: None,
        });
        let of_the_call = step.story.attempts().saturating_add(self.record.attempts.len() + 1);
        self.note_attempt(step, number, target, name, format!("human-{of_the_call}"));
        step.arm(Timer::Ring(leg), self.spec.ring_timeout);
        acts.push(Act::Dial { leg, target: Arc::clone(target), phone, attempt: number });
    }

    pub(super) fn next_attempt(&self) -> u32 {
        u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    pub(super) fn note_attempt(
        &mut self,
        step: &Step<'_>,
        attempt: u32,
        target: &Arc<str>,
        agent: Option<String>,
        leg: String,
    ) {
        self.record.attempts.push(AttemptRecord {
            attempt,
            destination: self.spec.to.to_string(),
            target: target.to_string(),
            agent,
            leg,
            started: step.time(),
            ringing: None,
            answered: None,
            accepted: None,
            amd: None,
            ended: None,
            cause: None,
            sip_code: None,
        });
    }

    /// Whether `leg` is an attempt of this transfer.
    pub(crate) fn tries(&self, leg: LegId) -> bool {
        self.attempts.iter().any(|attempt| attempt.leg == leg)
    }

    /// A leg that is answered takes the place of the attempt's (RFC 3891): somebody else picked up, or moved to another phone.
    pub(crate) fn replaced(&mut self, step: &mut Step<'_>, old: LegId, new: LegId) -> Acts {
        for (before, after) in [(Timer::Ring(old), Timer::Ring(new)), (Timer::Whisper(old), Timer::Whisper(new))] {
            if let Some(at) = step.timers.deadline(before) {
                step.disarm(before);
                step.arm_at(after, at);
            }
        }
        if self.won == Some(old) {
            self.won = Some(new);
        }
        let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.leg == old) else { return Acts::new() };
        attempt.leg = new;
        step.shared.directory.moved(old, new);
        match attempt.whisper {
            None => self.answered(step, new),
            // A machine moves no calls.
            Some(_) => self.with_whisper(step, new, |whisper, step| whisper.answerer(step, new, false)),
        }
    }

    /// A target's phone rings.
    pub(crate) fn ringing(&mut self, step: &mut Step<'_>, leg: LegId, sip_code: u16) {
        let time = step.time();
        let Some((attempt, record)) = self.attempt(leg) else { return };
        if record.ringing.is_none() {
            record.ringing = Some(time);
            let happening = (attempt.number, attempt.target.to_string());
            let transfer = self.record.id;
            step.publish(Happening::AgentRinging { transfer, attempt: happening.0, target: happening.1, sip_code });
        }
    }

    /// A human answered.
    pub(crate) fn answered(&mut self, step: &mut Step<'_>, leg: LegId) -> Acts {
        let mut acts = Acts::new();
        let time = step.time();
        let Some((attempt, record)) = self.attempt(leg) else { return acts };
        record.answered = Some(time);
        step.shared.directory.answered(leg, step.now.monotonic);
        let (number, target) = (attempt.number, attempt.target.to_string());
        step.disarm(Timer::Ring(leg));
        step.publish(Happening::AgentAnswered { transfer: self.record.id, attempt: number, target });
        let accept = self.spec.accept.clone();
        let tell = self.tell(step, leg, accept.as_ref());
        let listens = self.spec.detect == Detect::Machine;
        if listens {
            acts.push(Act::Listen { leg, on: true });
        } else if accept.is_none() {
            // Nothing more is asked: the first answer wins, whatever is whispered.
            self.drop_others(step, leg, &mut acts);
        }
        let (whisper, verdict) = Whisper::begin(step, leg, tell, (accept, listens), self.player + number);
        if let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.leg == leg) {
            attempt.whisper = Some(whisper);
        }
        if matches!(self.side, Side::Waiting { .. }) {
            self.briefing_begins(step);
        }
        self.restate();
        self.judge(step, leg, verdict, &mut acts);
        acts
    }

    /// How the human of `leg` is told what it is about; what is said is published.
    fn tell(&self, step: &mut Step<'_>, leg: LegId, accept: Option<&policy::Accept>) -> Tell {
        // A cold transfer introduces nobody: its prompt plays only to say which key takes the call.
        if self.spec.mode == Mode::Cold && accept.is_none() {
            return Tell::Nothing;
        }
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.leg == leg) else { return Tell::Nothing };
        let press = || accept.and_then(|accept| spoken::press(accept.press, &step.config.media.clips));
        let briefed = |attempt: &Attempt| attempt.whisper.as_ref().is_some_and(Whisper::is_briefed);
        let mut words = None;
        let (by, clips): (_, SmallVec<[Arc<str>; 2]>) = match &self.spec.whisper {
            policy::Whisper::None => return Tell::Nothing,
            policy::Whisper::Prompt(prompt) => (WhisperedBy::Prompt, smallvec![Arc::clone(prompt)]),
            policy::Whisper::Context { prompt: Some(prompt), .. } => {
                (WhisperedBy::Context, [prompt].into_iter().chain(&attempt.said).cloned().collect())
            }
            policy::Whisper::Context { prompt: None, .. } => {
                (WhisperedBy::Context, attempt.said.iter().cloned().chain(press()).collect())
            }
            policy::Whisper::Clip { prompt, .. } => {
                let after = usize::from(prompt.is_some());
                words = attempt.words.map(|lasting| Quote { lasting, after });
                let by = if words.is_some() { WhisperedBy::Clip } else { WhisperedBy::Prompt };
                (by, prompt.clone().or_else(press).into_iter().collect())
            }
            // It has one voice: who answers first is told.
            policy::Whisper::Ai(_) if self.ai && !self.attempts.iter().any(briefed) => return Tell::Ai,
            policy::Whisper::Ai(_) => (WhisperedBy::Prompt, press().into_iter().collect()),
        };
        if clips.is_empty() && words.is_none() {
            return Tell::Nothing;
        }
        let said = clips.iter().map(ToString::to_string).collect();
        let (transfer, attempt) = (self.record.id, attempt.number);
        step.publish(Happening::WhisperStarted { transfer, attempt, by, said, task: None });
        Tell::Clips(clips, words)
    }

    /// The AI has nobody else to speak to any more: it is told to tell the human who waits for that.
    pub(super) fn briefing_begins(&self, step: &mut Step<'_>) {
        let briefed = |attempt: &&Attempt| attempt.whisper.as_ref().is_some_and(Whisper::is_briefed);
        let policy::Whisper::Ai(task) = &self.spec.whisper else { return };
        if let Some(attempt) = self.attempts.iter().find(briefed) {
            step.publish(Happening::WhisperStarted {
                transfer: self.record.id,
                attempt: attempt.number,
                by: WhisperedBy::Ai,
                said: Vec::new(),
                task: Some(task.to_string()),
            });
        }
    }

    /// Whoever is told by the AI has been told, or will not be.
    pub(super) fn all_briefed(&mut self, step: &mut Step<'_>, acts: &mut Acts) {
        let briefed = |attempt: &&Attempt| attempt.whisper.as_ref().is_some_and(Whisper::is_briefed);
        if let Some(leg) = self.attempts.iter().find(briefed).map(|attempt| attempt.leg) {
            acts.extend(self.with_whisper(step, leg, |whisper, step| whisper.briefed(step, leg)));
        }
    }

    /// Whether the AI tells the human of `leg` now.
    pub(crate) fn briefs(&self, leg: LegId) -> bool {
        let attempt = self.attempts.iter().find(|attempt| attempt.leg == leg);
        matches!(self.side, Side::Waiting { .. })
            && attempt.and_then(|attempt| attempt.whisper.as_ref()).is_some_and(Whisper::is_briefed)
    }

    /// What is known of the caller, for whoever answers `leg`.
    pub(crate) fn will_say(&mut self, leg: LegId, clips: Vec<Arc<str>>) {
        if let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.leg == leg) {
            attempt.said = clips;
        }
    }

    /// What the caller said last is kept, for whoever answers `leg`.
    pub(crate) fn will_quote(&mut self, leg: LegId, lasting: Duration) {
        if let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.leg == leg) {
            attempt.words = Some(lasting);
        }
    }

    /// A human's clips are over.
    pub(crate) fn play_done(&mut self, step: &mut Step<'_>, leg: LegId, number: u32) -> Acts {
        self.with_whisper(step, leg, |whisper, step| whisper.play_done(step, leg, number))
    }

    /// What has answered `leg`: `None` where nobody waits for that.
    pub(crate) fn answerer(&mut self, step: &mut Step<'_>, leg: LegId, name: String, amd: AmdRecord) -> Option<Acts> {
        let id = self.record.id;
        let (attempt, record) = self.attempt(leg)?;
        attempt.whisper.as_ref().filter(|whisper| whisper.waits_for_answerer())?;
        record.amd = Some(amd);
        step.publish(Happening::AmdResult { leg: name, transfer: Some(id), attempt: Some(record.attempt), amd });
        let machine = amd.result == policy::AnsweredBy::Machine;
        Some(self.with_whisper(step, leg, |whisper, step| whisper.answerer(step, leg, machine)))
    }

    /// A human pressed a key.
    pub(crate) fn digit(&mut self, step: &mut Step<'_>, leg: LegId, digit: char) -> Acts {
        let ends = self.spec.introduce.as_ref().and_then(|introduce| introduce.press);
        if self.won == Some(leg) && ends.is_some_and(|press| press.eq_ignore_ascii_case(&digit)) {
            return self.introduced(step, crate::IntroductionEnd::Digit);
        }
        self.with_whisper(step, leg, |whisper, step| whisper.digit(step, leg, digit))
    }

    /// [`Timer::Whisper`] is due.
    pub(crate) fn whisper_timeout(&mut self, step: &mut Step<'_>, leg: LegId) -> Acts {
        self.with_whisper(step, leg, |whisper, step| whisper.timeout(step, leg))
    }

    /// The screen of a human says yes. `None`: nobody is there to accept.
    pub(crate) fn accept(&mut self, step: &mut Step<'_>, number: Option<u32>) -> Option<Acts> {
        if self.introducing().is_some() {
            return Some(self.introduced(step, crate::IntroductionEnd::Command));
        }
        let waiting = |attempt: &&Attempt| {
            attempt.whisper.is_some() && Some(attempt.leg) != self.won && number.is_none_or(|it| it == attempt.number)
        };
        let leg = self.attempts.iter().find(waiting)?.leg;
        Some(self.with_whisper(step, leg, |whisper, step| whisper.command(step, leg)))
    }

    /// The screen of a human says no. `None`: nobody is there to decline.
    pub(crate) fn decline(&mut self, step: &mut Step<'_>, number: Option<u32>) -> Option<Acts> {
        let legs: SmallVec<[LegId; 4]> = self
            .attempts
            .iter()
            .filter(|attempt| number.is_none_or(|it| it == attempt.number))
            .map(|attempt| attempt.leg)
            .collect();
        let mut acts = Acts::new();
        for leg in &legs {
            self.give_up(step, *leg, Cause::Declined, &mut acts);
        }
        (!legs.is_empty()).then_some(acts)
    }

    /// [`Timer::Ring`] is due.
    pub(crate) fn ring_timeout(&mut self, step: &mut Step<'_>, leg: LegId) -> Acts {
        if self.asked(leg) {
            return self.refer_failed(step, Cause::NoAnswer, None);
        }
        let mut acts = Acts::new();
        self.give_up(step, leg, Cause::NoAnswer, &mut acts);
        acts
    }

    /// A human's leg is gone, or never came to be.
    pub(crate) fn leg_gone(&mut self, step: &mut Step<'_>, leg: LegId, cause: Cause, sip_code: Option<u16>) -> Acts {
        let mut acts = Acts::new();
        let answered = self.attempt(leg).is_some_and(|(_, record)| record.answered.is_some());
        let (cause, sip_code) = if answered { (Cause::NotAccepted, None) } else { (cause, sip_code) };
        self.attempt_failed(step, leg, cause, sip_code, &mut acts);
        acts
    }

    /// The attempt goes on by another leg, through another trunk: its target, and what the leg is called.
    pub(crate) fn moved(&mut self, step: &mut Step<'_>, old: LegId, new: LegId) -> Option<(Arc<str>, String)> {
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.leg == old)?;
        attempt.leg = new;
        attempt.tries += 1;
        let (target, number, tries) = (Arc::clone(&attempt.target), attempt.number, attempt.tries);
        let record = self.record.attempts.iter_mut().find(|record| record.attempt == number)?;
        let first = record.leg.split('.').next().unwrap_or_default();
        record.leg = format!("{first}.{tries}");
        let name = record.leg.clone();
        step.rename(Timer::Ring(old), Timer::Ring(new));
        step.shared.directory.moved(old, new);
        Some((target, name))
    }

    /// What the leg of an attempt is called.
    pub(crate) fn leg_name(&self, leg: LegId) -> Option<String> {
        let number = self.attempts.iter().find(|attempt| attempt.leg == leg)?.number;
        self.record.attempts.iter().find(|record| record.attempt == number).map(|record| record.leg.clone())
    }

    /// A target says where it is to be found instead; its leg's end follows.
    pub(crate) fn redirected(&mut self, step: &Step<'_>, leg: LegId, contacts: &[String]) {
        let Some(attempt) = self.attempts.iter().find(|attempt| attempt.leg == leg) else { return };
        let (next, _) = self.redirections.follow(&attempt.target, contacts, &step.config.listeners, |_| None);
        for target in next.into_iter().rev() {
            self.targets.push_front(target);
        }
    }

    /// The agent whom `leg` rings or carries.
    pub(crate) fn agent(&self, leg: LegId) -> Option<String> {
        let attempt = self.attempts.iter().find(|attempt| attempt.leg == leg)?;
        attempt.agent.as_deref().map(str::to_owned)
    }

    /// Whether a human has been won.
    pub(crate) fn is_won(&self) -> bool {
        self.won.is_some()
    }

    /// Whether the destination itself names a target.
    pub(crate) fn names(&self, target: &str) -> bool {
        !self.redirections.led_to(target)
    }

    fn give_up(&mut self, step: &mut Step<'_>, leg: LegId, cause: Cause, acts: &mut Acts) {
        if self.attempt(leg).is_some() {
            acts.push(Act::Drop { leg });
            self.attempt_failed(step, leg, cause, None, acts);
        }
    }

    fn with_whisper(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        act: impl FnOnce(&mut Whisper, &mut Step<'_>) -> whisper::Verdict,
    ) -> Acts {
        let mut acts = Acts::new();
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.leg == leg);
        if let Some(whisper) = attempt.and_then(|attempt| attempt.whisper.as_mut()) {
            let verdict = act(whisper, step);
            self.judge(step, leg, verdict, &mut acts);
        }
        acts
    }

    fn judge(&mut self, step: &mut Step<'_>, leg: LegId, verdict: whisper::Verdict, acts: &mut Acts) {
        match verdict {
            whisper::Verdict::Pending => {}
            whisper::Verdict::Machine => self.give_up(step, leg, Cause::Machine, acts),
            whisper::Verdict::NotAccepted => self.give_up(step, leg, Cause::NotAccepted, acts),
            whisper::Verdict::Accepted(_) if self.won.is_some() => {}
            whisper::Verdict::Accepted(by) => {
                let time = step.time();
                let Some((attempt, record)) = self.attempt(leg) else { return };
                record.accepted = Some(time);
                if attempt.whisper.as_ref().is_some_and(Whisper::listens) {
                    // Whoever says yes is somebody.
                    acts.push(Act::Listen { leg, on: false });
                }
                let (number, target) = (attempt.number, attempt.target.to_string());
                step.publish(Happening::AgentAccepted { transfer: self.record.id, attempt: number, target, by });
                self.won = Some(leg);
                self.drop_others(step, leg, acts);
                if matches!(self.side, Side::Waiting { .. }) {
                    acts.push(self.joining(leg));
                }
            }
        }
    }

    /// Everybody but `winner` is given up: their phones stop, without a failure.
    fn drop_others(&mut self, step: &mut Step<'_>, winner: LegId, acts: &mut Acts) {
        self.targets.clear();
        let losers: SmallVec<[LegId; 4]> =
            self.attempts.iter().map(|attempt| attempt.leg).filter(|leg| *leg != winner).collect();
        for leg in losers {
            self.close_attempt(step, leg, None, None);
            acts.push(Act::Drop { leg });
        }
    }

    fn attempt_failed(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        cause: Cause,
        sip_code: Option<u16>,
        acts: &mut Acts,
    ) {
        let Some(attempt) = self.close_attempt(step, leg, Some(cause), sip_code) else { return };
        if self.won == Some(leg) {
            self.won = None;
            if self.not_introduced(step) {
                acts.push(Act::CallerWaits { release: false });
            }
        }
        self.last = Some((cause, sip_code));
        let destination = self.spec.to.to_string();
        let target = attempt.target.to_string();
        let goes_on = !self.attempts.is_empty() || !self.targets.is_empty();
        if goes_on {
            let next = "next target".to_owned();
            self.failed(step, attempt.number, destination.clone(), target.clone(), cause, sip_code, next);
            if self.dial_more(step, acts).is_none() {
                return;
            }
        }
        if self.waits_on(step) {
            if !goes_on {
                self.failed(step, attempt.number, destination, target, cause, sip_code, "queue".to_owned());
            }
            return;
        }
        // Whoever has waited long enough came to nothing for want of an agent, whatever the last one did.
        let cause = if self.leave_queue(step, crate::QueueOutcome::Overflow) { Cause::NoAgent } else { cause };
        if goes_on {
            if self.unreached(step, cause, acts) {
                self.reach(step, acts);
            }
            return;
        }
        // `walk` may come to the AI or the end at once; its act follows the report of the failure.
        let (go_on, next) = self.walk(step, cause, acts);
        self.failed(step, attempt.number, destination, target, cause, sip_code, next);
        if go_on {
            self.reach(step, acts);
        }
    }

    /// The destination under way is exhausted. True: another one is under way now.
    fn walk(&mut self, step: &mut Step<'_>, cause: Cause, acts: &mut Acts) -> (bool, String) {
        loop {
            let next = self.chain.next(cause);
            match &next {
                policy::Step::Ai => acts.push(Act::ToAi { profile: None }),
                policy::Step::End => acts.push(Act::End),
                policy::Step::Destination(name) => match step.rules.next_in_chain(name, &self.spec) {
                    Ok(spec) => {
                        self.spec = spec;
                        return (true, name.to_string());
                    }
                    // The rules were reloaded and this one is gone: the next step of the list.
                    Err(_) => continue,
                },
            }
            return (false, next.name().to_owned());
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one published event")]
    pub(super) fn failed(
        &mut self,
        step: &mut Step<'_>,
        attempt: u32,
        destination: String,
        target: String,
        cause: Cause,
        sip_code: Option<u16>,
        next: String,
    ) {
        let transfer = self.record.id;
        step.publish(Happening::TransferFailed { transfer, attempt, destination, target, cause, sip_code, next });
        self.restate();
    }

    pub(super) fn close_attempt(
        &mut self,
        step: &mut Step<'_>,
        leg: LegId,
        cause: Option<Cause>,
        sip_code: Option<u16>,
    ) -> Option<Attempt> {
        let at = self.attempts.iter().position(|attempt| attempt.leg == leg)?;
        let attempt = self.attempts.remove(at);
        step.disarm(Timer::Ring(leg));
        step.disarm(Timer::Whisper(leg));
        if let Some(cause) = cause {
            step.shared.directory.failed(leg, cause);
        }
        if let Some(record) = self.record.attempts.iter_mut().find(|record| record.attempt == attempt.number) {
            record.ended = Some(step.time());
            record.cause = cause;
            record.sip_code = sip_code;
        }
        Some(attempt)
    }

    fn attempt(&mut self, leg: LegId) -> Option<(&Attempt, &mut AttemptRecord)> {
        let attempt = self.attempts.iter().find(|attempt| attempt.leg == leg)?;
        let record = self.record.attempts.iter_mut().find(|record| record.attempt == attempt.number)?;
        Some((attempt, record))
    }

    pub(super) fn restate(&mut self) {
        self.record.state = match self.side {
            Side::LastWords { .. } => TransferState::LastWords,
            Side::Introducing { .. } => TransferState::Introduction,
            Side::Waiting { .. } if self.attempts.iter().any(|attempt| attempt.whisper.is_some()) => {
                TransferState::Whisper
            }
            Side::Waiting { .. } if self.queue.is_some() && self.attempts.is_empty() => TransferState::Queued,
            Side::Waiting { .. } => TransferState::Ringing,
        };
    }
}

/// Who of the agents among these targets could be rung.
fn candidates(step: &Step<'_>, targets: &[Arc<str>]) -> Vec<policy::Candidate> {
    let names: Vec<&str> = targets.iter().filter_map(|target| step.config.agents.account(target)).collect();
    if names.is_empty() {
        return Vec::new();
    }
    step.shared.directory.named(&names, Some(step.key), step.now.monotonic)
}
