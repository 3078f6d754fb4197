//! What an operator can set, and the bounds of everything a peer can fill.

use crate::{Abuse, Flow, Registration, Transport};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// Everything this room is told at birth.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Our sockets, in order of preference.
    pub listeners: Vec<Listener>,
    /// Of User-Agent and Server; none is sent when empty.
    pub user_agent: String,
    /// Who may send us requests that open something: trunks, AI servers, phones.
    pub allowed: Vec<Network>,
    /// Trunks that show a password for each call they bring.
    pub gates: Vec<crate::Gate>,
    /// What anyone else gets.
    pub unknown: Unknown,
    /// How anyone else's requests are bounded.
    pub abuse: Abuse,
    /// Phones that register with us; none may when absent.
    pub registration: Option<Registration>,
    /// Names (in any case) of headers that call control sees beside every `X-…`.
    pub passed_headers: Vec<String>,
    /// Round-trip estimate (RFC 3261 table 4): 500 ms.
    pub t1: Duration,
    /// The longest interval between two copies of a request other than INVITE, or of a final response: 4 s.
    pub t2: Duration,
    /// How long a message may live in the network: 5 s.
    pub t4: Duration,
    /// How long call control may leave an INVITE without a final answer before it gets 408.
    pub answer_timeout: Duration,
    /// How long call control may leave [`crate::Event::Offer`] without a reply before the offer gets 500.
    pub offer_timeout: Duration,
    /// How long a peer that sent us a REFER is told how it goes: the subscription's `expires`.
    pub refer_expires: Duration,
    /// Session timers, for peers that [`Self::session_timers`] does not name.
    pub session_timer: SessionTimer,
    /// Session timers of particular peers; the first network that holds the peer's address counts.
    pub session_timers: Vec<(Network, SessionTimer)>,
    /// Which shard this is: part of every tag, branch and Call-ID we make.
    pub shard: u8,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            user_agent: String::new(),
            allowed: Vec::new(),
            gates: Vec::new(),
            unknown: Unknown::Silent,
            abuse: Abuse::default(),
            registration: None,
            passed_headers: ["P-Asserted-Identity", "Privacy", "Diversion", "User-to-User", "Subject", "Call-Info"]
                .map(str::to_owned)
                .to_vec(),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(300),
            offer_timeout: Duration::from_secs(10),
            refer_expires: Duration::from_secs(180),
            session_timer: SessionTimer::default(),
            session_timers: Vec::new(),
            shard: 0,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The listener of a transport that reaches a flow's peer; the one at the flow's own address before others.
    pub(crate) fn listener_toward(&self, transport: Transport, flow: &Flow) -> Option<Listener> {
        let fits =
            |listener: &&Listener| listener.transport == transport && listener.local.is_ipv4() == flow.remote.is_ipv4();
        let fitting = || self.listeners.iter().filter(fits);
        fitting().find(|listener| listener.local.ip() == flow.local.ip()).or_else(|| fitting().next()).copied()
    }
}

/// How long a session lasts that nobody refreshes (RFC 4028).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTimer {
    /// Whether `timer` is an extension we have at all; one for all peers.
    pub enabled: bool,
    /// The interval we ask for, in whole seconds; at least `min`.
    pub expires: Duration,
    /// The smallest interval we take, in whole seconds; the standard's own floor is 90 s.
    pub min: Duration,
}

impl Default for SessionTimer {
    fn default() -> Self {
        Self { enabled: true, expires: Duration::from_secs(1800), min: Duration::from_secs(90) }
    }
}

/// One of our sockets.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// What it carries.
    pub transport: Transport,
    /// The address it is bound to: what messages are labelled with.
    pub local: SocketAddr,
    /// The address that peers are told (Via, Contact); differs behind a NAT and when bound to every interface.
    pub advertised: SocketAddr,
}

impl Listener {
    /// A listener that peers are told as it is.
    pub const fn new(transport: Transport, local: SocketAddr) -> Self {
        Self { transport, local, advertised: local }
    }
}

impl From<SocketAddr> for Listener {
    /// UDP.
    fn from(local: SocketAddr) -> Self {
        Self::new(Transport::Udp, local)
    }
}

/// What a sender gets that is neither in [`Config::allowed`] nor a party of the dialog it speaks of.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Nothing.
    #[default]
    Silent,
    /// 403, never longer than one and a half times the request, and nothing is remembered.
    Forbid,
}

/// Bounds of everything a peer can fill. At a bound a new INVITE gets 503 with Retry-After; what runs goes on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Transactions, of both roles together.
    pub transactions: usize,
    /// Legs, with those that have ended and still owe the peer something.
    pub legs: usize,
    /// Early dialogs (forks) of one dialled leg.
    pub forks: usize,
    /// Bytes of the value of a header that call control adds.
    pub header_value: usize,
    /// Headers that call control adds to one message.
    pub added_headers: usize,
    /// Contacts of a redirection that call control is told.
    pub contacts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { transactions: 200_000, legs: 50_000, forks: 16, header_value: 1024, added_headers: 64, contacts: 8 }
    }
}

/// A range of addresses: `192.0.2.0/24`, `2001:db8::/32`, or one address.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address.
    #[error("found `{0}`, expected an IP address, or an address and a prefix such as 192.0.2.0/24")]
    Address(String),
    /// No prefix length of that address family.
    #[error("found prefix `{0}`, expected a number from 0 to {1}")]
    Prefix(String, u8),
}

impl Network {
    /// The network of the first `prefix` bits of `address`; `None` when the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        (prefix <= bits(address)).then_some(Self { address, prefix })
    }

    /// True when `address` lies in it. An IPv4 address written in IPv6 counts as itself.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }

    /// The address with its host bits, as given.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits count.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Every address of both families.
    pub const fn everyone() -> [Self; 2] {
        [
            Self { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 },
            Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), prefix: 0 },
        ]
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: bits(address) }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
        let longest = bits(address);
        let prefix = match prefix {
            None => longest,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|bits| *bits <= longest)
                .ok_or_else(|| NetworkError::Prefix(prefix.to_owned(), longest))?,
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks_hold_what_their_prefix_says() {
        assert!(holds("192.0.2.0/24", "192.0.2.255"));
        assert!(!holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("192.0.2.0/24", "::ffff:192.0.2.1"), "a mapped address is the IPv4 address");
    }

    #[test]
    fn what_is_no_network_says_what_was_expected() {
        assert!(matches!("192.0.2.0/33".parse::<Network>(), Err(NetworkError::Prefix(_, 32))));
        assert!(matches!("trunk".parse::<Network>(), Err(NetworkError::Address(_))));
        assert!(Network::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 33).is_none());
    }
}
