//! Every metric of Tandem: name, help text and labels in one place, and their text exposition.
//!
//! [`Metrics`] is one plain struct with a field a metric. The rooms count for themselves or through it; the daemon
//! renders it with [`Metrics::encode`]. Counting is cheap (an atomic, or a short lookup for a labelled series), never
//! fails and never grows without a bound: each label has either a fixed vocabulary or a largest number of distinct
//! values, and whatever lies beyond is counted under `other`.
#![forbid(unsafe_code)]

mod family;
mod labels;
mod process;
mod sip;

pub use family::{Counter, Counters, Description, Gauge, Gauges, Histogram, Histograms, Kind};
pub use labels::OTHER;
pub use process::Process;
pub use sip::Direction;

use family::Declarations;
use labels::{fixed, names};

/// All metrics of one daemon. Share it by `Arc`; every method takes `&self`.
///
/// Values of several labels are given in the order in which a field's documentation names them.
#[derive(Debug)]
pub struct Metrics {
    declarations: Declarations,

    /// Calls up now, by `state`.
    pub calls_active: Gauges<1>,
    /// Ended calls, by `trunk` and `outcome`.
    pub calls_total: Counters<2>,
    /// From the caller's INVITE to the 200 sent for it.
    pub call_setup_seconds: Histogram,
    /// Events that were taken in, by `type`.
    pub events_total: Counters<1>,

    /// What one evaluation of the rules costs.
    pub policy_evaluation_seconds: Histogram,
    /// Rules that acted, by `rule` and `shadow` (`true` when it was only recorded).
    pub rule_matches_total: Counters<2>,
    /// Conditions that could not be computed, by `rule`.
    pub rule_errors_total: Counters<1>,
    /// Attempts to load rules, by `outcome` (`ok`, `refused`).
    pub reloads_total: Counters<1>,

    /// Ended transfers, by `mode`, `destination`, `outcome` and `cause` (empty when there was none).
    pub transfers_total: Counters<4>,
    /// How long transfers take, by `mode` and `phase`.
    pub transfer_duration_seconds: Histograms<2>,
    /// Agents, by `state`.
    pub agents: Gauges<1>,
    /// Callers who wait for an agent, by `queue`.
    pub queue_length: Gauges<1>,
    /// Callers to be called back, by `state`.
    pub callbacks: Gauges<1>,
    /// How long callers waited for an agent, by `queue` and `outcome`.
    pub queue_wait_seconds: Histograms<2>,
    /// Supervisors of calls, by the `mode` they were asked for and `outcome` (`joined`, or why not).
    pub supervisors_total: Counters<2>,
    /// Ended calls that were placed for whoever asked, by `campaign` (empty: none) and `outcome` (`answered`, why they did not answer,
    /// `ai_lost`, `cancelled`).
    pub outbound_calls_total: Counters<2>,
    /// Calls that were asked for and not placed, by `campaign` (empty: none) and `reason`.
    pub outbound_refused_total: Counters<2>,
    /// Answers of which it was found out whether a machine gave them, by `leg` and `result`.
    pub amd_results_total: Counters<2>,
    /// The longest silence a caller was sent from the decision until one second after the bridge.
    pub handoff_silence_seconds: Histogram,

    /// SIP messages, by `method` (of a response: that of its CSeq), `direction` and `code` (empty for a request).
    /// Use [`Metrics::sip_message`] or [`Metrics::sip_messages_are`].
    pub(crate) sip_messages_total: Counters<3>,
    /// SIP messages sent or received again.
    pub sip_retransmissions_total: Counter,
    /// Transactions that are not terminated yet.
    pub sip_transactions_active: Gauge,
    /// Dialogs, early ones included.
    pub sip_dialogs_active: Gauge,
    /// Connections of SIP over TCP and TLS, those that are being opened included.
    pub sip_connections_active: Gauge,
    /// TLS handshakes of others with us.
    pub sip_tls_handshakes_active: Gauge,
    /// Connections of SIP that did not go well, by `reason` (`turned_away`, `failed`, `idle`, `slow`, `garbage`).
    pub sip_connections_closed_total: Counters<1>,
    /// Armed timers of signaling and calls.
    pub timers_active: Gauge,
    /// Contacts of agents' phones that are registered.
    pub sip_registered_contacts: Gauge,
    /// REGISTER requests that were granted.
    pub sip_registrations_total: Counter,
    /// Challenges (401, 407) that were sent.
    pub sip_challenges_total: Counter,
    /// Sources that are banned now.
    pub sip_banned_sources: Gauge,
    /// What nobody with a right to be there does, by `reason`.
    pub sip_abuse_total: Counters<1>,
    /// Requests that were dropped unheard, by `reason`.
    pub sip_dropped_total: Counters<1>,
    /// Whether a `trunk` answers (1) or not (0).
    pub trunk_up: Gauges<1>,
    /// Whether a `trunk` asked to be left alone (1) or not (0).
    pub trunk_resting: Gauges<1>,
    /// Next hops that asked to be left alone.
    pub sip_next_hops_resting: Gauge,
    /// INVITEs that were not sent to them.
    pub sip_invites_spared_total: Counter,
    /// Calls refused because the daemon was full.
    pub overload_rejections_total: Counter,

    /// RTP packets, by `direction`.
    pub rtp_packets_total: Counters<1>,
    /// RTP packets that were sent to us and never came.
    pub rtp_lost_total: Counter,
    /// Datagrams at media ports that were not forwarded, by `reason`.
    pub rtp_dropped_total: Counters<1>,
    /// Interarrival jitter (RFC 3550 section 6.4.1) of received streams, one observation a leg.
    pub rtp_jitter_seconds: Histogram,
    /// Round trips to peers by RTCP, one observation a leg.
    pub rtp_round_trip_seconds: Histogram,
    /// Mean opinion scores by the E-model (1 to 4.41), one observation a leg and `direction`.
    pub rtp_mos: Histograms<1>,
    /// Legs with audio one way only, by the `direction` that is missing.
    pub one_way_audio_total: Counters<1>,
    /// Ticks of media workers that came more than a packet's length late.
    pub media_late_ticks_total: Counter,
    /// Media ports open now.
    pub ports_in_use: Gauge,

    /// Recordings that grow now.
    pub recordings_active: Gauge,
    /// Whether the ledger can be written: 1, or 0.
    pub ledger_up: Gauge,
    /// Records that the ledger has written, by `kind`.
    pub ledger_written_total: Counters<1>,
    /// Records that the ledger has lost, by `kind`.
    pub ledger_lost_total: Counters<1>,
    /// Bytes of audio written to recordings.
    pub recording_bytes_total: Counter,
    /// Times the disk refused a recording something: alert on any.
    pub recording_errors_total: Counter,
    /// Packets' audio that is missing in recordings that ended.
    pub recording_lost_frames_total: Counter,

    /// Attempts to upload a recording, by `outcome`.
    pub uploads_total: Counters<1>,
    /// Bytes of recordings that were uploaded.
    pub upload_bytes_total: Counter,
    /// Recordings that wait to be uploaded, or are under way.
    pub uploads_waiting: Gauge,
    /// How long the oldest of them has waited.
    pub upload_oldest_seconds: Gauge,

    /// Requests of the control socket, by `method`, `route` (the template) and `status`.
    pub control_requests_total: Counters<3>,
    /// Readers of `/v1/events` connected now.
    pub event_readers_active: Gauge,
    /// Readers of `/v1/events` that were dropped because they read too slowly.
    pub event_readers_dropped_total: Counter,

    build_info: Gauges<1>,
    process: process::Families,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Every metric at zero.
    pub fn new() -> Self {
        let mut d = Declarations::new();
        Self {
            calls_active: d.gauges("tandem_calls_active", "Calls up now, by state.", [names("state", 32)]),
            calls_total: d.counters(
                "tandem_calls_total",
                "Calls that have ended, by the trunk that brought them and how they ended.",
                [names("trunk", 64), names("outcome", 32)],
            ),
            call_setup_seconds: d.histogram(
                "tandem_call_setup_seconds",
                "Time from a caller's INVITE to its 200.",
                &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            ),
            events_total: d.counters(
                "tandem_events_total",
                "Events about calls that were taken in, by type.",
                [names("type", 48)],
            ),
            policy_evaluation_seconds: d.histogram(
                "tandem_policy_evaluation_seconds",
                "Time one posted event took to be taken in and judged by the rules.",
                &[5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 0.025],
            ),
            rule_matches_total: d.counters(
                "tandem_rule_matches_total",
                "Rules that acted, or would have acted (shadow).",
                [names("rule", 256), fixed("shadow", &["false", "true"])],
            ),
            rule_errors_total: d.counters(
                "tandem_rule_errors_total",
                "Conditions of rules that could not be computed.",
                [names("rule", 256)],
            ),
            reloads_total: d.counters(
                "tandem_reloads_total",
                "Attempts to load the rules; a refused file leaves the old rules in force.",
                [fixed("outcome", &["ok", "refused"])],
            ),
            transfers_total: d.counters(
                "tandem_transfers_total",
                "Transfers that have ended; a destination given as a URI counts as uri.",
                [
                    fixed("mode", &["cold", "warm"]),
                    names("destination", 128),
                    names("outcome", 16),
                    names("cause", 24),
                ],
            ),
            transfer_duration_seconds: d.histograms(
                "tandem_transfer_duration_seconds",
                "Time transfers spent, by phase.",
                [fixed("mode", &["cold", "warm"]), names("phase", 16)],
                &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0],
            ),
            agents: d.gauges("tandem_agents", "Agents, by how they stand.", [names("state", 16)]),
            callbacks: d.gauges("tandem_callbacks", "Callers to be called back, by how far it is.", [names("state", 4)]),
            queue_length: d.gauges(
                "tandem_queue_length",
                "Callers who wait for an agent now, by queue.",
                [names("queue", 128)],
            ),
            queue_wait_seconds: d.histograms(
                "tandem_queue_wait_seconds",
                "Time callers waited for an agent, by queue and how it ended: an agent took them, they gave up, they had waited long enough.",
                [names("queue", 128), fixed("outcome", &["abandoned", "cancelled", "connected", "overflow"])],
                &[0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0],
            ),
            supervisors_total: d.counters(
                "tandem_supervisors_total",
                "Supervisors who were asked to join a call, by the mode they were asked for and what came of it: joined, or why not.",
                [fixed("mode", &["barge", "listen", "whisper"]), names("outcome", 16)],
            ),
            outbound_calls_total: d.counters(
                "tandem_outbound_calls_total",
                "Ended calls that were placed for whoever asked, by campaign and what came of them.",
                [names("campaign", 128), names("outcome", 16)],
            ),
            outbound_refused_total: d.counters(
                "tandem_outbound_refused_total",
                "Calls that were asked for and not placed, by campaign and why: outside its hours, too many at once or too fast, every trunk or the daemon full, or not as it should be asked for.",
                [
                    names("campaign", 128),
                    fixed("reason", &["at_once", "calls", "closed", "invalid", "rate", "trunks"]),
                ],
            ),
            amd_results_total: d.counters(
                "tandem_amd_results_total",
                "Answers that were listened to for a machine, by whose leg it is and what was found out.",
                [fixed("leg", &["caller", "human"]), fixed("result", &["human", "machine", "unknown"])],
            ),
            handoff_silence_seconds: d.histogram(
                "tandem_handoff_silence_seconds",
                "Longest time a caller was sent nothing, or less than -50 dBov, from the decision until one second after the bridge.",
                &[0.02, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0],
            ),
            sip_messages_total: d.counters(
                "tandem_sip_messages_total",
                "SIP messages; the method of a response is that of its CSeq, the code of a request is empty.",
                [fixed("method", sip::METHODS), fixed("direction", Direction::NAMES), fixed("code", sip::CODES)],
            ),
            sip_retransmissions_total: d.counter(
                "tandem_sip_retransmissions_total",
                "SIP messages that were sent again, or came again.",
            ),
            sip_transactions_active: d.gauge("tandem_sip_transactions_active", "SIP transactions not yet terminated."),
            sip_dialogs_active: d.gauge("tandem_sip_dialogs_active", "SIP dialogs, early ones included."),
            sip_connections_active: d.gauge(
                "tandem_sip_connections_active",
                "Connections of SIP over TCP and TLS, those being opened included.",
            ),
            sip_tls_handshakes_active: d.gauge(
                "tandem_sip_tls_handshakes_active",
                "TLS handshakes of others with us that are under way.",
            ),
            sip_connections_closed_total: d.counters(
                "tandem_sip_connections_closed_total",
                "Connections of SIP that did not go well, by reason.",
                [names("reason", 16)],
            ),
            timers_active: d.gauge("tandem_timers_active", "Armed timers of signaling and calls."),
            sip_registered_contacts: d.gauge(
                "tandem_sip_registered_contacts",
                "Contacts of agents' phones that are registered.",
            ),
            sip_registrations_total: d.counter(
                "tandem_sip_registrations_total",
                "REGISTER requests that were granted, refreshes included.",
            ),
            sip_challenges_total: d.counter("tandem_sip_challenges_total", "Digest challenges that were sent."),
            sip_banned_sources: d.gauge("tandem_sip_banned_sources", "Sources that are banned now."),
            sip_abuse_total: d.counters(
                "tandem_sip_abuse_total",
                "Wrong passwords, requests of unknown sources, and datagrams that are no SIP.",
                [fixed("reason", &["failed_authentication", "garbage", "unknown_source"])],
            ),
            sip_dropped_total: d.counters(
                "tandem_sip_dropped_total",
                "Requests that were dropped unheard, because their source is banned or sends too many.",
                [fixed("reason", &["banned", "rate"])],
            ),
            trunk_up: d.gauges("tandem_trunk_up", "Whether a trunk answers (1) or not (0).", [names("trunk", 64)]),
            trunk_resting: d.gauges(
                "tandem_trunk_resting",
                "Whether a trunk asked to be left alone (503 with Retry-After; 1) or not (0).",
                [names("trunk", 64)],
            ),
            sip_next_hops_resting: d.gauge(
                "tandem_sip_next_hops_resting",
                "Next hops of trunks, AIs and phones that asked to be left alone (503 with Retry-After).",
            ),
            sip_invites_spared_total: d.counter(
                "tandem_sip_invites_spared_total",
                "INVITEs that were not sent because their next hop had asked to be left alone.",
            ),
            overload_rejections_total: d.counter(
                "tandem_overload_rejections_total",
                "Calls refused because the daemon was full.",
            ),
            rtp_packets_total: d.counters(
                "tandem_rtp_packets_total",
                "RTP packets received and sent.",
                [fixed("direction", Direction::NAMES)],
            ),
            rtp_lost_total: d.counter("tandem_rtp_lost_total", "RTP packets that peers sent and that never came."),
            rtp_dropped_total: d.counters(
                "tandem_rtp_dropped_total",
                "Datagrams at media ports that were not forwarded: not from the peer, no RTP, or with a wrong SRTP tag.",
                [fixed("reason", &["foreign", "malformed", "unauthentic"])],
            ),
            rtp_jitter_seconds: d.histogram(
                "tandem_rtp_jitter_seconds",
                "Interarrival jitter of received RTP streams, one observation a leg at its end.",
                &[0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25],
            ),
            rtp_round_trip_seconds: d.histogram(
                "tandem_rtp_round_trip_seconds",
                "Round trips to peers by RTCP, one observation a leg at its end.",
                &[0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0],
            ),
            rtp_mos: d.histograms(
                "tandem_rtp_mos",
                "Mean opinion scores by the E-model (1 to 4.41), one observation a leg at its end: of what came in, and of what the peer was sent.",
                [fixed("direction", Direction::NAMES)],
                &[1.5, 2.0, 2.5, 3.1, 3.6, 4.0, 4.2, 4.3],
            ),
            one_way_audio_total: d.counters(
                "tandem_one_way_audio_total",
                "Legs with audio one way only, by the direction that is missing: alert on any.",
                [fixed("direction", Direction::NAMES)],
            ),
            media_late_ticks_total: d.counter(
                "tandem_media_late_ticks_total",
                "Ticks of media workers that came more than a packet's length late.",
            ),
            ports_in_use: d.gauge("tandem_ports_in_use", "Media ports open now."),
            recordings_active: d.gauge("tandem_recordings_active", "Recordings that grow now."),
            ledger_up: d.gauge("tandem_ledger_up", "Whether the ledger can be written: 1, or 0 and calls go on without it."),
            ledger_written_total: d.counters(
                "tandem_ledger_written_total",
                "Records that the ledger has written.",
                [names("kind", 8)],
            ),
            ledger_lost_total: d.counters(
                "tandem_ledger_lost_total",
                "Records that the ledger has lost: alert on any.",
                [names("kind", 8)],
            ),
            recording_bytes_total: d
                .counter("tandem_recording_bytes_total", "Bytes of audio written to recordings."),
            recording_errors_total: d.counter(
                "tandem_recording_errors_total",
                "Times the disk refused a recording something: alert on any.",
            ),
            recording_lost_frames_total: d.counter(
                "tandem_recording_lost_frames_total",
                "Packets' audio that is missing in recordings that ended.",
            ),
            uploads_total: d.counters(
                "tandem_uploads_total",
                "Attempts to upload a recording.",
                [fixed("outcome", &["done", "failed"])],
            ),
            upload_bytes_total: d
                .counter("tandem_upload_bytes_total", "Bytes of recordings that have arrived where they are uploaded to."),
            uploads_waiting: d
                .gauge("tandem_uploads_waiting", "Recordings that wait to be uploaded, or are under way."),
            upload_oldest_seconds: d.gauge(
                "tandem_upload_oldest_seconds",
                "How long the recording that has waited for its upload for longest has waited: alert where it is long.",
            ),
            control_requests_total: d.counters(
                "tandem_control_requests_total",
                "Requests of the control socket, by method, route and status.",
                [
                    fixed("method", &["DELETE", "GET", "HEAD", "PATCH", "POST"]),
                    names("route", 64),
                    names("status", 32),
                ],
            ),
            event_readers_active: d.gauge("tandem_event_readers_active", "Readers of /v1/events connected now."),
            event_readers_dropped_total: d.counter(
                "tandem_event_readers_dropped_total",
                "Readers of /v1/events dropped because they read too slowly.",
            ),
            build_info: d.gauges("tandem_build_info", "Always 1; the label tells the version.", [names("version", 4)]),
            process: process::Families::new(&mut d),
            declarations: d,
        }
    }

    /// Names the running version in `tandem_build_info`.
    pub fn set_version(&self, version: &str) {
        self.build_info.set([version], 1);
    }

    /// Takes over what the operating system says of this process.
    pub fn set_process(&self, process: &Process) {
        self.process.set(process);
    }

    /// Counts one SIP message. `code` is `None` for a request; the method of a response is that of its CSeq.
    pub fn sip_message(&self, method: &str, direction: Direction, code: Option<u16>) {
        self.sip_messages_total.inc(sip::labels(method, direction, code));
    }

    /// Says how many such SIP messages there were since the start, for a room that counts by itself.
    pub fn sip_messages_are(&self, method: &str, direction: Direction, code: Option<u16>, total: u64) {
        self.sip_messages_total.at_least(sip::labels(method, direction, code), total);
    }

    /// All metrics in Prometheus' text format, version 0.0.4 ([`CONTENT_TYPE`]).
    pub fn encode(&self) -> String {
        self.declarations.encode()
    }

    /// What there is to scrape: each metric's name, type, labels and help text, in the order of their names.
    pub fn describe(&self) -> Vec<Description> {
        self.declarations.describe()
    }
}

/// The media type of what [`Metrics::encode`] returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
