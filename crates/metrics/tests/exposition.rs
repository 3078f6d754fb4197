//! What a scrape looks like: names, help texts, units, bounds.

use metrics::{Direction, Kind, Metrics, Process};
use std::{collections::BTreeSet, time::Duration};

#[test]
fn every_name_has_the_prefix_a_help_text_and_a_base_unit() {
    let described = Metrics::new().describe();
    assert!(described.len() > 30, "{}", described.len());
    for metric in described {
        let name = metric.name;
        assert!(name.starts_with("tandem_") || name.starts_with("process_"), "{name}: prefix");
        assert!(metric.help.ends_with('.') && metric.help.len() > 8, "{name}: help text");
        assert_eq!(
            name.ends_with("_total"),
            metric.kind == Kind::Counter,
            "{name}: counters, and only they, end in _total"
        );
        if metric.kind == Kind::Histogram {
            // A score has none.
            assert!(name.ends_with("_seconds") || name.ends_with("_mos"), "{name}: a histogram says its base unit");
        }
        for unit in ["_ms", "_milli", "_micro", "_nano", "_kb", "_kib", "_percent", "_minutes"] {
            assert!(!name.contains(unit), "{name}: {unit} is no base unit");
        }
        for label in metric.labels {
            assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}: label {label}");
            assert!(!["le", "quantile", "call", "caller"].contains(&label), "{name}: label {label}");
        }
    }
}

#[test]
fn every_name_is_scraped_once_it_was_fed() {
    let metrics = fed();
    let text = metrics.encode();
    for metric in metrics.describe() {
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{} is missing", metric.name);
        assert!(text.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind)), "{} is missing", metric.name);
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let value = line.rsplit(' ').next().expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn what_can_be_zero_is_shown_as_zero_from_the_start() {
    let text = Metrics::new().encode();
    for line in [
        "tandem_ports_in_use 0",
        "tandem_timers_active 0",
        "tandem_sip_transactions_active 0",
        "tandem_sip_dialogs_active 0",
        "tandem_reloads_total{outcome=\"ok\"} 0",
        "tandem_reloads_total{outcome=\"refused\"} 0",
        "tandem_rtp_packets_total{direction=\"in\"} 0",
        "tandem_rtp_packets_total{direction=\"out\"} 0",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn a_flood_of_invented_values_makes_no_flood_of_series() {
    let metrics = Metrics::new();
    for number in 0..5_000_u16 {
        let name = format!("name-{number}");
        metrics.transfers_total.inc(["warm", &name, &name, &name]);
        metrics.rule_matches_total.inc([&name, "false"]);
        metrics.rule_errors_total.inc([&name]);
        metrics.events_total.inc([&name]);
        metrics.calls_total.inc([&name, &name]);
        metrics.sip_message(&name, Direction::In, Some(number));
    }
    let text = metrics.encode();
    let series = |name: &str| text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
    assert!(series("tandem_transfers_total") <= 129, "{}", series("tandem_transfers_total"));
    assert_eq!(series("tandem_rule_matches_total"), 257);
    assert_eq!(series("tandem_rule_errors_total"), 257);
    assert_eq!(series("tandem_events_total"), 49);
    assert!(series("tandem_sip_messages_total") <= 90, "{}", series("tandem_sip_messages_total"));
    assert!(text.contains("tandem_rule_errors_total{rule=\"other\"} 4744\n"), "the rest is counted, not lost");
}

#[test]
fn a_number_or_an_address_never_becomes_a_label() {
    let metrics = Metrics::new();
    for destination in ["sip:anna@pbx.example.net", "tel:+15550199", "+15550199"] {
        metrics.transfers_total.inc(["cold", destination, "bridged", ""]);
    }
    let text = metrics.encode();
    assert!(!text.contains("anna") && !text.contains("5550199"), "{text}");
    assert!(text.contains("destination=\"other\",mode=\"cold\",outcome=\"bridged\"} 3"), "{text}");
}

#[test]
fn counts_kept_elsewhere_are_taken_over_and_never_fall() {
    let metrics = Metrics::new();
    metrics.rtp_packets_total.at_least(["in"], 40);
    metrics.rtp_packets_total.at_least(["in"], 30);
    metrics.sip_messages_are("INVITE", Direction::Out, None, 7);
    metrics.sip_messages_are("INVITE", Direction::In, Some(200), 6);
    let text = metrics.encode();
    assert!(text.contains("tandem_rtp_packets_total{direction=\"in\"} 40\n"), "{text}");
    assert!(text.contains("tandem_sip_messages_total{code=\"\",direction=\"out\",method=\"INVITE\"} 7\n"), "{text}");
    assert!(text.contains("tandem_sip_messages_total{code=\"200\",direction=\"in\",method=\"INVITE\"} 6\n"), "{text}");
}

#[test]
fn states_that_nobody_is_in_any_more_go_to_zero() {
    let metrics = Metrics::new();
    metrics.calls_active.set(["with_ai"], 3);
    metrics.calls_active.zero();
    metrics.calls_active.set(["with_human"], 1);
    let text = metrics.encode();
    assert!(text.contains("tandem_calls_active{state=\"with_ai\"} 0\n"), "{text}");
    assert!(text.contains("tandem_calls_active{state=\"with_human\"} 1\n"), "{text}");
}

#[test]
fn durations_fall_into_buckets_of_seconds() {
    let metrics = Metrics::new();
    metrics.handoff_silence_seconds.observe(Duration::from_millis(30));
    let text = metrics.encode();
    assert!(text.contains("tandem_handoff_silence_seconds_bucket{le=\"0.02\"} 0\n"), "{text}");
    assert!(text.contains("tandem_handoff_silence_seconds_bucket{le=\"0.04\"} 1\n"), "{text}");
    assert!(text.contains("tandem_handoff_silence_seconds_sum 0.03\n"), "{text}");
}

#[test]
fn the_page_of_metrics_lists_exactly_these() {
    let page = include_str!("../../../docs/metrics.md");
    let shown: BTreeSet<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let owed: Vec<String> = Metrics::new()
        .describe()
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |", metric.name, metric.kind, labels.join(", "), metric.help)
        })
        .collect();
    let missing: Vec<&String> = owed.iter().filter(|row| !shown.contains(row.as_str())).collect();
    let stale: Vec<&&str> = shown.iter().filter(|row| !owed.iter().any(|owed| owed == *row)).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "docs/metrics.md lacks {missing:#?}\nand should not have {stale:#?}"
    );
}

/// Metrics of which each has been counted, set or observed at least once.
fn fed() -> Metrics {
    let metrics = Metrics::new();
    let second = Duration::from_secs(1);
    metrics.set_version("0.1.0");
    metrics.set_process(&Process { cpu: second, resident_bytes: 1 << 20, started: second, ..Process::default() });
    metrics.calls_active.set(["with_ai"], 1);
    metrics.calls_total.inc(["carrier-a", "completed"]);
    metrics.call_setup_seconds.observe(second);
    metrics.events_total.inc(["no_match"]);
    metrics.policy_evaluation_seconds.observe(Duration::from_micros(20));
    metrics.rule_matches_total.inc(["three-misses", "false"]);
    metrics.rule_errors_total.inc(["odd-one"]);
    metrics.reloads_total.inc(["ok"]);
    metrics.transfers_total.inc(["warm", "frontdesk", "failed", "busy"]);
    metrics.transfer_duration_seconds.observe(["warm", "ringing"], second);
    metrics.handoff_silence_seconds.observe(second);
    metrics.agents.set(["available"], 1);
    metrics.queue_length.set(["fraud"], 1);
    metrics.callbacks.set(["open"], 1);
    metrics.ledger_written_total.inc(["callback"]);
    metrics.ledger_lost_total.inc(["callback"]);
    metrics.supervisors_total.inc(["listen", "joined"]);
    metrics.outbound_calls_total.inc(["dues", "answered"]);
    metrics.outbound_refused_total.inc(["dues", "closed"]);
    metrics.amd_results_total.inc(["human", "machine"]);
    metrics.queue_wait_seconds.observe(["fraud", "connected"], second);
    metrics.sip_message("INVITE", Direction::In, None);
    metrics.trunk_up.set(["carrier-a"], 1);
    metrics.trunk_resting.set(["carrier-a"], 1);
    metrics.sip_connections_closed_total.inc(["idle"]);
    metrics.rtp_jitter_seconds.observe(Duration::from_millis(3));
    metrics.rtp_round_trip_seconds.observe(Duration::from_millis(40));
    metrics.rtp_mos.observe_value(["in"], 4.2);
    metrics.control_requests_total.inc(["GET", "/v1/calls/{id}", "200"]);
    metrics
}
