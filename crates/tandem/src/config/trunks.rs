//! What `trunks.NAME` says beyond who it is: is it asked, registered with, how much does it carry, when is it tried.

use super::{
    agents, people,
    reader::{Section, Wrong},
    sections::Places,
    types::{Auth, Forwarded, Identity, NumberFormat, Register, RequestUri, TrunkLimits},
    values::{self, Host},
};
use calls::OptionsPing;
use signaling::Digests;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// More calls than any machine holds: no limit of its own.
const MANY: u64 = 100_000;

/// Section `ping`; none where it is not written.
pub(super) fn ping(section: &mut Section<'_>) -> Option<OptionsPing> {
    let mut ping = section.section("ping");
    let present = ping.is_present();
    let interval = ping.duration("interval", SECOND * 10, SECOND..=SECOND * 3600);
    let timeout = ping.duration("timeout", SECOND * 2, SECOND / 5..=SECOND * 30);
    let times = |number: u64| u32::try_from(number).unwrap_or(1);
    let down_after = times(ping.number("down_after", 2, 1..=10));
    let up_after = times(ping.number("up_after", 2, 1..=10));
    ping.done();
    present.then_some(OptionsPing { interval, timeout, down_after, up_after })
}

/// Section `register`; none where it is not written.
pub(super) fn register(section: &mut Section<'_>, address: Option<&Host>, username: Option<&str>) -> Option<Register> {
    let mut register = section.section("register");
    let present = register.is_present();
    let domain = register.optional("domain", domain).map(|placed| placed.value);
    let user = register.optional("user", user).map(|placed| placed.value);
    let expires = register.duration("expires", SECOND * 3600, SECOND * 60..=SECOND * 86_400);
    let retry = register.duration("retry", SECOND * 30, SECOND..=SECOND * 1800);
    let place = register.place();
    register.done();
    if !present {
        return None;
    }
    let Some(address) = address else {
        section.wrong(place, "there is no `address` to register with", Some("`address` names the registrar"));
        return None;
    };
    let domain = domain.unwrap_or_else(|| match address {
        Host::Address(address) if address.is_ipv6() => format!("[{}]", address.ip()),
        Host::Address(address) => address.ip().to_string(),
        Host::Name(name, _) => name.clone(),
    });
    let Some(user) = user.or_else(|| username.and_then(|name| self::user(name).ok())) else {
        section.wrong(
            place,
            "a registration needs a user",
            Some("`user: 4930100`, or an `auth.username` that can be one"),
        );
        return None;
    };
    Some(Register { domain, user, expires, retry })
}

/// Section `limits`.
pub(super) fn limits(section: &mut Section<'_>) -> TrunkLimits {
    let mut limits = section.section("limits");
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let calls = count(limits.number("calls", MANY, 1..=MANY));
    let calls_out = count(limits.number("calls_out", MANY, 1..=MANY));
    let rate = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let per_second_in = rate(limits.number("per_second_in", 0, 0..=MANY));
    let per_second_out = rate(limits.number("per_second_out", 0, 0..=MANY));
    limits.done();
    TrunkLimits { calls, calls_out, per_second_in, per_second_out }
}

/// `priority` and `weight`.
pub(super) fn place(section: &mut Section<'_>) -> (u16, u16) {
    let most = u64::from(u16::MAX);
    let read = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    (read(section.number("priority", 0, 0..=most)), read(section.number("weight", 1, 0..=most)))
}

/// `domain`, `request_uri`, `forwarded`, `headers_in`, `headers_out` and `numbers.format`.
pub(super) fn identity(section: &mut Section<'_>, format: NumberFormat) -> Identity {
    let domain = section.optional("domain", domain).map(|placed| placed.value);
    let request_uri =
        section.word("request_uri", RequestUri::Tel, &[("tel", RequestUri::Tel), ("sip", RequestUri::Sip)]);
    let forwarded = section.word(
        "forwarded",
        Forwarded::Untold,
        &[
            ("untold", Forwarded::Untold),
            ("diversion", Forwarded::Diversion),
            ("history_info", Forwarded::HistoryInfo),
            ("both", Forwarded::Both),
        ],
    );
    let headers_in = passed(section, "headers_in");
    let headers_out = passed(section, "headers_out");
    Identity { domain, format, request_uri, forwarded, headers_in, headers_out }
}

/// `numbers.format`.
pub(super) fn format(numbers: &mut Section<'_>) -> NumberFormat {
    numbers.word(
        "format",
        NumberFormat::E164,
        &[
            ("e164", NumberFormat::E164),
            ("digits", NumberFormat::Digits),
            ("international", NumberFormat::International),
            ("national", NumberFormat::National),
        ],
    )
}

/// Headers that may be passed on: not those that Tandem writes itself, nor those that say who somebody is.
pub(super) fn passed(section: &mut Section<'_>, key: &'static str) -> Vec<String> {
    let identity = [
        "p-asserted-identity",
        "p-preferred-identity",
        "remote-party-id",
        "privacy",
        "diversion",
        "history-info",
        "identity",
        "reason",
        "retry-after",
        "session-expires",
        "replaces",
        "refer-to",
        "referred-by",
        "date",
    ];
    let header = |text: &str| {
        let name = values::header_name(text)?;
        let lower = name.to_ascii_lowercase();
        if identity.contains(&lower.as_str()) {
            return Err(Wrong::new(format!("`{text}` is not passed on by a list"))
                .help("who calls is told by `trusted`, `caller_id` and `forwarded`"));
        }
        if lower.starts_with("x-tandem") {
            return Err(Wrong::new(format!("`{text}` is written by Tandem itself")).help("`trusted` says who sees it"));
        }
        Ok(name)
    };
    section.list(key, header).unwrap_or_default().into_iter().map(|placed| placed.value).collect()
}

/// The template of a caller id: digits, `+`, and what stands for a number.
pub(super) fn template(text: &str) -> Result<String, Wrong> {
    let known = ["{caller}", "{caller_digits}", "{called}", "{called_digits}"];
    let bare = known.iter().fold(text.to_owned(), |text, name| text.replace(name, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-_.*#".contains(c);
    if !text.contains('{') || text.len() > 64 || !bare.chars().all(plain) {
        return Err(Wrong::new(format!("`{text}` is no caller id")).help(
            "`caller`, `called`, `anonymous`, a number like \"+49301234567\", or text with {caller}, {caller_digits}, {called}, {called_digits}",
        ));
    }
    Ok(text.to_owned())
}

/// Section `digest`: what the trunk shows for each call, and what it is asked for with.
pub(super) fn digest(section: &mut Section<'_>, places: &Places) -> (Option<Auth>, Digests) {
    let mut digest = section.section("digest");
    if !digest.is_present() {
        return (None, Digests::Both);
    }
    let credentials = people::credentials(&mut digest, places);
    let digests = agents::digests(&mut digest, "algorithms", Digests::Both);
    digest.done();
    (credentials, digests)
}

/// A trunk that shows a password for each call needs to say from where.
pub(super) fn gate(section: &Section<'_>, gate: Option<Auth>, allowed: bool) -> Option<Auth> {
    if gate.is_some() && !allowed {
        section.wrong(
            None,
            "`digest` is for the calls that a trunk brings, and no `allowed` says from where",
            Some("`allowed: [0.0.0.0/0]` is everywhere"),
        );
    }
    gate
}

/// A host name or an address as the host of a URI.
pub(super) fn domain(text: &str) -> Result<String, Wrong> {
    match values::host(text, 5060)? {
        Host::Address(_) if text.contains('[') || !text.contains(':') => Ok(text.to_owned()),
        Host::Name(..) if !text.contains(':') => Ok(text.to_owned()),
        _ => Err(Wrong::new(format!("`{text}` names a port")).help("only the domain: `carrier.example`")),
    }
}

/// The user of an address-of-record that needs no escapes.
fn user(text: &str) -> Result<String, Wrong> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "+-_.".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
        return Err(Wrong::new(format!("`{text}` is not the user of an address"))
            .help("letters, digits, `+`, `-`, `_` and `.`"));
    }
    Ok(text.to_owned())
}
