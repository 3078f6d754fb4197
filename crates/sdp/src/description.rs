//! Reading a peer's session description into what the machine needs of it.
//!
//! Lenient in what does not matter to us (missing `s=` or `t=`, text that is not UTF-8, broken bandwidths), strict in
//! what does: limits first, then syntax, then sense.

use crate::{
    Codec, Direction, MAX_ATTRIBUTES, MAX_BODY, MAX_MEDIA, OpusFormat, Refusal,
    crypto::{Crypto, MAX_CRYPTO},
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use sdp_types::{Connection, Media, Session};
use serde::{Deserialize, Serialize};

/// A peer's description: all its media lines in order, and the audio streams that RTP or SRTP could carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) lines: Vec<Line>,
    pub(crate) streams: Vec<Stream>,
    /// Why the other lines are no candidates; the first such reason is worth telling.
    pub(crate) unusable: Option<Refusal>,
    /// Dynamic payload types (96 to 127) that this description gives to encodings not known here, one bit each.
    pub(crate) foreign: u32,
}

/// A media line as an answer must repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) media: String,
    pub(crate) proto: String,
    /// The first format, enough for a line with port 0.
    pub(crate) format: String,
    pub(crate) enabled: bool,
}

/// One audio stream over RTP, plain or encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stream {
    /// Which media line it is.
    pub(crate) line: usize,
    pub(crate) remote: SocketAddr,
    pub(crate) remote_rtcp: SocketAddr,
    /// Codecs in the peer's order of preference, with its payload types.
    pub(crate) codecs: Vec<(Codec, u8)>,
    /// What it asks of Opus.
    pub(crate) opus: OpusFormat,
    /// Payload types of telephone-event, one a clock rate.
    pub(crate) telephone_event: Vec<(u32, u8)>,
    pub(crate) direction: Direction,
    pub(crate) ptime: Option<Duration>,
    pub(crate) maxptime: Option<Duration>,
    pub(crate) protection: Protection,
    pub(crate) rtcp_mux: bool,
}

/// What a stream says of its encryption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Protection {
    /// RTP/SAVP: nothing in plain.
    pub(crate) required: bool,
    /// Keys we could use, in the peer's order.
    pub(crate) keys: Vec<Crypto>,
    /// There was a key, of use or not.
    pub(crate) mentioned: bool,
}

impl Stream {
    /// Whether the peer's address says "send me nothing" (RFC 3264 section 8.4, the style of RFC 2543).
    pub(crate) fn is_nowhere(&self) -> bool {
        self.remote.ip().is_unspecified() || self.remote.port() == 0
    }
}

pub(crate) fn read(body: &[u8]) -> Result<Description, Refusal> {
    let text = bounded(body)?;
    let session =
        Session::parse(text.as_bytes()).map_err(|e| Refusal::malformed(format!("no session description: {e}")))?;
    let mut description = Description { lines: Vec::new(), streams: Vec::new(), unusable: None, foreign: 0 };
    for (index, media) in session.medias.iter().enumerate() {
        let format = media.fmt.split_ascii_whitespace().next();
        let format = format.ok_or_else(|| Refusal::malformed(format!("m={} has no format", media.media)))?;
        if media.media.is_empty() || media.proto.is_empty() {
            return Err(Refusal::malformed("m= has an empty field"));
        }
        description.lines.push(Line {
            media: media.media.clone(),
            proto: media.proto.clone(),
            format: format.to_owned(),
            enabled: media.port != 0,
        });
        match candidate(&session, index, media, &mut description.foreign)? {
            Ok(stream) => description.streams.push(stream),
            Err(why) => {
                // An audio line that fails explains more than a video line beside it.
                if description.unusable.is_none() || media.media.eq_ignore_ascii_case("audio") {
                    description.unusable = Some(why);
                }
            }
        }
    }
    Ok(description)
}

/// The lines that concern us as text, or a refusal of what is beyond the limits.
fn bounded(body: &[u8]) -> Result<String, Refusal> {
    if body.len() > MAX_BODY {
        return Err(Refusal::too_large(format!("body of {} bytes, at most {MAX_BODY} are read", body.len())));
    }
    let mut text = String::with_capacity(body.len());
    let (mut media, mut attributes) = (0, 0);
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line {
            [] => continue,
            [b'm', b'=', ..] => media += 1,
            [b'a', b'=', ..] => attributes += 1,
            // Nothing here depends on these, so their mistakes cost nobody a call.
            [b'b' | b'e' | b'i' | b'k' | b'p' | b'r' | b't' | b'u' | b'z', b'=', ..] => continue,
            _ => {}
        }
        text.push_str(&String::from_utf8_lossy(line));
        text.push_str("\r\n");
    }
    if media > MAX_MEDIA {
        return Err(Refusal::too_large(format!("{media} media descriptions, at most {MAX_MEDIA} are read")));
    }
    if attributes > MAX_ATTRIBUTES {
        return Err(Refusal::too_large(format!("{attributes} attributes, at most {MAX_ATTRIBUTES} are read")));
    }
    Ok(text)
}

/// One media line as an audio stream. The outer error refuses the whole body, the inner one only this line.
fn candidate(
    session: &Session,
    line: usize,
    media: &Media,
    foreign: &mut u32,
) -> Result<Result<Stream, Refusal>, Refusal> {
    if media.port == 0 {
        return Ok(Err(Refusal::not_acceptable(304, format!("the {} stream is switched off (port 0)", media.media))));
    }
    if !media.media.eq_ignore_ascii_case("audio") {
        return Ok(Err(Refusal::not_acceptable(304, format!("media {}, only audio is supported", media.media))));
    }
    let Some(protection) = protection(media) else {
        let why = format!("audio over {}, only RTP/AVP and RTP/SAVP are supported", media.proto);
        return Ok(Err(Refusal::not_acceptable(302, why)));
    };
    let formats = formats(media, foreign)?;
    let Some(connection) = media.connections.first().or(session.connection.as_ref()) else {
        return Err(Refusal::malformed("audio without a connection address (c=)"));
    };
    let address = match address(connection)? {
        Ok(address) => address,
        Err(why) => return Ok(Err(why)),
    };
    let remote = SocketAddr::new(address, media.port);
    Ok(Ok(Stream {
        line,
        remote,
        remote_rtcp: rtcp(media, remote),
        codecs: formats.codecs,
        opus: formats.opus,
        telephone_event: formats.telephone_event,
        direction: direction(&media.attributes).or_else(|| direction(&session.attributes)).unwrap_or_default(),
        ptime: milliseconds(media, "ptime"),
        maxptime: milliseconds(media, "maxptime"),
        protection,
        rtcp_mux: media.attributes.iter().any(|attribute| attribute.attribute.eq_ignore_ascii_case("rtcp-mux")),
    }))
}

/// By its transport and its keys (RFC 4568); `None`: another transport than RTP's.
fn protection(media: &Media) -> Option<Protection> {
    let is = |protos: [&str; 2]| protos.iter().any(|proto| media.proto.eq_ignore_ascii_case(proto));
    let required = is(["RTP/SAVP", "RTP/SAVPF"]);
    if !required && !is(["RTP/AVP", "RTP/AVPF"]) {
        return None;
    }
    let mut keys: Vec<Crypto> = Vec::new();
    for crypto in values(media, "crypto").filter_map(Crypto::read) {
        // A tag names one line (RFC 4568 section 9.1); a second one of it is not offered.
        if keys.len() < MAX_CRYPTO && keys.iter().all(|known| known.tag != crypto.tag) {
            keys.push(crypto);
        }
    }
    Some(Protection { required, keys, mentioned: values(media, "crypto").next().is_some() })
}

struct Formats {
    codecs: Vec<(Codec, u8)>,
    opus: OpusFormat,
    telephone_event: Vec<(u32, u8)>,
}

/// The formats of an audio line that are known here, matched by `a=rtpmap`, or by number where RFC 3551 assigns one.
fn formats(media: &Media, foreign: &mut u32) -> Result<Formats, Refusal> {
    let mut found = Formats { codecs: Vec::new(), opus: OpusFormat::default(), telephone_event: Vec::new() };
    let mut seen = 0_u128;
    for format in media.fmt.split_ascii_whitespace() {
        let payload_type = payload_type(format)?;
        let bit = 1 << payload_type;
        // 72 to 76 would be taken for RTCP (RFC 3551 section 6).
        if seen & bit != 0 || (72..=76).contains(&payload_type) {
            continue;
        }
        seen |= bit;
        let map = rtpmap(media, payload_type)?;
        let codec = match map {
            Some(map) => Codec::of_rtpmap(map.name, map.clock, map.channels),
            None => Codec::of_static(payload_type),
        };
        if let Some(codec) = codec {
            if codec == Codec::Opus && found.codecs.iter().all(|(known, _)| *known != codec) {
                found.opus = opus(media, payload_type);
            }
            found.codecs.push((codec, payload_type));
        } else if let Some(clock) = map.and_then(event_clock) {
            if found.telephone_event.iter().all(|(known, _)| *known != clock) && digits_accepted(media, payload_type) {
                found.telephone_event.push((clock, payload_type));
            }
        } else if payload_type >= 96 {
            *foreign |= 1 << (payload_type - 96);
        }
    }
    Ok(found)
}

fn payload_type(text: &str) -> Result<u8, Refusal> {
    match text.parse::<u8>() {
        Ok(number @ 0..=127) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err(Refusal::malformed(format!("payload type {}, expected 0 to 127", excerpt(text)))),
    }
}

#[derive(Copy, Clone)]
struct RtpMap<'a> {
    name: &'a str,
    clock: u32,
    channels: u8,
}

/// The clock of telephone-event, where it is that at a clock of a codec known here (RFC 4733 section 2.1: both run at the same).
fn event_clock(map: RtpMap<'_>) -> Option<u32> {
    let known = matches!(map.clock, 8000 | 16_000 | 48_000);
    (known && map.name.eq_ignore_ascii_case("telephone-event")).then_some(map.clock)
}

/// The first `a=rtpmap` of a payload type. One that cannot be read stands for an unknown encoding.
fn rtpmap(media: &Media, wanted: u8) -> Result<Option<RtpMap<'_>>, Refusal> {
    for value in values(media, "rtpmap") {
        let (number, encoding) = value.trim_start().split_once(' ').unwrap_or((value.trim(), ""));
        if payload_type(number)? != wanted {
            continue;
        }
        let mut parts = encoding.trim().split('/');
        let name = parts.next().unwrap_or_default();
        let clock = parts.next().and_then(|clock| clock.parse().ok()).unwrap_or(0);
        let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok()).unwrap_or(0);
        return Ok(Some(RtpMap { name, clock, channels }));
    }
    Ok(None)
}

/// What `a=fmtp` asks of Opus. A bit rate beyond what Opus can do is none.
fn opus(media: &Media, payload_type: u8) -> OpusFormat {
    let mut format = OpusFormat::default();
    let lists = values(media, "fmtp").filter_map(|value| value.trim_start().split_once(' '));
    let lists = lists.filter(|(number, _)| number.parse() == Ok(payload_type));
    for parameter in lists.flat_map(|(_, list)| list.split(';')) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("maxaveragebitrate") {
            format.max_average_bitrate = value.parse().ok().filter(|rate| (6000..=510_000).contains(rate));
        } else if name.eq_ignore_ascii_case("useinbandfec") {
            format.fec = value == "1";
        } else if name.eq_ignore_ascii_case("cbr") {
            format.cbr = value == "1";
        }
    }
    format
}

/// Whether the events that `a=fmtp` lists for telephone-event hold the digits 0 to 9, * and # (0 to 11). No list means
/// 0 to 15 (RFC 4733 section 2.4.1).
fn digits_accepted(media: &Media, payload_type: u8) -> bool {
    let lists = values(media, "fmtp").filter_map(|value| value.trim_start().split_once(' '));
    let Some((_, list)) = lists.into_iter().find(|(number, _)| number.parse() == Ok(payload_type)) else { return true };
    let list = list.trim();
    // Some write `events=0-15`; anything that is no list of numbers restricts nothing.
    let list = list.strip_prefix("events=").unwrap_or(list);
    if !list.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'-' | b' ')) || list.is_empty() {
        return true;
    }
    let mut accepted = 0_u16;
    for range in list.split(',') {
        let (first, last) = range.trim().split_once('-').unwrap_or((range.trim(), range.trim()));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) {
            for event in first..=last.min(11) {
                accepted |= 1 << event;
            }
        }
    }
    accepted == 0x0fff
}

/// Where a connection line points. The outer error is a lie in the line, the inner one an address we cannot send to.
fn address(connection: &Connection) -> Result<Result<IpAddr, Refusal>, Refusal> {
    let text = connection.connection_address.as_str();
    let kind = connection.addrtype.as_str();
    if !connection.nettype.as_str().eq_ignore_ascii_case("IN") {
        let why = format!("network type {}, only IN is supported", excerpt(connection.nettype.as_str()));
        return Ok(Err(Refusal::not_acceptable(301, why)));
    }
    let ip4 = kind.eq_ignore_ascii_case("IP4");
    if !ip4 && !kind.eq_ignore_ascii_case("IP6") {
        let why = format!("address type {}, expected IP4 or IP6", excerpt(kind));
        return Ok(Err(Refusal::not_acceptable(301, why)));
    }
    if text.to_ascii_lowercase().ends_with(".invalid") {
        // How a host without a usable address says "nowhere" (RFC 6157 section 5).
        return Ok(Ok(if ip4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }));
    }
    let Ok(parsed) = text.parse::<IpAddr>() else {
        return Ok(Err(Refusal::not_acceptable(
            301,
            format!("connection address {}, expected an IP address", excerpt(text)),
        )));
    };
    if parsed.is_ipv4() != ip4 {
        return Err(Refusal::malformed(format!("connection address {text} is not of type {}", excerpt(kind))));
    }
    let address = parsed.to_canonical();
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_multicast() || broadcast {
        return Ok(Err(Refusal::not_acceptable(301, format!("connection address {text}, expected a unicast address"))));
    }
    Ok(Ok(address))
}

/// `a=rtcp:PORT [IN IP4 ADDRESS]` (RFC 3605), or the port after RTP's; one that makes no sense counts as absent.
fn rtcp(media: &Media, rtp: SocketAddr) -> SocketAddr {
    let next = SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1));
    let Some(value) = values(media, "rtcp").next() else { return next };
    let mut parts = value.split_ascii_whitespace();
    let Some(port @ 1..) = parts.next().and_then(|port| port.parse::<u16>().ok()) else { return next };
    let address = parts.nth(2).and_then(|address| address.parse::<IpAddr>().ok()).map(|address| address.to_canonical());
    match address {
        Some(address) if address.is_ipv4() == rtp.is_ipv4() && !address.is_multicast() => {
            SocketAddr::new(address, port)
        }
        _ => SocketAddr::new(rtp.ip(), port),
    }
}

fn direction(attributes: &[sdp_types::Attribute]) -> Option<Direction> {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    attributes.iter().find_map(|attribute| {
        let name = attribute.attribute.trim();
        all.into_iter().find(|direction| direction.name().eq_ignore_ascii_case(name))
    })
}

fn milliseconds(media: &Media, name: &'static str) -> Option<Duration> {
    let value = values(media, name).next()?.trim();
    // `a=ptime:20.000` is seen; fractions of a millisecond mean nothing here.
    let whole = value.split_once('.').map_or(value, |(whole, _)| whole);
    whole.parse::<u16>().ok().map(|milliseconds| Duration::from_millis(milliseconds.into()))
}

fn values<'a>(media: &'a Media, name: &'static str) -> impl Iterator<Item = &'a str> {
    let named = media.attributes.iter().filter(move |attribute| attribute.attribute.eq_ignore_ascii_case(name));
    named.filter_map(|attribute| attribute.value.as_deref())
}

/// A peer's text short enough for an error message.
fn excerpt(text: &str) -> String {
    text.chars().take(40).filter(|c| !c.is_control()).collect()
}
