//! Session descriptions and the offer/answer machine (RFC 8866, RFC 3264, RFC 6337).
//!
//! One [`OfferAnswer`] stands for one dialog's media session: it writes our offers and answers, judges the peer's, and
//! says what the two sides agreed on. At most one offer is open at a time; a failed one leaves the old [`Agreement`] in
//! force. What a peer sends wrong is a [`Refusal`] with the SIP status to answer, never a panic.
//!
//! The slice of SDP spoken here: one audio stream over RTP or SRTP with keys in `a=crypto` (RFC 4568), G.711 in either law
//! and telephone-event at any payload type and at the clock of the codec. Every other stream of the peer is answered with port 0, in its place.
//!
//! ```
//! # use sdp::{Codec, LocalMedia, OfferAnswer};
//! let mut media = OfferAnswer::new(LocalMedia::new("192.0.2.1".parse().unwrap(), 40000, 7));
//! media.receive_offer(b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5004 RTP/AVP 8 0\r\n")?;
//! let answer = media.answer(&[Codec::Pcmu])?;
//! assert!(answer.ends_with(b"m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"));
//! assert_eq!(media.agreed().unwrap().remote, "192.0.2.9:5004".parse().unwrap());
//! # Ok::<(), sdp::Refusal>(())
//! ```
#![forbid(unsafe_code)]

mod crypto;
mod description;
mod offer_answer;
mod refusal;
mod writing;

use core::{fmt, net::IpAddr, net::SocketAddr, time::Duration};
use serde::{Deserialize, Serialize};

pub use crypto::{CryptoSuite, Keys, MasterKey, Srtp};
pub use offer_answer::{OfferAnswer, Open};
pub use refusal::{Busy, Refusal};

/// Most media descriptions a body may hold; beyond it the body is refused.
pub const MAX_MEDIA: usize = 64;
/// Most attributes a body may hold, those of the session and of all media together; beyond it the body is refused.
pub const MAX_ATTRIBUTES: usize = 256;
/// Longest body looked at, in bytes; beyond it the body is refused.
pub const MAX_BODY: usize = 64 * 1024;

/// An audio codec that a session can agree on.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Codec {
    /// G.711 with the mu-law.
    Pcmu,
    /// G.711 with the A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// Linear 16-bit PCM at 8 kHz, one channel.
    #[serde(rename = "l16-8k")]
    L16At8k,
    /// Linear 16-bit PCM at 16 kHz, one channel.
    #[serde(rename = "l16-16k")]
    L16At16k,
}

impl Codec {
    /// Every codec known here.
    pub const ALL: [Self; 6] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus, Self::L16At8k, Self::L16At16k];
    /// Both laws of G.711: what is offered and accepted when nobody says otherwise.
    pub const G711: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// The encoding name as registered for RTP (RFC 3551, RFC 7587), the way it stands in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::L16At8k | Self::L16At16k => "L16",
        }
    }

    /// The RTP clock rate in Hz. G.722 says 8000 though it samples at 16,000 (RFC 3551 section 4.5.2).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 | Self::L16At8k => 8000,
            Self::L16At16k => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// The channels that `a=rtpmap` names; Opus always names two (RFC 7587 section 7).
    pub const fn channels(self) -> u8 {
        match self {
            Self::Opus => 2,
            _ => 1,
        }
    }

    /// The payload type that RFC 3551 assigns, or the dynamic one that is offered where it is free.
    pub const fn static_payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
            Self::L16At8k => 97,
            Self::L16At16k => 98,
        }
    }

    /// The codec that `a=rtpmap` names. Some write G.722's sampling rate instead of its clock; nothing else is meant by it.
    fn of_rtpmap(name: &str, clock: u32, channels: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| {
            codec.name().eq_ignore_ascii_case(name)
                && codec.channels() == channels
                && (codec.clock_rate() == clock || (*codec == Self::G722 && clock == 16_000))
        })
    }

    /// The codec of a payload type without `a=rtpmap`.
    fn of_static(payload_type: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.static_payload_type() == payload_type && payload_type < 96)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a peer asks of the Opus sent to it (RFC 7587 section 6.1).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpusFormat {
    /// The highest mean bit rate it takes, in bit/s.
    pub max_average_bitrate: Option<u32>,
    /// It makes use of forward error correction.
    pub fec: bool,
    /// It wants a constant bit rate.
    pub cbr: bool,
}

/// Which way media flows, seen from the side that says so (RFC 3264 section 5.1).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// That side sends only: it holds the other, with music perhaps.
    SendOnly,
    /// That side listens only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// The direction of a side that sends, receives, both or neither.
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether that side sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether that side receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// What remains when both restrictions apply.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute's name, as in `a=sendrecv`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// What we bring to a session. Changed through [`OfferAnswer::local_mut`], it shows in the next offer or answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalMedia {
    /// Where we receive RTP; an IPv4 address speaks IPv4 with the peer, an IPv6 address IPv6.
    pub address: IpAddr,
    /// The port at which we receive RTP; RTCP is received at the next one.
    pub port: u16,
    /// What we offer and accept, the best first.
    pub codecs: Vec<Codec>,
    /// Whether telephone-event (RFC 4733) is offered and accepted.
    pub telephone_event: bool,
    /// How much audio a packet towards us should hold, and a packet from us holds unless the peer asks otherwise.
    pub ptime: Duration,
    /// What we want: `SendOnly` or `Inactive` hold the peer.
    pub direction: Direction,
    /// The session's id in `o=`; one dialog keeps it for life.
    pub session_id: u64,
    /// Whether media is encrypted. Once it was, this session takes and makes no plain offer again, whatever stands here.
    pub srtp: Srtp,
    /// What we encrypt with, one key a suite, the best first: what is offered and accepted. A key that stays keeps its place in
    /// offers; another one is a new key from the next offer or answer on.
    pub keys: Vec<MasterKey>,
    /// Whether RTP and RTCP may share a port (RFC 5761): offered and accepted.
    pub rtcp_mux: bool,
}

impl LocalMedia {
    /// Both laws of G.711 and telephone-event, 20 ms, both ways, in plain RTP, RTCP beside it.
    pub fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        Self {
            address,
            port,
            codecs: Codec::G711.to_vec(),
            telephone_event: true,
            ptime: Duration::from_millis(20),
            direction: Direction::SendRecv,
            session_id,
            srtp: Srtp::Off,
            keys: Vec::new(),
            rtcp_mux: false,
        }
    }
}

/// What both sides agreed on, seen from ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Where the peer receives RTP. Unspecified (`0.0.0.0`, `::`) or port 0 when the peer wants none; then
    /// [`Self::may_send`] is false and RTCP is not to be sent either.
    pub remote: SocketAddr,
    /// Where the peer receives RTCP: where it receives RTP when both agreed on that ([`Self::rtcp_mux`]), else `a=rtcp`
    /// (RFC 3605) or the port after RTP's.
    pub remote_rtcp: SocketAddr,
    /// The codec we send, and expect.
    pub codec: Codec,
    /// The payload type to send [`Self::codec`] with: the peer's number.
    pub payload_type_send: u8,
    /// The payload type at which [`Self::codec`] arrives: our number.
    pub payload_type_receive: u8,
    /// Payload types of telephone-event: (the one to send, the one that arrives).
    pub telephone_event: Option<(u8, u8)>,
    /// In how many units a second its durations are: the codec's clock, or 8000 where the peer has no other.
    pub telephone_event_clock: u32,
    /// Further (payload type, codec) the peer may switch to without asking, as its answer accepted them too.
    pub alternatives: Vec<(u8, Codec)>,
    /// What the peer asks of Opus; as it comes where it said nothing, or where another codec is used.
    pub opus: OpusFormat,
    /// How much audio a packet of ours holds: what the peer asked for where it is a usual value, else our own.
    pub ptime: Duration,
    /// Whether we may send. False while the peer holds us, or we offered not to.
    pub may_send: bool,
    /// Whether the peer may send.
    pub may_receive: bool,
    /// Whether the peer holds us: it does not want to hear us (`sendonly`, `inactive`, or the old `c=0.0.0.0`).
    pub remote_holds: bool,
    /// Media is encrypted with these keys both ways; plain without any.
    pub srtp: Option<Keys>,
    /// RTP and RTCP share a port at both sides (RFC 5761).
    pub rtcp_mux: bool,
}
