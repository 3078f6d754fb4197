//! Redirections (RFC 3261 section 8.1.3.4): where a target says it is to be found instead, within bounds.

use crate::{
    AiProfile, Config, PassedContact, dial,
    dial::{Route, Sees},
    leg::Peer,
};
use serde::{Deserialize, Serialize};
use signaling::{Listener, Transport};
use std::{net::SocketAddr, sync::Arc};

/// Contacts that one transfer follows, or one attempt to reach an AI.
const MOST: usize = 5;
/// Redirections one after another.
const DEEPEST: u8 = 3;
/// Of a contact that is not followed, so many characters are told.
const LONGEST_TOLD: usize = 256;

/// What was followed already, and how deep: no loop comes round, no list has no end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Redirections {
    followed: Vec<(Arc<str>, u8)>,
    origins: Vec<Arc<str>>,
}

impl Redirections {
    /// The contacts of a target's 3xx that may be dialled, the most wanted first, and why the others may not. `ours` are our
    /// own listeners; `bars` says what else is wrong with one.
    pub(crate) fn follow(
        &mut self,
        from: &Arc<str>,
        contacts: &[String],
        ours: &[Listener],
        bars: impl Fn(&str) -> Option<&'static str>,
    ) -> (Vec<Arc<str>>, Vec<PassedContact>) {
        let depth = self.followed.iter().find(|(target, _)| target == from).map_or(0, |(_, depth)| *depth);
        if depth == 0 && !self.origins.contains(from) {
            self.origins.push(Arc::clone(from));
        }
        let (mut targets, mut passed) = (Vec::new(), Vec::new());
        for contact in contacts {
            // Headers that a URI carries are whatever its writer liked; a Request-URI has none (RFC 3261 section 19.1.1).
            let contact = contact.split('?').next().unwrap_or_default();
            let known = self.followed.iter().any(|(target, _)| **target == *contact)
                || self.origins.iter().any(|origin| **origin == *contact);
            let why = if depth >= DEEPEST {
                Some("it is the fourth redirection in a row")
            } else if self.followed.len() >= MOST {
                Some("five contacts were followed already")
            } else if known {
                Some("it was tried already")
            } else if leads_to(contact, ours) {
                Some("it is ourselves")
            } else {
                dial::fault(contact).or_else(|| bars(contact))
            };
            if let Some(why) = why {
                let contact = contact.chars().take(LONGEST_TOLD).collect();
                passed.push(PassedContact { contact, why: why.to_owned() });
                continue;
            }
            let target: Arc<str> = contact.into();
            self.followed.push((Arc::clone(&target), depth + 1));
            targets.push(target);
        }
        (targets, passed)
    }

    /// Whether a target came from a redirection: nobody named it.
    pub(crate) fn led_to(&self, target: &str) -> bool {
        self.followed.iter().any(|(followed, _)| **followed == *target)
    }
}

/// The ways to where an AI says it has moved, or why it is not dialled there: a contact is a peer's word, and what the AI is
/// told of a caller goes to hosts that the configuration names and to no other.
pub(crate) fn ways_to_ai(
    config: &Config,
    profile: &AiProfile,
    name: &str,
    contact: &str,
) -> Result<Vec<Route>, &'static str> {
    if !profile.follows_redirects {
        return Err("the profile's `redirects` is `refuse`");
    }
    if config.agents.account(contact).is_some() {
        return Err("it is an account of ours");
    }
    if dial::scheme(contact) == Some("tel") {
        let by = |trunk: &String| dial::human(config, contact, Some(trunk), "", false);
        let mut why = "it is a number, and the profile has no `trunks`";
        let ways = profile.trunks.iter().filter_map(|trunk| by(trunk).map_err(|wrong| why = wrong).ok());
        let ways: Vec<Route> = ways.flatten().map(|way| Route { sees: Sees::Context, ..way }).collect();
        return if ways.is_empty() { Err(why) } else { Ok(ways) };
    }
    let mut wanted = dial::wanted(contact).ok_or("it has no host that can be dialled")?;
    if !is_host_of(config, profile, &wanted.host) {
        return Err("its host is none of the profile's, nor of its `redirect_hosts`");
    }
    let mut ways = dial::human(config, contact, None, "", false)?;
    for way in &mut ways {
        way.sees = Sees::Context;
        if way.peer == Peer::Direct {
            way.peer = Peer::Ai(name.to_owned());
        }
        let over = way.peer.trunk().and_then(|name| config.trunks.get(name)).and_then(|trunk| trunk.transport);
        if is_secured(config, profile) && !wanted.secure && wanted.transport.or(over) != Some(Transport::Tls) {
            return Err("it is not reached over TLS, and the profile is");
        }
        // RFC 3261, section 8.1.2: a proxy that requests go through is theirs too that follow.
        if let Some(proxy) = profile.proxy.as_ref().and_then(|proxy| dial::wanted(&format!("sip:{proxy}"))) {
            (wanted.host, wanted.port) = (proxy.host, proxy.port);
            way.hop = dial::hop(&wanted, None);
            way.peer = Peer::Ai(name.to_owned());
        }
    }
    Ok(ways)
}

/// Whether a host is one that the profile is reached at, or that its configuration lets it name.
fn is_host_of(config: &Config, profile: &AiProfile, host: &str) -> bool {
    let own = dial::wanted(&profile.uri).map(|wanted| wanted.host);
    let proxy =
        profile.proxy.as_ref().and_then(|proxy| dial::wanted(&format!("sip:{proxy}"))).map(|wanted| wanted.host);
    let trunks = profile.trunks.iter().filter_map(|name| config.trunks.get(name)).map(|trunk| trunk.host.clone());
    own.into_iter().chain(proxy).chain(trunks).any(|its| its.eq_ignore_ascii_case(host))
        || profile.redirect_hosts.iter().any(|allowed| allowed.is(host))
}

/// Whether whatever is said to the AI is said over TLS.
fn is_secured(config: &Config, profile: &AiProfile) -> bool {
    let tls = |name: &String| config.trunks.get(name).is_some_and(|trunk| trunk.transport == Some(Transport::Tls));
    dial::wanted(&profile.uri).is_some_and(|wanted| {
        let own = profile.trunks.is_empty() && wanted.transport == Some(Transport::Tls);
        wanted.secure || own || !profile.trunks.is_empty() && profile.trunks.iter().all(tls)
    })
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
    use crate::{Network, RedirectHost, Trunk};

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    fn ours() -> [Listener; 1] {
        [Listener::from("192.0.2.1:5060".parse::<SocketAddr>().unwrap())]
    }

    #[test]
    fn rfc3261_8_1_3_4_contacts_are_followed_once_three_deep_and_five_in_all() {
        let mut redirections = Redirections::default();
        let mut follow = |from: &Arc<str>, contacts: &[String]| redirections.follow(from, contacts, &ours(), |_| None);
        let mut at: Arc<str> = "sip:a@192.0.2.9".into();
        for depth in 1..=3 {
            let (next, passed) = follow(&at, &texts(&["sip:a@192.0.2.9", &format!("sip:{depth}@192.0.2.9")]));
            assert_eq!((next.len(), passed.len()), (1, 1), "the way back is not taken");
            at = Arc::clone(&next[0]);
        }
        assert!(follow(&at, &texts(&["sip:x@192.0.2.9"])).0.is_empty(), "too deep");
        let many: Vec<String> = (0..20).map(|n| format!("sip:n{n}@192.0.2.9")).collect();
        let (followed, passed) = follow(&"sip:b@192.0.2.9".into(), &many);
        assert_eq!((followed.len(), passed.len()), (2, 18));
        assert_eq!(passed[0].why, "five contacts were followed already");
        assert!(redirections.led_to(&at) && !redirections.led_to("sip:b@192.0.2.9"));
    }

    #[test]
    fn a_redirection_to_ourselves_or_to_what_cannot_be_dialled_is_not_followed() {
        let contacts = texts(&["sip:line@192.0.2.1", "sip:line@192.0.2.1:5060;user=phone", "mailto:a@b", "tel:+49301"]);
        let mut redirections = Redirections::default();
        let (followed, passed) = redirections.follow(&"sip:a@192.0.2.9".into(), &contacts, &ours(), |_| None);
        assert_eq!(followed.iter().map(|it| &**it).collect::<Vec<_>>(), ["tel:+49301"]);
        assert_eq!((passed.len(), &*passed[0].why), (3, "it is ourselves"));
    }

    #[test]
    fn rfc3261_19_1_1_headers_that_a_contact_carries_are_left_out() {
        let contacts = texts(&["sip:b@192.0.2.9?Replaces=abc&X-Tandem-Line=other"]);
        let (followed, _) = Redirections::default().follow(&"sip:a@192.0.2.9".into(), &contacts, &ours(), |_| None);
        assert_eq!(&*followed[0], "sip:b@192.0.2.9");
    }

    fn config() -> Config {
        let trunk = |host: &str, tel: &str| Trunk { host: host.into(), tel: vec![tel.into()], ..Trunk::default() };
        Config {
            trunks: [
                ("carrier".to_owned(), trunk("192.0.2.2", "+")),
                ("bots".to_owned(), trunk("198.51.100.2", "+49")),
            ]
            .into(),
            ..Config::default()
        }
    }

    fn profile(uri: &str) -> AiProfile {
        AiProfile { uri: uri.into(), follows_redirects: true, ..AiProfile::default() }
    }

    #[test]
    fn an_ai_is_followed_to_its_own_hosts_and_to_those_that_it_may_name() {
        let mut by_uri = profile("sip:bot@bots.example");
        by_uri.redirect_hosts = vec![
            RedirectHost::Name("spare.example".into()),
            RedirectHost::Network(Network { address: "203.0.113.0".parse().unwrap(), prefix: 24 }),
        ];
        for (contact, follows) in [
            ("sip:bot2@bots.example", true),
            ("sip:bot2@BOTS.example:5070;transport=tcp", true),
            ("sip:bot@spare.example", true),
            ("sip:bot@203.0.113.77:5080", true),
            ("sip:bot@203.0.114.1", false),
            ("sip:bot@bots.example.org", false),
            ("sip:bots.example@198.51.100.9", false),
            ("sip:bot@bots.example@198.51.100.9", false),
            ("sip:+19005550199@192.0.2.2", false),
            ("tel:+15550199", false),
        ] {
            let ways = ways_to_ai(&config(), &by_uri, "main", contact);
            assert_eq!(ways.is_ok(), follows, "{contact}: {ways:?}");
            if let Ok(ways) = ways {
                assert_eq!((&ways[0].peer, ways[0].sees), (&Peer::Ai("main".into()), Sees::Context), "{contact}");
            }
        }
        let refuses = AiProfile { follows_redirects: false, ..by_uri };
        assert!(ways_to_ai(&config(), &refuses, "main", "sip:bot2@bots.example").is_err());
    }

    #[test]
    fn numbers_of_an_ai_go_by_its_own_trunks_and_never_where_none_are_dialled() {
        let by_trunk = AiProfile { trunks: vec!["bots".into()], ..profile("sip:bot@bots.example") };
        let way = |contact: &str| ways_to_ai(&config(), &by_trunk, "main", contact).map(|mut ways| ways.remove(0).peer);
        assert_eq!(way("tel:+4930123"), Ok(Peer::Trunk("bots".into())));
        assert!(way("tel:+15550199").is_err(), "the carrier is no trunk of the profile");
        assert!(way("tel:+49900123").is_err(), "a premium rate");
        assert_eq!(way("sip:other@198.51.100.2"), Ok(Peer::Trunk("bots".into())));
        assert!(way("sip:+49900123@198.51.100.2").is_err(), "a premium rate in another spelling");
        assert!(way("sip:100@192.0.2.2").is_err(), "the carrier's host was not named");
    }

    #[test]
    fn rfc3261_26_2_2_an_ai_over_tls_is_not_followed_out_of_it() {
        for secured in ["sips:bot@bots.example", "sip:bot@bots.example;transport=tls"] {
            let way = |contact: &str| ways_to_ai(&config(), &profile(secured), "main", contact).is_ok();
            assert!(way("sips:b@bots.example") && way("sip:b@bots.example;transport=tls"), "{secured}");
            assert!(!way("sip:b@bots.example") && !way("sip:b@bots.example;transport=tcp"), "{secured}");
        }
    }

    #[test]
    fn rfc3261_8_1_2_what_follows_goes_through_the_profiles_proxy_too() {
        let through = AiProfile { proxy: Some("198.51.100.7:5070".into()), ..profile("sip:bot@bots.example") };
        let ways = ways_to_ai(&config(), &through, "main", "sip:b@bots.example").unwrap();
        let dial::Hop::Targets(targets) = &ways[0].hop else { panic!("an address needs no DNS") };
        assert_eq!(targets[0].address.to_string(), "198.51.100.7:5070");
    }
}
