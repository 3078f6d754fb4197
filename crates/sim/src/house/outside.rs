//! What stands around the cores: the recorder, the ledger, and the screens that are shown what a phone rings for. In worlds of the whole
//! traffic each of them fails or dawdles at times.

use crate::chance::Chance;
use calls::{
    CallId, Callback, CallbackId, Input, LedgerNews, MessageLeft, MessageOrder, RecordOrder, Recorded, Stored,
};
use clock::Monotonic;
use media_relay::TapId;
use signaling::LegId;
use std::{collections::BTreeMap, time::Duration};

#[derive(Debug)]
pub(crate) struct Outside {
    whole: bool,
    chance: Chance,
    later: BTreeMap<(Monotonic, u64), Input>,
    count: u64,
    tapes: BTreeMap<TapId, Tape>,
    kept: BTreeMap<CallbackId, Callback>,
    /// The ledger cannot be written until then.
    failing: Option<Monotonic>,
}

#[derive(Debug)]
enum Tape {
    Call { call: CallId, line: String },
    Message(Box<MessageOrder>),
}

/// Files take so long to be closed.
const CLOSING: Duration = Duration::from_millis(40);

impl Outside {
    pub(super) fn new(whole: bool, seed: u64) -> Self {
        Self {
            whole,
            chance: Chance::new(seed),
            later: BTreeMap::new(),
            count: 0,
            tapes: BTreeMap::new(),
            kept: BTreeMap::new(),
            failing: None,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Monotonic> {
        self.later.first_key_value().map(|((at, _), _)| *at)
    }

    /// What is told now.
    pub(super) fn due(&mut self, now: Monotonic) -> Option<Input> {
        let entry = self.later.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    pub(super) fn tapes(&self) -> usize {
        self.tapes.len()
    }

    /// Callbacks as they were kept last.
    pub(crate) fn kept(&self) -> Vec<Callback> {
        self.kept.values().cloned().collect()
    }

    fn tell(&mut self, at: Monotonic, input: Input) {
        self.count += 1;
        self.later.insert((at, self.count), input);
    }

    /// The screens have read it at once, or a while later, or never.
    pub(super) fn show(&mut self, now: Monotonic, leg: LegId) -> Option<Input> {
        match self.chance.below(10) {
            0..3 if self.whole => {
                let at = now + self.chance.ms(1, 80);
                self.tell(at, Input::Shown { leg });
            }
            3 | 4 if self.whole => {}
            _ => return Some(Input::Shown { leg }),
        }
        None
    }

    /// Whether it is kept.
    pub(super) fn store(&mut self, now: Monotonic, what: Stored) -> bool {
        if self.failing.is_some_and(|until| until > now) {
            return false;
        }
        if self.whole && self.chance.percent(4) {
            let until = now + self.chance.ms(100, 3_000);
            self.failing = Some(until);
            self.tell(now, Input::Ledger(LedgerNews::Failing { reason: "full".to_owned() }));
            self.tell(until, Input::Ledger(LedgerNews::Working));
            return false;
        }
        if let Stored::Callback(callback) = what {
            self.kept.insert(callback.id, callback);
        }
        true
    }

    pub(super) fn record(&mut self, now: Monotonic, order: RecordOrder) {
        let full = self.whole && self.chance.percent(3);
        let reason = || "full".to_owned();
        match order {
            RecordOrder::Start { tap, call, line, .. } => {
                if full {
                    let what = Recorded::Failed { reason: reason() };
                    self.tell(now + CLOSING, Input::Recorded { call, line: line.clone(), what });
                }
                self.tapes.insert(tap, Tape::Call { call, line });
            }
            RecordOrder::Message { tap, message } => {
                if full {
                    let (call, line) = (message.call, message.line.clone());
                    let what = Recorded::MessageFailed { voicemail: message.id, reason: reason() };
                    self.tell(now + CLOSING, Input::Recorded { call, line, what });
                }
                self.tapes.insert(tap, Tape::Message(message));
            }
            RecordOrder::Finish { tap } => {
                if let Some(Tape::Call { call, line }) = self.tapes.remove(&tap) {
                    let what = Recorded::Finished {
                        duration_ms: 0,
                        paused_ms: 0,
                        bytes: 0,
                        complete: !full,
                        encrypted_to: Default::default(),
                    };
                    self.tell(now + CLOSING, Input::Recorded { call, line, what });
                }
            }
            RecordOrder::Keep { tap, ended_by } => {
                if let Some(Tape::Message(message)) = self.tapes.remove(&tap) {
                    let MessageOrder { id, mailbox, call, line, from } = *message;
                    let left = MessageLeft {
                        voicemail: id,
                        mailbox,
                        from,
                        duration_ms: 0,
                        bytes: 0,
                        file: None,
                        ended_by,
                        complete: !full,
                        encrypted_to: Default::default(),
                    };
                    let what = Recorded::Message(Box::new(left));
                    self.tell(now + CLOSING, Input::Recorded { call, line, what });
                }
            }
            RecordOrder::Discard { tap } => drop(self.tapes.remove(&tap)),
            RecordOrder::Heard { .. } | RecordOrder::Pause { .. } | RecordOrder::Resume { .. } => {}
        }
    }
}
