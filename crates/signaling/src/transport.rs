//! Which way a message comes and goes (RFC 3261 section 18): the transport is a value, the socket is the shell's.

use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr};

/// How messages are carried.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Datagrams: a message each.
    #[default]
    Udp,
    /// A stream of messages.
    Tcp,
    /// The same, secured.
    Tls,
}

impl Transport {
    /// As in Via.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// As in `;transport=` of a URI and in configuration.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }

    /// The transport that a `;transport=` names, in any case.
    pub fn of_parameter(value: &[u8]) -> Option<Self> {
        [Self::Udp, Self::Tcp, Self::Tls].into_iter().find(|one| value.eq_ignore_ascii_case(one.parameter().as_bytes()))
    }

    /// True when the transport itself repeats what is lost (section 17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The port when none is written (section 18.2.2).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.parameter())
    }
}

/// A stream that is open, or was: the shell's number, never used twice.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

/// The way between one of our listeners and a peer: of a message that came, or for one that goes (a flow in the words of
/// RFC 5626).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// How.
    pub transport: Transport,
    /// Our listener, as named in [`crate::Config::listeners`]. A stream that we opened has another port, and no other name.
    pub local: SocketAddr,
    /// The peer. For a message that goes over a stream: where to open one when `connection` is gone or none is named.
    pub remote: SocketAddr,
    /// The stream a message came over, or is to take as long as it is open.
    pub connection: Option<ConnectionId>,
}

impl Flow {
    /// Over whichever connection leads there.
    pub const fn new(transport: Transport, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport, local, remote, connection: None }
    }

    /// Datagrams.
    pub const fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self::new(Transport::Udp, local, remote)
    }

    /// True when what failed on `self` concerns what was sent by `other`.
    pub(crate) fn carries(&self, other: &Self) -> bool {
        let same_way = self.transport == other.transport && self.local == other.local && self.remote == other.remote;
        same_way || (self.connection.is_some() && self.connection == other.connection)
    }
}

impl fmt::Display for Flow {
    /// The peer as an operator would write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.remote)
    }
}
