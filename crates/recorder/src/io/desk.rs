//! All recordings that grow: orders and blocks in, files and news out. Driven by a thread of its own, or by a test.

use super::{
    active::{Active, Beginning},
    closer::Closer,
    disk::Disk,
    thread::Config,
};
use crate::{Flaws, Message, timeline::Reason};
use clock::Monotonic;
use media_relay::{Block, TapId};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::PathBuf,
    time::Duration,
};

/// A recording's audio is written so often.
const FLUSH: Duration = Duration::from_millis(200);

/// What the daemon wants of a recording.
#[derive(Clone, Debug)]
pub enum Order {
    /// It begins.
    Start(TapId, Box<Beginning>),
    /// Who is to be heard from now on, by channel.
    Heard(TapId, Monotonic, Vec<(u8, String)>),
    /// Nothing is kept from now on.
    Pause(TapId, Monotonic),
    /// Everything is kept again.
    Resume(TapId, Monotonic),
    /// It ends.
    Finish(TapId, Monotonic),
    /// A message ends, for this reason, and is kept.
    Keep(TapId, Monotonic, String),
    /// A message ends, and nothing of it is kept.
    Discard(TapId),
    /// An event of a call; without a recording of that call it is nobody's.
    Event {
        /// Which call.
        call: String,
        /// When: the time since 1970-01-01T00:00:00Z.
        unix: Duration,
        /// `type` and `data`.
        what: Box<serde_json::Value>,
    },
}

/// What came of a recording.
#[derive(Clone, Debug)]
pub struct News {
    /// The call.
    pub call: String,
    /// Its line.
    pub line: String,
    /// What.
    pub what: Outcome,
    /// Of which message, and no recording of a call.
    pub message: Option<Box<Left>>,
}

/// A message of which there are news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What it says of itself.
    pub message: Message,
    /// The audio's file; none when there is none.
    pub file: Option<PathBuf>,
}

/// What came of a recording.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its disk refuses it: once a recording.
    Failed {
        /// What the system said.
        reason: String,
    },
    /// It is whole, as far as it can be.
    Finished {
        /// Length of the audio, in milliseconds.
        duration_ms: u64,
        /// How much of it was paused.
        paused_ms: u64,
        /// Bytes of the audio's file.
        bytes: u64,
        /// What is missing.
        flaws: Flaws,
        /// Public keys of those who can open it; none where it is not encrypted.
        encrypted_to: Vec<String>,
    },
}

/// All recordings that grow.
pub struct Desk<D> {
    config: Config,
    disk: D,
    active: BTreeMap<TapId, Active>,
    by_call: BTreeMap<String, TapId>,
    flushed: Option<Monotonic>,
    news: VecDeque<News>,
    closer: Option<Closer>,
    /// Bytes of audio written.
    pub bytes: u64,
    /// Times the disk refused something.
    pub errors: u64,
    /// Frames that are missing.
    pub lost_frames: u64,
}

impl<D: Disk> Desk<D> {
    /// Files go where the configuration says.
    pub fn new(config: Config, disk: D) -> Self {
        Self {
            config,
            disk,
            active: BTreeMap::new(),
            by_call: BTreeMap::new(),
            flushed: None,
            news: VecDeque::new(),
            closer: None,
            bytes: 0,
            errors: 0,
            lost_frames: 0,
        }
    }

    /// Recordings that ended are closed by this thread: the medium keeps none waiting that still grow.
    pub fn close_by(&mut self, closer: Closer) {
        self.closer = Some(closer);
    }

    /// How many recordings grow.
    pub fn active(&self) -> usize {
        self.active.len()
    }

    /// How many ended and are being closed.
    pub fn closing(&self) -> usize {
        self.closer.as_ref().map_or(0, Closer::open)
    }

    /// Carries an order out.
    pub fn order(&mut self, order: Order) {
        match order {
            Order::Start(tap, beginning) => {
                let active = Active::new(&self.config, *beginning);
                if active.beginning.message.is_none() {
                    self.by_call.insert(active.beginning.call.clone(), tap);
                }
                self.active.insert(tap, active);
            }
            Order::Heard(tap, at, who) => {
                let Some(active) = self.active.get_mut(&tap) else { return };
                let moment = active.moment(at);
                active.write_down().heard(moment, &who);
            }
            Order::Pause(tap, at) => {
                let Some(active) = self.active.get_mut(&tap) else { return };
                let moment = active.moment(at);
                active.session.pause(at);
                active.write_down().gap(moment, Reason::Paused);
            }
            Order::Resume(tap, at) => {
                let Some(active) = self.active.get_mut(&tap) else { return };
                let moment = active.moment(at);
                active.session.resume(at);
                active.write_down().gap_over(moment, Reason::Paused);
            }
            Order::Finish(tap, at) => {
                if let Some(active) = self.active.get_mut(&tap) {
                    active.session.finish(at);
                }
            }
            Order::Keep(tap, at, ended_by) => {
                let Some(active) = self.active.get_mut(&tap) else { return };
                active.session.finish(at);
                if let Some(message) = &mut active.write_down().message {
                    message.ended_by = Some(ended_by);
                }
            }
            Order::Discard(tap) => {
                let Some(mut active) = self.active.remove(&tap) else { return };
                if let Err(error) = active.discard(&self.disk) {
                    self.errors += 1;
                    tracing::error!(%error, id = active.beginning.id(), "what was thrown away is still on the disk");
                }
            }
            Order::Event { call, unix, what } => {
                let active = self.by_call.get(&call).and_then(|tap| self.active.get_mut(tap));
                let Some(active) = active else { return };
                let moment = unix.saturating_sub(active.beginning.at.unix).as_millis();
                active.write_down().event(u64::try_from(moment).unwrap_or(0), *what);
            }
        }
    }

    /// Audio came; the block goes back to its tap.
    pub fn block(&mut self, block: Box<Block>) {
        if let Some(active) = self.active.get_mut(&block.tap()) {
            active.block(&block);
        }
        block.give_back();
    }

    /// Writes what is due.
    pub fn tick(&mut self, now: Monotonic) {
        if self.flushed.is_some_and(|flushed| now.since(flushed) < FLUSH) {
            return;
        }
        self.flushed = Some(now);
        while let Some((active, done)) = self.closer.as_mut().and_then(Closer::poll) {
            self.closed(*active, done);
        }
        for active in self.active.values_mut() {
            let before = active.timeline.flaws.write_errors;
            self.bytes += active.flush(now, &self.disk);
            self.errors += active.timeline.flaws.write_errors - before;
            Self::troubled(&mut self.news, active);
        }
        self.close(now, false);
    }

    /// The daemon ends: every recording ends with what there is.
    pub fn finish_all(&mut self, now: Monotonic) {
        for active in self.active.values_mut() {
            active.session.finish(now);
        }
        self.close(now, true);
    }

    /// What is to be told next.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    fn troubled(news: &mut VecDeque<News>, active: &mut Active) {
        if let Some(reason) = active.trouble.take() {
            news.push_back(told(active, Outcome::Failed { reason }));
        }
    }

    fn close(&mut self, now: Monotonic, all: bool) {
        let over: Vec<TapId> =
            self.active.iter().filter(|(_, active)| all || active.session.is_over()).map(|(tap, _)| *tap).collect();
        for tap in over {
            let Some(mut active) = self.active.remove(&tap) else { continue };
            let before = active.timeline.flaws.write_errors;
            self.bytes += active.flush_rest(now, &self.disk);
            self.errors += active.timeline.flaws.write_errors - before;
            let call = active.beginning.call.clone();
            if self.by_call.get(&call) == Some(&tap) {
                self.by_call.remove(&call);
            }
            let active = match &mut self.closer {
                Some(closer) => match closer.close(Box::new(active)) {
                    Ok(()) => continue,
                    Err(active) => *active,
                },
                None => active,
            };
            let mut active = active;
            let done = active.publish(&self.disk);
            self.closed(active, done);
        }
    }

    /// Waits for those that are being closed.
    pub fn wait_for_closing(&mut self) {
        while let Some((active, done)) = self.closer.as_mut().and_then(Closer::wait) {
            self.closed(*active, done);
        }
    }

    fn closed(&mut self, mut active: Active, done: io::Result<()>) {
        if let Err(error) = done {
            self.errors += 1;
            let call = active.beginning.call.clone();
            tracing::error!(%error, %call, "a recording could not be closed; it will be when the daemon starts again");
            if !std::mem::replace(&mut active.told, true) {
                active.trouble = Some(error.to_string());
            }
        }
        Self::troubled(&mut self.news, &mut active);
        let flaws = active.timeline.flaws;
        self.lost_frames += flaws.dropped_frames + flaws.late_frames;
        let what = Outcome::Finished {
            duration_ms: active.timeline.duration_ms,
            paused_ms: active.timeline.paused_ms(),
            bytes: active.timeline.bytes,
            flaws,
            encrypted_to: active.recipients.texts(),
        };
        self.news.push_back(told(&active, what));
    }
}

fn told(active: &Active, what: Outcome) -> News {
    let Beginning { call, line, .. } = active.beginning.clone();
    let file = active.timeline.audio.as_ref().map(|name| active.names.folder.join(name));
    let message = active.timeline.message.clone().map(|message| Box::new(Left { message, file }));
    News { call, line, what, message }
}
