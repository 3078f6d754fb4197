//! One worker thread: epoll, level-triggered, one receive a readiness; time read once a batch.

use crate::{Age, CallKey, Channel, Command, Counters, Event, Library, PortId, Slot, Source, Taps, Wire, Worker};
use clock::{Monotonic, io::monotonic, io::now};
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        eventfd::EventFd,
    },
};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, TrySendError},
    },
    time::Duration,
};

/// Datagrams of a batch.
const BATCH: usize = 256;
/// Bytes of a datagram; what fills this much was longer, and is no audio of ours.
const DATAGRAM: usize = 2048;
/// The bell's place among the slots.
const BELL: u64 = u64::MAX;
/// Longer than this between two batches, and what waits in the sockets is old.
pub(super) const STALL: Duration = Duration::from_millis(200);
/// Datagrams a socket can hold; the bound of emptying one.
const BACKLOG: usize = 1024;

/// What the handle asks of a worker.
#[derive(Debug)]
pub(super) enum Order {
    Open {
        port: PortId,
        call: CallKey,
        rtp: UdpSocket,
        rtcp: UdpSocket,
    },
    Command(Command),
    /// Dies of no call's fault.
    #[cfg(test)]
    Die,
    /// Does nothing until it is told to go on, having said that it stands still.
    #[cfg(test)]
    Stand(SyncSender<()>, Receiver<()>),
}

impl Order {
    /// Whether a worker must be woken for it. Who hears whom may wait for the next packet, which finds it done; what the worker
    /// sends by itself may not.
    pub(super) fn is_urgent(&self) -> bool {
        match self {
            Self::Open { .. } => false,
            Self::Command(command) => match command {
                Command::Plan { sources, .. } => {
                    sources.iter().any(|(_, source)| matches!(source, Source::Play(_) | Source::Ringback))
                }
                Command::Open { .. }
                | Command::Describe { .. }
                | Command::Watch { .. }
                | Command::Detect { .. }
                | Command::Remember { .. }
                | Command::Close { .. } => false,
                Command::Adopt { .. }
                | Command::SendDtmf { .. }
                | Command::MeasureStart { .. }
                | Command::MeasureStop { .. }
                | Command::Tap { .. }
                | Command::Library(_) => true,
            },
            #[cfg(test)]
            Self::Die | Self::Stand(..) => true,
        }
    }
}

/// A worker's counts, for other threads.
#[derive(Debug, Default)]
pub(super) struct Published {
    packets_received: AtomicU64,
    packets_sent: AtomicU64,
    foreign: AtomicU64,
    unauthentic: AtomicU64,
    malformed: AtomicU64,
    late_ticks: AtomicU64,
    ports: AtomicU64,
    packets_lost: AtomicU64,
    send_errors: AtomicU64,
}

impl Published {
    pub(super) fn read(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            packets_received: read(&self.packets_received),
            packets_sent: read(&self.packets_sent),
            foreign: read(&self.foreign),
            unauthentic: read(&self.unauthentic),
            malformed: read(&self.malformed),
            late_ticks: read(&self.late_ticks),
            ports: read(&self.ports),
            packets_lost: read(&self.packets_lost),
        }
    }

    pub(super) fn send_errors(&self) -> u64 {
        self.send_errors.load(Ordering::Relaxed)
    }

    fn write(&self, counters: Counters, send_errors: u64) {
        let write = |count: &AtomicU64, value: u64| count.store(value, Ordering::Relaxed);
        write(&self.packets_received, counters.packets_received);
        write(&self.packets_sent, counters.packets_sent);
        write(&self.foreign, counters.foreign);
        write(&self.unauthentic, counters.unauthentic);
        write(&self.malformed, counters.malformed);
        write(&self.late_ticks, counters.late_ticks);
        write(&self.ports, counters.ports);
        write(&self.packets_lost, counters.packets_lost);
        write(&self.send_errors, send_errors);
    }
}

pub(super) struct Thread {
    core: Worker,
    sockets: Sockets,
    epoll: Epoll,
    bell: Arc<super::Bell>,
    inbox: Receiver<Order>,
    report: SyncSender<Event>,
    /// An event the engine had no place for yet.
    held: Option<Event>,
    wake: Arc<EventFd>,
    published: Arc<Published>,
    /// What a worker before this one has counted.
    before: (Counters, u64),
}

#[derive(Default)]
struct Sockets {
    by_slot: Vec<Option<Pair>>,
    send_errors: u64,
}

struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Sockets {
    #[inline]
    fn get(&self, slot: Slot, channel: Channel) -> Option<&UdpSocket> {
        let pair = self.by_slot.get(slot.0 as usize)?.as_ref()?;
        Some(match channel {
            Channel::Rtp => &pair.rtp,
            Channel::Rtcp => &pair.rtcp,
        })
    }
}

impl Wire for Sockets {
    #[inline]
    fn transmit(&mut self, slot: Slot, channel: Channel, to: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.get(slot, channel) else { return };
        #[cfg(test)]
        assert!(!bytes.ends_with(super::tests::POISON), "a packet that panics, by order of a test");
        if socket.send_to(bytes, to).is_err() {
            self.send_errors += 1;
        }
    }
}

impl Thread {
    pub(super) fn new(
        library: Arc<Library>,
        seed: u64,
        inbox: Receiver<Order>,
        bell: Arc<super::Bell>,
        report: SyncSender<Event>,
        wake: Arc<EventFd>,
        published: Arc<Published>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&bell.event, EpollEvent::new(EpollFlags::EPOLLIN, BELL))?;
        let core = Worker::new(library, seed, now());
        let before = (Counters { ports: 0, ..published.read() }, published.send_errors());
        let sockets = Sockets::default();
        Ok(Self { core, sockets, epoll, bell, inbox, report, held: None, wake, published, before })
    }

    /// Whom audio is handed to that is tapped.
    pub(super) fn set_taps(&mut self, taps: Taps) {
        self.core.set_taps(taps);
    }

    /// Runs until the handle goes away. A panic in a call's step ends that call's audio and no other's; one in nobody's step ends
    /// the worker.
    pub(super) fn run(mut self) {
        let _farewell = Farewell(self.wake.clone());
        while let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            let slots = self.core.give_up();
            if slots.is_empty() {
                resume_unwind(panic);
            }
            tracing::error!(ports = slots.len(), "a defect ended one call's audio; please report the panic above");
            for slot in slots {
                self.close(slot);
            }
            // Orders that came with the one that panicked still wait.
            self.bell.ring();
        }
    }

    fn work(&mut self) {
        let mut ready = [EpollEvent::empty(); BATCH];
        let mut buffer = [0; DATAGRAM];
        let mut at = monotonic();
        loop {
            let mut count = match self.epoll.wait(&mut ready, self.patience(at)) {
                Ok(count) => count,
                // A process that was stopped comes back so: what waits in the sockets must be known before its age is judged.
                Err(Errno::EINTR) => self.epoll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0),
                Err(error) => {
                    tracing::error!(%error, "epoll failed, a media worker ends");
                    return;
                }
            };
            self.bell.wakes_up();
            let before = at;
            at = monotonic();
            // Without ports the worker sleeps as long as it likes.
            if at.since(before) > STALL && self.core.poll_timeout().is_some() {
                tracing::warn!(
                    away_ms = at.since(before).as_millis(),
                    "the media worker was stopped; old audio is dropped"
                );
                count = self.empty_sockets(at, &mut ready, count, &mut buffer);
                // What emptying took is no stall: thousands of sockets would be emptied over and over.
                at = monotonic();
            }
            // Orders first: who was taken off the line a moment ago is not heard with the next packet.
            let called = self.bell.is_left() || ready[..count].iter().any(|event| event.data() == BELL);
            if called && !self.obey() {
                return;
            }
            for event in ready[..count].iter().filter(|event| event.data() != BELL) {
                self.receive(at, event.data(), &mut buffer);
            }
            if self.core.poll_timeout().is_some_and(|due| due <= at) {
                self.core.handle_timeout(now(), &mut self.sockets);
            }
            self.tell();
            let (counters, send_errors) = self.before;
            self.published.write(counters + self.core.counters(), send_errors + self.sockets.send_errors);
        }
    }

    /// Until the next tick; without one until the bell rings.
    fn patience(&self, now: Monotonic) -> EpollTimeout {
        if self.held.is_some() {
            return EpollTimeout::from(10u8);
        }
        let Some(due) = self.core.poll_timeout() else {
            return if self.bell.dozes_off() { EpollTimeout::NONE } else { EpollTimeout::ZERO };
        };
        let wait = due.since(now).as_micros().div_ceil(1000);
        EpollTimeout::from(u16::try_from(wait).unwrap_or(u16::MAX))
    }

    /// One receive: with level triggering epoll comes back while there is more, and no call is spent on hearing that
    /// there is none.
    #[inline]
    fn receive(&mut self, at: Monotonic, data: u64, buffer: &mut [u8; DATAGRAM]) {
        let (slot, channel) = place(data);
        let Some(socket) = self.sockets.get(slot, channel) else { return };
        let Ok((length, from)) = socket.recv_from(buffer) else { return };
        self.take(at, slot, channel, from, length, buffer, Age::Fresh);
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "a datagram and all that is known of it")]
    fn take(
        &mut self,
        at: Monotonic,
        slot: Slot,
        channel: Channel,
        from: SocketAddr,
        length: usize,
        buffer: &mut [u8; DATAGRAM],
        age: Age,
    ) {
        if length == DATAGRAM {
            return;
        }
        match channel {
            Channel::Rtp => self.core.handle_rtp(at, slot, from, &mut buffer[..length], age, &mut self.sockets),
            Channel::Rtcp => self.core.handle_rtcp(at, slot, from, &buffer[..length]),
        }
    }

    /// After a stall: what waits in the sockets is counted and not forwarded. Returns how many at the front of `ready` are still to
    /// be looked at: the bell, if it rang.
    fn empty_sockets(
        &mut self,
        at: Monotonic,
        ready: &mut [EpollEvent; BATCH],
        mut count: usize,
        buffer: &mut [u8; DATAGRAM],
    ) -> usize {
        let mut bell = None;
        // Each socket once, and the bell, which stays ready, with every batch.
        for _ in 0..=self.sockets.by_slot.len() * 2 / (BATCH - 1) {
            for event in &ready[..count] {
                if event.data() == BELL {
                    bell = Some(*event);
                    continue;
                }
                let (slot, channel) = place(event.data());
                for _ in 0..BACKLOG {
                    let Some(socket) = self.sockets.get(slot, channel) else { break };
                    let Ok((length, from)) = socket.recv_from(buffer) else { break };
                    self.take(at, slot, channel, from, length, buffer, Age::Stale);
                }
            }
            if count < BATCH {
                break;
            }
            count = self.epoll.wait(ready, EpollTimeout::ZERO).unwrap_or(0);
        }
        ready.iter_mut().zip(bell).map(|(place, bell)| *place = bell).count()
    }

    /// Takes what the handle sent; false when the handle is gone.
    fn obey(&mut self) -> bool {
        self.bell.hush();
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Open { port, call, rtp, rtcp }) => self.open(port, call, rtp, rtcp),
                Ok(Order::Command(command)) => {
                    let closing = match &command {
                        Command::Close { port } => self.core.slot(*port),
                        _ => None,
                    };
                    self.core.handle_command(now(), command, &mut self.sockets);
                    if let Some(slot) = closing {
                        self.close(slot);
                    }
                }
                #[cfg(test)]
                Ok(Order::Stand(stands, go_on)) => {
                    let _ = stands.send(());
                    let _ = go_on.recv();
                }
                #[cfg(test)]
                Ok(Order::Die) => panic!("a worker that dies, by order of a test"),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn open(&mut self, port: PortId, call: CallKey, rtp: UdpSocket, rtcp: UdpSocket) {
        self.core.handle_command(now(), Command::Open { port, call }, &mut self.sockets);
        let Some(slot) = self.core.slot(port) else { return };
        let index = slot.0 as usize;
        for (socket, channel) in [(&rtp, Channel::Rtp), (&rtcp, Channel::Rtcp)] {
            if let Err(error) = self.epoll.add(socket, EpollEvent::new(EpollFlags::EPOLLIN, data(slot, channel))) {
                tracing::error!(%error, port = port.0, "a media socket cannot be watched");
            }
        }
        if self.sockets.by_slot.len() <= index {
            self.sockets.by_slot.resize_with(index + 1, || None);
        }
        self.sockets.by_slot[index] = Some(Pair { rtp, rtcp });
    }

    /// Closing the last descriptor of a socket takes it out of epoll.
    fn close(&mut self, slot: Slot) {
        if let Some(pair) = self.sockets.by_slot.get_mut(slot.0 as usize) {
            *pair = None;
        }
    }

    /// Hands events over while the engine has room; the rest stays in the ports' reserved places.
    fn tell(&mut self) {
        let mut told = false;
        while let Some(event) = self.held.take().or_else(|| self.core.poll_event()) {
            match self.report.try_send(event) {
                Ok(()) => told = true,
                Err(TrySendError::Full(event)) => {
                    self.held = Some(event);
                    told = true;
                    break;
                }
                Err(TrySendError::Disconnected(_)) => break,
            }
        }
        if told {
            let _ = self.wake.write(1);
        }
    }
}

/// Wakes the engine when the worker ends, however it ends.
struct Farewell(Arc<EventFd>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.write(1);
    }
}

fn data(slot: Slot, channel: Channel) -> u64 {
    u64::from(slot.0) << 1 | u64::from(channel == Channel::Rtcp)
}

fn place(data: u64) -> (Slot, Channel) {
    #[expect(clippy::cast_possible_truncation, reason = "a slot was put in")]
    let slot = Slot((data >> 1) as u32);
    (slot, if data & 1 == 1 { Channel::Rtcp } else { Channel::Rtp })
}
