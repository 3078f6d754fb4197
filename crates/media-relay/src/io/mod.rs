//! The shell: worker threads with their sockets and the clock, and the handle the engine holds.
#![expect(clippy::disallowed_types, reason = "the shell is where sockets live")]

mod files;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;
mod thread;

pub use files::{ClipError, EXTENSIONS, load_clip, load_directory};

use crate::{CallKey, Command, Counters, Event, Library, PortId, Ports, Taps};
use clock::Monotonic;
use nix::sys::eventfd::{EfdFlags, EventFd};
use rustc_hash::FxHashMap;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use thiserror::Error;
use thread::{Order, Thread};

/// Commands on their way to one worker; more wait in the handle.
const COMMANDS: usize = 1024;
/// Commands waiting in the handle for one worker.
const WAITING: usize = 65_536;
/// Events on their way to the engine; more wait in their ports' reserved places.
const EVENTS: usize = 4096;
/// Pairs tried when another program sits on ours.
const ATTEMPTS: usize = 16;
/// A worker that dies younger than this is replaced at that age.
const INFANCY: Duration = Duration::from_secs(1);
/// Expedited forwarding (RFC 3246), for those who look.
const TRAFFIC_CLASS: u32 = 46 << 2;
/// Bytes a socket may hold back: a second of audio with the kernel's overhead.
const RECEIVE_BUFFER: usize = 128 * 1024;

/// How a relay is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address its sockets are bound to.
    pub address: IpAddr,
    /// Where their ports come from.
    pub ports: RangeInclusive<u16>,
    /// How long a released pair rests.
    pub quarantine: Duration,
    /// Worker threads, at least one.
    pub workers: usize,
    /// Chance for SSRCs and the like.
    pub seed: u64,
    /// Prompts and music.
    pub library: Arc<Library>,
    /// Whom audio is handed to that [`Command::Tap`] taps.
    pub taps: Taps,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: IpAddr::from([127, 0, 0, 1]),
            ports: 16_384..=32_767,
            quarantine: Duration::from_secs(30),
            workers: 1,
            seed: 0,
            library: Arc::default(),
            taps: Taps::default(),
        }
    }
}

/// A port that was opened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The port.
    pub port: PortId,
    /// Where it receives RTP; RTCP one above.
    pub address: SocketAddr,
}

/// Why no port could be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Every pair is in use or resting.
    #[error("all {capacity} port pairs are in use or resting")]
    Exhausted {
        /// Pairs in the range.
        capacity: usize,
    },
    /// The system gave no socket.
    #[error("cannot bind an RTP port on {address}: {source}")]
    Bind {
        /// The address tried last.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The worker is gone or hopelessly behind.
    #[error("the media worker takes no more commands")]
    Worker,
}

/// The worker takes no more commands: it is gone, or tens of thousands of commands behind.
#[derive(Debug, Error)]
#[error("the media worker takes no more commands")]
pub struct Overloaded;

/// The engine's handle of all media workers. It lives on one thread; [`Gauges`] may be read from anywhere.
#[derive(Debug)]
pub struct Relay {
    address: IpAddr,
    small_buffers: bool,
    ports: Ports,
    next_port: u32,
    open: FxHashMap<PortId, Open>,
    workers: Vec<WorkerHandle>,
    events: Receiver<Event>,
    gauges: Gauges,
    /// What a new worker is made of.
    birth: Birth,
    /// Ports of workers that died.
    lost: VecDeque<PortId>,
}

/// What workers are made of.
#[derive(Debug)]
struct Birth {
    library: Arc<Library>,
    taps: Taps,
    seed: u64,
    report: SyncSender<Event>,
    wake: Arc<EventFd>,
}

impl Birth {
    /// Starts a worker; `published` goes on counting where the one before it stopped.
    fn start(&mut self, index: usize, published: Arc<thread::Published>) -> io::Result<WorkerHandle> {
        let (orders, inbox) = sync_channel(COMMANDS);
        let bell = Arc::new(Bell::new()?);
        self.seed = self.seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut worker = Thread::new(
            self.library.clone(),
            self.seed,
            inbox,
            bell.clone(),
            self.report.clone(),
            self.wake.clone(),
            published,
        )?;
        worker.set_taps(self.taps.clone());
        let thread = std::thread::Builder::new().name(format!("media-{index}")).spawn(move || worker.run())?;
        let born = clock::io::monotonic();
        Ok(WorkerHandle {
            orders: Some(orders),
            waiting: VecDeque::new(),
            urgent: false,
            bell,
            thread: Some(thread),
            born,
        })
    }
}

#[derive(Copy, Clone, Debug)]
struct Open {
    worker: usize,
    udp: u16,
}

#[derive(Debug)]
struct WorkerHandle {
    orders: Option<SyncSender<Order>>,
    waiting: VecDeque<Order>,
    /// Something among what waits must be heard at once.
    urgent: bool,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
    born: Monotonic,
}

/// Wakes a worker: one system call for however many orders it has not looked at yet, and none at all for orders that can
/// wait for its next packet or tick.
#[derive(Debug)]
struct Bell {
    event: EventFd,
    ringing: AtomicBool,
    /// Orders lie there that the worker has not looked at.
    left: AtomicBool,
    /// The worker has no tick ahead that would make it look.
    asleep: AtomicBool,
}

impl Bell {
    fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self {
            event,
            ringing: AtomicBool::new(false),
            left: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
        })
    }

    fn ring(&self) {
        if !self.ringing.swap(true, Ordering::AcqRel) {
            let _ = self.event.write(1);
        }
    }

    /// Orders were left; a worker that would not look by itself is woken. (Total order with [`Bell::dozes_off`]: either this
    /// side sees that the worker sleeps, or the worker sees that something was left.)
    fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.ring();
        }
    }

    /// To be called before the orders are looked at: whatever comes after rings again. (A swap, not a store: it must see
    /// the orders of whoever found the bell ringing.)
    fn hush(&self) {
        if self.ringing.swap(false, Ordering::AcqRel) {
            let _ = self.event.read();
        }
        self.left.swap(false, Ordering::SeqCst);
    }

    /// Whether orders wait to be looked at.
    fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// The worker is about to sleep without a tick ahead; false when it must look at its orders first.
    fn dozes_off(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.left.load(Ordering::SeqCst)
    }

    fn wakes_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// Counts that any thread may read.
#[derive(Clone, Debug)]
pub struct Gauges(Arc<SharedGauges>);

#[derive(Debug)]
struct SharedGauges {
    workers: Vec<Arc<thread::Published>>,
    in_use: AtomicU64,
    resting: AtomicU64,
}

impl Gauges {
    /// The sum over all workers.
    pub fn counters(&self) -> Counters {
        self.0.workers.iter().fold(Counters::default(), |sum, worker| sum + worker.read())
    }

    /// Pairs of UDP ports in use.
    pub fn ports_in_use(&self) -> u64 {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// Pairs of UDP ports resting before reuse.
    pub fn ports_resting(&self) -> u64 {
        self.0.resting.load(Ordering::Relaxed)
    }

    /// Packets the system would not take, over all workers.
    pub fn send_errors(&self) -> u64 {
        self.0.workers.iter().map(|worker| worker.send_errors()).sum()
    }
}

impl Relay {
    /// Starts the workers. `wake` is written to whenever events wait to be fetched.
    pub fn start(config: Config, wake: &Arc<EventFd>) -> io::Result<Self> {
        let (report, events) = sync_channel(EVENTS);
        let mut birth =
            Birth { library: config.library, taps: config.taps, seed: config.seed, report, wake: wake.clone() };
        let published: Vec<_> = (0..config.workers.max(1)).map(|_| Arc::new(thread::Published::default())).collect();
        let workers = published
            .iter()
            .enumerate()
            .map(|(index, published)| birth.start(index, published.clone()))
            .collect::<io::Result<_>>()?;
        let gauges = SharedGauges { workers: published, in_use: AtomicU64::new(0), resting: AtomicU64::new(0) };
        Ok(Self {
            address: config.address,
            small_buffers: small_buffers(config.address)?,
            ports: Ports::new(config.ports, config.quarantine, config.seed),
            next_port: 1,
            open: FxHashMap::default(),
            workers,
            events,
            gauges: Gauges(Arc::new(gauges)),
            birth,
            lost: VecDeque::new(),
        })
    }

    /// Counts for any thread.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Opens a port of a call: its sockets are bound when this returns, so its address may be offered.
    pub fn open(&mut self, call: CallKey) -> Result<Opened, OpenError> {
        let now = clock::io::monotonic();
        let worker = self.worker_of(call);
        if self.workers[worker].orders.is_none() {
            self.replace_the_dead();
        }
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            let Some(udp) = self.ports.allocate(now) else { break };
            match self.bind(udp) {
                Ok((rtp, rtcp)) => {
                    let port = PortId(self.next_port);
                    if self.order(worker, Order::Open { port, call, rtp, rtcp }).is_err() {
                        self.ports.release(now, udp);
                        return Err(OpenError::Worker);
                    }
                    self.next_port = self.next_port.wrapping_add(1);
                    self.open.insert(port, Open { worker, udp });
                    self.publish();
                    return Ok(Opened { port, address: SocketAddr::new(self.address, udp) });
                }
                Err(source) => {
                    // Somebody else's, or no descriptors left: it rests like a used one.
                    self.ports.release(now, udp);
                    failure = Some(OpenError::Bind { address: SocketAddr::new(self.address, udp), source });
                }
            }
        }
        self.publish();
        Err(failure.unwrap_or(OpenError::Exhausted { capacity: self.ports.capacity() }))
    }

    /// Queues a command for the worker of its port or call; [`Relay::hand_over`] wakes it. [`Command::Open`] is [`Relay::open`]'s own.
    pub fn send(&mut self, command: Command) -> Result<(), Overloaded> {
        let worker = match &command {
            Command::Open { .. } => return Ok(()),
            Command::Plan { call, .. } => Some(self.worker_of(*call)),
            Command::Library(library) => {
                self.birth.library = library.0.clone();
                None
            }
            Command::Describe { port, .. }
            | Command::Adopt { port, .. }
            | Command::SendDtmf { port, .. }
            | Command::MeasureStart { port, .. }
            | Command::MeasureStop { port, .. }
            | Command::Watch { port, .. }
            | Command::Detect { port, .. }
            | Command::Tap { port, .. }
            | Command::Remember { port, .. }
            | Command::Close { port } => match self.open.get(port) {
                Some(open) => Some(open.worker),
                None => return Ok(()),
            },
        };
        match worker {
            Some(worker) => self.order(worker, Order::Command(command)),
            None => (0..self.workers.len()).try_for_each(|worker| self.order(worker, Order::Command(command.clone()))),
        }
    }

    /// Hands the workers what was ordered since the last time. What must sound or be measured now wakes them, one system call a
    /// worker, however many orders; all else they find with their next packet or tick, always before that packet is
    /// looked at, and within 20 ms. To be called before the caller waits for anything.
    pub fn hand_over(&mut self) {
        for worker in &mut self.workers {
            if !worker.waiting.is_empty() {
                worker.hand_over();
            }
        }
    }

    /// The next event. Ports that closed go to rest here, so fetch until there is none.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = match self.events.try_recv() {
            Ok(event) => event,
            // Only now: what a worker said before it died is to be heard first.
            Err(_) => {
                self.replace_the_dead();
                Event::Lost { port: self.lost.pop_front()? }
            }
        };
        if let Event::Closed { port, .. } | Event::Lost { port } = &event
            && let Some(open) = self.open.remove(port)
        {
            self.ports.release(clock::io::monotonic(), open.udp);
            self.publish();
        }
        Some(event)
    }

    /// A worker that is gone takes its calls' audio with it; a new one takes new calls.
    fn replace_the_dead(&mut self) {
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if worker.thread.as_ref().is_none_or(|thread| !thread.is_finished()) {
                continue;
            }
            let now = clock::io::monotonic();
            // One that dies at birth is not replaced over and over in one breath.
            if now.since(worker.born) < INFANCY {
                continue;
            }
            let born = self.birth.start(index, self.gauges.0.workers[index].clone());
            match born {
                Ok(new) => {
                    let mut old = std::mem::replace(&mut self.workers[index], new);
                    let panicked = old.thread.take().is_some_and(|thread| thread.join().is_err());
                    let lost = self.open.iter().filter(|(_, open)| open.worker == index).map(|(port, _)| *port);
                    let before = self.lost.len();
                    self.lost.extend(lost);
                    self.lost.make_contiguous()[before..].sort_unstable();
                    let ports = self.lost.len() - before;
                    tracing::error!(
                        worker = index,
                        ports,
                        panicked,
                        "a media worker died; its calls end, a new one takes its place"
                    );
                }
                Err(error) => {
                    self.workers[index].born = now;
                    tracing::error!(%error, worker = index, "a media worker died and no other can be started now");
                }
            }
        }
    }

    /// Stops the workers and waits for them; ports still open are closed without a word.
    pub fn stop(mut self) {
        self.join();
    }

    fn join(&mut self) {
        for worker in &mut self.workers {
            worker.orders = None;
            worker.bell.ring();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a media worker panicked");
            }
        }
    }

    fn worker_of(&self, call: CallKey) -> usize {
        let mixed = call.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(mixed % self.workers.len() as u64).unwrap_or(0)
    }

    fn order(&mut self, worker: usize, order: Order) -> Result<(), Overloaded> {
        self.workers[worker].order(order)
    }

    fn publish(&self) {
        self.gauges.0.in_use.store(self.ports.in_use() as u64, Ordering::Relaxed);
        self.gauges.0.resting.store(self.ports.resting() as u64, Ordering::Relaxed);
    }

    fn bind(&self, udp: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        let rtp = bind(SocketAddr::new(self.address, udp), self.small_buffers)?;
        let rtcp = bind(SocketAddr::new(self.address, udp + 1), self.small_buffers)?;
        Ok((rtp, rtcp))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.join();
    }
}

impl WorkerHandle {
    fn order(&mut self, order: Order) -> Result<(), Overloaded> {
        if self.waiting.len() >= WAITING {
            return Err(Overloaded);
        }
        if self.orders.is_none() {
            return Err(Overloaded);
        }
        self.urgent |= order.is_urgent();
        self.waiting.push_back(order);
        Ok(())
    }

    /// Hands over as much as the worker takes, in order.
    fn hand_over(&mut self) {
        let Some(orders) = &self.orders else { return };
        while let Some(order) = self.waiting.pop_front() {
            match orders.try_send(order) {
                Ok(()) => {}
                Err(TrySendError::Full(order)) => {
                    self.waiting.push_front(order);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => {
                    self.orders = None;
                    self.waiting.clear();
                    break;
                }
            }
        }
        self.bell.leave();
        // What found no room waits for the next time, and so must not wait for a tick.
        if std::mem::take(&mut self.urgent) || !self.waiting.is_empty() {
            self.bell.ring();
        }
    }
}

/// True where the system gives a socket less than we need, unasked.
fn small_buffers(address: IpAddr) -> io::Result<bool> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(address, 0)), Type::DGRAM, Some(Protocol::UDP))?;
    Ok(socket.recv_buffer_size()? < RECEIVE_BUFFER)
}

fn bind(address: SocketAddr, small: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    // Marks and buffers are wishes: a system that refuses them still carries the call.
    if small {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    let _ = match address {
        SocketAddr::V4(_) => socket.set_tos_v4(TRAFFIC_CLASS),
        SocketAddr::V6(_) => socket.set_tclass_v6(TRAFFIC_CLASS),
    };
    socket.bind(&address.into())?;
    Ok(socket.into())
}
