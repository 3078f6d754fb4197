//! What a port's packets are protected with.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How packets are protected.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CryptoSuite {
    /// RFC 7714 with a 256-bit key.
    AeadAes256Gcm,
    /// RFC 7714 with a 128-bit key.
    AeadAes128Gcm,
    /// RFC 3711 with an 80-bit tag.
    AesCm128HmacSha1_80,
    /// RFC 3711 with a 32-bit tag on RTP, 80 bits on RTCP.
    AesCm128HmacSha1_32,
}

/// A master key and salt. Of another length than the suite wants they protect nothing: no packet leaves, none comes in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKey {
    /// What it is for.
    pub suite: CryptoSuite,
    /// 16 or 32 bytes.
    pub key: Vec<u8>,
    /// 12 or 14 bytes.
    pub salt: Vec<u8>,
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKey({:?}, …)", self.suite)
    }
}

/// A port's keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKeys {
    /// Of what we send.
    pub send: SrtpKey,
    /// Of what the peer sends.
    pub receive: SrtpKey,
}
