//! What a peer sends under one key.

use super::{
    SrtpKey,
    context::{Cipher, Window},
};
use crate::packet::protected;
use bytes::BytesMut;
use smallvec::SmallVec;

/// Sources that a peer may use under one key; further ones are refused until it changes its key.
const MAX_SOURCES: usize = 32;
/// Packets of unknown sources after which the cipher that tries them is made anew: it keeps something of each.
const MAX_TRIED: u32 = 64;
/// Packets of unknown sources that may cost the making of a cipher.
const MAX_GUESSES: u32 = 16;

#[derive(Debug)]
pub(super) struct Receiving {
    key: SrtpKey,
    /// Those whose tag was right once.
    sources: SmallVec<[Source; 1]>,
    /// Tries what comes from others.
    trying: Option<Cipher>,
    tried: u32,
    guesses: u32,
    reports: Option<Cipher>,
    reporters: SmallVec<[u32; 2]>,
}

/// One SSRC of the peer.
#[derive(Debug)]
struct Source {
    ssrc: u32,
    cipher: Cipher,
    seen: Window,
    /// Known from the key before this one: where its counter stands is to be shown.
    expected: bool,
}

impl Receiving {
    pub(super) fn new(key: SrtpKey) -> Self {
        Self {
            trying: Cipher::trying(&key),
            reports: Cipher::new(&key),
            key,
            sources: SmallVec::new(),
            tried: 0,
            guesses: 0,
            reporters: SmallVec::new(),
        }
    }

    /// The same peer under another key: its rollover counters go on (RFC 3711 section 3.3.1).
    pub(super) fn after(old: &Self, key: SrtpKey) -> Self {
        let mut new = Self::new(key);
        for source in &old.sources {
            if let (Some(mut cipher), Some(index)) = (Cipher::new(&new.key), source.seen.highest()) {
                cipher.advance_receiver(&new.key, source.ssrc, index);
                new.sources.push(Source { ssrc: source.ssrc, cipher, seen: source.seen, expected: true });
            }
        }
        new
    }

    #[inline]
    pub(super) fn open(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let head = protected(packet)?;
        match self.sources.iter_mut().find(|source| source.ssrc == head.ssrc) {
            Some(source) => {
                let plain = source.cipher.decrypt(packet, head.length);
                if plain.is_some() {
                    source.seen.take(source.seen.index_of(head.sequence));
                    source.expected = false;
                    return plain;
                }
                if source.expected { self.meet(packet, head.ssrc, head.sequence, head.length) } else { None }
            }
            None => self.meet(packet, head.ssrc, head.sequence, head.length),
        }
    }

    /// A packet of a source that has not shown yet that it has the key.
    #[cold]
    fn meet(&mut self, packet: &[u8], ssrc: u32, sequence: u16, length: usize) -> Option<BytesMut> {
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        if known.is_none() && self.sources.len() >= MAX_SOURCES {
            return None;
        }
        self.tried += 1;
        if self.tried > MAX_TRIED {
            (self.tried, self.trying) = (0, Cipher::trying(&self.key));
        }
        let mut index = u64::from(sequence);
        let mut behind = None;
        if self.trying.as_mut()?.decrypt(packet, length).is_none() {
            // Its first packets may have been lost, and its sequence have turned meanwhile.
            if known.is_some() || sequence >= 0x8000 || self.guesses >= MAX_GUESSES {
                return None;
            }
            self.guesses += 1;
            index |= 1 << 16;
            behind = Some(index - 1);
        }
        let mut cipher = Cipher::new(&self.key)?;
        if let Some(behind) = behind {
            cipher.advance_receiver(&self.key, ssrc, behind);
        }
        let plain = cipher.decrypt(packet, length)?;
        let mut seen = Window::default();
        seen.take(index);
        let source = Source { ssrc, cipher, seen, expected: false };
        match known {
            Some(at) => self.sources[at] = source,
            None => self.sources.push(source),
        }
        self.guesses = 0;
        Some(plain)
    }

    pub(super) fn open_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let ssrc = u32::from_be_bytes(*packet.get(4..8)?.first_chunk()?);
        if !self.reporters.contains(&ssrc) {
            if self.reporters.len() >= MAX_SOURCES {
                return None;
            }
            self.tried += 1;
            if self.tried > MAX_TRIED {
                (self.tried, self.trying) = (0, Cipher::trying(&self.key));
            }
            self.trying.as_mut()?.decrypt_rtcp(packet)?;
            self.reporters.push(ssrc);
        }
        self.reports.as_mut()?.decrypt_rtcp(packet)
    }
}
