//! A tap: the audio a port receives and the audio it is sent, handed in blocks to whoever records it. Nothing here waits: each
//! tap owns a few blocks, and when its reader is so far behind that all of them are away, audio is left out and counted.

use crate::{Codec, packet::Rtp, port::Port};
use clock::Monotonic;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

/// Audio bytes of a block: about a quarter of a second of both directions in G.711.
const BYTES: usize = 4096;
/// Frames of a block.
const FRAMES: usize = 48;
/// Blocks of a tap: its reader may be away for some three seconds.
const BLOCKS: usize = 12;
/// A block waits for more audio no longer than this; with the relay's housekeeping, 300 ms at the most.
pub(crate) const HELD: Duration = Duration::from_millis(150);

/// Recordings that may be made of one port at once.
pub const MOST_TAPS: usize = 4;

/// Names the recording that a tap is for; chosen by who taps.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TapId(pub u64);

/// Which of a port's audio is wanted, and under which channel number.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tap {
    /// For which recording.
    pub id: TapId,
    /// The channel of what the port's peer sends.
    pub received: Option<u8>,
    /// The channel of what the port's peer is sent.
    pub sent: Option<u8>,
}

/// One packet's audio. Comfort noise received and telephone-events are no audio.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The channel [`Tap`] named.
    pub channel: u8,
    /// How the payload is encoded.
    pub codec: Codec,
    /// When it was received, or due to be sent.
    pub at: Monotonic,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Timestamps of one source are comparable: its SSRC.
    pub source: u32,
}

/// Audio of one port on its way to a reader.
#[derive(Debug)]
pub struct Block {
    tap: TapId,
    frames: Vec<(Frame, u16)>,
    bytes: Vec<u8>,
    dropped: Arc<AtomicU64>,
    home: SyncSender<Box<Block>>,
}

impl Block {
    /// The recording it is for.
    pub fn tap(&self) -> TapId {
        self.tap
    }

    /// Frames with their payloads, in the order in which they passed.
    pub fn frames(&self) -> impl Iterator<Item = (Frame, &[u8])> {
        self.frames.iter().scan(0, |start, (frame, length)| {
            let payload = &self.bytes[*start..*start + usize::from(*length)];
            *start += usize::from(*length);
            Some((*frame, payload))
        })
    }

    /// Frames of this port that were left out so far because no block was there for them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// To be called when its audio was read: the tap fills it again.
    pub fn give_back(mut self: Box<Self>) {
        self.frames.clear();
        self.bytes.clear();
        let home = self.home.clone();
        // A tap that is gone wants nothing back.
        let _ = home.try_send(self);
    }
}

/// Where blocks go: one reader's end, or several among which recordings are spread by their number.
#[derive(Clone, Debug, Default)]
pub struct Taps(Vec<SyncSender<Box<Block>>>);

impl Taps {
    /// Ends of channels that have room for all blocks that can be about.
    pub fn new(readers: Vec<SyncSender<Box<Block>>>) -> Self {
        Self(readers)
    }

    fn reader(&self, id: TapId) -> Option<SyncSender<Box<Block>>> {
        let at = usize::try_from(id.0 % (self.0.len().max(1) as u64)).unwrap_or(0);
        self.0.get(at).cloned()
    }
}

/// A tap on a port, at work.
#[derive(Debug)]
pub(crate) struct Tapping {
    tap: Tap,
    block: Option<Box<Block>>,
    begun: Monotonic,
    free: Receiver<Box<Block>>,
    reader: SyncSender<Box<Block>>,
    dropped: Arc<AtomicU64>,
}

impl Tapping {
    /// None where nobody reads.
    fn new(tap: Tap, taps: &Taps) -> Option<Self> {
        let reader = taps.reader(tap.id)?;
        let (home, free) = sync_channel(BLOCKS);
        let dropped = Arc::new(AtomicU64::new(0));
        for _ in 0..BLOCKS {
            let block = Block {
                tap: tap.id,
                frames: Vec::with_capacity(FRAMES),
                bytes: Vec::with_capacity(BYTES),
                dropped: Arc::clone(&dropped),
                home: home.clone(),
            };
            let _ = home.try_send(Box::new(block));
        }
        Some(Self { tap, block: None, begun: Monotonic::ORIGIN, free, reader, dropped })
    }

    /// The port's peer sent audio.
    #[inline]
    fn received(&mut self, codec: Codec, at: Monotonic, timestamp: u32, source: u32, payload: &[u8]) {
        if let Some(channel) = self.tap.received {
            self.take(Frame { channel, codec, at, timestamp, source }, payload);
        }
    }

    /// The port's peer is sent audio.
    #[inline]
    fn sent(&mut self, codec: Codec, at: Monotonic, timestamp: u32, source: u32, payload: &[u8]) {
        if let Some(channel) = self.tap.sent {
            self.take(Frame { channel, codec, at, timestamp, source }, payload);
        }
    }

    fn take(&mut self, frame: Frame, payload: &[u8]) {
        let full = |block: &Block| block.frames.len() == FRAMES || block.bytes.len() + payload.len() > BYTES;
        if self.block.as_deref().is_some_and(full) {
            self.hand_over();
        }
        if self.block.is_none() {
            self.block = self.free.try_recv().ok();
            self.begun = frame.at;
        }
        match (&mut self.block, u16::try_from(payload.len())) {
            (Some(block), Ok(length)) if payload.len() <= BYTES => {
                block.frames.push((frame, length));
                block.bytes.extend_from_slice(payload);
            }
            _ => drop(self.dropped.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn keep_house(&mut self, now: Monotonic) {
        if now.since(self.begun) >= HELD {
            self.hand_over();
        }
    }

    /// What was taken goes to the reader.
    fn hand_over(&mut self) {
        let Some(block) = self.block.take() else { return };
        if let Err(error) = self.reader.try_send(block) {
            let (std::sync::mpsc::TrySendError::Full(block) | std::sync::mpsc::TrySendError::Disconnected(block)) =
                error;
            self.dropped.fetch_add(block.frames.len() as u64, Ordering::Relaxed);
            block.give_back();
        }
    }
}

impl Port {
    /// A tap for another recording, a change of one, or its end.
    pub(crate) fn tap(&mut self, tap: Tap, taps: &Taps) {
        if tap.received.is_none() && tap.sent.is_none() {
            return self.tapping.retain(|tapping| tapping.tap.id != tap.id);
        }
        if let Some(tapping) = self.tapping.iter_mut().find(|tapping| tapping.tap.id == tap.id) {
            tapping.tap = tap;
        } else if self.tapping.len() < MOST_TAPS {
            self.tapping.extend(Tapping::new(tap, taps));
        }
    }

    /// The peer sent audio, and the direction agreed allows hearing it.
    #[inline]
    pub(crate) fn tap_received(&mut self, at: Monotonic, codec: Codec, packet: &Rtp, bytes: &[u8]) {
        if self.tapping.is_empty() || self.stream.as_ref().is_none_or(|stream| !stream.may_receive) {
            return;
        }
        for tapping in &mut self.tapping {
            tapping.received(codec, at, packet.timestamp, packet.ssrc, &bytes[packet.payload.clone()]);
        }
    }

    /// The peer is sent a packet.
    #[inline]
    pub(crate) fn tap_sent(&mut self, at: Monotonic, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let Some(stream) = self.stream.as_ref().filter(|_| !self.tapping.is_empty()) else { return };
        if stream.telephone_event.is_none_or(|(event, _)| event != payload_type) {
            for tapping in &mut self.tapping {
                tapping.sent(stream.codec, at, timestamp, self.sender.ssrc, payload);
            }
        }
    }

    /// Lets a tap's reader not wait for a block that does not fill.
    pub(crate) fn keep_tap(&mut self, now: Monotonic) {
        for tapping in &mut self.tapping {
            tapping.keep_house(now);
        }
    }
}

impl Drop for Tapping {
    fn drop(&mut self) {
        self.hand_over();
    }
}
