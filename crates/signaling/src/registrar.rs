//! The registrar (RFC 3261 section 10.3, RFC 3327): who is registered where, and who may say so.
//!
//! Everything that a stranger can provoke here is answered without being remembered (8.2.7), in bytes that do not tell whether an
//! account exists. Bindings are kept per account, a bounded number of them, and are gone when they expire.

mod bindings;

pub use bindings::Contact;

use self::bindings::{Bindings, Refusal, Wish};
use crate::{
    Flow,
    challenge::{self, Challenger, Digests, Secrets, Verdict},
    compose::Response,
    guard::Offence,
    inbound,
    legs::World,
    message::Request,
    table::Keyed,
};
use clock::{Monotonic, Timers};
use serde::{Deserialize, Serialize};
use sip_codec::{Method, Name, Uri};
use std::{
    collections::HashMap,
    fmt,
    hash::BuildHasher as _,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

/// Nonces in use that are remembered for each account.
const NONCES_PER_ACCOUNT: usize = 16;

/// What an operator says of phones that register with us.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registration {
    /// Hosts whose users are our accounts, beside the addresses of the listeners.
    pub domains: Vec<String>,
    /// Of the challenges.
    pub realm: String,
    /// What is offered.
    pub digests: Digests,
    /// How long a nonce opens.
    pub nonce_lifetime: Duration,
    /// A binding of less is refused with 423; at most one hour.
    pub expires_min: Duration,
    /// A binding of more, or of no length that was named, lasts this long.
    pub expires_max: Duration,
    /// Where a phone's requests are sent.
    pub reach: Reach,
    /// Who may register.
    pub accounts: Vec<Account>,
}

/// Where the requests to a registered phone are sent.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// To its Contact when the registration came from that address, else to where the registration came from.
    #[default]
    Auto,
    /// To its Contact; to where the registration came from only when that is a name.
    Contact,
    /// To where the registration came from: address and port.
    Source,
}

/// Somebody who may register.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user of its address, and the username of its digest.
    pub username: String,
    /// The password.
    pub password: String,
    /// Phones at once; one more takes the place of the one that was heard of least lately.
    pub max_contacts: usize,
}

impl fmt::Debug for Account {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("username", &self.username).finish_non_exhaustive()
    }
}

/// All accounts and their bindings.
#[derive(Debug)]
pub(crate) struct Registrar {
    domains: Vec<String>,
    challenger: Challenger,
    expires: (Duration, Duration),
    reach: Reach,
    tags: Keyed,
    accounts: Vec<Entry>,
    by_name: HashMap<String, usize, Keyed>,
    /// How many bindings came from each address.
    sources: HashMap<IpAddr, usize, Keyed>,
    timers: Timers<usize>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    secrets: Secrets,
    bindings: Bindings,
}

impl Registrar {
    pub(crate) fn new(config: &Registration, own: impl Iterator<Item = IpAddr>, mut key: impl FnMut() -> u64) -> Self {
        let mut keyed = || Keyed::new((key(), key()));
        let (tags, by_name, sources) = (keyed(), keyed(), keyed());
        let entry = |account: &Account| Entry {
            name: account.username.clone(),
            secrets: Secrets::new(&account.username, &config.realm, &account.password),
            bindings: Bindings::new(account.max_contacts.max(1)),
        };
        let accounts: Vec<Entry> = config.accounts.iter().map(entry).collect();
        let mut names = HashMap::with_hasher(by_name);
        names.extend(accounts.iter().enumerate().map(|(at, account)| (account.name.clone(), at)));
        let nonces = NONCES_PER_ACCOUNT * (accounts.len() + 1);
        let named = config.domains.iter().map(|domain| domain.to_ascii_lowercase());
        Self {
            domains: named.chain(own.map(|ip| if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() })).collect(),
            challenger: Challenger::new(&config.realm, (key(), key()), config.digests, config.nonce_lifetime, nonces),
            expires: (config.expires_min, config.expires_max),
            reach: config.reach,
            tags,
            accounts,
            by_name: names,
            sources: HashMap::with_hasher(sources),
            timers: Timers::default(),
        }
    }

    /// When [`Self::expire`] wants to be called next.
    pub(crate) fn next_timeout(&self) -> Option<Monotonic> {
        self.timers.next_timeout()
    }

    /// Ends the bindings that are over; the accounts that lost one.
    pub(crate) fn expire(&mut self, now: Monotonic) -> Vec<(String, Vec<Contact>)> {
        let mut changed = Vec::new();
        while let Some(at) = self.timers.pop_expired(now) {
            let gone = self.accounts[at].bindings.expire(now);
            if !gone.is_empty() {
                self.leave(&gone);
                let account = &self.accounts[at];
                tracing::info!(account = %account.name, contacts = account.bindings.len(), "a registration expired");
                changed.push((account.name.clone(), account.bindings.contacts()));
            }
            self.rearm(at);
        }
        changed
    }

    /// True when a phone is registered from this address.
    pub(crate) fn has_source(&self, source: IpAddr) -> bool {
        self.sources.contains_key(&source.to_canonical())
    }

    /// Bindings there are.
    pub(crate) fn len(&self) -> usize {
        self.accounts.iter().map(|account| account.bindings.len()).sum()
    }

    fn is_ours(&self, uri: &Uri<'_>) -> bool {
        self.domains.iter().any(|domain| uri.host.eq_ignore_ascii_case(domain.as_bytes()))
    }

    /// The account that an address names, if it is one of our domains'.
    fn named(&self, uri: &Uri<'_>) -> Option<usize> {
        let user = String::from_utf8(uri.user_decoded()?).ok()?;
        self.by_name.get(&user).copied().filter(|_| self.is_ours(uri))
    }

    fn judge(&mut self, now: Monotonic, request: &Request, header: Name) -> Verdict {
        let (accounts, by_name) = (&self.accounts, &self.by_name);
        self.challenger.judge(now, request.flow.remote.ip(), &request.message, header, |user| {
            by_name.get(user).map(|at| &accounts[*at].secrets)
        })
    }

    fn rearm(&mut self, at: usize) {
        match self.accounts[at].bindings.next_expiry() {
            Some(expiry) => self.timers.set(at, expiry),
            None => {
                self.timers.cancel(at);
            }
        }
    }

    fn enter(&mut self, source: IpAddr) {
        *self.sources.entry(source.to_canonical()).or_default() += 1;
    }

    fn leave(&mut self, sources: &[IpAddr]) {
        for source in sources {
            let source = source.to_canonical();
            if let Some(count) = self.sources.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    self.sources.remove(&source);
                }
            }
        }
    }
}

/// A REGISTER that is no copy of one we know. It is for the registrar, or, when it names nothing of ours, for nobody.
pub(crate) fn receive(w: &mut World<'_>, request: Request) {
    let Some(mut registrar) = w.cx.registrar.take() else { return };
    registrar.receive(w, request);
    w.cx.registrar = Some(registrar);
}

/// An INVITE from an address where a phone is registered and that no trunk allows. The account that it is of, when it may go on; else
/// it was answered.
pub(crate) fn caller(w: &mut World<'_>, request: &Request) -> Option<String> {
    let mut registrar = w.cx.registrar.take()?;
    let account = registrar.caller(w, request);
    w.cx.registrar = Some(registrar);
    account
}

impl Registrar {
    fn receive(&mut self, w: &mut World<'_>, request: Request) {
        let source = request.flow.remote.ip();
        let trunk = w.cx.allowed(request.flow.remote);
        let To { account, ours } = self.addressed(&request);
        if !trunk {
            // A ban shuts out whoever shares the address, but not the phone that is registered from it.
            let own = account.is_some_and(|at| self.accounts[at].bindings.come_from(source));
            if !inbound::lets_in(w, source, own) {
                return;
            }
            if !ours {
                return inbound::stranger(w, &request.message, request.flow, request.reply_to);
            }
        }
        let unknown: Vec<_> = request.message.unsupported(&["path"]).map(crate::message::text).take(8).collect();
        if !unknown.is_empty() {
            let response = Response::new(420).with(Name::Unsupported, unknown.join(", "));
            return self.answer(w, &request, response);
        }
        let user = match self.judge(w.cx.now, &request, Name::Authorization) {
            Verdict::Passed(user) => user,
            verdict => return self.challenge(w, &request, &verdict, 401),
        };
        if !ours {
            return self.answer(w, &request, Response::new(404));
        }
        if w.transactions.overfull(w.cx) {
            w.cx.counters.refused_at_limit += 1;
            return self.answer(w, &request, Response::new(503).with(Name::RetryAfter, inbound::RETRY_AFTER));
        }
        let request = Arc::new(request);
        let server = w.transactions.servers.start(Arc::clone(&request), None);
        let tag = self.tag(&request);
        let response = match account.filter(|at| self.accounts[*at].name == user) {
            Some(account) => self.register(w, account, &request),
            // Somebody we know, who speaks for somebody else.
            None => Response::new(403),
        };
        w.respond(server, &Response { to_tag: Some(&tag), ..response });
    }

    /// Whose registration it is, and whether it is for a domain of ours at all.
    fn addressed(&self, request: &Request) -> To {
        let domain = request.message.uri().is_ok_and(|uri| self.is_ours(&uri));
        match request.message.to() {
            Ok(to) => To { account: self.named(&to.uri), ours: domain && self.is_ours(&to.uri) },
            Err(_) => To { account: None, ours: false },
        }
    }

    /// 10.3, steps 6 to 8.
    fn register(&mut self, w: &mut World<'_>, at: usize, request: &Request) -> Response<'static> {
        let wishes = match Wish::read(request, self.expires, |contact| self.flow(request, contact)) {
            Ok(wishes) => wishes,
            Err(refusal) => return refused(&refusal, self.expires.0),
        };
        let account = &mut self.accounts[at];
        let before = account.bindings.contacts();
        let changed = match account.bindings.change(w.cx.now, request.call_id(), request.cseq, wishes) {
            Ok(changed) => changed,
            Err(refusal) => return refused(&refusal, self.expires.0),
        };
        let contacts = account.bindings.contacts();
        if before != contacts {
            tracing::info!(account = %account.name, source = %request.flow, contacts = contacts.len(), "registered");
            w.cx.contacts(account.name.clone(), contacts);
        }
        w.cx.counters.registrations += 1;
        for _ in 0..changed.entered {
            self.enter(request.flow.remote.ip());
        }
        self.leave(&changed.left);
        self.rearm(at);
        let mut response = Response::new(200);
        for contact in self.accounts[at].bindings.printed(w.cx.now) {
            response = response.with(Name::Contact, contact);
        }
        // RFC 3327 section 5.3
        for path in request.message.values(Name::Path).map(crate::message::text) {
            response = response.with(Name::Path, path);
        }
        response.with(Name::Supported, "path")
    }

    /// Which way requests to a contact go.
    fn flow(&self, request: &Request, contact: &Uri<'_>) -> Flow {
        let source = request.flow.remote;
        let next_hop = self.next_hop(request, contact);
        // A stream is its peer's: somebody else is reached by another.
        let connection =
            request.flow.connection.filter(|_| next_hop.ip() == source.ip() || self.reach != Reach::Contact);
        Flow { remote: next_hop, connection, ..request.flow }
    }

    fn next_hop(&self, request: &Request, contact: &Uri<'_>) -> SocketAddr {
        let source = request.flow.remote;
        let address = |uri: &Uri<'_>| {
            let port = uri.port.filter(|port| *port != 0).unwrap_or(request.flow.transport.default_port());
            uri.host_ip().filter(|ip| !ip.is_unspecified()).map(|ip| SocketAddr::new(ip, port))
        };
        let path = request.message.addresses(Name::Path).next();
        if let Some(Ok(first)) = path {
            return address(&first.uri).unwrap_or(source);
        }
        let told = address(contact).filter(|told| match self.reach {
            Reach::Auto => told.ip().to_canonical() == source.ip().to_canonical(),
            Reach::Contact => true,
            Reach::Source => false,
        });
        told.unwrap_or(source)
    }

    fn caller(&mut self, w: &mut World<'_>, request: &Request) -> Option<String> {
        let user = match self.judge(w.cx.now, request, Name::ProxyAuthorization) {
            Verdict::Passed(user) => user,
            verdict => {
                self.challenge(w, request, &verdict, 407);
                return None;
            }
        };
        let own = request
            .message
            .from()
            .is_ok_and(|from| self.named(&from.uri).is_some_and(|account| self.accounts[account].name == user));
        if !own {
            self.answer(w, request, Response::new(403));
        }
        own.then_some(user)
    }

    /// Asks for credentials, in the same words whatever was wrong with those that came.
    fn challenge(&mut self, w: &mut World<'_>, request: &Request, verdict: &Verdict, status: u16) {
        let source = request.flow.remote.ip();
        if verdict.is_offence() {
            w.cx.counters.failed_authentications += 1;
            let exempt = w.cx.allowed(request.flow.remote);
            if w.cx.guard.offends(w.cx.now, source, Offence::FailedAuthentication, exempt) {
                return;
            }
        }
        if *verdict == Verdict::Elsewhere {
            return self.answer(w, request, challenge::elsewhere());
        }
        let name = if status == 407 { Name::ProxyAuthenticate } else { Name::WwwAuthenticate };
        let chance = w.cx.random();
        let mut challenges = self.challenger.challenges(w.cx.now, source, chance, *verdict == Verdict::Stale);
        // A small request gets the best algorithm's challenge alone: an answer must not be a lever.
        while !challenges.is_empty() {
            let own = challenges.iter().map(|challenge| (name, challenge.clone().into())).collect();
            let tag = self.tag(request);
            let response = Response { own, ..Response::tagged(status, &tag) };
            if inbound::answer_bare(w, &request.message, request.flow, request.reply_to, &response) {
                w.cx.counters.challenges += 1;
                return;
            }
            challenges.pop();
        }
    }

    /// Answers without remembering.
    fn answer(&self, w: &mut World<'_>, request: &Request, response: Response<'_>) {
        let tag = self.tag(request);
        let response = Response { to_tag: Some(&tag), ..response };
        inbound::answer_bare(w, &request.message, request.flow, request.reply_to, &response);
    }

    /// The same for each copy of a request (8.2.7), and of one length for all.
    fn tag(&self, request: &Request) -> String {
        format!("{:016x}", self.tags.hash_one(request.transaction_key().as_slice()))
    }
}

struct To {
    account: Option<usize>,
    ours: bool,
}

fn refused(refusal: &Refusal, shortest: Duration) -> Response<'static> {
    match refusal {
        Refusal::TooBrief => Response::new(423).with(Name::MinExpires, shortest.as_secs().to_string()),
        Refusal::OutOfOrder => Response::new(500),
        Refusal::Wrong(why) => Response { phrase: Some(why), ..Response::new(400) },
    }
}

/// True for the requests that a registered phone may begin something with, beside REGISTER.
pub(crate) fn may_begin(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Options)
}
