//! `hours`.

use super::{Reader, Source, own_name};
use crate::{
    hours::{Day, Hours, Interval, zone, zone_like},
    text::{Fields, Key, Kind, Node, Problems, short},
};
use jiff::civil::Date;
use std::{collections::BTreeMap, sync::Arc};

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Reader<'_> {
    pub(super) fn hours(&mut self, source: &Source, problems: &mut Problems) {
        let Some(section) = source.section("hours") else { return };
        let Some(mut entries) = Fields::new(section, "opening hours", problems) else { return };
        while let Some((key, node)) = entries.first_left() {
            let Some(name) = own_name(key, "set of opening hours", problems) else { continue };
            if self.hours.iter().any(|hours| hours.name == name) {
                problems.error(key.span, format!("the opening hours `{name}` are given twice"));
            } else if let Some(hours) = read_hours(&name, node, problems) {
                self.hours.push(hours);
            } else {
                // A placeholder keeps references to it from being reported as well.
                let (week, except) = (Default::default(), BTreeMap::new());
                self.hours.push(Hours { name, zone: jiff::tz::TimeZone::UTC, week, except });
            }
        }
    }
}

fn read_hours(name: &Arc<str>, node: &Node, problems: &mut Problems) -> Option<Hours> {
    let before = problems.0.len();
    let mut fields = Fields::new(node, "key", problems)?;
    let zone = fields.need("timezone", problems).and_then(|node| read_zone(node, problems));
    let mut week: [Vec<Interval>; 7] = Default::default();
    let mut given = [false; 7];
    let open = fields.need("open", problems).and_then(|node| Fields::new(node, "day", problems));
    if let Some(mut open) = open {
        while let Some((key, node)) = open.first_left() {
            let days = read_days(key, problems);
            let intervals = read_intervals(node, problems);
            for day in days {
                if core::mem::replace(&mut given[day], true) {
                    problems.error(key.span, format!("{} is given twice", WEEK[day]));
                }
                week[day].clone_from(&intervals);
            }
        }
    }
    let mut except = BTreeMap::new();
    if let Some(mut exceptions) = fields.take("except", problems).and_then(|node| Fields::new(node, "date", problems)) {
        while let Some((key, node)) = exceptions.first_left() {
            let intervals = read_intervals(node, problems);
            if let Some(day) = read_date(key, problems) {
                except.insert(day, intervals);
            }
        }
    }
    fields.finish(problems);
    let zone = zone?;
    (problems.0.len() == before).then(|| Hours { name: Arc::clone(name), zone, week, except })
}

fn read_zone(node: &Node, problems: &mut Problems) -> Option<jiff::tz::TimeZone> {
    let text = node.text(problems, 64)?;
    let found = zone(text);
    if found.is_none() {
        let message = format!("unknown time zone `{}`", short(text));
        match zone_like(text) {
            Some(meant) => problems.error_with(node.span, message, format!("did you mean `{meant}`?")),
            None => problems.error_with(node.span, message, "write it like `Europe/Berlin`"),
        }
    }
    found
}

/// `mon-fri`, `sat`, or `mon, wed`.
fn read_days(key: &Key, problems: &mut Problems) -> Vec<usize> {
    let mut days = Vec::new();
    for part in key.text.split(',').map(str::trim) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let place = |day: &str| WEEK.iter().position(|name| *name == day.trim().to_ascii_lowercase());
        let (Some(from), Some(to)) = (place(from), place(to)) else {
            let help = "write `mon`, `mon-fri` or `mon, wed`; the days are mon tue wed thu fri sat sun";
            problems.error_with(key.span, format!("`{}` is not a day", short(part)), help);
            continue;
        };
        let length = (to + 7 - from) % 7;
        days.extend((0..=length).map(|ahead| (from + ahead) % 7));
    }
    days
}

fn read_date(key: &Key, problems: &mut Problems) -> Option<Day> {
    let once = key.text.parse::<Date>().ok().filter(|_| key.text.len() == 10).map(Day::Once);
    // 2024 is a leap year, so 02-29 is a date.
    let yearly = || format!("2024-{}", key.text).parse::<Date>().ok().filter(|_| key.text.len() == 5);
    let day = once.or_else(|| yearly().map(|date| Day::Yearly(date.month(), date.day())));
    if day.is_none() {
        let help = "write \"2026-12-24\", or \"12-25\" for each year";
        problems.error_with(key.span, format!("`{}` is not a date", short(&key.text)), help);
    }
    day
}

fn read_intervals(node: &Node, problems: &mut Problems) -> Vec<Interval> {
    if node.is_word("closed") {
        return Vec::new();
    }
    if matches!(node.kind, Kind::Map(_) | Kind::Empty) {
        node.wrong(problems, "times such as [\"08:00-12:00\"], or `closed`", None);
        return Vec::new();
    }
    node.items().iter().filter_map(|item| read_interval(item, problems)).collect()
}

fn read_interval(node: &Node, problems: &mut Problems) -> Option<Interval> {
    let text = node.text(problems, 32)?;
    let parts = text.split_once('-').and_then(|(from, to)| Some((minutes(from.trim())?, minutes(to.trim())?)));
    match parts {
        Some((from, to)) if from != to && from < 24 * 60 => Some(Interval { from, to }),
        Some(_) => {
            problems.error_with(node.span, format!("`{text}` is empty"), "for the whole day write \"00:00-24:00\"");
            None
        }
        None => {
            let help = "write \"08:00-12:00\"; it may cross midnight: \"22:00-02:00\"";
            problems.error_with(node.span, format!("`{}` is not a span of time", short(text)), help);
            None
        }
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |it: &str| it.len() == 2 && it.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(minute) || !(digits(hour) || hour.len() == 1 && hour.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= 24 * 60).then_some(total)
}
