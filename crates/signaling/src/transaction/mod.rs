//! The transaction layer (RFC 3261 section 17, RFC 6026): repeats what is lost, swallows what is repeated.

mod act;
mod client;
mod client_invite;
mod client_non_invite;
mod server;
mod server_invite;
mod server_non_invite;

pub(crate) use self::{
    act::Class,
    client::{COOKIE, Clients, FromClient, Instead, Outgoing, Role, User},
    server::{FromServer, Key, Servers, Taken},
};

use crate::{
    context::Context,
    timer::{Owner, Timer},
};
use act::{Act, Acts};

/// Both tables.
#[derive(Debug)]
pub(crate) struct Transactions {
    pub(crate) clients: Clients,
    pub(crate) servers: Servers,
}

impl Transactions {
    pub(crate) fn new(cx: &mut Context) -> Self {
        let key = (cx.random(), cx.random());
        Self { clients: Clients::default(), servers: Servers::new(key) }
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// True while somebody waits for a final response or an ACK; transactions that linger for copies owe nothing.
    pub(crate) fn is_owed(&self) -> bool {
        self.clients.is_owed() || self.servers.is_owed()
    }

    /// True when a new INVITE must be refused. What runs may go a tenth beyond, so that BYEs still find room.
    pub(crate) fn full(&self, cx: &Context) -> bool {
        self.len() >= cx.config.limits.transactions
    }

    /// True when nothing new at all can be taken.
    pub(crate) fn overfull(&self, cx: &Context) -> bool {
        let limit = cx.config.limits.transactions;
        self.len() >= limit.saturating_add(limit / 10).saturating_add(16)
    }
}

/// What carrying out a machine's acts left for the layer above.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Rest {
    send: bool,
    repeat: bool,
    acknowledge: bool,
    up: bool,
    timed_out: bool,
    failed: bool,
    end: bool,
}

/// Arms and disarms; notes the rest.
fn carry_out(cx: &mut Context, owner: Owner, acts: &Acts) -> Rest {
    let mut rest = Rest::default();
    for act in acts {
        match *act {
            Act::Arm(timer, wait) => cx.arm(owner, timer, wait),
            Act::Disarm(timer) => cx.disarm(owner, timer),
            Act::Send => rest.send = true,
            Act::Repeat => rest.repeat = true,
            Act::Acknowledge => rest.acknowledge = true,
            Act::Up => rest.up = true,
            Act::TimedOut => rest.timed_out = true,
            Act::Failed => rest.failed = true,
            Act::End => rest.end = true,
        }
    }
    rest
}

/// Disarms everything a transaction may have armed.
fn disarm_all(cx: &mut Context, owner: Owner, timers: &[Timer]) {
    for timer in timers {
        cx.disarm(owner, *timer);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::act::Act;
    use crate::timer::{Timer, Timing};
    use std::time::Duration;

    /// The standard's own values.
    pub(crate) const TIMING: Timing = Timing {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        reliable: false,
    };

    pub(crate) fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    pub(crate) fn arm(timer: Timer, wait: f64) -> Act {
        Act::Arm(timer, seconds(wait))
    }
}
