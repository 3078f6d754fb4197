//! One recording on its way to the disk. What the disk does not take waits, up to a bound; beyond it, it becomes silence of
//! equal length, and the recording is flagged.

use super::{
    disk::{Disk, Store},
    names::{Names, UPLOAD, timestamp},
    recipients::Recipients,
    sealed::Sealed,
    thread::Config,
};
use crate::{Encrypted, Message, RATE, Session, State, Timeline, form::Writer, timeline::Reason};
use clock::{Monotonic, Now};
use media_relay::Block;
use std::{io, time::Duration};

/// Samples that wait for the disk: some eight seconds in two channels.
const WAITING: usize = 128 << 10;
/// A disk that refused is asked again so often.
const RETRY: Duration = Duration::from_secs(1);
/// The timeline is written so often, when it changed.
const TIMELINE: Duration = Duration::from_secs(1);
/// Silence written at once, in samples a channel.
const SILENCE: u64 = 16_000;

/// What is recorded, from its first order on.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The call.
    pub call: String,
    /// Its line.
    pub line: String,
    /// What each channel holds.
    pub channels: Vec<String>,
    /// When it starts.
    pub at: Now,
    /// A message in a mailbox, and no recording of a call.
    pub message: Option<Message>,
}

impl Beginning {
    /// What its files are called by.
    pub fn id(&self) -> &str {
        self.message.as_ref().map_or(&self.call, |message| &message.id)
    }
}

pub(crate) struct Active {
    pub(crate) beginning: Beginning,
    pub(crate) session: Session,
    pub(crate) timeline: Timeline,
    pub(crate) names: Names,
    writer: Writer,
    pub(crate) recipients: Recipients,
    upload: bool,
    sink: Option<Sink>,
    /// Bytes of audio in the file.
    bytes: u64,
    /// Samples that they hold, a channel.
    written: u64,
    /// Encoded, and next to be written.
    pending: Vec<u8>,
    /// Samples that they hold, a channel.
    encoded: u64,
    /// Samples of silence that come after those, in place of audio the disk did not take, a channel.
    silence: u64,
    /// Samples after those, interleaved.
    waiting: Vec<i16>,
    /// Samples that became silence, a channel.
    lost: u64,
    /// When the disk is asked again.
    retry: Option<Monotonic>,
    timeline_changed: bool,
    timeline_written: Option<Monotonic>,
    /// The first thing the disk said, until it is reported.
    pub(crate) trouble: Option<String>,
    pub(crate) told: bool,
    /// Frames dropped by each tap of it: the sum of what blocks say, per port.
    dropped: Vec<(u8, u64)>,
}

/// Where a recording's bytes go.
enum Sink {
    /// Its file, whose head is corrected whenever it has grown.
    Plain(Box<dyn Store>),
    /// Encrypted; what was written is never written again.
    Sealed(Box<Sealed>),
}

impl Active {
    pub(crate) fn new(config: &Config, beginning: Beginning) -> Self {
        let directory = match beginning.message {
            Some(_) => &config.messages,
            None => &config.directory,
        };
        let (form, recipients) = (config.form, &config.encrypt_to);
        // Streams of one time are told apart well enough.
        let serial = u32::try_from(beginning.at.monotonic.as_nanos() & u64::from(u32::MAX)).unwrap_or(0);
        let session = Session::new(beginning.at.monotonic, beginning.channels.len());
        let writer = Writer::new(form, session.channels(), serial);
        let sealed = !recipients.is_empty();
        let ending = if sealed { writer.form().sealed_ending() } else { writer.form().ending() };
        let names = Names::new(directory, beginning.id(), beginning.at.unix, ending);
        let name = writer.form().name();
        let started = timestamp(beginning.at.unix);
        let timeline = Timeline::new(&beginning.call, &beginning.line, name, beginning.channels.clone(), started);
        Self {
            session,
            timeline: Timeline {
                message: beginning.message.clone(),
                encrypted: sealed.then(|| Encrypted { to: recipients.texts(), timeline: None }),
                ..timeline
            },
            names,
            writer,
            recipients: recipients.clone(),
            upload: config.upload,
            sink: None,
            bytes: 0,
            written: 0,
            pending: Vec::new(),
            encoded: 0,
            silence: 0,
            waiting: Vec::new(),
            lost: 0,
            retry: None,
            timeline_changed: true,
            timeline_written: None,
            trouble: None,
            told: false,
            dropped: Vec::new(),
            beginning,
        }
    }

    /// Milliseconds from its start.
    pub(crate) fn moment(&self, at: Monotonic) -> u64 {
        u64::try_from(at.since(self.beginning.at.monotonic).as_millis()).unwrap_or(0)
    }

    /// The timeline, to be changed.
    pub(crate) fn write_down(&mut self) -> &mut Timeline {
        self.timeline_changed = true;
        &mut self.timeline
    }

    pub(crate) fn block(&mut self, block: &Block) {
        let mut channel = 0;
        for (frame, payload) in block.frames() {
            channel = frame.channel;
            self.session.frame(&frame, payload);
        }
        match self.dropped.iter_mut().find(|(known, _)| *known == channel) {
            Some((_, dropped)) => *dropped = (*dropped).max(block.dropped()),
            None => self.dropped.push((channel, block.dropped())),
        }
    }

    /// Writes what is old enough; says how many bytes the disk took.
    pub(crate) fn flush(&mut self, now: Monotonic, disk: &dyn Disk) -> u64 {
        self.session.take(now, &mut self.waiting);
        self.write(now, disk)
    }

    /// Writes everything that there is and will be.
    pub(crate) fn flush_rest(&mut self, now: Monotonic, disk: &dyn Disk) -> u64 {
        self.session.take_rest(&mut self.waiting);
        self.retry = None;
        let written = self.write(now, disk);
        if self.sink.is_none() || self.retry.is_some() {
            return written;
        }
        self.writer.finish(&mut self.pending);
        written + self.write(now, disk)
    }

    fn write(&mut self, now: Monotonic, disk: &dyn Disk) -> u64 {
        let before = self.bytes;
        if self.retry.is_none_or(|retry| retry <= now) {
            match self.write_audio(disk) {
                Ok(()) => {
                    if self.retry.take().is_some() {
                        tracing::warn!(call = %self.beginning.call, "a recording is written again");
                    }
                }
                Err(error) => self.refused(now, &error),
            }
        }
        if self.waiting.len() > WAITING {
            let at = milliseconds(self.written + self.encoded + self.silence);
            let frames = self.waiting_frames();
            self.timeline_changed = true;
            self.timeline.gap(at, Reason::Disk);
            self.silence += frames;
            self.lost += frames;
            self.waiting.clear();
            self.timeline.gap_over(milliseconds(self.written + self.encoded + self.silence), Reason::Disk);
            self.timeline.flaws.unwritten_ms = milliseconds(self.lost);
        }
        let due = self.timeline_written.is_none_or(|written| now.since(written) >= TIMELINE);
        if self.timeline_changed && due && self.retry.is_none() {
            self.timeline_written = Some(now);
            self.note_flaws();
            match self.write_timeline(disk) {
                Ok(()) => self.timeline_changed = false,
                Err(error) => self.refused(now, &error),
            }
        }
        self.bytes - before
    }

    fn write_audio(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let head = self.writer.head(0).len() as u64;
        let sink = match &mut self.sink {
            Some(sink) => sink,
            none => none.insert(Sink::create(disk, &self.names, &self.writer, &self.recipients)?),
        };
        let (before, channels) = (self.bytes, self.session.channels());
        loop {
            // What was encoded once is never encoded again: encoders remember what they were given.
            if !self.pending.is_empty() {
                sink.append(&self.pending, head + self.bytes)?;
                self.bytes += self.pending.len() as u64;
                self.pending.clear();
            }
            self.written += std::mem::take(&mut self.encoded);
            if self.silence > 0 {
                let some = self.silence.min(SILENCE);
                self.silence -= some;
                self.encoded = some;
                let silence = vec![0; usize::try_from(some).unwrap_or(0) * channels];
                self.writer.encode(&silence, &mut self.pending);
            } else if !self.waiting.is_empty() {
                self.encoded = (self.waiting.len() / channels) as u64;
                self.writer.encode(&self.waiting, &mut self.pending);
                self.waiting.clear();
            } else {
                break;
            }
        }
        match sink {
            Sink::Plain(store) => {
                let head = self.writer.head(self.bytes);
                if self.bytes > before && !head.is_empty() {
                    store.write_at(&head, 0)?;
                }
            }
            Sink::Sealed(sealed) => sealed.flush(self.written)?,
        }
        Ok(())
    }

    fn refused(&mut self, now: Monotonic, error: &io::Error) {
        self.retry = Some(now + RETRY);
        self.timeline.flaws.write_errors += 1;
        self.timeline_changed = true;
        if !std::mem::replace(&mut self.told, true) {
            let call = &self.beginning.call;
            tracing::error!(%error, %call, "a recording cannot be written; the call goes on, and what is missing will be silence");
            self.trouble = Some(error.to_string());
        }
    }

    fn note_flaws(&mut self) {
        self.timeline.flaws.late_frames = self.session.late_frames();
        self.timeline.flaws.dropped_frames = self.dropped.iter().map(|(_, dropped)| dropped).sum();
        self.timeline.duration_ms = milliseconds(self.written);
        self.timeline.bytes = self.bytes + self.writer.head(0).len() as u64;
    }

    /// As far as it goes, while the recording grows.
    fn write_timeline(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let part = self.names.part(&self.names.timeline());
        if self.recipients.is_empty() {
            return disk.replace(&part, &serde_json::to_vec(&self.timeline).unwrap_or_default());
        }
        let sealed = self.names.sealed_timeline();
        disk.replace(&self.names.part(&sealed), &self.sealed_timeline()?)?;
        self.name_sealed_timeline();
        disk.replace(&part, &serde_json::to_vec(&self.timeline.outline()).unwrap_or_default())
    }

    fn sealed_timeline(&mut self) -> io::Result<Vec<u8>> {
        self.recipients.seal(&serde_json::to_vec(&self.timeline).unwrap_or_default())
    }

    fn name_sealed_timeline(&mut self) {
        let name = self.names.sealed_timeline().file_name().map(|name| name.to_string_lossy().into_owned());
        if let Some(encrypted) = &mut self.timeline.encrypted {
            encrypted.timeline = name;
        }
    }

    /// Under its own name, with its timeline beside it, and on the medium: a power failure does not take back what was announced. To
    /// be called once [`Active::flush_rest`] has been; it waits for the medium.
    pub(crate) fn publish(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let part = self.names.part(&self.names.audio());
        let recorded = milliseconds(self.session.given());
        self.timeline.flaws.unwritten_ms = milliseconds(self.lost + self.encoded + self.waiting_frames());
        self.note_flaws();
        self.timeline.close(State::Finished, recorded.min(milliseconds(self.written)));
        let audio = self.names.audio();
        let named = audio.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut done = match self.sink.take() {
            None => Ok(()),
            Some(Sink::Plain(mut store)) => {
                self.timeline.audio = named;
                store.sync().and_then(|()| disk.rename(&part, &audio))
            }
            Some(Sink::Sealed(sealed)) => {
                self.timeline.audio = named;
                let published = sealed.publish(disk, &self.names, &self.writer.head(self.bytes), &self.recipients);
                published.map(|bytes| self.timeline.bytes = bytes)
            }
        };
        if done.is_err() && !self.recipients.is_empty() {
            // What has grown is all there is of it, and is made a file when the daemon starts again.
            return done;
        }
        if self.upload {
            // Before anybody can know of it: what is announced and not marked would never be uploaded.
            done = done.and_then(|()| disk.replace_for_good(&self.names.with(UPLOAD), b"{}"));
        }
        done.and(self.publish_timeline(disk)).and(disk.sync_folder(&self.names.folder))
    }

    /// The timeline under its own name, and then nothing more of what grew.
    fn publish_timeline(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let timeline = self.names.timeline();
        if self.recipients.is_empty() {
            let text = serde_json::to_vec(&self.timeline).unwrap_or_default();
            return disk.replace_for_good(&timeline, &text).and_then(|()| disk.remove(&self.names.part(&timeline)));
        }
        let sealed = self.names.sealed_timeline();
        self.name_sealed_timeline();
        disk.replace_for_good(&sealed, &self.sealed_timeline()?)?;
        disk.replace_for_good(&timeline, &serde_json::to_vec(&self.timeline.outline()).unwrap_or_default())?;
        [self.names.part(&self.names.audio()), self.names.tail(), self.names.part(&sealed)]
            .iter()
            .chain([&self.names.part(&timeline)])
            .try_for_each(|grown| disk.remove(grown))
    }

    /// Nothing of it stays.
    pub(crate) fn discard(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.sink = None;
        let names = &self.names;
        let parts = [names.audio(), names.timeline(), names.sealed_timeline()].map(|file| names.part(&file));
        let done = parts.iter().chain([&names.tail()]).map(|part| disk.remove(part)).fold(Ok(()), io::Result::and);
        disk.remove_empty(&self.names.folder);
        done
    }

    fn waiting_frames(&self) -> u64 {
        (self.waiting.len() / self.session.channels()) as u64
    }
}

impl Sink {
    fn create(disk: &dyn Disk, names: &Names, writer: &Writer, recipients: &Recipients) -> io::Result<Self> {
        let part = names.part(&names.audio());
        let made = if recipients.is_empty() {
            let mut store = disk.create(&part)?;
            store.write_at(&writer.head(0), 0).map(|()| Self::Plain(store))
        } else {
            let mut sealed = Sealed::create(disk, names, recipients)?;
            sealed.append(&writer.open_head()).map(|()| Self::Sealed(Box::new(sealed)))
        };
        if made.is_err() {
            // An empty file would be in the way of the next attempt.
            disk.remove(&part).and(disk.remove(&names.tail()))?;
        }
        made
    }

    fn append(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Plain(store) => store.write_at(bytes, offset),
            Self::Sealed(sealed) => sealed.append(bytes),
        }
    }
}

/// How long so many samples of a channel last.
fn milliseconds(samples: u64) -> u64 {
    samples * 1_000 / u64::from(RATE)
}
