//! From a tree to a [`Configuration`]: every section's keys, defaults and ranges.

use super::{
    agents, codes, keeping, media, outbound, people, reach,
    reader::{Notes, Placed, Section, Wrong},
    tree::Node,
    types::{Cdr, Configuration, Control, Dns, Format, Limits, Listener, Logging, Sip, Strangers},
    values,
};
use signaling::{
    Transport,
    io::{Tls, TlsFiles, VerifyClient},
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

const SECOND: Duration = Duration::from_secs(1);

/// Where files lie that the configuration does not name.
#[derive(Clone, Debug)]
pub struct Places {
    /// Relative paths start here: the folder of the configuration file.
    pub base: PathBuf,
    /// The control socket's folder.
    pub runtime: PathBuf,
    /// The call records' folder.
    pub records: PathBuf,
    /// The recordings' folder.
    pub recordings: PathBuf,
    /// The folder of messages left in mailboxes.
    pub messages: PathBuf,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// systemd's folder of credentials, where relative `password_file`s lie.
    pub credentials: Option<PathBuf>,
}

impl Places {
    /// A path as written, seen from the configuration's folder.
    pub fn of(&self, written: &str) -> PathBuf {
        self.base.join(Path::new(written))
    }
}

/// Reads the whole tree. The answer stands only if nothing was noted.
pub(super) fn read(root: &Node, places: &Places, notes: &Notes) -> Configuration {
    let nothing = root.place;
    let mut root = Section::root(root, notes);
    if root.is_empty() && !root.is_something_else() {
        let help = "it names at least a trunk, an AI profile and a route; etc/tandem.yaml of the package shows how";
        root.wrong(Some(nothing), "this configuration is empty", Some(help));
    }
    root.later(&["context"]);
    let (sip, all_listeners) = sip(root.section("sip"), places);
    let media = media::media(root.section("media"), &sip, places);
    let rules = root.or("rules", places.of("rules.yaml"), |text| Ok(places.of(text)));
    let control = control(root.section("control"), places);
    let metrics = metrics(root.section("metrics"));
    let cdr = cdr(root.section("cdr"), places);
    let voicemail = super::voicemail::voicemail(root.section("voicemail"), places);
    let ledger = keeping::ledger(root.section("ledger"), places);
    let logging = logging(root.section("logging"));
    let limits = limits(root.section("limits"));
    // Where a listener could not be read, nobody knows whom it would reach.
    let ways = if all_listeners { reach::Ways::of(&sip.listeners) } else { reach::Ways::unknown() };
    let trunks = people::trunks(&mut root, places, &ways, &media, sip.session_timer);
    let (profiles, names) = people::profiles(&mut root, places, &ways, &trunks);
    let agents = agents::agents(root.section("agents"), places, &media);
    let abuse = agents::abuse(root.section("abuse"));
    let dialling = dialling(root.section("dialling"));
    let codes = codes::codes(root.section("feature_codes"));
    let callbacks = keeping::callbacks(root.section("callbacks"), &trunks);
    let routes = people::routes(&mut root, &trunks, !agents.accounts.is_empty(), &names);
    let recording = super::recording::recording(root.section("recording"), places, &routes);
    let known = outbound::Known { trunks: &trunks, profiles: &profiles, routes: &routes };
    let outbound = outbound::outbound(&mut root, &known);
    if trunks.is_empty() && agents.accounts.is_empty() && !root.is_empty() {
        let help = "`trunks.NAME: { allowed: [192.0.2.0/24] }` lets calls in from there";
        root.doubt(None, "nobody may bring a call: there is neither a trunk nor an account of `agents`", Some(help));
    }
    root.done();
    let warnings = Vec::new();
    Configuration {
        sip,
        trunks,
        agents,
        abuse,
        dialling,
        codes,
        routes,
        profiles,
        media,
        rules,
        control,
        metrics,
        cdr,
        recording,
        voicemail,
        ledger,
        callbacks,
        outbound,
        logging,
        limits,
        warnings,
        spots: super::Spots::default(),
    }
}

/// The section, and whether each of its listeners could be read.
fn sip(mut section: Section<'_>, places: &Places) -> (Sip, bool) {
    section.later(&["registrations"]);
    let place = section.place();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let default = Listener { transport: Transport::Udp, address, external: None };
    let listeners = section.mixed("listeners", values::listener, listener);
    let all_listeners = listeners.as_ref().is_none_or(|read| read.len() == section.length_of("listeners"));
    let listeners: Vec<Listener> = match listeners {
        None => vec![default],
        Some(list) => {
            if section.is_empty_list("listeners") {
                section.wrong(place, "`sip.listeners` names no socket to listen on", Some("like `udp:127.0.0.1:5060`"));
            }
            for (at, one) in list.iter().enumerate() {
                let again = |earlier: &Placed<Listener>| {
                    earlier.value.transport == one.value.transport && earlier.value.address == one.value.address
                };
                if list[..at].iter().any(again) {
                    section.wrong(one.place, format!("`{}` is listed twice", one.value), None);
                }
            }
            list.into_iter().map(|placed| placed.value).collect()
        }
    };
    let external_address = section.optional("external_address", values::ip);
    if let Some(external) = &external_address
        && all_listeners
        && !listeners.iter().any(|listener| listener.address.is_ipv4() == external.value.is_ipv4())
    {
        section.wrong(
            external.place,
            format!("`{}` is of another IP version than every listener", external.value),
            Some("an IPv4 listener needs an IPv4 address, an IPv6 listener an IPv6 address"),
        );
    }
    let unknown_sources = section.word(
        "unknown_sources",
        Strangers::Silent,
        &[("silent", Strangers::Silent), ("forbid", Strangers::Forbid)],
    );
    let user_agent = section.or("user_agent", format!("Tandem/{}", env!("CARGO_PKG_VERSION")), values::text);
    let user_to_user = section.flag("user_to_user", false);
    let tls = tls(section.section("tls"), places);
    if tls.is_none()
        && !section.has("tls")
        && let Some(listener) = listeners.iter().find(|listener| listener.transport == Transport::Tls)
    {
        section.wrong(
            place,
            format!("the listener `{listener}` has no certificate to show"),
            Some("`sip.tls: { certificate: FILE, private_key: FILE }`"),
        );
    }
    let dscp = section.number("dscp", 24, 0..=63);
    let mut timers = section.section("timers");
    let t1 = timers.duration("t1", SECOND / 2, SECOND / 10..=SECOND * 2);
    let t2 = timers.duration("t2", SECOND * 4, SECOND..=SECOND * 10);
    let t4 = timers.duration("t4", SECOND * 5, SECOND..=SECOND * 10);
    let next_target = timers.duration("next_target", SECOND * 9 / 5, SECOND / 2..=SECOND * 32);
    timers.done();
    let session_timer = super::session_timer::global(&mut section);
    let dns = dns(section.section("dns"));
    let streams = super::streams::streams(section.section("streams"));
    section.done();
    let sip = Sip {
        listeners,
        external_address: external_address.map(|placed| placed.value),
        tls,
        dscp: u8::try_from(dscp).unwrap_or(24),
        unknown_sources,
        user_agent,
        user_to_user,
        t1,
        t2,
        t4,
        session_timer,
        next_target,
        dns,
        streams,
    };
    (sip, all_listeners)
}

/// A listener of which more is said than its address.
fn listener(mut section: Section<'_>) -> Option<Listener> {
    let listener = section.required("address", values::listener);
    let external = section.optional("external_address", values::ip);
    if let (Some(listener), Some(external)) = (&listener, &external)
        && listener.value.address.is_ipv4() != external.value.is_ipv4()
    {
        section.wrong(
            external.place,
            format!("`{}` is of another IP version than `{}`", external.value, listener.value),
            Some("an IPv4 listener needs an IPv4 address, an IPv6 listener an IPv6 address"),
        );
    }
    section.done();
    Some(Listener { external: external.map(|placed| placed.value), ..listener?.value })
}

/// Section `sip.tls`; what its files hold is tried at once.
fn tls(mut section: Section<'_>, places: &Places) -> Option<TlsFiles> {
    if !section.is_present() {
        return None;
    }
    let place = section.place();
    let file = |text: &str| Ok(people::file_path(text, places));
    let certificate = section.required("certificate", file);
    let private_key = section.required("private_key", file);
    let ca = section.optional("ca", file);
    let words =
        [("none", VerifyClient::None), ("optional", VerifyClient::Optional), ("required", VerifyClient::Required)];
    let verify_client = section.word("verify_client", VerifyClient::None, &words);
    let files = match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => {
            let files = TlsFiles {
                certificate: certificate.value,
                private_key: private_key.value,
                ca: ca.map(|placed| placed.value),
                verify_client,
            };
            if let Err(error) = Tls::load(files.clone()) {
                section.wrong(certificate.place.or(place), error.to_string(), None);
            }
            Some(files)
        }
        _ => None,
    };
    section.done();
    files
}

fn dns(mut section: Section<'_>) -> Dns {
    let default = Dns::default();
    let servers = section.list("servers", |text| values::socket_address(text, Some(53))).unwrap_or_default();
    if section.is_empty_list("servers") {
        section.wrong(
            section.place(),
            "`sip.dns.servers` names no server",
            Some("like `[192.0.2.53, \"[2001:db8::53]:53\"]`; without the key the system's servers are asked"),
        );
    }
    if let Some(ninth) = servers.get(8) {
        section.wrong(ninth.place, "more than eight servers", Some("two or three are enough"));
    }
    let timeout = section.duration("timeout", default.timeout, SECOND / 5..=SECOND * 10);
    let place = section.place();
    let ttl_min = section.duration("ttl_min", default.ttl_min, SECOND..=SECOND * 3_600);
    let ttl_max = section.duration("ttl_max", default.ttl_max, SECOND..=SECOND * 86_400);
    if ttl_min > ttl_max {
        section.wrong(place, "`sip.dns.ttl_min` is longer than `sip.dns.ttl_max`", None);
    }
    let last_good = section.duration("last_good", default.last_good, Duration::ZERO..=SECOND * 604_800);
    section.done();
    Dns { servers: servers.into_iter().map(|placed| placed.value).collect(), timeout, ttl_min, ttl_max, last_good }
}

fn control(mut section: Section<'_>, places: &Places) -> Control {
    section.later(&["tcp", "tls", "tokens"]);
    let socket = section.optional("socket", |text| {
        let path = places.of(text);
        // sun_path holds 108 bytes with the final NUL.
        if path.as_os_str().len() > 107 {
            return Err(Wrong::new("the socket's path is longer than 107 bytes").help("use a shorter folder"));
        }
        Ok(path)
    });
    let mode = section.or("mode", 0o660, |text| {
        u32::from_str_radix(text, 8)
            .ok()
            .filter(|mode| *mode <= 0o777 && text.len() >= 3)
            .ok_or_else(|| Wrong::new(format!("`{text}` is not a mode")).help("in octal, in quotes: \"0660\""))
    });
    let group = section.optional("group", values::name).map(|placed| placed.value);
    section.done();
    let socket = socket.map_or_else(|| places.runtime.join("control.sock"), |placed| placed.value);
    Control { socket, mode, group }
}

fn metrics(mut section: Section<'_>) -> Option<SocketAddr> {
    let listen = section.optional("listen", |text| values::socket_address(text, None));
    section.done();
    listen.map(|placed| placed.value)
}

fn cdr(mut section: Section<'_>, places: &Places) -> Cdr {
    let path = section.or("path", places.records.join("cdr.jsonl"), |text| Ok(places.of(text)));
    let rotate_size = section.size("rotate_size", 100 << 20, 64 << 10..=64 << 30);
    let keep = section.number("keep", 10, 1..=1_000);
    section.done();
    Cdr { path, rotate_size, keep: u32::try_from(keep).unwrap_or(10) }
}

fn logging(mut section: Section<'_>) -> Logging {
    use tracing::Level;
    let format = section.word("format", Format::Text, &[("text", Format::Text), ("json", Format::Json)]);
    let level = section.word(
        "level",
        Level::INFO,
        &[
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
        ],
    );
    let redact = section.flag("redact", true);
    section.done();
    Logging { format, level, redact }
}

fn dialling(mut section: Section<'_>) -> calls::Dialling {
    let mut starts = |key: &'static str| {
        let listed = section.list(key, |text| match text {
            "premium" => Ok(text.to_owned()),
            number => values::number_prefix(number),
        });
        listed.map(|list| {
            let each = |placed: Placed<String>| match &*placed.value {
                "premium" => calls::PREMIUM.map(str::to_owned).to_vec(),
                _ => vec![placed.value],
            };
            list.into_iter().flat_map(each).collect()
        })
    };
    let default = calls::Dialling::default();
    let (allow, deny) = (starts("allow"), starts("deny"));
    section.done();
    calls::Dialling { allow: allow.unwrap_or(default.allow), deny: deny.unwrap_or(default.deny) }
}

fn limits(mut section: Section<'_>) -> Limits {
    section.later(&["message", "headers", "trunk_calls_per_second"]);
    let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let calls = small(section.number("calls", 2_000, 1..=100_000));
    let calls_per_second = section.number("calls_per_second", 500, 1..=100_000);
    let transactions = small(section.number("transactions", 50_000, 100..=10_000_000));
    let dialogs = small(section.number("dialogs", 20_000, 10..=1_000_000));
    let connections = small(section.number("connections", 2_000, 10..=100_000));
    let connections_per_source = small(section.number("connections_per_source", 100, 1..=100_000));
    let tls_handshakes = small(section.number("tls_handshakes", 200, 10..=100_000));
    let tls_handshakes_per_source = small(section.number("tls_handshakes_per_source", 50, 1..=100_000));
    let supervisors = small(section.number("supervisors", 3, 0..=8));
    let call_duration = section.duration("call_duration", SECOND * 4 * 3600, SECOND * 60..=SECOND * 24 * 3600);
    let shutdown = section.duration("shutdown", SECOND * 2, Duration::ZERO..=SECOND * 60);
    section.done();
    Limits {
        calls,
        calls_per_second: u32::try_from(calls_per_second).unwrap_or(u32::MAX),
        transactions,
        dialogs,
        connections,
        connections_per_source,
        tls_handshakes,
        tls_handshakes_per_source,
        supervisors,
        call_duration,
        shutdown,
    }
}
