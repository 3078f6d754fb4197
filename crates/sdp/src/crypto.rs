//! Keys in session descriptions: `a=crypto` (RFC 4568, RFC 7714).
//!
//! One master key a line, without an MKI and with the default session parameters. A line that asks for anything else
//! counts as not offered: what cannot be kept is not promised. Keys never show in `Debug`; a written-down session
//! ([`crate::OfferAnswer`]) does hold them, and whoever keeps one guards it.

mod base64;

use core::fmt::{self, Write as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Usable `a=crypto` lines kept of one media description; further ones count as not offered.
pub(crate) const MAX_CRYPTO: usize = 16;

/// Whether a peer's media is encrypted. The order is that of strictness.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Srtp {
    /// Never: RTP/AVP without keys.
    #[default]
    Off,
    /// When the peer can. We offer RTP/AVP with keys beside it, and once media was encrypted it stays so.
    Optional,
    /// Always: RTP/SAVP, and no call without.
    Required,
}

/// How SRTP protects packets.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CryptoSuite {
    /// RFC 7714, 256-bit key.
    #[serde(rename = "AEAD_AES_256_GCM")]
    AeadAes256Gcm,
    /// RFC 7714, 128-bit key.
    #[serde(rename = "AEAD_AES_128_GCM")]
    AeadAes128Gcm,
    /// RFC 4568 section 6.2.1.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_80")]
    AesCm128HmacSha1_80,
    /// RFC 4568 section 6.2.2.
    #[serde(rename = "AES_CM_128_HMAC_SHA1_32")]
    AesCm128HmacSha1_32,
}

impl CryptoSuite {
    /// Every suite known here, the best first.
    pub const ALL: [Self; 4] =
        [Self::AeadAes256Gcm, Self::AeadAes128Gcm, Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }

    /// Bytes of the master key.
    pub const fn key_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 14,
        }
    }

    /// The suite of a registered name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for CryptoSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A suite with its master key and salt, of the length the suite wants.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey {
    suite: CryptoSuite,
    key_and_salt: Vec<u8>,
}

impl MasterKey {
    /// Takes the key and, right after it, the salt; `None` when there are more or fewer bytes than the suite wants.
    pub fn new(suite: CryptoSuite, key_and_salt: Vec<u8>) -> Option<Self> {
        let fits = key_and_salt.len() == suite.key_length() + suite.salt_length();
        fits.then_some(Self { suite, key_and_salt })
    }

    /// What it is for.
    pub fn suite(&self) -> CryptoSuite {
        self.suite
    }

    /// The master key.
    pub fn key(&self) -> &[u8] {
        &self.key_and_salt[..self.suite.key_length()]
    }

    /// The master salt.
    pub fn salt(&self) -> &[u8] {
        &self.key_and_salt[self.suite.key_length()..]
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, …)", self.suite)
    }
}

impl Serialize for MasterKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.suite, base64::encode(&self.key_and_salt)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for MasterKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (suite, text) = <(CryptoSuite, String)>::deserialize(deserializer)?;
        let key = base64::decode(&text).and_then(|bytes| Self::new(suite, bytes));
        key.ok_or_else(|| D::Error::custom(format_args!("a key of another length than {suite} was found")))
    }
}

/// The keys of one media stream, seen from our side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// What we encrypt with.
    pub send: MasterKey,
    /// What the peer encrypts with; its suite is the same.
    pub receive: MasterKey,
}

/// One `a=crypto` line that can be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crypto {
    pub(crate) tag: u32,
    pub(crate) key: MasterKey,
}

impl Crypto {
    /// Reads a line's value (RFC 4568 section 9.1); `None` for what is broken, unknown, or cannot be kept.
    pub(crate) fn read(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9 && tag.bytes().all(|byte| byte.is_ascii_digit()))?;
        let suite = CryptoSuite::from_name(words.next()?)?;
        let key = master_key(suite, words.next()?)?;
        words.all(changes_nothing).then_some(Self { tag: tag.parse().ok()?, key })
    }

    pub(crate) fn write(&self, text: &mut String) -> fmt::Result {
        let key = base64::encode(&self.key.key_and_salt);
        write!(text, "a=crypto:{} {} inline:{key}\r\n", self.tag, self.key.suite)
    }
}

/// `inline:KEY||SALT[|LIFETIME]`. Several keys need an MKI to tell them apart, and an MKI is not carried here.
fn master_key(suite: CryptoSuite, parameters: &str) -> Option<MasterKey> {
    let (method, rest) = parameters.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") || rest.contains(';') {
        return None;
    }
    let mut parts = rest.split('|');
    let key = MasterKey::new(suite, base64::decode(parts.next()?)?)?;
    // It is for the peer to take a new key before its own has done its time.
    let sound = match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(lifetime), None) => is_lifetime(lifetime),
        (Some(_), Some(_)) => false,
    };
    sound.then_some(key)
}

/// A number of packets, as it is or as a power of two, at most 2^48 (RFC 4568 section 6.1, RFC 3711 section 9.2).
fn is_lifetime(text: &str) -> bool {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    match text.strip_prefix("2^") {
        Some(power) => number(power).is_some_and(|power| power <= 48),
        None => number(text).is_some_and(|packets| (1..=1 << 48).contains(&packets)),
    }
}

/// Whether a session parameter may stand there without our doing anything else than by default (RFC 4568 section 6.3): a
/// hint, or one that says of itself that it may be ignored.
fn changes_nothing(parameter: &str) -> bool {
    parameter.starts_with('-')
        || parameter.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("WSH="))
        || parameter.eq_ignore_ascii_case("KDR=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    fn suite_of(value: &str) -> Option<(u32, CryptoSuite)> {
        Crypto::read(value).map(|crypto| (crypto.tag, crypto.key.suite()))
    }

    #[test]
    fn rfc4568_9_1_a_line_holds_tag_suite_and_key() {
        let all = |key: &str| format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}");
        let found = Some((1, CryptoSuite::AesCm128HmacSha1_80));
        for value in [
            all(KEY),
            all(&format!("{KEY}|2^20")),
            all(&format!("{KEY}|2^48")),
            all(&format!("{KEY}|1048576")),
            all(&format!("{KEY} WSH=128")),
            all(&format!("{KEY} KDR=0 -FUTURE=1")),
            format!("000000001  aes_cm_128_hmac_sha1_80\tINLINE:{KEY}"),
        ] {
            assert_eq!(suite_of(&value), found, "{value}");
        }
        let gcm = format!("7 AEAD_AES_256_GCM inline:{}", base64::encode(&[9; 44]));
        assert_eq!(suite_of(&gcm), Some((7, CryptoSuite::AeadAes256Gcm)));
    }

    #[test]
    fn rfc4568_5_1_2_what_cannot_be_kept_counts_as_not_offered() {
        for value in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "1 AES_CM_128_HMAC_SHA1_80 inline:",
            "1 AES_CM_128_HMAC_SHA1_80 uri:https://example.net/key",
            "x AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1234567890 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            "1 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            // One character short, one long, bad ones, and a key of another suite's length.
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGV",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVzA",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwg*CkgewkyMjA7fQp9CnVubGVz",
            "1 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            // An MKI, alone and after a lifetime; two keys.
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|1:4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz;inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
            // Lifetimes of nothing, beyond what SRTP has indices for, and none.
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|0",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^49",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^99999999999999999999",
            // Session parameters that would have to be obeyed.
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz UNENCRYPTED_SRTP",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz UNAUTHENTICATED_SRTP",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz UNENCRYPTED_SRTCP",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz KDR=4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz FUTURE=1",
        ] {
            assert_eq!(suite_of(value), None, "{value}");
        }
    }

    #[test]
    fn a_key_written_is_the_key_read_and_shows_nowhere_else() {
        for suite in CryptoSuite::ALL {
            let bytes: Vec<u8> = (0xa5..).take(suite.key_length() + suite.salt_length()).collect();
            let crypto = Crypto { tag: 3, key: MasterKey::new(suite, bytes.clone()).unwrap() };
            let mut text = String::new();
            crypto.write(&mut text).unwrap();
            let value = text.strip_prefix("a=crypto:").unwrap().strip_suffix("\r\n").unwrap();
            assert_eq!(Crypto::read(value), Some(crypto.clone()));
            assert!(!format!("{crypto:?}").contains(&base64::encode(&bytes)[..8]));
            assert_eq!(format!("{:?}", crypto.key), format!("MasterKey({suite}, …)"));
            let json = serde_json::to_string(&crypto).unwrap();
            assert_eq!(serde_json::from_str::<Crypto>(&json).unwrap(), crypto);
        }
        assert!(serde_json::from_str::<MasterKey>(r#"["AEAD_AES_128_GCM","AAAA"]"#).is_err());
    }
}
