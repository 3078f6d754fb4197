//! Calls over networks that lose datagrams, both phones with RFC 3261's timers: they come and go cleanly, and nothing is left.

use serde_json::Value;
use std::process::Command;

/// Runs 1,000 calls in a network namespace of their own whose loopback drops `percent` of all UDP datagrams.
fn a_thousand_calls(percent: u32, more: &[&str]) -> Value {
    let percent = percent.to_string();
    let output = Command::new("unshare")
        .args(["--net", env!("CARGO_BIN_EXE_lossy"), "--percent", &percent, "--calls", "1000"])
        .args(more)
        .output()
        .expect("unshare is missing; install it with: apt-get install util-linux");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value =
        printed.lines().last().and_then(|line| serde_json::from_str(line).ok()).expect("a line of JSON");
    assert_eq!(figures["left_in_daemon"], 0.0, "stuck in the daemon 64 s later: {figures}");
    assert_eq!(figures["stuck_at_phones"], 0, "a phone still waits for something: {figures}");
    figures
}

fn clean(figures: &Value) -> u64 {
    figures["clean"].as_u64().expect("a number")
}

#[test]
fn without_loss_every_call_is_clean() {
    let figures = a_thousand_calls(0, &[]);
    assert_eq!(clean(&figures), 1000, "{figures}");
    assert_eq!(figures["ai_answered"], 1000, "{figures}");
}

#[test]
fn at_5_percent_loss_every_call_is_clean() {
    let figures = a_thousand_calls(5, &[]);
    assert_eq!(clean(&figures), 1000, "{figures}");
}

#[test]
fn at_10_percent_loss_999_of_1000_calls_are_clean() {
    let figures = a_thousand_calls(10, &[]);
    assert!(clean(&figures) >= 999, "{figures}");
}

#[test]
fn at_20_percent_loss_995_of_1000_calls_are_clean_and_sipp_fares_no_worse_than_without_us() {
    let figures = a_thousand_calls(20, &["--sipp", "300"]);
    assert!(clean(&figures) >= 995, "{figures}");
    let sipp = |way: &str| figures[way].as_f64().expect("a number");
    let (direct, through) = (sipp("sipp_direct"), sipp("sipp_through"));
    // Two draws of the same chance differ by this much, once in a thousand runs.
    let spread = 3.3 * (2.0 * 300.0 * 0.04_f64 * 0.96).sqrt();
    assert!(through >= direct - spread, "{figures}");
}
