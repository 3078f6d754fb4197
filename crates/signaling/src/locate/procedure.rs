//! The procedure of RFC 3263 section 4 over what is known of the DNS.

use super::{
    Able, Answer, Family, Kind, MOST_RECORDS, MOST_TARGETS, Naptr, Question, Srv, Target, Wanted, name, order,
};
use crate::Transport;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// What [`targets`] finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// These must be answered first; ask them all at once.
    Questions(Vec<Question>),
    /// Where to send, in order, at most [`MOST_TARGETS`]; empty when nothing leads there.
    Targets(Vec<Target>),
}

/// Selects transport, port and addresses (RFC 3263 sections 4.1 and 4.2).
///
/// `known` answers a question, or says that it has not been asked. Whoever calls again when the questions are answered must
/// bring the same `seed`: all chance (weights of SRV records, the order of a host's addresses) comes from it.
///
/// NAPTR and SRV records are asked for together, so that most locations are found after two round trips; an answer is still
/// used only where the standard looks at it. A question that failed counts as one without records: the caller decides
/// beforehand whether an older answer stands in for it.
pub fn targets<'a>(wanted: &Wanted, able: &Able, seed: u64, known: impl Fn(&Question) -> Option<&'a Answer>) -> Found {
    let mut search = Search { wanted, able, known, open: Vec::new(), chance: StdRng::seed_from_u64(seed) };
    let found = search.run().unwrap_or_default();
    if search.open.is_empty() { Found::Targets(found) } else { Found::Questions(search.open) }
}

struct Search<'w, F> {
    wanted: &'w Wanted,
    able: &'w Able,
    known: F,
    /// What has to be asked before it can go on.
    open: Vec<Question>,
    chance: StdRng,
}

/// A transport and the name of its SRV records.
type Service = (Transport, Arc<str>);
/// A transport, a host and a port.
type Server = (Transport, Arc<str>, u16);

impl<'a, F: Fn(&Question) -> Option<&'a Answer>> Search<'_, F> {
    /// None: nothing leads there, or something has to be asked first.
    fn run(&mut self) -> Option<Vec<Target>> {
        let wanted = self.wanted;
        let written = match (wanted.transport, wanted.secure) {
            // Section 26.2.2 of RFC 3261: a secure URI is not carried in the clear, and TCP below it means TLS.
            (Some(Transport::Udp), true) => return None,
            (Some(Transport::Tcp), true) => Some(Transport::Tls),
            (written, _) => written,
        };
        if written.is_some_and(|transport| !self.able.speaks(transport)) {
            return None;
        }
        if let Some(address) = numeric(&wanted.host) {
            let transport = written.or_else(|| self.usual(|transport| self.able.reaches(transport, address)))?;
            let port = wanted.port.unwrap_or_else(|| transport.default_port());
            let target = Target { transport, address: SocketAddr::new(address, port), name: None };
            return self.able.reaches(transport, address).then(|| vec![target]);
        }
        let host = name::sound(&wanted.host)?;
        let usual = written.or_else(|| self.usual(|transport| self.able.speaks(transport)));
        if let Some(port) = wanted.port {
            return self.hosts(&[(usual?, Arc::clone(&host), port)], &host);
        }
        let services = match written {
            Some(transport) => vec![(transport, self.service(transport, &host))],
            None => self.services(&host)?,
        };
        let answers: Vec<_> =
            services.iter().map(|(transport, name)| (*transport, self.ask(name, Kind::Srv))).collect();
        if !self.open.is_empty() {
            return None;
        }
        match self.servers(&answers) {
            Some(servers) => self.hosts(&servers, &host),
            None => {
                // No SRV record at all: the name itself is the server.
                let transport = services.first().map(|(transport, _)| *transport).or(usual)?;
                self.hosts(&[(transport, Arc::clone(&host), transport.default_port())], &host)
            }
        }
    }

    /// The transport where nothing says which: UDP for `sip:`, TLS for `sips:`. Without UDP of our own, TCP.
    fn usual(&self, usable: impl Fn(Transport) -> bool) -> Option<Transport> {
        let candidates: &[_] = if self.wanted.secure { &[Transport::Tls] } else { &[Transport::Udp, Transport::Tcp] };
        candidates.iter().copied().find(|transport| usable(*transport))
    }

    /// The name of a transport's SRV records.
    fn service(&self, transport: Transport, host: &str) -> Arc<str> {
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        format!("{prefix}.{host}").into()
    }

    /// The services that NAPTR records name, else those that may be there.
    fn services(&mut self, host: &Arc<str>) -> Option<Vec<Service>> {
        let candidates: &[_] = if self.wanted.secure { &[Transport::Tls] } else { &[Transport::Udp, Transport::Tcp] };
        let usual: Vec<Service> = candidates
            .iter()
            .filter(|transport| self.able.speaks(**transport))
            .map(|transport| (*transport, self.service(*transport, host)))
            .collect();
        match self.ask(host, Kind::Naptr) {
            Some(Answer::Naptr(records)) => {
                let named = self.named(records);
                // Records of which none can be used by us say nothing about those that may be there.
                Some(if named.is_empty() { usual } else { named })
            }
            Some(_) => Some(usual),
            None => {
                for (_, service) in &usual {
                    self.ask(service, Kind::Srv);
                }
                None
            }
        }
    }

    /// The services we can use, in the order of the NAPTR records (RFC 3403 section 4.1).
    fn named(&self, records: &[Naptr]) -> Vec<Service> {
        let mut records: Vec<&Naptr> = records.iter().take(MOST_RECORDS).collect();
        records.sort_by_key(|record| (record.order, record.preference));
        let mut services: Vec<Service> = Vec::new();
        for record in records {
            let transport = [("SIPS+D2T", Transport::Tls), ("SIP+D2T", Transport::Tcp), ("SIP+D2U", Transport::Udp)]
                .into_iter()
                .find(|(service, _)| record.service.eq_ignore_ascii_case(service))
                .map(|(_, transport)| transport);
            let Some(transport) = transport.filter(|transport| self.able.speaks(*transport)) else { continue };
            // For a secure URI every service without SIPS is discarded; the converse is not true.
            let allowed = transport == Transport::Tls || !self.wanted.secure;
            let Some(name) = name::sound(&record.replacement).filter(|_| record.flags.eq_ignore_ascii_case("s")) else {
                continue;
            };
            if allowed && !services.iter().any(|(known, _)| *known == transport) {
                services.push((transport, name));
            }
        }
        services
    }

    /// The servers of all services in order. None: there is no SRV record at all.
    fn servers(&mut self, answers: &[(Transport, Option<&Answer>)]) -> Option<Vec<Server>> {
        let mut servers: Option<Vec<Server>> = None;
        for (transport, answer) in answers {
            let (transport, Some(Answer::Srv(records))) = (*transport, answer) else { continue };
            if records.is_empty() {
                continue;
            }
            let servers = servers.get_or_insert_default();
            let records = records.iter().take(MOST_RECORDS);
            // A target of "." says that the service is decidedly not there: a record, but no server.
            let usable = order::by_weight(records, &mut self.chance).into_iter().filter_map(|record: &Srv| {
                let name = name::sound(&record.target).filter(|_| record.port != 0)?;
                Some((transport, name, record.port))
            });
            servers.extend(usable);
        }
        if let Some(servers) = &mut servers {
            servers.truncate(MOST_TARGETS);
        }
        servers
    }

    /// The addresses of servers, in order. `verified` is the name that certificates must show.
    fn hosts(&mut self, servers: &[Server], verified: &Arc<str>) -> Option<Vec<Target>> {
        let mut found = Vec::new();
        for (transport, host, port) in servers {
            let families: Vec<Family> = self.able.families(*transport).collect();
            for family in families {
                let kind = if family == Family::V4 { Kind::A } else { Kind::Aaaa };
                let Some(Answer::Addresses(addresses)) = self.ask(host, kind) else { continue };
                let of_family: Vec<IpAddr> =
                    addresses.iter().copied().filter(|it| Family::of(*it) == family).take(MOST_RECORDS).collect();
                // A host's addresses are equals; a remembered answer must not make the first of them carry everything.
                let start = if of_family.len() > 1 { self.chance.random_range(0..of_family.len()) } else { 0 };
                for address in of_family[start..].iter().chain(&of_family[..start]) {
                    let address = SocketAddr::new(*address, *port);
                    found.push(Target { transport: *transport, address, name: Some(Arc::clone(verified)) });
                }
            }
        }
        let mut targets: Vec<Target> = Vec::new();
        for target in found {
            if targets.len() < MOST_TARGETS && !targets.contains(&target) {
                targets.push(target);
            }
        }
        Some(targets)
    }

    fn ask(&mut self, name: &Arc<str>, kind: Kind) -> Option<&'a Answer> {
        let question = Question { name: Arc::clone(name), kind };
        let answer = (self.known)(&question);
        if answer.is_none() && !self.open.contains(&question) {
            self.open.push(question);
        }
        answer
    }
}

/// The host as an address. Names of digits and dots alone are not guessed at.
fn numeric(host: &str) -> Option<IpAddr> {
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}
