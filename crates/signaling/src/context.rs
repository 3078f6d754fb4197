//! What every machine of the room works with: the time of this step, chance, timers, the way out.

use crate::{
    Config, Contact, Counters, Event, Flow, LegId, Listener, Output, SessionTimer, Transport,
    gates::Gates,
    guard::Guard,
    registrar::Registrar,
    timer::{Owner, Timer, Timing},
};
use bytes::Bytes;
use clock::{Monotonic, Now, Timers};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// How long a peer that refused a connection gets its long requests over UDP without being asked again.
const STREAMLESS: Duration = Duration::from_secs(600);
/// How many such peers are remembered.
const STREAMLESS_PEERS: usize = 1_024;

/// Handed down through every call of a step.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) timing: Timing,
    pub(crate) now: Monotonic,
    pub(crate) counters: Counters,
    pub(crate) timers: Timers<(Owner, Timer)>,
    pub(crate) guard: Guard,
    /// Where phones register; taken out while it works.
    pub(crate) registrar: Option<Box<Registrar>>,
    pub(crate) gates: Gates,
    /// Where trunks that are known by name were found.
    pub(crate) located: BTreeMap<crate::OutsideId, Located>,
    outputs: VecDeque<Output>,
    random: StdRng,
    /// Peers that refused a connection, and until when that counts.
    streamless: FxHashMap<SocketAddr, Monotonic>,
}

/// A trunk that is known by name.
#[derive(Debug)]
pub(crate) struct Located {
    /// Where it was found.
    pub(crate) addresses: Vec<IpAddr>,
    /// Its own.
    pub(crate) session_timer: Option<SessionTimer>,
}

impl Located {
    fn is_at(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
    }
}

/// Memory kept for late messages is let go this often.
const CLEARING: Duration = Duration::from_millis(50);

impl Context {
    pub(crate) fn new(config: Config, seed: u64, now: Now) -> Self {
        let timing = Timing { t1: config.t1, t2: config.t2, t4: config.t4, reliable: false };
        let random = StdRng::seed_from_u64(seed);
        // Chance of their own: what a seed names does not depend on whether phones may register.
        let mut keys = StdRng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
        let registrar = config.registration.as_ref().map(|registration| {
            let own = config.listeners.iter().flat_map(|listener| [listener.local.ip(), listener.advertised.ip()]);
            Box::new(Registrar::new(registration, own, || keys.next_u64()))
        });
        Self {
            guard: Guard::new(config.abuse, (keys.next_u64(), keys.next_u64()), now.monotonic),
            registrar,
            gates: Gates::new(&config.gates, || keys.next_u64()),
            config,
            timing,
            now: now.monotonic,
            counters: Counters::default(),
            timers: Timers::default(),
            located: BTreeMap::new(),
            outputs: VecDeque::new(),
            random,
            streamless: FxHashMap::default(),
        }
    }

    /// How many entries each table has.
    pub(crate) fn tables(&self) -> [(&'static str, usize); 4] {
        [
            ("signaling.located", self.located.len()),
            ("signaling.streamless", self.streamless.len()),
            ("signaling.outputs", self.outputs.len()),
            ("signaling.sources", self.guard.len()),
        ]
    }

    pub(crate) fn transmit(&mut self, flow: Flow, peer_name: Option<Arc<str>>, bytes: Bytes) {
        self.outputs.push_back(Output::Transmit { flow, peer_name, bytes });
    }

    /// The intervals of a transaction over this transport.
    pub(crate) fn timing_over(&self, transport: Transport) -> Timing {
        Timing { reliable: transport.is_reliable(), ..self.timing }
    }

    pub(crate) fn event(&mut self, leg: LegId, event: Event) {
        self.outputs.push_back(Output::Event { leg, event });
    }

    pub(crate) fn outside(&mut self, id: crate::OutsideId, event: crate::OutsideEvent) {
        self.outputs.push_back(Output::Outside { id, event });
    }

    pub(crate) fn contacts(&mut self, account: String, contacts: Vec<Contact>) {
        self.outputs.push_back(Output::Contacts { account, contacts });
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What only clears away is gathered into few moments, so that thousands of calls do not wake the engine for each.
    pub(crate) fn arm(&mut self, owner: Owner, timer: Timer, wait: Duration) {
        let due = self.now + wait;
        let due = if timer.only_clears_away() && wait >= CLEARING { due.rounded_up(CLEARING) } else { due };
        self.timers.set((owner, timer), due);
    }

    pub(crate) fn disarm(&mut self, owner: Owner, timer: Timer) {
        self.timers.cancel((owner, timer));
    }

    /// The listener of a flow.
    pub(crate) fn listener(&self, flow: &Flow) -> Listener {
        let ours = |listener: &&Listener| listener.transport == flow.transport && listener.local == flow.local;
        self.config.listeners.iter().find(ours).copied().unwrap_or(Listener::new(flow.transport, flow.local))
    }

    /// The flow over TCP that a request which is too long for a datagram takes instead, and its listener; none where we have no
    /// TCP listener or the peer was found to have none (18.1.1).
    pub(crate) fn stream_instead(&self, flow: &Flow) -> Option<(Flow, Listener)> {
        if flow.transport.is_reliable() || self.streamless.get(&flow.remote).is_some_and(|until| self.now < *until) {
            return None;
        }
        let listener = self.config.listener_toward(Transport::Tcp, flow)?;
        Some((Flow::new(Transport::Tcp, listener.local, flow.remote), listener))
    }

    /// A peer does not take connections.
    pub(crate) fn has_no_streams(&mut self, remote: SocketAddr) {
        let now = self.now;
        if self.streamless.len() >= STREAMLESS_PEERS {
            self.streamless.retain(|_, until| now < *until);
        }
        if self.streamless.len() < STREAMLESS_PEERS {
            self.streamless.insert(remote, now + STREAMLESS);
        }
    }

    /// Whether a `sip:` URI names one of our listeners.
    pub(crate) fn is_ours(&self, uri: &str) -> bool {
        let Some(uri) = sip_codec::Uri::parse(uri.as_bytes()).filter(sip_codec::Uri::is_sip) else { return false };
        let Some(ip) = uri.host_ip() else { return false };
        let address = SocketAddr::new(ip, uri.port.unwrap_or(if uri.is_sips() { 5061 } else { 5060 }));
        self.config.listeners.iter().any(|listener| listener.local == address || listener.advertised == address)
    }

    /// The session timer for a peer that is known by its address.
    pub(crate) fn session_timer_of(&self, peer: IpAddr) -> SessionTimer {
        let config = &self.config;
        let named = config.session_timers.iter().find(|(network, _)| network.contains(peer)).map(|(_, timer)| *timer);
        let located = || self.located.values().find(|located| located.is_at(peer))?.session_timer;
        self.timed(named.or_else(located).unwrap_or(config.session_timer))
    }

    /// A session timer: whether there are any is one word for all.
    pub(crate) fn timed(&self, timer: SessionTimer) -> SessionTimer {
        SessionTimer { enabled: self.config.session_timer.enabled, ..timer }
    }

    pub(crate) fn allowed(&self, source: SocketAddr) -> bool {
        self.config.allowed.iter().any(|network| network.contains(source.ip()))
            || self.located.values().any(|located| located.is_at(source.ip()))
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// A duration from `low` up to `high`, in milliseconds' steps.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span = u64::try_from(high.saturating_sub(low).as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        low + Duration::from_millis(self.random() % span)
    }

    /// An unguessable name for the entry at `index` of one of our tables, which finds it again: shard, index, chance.
    pub(crate) fn token(&mut self, prefix: &str, index: u32) -> String {
        let mut token = String::with_capacity(prefix.len() + 32);
        token.push_str(prefix);
        push_hex(&mut token, u64::from(self.config.shard), 2);
        push_hex(&mut token, u64::from(index), 0);
        token.push('.');
        let chance = self.random();
        push_hex(&mut token, chance, 16);
        token
    }

    /// A Call-ID: shard and chance; no address, no order.
    pub(crate) fn call_id(&mut self) -> String {
        let mut id = String::with_capacity(34);
        push_hex(&mut id, u64::from(self.config.shard), 2);
        let (high, low) = (self.random(), self.random());
        push_hex(&mut id, high, 16);
        push_hex(&mut id, low, 16);
        id
    }
}

/// The index in a token of ours, if it looks like one.
pub(crate) fn token_index(token: &[u8], prefix: &str) -> Option<u32> {
    let rest = token.strip_prefix(prefix.as_bytes())?.get(2..)?;
    let end = rest.iter().position(|byte| *byte == b'.')?;
    u32::from_str_radix(std::str::from_utf8(rest.get(..end)?).ok()?, 16).ok()
}

/// Lower-case hexadecimal, at least `digits` of it.
pub(crate) fn push_hex(text: &mut String, value: u64, digits: u32) {
    let needed = (64 - value.leading_zeros()).div_ceil(4).max(digits).max(1);
    for at in (0..needed).rev() {
        let digit = u32::try_from((value >> (at * 4)) & 0xf).unwrap_or(0);
        text.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_finds_its_entry_again_and_says_nothing_else() {
        let mut cx = Context::new(Config { shard: 0xa7, ..Config::default() }, 1, Now::default());
        let token = cx.token("z9hG4bK", 0x1f0);
        assert!(token.starts_with("z9hG4bKa71f0."), "{token}");
        assert_eq!(token_index(token.as_bytes(), "z9hG4bK"), Some(0x1f0));
        assert_ne!(token, cx.token("z9hG4bK", 0x1f0));
        let zero = cx.token("", 0);
        assert_eq!(token_index(zero.as_bytes(), ""), Some(0));
        for foreign in
            ["", "z9hG4bK", "z9hG4bKa7", "z9hG4bKa7.1", "z9hG4bKa7zz.1", "z9hG4bKa7ffffffffff.1", "776asdhds"]
        {
            assert_eq!(token_index(foreign.as_bytes(), "z9hG4bK"), None, "{foreign}");
        }
    }

    #[test]
    fn names_come_from_the_seed() {
        let names = |seed| {
            let mut cx = Context::new(Config::default(), seed, Now::default());
            (cx.token("", 1), cx.call_id())
        };
        assert_eq!(names(7), names(7));
        assert_ne!(names(7), names(8));
    }

    #[test]
    fn a_wait_by_chance_keeps_its_bounds() {
        let mut cx = Context::new(Config::default(), 1, Now::default());
        let (low, high) = (Duration::from_millis(2_100), Duration::from_secs(4));
        for _ in 0..1_000 {
            assert!((low..=high).contains(&cx.between(low, high)));
        }
    }
}
