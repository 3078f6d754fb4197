//! A caller who will be called back, or leaves a message: what outlives the call.

use super::Call;
use crate::{
    Callback, CallbackId, CallbackState, EndCause, Happening, Kept, Message, MessageId, TransferState,
    step::{Step, Timer},
    transfer::Acts,
};
use core::time::Duration;
use policy::{Cause, Event, Place};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Callbacks that the AI may ask for in one call: for the caller, and whomever else they name.
const MOST_CALLBACKS: u32 = 3;
/// Messages of one call.
const MOST_MESSAGES: u32 = 10;
/// Bytes of the context, as JSON, that go along with a callback.
const LARGEST_CONTEXT: usize = 8 << 10;
/// A caller is promised nothing that was not kept by then: the next step is taken.
const KEPT_WITHIN: Duration = Duration::from_secs(2);

/// What the AI has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    callbacks: u32,
    messages: u32,
}

/// A callback that the caller is told of once it is kept. The timer is [`Timer::Kept`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promise {
    callback: CallbackId,
    /// They waited in that list already.
    again: bool,
    prompt: Arc<str>,
}

impl Call {
    /// A transfer has come to a callback: once it is kept the caller is told and the call ends; else the next step is taken.
    pub(super) fn take_callback(&mut self, step: &mut Step<'_>) -> Acts {
        let Some(transfer) = &self.transfer else { return Acts::new() };
        let Place::Callback(place) = &transfer.spec.place else { return Acts::new() };
        let place = place.clone();
        let failed = transfer.last_failure().map(|(cause, _)| cause.name().to_owned());
        let reason = failed.or_else(|| transfer.spec.rule.as_deref().map(str::to_owned));
        let why = match self.request_callback(step, place.list.as_deref(), None, None, reason) {
            Ok((callback, again)) => {
                self.promise = Some(Promise { callback, again, prompt: place.prompt() });
                step.arm(Timer::Kept, KEPT_WITHIN);
                return Acts::new();
            }
            Err(why) => why,
        };
        tracing::info!(call = %step.id, why, "the caller cannot be called back: the next step");
        let Some(transfer) = &mut self.transfer else { return Acts::new() };
        transfer.not_queued(step, Cause::Unreachable)
    }

    /// Whether the caller is told as soon as this callback is kept.
    pub(crate) fn promises(&self, callback: CallbackId) -> bool {
        self.promise.as_ref().is_some_and(|promise| promise.callback == callback)
    }

    /// The callback that the caller waits to be told of is kept, or is not.
    pub(crate) fn callback_stored(&mut self, step: &mut Step<'_>, kept: bool) {
        self.callback_kept(step, kept);
        self.settle(step);
    }

    /// It is kept, and the caller can be told; or it is not, or not in time ([`Timer::Kept`]), and the next step is taken.
    pub(super) fn callback_kept(&mut self, step: &mut Step<'_>, kept: bool) {
        let Some(promise) = self.promise.take() else { return };
        step.disarm(Timer::Kept);
        if kept {
            self.finish_transfer(step, TransferState::Callback);
            self.announce_and_end(step, promise.prompt, EndCause::Callback);
            return;
        }
        tracing::warn!(call = %step.id, callback = %promise.callback, "the callback could not be kept: the next step");
        promise.withdraw(step);
        self.with_transfer(step, |transfer, step| transfer.not_queued(step, Cause::Failed));
    }

    /// The transfer is over otherwise: nobody is told any more. A caller who hung up is called back all the same.
    pub(super) fn forget_promise(&mut self, step: &mut Step<'_>, state: TransferState) {
        let Some(promise) = self.promise.take() else { return };
        step.disarm(Timer::Kept);
        if state == TransferState::Cancelled {
            promise.withdraw(step);
        }
    }

    /// A transfer has come to a message: the AI takes it.
    pub(super) fn message_for_ai(&mut self, step: &mut Step<'_>) {
        let Some(transfer) = &self.transfer else { return };
        let cause = transfer.last_failure().map(|(cause, _)| cause);
        step.publish(Happening::MessageWanted { transfer: transfer.id(), cause });
        self.transfer_to_ai_for(step, None, Some("take_message"));
    }

    /// Keeps what an event of the AI asks to be kept.
    pub(super) fn keep(&mut self, step: &mut Step<'_>, event: &Event) -> Option<Kept> {
        match event {
            Event::CallbackRequested { number, at, reason } => {
                if self.requested.callbacks >= MOST_CALLBACKS {
                    return Some(Kept::Refused(format!("at most {MOST_CALLBACKS} callbacks are taken from one call")));
                }
                let asked = self.request_callback(step, None, number.as_deref(), at.clone(), reason.clone());
                self.requested.callbacks += u32::from(asked.is_ok());
                Some(asked.map_or_else(|why| Kept::Refused(why.to_owned()), |(callback, _)| Kept::Callback(callback)))
            }
            Event::Message { text } => {
                if self.requested.messages >= MOST_MESSAGES {
                    return Some(Kept::Refused(format!("at most {MOST_MESSAGES} messages are taken from one call")));
                }
                self.requested.messages += 1;
                Some(Kept::Message(self.keep_message(step, text)))
            }
            _ => None,
        }
    }

    fn keep_message(&self, step: &mut Step<'_>, text: &str) -> MessageId {
        let id = MessageId::generate(step.now, &mut step.shared.chance);
        let (from, text) = (self.about.from.clone(), text.to_owned());
        step.publish(Happening::MessageLeft { message: id, from: from.clone(), text: text.clone() });
        let (call, line) = (step.id, self.about.line.to_string());
        let left = step.time();
        step.shared.directory.keep_message(Message { id, call, line, from, text, left, read: None });
        id
    }

    /// The caller, or whomever they name, is to be called back, and whether they waited for that already; or why they cannot be.
    fn request_callback(
        &self,
        step: &mut Step<'_>,
        list: Option<&str>,
        number: Option<&str>,
        at: Option<String>,
        reason: Option<String>,
    ) -> Result<(CallbackId, bool), &'static str> {
        let written = number.or(self.about.from.as_deref()).ok_or("the caller's number is withheld")?;
        let config = Arc::clone(step.config);
        let plain: String = written.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
        // A number is written as it is where the call comes from.
        let number =
            config.trunks.get(&self.about.trunk).map_or(plain.clone(), |trunk| trunk.numbers.canonical(&plain));
        if !config.callbacks.allows(&number) || config.dialling.refuses(&number) {
            return Err("the number is not one that may be called back");
        }
        let time = step.time();
        let asked = Callback {
            id: CallbackId::generate(step.now, &mut step.shared.chance),
            call: step.id,
            line: self.about.line.to_string(),
            ai: self.about.ai.clone(),
            list: list.map_or_else(|| self.about.line.to_string(), str::to_owned),
            number: number.clone(),
            called: self.about.to.clone(),
            reason: reason.clone(),
            at: at.clone(),
            requested: time,
            state: CallbackState::Open,
            agent: None,
            changed: time,
            tries: 0,
            outcome: None,
            tried_in: None,
            context: bounded(self.facts.context()),
        };
        let (new, list) = (asked.id, asked.list.clone());
        let kept = step.shared.directory.request_callback(asked, config.callbacks.bounds());
        let callback = kept.ok_or("as many callers as can be wait to be called back")?;
        let again = callback != new;
        step.publish(Happening::CallbackRequested { callback, list, number, at, reason, again });
        Ok((callback, again))
    }
}

impl Promise {
    /// Nobody was told, so nobody is called; who waited in the list before goes on waiting.
    fn withdraw(&self, step: &mut Step<'_>) {
        if !self.again {
            // Whoever is calling them already may go on.
            let _ = step.shared.directory.finish_callback(self.callback, Some("not_kept".to_owned()), step.now);
        }
    }
}

/// As many keys as fit.
fn bounded(context: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut left = LARGEST_CONTEXT;
    let fits = |(key, value): &(&String, &Value)| {
        let size = key.len() + value.to_string().len();
        let fits = size <= left;
        left -= if fits { size } else { 0 };
        fits
    };
    context.iter().filter(fits).map(|(key, value)| (key.clone(), value.clone())).collect()
}
