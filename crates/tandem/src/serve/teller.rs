//! Tells the outside what happens: a thread between the engine and the readers of `/v1/events`, because JSON has no place
//! on the engine; and what the metrics take from the records of ended calls.

use super::{
    inbox::{Inbox, Note},
    outbox::Outbox,
};
use calls::{Cdr, PublicEvent, TransferState};
use control::Events;
use metrics::Metrics;
use recorder::io::Handle;
use std::{sync::Arc, thread::JoinHandle, time::Duration};

/// Events that may wait; at this many the readers lose the newest, and the log says so.
const BOUND: usize = 65_536;
/// How long events are gathered while somebody reads them, and while nobody does.
const LINGER: Duration = Duration::from_millis(2);
const LINGER_UNREAD: Duration = Duration::from_millis(20);

/// What the engine hands over.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are events, and a box for each would cost more than the few others waste"
)]
pub(crate) enum Told {
    /// Something happened.
    Event(PublicEvent),
    /// Tell the engine when everything before it was read: this leg's phone rings then.
    Show(signaling::LegId),
}

/// The thread; ends after everything was told when [`Teller::finish`] is called.
pub(crate) struct Teller {
    outbox: Arc<Outbox<Told>>,
    thread: JoinHandle<()>,
}

impl Teller {
    /// Tells `events`, and the recorder where there is one.
    pub(crate) fn start(events: Arc<Events>, recorder: Option<Handle>, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let outbox = Arc::new(Outbox::new(BOUND, LINGER));
        let queue: Arc<Outbox<Told>> = Arc::clone(&outbox);
        let thread = std::thread::Builder::new().name("events".to_owned()).spawn(move || {
            loop {
                let linger = if events.has_readers() { LINGER } else { LINGER_UNREAD };
                let batch = queue.take_after(linger);
                if batch.refused > 0 {
                    tracing::warn!(events = batch.refused, "public events were dropped: too many at once");
                }
                for told in &batch.items {
                    let event = match told {
                        Told::Event(event) => event,
                        Told::Show(leg) => {
                            let (inbox, leg) = (Arc::clone(&inbox), *leg);
                            events.when_read(move || drop(inbox.put(Note::Shown(leg))));
                            continue;
                        }
                    };
                    super::story::tell(event);
                    events.publish(event);
                    if let Some(recorder) = &recorder
                        && let Some(order) = super::recording::mention(event)
                    {
                        recorder.mention(order);
                    }
                }
                if batch.last {
                    return;
                }
            }
        })?;
        Ok(Self { outbox, thread })
    }

    pub(crate) fn outbox(&self) -> Arc<Outbox<Told>> {
        Arc::clone(&self.outbox)
    }

    pub(crate) fn finish(self) {
        self.outbox.close();
        let _ = self.thread.join();
    }
}

/// What an ended call adds.
pub(crate) fn count_call(metrics: &Metrics, cdr: &Cdr) {
    let cause = serde_json::to_value(cdr.cause).ok().and_then(|cause| cause.as_str().map(str::to_owned));
    metrics.calls_total.inc([&cdr.trunk, cause.as_deref().unwrap_or("other")]);
    for leg in cdr.legs.iter().filter_map(|leg| leg.media.as_ref()) {
        if leg.packets_received > 0 && leg.jitter_ms.is_finite() && leg.jitter_ms >= 0.0 {
            metrics.rtp_jitter_seconds.observe(Duration::from_secs_f64(leg.jitter_ms / 1_000.0));
        }
        if let Some(trip) = leg.round_trip_ms.filter(|trip| trip.is_finite() && *trip >= 0.0) {
            metrics.rtp_round_trip_seconds.observe(Duration::from_secs_f64(trip / 1_000.0));
        }
        for (direction, mos) in [("in", leg.mos), ("out", leg.remote_mos)] {
            if let Some(mos) = mos {
                metrics.rtp_mos.observe_value([direction], mos);
            }
        }
    }
    for transfer in &cdr.transfers {
        let mode = match transfer.mode {
            policy::Mode::Warm => "warm",
            policy::Mode::Cold => "cold",
        };
        let phase = |phase: &str, from: Option<calls::Time>, to: Option<calls::Time>| {
            if let (Some(from), Some(to)) = (from, to) {
                metrics.transfer_duration_seconds.observe([mode, phase], Duration::from_millis(to.ms_since(from)));
            }
        };
        phase("last_words", Some(transfer.started), transfer.waiting);
        phase("waiting", transfer.waiting, transfer.bridged);
    }
}

/// The word that the API uses for a transfer's outcome.
pub(crate) const fn outcome(state: TransferState) -> &'static str {
    match state {
        TransferState::LastWords => "last_words",
        TransferState::Queued => "queued",
        TransferState::Ringing => "ringing",
        TransferState::Whisper => "whisper",
        TransferState::Introduction => "introduction",
        TransferState::Bridged => "bridged",
        TransferState::Referred => "referred",
        TransferState::Voicemail => "voicemail",
        TransferState::Callback => "callback",
        TransferState::Failed => "failed",
        TransferState::Cancelled => "cancelled",
        TransferState::CallEnded => "call_ended",
    }
}
