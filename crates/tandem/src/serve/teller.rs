//! Tells the outside what happens: a thread between the engine and the readers of `/v1/events`, because JSON has no place
//! on the engine; and what the metrics take from events and from the records of ended calls.

use super::outbox::Outbox;
use calls::{Cdr, Happening, PublicEvent};
use control::Events;
use metrics::Metrics;
use std::{sync::Arc, thread::JoinHandle, time::Duration};

/// Events that may wait; at this many the readers lose the newest, and the log says so.
const BOUND: usize = 65_536;
const LINGER: Duration = Duration::from_millis(2);

/// The thread; ends after everything was told when [`Teller::finish`] is called.
pub(crate) struct Teller {
    outbox: Arc<Outbox<PublicEvent>>,
    thread: JoinHandle<()>,
}

impl Teller {
    pub(crate) fn start(events: Arc<Events>, metrics: Arc<Metrics>) -> std::io::Result<Self> {
        let outbox = Arc::new(Outbox::new(BOUND, LINGER));
        let queue: Arc<Outbox<PublicEvent>> = Arc::clone(&outbox);
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            loop {
                let batch = queue.take();
                if batch.refused > 0 {
                    tracing::warn!(events = batch.refused, "public events were dropped: too many at once");
                }
                for event in &batch.items {
                    count_event(&metrics, event);
                    super::story::tell(event);
                    events.publish(event);
                }
                if batch.last {
                    return;
                }
            }
        })?;
        Ok(Self { outbox, thread })
    }

    pub(crate) fn outbox(&self) -> Arc<Outbox<PublicEvent>> {
        Arc::clone(&self.outbox)
    }

    pub(crate) fn finish(self) {
        self.outbox.close();
        let _ = self.thread.join();
    }
}

fn count_event(metrics: &Metrics, event: &PublicEvent) {
    match &event.what {
        Happening::FactsChanged { event } => metrics.events_total.inc([event]),
        Happening::PolicyDecided { rule, .. } | Happening::PolicyNotified { rule, .. } => {
            metrics.rule_matches_total.inc([rule, "false"]);
        }
        Happening::TransferMeasured { handoff_silence_ms, .. } => {
            metrics.handoff_silence_seconds.observe(Duration::from_millis(*handoff_silence_ms));
        }
        _ => {}
    }
}

/// What an ended call adds.
pub(crate) fn count_call(metrics: &Metrics, cdr: &Cdr) {
    let outcome = serde_json::to_value(cdr.cause).ok().and_then(|cause| cause.as_str().map(str::to_owned));
    metrics.calls_total.inc([&cdr.trunk, outcome.as_deref().unwrap_or("other")]);
    if let Some(answered) = cdr.answered {
        metrics.call_setup_seconds.observe(Duration::from_millis(answered.ms_since(cdr.setup)));
    }
    for leg in cdr.legs.iter().filter_map(|leg| leg.media.as_ref()) {
        metrics.rtp_lost_total.add(leg.packets_lost);
        if leg.packets_received > 0 && leg.jitter_ms.is_finite() && leg.jitter_ms >= 0.0 {
            metrics.rtp_jitter_seconds.observe(Duration::from_secs_f64(leg.jitter_ms / 1_000.0));
        }
    }
    for transfer in &cdr.transfers {
        let mode = match transfer.mode {
            policy::Mode::Warm => "warm",
            policy::Mode::Cold => "cold",
        };
        let outcome = serde_json::to_value(transfer.state).ok();
        let outcome = outcome.as_ref().and_then(|state| state.as_str()).unwrap_or("other");
        let cause = transfer.cause.map_or("", policy::Cause::name);
        let is_uri = transfer.to.contains(':');
        metrics.transfers_total.inc([mode, if is_uri { "other" } else { &transfer.to }, outcome, cause]);
        let phase = |phase: &str, from: Option<calls::Time>, to: Option<calls::Time>| {
            if let (Some(from), Some(to)) = (from, to) {
                metrics.transfer_duration_seconds.observe([mode, phase], Duration::from_millis(to.ms_since(from)));
            }
        };
        phase("last_words", Some(transfer.started), transfer.waiting);
        phase("waiting", transfer.waiting, transfer.bridged);
        phase("total", Some(transfer.started), transfer.ended);
    }
}
