//! Opening hours: edges, midnight, the days the clocks change, exceptions, and when the answer changes next.

mod common;

use clock::{Monotonic, Now};
use common::{Call, rules, whole};
use core::time::Duration;
use policy::{CallStart, Listening, Phase, RuleSet, UnknownWindow, Verdict};

fn unix(at: &str) -> Duration {
    Duration::from_secs(
        u64::try_from(at.parse::<jiff::Timestamp>().expect("the test says so").as_second()).expect("the test says so"),
    )
}

fn hours(body: &str) -> RuleSet {
    whole(&format!("version: 1\nhours:\n  office:\n    timezone: Europe/Berlin\n{body}"))
}

fn open(rules: &RuleSet, at: &str) -> bool {
    rules.is_open(Some("office"), Now { monotonic: Monotonic::ORIGIN, unix: unix(at) })
}

const OFFICE: &str = "    open: { mon-fri: [\"08:00-12:00\", \"13:00-18:00\"], sat: [\"22:00-02:00\"] }\n    except: { \"2026-12-24\": [\"08:00-12:00\"], \"12-25\": closed }\n";

#[test]
fn opening_belongs_to_the_hours_and_closing_does_not() {
    let rules = hours(OFFICE);
    for (at, expected) in [
        // A Wednesday in winter: Berlin is one hour ahead of UTC.
        ("2026-01-07T07:59:59+01:00", false),
        ("2026-01-07T08:00:00+01:00", true),
        ("2026-01-07T11:59:59+01:00", true),
        ("2026-01-07T12:00:00+01:00", false),
        ("2026-01-07T13:00:00+01:00", true),
        ("2026-01-07T18:00:00+01:00", false),
        // The same in summer.
        ("2026-07-08T05:59:59Z", false),
        ("2026-07-08T06:00:00Z", true),
        ("2026-07-08T16:00:00Z", false),
        // Sundays.
        ("2026-01-11T10:00:00+01:00", false),
    ] {
        assert_eq!(open(&rules, at), expected, "{at}");
    }
}

#[test]
fn hours_may_be_judged_by_the_clocks_of_another_zone() {
    let rules = hours(OFFICE);
    let window =
        |zone: Option<&str>, at| rules.window("office", zone, Now { monotonic: Monotonic::ORIGIN, unix: unix(at) });
    let noon = "2026-01-07T15:30:00Z";
    assert!(window(None, noon).is_ok_and(|window| window.open && window.opens.is_none()), "half past four in Berlin");
    let angeles = window(Some("America/Los_Angeles"), noon).expect("a zone");
    assert!(!angeles.open, "half past seven there");
    assert_eq!(angeles.opens, Some(unix("2026-01-07T16:00:00Z")));
    assert_eq!(window(Some("Mars/Olympus"), noon), Err(UnknownWindow::Zone));
    let missing = rules.window("night", None, Now { monotonic: Monotonic::ORIGIN, unix: unix(noon) });
    assert_eq!(missing, Err(UnknownWindow::Hours), "and not open for want of anything that says otherwise");
}

#[test]
fn an_interval_may_cross_midnight_and_belongs_to_the_day_it_begins() {
    let rules = hours(OFFICE);
    for (at, expected) in [
        ("2026-01-10T21:59:00+01:00", false),
        ("2026-01-10T22:00:00+01:00", true),
        ("2026-01-11T00:00:00+01:00", true),
        ("2026-01-11T01:59:59+01:00", true),
        ("2026-01-11T02:00:00+01:00", false),
        ("2026-01-11T22:00:00+01:00", false),
    ] {
        assert_eq!(open(&rules, at), expected, "{at}");
    }
}

#[test]
fn exceptions_replace_the_week_once_or_each_year() {
    let rules = hours(OFFICE);
    for (at, expected) in [
        ("2026-12-24T09:00:00+01:00", true),
        ("2026-12-24T14:00:00+01:00", false),
        ("2026-12-25T09:00:00+01:00", false),
        ("2030-12-25T09:00:00+01:00", false),
        ("2027-12-24T14:00:00+01:00", true),
    ] {
        assert_eq!(open(&rules, at), expected, "{at}");
    }
    let rules =
        hours("    open: { sat: [\"22:00-02:00\"] }\n    except: { \"2026-01-11\": closed, \"2026-01-17\": closed }\n");
    assert!(open(&rules, "2026-01-11T01:00:00+01:00"), "Saturday's interval runs into the closed Sunday");
    assert!(!open(&rules, "2026-01-18T01:00:00+01:00"), "on a closed Saturday none begins");
}

#[test]
fn days_are_ranges_lists_and_may_wrap_the_week() {
    for (days, expected) in [
        ("mon-fri", [true, true, true, true, true, false, false]),
        ("fri-mon", [true, false, false, false, true, true, true]),
        ("\"mon, wed\"", [true, false, true, false, false, false, false]),
        ("sun", [false, false, false, false, false, false, true]),
        ("mon-sun", [true; 7]),
    ] {
        let rules = hours(&format!("    open: {{ {days}: [\"00:00-24:00\"] }}\n"));
        // 2026-01-05 is a Monday.
        let got: Vec<bool> = (5..12).map(|day| open(&rules, &format!("2026-01-{day:02}T12:00:00+01:00"))).collect();
        assert_eq!(got, expected, "{days}");
    }
}

#[test]
fn a_time_that_the_clocks_skip_is_reached_at_the_change() {
    // 2026-03-29, 02:00 becomes 03:00 in Berlin, at 01:00 UTC.
    let opens = hours("    open: { sun: [\"02:30-05:00\"] }\n");
    assert!(!open(&opens, "2026-03-29T00:59:59Z"));
    assert!(open(&opens, "2026-03-29T01:00:00Z"));
    assert!(!open(&opens, "2026-03-29T03:00:00Z"));
    let closes = hours("    open: { sun: [\"00:00-02:30\"] }\n");
    assert!(open(&closes, "2026-03-29T00:59:59Z"));
    assert!(!open(&closes, "2026-03-29T01:00:00Z"));
    let gone = hours("    open: { sun: [\"02:15-02:45\"] }\n");
    for minute in 0..180 {
        assert!(!open(&gone, &format!("2026-03-29T{:02}:{:02}:00Z", minute / 60, minute % 60)));
    }
}

#[test]
fn of_a_time_that_comes_twice_the_first_opens_and_the_second_closes() {
    // 2026-10-25, 03:00 becomes 02:00 in Berlin, at 01:00 UTC: 02:30 is 00:30 and 01:30 UTC.
    let opens = hours("    open: { sun: [\"02:30-05:00\"] }\n");
    for (at, expected) in
        [("00:29:59", false), ("00:30:00", true), ("01:10:00", true), ("03:59:59", true), ("04:00:00", false)]
    {
        assert_eq!(open(&opens, &format!("2026-10-25T{at}Z")), expected, "{at}");
    }
    let closes = hours("    open: { sat: [\"22:00-02:30\"] }\n");
    for (at, expected) in [("00:30:00", true), ("01:10:00", true), ("01:29:59", true), ("01:30:00", false)] {
        assert_eq!(open(&closes, &format!("2026-10-25T{at}Z")), expected, "{at}");
    }
}

#[test]
fn a_whole_week_open_never_closes_not_even_when_the_clocks_change() {
    let rules = hours("    open: { mon-sun: [\"00:00-24:00\"] }\n");
    for day in ["2026-03-28", "2026-03-29", "2026-10-25", "2026-12-31"] {
        for minute in (0..24 * 60).step_by(15) {
            let at = format!("{day}T{:02}:{:02}:00Z", minute / 60, minute % 60);
            assert!(open(&rules, &at), "{at}");
        }
    }
}

#[test]
fn other_zones_have_their_own_clocks() {
    let rules = whole(
        "version: 1\nhours:\n  kolkata: { timezone: Asia/Kolkata, open: { wed: [\"09:00-10:00\"] } }\n  york: { timezone: America/New_York, open: { wed: [\"09:00-10:00\"] } }\n",
    );
    let at = |at: &str| Now { monotonic: Monotonic::ORIGIN, unix: unix(at) };
    assert!(rules.is_open(Some("kolkata"), at("2026-01-07T03:30:00Z")));
    assert!(!rules.is_open(Some("kolkata"), at("2026-01-07T03:29:59Z")));
    assert!(rules.is_open(Some("york"), at("2026-01-07T14:00:00Z")));
    assert!(rules.is_open(Some("york"), at("2026-07-08T13:00:00Z")));
    assert!(rules.is_open(None, at("2026-07-08T13:00:00Z")), "what keeps no hours is always open");
}

#[test]
fn a_rule_on_hours_acts_when_they_open_and_the_evaluation_says_when() {
    let set = rules(
        "hours:\n  office: { timezone: Europe/Berlin, open: { mon-fri: [\"08:00-12:00\"] } }\nrules:\n  - { id: it, when: { open: office }, tag: open }\n  - { id: night, when: { not: { open: office } }, tag: closed }\n",
    );
    let start = unix("2026-01-07T07:00:00+01:00");
    let mut call = Call::starting(set, CallStart::default(), Listening::default(), start).with_ai();
    assert_eq!(call.verdict(), Verdict::NotTrue);
    assert_eq!(call.because(), "office is closed, needs office to be open");
    let (leap, acted) = call.leap_to_next_change().unwrap();
    assert_eq!((leap, acted.as_deref()), (Duration::from_secs(3600), Some("it")));
    assert_eq!(call.verdict_on("night").because, "office is open, needs not office to be open");
    let (leap, acted) = call.leap_to_next_change().unwrap();
    assert_eq!((leap, acted.as_deref()), (Duration::from_secs(4 * 3600), Some("night")));
}

#[test]
fn a_clock_that_an_administrator_sets_back_is_followed() {
    let set = rules(
        "hours:\n  office: { timezone: UTC, open: { wed: [\"08:00-12:00\"] } }\nrules:\n  - { id: it, when: { open: office }, tag: open }\n",
    );
    let start = unix("2026-01-07T09:00:00Z");
    let mut call = Call::starting(set, CallStart::default(), Listening::default(), start);
    call.phase = Phase::Ai;
    call.evaluate();
    assert_eq!(call.verdict(), Verdict::Fired);
    call.now.unix = unix("2026-01-07T07:00:00Z");
    call.evaluate();
    assert_eq!(call.verdict(), Verdict::NotTrue);
}

#[test]
fn hours_that_never_open_are_closed_and_bounded() {
    let rules = hours("    open: { mon: closed }\n");
    assert!(!open(&rules, "2026-01-07T12:00:00Z"));
    let set = common::rules(
        "hours:\n  never: { timezone: UTC, open: { mon: closed } }\nrules:\n  - { id: it, when: { open: never }, tag: x }\n",
    );
    let call = Call::new(set);
    let next = call.last.unwrap().next_change.unwrap();
    assert!(next.since(call.now.monotonic) > Duration::from_secs(24 * 3600));
}
