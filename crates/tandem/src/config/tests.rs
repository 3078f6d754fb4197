use super::*;
use std::time::Duration;

/// A folder with files as given, read with variables as given.
pub(super) fn reading(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let path = folder.path().join("tandem.yaml");
    let real = fs::canonicalize(folder.path()).expect("a folder").display().to_string();
    load(&path, &Environment { variables }).map_err(|problems| {
        problems.to_string().replace(&folder.path().display().to_string(), "ETC").replace(&real, "ETC")
    })
}

pub(super) fn mistakes(text: &str) -> String {
    reading(&[("tandem.yaml", text)], &[]).expect_err("mistakes")
}

#[test]
fn the_shipped_file_is_right_and_one_that_says_little_serves_loopback() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../etc/tandem.yaml");
    let shipped = load(&shipped, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(shipped.sip.listeners[0].to_string(), "udp:127.0.0.1:5060");
    assert!(shipped.media.prompts.join("please-hold.wav").is_file(), "{}", shipped.media.prompts.display());
    assert_eq!(shipped.routes[0].answers, Answers::Ai("demo".into()));

    assert!(shipped.warnings.is_empty(), "{:?}", shipped.warnings);
    let empty = reading(&[("tandem.yaml", "trunks: {}")], &[]).expect("defaults");
    assert!(empty.sip.listeners[0].address.ip().is_loopback());
    assert!(empty.media.address.is_loopback());
    assert!(empty.logging.redact);
}

#[test]
fn layers_are_laid_over_one_another_key_by_key() {
    let files = [
        ("tandem.yaml", "sip: { user_agent: one }\nlogging: { level: warn }\n"),
        ("conf.d/20-late.yaml", "sip: { user_agent: three }\n"),
        ("conf.d/10-early.yaml", "sip: { user_agent: two, unknown_sources: forbid }\n"),
        ("conf.d/notes.txt", "not: [read"),
    ];
    let read = reading(&files, &[]).expect("right");
    assert_eq!(read.sip.user_agent, "three");
    assert_eq!(read.sip.unknown_sources, Strangers::Forbid);
    assert_eq!(read.logging.level, tracing::Level::WARN);

    let variables = [
        ("TANDEM__SIP__USER_AGENT", "four"),
        ("TANDEM__SIP__LISTENERS", "[\"udp:127.0.0.9:5070\"]"),
        ("TANDEM_OTHER", "x"),
    ];
    let read = reading(&files, &variables).expect("right");
    assert_eq!(read.sip.user_agent, "four");
    assert_eq!(read.sip.listeners[0].to_string(), "udp:127.0.0.9:5070");
    assert_eq!(read.sip.unknown_sources, Strangers::Forbid);
}

#[test]
fn playlists_and_levels_are_read_and_their_mistakes_say_what_would_be_right() {
    let text = "media:\n  music_level: off\n  playlists:\n    waiting: { clips: [music/default], order: shuffled, begin: anywhere }\n    music/sales: { folder: sales, again: begin, fade_in: 1s }\n";
    let media = reading(&[("tandem.yaml", text)], &[]).expect("right").media;
    assert_eq!((media.prompt_level, media.music_level), (Some(-20.0), None));
    let [waiting, sales] = &media.playlists[..] else { panic!("{:?}", media.playlists) };
    assert!(matches!(&waiting.tracks, Tracks::Clips(clips) if clips == &["music/default"]) && waiting.goes_on);
    assert_eq!((waiting.order, waiting.begin), (media_relay::Order::Shuffled, media_relay::Begin::Anywhere));
    assert!(matches!(&sales.tracks, Tracks::Folder(folder) if folder.ends_with("sales")) && !sales.goes_on);
    let wrong = "media:\n  prompt_level: -5\n  playlists:\n    a: {}\n    b: { clips: [], order: random }\n    c: { clips: [x], folder: y }\n    d.wav: { clips: [x] }\n";
    let wrong = mistakes(wrong);
    for said in [
        "tandem.yaml:2:17",
        "`-5` is no level",
        "what does `a` play?",
        "`b` plays nothing",
        "one of: listed, shuffled",
        "what does `c` play?",
        "`d.wav` is not a prompt's name",
    ] {
        assert!(wrong.contains(said), "no {said} in\n{wrong}");
    }
}

#[test]
fn all_mistakes_come_out_of_one_run_with_their_places() {
    insta::assert_snapshot!(mistakes(
        "sip:\n  listners: [\"udp:127.0.0.1\"]\n  listeners: [\"127.0.0.1:5060\", \"ws:0.0.0.0:5061\"]\n  timers: { t1: 500 }\n\
         media:\n  ports: 20001-20100\n  codecs: [pcma, g729]\n\
         trunks:\n  carrier:\n    address: 192.0.2.300\n    allowed: [192.0.2.7/24]\n    trusted: maybe\n    auth: { username: u }\n\
         routes:\n  - { number: \"*\", ai: dmeo }\n  - { number: \"+49*\", ai: demo }\n\
         ai:\n  demo: { uri: \"ai@host\", match_confidence: 1.5, on_ai_failure: [end, frontdesk] }\n\
         context: { when: on_answer }\nlogging: loud\n"
    ));
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    let files = [("tandem.yaml", "")];
    insta::assert_snapshot!(
        reading(&files, &[("TANDEM__MEDIA__PORTS", "lots"), ("TANDEM__SIP__PROT", "x")]).expect_err("mistakes")
    );
}

#[test]
fn broken_yaml_says_where() {
    insta::assert_snapshot!(mistakes("sip:\n  listeners: [\"udp:127.0.0.1:5060\"\nmedia:\n  ports: 20000-20100\n"));
}

#[test]
fn what_yaml_could_hide_is_refused() {
    assert!(mistakes("sip: { user_agent: a }\nsip: { user_agent: b }\n").contains("written twice"));
    assert!(mistakes("sip: &a { user_agent: a }\nmedia: *a\n").contains("aliases"));
    assert!(mistakes("sip: { user_agent: \"a\\r\\nVia: b\" }\n").contains("control character"));
    assert!(mistakes(&format!("sip: {}{}", "[".repeat(40), "]".repeat(40))).contains("nested too deeply"));
    assert!(mistakes("sip: 1\n---\nsip: 2\n").contains("second YAML document"));
}

#[test]
fn a_password_comes_from_a_file_or_a_credential_and_is_never_shown() {
    let text = "trunks:\n  a: { address: 192.0.2.1, auth: { username: u, password_file: secret } }\n";
    let read = reading(&[("tandem.yaml", text), ("secret", "s3cr3t\n")], &[]).expect("right");
    assert_eq!(read.trunks[0].auth.as_ref().expect("auth").password, "s3cr3t");
    assert!(!format!("{read:?}").contains("s3cr3t"));

    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("secret"), "from-systemd").expect("a file");
    let credentials = folder.path().display().to_string();
    let read = reading(&[("tandem.yaml", text)], &[("CREDENTIALS_DIRECTORY", &credentials)]).expect("right");
    assert_eq!(read.trunks[0].auth.as_ref().expect("auth").password, "from-systemd");
    assert!(mistakes(text).contains("cannot read"));
}

#[test]
fn a_trunk_says_how_it_is_asked_registered_with_limited_and_what_it_is_told() {
    let read = reading(
        &[(
            "tandem.yaml",
            "trunks:\n  carrier:\n    address: sip.carrier.example\n    auth: { username: \"4930100\", password: s3cr3t }\n\
             \x20   ping: {}\n    register: {}\n    limits: { calls: 30, per_second_out: 5 }\n    priority: 2\n    weight: 0\n\
             \x20   caller_id: \"77{caller_digits}\"\n    domain: carrier.example\n    forwarded: both\n    headers_out: [X-Account]\n\
             \x20   numbers: { country: \"49\", format: national }\n    request_uri: sip\n\
             \x20 branch: { address: pbx.example, allowed: [0.0.0.0/0], register: { user: b }, digest: { username: b, password: canary }, headers_in: [X-Account] }\n\
             ai:\n  bot: { uri: \"sip:bot@192.0.2.1\", trunks: [carrier], pass_headers: [X-Account] }\n",
        )],
        &[],
    )
    .expect("right");
    let [carrier, branch] = &read.trunks[..] else { panic!("two trunks") };
    assert_eq!(carrier.ping.as_ref().map(|ping| (ping.interval.as_secs(), ping.down_after)), Some((10, 2)));
    let register = carrier.register.as_ref().expect("a registration");
    assert_eq!((register.domain.as_str(), register.user.as_str()), ("sip.carrier.example", "4930100"));
    assert!(carrier.allow_located, "its calls come from where it is");
    assert_eq!((carrier.limits.calls, carrier.limits.per_second_out, carrier.priority, carrier.weight), (30, 5, 2, 0));
    assert_eq!(carrier.caller_id, CallerId::Template("77{caller_digits}".into()));
    assert_eq!(carrier.identity.forwarded, Forwarded::Both);
    assert!(branch.digest.is_some() && branch.auth.is_none() && branch.ping.is_none());
    assert!(!branch.allow_located);
    assert_eq!(read.profiles[0].trunks, ["carrier"]);
    assert!(!format!("{read:?}").contains("canary"));
}

#[test]
fn mistakes_about_a_trunk_are_told_in_the_operators_words() {
    for (trunk, told) in [
        ("allowed: [192.0.2.1], register: {}", "no `address` to register with"),
        ("address: 192.0.2.1, register: {}", "a registration needs a user"),
        ("address: 192.0.2.1, register: { user: \"a b\" }", "is not the user of an address"),
        ("address: pbx.example, digest: { username: u, password: p }", "no `allowed` says from where"),
        ("address: 192.0.2.1, caller_id: \"{caler}\"", "is no caller id"),
        ("address: 192.0.2.1, caller_id: \"{caller}@evil\"", "is no caller id"),
        ("address: 192.0.2.1, domain: \"a.example:5060\"", "names a port"),
        ("address: 192.0.2.1, headers_out: [P-Asserted-Identity]", "is not passed on by a list"),
        ("address: 192.0.2.1, headers_in: [Via]", "is written by Tandem itself"),
        ("address: 192.0.2.1, headers_in: [X-Tandem-Call-Id]", "is written by Tandem itself"),
        ("address: 192.0.2.1, headers_in: [\"X-A\\r\\nB\"]", "control character"),
        ("address: 192.0.2.1, ping: { interval: 10ms }", "out of range"),
        ("address: 192.0.2.1, forwarded: maybe", "is not known"),
    ] {
        let found = mistakes(&format!("trunks:\n  t: {{ {trunk} }}\n"));
        assert!(found.contains(told), "{trunk}:\n{found}");
    }
    let found =
        mistakes("trunks:\n  t: { allowed: [192.0.2.1] }\nai:\n  bot: { uri: \"sip:b@192.0.2.1\", trunks: [t] }\n");
    assert!(found.contains("there is no trunk with an `address` `t`"), "{found}");
}

#[test]
fn session_timers_of_a_trunk_lie_over_those_of_the_daemon() {
    let text = "sip: { session_timer: { expires: 600s, min: 120s } }\n\
                trunks:\n  a: { address: 192.0.2.1, session_timer: { expires: 15m } }\n  b: { address: 192.0.2.2 }\n";
    let read = reading(&[("tandem.yaml", text)], &[]).expect("right");
    let seconds = |timer: SessionTimer| (timer.expires.as_secs(), timer.min.as_secs());
    assert_eq!(seconds(read.sip.session_timer), (600, 120));
    assert_eq!(read.trunks[0].session_timer.map(seconds), Some((900, 120)));
    assert_eq!(read.trunks[1].session_timer, None);
    assert!(!read.trunks[0].follows_redirects, "a redirection is followed only where that is asked for");
}

#[test]
fn connections_take_and_stay_as_long_as_is_written_within_bounds() {
    let empty = reading(&[("tandem.yaml", "sip: {}")], &[]).expect("defaults");
    let by_itself = signaling::io::StreamLimits::default();
    let streams = empty.sip.streams;
    assert_eq!((streams.connect, streams.handshake), (by_itself.connect, by_itself.handshake));
    assert_eq!((streams.first_message, streams.message), (by_itself.first_message, by_itself.message));
    assert_eq!((streams.idle, streams.write, streams.ping), (by_itself.idle, by_itself.write, by_itself.ping));
    let limits = empty.limits;
    assert_eq!(limits.tls_handshakes, by_itself.handshakes);
    assert_eq!(limits.tls_handshakes_per_source, by_itself.handshakes_per_source);
    let text = "sip: { streams: { idle: 0s, handshake: 5s } }\nlimits: { tls_handshakes: 1000 }";
    let read = reading(&[("tandem.yaml", text)], &[]).expect("right");
    assert_eq!((read.sip.streams.idle, read.sip.streams.handshake), (Duration::ZERO, Duration::from_secs(5)));
    assert_eq!(read.limits.tls_handshakes, 1_000);
    for (wrong, said) in [
        ("sip: { streams: { idle: 59s } }", "shorter than a minute"),
        ("sip: { streams: { handshake: 2m } }", "out of range"),
        ("sip: { streams: { handshakes: 5s } }", "handshake"),
        ("limits: { tls_handshakes: 9 }", "out of range"),
    ] {
        let told = mistakes(wrong);
        assert!(told.contains(said) && told.contains("tandem.yaml:1:"), "{wrong}: {told}");
    }
}

#[test]
fn hosts_that_an_ai_may_move_to_are_names_addresses_and_networks_without_ports() {
    let read = |keys: &str| format!("ai:\n  main:\n    uri: sip:bot@192.0.2.9\n{keys}");
    let text = read("    redirects: follow\n    redirect_hosts: [bots.example, 192.0.2.0/28, \"2001:db8::7\"]\n");
    let profile = reading(&[("tandem.yaml", &text)], &[]).expect("right").profiles.remove(0);
    assert!(profile.follows_redirects);
    let shown: Vec<_> = profile.redirect_hosts.iter().map(|host| format!("{host:?}")).collect();
    assert!(shown[0].starts_with("Name(") && shown[1..].iter().all(|host| host.starts_with("Network(")), "{shown:?}");
    let plain = reading(&[("tandem.yaml", &read(""))], &[]).expect("right").profiles.remove(0);
    assert!(!plain.follows_redirects, "a redirection is followed only where that is asked for");
    for (wrong, said) in [
        ("    redirects: always\n", "follow"),
        ("    redirect_hosts: [bots.example]\n", "without `redirects: follow`"),
        ("    redirects: follow\n    redirect_hosts: [\"bots.example:5070\"]\n", "neither a host name nor an address"),
        ("    redirects: follow\n    redirect_hosts: [\"sip:bots.example\"]\n", "neither a host name nor an address"),
    ] {
        let told = mistakes(&read(wrong));
        assert!(told.contains(said) && told.contains("tandem.yaml:"), "{wrong}: {told}");
    }
}

#[test]
fn session_timers_that_cannot_be_say_where_and_what_would_be_right() {
    insta::assert_snapshot!(mistakes(
        "sip:\n  session_timer:\n    expires: 60s\n    min: 2h\n    every: 1s\n\
         trunks:\n  a:\n    address: 192.0.2.1\n    redirects: folow\n    session_timer: { expires: 90s, min: 30m }\n"
    ));
}

#[test]
fn the_dns_is_the_systems_until_servers_are_named_and_its_bounds_are_kept() {
    let empty = reading(&[("tandem.yaml", "sip: {}")], &[]).expect("defaults").sip;
    assert!(empty.dns.servers.is_empty());
    assert_eq!((empty.dns.timeout, empty.next_target), (Duration::from_secs(2), Duration::from_millis(1_800)));
    let text =
        "sip: { dns: { servers: [192.0.2.53, \"[2001:db8::53]:5353\"], timeout: 500ms, ttl_min: 10s, last_good: 0s } }";
    let dns = reading(&[("tandem.yaml", text)], &[]).expect("right").sip.dns;
    let servers: Vec<String> = dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.53:53", "[2001:db8::53]:5353"]);
    assert_eq!((dns.ttl_min, dns.last_good), (Duration::from_secs(10), Duration::ZERO));
    for (wrong, said) in [
        ("servers: []", "names no server"),
        ("servers: [dns.example.net]", "not an IP address"),
        ("timeout: 1m", "out of range"),
        ("ttl_min: 1h, ttl_max: 1m", "longer than"),
        ("server: 192.0.2.53", "servers"),
    ] {
        let told = mistakes(&format!("sip: {{ dns: {{ {wrong} }} }}"));
        assert!(told.contains(said) && told.contains("tandem.yaml:1:"), "{wrong}: {told}");
    }
}

#[test]
fn agents_are_read_with_their_passwords_and_every_mistake_about_them_is_told() {
    let files = [
        (
            "tandem.yaml",
            "agents:\n  domains: [Desk.Example]\n  accounts:\n    anna: { password_file: anna }\n    ben: { password: open, max_contacts: 2 }\nai: { a: { uri: \"sip:a@127.0.0.1\" } }\nroutes: [{ number: \"*\", trunks: [agents], ai: a }]\nabuse: { failures: 3, ban: 0s }\n",
        ),
        ("anna", "sesame\n"),
    ];
    let read = reading(&files, &[]).expect("right");
    assert_eq!((read.agents.realm.as_str(), read.agents.digests), ("desk.example", signaling::Digests::Sha256));
    let of = |at: usize| (read.agents.accounts[at].name.as_str(), read.agents.accounts[at].password.as_str());
    assert_eq!((of(0), of(1), read.agents.accounts[1].max_contacts), (("anna", "sesame"), ("ben", "open"), 2));
    assert_eq!((read.abuse.failures, read.abuse.ban.is_zero(), read.abuse.strangers), (3, true, 20));
    assert_eq!(read.routes[0].trunks, ["agents"]);
    assert!(!format!("{read:?}").contains("sesame"));

    let told = mistakes(
        "agents:\n  domains: [\"desk.example:5060\"]\n  digest: [md4]\n  expires_min: 1h\n  accounts:\n    anna: {}\n    \"b n\": { password: x, pasword: y }\ntrunks: { agents: { address: 127.0.0.1 } }\nabuse: { failures: 0 }\n",
    );
    for said in [
        "`desk.example:5060` is not a domain",
        "`agents.digest`: `md4` is not known",
        "`agents.expires_max` is less than `agents.expires_min`",
        "`agents.accounts.anna` needs a password",
        "`b n` is not a name",
        "did you mean `password`?",
        "the name that calls of registered phones come under",
        "`abuse.failures`: `0` is out of range",
    ] {
        assert!(told.contains(said), "{said}:\n{told}");
    }
    let told =
        mistakes("ai: { a: { uri: \"sip:a@127.0.0.1\" } }\nroutes: [{ number: \"*\", trunks: [agents], ai: a }]\n");
    assert!(told.contains("there is no trunk `agents`"), "nobody may register:\n{told}");
}

#[test]
fn people_are_called_as_the_configuration_says_and_every_mistake_about_that_is_told() {
    let base = "trunks:\n  c: { address: 192.0.2.1, allowed: [192.0.2.1], tel: [\"+49\"] }\n  in: { allowed: [192.0.2.2] }\n\
                ai: { bot: { uri: \"sip:b@192.0.2.3\", predial: false } }\nroutes: [{ number: \"*\", line: sales, ai: bot }]\n";
    let read = |more: &str| reading(&[("tandem.yaml", &format!("{base}{more}"))], &[]);
    let empty = read("").expect("right");
    assert_eq!(empty.outbound, calls::Outbound::default());
    assert!(!empty.profiles[0].predial);
    let full = read(
        "outbound: { from: \"+4930900\", allow_from: [\"+49301\"], trunk: c, ring_timeout: 30s, on_machine: hang_up, max_at_once: 7, max_per_second: 0 }\n\
         campaigns:\n  dues: { hours: office, time_zone: Europe/Berlin, max_at_once: 3, max_per_second: 2, max_per_minute: 30,\n\
         \x20   from: \"+4930901\", trunk: c, line: sales, ai: bot, ring_timeout: 25s, on_machine: none }\n",
    );
    let outbound = full.expect("right").outbound;
    assert_eq!((outbound.from.as_deref(), outbound.trunk.as_deref()), (Some("+4930900"), Some("c")));
    assert_eq!(outbound.pace, calls::Pace { at_once: 7, per_second: 0, per_minute: 0 });
    let dues = &outbound.campaigns["dues"];
    assert_eq!((dues.hours.as_deref(), dues.time_zone.as_deref()), (Some("office"), Some("Europe/Berlin")));
    assert_eq!(dues.pace, calls::Pace { at_once: 3, per_second: 2, per_minute: 30 });
    assert_eq!((dues.line.as_deref(), dues.ai.as_deref()), (Some("sales"), Some("bot")));
    assert_eq!(dues.ring_timeout, Some(Duration::from_secs(25)));
    assert_eq!((outbound.on_machine, dues.on_machine), (calls::OnMachine::HangUp, Some(calls::OnMachine::None)));
    let doubtful = read("campaigns: { dues: {} }").expect("right");
    let doubts: Vec<String> = doubtful.warnings.iter().map(|doubt| format!("{doubt:?}")).collect();
    assert!(doubts.iter().any(|doubt| doubt.contains("at any time of the day")), "{doubts:?}");
    assert!(doubts.iter().any(|doubt| doubt.contains("no number to show")), "{doubts:?}");
    for (more, said) in [
        ("outbound: { from: \"0900\" }", "0900"),
        ("outbound: { trunk: d }", "there is no trunk `d`"),
        ("outbound: { trunk: in }", "carries no numbers"),
        ("outbound: { ring_timeout: 1s }", "out of range"),
        ("outbound: { on_machine: hangup }", "did you mean `hang_up`?"),
        ("media: { address: 127.0.0.1, detection: { within: 2s } }", "over before anything can be told"),
        ("media: { address: 127.0.0.1, detection: { silence_after: 100ms } }", "out of range"),
        ("outbound: { max_at_onc: 1 }", "did you mean `max_at_once`?"),
        ("campaigns: { dues: { hours: o, time_zone: Berlin/Europe } }", "there is no time zone `Berlin/Europe`"),
        ("campaigns: { dues: { time_zone: Europe/Berlin } }", "and there are none"),
        ("campaigns: { dues: { ai: bit } }", "did you mean `bot`?"),
        ("campaigns: { dues: { line: sale } }", "did you mean `sales`?"),
        ("campaigns: { dues: { ring_timeout: 1h } }", "5s to 3m"),
        ("campaigns: { \"d es\": {} }", "`d es` is not a name"),
    ] {
        let told = mistakes(&format!("{base}{more}\n"));
        assert!(told.contains(said) && told.contains("tandem.yaml:6:"), "{more}:\n{told}");
    }
}

#[test]
fn a_trunk_is_asked_with_the_digests_that_it_knows() {
    let read = |more: &str| {
        let digest = format!("digest: {{ username: u, password: p{more} }}");
        let text = format!("trunks:\n  t: {{ allowed: [192.0.2.1], {digest} }}\n");
        reading(&[("tandem.yaml", &text)], &[]).expect("right")
    };
    for (more, digests, warnings) in [
        ("", signaling::Digests::Both, 0),
        (", algorithms: [sha-256]", signaling::Digests::Sha256, 0),
        (", algorithms: [md5]", signaling::Digests::Md5, 1),
    ] {
        let read = read(more);
        assert_eq!((read.trunks[0].digests, read.warnings.len()), (digests, warnings), "{more}");
    }
}

#[test]
fn an_agents_switchboard_is_asked_for_their_calls_where_it_can_be() {
    let text = "agents:\n  static:\n    carl: { dial: \"sip:carl@192.0.2.7\", dialogs: { expires: 10m, unknown: busy, auth: { username: t, password: p } } }\n    ben: { dial: \"sip:ben@192.0.2.7\", dialogs: {} }\n    eve: { dial: \"sip:eve@192.0.2.7\" }\n";
    let people = reading(&[("tandem.yaml", text)], &[]).expect("right").agents.people;
    let dialogs = |name: &str| people.iter().find(|(it, _)| it == name).unwrap().1.dialogs.clone();
    let carl = dialogs("carl").unwrap();
    assert_eq!((carl.expires.as_secs(), carl.busy_unless_told), (600, true));
    assert_eq!(carl.credentials.unwrap().username, "t");
    let ben = dialogs("ben").unwrap();
    assert_eq!((ben.expires.as_secs(), ben.busy_unless_told, ben.credentials), (3600, false, None));
    assert_eq!(dialogs("eve"), None);
    let wrong = mistakes(
        "agents:\n  static:\n    tom: { dial: \"tel:+4930123\", dialogs: {} }\n    ben: { dial: \"sip:ben@192.0.2.7\", dialogs: { expires: 1s, unknown: maybe } }\n",
    );
    for part in ["nobody can be asked at `tel:+4930123`", "out of range", "one of: free, busy"] {
        assert!(wrong.contains(part), "{part}: {wrong}");
    }
}

#[test]
fn agents_have_skills_and_manners_and_every_mistake_about_them_is_told() {
    let text = "agents:\n  wrap_up: 20s\n  presence: away\n  accounts:\n    anna: { password: sesame, skills: { fraud: 8 }, wrap_up: 0s, attributes: { language: \"de, en\" } }\n  static:\n    carl: { dial: \"sip:carl@192.0.2.7\", capacity: 3, presence: available, away_after: 0 }\n";
    let read = reading(&[("tandem.yaml", text)], &[]).expect("right");
    let [(anna, of_anna), (carl, of_carl)] = &read.agents.people[..] else { panic!("{:?}", read.agents.people) };
    assert_eq!((anna.as_str(), carl.as_str()), ("anna", "carl"));
    assert_eq!((of_anna.skills["fraud"], of_anna.wrap_up, of_anna.signed_in), (8, Duration::ZERO, false));
    assert_eq!(of_anna.attributes["language"].iter().map(|it| &**it).collect::<Vec<_>>(), ["de", "en"]);
    assert_eq!((of_carl.dial.as_deref(), of_carl.capacity, of_carl.away_after), (Some("sip:carl@192.0.2.7"), 3, 0));
    assert_eq!(
        (of_carl.wrap_up, of_carl.signed_in, of_carl.rest),
        (Duration::from_secs(20), true, Duration::from_secs(5))
    );

    let told = mistakes(
        "agents:\n  rest: 0s\n  accounts:\n    anna: { password: x, skills: { fraud: 11 } }\n  static:\n    anna: { dial: \"sip:anna@192.0.2.7\" }\n    ben: { dial: ben }\n    carl: { skills: { a: 1 } }\n",
    );
    for said in [
        "`agents.rest`",
        "`11` is out of range",
        "`anna` is an account too",
        "`ben` is not an address",
        "`agents.static.carl.dial` is missing",
    ] {
        assert!(told.contains(said), "{said}:\n{told}");
    }
}

#[test]
fn md5_alone_is_taken_with_a_warning_for_phones_that_give_up_at_sha_256() {
    let text = |digest: &str| format!("agents:\n  digest: {digest}\n  accounts: {{ anna: {{ password: sesame }} }}\n");
    for (digest, digests, warned) in [
        ("[md5]", signaling::Digests::Md5, true),
        ("md5", signaling::Digests::Md5, true),
        ("[md5, sha-256]", signaling::Digests::Both, false),
        ("[sha-256]", signaling::Digests::Sha256, false),
        ("[]", signaling::Digests::Sha256, false),
    ] {
        let read = reading(&[("tandem.yaml", &text(digest))], &[]).expect("right");
        assert_eq!(read.agents.digests, digests, "{digest}");
        let warnings: Vec<&String> = read.warnings.iter().map(|warning| &warning.block).collect();
        assert_eq!(warnings.len(), usize::from(warned), "{digest}: {warnings:?}");
        assert!(warnings.iter().all(|it| it.starts_with("warning: ") && it.contains("tandem.yaml:2:")), "{warnings:?}");
    }
}

/// An empty file passed in silence, and the operator whose editor had lost it looked for the fault elsewhere.
#[test]
fn a_file_without_a_word_is_a_mistake_and_one_without_callers_a_warning() {
    for empty in ["", "\n\n", "# all of it commented out\n", "---\n", "null\n", "{}\n"] {
        let told = mistakes(empty);
        assert!(told.contains("this configuration is empty") && told.contains("tandem.yaml:1:1"), "{empty:?}: {told}");
    }
    reading(&[("tandem.yaml", ""), ("conf.d/1.yaml", "sip: {}")], &[]).expect("the layers together say something");
    let read = reading(&[("tandem.yaml", "sip: {}")], &[]).expect("right");
    let warnings: Vec<&String> = read.warnings.iter().map(|warning| &warning.line).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("tandem.yaml:1:1: nobody may bring a call"), "{warnings:?}");
}

#[test]
fn whom_no_listener_reaches_is_a_mistake_with_its_place() {
    let text = |listeners: &str, trunk: &str, uri: &str| {
        format!("sip: {{ listeners: [{listeners}] }}\ntrunks:\n  t: {{ {trunk} }}\nai:\n  bot: {{ uri: \"{uri}\" }}\n")
    };
    let (udp, bot) = ("\"udp:127.0.0.1\"", "sip:bot@192.0.2.2");
    for (listeners, trunk, uri, said, place) in [
        (udp, "address: 192.0.2.1, transport: tcp", bot, "`192.0.2.1:5060` is reached by tcp over IPv4", ":3:39"),
        (udp, "address: pbx.example, transport: tls", bot, "`pbx.example` is reached by tls, and", ":3:41"),
        (udp, "address: \"2001:db8::1\"", bot, "is reached by udp over IPv6", ":3:17"),
        ("\"tcp:[::1]\"", "address: \"2001:db8::1\"", "sip:b@[::2];transport=tcp", "by udp over IPv6", ":3:17"),
        (udp, "allowed: 192.0.2.1", "sip:bot@192.0.2.2;transport=tcp", "is reached by tcp over IPv4", ":5:15"),
        (udp, "allowed: 192.0.2.1", "sips:bot@bots.example", "`bots.example` is reached by tls", ":5:15"),
    ] {
        let told = mistakes(&text(listeners, trunk, uri));
        assert!(told.contains(said) && told.contains(&format!("tandem.yaml{place}")), "{trunk}, {uri}:\n{told}");
        assert!(told.contains("1 mistake in"), "{told}");
    }
    for (listeners, trunk, uri) in [
        (udp, "address: pbx.example", "sip:bot@bots.example"),
        (
            "\"udp:127.0.0.1\", \"tcp:127.0.0.1\"",
            "address: 192.0.2.1, transport: tcp",
            "sip:bot@192.0.2.2;transport=tcp",
        ),
        ("\"udp:[::1]\"", "address: \"2001:db8::1\"", "sip:bot@[::2]"),
    ] {
        reading(&[("tandem.yaml", &text(listeners, trunk, uri))], &[]).unwrap_or_else(|told| panic!("{trunk}: {told}"));
    }
}

/// Path by path: who says nothing gets what `media` says, who says something gets that.
#[test]
fn srtp_is_inherited_from_media_by_everything_that_says_nothing_itself() {
    use sdp::Srtp::{Off, Optional, Required};
    let read = |media: &str, own: &str| {
        let text = format!(
            "trunks: {{ t: {{ allowed: [192.0.2.0/24]{own} }} }}\nai: {{ a: {{ uri: \"sip:a@192.0.2.9\"{own} }} }}\n\
             routes: [{{ number: \"*\", line: l, ai: a }}]\nagents: {{ domains: [d.example], accounts: {{ anna: {{ password: x-y-z-12 }} }}{own} }}\n\
             media: {{ address: 127.0.0.1{media} }}\n"
        );
        let read = reading(&[("tandem.yaml", &text)], &[]).unwrap();
        (read.trunks[0].srtp, read.agents.srtp, read.profiles[0].srtp, read.media.srtp)
    };
    assert_eq!(read("", ""), (Off, Off, None, Off));
    assert_eq!(read(", srtp: required", ""), (Required, Required, None, Required));
    assert_eq!(read(", srtp: optional", ""), (Optional, Optional, None, Optional));
    assert_eq!(read("", ", srtp: required"), (Required, Required, Some(Required), Off));
    assert_eq!(read(", srtp: required", ", srtp: off"), (Off, Off, Some(Off), Required));
    // And what is read is what calls are told.
    let text = "trunks: { t: { allowed: [192.0.2.0/24], srtp: required } }\nai: { a: { uri: \"sip:a@192.0.2.9\", srtp: optional } }\n\
                routes: [{ number: \"*\", line: l, ai: a }]\nagents: { domains: [d.example], accounts: { anna: { password: x-y-z-12 } }, srtp: required }\n\
                media: { address: 127.0.0.1, srtp: optional, srtp_suites: [AES_CM_128_HMAC_SHA1_80], rtcp_mux: false }\n";
    let told =
        crate::serve::wiring::calls(&reading(&[("tandem.yaml", text)], &[]).unwrap(), &[], &std::sync::Arc::default());
    assert_eq!((told.trunks["t"].srtp, told.ai["a"].srtp), (Required, Some(Optional)));
    assert_eq!((told.agents.caller.srtp, told.media.srtp), (Required, Optional));
    assert_eq!(
        (&told.media.srtp_suites[..], told.media.rtcp_mux),
        (&[sdp::CryptoSuite::AesCm128HmacSha1_80][..], false)
    );
}

#[test]
fn mistakes_about_srtp_are_told_in_the_operators_words() {
    let told = mistakes(
        "trunks: { t: { allowed: [192.0.2.0/24], srtp: mandatory } }\nai: { a: { uri: \"sip:a@192.0.2.9\" } }\n\
         routes: [{ number: \"*\", line: l, ai: a }]\nmedia: { address: 127.0.0.1, srtp_suites: [AES_CM_128_HMAC_SHA1_8O, AEAD_AES_128_GCM, AEAD_AES_128_GCM] }\n",
    );
    assert!(told.contains("`mandatory` is not known") && told.contains("off, optional, required"), "{told}");
    assert!(
        told.contains("did you mean `AES_CM_128_HMAC_SHA1_80`?") && told.contains("this suite is listed twice"),
        "{told}"
    );
}

#[test]
fn feature_codes_are_read_by_party_and_mistakes_about_them_told() {
    let with = |codes: &str| {
        format!(
            "trunks: {{ t: {{ allowed: [192.0.2.0/24] }} }}\nai: {{ a: {{ uri: \"sip:a@192.0.2.9\" }} }}\n\
             routes: [{{ number: \"*\", line: l, ai: a }}]\nmedia: {{ address: 127.0.0.1 }}\nfeature_codes: {codes}\n"
        )
    };
    let text = with(
        "{ within: 2s, human: { \"*7\": handback, \"*2\": \"transfer:frontdesk\" }, caller: { \"*0\": \"transfer:frontdesk\" } }",
    );
    let read = reading(&[("tandem.yaml", &text)], &[]).unwrap().codes;
    let keys = |codes: &[FeatureCode]| codes.iter().map(|code| code.keys.clone()).collect::<Vec<_>>();
    assert_eq!((keys(&read.human), keys(&read.caller)), (vec!["*7".into(), "*2".into()], vec!["*0".into()]));
    assert_eq!(read.human[0].act, CodeAct::HandBack);
    assert_eq!((&read.caller[0].act, read.within), (&CodeAct::Transfer("frontdesk".into()), Duration::from_secs(2)));
    for (codes, told) in [
        ("{ human: { \"7\": handback } }", "`7` is no feature code"),
        ("{ human: { \"*7\": handback, \"*77\": handback } }", "`*77` holds `*7`"),
        ("{ human: { \"*7\": hangup } }", "`hangup` is nothing that a code can ask for"),
        ("{ caller: { \"*7\": handback } }", "only a human can hand a caller back"),
        ("{ ai: { \"*7\": handback } }", "unknown key `ai`"),
    ] {
        let found = mistakes(&with(codes));
        assert!(found.contains(told), "{codes}: {found}");
    }
}

#[test]
fn mailboxes_have_limits_that_fit_one_another() {
    let text = "voicemail: { mailboxes: { a: { max_length: 5s, min_length: 10s }, b: { greting: x }, \"c d\": {} } }\n";
    let said = mistakes(text);
    for mistake in ["every message of `a` is too short", "did you mean `greeting`?", "c d"] {
        assert!(said.contains(mistake), "{said}");
    }
    let text = "voicemail: { directory: v, mailboxes: { a: {} } }\n";
    let read = reading(&[("tandem.yaml", text)], &[]).expect("right");
    let (name, mailbox) = &read.voicemail.mailboxes[0];
    assert_eq!((name.as_str(), mailbox.longest, mailbox.greeting.is_none()), ("a", Duration::from_secs(180), true));
    assert!(read.voicemail.directory.ends_with("v"));
}

#[test]
fn a_caller_is_asked_by_two_keys_and_only_where_consent_is_needed() {
    let mut said = mistakes("recording: { when: answer, consent: { prompt: ask, yes: \"1\", no: \"1\" } }\n");
    said.push_str(&mistakes("recording: { when: consent, consent: { yes: \"12\" } }\n"));
    for mistake in ["one key says both", "nobody is asked", "`12` is no key", "prompt"] {
        assert!(said.contains(mistake), "{said}");
    }
    let text = "recording: { when: consent, consent: { prompt: ask, yes: \"1\" } }\n";
    let consent = reading(&[("tandem.yaml", text)], &[]).expect("right").recording.consent.expect("asked");
    assert_eq!((consent.yes, consent.no, consent.wait), (Some('1'), None, Duration::from_secs(5)));
}

#[test]
fn another_system_is_asked_how_agents_stand_where_it_is_named() {
    let text = "agents:\n  availability: { url: \"https://crm.example.com/a/{agent}\", every: 5s, unknown: away }\n  static:\n    carl: { dial: \"sip:carl@192.0.2.7\" }\n";
    let agents = reading(&[("tandem.yaml", text)], &[]).expect("right").agents;
    let asked = agents.asked.expect("asked");
    assert_eq!(
        (asked.url.as_str(), asked.every.as_secs(), asked.keep.as_secs()),
        ("https://crm.example.com/a/{agent}", 5, 60)
    );
    assert_eq!(agents.people[0].1.asked, Some(calls::Unsaid::Away));
    for (wrong, told) in [
        ("{}", "`agents.availability.url` is missing"),
        ("{ url: \"ftp://x/y\" }", "is not an address of the web"),
        ("{ url: \"not an address\" }", "is not an address"),
        ("{ url: \"http://me:secret@x/\" }", "a password has no place in an address"),
        ("{ url: \"http://x/\", unknown: perhaps }", "one of: free, away"),
    ] {
        let told_all = mistakes(&format!("agents:\n  availability: {wrong}\n"));
        assert!(told_all.contains(told), "{wrong}: {told_all}");
    }
}

const STRAIGHT: &str = "trunks:\n  carrier: { address: 192.0.2.1 }\n  inside: { allowed: [192.0.2.9] }\nai: { a: { uri: \"sip:a@127.0.0.1\", after_human: survey } }\n";

#[test]
fn routes_that_go_straight_name_trunks_that_can_be_called() {
    let text =
        format!("{STRAIGHT}routes:\n  - {{ number: emergency, bypass: [carrier] }}\n  - {{ number: \"*\", ai: a }}\n");
    let read = reading(&[("tandem.yaml", &text)], &[]).expect("right");
    assert_eq!(read.routes[0].number, Pattern::Emergency);
    assert_eq!(read.routes[0].answers, Answers::Bypass(vec!["carrier".into()]));
    assert_eq!(read.profiles[0].after_human, AfterHuman::Destination("survey".into()));
    for (route, said) in [
        ("{ number: \"1\", bypass: [carier] }", "there is no trunk `carier`"),
        ("{ number: \"1\", bypass: [inside] }", "there is no trunk with an `address` `inside`"),
        ("{ number: \"1\", bypass: [carrier], ai: a }", "nobody answers before the trunk"),
        ("{ number: \"1\" }", "`routes[0].ai` is missing"),
        ("{ number: emergency, bypass: [carrier] }\n  - { number: \"911\", ai: a }", "this route is never reached"),
        ("{ number: \"1\", bypass: [] }", "`bypass` names no trunk"),
    ] {
        let wrong = mistakes(&format!("{STRAIGHT}routes:\n  - {route}\n"));
        assert!(wrong.contains(said), "no {said} in\n{wrong}");
    }
}
