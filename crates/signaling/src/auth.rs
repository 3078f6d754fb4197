//! Digest credentials for a leg's next hop (RFC 3261 section 22, RFC 7616, RFC 8760).
//!
//! A password opens one realm at one peer. It is never shown to another realm, to another address, or on an incoming leg;
//! a challenge that is answered twice in vain is a refusal.

use crate::Credentials;
use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512_256};
use std::{fmt::Write as _, net::IpAddr};

/// How often one request may carry credentials.
const TRIES: u8 = 2;

/// Who asks: the server itself (401), or a proxy (407).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// 401, WWW-Authenticate, Authorization.
    Server,
    /// 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

impl Asker {
    pub(crate) const fn of(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    /// The header that answers.
    pub(crate) const fn header(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// How a digest is computed (RFC 8760).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
    Sha512256,
}

impl Algorithm {
    /// Its name, and whether it is a `-sess` variant.
    pub(crate) fn named(name: Option<&str>) -> Option<(Self, bool)> {
        let name = name.unwrap_or("MD5");
        let (base, session) = match name.len().checked_sub(5).and_then(|at| name.split_at_checked(at)) {
            Some((base, end)) if end.eq_ignore_ascii_case("-sess") => (base, true),
            _ => (name, false),
        };
        let known = [("MD5", Self::Md5), ("SHA-256", Self::Sha256), ("SHA-512-256", Self::Sha512256)];
        known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(base)).map(|(_, algorithm)| (algorithm, session))
    }

    pub(crate) const fn name(self, session: bool) -> &'static str {
        match (self, session) {
            (Self::Md5, false) => "MD5",
            (Self::Md5, true) => "MD5-sess",
            (Self::Sha256, false) => "SHA-256",
            (Self::Sha256, true) => "SHA-256-sess",
            (Self::Sha512256, false) => "SHA-512-256",
            (Self::Sha512256, true) => "SHA-512-256-sess",
        }
    }

    /// The digest of `text` in lower-case hexadecimal.
    pub(crate) fn hex(self, text: &str) -> String {
        fn hex(bytes: &[u8]) -> String {
            bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            })
        }
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Sha512256 => hex(&Sha512_256::digest(text)),
        }
    }
}

/// One challenge as a peer wrote it, unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Challenge {
    pub(crate) realm: String,
    pub(crate) nonce: String,
    pub(crate) opaque: Option<String>,
    pub(crate) algorithm: Option<String>,
    pub(crate) qop: Option<String>,
    pub(crate) stale: bool,
}

impl Challenge {
    /// Parses the value of a WWW-Authenticate or Proxy-Authenticate header; `None` when it is no digest challenge.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?.trim_start();
        let (scheme, rest) = value.split_once(|c: char| c.is_ascii_whitespace())?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut challenge = Self::default();
        let (mut realm, mut nonce) = (None, None);
        for (name, value) in Parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value),
                "nonce" => nonce = Some(value),
                "opaque" => challenge.opaque = Some(value),
                "algorithm" => challenge.algorithm = Some(value),
                "qop" => challenge.qop = Some(value),
                "stale" => challenge.stale = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        Some(Self { realm: realm?, nonce: nonce?, ..challenge })
    }

    /// A digest we can compute: a known algorithm, and `auth` when a quality of protection is asked for.
    fn usable(&self) -> bool {
        Algorithm::named(self.algorithm.as_deref()).is_some() && self.qop.as_deref().is_none_or(offers_auth)
    }
}

fn offers_auth(qop: &str) -> bool {
    qop.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"))
}

/// `name=value` or `name="value"`, separated by commas.
struct Parameters<'a>(&'a str);

impl Iterator for Parameters<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = self.0.trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace());
        let (name, rest) = self.0.split_once('=')?;
        let rest = rest.trim_start();
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            loop {
                match chars.next()? {
                    (at, '"') => {
                        self.0 = &quoted[at + 1..];
                        break;
                    }
                    (_, '\\') => value.push(chars.next()?.1),
                    (_, c) => value.push(c),
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            value.push_str(rest[..end].trim_end());
            self.0 = &rest[end..];
        }
        Some((name.trim().to_owned(), value))
    }
}

/// A dialled leg's credentials and what its peer has asked so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Keyring {
    credentials: Credentials,
    /// The only address they are shown to.
    peer: IpAddr,
    /// The realm they are for, once known.
    realm: Option<String>,
    asked: [Option<Asked>; 2],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    challenge: Challenge,
    /// How many requests have answered this nonce.
    count: u32,
}

impl Keyring {
    pub(crate) fn new(credentials: Credentials, peer: IpAddr) -> Self {
        Self { realm: credentials.realm.clone(), credentials, peer, asked: [None, None] }
    }

    /// Takes the challenges of one 401 or 407. True when the request is worth another try: `tries` is how many of its
    /// copies carried credentials already.
    pub(crate) fn challenged<'a>(
        &mut self,
        asker: Asker,
        values: impl Iterator<Item = &'a [u8]>,
        tries: u8,
        destination: IpAddr,
    ) -> bool {
        if tries >= TRIES || destination != self.peer {
            return false;
        }
        let realm = self.realm.as_deref();
        let found = values
            .take(16)
            .filter_map(Challenge::parse)
            .find(|challenge| challenge.usable() && realm.is_none_or(|realm| realm == challenge.realm));
        let Some(challenge) = found else { return false };
        let slot = &mut self.asked[asker as usize];
        // The same nonce again without `stale` says that the password is wrong.
        if tries > 0 && !challenge.stale && slot.as_ref().is_some_and(|asked| asked.challenge.nonce == challenge.nonce)
        {
            return false;
        }
        self.realm.get_or_insert_with(|| challenge.realm.clone());
        *slot = Some(Asked { challenge, count: 0 });
        true
    }

    /// The headers that answer what was asked, for a request to `destination`.
    pub(crate) fn headers(
        &mut self,
        method: &str,
        uri: &str,
        destination: IpAddr,
        cnonce: &str,
    ) -> Vec<(&'static str, String)> {
        if destination != self.peer {
            return Vec::new();
        }
        let mut headers = Vec::new();
        for asker in [Asker::Server, Asker::Proxy] {
            if let Some(asked) = &mut self.asked[asker as usize] {
                asked.count = asked.count.saturating_add(1);
                let value = respond(&self.credentials, &asked.challenge, method, uri, asked.count, cnonce);
                headers.extend(value.map(|value| (asker.header(), value)));
            }
        }
        headers
    }
}

/// The value of an Authorization header.
fn respond(
    credentials: &Credentials,
    challenge: &Challenge,
    method: &str,
    uri: &str,
    count: u32,
    cnonce: &str,
) -> Option<String> {
    let Credentials { username, password, .. } = credentials;
    let Challenge { realm, nonce, opaque, qop, .. } = challenge;
    let (algorithm, session) = Algorithm::named(challenge.algorithm.as_deref())?;
    let mut a1 = algorithm.hex(&format!("{username}:{realm}:{password}"));
    if session {
        a1 = algorithm.hex(&format!("{a1}:{nonce}:{cnonce}"));
    }
    let a2 = algorithm.hex(&format!("{method}:{uri}"));
    let response = match qop {
        Some(_) => algorithm.hex(&format!("{a1}:{nonce}:{count:08x}:{cnonce}:auth:{a2}")),
        None => algorithm.hex(&format!("{a1}:{nonce}:{a2}")),
    };
    let mut value = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
        quoted(username),
        quoted(realm),
        quoted(nonce),
        quoted(uri)
    );
    if challenge.algorithm.is_some() {
        let _ = write!(value, ", algorithm={}", algorithm.name(session));
    }
    if let Some(opaque) = opaque {
        let _ = write!(value, ", opaque={}", quoted(opaque));
    }
    if qop.is_some() {
        let _ = write!(value, ", qop=auth, nc={count:08x}, cnonce=\"{cnonce}\"");
    } else if session {
        let _ = write!(value, ", cnonce=\"{cnonce}\"");
    }
    Some(value)
}

/// `text` as a quoted string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    fn keyring(realm: Option<&str>) -> Keyring {
        let realm = realm.map(str::to_owned);
        Keyring::new(Credentials { realm, username: "Mufasa".into(), password: "Circle of Life".into() }, PEER)
    }

    fn challenge(keyring: &mut Keyring, value: &str, tries: u8) -> bool {
        keyring.challenged(Asker::Server, [value.as_bytes()].into_iter(), tries, PEER)
    }

    /// RFC 7616 section 3.9.1: both algorithms over one request.
    #[test]
    fn rfc7616_3_9_1_example_digests() {
        let credentials = Credentials { realm: None, username: "Mufasa".into(), password: "Circle of Life".into() };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let challenge = Challenge::parse(value.as_bytes()).unwrap();
            let answer = respond(&credentials, &challenge, "GET", "/dir/index.html", 1, cnonce).unwrap();
            assert!(answer.contains(&format!("response=\"{expected}\"")), "{answer}");
            assert!(answer.contains("qop=auth, nc=00000001"), "{answer}");
            assert!(answer.contains(&format!("algorithm={algorithm}")), "{answer}");
        }
    }

    /// RFC 2617 section 3.5 without a quality of protection, as RFC 2069 computed it.
    #[test]
    fn a_challenge_without_qop_gets_the_short_digest_and_no_count() {
        let challenge = Challenge::parse(b"Digest realm=\"r\", nonce=\"n\"").unwrap();
        let credentials = Credentials { realm: None, username: "u".into(), password: "p".into() };
        let answer = respond(&credentials, &challenge, "INVITE", "sip:a", 1, "c").unwrap();
        assert!(!answer.contains("nc=") && !answer.contains("qop") && !answer.contains("cnonce"), "{answer}");
        assert!(!answer.contains("algorithm"), "{answer}");
    }

    #[test]
    fn the_first_usable_challenge_of_the_realm_is_answered() {
        let mut keyring = keyring(Some("trunk"));
        let values: [&[u8]; 4] = [
            b"Basic realm=\"trunk\"",
            b"Digest realm=\"trunk\", nonce=\"1\", algorithm=NEW-HASH",
            b"Digest realm=\"other\", nonce=\"2\"",
            b"Digest realm=\"trunk\", nonce=\"3\", algorithm=sha-256, qop=\"auth\"",
        ];
        assert!(keyring.challenged(Asker::Proxy, values.into_iter(), 0, PEER));
        let headers = keyring.headers("INVITE", "sip:a", PEER, "c");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[0].0, "Proxy-Authorization");
        assert!(headers[0].1.contains("nonce=\"3\"") && headers[0].1.contains("algorithm=SHA-256"), "{headers:?}");
    }

    #[test]
    fn a_foreign_realm_gets_nothing() {
        let mut keyring = keyring(Some("trunk"));
        assert!(!challenge(&mut keyring, "Digest realm=\"thief\", nonce=\"1\"", 0));
        assert!(keyring.headers("BYE", "sip:a", PEER, "c").is_empty());
    }

    #[test]
    fn the_first_realm_seen_is_the_only_one_when_none_was_configured() {
        let mut keyring = keyring(None);
        assert!(challenge(&mut keyring, "Digest realm=\"trunk\", nonce=\"1\"", 0));
        assert!(!challenge(&mut keyring, "Digest realm=\"thief\", nonce=\"2\"", 0));
    }

    #[test]
    fn another_address_gets_nothing_even_for_the_right_realm() {
        let mut keyring = keyring(Some("trunk"));
        let value: &[u8] = b"Digest realm=\"trunk\", nonce=\"1\"";
        assert!(!keyring.challenged(Asker::Server, [value].into_iter(), 0, ELSEWHERE));
        assert!(keyring.challenged(Asker::Server, [value].into_iter(), 0, PEER));
        assert!(keyring.headers("BYE", "sip:a", ELSEWHERE, "c").is_empty());
        assert_eq!(keyring.headers("BYE", "sip:a", PEER, "c").len(), 1);
    }

    #[test]
    fn a_new_nonce_in_every_challenge_gets_two_tries() {
        let mut keyring = keyring(None);
        assert!(challenge(&mut keyring, "Digest realm=\"t\", nonce=\"1\"", 0));
        assert!(challenge(&mut keyring, "Digest realm=\"t\", nonce=\"2\"", 1));
        assert!(!challenge(&mut keyring, "Digest realm=\"t\", nonce=\"3\"", 2));
        assert!(!challenge(&mut keyring, "Digest realm=\"t\", nonce=\"4\", stale=true", 2));
    }

    #[test]
    fn the_same_nonce_again_is_a_wrong_password_unless_it_is_stale() {
        let mut keyring = keyring(None);
        assert!(challenge(&mut keyring, "Digest realm=\"t\", nonce=\"1\"", 0));
        assert!(!challenge(&mut keyring, "Digest realm=\"t\", nonce=\"1\"", 1));
        assert!(challenge(&mut keyring, "Digest realm=\"t\", nonce=\"1\", stale=TRUE", 1));
    }

    #[test]
    fn the_count_rises_with_every_request_and_starts_again_with_a_new_nonce() {
        let mut keyring = keyring(None);
        assert!(challenge(&mut keyring, "Digest realm=\"t\", nonce=\"1\", qop=\"auth\"", 0));
        let count = |keyring: &mut Keyring| {
            let value = keyring.headers("BYE", "sip:a", PEER, "c").remove(0).1;
            value.split("nc=").nth(1).and_then(|rest| rest.get(..8)).unwrap().to_owned()
        };
        assert_eq!(count(&mut keyring), "00000001");
        assert_eq!(count(&mut keyring), "00000002");
        assert!(challenge(&mut keyring, "Digest realm=\"t\", nonce=\"2\", qop=\"auth\"", 0));
        assert_eq!(count(&mut keyring), "00000001");
    }

    #[test]
    fn quotes_in_names_are_escaped() {
        let challenge = Challenge::parse(br#"Digest realm="a \"b\" \\c", nonce="n""#).unwrap();
        assert_eq!(challenge.realm, r#"a "b" \c"#);
        assert_eq!(quoted(&challenge.realm), r#""a \"b\" \\c""#);
    }

    #[test]
    fn what_is_no_digest_challenge_is_none() {
        for value in
            ["", "Digest", "Digest ", "Basic realm=\"x\"", "Digest realm=\"x\"", "Digest nonce=\"x", "Digest realm"]
        {
            assert_eq!(Challenge::parse(value.as_bytes()), None, "{value}");
        }
    }
}
