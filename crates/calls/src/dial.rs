//! From a target's URI to where its INVITE goes, through which trunk, and what that peer may see.

use crate::{Config, RequestUri, Trunk, leg::Peer};
use serde::{Deserialize, Serialize};
use signaling::{
    Transport,
    locate::{Target, Wanted},
};
use smallvec::smallvec;
use std::{borrow::Cow, net::SocketAddr};

pub(crate) use crate::leg::Hop;

/// A target that can be dialled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) hop: Hop,
    pub(crate) peer: Peer,
    /// What the peer may see of the call.
    pub(crate) sees: Sees,
    /// The Route of a registration, first hop first.
    pub(crate) routes: Vec<String>,
}

/// What a peer may see.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sees {
    /// A carrier: nothing but the call itself.
    Nothing,
    /// The call's id.
    CallId,
    /// The context too.
    Context,
}

/// Where a target that rings a human goes: the ways that lead there, one or, for a number, every trunk that may reach it. `through` is the trunk its destination names, `brought` the one that brought the
/// call, `named` whether a destination of the rules names it (a direct URI of a command does not make its host trusted).
pub(crate) fn human(
    config: &Config,
    target: &str,
    through: Option<&str>,
    brought: &str,
    named: bool,
) -> Result<Vec<Route>, &'static str> {
    if scheme(target) == Some("tel") {
        let number = number(target);
        let reaches = |name: &&str| {
            config.trunks.get(*name).is_some_and(|trunk| {
                !trunk.host.is_empty() && trunk.tel.iter().any(|start| number.starts_with(start.as_str()))
            })
        };
        let mut candidates = match through {
            Some(trunk) => vec![trunk],
            // Whoever brought the call may take it on, and any trunk that may.
            None => {
                let others = config.trunks.keys().map(String::as_str).filter(|name| *name != brought);
                std::iter::once(brought).chain(others).collect()
            }
        };
        candidates.retain(|name| reaches(name));
        if candidates.is_empty() {
            return Err("no trunk may reach this number");
        }
        return candidates.into_iter().map(|name| by_trunk(config, name)).collect();
    }
    if let Some(trunk) = through {
        return by_trunk(config, trunk).map(|route| vec![route]);
    }
    let (host, port) = host_port(target).ok_or("the URI has no host that can be dialled")?;
    let hop = hop(host, port);
    // A direct URI that leads to a configured peer is that peer, with its credentials and its trust.
    let configured = config.trunks.iter().find(|(_, trunk)| trunk.host == host && port_of(trunk.port) == port_of(port));
    if let Some((name, trunk)) = configured {
        let sees = if trunk.trusted || named { Sees::Context } else { Sees::CallId };
        return Ok(vec![Route { hop, peer: Peer::Trunk(name.clone()), sees, routes: Vec::new() }]);
    }
    let sees = if named { Sees::Context } else { Sees::CallId };
    Ok(vec![Route { hop, peer: Peer::Direct, sees, routes: Vec::new() }])
}

fn by_trunk(config: &Config, name: &str) -> Result<Route, &'static str> {
    let trunk = config.trunks.get(name).ok_or("the destination's trunk is not configured")?;
    if trunk.host.is_empty() {
        return Err("the destination's trunk has no address to call");
    }
    let sees = if trunk.trusted { Sees::Context } else { Sees::Nothing };
    let hop = hop(&trunk.host, trunk.port);
    Ok(Route { hop, peer: Peer::Trunk(name.to_owned()), sees, routes: Vec::new() })
}

/// Where an AI profile is dialled: by its trunks, by its proxy, or by its URI.
pub(crate) fn ai(config: &Config, profile: &crate::AiProfile, name: &str) -> Result<Vec<Route>, &'static str> {
    if !profile.trunks.is_empty() {
        let by = |trunk: &String| Ok(Route { sees: Sees::Context, ..by_trunk(config, trunk)? });
        return profile.trunks.iter().map(by).collect();
    }
    let proxied = profile.proxy.as_ref().map(|proxy| format!("sip:{proxy}"));
    let (host, port) = host_port(proxied.as_deref().unwrap_or(&profile.uri)).ok_or("the profile's URI has no host")?;
    let peer = Peer::Ai(name.to_owned());
    Ok(vec![Route { hop: hop(host, port), peer, sees: Sees::Context, routes: Vec::new() }])
}

/// The host of the addresses we write on a listener, as peers see it.
pub(crate) fn own_host(config: &Config, local: SocketAddr) -> String {
    let listener = config.listeners.iter().find(|listener| listener.local == local);
    host_text(listener.map_or(local, |listener| listener.advertised)).into_owned()
}

/// The Request-URI of a target as a trunk wants it (RFC 3261, section 19.1.6).
pub(crate) fn request_uri(trunk: &Trunk, target: &str) -> String {
    if scheme(target) != Some("tel") || trunk.identity.request_uri == RequestUri::Tel {
        return target.to_owned();
    }
    format!("sip:{}@{};user=phone", trunk.written(&number(target)), crate::trunks::authority(trunk))
}

fn host_text(address: SocketAddr) -> Cow<'static, str> {
    match address {
        SocketAddr::V4(address) => address.ip().to_string().into(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()).into(),
    }
}

impl Hop {
    /// Where a Route header's first value leads.
    pub(crate) fn of_route(route: &str) -> Option<Self> {
        let uri = route.split_once('<')?.1.split_once('>')?.0;
        host_port(uri).map(|(host, port)| hop(host, port))
    }
}

pub(crate) fn hop(host: &str, port: Option<u16>) -> Hop {
    match host.parse() {
        Ok(ip) => {
            let address = SocketAddr::new(ip, port_of(port));
            Hop::Targets(smallvec![Target { transport: Transport::Udp, address, name: None }])
        }
        Err(_) => Hop::Wanted(Wanted::host(host, port)),
    }
}

/// The port that is meant where none is written and SRV records name none.
fn port_of(port: Option<u16>) -> u16 {
    port.unwrap_or_else(|| Transport::Udp.default_port())
}

/// `sip`, `sips` or `tel`.
pub(crate) fn scheme(uri: &str) -> Option<&'static str> {
    let (scheme, _) = uri.split_once(':')?;
    ["sip", "sips", "tel"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
}

/// The number of a `tel:` URI without visual separators (RFC 3966, section 5.1.1).
fn number(uri: &str) -> String {
    let number = uri.split_once(':').map_or(uri, |(_, number)| number);
    let number = number.split(';').next().unwrap_or_default();
    number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()
}

/// Host (without brackets) and port, if one is written, of a `sip:` URI over UDP. Other transports are not built yet.
fn host_port(uri: &str) -> Option<(&str, Option<u16>)> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") {
        return None;
    }
    let rest = rest.split('?').next()?;
    // Parameters of the user part may hold a semicolon; the host begins after the last `@`.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let mut parameters = rest.split(';');
    let host = parameters.next()?;
    let transport = parameters.find_map(|parameter| parameter.split_once('=').filter(|(name, _)| *name == "transport"));
    if transport.is_some_and(|(_, value)| !value.eq_ignore_ascii_case("udp")) {
        return None;
    }
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address, port.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None => None,
    };
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'_');
    (!host.is_empty() && host.len() <= 253 && host.bytes().all(fine)).then_some((host, port))
}

/// What is wrong with a URI that a command names; `None` when it can be dialled.
pub(crate) fn fault(uri: &str) -> Option<&'static str> {
    if uri.len() > 512 {
        return Some("a URI of at most 512 bytes was expected");
    }
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\' | b'^' | b'`')) {
        return Some("a URI without spaces, brackets, quotes and control characters was expected");
    }
    match scheme(uri) {
        Some("tel") => {
            let number = number(uri);
            let digits = number.strip_prefix('+').unwrap_or(&number);
            let fine = !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|b| b.is_ascii_digit());
            (!fine).then_some("tel: was expected to be followed by a number, for example tel:+15550199")
        }
        Some("sip") if host_port(uri).is_some() => None,
        Some("sip") => Some("a host that can be reached over UDP was expected, for example sip:100@pbx.example.net"),
        _ => Some("sips: needs TLS, which is not built yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trunk(host: &str, trusted: bool) -> Trunk {
        Trunk { host: host.into(), trusted, ..Trunk::default() }
    }

    fn config() -> Config {
        Config {
            trunks: [
                ("carrier".to_owned(), Trunk { tel: vec!["+49".into()], ..trunk("192.0.2.1", false) }),
                ("pbx".to_owned(), trunk("192.0.2.2", true)),
            ]
            .into(),
            ..Config::default()
        }
    }

    #[test]
    fn a_uri_leads_to_its_host_and_port() {
        let of = host_port;
        assert_eq!(of("sip:anna@192.0.2.9"), Some(("192.0.2.9", None)));
        assert_eq!(of("sip:anna;x=y@pbx.example.net:5070;lr"), Some(("pbx.example.net", Some(5070))));
        assert_eq!(of("SIP:[2001:db8::1]:5080"), Some(("2001:db8::1", Some(5080))));
        assert_eq!(of("sip:anna@192.0.2.9;transport=tcp"), None);
        assert_eq!(of("sips:anna@192.0.2.9"), None);
        assert_eq!(of("sip:"), None);
        assert_eq!(of("sip:a@h:99999"), None);
        assert_eq!(of("sip:a@h:0"), None);
    }

    #[test]
    fn a_number_goes_through_a_trunk_that_may_reach_it() {
        let config = config();
        let both = human(&config, "tel:+49-30-123", None, "carrier", false).unwrap();
        let names: Vec<_> = both.iter().filter_map(|route| route.peer.trunk()).collect();
        assert_eq!(names, ["carrier", "pbx"]);
        let german = &both[0];
        assert_eq!(german.peer, Peer::Trunk("carrier".into()));
        assert_eq!(german.sees, Sees::Nothing, "a carrier never sees a customer's name");
        let american = human(&config, "tel:+15550199", None, "carrier", false).unwrap().remove(0);
        assert_eq!(american.peer, Peer::Trunk("pbx".into()));
        assert!(human(&config, "tel:+15550199", Some("carrier"), "carrier", false).is_err());
    }

    #[test]
    fn a_direct_uri_is_not_trusted_by_being_named_in_a_command() {
        let config = config();
        let sees = |target, named| human(&config, target, None, "carrier", named).unwrap().remove(0).sees;
        assert_eq!(sees("sip:100@198.51.100.9", true), Sees::Context);
        assert_eq!(sees("sip:100@198.51.100.9", false), Sees::CallId);
        assert_eq!(sees("sip:100@192.0.2.2", false), Sees::Context);
    }

    #[test]
    fn rfc3261_19_1_6_a_number_is_dialled_as_its_trunk_wants_it() {
        let mut carrier = trunk("sip.carrier.example", false);
        assert_eq!(request_uri(&carrier, "tel:+49-30-123"), "tel:+49-30-123");
        carrier.identity.request_uri = RequestUri::Sip;
        assert_eq!(request_uri(&carrier, "tel:+49-30-123"), "sip:+4930123@sip.carrier.example;user=phone");
        carrier.numbers.country = Some("49".into());
        carrier.numbers.national_prefix = "0".into();
        carrier.identity.format = crate::NumberFormat::National;
        (carrier.host, carrier.port) = ("2001:db8::1".into(), Some(5080));
        assert_eq!(request_uri(&carrier, "tel:+4930123"), "sip:030123@[2001:db8::1]:5080;user=phone");
        assert_eq!(request_uri(&carrier, "sip:anna@pbx"), "sip:anna@pbx");
    }

    #[test]
    fn a_uri_that_cannot_be_dialled_says_why() {
        assert_eq!(fault("sip:100@192.0.2.1"), None);
        assert_eq!(fault("tel:+15550199"), None);
        for wrong in ["tel:", "tel:abc", "sip:", "sip:a b@c", "sips:a@b", "sip:a@b\r\nX: y", "sip:<a>@b"] {
            assert!(fault(wrong).is_some(), "{wrong:?}");
        }
    }
}
