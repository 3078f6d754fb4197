//! How single values are written: addresses, networks, SIP URIs, numbers, names, paths.

use super::{reader::Wrong, types::Listener};
use media_relay::io::EXTENSIONS;
use signaling::Transport;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// Leading bits that count.
    pub prefix: u8,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A host to send to: an address, or a name that is resolved when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Known already.
    Address(SocketAddr),
    /// To be resolved.
    Name(String, Option<u16>),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Name(name, Some(port)) => write!(f, "{name}:{port}"),
            Self::Name(name, None) => f.write_str(name),
        }
    }
}

/// `udp:127.0.0.1:5060`; a missing port is 5060, 5061 for `tls`.
pub(super) fn listener(text: &str) -> Result<Listener, Wrong> {
    let Some((transport, rest)) = text.split_once(':') else {
        return Err(
            Wrong::new(format!("`{text}` names no transport")).help("like `udp:0.0.0.0:5060` or `udp:[::]:5060`")
        );
    };
    if matches!(transport, "ws" | "wss") {
        return Err(Wrong::new(format!("the transport `{transport}` is not built yet")).help("`udp:`, `tcp:`, `tls:`"));
    }
    let Some(transport) = Transport::of_parameter(transport.as_bytes()) else {
        return Err(Wrong::new(format!("`{transport}` is not a transport")).help(format!("did you mean `udp:{text}`?")));
    };
    let address = socket_address(rest, Some(transport.default_port()))?;
    Ok(Listener { transport, address, external: None })
}

/// `udp`, `tcp` or `tls`.
pub(super) fn transport(text: &str) -> Result<Transport, Wrong> {
    let words = [("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)];
    super::reader::word(text, &words)
}

/// `192.0.2.1:5060`, `[2001:db8::1]:5060`; with a default port, the port may be missing.
pub(super) fn socket_address(text: &str, default_port: Option<u16>) -> Result<SocketAddr, Wrong> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    match (bare.parse::<IpAddr>(), default_port) {
        (Ok(ip), Some(port)) => Ok(SocketAddr::new(ip, port)),
        _ => Err(Wrong::new(format!("`{text}` is not an IP address with a port"))
            .help("like `192.0.2.10:5060` or `[2001:db8::10]:5060`")),
    }
}

/// An IP address.
pub(super) fn ip(text: &str) -> Result<IpAddr, Wrong> {
    text.parse().map_err(|_| Wrong::new(format!("`{text}` is not an IP address")))
}

/// `192.0.2.0/24`, `2001:db8::/32`, or one address.
pub(super) fn network(text: &str) -> Result<Network, Wrong> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let wrong =
        || Wrong::new(format!("`{text}` is not a network")).help("like `192.0.2.0/24`, `2001:db8::/32` or `192.0.2.7`");
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(prefix) => prefix.parse::<u8>().ok().filter(|prefix| *prefix <= most).ok_or_else(wrong)?,
        None => most,
    };
    let network = Network { address, prefix };
    let first = first_address(network);
    if first != address {
        return Err(Wrong::new(format!("`{text}` has bits set beyond its prefix"))
            .help(format!("the network is `{first}/{prefix}`, the single host `{address}`")));
    }
    Ok(network)
}

fn first_address(network: Network) -> IpAddr {
    match network.address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(network.prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(network.prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

/// `host`, `host:port`, `192.0.2.1:5060`, `[2001:db8::1]`; an address's missing port is `default_port`, a name's is found by the DNS.
pub(super) fn host(text: &str, default_port: u16) -> Result<Host, Wrong> {
    if let Ok(address) = socket_address(text, Some(default_port)) {
        return Ok(Host::Address(address));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => {
            let port = port.parse().map_err(|_| Wrong::new(format!("`{port}` is not a port")).help("1 to 65535"))?;
            (name, Some(port))
        }
        None => (text, None),
    };
    let letters = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
    };
    let numeric = name.split('.').next_back().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if port == Some(0) || numeric || name.len() > 253 || !name.trim_end_matches('.').split('.').all(letters) {
        return Err(Wrong::new(format!("`{text}` is neither an IP address nor a host name"))
            .help("like `pbx.example.net`, `pbx.example.net:5070` or `192.0.2.10:5060`"));
    }
    Ok(Host::Name(name.to_owned(), port))
}

/// The host and port that a SIP URI names.
pub(super) fn host_of_uri(uri: &str) -> Result<Host, Wrong> {
    let (default_port, rest) = match uri.split_once(':') {
        Some(("sip", rest)) => (5060, rest),
        Some(("sips", rest)) => (5061, rest),
        _ => {
            return Err(Wrong::new(format!("`{uri}` is not a SIP URI")).help("like `sip:agent@192.0.2.10:5060`"));
        }
    };
    let rest = rest.split(['?', ';']).next().unwrap_or_default();
    let after_user = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    host(after_user, default_port)
}

/// A SIP URI, kept as written.
pub(super) fn sip_uri(text: &str) -> Result<String, Wrong> {
    if text.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')) {
        return Err(
            Wrong::new(format!("`{text}` is not a SIP URI")).help("only the URI, without a display name or brackets")
        );
    }
    host_of_uri(text)?;
    if let Some(transport) = text.split(';').find_map(|part| part.strip_prefix("transport="))
        && Transport::of_parameter(transport.as_bytes()).is_none()
    {
        return Err(Wrong::new(format!("the transport `{transport}` is not built yet")).help("`udp`, `tcp` or `tls`"));
    }
    Ok(text.to_owned())
}

/// A name an operator chooses: letters, digits, `-`, `_` and `.`, at most 64.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err(Wrong::new(format!("`{text}` is not a name")).help("letters, digits, `-`, `_` and `.`, at most 64"));
    }
    Ok(text.to_owned())
}

/// The name of a prompt (`please-hold`) or of music (`music/default`).
pub(crate) fn clip(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_prefix("music/").unwrap_or(text);
    let is_file = EXTENSIONS.iter().any(|ending| text.rsplit_once('.').is_some_and(|(_, own)| own == *ending));
    match name(bare) {
        Ok(_) if !is_file => Ok(text.to_owned()),
        _ => Err(Wrong::new(format!("`{text}` is not a prompt's name"))
            .help("the file's name without its ending: `please-hold`, or `music/default`")),
    }
}

/// Any text of at most 256 bytes.
pub(super) fn text(text: &str) -> Result<String, Wrong> {
    if text.len() > 256 {
        return Err(Wrong::new(format!("this is {} bytes long", text.len())).help("256 are the limit"));
    }
    Ok(text.to_owned())
}

/// A header name that a configuration may set.
pub(super) fn header_name(text: &str) -> Result<String, Wrong> {
    let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(token) {
        return Err(Wrong::new(format!("`{text}` is not a header name")));
    }
    let own = [
        "via",
        "from",
        "to",
        "call-id",
        "cseq",
        "contact",
        "max-forwards",
        "route",
        "record-route",
        "content-length",
        "content-type",
        "authorization",
        "proxy-authorization",
        "require",
        "supported",
        "allow",
        "user-agent",
        "v",
        "f",
        "t",
        "i",
        "m",
        "l",
        "c",
        "k",
    ];
    if own.contains(&text.to_ascii_lowercase().as_str()) {
        return Err(
            Wrong::new(format!("`{text}` is written by Tandem itself")).help("headers of your own start with `X-`")
        );
    }
    Ok(text.to_owned())
}

/// `+49301234567`: E.164.
pub(super) fn e164(text: &str) -> Result<String, Wrong> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    if (2..=15).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit()) && !digits.starts_with('0') {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("`{text}` is not a number in E.164 form")).help("like `+49301234567`, in quotes"))
}

/// `+49` … `+4930123`: the start of E.164 numbers.
pub(super) fn number_prefix(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_suffix('*').unwrap_or(text);
    let digits = bare.strip_prefix('+').unwrap_or_default();
    if digits.len() <= 15 && bare.starts_with('+') && digits.chars().all(|c| c.is_ascii_digit()) {
        return Ok(bare.to_owned());
    }
    Err(Wrong::new(format!("`{text}` is not the start of a number"))
        .help("like `+49`, in quotes; `+` alone is every number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_with_host_bits_is_refused_with_the_right_one() {
        assert_eq!(network("192.0.2.0/24").expect("right").to_string(), "192.0.2.0/24");
        assert_eq!(network("::1").expect("right").to_string(), "::1/128");
        assert_eq!(network("0.0.0.0/0").expect("right").to_string(), "0.0.0.0/0");
        let wrong = format!("{:?}", network("192.0.2.7/24").expect_err("wrong"));
        assert!(wrong.contains("192.0.2.0/24"), "{wrong}");
        assert!(network("192.0.2.0/33").is_err());
    }

    #[test]
    fn a_host_is_an_address_or_a_name_but_not_a_bad_address() {
        assert_eq!(host("pbx.example.net", 5060).expect("right"), Host::Name("pbx.example.net".into(), None));
        assert_eq!(host("192.0.2.1", 5060).expect("right").to_string(), "192.0.2.1:5060");
        assert_eq!(host("[2001:db8::1]:5070", 5060).expect("right").to_string(), "[2001:db8::1]:5070");
        for bad in ["", ".1", "192.0.2.300", "a..b", "-x.example", "pbx:0", "pbx:66000", "under score"] {
            assert!(host(bad, 5060).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_uri_names_its_host() {
        assert_eq!(host_of_uri("sip:ai@127.0.0.1:5090;x=y").expect("right").to_string(), "127.0.0.1:5090");
        assert!(sip_uri("sip:ai@127.0.0.1;transport=sctp").is_err());
        assert!(sip_uri("\"AI\" <sip:ai@127.0.0.1>").is_err());
        assert!(host_of_uri("tel:+49").is_err());
    }
}
