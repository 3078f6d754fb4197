//! The recorder, as the daemon sees it: started with the configuration, told by the engine, asked by the API.

use super::{
    inbox::{Inbox, Note},
    uploads::Announcer,
};
use crate::config::{Configuration, RecordingFormat, RecordingWhen};
use anyhow::Context as _;
use calls::{CallId, MessageEnd, MessageLeft, MessageOrder, Problem, RecordOrder, Recorded, VoicemailId};
use clock::Now;
use control::{Audio, Kept};
use media_relay::{Codec, Taps};
use metrics::Metrics;
use recorder::{
    Form,
    io::{Archive, ArchiveError, Beginning, Config, Gauges, Handle, Left, News, Order, Outcome, Recorder},
    wav::Format,
};
use serde_json::{Value, json};
use std::{
    fs::File,
    path::Path,
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
    /// `announcer` is told of each that is there and is to be uploaded.
    pub(crate) fn start(
        configuration: &Configuration,
        inbox: &Arc<Inbox>,
        announcer: Option<Announcer>,
    ) -> anyhow::Result<Option<Self>> {
        let (settings, voicemail) = (&configuration.recording, &configuration.voicemail);
        let (calls, messages) = (settings.when != RecordingWhen::Never, !voicemail.mailboxes.is_empty());
        if !calls && !messages {
            return Ok(None);
        }
        let wanted = [(calls, "recordings", &settings.directory), (messages, "messages", &voicemail.directory)];
        for (_, what, directory) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
            std::fs::create_dir_all(directory)
                .with_context(|| format!("cannot keep {what} in {}", directory.display()))?;
        }
        let form = match settings.format {
            RecordingFormat::WavPcm16 => Form::Wav(Format::Pcm16),
            RecordingFormat::WavPcma => Form::Wav(Format::G711(Codec::Pcma)),
            RecordingFormat::WavPcmu => Form::Wav(Format::G711(Codec::Pcmu)),
            RecordingFormat::OggOpus => Form::OggOpus,
        };
        let inbox = Arc::clone(inbox);
        let (upload, opened) = (announcer.is_some(), announcer.clone());
        let report = move |news: News| {
            if let (Outcome::Finished { .. }, Some(announcer)) = (&news.what, &announcer) {
                announcer.announce(news.message.as_ref().map_or(&news.call, |left| &left.message.id));
            }
            let Ok(call) = news.call.parse::<CallId>() else { return };
            let what = match news.message {
                None => Some(recorded(news.what)),
                Some(left) => message(*left, news.what),
            };
            if let Some(what) = what {
                let _ = inbox.put(Note::Recorded(call, news.line, what));
            }
        };
        let config = Config {
            directory: settings.directory.clone(),
            messages: voicemail.directory.clone(),
            form,
            encrypt_to: settings.encrypt_to.clone(),
            upload,
        };
        let (recorder, taps) = Recorder::start(config, move || opened.iter().for_each(Announcer::look), report)
            .context("cannot start the recorder")?;
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
        Outcome::Finished { duration_ms, paused_ms, bytes, flaws, encrypted_to } => {
            Recorded::Finished { duration_ms, paused_ms, bytes, complete: flaws.is_empty(), encrypted_to }
        }
    }
}

fn message(left: Left, what: Outcome) -> Option<Recorded> {
    let voicemail = left.message.id.parse::<VoicemailId>().ok()?;
    Some(match what {
        Outcome::Failed { reason } => Recorded::MessageFailed { voicemail, reason },
        Outcome::Finished { duration_ms, bytes, flaws, encrypted_to, .. } => Recorded::Message(Box::new(MessageLeft {
            voicemail,
            mailbox: left.message.mailbox,
            from: left.message.from,
            duration_ms,
            bytes,
            file: left.file.map(|file| file.display().to_string()),
            ended_by: left.message.ended_by.as_deref().and_then(MessageEnd::named).unwrap_or(MessageEnd::Other),
            complete: flaws.is_empty(),
            encrypted_to,
        })),
    })
}

/// The engine's order, at the moment of its turn.
pub(crate) fn order(now: Now, order: RecordOrder) -> Order {
    let at = now.monotonic;
    match order {
        RecordOrder::Start { tap, call, line, channels } => {
            Order::Start(tap, Box::new(Beginning { call: call.to_string(), line, channels, at: now, message: None }))
        }
        RecordOrder::Message { tap, message } => {
            let MessageOrder { id, mailbox, call, line, from } = *message;
            let message = recorder::Message { id: id.to_string(), mailbox, from, ended_by: None };
            let (call, channels) = (call.to_string(), vec!["caller".to_owned()]);
            Order::Start(tap, Box::new(Beginning { call, line, channels, at: now, message: Some(message) }))
        }
        RecordOrder::Keep { tap, ended_by } => Order::Keep(tap, at, ended_by.name().to_owned()),
        RecordOrder::Discard { tap } => Order::Discard(tap),
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

/// Removes recordings and messages past their time, now and then.
pub(crate) async fn expire(configuration: Arc<Configuration>) {
    let recordings = (configuration.recording.directory.clone(), configuration.recording.retention);
    let messages = (configuration.voicemail.directory.clone(), configuration.voicemail.retention);
    let kept: Vec<_> = [recordings, messages].into_iter().filter(|(_, age)| !age.is_zero()).collect();
    if kept.is_empty() {
        return std::future::pending().await;
    }
    let mut sweeps = tokio::time::interval(SWEEP);
    loop {
        sweeps.tick().await;
        for (directory, age) in kept.clone() {
            let expire = move || Archive::new(directory).expire(age, SystemTime::now());
            let removed = tokio::task::spawn_blocking(expire).await.unwrap_or(0);
            if removed > 0 {
                tracing::info!(recordings = removed, "recordings past their time were deleted");
            }
        }
    }
}

/// The newest recordings, without what happened in them.
pub(crate) fn list(configuration: &Configuration, limit: usize) -> Result<Value, Problem> {
    let list = Archive::new(configuration.recording.directory.clone()).list(limit);
    Ok(json!({ "recordings": list.into_iter().map(brief).collect::<Vec<_>>() }))
}

/// The newest messages, of one mailbox or all, in the same shape.
pub(crate) fn messages(configuration: &Configuration, mailbox: Option<&str>, limit: usize) -> Result<Value, Problem> {
    let wanted = |timeline: &recorder::Timeline| {
        mailbox.is_none_or(|mailbox| timeline.message.as_ref().is_some_and(|message| message.mailbox == mailbox))
    };
    let list = Archive::new(configuration.voicemail.directory.clone()).list_of(limit, wanted);
    Ok(json!({ "voicemails": list.into_iter().map(brief).collect::<Vec<_>>() }))
}

fn brief(timeline: recorder::Timeline) -> Value {
    let mut brief = serde_json::to_value(timeline).unwrap_or_default();
    if let Some(fields) = brief.as_object_mut() {
        for detail in ["segments", "gaps", "events"] {
            fields.remove(detail);
        }
    }
    brief
}

/// Where it is, and what its files are called by.
fn place(configuration: &Configuration, which: Kept) -> (Archive, String) {
    match which {
        Kept::Call(call) => (Archive::new(configuration.recording.directory.clone()), call.to_string()),
        Kept::Message(message) => (Archive::new(configuration.voicemail.directory.clone()), message.to_string()),
    }
}

/// A recording with its timeline.
pub(crate) fn timeline(configuration: &Configuration, which: Kept) -> Result<Value, Problem> {
    let (archive, id) = place(configuration, which);
    let mut whole = serde_json::to_value(archive.timeline(&id).map_err(|error| problem(&error))?).unwrap_or_default();
    if let Some(upload) = archive.upload(&id) {
        whole["upload"] = upload;
    }
    Ok(whole)
}

/// Its audio.
pub(crate) fn audio(configuration: &Configuration, which: Kept) -> Result<Audio, Problem> {
    let (archive, id) = place(configuration, which);
    match archive.audio(&id) {
        Ok(path) => file(&path),
        Err(error) => {
            let to = archive.upload(&id).and_then(|upload| Some(upload["to"].as_str()?.to_owned()));
            Err(match to {
                Some(to) => problem(&error).detail(format!("its audio was uploaded to {to}, and is not kept here")),
                None => problem(&error),
            })
        }
    }
}

/// Its whole timeline, as it lies on the disk.
pub(crate) fn whole_timeline(configuration: &Configuration, which: Kept) -> Result<Audio, Problem> {
    let (archive, id) = place(configuration, which);
    file(&archive.whole_timeline(&id).map_err(|error| problem(&error))?)
}

fn file(path: &Path) -> Result<Audio, Problem> {
    let media_type = match path.extension().and_then(|ending| ending.to_str()) {
        Some("age") => "application/vnd.age",
        Some("opus") => "audio/ogg",
        Some("json") => "application/json",
        _ => "audio/wav",
    };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = File::open(path).map_err(|error| problem(&error.into()))?;
    Ok(Audio { file, name, media_type })
}

/// Removes everything of it.
pub(crate) fn delete(configuration: &Configuration, which: Kept) -> Result<(), Problem> {
    let (archive, id) = place(configuration, which);
    archive.delete(&id).map_err(|error| problem(&error))?;
    tracing::info!(id, "recording deleted");
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
