//! What an operator fixed before the first call: listeners, trunks, routes, AI profiles, media, limits. Read and judged by
//! `crates/tandem`; here it is already true.

use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

/// Everything `calls` needs to know of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// SIP listeners a leg may be dialled from, in order of preference; the first of the peer's transport and address family is
    /// used.
    pub listeners: Vec<signaling::Listener>,
    /// SIP peers by name.
    pub trunks: BTreeMap<String, Trunk>,
    /// Phones that register with us.
    pub agents: crate::Agents,
    /// Called number to line and AI profile; the first that matches.
    pub routes: Vec<crate::Route>,
    /// AI profiles by name.
    pub ai: BTreeMap<String, AiProfile>,
    /// Codecs, telephone-event, hold music, when missing media counts as dead.
    pub media: Media,
    /// Which numbers may be dialled at all.
    pub dialling: crate::Dialling,
    /// What parties who talk may ask for by their keys.
    pub codes: FeatureCodes,
    /// Whether User-to-User (RFC 7433) goes on to the humans that are rung, except through trunks that are not trusted.
    pub user_to_user: bool,
    /// Which calls are recorded, and how.
    pub recording: Recording,
    /// How long an INVITE to a human waits at most for the answer to [`crate::Output::Show`], where the transfer does not say. Zero: it
    /// is not asked for.
    pub context_wait: Duration,
    /// Mailboxes by name.
    pub mailboxes: BTreeMap<String, Mailbox>,
    /// Who may be called back, and how.
    pub callbacks: crate::Callbacks,
    /// How people may be called for whoever asks.
    pub outbound: crate::Outbound,
    /// What bounds every table.
    pub limits: Limits,
}

/// Where callers leave messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The prompt before the beep.
    pub greeting: Option<Arc<str>>,
    /// A message is ended when it is so long.
    pub longest: Duration,
    /// One shorter than this is thrown away.
    pub shortest: Duration,
    /// A message is ended when nothing above -50 dBov was heard for so long.
    pub silence: Duration,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            greeting: None,
            longest: Duration::from_secs(180),
            shortest: Duration::from_secs(2),
            silence: Duration::from_secs(6),
        }
    }
}

/// Which calls are recorded, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// From when on.
    pub when: RecordingWhen,
    /// Lines whose calls are recorded; empty: all.
    pub lines: Vec<String>,
    /// What goes to which channel.
    pub channels: RecordingChannels,
    /// Whether what humans are told before they take a call has a channel of its own; else it is left out.
    pub whisper: bool,
    /// How long a pause lasts that does not say.
    pub pause: Duration,
    /// How the caller is asked, before the AI, with [`RecordingWhen::Consent`]; none: the event alone says it.
    pub consent: Option<ConsentPrompt>,
}

/// How a caller is asked whether they agree to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentPrompt {
    /// What they are asked by.
    pub prompt: Arc<str>,
    /// The key that agrees.
    pub yes: Option<char>,
    /// The key that refuses.
    pub no: Option<char>,
    /// How long they may think after the prompt, where there is a key.
    pub wait: Duration,
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            when: RecordingWhen::default(),
            lines: Vec::new(),
            channels: RecordingChannels::default(),
            whisper: false,
            pause: Duration::from_secs(300),
            consent: None,
        }
    }
}

/// From when on a call is recorded.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordingWhen {
    /// Not at all.
    #[default]
    Never,
    /// From the caller's answer.
    Answer,
    /// From the event that says that the caller agrees.
    Consent,
    /// From where a rule says so.
    Rule,
}

/// What goes to which channel of a recording.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum RecordingChannels {
    /// The caller; and what the caller hears.
    #[default]
    Stereo,
    /// The caller, the AI, humans, and what Tandem plays to the caller.
    Parties,
}

/// A SIP peer that brings and takes calls.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Host calls are sent to. A name is located for each call.
    pub host: String,
    /// Its port, if one is configured; a name without one is located by NAPTR and SRV records (RFC 3263).
    pub port: Option<u16>,
    /// How it is reached, if that is configured; a name without one is located by NAPTR and SRV records.
    pub transport: Option<signaling::Transport>,
    /// The name its certificate shows, where `host` is an address.
    pub tls_name: Option<String>,
    /// Networks its calls come from. Empty: it brings none.
    pub allowed: Vec<Network>,
    /// Sent as From toward it.
    pub caller_id: CallerId,
    /// Digest credentials for requests we originate to it.
    pub credentials: Option<TrunkCredentials>,
    /// Whether call ids and context headers may reach it.
    pub trusted: bool,
    /// Where legs of this trunk take their media's source from.
    pub nat: Nat,
    /// Whether legs of this trunk are encrypted.
    pub srtp: sdp::Srtp,
    /// Codecs offered to it and accepted from it, best first. Empty: those of `Media`.
    pub codecs: Vec<sdp::Codec>,
    /// Calls it may bring at once; 503 beyond.
    pub max_calls: usize,
    /// Starts of the numbers (E.164, `+49`) that `tel:` targets may reach through it; `+` allows all. Empty: none.
    pub tel: Vec<String>,
    /// How it writes numbers.
    pub numbers: Numbers,
    /// OPTIONS ping; none: it is taken to be there.
    pub ping: Option<crate::OptionsPing>,
    /// A registration with it; its credentials are those of `credentials`.
    pub register: Option<crate::TrunkRegistration>,
    /// Where its name leads to may bring calls too: for trunks without networks of their own.
    pub allow_located: bool,
    /// Trunks of a lower number are tried first.
    pub priority: u16,
    /// Among those of one priority, its share; zero: only when no other is left.
    pub weight: u16,
    /// How long it may leave an INVITE without any response before the next trunk is tried, where there is one.
    pub first_response: Duration,
    /// How much it carries.
    pub limits: crate::TrunkLimits,
    /// What it is told of who calls and whom, and what it may pass on.
    pub identity: crate::TrunkIdentity,
    /// It shows a password for each call it brings: its address alone is not enough.
    pub gated: bool,
    /// Whether its redirections (3xx) are followed; a refusal otherwise.
    pub follows_redirects: bool,
    /// Whether it may be asked by REFER to call a caller of its away.
    pub refers: bool,
    /// Its session timer (RFC 4028); none: everybody's.
    pub session_timer: Option<signaling::SessionTimer>,
}

impl Default for Trunk {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: None,
            transport: None,
            tls_name: None,
            allowed: Vec::new(),
            caller_id: CallerId::default(),
            credentials: None,
            trusted: false,
            nat: Nat::default(),
            srtp: sdp::Srtp::Off,
            codecs: Vec::new(),
            max_calls: usize::MAX,
            tel: vec!["+".to_owned()],
            numbers: Numbers::default(),
            ping: None,
            register: None,
            allow_located: false,
            priority: 0,
            weight: 1,
            first_response: Duration::from_secs(3),
            limits: crate::TrunkLimits::default(),
            identity: crate::TrunkIdentity::default(),
            gated: false,
            follows_redirects: false,
            refers: false,
            session_timer: None,
        }
    }
}

impl Trunk {
    /// Whom to find when it is called.
    pub(crate) fn wanted(&self) -> signaling::locate::Wanted {
        let (host, port, transport) = (self.host.clone(), self.port, self.transport);
        signaling::locate::Wanted { host, port, transport, secure: false }
    }
}

/// How a trunk writes numbers that are not E.164.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Country code without `+`.
    pub country: Option<String>,
    /// What stands before a national number, for example `0`.
    pub national_prefix: String,
    /// What stands before an international number, for example `00`.
    pub international_prefix: String,
}

impl Numbers {
    /// The number in E.164 with its `+`, as far as these rules can say; anything else comes back as it was.
    pub fn canonical(&self, written: &str) -> String {
        if written.starts_with('+') || written.is_empty() || !written.bytes().all(|byte| byte.is_ascii_digit()) {
            return written.to_owned();
        }
        let international = Some(self.international_prefix.as_str()).filter(|prefix| !prefix.is_empty());
        if let Some(rest) = international.and_then(|prefix| written.strip_prefix(prefix)) {
            return format!("+{rest}");
        }
        match &self.country {
            Some(country) => match written.strip_prefix(self.national_prefix.as_str()) {
                Some(rest) => format!("+{country}{rest}"),
                None => written.to_owned(),
            },
            None => written.to_owned(),
        }
    }
}

/// Digest credentials of a trunk.
#[derive(Clone)]
pub struct TrunkCredentials {
    /// Answered only for this realm, when given.
    pub realm: Option<String>,
    /// User name.
    pub username: String,
    /// Password; never printed.
    pub password: String,
}

impl core::fmt::Debug for TrunkCredentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TrunkCredentials")
            .field("realm", &self.realm)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// Whose number a leg shows to the peer it rings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CallerId {
    /// The caller's own.
    #[default]
    PassThrough,
    /// One number for every call.
    Fixed(String),
    /// The number the caller dialled.
    Called,
    /// Text with `{caller}`, `{caller_digits}`, `{called}` and `{called_digits}` in it; a withheld caller makes it anonymous.
    Template(String),
    /// None.
    Anonymous,
}

/// An address block, for example `192.0.2.0/24` or `2001:db8::/32`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The block's address.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Network {
    /// Whether `address` lies in the block. An IPv4-mapped IPv6 address is taken as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                u64::from(block.to_bits()) >> shift == u64::from(address.to_bits()) >> shift
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => match 128 - u32::from(self.prefix.min(128)) {
                128 => true,
                shift => block.to_bits() >> shift == address.to_bits() >> shift,
            },
            _ => false,
        }
    }
}

/// Which source of a leg's media is believed (design, section 6).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// The address in the SDP.
    #[default]
    Sdp,
    /// Learn another source after three packets in a row.
    Learn,
}

/// Feature codes by who may use them. None begins as another of the same party ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCodes {
    /// Of the human who has the caller.
    pub human: Vec<FeatureCode>,
    /// Of a caller who talks to the AI or a human.
    pub caller: Vec<FeatureCode>,
    /// The longest pause between two keys of a code.
    pub within: Duration,
}

impl Default for FeatureCodes {
    fn default() -> Self {
        Self { human: Vec::new(), caller: Vec::new(), within: Duration::from_secs(3) }
    }
}

/// Keys, and what they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCode {
    /// 2 to 8 of `0-9*#A-D`.
    pub keys: String,
    /// What it asks for.
    pub act: CodeAct,
}

/// What a feature code asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeAct {
    /// The AI takes the caller again, and is told by whom; the human leaves.
    HandBack,
    /// A transfer to this destination of the rules.
    Transfer(String),
}

/// What is agreed with whose media: which source is believed, and whether it is encrypted.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) nat: Nat,
    pub(crate) srtp: sdp::Srtp,
}

impl Trunk {
    pub(crate) fn terms(&self) -> Terms {
        Terms { nat: self.nat, srtp: self.srtp }
    }
}

impl Config {
    /// On which terms a human is rung by `route`.
    pub(crate) fn terms_of(&self, route: &crate::dial::Route) -> Terms {
        match route.peer.trunk() {
            Some(name) => self.trunks.get(name).map(Trunk::terms).unwrap_or_default(),
            None if route.phone.is_some() => Terms { nat: self.agents.nat, srtp: self.agents.caller.srtp },
            None => Terms { nat: self.media.nat, srtp: self.media.srtp },
        }
    }

    /// On which terms the AI of `profile` is dialled by `route`. No way to it is weaker than what it asks for.
    pub(crate) fn terms_of_ai(&self, profile: &AiProfile, route: &crate::dial::Route) -> Terms {
        let way = route.peer.trunk().and_then(|name| self.trunks.get(name)).map(|trunk| trunk.srtp);
        let srtp = way.max(profile.srtp).unwrap_or(self.media.srtp);
        Terms { nat: profile.nat, srtp }
    }
}

/// An AI voice agent: how it is reached and what happens when it is not there.
#[derive(Clone, Debug)]
pub struct AiProfile {
    /// `sip:` URI it is dialled at.
    pub uri: String,
    /// Next hop instead of the URI's host.
    pub proxy: Option<String>,
    /// Trunks that carry its calls instead, by priority and weight, each failing over to the next.
    pub trunks: Vec<String>,
    /// Headers of the caller's INVITE, let through by their trunk, that its INVITE carries.
    pub pass_headers: Vec<String>,
    /// Headers added to its INVITE, as configured; names start with `X-`.
    pub headers: Vec<(String, String)>,
    /// Digest credentials.
    pub credentials: Option<TrunkCredentials>,
    /// Whether it is called where its redirections (3xx) say it is; else they are refusals.
    pub follows_redirects: bool,
    /// Hosts that its redirections may name beside those that it is called at.
    pub redirect_hosts: Vec<RedirectHost>,
    /// How long it may take to answer.
    pub answer_timeout: Duration,
    /// Whether it is dialled while somebody whom we call still rings, where the request does not say.
    pub predial: bool,
    /// Without RTP for this long it counts as lost.
    pub dead_after: Duration,
    /// Its voice has ended when it has been below -50 dBov for this long.
    pub quiet_after: Duration,
    /// What the caller gets when it cannot be reached or is lost; tried in order, each once per loss.
    pub on_ai_failure: Vec<AiFailureStep>,
    /// Where the caller goes when the human hangs up after the bridge.
    pub after_human: AfterHuman,
    /// Which source of its media is believed.
    pub nat: Nat,
    /// Whether its legs are encrypted. Through a trunk the stricter of both words counts; `None`: the trunk's, or the media's.
    pub srtp: Option<sdp::Srtp>,
    /// Codecs offered to it, best first. Empty: those of `Media`.
    pub codecs: Vec<sdp::Codec>,
    /// How its events are understood.
    pub listening: Arc<policy::Listening>,
}

impl Default for AiProfile {
    fn default() -> Self {
        Self {
            uri: String::new(),
            proxy: None,
            trunks: Vec::new(),
            pass_headers: Vec::new(),
            headers: Vec::new(),
            credentials: None,
            follows_redirects: false,
            redirect_hosts: Vec::new(),
            answer_timeout: Duration::from_secs(10),
            predial: true,
            dead_after: Duration::from_secs(15),
            quiet_after: Duration::from_millis(400),
            on_ai_failure: Vec::new(),
            after_human: AfterHuman::End,
            nat: Nat::default(),
            srtp: None,
            codecs: Vec::new(),
            listening: Arc::default(),
        }
    }
}

/// A host that a redirection may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectHost {
    /// By its name, at any port.
    Name(String),
    /// By its address, at any port.
    Network(Network),
}

impl RedirectHost {
    /// Whether the host of a URI, without brackets, is meant.
    pub(crate) fn is(&self, host: &str) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case(host),
            Self::Network(network) => host.parse().is_ok_and(|address| network.contains(address)),
        }
    }
}

/// One step of a profile's `on_ai_failure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AiFailureStep {
    /// Dial another profile, or the same one again.
    Profile(String),
    /// Ring a destination of the rules.
    Destination(String),
    /// Play a prompt, then end.
    Announce(String),
    /// End the call.
    End,
}

/// What follows when the human hangs up after the bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterHuman {
    /// The call ends.
    #[default]
    End,
    /// The AI takes the caller again.
    Ai,
    /// A destination of the rules: a queue, a survey. When whoever took the caller there hangs up, the call ends.
    Destination(String),
}

impl Media {
    /// The codecs of a peer that may have a list of its own.
    pub(crate) fn codecs_of<'a>(&'a self, own: Option<&'a Vec<sdp::Codec>>) -> &'a [sdp::Codec] {
        own.filter(|own| !own.is_empty()).unwrap_or(&self.codecs)
    }
}

/// Media of every leg.
#[derive(Clone, Debug)]
pub struct Media {
    /// Codecs offered and accepted, best first.
    pub codecs: Vec<sdp::Codec>,
    /// Packet time asked for.
    pub ptime: Duration,
    /// Whether telephone-event is offered and accepted.
    pub telephone_event: bool,
    /// Whether digits of a peer without telephone-event are looked for in its audio, and sent to it as tones.
    pub in_band_digits: bool,
    /// The clip a waiting caller hears; a name of the media library.
    pub hold_music: String,
    /// The announcement before the music when the AI is lost.
    pub ai_lost_announcement: Option<String>,
    /// A caller or human that never sent a packet is dead after this long. Zero: never.
    pub dead_before_first: Duration,
    /// A caller or human that stopped sending is dead after this long. Zero: never.
    pub dead_after: Duration,
    /// A party that holds us is dead after this long. Zero: never.
    pub dead_on_hold: Duration,
    /// Which source of a directly dialled human's media is believed.
    pub nat: Nat,
    /// Whether legs are encrypted of whom nothing else says so: a directly dialled human, an AI of its own URI.
    pub srtp: sdp::Srtp,
    /// How they are encrypted, the best first: offered and accepted.
    pub srtp_suites: Vec<sdp::CryptoSuite>,
    /// Whether RTP and RTCP may share a port.
    pub rtcp_mux: bool,
    /// How machines are told from people, where that is asked for.
    pub detection: media_relay::Detection,
    /// The clips that can be played, by name.
    pub clips: Arc<BTreeSet<String>>,
    /// Whether a leg may go over to another call: all ports live on one worker.
    pub joinable: bool,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            codecs: sdp::Codec::G711.to_vec(),
            ptime: Duration::from_millis(20),
            telephone_event: true,
            in_band_digits: true,
            hold_music: "music/default".to_owned(),
            ai_lost_announcement: None,
            dead_before_first: Duration::from_secs(30),
            dead_after: Duration::from_secs(15),
            dead_on_hold: Duration::from_secs(30 * 60),
            nat: Nat::default(),
            srtp: sdp::Srtp::Off,
            srtp_suites: sdp::CryptoSuite::ALL.to_vec(),
            rtcp_mux: false,
            detection: media_relay::Detection::default(),
            clips: Arc::default(),
            joinable: true,
        }
    }
}

impl Media {
    /// What whoever waits hears when `music` is asked for. A name that nothing has would be silence, which a caller takes for a call that
    /// is dead: then it is the music for all, and where that is not there either, ringing. Where no clip is known, every name is taken.
    pub(crate) fn hold(&self, music: &Arc<str>) -> policy::Hold {
        let known = |name: &str| self.clips.is_empty() || self.clips.contains(name);
        if known(music) {
            policy::Hold::Music(Arc::clone(music))
        } else if known(&self.hold_music) {
            policy::Hold::Music(self.hold_music.as_str().into())
        } else {
            policy::Hold::Ringback
        }
    }
}

/// Bounds. What happens at each is said beside it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at once; 503 with Retry-After beyond.
    pub calls: usize,
    /// A call's length; it is ended with cause `max_duration`. Zero: no limit.
    pub call_duration: Duration,
    /// Ended calls that can still be read by the API; the oldest is forgotten.
    pub ended_calls: usize,
    /// Transfers a call may start by command; 429 beyond. (Rules have their own `max_transfers`.)
    pub transfers_per_call: usize,
    /// Events a call takes; 429 beyond.
    pub events_per_call: usize,
    /// Events in one request; 413 beyond.
    pub events_per_request: usize,
    /// Context keys of a call; 422 beyond.
    pub context_keys: usize,
    /// Bytes of one context value; 422 beyond.
    pub context_value: usize,
    /// Timeline entries kept of a call; the first half stays, later ones are counted only.
    pub timeline: usize,
    /// Decisions kept of a call with their explanations; the oldest goes.
    pub decisions: usize,
    /// Idempotency keys remembered per call; the oldest goes.
    pub idempotency_keys: usize,
    /// Requests waiting for a transfer's outcome per call; 429 beyond.
    pub waiters: usize,
    /// Supervisors of one call at once, those who are being rung included; 429 beyond.
    pub supervisors: usize,
    /// Human legs ringing at once in one transfer; the rest wait for their turn.
    pub ringing_at_once: usize,
    /// A target that has said nothing for so long, not even 100, is left for the next one, if there is one (RFC 3263 section 4.3
    /// with less patience than timer B).
    pub next_target: Duration,
    /// How long a call may take to disappear after its end before what is left is dropped by force.
    pub ending: Duration,
    /// The longest `?wait=`.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: 10_000,
            call_duration: Duration::from_secs(4 * 3600),
            ended_calls: 500,
            transfers_per_call: 50,
            events_per_call: 5_000,
            events_per_request: 100,
            context_keys: 64,
            context_value: 4_096,
            timeline: 256,
            decisions: 32,
            idempotency_keys: 64,
            waiters: 16,
            supervisors: 3,
            ringing_at_once: 8,
            next_target: Duration::from_millis(1_800),
            ending: Duration::from_secs(40),
            wait: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let net = |address: &str, prefix| Network { address: address.parse().unwrap(), prefix };
        assert!(net("192.0.2.0", 24).contains("192.0.2.255".parse().unwrap()));
        assert!(!net("192.0.2.0", 24).contains("192.0.3.0".parse().unwrap()));
        assert!(net("192.0.2.0", 24).contains("::ffff:192.0.2.9".parse().unwrap()));
        assert!(net("0.0.0.0", 0).contains("203.0.113.1".parse().unwrap()));
        assert!(!net("0.0.0.0", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(net("::", 0).contains("2001:db8::1".parse().unwrap()));
        assert!(net("2001:db8::", 32).contains("2001:db8:1::1".parse().unwrap()));
        assert!(!net("192.0.2.1", 32).contains("192.0.2.2".parse().unwrap()));
    }

    #[test]
    fn a_trunks_numbers_become_e164() {
        let german =
            Numbers { country: Some("49".into()), national_prefix: "0".into(), international_prefix: "00".into() };
        assert_eq!(german.canonical("03055512345"), "+493055512345");
        assert_eq!(german.canonical("0015550199"), "+15550199");
        assert_eq!(german.canonical("+15550199"), "+15550199");
        assert_eq!(german.canonical("anna"), "anna");
        assert_eq!(Numbers::default().canonical("03055512345"), "03055512345");
    }
}
