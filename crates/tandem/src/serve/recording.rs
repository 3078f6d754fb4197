//! The recorder, as the daemon sees it: started with the configuration, told by the engine, asked by the API.

use super::inbox::{Inbox, Note};
use crate::config::{Recording as Settings, RecordingFormat, RecordingWhen};
use anyhow::Context as _;
use calls::{CallId, Problem, RecordOrder, Recorded};
use clock::Now;
use media_relay::{Codec, Taps};
use metrics::Metrics;
use recorder::{
    io::{Archive, ArchiveError, Beginning, Config, Gauges, Handle, News, Order, Outcome, Recorder},
    wav::Format,
};
use serde_json::{Value, json};
use std::{
    fs::File,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Recordings past their time are looked for so often.
const SWEEP: Duration = Duration::from_secs(600);

/// A running recorder.
pub(crate) struct Recording {
    recorder: Recorder,
    taps: Taps,
}

impl Recording {
    /// Starts it where anything is to be recorded; a directory that cannot be made is a mistake of the configuration.
    pub(crate) fn start(settings: &Settings, inbox: &Arc<Inbox>) -> anyhow::Result<Option<Self>> {
        if settings.when == RecordingWhen::Never {
            return Ok(None);
        }
        std::fs::create_dir_all(&settings.directory)
            .with_context(|| format!("cannot keep recordings in {}", settings.directory.display()))?;
        let format = match settings.format {
            RecordingFormat::WavPcm16 => Format::Pcm16,
            RecordingFormat::WavPcma => Format::G711(Codec::Pcma),
            RecordingFormat::WavPcmu => Format::G711(Codec::Pcmu),
        };
        let inbox = Arc::clone(inbox);
        let report = move |news: News| {
            if let Ok(call) = news.call.parse::<CallId>() {
                let _ = inbox.put(Note::Recorded(call, news.line, recorded(news.what)));
            }
        };
        let config = Config { directory: settings.directory.clone(), format };
        let (recorder, taps) = Recorder::start(config, report).context("cannot start the recorder")?;
        Ok(Some(Self { recorder, taps }))
    }

    /// Gives orders.
    pub(crate) fn handle(&self) -> Handle {
        self.recorder.handle()
    }

    /// Where the relay hands audio to.
    pub(crate) fn taps(&self) -> Taps {
        self.taps.clone()
    }

    /// Counts.
    pub(crate) fn gauges(&self) -> Arc<Gauges> {
        self.recorder.gauges()
    }

    /// Everything is written; to be called when engine and teller have ended.
    pub(crate) fn finish(self) {
        self.recorder.finish();
    }
}

fn recorded(what: Outcome) -> Recorded {
    match what {
        Outcome::Failed { reason } => Recorded::Failed { reason },
        Outcome::Finished { duration_ms, paused_ms, bytes, flaws } => {
            Recorded::Finished { duration_ms, paused_ms, bytes, complete: flaws.is_empty() }
        }
    }
}

/// The engine's order, at the moment of its turn.
pub(crate) fn order(now: Now, order: RecordOrder) -> Order {
    let at = now.monotonic;
    match order {
        RecordOrder::Start { tap, call, line, channels } => {
            Order::Start(tap, Box::new(Beginning { call: call.to_string(), line, channels, at: now }))
        }
        RecordOrder::Heard { tap, who } => Order::Heard(tap, at, who),
        RecordOrder::Pause { tap } => Order::Pause(tap, at),
        RecordOrder::Resume { tap } => Order::Resume(tap, at),
        RecordOrder::Finish { tap } => Order::Finish(tap, at),
    }
}

/// What happened in a call, for its recording's timeline.
pub(crate) fn mention(event: &calls::PublicEvent) -> Option<Order> {
    let what = serde_json::to_value(&event.what).ok()?;
    Some(Order::Event {
        call: event.call?.to_string(),
        unix: Duration::from_millis(event.time.0),
        what: Box::new(what),
    })
}

/// Brings the metrics up to date.
pub(crate) fn show(gauges: &Gauges, metrics: &Metrics) {
    metrics.recordings_active.set(gauges.active());
    metrics.recording_bytes_total.at_least(gauges.bytes());
    metrics.recording_errors_total.at_least(gauges.errors());
    metrics.recording_lost_frames_total.at_least(gauges.lost_frames());
}

/// Removes recordings past their time, now and then.
pub(crate) async fn expire(settings: Settings) {
    if settings.retention.is_zero() {
        return std::future::pending().await;
    }
    let mut sweeps = tokio::time::interval(SWEEP);
    loop {
        sweeps.tick().await;
        let (archive, age) = (Archive::new(settings.directory.clone()), settings.retention);
        let removed = tokio::task::spawn_blocking(move || archive.expire(age, SystemTime::now())).await.unwrap_or(0);
        if removed > 0 {
            tracing::info!(recordings = removed, "recordings past their time were deleted");
        }
    }
}

/// The newest recordings, without what happened in them.
pub(crate) fn list(settings: &Settings, limit: usize) -> Result<Value, Problem> {
    let list = Archive::new(settings.directory.clone()).list(limit);
    let brief = |timeline: recorder::Timeline| {
        let mut brief = serde_json::to_value(timeline).unwrap_or_default();
        if let Some(fields) = brief.as_object_mut() {
            for detail in ["segments", "gaps", "events"] {
                fields.remove(detail);
            }
        }
        brief
    };
    Ok(json!({ "recordings": list.into_iter().map(brief).collect::<Vec<_>>() }))
}

/// A call's recording with its timeline.
pub(crate) fn timeline(settings: &Settings, call: CallId) -> Result<Value, Problem> {
    let timeline = Archive::new(settings.directory.clone()).timeline(&call.to_string());
    Ok(serde_json::to_value(timeline.map_err(|error| problem(&error))?).unwrap_or_default())
}

/// Its audio.
pub(crate) fn audio(settings: &Settings, call: CallId) -> Result<File, Problem> {
    let path = Archive::new(settings.directory.clone()).audio(&call.to_string()).map_err(|error| problem(&error))?;
    File::open(path).map_err(|error| problem(&error.into()))
}

/// Removes everything of it.
pub(crate) fn delete(settings: &Settings, call: CallId) -> Result<(), Problem> {
    let deleted = Archive::new(settings.directory.clone()).delete(&call.to_string());
    deleted.map_err(|error| problem(&error))?;
    tracing::info!(%call, "recording deleted");
    Ok(())
}

fn problem(error: &ArchiveError) -> Problem {
    let (status, kind, title) = match error {
        ArchiveError::Unknown => (404, "unknown-recording", "there is no such recording"),
        ArchiveError::Growing => (409, "wrong-state", "not in a state for this"),
        ArchiveError::Disk(_) => (500, "internal", "the recording cannot be had"),
    };
    Problem::new(status, kind, title).detail(error.to_string())
}
