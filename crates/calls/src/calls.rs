//! The room's one entrance: who owns what, one call's step at a time.

mod join;
mod outbound;
mod placing;
mod requests;
mod snapshot;

pub use snapshot::{Snapshot, Unrestorable};

use crate::{
    CallDetail, CallId, CallState, Config, Gauges, Happening, Input, LedgerNews, LegRecord, Observation, Output, Party,
    PublicEvent,
    call::{About, Call},
    directory::{Directory, Tried},
    identity::Identity,
    leg::Leg,
    step::{Shared, Step, Timer},
    story::Story,
    trunks::Trunks,
};
use clock::{Monotonic, Now, Timers};
use media_relay::CallKey;
use policy::{CallStart, Facts, RuleSet};
use rand::{SeedableRng, rngs::StdRng};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use signaling::{Command, Incoming, LegId};
use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// All calls.
#[derive(Debug)]
pub struct Core {
    config: Arc<Config>,
    rules: Arc<RuleSet>,
    /// Boxed: a map moves its entries about, and an entry is kilobytes.
    calls: BTreeMap<CallKey, Box<Entry>>,
    ids: BTreeMap<CallId, CallKey>,
    timers: Timers<CallKey>,
    shared: Shared,
    ended: VecDeque<(CallId, Box<CallDetail>)>,
    out: VecDeque<Output>,
    next_call: u64,
    /// Requests that placed a call, by their idempotency keys.
    keys: outbound::Keys,
    /// The next step panics: shows that only one call pays for it.
    #[cfg(test)]
    pub(crate) panics: bool,
}

/// A call with what its step needs beside it.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    call: Call,
    story: Story,
    timers: Timers<Timer>,
}

impl Core {
    /// A core without calls. Everything random comes from `seed`; events are numbered from the microseconds since 1970, so that no
    /// number means one thing to this process and another to the one before it.
    pub fn new(config: Arc<Config>, rules: Arc<RuleSet>, seed: u64, now: Now) -> Self {
        let before_first = u64::try_from(now.unix.as_micros()).unwrap_or(0);
        let trunks = Trunks::new(&config, now);
        let directory = Directory::new(&config.agents.people, now.monotonic);
        Self {
            config,
            rules,
            calls: BTreeMap::new(),
            ids: BTreeMap::new(),
            timers: Timers::default(),
            shared: Shared::new(StdRng::seed_from_u64(seed), trunks, directory, before_first),
            ended: VecDeque::new(),
            out: VecDeque::new(),
            next_call: 0,
            keys: outbound::Keys::default(),
            #[cfg(test)]
            panics: false,
        }
    }

    /// Keys of media come from these bytes, which nobody else knows; without them from `seed`, which is for tests alone.
    #[must_use]
    pub fn with_secret(mut self, secret: [u8; 32]) -> Self {
        self.shared.secrets = StdRng::from_seed(secret);
        self
    }

    /// Takes one input. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Signaling { leg, event: signaling::Event::Incoming(incoming) } => self.incoming(now, leg, &incoming),
            Input::Signaling { leg, event: signaling::Event::Replacing { replaces, incoming } } => {
                self.replacing(now, leg, replaces, &incoming);
            }
            Input::Signaling { leg, event: signaling::Event::Refer(refer) } => self.refer(now, leg, *refer),
            Input::Signaling { leg, event } => {
                // Late news of a leg that is gone: nobody is interested any more.
                if let Some(key) = self.shared.legs.get(&leg).copied() {
                    self.step(now, key, |call, step| call.signaling(step, leg, event));
                }
            }
            Input::Media(event) => match self.shared.ports.get(&event.port()).copied() {
                Some(key) => self.step(now, key, |call, step| call.media(step, event)),
                None => tracing::trace!(?event, "news of a port that is gone"),
            },
            Input::PortOpened { id, opened } => match self.shared.opens.remove(&id) {
                Some((key, leg)) if self.calls.contains_key(&key) => {
                    self.step(now, key, |call, step| call.port_opened(step, leg, opened));
                }
                _ => self.out.push_back(Output::Media(media_relay::Command::Close { port: opened.port })),
            },
            Input::PortFailed { id } => {
                if let Some((key, leg)) = self.shared.opens.remove(&id) {
                    self.step(now, key, |call, step| call.port_failed(step, leg));
                }
            }
            Input::Resolved { id, targets } => {
                let directory = &mut self.shared.directory;
                if let Some(targets) = directory.resolved(&self.config, now.monotonic, id, targets) {
                    if let Some(wanted) = self.shared.trunks.resolving(id) {
                        self.shared.trunks.located(&self.config, now, wanted, targets);
                    } else if let Some((key, leg)) = self.shared.resolves.remove(&id) {
                        self.step(now, key, |call, step| call.resolved(step, leg, targets));
                    }
                }
            }
            Input::Outside { id, event } => {
                if !self.shared.directory.outside(now.monotonic, id, &event) {
                    self.shared.trunks.outside(&self.config, now, id, event);
                }
            }
            Input::Request { id, request } => self.request(now, id, request),
            Input::Availability { agent, elsewhere } => {
                self.shared.directory.is_elsewhere(&agent, elsewhere, now.monotonic);
            }
            Input::Contacts { account, contacts } => {
                self.shared.directory.registered(&account, !contacts.is_empty(), now.monotonic);
                let registered = &mut self.shared.registered;
                match contacts.is_empty() {
                    true => drop(registered.remove(&account)),
                    false => drop(registered.insert(account, contacts.into_iter().map(Arc::new).collect())),
                }
            }
            Input::Recorded { call, line, what } => self.recorded(now, call, line, what),
            Input::Shown { leg } => {
                if let Some(key) = self.shared.legs.get(&leg).copied() {
                    self.step(now, key, |call, step| call.shown(step, leg));
                }
            }
            Input::Stored { id, kept } => self.stored(now, id, kept),
            Input::Ledger(news) => self.ledger(now, news),
            Input::RulesLoaded(rules) => self.rules = rules,
            Input::Configured(config) => self.config = config,
            Input::Shutdown => self.shut_down(now),
        }
        self.settle_trunks(now);
        self.settle_directory(now);
    }

    /// Fires every timer that is due. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(key) = self.timers.pop_expired(now.monotonic) {
            let Some(entry) = self.calls.get_mut(&key) else { continue };
            match entry.timers.pop_expired(now.monotonic) {
                Some(timer) => self.step(now, key, |call, step| call.timeout(step, timer)),
                None => self.rearm(key),
            }
        }
        self.shared.trunks.handle_timeout(&self.config, now);
        self.shared.directory.handle_timeout(now);
        self.shared.directory.ask(&self.config, now.monotonic);
        self.settle_trunks(now);
        self.settle_directory(now);
    }

    /// Whoever waits for an agent and can have one now is given them; what changed is told.
    fn settle_directory(&mut self, now: Now) {
        while let Some(grant) = self.shared.directory.poll_grant(now.monotonic) {
            self.step(now, grant.call, |call, step| call.granted(step, &grant.agents));
        }
        while let Some(what) = self.shared.directory.poll_happening() {
            self.shared.seq += 1;
            let (seq, time) = (self.shared.seq, now.into());
            self.out.push_back(Output::Publish(PublicEvent { seq, time, call: None, line: String::new(), what }));
        }
        while let Some(output) = self.shared.directory.poll_output() {
            self.out.push_back(output);
        }
        while let Some(observation) = self.shared.directory.poll_observation() {
            self.out.push_back(Output::Observe(observation));
        }
        while let Some((id, what)) = self.shared.poll_store() {
            self.out.push_back(Output::Store { id, what: Box::new(what) });
        }
    }

    /// Something is kept, or not: whoever waits for that goes on.
    fn stored(&mut self, now: Now, id: crate::StoreId, kept: bool) {
        let Some(callback) = self.shared.directory.stored(id, kept) else { return };
        let waiting: Vec<CallKey> =
            self.calls.iter().filter(|(_, entry)| entry.call.promises(callback)).map(|(key, _)| *key).collect();
        for key in waiting {
            self.step(now, key, |call, step| call.callback_stored(step, kept));
        }
    }

    /// How the ledger is.
    fn ledger(&mut self, now: Now, news: LedgerNews) {
        let what = match news {
            LedgerNews::Opened(restored) => {
                return self.shared.directory.restore(*restored, self.config.callbacks.bounds(), now);
            }
            LedgerNews::Failing { reason } => Happening::LedgerFailing { reason },
            LedgerNews::Working => {
                self.shared.directory.store_again();
                Happening::LedgerWorking {}
            }
        };
        self.shared.seq += 1;
        let (seq, time) = (self.shared.seq, now.into());
        self.out.push_back(Output::Publish(PublicEvent { seq, time, call: None, line: String::new(), what }));
    }

    /// What came of a recording; mostly when its call has ended.
    fn recorded(&mut self, now: Now, call: CallId, line: String, what: crate::Recorded) {
        let what = match (what, self.ids.get(&call).copied()) {
            (crate::Recorded::MessageFailed { voicemail, reason }, Some(key)) => {
                return self.step(now, key, |call, step| call.message_failed(step, voicemail, reason));
            }
            (crate::Recorded::MessageFailed { voicemail, reason }, None) => {
                Happening::VoicemailFailed { voicemail, reason }
            }
            (crate::Recorded::Uploaded(uploaded), _) => {
                let crate::Uploaded { voicemail, to, bytes, waited_ms, attempts, kept } = *uploaded;
                Happening::RecordingUploaded { voicemail, to, bytes, waited_ms, attempts, kept }
            }
            (crate::Recorded::UploadFailed { voicemail, reason, attempts, retry_ms, waited_ms }, _) => {
                Happening::RecordingUploadFailed { voicemail, reason, attempts, retry_ms, waited_ms }
            }
            (crate::Recorded::Message(left), _) => Happening::VoicemailLeft {
                voicemail: left.voicemail,
                mailbox: left.mailbox,
                from: left.from,
                duration_ms: left.duration_ms,
                bytes: left.bytes,
                file: left.file,
                ended_by: left.ended_by,
                complete: left.complete,
                encrypted: !left.encrypted_to.is_empty(),
                recipients: left.encrypted_to,
            },
            (crate::Recorded::Failed { reason }, Some(key)) => {
                return self.step(now, key, |call, step| call.recording_failed(step, &reason));
            }
            (crate::Recorded::Failed { reason }, None) => Happening::RecordingFailed { reason },
            (crate::Recorded::Finished { duration_ms, paused_ms, bytes, complete, encrypted_to }, _) => {
                let encrypted = !encrypted_to.is_empty();
                let recipients = encrypted_to;
                Happening::RecordingFinished { duration_ms, paused_ms, bytes, complete, encrypted, recipients }
            }
        };
        self.shared.seq += 1;
        let (seq, time) = (self.shared.seq, now.into());
        self.out.push_back(Output::Publish(PublicEvent { seq, time, call: Some(call), line, what }));
    }

    /// What the trunks want done and told.
    fn settle_trunks(&mut self, now: Now) {
        while let Some(output) = self.shared.trunks.poll_output() {
            self.out.push_back(output);
        }
        while let Some(what) = self.shared.trunks.poll_happening() {
            self.shared.seq += 1;
            let (seq, time) = (self.shared.seq, now.into());
            self.out.push_back(Output::Publish(PublicEvent { seq, time, call: None, line: String::new(), what }));
        }
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        let directory = self.shared.directory.poll_timeout();
        [self.timers.next_timeout(), self.shared.trunks.poll_timeout(), directory].into_iter().flatten().min()
    }

    /// What exists at the moment.
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        for entry in self.calls.values() {
            entry.call.count(&mut gauges);
            gauges.timers += entry.timers.len();
        }
        gauges.ports = self.shared.ports.len();
        gauges.outstanding += self.shared.opens.len() + self.shared.resolves.len();
        gauges
    }

    /// How many entries each table has, by name: whoever runs for long looks at what stays.
    pub fn tables(&self) -> Vec<(&'static str, usize)> {
        let shared = &self.shared;
        let mut all = vec![
            ("calls.calls", self.calls.len()),
            ("calls.ids", self.ids.len()),
            ("calls.timers", self.timers.len()),
            ("calls.ended", self.ended.len()),
            ("calls.legs", shared.legs.len()),
            ("calls.ports", shared.ports.len()),
            ("calls.opens", shared.opens.len()),
            ("calls.resolves", shared.resolves.len()),
            ("calls.transfers", shared.transfers.len()),
            ("calls.registered", shared.registered.len()),
            ("calls.rests", shared.rests.len()),
            ("calls.out", self.out.len()),
        ];
        all.extend(shared.trunks.tables());
        all.extend(shared.directory.tables());
        all
    }

    /// Each trunk's name, and whether it takes calls.
    pub fn trunks_up(&self) -> impl Iterator<Item = (&str, bool)> {
        self.shared.trunks.up()
    }

    /// Each trunk's name, and whether it asked to be left alone.
    pub fn trunks_resting(&self, now: Now) -> impl Iterator<Item = (&str, bool)> {
        self.shared.trunks.resting(now.monotonic)
    }

    /// How many next hops asked to be left alone (503 with Retry-After), and how many INVITEs that has kept back since birth.
    pub fn rests(&self, now: Now) -> (usize, u64) {
        (self.shared.rests.count(now.monotonic), self.shared.rests.spared)
    }

    /// How many agents are in each state, in the order of [`policy::AgentState::ALL`].
    pub fn agents_by_state(&self, now: Now) -> [usize; policy::AgentState::ALL.len()] {
        self.shared.directory.by_state(now.monotonic)
    }

    /// How many callbacks are in each state, in the order of [`crate::CallbackState::ALL`].
    pub fn callbacks_by_state(&self) -> [usize; crate::CallbackState::ALL.len()] {
        self.shared.directory.callbacks_by_state()
    }

    /// How many callers wait in each queue.
    pub fn queue_lengths(&self) -> impl Iterator<Item = (&str, usize)> {
        self.shared.directory.lengths()
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    // ---- a caller comes

    fn incoming(&mut self, now: Now, leg: LegId, incoming: &Incoming) {
        let address = incoming.flow.remote.ip();
        let trunks = &self.shared.trunks;
        let allowed = |name: &str, trunk: &crate::Trunk| {
            let within = trunk.allowed.iter().filter(|network| network.contains(address));
            let located = trunk.allow_located && trunks.is_located_at(name, address);
            // A trunk that shows a password is never known by its address alone, and its password opens no other.
            let shown =
                trunk.gated == (incoming.gate.as_deref() == Some(name)) && (trunk.gated || incoming.gate.is_none());
            within.map(|network| network.prefix).chain(located.then_some(u8::MAX)).max().filter(|_| shown)
        };
        // The narrowest network decides where several trunks share an address block.
        let found = self.config.trunks.iter().filter_map(|(name, trunk)| Some((allowed(name, trunk)?, name, trunk)));
        let found = match &incoming.account {
            Some(_) => Some((crate::AGENTS, &self.config.agents.caller)),
            None => found.max_by_key(|(prefix, ..)| *prefix).map(|(_, name, trunk)| (name.as_str(), trunk)),
        };
        let Some((name, trunk)) = found else {
            return self.refuse(leg, None, 403);
        };
        let name = name.to_owned();
        let mut called = match user_of(&incoming.request_uri) {
            Some(user) => user,
            // RFC 5031: a service has no user.
            None if crate::Route::is_emergency(&incoming.request_uri) => incoming.request_uri.clone(),
            None => String::new(),
        };
        // Calls through a registration come to its Contact; whom they are for stands in To.
        if trunk.register.as_ref().is_some_and(|register| register.user == called) {
            called = incoming.to.user().map(unescape).unwrap_or(called);
        }
        let written = called;
        let mut called = trunk.numbers.canonical(&written);
        let identity = Identity::read(incoming, trunk);
        let from = identity.number.clone();
        let full = self.calls.len() >= self.config.limits.calls;
        let Some(route) = self.config.routes.iter().find(|route| route.matches(&called, &written, &name)) else {
            return self.refuse(leg, Some(name), if full { 503 } else { 404 });
        };
        if !route.bypass.is_empty() {
            // Whoever calls for help is not counted first.
            self.shared.trunks.admit_anyway(&name);
            if crate::Route::is_emergency(&written) {
                called = written;
            }
        } else if full || self.shared.trunks.admit(trunk, &name, now.monotonic).is_err() {
            return self.refuse(leg, Some(name), 503);
        }
        let terms = trunk.terms();
        let (line, ai): (Arc<str>, String) = (route.line.as_str().into(), route.ai.clone());
        let bypass = route.bypass.clone();
        self.next_call += 1;
        let key = CallKey(self.next_call);
        let id = CallId::generate(now, &mut self.shared.chance);
        let about = About {
            id,
            line: Arc::clone(&line),
            trunk: name.clone(),
            ai: ai.clone(),
            bypass,
            from: from.clone(),
            identity,
            to: called.clone(),
            sip_call_id: incoming.call_id.clone(),
            local: incoming.flow.local,
            max_forwards: incoming.max_forwards,
            user_to_user: incoming.header("User-to-User").map(str::to_owned),
            started: now.into(),
            began: now.monotonic,
        };
        let record = LegRecord {
            name: "caller".to_owned(),
            party: Party::Caller,
            peer: plain(&incoming.from.uri),
            via: name.clone(),
            setup: now.into(),
            ringing: None,
            answered: None,
            ended: None,
            sip_code: None,
            ended_by: None,
            reason: None,
            codec: None,
            media: None,
        };
        let start = CallStart {
            line: Some(Arc::clone(&line)),
            caller: from.as_deref().map(Arc::from),
            called: Some(called.as_str().into()),
            trunk: Some(name.as_str().into()),
            profile: Some(ai.as_str().into()).filter(|_| !ai.is_empty()),
            direction: policy::Direction::Inbound,
        };
        let listening = self.config.ai.get(&ai).map(|profile| Arc::clone(&profile.listening)).unwrap_or_default();
        let facts = Facts::new(start, listening, now);
        let mut story = Story::new(Arc::clone(&line));
        let mut timers = Timers::default();
        let mut step = Step {
            now,
            config: &self.config,
            rules: &self.rules,
            key,
            id,
            timers: &mut timers,
            story: &mut story,
            shared: &mut self.shared,
            out: &mut self.out,
        };
        let own = self.config.trunks.get(&*name).map(|trunk| &trunk.codecs);
        let codecs = self.config.media.codecs_of(own);
        let caller = match Leg::incoming(&mut step, leg, record, incoming, terms, codecs) {
            Ok(caller) => caller,
            Err(refusal) => {
                self.shared.trunks.leave(&name);
                return self.refuse(leg, Some(name), refusal.status);
            }
        };
        step.publish(Happening::CallStarted {
            trunk: name.clone(),
            line: line.to_string(),
            ai,
            from,
            to: called,
            sip_call_id: incoming.call_id.clone(),
            direction: policy::Direction::Inbound,
            campaign: None,
        });
        if let Some(account) = &incoming.account {
            self.shared.directory.calls_out(account, leg, key, now.monotonic);
        }
        self.ids.insert(id, key);
        self.calls.insert(key, Box::new(Entry { call: Call::new(about, caller, facts), story, timers }));
    }

    fn refuse(&mut self, leg: LegId, trunk: Option<String>, status: u16) {
        let overload = status == 503;
        let headers = if overload { vec![("Retry-After".to_owned(), "10".to_owned())] } else { Vec::new() };
        self.out.push_back(Output::Signaling(Command::Reject { leg, status, reason: None, headers }));
        self.out.push_back(Output::Observe(Observation::Refused { trunk, status, overload }));
    }

    // ---- one call's step

    /// Runs one call's step. A panic in it ends this call and no other.
    fn step(&mut self, now: Now, key: CallKey, act: impl FnOnce(&mut Call, &mut Step<'_>)) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let id = entry.call.about.id;
        #[cfg(test)]
        let panics = std::mem::take(&mut self.panics);
        let (config, rules) = (&self.config, &self.rules);
        let (shared, out) = (&mut self.shared, &mut self.out);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let Entry { call, story, timers } = &mut **entry;
            let mut step = Step { now, config, rules, key, id, timers, story, shared, out };
            act(call, &mut step);
            #[cfg(test)]
            assert!(!panics, "a step that panics, by order of a test");
            call.is_over()
        }));
        match outcome {
            Ok(true) => self.remove(now, key),
            Ok(false) => self.rearm(key),
            Err(_) => self.panicked(now, key),
        }
    }

    fn rearm(&mut self, key: CallKey) {
        match self.calls.get(&key).and_then(|entry| entry.timers.next_timeout()) {
            Some(at) => self.timers.set(key, at),
            None => {
                self.timers.cancel(key);
            }
        }
    }

    /// The call's own state can no longer be trusted; who owns which leg and port is known beside it.
    fn panicked(&mut self, now: Now, key: CallKey) {
        let Some(entry) = self.calls.get_mut(&key) else { return };
        let call = entry.call.about.id;
        tracing::error!(%call, "a defect ended this call; please report the panic above");
        entry.call.end_by_force(now.into());
        let legs: Vec<LegId> = owned(&self.shared.legs, key);
        let ports: Vec<media_relay::PortId> = owned(&self.shared.ports, key);
        for leg in legs {
            self.out.push_back(Output::Signaling(Command::Hangup { leg, reason: None }));
        }
        for port in ports {
            self.out.push_back(Output::Media(media_relay::Command::Close { port }));
        }
        self.out.push_back(Output::Record(crate::RecordOrder::Finish { tap: media_relay::TapId(key.0) }));
        let (tap, ended_by) = (crate::call::message_tap(key), crate::MessageEnd::Other);
        self.out.push_back(Output::Record(crate::RecordOrder::Keep { tap, ended_by }));
        self.out.push_back(Output::Observe(Observation::Panicked { call }));
        self.remove(now, key);
    }

    /// The call is over: its record goes out, nothing of it stays but what the API may still ask for.
    fn remove(&mut self, now: Now, key: CallKey) {
        let Some(mut entry) = self.calls.remove(&key) else { return };
        let id = entry.call.about.id;
        self.timers.cancel(key);
        self.ids.remove(&id);
        if entry.call.is_over() {
            debug_assert!(owned(&self.shared.legs, key).is_empty() && owned(&self.shared.ports, key).is_empty());
        } else {
            self.shared.legs.retain(|_, owner| *owner != key);
            entry.call.leg_ids().for_each(|leg| self.shared.trunks.release(leg));
            self.shared.ports.retain(|_, owner| *owner != key);
        }
        for transfer in &entry.story.transfers {
            self.shared.transfers.remove(&transfer.id);
        }
        if !entry.call.is_placed() {
            self.shared.trunks.leave(&entry.call.about.trunk);
        } else if entry.call.is_to_person() {
            self.shared.placed.leave(entry.call.campaign());
        }
        let bounds = self.config.callbacks.bounds();
        self.shared.directory.callback_tried(key, Tried::NoAgent("the call ended"), bounds, now);
        self.shared.directory.call_gone(key, now.monotonic);
        let step = Step {
            now,
            config: &self.config,
            rules: &self.rules,
            key,
            id,
            timers: &mut entry.timers,
            story: &mut entry.story,
            shared: &mut self.shared,
            out: &mut self.out,
        };
        let mut detail = entry.call.detail(&step);
        let cdr = entry.call.cdr(&step, &detail);
        detail.summary.state = CallState::Ended;
        self.out.push_back(Output::Cdr(Box::new(cdr)));
        if self.config.limits.ended_calls > 0 {
            if self.ended.len() >= self.config.limits.ended_calls {
                self.ended.pop_front();
            }
            self.ended.push_back((id, Box::new(detail)));
        }
    }

    fn shut_down(&mut self, now: Now) {
        let keys: Vec<CallKey> = self.calls.keys().copied().collect();
        for key in keys {
            self.step(now, key, Call::shut_down);
            self.remove(now, key);
        }
        self.shared.trunks.shut_down();
    }
}

fn owned<K: Copy + Ord>(index: &FxHashMap<K, CallKey>, key: CallKey) -> Vec<K> {
    let mut owned: Vec<K> = index.iter().filter(|(_, owner)| **owner == key).map(|(id, _)| *id).collect();
    owned.sort_unstable();
    owned
}

/// What a peer wrote, without control characters and not too long for a record.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(512).collect()
}

/// The user of a request URI.
fn user_of(uri: &str) -> Option<String> {
    let party = signaling::Party { display: String::new(), uri: uri.to_owned() };
    party.user().map(unescape)
}

/// `%2B49…` as some peers write it. Anything that is not a plain character afterwards stays as it was.
pub(crate) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let byte = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(u8::is_ascii_graphic) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            None => {
                plain.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests;
