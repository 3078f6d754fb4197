//! What crosses the room's border: commands in, events out, and the plain data they carry.

use crate::{Codec, Detection, Finding, OpusSettings, SrtpKeys, Stats, Tap, Words};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// A leg's media endpoint: two sockets, one codec, and the one continuous RTP sender toward that leg.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortId(pub u32);

/// The call a port belongs to. All ports of a call live on one worker, and only ports of one call can hear each other.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallKey(pub u64);

/// Names one play of a playlist. A play that is interrupted and comes back under its id goes on where it stopped.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlayId(pub u64);

/// Names one measurement; chosen by the caller.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MeasureId(pub u64);

/// What a worker is told to do. Commands naming a port that is not open are ignored: closing races with everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A port of this call exists from now on. In the shell the sockets travel beside it (`io::Relay::open`).
    Open {
        /// The new port.
        port: PortId,
        /// Its call.
        call: CallKey,
    },
    /// What offer and answer agreed for a port; sent after each answer (the window for latching opens anew).
    Describe {
        /// The port.
        port: PortId,
        /// What was agreed.
        stream: Box<Stream>,
    },
    /// Who hears what, for all ports of the call at once. The highest generation wins; an older one is ignored. A port
    /// that is not named is sent encoded silence; naming a port of another call, or itself, gives encoded silence too.
    Plan {
        /// The call.
        call: CallKey,
        /// Grows with each plan of the call.
        generation: u64,
        /// The listener and what it hears.
        sources: Vec<(PortId, Source)>,
    },
    /// The port, its stream and its one continuous sender belong to another call from now on, which must live on the same
    /// worker; until that call's plan says what it hears, that is silence.
    Adopt {
        /// The port.
        port: PortId,
        /// Its new call.
        call: CallKey,
    },
    /// Sends digits toward a port as telephone-events (RFC 4733), in order; audio pauses meanwhile. Characters other
    /// than `0-9*#A-D` are left out. Without an agreed telephone-event they are tones where the stream says so
    /// ([`Stream::in_band_digits`]), and else dropped and counted.
    SendDtmf {
        /// The port.
        port: PortId,
        /// The digits.
        digits: String,
    },
    /// Starts measuring the longest silence in what is sent toward a port. Several may run at once (at most
    /// [`MAX_MEASUREMENTS`](crate::MAX_MEASUREMENTS) a port, further ones are ignored).
    MeasureStart {
        /// The port.
        port: PortId,
        /// The measurement.
        id: MeasureId,
    },
    /// Ends a measurement: [`Event::Measured`] follows at once.
    MeasureStop {
        /// The port.
        port: PortId,
        /// The measurement.
        id: MeasureId,
    },
    /// What is to be watched on a port's receiving side; replaces what was watched. The clock of dead media starts anew;
    /// that of silence counts from the last audio heard, so a party that is quiet already is reported at the next tick.
    Watch {
        /// The port.
        port: PortId,
        /// Report [`Event::Quiet`] when nothing above -50 dBov was received for so long, and [`Event::Speech`] after it.
        silence_after: Option<Duration>,
        /// Report [`Event::Dead`] when no packet was received for so long.
        dead_after: Option<DeadAfter>,
    },
    /// Listens whether a human or a machine speaks at a port, from now on: [`Event::Answerer`] follows, once. `None` ends that.
    /// A port that nobody listens at so costs nothing.
    Detect {
        /// The port.
        port: PortId,
        /// How to judge.
        detection: Option<Detection>,
    },
    /// Hands a port's audio to whoever records it, from now on, in place of what it handed to the same recording before; a tap
    /// that wants neither direction ends it. It ends by itself when the port closes or goes over to another call. Audio that its
    /// reader has no room for is left out and counted, never waited for. A port has [`MOST_TAPS`](crate::MOST_TAPS) at the most;
    /// of more nothing is handed over.
    Tap {
        /// The port.
        port: PortId,
        /// Which of its audio, and for whom.
        tap: Tap,
    },
    /// Keeps what a port's peer says, for [`Play::words`]: the last so much of it, at most half a minute, with its pauses cut short. `None`
    /// ends it, and so does the port's close or its going over to another call. Another length begins anew.
    Remember {
        /// The port.
        port: PortId,
        /// How much.
        lasting: Option<Duration>,
        /// Whether what is said now is kept; what was kept stays in any case.
        listening: bool,
    },
    /// Clips by name changed: plays that start from now on take theirs from here.
    Library(crate::SharedLibrary),
    /// RTCP BYE, sockets closed; [`Event::Closed`] is the port's last event.
    Close {
        /// The port.
        port: PortId,
    },
}

/// How long without a packet means that media is dead.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadAfter {
    /// While no packet was ever received.
    pub before_first: Duration,
    /// After the last packet.
    pub after_last: Duration,
}

impl Default for DeadAfter {
    fn default() -> Self {
        Self { before_first: Duration::from_secs(30), after_last: Duration::from_secs(15) }
    }
}

/// What offer and answer agreed for a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Where the peer's description says RTP goes.
    pub remote: SocketAddr,
    /// Where RTCP goes.
    pub remote_rtcp: SocketAddr,
    /// The codec in use.
    pub codec: Codec,
    /// Payload type of audio toward the peer.
    pub payload_type_send: u8,
    /// Payload type of audio from the peer.
    pub payload_type_receive: u8,
    /// Further (payload type, codec) that the peer may change to without asking.
    pub alternatives: Vec<(u8, Codec)>,
    /// How the peer wants Opus.
    pub opus: OpusSettings,
    /// Payload types of telephone-event toward and from the peer, when agreed.
    pub telephone_event: Option<(u8, u8)>,
    /// Units a second of their durations (RFC 4733 section 2.1).
    pub telephone_event_clock: u32,
    /// Digits are in the audio itself: heard there (G.711), and sent as tones. For peers without telephone-event.
    pub in_band_digits: bool,
    /// How much audio a packet made by the relay carries toward the peer (10 to 100 ms; others are brought into what the
    /// codec can do, in whole 10 ms). Forwarded packets keep the length they came with.
    pub ptime: Duration,
    /// The direction agreed allows sending to the peer.
    pub may_send: bool,
    /// The direction agreed allows hearing the peer.
    pub may_receive: bool,
    /// Whom to believe about the peer's address.
    pub nat: Latching,
    /// Packets are encrypted both ways with these; in plain without any. Keys that stay the same go on where they were.
    pub srtp: Option<Box<SrtpKeys>>,
    /// RTCP goes out through the RTP socket, to where RTP goes (RFC 5761). It is taken at either socket in any case.
    pub rtcp_mux: bool,
}

impl Stream {
    /// A stream both ways under the codec's own payload type, 20 ms a packet, RTCP at the port above, without
    /// telephone-events: what most of a description is.
    pub fn new(remote: SocketAddr, codec: Codec) -> Self {
        Self {
            remote,
            remote_rtcp: SocketAddr::new(remote.ip(), remote.port().wrapping_add(1).max(1)),
            codec,
            payload_type_send: codec.static_payload_type(),
            payload_type_receive: codec.static_payload_type(),
            alternatives: Vec::new(),
            opus: OpusSettings::default(),
            telephone_event: None,
            telephone_event_clock: 8000,
            in_band_digits: false,
            ptime: Duration::from_millis(20),
            may_send: true,
            may_receive: true,
            nat: Latching::Sdp,
            srtp: None,
            rtcp_mux: false,
        }
    }
}

/// Which way audio goes, as the port sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the peer.
    FromPeer,
    /// To the peer.
    ToPeer,
}

/// Whom to believe about a peer's address.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Latching {
    /// The session description alone: packets from elsewhere are foreign.
    #[default]
    Sdp,
    /// The session description, or, within the window that each answer opens, another source after three packets in a
    /// row of one SSRC.
    Learn,
}

/// What a port hears.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// No packet at all (only for a leg that must not be sent to; see [`Source::Silence`]).
    #[default]
    Nothing,
    /// Encoded silence at the leg's ptime: what the audio plan calls "nothing".
    Silence,
    /// What another port of the same call receives: packet by packet where both legs speak the same codec, else decoded and
    /// coded anew.
    Port(PortId),
    /// What several ports of the same call receive, mixed; at most [`MAX_MIXED`](crate::MAX_MIXED), further ones are left
    /// out, and so are the listener itself and ports of other calls. One alone is as [`Source::Port`], none is silence. The sum is
    /// kept from clipping. Keys that one of them presses are said again to the listener, one after the other in the order in which they
    /// ended.
    Mix(Vec<PortId>),
    /// A playlist.
    Play(Play),
    /// Ringback tone.
    Ringback,
}

/// A playlist: clips one after the other without a gap, then something that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Play {
    /// Names this play. A plan that repeats it changes nothing but that names at the end of `first` are added to the queue; one that
    /// brings it back after another source goes on where it stopped.
    pub id: PlayId,
    /// Names of clips, or of playlists that are played through, each once, in order. An unknown name is passed over.
    /// [`Event::PlayDone`] follows the last (at once when there is none).
    pub first: Vec<Arc<str>>,
    /// What a party said last, among them. It is taken when the play begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// What comes after them.
    pub then: Then,
}

/// What a port hears once a playlist's clips are over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Encoded silence.
    #[default]
    Silence,
    /// This clip or [`Playlist`](crate::Playlist) for ever (encoded silence when the name is unknown). A port that has heard it before
    /// hears it go on where it was.
    Loop(Arc<str>),
    /// Ringback tone.
    Ringback,
}

/// What a worker reports. Never one per packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The first packet accepted from the port's peer after it opened, or its address changed: learned, or moved.
    Latched {
        /// The port.
        port: PortId,
        /// Where its packets come from and go to now.
        from: SocketAddr,
    },
    /// A digit was received as a telephone-event; reported once, when it ends. Never lost.
    Dtmf {
        /// The port that received it.
        port: PortId,
        /// `0-9`, `*`, `#` or `A-D`.
        digit: char,
        /// How long it was pressed.
        duration: Duration,
    },
    /// Nothing above -50 dBov, or nothing at all, was received for as long as [`Command::Watch`] said.
    Quiet {
        /// The port.
        port: PortId,
        /// How long it has been quiet.
        lasting: Duration,
    },
    /// Audio above -50 dBov again after [`Event::Quiet`].
    Speech {
        /// The port.
        port: PortId,
    },
    /// What [`Command::Detect`] found out.
    Answerer {
        /// The port.
        port: PortId,
        /// Who answered, and why that is so.
        finding: Finding,
    },
    /// No packet for as long as [`Command::Watch`] said; once, until packets come again.
    Dead {
        /// The port.
        port: PortId,
        /// True when no packet was ever received.
        before_first: bool,
    },
    /// Audio flows one way only: what the peer says it sends does not come, or what is sent does not reach it; once a port
    /// and direction.
    OneWay {
        /// The port.
        port: PortId,
        /// The direction that nothing comes through.
        direction: Direction,
    },
    /// The clips of a play are over, its queue has drained; what comes after them begins. Once more after clips that were added.
    PlayDone {
        /// The port.
        port: PortId,
        /// The play.
        play: PlayId,
        /// How many names it had been given by then: fewer than it has now, when some were added meanwhile.
        clips: usize,
    },
    /// A measurement ended (also when its port closes).
    Measured {
        /// The port.
        port: PortId,
        /// The measurement.
        id: MeasureId,
        /// The longest time in which the port was sent no packet, or packets whose audio was below -50 dBov.
        longest_silence: Duration,
    },
    /// Counts so far; every five seconds while open, overwritten by the next when not fetched in time.
    Statistics {
        /// The port.
        port: PortId,
        /// The counts.
        stats: Box<Stats>,
    },
    /// The port is gone: its last event.
    Closed {
        /// The port.
        port: PortId,
        /// The final counts.
        stats: Box<Stats>,
    },
    /// A defect of our own took the port, as it took every port of its call: its last event.
    Lost {
        /// The port.
        port: PortId,
    },
}

impl Event {
    /// The port an event is about.
    pub fn port(&self) -> PortId {
        match self {
            Self::Latched { port, .. }
            | Self::Dtmf { port, .. }
            | Self::Quiet { port, .. }
            | Self::Speech { port }
            | Self::Answerer { port, .. }
            | Self::Dead { port, .. }
            | Self::OneWay { port, .. }
            | Self::PlayDone { port, .. }
            | Self::Measured { port, .. }
            | Self::Statistics { port, .. }
            | Self::Closed { port, .. }
            | Self::Lost { port } => *port,
        }
    }
}
