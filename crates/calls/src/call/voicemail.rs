//! A caller who leaves a message.
//!
//! ```text
//!  Act::Voicemail ──> greeting, beep ──played, [`Timer::Voicemail`]──> message ──silence ([`Timer::VoicemailQuiet`]), limit
//!                        │                                                │      ([`Timer::Voicemail`]), `#`──> the call ends
//!                        └── the caller hangs up, the call goes on ──┬────┘
//!                                                                    v
//!                                    the message is kept, or thrown away where it is too short
//! ```
//! The tap on the caller's port begins with the beep's end: nothing from before can be in the file.

use super::{Call, Stage};
use crate::{
    EndCause, Happening, MessageEnd, MessageOrder, Party, RecordOrder, TransferState, VoicemailId, VoicemailRecord,
    plan::{Playing, Then},
    step::{Step, Timer},
};
use clock::Monotonic;
use core::time::Duration;
use media_relay::{CallKey, Command, PortId, Tap, TapId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The beep, which every library has.
const BEEP: &str = "beep";
/// A greeting that does not report its end by then has ended.
pub(super) const LONGEST_GREETING: Duration = Duration::from_secs(120);
/// Messages of one call that its record tells of.
const MOST_TOLD: usize = 16;

/// A message that is being left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    id: VoicemailId,
    mailbox: Arc<str>,
    began: Monotonic,
    started: crate::Time,
    /// Since when the caller has said nothing.
    quiet: Option<Monotonic>,
    /// The caller's port, while it is tapped.
    tapped: Option<PortId>,
    ended_by: Option<MessageEnd>,
    /// What its disk refused it with.
    failed: Option<String>,
}

/// The message of a call, one at a time: its number is the call's, beside that of the call's recording.
pub(crate) fn message_tap(call: CallKey) -> TapId {
    TapId(call.0 | 1 << 63)
}

impl Call {
    /// The transfer came to a mailbox that is there: greeting, then beep. Whoever else is in the call leaves.
    pub(super) fn greet(&mut self, step: &mut Step<'_>, mailbox: &Arc<str>) {
        if !self.answer_caller(step, None, Party::Caller) {
            return;
        }
        let greeting = step.config.mailboxes.get(&**mailbox).and_then(|mailbox| mailbox.greeting.clone());
        let first = greeting.into_iter().chain([BEEP.into()]).collect();
        let playing = Playing { number: self.new_player(), first, words: None, then: Then::Silence };
        self.stage = Stage::Voicemail { playing, mailbox: Arc::clone(mailbox) };
        // The greeting begins in the command that takes the music away; only then may anybody leave.
        self.replan(step);
        self.finish_transfer(step, TransferState::Voicemail);
        self.stop_measuring(step);
        if let Some(ai) = self.ai.take() {
            self.drop_leg(step, ai);
        }
        self.release_parked(step);
        step.arm(Timer::Voicemail, LONGEST_GREETING);
        step.publish(Happening::VoicemailStarted { mailbox: mailbox.to_string() });
    }

    /// [`Timer::Voicemail`].
    pub(super) fn voicemail_timeout(&mut self, step: &mut Step<'_>) {
        if self.message.is_some() {
            self.message_over(step, MessageEnd::Limit);
        } else {
            self.greeted(step);
        }
    }

    /// The beep is over: what the caller says from now on is the message.
    pub(super) fn greeted(&mut self, step: &mut Step<'_>) {
        let Stage::Voicemail { mailbox, .. } = &self.stage else { return };
        let config = step.config.mailboxes.get(&**mailbox).cloned().unwrap_or_default();
        if self.message.is_some() {
            return;
        }
        let (id, now) = (VoicemailId::generate(step.now, &mut step.shared.chance), step.now.monotonic);
        let quiet = self.facts.view(step.now).silence_s.map(|_| now);
        step.arm(Timer::Voicemail, config.longest);
        if quiet.is_some() {
            step.arm(Timer::VoicemailQuiet, config.silence);
        }
        let message = MessageOrder {
            id,
            mailbox: mailbox.to_string(),
            call: step.id,
            line: self.about.line.to_string(),
            from: self.about.from.clone(),
        };
        step.record(RecordOrder::Message { tap: message_tap(step.key), message: Box::new(message) });
        self.message = Some(Box::new(Message {
            id,
            mailbox: Arc::clone(mailbox),
            began: now,
            started: step.time(),
            quiet,
            tapped: None,
            ended_by: None,
            failed: None,
        }));
    }

    /// The caller has said nothing since.
    pub(super) fn message_quiet(&mut self, step: &mut Step<'_>, since: Monotonic) {
        let Some(message) = &mut self.message else { return };
        let since = since.max(message.began);
        message.quiet = Some(since);
        let silence = step.config.mailboxes.get(&*message.mailbox).cloned().unwrap_or_default().silence;
        step.arm_at(Timer::VoicemailQuiet, (since + silence).max(step.now.monotonic));
    }

    /// The caller speaks (again).
    pub(super) fn message_goes_on(&mut self, step: &mut Step<'_>) {
        if let Some(message) = &mut self.message {
            message.quiet = None;
            step.disarm(Timer::VoicemailQuiet);
        }
    }

    /// The message has come to its end, and with it the call.
    pub(super) fn message_over(&mut self, step: &mut Step<'_>, ended_by: MessageEnd) {
        let Some(message) = &mut self.message else { return };
        message.ended_by = Some(ended_by);
        self.end(step, EndCause::Voicemail, "us", None);
    }

    /// Its disk refuses a message.
    pub(crate) fn message_failed(&mut self, step: &mut Step<'_>, voicemail: VoicemailId, reason: String) {
        if let Some(message) = self.message.as_mut().filter(|message| message.id == voicemail) {
            message.failed = Some(reason.clone());
        }
        if let Some(record) = self.voicemails.iter_mut().find(|record| record.voicemail == voicemail) {
            record.failed = Some(reason.clone());
        }
        step.publish(Happening::VoicemailFailed { voicemail, reason });
    }

    /// Brings the tap up to where the caller is, and ends the message once the call is elsewhere. To be called after each step.
    pub(super) fn record_message(&mut self, step: &mut Step<'_>) {
        if self.message.is_none() {
            return;
        }
        let goes_on = matches!(self.stage, Stage::Voicemail { .. });
        // What a caller sends who holds us is music of their own.
        let caller = self.leg(self.caller).filter(|leg| goes_on && leg.is_up() && !leg.holds);
        let wanted = caller.and_then(|leg| leg.port);
        let tap = message_tap(step.key);
        let Some(message) = &mut self.message else { return };
        if message.tapped != wanted {
            let before = std::mem::replace(&mut message.tapped, wanted);
            for (port, received) in
                before.map(|port| (port, None)).into_iter().chain(wanted.map(|port| (port, Some(0))))
            {
                step.media(Command::Tap { port, tap: Tap { id: tap, received, sent: None } });
            }
        }
        if !goes_on {
            self.conclude_message(step);
        }
    }

    fn conclude_message(&mut self, step: &mut Step<'_>) {
        let Some(message) = self.message.take() else { return };
        step.disarm(Timer::Voicemail);
        step.disarm(Timer::VoicemailQuiet);
        let hung_up = self.end.as_ref().is_some_and(|end| end.cause == EndCause::CallerHungUp);
        let otherwise = if hung_up { MessageEnd::HungUp } else { MessageEnd::Other };
        let ended_by = message.ended_by.unwrap_or(otherwise);
        let spoken = message.quiet.unwrap_or(step.now.monotonic).since(message.began);
        let shortest = step.config.mailboxes.get(&*message.mailbox).map(|mailbox| mailbox.shortest).unwrap_or_default();
        let (tap, kept) = (message_tap(step.key), spoken >= shortest);
        let spoken_ms = u64::try_from(spoken.as_millis()).unwrap_or(u64::MAX);
        let mailbox = message.mailbox.to_string();
        if kept {
            step.record(RecordOrder::Keep { tap, ended_by });
        } else {
            step.record(RecordOrder::Discard { tap });
            step.publish(Happening::VoicemailDiscarded {
                voicemail: message.id,
                mailbox: mailbox.clone(),
                spoken_ms,
                min_ms: u64::try_from(shortest.as_millis()).unwrap_or(u64::MAX),
                ended_by,
            });
        }
        if self.voicemails.len() < MOST_TOLD {
            let started = message.started;
            let voicemail = message.id;
            self.voicemails.push(VoicemailRecord {
                voicemail,
                mailbox,
                started,
                spoken_ms,
                ended_by,
                kept,
                failed: message.failed,
            });
        }
    }
}
