//! Whether agents who do not register with us are there: OPTIONS to the address they are dialled at, as for trunks.

use super::{AgentConfig, Directory};
use crate::{
    Config, OptionsPing, Output, ResolveId,
    dial::{self, Hop},
    trunks::health::{Health, Heard},
};
use clock::Timers;
use core::time::Duration;
use rustc_hash::FxHashMap;
use signaling::{
    OutsideCommand, OutsideEvent, OutsideId, Ping,
    locate::{Target, Wanted},
};
use std::{collections::VecDeque, sync::Arc};

/// What tells agents' pings and look-ups from the trunks'.
const OURS: u64 = 1 << 62;
/// How soon somebody who is in doubt is asked again.
const SOON: Duration = Duration::from_secs(1);

/// The agents who are asked.
#[derive(Debug, Default)]
pub(super) struct Pings {
    asked: Vec<Asked>,
    /// Who is asked next, by place.
    timers: Timers<usize>,
    resolving: FxHashMap<ResolveId, usize>,
    next_resolve: u64,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Asked {
    /// Place in the directory.
    agent: usize,
    target: Arc<str>,
    wanted: Wanted,
    ping: OptionsPing,
    health: Health,
}

impl Pings {
    /// From now on this agent is asked, if they can be.
    pub(super) fn add(&mut self, agent: usize, config: &AgentConfig, now: clock::Monotonic) {
        let (Some(target), Some(ping)) = (&config.dial, &config.ping) else { return };
        let Some(wanted) = dial::wanted(target) else { return };
        self.timers.set(self.asked.len(), now);
        let health = Health::Up { misses: 0 };
        self.asked.push(Asked { agent, target: Arc::clone(target), wanted, ping: ping.clone(), health });
    }
}

impl Directory {
    /// What is to be done, in order.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.pings.outputs.pop_front().or_else(|| self.watches.poll_output())
    }

    /// When somebody is to be asked next.
    pub(super) fn next_ping(&self) -> Option<clock::Monotonic> {
        self.pings.timers.next_timeout()
    }

    /// Asks everybody whose time has come.
    pub(crate) fn ask(&mut self, config: &Config, now: clock::Monotonic) {
        self.watches.look(config, now);
        while let Some(at) = self.pings.timers.pop_expired(now) {
            let Some(asked) = self.pings.asked.get(at) else { continue };
            match dial::hop(&asked.wanted, None) {
                Hop::Targets(targets) => self.located(config, now, at, targets.into_vec()),
                Hop::Wanted(wanted) => {
                    self.pings.next_resolve += 1;
                    let id = ResolveId(self.pings.next_resolve | OURS | 1 << 63);
                    self.pings.resolving.insert(id, at);
                    self.pings.outputs.push_back(Output::Resolve { id, wanted });
                }
            }
        }
    }

    /// What was to be located. The targets come back when nobody here has asked.
    pub(crate) fn resolved(
        &mut self,
        config: &Config,
        now: clock::Monotonic,
        id: ResolveId,
        targets: Vec<Target>,
    ) -> Option<Vec<Target>> {
        if let Some(at) = self.pings.resolving.remove(&id) {
            self.located(config, now, at, targets);
        } else if let Some(at) = self.watches.resolving(id) {
            self.watches.located(config, now, at, targets);
        } else {
            return Some(targets);
        }
        None
    }

    /// Where somebody is who is to be asked.
    fn located(&mut self, config: &Config, now: clock::Monotonic, at: usize, targets: Vec<Target>) {
        let Some(asked) = self.pings.asked.get(at) else { return };
        let Some((flow, peer_name)) = dial::reached(config, targets) else { return self.heard(now, at, Heard::Miss) };
        let (target, timeout) = (asked.target.to_string(), asked.ping.timeout);
        let ping = Ping { target, flow, peer_name, from: signaling::Party::default(), timeout };
        let id = OutsideId(at as u64 | OURS);
        self.pings.outputs.push_back(Output::Outside(OutsideCommand::Ping { id, ping: Box::new(ping) }));
    }

    /// What came of a ping or a subscription; false when it was not ours.
    pub(crate) fn outside(&mut self, now: clock::Monotonic, id: OutsideId, event: &OutsideEvent) -> bool {
        if id.0 & OURS == 0 {
            return self.watched(now, id, event);
        }
        if let (Ok(at), OutsideEvent::Pong { result }) = (usize::try_from(id.0 & !OURS), event) {
            self.heard(now, at, Heard::of(*result));
        }
        true
    }

    fn heard(&mut self, now: clock::Monotonic, at: usize, heard: Heard) {
        let Some(Asked { agent, ping, health, .. }) = self.pings.asked.get_mut(at) else { return };
        let changed = health.hear(heard, ping.down_after.max(1), ping.up_after.max(1));
        let wait = if health.in_doubt() { ping.interval.min(SOON) } else { ping.interval };
        self.pings.timers.set(at, now + wait);
        if changed {
            let (agent, there) = (*agent, health.is_up());
            self.is_online(agent, there, if there { "answers" } else { "silent" }, now);
        }
    }
}
