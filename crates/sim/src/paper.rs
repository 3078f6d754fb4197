//! A relay on paper: for worlds whose media is not sampled. It takes the real relay's commands and reports what the real one
//! would, from what parties say they do (talk, keep quiet, send nothing, press a key), and what would be sent to whom, without a packet.

mod ears;

use crate::house::Voiced;
use clock::{Monotonic, Timers};
use ears::Hearing;
use media_relay::{CallKey, Command, DeadAfter, Event, Library, MeasureId, PlayId, PortId, Source, Stats, Stream};
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

/// What a party does with its microphone.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Voice {
    /// Sends audio.
    Talks,
    /// Sends packets without a voice in them.
    Hushed,
    /// Sends nothing.
    #[default]
    Gone,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    /// When nothing was heard for as long as is watched for.
    Quiet,
    /// When no packet came for as long as is watched for.
    Dead,
    /// When the clips of the playlist are over.
    Play,
}

#[derive(Debug)]
struct Port {
    call: CallKey,
    voice: Voice,
    /// When a voice, and a packet, was heard last.
    voiced: Monotonic,
    heard: Option<Monotonic>,
    alive_since: Monotonic,
    stream: Option<SocketAddr>,
    latched: bool,
    silence_after: Option<Duration>,
    dead_after: Option<DeadAfter>,
    quiet: bool,
    play: Option<PlayId>,
    hearing: Hearing,
    /// Plays that were interrupted, with what is left of them.
    left: BTreeMap<PlayId, Duration>,
    /// How many names each play has been given.
    names: BTreeMap<PlayId, usize>,
    meters: Vec<MeasureId>,
}

#[derive(Debug)]
pub(crate) struct Paper {
    library: Arc<Library>,
    ports: BTreeMap<PortId, Port>,
    generations: BTreeMap<CallKey, u64>,
    timers: Timers<(PortId, Timer)>,
    events: VecDeque<Event>,
    /// What was sent to whom.
    pub(crate) voices: Vec<Voiced>,
}

/// The real relay looks every 20 ms whether somebody is quiet.
const TICK: Duration = Duration::from_millis(20);

impl Paper {
    pub(crate) fn new(library: Arc<Library>) -> Self {
        Self {
            library,
            ports: BTreeMap::new(),
            generations: BTreeMap::new(),
            timers: Timers::default(),
            events: VecDeque::new(),
            voices: Vec::new(),
        }
    }

    pub(crate) fn ports(&self) -> u64 {
        self.ports.len() as u64
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        self.timers.next_timeout()
    }

    pub(crate) fn handle_command(&mut self, now: Monotonic, command: Command) {
        match command {
            Command::Open { port, call } => {
                let fresh = Port {
                    call,
                    voice: Voice::Gone,
                    voiced: now,
                    heard: None,
                    alive_since: now,
                    stream: None,
                    latched: false,
                    silence_after: None,
                    dead_after: None,
                    quiet: false,
                    play: None,
                    hearing: Hearing::default(),
                    left: BTreeMap::new(),
                    names: BTreeMap::new(),
                    meters: Vec::new(),
                };
                self.ports.entry(port).or_insert(fresh);
            }
            Command::Describe { port, stream } => self.describe(now, port, &stream),
            Command::Plan { call, generation, sources } => self.plan(now, call, generation, &sources),
            Command::Adopt { port, call } => {
                if let Some(it) = self.ports.get_mut(&port) {
                    let before = std::mem::replace(&mut it.call, call);
                    self.listen(now, before);
                    self.listen(now, call);
                }
            }
            Command::MeasureStart { port, id } => {
                if let Some(it) = self.ports.get_mut(&port) {
                    it.meters.push(id);
                }
            }
            Command::MeasureStop { port, id } => {
                if let Some(it) = self.ports.get_mut(&port)
                    && it.meters.contains(&id)
                {
                    it.meters.retain(|other| *other != id);
                    self.events.push_back(Event::Measured { port, id, longest_silence: TICK });
                }
            }
            Command::Watch { port, silence_after, dead_after } => {
                if let Some(it) = self.ports.get_mut(&port) {
                    (it.silence_after, it.dead_after) = (silence_after, dead_after);
                    (it.alive_since, it.quiet) = (now, false);
                    self.rearm(now, port);
                }
            }
            Command::SendDtmf { .. }
            | Command::Tap { .. }
            | Command::Detect { .. }
            | Command::Remember { .. }
            | Command::Library(_) => {}
            Command::Close { port } => {
                self.ceases(now, port);
                let Some(it) = self.ports.remove(&port) else { return };
                self.listen(now, it.call);
                if !self.ports.values().any(|other| other.call == it.call) {
                    self.generations.remove(&it.call);
                }
                for timer in [Timer::Quiet, Timer::Dead, Timer::Play] {
                    self.timers.cancel((port, timer));
                }
                for id in it.meters {
                    self.events.push_back(Event::Measured { port, id, longest_silence: TICK });
                }
                let stats = Stats { packets_received: u64::from(it.heard.is_some()), ..Stats::default() };
                self.events.push_back(Event::Closed { port, stats: Box::new(stats) });
            }
        }
    }

    /// The party at the other end of a port does this from now on.
    pub(crate) fn voice(&mut self, now: Monotonic, port: PortId, voice: Voice, word: u8) {
        let Some(it) = self.ports.get_mut(&port) else { return };
        if it.voice == Voice::Talks {
            it.voiced = now;
        }
        if it.voice != Voice::Gone {
            it.heard = Some(now);
        }
        it.voice = voice;
        it.hearing.word = word;
        if voice == Voice::Talks && std::mem::take(&mut it.quiet) {
            self.events.push_back(Event::Speech { port });
        }
        let call = it.call;
        self.latch(now, port);
        self.rearm(now, port);
        self.listen(now, call);
    }

    /// The party pressed a key.
    pub(crate) fn digit(&mut self, port: PortId, digit: char) {
        if self.ports.get(&port).is_some_and(|it| it.stream.is_some()) {
            self.events.push_back(Event::Dtmf { port, digit, duration: Duration::from_millis(120) });
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Monotonic) {
        while let Some((port, timer)) = self.timers.pop_expired(now) {
            let Some(it) = self.ports.get_mut(&port) else { continue };
            match timer {
                Timer::Quiet => {
                    it.quiet = true;
                    self.events.push_back(Event::Quiet { port, lasting: now.since(it.voiced) });
                }
                Timer::Dead => self.events.push_back(Event::Dead { port, before_first: it.heard.is_none() }),
                Timer::Play => {
                    if let Some(play) = it.play {
                        let call = it.call;
                        it.left.insert(play, Duration::ZERO);
                        let clips = it.names.get(&play).copied().unwrap_or(0);
                        self.events.push_back(Event::PlayDone { port, play, clips });
                        self.listen(now, call);
                    }
                }
            }
        }
    }

    fn describe(&mut self, now: Monotonic, port: PortId, stream: &Stream) {
        if let Some(it) = self.ports.get_mut(&port) {
            it.stream = Some(stream.remote);
            it.hearing.may_send = stream.may_send;
            let call = it.call;
            self.latch(now, port);
            self.listen(now, call);
        }
    }

    fn latch(&mut self, now: Monotonic, port: PortId) {
        let Some(it) = self.ports.get_mut(&port) else { return };
        if let (Some(from), false, true) = (it.stream, it.latched, it.voice != Voice::Gone) {
            it.latched = true;
            it.heard = Some(now);
            self.events.push_back(Event::Latched { port, from });
        }
    }

    fn rearm(&mut self, now: Monotonic, port: PortId) {
        let Some(it) = self.ports.get(&port) else { return };
        match it.silence_after.filter(|_| it.voice != Voice::Talks && !it.quiet) {
            Some(after) => self.timers.set((port, Timer::Quiet), (it.voiced + after).max(now + TICK)),
            None => drop(self.timers.cancel((port, Timer::Quiet))),
        }
        match it.dead_after.filter(|_| it.voice == Voice::Gone) {
            Some(after) => {
                let due = match it.heard {
                    Some(heard) => heard.max(it.alive_since) + after.after_last,
                    None => it.alive_since + after.before_first,
                };
                self.timers.set((port, Timer::Dead), due.max(now + TICK));
            }
            None => drop(self.timers.cancel((port, Timer::Dead))),
        }
    }

    fn plan(&mut self, now: Monotonic, call: CallKey, generation: u64, sources: &[(PortId, Source)]) {
        let latest = self.generations.entry(call).or_default();
        if generation <= *latest {
            return;
        }
        *latest = generation;
        for (port, it) in self.ports.iter_mut().filter(|(_, it)| it.call == call) {
            let source = sources.iter().find(|(listener, _)| listener == port).map(|(_, source)| source);
            it.hearing.source = source.cloned().unwrap_or_default();
            let wanted = match source {
                Some(Source::Play(play)) => Some(play),
                _ => None,
            };
            let added = wanted.map_or(Duration::ZERO, |play| {
                let known = it.names.insert(play.id, play.first.len()).unwrap_or(0);
                let names = play.first.get(known..).unwrap_or_default().iter();
                names.filter_map(|name| self.library.clip(name)).map(|clip| clip.duration()).sum()
            });
            if wanted.map(|play| play.id) == it.play {
                if added > Duration::ZERO {
                    let over = self.timers.deadline((*port, Timer::Play)).unwrap_or(now);
                    self.timers.set((*port, Timer::Play), over + added);
                }
                continue;
            }
            if let (Some(old), Some(due)) = (it.play, self.timers.deadline((*port, Timer::Play))) {
                it.left.insert(old, due.since(now));
                self.timers.cancel((*port, Timer::Play));
            }
            it.play = wanted.map(|play| play.id);
            let Some(play) = wanted else { continue };
            let before = it.left.get(&play.id).copied();
            let left = before.unwrap_or_default() + added;
            if before != Some(Duration::ZERO) || added > Duration::ZERO {
                self.timers.set((*port, Timer::Play), now + left);
            }
        }
        self.listen(now, call);
    }
}
