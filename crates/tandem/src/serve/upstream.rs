//! The DNS servers, and the hosts file before them.

use crate::config;
use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::{Query, ResponseCode},
        rr::{Name, RData, RecordType},
    },
    system_conf,
};
use signaling::locate::{Answer, Kind, MOST_RECORDS, Naptr, Question, Srv};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::Semaphore;

/// Questions at the servers at once; more wait, and count as unanswered when they have waited too long.
const AT_ONCE: usize = 64;
/// A lookup that takes longer than so many timeouts of a location is of use to nobody.
const PATIENCE: u32 = 3;
const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Where questions go.
pub(crate) struct Upstream {
    servers: Vec<SocketAddr>,
    timeout: Duration,
    places: Arc<Semaphore>,
    resolver: Option<TokioResolver>,
    hosts: Hosts,
    /// When the files were changed that all of this was made of.
    read: (Option<SystemTime>, Option<SystemTime>),
}

impl Upstream {
    pub(crate) fn new(dns: &config::Dns) -> Self {
        let mut upstream = Self {
            servers: dns.servers.clone(),
            timeout: dns.timeout,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            resolver: None,
            hosts: Hosts::default(),
            read: (None, None),
        };
        upstream.read_hosts();
        upstream.connect();
        upstream
    }

    /// Begins a lookup; the answer comes with its TTL.
    pub(crate) fn look_up(
        &mut self,
        question: Question,
    ) -> impl Future<Output = (Question, Answer, Duration)> + Send + use<> {
        self.refresh();
        let written = self.written(&question);
        let (resolver, places) = (self.resolver.clone(), Arc::clone(&self.places));
        let patience = self.timeout * PATIENCE;
        async move {
            let (answer, ttl) = match (written, resolver) {
                (Some(answer), _) => (answer, Duration::ZERO),
                (None, None) => (Answer::Failed, Duration::ZERO),
                (None, Some(resolver)) => {
                    let looking = async {
                        let _place = places.acquire().await.ok()?;
                        Some(ask(&resolver, &question).await)
                    };
                    let answer = tokio::time::timeout(patience, looking).await.ok().flatten();
                    answer.unwrap_or((Answer::Failed, Duration::ZERO))
                }
            };
            (question, answer, ttl)
        }
    }

    /// What the hosts file says. A name that stands there is not asked of the DNS at all, whatever the type.
    fn written(&self, question: &Question) -> Option<Answer> {
        let host = ["_sip._udp.", "_sip._tcp.", "_sips._tcp."]
            .into_iter()
            .find_map(|service| question.name.strip_prefix(service))
            .unwrap_or(&question.name);
        let name = Name::from_ascii(host).ok()?;
        let of = |kind| {
            let found = self.hosts.lookup_static_host(&Query::query(name.clone(), kind))?;
            let addresses = found.answers().iter().filter_map(|record| record.data.ip_addr());
            Some(addresses.take(MOST_RECORDS).collect::<Vec<_>>()).filter(|addresses| !addresses.is_empty())
        };
        let (v4, v6) = (of(RecordType::A), of(RecordType::AAAA));
        if v4.is_none() && v6.is_none() {
            return None;
        }
        let wanted = match question.kind {
            Kind::A => v4,
            Kind::Aaaa => v6,
            Kind::Naptr | Kind::Srv => None,
        };
        Some(wanted.map_or(Answer::Nothing, Answer::Addresses))
    }

    /// Reads the system's files again where they were changed.
    fn refresh(&mut self) {
        let (hosts, resolv_conf) = (changed(HOSTS), changed(RESOLV_CONF));
        if hosts != self.read.0 {
            self.read_hosts();
        }
        if self.servers.is_empty() && resolv_conf != self.read.1 {
            self.connect();
        }
    }

    fn read_hosts(&mut self) {
        self.read.0 = changed(HOSTS);
        self.hosts = Hosts::from_system().unwrap_or_else(|error| {
            tracing::warn!(%error, "{HOSTS} cannot be read");
            Hosts::default()
        });
    }

    fn connect(&mut self) {
        self.read.1 = changed(RESOLV_CONF);
        let config = if self.servers.is_empty() {
            system_conf::read_system_conf().map(|(config, _)| config)
        } else {
            let servers = self.servers.iter().map(|address| {
                let port = |mut connection: ConnectionConfig| {
                    connection.port = address.port();
                    connection
                };
                let ways = vec![port(ConnectionConfig::udp()), port(ConnectionConfig::tcp())];
                NameServerConfig::new(address.ip(), true, ways)
            });
            Ok(ResolverConfig::from_parts(None, Vec::new(), servers.collect()))
        };
        let mut options = ResolverOpts::default();
        // A datagram may be lost: several tries within the time that a question has.
        options.timeout = self.timeout / 4;
        options.attempts = 3;
        options.edns0 = true;
        // The locator remembers, and the hosts file was looked at before.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let resolver = config.and_then(|config| {
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).with_options(options).build()
        });
        self.resolver = resolver
            .inspect_err(|error| tracing::warn!(%error, "no DNS server is known; names are found in {HOSTS} alone"))
            .ok();
    }
}

fn changed(path: impl AsRef<Path>) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

async fn ask(resolver: &TokioResolver, question: &Question) -> (Answer, Duration) {
    let kind = match question.kind {
        Kind::Naptr => RecordType::NAPTR,
        Kind::Srv => RecordType::SRV,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
    };
    let Ok(mut name) = Name::from_ascii(&*question.name) else { return (Answer::Nothing, Duration::ZERO) };
    // The search list is for names of one word.
    name.set_fqdn(question.name.contains('.'));
    let seconds = |ttl: u32| Duration::from_secs(ttl.into());
    match resolver.lookup(name, kind).await {
        Ok(found) => {
            let records = found.answers();
            let ttl = records.iter().map(|record| record.ttl).min().unwrap_or(0);
            (read(question.kind, records.iter().map(|record| &record.data)), seconds(ttl))
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if matches!(none.response_code, ResponseCode::NoError | ResponseCode::NXDomain) =>
        {
            (Answer::Nothing, seconds(none.negative_ttl.unwrap_or(0)))
        }
        Err(error) => {
            tracing::debug!(%question, %error, "not answered");
            (Answer::Failed, Duration::ZERO)
        }
    }
}

/// The records of the type that was asked for; aliases on the way are left out.
fn read<'a>(kind: Kind, records: impl Iterator<Item = &'a RData>) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let answer = match kind {
        Kind::Naptr => Answer::Naptr(
            records
                .filter_map(|record| match record {
                    RData::NAPTR(it) if it.regexp.is_empty() => Some(Naptr {
                        order: it.order,
                        preference: it.preference,
                        flags: text(&it.flags),
                        service: text(&it.services),
                        replacement: it.replacement.to_ascii(),
                    }),
                    _ => None,
                })
                .take(MOST_RECORDS)
                .collect(),
        ),
        Kind::Srv => Answer::Srv(
            records
                .filter_map(|record| match record {
                    RData::SRV(it) => Some(Srv {
                        priority: it.priority,
                        weight: it.weight,
                        port: it.port,
                        target: it.target.to_ascii(),
                    }),
                    _ => None,
                })
                .take(MOST_RECORDS)
                .collect(),
        ),
        Kind::A | Kind::Aaaa => {
            let right = |address: &std::net::IpAddr| address.is_ipv4() == (kind == Kind::A);
            Answer::Addresses(records.filter_map(RData::ip_addr).filter(right).take(MOST_RECORDS).collect())
        }
    };
    if answer.has_records() { answer } else { Answer::Nothing }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
