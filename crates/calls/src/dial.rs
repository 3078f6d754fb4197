//! From a target's URI to where its INVITE goes, through which trunk, and what that peer may see.

use crate::{Config, RequestUri, Trunk, leg::Peer};
use serde::{Deserialize, Serialize};
use signaling::{
    Flow, Transport,
    locate::{Target, Wanted},
};
use smallvec::smallvec;
use std::sync::Arc;
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
    /// The registered phone that it leads to, if it leads to one.
    pub(crate) phone: Option<Arc<signaling::Contact>>,
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

/// What an operator reads of a number that they have ruled out.
const NOT_DIALLED: &str = "this number is not dialled here; see `dialling` of the configuration";

/// Where a target that rings a human goes: the ways that lead there, one or, for a number, every trunk that may reach it. `through` is the trunk its destination names, `brought` the one that brought the
/// call, `named` whether a destination of the rules names it (a direct URI of a command does not make its host trusted).
pub(crate) fn human(
    config: &Config,
    target: &str,
    through: Option<&str>,
    brought: &str,
    named: bool,
) -> Result<Vec<Route>, &'static str> {
    if config.agents.account(target).is_some() {
        return Err("no phone is registered for this account");
    }
    if scheme(target) == Some("tel") {
        let number = number(target);
        if config.dialling.refuses(&number) {
            return Err(NOT_DIALLED);
        }
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
    let wanted = wanted(target).ok_or("the URI has no host that can be dialled")?;
    // A direct URI that leads to a configured peer is that peer, with its credentials and its trust.
    let over = |trunk: &Trunk| Wanted { transport: wanted.transport.or(trunk.transport), ..wanted.clone() };
    let configured = config
        .trunks
        .iter()
        .find(|(_, trunk)| trunk.host == wanted.host && port_of(&trunk.wanted()) == port_of(&over(trunk)));
    if let Some((name, trunk)) = configured {
        let user = user(target);
        let number = trunk.numbers.canonical(&user);
        // An extension is no number of the public network.
        if number.starts_with('+') && config.dialling.refuses(&number) {
            return Err(NOT_DIALLED);
        }
        let hop = hop(&over(trunk), trunk.tls_name.as_deref());
        let sees = if trunk.trusted || named { Sees::Context } else { Sees::CallId };
        return Ok(vec![Route { hop, peer: Peer::Trunk(name.clone()), sees, routes: Vec::new(), phone: None }]);
    }
    let sees = if named { Sees::Context } else { Sees::CallId };
    Ok(vec![Route { hop: hop(&wanted, None), peer: Peer::Direct, sees, routes: Vec::new(), phone: None }])
}

/// Who a target is as a number, in E.164 where its trunk's rules can say so; the user of a URI that is no number.
pub(crate) fn called_number(config: &Config, target: &str, ways: &[Route]) -> String {
    if scheme(target) == Some("tel") {
        return number(target);
    }
    let user = user(target);
    let trunk = ways.first().and_then(|way| way.peer.trunk()).and_then(|name| config.trunks.get(name));
    trunk.map_or(user.clone(), |trunk| trunk.numbers.canonical(&user))
}

/// Where a registered phone is reached. It is one of our own: it may see what is said of the call.
pub(crate) fn phone(phone: &Arc<signaling::Contact>) -> Route {
    let target = Target { transport: phone.flow.transport, address: phone.flow.remote, name: None };
    Route {
        hop: Hop::Targets(smallvec![target]),
        peer: Peer::Direct,
        sees: Sees::Context,
        routes: Vec::new(),
        phone: Some(Arc::clone(phone)),
    }
}

fn by_trunk(config: &Config, name: &str) -> Result<Route, &'static str> {
    let trunk = config.trunks.get(name).ok_or("the destination's trunk is not configured")?;
    if trunk.host.is_empty() {
        return Err("the destination's trunk has no address to call");
    }
    let sees = if trunk.trusted { Sees::Context } else { Sees::Nothing };
    let hop = hop(&trunk.wanted(), trunk.tls_name.as_deref());
    Ok(Route { hop, peer: Peer::Trunk(name.to_owned()), sees, routes: Vec::new(), phone: None })
}

/// Straight to these trunks, one after the other.
pub(crate) fn by_trunks(config: &Config, trunks: &[String]) -> Result<Vec<Route>, &'static str> {
    trunks.iter().map(|trunk| by_trunk(config, trunk)).collect()
}

/// Where an AI profile is dialled: by its trunks, by its proxy, or by its URI.
pub(crate) fn ai(config: &Config, profile: &crate::AiProfile, name: &str) -> Result<Vec<Route>, &'static str> {
    const NO_HOST: &str = "the profile's URI has no host";
    if !profile.trunks.is_empty() {
        let by = |trunk: &String| Ok(Route { sees: Sees::Context, ..by_trunk(config, trunk)? });
        return profile.trunks.iter().map(by).collect();
    }
    let mut wanted = wanted(&profile.uri).ok_or(NO_HOST)?;
    if let Some(proxy) = &profile.proxy {
        let proxy = self::wanted(&format!("sip:{proxy}")).ok_or(NO_HOST)?;
        (wanted.host, wanted.port) = (proxy.host, proxy.port);
    }
    let peer = Peer::Ai(name.to_owned());
    Ok(vec![Route { hop: hop(&wanted, None), peer, sees: Sees::Context, routes: Vec::new(), phone: None }])
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
        wanted(uri).map(|wanted| hop(&wanted, None))
    }
}

/// An address is a target as it is; `tls_name` is what its certificate must show instead of the address.
pub(crate) fn hop(wanted: &Wanted, tls_name: Option<&str>) -> Hop {
    match wanted.host.parse() {
        Ok(ip) => {
            let (transport, address) = (transport_of(wanted), SocketAddr::new(ip, port_of(wanted)));
            Hop::Targets(smallvec![Target { transport, address, name: tls_name.map(Into::into) }])
        }
        Err(_) => Hop::Wanted(wanted.clone()),
    }
}

/// The first of the targets that a listener of ours reaches, and the name its certificate must show.
pub(crate) fn reached(config: &Config, targets: Vec<Target>) -> Option<(Flow, Option<Arc<str>>)> {
    targets.into_iter().find_map(|target| {
        let fits = |listener: &&signaling::Listener| {
            listener.transport == target.transport && listener.local.is_ipv4() == target.address.is_ipv4()
        };
        let listener = config.listeners.iter().find(fits)?;
        Some((Flow::new(target.transport, listener.local, target.address), target.name))
    })
}

/// The transport that is meant where none is written and the DNS is not asked (RFC 3263 section 4.1).
fn transport_of(wanted: &Wanted) -> Transport {
    if wanted.secure { Transport::Tls } else { wanted.transport.unwrap_or_default() }
}

/// The port that is meant where none is written and SRV records name none.
pub(crate) fn port_of(wanted: &Wanted) -> u16 {
    wanted.port.unwrap_or_else(|| transport_of(wanted).default_port())
}

/// `sip`, `sips` or `tel`.
pub(crate) fn scheme(uri: &str) -> Option<&'static str> {
    let (scheme, _) = uri.split_once(':')?;
    ["sip", "sips", "tel"].into_iter().find(|known| scheme.eq_ignore_ascii_case(known))
}

/// The user of a `sip:` URI without its parameters and visual separators; empty where there is none.
fn user(uri: &str) -> String {
    let user = uri.split_once(':').and_then(|(_, rest)| rest.split_once('@')).map_or("", |(user, _)| user);
    user.split(';').next().unwrap_or_default().chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()
}

/// The number of a `tel:` URI without visual separators (RFC 3966, section 5.1.1).
fn number(uri: &str) -> String {
    let number = uri.split_once(':').map_or(uri, |(_, number)| number);
    let number = number.split(';').next().unwrap_or_default();
    number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()
}

/// Whom a `sip:` or `sips:` URI names: its host (without brackets), and its port and transport where they are written. Nobody is
/// reached over WebSockets yet.
pub(crate) fn wanted(uri: &str) -> Option<Wanted> {
    let (scheme, rest) = uri.split_once(':')?;
    let secure = scheme.eq_ignore_ascii_case("sips");
    if !secure && !scheme.eq_ignore_ascii_case("sip") {
        return None;
    }
    let rest = rest.split('?').next()?;
    // Parameters of the user part may hold a semicolon; the host begins after the last `@`.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let mut parameters = rest.split(';');
    let host = parameters.next()?;
    let named = |parameter: &str| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("transport").then(|| value.to_owned())
    };
    let transport = match parameters.find_map(named) {
        Some(named) => Some(Transport::of_parameter(named.as_bytes())?),
        None => None,
    };
    // Over datagrams nothing is secured.
    if secure && transport == Some(Transport::Udp) {
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
    let sound = !host.is_empty() && host.len() <= 253 && host.bytes().all(fine);
    sound.then(|| Wanted { host: host.to_owned(), port, transport, secure })
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
        Some("sip" | "sips") if wanted(uri).is_some() => None,
        Some("sip" | "sips") => {
            Some("a host that can be reached over UDP, TCP or TLS was expected, for example sip:100@pbx.example.net")
        }
        _ => Some("a URI that starts sip:, sips: or tel: was expected"),
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
        let of = |uri: &str| wanted(uri).map(|wanted| wanted.to_string());
        assert_eq!(of("sip:anna@192.0.2.9").as_deref(), Some("sip:192.0.2.9"));
        assert_eq!(of("sip:anna;x=y@pbx.example.net:5070;lr").as_deref(), Some("sip:pbx.example.net:5070"));
        assert_eq!(of("SIP:[2001:db8::1]:5080").as_deref(), Some("sip:2001:db8::1:5080"));
        assert_eq!(of("sip:anna@192.0.2.9;Transport=TCP").as_deref(), Some("sip:192.0.2.9;transport=tcp"));
        assert_eq!(of("sips:anna@192.0.2.9").as_deref(), Some("sips:192.0.2.9"));
        assert_eq!(of("sips:anna@192.0.2.9;transport=udp"), None);
        assert_eq!(of("sip:anna@192.0.2.9;transport=ws"), None);
        assert_eq!(of("sip:"), None);
        assert_eq!(of("sip:a@h:99999"), None);
        assert_eq!(of("sip:a@h:0"), None);
    }

    #[test]
    fn rfc3263_4_1_an_address_is_reached_over_the_transport_that_its_uri_names() {
        let config = config();
        for (uri, transport, port) in [
            ("sip:anna@192.0.2.9", Transport::Udp, 5060),
            ("sip:anna@192.0.2.9;transport=tcp", Transport::Tcp, 5060),
            ("sip:anna@192.0.2.9;transport=tls", Transport::Tls, 5061),
            ("sips:anna@192.0.2.9:5071", Transport::Tls, 5071),
        ] {
            let route = human(&config, uri, None, "carrier", false).unwrap().remove(0);
            let Hop::Targets(targets) = route.hop else { panic!("{uri}: an address needs no DNS") };
            assert_eq!((targets[0].transport, targets[0].address.port()), (transport, port), "{uri}");
        }
    }

    #[test]
    fn a_trunk_is_reached_over_its_transport_and_shows_its_name() {
        let mut config = config();
        let pbx = config.trunks.get_mut("pbx").unwrap();
        (pbx.transport, pbx.tls_name) = (Some(Transport::Tls), Some("pbx.example".into()));
        for target in ["tel:+15550199", "sip:100@192.0.2.2"] {
            let route = human(&config, target, None, "carrier", false).unwrap().remove(0);
            let Hop::Targets(targets) = route.hop else { panic!("an address needs no DNS") };
            assert_eq!(targets[0].name.as_deref(), Some("pbx.example"), "{target}");
            assert_eq!((targets[0].transport, targets[0].address.port()), (Transport::Tls, 5061), "{target}");
            assert_eq!(route.peer, Peer::Trunk("pbx".into()));
        }
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
    fn a_number_that_is_ruled_out_is_dialled_by_no_trunk_and_in_no_spelling() {
        let mut config = config();
        let numbers = &mut config.trunks.get_mut("pbx").unwrap().numbers;
        (numbers.country, numbers.international_prefix) = (Some("49".into()), "00".into());
        let way = |target| human(&config, target, None, "carrier", true).map(|ways| ways.len());
        for target in [
            "tel:+1-900-555-0199",
            "sip:+19005550199@192.0.2.2",
            "sip:+1-900-5550199;phone-context=x@192.0.2.2;user=phone",
            "sip:0019005550199@192.0.2.2",
        ] {
            assert_eq!(way(target), Err(NOT_DIALLED), "{target}");
        }
        assert_eq!(way("tel:+15550199"), Ok(1));
        assert_eq!(way("sip:100@192.0.2.2"), Ok(1), "an extension");
        assert_eq!(way("sip:+19005550199@198.51.100.9"), Ok(1), "a user elsewhere is no number of ours");
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
        for wrong in
            ["tel:", "tel:abc", "sip:", "sip:a b@c", "http:a@b", "sip:a@b;transport=ws", "sip:a@b\r\nX: y", "sip:<a>@b"]
        {
            assert!(fault(wrong).is_some(), "{wrong:?}");
        }
    }
}
