//! The SIP sockets: opened with room for bursts, read and written in batches.

use bytes::Bytes;
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg},
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd},
};

/// Datagrams a system call takes.
const BATCH: usize = 32;
/// The largest datagram there is.
const LARGEST: usize = 65_535;
/// Asked of the kernel for each direction; it grants what `net.core.rmem_max` allows.
const BUFFER: usize = 4 << 20;

/// All listeners.
pub(crate) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    buffers: Vec<Vec<u8>>,
    waiting: Vec<Vec<(SocketAddr, Bytes)>>,
}

/// One received datagram.
pub(crate) struct Datagram {
    pub(crate) local: SocketAddr,
    pub(crate) source: SocketAddr,
    pub(crate) bytes: Bytes,
}

impl Sockets {
    /// Binds every listener; the error names the one that failed.
    pub(crate) fn bind(listeners: &[SocketAddr]) -> anyhow::Result<Self> {
        let mut sockets = Vec::with_capacity(listeners.len());
        for listener in listeners {
            let socket = open(*listener).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => {
                    anyhow::anyhow!("{listener} is taken by another program (`sip.listeners`; who: ss -ulpn)")
                }
                io::ErrorKind::AddrNotAvailable => {
                    anyhow::anyhow!("{listener} is no address of this machine (`sip.listeners`; which are: ip address)")
                }
                _ => anyhow::anyhow!("cannot listen at {listener}: {error}"),
            })?;
            sockets.push((socket.local_addr()?, socket));
        }
        let waiting = sockets.iter().map(|_| Vec::new()).collect();
        Ok(Self { sockets, buffers: vec![vec![0; LARGEST]; BATCH], waiting })
    }

    /// The addresses bound, in the order of the listeners.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(local, _)| *local).collect()
    }

    /// What epoll watches, in the order of the listeners.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|(_, socket)| socket.as_fd())
    }

    /// Takes at most one batch from a socket; true when there may be more.
    pub(crate) fn receive(&mut self, index: usize, mut take: impl FnMut(Datagram)) -> bool {
        let Some((local, socket)) = self.sockets.get(index) else { return false };
        let received: Vec<(usize, Option<SocketAddr>)> = {
            let mut slices: Vec<[IoSliceMut<'_>; 1]> =
                self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer.as_mut_slice())]).collect();
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), None);
            match recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
                Ok(messages) => messages.map(|message| (message.bytes, message.address.and_then(address))).collect(),
                // An ICMP error of an earlier datagram may be reported here; the next read goes on.
                Err(error) => return !matches!(error, Errno::EAGAIN | Errno::EBADF),
            }
        };
        let full = received.len() == BATCH;
        for ((length, source), buffer) in received.into_iter().zip(&self.buffers) {
            if let Some(source) = source {
                take(Datagram { local: *local, source, bytes: Bytes::copy_from_slice(&buffer[..length]) });
            }
        }
        full
    }

    /// Puts a datagram into the next batch.
    pub(crate) fn send(&mut self, local: SocketAddr, destination: SocketAddr, bytes: Bytes) {
        if let Some(index) = self.sockets.iter().position(|(own, _)| *own == local) {
            self.waiting[index].push((destination, bytes));
        }
    }

    /// Sends everything that waits; tells `failed` (local, destination) of what the network refused.
    pub(crate) fn flush(&mut self, mut failed: impl FnMut(SocketAddr, SocketAddr)) {
        for ((local, socket), waiting) in self.sockets.iter().zip(&mut self.waiting) {
            if let [(destination, bytes)] = waiting.as_slice() {
                if refused(socket.send_to(bytes, *destination)) {
                    failed(*local, *destination);
                }
                waiting.clear();
                continue;
            }
            let mut rest = waiting.as_slice();
            while !rest.is_empty() {
                let batch = &rest[..rest.len().min(BATCH)];
                let slices: Vec<[IoSlice<'_>; 1]> = batch.iter().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
                let to: Vec<Option<SockaddrStorage>> =
                    batch.iter().map(|(destination, _)| Some(SockaddrStorage::from(*destination))).collect();
                let mut headers = MultiHeaders::preallocate(batch.len(), None);
                let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &slices, to, [], MsgFlags::MSG_DONTWAIT)
                    .map(Iterator::count);
                match sent {
                    Ok(sent) if sent > 0 => rest = &rest[sent..],
                    // The first of the batch is what failed; the transaction layer sends again what mattered.
                    Ok(_) => rest = &rest[1..],
                    Err(error) => {
                        if !matches!(error, Errno::EAGAIN | Errno::ENOBUFS) {
                            failed(*local, batch[0].0);
                        }
                        rest = &rest[1..];
                    }
                }
            }
            waiting.clear();
        }
    }
}

/// A full buffer is loss, as on any network; anything else means that nobody can be reached there.
fn refused(sent: io::Result<usize>) -> bool {
    sent.is_err_and(|error| {
        error.kind() != io::ErrorKind::WouldBlock && error.raw_os_error() != Some(Errno::ENOBUFS as i32)
    })
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Less than asked for is no reason not to start.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn address(storage: SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::from((v4.ip(), v4.port())));
    }
    storage.as_sockaddr_in6().map(|v6| SocketAddr::from((v6.ip(), v6.port())))
}
