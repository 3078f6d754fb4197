//! A configuration that cannot be wrong: what [`super::load`] answers. docs/configuration.md describes every key.

use super::{
    problem::Warning,
    session_timer::SessionTimer,
    values::{Host, Network},
};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// Everything `tandem.yaml` says.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The SIP side.
    pub sip: Sip,
    /// Who may bring calls and takes them, in the order written.
    pub trunks: Vec<Trunk>,
    /// Phones that register with us.
    pub agents: Agents,
    /// How those are treated whom nobody knows.
    pub abuse: Abuse,
    /// Section `dialling`.
    pub dialling: calls::Dialling,
    /// Section `feature_codes`.
    pub codes: FeatureCodes,
    /// Which called number is which line; the first that matches wins.
    pub routes: Vec<Route>,
    /// AI profiles.
    pub profiles: Vec<Profile>,
    /// Ports, codecs, prompts.
    pub media: super::Media,
    /// `rules.yaml`; files of the folder `rules.d` beside it follow by byte order.
    pub rules: PathBuf,
    /// The control socket.
    pub control: Control,
    /// Where Prometheus may ask for metrics over TCP, if anywhere.
    pub metrics: Option<SocketAddr>,
    /// The record of calls.
    pub cdr: Cdr,
    /// Recordings.
    pub recording: super::recording::Recording,
    /// Messages that callers leave.
    pub voicemail: super::voicemail::Voicemail,
    /// What outlives the daemon.
    pub ledger: super::keeping::Ledger,
    /// Who may be called back.
    pub callbacks: calls::Callbacks,
    /// Whom Tandem calls for whoever asks.
    pub outbound: calls::Outbound,
    /// Logs.
    pub logging: Logging,
    /// Bounds.
    pub limits: Limits,
    /// What may not have been meant.
    pub warnings: Vec<Warning>,
    /// Where it names what lies in other files.
    pub spots: super::Spots,
}

/// Section `sip`.
#[derive(Clone, Debug)]
pub struct Sip {
    /// Sockets; at least one.
    pub listeners: Vec<Listener>,
    /// What peers are told instead of a listener's address, where the listener has none of its own.
    pub external_address: Option<IpAddr>,
    /// Whose certificate we show over TLS, and whom we believe.
    pub tls: Option<signaling::io::TlsFiles>,
    /// The mark of what is sent, 0 to 63.
    pub dscp: u8,
    /// What strangers get.
    pub unknown_sources: Strangers,
    /// User-Agent and Server.
    pub user_agent: String,
    /// Whether User-to-User goes on to the humans that are rung.
    pub user_to_user: bool,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// RFC 3261 T2.
    pub t2: Duration,
    /// RFC 3261 T4.
    pub t4: Duration,
    /// RFC 4028.
    pub session_timer: SessionTimer,
    /// A target that says nothing for so long is left for the next one, if there is one.
    pub next_target: Duration,
    /// How names are located.
    pub dns: Dns,
    /// How long connections may take, and stay.
    pub streams: super::Streams,
}

/// Section `sip.dns`.
#[derive(Clone, Debug)]
pub struct Dns {
    /// The servers asked; empty: those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long locating a server may take.
    pub timeout: Duration,
    /// The shortest time an answer is remembered.
    pub ttl_min: Duration,
    /// The longest.
    pub ttl_max: Duration,
    /// How long the last good answer stands in for one that cannot be had.
    pub last_good: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            ttl_min: Duration::from_secs(5),
            ttl_max: Duration::from_secs(3_600),
            last_good: Duration::from_secs(86_400),
        }
    }
}

/// One SIP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What it carries.
    pub transport: signaling::Transport,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What peers are told instead of its address.
    pub external: Option<IpAddr>,
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.transport, self.address)
    }
}

/// Section `feature_codes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureCodes {
    /// Of the human who has the caller.
    pub human: Vec<FeatureCode>,
    /// Of a caller who talks.
    pub caller: Vec<FeatureCode>,
    /// The longest pause between two keys of a code.
    pub within: Duration,
}

pub use calls::{CodeAct, FeatureCode};

/// What a source that belongs to no trunk gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strangers {
    /// Nothing.
    Silent,
    /// 403.
    Forbid,
}

/// One entry of `trunks`.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Where calls out are sent.
    pub address: Option<Host>,
    /// How it is reached.
    pub transport: Option<signaling::Transport>,
    /// What its certificate shows, where its address is no name.
    pub tls_name: Option<String>,
    /// Sources that may bring calls.
    pub allowed: Vec<Network>,
    /// For its challenges.
    pub auth: Option<Auth>,
    /// Whether it may see and set identity and context.
    pub trusted: bool,
    /// The From of calls out.
    pub caller_id: CallerId,
    /// Starts of the E.164 numbers that `tel:` targets may reach through this trunk.
    pub tel: Vec<String>,
    /// How numbers are written on this trunk.
    pub numbers: Numbers,
    /// Calls it may bring at once.
    pub max_calls: usize,
    /// Whether its media's source is learned from its packets.
    pub learn: bool,
    /// Whether its media is encrypted.
    pub srtp: sdp::Srtp,
    /// Its own codecs, best first; empty: those of `media`.
    pub codecs: Vec<Codec>,
    /// Whether its 3xx are followed.
    pub follows_redirects: bool,
    /// Whether it may be asked by REFER to call its callers away.
    pub refers: bool,
    /// Its own session timers.
    pub session_timer: Option<SessionTimer>,
    /// OPTIONS ping, if it is asked.
    pub ping: Option<calls::OptionsPing>,
    /// A registration, if there is one.
    pub register: Option<Register>,
    /// Whether the address that its name leads to may bring calls.
    pub allow_located: bool,
    /// How much it carries.
    pub limits: TrunkLimits,
    /// Lower numbers are tried first.
    pub priority: u16,
    /// Its share among those of one priority.
    pub weight: u16,
    /// How long it may leave an INVITE without any response where another trunk could take it.
    pub first_response: Duration,
    /// How identities, numbers and headers cross it.
    pub identity: Identity,
    /// What it shows for each call it brings.
    pub digest: Option<Auth>,
    /// Which digests it is asked for.
    pub digests: signaling::Digests,
}

/// How identities, numbers and headers cross a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The domain of the addresses we write to it.
    pub domain: Option<String>,
    /// How it is written numbers.
    pub format: NumberFormat,
    /// What a number is dialled as.
    pub request_uri: RequestUri,
    /// How it is told that a call was handed on.
    pub forwarded: Forwarded,
    /// Headers of calls it brings that may be passed on.
    pub headers_in: Vec<String>,
    /// Of those, the ones that calls to it carry.
    pub headers_out: Vec<String>,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFormat {
    /// `+49301234567`.
    E164,
    /// `49301234567`.
    Digits,
    /// `0049301234567`.
    International,
    /// `0301234567` at home, else international.
    National,
}

/// What a number is dialled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestUri {
    /// `tel:`.
    Tel,
    /// `sip:` with `user=phone`.
    Sip,
}

/// How a trunk is told that a call was handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Not at all.
    Untold,
    /// RFC 5806.
    Diversion,
    /// RFC 7044.
    HistoryInfo,
    /// Both.
    Both,
}

/// A registration with a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The registrar's domain.
    pub domain: String,
    /// The user of the address-of-record and of the Contact.
    pub user: String,
    /// How long it is asked for.
    pub expires: Duration,
    /// How long to wait after a first failure.
    pub retry: Duration,
}

/// How much a trunk carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Calls in both directions at once.
    pub calls: usize,
    /// Calls to it at once.
    pub calls_out: usize,
    /// New calls from it a second; 0: no limit.
    pub per_second_in: u32,
    /// New calls to it a second; 0: no limit.
    pub per_second_out: u32,
}

/// Digest credentials.
#[derive(Clone)]
pub struct Auth {
    /// User name.
    pub username: String,
    /// Password, from the file or from `password_file`.
    pub password: String,
    /// Only challenges of this realm are answered, if named.
    pub realm: Option<String>,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Auth({}, …)", self.username)
    }
}

/// The identity of calls out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerId {
    /// The caller's own number.
    Caller,
    /// The number the caller dialled.
    Called,
    /// Always this one.
    Number(String),
    /// Text with numbers in it.
    Template(String),
    /// None.
    Anonymous,
}

/// How a trunk writes numbers that are not E.164.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Country code without `+`.
    pub country: Option<String>,
    /// What stands before a national number, e.g. `0`.
    pub national_prefix: String,
    /// What stands before an international number, e.g. `00`.
    pub international_prefix: String,
}

/// Section `agents`.
#[derive(Clone, Debug)]
pub struct Agents {
    /// Hosts of their addresses, in lower case.
    pub domains: Vec<String>,
    /// Of the challenges.
    pub realm: String,
    /// What their challenges offer.
    pub digests: signaling::Digests,
    /// How long a nonce opens.
    pub nonce_lifetime: Duration,
    /// The shortest registration.
    pub expires_min: Duration,
    /// The longest registration.
    pub expires_max: Duration,
    /// Where a phone's requests are sent.
    pub contact: Reach,
    /// Whether their media's source is learned from their packets.
    pub learn: bool,
    /// Whether their media is encrypted.
    pub srtp: sdp::Srtp,
    /// Calls that all of them together may bring at once.
    pub max_calls: usize,
    /// Who may register; nobody when empty.
    pub accounts: Vec<Account>,
    /// Which other system is asked how they stand, if one is.
    pub asked: Option<super::AskedElsewhere>,
    /// Who can be given callers: the accounts, then those who are dialled at an address of their own.
    pub people: Vec<(String, calls::AgentConfig)>,
}

/// One entry of `agents.accounts`.
#[derive(Clone)]
pub struct Account {
    /// The user of its address, and of its digest.
    pub name: String,
    /// Its password, from the file or from `password_file`.
    pub password: String,
    /// Phones at once.
    pub max_contacts: usize,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({}, …)", self.name)
    }
}

/// Where the requests to a registered phone are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To its Contact, or where it came from when that is another address.
    Auto,
    /// To its Contact.
    Contact,
    /// To where it came from.
    Source,
}

/// Section `abuse`.
#[derive(Clone, Debug)]
pub struct Abuse {
    /// Requests a second of one unknown source that are looked at.
    pub requests_per_second: u32,
    /// Failed authentications that ban.
    pub failures: u32,
    /// Requests of an unknown source, or garbage, that ban.
    pub strangers: u32,
    /// How long offences are remembered.
    pub window: Duration,
    /// How long a ban lasts; zero bans nobody.
    pub ban: Duration,
    /// Sources that are remembered.
    pub sources: usize,
}

/// One entry of `routes`.
#[derive(Clone, Debug)]
pub struct Route {
    /// What the called user must be.
    pub number: Pattern,
    /// Only calls of these trunks; empty: all.
    pub trunks: Vec<String>,
    /// The line this number stands for.
    pub line: String,
    /// Who answers.
    pub answers: Answers,
}

/// Who answers the calls of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// An AI profile.
    Ai(String),
    /// Whoever these trunks reach, tried in this order.
    Bypass(Vec<String>),
}

/// What a called user is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Everything.
    Any,
    /// This user or number.
    Exactly(String),
    /// Everything that starts so.
    StartsWith(String),
    /// Numbers that reach help.
    Emergency,
}

/// One AI profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Where it is called.
    pub uri: String,
    /// Where its INVITE is sent instead of the URI's host.
    pub proxy: Option<Host>,
    /// Trunks that carry its calls instead.
    pub trunks: Vec<String>,
    /// Headers of the caller's INVITE that its own carries.
    pub pass_headers: Vec<String>,
    /// For its challenges.
    pub auth: Option<Auth>,
    /// Headers of our own on its INVITE.
    pub headers: Vec<(String, String)>,
    /// Whether its redirections are followed.
    pub follows_redirects: bool,
    /// Hosts that they may name beside its own.
    pub redirect_hosts: Vec<RedirectHost>,
    /// How long it may ring.
    pub ring_timeout: Duration,
    /// Whether it is dialled while somebody whom Tandem calls still rings.
    pub predial: bool,
    /// How long its audio may be missing before it counts as lost.
    pub silence_limit: Duration,
    /// Its voice has ended when it was below -50 dBov for this long.
    pub quiet_after: Duration,
    /// Whether its media's source is learned from its packets.
    pub learn: bool,
    /// Whether its media is encrypted, where it says so itself.
    pub srtp: Option<sdp::Srtp>,
    /// Its own codecs, best first; empty: those of `media`.
    pub codecs: Vec<Codec>,
    /// How its sentiment scores are read.
    pub sentiment: Sentiment,
    /// From which confidence an intent counts as understood.
    pub match_confidence: f64,
    /// Where the caller goes when it cannot be reached or is lost; the first that works.
    pub on_ai_failure: Vec<Refuge>,
    /// What happens when the human hangs up.
    pub after_human: AfterHuman,
}

/// A host that a redirection may name, at any port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectHost {
    /// A name.
    Name(String),
    /// An address, or a block of them.
    Network(Network),
}

/// Another scale of sentiment.
#[derive(Clone, Debug)]
pub struct Sentiment {
    /// The lowest and the highest score it posts; mapped to -1 and 1.
    pub scale: (f64, f64),
    /// Scores of labels, on the scale from -1 to 1.
    pub labels: Vec<(String, f64)>,
}

/// Where a caller goes without its AI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refuge {
    /// Another AI profile.
    Profile(String),
    /// A destination of the rules.
    Destination(String),
    /// A prompt, then the end.
    Announce(String),
    /// The call ends.
    End,
}

/// What follows a human's hang-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterHuman {
    /// The call ends.
    End,
    /// The AI takes the caller again.
    Ai,
    /// A destination of the rules takes them.
    Destination(String),
}

/// A codec by its name in a list of `codecs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s.
    G722,
    /// Opus, wideband.
    Opus,
    /// Linear PCM at 8 kHz.
    L16At8k,
    /// Linear PCM at 16 kHz.
    L16At16k,
}

/// Section `control`.
#[derive(Clone, Debug)]
pub struct Control {
    /// The unix socket.
    pub socket: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its group, when it is not the process's own.
    pub group: Option<String>,
}

/// Section `cdr`.
#[derive(Clone, Debug)]
pub struct Cdr {
    /// One JSON line a call.
    pub path: PathBuf,
    /// A file of this size is put aside, in bytes.
    pub rotate_size: u64,
    /// How many are kept beside the current one.
    pub keep: u32,
}

/// Section `logging`.
#[derive(Clone, Debug)]
pub struct Logging {
    /// How a line looks.
    pub format: Format,
    /// The least severe level that is written.
    pub level: tracing::Level,
    /// Whether people's numbers and URIs are hidden.
    pub redact: bool,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Section `limits`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Calls at once; more get 503 with Retry-After.
    pub calls: usize,
    /// New calls a second.
    pub calls_per_second: u32,
    /// SIP transactions at once.
    pub transactions: usize,
    /// SIP dialogs at once.
    pub dialogs: usize,
    /// Connections of SIP at once.
    pub connections: usize,
    /// Connections of SIP from one source at once.
    pub connections_per_source: usize,
    /// TLS handshakes of others with us at once.
    pub tls_handshakes: usize,
    /// Of those, from one source.
    pub tls_handshakes_per_source: usize,
    /// Supervisors of one call at once.
    pub supervisors: usize,
    /// How long a call may last.
    pub call_duration: Duration,
    /// How long running calls get at SIGTERM before they are ended.
    pub shutdown: Duration,
}
