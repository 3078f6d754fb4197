//! Trunks that show a password for each call they bring (RFC 3261 section 22.2): where they may come from, and which one it is.
//!
//! A gate's addresses are allowed nothing but to knock: until the digest is right, whoever sends from there is a stranger, with a
//! stranger's bounds and bans.

use crate::{
    Network,
    challenge::{self, Challenger, Digests, Secrets, Verdict},
    compose::Response,
    guard::Offence,
    inbound,
    legs::World,
    message::Request,
    table::Keyed,
};
use serde::{Deserialize, Serialize};
use sip_codec::Name;
use std::{fmt, hash::BuildHasher as _, net::IpAddr, time::Duration};

/// How long a nonce opens.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Nonces in use that are remembered for each gate.
const NONCES: usize = 1_024;

/// A trunk whose calls are challenged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The trunk's name: what [`crate::Incoming::gate`] says.
    pub name: String,
    /// Where it may call from.
    pub networks: Vec<Network>,
    /// Of the challenges.
    pub realm: String,
    /// Its username.
    pub username: String,
    /// Its password.
    pub password: String,
    /// What is offered.
    pub digests: Digests,
}

impl fmt::Debug for Gate {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("name", &self.name).field("networks", &self.networks).finish_non_exhaustive()
    }
}

/// All gates.
#[derive(Debug)]
pub(crate) struct Gates {
    gates: Vec<Shut>,
    tags: Keyed,
}

#[derive(Debug)]
struct Shut {
    name: String,
    networks: Vec<Network>,
    username: String,
    secrets: Secrets,
    challenger: Challenger,
}

impl Gates {
    pub(crate) fn new(gates: &[Gate], mut chance: impl FnMut() -> u64) -> Self {
        let shut = |gate: &Gate, key| Shut {
            name: gate.name.clone(),
            networks: gate.networks.clone(),
            username: gate.username.clone(),
            secrets: Secrets::new(&gate.username, &gate.realm, &gate.password),
            challenger: Challenger::new(&gate.realm, key, gate.digests, NONCE_LIFETIME, NONCES),
        };
        let gates = gates.iter().map(|gate| shut(gate, (chance(), chance()))).collect();
        Self { gates, tags: Keyed::new((chance(), chance())) }
    }

    /// True when an address lies before a gate.
    pub(crate) fn covers(&self, source: IpAddr) -> bool {
        self.gates.iter().any(|gate| gate.networks.iter().any(|network| network.contains(source)))
    }
}

/// An INVITE from before a gate. The trunk that it is of, when it may go on; else it was answered.
pub(crate) fn caller(w: &mut World<'_>, request: &Request) -> Option<String> {
    let mut gates = std::mem::replace(&mut w.cx.gates, Gates { gates: Vec::new(), tags: Keyed::new((0, 0)) });
    let caller = gates.caller(w, request);
    w.cx.gates = gates;
    caller
}

impl Gates {
    fn caller(&mut self, w: &mut World<'_>, request: &Request) -> Option<String> {
        let (now, source) = (w.cx.now, request.flow.remote.ip());
        let mut asks = None;
        // Several trunks may share their addresses: each knows its own realm's answer.
        for (at, gate) in self.gates.iter_mut().enumerate() {
            if !gate.networks.iter().any(|network| network.contains(source)) {
                continue;
            }
            let (username, secrets) = (&gate.username, &gate.secrets);
            let known = |user: &str| (user == username).then_some(secrets);
            let verdict = gate.challenger.judge(now, source, &request.message, Name::ProxyAuthorization, known);
            match verdict {
                Verdict::Passed(_) => return Some(gate.name.clone()),
                Verdict::Missing if asks.is_some() => {}
                verdict => asks = Some((at, verdict)),
            }
        }
        let (at, verdict) = asks?;
        if verdict.is_offence() {
            w.cx.counters.failed_authentications += 1;
            if w.cx.guard.offends(now, source, Offence::FailedAuthentication, false) {
                return None;
            }
        }
        if verdict == Verdict::Elsewhere {
            let response = Response { to_tag: Some(&self.tag(request)), ..challenge::elsewhere() };
            inbound::answer_bare(w, &request.message, request.flow, request.reply_to, &response);
            return None;
        }
        self.challenge(w, request, at, verdict == Verdict::Stale);
        None
    }

    /// The same for each copy of a request (8.2.7).
    fn tag(&self, request: &Request) -> String {
        format!("{:016x}", self.tags.hash_one(request.transaction_key().as_slice()))
    }

    /// Asks for credentials, in the same words whatever was wrong with those that came, and remembers nothing.
    fn challenge(&self, w: &mut World<'_>, request: &Request, at: usize, stale: bool) {
        let chance = w.cx.random();
        let Some(gate) = self.gates.get(at) else { return };
        let mut challenges = gate.challenger.challenges(w.cx.now, request.flow.remote.ip(), chance, stale);
        let tag = self.tag(request);
        while !challenges.is_empty() {
            let own = challenges.iter().map(|challenge| (Name::ProxyAuthenticate, challenge.clone().into())).collect();
            let response = Response { own, ..Response::tagged(407, &tag) };
            if inbound::answer_bare(w, &request.message, request.flow, request.reply_to, &response) {
                w.cx.counters.challenges += 1;
                return;
            }
            challenges.pop();
        }
    }
}
