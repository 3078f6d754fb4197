//! One key's cipher, and which indices were used.

use super::{CryptoSuite, SrtpKey};
use bytes::BytesMut;
use rtc_srtp::{
    context::Context,
    crypto::default_provider,
    option::{srtcp_replay_protection, srtp_replay_protection},
    protection_profile::ProtectionProfile,
};

/// Packets before the highest whose indices are remembered (RFC 3711 section 3.3.2).
const WINDOW: usize = 64;
/// Bytes of an RTCP header with its SSRC, of the SRTCP index, and of the least tag.
const RTCP_HEADER: usize = 8;
const RTCP_INDEX: usize = 4;
/// A step of the index that is understood as one forward, never as one back.
const STRIDE: usize = 0x4000;

/// One key at work, in one direction.
pub(super) struct Cipher {
    context: Context,
    /// Bytes of tag behind the SRTCP index.
    rtcp_tag: usize,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cipher(…)")
    }
}

impl Cipher {
    /// Refuses what was seen before. `None`: a key of the wrong length.
    pub(super) fn new(key: &SrtpKey) -> Option<Self> {
        Self::make(key, true)
    }

    /// For packets of which nothing is known yet: it remembers nothing that could be used against whose packets they are.
    pub(super) fn trying(key: &SrtpKey) -> Option<Self> {
        Self::make(key, false)
    }

    fn make(key: &SrtpKey, remembers: bool) -> Option<Self> {
        let profile = match key.suite {
            CryptoSuite::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
            CryptoSuite::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            CryptoSuite::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            CryptoSuite::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        };
        let provider = default_provider().ok()?;
        let rtp = remembers.then(|| srtp_replay_protection(WINDOW));
        let rtcp = remembers.then(|| srtcp_replay_protection(WINDOW));
        let context = Context::new(&key.key, &key.salt, profile, rtp, rtcp, provider.crypto()).ok()?;
        Some(Self { context, rtcp_tag: profile.rtcp_auth_tag_len() })
    }

    #[inline]
    pub(super) fn encrypt(&mut self, packet: &[u8], header: usize) -> Option<BytesMut> {
        self.context.encrypt_rtp_with_header(packet, &head(packet, header)?).ok()
    }

    /// `header` is the length of the packet's header with all that belongs to it.
    #[inline]
    pub(super) fn decrypt(&mut self, packet: &[u8], header: usize) -> Option<BytesMut> {
        self.context.decrypt_rtp_with_header(packet, &head(packet, header)?).ok()
    }

    pub(super) fn encrypt_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        self.context.encrypt_rtcp(packet).ok()
    }

    pub(super) fn decrypt_rtcp(&mut self, packet: &[u8]) -> Option<BytesMut> {
        let index = packet.len().checked_sub(self.rtcp_tag + RTCP_INDEX).filter(|at| *at >= RTCP_HEADER)?;
        // Without its E bit the crate takes a packet as it is and looks at no tag. Nobody agreed on that.
        let encrypted = packet.get(index)? & 0x80 != 0;
        encrypted.then(|| self.context.decrypt_rtcp(packet).ok()).flatten()
    }

    /// The next packet of `ssrc` is one after `index`: as if all before it had been sent. The crate says nothing of its
    /// counters, so packets that nobody sees walk the way.
    pub(super) fn advance_sender(&mut self, ssrc: u32, index: u64) {
        for index in way(index) {
            let _ = self.encrypt(&unseen(ssrc, index), 12);
        }
    }

    /// The same for what is received, under the same key.
    pub(super) fn advance_receiver(&mut self, key: &SrtpKey, ssrc: u32, index: u64) {
        let Some(mut peer) = Self::new(key) else { return };
        for index in way(index) {
            let Some(packet) = peer.encrypt(&unseen(ssrc, index), 12) else { return };
            let _ = self.decrypt(&packet, 12);
        }
    }

    /// The next SRTCP index is one after `sent`.
    pub(super) fn advance_reports(&mut self, ssrc: u32, sent: u32) {
        let [a, b, c, d] = ssrc.to_be_bytes();
        for _ in 0..sent {
            let _ = self.encrypt_rtcp(&[0x80, 201, 0, 1, a, b, c, d]);
        }
    }
}

/// Indices from nothing to `index`, no two further apart than what is understood as forward.
fn way(index: u64) -> impl Iterator<Item = u64> {
    (0..index).step_by(STRIDE).chain([index])
}

/// A packet without payload.
fn unseen(ssrc: u32, index: u64) -> [u8; 12] {
    let mut packet = [0; 12];
    packet[0] = 0x80;
    #[expect(clippy::cast_possible_truncation, reason = "the sequence is the index's low half")]
    packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}

/// What the crate needs of a header: numbers, and a length. It would work the length out from what the header holds, and
/// be wrong about extensions it writes differently; so the header says it in contributing sources alone.
#[inline]
fn head(packet: &[u8], length: usize) -> Option<rtc_rtp::Header> {
    let fixed = packet.first_chunk::<12>()?;
    Some(rtc_rtp::Header {
        sequence_number: u16::from_be_bytes([fixed[2], fixed[3]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        csrc: vec![0; (length - 12) / 4],
        ..rtc_rtp::Header::default()
    })
}

/// Packet indices (rollover counter and sequence) that were used.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Window {
    highest: Option<u64>,
    /// Bit n: the one n before the highest.
    used: u64,
}

impl Window {
    pub(super) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// The index that a sequence means: the nearest to the highest so far (RFC 3711 section 3.3.1).
    pub(super) fn index_of(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(sequence) };
        #[expect(clippy::cast_possible_truncation, reason = "the sequence is the index's low half")]
        let ahead = sequence.wrapping_sub(highest as u16).cast_signed();
        // Before the first turn there is no earlier one.
        highest.checked_add_signed(i64::from(ahead)).unwrap_or(highest + u64::from(ahead.cast_unsigned()))
    }

    /// Uses an index; false when it was used or is too old to know.
    pub(super) fn take(&mut self, index: u64) -> bool {
        let Some(highest) = self.highest else {
            (self.highest, self.used) = (Some(index), 1);
            return true;
        };
        if index > highest {
            let by = u32::try_from(index - highest).unwrap_or(u32::MAX);
            (self.highest, self.used) = (Some(index), self.used.checked_shl(by).unwrap_or(0) | 1);
            return true;
        }
        let bit = 1u64.checked_shl(u32::try_from(highest - index).unwrap_or(u32::MAX)).unwrap_or(0);
        let free = bit != 0 && self.used & bit == 0;
        self.used |= bit;
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3711_3_3_1_a_sequence_means_the_nearest_index() {
        let at = |highest| Window { highest: Some(highest), used: 1 };
        assert_eq!(Window::default().index_of(40_000), 40_000);
        assert_eq!(at(65_535).index_of(0), 65_536);
        assert_eq!(at(65_536).index_of(65_535), 65_535);
        assert_eq!(at(3 << 16 | 9).index_of(65_535), 2 << 16 | 65_535);
        assert_eq!(at(3 << 16 | 9).index_of(10), 3 << 16 | 10);
        assert_eq!(at(100).index_of(50), 50);
        assert_eq!(at(100).index_of(60_000), 60_000, "before the first turn there is no earlier one");
    }

    #[test]
    fn an_index_is_used_once() {
        let mut window = Window::default();
        assert!(window.take(100) && !window.take(100));
        assert!(window.take(103) && window.take(101) && !window.take(101) && !window.take(103));
        assert!(window.take(200) && !window.take(136), "64 back is too old to know");
        assert!(window.take(137));
        assert!(window.take(1 << 40) && !window.take(200));
    }

    #[test]
    fn the_way_to_an_index_has_no_step_that_could_be_one_back() {
        for index in [0, 1, 0x3fff, 0x4000, 0x1_0000, 0x3_c123] {
            let steps: Vec<u64> = way(index).collect();
            assert_eq!(steps.last(), Some(&index));
            assert!(steps.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= STRIDE as u64), "{steps:?}");
        }
    }
}
