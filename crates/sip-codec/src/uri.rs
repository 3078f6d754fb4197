//! URIs: SIP and SIPS taken apart, `tel:` and every other scheme kept as they are (RFC 3261 section 19.1, RFC 3966).

use crate::{
    param::{Params, is_sound},
    scan,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A URI over the bytes of its message.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The whole URI as written.
    pub text: &'a [u8],
    /// The scheme as written.
    pub scheme: &'a [u8],
    /// What precedes `@`, password included; for `tel:` the number.
    pub user: Option<&'a [u8]>,
    /// The host; empty for other schemes.
    pub host: &'a [u8],
    /// The port.
    pub port: Option<u16>,
    params: &'a [u8],
    /// What follows `?`.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI. SIP and SIPS URIs must have a host; white space and control characters are refused.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let colon = text.iter().position(|byte| *byte == b':')?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        let named = scheme == b"sip"
            || scheme.first()?.is_ascii_alphabetic()
                && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
        if !named || rest.is_empty() {
            return None;
        }
        // Where the parts begin. The user may contain `;` and `?`: what counts stands behind the first `@`.
        let (mut at, mut semicolon, mut question) = (None, None, None);
        for (place, byte) in rest.iter().enumerate() {
            match KINDS[usize::from(*byte)] {
                PLAIN => {}
                FOREIGN => return None,
                _ => match byte {
                    b'@' if at.is_none() => (at, semicolon, question) = (Some(place), None, None),
                    b';' if question.is_none() => {
                        semicolon.get_or_insert(place);
                    }
                    b'?' => {
                        question.get_or_insert(place);
                    }
                    _ => {}
                },
            }
        }
        let uri = Self { text, scheme, user: None, host: b"", port: None, params: b"", headers: b"" };
        if scheme.eq_ignore_ascii_case(b"tel") {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            return Some(Self { user: Some(&rest[..end]), params: &rest[end..], ..uri });
        }
        if !uri.is_sip() {
            return Some(uri);
        }
        let (user, begin) = at.map_or((None, 0), |at| (Some(&rest[..at]), at + 1));
        if user.is_some_and(<[u8]>::is_empty) {
            return None;
        }
        let end = question.unwrap_or(rest.len());
        let headers = rest.get(end + 1..).unwrap_or(b"");
        let semicolon = semicolon.unwrap_or(end);
        let (host, port) = host_port(&rest[begin..semicolon])?;
        Some(Self { user, host, port, params: &rest[semicolon..end], headers, ..uri })
    }

    /// True for `sip:` and `sips:`.
    pub fn is_sip(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sip") || self.is_sips()
    }

    /// True for `sips:`.
    pub fn is_sips(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"sips")
    }

    /// True for `tel:`.
    pub fn is_tel(&self) -> bool {
        self.scheme.eq_ignore_ascii_case(b"tel")
    }

    /// Its parameters.
    pub fn params(&self) -> Params<'a> {
        Params::of_uri(self.params)
    }

    /// The user with its percent escapes resolved, without the password.
    pub fn user_decoded(&self) -> Option<Vec<u8>> {
        let user = self.user?;
        let end = if self.is_sip() { memchr::memchr(b':', user).unwrap_or(user.len()) } else { user.len() };
        Some(unescape(&user[..end]))
    }

    /// The URI as written, without what follows `?`.
    pub fn without_headers(&self) -> &'a [u8] {
        // A `?` in the user part is the user's; the one before the headers is the last byte before them.
        let end = self.text.len() - self.headers.len();
        let bare = &self.text[..end];
        if self.is_sip() { bare.strip_suffix(b"?").unwrap_or(bare) } else { self.text }
    }

    /// The headers that a request to it is asked to carry (RFC 3261 section 19.1.1), escapes resolved: whatever is read here
    /// may hold any byte, and is fit for a message only after a look.
    pub fn header_fields(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + use<'a> {
        self.headers.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(|part| {
            let equals = memchr::memchr(b'=', part).unwrap_or(part.len());
            (unescape(&part[..equals]), unescape(part.get(equals + 1..).unwrap_or_default()))
        })
    }

    /// True when it names a loose router (RFC 3261 section 19.1.1).
    pub fn is_loose_router(&self) -> bool {
        self.params().has(b"lr")
    }

    /// The host as an address, brackets understood.
    pub fn host_ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// Equality of SIP URIs by RFC 3261 section 19.1.4, IPv6 hosts as addresses (RFC 5954 section 4.2); other schemes are equal when their text is.
    pub fn is_equal(&self, other: &Uri<'_>) -> bool {
        if !self.is_sip() || !other.is_sip() {
            return self.text == other.text;
        }
        if self.is_sips() != other.is_sips()
            || !same(self.user.unwrap_or(b""), other.user.unwrap_or(b""), true)
            || self.user.is_some() != other.user.is_some()
            || !same_host(self.host, other.host)
            || self.port != other.port
        {
            return false;
        }
        let both = |name: &[u8]| {
            let (one, two) = (self.params().value(name), other.params().value(name));
            one.is_some() == two.is_some() && same(one.unwrap_or(b""), two.unwrap_or(b""), false)
        };
        // These matter when only one side has them; others are compared only when both do.
        if ![&b"user"[..], b"ttl", b"method", b"maddr", b"transport"].into_iter().all(both) {
            return false;
        }
        let shared = self.params().iter().all(|(name, value)| match other.params().value(name) {
            Some(found) => same(value.unwrap_or(b""), found, false),
            None => true,
        });
        let sorted = |headers: &[u8]| {
            let mut all: Vec<Vec<u8>> = headers.split(|byte| *byte == b'&').map(<[u8]>::to_ascii_lowercase).collect();
            all.sort_unstable();
            all
        };
        shared && sorted(self.headers) == sorted(other.headers)
    }
}

const PLAIN: u8 = 0;
/// What stands in no URI, whatever its scheme.
const FOREIGN: u8 = 1;
/// What parts a SIP URI.
const MARK: u8 = 2;

static KINDS: [u8; 256] = {
    let mut table = [PLAIN; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = match byte {
            0..=b' ' | b'<' | b'>' | b'"' | 0x7f => FOREIGN,
            b'@' | b';' | b'?' => MARK,
            _ => PLAIN,
        };
        byte += 1;
    }
    table
};

/// Names without regard to case, IPv6 addresses as addresses: `[2001:db8::1]` is `[2001:DB8:0::1]` (RFC 5954 section 4.2).
fn same_host(a: &[u8], b: &[u8]) -> bool {
    let six = |host: &[u8]| if host.first() == Some(&b'[') { host_ip(host) } else { None };
    match (six(a), six(b)) {
        (Some(a), Some(b)) => a == b,
        _ => same(a, b, false),
    }
}

/// Compares with percent escapes decoded, with or without regard to case.
fn same(a: &[u8], b: &[u8], case: bool) -> bool {
    let (a, b) = (unescape(a), unescape(b));
    if case { a == b } else { a.eq_ignore_ascii_case(&b) }
}

/// Percent escapes resolved; a `%` that begins none stands for itself.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let escaped = (text[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

/// Host and port; the host keeps its brackets.
pub(crate) fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let text = text.trim_ascii();
    let end = if text.first() == Some(&b'[') {
        memchr::memchr(b']', text)? + 1
    } else {
        text.iter().position(|byte| *byte == b':').unwrap_or(text.len())
    };
    let (host, rest) = (text[..end].trim_ascii_end(), &text[end..]);
    if !is_host(host) {
        return None;
    }
    match rest {
        [] => Some((host, None)),
        [b':', digits @ ..] => Some((host, Some(port(digits.trim_ascii())?))),
        // White space between host and port is for Via.
        rest => match rest.trim_ascii() {
            [] => Some((host, None)),
            [b':', digits @ ..] => Some((host, Some(port(digits.trim_ascii())?))),
            _ => None,
        },
    }
}

/// Digits alone, up to 65,535.
fn port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u16, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A host name, an IPv4 address, or an IPv6 address in brackets. Names may begin with digits and have underscores, as many do;
/// digits and dots alone must be an address.
fn is_host(host: &[u8]) -> bool {
    match host {
        [] => false,
        [b'[', ..] => host_ip(host).is_some(),
        _ => {
            let (mut numeric, mut last) = (true, b'.');
            for byte in host {
                match byte {
                    b'0'..=b'9' => {}
                    b'.' if last == b'.' => return false,
                    b'.' => {}
                    b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' => numeric = false,
                    _ => return false,
                }
                last = *byte;
            }
            !numeric || is_ipv4(host)
        }
    }
}

/// Four numbers up to 255, without leading zeros, as the standard library reads them.
fn is_ipv4(host: &[u8]) -> bool {
    let (mut octets, mut digits, mut number) = (1, 0, 0_u32);
    for byte in host {
        if *byte == b'.' {
            if digits == 0 {
                return false;
            }
            (octets, digits, number) = (octets + 1, 0, 0);
        } else {
            if digits == 3 || (digits > 0 && number == 0) {
                return false;
            }
            (digits, number) = (digits + 1, number * 10 + u32::from(byte.wrapping_sub(b'0')));
            if number > 255 {
                return false;
            }
        }
    }
    octets == 4 && digits > 0
}

/// An address; IPv6 with or without brackets (RFC 5118 section 4.5), brackets around nothing else.
pub(crate) fn host_ip(host: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(host).ok()?;
    match text.strip_prefix('[') {
        // The longer grammar is tried last, and for what may be one only.
        None if text.contains(':') => text.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
        Some(rest) => {
            let inner = rest.strip_suffix(']')?;
            let address: Option<Ipv6Addr> = inner.parse().ok();
            // The grammar of RFC 3261 wrote `:::` before an embedded IPv4 address; RFC 5118 section 4.10 wants it understood.
            address.or_else(|| three_colons(inner)).map(IpAddr::V6)
        }
    }
}

fn three_colons(text: &str) -> Option<Ipv6Addr> {
    let (before, after) = text.split_once(":::")?;
    after.parse::<Ipv4Addr>().ok()?;
    format!("{before}::{after}").parse().ok()
}

/// True when a display name holds a control character that is neither white space nor escaped: no grammar allows it.
fn has_control(text: &[u8]) -> bool {
    let mut escaped = false;
    text.iter().any(|byte| {
        let bare = !escaped && (*byte < b' ' && !matches!(byte, b'\t' | b'\r' | b'\n') || *byte == 0x7f);
        escaped = *byte == b'\\' && !escaped;
        bare
    })
}

/// A name-addr or addr-spec with the header's parameters: From, To, Contact, Route and their kin.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name, quotes removed, escapes kept; empty when there is none.
    pub display: &'a [u8],
    /// The URI.
    pub uri: Uri<'a>,
    params: &'a [u8],
    /// The whole value as written.
    pub text: &'a [u8],
}

impl<'a> NameAddr<'a> {
    /// Reads a value. Without angle brackets everything after `;` is the header's (RFC 3261 section 20).
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let Some(open) = scan::position_outside(text, b'<') else {
            let end = memchr::memchr(b';', text).unwrap_or(text.len());
            let uri = Uri::parse(text[..end].trim_ascii_end())?;
            let params = &text[end..];
            // `?` and `,` may stand only inside of angle brackets.
            let bracketless = uri.headers.is_empty() && !scan::any(uri.text, |byte| matches!(byte, b'?' | b','));
            return (bracketless && is_sound(params, b"tag")).then_some(Self { display: b"", uri, params, text });
        };
        let close = open + memchr::memchr(b'>', &text[open..])?;
        let uri = Uri::parse(&text[open + 1..close])?;
        let params = &text[close + 1..];
        let display = match text[..open].trim_ascii() {
            quoted if scan::is_quoted(quoted) && !has_control(quoted) => &quoted[1..quoted.len() - 1],
            // Words; what is not theirs but cannot mislead anybody is let pass.
            words
                if scan::any(words, |byte| matches!(byte, b'"' | b',' | b';' | b'>' | b'\\')) || has_control(words) =>
            {
                return None;
            }
            words => words,
        };
        is_sound(params, b"tag").then_some(Self { display, uri, params, text })
    }

    /// The display name as text: quoted pairs resolved, folds as single spaces, what is not UTF-8 replaced.
    pub fn display_text(&self) -> String {
        let mut escaped = false;
        let mut out = crate::unfold(self.display);
        out.retain(|byte| {
            escaped = *byte == b'\\' && !escaped;
            !escaped
        });
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The header's parameters.
    pub fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// The tag.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params().value(b"tag").filter(|tag| !tag.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Digits and dots are an address where the standard library says so.
        #[test]
        fn four_numbers_are_an_address(host in "[0-9]{0,20}(\\.[0-9]{0,4}){0,5}") {
            proptest::prop_assert_eq!(is_ipv4(host.as_bytes()), host.parse::<Ipv4Addr>().is_ok());
        }
    }

    #[test]
    fn hosts_that_are_none_are_found() {
        for (host, good) in [
            (&b"example.com"[..], true),
            (b"example.com.", true),
            (b"9.example", true),
            (b"a_b-c", true),
            (b"10.0.0.1", true),
            (b"10.0.0.256", false),
            (b"10.0.0", false),
            (b".1", false),
            (b"a..b", false),
            (b"a b", false),
            (b"[::1]", true),
            (b"[::1", false),
            (b"", false),
        ] {
            assert_eq!(is_host(host), good, "{}", String::from_utf8_lossy(host));
        }
    }
}
