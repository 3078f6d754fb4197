//! Who calls, as far as the trunk that brought the call may be believed (RFC 3323, RFC 3325), what else of the call may be
//! passed on, and what each peer is told of it ([`shown`]).
//!
//! From a trunk that is not trusted, P-Asserted-Identity, Diversion and History-Info count for nothing, however they are
//! written. A wish for privacy counts from everybody.

mod config;
mod shown;
mod text;

pub use config::{Forwarded, NumberFormat, RequestUri, TrunkIdentity};
pub(crate) use shown::{Shown, Whom, show};

use crate::Trunk;
use serde::{Deserialize, Serialize};
use signaling::{Incoming, Party};

/// Bytes of a number or a user.
const LONGEST_USER: usize = 128;
/// Bytes of a display name.
const LONGEST_DISPLAY: usize = 128;
/// Bytes of a header that is passed on.
const LONGEST_VALUE: usize = 256;
/// Headers that are passed on.
const MOST_HEADERS: usize = 16;
/// Entries of Diversion, and of History-Info, that are passed on.
const MOST_ENTRIES: usize = 8;

/// What is known of the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// Their number or user; none when it is withheld or unknown.
    pub(crate) number: Option<String>,
    /// Their display name; empty when it is withheld.
    pub(crate) display: String,
    /// Who they are by the word of a trusted trunk, even when that is withheld.
    asserted: Option<String>,
    privacy: Privacy,
    /// Diversion of a trusted trunk, the last one first.
    diverted: Vec<String>,
    /// History-Info of a trusted trunk, in order.
    history: Vec<String>,
    /// Headers that the trunk may bring along.
    headers: Vec<(String, String)>,
}

/// A Privacy header (RFC 3323, section 4.2; RFC 3325, section 9.3; RFC 7044, section 7.2). Via, Contact and the media of a call
/// are ours on every leg, so that `header` and `session` are granted to everybody.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Privacy {
    /// `id`, `user`: the identity is not to be shown.
    withheld: bool,
    /// `user`: nor what else tells of the person.
    personal: bool,
    /// `history`.
    history: bool,
    /// `critical`: rather no call than one that shows it.
    critical: bool,
    /// `none`: it is to be shown, whatever others' defaults are.
    none: bool,
}

impl Identity {
    /// Somebody of whom nothing but their number is known.
    pub(crate) fn of_number(number: &str) -> Self {
        Self { number: Some(number.to_owned()), ..Self::default() }
    }

    /// Reads the caller's INVITE.
    pub(crate) fn read(incoming: &Incoming, trunk: &Trunk) -> Self {
        let privacy = Privacy::read(all(incoming, "Privacy"));
        let from = number_of(&incoming.from, trunk);
        let list = |name: &'static str| all(incoming, name).flat_map(text::values).filter(|_| trunk.trusted);
        let kept = |name| list(name).filter(|one| one.len() <= LONGEST_VALUE && !one.chars().any(char::is_control));
        let asserted = list("P-Asserted-Identity").filter_map(text::uri).find_map(|uri| {
            let party = Party { display: String::new(), uri: uri.to_owned() };
            number_of(&party, trunk)
        });
        let known = asserted.clone().or_else(|| from.clone());
        // A From that names nobody is a wish to stay unknown as well.
        let withheld = privacy.withheld || (from.is_none() && !privacy.none);
        Self {
            number: known.filter(|_| !withheld),
            display: if withheld { String::new() } else { text::plain(&incoming.from.display, LONGEST_DISPLAY) },
            asserted,
            privacy,
            diverted: kept("Diversion").take(MOST_ENTRIES).map(str::to_owned).collect(),
            history: kept("History-Info").take(MOST_ENTRIES).map(str::to_owned).collect(),
            headers: passed(incoming, &trunk.identity.headers_in),
        }
    }
}

impl Privacy {
    fn read<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut privacy = Self::default();
        for word in values.flat_map(|value| value.split([';', ','])).map(str::trim).take(16) {
            match word.to_ascii_lowercase().as_str() {
                "id" => privacy.withheld = true,
                "user" => (privacy.withheld, privacy.personal) = (true, true),
                "history" => privacy.history = true,
                "critical" => privacy.critical = true,
                "none" => privacy.none = true,
                _ => {}
            }
        }
        // Who asks for both is given what cannot be taken back.
        privacy.none &= !privacy.withheld;
        privacy
    }
}

/// Every header of a name, in order; whoever writes one twice is read twice.
fn all<'a>(incoming: &'a Incoming, name: &'a str) -> impl Iterator<Item = &'a str> {
    let named = move |header: &&(String, String)| header.0.trim().eq_ignore_ascii_case(name);
    incoming.headers.iter().filter(named).map(|(_, value)| value.as_str())
}

/// The number or user of an address in the trunk's own way of writing; none for one that names nobody.
fn number_of(party: &Party, trunk: &Trunk) -> Option<String> {
    let host = party.uri.rsplit_once('@').map_or("", |(_, host)| host);
    let user = text::plain(&crate::calls::unescape(party.user()?), LONGEST_USER);
    let nobody = user.is_empty()
        || user.eq_ignore_ascii_case("anonymous")
        || user.eq_ignore_ascii_case("unavailable")
        || host.to_ascii_lowercase().starts_with("anonymous.invalid");
    (!nobody).then(|| trunk.numbers.canonical(&user))
}

/// The headers that are on a list.
fn passed(incoming: &Incoming, names: &[String]) -> Vec<(String, String)> {
    if names.is_empty() {
        return Vec::new();
    }
    let listed = |name: &str| names.iter().find(|known| known.eq_ignore_ascii_case(name.trim()));
    incoming
        .headers
        .iter()
        .filter(|(_, value)| value.len() <= LONGEST_VALUE && !value.chars().any(char::is_control))
        .filter_map(|(name, value)| Some((listed(name)?.clone(), value.clone())))
        .take(MOST_HEADERS)
        .collect()
}

#[cfg(test)]
mod tests;
