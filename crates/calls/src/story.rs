//! What a call leaves behind: timeline, decisions, legs and transfers that are over. Bounded; feeds API and CDR.

use crate::{DecisionRecord, Happening, LegRecord, Time, TimelineEntry, TransferId, TransferRecord, TransferState};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc};

/// A call's memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Story {
    pub(crate) line: Arc<str>,
    pub(crate) timeline: Vec<TimelineEntry>,
    pub(crate) timeline_dropped: u64,
    pub(crate) decisions: VecDeque<DecisionRecord>,
    pub(crate) legs: Vec<LegRecord>,
    pub(crate) transfers: Vec<TransferRecord>,
    pub(crate) first_bridge: Option<Time>,
    pub(crate) events: u64,
}

/// Legs whose records are kept; later ones are counted by the timeline only.
const MOST_LEGS: usize = 128;

impl Story {
    pub(crate) fn new(line: Arc<str>) -> Self {
        Self { line, ..Self::default() }
    }

    /// Keeps what happened. A digit stays out: callers type secrets; so does what a co-pilot writes down of their talk.
    pub(crate) fn note(&mut self, time: Time, what: &Happening, limit: usize) {
        if matches!(what, Happening::Dtmf { .. } | Happening::FactsChanged { .. } | Happening::CopilotEvent { .. }) {
            return;
        }
        if self.timeline.len() >= limit {
            self.timeline_dropped += 1;
            return;
        }
        self.timeline.push(TimelineEntry { time, what: what.clone() });
    }

    pub(crate) fn decided(&mut self, decision: DecisionRecord, limit: usize) {
        if self.decisions.len() >= limit {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    pub(crate) fn leg_gone(&mut self, record: LegRecord) {
        if self.legs.len() < MOST_LEGS {
            self.legs.push(record);
        }
    }

    /// Attempts of the transfers that are over. Humans' legs are numbered on from here: no two legs of a call have one name.
    pub(crate) fn attempts(&self) -> usize {
        self.transfers.iter().map(|transfer| transfer.attempts.len()).sum()
    }

    pub(crate) fn transfer(&self, id: TransferId) -> Option<&TransferRecord> {
        self.transfers.iter().find(|transfer| transfer.id == id)
    }

    /// What a port counted; its leg may be gone already.
    pub(crate) fn measured(&mut self, transfer: TransferId, silence_ms: u64) {
        if let Some(transfer) = self.transfers.iter_mut().find(|it| it.id == transfer) {
            transfer.handoff_silence_ms = Some(silence_ms);
        }
    }

    pub(crate) fn first_silence(&self) -> Option<u64> {
        self.transfers
            .iter()
            .filter(|transfer| transfer.state == TransferState::Bridged)
            .find_map(|transfer| transfer.handoff_silence_ms)
    }
}
