//! The SIP sockets of all listeners.

use bytes::Bytes;
use signaling::{Flow, Input, io::Socket};
use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd as _, BorrowedFd},
};

/// All listeners.
pub(crate) struct Sockets {
    sockets: Vec<Socket>,
    addresses: Vec<SocketAddr>,
    /// Sockets that have something to send in this turn.
    busy: Vec<bool>,
    /// The kernel takes no more for now.
    full: bool,
}

impl Sockets {
    /// Binds every listener; the error names the one that failed and what to do.
    pub(crate) fn bind(listeners: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut sockets = Vec::with_capacity(listeners.len());
        for listener in listeners {
            sockets.push(Socket::open(*listener).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => {
                    anyhow::anyhow!("{listener} is taken by another program (`sip.listeners`; `ss -ulpn` says by whom)")
                }
                io::ErrorKind::AddrNotAvailable => anyhow::anyhow!(
                    "{listener} is no address of this machine (`sip.listeners`; `ip address` lists those it has)"
                ),
                _ => anyhow::anyhow!("cannot listen at {listener}: {error}"),
            })?);
        }
        let addresses = sockets.iter().map(Socket::local).collect();
        let busy = vec![false; sockets.len()];
        Ok(Self { sockets, addresses, busy, full: false })
    }

    /// The addresses bound, in the order of the listeners.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What epoll watches, in the order of the listeners.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(Socket::as_fd)
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

    /// Puts a datagram into the next batch.
    pub(crate) fn send(&mut self, flow: &Flow, bytes: Bytes) {
        if let Some(index) = self.addresses.iter().position(|own| *own == flow.local) {
            self.sockets[index].queue(flow.remote, bytes);
            self.busy[index] = true;
        }
    }

    /// Sends everything that waits; what can never be sent comes back as inputs.
    pub(crate) fn flush(&mut self, inputs: &mut Vec<Input>) {
        self.full = false;
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
