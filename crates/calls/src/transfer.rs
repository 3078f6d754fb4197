//! The machine that carries one decision out: attempts, last words, whisper, acceptance, fallback.

use crate::{
    AttemptRecord, Happening, Observation, Source, Time, TransferId, TransferRecord, TransferState,
    plan::{Playing, Then},
    step::{Step, Timer},
    whisper::{self, Whisper},
};
use clock::Monotonic;
use core::time::Duration;
use policy::{Cause, FailureChain, Mode, Place, ReleaseAi, Ring, SayIf, Start, TransferSpec};
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc};

/// One transfer. Two sides run beside each other and meet at the bridge:
///
/// ```text
/// caller's side   LastWords ──quiet · ready · drain_max · AI gone──> Waiting ───────────────┐
///                 (start: now, or no AI: begins here)                 hold music            │
///                                                                                           ├──> bridge
/// human's side    ┌──> Dialling ──answer──> Whisper ──accepted──> won ──────────────────────┘
///                 │       │ busy, declined, timeout …  │ hung up, not accepted
///                 │       v                            v
///                 └── next target ── next destination (hours!) ── back to the AI ── end
/// ```
/// Without `predial` the human's side begins when the caller waits. Timers: [`Timer::LastWords`] (`drain_max`),
/// [`Timer::Quiet`] (a quiet AI gets its chance to begin a sentence), [`Timer::Ring`] per attempt, [`Timer::Whisper`] per
/// attempt. The machine acts through the [`Act`]s it answers; the call owns the legs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) record: TransferRecord,
    /// The destination under way.
    pub(crate) spec: TransferSpec,
    /// What the first destination said about the caller's side.
    first: Manner,
    chain: FailureChain,
    side: Side,
    /// Targets of the destination that have not been dialled.
    targets: VecDeque<Arc<str>>,
    attempts: Vec<Attempt>,
    won: Option<LegId>,
    /// The last failure.
    last: Option<(Cause, Option<u16>)>,
    /// Whether dialling of the first destination has begun.
    dialling: bool,
    /// For the players of this transfer.
    player: u32,
    began: Monotonic,
}

/// Facts of the first destination that hold for the whole transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manner {
    start: Start,
    drain_max: Duration,
    hears: policy::CallerHears,
}

/// The caller's side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Side {
    /// The AI finishes its sentence.
    LastWords { until: Monotonic, quiet: bool, spoke: bool },
    /// The caller waits.
    Waiting { announced: bool },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Attempt {
    number: u32,
    leg: LegId,
    target: Arc<str>,
    /// Trunks tried so far.
    tries: u32,
    whisper: Option<Whisper>,
}

/// What the call is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// The AI is muted (`release` it if so); the caller waits.
    CallerWaits { release: bool },
    /// Dial `target` as `leg`.
    Dial { leg: LegId, target: Arc<str>, attempt: u32 },
    /// Give `leg` up.
    Drop { leg: LegId },
    /// Join the caller and `leg`; the transfer is over.
    Bridge { leg: LegId },
    /// Give the caller to the AI; the transfer is over.
    ToAi { profile: Option<Arc<str>> },
    /// End the call; the transfer is over.
    End,
}

/// What it answers to each input.
pub(crate) type Acts = SmallVec<[Act; 4]>;

impl Transfer {
    /// A transfer that begins now. `ai` is whether an AI has the caller.
    pub(crate) fn begin(
        step: &mut Step<'_>,
        id: TransferId,
        source: Source,
        spec: TransferSpec,
        ai: bool,
        player: u32,
    ) -> (Box<Self>, Acts) {
        let record = TransferRecord {
            id,
            call: step.id,
            source: source.clone(),
            to: spec.to.to_string(),
            mode: spec.mode,
            state: TransferState::LastWords,
            started: step.time(),
            waiting: None,
            bridged: None,
            ended: None,
            cause: None,
            sip_code: None,
            attempts: Vec::new(),
            handoff_silence_ms: None,
        };
        step.publish(Happening::TransferStarted { transfer: id, to: spec.to.to_string(), mode: spec.mode, source });
        let first = Manner { start: spec.start, drain_max: spec.drain_max, hears: spec.caller_hears.clone() };
        let until = step.now.monotonic + first.drain_max;
        let mut transfer = Box::new(Self {
            record,
            chain: FailureChain::new(&spec),
            first,
            side: Side::LastWords { until, quiet: false, spoke: false },
            targets: VecDeque::new(),
            attempts: Vec::new(),
            won: None,
            last: None,
            dialling: false,
            player,
            began: step.now.monotonic,
            spec,
        });
        let mut acts = Acts::new();
        if !ai || transfer.first.start == Start::Now {
            transfer.caller_waits(step, &mut acts);
        } else {
            step.arm_at(Timer::LastWords, until);
            if transfer.spec.predial {
                transfer.reach(step, &mut acts);
            }
        }
        (transfer, acts)
    }

    // ---- the caller's side

    /// The AI has been below the threshold since `since`; its voice ended if it was given time to begin a sentence.
    pub(crate) fn ai_quiet(&mut self, step: &mut Step<'_>, since: Monotonic, quiet_after: Duration) -> Acts {
        let mut acts = Acts::new();
        if let Side::LastWords { quiet, spoke, .. } = &mut self.side
            && self.first.start == Start::AfterSpeech
        {
            *quiet = true;
            // Quiet only since after the decision: it was in the middle of a sentence.
            *spoke |= since > self.began;
            let heard_out = since.max(self.began) + quiet_after;
            if heard_out <= step.now.monotonic {
                self.caller_waits(step, &mut acts);
            } else {
                step.arm_at(Timer::Quiet, heard_out);
            }
        }
        acts
    }

    /// The AI speaks (again).
    pub(crate) fn ai_speaks(&mut self, step: &mut Step<'_>) {
        if let Side::LastWords { quiet, spoke, .. } = &mut self.side {
            *quiet = false;
            *spoke = true;
            step.disarm(Timer::Quiet);
        }
    }

    /// [`Timer::Quiet`] is due.
    pub(crate) fn quiet_long_enough(&mut self, step: &mut Step<'_>) -> Acts {
        let mut acts = Acts::new();
        if matches!(self.side, Side::LastWords { quiet: true, .. }) {
            self.caller_waits(step, &mut acts);
        }
        acts
    }

    /// The AI posted `ready`.
    pub(crate) fn ai_ready(&mut self, step: &mut Step<'_>) -> Acts {
        let mut acts = Acts::new();
        if matches!(self.side, Side::LastWords { .. }) && self.first.start == Start::OnReady {
            self.caller_waits(step, &mut acts);
        }
        acts
    }

    /// The AI's leg is gone, or `drain_max` is over: the transfer goes on without its voice.
    pub(crate) fn last_words_over(&mut self, step: &mut Step<'_>) -> Acts {
        let mut acts = Acts::new();
        if matches!(self.side, Side::LastWords { .. }) {
            self.caller_waits(step, &mut acts);
        }
        acts
    }

    fn caller_waits(&mut self, step: &mut Step<'_>, acts: &mut Acts) {
        // An AI that was never quiet has spoken all the time.
        let spoke = matches!(self.side, Side::LastWords { spoke, quiet, .. } if spoke || !quiet);
        let hears = &self.first.hears;
        let announced = hears.say.is_some() && (hears.say_if == SayIf::Always || !spoke);
        step.disarm(Timer::LastWords);
        step.disarm(Timer::Quiet);
        self.side = Side::Waiting { announced };
        self.record.waiting = Some(step.time());
        self.restate();
        acts.push(Act::CallerWaits { release: self.spec.release_ai == ReleaseAi::AtOnce });
        match self.won {
            Some(leg) => acts.push(Act::Bridge { leg }),
            None if !self.dialling => self.reach(step, acts),
            None => {}
        }
    }

    /// What the caller hears, when they wait already.
    pub(crate) fn caller_hears(&self) -> Option<Playing> {
        let Side::Waiting { announced } = self.side else { return None };
        let hears = &self.first.hears;
        let first = hears.say.iter().filter(|_| announced).cloned().collect();
        let then = match &hears.then {
            policy::Hold::Music(name) => Then::Loop(Arc::clone(name)),
            policy::Hold::Ringback => Then::Ringback,
        };
        Some(Playing { number: self.player, first, then })
    }

    /// Until when the AI may speak its last words.
    pub(crate) fn speak_until(&self) -> Option<Monotonic> {
        match self.side {
            Side::LastWords { until, .. } => Some(until),
            Side::Waiting { .. } => None,
        }
    }

    // ---- the human's side

    /// Dials the destination under way, or, where it cannot be dialled, what the chain says instead.
    fn reach(&mut self, step: &mut Step<'_>, acts: &mut Acts) {
        self.dialling = true;
        loop {
            let unreached = match &self.spec.place {
                Place::Ai { profile } => {
                    let profile = profile.clone();
                    return acts.push(Act::ToAi { profile });
                }
                Place::Dial(_) if !step.rules.is_open(self.spec.hours.as_deref(), step.now) => Cause::Closed,
                Place::Dial(dial) if dial.targets.is_empty() => Cause::Failed,
                Place::Dial(dial) => {
                    self.targets = dial.targets.iter().cloned().collect();
                    self.dial_more(step, acts);
                    return;
                }
            };
            // Nothing was dialled, so no attempt is counted; the chain still hears of it.
            self.last = Some((unreached, None));
            let number = u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
            let destination = self.spec.to.to_string();
            let next = self.walk(step, unreached, acts);
            self.failed(step, number, destination.clone(), destination, unreached, None, next.1);
            if !next.0 {
                return;
            }
        }
    }

    /// Dials as many targets as may ring at once.
    fn dial_more(&mut self, step: &mut Step<'_>, acts: &mut Acts) {
        let at_once = match &self.spec.place {
            Place::Dial(dial) if dial.ring == Ring::Simultaneous => step.config.limits.ringing_at_once,
            _ => 1,
        };
        while self.attempts.len() < at_once {
            let Some(target) = self.targets.pop_front() else { return };
            let leg = step.new_leg();
            let number = u32::try_from(self.record.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
            self.attempts.push(Attempt { number, leg, target: Arc::clone(&target), tries: 1, whisper: None });
            self.record.attempts.push(AttemptRecord {
                attempt: number,
                destination: self.spec.to.to_string(),
                target: target.to_string(),
                leg: format!("human-{number}"),
                started: step.time(),
                ringing: None,
                answered: None,
                accepted: None,
                ended: None,
                cause: None,
                sip_code: None,
            });
            step.arm(Timer::Ring(leg), self.spec.ring_timeout);
            acts.push(Act::Dial { leg, target, attempt: number });
        }
        self.restate();
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
        let (number, target) = (attempt.number, attempt.target.to_string());
        step.disarm(Timer::Ring(leg));
        step.publish(Happening::AgentAnswered { transfer: self.record.id, attempt: number, target });
        let accept = self.spec.accept.clone();
        // A cold transfer introduces nobody: its prompt plays only to say which key takes the call.
        let told = self.spec.mode == Mode::Warm || accept.is_some();
        let prompt = match &self.spec.whisper {
            policy::Whisper::Prompt(prompt) if told => Some(Arc::clone(prompt)),
            _ => None,
        };
        if let Some(prompt) = &prompt {
            let prompt = prompt.to_string();
            step.publish(Happening::WhisperStarted { transfer: self.record.id, attempt: number, prompt });
        }
        if accept.is_none() {
            // Nothing more is asked: the first answer wins, whatever is whispered.
            self.drop_others(step, leg, &mut acts);
        }
        let (whisper, verdict) = Whisper::begin(step, leg, prompt, accept, self.player + number);
        if let Some(attempt) = self.attempts.iter_mut().find(|attempt| attempt.leg == leg) {
            attempt.whisper = Some(whisper);
        }
        self.restate();
        self.judge(step, leg, verdict, &mut acts);
        acts
    }

    /// A human's prompt is over.
    pub(crate) fn play_done(&mut self, step: &mut Step<'_>, leg: LegId, number: u32) -> Acts {
        self.with_whisper(step, leg, |whisper, step| whisper.play_done(step, leg, number))
    }

    /// A human pressed a key.
    pub(crate) fn digit(&mut self, step: &mut Step<'_>, leg: LegId, digit: char) -> Acts {
        self.with_whisper(step, leg, |whisper, step| whisper.digit(step, leg, digit))
    }

    /// [`Timer::Whisper`] is due.
    pub(crate) fn whisper_timeout(&mut self, step: &mut Step<'_>, leg: LegId) -> Acts {
        self.with_whisper(step, leg, |whisper, step| whisper.timeout(step, leg))
    }

    /// The screen of a human says yes. `None`: nobody is there to accept.
    pub(crate) fn accept(&mut self, step: &mut Step<'_>, number: Option<u32>) -> Option<Acts> {
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

    /// The attempt goes on by another leg, through another trunk: its target, its number and which try this is.
    pub(crate) fn moved(&mut self, step: &mut Step<'_>, old: LegId, new: LegId) -> Option<(Arc<str>, u32, u32)> {
        let attempt = self.attempts.iter_mut().find(|attempt| attempt.leg == old)?;
        attempt.leg = new;
        attempt.tries += 1;
        let (target, number, tries) = (Arc::clone(&attempt.target), attempt.number, attempt.tries);
        if let Some(record) = self.record.attempts.iter_mut().find(|record| record.attempt == number) {
            record.leg = format!("human-{number}.{tries}");
        }
        step.rename(Timer::Ring(old), Timer::Ring(new));
        Some((target, number, tries))
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
            whisper::Verdict::NotAccepted => self.give_up(step, leg, Cause::NotAccepted, acts),
            whisper::Verdict::Accepted(_) if self.won.is_some() => {}
            whisper::Verdict::Accepted(by) => {
                let time = step.time();
                let Some((attempt, record)) = self.attempt(leg) else { return };
                record.accepted = Some(time);
                let (number, target) = (attempt.number, attempt.target.to_string());
                step.publish(Happening::AgentAccepted { transfer: self.record.id, attempt: number, target, by });
                self.won = Some(leg);
                self.drop_others(step, leg, acts);
                if matches!(self.side, Side::Waiting { .. }) {
                    acts.push(Act::Bridge { leg });
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
        }
        self.last = Some((cause, sip_code));
        let destination = self.spec.to.to_string();
        let target = attempt.target.to_string();
        if !self.attempts.is_empty() || !self.targets.is_empty() {
            self.failed(step, attempt.number, destination, target, cause, sip_code, "next target".to_owned());
            self.dial_more(step, acts);
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
    fn failed(
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

    fn close_attempt(
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

    fn restate(&mut self) {
        self.record.state = match self.side {
            Side::LastWords { .. } => TransferState::LastWords,
            Side::Waiting { .. } if self.attempts.iter().any(|attempt| attempt.whisper.is_some()) => {
                TransferState::Whisper
            }
            Side::Waiting { .. } => TransferState::Ringing,
        };
    }

    // ---- for the call

    /// Its id.
    pub(crate) fn id(&self) -> TransferId {
        self.record.id
    }

    /// What `leg` hears before the bridge; `None` when it is not an answered attempt.
    pub(crate) fn candidate(&self, leg: LegId) -> Option<Option<Playing>> {
        let attempt = self.attempts.iter().find(|attempt| attempt.leg == leg)?;
        attempt.whisper.as_ref().map(Whisper::hears)
    }

    /// The last failure.
    pub(crate) fn last_failure(&self) -> Option<(Cause, Option<u16>)> {
        self.last
    }

    /// What the bridge says about itself: attempt, destination, target.
    pub(crate) fn winner(&self, leg: LegId) -> Option<(u32, String, String)> {
        let attempt = self.attempts.iter().find(|attempt| attempt.leg == leg)?;
        Some((attempt.number, self.spec.to.to_string(), attempt.target.to_string()))
    }

    /// It is over: every timer is disarmed and everybody who has not won is given up. The legs to drop.
    pub(crate) fn finish(&mut self, step: &mut Step<'_>, state: TransferState) -> SmallVec<[LegId; 4]> {
        step.disarm(Timer::LastWords);
        step.disarm(Timer::Quiet);
        let legs: SmallVec<[LegId; 4]> = self.attempts.iter().map(|attempt| attempt.leg).collect();
        let won = self.won.filter(|_| state == TransferState::Bridged);
        let mut drop = SmallVec::new();
        for leg in legs {
            if Some(leg) == won {
                step.disarm(Timer::Ring(leg));
                step.disarm(Timer::Whisper(leg));
            } else {
                self.close_attempt(step, leg, None, None);
                drop.push(leg);
            }
        }
        let time: Time = step.time();
        self.record.state = state;
        self.record.ended = Some(time);
        if state == TransferState::Bridged {
            self.record.bridged = Some(time);
        } else if let Some((cause, sip_code)) = self.last {
            self.record.cause = Some(cause);
            self.record.sip_code = sip_code;
        }
        let direct = matches!(policy::To::parse(&self.record.to), policy::To::Uri(_));
        step.observe(Observation::Transfer {
            mode: self.record.mode,
            destination: if direct { "uri".into() } else { Arc::clone(&self.spec.to) },
            outcome: state,
            cause: self.record.cause,
            duration: step.now.monotonic.since(self.began),
        });
        drop
    }
}
