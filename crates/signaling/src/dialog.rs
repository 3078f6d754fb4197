//! A dialog (RFC 3261 section 12): who its parties are, which way their requests go, and in which order.

use crate::{Config, Flow, Transport, compose::Parts, message::Request, octets};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_codec::{Message, Method, Name, NameAddr, Uri};
use std::net::{IpAddr, SocketAddr};

/// One dialog, early or confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dialog {
    #[serde(with = "octets")]
    pub(crate) call_id: Bytes,
    #[serde(with = "octets")]
    pub(crate) remote_tag: Bytes,
    /// From of our requests.
    #[serde(with = "octets")]
    local: Bytes,
    /// To of our requests.
    #[serde(with = "octets")]
    remote: Bytes,
    /// Route values, ours first.
    #[serde(with = "octets::list")]
    routes: Vec<Bytes>,
    target: String,
    pub(crate) local_cseq: u32,
    remote_cseq: Option<u32>,
    /// The way its INVITE went or came. Requests take it when the next hop's host is a name, or unreachable behind a NAT.
    fallback: Flow,
    /// The target is behind a NAT: its address means nothing here.
    natted: bool,
    /// What our requests call us, over the INVITE's transport.
    listener: SocketAddr,
    /// The peer's Allow names UPDATE.
    pub(crate) takes_update: bool,
    /// Early: the INVITE's offer and answer are done, reliably.
    pub(crate) settled: bool,
}

impl Dialog {
    /// The dialog that a response with a To tag makes or confirms (12.1.2).
    pub(crate) fn of_response(invite: &Parts, flow: Flow, listener: SocketAddr, response: &Message) -> Option<Self> {
        let to = response.to().ok()?;
        let routes: Vec<Bytes> = response.values(Name::RecordRoute).map(Bytes::copy_from_slice).collect();
        let target = contact(response).unwrap_or_else(|| invite.uri.clone());
        Some(Self {
            call_id: invite.call_id.clone(),
            remote_tag: Bytes::copy_from_slice(to.tag().unwrap_or_default()),
            local: invite.from.clone(),
            remote: Bytes::copy_from_slice(to.text),
            routes: routes.into_iter().rev().collect(),
            target,
            local_cseq: invite.cseq,
            remote_cseq: None,
            fallback: flow,
            natted: false,
            listener,
            takes_update: takes_update(response),
            settled: false,
        })
    }

    /// The dialog that an INVITE makes once we answer it with our tag (12.1.1). It must name a Contact.
    pub(crate) fn of_request(request: &Request, tag: &str, advertised: SocketAddr) -> Option<Self> {
        let message = &request.message;
        let (from, to) = (message.from().ok()?, message.to().ok()?);
        let target = contact(message)?;
        let mut local = Vec::from(to.text);
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(tag.as_bytes());
        // An address that is not where its datagrams come from is one behind a NAT.
        let via = message.top_via().ok()?;
        let contact_ip = Uri::parse(target.as_bytes()).and_then(|uri| uri.host_ip());
        let natted = via.host_ip().is_some_and(|ip| ip != request.flow.remote.ip() && contact_ip == Some(ip));
        Some(Self {
            call_id: Bytes::copy_from_slice(request.call_id()),
            remote_tag: Bytes::copy_from_slice(from.tag().unwrap_or_default()),
            local: local.into(),
            remote: Bytes::copy_from_slice(from.text),
            routes: message.values(Name::RecordRoute).map(Bytes::copy_from_slice).collect(),
            target,
            local_cseq: 0,
            remote_cseq: Some(request.cseq),
            fallback: request.flow,
            natted,
            listener: advertised,
            takes_update: takes_update(message),
            settled: false,
        })
    }

    /// A 2xx confirms an early dialog: its route set counts, with what the early dialog learned of the peer's order (13.2.2.4).
    pub(crate) fn confirmed_over(mut self, early: Option<Self>) -> Self {
        if let Some(early) = early {
            self.remote_cseq = early.remote_cseq;
            self.local_cseq = self.local_cseq.max(early.local_cseq);
            self.takes_update |= early.takes_update;
        }
        self
    }

    /// A request within the dialog: its parts, with the next number in order (12.2.1.1), and which way it goes.
    pub(crate) fn request(&mut self, config: &Config, method: Method, branch: String) -> (Parts, Flow) {
        self.local_cseq += 1;
        self.numbered(config, method, self.local_cseq, branch)
    }

    /// The same with a number that is given: the ACK has its INVITE's.
    pub(crate) fn numbered(&self, config: &Config, method: Method, cseq: u32, branch: String) -> (Parts, Flow) {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route));
        let (uri, routes, hop) = match &first {
            None => (self.target.clone(), Vec::new(), self.next_hop(Uri::parse(self.target.as_bytes()))),
            Some(route) if route.uri.params().has(b"lr") => {
                (self.target.clone(), self.routes.clone(), self.next_hop(Some(route.uri)))
            }
            // A strict router: it is the request URI, and the target closes the route.
            Some(route) => {
                let mut routes = self.routes[1..].to_vec();
                routes.push(format!("<{}>", self.target).into());
                (crate::message::text(route.uri.text), routes, self.next_hop(Some(route.uri)))
            }
        };
        let (flow, sent_by) = self.way(config, hop, first.is_some());
        let parts = Parts {
            method,
            uri,
            branch,
            transport: flow.transport,
            sent_by,
            routes,
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
            max_forwards: 70,
        };
        (parts, flow)
    }

    /// Which way a request goes, and what it calls us there. What came over a connection is reached over it for as long as it is
    /// open: its other end may have no address that anyone could connect to.
    fn way(&self, config: &Config, hop: Option<(Transport, SocketAddr)>, routed: bool) -> (Flow, SocketAddr) {
        let back = (self.fallback, self.listener);
        let Some((transport, remote)) = hop.filter(|_| !self.natted || routed) else { return back };
        if self.fallback.connection.is_some() && (!routed || remote.ip() == self.fallback.remote.ip()) {
            return (Flow { remote, ..self.fallback }, self.listener);
        }
        if transport == self.fallback.transport {
            return (Flow { remote, connection: None, ..self.fallback }, self.listener);
        }
        let toward = Flow { remote, ..self.fallback };
        config
            .listener_toward(transport, &toward)
            .map_or(back, |listener| (Flow::new(transport, listener.local, remote), listener.advertised))
    }

    /// Where a URI whose host is an address sends to. One that names no transport is taken to mean the dialog's own.
    fn next_hop(&self, uri: Option<Uri<'_>>) -> Option<(Transport, SocketAddr)> {
        let uri = uri?;
        let named = uri.params().value(b"transport").and_then(Transport::of_parameter);
        let transport = if uri.is_sips() { Transport::Tls } else { named.unwrap_or(self.fallback.transport) };
        let port = uri.port.unwrap_or(transport.default_port());
        let address = SocketAddr::new(uri.host_ip()?, port);
        (port != 0 && !address.ip().is_unspecified()).then_some((transport, address))
    }

    /// A request of the peer came: over a connection, the next of ours goes back over that one.
    pub(crate) fn came_by(&mut self, flow: Flow) {
        if flow.connection.is_some() && flow.transport == self.fallback.transport {
            self.fallback = flow;
        }
    }

    /// A request of the peer: false when it comes too late to be in order (12.2.2).
    pub(crate) fn in_order(&mut self, cseq: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| cseq < last) {
            return false;
        }
        self.remote_cseq = Some(cseq);
        true
    }

    /// A target refresh (12.2.1.2, 12.2.2).
    pub(crate) fn refresh(&mut self, message: &Message) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }

    /// Where the INVITE came from or went to.
    pub(crate) fn peer(&self) -> IpAddr {
        self.fallback.remote.ip()
    }

    /// True for the addresses that the dialog's peer speaks from, as far as we know.
    pub(crate) fn knows(&self, source: IpAddr) -> bool {
        let target = || Uri::parse(self.target.as_bytes()).and_then(|uri| uri.host_ip());
        let route = || self.routes.iter().any(|r| NameAddr::parse(r).and_then(|r| r.uri.host_ip()) == Some(source));
        self.fallback.remote.ip() == source || target() == Some(source) || route()
    }
}

fn takes_update(message: &Message) -> bool {
    message.values(Name::Allow).any(|method| method == b"UPDATE")
}

/// The URI of the first Contact, if it is one we can use.
fn contact(message: &Message) -> Option<String> {
    let contact = message.contacts().next()?.ok()?;
    contact.uri.is_sip().then(|| std::str::from_utf8(contact.uri.text).ok().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_codec::Limits;

    fn invite() -> Parts {
        Parts {
            method: Method::Invite,
            uri: "sip:bob@example.com".into(),
            branch: "b".into(),
            transport: Transport::Udp,
            sent_by: "192.0.2.1:5060".parse().unwrap(),
            routes: Vec::new(),
            from: "<sip:alice@a>;tag=1".into(),
            to: "<sip:bob@example.com>".into(),
            call_id: "c".into(),
            cseq: 7,
            max_forwards: 70,
        }
    }

    fn answered(headers: &str) -> Dialog {
        let text = format!("SIP/2.0 200 OK\r\nTo: <sip:bob@example.com>;tag=2\r\n{headers}\r\n");
        let message = Message::parse(text.into(), &Limits::default()).unwrap();
        let us = "192.0.2.1:5060".parse().unwrap();
        Dialog::of_response(&invite(), Flow::udp(us, "192.0.2.9:5070".parse().unwrap()), us, &message).unwrap()
    }

    fn bye(dialog: &mut Dialog) -> (String, Vec<String>, String) {
        let (parts, flow) = dialog.request(&Config::default(), Method::Bye, "x".into());
        let routes = parts.routes.iter().map(|r| String::from_utf8(r.to_vec()).unwrap()).collect();
        (parts.uri, routes, flow.remote.to_string())
    }

    #[test]
    fn rfc3261_12_2_1_1_without_a_route_the_contact_is_where_requests_go() {
        let mut dialog = answered("Contact: <sip:bob@192.0.2.4:5080>\r\n");
        assert_eq!(bye(&mut dialog), ("sip:bob@192.0.2.4:5080".into(), vec![], "192.0.2.4:5080".into()));
        assert_eq!(dialog.local_cseq, 8);
    }

    #[test]
    fn rfc3261_12_1_2_loose_routes_are_taken_in_reverse_and_the_first_is_the_next_hop() {
        let mut dialog =
            answered("Contact: <sip:bob@192.0.2.4>\r\nRecord-Route: <sip:192.0.2.3;lr>, <sip:192.0.2.2:5062;lr>\r\n");
        let routes = vec!["<sip:192.0.2.2:5062;lr>".to_owned(), "<sip:192.0.2.3;lr>".to_owned()];
        assert_eq!(bye(&mut dialog), ("sip:bob@192.0.2.4".into(), routes, "192.0.2.2:5062".into()));
    }

    #[test]
    fn rfc3261_12_2_1_1_a_strict_router_is_the_request_uri_and_the_target_closes_the_route() {
        let mut dialog = answered(
            "Contact: <sip:bob@192.0.2.4>\r\nRecord-Route: <sip:192.0.2.3>\r\nRecord-Route: <sip:192.0.2.2>\r\n",
        );
        let routes = vec!["<sip:192.0.2.3>".to_owned(), "<sip:bob@192.0.2.4>".to_owned()];
        assert_eq!(bye(&mut dialog), ("sip:192.0.2.2".into(), routes, "192.0.2.2:5060".into()));
    }

    #[test]
    fn a_target_whose_host_is_a_name_is_reached_the_way_the_invite_went() {
        let mut dialog = answered("Contact: <sip:bob@phone.example.com>\r\n");
        assert_eq!(bye(&mut dialog).2, "192.0.2.9:5070");
    }

    #[test]
    fn rfc3261_12_2_2_requests_that_come_too_late_are_out_of_order() {
        let mut dialog = answered("");
        assert!(dialog.in_order(5));
        assert!(dialog.in_order(9), "gaps are fine");
        assert!(!dialog.in_order(8));
    }
}
