//! What a port has to report and nobody has fetched yet: a reserved place for each kind, so that nothing waits in a
//! shared queue and nothing that matters is lost.

use crate::{
    Direction, Event, Finding, MeasureId, PlayId, PortId, Stats, digits::Pressed, meter::Noticed, sender::playing,
};
use smallvec::SmallVec;
use std::{collections::VecDeque, net::SocketAddr, time::Duration};

/// Digits one port can hold back: more than anyone presses while the engine is away for half a minute.
pub(crate) const MAX_DIGITS: usize = 256;
/// Ends of plays one port can hold back; the oldest goes first.
const MAX_PLAYS: usize = 8;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) latched: Option<SocketAddr>,
    digits: VecDeque<Pressed>,
    silence: Option<Noticed>,
    pub(crate) answerer: Option<Finding>,
    dead: Option<bool>,
    pub(crate) one_way: SmallVec<[Direction; 2]>,
    plays: SmallVec<[(PlayId, usize); 2]>,
    pub(crate) measured: SmallVec<[(MeasureId, Duration); 1]>,
    pub(crate) statistics: Option<Box<Stats>>,
    pub(crate) closed: Option<Box<Stats>>,
    /// Already waiting to be looked at.
    pub(crate) queued: bool,
}

impl Outbox {
    /// False when there is no place left.
    pub(crate) fn digit(&mut self, pressed: Pressed) -> bool {
        let place = self.digits.len() < MAX_DIGITS;
        if place {
            self.digits.push_back(pressed);
        }
        place
    }

    pub(crate) fn noticed(&mut self, noticed: Noticed) {
        match noticed {
            Noticed::Dead { before_first } => self.dead = Some(before_first),
            Noticed::Quiet(_) | Noticed::Speech => self.silence = Some(noticed),
        }
    }

    pub(crate) fn play_done(&mut self, play: PlayId, clips: usize) {
        if self.plays.len() == MAX_PLAYS {
            self.plays.remove(0);
        }
        self.plays.push((play, clips));
    }

    pub(crate) fn has_plays(&self) -> bool {
        !self.plays.is_empty()
    }

    pub(crate) fn pop(&mut self, port: PortId) -> Option<Event> {
        if let Some(from) = self.latched.take() {
            return Some(Event::Latched { port, from });
        }
        if let Some(Pressed { digit, samples }) = self.digits.pop_front() {
            return Some(Event::Dtmf { port, digit, duration: playing(u32::from(samples)) });
        }
        match self.silence.take() {
            Some(Noticed::Quiet(lasting)) => return Some(Event::Quiet { port, lasting }),
            Some(_) => return Some(Event::Speech { port }),
            None => {}
        }
        if let Some(finding) = self.answerer.take() {
            return Some(Event::Answerer { port, finding });
        }
        if let Some(before_first) = self.dead.take() {
            return Some(Event::Dead { port, before_first });
        }
        if let Some(direction) = self.one_way.pop() {
            return Some(Event::OneWay { port, direction });
        }
        if !self.plays.is_empty() {
            let (play, clips) = self.plays.remove(0);
            return Some(Event::PlayDone { port, play, clips });
        }
        if !self.measured.is_empty() {
            let (id, longest_silence) = self.measured.remove(0);
            return Some(Event::Measured { port, id, longest_silence });
        }
        if let Some(stats) = self.statistics.take() {
            return Some(Event::Statistics { port, stats });
        }
        self.closed.take().map(|stats| Event::Closed { port, stats })
    }
}
