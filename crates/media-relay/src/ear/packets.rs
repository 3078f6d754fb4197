//! Packets that wait to be decoded, by their place on the peer's time line.

use crate::Codec;

/// Packets kept at most: 10 ms each for longer than is ever held back.
const MOST: usize = 32;
/// Bytes of the longest that is kept.
const LONGEST: usize = 2048;

/// Positions are samples at the codec's own rate, counted from where the stream was first heard.
#[derive(Debug)]
pub(super) struct Packets {
    slots: Vec<Slot>,
    /// A packet's timestamp and where it stands; later ones are placed by their distance to it.
    reference: Option<(u32, i64)>,
    epoch: Option<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    used: bool,
    at: i64,
    count: usize,
    /// Grows to what the stream needs once, and is used again.
    payload: Vec<u8>,
}

/// A packet taken out.
#[derive(Copy, Clone, Debug)]
pub(super) struct Kept {
    slot: usize,
    pub(super) at: i64,
    pub(super) count: usize,
}

impl Packets {
    pub(super) fn new() -> Self {
        Self { slots: (0..MOST).map(|_| Slot::default()).collect(), reference: None, epoch: None }
    }

    pub(super) fn is_new(&self, epoch: u32) -> bool {
        self.epoch != Some(epoch)
    }

    /// Where a packet stands. The first of an epoch stands at `next`.
    pub(super) fn position(&mut self, epoch: u32, timestamp: u32, codec: Codec, next: i64) -> i64 {
        if self.epoch != Some(epoch) {
            self.epoch = Some(epoch);
            self.reference = None;
        }
        let (reference, place) = *self.reference.get_or_insert((timestamp, next));
        let distance = i64::from(timestamp.wrapping_sub(reference).cast_signed());
        let at = place + distance * i64::from(codec.sample_rate()) / i64::from(codec.clock_rate());
        if distance > 1 << 28 {
            self.reference = Some((timestamp, at));
        }
        at
    }

    /// From now on this timestamp stands at `place`.
    pub(super) fn anchor(&mut self, timestamp: u32, place: i64) {
        self.reference = Some((timestamp, place));
    }

    /// Keeps a packet; a repeated one is left out, and the oldest gives way when there is no room.
    pub(super) fn keep(&mut self, at: i64, count: usize, payload: &[u8]) {
        if payload.len() > LONGEST || self.slots.iter().any(|slot| slot.used && slot.at == at) {
            return;
        }
        let free = self.slots.iter().position(|slot| !slot.used).or_else(|| self.oldest());
        let Some(slot) = free.and_then(|free| self.slots.get_mut(free)) else { return };
        (slot.used, slot.at, slot.count) = (true, at, count);
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest().is_none()
    }

    /// Where the first packet stands.
    pub(super) fn first(&self) -> Option<i64> {
        self.slots.iter().filter(|slot| slot.used).map(|slot| slot.at).min()
    }

    /// Where the last packet ends.
    pub(super) fn end(&self) -> Option<i64> {
        self.slots.iter().filter(|slot| slot.used).map(|slot| slot.at + slot.count.cast_signed() as i64).max()
    }

    /// The first packet; its payload stays until it is released.
    pub(super) fn take(&mut self) -> Option<Kept> {
        let slot = self.oldest()?;
        let Slot { at, count, .. } = self.slots[slot];
        Some(Kept { slot, at, count })
    }

    pub(super) fn payload(&self, kept: &Kept) -> &[u8] {
        &self.slots[kept.slot].payload
    }

    pub(super) fn release(&mut self, kept: Kept) {
        self.slots[kept.slot].used = false;
    }

    /// Shows the first packet: its samples and its payload.
    pub(super) fn peek<T>(&self, look: impl FnOnce(usize, &[u8]) -> T) -> T {
        match self.oldest() {
            Some(slot) => look(self.slots[slot].count, &self.slots[slot].payload),
            None => look(0, &[]),
        }
    }

    pub(super) fn drop_before(&mut self, place: i64) {
        for slot in &mut self.slots {
            slot.used &= slot.at >= place;
        }
    }

    pub(super) fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.used = false;
        }
    }

    fn oldest(&self) -> Option<usize> {
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.used);
        used.min_by_key(|(_, slot)| slot.at).map(|(index, _)| index)
    }
}
