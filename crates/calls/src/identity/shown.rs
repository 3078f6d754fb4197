//! What a peer is told of the caller: From, P-Asserted-Identity and Privacy (RFC 3323, RFC 3325), Diversion (RFC 5806),
//! History-Info (RFC 7044), and the headers that both trunks' lists let through. A pure function; its table is its test.

use super::{Forwarded, Identity, NumberFormat, text};
use crate::{CallerId, Numbers, Trunk};
use signaling::Party;

/// Headers about a person, which `Privacy: user` keeps back (RFC 3323, section 4.1).
const PERSONAL: [&str; 6] = ["Subject", "Call-Info", "Organization", "Reply-To", "In-Reply-To", "User-Agent"];

/// Whom it is for.
#[derive(Clone, Debug)]
pub(crate) struct Whom<'a> {
    /// The trunk that carries the leg, if one does.
    pub(crate) trunk: Option<&'a Trunk>,
    /// The number that the caller dialled.
    pub(crate) called: &'a str,
    /// The host of the addresses we write: ours, as peers see it.
    pub(crate) host: &'a str,
    /// Where a call that is handed on goes; none for a call to an AI.
    pub(crate) forwarded_to: Option<&'a str>,
    /// Names of headers that may be passed on.
    pub(crate) passes: &'a [String],
}

/// From, and the headers that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) from: Party,
    pub(crate) headers: Vec<(String, String)>,
}

/// What is told.
pub(crate) fn show(identity: &Identity, whom: &Whom<'_>) -> Shown {
    let policy = whom.trunk.map_or(&CallerId::PassThrough, |trunk| &trunk.caller_id);
    let host = whom.trunk.and_then(|trunk| trunk.identity.domain.as_deref()).unwrap_or(whom.host);
    let address = |number: &str| {
        let written = whom.trunk.map_or_else(|| number.to_owned(), |trunk| trunk.written(number));
        format!("sip:{}@{host}", text::user(&written))
    };
    let own = identity.number.as_deref();
    let number = match policy {
        CallerId::PassThrough => own.map(str::to_owned),
        CallerId::Fixed(number) => Some(number.clone()),
        CallerId::Called => Some(whom.called.to_owned()).filter(|called| !called.is_empty()),
        CallerId::Template(template) => render(template, own, whom.called),
        CallerId::Anonymous => None,
    };
    let from = match &number {
        Some(number) => {
            let display = if *policy == CallerId::PassThrough { identity.display.clone() } else { String::new() };
            Party { display, uri: address(number) }
        }
        // RFC 3323, section 4.1.1.3.
        None => Party { display: "Anonymous".to_owned(), uri: "sip:anonymous@anonymous.invalid".to_owned() },
    };
    let mut headers = Vec::new();
    if let Some(trunk) = whom.trunk {
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        if trunk.trusted {
            let asserted = match policy {
                CallerId::PassThrough | CallerId::Anonymous => identity.asserted.as_deref().or(own),
                _ => number.as_deref(),
            };
            if let Some(asserted) = asserted {
                add("P-Asserted-Identity", format!("<{}>", address(asserted)));
            }
        }
        if number.is_none() {
            let critical = if identity.privacy.critical { ";critical" } else { "" };
            add("Privacy", format!("id{critical}"));
        } else if trunk.trusted && identity.privacy.none {
            add("Privacy", "none".to_owned());
        }
        if let Some(target) = whom.forwarded_to {
            forwarded(identity, trunk, &address(whom.called), target, &mut add);
        }
    }
    let passes = |name: &str| whom.passes.iter().any(|known| known.eq_ignore_ascii_case(name));
    let personal = |name: &str| identity.privacy.personal && PERSONAL.iter().any(|it| it.eq_ignore_ascii_case(name));
    let passed = identity.headers.iter().filter(|(name, _)| passes(name) && !personal(name));
    headers.extend(passed.cloned());
    Shown { from, headers }
}

/// Who handed the call on. What came before is told only from a trusted trunk to a trusted trunk.
fn forwarded(identity: &Identity, trunk: &Trunk, by: &str, target: &str, add: &mut impl FnMut(&str, String)) {
    let told = trunk.identity.forwarded;
    let earlier = |entries: &'_ [String]| if trunk.trusted { entries.to_vec() } else { Vec::new() };
    if matches!(told, Forwarded::Diversion | Forwarded::Both) {
        add("Diversion", format!("<{by}>;reason=deflection;privacy=off;counter=1"));
        for entry in earlier(&identity.diverted) {
            add("Diversion", entry);
        }
    }
    if matches!(told, Forwarded::HistoryInfo | Forwarded::Both) && !identity.privacy.history {
        let history = earlier(&identity.history);
        let last = history.iter().rev().find_map(|entry| index(entry)).map(str::to_owned);
        for entry in history {
            add("History-Info", entry);
        }
        let parent = last.unwrap_or_else(|| {
            add("History-Info", format!("<{by}>;index=1"));
            "1".to_owned()
        });
        // RFC 7044, section 5: `mp` says that another user was chosen.
        add("History-Info", format!("<{target}>;index={parent}.1;mp={parent}"));
    }
}

/// The index of a History-Info entry.
fn index(entry: &str) -> Option<&str> {
    let parameters = entry.rsplit_once('>')?.1.split(';');
    let index = parameters.filter_map(|parameter| parameter.trim().strip_prefix("index=")).next()?;
    let sound =
        index.len() <= 32 && index.split('.').all(|one| !one.is_empty() && one.bytes().all(|b| b.is_ascii_digit()));
    sound.then_some(index)
}

/// `{caller}`, `{called}` and `{caller_digits}`, `{called_digits}` without their `+`. None when it asks for a caller who is
/// withheld.
fn render(template: &str, caller: Option<&str>, called: &str) -> Option<String> {
    let mut text = template.replace("{called}", called).replace("{called_digits}", called.trim_start_matches('+'));
    if text.contains("{caller") {
        let caller = caller?;
        text = text.replace("{caller}", caller).replace("{caller_digits}", caller.trim_start_matches('+'));
    }
    Some(text)
}

impl Trunk {
    /// A number as this trunk is written it.
    pub(crate) fn written(&self, number: &str) -> String {
        self.numbers.written(number, self.identity.format)
    }
}

impl Numbers {
    /// A number in E.164 as a trunk wants it; anything else as it is.
    pub fn written(&self, number: &str, format: NumberFormat) -> String {
        let Some(digits) = number.strip_prefix('+').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit())) else {
            return number.to_owned();
        };
        let national = || self.country.as_deref().and_then(|country| digits.strip_prefix(country));
        match format {
            NumberFormat::E164 => number.to_owned(),
            NumberFormat::Digits => digits.to_owned(),
            NumberFormat::National if national().is_some() => {
                format!("{}{}", self.national_prefix, national().unwrap_or_default())
            }
            NumberFormat::International | NumberFormat::National => format!("{}{digits}", self.international_prefix),
        }
    }
}
