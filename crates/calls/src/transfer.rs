//! The machine that carries one decision out: attempts, last words, whisper, acceptance, fallback.

mod human;
mod introduction;
mod queueing;
mod refer;

use crate::{
    Happening, IntroductionEnd, Observation, QueueOutcome, Source, Time, TransferId, TransferRecord, TransferState,
    plan::Playing,
    redirect::Redirections,
    step::{Step, Timer},
    whisper::Whisper,
};
use clock::Monotonic;
use core::time::Duration;
use media_relay::PortId;
use policy::{Cause, FailureChain, ReleaseAi, SayIf, Start, TransferSpec};
use queueing::Queueing;
use serde::{Deserialize, Serialize};
use signaling::LegId;
use smallvec::SmallVec;
use std::{collections::VecDeque, sync::Arc};

/// One transfer. Two sides run beside each other and meet at the bridge:
///
/// ```text
/// caller's side   LastWords ──quiet · ready · drain_max · AI gone──> Waiting ───────────────┐
///                 (start: now, or no AI: begins here)                 hold music            │
///                                                                                           ├──> bridge, by way of an
/// human's side    ┌──> Dialling ──answer──> Whisper ──accepted──> won ──────────────────────┘
///                 │       │ busy, declined, timeout …  │ hung up, not accepted              introduction where asked
///                 │       v                            v
///                 └── next target ── next destination (hours!) ── back to the AI ── end
/// ```
/// A destination that is a queue goes through `queueing.rs` first: the caller waits, an agent is granted, their phone is dialled, and
/// where they do not take the call the caller waits on at the old place.
///
/// Without `predial` the human's side begins when the caller waits. Timers: [`Timer::LastWords`] (`drain_max`),
/// [`Timer::Introduction`], [`Timer::Quiet`] (a quiet AI gets its chance to begin a sentence), [`Timer::Ring`] per attempt, [`Timer::Whisper`] per
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
    redirections: Redirections,
    /// The queue in which the caller waits.
    queue: Option<Queueing>,
    attempts: Vec<Attempt>,
    won: Option<LegId>,
    /// The last failure.
    last: Option<(Cause, Option<u16>)>,
    /// Whether dialling of the first destination has begun.
    dialling: bool,
    referring: Referring,
    /// An AI is there that could whisper.
    #[serde(default)]
    ai: bool,
    /// It stayed with the human who had the caller before, as their co-pilot.
    #[serde(default)]
    copilot: bool,
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

/// The way by REFER: once a transfer, to the first target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Referring {
    /// Not tried.
    #[default]
    Untried,
    /// The trunk of the caller's leg was asked; attempt `number`.
    Asked { number: u32, target: Arc<str>, caller: LegId },
    /// It cannot be, came to nothing, or has carried the transfer out.
    Over,
}

/// The caller's side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Side {
    /// The AI finishes its sentence.
    LastWords { until: Monotonic, quiet: bool, spoke: bool },
    /// The caller waits.
    Waiting { announced: bool },
    /// The AI introduces the caller to the human who was won.
    Introducing { since: Monotonic },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Attempt {
    number: u32,
    leg: LegId,
    target: Arc<str>,
    /// The agent who is rung.
    agent: Option<Arc<str>>,
    /// Trunks tried so far.
    tries: u32,
    /// What is known of the caller, in clips, where that is whispered.
    #[serde(default)]
    said: Vec<Arc<str>>,
    /// How much of what the caller said last they are told, where it is kept.
    #[serde(default)]
    words: Option<Duration>,
    whisper: Option<Whisper>,
}

/// What the call is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// The AI is muted (`release` it if so); the caller waits.
    CallerWaits { release: bool },
    /// Dial `target` as `leg`: at this phone, when it names an account of ours that is registered.
    Dial { leg: LegId, target: Arc<str>, phone: Option<Arc<signaling::Contact>>, attempt: u32 },
    /// Ask the caller's trunk to call them to `target`, or answer that it cannot be asked.
    Refer { target: Arc<str> },
    /// The caller waits for an agent of the destination's queue; the answer is [`Transfer::queued`] or [`Transfer::not_queued`].
    Wait,
    /// The caller leaves a message; the transfer is over.
    Voicemail { mailbox: Arc<str> },
    /// Give `leg` up.
    Drop { leg: LegId },
    /// Listen whether a machine has answered `leg`, or no longer; the answer is [`Transfer::answerer`].
    Listen { leg: LegId, on: bool },
    /// Let the AI introduce the caller to `leg`, or join them where there is no AI; the answer is [`Transfer::introducing`].
    Introduce { leg: LegId },
    /// Join the caller and `leg`; the transfer is over.
    Bridge { leg: LegId },
    /// The caller is called back, if they can be; the answer is [`Transfer::not_queued`] where they cannot.
    CallBack,
    /// The AI takes a message; the transfer is over.
    TakeMessage,
    /// Give the caller to the AI; the transfer is over.
    ToAi { profile: Option<Arc<str>> },
    /// End the call; the transfer is over.
    End,
}

/// What it answers to each input.
pub(crate) type Acts = SmallVec<[Act; 4]>;

impl Transfer {
    /// A transfer that begins now. `ai` is whether an AI has the caller, `copilot` whether one stays with them and a human.
    pub(crate) fn begin(
        step: &mut Step<'_>,
        id: TransferId,
        source: Source,
        spec: TransferSpec,
        ai: bool,
        copilot: bool,
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
            candidates: Vec::new(),
            handoff_silence_ms: None,
        };
        step.publish(Happening::TransferStarted { transfer: id, to: spec.to.to_string(), mode: spec.mode, source });
        let mut hears = spec.caller_hears.clone();
        if let policy::Hold::Music(music) = &hears.then {
            hears.then = step.config.media.hold(music);
        }
        let first = Manner { start: spec.start, drain_max: spec.drain_max, hears };
        let until = step.now.monotonic + first.drain_max;
        let mut transfer = Box::new(Self {
            record,
            chain: FailureChain::new(&spec),
            first,
            side: Side::LastWords { until, quiet: false, spoke: false },
            targets: VecDeque::new(),
            redirections: Redirections::default(),
            queue: None,
            attempts: Vec::new(),
            won: None,
            last: None,
            dialling: false,
            referring: Referring::default(),
            ai,
            copilot,
            player,
            began: step.now.monotonic,
            spec,
        });
        let mut acts = Acts::new();
        if !ai || transfer.first.start == Start::Now {
            transfer.caller_waits(step, &mut acts);
        } else {
            step.arm_at(Timer::LastWords, until);
            if transfer.spec.predial && !transfer.refers_first() && !transfer.is_voicemail() {
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

    /// The AI posted `ready`: it has said its last words, or told the human what they should know.
    pub(crate) fn ai_ready(&mut self, step: &mut Step<'_>) -> Acts {
        let mut acts = Acts::new();
        match self.side {
            Side::LastWords { .. } if self.first.start == Start::OnReady => self.caller_waits(step, &mut acts),
            Side::LastWords { .. } => {}
            Side::Waiting { .. } => self.all_briefed(step, &mut acts),
            Side::Introducing { .. } => acts = self.introduced(step, IntroductionEnd::Ready),
        }
        acts
    }

    /// The AI's leg is gone: the transfer goes on without its voice.
    pub(crate) fn ai_gone(&mut self, step: &mut Step<'_>) -> Acts {
        self.ai = false;
        let mut acts = self.introduced(step, IntroductionEnd::AiLost);
        acts.extend(self.last_words_over(step));
        self.all_briefed(step, &mut acts);
        acts
    }

    /// `drain_max` is over.
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
        let release = self.release_ai() == ReleaseAi::AtOnce;
        self.ai &= !release;
        acts.push(Act::CallerWaits { release });
        match self.won {
            Some(leg) => acts.push(self.joining(leg)),
            None if !self.dialling => self.reach(step, acts),
            None => {}
        }
        match release {
            true => self.all_briefed(step, acts),
            false => self.briefing_begins(step),
        }
    }

    /// What the caller hears, when they wait already.
    pub(crate) fn caller_hears(&self) -> Option<Playing> {
        let Side::Waiting { announced } = self.side else { return None };
        let hears = &self.first.hears;
        let first = hears.say.iter().filter(|_| announced).cloned().collect();
        let then = hears.then.clone().into();
        match self.queue.as_ref().and_then(Queueing::says) {
            Some((number, first)) => Some(Playing { number: self.player + number, first, words: None, then }),
            None => Some(Playing { number: self.player, first, words: None, then }),
        }
    }

    /// Until when the AI may speak its last words.
    pub(crate) fn speak_until(&self) -> Option<Monotonic> {
        match self.side {
            Side::LastWords { until, .. } => Some(until),
            Side::Waiting { .. } | Side::Introducing { .. } => None,
        }
    }

    // ---- for the call

    /// When the AI leaves: as somebody has said; else a co-pilot stays what it is.
    pub(crate) fn release_ai(&self) -> ReleaseAi {
        if self.copilot && !self.spec.release_said { ReleaseAi::Stay } else { self.spec.release_ai }
    }

    /// Its id.
    pub(crate) fn id(&self) -> TransferId {
        self.record.id
    }

    /// What `leg` hears before the bridge, and of whom; `None` when it is not an answered attempt.
    pub(crate) fn candidate(&self, leg: LegId, caller: Option<PortId>) -> Option<Option<Playing>> {
        let attempt = self.attempts.iter().find(|attempt| attempt.leg == leg)?;
        attempt.whisper.as_ref().map(|whisper| whisper.hears(caller))
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

    /// Whether it is the caller's own call to somebody, with no AI before it.
    pub(crate) fn is_bypass(&self) -> bool {
        self.record.source == Source::Bypass
    }

    /// It is over: every timer is disarmed and everybody who has not won is given up. The legs to drop.
    pub(crate) fn finish(&mut self, step: &mut Step<'_>, state: TransferState) -> SmallVec<[LegId; 4]> {
        step.disarm(Timer::LastWords);
        step.disarm(Timer::Quiet);
        self.not_introduced(step);
        self.leave_queue(
            step,
            match state {
                TransferState::Bridged => QueueOutcome::Connected,
                TransferState::Cancelled => QueueOutcome::Cancelled,
                TransferState::Failed | TransferState::Voicemail => QueueOutcome::Overflow,
                _ => QueueOutcome::Abandoned,
            },
        );
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
        self.refer_closed(step, state);
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
