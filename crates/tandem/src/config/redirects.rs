//! `redirects` and `redirect_hosts` of an AI profile.

use super::{
    reader::{Section, Wrong},
    types::RedirectHost,
    values::{self, Host},
};

/// Whether the profile's redirections are followed, and the hosts that they may name beside its own.
pub(super) fn of_profile(section: &mut Section<'_>) -> (bool, Vec<RedirectHost>) {
    let follows = section.word("redirects", false, &[("refuse", false), ("follow", true)]);
    let hosts = section.list("redirect_hosts", host).unwrap_or_default();
    if let (false, Some(first)) = (follows, hosts.first()) {
        section.wrong(first.place, "`redirect_hosts` without `redirects: follow`: none of them is ever called", None);
    }
    (follows, hosts.into_iter().map(|placed| placed.value).collect())
}

fn host(text: &str) -> Result<RedirectHost, Wrong> {
    if let Ok(network) = values::network(text) {
        return Ok(RedirectHost::Network(network));
    }
    match values::host(text, 5060) {
        Ok(Host::Name(name, None)) => Ok(RedirectHost::Name(name)),
        _ => Err(Wrong::new(format!("`{text}` is neither a host name nor an address"))
            .help("like `bots.example.net` or `192.0.2.0/28`, without a port")),
    }
}
