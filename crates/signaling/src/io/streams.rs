//! Streams of SIP in tokio: accepted, opened on demand and shared, bounded in number by source and in all, and joined to the engine by
//! one queue up and one for each stream down. The engine never waits for any of it.

use super::{
    connection::{End, Opener, carry},
    mark,
    table::{Place, Sent, Table},
    tls::Tls,
};
use crate::{ConnectionId, Flow, Input, Listener, Network, Transport};
use bytes::Bytes;
use nix::sys::eventfd::{EfdFlags, EventFd};
use rustls::pki_types::ServerName;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, channel},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Messages on their way to the engine; beyond them readers wait, and so do their peers.
const UP: usize = 1_024;
/// Connections the kernel completes before they are accepted.
const BACKLOG: i32 = 1_024;
/// A listener rests for so long when the system has no descriptor left.
const REST: Duration = Duration::from_millis(50);

/// What a shell of streams is told at birth.
#[derive(Clone, Debug)]
pub struct StreamsConfig {
    /// Those over TCP and TLS; a port of 0 lets the kernel choose.
    pub listeners: Vec<Listener>,
    /// For listeners over TLS, and for connections of ours over it.
    pub tls: Option<Arc<Tls>>,
    /// Peers for whom the last tenth of all connections is kept.
    pub preferred: Vec<Network>,
    /// The mark of what is sent, 0 to 63.
    pub dscp: u8,
    /// Bounds.
    pub limits: StreamLimits,
}

/// Bounds of streams.
#[derive(Clone, Debug)]
pub struct StreamLimits {
    /// Connections in all, opened by whomever.
    pub connections: usize,
    /// Connections that one source (an IPv4 address, an IPv6 /64) may have open to us.
    pub per_source: usize,
    /// TLS handshakes of others with us at once.
    pub handshakes: usize,
    /// Of those, what one source may have under way.
    pub handshakes_per_source: usize,
    /// Messages that wait for a peer to read; at more the connection is given up.
    pub queue: usize,
    /// How long opening a connection may take.
    pub connect: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a new connection may stay without a whole message.
    pub first_message: Duration,
    /// How long a message may take from its first byte to its last.
    pub message: Duration,
    /// How long a connection that a peer opened may stay without a byte of it; zero: for ever.
    pub idle: Duration,
    /// How long a peer may take none of what is written.
    pub write: Duration,
    /// How long a connection of ours is silent before it is pinged (RFC 5626 section 4.4.1: 95 to 120 s).
    pub ping: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            connections: 2_000,
            per_source: 100,
            handshakes: 200,
            handshakes_per_source: 50,
            queue: 1_024,
            connect: Duration::from_secs(3),
            handshake: Duration::from_secs(10),
            first_message: Duration::from_secs(30),
            message: Duration::from_secs(30),
            idle: Duration::from_secs(3600),
            write: Duration::from_secs(10),
            ping: Duration::from_secs(100),
        }
    }
}

/// What has happened to streams since birth, and how many there are.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamCounts {
    /// Open, or being opened.
    pub open: usize,
    /// Accepted.
    pub accepted: u64,
    /// Opened by us.
    pub opened: u64,
    /// TLS handshakes of others with us that are under way.
    pub handshakes: usize,
    /// Turned away at a bound of connections.
    pub turned_away: u64,
    /// Turned away because too many handshakes were under way.
    pub unshaken: u64,
    /// Could not be opened, or not secured.
    pub failed: u64,
    /// Closed because no whole message came in time, or nothing at all for long.
    pub idle: u64,
    /// Closed because their peer did not read.
    pub slow: u64,
    /// Closed because no message could be framed.
    pub garbage: u64,
}

/// Why a listener cannot be.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen at {address}: {error}")]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

/// The engine's end. To be polled for reading, level-triggered.
#[derive(Debug)]
pub struct Streams {
    shared: Arc<Shared>,
    runtime: Handle,
    up: Receiver<Input>,
    listeners: Vec<Listener>,
    /// What failed at once.
    failed: Vec<Input>,
}

/// What all tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: StreamLimits,
    table: Mutex<Table>,
    up: Sender<Input>,
    bell: EventFd,
    /// True from a ring until the engine has looked: one system call for many messages.
    rung: AtomicBool,
    tls: Option<Arc<Tls>>,
    preferred: Vec<Network>,
    dscp: u8,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    opened: AtomicU64,
    turned_away: AtomicU64,
    unshaken: AtomicU64,
    failed: AtomicU64,
    idle: AtomicU64,
    slow: AtomicU64,
    garbage: AtomicU64,
}

/// The engine is gone.
#[derive(Debug)]
pub(super) struct Gone;

impl Streams {
    /// Binds every listener and begins to accept.
    pub fn start(runtime: Handle, config: StreamsConfig) -> Result<Self, BindError> {
        let (sender, up) = channel(UP);
        let nowhere = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0);
        let bell = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(|error| BindError { address: nowhere, error: error.into() })?;
        let shared = Arc::new(Shared {
            limits: config.limits,
            table: Mutex::default(),
            up: sender,
            bell,
            rung: AtomicBool::new(false),
            tls: config.tls,
            preferred: config.preferred,
            dscp: config.dscp,
            counters: Counters::default(),
        });
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for listener in config.listeners {
            let failed = |error| BindError { address: listener.local, error };
            let socket = listen(listener.local, config.dscp).map_err(failed)?;
            let local = socket.local_addr().map_err(failed)?;
            let socket = {
                let _inside = runtime.enter();
                TcpListener::from_std(socket).map_err(failed)?
            };
            let advertised = SocketAddr::new(
                listener.advertised.ip(),
                match listener.advertised.port() {
                    0 => local.port(),
                    port => port,
                },
            );
            let listener = Listener { local, advertised, ..listener };
            runtime.spawn(accept(socket, listener, Arc::clone(&shared)));
            listeners.push(listener);
        }
        Ok(Self { shared, runtime, up, listeners, failed: Vec::new() })
    }

    /// The listeners with the ports they got, in the order they were named.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Queues a message: over the connection it names, over one that leads there, or over one that is opened for it. What cannot be
    /// carried comes back as [`Input::TransmitFailed`].
    pub fn send(&mut self, flow: &Flow, peer_name: Option<&Arc<str>>, bytes: Bytes) {
        let sent = self.shared.table().send(flow, peer_name, bytes);
        match sent {
            Sent::Queued => {}
            Sent::Slow => {
                self.shared.counters.slow.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%flow, "a connection is given up: its peer does not read");
                self.failed.push(Input::TransmitFailed { flow: *flow });
            }
            Sent::Nowhere(bytes) => self.open(flow, peer_name, bytes),
        }
    }

    fn open(&mut self, flow: &Flow, peer_name: Option<&Arc<str>>, bytes: Bytes) {
        let shared = &self.shared;
        let id = {
            let mut table = shared.table();
            if table.len() >= shared.limits.connections {
                None
            } else {
                let (queue, queued) = channel(shared.limits.queue);
                let place = Place::of(flow, peer_name);
                let id = table.enter(place.clone(), None, queue.clone());
                // The way is new, whatever connection the message had named; a queue of its own has room.
                let flow = Flow { connection: None, ..*flow };
                let _ = table.send(&flow, peer_name, bytes);
                Some((id, place, queue, queued))
            }
        };
        let Some((id, place, queue, queued)) = id else {
            shared.counters.turned_away.fetch_add(1, Ordering::Relaxed);
            self.failed.push(Input::TransmitFailed { flow: *flow });
            return;
        };
        self.runtime.spawn(call(id, place, (queue, queued), Arc::clone(shared)));
    }

    /// Takes in what has come, at most so much. True when more waits.
    pub fn receive(&mut self, inputs: &mut Vec<Input>, most: usize) -> bool {
        inputs.append(&mut self.failed);
        let _ = self.shared.bell.read();
        self.shared.rung.store(false, Ordering::Release);
        for _ in 0..most {
            match self.up.try_recv() {
                Ok(input) => inputs.push(input),
                Err(_) => return false,
            }
        }
        self.shared.ring();
        true
    }

    /// Takes in what failed at once; see [`Self::send`].
    pub fn flush(&mut self, inputs: &mut Vec<Input>) {
        inputs.append(&mut self.failed);
    }

    /// Counters and gauge.
    pub fn counts(&self) -> StreamCounts {
        let at = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { accepted, opened, turned_away, unshaken, failed, idle, slow, garbage } = &self.shared.counters;
        let (open, handshakes) = {
            let table = self.shared.table();
            (table.len(), table.handshakes())
        };
        StreamCounts {
            open,
            handshakes,
            unshaken: at(unshaken),
            accepted: at(accepted),
            opened: at(opened),
            turned_away: at(turned_away),
            failed: at(failed),
            idle: at(idle),
            slow: at(slow),
            garbage: at(garbage),
        }
    }
}

impl AsFd for Streams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands something to the engine, when it has room.
    pub(super) async fn hand_up(&self, input: Input) -> Result<(), Gone> {
        self.up.send(input).await.map_err(|_| Gone)?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Fails only when the counter is at its limit: then it is readable anyway.
            let _ = self.bell.write(1);
        }
    }

    /// A place for what somebody opened to us; at a bound none, and what counts those. Who is turned away has cost a look at a table.
    fn admit(&self, flow: &Flow) -> Result<(ConnectionId, Sender<Bytes>, Receiver<Bytes>), &AtomicU64> {
        let source = flow.remote.ip();
        let preferred = self.preferred.iter().any(|network| network.contains(source));
        let share = |most: usize| if preferred { most } else { most - most / 10 };
        let limits = &self.limits;
        let mut table = self.table();
        if table.len() >= share(limits.connections) || table.of_source(source) >= limits.per_source {
            return Err(&self.counters.turned_away);
        }
        if flow.transport == Transport::Tls
            && (table.handshakes() >= share(limits.handshakes)
                || table.handshakes_of(source) >= limits.handshakes_per_source)
        {
            return Err(&self.counters.unshaken);
        }
        let (queue, queued) = channel(self.limits.queue);
        let id = table.enter(Place::of(flow, None), Some(source), queue.clone());
        Ok((id, queue, queued))
    }

    /// A stream is over: the core is told when that concerns it.
    async fn leave(&self, flow: Flow, end: End) {
        let counter = match end {
            End::Idle => Some(&self.counters.idle),
            End::Slow => Some(&self.counters.slow),
            End::Garbage => Some(&self.counters.garbage),
            End::Closed | End::Broken | End::Dropped => None,
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        tracing::debug!(%flow, %end, "a connection ended");
        let missed = flow.connection.is_some_and(|id| self.table().leave(id));
        if missed {
            let _ = self.hand_up(Input::TransmitFailed { flow }).await;
        }
    }

    fn prepare(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let socket = socket2::SockRef::from(stream);
        // A peer that is gone without a word is noticed within two minutes.
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(10))
            .with_retries(6);
        let _ = socket.set_tcp_keepalive(&keepalive);
        let v4 = stream.local_addr().is_ok_and(|address| address.is_ipv4());
        mark(&socket, v4, self.dscp);
    }
}

fn listen(address: SocketAddr, dscp: u8) -> io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // A daemon that starts anew need not wait for old connections to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    mark(&socket, address.is_ipv4(), dscp);
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts at one listener for ever.
async fn accept(socket: TcpListener, listener: Listener, shared: Arc<Shared>) {
    loop {
        let (stream, remote) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(listener = %listener.local, %error, "a connection was not accepted");
                sleep(REST).await;
                continue;
            }
        };
        let flow = Flow::new(listener.transport, listener.local, remote);
        let (id, queue, queued) = match shared.admit(&flow) {
            Ok(place) => place,
            Err(counter) => {
                counter.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%flow, "a connection was turned away at a bound");
                continue;
            }
        };
        shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
        shared.prepare(&stream);
        let flow = Flow { connection: Some(id), ..flow };
        tokio::spawn(serve(stream, flow, (queue, queued), Arc::clone(&shared)));
    }
}

/// One that a peer opened.
async fn serve(stream: TcpStream, flow: Flow, queue: (Sender<Bytes>, Receiver<Bytes>), shared: Arc<Shared>) {
    let end = match (flow.transport, &shared.tls) {
        (Transport::Tls, Some(tls)) => {
            let acceptor = TlsAcceptor::from(tls.setup().server);
            let shaken = timeout(shared.limits.handshake, acceptor.accept(stream)).await;
            if let Some(id) = flow.connection {
                shared.table().shaken(id);
            }
            match shaken {
                Ok(Ok(stream)) => carry(stream, flow, Opener::Peer, queue, &shared).await,
                Ok(Err(error)) => {
                    tracing::debug!(%flow, %error, "a connection was not secured");
                    shared.counters.failed.fetch_add(1, Ordering::Relaxed);
                    End::Broken
                }
                Err(_) => End::Idle,
            }
        }
        (Transport::Tls, None) => End::Broken,
        _ => carry(stream, flow, Opener::Peer, queue, &shared).await,
    };
    shared.leave(flow, end).await;
}

/// One that we open.
async fn call(id: ConnectionId, place: Place, queue: (Sender<Bytes>, Receiver<Bytes>), shared: Arc<Shared>) {
    let flow = Flow { connection: Some(id), ..Flow::new(place.transport, place.local, place.remote) };
    let end = match connect(&place, &shared).await {
        Ok(Opened::Plain(stream)) => {
            shared.counters.opened.fetch_add(1, Ordering::Relaxed);
            carry(stream, flow, Opener::Us, queue, &shared).await
        }
        Ok(Opened::Secured(stream)) => {
            shared.counters.opened.fetch_add(1, Ordering::Relaxed);
            carry(*stream, flow, Opener::Us, queue, &shared).await
        }
        Err(error) => {
            shared.counters.failed.fetch_add(1, Ordering::Relaxed);
            let name = place.name.as_deref();
            tracing::info!(peer = %flow, name, %error, "a connection could not be opened");
            End::Broken
        }
    };
    shared.leave(flow, end).await;
}

enum Opened {
    Plain(TcpStream),
    Secured(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn connect(place: &Place, shared: &Shared) -> io::Result<Opened> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    let socket = if place.remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !place.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(place.local.ip(), 0))?;
    }
    let stream = timeout(shared.limits.connect, socket.connect(place.remote)).await.map_err(late)??;
    shared.prepare(&stream);
    if place.transport != Transport::Tls {
        return Ok(Opened::Plain(stream));
    }
    let tls = shared.tls.as_ref().ok_or_else(|| io::Error::other("there is no certificate of ours (`sip.tls`)"))?;
    let name = match &place.name {
        Some(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| io::Error::other("the peer's name is none that a certificate could have"))?,
        None => ServerName::from(place.remote.ip()),
    };
    let connector = TlsConnector::from(tls.setup().client);
    let stream = timeout(shared.limits.handshake, connector.connect(name, stream)).await.map_err(late)??;
    Ok(Opened::Secured(Box::new(stream)))
}
