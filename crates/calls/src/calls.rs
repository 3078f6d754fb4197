//! The room's one entrance: who owns what, one call's step at a time.

use crate::{
    CallDetail, CallId, CallList, CallState, CallSummary, Config, Gauges, Input, LegRecord, Observation, Output, Party,
    Problem, PublicEvent, Reply, Request, RequestId,
    call::{About, Call},
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
        Self {
            config,
            rules,
            calls: BTreeMap::new(),
            ids: BTreeMap::new(),
            timers: Timers::default(),
            shared: Shared::new(StdRng::seed_from_u64(seed), trunks, before_first),
            ended: VecDeque::new(),
            out: VecDeque::new(),
            next_call: 0,
            #[cfg(test)]
            panics: false,
        }
    }

    /// Takes one input. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        match input {
            Input::Signaling { leg, event: signaling::Event::Incoming(incoming) } => self.incoming(now, leg, &incoming),
            Input::Signaling { leg, event: signaling::Event::Replacing { .. } } => self.refuse(leg, None, 603),
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
                if let Some(wanted) = self.shared.trunks.resolving(id) {
                    self.shared.trunks.located(&self.config, now, wanted, targets);
                } else if let Some((key, leg)) = self.shared.resolves.remove(&id) {
                    self.step(now, key, |call, step| call.resolved(step, leg, targets));
                }
            }
            Input::Outside { id, event } => self.shared.trunks.outside(&self.config, now, id, event),
            Input::Request { id, request } => self.request(now, id, request),
            Input::RulesLoaded(rules) => self.rules = rules,
            Input::Configured(config) => self.config = config,
            Input::Shutdown => self.shut_down(now),
        }
        self.settle_trunks(now);
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
        self.settle_trunks(now);
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
        [self.timers.next_timeout(), self.shared.trunks.poll_timeout()].into_iter().flatten().min()
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

    /// Each trunk's name, and whether it takes calls.
    pub fn trunks_up(&self) -> impl Iterator<Item = (&str, bool)> {
        self.shared.trunks.up()
    }

    /// The rules in force.
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// A call as plain data: everything that another process would need to go on with it. `None`: no such call.
    pub fn snapshot(&self, call: CallId) -> Option<serde_json::Value> {
        let entry = self.calls.get(self.ids.get(&call)?)?;
        serde_json::to_value(entry).ok()
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
        let Some((_, name, trunk)) = found.max_by_key(|(prefix, ..)| *prefix) else {
            return self.refuse(leg, None, 403);
        };
        let name = name.clone();
        if self.calls.len() >= self.config.limits.calls {
            return self.refuse(leg, Some(name), 503);
        }
        let mut called = user_of(&incoming.request_uri).unwrap_or_default();
        // Calls through a registration come to its Contact; whom they are for stands in To.
        if trunk.register.as_ref().is_some_and(|register| register.user == called) {
            called = incoming.to.user().map(unescape).unwrap_or(called);
        }
        let called = trunk.numbers.canonical(&called);
        let identity = Identity::read(incoming, trunk);
        let from = identity.number.clone();
        let Some(route) = self.config.routes.iter().find(|route| route.matches(&called, &name)) else {
            return self.refuse(leg, Some(name), 404);
        };
        if self.shared.trunks.admit(trunk, &name, now.monotonic).is_err() {
            return self.refuse(leg, Some(name), 503);
        }
        let nat = trunk.nat;
        let (line, ai): (Arc<str>, String) = (route.line.as_str().into(), route.ai.clone());
        self.next_call += 1;
        let key = CallKey(self.next_call);
        let id = CallId::generate(now, &mut self.shared.chance);
        let about = About {
            id,
            line: Arc::clone(&line),
            trunk: name.clone(),
            ai: ai.clone(),
            from: from.clone(),
            identity,
            to: called.clone(),
            sip_call_id: incoming.call_id.clone(),
            local: incoming.flow.local,
            max_forwards: incoming.max_forwards,
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
            profile: Some(ai.as_str().into()),
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
        let caller = match Leg::incoming(&mut step, leg, record, incoming, nat) {
            Ok(caller) => caller,
            Err(refusal) => {
                self.shared.trunks.leave(&name);
                return self.refuse(leg, Some(name), refusal.status);
            }
        };
        step.publish(crate::Happening::CallStarted {
            trunk: name.clone(),
            line: line.to_string(),
            ai,
            from,
            to: called,
            sip_call_id: incoming.call_id.clone(),
        });
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
        self.shared.trunks.leave(&entry.call.about.trunk);
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

    // ---- the API

    fn request(&mut self, now: Now, id: RequestId, request: Request) {
        let call = match &request {
            Request::Calls { sip_call_id, active } => {
                let list = self.list(sip_call_id.as_deref(), *active);
                return self.reply(id, Ok(Reply::Calls(list)));
            }
            Request::Trunks => {
                let list = self.shared.trunks.list(&self.config);
                return self.reply(id, Ok(Reply::Trunks(list)));
            }
            Request::Evaluate(body) => {
                let reply = self.dry_run(now, body);
                return self.reply(id, reply);
            }
            Request::TransferStatus { transfer }
            | Request::CancelTransfer { transfer }
            | Request::AcceptTransfer { transfer, .. }
            | Request::DeclineTransfer { transfer, .. } => match self.shared.transfers.get(transfer) {
                Some(key) => *key,
                None => return self.reply(id, Err(Problem::unknown_transfer())),
            },
            Request::Events { call, .. }
            | Request::Transfer { call, .. }
            | Request::Hangup { call }
            | Request::Handback { call, .. }
            | Request::Context { call, .. }
            | Request::Dtmf { call, .. }
            | Request::Call { call }
            | Request::NotBuilt { call, .. } => match self.ids.get(call) {
                Some(key) => *key,
                None => return self.reply_ended(id, *call, &request),
            },
        };
        self.step(now, call, |call, step| call.request(step, id, request));
    }

    fn reply(&mut self, id: RequestId, reply: Result<Reply, Problem>) {
        self.out.push_back(Output::Reply { id, reply: Box::new(reply) });
    }

    /// To a request about a call that is not there: an ended call can still be read.
    fn reply_ended(&mut self, id: RequestId, call: CallId, request: &Request) {
        let ended = self.ended.iter().find(|(ended, _)| *ended == call);
        let reply = match (ended, request) {
            (None, _) => Err(Problem::unknown_call()),
            (Some((_, detail)), Request::Call { .. }) => Ok(Reply::Call(detail.clone())),
            (Some(_), _) => Err(Problem::ended_call()),
        };
        self.reply(id, reply);
    }

    fn list(&self, sip_call_id: Option<&str>, active: Option<bool>) -> CallList {
        let live = self.calls.values().map(|entry| entry.call.summary(&entry.story)).filter(|_| active != Some(false));
        let ended = self.ended.iter().map(|(_, detail)| detail.summary.clone()).filter(|_| active != Some(true));
        let wanted = |call: &CallSummary| sip_call_id.is_none_or(|id| call.sip_call_id == id);
        CallList { calls: live.chain(ended).filter(wanted).collect() }
    }

    fn dry_run(&self, now: Now, body: &crate::EvaluateBody) -> Result<Reply, Problem> {
        let facts = match body.call {
            Some(call) => {
                let key = self.ids.get(&call).ok_or_else(Problem::unknown_call)?;
                self.calls.get(key).map(|entry| entry.call.facts().clone()).ok_or_else(Problem::unknown_call)?
            }
            None => {
                let text = |text: &Option<String>| text.as_deref().map(Arc::from);
                let (caller, called) = (text(&body.caller), text(&body.called));
                let start = CallStart { line: text(&body.line), caller, called, trunk: None, profile: None };
                let mut facts = Facts::new(start, Arc::default(), now);
                facts.note(now, &policy::CallFact::StintStarted);
                facts
            }
        };
        crate::dry_run::run(&self.rules, facts, now, &body.events).map(Reply::Evaluation)
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
mod tests {
    use super::*;
    use crate::{Network, Opened, Route, Trunk};
    use bytes::Bytes;
    use media_relay::PortId;
    use signaling::Event;

    const SDP: &str =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

    fn core() -> Core {
        let network = Network { address: "192.0.2.10".parse().unwrap(), prefix: 32 };
        let profile = crate::AiProfile { uri: "sip:bot@192.0.2.20".into(), ..crate::AiProfile::default() };
        let config = Config {
            listeners: vec![signaling::Listener::from("192.0.2.1:5060".parse::<std::net::SocketAddr>().unwrap())],
            trunks: [("carrier".into(), Trunk { allowed: vec![network], ..Trunk::default() })].into(),
            routes: vec![Route { called: "*".into(), line: "a".into(), ai: "main".into(), ..Route::default() }],
            ai: [("main".into(), profile)].into(),
            ..Config::default()
        };
        Core::new(Arc::new(config), Arc::default(), 1, Now::default())
    }

    /// A caller comes; answers the commands that followed, with ports opened.
    fn incoming(core: &mut Core, leg: u64) -> Vec<Output> {
        let party = |uri: &str| signaling::Party { display: String::new(), uri: uri.into() };
        let incoming = Incoming {
            account: None,
            gate: None,
            flow: signaling::Flow::udp("192.0.2.1:5060".parse().unwrap(), "192.0.2.10:5060".parse().unwrap()),
            request_uri: "sip:1@192.0.2.1".into(),
            from: party("sip:2@192.0.2.10"),
            to: party("sip:1@192.0.2.1"),
            call_id: format!("call-{leg}"),
            headers: Vec::new(),
            offer: Some(Bytes::from_static(SDP.as_bytes())),
            max_forwards: 70,
        };
        let leg = LegId(leg | 1 << 63);
        core.handle_input(Now::default(), Input::Signaling { leg, event: Event::Incoming(Box::new(incoming)) });
        drain(core)
    }

    fn drain(core: &mut Core) -> Vec<Output> {
        let mut all = Vec::new();
        while let Some(output) = core.poll_output() {
            if let Output::OpenPort { id, .. } = output {
                let port = PortId(u32::try_from(id.0).unwrap());
                let opened = Opened { port, address: "192.0.2.1:20000".parse().unwrap() };
                core.handle_input(Now::default(), Input::PortOpened { id, opened });
            }
            all.push(output);
        }
        all
    }

    #[test]
    fn a_panic_in_one_calls_step_ends_that_call_and_no_other() {
        let mut core = core();
        incoming(&mut core, 1);
        incoming(&mut core, 2);
        assert_eq!(core.calls.len(), 2);
        core.panics = true;
        let event = Event::Provisional { status: 180, body: None };
        core.handle_input(Now::default(), Input::Signaling { leg: LegId(1), event });
        let after = drain(&mut core);
        let hung_up =
            |leg| after.iter().any(|it| matches!(it, Output::Signaling(Command::Hangup { leg: it, .. }) if *it == leg));
        assert!(hung_up(LegId(1)) && hung_up(LegId(1 | 1 << 63)), "both legs of the call are ended");
        assert!(!hung_up(LegId(2)));
        let closed = after.iter().filter(|it| matches!(it, Output::Media(media_relay::Command::Close { .. }))).count();
        assert_eq!(closed, 2);
        assert!(after.iter().any(|it| matches!(it, Output::Cdr(cdr) if cdr.cause == crate::EndCause::InternalError)));
        assert_eq!(core.calls.len(), 1);
        let event = Event::Provisional { status: 180, body: None };
        core.handle_input(Now::default(), Input::Signaling { leg: LegId(2), event });
        let rings = |it: &Output| matches!(it, Output::Signaling(Command::Progress { .. }));
        assert!(drain(&mut core).iter().any(rings), "the other call goes on");
        core.handle_input(Now::default(), Input::Shutdown);
        assert!(core.gauges().is_empty());
    }

    #[test]
    fn a_call_written_down_reads_back_the_same() {
        let mut core = core();
        incoming(&mut core, 1);
        let body =
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
        let event = Event::Answered { body: Some(Bytes::from_static(body)), headers: Vec::new() };
        core.handle_input(Now::default(), Input::Signaling { leg: LegId(1), event });
        drain(&mut core);
        let (key, call) = core.calls.iter().map(|(key, entry)| (*key, entry.call.about.id)).next().unwrap();
        let request = Request::Transfer {
            call,
            body: Box::new(crate::TransferBody::to("sip:human@192.0.2.30")),
            idempotency_key: Some("k".into()),
            wait: None,
        };
        core.handle_input(Now::default(), Input::Request { id: RequestId(1), request });
        drain(&mut core);
        let written = core.snapshot(call).unwrap();
        assert_eq!(written["call"]["stage"], "Transferring");
        let read: Entry = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), written);
        // What was read goes on: the caller hangs up and everybody leaves.
        core.calls.insert(key, Box::new(read));
        let event = Event::Ended { by: signaling::EndedBy::Peer, status: None, reason: None, retry_after: None };
        core.handle_input(Now::default(), Input::Signaling { leg: LegId(1 | 1 << 63), event });
        let hung_up =
            drain(&mut core).iter().filter(|it| matches!(it, Output::Signaling(Command::Hangup { .. }))).count();
        assert_eq!(hung_up, 2);
    }

    #[test]
    fn events_of_a_later_process_have_higher_numbers() {
        let first = |unix| {
            let (config, rules) = {
                let core = core();
                (core.config, core.rules)
            };
            let now = Now { unix, ..Now::default() };
            let mut core = Core::new(config, rules, 1, now);
            let published = incoming(&mut core, 1).into_iter().find_map(|output| match output {
                Output::Publish(event) => Some(event.seq),
                _ => None,
            });
            published.unwrap()
        };
        let (one, later) = (
            first(std::time::Duration::from_secs(1_900_000_000)),
            first(std::time::Duration::from_secs(1_900_000_001)),
        );
        assert_eq!((one, later), (1_900_000_000_000_001, 1_900_000_001_000_001));
        assert!(later < 1 << 53, "a number that JSON readers take for what it is");
    }

    #[test]
    fn escapes_in_a_user_are_read_and_wrong_ones_left() {
        assert_eq!(unescape("%2B49301"), "+49301");
        assert_eq!(unescape("a%zzb%"), "a%zzb%");
        assert_eq!(unescape("a%00b"), "a%00b");
    }
}
