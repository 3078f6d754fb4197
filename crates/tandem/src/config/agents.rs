//! Sections `agents` and `abuse`: phones that register with us, and how those are treated whom nobody knows.

use super::{
    Media, availability, people,
    reader::{Section, Wrong, number, word},
    sections::Places,
    srtp, trunks,
    types::{Abuse, Account, Agents, Reach},
};
use signaling::Digests;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Section `agents`.
pub(super) fn agents(mut section: Section<'_>, places: &Places, media: &Media) -> Agents {
    let domains: Vec<String> =
        section.list("domains", domain).unwrap_or_default().into_iter().map(|placed| placed.value).collect();
    let realm = domains.first().cloned().unwrap_or_else(|| "tandem".to_owned());
    let realm = section.or("realm", realm, realm_text);
    let digests = digests(&mut section, "digest", Digests::Sha256);
    let nonce_lifetime = section.duration("nonce_lifetime", SECOND * 300, SECOND * 30..=SECOND * 3600);
    let expires_min = section.duration("expires_min", SECOND * 60, SECOND * 10..=SECOND * 3600);
    let expires_max = section.duration("expires_max", SECOND * 600, SECOND * 60..=SECOND * 86_400);
    if expires_max < expires_min {
        section.wrong(None, "`agents.expires_max` is less than `agents.expires_min`", None);
    }
    let contact = section.word(
        "contact",
        Reach::Auto,
        &[("auto", Reach::Auto), ("contact", Reach::Contact), ("source", Reach::Source)],
    );
    let learn = people::nat(&mut section);
    let srtp = srtp::policy(&mut section).unwrap_or(media.srtp);
    let max_calls = usize::try_from(section.number("max_calls", 100_000, 1..=100_000)).unwrap_or(usize::MAX);
    let common = Manners::of(&mut section, &Manners::default());
    let (asked, unsaid) = availability::availability(&mut section, places).unzip();
    let mut accounts = Vec::new();
    let mut agents = Vec::new();
    for (name, mut account) in section.sections("accounts") {
        people::check_name(&name, &account);
        let max_contacts = account.number("max_contacts", 4, 1..=32);
        let password = people::password(&mut account, places);
        agents.push((name.clone(), agent(&mut account, &common, None)));
        account.done();
        let max_contacts = usize::try_from(max_contacts).unwrap_or(4);
        accounts.extend(password.map(|password| Account { name, password, max_contacts }));
    }
    for (name, mut other) in section.sections("static") {
        people::check_name(&name, &other);
        if accounts.iter().any(|account: &Account| account.name == name) {
            other.wrong(
                None,
                format!("`{name}` is an account too"),
                Some("an agent is reached in one way; choose another name"),
            );
        }
        let dial = other.required("dial", address);
        if let Some(dial) = dial {
            let mut config = agent(&mut other, &common, Some(dial.value.as_str().into()));
            config.ping = trunks::ping(&mut other);
            config.dialogs = dialogs(&mut other, places);
            if (config.ping.is_some() || config.dialogs.is_some()) && dial.value.starts_with("tel:") {
                other.wrong(
                    dial.place,
                    format!("nobody can be asked at `{}` whether somebody is there", dial.value),
                    Some("`ping` and `dialogs` are for those who are dialled at a `sip:` or `sips:` address"),
                );
            }
            agents.push((name, config));
        } else {
            agent(&mut other, &common, None);
        }
        other.done();
    }
    section.done();
    for (_, agent) in &mut agents {
        agent.asked = unsaid;
    }
    Agents {
        domains,
        realm,
        digests,
        nonce_lifetime,
        expires_min,
        expires_max,
        contact,
        learn,
        srtp,
        max_calls,
        accounts,
        asked,
        people: agents,
    }
}

/// What holds for all agents, and can be said of each.
struct Manners {
    capacity: u32,
    wrap_up: Duration,
    away_after: u32,
    rest: Duration,
    signed_in: bool,
}

impl Default for Manners {
    fn default() -> Self {
        let calls::AgentConfig { capacity, wrap_up, away_after, rest, signed_in, .. } = calls::AgentConfig::default();
        Self { capacity, wrap_up, away_after, rest, signed_in }
    }
}

impl Manners {
    fn of(section: &mut Section<'_>, above: &Self) -> Self {
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            capacity: small(section.number("capacity", above.capacity.into(), 1..=100)),
            wrap_up: section.duration("wrap_up", above.wrap_up, Duration::ZERO..=SECOND * 3600),
            away_after: small(section.number("away_after", above.away_after.into(), 0..=100)),
            rest: section.duration("rest", above.rest, SECOND..=SECOND * 600),
            signed_in: section.word("presence", above.signed_in, &[("available", true), ("away", false)]),
        }
    }
}

fn agent(section: &mut Section<'_>, common: &Manners, dial: Option<std::sync::Arc<str>>) -> calls::AgentConfig {
    let Manners { capacity, wrap_up, away_after, rest, signed_in } = Manners::of(section, common);
    let level = |text: &str| number::<u8>(text, &(1..=10));
    let skills = section.pairs("skills", level).into_iter();
    let skills = skills.map(|(name, level)| (name.value.as_str().into(), level.value)).collect();
    let values = |text: &str| -> Result<std::collections::BTreeSet<std::sync::Arc<str>>, Wrong> {
        Ok(text.split(',').map(|value| value.trim().into()).collect())
    };
    let attributes = section.pairs("attributes", values).into_iter();
    let attributes = attributes.map(|(name, values)| (name.value.as_str().into(), values.value)).collect();
    calls::AgentConfig {
        dial,
        skills,
        attributes,
        capacity,
        wrap_up,
        away_after,
        rest,
        signed_in,
        ping: None,
        dialogs: None,
        asked: None,
    }
}

/// Section `dialogs` of an agent; none where it is not written.
fn dialogs(section: &mut Section<'_>, places: &Places) -> Option<calls::DialogWatch> {
    let mut dialogs = section.section("dialogs");
    let present = dialogs.is_present();
    let expires = dialogs.duration("expires", SECOND * 3600, SECOND * 60..=SECOND * 86_400);
    let busy_unless_told = dialogs.word("unknown", false, &[("free", false), ("busy", true)]);
    let auth = people::auth(&mut dialogs, "auth", places);
    dialogs.done();
    let credentials =
        auth.map(|auth| signaling::Credentials { realm: auth.realm, username: auth.username, password: auth.password });
    present.then_some(calls::DialogWatch { expires, credentials, busy_unless_told })
}

fn address(text: &str) -> Result<String, Wrong> {
    match policy::To::parse(text) {
        policy::To::Uri(uri) if uri.len() <= 512 && uri.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(text.to_owned())
        }
        _ => Err(Wrong::new(format!("`{text}` is not an address")).help("like `sip:carl@pbx.example.com`")),
    }
}

/// Section `abuse`.
pub(super) fn abuse(mut section: Section<'_>) -> Abuse {
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let abuse = Abuse {
        requests_per_second: small(section.number("requests_per_second", 20, 1..=100_000)),
        failures: small(section.number("failures", 5, 1..=1_000)),
        strangers: small(section.number("strangers", 20, 1..=100_000)),
        window: section.duration("window", SECOND * 60, SECOND..=SECOND * 86_400),
        ban: section.duration("ban", SECOND * 600, Duration::ZERO..=SECOND * 86_400 * 7),
        sources: usize::try_from(section.number("sources", 10_000, 100..=1_000_000)).unwrap_or(10_000),
    };
    section.done();
    abuse
}

/// Which digests our challenges offer.
pub(super) fn digests(section: &mut Section<'_>, key: &'static str, default: Digests) -> Digests {
    let listed = section.list(key, |text| word(text, &[("sha-256", false), ("md5", true)])).unwrap_or_default();
    let offers = |md5: bool| listed.iter().any(|placed| placed.value == md5);
    match (offers(false), offers(true)) {
        (false, false) => default,
        (true, false) => Digests::Sha256,
        (true, true) => Digests::Both,
        (false, true) => {
            section.doubt(
                listed[0].place,
                format!("`{}.{key}` offers MD5 alone, which is too weak for a network that others see", section.path()),
                Some(
                    "`[sha-256, md5]` where everybody takes the first digest that they know (RFC 8760); some give up at SHA-256",
                ),
            );
            Digests::Md5
        }
    }
}

fn domain(text: &str) -> Result<String, Wrong> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.is_empty() || text.len() > 253 || !text.chars().all(good) {
        return Err(Wrong::new(format!("`{text}` is not a domain")).help("like `desk.example.com`, without a port"));
    }
    Ok(text.to_ascii_lowercase())
}

fn realm_text(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text.len() > 64 || !text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')) {
        return Err(Wrong::new(format!("`{text}` is not a realm")).help("letters, digits and dots, at most 64"));
    }
    Ok(text.to_owned())
}
