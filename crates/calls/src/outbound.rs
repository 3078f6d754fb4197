//! Calls that are placed for whoever asks: which numbers they may show, how many there may be, and the campaigns they belong to.
//!
//! Nothing waits here: what a campaign's window or one of its bounds refuses is tried again by whoever dials for it.

use crate::{Problem, trunks::Bucket};
use clock::{Monotonic, Now};
use core::time::Duration;
use policy::{RuleSet, UnknownWindow};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How people may be called, as an operator fixed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    /// The number (E.164) that people see who are called; none: the trunk's own must say one.
    pub from: Option<String>,
    /// Starts of other numbers that a request may show. The numbers that routes name are ours anyway.
    pub allow_from: Vec<String>,
    /// The trunk that carries them; none: every trunk that may reach the number.
    pub trunk: Option<String>,
    /// How long a phone rings.
    pub ring_timeout: Duration,
    /// What is done about machines that answer.
    pub on_machine: OnMachine,
    /// How many there may be.
    pub pace: Pace,
    /// Campaigns by name.
    pub campaigns: BTreeMap<String, Campaign>,
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            from: None,
            allow_from: Vec::new(),
            trunk: None,
            ring_timeout: Duration::from_secs(45),
            on_machine: OnMachine::None,
            pace: Pace { at_once: 100, per_second: 10, per_minute: 0 },
            campaigns: BTreeMap::new(),
        }
    }
}

/// How many calls there may be. Zero: no bound.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// At once.
    pub at_once: usize,
    /// New ones a second.
    pub per_second: u32,
    /// New ones a minute.
    pub per_minute: u32,
}

/// Calls that are placed for one purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Campaign {
    /// Opening hours of the rules outside of which nobody is called; none: at any time.
    pub hours: Option<String>,
    /// The zone (IANA) by whose clocks they are judged; none: their own.
    pub time_zone: Option<String>,
    /// How many there may be.
    pub pace: Pace,
    /// The number that people see.
    pub from: Option<String>,
    /// The trunk that carries them.
    pub trunk: Option<String>,
    /// The line whose rules hold.
    pub line: Option<String>,
    /// The AI that talks to them.
    pub ai: Option<String>,
    /// How long a phone rings.
    pub ring_timeout: Option<Duration>,
    /// What is done about machines that answer.
    pub on_machine: Option<OnMachine>,
}

/// What is done about a machine that answers a call of ours.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMachine {
    /// Nobody listens whether it is one.
    #[default]
    None,
    /// The call ends.
    HangUp,
    /// The call goes on; rules may say how.
    Continue,
}

/// How many calls there are, and how fast they came. One for all, one for each campaign.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    all: Count,
    campaigns: BTreeMap<String, Count>,
}

#[derive(Debug, Default)]
struct Count {
    active: usize,
    second: Bucket,
    minute: Bucket,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// When a call of those that are up may have ended.
const SOME_TIME: Duration = Duration::from_secs(5);

/// What a bound refuses: the word for metrics, and the document. Boxed: it is seldom, and large.
pub(crate) type Refused = Box<(&'static str, Problem)>;

impl Counts {
    /// Counts one more, if there may be one.
    pub(crate) fn admit(&mut self, config: &Outbound, campaign: Option<&str>, now: Monotonic) -> Result<(), Refused> {
        let of_campaign = campaign.and_then(|name| Some((name, config.campaigns.get(name)?.pace)));
        if let Some((name, pace)) = of_campaign {
            let count = self.campaigns.entry(name.to_owned()).or_default();
            count.judge(&pace, &format!("campaigns.{name}"), now)?;
        }
        self.all.judge(&config.pace, "outbound", now)?;
        self.all.take(&config.pace, now);
        if let Some((name, pace)) = of_campaign
            && let Some(count) = self.campaigns.get_mut(name)
        {
            count.take(&pace, now);
        }
        Ok(())
    }

    /// One is taken up that was written down.
    pub(crate) fn resume(&mut self, campaign: Option<&str>) {
        self.all.active += 1;
        if let Some(name) = campaign {
            self.campaigns.entry(name.to_owned()).or_default().active += 1;
        }
    }

    /// One is over.
    pub(crate) fn leave(&mut self, campaign: Option<&str>) {
        self.all.active = self.all.active.saturating_sub(1);
        if let Some(count) = campaign.and_then(|name| self.campaigns.get_mut(name)) {
            count.active = count.active.saturating_sub(1);
        }
    }
}

impl Count {
    fn judge(&mut self, pace: &Pace, section: &str, now: Monotonic) -> Result<(), Refused> {
        let refused = |word, detail: String, after: Duration| {
            let problem = Problem::new(429, "limit-reached", "no more calls may be placed now").detail(detail);
            Err(Box::new((word, problem.retry_after(after + Duration::from_millis(999)))))
        };
        if pace.at_once > 0 && self.active >= pace.at_once {
            let detail = format!("{} calls are up: `{section}.max_at_once` allows no more", self.active);
            return refused("at_once", detail, SOME_TIME);
        }
        let wait = self.second.wait(now, pace.per_second, SECOND);
        if !wait.is_zero() {
            let detail = format!("`{section}.max_per_second` allows {} new calls a second", pace.per_second);
            return refused("rate", detail, wait);
        }
        let wait = self.minute.wait(now, pace.per_minute, MINUTE);
        if !wait.is_zero() {
            let detail = format!("`{section}.max_per_minute` allows {} new calls a minute", pace.per_minute);
            return refused("rate", detail, wait);
        }
        Ok(())
    }

    fn take(&mut self, pace: &Pace, now: Monotonic) {
        self.active += 1;
        self.second.take_per(now, pace.per_second, SECOND);
        self.minute.take_per(now, pace.per_minute, MINUTE);
    }
}

impl Campaign {
    /// Whether people may be called now. `zone` is the person's, where the request says it.
    pub(crate) fn judge(&self, name: &str, zone: Option<&str>, rules: &RuleSet, now: Now) -> Result<(), Refused> {
        let Some(hours) = self.hours.as_deref() else { return Ok(()) };
        let zone = zone.or(self.time_zone.as_deref());
        let closed = |detail: String| {
            let title = "the campaign calls nobody at this time";
            ("closed", Problem::new(409, "outside-hours", title).field("campaign").detail(detail))
        };
        match rules.window(hours, zone, now) {
            Ok(window) if window.open => Ok(()),
            Ok(window) => {
                let time = |at: Duration| crate::Time(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
                let opens = window.opens.map(|at| (time(at), at.saturating_sub(now.unix)));
                let by = zone.map(|zone| format!(" by the clocks of {zone}")).unwrap_or_default();
                let (word, problem) = match &opens {
                    Some((at, _)) => closed(format!("`{name}` opens at {at} (`{hours}`{by})")),
                    None => closed(format!("`{name}` is closed (`{hours}`{by})")),
                };
                Err(Box::new((word, opens.into_iter().fold(problem, |problem, (_, wait)| problem.retry_after(wait)))))
            }
            // Whom nobody may call at a time that nobody knows is not called.
            Err(UnknownWindow::Hours) => Err(Box::new(closed(format!("the rules have no opening hours `{hours}`")))),
            Err(UnknownWindow::Zone) => {
                let detail = format!("found `{}`: a time zone such as Europe/Berlin was expected", zone.unwrap_or(""));
                Err(Box::new(("invalid", Problem::invalid("time_zone", detail))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_nanos(ms * 1_000_000)
    }

    fn config(all: Pace, campaign: Pace) -> Outbound {
        let campaigns = [("dues".to_owned(), Campaign { pace: campaign, ..Campaign::default() })];
        Outbound { pace: all, campaigns: campaigns.into(), ..Outbound::default() }
    }

    fn refused(counts: &mut Counts, config: &Outbound, campaign: Option<&str>, ms: u64) -> Option<(&'static str, u32)> {
        let refused = counts.admit(config, campaign, at(ms)).err()?;
        Some((refused.0, refused.1.retry_after.unwrap_or(0)))
    }

    #[test]
    fn a_campaign_is_bounded_by_itself_and_by_what_bounds_all() {
        let config = config(Pace { at_once: 3, ..Pace::default() }, Pace { at_once: 2, ..Pace::default() });
        let mut counts = Counts::default();
        assert_eq!(refused(&mut counts, &config, Some("dues"), 0), None);
        assert_eq!(refused(&mut counts, &config, Some("dues"), 0), None);
        assert_eq!(refused(&mut counts, &config, Some("dues"), 0), Some(("at_once", 5)));
        assert_eq!(refused(&mut counts, &config, None, 0), None, "others may go on");
        assert_eq!(refused(&mut counts, &config, None, 0), Some(("at_once", 5)));
        counts.leave(Some("dues"));
        assert_eq!(refused(&mut counts, &config, Some("dues"), 0), None, "one has ended");
        counts.leave(Some("dues"));
        counts.resume(Some("dues"));
        assert_eq!(refused(&mut counts, &config, Some("dues"), 0), Some(("at_once", 5)), "one was taken up again");
    }

    #[test]
    fn a_rate_says_when_there_is_room_again_and_what_was_refused_takes_none() {
        let config = config(Pace::default(), Pace { per_second: 2, per_minute: 4, ..Pace::default() });
        let mut counts = Counts::default();
        let mut try_at = |ms| refused(&mut counts, &config, Some("dues"), ms);
        assert_eq!((try_at(0), try_at(0)), (None, None));
        assert_eq!(try_at(0), Some(("rate", 1)));
        assert_eq!(try_at(400), Some(("rate", 1)), "half a second for each");
        assert_eq!((try_at(1_000), try_at(1_000)), (None, None));
        assert_eq!(
            try_at(3_000),
            Some(("rate", 12)),
            "a quarter of a minute for each, of which three seconds have passed"
        );
        assert_eq!(try_at(15_000), None);
    }
}
