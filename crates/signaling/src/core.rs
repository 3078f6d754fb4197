//! The room's one entrance.

use crate::{Config, Counters, Gauges, Input, Output};
use clock::{Monotonic, Now};
use std::collections::VecDeque;

/// The signaling core. See the crate's documentation for its contract.
#[derive(Debug)]
pub struct Core {
    #[expect(dead_code, reason = "read by the layers that land next")]
    config: Config,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Core {
    /// A core without calls. All tags, branches and Call-IDs come from `seed`.
    pub fn new(config: Config, seed: u64, now: Now) -> Self {
        let _ = (seed, now);
        Self { config, outputs: VecDeque::new(), counters: Counters::default() }
    }

    /// Takes one input. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_input(&mut self, now: Now, input: Input) {
        let _ = (now, input);
    }

    /// Fires every timer that is due. Call [`Self::poll_output`] until it is empty afterwards.
    pub fn handle_timeout(&mut self, now: Now) {
        let _ = now;
    }

    /// The next thing to do, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Monotonic> {
        None
    }

    /// What is there at the moment.
    pub fn gauges(&self) -> Gauges {
        Gauges::default()
    }

    /// What has happened since birth.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
