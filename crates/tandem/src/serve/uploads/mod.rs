//! Recordings on their way elsewhere. What waits is marked beside it on the disk (`c_….upload`), by the recorder, before it is announced: so
//! a kill at any moment loses nothing. Whatever becomes of an upload, no call knows of it.

mod queue;
mod target;

use super::inbox::{Inbox, Note};
use crate::config::{Configuration, Upload};
use anyhow::Context as _;
use calls::{CallId, Recorded, Uploaded};
use metrics::Metrics;
use queue::{Job, Queue};
use recorder::io::{Archive, ArchiveError, Spool};
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use target::{Object, Parts, PutError, Target};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// What was announced and not taken up yet; beyond that, the disk is looked through.
const ANNOUNCED: usize = 1_024;
/// What waits on the disk is looked for so often, and local copies past their time.
const SWEEP: Duration = Duration::from_secs(600);
/// Metrics say how old the oldest is, to within this.
const TICK: Duration = Duration::from_secs(1);

/// Tells the uploads that a recording is there.
#[derive(Clone)]
pub(crate) struct Announcer {
    ids: mpsc::Sender<String>,
    look: Arc<AtomicBool>,
}

impl Announcer {
    /// This one waits. Never blocks.
    pub(crate) fn announce(&self, id: &str) {
        if self.ids.try_send(id.to_owned()).is_err() {
            self.look.store(true, Ordering::Relaxed);
        }
    }

    /// Some may wait that nobody has announced.
    pub(crate) fn look(&self) {
        self.look.store(true, Ordering::Relaxed);
        // Nobody's id: it wakes the task.
        let _ = self.ids.try_send(String::new());
    }
}

/// The uploads, from the daemon's start to its end.
pub(crate) struct Uploads {
    announcer: Announcer,
    task: JoinHandle<()>,
}

impl Uploads {
    /// Starts them where they are wanted.
    pub(crate) fn start(
        configuration: &Configuration,
        runtime: &Handle,
        inbox: &Arc<Inbox>,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(settings) = configuration.recording.upload.clone() else { return Ok(None) };
        let target = Target::new(&settings).context("cannot prepare the upload of recordings")?;
        let carrier = Carrier {
            recordings: Archive::new(configuration.recording.directory.clone()),
            messages: Archive::new(configuration.voicemail.directory.clone()),
            target,
            settings,
        };
        let (ids, announced) = mpsc::channel(ANNOUNCED);
        let announcer = Announcer { ids, look: Arc::new(AtomicBool::new(true)) };
        let office = Office {
            carrier: Arc::new(carrier),
            queue: Queue::default(),
            look: Arc::clone(&announcer.look),
            inbox: Arc::clone(inbox),
            metrics: Arc::clone(metrics),
            overdue: false,
        };
        let task = runtime.spawn(office.run(announced));
        Ok(Some(Self { announcer, task }))
    }

    /// How they are told of recordings.
    pub(crate) fn announcer(&self) -> Announcer {
        self.announcer.clone()
    }

    /// What is under way is broken off; it goes on when the daemon starts again.
    pub(crate) fn stop(self) {
        self.task.abort();
    }
}

/// Who decides what is uploaded when.
struct Office {
    carrier: Arc<Carrier>,
    queue: Queue,
    look: Arc<AtomicBool>,
    inbox: Arc<Inbox>,
    metrics: Arc<Metrics>,
    overdue: bool,
}

type Finished = (Job, Result<Option<Arrived>, PutError>);

impl Office {
    async fn run(mut self, mut announced: mpsc::Receiver<String>) {
        let mut under_way: JoinSet<Finished> = JoinSet::new();
        let mut sweeps = tokio::time::interval(SWEEP);
        loop {
            if self.look.swap(false, Ordering::Relaxed) || (self.queue.overflowed && self.queue.len() == 0) {
                self.look_through().await;
            }
            while under_way.len() < self.carrier.settings.at_once {
                let Some(job) = self.queue.next(Instant::now()) else { break };
                let carrier = Arc::clone(&self.carrier);
                under_way.spawn(async move {
                    let done = carrier.carry(&job.id).await;
                    (job, done)
                });
            }
            self.show();
            let waits = self.queue.len() > 0;
            let tick = Instant::now() + if waits { TICK } else { SWEEP };
            let wake = self.queue.next_due().map_or(tick, |due| due.min(tick));
            tokio::select! {
                Some(done) = under_way.join_next() => match done {
                    Ok((job, done)) => self.finished(job, done),
                    // A defect of ours: what it carried is found on the disk again.
                    Err(error) => {
                        tracing::error!(%error, "an upload broke off");
                        self.queue = Queue::default();
                        self.look.store(true, Ordering::Relaxed);
                        under_way.abort_all();
                    }
                },
                id = announced.recv() => match id {
                    Some(id) if id.is_empty() => {}
                    Some(id) => self.queue.add(id, SystemTime::now()),
                    None => return,
                },
                _ = sweeps.tick() => {
                    self.look.store(true, Ordering::Relaxed);
                    self.carrier.drop_what_was_kept_long_enough().await;
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    async fn look_through(&mut self) {
        self.queue.overflowed = false;
        let carrier = Arc::clone(&self.carrier);
        let look = move || [carrier.recordings.waiting(), carrier.messages.waiting()].concat();
        for (id, since) in tokio::task::spawn_blocking(look).await.unwrap_or_default() {
            self.queue.add(id, since);
        }
    }

    fn finished(&mut self, job: Job, done: Result<Option<Arrived>, PutError>) {
        let waited = SystemTime::now().duration_since(job.since).unwrap_or_default();
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        match done {
            // It was deleted meanwhile.
            Ok(None) => self.queue.done(&job.id),
            Ok(Some(arrived)) => {
                self.queue.done(&job.id);
                self.metrics.uploads_total.inc(["done"]);
                self.metrics.upload_bytes_total.add(arrived.bytes);
                let attempts = job.attempts + 1;
                tracing::info!(id = job.id, to = arrived.to, bytes = arrived.bytes, attempts, "recording uploaded");
                let what = Uploaded {
                    voicemail: job.id.parse().ok(),
                    to: arrived.to,
                    bytes: arrived.bytes,
                    waited_ms,
                    attempts,
                    kept: arrived.kept,
                };
                self.tell(&arrived.call, arrived.line, Recorded::Uploaded(Box::new(what)));
            }
            Err(error) => {
                self.metrics.uploads_total.inc(["failed"]);
                let (id, attempts) = (job.id.clone(), job.attempts + 1);
                let chance = (super::engine::chance() >> 11) as f64 / (1u64 << 53) as f64;
                let pause = self.queue.failed(Instant::now(), job, chance);
                let reason = error.to_string();
                // The first, and then ever more rarely: a service that is down for a night is no flood of events.
                if !attempts.is_power_of_two() {
                    return;
                }
                tracing::warn!(id, attempts, again_in = ?pause, reason, "a recording cannot be uploaded; it stays here and is tried again");
                let retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let what = Recorded::UploadFailed { voicemail: id.parse().ok(), reason, attempts, retry_ms, waited_ms };
                if let Ok(Spool { call, line, .. }) = self.carrier.archive(&id).spool(&id) {
                    self.tell(&call, line, what);
                }
            }
        }
    }

    fn tell(&self, call: &str, line: String, what: Recorded) {
        if let Ok(call) = call.parse::<CallId>() {
            let _ = self.inbox.put(Note::Recorded(call, line, what));
        }
    }

    fn show(&mut self) {
        let age =
            self.queue.oldest().and_then(|since| SystemTime::now().duration_since(since).ok()).unwrap_or_default();
        self.metrics.uploads_waiting.set(self.queue.len() as u64);
        self.metrics.upload_oldest_seconds.set(age.as_secs());
        let overdue = age > self.carrier.settings.overdue;
        if overdue != std::mem::replace(&mut self.overdue, overdue) {
            if overdue {
                tracing::error!(waiting = self.queue.len(), oldest = ?age, "recordings wait for their upload for too long");
            } else {
                tracing::warn!("no recording waits for its upload for too long any more");
            }
        }
    }
}

/// Who carries one recording at a time.
struct Carrier {
    recordings: Archive,
    messages: Archive,
    target: Target,
    settings: Upload,
}

/// A recording that is elsewhere.
struct Arrived {
    call: String,
    line: String,
    to: String,
    bytes: u64,
    kept: bool,
}

/// What the mark beside a recording says of an upload that is under way.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    /// Files that have arrived.
    #[serde(default)]
    arrived: Vec<Object>,
    /// One that has in part.
    #[serde(default)]
    parts: Option<Parts>,
}

impl Carrier {
    fn archive(&self, id: &str) -> &Archive {
        if id.starts_with("v_") { &self.messages } else { &self.recordings }
    }

    /// Uploads every file of a recording that has not arrived yet; nothing when there is nothing any more to be uploaded.
    async fn carry(&self, id: &str) -> Result<Option<Arrived>, PutError> {
        let (archive, named) = (self.archive(id).clone(), id.to_owned());
        let found = tokio::task::spawn_blocking(move || archive.spool(&named)).await;
        let spool = match found.map_err(std::io::Error::other)? {
            Ok(spool) => spool,
            Err(ArchiveError::Unknown | ArchiveError::Growing) => return Ok(None),
            Err(ArchiveError::Disk(error)) => return Err(error.into()),
        };
        let mut progress: Progress = serde_json::from_slice(&spool.noted()).unwrap_or_default();
        let mut parts = progress.parts.take();
        for file in &spool.files {
            let name = file.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            if progress.arrived.iter().any(|object| object.name == name) {
                continue;
            }
            let arrived = &progress.arrived;
            let keep = |parts: &Option<Parts>| {
                spool.note(&serde_json::json!({ "arrived": arrived, "parts": parts }).to_string())
            };
            let put = self.target.put(&spool.day, file, &mut parts, &keep).await;
            let object = match put {
                Err(PutError::File(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.take_back(&spool, &progress, parts.as_ref()).await;
                    return Ok(None);
                }
                put => put?,
            };
            progress.arrived.push(object);
            spool.note(&serde_json::json!({ "arrived": progress.arrived, "parts": null }).to_string())?;
        }
        let to = format!("{}/{}", self.settings.shown, spool.day);
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let kept = self.settings.keep_local != Some(Duration::ZERO);
        let said = serde_json::json!({ "to": to, "unix": at, "files": progress.arrived });
        match spool.finish(&said.to_string(), kept) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.take_back(&spool, &progress, None).await;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        let bytes = progress.arrived.iter().map(|object| object.bytes).sum();
        Ok(Some(Arrived { call: spool.call, line: spool.line, to, bytes, kept }))
    }

    /// It was deleted while it was uploaded.
    async fn take_back(&self, spool: &Spool, progress: &Progress, parts: Option<&Parts>) {
        let names: Vec<String> = progress.arrived.iter().map(|object| object.name.clone()).collect();
        self.target.take_back(&spool.day, &names, parts).await;
    }

    async fn drop_what_was_kept_long_enough(&self) {
        let Some(age) = self.settings.keep_local else { return };
        for archive in [self.recordings.clone(), self.messages.clone()] {
            let dropped = tokio::task::spawn_blocking(move || archive.drop_uploaded(age, SystemTime::now())).await;
            if let Ok(dropped @ 1..) = dropped {
                tracing::info!(recordings = dropped, "local copies of uploaded recordings were deleted");
            }
        }
    }
}
