//! The server's side of digest (RFC 3261 section 22, RFC 7616, RFC 8760): challenges, and the judgement of what answers them.
//!
//! A nonce says when it was made and is sealed with a key of our own over that time and the address it was sent to. Nothing is
//! remembered of a challenge, so that nobody fills a table by asking for them; what a nonce was used for is remembered only once
//! its digest was right. A digest can fail only under a nonce that its sender was sent: an address that fails is not forged.

use crate::{
    auth::{Algorithm, quoted},
    compose::Response,
};
use clock::Monotonic;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sip_codec::{Challenge, Message, Name, Uri};
use std::{collections::BTreeMap, fmt, fmt::Write as _, net::IpAddr, time::Duration};

/// Bytes of the longest username, nonce, cnonce or URI that is looked at.
const LONGEST: usize = 256;
/// Hexadecimal digits of a nonce: time, chance, seal.
const NONCE: usize = 12 + 8 + 24;

/// The digests that a challenge offers.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digests {
    /// SHA-256 alone.
    #[default]
    Sha256,
    /// SHA-256, then MD5, each in a challenge of its own: a phone takes the first that it knows (RFC 8760 section 2.4).
    Both,
    /// MD5 alone: for phones that give up at a challenge they do not know instead of reading the next.
    Md5,
}

impl Digests {
    /// In order of preference.
    fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Sha256 => &[Algorithm::Sha256],
            Self::Both => &[Algorithm::Sha256, Algorithm::Md5],
            Self::Md5 => &[Algorithm::Md5],
        }
    }
}

/// What a password opens, as its realm's digests: the password itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secrets {
    sha256: String,
    md5: String,
}

impl fmt::Debug for Secrets {
    /// Without them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    pub(crate) fn new(username: &str, realm: &str, password: &str) -> Self {
        let a1 = format!("{username}:{realm}:{password}");
        Self { sha256: Algorithm::Sha256.hex(&a1), md5: Algorithm::Md5.hex(&a1) }
    }

    fn of(&self, algorithm: Algorithm) -> &str {
        if algorithm == Algorithm::Md5 { &self.md5 } else { &self.sha256 }
    }
}

/// What became of a request's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There are none for our realm that can be read.
    Missing,
    /// The nonce is not ours, not for this source, too old, or was used already: a new one, with `stale=true`.
    Stale,
    /// The nonce is good and the digest is not, or there is no such user. Nobody outside can tell which.
    Wrong,
    /// The nonce is good, and the digest is of another request than this one. Whether it is right is not looked at.
    Elsewhere,
    /// Who it is.
    Passed(String),
}

impl Verdict {
    /// Whether somebody tried what is not theirs.
    pub(crate) fn is_offence(&self) -> bool {
        matches!(self, Self::Wrong | Self::Elsewhere)
    }
}

/// The answer to a digest of another request (RFC 7616 section 3.4.6): asking again would not help.
pub(crate) fn elsewhere() -> Response<'static> {
    Response { phrase: Some("Bad Request: the digest is of another URI"), ..Response::new(400) }
}

/// Makes challenges for one realm and judges their answers.
#[derive(Debug)]
pub(crate) struct Challenger {
    realm: String,
    key: [u8; 16],
    /// In order of preference.
    algorithms: &'static [Algorithm],
    lifetime: Duration,
    /// Highest count seen of each nonce that was used with success.
    used: BTreeMap<Nonce, u32>,
    most_used: usize,
    /// Nonces up to here were forgotten: they count as used.
    forgotten: Option<Nonce>,
    /// Takes an unknown user's place, so that the work is the same.
    nobody: Secrets,
}

/// When a nonce was made, in milliseconds, and chance.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Nonce {
    made: u64,
    chance: u32,
}

/// The parameters of an Authorization header that matter.
struct Answer<'a> {
    username: &'a str,
    nonce: &'a str,
    uri: &'a str,
    response: &'a str,
    algorithm: Algorithm,
    /// Count, as written and read, and cnonce; absent without a quality of protection (RFC 2069).
    protection: Option<(&'a str, u32, &'a str)>,
}

impl Challenger {
    /// `most_used` bounds how many nonces in use are remembered.
    pub(crate) fn new(realm: &str, key: (u64, u64), digests: Digests, lifetime: Duration, most_used: usize) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&key.0.to_be_bytes());
        bytes[8..].copy_from_slice(&key.1.to_be_bytes());
        Self {
            realm: realm.to_owned(),
            key: bytes,
            algorithms: digests.algorithms(),
            lifetime,
            used: BTreeMap::new(),
            most_used,
            forgotten: None,
            nobody: Secrets::new("", realm, ""),
        }
    }

    /// The values of the WWW-Authenticate or Proxy-Authenticate headers, the best algorithm first (RFC 8760 section 2.3).
    /// Their length does not depend on who asks.
    pub(crate) fn challenges(&self, now: Monotonic, source: IpAddr, chance: u64, stale: bool) -> Vec<String> {
        let made = now.as_nanos() / 1_000_000;
        #[expect(clippy::cast_possible_truncation, reason = "half of the chance is enough")]
        let nonce = self.sealed(Nonce { made, chance: chance as u32 }, source);
        let realm = quoted(&self.realm);
        let stale = if stale { ", stale=true" } else { "" };
        let one = |algorithm: &Algorithm| {
            let name = algorithm.name(false);
            format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}")
        };
        self.algorithms.iter().map(one).collect()
    }

    /// Judges the credentials of a request in `header` (Authorization or Proxy-Authorization).
    pub(crate) fn judge<'a>(
        &mut self,
        now: Monotonic,
        source: IpAddr,
        message: &Message,
        header: Name,
        secrets_of: impl Fn(&str) -> Option<&'a Secrets>,
    ) -> Verdict {
        let ours = |given: &Challenge<'_>| given.is_digest() && given.value("realm") == Some(self.realm.as_bytes());
        let Some(given) = message.challenges(header).take(8).find(ours) else { return Verdict::Missing };
        let Some(answer) = Answer::read(&given) else { return Verdict::Missing };
        if !self.algorithms.contains(&answer.algorithm) {
            return Verdict::Missing;
        }
        let Some(nonce) = self.unsealed(now, answer.nonce, source) else { return Verdict::Stale };
        if !message.uri().is_ok_and(|uri| is_meant(answer.uri, &uri)) {
            return Verdict::Elsewhere;
        }
        let secrets = secrets_of(answer.username);
        let method = message.method_token().and_then(|method| std::str::from_utf8(method).ok()).unwrap_or_default();
        let expected = answer.digest(secrets.unwrap_or(&self.nobody).of(answer.algorithm), method);
        let right = same(expected.as_bytes(), answer.response.as_bytes());
        if !(right & secrets.is_some()) {
            return Verdict::Wrong;
        }
        if !self.counts(now, nonce, answer.protection.map_or(u32::MAX, |(_, count, _)| count)) {
            return Verdict::Stale;
        }
        Verdict::Passed(answer.username.to_owned())
    }

    /// Notes a use of a nonce; false when it was used so already. Counts may skip, never fall (RFC 7616 section 3.4).
    fn counts(&mut self, now: Monotonic, nonce: Nonce, count: u32) -> bool {
        if self.forgotten.is_some_and(|last| nonce <= last) {
            return false;
        }
        if let Some(last) = self.used.get_mut(&nonce) {
            let fresh = count > *last;
            *last = count.max(*last);
            return fresh;
        }
        let oldest = (now.as_nanos() / 1_000_000).saturating_sub(millis(self.lifetime));
        while let Some((&first, _)) = self.used.first_key_value()
            && (first.made < oldest || self.used.len() >= self.most_used.max(1))
        {
            self.used.pop_first();
            if first.made >= oldest {
                self.forgotten = self.forgotten.max(Some(first));
            }
        }
        // Room was made by forgetting younger nonces than this one.
        if self.forgotten.is_some_and(|last| nonce <= last) {
            return false;
        }
        self.used.insert(nonce, count);
        count > 0
    }

    fn sealed(&self, nonce: Nonce, source: IpAddr) -> String {
        let mut text = String::with_capacity(NONCE);
        let _ = write!(text, "{:012x}{:08x}", nonce.made & 0xffff_ffff_ffff, nonce.chance);
        let mut seal = Sha256::new();
        seal.update(self.key);
        seal.update(&text);
        match source.to_canonical() {
            IpAddr::V4(address) => seal.update(address.octets()),
            IpAddr::V6(address) => seal.update(address.octets()),
        }
        for byte in seal.finalize().iter().take((NONCE - 20) / 2) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The nonce, if it is ours, for this source and young enough.
    fn unsealed(&self, now: Monotonic, text: &str, source: IpAddr) -> Option<Nonce> {
        if text.len() != NONCE || !text.is_ascii() {
            return None;
        }
        let made = u64::from_str_radix(text.get(..12)?, 16).ok()?;
        let chance = u32::from_str_radix(text.get(12..20)?, 16).ok()?;
        let nonce = Nonce { made, chance };
        let age = (now.as_nanos() / 1_000_000).checked_sub(made)?;
        (same(self.sealed(nonce, source).as_bytes(), text.as_bytes()) && age <= millis(self.lifetime)).then_some(nonce)
    }
}

impl<'a> Answer<'a> {
    fn read(given: &Challenge<'a>) -> Option<Self> {
        let value = |name| given.value(name).and_then(|value| std::str::from_utf8(value).ok());
        let protection = match value("qop") {
            None => None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let count = value("nc").filter(|count| count.len() == 8)?;
                Some((count, u32::from_str_radix(count, 16).ok()?, value("cnonce")?))
            }
            Some(_) => return None,
        };
        let (algorithm, session) = Algorithm::named(value("algorithm"))?;
        let answer = Self {
            username: value("username")?,
            nonce: value("nonce")?,
            uri: value("uri")?,
            response: value("response")?,
            algorithm,
            protection,
        };
        let cnonce = protection.map_or("", |(.., cnonce)| cnonce);
        let short = [answer.username, answer.nonce, answer.uri, cnonce].iter().all(|text| text.len() <= LONGEST);
        (short && !session).then_some(answer)
    }

    fn digest(&self, a1: &str, method: &str) -> String {
        let a2 = self.algorithm.hex(&format!("{method}:{}", self.uri));
        let nonce = self.nonce;
        self.algorithm.hex(&match self.protection {
            Some((count, _, cnonce)) => format!("{a1}:{nonce}:{count}:{cnonce}:auth:{a2}"),
            None => format!("{a1}:{nonce}:{a2}"),
        })
    }
}

/// Whether a digest's URI names what the request names (RFC 7616 section 3.4.6); else whoever overhears one could ask for something
/// else with it. Compared as in RFC 3261 section 19.1.4, and more freely where phones write the two differently and mean the same: a
/// port that is the default, and what says how to get there (`transport`, `lr`, `user=phone`, a phone's own parameters) but not whom to reach.
fn is_meant(digest_uri: &str, request_uri: &Uri<'_>) -> bool {
    let Some(uri) = Uri::parse(digest_uri.as_bytes()) else { return false };
    let both = |name: &[u8]| match (uri.params().value(name), request_uri.params().value(name)) {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (None, None) => true,
        _ => false,
    };
    if uri.is_tel() && request_uri.is_tel() {
        return number_of(&uri) == number_of(request_uri) && both(b"phone-context");
    }
    if !uri.is_sip() || !request_uri.is_sip() {
        return uri.text == request_uri.text;
    }
    let secured = |uri: &Uri<'_>| {
        uri.is_sips() || uri.params().value(b"transport").is_some_and(|it| it.eq_ignore_ascii_case(b"tls"))
    };
    let default = if secured(&uri) || secured(request_uri) { 5061 } else { 5060 };
    uri.is_sips() == request_uri.is_sips()
        && uri.user_decoded() == request_uri.user_decoded()
        && same_host(&uri, request_uri)
        && uri.port.unwrap_or(default) == request_uri.port.unwrap_or(default)
        && [&b"maddr"[..], b"method", b"ttl"].into_iter().all(both)
        && uri.headers == request_uri.headers
}

/// Names in any case, IPv6 addresses as addresses (RFC 5954 section 4.2).
fn same_host(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    one.host.eq_ignore_ascii_case(other.host) || one.host_ip().is_some_and(|ip| other.host_ip() == Some(ip))
}

/// A telephone number without visual separators and parameters (RFC 3966 section 5.1.1).
fn number_of(uri: &Uri<'_>) -> Vec<u8> {
    let number = uri.user.unwrap_or_default();
    let digits = number.split(|byte| *byte == b';').next().unwrap_or_default();
    digits.iter().filter(|byte| !b"-.()".contains(byte)).copied().collect()
}

/// Compares without telling by time where a difference lies.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Credentials,
        auth::{Asker, Keyring},
    };
    use sip_codec::Limits;

    const HOUR: Duration = Duration::from_secs(3600);

    fn source() -> IpAddr {
        "192.0.2.7".parse().unwrap()
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::ORIGIN + Duration::from_secs(seconds)
    }

    fn challenger(most_used: usize) -> Challenger {
        Challenger::new("desk", (1, 2), Digests::Both, HOUR, most_used)
    }

    /// What a client makes of a challenge.
    fn answer(challenge: &str, username: &str, password: &str) -> String {
        let credentials = Credentials { realm: None, username: username.into(), password: password.into() };
        let mut keyring = Keyring::new(credentials, source());
        assert!(keyring.challenged(Asker::Server, [challenge.as_bytes()].into_iter(), 0, source()), "{challenge}");
        keyring.headers("REGISTER", "sip:desk", source(), "c0ffee").remove(0).1
    }

    fn judge(challenger: &mut Challenger, now: Monotonic, source: IpAddr, authorization: &str) -> Verdict {
        let text = format!("REGISTER sip:desk SIP/2.0\r\nAuthorization: {authorization}\r\n\r\n");
        let message = Message::parse(text.into(), &Limits::default()).unwrap();
        let anna = Secrets::new("anna", "desk", "canary");
        challenger.judge(now, source, &message, Name::Authorization, |user| (user == "anna").then_some(&anna))
    }

    fn passed() -> Verdict {
        Verdict::Passed("anna".into())
    }

    #[test]
    fn rfc8760_2_3_sha_256_is_offered_before_md5_and_both_open() {
        let mut challenger = challenger(8);
        let challenges = challenger.challenges(at(5), source(), 7, false);
        assert!(challenges[0].contains("algorithm=SHA-256,") && challenges[1].contains("algorithm=MD5,"));
        for challenge in &challenges {
            let mut other = self::challenger(8);
            assert_eq!(judge(&mut other, at(6), source(), &answer(challenge, "anna", "canary")), passed());
        }
        challenger.algorithms = &[Algorithm::Sha256];
        let md5 = answer(&challenges[1], "anna", "canary");
        assert_eq!(judge(&mut challenger, at(6), source(), &md5), Verdict::Missing, "MD5 was not offered");
    }

    #[test]
    fn rfc3261_22_4_a_nonce_opens_for_the_address_it_was_sent_to_and_until_it_expires() {
        let mut challenger = challenger(8);
        let given = answer(&challenger.challenges(at(5), source(), 7, false)[0], "anna", "canary");
        assert_eq!(judge(&mut challenger, at(6), "192.0.2.8".parse().unwrap(), &given), Verdict::Stale);
        assert_eq!(judge(&mut challenger, at(5 + 3601), source(), &given), Verdict::Stale);
        let forged = given.replace("nonce=\"0", "nonce=\"1");
        assert_eq!(judge(&mut challenger, at(6), source(), &forged), Verdict::Stale);
        assert_eq!(judge(&mut challenger, at(5 + 3600), source(), &given), passed());
    }

    #[test]
    fn rfc7616_3_4_a_count_is_taken_once_and_never_falls() {
        let mut challenger = challenger(8);
        let challenge = challenger.challenges(at(5), source(), 7, false).remove(0);
        let credentials = Credentials { realm: None, username: "anna".into(), password: "canary".into() };
        let mut keyring = Keyring::new(credentials, source());
        assert!(keyring.challenged(Asker::Server, [challenge.as_bytes()].into_iter(), 0, source()));
        let mut next = || keyring.headers("REGISTER", "sip:desk", source(), "c0ffee").remove(0).1;
        let (first, second, third) = (next(), next(), next());
        assert_eq!(judge(&mut challenger, at(6), source(), &first), passed());
        assert_eq!(judge(&mut challenger, at(6), source(), &first), Verdict::Stale, "a replay");
        assert_eq!(judge(&mut challenger, at(6), source(), &third), passed(), "gaps are fine");
        assert_eq!(judge(&mut challenger, at(6), source(), &second), Verdict::Stale);
    }

    #[test]
    fn without_a_quality_of_protection_a_nonce_opens_once() {
        let mut challenger = challenger(8);
        let challenge = challenger.challenges(at(5), source(), 7, false)[0].replace(", qop=\"auth\"", "");
        let given = answer(&challenge, "anna", "canary");
        assert_eq!(judge(&mut challenger, at(6), source(), &given), passed());
        assert_eq!(judge(&mut challenger, at(6), source(), &given), Verdict::Stale);
    }

    #[test]
    fn used_nonces_are_bounded_and_the_forgotten_ones_do_not_open_again() {
        let mut challenger = challenger(3);
        let all: Vec<String> = (0..10)
            .map(|second| answer(&challenger.challenges(at(second), source(), 7, false)[0], "anna", "canary"))
            .collect();
        for given in &all {
            assert_eq!(judge(&mut challenger, at(10), source(), given), passed());
            assert!(challenger.used.len() <= 3);
        }
        for given in &all {
            assert_eq!(judge(&mut challenger, at(10), source(), given), Verdict::Stale);
        }
    }

    #[test]
    fn an_unknown_user_and_a_wrong_password_are_told_apart_by_nobody() {
        let mut challenger = challenger(8);
        let challenge = challenger.challenges(at(5), source(), 7, false).remove(0);
        for (username, password) in [("anna", "wrong"), ("nobody", "canary"), ("", "")] {
            let given = answer(&challenge, username, password);
            assert_eq!(judge(&mut challenger, at(6), source(), &given), Verdict::Wrong, "{username}");
        }
        assert!(challenger.used.is_empty());
        let lengths: Vec<usize> =
            (0..50).map(|n| challenger.challenges(at(n * 997), source(), n * 0x1357_9bdf, false)[0].len()).collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]), "{lengths:?}");
    }

    #[test]
    fn what_cannot_be_read_or_is_for_another_realm_is_as_if_nothing_was_said() {
        let mut challenger = challenger(8);
        let good = answer(&challenger.challenges(at(5), source(), 7, false)[0], "anna", "canary");
        let long = "x".repeat(300);
        for given in [
            "Basic YTpi".to_owned(),
            good.replace("realm=\"desk\"", "realm=\"elsewhere\""),
            good.replace("nc=00000001", "nc=1"),
            good.replace("qop=auth", "qop=auth-int"),
            good.replace("algorithm=SHA-256", "algorithm=SHA-256-sess"),
            good.replace("username=\"anna\"", &format!("username=\"{long}\"")),
        ] {
            assert_eq!(judge(&mut challenger, at(6), source(), &given), Verdict::Missing, "{given}");
        }
        let other = good.replace("uri=\"sip:desk\"", "uri=\"sip:elsewhere\"");
        assert_eq!(judge(&mut challenger, at(6), source(), &other), Verdict::Elsewhere);
        assert_eq!(judge(&mut challenger, at(6), source(), &good), passed());
    }

    #[test]
    fn rfc7616_3_4_6_a_digest_is_of_the_request_that_it_came_with_however_phones_write_that() {
        for (request, digest, same) in [
            ("sip:desk", "sip:desk", true),
            ("sip:desk", "SIP:Desk", true),
            ("sip:desk", "sip:desk:5060", true),
            ("sip:desk:5060", "sip:desk", true),
            ("sip:desk:5060;transport=udp", "sip:desk", true),
            ("sip:desk;transport=tls", "sip:desk:5061", true),
            ("sip:desk:5061;transport=tls", "sip:desk;transport=tls", true),
            ("sips:desk", "sips:desk:5061", true),
            ("sip:desk;lr", "sip:desk;transport=tcp", true),
            ("sip:100@desk;user=phone", "sip:100@desk", true),
            ("sip:100@desk", "sip:100@desk;ob;x-vendor=7", true),
            ("sip:%2B4930@desk", "sip:+4930@desk", true),
            ("sip:100:secret@desk", "sip:100@desk", true),
            ("sip:[2001:db8::1]", "sip:[2001:DB8:0::1]:5060", true),
            ("tel:+49-30-123", "tel:+4930123", true),
            ("tel:7000;phone-context=desk", "tel:7000;phone-context=Desk", true),
            ("urn:service:sos", "urn:service:sos", true),
            // Somebody else, somewhere else, or in another way that matters.
            ("sip:100@desk", "sip:101@desk", false),
            ("sip:Anna@desk", "sip:anna@desk", false),
            ("sip:100@desk", "sip:desk", false),
            ("sip:desk", "sip:100@desk", false),
            ("sip:100@desk", "sip:100@elsewhere", false),
            ("sip:100@desk", "sip:100@desk.example", false),
            ("sip:desk:5070", "sip:desk", false),
            ("sip:desk", "sip:desk:5061", false),
            ("sip:desk:5060;transport=tls", "sip:desk", false),
            ("sips:100@desk", "sip:100@desk", false),
            ("sip:100@desk;maddr=192.0.2.66", "sip:100@desk", false),
            ("sip:100@desk", "sip:100@desk;method=BYE", false),
            ("sip:100@desk?Replaces=a", "sip:100@desk", false),
            ("tel:+4930123", "tel:+4930124", false),
            ("tel:7000;phone-context=desk", "tel:7000", false),
            ("tel:+4930123", "sip:+4930123@desk", false),
            ("urn:service:sos", "urn:service:sos.fire", false),
            ("sip:100@desk", "100@desk", false),
            ("sip:100@desk", "*", false),
            ("sip:100@desk", "", false),
        ] {
            let asked = Uri::parse(request.as_bytes()).unwrap();
            assert_eq!(is_meant(digest, &asked), same, "{digest} for {request}");
        }
    }

    #[test]
    fn whether_a_digest_of_another_request_is_right_is_told_to_nobody() {
        let mut challenger = challenger(8);
        let challenge = challenger.challenges(at(5), source(), 7, false).remove(0);
        for password in ["canary", "wrong"] {
            let given = answer(&challenge, "anna", password).replace("uri=\"sip:desk\"", "uri=\"sip:desk:5070\"");
            assert_eq!(judge(&mut challenger, at(6), source(), &given), Verdict::Elsewhere, "{password}");
        }
        let stale = answer(&challenge, "anna", "canary").replace("uri=\"sip:desk\"", "uri=\"sip:x\"");
        assert_eq!(judge(&mut challenger, at(9_999), source(), &stale), Verdict::Stale);
    }

    #[test]
    fn secrets_are_never_printed() {
        let secrets = Secrets::new("anna", "desk", "canary");
        let shown = format!("{secrets:?}");
        assert!(!shown.contains("canary") && !shown.contains(&secrets.md5), "{shown}");
    }
}
