//! The room's one entrance.

use crate::{
    Config, Counters, Gauges, Input, Output,
    context::Context,
    inbound,
    legs::{Legs, World},
    outside::Outside,
    timer::Owner,
    transaction::{FromClient, Role, Transactions},
};
use clock::{Monotonic, Now};

/// The signaling core. See the crate's documentation for its contract.
#[derive(Debug)]
pub struct Core {
    cx: Context,
    transactions: Transactions,
    legs: Legs,
    outside: Outside,
}

impl Core {
    /// A core without calls. All tags, branches and Call-IDs come from `seed`.
    pub fn new(config: Config, seed: u64, now: Now) -> Self {
        let mut cx = Context::new(config, seed, now);
        let transactions = Transactions::new(&mut cx);
        Self { cx, transactions, legs: Legs::default(), outside: Outside::default() }
    }

    /// Takes one input. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        self.cx.now = self.cx.now.max(now.monotonic);
        let mut w = World { cx: &mut self.cx, transactions: &mut self.transactions };
        match input {
            Input::Received { flow, bytes } => {
                let told = inbound::receive(&mut w, &mut self.legs, &mut self.outside, flow, bytes);
                told.into_iter().for_each(|told| self.client_told(told));
            }
            Input::Command(command) => self.legs.command(&mut w, command),
            Input::Outside(command) => self.outside.command(&mut w, command),
            Input::TransmitFailed { flow } => {
                let told = w.transactions.clients.transport_failed(w.cx, &flow);
                told.into_iter().for_each(|told| self.client_told(told));
            }
        }
    }

    /// Fires every timer that is due. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_timeout(&mut self, now: Now) {
        self.cx.now = self.cx.now.max(now.monotonic);
        if let Some(registrar) = &mut self.cx.registrar {
            for (account, contacts) in registrar.expire(self.cx.now) {
                self.cx.contacts(account, contacts);
            }
        }
        // Each timer that is due fires once: whatever it arms lies in the future.
        for _ in 0..self.cx.timers.len() {
            let Some((owner, timer)) = self.cx.timers.pop_expired(self.cx.now) else { break };
            let mut w = World { cx: &mut self.cx, transactions: &mut self.transactions };
            match owner {
                Owner::Client(id) => {
                    let told = w.transactions.clients.timer(w.cx, id, timer);
                    told.into_iter().for_each(|told| self.client_told(told));
                }
                Owner::Server(id) => {
                    if let Some(told) = w.transactions.servers.timer(w.cx, id, timer) {
                        self.legs.server_told(&mut w, told);
                    }
                }
                Owner::Leg(slot) => self.legs.timer(&mut w, slot, timer),
                Owner::Outside(slot) => self.outside.timer(&mut w, slot, timer),
            }
        }
    }

    /// A client transaction's word goes to whose request it was.
    fn client_told(&mut self, told: FromClient) {
        let mut w = World { cx: &mut self.cx, transactions: &mut self.transactions };
        match told.user().role {
            Role::Outside => self.outside.client_told(&mut w, &told),
            _ => self.legs.client_told(&mut w, told),
        }
    }

    /// The legs that are up, or on their way.
    pub fn legs(&self) -> impl Iterator<Item = crate::LegId> {
        self.legs.ids()
    }

    /// Writes a leg down that is answered and in which nothing is under way. `None`: it is not, or not yet ([`crate::LegSnapshot`]).
    pub fn snapshot(&self, now: Now, leg: crate::LegId) -> Option<crate::LegSnapshot> {
        self.legs.snapshot(now.monotonic, &self.cx, &self.transactions, leg)
    }

    /// Takes a leg up where it was written down; one of that id that is here gives way.
    pub fn restore(&mut self, now: Now, snapshot: crate::LegSnapshot) -> Result<(), crate::Unrestorable> {
        self.cx.now = self.cx.now.max(now.monotonic);
        let mut w = World { cx: &mut self.cx, transactions: &mut self.transactions };
        self.legs.restore(&mut w, snapshot)
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.cx.poll_output()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        let registrations = self.cx.registrar.as_ref().and_then(|registrar| registrar.next_timeout());
        self.cx.timers.next_timeout().into_iter().chain(registrations).min()
    }

    /// What is there at the moment.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            transactions: self.transactions.len(),
            dialogs: self.legs.dialogs(),
            legs: self.legs.len(),
            timers: self.cx.timers.len(),
        }
    }

    /// How many entries each table has, by name: whoever runs for long looks at what stays.
    pub fn tables(&self) -> Vec<(&'static str, usize)> {
        let mut all = vec![
            ("signaling.timers", self.cx.timers.len()),
            ("signaling.client_transactions", self.transactions.clients.len()),
            ("signaling.usages", self.outside.len()),
        ];
        all.extend(self.transactions.servers.tables());
        all.extend(self.legs.tables());
        all.extend(self.cx.tables());
        all
    }

    /// Contacts of phones that are registered.
    pub fn registrations(&self) -> usize {
        self.cx.registrar.as_ref().map_or(0, |registrar| registrar.len())
    }

    /// Sources that are banned.
    pub fn banned(&self, now: Now) -> usize {
        self.cx.guard.banned(now.monotonic)
    }

    /// True while a leg is up, or somebody waits for a final response or an ACK from us or we from them. A daemon that stops may end
    /// when this is false; what lingers then only absorbs copies.
    pub fn is_owed(&self) -> bool {
        self.legs.is_owed() || self.transactions.is_owed()
    }

    /// What has happened since birth.
    pub fn counters(&self) -> &Counters {
        &self.cx.counters
    }
}
