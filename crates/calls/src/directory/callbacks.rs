//! Who is to be called back, who has them, and that nobody is called twice at the same time.

use super::{Directory, Timer};
use crate::{CallId, Callback, CallbackId, CallbackState, Happening, Problem, Time};
use clock::{Monotonic, Now};
use core::time::Duration;
use media_relay::CallKey;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};

/// Callbacks that are done and can still be listed; the oldest goes.
const MOST_DONE: usize = 1_000;

/// The callbacks.
///
/// ```text
///  asked for ──> open ──claim──> claimed ──dial──> dialling ──both talk──> done
///                 ^  └──────────────dial─────────────^ │ │
///                 ├──── claim lapsed ──┘               │ │
///                 ├──── the agent did not answer ──────┘ │
///                 │        claimed <── the caller did not answer
///                 └── (from every state but dialling: done by command)
/// ```
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    table: BTreeMap<CallbackId, Callback>,
    done: VecDeque<CallbackId>,
    dialled_in: FxHashMap<CallKey, CallbackId>,
}

/// What bounds them.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) most: usize,
    /// After this long a claim that came to nothing is open again; zero: never.
    pub(crate) claim_lapses: Duration,
}

/// How a try ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tried<'a> {
    /// Agent and caller talk.
    Connected,
    /// The agent came to nothing.
    NoAgent(&'a str),
    /// The caller came to nothing.
    NoCaller(&'a str),
}

impl Callbacks {
    /// How many entries each table has.
    pub(super) fn tables(&self) -> [(&'static str, usize); 3] {
        [
            ("calls.callbacks", self.table.len()),
            ("calls.callbacks_done", self.done.len()),
            ("calls.callbacks_dialled", self.dialled_in.len()),
        ]
    }
}

impl Directory {
    /// A caller is to be called back. One who waits in this list already is told again: no second entry. `None`: the table is full.
    pub(crate) fn request_callback(&mut self, asked: Callback, bounds: Bounds) -> Option<CallbackId> {
        let table = &mut self.callbacks.table;
        let waits = |known: &&mut Callback| {
            known.state != CallbackState::Done && known.number == asked.number && known.list == asked.list
        };
        if let Some(known) = table.values_mut().find(waits) {
            known.call = asked.call;
            known.at = asked.at.or_else(|| known.at.take());
            known.reason = asked.reason.or_else(|| known.reason.take());
            known.context.extend(asked.context);
            let known = known.clone();
            self.keep_callback(&known);
            return Some(known.id);
        }
        if table.len() - self.callbacks.done.len() >= bounds.most {
            return None;
        }
        self.keep_callback(&asked);
        let id = asked.id;
        self.callbacks.table.insert(id, asked);
        Some(id)
    }

    /// Callbacks in one state, or in all, the oldest first.
    pub(crate) fn list_callbacks<'a>(
        &'a self,
        state: Option<CallbackState>,
        list: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Callback> {
        let all = self.callbacks.table.values();
        all.filter(move |it| state.is_none_or(|state| it.state == state) && list.is_none_or(|list| it.list == list))
    }

    pub(crate) fn callback(&self, id: CallbackId) -> Result<&Callback, Problem> {
        self.callbacks.table.get(&id).ok_or_else(Problem::unknown_callback)
    }

    /// How many callbacks are in each state, in the order of [`CallbackState::ALL`].
    pub(crate) fn callbacks_by_state(&self) -> [usize; CallbackState::ALL.len()] {
        let mut counts = [0; CallbackState::ALL.len()];
        for callback in self.callbacks.table.values() {
            counts[callback.state as usize] += 1;
        }
        counts
    }

    /// An agent takes a callback. Who has it may say so again.
    pub(crate) fn claim(&mut self, id: CallbackId, agent: &str, bounds: Bounds, now: Now) -> Result<(), Problem> {
        if !self.knows(agent) {
            return Err(Problem::unknown_agent());
        }
        let callback = self.callback(id)?;
        match callback.state {
            CallbackState::Open => {}
            CallbackState::Claimed if callback.agent.as_deref() == Some(agent) => {}
            _ => return Err(taken(callback)),
        }
        self.change_callback(id, now, |callback| {
            callback.state = CallbackState::Claimed;
            callback.agent = Some(agent.to_owned());
        });
        self.arm_lapse(id, bounds, now.monotonic);
        Ok(())
    }

    /// It is given back to the list.
    pub(crate) fn unclaim(&mut self, id: CallbackId, now: Now) -> Result<(), Problem> {
        let callback = self.callback(id)?;
        if matches!(callback.state, CallbackState::Dialling | CallbackState::Done) {
            return Err(taken(callback));
        }
        self.open_again(id, now);
        Ok(())
    }

    /// Nobody needs to call any more.
    pub(crate) fn finish_callback(&mut self, id: CallbackId, outcome: Option<String>, now: Now) -> Result<(), Problem> {
        let callback = self.callback(id)?;
        match callback.state {
            CallbackState::Open | CallbackState::Claimed => {}
            CallbackState::Dialling | CallbackState::Done => return Err(taken(callback)),
        }
        self.callback_done(id, outcome.unwrap_or_else(|| "by command".to_owned()), now);
        Ok(())
    }

    /// Somebody sets out to call: from now on nobody else can.
    pub(crate) fn dial_callback(&mut self, id: CallbackId, agent: &str, call: (CallKey, CallId), now: Now) {
        self.callbacks.dialled_in.insert(call.0, id);
        self.timers.cancel(Timer::Claim(id));
        self.change_callback(id, now, |callback| {
            callback.state = CallbackState::Dialling;
            callback.agent = Some(agent.to_owned());
            callback.tries = callback.tries.saturating_add(1);
            callback.tried_in = Some(call.1);
        });
    }

    /// Whether an agent may set out to call.
    pub(crate) fn may_dial(&self, id: CallbackId, agent: Option<&str>) -> Result<(&Callback, String), Problem> {
        let callback = self.callback(id)?;
        let holder = callback.agent.as_deref();
        let by = match (callback.state, agent, holder) {
            (CallbackState::Open, Some(agent), _) => agent,
            (CallbackState::Open, None, _) => {
                return Err(Problem::invalid("agent", "nobody has claimed it: who calls must be named"));
            }
            (CallbackState::Claimed, agent, Some(holder)) if agent.is_none_or(|agent| agent == holder) => holder,
            _ => return Err(taken(callback)),
        };
        if !self.knows(by) {
            return Err(Problem::unknown_agent());
        }
        Ok((callback, by.to_owned()))
    }

    /// The try in this call is over; only the first word counts.
    pub(crate) fn callback_tried(&mut self, call: CallKey, tried: Tried<'_>, bounds: Bounds, now: Now) {
        let Some(id) = self.callbacks.dialled_in.remove(&call) else { return };
        match tried {
            Tried::Connected => self.callback_done(id, "connected".to_owned(), now),
            Tried::NoAgent(why) => {
                self.set_outcome(id, format!("agent: {why}"));
                self.open_again(id, now);
            }
            Tried::NoCaller(why) => {
                self.set_outcome(id, format!("caller: {why}"));
                self.change_callback(id, now, |callback| callback.state = CallbackState::Claimed);
                self.arm_lapse(id, bounds, now.monotonic);
            }
        }
    }

    /// [`Timer::Claim`]: whoever has it did nothing with it.
    pub(super) fn claim_lapsed(&mut self, id: CallbackId, now: Now) {
        if self.callbacks.table.get(&id).is_some_and(|callback| callback.state == CallbackState::Claimed) {
            self.open_again(id, now);
        }
    }

    pub(super) fn keep_callback_of(&mut self, id: CallbackId) {
        if let Some(callback) = self.callbacks.table.get(&id).cloned() {
            self.keep_callback(&callback);
        }
    }

    /// Whoever was being called when the daemon ended is to be called again.
    pub(super) fn restore_callbacks(&mut self, restored: Vec<Callback>, bounds: Bounds, now: Now) {
        let before: Vec<CallbackId> = self.callbacks.table.keys().copied().collect();
        let kept: std::collections::BTreeSet<CallbackId> = restored.iter().map(|callback| callback.id).collect();
        for id in before.into_iter().filter(|id| !kept.contains(id)) {
            self.keep_callback_of(id);
        }
        for mut callback in restored {
            let id = callback.id;
            if self.callbacks.table.contains_key(&id) {
                self.keep_callback_of(id);
                continue;
            }
            let interrupted = callback.state == CallbackState::Dialling;
            if interrupted {
                callback.state = CallbackState::Open;
                callback.agent = None;
                callback.outcome = Some("interrupted".to_owned());
            }
            if callback.state == CallbackState::Done {
                self.callbacks.done.push_back(id);
            }
            let claimed = callback.state == CallbackState::Claimed;
            self.callbacks.table.insert(id, callback);
            if interrupted {
                self.keep_callback_of(id);
            }
            if claimed {
                self.arm_lapse(id, bounds, now.monotonic);
            }
        }
        self.forget_done();
    }

    fn arm_lapse(&mut self, id: CallbackId, bounds: Bounds, now: Monotonic) {
        if !bounds.claim_lapses.is_zero() {
            self.timers.set(Timer::Claim(id), now + bounds.claim_lapses);
        }
    }

    fn open_again(&mut self, id: CallbackId, now: Now) {
        self.timers.cancel(Timer::Claim(id));
        self.change_callback(id, now, |callback| {
            callback.state = CallbackState::Open;
            callback.agent = None;
        });
    }

    fn callback_done(&mut self, id: CallbackId, outcome: String, now: Now) {
        self.timers.cancel(Timer::Claim(id));
        self.set_outcome(id, outcome);
        self.change_callback(id, now, |callback| callback.state = CallbackState::Done);
        self.callbacks.done.push_back(id);
        self.forget_done();
    }

    fn forget_done(&mut self) {
        while self.callbacks.done.len() > MOST_DONE {
            if let Some(id) = self.callbacks.done.pop_front() {
                self.callbacks.table.remove(&id);
            }
        }
    }

    fn set_outcome(&mut self, id: CallbackId, outcome: String) {
        if let Some(callback) = self.callbacks.table.get_mut(&id) {
            callback.outcome = Some(outcome);
        }
    }

    fn change_callback(&mut self, id: CallbackId, now: Now, change: impl FnOnce(&mut Callback)) {
        let Some(callback) = self.callbacks.table.get_mut(&id) else { return };
        change(callback);
        callback.changed = Time::from(now);
        self.happenings.push_back(Happening::CallbackChanged {
            callback: id,
            state: callback.state,
            agent: callback.agent.clone(),
            tries: callback.tries,
            outcome: callback.outcome.clone(),
            tried_in: callback.tried_in,
        });
        let callback = callback.clone();
        self.keep_callback(&callback);
    }
}

fn taken(callback: &Callback) -> Problem {
    let detail = match (callback.state, callback.agent.as_deref()) {
        (CallbackState::Done, _) => "it is done".to_owned(),
        (CallbackState::Dialling, Some(agent)) => format!("{agent} is calling them"),
        (state, Some(agent)) => format!("{agent} has it: {}", state.name()),
        (state, None) => format!("it is {}", state.name()),
    };
    Problem::new(409, "callback-taken", "the callback is not free for this").detail(detail)
}
