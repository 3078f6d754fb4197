//! From the operator's configuration to each room's own.

use super::sockets::Plan;
use crate::config::{self, AfterHuman, Auth, CallerId, Configuration, Host, Refuge, Strangers};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

/// What is bound, and what peers are told of it.
pub(crate) fn sockets(
    configuration: &Configuration,
    tls: Option<Arc<signaling::io::Tls>>,
    runtime: tokio::runtime::Handle,
) -> Plan {
    let everywhere = configuration.sip.external_address;
    let listener = |listener: &config::Listener| {
        let local = listener.address;
        let external = listener.external.or(everywhere).filter(|ip| ip.is_ipv4() == local.is_ipv4());
        let advertised = external.map_or(local, |ip| SocketAddr::new(ip, local.port()));
        signaling::Listener { transport: listener.transport, local, advertised }
    };
    Plan {
        listeners: configuration.sip.listeners.iter().map(listener).collect(),
        tls,
        preferred: configuration.trunks.iter().flat_map(networks).collect(),
        dscp: configuration.sip.dscp,
        limits: signaling::io::StreamLimits {
            connections: configuration.limits.connections,
            per_source: configuration.limits.connections_per_source,
            handshakes: configuration.limits.tls_handshakes,
            handshakes_per_source: configuration.limits.tls_handshakes_per_source,
            connect: configuration.sip.streams.connect,
            handshake: configuration.sip.streams.handshake,
            first_message: configuration.sip.streams.first_message,
            message: configuration.sip.streams.message,
            idle: configuration.sip.streams.idle,
            write: configuration.sip.streams.write,
            ping: configuration.sip.streams.ping,
            ..signaling::io::StreamLimits::default()
        },
        runtime,
    }
}

/// What `signaling` is told.
pub(crate) fn signaling(configuration: &Configuration, listeners: &[signaling::Listener]) -> signaling::Config {
    // What a trunk shows its password for is no allowed address.
    let open = configuration.trunks.iter().filter(|trunk| trunk.digest.is_none());
    let mut passed_headers = signaling::Config::default().passed_headers;
    passed_headers.push("History-Info".to_owned());
    passed_headers.extend(configuration.trunks.iter().flat_map(|trunk| trunk.identity.headers_in.iter().cloned()));
    let timed = configuration.trunks.iter().filter_map(|trunk| Some((trunk, trunk.session_timer?)));
    let session_timers = timed.flat_map(|(trunk, timer)| {
        let called = match &trunk.address {
            Some(Host::Address(address)) => Some(signaling::Network::from(address.ip())),
            _ => None,
        };
        let allowed = trunk.allowed.iter().filter_map(|it| signaling::Network::new(it.address, it.prefix));
        allowed.chain(called).map(move |network| (network, session_timer(timer)))
    });
    let defaults = signaling::Limits::default();
    signaling::Config {
        listeners: listeners.to_vec(),
        user_agent: configuration.sip.user_agent.clone(),
        allowed: open.flat_map(networks).collect(),
        gates: configuration.trunks.iter().filter_map(gate).collect(),
        passed_headers,
        unknown: match configuration.sip.unknown_sources {
            Strangers::Silent => signaling::Unknown::Silent,
            Strangers::Forbid => signaling::Unknown::Forbid,
        },
        abuse: signaling::Abuse {
            requests_per_second: configuration.abuse.requests_per_second,
            failures: configuration.abuse.failures,
            strangers: configuration.abuse.strangers,
            window: configuration.abuse.window,
            ban: configuration.abuse.ban,
            sources: configuration.abuse.sources,
        },
        registration: (!configuration.agents.accounts.is_empty()).then(|| registration(&configuration.agents)),
        t1: configuration.sip.t1,
        t2: configuration.sip.t2,
        t4: configuration.sip.t4,
        session_timer: session_timer(configuration.sip.session_timer),
        session_timers: session_timers.collect(),
        limits: signaling::Limits {
            transactions: configuration.limits.transactions,
            legs: configuration.limits.dialogs,
            ..defaults
        },
        ..signaling::Config::default()
    }
}

fn session_timer(timer: config::SessionTimer) -> signaling::SessionTimer {
    signaling::SessionTimer { enabled: timer.enabled, expires: timer.expires, min: timer.min }
}

/// What our listeners reach.
pub(crate) fn able(configuration: &Configuration) -> signaling::locate::Able {
    let listeners = &configuration.sip.listeners;
    signaling::locate::Able::of(listeners.iter().map(|listener| (listener.transport, listener.address.ip())))
}

/// What `signaling` is told of agents' phones.
fn registration(agents: &config::Agents) -> signaling::Registration {
    let account = |account: &config::Account| signaling::Account {
        username: account.name.clone(),
        password: account.password.clone(),
        max_contacts: account.max_contacts,
    };
    signaling::Registration {
        domains: agents.domains.clone(),
        realm: agents.realm.clone(),
        digests: agents.digests,
        nonce_lifetime: agents.nonce_lifetime,
        expires_min: agents.expires_min,
        expires_max: agents.expires_max,
        reach: match agents.contact {
            config::Reach::Auto => signaling::Reach::Auto,
            config::Reach::Contact => signaling::Reach::Contact,
            config::Reach::Source => signaling::Reach::Source,
        },
        accounts: agents.accounts.iter().map(account).collect(),
    }
}

/// What `calls` is told of them.
fn agents(configuration: &Configuration, listeners: &[signaling::Listener]) -> calls::Agents {
    let agents = &configuration.agents;
    if agents.accounts.is_empty() {
        return calls::Agents { people: agents.people.clone(), ..calls::Agents::default() };
    }
    let addresses = listeners.iter().flat_map(|listener| [listener.local, listener.advertised]);
    calls::Agents {
        domains: agents.domains.iter().cloned().chain(addresses.map(|address| address.to_string())).collect(),
        caller: calls::Trunk {
            max_calls: agents.max_calls,
            nat: nat(agents.learn),
            srtp: agents.srtp,
            ..calls::Trunk::default()
        },
        nat: nat(agents.learn),
        people: agents.people.clone(),
    }
}

/// How long a human's phone waits for readers of `/v1/events`, where the transfer does not say: a healthy one takes less than one.
const CONTEXT_WAIT: Duration = Duration::from_millis(50);

/// What `calls` is told.
pub(crate) fn calls(
    configuration: &Configuration,
    listeners: &[signaling::Listener],
    clips: &Arc<BTreeSet<String>>,
) -> calls::Config {
    let media = &configuration.media;
    calls::Config {
        listeners: listeners.to_vec(),
        trunks: configuration.trunks.iter().map(|trunk| (trunk.name.clone(), self::trunk(trunk))).collect(),
        agents: agents(configuration, listeners),
        routes: configuration.routes.iter().map(route).collect(),
        ai: configuration.profiles.iter().map(|profile| (profile.name.clone(), self::profile(profile))).collect(),
        media: calls::Media {
            codecs: media.codecs.iter().map(codec).collect(),
            nat: nat(media.learn),
            srtp: media.srtp,
            srtp_suites: media.srtp_suites.clone(),
            rtcp_mux: media.rtcp_mux,
            in_band_digits: media.in_band_digits,
            hold_music: media.hold_music.clone(),
            ai_lost_announcement: media.ai_lost.clone(),
            dead_before_first: media.dead_before_first,
            dead_after: media.dead_after,
            dead_on_hold: media.dead_on_hold,
            detection: media.detection,
            clips: Arc::clone(clips),
            // A leg goes over to another call on the worker it lives on.
            joinable: media.workers == 1,
            ..calls::Media::default()
        },
        dialling: configuration.dialling.clone(),
        codes: calls::FeatureCodes {
            human: configuration.codes.human.clone(),
            caller: configuration.codes.caller.clone(),
            within: configuration.codes.within,
        },
        user_to_user: configuration.sip.user_to_user,
        recording: recording(&configuration.recording),
        context_wait: CONTEXT_WAIT,
        mailboxes: configuration.voicemail.mailboxes.iter().map(|(name, it)| (name.clone(), mailbox(it))).collect(),
        callbacks: configuration.callbacks.clone(),
        outbound: configuration.outbound.clone(),
        limits: calls::Limits {
            calls: configuration.limits.calls,
            call_duration: configuration.limits.call_duration,
            next_target: configuration.sip.next_target,
            supervisors: configuration.limits.supervisors,
            ..calls::Limits::default()
        },
    }
}

fn recording(recording: &config::Recording) -> calls::Recording {
    calls::Recording {
        when: match recording.when {
            config::RecordingWhen::Never => calls::RecordingWhen::Never,
            config::RecordingWhen::Answer => calls::RecordingWhen::Answer,
            config::RecordingWhen::Consent => calls::RecordingWhen::Consent,
            config::RecordingWhen::Rule => calls::RecordingWhen::Rule,
        },
        lines: recording.lines.clone(),
        channels: match recording.channels {
            config::RecordingChannels::Stereo => calls::RecordingChannels::Stereo,
            config::RecordingChannels::Parties => calls::RecordingChannels::Parties,
        },
        whisper: recording.whisper,
        pause: recording.pause,
        consent: recording.consent.as_ref().map(|consent| calls::ConsentPrompt {
            prompt: consent.prompt.as_str().into(),
            yes: consent.yes,
            no: consent.no,
            wait: consent.wait,
        }),
    }
}

fn mailbox(mailbox: &config::Mailbox) -> calls::Mailbox {
    calls::Mailbox {
        greeting: mailbox.greeting.as_deref().map(Arc::from),
        longest: mailbox.longest,
        shortest: mailbox.shortest,
        silence: mailbox.silence,
    }
}

fn trunk(trunk: &config::Trunk) -> calls::Trunk {
    let (host, port) = match &trunk.address {
        Some(Host::Address(address)) => (address.ip().to_string(), Some(address.port())),
        Some(Host::Name(name, port)) => (name.clone(), *port),
        None => (String::new(), None),
    };
    calls::Trunk {
        host,
        port,
        transport: trunk.transport,
        tls_name: trunk.tls_name.clone(),
        allowed: trunk
            .allowed
            .iter()
            .map(|network| calls::Network { address: network.address, prefix: network.prefix })
            .collect(),
        caller_id: match &trunk.caller_id {
            CallerId::Caller => calls::CallerId::PassThrough,
            CallerId::Called => calls::CallerId::Called,
            CallerId::Number(number) => calls::CallerId::Fixed(number.clone()),
            CallerId::Template(template) => calls::CallerId::Template(template.clone()),
            CallerId::Anonymous => calls::CallerId::Anonymous,
        },
        credentials: trunk.auth.as_ref().map(credentials),
        trusted: trunk.trusted,
        nat: nat(trunk.learn),
        srtp: trunk.srtp,
        codecs: trunk.codecs.iter().map(codec).collect(),
        max_calls: trunk.max_calls,
        follows_redirects: trunk.follows_redirects,
        refers: trunk.refers,
        tel: trunk.tel.clone(),
        numbers: calls::Numbers {
            country: trunk.numbers.country.clone(),
            national_prefix: trunk.numbers.national_prefix.clone(),
            international_prefix: trunk.numbers.international_prefix.clone(),
        },
        ping: trunk.ping.clone(),
        register: trunk.register.as_ref().map(|register| calls::TrunkRegistration {
            domain: register.domain.clone(),
            user: register.user.clone(),
            expires: register.expires,
            retry: register.retry,
        }),
        allow_located: trunk.allow_located,
        session_timer: trunk.session_timer.map(session_timer),
        priority: trunk.priority,
        weight: trunk.weight,
        first_response: trunk.first_response,
        limits: calls::TrunkLimits {
            calls: trunk.limits.calls,
            calls_out: trunk.limits.calls_out,
            per_second_in: trunk.limits.per_second_in,
            per_second_out: trunk.limits.per_second_out,
        },
        identity: identity(&trunk.identity),
        gated: trunk.digest.is_some(),
    }
}

fn identity(identity: &config::Identity) -> calls::TrunkIdentity {
    calls::TrunkIdentity {
        domain: identity.domain.clone(),
        format: match identity.format {
            config::NumberFormat::E164 => calls::NumberFormat::E164,
            config::NumberFormat::Digits => calls::NumberFormat::Digits,
            config::NumberFormat::International => calls::NumberFormat::International,
            config::NumberFormat::National => calls::NumberFormat::National,
        },
        request_uri: match identity.request_uri {
            config::RequestUri::Tel => calls::RequestUri::Tel,
            config::RequestUri::Sip => calls::RequestUri::Sip,
        },
        forwarded: match identity.forwarded {
            config::Forwarded::Untold => calls::Forwarded::Untold,
            config::Forwarded::Diversion => calls::Forwarded::Diversion,
            config::Forwarded::HistoryInfo => calls::Forwarded::HistoryInfo,
            config::Forwarded::Both => calls::Forwarded::Both,
        },
        headers_in: identity.headers_in.clone(),
        headers_out: identity.headers_out.clone(),
    }
}

fn gate(trunk: &config::Trunk) -> Option<signaling::Gate> {
    let digest = trunk.digest.as_ref()?;
    Some(signaling::Gate {
        name: trunk.name.clone(),
        networks: networks(trunk).collect(),
        realm: digest.realm.clone().unwrap_or_else(|| "tandem".to_owned()),
        username: digest.username.clone(),
        password: digest.password.clone(),
        digests: trunk.digests,
    })
}

fn networks(trunk: &config::Trunk) -> impl Iterator<Item = signaling::Network> {
    trunk.allowed.iter().filter_map(|network| signaling::Network::new(network.address, network.prefix))
}

fn route(route: &config::Route) -> calls::Route {
    let (ai, bypass) = match &route.answers {
        config::Answers::Ai(profile) => (profile.clone(), Vec::new()),
        config::Answers::Bypass(trunks) => (String::new(), trunks.clone()),
    };
    calls::Route {
        called: match &route.number {
            config::Pattern::Any => "*".to_owned(),
            config::Pattern::Emergency => calls::Route::EMERGENCY.to_owned(),
            config::Pattern::Exactly(text) => text.clone(),
            config::Pattern::StartsWith(text) => format!("{text}*"),
        },
        trunks: route.trunks.clone(),
        line: route.line.clone(),
        ai,
        bypass,
    }
}

fn profile(profile: &config::Profile) -> calls::AiProfile {
    calls::AiProfile {
        uri: profile.uri.clone(),
        proxy: profile.proxy.as_ref().map(ToString::to_string),
        trunks: profile.trunks.clone(),
        pass_headers: profile.pass_headers.clone(),
        headers: profile.headers.clone(),
        credentials: profile.auth.as_ref().map(credentials),
        follows_redirects: profile.follows_redirects,
        redirect_hosts: profile.redirect_hosts.iter().map(redirect_host).collect(),
        answer_timeout: profile.ring_timeout,
        predial: profile.predial,
        dead_after: profile.silence_limit,
        quiet_after: profile.quiet_after,
        on_ai_failure: profile
            .on_ai_failure
            .iter()
            .map(|refuge| match refuge {
                Refuge::Profile(name) => calls::AiFailureStep::Profile(name.clone()),
                Refuge::Destination(name) => calls::AiFailureStep::Destination(name.clone()),
                Refuge::Announce(prompt) => calls::AiFailureStep::Announce(prompt.clone()),
                Refuge::End => calls::AiFailureStep::End,
            })
            .collect(),
        after_human: match &profile.after_human {
            AfterHuman::End => calls::AfterHuman::End,
            AfterHuman::Ai => calls::AfterHuman::Ai,
            AfterHuman::Destination(name) => calls::AfterHuman::Destination(name.clone()),
        },
        nat: nat(profile.learn),
        srtp: profile.srtp,
        codecs: profile.codecs.iter().map(codec).collect(),
        listening: Arc::new(listening(profile)),
    }
}

fn redirect_host(host: &config::RedirectHost) -> calls::RedirectHost {
    match host {
        config::RedirectHost::Name(name) => calls::RedirectHost::Name(name.clone()),
        config::RedirectHost::Network(network) => {
            calls::RedirectHost::Network(calls::Network { address: network.address, prefix: network.prefix })
        }
    }
}

fn listening(profile: &config::Profile) -> policy::Listening {
    policy::Listening {
        scale: [profile.sentiment.scale.0, profile.sentiment.scale.1],
        labels: profile.sentiment.labels.iter().map(|(name, score)| (name.clone(), *score)).collect(),
        match_confidence: profile.match_confidence,
    }
}

fn credentials(auth: &Auth) -> calls::TrunkCredentials {
    calls::TrunkCredentials {
        realm: auth.realm.clone(),
        username: auth.username.clone(),
        password: auth.password.clone(),
    }
}

fn codec(codec: &config::Codec) -> sdp::Codec {
    match codec {
        config::Codec::Pcmu => sdp::Codec::Pcmu,
        config::Codec::Pcma => sdp::Codec::Pcma,
        config::Codec::G722 => sdp::Codec::G722,
        config::Codec::Opus => sdp::Codec::Opus,
        config::Codec::L16At8k => sdp::Codec::L16At8k,
        config::Codec::L16At16k => sdp::Codec::L16At16k,
    }
}

fn nat(learn: bool) -> calls::Nat {
    if learn { calls::Nat::Learn } else { calls::Nat::Sdp }
}
