//! Datagrams: opens sockets, receives and sends in batches.

use crate::{Flow, Input};
use bytes::Bytes;
use nix::{
    cmsg_space,
    errno::Errno,
    sys::socket::{
        ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, recvmsg, sendmmsg, setsockopt, sockopt,
    },
};
use std::{
    collections::VecDeque,
    fmt,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

/// Datagrams one system call moves.
const BATCH: usize = 32;
/// Bytes of the largest datagram.
const DATAGRAM: usize = 65_536;
/// Datagrams that wait while the kernel takes none; the oldest go first when there are more, and SIP's timers repeat them.
const QUEUE: usize = 8_192;
/// What we ask of the kernel for each direction, in bytes.
const BUFFER: usize = 4 << 20;

/// A listening UDP socket, non-blocking, to be polled level-triggered.
pub struct Socket {
    socket: UdpSocket,
    local: SocketAddr,
    buffers: Vec<Vec<u8>>,
    receiving: MultiHeaders<SockaddrStorage>,
    sending: MultiHeaders<SockaddrStorage>,
    queue: VecDeque<(SocketAddr, Bytes)>,
    dropped: u64,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { local, queue, dropped, .. } = self;
        f.debug_struct("Socket").field("local", local).field("queued", &queue.len()).field("dropped", dropped).finish()
    }
}

impl Socket {
    /// Binds to `address`, which nobody else may hold; port 0 lets the kernel choose. What is sent is marked with `dscp` (0 to 63).
    pub fn open(address: SocketAddr, dscp: u8) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // The kernel may grant less; what does not fit is repeated by SIP's timers.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        // ICMP errors tell of peers that are not there long before timer B does.
        let _ = match address.ip() {
            IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true),
            IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true),
        };
        super::mark(&socket, address.is_ipv4(), dscp);
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            buffers: vec![vec![0; DATAGRAM]; BATCH],
            receiving: MultiHeaders::preallocate(BATCH, None),
            sending: MultiHeaders::preallocate(BATCH, None),
            queue: VecDeque::new(),
            dropped: 0,
        })
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Datagrams that were dropped because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes one batch of datagrams, and of errors, in. True when more may wait.
    pub fn receive(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        let fd = self.socket.as_raw_fd();
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self.buffers.iter_mut().map(|b| [IoSliceMut::new(b)]).collect();
        let received = match recvmmsg(fd, &mut self.receiving, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(received) => received,
            Err(Errno::EAGAIN) => {
                self.unreachable(inputs);
                return Ok(false);
            }
            Err(Errno::EINTR) => return Ok(true),
            // An error that was queued by ICMP: which peer it is of stands in the error queue.
            Err(error) if is_of_peer(error) => {
                self.unreachable(inputs);
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        let mut count = 0;
        for message in received {
            count += 1;
            if let Some(source) = message.address.as_ref().and_then(address_of)
                && let Some(bytes) = message.iovs().next()
            {
                inputs.push(Input::Received {
                    flow: Flow::udp(self.local, source),
                    bytes: Bytes::copy_from_slice(bytes),
                });
            }
        }
        Ok(count == BATCH)
    }

    /// Queues a datagram for [`Self::flush`].
    pub fn queue(&mut self, destination: SocketAddr, bytes: Bytes) {
        if self.queue.len() == QUEUE {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.queue.push_back((destination, bytes));
    }

    /// Sends what is queued. False when the kernel takes no more for now: call again when the socket is writable.
    /// Datagrams that can never be sent come back as [`Input::TransmitFailed`].
    pub fn flush(&mut self, inputs: &mut Vec<Input>) -> io::Result<bool> {
        while !self.queue.is_empty() {
            match self.send_batch() {
                Ok(sent) => drop(self.queue.drain(..sent)),
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return Ok(false),
                Err(Errno::EINTR) => {}
                // An earlier datagram's ICMP error, told at this call: the first of the queue was not tried.
                Err(error) if is_of_peer(error) && self.unreachable(inputs) => {}
                Err(error) => {
                    let Some((destination, _)) = self.queue.pop_front() else { break };
                    tracing::debug!(%destination, %error, "a datagram cannot be sent");
                    inputs.push(Input::TransmitFailed { flow: Flow::udp(self.local, destination) });
                }
            }
        }
        Ok(true)
    }

    fn send_batch(&mut self) -> Result<usize, Errno> {
        let batch = || self.queue.iter().take(BATCH);
        let slices: Vec<[IoSlice<'_>; 1]> = batch().map(|(_, bytes)| [IoSlice::new(bytes)]).collect();
        let addresses: Vec<Option<SockaddrStorage>> = batch().map(|(to, _)| Some(SockaddrStorage::from(*to))).collect();
        let fd = self.socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = sendmmsg(fd, &mut self.sending, slices.iter(), addresses, [], flags)?.count();
        // A call that succeeds has sent one at least.
        Ok(sent.max(1))
    }

    /// Reads the error queue: which peers the network says are not there. True when there was any.
    fn unreachable(&self, inputs: &mut Vec<Input>) -> bool {
        let mut found = false;
        let mut space = cmsg_space!([u8; 256]);
        for _ in 0..BATCH {
            let mut body = [0; 1];
            let mut slices = [IoSliceMut::new(&mut body)];
            let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
            let fd = self.socket.as_raw_fd();
            let Ok(message) = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut space), flags) else { break };
            found = true;
            let told = message.cmsgs().is_ok_and(|mut all| {
                all.any(|one| {
                    matches!(one, ControlMessageOwned::Ipv4RecvErr(..) | ControlMessageOwned::Ipv6RecvErr(..))
                })
            });
            if let Some(destination) = message.address.as_ref().and_then(address_of).filter(|_| told) {
                inputs.push(Input::TransmitFailed { flow: Flow::udp(self.local, destination) });
            }
        }
        found
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Errors that ICMP brings, about a peer and not about the socket.
fn is_of_peer(error: Errno) -> bool {
    matches!(
        error,
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::EPROTO
            | Errno::EMSGSIZE
    )
}

fn address_of(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    storage.as_sockaddr_in6().map(|v6| SocketAddr::new(v6.ip().into(), v6.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn open() -> Socket {
        Socket::open("127.0.0.1:0".parse().unwrap(), 24).unwrap()
    }

    /// Receives until something came or five seconds have passed.
    fn receive(socket: &mut Socket) -> Vec<Input> {
        let mut inputs = Vec::new();
        for _ in 0..8 {
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(5_000_u16)).unwrap();
            socket.receive(&mut inputs).unwrap();
            if !inputs.is_empty() {
                break;
            }
        }
        inputs
    }

    #[test]
    fn a_batch_arrives_as_it_was_sent() {
        let (mut one, mut two) = (open(), open());
        for number in 0..100_u8 {
            one.queue(two.local(), Bytes::from(vec![number; 10]));
        }
        let mut none = Vec::new();
        assert!(one.flush(&mut none).unwrap());
        assert!(none.is_empty());
        let mut bodies = Vec::new();
        while bodies.len() < 100 {
            for input in receive(&mut two) {
                let Input::Received { flow, bytes } = input else { panic!("an error came") };
                assert_eq!(flow, Flow::udp(two.local(), one.local()));
                bodies.push(bytes);
            }
        }
        assert!((0..100).all(|number| bodies[usize::from(number)] == vec![number; 10]));
    }

    #[test]
    fn what_is_sent_is_marked_for_its_class() {
        let four = open();
        assert_eq!(socket2::SockRef::from(&four.socket).tos_v4().unwrap(), 24 << 2);
        let six = Socket::open("[::1]:0".parse().unwrap(), 26).unwrap();
        assert_eq!(socket2::SockRef::from(&six.socket).tclass_v6().unwrap(), 26 << 2);
    }

    #[test]
    fn an_address_that_somebody_holds_cannot_be_opened_again() {
        let one = open();
        assert!(Socket::open(one.local(), 24).is_err());
    }

    #[test]
    fn a_peer_that_is_not_there_is_told() {
        let mut one = open();
        let gone = open().local();
        one.queue(gone, Bytes::from_static(b"x"));
        let mut inputs = Vec::new();
        one.flush(&mut inputs).unwrap();
        inputs.extend(receive(&mut one));
        assert!(
            inputs.iter().any(|i| matches!(i, Input::TransmitFailed { flow } if flow.remote == gone)),
            "{inputs:?}"
        );
        // The socket goes on.
        let mut two = open();
        one.queue(two.local(), Bytes::from_static(b"y"));
        one.flush(&mut inputs).unwrap();
        assert!(matches!(&receive(&mut two)[..], [Input::Received { bytes, .. }] if bytes == "y"));
    }

    #[test]
    fn the_queue_drops_the_oldest_at_its_bound() {
        let mut one = open();
        let to = one.local();
        for _ in 0..QUEUE + 3 {
            one.queue(to, Bytes::new());
        }
        assert_eq!((one.queue.len(), one.dropped()), (QUEUE, 3));
    }
}
