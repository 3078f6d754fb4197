//! Silence, sent and received.

use crate::{DeadAfter, MeasureId};
use clock::Monotonic;
use std::time::Duration;

/// The longest silence in what is sent, from its start until it is read.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) id: MeasureId,
    /// Until when the listener has something to hear.
    audible_until: Monotonic,
    longest: Duration,
}

impl Meter {
    pub(crate) fn new(id: MeasureId, now: Monotonic) -> Self {
        Self { id, audible_until: now, longest: Duration::ZERO }
    }

    /// Audio above the threshold was sent.
    pub(crate) fn audible(&mut self, at: Monotonic, lasting: Duration) {
        self.longest = self.longest.max(at.since(self.audible_until));
        self.audible_until = self.audible_until.max(at + lasting);
    }

    pub(crate) fn longest(&self, now: Monotonic) -> Duration {
        self.longest.max(now.since(self.audible_until))
    }
}

/// What a port's received side is watched for.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) silence_after: Option<Duration>,
    pub(crate) dead_after: Option<DeadAfter>,
    /// When audio above the threshold was last received; the port's opening before that.
    pub(crate) heard: Monotonic,
    pub(crate) quiet: bool,
    /// From when missing packets count.
    pub(crate) alive_since: Monotonic,
    pub(crate) dead: bool,
}

/// What a watch has to say.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Noticed {
    Quiet(Duration),
    Speech,
    Dead { before_first: bool },
}

/// A silence shorter than this is told within a housekeeping's time; a longer one within all shares of it.
const SHORT: Duration = Duration::from_millis(500);

impl Watch {
    /// From now on these are to be told.
    pub(crate) fn begin(&mut self, now: Monotonic, silence_after: Option<Duration>, dead_after: Option<DeadAfter>) {
        (self.silence_after, self.dead_after, self.alive_since) = (silence_after, dead_after, now);
        (self.quiet, self.dead) = (false, false);
    }

    /// Whether a short silence is to be told.
    pub(crate) fn is_short(&self) -> bool {
        self.silence_after.is_some_and(|after| after < SHORT)
    }

    /// Audio above the threshold was received.
    pub(crate) fn audible(&mut self, now: Monotonic) -> Option<Noticed> {
        self.heard = now;
        std::mem::take(&mut self.quiet).then_some(Noticed::Speech)
    }

    /// The time has come to look.
    pub(crate) fn check(&mut self, now: Monotonic, last_packet: Option<Monotonic>) -> [Option<Noticed>; 2] {
        let silence = now.since(self.heard);
        let quiet = self.silence_after.is_some_and(|after| !self.quiet && silence >= after);
        self.quiet |= quiet;
        let since = last_packet.map_or(self.alive_since, |last| last.max(self.alive_since));
        let before_first = last_packet.is_none();
        let overdue = self
            .dead_after
            .is_some_and(|after| now.since(since) >= if before_first { after.before_first } else { after.after_last });
        let died = overdue && !self.dead;
        self.dead = overdue;
        [quiet.then_some(Noticed::Quiet(silence)), died.then_some(Noticed::Dead { before_first })]
    }
}
