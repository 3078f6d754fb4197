//! Who knocks too often: request rates and bans of sources that no trunk allows.
//!
//! Only requests that would begin something come here; what belongs to a dialog or a transaction of ours, and whatever a trunk
//! sends, never does, so that nobody can shut a peer out by forging its address. A source is an IPv4 address or an IPv6 /64. Both
//! tables are bounded: at the bound sources that were not heard of lately are forgotten, and the ban that would end first ends.

use crate::table::Keyed;
use clock::Monotonic;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// How sources are treated that no trunk allows.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abuse {
    /// Requests a second that one source may begin things with; as many again may come at once. More are dropped unheard.
    pub requests_per_second: u32,
    /// Failed authentications within `window` that ban a source.
    pub failures: u32,
    /// Requests of an unknown source, or datagrams that are no SIP, within `window` that ban it.
    pub strangers: u32,
    /// How long offences are remembered.
    pub window: Duration,
    /// How long a ban lasts; zero bans nobody.
    pub ban: Duration,
    /// Sources that are remembered, and bans, each.
    pub sources: usize,
}

impl Default for Abuse {
    fn default() -> Self {
        Self {
            requests_per_second: 20,
            failures: 5,
            strangers: 20,
            window: Duration::from_secs(60),
            ban: Duration::from_secs(600),
            sources: 10_000,
        }
    }
}

/// What a source did.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offence {
    /// A digest that was wrong under a nonce that was sent to this address.
    FailedAuthentication,
    /// A request from an address that no trunk allows and where no phone is registered.
    UnknownSource,
    /// A datagram that is no SIP message.
    Garbage,
}

impl Offence {
    /// Every offence.
    pub const ALL: [Self; 3] = [Self::FailedAuthentication, Self::UnknownSource, Self::Garbage];

    /// As logs and metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FailedAuthentication => "failed_authentication",
            Self::UnknownSource => "unknown_source",
            Self::Garbage => "garbage",
        }
    }
}

/// Lines that may be logged a second, whoever knocks: a flood from forged addresses must not fill a disk.
const LINES_PER_SECOND: u32 = 50;

/// The tables.
#[derive(Debug)]
pub(crate) struct Guard {
    config: Abuse,
    /// Sources heard of lately, and those of the time before: each is at most half of the bound.
    young: HashMap<IpAddr, Knocker, Keyed>,
    old: HashMap<IpAddr, Knocker, Keyed>,
    banned: HashMap<IpAddr, Monotonic, Keyed>,
    lines: Bucket,
}

#[derive(Copy, Clone, Debug)]
struct Knocker {
    bucket: Bucket,
    failures: u32,
    strangers: u32,
    /// When its offences are forgotten.
    until: Monotonic,
}

/// Tokens that come at a rate, a second's worth at most.
#[derive(Copy, Clone, Debug)]
struct Bucket {
    tokens: f64,
    filled: Monotonic,
}

impl Bucket {
    fn new(now: Monotonic, size: u32) -> Self {
        Self { tokens: size.into(), filled: now }
    }

    fn take(&mut self, now: Monotonic, per_second: u32, size: u32) -> bool {
        let grown = now.since(self.filled).as_secs_f64() * f64::from(per_second);
        self.tokens = (self.tokens + grown).min(size.into());
        self.filled = now;
        let open = self.tokens >= 1.0;
        if open {
            self.tokens -= 1.0;
        }
        open
    }
}

impl Guard {
    /// Sources that are remembered.
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len() + self.banned.len()
    }

    pub(crate) fn new(config: Abuse, key: (u64, u64), now: Monotonic) -> Self {
        let table = || HashMap::with_hasher(Keyed::new(key));
        let lines = Bucket::new(now, LINES_PER_SECOND);
        Self { config, young: table(), old: table(), banned: HashMap::with_hasher(Keyed::new(key)), lines }
    }

    /// True when a request of a source may be looked at; it counts.
    pub(crate) fn lets_in(&mut self, now: Monotonic, source: IpAddr) -> bool {
        let (per_second, size) = (self.config.requests_per_second, self.config.requests_per_second.saturating_mul(2));
        self.knocker(now, source).bucket.take(now, per_second, size)
    }

    /// True while a source is banned.
    pub(crate) fn is_banned(&mut self, now: Monotonic, source: IpAddr) -> bool {
        let source = network(source);
        let Some(until) = self.banned.get(&source).copied() else { return false };
        if until <= now {
            self.banned.remove(&source);
        }
        until > now
    }

    /// Notes what a source did. True when it is banned from now on, which who is `exempt` never is.
    pub(crate) fn offends(&mut self, now: Monotonic, address: IpAddr, offence: Offence, exempt: bool) -> bool {
        let config = self.config;
        let knocker = self.knocker(now, address);
        let (count, most) = match offence {
            Offence::FailedAuthentication => (&mut knocker.failures, config.failures),
            Offence::UnknownSource | Offence::Garbage => (&mut knocker.strangers, config.strangers),
        };
        *count += 1;
        let full = *count >= most;
        if full {
            *count = 0;
        }
        let banned = full && !config.ban.is_zero() && !exempt;
        if banned {
            self.ban(now, network(address));
        }
        // Each failed authentication has its line; mere knocking has one each time it is too much.
        if (full || offence == Offence::FailedAuthentication)
            && self.lines.take(now, LINES_PER_SECOND, LINES_PER_SECOND)
        {
            let banned_s = if banned { config.ban.as_secs() } else { 0 };
            let source = address.to_canonical();
            tracing::warn!(target: "tandem::abuse", %source, reason = offence.name(), banned_s, "abuse");
        }
        banned
    }

    /// How many sources are banned.
    pub(crate) fn banned(&self, now: Monotonic) -> usize {
        self.banned.values().filter(|until| **until > now).count()
    }

    fn ban(&mut self, now: Monotonic, source: IpAddr) {
        if self.banned.len() >= self.config.sources.max(1) && !self.banned.contains_key(&source) {
            self.banned.retain(|_, until| *until > now);
            if self.banned.len() >= self.config.sources.max(1)
                && let Some(first) = self.banned.iter().min_by_key(|(_, until)| **until).map(|(source, _)| *source)
            {
                self.banned.remove(&first);
            }
        }
        self.banned.insert(source, now + self.config.ban);
    }

    fn knocker(&mut self, now: Monotonic, source: IpAddr) -> &mut Knocker {
        let source = network(source);
        if !self.young.contains_key(&source) && self.young.len() >= (self.config.sources / 2).max(1) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        let fresh = Knocker {
            bucket: Bucket::new(now, self.config.requests_per_second.saturating_mul(2)),
            failures: 0,
            strangers: 0,
            until: now + self.config.window,
        };
        let old = &mut self.old;
        let knocker = self.young.entry(source).or_insert_with(|| old.remove(&source).unwrap_or(fresh));
        if knocker.until <= now {
            *knocker = Knocker { bucket: knocker.bucket, ..fresh };
        }
        knocker
    }
}

/// The part of an address that its owner cannot change at will.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Monotonic {
        Monotonic::ORIGIN + Duration::from_millis(ms)
    }

    fn guard(config: Abuse) -> Guard {
        Guard::new(config, (1, 2), at(0))
    }

    fn source(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0xcb00_7100 + number).into()
    }

    #[test]
    fn a_source_gets_its_rate_and_no_more() {
        let mut guard = guard(Abuse { requests_per_second: 10, ..Abuse::default() });
        assert_eq!((0..100).filter(|_| guard.lets_in(at(0), source(1))).count(), 20);
        assert_eq!((0..100).filter(|_| guard.lets_in(at(500), source(1))).count(), 5);
        assert_eq!((0..100).filter(|_| guard.lets_in(at(500), source(2))).count(), 20, "another source");
    }

    #[test]
    fn failures_ban_and_bans_end() {
        let mut guard = guard(Abuse { failures: 3, ban: Duration::from_secs(10), ..Abuse::default() });
        let fails = |guard: &mut Guard, ms| guard.offends(at(ms), source(1), Offence::FailedAuthentication, false);
        assert!(!fails(&mut guard, 0) && !fails(&mut guard, 1) && !guard.is_banned(at(1), source(1)));
        assert!(fails(&mut guard, 2));
        assert!(guard.is_banned(at(10_001), source(1)) && !guard.is_banned(at(10_001), source(2)));
        assert_eq!(guard.banned(at(10_001)), 1);
        assert!(!guard.is_banned(at(10_002), source(1)));
        assert_eq!(guard.banned(at(10_002)), 0);
    }

    #[test]
    fn offences_are_forgotten_after_the_window() {
        let mut guard = guard(Abuse { failures: 2, window: Duration::from_secs(1), ..Abuse::default() });
        for second in 0..10 {
            assert!(!guard.offends(at(second * 1_000), source(1), Offence::FailedAuthentication, false), "{second}");
        }
        assert!(guard.offends(at(9_999), source(1), Offence::FailedAuthentication, false));
    }

    #[test]
    fn a_ban_of_no_length_bans_nobody() {
        let mut guard = guard(Abuse { failures: 1, ban: Duration::ZERO, ..Abuse::default() });
        assert!(!guard.offends(at(0), source(1), Offence::FailedAuthentication, false));
        assert!(!guard.is_banned(at(0), source(1)));
    }

    #[test]
    fn an_ipv6_neighbour_of_the_same_network_is_the_same_source() {
        let mut guard = guard(Abuse { failures: 1, ..Abuse::default() });
        let of = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(guard.offends(at(0), of("2001:db8:0:1::5"), Offence::FailedAuthentication, false));
        assert!(guard.is_banned(at(0), of("2001:db8:0:1:ffff::9")) && !guard.is_banned(at(0), of("2001:db8:0:2::5")));
        assert!(
            guard.offends(at(0), of("::ffff:192.0.2.1"), Offence::Garbage, false) || !guard.is_banned(at(0), of("::1"))
        );
    }

    #[test]
    fn both_tables_are_bounded_whoever_knocks() {
        let mut guard = guard(Abuse { sources: 100, strangers: 1, ..Abuse::default() });
        for number in 0..10_000 {
            guard.lets_in(at(number), source(u32::try_from(number).unwrap()));
            guard.offends(at(number), source(u32::try_from(number).unwrap()), Offence::UnknownSource, false);
            assert!(guard.young.len() + guard.old.len() <= 100 && guard.banned.len() <= 100);
        }
        assert!(guard.is_banned(at(9_999), source(9_999)) && !guard.is_banned(at(9_999), source(1)));
    }

    #[test]
    fn one_who_goes_on_knocking_is_not_forgotten_for_the_sake_of_those_who_came_once() {
        let mut guard = guard(Abuse { sources: 100, failures: 50, ban: Duration::from_secs(1), ..Abuse::default() });
        let mut banned = false;
        for number in 0..1_000_u32 {
            guard.lets_in(at(0), source(number + 1));
            if number % 20 == 0 {
                banned |= guard.offends(at(0), source(0), Offence::FailedAuthentication, false);
            }
        }
        assert!(banned);
    }
}
