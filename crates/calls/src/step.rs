//! One call's step: the time, the tables it may look at, and where its acts go.

use crate::{
    CallId, Config, Happening, Observation, Output, Problem, PublicEvent, Reply, RequestId, StoreId, Stored, Time,
    directory::Directory,
    ids::{OpenId, ResolveId},
    story::Story,
    trunks::Trunks,
};
use clock::{Monotonic, Now, Timers};
use core::time::Duration;
use media_relay::{CallKey, PortId};
use rand::{SeedableRng, rngs::StdRng};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use signaling::{LegId, locate::Wanted};
use std::{collections::VecDeque, sync::Arc};

/// A call's timers.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// When an AI has rung for its profile's `answer_timeout`.
    AiAnswer(LegId),
    /// When an INVITE has waited `context_wait` for its context to be on the screens.
    Show(LegId),
    /// When a target has rung for the transfer's `ring_timeout`.
    Ring(LegId),
    /// When the AI's last words have taken `drain_max`.
    LastWords,
    /// When a caller has waited for an agent as long as one waits in that queue.
    Queue,
    /// When a caller who waits is told their place again.
    Position,
    /// When an AI that was quiet at the decision has had its chance to begin a sentence.
    Quiet,
    /// When a human was told, or has not accepted `within` the time.
    Whisper(LegId),
    /// When the AI has introduced the caller for as long as it may.
    Introduction,
    /// When a supervisor's phones have rung long enough.
    Supervisor(u32),
    /// When a caller whom we call has rung long enough.
    CallerRing,
    /// When a verdict of the rules could change without an event.
    Policy,
    /// When the call has lasted as long as a call may.
    MaxDuration,
    /// When an announcement should have ended long ago.
    Announcement,
    /// When a callback that is not kept by then is not promised.
    Kept,
    /// One second after the bridge: the silence around it has been measured.
    Measure,
    /// When a request that waits for an outcome is answered anyway.
    Wait(RequestId),
    /// When a pause of the recording is over.
    RecordingPause,
    /// When a caller who was asked whether they agree to be recorded has had time to press a key.
    Consent,
    /// When somebody whom we called has heard nothing for as long as one may.
    Attended,
    /// When a mailbox's greeting should have ended long ago, then when a message is as long as it may be.
    Voicemail,
    /// When a caller who leaves a message has been silent long enough.
    VoicemailQuiet,
    /// When what is left of an ended call is dropped by force.
    Ending,
}

/// What all calls of the core share: who owns which leg, port and outstanding id, and the next numbers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) chance: StdRng,
    /// What media keys are made of, and nothing that anybody gets to see.
    pub(crate) secrets: StdRng,
    pub(crate) trunks: Trunks,
    pub(crate) rests: crate::rests::Rests,
    pub(crate) directory: Directory,
    pub(crate) legs: FxHashMap<LegId, CallKey>,
    pub(crate) ports: FxHashMap<PortId, CallKey>,
    pub(crate) opens: FxHashMap<OpenId, (CallKey, LegId)>,
    pub(crate) resolves: FxHashMap<ResolveId, (CallKey, LegId)>,
    pub(crate) transfers: FxHashMap<crate::TransferId, CallKey>,
    pub(crate) registered: crate::agents::Registered,
    /// Calls that were placed for whoever asked.
    pub(crate) placed: crate::outbound::Counts,
    pub(crate) next_leg: u64,
    pub(crate) next_id: u64,
    pub(crate) seq: u64,
}

impl Shared {
    pub(crate) fn new(mut chance: StdRng, trunks: Trunks, directory: Directory, seq: u64) -> Self {
        Self {
            secrets: StdRng::from_rng(&mut chance),
            chance,
            trunks,
            rests: crate::rests::Rests::default(),
            directory,
            legs: FxHashMap::default(),
            ports: FxHashMap::default(),
            opens: FxHashMap::default(),
            resolves: FxHashMap::default(),
            transfers: FxHashMap::default(),
            registered: crate::agents::Registered::default(),
            placed: crate::outbound::Counts::default(),
            next_leg: 0,
            next_id: 0,
            seq,
        }
    }

    /// The next thing to be stored.
    pub(crate) fn poll_store(&mut self) -> Option<(StoreId, Stored)> {
        let next = &mut self.next_id;
        self.directory.poll_store(|| {
            *next += 1;
            StoreId(*next)
        })
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

/// The surroundings of one call's step.
pub(crate) struct Step<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a Arc<Config>,
    pub(crate) rules: &'a Arc<policy::RuleSet>,
    pub(crate) key: CallKey,
    pub(crate) id: CallId,
    pub(crate) timers: &'a mut Timers<Timer>,
    pub(crate) story: &'a mut Story,
    pub(crate) shared: &'a mut Shared,
    pub(crate) out: &'a mut VecDeque<Output>,
}

impl Step<'_> {
    pub(crate) fn time(&self) -> Time {
        self.now.into()
    }

    pub(crate) fn signaling(&mut self, command: signaling::Command) {
        self.out.push_back(Output::Signaling(command));
    }

    pub(crate) fn media(&mut self, command: media_relay::Command) {
        self.out.push_back(Output::Media(command));
    }

    pub(crate) fn record(&mut self, order: crate::RecordOrder) {
        self.out.push_back(Output::Record(order));
    }

    pub(crate) fn observe(&mut self, observation: Observation) {
        self.out.push_back(Output::Observe(observation));
    }

    pub(crate) fn reply(&mut self, id: RequestId, reply: Result<Reply, Problem>) {
        self.out.push_back(Output::Reply { id, reply: Box::new(reply) });
    }

    /// Tells the outside and writes it into the call's story.
    pub(crate) fn publish(&mut self, what: Happening) {
        self.shared.seq += 1;
        let time = self.time();
        tracing::debug!(call = %self.id, event = what.name());
        self.story.note(time, &what, self.config.limits.timeline);
        let line = self.story.line.to_string();
        self.out.push_back(Output::Publish(PublicEvent {
            seq: self.shared.seq,
            time,
            call: Some(self.id),
            line,
            what,
        }));
    }

    pub(crate) fn arm(&mut self, timer: Timer, after: Duration) {
        self.timers.set(timer, self.now.monotonic + after);
    }

    pub(crate) fn arm_at(&mut self, timer: Timer, at: Monotonic) {
        self.timers.set(timer, at);
    }

    /// A timer goes on under another name.
    pub(crate) fn rename(&mut self, timer: Timer, to: Timer) {
        if let Some(at) = self.timers.deadline(timer) {
            self.timers.cancel(timer);
            self.timers.set(to, at);
        }
    }

    pub(crate) fn disarm(&mut self, timer: Timer) {
        self.timers.cancel(timer);
    }

    /// The phone of `leg` is to ring when what was published is on the screens, or after `within`.
    pub(crate) fn show(&mut self, leg: LegId, within: Duration) {
        self.arm(Timer::Show(leg), within);
        self.out.push_back(Output::Show { leg });
    }

    /// An id for an outgoing leg: the top bit is clear.
    pub(crate) fn new_leg(&mut self) -> LegId {
        self.shared.next_leg += 1;
        let leg = LegId(self.shared.next_leg & (u64::MAX >> 1));
        self.shared.legs.insert(leg, self.key);
        leg
    }

    /// The id of a leg's next INVITE, when that of `old` came to nothing.
    pub(crate) fn next_usage(&mut self, old: LegId) -> LegId {
        self.shared.legs.remove(&old);
        self.new_leg()
    }

    /// A key for each suite, where keys are wanted.
    pub(crate) fn new_keys(&mut self, srtp: sdp::Srtp) -> Vec<sdp::MasterKey> {
        if srtp == sdp::Srtp::Off {
            return Vec::new();
        }
        let suites = self.config.media.srtp_suites.iter();
        let key = |suite: &sdp::CryptoSuite| {
            let mut bytes = vec![0; suite.key_length() + suite.salt_length()];
            rand::Rng::fill_bytes(&mut self.shared.secrets, &mut bytes);
            sdp::MasterKey::new(*suite, bytes)
        };
        suites.filter_map(key).collect()
    }

    pub(crate) fn open_port(&mut self, leg: LegId) -> OpenId {
        let id = OpenId(self.shared.id());
        self.shared.opens.insert(id, (self.key, leg));
        self.out.push_back(Output::OpenPort { id, call: self.key });
        id
    }

    /// The port stays in the index until the relay has told what it counted.
    pub(crate) fn close_port(&mut self, port: PortId) {
        self.media(media_relay::Command::Close { port });
    }

    pub(crate) fn resolve(&mut self, leg: LegId, wanted: Wanted) -> ResolveId {
        let id = ResolveId(self.shared.id());
        self.shared.resolves.insert(id, (self.key, leg));
        self.out.push_back(Output::Resolve { id, wanted });
        id
    }
}
