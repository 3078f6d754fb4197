//! The audio workers, as the engine sees them.

use super::inbox::Inbox;
use crate::config::Configuration;
use calls::Opened;
use clock::Now;
use media_relay::{CallKey, Command, Event};
use metrics::Metrics;
use std::sync::Arc;

pub(crate) struct Relay {}

impl Relay {
    pub(crate) fn start(configuration: &Configuration, inbox: &Arc<Inbox>) -> anyhow::Result<Self> {
        let _ = (configuration, inbox);
        Ok(Self {})
    }

    pub(crate) fn open(&mut self, now: Now, call: CallKey) -> anyhow::Result<Opened> {
        let _ = (now, call);
        anyhow::bail!("the audio workers are not built yet")
    }

    pub(crate) fn command(&mut self, command: Command) {
        let _ = command;
    }

    pub(crate) fn events(&mut self, take: impl FnMut(Event)) {
        let _ = take;
    }

    pub(crate) fn show(&self, metrics: &Metrics) {
        let _ = metrics;
    }

    pub(crate) fn stop(&mut self) {}
}
