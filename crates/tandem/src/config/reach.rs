//! Whether our listeners reach whom the configuration names: requests leave through a listener of their transport and IP
//! version, whose address they show in Via and Contact.

use super::{
    reader::{Placed, Section},
    types::Listener,
    values::{self, Host},
};
use signaling::{Transport, locate::Able};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the listeners reach.
pub(super) struct Ways(Option<Able>);

impl Ways {
    pub(super) fn of(listeners: &[Listener]) -> Self {
        Self(Some(Able::of(listeners.iter().map(|listener| (listener.transport, listener.address.ip())))))
    }

    /// Nothing is known of them, so nobody is said to be out of reach.
    pub(super) fn unknown() -> Self {
        Self(None)
    }

    /// A trunk's `transport` and `address`.
    pub(super) fn trunk(
        &self,
        section: &Section<'_>,
        transport: Option<&Placed<Transport>>,
        address: Option<&Placed<Host>>,
    ) {
        let Some(address) = address else { return };
        let place = transport.map_or(address.place, |placed| placed.place);
        self.check(section, place, transport.map(|placed| placed.value), &address.value);
    }

    /// A profile's `uri`, and the `proxy` that stands in for the URI's host.
    pub(super) fn profile(&self, section: &Section<'_>, uri: &Placed<String>, proxy: Option<&Placed<Host>>) {
        let text = &uri.value;
        let named = text.split([';', '?']).find_map(|part| part.strip_prefix("transport="));
        let transport = if text.starts_with("sips:") {
            Some(Transport::Tls)
        } else {
            named.and_then(|name| Transport::of_parameter(name.as_bytes()))
        };
        let host = match proxy {
            Some(proxy) => Ok(proxy.value.clone()),
            None => values::host_of_uri(text),
        };
        if let Ok(host) = host {
            self.check(section, uri.place, transport, &host);
        }
    }

    /// A name without a transport is whatever its DNS says (RFC 3263 section 4.1).
    fn check(&self, section: &Section<'_>, place: Option<super::Place>, transport: Option<Transport>, host: &Host) {
        let (transport, addresses) = match (host, transport) {
            (Host::Address(address), transport) => (transport.unwrap_or_default(), vec![address.ip()]),
            (Host::Name(..), Some(transport)) => {
                (transport, vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)])
            }
            (Host::Name(..), None) => return,
        };
        let Some(able) = &self.0 else { return };
        if addresses.iter().any(|address| able.reaches(transport, *address)) {
            return;
        }
        let name = transport.parameter();
        let (version, like) = match addresses[..] {
            [IpAddr::V4(_)] => (" over IPv4", "0.0.0.0"),
            [IpAddr::V6(_)] => (" over IPv6", "[::]"),
            _ => ("", "0.0.0.0"),
        };
        section.wrong(
            place,
            format!("`{host}` is reached by {name}{version}, and no listener is of that kind"),
            Some(&format!("add one to `sip.listeners`, like `{name}:{like}`")),
        );
    }
}
