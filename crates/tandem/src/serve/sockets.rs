//! The SIP sockets of all listeners: datagrams here, streams in tokio behind one descriptor.

use bytes::Bytes;
use signaling::{
    Flow, Input, Listener, Transport,
    io::{Socket, StreamCounts, StreamLimits, Streams, StreamsConfig, Tls},
};
use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
};
use tokio::runtime::Handle;

/// Messages taken from streams in one turn, so that no flood over TCP makes datagrams late.
const MOST_OF_STREAMS: usize = 256;

/// What is to be bound, and how.
pub(crate) struct Plan {
    /// In the order of the configuration.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// For whom the last tenth of all connections is kept.
    pub(crate) preferred: Vec<signaling::Network>,
    pub(crate) dscp: u8,
    pub(crate) limits: StreamLimits,
    pub(crate) runtime: Handle,
}

/// All listeners.
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    /// None without a listener over TCP or TLS.
    streams: Option<Streams>,
    listeners: Vec<Listener>,
    /// Sockets that have something to send in this turn.
    busy: Vec<bool>,
    /// The kernel takes no more for now.
    full: bool,
}

impl Sockets {
    /// Binds every listener; the error names the one that failed and what to do.
    pub(crate) fn bind(plan: Plan) -> anyhow::Result<Self> {
        let Plan { mut listeners, tls, preferred, dscp, limits, runtime } = plan;
        let mut sockets = Vec::new();
        for listener in listeners.iter_mut().filter(|listener| listener.transport == Transport::Udp) {
            let socket = Socket::open(listener.local, dscp).map_err(|error| cannot(*listener, &error))?;
            got(listener, socket.local());
            sockets.push(socket);
        }
        let over: Vec<Listener> =
            listeners.iter().filter(|listener| listener.transport.is_reliable()).copied().collect();
        let streams = if over.is_empty() {
            None
        } else {
            let wanted = over.clone();
            let config = StreamsConfig { listeners: over, tls, preferred, dscp, limits };
            let streams = Streams::start(runtime, config).map_err(|failed| {
                let which = wanted.into_iter().find(|listener| listener.local == failed.address);
                which.map_or_else(|| anyhow::anyhow!("{failed}"), |listener| cannot(listener, &failed.error))
            })?;
            let bound = listeners.iter_mut().filter(|listener| listener.transport.is_reliable());
            for (listener, bound) in bound.zip(streams.listeners()) {
                *listener = *bound;
            }
            Some(streams)
        };
        let busy = vec![false; sockets.len()];
        Ok(Self { sockets, streams, listeners, busy, full: false })
    }

    /// The listeners with the addresses they got, in the order of the configuration.
    pub(crate) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// What epoll watches for datagrams, by index.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(Socket::as_fd)
    }

    /// What epoll watches for streams.
    pub(crate) fn streams(&self) -> Option<BorrowedFd<'_>> {
        self.streams.as_ref().map(Streams::as_fd)
    }

    /// Counters of the streams.
    pub(crate) fn stream_counts(&self) -> StreamCounts {
        self.streams.as_ref().map(Streams::counts).unwrap_or_default()
    }

    /// True while datagrams wait for the kernel.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Takes one batch from a socket; true when there may be more.
    pub(crate) fn receive(&mut self, index: usize, inputs: &mut Vec<Input>) -> bool {
        let Some(socket) = self.sockets.get_mut(index) else { return false };
        socket.receive(inputs).unwrap_or_else(|error| {
            tracing::error!(listener = %socket.local(), %error, "a SIP socket cannot be read");
            false
        })
    }

    /// Takes what streams brought, up to a turn's share; the descriptor stays readable when there is more.
    pub(crate) fn receive_streams(&mut self, inputs: &mut Vec<Input>) {
        if let Some(streams) = &mut self.streams {
            streams.receive(inputs, MOST_OF_STREAMS);
        }
    }

    /// Puts a datagram into the next batch, or a message into its stream's queue.
    pub(crate) fn send(&mut self, flow: &Flow, peer_name: Option<&Arc<str>>, bytes: Bytes) {
        if flow.transport.is_reliable() {
            if let Some(streams) = &mut self.streams {
                streams.send(flow, peer_name, bytes);
            }
        } else if let Some(index) = self.sockets.iter().position(|socket| socket.local() == flow.local) {
            self.sockets[index].queue(flow.remote, bytes);
            self.busy[index] = true;
        }
    }

    /// Sends everything that waits; what can never be sent comes back as inputs.
    pub(crate) fn flush(&mut self, inputs: &mut Vec<Input>) {
        self.full = false;
        if let Some(streams) = &mut self.streams {
            streams.flush(inputs);
        }
        for (socket, busy) in self.sockets.iter_mut().zip(&mut self.busy) {
            if !*busy {
                continue;
            }
            match socket.flush(inputs) {
                Ok(all) => {
                    *busy = !all;
                    self.full |= !all;
                }
                Err(error) => tracing::error!(listener = %socket.local(), %error, "a SIP socket cannot be written"),
            }
        }
    }
}

/// A listener's address as the kernel gave it.
fn got(listener: &mut Listener, local: SocketAddr) {
    listener.local = local;
    listener.advertised.set_port(local.port());
}

fn cannot(listener: Listener, error: &io::Error) -> anyhow::Error {
    let Listener { transport, local, .. } = listener;
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let tool = if transport.is_reliable() { "ss -tlpn" } else { "ss -ulpn" };
            anyhow::anyhow!("{local} is taken by another program (`sip.listeners`; `{tool}` says by whom)")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow::anyhow!("{local} is no address of this machine (`sip.listeners`; `ip address` lists those it has)")
        }
        _ => anyhow::anyhow!("cannot listen at {transport}:{local}: {error}"),
    }
}
