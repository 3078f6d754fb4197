//! Redirections (RFC 3261 section 8.1.3.4): where a target says it is to be found instead, within bounds.

use crate::dial;
use serde::{Deserialize, Serialize};
use signaling::Listener;
use std::{net::SocketAddr, sync::Arc};

/// Contacts that one transfer follows.
const MOST: usize = 5;
/// Redirections one after another.
const DEEPEST: u8 = 3;

/// What was followed already, and how deep: no loop comes round, no list has no end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Redirections {
    followed: Vec<(Arc<str>, u8)>,
    origins: Vec<Arc<str>>,
}

impl Redirections {
    /// The contacts of a target's 3xx that may be dialled, the most wanted first. `ours` are our own listeners.
    pub(crate) fn follow(&mut self, from: &Arc<str>, contacts: &[String], ours: &[Listener]) -> Vec<Arc<str>> {
        let depth = self.followed.iter().find(|(target, _)| target == from).map_or(0, |(_, depth)| *depth);
        if depth == 0 && !self.origins.contains(from) {
            self.origins.push(Arc::clone(from));
        }
        let mut targets = Vec::new();
        for contact in contacts {
            let known = self.followed.iter().any(|(target, _)| **target == **contact)
                || self.origins.iter().any(|origin| **origin == **contact);
            if depth >= DEEPEST || self.followed.len() >= MOST {
                break;
            }
            if known || dial::fault(contact).is_some() || leads_to(contact, ours) {
                continue;
            }
            let target: Arc<str> = contact.as_str().into();
            self.followed.push((Arc::clone(&target), depth + 1));
            targets.push(target);
        }
        targets
    }

    /// Whether a target came from a redirection: nobody named it.
    pub(crate) fn led_to(&self, target: &str) -> bool {
        self.followed.iter().any(|(followed, _)| **followed == *target)
    }
}

/// Whether a URI is one of our own listeners.
fn leads_to(uri: &str, ours: &[Listener]) -> bool {
    let Some(wanted) = dial::wanted(uri) else { return false };
    let address = wanted.host.parse().map(|ip| SocketAddr::new(ip, dial::port_of(&wanted)));
    address.is_ok_and(|address| ours.iter().any(|it| it.local == address || it.advertised == address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn rfc3261_8_1_3_4_contacts_are_followed_once_three_deep_and_five_in_all() {
        let ours = [Listener::from("192.0.2.1:5060".parse::<SocketAddr>().unwrap())];
        let mut redirections = Redirections::default();
        let mut at: Arc<str> = "sip:a@192.0.2.9".into();
        for depth in 1..=3 {
            let next = redirections.follow(&at, &texts(&["sip:a@192.0.2.9", &format!("sip:{depth}@192.0.2.9")]), &ours);
            assert_eq!(next.len(), 1, "the way back is not taken");
            at = Arc::clone(&next[0]);
            assert!(redirections.led_to(&at));
        }
        assert!(redirections.follow(&at, &texts(&["sip:x@192.0.2.9"]), &ours).is_empty(), "too deep");
        let many: Vec<String> = (0..20).map(|n| format!("sip:n{n}@192.0.2.9")).collect();
        assert_eq!(redirections.follow(&"sip:b@192.0.2.9".into(), &many, &ours).len(), 2);
    }

    #[test]
    fn a_redirection_to_ourselves_or_to_what_cannot_be_dialled_is_not_followed() {
        let ours = [Listener::from("192.0.2.1:5060".parse::<SocketAddr>().unwrap())];
        let contacts = texts(&["sip:line@192.0.2.1", "sip:line@192.0.2.1:5060;user=phone", "mailto:a@b", "tel:+49301"]);
        let followed = Redirections::default().follow(&"sip:a@192.0.2.9".into(), &contacts, &ours);
        assert_eq!(followed.iter().map(|it| &**it).collect::<Vec<_>>(), ["tel:+49301"]);
    }
}
