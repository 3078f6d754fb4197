//! An RTP endpoint: says a known signal every 20 ms, keeps what it hears with the kernel's receive times.

use crate::{
    analysis::{Received, audio, find},
    g711::Law,
    signal::{RATE, Signal},
};
use bytes::Bytes;
use nix::sys::{
    socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
    time::TimeSpec,
};
use rtp::{header::Header, packet::Packet};
use std::{
    collections::VecDeque,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    io::Interest,
    net::UdpSocket,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at},
};
use webrtc_util::marshal::{Marshal, Unmarshal};

/// Samples in a packet of 20 ms.
const FRAME: usize = 160;
/// How far an echo lags: 200 ms.
const ECHO_LAG: usize = RATE as usize / 5;
/// A telephone-event lasts five packets and its end is said three times (RFC 4733 section 2.5.1.4).
const EVENT_PACKETS: u16 = 5;
const EVENT_ENDS: u16 = 3;
/// Digits heard that nobody has asked for yet, at the most.
const MOST_DIGITS: usize = 64;
/// The most packets one endpoint keeps: ten minutes of speech.
const MOST_KEPT: usize = 30_000;

/// What an endpoint keeps of what it hears.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// A count alone.
    Count,
    /// Every packet's header, without its payload.
    Headers,
    /// Every packet whole, up to ten minutes.
    #[default]
    All,
}

/// Where and how an endpoint sends.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Sending {
    /// The other side's RTP address.
    pub remote: SocketAddr,
    /// The law of the audio sent.
    pub law: Law,
    /// The payload type of that law, dynamic or static.
    pub payload_type: u8,
    /// The payload type of telephone-events, if the other side takes them.
    pub telephone_event: Option<u8>,
}

/// An RTP endpoint on an address of its own. Dropping it closes its socket.
#[derive(Debug)]
pub struct Audio {
    local: SocketAddr,
    state: Arc<Mutex<State>>,
    heard: watch::Receiver<u64>,
    pressed: tokio::sync::Mutex<mpsc::Receiver<char>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    sending: Option<Sending>,
    muted: bool,
    signal: Signal,
    /// A clip that is said before the signal goes on, and how much of it was.
    clip: Option<(Arc<[i16]>, usize)>,
    /// Index of the next sample of the signal: sent time, so that a signal goes on where it was.
    next_sample: u64,
    sequence: u16,
    first_timestamp: u32,
    ssrc: u32,
    fresh_spurt: bool,
    echo: VecDeque<i16>,
    event: Option<Event>,
    digits: VecDeque<char>,
    keep: Keep,
    received: Vec<Received>,
    /// Where heard digits go, and the timestamp of the last one: each is said several times.
    pressed: mpsc::Sender<char>,
    last_pressed: Option<(u32, u32)>,
    sent: u64,
}

/// A telephone-event on its way out.
#[derive(Debug)]
struct Event {
    code: u8,
    timestamp: u32,
    packets: u16,
}

impl Audio {
    /// Binds a socket on `ip` at a free port. Nothing is sent before [`Audio::send_to`].
    pub async fn bind(ip: IpAddr, signal: Signal, keep: Keep) -> io::Result<Self> {
        let socket = UdpSocket::bind((ip, 0)).await?;
        // Until the runtime has seen the socket writable once, sending without waiting would fail.
        socket.writable().await?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        let local = socket.local_addr()?;
        // Unlike from one endpoint to the next, and the same in every run on the same port.
        let chance = u32::from(local.port()).wrapping_mul(0x9e37_79b9);
        let (pressed, digits) = mpsc::channel(MOST_DIGITS);
        let state = Arc::new(Mutex::new(State {
            sending: None,
            muted: false,
            signal,
            clip: None,
            next_sample: 0,
            sequence: u16::try_from(chance >> 16).unwrap_or(0),
            first_timestamp: chance.rotate_left(7),
            ssrc: chance ^ 0x5a5a_1234,
            fresh_spurt: true,
            echo: VecDeque::new(),
            event: None,
            digits: VecDeque::new(),
            keep,
            received: Vec::new(),
            pressed,
            last_pressed: None,
            sent: 0,
        }));
        let (count, heard) = watch::channel(0);
        let task = tokio::spawn(run(socket, Arc::clone(&state), count));
        Ok(Self { local, state, heard, pressed: tokio::sync::Mutex::new(digits), task })
    }

    /// Its RTP address, for an SDP.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends there from the next 20 ms on; again to change where or how.
    pub fn send_to(&self, sending: Sending) {
        lock(&self.state).sending = Some(sending);
    }

    /// Says this from the next 20 ms on.
    pub fn say(&self, signal: Signal) {
        lock(&self.state).signal = signal;
    }

    /// Says this clip from the next 20 ms on, then goes on with its signal. A clip that is still being said is cut off.
    pub fn play(&self, clip: impl Into<Arc<[i16]>>) {
        lock(&self.state).clip = Some((clip.into(), 0));
    }

    /// Waits for the next digit that the other side presses, each told once, when its press begins.
    pub async fn pressed(&self) -> Option<char> {
        self.pressed.lock().await.recv().await
    }

    /// Stops sending (true) or goes on (false): no packets at all, as an agent that has died.
    pub fn mute(&self, muted: bool) {
        let mut state = lock(&self.state);
        state.muted = muted;
        state.fresh_spurt = true;
    }

    /// Presses a digit (0-9, *, #, A-D): 100 ms of telephone-event after those already pressed. At most 64 wait.
    pub fn press(&self, digit: char) {
        let mut state = lock(&self.state);
        if state.digits.len() < 64 {
            state.digits.push_back(digit);
        }
    }

    /// What it says, and the index of the sample that is next.
    pub fn saying(&self) -> (Signal, u64) {
        let state = lock(&self.state);
        (state.signal, state.next_sample)
    }

    /// How well the last half second that this endpoint heard is what `speaker` has said within the last five seconds: 1 is
    /// the same, 0 a stranger or silence.
    pub fn hears_now(&self, speaker: &Self) -> f64 {
        let heard = {
            let state = lock(&self.state);
            let last = state.received.len().saturating_sub(25);
            audio(&state.received[last..], 2)
        };
        let (signal, next) = speaker.saying();
        find(&heard, signal, next.saturating_sub(5 * u64::from(RATE))..next).correlation
    }

    /// Everything kept so far, in the order of arrival.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    /// The packets kept since `from`, time since the Unix epoch.
    pub fn received_since(&self, from: Duration) -> Vec<Received> {
        lock(&self.state).received.iter().filter(|packet| packet.at >= from).cloned().collect()
    }

    /// How many packets it has sent.
    pub fn sent(&self) -> u64 {
        lock(&self.state).sent
    }

    /// How many packets it has received.
    pub fn count(&self) -> u64 {
        *self.heard.borrow()
    }

    /// Waits until `more` further packets have been received.
    pub async fn hears(&self, more: u64) {
        let mut heard = self.heard.clone();
        let wanted = *heard.borrow() + more;
        // An error means that the endpoint is gone; it will hear nothing more.
        let _ = heard.wait_for(|count| *count >= wanted).await;
    }

    /// Waits until something it hears makes `judge` true of the packets since the call, looked at every tenth packet; false
    /// when `within` has passed.
    pub async fn hears_that(&self, within: Duration, mut judge: impl FnMut(&[Received]) -> bool) -> bool {
        let from = now();
        tokio::time::timeout(within, async {
            loop {
                self.hears(10).await;
                if judge(&self.received_since(from)) {
                    return;
                }
            }
        })
        .await
        .is_ok()
    }
}

impl Drop for Audio {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The time of day as the kernel stamps packets with.
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

async fn run(socket: UdpSocket, state: Arc<Mutex<State>>, count: watch::Sender<u64>) {
    let period = Duration::from_millis(20);
    let mut frames = interval_at(Instant::now() + period, period);
    // A late frame is sent late and the next on time: the signal's index goes by time, as a microphone's does.
    frames.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tokio::select! {
            _ = frames.tick() => {
                let due = lock(&state).frame();
                if let Some((packet, remote)) = due {
                    // Refusals (ICMP) and full buffers are loss, as on any network.
                    let _ = socket.try_send_to(&packet, remote);
                }
            }
            ready = socket.ready(Interest::READABLE) => {
                if ready.is_err() {
                    return;
                }
                while let Ok((at, bytes, _)) = socket.try_io(Interest::READABLE, || receive(&socket)) {
                    if lock(&state).hear(at, bytes) {
                        count.send_modify(|count| *count += 1);
                    }
                }
            }
        }
    }
}

/// One datagram with the time at which the kernel received it, and its sender.
pub(super) fn receive(socket: &UdpSocket) -> io::Result<(Duration, Bytes, Option<SocketAddr>)> {
    let mut buffer = [0u8; 8192];
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
        _ => None,
    });
    let length = message.bytes;
    let from = message.address.and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), address.port()))))
    });
    Ok((stamp.unwrap_or_else(now), Bytes::copy_from_slice(&buffer[..length]), from))
}

impl State {
    /// The packet due now, if anything is sent.
    fn frame(&mut self) -> Option<(Bytes, SocketAddr)> {
        let start = self.next_sample;
        self.next_sample += FRAME as u64;
        let sending = self.sending?;
        if self.muted {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "an RTP timestamp is the low 32 bits of the sample's index"
        )]
        let timestamp = self.first_timestamp.wrapping_add(start as u32);
        if self.event.is_none()
            && let (Some(_), Some(digit)) = (sending.telephone_event, self.digits.pop_front())
        {
            let code = "0123456789*#ABCD".find(digit.to_ascii_uppercase()).and_then(|code| u8::try_from(code).ok());
            self.event = code.map(|code| Event { code, timestamp, packets: 0 });
        }
        let packet = match (self.event.take(), sending.telephone_event) {
            (Some(event), Some(payload_type)) => self.event_packet(event, payload_type),
            _ => {
                let payload = self.samples(start).into_iter().map(|sample| sending.law.encode(sample)).collect();
                let marker = std::mem::take(&mut self.fresh_spurt);
                self.packet(marker, sending.payload_type, timestamp, payload)
            }
        };
        self.sent += 1;
        Some((packet, sending.remote))
    }

    fn samples(&mut self, start: u64) -> Vec<i16> {
        if let Some((clip, said)) = &mut self.clip {
            let mut frame: Vec<i16> = clip[*said..].iter().take(FRAME).copied().collect();
            *said += frame.len();
            if *said == clip.len() {
                self.clip = None;
            }
            frame.resize(FRAME, 0);
            return frame;
        }
        if self.signal != Signal::Echo {
            return self.signal.samples(start, FRAME);
        }
        (0..FRAME).map(|_| if self.echo.len() > ECHO_LAG { self.echo.pop_front().unwrap_or(0) } else { 0 }).collect()
    }

    /// One packet of an event: the marker at its beginning, the same timestamp throughout, the end said three times.
    fn event_packet(&mut self, mut event: Event, payload_type: u8) -> Bytes {
        let first = event.packets == 0;
        event.packets += 1;
        let ended = event.packets >= EVENT_PACKETS;
        let duration = event.packets.min(EVENT_PACKETS) * 160;
        let [high, low] = duration.to_be_bytes();
        let payload = vec![event.code, if ended { 0x8a } else { 0x0a }, high, low];
        let packet = self.packet(first, payload_type, event.timestamp, payload);
        if event.packets < EVENT_PACKETS + EVENT_ENDS - 1 {
            self.event = Some(event);
        }
        packet
    }

    fn packet(&mut self, marker: bool, payload_type: u8, timestamp: u32, payload: Vec<u8>) -> Bytes {
        self.sequence = self.sequence.wrapping_add(1);
        let header = Header {
            version: 2,
            marker,
            payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..Header::default()
        };
        Packet { header, payload: payload.into() }.marshal().expect("a packet of this size can be written")
    }

    /// Tells a digit when the first packet of its event that comes through has come.
    fn notice_digit(&mut self, packet: &Received) {
        let event = self.sending.and_then(|sending| sending.telephone_event) == Some(packet.payload_type);
        let name = (packet.ssrc, packet.timestamp);
        if !event || packet.payload.len() < 4 || self.last_pressed == Some(name) {
            return;
        }
        self.last_pressed = Some(name);
        if let Some(digit) = "0123456789*#ABCD".chars().nth(packet.payload[0].into()) {
            // Nobody asks for digits, or far too slowly: the newest are lost.
            let _ = self.pressed.try_send(digit);
        }
    }

    /// Takes in a datagram; false when it is not RTP.
    fn hear(&mut self, at: Duration, mut bytes: Bytes) -> bool {
        let Ok(packet) = Packet::unmarshal(&mut bytes) else { return false };
        if packet.header.version != 2 {
            return false;
        }
        let received = Received {
            at,
            ssrc: packet.header.ssrc,
            sequence: packet.header.sequence_number,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload_type: packet.header.payload_type,
            payload: packet.payload.to_vec(),
        };
        self.notice_digit(&received);
        if self.signal == Signal::Echo {
            self.echo.extend(received.samples());
            // A slow clock on our side must not let the echo lag further and further.
            let excess = self.echo.len().saturating_sub(2 * ECHO_LAG);
            self.echo.drain(..excess);
        }
        if self.received.len() < MOST_KEPT {
            match self.keep {
                Keep::Count => {}
                Keep::Headers => self.received.push(Received { payload: Vec::new(), ..received }),
                Keep::All => self.received.push(received),
            }
        }
        true
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{continuity, digits};

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn to(other: &Audio, law: Law) -> Sending {
        Sending { remote: other.local(), law, payload_type: law.payload_type(), telephone_event: Some(101) }
    }

    #[tokio::test]
    async fn two_endpoints_hear_each_other_and_every_digit_once() {
        let a = Audio::bind(LOOPBACK, Signal::Noise(1), Keep::All).await.unwrap();
        let b = Audio::bind(LOOPBACK, Signal::Noise(2), Keep::All).await.unwrap();
        a.send_to(to(&b, Law::Mu));
        b.send_to(to(&a, Law::A));
        tokio::join!(a.hears(60), b.hears(60));
        for (who, signal) in [(&a, Signal::Noise(2)), (&b, Signal::Noise(1))] {
            let packets = who.received();
            let seen = continuity(&packets);
            assert_eq!((seen.ssrc_count, seen.sequence_gaps, seen.markers), (1, 0, 1));
            let found = find(&audio(&packets, 10), signal, 0..8000);
            assert!(found.correlation > 0.99, "{found:?}");
        }
        assert!(a.hears_now(&b) > 0.99 && b.hears_now(&a) > 0.99);
        assert!(a.hears_now(&a) < 0.5, "nobody hears oneself");
        for digit in ['1', '#'] {
            a.press(digit);
        }
        assert!(b.hears_that(Duration::from_secs(5), |packets| digits(packets, 101) == "1#").await);
        assert_eq!((b.pressed().await, b.pressed().await), (Some('1'), Some('#')));
        assert!(b.pressed.try_lock().unwrap().try_recv().is_err(), "each once");
    }

    #[tokio::test]
    async fn a_clip_is_said_once_and_the_signal_goes_on_where_it_would_be() {
        let a = Audio::bind(LOOPBACK, Signal::Noise(1), Keep::Count).await.unwrap();
        let b = Audio::bind(LOOPBACK, Signal::Silence, Keep::All).await.unwrap();
        a.play(Signal::Noise(9).samples(0, 4000));
        a.send_to(to(&b, Law::Mu));
        b.hears(80).await;
        let packets = b.received();
        let (clip, signal) = (audio(&packets[..25], 10), audio(&packets[26..70], 10));
        assert!(find(&clip, Signal::Noise(9), 0..1).correlation > 0.99);
        assert!(find(&signal, Signal::Noise(1), 0..16_000).correlation > 0.99);
        assert_eq!(continuity(&packets).sequence_gaps, 0);
    }

    #[tokio::test]
    async fn an_echo_says_what_was_heard_200_ms_ago() {
        let a = Audio::bind(LOOPBACK, Signal::Noise(1), Keep::All).await.unwrap();
        let b = Audio::bind(LOOPBACK, Signal::Echo, Keep::Count).await.unwrap();
        a.send_to(to(&b, Law::Mu));
        b.send_to(to(&a, Law::Mu));
        a.hears(70).await;
        let packets = a.received();
        let found = find(&audio(&packets[packets.len() - 45..], 10), Signal::Noise(1), 0..16_000);
        assert!(found.correlation > 0.99, "{found:?}");
        assert!(b.received().is_empty() && b.count() > 60);
    }
}
