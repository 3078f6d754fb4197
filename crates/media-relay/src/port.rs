//! One port: what it is sent, and what it receives.

use crate::{
    CallKey, Codec, PlayId, PortId, Source, Stats, Stream, Then,
    answerer::Listening,
    codec::{Decoder, Encoder, QUIET_MEAN_SQUARE, mean_square},
    digits::{DigitReceiver, DigitSender, PAUSE, Payload, Sending, TONE},
    ear::Ear,
    feedback::Doubts,
    in_band::{self, InBand},
    latch::Latch,
    meter::{Meter, Watch},
    mix::Mix,
    outbox::Outbox,
    packet::{HEADER, Header},
    player::Player,
    playlist::Lasting,
    receiver::Receiver,
    sender::{Sender, playing_at},
    srtp::Srtp,
    tap::Tapping,
    words::Memory,
    worker::{Channel, Slot, Wire},
};
use clock::Monotonic;
use smallvec::SmallVec;
use std::{net::SocketAddr, time::Duration};

/// Ticks lie on this grid, so that ports share them, and the ports of one moment's switches do not crowd one.
const GRID: Duration = Duration::from_millis(5);
/// At a switch to another leg, silence fills in when that leg's first packet keeps the listener waiting for so long since
/// the last packet sent: one tick short of 40 ms.
const FILL_AFTER: Duration = Duration::from_millis(30);
/// A leg that was sent nothing yet is not filled in for before this: most who are about to speak do so by then, and the
/// address translations on the way wait longer.
const FIRST_FILL_AFTER: Duration = Duration::from_secs(1);
/// Audio older than this is skipped, not sent late.
pub(crate) const STALE: Duration = Duration::from_millis(200);
/// Plays that may go on later.
const MAX_SUSPENDED: usize = 4;
/// The longest payload we make, in bytes: what an Ethernet frame carries.
pub(crate) const MAX_FRAME: usize = 1400;
/// The longest frame we make, in samples: 100 ms at 16 kHz.
pub(crate) const MAX_LINEAR: usize = 1600;
/// Peak of each tone of a digit sent as tones: -8 dBm0, a telephone's own.
const TONE_AMPLITUDE: f32 = 9200.0;
/// Times the end of a telephone-event is sent (RFC 4733 section 2.5.1.4).
const ENDS: usize = 3;

#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) id: PortId,
    pub(crate) slot: Slot,
    pub(crate) call: CallKey,
    pub(crate) opened: Monotonic,
    pub(crate) stream: Option<Box<Stream>>,
    /// Where packets are encrypted.
    pub(crate) srtp: Option<Box<Srtp>>,

    // Toward the peer.
    pub(crate) source: Source,
    pub(crate) feed: Feed,
    pub(crate) sender: Sender,
    /// When the next packet of our own making is due; `None` while another leg's packets are forwarded.
    pub(crate) due: Option<Monotonic>,
    /// In the worker's list of ports with something due.
    pub(crate) ticking: bool,
    /// The next packet of our own making starts a source.
    fresh: bool,
    digits_out: DigitSender,
    event_under_way: Option<EventUnderWay>,
    pub(crate) meters: SmallVec<[Meter; 1]>,
    suspended: SmallVec<[Player; 1]>,
    /// Made with the first frame of our own that needs one.
    pub(crate) encoder: Option<Encoder>,

    // From the peer.
    pub(crate) listeners: SmallVec<[Slot; 3]>,
    pub(crate) latch: Option<Latch>,
    pub(crate) receiver: Receiver,
    /// Grows with each source that begins at the peer.
    pub(crate) epoch: u32,
    /// The codec of the latest audio packet.
    pub(crate) receiving: Option<Codec>,
    /// While somebody must hear it decoded.
    pub(crate) ear: Option<Box<Ear>>,
    /// Tells loud from quiet where a payload does not show it, while somebody wants to know.
    pub(crate) listening: Option<Box<Decoder>>,
    pub(crate) digits_in: DigitReceiver,
    /// Where digits are in the audio itself.
    pub(crate) in_band: Option<Box<InBand>>,
    /// Whoever hears this party is told of its digits by events, and need not hear their tones.
    pub(crate) hides_tones: bool,
    pub(crate) watch: Watch,
    /// While somebody wants to know whether a human or a machine speaks.
    pub(crate) detecting: Option<Box<Listening>>,

    pub(crate) tapping: Vec<Tapping>,
    /// What its peer said last, where somebody may want to hear it.
    pub(crate) memory: Option<Box<Memory>>,

    pub(crate) rtcp_due: Monotonic,
    pub(crate) rtcp_peer: Option<SocketAddr>,
    pub(crate) doubts: Doubts,
    /// Packets sent when the last report left.
    pub(crate) reported_packets: u64,
    /// Some report left.
    pub(crate) reported: bool,
    pub(crate) statistics_due: Monotonic,
    pub(crate) stats: Stats,
    pub(crate) outbox: Outbox,
}

/// What a port is sent at the moment.
#[derive(Debug)]
pub(crate) enum Feed {
    Nothing,
    Silence,
    Play(Player),
    Leg(Relayed),
    /// Legs that are decoded, mixed and coded anew.
    Mix(Mix),
}

/// Another leg's packets.
#[derive(Debug)]
pub(crate) struct Relayed {
    pub(crate) from: Slot,
    /// Constant offsets into this port's numbers; `None` until its first packet comes.
    pub(crate) mapping: Option<Mapping>,
    /// The telephone-event that was under way when the source began: its remainder is not this listener's.
    pub(crate) swallow: Option<u32>,
}

/// Constant offsets from one source's numbers to the sender's.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) epoch: u32,
    /// Packets before this one are late ones of the time before the switch.
    pub(crate) first: u16,
    /// The highest so far.
    pub(crate) highest: u16,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
}

/// A telephone-event forwarded and not yet ended, in the sender's numbers.
#[derive(Copy, Clone, Debug)]
pub(crate) struct EventUnderWay {
    timestamp: u32,
    payload: Payload,
}

impl Port {
    pub(crate) fn new(
        id: PortId,
        slot: Slot,
        call: CallKey,
        now: Monotonic,
        sender: Sender,
        rtcp_due: Monotonic,
    ) -> Self {
        Self {
            id,
            slot,
            call,
            opened: now,
            stream: None,
            srtp: None,
            source: Source::Nothing,
            feed: Feed::Nothing,
            sender,
            due: None,
            ticking: false,
            fresh: true,
            digits_out: DigitSender::default(),
            event_under_way: None,
            meters: SmallVec::new(),
            suspended: SmallVec::new(),
            encoder: None,
            listeners: SmallVec::new(),
            latch: None,
            receiver: Receiver::default(),
            epoch: 0,
            receiving: None,
            ear: None,
            listening: None,
            digits_in: DigitReceiver::default(),
            in_band: None,
            hides_tones: false,
            watch: Watch { heard: now, alive_since: now, ..Watch::default() },
            detecting: None,
            tapping: Vec::new(),
            memory: None,
            rtcp_due,
            rtcp_peer: None,
            doubts: Doubts::default(),
            reported_packets: 0,
            reported: false,
            statistics_due: now + Duration::from_secs(5),
            stats: Stats::default(),
            outbox: Outbox::default(),
        }
    }

    /// Where and how to send now, if the stream allows it at all.
    pub(crate) fn outlet(&self) -> Option<(&Stream, SocketAddr)> {
        let stream = self.stream.as_deref().filter(|stream| stream.may_send)?;
        let to = self.latch.as_ref()?.destination();
        (to.port() != 0 && !to.ip().is_unspecified()).then_some((stream, to))
    }

    /// Milliseconds of a frame of our own making.
    pub(crate) fn frame_ms(&self) -> u32 {
        self.stream.as_ref().map_or(20, |stream| stream.codec.packet_time(stream.ptime.as_millis()))
    }

    /// The same in timestamp units.
    pub(crate) fn frame_units(&self) -> u32 {
        self.frame_ms() * (self.sender.clock / 1000)
    }

    /// Whether a play was interrupted here, and would go on.
    pub(crate) fn is_suspended(&self, id: PlayId) -> bool {
        self.suspended.iter().any(|player| player.id == Some(id))
    }

    /// The player a suspended play goes on with.
    pub(crate) fn resume(&mut self, id: PlayId) -> Option<Player> {
        let at = self.suspended.iter().position(|player| player.id == Some(id))?;
        Some(self.suspended.remove(at))
    }

    /// Where the music of that name was when it was heard last, the play under way first.
    pub(crate) fn left_off(&self, then: &Then) -> Option<&Lasting> {
        let Then::Loop(name) = then else { return None };
        let now = if let Feed::Play(player) = &self.feed { Some(player) } else { None };
        let mut players = now.into_iter().chain(self.suspended.iter().rev());
        players.find_map(|player| player.lasting().filter(|lasting| lasting.name == *name))
    }

    /// From now on the listener hears something else: ends what is under way, and plans the next packet.
    pub(crate) fn switch(&mut self, now: Monotonic, source: Source, feed: Feed, wire: &mut impl Wire) {
        self.end_event(now, wire);
        if let Feed::Play(player) = std::mem::replace(&mut self.feed, feed)
            && player.id.is_some()
        {
            if self.suspended.len() == MAX_SUSPENDED {
                self.suspended.remove(0);
            }
            self.suspended.push(player);
        }
        self.source = source;
        self.plan_next(now);
    }

    /// Digits toward the peer; they go before the source.
    pub(crate) fn send_digits(&mut self, now: Monotonic, digits: &str, wire: &mut impl Wire) {
        if self.outlet().is_none_or(|(stream, _)| stream.telephone_event.is_none() && !stream.in_band_digits) {
            self.stats.digits_dropped += digits.len() as u64;
            return;
        }
        let idle = !self.digits_out.busy();
        self.stats.digits_dropped += self.digits_out.queue(digits);
        if idle && self.digits_out.busy() {
            self.end_event(now, wire);
            self.plan_next(now);
        }
    }

    /// When the next packet of our own making is due, at a switch.
    pub(crate) fn plan_next(&mut self, now: Monotonic) {
        self.fresh = true;
        let free = self.sender.covered_until().unwrap_or(now).min(now + STALE);
        self.due = if self.digits_out.busy() {
            Some(on_grid(now.max(free)))
        } else {
            match &mut self.feed {
                Feed::Nothing => None,
                Feed::Silence | Feed::Play(_) | Feed::Mix(_) => Some(on_grid(now.max(free))),
                Feed::Leg(relayed) => {
                    relayed.mapping = None;
                    let waited =
                        self.sender.last_sent().map_or(now + FIRST_FILL_AFTER, |last| now.max(last + FILL_AFTER));
                    Some(on_grid(waited))
                }
            }
        };
    }

    /// When the packet that is due now should leave. Late by no more than [`STALE`] it catches up; beyond that, the time lost
    /// is skipped.
    pub(crate) fn due_by(&mut self, now: Monotonic) -> Option<Monotonic> {
        let mut due = self.due.filter(|due| *due <= now)?;
        if now.since(due) > STALE {
            due = on_grid(now);
            self.due = Some(due);
            self.fresh = true;
        }
        (due <= now).then_some(due)
    }

    /// Sends the packet that was due at `due`. What a mix sounds like stands in `linear` already.
    pub(crate) fn tick(&mut self, due: Monotonic, linear: &mut [i16], room: &mut [u8], wire: &mut impl Wire) {
        let ms = self.frame_ms();
        self.due = Some(due + Duration::from_millis(ms.into()));
        if self.outlet().is_none() {
            self.fresh = true;
            return;
        }
        if self.digits_out.busy() {
            self.tick_digits(due, ms, linear, room, wire);
        } else {
            self.tick_audio(due, ms, linear, room, wire);
        }
    }

    fn tick_audio(&mut self, due: Monotonic, ms: u32, linear: &mut [i16], room: &mut [u8], wire: &mut impl Wire) {
        let Some(codec) = self.stream.as_ref().map(|stream| stream.codec) else { return };
        if codec.is_g711() && !matches!(self.feed, Feed::Mix(_)) {
            let frame = &mut room[HEADER..HEADER + ms as usize * 8];
            match &mut self.feed {
                Feed::Nothing => return,
                Feed::Silence | Feed::Leg(_) | Feed::Mix(_) => frame.fill(codec.silence()),
                Feed::Play(player) => {
                    if let Some((play, clips)) = player.fill(codec, frame) {
                        self.outbox.play_done(play, clips);
                    }
                }
            }
            let audible = self.is_audible(codec, frame);
            return self.send_frame(due, ms, ms as usize * 8, audible, room, wire);
        }
        let Some(linear) = linear.get_mut(..(ms * codec.sample_rate() / 1000) as usize) else { return };
        match &mut self.feed {
            Feed::Nothing => return,
            Feed::Silence | Feed::Leg(_) => linear.fill(0),
            Feed::Play(player) => {
                if let Some((play, clips)) = player.fill_linear(codec.sample_rate(), linear) {
                    self.outbox.play_done(play, clips);
                }
            }
            Feed::Mix(_) => {}
        }
        self.send_linear(due, ms, linear, room, wire);
    }

    /// Encodes and sends a frame of linear samples at the codec's rate.
    fn send_linear(&mut self, due: Monotonic, ms: u32, linear: &[i16], room: &mut [u8], wire: &mut impl Wire) {
        let Some(stream) = self.stream.as_deref() else { return };
        let (codec, opus) = (stream.codec, stream.opus);
        let encoder = match &mut self.encoder {
            Some(encoder) if encoder.codec == codec => encoder,
            other => other.insert(Encoder::new(codec, opus)),
        };
        let length = encoder.encode(linear, &mut room[HEADER..]);
        if length == 0 {
            return;
        }
        let audible = self.meters.is_empty() || mean_square(linear) >= QUIET_MEAN_SQUARE;
        self.send_frame(due, ms, length, audible, room, wire);
    }

    fn send_frame(
        &mut self,
        due: Monotonic,
        ms: u32,
        length: usize,
        audible: bool,
        room: &mut [u8],
        wire: &mut impl Wire,
    ) {
        let marker = std::mem::take(&mut self.fresh);
        let (sequence, timestamp) = if marker { self.sender.start(due) } else { self.sender.next() };
        let packet = &mut room[..HEADER + length];
        let Some(payload_type) = self.stream.as_ref().map(|stream| stream.payload_type_send) else { return };
        let samples = ms * (self.sender.clock / 1000);
        let out = Outgoing { marker, payload_type, sequence, timestamp, samples };
        self.transmit(due, out, audible, packet, wire);
    }

    /// One packet's time of a digit (RFC 4733 section 2.5.1): tone, then pause, then the source goes on.
    fn tick_digits(&mut self, due: Monotonic, ms: u32, linear: &mut [i16], room: &mut [u8], wire: &mut impl Wire) {
        let Some((codec, event_type, clock)) = self
            .stream
            .as_ref()
            .map(|stream| (stream.codec, stream.telephone_event.map(|(send, _)| send), stream.telephone_event_clock))
        else {
            return;
        };
        // Counted in samples of 8 kHz and told at the events' clock; the time they take is counted by the audio's.
        let step = u16::try_from(ms * 8).unwrap_or(160);
        let finer = (self.sender.clock / 8000).max(1);
        match self.digits_out.state {
            Sending::Idle => {}
            Sending::Pause { left } => {
                let linear = &mut linear[..(ms * codec.sample_rate() / 1000) as usize];
                linear.fill(0);
                self.send_linear(due, ms, linear, room, wire);
                self.digits_out.state = match left.saturating_sub(step) {
                    0 => Sending::Idle,
                    left => Sending::Pause { left },
                };
            }
            Sending::Tone { event, timestamp, duration } => {
                let Some(payload_type) = event_type else {
                    if self.stream.as_ref().is_some_and(|stream| stream.in_band_digits) {
                        return self.tick_tones(due, ms, linear, room, wire);
                    }
                    // Negotiated away meanwhile.
                    self.digits_out.state = Sending::Idle;
                    self.stats.digits_dropped += 1;
                    return self.resume_source(due);
                };
                let duration = duration.saturating_add(step);
                let end = duration >= TONE;
                let marker = timestamp.is_none();
                let timestamp = timestamp.unwrap_or_else(|| self.sender.start(due).1);
                let payload = Payload { event, end, volume: 10, duration, clock: 8000 }.at(clock);
                for _ in 0..if end { ENDS } else { 1 } {
                    let sequence = self.sender.next().0;
                    let out =
                        Outgoing { marker, payload_type, sequence, timestamp, samples: u32::from(duration) * finer };
                    self.transmit_event(due, out, payload, wire);
                }
                self.fresh = true;
                self.digits_out.state = if end {
                    Sending::Pause { left: PAUSE }
                } else {
                    Sending::Tone { event, timestamp: Some(timestamp), duration }
                };
            }
        }
        if !self.digits_out.busy() {
            self.resume_source(due);
        }
    }

    /// One packet's time of a digit that is sent as the tones themselves.
    fn tick_tones(&mut self, due: Monotonic, ms: u32, linear: &mut [i16], room: &mut [u8], wire: &mut impl Wire) {
        let Sending::Tone { event, timestamp, duration } = self.digits_out.state else { return };
        let Some(rate) = self.stream.as_ref().map(|stream| stream.codec.sample_rate()) else { return };
        let linear = &mut linear[..(ms * rate / 1000) as usize];
        let at = u32::from(duration) * (rate / 8000);
        in_band::tones(event.into(), at, rate, TONE_AMPLITUDE, linear);
        self.send_linear(due, ms, linear, room, wire);
        let duration = duration.saturating_add(u16::try_from(ms * 8).unwrap_or(160));
        self.digits_out.state = if duration >= TONE {
            Sending::Pause { left: PAUSE }
        } else {
            Sending::Tone { event, timestamp, duration }
        };
    }

    fn resume_source(&mut self, now: Monotonic) {
        self.plan_next(now);
        if let (Feed::Leg(_), Some(covered)) = (&self.feed, self.sender.covered_until()) {
            self.due = Some(on_grid(covered + FILL_AFTER));
        }
    }

    /// True while digits of ours go before the source.
    pub(crate) fn is_sending_digits(&self) -> bool {
        !matches!(self.digits_out.state, Sending::Idle)
    }

    /// Ends the telephone-event that was being forwarded.
    pub(crate) fn end_event(&mut self, now: Monotonic, wire: &mut impl Wire) {
        let Some(EventUnderWay { timestamp, payload }) = self.event_under_way.take() else { return };
        let Some(payload_type) = self.outlet().and_then(|(stream, _)| stream.telephone_event).map(|(send, _)| send)
        else {
            return;
        };
        for _ in 0..ENDS {
            let out = Outgoing {
                marker: false,
                payload_type,
                sequence: self.sender.next().0,
                timestamp,
                samples: payload.units(self.sender.clock),
            };
            self.transmit_event(now, out, Payload { end: true, ..payload }, wire);
        }
    }

    fn transmit_event(&mut self, at: Monotonic, out: Outgoing, payload: Payload, wire: &mut impl Wire) {
        let mut packet = [0; HEADER + 4];
        packet[HEADER..].copy_from_slice(&payload.write());
        self.transmit(at, out, true, &mut packet, wire);
    }

    /// Remembers a forwarded event packet, or forgets the event when it ended.
    pub(crate) fn forwarded_event(&mut self, timestamp: u32, payload: Payload) {
        self.event_under_way = (!payload.end).then_some(EventUnderWay { timestamp, payload });
    }

    /// Audio was forwarded: whatever event there was is over.
    #[inline]
    pub(crate) fn forwarded_audio(&mut self) {
        self.event_under_way = None;
    }

    /// True when nobody measures, or when the payload is above the threshold.
    #[inline]
    pub(crate) fn is_audible(&self, codec: Codec, payload: &[u8]) -> bool {
        self.meters.is_empty() || codec.mean_square(payload) >= QUIET_MEAN_SQUARE
    }

    /// Sends a packet whose payload lies behind room for the header.
    #[inline]
    pub(crate) fn transmit(
        &mut self,
        at: Monotonic,
        out: Outgoing,
        audible: bool,
        packet: &mut [u8],
        wire: &mut impl Wire,
    ) {
        let Some(to) = self.latch.as_ref().map(Latch::destination) else { return };
        let Some(header) = packet.first_chunk_mut::<HEADER>() else { return };
        let Outgoing { marker, payload_type, sequence, timestamp, samples } = out;
        Header { marker, payload_type, sequence, timestamp, ssrc: self.sender.ssrc }.write(header);
        self.sender.sent(at, sequence, timestamp, samples, packet.len() - HEADER);
        if audible {
            let lasting = playing_at(samples, self.sender.clock);
            for meter in &mut self.meters {
                meter.audible(at, lasting);
            }
        }
        self.tap_sent(at, payload_type, timestamp, &packet[HEADER..]);
        match &mut self.srtp {
            None => wire.transmit(self.slot, Channel::Rtp, to, packet),
            Some(srtp) => {
                if let Some(packet) = srtp.protect(packet) {
                    wire.transmit(self.slot, Channel::Rtp, to, &packet);
                }
            }
        }
    }
}

/// A packet's place in the sender's numbers.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// How much audio it stands for.
    pub(crate) samples: u32,
}

/// The first point of the grid that is not before `at`.
fn on_grid(at: Monotonic) -> Monotonic {
    let grid = 5_000_000;
    debug_assert_eq!(GRID.as_nanos(), grid as u128);
    Monotonic::from_nanos(at.as_nanos().div_ceil(grid) * grid)
}
