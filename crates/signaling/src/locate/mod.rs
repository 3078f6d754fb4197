//! Locating SIP servers (RFC 3263): from a URI's host, port and transport to the addresses an INVITE may be sent to, in order.
//!
//! [`targets`] is the procedure of the standard as a pure function: given what is known of the DNS it says what must be asked
//! next, or the answer. [`Locator`] is the machine around it: it remembers answers for as long as they may be used, keeps the
//! last good one for bad days, asks each question once however many calls wait for it, and gives nobody more time than the
//! configured timeout. Sockets and the DNS's wire format are the shell's.

mod locator;
mod name;
mod order;
mod procedure;

pub use self::{
    locator::{Config, Input, Limits, LocateId, Locator, Output},
    procedure::{Found, targets},
};
use crate::Transport;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Targets found for one request; more are left out.
pub const MOST_TARGETS: usize = 16;
/// Records looked at in one answer; more are left out.
pub const MOST_RECORDS: usize = 100;

/// Whom to find: what a URI, a trunk's address or a proxy says about the next hop.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// A host name or an address, IPv6 with or without brackets.
    pub host: String,
    /// The port, when one is written. A written port means that SRV records are not asked for (section 4.2).
    pub port: Option<u16>,
    /// The transport, when one is written.
    pub transport: Option<Transport>,
    /// A `sips:` URI: TLS, or nothing.
    pub secure: bool,
}

impl Wanted {
    /// A host as a `sip:` URI without parameters names it.
    pub fn host(host: impl Into<String>, port: Option<u16>) -> Self {
        Self { host: host.into(), port, transport: None, secure: false }
    }
}

impl fmt::Display for Wanted {
    /// As a URI without a user.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.secure { "sips" } else { "sip" }, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let Some(transport) = self.transport {
            write!(f, ";transport={transport}")?;
        }
        Ok(())
    }
}

/// One way to reach whom was wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// The name that a TLS certificate must show: the one that was wanted, never one that the DNS put in its place
    /// (RFC 5922 section 4, RFC 3263 section 4.1). None for a numeric host.
    pub name: Option<Arc<str>>,
}

/// What we can reach: a transport and an IP version for each of our listeners, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Able(Vec<(Transport, Family)>);

/// A version of IP.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl Able {
    /// What these listeners can reach.
    pub fn of(listeners: impl IntoIterator<Item = (Transport, IpAddr)>) -> Self {
        let mut able = Self::default();
        for (transport, address) in listeners {
            let way = (transport, Family::of(address));
            if !able.0.contains(&way) {
                able.0.push(way);
            }
        }
        able
    }

    /// Whether an address can be reached over a transport.
    pub fn reaches(&self, transport: Transport, address: IpAddr) -> bool {
        self.0.contains(&(transport, Family::of(address)))
    }

    fn speaks(&self, transport: Transport) -> bool {
        self.0.iter().any(|(one, _)| *one == transport)
    }

    fn families(&self, transport: Transport) -> impl Iterator<Item = Family> {
        self.0.iter().filter(move |(one, _)| *one == transport).map(|(_, family)| *family)
    }
}

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Question {
    /// Lower case, without the final dot; sound by RFC 1123 section 2.1, with underscores.
    pub name: Arc<str>,
    /// Of which type.
    pub kind: Kind,
}

/// Types of records.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// RFC 3403.
    Naptr,
    /// RFC 2782.
    Srv,
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Naptr => "NAPTR",
            Kind::Srv => "SRV",
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
        };
        write!(f, "{} {kind}", self.name)
    }
}

/// What the DNS says to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Kind::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Kind::Srv`].
    Srv(Vec<Srv>),
    /// To [`Kind::A`] and [`Kind::Aaaa`].
    Addresses(Vec<IpAddr>),
    /// There is no such name, or no record of that type.
    Nothing,
    /// No answer came, or none that could be used: a timeout, SERVFAIL, a loop of aliases.
    Failed,
}

impl Answer {
    /// True when it holds a record.
    pub fn has_records(&self) -> bool {
        match self {
            Self::Naptr(records) => !records.is_empty(),
            Self::Srv(records) => !records.is_empty(),
            Self::Addresses(records) => !records.is_empty(),
            Self::Nothing | Self::Failed => false,
        }
    }
}

/// A NAPTR record (RFC 3403 section 4.1), as far as RFC 3263 wants it. Records with a regular expression are not for us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Naptr {
    /// Low first.
    pub order: u16,
    /// Low first, among those of one order.
    pub preference: u16,
    /// `s` leads to SRV records; nothing else is followed.
    pub flags: String,
    /// `SIP+D2U`, `SIP+D2T`, `SIPS+D2T` and others.
    pub service: String,
    /// The name of the SRV records.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Srv {
    /// Low first.
    pub priority: u16,
    /// Share among those of one priority.
    pub weight: u16,
    /// The server's port.
    pub port: u16,
    /// The server's name; empty (or `.`) says that there is decidedly none.
    pub target: String,
}
