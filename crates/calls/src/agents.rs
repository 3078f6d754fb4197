//! Agents' phones: which target names an account of ours, and where it is registered.

use crate::{Nat, Trunk};
use rustc_hash::FxHashMap;
use signaling::Contact;
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// The name that calls of registered phones come under, where a trunk's would stand.
pub const AGENTS: &str = "agents";

/// Phones that register with us, as far as the configuration knows them.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    /// Hosts whose users are our accounts, in lower case; one with a port stands for that port alone (5060 is written, too).
    pub domains: Vec<String>,
    /// How their calls are taken: numbers, bounds, and whose word counts about their media.
    pub caller: Trunk,
    /// Where legs to them take their media's source from.
    pub nat: Nat,
    /// Who of them can be given callers, in the configuration's order.
    pub people: Vec<(String, crate::AgentConfig)>,
}

/// Where each account is registered at the moment.
pub(crate) type Registered = FxHashMap<String, Vec<Arc<Contact>>>;

impl Agents {
    /// The account that a target names: `agent:anna`, or a `sip:` URI of a domain of ours. It may be nobody's.
    pub(crate) fn account<'a>(&self, target: &'a str) -> Option<&'a str> {
        if let Some(name) = target.strip_prefix("agent:") {
            return Some(name);
        }
        if self.domains.is_empty() || crate::dial::scheme(target) != Some("sip") {
            return None;
        }
        let (_, rest) = target.split_once(':')?;
        let (user, host) = rest.split_once('@')?;
        let host = host.split([';', '?']).next()?;
        let port_at = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        let (bare, port) = port_at.map_or((host, "5060"), |at| (&host[..at], &host[at + 1..]));
        let ours = |domain: &String| {
            let (name, its_port) = match domain.rfind(':').filter(|at| !domain[*at..].contains(']')) {
                Some(at) => (&domain[..at], Some(&domain[at + 1..])),
                None => (domain.as_str(), None),
            };
            bare.eq_ignore_ascii_case(name) && its_port.is_none_or(|its| its == port)
        };
        self.domains.iter().any(ours).then(|| user.split([';', ':']).next().unwrap_or(user))
    }

    /// Whom to ring for a target: each phone of an account, none of which is nobody's; or the target itself, which is no account's.
    pub(crate) fn phones(&self, registered: &Registered, target: &str) -> SmallVec<[Option<Arc<Contact>>; 2]> {
        let phones = self.account(target).and_then(|account| registered.get(account));
        match phones {
            Some(phones) if !phones.is_empty() => phones.iter().map(|phone| Some(Arc::clone(phone))).collect(),
            _ => smallvec![None],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_our_domain_names_an_account_and_another_does_not() {
        let domains = ["desk.example", "192.0.2.1:5060", "[2001:db8::1]:5070"].map(str::to_owned).to_vec();
        let agents = Agents { domains, ..Agents::default() };
        for (target, account) in [
            ("sip:anna@desk.example", Some("anna")),
            ("SIP:anna;x=y@Desk.Example:5080;transport=udp", Some("anna")),
            ("agent:anna", Some("anna")),
            ("sip:anna@192.0.2.1", Some("anna")),
            ("sip:anna@192.0.2.1:5060", Some("anna")),
            ("sip:anna@192.0.2.1:5080", None),
            ("sip:anna@[2001:db8::1]:5070", Some("anna")),
            ("sip:anna@[2001:db8::1]", None),
            ("sip:anna@elsewhere.example", None),
            ("sip:desk.example", None),
            ("tel:+4930123", None),
        ] {
            assert_eq!(agents.account(target), account, "{target}");
        }
        assert_eq!(Agents::default().account("sip:anna@desk.example"), None);
    }
}
