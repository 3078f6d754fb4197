//! Callbacks by command: claimed, dialled, done.

use super::{Core, Entry};
use crate::{
    CallId, Callback, CallbackAction, CallbackId, Happening, Problem,
    call::{About, Call},
    dial,
    identity::Identity,
    step::Step,
    story::Story,
};
use clock::{Now, Timers};
use media_relay::CallKey;
use policy::{CallStart, Facts};
use std::sync::Arc;

/// The longest outcome that a command may name.
const LONGEST_OUTCOME: usize = 256;

impl Core {
    pub(super) fn callback(&mut self, now: Now, id: CallbackId, action: &CallbackAction) -> Result<Callback, Problem> {
        let bounds = self.config.callbacks.bounds();
        let directory = &mut self.shared.directory;
        match action {
            CallbackAction::Show => {}
            CallbackAction::Claim(body) => directory.claim(id, &body.agent, bounds, now)?,
            CallbackAction::Release => directory.unclaim(id, now)?,
            CallbackAction::Done(body) => {
                if body.outcome.as_ref().is_some_and(|outcome| outcome.len() > LONGEST_OUTCOME) {
                    let detail = format!("at most {LONGEST_OUTCOME} bytes are kept");
                    return Err(Problem::invalid("outcome", detail));
                }
                directory.finish_callback(id, body.outcome.clone(), now)?;
            }
            CallbackAction::Dial(body) => self.dial_callback(now, id, body.agent.as_deref())?,
        }
        self.shared.directory.callback(id).cloned()
    }

    /// The agent is rung, and when they have taken it, the caller. What can be known beforehand is checked before anybody is rung.
    fn dial_callback(&mut self, now: Now, id: CallbackId, agent: Option<&str>) -> Result<(), Problem> {
        let (callback, agent) = self.shared.directory.may_dial(id, agent)?;
        let callback = callback.clone();
        if !self.config.callbacks.allows(&callback.number) {
            let detail = "the number is not one that `callbacks` of the configuration allows to be called back";
            return Err(Problem::new(422, "number-not-allowed", "this number may not be called").detail(detail));
        }
        let (target, through) = (format!("tel:{}", callback.number), self.config.callbacks.trunk.as_deref());
        if let Err(why) = dial::human(&self.config, &target, through, "", false) {
            return Err(Problem::new(409, "wrong-state", "the caller cannot be called now").detail(why));
        }
        let candidates = self.shared.directory.named(&[&agent], None, now.monotonic);
        if let Some(busy) = candidates.iter().find(|candidate| !candidate.eligible) {
            let detail = format!("{agent} {}", busy.because);
            return Err(Problem::new(409, "wrong-state", "the agent is not free").detail(detail));
        }
        let Some(local) = self.config.listeners.first().map(|listener| listener.local) else {
            return Err(Problem::new(503, "wrong-state", "there is no listener to call from"));
        };
        if self.calls.len() >= self.config.limits.calls {
            return Err(Problem::new(503, "busy", "as many calls as can be are up"));
        }
        self.next_call += 1;
        let key = CallKey(self.next_call);
        let call = CallId::generate(now, &mut self.shared.chance);
        let about = About {
            id: call,
            line: callback.line.as_str().into(),
            trunk: String::new(),
            ai: callback.ai.clone(),
            bypass: Vec::new(),
            from: Some(callback.number.clone()),
            identity: Identity::of_number(&callback.number),
            to: callback.called.clone(),
            sip_call_id: String::new(),
            local,
            max_forwards: 70,
            user_to_user: None,
            started: now.into(),
            began: now.monotonic,
        };
        let facts = self.facts_of(now, &callback);
        self.shared.next_leg += 1;
        let caller = signaling::LegId(self.shared.next_leg & (u64::MAX >> 1));
        let mut story = Story::new(Arc::clone(&about.line));
        let mut timers = Timers::default();
        let happening = Happening::CallStarted {
            trunk: String::new(),
            line: callback.line.clone(),
            ai: callback.ai.clone(),
            from: Some(callback.number.clone()),
            to: callback.called.clone(),
            sip_call_id: String::new(),
            direction: policy::Direction::Outbound,
            campaign: None,
        };
        Step {
            now,
            config: &self.config,
            rules: &self.rules,
            key,
            id: call,
            timers: &mut timers,
            story: &mut story,
            shared: &mut self.shared,
            out: &mut self.out,
        }
        .publish(happening);
        self.ids.insert(call, key);
        let placed = Call::place(about, facts, caller, id, self.config.callbacks.ring_timeout);
        self.calls.insert(key, Box::new(Entry { call: placed, story, timers }));
        self.shared.directory.dial_callback(id, &agent, (key, call), now);
        let spec = self.rules.ring_agent(&agent, self.config.callbacks.ring_timeout);
        self.step(now, key, |call, step| call.ring_first(step, spec, id));
        Ok(())
    }

    /// What was known of the caller when they asked.
    fn facts_of(&self, now: Now, callback: &Callback) -> Facts {
        let start = CallStart {
            line: Some(callback.line.as_str().into()),
            caller: Some(callback.number.as_str().into()),
            called: Some(callback.called.as_str().into()),
            trunk: None,
            profile: Some(callback.ai.as_str().into()),
            direction: policy::Direction::Outbound,
        };
        let listening = self.config.ai.get(&callback.ai).map(|profile| Arc::clone(&profile.listening));
        let mut facts = Facts::new(start, listening.unwrap_or_default(), now);
        let context = callback.context.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Err(error) = facts.merge_context(now, &context) {
            tracing::debug!(%error, "the context of a callback is left behind");
        }
        facts
    }
}
