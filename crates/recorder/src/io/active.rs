//! One recording on its way to the disk. What the disk does not take waits, up to a bound; beyond it, it becomes silence of
//! equal length, and the recording is flagged.

use super::{
    disk::{Disk, Store},
    names::{Names, timestamp},
};
use crate::{
    Message, RATE, Session, State, Timeline,
    timeline::Reason,
    wav::{self, Format},
};
use clock::{Monotonic, Now};
use media_relay::Block;
use std::{io, path::Path, time::Duration};

/// Encoded audio that waits for the disk: some eight seconds in two channels of 16 bits.
const WAITING: usize = 256 << 10;
/// A disk that refused is asked again so often.
const RETRY: Duration = Duration::from_secs(1);
/// The timeline is written so often, when it changed.
const TIMELINE: Duration = Duration::from_secs(1);
/// Silence written at once.
const SILENCE: usize = 64 << 10;

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
    format: Format,
    store: Option<Box<dyn Store>>,
    /// Bytes of audio in the file.
    written: u64,
    /// Bytes of silence that come next, in place of audio the disk did not take.
    silence: u64,
    /// Bytes after those.
    waiting: Vec<u8>,
    /// Bytes that became silence.
    lost: u64,
    samples: Vec<i16>,
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

impl Active {
    pub(crate) fn new(directory: &Path, format: Format, beginning: Beginning) -> Self {
        let names = Names::new(directory, beginning.id(), beginning.at.unix);
        let name = match format {
            Format::Pcm16 => "wav-pcm16",
            Format::G711(media_relay::Codec::Pcma) => "wav-pcma",
            Format::G711(_) => "wav-pcmu",
        };
        let started = timestamp(beginning.at.unix);
        let timeline = Timeline::new(&beginning.call, &beginning.line, name, beginning.channels.clone(), started);
        Self {
            session: Session::new(beginning.at.monotonic, beginning.channels.len()),
            timeline: Timeline { message: beginning.message.clone(), ..timeline },
            names,
            format,
            store: None,
            written: 0,
            silence: 0,
            waiting: Vec::new(),
            lost: 0,
            samples: Vec::new(),
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
        self.samples.clear();
        self.session.take(now, &mut self.samples);
        self.write(now, disk)
    }

    /// Writes everything that there is and will be.
    pub(crate) fn flush_rest(&mut self, now: Monotonic, disk: &dyn Disk) -> u64 {
        self.samples.clear();
        self.session.take_rest(&mut self.samples);
        self.retry = None;
        self.write(now, disk)
    }

    fn write(&mut self, now: Monotonic, disk: &dyn Disk) -> u64 {
        self.format.encode(&self.samples, &mut self.waiting);
        let before = self.written;
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
            let at = self.milliseconds(self.written + self.silence);
            self.timeline_changed = true;
            self.timeline.gap(at, Reason::Disk);
            self.silence += self.waiting.len() as u64;
            self.lost += self.waiting.len() as u64;
            self.waiting.clear();
            self.timeline.gap_over(self.milliseconds(self.written + self.silence), Reason::Disk);
            self.timeline.flaws.unwritten_ms = self.milliseconds(self.lost);
        }
        let due = self.timeline_written.is_none_or(|written| now.since(written) >= TIMELINE);
        if self.timeline_changed && due && self.retry.is_none() {
            self.timeline_written = Some(now);
            self.note_flaws();
            match self.write_timeline(disk, &self.names.part(&self.names.timeline())) {
                Ok(()) => self.timeline_changed = false,
                Err(error) => self.refused(now, &error),
            }
        }
        self.written - before
    }

    fn write_audio(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let head = wav::header_length(self.format) as u64;
        let channels = u16::try_from(self.session.channels()).unwrap_or(1);
        let store = match &mut self.store {
            Some(store) => store,
            none => {
                let mut store = disk.create(&self.names.part(&self.names.audio()))?;
                store.write_at(&wav::header(self.format, channels, RATE, 0), 0)?;
                none.insert(store)
            }
        };
        let before = self.written;
        while self.silence > 0 {
            let some = SILENCE.min(usize::try_from(self.silence).unwrap_or(SILENCE));
            store.write_at(&vec![self.format.silence(); some], head + self.written)?;
            self.silence -= some as u64;
            self.written += some as u64;
        }
        if !self.waiting.is_empty() {
            store.write_at(&self.waiting, head + self.written)?;
            self.written += self.waiting.len() as u64;
            self.waiting.clear();
        }
        if self.written > before {
            store.write_at(&wav::header(self.format, channels, RATE, self.written), 0)?;
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
        self.timeline.duration_ms = self.milliseconds(self.written);
        self.timeline.bytes = self.written + wav::header_length(self.format) as u64;
    }

    fn write_timeline(&self, disk: &dyn Disk, path: &Path) -> io::Result<()> {
        disk.replace(path, &serde_json::to_vec(&self.timeline).unwrap_or_default())
    }

    /// Under its own name, with its timeline beside it. To be called once [`Active::flush_rest`] has been.
    pub(crate) fn publish(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let part = self.names.part(&self.names.audio());
        let recorded = self.session.given() * 1_000 / u64::from(RATE);
        self.timeline.flaws.unwritten_ms = self.milliseconds(self.lost + self.waiting.len() as u64);
        self.note_flaws();
        self.timeline.close(State::Finished, recorded.min(self.milliseconds(self.written)));
        let mut done = Ok(());
        if self.store.is_some() {
            self.timeline.audio = self.names.audio().file_name().map(|name| name.to_string_lossy().into_owned());
            // Not synced: other recordings wait for this thread, and a slow disk would make them wait long.
            done = disk.rename(&part, &self.names.audio());
        }
        let timeline = self.names.timeline();
        done.and(self.write_timeline(disk, &timeline)).and(disk.remove(&self.names.part(&timeline)))
    }

    /// Nothing of it stays.
    pub(crate) fn discard(&mut self, disk: &dyn Disk) -> io::Result<()> {
        self.store = None;
        let files = [self.names.audio(), self.names.timeline()].map(|file| self.names.part(&file));
        let done = files.iter().map(|part| disk.remove(part)).fold(Ok(()), io::Result::and);
        disk.remove_empty(&self.names.folder);
        done
    }

    fn milliseconds(&self, bytes: u64) -> u64 {
        let block = u64::from(self.format.width()) * self.session.channels() as u64;
        bytes / block * 1_000 / u64::from(RATE)
    }
}
