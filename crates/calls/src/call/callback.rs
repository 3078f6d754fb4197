//! A caller who will be called back, or leaves a message: what outlives the call.

use super::Call;
use crate::{
    Callback, CallbackId, CallbackState, EndCause, Happening, Kept, Message, MessageId, TransferState, step::Step,
    transfer::Acts,
};
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

/// What the AI has asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    callbacks: u32,
    messages: u32,
}

impl Call {
    /// A transfer has come to a callback: the caller is told and the call ends, or the next step is taken.
    pub(super) fn take_callback(&mut self, step: &mut Step<'_>) -> Acts {
        let Some(transfer) = &self.transfer else { return Acts::new() };
        let Place::Callback(place) = &transfer.spec.place else { return Acts::new() };
        let place = place.clone();
        let failed = transfer.last_failure().map(|(cause, _)| cause.name().to_owned());
        let reason = failed.or_else(|| transfer.spec.rule.as_deref().map(str::to_owned));
        let Err(why) = self.request_callback(step, place.list.as_deref(), None, None, reason) else {
            self.finish_transfer(step, TransferState::Callback);
            self.announce_and_end(step, place.prompt(), EndCause::Callback);
            return Acts::new();
        };
        tracing::info!(call = %step.id, why, "the caller cannot be called back: the next step");
        let Some(transfer) = &mut self.transfer else { return Acts::new() };
        transfer.not_queued(step, Cause::Unreachable)
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
                Some(asked.map_or_else(|why| Kept::Refused(why.to_owned()), Kept::Callback))
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

    /// The caller, or whomever they name, is to be called back; or why they cannot be.
    fn request_callback(
        &self,
        step: &mut Step<'_>,
        list: Option<&str>,
        number: Option<&str>,
        at: Option<String>,
        reason: Option<String>,
    ) -> Result<CallbackId, &'static str> {
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
        step.publish(Happening::CallbackRequested { callback, list, number, at, reason, again: callback != new });
        Ok(callback)
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
