//! The engine: one thread that owns `signaling`, `calls` and the SIP sockets. It waits for nothing but epoll.
//!
//! A turn: wait for sockets, the inbox, audio workers or a timer; feed the cores; carry out what they say until neither says
//! more; send what has gathered; hand records and events to threads of their own.

use super::{
    inbox::{Inbox, Note, Waiters},
    outbox::Outbox,
    relay::Relay,
    resolver::Resolver,
    sockets::Sockets,
    teller::Told,
    wiring,
};
use crate::config::Configuration;
use anyhow::Context as _;
use calls::{CallState, Cdr, Input, Observation, Output};
use clock::{Monotonic, Now};
use metrics::{Direction, Metrics};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use policy::RuleSet;
use signaling::{LegId, Way};
use std::{
    io::Read as _,
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::sync_channel,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{oneshot, watch};

/// What epoll's wake-ups stand for beside the sockets' own numbers.
const INBOX: u64 = u64::MAX;
const STREAMS: u64 = u64::MAX - 1;
/// An idle engine still turns this often: the watchdog wants to see it.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// Outputs carried out in one turn before sockets and timers are looked at again.
const MOST_OUTPUTS: usize = 100_000;
/// Batches taken from one socket in one turn.
const MOST_BATCHES: usize = 8;
/// What transactions may still need once every call is gone.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Seconds of Retry-After: another instance, or this one anew, is there by then.
const RETRY_WHEN_STOPPING: u32 = 10;
const RETRY_AT_OVERLOAD: u32 = 1;

/// What the engine is made of.
pub(crate) struct Parts {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) rules: Arc<RuleSet>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) records: Arc<Outbox<Box<Cdr>>>,
    pub(crate) events: Arc<Outbox<Told>>,
    pub(crate) ledger: Arc<ledger::Ledger>,
    pub(crate) resolver: Resolver,
    /// Where recordings are ordered, if any are made, and their audio goes.
    pub(crate) recorder: Option<recorder::io::Handle>,
    pub(crate) taps: media_relay::Taps,
    pub(crate) tls: Option<Arc<signaling::io::Tls>>,
    /// Where streams live.
    pub(crate) runtime: tokio::runtime::Handle,
}

/// Shows that the engine turns.
#[derive(Default)]
pub(crate) struct Pulse(AtomicU64);

impl Pulse {
    /// How many turns there were.
    pub(crate) fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The running engine.
pub(crate) struct Engine {
    thread: JoinHandle<()>,
    listeners: Vec<signaling::Listener>,
    pulse: Arc<Pulse>,
    ended: watch::Receiver<bool>,
}

impl Engine {
    /// Starts the thread and binds everything; from here on packets are answered.
    pub(crate) fn start(parts: Parts) -> anyhow::Result<Self> {
        let pulse = Arc::new(Pulse::default());
        let shown = Arc::clone(&pulse);
        let (over, ended) = watch::channel(false);
        // The sockets' buffers stay on the thread that made them.
        let (report, reported) = sync_channel(1);
        let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
            match Turning::new(parts) {
                Ok(mut turning) => {
                    let _ = report.send(Ok(turning.sockets.listeners().to_vec()));
                    // Not before: the media workers inherit what this thread has.
                    go_first();
                    while turning.turn() {
                        shown.0.fetch_add(1, Ordering::Relaxed);
                    }
                    turning.relay.stop();
                }
                Err(error) => drop(report.send(Err(error))),
            }
            over.send_replace(true);
        })?;
        let listeners = reported.recv().context("the engine did not start")??;
        Ok(Self { thread, listeners, pulse, ended })
    }

    /// The listeners with the addresses they got, in the order of the configuration.
    pub(crate) fn listeners(&self) -> &[signaling::Listener] {
        &self.listeners
    }

    /// What the watchdog looks at.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Returns when the engine has ended.
    pub(crate) async fn ended(&self) {
        let mut ended = self.ended.clone();
        // An error means that the thread is gone without a word: that is an end, too.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    /// Joins the thread if it has ended; an engine that does not end is left behind, the process ends anyway.
    pub(crate) fn finish(self) {
        if self.thread.is_finished() || *self.ended.borrow() {
            let _ = self.thread.join();
        }
    }
}

/// By how much the engine's thread goes before the media workers of the process.
const AHEAD: i32 = 5;

/// Its turns are short and every call waits for them, while a media worker that sends thousands of packets a tick keeps a core for milliseconds.
/// Without the right to it (`RLIMIT_NICE`, `CAP_SYS_NICE`) it stays where it is.
fn go_first() {
    use rustix::process::{getpriority_process, setpriority_process};
    // The caller's own thread, to Linux.
    let done = getpriority_process(None).and_then(|nice| setpriority_process(None, nice - AHEAD));
    if let Err(error) = done {
        tracing::info!(%error, "the engine's thread goes no sooner than the media workers: allow a nice value {AHEAD} lower (LimitNICE of systemd)");
    }
}

struct Turning {
    signaling: signaling::Core,
    calls: calls::Core,
    sockets: Sockets,
    relay: Relay,
    epoll: Epoll,
    waiters: Waiters,
    /// When stopping: until when transactions may still say their last words.
    stopping: Option<Monotonic>,
    door: Door,
    shutdown: Duration,
    inbox: Arc<Inbox>,
    metrics: Arc<Metrics>,
    records: Arc<Outbox<Box<Cdr>>>,
    events: Arc<Outbox<Told>>,
    ledger: Arc<ledger::Ledger>,
    resolver: Resolver,
    recorder: Option<recorder::io::Handle>,
    /// Events of this turn, handed over at its end.
    told: Vec<Told>,
    /// One of them is waited for.
    urgent: bool,
    /// How long each of the events took that were posted last.
    judging: Duration,
    /// What the sockets brought; kept to be filled again.
    inputs: Vec<signaling::Input>,
}

impl Turning {
    fn new(parts: Parts) -> anyhow::Result<Self> {
        let configuration = &parts.configuration;
        let sockets = Sockets::bind(wiring::sockets(configuration, parts.tls, parts.runtime))?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("cannot watch sockets")?;
        for (index, descriptor) in sockets.descriptors().enumerate() {
            epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
        }
        if let Some(streams) = sockets.streams() {
            epoll.add(streams, EpollEvent::new(EpollFlags::EPOLLIN, STREAMS))?;
        }
        epoll.add(parts.inbox.bell().as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, INBOX))?;
        let relay = Relay::start(configuration, &parts.inbox, chance(), parts.taps)?;
        let now = clock::io::now();
        let calls_config = Arc::new(wiring::calls(configuration, sockets.listeners(), relay.clips()));
        Ok(Self {
            signaling: signaling::Core::new(wiring::signaling(configuration, sockets.listeners()), chance(), now),
            calls: calls::Core::new(calls_config, parts.rules, chance(), now).with_secret(secret()?),
            shutdown: configuration.limits.shutdown,
            sockets,
            relay,
            epoll,
            waiters: Waiters::default(),
            stopping: None,
            door: Door::new(configuration.limits.calls_per_second, now.monotonic),
            inbox: parts.inbox,
            metrics: parts.metrics,
            records: parts.records,
            events: parts.events,
            ledger: parts.ledger,
            resolver: parts.resolver,
            recorder: parts.recorder,
            told: Vec::new(),
            urgent: false,
            judging: Duration::ZERO,
            inputs: Vec::new(),
        })
    }

    /// One turn; false when it was the last.
    fn turn(&mut self) -> bool {
        let mut ready = [EpollEvent::empty(); 64];
        let count = self.epoll.wait(&mut ready, self.patience()).unwrap_or(0);
        let now = clock::io::now();
        for event in &ready[..count] {
            match event.data() {
                INBOX => self.take_notes(now),
                STREAMS => self.receive_streams(now),
                index => self.receive(now, usize::try_from(index).unwrap_or(usize::MAX)),
            }
        }
        if count == 0 {
            // A worker that died may ring before its thread is over; then this is where it is found.
            self.hear_relay(now);
        }
        self.signaling.handle_timeout(now);
        self.calls.handle_timeout(now);
        self.settle(now);
        self.send(now);
        self.relay.hand_over();
        if let Some(recorder) = &mut self.recorder {
            recorder.hand_over();
        }
        if !self.told.is_empty() {
            let weight = self.told.len();
            match std::mem::take(&mut self.urgent) {
                // Refused, for there is too much to tell: whoever waits has a time of their own.
                true => self.events.push_urgent(self.told.drain(..), weight),
                false => self.events.push(self.told.drain(..), weight),
            };
        }
        self.stopping.is_none_or(|until| now.monotonic < until && !self.is_over())
    }

    /// Until the next timer, rounded up so that it is due when we look.
    fn patience(&self) -> EpollTimeout {
        let now = clock::io::monotonic();
        let next = [self.signaling.poll_timeout(), self.calls.poll_timeout()].into_iter().flatten().min();
        let wait = next.map_or(LONGEST_SLEEP, |next| next.since(now).min(LONGEST_SLEEP));
        let wait =
            if self.stopping.is_some() || self.sockets.is_full() { wait.min(Duration::from_millis(10)) } else { wait };
        let milliseconds = u16::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(1_000);
        EpollTimeout::from(milliseconds)
    }

    fn receive(&mut self, now: Now, index: usize) {
        for _ in 0..MOST_BATCHES {
            let mut inputs = std::mem::take(&mut self.inputs);
            let more = self.sockets.receive(index, &mut inputs);
            self.feed(now, &mut inputs);
            self.inputs = inputs;
            if !more {
                return;
            }
        }
    }

    fn receive_streams(&mut self, now: Now) {
        let mut inputs = std::mem::take(&mut self.inputs);
        self.sockets.receive_streams(&mut inputs);
        self.feed(now, &mut inputs);
        self.inputs = inputs;
    }

    fn feed(&mut self, now: Now, inputs: &mut Vec<signaling::Input>) {
        for input in inputs.drain(..) {
            self.signaling.handle_input(now, input);
            self.settle(now);
        }
    }

    fn take_notes(&mut self, now: Now) {
        for note in self.inbox.take() {
            match note {
                Note::Request(request, waiter) => {
                    let id = self.waiters.enter(waiter);
                    self.ask(now, id, request);
                }
                Note::Rules(rules, told) => {
                    self.calls.handle_input(now, Input::RulesLoaded(rules));
                    let _ = told.send(());
                }
                Note::Resolved(id, targets) => self.calls.handle_input(now, Input::Resolved { id, targets }),
                Note::Availability(agent, elsewhere) => {
                    self.calls.handle_input(now, Input::Availability { agent, elsewhere });
                }
                Note::Shown(leg) => self.calls.handle_input(now, Input::Shown { leg }),
                Note::Recorded(call, line, what) => {
                    self.calls.handle_input(now, Input::Recorded { call, line, what });
                }
                Note::Ledger(news) => self.hear_ledger(now, news),
                Note::Gauges(told) => self.show_gauges(told),
                Note::Stop => {
                    self.calls.handle_input(now, Input::Shutdown);
                    self.stopping.get_or_insert(now.monotonic + self.shutdown + LAST_WORDS);
                }
            }
            self.settle(now);
        }
        self.hear_relay(now);
    }

    /// What somebody asks of a call; how long each event takes to be judged is measured.
    fn ask(&mut self, now: Now, id: calls::RequestId, request: calls::Request) {
        let events = match &request {
            calls::Request::Events { events, .. } => u32::try_from(events.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        if events == 0 {
            return self.calls.handle_input(now, Input::Request { id, request });
        }
        let began = Instant::now();
        self.calls.handle_input(now, Input::Request { id, request });
        self.judging = began.elapsed() / events;
    }

    fn hear_ledger(&mut self, now: Now, news: super::ledger::News) {
        match news {
            super::ledger::News::Stored(ids, kept) => {
                for id in ids {
                    self.calls.handle_input(now, Input::Stored { id, kept });
                }
            }
            super::ledger::News::Ledger(news) => self.calls.handle_input(now, Input::Ledger(news)),
        }
    }

    fn hear_relay(&mut self, now: Now) {
        while let Some(event) = self.relay.event() {
            if let media_relay::Event::OneWay { direction, .. } = event {
                self.metrics.one_way_audio_total.inc([super::relay::missing(direction)]);
            }
            self.calls.handle_input(now, Input::Media(event));
            self.settle(now);
        }
    }

    /// Carries out what the cores say until neither says more.
    fn settle(&mut self, now: Now) {
        for _ in 0..MOST_OUTPUTS {
            if let Some(output) = self.signaling.poll_output() {
                match output {
                    signaling::Output::Transmit { flow, peer_name, bytes } => {
                        self.sockets.send(&flow, peer_name.as_ref(), bytes);
                    }
                    signaling::Output::Event { leg, event } => self.tell_calls(now, leg, event),
                    signaling::Output::Outside { id, event } => {
                        self.calls.handle_input(now, Input::Outside { id, event });
                    }
                    signaling::Output::Contacts { account, contacts } => {
                        self.calls.handle_input(now, Input::Contacts { account, contacts });
                    }
                }
            } else if let Some(output) = self.calls.poll_output() {
                self.carry_out(now, output);
            } else {
                return;
            }
        }
        tracing::error!("the cores talk in circles; going on with the next turn");
    }

    /// New calls pass the door; everything else goes straight on.
    fn tell_calls(&mut self, now: Now, leg: LegId, event: signaling::Event) {
        // What takes a leg's place belongs to a call that is there: it is let in while the daemon stops, and no oftener than others.
        let replaces = matches!(event, signaling::Event::Replacing { .. });
        if replaces || matches!(event, signaling::Event::Incoming(_)) {
            let retry_after = match self.stopping {
                Some(_) if !replaces => Some(RETRY_WHEN_STOPPING),
                _ => (!self.door.lets_in(now.monotonic)).then_some(RETRY_AT_OVERLOAD),
            };
            if let Some(retry_after) = retry_after {
                self.metrics.overload_rejections_total.inc();
                let headers = vec![("Retry-After".to_owned(), retry_after.to_string())];
                let reject = signaling::Command::Reject { leg, status: 503, reason: None, headers };
                return self.signaling.handle_input(now, signaling::Input::Command(reject));
            }
        }
        self.calls.handle_input(now, Input::Signaling { leg, event });
    }

    fn carry_out(&mut self, now: Now, output: Output) {
        match output {
            Output::Signaling(command) => self.signaling.handle_input(now, signaling::Input::Command(command)),
            Output::Outside(command) => self.signaling.handle_input(now, signaling::Input::Outside(command)),
            Output::Media(command) => self.relay.command(command),
            Output::OpenPort { id, call } => {
                let input = match self.relay.open(call) {
                    Ok(opened) => Input::PortOpened { id, opened },
                    Err(error) => {
                        tracing::warn!(%error, "no media port");
                        Input::PortFailed { id }
                    }
                };
                self.calls.handle_input(now, input);
            }
            Output::Resolve { id, wanted } => self.resolver.ask(id, wanted),
            Output::Reply { id, reply } => self.waiters.leave(id, *reply),
            Output::Publish(event) => self.told.push(Told::Event(event)),
            Output::Show { leg } => {
                self.told.push(Told::Show(leg));
                self.urgent = true;
            }
            Output::Cdr(cdr) => {
                if !self.records.push([cdr], 1) {
                    tracing::error!("a call record was lost: the disk is too slow");
                }
            }
            Output::Store { id, what } => {
                if !self.ledger.write(ledger::Record::Stored(id, what)) {
                    tracing::error!("something to be kept was lost: the ledger's queue is full");
                    self.calls.handle_input(now, Input::Stored { id, kept: false });
                }
            }
            Output::Record(order) => {
                if let Some(recorder) = &mut self.recorder {
                    recorder.order(super::recording::order(now, order));
                }
            }
            Output::Observe(observation) => self.observe(&observation),
        }
    }

    fn send(&mut self, now: Now) {
        // What the network refuses may make the cores say more, once; after that the timers have the word.
        for _ in 0..2 {
            let mut inputs = std::mem::take(&mut self.inputs);
            self.sockets.flush(&mut inputs);
            let quiet = inputs.is_empty();
            self.feed(now, &mut inputs);
            self.inputs = inputs;
            if quiet {
                return;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.calls.gauges().calls.iter().sum::<usize>() == 0 && !self.signaling.is_owed()
    }

    fn observe(&self, observation: &Observation) {
        match observation {
            Observation::Refused { overload, .. } => {
                if *overload {
                    self.metrics.overload_rejections_total.inc();
                }
            }
            Observation::CallSetup(duration) => self.metrics.call_setup_seconds.observe(*duration),
            Observation::Event { kind } => {
                self.metrics.events_total.inc([kind]);
                self.metrics.policy_evaluation_seconds.observe(self.judging);
            }
            Observation::Acted { rule } => self.metrics.rule_matches_total.inc([rule, "false"]),
            Observation::Transfer { mode, destination, outcome, cause, duration } => {
                let mode = match mode {
                    policy::Mode::Warm => "warm",
                    policy::Mode::Cold => "cold",
                };
                let cause = cause.map_or("", policy::Cause::name);
                self.metrics.transfers_total.inc([mode, destination, super::teller::outcome(*outcome), cause]);
                self.metrics.transfer_duration_seconds.observe([mode, "total"], *duration);
            }
            Observation::QueueLeft { queue, outcome, waited } => {
                self.metrics.queue_wait_seconds.observe([&**queue, outcome.name()], *waited);
            }
            Observation::Supervised { mode, failed } => {
                let outcome = failed.map_or("joined", policy::Cause::name);
                self.metrics.supervisors_total.inc([mode.name(), outcome]);
            }
            Observation::Placed { campaign, outcome } => {
                self.metrics.outbound_calls_total.inc([campaign, outcome]);
            }
            Observation::NotPlaced { campaign, reason } => {
                self.metrics.outbound_refused_total.inc([campaign, reason]);
            }
            Observation::Answerer { party, result } => {
                let leg = if *party == calls::Party::Caller { "caller" } else { "human" };
                self.metrics.amd_results_total.inc([leg, result.name()]);
            }
            Observation::HandoffSilence(duration) => self.metrics.handoff_silence_seconds.observe(*duration),
            Observation::Panicked { call } => tracing::error!(%call, "a defect of our own ended this call"),
        }
    }

    fn show_gauges(&self, told: oneshot::Sender<()>) {
        let (sip, calls) = (self.signaling.gauges(), self.calls.gauges());
        let metrics = &self.metrics;
        metrics.calls_active.zero();
        for (state, count) in CallState::LIVE.iter().zip(calls.calls) {
            metrics.calls_active.set([state.name()], count as u64);
        }
        metrics.sip_transactions_active.set(sip.transactions as u64);
        metrics.sip_dialogs_active.set(sip.dialogs as u64);
        metrics.timers_active.set((sip.timers + calls.timers) as u64);
        let counters = self.signaling.counters();
        metrics.sip_retransmissions_total.at_least(counters.retransmissions);
        metrics.sip_registered_contacts.set(self.signaling.registrations() as u64);
        metrics.sip_banned_sources.set(self.signaling.banned(clock::io::now()) as u64);
        metrics.sip_registrations_total.at_least(counters.registrations);
        metrics.sip_challenges_total.at_least(counters.challenges);
        for (reason, total) in [
            ("failed_authentication", counters.failed_authentications),
            ("unknown_source", counters.unknown_sources),
            ("garbage", counters.garbage),
        ] {
            metrics.sip_abuse_total.at_least([reason], total);
        }
        metrics.sip_dropped_total.at_least(["banned"], counters.dropped_banned);
        metrics.sip_dropped_total.at_least(["rate"], counters.dropped_rate);
        for (method, way, status, total) in counters.messages() {
            let direction = match way {
                Way::In => Direction::In,
                Way::Out => Direction::Out,
            };
            metrics.sip_messages_are(method, direction, (status != 0).then_some(status), total);
        }
        for (trunk, up) in self.calls.trunks_up() {
            metrics.trunk_up.set([trunk], u64::from(up));
        }
        for (trunk, rests) in self.calls.trunks_resting(clock::io::now()) {
            metrics.trunk_resting.set([trunk], u64::from(rests));
        }
        let (resting, spared) = self.calls.rests(clock::io::now());
        metrics.sip_next_hops_resting.set(resting as u64);
        metrics.sip_invites_spared_total.at_least(spared);
        let agents = self.calls.agents_by_state(clock::io::now());
        for (state, count) in policy::AgentState::ALL.iter().zip(agents) {
            metrics.agents.set([state.name()], count as u64);
        }
        for (state, count) in calls::CallbackState::ALL.iter().zip(self.calls.callbacks_by_state()) {
            metrics.callbacks.set([state.name()], count as u64);
        }
        metrics.queue_length.zero();
        for (queue, length) in self.calls.queue_lengths() {
            metrics.queue_length.set([queue], length as u64);
        }
        let streams = self.sockets.stream_counts();
        metrics.sip_connections_active.set(streams.open as u64);
        metrics.sip_tls_handshakes_active.set(streams.handshakes as u64);
        for (reason, total) in [
            ("turned_away", streams.turned_away),
            ("handshakes", streams.unshaken),
            ("failed", streams.failed),
            ("idle", streams.idle),
            ("slow", streams.slow),
            ("garbage", streams.garbage),
        ] {
            metrics.sip_connections_closed_total.at_least([reason], total);
        }
        self.relay.show(metrics);
        let _ = told.send(());
    }
}

/// Lets new calls in at a rate: a bucket that holds a second's worth.
struct Door {
    per_second: f64,
    tokens: f64,
    filled: Monotonic,
}

impl Door {
    fn new(per_second: u32, now: Monotonic) -> Self {
        Self { per_second: per_second.into(), tokens: per_second.into(), filled: now }
    }

    fn lets_in(&mut self, now: Monotonic) -> bool {
        let grown = now.since(self.filled).as_secs_f64() * self.per_second;
        self.tokens = (self.tokens + grown).min(self.per_second);
        self.filled = now;
        let open = self.tokens >= 1.0;
        if open {
            self.tokens -= 1.0;
        }
        open
    }
}

/// What media keys are made of: the system's own chance, all of it.
fn secret() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let source = std::fs::File::open("/dev/urandom");
    source.and_then(|mut source| source.read_exact(&mut bytes)).context("/dev/urandom gives no chance for keys")?;
    Ok(bytes)
}

/// A seed that no peer can guess: tags, branches and SSRCs come from it.
pub(super) fn chance() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_lets_in_a_seconds_worth_and_then_the_rate() {
        let at = |ms: u64| Monotonic::from_nanos(ms * 1_000_000);
        let mut door = Door::new(10, at(0));
        assert_eq!((0..30).filter(|_| door.lets_in(at(0))).count(), 10);
        assert!(!door.lets_in(at(50)));
        assert!(door.lets_in(at(150)));
        assert_eq!((0..30).filter(|_| door.lets_in(at(60_000))).count(), 10, "an idle hour is no credit");
    }
}
