//! Everything that lies on one channel of a recording: mostly one source after the other, at times several at once, which are heard together.

use crate::channel::{Channel, Placed};

/// Sources that are kept apart at once; of more, the one heard of longest ago gives its lane up.
const MOST: usize = 8;

/// One channel.
#[derive(Debug)]
pub(crate) struct Lanes<E> {
    lanes: Vec<Lane<E>>,
    /// Samples taken off.
    taken: i64,
}

/// One source's way onto the channel.
#[derive(Debug)]
struct Lane<E> {
    source: u64,
    /// What decodes it.
    ear: E,
    channel: Channel,
    /// When its last frame arrived.
    heard: i64,
}

impl<E> Lanes<E> {
    pub(crate) fn new() -> Self {
        Self { lanes: Vec::with_capacity(1), taken: 0 }
    }

    /// A frame passed; `hear` decodes it, with an ear that `fits` or a new one.
    pub(crate) fn frame(
        &mut self,
        frame: Placed,
        fits: impl Fn(&E) -> bool,
        new: impl Fn() -> E,
        hear: impl FnOnce(&mut E, &mut Channel),
    ) {
        let at = self.lane_of(frame, &new);
        let Some(lane) = self.lanes.get_mut(at) else { return };
        if lane.source != frame.source || !fits(&lane.ear) {
            lane.ear = new();
        }
        (lane.source, lane.heard) = (frame.source, frame.arrival);
        hear(&mut lane.ear, &mut lane.channel);
    }

    /// Adds samples to what stands at `number` of each group of `width`, in order.
    pub(crate) fn take(&mut self, groups: &mut [i16], width: usize, number: usize) {
        for lane in &mut self.lanes {
            lane.channel.take(groups, width, number);
        }
        self.taken += i64::try_from(groups.len() / width.max(1)).unwrap_or(0);
    }

    /// Frames that found no place.
    pub(crate) fn late(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.channel.late).sum()
    }

    /// The source's own lane, else one on which nothing waits, else a new one.
    fn lane_of(&mut self, frame: Placed, new: &impl Fn() -> E) -> usize {
        let mine = self.lanes.iter().position(|lane| lane.source == frame.source);
        let free = || self.lanes.iter().position(|lane| lane.channel.is_idle());
        if let Some(at) = mine.or_else(free) {
            return at;
        }
        if self.lanes.len() < MOST {
            let channel = Channel::from(self.taken);
            self.lanes.push(Lane { source: frame.source, ear: new(), channel, heard: frame.arrival });
            return self.lanes.len() - 1;
        }
        self.lanes.iter().enumerate().min_by_key(|(_, lane)| lane.heard).map_or(0, |(at, _)| at)
    }
}
