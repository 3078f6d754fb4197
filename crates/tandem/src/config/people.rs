//! Sections `trunks`, `routes` and `ai`: who calls, what they called, and who answers.

use super::{
    Media,
    reach::Ways,
    reader::{Section, Wrong},
    redirects,
    sections::Places,
    session_timer::SessionTimer,
    srtp, trunks as trunk_keys,
    types::{
        AfterHuman, Answers, Auth, CallerId, NumberFormat, Numbers, Pattern, Profile, Refuge, Route, Sentiment, Trunk,
    },
    values::{self, Host, Network},
};
use calls::AGENTS;
use signaling::Transport;
use std::{fs, path::Path, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// Section `trunks`.
pub(super) fn trunks(
    root: &mut Section<'_>,
    places: &Places,
    ways: &Ways,
    media: &Media,
    timer: SessionTimer,
) -> Vec<Trunk> {
    let mut all = Vec::new();
    for (name, mut section) in root.sections("trunks") {
        check_name(&name, &section);
        if name == AGENTS {
            let why = "`agents` is the name that calls of registered phones come under";
            section.wrong(None, why, Some("call the trunk something else"));
        }
        let by = section.optional("transport", values::transport);
        let transport = by.as_ref().map(|placed| placed.value);
        let address =
            section.optional("address", |text| values::host(text, transport.unwrap_or_default().default_port()));
        ways.trunk(&section, by.as_ref(), address.as_ref());
        let tls_name = tls_name(&mut section, transport);
        let allowed = section.list("allowed", values::network);
        let own = auth(&mut section, "auth", places);
        let trusted = section.flag("trusted", false);
        let caller_id = section.or("caller_id", CallerId::Caller, |text| match text {
            "caller" => Ok(CallerId::Caller),
            "called" => Ok(CallerId::Called),
            "anonymous" => Ok(CallerId::Anonymous),
            text => match values::e164(text) {
                Ok(number) => Ok(CallerId::Number(number)),
                Err(_) => trunk_keys::template(text).map(CallerId::Template),
            },
        });
        let tel = section.list("tel", values::number_prefix);
        let (numbers, format) = numbers(&mut section);
        let identity = trunk_keys::identity(&mut section, format);
        let (digest, digests) = trunk_keys::digest(&mut section, places);
        let max_calls = section.number("max_calls", 100_000, 1..=100_000);
        let learn = nat(&mut section);
        let srtp = srtp::policy(&mut section).unwrap_or(media.srtp);
        let codecs = super::media::codecs(&mut section).unwrap_or_default();
        let ping = trunk_keys::ping(&mut section);
        let limits = trunk_keys::limits(&mut section);
        let (priority, weight) = trunk_keys::place(&mut section);
        let first_response = section.duration("first_response", SECOND * 3, SECOND / 2..=SECOND * 32);
        let follows_redirects = section.word("redirects", false, &[("refuse", false), ("follow", true)]);
        let refers = section.word("refer", false, &[("never", false), ("may", true)]);
        let session_timer = super::session_timer::of_trunk(&mut section, timer);
        let sending = address.as_ref().map(|placed| placed.value.clone());
        let digest = trunk_keys::gate(&section, digest, allowed.as_ref().is_some_and(|list| !list.is_empty()));
        let username = own.as_ref().map(|auth| auth.username.as_str());
        let register = trunk_keys::register(&mut section, sending.as_ref(), username);
        // Somebody we register with brings calls from where we find them; who shows a password is not let in by an address.
        let by_name = allowed.is_none() && matches!(sending, Some(Host::Name(..)));
        let allow_located = digest.is_none() && (register.is_some() || by_name);
        let allowed: Vec<Network> = match (allowed, &sending) {
            (Some(list), _) => list.into_iter().map(|placed| placed.value).collect(),
            (None, Some(Host::Address(address))) => {
                vec![Network { address: address.ip(), prefix: if address.is_ipv4() { 32 } else { 128 } }]
            }
            (None, _) => Vec::new(),
        };
        if sending.is_none() && allowed.is_empty() && !section.has("address") && !section.has("allowed") {
            section.wrong(
                None,
                format!("trunk `{name}` neither brings nor takes calls"),
                Some("`allowed` names its sources, `address` where calls to it are sent"),
            );
        }
        if !section.has("address")
            && let Some(first) = tel.as_ref().and_then(|list| list.first())
        {
            section.wrong(first.place, format!("trunk `{name}` has no `address` to send `tel:` calls to"), None);
        }
        let tel = tel.unwrap_or_default().into_iter().map(|placed| placed.value).collect();
        section.done();
        let max_calls = usize::try_from(max_calls).unwrap_or(usize::MAX);
        all.push(Trunk {
            name,
            address: sending,
            transport,
            tls_name,
            allowed,
            auth: own,
            trusted,
            caller_id,
            tel,
            numbers,
            max_calls,
            learn,
            srtp,
            codecs,
            ping,
            register,
            allow_located,
            limits,
            priority,
            weight,
            first_response,
            identity,
            digest,
            digests,
            follows_redirects,
            refers,
            session_timer,
        });
    }
    all
}

/// The name a trunk's certificate shows, where its address has none.
fn tls_name(section: &mut Section<'_>, transport: Option<Transport>) -> Option<String> {
    let placed = section.optional("tls_name", |text| match values::host(text, 5061)? {
        Host::Name(name, None) => Ok(name),
        _ => Err(Wrong::new(format!("`{text}` is not a host name")).help("like `sip.carrier.example`, without a port")),
    })?;
    if transport != Some(Transport::Tls) {
        section.wrong(placed.place, "`tls_name` needs `transport: tls`", None);
    }
    Some(placed.value)
}

/// Whose word counts about a media source: the SDP's, or the packets'.
pub(super) fn nat(section: &mut Section<'_>) -> bool {
    section.word("nat", false, &[("sdp", false), ("learn", true)])
}

fn numbers(section: &mut Section<'_>) -> (Numbers, NumberFormat) {
    let mut numbers = section.section("numbers");
    let digits = |text: &str| {
        let good = !text.is_empty() && text.len() <= 5 && text.chars().all(|c| c.is_ascii_digit());
        if good {
            Ok(text.to_owned())
        } else {
            Err(Wrong::new(format!("`{text}` must be one to five digits, in quotes")))
        }
    };
    let country = numbers.optional("country", digits).map(|placed| placed.value);
    let national_prefix = numbers.or("national_prefix", "0".to_owned(), digits);
    let international_prefix = numbers.or("international_prefix", "00".to_owned(), digits);
    let format = trunk_keys::format(&mut numbers);
    numbers.done();
    (Numbers { country, national_prefix, international_prefix }, format)
}

pub(super) fn auth(section: &mut Section<'_>, key: &'static str, places: &Places) -> Option<Auth> {
    let mut auth = section.section(key);
    if !auth.is_present() {
        return None;
    }
    let credentials = credentials(&mut auth, places);
    auth.done();
    credentials
}

/// `username`, a password, and the `realm` they are for.
pub(super) fn credentials(auth: &mut Section<'_>, places: &Places) -> Option<Auth> {
    let username = auth.required("username", values::text);
    let password = password(auth, places);
    let realm = auth.optional("realm", values::text).map(|placed| placed.value);
    Some(Auth { username: username?.value, password: password?, realm })
}

/// `password`, or `password_file`.
pub(super) fn password(section: &mut Section<'_>, places: &Places) -> Option<String> {
    secret(section, places, "password", "password_file")
}

/// A secret under one key, or in a file that the other names.
pub(super) fn secret(
    section: &mut Section<'_>,
    places: &Places,
    key: &'static str,
    file_key: &'static str,
) -> Option<String> {
    let written = section.optional(key, values::text);
    let file = section.optional(file_key, |text| password_of(&file_path(text, places)));
    match (written, file) {
        (Some(one), None) | (None, Some(one)) => Some(one.value),
        (Some(_), Some(file)) => {
            section.wrong(file.place, format!("`{key}` and `{file_key}` are both given"), Some("keep one of them"));
            None
        }
        (None, None) => {
            if !section.has(file_key) {
                section.wrong(
                    None,
                    format!("`{}` needs a {}", section.path(), key.replace('_', " ")),
                    Some(&format!("`{file_key}: NAME`, or `{key}`")),
                );
            }
            None
        }
    }
}

/// A credential of systemd when there is one of this name, else beside the configuration.
pub(super) fn file_path(written: &str, places: &Places) -> std::path::PathBuf {
    let credential = places.credentials.as_ref().map(|folder| folder.join(written)).filter(|path| path.is_file());
    credential.unwrap_or_else(|| places.of(written))
}

pub(super) fn password_of(path: &Path) -> Result<String, Wrong> {
    let text =
        fs::read_to_string(path).map_err(|error| Wrong::new(format!("cannot read `{}`: {error}", path.display())))?;
    let first = text.lines().next().unwrap_or_default().to_owned();
    if first.is_empty() {
        return Err(Wrong::new(format!("`{}` is empty", path.display())).help("the password is its first line"));
    }
    Ok(first)
}

/// Section `ai`: the profiles that are right, and the names of all.
pub(super) fn profiles(
    root: &mut Section<'_>,
    places: &Places,
    ways: &Ways,
    trunks: &[Trunk],
) -> (Vec<Profile>, Vec<String>) {
    let mut all: Vec<Profile> = Vec::new();
    let sections = root.sections("ai");
    let names: Vec<String> = sections.iter().map(|(name, _)| name.clone()).collect();
    for (name, mut section) in sections {
        check_name(&name, &section);
        section.later(&["url", "dialect", "websocket", "greeting", "handoff"]);
        let uri = section.required("uri", values::sip_uri);
        let proxy = section.optional("proxy", |text| values::host(text, 5060));
        let by = section.list("trunks", |text| {
            let sending = trunks.iter().filter(|trunk| trunk.address.is_some());
            known(text, sending.map(|trunk| trunk.name.as_str()), "trunk with an `address`")
        });
        if let (Some(proxy), Some(_)) = (&proxy, &by) {
            section.wrong(proxy.place, "`proxy` and `trunks` both say where the calls go", Some("keep one of them"));
        }
        if let (Some(uri), None) = (&uri, &by) {
            ways.profile(&section, uri, proxy.as_ref());
        }
        let proxy = proxy.map(|placed| placed.value);
        let by = by.unwrap_or_default().into_iter().map(|placed| placed.value).collect();
        let auth = auth(&mut section, "auth", places);
        let pass_headers = trunk_keys::passed(&mut section, "pass_headers");
        let headers = headers(&mut section);
        let (follows_redirects, redirect_hosts) = redirects::of_profile(&mut section);
        let ring_timeout = section.duration("ring_timeout", SECOND * 10, SECOND..=SECOND * 120);
        let predial = section.flag("predial", true);
        let silence_limit = section.duration("silence_limit", SECOND * 15, SECOND..=SECOND * 600);
        let quiet_after = section.duration("quiet_after", SECOND * 2 / 5, SECOND / 10..=SECOND * 5);
        let learn = nat(&mut section);
        let srtp = srtp::policy(&mut section);
        let codecs = super::media::codecs(&mut section).unwrap_or_default();
        let sentiment = sentiment(&mut section);
        let match_confidence = section.or("match_confidence", 0.5, |text| decimal(text, 0.0, 1.0));
        let refuge = section.list("on_ai_failure", |text| refuge(text, &name, &names)).unwrap_or_default();
        let after_human = section.or("after_human", AfterHuman::End, |text| match text {
            "end" => Ok(AfterHuman::End),
            "ai" => Ok(AfterHuman::Ai),
            other => values::name(other).map(AfterHuman::Destination),
        });
        if let Some(at) = refuge.iter().position(|placed| matches!(placed.value, Refuge::End | Refuge::Announce(_)))
            && at + 1 < refuge.len()
        {
            section.wrong(
                refuge[at + 1].place,
                "the call is over after `end` or an announcement: nothing comes after it",
                None,
            );
        }
        section.done();
        let Some(uri) = uri else { continue };
        let uri = uri.value;
        let on_ai_failure = refuge.into_iter().map(|placed| placed.value).collect();
        all.push(Profile {
            name,
            uri,
            proxy,
            trunks: by,
            pass_headers,
            auth,
            headers,
            follows_redirects,
            redirect_hosts,
            ring_timeout,
            predial,
            silence_limit,
            quiet_after,
            learn,
            srtp,
            codecs,
            sentiment,
            match_confidence,
            on_ai_failure,
            after_human,
        });
    }
    (all, names)
}

fn headers(section: &mut Section<'_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in section.pairs("headers", values::text) {
        match values::header_name(&name.value) {
            Ok(good) => all.push((good, value.value)),
            Err(wrong) => section.note(name.place, wrong),
        }
    }
    all
}

fn sentiment(section: &mut Section<'_>) -> Sentiment {
    let mut sentiment = section.section("sentiment");
    let scale = sentiment.list("scale", |text| decimal(text, -1e6, 1e6));
    let scale = match scale.as_deref() {
        None => (-1.0, 1.0),
        Some([low, high]) if low.value < high.value => (low.value, high.value),
        Some(_) => {
            sentiment.wrong(None, "`scale` is the lowest and the highest score", Some("like `scale: [-5, 5]`"));
            (-1.0, 1.0)
        }
    };
    let labels = sentiment
        .pairs("labels", |text| decimal(text, -1.0, 1.0))
        .into_iter()
        .map(|(name, score)| (name.value, score.value))
        .collect();
    sentiment.done();
    Sentiment { scale, labels }
}

fn decimal(text: &str, least: f64, most: f64) -> Result<f64, Wrong> {
    match text.parse::<f64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        Ok(_) => Err(Wrong::new(format!("`{text}` is out of range")).help(format!("{least} to {most}"))),
        Err(_) => Err(Wrong::new(format!("`{text}` is not a number"))),
    }
}

fn refuge(text: &str, own: &str, names: &[String]) -> Result<Refuge, Wrong> {
    if text == "end" {
        return Ok(Refuge::End);
    }
    if let Some(profile) = text.strip_prefix("ai:") {
        if profile == own {
            return Err(
                Wrong::new(format!("`{text}` is this very profile")).help("name another one, a destination, or `end`")
            );
        }
        if !names.iter().any(|name| name == profile) {
            let near = super::problem::nearest(profile, names.iter().map(String::as_str));
            let wrong = Wrong::new(format!("there is no AI profile `{profile}`"));
            return Err(match near {
                Some(near) => wrong.help(format!("did you mean `ai:{near}`?")),
                None => wrong.help("profiles are the names under `ai`"),
            });
        }
        return Ok(Refuge::Profile(profile.to_owned()));
    }
    if let Some(prompt) = text.strip_prefix("announce:") {
        return values::clip(prompt).map(Refuge::Announce);
    }
    if let Some(mailbox) = policy::mailbox_of(text) {
        // Which mailboxes there are is compared when the rules are read, for a destination may be called so too.
        return values::name(mailbox).map(|_| Refuge::Destination(text.to_owned()));
    }
    values::name(text).map(Refuge::Destination)
}

/// Section `routes`.
pub(super) fn routes(root: &mut Section<'_>, trunks: &[Trunk], agents: bool, profiles: &[String]) -> Vec<Route> {
    let callers = || trunks.iter().map(|trunk| trunk.name.as_str()).chain(agents.then_some(AGENTS));
    let mut all: Vec<Route> = Vec::new();
    for mut section in root.items("routes") {
        section.later(&["recording", "hours"]);
        let number = section.required("number", pattern);
        let from = section.list("trunks", |text| known(text, callers(), "trunk"));
        let line = section.or("line", "default".to_owned(), values::name);
        let bypass = section.list("bypass", |text| {
            known(text, trunks.iter().map(|trunk| trunk.name.as_str()), "trunk")?;
            let callable = trunks.iter().filter(|trunk| trunk.address.is_some()).map(|trunk| trunk.name.as_str());
            known(text, callable, "trunk with an `address`")
        });
        let answers = match bypass {
            Some(ways) => {
                if ways.is_empty() {
                    section.wrong(section.place(), "`bypass` names no trunk", Some("a list of trunks, like [carrier]"));
                }
                section.optional("ai", |_| {
                    Err::<(), _>(
                        Wrong::new("an AI and `bypass`: nobody answers before the trunk").help("leave one of them out"),
                    )
                });
                Some(Answers::Bypass(ways.into_iter().map(|placed| placed.value).collect()))
            }
            None => section
                .required("ai", |text| known(text, profiles.iter().map(String::as_str), "AI profile"))
                .map(|profile| Answers::Ai(profile.value)),
        };
        let trunks: Vec<String> = from.unwrap_or_default().into_iter().map(|placed| placed.value).collect();
        if let Some(number) = &number
            && let Some(earlier) = all.iter().find(|earlier| {
                covers(&earlier.number, &number.value)
                    && (earlier.trunks.is_empty()
                        || trunks.iter().all(|name| earlier.trunks.contains(name)) && !trunks.is_empty())
            })
        {
            let what =
                format!("this route is never reached: `{}` above takes its calls", shown_pattern(&earlier.number));
            section.wrong(number.place, what, Some("the first route that matches wins; put the narrower one first"));
        }
        section.done();
        if let (Some(number), Some(answers)) = (number, answers) {
            all.push(Route { number: number.value, trunks, line, answers });
        }
    }
    all
}

fn known<'a>(text: &str, names: impl Iterator<Item = &'a str> + Clone, what: &str) -> Result<String, Wrong> {
    if names.clone().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(format!("there is no {what} `{text}`"));
    Err(match super::problem::nearest(text, names.clone()) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None if names.clone().next().is_none() => wrong.help("none is configured"),
        None => wrong.help(format!("known: {}", names.collect::<Vec<_>>().join(", "))),
    })
}

fn pattern(text: &str) -> Result<Pattern, Wrong> {
    if text == "*" {
        return Ok(Pattern::Any);
    }
    if text == calls::Route::EMERGENCY {
        return Ok(Pattern::Emergency);
    }
    let (body, prefix) = match text.strip_suffix('*') {
        Some(body) => (body, true),
        None => (text, false),
    };
    if body.is_empty()
        || body.len() > 128
        || body.contains(|c: char| c.is_whitespace() || matches!(c, '*' | '@' | '<' | '>'))
    {
        return Err(Wrong::new(format!("`{text}` is not a called number"))
            .help("a user like `support`, a number like \"+49301234567\", a start like \"+4930*\", or \"*\""));
    }
    Ok(if prefix { Pattern::StartsWith(body.to_owned()) } else { Pattern::Exactly(body.to_owned()) })
}

fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    match (wide, narrow) {
        (Pattern::Any, _) => true,
        (Pattern::StartsWith(start), Pattern::StartsWith(text) | Pattern::Exactly(text)) => {
            text.starts_with(start.as_str())
        }
        (Pattern::Exactly(one), Pattern::Exactly(other)) => one == other,
        (Pattern::Emergency, Pattern::Exactly(one)) => calls::Route::is_emergency(one),
        (Pattern::Emergency, Pattern::Emergency) => true,
        _ => false,
    }
}

fn shown_pattern(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Any => "*".to_owned(),
        Pattern::Emergency => calls::Route::EMERGENCY.to_owned(),
        Pattern::Exactly(text) => text.clone(),
        Pattern::StartsWith(text) => format!("{text}*"),
    }
}

pub(super) fn check_name(name: &str, section: &Section<'_>) {
    if let Err(wrong) = values::name(name) {
        section.note(section.place(), wrong);
    }
}
