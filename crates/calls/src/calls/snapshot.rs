//! A call written down, and taken up again: by this process or by another.
//!
//! A call can be written down between any two steps, whatever it is in the middle of. What it has asked for and not been told (a port that
//! is being opened, a name that is being looked up) stays with whoever carries it out: in another process such a call waits for an answer
//! that never comes, so it is written down when nothing of that kind is under way. Times are those of the clock of whoever wrote; a process
//! that takes a call up must go on with that clock ([`Snapshot::taken`]).

use super::{Core, Entry};
use crate::CallId;
use clock::{Monotonic, Now};
use media_relay::CallKey;
use serde::{Deserialize, Serialize};
use signaling::LegId;

/// The version of a snapshot's shape.
const VERSION: u32 = 2;

/// A call as plain data: everything that is needed to go on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    version: u32,
    taken: Now,
    call: serde_json::Value,
}

impl Snapshot {
    /// When it was written down.
    pub const fn taken(&self) -> Now {
        self.taken
    }
}

/// Why a call cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum Unrestorable {
    /// Of another version of this program.
    #[error("found a call of version {0}, expected version {VERSION}")]
    Version(u32),
    /// Not what [`Core::snapshot`] wrote.
    #[error("found what is no call: {0}")]
    Shape(#[from] serde_json::Error),
    /// Our clock stands before the time at which it was written.
    #[error("found a call of {taken:?}, expected one from before {now:?}: the clock must go on from there")]
    Clock {
        /// When it was written down.
        taken: Monotonic,
        /// The time here.
        now: Monotonic,
    },
}

impl Core {
    /// The calls there are, the oldest first.
    pub fn calls(&self) -> impl Iterator<Item = CallId> {
        self.calls.values().map(|entry| entry.call.about.id)
    }

    /// Writes a call down. `None`: no such call.
    pub fn snapshot(&self, now: Now, call: CallId) -> Option<Snapshot> {
        let entry = self.calls.get(self.ids.get(&call)?)?;
        Some(Snapshot { version: VERSION, taken: now, call: serde_json::to_value(entry).ok()? })
    }

    /// Takes a call up where it was written down; one of that id that is here gives way. Its legs must be known to `signaling`, its ports
    /// to the relay, by the same ids.
    pub fn restore(&mut self, now: Now, snapshot: &Snapshot) -> Result<CallId, Unrestorable> {
        let Snapshot { version, taken, call } = snapshot;
        if *version != VERSION {
            return Err(Unrestorable::Version(*version));
        }
        if now.monotonic < taken.monotonic {
            return Err(Unrestorable::Clock { taken: taken.monotonic, now: now.monotonic });
        }
        let entry: Box<Entry> = serde_json::from_value(call.clone())?;
        let id = entry.call.about.id;
        let known = self.ids.get(&id).copied();
        let key = known.unwrap_or_else(|| {
            self.next_call += 1;
            CallKey(self.next_call)
        });
        self.ids.insert(id, key);
        let shared = &mut self.shared;
        for (leg, usage) in entry.call.usages() {
            shared.legs.insert(usage, key);
            for own in [leg, usage].into_iter().filter(|leg| !leg.is_incoming()) {
                shared.next_leg = shared.next_leg.max(own.0);
            }
        }
        shared.ports.extend(entry.call.ports().map(|port| (port, key)));
        shared.transfers.extend(entry.story.transfers.iter().map(|transfer| (transfer.id, key)));
        shared.transfers.extend(entry.call.transfer_id().map(|transfer| (transfer, key)));
        if known.is_none() {
            let dialled: Vec<(LegId, String)> = entry.call.trunks_of_legs().collect();
            let brought = if entry.call.is_placed() { "" } else { &entry.call.about.trunk };
            shared.trunks.resume(brought, dialled);
            if entry.call.is_to_person() {
                shared.placed.resume(entry.call.campaign());
            }
        }
        self.calls.insert(key, entry);
        self.rearm(key);
        Ok(id)
    }
}
