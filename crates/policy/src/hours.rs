//! Opening hours: weekly intervals in a time zone, with exceptions by date.

use core::time::Duration;
use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
    tz::{AmbiguousOffset, TimeZone},
};
use std::{collections::BTreeMap, sync::Arc};

/// From one wall-clock time to another; one that ends at or before its beginning ends on the next day.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Minutes since midnight.
    pub(crate) from: u16,
    /// Minutes since midnight, at most 24:00.
    pub(crate) to: u16,
}

/// The day an exception is for.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Day {
    /// One date.
    Once(Date),
    /// A month and day, each year.
    Yearly(i8, i8),
}

/// An interval belongs to the day on which it begins, also for exceptions.
#[derive(Clone, Debug)]
pub(crate) struct Hours {
    pub(crate) name: Arc<str>,
    pub(crate) zone: TimeZone,
    /// Monday first.
    pub(crate) week: [Vec<Interval>; 7],
    pub(crate) except: BTreeMap<Day, Vec<Interval>>,
}

/// Whether it is open, and until when that is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) open: bool,
    /// The next opening or closing; at the latest two weeks on.
    pub(crate) until: Duration,
}

/// How far ahead the next change is looked for.
const DAYS_AHEAD: i32 = 14;

impl Hours {
    /// The state at `unix` (time since 1970-01-01T00:00:00Z).
    pub(crate) fn at(&self, unix: Duration) -> State {
        let far = State { open: false, until: unix + Duration::from_secs(24 * 3600) };
        let Ok(now) = Timestamp::from_second(i64::try_from(unix.as_secs()).unwrap_or(i64::MAX)) else { return far };
        let today = now.to_zoned(self.zone.clone()).date();
        let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
        let mut horizon = None;
        for ahead in -1..=DAYS_AHEAD {
            let Ok(date) = today.checked_add(jiff::Span::new().days(ahead)) else { break };
            for interval in self.on(date) {
                if let Some(span) = self.span(date, *interval).filter(|(from, to)| from < to) {
                    spans.push(span);
                }
            }
            horizon = self.instant(date, 0).or(horizon);
        }
        spans.sort_unstable();
        let mut until = None;
        for (from, to) in spans {
            match until {
                None if from <= now && now < to => until = Some(to),
                Some(end) if from <= end && to > end => until = Some(to),
                None if from > now => return State { open: false, until: since_epoch(from) },
                _ => {}
            }
        }
        match (until, horizon) {
            (Some(end), _) => State { open: true, until: since_epoch(end) },
            (None, Some(end)) => State { open: false, until: since_epoch(end) },
            (None, None) => far,
        }
    }

    fn on(&self, date: Date) -> &[Interval] {
        let exception = self.except.get(&Day::Once(date));
        let exception = exception.or_else(|| self.except.get(&Day::Yearly(date.month(), date.day())));
        exception.unwrap_or(&self.week[weekday_index(date.weekday())])
    }

    fn span(&self, date: Date, interval: Interval) -> Option<(Timestamp, Timestamp)> {
        let crosses = interval.to <= interval.from;
        let last = if crosses { date.tomorrow().ok()? } else { date };
        Some((self.edge(date, interval.from, Edge::Opens)?, self.edge(last, interval.to, Edge::Closes)?))
    }

    fn instant(&self, date: Date, minutes: u16) -> Option<Timestamp> {
        self.edge(date, minutes, Edge::Opens)
    }

    /// The instant at which the wall clock first reaches (opens) or last leaves (closes) a time of day: a time that a
    /// change of the clocks skips is reached at the change; of a time that comes twice, the first opens and the second
    /// closes.
    fn edge(&self, date: Date, minutes: u16, edge: Edge) -> Option<Timestamp> {
        let (date, minutes) =
            if minutes >= 24 * 60 { (date.tomorrow().ok()?, minutes - 24 * 60) } else { (date, minutes) };
        let time = Time::new(i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?, 0, 0).ok()?;
        let wall = self.zone.to_ambiguous_timestamp(DateTime::from_parts(date, time));
        match (wall.offset(), edge) {
            (AmbiguousOffset::Gap { .. }, _) => {
                let after = wall.later().ok()?;
                let change = self.zone.preceding(after).next();
                Some(change.map_or(after, |change| change.timestamp()))
            }
            (_, Edge::Opens) => wall.earlier().ok(),
            (_, Edge::Closes) => wall.later().ok(),
        }
    }
}

#[derive(Copy, Clone)]
enum Edge {
    Opens,
    Closes,
}

fn since_epoch(at: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

pub(crate) fn weekday_index(day: Weekday) -> usize {
    usize::try_from(day.to_monday_zero_offset()).unwrap_or(0)
}

/// A zone of the bundled database.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    jiff::tz::TimeZoneDatabase::bundled().get(name).ok()
}

/// Names of zones that look like `name`, for a suggestion.
pub(crate) fn zone_like(name: &str) -> Option<String> {
    let database = jiff::tz::TimeZoneDatabase::bundled();
    let names: Vec<String> = database.available().map(|it| it.as_str().to_owned()).collect();
    let city = |it: &str| it.rsplit('/').next().unwrap_or(it).to_lowercase();
    let same_city = names.iter().find(|it| city(it) == city(name));
    let close = || crate::diagnostic::did_you_mean(name, names.iter().map(String::as_str)).map(str::to_owned);
    same_city.cloned().or_else(close)
}
