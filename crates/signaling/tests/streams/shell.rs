//! A shell under test, and peers by hand.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signaling::{
    Flow, Input, Listener, Network, Transport,
    io::{StreamLimits, Streams, StreamsConfig, Tls},
};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::AsFd as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn runtime() -> tokio::runtime::Handle {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap()).handle().clone()
}

/// Limits that a test need not wait for.
pub(crate) fn quick() -> StreamLimits {
    StreamLimits {
        first_message: Duration::from_millis(300),
        message: Duration::from_millis(300),
        ping: Duration::from_millis(100),
        ..StreamLimits::default()
    }
}

pub(crate) fn shell(limits: StreamLimits) -> Streams {
    shell_of(Transport::Tcp, "127.0.0.1:0", limits, None)
}

pub(crate) fn shell_of(transport: Transport, at: &str, limits: StreamLimits, tls: Option<Arc<Tls>>) -> Streams {
    let listener = Listener::new(transport, at.parse().unwrap());
    let preferred = vec!["127.0.0.9".parse::<Network>().unwrap()];
    let config = StreamsConfig { listeners: vec![listener], tls, preferred, dscp: 24, limits };
    Streams::start(runtime(), config).unwrap()
}

pub(crate) fn address(streams: &Streams) -> SocketAddr {
    streams.listeners()[0].local
}

/// Everything that comes until `enough` says so.
pub(crate) fn until(streams: &mut Streams, enough: impl Fn(&[Input]) -> bool) -> Vec<Input> {
    let mut inputs = Vec::new();
    for _ in 0..200 {
        streams.receive(&mut inputs, 64);
        if enough(&inputs) {
            return inputs;
        }
        let mut fds = [PollFd::new(streams.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(500_u16)).unwrap();
    }
    panic!("not enough came: {inputs:?}");
}

/// The next message.
pub(crate) fn message(streams: &mut Streams) -> (Flow, String) {
    let inputs = until(streams, |inputs| !inputs.is_empty());
    match &inputs[..] {
        [Input::Received { flow, bytes }] => (*flow, String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("one message was expected, not {other:?}"),
    }
}

/// The next failure.
pub(crate) fn failure(streams: &mut Streams) -> Flow {
    let inputs = until(streams, |inputs| !inputs.is_empty());
    match &inputs[..] {
        [Input::TransmitFailed { flow }] => *flow,
        other => panic!("one failure was expected, not {other:?}"),
    }
}

/// Nothing comes while something else is known to have happened.
pub(crate) fn nothing(streams: &mut Streams) {
    let mut inputs = Vec::new();
    streams.receive(&mut inputs, 64);
    assert!(inputs.is_empty(), "{inputs:?}");
}

pub(crate) fn options(number: u32) -> String {
    format!(
        "OPTIONS sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{number}\r\nContent-Length: 0\r\n\r\n"
    )
}

/// A peer by hand.
pub(crate) struct Hand(pub(crate) TcpStream);

impl Hand {
    pub(crate) fn connect(streams: &Streams) -> Self {
        let stream = TcpStream::connect(address(streams)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    pub(crate) fn hear(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Waits for the other end to close; what it said before.
    pub(crate) fn closed(&mut self) -> usize {
        let mut heard = 0;
        let mut bytes = [0; 4096];
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => return heard,
                Ok(count) => heard += count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return heard,
                Err(error) => panic!("the connection was not closed: {error}"),
            }
        }
    }
}

/// From an address of our own choosing.
pub(crate) fn connect_from(source: &str, to: SocketAddr) -> Hand {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Hand(stream)
}
